"""Sets of sRNAs: from the names' table, from public files, and in the names of an atlas."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import srna_lib
from srna_lib.data.mirna_names import mirna_table
from srna_lib.datasets import registry
from srna_lib.errors import InputError
from srna_lib.explain import enrichment
from srna_lib.explain.enrichment import as_sets, load_sets, measured, stem_loops

TABLE = mirna_table()
MATURE = sorted(TABLE.loc[TABLE["kind"] == "mature", "name"])


def members(table: pd.DataFrame, name: str) -> set[str]:
    return set(table.loc[table["set"] == name, "feature"])


def found(member: str, features: list[str], per: str) -> set[str]:
    """Features that stand for one member."""
    return set(measured(as_sets({"s": [member]}, per=per), features)["feature"])


# ---- members in the names of an atlas


@pytest.mark.parametrize(
    ("member", "per", "features", "expected"),
    [
        ("hsa-miR-7c-5p", "feature", ["hsa-miR-7-5p"], set()),
        ("hsa-let-7c-5p", "feature", ["hsa-let-7a-5p/7c-5p", "hsa-let-7c-3p"], {"hsa-let-7a-5p/7c-5p"}),
        ("hsa-miR-107", "feature", ["hsa-miR-103a-3p/107", "hsa-miR-103a-2-5p"], {"hsa-miR-103a-3p/107"}),
        ("hsa-miR-21", "stem-loop", ["miR-21-5p", "miR-21-3p", "miR-22-3p"], {"miR-21-5p", "miR-21-3p"}),
        ("hsa-miR-21", "feature", ["hsa-miR-21-5p", "hsa-miR-21-3p"], {"hsa-miR-21-5p"}),
        ("hsa-miR-9-2", "stem-loop", ["hsa-miR-9-5p", "hsa-miR-9-3p"], {"hsa-miR-9-5p", "hsa-miR-9-3p"}),
        ("hsa-let-7c", "stem-loop", ["hsa-let-7a-5p/7c-5p", "hsa-let-7a-3p"], {"hsa-let-7a-5p/7c-5p"}),
        ("hsa-miR-125b", "stem-loop", ["miR-125b-5p", "miR-125b-2-3p"], {"miR-125b-5p", "miR-125b-2-3p"}),
        ("hsa-miR-21-5p", "feature", ["hsa-mir-21", "hsa-mir-22"], {"hsa-mir-21"}),  # an atlas of stem-loops
        ("hsa-miR-9-5p", "feature", ["hsa-mir-9-1", "hsa-mir-9-3"], {"hsa-mir-9-1", "hsa-mir-9-3"}),
        ("hsa-miR-21-3p", "feature", ["hsa-miR-21-5p"], set()),  # the other arm is another miRNA
        ("MIMAT0000076", "feature", ["miR-21-5p", "miR-22-3p"], {"miR-21-5p"}),
        ("hsa-piR-00012", "feature", ["hsa-piR-00012", "hsa-piR-00013"], {"hsa-piR-00012"}),
        ("SNORD1", "stem-loop", ["SNORD1", "SNORD12"], {"SNORD1"}),
        ("TP53", "feature", ["hsa-miR-21-5p"], set()),
    ],
)  # fmt: skip
def test_members_are_found_under_the_names_of_the_atlas(member, per, features, expected):
    assert found(member, features, per) == expected


@pytest.mark.slow
@given(st.lists(st.sampled_from(MATURE), min_size=1, max_size=20, unique=True))
def test_every_mirna_finds_itself_and_its_stem_loop(names):
    table = measured(as_sets({name: [name] for name in names}), names)
    assert set(table.loc[table["member"] == table["feature"], "set"]) == set(names)
    loops = TABLE[TABLE["kind"] == "mature"].set_index("name")["hairpins"].str.split(";")
    table = measured(as_sets({name: loops[name] for name in names}, per="stem-loop"), names)
    held = table.groupby("set")["feature"].agg(set)
    for name in names:  # a stem-loop holds all its arms
        assert held[name] == {other for other in names if set(loops[other]) & set(loops[name])}


def test_two_members_of_one_merged_feature_both_stand_in_the_table():
    table = measured(as_sets({"s": ["hsa-miR-192-5p", "hsa-miR-215-5p"]}), ["hsa-miR-192-5p/215-5p"])
    assert list(table["member"]) == ["hsa-miR-192-5p", "hsa-miR-215-5p"]
    assert set(table["feature"]) == {"hsa-miR-192-5p/215-5p"}


def test_stem_loops_join_arms_and_copies():
    loops = stem_loops(("hsa-miR-21-5p", "hsa-miR-21-3p", "hsa-let-7a-5p/7c-5p", "hsa-let-7a-2-3p", "SNORD1"))
    assert loops["hsa-miR-21-5p"] == loops["hsa-miR-21-3p"] == "hsa-mir-21"
    assert loops["hsa-let-7a-5p/7c-5p"] == loops["hsa-let-7a-2-3p"] == "hsa-let-7a-1/7a-2/7a-3"
    assert loops["SNORD1"] == "SNORD1"
    assert stem_loops(("hsa-mir-21",)) == {"hsa-mir-21": "hsa-mir-21"}


def test_families_and_clusters_need_no_file(monkeypatch):
    monkeypatch.setattr(enrichment, "fetch", lambda name: pytest.fail("nothing is to be fetched"))
    var = pd.DataFrame(index=["hsa-miR-17-5p", "hsa-miR-20a-5p", "hsa-miR-18a-5p", "hsa-let-7a-5p/7c-5p", "SNORD1"])
    table = load_sets(var, enrichment.OF_ATLAS)
    family, cluster = (table[table["collection"] == c] for c in enrichment.OF_ATLAS)
    assert members(family, "mir-17") == {"hsa-miR-17-5p", "hsa-miR-20a-5p", "hsa-miR-18a-5p"}
    assert members(cluster, "mir-17~mir-92a-1") == {"hsa-miR-17-5p", "hsa-miR-20a-5p", "hsa-miR-18a-5p"}
    assert members(cluster, "mir-99a~let-7c") == {"hsa-let-7a-5p/7c-5p"}
    assert "SNORD1" not in set(table["feature"]) and set(table["per"]) == {"stem-loop"}


def test_a_simulated_atlas_keeps_its_own_families():
    var = pd.DataFrame(
        {"family": ["a", "a", None], "cluster": ["x;y", "", None]}, index=["piR-1", "piR-2", "hsa-miR-21-5p"]
    )
    table = load_sets(var, enrichment.OF_ATLAS)
    assert members(table, "a") == {"piR-1", "piR-2"} and members(table, "mir-21") == {"hsa-miR-21-5p"}
    assert members(table, "x") == members(table, "y") == {"piR-1"}


def test_an_atlas_without_any_known_name_has_no_sets():
    table = load_sets(pd.DataFrame(index=["a", "b"]), enrichment.OF_ATLAS)
    assert table.empty and {"collection", "set", "feature"} <= set(table)


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match=r"'families': expected one of family, cluster, .* did you mean 'family'"):
        load_sets(pd.DataFrame(index=["hsa-miR-21-5p"]), ["families"])


# ---- the public files


@pytest.fixture(scope="module")
def annotation(mirror, tmp_path_factory):
    """Files of the annotation, fetched from the mirror."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRNA_DATA_DIR", str(tmp_path_factory.mktemp("annotation")))
        patch.setenv("SRNA_DATA_MIRROR", str(mirror))
        yield registry.fetch("annotation")


