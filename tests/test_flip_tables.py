"""Summaries of steps: what is averaged, what is censored, what is set apart."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from srna_lib.errors import InputError
from srna_lib.report.results import RECORD_FIELDS
from srna_lib.stability import tables
from srna_lib.stability.confidence import firmness

NA = np.nan


def flips(rows, order="deeplift") -> pd.DataFrame:
    """Rows: sample, study, true, predicted, other, similarity, stability, exhausted."""
    names = ["sample_id", "dataset_id", "y_true", "y_pred", "other", "similarity", "stability", "exhausted"]
    table = pd.DataFrame(rows, columns=names)
    table["own"] = table["y_pred"]
    table["task"], table["fold"], table["order"], table["n_active"], table["looked"] = "toy", "0", order, 10, 10
    for kind in ("similarity", "stability"):
        table[f"{kind}_share"] = table[kind] / 10
        table[f"{kind}_reads"] = table[kind] / 100
        table[f"{kind}_srna"] = np.where(table[kind].notna(), "mir", None)
    table["became"] = np.where(table["stability"].notna(), table["other"], None)
    return table.assign(p_A=0.7, p_B=0.2, p_C=0.1)


ROWS = [
    ("s1", "S", "A", "A", "B", 4.0, 2.0, True),
    ("s1", "S", "A", "A", "C", NA, 3.0, True),
    ("s2", "T", "A", "A", "B", 8.0, 8.0, True),
    ("s2", "T", "A", "A", "C", NA, NA, True),
    ("s3", "T", "A", "A", "B", NA, 6.0, False),
    ("s3", "T", "A", "A", "C", 1.0, 1.0, True),
    ("s4", "T", "B", "A", "B", 1.0, 1.0, True),
    ("s4", "T", "B", "A", "C", 1.0, 1.0, True),
]


def test_means_are_of_flips_that_came_and_wrong_samples_stand_apart():
    table = tables.class_table(flips(ROWS), "similarity", n_boot=50).set_index(["own", "other"])
    row = table.loc[("A", "B")]
    assert (row["n_samples"], row["n_datasets"], row["mean"], row["median"]) == (3, 2, 6, 8)
    assert row["censored"] == pytest.approx(1 / 3)
    assert row["never"] == 0  # the missing one was cut off by a limit
    assert row["share"] == pytest.approx(0.6) and row["reads"] == pytest.approx(0.06)
    assert row["mean_low"] <= row["mean"] <= row["mean_high"]
    other = table.loc[("A", "C")]
    assert (other["mean"], other["censored"], other["never"]) == (1, pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert np.isnan(other["median"])
    assert "B" not in table.index.get_level_values("own")


def test_a_class_never_reached_has_no_mean_and_no_interval():
    rows = [("s1", "S", "A", "A", "B", NA, 1.0, True), ("s2", "T", "A", "A", "B", NA, 2.0, True)]
    row = tables.class_table(flips(rows), "similarity", n_boot=20).iloc[0]
    assert np.isnan([row["mean"], row["mean_low"], row["mean_high"], row["median"]]).all()
    assert row["censored"] == row["never"] == 1


def test_intervals_are_over_studies_not_samples():
    """Ten samples of one study and one of another: the mean moves between the two studies' means."""
    rows = [(f"s{i}", "S", "A", "A", "B", 2.0, 2.0, True) for i in range(10)]
    rows += [("t", "T", "A", "A", "B", 9.0, 9.0, True)]
    row = tables.class_table(flips(rows), "similarity", n_boot=500).iloc[0]
    assert (row["mean_low"], row["mean_high"]) == (2, 9)


def test_per_class_takes_each_samples_shortest_path():
    row = tables.class_table(flips(ROWS), "stability", shortest=True, n_boot=20).iloc[0]
    assert (row["own"], row["n_samples"], row["expressed"]) == ("A", 3, 10)
    assert row["mean"] == pytest.approx((2 + 8 + 1) / 3) and row["median"] == 2
    assert row["share"] == pytest.approx(row["mean"] / 10)
    assert row["censored"] == 0


