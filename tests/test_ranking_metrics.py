"""Probability-based figures: parity with scikit-learn, what within studies means, intervals, pairs."""

from __future__ import annotations

import json
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oof import binary, named, several, table
from sklearn.metrics import accuracy_score, balanced_accuracy_score, brier_score_loss, log_loss, roc_auc_score

from srna_lib.errors import InputError
from srna_lib.evaluate import metrics
from srna_lib.evaluate.bootstrap import Key
from srna_lib.evaluate.comparison import compare
from srna_lib.evaluate.metrics import RANKING_METRICS, _areas, prepare, score, weighted_auc
from srna_lib.report.results import RECORD_FIELDS, to_records

SIX = [*RANKING_METRICS, "accuracy", "balanced_accuracy"]


def figures(predictions, **options):
    return named(predictions, **{"metrics": SIX, "per_study": True, **options})


def paired(first, second, **options):
    table = pd.concat([first.assign(model="a"), second.assign(model="b")])
    return compare(table, [("a", "b")], metric=RANKING_METRICS, correction="none", **options).set_index("metric")


@pytest.mark.parametrize("seed", range(5))
def test_values_of_two_classes_are_those_of_scikit_learn(seed):
    t = binary(seed, skill=seed / 4)
    got, true = figures(t), t["y_true"] == "male"
    assert got["auc"]["value"] == pytest.approx(roc_auc_score(true, t["p_male"]), abs=1e-12)
    assert got["brier"]["value"] == pytest.approx(brier_score_loss(true, t["p_male"]), abs=1e-12)
    assert got["log_loss"]["value"] == pytest.approx(log_loss(true, t["p_male"]), abs=1e-12)
    own = [roc_auc_score(p["y_true"] == "male", p["p_male"]) for _, p in t.groupby("dataset_id")]
    assert [got[f"auc:S{i:02d}"]["value"] for i in range(6)] == pytest.approx(own, abs=1e-12)
    assert got["auc_within"]["value"] == pytest.approx(np.mean(own), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_values_of_several_classes_are_those_of_scikit_learn(seed):
    t = several(seed)
    got, p = figures(t), t[[f"p_{c}" for c in "abcd"]].to_numpy()
    assert got["auc"]["value"] == pytest.approx(roc_auc_score(t["y_true"], p, multi_class="ovr", average="macro"))
    assert got["brier"]["value"] == pytest.approx(brier_score_loss(t["y_true"], p, labels=list("abcd")))
    assert got["log_loss"]["value"] == pytest.approx(log_loss(t["y_true"], p))
    own = [
        roc_auc_score(s["y_true"], s[[f"p_{c}" for c in "abcd"]], multi_class="ovr") for _, s in t.groupby("dataset_id")
    ]
    assert got["auc_within"]["value"] == pytest.approx(np.mean(own))


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3), st.integers(0, 2)), min_size=1))
@settings(deadline=None, max_examples=200)
def test_weighted_areas_are_those_of_repeated_samples(rows):
    value, positive, weight, group = (np.array(c) for c in zip(*rows, strict=True))
    got = _areas(value.astype(float), positive.astype(bool), group)(weight[None, :].astype(float))[0]
    for i, g in enumerate(np.unique(group)):
        again = np.repeat(np.flatnonzero(group == g), weight[group == g])
        if len(set(positive[again])) < 2:
            assert np.isnan(got[i])
        else:
            assert got[i] == pytest.approx(roc_auc_score(positive[again], value[again]), abs=1e-12)


def test_every_measure_under_weights_is_that_of_repeated_rows():
    t = binary(1)
    w = np.random.default_rng(0).integers(0, 4, (3, len(t))).astype(float)
    w = w[:, t.groupby("donor_id").ngroup()]  # samples of a donor count alike
    got = prepare(t, SIX, unit="donor_id")(w)
    for i in range(3):
        again = t.iloc[np.repeat(np.arange(len(t)), w[i].astype(int))]
        true = again["y_true"] == "male"
        assert got[Key("auc")][i] == pytest.approx(roc_auc_score(true, again["p_male"]))
        assert got[Key("brier")][i] == pytest.approx(brier_score_loss(true, again["p_male"]))
        assert got[Key("log_loss")][i] == pytest.approx(log_loss(true, again["p_male"]))
        assert got[Key("accuracy")][i] == pytest.approx(accuracy_score(again["y_true"], again["y_pred"]))
        balanced = balanced_accuracy_score(again["y_true"], again["y_pred"])
        assert got[Key("balanced_accuracy")][i] == pytest.approx(balanced)


