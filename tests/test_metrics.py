"""Figures of merit: parity with scikit-learn, intervals that mean what they say, paired comparison."""

from __future__ import annotations

import numpy as np
import oof
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    precision_score,
    recall_score,
)

from srna_lib.evaluate.comparison import compare
from srna_lib.evaluate.metrics import METRICS, PER_CLASS, confusion, per_dataset, score
from srna_lib.report.results import RECORD_FIELDS, to_records


def table(y_true, y_pred, studies=None, *, model="m", samples=None) -> pd.DataFrame:
    n = len(y_true)
    return pd.DataFrame(
        {
            "sample_id": samples if samples is not None else [f"s{i:05d}" for i in range(n)],
            "dataset_id": list(studies) if studies is not None else ["A"] * n,
            "task": "tissue_group",
            "model": model,
            "features": "miRNA",
            "scheme": "grouped_kfold",
            "fold": "0",
            "y_true": list(y_true),
            "y_pred": list(y_pred),
        }
    )


def random_table(seed, *, n_studies=40, per_study=10, classes="abcd", skill=0.5, model="m") -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = n_studies * per_study
    true = rng.choice(list(classes), size=n)
    called = np.where(rng.random(n) < skill, true, rng.choice(list(classes), size=n))
    return table(true, called, [f"D{i // per_study:03d}" for i in range(n)], model=model)


def figures(predictions, **options) -> dict[str, dict]:
    return oof.named(predictions, **{"metrics": [*METRICS, *PER_CLASS], "n_boot": 200, **options})


def paired(first, second, **options) -> pd.DataFrame:
    table = pd.concat([first.assign(model="a"), second.assign(model="b")])
    return compare(table, [("a", "b")], metric=METRICS, correction="none", **options)


@pytest.mark.parametrize("seed", range(10))
def test_values_are_those_of_scikit_learn(seed):
    p = random_table(seed, n_studies=7, per_study=9, classes="abcde"[: 2 + seed % 4], skill=seed / 10)
    got, true, called = figures(p), p["y_true"], p["y_pred"]
    assert got["accuracy"]["value"] == pytest.approx(accuracy_score(true, called))
    assert got["balanced_accuracy"]["value"] == pytest.approx(balanced_accuracy_score(true, called))
    classes = sorted(set(true))
    precision = precision_score(true, called, labels=classes, average=None, zero_division=np.nan)
    recall = recall_score(true, called, labels=classes, average=None)
    for i, name in enumerate(classes):
        assert got[f"precision:{name}"]["value"] == pytest.approx(precision[i])
        assert got[f"recall:{name}"]["value"] == pytest.approx(recall[i])
    own = p.assign(right=true == called).groupby("dataset_id")["right"].mean().mean()
    assert got["accuracy_per_dataset"]["value"] == pytest.approx(own)


def test_values_by_hand():
    p = table("aaaabb", "aaabba", ["A", "A", "A", "B", "B", "B"])
    got = {k: r["value"] for k, r in figures(p).items()}
    assert got == pytest.approx(
        {
            "accuracy": 4 / 6,
            "balanced_accuracy": (3 / 4 + 1 / 2) / 2,
            "accuracy_per_dataset": (1 + 1 / 3) / 2,
            "precision:a": 3 / 4,
            "recall:a": 3 / 4,
            "precision:b": 1 / 2,
            "recall:b": 1 / 2,
        }
    )


def test_records_are_complete():
    p = table("aaaabb", "aaabba", ["A", "A", "A", "B", "B", "C"])
    records = to_records(score(p, dataset="toy", metrics=[*METRICS, *PER_CLASS], seed=3, n_boot=50))
    for r in records:
        assert set(r) == set(RECORD_FIELDS)
        assert (r["task"], r["dataset"], r["model"], r["features"]) == ("tissue_group", "toy", "m", "miRNA")
        assert (r["scheme"], r["seed"]) == ("grouped_kfold", 3)
        assert type(r["n_samples"]) is int and type(r["n_datasets"]) is int
        assert type(r["value"]) is float
    got = {r["metric"]: (r["n_samples"], r["n_datasets"]) for r in records}
    assert got["accuracy"] == (6, 3)
    assert got["recall:a"] == (4, 2) and got["precision:b"] == (2, 2)
    assert list(figures(p, metrics=METRICS)) == list(METRICS)


