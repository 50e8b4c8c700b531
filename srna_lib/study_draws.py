"""Bootstrap over studies for anything that is a weighted sum over samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


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


def interval(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
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
