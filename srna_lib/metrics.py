"""Figures of merit with intervals, from out-of-fold tables.

Samples of one study are not independent, so intervals come from a bootstrap over studies. Everything is computed
from one confusion matrix per study, which makes a thousand replicates a single matrix product.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from srna_lib.resampling import interval

METRICS = ("accuracy", "balanced_accuracy", "accuracy_per_dataset")


class _Counts(NamedTuple):
    """Confusion counts per study, shape (n_units, n_classes, n_classes): true x predicted."""

    classes: list[str]
    units: list[str]
    confusion: np.ndarray


def score(
    predictions: pd.DataFrame,
    *,
    dataset: str,
    seed: int = 0,
    n_boot: int = 1000,
    unit: str = "dataset_id",
    per_class: bool = True,
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """Figures of one model in one scheme, with bootstrap intervals.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table of one task, model and scheme (`validate.cross_validate`).
    dataset : str
        Data set name, written into the records.
    seed : int, default 0
        Seed of the bootstrap; also written into the records.
    n_boot : int, default 1000
        Replicates. Fewer is coarser, not faster to notice.
    unit : str, default "dataset_id"
        What is drawn again: studies. ``"sample_id"`` gives the narrower interval that pretends samples of
        one study to be independent, and leaves `accuracy_per_dataset` out, which it says nothing about.
    per_class : bool, default True
        Also precision and recall of every class, as metrics ``precision:<class>`` and ``recall:<class>``.
    level : float, default 0.95
        Coverage of the intervals.

    Returns
    -------
    list of dict
        Records ``{task, dataset, model, features, scheme, metric, value, ci_low, ci_high, n_samples,
        n_datasets, seed}``. `balanced_accuracy` is the mean recall over classes; `accuracy_per_dataset` the
        mean over studies of the share of right calls.
    """
    counts = _count(predictions, unit)
    values = _figures(counts, np.ones((1, len(counts.units))), per_class)
    draws = _figures(counts, _weights(len(counts.units), n_boot, seed), per_class)
    head = predictions.iloc[0]
    sizes = predictions.groupby("y_true")["sample_id"].nunique()  # repeated folds predict a sample several times
    studies = predictions.groupby("y_true")["dataset_id"].nunique()
    records = []
    for metric, value in values.items():
        if metric == "accuracy_per_dataset" and unit != "dataset_id":
            continue
        low, high = interval(draws[metric], level)
        name = metric.partition(":")[2]
        records.append(
            {
                "task": head["task"],
                "dataset": dataset,
                "model": head["model"],
                "features": head["features"],
                "scheme": head["scheme"],
                "metric": metric,
                "value": _number(value[0]),
                "ci_low": low,
                "ci_high": high,
                "n_samples": int(sizes[name]) if name else predictions["sample_id"].nunique(),
                "n_datasets": int(studies[name]) if name else int(predictions["dataset_id"].nunique()),
                "seed": seed,
            }
        )
    return records


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    seed: int = 0,
    n_boot: int = 1000,
    level: float = 0.95,
) -> pd.DataFrame:
    """Paired difference of two models on the same samples: first minus second.

    Parameters
    ----------
    first, second : DataFrame, one row per sample
        Out-of-fold tables of the same samples.
    seed, n_boot, level
        As in `score`; both models see the same studies in each replicate.

    Returns
    -------
    DataFrame, one row per metric
        ``first, second, scheme, metric, difference, ci_low, ci_high, n_samples, n_datasets``.

    Raises
    ------
    ValueError
        When the tables do not hold the same samples.
    """
    first, second = (t.sort_values("sample_id", ignore_index=True) for t in (first, second))
    same = ["sample_id", "dataset_id", "y_true"]
    if first[same].astype(str).values.tolist() != second[same].astype(str).values.tolist():
        raise ValueError("the two tables hold different samples; expected predictions of the same ones.")
    classes = sorted(set(first["y_true"]) | set(first["y_pred"]) | set(second["y_pred"]))
    a, b = _count(first, "dataset_id", classes), _count(second, "dataset_id", classes)
    once, weights = np.ones((1, len(a.units))), _weights(len(a.units), n_boot, seed)
    rows = []
    for metric in METRICS:
        draws = _figures(a, weights, False)[metric] - _figures(b, weights, False)[metric]
        value = _figures(a, once, False)[metric][0] - _figures(b, once, False)[metric][0]
        low, high = interval(draws, level)
        rows.append(
            {
                "first": first["model"].iloc[0],
                "second": second["model"].iloc[0],
                "scheme": first["scheme"].iloc[0],
                "metric": metric,
                "difference": value,
                "ci_low": low,
                "ci_high": high,
                "n_samples": first["sample_id"].nunique(),
                "n_datasets": len(a.units),
            }
        )
    return pd.DataFrame(rows)


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Confusion matrix of an out-of-fold table.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table of one task, model and scheme.

    Returns
    -------
    DataFrame, shape (n_classes, n_classes), int
        Rows = true class, columns = predicted class.
    """
    counts = _count(predictions, "dataset_id")
    table = pd.DataFrame(counts.confusion.sum(axis=0).astype(int), index=counts.classes, columns=counts.classes)
    return table.rename_axis(index="true class", columns="predicted class")


