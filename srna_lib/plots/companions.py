"""Figures of the companion systems."""

from __future__ import annotations

import plotly.graph_objects as go

from srna_lib.plots import base
from srna_lib.plots.base import Table, answers, as_table, decorate


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