def test_orders_are_compared_on_paths_that_flip_in_both():
    slow = [(s, d, t, p, o, None if sim is None else 2 * sim, 4 * st, e) for s, d, t, p, o, sim, st, e in ROWS]
    slow[4] = (*ROWS[4][:6], NA, True)  # s3 to B: never at random
    both = pd.concat([flips(ROWS), flips(slow, "random")])
    table = tables.order_table(both, "stability", n_boot=100).set_index("order")
    assert table.loc["deeplift", "n_paths"] == 6
    assert table.loc["deeplift", "paired"] == 4  # s2 to C never flips at all
    assert table.loc["deeplift", "ratio"] == table.loc["deeplift", "ratio_low"] == 0.25
    assert table.loc["random", "ratio"] == 1
    assert table.loc["random", "censored"] == pytest.approx(2 / 6)
    filled = (2 + 3 + 8 + 10 + 6 + 1) / (8 + 12 + 32 + 10 + 10 + 4)
    assert table.loc["deeplift", "ratio_all"] == pytest.approx(filled)
    assert table.loc["deeplift", "ratio_simple"] == 0.25 and set(table["simple"]) == {"random"}  # nobody else walked
    half = [(s, d, t, p, o, sim, 2 * st, e) for s, d, t, p, o, sim, st, e in ROWS]
    three = tables.order_table(pd.concat([both, flips(half, "reads")]), n_boot=100).set_index("order")
    assert set(three["simple"]) == {"reads"} and three.loc["deeplift", "ratio_simple"] == 0.5
    assert three.loc["random", "ratio_simple"] == 2 and three.loc["deeplift", "ratio"] == 0.25


def test_share_left_falls_and_keeps_what_never_flips():
    table = tables.share_left(flips(ROWS))
    at = table.set_index("step")["share"]
    assert at[0] == 1 and at[1] == pytest.approx(5 / 6) and at.iloc[-1] == pytest.approx(1 / 6)
    assert (at.diff().dropna() <= 0).all()


def test_readable_joins_values_and_intervals():
    table = pd.DataFrame({"k": ["a", "b"], "mean": [5.25, NA], "mean_low": [4.0, NA], "mean_high": [6.0, NA]})
    assert tables.readable(table, "mean").to_dict("list") == {"k": ["a", "b"], "mean": ["5.2 [4.0, 6.0]", "–"]}


def test_the_papers_table_5_stands_above_our_own():
    ours = pd.DataFrame({"task": ["sex"], "own": ["female"], "other": ["male"], "mean": [3.0], "mean_low": [2.0]})
    both = tables.beside_the_paper(ours).set_index(["source", "quantity"])["value"]
    assert both["paper", "sex: female to male"] == 15.9 and both["paper", "sex: male to female"] == 13.7
    assert both["ours", "sex: female to male"] == 3.0 and len(both) == 3
    assert tables.beside_the_paper(ours.assign(task="age_2"))["value"].tolist() == [8.6, 15.0, 3.0]
    assert tables.beside_the_paper(ours[:0]).empty


def test_no_flips_give_no_rows():
    table = tables.class_table(flips(ROWS)[:0])
    assert table.empty and {"mean", "mean_low", "censored", "never"} <= set(table)
    assert tables.readable(table, "mean").empty


def test_tasks_and_orders_stand_one_below_the_other():
    both = pd.concat([flips(ROWS).assign(task="sex"), flips(ROWS), flips(ROWS, "random")], ignore_index=True)
    for shortest, rows in ((False, 2), (True, 1)):
        table = tables.class_table(both, n_boot=5, shortest=shortest)
        pairs = table.groupby(["task", "order"], sort=False).size()
        assert pairs.to_dict() == {("sex", "deeplift"): rows, ("toy", "deeplift"): rows, ("toy", "random"): rows}
        assert table["mean"].nunique() == rows


def test_wrong_questions_are_answered_with_a_sentence():
    with pytest.raises(InputError, match="unknown kind of steps 'firm'"):
        tables.class_table(flips(ROWS), "firm")
    wrong = flips(ROWS[-2:])
    for table in (tables.class_table, tables.order_table, tables.share_left):
        with pytest.raises(InputError, match="none of 1 samples is predicted correctly"):
            table(wrong)


def test_firmness_of_these_rows_is_the_weakest_side():
    table = firmness(flips(ROWS)).set_index("sample_id")
    assert table["steps"].to_dict() == {"s1": 2, "s2": 8, "s3": 1, "s4": 1}
    assert table["wrong"].to_dict() == {"s1": False, "s2": False, "s3": False, "s4": True}
    assert table.loc["s1", "other"] == "B" and table.loc["s1", "share"] == 0.2