def test_a_class_that_is_never_predicted_has_no_precision():
    got = figures(table("aab", "aaa", "ABC"))
    assert (got["precision:b"]["value"], got["precision:b"]["ci_low"], got["precision:b"]["ci_high"]) == (None,) * 3
    assert got["recall:b"]["value"] == 0
    assert got["balanced_accuracy"]["value"] == 0.5


def test_a_class_that_is_only_predicted_has_no_record():
    got = figures(table("aabb", "aabz", "ABCD"))
    assert "precision:z" not in got and "recall:z" not in got
    assert got["balanced_accuracy"]["value"] == 0.75
    assert got["recall:b"]["value"] == 0.5


@pytest.mark.parametrize("unit", ["dataset_id", "sample_id"])
@pytest.mark.parametrize("seed", range(5))
def test_intervals_hold_the_value(seed, unit):
    for r in figures(random_table(seed), unit=unit).values():
        assert 0 <= r["ci_low"] < r["value"] < r["ci_high"] <= 1, r["metric"]


def test_intervals_are_deterministic_per_seed():
    p = random_table(0)
    assert figures(p, seed=1) == figures(p, seed=1)
    one, two = figures(p, seed=1)["accuracy"], figures(p, seed=2)["accuracy"]
    assert one["value"] == two["value"]
    assert (one["ci_low"], one["ci_high"]) != (two["ci_low"], two["ci_high"])


@pytest.mark.slow
@given(st.integers(0, 1000))
def test_order_of_rows_does_not_matter(seed):
    p = random_table(seed, n_studies=5, per_study=4)
    shuffled = p.sample(frac=1, random_state=seed)
    assert figures(p, n_boot=20) == figures(shuffled, n_boot=20)


def test_perfect_predictions_have_no_spread():
    p = random_table(0, skill=1.0)
    for r in figures(p).values():
        assert r["value"] == r["ci_low"] == r["ci_high"] == 1


def test_one_study_cannot_say_how_studies_vary():
    p = random_table(0).assign(dataset_id="A")
    for r in figures(p).values():
        assert r["value"] is not None and r["ci_low"] is None and r["ci_high"] is None


def test_identical_studies_have_no_spread():
    one = table("aabb", "abbb")
    p = pd.concat([one.assign(dataset_id=f"D{i}", sample_id=one["sample_id"] + f"_{i}") for i in range(9)])
    for r in figures(p).values():
        assert r["ci_low"] == pytest.approx(r["value"]) and r["ci_high"] == pytest.approx(r["value"])


def test_two_studies_one_right_one_wrong():
    p = table("aabb" * 2, "aabbbbaa", "AAAABBBB")
    got = figures(p)
    for metric in METRICS:
        assert (got[metric]["value"], got[metric]["ci_low"], got[metric]["ci_high"]) == (0.5, 0.0, 1.0)


def test_studies_are_the_unit_not_samples():
    right = np.repeat(np.arange(20) % 2 == 0, 30)  # a study is all right or all wrong
    true = np.tile(["a", "b"], 300)
    called = np.where(right, true, np.where(true == "a", "b", "a"))
    p = table(true, called, [f"D{i // 30:02d}" for i in range(600)])
    by_study, by_sample = (figures(p, unit=u, n_boot=1000)["accuracy"] for u in ("dataset_id", "sample_id"))
    assert by_study["value"] == by_sample["value"] == 0.5
    assert by_study["ci_high"] - by_study["ci_low"] == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 20), rel=0.2)
    assert by_sample["ci_high"] == by_sample["ci_low"]  # samples are drawn within their studies


def test_width_of_the_sample_bootstrap_is_the_binomial_one():
    p = random_table(1, n_studies=40, per_study=25, classes="ab")
    r = figures(p, unit="sample_id", n_boot=2000)["accuracy"]
    expected = 2 * 1.96 * np.sqrt(r["value"] * (1 - r["value"]) / 1000)
    assert r["ci_high"] - r["ci_low"] == pytest.approx(expected, rel=0.1)


def test_mean_per_study_says_nothing_about_samples():
    p = random_table(0)
    assert "accuracy_per_dataset" in figures(p)
    assert "accuracy_per_dataset" not in figures(p, unit="sample_id")


def test_repeated_folds_count_a_sample_once():
    p = random_table(0)
    twice = pd.concat([p, p.assign(fold="1")], ignore_index=True)
    once, both = figures(p), figures(twice)
    for metric in once:
        for field in ("value", "ci_low", "ci_high", "n_samples", "n_datasets"):
            assert both[metric][field] == pytest.approx(once[metric][field])
    assert both["accuracy"]["n_samples"] == len(p)
    assert confusion(twice).to_numpy().sum() == 2 * len(p)
    assert (paired(twice, twice)["n_samples"] == len(p)).all()


