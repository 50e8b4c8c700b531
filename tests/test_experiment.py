"""Profiles, several recipes on one split, and the tables that notebooks show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_validate import make, patients

from srna_lib.data.atlas import make_atlas
from srna_lib.data.task import Task
from srna_lib.errors import InputError
from srna_lib.evaluate import controls, crossval
from srna_lib.evaluate.controls import compare_levels, merging_effect, null_scores, run_null
from srna_lib.evaluate.crossval import (
    PROFILES,
    Profile,
    build_recipe,
    compare_labels,
    compare_sizes,
    cross_validate,
    get_profile,
    mended_labels,
)
from srna_lib.evaluate.metrics import coverage_by_study, score
from srna_lib.models.recipes import CONDITIONED, quantity_recipe, recipe

TINY = Profile(n_splits=3, repeats=2, n_boot=50, changes=PROFILES["smoke"].changes)


@pytest.fixture(scope="module")
def task():
    return make(["brain", "blood", "liver"] * 20, [f"S{i // 5:02d}" for i in range(60)])


def test_repeats_are_drawn_anew_and_named(task):
    table = cross_validate(task, ["rf_plain"], "random_5fold", profile=TINY, progress=False)
    assert sorted(table["fold"].unique()) == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]
    assert (table["sample_id"].value_counts() == 2).all()
    tests = table.groupby("fold")["sample_id"].agg(frozenset)
    assert not set(tests[:3]) & set(tests[3:])
    assert score(table, n_boot=20)["n_samples"].iloc[0] == len(task.y)


def test_studies_left_out_are_limited_and_seeded(task):
    profile = Profile(max_datasets_out=3)
    studies = [
        set(cross_validate(task, ["dummy"], "one_dataset_out", profile=profile, seed=s, progress=False)["dataset_id"])
        for s in (0, 0, 1)
    ]
    assert len(studies[0]) == 3
    assert studies[0] == studies[1] != studies[2]


def test_models_share_splits(task):
    table = cross_validate(task, ["dummy", "rf_plain"], "grouped_kfold", profile=TINY, progress=False)
    folds = {m: part.set_index("sample_id")["fold"] for m, part in table.groupby("model")}
    pd.testing.assert_series_equal(folds["dummy"], folds["rf_plain"])


@pytest.mark.parametrize(("alias", "scheme"), [("random", "random_5fold"), ("study", "grouped_kfold")])
def test_plain_names_of_splits_stand_for_those_on_disk(task, alias, scheme):
    tables = [cross_validate(task, "dummy", s, n_splits=3, progress=False) for s in (alias, scheme)]
    pd.testing.assert_frame_equal(*tables)
    assert set(tables[0]["scheme"]) == {scheme}
    with pytest.raises(InputError, match="no recipe was named"):
        cross_validate(task, [], alias)


def test_one_study_cannot_be_left_out(task):
    """It ended in pandas' "No objects to concatenate"."""
    alone = replace(task, groups=task.groups.map(lambda _: "S0"))
    with pytest.raises(InputError, match=r"1 studies, none of which leaves .*; expected two studies or more"):
        cross_validate(alone, "dummy", "one_dataset_out", progress=False)


def test_changes_of_a_profile_fit_the_recipes():
    for profile in PROFILES.values():
        for name, changes in profile.changes.items():
            if name.startswith("quantity "):
                quantity_recipe(name.removeprefix("quantity "), **changes)
            else:
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
    profile = Profile(max_datasets_out=5)
    table = compare_labels(atlas, ("tissue_group", "lineage"), ["dummy"], profile=profile, progress=False)
    first, second = (table[table["task"] == c] for c in ("tissue_group", "lineage"))
    assert list(first["sample_id"]) == list(second["sample_id"])
    assert list(first["fold"]) == list(second["fold"])
    assert not set(first["sample_id"]) & set(obs.index[:3])
    assert set(second["y_true"]) == {"brain", "solid"}


