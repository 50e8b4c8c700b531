"""Figures about new samples: where they fall among those that a model was trained on."""

from __future__ import annotations

import pandas as pd
import plotly.express as px
import plotly.graph_objects as go

from srna_lib.plots import base
from srna_lib.plots.base import GREY, as_table, decorate, draw, styles

NEW = {"predicted": "diamond", "backed off": "square", "abstained": "x"}
CROWD = 200  # new samples above which they are drawn smaller
EDGE = {"width": 1.6, "color": "#111111"}


def placed(
    new: pd.DataFrame, training: pd.DataFrame, *, axis: str = "map", title: str = "", caption: str = ""
) -> go.Figure:
    """Draw new samples, by status and in the colour of what is predicted, on the map of the training samples.

    `new` holds ``x, y, sample, status`` (predicted, backed off, abstained) and ``prediction``, `training` ``x, y,
    sample, class``; further columns are told on hover. `axis` names the axes, e.g. "openTSNE".
    """
    new = as_table(new, ["x", "y", "sample", "status", "prediction"]).round({"x": 3, "y": 3})
    training = as_table(training, ["x", "y", "sample", "class"]).round({"x": 3, "y": 3})
    look = styles(training["class"])
    titles = {"x": f"{axis} 1", "y": f"{axis} 2"}
    for table in (training, new):
        table["told"] = base.facts(table, [c for c in table if c not in ("x", "y", "sample")])
    hover, trained = "<b>{sample}</b>{told}", training.sort_values("class", kind="stable")
    fig = draw(px.scatter, trained, "x", "y", "class", hover=hover, look=look, titles=titles)
    fig.update_traces(marker={"size": 5, "opacity": 0.45}, legendgroup="training", legendgrouptitle_text="trained on")
    for status, symbol in NEW.items():
        rows = new[new["status"] == status]
        if rows.empty:
            continue
        shades = [look.get(str(p), (GREY, ""))[0] for p in rows["prediction"]]
        marker = {"size": 11 if len(new) <= CROWD else 7, "symbol": symbol, "color": shades, "opacity": 1, "line": EDGE}
        base.overlay(fig, rows, "x", "y", f"{status} ({len(rows)})", marker, hover=hover)
        fig.data[-1].update(legendgroup="new", legendgrouptitle_text="new samples")
    fig.update_traces(hovertemplate="%{customdata[0]}<extra></extra>")
    fig.update_xaxes(showgrid=False).update_yaxes(showgrid=False)
    fig.update_layout(legend={"title": {"text": ""}, "groupclick": "toggleitem"})
    return decorate(fig, title, caption, height=520)