def test_compare_with_itself_is_zero():
    p = random_table(0)
    got = paired(p, p, n_boot=100)
    assert got["metric"].tolist() == list(METRICS)
    assert (got[["difference", "ci_low", "ci_high"]] == 0).all(axis=None)
    assert (got["n_samples"] == 400).all() and (got["n_datasets"] == 40).all()


def test_compare_has_the_sign_of_first_minus_second():
    good, bad = random_table(0, model="good"), random_table(0, model="bad")
    bad.loc[::3, "y_pred"] = bad.loc[::3, "y_true"].map({"a": "b", "b": "c", "c": "d", "d": "a"})
    got = paired(good, bad)
    assert (got["first"] == "a").all() and (got["second"] == "b").all() and (got["verdict"] == "above").all()
    assert (got["ci_low"] > 0).all() and (got["difference"] > got["ci_low"]).all()
    accuracy = [accuracy_score(t["y_true"], t["y_pred"]) for t in (good, bad)]
    assert got.set_index("metric")["difference"]["accuracy"] == pytest.approx(accuracy[0] - accuracy[1])
    back = paired(bad, good)
    assert (back["verdict"] == "below").all()
    np.testing.assert_allclose(back["difference"], -got["difference"])
    np.testing.assert_allclose(back["ci_low"], -got["ci_high"])


def test_compare_is_paired():
    """One call more in every study of equal size: the difference has no spread, though each accuracy has."""
    first = random_table(3, skill=0.5, classes="ab")
    first.loc[::10, "y_pred"] = first.loc[::10, "y_true"]
    second = first.copy()
    second.loc[::10, "y_pred"] = second.loc[::10, "y_true"].map({"a": "b", "b": "a"})
    got = paired(first, second).set_index("metric").loc["accuracy"]
    assert got["difference"] == pytest.approx(0.1)
    assert got["ci_low"] == pytest.approx(0.1) and got["ci_high"] == pytest.approx(0.1)
    alone = figures(first)["accuracy"]
    assert alone["ci_high"] - alone["ci_low"] > 0.05


def test_compare_does_not_ask_for_an_order_of_rows():
    first, second = random_table(0), random_table(1).assign(y_true=random_table(0)["y_true"])
    pd.testing.assert_frame_equal(paired(first, second), paired(first, second.iloc[::-1]))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.iloc[:-1],
        lambda t: t.iloc[1:],
        lambda t: pd.concat([t, t]),
        lambda t: t.assign(sample_id=t["sample_id"] + "x"),
        lambda t: t.assign(dataset_id="other"),
        lambda t: t.assign(y_true="z"),
    ],
    ids=["shorter", "without the first", "twice", "other names", "other studies", "other truth"],
)
def test_compare_refuses_other_samples(change):
    p = random_table(0)
    with pytest.raises(ValueError, match=r"different samples; expected predictions of the same ones"):
        paired(p, change(p))


@pytest.mark.parametrize("seed", range(3))
def test_confusion_is_that_of_scikit_learn(seed):
    p = random_table(seed)
    got = confusion(p)
    assert list(got.index) == list(got.columns) == list("abcd")
    assert (got.index.name, got.columns.name) == ("true class", "predicted class")
    np.testing.assert_array_equal(got, confusion_matrix(p["y_true"], p["y_pred"], labels=list("abcd")))
    assert got.to_numpy().sum() == len(p)
    pd.testing.assert_series_equal(got.sum(axis=1), p["y_true"].value_counts().sort_index(), check_names=False)
    pd.testing.assert_series_equal(got.sum(axis=0), p["y_pred"].value_counts().sort_index(), check_names=False)


def test_per_dataset():
    one = table("aabb", "aabz", "AABB", model="m1")
    two = table("aabb", "bbbb", "AABB", model="m2")
    got = per_dataset(pd.concat([one, two]))
    assert got.to_dict("records") == [
        {"model": m, "scheme": "grouped_kfold", "dataset_id": d, "n_samples": 2, "classes": c, "accuracy": a}
        for m, d, c, a in [("m1", "A", "a", 1.0), ("m1", "B", "b", 0.5), ("m2", "A", "a", 0.0), ("m2", "B", "b", 1.0)]
    ]
