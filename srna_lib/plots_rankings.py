"""Figures of rankings: intervals, agreement, known truth, prediction gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from srna_lib.errors import InputError
from srna_lib.plots_base import PALETTE, SEQUENTIAL, as_table, decorate, safe
from srna_lib.plots_explain import short


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
