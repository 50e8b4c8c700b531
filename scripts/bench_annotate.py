"""How long are samples annotated, and with how much memory? ``python scripts/bench_annotate.py [--samples 10000]``.

Samples of `mirome` drawn with replacement are annotated by all shipped bundles, without and with reasons; loading the
data is not counted, reading the bundles is. Prints seconds of wall and processor time and the peak of memory.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

import srna_lib as srna
from srna_lib.data import counts_frame, make_atlas


def main() -> None:
    """Draw, annotate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--explained", type=int, default=1000)
    options = parser.parse_args()
    atlas = srna.load("mirome")
    counts, rng = counts_frame(atlas), np.random.default_rng(0)
    runs = (False, options.samples, None), (False, options.samples, "all"), (True, options.explained, None)
    for explain, n, batch in runs:
        drawn = rng.integers(0, len(counts), n)
        names = [f"s{i}" for i in range(n)]
        obs = atlas.obs.iloc[drawn][["dataset_id"]].set_axis(names)
        new = make_atlas(counts.iloc[drawn].set_axis(names), obs, info=dict(atlas.uns["srna"]))
        srna.annotate(new[:2].copy(), explain=explain, batch=batch)  # warm-up
        wall, cpu = time.perf_counter(), time.process_time()
        srna.annotate(new, explain=explain, batch=batch)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        told = f"{n} samples, reasons {explain}, batch {batch}"
        print(f"{told}: {wall:.1f} s wall, {cpu:.1f} s processor, peak {peak:.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
