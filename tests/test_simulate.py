"""simulate.py and catalogue.py: the embedded atlas keeps its contract, its truth and its habits."""

from __future__ import annotations

import functools
import os
import runpy
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from srna_lib.data.atlas import BIOTYPES, check_atlas, counts_frame
from srna_lib.data.task import Task, add_age_intervals, make_task, permute
from srna_lib.datasets.simulated import catalogue, read_profile, settings, simulate_atlas
from srna_lib.errors import InputError
from srna_lib.evaluate.comparison import compare
from srna_lib.evaluate.crossval import cross_validate
from srna_lib.models.preprocess import feature_names
from srna_lib.models.recipes import recipe

ROOT = Path(__file__).resolve().parent.parent
PERSONAL = ("sex", "age_2")  # what is predicted about a person, as in the paper

pytestmark = pytest.mark.slow


@functools.cache
def with_intervals(seed: int) -> ad.AnnData:
    """The whole simulated atlas with the paper's age intervals."""
    return add_age_intervals(simulate_atlas(seed=seed))


def predict(task: Task, scheme: str, seed: int) -> pd.DataFrame:
    """Out-of-fold predictions of the linear baseline in five folds."""
    return cross_validate(task, "logistic", scheme, n_splits=5, seed=seed, progress=False)


@pytest.fixture(scope="module")
def atlas() -> ad.AnnData:
    return simulate_atlas(seed=0)


@pytest.fixture(scope="module")
def small() -> ad.AnnData:
    return simulate_atlas(n_samples=240, n_studies=20, seed=3)


def test_shape_counts_and_depth(atlas: ad.AnnData) -> None:
    assert atlas.n_obs == 1200
    assert atlas.obs["dataset_id"].nunique() == 60
    assert check_atlas(atlas) is atlas
    assert atlas.uns["srna"]["simulated"] is True
    depth = np.asarray(atlas.X.sum(axis=1)).ravel()
    limits = settings()["sample"]
    assert depth.min() >= limits["depth_low"]
    assert depth.max() <= limits["depth_high"]
    assert depth.max() / depth.min() > 20


def test_equal_seeds_give_equal_atlases_and_others_do_not(small: ad.AnnData) -> None:
    again = simulate_atlas(n_samples=240, n_studies=20, seed=3)
    other = simulate_atlas(n_samples=240, n_studies=20, seed=4)
    assert (small.X != again.X).nnz == 0
    pd.testing.assert_frame_equal(small.obs, again.obs)
    assert (small.X != other.X).nnz > 0
    assert list(small.var_names) == list(other.var_names)
    pd.testing.assert_frame_equal(small.uns["srna"]["truth"], other.uns["srna"]["truth"])


def test_biotypes_and_names(atlas: ad.AnnData) -> None:
    n = atlas.var["biotype"].value_counts()
    assert set(n.index) == set(BIOTYPES)
    assert n["miRNA"] == len(read_profile())
    assert 550 <= n[["piRNA", "snoRNA", "snRNA", "tRF", "other"]].sum() <= 650
    assert n["contaminant"] == 200
    assert set(read_profile().index) <= set(atlas.var_names)
    assert atlas.var["family"].notna().all()
    reads = counts_frame(atlas).sum()
    share = reads.groupby(atlas.var["biotype"].to_numpy()).sum() / reads.sum()
    assert share["miRNA"] == share.max()
    assert share["contaminant"] < 0.1


def test_studies_hold_groups_as_real_collections_do(atlas: ad.AnnData) -> None:
    obs = atlas.obs[atlas.obs["tissue_group"].notna()].astype({"tissue_group": str})
    groups = obs.groupby("tissue_group")
    assert set(groups.groups) == set(settings()["groups"])
    assert (groups["dataset_id"].nunique() >= 3).all()
    sizes = groups.size()
    assert 30 <= sizes.min() <= 60
    assert sizes.max() > 4 * sizes.min()
    assert (obs.groupby("dataset_id")["tissue_group"].nunique() == 2).any()
    assert obs.groupby("dataset_id").size().min() <= 6
    assert (groups["tissue_top"].nunique() == 1).all()
    tissues = obs.dropna(subset="tissue").groupby("tissue")
    assert (tissues["tissue_group"].nunique() == 1).all()
    assert 16 <= len(tissues) <= 20


