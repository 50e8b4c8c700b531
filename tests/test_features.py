"""Names of miRNAs, their table, and atlases in the names of another."""

from __future__ import annotations

import csv
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srna_lib.data import features
from srna_lib.data.atlas import counts_frame, make_atlas
from srna_lib.data.features import annotate, harmonise, shared_names
from srna_lib.data.mirna_names import join_names, match_names, mirna_table
from srna_lib.errors import InputError

ROOT = Path(__file__).parent.parent
TABLE = mirna_table()
CURRENT = sorted(TABLE.loc[TABLE["kind"] != "removed", "name"])
MATURE = sorted(TABLE.loc[TABLE["kind"] == "mature", "name"])
INFO = {"name": "toy", "title": "Toy", "citation": "-", "licence": "MIT", "simulated": True}

SPELLINGS = {
    # spelling
    "hsa-miR-21-5p": "hsa-miR-21-5p",
    "miR-21-5p": "hsa-miR-21-5p",
    "hsa_miR_21_5p": "hsa-miR-21-5p",
    "hsa.miR.21.5p": "hsa-miR-21-5p",
    "HSA-MIR-21-5P": "hsa-miR-21-5p",
    "hsa-mir-21-5p": "hsa-miR-21-5p",
    "mir21-5p": "hsa-miR-21-5p",
    "  hsa-miR-21-5p\u00a0": "hsa-miR-21-5p",
    '"hsa-miR-21-5p"': "hsa-miR-21-5p",
    "hsa‑miR–21−5p": "hsa-miR-21-5p",
    "\ufeffhsa-miR-21-5p": "hsa-miR-21-5p",
    "has-miR-21-5p": "hsa-miR-21-5p",
    "microRNA-21-5p": "hsa-miR-21-5p",
    "let-7a-5p": "hsa-let-7a-5p",
    "hsa_let_7a_5p": "hsa-let-7a-5p",
    "hsa-miR-548AA": "hsa-miR-548aa",
    # accessions
    "MIMAT0000076": "hsa-miR-21-5p",
    "mimat0000076": "hsa-miR-21-5p",
    "MIMAT0027618_1": "hsa-miR-6859-5p",
    "MI0000077": "hsa-mir-21",
    "MI0000342_MIMAT0004571": "hsa-miR-200b-5p",
    "hsa-miR-21-5p|MIMAT0000076": "hsa-miR-21-5p",
    "hsa-miR-21-5p MIMAT0000076 Homo sapiens miR-21-5p": "hsa-miR-21-5p",
    # stem-loops and gene symbols
    "hsa-mir-21": "hsa-mir-21",
    "hsa_mir_21": "hsa-mir-21",
    "MIR21": "hsa-mir-21",
    "MIR1-1": "hsa-mir-1-1",
    "MIR103A1": "hsa-mir-103a-1",
    "MIRLET7A1": "hsa-let-7a-1",
    "hsa-let-7b": "hsa-let-7b",
    "hsa-let-7a-2": "hsa-let-7a-2",
    # older releases
    "hsa-miR-21": "hsa-miR-21-5p",
    "hsa-miR-21*": "hsa-miR-21-3p",
    "hsa.miR.21.": "hsa-miR-21-3p",
    "miR-21star": "hsa-miR-21-3p",
    "hsa-let-7a": "hsa-let-7a-5p",
    "hsa-let-7a*": "hsa-let-7a-3p",
    "hsa-miR-9*": "hsa-miR-9-3p",
    "hsa-miR-302b*": "hsa-miR-302b-5p",
    "hsa-miR-24": "hsa-miR-24-3p",
    "hsa-miR-24-1*": "hsa-miR-24-1-5p",
    "hsa-miR-1": "hsa-miR-1-3p",
    "hsa-miR-203": "hsa-miR-203a-3p",
    "hsa-miR-3545-5p": "hsa-miR-203b-5p",
    "hsa-miR-378": "hsa-miR-378a-3p",
    "hsa-miR-378*": "hsa-miR-378a-5p",
    "hsa-miR-137": "hsa-miR-137-3p",
    "hsa-miR-375": "hsa-miR-375-3p",
    "hsa-miR-1179-5p": "hsa-miR-1179",
    "hsa-miR-219-1-3p": "hsa-miR-219a-1-3p",
    "hsa-mir-103-1": "hsa-mir-103a-1",
    "hsa-mir-103-1-as": "hsa-mir-103b-1",
    "hsa-mir-365-2": "hsa-mir-365b",
    "hsa-mir-1270-2": "hsa-mir-1270",
    # MirGeneDB
    "Hsa-Mir-21_5p": "hsa-miR-21-5p",
    "Hsa-Mir-375_3p": "hsa-miR-375-3p",
    "Hsa-Mir-21_3p*": "hsa-miR-21-3p",
    "Hsa-Mir-21_pre": "hsa-mir-21",
    "Hsa-Mir-10-P1a_5p": "hsa-miR-10a-5p",
    # merged
    "hsa-let-7a-5p/7c-5p": "hsa-let-7a-5p;hsa-let-7c-5p",
    "hsa-miR-10396a-3p/10396b-3p": "hsa-miR-10396a-3p;hsa-miR-10396b-3p",
    "hsa-miR-107/103a-3p/103b": "hsa-miR-103a-3p;hsa-miR-103b;hsa-miR-107",
    "hsa-miR-320a/b/c/d": "hsa-miR-320a-3p;hsa-miR-320b;hsa-miR-320c;hsa-miR-320d",
    "hsa-miR-320a/hsa-miR-320b": "hsa-miR-320a-3p;hsa-miR-320b",
    "hsa-let-7a-5p/miR-98-5p": "hsa-let-7a-5p;hsa-miR-98-5p",
    "hsa-let-7a-1/7a-2": "hsa-let-7a-1;hsa-let-7a-2",
}
UNKNOWN = {
    "hsa-miR-720": "removed",
    "MIMAT0005954": "removed",
    "MIMAT9999999": "no accession",
    "hsa-miR-126": "ambiguous: hsa-miR-126-3p or hsa-miR-126-5p",
    "hsa-miR-126*": "ambiguous",
    "hsa-miR-99999-5p": "no human miRNA",
    "mmu-miR-21-5p": "not human (mmu)",
    "mmu-miR-21a-5p/21c": "not human (mmu)",
    "ebv-miR-BART1-5p": "not human (ebv)",
    "cel-let-7-5p": "not human (cel)",
    "Hsa-Mir-1-P2_5p": "no arm that miRBase lists",
    "1-Oct": "a date",
    "2023-10-01": "a date",
    "SNORD1": "not the name",
    "hsa-piR-00001": "not the name",
    "": "not the name",
    "nan": "not the name",
    "/": "not the name",
    "hsa-miR-": "not the name",
}


