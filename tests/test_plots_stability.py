"""Figures of flips: what is marked, what is drawn, and in which order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from figures import BOLD, DETECTION, FLIPS, HELD, IMG, PATH, SAFE, SAFE_BOLD, STEPS
from srna_lib import plots
from srna_lib.errors import InputError


def test_matrix_marks_minorities_and_what_never_comes():
    (heat,) = plots.flip_matrix(FLIPS, classes=["A", IMG, BOLD]).data
    assert list(heat.x) == ["A", SAFE, SAFE_BOLD] and list(heat.y) == ["A (7)", f"{SAFE} (7)"]
    assert np.array(heat.text).tolist() == [["", "3", "(200)"], ["×", "", "12.5"]]
    np.testing.assert_allclose(heat.z[0][1:], np.log10([3, 200]))
    assert np.isnan(heat.z[0][0]) and np.isnan(heat.z[1][0])
    assert "no path flips" in heat.customdata[1][0] and "80% of the paths" in heat.customdata[0][2]


def test_curves_mark_the_flip_and_name_the_srna():
    fig = plots.flip_curves({"one": PATH, IMG: PATH.iloc[:3]}, classes=["A", IMG])
    flip = int(np.flatnonzero(PATH["predicted"] == IMG)[0])
    assert [s.x0 for s in fig.layout.shapes] == [flip], "the second curve never flips"
    assert {f"r{flip - 1}", "<b>one</b>", f"<b>{SAFE}</b>"} == {a.text for a in fig.layout.annotations}
    assert max(fig.data[0].x) >= flip
    assert sum(t.showlegend for t in fig.data) == 2
    assert "step 1: r0<br>87.2%" in [text for t in fig.data for (text,) in t.customdata]
    with pytest.raises(InputError, match="there is no curve"):
        plots.flip_curves({}, classes=["A"])


def test_a_class_keeps_its_colour_in_every_panel_and_figure():
    fig = plots.flip_curves({"one": PATH, "two": PATH.iloc[::-1]}, classes=["A", "B", IMG])
    assert len({(t.name, t.line.color) for t in fig.data}) == 2
    assert {t.line.color for t in plots.flip_curves({"x": PATH}, classes=["A", "B", IMG]).data} == {
        t.line.color for t in fig.data
    }


def test_long_names_of_samples_stand_in_a_line_of_their_own():
    names = {"TCGA-G8-6909-01A-11R-2212-13: A (right)": PATH, "b: A (wrong)": PATH}
    long, plain = (plots.flip_curves(curves, classes=["A", IMG]) for curves in (names, {"a": PATH}))
    assert "<b>TCGA-G8-6909-01A-11R-2212-13:<br>A (right)</b>" in [a.text for a in long.layout.annotations]
    assert long.layout.margin.t > plain.layout.margin.t


def test_lines_of_orders_leave_out_step_0_of_a_log_scale():
    drawn = {t.name: (list(t.x), list(t.y)) for t in plots.unflipped(HELD).data}
    assert drawn == {SAFE_BOLD: ([5], [0.5]), SAFE: ([5], [0.9])}


def test_boxes_of_correct_and_wrong_predictions():
    fig = plots.steps_by_class(STEPS)
    assert {t.name: sorted(t.x) for t in fig.data} == {"correct": [3, 9], "wrong": [1]}
    assert len({t.marker.symbol for t in fig.data}) == 2
    assert list(fig.layout.yaxis.categoryarray)[::-1] == [SAFE, "A"]


def test_error_detection_draws_chance_level_and_intervals():
    fig = plots.error_detection(DETECTION)
    assert fig.data[0].error_x.array[0] == pytest.approx(0.05) and fig.layout.shapes[0].x0 == 0.5
    assert fig.layout.xaxis.range[0] < 0.5


@pytest.mark.parametrize("draw", [plots.flip_matrix, plots.unflipped, plots.steps_by_class, plots.error_detection])
def test_a_table_without_its_columns_is_refused(draw):
    with pytest.raises(InputError, match="are missing"):
        draw(pd.DataFrame({"a": [1]}))
