"""Folds in parallel, each finished one kept on disk: for predictions and any other work on fitted models."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import inspect
import os
import sys
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from tqdm import tqdm

from srna_lib.labels import Task

PACKAGES = ("numpy", "scikit-learn", "keras", "jax", "imbalanced-learn")


class Split(NamedTuple):
    """One fold: its name and the positions of its training and test samples."""

    fold: str
    train: np.ndarray
    test: np.ndarray


def task_key(task: Task, model: Pipeline, code: Iterable[Any], *settings: Any) -> str:
    """Digest of all that decides the result of a fold but the fold itself.

    Parameters
    ----------
    task : Task
        Samples, labels, studies and donors.
    model : Pipeline
        Unfitted; its parameters count, and the modules of the library that its estimators come from.
    code : iterable of modules or functions
        Whose source counts beside them; comments, docstrings and layout never do.
    *settings
        Anything else with a faithful ``repr``.

    Returns
    -------
    str
        Hexadecimal.
    """
    digest = hashlib.sha256()
    digest.update(pd.util.hash_pandas_object(task.X, index=True).to_numpy().tobytes())
    digest.update(repr((list(task.X.columns), list(task.y), list(task.groups), task.name)).encode())
    digest.update(repr(None if task.donors is None else list(task.donors)).encode())
    digest.update(repr(sorted((k, repr(v)) for k, v in model.get_params().items())).encode())
    digest.update(repr(settings).encode())
    own = sorted({type(v).__module__ for v in model.get_params().values()})
    parts = [*code, *(sys.modules[m] for m in own if m.startswith("srna_lib."))]
    for part in dict.fromkeys(parts):
        digest.update(logic(inspect.getsource(part)).encode())
    for package in PACKAGES:
        digest.update(f"{package} {importlib.metadata.version(package)}".encode())
    return digest.hexdigest()


def logic(source: str) -> str:
    """What a source text does: its syntax tree without docstrings, positions and comments."""
    tree = ast.parse(textwrap.dedent(source))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def map_folds(
    work: Callable[[Split], pd.DataFrame],
    splits: list[Split],
    *,
    key: str,
    n_jobs: int = 1,
    cache: Path | str | None = None,
    progress: bool = True,
    label: str = "folds",
) -> list[pd.DataFrame]:
    """Do a piece of work for every fold.

    Parameters
    ----------
    work : callable
        Split -> table; a ``functools.partial`` of a module's function, so that it travels to other processes.
    splits : list of Split
        From `validate.make_splits`.
    key : str
        From `task_key`: a fold in the cache is found again only under the same key and split.
    n_jobs : int, default 1
        Folds at a time, each in a process of its own.
    cache : path, optional
        Folder where finished folds are kept, so that an interrupted run goes on from there.
    progress : bool, default True
        Show a bar.
    label : str, default "folds"
        Text of the bar.

    Returns
    -------
    list of DataFrame
        In the order of `splits`.
    """
    folder = None if cache is None else Path(cache)
    files = [None if folder is None else folder / f"{_fold_key(key, s)}.parquet" for s in splits]
    done = {i: pd.read_parquet(f) for i, f in enumerate(files) if f is not None and f.exists()}
    todo = [i for i in range(len(splits)) if i not in done]
    with tqdm(total=len(splits), initial=len(done), desc=label, unit="fold", disable=not progress) as bar:
        for i, table in _run(work, splits, todo, n_jobs):
            done[i] = table
            _keep(table, files[i])
            bar.update()
    return [done[i] for i in range(len(splits))]


def _run(work: Callable, splits: list[Split], todo: list[int], n_jobs: int) -> Iterable[tuple[int, pd.DataFrame]]:
    if n_jobs == 1 or len(todo) < 2:
        return ((i, work(splits[i])) for i in todo)
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    return parallel(joblib.delayed(_numbered)(work, splits[i], i) for i in todo)


def _numbered(work: Callable, split: Split, i: int) -> tuple[int, pd.DataFrame]:
    return i, work(split)


def _keep(table: pd.DataFrame, path: Path | None) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    table.to_parquet(partial, index=False)
    os.replace(partial, path)


def _fold_key(key: str, split: Split) -> str:
    parts = hashlib.sha256(key.encode())
    parts.update(split.train.astype(np.int64).tobytes() + b"|" + split.test.astype(np.int64).tobytes())
    return parts.hexdigest()[:32]
