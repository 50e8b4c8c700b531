"""The score of single predictions, and what it is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from srna_lib.evaluate.bootstrap import study_weights
from srna_lib.evaluate.metrics import weighted_auc
from srna_lib.stability import confidence


def scored(n=400, seed=0, signal=2.0, studies=25) -> pd.DataFrame:
    """Calls with a probability that knows a part of what is wrong, and steps that know another part."""
    rng = np.random.default_rng(seed)
    hidden, seen = rng.normal(size=n), rng.normal(size=n)
    wrong = rng.random(n) < 1 / (1 + np.exp(1.5 + signal * hidden + seen))
    return pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(n)],
            "dataset_id": [f"d{i % studies}" for i in range(n)],
            "wrong": wrong,
            "p_max": 1 / (1 + np.exp(-seen)),
            "margin": np.tanh(seen / 4),
            "entropy": -seen,
            "steps": np.rint(20 * np.exp(hidden)),
            "share": np.rint(20 * np.exp(hidden)) / 300,
            "reads": np.clip(np.exp(hidden) / 20, 0, 1),
        }
    )


def test_scores_point_the_right_way():
    table = confidence.auroc_table(scored(), n_boot=50).set_index("score")
    assert (table["auroc"] > 0.55).all()
    assert (table["ci_low"] <= table["auroc"]).all() and (table["auroc"] <= table["ci_high"]).all()
    assert table.loc["steps", "auroc"] > table.loc["p_max", "auroc"]
    assert table.loc["entropy", "auroc"] == pytest.approx(table.loc["p_max", "auroc"])
    assert (table["n_wrong"] == scored()["wrong"].sum()).all()


def test_intervals_draw_studies():
    """All wrong calls in one study: without it there is no curve; the others' draws stay defined."""
    table = scored(60, studies=3)
    table["wrong"] = table["dataset_id"] == "d0"
    weights = study_weights(table["dataset_id"], 200, 0)
    draws = weighted_auc(-table["p_max"].to_numpy(), table["wrong"].to_numpy(), weights)
    assert 0.1 < np.isnan(draws).mean() < 0.6


def test_new_knowledge_is_seen_to_add():
    found = confidence.combination(scored(900), n_boot=200)
    assert found["verdict"] == "adds"
    assert found["both"] > found["base"] + 0.05
    assert found["difference"] == pytest.approx(found["both"] - found["base"])
    assert found["difference_low"] <= found["difference"] <= found["difference_high"]


def test_noise_is_seen_to_add_nothing():
    table = scored(900, signal=0.0)
    found = confidence.combination(table, n_boot=200)
    assert found["verdict"] in ("adds nothing that can be told from chance", "takes away")
    assert abs(found["difference"]) < 0.03


def test_what_tells_nothing_is_not_seen_to_add():
    found = confidence.combination(scored(300).assign(**dict.fromkeys(confidence.STEPS, 1.0)), n_boot=50)
    assert found["difference"] == found["difference_low"] == found["difference_high"] == 0
    assert found["verdict"] == "adds nothing that can be told from chance"


def test_too_few_wrong_calls_are_said():
    table = scored(40)
    table["wrong"] = False
    found = confidence.combination(table, n_boot=10)
    assert found["verdict"] == "cannot be judged" and np.isnan(found["difference"])
    one_study = scored(40).assign(dataset_id="d")
    assert confidence.combination(one_study, n_boot=10)["verdict"] == "cannot be judged"


def test_ranks_are_learned_from_the_training_studies_alone(monkeypatch):
    seen = []

    class Spy(confidence.QuantileTransformer):
        def fit(self, X, y=None):
            seen.append(set(X[:, 0]))
            return super().fit(X, y)

    table = scored(300).assign(p_max=np.arange(300))  # each value once, so that rows are known by it
    before = confidence.combination(table, n_boot=10)
    monkeypatch.setattr(confidence, "QuantileTransformer", Spy)
    assert confidence.combination(table, n_boot=10) == before
    assert len(seen) == 2 * min(10, table["dataset_id"].nunique())
    for rows in seen:
        left = table[~table["p_max"].isin(rows)]
        assert len(left) and not set(left["dataset_id"]) & set(table["dataset_id"][table["p_max"].isin(rows)])


def test_the_combination_is_judged_on_studies_it_did_not_see():
    """A score that names the study is worth nothing: each study is judged by the others."""
    rng = np.random.default_rng(1)
    table = scored(600, studies=30)
    bad = rng.random(30) < 0.5
    code = table["dataset_id"].str[1:].astype(int)
    table["wrong"] = bad[code]
    for column in confidence.STEPS:
        table[column] = rng.permutation(30)[code]
    for column in confidence.CONFIDENCE:
        table[column] = rng.random(600)
    found = confidence.combination(table, n_splits=30, n_boot=50)
    assert found["both"] < 0.75