def test_labels_that_can_leave_out_different_studies_are_compared_on_those_that_both_can(task):
    """A study with a class of its own by the second name cannot be left out there, so the two draws would differ."""
    obs = pd.DataFrame({"dataset_id": task.groups, "tissue_group": task.y}, index=task.y.index)
    alone = sorted(obs["dataset_id"].unique())[:3]
    obs["lineage"] = obs["tissue_group"].mask(obs["dataset_id"].isin(alone), "own " + obs["dataset_id"]).astype(object)
    atlas = make_atlas(task.X, obs, info={"name": "toy"})
    options = {"min_class_size": 2, "profile": Profile(max_datasets_out=1), "progress": False}
    for seed in range(5):
        table = compare_labels(atlas, ("tissue_group", "lineage"), ["dummy"], seed=seed, **options)
        assert table["dataset_id"].nunique() == 1 and not set(table["dataset_id"]) & set(alone)


def test_labels_without_a_study_that_both_can_leave_out_leave_nothing_to_compare(task):
    obs = pd.DataFrame({"dataset_id": task.groups, "tissue_group": task.y}, index=task.y.index)
    obs["lineage"] = ("own " + obs["dataset_id"]).astype(object)  # every class in one study
    atlas = make_atlas(task.X, obs, info={"name": "toy"})
    table = compare_labels(atlas, ("tissue_group", "lineage"), ["dummy"], min_class_size=2, progress=False)
    assert table.empty and mended_labels(table).empty


def test_classes_made_too_small_by_the_other_label_are_left_out(task):
    obs = pd.DataFrame({"dataset_id": task.groups, "tissue_group": task.y}, index=task.y.index)
    obs["lineage"] = obs["tissue_group"].where(obs["tissue_group"] != "liver", None).astype(object)
    atlas = make_atlas(task.X, obs, info={"name": "toy"})
    table = compare_labels(atlas, ("tissue_group", "lineage"), ["dummy"], profile=Profile(), progress=False)
    assert "liver" not in set(table["y_true"])


def test_one_name_for_all_samples_leaves_nothing_to_compare(task):
    obs = pd.DataFrame({"dataset_id": task.groups, "tissue_group": task.y}, index=task.y.index)
    atlas = make_atlas(task.X, obs, info={"name": "toy"})
    table = compare_labels(atlas, ("tissue_group", "tissue_group"), ["dummy"])
    assert table.empty and mended_labels(table).empty


def test_mended_labels_are_wrong_by_the_first_name_and_correct_by_the_second():
    rows = {"sample_id": list("abcabc"), "task": ["one"] * 3 + ["two"] * 3, "model": "m"}
    rows |= {"y_true": ["x", "x", "y", "u", "u", "v"], "y_pred": ["y", "x", "x", "u", "u", "u"]}
    mended = mended_labels(pd.DataFrame(rows))  # b was right already, c stays wrong
    assert mended.to_dict("records") == [{"y_true": "x", "y_pred": "y", "second": "u", "samples": 1}]


def test_class_sizes_are_compared_and_the_same_samples_run_once(task, monkeypatch):
    obs = pd.DataFrame({"dataset_id": task.groups, "tissue_group": task.y}, index=task.y.index)
    atlas, runs = make_atlas(task.X, obs, info={"name": "toy"}), []
    run = crossval.cross_validate
    monkeypatch.setattr(crossval, "cross_validate", lambda *a, **o: runs.append(1) or run(*a, **o))
    table = compare_sizes(atlas, "tissue_group", ["dummy"], (1, 2), progress=False)
    assert list(table["task"].unique()) == [f"tissue_group, classes of at least {n}" for n in (1, 2)] and len(runs) == 1
    first, second = (part.drop(columns="task").reset_index(drop=True) for _, part in table.groupby("task", sort=False))
    pd.testing.assert_frame_equal(first, second)


@pytest.fixture(scope="module")
def persons():
    """A task of patients, and the atlas that it could come from."""
    task = patients(n=180)
    obs = pd.DataFrame({"dataset_id": task.groups, "sex": task.y, "donor_id": task.donors}, index=task.y.index)
    obs["tumour_normal"] = ["tumour", "tumour", "normal"] * 60
    return task, make_atlas(task.X, obs, info={"name": "toy"})