def toy(columns: list[str], values: list[list[int]] | None = None) -> ad.AnnData:
    """Two samples with distinct counts: 1, 2, 4, ... in the first, 100 of each in the second."""
    rows = values or [[2**i for i in range(len(columns))], [100] * len(columns)]
    frame = pd.DataFrame(rows, index=[f"s{i}" for i in range(len(rows))], columns=columns, dtype=float)
    return make_atlas(frame, pd.DataFrame({"dataset_id": "A"}, index=frame.index), info=INFO)


def current_name(name: str, **options) -> pd.Series:
    return match_names([name], **options).iloc[0]


@pytest.mark.parametrize(("name", "expected"), SPELLINGS.items())
def test_spellings(name, expected):
    match = current_name(name)
    assert match.target == expected, match
    assert match.how == ("split" if ";" in expected else "exact" if name == expected else "alias")
    assert match.kind == ("stem-loop" if "mir" in expected or expected in ("hsa-let-7b", "hsa-let-7a-1", "hsa-let-7a-2")
                          or expected.startswith("hsa-let-7a-1;") else "mature")  # fmt: skip


@pytest.mark.parametrize(("name", "reason"), UNKNOWN.items())
def test_unknown_names_say_why(name, reason):
    match = current_name(name)
    assert (match.target, match.how, match.kind) == ("", "unknown", "")
    assert reason in match.reason


