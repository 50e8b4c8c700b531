"""The table of labels: complete for the data, true to the ontologies, and what the look-ups make of it."""

from __future__ import annotations

import importlib.util
import json
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from srna_lib.data import tissues
from srna_lib.datasets import registry
from srna_lib.errors import InputError

ROOT = Path(__file__).parent.parent
TABLE = tissues.tissue_table()
NO_GUIDE = (
    "ONTOLOGY NOT TESTED: install cellxgene-ontology-guide (dependency group dev) to hold"
    " srna_lib/resources/tissues.tsv against UBERON, CL and Cellosaurus"
)


@pytest.fixture(scope="module")
def script():
    """The script that writes the table, as a module."""
    spec = importlib.util.spec_from_file_location("make_tissue_table", ROOT / "scripts" / "make_tissue_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def parser():
    """The ontologies themselves, or a skip that says what was not tested."""
    guide = pytest.importorskip("cellxgene_ontology_guide.ontology_parser", reason=NO_GUIDE)
    return guide.OntologyParser()


@pytest.fixture(scope="module")
def collections(mirror, mirome, tmp_path_factory):
    """Metadata of the parts of the open atlas, each with its source's label in ``label``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRNA_DATA_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SRNA_DATA_MIRROR", str(mirror))
        found = {name: registry.load(name).obs.copy() for name in ("micrornaome", "tissue_atlas2")}
    found["mirome"] = mirome.obs.assign(label=mirome.obs["cell_type"])
    found["micrornaome"]["label"] = found["micrornaome"]["cell_tissue"]
    organs = found["tissue_atlas2"]
    organs["label"] = organs["tissue"].astype(str) + "__" + organs["subregion"].astype(str)
    return found


# the table and the ontologies


def test_every_term_is_valid_and_has_the_ontologys_own_name(parser):
    terms = TABLE.dropna(subset=["ontology_id"])
    assert len(terms) > 450
    for term, name in set(zip(terms["ontology_id"], terms["ontology_name"], strict=True)):
        assert not parser.is_term_deprecated(term), f"{term} {name} is obsolete: {parser.get_term_replacement(term)}"
        assert parser.get_term_label(term) == name, term


def test_every_root_is_an_ancestor(parser, script):
    for level, known in (("group", script.ROOTS), ("lineage", script.LINEAGES)):
        column = "tissue_group" if level == "group" else "lineage"
        rows = TABLE.dropna(subset=[f"{level}_root"])
        assert len(rows) > 150
        for row in rows.itertuples():
            root = getattr(row, f"{level}_root")
            assert root in parser.get_term_ancestors(row.ontology_id, include_self=True), (row.label, root)
            assert root in known[getattr(row, column)]


def test_a_lineage_against_the_ontology_has_a_note(parser, script):
    for row in TABLE.dropna(subset=["ontology_id"]).itertuples():
        above = set(parser.get_term_ancestors(row.ontology_id, include_self=True))
        derived = [lineage for lineage, roots in script.LINEAGES.items() if above & set(roots)]
        if derived != [row.lineage] and isinstance(row.lineage, str):
            assert isinstance(row.note, str), (row.label, row.lineage, derived)


def test_roots_are_valid(parser, script):
    roots = [r for known in (script.ROOTS, script.LINEAGES) for group in known.values() for r in group]
    assert not [r for r in roots if parser.is_term_deprecated(r)]


def test_the_committed_table_is_what_the_script_writes(parser, script, tmp_path):
    built = script.build(script.read_curated(), parser)
    built.to_csv(tmp_path / "t.tsv", sep="\t", index=False, lineterminator="\n")
    committed = (ROOT / "srna_lib/resources/tissues.tsv").read_bytes()
    assert (tmp_path / "t.tsv").read_bytes() == committed, "run scripts/make_tissue_table.py"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ontology_id": "CL:0000002"}, "obsolete"),
        ({"ontology_id": ""}, "no term and no reason"),
        ({"ontology_id": "CL:0000148"}, "under none of the terms of 'blood'"),
        ({"ontology_id": "CL:0000148", "note": "so"}, "no lineage and no reason"),
        ({"ontology_id": "CL:2000043", "note": "so"}, "several lineages"),
        ({"ontology_id": "CL:2000043", "tissue_group": "brain", "lineage": "mesenchymal"}, "needs a note"),
        ({"lineage": "blood cell"}, "follows from the term"),
        ({"lineage": "blod"}, "unknown lineage"),
        ({"tissue_group": "heart"}, "unknown group"),
        ({"tissue_group": "-"}, "group is ''"),
        ({"lineage": "-"}, "no lineage and no reason"),
        ({"reason": "lineage: mixed"}, "lineage is 'blood cell'"),
        ({"reason": "group: mixed"}, "group is 'blood'"),
    ],
)
def test_the_script_refuses(parser, script, change, complaint):
    curated = script.read_curated()
    monocyte = curated[curated["label"] == "CD14_cell"]
    assert script.build(monocyte, parser)["lineage"].tolist() == ["blood cell"]
    with pytest.raises(SystemExit, match=complaint):
        script.build(monocyte.assign(**change), parser)


def test_the_script_refuses_a_label_twice(script, tmp_path):
    curated = script.read_curated()
    pd.concat([curated, curated.iloc[:1]]).to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    with pytest.raises(SystemExit, match="twice"):
        script.read_curated(tmp_path / "t.tsv")


# the table and itself


def test_labels_are_unique_within_a_source():
    assert not TABLE.duplicated(["source", "label"]).any()
    assert TABLE[["source", "label", "tissue"]].notna().all(axis=None)


def test_every_empty_level_has_a_reason_and_no_other():
    for level, column in (("group", "tissue_group"), ("lineage", "lineage"), ("ontology", "ontology_id")):
        stated = TABLE["reason"].fillna("").str.contains(rf"(?:^|; ){level}: \w")
        assert (stated == TABLE[column].isna()).all(), level
    assert (TABLE["tissue_top"].isna() == TABLE["tissue_group"].isna()).all()


def test_terms_come_from_the_right_ontology():
    prefix = TABLE["ontology_id"].dropna().str.extract(r"^(UBERON:\d{7}|CL:\d{7}|CVCL_[0-9A-Z]{4})$")[0]
    assert prefix.notna().all()
    lines = TABLE["ontology_id"].fillna("").str.startswith("CVCL_")
    assert TABLE.loc[lines, "is_cell_line"].all()
    empty = TABLE["tissue_group"].isna() & TABLE["is_cell_line"]
    assert TABLE.loc[empty, "reason"].str.startswith("group: cell line").all()


def test_one_term_has_one_lineage_and_one_group():
    terms = TABLE.dropna(subset=["ontology_id", "tissue_group"])
    assert (terms.groupby("ontology_id")["tissue_group"].nunique() == 1).all()
    curated = terms.groupby("ontology_id")["lineage"].nunique()
    assert (curated <= 1).all()


def test_stem_cells_stand_where_they_came_to():
    def look(label: str) -> tuple:
        return tuple(TABLE.set_index(["source", "label"]).loc[("mirome", label), ["lineage", "in_vitro_derived"]])

    assert look("Hepatocyte_derived") == ("epithelial", True)
    assert look("Ventral_midbrain_derived") == ("neural", True)
    assert look("Cardiomyocyte_derived") == ("striated muscle", True)
    assert look("Erythroblast_derived") == ("blood cell", True)
    assert look("iPSC_skin") == look("Embryonic_stem_cell") == ("pluripotent", False)
    assert look("Mesenchymal_stem_cell_derived_liver") == ("mesenchymal", False)  # taken from liver, not made from it
    assert look("Smooth_muscle_cell_aorta") == look("Fibroblast_lung") == ("mesenchymal", False)
    assert look("Myotube") == ("striated muscle", False)


# the table and the data


def test_mirome_has_a_lineage_or_a_reason_for_each_of_its_cell_types(mirome):
    known = TABLE[TABLE["source"] == "mirome"]
    assert set(known["label"]) == set(mirome.obs["cell_type"].dropna()) and len(known) == 201
    without = known[known["lineage"].isna()]
    assert len(without) < 15 and without["reason"].str.contains("lineage: ").all()
    annotated = tissues.annotate_labels(mirome.obs, "mirome", "cell_type", strict=True)
    assert annotated["lineage"].notna().mean() > 0.98
    sizes = annotated.groupby("lineage")["dataset_id"].agg(["size", "nunique"])
    assert len(sizes) == 9 and (sizes["size"] >= 15).all() and (sizes["nunique"] >= 3).all()


def test_every_label_of_every_set_is_in_the_table(collections, mirror):
    for name, obs in collections.items():
        labels = set(obs["label"].astype(str))
        if name == "tissue_atlas2":
            labels |= set(obs["tissue"].astype(str))
            assert obs["tissue"].nunique() == 34
        assert labels == set(TABLE.loc[TABLE["source"] == name, "label"])
    cohorts = {p.name.split(".")[0] for p in mirror.rglob("*.miRNASeq.rda")}
    assert cohorts == set(TABLE.loc[TABLE["source"] == "tcga", "label"]) and len(cohorts) == 33
    registered = json.loads(resources.files("srna_lib").joinpath("resources/datasets.json").read_text("utf-8"))
    real = {n for n in registry.names() if not registered[n]["simulated"] and "parts" not in registered[n]}
    assert set(TABLE["source"]) == real - {"protocols"}, "a synthetic pool is of no tissue"


def test_the_open_atlas_is_labelled(collections):
    mirome, other = collections["mirome"], collections["micrornaome"]
    shared = other["run"].isin(mirome["run"]) | other["sample_accession"].isin(mirome.index)
    collections = {**collections, "micrornaome": other[~shared]}
    parts = [tissues.annotate_labels(obs, name, "label", strict=True) for name, obs in collections.items()]
    samples = pd.concat([p[["tissue_group", "label_reason"]] for p in parts])
    assert len(samples) == 2077 + 622 + 185
    stated = samples["label_reason"].fillna("").str.contains(r"group: (?:cell line|mixed|exosome)")
    assert (samples["tissue_group"].notna() | stated).mean() >= 0.98
    assert samples["tissue_group"].notna().mean() > 0.93
    used = pd.concat([TABLE[(TABLE["source"] == n) & TABLE["label"].isin(o["label"])] for n, o in collections.items()])
    assert used["ontology_id"].notna().mean() >= 0.95 and TABLE["ontology_id"].notna().mean() >= 0.95


# look-ups


@pytest.fixture
def samples() -> pd.DataFrame:
    return pd.DataFrame({"what": ["hela", "liver", np.nan, "liver"], "kept": range(4)}, index=list("abcd"))


def test_annotate_adds_every_level(samples):
    before = samples.copy()
    found = tissues.annotate_labels(samples, "micrornaome", "what")
    pd.testing.assert_frame_equal(samples, before)
    assert list(found.index) == list("abcd") and found["kept"].tolist() == [0, 1, 2, 3]
    assert found["tissue"].iloc[[0, 1, 3]].tolist() == ["HeLa", "liver", "liver"]
    assert found["tissue_ontology_term_id"].iloc[:2].tolist() == ["CVCL_0030", "UBERON:0002107"]
    assert found["tissue_group"].isna().tolist() == [True, False, True, False]
    assert found["is_cell_line"].iloc[[0, 1]].tolist() == [True, False]
    assert found.loc["c", list(tissues.ANNOTATED)].isna().all()
    assert "cell line" in found["label_reason"].iloc[0]
    assert found.attrs["unknown_labels"] == []


def test_flags_are_bool_when_all_labels_are_known(samples):
    found = tissues.annotate_labels(samples.dropna(), "micrornaome", "what")
    assert found["is_cell_line"].dtype == bool and found["in_vitro_derived"].dtype == bool


def test_annotate_takes_categories_and_replaces_columns(samples):
    samples["tissue"] = pd.Categorical(samples["what"])
    found = tissues.annotate_labels(samples, "micrornaome", "tissue")
    assert found["tissue"].iloc[0] == "HeLa" and found["what"].iloc[0] == "hela"


def test_unknown_labels_are_listed_or_refused(samples):
    samples.loc["a", "what"] = "livr"
    found = tissues.annotate_labels(samples, "micrornaome", "what")
    assert found.attrs["unknown_labels"] == ["livr"] and found.loc["a", list(tissues.ANNOTATED)].isna().all()
    with pytest.raises(InputError, match=r"1 labels .* 'livr', close to 'liver'.*161 known"):
        tissues.annotate_labels(samples, "micrornaome", "what", strict=True)


def test_annotate_refuses_what_it_does_not_know(samples):
    with pytest.raises(InputError, match=r"unknown source of labels 'gtex': expected one of exrna, fetal_lung"):
        tissues.annotate_labels(samples, "gtex", "what")
    with pytest.raises(InputError, match=r"obs\['cell'\] is missing \(found: what, kept\)"):
        tissues.annotate_labels(samples, "mirome", "cell")


def test_hierarchy():
    pairs = TABLE[["tissue_group", "tissue_top"]].dropna().drop_duplicates()
    assert pairs["tissue_group"].is_unique  # every group has one level above it
    assert {"liver", "blood", "brain"} <= set(pairs["tissue_group"])


def test_hierarchy_agrees_with_the_simulated_atlas():
    simulated = json.loads(resources.files("srna_lib").joinpath("resources/simulate.json").read_text("utf-8"))["groups"]
    tops = TABLE.dropna(subset="tissue_group").drop_duplicates("tissue_group").set_index("tissue_group")["tissue_top"]
    for group, described in simulated.items():
        assert tops[group] == described["top"], group


def test_terms_of_classes_are_current_and_say_what_the_classes_are(parser):
    said = {
        "biofluid": "bodily fluid", "blood cell": "hematopoietic cell", "endothelial": "endothelial cell",
        "epithelial": "epithelial cell", "germline": "germ line cell", "mesenchymal": "connective tissue cell",
        "neural": "neural cell", "pluripotent": "pluripotent stem cell", "striated muscle": "striated muscle cell",
    }  # fmt: skip
    assert {name: parser.get_term_label(term) for name, term in tissues.TERMS["lineage"].items()} == said
    for terms in tissues.TERMS.values():
        assert not any(parser.is_term_deprecated(term) for term in terms.values())
    assert set(tissues.TERMS["tissue_group"]) == set(TABLE["tissue_group"].dropna())
