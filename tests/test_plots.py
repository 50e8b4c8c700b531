import json
import subprocess
import sys

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
import pytest

from srna_lib.errors import InputError
from srna_lib.plots import atlas, performance
from srna_lib.plots import base as plots_base

EVIL = "<b>x</b> & <a href='http://e.org'>y</a>"
SAFE = "&lt;b&gt;x&lt;/b&gt; &amp; &lt;a href='http://e.org'&gt;y&lt;/a&gt;"


def record(**changes) -> dict:
    base = {"task": "tissue_group", "dataset": "demo", "model": "m1", "features": "all", "scheme": "random"}
    base |= {"metric": "accuracy", "value": 0.8, "ci_low": 0.7, "ci_high": 0.85}
    return base | {"n_samples": 100, "n_datasets": 7, "seed": 0} | changes


RECORDS = [
    record(model=m, scheme=s, metric=q) for m in ("b", "a") for s in ("random", "grouped") for q in ("accuracy", "f1")
]
CLASSES = [record(model=m, metric=f"{q}:{c}") for m in ("a", "b") for q in ("precision", "recall") for c in (EVIL, "z")]
CONFUSION = pd.DataFrame([[8, 2], [0, 0]], index=[EVIL, "y"], columns=[EVIL, "y"])
STUDIES = pd.DataFrame(
    {"dataset_id": ["A", "B", EVIL], "n_samples": [4, 16, 1], "model": ["m1", "m1", "m2"], "accuracy": [0.5, 1.0, 0.0]}
)
PAPER = pd.DataFrame(
    {"quantity": ["DL", "RF"] * 2, "source": ["paper"] * 2 + ["ours"] * 2, "value": [0.9, 0.8, 0.91, 0.85]}
)
MAP = pd.DataFrame(
    {"x": range(6), "y": range(6), "tissue_group": [*"aaabb", None], "dataset_id": [*"STSTU", EVIL]},
    index=[f"s{i}" for i in range(6)],
)
COUNTS = pd.DataFrame([[3, 0], [2, 0], [0, 100]], index=["A", EVIL, "C"], columns=["x", EVIL])
SAMPLES = pd.DataFrame(
    {"class": ["x", "x", "y", None], "reads": [10, 1000, 100, 5], "dataset_id": ["A", EVIL, "B", "B"]},
    index=list("stuv"),
)
PEOPLE = pd.DataFrame(
    {"group": ["x", EVIL], "n_samples": [4, 1], "female": [0.25, 0.0], "male": [0.5, 0.0], "sex_known": [0.75, 0.0],
     "age_known": [0.5, 1.0]}
)  # fmt: skip
EFFECT = pd.DataFrame(
    {"max_zero_share": [1.0, 0.3], "n_features": [9, 3], "share_features": [1.0, 1 / 3], "share_reads": [1.0, 0.9]}
)
NEAR = pd.DataFrame(
    {
        "share": ["same class", "same study"],
        "candidates": ["of all", "of all"],
        "observed": [0.8, 0.5],
        "ci_low": [0.7, 0.4],
        "ci_high": [0.9, 0.6],
        "chance": [0.2, 0.1],
        "ceiling": [1.0, 0.6],
    }
)
TEXT = {"title": f"Title {EVIL}", "caption": "n = 5 samples"}
FIGURES = {
    "metric_bars": lambda: performance.metric_bars(RECORDS, **TEXT),
    "metric_bars, two": lambda: performance.metric_bars(RECORDS, metric=["accuracy", "f1"], **TEXT),
    "confusion": lambda: performance.confusion(CONFUSION, **TEXT),
    "per_class": lambda: performance.per_class(CLASSES, **TEXT),
    "per_study": lambda: performance.per_study(STUDIES, **TEXT),
    "paper_comparison": lambda: performance.paper_comparison(PAPER, **TEXT),
    "embedding": lambda: atlas.embedding(MAP, hover=["dataset_id"], **TEXT),
    "embedding_pair": lambda: atlas.embedding_pair(MAP, **TEXT),
    "study_class_heatmap": lambda: atlas.study_class_heatmap(COUNTS, **TEXT),
    "people": lambda: atlas.people(PEOPLE, **TEXT),
    "depth": lambda: atlas.depth(SAMPLES, **TEXT),
    "zeros": lambda: atlas.zeros(pd.Series([0, 0.5, 1]), **TEXT),
    "filter_curve": lambda: atlas.filter_curve(EFFECT, **TEXT),
    "neighbours": lambda: atlas.neighbours(NEAR, **TEXT),
}


