"""Maps of samples, one or two of the same points coloured by class and by study, and what neighbours share."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from srna_lib.plots_base import PALETTE, as_table, decorate, panel_titles, safe, styles

MAX_LEGEND = 24


def embedding(
    df: pd.DataFrame,
    color: str = "tissue_group",
    *,
    hover: Sequence[str] = (),
    axis: str = "map",
    title: str = "",
    caption: str = "",
) -> go.Figure:
    """Draw a map of samples.

    Parameters
    ----------
    df : DataFrame, shape (n_samples, ...)
        Columns ``x, y`` and the columns named by `color` and `hover`; index = sample names.
    color : str, default "tissue_group"
        Column that is coloured. Beyond 24 values colours and symbols repeat and the legend is left out:
        hover tells.
    hover : sequence of str
        More columns to show on hover.
    axis : str, default "map"
        Name of the axes, e.g. "openTSNE".
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        One trace per value of `color`, or a single one beyond 24 values.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(df.rename_axis("sample").reset_index(), ["x", "y", color, *hover])
    fig = go.Figure(_traces(table, color, hover, legend=True))
    fig.update_xaxes(title_text=f"{safe(axis)} 1 (arbitrary units)", showgrid=False)
    fig.update_yaxes(title_text=f"{safe(axis)} 2 (arbitrary units)", showgrid=False)
    fig.update_layout(legend_title_text=safe(color))
    return decorate(fig, title, caption, height=560)


def embedding_pair(
    df: pd.DataFrame,
    left: str = "tissue_group",
    right: str = "dataset_id",
    *,
    hover: Sequence[str] = (),
    axis: str = "map",
    names: tuple[str, str] | None = None,
    title: str = "",
    caption: str = "",
) -> go.Figure:
    """Draw the same map twice, coloured by two columns; zooming into one zooms into the other.

    Parameters
    ----------
    df : DataFrame, shape (n_samples, ...)
        Columns ``x, y``, `left`, `right` and those of `hover`; index = sample names.
    left, right : str, default "tissue_group" and "dataset_id"
        Columns that are coloured. The left one gets the legend, below the panels.
    hover, axis, title, caption
        As in `embedding`.
    names : tuple of str, optional
        Titles of the panels; by default the column names.

    Returns
    -------
    Figure
        Two panels with linked axes.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(df.rename_axis("sample").reset_index(), ["x", "y", left, right, *hover])
    fig = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.04)
    for col, (column, other) in enumerate(((left, right), (right, left)), 1):
        shown = [other, *(h for h in hover if h not in (left, right))]
        for trace in _traces(table, column, shown, legend=col == 1):
            fig.add_trace(trace, 1, col)
    fig.update_xaxes(title_text=f"{safe(axis)} 1 (arbitrary units)", showgrid=False)
    fig.update_yaxes(showgrid=False)
    fig.update_xaxes(matches="x", row=1, col=2)
    fig.update_yaxes(title_text=f"{safe(axis)} 2 (arbitrary units)", row=1, col=1)
    panel_titles(fig, names or (f"coloured by {left}", f"coloured by {right}"))
    legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": -0.16, "yanchor": "top", "traceorder": "normal"}
    legend |= {"entrywidth": 0.19, "entrywidthmode": "fraction", "title": {"text": safe(left), "side": "top"}}
    fig.update_layout(legend=legend)
    return decorate(fig, title, caption, height=440, panels=True)


def _traces(table: pd.DataFrame, color: str, hover: Sequence[str], *, legend: bool) -> list[go.Scatter]:
    """One trace per value, large groups first so that small ones stay on top; or one trace for all."""
    values = table[color].astype(object).where(table[color].notna(), "unknown").astype(str)
    look, sizes = styles(values), values.value_counts()
    columns = dict.fromkeys([color, *hover])
    texts = pd.Series([_hover(row, list(columns)) for row in table.to_dict("records")], index=table.index)
    many = len(sizes) > MAX_LEGEND
    groups = [(None, table.index)] if many else [(name, table.index[values == name]) for name in sizes.index]
    rank = {name: i for i, name in enumerate(sorted(look))}
    traces = []
    for name, rows in groups:
        styled = [look[v] for v in values[rows]]
        marker = {"size": 5.5, "opacity": 0.8, "line": {"width": 0.3, "color": "white"}}
        marker |= {"color": [c for c, _ in styled], "symbol": [s for _, s in styled]} if name is None else {}
        marker |= {} if name is None else {"color": look[name][0], "symbol": look[name][1]}
        traces.append(
            go.Scatter(
                x=table.loc[rows, "x"].round(3),
                y=table.loc[rows, "y"].round(3),
                mode="markers",
                marker=marker,
                name=safe(color) if name is None else f"{safe(name)} ({sizes[name]})",
                legendrank=0 if name is None else rank[name] + 1,
                showlegend=legend and not many,
                hovertext=texts[rows],
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    return traces


def _hover(row: dict, columns: Sequence[str]) -> str:
    head = f"<b>{safe(row['sample'])}</b>"
    return head + "".join(f"<br>{safe(c)}: {safe(row[c]) if pd.notna(row[c]) else 'unknown'}" for c in columns)


def neighbours(table: pd.DataFrame, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw observed shares of neighbours with their intervals, next to chance and to the highest possible.

    Parameters
    ----------
    table : DataFrame
        As from `embedding.neighbour_share`.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        Traces chance, ceiling and observed.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, ["share", "candidates", "observed", "ci_low", "ci_high", "chance", "ceiling"])
    y = [f"<b>{safe(s)}</b><br>{safe(c)}" for s, c in zip(table["share"], table["candidates"], strict=True)]
    error = {
        "type": "data",
        "symmetric": False,
        "array": table["ci_high"] - table["observed"],
        "arrayminus": table["observed"] - table["ci_low"],
        "thickness": 1.8,
    }
    fig = go.Figure()
    for name, column, color, symbol in (
        ("chance", "chance", "#666666", "circle-open"),
        ("highest possible", "ceiling", "#666666", "line-ns"),
        ("observed", "observed", PALETTE[0], "circle"),
    ):
        marker = {"size": 12, "color": color, "symbol": symbol, "line": {"width": 2, "color": color}}
        hover = f"{name}: %{{x:.1%}}<extra></extra>"
        trace = go.Scatter(x=table[column], y=y, mode="markers", name=name, marker=marker, hovertemplate=hover)
        fig.add_trace(trace.update(error_x=error) if name == "observed" else trace)
    fig.update_xaxes(title_text="share of the neighbours (%)", tickformat=".0%", range=[-0.02, 1.02])
    fig.update_yaxes(title_text="what the neighbours share", autorange="reversed")
    fig.update_layout(legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"})
    return decorate(fig, title, caption, height=62 * len(table) + 60, panels=True)
