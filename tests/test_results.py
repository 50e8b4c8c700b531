"""Results on disk: their fields, that they are valid JSON, and that nobody reads half a file."""

from __future__ import annotations

import errno
import importlib.metadata
import json
import os
import platform
import re
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from IPython.display import HTML
from oof import binary

import srna_lib
from srna_lib import datasets
from srna_lib.errors import InputError
from srna_lib.evaluate.metrics import METRICS, PER_CLASS, score
from srna_lib.io import unpack, write_file
from srna_lib.report import close, notebook, open_dataset, results, say
from srna_lib.report.notebook import answered
from srna_lib.report.results import RECORD_FIELDS, to_records, versions

RECORD = {
    "task": "tissue_group", "dataset": "toy", "model": "m", "features": "miRNA", "scheme": "grouped_kfold",
    "metric": "accuracy", "value": 0.5, "ci_low": 0.25, "ci_high": 0.75, "n_samples": 4, "n_datasets": 2, "seed": 0,
}  # fmt: skip


def strict(path: Path):
    """Parse JSON as browsers do: NaN and Infinity are errors."""

    def refuse(name):
        raise AssertionError(f"{path} holds {name}")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def files_below(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def predictions() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample_id": ["s1", "s2", "s3"], "dataset_id": ["A", "A", "B"], "task": "t", "model": "m",
            "features": "miRNA", "scheme": "x", "fold": "0", "y_true": ["a", "a", "b"], "y_pred": ["a", "a", "a"],
            "p_a": [0.9, 0.8, np.nan],
        }
    )  # fmt: skip


@pytest.fixture
def leave(tmp_path, info):
    """Close a notebook, with changes, and read the file that ends so."""

    def _leave(end="card.json", **changes):
        given = {
            "title": "Which tissue?", "numbers": {"Accuracy": "0.95"}, "info": info, "records": [RECORD],
            "figure": go.Figure(go.Scatter(x=[1, 2], y=[3, np.nan], name="a<b")),
            "parameters": {"profile": "smoke", "seed": 0}, **changes,
        }  # fmt: skip
        close(str(tmp_path), "02_tissue", **given)
        return strict(tmp_path / "results" / f"02_tissue.{end}")

    return _leave


WRITTEN = [f"results/02_tissue.{end}" for end in ("card.json", "figure.json", "json")]


def test_records_and_predictions(tmp_path, leave, predictions):
    records = [RECORD, {**RECORD, "metric": "precision:a", "value": None, "ci_low": None, "ci_high": None}]
    assert leave("json", records=records, predictions=predictions) == records
    assert files_below(tmp_path) == [*WRITTEN, "results/02_tissue.parquet"]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "results" / "02_tissue.parquet"), predictions)


def test_records_and_predictions_may_lack(tmp_path, leave):
    assert leave("json", records=[]) == [] and files_below(tmp_path) == WRITTEN


@pytest.mark.filterwarnings("error")
def test_scores_can_be_written(leave, predictions):
    scores = score(predictions, dataset="toy", metrics=[*METRICS, *PER_CLASS], n_boot=20)
    assert scores["value"].isna().any()  # class b is never predicted
    records = leave("json", records=[scores, scores[:0], RECORD])
    assert records == [*to_records(scores), RECORD]
    assert [r["metric"] for r in records[3:7]] == ["precision:a", "recall:a", "precision:b", "recall:b"]


def test_a_second_unit_is_named_in_the_metric():
    scores = score(binary(), metrics=["auc", "brier"], unit=["donor_id", "dataset_id"], per_study=True, n_boot=20)
    names = [r["metric"] for r in to_records(scores)]
    assert names == ["auc", "brier", *(f"auc:S0{i}" for i in range(6)), "auc, studies drawn", "brier, studies drawn"]


@pytest.mark.parametrize("field", RECORD_FIELDS)
def test_record_without_a_field(tmp_path, leave, field):
    short = {k: v for k, v in RECORD.items() if k != field}
    with pytest.raises(ValueError, match=r"^02_tissue: a record has the fields \[.*\]; expected \[") as caught:
        leave(records=[RECORD, short])
    found, expected = str(caught.value).split("; expected ")
    assert repr(field) not in found and repr(field) in expected
    assert files_below(tmp_path) == []


def test_record_with_a_field_of_its_own(leave):
    with pytest.raises(ValueError, match=r"a record has the fields \[.*'extra'"):
        leave(records=[{**RECORD, "extra": 1}])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float64("nan")])
def test_no_nan_in_json_and_the_old_file_stays(tmp_path, leave, value):
    leave()
    for change in ({"records": [{**RECORD, "value": value}]}, {"parameters": {"share": value}}):
        with pytest.raises(ValueError, match="JSON"):
            leave(**change)
    assert strict(tmp_path / "results" / "02_tissue.json") == [RECORD]
    assert strict(tmp_path / "results" / "02_tissue.card.json")["parameters"]["seed"] == 0
    assert files_below(tmp_path) == WRITTEN


def test_write_file(tmp_path):
    target = tmp_path / "a" / "b" / "page.html"
    write_file(target, "hsa-miR-21 – naïve\n")
    write_file(target, "µ\n")
    assert target.read_bytes() == "µ\n".encode()
    assert files_below(tmp_path) == ["a/b/page.html"]