def test_knowing_the_study_helps_the_pooled_figure_and_not_the_one_within():
    t = binary(n=3000, skill=0, study_effect=0.9)
    study = t["dataset_id"].map(t.assign(m=t["y_true"] == "male").groupby("dataset_id")["m"].mean())
    t["p_male"], t["p_female"] = study, 1 - study
    got = figures(t)
    assert got["auc"]["value"] > 0.7
    assert got["auc_within"]["value"] == 0.5


def test_small_and_single_sex_studies_do_not_count_within(monkeypatch):
    t = binary()
    t.loc[t["dataset_id"] == "S00", "y_true"] = "male"
    women = t.index[(t["dataset_id"] == "S01") & (t["y_true"] == "female")]
    t.loc[women[3:], "y_true"] = "male"
    monkeypatch.setattr(metrics, "MIN_PER_CLASS", 4)
    got = figures(t)
    assert not {"auc:S00", "auc:S01"} & set(got) and "auc:S02" in got
    assert got["auc_within"]["n_datasets"] == 4 and got["auc"]["n_datasets"] == 6
    assert got["auc_within"]["n_samples"] == (t["dataset_id"] > "S01").sum()
    monkeypatch.setattr(metrics, "MIN_PER_CLASS", 3)
    assert "auc:S01" in figures(t)
    monkeypatch.setattr(metrics, "MIN_PER_CLASS", 1000)
    none = figures(t)["auc_within"]
    assert none["value"] is None and none["ci_low"] is None and none["n_samples"] == none["n_datasets"] == 0


def test_a_sample_predicted_twice_is_one_sample():
    t = binary(n=60)
    twice = pd.concat([t, t.assign(fold="again")])
    assert figures(twice)["auc"]["n_samples"] == 60
    assert set(figures(twice)) == set(figures(t))
    assert figures(twice)["auc"]["value"] == pytest.approx(figures(t)["auc"]["value"])


def test_records_can_be_written():
    records = to_records(score(binary(), dataset="toy", metrics=SIX, n_boot=50))
    assert all(tuple(r) == RECORD_FIELDS for r in records)
    json.dumps(records, allow_nan=False)
    assert [r["metric"] for r in records][:4] == list(RANKING_METRICS)
    assert not [r for r in records if ":" in r["metric"]]


def test_studies_have_intervals_only_where_patients_are_drawn():
    assert figures(binary())["auc:S00"]["ci_low"] is None
    got = figures(binary(), unit="donor_id")["auc:S00"]
    assert got["ci_low"] < got["value"] < got["ci_high"]


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say():
    truth = figures(binary(99, n=40000), n_boot=0)["auc"]["value"]
    covered = [
        r["ci_low"] <= truth <= r["ci_high"]
        for r in (figures(binary(s, n=200), unit="donor_id", n_boot=200)["auc"] for s in range(100))
    ]
    assert 0.88 <= np.mean(covered) <= 1


def test_drawing_patients_is_wider_than_drawing_their_samples():
    rng = np.random.default_rng(0)
    one = binary(n=150)
    t = pd.concat([one.assign(sample_id=one["sample_id"] + f".{i}") for i in range(4)], ignore_index=True)
    t["p_male"] = np.clip(t["p_male"] + rng.normal(0, 0.01, len(t)), 0, 1)
    width = {u: figures(t, unit=u, n_boot=400)["auc"] for u in ("donor_id", "sample_id")}
    spread = {u: r["ci_high"] - r["ci_low"] for u, r in width.items()}
    assert spread["donor_id"] > 1.5 * spread["sample_id"]


