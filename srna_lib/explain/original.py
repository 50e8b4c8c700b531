"""The authors' `deeplift` package as the judge of ours, in a process of its own: ``python -P original.py FOLDER``.

The package was written for TensorFlow 1; it works on TensorFlow 2 when what it imports as ``tensorflow`` is
``tensorflow.compat.v1``. That holds for a whole process, so the worker ends with its tasks and imports no srna_lib.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

if __name__ != "__main__":  # the worker has no need of them
    from srna_lib.errors import InputError
    from srna_lib.explain.deeplift import RULES, contributions, model_space, read_network, reference_input

PACKAGES = ("deeplift", "tensorflow")


class OracleTask(NamedTuple):
    """One task: network (or linear model), samples and reference in model space (default: zeros), and how."""

    model: Any
    X: Any
    reference: Any = None
    rule: str = "rescale"
    batch_size: int = 200
    repeats: int = 1


class Oracle(NamedTuple):
    """Contributions (n_samples, n_outputs, n_features), and seconds of each repeat (clock, processor)."""

    values: np.ndarray
    seconds: np.ndarray
    cpu_seconds: np.ndarray


def available() -> bool:
    """Whether the original package and TensorFlow are installed."""
    return all(importlib.util.find_spec(name) for name in PACKAGES)


def run_tasks(tasks: list[OracleTask], *, timeout: float = 1800.0) -> list[Oracle]:
    """Contributions to all logits by the original package; all tasks in one process, as TensorFlow starts slowly."""
    if not available():
        raise InputError("the original deeplift package is not here: install deeplift and tensorflow.")
    with tempfile.TemporaryDirectory() as folder:
        for i, task in enumerate(tasks):
            np.savez(Path(folder) / f"task_{i:04d}.npz", **_arrays(task))
        command = [sys.executable, "-P", __file__, folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode:
            raise RuntimeError(f"the original deeplift package failed:\n{done.stderr[-2000:]}")
        answers = [np.load(Path(folder) / f"done_{i:04d}.npz") for i in range(len(tasks))]
        return [Oracle(*(answer[field] for field in Oracle._fields)) for answer in answers]


def differences(model: Any, X: Any, *, reference: Any = None) -> dict[str, float]:
    """Rule -> largest difference between our contributions and the package's, relative to the largest contribution."""
    values, start = model_space(model, X), reference_input(model, X, reference=reference)
    theirs = run_tasks([OracleTask(model[-1], values, start, rule) for rule in RULES])
    ours = [contributions(model, X, reference=reference, rule=rule).values for rule in RULES]
    pairs = zip(ours, (judge.values for judge in theirs), strict=True)
    return dict(zip(RULES, (float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs), strict=True))


def _arrays(task: OracleTask) -> dict[str, Any]:
    """What the worker needs of a task."""
    layers = read_network(task.model).layers
    start = np.zeros(len(layers[0].kernel)) if task.reference is None else np.ravel(task.reference)
    samples = {"X": np.asarray(task.X, np.float32), "reference": start.astype(np.float32)}
    weights = {f"{kind}_{i:02d}": getattr(e, kind) for i, e in enumerate(layers) for kind in ("kernel", "bias")}
    return {**task._asdict(), **weights, **samples, "model": ""}


# ---- the worker


def _work(folder: Path) -> None:
    """Answer every task in a folder."""
    tensorflow, deeplift = _import_original()
    for path in sorted(folder.glob("task_*.npz")):
        deeplift.util._SESS = None  # kept for ever otherwise; each call adds to its graph and makes the next one slower
        with tensorflow.Graph().as_default(), np.load(path) as task:
            answer = _contributions(dict(task), deeplift)
        np.savez(path.with_name(path.name.replace("task", "done")), **answer)


def _contributions(task: dict[str, Any], deeplift: Any) -> dict[str, Any]:
    """Contributions and the time of the package's calls, one per output, the model built beforehand."""
    kernels = [task[k] for k in sorted(task) if k.startswith("kernel")]
    biases = [task[k] for k in sorted(task) if k.startswith("bias")]
    layers: list[tuple[str, dict[str, Any]]] = [("InputLayer", {"batch_input_shape": [None, len(kernels[0])]})]
    for kernel, bias in zip(kernels, biases, strict=True):
        layers += [
            ("Dense", {"activation": "linear", "weights": [kernel, bias]}),
            ("Activation", {"activation": "relu"}),
        ]
    layers[-1] = ("Activation", {"activation": "softmax"})  # explained is what comes before it
    config = [{"class_name": kind, "config": c | {"name": f"layer_{i}"}} for i, (kind, c) in enumerate(layers)]
    rules = deeplift.layers.NonlinearMxtsMode
    mode = {"rescale": rules.Rescale, "revealcancel": rules.RevealCancel}[str(task["rule"])]
    convert = deeplift.conversion.kerasapi_conversion.convert_sequential_model
    model = convert(config, nonlinear_mxts_mode=mode, verbose=False)
    scores = model.get_target_contribs_func(find_scores_layer_idx=0, target_layer_idx=-2)
    given = {"input_data_list": [task["X"]], "input_references_list": [task["reference"]], "progress_update": None}
    seconds, cpu_seconds = [], []
    for _ in range(int(task["repeats"])):
        start, cpu_start = time.perf_counter(), time.process_time()
        values = [scores(task_idx=i, batch_size=int(task["batch_size"]), **given) for i in range(len(biases[-1]))]
        cpu_seconds.append(time.process_time() - cpu_start)
        seconds.append(time.perf_counter() - start)
    return {"values": np.stack(values, axis=1).astype(np.float32), "seconds": seconds, "cpu_seconds": cpu_seconds}


def _import_original() -> tuple[Any, Any]:
    """Import the package on TensorFlow 1 names."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import tensorflow.compat.v1 as tensorflow

    tensorflow.disable_v2_behavior()
    sys.modules["tensorflow"] = tensorflow
    sys.modules["keras"] = None  # type: ignore[assignment]  # asked for a session first; keras 3 has none to give
    import deeplift
    import deeplift.conversion.kerasapi_conversion
    import deeplift.layers
    import deeplift.util

    return tensorflow, deeplift


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
