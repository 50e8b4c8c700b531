"""First flips: the step computable by hand, and equality with one forward pass per step."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from srna_lib.errors import InputError
from srna_lib.models.network import DenseNetClassifier
from srna_lib.models.preprocess import LogCPM, Presence, ReadsPerMillion, ZeroFilter
from srna_lib.models.recipes import recipe
from srna_lib.stability.flips import first_flips, flip_curve
from srna_lib.stability.masking import MASKINGS, silence
from srna_lib.stability.orders import deeplift_order, fixed_order, random_order


def network(*weights, classes=None) -> DenseNetClassifier:
    """A fitted network with these kernels and biases."""
    made = DenseNetClassifier(hidden=tuple(len(b) for b in weights[1:-1:2]), dropout=(0.0,) * (len(weights) // 2 - 1))
    made.weights_ = [np.asarray(w, np.float32) for w in weights]
    made.n_features_in_ = len(weights[0])
    made.classes_ = np.array(classes or [f"c{i}" for i in range(len(weights[-1]))], dtype=object)
    return made


def linear(rows, bias, classes=("A", "B")) -> DenseNetClassifier:
    return network(np.array(rows, float), np.array(bias, float), classes=list(classes))


def random_network(seed: int, p: int = 12, k: int = 4, hidden=(9, 7)) -> DenseNetClassifier:
    rng = np.random.default_rng(seed)
    sizes = (p, *hidden, k)
    weights = []
    for a, b in pairwise(sizes):
        weights += [rng.normal(size=(a, b)) / np.sqrt(a), rng.normal(size=b) / 4]
    return network(*weights)


def plain_loop(model, ground, order, own=None, max_steps=None, recompute_every=None) -> pd.DataFrame:
    """One forward pass per step, one path at a time: what `first_flips` must equal."""
    net = model[-1] if isinstance(model, Pipeline) else model
    rows = []
    for i, x in enumerate(ground.values):
        start = int(net.logits(x[None])[0].argmax())
        mine = start if own is None else list(net.classes_).index(own[i])
        scores = order.start(x[None], np.array([mine]), np.array([i]))[0]
        for other in range(len(net.classes_)):
            if other == mine:
                continue
            left = [j for j in np.argsort(-scores[other], kind="stable") if ground.active[i, j]]
            silenced = np.zeros((1, len(x)), bool)
            similar = 0 if start == other else None
            stable, became = (0, start) if start != mine else (None, None)
            steps = min(len(left), max_steps or len(left))
            for step in range(1, steps + 1):
                if recompute_every and step > 1 and (step - 1) % recompute_every == 0:
                    state = ground.inputs(np.array([i]), silenced)
                    new = order.again(state, np.array([mine]), np.array([other]))[0]
                    left = [j for j in np.argsort(-new, kind="stable") if j in set(left)]
                silenced[0, left.pop(0)] = True
                label = int(net.logits(ground.inputs(np.array([i]), silenced))[0].argmax())
                if stable is None and label != mine:
                    stable, became = step, label
                if similar is None and label == other:
                    similar = step
            rows.append((i, net.classes_[mine], net.classes_[other], similar, stable, became))
    return pd.DataFrame(rows, columns=["sample", "own", "other", "similarity", "stability", "became"])


def assert_equal(found: pd.DataFrame, expected: pd.DataFrame, classes) -> None:
    assert list(found["own"]) == list(expected["own"])
    assert list(found["other"]) == list(expected["other"])
    for kind in ("similarity", "stability"):
        np.testing.assert_array_equal(found[kind].to_numpy(float), expected[kind].to_numpy(float))
    became = [None if pd.isna(c) else classes[int(c)] for c in expected["became"]]
    assert list(found["became"]) == became


def toy(values, net=None, masking="zero", **options):
    net = net or linear([[3, 0], [2, 0], [0, 1], [1, 0]], [0, 4.5])
    ground = silence(net, np.array(values, np.float32), masking=masking, **options)
    return net, ground, deeplift_order(net, ground.masked)


def test_a_linear_network_flips_at_the_step_computed_by_hand():
    """Logits of (1, 1, 0, 1): A 6, B 4.5. Without x0 (D2 = 3): A 3, B 4.5, so one step."""
    net, ground, order = toy([[1, 1, 0, 1]])
    (row,) = first_flips(ground, net, order).to_dict("records")
    assert (row["own"], row["other"], row["predicted"], row["became"]) == ("A", "B", "A", "B")
    assert (row["similarity"], row["stability"], row["n_active"]) == (1, 1, 3)
    assert (row["stability_srna"], row["stability_share"]) == ("x0", pytest.approx(1 / 3))


def test_more_steps_where_more_must_go():
    """Bias of B 0.5: A 6, without x0 3, without x1 1, without x3 0 < 0.5: three steps, the last tips it."""
    net, ground, order = toy([[1, 1, 0, 1]], linear([[3, 0], [2, 0], [0, 1], [1, 0]], [0, 0.5]))
    (row,) = first_flips(ground, net, order).to_dict("records")
    assert (row["stability"], row["stability_srna"]) == (3, "x3")


def test_a_class_never_reached_is_censored_not_counted():
    net, ground, order = toy([[1, 1, 0, 1]], linear([[3, 0], [2, 0], [0, 1], [1, 0]], [0, -1]))
    (row,) = first_flips(ground, net, order).to_dict("records")
    assert np.isnan(row["similarity"]) and np.isnan(row["stability"])
    assert row["exhausted"] and row["looked"] == 3
    assert row["became"] is None and row["stability_srna"] is None


def test_a_limit_censors_and_says_so():
    net, ground, order = toy([[1, 1, 0, 1]], linear([[3, 0], [2, 0], [0, 1], [1, 0]], [0, 0.5]))
    (row,) = first_flips(ground, net, order, max_steps=2).to_dict("records")
    assert np.isnan(row["stability"]) and row["looked"] == 2 and not row["exhausted"]
    (row,) = first_flips(ground, net, order, max_steps=3).to_dict("records")
    assert row["stability"] == 3


def test_ties_go_to_the_feature_that_comes_first_and_the_class_that_sorts_first():
    """Three equal features, B wins once fewer than two are left; at a tie of the logits (2 = 2) A stays."""
    net, ground, order = toy([[1, 1, 1]], linear([[1, 0], [1, 0], [1, 0]], [0, 2]))
    (row,) = first_flips(ground, net, order).to_dict("records")
    assert (row["stability"], row["stability_srna"]) == (2, "x1")


def test_a_sample_predicted_wrongly_from_the_start_has_zero_steps():
    net, ground, order = toy([[1, 1, 0, 1], [0, 0, 1, 0]])
    found = first_flips(ground, net, order, own=["B", "B"])
    assert list(found["wrong"]) == [True, False]
    first = found.iloc[0]
    assert (first["own"], first["predicted"], first["became"]) == ("B", "A", "A")
    assert (first["stability"], first["similarity"]) == (0, 0)
    assert first["stability_srna"] is None and first["stability_share"] == 0


def test_features_at_their_masked_value_are_no_steps():
    """An unexpressed feature with the highest weight is skipped: its silencing changes nothing."""
    net, ground, order = toy([[0, 1, 0, 1]], linear([[9, 0], [2, 0], [0, 1], [1, 0]], [0, 1.5]))
    (row,) = first_flips(ground, net, order).to_dict("records")
    assert (row["n_active"], row["stability"], row["stability_srna"]) == (2, 1, "x1")


def test_a_third_class_may_come_before_the_one_that_is_argued_for():
    rows = [[4, 0, 0], [0, 0, 2], [0, 1, 0]]
    net = linear(rows, [0, 1.5, 0], classes="ABC")
    _, ground, order = toy([[1, 1, 1]], net)
    found = first_flips(ground, net, order).set_index("other")
    assert found.loc["B", "stability"] == found.loc["B", "similarity"] == 1  # A 0, B 2.5, C 2
    assert found.loc["C", "stability"] == 1 and found.loc["C", "became"] == "B"
    assert found.loc["C", "similarity"] == 2  # x2 goes next: B 1.5, C 2


@pytest.mark.parametrize("masking", ["zero", "mean"])
@pytest.mark.parametrize("kind", ["deeplift", "random", "fixed"])
def test_equal_to_the_plain_loop_on_random_networks(masking, kind):
    """200 networks in all six cases together, each with its own samples; every second with true labels and a limit."""
    cases = {("zero", "deeplift"): 80}
    offset = 1000 * ["deeplift", "random", "fixed"].index(kind) + 100 * (masking == "mean")
    flipped = 0
    for seed in range(offset, offset + cases.get((masking, kind), 24)):
        rng = np.random.default_rng(seed)
        net = random_network(seed, hidden=[(9, 7), (8,), ()][seed % 3])
        X = rng.exponential(size=(5, 12)).astype(np.float32) * (rng.random((5, 12)) > 0.3)
        ground = silence(net, X, masking=masking, background=X)
        order = {
            "deeplift": lambda net=net, ground=ground: deeplift_order(net, ground.masked),
            "random": lambda seed=seed: random_order(4, seed=seed),
            "fixed": lambda rng=rng: fixed_order(rng.integers(0, 4, 12), 4),
        }[kind]()
        own = rng.choice(net.classes_, 5) if seed % 2 else None
        options = {"max_steps": 6 if seed % 2 else None}
        if kind == "deeplift" and seed % 4 == 0:
            options["recompute_every"] = 1 + seed % 5
        found = first_flips(ground, net, order, own=own, rows=int(rng.integers(8, 200)), **options)
        assert_equal(found, plain_loop(net, ground, order, own=own, **options), net.classes_)
        flipped += (found["stability"] > 0).sum()
    assert flipped > 50


def pipeline(name: str, X: pd.DataFrame, y) -> Pipeline:
    front = {
        "rpm": [("rpm", ReadsPerMillion()), ("zeros", ZeroFilter(0.5)), ("scale", MinMaxScaler())],
        "log": [("log_cpm", LogCPM()), ("zeros", ZeroFilter(0.9)), ("scale", StandardScaler())],
        "presence": [("presence", Presence(min_rpm=2e4))],
    }[name]
    small = DenseNetClassifier(hidden=(16, 8), dropout=(0.0, 0.0), epochs=30, batch_size=10, random_state=0)
    return Pipeline([*front, ("classifier", small)]).fit(X, y)


@pytest.fixture(scope="module")
def small_counts():
    rng = np.random.default_rng(0)
    y = np.repeat(["A", "B", "C"], 20)
    level = np.exp(rng.normal(3, 1.5, 25) + (y[:, None] == np.array(["A", "B", "C"])[np.arange(25) % 3]) * 1.5)
    X = pd.DataFrame(rng.poisson(level * rng.uniform(0.3, 2, (60, 1))), columns=[f"r{i}" for i in range(25)])
    return X * (rng.random(X.shape) > 0.2), y


@pytest.mark.parametrize("masking", MASKINGS)
@pytest.mark.parametrize("name", ["rpm", "log", "presence"])
def test_whole_pipelines_are_followed(small_counts, name, masking):
    X, y = small_counts
    model = pipeline(name, X, y)
    ground = silence(model, X.iloc[::4], masking=masking, background=X)
    order = deeplift_order(model[-1], ground.masked)
    assert_equal(first_flips(ground, model, order), plain_loop(model, ground, order), model.classes_)


@pytest.mark.parametrize("name", ["rpm", "log", "presence"])
def test_a_renormalised_library_is_what_the_pipeline_makes_of_counts_set_to_zero(small_counts, name):
    X, y = small_counts
    model = pipeline(name, X, y)
    ground = silence(model, X, masking="renormalised")
    silenced = np.random.default_rng(1).random(ground.values.shape) > 0.5
    counts = X.copy()
    for j, feature in enumerate(ground.features):
        counts.loc[silenced[:, j], feature] = 0
    again = ground.inputs(np.arange(len(X)), silenced)
    np.testing.assert_allclose(again, model[:-1].transform(counts), rtol=1e-5, atol=1e-5)


def test_batches_rows_and_processes_change_nothing(small_counts):
    X, y = small_counts
    model = pipeline("rpm", X, y)
    ground = silence(model, X, masking="renormalised")
    for order in (deeplift_order(model[-1], ground.masked), random_order(3, seed=1)):
        whole = first_flips(ground, model, order)
        for options in ({"batch_size": 7}, {"rows": 5}, {"n_jobs": 2, "batch_size": 20}):
            pd.testing.assert_frame_equal(first_flips(ground, model, order, **options), whole)
        part = first_flips(ground.take(np.array([5, 9])), model, order, samples=[5, 9])
        pd.testing.assert_frame_equal(part, whole[whole["sample"].isin([5, 9])].reset_index(drop=True))


def test_reads_taken_away_are_shares_of_the_whole_library(small_counts):
    X, y = small_counts
    model = pipeline("rpm", X, y)
    ground = silence(model, X)
    found = first_flips(ground, model, deeplift_order(model[-1], ground.masked))
    curve = flip_curve(ground, model, deeplift_order(model[-1], ground.masked), row=3, other=found["other"][6])
    row = found[(found["sample"] == 3) & (found["other"] == found["other"][6])].iloc[0]
    assert curve["step"].tolist() == list(range(int(row["n_active"]) + 1))
    np.testing.assert_allclose(curve.filter(regex="^p_").sum(axis=1), 1)
    silenced = X.iloc[3][curve["srna"].dropna().tolist()].cumsum() / X.iloc[3].sum()
    np.testing.assert_allclose(curve["reads"][1:], silenced)
    flips = curve.index[curve["predicted"] != row["own"]]
    assert (flips[0] if len(flips) else np.nan) == row["stability"]
    assert curve["reads"][row["stability"]] == pytest.approx(row["stability_reads"])
    assert curve["srna"][row["stability"]] == row["stability_srna"]


def test_near_ties_are_decided_as_in_double_precision():
    """Three features of 1/3 against a bias of 2/3 - 1e-7 and such: single precision alone would waver."""
    for shift in (-1e-7, 0.0, 1e-7):
        net = linear([[1 / 3, 0]] * 3, [0, 2 / 3 + shift])
        _, ground, order = toy([[1, 1, 1]], net)
        x = ground.values[0].astype(np.float64)
        gaps = [(np.r_[np.zeros(s), x[s:]] @ net.weights_[0].astype(float) + net.weights_[1]) for s in range(4)]
        expected = next(s for s in range(4) if gaps[s].argmax() == 1)
        assert first_flips(ground, net, order)["stability"][0] == expected


def test_empty_input_gives_an_empty_table():
    net, ground, order = toy(np.zeros((0, 4)))
    found = first_flips(ground, net, order)
    assert len(found) == 0
    assert {"sample", "own", "other", "similarity", "stability", "became"} <= set(found.columns)


def test_a_sample_without_a_read_is_never_silenced():
    net, ground, order = toy([[0, 0, 0, 0]])
    (row,) = first_flips(ground, net, order).to_dict("records")
    assert row["n_active"] == row["looked"] == 0 and row["exhausted"] and np.isnan(row["stability"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_steps": 0}, "max_steps is 0"),
        ({"recompute_every": 0}, "recompute_every is 0"),
        ({"own": ["Z"]}, "the class 'Z' is unknown"),
        ({"own": ["A", "B"]}, "2 own classes for 1 samples"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    net, ground, order = toy([[1, 1, 0, 1]])
    with pytest.raises(InputError, match=message):
        first_flips(ground, net, order, **options)


def test_orders_that_ignore_the_state_cannot_be_recomputed():
    net, ground, _ = toy([[1, 1, 0, 1]])
    with pytest.raises(InputError, match="'random' does not depend on the state"):
        first_flips(ground, net, random_order(2), recompute_every=3)


@pytest.mark.parametrize(("name", "masking"), [("dl_paper", "zero"), ("dl_paper", "renormalised"), ("dl_log", "zero")])
def test_equal_to_the_plain_loop_on_real_samples(mirome, name, masking):
    """50 real samples, the paper's layers (few epochs); every sample towards every other class, up to 40 steps."""
    from srna_lib.data.task import make_task

    task = make_task(mirome)
    rows = np.random.default_rng(0).permutation(len(task.y))
    model = recipe(name, classifier__epochs=3, classifier__batch_size=128)
    model.fit(task.X.iloc[rows[:600]], task.y.iloc[rows[:600]])
    ground = silence(model, task.X.iloc[rows[600:650]], masking=masking)
    order = deeplift_order(model[-1], ground.masked)
    found = first_flips(ground, model, order, max_steps=40)
    assert_equal(found, plain_loop(model, ground, order, max_steps=40), model.classes_)
    assert (found["stability"] > 0).sum() > 50
