"""Figure of weights: one row per sRNA, a trace per place, text escaped."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import plotly.io as pio
import pytest
from test_plots import EVIL, SAFE

from srna_lib.errors import InputError
from srna_lib.plots.explain import weights

TABLE = pd.DataFrame(
    {
        "srna": [EVIL, "b", "c", "d", "e"],
        "rank": [1, 2, 3, 4, 5],
        "weight": [-2.0, 1.5, -1.0, 0.5, 0.1],
        "lowest": [-2.5, 1.0, -1.2, 0.4, 0.0],
        "highest": [-1.5, 2.0, -0.8, 0.6, 0.2],
        "chrom": ["chrX", "chrY", "chr13;chrX", "chr1", ""],
        "linked": ["X", "Y", "X and others", "", ""],
    }
)


def drawn(**options):
    return weights(TABLE, classes=("female", "male"), title=EVIL, caption=EVIL, **options)


def test_a_trace_for_every_place():
    figure = drawn()
    assert [t.name for t in figure.data] == ["on X", "on X and others", "on Y", "autosome", "place unknown"]
    assert sum(len(t.x) for t in figure.data) == len(TABLE)
    looks = {(t.marker.color, t.marker.symbol) for t in figure.data}
    assert len(looks) == len(figure.data)


def test_ranges_over_folds_are_the_bars():
    first = drawn().data[0]
    assert first.x[0] == -2.0 and first.error_x.array[0] == pytest.approx(0.5)
    assert "rank 1" in first.hovertext[0]


def test_only_the_top_is_drawn():
    assert sum(len(t.x) for t in drawn(top=2).data) == 2


def test_text_is_escaped_and_the_figure_is_json():
    figure = drawn()
    assert json.loads(pio.to_json(figure))["data"]
    assert EVIL not in json.dumps(figure.to_plotly_json(), default=lambda o: np.asarray(o).tolist())
    assert figure.layout.yaxis.ticktext[0] == SAFE


def test_missing_columns_are_named():
    with pytest.raises(InputError, match="linked"):
        weights(TABLE.drop(columns="linked"), classes=("a", "b"))
