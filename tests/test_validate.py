"""Splits keep studies apart; out-of-fold tables are complete, reproducible and resumable."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline

from srna_lib.data.task import Task
from srna_lib.errors import InputError
from srna_lib.evaluate import splits as splits_module
from srna_lib.evaluate.crossval import cross_validate
from srna_lib.evaluate.splits import SCHEMES, collections_out, fewer_studies, make_splits
from srna_lib.models.recipes import quantity_recipe, recipe

FOREST = {"classifier__n_estimators": 10}


def make(y, groups, seed=0):
    rng = np.random.default_rng(seed)
    y, groups = np.array(y, dtype=object), np.array(groups, dtype=object)
    X = rng.poisson(30, (len(y), 12)).astype(float)
    for i, c in enumerate(sorted(set(y))):
        X[y == c, i] *= 4
    index = [f"s{i}" for i in range(len(y))]
    X = pd.DataFrame(X, index=index, columns=[f"hsa-miR-{i}" for i in range(12)])
    return Task("tissue_group", X, pd.Series(y, index=index), pd.Series(groups, index=index), {})


@pytest.fixture
def task():
    studies = [f"S{i // 6:02d}" for i in range(72)]
    return make(["brain", "blood", "liver"] * 24, studies)


def test_random_folds_cover_every_sample_once(task):
    splits = make_splits(task, "random_5fold")
    assert len(splits) == 5
    assert sorted(np.concatenate([s.test for s in splits])) == list(range(72))
    assert all(not set(s.train) & set(s.test) for s in splits)


@pytest.mark.parametrize("scheme", ["grouped_kfold", "one_dataset_out"])
def test_studies_never_straddle(task, scheme):
    for split in make_splits(task, scheme):
        assert not set(task.groups.iloc[split.train]) & set(task.groups.iloc[split.test])


def test_a_collection_goes_with_the_studies_that_it_has_a_part_of():
    studies = ["A", "A", "B", "B", "C", "C", "D", "D"]
    task = make(["brain", "liver", "brain", "liver", "brain", "liver", "blood", "brain"], studies)
    where = pd.Series(["one", "one", "one", "two", "two", "two", "three", "three"], index=task.y.index)
    splits = {s.fold: (set(task.groups.iloc[s.train]), sorted(s.test)) for s in collections_out(task, where)}
    assert splits == {  # B lies in both of the first two; blood is in no other collection
        "one": ({"C", "D"}, [0, 1, 2]),
        "two": ({"A", "D"}, [3, 4, 5]),
        "three": ({"A", "B", "C"}, [7]),
    }
    assert collections_out(task, where.replace({"two": "one", "three": "one"})) == []
    assert collections_out(task, pd.Series(dtype=object)) == []


def test_fewer_studies_are_part_of_more_and_tests_stay(task):
    folds = make_splits(task, "study", n_splits=4)
    few, more = ({s.fold: s for s in fewer_studies(task, folds, n, seed=1)} for n in (3, 6))
    for fold in folds:
        assert set(few[fold.fold].train) < set(more[fold.fold].train) < set(fold.train)
        assert task.groups.iloc[few[fold.fold].train].nunique() == 3
        assert np.array_equal(few[fold.fold].test, fold.test)
    assert [s.train.tolist() for s in fewer_studies(task, folds, 99)] == [s.train.tolist() for s in folds]
    single = make(["brain"] * 6 + ["liver"] * 6, ["A"] * 3 + ["B"] * 3 + ["C"] * 3 + ["D"] * 3)
    assert fewer_studies(single, make_splits(single, "study", n_splits=2), 1) == []  # one class alone cannot be fitted


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_one_dataset_out_is_the_papers_rule(data):
    """A study is left out exactly when each of its classes has a sample in another study."""
    n = data.draw(st.integers(6, 40))
    y = data.draw(st.lists(st.sampled_from("abc"), min_size=n, max_size=n))
    groups = data.draw(st.lists(st.sampled_from(["S1", "S2", "S3", "S4"]), min_size=n, max_size=n))
    splits = make_splits(make(y, groups), "one_dataset_out")
    left_out = {s.fold for s in splits}
    for study in set(groups):
        mine = {c for c, g in zip(y, groups, strict=True) if g == study}
        others = {c for c, g in zip(y, groups, strict=True) if g != study}
        assert (study in left_out) == (mine <= others)
    for split in splits:
        assert len(split.train) + len(split.test) == n


def test_a_class_of_one_study_is_never_left_out():
    task = make(["a"] * 4 + ["b"] * 4 + ["a", "b", "c", "c"], ["S1"] * 4 + ["S2"] * 4 + ["S3"] * 4)
    assert [s.fold for s in make_splits(task, "one_dataset_out")] == ["S1", "S2"]


def test_seed_decides_the_folds(task):
    first, again, other = (make_splits(task, "random_5fold", seed=s) for s in (0, 0, 1))
    assert all(np.array_equal(a.test, b.test) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a.test, b.test) for a, b in zip(first, other, strict=True))


def test_unknown_scheme_and_too_few_studies(task):
    with pytest.raises(InputError, match=r"unknown scheme 'loo'.*one_dataset_out"):
        make_splits(task, "loo")
    with pytest.raises(InputError, match="12 studies cannot make 13 grouped folds"):
        make_splits(task, "grouped_kfold", n_splits=13)


def run(task, scheme="grouped_kfold", seed=0, **options):
    splits = make_splits(task, scheme, n_splits=None if scheme == "one_dataset_out" else 4, seed=seed)
    model = {"rf_plain": recipe("rf_plain", seed=seed, **FOREST)}
    return cross_validate(task, model, splits, scheme=scheme, progress=False, **options)


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_table_is_tidy(task, scheme):
    table = run(task, scheme)
    front = ["sample_id", "dataset_id", "task", "model", "features", "scheme", "fold", "y_true", "y_pred"]
    assert list(table.columns) == [*front, "p_blood", "p_brain", "p_liver"]
    assert sorted(table["sample_id"]) == sorted(task.X.index)
    truth = table.set_index("sample_id")
    pd.testing.assert_series_equal(truth["y_true"].loc[task.y.index], task.y, check_names=False, check_index_type=False)
    assert (truth["dataset_id"].loc[task.groups.index] == task.groups).all()
    np.testing.assert_allclose(table.filter(like="p_").sum(axis=1), 1)
    most = table.filter(like="p_").idxmax(axis=1).str[2:]
    assert (most == table["y_pred"]).all()
    assert set(table["features"]) == {"sRNA"}


def test_informative_features_are_found_and_permuted_labels_are_not(task):
    assert (run(task).eval("y_true == y_pred")).mean() > 0.9
    shuffled = make(np.random.default_rng(1).permutation(task.y.to_numpy()), task.groups.to_numpy())
    permuted = Task("null", task.X, pd.Series(shuffled.y.to_numpy(), index=task.X.index), task.groups, {})
    assert run(permuted).eval("y_true == y_pred").mean() < 0.55


@pytest.mark.slow
def test_parallel_equals_serial_and_same_seed_equals_same(task):
    serial, again, parallel = run(task), run(task), run(task, n_jobs=2)
    pd.testing.assert_frame_equal(serial, again)
    pd.testing.assert_frame_equal(serial, parallel)


@pytest.mark.slow
def test_network_in_parallel_equals_serial(task):
    splits = make_splits(task, "grouped_kfold", n_splits=3)
    small = {"classifier__epochs": 3, "classifier__hidden": (16,), "classifier__dropout": (0.2,)}
    tables = [
        cross_validate(
            task,
            {"dl_paper": recipe("dl_paper", seed=0, **small)},
            splits,
            scheme="grouped_kfold",
            n_jobs=jobs,
            progress=False,
        )
        for jobs in (1, 2)
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1])


class Counting(DummyClassifier):
    """Counts its fits, and breaks at a given one."""

    fits = 0
    break_at = -1

    def fit(self, X, y, sample_weight=None):
        type(self).fits += 1
        if type(self).fits == self.break_at:
            raise KeyboardInterrupt
        return super().fit(X, y, sample_weight)


def test_interrupted_run_redoes_only_what_is_not_done(task, tmp_path, monkeypatch):
    monkeypatch.setattr(Counting, "fits", 0)
    monkeypatch.setattr(Counting, "break_at", 3)
    model, splits = {"counting": Pipeline([("classifier", Counting())])}, make_splits(task, "grouped_kfold", n_splits=4)
    arguments = {"scheme": "grouped_kfold", "cache": tmp_path, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        cross_validate(task, model, splits, **arguments)
    assert len(list(tmp_path.glob("*.parquet"))) == 2
    monkeypatch.setattr(Counting, "break_at", -1)
    table = cross_validate(task, model, splits, **arguments)
    assert Counting.fits == 3 + 2
    monkeypatch.setattr(Counting, "fits", 0)
    pd.testing.assert_frame_equal(cross_validate(task, model, splits, **arguments), table)
    assert Counting.fits == 0
    assert not list(tmp_path.glob("*.part"))


def test_cache_is_of_data_model_and_split(task, tmp_path):
    run(task, cache=tmp_path)
    assert len(list(tmp_path.glob("*.parquet"))) == 4
    run(task, cache=tmp_path)
    assert len(list(tmp_path.glob("*.parquet"))) == 4
    run(task, cache=tmp_path, seed=1)
    assert len(list(tmp_path.glob("*.parquet"))) == 8
    changed = make(task.y.to_numpy(), task.groups.to_numpy(), seed=5)
    run(changed, cache=tmp_path)
    assert len(list(tmp_path.glob("*.parquet"))) == 12


def test_a_class_absent_from_training_gets_probability_zero():
    task = make(["a", "b"] * 6 + ["c"] * 4, ["S1"] * 4 + ["S2"] * 4 + ["S3"] * 4 + ["S4"] * 4)
    splits = [splits_module.Split("S4", np.arange(12), np.arange(12, 16))]
    model = recipe("rf_plain", **FOREST)
    table = cross_validate(task, {"rf_plain": model}, splits, scheme="grouped_kfold", progress=False)
    assert (table["p_c"] == 0).all()
    assert not (table["y_pred"] == "c").any()


def patients(n=120, studies=4, seed=0):
    """Patients of one to three samples within studies; sex is the patient's."""
    rng = np.random.default_rng(seed)
    who = np.sort(rng.integers(0, n // 2, n))
    made = make(np.where(who // studies % 2, "female", "male"), [f"S{p % studies}" for p in who])
    return replace(made, donors=pd.Series([f"p{p}" for p in who], index=made.y.index, name="donor_id"))


def test_no_patient_in_two_folds():
    task = patients()
    splits = make_splits(task, "patient_kfold")
    assert len(splits) == 5
    assert sorted(np.concatenate([s.test for s in splits])) == list(range(120))
    for split in splits:
        assert not set(task.donors.iloc[split.train]) & set(task.donors.iloc[split.test])
        assert set(task.groups.iloc[split.test]) == set(task.groups)  # every study in every fold
    homes = pd.concat([pd.Series(i, index=s.test) for i, s in enumerate(splits)]).sort_index()
    assert (homes.groupby(task.donors.to_numpy()).nunique() == 1).all()


def test_samples_without_donors_are_donors_of_their_own():
    task = make(["a", "b"] * 20, ["S1"] * 20 + ["S2"] * 20)
    assert sorted(np.concatenate([s.test for s in make_splits(task, "patient_kfold")])) == list(range(40))


@pytest.mark.parametrize("scheme", ["grouped_kfold", "one_dataset_out"])
def test_a_patient_in_two_studies_is_refused_where_studies_are_kept_apart(scheme):
    task = patients()
    for split in make_splits(task, scheme, n_splits=4):
        assert not set(task.donors.iloc[split.train]) & set(task.donors.iloc[split.test])
    donors = task.donors.copy()
    moved = np.flatnonzero(task.groups == "S1")[0]
    who = donors.iloc[moved] = donors[task.groups == "S2"].iloc[0]
    found = f"^task 'tissue_group': several studies share 1 of {donors.nunique()} donors \\('{who}' in S1, S2\\);"
    with pytest.raises(InputError, match=f"{found} expected each donor in one study, or the scheme patient_kfold"):
        make_splits(replace(task, donors=donors), scheme, n_splits=4)


def test_only_the_first_patients_of_several_studies_are_named():
    task = patients()
    everywhere = replace(task, donors=pd.Series([f"p{i % 7}" for i in range(120)], index=task.y.index))
    with pytest.raises(
        InputError, match=r"share 7 of 7 donors \('p0' in S0, S1, S2, S3; 'p1' in [^;]*; 'p2' in [^;]*; \.\.\.\)"
    ):
        make_splits(everywhere, "one_dataset_out")


@pytest.mark.parametrize("scheme", ["random_5fold", "patient_kfold"])
def test_a_patient_in_two_studies_is_no_matter_where_studies_are_not_kept_apart(scheme):
    task = patients()
    mixed = replace(task, donors=pd.Series([f"p{i % 40}" for i in range(120)], index=task.y.index))
    splits = make_splits(mixed, scheme)
    assert sorted(np.concatenate([s.test for s in splits])) == list(range(120))
    if scheme == "patient_kfold":
        assert all(not set(mixed.donors.iloc[s.train]) & set(mixed.donors.iloc[s.test]) for s in splits)


def test_patient_folds_alarm_when_the_splitter_fails(monkeypatch):
    """Whatever splits the samples, the result is looked at."""

    class Careless:
        def __init__(self, *args, **kwargs):
            pass

        def split(self, y, *_):
            yield np.arange(0, len(y), 2), np.arange(1, len(y), 2)

    monkeypatch.setattr(splits_module, "StratifiedGroupKFold", Careless)
    with pytest.raises(AssertionError, match="patients on both sides of fold 0"):
        make_splits(patients(), "patient_kfold")
    with pytest.raises(AssertionError, match="studies on both sides of fold 0"):
        make_splits(patients(), "grouped_kfold", n_splits=4)


def test_too_few_patients():
    task = patients()
    few = replace(task, donors=pd.Series(["p1", "p2", "p3", "p4"] * 30, index=task.y.index))
    with pytest.raises(InputError, match="4 patients cannot make 5 folds; expected at least one patient a fold"):
        make_splits(few, "patient_kfold")


def test_strata_smaller_than_the_folds_do_not_matter():
    """Many studies of few patients: folds are made all the same, without a warning."""
    task = make(["a", "b"] * 20, [f"S{i // 2}" for i in range(40)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = make_splits(task, "patient_kfold")
    assert sorted(np.concatenate([s.test for s in splits])) == list(range(40))


def test_donors_are_in_the_table_and_reach_the_model():
    class Asking(DummyClassifier):
        seen: ClassVar[list] = []

        def fit(self, X, y, sample_weight=None, groups=None):
            type(self).seen.append(list(groups))
            return super().fit(X, y)

    task = patients()
    splits = make_splits(task, "patient_kfold")
    model = Pipeline([("classifier", Asking())])
    table = cross_validate(task, {"asking": model}, splits, scheme="patient_kfold", progress=False)
    assert Asking.seen == [task.donors.iloc[s.train].tolist() for s in splits]
    assert (table.set_index("sample_id")["donor_id"] == task.donors.loc[table["sample_id"]]).all()
    assert list(table.columns[6:10]) == ["fold", "donor_id", "y_true", "y_pred"]


@pytest.fixture
def ages():
    task = patients(n=240)
    y = pd.Series(20.0 + 50 * task.X["hsa-miR-5"].rank(pct=True), index=task.y.index, name="age_years")
    return replace(task, name="age_years", y=y)


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_quantities_come_with_intervals(ages, scheme):
    splits = make_splits(ages, scheme, n_splits=4)
    table = cross_validate(ages, {"ridge": quantity_recipe("ridge")}, splits, scheme=scheme, progress=False)
    bounds = [f"{side}_{level}" for level in (0.5, 0.8, 0.9) for side in ("low", "high")]
    assert list(table.columns[7:]) == ["donor_id", "y_true", "y_pred", *bounds]
    assert sorted(table["sample_id"]) == sorted(ages.X.index)
    pd.testing.assert_series_equal(table.set_index("sample_id")["y_true"].loc[ages.y.index], ages.y, check_names=False)
    for level in (0.5, 0.8, 0.9):
        low, high = table[f"low_{level}"], table[f"high_{level}"]
        assert ((low <= table["y_pred"]) & (table["y_pred"] <= high)).all()
        assert ((low <= table["y_true"]) & (table["y_true"] <= high)).mean() == pytest.approx(level, abs=0.1)
    assert np.corrcoef(table["y_true"], table["y_pred"])[0, 1] > 0.9


def test_cache_is_of_donors(tmp_path):
    task = patients()
    splits = make_splits(task, "patient_kfold")
    model = {"dummy": Pipeline([("classifier", DummyClassifier())])}
    arguments = {"scheme": "patient_kfold", "cache": tmp_path, "progress": False}
    cross_validate(task, model, splits, **arguments)
    cross_validate(task, model, splits, **arguments)
    assert len(list(tmp_path.glob("*.parquet"))) == 5
    cross_validate(replace(task, donors=task.donors + "x"), model, splits, **arguments)
    assert len(list(tmp_path.glob("*.parquet"))) == 10
