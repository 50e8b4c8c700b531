"""Figures of explanations and rankings: what each of them shows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from figures import (
    GAPS,
    LEVELS,
    MARKERS,
    NAMES,
    ONE,
    PARTS,
    RANKING,
    SAFE,
    SAFE_BOLD,
    SETS,
    TRUTH,
    TWO,
    WEIGHTS,
    ZEROS,
)
from srna_lib import plots
from srna_lib.errors import InputError
from srna_lib.explain.rankings import top_features
from srna_lib.explain.single_samples import breakdown

CUT = "&lt;b&gt;bold&lt;/b&gt; &amp; &lt;a href='http://e.o…"


def drawn(fig: go.Figure, kind: type) -> list:
    return [t for t in fig.data if isinstance(t, kind)]


def test_sample_heatmap_orders_by_the_winner_and_tells_counts():
    fig = plots.sample_heatmap([ONE, TWO], n=3)
    first, second = drawn(fig, go.Heatmap)
    assert first.z[1][0] == 3.0  # the second class has the largest sum; what speaks most for it comes first
    assert len(first.x) == 3
    at = list(first.x).index(NAMES[0])
    assert first.customdata[0][at] == pytest.approx([10, 1e6 * 10 / 15])  # counts and reads per million
    assert first.z[0][at] == 1
    assert first.coloraxis == second.coloraxis == "coloraxis"
    assert fig.layout.coloraxis.cmax == -fig.layout.coloraxis.cmin == 3.0


def test_sample_browser_shows_one_sample_at_a_time():
    fig = plots.sample_browser([ONE, TWO])
    assert [t.visible for t in drawn(fig, go.Heatmap)] == [True, False]
    buttons = fig.layout.updatemenus[0].buttons
    assert [b.label for b in buttons] == [f"right {SAFE}", SAFE_BOLD]
    assert [b.args[1]["coloraxis.cmax"] for b in buttons] == [3, 3]
    assert buttons[1].args[0]["visible"] == [False, True]


def test_waterfall_runs_from_the_reference_to_the_sample():
    steps = breakdown(PARTS.loc["brain"], 0.5, n=2)
    (bars,) = drawn(plots.waterfall(steps), go.Waterfall)
    assert list(bars.measure) == ["absolute", "relative", "relative", "relative", "absolute"]
    assert list(bars.x) == pytest.approx([0.5, -2.0, 1.0, 0.1, -0.4])


def test_class_heatmaps_scale_rows_and_show_expression_of_the_same_srnas():
    top = top_features(PARTS, 2)
    left, right = drawn(plots.class_heatmaps(PARTS, LEVELS, top), go.Heatmap)
    assert np.abs(left.z).max(axis=1).tolist() == [1, 1, 1, 1]
    for i, name in enumerate(top["srna"]):
        assert list(right.z[i]) == list(LEVELS[name])


def test_clustered_puts_alike_rows_side_by_side_with_their_own_values():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(0, 0.1, (12, 30)), index=[f"r{i}" for i in range(12)])
    table.iloc[::2, :15] += 3
    table.columns = [f"c{j}" for j in range(30)]
    (heat,) = drawn(plots.clustered(table, pd.Series(["x", "y"] * 6, table.index)), go.Heatmap)
    order = [row[0] for row in heat.customdata]
    parity = [int(name[1:]) % 2 for name in order]
    assert parity in ([0] * 6 + [1] * 6, [1] * 6 + [0] * 6)
    at = table.loc[order[3], heat.x[7]]
    assert heat.z[3][7] == at


def test_clustered_strip_colours_every_row_by_its_class():
    groups = pd.Series(["x", "y", "x"], index=["r0", "r1", "r2"])
    table = pd.DataFrame([[0, 1], [5, 5], [0, 1.1]], index=groups.index, columns=["a", "b"])
    fig = plots.clustered(table, groups)
    bars = {b.name: sorted(b.y) for b in drawn(fig, go.Bar)}
    order = [row[0] for row in drawn(fig, go.Heatmap)[0].customdata]
    assert bars == {c: [i for i, name in enumerate(order) if groups[name] == c] for c in ("x", "y")}


def test_class_rankings_show_the_first_with_their_intervals():
    fig = plots.class_rankings(RANKING, n=2)
    dots = drawn(fig, go.Scatter)
    assert len(dots) == 3
    assert list(dots[0].x) == [3, 2]
    assert list(dots[0].error_x.array) == [0.5, 0.5]
    assert dots[0].customdata[0][0] == "<b>hsa-miR-1-3p</b><br>D1 3.000 [2.500, 3.500]<br>rank 1 [1, 4]"
    assert len(drawn(plots.class_rankings(RANKING[RANKING["class"] == "x"]), go.Scatter)[0].x) == 4


def test_truth_bars_are_means_with_single_runs_and_chance():
    fig = plots.truth_bars(TRUTH, 0.12)
    (bars,), (dots,) = drawn(fig, go.Bar), drawn(fig, go.Scatter)
    assert list(bars.x) == pytest.approx([0.85, 0.1])
    assert list(dots.x) == [0.9, 0.8]
    assert fig.layout.shapes[0].x0 == 0.12
    assert fig.layout.xaxis.range[0] == 0  # bars start at zero


def test_marker_ranks_leave_out_what_never_reached_the_model():
    fig = plots.marker_ranks(MARKERS)
    dots = [t for t in drawn(fig, go.Scatter) if t.mode == "markers"]
    assert sorted(x for t in dots for x in t.x if not np.isnan(x)) == [1, 3, 45]
    assert fig.layout.xaxis.type == "log"
    assert [s.x0 for s in fig.layout.shapes] == [5, 20]


def test_marker_zeros_marks_what_the_filter_takes():
    fig = plots.marker_zeros(ZEROS, 0.3)
    assert [list(t.x) for t in drawn(fig, go.Scatter)] == [[0.9, 0.1], [0.2, 0.0]]
    assert 0.3 in [s.x0 for s in fig.layout.shapes]


def test_gap_curves_have_a_panel_per_method_and_a_line_per_order():
    fig = plots.gap_curves(GAPS)
    assert len(drawn(fig, go.Scatter)) == 6
    with pytest.raises(InputError, match="unknown order of gap curves 'PGX'"):
        plots.gap_curves(GAPS.replace("PGU", "PGX"))


def test_set_dots_show_the_best_sets_of_every_class():
    fig = plots.set_dots(SETS, n=1)
    shown = {(x, y) for t in fig.data if t.showlegend is False for x, y in zip(t.x, t.y, strict=True) if y}
    assert shown == {
        ("x", "let-7 · family"),
        ("x", f"{SAFE} · {SAFE_BOLD}"),
        (SAFE, f"{CUT} · {SAFE}"),
    }
    assert {t.name for t in fig.data if t.showlegend is not False} == {"q &lt; .05", "q &gt;= .05"}
    assert "circle-open" in {t.marker.symbol for t in fig.data if "x" in t.x and f"{SAFE} · {SAFE_BOLD}" in t.y}
    few = plots.set_dots(SETS.assign(collection="family"), n=1)
    assert {y for t in few.data for y in t.y if y} == {
        "let-7 · family",
        f"{CUT} · family",
    }


def weights(**options):
    return plots.weights(WEIGHTS, classes=("female", "male"), **options)


def test_weights_have_a_look_for_every_place():
    traces = weights().data
    assert {t.name: len(t.x) for t in traces} == {
        "on X": 1, "on Y": 1, f"on {SAFE_BOLD}": 1, "autosome": 1, "place unknown": 1,
    }  # fmt: skip
    assert len({(t.marker.color, t.marker.symbol) for t in traces}) == 5


def test_ranges_of_weights_over_folds_are_the_bars():
    first = weights().data[0]
    assert first.x[0] == -2.0 and first.error_x.array[0] == pytest.approx(0.5)
    assert first.customdata[0][0] == f"<b>{SAFE}</b>, rank 1<br>weight -2.000 [-2.500, -1.500] over folds<br>chrX"
    assert list(weights().layout.yaxis.categoryarray)[::-1] == [SAFE, SAFE_BOLD, "c", "d", "e"]
    assert sum(len(t.x) for t in weights(top=2).data) == 2


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.sample_browser([]), "at least one sample"),
        (lambda: plots.waterfall(pd.DataFrame({"label": ["a"]})), "columns value, kind, total are missing"),
        (lambda: plots.class_heatmaps(PARTS, LEVELS.iloc[:, :1], top_features(PARTS, 2)), "no expression"),
        (lambda: plots.clustered(PARTS.iloc[:1]), "two rows"),
        (lambda: plots.agreement_heatmap(PARTS), "not square"),
        (lambda: plots.class_rankings(RANKING.drop(columns="rank")), "rank are missing"),
        (lambda: plots.marker_ranks(MARKERS.drop(columns="class")), "class are missing"),
        (lambda: plots.set_dots(SETS.drop(columns="q")), "q are missing"),
        (lambda: plots.weights(WEIGHTS.drop(columns="linked"), classes=("a", "b")), "linked are missing"),
    ],
)
def test_bad_tables(draw, message):
    with pytest.raises(InputError, match=message):
        draw()


def test_a_table_without_rows_says_so():
    empty = [
        plots.sample_heatmap([], title="t"),
        plots.truth_bars(TRUTH.iloc[:0], 0.1),
        plots.marker_ranks(MARKERS[:0]),
        plots.marker_zeros(ZEROS.iloc[:0]),
    ]
    for fig in empty:
        assert not fig.data and fig.layout.annotations[0].text.startswith("Not recorded in this data set")
