"""DeepLIFT: analytic cases, a slow second implementation, pipelines, references, memory, bad input."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.special import expit, softmax
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from srna_lib.errors import InputError
from srna_lib.explain import deeplift
from srna_lib.explain.deeplift import (
    ACTIVATIONS,
    RULES,
    CompletenessError,
    class_means,
    contribution_blocks,
    contributions,
    multipliers,
)
from srna_lib.models.network import DenseNetClassifier, import_keras
from srna_lib.models.preprocess import LogCPM
from srna_lib.models.recipes import recipe

QUICK = {"classifier__epochs": 40, "classifier__hidden": (24, 12), "classifier__dropout": (0.1, 0.0)}


def network(weights: list[np.ndarray], classes: list | None = None) -> DenseNetClassifier:
    """A network of given weights, as if it had been trained."""
    model = DenseNetClassifier(hidden=tuple(w.shape[1] for w in weights[:-2:2]))
    model.weights_ = [np.asarray(w, dtype=np.float32) for w in weights]
    model.n_features_in_ = len(weights[0])
    model.classes_ = np.array(classes if classes is not None else list(range(len(weights[-1]))))
    return model


def random_network(rng: np.random.Generator, *sizes: int, sparse: float = 0.0) -> DenseNetClassifier:
    weights = []
    for n_in, n_out in pairwise(sizes):
        kernel = rng.normal(size=(n_in, n_out)) * np.sqrt(2 / n_in)
        weights += [kernel * (rng.random(kernel.shape) >= sparse), rng.normal(size=n_out) * 0.3]
    return network(weights)


def slow(weights: list[np.ndarray], x: np.ndarray, r: np.ndarray, rule: str, f=lambda v: max(v, 0.0)) -> np.ndarray:
    """DeepLIFT of one sample in double precision, unit by unit, straight from the paper's rules."""
    weights = [np.asarray(w, dtype=np.float64) for w in weights]
    layers = list(zip(weights[::2], weights[1::2], strict=True))
    act, ref = [np.asarray(x, np.float64)], [np.asarray(r, np.float64)]
    up_slopes, down_slopes = [], []
    for number, (kernel, bias) in enumerate(layers):
        delta = act[-1] - ref[-1]
        start, end = ref[-1] @ kernel + bias, act[-1] @ kernel + bias
        if number == len(layers) - 1:
            break
        ups, downs = [], []
        for unit in range(kernel.shape[1]):
            terms = delta * kernel[:, unit]
            plus, minus = terms[terms > 0].sum(), terms[terms < 0].sum()
            a, b = start[unit], end[unit]
            if rule == "rescale":
                slope = (f(b) - f(a)) / (b - a) if abs(b - a) > 1e-7 else (f(a + 1e-9) - f(a)) / 1e-9
                ups.append(slope)
                downs.append(slope)
            else:
                plus, minus = plus or 1e-7, minus or 1e-7  # a limit; the package's pseudocount
                y_plus = 0.5 * (f(a + plus) - f(a) + f(a + minus + plus) - f(a + minus))
                y_minus = 0.5 * (f(a + minus) - f(a) + f(a + plus + minus) - f(a + plus))
                ups.append(y_plus / plus)
                downs.append(y_minus / minus)
        up_slopes.append(np.array(ups))
        down_slopes.append(np.array(downs))
        act.append(np.array([f(v) for v in end]))
        ref.append(np.array([f(v) for v in start]))
    n_out = layers[-1][0].shape[1]
    m = layers[-1][0].T  # (outputs, units)
    for number in range(len(layers) - 2, -1, -1):
        kernel = layers[number][0]
        delta = act[number] - ref[number]
        below = np.zeros((n_out, len(kernel)))
        for i in range(len(kernel)):
            for unit in range(kernel.shape[1]):
                w = kernel[i, unit]
                up, down = up_slopes[number][unit], down_slopes[number][unit]
                if delta[i] * w > 0:
                    slope = up
                elif delta[i] * w < 0:
                    slope = down
                else:
                    slope = 0.5 * (up + down)
                below[:, i] += m[:, unit] * slope * w
        m = below
    return m * (act[0] - ref[0])


