"""Figures of explanations: classes, markers, rankings, single samples, weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.express as px
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy.cluster.hierarchy import dendrogram, linkage

from srna_lib.errors import InputError, one_of
from srna_lib.explain import HeldOut
from srna_lib.plots import base
from srna_lib.plots.base import PALETTE, Table, answers, as_table, decorate, dots, draw, heatmap, mark, safe, short


def class_heatmaps(
    scores: pd.DataFrame, levels: pd.DataFrame, top: pd.DataFrame, *, title: str = "", caption: str = ""
) -> go.Figure:
    """Draw the top-ranked sRNAs of every class with their scores in all classes, and their expression beside it.

    `scores` (D1) and `levels` (mean log2(CPM + 1)) are classes x sRNAs; rows from top to bottom are those of `top`,
    ``class, rank, srna`` from `srna_lib.explain.top_features`. Scores are divided by the largest of their row, so that
    rows of large and of small classes can be compared.
    """
    table = as_table(top, ["class", "rank", "srna"])
    lacking = [s for s in table["srna"] if s not in scores.columns or s not in levels.columns]
    if lacking:
        raise InputError(f"class heatmaps: {lacking[0]!r} has no score or no expression.")
    names = table["srna"].to_list()
    left, right = scores[names].T, levels.reindex(scores.index)[names].T
    left = left.div(left.abs().max(axis=1).replace(0, 1), axis=0)
    data = np.array([[safe(s)] * len(scores) for s in names])
    rows = range(len(names))  # an sRNA can lead two classes
    axes, hover = ("class", "sRNA · class that it leads"), "<b>%{customdata}</b><br>%{x}: "
    d1 = heatmap(left.set_axis(rows), hover=hover + "D1 / row's largest %{z:.2f}", axes=axes, data=data)
    level = heatmap(right.set_axis(rows), hover=hover + "%{z:.1f} log2(CPM + 1)", axes=axes, data=data)
    level.update_traces(coloraxis="coloraxis2")
    fig = base.panels([d1, level], ["importance by D1", "expression"]).update_traces(ygap=0.5, xgap=0)
    ticks = [f"{short(s)} · {safe(c)}" for s, c in zip(names, table["class"], strict=True)]
    fig.update_xaxes(tickangle=-60).update_yaxes(tickvals=[*rows], ticktext=ticks, type="linear")
    for at in np.flatnonzero(table["class"].to_numpy()[1:] != table["class"].to_numpy()[:-1]) + 0.5:
        fig.add_hline(y=at, line={"color": "#444444", "width": 1})
    heads = ("D1, share of<br>row's largest", 0.75), ("mean<br>log2(CPM + 1)", 0.25)
    upper, lower = ({"title": {"text": text}, "y": y, "len": 0.45} for text, y in heads)
    scale = {"colorscale": base.DIVERGING, "cmin": -1, "cmax": 1, "colorbar": upper}
    fig.update_layout(coloraxis=scale, coloraxis2={"colorscale": base.SEQUENTIAL, "colorbar": lower})
    return decorate(fig, title, caption, height=16 * len(names) + 150, above="text")


def clustered(
    table: pd.DataFrame, groups: pd.Series | None = None, *, value: str = "value", look: base.Look | None = None,
    title: str = "", caption: str = "",
) -> go.Figure:  # fmt: skip
    """Draw a heatmap whose rows and columns are put in order by clustering, with the tree of the rows.

    `table`: samples or classes by sRNAs; sizes are compared as they are, so bring columns to one scale before. With
    values below zero the colours diverge. `groups`: class of each row, drawn as a coloured strip; rows of one class
    beside each other are a class that shows. `value` says what the colour means; `look` gives colour and symbol of each
    class, where another figure beside it has them.
    """
    values = table.to_numpy(dtype=float)
    if min(values.shape) < 2 or np.isnan(values).any():
        raise InputError(f"clustered heatmap: a table of {table.shape} with no missing value and two rows is expected.")
    tree, across = (dendrogram(linkage(v, "average"), no_plot=True) for v in (values, values.T))
    shown = table.iloc[tree["leaves"], across["leaves"]]
    strip, n = groups is not None, len(table)
    widths = [0.12, 0.02, 0.86] if strip else [0.12, 0.88]
    fig = make_subplots(1, len(widths), column_widths=widths, horizontal_spacing=0.006)
    for leaves, distance in zip(tree["icoord"], tree["dcoord"], strict=True):  # scipy puts leaves at 5, 15, 25, ...
        branch = go.Scatter(x=-np.array(distance), y=(np.array(leaves) - 5) / 10, mode="lines", hoverinfo="skip")
        fig.add_trace(branch.update(line={"color": "#777777", "width": 1}, showlegend=False), 1, 1)
    if groups is not None:
        rows = pd.DataFrame({"class": groups.astype(str)[shown.index], "y": range(n), "x": 1})
        marks = draw(px.bar, rows, "x", "y", "class", hover="{class}", orientation="h", look=look)
        fig.add_traces(marks.update_traces(width=1, marker_line_width=0).data, rows=1, cols=2)
        fig.update_xaxes(range=[0, 1], row=1, col=2).update_layout(bargap=0, barmode="overlay")
    names = [safe(i) for i in shown.index]
    data = np.array([[i] * shown.shape[1] for i in names])
    cells = heatmap(shown.set_axis(range(n)), hover="%{customdata}<br>%{x}: %{z:.2f}", axes=("", ""), data=data)
    fig.add_traces(cells.update_traces(xgap=0, ygap=0).data, rows=1, cols=len(widths))
    bare = {"showgrid": False, "showticklabels": False, "ticks": "", "showline": False}
    fig.update_xaxes(**bare).update_yaxes(range=[n - 0.5, -0.5], type="linear", **bare)
    fig.update_xaxes(title_text="distance", row=1, col=1)
    fig.update_yaxes(title_text=f"{n} {safe(table.index.name or 'rows')}", row=1, col=1)
    ticks = {"tickvals": [safe(c) for c in shown], "ticktext": [short(c) for c in shown], "tickangle": -60}
    ticks |= {"title_text": f"{shown.shape[1]} sRNAs", "type": "category", "showticklabels": shown.shape[1] <= 60}
    fig.update_xaxes(row=1, col=len(widths), **ticks)
    limit = float(np.quantile(np.abs(values), 0.995)) or 1.0
    scale: dict[str, Any] = {"colorscale": base.SEQUENTIAL, "colorbar": {"title": {"text": safe(value)}}}
    if values.min() < 0:
        scale |= {"colorscale": base.DIVERGING, "cmin": -limit, "cmax": limit}
    if n <= 40 and not strip:
        ticks = {"tickvals": list(range(n)), "ticktext": names, "showticklabels": True, "side": "right"}
        fig.update_yaxes(row=1, col=2, **ticks)
        scale["colorbar"]["x"] = 1.03 + 0.012 * max(map(len, names))  # beyond the names
    legend = {"orientation": "h", "y": 1, "yanchor": "bottom", "title": {"text": "class"}}
    fig.update_layout(coloraxis=scale, legend=legend)
    decorate(fig, title, caption, above="text" if strip else "", height=min(760, max(300, 4 * n if strip else 30 * n)))
    if groups is not None:  # the legend stands in lines of its own between caption and heatmap
        room = 20 * -(-groups.nunique() // 6) + 10
        fig.update_layout(margin_t=fig.layout.margin.t + room, height=fig.layout.height + room)
    return fig


@answers
def marker_ranks(table: Table, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw the rank of known markers in their class, one colour per reference.

    `table` holds ``class, srna, rank, reference``; a missing rank is an sRNA that never reached the model. Lines mark
    ranks 5 and 20. The axis is logarithmic: from 1 to 10 matters more than from 101 to 110.
    """
    table = as_table(table, ["class", "srna", "rank", "reference"])
    table["row"] = table["class"].astype(str) + " · " + table["srna"].str.removeprefix("hsa-")
    titles = {"rank": "rank by D1 in its class (1 is best)", "row": "class · marker"}
    hover = "{class} · {srna}<br>rank {rank:.1f}"
    fig = draw(px.scatter, table, "rank", "row", "reference", hover=hover, titles=titles, log_x=True)
    fig.update_traces(marker={"size": 10, "opacity": 0.85})
    for row, ranks in table.dropna(subset="rank").groupby("row", sort=False)["rank"]:
        ends = go.Scatter(x=[ranks.min(), ranks.max()], y=[safe(row)] * 2, mode="lines", zorder=-1)
        fig.add_trace(ends.update(line={"color": "#CCCCCC", "width": 3}, hoverinfo="skip", showlegend=False))
    for at in (5, 20):
        mark(fig, at)
    fig.update_xaxes(tickvals=[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000])
    return decorate(fig, title, caption, height=22 * table["row"].nunique() + 90)


