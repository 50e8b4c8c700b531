"""Flip single bits of files that are read, and count what happens: refused, done again, as before, changed, crashed.

    python scripts/flip_bits.py                  400 .h5ad files of each kind, 3000 folds: some minutes of one core
    python scripts/flip_bits.py --n 40 --folds 100

Files of other programs have no checksum but for compressed pieces, so a flipped count can only be another count there.
Ours have one of the whole file. A crash ends the process of its kind only and is counted.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

FORMS = {"csr": (sp.csr_matrix, None), "csc": (sp.csc_matrix, None), "dense": (np.asarray, None),
         "csr, gzip": (sp.csr_matrix, "gzip"), "ours": (sp.csr_matrix, "srna")}  # fmt: skip


def atlas(form: type) -> ad.AnnData:
    """A small atlas with text, categories, numbers and truth values."""
    rng, n = np.random.default_rng(3), 24
    values = rng.negative_binomial(0.6, 0.01, (n, 60)).astype(float)
    obs = pd.DataFrame({"dataset_id": ["A", "B"] * 12, "sex": pd.Categorical(["female", "male"] * 12)})
    obs = obs.assign(age_years=rng.integers(20, 80, n).astype(float)).set_axis([f"s{i}" for i in range(n)])
    return ad.AnnData(form(values), obs, pd.DataFrame(index=[f"hsa-miR-{i}-5p" for i in range(1, 61)]))


def flip(content: bytes, rng: np.random.Generator) -> bytes:
    """The same bytes with one bit flipped."""
    spoiled, at = bytearray(content), int(rng.integers(len(content)))
    spoiled[at] ^= 1 << int(rng.integers(8))
    return bytes(spoiled)


def flip_files(kind: str, start: int, n: int, folder: Path) -> None:
    """Print what reading each file led to."""
    from srna_lib.errors import InputError
    from srna_lib.io import read_h5ad, write_h5ad

    form, packing = FORMS[kind]
    path = folder / "a.h5ad"
    if packing == "srna":
        write_h5ad(atlas(form), path)
    else:
        atlas(form).write_h5ad(path, compression=packing)
    whole, content = read_h5ad(path), path.read_bytes()
    for i in range(start, n):
        path.write_bytes(flip(content, np.random.default_rng([len(kind), i])))
        try:
            found = read_h5ad(path)
        except InputError:
            print("refused", flush=True)
            continue
        changed = [] if np.array_equal(found.X.toarray(), whole.X.toarray()) else ["counts"]
        changed += [] if found.obs_names.equals(whole.obs_names) else ["names of samples"]
        changed += [] if found.var_names.equals(whole.var_names) else ["names of sRNAs"]
        changed += [] if found.obs.reset_index(drop=True).equals(whole.obs.reset_index(drop=True)) else ["metadata"]
        print(f"changed: {', '.join(changed)}" if changed else "as before", flush=True)


def work(count: list[int], split: object) -> pd.DataFrame:
    """A fold of predictions."""
    count.append(1)
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.random((40, 4)), [f"s{i}" for i in range(40)], list("abcd")).assign(y_true=["x", "y"] * 20)


def flip_folds(start: int, n: int, folder: Path) -> None:
    """Print what asking for each spoilt fold led to."""
    from srna_lib.evaluate.crossval import Split, map_folds

    splits, done = [Split("0", np.array([0, 1]), np.array([2]))], list[int]()
    ask = partial(map_folds, partial(work, done), splits, key="k", cache=folder, n_jobs=1, progress=False)
    whole = ask()[0]
    (path,) = folder.glob("*.parquet")
    content = path.read_bytes()
    for i in range(start, n):
        path.write_bytes(flip(content, np.random.default_rng([7, i])))
        before = len(done)
        same = ask()[0].equals(whole)
        print("changed: fold" if not same else "as before" if len(done) == before else "done again", flush=True)


def count(kind: str, n: int) -> Counter[str]:
    """Outcomes of `n` flips, each process going on where the one before crashed."""
    outcomes: list[str] = []
    while len(outcomes) < n:
        words = [sys.executable, "-W", "ignore", __file__, "--kind", kind, "--start", str(len(outcomes)), "--n", str(n)]
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([*words, "--folder", folder], capture_output=True, text=True, check=False)
        outcomes += done.stdout.splitlines()
        if done.returncode:
            outcomes.append("crashed" if done.returncode < 0 else "traceback")
            print(done.stderr[-1000:], file=sys.stderr)
    return Counter(outcomes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=400)
    parser.add_argument("--folds", type=int, default=3000)
    parser.add_argument("--kind", help=argparse.SUPPRESS)
    parser.add_argument("--start", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.kind:
        warnings.simplefilter("ignore")
        logging.disable()
        if told.kind == "folds":
            flip_folds(told.start, told.n, told.folder)
        else:
            flip_files(told.kind, told.start, told.n, told.folder)
        return
    for kind in [*FORMS, "folds"]:
        print(f"{kind:<10}", dict(count(kind, told.folds if kind == "folds" else told.n).most_common()), flush=True)


if __name__ == "__main__":
    main()
