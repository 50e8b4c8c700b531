"""Figures of whether there is anything: studies one by one, gains over a baseline, null models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from srna_lib.errors import InputError
from srna_lib.plots_base import PALETTE, as_table, decorate, printed, safe, styles
from srna_lib.plots_parts import LEGEND, REFERENCE, UNDECIDED, intervals, name_rows


def forest(
    records: Sequence[Mapping[str, Any]] | pd.DataFrame,
    metric: str = "auc",
    *,
    mean: str | None = "auc_within",
    reference: float | None = 0.5,
    color: str = "model",
    title: str = "",
    caption: str = "",
    labels: Mapping[str, str] | None = None,
) -> go.Figure:
    """Draw one dot with its interval per study, the best on top, with the samples of each.

    Parameters
    ----------
    records : list of dict or DataFrame
        Result records, among them metrics ``<metric>:<study>`` (`ranking_metrics.score` with patients drawn).
    metric : str, default "auc"
        Which of them, such as ``auc``, ``mae`` or ``r2``.
    mean : str, optional
        Metric of the last row; None for no such row.
    reference : float, optional
        Value of a model that knows nothing, drawn as a line; None for no line.
    color : str, default "model"
        Column of the colours; dots of a study stand below each other.
    title, caption, labels
        As in `plots_reliability.reliability`.

    Returns
    -------
    Figure
        One trace per colour.

    Raises
    ------
    InputError
        Missing columns, or no such records.
    """
    table = as_table(records, [color, "metric", "value", "ci_low", "ci_high", "n_samples"])
    kind, _, study = (table["metric"].str.partition(":")[i] for i in range(3))
    table = table.assign(study=study)[table["value"].notna() & (((kind == metric) & (study != "")) | (kind == mean))]
    each = table[table["study"] != ""]
    if each.empty:
        raise InputError(f"records: no metric '{metric}:<study>' with a value; expected one per study.")
    colors = list(dict.fromkeys(table[color]))
    rows = list(each.groupby("study")["value"].mean().sort_values(ascending=False, kind="stable").index)
    samples = each.groupby("study")["n_samples"].max()
    names = [f"{printed(s, labels)} ({samples[s]})" for s in rows] + ["<b>mean of studies</b>"] * (
        len(each) < len(table)
    )
    place, look = {s: i for i, s in enumerate([*rows, ""])}, styles(colors)
    fig = go.Figure()
    for i, name in enumerate(colors):
        part = table[table[color] == name]
        shade, symbol = look[str(name)]
        shift = 0 if len(colors) == 1 else 0.5 * (i / (len(colors) - 1) - 0.5)
        size = np.where(part["study"] == "", 13, 9)
        fig.add_trace(
            intervals(part, part["study"].map(place) + shift, "value", ".3f").update(
                name=printed(name, labels), marker={"size": size, "color": shade, "symbol": symbol, "opacity": 1}
            )
        )
    if reference is not None:
        fig.add_vline(x=reference, line=REFERENCE)
    ends = table[["value", "ci_low", "ci_high"]].astype(float).to_numpy().ravel()
    low, high = np.nanmin([*ends, np.nan if reference is None else reference]), np.nanmax(ends)
    margin = 0.04 * (high - low) or 0.05
    fig.update_xaxes(title_text=printed(metric, labels), range=[low - margin, high + margin])
    name_rows(fig, names, "study (samples)")
    fig.update_layout(legend=LEGEND, showlegend=len(colors) > 1)
    return decorate(fig, title, caption, height=(16 + 12 * len(colors)) * len(names) + 60, panels=True)


def gains(
    table: pd.DataFrame,
    row: str = "task",
    *,
    what: str = "gain",
    title: str = "",
    caption: str = "",
    labels: Mapping[str, str] | None = None,
) -> go.Figure:
    """Draw differences with their intervals; one whose interval holds zero is hollow, grey and called undecided.

    Parameters
    ----------
    table : DataFrame
        Columns `row`, ``difference, ci_low, ci_high``, as from `ranking_metrics.compare_auc` or
        `significance.compare_pairs`. A missing interval is undecided.
    row : str, default "task"
        Column that names the rows, in order of appearance.
    what : str, default "gain"
        Title of the axis: what is the difference of.
    title, caption, labels
        As in `plots_reliability.reliability`.

    Returns
    -------
    Figure
        Traces ``above zero``, ``below zero`` and ``undecided``, as far as there are such rows.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, [row, "difference", "ci_low", "ci_high"])
    ends = table[["ci_low", "ci_high"]].astype(float)
    state = np.select([ends["ci_low"] > 0, ends["ci_high"] < 0], ["above zero", "below zero"], "undecided")
    names = list(dict.fromkeys(table[row]))
    place = table[row].map({name: i for i, name in enumerate(names)})
    fig = go.Figure()
    for kind, shade, symbol in (
        ("above zero", PALETTE[0], "circle"),
        ("below zero", PALETTE[5], "diamond"),
        ("undecided", UNDECIDED, "circle-open"),
    ):
        part = table[state == kind]
        if len(part):
            marker = {"size": 12, "color": shade, "symbol": symbol, "line": {"width": 2, "color": shade}}
            name = kind if kind != "undecided" else "undecided: the interval holds zero"
            trace = intervals(part, place[state == kind], "difference", "+.3f")
            fig.add_trace(trace.update(name=name, marker=marker, showlegend=True))
    fig.add_vline(x=0, line=REFERENCE)
    fig.update_xaxes(title_text=safe(what))
    name_rows(fig, [printed(n, labels) for n in names], printed(row, labels))
    fig.update_layout(legend=LEGEND)
    return decorate(fig, title, caption, height=44 * len(names) + 70, panels=True)


