"""Figure of the sRNAs that carry a model."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from srna_lib.plots_base import PALETTE, SYMBOLS, as_table, decorate, safe
from srna_lib.plots_parts import LEGEND, REFERENCE, error_bars, name_rows

ELSEWHERE, UNKNOWN = "autosome", "place unknown"


def weights(
    table: pd.DataFrame, *, top: int = 25, classes: tuple[str, str], title: str = "", caption: str = ""
) -> go.Figure:
    """Draw the largest weights of a linear model, with their range over folds, coloured by where the gene lies.

    Parameters
    ----------
    table : DataFrame
        From `importance.linear_weights`.
    top : int, default 25
        Rows that are drawn.
    classes : tuple of two str
        Classes that negative and positive weights speak for.
    title, caption : str
        Plain text.

    Returns
    -------
    Figure
        One trace per place: sex chromosomes, autosomes, unknown.

    Raises
    ------
    InputError
        Missing columns or no rows.
    """
    table = as_table(table, ["srna", "rank", "weight", "lowest", "highest", "chrom", "linked"])
    table = table.sort_values("rank").head(top).reset_index(drop=True)
    where = table["linked"].where(table["linked"] != "", ELSEWHERE).mask(table["chrom"] == "", UNKNOWN)
    where = where.mask(~where.isin([ELSEWHERE, UNKNOWN]), "on " + where)
    ends = table.assign(ci_low=table["lowest"], ci_high=table["highest"])
    fig = go.Figure()
    order = [*sorted(set(where) - {ELSEWHERE, UNKNOWN}), ELSEWHERE, UNKNOWN]
    colours = [PALETTE[5], PALETTE[1], PALETTE[3], PALETTE[2]]
    shades = dict(zip(order[:-2], colours * len(order), strict=False)) | {ELSEWHERE: PALETTE[0], UNKNOWN: PALETTE[11]}
    for i, name in enumerate(order):
        part = ends[where == name]
        if part.empty:
            continue
        hover = [
            f"<b>{safe(r['srna'])}</b>, rank {r['rank']}<br>weight {r['weight']:+.3f} [{r['lowest']:+.3f},"
            f" {r['highest']:+.3f}] over folds<br>{safe(r['chrom'] or 'place unknown')}"
            for r in part.to_dict("records")
        ]
        fig.add_trace(
            go.Scatter(
                x=part["weight"],
                y=part.index,
                mode="markers",
                name=safe(name),
                marker={"size": 11, "color": shades[name], "symbol": SYMBOLS[i % len(SYMBOLS)]},
                error_x=error_bars(part, "weight"),
                hovertext=hover,
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    fig.add_vline(x=0, line=REFERENCE)
    fig.update_xaxes(title_text=f"weight per standard deviation (left: {safe(classes[0])}, right: {safe(classes[1])})")
    name_rows(fig, [safe(n) for n in table["srna"]], "sRNA")
    fig.update_layout(legend=LEGEND, showlegend=True)
    return decorate(fig, title, caption, height=22 * len(table) + 60, panels=True)