def test_small_atlas_keeps_every_group(small: ad.AnnData) -> None:
    groups = small.obs.dropna(subset="tissue_group").groupby("tissue_group", observed=True)
    assert len(groups) == len(settings()["groups"])
    assert (groups.size() >= 15).all()
    assert (groups["dataset_id"].nunique() >= 2).all()


@pytest.mark.parametrize("seed", range(5))
def test_every_group_is_in_enough_studies_whatever_the_seed(seed: int) -> None:
    for n_samples, n_studies, least in ((240, 20, 2), (600, 40, 3)):
        obs = simulate_atlas(n_samples=n_samples, n_studies=n_studies, seed=seed).obs
        groups = obs.dropna(subset="tissue_group").groupby("tissue_group", observed=True)
        assert groups["dataset_id"].nunique().min() >= least
        assert groups.size().min() >= 15
        assert obs["dataset_id"].nunique() == n_studies


def test_metadata_is_incomplete_as_in_the_paper(atlas: ad.AnnData) -> None:
    obs, known = atlas.obs, settings()["known"]
    assert obs["is_cell_line"].mean() == pytest.approx(known["cell_line"], abs=0.05)
    assert obs["sex"].notna().mean() == pytest.approx(known["sex"], abs=0.06)
    assert obs["age_years"].notna().mean() == pytest.approx(known["age_years"], abs=0.06)
    assert obs["tissue_group"].isna().any()
    assert obs["tissue"].isna().sum() > obs["tissue_group"].isna().sum()
    assert (obs["sex"].dropna() == "male").mean() == pytest.approx(known["male"], abs=0.08)
    assert obs["age_years"].between(0, 110).sum() == obs["age_years"].notna().sum()
    # annotated study by study, and one person has one sex and one age
    assert obs.groupby("dataset_id")["sex"].apply(lambda s: s.notna().any() and s.isna().any()).mean() < 0.1
    assert (obs.groupby("donor_id")["age_years"].nunique() <= 1).all()
    assert (obs.groupby("donor_id")["sex"].nunique() <= 1).all()
    assert obs.loc[obs["tissue_group"] == "embryonic", ["sex", "age_years"]].isna().all(axis=None)


def test_truth_is_sparse_and_names_known_srnas(atlas: ad.AnnData) -> None:
    truth = atlas.uns["srna"]["truth"]
    assert list(truth.columns) == ["task", "label", "srna", "direction", "log2_effect"]
    assert set(truth["task"]) == {"tissue_group", "tissue", "sex", "age"}
    assert set(truth["srna"]) <= set(atlas.var_names)
    assert set(truth["direction"]) == {-1, 1}
    assert (truth["log2_effect"] > 0).all()
    assert not truth.duplicated(["task", "label", "srna"]).any()
    tissue = truth[truth["task"] == "tissue_group"]
    n_srnas = (atlas.var["biotype"] != "contaminant").sum()
    assert tissue["srna"].nunique() <= 0.15 * n_srnas
    assert tissue["log2_effect"].between(1, 2).all()
    assert set(tissue["label"]) == set(settings()["groups"])
    for task in ("sex", "age"):
        kinds = atlas.var.loc[truth.loc[truth["task"] == task, "srna"], "biotype"]
        assert {"contaminant", "miRNA"} <= set(kinds)


