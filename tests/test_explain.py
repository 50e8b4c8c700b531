"""D1, its intervals over studies, expression, breakdown: by hand and through fitted pipelines."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_attributions import SMALL, counts

from srna_lib.errors import InputError
from srna_lib.explain import deeplift
from srna_lib.explain.scores import (
    StudyScores,
    class_scores,
    d1,
    expression,
    overall_ranking,
    ranking,
    study_scores,
)
from srna_lib.models.recipes import recipe


@pytest.fixture(scope="module")
def data():
    return counts()


@pytest.fixture(scope="module")
def model(data):
    return recipe("dl_log", **SMALL).fit(*data)


def test_d1_is_the_papers_formula():
    rng = np.random.default_rng(0)
    C = rng.normal(size=(30, 4, 7))
    y = np.arange(30) % 4
    paper = np.empty((4, 7))
    for k in range(4):
        for j in range(7):
            paper[k, j] = np.mean(
                [C[i, k, j] - np.mean([C[i, m, j] for m in range(4) if m != k]) for i in range(k, 30, 4)]
            )
    means = np.stack([C[y == k].mean(axis=0) for k in range(4)])
    np.testing.assert_allclose(d1(means, np.arange(4)), paper)
    np.testing.assert_allclose([d1(C, y)[y == k].mean(axis=0) for k in range(4)], paper)


def test_d1_of_two_classes_is_the_difference():
    means = np.array([[[5.0, 1.0], [2.0, 1.0]], [[0.0, 3.0], [4.0, 1.0]]])
    assert d1(means, np.arange(2)).tolist() == [[3, 0], [4, -2]]


def test_d1_ignores_what_all_outputs_share():
    rng = np.random.default_rng(1)
    C, shared = rng.normal(size=(5, 3, 4)), rng.normal(size=(5, 1, 4))
    own = np.array([0, 2, 1, 1, 0])
    np.testing.assert_allclose(d1(C + shared, own), d1(C, own))


def test_d1_refuses_one_output():
    with pytest.raises(InputError, match="at least two outputs"):
        d1(np.zeros((2, 1, 3)), np.zeros(2, dtype=int))


def test_class_scores_are_d1_of_every_samples_contributions(data, model):
    X, y = data
    found = deeplift.contributions(model, X, reference="mean")
    own = d1(found.values, np.searchsorted(found.classes, y))
    expected = pd.DataFrame(own, columns=found.features).groupby(y.to_numpy()).mean()
    scores = class_scores(model, X, y, reference="mean")
    assert list(scores.columns) == list(found.features)
    np.testing.assert_allclose(scores, expected, atol=1e-5 * np.abs(expected.to_numpy()).max())


def test_class_scores_find_the_planted(data, model):
    scores = class_scores(model, *data)
    for k, name in enumerate("abc"):
        assert set(scores.loc[name].nlargest(5).index) >= {f"s{2 * k}", f"s{2 * k + 1}"}


def test_one_logit_for_two_classes_speaks_for_one_and_against_the_other():
    X, y = counts(60, classes="ab")
    model = recipe("logistic").fit(X, y)
    found = class_scores(model, X, y)
    assert list(found.index) == list(model.classes_)
    at = np.flatnonzero(np.asarray(y) == model.classes_[0])
    single = deeplift.contributions(model, X.iloc[at]).values[:, 0].mean(axis=0)
    np.testing.assert_allclose(found.loc[model.classes_[0]], -single, rtol=1e-4, atol=1e-6)


def test_class_scores_of_some_classes_and_in_any_order_of_samples(data, model):
    X, y = data
    some = y.isin(["a", "c"])
    whole, part = class_scores(model, X, y), class_scores(model, X[some], y[some])
    assert list(part.index) == ["a", "c"]
    np.testing.assert_allclose(part, whole.loc[["a", "c"]], atol=1e-5)
    np.testing.assert_allclose(class_scores(model, X[::-1], y[::-1]), whole, atol=1e-5)


def test_the_reference_changes_the_scores(data, model):
    one, other = (class_scores(model, *data, reference=r) for r in ("mean", "zero_counts"))
    assert np.abs(one - other).to_numpy().max() > 0.1


def test_a_class_that_the_model_does_not_know(data, model):
    X, y = data
    with pytest.raises(InputError, match="the model has no class 'z'; expected one of a, b, c"):
        class_scores(model, X, ["z", *y[1:]])


def test_study_scores_add_up_to_class_scores(data, model):
    X, y = data
    studies = [f"S{i % 7}" for i in range(len(y))]
    scores = study_scores(model, X, y, studies)
    np.testing.assert_allclose(scores.scores(), class_scores(model, X, y), atol=1e-5)
    assert scores.sizes.sum() == len(y)
    assert scores.sizes["a", "S0"] == sum(a == "a" and s == "S0" for a, s in zip(y, studies, strict=True))
    assert list(scores.values.index) == list(scores.sizes.index)


def toy(values, sizes=None, label="k") -> StudyScores:
    index = pd.MultiIndex.from_tuples([(label, f"S{i}") for i in range(len(values))], names=["class", "study"])
    table = pd.DataFrame(values, index=index, columns=[f"s{j}" for j in range(len(values[0]))], dtype=float)
    return StudyScores(table, pd.Series(sizes or [1] * len(values), index=index))


def test_scores_weigh_studies_by_their_samples():
    assert toy([[0.0, 8.0], [4.0, 0.0]], [1, 3]).scores().loc["k"].tolist() == [3, 2]


def test_ranking_is_sorted_and_names_its_evidence():
    found = ranking(toy([[1, 3, 2], [1, 3, 2]], [4, 5]), n_boot=20)
    assert list(found["srna"]) == ["s1", "s2", "s0"]
    assert list(found["rank"]) == [1, 2, 3]
    assert (found["n_studies"] == 2).all()
    assert (found["n_samples"] == 9).all()


def test_studies_that_agree_leave_no_width_and_others_do():
    alike = ranking(toy([[1, 3, 2]] * 5), n_boot=50)
    assert (alike["ci_low"] == alike["ci_high"]).all()
    assert (alike["rank_low"] == alike["rank_high"]).all()
    apart = ranking(toy([[1, 3, 2], [3, 1, 2], [1, 3, 2], [3, 1, 2]]), n_boot=500).set_index("srna")
    assert apart.loc["s1", "ci_low"] < 2 < apart.loc["s1", "ci_high"]
    assert apart.loc["s1", ["rank_low", "rank_high"]].tolist() == [1, 3]
    assert apart.loc["s2", "ci_high"] - apart.loc["s2", "ci_low"] == pytest.approx(0)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = []
    for i in range(100):
        found = ranking(toy(rng.normal(2.0, 1.0, (40, 1))), n_boot=300, seed=i).iloc[0]
        hits.append(found["ci_low"] <= 2 <= found["ci_high"])
    assert 0.88 <= np.mean(hits) <= 0.99


def test_one_study_has_no_interval():
    found = ranking(toy([[1, 2]]), n_boot=20)
    assert found[["ci_low", "ci_high", "rank_low", "rank_high"]].isna().all(axis=None)
    assert list(found["rank"]) == [1, 2]


def test_ranking_is_seeded_and_checks_its_parameters():
    scores = toy(np.random.default_rng(0).normal(size=(6, 4)))
    pd.testing.assert_frame_equal(ranking(scores, seed=3), ranking(scores, seed=3))
    assert not ranking(scores, seed=3).equals(ranking(scores, seed=4))
    with pytest.raises(InputError, match="n_boot=1: expected at least 2 replicates"):
        ranking(scores, n_boot=1)


def two_classes() -> StudyScores:
    one, other = toy([[1, 3, 2], [1, 5, 2]], label="k"), toy([[4, 0, 0]], label="m")
    return StudyScores(pd.concat([one.values, other.values]), pd.concat([one.sizes, other.sizes]))


def test_overall_ranking_takes_the_class_where_the_score_is_largest():
    found = overall_ranking(two_classes(), n_boot=200)
    assert list(found["srna"]) == ["s0", "s1", "s2"]
    assert list(found["class"]) == ["m", "k", "k"]
    assert list(found["score"]) == [4, 4, 2]
    assert list(found["rank"]) == [1.5, 1.5, 3]
    low, high = found.set_index("srna").loc["s1", ["ci_low", "ci_high"]]
    assert (low, high) == (3, 5)
    assert found.set_index("srna").loc["s0", ["ci_low", "ci_high"]].tolist() == [4, 4]  # a single study
    assert found.set_index("srna").loc["s1", ["rank_low", "rank_high"]].tolist() == [1, 2]


def test_overall_ranking_checks_its_parameters():
    with pytest.raises(InputError, match="n_boot=1"):
        overall_ranking(two_classes(), n_boot=1)


def test_expression_is_the_mean_of_logs_of_the_whole_library():
    X = pd.DataFrame([[1, 3, 4], [2, 0, 0], [0, 5, 5]], columns=list("uvw"), index=list("xyz"))
    found = expression(X, ["p", "p", "q"], ["w", "u"])
    assert list(found.columns) == ["w", "u"]
    assert found.loc["p", "w"] == pytest.approx(np.log2(5e5 + 1) / 2)
    assert found.loc["p", "u"] == pytest.approx((np.log2(1.25e5 + 1) + np.log2(1e6 + 1)) / 2)
    assert found.loc["q", "u"] == 0


def test_expression_scaled_lies_between_zero_and_one():
    X, y = counts()
    X["never"] = 0.0
    found = expression(X, y, scale=True)
    assert found.to_numpy().min() >= 0
    assert found.to_numpy().max() <= 1
    assert (found["never"] == 0).all()
    assert found["s0"].idxmax() == "a"


def test_expression_names_what_is_absent():
    X, y = counts()
    with pytest.raises(InputError, match=r"1 of 2 sRNAs have no counts .*'nix'"):
        expression(X, y, ["s0", "nix"])
