"""Figures of calibration, silence and continuous targets: what is drawn is what the tables say."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import plotly.io as pio
import pytest
from oof import ages, binary
from test_plots import EVIL, SAFE, TEXT

from srna_lib.errors import InputError
from srna_lib.evaluate.calibration import reliability_table
from srna_lib.evaluate.metrics import coverage_curve
from srna_lib.plots import performance

TWO = [binary(0, model="b"), binary(0, skill=0.3, model=EVIL)]
BINS = pd.concat([reliability_table(t, of="male", n_boot=20) for t in TWO])
CURVES = pd.concat([coverage_curve(t, n_boot=20) for t in TWO])
AGES = ages(n=120).replace({"dataset_id": {"S00": EVIL}})
FIGURES = {
    "reliability": lambda: performance.reliability(BINS, **TEXT),
    "coverage_curve": lambda: performance.coverage_curve(CURVES, **TEXT),
    "predicted_against_true": lambda: performance.predicted_against_true(AGES, **TEXT),
    "predicted_against_true, bare": lambda: performance.predicted_against_true(AGES, None, **TEXT),
}


@pytest.fixture(params=list(FIGURES))
def figure(request):
    return FIGURES[request.param]()


def test_every_figure_is_plain_json_titled_and_safe(figure):
    parsed = json.loads(pio.to_json(figure))
    assert parsed["data"] and parsed["layout"]["height"] > 200
    assert figure.layout.title.text == f"Title {SAFE}"
    assert figure.layout.xaxis.title.text and figure.layout.yaxis.title.text
    assert EVIL not in json.dumps(figure.to_plotly_json(), default=lambda o: np.asarray(o).tolist())


def test_reliability_draws_every_bin_with_its_interval():
    fig = performance.reliability(BINS, labels={"b": "Model B", "male": "men"})
    assert [t.name for t in fig.data] == ["stated = observed", "Model B", SAFE]
    part = BINS[BINS["model"] == "b"]
    np.testing.assert_allclose(fig.data[1].x, part["predicted"])
    np.testing.assert_allclose(fig.data[1].y, part["observed"])
    np.testing.assert_allclose(fig.data[1].error_y.array, part["ci_high"] - part["observed"])
    np.testing.assert_allclose(fig.data[1].error_y.arrayminus, part["observed"] - part["ci_low"])
    assert fig.layout.xaxis.title.text == "stated probability of men (%)"
    assert f"{part['n_samples'].iloc[0]} samples" in fig.data[1].hovertext[0]


def test_coverage_curve_has_a_band_and_a_line_for_each_model():
    fig = performance.coverage_curve(CURVES)
    assert [t.fill for t in fig.data] == ["toself", None] * 2 and [t.name for t in fig.data[1::2]] == ["b", SAFE]
    part = CURVES[CURVES["model"] == "b"]
    np.testing.assert_allclose(fig.data[1].y, part["accuracy"])
    np.testing.assert_allclose(fig.data[0].y[:100], part["ci_high"])
    np.testing.assert_allclose(fig.data[0].y[100:], part["ci_low"][::-1])


def test_a_curve_without_intervals_is_a_line():
    fig = performance.coverage_curve(CURVES.assign(ci_low=None, ci_high=None))
    assert len(fig.data[0].x) == 0 and "[" not in fig.data[1].hovertext[0]


def test_samples_outside_their_interval_are_set_apart():
    fig = performance.predicted_against_true(AGES, "0.5")
    line, band, inside, outside = fig.data
    right = AGES["y_true"].between(AGES["low_0.5"], AGES["high_0.5"])
    assert inside.name == f"inside their interval ({right.sum()})" and len(outside.x) == (~right).sum() > 0
    np.testing.assert_allclose(outside.x, AGES.loc[~right, "y_pred"])
    np.testing.assert_allclose(outside.y, AGES.loc[~right, "y_true"])
    assert band.name == "50% interval (median)" and len(band.x) == 2 * 42
    assert (np.diff(band.x[:42]) > 0).all() and (np.asarray(band.y[:42]) > np.asarray(band.y[42:])[::-1]).all()
    assert [band.x[0], band.x[41]] == [AGES["y_pred"].min(), AGES["y_pred"].max()]
    assert list(line.x) == list(line.y)
    assert len(performance.predicted_against_true(AGES, None).data) == 2


def test_missing_columns_are_said():
    with pytest.raises(InputError, match=r"columns low_0\.8, high_0\.8 are missing"):
        performance.predicted_against_true(AGES, "0.8")
    with pytest.raises(InputError, match="columns observed are missing"):
        performance.reliability(BINS.drop(columns="observed"))
    with pytest.raises(InputError, match="no rows"):
        performance.coverage_curve(CURVES.iloc[:0])
