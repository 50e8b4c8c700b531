"""How often calls change between models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from srna_lib.data.task import Task
from srna_lib.errors import InputError
from srna_lib.evaluate.crossval import Split
from srna_lib.stability import refits

SMALL = {"classifier__hidden": (6,), "classifier__dropout": (0.0,), "classifier__epochs": 4}


@pytest.fixture(scope="module")
def task() -> Task:
    rng = np.random.default_rng(0)
    y = pd.Series(np.tile(["A", "B"], 30), index=[f"s{i}" for i in range(60)])
    level = np.where((y == "A").to_numpy()[:, None], [9, 3, 5, 5, 5], [3, 9, 5, 5, 5])
    X = pd.DataFrame(rng.poisson(level * 2) + 1.0, index=y.index, columns=list("abcde"))
    groups = pd.Series([f"d{i // 6}" for i in range(60)], index=y.index)
    return Task("toy", X, y, groups, {})


def calls(rows) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["source", "refit", "sample_id", "y_pred"])
    return table.assign(dataset_id=table["sample_id"].str[0], y_true="A")


def test_the_share_of_disagreeing_pairs_by_hand():
    rows = [("seed", i, "s1", c) for i, c in enumerate("AAAB")] + [("seed", i, "t1", c) for i, c in enumerate("AAAA")]
    rows += [("seed", i, "t2", c) for i, c in enumerate("BBAA")]
    table = refits.prediction_changes(calls(rows)).set_index("sample_id")
    assert table["changed"].to_dict() == {"s1": 0.5, "t1": 0, "t2": pytest.approx(4 / 6)}
    assert table["n_predicted"].to_dict() == {"s1": 2, "t1": 1, "t2": 2}
    firm = pd.DataFrame({"sample_id": ["s1", "t1"], "steps": [1, 2]})
    summary = refits.change_table(table.reset_index(), firm, n_boot=50).iloc[0]
    assert summary["changed"] == pytest.approx((0.5 + 4 / 6) / 3)
    assert summary["ever"] == pytest.approx(2 / 3)
    assert (summary["n_samples"], summary["n_datasets"]) == (3, 2)
    assert summary["ci_low"] <= summary["changed"] <= summary["ci_high"]


def test_sources_keep_their_order():
    rows = [(s, i, "s1", "A") for s in ("studies", "folds") for i in range(2)]
    assert refits.prediction_changes(calls(rows))["source"].tolist() == ["studies", "folds"]


def test_drawn_studies_come_whole_and_the_test_side_stays():
    groups = np.repeat(["a", "b", "c", "d"], [2, 3, 4, 1])
    split = Split("0", np.arange(9), np.array([9]))
    drawn = refits.resample_studies(split, groups, seed=3)
    np.testing.assert_array_equal(drawn.test, split.test)
    times = np.bincount(drawn.train, minlength=10)
    assert times[9] == 0
    for study in "abc":
        assert len(set(times[groups == study])) == 1
    assert sum(times[np.flatnonzero(groups == s)[0]] for s in "abc") == 3
    others = [refits.resample_studies(split, groups, seed=s).train.tolist() for s in range(6)]
    assert len({tuple(o) for o in others}) > 1


def test_refits_differ_in_what_they_say_and_share_the_first_model(task):
    table = refits.refit_predictions(task, "dl_paper", refits=2, n_splits=3, changes=SMALL, progress=False)
    assert set(table["source"]) == {"seed", "folds", "studies"}
    sizes = table.groupby(["source", "refit"])["sample_id"].nunique()
    assert (sizes == 60).all()
    first = [table[(table["source"] == s) & (table["refit"] == 0)] for s in ("seed", "folds", "studies")]
    for other in first[1:]:
        np.testing.assert_array_equal(first[0]["p_A"], other["p_A"])
    second = [
        table[(table["source"] == s) & (table["refit"] == 1)].set_index("sample_id")["p_A"] for s in ("seed", "studies")
    ]
    assert not np.allclose(first[0].set_index("sample_id")["p_A"], second[0])
    assert not np.allclose(second[0], second[1])


def test_firm_samples_change_less_where_they_do():
    n = 80
    firm = pd.DataFrame({"sample_id": [f"s{i}" for i in range(n)], "steps": np.arange(n)})
    changes = pd.DataFrame(
        {
            "source": "seed", "sample_id": firm["sample_id"], "dataset_id": [f"d{i % 9}" for i in range(n)],
            "changed": np.where(np.arange(n) < 40, 0.5, 0.0), "n_predicted": 1,
        }
    )  # fmt: skip
    quarters = refits.by_firmness(changes, firm, n_boot=50)
    assert quarters["value"].tolist() == [0.5, 0.5, 0, 0]
    assert quarters["quarter"].tolist()[0] == "0 to 19 steps"
    assert quarters["n_samples"].tolist() == [20] * 4
    rho = refits.change_table(changes, firm, n_boot=50).iloc[0]
    assert rho["rho"] == pytest.approx(changes["changed"].corr(firm["steps"], method="spearman"))
    assert rho["rho_low"] <= rho["rho"] <= rho["rho_high"] < 0


def test_calls_that_never_change_have_no_correlation():
    firm = pd.DataFrame({"sample_id": list("abc"), "steps": [1, 2, 3]})
    changes = pd.DataFrame({"source": "seed", "sample_id": list("abc"), "dataset_id": list("xyz"), "changed": 0.0})
    assert np.isnan(refits.change_table(changes.assign(n_predicted=1), firm, n_boot=5)["rho"]).all()
    equal = refits.by_firmness(changes, firm.assign(steps=4), n_boot=5)
    assert equal["quarter"].tolist() == ["4 to 4 steps"] and equal["n_samples"].tolist() == [3]


def test_a_single_model_cannot_disagree(task):
    with pytest.raises(InputError, match=r"1 refits: expected at least 2"):
        refits.refit_predictions(task, "dl_paper", refits=1)
