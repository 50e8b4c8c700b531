"""Results on disk: their fields, that they are valid JSON, and that nobody reads half a file."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from oof import binary

import srna_lib
from srna_lib.evaluate.metrics import METRICS, PER_CLASS, score
from srna_lib.report import close, results, say
from srna_lib.report.notebook import answered
from srna_lib.report.results import (
    RECORD_FIELDS,
    banner_html,
    to_records,
    versions,
    write_card,
    write_results,
    write_text,
)

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
def card(tmp_path, info):
    """Write a card, with changes, and read it."""

    def _card(**changes):
        given = {
            "title": "Which tissue?", "key_numbers": {"Accuracy": "0.95"}, "atlas_info": info,
            "figure": go.Figure(go.Scatter(x=[1, 2], y=[3, np.nan], name="a<b")),
            "parameters": {"dataset": "toy", "profile": "smoke", "seed": 0}, **changes,
        }  # fmt: skip
        write_card(tmp_path, "02_tissue", **given)
        return strict(tmp_path / "results" / "02_tissue.card.json")

    return _card


def test_records_and_predictions(tmp_path, predictions):
    records = [RECORD, {**RECORD, "metric": "precision:a", "value": None, "ci_low": None, "ci_high": None}]
    write_results(tmp_path / "new" / "folder", "02_tissue", records, predictions)
    folder = tmp_path / "new" / "folder" / "results"
    assert files_below(folder) == ["02_tissue.json", "02_tissue.parquet"]
    assert strict(folder / "02_tissue.json") == records
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "02_tissue.parquet"), predictions)


def test_predictions_are_optional(tmp_path):
    write_results(tmp_path, "01_x", [])
    assert files_below(tmp_path) == ["results/01_x.json"]
    assert strict(tmp_path / "results" / "01_x.json") == []


def test_scores_can_be_written(tmp_path, predictions):
    scores = score(predictions, dataset="toy", metrics=[*METRICS, *PER_CLASS], n_boot=20)
    assert scores["value"].isna().any()  # class b is never predicted
    write_results(tmp_path, "02_tissue", [scores, RECORD])
    records = strict(tmp_path / "results" / "02_tissue.json")
    assert records == [*to_records(scores), RECORD]
    assert [r["metric"] for r in records[3:7]] == ["precision:a", "recall:a", "precision:b", "recall:b"]


def test_a_second_unit_is_named_in_the_metric():
    scores = score(binary(), metrics=["auc", "brier"], unit=["donor_id", "dataset_id"], per_study=True, n_boot=20)
    names = [r["metric"] for r in to_records(scores)]
    assert names == ["auc", "brier", *(f"auc:S0{i}" for i in range(6)), "auc, studies drawn", "brier, studies drawn"]


@pytest.mark.parametrize("field", RECORD_FIELDS)
def test_record_without_a_field(tmp_path, field):
    short = {k: v for k, v in RECORD.items() if k != field}
    with pytest.raises(ValueError, match=r"^02_tissue: a record has the fields \[.*\]; expected \[") as caught:
        write_results(tmp_path, "02_tissue", [RECORD, short])
    found, expected = str(caught.value).split("; expected ")
    assert repr(field) not in found and repr(field) in expected
    assert files_below(tmp_path) == []


def test_record_with_a_field_of_its_own(tmp_path):
    with pytest.raises(ValueError, match=r"a record has the fields \[.*'extra'"):
        write_results(tmp_path, "02_tissue", [{**RECORD, "extra": 1}])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float64("nan")])
def test_no_nan_in_json_and_the_old_file_stays(tmp_path, card, value):
    write_results(tmp_path, "02_tissue", [RECORD])
    with pytest.raises(ValueError, match="JSON"):
        write_results(tmp_path, "02_tissue", [{**RECORD, "value": value}])
    assert strict(tmp_path / "results" / "02_tissue.json") == [RECORD]
    card()
    with pytest.raises(ValueError, match="JSON"):
        card(parameters={"share": value})
    assert strict(tmp_path / "results" / "02_tissue.card.json")["parameters"]["seed"] == 0
    assert not [f for f in files_below(tmp_path) if f.endswith(".part")]


def test_write_text(tmp_path):
    target = tmp_path / "a" / "b" / "page.html"
    write_text(target, "hsa-miR-21 – naïve\n")
    write_text(target, "µ\n")
    assert target.read_bytes() == "µ\n".encode()
    assert files_below(tmp_path) == ["a/b/page.html"]


def test_a_write_that_is_cut_short_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "a.json"
    write_text(target, "old")
    seen = []

    def crash(source, destination):
        seen.append((Path(source).read_text(), Path(destination)))
        raise KeyboardInterrupt

    monkeypatch.setattr(results.os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        write_text(target, "new")
    assert target.read_text() == "old"
    assert seen == [("new", target)]  # the whole text stood in another file before the rename


def test_card(card, info, tmp_path):
    got = card()
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
    assert files_below(tmp_path) == ["results/02_tissue.card.json", "results/02_tissue.figure.json"]


def test_figure_of_a_card(card, tmp_path):
    card()
    figure = strict(tmp_path / "results" / "02_tissue.figure.json")
    (trace,) = go.Figure(figure).data
    assert trace.name == "a<b" and list(trace.x) == [1, 2]


@pytest.mark.parametrize("simulated", [True, np.True_, False, np.False_])
def test_card_says_whether_data_are_simulated(card, info, simulated):
    got = card(atlas_info={**info, "simulated": simulated})
    assert got["simulated"] is bool(simulated)
    assert got["banner"] == (results.BANNER if simulated else "")


@pytest.mark.parametrize("info", [{"simulated": False}, {"simulated": np.False_}, {}])
def test_real_data_have_no_banner(info):
    assert banner_html(info) == ""


@pytest.mark.parametrize("simulated", [True, np.True_])
def test_banner_of_simulated_data(simulated, monkeypatch):
    assert "Simulated data" in banner_html({"simulated": simulated})
    monkeypatch.setattr(results, "BANNER", '<script>alert("x")</script> & more')
    html = banner_html({"simulated": simulated, "title": "<b>"})
    assert "<script" not in html and "<b>" not in html
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; more" in html
    assert html.startswith("<div") and html.endswith("</div>") and html.count("<") == 2


def test_versions():
    got = versions()
    assert got["python"] == platform.python_version()
    assert got["srna_lib"] == srna_lib.__version__
    for name in ("numpy", "scikit-learn", "keras", "jax"):
        assert got[name] == importlib.metadata.version(name)
    assert json.loads(json.dumps(got)) == got


def test_close_writes_all_that_a_notebook_leaves_and_has_no_answer_where_a_number_is_unknown(
    tmp_path, info, predictions
):
    numbers = {"Accuracy": f"{0.5:.0%}", "of men": f"{np.nan:.0%} of them"}
    given = {"title": "Which?", "info": info, "figure": go.Figure(), "parameters": {"seed": 0}}
    close(str(tmp_path), "02_tissue", records=[RECORD], numbers=numbers, predictions=predictions, **given)
    assert {p.name for p in (tmp_path / "results").iterdir()} == {
        f"02_tissue.{end}" for end in ("json", "parquet", "card.json", "figure.json")
    }
    got = strict(tmp_path / "results" / "02_tissue.card.json")
    assert got["key_numbers"] == {"Accuracy": "50%", "of men": "no answer"}
    assert got["parameters"] == {"dataset": "toy", "seed": 0}


def test_say_answers_where_a_number_is_unknown(capsys):
    say(f"It is {1.5:.1f}, not nanometres.\n\nThe share is {np.nan:.0%}.")
    say("")
    assert capsys.readouterr().out.count("Markdown") == 1
    assert answered(f"It is {1.5:.1f}, not nanometres.\n\nThe share is {np.nan:.0%}.") == (
        "It is 1.5, not nanometres.\n\n*Not recorded in this data set, or not part of this run.*"
    )
