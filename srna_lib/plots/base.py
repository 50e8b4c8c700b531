"""The look of every figure, and the forms that figures share: dots with intervals, lines with bands, heatmaps, panels.

Texts of tables come from strangers' files and plotly reads a subset of HTML: `draw` and `heatmap` escape every one.
"""

from __future__ import annotations

import functools
import html
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import pandas as pd
import plotly.express as px
import plotly.graph_objects as go
import plotly.io as pio
from plotly.subplots import make_subplots

from srna_lib.errors import InputError
from srna_lib.processes import ADDRESSES, hidden

Table: TypeAlias = pd.DataFrame | Sequence[Mapping[str, Any]]
Labels: TypeAlias = Mapping[str, str] | None
Look: TypeAlias = Mapping[str, tuple[str, str]]  # value -> colour and symbol
Figure = TypeVar("Figure", bound=Callable[..., go.Figure])

# Okabe & Ito (2008), https://jfly.uni-koeln.de/color/; black and yellow softened to stand on white.
# The last four are darker or greyer than all of these, so that lightness tells them apart.
PALETTE: tuple[str, ...] = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#4D4D4D", "#B5A500"),
    *("#332288", "#882255", "#6B3E14", "#A6A6A6"),
)
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "cross", "triangle-down", "star")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SEQUENTIAL, DIVERGING = "Blues", "RdBu_r"  # red speaks for, blue against; told apart with common colour blindness
BLUE, VERMILION, GREY = PALETTE[0], PALETTE[5], "#8A8A8A"
REFERENCE = {"color": "#666666", "dash": "dash", "width": 1.5}
LEGEND = {"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom", "title": {"text": ""}}
WRAP = 120


def setup() -> None:
    """Set renderer and template for a notebook: figures travel as plotly JSON, not as images."""
    with hidden(ADDRESSES):  # loads nbformat, and that jsonschema
        pio.renderers.default = "plotly_mimetype"
    pio.templates["srna"] = template()
    pio.templates.default = "srna"


def template() -> go.layout.Template:
    """Template of all figures: white ground, dark readable text, colour-blind-safe colours."""
    axis = {"showline": True, "linecolor": GREY, "gridcolor": "#E6E6E6", "zeroline": False, "automargin": True}
    axis |= {"ticks": "outside", "tickcolor": GREY, "title": {"standoff": 10, "font": {"size": 14}}}
    layout = {
        "font": {"family": "Helvetica, Arial, sans-serif", "size": 13, "color": "#222222"},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "colorway": list(PALETTE),
        "xaxis": axis,
        "yaxis": axis,
        "hoverlabel": {"align": "left", "bgcolor": "white", "font": {"color": "#222222"}},
        "legend": {"title": {"font": {"size": 13}}, "itemsizing": "constant"},
        "coloraxis": {"colorbar": {"title": {"font": {"size": 13}}}},
        "title": {"font": {"size": 17}, "subtitle": {"font": {"size": 13, "color": "#555555"}}},
    }
    bars = {"thickness": 1.6, "width": 4}
    scatter = {"marker": {"size": 10}, "line": {"width": 2.5}, "error_x": bars, "error_y": bars}
    return go.layout.Template(layout=layout, data={"scatter": [scatter]})


def safe(value: Any) -> str:
    """Text of a value as plotly shall print it, character by character (``<b>`` stays ``<b>``), lines kept."""
    return html.escape(str(value), quote=False).replace("\n", "<br>")


def printed(value: Any, labels: Labels = None) -> str:
    """Escaped printed name of a value, after a look into `labels`."""
    return safe((labels or {}).get(str(value), value))


def short(name: str, longest: int = 20) -> str:
    """Escaped name of an sRNA: without the species, and cut where many names are merged into one."""
    text = str(name).removeprefix("hsa-")
    return safe(text if len(text) <= longest else text[: longest - 1] + "…")


