"""The keras classifier: scikit-learn's contract, reproducibility, equality with the keras model it hands out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_classification
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from srna_lib.models import network as models_network
from srna_lib.models.network import DenseNetClassifier, clear_programs, compile_training

SMALL = {"hidden": (16,), "dropout": (0.0,), "epochs": 60, "batch_size": 10, "learning_rate": 0.01}

# At most two, each with its reason.
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a weight of two is not the same as a sample drawn twice: batches are drawn from other samples then"
    ),
}


@pytest.mark.slow
@parametrize_with_checks([DenseNetClassifier(**SMALL)], expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_at_most_two_expected_failures():
    assert len(EXPECTED_FAILURES) <= 2


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(n_samples=120, centers=3, n_features=8, random_state=0)
    return StandardScaler().fit_transform(X).astype(np.float32), np.array(["brain", "blood", "liver"])[y]


def test_learns_separable_classes(blobs):
    X, y = blobs
    model = DenseNetClassifier(**SMALL, random_state=0).fit(X[::2], y[::2])
    assert (model.predict(X[1::2]) == y[1::2]).mean() > 0.95
    assert model.loss_curve_.shape == (60,)
    assert model.loss_curve_[-1] < model.loss_curve_[0] / 5


def test_same_seed_same_network_whatever_was_compiled_before(blobs):
    X, y = blobs
    model = DenseNetClassifier(hidden=(16, 8), dropout=(0.5, 0.4), epochs=3, random_state=7)
    clear_programs()
    first = clone(model).fit(X, y).logits(X)
    again = clone(model).fit(X, y).logits(X)
    clear_programs()
    fresh = clone(model).fit(X, y).logits(X)
    other = clone(model).set_params(random_state=8).fit(X, y).logits(X)
    assert np.array_equal(first, again)
    assert np.array_equal(first, fresh)
    assert np.abs(first - other).max() > 1e-3


def test_one_program_serves_folds_of_other_sizes(blobs):
    X, y = blobs
    model = DenseNetClassifier(hidden=(16,), dropout=(0.1,), epochs=1, random_state=0)
    clear_programs()
    for rows, columns in ((120, 8), (110, 7), (97, 8)):
        clone(model).fit(X[:rows, :columns], y[:rows])
    assert compile_training.cache_info().misses == 1
    assert compile_training.cache_info().hits == 2


def test_padding_does_not_change_what_is_learned(blobs, monkeypatch):
    X, y = blobs
    model = DenseNetClassifier(hidden=(16,), dropout=(0.0,), epochs=4, random_state=0)
    padded = clone(model).fit(X, y)
    monkeypatch.setattr("srna_lib.models.network.PAD_SAMPLES", 1)
    monkeypatch.setattr("srna_lib.models.network.PAD_FEATURES", 1)
    exact = clone(model).fit(X, y)
    assert padded.weights_[0].shape == exact.weights_[0].shape == (8, 16)
    np.testing.assert_allclose(padded.logits(X), exact.logits(X), rtol=1e-4, atol=1e-4)


def test_keras_model_gives_the_same_probabilities(blobs):
    X, y = blobs
    model = DenseNetClassifier(hidden=(16, 8), dropout=(0.5, 0.4), epochs=3, random_state=0).fit(X, y)
    network = model.to_keras()
    np.testing.assert_allclose(network.predict(X, verbose=0), model.predict_proba(X), atol=1e-6)
    assert [layer.name for layer in network.layers][-2:] == ["logits", "softmax"]


def test_initial_loss_is_that_of_a_guess(blobs):
    X, y = blobs
    model = DenseNetClassifier(hidden=(16,), dropout=(0.0,), epochs=1, learning_rate=1e-9, random_state=0).fit(X * 0, y)
    assert model.loss_curve_[0] == pytest.approx(np.log(3), abs=1e-4)


def test_first_adam_step_moves_by_the_learning_rate():
    """Adam's first step is the learning rate times the sign of the gradient (Kingma and Ba 2015)."""
    X, y = np.array([[1.0, -1.0], [1.0, -1.0]], dtype=np.float32), np.array([0, 1])
    common = {"hidden": (), "dropout": (), "epochs": 1, "batch_size": 2, "random_state": 0}
    still = DenseNetClassifier(**common, learning_rate=1e-12).fit(X, y, sample_weight=[1.0, 3.0])
    moved = DenseNetClassifier(**common, learning_rate=1e-2).fit(X, y, sample_weight=[1.0, 3.0])
    step = np.abs(moved.weights_[0] - still.weights_[0])
    np.testing.assert_allclose(step, 1e-2, rtol=1e-3)


def test_balanced_class_weight_helps_the_small_class():
    X, y = make_classification(600, 10, weights=[0.95], class_sep=0.6, random_state=0)
    X = X.astype(np.float32)
    found = {
        w: (DenseNetClassifier(**SMALL, class_weight=w, random_state=0).fit(X, y).predict(X)[y == 1] == 1).mean()
        for w in (None, "balanced")
    }
    assert found["balanced"] > found[None]


def test_sample_weight_zero_is_as_good_as_absent(blobs):
    X, y = blobs
    weight = (y != "liver").astype(float)
    model = DenseNetClassifier(**SMALL, random_state=0).fit(X, y, sample_weight=weight)
    assert "liver" not in set(model.predict(X[y != "liver"]))


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"hidden": (5, 5), "dropout": (0.1,)}, "expected as many"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
    ],
)
def test_bad_parameters(blobs, parameters, says):
    with pytest.raises(ValueError, match=says):
        DenseNetClassifier(**{"hidden": (4,), "dropout": (0.0,), **parameters}).fit(*blobs)


def test_one_class_is_refused(blobs):
    with pytest.raises(ValueError, match="one class only"):
        DenseNetClassifier(hidden=(4,), dropout=(0.0,)).fit(blobs[0], np.zeros(120))


def test_other_backend_is_refused(monkeypatch):
    keras = models_network.import_keras()
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(RuntimeError, match="expected 'jax'"):
        models_network.import_keras()
