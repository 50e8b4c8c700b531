"""Is one model better than another: tests for overlapping folds and dependent samples, and their correction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from srna_lib import ranking_metrics, regression_metrics
from srna_lib.errors import InputError
from srna_lib.out_of_fold import check_table, same_rows
from srna_lib.resampling import Figures, Measure, bootstrap, unit_codes
from srna_lib.study_draws import interval

TESTS = {
    "corrected_t": "corrected resampled t-test over folds (Nadeau and Bengio 2003)",
    "bootstrap": "paired bootstrap over groups",
}
CORRECTIONS = {
    "holm": "Holm (family-wise error)",
    "bh": "Benjamini-Hochberg (false discovery rate)",
    "none": "none",
}
CLASS_METRICS = ("accuracy", "balanced_accuracy", *ranking_metrics.METRICS)
METRICS = (*CLASS_METRICS, *regression_metrics.METRICS)


class TTest(NamedTuple):
    """Outcome of a corrected t-test: mean difference, its interval, t, degrees of freedom, two-sided p-value."""

    difference: float
    ci_low: float
    ci_high: float
    t: float
    df: int
    p_value: float


def corrected_t_test(
    differences: np.ndarray, n_train: float | np.ndarray, n_test: float | np.ndarray, *, level: float = 0.95
) -> TTest:
    """Corrected resampled t-test of differences found in folds.

    The training sets of two folds share most of their samples, so the differences are not independent and the usual
    t-test finds too much. Nadeau and Bengio replace the variance of the mean, s²/J, by ``(1/J + n_test/n_train) s²``.

    Parameters
    ----------
    differences : ndarray, shape (n_folds,)
        First model minus second, one value per fold (of repeated cross-validation, per fold and repeat).
    n_train, n_test : float or ndarray, shape (n_folds,)
        Samples in training and in test; of unequal folds the means are taken.
    level : float, default 0.95
        Coverage of the interval.

    Returns
    -------
    TTest
        Where all folds agree exactly p is 1 if they agree on zero, else 0.

    Raises
    ------
    InputError
        Fewer than two folds, or values that are missing.

    References
    ----------
    Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52:239-281,
    doi:10.1023/A:1024068626366.
    """
    d = np.asarray(differences, dtype=float)
    if len(d) < 2 or not np.isfinite(d).all():
        raise InputError(
            f"corrected t-test: {np.isfinite(d).sum()} differences in {len(d)} folds; expected two or more."
        )
    df, mean = len(d) - 1, float(d.mean())
    ratio = float(np.mean(n_test)) / float(np.mean(n_train))
    error = float(np.sqrt((1 / len(d) + ratio) * d.var(ddof=1)))
    half = float(stats.t.ppf((1 + level) / 2, df)) * error
    if error <= 1e-12:
        t = 0.0 if abs(mean) <= 1e-12 else float(np.copysign(np.inf, mean))
    else:
        t = mean / error
    return TTest(mean, mean - half, mean + half, t, df, float(2 * stats.t.sf(abs(t), df)))


def bootstrap_p_value(draws: np.ndarray) -> float:
    """Two-sided p-value of "no difference" from bootstrap draws of a difference.

    Parameters
    ----------
    draws : ndarray, shape (n_boot,)
        Differences in the replicates; NaN are left out.

    Returns
    -------
    float
        Twice the smaller tail beyond zero, counted with one draw more (Davison and Hinkley 1997, section 4.2), so never
        below 2 / (n_boot + 1): the smallest level at which the percentile interval leaves zero out. NaN without draws.
    """
    draws = draws[~np.isnan(draws)]
    if not len(draws):
        return float("nan")
    tail = min((draws <= 0).sum(), (draws >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(draws) + 1)))


def adjust(p_values: Iterable[float], correction: str = "holm") -> np.ndarray:
    """Correct p-values for their number.

    Parameters
    ----------
    p_values : iterable of float
        Of one family of tests; NaN (a test that could not be made) stays and is not counted.
    correction : {"holm", "bh", "none"}, default "holm"
        ``"holm"``: the chance of any false finding (Holm 1979). ``"bh"``: the share of false ones among the findings
        (Benjamini and Hochberg 1995), for long lists such as one test per study or tissue.

    Returns
    -------
    ndarray, shape (n_tests,)
        Adjusted p-values, to be held against the level as they are.

    Raises
    ------
    InputError
        Unknown correction, or values outside 0 to 1.
    """
    p = np.asarray(list(p_values), dtype=float)
    if correction not in CORRECTIONS:
        raise InputError(f"correction={correction!r}: expected one of {', '.join(CORRECTIONS)}.")
    known = ~np.isnan(p)
    if ((p[known] < 0) | (p[known] > 1)).any():
        raise InputError(f"p-values from {np.nanmin(p):g} to {np.nanmax(p):g}: expected values from 0 to 1.")
    out = p.copy()
    if correction == "bh" and known.any():
        out[known] = stats.false_discovery_control(p[known], method="bh")
    elif correction == "holm":
        order = np.argsort(p[known], kind="stable")
        steps = np.minimum(1, p[known][order] * np.arange(len(order), 0, -1))
        adjusted = np.empty(len(order))
        adjusted[order] = np.maximum.accumulate(steps)
        out[known] = adjusted
    return out


def compare_pairs(
    predictions: pd.DataFrame,
    pairs: Iterable[tuple[str, str]],
    *,
    metric: str = "accuracy",
    test: str = "bootstrap",
    correction: str = "holm",
    by: str = "model",
    unit: str = "dataset_id",
    min_per_class: int = 5,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Paired comparison of pairs of models in every task and scheme, corrected for their number.

    Parameters
    ----------
    predictions : DataFrame
        Out-of-fold tables one below the other, in each the same samples.
    pairs : iterable of (str, str)
        First and second of each difference; pairs with one that was not run are left out.
    metric : str, default "accuracy"
        One of `METRICS`. The second half is for continuous targets.
    test : {"bootstrap", "corrected_t"}, default "bootstrap"
        ``"bootstrap"`` draws groups again and asks about the models as trained. ``"corrected_t"`` compares fold by fold
        and asks about the recipes, training included; a fold in which the metric is undefined is left out.
    correction : str, default "holm"
        As in `adjust`, over all rows of the answer.
    by : {"model", "features"}, default "model"
        Column that the names in `pairs` stand in: models, or feature sets of the same model.
    unit, min_per_class
        As in `ranking_metrics.score`; `unit` is of the bootstrap alone.
    n_boot, seed, level
        Replicates, seed, and coverage of the intervals (which are not corrected); ``1 - level`` is what the
        adjusted p-value is held against.

    Returns
    -------
    DataFrame, one row per task, scheme (of ``by="features"`` also model) and pair
        ``task, scheme, pair, first, second, metric, difference, ci_low, ci_high, p_value, p_adjusted, correction,
        n_comparisons, test, n_units`` (folds, or groups drawn), ``unit, n_samples, verdict``: ``above``, ``below`` or
        ``not distinguishable from``, by the adjusted p-value. Of errors (Brier score, log loss, MAE, RMSE) below is
        better.

    Raises
    ------
    InputError
        Unknown metric, test, correction or column, or no pair to compare.
    """
    for name, value, known in (("metric", metric, METRICS), ("test", test, TESTS), ("by", by, ("model", "features"))):
        if value not in known:
            raise InputError(f"{name}={value!r}: expected one of {', '.join(known)}.")
    keys = ["task", "scheme", *(["model"] if by == "features" else [])]
    rows, pairs = [], list(pairs)
    for key, part in predictions.groupby(keys, sort=False):
        of = dict(iter(part.groupby(by, sort=False)))
        for first, second in pairs:
            if not {first, second} <= set(of):
                continue
            check_table(of[first])
            check_table(of[second])
            a, b = same_rows(of[first], of[second])
            row = {**dict(zip(keys, key, strict=True)), "pair": f"{first} minus {second}", "first": first}
            row |= {"second": second, "metric": metric}
            if test == "corrected_t":
                row |= _by_fold(a, b, metric, min_per_class, level)
            else:
                row |= _by_group(a, b, metric, min_per_class, unit, n_boot, seed, level)
            rows.append(row | {"n_samples": a["sample_id"].nunique()})
    if not rows:
        raise InputError(f"no pair of {pairs} is in the column {by!r} of the table; expected two of its values.")
    table = pd.DataFrame(rows)
    table["p_adjusted"] = adjust(table["p_value"], correction)
    table["correction"] = CORRECTIONS[correction]
    table["n_comparisons"] = int(table["p_value"].notna().sum())
    found = table["p_adjusted"] < 1 - level
    table["verdict"] = "not distinguishable from"
    table.loc[found & (table["difference"] > 0), "verdict"] = "above"
    table.loc[found & (table["difference"] < 0), "verdict"] = "below"
    order = [*keys, "pair", "first", "second", "metric", "difference", "ci_low", "ci_high", "p_value", "p_adjusted"]
    order += ["correction", "n_comparisons", "test", "n_units", "unit", "n_samples", "verdict"]
    return table[order]


