"""One recipe fitted several times: other seeds, or without some of the studies; models compared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from srna_lib.data import Task
from srna_lib.errors import InputError
from srna_lib.evaluate import Split, cross_validate, fit_fold, make_splits, study_interval, study_weights, weighted_mean
from srna_lib.models import recipe


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


SOURCES = {
    "seed": "same training samples, another seed",
    "folds": "same seed, studies dealt to folds anew",
    "studies": "same seed and test samples, training studies drawn with replacement",
}


def refit_calls(
    task: Task,
    name: str,
    *,
    sources: Iterable[str] = tuple(SOURCES),
    refits: int = 4,
    n_splits: int = 5,
    seed: int = 0,
    changes: dict[str, Any] | None = None,
    n_jobs: int = 1,
    cache: Path | str | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Predict every sample several times by models that never saw its study.

    Parameters
    ----------
    task : Task
        Samples, labels and studies.
    name : str
        Recipe.
    sources : iterable of str
        What differs between the models, from `SOURCES`; each source includes the first model, which they share.
    refits : int, default 4
        Models per sample and source. More resolve finer shares of changed calls.
    n_splits : int, default 5
        Folds grouped by study.
    seed : int, default 0
        Seed of the first model and its folds; the others use the following ones.
    changes : dict, optional
        Parameters of the recipe.
    n_jobs, cache, progress
        As in `validate.cross_validate`.

    Returns
    -------
    DataFrame, one row per source, refit and sample
        ``source, refit`` and the columns of `validate.cross_validate`.

    Raises
    ------
    InputError
        Unknown source, or fewer than two refits.
    """
    sources = tuple(sources)
    unknown = [s for s in sources if s not in SOURCES]
    if unknown or refits < 2:
        what = f"unknown source {unknown[0]!r}" if unknown else f"{refits} refits"
        raise InputError(f"{what}: expected some of {', '.join(SOURCES)} and at least 2 refits.")
    splits = make_splits(task, "grouped_kfold", n_splits=n_splits, seed=seed)
    groups = task.groups.to_numpy()
    run: dict[str, Any] = {
        "scheme": "grouped_kfold",
        "name": name,
        "n_jobs": n_jobs,
        "cache": cache,
        "progress": progress,
    }
    model = recipe(name, seed=seed, **(changes or {}))
    base = cross_validate(task, model, splits, **run)
    tables = []
    for source in sources:
        tables.append(base.assign(source=source, refit=0))
        for refit in range(1, refits):
            other, folds = model, splits
            if source == "seed":
                other = recipe(name, seed=seed + refit, **(changes or {}))
            elif source == "folds":
                folds = make_splits(task, "grouped_kfold", n_splits=n_splits, seed=seed + refit)
            else:
                folds = [draw_studies(s, groups, seed=seed + refit) for s in splits]
            tables.append(cross_validate(task, other, folds, **run).assign(source=source, refit=refit))
    return pd.concat(tables, ignore_index=True)


def draw_studies(split: Split, groups: np.ndarray, *, seed: int) -> Split:
    """Draw the training studies of a fold again, with replacement; a study drawn twice is there twice.

    Parameters
    ----------
    split : Split
        The fold.
    groups : array, shape (n_samples,)
        Study of each sample.
    seed : int
        Seed of the draw.

    Returns
    -------
    Split
        With the same test samples.
    """
    studies, code = np.unique(groups[split.train], return_inverse=True)
    rng = np.random.default_rng((seed, int(split.test[0]) if len(split.test) else 0))
    times = np.bincount(rng.integers(0, len(studies), len(studies)), minlength=len(studies))
    return Split(f"{split.fold}, drawn {seed}", np.repeat(split.train, times[code]), split.test)


def call_changes(calls: pd.DataFrame) -> pd.DataFrame:
    """How often the call of each sample changes.

    Parameters
    ----------
    calls : DataFrame
        From `refit_calls`.

    Returns
    -------
    DataFrame, one row per source and sample
        ``source, sample_id, dataset_id, y_true``, ``call`` (the most frequent; ties go to the class that sorts first),
        ``n_calls`` (different ones), ``changed`` (share of the pairs of models that disagree) and ``right`` (share of
        models that are right).
    """
    keys = ["source", "sample_id"]
    counts = calls.groupby([*keys, "y_pred"]).size().rename("n").reset_index()
    m = counts.groupby(keys)["n"].sum()
    agreeing = counts.assign(pairs=counts["n"] * (counts["n"] - 1)).groupby(keys)["pairs"].sum()
    best = counts.sort_values([*keys, "n", "y_pred"], ascending=[True, True, False, True]).drop_duplicates(keys)
    about = calls.assign(right=calls["y_pred"] == calls["y_true"]).groupby(keys)
    table = about.agg(dataset_id=("dataset_id", "first"), y_true=("y_true", "first"), right=("right", "mean"))
    table["call"] = best.set_index(keys)["y_pred"]
    table["n_calls"] = counts.groupby(keys).size()
    table["changed"] = 1 - agreeing / (m * (m - 1))
    order = ["source", "sample_id", "dataset_id", "y_true", "call", "n_calls", "changed", "right"]
    table = table.reset_index()[order]
    position = table["source"].map({name: i for i, name in enumerate(dict.fromkeys(calls["source"]))})
    return table.iloc[np.argsort(position, kind="stable")].reset_index(drop=True)