def test_a_family_is_planted_as_its_most_telling_member_was_measured() -> None:
    srnas, truth = catalogue()
    measured, gain = read_profile().filter(regex="^mean_"), settings()["gain"]
    tissue = truth[truth["task"] == "tissue_group"]
    several = 0
    for (group, family), effects in tissue.groupby(["label", tissue["srna"].map(srnas["family"])])["log2_effect"]:
        members = srnas.index[srnas["family"] == family].intersection(measured.index)
        own = measured[[f"mean_{p}" for p in settings()["groups"][group]["profiles"]]].max(axis=1)
        most = (own - measured.mean(axis=1))[members].max() / 3
        assert effects.nunique() == 1
        if len(members):
            assert effects.iloc[0] == pytest.approx(min(max(most, gain["lowest"]), gain["highest"]), abs=1e-3)
        several += len(members) > 1
    assert several > 5


def test_what_is_planted_for_a_person_is_planted_for_nothing_else(atlas: ad.AnnData) -> None:
    """So the effects of sex and age leave the figures of tissue alone, and a biomarker has one meaning."""
    planted = atlas.uns["srna"]["truth"].groupby("task")["srna"].agg(set)
    assert not planted["sex"] & planted["age"]
    assert not (planted["sex"] | planted["age"]) & (planted["tissue_group"] | planted["tissue"])


def test_a_donor_has_one_or_two_samples_of_one_study(atlas: ad.AnnData) -> None:
    donors = atlas.obs.groupby("donor_id", observed=True)
    assert set(donors.size()) == {1, 2}
    assert (donors["dataset_id"].nunique() == 1).all()


@pytest.mark.parametrize("seed", range(3))
def test_every_age_interval_of_the_paper_can_be_learned(seed: int) -> None:
    obs = with_intervals(seed).obs
    for n in (2, 3, 4):
        intervals = obs[f"age_{n}"].dropna()
        assert len(intervals) == obs["age_years"].notna().sum()
        assert intervals.nunique() == n
        assert intervals.value_counts().min() >= 30


@pytest.fixture(scope="module")
def log_cpm(atlas: ad.AnnData) -> pd.DataFrame:
    counts = counts_frame(atlas)
    return np.log2(counts.div(counts.sum(axis=1), axis=0) * 1e6 + 1)


def test_planted_tissue_direction_shows_in_class_means(atlas: ad.AnnData, log_cpm: pd.DataFrame) -> None:
    truth = atlas.uns["srna"]["truth"].query("task == 'tissue_group'")
    shared = truth.groupby("srna")["label"].agg(set)
    difference = []
    for label, srna in truth[["label", "srna"]].itertuples(index=False):
        y = atlas.obs["tissue_group"].astype(object)
        rest = y.notna() & ~y.isin(shared[srna])
        difference.append(log_cpm.loc[y == label, srna].mean() - log_cpm.loc[rest, srna].mean())
    assert (np.array(difference) > 0).mean() > 0.95
    assert np.mean(difference) == pytest.approx(truth["log2_effect"].mean(), abs=0.5)


def test_planted_sex_and_age_directions_show(atlas: ad.AnnData, log_cpm: pd.DataFrame) -> None:
    truth = atlas.uns["srna"]["truth"].set_index("srna")
    # within a study, so that the study effect does not hide it
    centred = log_cpm - log_cpm.groupby(atlas.obs["dataset_id"]).transform("mean")
    sex = truth[truth["task"] == "sex"]
    male, female = (centred.loc[atlas.obs["sex"] == s, sex.index].mean() for s in ("male", "female"))
    assert (np.sign(male - female) == sex["direction"]).mean() > 0.85
    age = truth[truth["task"] == "age"]
    known = atlas.obs["age_years"].notna()
    slope = centred.loc[known, age.index].corrwith(atlas.obs.loc[known, "age_years"])
    assert (np.sign(slope) == age["direction"]).mean() > 0.85


