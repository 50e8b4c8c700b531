"""Figures of flips: traces, texts and escaping."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from srna_lib.errors import InputError
from srna_lib.plots import stability

EVIL, SAFE = "<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"


def pairs() -> pd.DataFrame:
    base = {"n_samples": 7, "mean_low": 1.0, "mean_high": 9.0, "median": 4.0, "share": 0.1, "reads": 0.2}
    rows = [
        {"own": "A", "other": EVIL, "mean": 3.0, "censored": 0.0},
        {"own": "A", "other": "C", "mean": 200.0, "censored": 0.8},
        {"own": EVIL, "other": "A", "mean": np.nan, "censored": 1.0},
        {"own": EVIL, "other": "C", "mean": 12.5, "censored": 0.5},
    ]
    return pd.DataFrame([{**base, **r} for r in rows])


def curve() -> pd.DataFrame:
    p = np.linspace(0.9, 0.1, 30)
    table = pd.DataFrame({"step": range(30), "srna": [None, *[f"r{i}" for i in range(28)], EVIL], "reads": 0.0})
    table["predicted"] = np.where(p > 0.5, "A", EVIL)
    return table.assign(**{"p_A": p, f"p_{EVIL}": 1 - p})


def test_matrix_marks_minorities_and_what_never_comes():
    fig = stability.flip_matrix(pairs(), classes=["A", EVIL, "C"], title=EVIL)
    heat = fig.data[0]
    assert list(heat.x) == ["A", SAFE, "C"] and list(heat.y) == ["A (7)", f"{SAFE} (7)"]
    assert np.array(heat.text).tolist() == [["", "3", "(200)"], ["×", "", "12.5"]]
    np.testing.assert_allclose(heat.z[0][1:], np.log10([3, 200]))
    assert np.isnan(heat.z[0][0]) and np.isnan(heat.z[1][0])
    assert "no path flips" in heat.customdata[1][0] and "80% of the paths" in heat.customdata[0][2]
    assert SAFE in fig.layout.title.text and EVIL not in fig.to_json()


def test_a_share_is_drawn_in_per_cent():
    heat = stability.flip_matrix(pairs(), "share").data[0]
    assert np.array(heat.text)[0, 1] in ("10", "(10)")
    assert np.nanmax(np.array(heat.z, float)) == pytest.approx(0.1)


def test_curves_mark_the_flip_and_name_the_srna():
    fig = stability.flip_curves({"one": curve(), EVIL: curve().iloc[:3]}, classes=["A", EVIL])
    flip = int(np.flatnonzero(curve()["predicted"] == EVIL)[0])
    assert [s.x0 for s in fig.layout.shapes] == [flip], "the second curve never flips"
    texts = [a.text for a in fig.layout.annotations]
    assert f"r{flip - 1}" in texts and f"<b>{SAFE}</b>" in texts
    assert max(fig.data[0].x) >= flip
    assert sum(t.showlegend for t in fig.data) == 2
    with pytest.raises(InputError, match="there is no curve"):
        stability.flip_curves({}, classes=["A"])


def test_long_names_of_samples_stand_in_a_line_of_their_own():
    names = {"TCGA-G8-6909-01A-11R-2212-13: A (right)": curve(), "b: A (wrong)": curve()}
    long = stability.flip_curves(names, classes=["A", EVIL])
    plain = stability.flip_curves({"a": curve()}, classes=["A", EVIL])
    assert "<b>TCGA-G8-6909-01A-11R-2212-13:<br>A (right)</b>" in [a.text for a in long.layout.annotations]
    assert long.layout.margin.t > plain.layout.margin.t


def test_lines_of_orders_and_of_coverage():
    left = pd.DataFrame({"order": ["a", "a", "b", "b"], "step": [0, 5, 0, 5], "share": [1, 0.5, 1, 0.9]})
    fig = stability.share_left(left)
    assert [t.name for t in fig.data] == ["a", "b"] and list(fig.data[0].x) == [5], "no step 0 on a log scale"
    cover = pd.DataFrame({"name": [EVIL, EVIL], "coverage": [0.5, 1.0], "accuracy": [0.9, 0.8]})
    assert stability.coverage(cover).data[0].name == SAFE


def test_boxes_of_right_and_wrong_calls():
    table = pd.DataFrame({"y_pred": ["A", "A", EVIL], "wrong": [False, True, False], "steps": [3, 1, 9]})
    fig = stability.firmness_by_class(table.assign(sample_id=list("xyz")))
    assert [(t.name, list(t.x)) for t in fig.data] == [("right", [3, 9]), ("wrong", [1])]
    assert fig.data[0].marker.symbol != fig.data[1].marker.symbol
    assert list(fig.layout.yaxis.categoryarray) == ["A", SAFE]


def test_score_worth_draws_chance_and_intervals():
    table = pd.DataFrame({"name": ["s"], "auroc": [0.8], "ci_low": [0.7], "ci_high": [0.85]})
    fig = stability.score_worth(table)
    assert fig.data[0].error_x.array[0] == pytest.approx(0.05) and fig.layout.shapes[0].x0 == 0.5
    assert fig.layout.xaxis.range[0] < 0.5


@pytest.mark.parametrize(
    "draw",
    [
        stability.flip_matrix,
        stability.share_left,
        stability.coverage,
        stability.firmness_by_class,
        stability.score_worth,
    ],
)
def test_a_table_without_its_columns_is_refused(draw):
    with pytest.raises(InputError, match="are missing"):
        draw(pd.DataFrame({"a": [1]}))
