"""Figures of flips: matrices of classes, curves of single samples, orders compared, scores and what they detect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.express as px
import plotly.graph_objects as go

from srna_lib.errors import InputError
from srna_lib.plots import base
from srna_lib.plots.base import Table, as_table, decorate, dots, draw, heatmap, lines, mark, safe


def flip_matrix(table: Table, *, classes: Sequence[str] | None = None, title: str = "", caption: str = "") -> go.Figure:
    """Draw mean steps from each class (rows) to each other class (columns); dark cells flip soon.

    In brackets: more than half of the paths never flip, so the mean is of a minority; a cross: no path flips at all.
    `table` is from `srna_lib.stability.class_table`, `classes` the order of the classes (sorted by default).
    """
    table = as_table(table, ["own", "other", "mean", "mean_low", "mean_high", "median", "censored", "n_samples"])
    minority = (table["censored"] > 0.5).map({True: "({:.3g})", False: "{:.3g}"})
    text = ["×" if np.isnan(v) else m.format(v) for v, m in zip(table["mean"], minority, strict=True)]
    table = table.assign(text=text, told=[_told(r) for r in table.to_dict("records")])
    columns = sorted({*table["own"], *table["other"]}) if classes is None else list(classes)
    rows = [c for c in columns if c in set(table["own"])]
    wide = table.pivot(index="own", columns="other").sort_index(axis=1)
    z, text, data = (wide[c].reindex(index=rows, columns=columns) for c in ("mean", "text", "told"))
    sizes = table.groupby("own")["n_samples"].max()
    z = z.set_axis([f"{c} ({sizes[c]})" for c in rows])
    axes = "other class", "own class (samples correct from the start)"
    texts = {"text": text.fillna("").to_numpy(), "data": data.fillna("").to_numpy()}
    hover = "from %{y}<br>to %{x}<br>%{customdata}"
    # a log scale shows 5 to 10 beside 200 to 400
    fig = heatmap(z, hover=hover, axes=axes, value="mean steps", scale="Blues_r", log=True, **texts)
    return decorate(fig, title, caption, height=max(320, 34 * len(rows) + 90))


def _told(cell: Mapping) -> str:
    """What a cell of the matrix says on hover."""
    mean = "no path flips" if np.isnan(cell["mean"]) else f"mean of the flips {cell['mean']:.1f}"
    if pd.notna(cell["mean_low"]):
        mean += f" [{cell['mean_low']:.1f}, {cell['mean_high']:.1f}]"
    median = "most never flip" if np.isnan(cell["median"]) else f"{cell['median']:.0f}"
    text = f"<b>{mean}</b><br>median of all paths: {median}<br>never flips: {cell['censored']:.0%} of the paths<br>"
    if pd.notna(cell.get("share", np.nan)):
        text += f"{cell['share']:.0%} of the expressed sRNAs, {cell['reads']:.0%} of the reads<br>"
    return f"{text}{cell['n_samples']:.0f} samples"


def flip_curves(
    curves: Mapping[str, pd.DataFrame], *, classes: Sequence[str], title: str = "", caption: str = ""
) -> go.Figure:
    """Draw the probability of each class against step, one panel per sample; a line marks the flip and its sRNA.

    A panel shows the five classes that reach the highest probability somewhere on the path. `curves`: title of the
    panel -> table from `srna_lib.stability.flip_curves`; `classes` are all, so that a class has one colour in all
    figures.
    """
    if not curves:
        raise InputError("flip curves: there is no curve; expected at least one.")
    long = max(map(len, curves)) > 32  # a long name of a sample would run into the next panel
    shown, flips = [], []
    for name, curve in curves.items():
        best = curve.filter(regex="^p_").max().nlargest(5).index
        changed = np.flatnonzero(curve["predicted"] != curve["predicted"].iloc[0])
        flips.append(curve.iloc[changed[0]] if len(changed) else None)
        path = curve.iloc[: max(2 * changed[0], changed[0] + 8)] if len(changed) else curve
        masked = [f"step {s}: {n}" if n else "nothing masked" for s, n in zip(path["step"], path["srna"], strict=True)]
        path = path.assign(masked=masked, panel=name.replace(": ", ":\n", 1) if long else name)
        shown.append(path.melt(["step", "masked", "panel"], list(best), "class", "p"))
    table = pd.concat(shown, ignore_index=True)
    table["class"] = table["class"].str.removeprefix("p_")
    titles = {"step": "sRNAs masked", "p": "probability"}
    facets: dict[str, Any] = {"facet_col": "panel", "facet_col_spacing": 0.04}
    hover = "{masked}<br>{p:.1%}"
    fig = lines(table, "step", "p", "class", hover=hover, titles=titles, look=base.styles(classes), **facets)
    fig.update_xaxes(matches=None).update_yaxes(range=[-0.02, 1.08], tickformat=".0%")
    for col, flip in enumerate(flips, 1):
        if flip is not None:
            fig.add_vline(x=flip["step"], line={"color": "#222222", "dash": "dot", "width": 1}, row=1, col=col)
            note = {"text": safe(flip["srna"]), "xanchor": "left", "xshift": 4, "showarrow": False}
            fig.add_annotation(x=flip["step"], y=1.02, row=1, col=col, font_size=12, **note)
    decorate(fig, title, caption, height=360, above="text")
    return fig.update_layout(margin_t=fig.layout.margin.t + 18) if long else fig


def unflipped(table: Table, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw the share of predictions that hold after so many steps (log scale), one line per order.

    `table` holds ``order, step, share``.
    """
    table = as_table(table, ["order", "step", "share"])
    titles = {"step": "sRNAs masked (log scale)", "share": "paths without a flip"}
    axes, hover = ("step", "share", "order"), "{step:.3g}: {share:.1%}"
    fig = lines(table[table["step"] > 0], *axes, hover=hover, titles=titles, log_x=True)
    fig.update_xaxes(dtick="D2").update_yaxes(tickformat=".0%", range=[-0.02, 1.02])
    return decorate(fig, title, caption, height=360)


