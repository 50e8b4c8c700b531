"""Apparent age acceleration."""

from __future__ import annotations

import numpy as np
import pandas as pd

from srna_lib.evaluate.bootstrap import bootstrap, mean_of_defined, t_interval
from srna_lib.evaluate.metrics import check_table, numbers

MIN_FOR_SLOPE = 10


def apparent_acceleration(predictions: pd.DataFrame) -> pd.DataFrame:
    """How much older or younger a sample looks than others of its age and study.

    Every regressor pulls its predictions to the mean, so the young look too old and the old too young, and a plain
    difference of predicted and true age is a function of age. What is left after a line through the samples of the
    study is not. A study of fewer than ten samples takes the mean slope, through the mean of its own.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table of one model of age.

    Returns
    -------
    DataFrame, one row per sample
        The columns of `predictions` but the intervals, with ``gap`` (predicted minus true age, years), ``slope`` (years
        predicted per year lived in its study; 1 would be no regression to the mean) and ``acceleration`` (predicted age
        minus the line of the study, years), which holds everything that shifts a profile: disease, cell composition,
        quality, batch. It measures no pace of ageing.
    """
    check_table(predictions, ["y_pred"])
    out = predictions[[c for c in predictions if not str(c).startswith(("low_", "high_"))]].reset_index(drop=True)
    true, predicted = (pd.Series(numbers(out, column)) for column in ("y_true", "y_pred"))
    study = out["dataset_id"].astype(str)
    means = pd.DataFrame({"true": true, "predicted": predicted}).groupby(study).transform("mean")
    x, y = true - means["true"], predicted - means["predicted"]
    squares = (x**2).groupby(study).sum()
    counts = study.value_counts().reindex(squares.index)
    common = float((x * y).sum() / (x**2).sum()) if (x**2).sum() > 0 else 0.0
    own = (x * y).groupby(study).sum() / squares.where(squares > 0)
    slopes = own.where((counts >= MIN_FOR_SLOPE) & own.notna(), common)
    slope = study.map(slopes).astype(float)
    return out.assign(gap=predicted - true, slope=slope, acceleration=y - slope * x)


def acceleration_contrast(
    table: pd.DataFrame,
    groups: pd.Series,
    strata: pd.Series,
    *,
    pair: tuple[str, str],
    min_per_group: int = 10,
    seed: int = 0,
    n_boot: int = 1000,
) -> pd.DataFrame:
    """Mean acceleration of one group minus that of another, within every stratum and over all.

    Parameters
    ----------
    table : DataFrame, one row per sample
        From `apparent_acceleration`.
    groups, strata : Series, indexed by sample
        Group of each sample (such as its sex) and stratum (such as its tissue); samples without one are left out.
    pair : (str, str)
        Groups: first minus second.
    min_per_group : int, default 10
        Samples of both groups that a stratum needs.
    seed, n_boot
        As in `score`; donors are resampled.

    Returns
    -------
    DataFrame, one row per stratum, then ``all strata``
        ``stratum, difference, ci_low, ci_high, n_samples``. ``all strata`` weighs each by n1 n2 / (n1 + n2), so it
        compares within strata only. Intervals hold the lines of the studies fixed; their number is not corrected for.
    """
    group = table["sample_id"].map(groups.astype(object))
    stratum = table["sample_id"].map(strata.astype(object))
    known = (group.isin(list(pair)) & stratum.notna()).to_numpy()
    used = table[known].reset_index(drop=True)
    first, names = (group[known] == pair[0]).to_numpy(), stratum[known].astype(str).to_numpy()
    sizes = pd.crosstab(names, first)
    large = sizes.index[sizes.min(axis=1) >= min_per_group] if sizes.shape[1] == 2 else []
    members = {str(s): names == s for s in large}
    if not members:
        return pd.DataFrame(columns=["stratum", "difference", "ci_low", "ci_high", "n_samples"])
    value = used["acceleration"].to_numpy(dtype=float)

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        differences, shares = {}, []
        for name, rows in members.items():
            a, b = weights * (rows & first), weights * (rows & ~first)
            n_a, n_b = a.sum(axis=1), b.sum(axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                differences[name] = (a @ value) / n_a - (b @ value) / n_b
                shares.append(np.nan_to_num(n_a * n_b / (n_a + n_b)))
        over_all = mean_of_defined(np.stack([*differences.values()]), np.stack(shares), axis=0)
        return differences | {"all strata": over_all}

    values, draws, df = bootstrap(measure, used, unit="donor_id", n_boot=n_boot, seed=seed)
    rows = []
    for name, difference in values.items():
        low, high, _ = t_interval(difference, draws[name], df[name])
        n = int(sum(m.sum() for m in members.values()) if name == "all strata" else members[name].sum())
        rows.append({"stratum": name, "difference": difference, "ci_low": low, "ci_high": high, "n_samples": n})
    return pd.DataFrame(rows)
