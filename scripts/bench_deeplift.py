"""Time DeepLIFT: ours against the original package side by side, and ours on every sample and class of a real atlas.

``python scripts/bench_deeplift.py [--rounds 3] [--dataset open_atlas] [--no-package | --no-atlas]``

Side by side: a 1000-250-250 ReLU network, 300 samples x 2500 features x 8 classes, both rules. A round asks the package
first (its own process, TensorFlow on all cores, its model built and every call made once before the clock starts), then
our `contributions` (the median of `--repeats` calls, the reading of the model included); rounds follow each other, so
that a slow minute of the machine hits both. Time is given on the clock and of the processor (all threads), for on a
busy machine only the latter means something; then run both on one thread (``OMP_NUM_THREADS=1
TF_NUM_INTRAOP_THREADS=1``), because waiting threads burn processor time. Differences are shares of the largest
contribution.

Atlas: recipe `dl_log` is fitted on all samples of the data set (few epochs: training is not what is timed); then a
fresh process that holds the fitted pipeline and the counts explains every sample for every class and says its own peak
memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import sys
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

import srna_lib as srna
from srna_lib import report
from srna_lib.data import make_task
from srna_lib.datasets import load
from srna_lib.explain.deeplift import RULES, class_means
from srna_lib.explain.original import OracleTask, run_tasks
from srna_lib.models import DenseNetClassifier, recipe

SIZES = (2500, 1000, 250, 250, 8)
SAMPLES = 300


def make_network(rng: np.random.Generator) -> DenseNetClassifier:
    """The paper's network with random weights: what training puts there does not change the time."""
    model = DenseNetClassifier()
    model.weights_ = []
    for n_in, n_out in pairwise(SIZES):
        kernel = rng.normal(size=(n_in, n_out)) * np.sqrt(2 / n_in)
        model.weights_ += [kernel.astype(np.float32), (0.1 * rng.normal(size=n_out)).astype(np.float32)]
    model.n_features_in_, model.classes_ = SIZES[0], np.arange(SIZES[-1])
    return model


def side_by_side(rounds: int, repeats: int, package_batch: int, package: bool) -> None:
    """Print a markdown table: seconds of both and their ratio, per rule, on the clock and of the processor."""
    rng = np.random.default_rng(0)
    model, X = make_network(rng), rng.random((SAMPLES, SIZES[0])).astype(np.float32)
    rows = []
    for rule in RULES:
        srna.explain(model, X, rule=rule)  # compiles
    for _ in range(rounds):
        tasks = [OracleTask(model, X, rule=rule, batch_size=package_batch, repeats=2) for rule in RULES]
        answers = run_tasks(tasks, timeout=3600) if package else [None] * len(RULES)
        for rule, answer in zip(RULES, answers, strict=True):
            seconds = []
            for _ in range(repeats):
                start, cpu_start = time.perf_counter(), time.process_time()
                found = srna.explain(model, X, rule=rule)
                seconds.append((time.perf_counter() - start, time.process_time() - cpu_start))
            row = dict(zip(("clock", "processor"), np.median(seconds, axis=0), strict=True)) | {"rule": rule}
            if answer is not None:
                row |= {"package_clock": answer.seconds[-1], "package_processor": answer.cpu_seconds[-1]}
                row["difference"] = np.abs(found.values - answer.values).max() / np.abs(answer.values).max()
                if rule == "rescale":
                    exact = double_precision(model, X)
                    off = [float(np.abs(v - exact).max() / np.abs(exact).max()) for v in (answer.values, found.values)]
            rows.append(row)
    print(
        f"{SAMPLES} samples x {SIZES[0]} features x {SIZES[-1]} classes, {rounds} rounds; seconds (median), differences"
    )
    print(pd.DataFrame(rows).groupby("rule", sort=False).median().round(7).to_string())
    if package:
        ratios = pd.DataFrame(rows).assign(ratio=lambda t: t["package_clock"] / t["clock"]).groupby("rule")["ratio"]
        print(f"times as fast as the package: {ratios.agg(['median', 'min', 'max']).round().to_dict('index')}")
        print(f"Rescale off double precision by (share of the largest): package {off[0]:.1e}, ours {off[1]:.1e}")


def double_precision(model: DenseNetClassifier, X: np.ndarray) -> np.ndarray:
    """Rescale against zeros in double precision, layer by layer: what both should give."""
    weights = [w.astype(np.float64) for w in model.weights_]
    values, start, slopes = X.astype(np.float64), np.zeros((1, X.shape[1])), []
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        values, start = values @ kernel + bias, start @ kernel + bias
        change = np.maximum(values, 0) - np.maximum(start, 0)
        slopes.append(change / (values - start))
        values, start = np.maximum(values, 0), np.maximum(start, 0)
    back = np.broadcast_to(weights[-2].T, (len(X), *weights[-2].T.shape))
    for slope, kernel in zip(slopes[::-1], weights[-4::-2], strict=True):
        back = (back * slope[:, None]) @ kernel.T
    return back * X[:, None]


def explain_all(model: Any, X: pd.DataFrame, y: pd.Series) -> list[tuple[str, str, float, float, float]]:
    """In a fresh process: seconds (clock, processor) and peak memory (GiB) so far, per rule; class means after."""
    rows = []
    for name, rule in [("contributions", r) for r in RULES] + [("class means", r) for r in RULES]:
        start, cpu_start = time.perf_counter(), time.process_time()
        if name == "contributions":
            found = srna.explain(model, X, rule=rule)
            shape = f"{found.values.shape}, error {found.error:.1e}"
            del found
        else:
            shape = str(class_means(model, X, y, rule=rule).shape)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        rows.append((f"{name}, {rule}", shape, seconds, cpu_seconds, peak / 2**30))
    return rows


def whole_atlas(dataset: str, label: str, epochs: int) -> None:
    """Print a markdown table: seconds and peak memory for all classes of all samples."""
    task = make_task(load(dataset), label)
    model = recipe("dl_log", classifier__epochs=epochs).fit(task.X, task.y)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        rows = pool.apply(explain_all, (model, task.X, task.y))
    print(f"\n{dataset}, {label}: {task.X.shape[0]} samples x {task.X.shape[1]} sRNAs, {len(task.classes)} classes")
    print("| what | result | clock (s) | processor (s) | peak of the process so far (GiB) |\n|---|---|---|---|---|")
    for name, shape, seconds, cpu_seconds, peak in rows:
        print(f"| {name} | {shape} | {seconds:.1f} | {cpu_seconds:.1f} | {peak:.2f} |")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--package-batch", type=int, default=SAMPLES)
    parser.add_argument("--dataset", default="open_atlas")
    parser.add_argument("--label", default="tissue_group")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--no-package", action="store_true")
    parser.add_argument("--no-atlas", action="store_true")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; {report.versions()}")
    side_by_side(arguments.rounds, arguments.repeats, arguments.package_batch, not arguments.no_package)
    if not arguments.no_atlas:
        whole_atlas(arguments.dataset, arguments.label, arguments.epochs)


if __name__ == "__main__":
    main()
