"""One of each of what docs/architecture.md says can be added in at most three files, and where."""

from __future__ import annotations

import jupytext
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import srna_lib as srna
from srna_lib.data import Task
from srna_lib.io import tools
from srna_lib.plots.base import decorate, dots
from srna_lib.report.run import run_notebooks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def task() -> Task:
    random = np.random.default_rng(0)
    y = pd.Series(np.tile(["a", "b"], 30))
    counts = random.poisson(np.where((y == "a").to_numpy()[:, None], [90, 10, 50], [10, 90, 50]))
    X = pd.DataFrame(counts, columns=["miR-1", "miR-2", "miR-3"], dtype=float)
    return Task("kind", X, y, pd.Series(np.repeat(list("UVWXYZ"), 10)), dropped={}, features="miRNA")


def test_a_recipe_is_a_pipeline_of_ones_own(task):
    mine = make_pipeline(srna.models.LogCPM(), LogisticRegression())
    table = srna.cross_validate(
        task, {"mine": mine, "dummy": srna.recipe("dummy")}, "study", n_splits=3, progress=False
    )
    accuracy = srna.score(table, metrics=["accuracy"], n_boot=50).set_index("model")["value"]
    assert accuracy["mine"] == 1 and accuracy["dummy"] < 0.8


def test_a_figure_is_a_form_with_a_title():
    table = pd.DataFrame({"model": ["mine"], "value": [0.9], "ci_low": [0.8], "ci_high": [0.95], "what": ["accuracy"]})
    figure = decorate(dots(table, "value", "model", "what"), "A figure of one's own", "n = 60 samples", height=300)
    assert list(figure.data[0].x) == [0.9] and "A figure of one's own" in figure.layout.title.text


def test_a_reader_is_a_parser_and_a_line_in_the_table_of_layouts(tmp_path, monkeypatch):
    def fits(table: tools.Table, name: str) -> bool:
        return table.columns[0] == "my-counter"

    def parse(table: tools.Table, samples: set[str]) -> tools.Parsed:
        return tools.LAYOUTS["table"].parse(table, samples)

    mine = tools.LAYOUTS["table"]._replace(says="a counter of my own", fits=fits, parse=parse)
    monkeypatch.setattr(tools, "LAYOUTS", {"mine": mine} | tools.LAYOUTS)
    monkeypatch.setattr("srna_lib.io.readers.FORMATS", {n: x.says for n, x in tools.LAYOUTS.items()})
    path = tmp_path / "counts.tsv"
    path.write_text("my-counter\ts1\ts2\nhsa-miR-21-5p\t5\t7\nhsa-let-7a-5p\t1\t0\n")
    atlas = srna.read(path)
    assert atlas.uns["srna"]["reading"]["format"] == "mine" and atlas.to_df().loc["s2", "hsa-miR-21-5p"] == 7


def test_a_notebook_is_a_script(tmp_path):
    script = """# %% [markdown]
# # How many samples are there?

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set
profile: str = "smoke"  # size of the run
out: str = "."  # folder of results
seed: int = 0  # of every random choice
n_jobs: int = 1  # processes

# %%
from srna_lib.report import open_dataset, say

# %%
atlas, info = open_dataset(dataset, profile=profile, seed=seed)
say(f"There are {atlas.n_obs} samples.")
"""
    jupytext.write(jupytext.reads(script, fmt="py:percent"), tmp_path / "07_size.ipynb")
    report = run_notebooks(["07"], profile="smoke", out=tmp_path / "out", notebooks_dir=tmp_path, say=str)
    assert [o.status for o in report.outcomes] == ["ok"]
    assert "samples." in (tmp_path / "out" / "07_size.html").read_text()