def steps_by_class(table: Table, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw steps to flip per predicted class (log scale), correct and wrong predictions side by side.

    `table` holds ``y_pred, wrong, steps, sample_id``. Boxes: quartiles; whiskers: 1.5 times their distance.
    """
    table = as_table(table, ["y_pred", "wrong", "steps", "sample_id"])
    order = table.groupby("y_pred")["steps"].median().sort_values(ascending=False).index
    table = table.sort_values("y_pred", key=lambda c: c.map(order.get_loc), kind="stable")
    table["prediction"] = np.where(table["wrong"], "wrong", "correct")
    look = {"correct": (base.BLUE, "circle"), "wrong": (base.VERMILION, "circle")}
    titles = {"steps": "steps to flip (log scale)", "y_pred": "predicted class"}
    hover = "{sample_id}<br>{steps:.0f} steps"
    fig = draw(px.box, table, "steps", "y_pred", "prediction", hover=hover, look=look, titles=titles)
    fig.update_traces(marker_size=4).update_traces(marker_symbol="diamond", selector={"name": "wrong"})
    fig.update_xaxes(type="log", dtick="D2")
    return decorate(fig, title, caption, height=max(300, 44 * len(order) + 60))


def error_detection(table: Table, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw how well each score tells wrong predictions from correct ones: AUROC with its interval, and chance level.

    `table` holds ``name, auroc, ci_low, ci_high``.
    """
    table = as_table(table, ["name", "auroc", "ci_low", "ci_high"])
    titles = {"auroc": "AUROC for wrong predictions", "name": "score"}
    fig = mark(dots(table, "auroc", "name", titles=titles), 0.5, "chance level")
    fig.update_xaxes(range=[np.nanmin([0.48, table["ci_low"].min()]) - 0.02, 1.01])
    return decorate(fig, title, caption, height=max(220, 40 * len(table) + 60), above="text")
