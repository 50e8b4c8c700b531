"""Recipes and the two-stage forest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from srna_lib.errors import InputError
from srna_lib.models import RECIPES, TwoStageForest, recipe
from srna_lib.preprocess import feature_names

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


@parametrize_with_checks(
    [TwoStageForest(n_select_trees=5, n_trees=5, n_features_kept=5, balanced=b, random_state=0) for b in (True, False)]
)
def test_forest_keeps_scikit_learns_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", list(RECIPES))
def test_recipe_predicts_from_raw_counts(counts, name):
    X, y = counts
    model = recipe(name, seed=1, **QUICK.get(name, {})).fit(X.iloc[::2], y.iloc[::2])
    probability = model.predict_proba(X.iloc[1::2])
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-6)
    accuracy = (model.predict(X.iloc[1::2]) == y.iloc[1::2]).mean()
    assert accuracy == 0.5 if name == "dummy" else accuracy > 0.95


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
    assert forest.balanced
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


def test_unbalanced_forest_on_all_features_is_scikit_learns(counts):
    X, y = counts
    X = X.to_numpy(dtype=np.float32)
    ours = TwoStageForest(n_select_trees=5, n_trees=30, balanced=False, random_state=5).fit(X, y)
    theirs = RandomForestClassifier(30, random_state=5).fit(X, y)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))


def test_down_sampling_gives_every_class_the_size_of_the_smallest():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(110, 4)), np.repeat([0, 1], [100, 10])
    forest = TwoStageForest(n_select_trees=3, n_trees=5, random_state=0).fit(X, y)
    for tree in forest.forest_.estimators_:
        assert tree.tree_.weighted_n_node_samples[0] == 20


def test_unknown_recipe_is_named_with_a_suggestion():
    with pytest.raises(InputError, match=r"unknown recipe 'dl_papr'.*did you mean 'dl_paper'"):
        recipe("dl_papr")


def test_unknown_parameter_is_named():
    with pytest.raises(InputError, match=r"recipe 'rf_plain'.*trees"):
        recipe("rf_plain", classifier__trees=5)


def test_recipe_can_be_cloned():
    for name in RECIPES:
        assert clone(recipe(name, seed=2)).get_params().keys() == recipe(name).get_params().keys()
