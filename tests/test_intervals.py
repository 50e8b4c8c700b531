"""Prediction intervals hold what they state, know new donors' errors, and give large cohorts widths of their own."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GroupKFold
from sklearn.utils.estimator_checks import parametrize_with_checks

from srna_lib.errors import InputError
from srna_lib.models.intervals import LEVELS, IntervalRegressor
from srna_lib.models.pooled import PartialPoolingRegressor


@parametrize_with_checks([IntervalRegressor(Ridge())])
def test_scikit_learns_contract(estimator, check):
    check(estimator)


class Zero(RegressorMixin, BaseEstimator):
    """Predicts 0, so that residuals are the targets."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.zeros(len(X))


@pytest.mark.parametrize("kind", [np.asarray, lambda X: pd.DataFrame(X, columns=[f"f{i}" for i in range(X.shape[1])])])
def test_other_features_than_those_of_the_fit_are_refused_though_the_regressor_would_not(kind):
    X = np.arange(60.0).reshape(20, 3)
    fitted = IntervalRegressor(Zero()).fit(kind(X), np.arange(20.0))
    with pytest.raises(ValueError, match="feature"):
        fitted.predict(kind(X[:, :2]))


@pytest.mark.parametrize(("level", "rank"), [(0.5, 5), (0.8, 8), (0.9, 9), (0.85, 9), (0.95, 9), (0.1, 1)])
def test_quantile_is_the_conformal_one(level, rank):
    """Of 9 residuals the ceil(10 level)-th smallest: a tenth value is below it with probability level."""
    y = np.array([-3.0, 1, 4, -1.5, 9, 2.6, -5, 3.5, 0.9])
    model = IntervalRegressor(Zero(), levels=(level,), n_splits=3).fit(np.zeros((9, 1)), y)
    low, high = model.predict_interval(np.zeros((2, 1)))[f"{level:g}"]
    width = np.sort(np.abs(y))[rank - 1]
    np.testing.assert_array_equal(low, [-width, -width])
    np.testing.assert_array_equal(high, [width, width])


@pytest.mark.parametrize("noise", ["normal", "exponential", "student"])
def test_coverage_is_the_stated_one(noise):
    rng = np.random.default_rng(3)
    n = 8000
    X = rng.normal(size=(n, 4))
    error = {"normal": rng.normal(size=n), "exponential": rng.exponential(size=n), "student": rng.standard_t(3, n)}
    y = X @ [1, -2, 0.5, 0] + error[noise]
    model = IntervalRegressor(Ridge(1.0)).fit(X[:4000], y[:4000])
    for level, (low, high) in model.predict_interval(X[4000:]).items():
        covered = ((low <= y[4000:]) & (y[4000:] <= high)).mean()
        assert covered == pytest.approx(float(level), abs=0.03), level


@pytest.mark.slow
def test_coverage_over_many_small_samples():
    """Thirty training samples and more features than is wise: coverage still holds on average, or is above."""
    covered = {level: [] for level in LEVELS}
    for seed in range(150):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(60, 8))
        y = X[:, 0] + rng.normal(size=60)
        model = IntervalRegressor(LinearRegression()).fit(X[:30], y[:30])
        for level, (low, high) in model.predict_interval(X[30:]).items():
            covered[float(level)].append(((low <= y[30:]) & (y[30:] <= high)).mean())
    for level, shares in covered.items():
        assert level - 0.02 < np.mean(shares) < level + 0.06


def test_higher_levels_are_wider():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 2)), rng.normal(size=100)
    bounds = IntervalRegressor(Ridge()).fit(X, y).predict_interval(X)
    widths = [(high - low)[0] for low, high in bounds.values()]
    assert list(bounds) == ["0.5", "0.8", "0.9"]
    assert widths == sorted(widths) and len(set(widths)) == 3


def test_residuals_are_those_of_the_folds_between_donors():
    rng = np.random.default_rng(1)
    X, people = rng.normal(size=(60, 3)), rng.integers(0, 20, 60)
    y = X[:, 0] + rng.normal(size=20)[people]
    model = IntervalRegressor(Ridge(), n_splits=4).fit(X, y, groups=people)
    codes = pd.factorize(people)[0]
    for train, test in GroupKFold(4, shuffle=True, random_state=0).split(X, y, codes):
        assert not set(people[train]) & set(people[test])
        expected = y[test] - Ridge().fit(X[train], y[train]).predict(X[test])
        np.testing.assert_allclose(model.residuals_[test], expected)


class Memory(RegressorMixin, BaseEstimator):
    """Knows every donor that it has seen: column 0 names the donor."""

    def fit(self, X, y):
        self.seen_ = dict(zip(X[:, 0], y, strict=True))
        return self

    def predict(self, X):
        return np.array([self.seen_.get(k, 0.0) for k in X[:, 0]])


