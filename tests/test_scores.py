"""All scores in one go, one row per unit, tables of them, and a strict verdict."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from oof import ages, binary, named

from srna_lib.errors import InputError
from srna_lib.evaluate.comparison import (
    UNITS,
    beside_paper,
    best,
    compare,
    find,
    pairs_table,
    paper_results,
    percent,
    scores_table,
)
from srna_lib.evaluate.controls import NOT_PREDICTABLE, PREDICTABLE, Judgement, judge, sentence
from srna_lib.evaluate.metrics import COLUMNS, FIGURES, METRICS, RANKING_METRICS, score

ONE = binary(0, n=400, skill=1.5)


def test_every_model_feature_set_and_scheme_is_scored_by_itself():
    other = ONE.assign(features="both", y_pred="male")
    scores = score(pd.concat([ONE, other]), n_boot=20)
    assert list(scores.columns) == COLUMNS
    assert scores.loc[scores["metric"] == "accuracy", "features"].tolist() == ["miRNA", "both"]
    assert set(scores["metric"]) == {*RANKING_METRICS, *METRICS}
    assert scores[["class", "study"]].isna().all(axis=None)


def test_classes_and_studies_stand_in_columns():
    scores = score(ONE, metrics=["recall", "auc"], per_study=True, n_boot=20)
    assert scores.query("metric == 'recall'")["class"].tolist() == ["female", "male"]
    studies = scores.query("metric == 'auc'")["study"]
    assert pd.isna(studies.iloc[0]) and studies.iloc[1:].tolist() == [f"S0{i}" for i in range(6)]


def test_a_metric_has_one_interval_whatever_else_is_asked_for():
    """The same table, metric and seed gave two intervals: one of a confusion matrix per study, one of rows."""
    alone = score(ONE, metrics="accuracy", seed=3).iloc[0]
    together = find(score(ONE, seed=3), "m")
    assert alone[["value", "ci_low", "ci_high"]].tolist() == together[["value", "ci_low", "ci_high"]].tolist()
    difference = compare(pd.concat([ONE, ONE.assign(model="n", y_pred="z")]), [("m", "n")], n_boot=1000, seed=3).iloc[0]
    assert difference["ci_low"] == pytest.approx(alone["ci_low"])
    assert min(difference["ci_high"], 1) == pytest.approx(alone["ci_high"])  # a difference is no share


def test_one_study_has_no_interval_over_studies():
    alone = ONE[ONE["dataset_id"] == "S00"]
    assert score(alone, unit="dataset_id", n_boot=20)["ci_low"].isna().all()
    assert score(alone, unit="donor_id", n_boot=20)["ci_low"].notna().all()


def test_studies_too_small_to_judge_are_told_as_none():
    within = named(ONE.groupby("dataset_id").head(4))["auc_within"]
    assert within["value"] is None and within["n_datasets"] == 0


def test_table_has_a_column_per_metric_and_unit_and_the_digits_of_the_value():
    both = pd.concat([ONE, ONE.assign(model="n")])
    scores = score(both, unit=["donor_id", "dataset_id"], per_study=True, n_boot=50)
    table = scores_table(scores, ["brier", "auc"], labels=FIGURES)
    assert list(table.index) == ["m", "n"]
    assert list(table) == [(m, f"over {u}") for m in ("Brier score", "AUROC, pooled") for u in ("patients", "studies")]
    row = find(scores, "m", "auc")
    assert row["unit"] == "donor_id"
    assert table.iloc[0, 2] == f"{row['value']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]"
    years = score(ages().assign(y_pred=lambda t: t["y_true"] + 10.3), metrics="mae", n_boot=0)
    assert scores_table(years).iloc[0, 0] == "10.300"  # was printed as "1.300"
    assert "auc_within" not in scores_table(scores.dropna(subset="value"), ["auc"])
    assert set(UNITS) == {"dataset_id", "donor_id", "sample_id"}


def test_schemes_stand_beside_each_other():
    table = scores_table(score(pd.concat([ONE, ONE.assign(scheme="other")]), n_boot=20), ["accuracy", "auc"])
    assert list(table) == [(s, m) for m in ("accuracy", "auc") for s in ("patient_5fold", "other")]


def test_best_and_find():
    scores = score(pd.concat([ONE, binary(0, n=400, skill=0.1, model="n")]), metrics=["accuracy", "recall"], n_boot=20)
    scores = pd.concat([scores, scores.assign(task="u")])
    assert best(scores)["model"] == "m"
    assert find(scores, "n", task="u")["task"] == "u"
    assert find(scores, "n", "recall", task="u", **{"class": "male"})["class"] == "male"
    with pytest.raises(KeyError, match="2 scores have"):
        find(scores, "n")
    with pytest.raises(KeyError, match="0 scores have"):
        find(scores, "n", "brier")
    assert np.isnan(find(scores, "x")["value"])  # a model that was not run
    assert percent({"value": 0.5, "ci_low": 0.4, "ci_high": 0.6}) == "50.0% [40.0%, 60.0%]"


def test_best_passes_over_what_is_undefined():
    scores = score(ONE, n_boot=0)
    gap = pd.concat([scores.assign(model="none", value=np.nan), scores])
    assert best(gap)["model"] == "m"
    with pytest.raises(InputError, match="no 'accuracy' has a value"):
        best(scores.assign(value=np.nan))


def verdict_of(skill: float, base_skill: float):
    with_srnas = binary(1, n=600, skill=skill, model="m")
    noise = np.random.default_rng(5).normal(size=600)
    p = 1 / (1 + np.exp(-base_skill * np.where(with_srnas["y_true"] == "male", 1, -1) - noise))
    return judge(with_srnas, with_srnas.assign(model="metadata", p_male=p, p_female=1 - p), n_boot=100)


def test_verdict_needs_every_gain_above_zero():
    gains, verdict, scores = verdict_of(1.5, 0.0)
    assert verdict == PREDICTABLE and (gains["ci_low"] > 0).all() and len(gains) == 4
    assert gains["row"].iloc[0] == "AUROC, pooled; patients drawn"
    assert scores["metric"].tolist()[:2] == ["gain_over_metadata:auc", "gain_over_metadata:auc_within"]
    assert scores["metric"].iloc[-1] == f"verdict: {PREDICTABLE}"
    assert scores["ci_low"].iloc[-1] == gains["ci_low"].min()
    assert sentence(gains.iloc[0]).startswith("**sex: predictable.** `m` reaches auc 0.")
    _, verdict, scores = verdict_of(0.3, 0.3)
    assert verdict == NOT_PREDICTABLE and scores["metric"].iloc[-1] == f"verdict: {NOT_PREDICTABLE}"


def test_only_a_verdict_that_something_is_predictable_tells_the_size_of_the_least_certain_gain():
    gains = pd.DataFrame({"ci_low": [0.2, 0.01, np.nan], "size": ["large", "small", "medium"]})
    said = {v: Judgement(gains[:2], v, gains).words for v in (PREDICTABLE, NOT_PREDICTABLE)}
    assert "small" in said[PREDICTABLE] and "large" not in said[PREDICTABLE] and "small" not in said[NOT_PREDICTABLE]
    assert "medium" in Judgement(gains, PREDICTABLE, gains).words  # no interval is the least certain of all


def test_one_undecided_gain_is_enough_to_abstain():
    """A gain that is clear over donors and not over three studies, one of which loses."""
    with_srnas = binary(1, n=900, n_studies=3, skill=1.5, model="m")
    blind = with_srnas.assign(model="metadata", p_male=0.5, p_female=0.5)
    loses = with_srnas["dataset_id"] == "S00"
    turned = with_srnas.loc[loses, "p_male"].to_numpy()
    with_srnas.loc[loses, ["p_female", "p_male"]] = np.stack([turned, 1 - turned], axis=1)
    gains, verdict, _ = judge(with_srnas, blind, metrics=["auc"], n_boot=200)
    assert gains["verdict"].tolist() == [PREDICTABLE, NOT_PREDICTABLE] and verdict == NOT_PREDICTABLE


def test_pairs_stand_once_with_every_test_beside():
    tables = pd.concat([binary(i, n=400, skill=k, model=m) for i, k, m in ((0, 2.0, "a"), (0, 0.2, "b"))])
    pairs = [("a", "b"), ("b", "a")]
    tests = [compare(tables, pairs, metric="auc", test=t, n_boot=200) for t in ("bootstrap", "corrected_t")]
    table = pairs_table(pd.concat(tests))
    assert list(table.index) == ["a minus b", "b minus a"]
    assert list(table.columns.get_level_values(0).unique()) == ["paired bootstrap", "corrected resampled t-test"]
    assert table.loc["a minus b", ("paired bootstrap", "verdict")] == "above"
    assert table.loc["b minus a", ("paired bootstrap", "difference")].startswith("-")
    two = pairs_table(pd.concat(tests), by=("scheme", "pair"))
    assert list(two.index) == [("patient_5fold", "a minus b"), ("patient_5fold", "b minus a")]


def test_what_was_not_run_gives_tables_without_rows():
    none = compare(ONE, [])
    assert none.empty and list(none) == list(compare(pd.concat([ONE, ONE.assign(model="n")]), [("m", "n")], n_boot=20))
    assert pairs_table(none).to_numpy().tolist() == [["no pair in this run"]]
    assert score(ONE.iloc[:0]).empty and list(score(ONE.iloc[:0])) == COLUMNS
    assert scores_table(score(ONE.iloc[:0])).to_numpy().tolist() == [["no score in this run"]]


def test_the_paper_stands_beside_what_both_know():
    ours = pd.DataFrame(
        {"model": ["dl_paper", "logistic"], "scheme": "random_5fold", "min_class_size": 9, "value": 0.5}
    )
    both = beside_paper("tissue_group", ours.assign(source="ours"), "{model}, {scheme}", {"random_5fold": "random"})
    assert set(both["quantity"]) == {"dl_paper, random"} and set(both["source"]) == {"paper", "ours"}
    published = paper_results("tissue_group").query("model == 'dl_paper' and scheme == 'random_5fold'")
    assert sorted(both["value"]) == sorted([0.5, *published["value"]])
    assert beside_paper("organ", ours, "{model}").empty