@pytest.fixture(params=FIGURES, scope="module")
def figure(request) -> go.Figure:
    return FIGURES[request.param]()


def axes(fig: go.Figure, letter: str) -> list:
    return [fig.layout[name] for name in fig.to_dict()["layout"] if name.startswith(f"{letter}axis")]


def test_every_figure_has_titled_axes(figure):
    assert all(axis.title.text for axis in axes(figure, "x"))
    assert axes(figure, "y")[0].title.text  # panels to the right share the first one


def test_every_figure_carries_title_and_caption_on_white(figure):
    assert figure.layout.title.text == f"Title {SAFE}"
    assert figure.layout.title.subtitle.text == "n = 5 samples"
    assert figure.layout.template.layout.paper_bgcolor == figure.layout.template.layout.plot_bgcolor == "white"
    assert figure.layout.template.layout.font.size >= 12


def test_no_figure_lets_markup_of_data_through(figure):
    assert EVIL not in json.dumps(figure.to_plotly_json(), default=lambda o: np.asarray(o).tolist())


def test_every_figure_is_plain_json(figure):
    parsed = json.loads(pio.to_json(figure))
    assert parsed["data"] and parsed["layout"]["height"] > 200


def test_setup_makes_outputs_plotly_json_only():
    before = pio.renderers.default, pio.templates.default
    try:
        performance.setup()
        bundle = pio.renderers[pio.renderers.default].to_mimebundle(go.Figure().to_dict())
        assert list(bundle) == ["application/vnd.plotly.v1+json"]
        assert go.Figure().layout.template.layout.paper_bgcolor == "white"
    finally:
        pio.renderers.default, pio.templates.default = before


def test_importing_the_package_does_not_load_plotly():
    code = "import sys, srna_lib; assert not {'plotly', 'keras', 'jax'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_styles_are_distinct_and_independent_of_order():
    names = [f"c{i:02d}" for i in range(60)]
    look = plots_base.styles(names)
    assert len(set(look.values())) == 60
    assert len({color for color, _ in list(look.values())[:12]}) == 12
    assert plots_base.styles(names[::-1] * 2) == look


def luminance(color: str) -> float:
    rgb = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("color", plots_base.PALETTE)
def test_colours_stand_on_white(color):
    assert 1.05 / (luminance(color) + 0.05) > 1.9


def test_caption_says_what_it_was_given():
    text = performance.caption(10, 3, "random 5-fold", "accuracy", "95 % intervals")
    assert text == "n = 10 samples of 3 studies; split: random 5-fold; metric: accuracy; 95 % intervals"
    assert performance.caption(10) == "n = 10 samples" and performance.caption() == ""


def test_long_captions_are_wrapped_and_get_room():
    short, long = (performance.confusion(CONFUSION, title="t", caption="word " * n) for n in (5, 100))
    lines = long.layout.title.subtitle.text.split("<br>")
    assert len(lines) > 2 and max(map(len, lines)) <= plots_base.WRAP
    assert long.layout.margin.t - short.layout.margin.t == 18 * (len(lines) - 1)


def test_metric_bars_keep_order_values_and_intervals():
    fig = performance.metric_bars(RECORDS, labels={"a": "Model A"})
    assert [t.name for t in fig.data] == ["random", "grouped"]
    assert list(fig.layout.xaxis.categoryarray) == ["b", "Model A"]
    for trace in fig.data:
        assert list(trace.y) == [0.8, 0.8] and list(trace.x) == ["b", "Model A"]
        assert list(trace.error_y.array) == pytest.approx([0.05] * 2)
        assert list(trace.error_y.arrayminus) == pytest.approx([0.1] * 2)
    assert fig.data[0].marker.color != fig.data[1].marker.color
    assert "100 samples<br>7 studies" in fig.data[0].hovertext[0]


def test_metric_bars_draw_a_panel_for_each_metric_and_one_legend():
    fig = performance.metric_bars(RECORDS, metric=["accuracy", "f1"])
    assert len(fig.data) == 4 and [t.showlegend for t in fig.data] == [True, True, False, False]
    assert {a.text for a in fig.layout.annotations} == {"<b>accuracy</b>", "<b>f1</b>"}


