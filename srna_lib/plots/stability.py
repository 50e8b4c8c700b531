"""Figures of flips: matrices of classes, curves of single samples, orders compared, scores and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from srna_lib.errors import InputError
from srna_lib.plots.base import (
    DASHES,
    REFERENCE,
    as_table,
    decorate,
    intervals,
    is_share,
    lines,
    name_rows,
    panel_titles,
    safe,
    styles,
)


def flip_matrix(
    table: pd.DataFrame,
    value: str = "mean",
    *,
    classes: Sequence[str] | None = None,
    what: str = "mean steps",
    title: str = "",
    caption: str = "",
) -> go.Figure:
    """Draw steps from each class (rows) to each other class (columns); dark cells flip soon.

    Parameters
    ----------
    table : DataFrame
        From `flip_tables.class_table`.
    value : str, default "mean"
        Column that is drawn; a share is printed in per cent.
    classes : sequence of str, optional
        Order of the classes, e.g. from `flip_classes.class_order`; sorted by default.
    what : str, default "mean steps"
        Name of the value.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        One heatmap. Values in brackets: more than half of the paths never flip, so the mean is of a minority; a cross:
        no path flips at all. Hover gives interval, median, censored share, shares of sRNAs and reads.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, ["own", "other", value, "mean", "mean_low", "mean_high", "median", "censored", "n_samples"])
    order = sorted(set(table["own"]) | set(table["other"])) if classes is None else list(classes)
    rows = [c for c in order if c in set(table["own"])]
    cells = table.set_index(["own", "other"])
    share = is_share(table[value]) and value != "mean"
    z, text, hover = (np.full((len(rows), len(order)), fill, dtype=object) for fill in (np.nan, "", ""))
    for i, own in enumerate(rows):
        for j, other in enumerate(order):
            if (own, other) in cells.index:
                cell = cells.loc[(own, other)]
                z[i, j] = float(cell[value])
                number = f"{100 * cell[value]:.0f}" if share else f"{cell[value]:.3g}"
                few = f"({number})" if cell["censored"] > 0.5 else number
                text[i, j] = "×" if np.isnan(cell[value]) else few
                hover[i, j] = _cell_text(cell)
    sizes = table.groupby("own")["n_samples"].max()
    with np.errstate(divide="ignore", invalid="ignore"):  # a log scale shows 5 against 10 beside 200 against 400
        shade = z.astype(float) if share else np.log10(z.astype(float))
    bar = {"tickformat": ".0%"} if share else _log_ticks(shade)
    fig = go.Figure(
        go.Heatmap(
            z=shade,
            x=[safe(c) for c in order],
            y=[f"{safe(c)} ({sizes[c]})" for c in rows],
            text=text,
            texttemplate="%{text}",
            customdata=hover,
            hovertemplate="from %{y}<br>to %{x}<br>%{customdata}<extra></extra>",
            hoverongaps=False,
            colorscale="Blues_r",
            xgap=1,
            ygap=1,
            colorbar={"title": {"text": safe(what)}} | bar,
        )
    )
    fig.update_xaxes(title_text="other class", showgrid=False, tickangle=-40)
    fig.update_yaxes(title_text="own class (samples right from the start)", autorange="reversed", showgrid=False)
    return decorate(fig, title, caption, height=max(320, 34 * len(rows) + 90))


