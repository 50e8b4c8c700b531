"""Recipes for a quantity: each finds it, or is a baseline that should not; intervals come with all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from srna_lib.errors import InputError
from srna_lib.models.intervals import IntervalRegressor
from srna_lib.models.recipes import CONDITIONED, QUANTITY_RECIPES, quantity_recipe

QUICK = {"forest": {"regressor__estimator__n_estimators": 20}}


@pytest.fixture(scope="module")
def data():
    """Age multiplies five sRNAs; two cohorts differ in everything but that; raw counts and context columns."""
    rng = np.random.default_rng(0)
    n = 500
    age = rng.uniform(20, 80, n)
    rates = np.full((n, 30), 200.0) * rng.uniform(0.5, 2, 30)
    rates[:, :5] *= np.exp((age - 50) / 25)[:, None]
    cohort = np.arange(n) % 2
    rates[cohort == 1, 10:20] *= 3
    X = pd.DataFrame(rng.poisson(rates), columns=[f"hsa-miR-{i}" for i in range(30)]).astype(float)
    X["hsa-miR-0"] = X["hsa-miR-0"].clip(lower=1)
    for i in (0, 1):
        X[f"context:dataset_id=C{i}"] = (cohort == i).astype(float)
    return X, age


def seen(name, X):
    context = X.columns.str.startswith("context:")
    if name == "metadata":
        return X.loc[:, context]
    return X if name in CONDITIONED else X.loc[:, ~context]


@pytest.mark.parametrize("name", list(QUANTITY_RECIPES))
def test_recipe_predicts_from_raw_counts(data, name):
    X, age = data
    X = seen(name, X)
    model = quantity_recipe(name, **QUICK.get(name, {})).fit(X[:300], age[:300])
    assert isinstance(model["regressor"], IntervalRegressor)
    error = np.abs(model.predict(X[300:]) - age[300:]).mean()
    if name in ("mean", "metadata"):
        assert 12 < error < 18  # the spread itself
    else:
        assert error < 6
    inner = model[:-1].transform(X[300:])
    for level, (low, high) in model[-1].predict_interval(inner).items():
        covered = ((low <= age[300:]) & (age[300:] <= high)).mean()
        assert covered == pytest.approx(float(level), abs=0.12)


@pytest.mark.parametrize("name", ["ridge", "forest", "kernel", "partial_pooling"])
def test_same_seed_same_predictions(data, name):
    X, age = data
    X = seen(name, X)
    first, again, other = (
        quantity_recipe(name, seed=s, **QUICK.get(name, {})).fit(X[:80], age[:80]).predict(X[80:]) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    if name == "forest":  # nothing random in the others
        assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", [n for n in QUANTITY_RECIPES if n != "metadata"])
def test_joined_values_skip_the_normalisation(data, name):
    """Log-scale columns, some negative, beside counts: counts are normalised as if those were not there."""
    X, age = data
    X = seen(name, X).copy()
    values = np.random.default_rng(1).normal(size=(500, 3))
    for i in range(3):
        X.insert(i, f"normalised:tRF-{i}", values[:, i])
    model = quantity_recipe(name, joined=True, **QUICK.get(name, {})).fit(X[:80], age[:80])
    out = model[:1].transform(X)
    np.testing.assert_allclose(out.filter(like="normalised:"), values)
    counts = X.filter(regex="^(?!normalised)")
    plain = quantity_recipe(name)[:1].fit(counts[:80]).transform(counts)
    np.testing.assert_allclose(out.filter(like="hsa-miR"), pd.DataFrame(plain).iloc[:, :30])
    assert np.isfinite(model.predict(X)).all()


def test_weights_by_relevance_are_inside_the_folds_of_the_intervals(data):
    """On noise, the residuals of the intervals are as large as the errors on new samples."""
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.poisson(100, (400, 300)), columns=[f"hsa-miR-{i}" for i in range(300)]).astype(float)
    y = rng.normal(60, 10, 400)
    model = quantity_recipe("kernel").fit(X[:200], y[:200])
    inner = np.abs(model[-1].residuals_).mean()
    assert inner == pytest.approx(np.abs(model.predict(X[200:]) - y[200:]).mean(), rel=0.15)


def test_parameters_can_be_changed():
    assert quantity_recipe("ridge", regressor__levels=(0.9,))["regressor"].levels == (0.9,)
    pooled = quantity_recipe("partial_pooling", regressor__estimator__own=2.0)["regressor"].estimator
    assert (pooled.shared, pooled.own) == (1.0, 2.0)
    own = {n: quantity_recipe(n)["regressor"].estimator.own for n in ("tissue_input", "per_tissue")}
    assert own == {"tissue_input": 0.0, "per_tissue": 1.0}
    assert quantity_recipe("per_tissue")["regressor"].estimator.shared == 0.0


def test_recipe_can_be_cloned():
    for name in QUANTITY_RECIPES:
        assert clone(quantity_recipe(name, seed=2)).get_params().keys() == quantity_recipe(name).get_params().keys()


def test_unknown_recipe_or_parameter():
    with pytest.raises(InputError, match="unknown recipe of a quantity 'lasso': expected one of ridge, forest"):
        quantity_recipe("lasso")
    with pytest.raises(InputError, match=r"recipe 'ridge'.*colour"):
        quantity_recipe("ridge", regressor__colour="red")


@pytest.mark.parametrize("name", list(QUANTITY_RECIPES))
def test_a_constant_target_is_predicted_without_an_error(data, name):
    X = seen(name, data[0])[:60]
    model = quantity_recipe(name, **QUICK.get(name, {})).fit(X, np.full(60, 40.0))
    np.testing.assert_allclose(model.predict(X), 40.0)


def test_counts_that_are_none(data):
    X, age = data
    bad = seen("ridge", X).copy()
    bad.iloc[0, 0] = -1.0
    with pytest.raises(ValueError, match="Negative values"):
        quantity_recipe("ridge").fit(bad, age)
