"""Figures of notebooks 09 to 12."""

from __future__ import annotations

import plotly.graph_objects as go

from srna_lib.plots import base
from srna_lib.plots.base import Labels, Table, answers, as_table, decorate

# ---- 09 limits of explanations


@answers
def share_lines(
    table: Table, x: str, y: str, color: str, *, log_x: bool = False, title: str = "", caption: str = "",
    labels: Labels = None,
) -> go.Figure:  # fmt: skip
    """Draw shares (0 to 1) against a quantity: one line with dots per colour, bands from ``ci_low`` to ``ci_high``.

    `table` holds `x` (numbers), `y` and `color`; `labels` gives printed names of columns and values; `log_x` spreads
    quantities that are doubled rather than added to.
    """
    table = as_table(table, [x, y, color]).dropna(subset=[y])
    hover = "{" + color + "}<br>{" + x + ":.4g}: {" + y + ":.1%}"
    fig = base.lines(table, x, y, color, labels=labels, hover=hover, log_x=log_x, markers=True)
    ticks = {"tickvals": sorted(table[x].unique())} if table[x].nunique() <= 8 else {}
    fig.update_xaxes(**ticks).update_yaxes(range=[-0.03, 1.03], tickformat=".0%")
    return decorate(fig, title, caption, height=400)


# ---- 12 signature matching


@answers
def running_sums(table: Table, *, title: str = "", caption: str = "") -> go.Figure:
    """Draw running sums down the ranking of a signature, one line per set of sRNAs (`companions.walks`).

    `table` holds ``place`` (in the ranking, from 1), ``srna, change, sum`` and ``set``.
    """
    table = as_table(table, ["place", "srna", "change", "sum", "set"])
    titles = {"place": "place in the ranking of the library signature", "sum": "running sum", "set": ""}
    fig = base.lines(table, "place", "sum", "set", hover="{place}: {srna}<br>changes by {change:+.2f}", titles=titles)
    fig.update_traces(line_shape="hv").add_hline(y=0, line=base.REFERENCE)
    return decorate(fig, title, caption, height=340, above="legend")
