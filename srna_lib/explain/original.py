"""The original `deeplift` package as an oracle for `srna_lib.deeplift`, in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from srna_lib.errors import InputError
from srna_lib.explain.deeplift import ACTIVATIONS, RULES, Dense, Layer, Network, Scale, forward, read_network
from srna_lib.explain.worker import MISSING

WORKER = Path(__file__).with_name("worker.py")
PYTHON = "SRNA_ORACLE_PYTHON"
ADVICE = f"install it here, or name in {PYTHON} a Python that has tensorflow and deeplift"


class OracleTask(NamedTuple):
    """One task for the original package; see `reference_contributions`."""

    model: Any
    X: Any
    reference: Any = None
    rule: str = "rescale"
    batch_size: int = 200
    repeats: int = 1


class Oracle(NamedTuple):
    """What the original package gives.

    Attributes
    ----------
    values : array, shape (n_samples, n_outputs, n_features), float32
        Contributions to logits.
    seconds, cpu_seconds : array, shape (repeats,)
        Time of the package's calls, one per output, its model built beforehand: on the clock, and of all threads.
    versions : list of str
        Of deeplift and TensorFlow.
    """

    values: np.ndarray
    seconds: np.ndarray
    cpu_seconds: np.ndarray
    versions: list[str]


def available() -> bool:
    """Whether the original package and TensorFlow are there.

    Returns
    -------
    bool
    """
    names = ("tensorflow", "deeplift")
    if _python() == sys.executable:
        return all(importlib.util.find_spec(name) for name in names)
    check = f"import importlib.util as u, sys; sys.exit(not all(u.find_spec(n) for n in {names}))"
    return _start([_python(), "-P", "-c", check], timeout=None).returncode == 0


def reference_contributions(
    model: Any,
    X: Any,
    *,
    reference: Any = None,
    rule: str = "rescale",
    batch_size: int = 200,
    repeats: int = 1,
    timeout: float = 1800.0,
) -> Oracle:
    """Contributions to all logits by the original `deeplift` package.

    Parameters
    ----------
    model : list of array, DenseNetClassifier, LogisticRegression or keras.Sequential
        A list holds kernel and bias of each dense layer, with ReLU between. Dense, BatchNormalization and ReLU, sigmoid
        or tanh are what the package knows of what `deeplift.contributions` takes.
    X : array, shape (n_samples, n_features)
        Model input (`deeplift.model_space` gives that of a pipeline).
    reference : array, shape (n_features,) or (1, n_features), optional
        Model input to compare with; zeros by default.
    rule : str, default "rescale"
        Or ``revealcancel``.
    batch_size : int, default 200
        Samples per run of the package's TensorFlow session.
    repeats : int, default 1
        Times that everything is computed, for timing.
    timeout : float, default 1800
        Seconds after which the process is ended.

    Returns
    -------
    Oracle

    Raises
    ------
    InputError
        TensorFlow or the package is missing, or the network has a layer that it does not know.
    RuntimeError
        The package failed (the end of what it printed is in the message) or took longer than `timeout`.

    References
    ----------
    Shrikumar, Greenside, Kundaje 2017, arXiv:1704.02685; github.com/kundajelab/deeplift.
    """
    return run_tasks([OracleTask(model, X, reference, rule, batch_size, repeats)], timeout=timeout)[0]


def run_tasks(tasks: list[OracleTask], *, timeout: float = 1800.0) -> list[Oracle]:
    """Several tasks in one process: starting TensorFlow takes longer than most of them.

    Parameters
    ----------
    tasks : list of OracleTask
        As the parameters of `reference_contributions`.
    timeout : float, default 1800
        Seconds for all of them.

    Returns
    -------
    list of Oracle
        In the order of `tasks`.

    Raises
    ------
    InputError, RuntimeError
        As `reference_contributions`.
    """
    with tempfile.TemporaryDirectory() as name:
        places = [Path(name) / f"task_{i:04d}" for i in range(len(tasks))]
        for task, place in zip(tasks, places, strict=True):
            _write_task(task, place)
        try:
            done = _start([_python(), "-P", str(WORKER), name], timeout)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(
                f"the original deeplift package had not finished {len(tasks)} tasks after {timeout:.0f} seconds."
            ) from error
        if done.returncode == MISSING:
            raise InputError(
                f"the original deeplift package needs {done.stderr.split()[-1]!r}, which is missing: {ADVICE}."
            )
        if done.returncode:
            raise RuntimeError(f"the original deeplift package failed:\n{done.stderr[-2000:]}")
        return [_read_result(place) for place in places]


def _start(command: list[str], timeout: float | None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except OSError as error:
        raise InputError(
            f"{PYTHON} is {command[0]!r}, which cannot be started ({error.strerror}); expected a Python interpreter."
        ) from error


def _write_task(task: OracleTask, place: Path) -> None:
    if task.rule not in RULES:
        raise InputError(f"unknown rule {task.rule!r}: expected one of {', '.join(RULES)}.")
    network = _from_weights(task.model) if isinstance(task.model, list) else read_network(task.model)
    X = np.asarray(task.X, dtype=np.float32)
    start = np.zeros(network.n_features) if task.reference is None else np.asarray(task.reference)
    start = start.reshape(1, -1).astype(np.float32)
    if X.ndim != 2 or X.shape[1] != network.n_features or start.shape[1] != network.n_features:
        raise InputError(
            f"X has the shape {X.shape} and the reference {start.shape}; expected {network.n_features} features."
        )
    place.mkdir()
    _write_model(network, place / "model.h5")
    np.savez(
        place / "task.npz",
        X=forward(network.front, X),
        reference=forward(network.front, start)[0],
        rule=task.rule,
        batch_size=task.batch_size,
        repeats=task.repeats,
        n_outputs=len(network.classes),
    )


def _read_result(place: Path) -> Oracle:
    with np.load(place / "done.npz") as result:
        return Oracle(result["values"], result["seconds"], result["cpu_seconds"], result["versions"].tolist())


def _python() -> str:
    return os.environ.get(PYTHON) or sys.executable


def _from_weights(weights: list) -> Network:
    if len(weights) < 2 or len(weights) % 2:
        raise InputError(f"the list of weights has {len(weights)} arrays; expected kernel and bias of each layer.")
    layers: list[Layer] = []
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        layers += [Dense(np.asarray(kernel, np.float32), np.asarray(bias, np.float32)), ACTIVATIONS["relu"]()]
    return Network([], layers[:-1], np.arange(len(weights[-1])), "", len(weights[0]))


def _write_model(network: Network, path: Path) -> None:
    """Write layers as keras 2 wrote a model, which is all that the package can read."""
    if not isinstance(network.layers[-1], Dense):
        raise InputError(
            "the original deeplift package explains networks that end in a Dense layer; this one does not."
        )
    configs: list[tuple[str, dict[str, Any], dict[str, np.ndarray]]] = [
        ("InputLayer", {"batch_input_shape": [None, len(network.first.kernel)]}, {})
    ]
    configs += [_config(layer) for layer in network.layers]
    # the package explains the layer before the last; which activation comes last does not matter to it
    configs.append(("Activation", {"activation": "softmax" if len(network.classes) > 1 else "sigmoid"}, {}))
    described = []
    with h5py.File(path, "w") as file:
        for i, (kind, config, weights) in enumerate(configs):
            name = f"layer_{i}"
            described.append({"class_name": kind, "config": {"name": name, **config}})
            group = file.create_group(f"model_weights/{name}")
            group.attrs["weight_names"] = [f"{name}/{key}:0" for key in weights]
            for key, values in weights.items():
                group.create_dataset(f"{name}/{key}:0", data=values)
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": described})


def _config(layer: Layer) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
    if isinstance(layer, Dense):
        return "Dense", {"activation": "linear"}, {"kernel": layer.kernel, "bias": layer.bias}
    if isinstance(layer, Scale):
        size = len(layer.factor)
        weights = {
            "gamma": layer.factor,
            "beta": layer.shift,
            "moving_mean": np.zeros(size, np.float32),
            "moving_variance": np.ones(size, np.float32),
        }
        return "BatchNormalization", {"axis": -1, "epsilon": 0.0}, weights
    if layer.name not in ("relu", "sigmoid", "tanh"):
        raise InputError(f"the original deeplift package does not know {layer.name!r}; expected relu, sigmoid or tanh.")
    return "Activation", {"activation": layer.name}, {}
