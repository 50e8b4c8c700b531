"""Figures of model performance: result records and other tidy tables in, ``go.Figure`` out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from srna_lib.errors import InputError
from srna_lib.plots_base import (
    as_table,
    decorate,
    is_share,
    panel_titles,
    printed,
    safe,
    styles,
)
from srna_lib.plots_base import caption as caption
from srna_lib.plots_base import setup as setup
from srna_lib.plots_predictions import confusion as confusion
from srna_lib.plots_predictions import per_study as per_study

Records: TypeAlias = Sequence[Mapping[str, Any]] | pd.DataFrame


def metric_bars(
    records: Records,
    x: str = "model",
    color: str = "scheme",
    metric: str | Sequence[str] = "accuracy",
    *,
    title: str = "",
    caption: str = "",
    labels: Mapping[str, str] | None = None,
) -> go.Figure:
    """Draw values with their intervals as dots, side by side for each colour; one panel for each metric.

    Dots and not bars: the axis need not start at zero, and the interval is what decides.

    Parameters
    ----------
    records : list of dict or DataFrame
        Result records (``metric, value, ci_low, ci_high`` and the columns named by `x` and `color`).
    x, color : str, default "model" and "scheme"
        What stands on the axis, in order of appearance, and what is coloured.
    metric : str or sequence of str, default "accuracy"
        Metrics to draw, at least one of them in the records.
    title, caption : str
        Plain text; see `plots_base.caption`.
    labels : mapping, optional
        Value, metric or column name -> printed name.

    Returns
    -------
    Figure
        One trace per panel and colour.

    Raises
    ------
    InputError
        Missing columns or metrics.
    """
    table = as_table(records, [x, color, "metric", "value", "ci_low", "ci_high"])
    metrics = [metric] if isinstance(metric, str) else list(metric)
    absent = [m for m in metrics if m not in set(table["metric"])]
    if absent:
        found = ", ".join(map(str, table["metric"].unique()))
        raise InputError(f"records: the metric {', '.join(absent)} is missing (found: {found}).")
    table = table[table["metric"].isin(metrics)]
    fig = make_subplots(1, len(metrics), shared_yaxes=True, horizontal_spacing=0.03)
    look = styles(table[color])
    order = [printed(v, labels) for v in dict.fromkeys(table[x])]
    for col, one in enumerate(metrics, 1):
        for group in dict.fromkeys(table[color]):
            part = table[(table["metric"] == one) & (table[color] == group)]
            at = [printed(v, labels) for v in part[x]]
            trace = _dots(part, at, part["value"], "y", look[str(group)], size=11 if len(metrics) == 1 else 9)
            trace.update(name=printed(group, labels), legendgroup=str(group), offsetgroup=str(group))
            fig.add_trace(trace.update(showlegend=col == 1), 1, col)
    fig.update_xaxes(categoryorder="array", categoryarray=order, title_text=printed(x, labels))
    share = is_share(table["value"])
    fig.update_yaxes(tickformat=".0%" if share else "", range=_limits(table))
    what = printed(metrics[0], labels) if len(metrics) == 1 else "value"
    fig.update_yaxes(title_text=f"{what} (%)" if share else what, row=1, col=1)
    fig.update_layout(scattermode="group", scattergap=0.35, legend_title_text=printed(color, labels))
    if len(metrics) > 1:
        panel_titles(fig, [(labels or {}).get(m, m) for m in metrics])
    return decorate(fig, title, caption, height=380, panels=len(metrics) > 1)


def per_class(
    records: Records,
    metrics: Sequence[str] = ("precision", "recall"),
    color: str = "model",
    *,
    title: str = "",
    caption: str = "",
    labels: Mapping[str, str] | None = None,
) -> go.Figure:
    """Draw per class values with intervals: classes downwards, one panel per metric, one colour per model.

    Parameters
    ----------
    records : list of dict or DataFrame
        Result records with a column ``class``, or with the class in the metric (``"recall:Brain"``).
    metrics : sequence of str, default ("precision", "recall")
        Panels.
    color : str, default "model"
        Column that is coloured.
    title, caption : str
        Plain text.
    labels : mapping, optional
        Value, metric or column name -> printed name.

    Returns
    -------
    Figure
        One trace per panel and colour.

    Raises
    ------
    InputError
        Missing columns, or no record of these metrics.
    """
    table = as_table(records, [color, "metric", "value", "ci_low", "ci_high"])
    split = table["metric"].astype(str).str.split(":", n=1)
    table["metric"] = split.str[0]
    if "class" not in table:
        table["class"] = split.str[1]
    table = table[table["metric"].isin(list(metrics)) & table["class"].notna()]
    if table.empty:
        raise InputError(f"records: no {' or '.join(metrics)} of a class; expected metrics such as 'recall:Brain'.")
    fig = make_subplots(1, len(metrics), shared_yaxes=True, horizontal_spacing=0.03)
    look, order = styles(table[color]), [safe(v) for v in dict.fromkeys(table["class"])]
    for col, one in enumerate(metrics, 1):
        for group in dict.fromkeys(table[color]):
            part = table[(table["metric"] == one) & (table[color] == group)]
            trace = _dots(part, part["value"], [safe(v) for v in part["class"]], "x", look[str(group)], size=9)
            trace.update(name=printed(group, labels), legendgroup=str(group), offsetgroup=str(group))
            fig.add_trace(trace.update(showlegend=col == 1), 1, col)
        fig.update_xaxes(
            title_text=f"{printed(one, labels)} (%)", tickformat=".0%", range=[-0.02, 1.02], row=1, col=col
        )
    fig.update_yaxes(categoryorder="array", categoryarray=order, autorange="reversed")
    fig.update_yaxes(title_text="class", row=1, col=1)
    fig.update_layout(scattermode="group", scattergap=0.35, legend_title_text=printed(color, labels))
    height = len(order) * max(26, 10 * table[color].nunique() + 10) + 60
    return decorate(fig, title, caption, height=max(300, height))


def paper_comparison(
    df: pd.DataFrame, *, title: str = "", caption: str = "", labels: Mapping[str, str] | None = None
) -> go.Figure:
    """Draw published and own values on one line per quantity.

    Parameters
    ----------
    df : DataFrame
        Columns ``quantity`` (rows of the figure), ``source`` (e.g. "paper", "ours, random folds"), ``value``
        (0 to 1) and optionally ``ci_low, ci_high``.
    title, caption : str
        Plain text.
    labels : mapping, optional
        Value -> printed name.

    Returns
    -------
    Figure
        One trace per source; the first source has open symbols.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(df, ["quantity", "source", "value"])
    for bound in ("ci_low", "ci_high"):
        if bound not in table:
            table[bound] = np.nan
    fig, look = go.Figure(), styles(table["source"])
    for i, source in enumerate(dict.fromkeys(table["source"])):
        part, (color, symbol) = table[table["source"] == source], look[str(source)]
        y = [printed(v, labels) for v in part["quantity"]]
        trace = _dots(part, part["value"], y, "x", (color, symbol + ("-open" if i == 0 else "")), size=12)
        fig.add_trace(trace.update(name=printed(source, labels), offsetgroup=str(source)))
    order = [printed(v, labels) for v in dict.fromkeys(table["quantity"])]
    share = is_share(table["value"])
    fig.update_xaxes(title_text="value (%)" if share else "value", tickformat=".0%" if share else "")
    fig.update_xaxes(range=_limits(table))
    fig.update_yaxes(title_text="quantity", categoryorder="array", categoryarray=order, autorange="reversed")
    fig.update_layout(scattermode="group", scattergap=0.5, legend_title_text="source")
    return decorate(fig, title, caption, height=max(220, len(order) * (14 * table["source"].nunique() + 22) + 40))


