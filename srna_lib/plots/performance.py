"""Figures of performance: metrics, confusion, studies one by one, calibration, differences, null models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.express as px
import plotly.graph_objects as go

from srna_lib.errors import InputError
from srna_lib.plots import base
from srna_lib.plots.base import BLUE, GREY, VERMILION, Labels, Table, answers, as_table, decorate, dots, draw, mark


@answers
def metrics(
    table: Table, x: str = "model", color: str = "scheme", metric: str | Sequence[str] | None = None, *,
    title: str = "", caption: str = "", labels: Labels = None,
) -> go.Figure:  # fmt: skip
    """Draw metrics with their intervals as dots, side by side for each colour, one panel per metric.

    Dots and not bars: the axis need not start at zero, and the interval is what decides.

    Parameters
    ----------
    table : DataFrame or list of dict
        Result records, as from `srna_lib.score`: ``metric, value, ci_low, ci_high``, `x` and `color`.
    x, color : str, default "model" and "scheme"
        What stands on the axis, in order of appearance, and what is coloured.
    metric : str or sequence of str, optional
        Metrics to draw; by default all that are of no single class or study.

    Examples
    --------
    >>> record = {"model": "logistic", "scheme": "random", "metric": "accuracy", "n_samples": 90}
    >>> metrics([record | {"value": 0.8, "ci_low": 0.7, "ci_high": 0.9}]).data[0].y
    array([0.8])
    """
    table = as_table(table, [x, color, "metric", "value", "ci_low", "ci_high"])
    table = table[table.reindex(columns=["class", "study"]).astype(object).fillna("").eq("").all(axis=1)]
    if "unit" in table:  # of several units that were resampled the first
        table = table[table["unit"] == table["unit"].iloc[0]]
    whole = [m for m in dict.fromkeys(table["metric"]) if ":" not in m]
    wanted = [metric] if isinstance(metric, str) else list(metric or whole)
    absent = [m for m in wanted if m not in set(table["metric"])]
    if absent:
        raise InputError(f"records: the metric {', '.join(absent)} is missing (found: {', '.join(whole)}).")
    table = table[table["metric"].isin(wanted)].sort_values("metric", key=lambda m: m.map(wanted.index), kind="stable")
    share, one = base.is_share(table["value"]), len(wanted) == 1
    what = (labels or {}).get(wanted[0], wanted[0]) if one else "value"
    titles = {"value": f"{what} (%)" if share else what}
    facet: dict[str, Any] = {} if one else {"facet_col": "metric", "facet_col_wrap": 4}
    fig = dots(table, x, "value", color, upright=True, labels=labels, titles=titles, **facet)
    fig.update_yaxes(tickformat=".0%" if share else "")
    return decorate(fig, title, caption, height=380 * -(-len(wanted) // 4), above="" if one else "text")


@answers
def per_class(
    table: Table, metrics: Sequence[str] = ("precision", "recall"), color: str = "model", *,
    title: str = "", caption: str = "", labels: Labels = None,
) -> go.Figure:  # fmt: skip
    """Draw metrics of every class with intervals: classes downwards, one panel per metric, one colour per model.

    `table` holds records with a column ``class``, or with the class in the metric (``"recall:Brain"``).
    """
    table = as_table(table, [color, "metric", "value", "ci_low", "ci_high"])
    split = table["metric"].astype(str).str.split(":", n=1)
    table = table.assign(**{"metric": split.str[0], "class": table.get("class", split.str[1])})
    table = table[table["metric"].isin(list(metrics)) & table["class"].notna()]
    if table.empty:
        raise InputError(f"records: no {' or '.join(metrics)} of a class; expected metrics such as 'recall:Brain'.")
    table = table.sort_values("metric", key=lambda m: m.map(list(metrics).index), kind="stable")
    fig = dots(table, "value", "class", color, facet_col="metric", labels=labels, titles={"value": "value (%)"})
    fig.update_xaxes(tickformat=".0%", range=[-0.02, 1.02])
    height = table["class"].nunique() * max(26, 10 * table[color].nunique() + 10) + 60
    return decorate(fig, title, caption, height=max(300, height), above="text")


@answers
def confusion(table: pd.DataFrame, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw a confusion matrix in shares of the true class: true classes downwards, predicted ones to the right.

    `table` holds counts, as from ``pandas.crosstab(y_true, y_pred)``; the diagonal shows recall.
    """
    sizes = table.sum(axis=1)
    z = table.div(sizes.where(sizes > 0, 1), axis=0).set_axis([f"{c} ({n})" for c, n in sizes.items()])
    hover = "true %{y}<br>predicted %{x}<br>%{customdata:d} samples (%{z:.1%} of the true class)"
    text = np.where(z >= 0.005, np.char.mod("%.0f", 100 * z.to_numpy(dtype=float)), "")
    names: dict[str, Any] = {"axes": ("predicted class", "true class (number of samples)"), "hover": hover}
    fig = base.heatmap(z, value="share of\ntrue class (%)", data=table.to_numpy(), text=text, limits=(0, 1), **names)
    fig.update_layout(coloraxis_colorbar_tickformat=".0%")
    return decorate(fig, title, caption, height=max(320, 34 * len(table) + 90))


