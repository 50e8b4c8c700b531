"""Figures about an atlas: studies and classes, depth, zeros, and maps of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from srna_lib.plots.base import PALETTE, as_table, decorate, panel_titles, safe, styles, unrecorded


def study_class_heatmap(table: pd.DataFrame, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw which study brings how many samples of which class; white where it brings none.

    Parameters
    ----------
    table : DataFrame, shape (n_studies, n_classes)
        Counts, as from `explore.study_class_counts`; classes keep their order. Studies of one class come first,
        class by class, so that they form a staircase; those of several classes stand to the right of a line.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        One heatmap on a logarithmic colour scale; studies to the right, classes downwards.

    Raises
    ------
    InputError
        Empty table.
    """
    table = as_table(table.reset_index(names="study"), ["study"]).set_index("study")
    first, several = table.to_numpy().argmax(axis=1), (table > 0).sum(axis=1).to_numpy() > 1
    order = np.lexsort((-table.max(axis=1).to_numpy(), first, several))
    counts = table.to_numpy(dtype=float)[order].T
    logs = np.log10(counts, out=np.full_like(counts, np.nan), where=counts > 0)
    top = max(1.0, float(np.nanmax(logs)))
    ticks = [v for v in (1, 3, 10, 30, 100, 300, 1000) if np.log10(v) <= top]
    fig = go.Figure(
        go.Heatmap(
            z=logs,
            x=[safe(s) for s in table.index[order]],
            y=[f"{safe(c)} ({int(n)})" for c, n in zip(table.columns, counts.sum(axis=1), strict=True)],
            xgap=1 if len(table) <= 80 else 0,
            ygap=1,
            customdata=counts,
            hovertemplate="study %{x}<br>%{y}<br>%{customdata:d} samples<extra></extra>",
            hoverongaps=False,
            colorscale=[[0, "#8FBBDD"], [0.5, "#3B7FB8"], [1, "#08306B"]],  # a lone sample shows in a thin column
            zmin=0,
            zmax=top,
            colorbar={
                "title": {"text": "samples"},
                "tickvals": np.log10(ticks),
                "ticktext": list(map(str, ticks)),
            },
        )
    )
    fig.update_xaxes(title_text=f"{len(table)} studies (hover for the accession)", showticklabels=False, ticks="")
    fig.update_xaxes(type="category", showgrid=False)
    fig.update_yaxes(title_text="class (samples)", autorange="reversed", gridcolor="#F0F0F0", type="category")
    parted = bool(several.any() and not several.all())
    if parted:
        edge = int((~several).sum())
        fig.add_vline(x=edge - 0.5, line={"color": "#B03A00", "width": 1.5, "dash": "dash"})
        for x, anchor, text in ((-0.5, "left", f"{edge} studies of one class"),
                                (len(table) - 0.5, "right", f"{several.sum()} of several")):  # fmt: skip
            place = {"x": x, "xanchor": anchor, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}
            fig.add_annotation(text=text, font={"color": "#B03A00"}, **place)
    height = max(220, (28 if table.shape[1] <= 30 else 16) * table.shape[1] + 60)
    return decorate(fig, title, caption, height=height, panels=parted)


