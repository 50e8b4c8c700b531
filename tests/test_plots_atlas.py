"""Figures about an atlas: what is drawn is what the tables say."""

from __future__ import annotations

import numpy as np
import pandas as pd

from figures import BOLD, COUNTS, EFFECT, MAP, NEAR, PEOPLE, SAFE, SAFE_BOLD, SAMPLES
from srna_lib import plots


def test_study_class_heatmap_groups_studies_and_leaves_absence_blank():
    (heatmap,) = plots.study_class_heatmap(COUNTS.iloc[2::-1]).data
    assert list(heatmap.x) == ["A", SAFE, "C"] and list(heatmap.y) == ["x (5)", f"{SAFE} (100)"]
    np.testing.assert_allclose(heatmap.z, np.log10([[3, 2, np.nan], [np.nan, np.nan, 100]]))


def test_study_class_heatmap_sets_studies_of_several_classes_apart():
    counts = pd.DataFrame({"x": [9, 1, 0], "y": [1, 0, 2]}, index=["both", "x only", "y only"])
    fig = plots.study_class_heatmap(counts)
    assert list(fig.data[0].x) == ["x only", "y only", "both"]
    assert [s.x0 for s in fig.layout.shapes] == [1.5]
    assert [a.text for a in fig.layout.annotations] == ["2 studies of one class", "1 of several"]


def test_study_class_heatmap_of_hundreds_of_studies_has_no_gaps():
    wide = pd.DataFrame({"x": range(1, 301), "y": 0}, index=[f"study {i}" for i in range(300)])
    assert plots.study_class_heatmap(wide).data[0].xgap == 0
    assert plots.study_class_heatmap(wide.iloc[:20]).data[0].xgap == 1
    assert plots.study_class_heatmap(wide).data[0].z.shape == (2, 300)


def test_people_stacks_sexes_and_marks_ages():
    fig = plots.people(PEOPLE)
    drawn = {t.name: dict(zip(t.y, t.x, strict=True)) for t in fig.data}
    assert fig.layout.barmode == "relative"
    assert drawn["female"] == {"x (4)": 0.25, f"{SAFE} (1)": 0.0} and drawn["male"]["x (4)"] == 0.5
    assert drawn["age known"] == {"x (4)": 0.5, f"{SAFE} (1)": 1.0}


def test_figures_say_where_nothing_is_recorded():
    unknown = PEOPLE.assign(female=0.0, male=0.0, sex_known=0.0, age_known=0.0)
    for fig in (plots.people(unknown, title="Who?"), plots.depth(SAMPLES.assign(reads=np.nan), title="How deep?")):
        assert not fig.data and fig.layout.annotations[0].text.startswith("Not recorded in this data set")
        assert fig.layout.title.text in ("Who?", "How deep?")


def test_depth_sorts_classes_and_leaves_the_unlabelled_out():
    fig = plots.depth(SAMPLES)
    assert [len(t.x) for t in fig.data] == [3] and fig.layout.xaxis.type == "log"
    assert list(fig.layout.yaxis.categoryarray)[::-1] == ["x (2)", f"{SAFE} (1)"]  # medians 505 and 100
    assert any(f"{SAFE_BOLD}<br>study {SAFE_BOLD}<br>100 reads" in text for (text,) in fig.data[0].customdata)


def test_zeros_counts_every_srna_and_marks_thresholds():
    fig = plots.zeros(pd.Series([0, 0.31, 0.31, 1.0]), (0.3,))
    assert sum(fig.data[0].y) == 4
    assert [s.x0 for s in fig.layout.shapes] == [0.3] and fig.layout.annotations[0].text == "30%"


def test_filter_curve_is_sorted():
    drawn = {t.name: (list(t.x), list(t.y)) for t in plots.filter_curve(EFFECT, (0.3, 0.9)).data}
    assert drawn == {"reads": ([0.3, 1.0], [0.9, 1.0]), "sRNAs": ([0.3, 1.0], [1 / 3, 1.0])}


def test_embedding_draws_every_sample_twice_with_unknown_as_a_value():
    fig = plots.embedding_pair(MAP, BOLD, names=("class", "study"))
    left, right = ([t for t in fig.data if t.xaxis == axis] for axis in ("x", "x2"))
    assert {t.name: len(t.x) for t in left} == {"a (3)": 3, f"{SAFE} (2)": 2, "unknown (1)": 1}
    assert [t.name for t in left] == ["a (3)", f"{SAFE} (2)", "unknown (1)"], "small groups stay on top"
    assert left[0].customdata[0][0] == f"<b>s</b><br>{SAFE_BOLD}: a<br>dataset_id: S"
    assert sum(len(t.x) for t in right) == 6 and not any(t.showlegend for t in right)
    assert fig.layout.xaxis2.matches == "x" and fig.layout.yaxis2.matches == "y"


def test_embedding_of_many_groups_has_no_legend():
    df = pd.DataFrame({"x": range(30), "y": range(30), "dataset_id": [f"d{i:02d}" for i in range(30)], "one": "a"})
    fig = plots.embedding_pair(df, "dataset_id", "one")
    assert sum(len(t.x) for t in fig.data) == 60 and not any(t.showlegend for t in fig.data)
    assert len({(t.marker.color, t.marker.symbol) for t in fig.data if t.xaxis == "x"}) == 30


def test_neighbours_show_observed_chance_and_ceiling():
    traces = {t.name: t for t in plots.neighbours(NEAR).data}
    assert list(traces["observed"].x) == [0.8, 0.5] and list(traces["chance"].x) == [0.2, 0.1]
    assert list(traces["highest possible"].x) == [1.0, 0.6]
    np.testing.assert_allclose(traces["observed"].error_x.array, [0.1, 0.1])
    assert np.isnan(traces["chance"].error_x.array).all()
