"""Splits that keep studies apart, and out-of-fold predictions as one tidy table."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from srna_lib.errors import InputError
from srna_lib.fold_cache import Split, map_folds, task_key
from srna_lib.labels import Task

SCHEMES = {
    "random_5fold": "random folds over samples (optimistic: a study's samples are on both sides)",
    "grouped_kfold": "folds grouped by study",
    "patient_kfold": "folds grouped by patient (a study's other patients are in training)",
    "one_dataset_out": "every study predicted by a model that never saw it",
}


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
        Unknown scheme, fewer studies or patients than folds, or a patient in several studies where studies are kept
        apart.
    AssertionError
        A study or a patient on both sides of a grouped split (never to be seen).
    """
    y, groups = task.y.to_numpy(), task.groups.to_numpy()
    people = (task.y.index.to_series() if task.donors is None else task.donors).to_numpy()
    if task.y.dtype.kind == "f":  # a quantity: quarters stand in for classes where folds are balanced
        y = pd.qcut(task.y, 4, labels=False, duplicates="drop").to_numpy()
    n_studies = len(set(groups))
    if scheme in ("grouped_kfold", "one_dataset_out"):
        _check_homes(task, people)
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


def _check_homes(task: Task, people: np.ndarray) -> None:
    """Refuse patients of several studies: no split can keep both studies and patients together."""
    homes = task.groups.groupby(people).unique()
    travelled = homes[homes.map(len) > 1]
    if len(travelled):
        found = "; ".join(f"{who!r} in {', '.join(sorted(where))}" for who, where in travelled.head(3).items())
        more = "; ..." if len(travelled) > 3 else ""
        raise InputError(
            f"task {task.name!r}: several studies share {len(travelled)} of {len(homes)} donors ({found}{more});"
            " expected each donor in one study, or the scheme patient_kfold, which keeps donors together alone."
        )


def some_splits(
    task: Task, scheme: str, *, n_splits: int | None = None, most: int | None = None, seed: int = 0
) -> list[Split]:
    """Splits of a scheme, at most so many of them.

    Parameters
    ----------
    task, scheme, n_splits, seed
        As in `make_splits`.
    most : int, optional
        Folds that are kept, by a seeded draw; all by default.
    """
    splits = make_splits(task, scheme, n_splits=n_splits, seed=seed)
    if most is None or most >= len(splits):
        return splits
    chosen = np.random.default_rng(seed).permutation(len(splits))[:most]
    return [splits[i] for i in sorted(chosen)]


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
    code = (*model_code(), _predict_fold, fit_fold, _whose, _quantities)
    tables = map_folds(
        partial(_predict_fold, task, model),
        splits,
        key="" if cache is None else task_key(task, model, code),
        n_jobs=n_jobs,
        cache=cache,
        progress=progress,
        label=f"{name}, {scheme}",
    )
    out = pd.concat([t.assign(fold=s.fold) for t, s in zip(tables, splits, strict=True)], ignore_index=True)
    front = {"task": task.name, "model": name, "features": task.features, "scheme": scheme}
    for position, (column, value) in enumerate(front.items(), start=2):
        out.insert(position, column, value)
    out.insert(6, "fold", out.pop("fold"))
    return out


def model_code() -> list[ModuleType]:
    """Modules that decide what a fitted recipe predicts: their code belongs into the key of a kept fold."""
    from srna_lib import dual_ridge, intervals, models, networks, pooling, preprocess, relevance, training

    return [models, networks, pooling, dual_ridge, intervals, relevance, training, preprocess]


def _predict_fold(task: Task, model: Pipeline, split: Split) -> pd.DataFrame:
    fitted = fit_fold(task, model, split.train)
    if task.y.dtype.kind == "f":
        return _quantities(task, fitted, split)
    predicted = fitted.predict_proba(task.X.iloc[split.test])
    probabilities = pd.DataFrame(0.0, index=range(len(split.test)), columns=[f"p_{c}" for c in task.classes])
    probabilities[[f"p_{c}" for c in fitted.classes_]] = predicted
    table = _whose(task, split).assign(y_pred=fitted.classes_[predicted.argmax(axis=1)])
    return pd.concat([table, probabilities], axis=1)


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