def test_a_merged_name_says_which_member_it_lost():
    match = current_name("hsa-miR-21-5p/99999-3p")
    assert match.target == "hsa-miR-21-5p"
    assert "hsa-miR-99999-3p" in match.reason


def test_level_decides_what_the_spelling_leaves_open():
    assert current_name("hsa-let-7b").kind == "stem-loop"
    assert current_name("hsa-let-7b", level="mature").target == "hsa-let-7b-5p"
    old = match_names(["hsa-miR-21", "hsa-let-7b"])
    assert list(old["target"]) == ["hsa-miR-21-5p", "hsa-let-7b-5p"]
    loops = match_names(["hsa-mir-21", "hsa-let-7b"])
    assert list(loops["target"]) == ["hsa-mir-21", "hsa-let-7b"]
    lower = match_names(["hsa-mir-21-5p", "hsa-mir-375"])
    assert list(lower["target"]) == ["hsa-miR-21-5p", "hsa-miR-375-3p"]
    mixed = match_names(["hsa-miR-21-5p", "hsa-mir-375"])
    assert list(mixed["target"]) == ["hsa-miR-21-5p", "hsa-mir-375"]
    with pytest.raises(InputError, match=r"unknown level of miRNA names 'arm'.*auto, mature, stem-loop"):
        match_names(["hsa-miR-21"], level="arm")


def test_every_current_name_is_its_own():
    for kind, own in TABLE[TABLE["kind"] != "removed"].groupby("kind"):
        found = match_names(own["name"])
        assert (found["target"] == own["name"].to_numpy()).all()
        assert set(found["how"]) == {"exact"} and set(found["kind"]) == {kind}


def test_every_accession_finds_its_name():
    own = TABLE[(TABLE["accession"] != "") & (TABLE["kind"] != "removed")]
    assert list(match_names(own["accession"])["target"]) == list(own["name"])


@given(
    st.one_of(
        st.text(max_size=30),
        st.sampled_from([*SPELLINGS, *UNKNOWN, *CURRENT]),
        st.lists(st.sampled_from(CURRENT), min_size=1, max_size=4).map("/".join),
        st.from_regex(r"(hsa-)?(miR|mir|let|MIR)-?\d{1,4}[a-d]?(-[1-3])?(-[35]p)?\*?(/\d{1,3}[a-c]?)?", fullmatch=True),
    )
)
def test_the_current_name_of_a_current_name_is_itself(name):
    first = current_name(name)
    names = [n for n in first.target.split(";") if n]
    assert all(current_name(n).target == n and current_name(n).kind == first.kind for n in names)
    assert current_name(join_names(names)).target == first.target


def test_annotation():
    var = pd.DataFrame(
        {"biotype": "miRNA", "family": [np.nan, "mine", np.nan, np.nan]},
        index=["hsa-miR-21-5p", "hsa-miR-17-5p", "hsa-let-7a-5p/7c-5p", "SNORD1"],
    )
    out = annotate(var)
    assert list(out["mimat"].iloc[:3]) == ["MIMAT0000076", "MIMAT0000070", "MIMAT0000062;MIMAT0000064"]
    assert list(out["family"].iloc[:3]) == ["mir-21", "mine", "let-7"]
    assert out["cluster"].isna().tolist() == [True, False, False, True]
    assert out.loc["hsa-let-7a-5p/7c-5p", "chrom"] == "chr11;chr22;chr9;chr21"
    assert out.loc["SNORD1", ["mimat", "cluster", "chrom"]].isna().all()
    assert "mimat" not in var and list(out.index) == list(var.index)


