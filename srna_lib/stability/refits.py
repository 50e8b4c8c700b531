"""One recipe fitted several times, with other seeds or studies, and how often predictions change between the models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from srna_lib.data import Task, shuffle_studies
from srna_lib.errors import InputError
from srna_lib.evaluate import Split, cross_validate, fit_fold, make_splits, study_weights, weighted_mean
from srna_lib.models import recipe
from srna_lib.stability.tables import sizes, with_interval


def fit_seeds(
    task: Task, name: str, seeds: Iterable[int], *, n_jobs: int = 1, changes: dict[str, Any] | None = None
) -> dict[int, Pipeline]:
    """Fit one recipe, with changed parameters, on all samples, once per seed."""
    models = {seed: (recipe(name, seed=seed, **changes or {}), np.arange(len(task.y))) for seed in seeds}
    return _fit(task, models, n_jobs)


def fit_shuffled(
    task: Task, name: str, seeds: Iterable[int], *, times: int, n_jobs: int = 1, changes: dict[str, Any] | None = None
) -> Iterator[tuple[Task, dict[int, Pipeline]]]:
    """Fit as `fit_seeds` to labels dealt to other studies, so many times: the shuffled task, and its networks."""
    for i in range(times):
        shuffled = shuffle_studies(task, seed=i)
        yield shuffled, fit_seeds(shuffled, name, seeds, n_jobs=n_jobs, changes=changes)


def fit_folds(
    task: Task, name: str, splits: Iterable[Split], *, seed: int = 0, n_jobs: int = 1,
    changes: dict[str, Any] | None = None,
) -> dict[str, Pipeline]:  # fmt: skip
    """Fit one recipe, always with the same seed, on the training side of each fold."""
    return _fit(task, {s.fold: (recipe(name, seed=seed, **changes or {}), s.train) for s in splits}, n_jobs)


def _fit(task: Task, models: dict[Any, tuple[Pipeline, np.ndarray]], n_jobs: int) -> dict[Any, Pipeline]:
    jobs = [joblib.delayed(fit_fold)(task, model, train) for model, train in models.values()]
    return dict(zip(models, joblib.Parallel(n_jobs=n_jobs)(jobs), strict=True))


SOURCES = {
    "seed": "same training samples, another seed",
    "folds": "same seed, studies dealt to folds anew",
    "studies": "same seed and test samples, training studies resampled with replacement",
}


def refit_predictions(
    task: Task, name: str, *, refits: int = 4, n_splits: int = 5, seed: int = 0,
    changes: dict[str, Any] | None = None, **run: Any,
) -> pd.DataFrame:  # fmt: skip
    """Predict every sample several times by models that never saw its study.

    Parameters
    ----------
    task, name, changes
        Samples, labels and studies; recipe, and changed parameters of it.
    refits : int, default 4
        Models per sample and source of change (`SOURCES`), which share the first one. More resolve finer shares.
    n_splits, seed : int, default 5 and 0
        Folds grouped by study; seed of the first model and its folds, the others use the following ones.
    **run
        ``n_jobs``, ``cache``, ``progress``, as in `evaluate.cross_validate`.

    Returns
    -------
    DataFrame, one row per source, refit and sample
        ``source, refit`` and the columns of `evaluate.cross_validate`.
    """
    if refits < 2:
        raise InputError(f"{refits} refits: expected at least 2, so that two models can disagree.")
    groups = task.groups.to_numpy()

    def predict(source: str, refit: int) -> pd.DataFrame:
        splits = make_splits(task, "grouped_kfold", n_splits=n_splits, seed=seed + refit * (source == "folds"))
        if source == "studies" and refit:
            splits = [resample_studies(s, groups, seed=seed + refit) for s in splits]
        model = recipe(name, seed=seed + refit * (source == "seed"), **(changes or {}))
        return cross_validate(task, {name: model}, splits, scheme="grouped_kfold", **run)

    tables, base = [], predict("seed", 0)
    for source in SOURCES:
        models = [base, *(predict(source, refit) for refit in range(1, refits))]
        tables += [table.assign(source=source, refit=refit) for refit, table in enumerate(models)]
    return pd.concat(tables, ignore_index=True)


def resample_studies(split: Split, groups: np.ndarray, *, seed: int) -> Split:
    """Resample the training studies of a fold with replacement; a study drawn twice is there twice."""
    studies, code = np.unique(groups[split.train], return_inverse=True)
    rng = np.random.default_rng((seed, int(split.test[0]) if len(split.test) else 0))
    times = np.bincount(rng.integers(0, len(studies), len(studies)), minlength=len(studies))
    return Split(f"{split.fold}, drawn {seed}", np.repeat(split.train, times[code]), split.test)


def prediction_changes(predictions: pd.DataFrame) -> pd.DataFrame:
    """How often the prediction of each sample changes between the models of `refit_predictions`.

    One row per source and sample: ``source, sample_id, dataset_id, n_predicted`` (different classes) and ``changed``
    (share of the pairs of models that disagree).
    """
    keys = ["source", "sample_id", "dataset_id"]
    counts = predictions.groupby([*keys, "y_pred"]).size()
    m, agreeing = counts.groupby(keys).sum(), (counts * (counts - 1)).groupby(keys).sum()
    table = pd.DataFrame({"n_predicted": counts.groupby(keys).size(), "changed": 1 - agreeing / (m * (m - 1))})
    return table.reindex(predictions["source"].unique(), level=0).reset_index()


def change_table(changes: pd.DataFrame, firm: pd.DataFrame, *, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Mean over samples of how often predictions change (`prediction_changes`), and whether firm ones change less.

    One row per source: ``source, changed`` (mean share of pairs of models that disagree on a sample) with ``ci_low,
    ci_high``, ``ever`` (share of samples whose prediction is not always the same), ``rho`` (Spearman's correlation of
    ``changed`` with steps to flip in `firm`, on the ranks of the whole table; missing where nothing changes) with
    ``rho_low, rho_high``, and ``n_samples, n_datasets``.
    """
    steps, rows = firm.set_index("sample_id")["steps"], []
    for source, table in changes.groupby("source", sort=False):
        joined = table.join(steps, on="sample_id", how="inner")
        x, y = (joined[c].rank().to_numpy(float) for c in ("steps", "changed"))
        weights = study_weights(joined["dataset_id"], n_boot, seed).astype(np.float64)
        weights /= weights.sum(axis=1, keepdims=True)
        mx, my = weights @ x, weights @ y
        spread = np.sqrt((weights @ x**2 - mx**2).clip(min=0) * (weights @ y**2 - my**2).clip(min=0))
        rho = np.divide(weights @ (x * y) - mx * my, spread, out=np.full(len(weights), np.nan), where=spread > 1e-9)
        row = {"source": source, **with_interval("changed", _mean_changed(table, n_boot, seed), "ci")}
        rows.append(row | {"ever": (table["n_predicted"] > 1).mean()} | with_interval("rho", rho) | sizes(table))
    return pd.DataFrame(rows)


def by_firmness(changes: pd.DataFrame, firm: pd.DataFrame, *, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """How often predictions change in each quarter of steps to flip; parameters as in `change_table`.

    One row per quarter (its range of steps) and source: ``source, quarter, metric`` (``"changed"``), ``value, ci_low,
    ci_high, n_samples, n_datasets``.
    """
    joined = changes.merge(firm[["sample_id", "steps"]], on="sample_id")
    edges = np.unique(joined["steps"].quantile([0.25, 0.5, 0.75]))
    quarters = np.searchsorted(edges, joined["steps"])
    rows = []
    for (_, source), table in joined.groupby([quarters, "source"]):
        name = f"{table['steps'].min():.3g} to {table['steps'].max():.3g} steps"
        row = {"source": source, "quarter": name, "metric": "changed"}
        rows.append(row | with_interval("value", _mean_changed(table, n_boot, seed), "ci") | sizes(table))
    return pd.DataFrame(rows)


def _mean_changed(table: pd.DataFrame, n_boot: int, seed: int) -> np.ndarray:
    """Mean share of changed predictions, of the table and of replicates over studies."""
    return weighted_mean(table["changed"].to_numpy(float), study_weights(table["dataset_id"], n_boot, seed))