def close(found, expected, tolerance=1e-6):
    """Equal within a share of the largest value."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * max(np.abs(expected).max(), 1e-30)


# analytic cases


@pytest.mark.parametrize("rule", RULES)
def test_a_linear_network_gives_weight_times_difference(rule):
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(7, 3)), rng.normal(size=3)
    X, r = rng.normal(size=(5, 7)), rng.normal(size=7)
    found = contributions(network([kernel, bias]), X, reference=r, rule=rule)
    close(found.values, (X - r)[:, None, :] * kernel.T[None])
    close(found.logits, X @ kernel + bias)
    close(found.reference_logits, np.tile(r @ kernel + bias, (5, 1)))


@pytest.mark.parametrize(("rule", "expected"), [("rescale", (0, 1)), ("revealcancel", (0.5, 0.5))])
def test_minimum_of_two(rule, expected):
    """min(a, b) = b - relu(b - a) at (3, 1): Rescale gives all to the smaller, RevealCancel half to each."""
    model = network([np.array([[-1, 0], [1, 1]]), np.zeros(2), np.array([[-1], [1]]), np.zeros(1)])
    found = contributions(model, np.array([[3.0, 1.0]]), rule=rule)
    assert found.logits[0, 0] == 1
    np.testing.assert_allclose(found.values[0, 0], expected, atol=1e-7)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("sign", "bias", "slopes"), [(1, -1, (0.9, 0.95)), (-1, 1, (0.1, 0.05))])
def test_multipliers_of_one_relu(rule, sign, bias, slopes):
    """The figures of the package's own unit tests."""
    w = sign * np.array([[1.0], [2], [3], [4]])
    model = network([w, np.array([bias]), np.ones((1, 1)), np.zeros(1)])
    found = multipliers(model, np.array([[1.0] * 4, [2.0] * 4]), rule=rule)
    close(found.values[:, 0], np.outer(slopes, w[:, 0]))


@pytest.mark.parametrize("rule", RULES)
def test_a_sample_that_equals_its_reference_has_no_contributions(rule):
    rng = np.random.default_rng(1)
    model, x = random_network(rng, 20, 15, 10, 4), rng.normal(size=(1, 20))
    found = contributions(model, np.repeat(x, 3, axis=0), reference=x, rule=rule)
    assert (found.values == 0).all()
    assert found.error == 0
    assert (found.logits == found.reference_logits).all()


