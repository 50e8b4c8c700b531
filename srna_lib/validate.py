"""Splits that keep studies apart, and out-of-fold predictions as one tidy table."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter
from tqdm import tqdm

from srna_lib.errors import InputError
from srna_lib.labels import Task

SCHEMES = {
    "random_5fold": "random folds over samples (optimistic: a study's samples are on both sides)",
    "grouped_kfold": "folds grouped by study",
    "patient_kfold": "folds grouped by patient (a study's other patients are in training)",
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
        One of `SCHEMES`. ``patient_kfold`` keeps patients together and balances classes and studies over folds.
        ``one_dataset_out`` leaves out each study whose classes all stay in training, as
        the paper does; the other studies are never tested but always in training.
    n_splits : int, optional
        Folds (default 5; 10 of ``grouped_kfold``). Fewer is faster and trains on less.
    seed : int, default 0
        Seed of the shuffling.

    Returns
    -------
    list of Split

    Raises
    ------
    InputError
        Unknown scheme, or fewer studies or patients than folds.
    AssertionError
        A study or a patient on both sides of a grouped split (never to be seen).
    """
    y, groups = task.y.to_numpy(), task.groups.to_numpy()
    people = (task.y.index.to_series() if task.donors is None else task.donors).to_numpy()
    if task.y.dtype.kind == "f":  # a quantity: quarters stand in for classes where folds are balanced
        y = pd.qcut(task.y, 4, labels=False, duplicates="drop").to_numpy()
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
    elif scheme == "patient_kfold":
        if len(set(people)) < (n_splits or 5):
            raise InputError(
                f"task {task.name!r}: {len(set(people))} patients cannot make {n_splits or 5} folds;"
                " expected at least one patient per fold."
            )
        classes = pd.Series(y).astype(str)
        finest = (classes + "|" + pd.Series(groups).astype(str), classes, pd.Series("", index=classes.index))
        # one stratum at least must reach all folds
        strata = next(s for s in finest if s.value_counts().iloc[0] >= (n_splits or 5))
        with warnings.catch_warnings():  # a stratum smaller than the folds is not spread over all of them: fine
            warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
            folds = StratifiedGroupKFold(n_splits or 5, shuffle=True, random_state=seed).split(y, strata, people)
            splits = [Split(str(i), train, test) for i, (train, test) in enumerate(folds)]
    elif scheme == "one_dataset_out":
        splits = [
            Split(study, np.flatnonzero(groups != study), np.flatnonzero(groups == study))
            for study in sorted(set(groups))
            if task.y.dtype.kind == "f" or set(y[groups == study]) <= set(y[groups != study])
        ]
    else:
        raise InputError(f"unknown scheme {scheme!r}: expected one of {', '.join(SCHEMES)}.")
    kept_apart = {"patients": people} if scheme == "patient_kfold" else {"studies": groups, "patients": people}
    for split in splits:
        for what, values in kept_apart.items():
            shared = set(values[split.train]) & set(values[split.test])
            assert not shared, f"{what} on both sides of fold {split.fold}: {sorted(shared)[:3]}"
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
        ``sample_id, dataset_id, task, model, features, scheme, fold, donor_id, y_true, y_pred, p_<class>...``; a class
        that was not in a fold's training samples has probability 0 there. Where a quantity is predicted,
        ``low_<level>`` and ``high_<level>`` of its intervals stand in the place of probabilities.
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
    fitted = fit_fold(task, model, split.train)
    if task.y.dtype.kind == "f":
        return i, _quantities(task, fitted, split)
    predicted = fitted.predict_proba(task.X.iloc[split.test])
    probabilities = pd.DataFrame(0.0, index=range(len(split.test)), columns=[f"p_{c}" for c in task.classes])
    probabilities[[f"p_{c}" for c in fitted.classes_]] = predicted
    table = _whose(task, split).assign(y_pred=fitted.classes_[predicted.argmax(axis=1)])
    return i, pd.concat([table, probabilities], axis=1)


def fit_fold(task: Task, model: Pipeline, train: np.ndarray) -> Pipeline:
    """Fit a fresh copy of a model on some samples of a task.

    Parameters
    ----------
    task : Task
        Samples and labels.
    model : Pipeline
        Unfitted.
    train : array of int
        Positions of the training samples.

    Returns
    -------
    Pipeline
        Fitted. An estimator that takes ``groups`` is given the donors, so that it can keep them together inside.
    """
    extra = {}
    if task.donors is not None and has_fit_parameter(model[-1], "groups"):
        extra[f"{model.steps[-1][0]}__groups"] = task.donors.to_numpy()[train]
    return clone(model).fit(task.X.iloc[train], task.y.iloc[train], **extra)


def _whose(task: Task, split: Split) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "sample_id": task.X.index[split.test],
            "dataset_id": task.groups.to_numpy()[split.test],
            "y_true": task.y.to_numpy()[split.test],
        }
    )
    if task.donors is not None:
        table.insert(2, "donor_id", task.donors.to_numpy()[split.test])
    return table


def _quantities(task: Task, fitted: Pipeline, split: Split) -> pd.DataFrame:
    X = task.X.iloc[split.test]
    table = _whose(task, split).assign(y_pred=fitted.predict(X))
    if hasattr(fitted[-1], "predict_interval"):
        inner = fitted[:-1].transform(X) if len(fitted) > 1 else X
        for level, (low, high) in fitted[-1].predict_interval(inner).items():
            table[f"low_{level}"], table[f"high_{level}"] = low, high
    return table


def _keep(table: pd.DataFrame, path: Path | None) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    table.to_parquet(partial, index=False)
    os.replace(partial, path)


def _digest(task: Task, model: Pipeline) -> str:
    """Digest of all that decides a prediction but the split."""
    from srna_lib import dual_ridge, intervals, models, networks, pooling, preprocess, relevance, training

    digest = hashlib.sha256()
    digest.update(pd.util.hash_pandas_object(task.X, index=True).to_numpy().tobytes())
    digest.update(repr((list(task.X.columns), list(task.y), list(task.groups), task.name)).encode())
    digest.update(repr(None if task.donors is None else list(task.donors)).encode())
    digest.update(repr(sorted((k, repr(v)) for k, v in model.get_params().items())).encode())
    for code in (
        models,
        networks,
        pooling,
        dual_ridge,
        intervals,
        relevance,
        training,
        preprocess,
        _run_fold,
        fit_fold,
        _whose,
        _quantities,
    ):
        digest.update(inspect.getsource(code).encode())
    known = {"models", "networks", "pooling", "dual_ridge", "intervals", "relevance", "training", "preprocess"}
    for name in sorted({type(v).__module__ for v in model.get_params().values()}):
        if name.startswith("srna_lib.") and name.removeprefix("srna_lib.") not in known:
            digest.update(inspect.getsource(sys.modules[name]).encode())
    for package in ("numpy", "scikit-learn", "keras", "jax", "imbalanced-learn"):
        digest.update(f"{package} {importlib.metadata.version(package)}".encode())
    return digest.hexdigest()


def _fold_key(digest: str, split: Split) -> str:
    parts = hashlib.sha256(digest.encode())
    parts.update(split.train.astype(np.int64).tobytes() + b"|" + split.test.astype(np.int64).tobytes())
    return parts.hexdigest()[:32]
