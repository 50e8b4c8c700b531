"""Rivals: analytic cases, completeness, out-of-bag permutation, bad models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from srna_lib.errors import InputError
from srna_lib.explain import deeplift, other_methods
from srna_lib.explain.other_methods import (
    ALL,
    forest_gini,
    forest_permutation,
    gradient_x_input,
    integrated_gradients,
    layers,
    linear_weights,
    mean_scores,
)
from srna_lib.models.network import DenseNetClassifier
from srna_lib.models.preprocess import feature_names
from srna_lib.models.recipes import recipe

SMALL = {"classifier__hidden": (64, 32), "classifier__dropout": (0.5, 0.4), "classifier__epochs": 60}


def counts(n: int = 90, p: int = 40, classes: str = "abc", seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Three classes; sRNAs 2k and 2k + 1 are high in class k."""
    rng = np.random.default_rng(seed)
    y = np.array(list(classes) * (n // len(classes)))
    level = rng.gamma(2, 200, (1, p)) * rng.lognormal(0, 0.4, (len(y), p))
    for k, name in enumerate(classes):
        level[y == name, 2 * k : 2 * k + 2] *= 8
    X = pd.DataFrame(rng.poisson(level).astype(float), columns=[f"s{j}" for j in range(p)])
    X.index = [f"x{i}" for i in range(len(y))]
    X["rare"] = [1.0] + [0.0] * (len(y) - 1)  # a filter drops it
    return X, pd.Series(y, index=X.index)


@pytest.fixture(scope="module")
def data():
    return counts()


@pytest.fixture(scope="module")
def network(data):
    return recipe("dl_log", **SMALL).fit(*data)


@pytest.fixture(scope="module")
def linear(data):
    return recipe("logistic").fit(*data)


@pytest.fixture(scope="module")
def forest(data):
    return recipe("rf_plain", zeros__max_zero_share=0.9, classifier__n_estimators=60).fit(*data)


@pytest.mark.parametrize("method", [gradient_x_input, integrated_gradients])
@pytest.mark.parametrize("reference", ["mean", "zero_counts"])
def test_a_linear_model_has_weight_times_difference(data, linear, method, reference):
    X, _ = data
    difference = deeplift.model_space(linear, X).to_numpy()
    difference = difference - deeplift.reference_input(linear, X, reference=reference).to_numpy()
    expected = linear[-1].coef_[None] * difference[:, None, :]
    np.testing.assert_allclose(method(linear, X, reference=reference), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reference", ["mean", "zero_counts"])
def test_integrated_gradients_sum_to_the_difference_in_logits(data, network, reference):
    X, _ = data
    start = network[-1].logits(deeplift.reference_input(network, X, reference=reference).to_numpy())
    difference = network[-1].logits(deeplift.model_space(network, X).to_numpy()) - start
    error = []
    for steps in (5, 300):
        found = integrated_gradients(network, X, reference=reference, steps=steps).sum(axis=2)
        error.append(np.abs(found - difference).max() / np.abs(difference).max())
    assert error[1] < 0.005
    assert error[1] < error[0]


@pytest.mark.parametrize("threshold", [0.9, 1.1])
def test_integrated_gradients_stand_in_the_middle_of_each_step(threshold):
    """relu(x - threshold) from 0 to 2: the slope is one in two of four steps, seen from their middle alone."""
    network = DenseNetClassifier(hidden=(1,))
    network.weights_ = [np.ones((1, 1), np.float32), np.array([-threshold], np.float32), np.ones((1, 2), np.float32)]
    network.weights_.append(np.zeros(2, np.float32))
    network.n_features_in_, network.classes_ = 1, np.array(["a", "b"])
    found = integrated_gradients(Pipeline([("classifier", network)]), np.array([[2.0]]), steps=4)
    assert found.tolist() == [[[1.0], [1.0]]]


def test_without_biases_and_from_zero_gradient_times_input_is_exact(network, data):
    X, _ = data
    bare = recipe("dl_log", **SMALL)
    bare.steps = [*network.steps[:-1], ("classifier", _without_biases(network[-1]))]
    logits = bare[-1].logits(deeplift.model_space(bare, X).to_numpy())
    found = gradient_x_input(bare, X, reference="mean")
    np.testing.assert_allclose(found.sum(axis=2), logits, atol=1e-4 * np.abs(logits).max())


def _without_biases(classifier):
    import copy

    bare = copy.copy(classifier)
    bare.weights_ = [w * (w.ndim == 2) for w in classifier.weights_]
    return bare


@pytest.mark.parametrize("method", [gradient_x_input, integrated_gradients])
def test_gradients_do_not_depend_on_batches_or_neighbours(data, network, method, monkeypatch):
    X, _ = data
    whole = method(network, X)
    np.testing.assert_allclose(method(network, X[::-1])[::-1], whole, atol=1e-6 * np.abs(whole).max())
    monkeypatch.setattr(other_methods, "BATCH", 7)
    np.testing.assert_allclose(method(network, X), whole, atol=1e-6 * np.abs(whole).max())
    assert whole.shape == (len(X), 3, len(feature_names(network, X)))
    assert whole.dtype == np.float32


def test_the_reference_itself_gets_nothing(data, network):
    X, _ = data
    own = integrated_gradients(network, X.iloc[:1], reference=X.iloc[:1])
    assert np.abs(own).max() == 0


def test_gradients_refuse_forests_and_no_steps(data, forest, network):
    X, _ = data
    with pytest.raises(InputError, match="RandomForestClassifier; expected a Pipeline, dense network"):
        gradient_x_input(forest, X)
    with pytest.raises(InputError, match="steps=0"):
        integrated_gradients(network, X, steps=0)


def test_layers_of_two_classes_give_the_models_probabilities(data):
    X, y = data
    two = y.isin(["a", "b"])
    model = recipe("logistic").fit(X[two], y[two])
    ((kernel, bias),) = layers(model[-1])
    outputs = model[:-1].transform(X) @ kernel + bias
    share = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(share, model.predict_proba(X), atol=1e-4)


def test_mean_scores_are_d1_of_class_means(data, network):
    X, y = data
    values = integrated_gradients(network, X)
    scores = mean_scores(values, network, X, y)
    assert list(scores.index) == ["a", "b", "c"]
    assert list(scores.columns) == list(feature_names(network, X))
    mean = values[(y == "b").to_numpy()].mean(axis=0)
    np.testing.assert_allclose(scores.loc["b"], mean[1] - (mean[0] + mean[2]) / 2, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("how", ["gradients", "weights", "gini", "permutation"])
def test_every_method_finds_the_planted(data, network, linear, forest, how):
    X, y = data
    if how in ("gini", "permutation"):
        scores = forest_gini(forest, X) if how == "gini" else forest_permutation(forest, X, y)
        assert list(scores.index) == [ALL]
        assert set(scores.loc[ALL].nlargest(6).index) == {f"s{j}" for j in range(6)}
        return
    scores = linear_weights(linear, X)
    if how == "gradients":
        scores = mean_scores(integrated_gradients(network, X), network, X, y)
    for k, name in enumerate("abc"):
        assert set(scores.loc[name].nlargest(5).index) >= {f"s{2 * k}", f"s{2 * k + 1}"}
    assert "rare" not in scores.columns


def test_linear_weights_of_two_classes_mirror_each_other(data):
    X, y = data
    two = y.isin(["a", "b"])
    weights = linear_weights(recipe("logistic").fit(X[two], y[two]), X)
    assert list(weights.index) == ["a", "b"]
    np.testing.assert_array_equal(weights.loc["a"], -weights.loc["b"])
    assert weights.loc["b"].nlargest(2).index.isin(["s2", "s3"]).all()


def test_permutation_is_the_accuracy_lost_out_of_bag():
    """One feature decides between two equal classes: shuffled, a tree is right half of the time."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.poisson(100, (400, 6)).astype(float), columns=list("uvwxyz"))
    X["u"] = np.where(np.arange(400) % 2, 900.0, 10.0)
    y = pd.Series(np.arange(400) % 2).map({0: "n", 1: "y"})
    # counts as they are: as reads per million, all others would tell of u
    same = FunctionTransformer(feature_names_out="one-to-one")
    model = Pipeline([("same", same), ("classifier", RandomForestClassifier(50, max_features=None, random_state=0))])
    scores = forest_permutation(model.fit(X, y), X, y).loc[ALL]
    assert scores["u"] == pytest.approx(0.5, abs=0.03)
    assert (scores.drop("u") == 0).all()


def test_permutation_of_noise_is_about_zero():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.poisson(100, (200, 10)).astype(float)).rename(columns=str)
    y = pd.Series(rng.choice(["n", "y"], 200))
    model = recipe("rf_plain", classifier__n_estimators=100).fit(X, y)
    assert forest_permutation(model, X, y).loc[ALL].abs().max() < 0.03
    assert forest_gini(model, X).loc[ALL].min() > 0.03  # what makes Gini importance of noise hard to read


def test_bad_models(data, network, linear, forest):
    X, y = data
    with pytest.raises(InputError, match="DenseNetClassifier; expected a forest"):
        forest_gini(network, X)
    with pytest.raises(InputError, match="RandomForestClassifier; expected a logistic regression"):
        linear_weights(forest, X)
    with pytest.raises(InputError, match="LogisticRegression; expected a RandomForestClassifier"):
        forest_permutation(linear, X, y)
    with pytest.raises(InputError, match="45 samples; the forest was fitted on 90"):
        forest_permutation(forest, X.iloc[:45], y.iloc[:45])
    assert isinstance(linear[-1], LogisticRegression)
    assert isinstance(forest[-1], RandomForestClassifier)