def test_conditioned_recipes_see_context_and_others_do_not(persons):
    task, atlas = persons
    names = [*CONDITIONED, "metadata", "logistic"]
    tables = [cross_validate(task, names, "patient_kfold", profile=TINY, progress=False, atlas=atlas) for _ in range(2)]
    pd.testing.assert_frame_equal(*tables)  # same seed, same predictions
    accuracy = tables[0].groupby("model").apply(lambda t: (t["y_true"] == t["y_pred"]).mean(), include_groups=False)
    assert (accuracy.drop("metadata") > 0.9).all()
    assert accuracy["metadata"] < 0.7  # the sRNAs know it, the context does not
    assert set(tables[0]["features"]) == {"sRNA"}
    changed = atlas.copy()
    changed.obs["dataset_id"] = "one"
    other = cross_validate(task, names, "patient_kfold", profile=TINY, progress=False, atlas=changed)
    for name in names:
        first, second = (t[t["model"] == name].filter(like="p_").to_numpy() for t in (tables[0], other))
        assert np.array_equal(first, second) == (name == "logistic")


def test_recipes_that_read_context_need_the_atlas(persons):
    for name in (*CONDITIONED, "metadata"):
        with pytest.raises(InputError, match=f"recipe '{name}' reads the covariates of a sample; expected the atlas"):
            cross_validate(persons[0], [name], "patient_kfold", profile=TINY, progress=False)


def test_weights_are_pooled_over_the_first_context(persons):
    task, atlas = persons
    for target, step in ((task.y, "classifier__by"), (task.X.iloc[:, 0], "regressor__estimator__by")):
        changed = replace(task, y=target.astype(float) if step.startswith("reg") else target)
        model = build_recipe(changed, "partial_pooling", seed=0, profile=TINY, by="tumour_normal")
        assert model.get_params()[step] == "tumour_normal"
    cross_validate(
        task,
        ["partial_pooling"],
        "patient_kfold",
        profile=TINY,
        progress=False,
        atlas=atlas,
        context=("tumour_normal",),
    )


def test_a_quantity_has_recipes_of_its_own(persons):
    task, atlas = persons
    age = replace(task, name="age_years", y=20 + task.X["hsa-miR-5"].rank())
    models = ["ridge", "forest", "partial_pooling", "metadata", "mean"]
    table = cross_validate(age, models, "patient_kfold", profile=PROFILES["smoke"], progress=False, atlas=atlas)
    error = (table["y_true"] - table["y_pred"]).abs().groupby(table["model"]).mean()
    assert error[["ridge", "forest", "partial_pooling"]].max() < 0.5 * error[["metadata", "mean"]].min()
    assert {"low_0.9", "high_0.9"} <= set(table.columns)
    forest = build_recipe(age, "forest", seed=0, profile=PROFILES["smoke"])
    assert forest["regressor"].estimator.n_estimators == 10
    with pytest.raises(InputError, match="unknown recipe of a quantity 'logistic'"):
        build_recipe(age, "logistic", seed=0, profile=TINY)


@pytest.mark.parametrize("model", ["logistic", "partial_pooling", "metadata"])
def test_joined_features_are_noticed(persons, model):
    task, atlas = persons
    values = pd.DataFrame({"normalised:tRF-1": np.where(task.y == "male", 5.0, -5.0)}, index=task.X.index)
    both = replace(task, X=pd.concat([task.X.iloc[:, 6:], values], axis=1), features="both")
    table = cross_validate(both, [model], "patient_kfold", profile=TINY, progress=False, atlas=atlas)
    assert ((table["y_true"] == table["y_pred"]).mean() > 0.95) == (model != "metadata")
    assert set(table["features"]) == {"both"}


