"""What every figure keeps: titled axes, captions, escaped names, plain JSON; and the parts that figures share."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
import pytest

from figures import FIGURES, IMG, SAFE, SAFE_BOLD
from srna_lib import plots
from srna_lib.errors import InputError
from srna_lib.plots import base


@pytest.fixture(params=FIGURES, scope="module")
def figure(request) -> go.Figure:
    return FIGURES[request.param]()


def axes(fig: go.Figure, letter: str) -> list:
    return [fig.layout[name] for name in fig.to_dict()["layout"] if name.startswith(f"{letter}axis")]


def test_every_figure_of_the_door_is_drawn_here():
    functions = {n: str(f.__annotations__["return"]) for n, f in vars(plots).items() if inspect.isfunction(f)}
    assert {n for n, kind in functions.items() if "Figure" in kind} == {name.partition(",")[0] for name in FIGURES}


def test_no_figure_lets_markup_of_names_through(figure):
    text = json.dumps(json.loads(pio.to_json(figure)))  # pio writes < as an escape of JSON: read it back first
    assert "<img" not in text and "<b>bold" not in text and "<a " not in text


def test_every_figure_carries_title_and_caption_on_white(figure):
    assert figure.layout.title.text == f"Title {SAFE}"
    assert figure.layout.title.subtitle.text == f"n = 5 samples {SAFE_BOLD}"
    assert figure.layout.template.layout.paper_bgcolor == figure.layout.template.layout.plot_bgcolor == "white"
    assert figure.layout.template.layout.font.size >= 12 and figure.layout.height > 200


def test_every_figure_has_titled_axes(figure):
    titled = [axis.title.text for axis in axes(figure, "x")]
    assert sum(bool(t) for t in titled) >= min(2, len(titled))
    assert any(axis.title.text for axis in axes(figure, "y"))  # panels share the one on the left


def test_every_figure_has_something_to_hover(figure):
    assert any(t.hovertemplate for t in figure.data)
    assert not any("%{customdata" in (t.hovertemplate or "") and t.customdata is None for t in figure.data)


def test_setup_makes_outputs_plotly_json_only():
    before = pio.renderers.default, pio.templates.default
    try:
        plots.setup()
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
    look = base.styles(names)
    assert len(set(look.values())) == 60
    assert len({color for color, _ in list(look.values())[:12]}) == 12
    assert base.styles(names[::-1] * 2) == look


def luminance(color: str) -> float:
    rgb = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("color", base.PALETTE)
def test_colours_stand_on_white(color):
    assert 1.05 / (luminance(color) + 0.05) > 1.9


def test_caption_says_what_it_was_given():
    text = plots.caption(10, 3, "random 5-fold", "accuracy", "95 % intervals")
    assert text == "n = 10 samples of 3 studies; split: random 5-fold; metric: accuracy; 95 % intervals"
    assert plots.caption(10) == "n = 10 samples" and plots.caption() == ""


def test_long_captions_are_wrapped_and_get_room():
    short, long = (base.decorate(go.Figure(), "t", "word " * n, height=300) for n in (5, 100))
    lines = long.layout.title.subtitle.text.split("<br>")
    assert len(lines) > 2 and max(map(len, lines)) <= base.WRAP
    assert long.layout.margin.t - short.layout.margin.t == 18 * (len(lines) - 1)


def test_short_names():
    assert plots.short("hsa-miR-1-3p") == "miR-1-3p"
    assert len(plots.short("hsa-let-7a-5p/7c-5p/7d-5p/7e-5p")) == 20
    assert plots.short(IMG, 99) == SAFE


def test_missing_columns_and_rows_are_said():
    with pytest.raises(InputError, match=r"columns b, c are missing \(found: a\)"):
        base.as_table([{"a": 1}], ["a", "b", "c"])
    with pytest.raises(InputError, match="no rows"):
        base.as_table(pd.DataFrame({"a": []}), ["a"])


def test_names_that_look_like_numbers_stay_categories_in_order_of_appearance():
    table = pd.DataFrame({"value": [1.0, 2.0, 3.0], "row": ["10", "9", "2020-01-01"], "ci_low": None, "ci_high": None})
    fig = base.dots(table, "value", "row")
    assert fig.layout.yaxis.type == "category"
    assert list(fig.layout.yaxis.categoryarray) == ["2020-01-01", "9", "10"]  # from the bottom


def test_error_bars_are_never_negative_and_missing_where_unknown():
    table = pd.DataFrame({"value": [0.8, 0.6], "row": ["a", "b"], "ci_low": [0.4, None], "ci_high": [0.7, None]})
    (trace,) = base.dots(table, "value", "row").data
    assert trace.error_x.array[0] == 0 and np.isclose(trace.error_x.arrayminus[0], 0.4)
    assert np.isnan(trace.error_x.array[1])
    assert [text for (text,) in trace.customdata] == ["a<br><b>0.800</b> [0.400, 0.700]", "b<br><b>0.600</b>"]


def test_a_band_goes_there_and_back_and_skips_what_is_missing():
    table = pd.DataFrame({"x": [1, 2, 3], "ci_low": [0, np.nan, 1], "ci_high": [2, 5, 3]})
    area = base.band(table, "x", "#0072B2")
    assert list(area.x) == [1, 3, 3, 1] and list(area.y) == [2, 3, 1, 0] and area.fillcolor == "rgba(0,114,178,0.18)"


def test_lines_differ_in_colour_and_dashes_and_are_named():
    table = pd.DataFrame({"who": ["b", "b", "c"], "x": [1, 2, 1], "share": [0.1, 0.2, 0.5]})
    fig = base.lines(table, "x", "share", "who", hover="{share}", labels={"who": "method", "b": "Bee"})
    assert [(t.name, list(t.y)) for t in fig.data] == [("Bee", [0.1, 0.2]), ("c", [0.5])]
    assert fig.data[0].line.color != fig.data[1].line.color and fig.data[0].line.dash != fig.data[1].line.dash
    assert fig.layout.legend.title.text == "method"


def test_srnas_whose_short_names_are_the_same_stay_apart():
    names = ["hsa-let-7a-5p/7c-5p/7d-5p/7e-5p", "hsa-let-7a-5p/7c-5p/7d-5p/7f-5p"]
    fig = base.heatmap(pd.DataFrame([[1, 2]], ["x"], names), hover="", axes=("", ""), shorten=True)
    assert list(fig.data[0].x) == names and len(set(fig.layout.xaxis.ticktext)) == 1
