"""What the documentation says is what the committed results say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import srna_lib as srna
from srna_lib import evaluate
from srna_lib.report import leaderboard
from srna_lib.report.results import RECORD_FIELDS

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))


def test_tables_are_those_of_the_results():
    import make_figures

    make_figures.main(["--check"])  # leaves with what differs


@pytest.mark.slow
def test_the_readmes_python_runs(tmp_path):
    """All of it in one go, as somebody would paste it."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    run = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]


def test_another_result_would_be_noticed(tmp_path, monkeypatch):
    import make_figures

    shutil.copytree(ROOT / "docs/results", tmp_path, dirs_exist_ok=True)
    records = json.loads((tmp_path / "mirome/02_tissue.json").read_text())
    record = next(r for r in records if r["metric"] == "accuracy" and r["scheme"] == "grouped_kfold")
    record["value"] += 0.001
    (tmp_path / "mirome/02_tissue.json").write_text(json.dumps(records))
    monkeypatch.setattr(make_figures, "RESULTS", tmp_path)
    pages = {ROOT / page: (ROOT / page).read_text() for page in make_figures.PAGES}
    assert make_figures.filled(pages) != pages


def test_a_missing_place_is_named():
    import make_figures

    with pytest.raises(SystemExit, match="the place of the block 'run mirome' is missing"):
        make_figures.filled({ROOT / "README.md": "nothing here"})


KEPT = [p for pattern in ("*/[0-9]*.json", "*/leaderboard.json") for p in sorted((ROOT / "docs/results").glob(pattern))]
KEPT = [p for p in KEPT if not p.name.endswith(".figure.json")]


@pytest.mark.parametrize("path", KEPT, ids=lambda p: p.stem)
def test_kept_results_are_records_or_cards(path):
    content = json.loads(path.read_text())
    if path.name.endswith(".card.json"):
        assert content["parameters"]["profile"] == "full"
        assert content["simulated"] is False
    else:
        assert all(set(r) == set(RECORD_FIELDS) for r in content)


