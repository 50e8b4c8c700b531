"""Figures of model performance: metrics, confusion, studies, calibration, gains over a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from srna_lib.errors import InputError
from srna_lib.plots.base import (
    LEGEND,
    PALETTE,
    REFERENCE,
    SEQUENTIAL,
    UNDECIDED,
    as_table,
    band,
    decorate,
    ends_text,
    error_bars,
    intervals,
    is_share,
    line,
    name_rows,
    panel_titles,
    printed,
    safe,
    styles,
)
from srna_lib.plots.base import caption as caption
from srna_lib.plots.base import setup as setup


def confusion(
    table: pd.DataFrame, normalise: str = "row", *, title: str = "", caption: str = "", unit: str = "samples"
) -> go.Figure:
    """Draw a confusion matrix: true classes downwards (with their size), predicted classes to the right.

    Parameters
    ----------
    table : DataFrame, shape (n_true, n_predicted)
        Counts, as from ``pandas.crosstab(y_true, y_pred)``; order is kept.
    normalise : {"row", "column", "none"}, default "row"
        Row: each cell is a share of the true class (recall on the diagonal). Column: a share of the predicted
        class (precision on the diagonal). None: counts.
    title, caption : str
        Plain text.
    unit : str, default "samples"
        What is counted.

    Returns
    -------
    Figure
        One heatmap; hover gives count and share.

    Raises
    ------
    InputError
        Empty table or unknown normalisation.
    """
    if normalise not in ("row", "column", "none"):
        raise InputError(f"normalise={normalise!r}: expected 'row', 'column' or 'none'.")
    if table.empty:
        raise InputError("confusion matrix: the table is empty; expected counts of true and predicted classes.")
    counts = table.to_numpy(dtype=float)
    rows, columns = counts.sum(1, keepdims=True), counts.sum(0, keepdims=True)
    total = {"row": rows, "column": columns, "none": np.ones_like(rows)}[normalise]
    z = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    if normalise == "none":
        text = np.where(counts > 0, np.char.mod("%d", counts.astype(int)), "")
    else:
        text = np.where(z >= 0.005, np.char.mod("%.0f", 100 * z), "")
    of = {"row": "true class", "column": "predicted class", "none": ""}[normalise]
    share = "" if normalise == "none" else f" (%{{z:.1%}} of the {of})"
    fig = go.Figure(
        go.Heatmap(
            z=z,
            x=[safe(c) for c in table.columns],
            y=[f"{safe(name)} ({int(n)})" for name, n in zip(table.index, rows[:, 0], strict=True)],
            text=text,
            texttemplate="%{text}",
            customdata=counts,
            hovertemplate=f"true %{{y}}<br>predicted %{{x}}<br>%{{customdata:d}} {safe(unit)}{share}<extra></extra>",
            colorscale=SEQUENTIAL,
            zmin=0,
            zmax=float(counts.max()) if normalise == "none" else 1,
            xgap=1,
            ygap=1,
            colorbar={"title": {"text": safe(unit) if normalise == "none" else f"share of<br>{of} (%)"}}
            | ({} if normalise == "none" else {"tickformat": ".0%"}),
        )
    )
    fig.update_xaxes(title_text="predicted class", showgrid=False, tickangle=-40)
    fig.update_yaxes(title_text=f"true class (number of {safe(unit)})", autorange="reversed", showgrid=False)
    return decorate(fig, title, caption, height=max(320, 34 * len(table) + 90))


def per_study(
    df: pd.DataFrame,
    by: str = "model",
    value: str = "accuracy",
    *,
    title: str = "",
    caption: str = "",
    labels: Mapping[str, str] | None = None,
    seed: int = 0,
) -> go.Figure:
    """Draw one dot per study, sized by its samples, in rows of models or classes; a bar marks the mean.

    Parameters
    ----------
    df : DataFrame
        Columns ``dataset_id, n_samples``, `by` and `value` (0 to 1); other columns are shown on hover.
    by : str, default "model"
        Column that makes the rows, in order of appearance.
    value : str, default "accuracy"
        Column on the axis.
    title, caption : str
        Plain text.
    labels : mapping, optional
        Value or column name -> printed name.
    seed : int, default 0
        Of the vertical scatter, which only parts overlapping dots.

    Returns
    -------
    Figure
        One trace of studies per row, and one trace of means (each study counted once).

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(df, ["dataset_id", "n_samples", by, value])
    rows, look = list(dict.fromkeys(table[by])), styles(table[by])
    rng = np.random.default_rng(seed)
    largest = float(table["n_samples"].max())
    more = [c for c in table.columns if c not in ("dataset_id", "n_samples", by, value)]
    fig = go.Figure()
    for i, row in enumerate(rows):
        part = table[table[by] == row]
        color, symbol = look[str(row)]
        size = 6 + 24 * np.sqrt(part["n_samples"] / largest)
        marker = {"size": size, "color": color, "symbol": symbol, "opacity": 0.55, "line": {"width": 0.5}}
        hover = [
            f"<b>{safe(r['dataset_id'])}</b><br>{r['n_samples']} samples<br>{safe(value)} {r[value]:.1%}"
            + "".join(f"<br>{safe(c)}: {safe(r[c])}" for c in more)
            for r in part.to_dict("records")
        ]
        y = i + rng.uniform(-0.3, 0.3, len(part))
        fig.add_trace(
            go.Scatter(
                x=part[value], y=y, mode="markers", marker=marker, name=printed(row, labels), hovertext=hover
            ).update(hovertemplate="%{hovertext}<extra></extra>", showlegend=False)
        )
    means = table.groupby(by)[value].mean()[rows]
    fig.add_trace(
        go.Scatter(
            x=means,
            y=list(range(len(rows))),
            mode="markers",
            name="mean of studies",
            marker={"symbol": "line-ns", "size": 44, "line": {"width": 3, "color": "#111111"}},
            hovertemplate="mean of studies %{x:.1%}<extra></extra>",
        )
    )
    fig.update_xaxes(title_text=f"{printed(value, labels)} in the study (%)", tickformat=".0%", range=[-0.04, 1.04])
    ticks = {"tickvals": list(range(len(rows))), "ticktext": [printed(r, labels) for r in rows]}
    fig.update_yaxes(title_text=printed(by, labels), range=[len(rows) - 0.5, -0.5], showgrid=False, **ticks)
    fig.update_layout(legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"})
    return decorate(fig, title, caption, height=80 * len(rows) + 60, panels=True)


Records: TypeAlias = Sequence[Mapping[str, Any]] | pd.DataFrame


def metric_bars(
    records: Records,
    x: str = "model",
    color: str = "scheme",
    metric: str | Sequence[str] = "accuracy",
    *,
    title: str = "",
    caption: str = "",
    labels: Mapping[str, str] | None = None,
) -> go.Figure:
    """Draw values with their intervals as dots, side by side for each colour; one panel for each metric.

    Dots and not bars: the axis need not start at zero, and the interval is what decides.

    Parameters
    ----------
    records : list of dict or DataFrame
        Result records (``metric, value, ci_low, ci_high`` and the columns named by `x` and `color`).
    x, color : str, default "model" and "scheme"
        What stands on the axis, in order of appearance, and what is coloured.
    metric : str or sequence of str, default "accuracy"
        Metrics to draw, at least one of them in the records.
    title, caption : str
        Plain text; see `plots_base.caption`.
    labels : mapping, optional
        Value, metric or column name -> printed name.

    Returns
    -------
    Figure
        One trace per panel and colour.

    Raises
    ------
    InputError
        Missing columns or metrics.
    """
    table = as_table(records, [x, color, "metric", "value", "ci_low", "ci_high"])
    metrics = [metric] if isinstance(metric, str) else list(metric)
    absent = [m for m in metrics if m not in set(table["metric"])]
    if absent:
        found = ", ".join(map(str, table["metric"].unique()))
        raise InputError(f"records: the metric {', '.join(absent)} is missing (found: {found}).")
    table = table[table["metric"].isin(metrics)]
    fig = make_subplots(1, len(metrics), shared_yaxes=True, horizontal_spacing=0.03)
    look = styles(table[color])
    order = [printed(v, labels) for v in dict.fromkeys(table[x])]
    for col, one in enumerate(metrics, 1):
        for group in dict.fromkeys(table[color]):
            part = table[(table["metric"] == one) & (table[color] == group)]
            at = [printed(v, labels) for v in part[x]]
            trace = _dots(part, at, part["value"], "y", look[str(group)], size=11 if len(metrics) == 1 else 9)
            trace.update(name=printed(group, labels), legendgroup=str(group), offsetgroup=str(group))
            fig.add_trace(trace.update(showlegend=col == 1), 1, col)
    fig.update_xaxes(categoryorder="array", categoryarray=order, title_text=printed(x, labels))
    share = is_share(table["value"])
    fig.update_yaxes(tickformat=".0%" if share else "", range=_limits(table))
    what = printed(metrics[0], labels) if len(metrics) == 1 else "value"
    fig.update_yaxes(title_text=f"{what} (%)" if share else what, row=1, col=1)
    fig.update_layout(scattermode="group", scattergap=0.35, legend_title_text=printed(color, labels))
    if len(metrics) > 1:
        panel_titles(fig, [(labels or {}).get(m, m) for m in metrics])
    return decorate(fig, title, caption, height=380, panels=len(metrics) > 1)


def per_class(
    records: Records,
    metrics: Sequence[str] = ("precision", "recall"),
    color: str = "model",
    *,
    title: str = "",
    caption: str = "",
    labels: Mapping[str, str] | None = None,
) -> go.Figure:
    """Draw per class values with intervals: classes downwards, one panel per metric, one colour per model.

    Parameters
    ----------
    records : list of dict or DataFrame
        Result records with a column ``class``, or with the class in the metric (``"recall:Brain"``).
    metrics : sequence of str, default ("precision", "recall")
        Panels.
    color : str, default "model"
        Column that is coloured.
    title, caption : str
        Plain text.
    labels : mapping, optional
        Value, metric or column name -> printed name.

    Returns
    -------
    Figure
        One trace per panel and colour.

    Raises
    ------
    InputError
        Missing columns, or no record of these metrics.
    """
    table = as_table(records, [color, "metric", "value", "ci_low", "ci_high"])
    split = table["metric"].astype(str).str.split(":", n=1)
    table["metric"] = split.str[0]
    if "class" not in table:
        table["class"] = split.str[1]
    table = table[table["metric"].isin(list(metrics)) & table["class"].notna()]
    if table.empty:
        raise InputError(f"records: no {' or '.join(metrics)} of a class; expected metrics such as 'recall:Brain'.")
    fig = make_subplots(1, len(metrics), shared_yaxes=True, horizontal_spacing=0.03)
    look, order = styles(table[color]), [safe(v) for v in dict.fromkeys(table["class"])]
    for col, one in enumerate(metrics, 1):
        for group in dict.fromkeys(table[color]):
            part = table[(table["metric"] == one) & (table[color] == group)]
            trace = _dots(part, part["value"], [safe(v) for v in part["class"]], "x", look[str(group)], size=9)
            trace.update(name=printed(group, labels), legendgroup=str(group), offsetgroup=str(group))
            fig.add_trace(trace.update(showlegend=col == 1), 1, col)
        fig.update_xaxes(
            title_text=f"{printed(one, labels)} (%)", tickformat=".0%", range=[-0.02, 1.02], row=1, col=col
        )
    fig.update_yaxes(categoryorder="array", categoryarray=order, autorange="reversed")
    fig.update_yaxes(title_text="class", row=1, col=1)
    fig.update_layout(scattermode="group", scattergap=0.35, legend_title_text=printed(color, labels))
    height = len(order) * max(26, 10 * table[color].nunique() + 10) + 60
    return decorate(fig, title, caption, height=max(300, height))


def paper_comparison(
    df: pd.DataFrame, *, title: str = "", caption: str = "", labels: Mapping[str, str] | None = None
) -> go.Figure:
    """Draw published and own values on one line per quantity.

    Parameters
    ----------
    df : DataFrame
        Columns ``quantity`` (rows of the figure), ``source`` (e.g. "paper", "ours, random folds"), ``value``
        (0 to 1) and optionally ``ci_low, ci_high``.
    title, caption : str
        Plain text.
    labels : mapping, optional
        Value -> printed name.

    Returns
    -------
    Figure
        One trace per source; the first source has open symbols.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(df, ["quantity", "source", "value"])
    for bound in ("ci_low", "ci_high"):
        if bound not in table:
            table[bound] = np.nan
    fig, look = go.Figure(), styles(table["source"])
    for i, source in enumerate(dict.fromkeys(table["source"])):
        part, (color, symbol) = table[table["source"] == source], look[str(source)]
        y = [printed(v, labels) for v in part["quantity"]]
        trace = _dots(part, part["value"], y, "x", (color, symbol + ("-open" if i == 0 else "")), size=12)
        fig.add_trace(trace.update(name=printed(source, labels), offsetgroup=str(source)))
    order = [printed(v, labels) for v in dict.fromkeys(table["quantity"])]
    share = is_share(table["value"])
    fig.update_xaxes(title_text="value (%)" if share else "value", tickformat=".0%" if share else "")
    fig.update_xaxes(range=_limits(table))
    fig.update_yaxes(title_text="quantity", categoryorder="array", categoryarray=order, autorange="reversed")
    fig.update_layout(scattermode="group", scattergap=0.5, legend_title_text="source")
    return decorate(fig, title, caption, height=max(220, len(order) * (14 * table["source"].nunique() + 22) + 40))


def _dots(part: pd.DataFrame, x: Any, y: Any, value: str, look: tuple[str, str], size: int = 11) -> go.Scatter:
    """Markers with an interval along the axis that carries the value; hover shows what the record knows."""
    error = {
        "type": "data",
        "symmetric": False,
        "array": (part["ci_high"] - part["value"]).clip(lower=0),
        "arrayminus": (part["value"] - part["ci_low"]).clip(lower=0),
        "thickness": 1.6,
        "width": 4,
    }
    other = "x" if value == "y" else "y"
    hover = [_hover(r) for r in part.to_dict("records")]
    return go.Scatter(
        x=list(x),
        y=list(y),
        mode="markers",
        marker={
            "size": size,
            "color": look[0],
            "symbol": look[1],
            "line": {"width": 1.5 if "open" in look[1] else 0},
        },
        orientation="h" if value == "x" else "v",  # the way dots of a group are set apart
        hovertext=hover,
        hovertemplate=f"%{{{other}}}<br>%{{hovertext}}<extra>%{{fullData.name}}</extra>",
        **{f"error_{value}": error},
    )


def _limits(table: pd.DataFrame) -> list[float]:
    """Find the ends of an axis that holds every value and interval, with a margin."""
    low = float(table[["value", "ci_low"]].min().min())
    high = float(table[["value", "ci_high"]].max().max())
    margin = 0.08 * (high - low) or 0.05
    return [low - margin, high + margin]


def _hover(record: Mapping[str, Any]) -> str:
    """Value, interval, and how many samples and studies it rests on."""
    text = f"<b>{record['value']:.3f}</b>"
    if pd.notna(record["ci_low"]) and pd.notna(record["ci_high"]):
        text += f" [{record['ci_low']:.3f}, {record['ci_high']:.3f}]"
    for field, what in (("n_samples", "samples"), ("n_datasets", "studies")):
        if pd.notna(record.get(field, np.nan)):
            text += f"<br>{int(record[field])} {what}"
    return text


def reliability(
    table: pd.DataFrame,
    color: str = "model",
    *,
    title: str = "",
    caption: str = "",
    labels: Mapping[str, str] | None = None,
) -> go.Figure:
    """Draw stated probability against observed frequency; on the dashed line both are the same.

    Parameters
    ----------
    table : DataFrame
        As from `calibration.reliability_table`, of several models one below the other.
    color : str, default "model"
        Column that makes the curves, in order of appearance.
    title, caption : str
        Plain text.
    labels : mapping, optional
        Value or column name -> printed name.

    Returns
    -------
    Figure
        The line of perfect calibration, and one trace per curve.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, [color, "of", "predicted", "observed", "ci_low", "ci_high", "n_samples"])
    fig, look = go.Figure(line([0, 1], [0, 1], "stated = observed")), styles(table[color])
    for name in dict.fromkeys(table[color]):
        part = table[table[color] == name]
        hover = [
            f"stated {r['predicted']:.1%}, observed <b>{r['observed']:.1%}</b>{ends_text(r, '.1%')}"
            f"<br>{r['n_samples']} samples"
            for r in part.to_dict("records")
        ]
        shade, symbol = look[str(name)]
        fig.add_trace(
            go.Scatter(
                x=part["predicted"],
                y=part["observed"],
                mode="lines+markers",
                name=printed(name, labels),
                marker={"size": 9, "color": shade, "symbol": symbol},
                line={"color": shade, "width": 1.5},
                error_y=error_bars(part, "observed"),
                hovertext=hover,
                hovertemplate="%{hovertext}<extra>%{fullData.name}</extra>",
            )
        )
    of = " or ".join(printed(v, labels) for v in dict.fromkeys(table["of"]))
    share = {"tickformat": ".0%", "range": [-0.03, 1.03]}
    fig.update_xaxes(title_text=f"stated probability of {of} (%)", **share)
    fig.update_yaxes(title_text="how often it was so (%)", **share)
    fig.update_layout(legend=LEGEND)
    return decorate(fig, title, caption, height=460, panels=True)