def test_tissue_sets_are_those_of_the_source(annotation):
    table = enrichment._tissues(annotation[2])
    assert (len(table), table["set"].nunique()) == (440, 22)
    assert table["set"].value_counts()[["brain", "muscle", "thyroid"]].to_dict() == {
        "brain": 92,
        "muscle": 45,
        "thyroid": 1,
    }
    assert set(table["per"]) == {"feature"} and "lymph node" in set(table["title"])


def test_disease_sets_are_those_of_the_source(annotation):
    table = enrichment._diseases(annotation[3])
    assert (len(table), table["member"].nunique(), table["set"].nunique()) == (5618, 574, 243)
    assert (table["set"] == "MIM114480").sum() == 266 and set(table["per"]) == {"stem-loop"}


def test_the_larger_diseases_have_a_title(annotation):
    table = enrichment._diseases(annotation[3])
    titles = table.drop_duplicates("set").set_index("set")["title"]
    assert titles["MIM114480"] == "breast cancer" and titles["MIM181500"] == "schizophrenia"
    named = pd.read_csv(Path(srna_lib.__file__).parent / "resources" / "disease_names.tsv", sep="\t", comment="#")
    assert set(named["disease"]) <= set(titles.index) and not named.duplicated("disease").any()
    assert not named.duplicated("title").any() and (titles[named["disease"]] == named["title"].to_numpy()).all()
    assert (table["title"] != "").mean() > 0.8


