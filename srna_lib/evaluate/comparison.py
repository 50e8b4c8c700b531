"""Is one model better than another: paired tests, tables of records, verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from srna_lib.errors import InputError
from srna_lib.evaluate.bootstrap import UNITS, Figures, Measure, bootstrap, make_record, study_interval, unit_codes
from srna_lib.evaluate.controls import NOT_PREDICTABLE, PREDICTABLE, gain_over_metadata
from srna_lib.evaluate.metrics import (
    QUANTITY_METRICS,
    RANKING_METRICS,
    check_table,
    compare,
    prepare_quantity,
    prepare_ranking,
    same_rows,
    score_classes,
)

TESTS = {
    "corrected_t": "corrected resampled t-test over folds (Nadeau and Bengio 2003)",
    "bootstrap": "paired bootstrap over groups",
}
CORRECTIONS = {
    "holm": "Holm (family-wise error)",
    "bh": "Benjamini-Hochberg (false discovery rate)",
    "none": "none",
}
CLASS_METRICS = ("accuracy", "balanced_accuracy", *RANKING_METRICS)
TESTED_METRICS = (*CLASS_METRICS, *QUANTITY_METRICS)


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
    for name, value, known in (
        ("metric", metric, TESTED_METRICS),
        ("test", test, TESTS),
        ("by", by, ("model", "features")),
    ):
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
        return prepare_ranking(table, min_per_class=min_per_class, unit=unit)
    return prepare_quantity(table, unit=unit)


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
    low, high = study_interval(draws[metric], level)
    return {
        "difference": values[metric],
        "ci_low": low,
        "ci_high": high,
        "p_value": bootstrap_p_value(draws[metric]),
        "test": TESTS["bootstrap"],
        "n_units": len(unit_codes(a, unit)[1]),
        "unit": unit,
    }


def class_records(predictions: pd.DataFrame, *, dataset: str, seed: int, n_boot: int) -> list[dict[str, Any]]:
    """Records of every task, model and scheme in a table, in order of appearance.

    Parameters
    ----------
    predictions : DataFrame
        Out-of-fold tables one below the other.
    dataset, seed, n_boot
        As in `metrics.score`.

    Returns
    -------
    list of dict
    """
    keys = ["task", "scheme", "model"]
    return [
        record
        for _, part in predictions.groupby(keys, sort=False)
        for record in score_classes(part, dataset=dataset, seed=seed, n_boot=n_boot)
    ]


def find(records: list[dict[str, Any]], model: str, metric: str = "accuracy", **fields: Any) -> dict[str, Any]:
    """Pick one record.

    Parameters
    ----------
    records : list of dict
        From `score_all`.
    model, metric : str
        Which one.
    **fields
        Further fields that must agree, such as ``task`` or ``scheme``.

    Returns
    -------
    dict

    Raises
    ------
    KeyError
        When there is none, or more than one.
    """
    wanted = {"model": model, "metric": metric, **fields}
    found = [r for r in records if all(r[k] == v for k, v in wanted.items())]
    if len(found) != 1:
        raise KeyError(f"{len(found)} records have {wanted}; expected one")
    return found[0]


def best(records: list[dict[str, Any]], metric: str = "accuracy") -> dict[str, Any]:
    """Pick the record with the highest value of a metric.

    Parameters
    ----------
    records : list of dict
        From `score_all`.
    metric : str, default "accuracy"
        The metric.
    """
    return max((r for r in records if r["metric"] == metric), key=lambda r: r["value"])


def percent(record: dict[str, Any]) -> str:
    """Value and interval of a record in percent, such as ``81.6% [75.0%, 87.1%]``."""
    return f"{record['value']:.1%} [{record['ci_low']:.1%}, {record['ci_high']:.1%}]"


def records_table(records: list[dict[str, Any]], metrics: Iterable[str]) -> pd.DataFrame:
    """Records as a table that people read: a row per model, a column per scheme and metric.

    Parameters
    ----------
    records : list of dict
        From `score_all`, of one task.
    metrics : iterable of str
        Metrics to show.

    Returns
    -------
    DataFrame of str
        Cells ``value [ci_low, ci_high]``.
    """
    frame = pd.DataFrame(records)
    frame = frame[frame["metric"].isin(list(metrics))]
    text = frame.assign(
        cell=[
            f"{v:.3f} [{low:.3f}, {high:.3f}]"
            for v, low, high in zip(frame["value"], frame["ci_low"], frame["ci_high"], strict=True)
        ]
    )
    models, schemes = frame["model"].unique(), frame["scheme"].unique()
    table = text.pivot(index="model", columns=["scheme", "metric"], values="cell")
    return table.reindex(index=models, columns=[(s, m) for s in schemes for m in metrics])


def accuracy_gaps(
    tables: Iterable[pd.DataFrame], pairs: Iterable[tuple[str, str]], *, seed: int = 0, n_boot: int = 1000
) -> pd.DataFrame:
    """Paired differences in accuracy of pairs of models, in each scheme.

    Parameters
    ----------
    tables : iterable of DataFrame
        Out-of-fold tables, one per scheme, each sample once per model (of repeated folds the first).
    pairs : iterable of (str, str)
        First and second model of each difference; pairs with a model that was not run are left out.
    seed, n_boot
        As in `metrics.compare`.

    Returns
    -------
    DataFrame, one row per pair and scheme
        As from `metrics.compare`, with ``pair``, ``points`` (text, in percentage points) and ``verdict``:
        ``above``, ``below`` or ``not distinguishable from``, by whether the interval excludes zero.
    """
    rows = []
    for table in tables:
        of = dict(iter(table.groupby("model")))
        rows += [compare(of[a], of[b], seed=seed, n_boot=n_boot) for a, b in pairs if {a, b} <= set(of)]
    gaps = pd.concat(rows, ignore_index=True).query("metric == 'accuracy'").reset_index(drop=True)
    gaps["pair"] = gaps["first"] + " minus " + gaps["second"]
    values = zip(gaps["difference"], gaps["ci_low"], gaps["ci_high"], strict=True)
    gaps["points"] = [f"{100 * d:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]" for d, low, high in values]
    gaps["verdict"] = "not distinguishable from"
    gaps.loc[gaps["ci_low"] > 0, "verdict"] = "above"
    gaps.loc[gaps["ci_high"] < 0, "verdict"] = "below"
    return gaps


def paper_results(task: str) -> pd.DataFrame:
    """Published figures of the reference paper.

    Parameters
    ----------
    task : str
        ``"tissue_group"``, ``"sex"``, ``"age_2"`` or ``"age_4"`` (age in so many intervals).

    Returns
    -------
    DataFrame
        ``task, scheme, min_class_size, features, model, metric, value`` (value from 0 to 1).
    """
    path = resources.files("srna_lib").joinpath("resources/paper_results.tsv")
    table = pd.read_csv(str(path), sep="\t", comment="#", dtype={"min_class_size": "Int64"})
    return table[table["task"] == task].reset_index(drop=True)


FIGURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC, pooled",
    "auc_within": "AUC, mean within data sets",
    "brier": "Brier score",
    "log_loss": "log loss",
}


def score_all(
    predictions: pd.DataFrame,
    *,
    dataset: str,
    unit: str = "dataset_id",
    seed: int = 0,
    n_boot: int = 1000,
    min_per_class: int = 5,
    per_dataset: bool = False,
    suffix: str = "",
) -> list[dict[str, Any]]:
    """Records of every task, feature set, scheme and model in a table, in order of appearance.

    Parameters
    ----------
    predictions : DataFrame
        Out-of-fold tables with probabilities, one below the other.
    dataset, unit, seed, n_boot, min_per_class, per_dataset
        As in `ranking_metrics.score`.
    suffix : str, default ""
        Appended to the names of the metrics, to tell intervals over one unit from those over another.

    Returns
    -------
    list of dict
        Records of `FIGURES`, and of the AUC of every study as ``auc:<study>`` where `per_dataset`.
    """
    records = []
    for _, part in predictions.groupby(["task", "features", "scheme", "model"], sort=False):
        check_table(part, ["y_pred"])
        measure = prepare_ranking(part, unit=unit, min_per_class=min_per_class)
        values, draws = bootstrap(measure, part, unit=unit, n_boot=n_boot, seed=seed)
        studies = part["dataset_id"].astype(str)
        counting = {m.partition(":")[2] for m in values if m.startswith("auc:")}
        for metric, value in values.items():
            about, drawn = part, draws[metric]
            if metric.startswith("auc:"):
                if not per_dataset:
                    continue
                about = part[studies == metric.partition(":")[2]]
            elif metric == "auc_within" and counting:
                about = part[studies.isin(counting)]
            elif metric not in FIGURES:
                continue
            if unit == "dataset_id" and about["dataset_id"].nunique() < 2:
                drawn = drawn[:0]  # one study cannot say how studies vary
            record = make_record(about, metric + suffix, value, drawn, dataset=dataset, seed=seed)
            if metric == "auc_within" and not counting:
                record |= {"n_samples": 0, "n_datasets": 0}
            records.append(record)
    return records


def figures_table(
    predictions: pd.DataFrame,
    *,
    dataset: str,
    metrics: Sequence[str] = ("accuracy", "balanced_accuracy", "auc", "auc_within"),
    units: Sequence[str] = ("donor_id", "dataset_id"),
    seed: int = 0,
    n_boot: int = 1000,
    min_per_class: int = 5,
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Compare models in one table, every figure with its interval over each kind of unit.

    Parameters
    ----------
    predictions : DataFrame
        Out-of-fold tables of one task and scheme.
    dataset, seed, n_boot, min_per_class
        As in `score_all`.
    metrics : sequence of str
        Figures to show.
    units : sequence of str, default ("donor_id", "dataset_id")
        Units, of `resampling.UNITS`. The first one's records keep their plain names; the others' end in
        ``, <units> drawn``.

    Returns
    -------
    table : DataFrame, one row per model
        Per figure a column ``value``, and one per unit with the 95 % interval, as text.
    records : list of dict
        Of all units.
    """
    records: list[dict[str, Any]] = []
    cells: dict[str, dict[tuple[str, str], str]] = {}
    for i, unit in enumerate(units):
        drawn = UNITS[unit].split(",")[0]
        suffix = f", {drawn} drawn" if i else ""
        own = score_all(
            predictions,
            dataset=dataset,
            unit=unit,
            seed=seed,
            n_boot=n_boot,
            min_per_class=min_per_class,
            per_dataset=not i,
            suffix=suffix,
        )
        records += own
        for r in own:
            metric = r["metric"].removesuffix(suffix)
            if metric in metrics:
                row = cells.setdefault(r["model"], {})
                row[FIGURES[metric], "value"] = "" if r["value"] is None else _short(r["value"])
                ends = "" if r["ci_low"] is None else f"{_short(r['ci_low'])} to {_short(r['ci_high'])}"
                row[FIGURES[metric], drawn] = ends
    table = pd.DataFrame({m: pd.Series(row) for m, row in cells.items()}).T.rename_axis("model")
    order = [(FIGURES[m], c) for m in metrics for c in ("value", *(UNITS[u].split(",")[0] for u in units))]
    return table[order], records


