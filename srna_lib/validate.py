"""Splits that keep studies apart, and out-of-fold predictions as one tidy table."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from tqdm import tqdm

from srna_lib.errors import InputError
from srna_lib.labels import Task

SCHEMES = {
    "random_5fold": "random folds over samples (optimistic: a study's samples are on both sides)",
    "grouped_kfold": "folds grouped by study",
    "one_dataset_out": "every study predicted by a model that never saw it",
}


class Split(NamedTuple):
    """One fold: its name and the positions of its training and test samples."""

    fold: str
    train: np.ndarray
    test: np.ndarray


def make_splits(task: Task, scheme: str, *, n_splits: int | None = None, seed: int = 0) -> list[Split]:
    """Split the samples of a task.

    Parameters
    ----------
    task : Task
        Samples, labels and studies.
    scheme : str
        One of `SCHEMES`. ``one_dataset_out`` leaves out each study whose classes all stay in training, as
        the paper does; the other studies are never tested but always in training.
    n_splits : int, optional
        Folds of the first two schemes (default 5 and 10). Fewer is faster and trains on less.
    seed : int, default 0
        Seed of the shuffling.

    Returns
    -------
    list of Split

    Raises
    ------
    InputError
        Unknown scheme, or fewer studies than folds.
    AssertionError
        A study on both sides of a grouped split (never to be seen).
    """
    y, groups = task.y.to_numpy(), task.groups.to_numpy()
    n_studies = len(set(groups))
    if scheme == "random_5fold":
        folds = StratifiedKFold(n_splits or 5, shuffle=True, random_state=seed).split(y, y)
        return [Split(str(i), train, test) for i, (train, test) in enumerate(folds)]
    if scheme == "grouped_kfold":
        if n_studies < (n_splits or 10):
            raise InputError(
                f"task {task.name!r}: {n_studies} studies cannot make {n_splits or 10} grouped folds;"
                " expected at least one study per fold."
            )
        folds = StratifiedGroupKFold(n_splits or 10, shuffle=True, random_state=seed).split(y, y, groups)
        splits = [Split(str(i), train, test) for i, (train, test) in enumerate(folds)]
    elif scheme == "one_dataset_out":
        splits = [
            Split(study, np.flatnonzero(groups != study), np.flatnonzero(groups == study))
            for study in sorted(set(groups))
            if set(y[groups == study]) <= set(y[groups != study])
        ]
    else:
        raise InputError(f"unknown scheme {scheme!r}: expected one of {', '.join(SCHEMES)}.")
    for split in splits:
        shared = set(groups[split.train]) & set(groups[split.test])
        assert not shared, f"studies on both sides of fold {split.fold}: {sorted(shared)[:3]}"
    return splits


def cross_validate(
    task: Task,
    model: Pipeline,
    splits: list[Split],
    *,
    scheme: str,
    name: str,
    n_jobs: int = 1,
    cache: Path | str | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Predict every test sample by a model fitted, preprocessing included, on the other side of its split.

    Parameters
    ----------
    task : Task
        Samples, labels and studies.
    model : Pipeline
        Unfitted, from raw counts to class; cloned for each fold.
    splits : list of Split
        From `make_splits`.
    scheme, name : str
        Written into the table: validation scheme and model.
    n_jobs : int, default 1
        Folds at a time; each in a process of its own.
    cache : path, optional
        Folder where each finished fold is kept, so that an interrupted run goes on from there. A fold is
        found again only for the same data, model, seed, split, library code and package versions.
    progress : bool, default True
        Show a bar.

    Returns
    -------
    DataFrame, one row per test sample
        ``sample_id, dataset_id, task, model, features, scheme, fold, y_true, y_pred, p_<class>...``; a class
        that was not in a fold's training samples has probability 0 there.
    """
    folder = None if cache is None else Path(cache)
    digest = "" if folder is None else _digest(task, model)
    files = [None if folder is None else folder / f"{_fold_key(digest, s)}.parquet" for s in splits]
    tables: dict[int, pd.DataFrame] = {
        i: pd.read_parquet(f) for i, f in enumerate(files) if f is not None and f.exists()
    }
    todo = [i for i in range(len(splits)) if i not in tables]
    bar = tqdm(total=len(splits), initial=len(tables), desc=f"{name}, {scheme}", unit="fold", disable=not progress)
    with bar:
        for i, table in _run_folds(task, model, splits, todo, n_jobs):
            tables[i] = table
            _keep(table, files[i])
            bar.update()
    out = pd.concat([tables[i].assign(fold=splits[i].fold) for i in range(len(splits))], ignore_index=True)
    front = {"task": task.name, "model": name, "features": task.features, "scheme": scheme}
    for position, (column, value) in enumerate(front.items(), start=2):
        out.insert(position, column, value)
    out.insert(6, "fold", out.pop("fold"))
    return out


def _run_folds(
    task: Task, model: Pipeline, splits: list[Split], todo: list[int], n_jobs: int
) -> Iterator[tuple[int, pd.DataFrame]]:
    if n_jobs == 1:
        for i in todo:
            yield _run_fold(task, model, splits[i], i)
        return
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    yield from parallel(joblib.delayed(_run_fold)(task, model, splits[i], i) for i in todo)


def _run_fold(task: Task, model: Pipeline, split: Split, i: int) -> tuple[int, pd.DataFrame]:
    fitted = clone(model).fit(task.X.iloc[split.train], task.y.iloc[split.train])
    predicted = fitted.predict_proba(task.X.iloc[split.test])
    probabilities = pd.DataFrame(0.0, index=range(len(split.test)), columns=[f"p_{c}" for c in task.classes])
    probabilities[[f"p_{c}" for c in fitted.classes_]] = predicted
    table = pd.DataFrame(
        {
            "sample_id": task.X.index[split.test],
            "dataset_id": task.groups.to_numpy()[split.test],
            "y_true": task.y.to_numpy()[split.test],
            "y_pred": fitted.classes_[predicted.argmax(axis=1)],
        }
    )
    return i, pd.concat([table, probabilities], axis=1)


def _keep(table: pd.DataFrame, path: Path | None) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    table.to_parquet(partial, index=False)
    os.replace(partial, path)


def _digest(task: Task, model: Pipeline) -> str:
    """Digest of all that decides a prediction but the split."""
    from srna_lib import models, networks, preprocess, training

    digest = hashlib.sha256()
    digest.update(pd.util.hash_pandas_object(task.X, index=True).to_numpy().tobytes())
    digest.update(repr((list(task.X.columns), list(task.y), list(task.groups), task.name)).encode())
    digest.update(repr(sorted((k, repr(v)) for k, v in model.get_params().items())).encode())
    for code in (models, networks, training, preprocess, _run_fold):
        digest.update(inspect.getsource(code).encode())
    for package in ("numpy", "scikit-learn", "keras", "jax", "imbalanced-learn"):
        digest.update(f"{package} {importlib.metadata.version(package)}".encode())
    return digest.hexdigest()


def _fold_key(digest: str, split: Split) -> str:
    parts = hashlib.sha256(digest.encode())
    parts.update(split.train.astype(np.int64).tobytes() + b"|" + split.test.astype(np.int64).tobytes())
    return parts.hexdigest()[:32]
