"""Figures of studies one by one, gains and null models: order, intervals, and what is called undecided."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import plotly.io as pio
import pytest
from oof import binary
from test_plots import EVIL, SAFE, TEXT

from srna_lib.errors import InputError
from srna_lib.evaluate.metrics import compare_auc, score_ranking
from srna_lib.plots import performance

COHORTS = binary(0, n=600).replace({"dataset_id": {"S00": EVIL}})
RECORDS = [
    record
    for model in ("b", EVIL)
    for record in score_ranking(COHORTS.assign(model=model), dataset="x", unit="donor_id", n_boot=50)
]
GAINS = pd.DataFrame(
    {
        "task": ["sex", EVIL, "age", "tissue"],
        "difference": [0.1, -0.1, 0.02, 0.0],
        "ci_low": [0.05, -0.2, -0.01, None],
        "ci_high": [0.15, -0.05, 0.05, None],
    }
)
NULL = pd.DataFrame({"task": ["sex"] * 19 + [EVIL] * 4, "value": [*np.linspace(0.45, 0.55, 19), 0.4, 0.5, 0.5, 0.6]})
FIGURES = {
    "forest": lambda: performance.forest(RECORDS, **TEXT),
    "gains": lambda: performance.gains(GAINS, **TEXT),
    "null_distribution": lambda: performance.null_distribution(NULL, {"sex": 0.7, EVIL: 0.5}, **TEXT),
}


@pytest.fixture(params=list(FIGURES))
def figure(request):
    return FIGURES[request.param]()


def test_every_figure_is_plain_json_titled_and_safe(figure):
    parsed = json.loads(pio.to_json(figure))
    assert parsed["data"] and parsed["layout"]["height"] > 100
    assert figure.layout.title.text == f"Title {SAFE}"
    assert figure.layout.xaxis.title.text and figure.layout.yaxis.title.text
    assert EVIL not in json.dumps(figure.to_plotly_json(), default=lambda o: np.asarray(o).tolist())


def test_forest_sorts_studies_and_ends_with_their_mean():
    records = [r for r in RECORDS if r["model"] == "b"]
    fig = performance.forest(records)
    (trace,) = fig.data
    of = {r["metric"]: r for r in records}
    names = list(fig.layout.yaxis.ticktext)
    assert names[-1] == "<b>mean of studies</b>" and len(names) == 7
    row = {int(y): x for x, y in zip(trace.x, trace.y, strict=True)}
    assert row[6] == of["auc_within"]["value"]
    values = [row[i] for i in range(6)]
    assert values == sorted(values, reverse=True)
    best = max((r for m, r in of.items() if m.startswith("auc:")), key=lambda r: r["value"])
    assert names[0].endswith(f"({best['n_samples']})") and values[0] == best["value"]
    at = list(trace.y).index(0)
    assert trace.error_x.array[at] == pytest.approx(best["ci_high"] - best["value"])
    assert [s.x0 for s in fig.layout.shapes] == [0.5]
    assert fig.layout.xaxis.range[0] < 0.5 and fig.layout.xaxis.range[1] > max(
        r["ci_high"] for m, r in of.items() if m.startswith("auc:")
    )


def test_forest_of_two_models_sets_them_side_by_side():
    fig = performance.forest(RECORDS, mean=None, reference=None)
    assert [t.name for t in fig.data] == ["b", SAFE] and fig.layout.showlegend
    assert not fig.layout.shapes and len(fig.layout.yaxis.ticktext) == 6
    assert np.unique(np.asarray(fig.data[1].y) - np.asarray(fig.data[0].y)).round(6).tolist() == [0.5]


def test_forest_without_studies_is_refused():
    with pytest.raises(InputError, match="no metric 'mae:<study>' with a value"):
        performance.forest(RECORDS, "mae")


def test_gains_across_zero_are_undecided():
    fig = performance.gains(GAINS, labels={"age": "Age"})
    rows = {t.name: list(t.y) for t in fig.data}
    assert rows == {"above zero": [0], "below zero": [1], "undecided: the interval holds zero": [2, 3]}
    assert list(fig.layout.yaxis.ticktext) == ["sex", SAFE, "Age", "tissue"]
    assert fig.data[2].marker.symbol == "circle-open" and [s.x0 for s in fig.layout.shapes] == [0]
    assert fig.data[0].hovertext[0] == "<b>+0.100</b> [+0.050, +0.150]" and "[" not in fig.data[2].hovertext[1]


def test_gains_read_what_compare_auc_writes():
    table = compare_auc(binary(0, skill=1.5, model="a"), binary(0, skill=0.2, model="b"), n_boot=50)
    fig = performance.gains(table, "metric")
    drawn = {int(y): x for t in fig.data for x, y in zip(t.x, t.y, strict=True)}
    assert [drawn[i] for i in range(4)] == list(table["difference"])


def test_null_distribution_counts_the_permutations_that_reach_the_truth():
    fig = performance.null_distribution(NULL, {"sex": 0.7, EVIL: 0.5})
    permuted, true = fig.data
    assert len(permuted.x) == 23 and list(true.x) == [0.7, 0.5] and list(true.y) == [0, 1]
    assert np.all(np.abs(np.asarray(permuted.y)[:19]) <= 0.28)
    assert "p = 0.05 (19 permutations)" in true.hovertext[0] and "p = 0.8 (4 permutations)" in true.hovertext[1]
    with pytest.raises(InputError, match="no observed figure of"):
        performance.null_distribution(NULL, {"sex": 0.7})
