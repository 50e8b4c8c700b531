"""Time the steps to flip of a whole atlas against plain loops with one forward pass per step.

``python scripts/bench_stability.py [--dataset mirome] [--samples 12] [--jobs 2] [--rounds 3]``

Fits the paper's network once on all samples, then counts the steps of every sample towards every other class. Plain
loops walk the same paths for a few samples and must find the same steps. They differ in what a forward pass is: the
bare network on a row of model input; the fitted pipeline on a row of counts; keras's own ``predict``. The last two are
slow, so one pass of theirs is repeated. Figures are passes (steps evaluated) per second, of wall and of processor
time; ratios are of processor time, one process each.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from srna_lib import report
from srna_lib.data import make_task
from srna_lib.datasets import load
from srna_lib.models import recipe
from srna_lib.stability.flips import first_flips
from srna_lib.stability.masking import MaskedInput, mask_input
from srna_lib.stability.orders import Order, deeplift_order


def plain_loop(network: Any, inputs: MaskedInput, order: Order) -> tuple[pd.DataFrame, int]:
    """One forward pass per step with the bare network: steps, and how many passes it took."""
    own = network.logits(inputs.values).argmax(axis=1)
    scores = order.start(inputs, own, np.arange(len(own)))
    rows, passes = [], 0
    for i, mine in enumerate(own):
        for other in range(len(network.classes_)):
            if other == mine:
                continue
            x, similar, stable = inputs.values[i : i + 1].copy(), np.nan, np.nan
            path = [j for j in np.argsort(-scores[i, other], kind="stable") if inputs.active[i, j]]
            for step, j in enumerate(path, start=1):
                x[0, j] = inputs.blank[j]
                label, passes = network.predict(x)[0], passes + 1
                if np.isnan(stable) and label != network.classes_[mine]:
                    stable = step
                if label == network.classes_[other]:
                    similar = step
                    break
            rows.append((i, similar, stable))
    return pd.DataFrame(rows, columns=["sample", "similarity", "stability"]), passes


class Watch:
    """Wall and processor seconds of a block; the latter hardly depend on what else the machine does."""

    def __enter__(self) -> Watch:
        """Start."""
        self.start = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop."""
        self.wall = time.perf_counter() - self.start[0]
        self.cpu = time.process_time() - self.start[1]


def passes_per_second(predict: Any, row: Any, passes: int) -> tuple[float, float]:
    """Forward passes per second of wall and of processor time, by repeating one."""
    predict(row)
    with Watch() as watch:
        for _ in range(passes):
            predict(row)
    return passes / watch.wall, passes / watch.cpu


def peak_gib() -> float:
    """Largest resident memory that this process and its living children ever had, in GiB (Linux)."""
    pids = [os.getpid(), *(int(p) for p in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())]
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


def main() -> None:
    """Run the comparison and print one markdown table row per variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="mirome")
    parser.add_argument("--samples", type=int, default=12)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    task = make_task(load(arguments.dataset))
    model = recipe("dl_paper").fit(task.X, task.y)
    network = model[-1]
    inputs = mask_input(model, task.X)
    order = deeplift_order(network, inputs.blank)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; {report.versions()}")
    print(f"{arguments.dataset}: {inputs.values.shape} model inputs, {len(network.classes_)} classes")
    some = inputs.take(np.sort(np.random.default_rng(0).choice(len(task.y), arguments.samples, replace=False)))
    first_flips(some, network, order)  # warm-up
    with Watch() as alone:
        flips = first_flips(inputs, network, order)
    memory = peak_gib()
    with Watch() as together:
        first_flips(inputs, network, order, n_jobs=arguments.jobs)
    steps = flips["similarity"].fillna(flips["looked"]).sum()
    print(f"all samples x all other classes: {len(flips)} paths, {steps:.0f} steps")
    print(f"one process: {alone.wall:.1f} s, {alone.cpu:.1f} s of processor time, peak memory {memory:.2f} GiB")
    print(f"{arguments.jobs} processes: {together.wall:.1f} s, peak memory {peak_gib():.2f} GiB together")
    keras = network.to_keras()
    rates: dict[str, list[tuple[float, float]]] = {}
    for _ in range(arguments.rounds):
        with Watch() as watch:
            ours = first_flips(some, network, order)
        done = ours["similarity"].fillna(ours["looked"]).sum()
        rates.setdefault("srna_lib, one process", []).append((done / watch.wall, done / watch.cpu))
        with Watch() as watch:
            theirs, passes = plain_loop(network, some, order)
        rates.setdefault("plain loop, bare network", []).append((passes / watch.wall, passes / watch.cpu))
        kinds = ["similarity", "stability"]
        assert np.array_equal(ours[kinds].to_numpy(float), theirs[kinds].to_numpy(float), equal_nan=True)
        row = inputs.values[:1]
        found = passes_per_second(lambda x: keras.predict(x, verbose=0), row, 100)
        rates.setdefault("plain loop, keras predict", []).append(found)
        found = passes_per_second(model.predict, task.X.iloc[:1], 50)
        rates.setdefault("plain loop, fitted pipeline", []).append(found)
    print("steps equal to the plain loop's: True")
    base = rates["srna_lib, one process"]
    for name, values in rates.items():
        wall, cpu = (statistics.median(v[i] for v in values) for i in (0, 1))
        ratio = statistics.median(b[1] / v[1] for b, v in zip(base, values, strict=True))
        print(f"| {name} | {wall:.0f} | {cpu:.0f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