def styles(values: Iterable[Any]) -> dict[str, tuple[str, str]]:
    """Colour and symbol of each distinct value by sorted order, so that the same values look the same everywhere."""
    names = sorted({str(v) for v in values})
    return {name: (PALETTE[i % len(PALETTE)], SYMBOLS[(i // 8) % len(SYMBOLS)]) for i, name in enumerate(names)}


def caption(
    n_samples: int | None = None, n_datasets: int | None = None, scheme: str = "", metric: str = "", extra: str = ""
) -> str:
    """Caption of a figure: how many samples and studies, which split, which metric, a remark.

    Examples
    --------
    >>> caption(120, 7, "random folds", "accuracy", extra="95 % intervals over studies")
    'n = 120 samples of 7 studies; split: random folds; metric: accuracy; 95 % intervals over studies'
    """
    size = "" if n_samples is None else f"n = {n_samples} samples"
    size += "" if n_datasets is None else f" of {n_datasets} studies"
    parts = [size, scheme and f"split: {scheme}", metric and f"metric: {metric}", extra]
    return "; ".join(p for p in parts if p)


def decorate(fig: go.Figure, title: str, caption: str, *, height: float, above: str = "") -> go.Figure:
    """Put title and caption (plain text) over a figure, with room for the "legend" or "text" that is `above` it."""
    if above == "legend":
        fig.update_layout(legend=LEGEND)
    heads, below = ["<br>".join(map(safe, textwrap.wrap(t, w))) for t, w in ((title, WRAP - 25), (caption, WRAP))]
    top = 30 + 22 * (heads.count("<br>") + bool(title)) + 18 * (below.count("<br>") + bool(caption))
    top += 28 if above else 8
    head: dict[str, Any] = {"text": heads, "subtitle": {"text": below}, "pad": {"t": 14, "l": 16}}
    head |= {"x": 0, "xref": "container", "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top"}
    margin = {"t": top, "b": 60, "l": 70, "r": 30}
    return fig.update_layout(template=template(), title=head, margin=margin, height=height + top + 60)


def unrecorded(title: str) -> go.Figure:
    """Place of a figure whose table has no rows: it says that the data set, or the run, has nothing to draw."""
    fig = go.Figure().update_xaxes(visible=False).update_yaxes(visible=False)
    text = "Not recorded in this data set, or not part of this run."
    fig.add_annotation(text=text, showarrow=False, x=0, xref="paper", xanchor="left")
    return decorate(fig, title, "", height=20)


def answers(figure: Figure) -> Figure:
    """Let a figure whose table has no rows say so."""

    @functools.wraps(figure)
    def drawn(table: Table, *arguments: Any, **options: Any) -> go.Figure:
        return figure(table, *arguments, **options) if len(table) else unrecorded(options.get("title", ""))

    return cast(Figure, drawn)


def as_table(records: Table, columns: Iterable[str]) -> pd.DataFrame:
    """Table of records, after a check that it has rows and the columns which a figure needs."""
    table = pd.DataFrame(records).reset_index(drop=True)
    lacking = [c for c in columns if c not in table]
    if lacking:
        present = ", ".join(map(str, table.columns)) or "none"
        raise InputError(f"table to plot: the columns {', '.join(lacking)} are missing (found: {present}).")
    if table.empty:
        raise InputError("table to plot: it has no rows; expected at least one.")
    return table


def is_share(values: pd.Series) -> bool:
    """Whether all values lie in 0..1, so that an axis can print them in per cent."""
    known = values.dropna().astype(float)
    return bool(len(known)) and bool(known.between(0, 1).all())


def facts(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Lines ``column: value`` of each row, for its hover text."""
    values = table.astype(object).where(table.notna(), "unknown").to_dict("records")
    return ["".join(f"\n{c}: {row[c]}" for c in columns) for row in values]


def draw(
    kind: Callable[..., go.Figure], table: pd.DataFrame, x: str, y: str, color: str | None = None, *, hover: str,
    titles: Mapping[str, str] | None = None, labels: Labels = None, look: Look | None = None, **options: Any,
) -> go.Figure:  # fmt: skip
    """Figure of plotly.express with our look: texts escaped and in order of appearance, `hover` a format string."""
    texts = [c for c in table if not pd.api.types.is_numeric_dtype(table[c])]
    shown = table.assign(**{c: [printed(v, labels) for v in table[c]] for c in texts})
    named = [c for c in dict.fromkeys((x, y, color, options.get("facet_col"))) if c in texts]
    if kind in (px.scatter, px.line):
        options["render_mode"] = "svg"
    if color in named:
        both = {printed(k, labels): v for k, v in (look or styles(table[color])).items()}
        options["color_discrete_map"] = {name: shade for name, (shade, _) in both.items()}
        if kind is px.scatter or options.get("markers"):
            options |= {"symbol": color, "symbol_map": {name: symbol for name, (_, symbol) in both.items()}}
    orders = {c: list(dict.fromkeys(shown[c])) for c in named}
    heads = {c: printed(c, labels) for c in shown} | {c: safe(t) for c, t in (titles or {}).items()}
    options |= {"category_orders": orders, "labels": heads, "color_discrete_sequence": list(PALETTE)}
    shown["told"] = [hover.format_map(r) for r in shown.to_dict("records")]
    fig = kind(shown, x=x, y=y, color=color, custom_data=["told"], **options)
    name = "%{fullData.name}" if color in named else ""
    fig.update_traces(hovertemplate=f"%{{customdata[0]}}<extra>{name}</extra>")
    fig.for_each_annotation(lambda panel: panel.update(text=f"<b>{panel.text.partition('=')[2]}</b>", font_size=13))
    fig.update_xaxes({"type": "category"} if x in named else {})
    return fig.update_yaxes({"type": "category", "showgrid": False} if y in named else {})


def measured(table: pd.DataFrame, value: str, style: str = ".3f") -> pd.DataFrame:
    """Add the error bars of a value (``over``, ``under``) and what its hover tells (``number`` and ``rest``)."""
    ends = table[[value, "ci_low", "ci_high"]].astype(float).set_axis(["value", "low", "high"], axis=1)
    rest = [f" [{r.low:{style}}, {r.high:{style}}]" if r.low <= r.high else "" for r in ends.itertuples()]
    for column, what in (("n_samples", "samples"), ("n_datasets", "studies")):
        counts = table.get(column, pd.Series(np.nan, table.index))
        rest = [f"{t}\n{n:.0f} {what}" if pd.notna(n) else t for t, n in zip(rest, counts, strict=True)]
    over, under = (ends.high - ends.value).clip(lower=0), (ends.value - ends.low).clip(lower=0)
    return table.assign(over=over, under=under, number=[f"{v:{style}}" for v in ends.value], rest=rest)


def dots(
    table: pd.DataFrame, x: str, y: str, color: str | None = None, *, upright: bool = False, style: str = ".3f",
    hover: str = "", **options: Any
) -> go.Figure:  # fmt: skip
    """Dots with their interval ``ci_low`` to ``ci_high`` along x (y where `upright`), side by side for each colour."""
    along, other, value, name, mode = ("y", "x", y, x, "v") if upright else ("x", "y", x, y, "h")
    table = measured(table, value, style)
    hover = hover or f"{{{name}}}<br><b>{{number}}</b>{{rest}}"
    options |= {f"error_{along}": "over", f"error_{along}_minus": "under", "orientation": mode}
    fig = draw(px.scatter, table, x, y, color, hover=hover, **options)
    fig.for_each_trace(lambda t: t.update(offsetgroup=t.name, marker_line={"color": t.marker.color, "width": 2}))
    ends = table[[value, "ci_low", "ci_high"]].astype(float)
    low, high, rows = ends.min().min(), ends.max().max(), table[name].nunique()
    margin = 0.08 * (high - low) or 0.05
    fig.update_layout({f"{along}axis.range": [low - margin, high + margin], f"{other}axis.range": [-0.5, rows - 0.5]})
    return fig.update_layout(scattermode="group", scattergap=0.35)


def overlay(fig: go.Figure, table: pd.DataFrame, x: str, y: str, name: str, marker: dict, *, hover: str) -> go.Figure:
    """Add dots of another table, which have a name and a marker of their own in the legend."""
    added = draw(px.scatter, table, x, y, hover=hover)
    return fig.add_traces(added.update_traces(name=name, showlegend=True, marker=marker).data)


def lines(table: pd.DataFrame, x: str, y: str, color: str, *, labels: Labels = None, **options: Any) -> go.Figure:
    """One line per value of `color`, told apart by colour and dashes, over the band ``ci_low`` to ``ci_high``."""
    dashes: dict[str, Any] = {"line_dash": color, "line_dash_sequence": list(DASHES)}
    fig = draw(px.line, table, x, y, color, labels=labels, **dashes, **options)
    if "ci_low" not in table:
        return fig
    bands = [band(rows, x, styles(table[color])[str(name)][0]) for name, rows in table.groupby(color, sort=False)]
    for area, curve in zip(bands, fig.data, strict=True):
        area.update(legendgroup=curve.legendgroup, showlegend=False)
    return fig.add_traces(bands)


def band(table: pd.DataFrame, x: str, shade: str) -> go.Scatter:
    """Area between the columns ``ci_low`` and ``ci_high``, without the rows where one is missing."""
    known = table.dropna(subset=["ci_low", "ci_high"]).astype({x: float, "ci_low": float, "ci_high": float})
    red, green, blue = (int(shade[i : i + 2], 16) for i in (1, 3, 5))
    area = go.Scatter(x=[*known[x], *known[x][::-1]], y=[*known["ci_high"], *known["ci_low"][::-1]], mode="lines")
    area.update(fill="toself", fillcolor=f"rgba({red},{green},{blue},0.18)", line_width=0)
    return area.update(zorder=-1, hoverinfo="skip")  # below the curves


def reference(fig: go.Figure, ends: Sequence[float], name: str) -> go.Figure:
    """Add the dashed line on which both axes agree."""
    return fig.add_scatter(x=list(ends), y=list(ends), mode="lines", name=name, line=REFERENCE, hoverinfo="skip")


def mark(fig: go.Figure, at: float, text: str = "") -> go.Figure:
    """Add a dashed upright line within the axis, with a text above it."""
    if ends := fig.layout.xaxis.range:
        margin = 0.02 * (ends[1] - ends[0])
        fig.update_xaxes(range=[min(ends[0], at - margin), max(ends[1], at + margin)])
    note = {"text": safe(text), "font": {"color": REFERENCE["color"]}, "yshift": 4}
    return fig.add_vline(x=at, line=REFERENCE, **({"annotation": note, "annotation_position": "top"} if text else {}))


def heatmap(
    z: pd.DataFrame, *, hover: str, axes: tuple[str, str], value: str = "", data: Any = None, text: Any = None,
    scale: Any = SEQUENTIAL, limits: tuple[float | None, float | None] = (None, None), shorten: bool = False,
    log: bool = False,
) -> go.Figure:  # fmt: skip
    """Heatmap of a table, coloured with `log` by log10 of values above 0; `hover` is a template of plotly."""
    columns, rows = ([safe(v) for v in names] for names in (z.columns, z.index))
    names = {"x": safe(axes[0]), "y": safe(axes[1]), "color": safe(value)}
    look = {"color_continuous_scale": scale, "zmin": limits[0], "zmax": limits[1]}
    values = np.log10(z.where(z > 0)) if log else z
    fig = px.imshow(values.to_numpy(dtype=float), x=columns, y=rows, aspect="auto", labels=names, **look)
    if log and values.notna().any(axis=None):
        low, high = (own if at is None else at for at, own in zip(limits, np.nanquantile(values, [0, 1]), strict=True))
        shown = np.array([m * 10.0**e for e in range(-4, 5) for m in (1, 2, 5)])
        shown = shown[(np.log10(shown) >= low - 1e-3) & (np.log10(shown) <= high + 1e-3)]
        fig.update_layout(coloraxis_colorbar={"tickvals": np.log10(shown), "ticktext": [f"{v:g}" for v in shown]})
    fig.update_traces(xgap=1, ygap=1, hoverongaps=False, customdata=data, hovertemplate=f"{hover}<extra></extra>")
    if text is not None:
        fig.update_traces(text=text, texttemplate="%{text}")
    ticks = {"tickvals": columns, "ticktext": [short(c) for c in z.columns]} if shorten else {}
    fig.update_xaxes(type="category", showgrid=False, tickangle=-60 if shorten else -40, **ticks)
    return fig.update_yaxes(type="category", showgrid=False)


def panels(figures: Sequence[go.Figure], titles: Sequence[str]) -> go.Figure:
    """Figures side by side, each with a title and its own colours, the first with the title of the y axis."""
    heads = [f"<b>{safe(t)}</b>" for t in titles]
    fig = make_subplots(1, len(figures), subplot_titles=heads, shared_yaxes=True, horizontal_spacing=0.04)
    fig.update_annotations(font_size=13)
    for col, one in enumerate(figures, 1):
        fig.add_traces(one.data, rows=1, cols=col)
        for name, update in (("xaxis", fig.update_xaxes), ("yaxis", fig.update_yaxes)):
            axis = one.layout[name].to_plotly_json()
            own = {k: v for k, v in axis.items() if k not in ("anchor", "domain", "matches")}
            update(own if name == "xaxis" or col == 1 else own | {"title": None}, row=1, col=col)
    return fig.update_layout(coloraxis=figures[0].layout.coloraxis)
