"""Bootstrap over studies or donors, in blocks of replicates, and the records made of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from srna_lib.errors import InputError


def study_weights(studies: Any, n_boot: int, seed: int) -> np.ndarray:
    """How often each row is drawn when whole studies are drawn again.

    Parameters
    ----------
    studies : array, shape (n,)
        Study of each row; a study's rows come and go together.
    n_boot : int
        Replicates.
    seed : int
        Seed of the draws.

    Returns
    -------
    array, shape (n_boot + 1, n), float32
        The first row is all ones: the table as it is.
    """
    codes, names = pd.factorize(np.asarray(studies, dtype=object), sort=True)
    m = len(names)
    drawn = np.random.default_rng(seed).multinomial(m, np.full(m, 1 / max(m, 1)), size=n_boot).astype(np.float32)
    return np.concatenate([np.ones((1, len(codes)), np.float32), drawn[:, codes]])


def study_interval(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Ends of a percentile interval; NaN where no replicate has a value.

    Parameters
    ----------
    draws : array, shape (n_boot,)
        Values in the replicates; those that are not finite are left out.
    level : float, default 0.95
        Coverage.
    """
    draws = np.asarray(draws, dtype=float)
    draws = draws[np.isfinite(draws)]
    if not len(draws):
        return np.nan, np.nan
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of the values that are not NaN, for each row of weights; NaN where nothing is left."""
    there = ~np.isnan(values)
    total = weights[:, there].sum(axis=1, dtype=np.float64)
    summed = weights[:, there].astype(np.float64) @ values[there]
    return np.divide(summed, total, out=np.full(len(weights), np.nan), where=total > 0)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Lower median for each row of weights; NaN counts as larger than anything and is the median of a majority."""
    order = np.argsort(values, kind="stable")  # NaN last
    below = weights[:, order].cumsum(axis=1, dtype=np.float64)
    total = below[:, -1:]
    at = (below >= total / 2).argmax(axis=1)
    return np.where(total[:, 0] > 0, values[order][at], np.nan)


Figures: TypeAlias = dict[str, np.ndarray]
Measure: TypeAlias = Callable[[np.ndarray], Figures]

UNITS = {
    "dataset_id": "studies",
    "donor_id": "patients, within their studies",
    "sample_id": "samples, within their studies",
}
_CELLS = 1 << 20  # weights in memory at a time: 8 MiB, which stays in the cache of most processors


def unit_codes(predictions: pd.DataFrame, unit: str) -> tuple[np.ndarray, np.ndarray]:
    """Number the units that are drawn again, sorted by the study that they are drawn within.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        With ``dataset_id`` and the column `unit`.
    unit : str
        One of `UNITS`. Rows whose unit is unknown are units of their own. A patient of several studies is one
        unit, drawn within the first of them.

    Returns
    -------
    codes : ndarray of int, shape (n_rows,)
        Unit of each row.
    strata : ndarray of int, shape (n_units,)
        Study in which each unit is drawn; all the same where studies themselves are drawn.

    Raises
    ------
    InputError
        Unknown unit, or its column is missing.
    """
    if unit not in UNITS:
        raise InputError(f"unit={unit!r}: expected one of {', '.join(UNITS)}.")
    if unit not in predictions:
        raise InputError(f"out-of-fold table: the column {unit!r} is missing; expected it to draw {UNITS[unit]}.")
    names = predictions[unit].astype(object)
    names = names.where(names.notna(), "sample " + predictions["sample_id"].astype(str)).astype(str)
    codes, levels = pd.factorize(names, sort=True)
    if unit == "dataset_id":
        return codes, np.zeros(len(levels), dtype=int)
    studies = pd.factorize(predictions["dataset_id"].astype(str), sort=True)[0]
    of_unit = np.full(len(levels), studies.max() + 1)
    np.minimum.at(of_unit, codes, studies)
    order = np.argsort(of_unit, kind="stable")
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    return position[codes], of_unit[order]


def draw_weights(predictions: pd.DataFrame, unit: str, n_boot: int, seed: int) -> Iterator[np.ndarray]:
    """How often each row is drawn in each bootstrap replicate, in blocks.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        As in `unit_codes`.
    unit : str
        As in `unit_codes`.
    n_boot : int
        Replicates.
    seed : int
        Seed. Two tables of the same rows get the same draws, which is what makes a comparison paired.

    Yields
    ------
    ndarray, shape (n_block, n_rows), float
        Blocks that together have `n_boot` rows.
    """
    codes, strata = unit_codes(predictions, unit)
    rng = np.random.default_rng(seed)
    sizes, starts = np.bincount(strata)[strata], np.searchsorted(strata, strata)
    n_units, block = len(strata), max(1, _CELLS // len(codes))
    for first in range(0, n_boot, block):
        n = min(block, n_boot - first)
        drawn = starts + (rng.random((n, n_units)) * sizes).astype(np.int64)
        drawn += n_units * np.arange(n)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=n * n_units).reshape(n, n_units)
        yield counts[:, codes].astype(float)


