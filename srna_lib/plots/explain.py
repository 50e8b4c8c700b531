"""Figures of explanations: classes, markers, rankings, single samples, weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy.cluster.hierarchy import dendrogram, linkage

from srna_lib.errors import InputError
from srna_lib.explain import HeldOut
from srna_lib.plots.base import (
    LEGEND,
    PALETTE,
    REFERENCE,
    SEQUENTIAL,
    SYMBOLS,
    as_table,
    decorate,
    error_bars,
    name_rows,
    panel_titles,
    printed,
    safe,
    styles,
)

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


def marker_ranks(
    table: pd.DataFrame,
    color: str = "reference",
    *,
    title: str = "",
    caption: str = "",
    labels: Mapping[str, str] | None = None,
    lines: Sequence[int] = (5, 20),
) -> go.Figure:
    """Draw the rank of known markers in their class, one colour per reference (or per seed, or method).

    Parameters
    ----------
    table : DataFrame
        ``class, srna, rank`` and the column named by `color`; NaN ranks are sRNAs that never reached the model.
    color : str, default "reference"
        Column that is coloured.
    title, caption : str
        Plain text.
    labels : mapping, optional
        Value -> printed name.
    lines : sequence of int, default (5, 20)
        Ranks that a line marks.

    Returns
    -------
    Figure
        Logarithmic axis: the difference between ranks 1 and 10 matters more than that between 101 and 110.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, ["class", "srna", "rank", color])
    table = table.assign(row=[f"{safe(c)} · {short(s)}" for c, s in zip(table["class"], table["srna"], strict=True)])
    order = list(dict.fromkeys(table["row"]))
    fig, look = go.Figure(), styles(table[color])
    for row, part in table.dropna(subset="rank").groupby("row", sort=False):
        ends = {"x": [part["rank"].min(), part["rank"].max()], "y": [row, row]}
        line = go.Scatter(**ends, mode="lines", line={"color": "#CCCCCC", "width": 3})
        fig.add_trace(line.update(hoverinfo="skip", showlegend=False))
    for name in dict.fromkeys(table[color]):
        part = table[table[color] == name].dropna(subset="rank")
        shade, symbol = look[str(name)]
        dots = go.Scatter(x=part["rank"], y=part["row"], mode="markers", name=printed(name, labels))
        dots.update(marker={"size": 10, "color": shade, "symbol": symbol, "opacity": 0.85})
        fig.add_trace(dots.update(hovertemplate="%{y}<br>rank %{x:.1f}<extra>%{fullData.name}</extra>"))
    for at in lines:
        fig.add_vline(x=at, line={"dash": "dot", "color": "#777777", "width": 1})
    top = float(np.nanmax(table["rank"])) if table["rank"].notna().any() else 10.0
    ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000) if t <= 2 * top]
    fig.update_xaxes(title_text="rank by D1 in its class (1 is best)", type="log", tickvals=ticks)
    fig.update_yaxes(title_text="class · marker", categoryorder="array", categoryarray=order, autorange="reversed")
    fig.update_layout(legend={"title": {"text": safe(color)}})
    return decorate(fig, title, caption, height=22 * len(order) + 90)


