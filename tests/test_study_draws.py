"""Bootstrap over studies: draws, weighted means and medians."""

from __future__ import annotations

import numpy as np
import pytest

from srna_lib.evaluate.bootstrap import study_interval, study_weights, weighted_mean, weighted_median


def test_studies_come_and_go_as_a_whole():
    studies = np.array(["b", "a", "b", "c"])
    weights = study_weights(studies, 50, seed=1)
    assert weights.shape == (51, 4)
    assert (weights[0] == 1).all()
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    assert (weights[1:, [0, 1, 3]].sum(axis=1) == 3).all()  # as many studies as there are
    assert len(np.unique(weights[1:], axis=0)) > 5
    np.testing.assert_array_equal(weights, study_weights(studies, 50, seed=1))


def test_a_weighted_mean_leaves_missing_values_out():
    values = np.array([1.0, np.nan, 3.0])
    weights = np.array([[1.0, 1, 1], [2, 5, 0], [0, 1, 0]])
    np.testing.assert_array_equal(weighted_mean(values, weights), [2, 1, np.nan])


def test_a_weighted_median_counts_missing_values_as_the_largest():
    values = np.array([5.0, np.nan, 1.0, 3.0])
    weights = np.array([[1.0, 1, 1, 1], [1, 0, 0, 0], [0, 3, 1, 1], [1, 0, 3, 1]])
    np.testing.assert_array_equal(weighted_median(values, weights), [3, 5, np.nan, 1])


@pytest.mark.parametrize("seed", range(5))
def test_the_weighted_median_is_that_of_the_repeated_values(seed):
    rng = np.random.default_rng(seed)
    values, weights = rng.integers(0, 9, 15).astype(float), rng.integers(0, 4, (6, 15)).astype(float)
    for row, found in zip(weights, weighted_median(values, weights), strict=True):
        repeated = np.sort(np.repeat(values, row.astype(int)))
        assert found == repeated[(len(repeated) - 1) // 2]


def test_intervals_ignore_replicates_without_a_value():
    assert study_interval(np.array([1.0, np.nan, 3.0, 2.0]), 1.0) == (1, 3)
    assert np.isnan(study_interval(np.array([np.nan]))).all()
