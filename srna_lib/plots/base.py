"""The look of every figure: colours, symbols, template, captions, and parts that figures share.

Text that comes from data (class names, studies) is escaped before plotly sees it, because plotly reads a
subset of HTML in titles, ticks and hover labels.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio

from srna_lib.errors import InputError

# Okabe & Ito (2008), https://jfly.uni-koeln.de/color/; black and yellow softened to stand on white.
# The last four are darker or greyer than all of these, so that lightness tells them apart.
PALETTE: tuple[str, ...] = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#4D4D4D", "#B5A500"),
    *("#332288", "#882255", "#6B3E14", "#A6A6A6"),
)
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "cross", "triangle-down", "star")
SEQUENTIAL = "Blues"
TEMPLATE = "srna"
WRAP = 120


def setup() -> None:
    """Set renderer and template for a notebook: figures travel as plotly JSON, not as images."""
    pio.renderers.default = "plotly_mimetype"
    pio.templates[TEMPLATE] = template()
    pio.templates.default = TEMPLATE


def template() -> go.layout.Template:
    """Template of all figures: white ground, dark readable text, colour-blind-safe colours."""
    axis = {
        "showline": True,
        "linecolor": "#888888",
        "gridcolor": "#E6E6E6",
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": "#888888",
        "automargin": True,
        "title": {"standoff": 10, "font": {"size": 14}},
    }
    return go.layout.Template(
        layout={
            "font": {"family": "Helvetica, Arial, sans-serif", "size": 13, "color": "#222222"},
            "paper_bgcolor": "white",
            "plot_bgcolor": "white",
            "colorway": list(PALETTE),
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {"align": "left", "bgcolor": "white", "font": {"color": "#222222"}},
            "legend": {"title": {"font": {"size": 13}}, "itemsizing": "constant"},
            "title": {"font": {"size": 17}, "subtitle": {"font": {"size": 13, "color": "#555555"}}},
        }
    )


def safe(value: Any) -> str:
    """Text of a value as plotly shall print it, character by character (``<b>`` stays ``<b>``)."""
    return html.escape(str(value), quote=False)


def printed(value: Any, labels: Mapping[str, str] | None = None) -> str:
    """Escaped printed name of a value, after a look into `labels`."""
    return safe((labels or {}).get(str(value), value))


def styles(values: Iterable[Any]) -> dict[str, tuple[str, str]]:
    """Colour and symbol of each distinct value, by sorted order: the same values look the same.

    Parameters
    ----------
    values : iterable
        Categories, repeats allowed. The symbol changes every 8 and the colour repeats after 12 of them: the
        first 60 look different.

    Returns
    -------
    dict
        Category (as text) -> (hex colour, plotly symbol).
    """
    names = sorted({str(v) for v in values})
    return {name: (PALETTE[i % len(PALETTE)], SYMBOLS[(i // 8) % len(SYMBOLS)]) for i, name in enumerate(names)}


def caption(
    n_samples: int | None = None,
    n_datasets: int | None = None,
    scheme: str | None = None,
    metric: str | None = None,
    extra: str | None = None,
) -> str:
    """Caption of a figure: how many samples and studies, which split, which metric.

    Parameters
    ----------
    n_samples, n_datasets : int, optional
        Samples and studies behind the figure.
    scheme, metric : str, optional
        How the data were split, and what is measured.
    extra : str, optional
        Closing remark, e.g. how the interval was made.

    Returns
    -------
    str
        Plain text (not escaped: the plotting functions do it).
    """
    parts = []
    if n_samples is not None:
        parts.append(f"n = {n_samples} samples" + (f" of {n_datasets} studies" if n_datasets is not None else ""))
    if scheme:
        parts.append(f"split: {scheme}")
    if metric:
        parts.append(f"metric: {metric}")
    return "; ".join([*parts, *([extra] if extra else [])])


def decorate(fig: go.Figure, title: str, caption: str = "", *, height: int = 450, panels: bool = False) -> go.Figure:
    """Put title and caption above a figure, escaped and wrapped, with room for both.

    Parameters
    ----------
    fig : Figure
        Changed in place.
    title, caption : str
        Plain text.
    height : int, default 450
        Height of the plotting area in pixels; title and caption are added to it.
    panels : bool, default False
        True where panels carry titles of their own.

    Returns
    -------
    Figure
        The same object.
    """
    heads, lines = _wrap(title, WRAP - 25), _wrap(caption, WRAP)
    top = 30 + 22 * heads.count("<br>") + (22 if title else 0) + 18 * (lines.count("<br>") + bool(caption))
    top += 28 if panels else 8
    fig.update_layout(
        template=template(),
        title={
            "text": heads,
            "subtitle": {"text": lines},
            **{"x": 0, "xref": "container", "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top"},
            "pad": {"t": 14, "l": 16},
        },
        margin={"t": top, "b": 60, "l": 70, "r": 30},
        height=height + top + 60,
    )
    return fig


def unrecorded(title: str) -> go.Figure:
    """Place of a figure whose table is empty: it says that the data set does not record what would be drawn."""
    fig = go.Figure()
    fig.add_annotation(text="Not recorded in this data set.", showarrow=False, x=0, xref="paper", xanchor="left")
    fig.update_xaxes(visible=False).update_yaxes(visible=False)
    return decorate(fig, title, height=20)


def as_table(records: Sequence[Mapping[str, Any]] | pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Make a table of records, after a check that the columns which a figure needs are there.

    Raises
    ------
    InputError
        No rows, or a column is missing.
    """
    table = pd.DataFrame(records).reset_index(drop=True)
    lacking = [c for c in columns if c not in table]
    if lacking:
        found = ", ".join(map(str, table.columns)) or "none"
        raise InputError(f"table to plot: the columns {', '.join(lacking)} are missing (found: {found}).")
    if table.empty:
        raise InputError("table to plot: it has no rows; expected at least one.")
    return table


