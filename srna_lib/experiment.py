"""Several recipes in one scheme, in the size that a profile allows: what the notebooks call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd
from sklearn.pipeline import Pipeline

from srna_lib.contexts import metadata_only, with_context
from srna_lib.errors import InputError
from srna_lib.fold_cache import Split
from srna_lib.labels import NORMALISED, Task, make_task
from srna_lib.models import CONDITIONED, recipe
from srna_lib.regressors import quantity_recipe
from srna_lib.validate import cross_validate, make_splits, some_splits


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