def test_metric_bars_axis_holds_every_interval():
    fig = performance.metric_bars([record(value=0.5, ci_low=0.1, ci_high=0.6), record(model="m2")])
    assert fig.layout.yaxis.range[0] < 0.1 and fig.layout.yaxis.range[1] > 0.85


def test_metric_bars_survive_a_missing_interval():
    fig = performance.metric_bars([record(ci_low=None, ci_high=None)])
    assert np.isnan(np.asarray(fig.data[0].error_y.array, dtype=float)).all()
    assert "[" not in fig.data[0].hovertext[0]


def test_missing_columns_metrics_and_rows_are_said():
    with pytest.raises(InputError, match="columns scheme are missing"):
        performance.metric_bars(pd.DataFrame(RECORDS).drop(columns="scheme"))
    with pytest.raises(InputError, match=r"metric auc is missing \(found: accuracy, f1\)"):
        performance.metric_bars(RECORDS, metric="auc")
    with pytest.raises(InputError, match="no rows"):
        performance.per_study(STUDIES.iloc[:0])
    with pytest.raises(InputError, match="no precision or recall of a class"):
        performance.per_class(RECORDS)


@pytest.mark.parametrize(
    ("normalise", "z"), [("row", [[0.8, 0.2], [0, 0]]), ("column", [[1, 1], [0, 0]]), ("none", [[8, 2], [0, 0]])]
)
def test_confusion_normalises_and_keeps_the_counts(normalise, z):
    (heatmap,) = performance.confusion(CONFUSION, normalise).data
    np.testing.assert_allclose(heatmap.z, z)
    np.testing.assert_array_equal(heatmap.customdata, CONFUSION)
    assert list(heatmap.y) == [f"{SAFE} (10)", "y (0)"] and list(heatmap.x) == [SAFE, "y"]


def test_confusion_refuses_other_normalisations_and_emptiness():
    with pytest.raises(InputError, match="expected 'row', 'column' or 'none'"):
        performance.confusion(CONFUSION, "rows")
    with pytest.raises(InputError, match="empty"):
        performance.confusion(pd.DataFrame())


def test_per_class_reads_the_class_from_metric_or_column():
    fig = performance.per_class(CLASSES)
    assert len(fig.data) == 4 and all(list(t.y) == [SAFE, "z"] for t in fig.data)
    table = pd.DataFrame(CLASSES)
    table[["metric", "class"]] = table["metric"].str.split(":", n=1, expand=True)
    assert performance.per_class(table).to_plotly_json() == fig.to_plotly_json()


def test_per_study_draws_every_study_and_the_mean_of_studies():
    fig = performance.per_study(STUDIES)
    *rows, means = fig.data
    assert [len(t.x) for t in rows] == [2, 1] and list(means.x) == [0.75, 0.0]
    sizes = rows[0].marker.size
    assert (sizes[1] - 6) / (sizes[0] - 6) == pytest.approx(2)  # area follows the number of samples
    assert np.all(np.abs(np.asarray(rows[1].y) - 1) <= 0.3)
    assert performance.per_study(STUDIES).to_plotly_json() == fig.to_plotly_json()


def test_paper_comparison_opens_the_published_symbol():
    fig = performance.paper_comparison(PAPER)
    assert [t.name for t in fig.data] == ["paper", "ours"]
    assert fig.data[0].marker.symbol.endswith("-open") and not fig.data[1].marker.symbol.endswith("-open")
    assert list(fig.data[1].x) == [0.91, 0.85]


def test_embedding_draws_every_sample_once_with_unknown_as_a_value():
    fig = atlas.embedding(MAP)
    assert {t.name: len(t.x) for t in fig.data} == {"a (3)": 3, "b (2)": 2, "unknown (1)": 1}
    assert [t.name for t in sorted(fig.data, key=lambda t: t.legendrank)] == ["a (3)", "b (2)", "unknown (1)"]
    assert fig.data[0].hovertext[0] == "<b>s0</b><br>tissue_group: a"


def test_embedding_of_many_groups_is_one_trace_without_legend():
    df = pd.DataFrame({"x": range(30), "y": range(30), "dataset_id": [f"d{i:02d}" for i in range(30)]})
    (trace,) = atlas.embedding(df, "dataset_id").data
    assert len(trace.x) == 30 and not trace.showlegend
    assert len(set(zip(trace.marker.color, trace.marker.symbol, strict=True))) == 30