def panel_titles(fig: go.Figure, titles: Sequence[str]) -> None:
    """Write a title above each panel of a one-row figure (escaped, lines kept), from left to right."""
    for i, text in enumerate(titles):
        axis = "x" if i == 0 else f"x{i + 1}"
        fig.add_annotation(
            text=f"<b>{'<br>'.join(safe(line) for line in text.splitlines())}</b>",
            **{"x": 0, "xref": f"{axis} domain", "xanchor": "left"},
            **{"y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False, "yshift": 4},
        )


def is_share(values: Iterable[float]) -> bool:
    """Whether all values lie in 0..1, so that an axis can print them in per cent."""
    found = pd.Series(list(values), dtype=float).dropna()
    return bool(len(found)) and bool(found.between(0, 1).all())


def _wrap(text: str, width: int) -> str:
    """Escape a text and break it into lines, which plotly does not do by itself."""
    return "<br>".join(safe(line) for line in textwrap.wrap(text, width))


DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
REFERENCE = {"color": "#666666", "dash": "dash", "width": 1.5}
UNDECIDED = "#8A8A8A"
LEGEND = {"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"}


def lines(table: pd.DataFrame, x: str, y: str, by: str, labels: Mapping[str, str] | None) -> go.Figure:
    """Draw one line per value of the column `by`, told apart by colour and dashes; the column `y` is a share."""
    fig, look = go.Figure(), styles(table[by])
    for i, name in enumerate(dict.fromkeys(table[by])):
        part = table[table[by] == name]
        trace = go.Scatter(x=part[x], y=part[y], mode="lines", name=printed(name, labels))
        trace.update(line={"color": look[str(name)][0], "width": 2.5, "dash": DASHES[i % len(DASHES)]})
        fig.add_trace(trace.update(hovertemplate="%{x:.3g}: %{y:.1%}<extra>%{fullData.name}</extra>"))
    fig.update_layout(legend_title_text=printed(by, labels))
    return fig


def line(x: list[float], y: list[float], name: str) -> go.Scatter:
    """Dashed line of reference."""
    return go.Scatter(x=x, y=y, mode="lines", name=name, line=REFERENCE, hoverinfo="skip")


def band(x: pd.Series, low: pd.Series, high: pd.Series, shade: str, group: str) -> go.Scatter:
    """Area between two curves."""
    known = (low.notna() & high.notna()).to_numpy()
    along, under, over = (np.asarray(v, dtype=float)[known] for v in (x, low, high))
    red, green, blue = (int(shade[i : i + 2], 16) for i in (1, 3, 5))
    return go.Scatter(
        x=np.r_[along, along[::-1]],
        y=np.r_[over, under[::-1]],
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},0.18)",
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        legendgroup=group,
    )


def error_bars(part: pd.DataFrame, value: str) -> dict[str, Any]:
    """Error bars from the columns ``ci_low`` and ``ci_high`` around the column `value`."""
    ends = part[[value, "ci_low", "ci_high"]].astype(float)
    over, under = ends["ci_high"] - ends[value], ends[value] - ends["ci_low"]
    sides = {"array": over.clip(lower=0), "arrayminus": under.clip(lower=0)}
    return {"type": "data", "symmetric": False, "thickness": 1.6, "width": 3, **sides}


def intervals(part: pd.DataFrame, y: pd.Series, value: str, style: str) -> go.Scatter:
    """Dots with horizontal intervals."""
    hover = [
        f"<b>{r[value]:{style}}</b>{ends_text(r, style)}"
        + (f"<br>{int(r['n_samples'])} samples" if pd.notna(r.get("n_samples")) else "")
        for r in part.to_dict("records")
    ]
    return go.Scatter(
        x=part[value],
        y=y,
        mode="markers",
        error_x=error_bars(part, value),
        hovertext=hover,
        hovertemplate="%{hovertext}<extra>%{fullData.name}</extra>",
    )


def ends_text(record: Mapping[str, Any], style: str) -> str:
    """Interval of a record as text, empty where it has none."""
    if pd.isna(record["ci_low"]) or pd.isna(record["ci_high"]):
        return ""
    return f" [{record['ci_low']:{style}}, {record['ci_high']:{style}}]"


def name_rows(fig: go.Figure, names: Sequence[str], title: str) -> None:
    """Name the rows of a figure, the first on top."""
    ticks = {"tickvals": list(range(len(names))), "ticktext": list(names)}
    fig.update_yaxes(title_text=title, range=[len(names) - 0.5, -0.5], showgrid=False, **ticks)
