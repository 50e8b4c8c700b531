"""Figures of out-of-fold predictions: confusion of classes, and accuracy study by study."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from srna_lib.errors import InputError
from srna_lib.plots_base import SEQUENTIAL, as_table, decorate, printed, safe, styles


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
