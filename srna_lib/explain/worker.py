"""The original `deeplift` package at work: a script for a process of its own.

``python -P worker.py FOLDER`` reads ``model.h5`` and ``task.npz`` in each subfolder and writes ``done.npz``
beside them. The package was written for TensorFlow 1; it works on TensorFlow 2 when what it imports as ``tensorflow``
is ``tensorflow.compat.v1`` with all version-2 behaviour switched off. That switch holds for a whole process, which is
why this one ends with its tasks, and why nothing of srna_lib is imported in it.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

MISSING = 3  # exit code: TensorFlow or deeplift is not installed here


def main(folder: Path) -> None:
    """Run all tasks, one after the other.

    Parameters
    ----------
    folder : Path
        Its subfolders hold ``model.h5`` (keras 2 layout) and ``task.npz``: X (n_samples, n_features), reference
        (n_features,), rule, batch_size, repeats, n_outputs. ``done.npz`` is written there: values (n_samples,
        n_outputs, n_features), seconds and cpu_seconds (repeats,), versions.
    """
    try:
        tensorflow, deeplift = import_original()
    except ModuleNotFoundError as error:
        print(error.name, file=sys.stderr)
        sys.exit(MISSING)
    versions = np.array([f"{p} {importlib.metadata.version(p)}" for p in ("deeplift", "tensorflow")])
    for place in sorted(p for p in folder.iterdir() if p.is_dir()):
        # the package keeps one session for ever, and each call adds to its graph, which makes the next one slower
        deeplift.util._SESS = None
        with tensorflow.Graph().as_default():
            values, seconds, cpu_seconds = run(place, deeplift)
        np.savez(place / "done.npz", values=values, seconds=seconds, cpu_seconds=cpu_seconds, versions=versions)


def run(place: Path, deeplift: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run one task.

    Returns
    -------
    values : array, shape (n_samples, n_outputs, n_features), float32
    seconds, cpu_seconds : array, shape (repeats,)
        Time of the package's calls for all outputs, the model built beforehand: on the clock, and of all threads.
    """
    with np.load(place / "task.npz") as task:
        X, reference, rule = task["X"], task["reference"], str(task["rule"])
        batch_size, repeats, n_outputs = (int(task[k]) for k in ("batch_size", "repeats", "n_outputs"))
    rules = deeplift.layers.NonlinearMxtsMode
    mode = {"rescale": rules.Rescale, "revealcancel": rules.RevealCancel}[rule]
    convert = deeplift.conversion.kerasapi_conversion.convert_model_from_saved_files
    model = convert(str(place / "model.h5"), nonlinear_mxts_mode=mode, verbose=False)
    scores = model.get_target_contribs_func(find_scores_layer_idx=0, target_layer_idx=-2)
    seconds, cpu_seconds = [], []
    for _ in range(repeats):
        start, cpu_start = time.perf_counter(), time.process_time()
        values = [
            scores(
                task_idx=i,
                input_data_list=[X],
                input_references_list=[reference],
                batch_size=batch_size,
                progress_update=None,
            )
            for i in range(n_outputs)
        ]
        cpu_seconds.append(time.process_time() - cpu_start)
        seconds.append(time.perf_counter() - start)
    stacked = np.stack([np.asarray(v, dtype=np.float32) for v in values], axis=1)
    return stacked, np.array(seconds), np.array(cpu_seconds)


def import_original() -> tuple[Any, Any]:
    """Import the package on TensorFlow 1 names.

    Returns
    -------
    tensorflow, deeplift : module
    """
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
    main(Path(sys.argv[1]))