@answers
def per_study(
    table: Table, by: str = "model", value: str = "accuracy", *, color: str | None = None,
    title: str = "", caption: str = "", labels: Labels = None,
) -> go.Figure:  # fmt: skip
    """Draw one dot per study, sized by its samples, in rows of models or classes; a bar marks the mean of studies.

    `table` holds ``dataset_id, n_samples``, `by` and `value` (0 to 1); other columns are shown on hover. Rows are
    coloured, or the values of `color`, which then stand in the legend.
    """
    table = as_table(table, ["dataset_id", "n_samples", by, value, *([color] if color else [])])
    table["more"] = base.facts(table, [c for c in table if c not in ("dataset_id", "n_samples", by, value)])
    rows = list(dict.fromkeys(table[by]))
    scatter = np.random.default_rng(0).uniform(-0.3, 0.3, len(table))  # parts overlapping dots, means nothing
    table = table.assign(row=table[by].map(rows.index) + scatter, number=[f"{v:.1%}" for v in table[value]])
    hover = f"<b>{{dataset_id}}</b><br>{{n_samples}} samples<br>{base.printed(value)} {{number}}{{more}}"
    titles = {value: f"{(labels or {}).get(value, value)} in the study (%)", "row": (labels or {}).get(by, by)}
    size: dict[str, Any] = {"size": "n_samples", "size_max": 30}
    fig = draw(px.scatter, table, value, "row", color or by, hover=hover, titles=titles, labels=labels, **size)
    fig.update_traces(marker_opacity=0.55, showlegend=color is not None)
    means, places = table.groupby(by, sort=False)[value].mean(), list(range(len(rows)))
    marker = {"symbol": "line-ns", "size": 44, "line": {"width": 3, "color": "#111111"}}
    means = pd.DataFrame({"mean": means, "row": places})
    base.overlay(fig, means, "mean", "row", "mean of studies", marker, hover="mean of studies {mean:.1%}")
    fig.update_xaxes(tickformat=".0%", range=[-0.04, 1.04])
    ticks = {"tickvals": places, "ticktext": [base.printed(r, labels) for r in rows]}
    fig.update_yaxes(range=[len(rows) - 0.5, -0.5], showgrid=False, **ticks)
    return decorate(fig, title, caption, height=80 * len(rows) + 60, above="legend")


@answers
def paper_comparison(table: Table, *, title: str = "", caption: str = "", labels: Labels = None) -> go.Figure:
    """Draw published and own values on one line per quantity; the source that comes first has open symbols.

    `table` holds ``quantity, source, value`` and optionally ``ci_low, ci_high``.
    """
    table = as_table(table, ["quantity", "source", "value"])
    table = table.assign(**{c: table.get(c, np.nan) for c in ("ci_low", "ci_high")})
    share = base.is_share(table["value"])
    titles = {"value": "value (%)" if share else "value"}
    fig = dots(table, "value", "quantity", "source", labels=labels, titles=titles)
    fig.data[0].marker.symbol += "-open"
    fig.update_xaxes(tickformat=".0%" if share else "")
    height = table["quantity"].nunique() * (14 * table["source"].nunique() + 22) + 40
    return decorate(fig, title, caption, height=max(220, height))


@answers
def reliability(table: Table, color: str = "model", *, title: str = "", caption: str = "") -> go.Figure:
    """Draw predicted probability against observed frequency; on the dashed line both are the same.

    `table` is as from `srna_lib.evaluate.reliability_table`, of several models one below the other.
    """
    table = as_table(table, [color, "predicted", "observed", "ci_low", "ci_high", "n_samples", "of"])
    table = base.measured(table, "observed", ".1%")
    event = " or ".join(table["of"].unique())
    titles = {"predicted": f"predicted probability of {event} (%)", "observed": "observed frequency (%)"}
    hover = "predicted {predicted:.1%}, observed <b>{number}</b>{rest}"
    error: dict[str, Any] = {"error_y": "over", "error_y_minus": "under", "markers": True}
    fig = draw(px.line, table, "predicted", "observed", color, hover=hover, titles=titles, **error)
    base.reference(fig, [0, 1], "predicted = observed")
    fig.update_xaxes(tickformat=".0%", range=[-0.03, 1.03]).update_yaxes(tickformat=".0%", range=[-0.03, 1.03])
    return decorate(fig, title, caption, height=460, above="legend")