def flip_curves(
    curves: Mapping[str, pd.DataFrame], *, classes: Sequence[str], most: int = 5, title: str = "", caption: str = ""
) -> go.Figure:
    """Draw the probability of each class against step, one panel per sample; a line marks the flip and its sRNA.

    Parameters
    ----------
    curves : mapping
        Panel title -> table from `stability.flip_curve`.
    classes : sequence of str
        All classes, so that a class has one colour in all figures.
    most : int, default 5
        Classes per panel: those that reach the highest probability somewhere on the path.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        Hover names the sRNA silenced at each step.

    Raises
    ------
    InputError
        No curve.
    """
    if not curves:
        raise InputError("flip curves: there is no curve; expected at least one.")
    look, shown = styles(classes), set()
    fig = make_subplots(1, len(curves), shared_yaxes=True, horizontal_spacing=0.04)
    for col, curve in enumerate(curves.values(), 1):
        p = curve.filter(regex="^p_")
        best = p.max().sort_values(ascending=False).index[:most]
        flipped = np.flatnonzero(curve["predicted"] != curve["predicted"].iloc[0])
        end = len(curve) if not len(flipped) else min(len(curve), max(2 * int(flipped[0]), int(flipped[0]) + 8))
        part = curve.iloc[:end]
        hover = [
            f"step {s}: {safe(n)}" if n else "nothing silenced" for s, n in zip(part["step"], part["srna"], strict=True)
        ]
        for column in best:
            name = column.removeprefix("p_")
            trace = go.Scatter(
                x=part["step"], y=part[column], mode="lines", name=safe(name), legendgroup=name, hovertext=hover
            )
            trace.update(line={"color": look[name][0], "width": 2, "dash": DASHES[sorted(look).index(name) // 6 % 6]})
            trace.update(hovertemplate="%{hovertext}<br>%{y:.1%}<extra>%{fullData.name}</extra>")
            fig.add_trace(trace.update(showlegend=name not in shown), 1, col)
            shown.add(name)
        if len(flipped):
            at = curve.iloc[flipped[0]]
            fig.add_vline(x=at["step"], line={"color": "#222222", "dash": "dot", "width": 1}, row=1, col=col)
            axis = "" if col == 1 else str(col)
            where = {"x": at["step"], "xref": f"x{axis}", "y": 1.02, "yref": f"y{axis}", "xanchor": "left"}
            fig.add_annotation(text=safe(at["srna"]), **where, xshift=4, showarrow=False, font={"size": 12})
    fig.update_xaxes(title_text="sRNAs silenced")
    fig.update_yaxes(range=[-0.02, 1.08], tickformat=".0%")
    fig.update_yaxes(title_text="probability", row=1, col=1)
    fig.update_layout(legend_title_text="class")
    long = max(map(len, curves)) > 32  # a long name of a sample would run into the next panel
    panel_titles(fig, [name.replace(": ", ":\n", 1) if long else name for name in curves])
    decorate(fig, title, caption, height=360, panels=True)
    return fig.update_layout(margin_t=fig.layout.margin.t + 18) if long else fig


def share_left(
    table: pd.DataFrame,
    by: str = "order",
    *,
    title: str = "",
    caption: str = "",
    labels: Mapping[str, str] | None = None,
) -> go.Figure:
    """Draw the share of predictions that hold after so many steps, one line per order (steps on a log scale).

    Parameters
    ----------
    table : DataFrame
        From `flip_tables.share_left`.
    by : str, default "order"
        Column that is coloured.
    title, caption : str
        Plain text.
    labels : mapping, optional
        Value -> printed name.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, [by, "step", "share"])
    fig = lines(table[table["step"] > 0], "step", "share", by, labels)
    fig.update_xaxes(title_text="sRNAs silenced (log scale)", type="log", dtick="D2")
    fig.update_yaxes(title_text="paths without a flip", tickformat=".0%", range=[-0.02, 1.02])
    return decorate(fig, title, caption, height=360)


def coverage(table: pd.DataFrame, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw the share of right calls among the firmest part of the samples, one line per score.

    Parameters
    ----------
    table : DataFrame
        From `firmness.accuracy_at_coverage`.
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
    table = as_table(table, ["name", "coverage", "accuracy"])
    fig = lines(table, "coverage", "accuracy", "name", {"name": "score"})
    fig.update_xaxes(title_text="samples kept, firmest first", tickformat=".0%")
    fig.update_yaxes(title_text="right calls among them", tickformat=".0%")
    return decorate(fig, title, caption, height=360)


def firmness_by_class(table: pd.DataFrame, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw steps to flip per predicted class, right and wrong calls side by side (log scale).

    Parameters
    ----------
    table : DataFrame
        From `firmness.firmness`.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        Boxes: quartiles; whiskers: 1.5 times their distance; dots beyond.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, ["y_pred", "wrong", "steps", "sample_id"])
    order = table.groupby("y_pred")["steps"].median().sort_values(ascending=False).index
    fig = go.Figure()
    for wrong, name, color in ((False, "right", "#0072B2"), (True, "wrong", "#D55E00")):
        part = table[table["wrong"] == wrong]
        box = go.Box(x=part["steps"], y=[safe(c) for c in part["y_pred"]], name=name, orientation="h")
        box.update(marker={"color": color, "size": 4, "symbol": "diamond" if wrong else "circle"})
        fig.add_trace(box.update(hovertext=[safe(s) for s in part["sample_id"]]))
    fig.update_layout(boxmode="group", legend_title_text="call")
    fig.update_xaxes(title_text="steps to flip (log scale)", type="log", dtick="D2")
    fig.update_yaxes(title_text="predicted class", categoryorder="array", categoryarray=[safe(c) for c in order][::-1])
    return decorate(fig, title, caption, height=max(300, 44 * len(order) + 60))


def score_worth(table: pd.DataFrame, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw how well each score tells wrong calls from right ones, with intervals.

    Parameters
    ----------
    table : DataFrame
        From `firmness.auroc_table`.
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
    table = as_table(table, ["name", "auroc", "ci_low", "ci_high"])
    dots = intervals(table, pd.Series(range(len(table))), "auroc", ".3f")
    fig = go.Figure(dots.update(marker={"size": 12, "color": "#0072B2"}))
    fig.add_vline(x=0.5, line=REFERENCE, annotation_text="chance")
    fig.update_xaxes(title_text="AUROC for wrong calls", range=[np.nanmin([0.48, table["ci_low"].min()]) - 0.02, 1.01])
    name_rows(fig, [safe(name) for name in table["name"]], "score")
    return decorate(fig, title, caption, height=max(220, 40 * len(table) + 60))


def _log_ticks(values: np.ndarray) -> dict:
    """Colour bar of logarithms with plain numbers: 1, 2, 5, 10 ... within the range."""
    found = values[np.isfinite(values)]
    if not len(found):
        return {}
    low, high = 10 ** found.min(), 10 ** found.max()
    ticks = [m * 10.0**e for e in range(-4, 5) for m in (1, 2, 5) if 0.999 * low <= m * 10.0**e <= 1.001 * high]
    return {"tickvals": list(np.log10(ticks)), "ticktext": [f"{t:g}" for t in ticks]} if ticks else {}


def _cell_text(cell: pd.Series) -> str:
    """What a cell of the matrix says on hover."""
    mean = "no path flips" if np.isnan(cell["mean"]) else f"mean of the flips {cell['mean']:.1f}"
    if pd.notna(cell["mean_low"]):
        mean += f" [{cell['mean_low']:.1f}, {cell['mean_high']:.1f}]"
    median = "most never flip" if np.isnan(cell["median"]) else f"{cell['median']:.0f}"
    lines = [f"<b>{mean}</b>", f"median of all paths: {median}", f"never flips: {cell['censored']:.0%} of the paths"]
    if pd.notna(cell.get("share", np.nan)):
        lines.append(f"{cell['share']:.0%} of the expressed sRNAs, {cell['reads']:.0%} of the reads")
    return "<br>".join([*lines, f"{int(cell['n_samples'])} samples"])