def people(table: pd.DataFrame, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw of how many samples of each group sex and age are known.

    Parameters
    ----------
    table : DataFrame
        As from `coverage.people`: ``group, n_samples, female, male, sex_known, age_known``.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        Bars of women and men, the rest unknown, and a diamond at the share with an age.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, ["group", "n_samples", "female", "male", "sex_known", "age_known"])
    if not table[["sex_known", "age_known"]].any(axis=None):
        return unrecorded(title)
    y = [f"{safe(g)} ({n})" for g, n in zip(table["group"], table["n_samples"], strict=True)]
    fig = go.Figure()
    for column, color in (("female", PALETTE[0]), ("male", PALETTE[1])):
        hover = f"%{{y}}<br>{column}: %{{x:.0%}}<extra></extra>"
        fig.add_bar(x=table[column], y=y, name=column, orientation="h", marker_color=color, hovertemplate=hover)
    marker = {"size": 10, "symbol": "diamond", "color": "#333333", "line": {"width": 1, "color": "white"}}
    hover = "%{y}<br>age known: %{x:.0%}<extra></extra>"
    fig.add_scatter(x=table["age_known"], y=y, mode="markers", name="age known", marker=marker, hovertemplate=hover)
    fig.update_xaxes(title_text="share of the samples (%)", tickformat=".0%", range=[-0.02, 1.04])
    fig.update_yaxes(title_text="class (samples)", autorange="reversed", type="category")
    fig.update_layout(barmode="stack", legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"})
    return decorate(fig, title, caption, height=max(200, 26 * len(table) + 60), panels=True)


def depth(df: pd.DataFrame, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw the reads of every sample by class, on a logarithmic axis, deepest class first.

    Parameters
    ----------
    df : DataFrame, shape (n_samples, ...)
        Columns ``class, reads, dataset_id``, as from `explore.sample_table`; unlabelled samples are left out.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        One box with all its samples per class.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(df.rename_axis("sample").reset_index(), ["class", "reads", "dataset_id"])
    table = table[table["class"].notna() & (table["reads"] > 0)]
    if table.empty:  # of values that are no counts
        return unrecorded(title)
    medians = table.groupby("class")["reads"].median().sort_values(ascending=False, kind="stable")
    fig = go.Figure()
    for name in medians.index:
        part = table[table["class"] == name]
        fig.add_trace(
            go.Box(
                x=part["reads"],
                name=f"{safe(name)} ({len(part)})",
                boxpoints="all",
                pointpos=0,
                jitter=0.7,
                whiskerwidth=0,
                fillcolor="rgba(255,255,255,0.6)",
                line={"color": "#333333", "width": 1.2},
                marker={"size": 3.5, "opacity": 0.55, "color": PALETTE[0]},
                hovertext=[
                    f"{safe(s)}<br>study {safe(d)}" for s, d in zip(part["sample"], part["dataset_id"], strict=True)
                ],
                hoveron="points",
                showlegend=False,
            )
        )
    fig.update_xaxes(title_text="reads in the sample (logarithmic)", type="log", dtick=1, exponentformat="power")
    fig.update_yaxes(title_text="class (samples)", autorange="reversed", showgrid=False)
    return decorate(fig, title, caption, height=max(240, 34 * len(medians) + 60))


def zeros(
    shares: pd.Series, thresholds: Sequence[float] = (0.3, 0.9), *, title: str = "", caption: str = ""
) -> go.Figure:
    """Draw in how many samples each sRNA is absent, with the thresholds of filters.

    Parameters
    ----------
    shares : Series, shape (n_srnas,)
        Share of samples without a read, as from `explore.zero_share`.
    thresholds : sequence of float, default (0.3, 0.9)
        Vertical lines; what lies to the right of one is dropped by that filter.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        One histogram.
    """
    counts, edges = np.histogram(shares, bins=np.linspace(0, 1, 41))
    fig = go.Figure(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=np.diff(edges),
            marker={"color": PALETTE[0], "line": {"width": 0.5, "color": "white"}},
            customdata=np.stack([edges[:-1], edges[1:]], axis=1),
            hovertemplate="zeros in %{customdata[0]:.1%} to %{customdata[1]:.1%}<br>%{y}<extra></extra>",
        )
    )
    _lines(fig, thresholds)
    fig.update_xaxes(title_text="share of samples without a read (%)", tickformat=".0%", range=[0, 1.005])
    fig.update_yaxes(title_text="number of sRNAs")
    return decorate(fig, title, caption, height=340, panels=True)


def filter_curve(
    table: pd.DataFrame, thresholds: Sequence[float] = (0.3, 0.9), *, title: str = "", caption: str = ""
) -> go.Figure:
    """Draw what a filter on zeros keeps, against how strict it is.

    Parameters
    ----------
    table : DataFrame
        As from `explore.filter_effect`: ``max_zero_share, n_features, share_features, share_reads``.
    thresholds : sequence of float, default (0.3, 0.9)
        Vertical lines.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        One line for reads and one for sRNAs.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, ["max_zero_share", "n_features", "share_features", "share_reads"])
    table = table.sort_values("max_zero_share")
    fig = go.Figure()
    for i, (column, name) in enumerate((("share_reads", "reads"), ("share_features", "sRNAs"))):
        fig.add_trace(
            go.Scatter(
                x=table["max_zero_share"],
                y=table[column],
                mode="lines+markers",
                name=name,
                line={"color": PALETTE[i], "width": 2.5},
                marker={"symbol": ("circle", "diamond")[i], "size": 7},
                customdata=table["n_features"],
                hovertemplate="zeros in at most %{x:.0%}<br>%{y:.1%} of "
                + name
                + " stay<br>%{customdata} sRNAs<extra></extra>",
            )
        )
    _lines(fig, thresholds)
    fig.update_xaxes(title_text="highest share of zeros that an sRNA may have (%)", tickformat=".0%")
    fig.update_yaxes(title_text="share that stays (%)", tickformat=".0%", range=[-0.02, 1.05])
    fig.update_layout(legend_title_text="share of")
    return decorate(fig, title, caption, height=340, panels=True)


def _lines(fig: go.Figure, thresholds: Sequence[float]) -> None:
    for threshold in thresholds:
        fig.add_vline(
            x=threshold,
            line={"dash": "dash", "color": "#B03A00", "width": 1.5},
            annotation={
                "text": f"{threshold:.0%}",
                "font": {"color": "#B03A00"},
                "yanchor": "bottom",
                "y": 1,
            },
            annotation_position="top",
        )


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
