"""Apparent age acceleration."""

from __future__ import annotations

import numpy as np
import pandas as pd

from srna_lib.errors import InputError
from srna_lib.evaluate.bootstrap import bootstrap, study_interval
from srna_lib.evaluate.metrics import check_table


def apparent_acceleration(predictions: pd.DataFrame, *, min_per_dataset: int = 10) -> pd.DataFrame:
    """How much older or younger a sample looks than others of its age and study.

    Every regressor pulls its predictions to the mean, so the young look too old and the old too young, and a plain
    difference of predicted and true age is a function of age. What is left after a line through the samples of the
    study is not.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table of one model of age.
    min_per_dataset : int, default 10
        Samples of different ages that a study needs for a line of its own; smaller ones take the mean slope and the
        mean of their own.

    Returns
    -------
    DataFrame, one row per sample
        The columns of `predictions` but the intervals, with ``gap`` (predicted minus true age, years), ``slope``
        (years predicted per year lived in its study; 1 would be no regression to the mean) and ``acceleration``
        (predicted age minus the line of the study, years).

    Raises
    ------
    InputError
        Several models, or values that are no finite numbers.

    Notes
    -----
    The age residual of the literature on ageing clocks. It holds everything that shifts a profile: disease, cell
    composition, sample quality, batch. It measures no pace of ageing.
    """
    check_table(predictions, ["y_pred"])
    out = predictions[[c for c in predictions if not str(c).startswith(("low_", "high_"))]].reset_index(drop=True)
    true, predicted = out["y_true"].astype(float), out["y_pred"].astype(float)
    if not (np.isfinite(true).all() and np.isfinite(predicted).all()):
        raise InputError("out-of-fold table: ages are missing among y_true or y_pred; expected finite numbers.")
    study = out["dataset_id"].astype(str)
    means = pd.DataFrame({"true": true, "predicted": predicted}).groupby(study).transform("mean")
    x, y = true - means["true"], predicted - means["predicted"]
    squares = (x**2).groupby(study).sum()
    counts = study.value_counts().reindex(squares.index)
    common = float((x * y).sum() / (x**2).sum()) if (x**2).sum() > 0 else 0.0
    own = (x * y).groupby(study).sum() / squares.where(squares > 0)
    slopes = own.where((counts >= min_per_dataset) & own.notna(), common)
    slope = study.map(slopes).astype(float)
    return out.assign(gap=predicted - true, slope=slope, acceleration=y - slope * x)


def acceleration_contrast(
    table: pd.DataFrame,
    groups: pd.Series,
    strata: pd.Series,
    *,
    pair: tuple[str, str],
    unit: str = "donor_id",
    min_per_group: int = 10,
    seed: int = 0,
    n_boot: int = 1000,
    level: float = 0.95,
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
    unit, seed, n_boot, level
        As in `ranking_metrics.score`.
    min_per_group : int, default 10
        Samples of both groups that a stratum needs.

    Returns
    -------
    DataFrame, one row per stratum, then ``all strata``
        ``stratum, difference, ci_low, ci_high, n_samples``. ``all strata`` weighs each by n1 n2 / (n1 + n2), so it
        compares within strata only. Empty where no stratum is large enough. Intervals hold the lines of the studies
        fixed and are not corrected for their number.
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
        figures, total, mass = {}, np.zeros(len(weights)), np.zeros(len(weights))
        for name, rows in members.items():
            a, b = weights * (rows & first), weights * (rows & ~first)
            n_a, n_b = a.sum(axis=1), b.sum(axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                figures[name] = (a @ value) / n_a - (b @ value) / n_b
                share = n_a * n_b / (n_a + n_b)
            defined = np.isfinite(figures[name])
            total += np.where(defined, share * figures[name], 0)
            mass += np.where(defined, share, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return figures | {"all strata": total / mass}

    values, draws = bootstrap(measure, used, unit=unit, n_boot=n_boot, seed=seed)
    rows = []
    for name, difference in values.items():
        low, high = study_interval(draws[name], level)
        n = int(sum(m.sum() for m in members.values()) if name == "all strata" else members[name].sum())
        rows.append({"stratum": name, "difference": difference, "ci_low": low, "ci_high": high, "n_samples": n})
    return pd.DataFrame(rows)
