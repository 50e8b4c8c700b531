"""Figures of the companion systems: what each of them shows."""

from __future__ import annotations

from figures import SAFE, SAFE_BOLD, WALKS
from srna_lib import plots


def test_running_sums_have_a_line_for_each_set_and_a_line_at_zero():
    fig = plots.running_sums(WALKS)
    assert [t.name for t in fig.data] == [SAFE_BOLD, SAFE]
    assert fig.data[0].y.tolist() == [1.0, 0.5, 0.0]
    assert SAFE_BOLD in fig.data[0].customdata[0][0] and "+2.00" in fig.data[0].customdata[0][0]
    assert fig.layout.shapes[0].y0 == fig.layout.shapes[0].y1 == 0
