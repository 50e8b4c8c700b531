"""Figures of the companions: what is drawn, and what is left out."""

from __future__ import annotations

import pandas as pd
import pytest

from figures import BOLD, SAFE, SAFE_BOLD, SHARES, WALKS
from srna_lib import plots
from srna_lib.errors import InputError


def test_lines_of_shares_have_a_line_each_and_no_unknown_dots():
    fig = plots.share_lines(SHARES, "k", "share", "what", log_x=True, labels={"k": "list"})
    assert [list(t.y) for t in fig.data] == [[0.1, 0.5], [0.2]]
    assert fig.data[0].name == SAFE_BOLD and len({t.line.color for t in fig.data}) == 2
    assert fig.layout.xaxis.type == "log" and list(fig.layout.xaxis.tickvals) == [10, 100]
    assert fig.layout.xaxis.title.text == "list" and fig.layout.yaxis.tickformat == ".0%"
    assert fig.data[0].customdata[1][0] == f"{SAFE_BOLD}<br>100: 50.0%"


def test_lines_of_shares_draw_intervals_and_refuse_a_table_without_the_column():
    banded = SHARES.assign(ci_low=SHARES["share"] - 0.1, ci_high=SHARES["share"] + 0.1)
    assert len(plots.share_lines(banded, "k", "share", "what").data) == 4
    with pytest.raises(InputError, match="gone"):
        plots.share_lines(SHARES, "k", "gone", "what")
    assert not plots.share_lines(pd.DataFrame(), "k", "share", BOLD).data


def test_running_sums_have_a_line_for_each_set_and_a_line_at_zero():
    fig = plots.running_sums(WALKS)
    assert [t.name for t in fig.data] == [SAFE_BOLD, SAFE]
    assert fig.data[0].y.tolist() == [1.0, 0.5, 0.0]
    assert SAFE_BOLD in fig.data[0].customdata[0][0] and "+2.00" in fig.data[0].customdata[0][0]
    assert fig.layout.shapes[0].y0 == fig.layout.shapes[0].y1 == 0
