"""Records and paired differences as people read them: tables, single figures, verdicts in words."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from typing import Any

import pandas as pd

from srna_lib.metrics import compare, score


def score_all(predictions: pd.DataFrame, *, dataset: str, seed: int, n_boot: int) -> list[dict[str, Any]]:
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
        for record in score(part, dataset=dataset, seed=seed, n_boot=n_boot)
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
