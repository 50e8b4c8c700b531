"""The one bootstrap: whole studies, or donors or samples within their studies, resampled in blocks of replicates.

A few large studies, or small classes of one or two studies, decide many metrics, so there are fewer independent pieces
of evidence than studies. Percentiles of replicates know nothing of that and are too narrow; the standard error of the
replicates with the t quantile of the *effective* number of studies is not (``docs/intervals.md``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from scipy import stats

from srna_lib.errors import InputError, one_of


class Key(NamedTuple):
    """What a value is of: a metric, of one class or study where these are named."""

    metric: str
    cls: str | None = None
    study: str | None = None


Values: TypeAlias = dict[Any, np.ndarray]  # of a `Key`, or of what a caller names
Measure: TypeAlias = Callable[[np.ndarray], Values]

UNITS = {
    "dataset_id": "studies",
    "donor_id": "patients, within their studies",
    "sample_id": "samples, within their studies",
}
_STEP = 1e-3  # how far a unit's weight is moved to see what hangs on it
_CELLS = 1 << 20  # weights in memory at a time: 8 MiB, which stays in the cache of most processors


def draw_counts(strata: np.ndarray, n_boot: int, rng: np.random.Generator) -> np.ndarray:
    """How often each unit is drawn, within its stratum, in each replicate: shape (n_boot, n_units); strata ascend."""
    n_units = len(strata)
    if not n_units or strata[0] == strata[-1]:
        return rng.multinomial(n_units, np.full(n_units, 1 / max(n_units, 1)), size=n_boot)
    sizes, starts = np.bincount(strata)[strata], np.searchsorted(strata, strata)
    drawn = starts + (rng.random((n_boot, n_units)) * sizes).astype(np.int64)
    drawn += n_units * np.arange(n_boot)[:, None]
    return np.bincount(drawn.ravel(), minlength=n_boot * n_units).reshape(n_boot, n_units)


def study_weights(studies: Any, n_boot: int, seed: int) -> np.ndarray:
    """How often each row counts when whole studies are resampled: shape (n_boot + 1, n_rows), first row ones."""
    codes, names = pd.factorize(np.asarray(studies, dtype=object), sort=True)
    drawn = draw_counts(np.zeros(len(names), dtype=int), n_boot, np.random.default_rng(seed)).astype(np.float32)
    return np.concatenate([np.ones((1, len(codes)), np.float32), drawn[:, codes]])


def study_interval(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Ends of the percentile interval of replicates; NaN where none of them is finite."""
    draws = np.asarray(draws, dtype=float)
    draws = draws[np.isfinite(draws)]
    if not len(draws):
        return np.nan, np.nan
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_of_defined(values: np.ndarray, weights: np.ndarray, axis: int = -1) -> np.ndarray:
    """Weighted mean over one axis of what is defined; NaN where nothing is."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (np.where(defined, values, 0) * weights).sum(axis=axis) / (defined * weights).sum(axis=axis)


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


def unit_codes(predictions: pd.DataFrame, unit: str) -> tuple[np.ndarray, np.ndarray]:
    """Number the units that are resampled, sorted by the study that they are drawn within.

    Returns the unit of each row, and the stratum of each unit. Rows whose unit is unknown are units of their own; a
    donor of several studies is one unit, drawn within the first of them.
    """
    one_of("unit", unit, UNITS)
    if unit not in predictions:
        raise InputError(f"out-of-fold table: the column {unit!r} is missing; expected it to draw {UNITS[unit]}.")
    names = predictions[unit].astype(object)
    names = names.where(names.notna(), "sample " + predictions["sample_id"].astype(str)).astype(str).to_numpy()
    named = pd.factorize(names, sort=True)[0]
    studies = np.zeros(len(named), int)
    if unit != "dataset_id":
        studies = pd.factorize(predictions["dataset_id"].astype(str).to_numpy(), sort=True)[0]
    homes = np.full(named.max(initial=-1) + 1, len(named))
    np.minimum.at(homes, named, studies)
    first, codes = np.unique(homes[named] * len(homes) + named, return_index=True, return_inverse=True)[1:]
    return codes, np.unique(homes[named][first], return_inverse=True)[1]


def draw_weights(predictions: pd.DataFrame, unit: str, n_boot: int, seed: int) -> Iterator[np.ndarray]:
    """How often each row counts in each replicate, in blocks of shape (n_block, n_rows).

    Two tables of the same rows get the same draws, which is what makes a comparison paired.
    """
    codes, strata = unit_codes(predictions, unit)
    rng, block = np.random.default_rng(seed), max(1, _CELLS // len(codes))
    for first in range(0, n_boot, block):
        yield draw_counts(strata, min(block, n_boot - first), rng)[:, codes].astype(float)


class Estimates(NamedTuple):
    """Answer of `bootstrap`, each by key."""

    values: dict[Any, float]
    draws: Values  # shape (n_boot,)
    df: dict[Any, float]  # effective number of studies less one; infinite where donors or samples are resampled


def bootstrap(measure: Measure, predictions: pd.DataFrame, *, unit: str, n_boot: int, seed: int) -> Estimates:
    """Measure a table as it is, and in each replicate.

    `measure` takes weights of shape (n_replicates, n_rows) and gives key -> values of shape (n_replicates,).
    """
    values = {name: float(v[0]) for name, v in measure(np.ones((1, len(predictions)))).items()}
    blocks = [measure(weights) for weights in draw_weights(predictions, unit, n_boot, seed)]
    draws = {name: np.concatenate([b[name] for b in blocks]) if blocks else np.empty(0) for name in values}
    df = dict.fromkeys(values, np.inf)
    if unit == "dataset_id" and n_boot:
        units = unit_codes(predictions, unit)[0]
        moved = measure(1 - _STEP * (np.arange(units.max() + 1)[:, None] == units))
        df = {name: max(_effective_number(moved[name] - value) - 1, 1.0) for name, value in values.items()}
    return Estimates(values, draws, df)


def _effective_number(influence: np.ndarray) -> float:
    """How many equal influences would be as many (Satterthwaite, of a sum of squares): n if equal, 1 if one decides."""
    squares = influence[np.isfinite(influence)] ** 2
    return float(squares.sum() ** 2 / (squares**2).sum()) if (squares > 1e-20).any() else np.inf


def t_interval(value: float, draws: np.ndarray, df: float, level: float = 0.95) -> tuple[float, float, float]:
    """Ends of the interval ``value -+ t(df) * error``, and the p-value of zero; NaN where the value is undefined.

    The error is the root mean square distance of the replicates from the value: their spread and their bias.
    """
    draws = draws[np.isfinite(draws)]
    if len(draws) < 2 or not np.isfinite(value):
        return np.nan, np.nan, np.nan
    error = float(np.sqrt(np.mean((draws - value) ** 2)))
    half = stats.t.ppf((1 + level) / 2, df) * error
    return value - half, value + half, float(2 * stats.t.sf(abs(value) / max(error, 1e-12), df))
