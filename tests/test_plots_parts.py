"""Parts that figures share."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from srna_lib.plots.base import band, ends_text, error_bars, lines, name_rows

PART = pd.DataFrame({"value": [0.5, 0.6], "ci_low": [0.4, None], "ci_high": [0.7, None]})


def test_a_band_goes_there_and_back_and_skips_what_is_missing():
    area = band(pd.Series([1, 2, 3]), pd.Series([0, np.nan, 1]), pd.Series([2, 5, 3]), "#0072B2", "g")
    assert list(area.x) == [1, 3, 3, 1] and list(area.y) == [2, 3, 1, 0] and area.fillcolor == "rgba(0,114,178,0.18)"


def test_error_bars_are_never_negative_and_missing_where_unknown():
    bars = error_bars(PART.assign(value=[0.8, 0.6]), "value")
    assert bars["array"].iloc[0] == 0 and np.isclose(bars["arrayminus"].iloc[0], 0.4)
    assert np.isnan(bars["array"].iloc[1])


def test_intervals_as_text():
    first, second = PART.to_dict("records")
    assert ends_text(first, ".1%") == " [40.0%, 70.0%]" and ends_text(second, ".1%") == ""


def test_rows_are_named_from_the_top():
    fig = go.Figure()
    name_rows(fig, ["a", "b"], "task")
    assert list(fig.layout.yaxis.range) == [1.5, -0.5] and list(fig.layout.yaxis.ticktext) == ["a", "b"]


def test_lines_differ_in_colour_and_dashes_and_are_escaped():
    table = pd.DataFrame({"who": ["b", "b", "<i>"], "x": [1, 2, 1], "share": [0.1, 0.2, 0.5]})
    fig = lines(table, "x", "share", "who", {"who": "method", "b": "Bee"})
    assert [(t.name, list(t.y)) for t in fig.data] == [("Bee", [0.1, 0.2]), ("&lt;i&gt;", [0.5])]
    assert fig.data[0].line.color != fig.data[1].line.color and fig.data[0].line.dash != fig.data[1].line.dash
    assert fig.layout.legend.title.text == "method"