def marker_zeros(
    table: pd.DataFrame, limit: float = 0.3, *, title: str = "", caption: str = "", filter_name: str = "filter"
) -> go.Figure:
    """Draw in how many samples known markers are absent, against what a filter on zeros allows.

    Parameters
    ----------
    table : DataFrame
        ``class, srna, zero_share`` (0 to 1: share of all samples without a read of it), optionally
        ``zero_share_class``: the share within its own class.
    limit : float, default 0.3
        Largest share that the filter lets through (the paper's 30 %).
    title, caption : str
        Plain text.
    filter_name : str, default "filter"
        What the line is called.

    Returns
    -------
    Figure
        Everything to the right of the line is gone before a model sees it.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, ["class", "srna", "zero_share"])
    rows = [f"{safe(c)} · {short(s)}" for c, s in zip(table["class"], table["srna"], strict=True)]
    fig = go.Figure()
    fig.add_vrect(x0=limit, x1=1.03, fillcolor="#F3E3DA", line_width=0, layer="below")
    kinds = [("zero_share", "all samples", PALETTE[5], "circle")]
    if "zero_share_class" in table:
        kinds.append(("zero_share_class", "samples of its class", PALETTE[0], "diamond"))
    for column, name, shade, symbol in kinds:
        dots = go.Scatter(x=table[column], y=rows, mode="markers", name=name)
        dots.update(marker={"size": 10, "color": shade, "symbol": symbol})
        fig.add_trace(dots.update(hovertemplate="%{y}<br>absent in %{x:.1%}<extra>%{fullData.name}</extra>"))
    fig.add_vline(
        x=limit,
        line={"dash": "dash", "color": "#222222", "width": 2},
        annotation={"text": safe(filter_name), "yshift": 4},
        annotation_position="top right",
    )
    fig.update_xaxes(title_text="samples without a read of the marker (%)", tickformat=".0%", range=[-0.03, 1.03])
    fig.update_yaxes(
        title_text="class · marker",
        categoryorder="array",
        categoryarray=list(dict.fromkeys(rows)),
        autorange="reversed",
    )
    fig.update_layout(legend={"title": {"text": "share among"}})
    return decorate(fig, title, caption, height=22 * len(set(rows)) + 90, panels=True)


def set_dots(table: pd.DataFrame, n: int = 3, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw the most over-represented sets of every class: classes to the right, sets downwards.

    Parameters
    ----------
    table : DataFrame
        ``class, collection, set, overlap, size, fold, p, q, members`` from
        `enrichment.over_representation_by_class`, optionally ``title``.
    n : int, default 3
        Sets per class and collection that make the rows, by p; a row shows the set in every class that has members
        of it among its best.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        Larger dots have more members among the best, darker ones a smaller q; open dots have q of .05 and more.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, ["class", "collection", "set", "overlap", "size", "fold", "p", "q", "members"])
    order = table.sort_values("p", kind="stable").query("overlap > 0")
    chosen = order.groupby(["collection", "class"], sort=False).head(n)
    keys = list(dict.fromkeys(chosen[["collection", "set"]].itertuples(index=False, name=None)))
    table = table[[k in set(keys) for k in table[["collection", "set"]].itertuples(index=False, name=None)]]
    table = table[table["overlap"] > 0].sort_values("class", kind="stable")
    collections = list(dict.fromkeys(table["collection"]))
    best = chosen.drop_duplicates(["collection", "set"])
    classes_of = dict(zip(best[["collection", "set"]].itertuples(index=False, name=None), best["class"], strict=True))
    named = list(dict.fromkeys(table["class"]))
    keys.sort(key=lambda k: (collections.index(k[0]), named.index(classes_of[k])))  # a diagonal is easier to read
    rank = {key: i for i, key in enumerate(keys)}
    table = table.assign(at=[rank[k] for k in table[["collection", "set"]].itertuples(index=False, name=None)])
    name = table["title"].where(table["title"].astype(str) != "", table["set"]) if "title" in table else table["set"]
    table = table.assign(row=[f"{short(s, 34)} · {safe(c)}" for s, c in zip(name, table["collection"], strict=True)])
    fig = go.Figure()
    for sure, part in table.groupby(table["q"] < 0.05):
        hover = [
            f"<b>{safe(r['set'])}</b> ({safe(r['collection'])})<br>{safe(r['class'])}: {r['overlap']} of {r['size']}"
            f" members among the best, {r['fold']:.1f} times as many as by chance<br>p {r['p']:.1e}, q {r['q']:.1e}"
            f"<br>{short(r['members'].replace(';', ', '), 90)}"
            for r in part.to_dict("records")
        ]
        marker = {
            "size": 6 + 3.5 * np.sqrt(part["overlap"]),
            "color": -np.log10(part["q"].clip(lower=1e-12)),
            "coloraxis": "coloraxis",
            "symbol": "circle" if sure else "circle-open",
        }
        name = "q < .05" if sure else "q >= .05"
        dots = go.Scatter(x=[safe(c) for c in part["class"]], y=part["row"], mode="markers", marker=marker, name=name)
        dots.update(hovertext=hover, hovertemplate="%{hovertext}<extra></extra>", showlegend=False)
        fig.add_trace(dots)
        # a legend cannot show numbers as colours: it gets an entry of its own
        entry = go.Scatter(x=[None], y=[None], mode="markers", name=name)
        fig.add_trace(entry.update(marker={"size": 10, "color": "#444444", "symbol": marker["symbol"]}))
    rows = list(dict.fromkeys(table.sort_values("at", kind="stable")["row"]))
    classes = [safe(c) for c in dict.fromkeys(table["class"])]
    fig.update_xaxes(title_text="class", categoryorder="array", categoryarray=classes, tickangle=-40)
    fig.update_yaxes(title_text="set · collection", categoryorder="array", categoryarray=rows)
    fig.update_yaxes(range=[len(rows) - 0.4, -0.6])
    colours = {"colorscale": [[0, "#9ecae1"], [1, "#08306b"]], "cmin": 0, "colorbar": {"title": {"text": "-log10 q"}}}
    fig.update_layout(
        coloraxis=colours, legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"}
    )
    return decorate(fig, title, caption, height=20 * len(rows) + 110, panels=True)


def class_rankings(
    ranking: pd.DataFrame, n: int = 8, columns: int = 3, *, title: str = "", caption: str = ""
) -> go.Figure:
    """Draw the best sRNAs of every class with the interval of their score, one panel per class.

    Parameters
    ----------
    ranking : DataFrame
        ``class, srna, score, rank, ci_low, ci_high, rank_low, rank_high`` from `explain.ranking`.
    n : int, default 8
        sRNAs per class.
    columns : int, default 3
        Panels side by side.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        Hover gives rank and score with their intervals.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(ranking, ["class", "srna", "score", "rank", "ci_low", "ci_high", "rank_low", "rank_high"])
    table = table.sort_values("rank", kind="stable")
    classes = list(dict.fromkeys(sorted(table["class"])))
    rows = -(-len(classes) // columns)
    fig = make_subplots(
        *(rows, columns),
        subplot_titles=[f"<b>{safe(c)}</b>" for c in classes],
        vertical_spacing=min(0.4 / rows, 64 / ((24 * n + 80) * rows)),
        horizontal_spacing=0.17,
    )
    for i, name in enumerate(classes):
        part = table[table["class"] == name].head(n)
        error = {
            "type": "data",
            "symmetric": False,
            "array": (part["ci_high"] - part["score"]).clip(lower=0),
            "arrayminus": (part["score"] - part["ci_low"]).clip(lower=0),
            "thickness": 1.4,
            "width": 3,
        }
        hover = [
            f"<b>{safe(r['srna'])}</b><br>D1 {r['score']:.3f} [{r['ci_low']:.3f}, {r['ci_high']:.3f}]"
            f"<br>rank {r['rank']:.0f} [{r['rank_low']:.0f}, {r['rank_high']:.0f}]"
            for r in part.to_dict("records")
        ]
        dots = go.Scatter(
            x=part["score"],
            y=[short(s, 18) for s in part["srna"]],
            mode="markers",
            marker={"size": 8, "color": PALETTE[0]},
            error_x=error,
            hovertext=hover,
        ).update(hovertemplate="%{hovertext}<extra></extra>", showlegend=False)
        at = {"row": i // columns + 1, "col": i % columns + 1}
        fig.add_trace(dots, **at)
        fig.update_xaxes(title_text="D1 (logit)" if i >= len(classes) - columns else "", **at)
        fig.update_yaxes(title_text="sRNA" if i % columns == 0 else "", autorange="reversed", **at)
    fig.update_xaxes(rangemode="tozero")
    return decorate(fig, title, caption, height=(24 * n + 80) * rows, panels=True)


def agreement_heatmap(
    matrix: pd.DataFrame, value: str = "share in common", *, title: str = "", caption: str = ""
) -> go.Figure:
    """Draw how far every two rankings agree.

    Parameters
    ----------
    matrix : DataFrame, shape (n_runs, n_runs)
        Square, from `rankings.agreement_matrix`.
    value : str
        What the colour means.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The table is not square or empty.
    """
    if matrix.empty or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"agreement: a table of {matrix.shape} is not square; expected every run by every run.")
    names, z = [safe(n) for n in matrix.index], matrix.to_numpy(dtype=float)
    fig = go.Figure(
        go.Heatmap(
            z=z,
            x=names,
            y=names,
            text=np.char.mod("%.2f", z),
            texttemplate="%{text}" if len(names) <= 16 else "",
            zmin=min(0.0, float(z.min())),
            zmax=1,
            colorscale=SEQUENTIAL,
            xgap=1,
            ygap=1,
            hovertemplate="%{y}<br>%{x}<br>%{z:.2f}<extra></extra>",
            colorbar={"title": {"text": safe(value)}},
        )
    )
    fig.update_xaxes(title_text="ranking", showgrid=False, tickangle=-40)
    fig.update_yaxes(title_text="ranking", autorange="reversed", showgrid=False)
    return decorate(fig, title, caption, height=max(300, 34 * len(names) + 120))


def truth_bars(
    table: pd.DataFrame, chance: float, *, value: str = "precision", title: str = "", caption: str = ""
) -> go.Figure:
    """Draw how many of the true biomarkers each method finds, with what chance finds.

    Parameters
    ----------
    table : DataFrame
        ``method`` and ``precision`` (0 to 1); several rows of a method (seeds) become a bar of their mean and dots.
    chance : float
        What a random ranking reaches.
    value : str, default "precision"
        Name of the axis, e.g. with the length of the list.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, ["method", "precision"])
    order = list(dict.fromkeys(table["method"]))
    means = table.groupby("method")["precision"].mean()[order]
    name = {m: f"{safe(m)} · {means[m]:.2f}" for m in order}  # beside the bar, where no dot and no line can hide it
    names = list(name.values())
    bars = go.Bar(x=means, y=names, orientation="h", marker={"color": PALETTE[4]}, showlegend=False)
    fig = go.Figure(bars.update(hovertemplate="%{y}<br>mean %{x:.3f}<extra></extra>"))
    several = table[table["method"].map(table["method"].value_counts()) > 1]
    dots = go.Scatter(x=several["precision"], y=several["method"].map(name), mode="markers", name="single run")
    dots.update(marker={"size": 7, "color": PALETTE[8], "opacity": 0.7}, hovertemplate="%{x:.3f}<extra></extra>")
    fig.add_trace(dots)
    fig.add_vline(
        x=chance,
        line={"dash": "dash", "color": PALETTE[5], "width": 2},
        annotation={"text": f"chance {chance:.2f}", "font": {"color": PALETTE[5]}, "yshift": 4},
        annotation_position="top",
    )
    fig.update_xaxes(title_text=safe(value), range=[0, 1.04], tickformat=".1f")
    fig.update_yaxes(title_text="method · mean", categoryorder="array", categoryarray=names, autorange="reversed")
    fig.update_layout(legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"})
    return decorate(fig, title, caption, height=38 * len(order) + 90, panels=True)


def gap_curves(curves: pd.DataFrame, panel: str = "method", *, title: str = "", caption: str = "") -> go.Figure:
    """Draw what is lost of the predicted probability while sRNAs are masked, important first or unimportant first.

    Parameters
    ----------
    curves : DataFrame
        ``order, share_masked, gap`` from `gaps.gap_table` and the column named by `panel`.
    panel : str, default "method"
        Column with one panel for each value.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        The area under a line is the prediction gap.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(curves, ["order", "share_masked", "gap", panel])
    panels = list(dict.fromkeys(table[panel]))
    names = {"PGI": "important first (PGI)", "random": "random order", "PGU": "unimportant first (PGU)"}
    shades = {"PGI": PALETTE[5], "random": "#777777", "PGU": PALETTE[0]}
    unknown = sorted(set(table["order"]) - set(names))
    if unknown:
        raise InputError(f"gap curves: unknown order {unknown[0]!r}; expected one of {', '.join(names)}.")
    titles = [f"<b>{safe(p)}</b>" for p in panels]
    fig = make_subplots(1, len(panels), shared_yaxes=True, horizontal_spacing=0.06, subplot_titles=titles)
    for col, which in enumerate(panels, 1):
        for order in dict.fromkeys(table["order"]):
            part = table[(table[panel] == which) & (table["order"] == order)]
            line = go.Scatter(x=part["share_masked"], y=part["gap"], mode="lines", name=names[order])
            line.update(line={"color": shades[order], "width": 2.5, "dash": "dash" if order == "random" else "solid"})
            line.update(legendgroup=order, showlegend=col == 1)
            fig.add_trace(line.update(hovertemplate="masked %{x:.0%}<br>lost %{y:.1%}<extra></extra>"), 1, col)
    fig.update_xaxes(title_text="sRNAs masked (%)", tickformat=".0%", range=[0, 1], tickvals=[0, 0.5, 1])
    fig.update_yaxes(tickformat=".0%", range=[-0.02, 1.02])
    fig.update_yaxes(title_text="probability of the true class that is lost (%)", row=1, col=1)
    fig.update_layout(legend={"title": {"text": "masked"}})
    return decorate(fig, title, caption, height=340, panels=True)


FOR, AGAINST, LEVEL = PALETTE[5], PALETTE[0], "#8C8C8C"


class Explained(NamedTuple):
    """One sample as the heatmap shows it.

    Attributes
    ----------
    title : str
        What stands above the panel, e.g. sample, true and predicted class.
    contributions : DataFrame, shape (n_classes, n_srnas)
        Contributions to the logit of each class.
    counts : Series, shape (n_all_srnas,)
        Raw counts of the whole library.
    """

    title: str
    contributions: pd.DataFrame
    counts: pd.Series


def explained(unseen: HeldOut, sample: str, **options: Any) -> Explained:
    """One sample as the network explains it that never saw its study.

    Parameters
    ----------
    unseen : HeldOut
        From `cases.held_out`.
    sample : str
        Name of the sample.
    **options
        ``reference``, ``rule`` and others of `deeplift.contributions`.

    Returns
    -------
    Explained
        Titled with the sample's recorded and predicted class.
    """
    row = unseen.table.loc[sample]
    found = unseen.explain(sample, **options).of_sample(sample)
    return Explained(f"{sample}: {row['y_true']}, called {row['y_pred']}", found, unseen.task.X.loc[sample])


def sample_heatmap(samples: Sequence[Explained], n: int = 20, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw what speaks for and against each class in single samples: classes downwards, sRNAs to the right.

    Parameters
    ----------
    samples : sequence of Explained
        One panel each, side by side, on one colour scale; two make a comparison of a right and a wrong call.
    n : int, default 20
        sRNAs per panel: those that tell the classes apart most (largest range of contributions over classes), in
        order of their contribution to the class with the highest sum.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        Hover gives counts, reads per million and the contribution.

    Raises
    ------
    InputError
        No sample, or contributions without a row or column.
    """
    _check(samples)
    shown = [_most_telling(s.contributions, n) for s in samples]
    limit = max(float(np.abs(t.to_numpy()).max()) for t in shown) or 1.0
    fig = make_subplots(1, len(samples), shared_yaxes=True, horizontal_spacing=0.04)
    for col, (sample, table) in enumerate(zip(samples, shown, strict=True), 1):
        fig.add_trace(_cells(sample, table), 1, col)
    fig.update_xaxes(title_text="sRNA", tickangle=-60, showgrid=False)
    fig.update_yaxes(autorange="reversed", showgrid=False)
    fig.update_yaxes(title_text="class", row=1, col=1)
    fig.update_layout(coloraxis=diverging(limit, "contribution<br>to the logit"))
    panel_titles(fig, [s.title for s in samples])
    return decorate(fig, title, caption, height=max(280, 26 * len(shown[0]) + 150), panels=True)


def sample_browser(samples: Sequence[Explained], n: int = 30, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw one sample at a time, with a menu that lists them all.

    Parameters
    ----------
    samples : sequence of Explained
        What the menu offers; the first is shown.
    n, title, caption
        As in `sample_heatmap`.

    Returns
    -------
    Figure
        One heatmap per sample, each on a colour scale of its own.

    Raises
    ------
    InputError
        As in `sample_heatmap`.
    """
    _check(samples)
    fig = go.Figure()
    limits = []
    for i, sample in enumerate(samples):
        table = _most_telling(sample.contributions, n)
        limits.append(float(np.abs(table.to_numpy()).max()) or 1.0)
        fig.add_trace(_cells(sample, table).update(visible=i == 0))
    buttons = [
        {
            "label": safe(sample.title),
            "method": "update",
            "args": [
                {"visible": [j == i for j in range(len(samples))]},
                {"coloraxis.cmin": -limits[i], "coloraxis.cmax": limits[i]},
            ],
        }
        for i, sample in enumerate(samples)
    ]
    menu = {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "bgcolor": "white"}
    fig.update_xaxes(title_text="sRNA", tickangle=-60, showgrid=False)
    fig.update_yaxes(title_text="class", autorange="reversed", showgrid=False)
    fig.update_layout(coloraxis=diverging(limits[0], "contribution<br>to the logit"), updatemenus=[menu])
    fig = decorate(fig, title, caption, height=max(280, 26 * len(samples[0].contributions) + 150), panels=True)
    return fig.update_layout(margin_t=fig.layout.margin.t + 14, height=fig.layout.height + 14)


def waterfall(steps: pd.DataFrame, axis: str = "logit", *, title: str = "", caption: str = "") -> go.Figure:
    """Draw one prediction step by step, from the reference at the top to the sample at the bottom.

    Parameters
    ----------
    steps : DataFrame
        ``label, value, kind, total`` from `cases.breakdown`.
    axis : str, default "logit"
        What is added up, e.g. ``"logit of Brain minus logit of Stem"``.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        Orange steps raise, blue ones lower it.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(steps, ["label", "value", "kind", "total"])
    ends = table["kind"].isin(["start", "end"])
    fig = go.Figure(
        go.Waterfall(
            orientation="h",
            measure=np.where(ends, "absolute", "relative"),
            x=np.where(ends, table["total"], table["value"]),
            y=[short(v, 34) for v in table["label"]],
            text=[f"{v:.2f}" if e else f"{v:+.2f}" for v, e in zip(table["value"], ends, strict=True)],
            textposition="outside",
            cliponaxis=False,
            customdata=[safe(v) for v in table["label"]],
            hovertemplate="%{customdata}<br>%{text}<extra></extra>",
            increasing={"marker": {"color": FOR}},
            decreasing={"marker": {"color": AGAINST}},
            totals={"marker": {"color": LEVEL}},
            connector={"line": {"color": "#BBBBBB", "width": 1}},
        )
    )
    low, high = float(np.minimum(table["total"].min(), 0)), float(np.maximum(table["total"].max(), 0))
    margin = 0.12 * (high - low) or 1.0
    fig.update_xaxes(title_text=safe(axis), range=[low - margin, high + margin], zeroline=True, zerolinecolor="#888888")
    fig.update_yaxes(title_text="sRNA", autorange="reversed", showgrid=False)
    return decorate(fig, title, caption, height=26 * len(table) + 70)


def _check(samples: Sequence[Explained]) -> None:
    if not samples or any(s.contributions.empty for s in samples):
        raise InputError("heatmap of samples: expected at least one sample with contributions.")


def _cells(sample: Explained, table: pd.DataFrame) -> go.Heatmap:
    """Heatmap of one sample's contributions; hover gives counts and reads per million."""
    total = float(sample.counts.sum()) or 1.0
    counts = sample.counts.reindex(table.columns).fillna(0).to_numpy(dtype=float)
    hover = [
        [
            f"<b>{safe(srna)}</b><br>{safe(name)}: {value:+.3f}<br>{c:.0f} counts, {1e6 * c / total:.1f} RPM"
            for srna, value, c in zip(table.columns, row, counts, strict=True)
        ]
        for name, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    return go.Heatmap(
        z=table.to_numpy(dtype=float),
        x=[short(c) for c in table.columns],
        y=[safe(c) for c in table.index],
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
        coloraxis="coloraxis",
        xgap=1,
        ygap=1,
    )


def _most_telling(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """Columns with the largest range over the rows, in order of the row with the largest sum."""
    spread = (table.max() - table.min()).sort_values(ascending=False, kind="stable").index[:n]
    winner = table.sum(axis=1).idxmax()
    return table[table.loc[winner, spread].sort_values(ascending=False, kind="stable").index]


ELSEWHERE, UNKNOWN = "autosome", "place unknown"


def weights(
    table: pd.DataFrame, *, top: int = 25, classes: tuple[str, str], title: str = "", caption: str = ""
) -> go.Figure:
    """Draw the largest weights of a linear model, with their range over folds, coloured by where the gene lies.

    Parameters
    ----------
    table : DataFrame
        From `importance.linear_weights`.
    top : int, default 25
        Rows that are drawn.
    classes : tuple of two str
        Classes that negative and positive weights speak for.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        One trace per place: sex chromosomes, autosomes, unknown.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, ["srna", "rank", "weight", "lowest", "highest", "chrom", "linked"])
    table = table.sort_values("rank").head(top).reset_index(drop=True)
    where = table["linked"].where(table["linked"] != "", ELSEWHERE).mask(table["chrom"] == "", UNKNOWN)
    where = where.mask(~where.isin([ELSEWHERE, UNKNOWN]), "on " + where)
    ends = table.assign(ci_low=table["lowest"], ci_high=table["highest"])
    fig = go.Figure()
    order = [*sorted(set(where) - {ELSEWHERE, UNKNOWN}), ELSEWHERE, UNKNOWN]
    colours = [PALETTE[5], PALETTE[1], PALETTE[3], PALETTE[2]]
    shades = dict(zip(order[:-2], colours * len(order), strict=False)) | {ELSEWHERE: PALETTE[0], UNKNOWN: PALETTE[11]}
    for i, name in enumerate(order):
        part = ends[where == name]
        if part.empty:
            continue
        hover = [
            f"<b>{safe(r['srna'])}</b>, rank {r['rank']}<br>weight {r['weight']:+.3f} [{r['lowest']:+.3f},"
            f" {r['highest']:+.3f}] over folds<br>{safe(r['chrom'] or 'place unknown')}"
            for r in part.to_dict("records")
        ]
        fig.add_trace(
            go.Scatter(
                x=part["weight"],
                y=part.index,
                mode="markers",
                name=safe(name),
                marker={"size": 11, "color": shades[name], "symbol": SYMBOLS[i % len(SYMBOLS)]},
                error_x=error_bars(part, "weight"),
                hovertext=hover,
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    fig.add_vline(x=0, line=REFERENCE)
    fig.update_xaxes(title_text=f"weight per standard deviation (left: {safe(classes[0])}, right: {safe(classes[1])})")
    name_rows(fig, [safe(n) for n in table["srna"]], "sRNA")
    fig.update_layout(legend=LEGEND, showlegend=True)
    return decorate(fig, title, caption, height=22 * len(table) + 60, panels=True)