def test_a_model_that_remembers_donors_does_not_get_narrow_intervals():
    rng = np.random.default_rng(2)
    people = np.repeat(np.arange(50), 4)
    y = rng.normal(size=50)[people]
    X = people[:, None].astype(float)
    honest = IntervalRegressor(Memory(), levels=(0.9,)).fit(X, y, groups=people).widths_[None][0.9]
    leaky = IntervalRegressor(Memory(), levels=(0.9,)).fit(X, y).widths_[None][0.9]
    assert honest > 1.2
    assert leaky < 0.01


def cohorts(sizes, spreads, seed=0):
    rng = np.random.default_rng(seed)
    name = np.repeat(list(sizes), list(sizes.values()))
    y = rng.normal(size=len(name)) * np.array([spreads[n] for n in name])
    X = pd.DataFrame({"hsa-miR-1": rng.normal(size=len(name))})
    for n in sizes:
        X[f"context:dataset_id={n}"] = (name == n).astype(float)
    return X, y, name


def test_large_cohorts_have_widths_of_their_own():
    sizes, spreads = {"wide": 400, "narrow": 400, "few": 40}, {"wide": 10.0, "narrow": 1.0, "few": 5.0}
    X, y, _ = cohorts(sizes, spreads)
    model = IntervalRegressor(DummyRegressor(), levels=(0.9,)).fit(X, y)
    assert set(model.widths_) == {None, "wide", "narrow"}
    new, truth, who = cohorts(sizes, spreads, seed=1)
    low, high = model.predict_interval(new)["0.9"]
    half = pd.Series((high - low) / 2).groupby(who).first()
    assert half["wide"] == pytest.approx(16.4, rel=0.15) and half["narrow"] == pytest.approx(1.64, rel=0.15)
    assert half["few"] == pytest.approx(model.widths_[None][0.9])
    covered = pd.Series((low <= truth) & (truth <= high)).groupby(who).mean()
    assert covered["wide"] == pytest.approx(0.9, abs=0.05) and covered["narrow"] == pytest.approx(0.9, abs=0.05)
    one = IntervalRegressor(DummyRegressor(), levels=(0.9,), min_residuals=10_000).fit(X, y)
    low, high = one.predict_interval(new)["0.9"]
    covered = pd.Series((low <= truth) & (truth <= high)).groupby(who).mean()
    assert covered["wide"] < 0.85 and covered["narrow"] > 0.98  # what widths of their own mend


def test_samples_of_an_unseen_cohort_get_the_shared_width():
    X, y, _ = cohorts({"a": 150, "b": 150}, {"a": 1.0, "b": 4.0})
    X["context:dataset_id=c"] = 0.0
    model = IntervalRegressor(DummyRegressor(), levels=(0.8,)).fit(X, y)
    new = X.iloc[:2].assign(**{"context:dataset_id=a": 0.0, "context:dataset_id=c": 1.0})
    low, high = model.predict_interval(new)["0.8"]
    np.testing.assert_allclose((high - low) / 2, model.widths_[None][0.8])


def test_donors_reach_an_estimator_that_asks_for_them():
    class Asking(DummyRegressor):
        seen: ClassVar[list] = []

        def fit(self, X, y, sample_weight=None, groups=None):
            type(self).seen.append(np.asarray(groups))
            return super().fit(X, y)

    people = np.array(list("aabbccddee") * 2)
    IntervalRegressor(Asking(), n_splits=5).fit(np.zeros((20, 1)), np.arange(20.0), groups=people)
    assert [len(g) for g in Asking.seen] == [16] * 5 + [20]
    assert all(len(set(g)) == 4 for g in Asking.seen[:5])


def test_same_data_same_intervals():
    X, y, _ = cohorts({"a": 40, "b": 40}, {"a": 1.0, "b": 2.0})
    model = IntervalRegressor(PartialPoolingRegressor())
    first, second = (clone(model).fit(X, y).predict_interval(X)["0.9"][0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("levels", [(0.0,), (1.0,), (0.5, 1.5), (-0.1,)])
def test_levels_are_shares(levels):
    with pytest.raises(ValueError, match=r"levels is .*; expected shares between 0 and 1"):
        IntervalRegressor(Ridge(), levels=levels).fit(np.zeros((10, 1)), np.arange(10.0))


def test_fewer_donors_than_folds():
    sentence = r"need at least 5 donors, one per inner fold; the training set has 3 \(n_samples=9\)\.$"
    with pytest.raises(InputError, match=sentence):
        IntervalRegressor(Ridge()).fit(np.zeros((9, 1)), np.arange(9.0), groups=list("aaabbbccc"))


def test_unknown_targets_are_refused():
    frame = pd.DataFrame({"a": np.arange(10.0)})
    with pytest.raises(ValueError, match="NaN"):
        IntervalRegressor(Ridge()).fit(frame, [np.nan, *range(9)])