def test_own_and_foreign_reads_tell_of_a_person_independently(atlas: ad.AnnData, log_cpm: pd.DataFrame) -> None:
    """Within a sex, a sample that shows its sex much in own sRNAs need not do so in foreign reads."""
    truth = atlas.uns["srna"]["truth"].query("task == 'sex'")
    foreign = (atlas.var.loc[truth["srna"], "biotype"] == "contaminant").to_numpy()
    level = log_cpm[truth["srna"]] * truth["direction"].to_numpy()
    known = atlas.obs["sex"].notna()
    person = atlas.obs.loc[known, ["dataset_id", "sex"]].astype(str)
    level, stratum = level[known], person["dataset_id"] + person["sex"]
    score = pd.DataFrame({"own": level.loc[:, ~foreign].mean(axis=1), "foreign": level.loc[:, foreign].mean(axis=1)})
    rest = score - score.groupby(stratum).transform("mean")
    male = atlas.obs.loc[known, "sex"] == "male"
    assert abs(rest["own"].corr(rest["foreign"])) < 0.15
    for name in rest:
        gap = score.loc[male, name].mean() - score.loc[~male, name].mean()
        assert 0.5 < gap / rest[name].std() < 2.5  # neither hidden nor evident


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("scheme", ["random_5fold", "grouped_kfold"])
@pytest.mark.parametrize("label", PERSONAL)
def test_both_feature_sets_beat_either_alone(label: str, scheme: str, seed: int) -> None:
    """As in the paper, and by a margin that a few hundred samples can tell from chance."""
    sets = ("sRNA", "contaminant", "both")
    tables = {f: predict(make_task(with_intervals(seed), label, features=f), scheme, seed) for f in sets}
    for alone in sets[:2]:
        pair = pd.concat([tables["both"], tables[alone]])
        gain = compare(pair, [("both", alone)], by="features", metric="auc", unit="sample_id", n_boot=300).iloc[0]
        assert gain["difference"] >= 0.03
        assert gain["ci_low"] > 0
    if scheme == "random_5fold":  # the paper's accuracy of both sets: 77 % for sex and for two age intervals
        assert (tables["both"]["y_true"] == tables["both"]["y_pred"]).mean() == pytest.approx(0.77, abs=0.03)


@pytest.mark.parametrize("label", PERSONAL)
def test_shuffled_labels_are_a_coin_in_unseen_studies(label: str) -> None:
    atlas = with_intervals(0)
    task = make_task(atlas, label, features="both")
    areas = []
    for number in range(8):  # one shuffle alone is off by chance
        table = predict(permute(task, atlas, seed=number), "grouped_kfold", 0)
        areas.append(roc_auc_score(table["y_true"] == task.classes[1], table[f"p_{task.classes[1]}"]))
    assert np.mean(areas) == pytest.approx(0.5, abs=0.03)


def test_study_effect_shows_and_is_shared_by_protocol() -> None:
    atlas = simulate_atlas(n_samples=600, n_studies=40, seed=2)
    counts = counts_frame(atlas)
    level = np.log2(counts.div(counts.sum(axis=1), axis=0) * 1e6 + 1)
    studies = level.groupby(atlas.obs["dataset_id"]).mean().loc[:, counts.mean() > 50]
    protocol = atlas.obs.groupby("dataset_id")["library_protocol"].first()
    alike = np.corrcoef(studies - studies.mean())
    same = protocol.to_numpy()[:, None] == protocol.to_numpy()[None, :]
    off = ~np.eye(len(studies), dtype=bool)
    assert alike[same & off].mean() > alike[~same].mean() + 0.1


def test_h5ad_round_trip(small: ad.AnnData, tmp_path: Path) -> None:
    small.write_h5ad(tmp_path / "demo.h5ad")
    back = check_atlas(ad.read_h5ad(tmp_path / "demo.h5ad"))
    assert (back.X != small.X).nnz == 0
    pd.testing.assert_frame_equal(back.uns["srna"]["truth"], small.uns["srna"]["truth"], check_index_type=False)
    for column in small.obs:
        assert (back.obs[column].isna() == small.obs[column].isna()).all()
    assert list(back.var["cluster"].dropna()) == list(small.var["cluster"].dropna())


def test_it_is_fast() -> None:
    simulate_atlas(n_samples=240, n_studies=20)
    start = time.perf_counter()
    simulate_atlas()
    assert time.perf_counter() - start < 10


