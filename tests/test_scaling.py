"""Trimmed-mean library sizes: analytic cases, invariants, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from srna_lib.models.preprocess import TrimmedMeanLog


@pytest.fixture
def counts():
    return np.random.default_rng(0).poisson(50, (30, 40)).astype(float) + 1


def test_depth_does_not_matter(counts):
    model = TrimmedMeanLog(prior=0.0).fit(counts)
    np.testing.assert_allclose(model.transform(counts * 7), model.transform(counts), atol=1e-9)


def test_one_sample_like_the_reference_keeps_its_logs(counts):
    same = np.repeat(counts[:1], 5, axis=0)
    np.testing.assert_allclose(TrimmedMeanLog().fit_transform(same), np.log2(same + 0.5))


def test_a_change_of_few_abundant_srnas_moves_nothing_else(counts):
    changed = counts.copy()
    changed[:, :4] *= 100  # a tenth of the sRNAs, nearly all reads
    model = TrimmedMeanLog().fit(counts)
    before, after = model.transform(counts)[:, 4:], model.transform(changed)[:, 4:]
    assert np.abs(after - before).max() < 0.2
    share = np.log2(changed[:, 4:] / changed.sum(axis=1, keepdims=True)) - np.log2(
        counts[:, 4:] / counts.sum(axis=1, keepdims=True)
    )
    assert np.abs(share).min() > 2  # where reads per million do


def test_only_features_that_most_samples_express_are_steady(counts):
    counts[:3, 5] = 0
    model = TrimmedMeanLog().fit(counts)
    assert not model.steady_[5]
    assert model.steady_.sum() == 39
    assert TrimmedMeanLog().fit(counts[:, :8]).steady_.all()  # too few sRNAs to choose from


def test_one_zero_in_all_srnas_but_one_leaves_more_than_that_one_to_rest_on(counts):
    """Each of the others lacks one sample: as steady as one another, though a single sRNA is in every sample."""
    holes = counts.copy()
    holes[np.arange(1, 40) % 30, np.arange(1, 40)] = 0
    changed = holes.copy()
    changed[:, 0] *= 100
    model = TrimmedMeanLog().fit(holes)
    assert model.steady_.sum() == 40
    np.testing.assert_allclose(model.transform(changed)[:, 1:], model.transform(holes)[:, 1:], atol=0.2)


def test_what_is_learned_comes_from_training_samples(counts):
    model = TrimmedMeanLog().fit(counts)
    alone = model.transform(counts[:1])
    np.testing.assert_array_equal(alone, model.transform(counts)[:1])


def test_clones_and_keeps_names(counts):
    model = clone(TrimmedMeanLog(trim=0.1)).fit(counts)
    assert model.trim == 0.1
    assert len(model.get_feature_names_out()) == 40


@pytest.mark.parametrize("trim", [-0.1, 0.5, 2])
def test_trim_out_of_range(counts, trim):
    with pytest.raises(ValueError, match="expected a share from 0 to below one half"):
        TrimmedMeanLog(trim=trim).fit(counts)


def test_negative_counts(counts):
    with pytest.raises(ValueError, match="Negative values"):
        TrimmedMeanLog().fit(-counts)


def test_another_number_of_features(counts):
    with pytest.raises(ValueError, match="features"):
        TrimmedMeanLog().fit(counts).transform(counts[:, :5])
