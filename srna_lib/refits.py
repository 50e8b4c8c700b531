"""One recipe fitted several times: with other seeds, or without some of the studies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import joblib
import numpy as np
from sklearn.pipeline import Pipeline

from srna_lib.labels import Task
from srna_lib.models import recipe
from srna_lib.validate import Split, fit_fold


def fit_seeds(
    task: Task, name: str, seeds: Iterable[int], *, n_jobs: int = 1, **parameters: Any
) -> dict[int, Pipeline]:
    """Fit one recipe several times on all samples of a task, each time with another seed.

    Parameters
    ----------
    task : Task
        Samples and labels.
    name : str
        Recipe (`models.RECIPES`).
    seeds : iterable of int
        One network each; ten show how far equally accurate networks differ.
    n_jobs : int, default 1
        Networks at a time, each in a process of its own.
    **parameters
        Changes of the recipe.

    Returns
    -------
    dict of int to Pipeline
        Seed -> fitted pipeline.
    """
    seeds = list(seeds)
    every = np.arange(len(task.y))
    jobs = [joblib.delayed(fit_fold)(task, recipe(name, seed=s, **parameters), every) for s in seeds]
    return dict(zip(seeds, joblib.Parallel(n_jobs=n_jobs)(jobs), strict=True))


def fit_folds(
    task: Task, name: str, splits: Iterable[Split], *, seed: int = 0, n_jobs: int = 1, **parameters: Any
) -> dict[str, Pipeline]:
    """Fit one recipe on the training side of each fold.

    Parameters
    ----------
    task, name, n_jobs, **parameters
        As in `fit_seeds`.
    splits : iterable of Split
        From `validate.make_splits`.
    seed : int, default 0
        Of every network: what differs is what they learned from.

    Returns
    -------
    dict of str to Pipeline
        Fold -> fitted pipeline.
    """
    splits = list(splits)
    jobs = [joblib.delayed(fit_fold)(task, recipe(name, seed=seed, **parameters), s.train) for s in splits]
    return dict(zip([s.fold for s in splits], joblib.Parallel(n_jobs=n_jobs)(jobs), strict=True))
