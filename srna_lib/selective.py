"""Knowing when to stay silent: accuracy of the most confident share of the samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from srna_lib.errors import InputError
from srna_lib.out_of_fold import IDENTITY, check_table, probabilities
from srna_lib.resampling import Figures, Measure, bootstrap, interval, make_record

GRID = np.arange(1, 101) / 100


def coverage_curve(
    predictions: pd.DataFrame, *, unit: str = "dataset_id", n_boot: int = 1000, seed: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Accuracy of the most confident share of the samples, for every share.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table of one task, model and scheme. The confidence is the probability of the called class.
    unit : str, default "dataset_id"
        What the bootstrap draws (`resampling.UNITS`).
    n_boot, seed, level
        As in `metrics.score`.

    Returns
    -------
    DataFrame, 100 rows
        ``task, model, features, scheme, coverage`` (.01 to 1), ``accuracy, ci_low, ci_high, confidence`` (the least
        among the samples kept), ``n_samples`` (kept). Samples of equal confidence enter in proportion, as if drawn at
        random.

    Raises
    ------
    InputError
        Missing columns, or several models.
    """
    confidence, measure = _prepare(predictions)
    values, draws = bootstrap(measure, predictions, unit=unit, n_boot=n_boot, seed=seed)
    head = {k: predictions[k].iloc[0] for k in IDENTITY}
    falling, rows = np.sort(confidence)[::-1], []
    for share in GRID:
        name = _name(share)
        low, high = interval(draws[name], level)
        kept = int(np.ceil(round(share * len(falling), 9)))
        rows.append(
            {
                **head,
                "coverage": float(share),
                "accuracy": values[name],
                "ci_low": low,
                "ci_high": high,
                "confidence": falling[kept - 1],
                "n_samples": kept,
            }
        )
    return pd.DataFrame(rows)


def accuracy_of_kept(score: np.ndarray, right: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Share of right calls among the samples of the highest scores, for each row of weights.

    Parameters
    ----------
    score : array, shape (n,)
        High for calls that are kept first. Equal ones enter in proportion, as if drawn at random.
    right : array, shape (n,)
        1 for a right call, 0 for a wrong one.
    weights : array, shape (m, n)
        How often each sample counts.
    shares : array, shape (k,)
        Shares of the samples that are kept, above 0.

    Returns
    -------
    array, shape (m, k)
    """
    rows = np.argsort(-score, kind="stable")
    falling = score[rows]
    ends = np.flatnonzero(np.r_[falling[1:] != falling[:-1], True])  # last row of each run of equal scores
    sorted_weights = weights[:, rows]
    kept = np.cumsum(sorted_weights, axis=1)[:, ends]
    good = np.cumsum(sorted_weights * right[rows], axis=1)[:, ends]
    curve = np.empty((len(weights), len(shares)))
    for i, (k, g) in enumerate(zip(kept, good, strict=True)):
        wanted = shares * k[-1]
        curve[i] = np.interp(wanted, np.r_[0, k], np.r_[0, g]) / wanted
    return curve


def score(
    predictions: pd.DataFrame,
    *,
    dataset: str,
    coverages: Sequence[float] = (0.25, 0.5, 0.75),
    unit: str = "dataset_id",
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """Accuracy at a few coverages and the area under the curve, as records.

    Parameters
    ----------
    predictions, unit, n_boot, seed, level
        As in `coverage_curve`.
    dataset : str
        Data set name, written into the records.
    coverages : sequence of float, default (0.25, 0.5, 0.75)
        Shares of the samples, in whole per cent.

    Returns
    -------
    list of dict
        Records ``accuracy_at:<coverage>`` and ``coverage_area``: the mean accuracy over coverages of 1, 2, ... 100 %
        (1 - area under the risk-coverage curve of Geifman and El-Yaniv 2017). A confidence that knows nothing has the
        plain accuracy there.

    Raises
    ------
    InputError
        Missing columns, several models, or a coverage that is no whole per cent.
    """
    for share in coverages:
        if not any(np.isclose(share, GRID)):
            raise InputError(f"coverage {share!r}: expected whole per cents such as 0.25.")
    _, measure = _prepare(predictions)
    values, draws = bootstrap(measure, predictions, unit=unit, n_boot=n_boot, seed=seed)
    wanted = {_name(c): f"accuracy_at:{c:g}" for c in coverages} | {"area": "coverage_area"}
    return [
        make_record(predictions, metric, values[name], draws[name], dataset=dataset, seed=seed, level=level)
        for name, metric in wanted.items()
    ]


def _name(share: float) -> str:
    return f"{share:.2f}"


def _prepare(predictions: pd.DataFrame) -> tuple[np.ndarray, Measure]:
    """Confidence of each row, and the function that measures the curve and its area."""
    check_table(predictions, ["y_pred"])
    classes, p = probabilities(predictions)
    at = pd.Index(classes).get_indexer(predictions["y_pred"].astype(str))
    confidence = p[np.arange(len(p)), at]
    right = (predictions["y_pred"].astype(str) == predictions["y_true"].astype(str)).to_numpy(dtype=float)

    def measure(weights: np.ndarray) -> Figures:
        curve = accuracy_of_kept(confidence, right, weights, GRID)
        return {_name(c): curve[:, j] for j, c in enumerate(GRID)} | {"area": curve.mean(axis=1)}

    return confidence, measure