def per_dataset(predictions: pd.DataFrame) -> pd.DataFrame:
    """Share of right calls in each study.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table; several models and schemes may stand in it.

    Returns
    -------
    DataFrame, one row per model, scheme and study
        ``model, scheme, dataset_id, n_samples, classes, accuracy``.
    """
    frame = predictions.assign(right=predictions["y_true"] == predictions["y_pred"])
    grouped = frame.groupby(["model", "scheme", "dataset_id"], sort=True)
    return grouped.agg(
        n_samples=("right", "size"),
        classes=("y_true", lambda c: ", ".join(sorted(set(c)))),
        accuracy=("right", "mean"),
    ).reset_index()


def _count(predictions: pd.DataFrame, unit: str, classes: list[str] | None = None) -> _Counts:
    if classes is None:
        classes = sorted(set(predictions["y_true"]) | set(predictions["y_pred"]))
    code = pd.Index(classes)
    units, position = np.unique(predictions[unit].to_numpy().astype(str), return_inverse=True)
    counts = np.zeros((len(units), len(classes), len(classes)))
    true, called = code.get_indexer(predictions["y_true"]), code.get_indexer(predictions["y_pred"])
    np.add.at(counts, (position, true, called), 1)
    return _Counts(classes, list(units), counts)


def _weights(n_units: int, n_boot: int, seed: int) -> np.ndarray:
    """How often each unit is drawn in each replicate, shape (n_boot, n_units)."""
    return np.random.default_rng(seed).multinomial(n_units, np.full(n_units, 1 / n_units), size=n_boot).astype(float)


def _figures(counts: _Counts, weights: np.ndarray, per_class: bool) -> dict[str, np.ndarray]:
    n_units, k, _ = counts.confusion.shape
    total = (weights @ counts.confusion.reshape(n_units, k * k)).reshape(-1, k, k)
    right = np.diagonal(total, axis1=1, axis2=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = right / total.sum(axis=2), right / total.sum(axis=1)
    own = np.diagonal(counts.confusion, axis1=1, axis2=2).sum(axis=1) / counts.confusion.sum(axis=(1, 2))
    figures = {
        "accuracy": right.sum(axis=1) / total.sum(axis=(1, 2)),
        "balanced_accuracy": np.nanmean(recall, axis=1),
        "accuracy_per_dataset": weights @ own / weights.sum(axis=1),
    }
    if per_class:
        true = counts.confusion.sum(axis=(0, 2)) > 0
        for i, name in enumerate(counts.classes):
            if true[i]:
                figures[f"precision:{name}"], figures[f"recall:{name}"] = precision[:, i], recall[:, i]
    return figures


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
