"""Reliability and calibration: known probabilities, known distortions, and no label of the own fold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from oof import binary, several, table
from sklearn.metrics import brier_score_loss, log_loss

from srna_lib.errors import InputError
from srna_lib.evaluate.calibration import METHODS, calibrate, reliability_table

ROW = {"task": "sex", "model": "m", "features": "miRNA", "scheme": "patient_5fold"}


def honest(seed=0, n=4000, power=1.0):
    """Outcomes drawn from p; the model states p with its log odds multiplied by `power`."""
    rng = np.random.default_rng(seed)
    donor = rng.integers(0, n, n)
    odds = rng.normal(0, 1.5, n)
    true = rng.random(n) < 1 / (1 + np.exp(-odds))
    return table(true, 1 / (1 + np.exp(-power * odds)), donor, donor % 6)


def multi(seed=0, n=2000, power=1.0):
    """As `honest` with four classes: softmax of random log odds."""
    t, rng = several(seed, n=n), np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, 4))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    true = np.array([rng.choice(4, p=row) for row in p])
    stated = p**power / (p**power).sum(axis=1, keepdims=True)
    t["y_true"], t["y_pred"] = np.array(list("abcd"))[true], np.array(list("abcd"))[stated.argmax(axis=1)]
    t[[f"p_{c}" for c in "abcd"]] = stated
    return t


def ece(t, **options):
    """Expected calibration error: mean distance of bins, weighted by their samples."""
    rows = reliability_table(t, n_boot=2, **options)
    return np.average((rows["predicted"] - rows["observed"]).abs(), weights=rows["n_samples"])


def test_bins_hold_equally_many_samples_and_say_what_is_in_them():
    t = honest()
    rows = reliability_table(t, of="male", n_boot=200, unit="donor_id")
    assert len(rows) == 10 and set(rows["n_samples"]) == {400}
    assert (rows["lowest"] <= rows["predicted"]).all() and (rows["predicted"] <= rows["highest"]).all()
    assert rows[["task", "model", "features", "scheme"]].drop_duplicates().to_dict("records") == [ROW]
    inside = t[t["p_male"].between(rows.loc[3, "lowest"], rows.loc[3, "highest"])]
    assert rows.loc[3, "observed"] == pytest.approx((inside["y_true"] == "male").mean())
    assert rows.loc[3, "predicted"] == pytest.approx(inside["p_male"].mean())
    covered = (rows["ci_low"] <= rows["predicted"]) & (rows["predicted"] <= rows["ci_high"])
    assert covered.sum() >= 8  # what was stated is true here


def test_equal_probabilities_share_a_bin():
    t = binary().assign(p_male=0.5, p_female=0.5)
    rows = reliability_table(t, of="male", n_boot=10)
    assert len(rows) == 1 and rows.loc[0, "n_samples"] == 300
    t["p_male"] = np.repeat([0.2, 0.8], 150)
    assert list(reliability_table(t, of="male", n_boot=10)["n_samples"]) == [150, 150]


def test_confidence_in_the_called_class_is_the_default():
    t = several()
    rows = reliability_table(t, n_boot=5)
    observed, predicted = (np.average(rows[c], weights=rows["n_samples"]) for c in ("observed", "predicted"))
    assert observed == pytest.approx((t["y_true"] == t["y_pred"]).mean())
    assert predicted == pytest.approx(t[[f"p_{c}" for c in "abcd"]].max(axis=1).mean())
    with pytest.raises(InputError, match="no class 'z'; expected one of a, b, c, d"):
        reliability_table(t, of="z")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", [honest, multi])
@pytest.mark.parametrize("power", [0.3, 3.0])
def test_distorted_probabilities_are_set_right(method, make, power):
    t, truth = make(power=power), make(power=1.0)
    c = calibrate(t, method)
    columns = [x for x in t if x.startswith("p_")]
    classes = [x[2:] for x in columns]
    np.testing.assert_allclose(c[columns].sum(axis=1), 1)
    losses = [log_loss(x["y_true"], x[columns], labels=classes) for x in (truth, c, t)]
    assert losses[1] < losses[0] + 0.25 * (losses[2] - losses[0])  # most of the harm is gone
    assert ece(c) < 0.5 * ece(t)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", [binary, several])
def test_labels_of_a_fold_do_not_reach_its_own_probabilities(method, make):
    t = make(n=400)
    columns = [c for c in t if c.startswith("p_")]
    own = t["fold"] == t["fold"].iloc[0]
    flipped = t.copy()
    flipped.loc[own, "y_true"] = t["y_true"].unique()[0]
    before, after = calibrate(t, method), calibrate(flipped, method)
    np.testing.assert_array_equal(before.loc[own, columns], after.loc[own, columns])
    assert not np.allclose(before.loc[~own, columns], after.loc[~own, columns])


@pytest.mark.parametrize("method", METHODS)
def test_rows_keep_their_place_and_calls_follow_the_probabilities(method):
    t = pd.concat([honest(n=400).assign(model="x"), honest(1, n=400)]).sample(frac=1, random_state=0)
    c = calibrate(t, method)
    kept = ["sample_id", "dataset_id", "donor_id", "task", "features", "scheme", "fold", "y_true"]
    pd.testing.assert_frame_equal(c[kept], t[kept])
    assert list(c.columns) == list(t.columns) and list(c.index) == list(t.index)
    assert list(c["model"]) == [f"{m} + {method}" for m in t["model"]]
    assert (c["y_pred"] == np.where(c["p_male"] > c["p_female"], "male", "female")).all()
    alone = calibrate(t[t["model"] == "x"], method)
    np.testing.assert_array_equal(alone["p_male"], c.loc[(t["model"] == "x").to_numpy(), "p_male"])


def test_the_maps_of_two_classes_do_not_depend_on_their_order():
    t = honest(n=600, power=2)
    swap = {"female": "zz female"}
    other = t.replace({"y_true": swap, "y_pred": swap}).rename(columns={"p_female": "p_zz female"})
    other = other[[*[c for c in other if c != "p_zz female"], "p_zz female"]]
    for method in METHODS:
        np.testing.assert_allclose(calibrate(t, method)["p_male"], calibrate(other, method)["p_male"], atol=1e-4)


def test_temperature_and_sigmoid_keep_the_order_within_a_fold_and_isotonic_does_not_turn_it():
    t = honest(n=600, power=2)
    for method in METHODS:
        c = calibrate(t, method)
        for fold in "01234":
            before, after = (x.loc[t["fold"] == fold, "p_male"].to_numpy() for x in (t, c))
            assert (np.diff(after[np.argsort(before)]) >= -1e-12).all()


def test_forests_that_say_never_stay_finite():
    t = binary(n=300).assign(p_male=lambda x: (x["y_pred"] == "male") * 1.0, p_female=lambda x: 1 - x["p_male"])
    for method in METHODS:
        c = calibrate(t, method)
        assert c["p_male"].between(0, 1, inclusive="neither").all()
        assert brier_score_loss(c["y_true"] == "male", c["p_male"]) < brier_score_loss(
            t["y_true"] == "male", t["p_male"]
        )


def test_a_class_that_the_other_folds_lack():
    t = several(n=300)
    t.loc[t["fold"] != "S0", "y_true"] = t.loc[t["fold"] != "S0", "y_true"].replace("d", "a")
    for method in METHODS:
        c = calibrate(t, method)
        p = c.loc[c["fold"] == "S0", [f"p_{x}" for x in "abcd"]].to_numpy()
        assert np.isfinite(p).all()
        if method != "temperature":  # which knows no classes
            assert (p[:, 3] < 0.05).all()


def test_tables_that_would_leak_are_refused():
    t = honest(n=300)
    for scheme in ("random_5fold", "random_patients"):
        with pytest.raises(InputError, match=f"folds of scheme '{scheme}' share studies and patients"):
            calibrate(t.assign(scheme=scheme))
    with pytest.raises(InputError, match="has one fold"):
        calibrate(t.assign(fold="0"))
    assert len(calibrate(t[t["fold"].isin(t["fold"].unique()[:2])]))  # two are enough
    with pytest.raises(InputError, match=r"dataset_id 'S0\d' is in \d folds"):
        calibrate(t.drop(columns="donor_id"))
    with pytest.raises(InputError, match="unknown method 'platt': expected one of isotonic, sigmoid, temperature"):
        calibrate(t, "platt")
    split = t.copy()
    split.loc[0, "donor_id"] = split.loc[split["fold"] != split.loc[0, "fold"], "donor_id"].iloc[0]
    with pytest.raises(InputError, match="is in 2 folds; expected each in one"):
        calibrate(split)


def test_one_sample_that_was_said_to_be_impossible_does_not_decide_the_slope():
    """A forest says 0 of a sample that is male: without a clip its log odds would flatten those of all others."""
    t = honest(n=300)
    odd = t.index[t["y_true"] == "male"][0]
    t.loc[odd, ["p_male", "p_female"]] = [1e-15, 1 - 1e-15]
    rest = t["sample_id"] != t.loc[odd, "sample_id"]
    shift = (calibrate(t, "sigmoid")["p_male"] - calibrate(t[rest], "sigmoid")["p_male"])[rest].abs().max()
    assert shift < 0.06
