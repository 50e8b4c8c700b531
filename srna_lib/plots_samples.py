"""Figures of single samples: what speaks for and against each class, one prediction step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from srna_lib.cases import HeldOut
from srna_lib.errors import InputError
from srna_lib.plots_base import PALETTE, as_table, decorate, panel_titles, safe
from srna_lib.plots_explain import diverging, short

FOR, AGAINST, LEVEL = PALETTE[5], PALETTE[0], "#8C8C8C"


class Explained(NamedTuple):
    """One sample as the heatmap shows it.

    Attributes
    ----------
    title : str
        What stands above the panel, e.g. sample, true and predicted class.
    contributions : DataFrame, shape (n_classes, n_srnas)
        Contributions to the logit of each class.
    counts : Series, shape (n_all_srnas,)
        Raw counts of the whole library.
    """

    title: str
    contributions: pd.DataFrame
    counts: pd.Series


def explained(unseen: HeldOut, sample: str, **options: Any) -> Explained:
    """One sample as the network explains it that never saw its study.

    Parameters
    ----------
    unseen : HeldOut
        From `cases.held_out`.
    sample : str
        Name of the sample.
    **options
        ``reference``, ``rule`` and others of `deeplift.contributions`.

    Returns
    -------
    Explained
        Titled with the sample's recorded and predicted class.
    """
    row = unseen.table.loc[sample]
    found = unseen.explain(sample, **options).of_sample(sample)
    return Explained(f"{sample}: {row['y_true']}, called {row['y_pred']}", found, unseen.task.X.loc[sample])


def sample_heatmap(samples: Sequence[Explained], n: int = 20, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw what speaks for and against each class in single samples: classes downwards, sRNAs to the right.

    Parameters
    ----------
    samples : sequence of Explained
        One panel each, side by side, on one colour scale; two make a comparison of a right and a wrong call.
    n : int, default 20
        sRNAs per panel: those that tell the classes apart most (largest range of contributions over classes), in
        order of their contribution to the class with the highest sum.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        Hover gives counts, reads per million and the contribution.

    Raises
    ------
    InputError
        No sample, or contributions without a row or column.
    """
    _check(samples)
    shown = [_most_telling(s.contributions, n) for s in samples]
    limit = max(float(np.abs(t.to_numpy()).max()) for t in shown) or 1.0
    fig = make_subplots(1, len(samples), shared_yaxes=True, horizontal_spacing=0.04)
    for col, (sample, table) in enumerate(zip(samples, shown, strict=True), 1):
        fig.add_trace(_cells(sample, table), 1, col)
    fig.update_xaxes(title_text="sRNA", tickangle=-60, showgrid=False)
    fig.update_yaxes(autorange="reversed", showgrid=False)
    fig.update_yaxes(title_text="class", row=1, col=1)
    fig.update_layout(coloraxis=diverging(limit, "contribution<br>to the logit"))
    panel_titles(fig, [s.title for s in samples])
    return decorate(fig, title, caption, height=max(280, 26 * len(shown[0]) + 150), panels=True)


