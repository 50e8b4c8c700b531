"""Splits that keep studies apart, folds kept on disk, out-of-fold predictions as one tidy table."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import inspect
import os
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import anndata as ad
import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter
from tqdm import tqdm

from srna_lib.data import NORMALISED, Task, make_task, metadata_only, with_context
from srna_lib.errors import InputError
from srna_lib.models import CONDITIONED, quantity_recipe, recipe

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
    return [module for name, module in sorted(sys.modules.items()) if name.startswith("srna_lib.models.")]


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


@dataclass(frozen=True)
class Profile:
    """How large a run is.

    Attributes
    ----------
    name : str
        ``smoke``, ``demo`` or ``full``.
    repeats : int
        Times that random folds are drawn anew: one draw moves a class of 20 samples by several points.
    n_splits : int or None
        Folds, where not the scheme's own number.
    max_datasets_out : int or None
        Studies that one dataset out leaves out (the first in a seeded shuffle); None for all.
    per_study : int or None
        Samples of a class and study that are kept; None for all.
    n_boot : int
        Bootstrap replicates.
    changes : dict
        Recipe -> parameters that make it smaller.
    """

    name: str
    repeats: int = 1
    n_splits: int | None = None
    max_datasets_out: int | None = None
    per_study: int | None = None
    n_boot: int = 1000
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)


_SMALL_NETWORK = {
    "classifier__epochs": 8,
    "classifier__hidden": (64, 32),
    "classifier__dropout": (0.2, 0.2),
}
PROFILES = {
    "smoke": Profile(
        "smoke",
        n_splits=3,
        max_datasets_out=4,
        per_study=4,
        n_boot=200,
        changes={
            "dl_paper": _SMALL_NETWORK,
            "dl_log": _SMALL_NETWORK,
            "rf_paper": {"classifier__n_trees": 30, "classifier__n_select_trees": 10},
            "rf_plain": {"classifier__n_estimators": 30},
            "logistic": {"classifier__tol": 0.1},
            "quantity forest": {"regressor__estimator__n_estimators": 30},
        },
    ),
    "demo": Profile(
        "demo",
        n_splits=4,
        max_datasets_out=8,
        changes={  # minutes for six notebooks; the simulation is learned in fewer epochs and trees than real data
            "dl_paper": {"classifier__epochs": 14},
            "dl_log": {"classifier__epochs": 12},
            "rf_paper": {"classifier__n_trees": 100, "classifier__n_select_trees": 50},
            "rf_plain": {"classifier__n_estimators": 100},
            "quantity forest": {"regressor__estimator__n_estimators": 50},
        },
    ),
    "full": Profile("full", repeats=3, n_boot=2000),
}


def get_profile(name: str) -> Profile:
    """Look a profile up.

    Raises
    ------
    InputError
        Unknown name.
    """
    if name not in PROFILES:
        raise InputError(f"unknown profile {name!r}: expected one of {', '.join(PROFILES)}.")
    return PROFILES[name]


def run_models(
    task: Task,
    models: Iterable[str],
    scheme: str,
    *,
    profile: Profile,
    seed: int = 0,
    n_jobs: int = 1,
    cache: Path | str | None = None,
    progress: bool = True,
    adata: ad.AnnData | None = None,
    context: tuple[str, ...] = ("dataset_id", "tumour_normal"),
) -> pd.DataFrame:
    """Out-of-fold predictions of several recipes on the same splits.

    Parameters
    ----------
    task : Task
        Samples, labels and studies.
    models : iterable of str
        Recipe names (`models.RECIPES`; `regressors.QUANTITY_RECIPES` where the task's target is a number).
    scheme : str
        One of `validate.SCHEMES`.
    profile : Profile
        Size of the run.
    seed : int, default 0
        Seed of splits and models.
    n_jobs, cache, progress
        As in `validate.cross_validate`.
    adata : AnnData, optional
        The atlas that the task was made from: needed by recipes that read the context of a sample.
    context : tuple of str, default ("dataset_id", "tumour_normal")
        What those recipes read: profiles are centred within all of it, weights are pooled over the first.

    Returns
    -------
    DataFrame
        As from `validate.cross_validate`, models one below the other. Repeated random folds predict a sample
            once per repeat; a random fold is named ``<repeat>.<fold>``.
    """
    splits = _splits(task, scheme, profile, seed)
    return pd.concat(
        [
            cross_validate(
                _seen_by(name, task, adata, context),
                build_recipe(task, name, seed=seed, profile=profile, by=context[0]),
                splits,
                scheme=scheme,
                name=name,
                n_jobs=n_jobs,
                cache=cache,
                progress=progress,
            )
            for name in models
        ],
        ignore_index=True,
    ).assign(features=task.features)


def build_recipe(task: Task, name: str, *, seed: int, profile: Profile, by: str = "dataset_id") -> Pipeline:
    """Build the recipe that fits a task: for classes or a quantity, for counts or joined features.

    Parameters
    ----------
    task : Task
        Says which kind is needed.
    name : str
        Recipe.
    seed, profile
        As in `run_models`.
    by : str, default "dataset_id"
        Context variable over which conditioned recipes pool.

    Returns
    -------
    Pipeline
        Unfitted.
    """
    joined = any(str(c).startswith(NORMALISED) for c in task.X.columns)
    quantity = task.y.dtype.kind == "f"
    changes = dict(profile.changes.get(f"quantity {name}" if quantity else name, {}))
    if name in CONDITIONED:
        changes |= {"regressor__estimator__by": by, "regressor__by": by} if quantity else {"classifier__by": by}
    return (quantity_recipe if quantity else recipe)(name, seed=seed, joined=joined, **changes)


def _seen_by(name: str, task: Task, adata: ad.AnnData | None, context: tuple[str, ...]) -> Task:
    if name not in (*CONDITIONED, "metadata"):
        return task
    if adata is None:
        raise InputError(f"recipe {name!r} reads the context of a sample; expected the atlas beside the task.")
    return metadata_only(task, adata) if name == "metadata" else with_context(task, adata, context)


def compare_labels(
    adata: ad.AnnData,
    labels: tuple[str, str],
    models: Iterable[str],
    *,
    profile: Profile,
    min_class_size: int = 15,
    seed: int = 0,
    n_jobs: int = 1,
    cache: Path | str | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """One dataset out for two ways to name the same samples, on the same folds.

    Only samples that have a class under both labels take part, and only studies are left out whose classes
    stay in training under both, so that nothing but the label differs.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    labels : tuple of two str
        Columns of ``obs``.
    models : iterable of str
        Recipe names.
    profile, seed, n_jobs, cache, progress
        As in `run_models`.
    min_class_size : int, default 15
        As in `labels.make_task`, for both labels.

    Returns
    -------
    DataFrame
        As from `validate.cross_validate`; ``task`` names the label.
    """
    shared = adata.obs_names
    while True:  # a sample that leaves one labelling may make a class of the other too small
        tasks = [make_task(adata[shared], label, min_class_size=min_class_size) for label in labels]
        kept = tasks[0].y.index.intersection(tasks[1].y.index)
        if len(kept) == len(shared):
            break
        shared = kept
    left_out = [{s.fold: s for s in _splits(t, "one_dataset_out", profile, seed)} for t in tasks]
    splits = [split for fold, split in left_out[0].items() if fold in left_out[1]]
    return pd.concat(
        [
            cross_validate(
                task,
                recipe(name, seed=seed, **profile.changes.get(name, {})),
                splits,
                scheme="one_dataset_out",
                name=name,
                n_jobs=n_jobs,
                cache=cache,
                progress=progress,
            )
            for task in tasks
            for name in models
        ],
        ignore_index=True,
    )


def _splits(task: Task, scheme: str, profile: Profile, seed: int) -> list[Split]:
    if scheme == "random_5fold":
        return [
            Split(f"{repeat}.{split.fold}", split.train, split.test)
            for repeat in range(profile.repeats)
            for split in make_splits(task, scheme, n_splits=profile.n_splits, seed=seed + repeat)
        ]
    if scheme != "one_dataset_out":
        return make_splits(task, scheme, n_splits=profile.n_splits, seed=seed)
    return some_splits(task, scheme, most=profile.max_datasets_out, seed=seed)