@pytest.mark.parametrize("rule", RULES)
@given(seed=st.integers(0, 10**6), hidden=st.lists(st.integers(1, 6), min_size=1, max_size=3), sparse=st.booleans())
def test_agrees_with_a_slow_implementation(rule, seed, hidden, sparse):
    """Also where differences are exactly zero (inputs at their reference, dead units)."""
    rng = np.random.default_rng(seed)
    model = random_network(rng, 5, *hidden, 3, sparse=0.4 * sparse)
    X, r = rng.normal(size=(4, 5)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    X[rng.random(X.shape) < 0.3 * sparse] = 0
    r[rng.random(5) < 0.5 * sparse] = 0
    found = contributions(model, X, reference=r, rule=rule)
    expected = np.stack([slow(model.weights_, x, r, rule) for x in X])
    np.testing.assert_allclose(found.values, expected, atol=2e-6 * max(1, np.abs(expected).max()))


# invariances and exactness


@pytest.fixture(scope="module")
def case():
    """A network of middling size, samples, a reference."""
    rng = np.random.default_rng(2)
    return random_network(rng, 120, 200, 50, 50, 6), rng.random((90, 120)).astype(np.float32), rng.random(120)


@pytest.mark.parametrize("rule", RULES)
def test_batch_size_and_order_change_nothing(case, rule):
    model, X, r = case
    whole = contributions(model, X, reference=r, rule=rule, batch_size=1000)
    assert whole.values.dtype == np.float32
    for size in (1, 7, 90):
        close(contributions(model, X, reference=r, rule=rule, batch_size=size).values, whole.values)
    order = np.random.default_rng(0).permutation(len(X))
    close(contributions(model, X[order], reference=r, rule=rule, batch_size=32).values, whole.values[order])


@pytest.mark.parametrize("rule", RULES)
def test_contributions_sum_to_the_change_of_the_models_own_logits(case, rule):
    model, X, r = case
    found = contributions(model, X, reference=r, rule=rule)
    change = model.logits(X) - model.logits(r[None])
    assert np.abs(found.values.sum(axis=2, dtype=np.float64) - change).max() <= 1e-5 * np.abs(change).max()
    assert 0 < found.error <= 1e-5
    close(found.logits, model.logits(X), 1e-5)
    close(found.reference_logits, np.tile(model.logits(r[None]), (90, 1)), 1e-5)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("step", [1e-9, 1e-6, 1e-3])
def test_a_sample_close_to_its_reference_gets_the_gradient(case, rule, step):
    """Differences are carried forward as such; subtracting two float32 logits would leave noise here."""
    model = case[0]
    direction = np.random.default_rng(3).choice([-1.0, 1.0], 120)
    near = np.zeros(120, dtype=np.float32)  # float32 resolves the smallest step around zero only
    weights = [w.astype(np.float64) for w in model.weights_]
    gradient = np.eye(6)
    hidden, gates = near.astype(np.float64), []
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        hidden = hidden @ kernel + bias
        gates.append(hidden > 0)
        hidden = np.maximum(hidden, 0)
    gradient = weights[-2].T
    for kernel, gate in zip(weights[-4::-2], gates[::-1], strict=True):
        gradient = (gradient * gate) @ kernel.T
    found = multipliers(model, (near + step * direction)[None].astype(np.float32), reference=near, rule=rule)
    close(found.values[0], gradient, 1e-5 if step < 1e-4 else 0.2)


@pytest.mark.parametrize("rule", RULES)
def test_multipliers_times_differences_are_contributions(case, rule):
    model, X, r = case
    m, c = multipliers(model, X, reference=r, rule=rule), contributions(model, X, reference=r, rule=rule)
    close(m.values * (X - r.astype(np.float32))[:, None, :], c.values)


@pytest.mark.parametrize("rule", RULES)
def test_outputs_and_centring(case, rule):
    model, X, r = case
    every = contributions(model, X, reference=r, rule=rule)
    some = contributions(model, X, reference=r, rule=rule, outputs=[4, 1])
    assert some.classes.tolist() == [4, 1]
    close(some.values, every.values[:, [4, 1]])
    np.testing.assert_allclose(some.logits, every.logits[:, [4, 1]], rtol=1e-5)
    centred = contributions(model, X, reference=r, rule=rule, centred=True)
    assert centred.centred
    close(centred.values, every.values - every.values.mean(axis=1, keepdims=True), 2e-6)
    assert np.abs(centred.values.sum(axis=1)).max() <= 2e-6 * np.abs(every.values).max()
    close(contributions(model, X, reference=r, rule=rule, outputs=[2], centred=True).values, centred.values[:, [2]])


@pytest.mark.parametrize("rule", RULES)
def test_blocks_are_the_whole(case, rule):
    model, X, r = case
    parts = list(contribution_blocks(model, X, reference=r, rule=rule, batch_size=40))
    assert [len(p.values) for p in parts] == [40, 40, 10]
    whole = contributions(model, X, reference=r, rule=rule)
    close(np.concatenate([p.values for p in parts]), whole.values)
    assert np.concatenate([p.samples for p in parts]).tolist() == whole.samples.tolist()


# class means


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("options", [{}, {"centred": True}, {"batch_size": 13}])
def test_class_means_are_the_means_of_contributions(case, rule, options):
    """Groups below and above the size from which the identity is used (5, 20, 65 samples)."""
    model, X, r = case
    y = np.repeat([0, 3, 5], [5, 20, 65])[np.random.default_rng(4).permutation(90)]
    every = contributions(model, X, reference=r, rule=rule, centred=options.get("centred", False)).values
    own = class_means(model, X, y, reference=r, rule=rule, **options)
    assert own.groups.tolist() == own.classes.tolist() == [0, 3, 5]
    assert own.sizes.tolist() == [5, 20, 65]
    close(own.values, np.stack([every[y == c, c].mean(axis=0) for c in (0, 3, 5)]), 2e-6)
    both = class_means(model, X, y, outputs="all", reference=r, rule=rule, **options)
    close(both.values, np.stack([every[y == c].mean(axis=0) for c in (0, 3, 5)]), 2e-6)
    named = class_means(model, X, np.array(list("abc"))[y // 2], outputs=[3], reference=r, rule=rule, **options)
    assert named.groups.tolist() == ["a", "b", "c"]
    close(named.values[:, 0], both.values[:, 3], 2e-6)


@pytest.mark.parametrize("n_groups", [2, 3, 40])
def test_class_means_of_many_small_groups(case, n_groups):
    """All, some and no groups go one by one; groups lie scattered over the samples."""
    model, X, r = case
    y = np.random.default_rng(5).permutation(90) % n_groups
    every = contributions(model, X, reference=r).values
    expected = np.stack([every[y == g].mean(axis=0) for g in range(n_groups)])
    for size in (1000, 17):
        found = class_means(model, X, y, reference=r, outputs="all", batch_size=size)
        close(found.values, expected, 2e-6)


def test_class_means_as_tables(case):
    model, X, _ = case
    y = np.arange(90) % 2
    own, both = class_means(model, X, y), class_means(model, X, y, outputs="all")
    assert own.to_frame().shape == (2, 120)
    assert own.to_frame().loc[1, "x7"] == own.values[1, 7]
    assert both.to_frame().loc[(1, 4), "x7"] == both.values[1, 4, 7]
    assert own.reference == "zeros in model space"


# keras models


@pytest.fixture(scope="module")
def keras():
    return import_keras()


def mess(keras, model, rng, size=0.5):
    """Give every weight a value, running variances positive ones."""
    for layer in model.layers:
        weights = [rng.normal(size=w.shape) * size for w in layer.get_weights()]
        if type(layer).__name__ == "BatchNormalization":
            weights[-1] = rng.random(weights[-1].shape) + 0.3
        layer.set_weights(weights)
    return model


@pytest.mark.parametrize("rule", RULES)
def test_to_keras_gives_the_same_and_says_that_softmax_was_taken_off(case, rule):
    model, X, r = case
    model.dropout = (0.1,) * len(model.hidden)
    ours, theirs = (contributions(m, X[:20], reference=r, rule=rule) for m in (model, model.to_keras()))
    close(theirs.values, ours.values)
    assert ours.unwrapped == theirs.unwrapped == "softmax"
    probability = np.asarray(model.to_keras()(X[:20]))
    np.testing.assert_allclose(softmax(theirs.logits, axis=1), probability, atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_batch_normalisation_is_that_of_the_folded_network(keras, rule):
    """At the input, before and after an activation, with negative factors, with and without scale and centre."""
    rng = np.random.default_rng(5)
    L = keras.layers
    stack = [
        L.BatchNormalization(), L.Dense(12), L.BatchNormalization(epsilon=0.01), L.ReLU(),
        L.BatchNormalization(scale=False), L.Dropout(0.5), L.Dense(9, activation="relu"),
        L.BatchNormalization(center=False), L.Dense(4), L.Softmax(),
    ]  # fmt: skip
    model = mess(keras, keras.Sequential([keras.Input((8,)), *stack]), rng)

    def affine(layer):
        w = [np.asarray(v, np.float64) for v in layer.get_weights()]
        gamma = w.pop(0) if layer.scale else 1.0
        beta = w.pop(0) if layer.center else 0.0
        factor = gamma / np.sqrt(w[1] + layer.epsilon)
        return factor, beta - w[0] * factor

    (s0, t0), (s1, t1), (s2, t2), (s3, t3) = (affine(stack[i]) for i in (0, 2, 4, 7))
    assert (s0 < 0).any() and (s1 < 0).any() and (s3 < 0).any()
    (w1, b1), (w2, b2), (w3, b3) = (stack[i].get_weights() for i in (1, 6, 8))
    folded = network([
        s0[:, None] * w1 * s1, (t0 @ w1 + b1) * s1 + t1,
        s2[:, None] * w2 if np.ndim(s2) else s2 * w2, t2 @ w2 + b2,
        s3[:, None] * w3, np.broadcast_to(t3, s3.shape) @ w3 + b3,
    ])  # fmt: skip
    X, r = rng.normal(size=(15, 8)).astype(np.float32), rng.normal(size=8).astype(np.float32)
    found, expected = (contributions(m, X, reference=r, rule=rule) for m in (model, folded))
    close(found.values, expected.values, 5e-6)
    np.testing.assert_allclose(softmax(found.logits, axis=1), np.asarray(model(X)), atol=1e-5)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"softmax"}))
def test_activations_are_those_of_keras(keras, name):
    layer = ACTIVATIONS[name]()
    x = np.linspace(-7, 7, 97) + 0.013  # no value on a kink
    theirs = np.asarray(getattr(keras.activations, name)(x.astype(np.float32)))
    np.testing.assert_allclose(layer.function(x), theirs, rtol=2e-5, atol=2e-6)
    step = 1e-6
    numeric = (layer.function(x + step) - layer.function(x - step)) / (2 * step)
    np.testing.assert_allclose(layer.slope(x), numeric, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", [*sorted(set(ACTIVATIONS) - {"softmax"}), "LeakyReLU", "ELU", "PReLU", "ReLU"])
def test_networks_with_other_activations_are_complete(keras, name, rule):
    rng = np.random.default_rng(6)
    L = keras.layers
    layers = {
        "LeakyReLU": lambda: L.LeakyReLU(negative_slope=0.3),
        "ELU": lambda: L.ELU(alpha=0.7),
        "PReLU": L.PReLU,
        "ReLU": lambda: L.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.4),
    }
    activation = layers.get(name, lambda: L.Activation(name))
    stack = [keras.Input((6,)), L.Dense(10), activation(), L.Dense(7), activation(), L.Dense(3)]
    model = mess(keras, keras.Sequential(stack), rng, size=0.2)
    X, r = rng.normal(size=(12, 6)).astype(np.float32), rng.normal(size=6).astype(np.float32)
    found = contributions(model, X, reference=r, rule=rule)
    change = np.asarray(model(X), np.float64) - np.asarray(model(r[None]), np.float64)
    assert np.abs(found.values.sum(axis=2) - change).max() <= 2e-5 * np.abs(change).max()
    assert found.unwrapped == ""


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("name", "f"), [("tanh", np.tanh), ("sigmoid", expit), ("elu", lambda v: max(v, np.expm1(min(v, 0))))]
)
def test_smooth_activations_agree_with_a_slow_implementation(keras, name, f, rule):
    rng = np.random.default_rng(12)
    L = keras.layers
    stack = [keras.Input((5,)), L.Dense(8, activation=name), L.Dense(6, activation=name), L.Dense(3)]
    model = mess(keras, keras.Sequential(stack), rng)
    X, r = rng.normal(size=(20, 5)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    X[0] = r + np.float32(1e-5)  # quotients of small differences
    X[1, :3] = r[:3]
    found = contributions(model, X, reference=r, rule=rule)
    expected = np.stack([slow(model.get_weights(), x, r, rule, f) for x in X])
    close(found.values, expected, 2e-6)
    close(found.values[0], expected[0], 1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_one_unit_of_a_smooth_activation(keras, rule):
    """One input through one tanh: all of the change is its own."""
    L = keras.layers
    model = keras.Sequential([keras.Input((1,)), L.Dense(1, activation="tanh"), L.Dense(1)])
    model.set_weights([np.array([[1.5]]), np.array([0.2]), np.array([[2.0]]), np.array([0.0])])
    found = contributions(model, np.array([[0.8]], np.float32), reference=np.array([-0.4]), rule=rule)
    assert found.values[0, 0, 0] == pytest.approx(2 * (np.tanh(1.4) - np.tanh(-0.4)), rel=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_activation_after_activation(keras, rule):
    """With a batch normalisation between; Rescale is then the rule of the composed function."""
    rng = np.random.default_rng(13)
    L = keras.layers
    stack = [keras.Input((5,)), L.Dense(8, activation="relu"), L.BatchNormalization(), L.Activation("tanh"), L.Dense(3)]
    model = mess(keras, keras.Sequential(stack), rng)
    X, r = rng.normal(size=(12, 5)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    found = contributions(model, X, reference=r, rule=rule)
    change = np.asarray(model(X), np.float64) - np.asarray(model(r[None]), np.float64)
    assert np.abs(found.values.sum(axis=2) - change).max() <= 2e-5 * np.abs(change).max()
    if rule == "rescale":
        (kernel, bias), (last, _) = stack[1].get_weights(), stack[4].get_weights()
        behind = keras.Sequential([keras.Input((8,)), stack[2], stack[3]])
        x, start = X @ kernel + bias, r @ kernel + bias
        ends = [np.asarray(behind(np.maximum(v, 0).astype(np.float32)), np.float64) for v in (x, start[None])]
        slope = (ends[0] - ends[1]) / (x - start)
        expected = np.einsum("fh,nh,ho->nof", kernel, slope, last) * (X - r)[:, None]
        close(found.values, expected, 2e-5)


def test_layers_before_the_first_dense_one_are_each_features_own(keras):
    """Keras's own normalisation, rescaling, even an activation at the input: contributions stay per feature."""
    rng = np.random.default_rng(7)
    L = keras.layers
    normal = L.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 0.25])
    model = keras.Sequential(
        [keras.Input((3,)), normal, L.Rescaling(0.5, offset=1.0), L.Activation("tanh"), L.Dense(2)]
    )
    kernel, bias = rng.normal(size=(3, 2)), rng.normal(size=2)
    model.layers[-1].set_weights([kernel, bias])
    X, r = rng.normal(size=(4, 3)).astype(np.float32), np.zeros(3)

    def front(x):
        return np.tanh(0.5 * (x - [1, 2, 3]) / [1, 2, 0.5] + 1)

    found = contributions(model, X, reference=r)
    close(found.values, (front(X) - front(r))[:, None] * kernel.T[None], 5e-6)
    with pytest.raises(InputError, match="starts with its Dense layer"):
        multipliers(model, X)


def test_a_single_sigmoid_output_is_explained_as_a_logit(keras):
    rng = np.random.default_rng(8)
    L = keras.layers
    stack = [keras.Input((5,)), L.Dense(4, activation="relu"), L.Dense(1, activation="sigmoid")]
    model = mess(keras, keras.Sequential(stack), rng)
    X = rng.normal(size=(6, 5)).astype(np.float32)
    found = contributions(model, X)
    assert (found.unwrapped, found.values.shape) == ("sigmoid", (6, 1, 5))
    np.testing.assert_allclose(1 / (1 + np.exp(-found.logits)), np.asarray(model(X)), atol=1e-6)
    with pytest.raises(InputError, match="centred needs at least two outputs"):
        contributions(model, X, centred=True)


# pipelines


@pytest.fixture(scope="module")
def counts():
    """Three classes, each with four sRNAs that are high in it, from four studies; one sRNA is mostly absent."""
    rng = np.random.default_rng(9)
    y = np.repeat(["blood", "brain", "liver"], 25)
    rates = np.full((75, 30), 40.0)
    for k in range(3):
        rates[25 * k : 25 * (k + 1), 4 * k : 4 * (k + 1)] *= 12
    table = pd.DataFrame(rng.poisson(rates), columns=[f"hsa-miR-{i}" for i in range(30)]).astype(float)
    table["hsa-miR-29"] = np.where(np.arange(75) % 15 == 0, table["hsa-miR-29"], 0)
    table.index = [f"s{i}" for i in range(75)]
    return table, pd.Series(y, index=table.index), np.array(list("ABCD"))[np.arange(75) % 4]


@pytest.fixture(scope="module")
def fitted(counts):
    X, y, _ = counts
    networks = {name: recipe(name, seed=0, **QUICK).fit(X, y) for name in ("dl_paper", "dl_log")}
    return {**networks, "logistic": recipe("logistic").fit(X, y)}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["dl_paper", "dl_log", "logistic"])
def test_pipelines_are_explained_per_srna(counts, fitted, name, rule):
    X, _, _ = counts
    model = fitted[name]
    found = contributions(model, X, rule=rule, batch_size=20)
    assert "hsa-miR-29" not in found.features and len(found.features) == 29
    assert found.classes.tolist() == ["blood", "brain", "liver"]
    assert found.samples.tolist() == X.index.tolist()
    assert found.reference == ("zeros in model space" if name == "dl_paper" else "training mean")
    ready = model[:-1].transform(X).astype(np.float32)
    logits = model[-1].decision_function(ready) if name == "logistic" else model[-1].logits(ready)
    close(found.logits, logits, 1e-5)
    change = found.logits - found.reference_logits
    assert np.abs(found.values.sum(axis=2) - change).max() <= 1e-5 * np.abs(change).max()
    if name == "logistic":
        close(found.values, ready[:, None] * model[-1].coef_[None], 1e-5)
    full = found.for_features(X.columns)
    assert full.values.shape == (75, 3, 30)
    assert (full.values[:, :, 29] == 0).all()
    assert np.array_equal(full.values[:, :, :29], found.values)
    assert full.to_frame("liver").loc["s3", "hsa-miR-4"] == found.values[3, 2, 4]
    assert found.of_sample("s3").loc["liver", "hsa-miR-4"] == found.values[3, 2, 4]


@pytest.mark.parametrize("name", ["dl_paper", "dl_log"])
def test_planted_markers_lead_their_class(counts, fitted, name):
    X, y, _ = counts
    """Absence of the other classes' markers speaks for a class, too, so theirs may stand between."""
    means = class_means(fitted[name], X, y, centred=True).to_frame().to_numpy()
    for k in range(3):
        own = means[k, 4 * k : 4 * k + 4]
        assert own.min() > np.abs(means[k, 12:]).max()


def test_zero_counts_are_an_empty_library(counts, fitted):
    X, _, _ = counts
    empty = X.iloc[[0]] * 0
    for model in fitted.values():
        named = contributions(model, X, reference="zero_counts")
        given = contributions(model, X, reference=empty)
        assert np.array_equal(named.values, given.values)
        assert (named.reference, given.reference) == ("zero counts", "one given sample")


def test_the_training_mean(counts, fitted):
    """Behind a z-score it is zero; behind MinMax it needs the training samples."""
    X, y, _ = counts
    rows = {n: m[:-1].transform(X).mean(axis=0, keepdims=True) for n, m in fitted.items()}
    found = deeplift.reference_input(fitted["dl_log"], X, reference="mean")
    np.testing.assert_allclose(found, rows["dl_log"], atol=1e-5)
    assert found.columns[0] == "hsa-miR-0"
    with pytest.raises(InputError, match="give them as background"):
        contributions(fitted["dl_paper"], X, reference="mean")
    for name, model in fitted.items():
        found = deeplift.reference_input(model, X.iloc[:3], reference="mean", background=X)
        np.testing.assert_allclose(found, rows[name], atol=1e-5)
    named = contributions(fitted["dl_paper"], X, reference="mean", background=X).reference
    assert named == "mean of 75 background samples"
    flat = recipe("dl_log", **QUICK, scale__with_mean=False).fit(X, y)
    expected = flat[:-1].transform(X).mean(axis=0, keepdims=True)
    np.testing.assert_allclose(deeplift.reference_input(flat, X, reference="mean"), expected, rtol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_the_mean_of_the_own_study(counts, fitted, rule):
    X, y, studies = counts
    model = fitted["dl_log"]
    found = contributions(model, X, reference="study_mean", groups=studies, rule=rule, batch_size=11)
    assert found.reference == "mean of the sample's own study"
    space = deeplift.model_space(model, X)
    for study in "ABCD":
        mean = space[studies == study].mean(axis=0).to_numpy()
        one = contributions(model[-1], space[studies == study].to_numpy(), reference=mean, rule=rule)
        close(found.values[studies == study], one.values, 2e-6)
        close(found.reference_logits[studies == study], one.reference_logits, 1e-5)
    means = class_means(model, X, y, reference="study_mean", groups=studies, rule=rule)
    expected = np.stack([found.values[(y == c).to_numpy(), k].mean(axis=0) for k, c in enumerate(found.classes)])
    close(means.values, expected, 2e-6)
    rows = deeplift.reference_input(model, X, reference="study_mean", groups=studies)
    np.testing.assert_allclose(rows.loc["s1"], space[studies == "B"].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_several_references_are_averaged_over(counts, fitted, rule):
    """Over contributions, which is not the contribution against the average sample."""
    X, y, _ = counts
    model, some = fitted["dl_log"], X.iloc[[2, 40, 70]]
    found = contributions(model, X, reference=some, rule=rule)
    single = [contributions(model, X, reference=some.iloc[[i]], rule=rule) for i in range(3)]
    close(found.values, np.mean([s.values for s in single], axis=0))
    close(found.reference_logits, np.mean([s.reference_logits for s in single], axis=0))
    close(found.logits, single[0].logits, 1e-5)
    assert found.reference == "average over 3 given samples"
    mean = deeplift.model_space(model, some).to_numpy().mean(axis=0)
    against_mean = contributions(model[-1], deeplift.model_space(model, X).to_numpy(), reference=mean, rule=rule)
    assert np.abs(found.values - against_mean.values).max() > 1e-3 * np.abs(found.values).max()
    means = class_means(model, X, y, reference=some, rule=rule)
    close(means.values[2], found.values[50:, 2].mean(axis=0), 2e-6)


def test_model_space_and_logits_serve_masking(counts, fitted):
    X, _, _ = counts
    for name in ("dl_paper", "dl_log"):
        model = fitted[name]
        space = deeplift.model_space(model, X, batch_size=10)
        np.testing.assert_allclose(space, model[:-1].transform(X), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(softmax(deeplift.logits(model, space), axis=1), model.predict_proba(X), atol=1e-6)


def test_integer_classes_and_a_binary_logistic_regression():
    rng = np.random.default_rng(10)
    X, y = rng.normal(size=(40, 3)), np.repeat([7, 9], 20)
    model = LogisticRegression().fit(X + y[:, None], y)
    found = contributions(model, X)
    assert (found.classes.tolist(), found.unwrapped) == ([9], "sigmoid")
    close(found.values[:, 0], X * model.coef_)
    with pytest.raises(InputError, match="unknown class 7: expected one of 9"):
        contributions(model, X, outputs=[7])
    with pytest.raises(InputError, match="one logit for two classes; expected outputs='all'"):
        class_means(model, X, y)


def test_a_pipeline_of_a_model_alone_is_that_model(case):
    model, X, _ = case
    close(contributions(Pipeline([("classifier", model)]), X).values, contributions(model, X).values)


# memory


@pytest.mark.parametrize("rule", RULES)
def test_memory_is_bounded_by_the_batch(rule):
    rng = np.random.default_rng(11)
    model, X = random_network(rng, 400, 64, 32, 10), rng.random((1500, 400)).astype(np.float32)
    block = 50 * 10 * 400 * 4
    y = np.arange(1500) % 10
    contributions(model, X[:10], rule=rule)  # what is imported or kept for good is not counted

    def peak(run):
        tracemalloc.start()
        out = run()
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top, out

    top, found = peak(lambda: contributions(model, X, rule=rule, batch_size=50))
    result = found.values.nbytes
    assert result == 30 * block
    assert result < top < result + 6 * block
    assert (
        peak(lambda: sum(len(b.values) for b in contribution_blocks(model, X, rule=rule, batch_size=50)))[0] < 7 * block
    )
    assert peak(lambda: class_means(model, X, y, rule=rule, batch_size=50))[0] < 6 * block
    assert (
        peak(lambda: class_means(model, X, np.arange(1500) // 3 % 100, outputs=[0, 1], rule=rule, batch_size=50))[0]
        < 7 * block
    )


# what goes wrong


def test_incomplete_contributions_raise_with_the_figures(case, monkeypatch):
    model, X, _ = case
    real = deeplift.propagate

    def broken(*arguments):
        signal, change, reference = real(*arguments)
        return signal._replace(mean=signal.mean * np.float32(1.001)), change, reference

    monkeypatch.setattr(deeplift, "propagate", broken)
    with pytest.raises(CompletenessError, match=r"contributions sum to .* where the output changes by .*: a gap of"):
        contributions(model, X)
    with pytest.raises(CompletenessError):
        class_means(model, X, np.arange(90) % 6)
    monkeypatch.setattr(
        deeplift, "propagate", lambda *a: (real(*a)[0]._replace(mean=real(*a)[0].mean * np.nan), *real(*a)[1:])
    )
    with pytest.raises(CompletenessError, match="nan"):
        contributions(model, X)


def test_a_keras_model_that_does_something_else_than_its_layers_say(keras, monkeypatch):
    model = mess(keras, keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), np.random.default_rng(0))
    monkeypatch.setattr(type(model), "__call__", lambda self, x: np.ones((len(x), 2)))
    with pytest.raises(InputError, match="outputs that differ by"):
        contributions(model, np.ones((4, 3)))


def test_unsupported_keras_models_are_named(keras):
    L = keras.layers

    def sequential(*layers):
        return keras.Sequential([keras.Input((6,)), *layers])

    for model, message in (
        (
            sequential(L.Reshape((3, 2)), L.Conv1D(2, 2, name="conv"), L.Flatten(), L.Dense(2)),
            "Reshape, which is not supp",
        ),
        (sequential(L.Dense(4), L.LayerNormalization(name="ln"), L.Dense(2)), "'ln' of the keras model is a LayerNorm"),
        (sequential(L.Dense(4, activation="mish", name="m"), L.Dense(2)), "layer 'm' .* has the activation 'mish'"),
        (sequential(L.Dense(4, activation=lambda x: x * 2), L.Dense(2)), "activation '<lambda>'"),
        (sequential(L.Dense(4, activation="softmax"), L.Dense(2)), "softmax between layers"),
        (sequential(L.ReLU()), "has no Dense layer"),
        (keras.Sequential([L.Dense(3)]), "has no weights yet"),
    ):
        with pytest.raises(InputError, match=message):
            contributions(model, np.ones((2, 6)))
    inputs = keras.Input((6,))
    with pytest.raises(InputError, match="model is a Functional; expected"):
        contributions(keras.Model(inputs, L.Dense(2)(inputs)), np.ones((2, 6)))


def test_models_without_layers_are_refused(counts):
    X, y, _ = counts
    forest = recipe("rf_plain", classifier__n_estimators=3).fit(X, y)
    with pytest.raises(InputError, match="model is a RandomForestClassifier; expected"):
        contributions(forest, X)


def test_preprocessing_that_mixes_srnas_is_refused(counts):
    X, y, _ = counts
    model = Pipeline([("log", LogCPM()), ("pca", PCA(3)), ("classifier", LogisticRegression())]).fit(X, y)
    with pytest.raises(InputError, match="features that are no sRNAs of the counts \\('pca0'\\)"):
        contributions(model, X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "gradient"}, "unknown rule 'gradient': expected one of rescale, revealcancel"),
        ({"reference": "median"}, "unknown reference 'median': expected one of zeros, zero_counts"),
        ({"reference": "zero_counts"}, "needs a pipeline that starts from counts"),
        ({"reference": "mean"}, "give them as background"),
        ({"reference": "study_mean"}, "needs groups, the study of each of 90 samples; found none"),
        ({"reference": "study_mean", "groups": ["a"] * 89}, "found 89"),
        ({"reference": "study_mean", "groups": ["a"] * 89 + [None]}, "groups has missing values"),
        ({"reference": np.zeros(119)}, r"reference has the shape \(1, 119\); expected .* 120 features"),
        ({"reference": np.full(120, np.nan)}, "missing or infinite"),
        ({"outputs": [6]}, "unknown class 6: expected one of 0, 1, 2, 3, 4, 5"),
        ({"outputs": []}, "outputs is empty"),
        ({"outputs": "5"}, r"outputs is '5'; expected a list of classes, such as \['5'\]"),
        ({"batch_size": 0}, "batch_size is 0; expected a whole number, at least 1"),
        ({"batch_size": None}, "batch_size is None; expected a whole number"),
        (
            {"background": np.zeros((3, 120))},
            "background is given but the reference is 'zeros'; expected .* 'mean' only",
        ),
        ({"reference": np.zeros(120), "groups": ["a"] * 90}, "groups is given but the reference is samples"),
    ],
)
def test_bad_options_are_named(case, options, message):
    model, X, _ = case
    with pytest.raises(InputError, match=message):
        contributions(model, X, **options)


def test_bad_samples_are_named(case, counts, fitted):
    model, X, _ = case
    for bad, message in (
        (X[:, :119], r"X has the shape \(90, 119\)"),
        (X[:0], r"X has the shape \(0, 120\)"),
        (np.where(np.eye(90, 120), np.inf, X), "missing or infinite"),
        ([["a"] * 120] * 2, "cannot be preprocessed"),
        (csr_array(X), "X is a sparse matrix; expected a DataFrame or an array"),
    ):
        with pytest.raises(InputError, match=message):
            contributions(model, bad)
    table = counts[0]
    for bad, message in (
        (table.to_numpy(), "X is a ndarray; expected raw counts of at least one sample as DataFrame"),
        (table.iloc[:0], "at least one sample"),
        (table.drop(columns="hsa-miR-3"), r"1 missing, 0 unknown \('hsa-miR-3'\)"),
        (table[table.columns[::-1]], "'another order'"),
        (-table, "cannot be preprocessed: Negative values"),
    ):
        with pytest.raises(InputError, match=message):
            contributions(fitted["dl_log"], bad)
    with pytest.raises(InputError, match="reference is a ndarray; expected raw counts"):
        contributions(fitted["dl_log"], table, reference=np.zeros((1, 30)))


def test_bad_groups_of_class_means_are_named(case):
    model, X, _ = case
    with pytest.raises(InputError, match="y has 3 labels for 90 samples"):
        class_means(model, X, [1, 2, 3])
    with pytest.raises(InputError, match="y has 1 labels for 90 samples"):
        class_means(model, X, None)
    with pytest.raises(InputError, match="unknown class 8"):
        class_means(model, X, np.full(90, 8))
    with pytest.raises(InputError, match="outputs is 'both'; expected 'own', 'all'"):
        class_means(model, X, np.zeros(90), outputs="both")
    with pytest.raises(InputError, match="unknown sample 's1'"):
        contributions(model, X).of_sample("s1")
    with pytest.raises(InputError, match=r"values has the shape \(90, 3\)"):
        deeplift.logits(model, X[:, :3])
    with pytest.raises(InputError, match="values has numbers that are missing or infinite"):
        deeplift.logits(model, np.full_like(X, np.nan))
    with pytest.raises(InputError, match="features has 'x1' more than once"):
        contributions(model, X).for_features(["x0", "x1", "x1"])
