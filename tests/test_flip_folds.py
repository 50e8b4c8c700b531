"""Steps of samples that the model did not train on: one row per order, sample and other class; folds from the cache."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from srna_lib.data.task import Task
from srna_lib.errors import InputError
from srna_lib.evaluate import cross_validate, crossval, fit_fold, make_splits
from srna_lib.models.recipes import recipe
from srna_lib.stability import flips
from srna_lib.stability.confidence import firmness
from srna_lib.stability.tables import _in_all_orders, order_table

SMALL = {"classifier__hidden": (8,), "classifier__dropout": (0.0,), "classifier__epochs": 6}
FOREST = {"classifier__n_select_trees": 5, "classifier__n_trees": 5}


@pytest.fixture(scope="module")
def task() -> Task:
    rng = np.random.default_rng(0)
    y = pd.Series(np.tile(["A", "B", "C"], 20), index=[f"s{i}" for i in range(60)])
    level = 4 + 10 * (np.array(["A", "B", "C", "-", "-", "-"])[None] == y.to_numpy()[:, None])
    X = pd.DataFrame(rng.poisson(level) * 1.0, index=y.index, columns=[f"r{i}" for i in range(6)])
    groups = pd.Series([f"d{i // 6}" for i in range(60)], index=y.index)
    return Task("toy", X, y, groups, {})


@pytest.fixture(scope="module")
def splits(task):
    return make_splits(task, "random_5fold", n_splits=3, seed=0)


def run(task, splits, **options):
    forest = recipe("rf_paper", **FOREST)
    fixed = {"scheme": "random_5fold", "name": "small", "progress": False, "forest": forest}
    return flips.cross_flips(task, recipe("dl_paper", **SMALL), splits, **{**fixed, **options})


@pytest.fixture(scope="module")
def walked(task, splits):
    return run(task, splits, orders=flips.ORDERS)


def test_one_row_per_order_sample_and_other_class(task, walked):
    assert len(walked) == len(flips.ORDERS) * 60 * 2
    assert not walked.duplicated(["order", "sample_id", "other"]).any()
    assert (walked["own"] == walked["y_pred"]).all() and (walked["own"] != walked["other"]).all()
    joined = walked.drop_duplicates("sample_id").set_index("sample_id")
    assert joined.loc[task.X.index, "y_true"].tolist() == task.y.tolist()
    assert joined.loc[task.X.index, "dataset_id"].tolist() == task.groups.tolist()
    expressed = (task.X > 0).sum(axis=1)
    assert (joined["n_active"] <= expressed[joined.index]).all()


def test_controls_walk_with_some_samples_only(task, splits, walked):
    some = run(task, splits, orders=flips.ORDERS, controls=5)
    counts = some.groupby(["order", "fold"])["sample_id"].nunique()
    assert (counts["deeplift"] == 20).all() and (counts[["forest", "random"]] == 5).all()
    keys = ["order", "sample_id", "other"]
    same = some.merge(walked, on=keys, suffixes=("", "_all"))
    assert len(same) == len(some)
    assert same["stability"].equals(same["stability_all"])
    kept = _in_all_orders(some)
    assert kept.groupby("order")["sample_id"].nunique().tolist() == [15] * len(flips.ORDERS)
    assert set(order_table(some, n_boot=5)["n_paths"]) <= set(range(31))


def test_predictions_are_those_of_cross_validate(task, splits, walked):
    model = {"small": recipe("dl_paper", **SMALL)}
    other = cross_validate(task, model, splits, scheme="random_5fold", progress=False)
    columns = list(other.columns.intersection(walked.columns))
    assert columns == list(other.columns)
    ours = walked.drop_duplicates("sample_id")[columns].sort_values("sample_id", ignore_index=True)
    pd.testing.assert_frame_equal(ours, other.sort_values("sample_id", ignore_index=True), check_dtype=False)


def test_orders_agree_on_all_but_the_steps(walked):
    keys = ["sample_id", "other"]
    tables = [t.set_index(keys).sort_index() for _, t in walked.groupby("order")]
    for table in tables[1:]:
        assert table[["y_pred", "n_active", "p_A"]].equals(tables[0][["y_pred", "n_active", "p_A"]])
    assert not all(t["similarity"].equals(tables[0]["similarity"]) for t in tables[1:])


def test_a_fold_is_what_the_verb_gives_for_its_model(task, splits, walked):
    split, model = splits[1], recipe("dl_paper", **SMALL)
    fitted = fit_fold(task, model, split.train)
    importance = flips.forest_importance(task, split, recipe("rf_paper", **FOREST))
    for name, order in {"deeplift": "deeplift", "forest": importance, "random": "random"}.items():
        found = flips.steps_to_flip(fitted, task.X, order=order).set_index(["sample", "other"])
        there = walked[(walked["order"] == name) & (walked["fold"] == split.fold)].set_index(["sample_id", "other"])
        np.testing.assert_array_equal(found.loc[there.index, "leaves"], there["stability"])
        np.testing.assert_array_equal(found.loc[there.index, "steps"], there["similarity"])


def test_finished_folds_come_from_the_cache(task, splits, tmp_path, monkeypatch):
    first = run(task, splits, cache=tmp_path)
    assert len(list(tmp_path.glob("*.parquet"))) == 3
    monkeypatch.setattr(flips, "fit_fold", None)  # nothing may be fitted again
    pd.testing.assert_frame_equal(run(task, splits, cache=tmp_path), first)
    with pytest.raises(TypeError):
        run(task, splits, cache=tmp_path, masking="renormalised")


def test_folds_travel_to_other_processes(task, splits, monkeypatch):
    """What `crossval.map_folds` sends must survive pickling (that it is run there is tested there)."""

    def travelled(work, split, stem):
        return pickle.loads(pickle.dumps(work))(pickle.loads(pickle.dumps(split)))

    alone = run(task, splits)
    monkeypatch.setattr(crossval, "_do_fold", travelled)
    pd.testing.assert_frame_equal(run(task, splits), alone)


def test_a_class_missing_from_a_fold_has_probability_zero(task):
    only = flips.Split("0", np.flatnonzero(task.y != "C"), np.flatnonzero(task.y == "C")[:4])
    found = run(task, [only])
    assert (found["p_C"] == 0).all() and set(found["other"]) <= {"A", "B"}
    assert firmness(found)["wrong"].all()


def test_some_splits_is_a_seeded_choice(task):
    every = make_splits(task, "one_dataset_out")
    some = make_splits(task, "one_dataset_out", most=4, seed=1)
    assert len(every) == 10 and len(some) == 4
    assert [s.fold for s in some] == [s.fold for s in make_splits(task, "one_dataset_out", most=4, seed=1)]
    assert {s.fold for s in some} < {s.fold for s in every}
    assert len(make_splits(task, "one_dataset_out", most=99)) == 10


def test_unknown_orders_are_named(task, splits):
    with pytest.raises(InputError, match="unknown order 'best': expected one of deeplift, forest, forest_x_input"):
        run(task, splits, orders=["best"])