def test_classes_are_ordered_by_parent_or_by_who_flips_into_whom():
    near = {("A", "C"), ("C", "A"), ("B", "D"), ("D", "B")}
    rows = [
        (f"{a}{b}", "S", a, a, b, 1.0 if (a, b) in near else 9.0, 1.0, True) for a in "ABCD" for b in "ABCD" if a != b
    ]
    table = tables.class_table(flips(rows), "similarity", n_boot=5)
    obs = pd.DataFrame({"group": [*"ABCDA", None], "tissue_top": [*"yxyx", "y", "z"]})
    order = tables.class_order(table, obs[["group"]], "group")
    assert abs(order.index("A") - order.index("C")) == 1 and abs(order.index("B") - order.index("D")) == 1
    assert tables.class_order(table, obs, "group") == ["B", "D", "A", "C"]
    alone = obs.assign(tissue_top=[*"ABCDA", None])
    assert tables.class_order(table, alone, "group") == order, "a hierarchy of one class each says nothing"


def test_flips_that_come_late_are_nearer_than_those_that_half_never_come():
    near, late = {"AB", "BA", "CD", "DC"}, {"AC", "CA", "BD", "DB"}
    pairs = [f"{a}{b}" for a in "ABCD" for b in "ABCD" if a != b]
    rows = [(*p, *((0.2, 0.5) if p in near else (0.7, 0.0) if p in late else (1.0, 0.0))) for p in pairs]
    table = pd.DataFrame(rows, columns=["own", "other", "share", "censored"])
    order = "".join(tables.class_order(table, pd.DataFrame({"group": [*"ABCD"]}), "group"))
    assert {order[:2], order[2:]} <= near  # 0.2 of half and 1 of half are 0.6, less than 0.7


def test_records_have_the_fields_of_results_and_no_nan():
    size = {"n_samples": 5, "n_datasets": 2}
    pairs = pd.DataFrame([{"own": "A", "other": "B", **size, "mean": NA, "median": 3.0, "censored": 0.2}])
    orders = {"order": "random", "mean": 9.0, "mean_low": 8.0, "mean_high": 10.0, "ratio": 1.0, "ratio_simple": 2.0}
    orders = pd.DataFrame([orders | size])
    scores = pd.DataFrame([{"score": "steps", "auroc": 0.8, "ci_low": 0.7, "ci_high": 0.9, **size}])
    both = {"base": 0.7, "both": 0.8, "difference": 0.1, "difference_low": 0.05, "difference_high": NA, **size}
    changes = pd.DataFrame([{"source": "seed", "changed": 0.1, "ci_low": 0.0, "ci_high": 0.2, "rho": NA, **size}])
    found = {"similarity": pairs, "orders": orders, "scores": scores, "changes": changes}
    found["combination"] = pd.DataFrame([both])
    head = {"task": "t", "dataset": "d", "model": "m", "features": "sRNA", "scheme": "s", "seed": 0}
    records = tables.flip_records(found, **head)
    assert all(set(r) == set(RECORD_FIELDS) for r in records)
    json.dumps(records, allow_nan=False)
    by = {r["metric"]: r for r in records}
    assert len(by) == len(records) == 3 + 3 + 1 + 1 + 3
    assert by["similarity:A>B"]["value"] is None and by["similarity_median:A>B"]["value"] == 3
    assert by["steps:random"]["ci_low"] == 8 and by["steps_of_random:random"]["value"] == 1
    assert by["steps_of_best_simple:random"]["value"] == 2
    assert by["auroc_wrong:steps"]["ci_high"] == 0.9 and by["changed:seed"]["ci_low"] == 0
    assert by["auroc_wrong:confidence"]["value"] == 0.7 and by["auroc_wrong:confidence"]["ci_low"] is None
    assert by["auroc_gain:steps"]["ci_low"] == 0.05 and by["auroc_gain:steps"]["ci_high"] is None


def test_a_sample_without_an_expressed_srna_has_a_share_of_none():
    table = flips([("a", "S", "A", "A", "B", NA, NA, True), ("b", "S", "A", "A", "B", NA, 4, False)])
    table.loc[0, ["n_active", "looked"]] = 0
    assert firmness(table)["share"].tolist() == [0, 0.4]
