"""Parts that figures share: dots with intervals, bands, lines of reference, named rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from srna_lib.plots_base import printed, styles

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
