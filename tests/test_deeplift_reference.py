"""Our DeepLIFT against the original package, on trained networks of the paper's size."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from srna_lib.errors import InputError
from srna_lib.explain import original
from srna_lib.explain.deeplift import RULES, contributions
from srna_lib.explain.original import OracleTask, reference_contributions, run_tasks
from srna_lib.models.network import DenseNetClassifier, import_keras

needs_package = pytest.mark.skipif(
    not original.available(), reason=f"ORACLE NOT TESTED: tensorflow and deeplift: {original.ADVICE}"
)


PAIRS = [("unit", "zeros"), ("unit", "sample"), ("z", "zeros"), ("z", "mean")]


@pytest.fixture(scope="module")
def trained():
    """Two trained 1000-250-250 networks, of input in [0, 1] and of z-scores, each with samples and references."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 360)
    signal = rng.normal(size=(5, 300)) * (rng.random((5, 300)) < 0.1)
    z = signal[y] * 2 + rng.normal(size=(360, 300))
    unit = (z - z.min(axis=0)) / np.ptp(z, axis=0)
    made = {}
    for name, X in (("unit", unit), ("z", z)):
        X = X.astype(np.float32)
        model = DenseNetClassifier(epochs=6, random_state=0).fit(X[60:], y[60:])
        assert (model.predict(X[:60]) == y[:60]).mean() > 0.6
        references = {"zeros": np.zeros(300, np.float32), "mean": X[60:].mean(axis=0), "sample": X[100]}
        made[name] = (model, X[:40], references)
    return made


@pytest.fixture(scope="module")
def keras_models():
    """Batch normalisation before and after activations; of ReLU, and of sigmoid and tanh beside it."""
    return {name: build(*activations) for name, activations in ACTIVATIONS.items()}


ACTIVATIONS = {"relu": ("relu", "relu"), "smooth": ("tanh", "sigmoid")}


def build(second, third):
    keras = import_keras()
    rng = np.random.default_rng(1)
    L = keras.layers
    model = keras.Sequential([
        keras.Input((20,)), L.BatchNormalization(), L.Dense(30), L.BatchNormalization(), L.ReLU(), L.Dropout(0.3),
        L.Dense(20, activation=second), L.BatchNormalization(), L.Dense(15, activation=third),
        L.Dense(4, activation="softmax"),
    ])  # fmt: skip
    for layer in model.layers:
        weights = [rng.normal(size=w.shape) * 0.5 for w in layer.get_weights()]
        if type(layer).__name__ == "BatchNormalization":
            weights[-1] = rng.random(weights[-1].shape) + 0.3
        layer.set_weights(weights)
    return model, rng.normal(size=(25, 20)).astype(np.float32), rng.normal(size=20).astype(np.float32)


@pytest.fixture(scope="module")
def answers(trained, keras_models):
    """Everything the package is asked, in one process: (name, rule, reference) -> its answer."""
    tasks = {
        (name, rule, which): OracleTask(trained[name][0], trained[name][1], trained[name][2][which], rule)
        for (name, which) in PAIRS
        for rule in RULES
    }
    for name, (model, X, r) in keras_models.items():
        tasks |= {(name, rule, "given"): OracleTask(model, X, r, rule) for rule in RULES}
    tasks["weights"] = OracleTask(trained["unit"][0].weights_, trained["unit"][1], repeats=2)
    return dict(zip(tasks, run_tasks(list(tasks.values())), strict=True))


@needs_package
@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("name", "which"), PAIRS)
def test_trained_networks_agree_with_the_package(trained, answers, name, which, rule):
    model, X, references = trained[name]
    theirs = answers[name, rule, which].values
    ours = contributions(model, X, reference=references[which], rule=rule)
    assert ours.values.shape == theirs.shape == (40, 5, 300)
    assert np.abs(ours.values - theirs).max() <= 1e-5 * np.abs(theirs).max()
    change = model.logits(X) - model.logits(references[which][None])
    assert np.abs(ours.values.sum(axis=2, dtype=np.float64) - change).max() <= 1e-5 * np.abs(change).max()