def coverage_curve(
    table: pd.DataFrame,
    color: str = "model",
    *,
    title: str = "",
    caption: str = "",
    labels: Mapping[str, str] | None = None,
) -> go.Figure:
    """Draw the accuracy of the most confident share of the samples, with its interval as a band.

    Parameters
    ----------
    table : DataFrame
        As from `selective.coverage_curve`, of several models one below the other.
    color : str, default "model"
        Column that makes the curves, in order of appearance.
    title, caption, labels
        As in `reliability`.

    Returns
    -------
    Figure
        A band and a line per curve.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, [color, "coverage", "accuracy", "ci_low", "ci_high", "confidence", "n_samples"])
    fig, look = go.Figure(), styles(table[color])
    for name in dict.fromkeys(table[color]):
        part = table[table[color] == name].sort_values("coverage")
        shade = look[str(name)][0]
        fig.add_trace(band(part["coverage"], part["ci_low"], part["ci_high"], shade, safe(name)))
        hover = [
            f"{r['coverage']:.0%} of the samples ({r['n_samples']}), confidence {r['confidence']:.2f} or more<br>"
            f"right: <b>{r['accuracy']:.1%}</b>{ends_text(r, '.1%')}"
            for r in part.to_dict("records")
        ]
        fig.add_trace(
            go.Scatter(
                x=part["coverage"],
                y=part["accuracy"],
                mode="lines",
                name=printed(name, labels),
                legendgroup=safe(name),
                line={"color": shade, "width": 2.5},
                hovertext=hover,
                hovertemplate="%{hovertext}<extra>%{fullData.name}</extra>",
            )
        )
    fig.update_xaxes(title_text="share of the samples that is called, the most confident first (%)")
    fig.update_xaxes(tickformat=".0%", range=[0, 1.01])
    fig.update_yaxes(title_text="accuracy of these calls (%)", tickformat=".0%")
    fig.update_layout(legend=LEGEND)
    return decorate(fig, title, caption, height=400, panels=True)


def predicted_against_true(
    predictions: pd.DataFrame,
    level: str | None = "0.9",
    *,
    unit: str = "years",
    n_bins: int = 40,
    title: str = "",
    caption: str = "",
) -> go.Figure:
    """Draw true values over predicted ones, with the prediction interval as a band.

    The prediction is on the horizontal axis because that is what one has: read upwards, the band says where the
    true value is meant to be. Samples outside their own interval are set apart.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table of one model with numbers in ``y_true`` and ``y_pred`` and, for `level`, the
        columns ``low_<level>`` and ``high_<level>``.
    level : str or None, default "0.9"
        Stated coverage, as written in the columns; None for no interval.
    unit : str, default "years"
        Unit of the target.
    n_bins : int, default 40
        Bins of equally many samples; the band is the median interval of each.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        Line of equality, band, and samples inside and outside their interval.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    bounds = [] if level is None else [f"low_{level}", f"high_{level}"]
    table = as_table(predictions, ["sample_id", "dataset_id", "y_true", "y_pred", *bounds])
    true, called = table["y_true"].astype(float), table["y_pred"].astype(float)
    ends = [float(min(true.min(), called.min())), float(max(true.max(), called.max()))]
    fig = go.Figure(line(ends, ends, "predicted = true"))
    inside = pd.Series(True, index=table.index)
    if bounds:
        low, high = (table[b].astype(float) for b in bounds)
        inside = (true >= low) & (true <= high)
        bins = np.minimum(called.rank(method="first").to_numpy() * n_bins // (len(table) + 1), n_bins - 1)
        each = pd.DataFrame({"x": called, "low": low, "high": high})
        outermost = each.loc[[called.idxmin()]], each.loc[[called.idxmax()]]
        middle = pd.concat([outermost[0], each.groupby(bins).median(), outermost[1]])
        area = band(middle["x"], middle["low"], middle["high"], PALETTE[7], "interval")
        fig.add_trace(area.update(name=f"{float(level or 0):.0%} interval (median)", showlegend=True))
    outside = [("inside their interval", PALETTE[0], inside), ("outside", PALETTE[5], ~inside)]
    for name, shade, chosen in outside if bounds else [("samples", PALETTE[0], inside)]:
        part = table[chosen]
        hover = [
            f"<b>{safe(r['sample_id'])}</b><br>{safe(r['dataset_id'])}<br>true {r['y_true']:.4g}, predicted"
            f" {r['y_pred']:.4g}" + (f" [{r[bounds[0]]:.4g}, {r[bounds[1]]:.4g}]" if bounds else "")
            for r in part.to_dict("records")
        ]
        fig.add_trace(
            go.Scatter(
                x=called[chosen],
                y=true[chosen],
                mode="markers",
                name=f"{name} ({len(part)})",
                marker={"size": 8 if len(table) < 500 else 4, "color": shade, "opacity": 0.6},
                hovertext=hover,
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    fig.update_xaxes(title_text=f"predicted ({safe(unit)})")
    fig.update_yaxes(title_text=f"true ({safe(unit)})")
    fig.update_layout(legend=LEGEND)
    return decorate(fig, title, caption, height=460, panels=True)


def forest(
    records: Sequence[Mapping[str, Any]] | pd.DataFrame,
    metric: str = "auc",
    *,
    mean: str | None = "auc_within",
    reference: float | None = 0.5,
    color: str = "model",
    title: str = "",
    caption: str = "",
    labels: Mapping[str, str] | None = None,
) -> go.Figure:
    """Draw one dot with its interval per study, the best on top, with the samples of each.

    Parameters
    ----------
    records : list of dict or DataFrame
        Result records, among them metrics ``<metric>:<study>`` (`ranking_metrics.score` with patients drawn).
    metric : str, default "auc"
        Which of them, such as ``auc``, ``mae`` or ``r2``.
    mean : str, optional
        Metric of the last row; None for no such row.
    reference : float, optional
        Value of a model that knows nothing, drawn as a line; None for no line.
    color : str, default "model"
        Column of the colours; dots of a study stand below each other.
    title, caption, labels
        As in `plots_reliability.reliability`.

    Returns
    -------
    Figure
        One trace per colour.

    Raises
    ------
    InputError
        Missing columns, or no such records.
    """
    table = as_table(records, [color, "metric", "value", "ci_low", "ci_high", "n_samples"])
    kind, _, study = (table["metric"].str.partition(":")[i] for i in range(3))
    table = table.assign(study=study)[table["value"].notna() & (((kind == metric) & (study != "")) | (kind == mean))]
    each = table[table["study"] != ""]
    if each.empty:
        raise InputError(f"records: no metric '{metric}:<study>' with a value; expected one per study.")
    colors = list(dict.fromkeys(table[color]))
    rows = list(each.groupby("study")["value"].mean().sort_values(ascending=False, kind="stable").index)
    samples = each.groupby("study")["n_samples"].max()
    names = [f"{printed(s, labels)} ({samples[s]})" for s in rows] + ["<b>mean of studies</b>"] * (
        len(each) < len(table)
    )
    place, look = {s: i for i, s in enumerate([*rows, ""])}, styles(colors)
    fig = go.Figure()
    for i, name in enumerate(colors):
        part = table[table[color] == name]
        shade, symbol = look[str(name)]
        shift = 0 if len(colors) == 1 else 0.5 * (i / (len(colors) - 1) - 0.5)
        size = np.where(part["study"] == "", 13, 9)
        fig.add_trace(
            intervals(part, part["study"].map(place) + shift, "value", ".3f").update(
                name=printed(name, labels), marker={"size": size, "color": shade, "symbol": symbol, "opacity": 1}
            )
        )
    if reference is not None:
        fig.add_vline(x=reference, line=REFERENCE)
    ends = table[["value", "ci_low", "ci_high"]].astype(float).to_numpy().ravel()
    low, high = np.nanmin([*ends, np.nan if reference is None else reference]), np.nanmax(ends)
    margin = 0.04 * (high - low) or 0.05
    fig.update_xaxes(title_text=printed(metric, labels), range=[low - margin, high + margin])
    name_rows(fig, names, "study (samples)")
    fig.update_layout(legend=LEGEND, showlegend=len(colors) > 1)
    return decorate(fig, title, caption, height=(16 + 12 * len(colors)) * len(names) + 60, panels=True)


def gains(
    table: pd.DataFrame,
    row: str = "task",
    *,
    what: str = "gain",
    title: str = "",
    caption: str = "",
    labels: Mapping[str, str] | None = None,
) -> go.Figure:
    """Draw differences with their intervals; one whose interval holds zero is hollow, grey and called undecided.

    Parameters
    ----------
    table : DataFrame
        Columns `row`, ``difference, ci_low, ci_high``, as from `ranking_metrics.compare_auc` or
        `significance.compare_pairs`. A missing interval is undecided.
    row : str, default "task"
        Column that names the rows, in order of appearance.
    what : str, default "gain"
        Title of the axis: what is the difference of.
    title, caption, labels
        As in `plots_reliability.reliability`.

    Returns
    -------
    Figure
        Traces ``above zero``, ``below zero`` and ``undecided``, as far as there are such rows.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, [row, "difference", "ci_low", "ci_high"])
    ends = table[["ci_low", "ci_high"]].astype(float)
    state = np.select([ends["ci_low"] > 0, ends["ci_high"] < 0], ["above zero", "below zero"], "undecided")
    names = list(dict.fromkeys(table[row]))
    place = table[row].map({name: i for i, name in enumerate(names)})
    fig = go.Figure()
    for kind, shade, symbol in (
        ("above zero", PALETTE[0], "circle"),
        ("below zero", PALETTE[5], "diamond"),
        ("undecided", UNDECIDED, "circle-open"),
    ):
        part = table[state == kind]
        if len(part):
            marker = {"size": 12, "color": shade, "symbol": symbol, "line": {"width": 2, "color": shade}}
            name = kind if kind != "undecided" else "undecided: the interval holds zero"
            trace = intervals(part, place[state == kind], "difference", "+.3f")
            fig.add_trace(trace.update(name=name, marker=marker, showlegend=True))
    fig.add_vline(x=0, line=REFERENCE)
    fig.update_xaxes(title_text=safe(what))
    name_rows(fig, [printed(n, labels) for n in names], printed(row, labels))
    fig.update_layout(legend=LEGEND)
    return decorate(fig, title, caption, height=44 * len(names) + 70, panels=True)


def null_distribution(
    null: pd.DataFrame,
    observed: Mapping[str, float],
    row: str = "task",
    *,
    value: str = "value",
    what: str = "auc",
    title: str = "",
    caption: str = "",
    labels: Mapping[str, str] | None = None,
    seed: int = 0,
) -> go.Figure:
    """Draw figures with permuted labels as dots, one row per task, and the figure with the true labels as a diamond.

    Parameters
    ----------
    null : DataFrame, one row per permutation
        Columns `row` and `value`.
    observed : mapping
        Value of `row` -> figure with the true labels.
    row, value : str, default "task" and "value"
        Columns of the rows, in order of appearance, and of the figure.
    what : str, default "auc"
        Title of the axis.
    title, caption, labels
        As in `plots_reliability.reliability`.
    seed : int, default 0
        Of the vertical scatter, which only parts overlapping dots.

    Returns
    -------
    Figure
        A trace of the permutations and one of the true figures; hover gives the share of permutations that reach it,
        (number + 1) / (permutations + 1).

    Raises
    ------
    InputError
        Missing columns, no rows, or a row without a true figure.
    """
    table = as_table(null, [row, value])
    names, rng = list(dict.fromkeys(table[row])), np.random.default_rng(seed)
    lacking = [n for n in names if n not in observed]
    if lacking:
        raise InputError(f"null distribution: no observed figure of {lacking[0]!r}; expected one for each {row}.")
    place = table[row].map({name: i for i, name in enumerate(names)})
    fig = go.Figure(
        go.Scatter(
            x=table[value],
            y=place + rng.uniform(-0.28, 0.28, len(table)),
            mode="markers",
            name="permuted labels",
            marker={"size": 6, "color": UNDECIDED, "opacity": 0.6},
            hovertemplate="permuted: %{x:.3f}<extra></extra>",
        )
    )
    of = {name: table.loc[table[row] == name, value] for name in names}
    hover = [
        f"true labels: <b>{observed[n]:.3f}</b><br>p = {((of[n] >= observed[n]).sum() + 1) / (len(of[n]) + 1):.3g}"
        f" ({len(of[n])} permutations)"
        for n in names
    ]
    fig.add_trace(
        go.Scatter(
            x=[observed[n] for n in names],
            y=list(range(len(names))),
            mode="markers",
            name="true labels",
            marker={"size": 15, "symbol": "diamond", "color": PALETTE[5], "line": {"width": 1, "color": "white"}},
            hovertext=hover,
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    fig.update_xaxes(title_text=printed(what, labels))
    name_rows(fig, [printed(n, labels) for n in names], printed(row, labels))
    fig.update_layout(legend=LEGEND)
    return decorate(fig, title, caption, height=64 * len(names) + 70, panels=True)