def null_distribution(
    null: pd.DataFrame,
    observed: Mapping[str, float],
    row: str = "task",
    *,
    value: str = "value",
    what: str = "auc",
    title: str = "",
    caption: str = "",
    labels: Mapping[str, str] | None = None,
    seed: int = 0,
) -> go.Figure:
    """Draw figures with permuted labels as dots, one row per task, and the figure with the true labels as a diamond.

    Parameters
    ----------
    null : DataFrame, one row per permutation
        Columns `row` and `value`.
    observed : mapping
        Value of `row` -> figure with the true labels.
    row, value : str, default "task" and "value"
        Columns of the rows, in order of appearance, and of the figure.
    what : str, default "auc"
        Title of the axis.
    title, caption, labels
        As in `plots_reliability.reliability`.
    seed : int, default 0
        Of the vertical scatter, which only parts overlapping dots.

    Returns
    -------
    Figure
        A trace of the permutations and one of the true figures; hover gives the share of permutations that reach it,
        (number + 1) / (permutations + 1).

    Raises
    ------
    InputError
        Missing columns, no rows, or a row without a true figure.
    """
    table = as_table(null, [row, value])
    names, rng = list(dict.fromkeys(table[row])), np.random.default_rng(seed)
    lacking = [n for n in names if n not in observed]
    if lacking:
        raise InputError(f"null distribution: no observed figure of {lacking[0]!r}; expected one for each {row}.")
    place = table[row].map({name: i for i, name in enumerate(names)})
    fig = go.Figure(
        go.Scatter(
            x=table[value],
            y=place + rng.uniform(-0.28, 0.28, len(table)),
            mode="markers",
            name="permuted labels",
            marker={"size": 6, "color": UNDECIDED, "opacity": 0.6},
            hovertemplate="permuted: %{x:.3f}<extra></extra>",
        )
    )
    of = {name: table.loc[table[row] == name, value] for name in names}
    hover = [
        f"true labels: <b>{observed[n]:.3f}</b><br>p = {((of[n] >= observed[n]).sum() + 1) / (len(of[n]) + 1):.3g}"
        f" ({len(of[n])} permutations)"
        for n in names
    ]
    fig.add_trace(
        go.Scatter(
            x=[observed[n] for n in names],
            y=list(range(len(names))),
            mode="markers",
            name="true labels",
            marker={"size": 15, "symbol": "diamond", "color": PALETTE[5], "line": {"width": 1, "color": "white"}},
            hovertext=hover,
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    fig.update_xaxes(title_text=printed(what, labels))
    name_rows(fig, [printed(n, labels) for n in names], printed(row, labels))
    fig.update_layout(legend=LEGEND)
    return decorate(fig, title, caption, height=64 * len(names) + 70, panels=True)