def _dots(part: pd.DataFrame, x: Any, y: Any, value: str, look: tuple[str, str], size: int = 11) -> go.Scatter:
    """Markers with an interval along the axis that carries the value; hover shows what the record knows."""
    error = {
        "type": "data",
        "symmetric": False,
        "array": (part["ci_high"] - part["value"]).clip(lower=0),
        "arrayminus": (part["value"] - part["ci_low"]).clip(lower=0),
        "thickness": 1.6,
        "width": 4,
    }
    other = "x" if value == "y" else "y"
    hover = [_hover(r) for r in part.to_dict("records")]
    return go.Scatter(
        x=list(x),
        y=list(y),
        mode="markers",
        marker={
            "size": size,
            "color": look[0],
            "symbol": look[1],
            "line": {"width": 1.5 if "open" in look[1] else 0},
        },
        orientation="h" if value == "x" else "v",  # the way dots of a group are set apart
        hovertext=hover,
        hovertemplate=f"%{{{other}}}<br>%{{hovertext}}<extra>%{{fullData.name}}</extra>",
        **{f"error_{value}": error},
    )


def _limits(table: pd.DataFrame) -> list[float]:
    """Find the ends of an axis that holds every value and interval, with a margin."""
    low = float(table[["value", "ci_low"]].min().min())
    high = float(table[["value", "ci_high"]].max().max())
    margin = 0.08 * (high - low) or 0.05
    return [low - margin, high + margin]


def _hover(record: Mapping[str, Any]) -> str:
    """Value, interval, and how many samples and studies it rests on."""
    text = f"<b>{record['value']:.3f}</b>"
    if pd.notna(record["ci_low"]) and pd.notna(record["ci_high"]):
        text += f" [{record['ci_low']:.3f}, {record['ci_high']:.3f}]"
    for field, what in (("n_samples", "samples"), ("n_datasets", "studies")):
        if pd.notna(record.get(field, np.nan)):
            text += f"<br>{int(record[field])} {what}"
    return text