def test_smallest_atlas_that_is_allowed() -> None:
    obs = simulate_atlas(n_samples=120, n_studies=16).obs
    assert obs["dataset_id"].nunique() == 16
    assert set(obs["tissue_group"].value_counts()) == {15}


@pytest.mark.parametrize("seed", range(4))
def test_many_small_studies_are_all_there(seed: int) -> None:
    assert simulate_atlas(n_samples=240, n_studies=60, seed=seed).obs["dataset_id"].nunique() == 60


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"n_studies": 15}, "n_studies=15"),
        ({"n_samples": 100, "n_studies": 20}, "n_samples=100"),
        ({"n_samples": 239, "n_studies": 60}, "n_samples=239"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, float], named: str) -> None:
    with pytest.raises(InputError, match=named) as error:
        simulate_atlas(**arguments)
    assert "expected" in str(error.value)


def test_catalogue_levels_fill_the_library() -> None:
    srnas, _ = catalogue()
    total = np.exp2(srnas["level"]).groupby(srnas["biotype"]).sum() / 1e6
    for kind, spec in settings()["biotypes"].items():
        # planted sRNAs are lifted to a level that can be measured, and every third contaminant is planted
        assert total[kind] == pytest.approx(spec["share"], rel=0.3)
    families = {f for g in settings()["groups"].values() for f in g["families"]}
    assert families <= set(srnas["family"])


def test_profile_holds_summary_statistics_only() -> None:
    path = ROOT / "srna_lib" / "resources" / "demo_profile.tsv"
    header = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert any("GPL-3" in line for line in header)
    assert any("make_demo_profile.py" in line for line in header)
    assert path.stat().st_size < 400_000
    profile = read_profile()
    fixed = ["family", "cluster", "sd_within_study", "sd_between_studies"]
    means, spreads = profile.filter(regex="^mean_"), profile.filter(regex="^sd_(?!within|between)")
    assert len(profile.columns) == len(fixed) + len(means.columns) + len(spreads.columns)
    assert [c[5:] for c in means] == [c[3:] for c in spreads]
    assert len(means.columns) < 20  # groups of cell types, far fewer than the 2077 samples behind them
    assert (spreads > 0).any().all()  # a spread of zero everywhere would be a single sample
    assert profile.index.is_unique and profile.index.str.startswith("hsa-").all()
    assert not profile.isna().any(axis=None)
    assert means.loc["hsa-miR-122-5p"].idxmax() == "mean_hepatocyte"
    assert means.loc["hsa-miR-302a-3p"].idxmax() == "mean_pluripotent"
    assert profile.loc["hsa-miR-17-3p", "cluster"] == "mir-17~mir-92a-1"


@pytest.mark.skipif(
    not os.environ.get("SRNA_DATA_MIRROR"),
    reason="SRNA_DATA_MIRROR is not set: the committed profile was NOT recomputed from the real data",
)
def test_script_reproduces_the_committed_profile(tmp_path: Path) -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "make_demo_profile.py"))
    table = script["make_table"](Path(os.environ["SRNA_DATA_MIRROR"]))
    script["write_table"](table, tmp_path / "again.tsv")
    assert (tmp_path / "again.tsv").read_bytes() == script["TABLE"].read_bytes()


def test_logistic_finds_the_planted_biomarkers():
    """The largest coefficients of a linear model on all samples are mostly the planted sRNAs."""
    atlas = simulate_atlas()
    task = make_task(atlas)
    model = recipe("logistic").fit(task.X, task.y)
    truth = atlas.uns["srna"]["truth"]
    planted = set(truth.loc[truth["task"] == "tissue_group", "srna"])
    importance = np.abs(model["classifier"].coef_).max(axis=0)
    ranked = np.asarray(feature_names(model, task.X))[np.argsort(-importance, kind="stable")]
    assert np.mean([name in planted for name in ranked[: len(planted)]]) >= 0.8
    assert len(planted) < 0.15 * task.X.shape[1]
