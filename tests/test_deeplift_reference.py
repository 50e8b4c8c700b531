"""Our DeepLIFT against the original package, on trained networks of the paper's size."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from srna_lib.errors import InputError
from srna_lib.explain import original
from srna_lib.explain.deeplift import RULES, contributions
from srna_lib.explain.original import OracleTask, run_tasks
from srna_lib.models.network import DenseNetClassifier
from srna_lib.models.recipes import recipe

needs_package = pytest.mark.skipif(not original.available(), reason="ORACLE NOT TESTED: no tensorflow and deeplift")


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
def answers(trained):
    """Everything the package is asked, in one process: (name, rule, reference) -> its answer."""
    tasks = {
        (name, rule, which): OracleTask(trained[name][0], trained[name][1], trained[name][2][which], rule)
        for (name, which) in PAIRS
        for rule in RULES
    }
    X, y = trained["z"][1], np.arange(40) % 2
    tasks["linear"] = OracleTask(LogisticRegression().fit(X, y), X, repeats=2)
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
def test_the_two_rules_differ(answers):
    """Otherwise agreement of both would prove little."""
    a, b = (answers["z", rule, "zeros"].values for rule in RULES)
    assert np.abs(a - b).max() > 0.05 * np.abs(a).max()


@needs_package
def test_a_linear_model_is_answered_too_and_tensorflow_stays_outside(trained, answers):
    found, X = answers["linear"], trained["z"][1]
    close = contributions(LogisticRegression().fit(X, np.arange(40) % 2), X).values
    np.testing.assert_allclose(found.values, close, atol=1e-5 * np.abs(close).max())
    assert found.seconds.shape == found.cpu_seconds.shape == (2,)
    assert (found.seconds > 0).all() and (found.cpu_seconds > 0).all()
    assert "tensorflow" not in sys.modules and "deeplift" not in sys.modules


def test_the_worker_imports_nothing_of_ours(tmp_path):
    """Started on an empty folder by a Python that has stand-ins for the package and TensorFlow."""
    code = (
        "import runpy, sys, types\n"
        "for name in ('tensorflow', 'tensorflow.compat', 'tensorflow.compat.v1', 'deeplift', 'deeplift.layers',"
        " 'deeplift.util', 'deeplift.conversion', 'deeplift.conversion.kerasapi_conversion'):\n"
        "    sys.modules[name] = types.ModuleType(name)\n"
        "    sys.modules[name].__path__ = []\n"
        "tf = sys.modules['tensorflow'].compat = sys.modules['tensorflow.compat']\n"
        "tf.v1 = sys.modules['tensorflow.compat.v1']\n"
        "tf.v1.disable_v2_behavior = lambda: None\n"
        "import importlib.metadata\n"
        "importlib.metadata.version = lambda name: '0'\n"
        f"sys.argv = ['original.py', {str(tmp_path)!r}]\n"
        f"runpy.run_path({original.__file__!r}, run_name='__main__')\n"
        "print([m for m in sys.modules if m.startswith(('srna_lib', 'sklearn', 'pandas'))])\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_a_missing_package_is_said(monkeypatch):
    monkeypatch.setattr(original, "PACKAGES", ("deeplift", "no_such_package"))
    assert not original.available()
    with pytest.raises(InputError, match="install deeplift and tensorflow"):
        run_tasks([])


def test_a_worker_that_fails_says_why(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho broken machine >&2\nexit 9\n", encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(original, "PACKAGES", ())
    with pytest.raises(RuntimeError, match="failed:\nbroken machine"):
        run_tasks([])


def test_differences_of_a_recipe_are_those_of_its_network_in_its_own_space(monkeypatch):
    """An oracle that says half as much again everywhere is off by a third of its largest contribution."""

    def half_more(tasks):
        own = [contributions(t.model, t.X, reference=t.reference, rule=t.rule).values for t in tasks]
        return [original.Oracle(1.5 * values, *[None] * (len(original.Oracle._fields) - 1)) for values in own]

    rng = np.random.default_rng(0)
    counts = pd.DataFrame(rng.poisson(50, (40, 6)), columns=[f"hsa-miR-{i}" for i in range(6)]).astype(float)
    model = recipe("logistic").fit(counts, np.repeat(["a", "b"], 20))
    monkeypatch.setattr(original, "run_tasks", half_more)
    found = original.differences(model, counts, reference="mean")
    assert found == pytest.approx(dict.fromkeys(RULES, 1 / 3), rel=1e-5)
