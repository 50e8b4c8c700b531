"""Is one model better than another: paired tests and verdicts, and tables of scores that people read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from srna_lib.errors import InputError, one_of
from srna_lib.evaluate.bootstrap import UNITS, Key, bootstrap, t_interval, unit_codes
from srna_lib.evaluate.metrics import IDENTITY, prepare, same_rows

TESTS = {
    "corrected_t": "corrected resampled t-test over folds (Nadeau and Bengio 2003)",
    "bootstrap": "paired bootstrap over groups",
}
CORRECTIONS = {"holm": "Holm (family-wise error)", "none": "none"}
COMPARED = ["pair", "first", "second", "metric", "value_first", "value_second", "difference", "ci_low", "ci_high"]
COMPARED += ["p_value", "p_adjusted", "correction", "n_comparisons", "test", "n_units", "unit", "n_samples"]
COMPARED += ["n_datasets", "verdict"]
LEVEL = 0.95
UNDECIDED = "not distinguishable from"


def compare(
    table: pd.DataFrame,
    pairs: Iterable[tuple[str, str]],
    *,
    metric: str | Sequence[str] = "accuracy",
    test: str = "bootstrap",
    correction: str = "holm",
    by: str = "model",
    unit: str | Sequence[str] = "dataset_id",
    n_boot: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare models in pairs, on the same samples, in every task and scheme of a table.

    Parameters
    ----------
    table : DataFrame, one row per model and sample
        From `cross_validate`.
    pairs : iterable of (str, str)
        First and second of each difference; pairs with one that was not run are left out. Of no pairs an empty table.
    metric : str or sequence of str, default "accuracy"
        As in `score`. Of errors (Brier score, log loss, MAE, RMSE) below is better.
    test : {"bootstrap", "corrected_t"}, default "bootstrap"
        ``"bootstrap"`` resamples studies (or donors) and asks about the models as trained. ``"corrected_t"`` compares
        fold by fold and asks about the recipes, training included; a fold in which the metric is undefined is left out.
    correction : {"holm", "none"}, default "holm"
        Of the p-values, for their number, over all rows of the answer (Holm 1979).
    by : {"model", "features"}, default "model"
        Column that the names in `pairs` stand in: models, or feature sets of the same model.
    unit : str or sequence of str, default "dataset_id"
        What the bootstrap resamples, as in `score`.
    n_boot, seed
        As in `score`.

    Returns
    -------
    DataFrame, one row per task, scheme (of ``by="features"`` also model), pair, unit and metric
        ``task, scheme, pair, first, second, metric, value_first, value_second, difference`` (first minus second),
        ``ci_low, ci_high`` (95 %), ``p_value, p_adjusted, correction, n_comparisons, test, n_units`` (folds, or groups
        resampled), ``unit, n_samples, n_datasets, verdict``: ``above``, ``below`` or ``not distinguishable from``, by
        the adjusted p-value at .05.

    Raises
    ------
    InputError
        Unknown metric, test, correction or column, no pair to compare, or models that predicted different samples.

    Notes
    -----
    Interval and p-value of the bootstrap are those of its standard error and t of the effective number of studies, as
    in `score`. The t-test is that of Nadeau and Bengio (2003), doi:10.1023/A:1024068626366.

    Examples
    --------
    >>> import srna_lib as srna
    >>> task = srna.make_task(srna.load("demo"), "tissue_group")
    >>> table = srna.cross_validate(task, ["logistic", "dummy"], n_splits=3, progress=False)
    >>> srna.compare(table, [("logistic", "dummy")])["verdict"].tolist()
    ['above']
    """
    for name, value, known in (("test", test, TESTS), ("correction", correction, CORRECTIONS), ("by", by, IDENTITY)):
        one_of(name, value, known)
    metrics = [metric] if isinstance(metric, str) else list(metric)
    units = [unit] if isinstance(unit, str) else list(unit)
    keys = ["task", "scheme", *(["model"] if by == "features" else [])]
    rows, pairs = [], list(pairs)
    for key, run in table.groupby(keys, sort=False):
        tables = dict(iter(run.groupby(by, sort=False)))
        for first, second in (p for p in pairs if set(p) <= set(tables)):
            a, b = same_rows(tables[first], tables[second])
            head = {**dict(zip(keys, key, strict=True)), "pair": f"{first} minus {second}"}
            head |= {"first": first, "second": second}
            head |= {"n_samples": a["sample_id"].nunique(), "n_datasets": a["dataset_id"].nunique()}
            if test == "corrected_t":
                rows += [head | _by_fold(a, b, m) for m in metrics]
            else:
                rows += [head | row for one in units for row in _by_group(a, b, metrics, one, n_boot, seed)]
    if not rows and pairs:
        raise InputError(f"no pair of {pairs} is in the column {by!r} of the table; expected two of its values.")
    out = pd.DataFrame(rows)
    if not rows:
        return out.reindex(columns=[*keys, *COMPARED])
    out["p_adjusted"] = holm(out["p_value"]) if correction == "holm" else out["p_value"]
    out["correction"] = CORRECTIONS[correction]
    out["n_comparisons"] = int(out["p_value"].notna().sum())
    settled = out["p_adjusted"] < 1 - LEVEL
    above, below = settled & (out["difference"] > 0), settled & (out["difference"] < 0)
    out["verdict"] = np.select([above, below], ["above", "below"], UNDECIDED)
    return out[[*keys, *COMPARED]]