def fold_values(predictions: pd.DataFrame, metric: str, *, min_per_class: int = 5) -> pd.DataFrame:
    """Figure of one model in each fold.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table of one task, model and scheme.
    metric : str
        One of `METRICS`.
    min_per_class : int, default 5
        As in `ranking_metrics.score`.

    Returns
    -------
    DataFrame, one row per fold
        ``fold, n_train, n_test, value``; `n_train` counts the other samples of the table, so studies that
        are never tested are not in it. NaN where the fold lacks a class that the metric needs.
    """
    total, rows = predictions["sample_id"].nunique(), []
    for fold, part in predictions.groupby("fold", sort=True):
        value = _measure(part, metric, min_per_class, "dataset_id")(np.ones((1, len(part))))[metric][0]
        rows.append({"fold": fold, "n_train": total - len(part), "n_test": len(part), "value": float(value)})
    return pd.DataFrame(rows)


def _measure(table: pd.DataFrame, metric: str, min_per_class: int, unit: str) -> Measure:
    if metric in CLASS_METRICS:
        return ranking_metrics.prepare(table, min_per_class=min_per_class, unit=unit)
    return regression_metrics.prepare(table, unit=unit)


def _by_fold(a: pd.DataFrame, b: pd.DataFrame, metric: str, min_per_class: int, level: float) -> dict:
    one, two = (fold_values(t, metric, min_per_class=min_per_class) for t in (a, b))
    if list(one["fold"]) != list(two["fold"]) or (one["n_test"] != two["n_test"]).any():
        raise InputError("corrected t-test: the two models were run on different folds; expected the same.")
    d = (one["value"] - two["value"]).to_numpy()
    defined = ~np.isnan(d)
    row = {"test": TESTS["corrected_t"], "unit": "fold", "n_units": int(defined.sum())}
    if defined.sum() < 2:
        return row | dict.fromkeys(("difference", "ci_low", "ci_high", "p_value"), np.nan)
    outcome = corrected_t_test(d[defined], one["n_train"][defined], one["n_test"][defined], level=level)
    return row | {k: getattr(outcome, k) for k in ("difference", "ci_low", "ci_high", "p_value")}


def _by_group(
    a: pd.DataFrame, b: pd.DataFrame, metric: str, min_per_class: int, unit: str, n_boot: int, seed: int, level: float
) -> dict:
    one, two = (_measure(t, metric, min_per_class, unit) for t in (a, b))

    def measure(weights: np.ndarray) -> Figures:
        return {metric: one(weights)[metric] - two(weights)[metric]}

    values, draws = bootstrap(measure, a, unit=unit, n_boot=n_boot, seed=seed)
    low, high = interval(draws[metric], level)
    return {
        "difference": values[metric],
        "ci_low": low,
        "ci_high": high,
        "p_value": bootstrap_p_value(draws[metric]),
        "test": TESTS["bootstrap"],
        "n_units": len(unit_codes(a, unit)[1]),
        "unit": unit,
    }
