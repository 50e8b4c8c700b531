"""Figures of a continuous target: parity with scikit-learn and scipy, coverage of intervals, units."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from oof import ages, named
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from srna_lib.errors import InputError
from srna_lib.evaluate import metrics
from srna_lib.evaluate.bootstrap import Key
from srna_lib.evaluate.metrics import (
    QUANTITY_METRICS,
    coverage_by_study,
    coverage_table,
    interval_levels,
    prepare,
    score,
)
from srna_lib.report.results import RECORD_FIELDS, to_records

ORACLES = {
    "mae": mean_absolute_error,
    "rmse": root_mean_squared_error,
    "r2": r2_score,
    "pearson": lambda a, b: pearsonr(a, b).statistic,
    "spearman": lambda a, b: spearmanr(a, b).statistic,
}


def figures(t, **options):
    return named(t, **{"per_study": True, **options})


@pytest.mark.parametrize("seed", range(3))
def test_values_are_those_of_scikit_learn_and_scipy(seed):
    t = ages(seed, error=3 + 5 * seed)
    got = figures(t)
    for name, oracle in ORACLES.items():
        assert got[name]["value"] == pytest.approx(oracle(t["y_true"], t["y_pred"]))
    for name in ("mae", "r2", "spearman"):
        own = {s: ORACLES[name](p["y_true"], p["y_pred"]) for s, p in t.groupby("dataset_id")}
        assert {s: got[f"{name}:{s}"]["value"] for s in own} == pytest.approx(own)
        assert got[f"{name}_within"]["value"] == pytest.approx(np.mean(list(own.values())))


def test_weights_are_repeated_rows():
    t = ages()
    w = np.random.default_rng(0).integers(0, 3, (2, len(t))).astype(float)
    found = prepare(t, ["mae"])(w)
    got = {k.metric: v for k, v in found.items() if k.study is None}
    assert found[Key("mae", None, "S00")].shape == (2,)
    for i in range(2):
        again = t.iloc[np.repeat(np.arange(len(t)), w[i].astype(int))]
        for name in ("mae", "rmse", "r2", "pearson"):
            assert got[name][i] == pytest.approx(ORACLES[name](again["y_true"], again["y_pred"]))
        assert got["spearman"][i] == pytest.approx(spearmanr(again["y_true"], again["y_pred"]).statistic, abs=0.01)
        inside = again["y_true"].between(again["low_0.9"], again["high_0.9"])
        assert got["coverage:0.9"][i] == pytest.approx(inside.mean())
        assert got["width:0.9"][i] == pytest.approx((again["high_0.9"] - again["low_0.9"]).mean())


def test_true_intervals_cover_what_they_say():
    rows = coverage_table(ages(n=3000), unit="donor_id", n_boot=300)
    assert list(rows["nominal"]) == [0.5, 0.9]
    assert (rows["empirical"] - rows["nominal"]).abs().max() < 0.02
    assert ((rows["ci_low"] < rows["nominal"]) & (rows["nominal"] < rows["ci_high"])).all()
    assert rows["mean_width"].tolist() == pytest.approx([2 * 5 * 0.6745, 2 * 5 * 1.6449])


def test_narrow_intervals_are_found_out():
    t = ages(n=2000)
    t["low_0.9"], t["high_0.9"] = t["y_pred"] - 1, t["y_pred"] + 1
    row = coverage_table(t, unit="donor_id").set_index("nominal").loc[0.9]
    assert row["ci_high"] < 0.3


def test_levels_are_read_from_the_columns():
    t = ages()
    assert interval_levels(t) == ["0.5", "0.9"]
    with pytest.raises(InputError, match=r"'low_0\.9' has no partner 'high_0\.9'"):
        interval_levels(t.drop(columns="high_0.9"))
    assert interval_levels(t.rename(columns={"low_0.9": "low_90", "high_0.9": "high_90"})) == ["0.5"]  # no level
    bare = t.drop(columns=["low_0.5", "high_0.5", "low_0.9", "high_0.9"])
    assert not [m for m in figures(bare) if m.startswith(("coverage", "width"))]
    with pytest.raises(InputError, match="expected prediction intervals"):
        coverage_table(bare)


def test_records_can_be_written():
    records = to_records(score(ages(), dataset="toy", n_boot=50))
    assert all(tuple(r) == RECORD_FIELDS for r in records)
    json.dumps(records, allow_nan=False)
    assert [r["metric"] for r in records][:8] == list(QUANTITY_METRICS)


def test_small_studies_do_not_count_within(monkeypatch):
    t = ages(n=120)
    sizes = t["dataset_id"].value_counts()
    monkeypatch.setattr(metrics, "MIN_PER_STUDY", int(sizes.median()))
    got = figures(t)
    large = sizes[sizes >= int(sizes.median())]
    assert {m.partition(":")[2] for m in got if m.startswith("mae:")} == set(large.index)
    assert got["mae_within"]["n_samples"] == large.sum() and got["mae_within"]["n_datasets"] == len(large)
    monkeypatch.setattr(metrics, "MIN_PER_STUDY", 1000)
    none = figures(t)["mae_within"]
    assert none["value"] is None and none["n_samples"] == 0
    monkeypatch.undo()
    t.loc[t["dataset_id"] == "S00", "y_true"] = 50.0
    assert "mae:S00" not in figures(t)


def test_guessing_the_mean_of_the_study_has_nothing_within():
    t = ages(n=1200)
    t["y_true"] += t["dataset_id"].str[1:].astype(int) * 10
    t["y_pred"] = t.groupby("dataset_id")["y_true"].transform("mean")
    got = figures(t)
    assert got["r2"]["value"] > 0.5 and got["r2_within"]["value"] == pytest.approx(0, abs=1e-9)
    assert got["spearman_within"]["value"] is None  # a constant has no order


@pytest.mark.slow
def test_intervals_follow_what_is_drawn():
    assert figures(ages())["mae:S00"]["ci_low"] is None
    got = figures(ages(), unit="donor_id")["mae:S00"]
    assert got["ci_low"] < got["value"] < got["ci_high"]
    truth = 5 * np.sqrt(2 / np.pi)
    covered = [
        r["ci_low"] <= truth <= r["ci_high"]
        for r in (figures(ages(s), unit="donor_id", n_boot=200)["mae"] for s in range(60))
    ]
    assert np.mean(covered) >= 0.85


def test_what_is_no_number_is_refused():
    for bad in (np.nan, np.inf, "old"):
        t = ages().astype({"y_pred": object})
        t.loc[5, "y_pred"] = bad
        with pytest.raises(InputError, match=r"column 'y_pred' holds .*; expected finite numbers"):
            score(t)
    with pytest.raises(InputError, match="metric='auc': expected one of"):
        score(ages(), metrics="auc")


def test_models_of_a_table_are_scored_one_by_one():
    both = pd.concat([ages(0, error=5, model="near"), ages(0, error=15, model="far")])
    mae = score(both, metrics="mae", n_boot=50).set_index("model")["value"]
    assert list(mae.index) == ["near", "far"] and mae["near"] < mae["far"]
    one = score(ages(0).assign(dataset_id="S0"), n_boot=50)
    assert one["value"].notna().any() and one[["ci_low", "ci_high"]].isna().all(axis=None)


def test_means_over_studies_count_a_study_as_often_as_it_is_drawn():
    t = ages(n=600)
    w = np.array([(t["dataset_id"] == "S03") * 2.0 + (t["dataset_id"] == "S04")])
    got = prepare(t, ["mae"], unit="dataset_id")(w)
    own = {s: mean_absolute_error(p["y_true"], p["y_pred"]) for s, p in t.groupby("dataset_id")}
    inside = t["y_true"].between(t["low_0.9"], t["high_0.9"]).groupby(t["dataset_id"]).mean()
    assert got[Key("mae_within")][0] == pytest.approx((2 * own["S03"] + own["S04"]) / 3)
    assert got[Key("coverage_within:0.9")][0] == pytest.approx((2 * inside["S03"] + inside["S04"]) / 3)


def test_the_ends_belong_to_an_interval_in_every_study():
    """Ages are whole years, and so may the ends be: four samples a study, at both ends, within and outside."""
    t = pd.concat([ages(n=4).assign(dataset_id=f"S{i}", sample_id=[f"{i}.{j}" for j in range(4)]) for i in range(3)])
    t = t.assign(**{"y_true": np.tile([50.0, 60.0, 55.0, 61.0], 3), "low_0.9": 50.0, "high_0.9": 60.0})
    t.loc[t["dataset_id"] == "S2", "high_0.9"] = 61.0
    (row,) = coverage_by_study(t).to_dict("records")
    by_hand = {"empirical": 10 / 12, "lowest": 0.75, "median": 0.75, "highest": 1.0, "n_datasets": 3}
    assert {name: row[name] for name in by_hand} == pytest.approx(by_hand)
    assert figures(t, per_study=False)["coverage:0.9"]["value"] == pytest.approx(row["empirical"])