def bootstrap(
    measure: Measure, predictions: pd.DataFrame, *, unit: str, n_boot: int, seed: int
) -> tuple[dict[str, float], Figures]:
    """Measure a table as it is, and in each bootstrap replicate.

    Parameters
    ----------
    measure : callable
        Weights of shape (n_replicates, n_rows) -> metric -> values of shape (n_replicates,).
    predictions : DataFrame, one row per sample
        As in `unit_codes`.
    unit, n_boot, seed
        As in `draw_weights`.

    Returns
    -------
    values : dict of float
        Metric -> value of the table.
    draws : dict of ndarray, shape (n_boot,)
        Metric -> value in each replicate; NaN where it is undefined.
    """
    values = {name: float(v[0]) for name, v in measure(np.ones((1, len(predictions)))).items()}
    blocks = [measure(weights) for weights in draw_weights(predictions, unit, n_boot, seed)]
    draws = {name: np.concatenate([b[name] for b in blocks]) if blocks else np.empty(0) for name in values}
    return values, draws


def interval(draws: np.ndarray, level: float = 0.95) -> tuple[float | None, float | None]:
    """`study_draws.interval` as records hold it: None twice where no replicate has a value."""
    low, high = study_interval(draws, level)
    return (None, None) if np.isnan(low) else (low, high)


def make_record(
    predictions: pd.DataFrame,
    metric: str,
    value: float,
    draws: np.ndarray,
    *,
    dataset: str,
    seed: int,
    level: float = 0.95,
) -> dict[str, Any]:
    """One result record, with the fields of `results.RECORD_FIELDS`.

    Parameters
    ----------
    predictions : DataFrame
        Rows that the figure is about; their samples and studies are counted.
    metric : str
        Name of the figure.
    value : float
        The figure; None is written for NaN.
    draws : ndarray, shape (n_boot,)
        The figure in the replicates; no interval where `value` is NaN or there are no draws.
    dataset, seed, level
        As in `metrics.score`.
    """
    low, high = interval(draws, level) if np.isfinite(value) else (None, None)
    head = predictions.iloc[0]
    return {
        "task": head["task"],
        "dataset": dataset,
        "model": head["model"],
        "features": head["features"],
        "scheme": head["scheme"],
        "metric": metric,
        "value": float(value) if np.isfinite(value) else None,
        "ci_low": low,
        "ci_high": high,
        "n_samples": int(predictions["sample_id"].nunique()),
        "n_datasets": int(predictions["dataset_id"].nunique()),
        "seed": seed,
    }


def study_records(
    predictions: pd.DataFrame,
    values: dict[str, float],
    draws: Figures,
    *,
    of_study: Collection[str],
    counting: Collection[str],
    unit: str,
    per_dataset: bool,
    **fixed: Any,
) -> list[dict[str, Any]]:
    """Records of figures over all studies, within studies and of single studies.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Table that was measured.
    values, draws
        From `bootstrap`. Names that end in ``_within`` are means over the studies that count.
    of_study : collection of str
        ``<kind>:<study>`` with these kinds are figures of one study. They have no interval where studies are drawn:
        one study cannot say how studies vary.
    counting : collection of str
        Studies that count within.
    unit : str
        What was drawn.
    per_dataset : bool
        Whether figures of single studies become records.
    **fixed
        ``dataset, seed, level`` of `make_record`.

    Returns
    -------
    list of dict
        In the order of `values`.
    """
    studies = predictions["dataset_id"].astype(str)
    within = predictions[studies.isin(counting)]
    records = []
    for metric, value in values.items():
        kind, _, name = metric.partition(":")
        about, drawn = predictions, draws[metric]
        if kind in of_study and name:
            if not per_dataset:
                continue
            about, drawn = predictions[studies == name], drawn if unit != "dataset_id" else drawn[:0]
        elif kind.endswith("_within") and len(within):
            about = within
        record = make_record(about, metric, value, drawn, **fixed)
        if kind.endswith("_within") and within.empty:
            record |= {"n_samples": 0, "n_datasets": 0}
        records.append(record)
    return records