def test_drawing_studies_weighs_them_as_often_as_drawn():
    t = binary(skill=0.5)
    w = np.repeat([[3.0], [1.0]], len(t), axis=1)
    w[1] = (t["dataset_id"] == "S03") * 2.0 + (t["dataset_id"] == "S04")
    got = prepare(t, ["auc_within"], unit="dataset_id")(w)
    own = {s: roc_auc_score(p["y_true"] == "male", p["p_male"]) for s, p in t.groupby("dataset_id")}
    assert got[Key("auc_within")][0] == pytest.approx(np.mean(list(own.values())))
    assert got[Key("auc_within")][1] == pytest.approx((2 * own["S03"] + own["S04"]) / 3)


@pytest.mark.parametrize("unit", ["dataset_id", "donor_id"])
def test_paired_differences(unit):
    good, bad = binary(0, skill=1.5, model="good"), binary(0, skill=0.2, model="bad")
    same = ["sample_id", "y_true"]
    pd.testing.assert_frame_equal(good[same], bad[same])
    rows = paired(good, bad.sample(frac=1, random_state=0), unit=unit, n_boot=300)
    assert list(rows.index) == list(RANKING_METRICS) and set(rows["first"]) == {"a"} and set(rows["unit"]) == {unit}
    one, two = figures(good), figures(bad)
    for m in RANKING_METRICS:
        assert rows.loc[m, "value_first"] == pytest.approx(one[m]["value"])
        assert rows.loc[m, "difference"] == pytest.approx(one[m]["value"] - two[m]["value"])
        assert rows.loc[m, "ci_low"] < rows.loc[m, "difference"] < rows.loc[m, "ci_high"]
    assert rows.loc["auc_within", "ci_low"] > 0 and rows.loc["brier", "ci_high"] < 0
    zero = paired(good, good, unit=unit, n_boot=50)
    assert (zero[["difference", "ci_low", "ci_high"]] == 0).all().all()


def test_a_pair_is_narrower_than_two_alone():
    a = binary(0, n=400, skill=1)
    b = a.assign(model="n", p_male=np.clip(a["p_male"] + np.random.default_rng(1).normal(0, 0.05, 400), 0, 1))
    row = paired(a, b, unit="donor_id", n_boot=500).loc["auc"]
    alone = figures(a, unit="donor_id", n_boot=500)["auc"]
    assert row["ci_high"] - row["ci_low"] < 0.5 * (alone["ci_high"] - alone["ci_low"])


def test_pairs_of_other_samples_are_refused():
    with pytest.raises(InputError, match="different samples"):
        paired(binary(), binary().iloc[1:])


def test_a_permuted_label_is_at_chance_within():
    t = binary(n=4000, skill=2, study_effect=0.8)
    t["y_true"] = t.groupby("dataset_id")["y_true"].transform(lambda y: y.sample(frac=1, random_state=0).to_numpy())
    assert figures(t)["auc_within"]["value"] == pytest.approx(0.5, abs=0.03)


def test_a_thousand_replicates_of_a_large_table_take_seconds():
    rng, n = np.random.default_rng(0), 6891
    t = table(rng.random(n) < 0.5, rng.random(n), np.arange(n), rng.integers(0, 18, n))
    start = time.perf_counter()
    score(t, metrics=SIX, unit="donor_id", n_boot=1000)
    assert time.perf_counter() - start < 10  # under one second alone on the machine


def test_one_area_is_scikit_learns_with_ties_and_weights():
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 6, 80).astype(float), rng.random(80) < 0.4
    weights = rng.integers(0, 4, (5, 80)).astype(np.float32)
    for row, found in zip(weights, weighted_auc(scores, positive, weights), strict=True):
        assert found == pytest.approx(roc_auc_score(positive, scores, sample_weight=row))


def test_an_area_of_one_class_is_missing():
    assert np.isnan(weighted_auc(np.arange(3.0), np.zeros(3, bool), np.ones((2, 3)))).all()
    assert np.isnan(weighted_auc(np.zeros(0), np.zeros(0, bool), np.ones((1, 0)))).all()
