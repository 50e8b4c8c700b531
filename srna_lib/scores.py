"""All figures of merit of classifiers in one go, over patients or over studies, and the verdict about a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from srna_lib import ranking_metrics
from srna_lib.confounding import NOT_PREDICTABLE, PREDICTABLE, gain_over_metadata
from srna_lib.out_of_fold import check_table
from srna_lib.resampling import UNITS, bootstrap, make_record

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
        measure = ranking_metrics.prepare(part, unit=unit, min_per_class=min_per_class)
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
