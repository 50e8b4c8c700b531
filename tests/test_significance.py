"""Tests of differences: formulae, false alarms, corrections, verdicts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oof import ages, binary
from scipy import stats

from srna_lib.errors import InputError
from srna_lib.evaluate import comparison
from srna_lib.evaluate.comparison import compare, corrected_t_test, fold_values, holm


def test_without_overlap_the_corrected_test_is_the_t_test():
    d = np.random.default_rng(0).normal(0.5, 1, 12)
    got, want = corrected_t_test(d, 1e12, 1), stats.ttest_1samp(d, 0)
    assert got["p_value"] == pytest.approx(want.pvalue)
    assert (got["ci_low"], got["ci_high"]) == pytest.approx(tuple(want.confidence_interval()))


def test_the_correction_is_that_of_the_paper():
    d = np.array([0.02, 0.03, -0.01, 0.04, 0.01])
    got = corrected_t_test(d, np.array([80, 80, 80, 81, 79]), np.full(5, 20))
    t = d.mean() / np.sqrt((1 / 5 + 20 / 80) * d.var(ddof=1))
    assert got["p_value"] == pytest.approx(2 * stats.t.sf(t, 4)) and got["p_value"] > stats.ttest_1samp(d, 0).pvalue
    assert got["difference"] - got["ci_low"] == pytest.approx(got["ci_high"] - got["difference"])


def test_folds_that_agree_exactly():
    assert corrected_t_test(np.zeros(5), 4, 1)["p_value"] == 1
    assert corrected_t_test(np.full(5, 0.1), 4, 1)["p_value"] == pytest.approx(0, abs=1e-12)
    assert all(np.isnan(v) for v in corrected_t_test(np.array([1.0]), 4, 1).values())
    assert all(np.isfinite(v) for v in corrected_t_test(np.array([1.0, 2.0]), 4, 1).values())


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    got = holm([0.01, np.nan, 0.04])
    assert got[[0, 2]] == pytest.approx([0.02, 0.04]) and np.isnan(got[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_correction_keeps_order_and_its_bounds(p):
    p = np.array(p)
    adjusted, order = holm(p), np.argsort(p, kind="stable")
    assert (stats.false_discovery_control(p) <= adjusted + 1e-12).all()
    assert (adjusted <= np.minimum(1, p * len(p)) + 1e-12).all()
    assert (np.diff(adjusted[order]) >= -1e-12).all()


def models(**skills):
    return pd.concat([binary(0, n=600, skill=s, model=m) for m, s in skills.items()])


PAIRS = [("good", "bad"), ("bad", "good"), ("good", "copy"), ("good", "absent")]


@pytest.mark.parametrize("test", ["bootstrap", "corrected_t"])
@pytest.mark.parametrize("metric", ["accuracy", "auc", "auc_within", "brier"])
def test_verdicts(test, metric):
    t = models(good=1.5, bad=0.3, copy=1.5)
    rows = compare(t, PAIRS, metric=metric, test=test, unit="donor_id", n_boot=400).set_index("pair")
    assert list(rows.index) == ["good minus bad", "bad minus good", "good minus copy"]
    up, down = ("below", "above") if metric == "brier" else ("above", "below")
    assert list(rows["verdict"]) == [up, down, "not distinguishable from"]
    assert rows.loc["good minus copy", "p_value"] == 1 and set(rows["n_comparisons"]) == {3}
    assert (rows["p_adjusted"] >= rows["p_value"]).all() and set(rows["correction"]) == {"Holm (family-wise error)"}
    one = rows.loc["good minus bad"]
    assert one["ci_low"] < one["difference"] < one["ci_high"] and one["n_samples"] == 600
    assert one["n_units"] == (5 if test == "corrected_t" else t["donor_id"].nunique())


def test_a_verdict_is_by_the_corrected_p_value(monkeypatch):
    a, b = (binary(0, n=100, skill=0.6, model=m) for m in "ab")
    b.loc[:30, ["p_female", "p_male"]] = b.loc[:30, ["p_female", "p_male"]].to_numpy()[::-1]
    t = pd.concat([a, b])
    options = {"metric": "auc", "unit": "donor_id"}
    p_value = compare(t, [("a", "b")], correction="none", **options)["p_value"].iloc[0]
    assert 0 < p_value < 0.6
    monkeypatch.setattr(comparison, "LEVEL", 1 - 1.5 * p_value)  # found alone at this level, but not as one of two
    two = [("a", "b"), ("b", "b")]
    assert compare(t, two, correction="none", **options)["verdict"].iloc[0] == "above"
    assert compare(t, two, correction="holm", **options)["verdict"].iloc[0] == "not distinguishable from"


def test_one_study_cannot_say_how_studies_vary():
    """Its interval had no width, and any difference a p-value of zero."""
    both = [binary(skill=skill, model=m).assign(dataset_id="S0") for m, skill in (("a", 3.0), ("b", 0.1))]
    found = compare(pd.concat(both), [("a", "b")], unit=["dataset_id", "donor_id"], n_boot=50).set_index("unit")
    assert found.loc["dataset_id", ["ci_low", "ci_high", "p_value"]].isna().all()
    assert found.loc["dataset_id", "verdict"] == "not distinguishable from"
    assert found.loc["donor_id", "verdict"] == "above" and found["difference"].nunique() == 1


def test_feature_sets_of_one_model_and_several_tasks():
    t = models(m=1.5)
    t = pd.concat([t, binary(0, n=600, skill=0.2).assign(features="contaminant")])
    t = pd.concat([t, t.assign(task="sex again")])
    rows = compare(t, [("miRNA", "contaminant")], by="features", metric="auc", n_boot=200)
    assert list(rows["task"]) == ["sex", "sex again"] and set(rows["model"]) == {"m"}
    assert set(rows["n_comparisons"]) == {2} and set(rows["verdict"]) == {"above"}


def test_errors_in_years():
    t = pd.concat([ages(0, error=3, model="good"), ages(0, error=9, model="bad")])
    for test in ("bootstrap", "corrected_t"):
        row = compare(t, [("good", "bad")], metric="mae", test=test, n_boot=200).iloc[0]
        assert row["verdict"] == "below" and row["difference"] < -3


def test_folds_where_the_figure_is_undefined_are_left_out():
    t = models(a=1.5, b=0.5)
    t.loc[t["fold"] == "0", "y_true"] = "male"
    row = compare(t, [("a", "b")], metric="auc", test="corrected_t").iloc[0]
    assert row["n_units"] == 4
    t["y_true"] = "male"
    row = compare(t, [("a", "b")], metric="auc", test="corrected_t").iloc[0]
    assert row["n_units"] == 0 and np.isnan(row["p_value"]) and row["verdict"] == "not distinguishable from"


def test_values_by_fold():
    t = binary()
    got = fold_values(t, "accuracy")
    assert list(got["fold"]) == list("01234") and got["n_test"].sum() == len(t)
    assert (got["n_train"] + got["n_test"] == len(t)).all()
    want = t.assign(right=t["y_true"] == t["y_pred"]).groupby("fold")["right"].mean()
    assert list(got["value"]) == pytest.approx(list(want))


def test_requests_that_make_no_sense_are_said():
    t = models(a=1.5, b=0.5)
    for options, match in (
        ({"metric": "f1"}, "metric='f1': expected one of accuracy"),
        ({"test": "z"}, "unknown test 'z'"),
        ({"by": "fold"}, "unknown by 'fold'"),
        ({"correction": "x"}, "unknown correction 'x'"),
    ):
        with pytest.raises(InputError, match=match):
            compare(t, [("a", "b")], n_boot=5, **options)
    with pytest.raises(InputError, match="expected two of its values"):
        compare(t, [("a", "z")])
    t.loc[(t["model"] == "a"), "fold"] = "0"
    with pytest.raises(InputError, match="different folds"):
        compare(t, [("a", "b")], test="corrected_t")
    with pytest.raises(InputError, match="column 'features' holds 2 values"):
        compare(pd.concat([t, t.assign(features="x")]), [("a", "b")])


@pytest.mark.slow
def test_equal_models_are_found_different_as_rarely_as_promised():
    p = [
        compare(
            pd.concat([binary(s, n=200, model="a"), other(s)]), [("a", "b")], metric="auc", unit="donor_id", n_boot=200
        )["p_value"].iloc[0]
        for s in range(100)
    ]
    assert np.mean(np.array(p) < 0.05) <= 0.12


def other(seed):
    """Second model of the same skill on the same samples, with noise of its own."""
    t = binary(seed, n=200, model="b")
    true = (t["y_true"] == "male").to_numpy()
    logit = 2 * true - 1 + np.random.default_rng(seed + 5000).normal(size=len(t))
    p = np.round(1 / (1 + np.exp(-logit)), 2)
    return t.assign(p_male=p, p_female=1 - p)