def change_table(changes: pd.DataFrame, *, n_boot: int = 1000, seed: int = 0, level: float = 0.95) -> pd.DataFrame:
    """Mean over samples, with intervals over studies.

    Parameters
    ----------
    changes : DataFrame
        From `call_changes`.
    n_boot, seed, level
        Bootstrap over studies.

    Returns
    -------
    DataFrame, one row per source
        ``source, changed`` (mean share of pairs of models that disagree on a sample) with ``ci_low, ci_high``,
        ``ever`` (share of samples whose call is not always the same), ``n_samples, n_datasets``.
    """
    rows = []
    for source, part in changes.groupby("source", sort=False):
        row = {"source": source, **_mean_changed(part, "changed", n_boot, seed, level)}
        rows.append(row | {"ever": float((part["n_calls"] > 1).mean()), **_sizes(part)})
    return pd.DataFrame(rows)


def by_firmness(
    changes: pd.DataFrame,
    firm: pd.DataFrame,
    *,
    score: str = "steps",
    parts: int = 4,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Changed calls among samples of little and of great firmness.

    Parameters
    ----------
    changes : DataFrame
        From `call_changes`.
    firm : DataFrame
        From `firmness.firmness`; samples of both tables take part.
    score : str, default "steps"
        Column of `firm` that makes the parts.
    parts : int, default 4
        Parts of (as far as ties allow) equal size, from least firm to firmest.
    n_boot, seed, level
        Bootstrap over studies.

    Returns
    -------
    DataFrame, one row per source and part
        ``source, quarter`` (its range of scores), ``metric`` (``"changed"``), ``value, ci_low, ci_high, n_samples,
        n_datasets``.
    """
    joined = changes.merge(firm[["sample_id", score]], on="sample_id")
    rows = []
    edges = pd.qcut(joined[score], parts, duplicates="drop")
    for (cut, source), part in joined.groupby([edges, "source"], sort=True, observed=True):
        name = f"{part[score].min():.3g} to {part[score].max():.3g} {score}"
        row = {"cut": cut.left, "source": source, "quarter": name, "metric": "changed"}
        rows.append(row | _mean_changed(part, "value", n_boot, seed, level) | _sizes(part))
    return pd.DataFrame(rows).drop(columns="cut")


def rank_correlation(
    changes: pd.DataFrame,
    firm: pd.DataFrame,
    *,
    score: str = "steps",
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Spearman's correlation of firmness with how often a call changes; negative: firm samples change less.

    Parameters
    ----------
    changes, firm, score, n_boot, seed, level
        As in `by_firmness`. Ranks are those of the whole table, in every replicate.

    Returns
    -------
    DataFrame, one row per source
        ``source, rho, ci_low, ci_high, n_samples``; missing where calls never change.
    """
    rows = []
    for source, part in changes.merge(firm[["sample_id", score]], on="sample_id").groupby("source", sort=False):
        x, y = (part[c].rank().to_numpy(float) for c in (score, "changed"))
        weights = study_weights(part["dataset_id"], n_boot, seed).astype(np.float64)
        weights /= weights.sum(axis=1, keepdims=True)
        mx, my = weights @ x, weights @ y
        spread = np.sqrt((weights @ x**2 - mx**2).clip(min=0) * (weights @ y**2 - my**2).clip(min=0))
        rho = np.divide(weights @ (x * y) - mx * my, spread, out=np.full(len(weights), np.nan), where=spread > 1e-9)
        low, high = study_interval(rho[1:], level)
        rows.append({"source": source, "rho": float(rho[0]), "ci_low": low, "ci_high": high, "n_samples": len(part)})
    return pd.DataFrame(rows)


def _mean_changed(part: pd.DataFrame, name: str, n_boot: int, seed: int, level: float) -> dict[str, float]:
    """Mean share of changed calls under `name`, and its interval over studies."""
    draws = weighted_mean(part["changed"].to_numpy(float), study_weights(part["dataset_id"], n_boot, seed))
    low, high = study_interval(draws[1:], level)
    return {name: float(draws[0]), "ci_low": low, "ci_high": high}


def _sizes(part: pd.DataFrame) -> dict[str, int]:
    return {"n_samples": part["sample_id"].nunique(), "n_datasets": part["dataset_id"].nunique()}
