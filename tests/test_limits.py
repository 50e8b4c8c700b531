"""Limits of explanations: the simulator against the original's form, and rankings against the simulated truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import srna_lib as srna
from srna_lib.companions import (
    DESIGNS,
    Design,
    across_folds,
    attributions,
    by_length,
    design,
    fit_all,
    gaps,
    rank_all,
    retrain,
    simulate,
    study_effects,
)
from srna_lib.companions.limits import READS
from srna_lib.errors import InputError
from srna_lib.explain import model_space, precision_at_k, reference_input

SMALL = [n for n in DESIGNS if not n.startswith(("SIMU", "Simu"))]


def task_of(made):
    return srna.data.Task("simulated", made.counts, made.labels, made.studies, {})


def informative(made):
    return made.truth.columns[(made.truth != 0).any()]


# ---- the simulator


@pytest.mark.parametrize("name", ["demo", "set4", "syn_p_2"])
def test_one_step_and_two_steps_have_the_same_mean_and_spread(name):
    one, two = (simulate(name, 1500, seed=3, two_step=t) for t in (False, True))
    assert not one.counts.equals(two.counts)
    for c in one.truth.index:
        a, b = (made.counts[made.labels == c] for made in (one, two))
        assert (a.mean() / b.mean() - 1).abs().max() < 0.02
        assert (a.var() / b.var()).between(0.9, 1.1).all()


def test_levels_are_those_of_the_dirichlet():
    """The share of a group is Beta(4 gap, rest), whatever the code does to get there."""
    made = simulate("demo", 4000, seed=5)
    of_group = made.groups.set_index("feature")["group"]
    share = made.counts.T.groupby(of_group).sum().T / READS
    for c, owned in made.owned.items():
        alpha = np.array([8.0 if g in owned else 4.0 for g in share.columns])
        total = alpha.sum()
        seen = share[made.labels == c]
        assert np.allclose(seen.mean(), alpha / total, atol=0.01)
        assert np.allclose(seen.var(), alpha * (total - alpha) / total**2 / (total + 1), rtol=0.15)


@pytest.mark.parametrize("name", SMALL)
def test_every_sample_has_all_reads_and_groups_share_theirs(name):
    made = simulate(name, 60, seed=1)
    assert (made.counts.sum(axis=1) == READS).all()
    assert np.allclose(made.groups.groupby("group")["share"].sum(), 1)
    assert made.labels.nunique() == len(made.truth) == DESIGNS[name].n_classes
    assert made.counts.index.equals(made.labels.index) and made.counts.columns.equals(made.truth.columns)
    assert srna.models.ReadsPerMillion().fit_transform(made.counts).sum(axis=1) == pytest.approx(1e6)


def test_truth_is_what_is_expected_to_differ():
    made = simulate("demo", 6000, seed=2)
    mean = made.counts.groupby(made.labels).mean()
    ratio = np.log2(mean.loc["C0"] / mean.loc["C1"])
    assert (np.sign(ratio[made.truth.loc["C0"] != 0]) == made.truth.loc["C0"][made.truth.loc["C0"] != 0]).all()
    assert ratio[made.truth.loc["C0"] == 0].abs().max() < 0.1 < 0.8 < ratio[made.truth.loc["C0"] != 0].abs().min()
    owned = made.groups[made.groups["group"].isin(made.owned["C0"])]["feature"]
    assert set(made.truth.columns[made.truth.loc["C0"] == 1]) == set(owned)


def test_owned_features_do_not_stand_first():
    """Equal scores keep the order of the columns: with the owned first, knowing nothing would do."""
    made = simulate("syn_g", 4)
    flat = pd.Series(0.0, index=made.counts.columns)
    assert precision_at_k(flat, informative(made)) < 0.25


@pytest.mark.parametrize(
    ("name", "n_features", "n_true", "sizes"),
    [
        ("demo", 60, 40, {10}),
        ("set1", 26, 6, {2}),
        ("set4", 3, 3, {2}),
        ("set5", 4, 4, {2}),
        ("syn_g", 2000, 200, {10}),
        ("syn_t_50", 2000, 100, {50}),
        ("syn_p_3", 2000, 60, {10}),
        ("syn_g_5", 2000, 600, {10}),
    ],
)
def test_named_sets_are_those_of_the_original(name, n_features, n_true, sizes):
    made = simulate(name, 60)
    assert made.counts.shape[1] == n_features
    assert len(informative(made)) == n_true
    assert set(made.groups.groupby("group").size()) == sizes
    assert made.labels.value_counts().max() == (30 if name == "syn_g_5" else 60 / made.labels.nunique())


@pytest.mark.parametrize(
    ("name", "classes", "groups", "owned", "features"),
    [
        ("SIMU1", 33, 1500, 37, 15_000),
        ("SIMU2", 33, 3000, 37, 15_000),
        ("SimuA", 2, 5000, 500, 50_000),
        ("SimuB", 4, 5000, 500, 50_000),
        ("SimuC", 6, 5000, 500, 50_000),
    ],
)
def test_large_sets_have_the_published_sizes(name, classes, groups, owned, features):
    d = design(name)
    assert (d.n_classes, d.n_groups, d.owned, d.n_features or d.n_groups * d.size) == (classes, groups, owned, features)


def test_sparse_groups_overlap_and_have_three_members_or_more():
    made = simulate(replace(design("SIMU2"), n_classes=2, n_groups=300, n_features=1500), 20)
    sizes = made.groups.groupby("group").size()
    assert sizes.min() >= 3 and 9 < sizes.mean() < 11
    assert made.groups["feature"].duplicated().any()


def test_smallest_member_of_an_owned_group_counts():
    made = simulate(replace(design("syn_g"), evenness=1.0), 4, seed=7)
    least = made.groups.groupby("group")["share"].min()
    owned = least.index.isin([g for groups in made.owned.values() for g in groups])
    assert least[owned].min() >= 0.01 > least[~owned].min()


def test_families_of_srnas_are_skewed_and_studies_leave_their_mark():
    made = simulate("srna_tissue", 600, seed=1)
    sizes = made.groups.groupby("group").size()
    assert sizes.min() == 2 and sizes.max() == 10
    mean = made.counts.mean().sort_values()
    assert mean.tail(10).sum() > 0.3 * mean.sum()
    assert (made.labels.groupby(made.studies).nunique() == 2).all()
    calm = simulate(replace(design("srna_tissue"), study_sd=0.0), 600, seed=1)

    def between(one):
        logs = np.log2(one.counts[one.labels == "C0"] + 1)
        return logs.groupby(one.studies[one.labels == "C0"]).mean().var().median()

    assert between(made) > 2 * between(calm)


def test_ordinal_gap_grows_with_the_class():
    made = simulate(replace(design("srna_age"), gap=3.0, study_sd=0.0), 1500, seed=1)
    level = np.log2(made.counts + 1).groupby(made.labels).mean()
    risen = level[made.groups[made.groups["group"].isin(made.owned["C2"])]["feature"]].mean(axis=1)
    assert risen["C0"] < risen["C1"] < risen["C2"]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(SMALL))
def test_the_same_seed_gives_the_same_samples(seed, name):
    one, two, other = simulate(name, 12, seed=seed), simulate(name, 12, seed=seed), simulate(name, 12, seed=seed + 1)
    assert one.counts.equals(two.counts) and one.truth.equals(two.truth)
    assert not one.counts.equals(other.counts)


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (lambda: simulate("SIMU3"), "SIMU1"),
        (lambda: simulate("demo", 3), "at least 4"),
        (lambda: simulate("syn_p_0"), "groups"),
        (lambda: simulate("syn_t_0"), "at least one"),
        (lambda: Design(1, 10, 2), "two classes"),
        (lambda: Design(3, 10, 5), "enough groups"),
        (lambda: Design(2, 10, 2, layout="tree"), "blocks"),
        (lambda: Design(4, 10, 2, n_studies=2, classes_per_study=1), "studies"),
    ],
)
def test_what_cannot_be_simulated_is_refused(broken, what):
    with pytest.raises(InputError, match=what):
        broken()


# ---- models, rankings, gaps on a set with known truth


@pytest.fixture(scope="module")
def syn():
    """Set syn_g: models of 400 samples, and their rankings; 2000 more are predicted."""
    made = simulate("syn_g", 2400, seed=0)
    task = task_of(made)
    fold = srna.make_splits(task, "random", n_splits=6)[0]
    split = srna.evaluate.Split("0", fold.test, fold.train)
    models = fit_all(task, split.train)
    X, y = task.X.iloc[split.train], task.y.iloc[split.train]
    return made, task, split, models, X, y, rank_all(models, X, y)


def balanced(task, split, model):
    from sklearn.metrics import balanced_accuracy_score

    return balanced_accuracy_score(task.y.iloc[split.test], model.predict(task.X.iloc[split.test]))


def test_models_are_equally_good_and_chance_without_information(syn):
    made, task, split, models, *_ = syn
    reached = {name: balanced(task, split, model) for name, model in models.items()}
    assert reached["logistic L2"] >= 0.98
    assert min(v for n, v in reached.items() if n.startswith("network")) >= 0.98
    rest = srna.data.Task("rest", task.X.drop(columns=informative(made)), task.y, task.groups, {})
    for model in fit_all(rest, split.train, n_networks=1, trees=5).values():
        assert 0.45 <= balanced(rest, split, model) <= 0.58


def test_accuracy_does_not_make_a_complete_list(syn):
    made, *_, scores = syn
    found = scores.apply(precision_at_k, axis=1, truth=informative(made))
    single = found[found.index.str.fullmatch(r"network \d+")]
    assert found["logistic L2"] >= 0.98 and found["ANOVA F"] >= 0.98
    assert len(single) == 10 and single.mean() <= 0.75
    assert found["mean rank"] >= 0.90
    assert 0.05 <= found["random order"] <= 0.15
    assert abs(found["network 1, DeepLIFT"] - found["network 1"]) < 0.1


def test_permuted_labels_find_what_chance_finds(syn):
    made, task, split, *_ = syn
    y = pd.Series(np.random.default_rng(0).permutation(task.y), task.y.index)
    shuffled = srna.data.Task("permuted", task.X, y, task.groups, {})
    models = fit_all(shuffled, split.train, n_networks=1, trees=5)
    scores = rank_all(models, task.X.iloc[split.train], y.iloc[split.train])
    assert 0.04 <= precision_at_k(scores.loc["logistic L2"], informative(made)) <= 0.17


def test_attributions_add_up_on_probability_and_on_logits(syn):
    *_, models, X, y, _ = syn
    for model in (models["logistic L2"], models["network 1"]):
        found = attributions(model, X, y)
        assert found.error.max() <= 0.01
        own = np.searchsorted(model.classes_, y)
        start = model[-1].predict_proba(reference_input(model, X).to_numpy())[0]
        change = model.predict_proba(X)[np.arange(len(y)), own] - start[own]
        assert np.allclose(found.values.sum(axis=1), change, atol=0.0101)
        logits = attributions(model, X[:20], y[:20], output="logit", tolerance=0.05)
        assert logits.error.max() <= 0.05
        assert np.abs(logits.values.sum(axis=1)).mean() > 2 * np.abs(found.values.sum(axis=1)).mean()


def test_logits_of_a_linear_model_are_shared_out_exactly(syn):
    *_, models, X, y, _ = syn
    model = models["logistic L2"]
    found = attributions(model, X[:5], y[:5], output="logit", steps=1, tolerance=1e-3)
    sign = np.where(y[:5] == "C1", 1, -1)[:, None]
    assert np.allclose(found.values, sign * model[-1].coef_ * model_space(model, X[:5]).to_numpy(), atol=1e-4)
    assert (found.steps == 1).all()


def test_probability_of_a_linear_model_is_shared_out_as_its_logit():
    """Along the way the gradient keeps its direction: a_j = w_j d_j / sum(w d) * (p(x) - p(b)), in closed form."""
    made = simulate("set1", 80, seed=4)
    y = made.labels.replace("C2", "C1")
    model = srna.recipe("logistic").fit(made.counts, y)
    found = attributions(model, made.counts, y, tolerance=1e-5, steps=200).values
    part = model_space(model, made.counts).to_numpy() * model[-1].coef_
    change = model.predict_proba(made.counts) - model[-1].predict_proba(np.zeros((1, part.shape[1])))
    own = change[np.arange(80), (y == "C1").astype(int)]
    assert np.allclose(found, part / part.sum(axis=1, keepdims=True) * own[:, None], atol=2e-3)
    three = srna.recipe("logistic").fit(made.counts, made.labels)
    for output in ("probability", "logit"):
        assert attributions(three, made.counts, made.labels, output=output).error.max() <= 0.01


def test_steps_are_doubled_only_where_they_must_be(syn):
    *_, models, X, y, _ = syn
    found = attributions(models["network 1"], X, y, steps=5)
    assert found.steps.min() == 5 < found.steps.max() and found.error.max() <= 0.01
    with pytest.raises(ArithmeticError, match="expected at most"):
        attributions(models["network 1"], X, y, steps=2, most=2, tolerance=1e-6)
    with pytest.raises(InputError, match="output"):
        attributions(models["network 1"], X, y, output="odds")


def test_important_features_are_necessary_and_the_rest_is_not(syn):
    *_, models, X, y, _ = syn
    table, curves = gaps({n: models[n] for n in ("logistic L2", "network 1")}, X[::4], y[::4], step=50)
    assert (table["PGI / random"] >= 3).all() and (table["PGU / random"] <= 0.3).all()
    assert set(table.index) == {f"{n}, {k}" for n in ("logistic L2", "network 1") for k in ("local", "global")}
    assert set(curves["method"]) == set(table.index)
    assert (table.filter(like="local", axis=0)["PGI"] > table.filter(like="local", axis=0)["random"]).all()


def test_where_most_features_tell_only_the_order_of_gaps_holds():
    made = simulate(replace(design("SIMU1"), n_classes=6, n_groups=273), 240, seed=1)
    assert 0.8 < len(informative(made)) / made.counts.shape[1] < 0.83
    model = {"logistic L2": srna.recipe("logistic").fit(made.counts, made.labels)}
    table, _ = gaps(model, made.counts, made.labels, step=100)
    assert (table["PGI"] > table["random"]).all() and (table["random"] > table["PGU"]).all()


def test_lower_ranks_still_classify(syn):
    _, task, split, *_, scores = syn
    told = retrain(task, split, scores[scores.index.str.match("network|logistic L2|random")], k=200)
    right = (told["y_true"] == told["y_pred"]).groupby([told["model"], told["features"]]).mean().unstack()
    single = right[right.index.str.fullmatch(r"network \d+")].mean()
    assert single["best 10"] > 0.9 and single["next 200"] > 0.95
    assert single["middle 200"] > 0.8 and single["worst 200"] > 0.6
    assert right.loc["logistic L2", "worst 200"] < 0.58  # a complete list leaves nothing behind
    assert set(told["sample_id"]) == set(task.X.index[split.test])


def test_short_lists_of_networks_hardly_overlap(syn):
    made, *_, scores = syn
    networks = scores[scores.index.str.fullmatch(r"network \d+")]
    table = by_length(networks, [10, 200], informative(made)).set_index("k")
    assert table["overlap"].between(0, 0.6).all() and (table["overlap"] > table["chance"]).all()
    assert table["precision"][10] > 0.9 > table["precision"][200]
    assert by_length(networks, [10])["precision"].isna().all()
    same = pd.DataFrame([[3.0, 2, 1], [3, 2, 1]], columns=list("abc"), index=["x", "y"])
    assert by_length(same, [2], ["a", "c"])[["overlap", "precision"]].to_numpy().tolist() == [[1.0, 0.5]]


def test_slices_need_features_enough(syn):
    _, task, split, *_, scores = syn
    with pytest.raises(InputError, match="at least 4000"):
        retrain(task, split, scores.iloc[:1], k=2000)


@pytest.mark.slow
def test_folds_keep_studies_apart_and_are_found_again(tmp_path):
    made = simulate("srna_sex", 120, seed=0)
    task = task_of(made)
    splits = srna.make_splits(task, "study", n_splits=2)
    small = {"network": {"classifier__hidden": (4,), "classifier__dropout": (0.0,), "classifier__epochs": 1}}
    run = {"scheme": "grouped_kfold", "k": 20, "n_networks": 2, "trees": 3, "cache": tmp_path, **small}
    told = across_folds(task, splits, **run)
    assert told.equals(across_folds(task, splits, **run))
    assert len(list(tmp_path.glob("*.parquet"))) == 2
    scored = srna.score(told, metrics="balanced_accuracy", n_boot=20)
    assert {"all", "best 10", "worst 20"} <= set(scored["features"]) and (scored["n_datasets"] == 24).all()
    assert told.groupby(["model", "features"])["sample_id"].nunique().eq(120).all()


@pytest.mark.slow
def test_studies_that_hold_few_classes_spoil_rankings_more_than_random_folds_tell():
    table = study_effects([0.0, 1.0], 450, n_networks=1, trees=20, seed=1).set_index(["study_sd", "method"])
    calm, loud = table.loc[0.0], table.loc[1.0]
    assert loud["random"]["logistic L2"] > loud["study"]["logistic L2"] + 0.2
    assert abs(calm["random"]["logistic L2"] - calm["study"]["logistic L2"]) < 0.15
    assert calm["precision"]["ANOVA F"] > 0.9 > 0.7 > loud["precision"]["ANOVA F"]
    assert table["random"].notna().groupby("method").all().sum() == 4, "rankings without a model predict nothing"
