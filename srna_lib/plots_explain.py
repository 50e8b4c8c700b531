"""Figures of explained classes: scores with expression beside them, clustered heatmaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy.cluster.hierarchy import dendrogram, linkage

from srna_lib.errors import InputError
from srna_lib.plots_base import SEQUENTIAL, as_table, decorate, panel_titles, safe, styles

DIVERGING = "RdBu_r"  # red speaks for, blue against; told apart with every common colour blindness


def short(name: str, longest: int = 20) -> str:
    """Printed name of an sRNA: without the species, and cut where many names are merged into one."""
    text = str(name).removeprefix("hsa-")
    return safe(text if len(text) <= longest else text[: longest - 1] + "…")


def class_heatmaps(
    scores: pd.DataFrame, levels: pd.DataFrame, top: pd.DataFrame, *, title: str = "", caption: str = ""
) -> go.Figure:
    """Draw the best sRNAs of every class with their scores in all classes, and their expression beside it.

    Parameters
    ----------
    scores, levels : DataFrame, shape (n_classes, n_srnas)
        D1, and mean expression in log2(CPM + 1).
    top : DataFrame
        ``class, rank, srna`` from `rankings.top_features`; its rows are drawn from top to bottom.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        Scores are divided by the largest of their row, so that rows of large and of small classes can be compared.

    Raises
    ------
    InputError
        Missing columns, no rows, or an sRNA without score or expression.
    """
    table = as_table(top, ["class", "rank", "srna"])
    lacking = [s for s in table["srna"] if s not in scores.columns or s not in levels.columns]
    if lacking:
        raise InputError(f"class heatmaps: {lacking[0]!r} has no score or no expression.")
    names = list(table["srna"])
    left = scores[names].T
    left = left.div(left.abs().max(axis=1).replace(0, 1), axis=0).to_numpy(dtype=float)
    right = levels.reindex(scores.index)[names].T.to_numpy(dtype=float)
    ticks = [f"{short(s)} · {safe(c)}" for s, c in zip(names, table["class"], strict=True)]
    fig = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.03)
    look = (("D1 / row's largest %{z:.2f}", "coloraxis", left), ("%{z:.1f} log2(CPM + 1)", "coloraxis2", right))
    for col, (text, axis, z) in enumerate(look, 1):
        fig.add_trace(
            go.Heatmap(
                z=z,
                x=[safe(c) for c in scores.index],
                y=list(range(len(names))),
                customdata=np.array([[safe(s)] * len(scores) for s in names]),
                hovertemplate=f"<b>%{{customdata}}</b><br>%{{x}}: {text}<extra></extra>",
                coloraxis=axis,
                ygap=0.5,
            ),
            1,
            col,
        )
    fig.update_xaxes(title_text="class", tickangle=-60, showgrid=False)
    fig.update_yaxes(tickvals=list(range(len(names))), ticktext=ticks, autorange="reversed", showgrid=False)
    fig.update_yaxes(title_text="sRNA · class that it leads", row=1, col=1)
    breaks = np.flatnonzero(table["class"].to_numpy()[1:] != table["class"].to_numpy()[:-1]) + 0.5
    for at in breaks:
        fig.add_hline(y=at, line={"color": "#444444", "width": 1})
    second = {"colorscale": SEQUENTIAL, "colorbar": bar("mean<br>log2(CPM + 1)", 0.25)}
    fig.update_layout(coloraxis=diverging(1.0, "D1, share of<br>row's largest", 0.75), coloraxis2=second)
    panel_titles(fig, ["importance by D1", "expression"])
    return decorate(fig, title, caption, height=16 * len(names) + 150, panels=True)


def clustered(
    table: pd.DataFrame,
    groups: pd.Series | None = None,
    *,
    value: str = "value",
    title: str = "",
    caption: str = "",
) -> go.Figure:
    """Draw a heatmap whose rows and columns are put in order by clustering, with the tree of the rows.

    Parameters
    ----------
    table : DataFrame, shape (n_rows, n_columns)
        Such as samples or classes by sRNAs; sizes are compared as they are, so bring columns to one scale before.
    groups : Series, shape (n_rows,), optional
        Class of each row, drawn as a coloured strip: rows of one class beside each other are a class that shows.
    value : str, default "value"
        What the colour means; a table with values below zero gets a diverging scale.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        Fewer than two rows or columns, or missing values.
    """
    values = table.to_numpy(dtype=float)
    if min(values.shape) < 2 or np.isnan(values).any():
        raise InputError(f"clustered heatmap: a table of {table.shape} with no missing value and two rows is expected.")
    tree = dendrogram(linkage(values, "average"), no_plot=True)
    rows = tree["leaves"]
    columns = dendrogram(linkage(values.T, "average"), no_plot=True)["leaves"]
    strip = groups is not None
    widths = [0.12, 0.02, 0.86] if strip else [0.12, 0.88]
    fig = make_subplots(1, len(widths), column_widths=widths, horizontal_spacing=0.006)
    for high, across in zip(tree["icoord"], tree["dcoord"], strict=True):
        y = (np.array(high) - 5) / 10  # scipy puts leaves at 5, 15, 25, ...
        line = go.Scatter(x=-np.array(across), y=y, mode="lines", line={"color": "#777777", "width": 1})
        fig.add_trace(line.update(hoverinfo="skip", showlegend=False), 1, 1)
    names = [safe(table.index[i]) for i in rows]
    if groups is not None:
        _strip(fig, groups.reindex(table.index).astype(str).to_numpy()[rows])
    signed = values.min() < 0
    limit = float(np.quantile(np.abs(values), 0.995)) or 1.0
    scale: dict[str, Any] = {"colorscale": SEQUENTIAL, "colorbar": bar(safe(value))}
    if signed:
        scale = diverging(limit, safe(value))
    fig.add_trace(
        go.Heatmap(
            z=values[np.ix_(rows, columns)],
            x=[short(table.columns[j]) for j in columns],
            y=list(range(len(rows))),
            customdata=np.array([[n] * len(columns) for n in names]),
            hovertemplate="%{customdata}<br>%{x}: %{z:.2f}<extra></extra>",
            coloraxis="coloraxis",
        ),
        1,
        len(widths),
    )
    few = len(rows) <= 40
    edges = [len(rows) - 0.5, -0.5]
    fig.update_yaxes(range=edges, showgrid=False, showticklabels=False, ticks="", showline=False)
    fig.update_xaxes(title_text="", showgrid=False, showticklabels=False, ticks="", showline=False)
    fig.update_xaxes(title_text="distance", row=1, col=1)
    fig.update_xaxes(title_text=f"{len(columns)} sRNAs", showticklabels=len(columns) <= 60, row=1, col=len(widths))
    fig.update_yaxes(title_text=f"{len(rows)} {safe(table.index.name or 'rows')}", row=1, col=1)
    if few and not strip:
        ticks = {"tickvals": list(range(len(rows))), "ticktext": names, "showticklabels": True, "side": "right"}
        fig.update_yaxes(row=1, col=len(widths), **ticks)
        scale["colorbar"]["x"] = 1.14
    fig.update_layout(
        coloraxis=scale, legend={"orientation": "h", "y": 1, "yanchor": "bottom", "title": {"text": "class"}}
    )
    fig.update_xaxes(tickangle=-60, row=1, col=len(widths))
    decorate(fig, title, caption, panels=strip, height=min(760, max(300, 4 * len(rows) if strip else 30 * len(rows))))
    if groups is not None:  # the legend stands in lines of its own between caption and heatmap
        room = 20 * -(-groups.nunique() // 6) + 10
        fig.update_layout(margin_t=fig.layout.margin.t + room, height=fig.layout.height + room)
    return fig


def _strip(fig: go.Figure, groups: np.ndarray) -> None:
    """Coloured strip of the rows' classes, one trace per class so that the legend names them."""
    look = styles(groups)
    for name, (color, _) in look.items():
        at = np.flatnonzero(groups == name)
        mark = go.Bar(x=np.ones(len(at)), y=at, orientation="h", width=1, marker={"color": color, "line": {"width": 0}})
        fig.add_trace(mark.update(name=safe(name), hovertemplate=f"{safe(name)}<extra></extra>"), 1, 2)
    fig.update_xaxes(range=[0, 1], row=1, col=2)
    fig.update_layout(bargap=0, barmode="overlay")


def diverging(limit: float, title: str, y: float | None = None) -> dict[str, Any]:
    """Colour axis from against (blue) to for (red), zero in the middle; `y` places its bar beside half of a figure."""
    return {"colorscale": DIVERGING, "cmin": -limit, "cmax": limit, "colorbar": bar(title, y)}


def bar(title: str, y: float | None = None) -> dict[str, Any]:
    """Colour bar with a title; `y` places it beside half of a figure."""
    made: dict[str, Any] = {"title": {"text": title}}
    return made if y is None else made | {"y": y, "len": 0.45}
