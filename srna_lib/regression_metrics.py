"""Figures of merit of a continuous target (age): errors, agreement, and what prediction intervals really cover."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from srna_lib.errors import InputError
from srna_lib.out_of_fold import check_table
from srna_lib.resampling import Figures, Measure, bootstrap, study_records

METRICS = ("mae", "rmse", "r2", "pearson", "spearman", "mae_within", "r2_within", "spearman_within")


def score(
    predictions: pd.DataFrame,
    *,
    dataset: str,
    seed: int = 0,
    n_boot: int = 1000,
    unit: str = "dataset_id",
    min_per_dataset: int = 10,
    per_dataset: bool = True,
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """Figures of one model of a continuous target in one scheme, with bootstrap intervals.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table of one task, model and scheme with numbers in ``y_true`` and ``y_pred`` and, optionally,
        prediction intervals in ``low_<level>`` and ``high_<level>`` (``low_0.9``: meant to cover 90 %).
    dataset, seed, n_boot, level
        As in `ranking_metrics.score`; `level` is of the bootstrap intervals around the figures.
    unit : str, default "dataset_id"
        What is drawn again, as in `ranking_metrics.score`.
    min_per_dataset : int, default 10
        A study counts for the figures within studies with at least so many samples (and ages that differ).
    per_dataset : bool, default True
        Also ``mae:<study>``, ``r2:<study>`` and ``spearman:<study>`` of every study that counts; without an interval
        where studies are drawn.

    Returns
    -------
    list of dict
        Records with the fields of `results.RECORD_FIELDS`. ``mae``, ``rmse``: in the unit of the target. ``r2``:
        1 - squared error / squared deviation from the mean, below 0 for what is worse than the mean.
        ``pearson``, ``spearman``: correlations. ``mae_within``, ``r2_within`` (against the mean of the study) and
        ``spearman_within``: mean over studies, each counted once. For each stated level, ``coverage:<level>``: share of
        true values inside; ``width:<level>``: mean width; ``coverage_within:<level>``: mean coverage over studies.

    Raises
    ------
    InputError
        Missing columns, several models, or values that are no finite numbers.

    Notes
    -----
    In a replicate, Spearman's correlation keeps the ranks of the whole table, weighted, instead of ranking anew.
    """
    check_table(predictions, ["y_pred"])
    measure, counting = _prepare(predictions, min_per_dataset, unit)
    values, draws = bootstrap(measure, predictions, unit=unit, n_boot=n_boot, seed=seed)
    return study_records(
        predictions,
        values,
        draws,
        of_study=("mae", "r2", "spearman"),
        counting=counting,
        unit=unit,
        per_dataset=per_dataset,
        dataset=dataset,
        seed=seed,
        level=level,
    )


def interval_levels(predictions: pd.DataFrame) -> list[str]:
    """Stated levels of the prediction intervals of a table, as written in its columns, from low to high.

    Raises
    ------
    InputError
        A lower bound without its upper bound, or a level that is no share.
    """
    found = {str(c).partition("_")[2]: str(c) for c in predictions if re.fullmatch(r"low_[0-9.]+", str(c))}
    for text, column in found.items():
        if f"high_{text}" not in predictions:
            raise InputError(f"out-of-fold table: the column {column!r} has no partner 'high_{text}'.")
        if not 0 < float(text) < 1:
            raise InputError(f"out-of-fold table: the column {column!r} names no share; expected such as 'low_0.9'.")
    return sorted(found, key=float)


def coverage_table(
    predictions: pd.DataFrame, *, seed: int = 0, n_boot: int = 1000, unit: str = "dataset_id", level: float = 0.95
) -> pd.DataFrame:
    """Stated against measured coverage of prediction intervals.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        As in `score`, with intervals.
    seed, n_boot, unit, level
        As in `score`.

    Returns
    -------
    DataFrame, one row per stated level
        ``task, model, features, scheme, stated, measured, ci_low, ci_high, mean_width, median_width, n_samples``.

    Raises
    ------
    InputError
        The table has no intervals.
    """
    levels = interval_levels(predictions)
    if not levels:
        raise InputError("out-of-fold table: no columns low_<level>, high_<level>; expected prediction intervals.")
    records = score(predictions, dataset="", seed=seed, n_boot=n_boot, unit=unit, per_dataset=False, level=level)
    of = {r["metric"]: r for r in records}
    rows = []
    for text in levels:
        found = of[f"coverage:{text}"]
        width = predictions[f"high_{text}"] - predictions[f"low_{text}"]
        rows.append(
            {
                **{k: found[k] for k in ("task", "model", "features", "scheme")},
                "stated": float(text),
                "measured": found["value"],
                "ci_low": found["ci_low"],
                "ci_high": found["ci_high"],
                "mean_width": of[f"width:{text}"]["value"],
                "median_width": float(width.median()),
                "n_samples": found["n_samples"],
            }
        )
    return pd.DataFrame(rows)


def prepare(predictions: pd.DataFrame, *, min_per_dataset: int = 10, unit: str = "dataset_id") -> Measure:
    """Make the function that measures a table under any weights of its rows.

    Parameters
    ----------
    predictions, min_per_dataset, unit
        As in `score`.

    Returns
    -------
    callable
        Weights of shape (n_replicates, n_rows) -> metric -> values of shape (n_replicates,).
    """
    return _prepare(predictions, min_per_dataset, unit)[0]


def _numbers(predictions: pd.DataFrame, column: str) -> np.ndarray:
    values = pd.to_numeric(predictions[column], errors="coerce").to_numpy(dtype=float)
    if not np.isfinite(values).all():
        bad = predictions[column][~np.isfinite(values)].iloc[0]
        raise InputError(f"out-of-fold table: column {column!r} holds {bad!r}; expected finite numbers.")
    return values


def _prepare(predictions: pd.DataFrame, min_per_dataset: int, unit: str) -> tuple[Measure, list[str]]:
    """Measure of a table, and the studies that count within."""
    true, called = _numbers(predictions, "y_true"), _numbers(predictions, "y_pred")
    levels = interval_levels(predictions)
    bounds = {t: (_numbers(predictions, f"low_{t}"), _numbers(predictions, f"high_{t}")) for t in levels}
    codes, studies = pd.factorize(predictions["dataset_id"].astype(str), sort=True)
    grouped = predictions.groupby(codes)
    counts = (grouped["sample_id"].nunique() >= min_per_dataset) & (grouped["y_true"].nunique() > 1)
    kept = np.flatnonzero(counts.to_numpy())
    members = [np.flatnonzero(codes == i) for i in kept]
    ranks = [(_ranks(true[m]), _ranks(called[m])) for m in members]
    true_ranks, called_ranks = _ranks(true), _ranks(called)
    error = np.abs(true - called)

    def measure(weights: np.ndarray) -> Figures:
        figures = {
            "mae": _weighted_mean(error, weights),
            "rmse": np.sqrt(_weighted_mean(error**2, weights)),
            "r2": _r2(true, error, weights),
            "pearson": _correlation(true, called, weights),
            "spearman": _correlation(true_ranks, called_ranks, weights),
        }
        own: dict[str, list[np.ndarray]] = {"mae": [], "r2": [], "spearman": []}
        for rows, rank in zip(members, ranks, strict=True):
            part = weights[:, rows]
            own["mae"].append(_weighted_mean(error[rows], part))
            own["r2"].append(_r2(true[rows], error[rows], part))
            own["spearman"].append(_correlation(*rank, part))
        drawn = [weights[:, m[0]] if unit == "dataset_id" else np.ones(len(weights)) for m in members]
        for name, values in own.items():
            figures[f"{name}_within"] = _mean_of_studies(values, drawn, len(weights))
        for text, (low, high) in bounds.items():
            inside = ((true >= low) & (true <= high)).astype(float)
            figures[f"coverage:{text}"] = _weighted_mean(inside, weights)
            figures[f"width:{text}"] = _weighted_mean(high - low, weights)
            each = [_weighted_mean(inside[m], weights[:, m]) for m in members]
            figures[f"coverage_within:{text}"] = _mean_of_studies(each, drawn, len(weights))
        for name, values in own.items():
            figures |= {f"{name}:{studies[i]}": v for i, v in zip(kept, values, strict=True)}
        return figures

    return measure, list(studies[kept])


def _ranks(values: np.ndarray) -> np.ndarray:
    return pd.Series(values).rank().to_numpy()


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return weights @ values / weights.sum(axis=1)


def _r2(true: np.ndarray, error: np.ndarray, weights: np.ndarray) -> np.ndarray:
    centred = true - true.mean()  # small numbers keep the difference of squares exact
    variance = _weighted_mean(centred**2, weights) - _weighted_mean(centred, weights) ** 2
    # with one distinct value left in a replicate nothing varies, and rounding must not make it look otherwise
    variance = np.where(variance > 1e-10 * (centred**2).mean(), variance, np.nan)
    return 1 - _weighted_mean(error**2, weights) / variance


def _correlation(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    a, b = a - a.mean(), b - b.mean()
    mean_a, mean_b = _weighted_mean(a, weights), _weighted_mean(b, weights)
    var_a = _weighted_mean(a**2, weights) - mean_a**2
    var_b = _weighted_mean(b**2, weights) - mean_b**2
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (_weighted_mean(a * b, weights) - mean_a * mean_b) / np.sqrt(var_a * var_b)
    return np.where((var_a > 1e-10 * (a**2).mean()) & (var_b > 1e-10 * (b**2).mean()), r, np.nan)


def _mean_of_studies(values: list[np.ndarray], drawn: list[np.ndarray], n: int) -> np.ndarray:
    """Mean over studies of what is defined, each as often as it was drawn, shape (n_replicates,)."""
    if not values:
        return np.full(n, np.nan)
    stacked, weights = np.stack(values), np.stack(drawn)
    defined = ~np.isnan(stacked)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (np.where(defined, stacked, 0) * weights).sum(axis=0) / (defined * weights).sum(axis=0)