@needs_package
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("name", "tolerance"), [("relu", 1e-5), ("smooth", 1e-3)])
def test_batch_normalisation_and_smooth_activations_agree_with_the_package(
    keras_models, answers, name, rule, tolerance
):
    """The package divides differences of smooth functions in single precision, which leaves noise in its answer.

    Ours is held against double precision in test_deeplift.py.
    """
    model, X, r = keras_models[name]
    theirs = answers[name, rule, "given"].values
    ours = contributions(model, X, reference=r, rule=rule).values
    assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()


@needs_package
def test_the_two_rules_differ(answers):
    """Otherwise agreement of both would prove little."""
    a, b = (answers["z", rule, "zeros"].values for rule in RULES)
    assert np.abs(a - b).max() > 0.05 * np.abs(a).max()


@needs_package
def test_weights_alone_will_do_and_tensorflow_stays_outside(answers):
    found = answers["weights"]
    np.testing.assert_allclose(found.values, answers["unit", "rescale", "zeros"].values, atol=1e-6)
    assert found.seconds.shape == found.cpu_seconds.shape == (2,)
    assert (found.seconds > 0).all() and (found.cpu_seconds > 0).all()
    assert found.versions[0].startswith("deeplift 0.6") and found.versions[1].startswith("tensorflow 2.")
    assert "tensorflow" not in sys.modules and "deeplift" not in sys.modules


def test_one_task_is_a_list_of_one(monkeypatch):
    asked = []
    monkeypatch.setattr(original, "run_tasks", lambda tasks, timeout: asked.append((tasks, timeout)) or ["answer"])
    assert reference_contributions("m", "X", reference="r", rule="x", batch_size=3, repeats=4, timeout=5) == "answer"
    assert asked == [([OracleTask("m", "X", "r", "x", 3, 4)], 5)]


def test_missing_tensorflow_is_said(trained, monkeypatch, tmp_path):
    """A Python that cannot import tensorflow, here by a package of that name that fails as a missing one does."""
    (tmp_path / "tensorflow.py").write_text("raise ModuleNotFoundError('gone', name='tensorflow')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv(original.PYTHON, raising=False)
    model, X, _ = trained["unit"]
    with pytest.raises(
        InputError, match="needs 'tensorflow', which is missing: install it here, or name in SRNA_ORACLE"
    ):
        reference_contributions(model, X[:2])


def test_another_python_can_be_named(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho broken machine >&2\nexit 9\n", encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setenv(original.PYTHON, str(python))
    assert not original.available()
    with pytest.raises(RuntimeError, match="failed:\nbroken machine"):
        reference_contributions([np.ones((2, 1)), np.zeros(1)], np.ones((1, 2)))


def test_a_python_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv(original.PYTHON, "/no/such/python")
    for ask in (
        original.available,
        lambda: original.reference_contributions([np.ones((2, 1)), np.zeros(1)], np.ones((1, 2))),
    ):
        with pytest.raises(InputError, match="SRNA_ORACLE_PYTHON is '/no/such/python', which cannot be started"):
            ask()


def test_a_package_that_hangs_is_ended(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setenv(original.PYTHON, str(python))
    with pytest.raises(RuntimeError, match="had not finished 1 tasks after 1 seconds"):
        reference_contributions([np.ones((2, 1)), np.zeros(1)], np.ones((1, 2)), timeout=1)


def test_bad_input_is_named(trained):
    model, X, _ = trained["unit"]
    keras = import_keras()
    L = keras.layers

    def sequential(*layers):
        return keras.Sequential([keras.Input((300,)), *layers])

    for arguments, options, message in (
        ((model, X), {"rule": "gradient"}, "unknown rule 'gradient'"),
        ((model, X[:, :7]), {}, r"X has the shape \(40, 7\) .*; expected 300 features"),
        ((model, X), {"reference": np.zeros(7)}, r"reference \(1, 7\)"),
        ((model.weights_[:3], X), {}, "list of weights has 3 arrays"),
        ((sequential(L.Dense(3, activation="gelu"), L.Dense(2)), X), {}, "does not know 'gelu'"),
        ((sequential(L.Dense(3, activation="leaky_relu"), L.Dense(2)), X), {}, "does not know 'leaky"),
        ((sequential(L.Dense(3), L.BatchNormalization()), X), {}, "networks that end in a Dense layer"),
    ):
        with pytest.raises(InputError, match=message):
            reference_contributions(*arguments, **options)
