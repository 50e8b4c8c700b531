"""Figures of how far a prediction can be trusted: calibration, silence, and continuous targets with their intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from srna_lib.plots_base import PALETTE, as_table, decorate, printed, safe, styles
from srna_lib.plots_parts import LEGEND, band, ends_text, error_bars, line


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
