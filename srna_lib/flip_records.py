"""Figures of stability as the records that `results.write_results` keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

Records = list[dict[str, Any]]


def of_classes(tables: Mapping[str, pd.DataFrame], head: Mapping[str, Any], scheme: str) -> Records:
    """Records of class tables: ``similarity:A>B`` (mean steps), ``similarity_median:A>B``, ``similarity_censored:A>B``.

    Parameters
    ----------
    tables : mapping
        Kind of steps -> table from `flip_tables.class_table`.
    head : mapping
        ``task, dataset, model, features, seed``.
    scheme : str
        Validation scheme.

    Returns
    -------
    list of dict
        A figure that does not exist (no path flips) is None.
    """
    records = []
    for kind, table in tables.items():
        for row in table.to_dict("records"):
            for name, column in ((kind, "mean"), (f"{kind}_median", "median"), (f"{kind}_censored", "censored")):
                metric = f"{name}:{row['own']}>{row['other']}"
                bounds = row[f"{column}_low"], row[f"{column}_high"]
                records.append(_record(head, scheme, metric, row[column], *bounds, row["n_samples"], row["n_datasets"]))
    return records


def of_orders(table: pd.DataFrame, flips: pd.DataFrame, head: Mapping[str, Any], scheme: str) -> Records:
    """Records of `flip_tables.order_table`: ``steps:<order>`` and ``steps_of_random:<order>``."""
    n = flips["sample_id"].nunique(), flips["dataset_id"].nunique()
    records = []
    for row in table.to_dict("records"):
        name = row["order"]
        records.append(_record(head, scheme, f"steps:{name}", row["mean"], row["mean_low"], row["mean_high"], *n))
        if "ratio" in row:
            bounds = row["ratio_low"], row["ratio_high"]
            records.append(_record(head, scheme, f"steps_of_random:{name}", row["ratio"], *bounds, *n))
    return records


def of_scores(table: pd.DataFrame, head: Mapping[str, Any], scheme: str) -> Records:
    """Records of `firmness.auroc_table`: ``auroc_wrong:<score>``."""
    return _rows(table, head, scheme, "auroc_wrong", "score", "auroc")


def of_combination(found: Mapping[str, Any], table: pd.DataFrame, head: Mapping[str, Any], scheme: str) -> Records:
    """Records of `firmness.combination`: AUROC without and with steps, and the paired difference."""
    n = len(table), table["dataset_id"].nunique()
    difference = found["difference"], found["ci_low"], found["ci_high"]
    return [
        _record(head, scheme, "auroc_wrong:confidence", found["base"], np.nan, np.nan, *n),
        _record(head, scheme, "auroc_wrong:confidence and steps", found["both"], np.nan, np.nan, *n),
        _record(head, scheme, "auroc_gain:steps", *difference, *n),
    ]


def of_changes(table: pd.DataFrame, head: Mapping[str, Any], scheme: str) -> Records:
    """Records of `model_stability.change_table`: ``changed:<source>``."""
    return _rows(table, head, scheme, "changed", "source", "changed")


def _rows(table: pd.DataFrame, head: Mapping[str, Any], scheme: str, metric: str, name: str, value: str) -> Records:
    columns = [name, value, "ci_low", "ci_high", "n_samples", "n_datasets"]
    rows = table[columns].itertuples(index=False, name=None)
    return [_record(head, scheme, f"{metric}:{first}", *rest) for first, *rest in rows]


def _record(
    head: Mapping[str, Any], scheme: str, metric: str, value: float, low: float, high: float, n: int, studies: int
) -> dict[str, Any]:
    return {
        **head,
        "scheme": scheme,
        "metric": metric,
        "value": _number(value),
        "ci_low": _number(low),
        "ci_high": _number(high),
        "n_samples": int(n),
        "n_datasets": int(studies),
    }


def _number(value: float) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
