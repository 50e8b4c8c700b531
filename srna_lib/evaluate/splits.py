"""Splits of a task into training and test samples that keep studies, or donors, apart."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from srna_lib.data import Task
from srna_lib.errors import InputError, one_of

SCHEMES = {
    "random_5fold": "random folds over samples (optimistic: a study's samples are on both sides)",
    "grouped_kfold": "folds grouped by study",
    "patient_kfold": "folds grouped by patient (a study's other patients are in training)",
    "one_dataset_out": "every study predicted by a model that never saw it",
}
ALIASES = {"random": "random_5fold", "study": "grouped_kfold", "donor": "patient_kfold"}
FOLDS = {"random_5fold": 5, "grouped_kfold": 10, "patient_kfold": 5}


class Split(NamedTuple):
    """One fold: its name and the positions of its training and test samples."""

    fold: str
    train: np.ndarray
    test: np.ndarray


def make_splits(
    task: Task,
    scheme: str = "study",
    *,
    n_splits: int | None = None,
    repeats: int | None = None,
    most: int | None = None,
    seed: int = 0,
) -> list[Split]:
    """Split the samples of a task.

    Parameters
    ----------
    task : Task
        Samples, labels, studies and donors.
    scheme : str, default "study"
        ``"random"`` (on disk ``random_5fold``), ``"study"`` (``grouped_kfold``), ``"donor"`` (``patient_kfold``: donors
        kept together, classes and studies balanced over folds) or ``"one_dataset_out"``: each study left out whose
        classes all stay in training, as in the paper; the other studies are never tested but always in training.
    n_splits : int, optional
        Folds (default 5; 10 of ``"study"``). Fewer is faster and trains on less.
    repeats : int, optional
        Times that random folds are drawn anew; folds are then named ``<repeat>.<fold>``.
    most : int, optional
        Studies that ``"one_dataset_out"`` leaves out, chosen at random; all by default.
    seed : int, default 0
        Seed of the shuffling.

    Returns
    -------
    list of Split
        Named tuples ``(fold, train, test)`` of a name and positions of samples.

    Raises
    ------
    InputError
        Unknown scheme, fewer studies, donors or samples of a class than folds, or a donor in several studies where
        studies are kept apart.

    Examples
    --------
    >>> import srna_lib as srna
    >>> task = srna.make_task(srna.load("demo"), "tissue_group")
    >>> len(srna.make_splits(task, "study", n_splits=4))
    4
    """
    scheme = ALIASES.get(scheme, scheme)
    one_of("scheme", scheme, [*ALIASES, *SCHEMES])
    if task.y.dtype.kind == "f" and task.y.nunique() < 2:
        raise InputError(f"task {task.name!r}: all samples are {task.y.iloc[0]:g}; expected values that differ.")
    groups = task.groups.to_numpy()
    people = (task.y.index.to_series() if task.donors is None else task.donors).to_numpy()
    k, y = n_splits or FOLDS.get(scheme, 0), task.y.to_numpy()
    if task.y.dtype.kind == "f":  # a quantity: quarters stand in for classes where folds are balanced
        y = pd.qcut(task.y, 4, labels=False, duplicates="drop").to_numpy()
    apart = {"studies": groups, "patients": people}
    if scheme in ("grouped_kfold", "one_dataset_out"):
        _check_homes(task, people)
    if scheme == "one_dataset_out":
        splits = _one_out(task, groups)
        chosen = np.random.default_rng(seed).permutation(len(splits))[:most]
        splits = [splits[i] for i in sorted(chosen)]
    elif scheme == "random_5fold":
        if pd.Series(y).value_counts().iloc[0] < k:
            raise InputError(f"task {task.name!r}: no class has {k} samples; expected one per fold at least.")
        apart, splits = {}, []
        for repeat in range(repeats or 1):
            folds = StratifiedKFold(k, shuffle=True, random_state=seed + repeat).split(y, y)
            before = "" if repeats is None else f"{repeat}."
            splits += [Split(f"{before}{i}", train, test) for i, (train, test) in enumerate(folds)]
    elif scheme == "grouped_kfold":
        _check_number(task, groups, k, "studies", "grouped folds", "study")
        folds = StratifiedGroupKFold(k, shuffle=True, random_state=seed).split(y, y, groups)
        splits = [Split(str(i), train, test) for i, (train, test) in enumerate(folds)]
    else:
        _check_number(task, people, k, "patients", "folds", "patient")
        apart = {"patients": people}
        splits = [Split(str(i), *sides) for i, sides in enumerate(_by_donor(y, groups, people, k, seed))]
    for split in splits:
        for what, values in apart.items():
            shared = set(values[split.train]) & set(values[split.test])
            assert not shared, f"{what} on both sides of fold {split.fold}: {sorted(shared)[:3]}"
    return splits


def _one_out(task: Task, groups: np.ndarray) -> list[Split]:
    """Each study left out whose classes all stay in training."""
    y = task.y.to_numpy()
    return [
        Split(study, np.flatnonzero(groups != study), np.flatnonzero(groups == study))
        for study in sorted(set(groups))
        if task.y.dtype.kind == "f" or set(y[groups == study]) <= set(y[groups != study])
    ]


def collections_out(task: Task, collections: pd.Series) -> list[Split]:
    """Leave out each collection of studies, with every study that it has a part of.

    `collections` is the collection of each sample, by its id; samples without one are always in training. Gives a split
    per collection that leaves two classes to train on, named after it; samples of classes that training then lacks are
    not tested. Empty where there is but one collection, or none is recorded.

    Examples
    --------
    >>> import srna_lib as srna
    >>> task = srna.make_task(srna.load("demo"), "tissue_group")
    >>> halves = task.groups.where(task.groups < "SIM030", "second").where(task.groups >= "SIM030", "first")
    >>> [split.fold for split in collections_out(task, halves)]
    ['first', 'second']
    """
    where, groups, y = (t.astype(object).to_numpy() for t in (collections.reindex(task.y.index), task.groups, task.y))
    splits = []
    for name in sorted(set(where[pd.notna(where)])):
        train = np.flatnonzero((where != name) & ~np.isin(groups, groups[where == name]))
        test = np.flatnonzero((where == name) & np.isin(y, y[train]))
        splits += [Split(str(name), train, test)] if len(test) and len(set(y[train])) > 1 else []
    return splits


def fewer_studies(task: Task, splits: list[Split], n: int, *, seed: int = 0) -> list[Split]:
    """Keep the test samples of folds, with at most `n` studies in training, drawn at random.

    With one seed, those of a smaller `n` are among those of a larger. Folds whose studies hold one class only are left
    out.

    Examples
    --------
    >>> import srna_lib as srna
    >>> task = srna.make_task(srna.load("demo"), "tissue_group")
    >>> folds = fewer_studies(task, make_splits(task, "study", n_splits=3), 5)
    >>> {task.groups.iloc[fold.train].nunique() for fold in folds}
    {5}
    """
    fewer = []
    for fold, train, test in splits:
        groups = task.groups.iloc[train]
        kept = np.random.default_rng(seed).permutation(sorted(set(groups)))[:n]
        rest = train[groups.isin(kept).to_numpy()]
        fewer += [Split(fold, rest, test)] if task.y.iloc[rest].nunique() > 1 else []
    return fewer


def _by_donor(y: np.ndarray, groups: np.ndarray, people: np.ndarray, k: int, seed: int) -> list:
    """Folds that keep donors together, balanced by class and study, else by class, where one stratum reaches all."""
    classes = pd.Series(y).astype(str)
    finest = (classes + "|" + pd.Series(groups).astype(str), classes, pd.Series("", index=classes.index))
    strata = next(s for s in finest if s.value_counts().iloc[0] >= k)
    with warnings.catch_warnings():  # a stratum smaller than the folds is not spread over all of them: fine
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        return list(StratifiedGroupKFold(k, shuffle=True, random_state=seed).split(y, strata, people))


def _check_number(task: Task, values: np.ndarray, k: int, many: str, folds: str, one: str) -> None:
    """Refuse more folds than groups."""
    if (n := len(set(values))) < k:
        raise InputError(f"task {task.name!r}: {n} {many} cannot make {k} {folds}; expected at least one {one} a fold.")


def _check_homes(task: Task, people: np.ndarray) -> None:
    """Refuse donors of several studies: no split can keep both studies and donors together."""
    homes = task.groups.groupby(people).unique()
    travelled = homes[homes.map(len) > 1]
    if len(travelled):
        where = "; ".join(f"{who!r} in {', '.join(sorted(at))}" for who, at in travelled.head(3).items())
        more = "; ..." if len(travelled) > 3 else ""
        raise InputError(
            f"task {task.name!r}: several studies share {len(travelled)} of {len(homes)} donors ({where}{more});"
            " expected each donor in one study, or the scheme patient_kfold, which keeps donors together alone."
        )
