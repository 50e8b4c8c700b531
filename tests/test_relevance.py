"""Weights by association: cases by hand, brute force, what does not matter, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from srna_lib.models.preprocess import MIN_GROUP, RelevanceWeights, association

FLOOR = 1e-3  # an association of zero


def draw(n=60, d=5, t=2, cohorts=3, seed=0):
    rng = np.random.default_rng(seed)
    z, targets = rng.normal(size=(n, d)) * rng.uniform(0.1, 9, d) + 4, rng.normal(size=(n, t))
    z[:, 0] += 3 * targets[:, 0]
    return z, targets, np.array([f"C{i}" for i in rng.permutation(np.arange(n) % cohorts)])


def test_by_hand_without_cohorts_large_enough():
    y = np.array([1.0, -1, 1, -1])[:, None]
    z = np.array([[1.0, 1, 7, 2], [-1, 1, 7, -2], [1, -1, 7, 2], [-1, -1, 7, -3]])
    r = np.corrcoef(z[:, 3], y[:, 0])[0, 1]
    expected = [2.0, 0.0, 0.0, 2.0 * r]  # sqrt(4 samples) times correlations of 1, 0, none (constant) and nearly 1
    np.testing.assert_allclose(association(z, y, np.array(list("abcd"))), np.array(expected) + FLOOR)


def test_targets_are_averaged_in_squares():
    one, zero = np.tile([1.0, -1], 8), np.tile([1.0, 1, -1, -1], 4)
    found = association(one[:, None], np.stack([one, zero], axis=1), np.arange(16))
    np.testing.assert_allclose(found, np.sqrt(16 * (1 + 0) / 2) + FLOOR)


def test_within_and_over_cohorts_both_count():
    half = np.tile([-1.0, 1], 4)
    level = np.repeat([-5.0, 5], 8)
    cohorts, y = np.repeat(["a", "b"], 8), np.r_[half, half]
    same, opposite = np.r_[half, half], np.r_[half, -half]
    found = association(np.stack([same, opposite, level], axis=1), y[:, None], cohorts)
    # same sign: 16 over all and 8 within each; opposite signs cancel over all; a level is no association with y
    np.testing.assert_allclose(found, [np.sqrt(16 + 8) + FLOOR, np.sqrt(8) + FLOOR, FLOOR])
    between = association(level[:, None], level[:, None] + y[:, None], cohorts)
    r = np.corrcoef(level, level + y)[0, 1]
    np.testing.assert_allclose(between, np.sqrt(16 * r**2) + FLOOR)  # and within a cohort the level is constant


def test_small_cohorts_count_in_the_whole_only():
    z, targets, _ = draw(n=2 * MIN_GROUP - 1)
    large = np.repeat(["large", "small"], [MIN_GROUP, MIN_GROUP - 1])
    rest = np.r_[large[:MIN_GROUP], [f"single {i}" for i in range(MIN_GROUP - 1)]]
    np.testing.assert_array_equal(association(z, targets, large), association(z, targets, rest))
    alone = association(z, targets, np.arange(len(z)))
    assert (association(z, targets, large) > alone).all()


@given(st.integers(0, 10**6))
def test_by_brute_force(seed):
    z, targets, cohorts = draw(n=31, d=3, cohorts=4, seed=seed)

    def squared(rows, j):
        r = [np.corrcoef(z[rows, j], y)[0, 1] for y in targets[rows].T]
        return rows.sum() * np.mean(np.square(r))

    for j, found in enumerate(association(z, targets, cohorts)):
        within = np.mean([squared(cohorts == c, j) for c in np.unique(cohorts)])
        assert found == pytest.approx(np.sqrt(squared(np.ones(31, bool), j) + within) + FLOOR)


def test_units_signs_names_and_order_do_not_matter():
    z, targets, cohorts = draw()
    expected = association(z, targets, cohorts)
    np.testing.assert_allclose(association(3 - 20 * z, 1 - 7 * targets, cohorts), expected)
    np.testing.assert_allclose(association(z, targets[:, ::-1], np.char.add("x", cohorts)), expected)
    order = np.random.default_rng(1).permutation(len(z))
    np.testing.assert_allclose(association(z[order], targets[order], cohorts[order]), expected)
    np.testing.assert_allclose(association(z[:, ::-1], targets, cohorts), expected[::-1])


def test_what_follows_the_target_weighs_most_and_nothing_is_shut_out():
    z, targets, cohorts = draw(n=300)
    z[:, 4] = 1.0
    found = association(z, targets, cohorts)
    assert found.argmax() == 0 and found[0] > 4 * np.median(found) and found[4] == FLOOR


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_training_samples_have_a_mean_squared_norm_of_one(power):
    z, targets, _ = draw()
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    model = RelevanceWeights(power).fit(z, targets[:, 0])
    weighted = model.transform(z)
    assert np.square(weighted).sum(axis=1).mean() == pytest.approx(1)
    np.testing.assert_array_equal(weighted, z * model.weights_)
    ratio = association(z, targets[:, :1], np.zeros(len(z))) ** power
    np.testing.assert_allclose(model.weights_ / model.weights_[0], ratio / ratio[0])
    if not power:
        np.testing.assert_allclose(model.weights_, 1 / np.sqrt(z.shape[1]))


def test_weights_are_of_the_training_samples():
    z, targets, _ = draw()
    model = RelevanceWeights().fit(z, targets[:, 0])
    np.testing.assert_array_equal(model.transform(z[:1]), model.transform(z)[:1])
    np.testing.assert_allclose(model.transform(100 * z), 100 * model.transform(z))


def test_nothing_is_random_and_the_input_stays_as_it_was():
    z, targets, _ = draw()
    before = z.copy()
    first, again = (RelevanceWeights().fit(z, targets[:, 0]).weights_ for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(z, before)


def test_features_that_never_vary_leave_finite_weights():
    model = RelevanceWeights().fit(np.ones((6, 3)), np.arange(6.0))
    assert np.isfinite(model.weights_).all() and (model.weights_ > 0).all()


def test_clones_and_keeps_names():
    z, targets, _ = draw()
    frame = pd.DataFrame(z, columns=[f"hsa-miR-{i}" for i in range(5)])
    model = clone(RelevanceWeights(power=1.0)).fit(frame, targets[:, 0])
    assert model.power == 1.0 and list(model.get_feature_names_out()) == list(frame.columns)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda z, y: (np.where(z == z.max(), np.nan, z), y), "contains NaN"),
        (lambda z, y: (z, np.where(y == y.max(), np.inf, y)), "contains infinity"),
        (lambda z, y: (z, np.array(["old"] * len(y), dtype=object)), "could not convert string to float"),
        (lambda z, y: (z[1:], y), "inconsistent numbers of samples"),
        (lambda z, y: (z[:, 0], y), "Expected 2D array"),
    ],
)
def test_bad_input_is_refused(spoil, message):
    z, targets, _ = draw()
    with pytest.raises(ValueError, match=message):
        RelevanceWeights().fit(*spoil(z, targets[:, 0]))


def test_transform_asks_for_a_fit_and_for_the_same_features():
    z, targets, _ = draw()
    with pytest.raises(NotFittedError):
        RelevanceWeights().transform(z)
    with pytest.raises(ValueError, match="expecting 5 features"):
        RelevanceWeights().fit(z, targets[:, 0]).transform(z[:, :4])
