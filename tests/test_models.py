"""Recipes and the two-stage forest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from imblearn.ensemble import BalancedRandomForestClassifier
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from srna_lib.errors import InputError
from srna_lib.models.preprocess import LogCPM, feature_names
from srna_lib.models.recipes import CONDITIONED, RECIPES, TwoStageForest, recipe, recipe_names, select_columns

QUICK = {
    "dl_paper": {"classifier__epochs": 15, "classifier__hidden": (32,), "classifier__dropout": (0.1,)},
    "dl_log": {"classifier__epochs": 15, "classifier__hidden": (32,), "classifier__dropout": (0.1,)},
    "rf_paper": {"classifier__n_select_trees": 10, "classifier__n_trees": 20},
    "rf_plain": {"classifier__n_estimators": 20},
}


@pytest.fixture(scope="module")
def counts():
    """Two classes; sRNAs 0 to 4 are ten times higher in the first, the last sRNA is absent from most samples."""
    rng = np.random.default_rng(0)
    y = np.repeat(["brain", "blood"], 30)
    rates = np.full((60, 40), 50.0)
    rates[:30, :5] *= 10
    table = pd.DataFrame(rng.poisson(rates), columns=[f"hsa-miR-{i}" for i in range(40)]).astype(float)
    table["hsa-miR-39"] = np.where(np.arange(60) % 4 == 0, table["hsa-miR-39"], 0)
    return table, pd.Series(y)


def with_cohorts(X):
    """Three cohorts that say nothing of the class."""
    cohort = (np.arange(len(X)) // 2) % 3
    return X.assign(**{f"context:dataset_id=C{i}": (cohort == i).astype(float) for i in range(3)})


@pytest.mark.slow
@parametrize_with_checks([TwoStageForest(n_select_trees=5, n_trees=5, n_features_kept=5, random_state=0)])
def test_forest_keeps_scikit_learns_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", list(RECIPES))
def test_recipe_predicts_from_raw_counts(counts, name):
    X, y = counts
    if name in (*CONDITIONED, "metadata"):
        X = with_cohorts(X) if name in CONDITIONED else with_cohorts(X).filter(like="context:")
    model = recipe(name, seed=1, **QUICK.get(name, {})).fit(X.iloc[::2], y.iloc[::2])
    probability = model.predict_proba(X.iloc[1::2])
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-6)
    accuracy = (model.predict(X.iloc[1::2]) == y.iloc[1::2]).mean()
    assert accuracy == 0.5 if name in ("dummy", "metadata") else accuracy > 0.95


@pytest.mark.parametrize("name", ["dl_paper", "rf_paper", "rf_plain", "dl_log", "logistic"])
def test_recipe_is_reproducible_and_its_seed_matters(counts, name):
    X, y = counts
    a, b, c = (recipe(name, seed=s, **QUICK.get(name, {})).fit(X, y).predict_proba(X) for s in (3, 3, 4))
    assert np.array_equal(a, b)
    if name != "logistic":  # nothing random in it
        assert not np.array_equal(a, c)


def test_the_papers_parameters():
    network = recipe("dl_paper")["classifier"]
    assert (network.hidden, network.dropout) == ((1000, 250, 250), (0.5, 0.4, 0.4))
    assert (network.epochs, network.batch_size) == (50, 30)
    forest = recipe("rf_paper")["classifier"]
    assert (forest.n_select_trees, forest.n_features_kept, forest.n_trees) == (100, 1000, 500)
    assert recipe("dl_paper")["zeros"].max_zero_share == recipe("rf_paper")["zeros"].max_zero_share == 0.3


def test_library_size_counts_the_reads_that_the_filter_drops(counts):
    X, y = counts
    model = recipe("rf_plain", **QUICK["rf_plain"]).fit(X, y)
    kept = model[:-1].transform(X)
    assert "hsa-miR-39" not in feature_names(model, X)
    expected = 1e6 * X.drop(columns="hsa-miR-39").to_numpy() / X.to_numpy().sum(axis=1, keepdims=True)
    np.testing.assert_allclose(kept, expected)


def test_nothing_is_learned_from_test_samples(counts):
    """Predictions of a sample do not depend on which other samples are predicted with it."""
    X, y = counts
    model = recipe("dl_log", **QUICK["dl_log"]).fit(X.iloc[::2], y.iloc[::2])
    together = model.predict_proba(X.iloc[1::2])
    alone = np.vstack([model.predict_proba(X.iloc[[i]]) for i in range(1, 60, 2)])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_forest_selects_the_informative_features(counts):
    X, y = counts
    forest = TwoStageForest(n_select_trees=50, n_features_kept=5, n_trees=20, random_state=0).fit(X.to_numpy(), y)
    assert set(forest.selected_) == set(range(5))
    assert forest.feature_importances_[:5].sum() == pytest.approx(1)
    assert (forest.feature_importances_[5:] == 0).all()


def test_forest_on_all_features_is_imbalanced_learns(counts):
    X, y = counts
    X = X.to_numpy(dtype=np.float32)
    ours = TwoStageForest(n_select_trees=5, n_trees=30, random_state=5).fit(X, y)
    drawn = {"sampling_strategy": "all", "replacement": True, "bootstrap": False}
    theirs = BalancedRandomForestClassifier(30, random_state=5, **drawn).fit(X, y)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))


def test_down_sampling_gives_every_class_the_size_of_the_smallest():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(110, 4)), np.repeat([0, 1], [100, 10])
    forest = TwoStageForest(n_select_trees=3, n_trees=5, random_state=0).fit(X, y)
    for tree in forest.forest_.estimators_:
        assert tree.tree_.weighted_n_node_samples[0] == 20


def test_down_sampling_draws_with_replacement():
    """Of two classes of 50 a tree sees about 63 % of the samples: many trees do not know the one that is odd."""
    X, y = np.repeat([0.0, 1.0], 50)[:, None], np.repeat([0, 1], 50)
    X[0] = 2.0
    known = TwoStageForest(n_select_trees=3, n_trees=200, random_state=0).fit(X, y).predict_proba(X)[0, 0]
    assert known == pytest.approx(1 - (1 - 1 / 50) ** 50, abs=0.1)


def test_unknown_recipe_is_named_with_a_suggestion():
    with pytest.raises(InputError, match=r"unknown recipe 'dl_papr'.*did you mean 'dl_paper'"):
        recipe("dl_papr")


def test_unknown_parameter_is_named():
    with pytest.raises(InputError, match=r"recipe 'rf_plain'.*trees"):
        recipe("rf_plain", classifier__trees=5)


def test_recipe_can_be_cloned():
    for name in RECIPES:
        assert clone(recipe(name, seed=2)).get_params().keys() == recipe(name).get_params().keys()


def test_what_conditioned_recipes_pool():
    settings = {n: recipe(n)["classifier"] for n in CONDITIONED}
    assert (settings["tissue_input"].shared, settings["tissue_input"].own) == (1.0, 0.0)
    assert (settings["per_tissue"].shared, settings["per_tissue"].own) == (0.0, 1.0)
    assert 0 < settings["partial_pooling"].own < settings["partial_pooling"].shared
    assert [n for n in CONDITIONED if settings[n].ordinal] == ["ordinal"]
    assert [n for n in CONDITIONED if settings[n].gamma is not None] == ["pooled_kernel"]


@pytest.mark.parametrize("name", CONDITIONED)
def test_conditioned_recipes_are_reproducible_and_need_the_cohort(counts, name):
    X, y = counts
    a, b = (recipe(name, seed=s).fit(with_cohorts(X), y).predict_proba(with_cohorts(X)) for s in (0, 1))
    assert np.array_equal(a, b)  # nothing random in them
    with pytest.raises(ValueError, match="no column context:dataset_id="):
        recipe(name).fit(X, y)


def test_context_is_neither_normalised_nor_filtered(counts):
    """A cohort without a sample in training keeps its column; counts are normalised as if there were no context."""
    X, y = counts
    wide = with_cohorts(X).assign(**{"context:dataset_id=unseen": 0.0})
    model = recipe("partial_pooling").fit(wide, y)
    out = model[:-1].transform(wide)
    pd.testing.assert_frame_equal(out.filter(like="context:"), wide.filter(like="context:"))
    kept = [c for c in out if not c.startswith("context:")]
    expected = pd.DataFrame(LogCPM().fit(X).transform(X), columns=X.columns)[kept]
    np.testing.assert_allclose(out[kept], expected)
    assert "hsa-miR-39" not in kept


@pytest.mark.parametrize("name", ["wccn", "lda_study", "robust"])
def test_whatever_is_added_before_the_logarithm_rare_srnas_are_left_out(counts, name):
    X, y = counts
    X = X.assign(rare=np.eye(len(X), 1).ravel())
    kept = feature_names(recipe(name).fit(X, y), X)
    np.testing.assert_array_equal(kept, feature_names(recipe("logistic").fit(X, y), X))
    assert "rare" not in kept


@pytest.mark.parametrize("name", list(RECIPES))
def test_joined_values_skip_the_normalisation(counts, name):
    X, y = counts
    if name in (*CONDITIONED, "metadata"):
        X = with_cohorts(X) if name in CONDITIONED else with_cohorts(X).filter(like="context:")
    values = np.random.default_rng(0).normal(5, 1, (60, 2))
    both = X.assign(**{"normalised:tRF-0": values[:, 0], "normalised:tRF-1": values[:, 1]})
    model = recipe(name, joined=True, **QUICK.get(name, {})).fit(both, y)
    out = model[:1].transform(both)
    np.testing.assert_allclose(out[["normalised:tRF-0", "normalised:tRF-1"]], values)
    first = recipe(name)[:1].fit(X).transform(X)
    np.testing.assert_allclose(out.drop(columns=["normalised:tRF-0", "normalised:tRF-1"]).to_numpy(), np.asarray(first))
    np.testing.assert_allclose(model.predict_proba(both).sum(axis=1), 1, atol=1e-6)


def test_joined_values_alone(counts):
    _, y = counts
    values = pd.DataFrame(np.random.default_rng(0).normal(5, 1, (60, 2)), columns=["normalised:a", "normalised:b"])
    values["normalised:a"] += 8 * (y == "brain")
    assert (recipe("logistic", joined=True).fit(values, y).predict(values) == y).all()


def test_select_columns_splits_by_prefix():
    X = pd.DataFrame([[3.0, 1.0, 1.0]], columns=["a", "context:x", "b"])
    out = select_columns(LogCPM(), other="context:").fit_transform(X)
    assert list(out.columns) == ["a", "b", "context:x"]
    np.testing.assert_allclose(out, [[np.log2(750_001), np.log2(250_001), 1.0]])


def test_names_of_recipes_are_read_or_refused():
    assert recipe_names(" logistic, dummy,logistic") == ["logistic", "dummy"]
    for text in ("", " , ", "logistic,bogus"):
        with pytest.raises(InputError, match="expected one or several of dl_paper"):
            recipe_names(text)
