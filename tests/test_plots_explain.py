"""Figures of explanations and rankings: axes, captions, no markup of data, and what each of them shows."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
import pytest
from test_plots import EVIL, SAFE, TEXT, axes

from srna_lib.errors import InputError
from srna_lib.explain.rankings import top_features
from srna_lib.explain.single_samples import breakdown
from srna_lib.plots import explain
from srna_lib.plots.explain import Explained

NAMES = ["hsa-miR-1-3p", "hsa-let-7a-5p/7c-5p/7d-5p/7e-5p", EVIL, "hsa-miR-9-5p"]
PARTS = pd.DataFrame([[1.0, -2.0, 0.1, 0.0], [-1.0, 0.5, 3.0, 0.0]], index=["brain", EVIL], columns=NAMES)
COUNTS = pd.Series([10, 0, 5], index=[*NAMES[:2], EVIL])
LEVELS = pd.DataFrame([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 9.0, 1.0]], index=PARTS.index, columns=NAMES)
RANKING = pd.DataFrame(
    [
        {"class": c, "srna": s, "score": 3.0 - i, "rank": i + 1.0, "ci_low": 2.5 - i, "ci_high": 3.5 - i}
        | {"rank_low": 1.0, "rank_high": 4.0}
        for c in ("x", EVIL)
        for i, s in enumerate(NAMES)
    ]
)
PAIRS = pd.DataFrame([[1.0, 0.4], [0.4, 1.0]], index=["seed 0", EVIL], columns=["seed 0", EVIL])
TRUTH = pd.DataFrame({"method": ["one network", "one network", EVIL], "precision": [0.9, 0.8, 0.1]})
MARKERS = pd.DataFrame(
    {"class": ["x", "x", EVIL, EVIL], "srna": [NAMES[0]] * 2 + [EVIL] * 2, "rank": [1, 45, 3, np.nan],
     "reference": ["mean", EVIL] * 2}
)  # fmt: skip
ZEROS = pd.DataFrame(
    {"class": ["x", EVIL], "srna": [NAMES[0], EVIL], "zero_share": [0.9, 0.1], "zero_share_class": [0.2, 0.0]}
)
CURVES = pd.DataFrame(
    [
        {"method": m, "order": o, "share_masked": s, "gap": g * s}
        for m in ("DeepLIFT", EVIL)
        for o, g in (("PGI", 1.0), ("random", 0.5), ("PGU", 0.1))
        for s in (0, 0.5, 1)
    ]
)
SETS = pd.DataFrame(
    {"class": ["x", "x", EVIL], "collection": ["family"] * 2 + [EVIL], "set": ["let-7", EVIL, "mir-9"],
     "overlap": [3, 1, 5], "size": [9, 4, 5], "fold": [4.0, 2.0, 9.0], "p": [1e-5, 0.2, 1e-9], "q": [1e-4, 0.3, 1e-8],
     "members": ["a;b;c", "d", "e;f"]}
)  # fmt: skip
ONE, TWO = Explained(f"right {EVIL}", PARTS, COUNTS), Explained("wrong", PARTS[::-1], COUNTS)
FIGURES = {
    "sample_heatmap": lambda: explain.sample_heatmap([ONE], **TEXT),
    "sample_heatmap, two": lambda: explain.sample_heatmap([ONE, TWO], **TEXT),
    "sample_browser": lambda: explain.sample_browser([ONE, TWO], **TEXT),
    "waterfall": lambda: explain.waterfall(breakdown(PARTS.loc[EVIL], 0.5, n=2), f"logit {EVIL}", **TEXT),
    "class_heatmaps": lambda: explain.class_heatmaps(PARTS, LEVELS, top_features(PARTS, 2), **TEXT),
    "clustered": lambda: explain.clustered(PARTS, value=f"x {EVIL}", **TEXT),
    "clustered, groups": lambda: explain.clustered(LEVELS, pd.Series(["x", EVIL], PARTS.index), **TEXT),
    "class_rankings": lambda: explain.class_rankings(RANKING, n=3, **TEXT),
    "agreement_heatmap": lambda: explain.agreement_heatmap(PAIRS, **TEXT),
    "truth_bars": lambda: explain.truth_bars(TRUTH, 0.12, **TEXT),
    "gap_curves": lambda: explain.gap_curves(CURVES, **TEXT),
    "marker_ranks": lambda: explain.marker_ranks(MARKERS, **TEXT),
    "marker_zeros": lambda: explain.marker_zeros(ZEROS, **TEXT),
    "set_dots": lambda: explain.set_dots(SETS, **TEXT),
}


@pytest.fixture(params=FIGURES, scope="module")
def figure(request) -> go.Figure:
    return FIGURES[request.param]()


def drawn(fig: go.Figure, kind: type) -> list:
    return [t for t in fig.data if isinstance(t, kind)]


def test_every_figure_has_titled_axes(figure):
    titled = [axis.title.text for axis in axes(figure, "x")]
    assert sum(bool(t) for t in titled) >= min(2, len(titled))
    assert axes(figure, "y")[0].title.text


def test_every_figure_carries_title_and_caption(figure):
    assert figure.layout.title.text == f"Title {SAFE}"
    assert figure.layout.title.subtitle.text == "n = 5 samples"
    assert figure.layout.template.layout.paper_bgcolor == "white"


def test_no_figure_lets_markup_of_data_through(figure):
    assert EVIL not in json.dumps(figure.to_plotly_json(), default=lambda o: np.asarray(o).tolist())


def test_every_figure_is_plain_json(figure):
    parsed = json.loads(pio.to_json(figure))
    assert parsed["data"] and parsed["layout"]["height"] > 200


def test_short_names():
    assert explain.short("hsa-miR-1-3p") == "miR-1-3p"
    assert len(explain.short(NAMES[1])) == 20
    assert explain.short(NAMES[1]).endswith("…")


def test_sample_heatmap_orders_by_the_winner_and_tells_counts():
    fig = explain.sample_heatmap([ONE, TWO], n=3)
    first, second = drawn(fig, go.Heatmap)
    assert first.z[1][0] == 3.0  # the second class has the largest sum; what speaks most for it comes first
    assert len(first.x) == 3
    hover = first.hovertext[0][[c.startswith("miR-1") for c in first.x].index(True)]
    assert "10 counts" in hover
    assert f"{1e6 * 10 / 15:.1f} RPM" in hover
    assert "+1.000" in hover
    assert first.coloraxis == second.coloraxis == "coloraxis"
    assert fig.layout.coloraxis.cmax == -fig.layout.coloraxis.cmin == 3.0


def test_sample_browser_shows_one_sample_at_a_time():
    fig = explain.sample_browser([ONE, TWO])
    assert [t.visible for t in drawn(fig, go.Heatmap)] == [True, False]
    buttons = fig.layout.updatemenus[0].buttons
    assert [b.label for b in buttons] == [f"right {SAFE}", "wrong"]
    assert buttons[1].args[0]["visible"] == [False, True]


def test_waterfall_runs_from_the_reference_to_the_sample():
    steps = breakdown(PARTS.loc["brain"], 0.5, n=2)
    (bars,) = drawn(explain.waterfall(steps), go.Waterfall)
    assert list(bars.measure) == ["absolute", "relative", "relative", "relative", "absolute"]
    assert list(bars.x) == pytest.approx([0.5, -2.0, 1.0, 0.1, -0.4])


def test_class_heatmaps_scale_rows_and_show_expression_of_the_same_srnas():
    top = top_features(PARTS, 2)
    left, right = drawn(explain.class_heatmaps(PARTS, LEVELS, top), go.Heatmap)
    assert np.abs(left.z).max(axis=1).tolist() == [1, 1, 1, 1]
    for i, name in enumerate(top["srna"]):
        assert list(right.z[i]) == list(LEVELS[name])


def test_clustered_puts_alike_rows_side_by_side_with_their_own_values():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(0, 0.1, (12, 30)), index=[f"r{i}" for i in range(12)])
    table.iloc[::2, :15] += 3
    table.columns = [f"c{j}" for j in range(30)]
    (heat,) = drawn(explain.clustered(table, pd.Series(["x", "y"] * 6, table.index)), go.Heatmap)
    order = [row[0] for row in heat.customdata]
    parity = [int(name[1:]) % 2 for name in order]
    assert parity in ([0] * 6 + [1] * 6, [1] * 6 + [0] * 6)
    at = table.loc[order[3], heat.x[7]]
    assert heat.z[3][7] == at


def test_clustered_strip_colours_every_row_by_its_class():
    groups = pd.Series(["x", "y", "x"], index=["r0", "r1", "r2"])
    table = pd.DataFrame([[0, 1], [5, 5], [0, 1.1]], index=groups.index, columns=["a", "b"])
    fig = explain.clustered(table, groups)
    bars = {b.name: sorted(b.y) for b in drawn(fig, go.Bar)}
    order = [row[0] for row in drawn(fig, go.Heatmap)[0].customdata]
    assert bars == {c: [i for i, name in enumerate(order) if groups[name] == c] for c in ("x", "y")}


def test_class_rankings_show_the_first_with_their_intervals():
    fig = explain.class_rankings(RANKING, n=2)
    dots = drawn(fig, go.Scatter)
    assert len(dots) == 2
    assert list(dots[0].x) == [3, 2]
    assert list(dots[0].error_x.array) == [0.5, 0.5]
    assert "rank 1 [1, 4]" in dots[0].hovertext[0]


def test_truth_bars_are_means_with_single_runs_and_chance():
    fig = explain.truth_bars(TRUTH, 0.12)
    (bars,), (dots,) = drawn(fig, go.Bar), drawn(fig, go.Scatter)
    assert list(bars.x) == pytest.approx([0.85, 0.1])
    assert list(dots.x) == [0.9, 0.8]
    assert fig.layout.shapes[0].x0 == 0.12
    assert fig.layout.xaxis.range[0] == 0  # bars start at zero


def test_marker_ranks_leave_out_what_never_reached_the_model():
    fig = explain.marker_ranks(MARKERS)
    dots = [t for t in drawn(fig, go.Scatter) if t.mode == "markers"]
    assert sum(len(t.x) for t in dots) == 3
    assert fig.layout.xaxis.type == "log"
    assert [s.x0 for s in fig.layout.shapes] == [5, 20]


def test_marker_zeros_marks_what_the_filter_takes():
    fig = explain.marker_zeros(ZEROS, 0.3)
    assert [list(t.x) for t in drawn(fig, go.Scatter)] == [[0.9, 0.1], [0.2, 0.0]]
    assert 0.3 in [s.x0 for s in fig.layout.shapes]


def test_gap_curves_have_a_panel_per_method_and_a_line_per_order():
    fig = explain.gap_curves(CURVES)
    assert len(drawn(fig, go.Scatter)) == 6
    with pytest.raises(InputError, match="unknown order 'PGX'"):
        explain.gap_curves(CURVES.replace("PGU", "PGX"))


def test_set_dots_show_the_best_sets_of_every_class():
    fig = explain.set_dots(SETS, n=1)
    dots = drawn(fig, go.Scatter)
    shown = {(x, y) for t in dots if not t.showlegend for x, y in zip(t.x, t.y, strict=True) if y}
    legend = [t.name for t in dots if t.showlegend is None]
    assert legend == ["q < .05"]  # numbers as colours would not do in a legend
    assert any(y.startswith("let-7") and x == "x" for x, y in shown)
    assert not any(EVIL in y for _, y in shown)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: explain.sample_heatmap([]), "at least one sample"),
        (lambda: explain.sample_browser([]), "at least one sample"),
        (lambda: explain.waterfall(pd.DataFrame({"label": ["a"]})), "columns value, kind, total are missing"),
        (lambda: explain.class_heatmaps(PARTS, LEVELS.iloc[:, :1], top_features(PARTS, 2)), "no expression"),
        (lambda: explain.clustered(PARTS.iloc[:1]), "two rows"),
        (lambda: explain.agreement_heatmap(PARTS), "not square"),
        (lambda: explain.truth_bars(TRUTH.iloc[:0], 0.1), "no rows"),
        (lambda: explain.class_rankings(RANKING.drop(columns="rank")), "rank are missing"),
        (lambda: explain.marker_ranks(MARKERS.drop(columns="class")), "class are missing"),
        (lambda: explain.marker_zeros(ZEROS.iloc[:0]), "no rows"),
        (lambda: explain.set_dots(SETS.drop(columns="q")), "q are missing"),
    ],
)
def test_bad_tables(draw, message):
    with pytest.raises(InputError, match=message):
        draw()