def test_accuracy_at_coverage_starts_with_the_firmest():
    table = pd.DataFrame({"wrong": [True] * 5 + [False] * 15, "steps": range(20), "entropy": range(20)})
    found = confidence.accuracy_at_coverage(table, ["steps", "entropy"]).set_index(["score", "coverage"])["accuracy"]
    assert (found["steps"].iloc[:14] == 1).all() and found["steps"].iloc[-1] == 0.75
    assert (found["entropy"].iloc[:4] == 0).all(), "low entropy comes first"
    four = pd.DataFrame({"wrong": [True, False, True, False], "steps": [1, 2, 3, 4]})
    assert confidence.accuracy_at_coverage(four, ["steps"])["accuracy"].iloc[0] == 1, "a tenth of four is one sample"


def test_ties_at_the_threshold_count_in_proportion():
    table = pd.DataFrame({"wrong": [True, False, True, False], "steps": [1, 1, 1, 1]})
    assert (confidence.accuracy_at_coverage(table, ["steps"])["accuracy"] == 0.5).all()


def test_gain_of_kept_is_the_difference_of_two_scores_on_the_same_draws():
    rng = np.random.default_rng(0)
    wrong = rng.random(300) < 0.3
    table = pd.DataFrame(
        {
            "wrong": wrong,
            "steps": np.where(wrong, 1.0, 5.0),
            "p_max": rng.random(300),
            "dataset_id": np.arange(300) // 10,
        }
    )
    found = confidence.gain_of_kept(table, coverage=0.5, n_boot=200, seed=1)
    assert found["score"] == 1, "the right calls are the firmest"
    assert found["against"] == pytest.approx(0.7, abs=0.1)
    assert found["difference"] == pytest.approx(found["score"] - found["against"])
    assert 0 < found["difference_low"] < found["difference"] < found["difference_high"] < 0.5
    assert found == confidence.gain_of_kept(table, coverage=0.5, n_boot=200, seed=1)
    same = confidence.gain_of_kept(table.assign(p_max=table["steps"]), n_boot=50)
    assert (same["difference"], same["difference_low"], same["difference_high"]) == (0, 0, 0)


def flips(steps, p, looked=9) -> pd.DataFrame:
    k = len(p) - 1
    return pd.DataFrame(
        {
            "sample_id": "s", "dataset_id": "d", "fold": "0", "y_true": "A", "y_pred": "A", "other": list("BCD")[:k],
            "stability": steps, "stability_share": np.array(steps) / 20, "stability_reads": np.array(steps) / 50,
            "stability_srna": ["x", "y", "z"][:k], "became": list("BCD")[:k], "n_active": 20, "looked": looked,
        }
    ).assign(**{f"p_{c}": v for c, v in zip("ABCD", p, strict=False)})  # fmt: skip


def test_confidence_scores_are_those_of_the_probabilities():
    (row,) = confidence.firmness(flips([4.0, 2.0], [0.5, 0.3, 0.2])).to_dict("records")
    assert row["p_max"] == 0.5 and row["margin"] == pytest.approx(0.2)
    assert row["entropy"] == pytest.approx(-(0.5 * np.log(0.5) + 0.3 * np.log(0.3) + 0.2 * np.log(0.2)))
    assert (row["steps"], row["became"], row["srna"], row["share"], row["reads"]) == (2, "C", "y", 0.1, 0.04)
    certain = confidence.firmness(flips([4.0, 2.0], [1.0, 0.0, 0.0])).iloc[0]
    assert certain["entropy"] == 0 and certain["margin"] == 1


def test_a_prediction_that_no_path_flips_is_the_firmest_and_marked():
    (row,) = confidence.firmness(flips([np.nan, np.nan], [0.5, 0.3, 0.2], looked=20)).to_dict("records")
    assert row["censored"] and row["steps"] == 20 and row["share"] == 1 and row["reads"] == 1


def test_examples_are_firm_weak_and_wrong():
    table = pd.DataFrame({"sample_id": [f"s{i:02d}" for i in range(21)], "steps": range(21), "wrong": False})
    assert confidence.examples(table)["steps"].tolist() == [18, 2]
    table.loc[[4, 5, 6], "wrong"] = True
    assert confidence.examples(table)["steps"].tolist()[-1] == 5
    assert len(confidence.examples(table[table["wrong"]])) == 1