def test_embedding_pair_links_the_panels():
    fig = atlas.embedding_pair(MAP, names=("class", "study"))
    assert fig.layout.xaxis2.matches == "x" and fig.layout.yaxis2.matches == "y"
    points = {axis: sum(len(t.x) for t in fig.data if t.xaxis == axis) for axis in ("x", "x2")}
    assert points == {"x": 6, "x2": 6}
    assert not any(t.showlegend for t in fig.data if t.xaxis == "x2")
    assert any("dataset_id: S" in text for text in fig.data[0].hovertext)


def test_study_class_heatmap_groups_studies_and_leaves_absence_blank():
    (heatmap,) = atlas.study_class_heatmap(COUNTS.iloc[::-1]).data
    assert list(heatmap.x) == ["A", SAFE, "C"] and list(heatmap.y) == ["x (5)", f"{SAFE} (100)"]
    np.testing.assert_allclose(heatmap.z, np.log10([[3, 2, np.nan], [np.nan, np.nan, 100]]))


def test_study_class_heatmap_sets_studies_of_several_classes_apart():
    counts = pd.DataFrame({"x": [9, 1, 0], "y": [1, 0, 2]}, index=["both", "x only", "y only"])
    fig = atlas.study_class_heatmap(counts)
    assert list(fig.data[0].x) == ["x only", "y only", "both"]
    assert [s.x0 for s in fig.layout.shapes] == [1.5]
    assert [a.text for a in fig.layout.annotations] == ["2 studies of one class", "1 of several"]


def test_study_class_heatmap_of_hundreds_of_studies_has_no_gaps():
    wide = pd.DataFrame({"x": range(1, 301), "y": 0}, index=[f"study {i}" for i in range(300)])
    assert atlas.study_class_heatmap(wide).data[0].xgap == 0
    assert atlas.study_class_heatmap(wide.iloc[:20]).data[0].xgap == 1
    assert atlas.study_class_heatmap(wide).data[0].z.shape == (2, 300)


def test_people_stacks_sexes_and_marks_ages():
    fig = atlas.people(PEOPLE)
    assert [t.name for t in fig.data] == ["female", "male", "age known"] and fig.layout.barmode == "stack"
    assert list(fig.data[0].x) == [0.25, 0.0] and list(fig.data[2].x) == [0.5, 1.0]
    assert list(fig.data[0].y) == ["x (4)", f"{SAFE} (1)"]


def test_figures_say_where_nothing_is_recorded():
    unknown = PEOPLE.assign(female=0.0, male=0.0, sex_known=0.0, age_known=0.0)
    for fig in (atlas.people(unknown, title="Who?"), atlas.depth(SAMPLES.assign(reads=np.nan), title="How deep?")):
        assert not fig.data and fig.layout.annotations[0].text == "Not recorded in this data set."
        assert fig.layout.title.text in ("Who?", "How deep?")


def test_depth_sorts_classes_and_leaves_the_unlabelled_out():
    fig = atlas.depth(SAMPLES)
    assert [t.name for t in fig.data] == ["x (2)", "y (1)"] and fig.layout.xaxis.type == "log"


def test_zeros_counts_every_srna_and_marks_thresholds():
    fig = atlas.zeros(pd.Series([0, 0.31, 0.31, 1.0]), (0.3,))
    assert fig.data[0].y.sum() == 4
    assert [s.x0 for s in fig.layout.shapes] == [0.3] and fig.layout.annotations[0].text == "30%"


def test_filter_curve_is_sorted():
    fig = atlas.filter_curve(EFFECT)
    assert [t.name for t in fig.data] == ["reads", "sRNAs"]
    assert list(fig.data[0].x) == [0.3, 1.0] and list(fig.data[0].y) == [0.9, 1.0]


def test_neighbours_show_observed_chance_and_ceiling():
    traces = {t.name: t for t in atlas.neighbours(NEAR).data}
    assert list(traces["observed"].x) == [0.8, 0.5] and list(traces["chance"].x) == [0.2, 0.1]
    assert list(traces["highest possible"].x) == [1.0, 0.6]
    assert list(traces["observed"].error_x.array) == pytest.approx([0.1, 0.1])