def test_smoke_runs_and_simulated_data_are_not_kept(tmp_path):
    import keep_results

    (tmp_path / "results").mkdir()
    card = {"notebook": "02_tissue", "dataset": "demo", "simulated": True, "parameters": {"profile": "smoke"}}
    (tmp_path / "results/02_tissue.card.json").write_text(json.dumps(card))
    with pytest.raises(SystemExit, match="no full run on real data; nothing was kept"):
        keep_results.keep(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_readme_says_of_robust_study_by_study():
    """With one dataset of `mirome` out, mean over studies: paired intervals."""
    records = json.loads((ROOT / "docs/results/mirome/leaderboard.json").read_text())
    told = {
        (r["task"], r["model"]): (r["ci_low"], r["ci_high"])
        for r in records
        if (r["scheme"], r["metric"]) == ("one_dataset_out", "accuracy_per_dataset")
    }
    for task in ("tissue_group", "lineage"):
        for other in ("rf_paper", "dl_log"):
            assert told[task, f"{other} minus robust"][1] < 0
    assert told["tissue_group", "robust minus logistic"][0] > 0 > told["lineage", "robust minus logistic"][0]


def test_notebooks_kept_before_stay_beside_the_new_ones(tmp_path):
    import keep_results

    def finish(stem, seconds, python, **given):
        results = tmp_path / stem / "results"
        results.mkdir(parents=True)
        card = {
            "notebook": stem, "dataset": "mirome", "simulated": False, "versions": {"python": python},
            "parameters": {"profile": "full", "seed": 3, **given},
        }  # fmt: skip
        (results / f"{stem}.card.json").write_text(json.dumps(card))
        (results / f"{stem}.json").write_text("[]")
        (results / f"{stem}.figure.json").write_text("{}")
        (tmp_path / stem / "run.json").write_text(json.dumps({stem: {"seconds": seconds}}))
        keep_results.keep(tmp_path / stem, tmp_path / "out")
        return json.loads((tmp_path / "out/mirome/run.json").read_text())

    assert finish("02_tissue", 5, "3.11")["commands"] == ["srna run 02 --dataset mirome --profile full"]
    run = finish("05_explainability", 7, "3.12")
    assert run["notebooks"] == {
        "02_tissue": {"versions": {"python": "3.11"}, "seed": 3, "seconds": 5},
        "05_explainability": {"seed": 3, "seconds": 7},
    }
    assert run["commands"] == ["srna run 02 05 --dataset mirome --profile full"]
    assert {p.name for p in (tmp_path / "out/mirome").iterdir()} >= {"02_tissue.json", "05_explainability.json"}
    commands = finish("06_stability", 9, "3.12", label="lineage")["commands"]
    assert commands == [*run["commands"], "srna run 06 --dataset mirome --profile full -p label=lineage"]
    kept = {p.name for p in (tmp_path / "out/mirome").iterdir()}
    assert kept >= {f"06_stability_lineage{kind}.json" for kind in ("", ".card", ".figure")}
    assert "02_tissue.figure.json" not in kept


def test_rows_of_each_data_set_of_a_leaderboard_are_kept(tmp_path):
    import keep_results

    board, record = tmp_path / "board", dict.fromkeys(RECORD_FIELDS, 0)
    board.mkdir()
    records = [record | {"dataset": name, "model": "robust"} for name in ("mirome", "open_atlas", "mirome")]
    (board / "leaderboard.json").write_text(json.dumps(records))
    studies = "dataset,task,scheme,dataset_id,n_samples,robust,{}\nmirome,t,s,A,3,0.5,\nopen_atlas,t,s,B,2,1.0,1.0\n"
    (board / "studies.csv").write_text(studies.format("plda"))
    for simulated in (False, True):
        told = {"seed": 3, "folds": 10, "simulated": simulated, "rows": [], "versions": {"python": "3.11"}}
        (board / "benchmark.json").write_text(json.dumps(told))
        if simulated:
            with pytest.raises(SystemExit, match="a leaderboard of simulated data; nothing was kept"):
                keep_results.keep_leaderboard(board, tmp_path / "other")
            assert not (tmp_path / "other").exists()
            continue
        assert len(keep_results.keep_leaderboard(board, tmp_path / "out")) == 6
    kept = tmp_path / "out/mirome"
    assert json.loads((kept / "leaderboard.json").read_text()) == [records[0], records[2]]
    assert (kept / "leaderboard_studies.csv").read_text() == "task,scheme,dataset_id,n_samples,robust\nt,s,A,3,0.5\n"
    told = {"seed": 3, "folds": 10, "versions": {"python": "3.11"}}
    assert json.loads((kept / "leaderboard_run.json").read_text()) == told


def test_recipes_that_were_not_run_again_stay_and_are_compared_by_their_studies(tmp_path):
    """The difference between one kept before and one run now is that of their predictions; balanced it is not known."""
    import keep_results

    task = srna.make_task(srna.load("demo"), "tissue_group")
    splits = srna.make_splits(task, "study", n_splits=3)

    def board(recipes, rows):
        found = evaluate.benchmark(task, recipes, splits, scheme="study", dataset="atlas", n_boot=50, progress=False)
        folder = tmp_path / "-".join(recipes)
        folder.mkdir()
        for name, content in leaderboard._files([found]).items():
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        told = {"seed": 0, "baselines": ["logistic"], "simulated": False, "rows": rows}
        (folder / "benchmark.json").write_text(json.dumps(told))
        keep_results.keep_leaderboard(folder, tmp_path / "out")
        kept = json.loads((tmp_path / "out/atlas/leaderboard.json").read_text())
        return found, {(r["model"], r["metric"]): r for r in kept}

    first, _ = board(["logistic", "dummy", "wccn"], [])
    second, kept = board(["logistic", "lda_study"], [])
    assert {m for m, _ in kept} == {
        "logistic", "dummy", "wccn", "lda_study",
        "dummy minus logistic", "wccn minus logistic", "lda_study minus logistic",
    }  # fmt: skip
    studies = pd.read_csv(tmp_path / "out/atlas/leaderboard_studies.csv")
    assert {"logistic", "dummy", "wccn", "lda_study"} < set(studies) and studies.notna().all(axis=None)
    assert leaderboard.leaderboard_tables(list(kept.values())).count("`wccn`") == 2
    oracle = srna.compare(first.predictions, [("wccn", "logistic")], metric="accuracy", correction="none")
    row = kept["wccn minus logistic", "accuracy"]
    assert row["value"] == pytest.approx(oracle["difference"][0], abs=1e-3)
    assert row["ci_low"] == pytest.approx(oracle["ci_low"][0], abs=5e-3)
    assert kept["wccn minus logistic", "balanced_accuracy"]["value"] is None
    assert kept["lda_study", "accuracy"]["value"] == pytest.approx(
        (second.predictions.query("model == 'lda_study'").eval("y_true == y_pred")).mean()
    )


def test_what_is_left_is_said_of_studies_that_both_folds_test(tmp_path, monkeypatch):
    """Ten of ten right where the study is known; never seen, one study of two is wrong throughout."""
    import make_figures

    rows = "task,scheme,dataset_id,n_samples,robust,dl_log,dummy\n"
    rows += "t,random_5fold,A,8,1,1,0\nt,random_5fold,B,2,1,1,0\nt,random_5fold,C,5,0,1,0\n"
    rows += "t,one_dataset_out,A,8,0.75,,0\nt,one_dataset_out,B,2,0,,0\nu,one_dataset_out,C,5,0,1,0\n"
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/leaderboard_studies.csv").write_text(rows)
    monkeypatch.setattr(make_figures, "RESULTS", tmp_path)
    table = make_figures.each_study("toy", "t")
    assert table[["recipe", "scheme"]].drop_duplicates().to_numpy().tolist() == [
        ["robust", "random_5fold"],
        ["robust", "one_dataset_out"],
    ]
    line = make_figures.gap_line("toy", "t", "robust")
    assert "about 100.0% of the samples in random folds and about 60.0% in studies never seen" in line
    assert "(one dataset out); 1 of 2 studies are wrong throughout, and the ten worst hold 100% of the errors" in line
    (tmp_path / "toy/leaderboard_studies.csv").write_text(rows.replace("one_dataset_out", "grouped_kfold"))
    assert make_figures.gap_line("toy", "t", "robust") == line.replace("one dataset out", "grouped by study")


def test_the_papers_order_is_reproduced_in_random_folds_and_turned_round_in_unseen_studies():
    """The acceptance figures of the full run, held against the committed records."""
    records = json.loads((ROOT / "docs/results/mirome/02_tissue.json").read_text())
    value = {
        (r["scheme"], r["model"], r["metric"]): r
        for r in records
        if r["task"] == "tissue_group" and ":" not in r["metric"]
    }
    network, forest = (value["random_5fold", m, "accuracy"]["value"] for m in ("dl_paper", "rf_paper"))
    assert network >= 0.945 > forest >= 0.885
    assert value["random_5fold", "dl_paper", "balanced_accuracy"]["value"] >= 0.91
    assert value["grouped_kfold", "dl_log", "accuracy"]["value"] >= 0.80
    left_out = value["one_dataset_out", "dl_paper", "accuracy"]
    assert (left_out["n_samples"], left_out["n_datasets"]) == (1779, 167)
    assert left_out["value"] < value["one_dataset_out", "rf_paper", "accuracy"]["value"]
    lineage = [r for r in records if r["task"].startswith("lineage") and r["metric"] == "accuracy"]
    assert lineage[0]["model"] == "dl_log"
    assert lineage[0]["value"] >= 0.88


def test_known_markers_lead_and_the_original_package_agrees():
    """The acceptance figures of notebook 05's full run."""
    records = json.loads((ROOT / "docs/results/mirome/05_explainability.json").read_text())
    value = {(r["model"], r["metric"]): r["value"] for r in records}
    first = {m.partition(":")[2]: v for (_, m), v in value.items() if m.startswith("first marker's rank")}
    assert set(first) == {"Brain", "Endothelial", "Epithelial", "Immune", "Muscle", "RBC", "Stem"}
    assert max(first.values()) <= 5
    for rule in ("rescale", "revealcancel"):
        assert value[f"deeplift package, {rule}", "largest relative difference"] <= 1e-5
    means, empty = (
        [v for (model, m), v in value.items() if model == f"dl_log, {reference}" and m.startswith("rank:")]
        for reference in ("training mean", "zero counts")
    )
    assert sum(means) < sum(empty), "compared with an empty library, markers stand further behind"


def test_predictions_flip_sooner_in_deeplifts_order_and_steps_tell_wrong_calls():
    """The acceptance figures of notebook 06's full run."""
    records = json.loads((ROOT / "docs/results/mirome/06_stability.json").read_text())
    value = {(r["scheme"], r["metric"]): r for r in records}
    assert value["random_5fold", "steps_of_random:deeplift"]["ci_high"] <= 1 / 3
    assert value["random_5fold", "steps_of_random:forest"]["value"] > 1 / 3
    steps = value["one_dataset_out", "auroc_wrong:steps"]
    assert (steps["n_samples"], steps["n_datasets"]) == (1779, 167)
    assert steps["value"] > 0.8
    assert {"auroc_wrong:p_max", "auroc_gain:steps"} <= {m for s, m in value if s == "one_dataset_out"}
