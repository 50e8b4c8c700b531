"""Figures about an atlas: studies and classes, sex and age, depth, zeros, and maps of samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.express as px
import plotly.graph_objects as go

from srna_lib.plots import base
from srna_lib.plots.base import BLUE, GREY, PALETTE, Table, as_table, decorate, dots, draw, heatmap, mark, safe, styles

MAX_LEGEND = 24


def study_class_heatmap(table: pd.DataFrame, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw which study brings how many samples of which class; white where it brings none.

    `table` holds counts (studies x classes). Studies of one class come first, class by class, so that they form a
    staircase; those of several classes stand to the right of a line.
    """
    table = as_table(table.reset_index(names="study"), ["study"]).set_index("study")
    first, several = table.to_numpy().argmax(axis=1), (table > 0).sum(axis=1).to_numpy() > 1
    table = table.iloc[np.lexsort((-table.max(axis=1).to_numpy(), first, several))].T
    z = table.set_axis([f"{c} ({n})" for c, n in table.sum(axis=1).items()])
    limits = 0, max(1.0, float(np.log10(table.max(axis=None))))
    axes = f"{len(several)} studies (hover for the accession)", "class (samples)"
    shades = ["#8FBBDD", "#3B7FB8", "#08306B"]  # a lone sample shows in a thin column
    hover = "study %{x}<br>%{y}<br>%{customdata:d} samples"
    fig = heatmap(z, hover=hover, axes=axes, value="samples", data=table, scale=shades, limits=limits, log=True)
    fig.update_traces(xgap=1 if len(several) <= 80 else 0)
    fig.update_xaxes(showticklabels=False, ticks="")
    edge, n = int((~several).sum()), len(several)
    both = 0 < edge < n
    if both:
        fig.add_vline(x=edge - 0.5, line=base.REFERENCE)
        place = {"y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}
        fig.add_annotation(x=-0.5, xanchor="left", text=f"{edge} studies of one class", **place)
        fig.add_annotation(x=n - 0.5, xanchor="right", text=f"{n - edge} of several", **place)
    height = (28 if len(table) <= 30 else 16) * len(table) + 60
    return decorate(fig, title, caption, height=max(220, height), above="text" if both else "")


def people(table: pd.DataFrame, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw of which share of the samples of each group sex and age are known; the rest of a bar is unknown.

    `table` holds ``group, n_samples, female, male, sex_known, age_known``, as from `srna_lib.explore.people`.
    """
    table = as_table(table, ["group", "n_samples", "female", "male", "sex_known", "age_known"])
    if not table[["sex_known", "age_known"]].any(axis=None):
        return base.unrecorded(title)
    table["row"] = [f"{g} ({n})" for g, n in zip(table["group"], table["n_samples"], strict=True)]
    look = {"female": (BLUE, "circle"), "male": (PALETTE[1], "circle")}
    titles = {"share": "share of the samples (%)", "row": "class (samples)"}
    sexes = table.melt("row", ["female", "male"], "what", "share")
    fig = draw(px.bar, sexes, "share", "row", "what", hover="{row}<br>{what}: {share:.0%}", titles=titles, look=look)
    marker = {"size": 10, "symbol": "diamond", "color": "#333333", "line": {"width": 1, "color": "white"}}
    base.overlay(fig, table, "age_known", "row", "age known", marker, hover="{row}<br>age known: {age_known:.0%}")
    fig.update_xaxes(tickformat=".0%", range=[-0.02, 1.04])
    return decorate(fig, title, caption, height=max(200, 26 * len(table) + 60), above="legend")


def depth(table: pd.DataFrame, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw the reads of every sample by class on a logarithmic axis, deepest class first.

    `table` (index: samples) holds ``class, reads, dataset_id``; samples without class are left out.
    """
    table = as_table(table.rename_axis("sample").reset_index(), ["class", "reads", "dataset_id"])
    table = table[table["class"].notna() & (table["reads"] > 0)]
    if table.empty:  # of values that are no counts
        return base.unrecorded(title)
    groups = table.groupby("class")["reads"]
    medians, sizes = groups.median().sort_values(ascending=False, kind="stable"), groups.size()
    table = table.sort_values("class", key=lambda c: c.map(medians.index.get_loc), kind="stable")
    table = table.assign(row=[f"{c} ({sizes[c]})" for c in table["class"]])
    titles = {"reads": "reads in the sample (logarithmic)", "row": "class (samples)"}
    hover = "{sample}<br>study {dataset_id}<br>{reads:.0f} reads"
    fig = draw(px.box, table, "reads", "row", hover=hover, titles=titles, points="all")
    fig.update_traces(pointpos=0, jitter=0.7, whiskerwidth=0, fillcolor="rgba(255,255,255,0.6)", hoveron="points")
    marker = {"size": 3.5, "opacity": 0.55, "color": BLUE}
    fig.update_traces(line={"color": "#333333", "width": 1.2}, marker=marker)
    fig.update_xaxes(type="log", dtick=1, exponentformat="power")
    return decorate(fig, title, caption, height=max(240, 34 * len(medians) + 60))


def zeros(shares: pd.Series, thresholds: Sequence[float], *, title: str = "", caption: str = "") -> go.Figure:
    """Draw in which share of the samples (0 to 1) each sRNA is absent; a filter drops what is right of its line."""
    counts, edges = np.histogram(shares, bins=np.linspace(0, 1, 41))
    table = pd.DataFrame({"count": counts, "low": edges[:-1], "high": edges[1:], "x": (edges[:-1] + edges[1:]) / 2})
    titles = {"x": "share of samples without a read (%)", "count": "number of sRNAs"}
    fig = draw(px.bar, table, "x", "count", hover="zeros in {low:.1%} to {high:.1%}<br>{count} sRNAs", titles=titles)
    fig.update_traces(marker_line={"width": 0.5, "color": "white"}).update_layout(bargap=0)
    fig.update_xaxes(tickformat=".0%", range=[0, 1.005])
    for threshold in thresholds:
        mark(fig, threshold, f"{threshold:.0%}")
    return decorate(fig, title, caption, height=340, above="text")


def filter_curve(table: Table, thresholds: Sequence[float], *, title: str = "", caption: str = "") -> go.Figure:
    """Draw what a filter on zeros keeps of the reads and of the sRNAs, against how strict it is.

    `table` is as from `srna_lib.explore.filter_effect`: ``max_zero_share, n_features, share_features, share_reads``.
    """
    table = as_table(table, ["max_zero_share", "n_features", "share_features", "share_reads"])
    table = table.sort_values("max_zero_share").rename(columns={"share_reads": "reads", "share_features": "sRNAs"})
    table = table.melt(["max_zero_share", "n_features"], ["reads", "sRNAs"], "kind", "kept")
    hover = "zeros in at most {max_zero_share:.0%}<br>{kept:.1%} of {kind} stay<br>{n_features} sRNAs"
    titles = {"max_zero_share": "highest share of zeros that an sRNA may have (%)", "kept": "share that stays (%)"}
    look = {"reads": (BLUE, "circle"), "sRNAs": (PALETTE[1], "diamond")}
    options: dict[str, Any] = {"titles": titles | {"kind": "share of"}, "look": look, "markers": True}
    fig = draw(px.line, table, "max_zero_share", "kept", "kind", hover=hover, **options)
    fig.update_xaxes(tickformat=".0%").update_yaxes(tickformat=".0%", range=[-0.02, 1.05])
    for threshold in thresholds:
        mark(fig, threshold, f"{threshold:.0%}")
    return decorate(fig, title, caption, height=340, above="text")


def embedding_pair(
    table: pd.DataFrame, left: str = "tissue_group", right: str = "dataset_id", *, axis: str = "map",
    names: tuple[str, str] | None = None, title: str = "", caption: str = "",
) -> go.Figure:  # fmt: skip
    """Draw the same map of samples twice, coloured by two columns; zooming into one zooms into the other.

    `table` (index: samples) holds ``x, y``, `left` and `right`. The left one has the legend, up to 24 values: beyond,
    colours and symbols repeat and hover tells. `axis` names the axes, e.g. "openTSNE"; `names` are titles of the
    panels.
    """
    table = as_table(table.rename_axis("sample").reset_index(), ["x", "y", left, right]).round({"x": 3, "y": 3})
    titles = {"x": f"{axis} 1 (arbitrary units)", "y": f"{axis} 2 (arbitrary units)"}
    maps: list[go.Figure] = []
    for column, other in ((left, right), (right, left)):
        values = table[column].astype(object).where(table[column].notna(), "unknown").astype(str)
        sizes = values.value_counts()
        shown = table.assign(told=base.facts(table, [column, other]), group=[f"{v} ({sizes[v]})" for v in values])
        shown = shown.iloc[np.argsort(-values.map(sizes), kind="stable")]  # small groups stay on top
        look = {f"{v} ({sizes[v]})": style for v, style in styles(values).items()}
        one = draw(px.scatter, shown, "x", "y", "group", hover="<b>{sample}</b>{told}", look=look, titles=titles)
        marker = {"size": 5.5, "opacity": 0.8, "line": {"width": 0.3, "color": "white"}}
        one.update_traces(marker=marker, hovertemplate="%{customdata[0]}<extra></extra>", legendgroup=None)
        maps.append(one.update_traces(showlegend=not maps and len(sizes) <= MAX_LEGEND))
    fig = base.panels(maps, names or (f"coloured by {left}", f"coloured by {right}"))
    fig.update_xaxes(showgrid=False).update_yaxes(showgrid=False).update_xaxes(matches="x", row=1, col=2)
    legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": -0.16, "yanchor": "top", "traceorder": "normal"}
    legend |= {"entrywidth": 0.19, "entrywidthmode": "fraction", "title": {"text": safe(left), "side": "top"}}
    return decorate(fig.update_layout(legend=legend), title, caption, height=440, above="text")


def neighbours(table: pd.DataFrame, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw observed shares of neighbours with their intervals, next to chance level and to the highest possible.

    `table` is as from `srna_lib.explore.neighbour_share`.
    """
    table = as_table(table, ["share", "candidates", "observed", "ci_low", "ci_high", "chance", "ceiling"])
    table["row"] = table["share"].astype(str) + "\n" + table["candidates"].astype(str)
    table = table.rename(columns={"ceiling": "highest possible"})
    long = table.melt(["row", "ci_low", "ci_high"], ["chance", "highest possible", "observed"], "kind")
    long[["ci_low", "ci_high"]] = long[["ci_low", "ci_high"]].where(long["kind"] == "observed")
    look = {"chance": (GREY, "circle-open"), "highest possible": (GREY, "line-ns"), "observed": (BLUE, "circle")}
    titles = {"value": "share of the neighbours (%)", "row": "what the neighbours share"}
    hover = "{row}<br>{kind}: <b>{number}</b>{rest}"
    fig = dots(long, "value", "row", "kind", hover=hover, style=".1%", look=look, titles=titles)
    fig.update_xaxes(tickformat=".0%", range=[-0.02, 1.02]).update_layout(scattermode="overlay")
    return decorate(fig, title, caption, height=62 * len(table) + 60, above="legend")
