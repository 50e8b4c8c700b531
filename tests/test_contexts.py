"""Covariates, models without sRNAs, labels shuffled within strata, data sets where a label can be learned."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from srna_lib.data import task as data_task
from srna_lib.data.atlas import counts_frame, make_atlas
from srna_lib.data.task import (
    Task,
    add_age_intervals,
    eligible,
    make_quantity_task,
    make_task,
    metadata_only,
    permute,
    refusal,
    shuffle_studies,
    with_context,
    with_every_class,
)
from srna_lib.datasets.registry import load
from srna_lib.errors import InputError
from srna_lib.evaluate.crossval import Profile, cross_validate


def atlas_of(n=60, seed=0, **columns):
    rng = np.random.default_rng(seed)
    samples = [f"s{i:03d}" for i in range(n)]
    counts = pd.DataFrame(
        rng.poisson(30, (n, 4)), index=samples, columns=[f"hsa-miR-{i}" for i in range(4)], dtype=float
    )
    obs = pd.DataFrame({"dataset_id": [f"D{i % 3}" for i in range(n)]}, index=samples)
    obs["sex"] = np.where(rng.random(n) < 0.5, "female", "male").astype(object)
    for name, values in columns.items():
        obs[name] = values
    return make_atlas(counts, obs, info={"name": "toy"})


def test_context_columns_follow_the_srnas():
    atlas = atlas_of(6, tumour_normal=["tumour", "normal", np.nan] * 2, sex=["female", "male"] * 3)
    task = make_task(atlas, "sex", min_class_size=2)
    seen = with_context(task, atlas, ("dataset_id", "tumour_normal", "no_such_column"))
    names = ["dataset_id=D0", "dataset_id=D1", "dataset_id=D2", "tumour_normal=normal", "tumour_normal=tumour"]
    assert list(seen.X.columns) == [*task.X.columns, *(f"context:{n}" for n in names)]
    pd.testing.assert_frame_equal(seen.X[task.X.columns], task.X, check_names=False)
    added = seen.X.filter(like="context:").to_numpy()
    np.testing.assert_array_equal(added[:, :3].argmax(axis=1), [0, 1, 2, 0, 1, 2])
    np.testing.assert_array_equal(added[:, 3:], [[0, 1], [1, 0], [0, 0]] * 2)  # unknown: no indicator
    assert seen.y is task.y and seen.donors is task.donors


def test_context_is_that_of_the_tasks_samples():
    atlas = atlas_of(30)
    atlas.obs.loc[atlas.obs_names[::4], "sex"] = np.nan
    task = make_task(atlas, "sex", min_class_size=2)
    added = with_context(task, atlas, ["dataset_id"]).X.filter(like="context:")
    assert (added.idxmax(axis=1).str.split("=").str[1] == task.groups).all()


def test_no_context():
    atlas = atlas_of(plate=np.nan)
    task = make_task(atlas, "sex", min_class_size=2)
    with pytest.raises(InputError, match="the atlas has none of the columns tissue, plate; expected at least one"):
        with_context(task, atlas, (c for c in ("tissue", "plate")))


def test_metadata_has_no_srna():
    atlas = atlas_of(platform=["GA", "HiSeq"] * 30)
    task = make_task(atlas, "sex", min_class_size=2)
    plain = metadata_only(task, atlas)
    assert all(c.startswith("context:") for c in plain.X.columns)
    assert plain.features == "metadata"
    np.testing.assert_allclose(plain.X["context:log2_depth"], np.log2(1 + task.X.sum(axis=1)))
    assert len(plain.X.columns) == 3 + 2 + 1
    other = task.X.sample(frac=1, axis=1, random_state=0)
    other.columns = task.X.columns
    assert metadata_only(Task("sex", other, task.y, task.groups, {}), atlas).X.equals(plain.X)


people = st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["D0", "D1"])), min_size=4, max_size=30)


@pytest.mark.slow
@given(people, st.integers(0, 5))
def test_shuffled_donors_keep_one_label_and_strata_their_class_counts(drawn, seed):
    """A donor belongs to one stratum and has one label, as sex has."""
    home, own = {}, {}
    for donor, study in drawn:
        home.setdefault(donor, study)
        own.setdefault(donor, ["female", "male"][(donor * 7 + len(own)) % 2])
    who = [d for d, _ in drawn]
    atlas = atlas_of(len(who), dataset_id=[home[d] for d in who], donor_id=[f"p{d}" for d in who])
    y = pd.Series([own[d] for d in who], index=atlas.obs_names, name="sex")
    donors = atlas.obs["donor_id"].astype(str)
    X = pd.DataFrame(index=atlas.obs_names)
    task = Task("sex", X, y, atlas.obs["dataset_id"].astype(str), {}, donors=donors)
    shuffled = permute(task, atlas, within=("dataset_id",), seed=seed)
    assert (shuffled.y.groupby(donors).nunique() == 1).all()
    for labels in (task.y, shuffled.y):
        assert list(labels.index) == list(atlas.obs_names) and labels.name == "sex"
    before, after = (
        pd.crosstab(task.groups[~donors.duplicated()], labels[~donors.duplicated()]) for labels in (task.y, shuffled.y)
    )
    pd.testing.assert_frame_equal(before, after)
    pd.testing.assert_series_equal(shuffled.y, permute(task, atlas, within=("dataset_id",), seed=seed).y)


def test_shuffling_shuffles_within_its_columns_only():
    atlas = atlas_of(300, tissue=["a", "b"] * 150)
    task = make_task(atlas, "sex", min_class_size=2)
    first, other = (permute(task, atlas, seed=s) for s in (0, 1))
    assert 0.3 < (first.y == task.y).mean() < 0.7 and not first.y.equals(other.y)
    for column in ("dataset_id", "tissue"):
        keys = atlas.obs[column]
        pd.testing.assert_frame_equal(pd.crosstab(keys, first.y), pd.crosstab(keys, task.y))
    alone = permute(task, atlas, within=["sex"])  # within the label itself nothing can move
    assert alone.y.equals(task.y)
    assert first.X is task.X and first.groups is task.groups


def test_quantities_are_shuffled_whole():
    atlas = atlas_of(90, age_years=np.arange(90.0), donor_id=[f"p{i // 2}" for i in range(90)])
    atlas.obs["age_years"] = atlas.obs["age_years"] // 2
    task = make_quantity_task(atlas)
    shuffled = permute(task, atlas, within=())
    assert sorted(shuffled.y) == sorted(task.y) and not shuffled.y.equals(task.y)
    assert (shuffled.y.groupby(task.donors).nunique() == 1).all() and shuffled.y.dtype == float


def sexes(*sizes):
    """Data sets D0, D1, ... of so many (female, male, unknown)."""
    sex = [s for f, m, u in sizes for s in ["female"] * f + ["male"] * m + [np.nan] * u]
    study = [f"D{i}" for i, size in enumerate(sizes) for _ in range(sum(size))]
    return atlas_of(len(sex), dataset_id=study, sex=pd.Series(sex, dtype=object).to_numpy())


def test_data_sets_with_every_class_are_kept():
    atlas = sexes((10, 10, 2), (30, 0, 0), (5, 4, 0), (7, 5, 1))
    kept = with_every_class(atlas, "sex", min_per_class=5)
    assert kept.obs["dataset_id"].value_counts().to_dict() == {"D0": 20, "D3": 12}
    assert kept.obs["sex"].notna().all()
    assert set(with_every_class(atlas, "sex", min_per_class=4).obs["dataset_id"]) == {"D0", "D2", "D3"}
    assert "female" in set(atlas.obs["sex"]) and atlas.n_obs == 74  # the atlas itself is not changed


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("sx", r"^toy: the field obs\['sx'\] is missing .*; expected a column of labels"),
        ("dataset_id", r"^toy: no data set has at least 5 samples of every dataset_id"),
    ],
)
def test_data_sets_that_cannot_be(label, message):
    atlas = sexes((10, 10, 2), (30, 0, 0))
    with pytest.raises(InputError, match=message):
        with_every_class(atlas, label, min_per_class=5)
    said = "toy: data set 'D1' has 30 female, 0 male among its samples; expected at least 5 of each"
    assert refusal(atlas, "sex", min_per_class=5).startswith(said)


def test_no_data_set_has_every_class():
    with pytest.raises(InputError, match="no data set has at least 5 samples of every sex; expected at least one"):
        with_every_class(sexes((10, 4, 0), (0, 9, 0)), "sex", min_per_class=5)
    with pytest.raises(InputError, match="no data set has at least 5 samples of every sex"):
        with_every_class(sexes((10, 0, 0)), "sex", min_per_class=5)


def test_age_intervals():
    ages = [0, 30, 30.1, 45, 46, 60, 65, 66, 70, 80, 81, 110, np.nan]
    atlas = atlas_of(13, age_years=ages)
    out = add_age_intervals(atlas)
    two, three, four = (out.obs[f"age_{n}"].tolist() for n in (2, 3, 4))
    assert two[:12] == ["0-65"] * 7 + ["65-110"] * 5
    assert three[:12] == ["0-45"] * 4 + ["45-70"] * 5 + ["70-110"] * 3
    assert four[:12] == ["0-30"] * 2 + ["30-60"] * 4 + ["60-80"] * 4 + ["80-110"] * 2
    for names in (two, three, four):
        assert pd.isna(names[12])
        assert sorted(names[:12]) == names[:12]  # sorted as text they are in order
    assert "age_2" not in atlas.obs


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (111.0, r"obs\['age_years'\] is 111 for sample 's003'; expected 0 to 110 years"),
        (-1.0, r"is -1 for sample 's003'"),
        ("old", r"obs\['age_years'\] holds 'old'; expected ages in years"),
    ],
)
def test_ages_that_cannot_be(values, message):
    ages = np.array([20.0] * 60, dtype=object)
    ages[3] = values
    with pytest.raises(InputError, match=message):
        add_age_intervals(atlas_of(age_years=ages))


def test_ages_that_are_missing():
    with pytest.raises(InputError, match=r"^toy: the field obs\['age_years'\] is missing .*; expected ages in years"):
        add_age_intervals(atlas_of())


@pytest.fixture(scope="module")
def dated(real):
    """TCGA samples whose age is known from dates."""
    tcga = real("tcga")
    return tcga[(tcga.obs["age_source"] == "days_to_birth").to_numpy()]


def test_tcga_has_18_cohorts_of_both_sexes(dated):
    kept = with_every_class(dated, "sex", min_per_class=60)
    assert kept.n_obs == 6891
    assert kept.obs["dataset_id"].nunique() == 18
    assert kept.obs["age_years"].notna().all()
    assert pd.crosstab(kept.obs["dataset_id"], kept.obs["sex"]).min(axis=None) >= 60


@pytest.mark.parametrize(("cohort", "found"), [("OV", "female, 0 male"), ("PRAD", "0 female, ")])
def test_single_sex_cohorts_are_refused(dated, cohort, found):
    two = dated[dated.obs["dataset_id"].isin(["KIRC", cohort])]
    assert set(with_every_class(two, "sex", min_per_class=60).obs["dataset_id"]) == {"KIRC"}
    sentence = refusal(two, "sex", min_per_class=60)
    assert re.match(f"tcga: data set {cohort!r} has .*{found}.* expected at least 60", sentence)
    assert sentence.count(".") == 1 and "\n" not in sentence


def test_shuffled_labels_are_at_chance_on_real_data(dated):
    """A model that finds sex in patients cannot find labels shuffled within cohort: nothing leaks."""
    four = dated[dated.obs["dataset_id"].isin(["KIRC", "LIHC", "SARC", "PAAD"])]
    atlas = with_every_class(four, "sex", min_per_class=60)
    task = make_task(atlas, "sex")
    profile = Profile(n_splits=3, changes={"logistic": {"classifier__tol": 0.01}})

    def auc(labels):
        table = cross_validate(labels, ["logistic"], "patient_kfold", profile=profile, progress=False)
        per_cohort = [
            roc_auc_score(part["y_true"] == "male", part["p_male"]) for _, part in table.groupby("dataset_id")
        ]
        return np.mean(per_cohort)

    null = np.mean([auc(permute(task, atlas, seed=s)) for s in range(3)])
    assert null == pytest.approx(0.5, abs=0.04)
    assert auc(task) > 0.6


def test_views_by_steps_are_asked_like_their_copies():
    view = atlas_of()[:, ::2]
    task, copied = (make_task(a, "sex", min_class_size=2) for a in (view, view.copy()))
    pd.testing.assert_frame_equal(metadata_only(task, view).X, metadata_only(copied, view.copy()).X)
    found, expected = (with_every_class(a, "sex", min_per_class=2) for a in (view, view.copy()))
    pd.testing.assert_frame_equal(counts_frame(found), counts_frame(expected))


def test_labels_made_from_age_are_made_when_asked_for():
    adata = load("demo")
    assert data_task.with_label(adata, "sex") is adata
    made = data_task.with_label(adata, "age_3")
    pd.testing.assert_series_equal(made.obs["age_3"], data_task.add_age_intervals(adata).obs["age_3"])
    assert "age_3" not in adata.obs
    assert data_task.with_label(made, "age_3") is made
    assert set(data_task.MADE_FROM) == {"age_2", "age_3", "age_4"}


def test_for_labels_of_people_only_data_sets_that_do_not_give_them_away_are_eligible():
    atlas = atlas_of(sex=np.where(np.arange(60) % 3 == 0, "male", np.where(np.arange(60) % 2, "female", "male")))
    atlas.obs["tissue"] = np.where(np.arange(60) % 4 < 2, "lung", "liver")
    assert eligible(atlas, "tissue") is atlas
    assert set(eligible(atlas, "sex").obs["dataset_id"]) == {"D1", "D2"}  # D0 holds men only
    atlas.obs["age_years"] = np.where(atlas.obs["dataset_id"] == "D1", 30.0, 40.0 + np.arange(60))
    aged = add_age_intervals(atlas)
    for label in ("age_2", "age_4"):
        assert set(eligible(aged, label).obs["dataset_id"]) == {"D0", "D2"}  # D1 holds the young only
    with pytest.raises(InputError, match="no data set has at least 3 samples of every sex"):
        eligible(atlas[atlas.obs["dataset_id"] == "D0"], "sex")


def test_labels_are_dealt_to_whole_studies():
    labels = [f"c{i // 12}" for i in range(60)]
    task = make_task(atlas_of(cls=labels, dataset_id=[f"S{i // 4:02d}" for i in range(60)]), "cls", min_class_size=2)
    shuffled = [shuffle_studies(task, seed=s).y for s in (0, 0, 1)]
    assert shuffled[0].equals(shuffled[1]) and not shuffled[0].equals(shuffled[2])
    assert (shuffled[0].groupby(task.groups).nunique() == 1).all()
    assert shuffled[0].value_counts().to_dict() == task.y.value_counts().to_dict()  # studies of one size
    assert (shuffled[0] != task.y).mean() > 0.5 and shuffled[0].index.equals(task.y.index)


def test_mixed_studies_get_the_mixture_of_another_and_donors_keep_one_label():
    sex = np.where(np.arange(60) % 3 == 0, np.where(np.arange(60) % 2, "female", "male"), "female")
    atlas = atlas_of(sex=sex, donor_id=[f"D{i % 3}-{i // 6}" for i in range(60)])
    task = make_task(atlas, "sex", min_class_size=2)
    dealt = shuffle_studies(task, seed=1).y
    assert (dealt.groupby(task.donors).nunique() == 1).all() and set(dealt) == {"female", "male"}
    assert (dealt.groupby(task.groups).nunique() == 2).sum() == 1  # one study of three was mixed, one is