@answers
def coverage_curve(table: Table, color: str = "model", *, title: str = "", caption: str = "") -> go.Figure:
    """Draw the accuracy of the most confident share of the samples, with its interval as a band where it is known.

    `table` holds `color`, ``coverage, accuracy`` and optionally ``ci_low, ci_high, confidence, n_samples``, as from
    `srna_lib.evaluate.coverage_curve`, of several models or scores one below the other.
    """
    table = as_table(table, [color, "coverage", "accuracy"]).sort_values("coverage", kind="stable")
    hover = "{coverage:.0%} of the samples, correct: <b>{accuracy:.1%}</b>"
    if "ci_low" in table:
        table = base.measured(table, "accuracy", ".1%")
        hover = "{coverage:.0%} of the samples, confidence {confidence:.2f} or more<br>correct: <b>{number}</b>{rest}"
    titles = {"coverage": "share of the samples that is kept, the most confident first (%)"}
    titles["accuracy"] = "accuracy among them (%)"
    fig = base.lines(table, "coverage", "accuracy", color, hover=hover, titles=titles)
    fig.update_xaxes(tickformat=".0%", range=[0, 1.01]).update_yaxes(tickformat=".0%")
    return decorate(fig, title, caption, height=400, above="legend")


@answers
def predicted_against_true(
    table: Table, level: str = "0.9", *, unit: str = "years", title: str = "", caption: str = ""
) -> go.Figure:
    """Draw true values over predicted ones, with the prediction interval as a band.

    The prediction is on the horizontal axis because that is what one has: read upwards, the band says where the true
    value is meant to be. Samples outside their own interval are set apart. `table` holds the out-of-fold predictions of
    one model, ``sample_id, dataset_id, y_true, y_pred, low_<level>, high_<level>``; `unit` is that of the target.
    """
    columns = ["sample_id", "dataset_id", "y_true", "y_pred", f"low_{level}", f"high_{level}"]
    table = as_table(table, columns)[columns].set_axis([*columns[:4], "ci_low", "ci_high"], axis=1)
    table = table.astype(dict.fromkeys(["y_true", "y_pred", "ci_low", "ci_high"], float)).sort_values("y_pred")
    inside = table["y_true"].between(table["ci_low"], table["ci_high"])
    table["state"] = np.where(inside, "inside their interval", "outside")
    # the median interval of bins of equally many samples
    bins = table[["y_pred", "ci_low", "ci_high"]].groupby(np.arange(len(table)) * 40 // len(table)).median()
    area = base.band(pd.concat([table.head(1), bins, table.tail(1)]), "y_pred", base.PALETTE[7])
    sizes = table["state"].value_counts()
    table["state"] = [f"{s} ({sizes[s]})" for s in table["state"]]
    table = table.sort_values("state", kind="stable")
    look = {s: (VERMILION if s.startswith("outside") else BLUE, "circle") for s in table["state"]}
    hover = "<b>{sample_id}</b><br>{dataset_id}<br>true {y_true:.4g}, predicted {y_pred:.4g}"
    hover += " [{ci_low:.4g}, {ci_high:.4g}]"
    titles = {"y_pred": f"predicted ({unit})", "y_true": f"true ({unit})"}
    fig = draw(px.scatter, table, "y_pred", "y_true", "state", hover=hover, titles=titles, look=look)
    fig.update_traces(marker={"size": 8 if len(table) < 500 else 4, "opacity": 0.6})
    fig.add_trace(area.update(name=f"{float(level):.0%} interval (median)", showlegend=True))
    ends = table[["y_true", "y_pred"]].to_numpy()
    base.reference(fig, [ends.min(), ends.max()], "predicted = true")
    return decorate(fig, title, caption, height=460, above="legend")


@answers
def forest(
    table: Table, metric: str = "auc", *, mean: str | None = "auc_within", reference: float | None = 0.5,
    color: str = "model", title: str = "", caption: str = "", labels: Labels = None,
) -> go.Figure:  # fmt: skip
    """Draw one dot with its interval per study, the best on top, and the mean of studies below.

    `table` holds result records: ``metric, value, ci_low, ci_high, n_samples``, `color`, and the study in a column
    ``study`` or in the metric (``"auc:GSE1"``). `metric` and `mean` are those of the studies and of the last row (None:
    no such row), `reference` the value at chance level, drawn as a line.
    """
    table = as_table(table, [color, "metric", "value", "ci_low", "ci_high", "n_samples"])
    split = table["metric"].str.partition(":")
    table["study"] = table["study"].fillna("") if "study" in table else split[2]
    each = table[(split[0] == metric) & (table["study"] != "") & table["value"].notna()]
    if each.empty:
        return base.unrecorded(title)
    sizes = each.groupby("study")["n_samples"].max()
    order = each.groupby("study")["value"].mean().sort_values(ascending=False, kind="stable").index
    each = each.sort_values("study", key=lambda s: s.map(order.get_loc), kind="stable")
    each = each.assign(row=[f"{(labels or {}).get(s, s)} ({sizes[s]})" for s in each["study"]])
    whole = table[(table["metric"] == mean) & (table["study"] == "") & table["value"].notna()]
    shown = pd.concat([each, whole.assign(row="mean of studies")])
    fig = dots(shown, "value", "row", color, labels=labels, titles={"value": (labels or {}).get(metric, metric)})
    fig.update_yaxes(title_text="study (samples)")
    if reference is not None:
        mark(fig, reference)
    several = shown[color].nunique()
    fig.update_layout(showlegend=several > 1)
    return decorate(fig, title, caption, height=(16 + 12 * several) * (len(order) + 1) + 60, above="legend")


@answers
def gains(
    table: Table, row: str = "task", *, what: str = "gain", title: str = "", caption: str = "", labels: Labels = None
) -> go.Figure:
    """Draw differences with their intervals; one whose interval holds zero is hollow, grey and undecided.

    `table` holds `row`, ``difference, ci_low, ci_high``, as from `srna_lib.evaluate.compare`; a missing interval is
    undecided. `what` names the axis.
    """
    table = as_table(table, [row, "difference", "ci_low", "ci_high"])
    ends = table[["ci_low", "ci_high"]].astype(float)
    undecided = "undecided: the interval holds zero"
    table["state"] = np.select([ends["ci_low"] > 0, ends["ci_high"] < 0], ["above zero", "below zero"], undecided)
    look = {"above zero": (BLUE, "circle"), "below zero": (VERMILION, "diamond"), undecided: (GREY, "circle-open")}
    fig = dots(table, "difference", row, "state", style="+.3f", titles={"difference": what}, labels=labels, look=look)
    mark(fig, 0).update_layout(scattermode="overlay")
    return decorate(fig, title, caption, height=44 * table[row].nunique() + 70, above="legend")


@answers
def null_distribution(
    table: Table, observed: Mapping[str, float], row: str = "task", *, what: str = "auc", title: str = "",
    caption: str = "",
) -> go.Figure:  # fmt: skip
    """Draw a metric with permuted labels as dots, and with the true labels as a diamond, one row per task.

    `table` has a row per permutation, `row` and ``value``; `observed` the metric with the true labels for each value of
    `row`; `what` names the axis. Hover gives the share of permutations that reach it, (number + 1) / (permutations +
    1).
    """
    table = as_table(table, [row, "value"])
    names = list(dict.fromkeys(table[row]))
    lacking = [n for n in names if n not in observed]
    if lacking:
        raise InputError(f"null distribution: no observed value of {lacking[0]!r}; expected one for each {row}.")
    true = pd.DataFrame({row: names, "value": [observed[n] for n in names]})
    null = [table.loc[table[row] == n, "value"] for n in names]
    true["n"] = [len(v) for v in null]
    true["p"] = [((v >= observed[n]).sum() + 1) / (len(v) + 1) for n, v in zip(names, null, strict=True)]
    fig = draw(px.strip, table, "value", row, hover="permuted: {value:.3f}", titles={"value": what})
    fig.update_traces(name="permuted labels", showlegend=True, marker={"size": 6, "color": GREY, "opacity": 0.6})
    hover = "true labels: <b>{value:.3f}</b><br>p = {p:.3g} ({n} permutations)"
    marker = {"size": 15, "symbol": "diamond", "color": VERMILION, "line": {"width": 1, "color": "white"}}
    base.overlay(fig, true, "value", row, "true labels", marker, hover=hover)
    return decorate(fig, title, caption, height=64 * len(names) + 70, above="legend")