def test_harmonise_sums_renames_merges_splits_and_drops():
    source = [
        "hsa-let-7a-5p",
        "hsa-let-7c-5p",
        "hsa-miR-21",
        "hsa-miR-486-3p/486-5p",
        "SNORD1",
        "hsa-miR-720",
        "hsa-miR-9-5p",
    ]
    reference = toy(
        ["SNORD1", "hsa-miR-486-5p", "hsa-miR-486-3p", "hsa-let-7a-5p/7c-5p", "hsa-miR-21-5p", "hsa-miR-99b-3p"],
        [[1, 900, 5, 7, 8, 9]],
    )
    atlas, report = harmonise(toy(source), reference)
    assert list(atlas.var_names) == ["SNORD1", "hsa-miR-486-5p", "hsa-let-7a-5p/7c-5p", "hsa-miR-21-5p"]
    assert counts_frame(atlas).to_numpy().tolist() == [[16, 8, 3, 4], [100, 100, 200, 100]]
    assert list(report["how"]) == ["merged", "merged", "alias", "split", "exact", "unknown", "unknown"]
    assert list(report["source"]) == source
    assert list(report["reads"]) == [100 + 2**i for i in range(7)]
    assert "hsa-miR-486-3p" in report["reason"][3]
    assert "removed" in report["reason"][5] and "not among the target names" in report["reason"][6]
    # names alone say nothing about abundance: the first listed member
    _, by_name = harmonise(toy(source), list(reference.var_names))
    assert by_name["target"][3] == "hsa-miR-486-3p"


def test_harmonise_to_mirbase_keeps_everything():
    source = ["hsa-miR-21", "hsa-miR-21-5p", "hsa-miR-17-5p/106a-5p", "SNORD1", "hsa-miR-126"]
    atlas, report = harmonise(toy(source))
    assert list(atlas.var_names) == ["hsa-miR-21-5p", "hsa-miR-17-5p/106a-5p", "SNORD1", "hsa-miR-126"]
    assert list(report["how"]) == ["alias", "exact", "exact", "unknown", "unknown"]
    assert counts_frame(atlas).iloc[0].tolist() == [3, 4, 8, 16]
    again, second = harmonise(atlas)
    assert list(again.var_names) == list(atlas.var_names) and (again.X != atlas.X).nnz == 0
    assert "alias" not in set(second["how"])


def test_stem_loops_that_share_a_mature_mirna_are_one_feature():
    source = ["hsa-miR-21-5p", "hsa-miR-21-3p", "hsa-let-7a-5p", "hsa-let-7a-2-3p", "hsa-let-7a-5p/7c-5p", "SNORD1"]
    atlas, report = features.harmonise(toy(source), "stem-loop")
    assert list(atlas.var_names) == ["hsa-mir-21", "hsa-let-7a-1/7a-2/7a-3", "SNORD1"]
    assert counts_frame(atlas).iloc[0].tolist() == [3, 4 + 8 + 16, 32]
    assert list(report["how"]) == ["merged", "merged", "merged", "merged", "split", "unknown"]
    assert atlas.var.loc["hsa-mir-21", "mimat"] == "MI0000077"
    loops, told = features.harmonise(toy(["hsa-mir-21", "hsa-let-7a-1", "hsa-let-7a-2", "hsa-mir-203"]), "stem-loop")
    assert list(loops.var_names) == ["hsa-mir-21", "hsa-let-7a-1/7a-2/7a-3", "hsa-mir-203a"]
    assert list(told["how"]) == ["exact", "merged", "merged", "alias"]


def test_mature_counts_meet_a_reference_of_stem_loops():
    atlas, report = harmonise(toy(["hsa-miR-21-5p", "hsa-miR-21-3p", "hsa-miR-24-3p"]), ["hsa-mir-24-2", "hsa-mir-21"])
    assert list(atlas.var_names) == ["hsa-mir-24-2", "hsa-mir-21"]
    assert counts_frame(atlas).iloc[0].tolist() == [4, 3]
    assert list(report["how"][:2]) == ["merged", "merged"]


def test_features_of_the_source_annotation_do_not_outlive_it():
    source = toy(["hsa-miR-21-3p", "SNORD1"])
    source.var = annotate(source.var)
    source.var.loc["SNORD1", "family"] = "SNORD"
    atlas, _ = features.harmonise(source, "stem-loop")
    assert atlas.var["mimat"].iloc[0] == "MI0000077"
    assert atlas.var["family"].tolist() == ["mir-21", "SNORD"]