def test_a_write_that_is_cut_short_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "a.json"
    write_file(target, "old")
    seen = []

    def crash(source, destination):
        seen.append((Path(source).read_text(), Path(destination)))
        raise KeyboardInterrupt

    monkeypatch.setattr(unpack.os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        write_file(target, "new")
    assert target.read_text() == "old"
    assert seen == [("new", target)]  # the whole text stood in another file before the rename
    assert files_below(tmp_path) == ["a.json"]


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path, monkeypatch):
    """It ended in a traceback and left half a file under a name of its own."""
    target = tmp_path / "a.json"
    write_file(target, "old")

    def full(self, content):
        with open(self, "wb") as file:
            file.write(content[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    says = rf"^{re.escape(str(target))}: cannot be written \(No space left on device\); expected free space"
    with pytest.raises(InputError, match=says):
        write_file(target, "new")
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_a_link_under_the_name_of_a_half_written_file_is_not_followed(tmp_path):
    """What another user of the folder put there under the name that was to be expected was overwritten."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for name in ("a.json.part", "a.json"):
        (tmp_path / name).symlink_to(precious)
    write_file(tmp_path / "a.json", "new")
    assert precious.read_text() == "mine"
    assert (tmp_path / "a.json").read_text() == "new" and not (tmp_path / "a.json").is_symlink()
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    old = os.umask(0)
    os.umask(old)
    return old


def test_card(leave):
    got = leave()
    assert set(got) == {
        "notebook", "title", "key_numbers", "dataset", "dataset_title", "citation", "licence", "sources", "simulated",
        "banner", "versions", "parameters",
    }  # fmt: skip
    assert (got["notebook"], got["title"], got["key_numbers"]) == ("02_tissue", "Which tissue?", {"Accuracy": "0.95"})
    assert (got["dataset"], got["dataset_title"]) == ("toy", "A toy")
    assert (got["citation"], got["licence"]) == ("Nobody (2020)", "MIT")
    assert got["sources"] == [{"url": "https://example.org/a", "sha256": "0" * 64}]
    assert got["parameters"] == {"dataset": "toy", "profile": "smoke", "seed": 0}
    assert got["versions"] == versions()


def test_numbers_that_are_unknown_have_no_answer(leave):
    got = leave(numbers={"Accuracy": f"{0.5:.0%}", "of men": f"{np.nan:.0%} of them"})
    assert got["key_numbers"] == {"Accuracy": "50%", "of men": "no answer"}


def test_figure_of_a_card(leave):
    (trace,) = go.Figure(leave("figure.json")).data
    assert trace.name == "a<b" and list(trace.x) == [1, 2]


@pytest.mark.parametrize("simulated", [True, np.True_, False, np.False_])
def test_card_says_whether_data_are_simulated(leave, info, simulated):
    got = leave(info={**info, "simulated": simulated})
    assert got["simulated"] is bool(simulated)
    assert got["banner"] == (results.BANNER if simulated else "")


@pytest.mark.parametrize("simulated", [True, np.True_, False, np.False_])
def test_banner_of_simulated_data(simulated, info, monkeypatch):
    shown = []
    obs = pd.DataFrame({"dataset_id": ["A"]}, index=["s"])
    atlas = ad.AnnData(np.zeros((1, 1)), obs, uns={"srna": {**info, "simulated": simulated}})
    monkeypatch.setattr(datasets, "load", lambda name, seed: atlas)
    monkeypatch.setattr(notebook, "BANNER", '<script>alert("x")</script> & more')
    monkeypatch.setattr("IPython.display.display", shown.append)
    monkeypatch.setattr("srna_lib.plots.setup", lambda: None)
    open_dataset("toy", profile="demo")
    banners = [output.data for output in shown if isinstance(output, HTML)]
    assert len(banners) == bool(simulated)
    for html in banners:
        assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; more" in html
        assert html.startswith("<div") and html.endswith("</div>") and html.count("<") == 2


@pytest.mark.parametrize(
    ("n_studies", "profile", "simulated", "lesson"),
    [
        (9, "full", False, "Take-home"),
        (9, "smoke", False, "A smoke run, no finding"),
        (4, "full", False, "Seen in 4 studies, a hint and no finding"),
        (1, "demo", False, "Seen in 1 study, a hint and no finding"),
        (4, "demo", True, "Take-home"),
    ],
)
def test_a_lesson_is_called_what_the_run_can_carry(n_studies, profile, simulated, lesson, info, monkeypatch):
    obs = pd.DataFrame({"dataset_id": [f"S{i}" for i in range(n_studies)]}, index=[f"s{i}" for i in range(n_studies)])
    atlas = ad.AnnData(np.zeros((n_studies, 1)), obs, uns={"srna": {**info, "simulated": simulated}})
    monkeypatch.setattr(datasets, "load", lambda name, seed: atlas)
    monkeypatch.setattr("IPython.display.display", lambda *_: None)
    monkeypatch.setattr("srna_lib.plots.setup", lambda: None)
    assert open_dataset("toy", profile=profile)[1]["lesson"] == lesson
    assert "lesson" not in atlas.uns["srna"]


def test_versions():
    got = versions()
    assert got["python"] == platform.python_version()
    assert got["srna_lib"] == srna_lib.__version__
    for name in ("numpy", "scikit-learn", "keras", "jax"):
        assert got[name] == importlib.metadata.version(name)
    assert json.loads(json.dumps(got)) == got


def test_say_answers_where_a_number_is_unknown(capsys):
    say(f"It is {1.5:.1f}, not nanometres.\n\nThe share is {np.nan:.0%}.")
    say("")
    assert capsys.readouterr().out.count("Markdown") == 1
    assert answered(f"It is {1.5:.1f}, not nanometres.\n\nThe share is {np.nan:.0%}.") == (
        "It is 1.5, not nanometres.\n\n*Not recorded in this data set, or not part of this run.*"
    )