def test_a_null_shuffles_labels_anew_each_time_and_within_strata(persons):
    task, atlas = persons
    options = {"n_permutations": 3, "within": ("dataset_id",), "profile": TINY, "progress": False}
    null = run_null(task, atlas, "dummy", "donor", **options)
    assert set(null["model"]) == {"dummy, labels shuffled"}
    labels = null.pivot(index="sample_id", columns="permutation", values="y_true").loc[task.y.index]
    assert not any(labels[i].equals(labels[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert not any(labels[i].equals(task.y) for i in range(3))
    first = ~task.donors.duplicated()
    counts = [pd.crosstab(task.groups[first], y[first]) for y in (task.y, *(labels[i] for i in range(3)))]
    assert all((c.to_numpy() == counts[0].to_numpy()).all() for c in counts[1:])
    values = null_scores(null, ["accuracy", "brier"])
    assert values["permutation"].tolist() == [0, 0, 1, 1, 2, 2] and values["value"].notna().all()
    assert values.query("metric == 'brier'")["value"].nunique() > 1
    again = run_null(task, atlas, "dummy", "donor", **options)
    pd.testing.assert_frame_equal(again, null)


def test_constant_targets_and_classes_too_small_are_refused_in_a_sentence(persons):
    task, _ = persons
    with pytest.raises(InputError, match="all samples are 5; expected values that differ"):
        cross_validate(replace(task, y=pd.Series(5.0, index=task.y.index)), "mean", "random")
    with pytest.raises(InputError, match="no class has 500 samples"):
        cross_validate(task, "dummy", "random", n_splits=500)


def two_namings(mixed: float, n=240, seed=0):
    """Classes a to d by their first name; by the second a, b are A and c, d are C, but some of b belong to C."""
    rng = np.random.default_rng(seed)
    true = np.array(list("abcd"))[np.arange(n) % 4]
    predicted = np.where(
        rng.random(n) < 0.6, true, np.array([{"a": "b", "b": "a", "c": "d", "d": "c"}[t] for t in true])
    )
    moved = (true == "b") & (rng.random(n) < mixed)
    second = np.where(moved | np.isin(true, ["c", "d"]), "C", "A")
    told = np.where(moved, "C", np.where(np.isin(predicted, ["c", "d"]), "C", "A"))
    head = {"sample_id": [f"s{i}" for i in range(n)], "dataset_id": [f"S{i % 12}" for i in range(n)], "model": "m"}
    head |= {"features": "sRNA", "scheme": "one_dataset_out", "fold": [f"S{i % 12}" for i in range(n)]}
    tables = []
    for task, y, guess in (("first", true, predicted), ("second", second, told)):
        t = pd.DataFrame(head | {"task": task, "y_true": y, "y_pred": guess})
        tables.append(t.join(pd.DataFrame({f"p_{c}": np.where(guess == c, 0.7, 0.1) for c in sorted(set(y))})))
    return pd.concat(tables, ignore_index=True)


def test_what_merging_alone_gains_is_told_from_what_other_names_gain():
    table = two_namings(mixed=0.0)
    value = merging_effect(table, draws=50, n_boot=50).set_index(["task", "metric"])["value"].unstack()
    assert list(value.index.sort_values()) == ["first", "first merged", "first merged at random to 2", "second"]
    assert value.loc["first merged", "accuracy"] == value.loc["second", "accuracy"] == 1  # merging explains it all
    assert value.loc["first", "accuracy"] == pytest.approx(0.6, abs=0.1)
    # of three ways to make two classes of two, one merges what is confused
    assert value.loc["first", "accuracy"] < value.loc["first merged at random to 2", "accuracy"] < 1
    mixed = merging_effect(two_namings(mixed=0.4), draws=50, n_boot=50).set_index(["task", "metric"])["value"].unstack()
    assert mixed.loc["first merged", "accuracy"] == 1 and mixed.loc["second", "accuracy"] == 1
    assert merging_effect(table[:0]).empty


def test_merged_probabilities_are_sums():
    table = two_namings(mixed=0.0).query("task == 'first'").dropna(axis=1)
    merged = controls._merged(table, pd.Series({"a": "x", "d": "x"}))
    np.testing.assert_allclose(merged["p_x"], table["p_a"] + table["p_d"])
    assert set(merged["y_true"]) == {"x", "b", "c"} and list(merged["p_b"]) == list(table["p_b"])
    best = merged[["p_b", "p_c", "p_x"]].idxmax(axis=1).str.removeprefix("p_")
    assert (merged["y_pred"] == best).all()


def two_sided() -> tuple[Task, pd.DataFrame]:
    """Two sRNAs, low or high: class `one` has one of them high, class `even` both or none; no line parts the two."""
    rng = np.random.default_rng(0)
    kind = np.tile(["first", "second", "both", "none"], 60)
    level = np.where(np.c_[np.isin(kind, ["first", "both"]), np.isin(kind, ["second", "both"])], 400, 40)
    counts = rng.poisson(np.c_[level, np.full((240, 6), 400)]).astype(float)
    ids = [f"s{i:03d}" for i in range(240)]
    counts = pd.DataFrame(counts, ids, [f"hsa-miR-{i}" for i in range(8)])
    obs = pd.DataFrame({"kind": kind, "group": np.where(np.isin(kind, ["first", "second"]), "one", "even")}, ids)
    obs["all"] = np.where(np.isin(kind, ["first", "both"]), "A", "B")
    groups = pd.Series([f"S{i // 20:02d}" for i in range(240)], ids)
    return Task("group", counts, obs["group"], groups, {}), obs


def test_leaves_know_a_class_of_two_kinds_and_never_contradict_each_other():
    task, obs = two_sided()
    table = compare_levels(task, obs, ["all", "group", "kind"], ["logistic"], n_splits=4, progress=False)
    value = score(table, metrics="accuracy", n_boot=0).set_index("task")["value"]
    assert value["group, leaves summed"] > 0.9 > 0.8 > value["group, its own model"]
    parts = {name: rows.set_index("sample_id") for name, rows in table.groupby("task")}
    assert all(set(rows.index) == set(task.y.index) and rows.index.is_unique for rows in parts.values())
    for level in ("all", "group"):
        rows = parts[f"{level}, leaves summed"].dropna(axis=1)
        np.testing.assert_allclose(rows.filter(regex="^p_").sum(axis=1), 1, atol=1e-9)
        assert (rows["y_true"] == obs.loc[rows.index, level]).all()
        assert (rows["fold"] == parts[f"{level}, its own model"].loc[rows.index, "fold"]).all()


def test_classes_of_few_studies_are_no_leaves_and_samples_without_a_class_stay_out():
    task, obs = two_sided()
    obs.loc[obs.index[:3], "group"] = np.nan
    obs.loc[obs.index[5:30], "kind"] = np.nan  # of the last level it does not matter
    table = compare_levels(task, obs, ["group", "kind"], ["dummy"], n_splits=3, least=13, progress=False)
    assert set(table["sample_id"]) == set(task.y.index[3:])
    summed, own = (rows.filter(regex="^p_").dropna(axis=1) for _, rows in table.groupby("task", sort=False))
    pd.testing.assert_frame_equal(
        summed, own.set_axis(summed.index), check_like=True
    )  # twelve studies: no leaf is left
    only = compare_levels(task, obs, ["group", "group"], ["dummy"], split="one_dataset_out", progress=False)
    assert set(only["task"]) == {"group, leaves summed", "group, its own model"}
    assert (only["fold"] == only["dataset_id"]).all() and set(only["scheme"]) == {"one_dataset_out"}
    with pytest.raises(InputError, match="obs has no 'kin'"):
        compare_levels(task, obs, ["group", "kin"], ["dummy"], n_splits=3, progress=False)


def test_intervals_of_studies_never_seen_rest_on_studies_left_out():
    """Each study has a level of its own: residuals of other donors of known studies know nothing of it."""
    rng = np.random.default_rng(0)
    study = np.repeat(np.arange(16), 15)
    signal = rng.normal(size=240)
    counts = pd.DataFrame(
        rng.poisson(np.exp(5 + 0.4 * np.c_[signal, rng.normal(size=(240, 5)), rng.normal(size=(16, 4))[study]])),
        index=[f"s{i:03d}" for i in range(240)],
        columns=[f"hsa-miR-{i}" for i in range(10)],
    ).astype(float)
    y = pd.Series(50 + 5 * signal + 15 * rng.normal(size=16)[study], index=counts.index, name="age_years")
    groups = pd.Series([f"S{i:02d}" for i in study], index=counts.index)
    task = Task("age_years", counts, y, groups, {}, donors=pd.Series(counts.index, index=counts.index))
    unseen = cross_validate(task, "ridge", "one_dataset_out", progress=False)
    known = cross_validate(task, "ridge", "donor", progress=False)
    covered = coverage_by_study(pd.concat([unseen, known])).set_index("scheme")["empirical"]
    assert covered["one_dataset_out"] >= 0.82 and covered["patient_kfold"] >= 0.82
    width = {s: (t["high_0.9"] - t["low_0.9"]).mean() for s, t in (("unseen", unseen), ("known", known))}
    assert width["unseen"] > 1.15 * width["known"]