def pairs_table(tests: pd.DataFrame, by: Sequence[str] = ("pair",)) -> pd.DataFrame:
    """Paired comparisons as people read them: a row per pair, difference and verdict of every test side by side.

    Parameters
    ----------
    tests : DataFrame
        From `significance.compare_pairs`, of one or several tests below each other.
    by : sequence of str, default ("pair",)
        Columns that name a row.

    Returns
    -------
    DataFrame of str
        Per test ``difference`` with its uncorrected interval, ``p`` (adjusted) and ``verdict``.
    """
    kind = tests["test"].str.split(r" \(| over", regex=True).str[0]
    ends = zip(tests["difference"], tests["ci_low"], tests["ci_high"], strict=True)
    text = pd.DataFrame(
        {
            **{c: tests[c] for c in by},
            "test": kind,
            "difference": ["" if pd.isna(d) else f"{d:+.3f} [{low:+.3f}, {high:+.3f}]" for d, low, high in ends],
            "p": ["" if pd.isna(p) else f"{p:.2g}" for p in tests["p_adjusted"]],
            "verdict": tests["verdict"].replace("not distinguishable from", "undecided"),
        }
    )
    table = text.pivot(index=list(by), columns="test", values=["difference", "p", "verdict"]).swaplevel(axis=1)
    rows = pd.MultiIndex.from_frame(text[list(by)]).unique() if len(by) > 1 else text[by[0]].unique()
    wanted = [(test, c) for test in kind.unique() for c in ("difference", "p", "verdict")]
    return table.reindex(index=rows, columns=wanted).rename_axis(columns=[None, None])