def sample_browser(samples: Sequence[Explained], n: int = 30, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw one sample at a time, with a menu that lists them all.

    Parameters
    ----------
    samples : sequence of Explained
        What the menu offers; the first is shown.
    n, title, caption
        As in `sample_heatmap`.

    Returns
    -------
    Figure
        One heatmap per sample, each on a colour scale of its own.

    Raises
    ------
    InputError
        As in `sample_heatmap`.
    """
    _check(samples)
    fig = go.Figure()
    limits = []
    for i, sample in enumerate(samples):
        table = _most_telling(sample.contributions, n)
        limits.append(float(np.abs(table.to_numpy()).max()) or 1.0)
        fig.add_trace(_cells(sample, table).update(visible=i == 0))
    buttons = [
        {
            "label": safe(sample.title),
            "method": "update",
            "args": [
                {"visible": [j == i for j in range(len(samples))]},
                {"coloraxis.cmin": -limits[i], "coloraxis.cmax": limits[i]},
            ],
        }
        for i, sample in enumerate(samples)
    ]
    menu = {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "bgcolor": "white"}
    fig.update_xaxes(title_text="sRNA", tickangle=-60, showgrid=False)
    fig.update_yaxes(title_text="class", autorange="reversed", showgrid=False)
    fig.update_layout(coloraxis=diverging(limits[0], "contribution<br>to the logit"), updatemenus=[menu])
    fig = decorate(fig, title, caption, height=max(280, 26 * len(samples[0].contributions) + 150), panels=True)
    return fig.update_layout(margin_t=fig.layout.margin.t + 14, height=fig.layout.height + 14)


def waterfall(steps: pd.DataFrame, axis: str = "logit", *, title: str = "", caption: str = "") -> go.Figure:
    """Draw one prediction step by step, from the reference at the top to the sample at the bottom.

    Parameters
    ----------
    steps : DataFrame
        ``label, value, kind, total`` from `cases.breakdown`.
    axis : str, default "logit"
        What is added up, e.g. ``"logit of Brain minus logit of Stem"``.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        Orange steps raise, blue ones lower it.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(steps, ["label", "value", "kind", "total"])
    ends = table["kind"].isin(["start", "end"])
    fig = go.Figure(
        go.Waterfall(
            orientation="h",
            measure=np.where(ends, "absolute", "relative"),
            x=np.where(ends, table["total"], table["value"]),
            y=[short(v, 34) for v in table["label"]],
            text=[f"{v:.2f}" if e else f"{v:+.2f}" for v, e in zip(table["value"], ends, strict=True)],
            textposition="outside",
            cliponaxis=False,
            customdata=[safe(v) for v in table["label"]],
            hovertemplate="%{customdata}<br>%{text}<extra></extra>",
            increasing={"marker": {"color": FOR}},
            decreasing={"marker": {"color": AGAINST}},
            totals={"marker": {"color": LEVEL}},
            connector={"line": {"color": "#BBBBBB", "width": 1}},
        )
    )
    low, high = float(np.minimum(table["total"].min(), 0)), float(np.maximum(table["total"].max(), 0))
    margin = 0.12 * (high - low) or 1.0
    fig.update_xaxes(title_text=safe(axis), range=[low - margin, high + margin], zeroline=True, zerolinecolor="#888888")
    fig.update_yaxes(title_text="sRNA", autorange="reversed", showgrid=False)
    return decorate(fig, title, caption, height=26 * len(table) + 70)


def _check(samples: Sequence[Explained]) -> None:
    if not samples or any(s.contributions.empty for s in samples):
        raise InputError("heatmap of samples: expected at least one sample with contributions.")


def _cells(sample: Explained, table: pd.DataFrame) -> go.Heatmap:
    """Heatmap of one sample's contributions; hover gives counts and reads per million."""
    total = float(sample.counts.sum()) or 1.0
    counts = sample.counts.reindex(table.columns).fillna(0).to_numpy(dtype=float)
    hover = [
        [
            f"<b>{safe(srna)}</b><br>{safe(name)}: {value:+.3f}<br>{c:.0f} counts, {1e6 * c / total:.1f} RPM"
            for srna, value, c in zip(table.columns, row, counts, strict=True)
        ]
        for name, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    return go.Heatmap(
        z=table.to_numpy(dtype=float),
        x=[short(c) for c in table.columns],
        y=[safe(c) for c in table.index],
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
        coloraxis="coloraxis",
        xgap=1,
        ygap=1,
    )


def _most_telling(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """Columns with the largest range over the rows, in order of the row with the largest sum."""
    spread = (table.max() - table.min()).sort_values(ascending=False, kind="stable").index[:n]
    winner = table.sum(axis=1).idxmax()
    return table[table.loc[winner, spread].sort_values(ascending=False, kind="stable").index]