def test_wrong_targets_are_refused():
    with pytest.raises(InputError, match="unknown target 'mirgenedb'"):
        harmonise(toy(["hsa-miR-21-5p"]), "mirgenedb")
    with pytest.raises(InputError, match="no feature names"):
        harmonise(toy(["hsa-miR-21-5p"]), [])
    with pytest.raises(InputError, match="repeat 'a'"):
        harmonise(toy(["hsa-miR-21-5p"]), ["a", "b", "a"])
    with pytest.raises(InputError, match=r"none of the 1 sRNAs.*'hsa-miR-21-5p' against 'ENSG1'"):
        harmonise(toy(["hsa-miR-21-5p"]), ["ENSG1"])


NAMES = st.lists(st.sampled_from([*MATURE, "hsa-let-7a-5p/7c-5p", "hsa-miR-103a-3p/107", "SNORD1", "hsa-miR-21"]),
                 min_size=1, max_size=12, unique=True)  # fmt: skip


@pytest.mark.slow
@given(NAMES, NAMES, st.integers(0, 2**32 - 1))
def test_counts_are_conserved(source, reference, seed):
    adata = toy(source, np.random.default_rng(seed).integers(0, 1000, (3, len(source))).tolist())
    for target in ("mirbase", "stem-loop"):
        atlas, report = harmonise(adata, target)
        assert (counts_frame(atlas).sum(axis=1) == counts_frame(adata).sum(axis=1)).all()
        assert len(report) == adata.n_vars
    try:
        atlas, report = harmonise(adata, reference)
    except InputError:
        assert not set(source) & set(reference)
        return
    mapped = (report["how"] != "unknown").to_numpy()
    assert (counts_frame(atlas).sum(axis=1) == counts_frame(adata).loc[:, mapped].sum(axis=1)).all()
    by_target = report[mapped].groupby("target")["reads"].sum()
    assert (counts_frame(atlas).sum()[by_target.index] == by_target).all()
    assert set(atlas.var_names) <= set(reference)


@pytest.mark.slow
@given(st.lists(NAMES, min_size=1, max_size=3))
def test_shared_names_never_need_a_division(collections):
    shared = shared_names(*collections)
    for own in collections:
        if shared:
            _, report = harmonise(toy(own), shared)
            assert "split" not in set(report["how"])
            assert set(report["target"]) - {""} == set(shared)


def raw_names(mirror: Path, path: str, column: int, delimiter: str) -> list[str]:
    (file,) = mirror.glob(path)
    with file.open(encoding="utf-8", newline="") as handle:
        return list(dict.fromkeys(row[column] for row in list(csv.reader(handle, delimiter=delimiter))[1:]))


@pytest.mark.parametrize(
    ("path", "column", "delimiter", "n_names", "share"),
    [
        ("li-wending/miRTS_paper/*/data/other_data/TA2_miR.raw.csv", 0, ",", 2267, 0.97),
        ("chooliu/*/*/PublicData/miRNA_counts.tsv", 0, "\t", 899, 0.98),
        ("campbio-manuscripts/*/*/Data/MicroRNA/130720_LGRC_miRNA_Counts.txt", 3, "\t", 1919, 0.88),
    ],
    ids=["tissue_atlas2", "fetal_lung", "lgrc"],
)
def test_share_of_real_names_in_the_microrna_ome(mirror, mirome, path, column, delimiter, n_names, share):
    own = raw_names(mirror, path, column, delimiter)
    assert len(own) == n_names
    _, report = harmonise(toy(own, [[1] * len(own)]), mirome)
    assert 1 - (report["how"] == "unknown").mean() >= share
    assert report.loc[report["how"] == "unknown", "reason"].ne("").all()
    assert (report["how"] == "exact").mean() < 0.95, "the share has to come from more than equal strings"


def test_accessions_confirm_the_names_of_release_18(mirror):
    """A table of release 18 names its miRNAs by accession too: both ways must lead to one miRNA."""
    (file,) = mirror.glob("campbio-manuscripts/*/*/Data/MicroRNA/130720_LGRC_miRNA_Counts.txt")
    rows = [line.split("\t")[:6] for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    old = pd.DataFrame({"name": [r[3] for r in rows], "accession": [r[4].split("_")[1] for r in rows]})
    old = old.drop_duplicates()
    assert len(old) == 1919
    assert list(match_names(old["name"])["target"]) == list(match_names(old["accession"])["target"])