def test_few_names_of_the_diseases_are_lost(annotation):
    """Against every mature miRNA, only names that miRBase has withdrawn or that never were names find nothing."""
    table = enrichment._diseases(annotation[3])
    lost = table[~table["member"].isin(measured(table, MATURE)["member"])]
    assert set(lost["member"]) == {
        "hsa-miR-1280", "hsa-miR-720", "hsa-miR-189", "hsa-miR-124a-2", "hsa-miR-124a-3", "hsa-miR-192-2",
    }  # fmt: skip
    assert len(lost) == 11


def test_families_are_those_of_mirbase(annotation):
    """The families of the names' table, read afresh from miFam.dat."""
    family: dict[str, str] = {}
    for block in annotation[1].read_text(encoding="latin-1").split("//"):
        (name,) = re.findall(r"^ID\s+(\S+)", block, re.MULTILINE) or [""]
        family |= dict.fromkeys(re.findall(r"^MI\s+(MI\d+)\s+hsa-", block, re.MULTILINE), name)
    loops = TABLE[(TABLE["kind"] == "stem-loop") & TABLE["accession"].isin(family)]
    assert len(loops) > 500
    assert (loops["family"] == loops["accession"].map(family)).all()


def test_clusters_are_those_of_the_loci(annotation):
    """Two neighbours on a strand are of one cluster exactly where less than 10,000 bases lie between them."""
    loci = defaultdict(list)
    for line in annotation[0].read_text().splitlines():
        fields = line.split("\t")
        if len(fields) == 9 and fields[2] == "miRNA_primary_transcript":
            name = re.search(r"Name=([^;]+)", fields[8])
            loci[fields[0], fields[6]].append((int(fields[3]), int(fields[4]), name[1]))
    cluster = TABLE[TABLE["kind"] == "stem-loop"].set_index("name")["cluster"]
    gaps = []
    for places in loci.values():
        places.sort()
        for (_, end, left), (start, _, right) in pairwise(places):
            same = bool(cluster[left]) and cluster[left] == cluster[right]
            assert same == (start - end < 10_000), (left, right, start - end)
            gaps.append(start - end)
    assert sum(g < 10_000 for g in gaps) > 200
    assert 10_000 not in gaps  # so "at most 10,000" gives the same clusters


def test_the_sets_of_a_real_atlas(annotation, mirome):
    """Every collection in the names of the cellular microRNAome; nearly all pairs of the sources are measured."""
    table = load_sets(mirome.var)
    assert set(table["feature"]) <= set(mirome.var_names)
    sizes = table.groupby("collection")["set"].nunique()
    assert sizes["tissue"] == 22 and sizes["disease"] == 243 and sizes["family"] > 1000 and 90 < sizes["cluster"] < 100
    assert set(table.loc[table["collection"] == "family", "feature"]) == set(mirome.var_names)
    pairs = table.drop_duplicates(["collection", "set", "member"])["collection"].value_counts()
    assert pairs["tissue"] > 0.9 * 440 and pairs["disease"] > 0.98 * 5618
    assert "hsa-miR-133a-3p/133b" in members(table, "muscle") and "hsa-miR-122-5p" in members(table, "liver")


def test_tissue_sets_meet_an_atlas_of_stem_loops(annotation):
    """Mature miRNAs stand for their stem-loops where nothing else is measured, as in TCGA."""
    loops = list(TABLE.loc[(TABLE["kind"] == "stem-loop") & (TABLE["release"] == "21"), "name"])
    table = measured(enrichment._tissues(annotation[2]), loops)
    assert table["member"].nunique() > 0.95 * 257
    assert {"hsa-mir-133a-1", "hsa-mir-133a-2"} <= members(table, "muscle")
