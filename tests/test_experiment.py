"""Profiles, several recipes on one split, and the tables that notebooks show."""

from __future__ import annotations

import pandas as pd
import pytest
from test_validate import make

from srna_lib.atlas import make_atlas
from srna_lib.errors import InputError
from srna_lib.experiment import (
    PROFILES,
    Profile,
    compare_labels,
    get_profile,
    run_models,
)
from srna_lib.metrics import score
from srna_lib.models import RECIPES, recipe

TINY = Profile("tiny", n_splits=3, repeats=2, n_boot=50, changes=PROFILES["smoke"].changes)


@pytest.fixture(scope="module")
def task():
    return make(["brain", "blood", "liver"] * 20, [f"S{i // 5:02d}" for i in range(60)])


def test_repeats_are_drawn_anew_and_named(task):
    table = run_models(task, ["rf_plain"], "random_5fold", profile=TINY, progress=False)
    assert sorted(table["fold"].unique()) == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]
    assert (table["sample_id"].value_counts() == 2).all()
    tests = table.groupby("fold")["sample_id"].agg(frozenset)
    assert not set(tests[:3]) & set(tests[3:])
    assert score(table, dataset="x", n_boot=20)[0]["n_samples"] == len(task.y)


def test_studies_left_out_are_limited_and_seeded(task):
    profile = Profile("few", max_datasets_out=3)
    studies = [
        set(run_models(task, ["dummy"], "one_dataset_out", profile=profile, seed=s, progress=False)["dataset_id"])
        for s in (0, 0, 1)
    ]
    assert len(studies[0]) == 3
    assert studies[0] == studies[1] != studies[2]


def test_models_share_splits(task):
    table = run_models(task, ["dummy", "rf_plain"], "grouped_kfold", profile=TINY, progress=False)
    folds = {m: part.set_index("sample_id")["fold"] for m, part in table.groupby("model")}
    pd.testing.assert_series_equal(folds["dummy"], folds["rf_plain"])


def test_changes_of_a_profile_fit_the_recipes():
    for profile in PROFILES.values():
        for name, changes in profile.changes.items():
            assert name in RECIPES
            recipe(name, **changes)


def test_full_changes_no_recipe_and_leaves_nothing_out():
    full = PROFILES["full"]
    assert not full.changes
    assert (full.n_splits, full.max_datasets_out, full.per_study) == (None, None, None)


def test_unknown_profile():
    with pytest.raises(InputError, match="unknown profile 'huge': expected one of smoke, demo, full"):
        get_profile("huge")


def test_two_labels_are_compared_on_the_same_samples_and_folds(task):
    obs = pd.DataFrame({"dataset_id": task.groups, "tissue_group": task.y}, index=task.y.index)
    obs["lineage"] = obs["tissue_group"].replace({"blood": "solid", "liver": "solid"}).astype(object)
    obs.iloc[:3, obs.columns.get_loc("lineage")] = None  # three samples that only one label names
    atlas = make_atlas(task.X, obs, info={"name": "toy"})
    profile = Profile("few", max_datasets_out=5)
    table = compare_labels(atlas, ("tissue_group", "lineage"), ["dummy"], profile=profile, progress=False)
    first, second = (table[table["task"] == c] for c in ("tissue_group", "lineage"))
    assert list(first["sample_id"]) == list(second["sample_id"])
    assert list(first["fold"]) == list(second["fold"])
    assert not set(first["sample_id"]) & set(obs.index[:3])
    assert set(second["y_true"]) == {"brain", "solid"}


def test_classes_made_too_small_by_the_other_label_are_left_out(task):
    obs = pd.DataFrame({"dataset_id": task.groups, "tissue_group": task.y}, index=task.y.index)
    obs["lineage"] = obs["tissue_group"].where(obs["tissue_group"] != "liver", None).astype(object)
    atlas = make_atlas(task.X, obs, info={"name": "toy"})
    table = compare_labels(atlas, ("tissue_group", "lineage"), ["dummy"], profile=Profile("all"), progress=False)
    assert "liver" not in set(table["y_true"])
