"""DeepLIFT: analytic cases, a slow second implementation, pipelines, references, memory, bad input."""

from __future__ import annotations

import functools
import tracemalloc
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from srna_lib.errors import InputError
from srna_lib.explain import deeplift
from srna_lib.explain.deeplift import CHUNK, RULES, CompletenessError, class_means, contributions
from srna_lib.models.network import DenseNetClassifier
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


def slow(weights: list[np.ndarray], x: np.ndarray, r: np.ndarray, rule: str) -> np.ndarray:
    """DeepLIFT of one sample in double precision, unit by unit, straight from the paper's rules."""
    weights = [np.asarray(w, dtype=np.float64) for w in weights]
    f = functools.partial(max, 0.0)
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
    X = np.array([[1.0] * 4, [2.0] * 4])
    close(contributions(model, X, rule=rule).values[:, 0] / X, np.outer(slopes, w[:, 0]))


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
    found = contributions(model, (near + step * direction)[None], reference=near, rule=rule)
    close(found.values[0] / (step * direction), gradient, 1e-5 if step < 1e-4 else 0.2)


@pytest.mark.parametrize("rule", RULES)
def test_outputs_can_be_chosen(case, rule):
    model, X, r = case
    every = contributions(model, X, reference=r, rule=rule)
    some = contributions(model, X, reference=r, rule=rule, outputs=[4, 1])
    assert some.classes.tolist() == [4, 1]
    close(some.values, every.values[:, [4, 1]])
    np.testing.assert_allclose(some.logits, every.logits[:, [4, 1]], rtol=1e-5)
    assert every.values[3, 4, 7] == every.of_sample(3).loc[4, "x7"]


# class means


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("batch_size", [256, 13])
def test_class_means_are_the_means_of_contributions(case, rule, batch_size):
    """Groups below and above the size from which the identity is used (5, 20, 65 samples)."""
    model, X, r = case
    y = np.repeat(["a", "c", "d"], [5, 20, 65])[np.random.default_rng(4).permutation(90)]
    every = contributions(model, X, reference=r, rule=rule).values
    means = class_means(model, X, y, reference=r, rule=rule, batch_size=batch_size)
    assert means.index.tolist() == [(group, c) for group in "acd" for c in range(6)]
    close(by_group(means, 3), np.stack([every[y == c].mean(axis=0) for c in "acd"]), 2e-6)


def by_group(means: pd.DataFrame, n_groups: int) -> np.ndarray:
    return means.to_numpy().reshape(n_groups, -1, means.shape[1])


@pytest.mark.parametrize("n_groups", [2, 3, 40])
def test_class_means_of_many_small_groups(case, n_groups):
    """All, some and no groups go one by one; groups lie scattered over the samples."""
    model, X, r = case
    y = np.random.default_rng(5).permutation(90) % n_groups
    every = contributions(model, X, reference=r).values
    expected = np.stack([every[y == g].mean(axis=0) for g in range(n_groups)])
    for size in (1000, 17):
        found = class_means(model, X, y, reference=r, batch_size=size)
        close(by_group(found, n_groups), expected, 2e-6)


# numpy and XLA


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n", [37, CHUNK + 5])
def test_contributions_are_the_same_by_xla(rule, n, monkeypatch):
    """And repeat themselves to the bit, whatever the batch; others stay in single precision."""
    import jax

    rng = np.random.default_rng(1)
    model, X = random_network(rng, 60, 40, 20, 5), rng.random((n, 60)).astype(np.float32)
    plain = contributions(model, X, rule=rule).values
    monkeypatch.setattr(deeplift, "LARGE", 0)
    for batch_size in (n, 10):
        found = contributions(model, X, rule=rule, batch_size=batch_size)
        close(found.values, plain)
        assert found.error <= 1e-5
        assert np.array_equal(found.values, contributions(model, X, rule=rule, batch_size=batch_size).values)
    kernel, bias = random_network(rng, 60, 5).weights_
    close(contributions(network([kernel, bias]), X, rule=rule).values, X[:, None, :] * kernel.T)
    assert jax.numpy.ones(3, "float64" if jax.config.jax_enable_x64 else None).dtype == np.float32


def test_large_calls_go_to_xla(case, monkeypatch):
    model, X, _ = case
    used = set()
    real = deeplift._product
    monkeypatch.setattr(deeplift, "_product", lambda rows, kernel, xla: used.add(xla) or real(rows, kernel, False))
    monkeypatch.setattr(deeplift, "_scaled", lambda term, out, xla: used.add(xla) or out.fill(0))
    monkeypatch.setattr(deeplift, "_check", lambda *_: 0.0)
    for size, expected in ((90 * 6 * 120 * 200, True), (90 * 6 * 120 * 200 + 1, False)):
        monkeypatch.setattr(deeplift, "LARGE", size)
        contributions(model, X)
        assert used == {expected}
        used.clear()


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
    assert found.of_sample("s3").loc["liver", "hsa-miR-4"] == found.values[3, 2, 4]


@pytest.mark.parametrize("name", ["dl_paper", "dl_log"])
def test_planted_markers_lead_their_class(counts, fitted, name):
    """Absence of the other classes' markers speaks for a class, too, so theirs may stand between."""
    X, y, _ = counts
    means = by_group(class_means(fitted[name], X, y), 3)
    means -= means.mean(axis=1, keepdims=True)
    for k in range(3):
        assert means[k, k, 4 * k : 4 * k + 4].min() > np.abs(means[k, k, 12:]).max()


