"""Time five folds of the paper's network: compiled once, against five fresh keras models.

``python scripts/bench_training.py [--dataset mirome] [--epochs 10 50] [--repeats 5]``

All variants see the same five folds of real data, preprocessed beforehand, in one process, in turn (A B C A B C ...)
after one warm-up round. `fresh keras models` is what anybody writes: build, compile, fit, predict. `fresh estimator`
is the library's classifier with its compiled programs thrown away before each fold; its predictions must equal those
of the compile-once classifier bit by bit.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from srna_lib import report
from srna_lib.data import make_task
from srna_lib.datasets import load
from srna_lib.evaluate import make_splits
from srna_lib.models import DenseNetClassifier, build, clear_programs, import_keras, recipe


def folds(dataset: str) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Model input, class codes and test input of five random folds."""
    task = make_task(load(dataset))
    codes = np.unique(task.y, return_inverse=True)[1].astype(np.int32)
    made = []
    for split in make_splits(task, "random_5fold"):
        steps = recipe("dl_paper")[:-1]
        train = steps.fit_transform(task.X.iloc[split.train]).astype(np.float32)
        made.append((train, codes[split.train], steps.transform(task.X.iloc[split.test]).astype(np.float32)))
    return made


def fresh_keras(data: list, epochs: int) -> list[np.ndarray]:
    """Build, compile, fit and predict five keras models, one after the other."""
    keras = import_keras()
    out = []
    for train, y, test in data:
        keras.utils.set_random_seed(0)
        model = build(keras, train.shape[1], (1000, 250, 250), (0.5, 0.4, 0.4), int(y.max()) + 1, "glorot_uniform")
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=keras.optimizers.Adam(), loss=loss)
        model.fit(train, y, epochs=epochs, batch_size=30, verbose=0)
        out.append(np.asarray(model.predict(test, verbose=0)))
    return out


def estimator(data: list, epochs: int, forget: bool) -> list[np.ndarray]:
    """Five fits of the library's classifier; with `forget` each compiles anew."""
    out = []
    for train, y, test in data:
        if forget:
            clear_programs()
        out.append(DenseNetClassifier(epochs=epochs, random_state=0).fit(train, y).logits(test))
    return out


def main() -> None:
    """Run the comparison and print one markdown table row per variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="mirome")
    parser.add_argument("--epochs", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    data = folds(arguments.dataset)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; {report.versions()}")
    print(f"{arguments.dataset}: folds of {[d[0].shape for d in data]}, {arguments.repeats} rounds after one warm-up")
    for epochs in arguments.epochs:
        variants: dict[str, Callable[[], Any]] = {
            "compile once": partial(estimator, data, epochs, False),
            "fresh estimator": partial(estimator, data, epochs, True),
            "fresh keras models": partial(fresh_keras, data, epochs),
        }
        seconds: dict[str, list[float]] = {name: [] for name in variants}
        predictions: dict[str, Any] = {}
        for round_ in range(arguments.repeats + 1):
            for name, run in variants.items():
                start = time.perf_counter()
                predictions[name] = run()
                if round_:
                    seconds[name].append(time.perf_counter() - start)
        same = all(
            np.array_equal(a, b)
            for a, b in zip(predictions["compile once"], predictions["fresh estimator"], strict=True)
        )
        print(f"\n{epochs} epochs; compile once and fresh estimator give equal predictions: {same}")
        base = seconds["compile once"]
        for name, values in seconds.items():
            ratio = statistics.median(v / b for v, b in zip(values, base, strict=True))
            low, middle, high = min(values), statistics.median(values), max(values)
            print(f"| {epochs} | {name} | {middle:.2f} | {low:.2f} to {high:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
