"""The open atlas: no sample twice, one id per study, labels and names in one vocabulary, counts conserved."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from test_tcga import MEASURE

from srna_lib.data import tissue_table
from srna_lib.data.atlas import check_atlas
from srna_lib.data.features import harmonise
from srna_lib.datasets import public, registry
from srna_lib.errors import InputError

COLLECTIONS = {"mirome": 2077, "micrornaome": 622, "tissue_atlas2": 185}
SAME_LIBRARY = 0.999  # correlation of log counts; replicates of different libraries stay below, see the test


@pytest.fixture(scope="module")
def atlas(real):
    return real("open_atlas")


@pytest.fixture(scope="module")
def overlap(atlas):
    return atlas.uns["srna"]["overlap"]


def log_cpm(adata) -> np.ndarray:
    """Standardised so that products are correlations."""
    values = adata.X.toarray()
    values = np.log2(1e6 * values / np.maximum(values.sum(axis=1, keepdims=True), 1) + 1)
    values -= values.mean(axis=1, keepdims=True)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)


def metadata(rows: dict[str, tuple]) -> pd.DataFrame:
    """Rows of run, sample accession and study."""
    return pd.DataFrame.from_dict(rows, orient="index", columns=["run", "sample_accession", "dataset_id"], dtype=object)


KEPT = metadata(
    {"S1": ("R1", "S1", "P1"), "S2": ("R2", "S2", "P1"), "S3": ("R3", "S3", "P2"), "S4": (np.nan, "S4", "P2")}
)
OTHER = metadata({
    "R2": ("R2", np.nan, "m-1"), "R1": ("R1", np.nan, "m-1"), "S3": (np.nan, "S3", "m-1"), "S4": (np.nan, "S4", "m-2"),
    "R9": ("R9", np.nan, "m-1"), "S9": (np.nan, "S9", "m-3"),
})  # fmt: skip


def test_shared_samples_are_found_by_run_and_by_sample():
    table = public.shared_samples(KEPT, OTHER).set_index("removed")
    assert table["sample_id"].to_dict() == {"R2": "S2", "R1": "S1", "S3": "S3", "S4": "S4"}
    assert table["by"].tolist() == ["run", "run", "sample", "sample"]
    assert table["removed_dataset_id"].tolist() == ["m-1", "m-1", "m-1", "m-2"]


def test_missing_accessions_are_not_equal():
    nothing = metadata({"a": (np.nan, np.nan, "x")})
    assert public.shared_samples(KEPT, nothing).empty and public.shared_samples(nothing, OTHER).empty


def test_a_sample_that_both_accessions_name_counts_once():
    table = public.shared_samples(KEPT, metadata({"x": ("R1", "S1", "m-1")}))
    assert table[["sample_id", "by"]].to_numpy().tolist() == [["S1", "run"]]


def test_the_majority_decides_the_study():
    table = public.unified_studies(public.shared_samples(KEPT, OTHER)).set_index("source_dataset_id")
    assert table.loc[["m-1", "m-2"], "dataset_id"].tolist() == ["P1", "P2"] and "m-3" not in table.index
    assert table.loc["m-1", "shared"] == 3 and table.loc["m-1", "agree"] == pytest.approx(2 / 3)


def test_equal_votes_go_to_the_first_accession():
    votes = pd.DataFrame({"removed_dataset_id": ["m", "m"], "dataset_id": ["P2", "P1"]})
    assert public.unified_studies(votes)["dataset_id"].iloc[0] == "P1"


def test_counts_to_the_sample(atlas):
    check_atlas(atlas)
    assert atlas.obs["collection"].value_counts().to_dict() == COLLECTIONS
    assert atlas.shape == (sum(COLLECTIONS.values()), registry.entry("open_atlas")["features"])
    assert atlas.n_obs == registry.entry("open_atlas")["samples"]


def test_no_run_and_no_sample_occurs_twice(atlas):
    for column in ("run", "sample_accession"):
        known = atlas.obs[column].dropna()
        assert known.is_unique and len(known) > 2000, column
    assert not set(atlas.obs["run"].dropna()) & set(atlas.obs["sample_accession"].dropna())


def test_690_samples_are_shared(overlap, real):
    assert overlap["by"].value_counts().to_dict() == {"run": 404, "sample": 286}
    assert overlap["sample_id"].is_unique and overlap["removed"].is_unique
    mirome, other = real("mirome").obs, real("micrornaome").obs
    left = other.drop(index=overlap["removed"])
    assert len(left) == COLLECTIONS["micrornaome"]
    assert not left["run"].isin(set(mirome["run"])).any() and not left.index.isin(mirome.index).any()


def test_shared_samples_are_the_same_libraries(overlap, real):
    """Accessions say so; the counts of the two pipelines agree: of all samples, the twin is the most similar one."""
    mirome, other = real("mirome"), real("micrornaome")
    same, _ = harmonise(other, mirome)
    correlation = log_cpm(same) @ log_cpm(mirome[:, same.var_names]).T
    rows, twins = other.obs_names.get_indexer(overlap["removed"]), mirome.obs_names.get_indexer(overlap["sample_id"])
    assert (correlation[rows].argmax(axis=1) == twins).all()


def test_studies_are_what_the_data_say(atlas, overlap):
    """Every study of shared samples is on one id, which is that of all its shared samples."""
    pairs = overlap[["removed_dataset_id", "dataset_id"]].drop_duplicates()
    assert pairs["removed_dataset_id"].is_unique, "a study that shares samples with two"
    assert pairs["dataset_id"].nunique() == 21
    said = atlas.uns["srna"]["studies"].set_index("source_dataset_id")["dataset_id"]
    unified = pairs.set_index("removed_dataset_id")["dataset_id"].replace(public.RESUBMITTED)
    assert said[unified.index].to_dict() == unified.to_dict()
    by_source = atlas.obs.groupby("source_dataset_id")["dataset_id"].nunique()
    assert (by_source == 1).all()
    assert not set(said.index) & set(atlas.obs["dataset_id"]), "a study under its old id"


@pytest.mark.parametrize(
    ("study", "old", "added"), [("SRP110505", "micrornaome-89", 186), ("DRP001151", "micrornaome-90", 48)]
)
def test_the_two_large_studies_are_one_each(atlas, real, study, old, added):
    obs = atlas.obs[atlas.obs["dataset_id"] == study]
    assert obs["collection"].value_counts()["micrornaome"] == added
    assert set(obs.loc[obs["collection"] == "micrornaome", "source_dataset_id"]) == {old}
    assert (obs["collection"] == "mirome").sum() == (real("mirome").obs["dataset_id"] == study).sum()


def test_no_library_is_in_two_studies(atlas):
    """Resubmitted libraries share no accession; their profiles agree where replicates never do."""
    values = log_cpm(atlas)
    i, j = np.nonzero(np.triu(values @ values.T, 1) > SAME_LIBRARY)
    studies, sources = (atlas.obs[c].to_numpy() for c in ("dataset_id", "source_dataset_id"))
    assert (studies[i] == studies[j]).all()
    across = {tuple(sorted((sources[a], sources[b]))) for a, b in zip(i, j, strict=True) if sources[a] != sources[b]}
    assert across == {tuple(sorted(pair)) for pair in public.RESUBMITTED.items()}


def test_labels(atlas):
    obs = atlas.obs
    assert (obs["tissue_group"].notna() | obs["label_reason"].notna()).mean() >= 0.98
    assert obs["tissue_group"].notna().mean() >= 0.95
    assert obs["source_label"].notna().all()
    labels = obs.drop_duplicates(["collection", "source_label"])
    assert labels["tissue_ontology_term_id"].notna().mean() >= 0.95
    assert obs["tissue_ontology_term_id"].notna().mean() >= 0.95
    cells = obs[obs["collection"] == "mirome"]
    assert (cells["lineage"].notna() | cells["label_reason"].notna()).all() and cells["cell_class"].notna().all()
    pairs = set(obs[["tissue_group", "tissue_top"]].dropna().itertuples(index=False, name=None))
    assert pairs <= set(tissue_table()[["tissue_group", "tissue_top"]].itertuples(index=False, name=None))
    lines = obs[obs["tissue_group"].isna()]
    assert lines["label_reason"].str.contains("group: ").all()
    assert obs["is_cell_line"].dtype == obs["in_vitro_derived"].dtype == bool


def test_donors_and_flags(atlas, real, overlap):
    obs = atlas.obs
    assert obs.groupby("collection")["donor_id"].nunique().to_dict() == {
        "micrornaome": 0, "mirome": 0, "tissue_atlas2": 6,
    }  # fmt: skip
    flagged = real("micrornaome").obs["flagged"]
    assert obs["flagged"].sum() == flagged.sum() == 279
    twins = overlap.set_index("removed")["sample_id"]
    names = [twins.get(name, name) for name in flagged.index[flagged]]
    assert set(obs.index[obs["flagged"]]) == set(names)


def test_mirome_counts_are_untouched(atlas, real):
    mirome = real("mirome")
    same = atlas[atlas.obs["collection"] == "mirome"]
    assert list(same.obs_names) == list(mirome.obs_names)
    assert (same.X != mirome[:, atlas.var_names].X).nnz == 0


def test_mirome_alone_keeps_its_classes_and_has_the_labels_of_the_atlas(atlas, real):
    obs = real("mirome").obs
    assert (obs["tissue_group"] == obs["cell_class"]).all()
    same = atlas.obs.loc[obs.index]
    for column in ("tissue", "tissue_top", "tissue_ontology_term_id", "lineage", "in_vitro_derived", "is_cell_line"):
        pd.testing.assert_series_equal(obs[column], same[column])
    pd.testing.assert_series_equal(obs["ontology_group"], same["tissue_group"], check_names=False)


@pytest.mark.parametrize("name", ["micrornaome", "tissue_atlas2"])
def test_counts_are_conserved(real, name):
    """What a sample loses stands in its share, and the report names the features."""
    whole = real("open_atlas", common_features=False)
    part, source = whole[whole.obs["collection"] == name], real(name)
    source = source[part.obs_names]
    before, after = (np.asarray(a.X.sum(axis=1)).ravel() for a in (source, part))
    np.testing.assert_allclose(1 - after / before, part.obs["reads_unmapped_share"], atol=1e-12)
    report = whole.uns["srna"]["harmonised"].query("collection == @name")
    assert sorted(report["source"]) == sorted(source.var_names)
    np.testing.assert_allclose(report.loc[report["how"] != "unknown", "reads"].sum(), after.sum())
    np.testing.assert_allclose(report["reads"].sum(), before.sum())
    assert (report["how"] != "unknown").mean() >= 0.97 and part.obs["reads_unmapped_share"].mean() < 0.01


def test_common_features_hide_the_collection(real, atlas):
    whole = real("open_atlas", common_features=False)
    assert list(whole.var_names) == list(real("mirome").var_names)
    assert list(whole.var_names[whole.var["common"]]) == list(atlas.var_names) and atlas.var["common"].all()
    missing = whole.uns["srna"]["not_measured"]
    assert set(missing["srna"]) == set(whole.var_names) - set(atlas.var_names)
    for name, rows in missing.groupby("collection"):
        assert whole[whole.obs["collection"] == name, rows["srna"].tolist()].X.nnz == 0
    assert (atlas.obs["reads_unmapped_share"] >= whole.obs["reads_unmapped_share"] - 1e-12).all()
    assert atlas.obs["reads_unmapped_share"].mean() < 0.005
    assert atlas.obs["reads_unmapped_share"].between(0, 1).all()


def test_parsing_is_deterministic(atlas, mirror):
    files = [mirror / f["repository"] / f["commit"] / f["path"] for f in registry.entry("open_atlas")["files"]]
    again = public.read_open_atlas(*files, info={"name": "open_atlas"})
    assert (again.X != atlas.X).nnz == 0
    pd.testing.assert_frame_equal(again.obs, atlas.obs)
    pd.testing.assert_frame_equal(again.var, atlas.var)
    for table in ("overlap", "studies", "harmonised"):
        pd.testing.assert_frame_equal(again.uns["srna"][table], atlas.uns["srna"][table], check_dtype=False)


def test_second_load_is_quick_and_small(atlas, real, mirror, monkeypatch):
    monkeypatch.setenv("SRNA_DATA_DIR", str(real.folder))
    monkeypatch.setenv("SRNA_DATA_MIRROR", str(mirror))
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        registry.load("open_atlas")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 2


def test_memory_of_a_first_load(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("SRNA_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SRNA_DATA_MIRROR", str(mirror))
    run = subprocess.run([sys.executable, "-c", MEASURE, "open_atlas"], check=True, capture_output=True, text=True)
    assert json.loads(run.stdout)[2] < 4 * 1024**3
    assert [p.suffix for p in (tmp_path / "open_atlas").iterdir()] == [".h5ad"], "downloads lie with their data set"
    assert (tmp_path / "mirome").is_dir()


def test_sources_are_those_of_the_parts(atlas):
    entries = registry.registered()
    hashes = [f["sha256"] for part in COLLECTIONS for f in entries[part]["files"]]
    assert atlas.uns["srna"]["sources"]["sha256"].tolist() == hashes


def test_biofluids_join_as_a_fourth_collection_and_change_nothing_else(atlas, real):
    """What trains bundles stays as it is; counts of the fluids are the source's where names are one to one."""
    joined, fluids = real("open_atlas_exrna"), real("exrna")
    assert joined.obs["collection"].value_counts().to_dict() == {**COLLECTIONS, "exrna": fluids.n_obs}
    entry = registry.entry("open_atlas_exrna")
    assert joined.shape == (entry["samples"], entry["features"]) == (atlas.n_obs + 740, joined.n_vars)
    same = joined[atlas.obs_names]
    pd.testing.assert_frame_equal(same.obs.drop(columns="reads_unmapped_share"), atlas.obs[same.obs.columns[:-1]])
    assert (same.X != atlas[:, same.var_names].X).nnz == 0
    new = joined[joined.obs["collection"] == "exrna"]
    assert set(new.obs["sample_type"]) == set(new.obs["lineage"]) == {"biofluid"}
    assert new.obs["source_label"].value_counts().to_dict() == {"plasma": 396, "urine": 203, "serum": 96, "saliva": 45}
    assert set(new.obs.loc[new.obs["tissue_group"].isna(), "tissue"]) == {"urine", "saliva"}
    assert (new[:, "hsa-miR-451a"].X != fluids[new.obs_names, "hsa-miR-451a"].X).nnz == 0
    assert new.obs["reads_unmapped_share"].max() < 0.01


def test_collections_without_a_shared_sample_are_refused(real, info, monkeypatch):
    mirome, other = real("mirome").copy(), real("micrornaome").copy()
    other.obs["run"] = "R" + other.obs["run"].astype(str)
    other.obs["sample_accession"] = np.nan
    monkeypatch.setattr(public, "read_mirome", lambda path, info: mirome)
    monkeypatch.setattr(public, "read_micrornaome", lambda path, info: other)
    monkeypatch.setattr(public, "read_tissue_atlas2", lambda path, info: real("tissue_atlas2").copy())
    with pytest.raises(InputError, match=r"m\.rda: no run or sample is also in c\.rda; expected some of both"):
        public.read_open_atlas("c.rda", "m.rda", "t.csv", info=info)