def test_zero_counts_are_an_empty_library(counts, fitted):
    X, _, _ = counts
    empty = X.iloc[[0]] * 0
    for model in fitted.values():
        named = contributions(model, X, reference="zero_counts")
        given = contributions(model, X, reference=empty)
        assert np.array_equal(named.values, given.values)
        assert (named.reference, given.reference) == ("zero counts", "one given sample")


def test_the_training_mean(counts, fitted):
    """Behind a z-score it is zero; behind MinMax nobody has kept it."""
    X, _, _ = counts
    for name in ("dl_log", "logistic"):
        found = deeplift.reference_input(fitted[name], X, reference="mean")
        np.testing.assert_allclose(found, fitted[name][:-1].transform(X).mean(axis=0, keepdims=True), atol=1e-5)
    assert found.columns[0] == "hsa-miR-0"
    with pytest.raises(InputError, match="needs a model on z-scores"):
        contributions(fitted["dl_paper"], X, reference="mean")


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
    close(by_group(means, 3)[2], found.values[50:].mean(axis=0), 2e-6)


def test_model_space_is_what_the_preprocessing_makes(counts, fitted):
    X, _, _ = counts
    for name in ("dl_paper", "dl_log"):
        model = fitted[name]
        space = deeplift.model_space(model, X)
        np.testing.assert_allclose(space, model[:-1].transform(X), rtol=1e-5, atol=1e-6)
        found = contributions(model, X)
        np.testing.assert_allclose(softmax(found.logits, axis=1), model.predict_proba(X), atol=1e-5)


def test_integer_classes_and_a_binary_logistic_regression():
    rng = np.random.default_rng(10)
    X, y = rng.normal(size=(40, 3)), np.repeat([7, 9], 20)
    model = LogisticRegression().fit(X + y[:, None], y)
    found = contributions(model, X)
    assert found.classes.tolist() == [9]
    close(found.values[:, 0], X * model.coef_)
    with pytest.raises(InputError, match="unknown class 7: expected one of 9"):
        contributions(model, X, outputs=[7])


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
    assert peak(lambda: class_means(model, X, y, rule=rule, batch_size=50))[0] < 7 * block
    assert (
        peak(lambda: class_means(model, X, np.arange(1500) // 3 % 100, rule=rule, batch_size=50))[0]
        < 110 * 16e3 + 7 * block
    )


# what goes wrong


def test_incomplete_contributions_raise_with_the_figures(case, monkeypatch):
    model, X, _ = case
    real = deeplift.propagate

    def broken(factor):
        def propagate(*arguments):
            mean, *others = real(*arguments)
            return mean * np.float32(factor), *others

        return propagate

    monkeypatch.setattr(deeplift, "propagate", broken(1.001))
    with pytest.raises(CompletenessError, match=r"contributions sum to .* where the output changes by .*: a gap of"):
        contributions(model, X)
    with pytest.raises(CompletenessError):
        class_means(model, X, np.arange(90) % 2)
    with pytest.raises(CompletenessError):
        class_means(model, X, np.arange(90) % 6)
    monkeypatch.setattr(deeplift, "propagate", broken(np.nan))
    with pytest.raises(CompletenessError, match="nan"):
        contributions(model, X)


def test_models_without_layers_are_refused(counts):
    X, y, _ = counts
    forest = recipe("rf_plain", classifier__n_estimators=3).fit(X, y)
    with pytest.raises(InputError, match="model is a RandomForestClassifier; expected"):
        contributions(forest, X)


def test_preprocessing_that_mixes_srnas_is_refused(counts):
    X, y, _ = counts
    model = Pipeline([("log", LogCPM()), ("pca", PCA(3)), ("classifier", LogisticRegression())]).fit(X, y)
    with pytest.raises(InputError, match="makes 'pca0', no sRNA of the counts"):
        contributions(model, X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "gradient"}, "unknown rule 'gradient': expected one of rescale, revealcancel"),
        ({"reference": "median"}, "unknown reference 'median': expected one of zeros, zero_counts"),
        ({"reference": "zero_counts"}, "needs a pipeline that starts from counts"),
        ({"reference": "mean"}, "needs a model on z-scores"),
        ({"reference": np.zeros(119)}, r"reference has the shape \(1, 119\); expected 120 features"),
        ({"reference": np.full(120, np.nan)}, "missing or infinite"),
        ({"outputs": [6]}, "unknown class 6: expected one of 0, 1, 2, 3, 4, 5"),
        ({"outputs": []}, r"unknown class \[\]: expected one of 0, 1"),
        ({"outputs": "5"}, "unknown class '5': expected one of 0, 1"),
        ({"batch_size": 0}, "batch_size is 0; expected a whole number, at least 1"),
        ({"batch_size": None}, "batch_size is None; expected a whole number"),
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
        (csr_array(X), "X is a sparse matrix"),
    ):
        with pytest.raises(InputError, match=message):
            contributions(model, bad)
    table = counts[0]
    for bad, message in (
        (table.to_numpy(), "X is a ndarray; expected raw counts of at least one sample as DataFrame"),
        (table.iloc[:0], "at least one sample"),
        (table.drop(columns="hsa-miR-3"), "1 missing, 0 unknown, such as 'hsa-miR-3'"),
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
    with pytest.raises(InputError, match="unknown sample 's1'"):
        contributions(model, X).of_sample("s1")
