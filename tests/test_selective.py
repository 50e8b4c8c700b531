"""Accuracy of the most confident share: by hand, by brute force, with ties."""

from __future__ import annotations

import numpy as np
import pytest
from oof import binary, named, several, table

from srna_lib.errors import InputError
from srna_lib.evaluate.bootstrap import Key
from srna_lib.evaluate.metrics import SELECTIVE_METRICS, accuracy_of_kept, coverage_curve, prepare, score


def figures(t, **options):
    return named(t, **{"metrics": SELECTIVE_METRICS, **options})


NAMES = ["accuracy_at:0.2", "accuracy_at:0.57", "coverage_area"]


def distinct(n=200, seed=0):
    """As many different confidences as samples."""
    rng = np.random.default_rng(seed)
    p = 0.5 + rng.permutation(n) / (2.1 * n) + 0.001
    true = rng.random(n) < p
    return table(true, p, np.arange(n), np.arange(n) % 5)


def test_the_curve_is_that_of_sorted_samples():
    t = distinct()
    curve, order = coverage_curve(t, n_boot=20), t.sort_values("p_male", ascending=False)
    right = (order["y_true"] == order["y_pred"]).to_numpy()
    for row in curve.to_dict("records"):
        k = round(200 * row["coverage"])
        assert row["n_samples"] == k and row["accuracy"] == pytest.approx(right[:k].mean())
        assert row["confidence"] == order["p_male"].iloc[k - 1]
    assert curve["accuracy"].iloc[-1] == pytest.approx(right.mean()) and len(curve) == 100
    assert (curve["ci_low"] <= curve["accuracy"]).all() and (curve["accuracy"] <= curve["ci_high"]).all()


def test_records_are_points_of_the_curve_and_its_mean():
    t = several()
    curve, got = coverage_curve(t, n_boot=50, seed=3), named(t, n_boot=50, seed=3, metrics=NAMES)
    assert list(got) == NAMES
    for share in (0.2, 0.57):
        row, record = curve[np.isclose(curve["coverage"], share)].iloc[0], got[f"accuracy_at:{share}"]
        assert list(row[["accuracy", "ci_low", "ci_high"]]) == [record[k] for k in ("value", "ci_low", "ci_high")]
    assert got["coverage_area"]["value"] == pytest.approx(curve["accuracy"].mean())


def test_equal_confidence_tells_nothing():
    t = binary().assign(p_male=0.7, p_female=0.7)
    accuracy = (t["y_true"] == t["y_pred"]).mean()
    curve = coverage_curve(t, n_boot=5)
    np.testing.assert_allclose(curve["accuracy"], accuracy)
    assert figures(t)["coverage_area"]["value"] == pytest.approx(accuracy)


def test_ties_have_the_mean_accuracy_of_random_orders():
    t = binary(n=60)  # probabilities rounded: many ties
    confidence = np.where(t["y_pred"] == "male", t["p_male"], t["p_female"]).round(1)
    t["p_male"], t["p_female"] = confidence, confidence
    right, rng = (t["y_true"] == t["y_pred"]).to_numpy(), np.random.default_rng(0)
    orders = [np.lexsort((rng.random(60), -confidence)) for _ in range(4000)]
    want = np.mean([right[o[:15]].mean() for o in orders])
    assert figures(t)["accuracy_at:0.25"]["value"] == pytest.approx(want, abs=0.01)


def test_weights_are_repeated_samples():
    t, rng = distinct(100), np.random.default_rng(1)
    w = rng.multinomial(100, np.full(100, 0.01)).astype(float)
    got = prepare(t, [f"accuracy_at:{share}" for share in (0.2, 0.5, 1)])(w[None])
    again = t.iloc[np.repeat(np.arange(100), w.astype(int))].sort_values("p_male", ascending=False)
    right = (again["y_true"] == again["y_pred"]).to_numpy()
    for share in (0.2, 0.5, 1.0):
        ends = round(100 * share)
        cut = again["p_male"].iloc[ends - 1]
        if ends == 100 or again["p_male"].iloc[ends] != cut:  # a sample cut in two counts in proportion
            assert got[Key(f"accuracy_at:{share:g}")][0] == pytest.approx(right[:ends].mean())
    assert got[Key("accuracy_at:1")][0] == pytest.approx(right.mean())


def test_a_confidence_that_knows_raises_the_area_above_the_accuracy():
    got = figures(binary(n=2000), unit="donor_id")
    assert got["coverage_area"]["value"] > got["accuracy_at:0.75"]["value"] > 0.8
    assert got["accuracy_at:0.25"]["ci_low"] > got["accuracy_at:0.75"]["ci_high"]


def test_other_coverages_are_refused():
    with pytest.raises(InputError, match=r"metric='accuracy_at:0\.333': expected one of accuracy"):
        score(binary(), metrics="accuracy_at:0.333")


def test_accuracy_of_kept_by_hand():
    scores, right = np.array([3.0, 1, 2, 2]), np.array([1.0, 0, 0, 1])
    weights, shares = np.array([[1.0, 1, 1, 1], [2, 0, 1, 1], [0, 4, 0, 0]]), np.array([0.25, 0.5, 1])
    expected = [[1, 1.5 / 2, 2 / 4], [1, 1, 3 / 4], [0, 0, 0]]
    np.testing.assert_allclose(accuracy_of_kept(scores, right, weights, shares), expected)


def test_the_calibration_error_is_the_distance_of_confidence_from_accuracy():
    t = distinct(4000)
    assert figures(t, metrics="calibration_error")["calibration_error"]["value"] < 0.03  # right as often as it says
    sure = t.assign(p_male=np.where(t["p_male"] > 0.5, 0.99, 0.01), p_female=np.where(t["p_male"] > 0.5, 0.01, 0.99))
    accuracy = (t["y_true"] == t["y_pred"]).mean()
    found = figures(sure, metrics="calibration_error")["calibration_error"]
    assert found["value"] == pytest.approx(0.99 - accuracy) and found["ci_low"] < found["value"] < found["ci_high"]
    # two bins whose errors have opposite signs do not cancel
    p = np.r_[np.full(50, 0.6), np.full(50, 0.9)]
    t = table(np.r_[np.ones(40), np.zeros(10), np.ones(40), np.zeros(10)] > 0, p, np.arange(100), np.arange(100) % 5)
    assert figures(t, metrics="calibration_error")["calibration_error"]["value"] == pytest.approx((0.2 + 0.1) / 2)