def _by_group(
    a: pd.DataFrame, b: pd.DataFrame, metrics: Sequence[str], unit: str, n_boot: int, seed: int
) -> list[dict[str, Any]]:
    """Paired bootstrap: both models are measured on the same replicates."""
    one, two = prepare(a, metrics, unit), prepare(b, metrics, unit)

    def measure(weights: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        sides = {"value_first": one(weights), "value_second": two(weights)}
        values = {(m, name): side[Key(m)] for name, side in sides.items() for m in metrics}
        return values | {(m, "difference"): values[m, "value_first"] - values[m, "value_second"] for m in metrics}

    values, draws, df = bootstrap(measure, a, unit=unit, n_boot=n_boot, seed=seed)
    n_units, rows = len(unit_codes(a, unit)[1]), []
    about = {"test": TESTS["bootstrap"], "n_units": n_units, "unit": unit}
    for m in metrics:
        key = (m, "difference")
        low, high, p_value = t_interval(values[key], draws[key], df[key], LEVEL)
        if n_units < 2:  # one study cannot say how studies vary
            low, high, p_value = (np.nan,) * 3
        row = {"metric": m, "ci_low": low, "ci_high": high, "p_value": p_value}
        rows.append(about | row | {name: values[m, name] for name in ("value_first", "value_second", "difference")})
    return rows


def _by_fold(a: pd.DataFrame, b: pd.DataFrame, metric: str) -> dict[str, Any]:
    """Corrected t-test over the folds in which the metric is defined for both."""
    one, two = fold_values(a, metric), fold_values(b, metric)
    if list(one["fold"]) != list(two["fold"]) or (one["n_test"] != two["n_test"]).any():
        raise InputError("corrected t-test: the two models were run on different folds; expected the same.")
    both = (one["value"] - two["value"]).notna()
    one, two = one[both], two[both]
    row = {"metric": metric, "test": TESTS["corrected_t"], "unit": "fold", "n_units": len(one)}
    row |= {"value_first": one["value"].mean(), "value_second": two["value"].mean()}
    return row | corrected_t_test((one["value"] - two["value"]).to_numpy(), one["n_train"], one["n_test"])


def fold_values(predictions: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Metric of one model in each fold, NaN where it is undefined; `n_train` counts the other samples of the table."""
    total, rows = predictions["sample_id"].nunique(), []
    for fold, run in predictions.groupby("fold", sort=True):
        value = float(prepare(run, [metric])(np.ones((1, len(run))))[Key(metric)][0])
        rows.append({"fold": fold, "n_train": total - len(run), "n_test": len(run), "value": value})
    return pd.DataFrame(rows)


def corrected_t_test(
    differences: np.ndarray, n_train: float | np.ndarray, n_test: float | np.ndarray
) -> dict[str, float]:
    """Corrected resampled t-test of differences found in folds, whose sizes are averaged; NaN of one fold."""
    n = len(differences)
    if n < 2:
        return dict.fromkeys(("difference", "ci_low", "ci_high", "p_value"), np.nan)
    mean, ratio = float(differences.mean()), float(np.mean(n_test)) / float(np.mean(n_train))
    # training sets share most of their samples: Nadeau and Bengio put (1/J + n_test/n_train) s² in the place of s²/J
    error = max(float(np.sqrt((1 / n + ratio) * differences.var(ddof=1))), 1e-12)  # above rounding
    low, high = stats.t.interval(LEVEL, n - 1, loc=mean, scale=error)
    p_value = float(2 * stats.t.sf(abs(mean) / error, n - 1))
    return {"difference": mean, "ci_low": float(low), "ci_high": float(high), "p_value": p_value}


def holm(p_values: Iterable[float]) -> np.ndarray:
    """p-values corrected for their number (Holm 1979); NaN, a test that could not be made, stays and is not counted."""
    p = np.asarray(list(p_values), dtype=float)
    order = np.argsort(p, kind="stable")[: int((~np.isnan(p)).sum())]
    out = p.copy()
    out[order] = np.maximum.accumulate(np.minimum(1, p[order] * np.arange(len(order), 0, -1)))
    return out


def find(scores: pd.DataFrame, model: str, metric: str = "accuracy", **fields: Any) -> pd.Series:
    """Pick one row of scores, of all classes and studies pooled where `fields` name none; of several units the first.

    Of a model that was not run its values are NaN. Raises `KeyError` when there is no such row, or more than one.
    """
    if model not in set(scores["model"]):
        return pd.Series({"model": model, "metric": metric}, index=scores.columns, dtype=object).fillna(np.nan)
    wanted = {"model": model, "metric": metric, **fields}
    rows = scores
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    for column in {"class", "study"} - set(fields):
        rows = rows[rows[column].isna()]
    rows = rows.drop_duplicates([*IDENTITY, "dataset"])
    if len(rows) != 1:
        raise KeyError(f"{len(rows)} scores have {wanted}; expected one")
    return rows.iloc[0]


def best(scores: pd.DataFrame, metric: str = "accuracy") -> pd.Series:
    """Pick the row with the highest value of a metric, over all classes and studies."""
    rows = scores[(scores["metric"] == metric) & scores["class"].isna() & scores["study"].isna()]
    rows = rows[rows["value"].notna()]
    if rows.empty:
        raise InputError(f"scores: no {metric!r} has a value; expected at least one.")
    return rows.iloc[int(rows["value"].to_numpy().argmax())]


def percent(row: Mapping[str, Any] | pd.Series) -> str:
    """Value and interval in percent, such as ``81.6% [75.0%, 87.1%]``."""
    return f"{row['value']:.1%} [{row['ci_low']:.1%}, {row['ci_high']:.1%}]"


def scores_table(
    scores: pd.DataFrame, metrics: Sequence[str] | None = None, labels: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Scores as people read them: a row per model, a column per metric (and per scheme and unit, if several).

    Parameters
    ----------
    scores : DataFrame
        From `score`; rows of single classes and studies are left out.
    metrics : sequence of str, optional
        Which, in this order; default all.
    labels : mapping, optional
        Metric, scheme or unit -> printed name.

    Returns
    -------
    DataFrame of str
        Cells ``value [low, high]``; empty where the value is undefined.
    """
    rows = scores[scores["class"].isna() & scores["study"].isna()]
    if metrics is not None:
        rows = pd.concat([rows[rows["metric"] == metric] for metric in metrics])
    if rows.empty:
        return pd.DataFrame({"": ["no score in this run"]})
    cells = [_cell(*ends) for ends in rows[["value", "ci_low", "ci_high"]].astype(float).to_numpy()]
    names = {unit: f"over {text.split(',')[0]}" for unit, text in UNITS.items()} | dict(labels or {})
    text = rows.assign(cell=cells).replace({c: names for c in ("scheme", "metric", "unit")})
    index = [c for c in ("task", "model") if c == "model" or rows[c].nunique() > 1]
    columns = [c for c in ("scheme", "metric", "unit") if c == "metric" or rows[c].nunique() > 1]
    return text.pivot_table(index=index, columns=columns, values="cell", aggfunc="first", sort=False).fillna("")


def _cell(value: float, low: float, high: float) -> str:
    """A value with its interval, as far as they are known."""
    if np.isnan(value):
        return ""
    return f"{value:.3f}" + ("" if np.isnan(low) else f" [{low:.3f}, {high:.3f}]")


def pairs_table(tests: pd.DataFrame, by: Sequence[str] = ("pair",)) -> pd.DataFrame:
    """Paired comparisons as people read them: a row per pair, or what `by` names, and every test side by side.

    `tests` come from `compare`, of one or several tests below each other. Cells are text: per test ``difference`` with
    its uncorrected interval, ``p`` (adjusted) and ``verdict``.
    """
    if tests.empty:
        return pd.DataFrame({"": ["no pair in this run"]})
    ends = zip(tests["difference"], tests["ci_low"], tests["ci_high"], strict=True)
    text = tests[list(by)].assign(
        test=tests["test"].str.split(r" \(| over", regex=True).str[0],
        difference=["" if pd.isna(d) else f"{d:+.3f} [{low:+.3f}, {high:+.3f}]" for d, low, high in ends],
        p=["" if pd.isna(p) else f"{p:.2g}" for p in tests["p_adjusted"]],
        verdict=tests["verdict"].replace(UNDECIDED, "undecided"),
    )
    columns = ["difference", "p", "verdict"]
    table = text.pivot_table(index=list(by), columns="test", values=columns, aggfunc="first", sort=False)
    return table.swaplevel(axis=1)[[(t, c) for t in text["test"].unique() for c in columns]].rename_axis(
        columns=[None, None]
    )


def paper_results(task: str) -> pd.DataFrame:
    """The paper's ``task, scheme, min_class_size, features, model, metric, value`` (0 to 1) of a label."""
    path = resources.files("srna_lib").joinpath("resources/paper_results.tsv")
    table = pd.read_csv(str(path), sep="\t", comment="#", dtype={"min_class_size": "Int64"})
    return table[table["task"] == task].reset_index(drop=True)


def beside_paper(task: str, scores: pd.DataFrame, name: str, labels: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The paper's results beside ours, where both know the same models, schemes or features.

    `name` is a format string over the columns that both share, e.g. ``"{model}, {scheme}"``; it becomes ``quantity``.
    ``source`` is ``paper``, or what `scores` say there; `labels` gives printed names.
    """
    shared = [field for _, field, _, _ in Formatter().parse(name) if field]
    paper = paper_results(task).assign(source="paper")
    for column in shared:
        common = set(paper[column]) & set(scores[column])
        paper, scores = (table[table[column].isin(common)] for table in (paper, scores))
    both = pd.concat([paper, scores], ignore_index=True)
    named = both[shared].astype(object).replace(dict(labels or {}))
    return both.assign(quantity=[name.format_map(row) for row in named.to_dict("records")])