def judge(
    predictions: pd.DataFrame,
    metadata: pd.DataFrame,
    *,
    dataset: str,
    metrics: Sequence[str] = ("auc", "auc_within"),
    units: Sequence[str] = ("donor_id", "dataset_id"),
    seed: int = 0,
    n_boot: int = 1000,
) -> tuple[pd.DataFrame, str, list[dict[str, Any]]]:
    """Decide whether a task is predictable: every gain over the metadata must lie above zero, over every unit.

    Parameters
    ----------
    predictions, metadata, dataset, metrics, seed, n_boot
        As in `confounding.gain_over_metadata`.
    units : sequence of str
        What is drawn again, one after the other.

    Returns
    -------
    table : DataFrame, one row per figure and unit
        As from `gain_over_metadata`, with ``difference`` (the gain) and ``row`` (name of the row in a figure).
    verdict : str
        `confounding.PREDICTABLE` or `confounding.NOT_PREDICTABLE`.
    records : list of dict
        The gains, and one record ``verdict: <verdict>`` whose value is the gain with the lowest lower end.
    """
    tables, records = [], []
    for i, unit in enumerate(units):
        table, own = gain_over_metadata(
            predictions, metadata, dataset=dataset, metrics=metrics, unit=unit, seed=seed, n_boot=n_boot
        )
        tables.append(table)
        drawn = UNITS[unit].split(",")[0]
        records += [r | {"metric": r["metric"] + (f", {drawn} drawn" if i else "")} for r in own]
    table = pd.concat(tables, ignore_index=True).assign(difference=lambda t: t["gain"])
    table["row"] = [
        f"{FIGURES.get(m, m)}; {UNITS[u].split(',')[0]} drawn"
        for m, u in zip(table["metric"], table["unit"], strict=True)
    ]
    verdict = PREDICTABLE if (table["verdict"] == PREDICTABLE).all() else NOT_PREDICTABLE
    weakest = min(records, key=lambda r: float("-inf") if r["ci_low"] is None else r["ci_low"])
    return table, verdict, [*records, weakest | {"metric": f"verdict: {verdict}"}]


def _short(value: float) -> str:
    """Three decimals, without the zero before the point."""
    return f"{value:.3f}".replace("0.", ".", 1)
