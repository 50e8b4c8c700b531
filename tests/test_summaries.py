"""Records as tables, single figures and verdicts."""

from __future__ import annotations

import pandas as pd
import pytest
from test_validate import make

from srna_lib.evaluate.comparison import accuracy_gaps, best, class_records, find, paper_results, percent, records_table
from srna_lib.evaluate.crossval import PROFILES, Profile, run_models

TINY = Profile("tiny", n_splits=3, repeats=2, n_boot=50, changes=PROFILES["smoke"].changes)


@pytest.fixture(scope="module")
def task():
    return make(["brain", "blood", "liver"] * 20, [f"S{i // 5:02d}" for i in range(60)])


def test_records_table_has_a_row_per_model_and_a_column_per_scheme(task):
    both = [
        run_models(task, ["dummy", "rf_plain"], s, profile=TINY, progress=False)
        for s in ("random_5fold", "grouped_kfold")
    ]
    records = class_records(pd.concat(both), dataset="x", seed=0, n_boot=20)
    table = records_table(records, ["accuracy", "balanced_accuracy"])
    assert list(table.index) == ["dummy", "rf_plain"]
    assert list(table.columns) == [
        (s, m) for s in ("random_5fold", "grouped_kfold") for m in ("accuracy", "balanced_accuracy")
    ]
    first = next(r for r in records if r["metric"] == "accuracy")
    assert table.iloc[0, 0] == f"{first['value']:.3f} [{first['ci_low']:.3f}, {first['ci_high']:.3f}]"


def test_published_figures():
    table = paper_results("tissue_group").set_index(["scheme", "min_class_size", "model"])["value"]
    assert table["random_5fold", 9, "rf_paper"] == 0.85
    assert table["one_dataset_out", 15, "dl_paper"] == 0.831
    assert set(paper_results("sex")["features"]) == {"both", "sRNA", "contaminant"}
    age = pd.concat([paper_results(t) for t in ("age_2", "age_4")]).set_index(["task", "features", "model"])["value"]
    assert age["age_2", "both", "dl_paper"] == 0.771
    assert age["age_4", "both", "rf_paper"] == 0.575


def record(model, value, metric="accuracy", task="t"):
    return {
        "model": model,
        "metric": metric,
        "task": task,
        "value": value,
        "ci_low": value - 0.1,
        "ci_high": value + 0.1,
    }


def test_best_and_find():
    records = [record("a", 0.5), record("b", 0.7), record("c", 0.9, "balanced_accuracy"), record("a", 0.6, task="u")]
    assert best(records)["model"] == "b"
    assert find(records, "a", task="u")["value"] == 0.6
    with pytest.raises(KeyError, match="2 records have"):
        find(records, "a")
    with pytest.raises(KeyError, match="0 records have"):
        find(records, "d")
    assert percent(record("a", 0.5)) == "50.0% [40.0%, 60.0%]"


def predictions(model, right, scheme="grouped_kfold"):
    n = len(right)
    table = pd.DataFrame({"sample_id": [f"s{i}" for i in range(n)], "dataset_id": [f"S{i // 4}" for i in range(n)]})
    table["y_true"] = ["a", "b"] * (n // 2)
    table["y_pred"] = [t if ok else {"a": "b", "b": "a"}[t] for t, ok in zip(table["y_true"], right, strict=True)]
    return table.assign(model=model, scheme=scheme, task="t", features="sRNA")


def test_verdicts_follow_the_interval():
    always, never, half = [True] * 40, [False] * 40, [True, True, False, False] * 10
    table = pd.concat([predictions("good", always), predictions("bad", never), predictions("half", half)])
    pairs = [("good", "bad"), ("bad", "half"), ("good", "good"), ("good", "absent")]
    gaps = accuracy_gaps([table], pairs, n_boot=200).set_index("pair")
    assert gaps.loc["good minus bad", "verdict"] == "above"
    assert gaps.loc["good minus bad", "points"] == "+100.0 [+100.0, +100.0]"
    assert gaps.loc["bad minus half", "verdict"] == "below"
    assert gaps.loc["good minus good", "verdict"] == "not distinguishable from"
    assert "good minus absent" not in gaps.index
