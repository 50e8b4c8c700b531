"""Figures of known markers: their ranks, their zeros, and the sets that the best sRNAs belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from srna_lib.plots_base import PALETTE, as_table, decorate, printed, safe, styles
from srna_lib.plots_explain import short


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