@answers
def marker_zeros(table: Table, limit: float = 0.3, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw in how many samples known markers are absent; a filter on zeros drops what is right of its line, `limit`.

    `table` holds ``class, srna``, ``zero_share`` and ``zero_share_class``: the share (0 to 1) of all samples, and of
    the samples of its class, without a read of it.
    """
    table = as_table(table, ["class", "srna", "zero_share", "zero_share_class"])
    table["row"] = table["class"].astype(str) + " · " + table["srna"].str.removeprefix("hsa-")
    kinds = {"zero_share": "all samples", "zero_share_class": "samples of its class"}
    long = table.rename(columns=kinds).melt("row", list(kinds.values()), "kind", "share")
    look = dict(zip(kinds.values(), ((base.VERMILION, "circle"), (base.BLUE, "diamond")), strict=True))
    titles = {"share": "samples without a read of the marker (%)", "row": "class · marker", "kind": "share among"}
    hover = "{row}<br>absent in {share:.1%}"
    fig = draw(px.scatter, long, "share", "row", "kind", hover=hover, look=look, titles=titles)
    fig.add_vrect(x0=limit, x1=1.03, fillcolor="#F3E3DA", line_width=0, layer="below")
    mark(fig, limit, "filter").update_xaxes(tickformat=".0%", range=[-0.03, 1.03])
    return decorate(fig, title, caption, height=22 * len(table) + 90, above="text")


def set_dots(table: Table, n: int = 3, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw the most over-represented sets of every class: classes to the right, sets downwards.

    Larger dots have more members among the top-ranked, darker ones a smaller q; open dots have q of .05 and more.
    `table` is from `srna_lib.explain.over_representation_by_class`. The `n` sets of each class and collection with the
    smallest p make the rows; a row shows the set in every class that has members of it among its top-ranked.
    """
    table = as_table(table, ["class", "collection", "set", "overlap", "size", "fold", "p", "q", "members"])
    table = table[table["overlap"] > 0].sort_values("p", kind="stable")
    names = table.get("title", table["set"])
    names = names.where(names.astype(str) != "", table["set"]).astype(str)
    cut = names.where(names.str.len() <= 34, names.str[:33] + "…").str.removeprefix("hsa-")
    table = table.assign(row=cut + " · " + table["collection"], key=table["collection"] + "\n" + table["set"])
    leads = table.groupby(["collection", "class"], sort=False).head(n).drop_duplicates("key")
    leads = leads.sort_values(["collection", "class"], kind="stable")  # a diagonal is easier to read
    table = table[table["key"].isin(leads["key"])]
    symbols = {"q < .05": "circle", "q >= .05": "circle-open"}
    sure = np.where(table["q"] < 0.05, *symbols)
    shade, members = -np.log10(table["q"].clip(lower=1e-12)), table["members"].str.replace(";", ", ").str[:90]
    table = table.assign(sure=sure, shade=shade, members=members).sort_values("class", kind="stable")
    hover = "<b>{set}</b> ({collection})<br>{class}: {overlap} of {size} members among the top-ranked, {fold:.1f} times"
    hover += " as many as by chance<br>p {p:.1e}, q {q:.1e}<br>{members}"
    titles = {"shade": "-log10 q", "row": "set · collection"}
    marks: dict[str, Any] = {"size": "overlap", "size_max": 26, "color_continuous_scale": ["#9ecae1", "#08306b"]}
    marks |= {"symbol": "sure", "symbol_map": {safe(k): v for k, v in symbols.items()}}
    fig = draw(px.scatter, table, "class", "row", "shade", hover=hover, titles=titles, **marks)
    fig.update_traces(showlegend=False, marker_sizemin=6)
    for name, symbol in symbols.items():  # a legend cannot show numbers as colours: it gets entries of its own
        marker = {"size": 10, "color": "#444444", "symbol": symbol}
        fig.add_scatter(x=[None], y=[None], mode="markers", name=safe(name), marker=marker)
    rows = [safe(r) for r in leads["row"]]
    fig.update_xaxes(tickangle=-40).update_yaxes(categoryarray=rows, range=[len(rows) - 0.4, -0.6])
    fig.update_layout(coloraxis={"cmin": 0})
    return decorate(fig, title, caption, height=20 * len(rows) + 110, above="legend")


def class_rankings(table: Table, n: int = 8, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw the `n` top-ranked sRNAs of every class with the interval of their score, one panel per class.

    `table` holds ``class, srna, score, rank, ci_low, ci_high, rank_low, rank_high``, from `srna_lib.explain.ranking`.
    """
    table = as_table(table, ["class", "srna", "score", "rank", "ci_low", "ci_high", "rank_low", "rank_high"])
    table = table.sort_values(["class", "rank"], kind="stable").groupby("class").head(n)
    table["row"] = table["class"].astype(str) + " · " + table["srna"]  # the sRNAs of a panel are its own
    n_classes = table["class"].nunique()
    rows, high = -(-n_classes // 3), 24 * n + 80
    hover = "<b>{srna}</b><br>D1 {number}{rest}<br>rank {rank:.0f} [{rank_low:.0f}, {rank_high:.0f}]"
    titles = {"score": "D1 (logit)", "row": "sRNA"}
    room = {"facet_row_spacing": min(0.4 / rows, 64 / (high * rows)), "facet_col_spacing": 0.17}
    facets: dict[str, Any] = {"facet_col": "class", "facet_col_wrap": min(3, n_classes)}
    facets |= room if n_classes > 1 else {}
    fig = dots(table, "score", "row", hover=hover, titles=titles, **facets)
    names = {"tickvals": [safe(r) for r in table["row"]], "ticktext": [short(s, 18) for s in table["srna"]]}
    own = {"matches": None, "showticklabels": True, "range": None}
    fig.update_xaxes(rangemode="tozero", **own)
    fig.update_yaxes(categoryorder="trace", autorange="reversed", **own, **names)
    return decorate(fig, title, caption, height=high * rows, above="text")


def agreement_heatmap(matrix: pd.DataFrame, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw what share every two rankings have in common, from `srna_lib.explain.agreement_matrix`."""
    if matrix.empty or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"agreement: a table of {matrix.shape} is not square; expected every run by every run.")
    text = np.char.mod("%.2f", matrix.to_numpy(dtype=float)) if len(matrix) <= 16 else None
    look: dict[str, Any] = {"axes": ("ranking", "ranking"), "limits": (min(0.0, float(matrix.min().min())), 1)}
    fig = heatmap(matrix, hover="%{y}<br>%{x}<br>%{z:.2f}", value="share in common", text=text, **look)
    return decorate(fig, title, caption, height=max(300, 34 * len(matrix) + 120))


@answers
def truth_bars(
    table: Table, chance: float, *, value: str = "precision", title: str = "", caption: str = ""
) -> go.Figure:
    """Draw how many of the true biomarkers each method finds, beside what a random ranking finds (`chance`).

    `table` holds ``method`` and ``precision`` (0 to 1); several rows of a method (seeds) become a bar of their mean and
    dots. `value` names the axis, e.g. with the length of the list.
    """
    table = as_table(table, ["method", "precision"])
    groups = table.groupby("method", sort=False)["precision"]
    mean, several = groups.transform("mean"), groups.transform("size") > 1
    # the mean stands beside the bar, where no dot and no line can hide it
    table = table.assign(mean=mean, row=[f"{m} · {v:.2f}" for m, v in zip(table["method"], mean, strict=True)])
    titles = {"mean": value, "row": "method · mean"}
    bars = table.drop_duplicates("row")
    fig = draw(px.bar, bars, "mean", "row", hover="{row}<br>mean {mean:.3f}", titles=titles)
    fig.update_traces(marker_color=PALETTE[4])
    marker = {"size": 7, "color": PALETTE[8], "opacity": 0.7}
    base.overlay(fig, table[several], "precision", "row", "single run", marker, hover="{precision:.3f}")
    mark(fig, chance, f"chance {chance:.2f}").update_xaxes(range=[0, 1.04], tickformat=".1f")
    return decorate(fig, title, caption, height=38 * len(bars) + 90, above="legend")


def gap_curves(table: Table, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw what is lost of the predicted probability while sRNAs are masked, important first or unimportant first.

    `table` holds ``order, share_masked, gap, method``, from `srna_lib.explain.gap_table`; a panel per method. The area
    under a line is the prediction gap.
    """
    table = as_table(table, ["order", "share_masked", "gap", "method"])
    names = {"PGI": "important first (PGI)", "random": "random order", "PGU": "unimportant first (PGU)"}
    for order in table["order"].unique():
        one_of("order of gap curves", order, names)
    look = {name: (PALETTE[i], "circle") for name, i in zip(names.values(), (5, 6, 0), strict=True)}
    titles = {"share_masked": "sRNAs masked (%)", "gap": "probability of the true class that is lost (%)"}
    table = table.assign(masked=table["order"].map(names))
    hover = "masked {share_masked:.0%}<br>lost {gap:.1%}"
    fig = base.lines(table, "share_masked", "gap", "masked", facet_col="method", hover=hover, titles=titles, look=look)
    fig.update_xaxes(tickformat=".0%", range=[0, 1], tickvals=[0, 0.5, 1])
    fig.update_yaxes(tickformat=".0%", range=[-0.02, 1.02])
    return decorate(fig, title, caption, height=340, above="text")


class Explained(NamedTuple):
    """One sample as the heatmap shows it: title, contributions (classes x sRNAs), raw counts of the whole library."""

    title: str
    contributions: pd.DataFrame
    counts: pd.Series


def explained(unseen: HeldOut, sample: str, **options: Any) -> Explained:
    """One sample as the network explains it that never saw its study; `options` as of `contributions`."""
    row = unseen.table.loc[sample]
    parts = unseen.explain(sample, **options).of_sample(sample)
    return Explained(f"{sample}: {row['y_true']}, predicted {row['y_pred']}", parts, unseen.task.X.loc[sample])


@answers
def sample_heatmap(samples: Sequence[Explained], n: int = 20, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw what speaks for and against each class in single samples side by side: classes downwards, sRNAs across.

    The `n` sRNAs of a panel are those that tell the classes apart most (largest range of contributions over classes),
    in order of their contribution to the class with the highest sum. Hover gives counts and reads per million.
    """
    figures = _cells(samples, n)
    fig = base.panels(figures, [s.title for s in samples])
    limit = max(one.layout.coloraxis.cmax for one in figures)
    fig.update_coloraxes(cmin=-limit, cmax=limit)
    return decorate(fig, title, caption, height=max(280, 26 * len(samples[0].contributions) + 150), above="text")


def sample_browser(samples: Sequence[Explained], n: int = 30, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw one sample at a time as in `sample_heatmap`, with a menu that lists them all."""
    figures = _cells(samples, n)
    fig, buttons = figures[0], []
    fig.add_traces([one.data[0] for one in figures[1:]])
    for i, (sample, one) in enumerate(zip(samples, figures, strict=True)):
        fig.data[i].visible = i == 0
        own = {f"xaxis.{k}": list(one.layout.xaxis[k]) for k in ("tickvals", "ticktext")}
        own |= {f"coloraxis.{k}": one.layout.coloraxis[k] for k in ("cmin", "cmax")}
        args = [{"visible": [j == i for j in range(len(samples))]}, own]
        buttons.append({"label": safe(sample.title), "method": "update", "args": args})
    menu = {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "bgcolor": "white"}
    fig.update_layout(updatemenus=[menu])
    decorate(fig, title, caption, height=max(280, 26 * len(samples[0].contributions) + 150), above="text")
    return fig.update_layout(margin_t=fig.layout.margin.t + 14, height=fig.layout.height + 14)


def _cells(samples: Sequence[Explained], n: int) -> list[go.Figure]:
    """Heatmap of each sample's contributions, its colours up to the largest of them."""
    if not samples or any(s.contributions.empty for s in samples):
        raise InputError("heatmap of samples: expected at least one sample with contributions.")
    figures = []
    for sample in samples:
        table = sample.contributions
        spread = (table.max() - table.min()).sort_values(ascending=False, kind="stable").index[:n]
        winner = table.loc[table.sum(axis=1).idxmax(), spread]
        table = table[winner.sort_values(ascending=False, kind="stable").index]
        counts = sample.counts.reindex(table.columns).fillna(0).to_numpy(dtype=float)
        reads = np.stack([counts, 1e6 * counts / (float(sample.counts.sum()) or 1.0)], axis=1)
        limit = float(table.abs().max(axis=None)) or 1.0
        hover = "<b>%{x}</b><br>%{y}: %{z:+.3f}<br>%{customdata[0]:.0f} counts, %{customdata[1]:.1f} RPM"
        data, axes, value = [reads.tolist()] * len(table), ("sRNA", "class"), "contribution\nto the logit"
        one = heatmap(table, hover=hover, axes=axes, value=value, data=data, scale=base.DIVERGING, shorten=True)
        figures.append(one.update_layout(coloraxis={"cmin": -limit, "cmax": limit}))
    return figures


def waterfall(table: Table, axis: str = "logit", *, title: str = "", caption: str = "") -> go.Figure:
    """Draw one prediction step by step, from the reference at the top to the sample at the bottom.

    `table` holds ``label, value, kind, total`` from `srna_lib.explain.breakdown`; `axis` names what is added up.
    Orange steps raise, blue ones lower it.
    """
    table = as_table(table, ["label", "value", "kind", "total"])
    ends = table["kind"].isin(["start", "end"])
    rows = [*range(len(table))]
    text = [f"{v:.2f}" if e else f"{v:+.2f}" for v, e in zip(table["value"], ends, strict=True)]
    x, measure = np.where(ends, table["total"], table["value"]), np.where(ends, "absolute", "relative")
    bars = go.Waterfall(x=x, y=rows, measure=measure, orientation="h", text=text, textposition="outside")
    bars.update(customdata=[safe(v) for v in table["label"]], hovertemplate="%{customdata}<br>%{text}<extra></extra>")
    for kind, shade in {"increasing": base.VERMILION, "decreasing": base.BLUE, "totals": base.GREY}.items():
        bars[kind].marker.color = shade
    bars.update(cliponaxis=False, connector={"line": {"color": "#BBBBBB", "width": 1}})
    low, high = min(table["total"].min(), 0), max(table["total"].max(), 0)
    margin = 0.12 * (high - low) or 1.0
    fig = go.Figure(bars)
    fig.update_xaxes(title_text=safe(axis), range=[low - margin, high + margin], zeroline=True, zerolinecolor=base.GREY)
    ticks = {"tickvals": rows, "ticktext": [short(v, 34) for v in table["label"]]}
    fig.update_yaxes(title_text="sRNA", autorange="reversed", showgrid=False, **ticks)
    return decorate(fig, title, caption, height=26 * len(table) + 70)


def weights(table: Table, *, top: int = 25, classes: tuple[str, str], title: str = "", caption: str = "") -> go.Figure:
    """Draw the largest weights of a linear model with their range over folds, coloured by where the gene lies.

    `table` is from `srna_lib.explain.linear_weights`, of which the `top` rows are drawn; `classes` are those that
    negative and positive weights speak for.
    """
    table = as_table(table, ["srna", "rank", "weight", "lowest", "highest", "chrom", "linked"])
    table = table.sort_values("rank").head(top).rename(columns={"lowest": "ci_low", "highest": "ci_high"})
    unknown = "place unknown"
    linked = table["linked"].where(table["linked"] == "", "on " + table["linked"])
    table["where"] = linked.where(linked != "", "autosome").mask(table["chrom"] == "", unknown)
    table["chrom"] = table["chrom"].where(table["chrom"] != "", unknown)
    colours = [PALETTE[i] for i in (5, 1, 3, 2)]
    places = sorted(set(table["where"]) - {"autosome", unknown})
    look = {p: (colours[i % 4], base.SYMBOLS[i % len(base.SYMBOLS)]) for i, p in enumerate(places)}
    look |= {"autosome": (base.BLUE, base.SYMBOLS[-1]), unknown: (PALETTE[11], base.SYMBOLS[-2])}
    titles = {"weight": f"weight per standard deviation (left: {classes[0]}, right: {classes[1]})", "srna": "sRNA"}
    hover = "<b>{srna}</b>, rank {rank}<br>weight {number}{rest} over folds<br>{chrom}"
    fig = dots(table, "weight", "srna", "where", look=look, titles=titles, style="+.3f", hover=hover)
    mark(fig.update_traces(showlegend=True), 0).update_layout(scattermode="overlay")
    return decorate(fig, title, caption, height=22 * len(table) + 60, above="legend")
