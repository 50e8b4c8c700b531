"""All figures in one go: the same as their modules give, one record per unit, and a strict verdict."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from oof import binary

from srna_lib.evaluate import comparison
from srna_lib.evaluate import metrics as evaluate_metrics
from srna_lib.evaluate.comparison import FIGURES, compare_pairs, figures_table, judge, pairs_table, score_all
from srna_lib.evaluate.controls import NOT_PREDICTABLE, PREDICTABLE
from srna_lib.report.results import RECORD_FIELDS

ONE = binary(0, n=400, skill=1.5)
OPTIONS = {"dataset": "x", "n_boot": 100}


def by_metric(records):
    return {r["metric"]: r for r in records}


def test_figures_agree_with_their_modules():
    found = by_metric(score_all(ONE, unit="donor_id", per_dataset=True, **OPTIONS))
    for record in evaluate_metrics.score_ranking(ONE, unit="donor_id", **OPTIONS):
        assert found[record["metric"]] == record
    right = ONE["y_true"] == ONE["y_pred"]
    assert found["accuracy"]["value"] == pytest.approx(right.mean())
    assert found["balanced_accuracy"]["value"] == pytest.approx(right.groupby(ONE["y_true"]).mean().mean())
    assert all(set(r) == set(RECORD_FIELDS) for r in found.values())


def test_every_model_feature_set_and_scheme_is_scored_by_itself():
    other = ONE.assign(features="both", y_pred="male")
    records = score_all(pd.concat([ONE, other]), **OPTIONS)
    assert [(r["features"], r["metric"]) for r in records if r["metric"] == "accuracy"] == [
        ("miRNA", "accuracy"),
        ("both", "accuracy"),
    ]
    assert {r["metric"] for r in records} == set(FIGURES)


def test_one_study_has_no_interval_over_studies():
    alone = ONE[ONE["dataset_id"] == "S00"]
    assert all(r["ci_low"] is None for r in score_all(alone, unit="dataset_id", **OPTIONS))
    assert all(r["ci_low"] is not None for r in score_all(alone, unit="donor_id", **OPTIONS))


def test_studies_too_small_to_judge_are_told_as_none():
    small = ONE.groupby("dataset_id").head(4)
    within = by_metric(score_all(small, **OPTIONS))["auc_within"]
    assert within["value"] is None and within["n_datasets"] == 0


def test_table_has_a_value_and_an_interval_per_unit():
    table, records = figures_table(pd.concat([ONE, ONE.assign(model="n")]), metrics=("auc",), **OPTIONS)
    assert list(table.index) == ["m", "n"]
    assert list(table) == [("AUC, pooled", c) for c in ("value", "patients", "studies")]
    one = next(r for r in records if r["metric"] == "auc")
    assert table.iloc[0, 0] == f"{one['value']:.3f}".removeprefix("0")
    assert float(table.iloc[0, 1].split(" to ")[1]) == pytest.approx(one["ci_high"], abs=5e-4)
    names = {r["metric"] for r in records}
    assert {"auc", "auc, studies drawn", "auc:S00"} <= names
    assert not any(n.startswith("auc:") and "drawn" in n for n in names)


def verdict_of(skill: float, base_skill: float):
    with_srnas = binary(1, n=600, skill=skill, model="m")
    noise = np.random.default_rng(5).normal(size=600)
    p = 1 / (1 + np.exp(-base_skill * np.where(with_srnas["y_true"] == "male", 1, -1) - noise))
    metadata = with_srnas.assign(model="metadata", p_male=p, p_female=1 - p)
    return judge(with_srnas, metadata, **OPTIONS)


def test_verdict_needs_every_gain_above_zero():
    table, verdict, records = verdict_of(1.5, 0.0)
    assert verdict == PREDICTABLE and (table["ci_low"] > 0).all() and len(table) == 4
    assert records[-1]["metric"] == f"verdict: {PREDICTABLE}"
    assert records[-1]["ci_low"] == pytest.approx(table["ci_low"].min())
    table, verdict, records = verdict_of(0.3, 0.3)
    assert verdict == NOT_PREDICTABLE
    assert records[-1]["metric"] == f"verdict: {NOT_PREDICTABLE}"


def test_one_undecided_gain_is_enough_to_stay_silent(monkeypatch):
    def gains(first, second, *, metrics, unit, **options):
        low = -0.01 if unit == "dataset_id" else 0.02
        verdict = PREDICTABLE if low > 0 else NOT_PREDICTABLE
        row = {"metric": "auc", "unit": unit, "gain": 0.05, "ci_low": low, "ci_high": 0.1, "verdict": verdict}
        return pd.DataFrame([row]), [{"metric": "gain_over_metadata:auc", "ci_low": low}]

    monkeypatch.setattr(comparison, "gain_over_metadata", gains)
    _, verdict, records = judge(ONE, ONE, **OPTIONS)
    assert verdict == NOT_PREDICTABLE
    assert records[-1]["ci_low"] == -0.01


def test_pairs_stand_once_with_every_test_beside():
    tables = pd.concat([binary(i, n=400, skill=k, model=m) for i, k, m in ((0, 2.0, "a"), (0, 0.2, "b"))])
    pairs = [("a", "b"), ("b", "a")]
    tests = [compare_pairs(tables, pairs, metric="auc", test=t, n_boot=200) for t in ("bootstrap", "corrected_t")]
    table = pairs_table(pd.concat(tests))
    assert list(table.index) == ["a minus b", "b minus a"]
    assert list(table.columns.get_level_values(0).unique()) == ["paired bootstrap", "corrected resampled t-test"]
    assert table.loc["a minus b", ("paired bootstrap", "verdict")] == "above"
    assert table.loc["b minus a", ("paired bootstrap", "difference")].startswith("-")
    two = pairs_table(pd.concat(tests), by=("scheme", "pair"))
    assert list(two.index) == [("patient_5fold", "a minus b"), ("patient_5fold", "b minus a")]
