"""Rankings: what a rank is, averages over runs, agreement, precision against a known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from srna_lib.datasets.simulated import simulate_atlas
from srna_lib.errors import InputError
from srna_lib.explain.rankings import (
    across_classes,
    agreement,
    agreement_matrix,
    precision_at_k,
    rank_average,
    ranks,
    strongest_biomarkers,
    top_features,
    true_biomarkers,
)


def table(rows, columns="abcd", index=None) -> pd.DataFrame:
    return pd.DataFrame(rows, index=index or [f"k{i}" for i in range(len(rows))], columns=list(columns), dtype=float)


def test_a_rank_is_the_position_of_an_srna_not_the_srna_at_a_position():
    # one argsort of these scores gives 1, 2, 0 (positions of the sorted), which is another thing
    assert list(ranks(table([[0.1, 0.9, 0.5]], "abc")).loc["k0"]) == [3, 1, 2]


def test_ties_share_their_mean_rank_and_missing_scores_come_last():
    assert list(ranks(table([[1, 1, np.nan, 5]])).loc["k0"]) == [2.5, 2.5, 4, 1]


def test_rank_average_by_hand():
    runs = [table([[3, 2, 1, 0]]), table([[0, 2, 3, 1]])]  # ranks 1 2 3 4 and 4 2 1 3
    assert list(rank_average(runs).loc["k0"]) == [-2.5, -2, -2, -3.5]


def test_rank_average_ignores_the_scale_of_a_run():
    runs = [table([[3, 2, 1, 0]]), table([[0, 2, 3, 1]])]
    scaled = [runs[0], 1000 * runs[1] - 7]
    pd.testing.assert_frame_equal(rank_average(runs), rank_average(scaled))


def test_rank_average_aligns_names_and_puts_what_a_run_lacks_last():
    average = rank_average([table([[1, 2]], "ab"), table([[5, 9]], "cb")])  # ranks a 2 b 1 c 3, and c 2 b 1 a 3
    assert dict(average.loc["k0"]) == {"a": -2.5, "b": -1, "c": -2.5}


def test_rank_average_aligns_classes():
    one = table([[1, 2], [2, 1]], "ab", ["x", "y"])
    pd.testing.assert_frame_equal(rank_average([one, one.iloc[::-1]]), rank_average([one, one]))


def test_rank_average_refuses_nothing_and_other_classes():
    with pytest.raises(InputError, match="no ranking to average"):
        rank_average([])
    with pytest.raises(InputError, match=r"different classes cannot be compared .*k1"):
        rank_average([table([[1, 2]], "ab"), table([[1, 2], [1, 2]], "ab")])


def test_top_features_in_order_with_ranks():
    top = top_features(table([[1, 4, 3, 2], [9, 9, np.nan, 1]]), 3)
    assert list(top["srna"]) == list("bcd") + list("abd")
    assert list(top["rank"]) == [1, 2, 3, 1, 2, 3]
    assert list(top["class"]) == ["k0"] * 3 + ["k1"] * 3
    assert list(top["score"]) == [4, 3, 2, 9, 9, 1]


def test_top_features_takes_what_there_is_and_refuses_none():
    assert len(top_features(table([[1, 2, 3, 4]]))) == 4
    with pytest.raises(InputError, match="n=0"):
        top_features(table([[1, 2, 3, 4]]), 0)


def test_across_classes_is_the_largest():
    assert list(across_classes(table([[1, -4, 0, 2], [0, -5, 3, 1]]))) == [1, -4, 3, 2]


def test_agreement_of_a_ranking_with_itself_and_with_its_reverse():
    one = table([[4, 3, 2, 1]])
    found = agreement({"a": one, "same": 2 * one, "reverse": -one}, k=2).set_index(["first", "second"])
    assert found.loc[("a", "same"), ["overlap", "spearman"]].tolist() == [1, 1]
    assert found.loc[("a", "reverse"), ["overlap", "spearman"]].tolist() == [0, -1]
    assert (found["chance"] == 0.5).all()


@given(st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_agreement_is_scipys_correlation_and_symmetric(n, seed):
    rng = np.random.default_rng(seed)
    names = [f"s{i}" for i in range(n)]
    a, b = (pd.DataFrame([rng.integers(0, 6, n) + rng.random(n)], index=["k"], columns=names) for _ in range(2))
    k = int(rng.integers(1, n + 1))
    one, other = agreement({"a": a, "b": b}, k).iloc[0], agreement({"b": b, "a": a}, k).iloc[0]
    assert one["overlap"] == other["overlap"]
    assert one["spearman"] == pytest.approx(spearmanr(a.loc["k"], b.loc["k"]).statistic)
    best = [set(t.loc["k"].nlargest(k).index) for t in (a, b)]
    assert one["overlap"] == len(best[0] & best[1]) / k


@pytest.mark.slow
def test_random_rankings_agree_by_chance():
    rng = np.random.default_rng(0)
    runs = {str(i): pd.DataFrame([rng.random(200)], index=["k"]) for i in range(30)}
    found = agreement(runs, 20)
    assert found["overlap"].mean() == pytest.approx(0.1, abs=0.01)
    assert found["spearman"].mean() == pytest.approx(0, abs=0.02)


def test_a_constant_ranking_correlates_with_nothing():
    found = agreement({"a": table([[1, 1, 1, 1]]), "b": table([[1, 2, 3, 4]])}, 1)
    assert np.isnan(found["spearman"].iloc[0])


def test_agreement_is_over_the_classes_that_both_have():
    one = table([[4, 3, 2, 1], [1, 2, 3, 4]], index=["x", "y"])
    pairs = agreement({"a": one, "b": one.loc[["y"]], "c": one.iloc[::-1]}, 2)
    assert list(zip(pairs["first"], pairs["second"], pairs["class"], strict=True)) == [
        ("a", "b", "y"), ("a", "c", "x"), ("a", "c", "y"), ("b", "c", "y"),
    ]  # fmt: skip
    assert (pairs["overlap"] == 1).all()
    with pytest.raises(InputError, match="'a' and 'b' have no class in common"):
        agreement({"a": one.loc[["x"]], "b": one.loc[["y"]]}, 2)


def test_agreement_needs_two_runs_and_a_possible_length():
    with pytest.raises(InputError, match="at least two"):
        agreement({"a": table([[1, 2, 3, 4]])})
    for k in (0, 5):
        with pytest.raises(InputError, match=f"k={k}: expected a length from 1 to the 4 sRNAs"):
            agreement({"a": table([[1, 2, 3, 4]]), "b": table([[1, 2, 3, 4]])}, k)


def test_agreement_matrix_is_the_mean_over_classes():
    runs = {"a": table([[4, 3, 2, 1]] * 2), "b": table([[4, 3, 2, 1], [1, 2, 3, 4]]), "c": table([[4, 3, 2, 1]] * 2)}
    matrix = agreement_matrix(agreement(runs, 2))
    assert matrix.to_numpy().tolist() == [[1, 0.5, 1], [0.5, 1, 0.5], [1, 0.5, 1]]
    assert list(matrix.index) == list(matrix.columns) == ["a", "b", "c"]


def test_precision_counts_hits_among_the_first():
    scores = pd.Series({"a": 5.0, "b": 4.0, "c": 3.0, "d": 2.0})
    assert precision_at_k(scores, {"a", "c"}) == 0.5
    assert precision_at_k(-scores, {"a", "c"}) == 0.5
    assert precision_at_k(scores, {"a", "b"}) == 1


def test_precision_holds_it_against_a_method_that_its_filter_dropped_true_ones():
    scores = pd.Series({"a": 5.0, "b": np.nan, "c": np.nan})
    assert precision_at_k(scores, {"a", "b"}) == 0.5
    assert precision_at_k(scores.dropna(), {"a", "b"}) == 0.5


def test_precision_of_random_scores_is_the_share_of_true_ones():
    rng = np.random.default_rng(1)
    truth = {f"s{i}" for i in range(50)}
    found = [precision_at_k(pd.Series(rng.random(500), index=[f"s{i}" for i in range(500)]), truth) for _ in range(100)]
    assert np.mean(found) == pytest.approx(0.1, abs=0.015)


def test_precision_refuses_an_empty_truth():
    with pytest.raises(InputError, match="no true biomarker"):
        precision_at_k(pd.Series({"a": 1.0}), [])


def test_planted_biomarkers_of_a_simulated_and_of_a_real_atlas():
    atlas = simulate_atlas(n_samples=240, n_studies=20)
    truth = atlas.uns["srna"]["truth"]
    assert true_biomarkers(atlas, "sex") == set(truth[truth["task"] == "sex"]["srna"])
    assert len(true_biomarkers(atlas)) > 100
    assert (
        true_biomarkers(atlas, "age_2") == true_biomarkers(atlas, "age_4") == set(truth[truth["task"] == "age"]["srna"])
    )
    assert true_biomarkers(atlas, "eye_colour") == set()
    best = strongest_biomarkers(atlas, "tissue_group", ["brain", "liver"], 2)
    assert list(best["list"]) == ["brain", "brain", "liver", "liver"]
    brain = truth[(truth["task"] == "tissue_group") & (truth["label"] == "brain") & (truth["direction"] > 0)]
    effect = brain.set_index("srna")["log2_effect"]
    assert effect[best["mirna"][:2]].min() == effect.nlargest(2).min()
    del atlas.uns["srna"]["truth"]
    assert true_biomarkers(atlas) == set()
    assert strongest_biomarkers(atlas, "tissue_group", ["brain"]).empty
