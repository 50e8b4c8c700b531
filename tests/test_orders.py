"""Orders of masking: D2, chance, a fixed list, what the sample holds most of."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from srna_lib.errors import InputError
from srna_lib.models.network import DenseNetClassifier
from srna_lib.stability.flips import make_order
from srna_lib.stability.masking import MaskedInput
from srna_lib.stability.orders import deeplift_order, plain_order, random_order


def seen(X, blank=0.0, reads=None) -> MaskedInput:
    """Input of a bare network."""
    X = np.asarray(X, np.float32)
    names, reads = np.array([f"miR-{i}" for i in range(X.shape[1])], object), X if reads is None else np.asarray(reads)
    return MaskedInput(names, X, np.full(X.shape[1], blank, np.float32), X != blank, reads, None, None)


def made_network(seed: int, p: int, k: int, hidden: tuple) -> DenseNetClassifier:
    rng = np.random.default_rng(seed)
    weights = []
    for a, b in pairwise((p, *hidden, k)):
        weights += [rng.normal(size=(a, b)).astype(np.float32), rng.normal(size=b).astype(np.float32)]
    made = DenseNetClassifier(hidden=hidden, dropout=(0.0,) * len(hidden))
    made.weights_, made.n_features_in_, made.classes_ = weights, p, np.arange(k)
    return made


@pytest.fixture(scope="module")
def network():
    return made_network(0, p=6, k=3, hidden=(5,))


def test_d2_sums_to_the_change_of_the_difference_of_logits(network):
    rng = np.random.default_rng(1)
    X, reference = rng.normal(size=(4, 6)).astype(np.float32), rng.normal(size=6).astype(np.float32)
    own = network.logits(X).argmax(axis=1)
    scores = deeplift_order(network, reference).start(seen(X), own, np.arange(4))
    assert scores.shape == (4, 3, 6)
    there, base = network.logits(X), network.logits(reference[None])
    rows = np.arange(4)
    expected = (there - base)[rows, own][:, None] - (there - base)
    np.testing.assert_allclose(scores.sum(axis=2), expected, atol=1e-5)
    np.testing.assert_array_equal(scores[rows, own], 0)


def test_d2_on_the_way_is_d2_from_the_start_in_that_state(network):
    X = np.random.default_rng(2).normal(size=(4, 6)).astype(np.float32)
    own, other = np.array([0, 1, 2, 0]), np.array([1, 0, 0, 2])
    order = deeplift_order(network, np.zeros(6))
    again = order.again(X, own, other)
    np.testing.assert_allclose(again, order.start(seen(X), own, np.arange(4))[np.arange(4), other], atol=1e-5)


def test_d2_is_the_difference_of_weights_in_a_linear_network():
    linear = made_network(3, p=4, k=2, hidden=())
    W = linear.weights_[0]
    X = np.array([[1, 2, 0, 3]], np.float32)
    scores = deeplift_order(linear, np.zeros(4)).start(seen(X), np.array([0]), np.array([0]))
    np.testing.assert_allclose(scores[0, 1], X[0] * (W[:, 0] - W[:, 1]), rtol=1e-5, atol=1e-6)


def test_random_orders_belong_to_samples_not_to_blocks():
    order = random_order(3, seed=7)
    X = np.zeros((5, 6), np.float32)
    whole = order.start(seen(X), np.zeros(5, int), np.arange(5))
    np.testing.assert_array_equal(order.start(seen(X[:2]), np.zeros(2, int), np.array([3, 1])), whole[[3, 1]])
    assert not np.array_equal(whole[0], whole[1])
    assert not np.array_equal(whole[0, 0], whole[0, 1])
    assert not np.array_equal(random_order(3, seed=8).start(seen(X), np.zeros(5, int), np.arange(5)), whole)
    assert order.again is None


def test_a_fixed_order_is_the_same_for_everybody():
    rule = plain_order(lambda inputs: np.array([3.0, 1, 2]), 4)
    scores = rule.start(seen(np.zeros((2, 3))), np.zeros(2, int), np.arange(2))
    assert scores.shape == (2, 4, 3)
    assert (scores == [3, 1, 2]).all()


def test_what_a_sample_holds_most_of_goes_first(network):
    """Distance from masked, reads, and a forest's importance, alone or times that distance."""
    inputs = seen([[5, -9, 1, 0, 2, 0], [1, 1, 8, 1, 1, 1]], blank=1.0, reads=np.arange(12).reshape(2, 6))
    importance = pd.Series({"miR-0": 3.0, "miR-5": 8.0, "miR-1": 1.0, "miR-99": 9.0})  # a forest may lack some
    distance = np.array([[4, 10, 0, 1, 1, 1], [0, 0, 7, 0, 0, 0]])
    weight = np.array([3, 1, 0, 0, 0, 8])
    expected = {"input": distance, "reads": np.arange(12).reshape(2, 6), "forest_x_input": weight * distance}
    for order, scores in (expected | {"forest": np.stack([weight, weight])}).items():
        found = make_order(order, network, inputs, importance=importance)
        found = found.start(inputs, np.zeros(2, int), np.arange(2))
        assert found.shape == (2, 3, 6)
        np.testing.assert_array_equal(found, np.repeat(scores[:, None], 3, axis=1))
    with pytest.raises(InputError, match="unknown order 'forest_x_input': expected deeplift, input, reads, random"):
        make_order("forest_x_input", network, inputs)
