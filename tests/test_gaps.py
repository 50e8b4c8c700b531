"""Prediction gaps: the definition by hand, the fast way against the plain one, orders, bad inputs."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from srna_lib.errors import InputError
from srna_lib.explain.faithfulness import gap_tables, global_importance, own_class, prediction_gap
from srna_lib.models.network import DenseNetClassifier

N, F = 60, 23


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.array(["a", "b", "c"] * (N // 3))
    X = rng.normal(size=(N, F)).astype(np.float32)
    for i, name in enumerate("abc"):
        X[y == name, 2 * i : 2 * i + 2] += 2.5
    return X, y


@pytest.fixture(scope="module")
def network(data):
    net = DenseNetClassifier((16, 8), (0.0, 0.0), epochs=60, batch_size=20, learning_rate=0.01, random_state=0)
    return net.fit(*data)


@pytest.fixture(scope="module")
def linear(data):
    return LogisticRegression().fit(*data)


def by_hand(classifier, X, y, order, reference, step):
    """The definition, one sample and one step at a time."""
    per_class = {}
    for i, x in enumerate(X):
        p = classifier.predict_proba(x[None])[0]
        if classifier.classes_[p.argmax()] != y[i]:
            continue
        at = list(classifier.classes_).index(y[i])
        own = order if order.ndim == 1 else order[i]
        masked, total, done = x.copy(), 0.0, 0
        while done < len(x):
            block = own[done : done + step]
            masked[block] = reference[block]
            total += len(block) / len(x) * max(0, (p[at] - classifier.predict_proba(masked[None])[0, at]) / p[at])
            done += len(block)
        per_class.setdefault(y[i], []).append(100 * total)
    return {c: np.mean(v) for c, v in per_class.items()}


def mean_gap(*arguments, **options) -> float:
    """Mean over classes, in per cent."""
    return prediction_gap(*arguments, **options)[0].mean()


@pytest.mark.parametrize("step", [1, 4, 10, F, 100])
@pytest.mark.parametrize("shape", ["one", "each"])
def test_every_way_is_the_definition(data, network, linear, step, shape):
    X, y = data
    rng = np.random.default_rng(1)
    order = rng.permutation(F) if shape == "one" else np.array([rng.permutation(F) for _ in X])
    reference = rng.normal(size=F).astype(np.float32)
    for classifier in (network, linear):
        expected = by_hand(classifier, X, y, order, reference, step)
        gap, _ = prediction_gap(classifier, X, y, order, reference=reference, step=step)
        assert dict(gap) == pytest.approx(expected, abs=1e-3)


def test_curve_starts_with_nothing_masked_and_ends_with_everything(data, network):
    X, y = data
    gap, curve = prediction_gap(network, X, y, np.arange(F), reference=np.zeros(F), step=10)
    assert curve["share_masked"].tolist() == pytest.approx([0, 10 / F, 20 / F, 1])
    assert curve["gap"].iloc[0] == 0
    width = np.diff(curve["share_masked"])
    assert 100 * (width * curve["gap"][1:]).sum() == pytest.approx(gap.mean())


def test_masking_to_itself_loses_nothing(data, network):
    X, y = data
    assert mean_gap(network, X, y, np.arange(F), reference=X) == pytest.approx(0, abs=1e-3)


def test_features_that_the_model_ignores_cost_nothing():
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(size=(80, 1)), rng.normal(size=(80, 9))].astype(np.float32)
    model = LogisticRegression().fit(X, X[:, 0] > 0)
    model.coef_[0, 1:] = 0
    model.intercept_[:] = 0
    model.coef_[0, 0] = 50
    X[:, 0] = np.sign(X[:, 0])
    y = X[:, 0] > 0
    late = mean_gap(model, X, y, np.r_[1:10, 0], reference=np.zeros(10), step=1)
    early = mean_gap(model, X, y, np.arange(10), reference=np.zeros(10), step=1)
    assert late == pytest.approx(100 * 0.5 / 10, abs=0.01)  # one half is lost, in the last of ten steps
    assert early == pytest.approx(50, abs=0.01)


def test_only_correct_calls_count(data, network):
    X, y = data
    wrong = y.copy()
    wrong[:6] = np.roll(y, 1)[:6]
    right = network.predict(X) == wrong
    some = mean_gap(network, X, wrong, np.arange(F), reference=np.zeros(F))
    assert right.sum() < N
    only = mean_gap(network, X[right], wrong[right], np.arange(F), reference=np.zeros(F))
    assert some == pytest.approx(only, abs=1e-6)


def test_order_of_samples_changes_nothing(data, network):
    X, y = data
    rng = np.random.default_rng(3)
    orders, turn = np.array([rng.permutation(F) for _ in X]), rng.permutation(N)
    one = mean_gap(network, X, y, orders, reference=np.zeros(F))
    other = mean_gap(network, X[turn], y[turn], orders[turn], reference=np.zeros(F))
    assert one == pytest.approx(other, abs=1e-4)


def test_true_importance_stands_above_random_and_its_reverse_below(data, linear):
    X, y = data
    at = np.searchsorted(linear.classes_, y)
    local = X * linear.coef_[at]
    gaps, curves = gap_tables(linear, X, y, {"own": local}, reference=np.zeros(F), step=1)
    mean = gaps.loc["own"]
    assert mean["PGI"] > 1.5 * mean["random"]
    assert mean["PGU"] < 0.6 * mean["random"]
    assert list(mean.index) == ["PGI", "random", "PGU", "PGI / random", "PGU / random"]
    assert (curves.groupby("order")["gap"].last() - curves["gap"].max()).abs().max() < 1


def test_sign_does_not_matter_and_the_seed_does_only_to_chance(data, linear):
    X, y = data
    scores = np.abs(linear.coef_).max(axis=0)
    one, _ = gap_tables(linear, X, y, {"": scores}, reference=np.zeros(F), seed=0)
    other, _ = gap_tables(linear, X, y, {"": -scores}, reference=np.zeros(F), seed=1)
    assert one[["PGI", "PGU"]].equals(other[["PGI", "PGU"]])
    assert not one["random"].equals(other["random"])


def test_several_methods_side_by_side(data, linear):
    X, y = data
    scores = {"weights": np.abs(linear.coef_).max(axis=0), "nothing": np.ones(F)}
    table, curves = gap_tables(linear, X, y, scores, reference=np.zeros(F), step=5)
    first = mean_gap(linear, X, y, np.argsort(-scores["weights"]), reference=np.zeros(F), step=5)
    last = mean_gap(linear, X, y, np.argsort(scores["weights"]), reference=np.zeros(F), step=5)
    rng = np.random.default_rng(0)
    random = [mean_gap(linear, X, y, rng.permutation(F), reference=np.zeros(F), step=5) for _ in range(3)]
    mean = {"PGI": first, "random": np.mean(random), "PGU": last}
    assert table.loc["weights", list(mean)].to_dict() == pytest.approx(mean)
    assert table.loc["weights", "PGU / random"] == pytest.approx(mean["PGU"] / mean["random"])
    assert table.loc["nothing", "PGI"] == table.loc["nothing", "PGU"]  # ties keep one order
    assert set(curves["method"]) == set(scores)


def test_global_importance_counts_every_class_once_and_every_sample_at_norm_one():
    local = np.array([[3.0, 4.0], [30.0, -40.0], [0.0, 0.0], [0.0, -2.0]])
    found = global_importance(local, ["a", "a", "a", "b"])
    assert found == pytest.approx([(0.6 + 0.6 + 0) / 3 / 2, ((0.8 + 0.8 + 0) / 3 + 1) / 2])


def test_bad_inputs(data, linear):
    X, y = data
    good = {"reference": np.zeros(F)}
    with pytest.raises(InputError, match=r"order of shape \(5,\)"):
        prediction_gap(linear, X, y, np.arange(5), **good)
    with pytest.raises(InputError, match="step=0"):
        prediction_gap(linear, X, y, np.arange(F), step=0, **good)
    with pytest.raises(InputError, match="no sample is classified correctly"):
        prediction_gap(linear, X[:3], np.array(["z"] * 3), np.arange(F), **good)


def test_own_class_picks_the_output_of_each_sample():
    model = LogisticRegression().fit([[0.0], [1.0], [2.0]], ["a", "b", "c"])
    values = np.arange(12).reshape(2, 3, 2)
    assert own_class(values, model, ["c", "a"]).tolist() == [[4, 5], [6, 7]]
