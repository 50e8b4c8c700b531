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
from srna_lib.stability import flips
from srna_lib.stability.flips import first_flips, flip_curves, steps_to_flip
from srna_lib.stability.masking import MASKINGS, MaskedInput, mask_input
from srna_lib.stability.orders import deeplift_order, plain_order, random_order


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


def plain_loop(model, inputs, order, max_steps=None, recompute_every=None) -> pd.DataFrame:
    """One forward pass per step, one path at a time: what `first_flips` must equal."""
    net = model[-1] if isinstance(model, Pipeline) else model
    rows = []
    for i, x in enumerate(inputs.values):
        mine = int(net.logits(x[None])[0].argmax())
        scores = order.start(inputs.take([i]), np.array([mine]), np.array([i]))[0]
        for other in range(len(net.classes_)):
            if other == mine:
                continue
            left = [j for j in np.argsort(-scores[other], kind="stable") if inputs.active[i, j]]
            masked = np.zeros((1, len(x)), bool)
            similar = stable = became = None
            steps = min(len(left), max_steps or len(left))
            for step in range(1, steps + 1):
                if recompute_every and step > 1 and (step - 1) % recompute_every == 0:
                    state = inputs.after(np.array([i]), masked)
                    new = order.again(state, np.array([mine]), np.array([other]))[0]
                    left = [j for j in np.argsort(-new, kind="stable") if j in set(left)]
                masked[0, left.pop(0)] = True
                label = int(net.logits(inputs.after(np.array([i]), masked))[0].argmax())
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


def bare_input(values, blank=None) -> MaskedInput:
    """Input of a network without preprocessing, masked by zero or by given values."""
    values = np.asarray(values, np.float32)
    blank = np.zeros(values.shape[1], np.float32) if blank is None else blank
    names = np.array([f"x{i}" for i in range(len(blank))], dtype=object)
    return MaskedInput(names, values, blank, values != blank, np.full(values.shape, np.nan), None, None)


def toy(values, net=None):
    net = net or linear([[3, 0], [2, 0], [0, 1], [1, 0]], [0, 4.5])
    inputs = bare_input(values)
    return net, inputs, deeplift_order(net, inputs.blank)


def test_a_linear_network_flips_at_the_step_computed_by_hand():
    """Logits of (1, 1, 0, 1): A 6, B 4.5. Without x0 (D2 = 3): A 3, B 4.5, so one step."""
    net, inputs, order = toy([[1, 1, 0, 1]])
    (row,) = first_flips(inputs, net, order).to_dict("records")
    assert (row["own"], row["other"], row["became"]) == ("A", "B", "B")
    assert (row["similarity"], row["stability"], row["n_active"]) == (1, 1, 3)
    assert (row["stability_srna"], row["stability_share"]) == ("x0", pytest.approx(1 / 3))


def test_more_steps_where_more_must_go():
    """Bias of B 0.5: A 6, without x0 3, without x1 1, without x3 0 < 0.5: three steps, the last tips it."""
    net, inputs, order = toy([[1, 1, 0, 1]], linear([[3, 0], [2, 0], [0, 1], [1, 0]], [0, 0.5]))
    (row,) = first_flips(inputs, net, order).to_dict("records")
    assert (row["stability"], row["stability_srna"]) == (3, "x3")


def test_a_class_never_reached_is_censored_not_counted():
    net, inputs, order = toy([[1, 1, 0, 1]], linear([[3, 0], [2, 0], [0, 1], [1, 0]], [0, -1]))
    (row,) = first_flips(inputs, net, order).to_dict("records")
    assert np.isnan(row["similarity"]) and np.isnan(row["stability"])
    assert row["exhausted"] and row["looked"] == 3
    assert row["became"] is None and row["stability_srna"] is None


def test_a_limit_censors_and_says_so():
    net, inputs, order = toy([[1, 1, 0, 1]], linear([[3, 0], [2, 0], [0, 1], [1, 0]], [0, 0.5]))
    (row,) = first_flips(inputs, net, order, max_steps=2).to_dict("records")
    assert np.isnan(row["stability"]) and row["looked"] == 2 and not row["exhausted"]
    (row,) = first_flips(inputs, net, order, max_steps=3).to_dict("records")
    assert row["stability"] == 3


def test_ties_go_to_the_feature_that_comes_first_and_the_class_that_sorts_first():
    """Three equal features, B wins once fewer than two are left; at a tie of the logits (2 = 2) A stays."""
    net, inputs, order = toy([[1, 1, 1]], linear([[1, 0], [1, 0], [1, 0]], [0, 2]))
    (row,) = first_flips(inputs, net, order).to_dict("records")
    assert (row["stability"], row["stability_srna"]) == (2, "x1")


def test_features_at_their_masked_value_are_no_steps():
    """An unexpressed feature with the highest weight is skipped: its masking changes nothing."""
    net, inputs, order = toy([[0, 1, 0, 1]], linear([[9, 0], [2, 0], [0, 1], [1, 0]], [0, 1.5]))
    (row,) = first_flips(inputs, net, order).to_dict("records")
    assert (row["n_active"], row["stability"], row["stability_srna"]) == (2, 1, "x1")


def test_a_third_class_may_come_before_the_one_that_is_argued_for():
    rows = [[4, 0, 0], [0, 0, 2], [0, 1, 0]]
    net = linear(rows, [0, 1.5, 0], classes="ABC")
    _, inputs, order = toy([[1, 1, 1]], net)
    found = first_flips(inputs, net, order).set_index("other")
    assert found.loc["B", "stability"] == found.loc["B", "similarity"] == 1  # A 0, B 2.5, C 2
    assert found.loc["C", "stability"] == 1 and found.loc["C", "became"] == "B"
    assert found.loc["C", "similarity"] == 2  # x2 goes next: B 1.5, C 2


@pytest.mark.parametrize("masking", ["zero", "mean"])
@pytest.mark.parametrize("kind", ["deeplift", "random", "fixed"])
def test_equal_to_the_plain_loop_on_random_networks(masking, kind, monkeypatch):
    """200 networks in all six cases together, each with its own samples; every second with a limit."""
    cases = {("zero", "deeplift"): 80}
    offset = 1000 * ["deeplift", "random", "fixed"].index(kind) + 100 * (masking == "mean")
    flipped = 0
    for seed in range(offset, offset + cases.get((masking, kind), 24)):
        rng = np.random.default_rng(seed)
        net = random_network(seed, hidden=[(9, 7), (8,), ()][seed % 3])
        X = rng.exponential(size=(5, 12)).astype(np.float32) * (rng.random((5, 12)) > 0.3)
        inputs = bare_input(X, X.mean(axis=0) if masking == "mean" else None)
        order = {
            "deeplift": lambda net=net, inputs=inputs: deeplift_order(net, inputs.blank),
            "random": lambda seed=seed: random_order(4, seed=seed),
            "fixed": lambda score=rng.integers(0, 4, 12): plain_order(lambda _: score, 4),  # noqa: B008
        }[kind]()
        options = {"max_steps": 6 if seed % 2 else None}
        if kind == "deeplift" and seed % 4 == 0:
            options["recompute_every"] = 1 + seed % 5
        monkeypatch.setattr(flips, "STEPS", int(rng.integers(8, 200)))
        found = first_flips(inputs, net, order, **options)
        assert_equal(found, plain_loop(net, inputs, order, **options), net.classes_)
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
    inputs = mask_input(model, X.iloc[::4], masking=masking, background=X)
    order = deeplift_order(model[-1], inputs.blank)
    assert_equal(first_flips(inputs, model[-1], order), plain_loop(model, inputs, order), model.classes_)


@pytest.mark.parametrize("name", ["rpm", "log", "presence"])
def test_a_renormalised_library_is_what_the_pipeline_makes_of_counts_set_to_zero(small_counts, name):
    X, y = small_counts
    model = pipeline(name, X, y)
    inputs = mask_input(model, X, masking="renormalised")
    masked = np.random.default_rng(1).random(inputs.values.shape) > 0.5
    counts = X.copy()
    for j, feature in enumerate(inputs.features):
        counts.loc[masked[:, j], feature] = 0
    again = inputs.after(np.arange(len(X)), masked)
    np.testing.assert_allclose(again, model[:-1].transform(counts), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_blocks_and_processes_change_nothing(small_counts, monkeypatch):
    X, y = small_counts
    model = pipeline("rpm", X, y)
    inputs = mask_input(model, X, masking="renormalised")
    for order in (deeplift_order(model[-1], inputs.blank), random_order(3, seed=1)):
        whole = first_flips(inputs, model[-1], order)
        for constants, n_jobs in (({"SAMPLES": 7}, 1), ({"STEPS": 5}, 1), ({"SAMPLES": 20}, 2)):
            with monkeypatch.context() as patch:
                for constant, value in constants.items():
                    patch.setattr(flips, constant, value)
                found = first_flips(inputs, model[-1], order, n_jobs=n_jobs)
            pd.testing.assert_frame_equal(found, whole)
        part = first_flips(inputs.take(np.array([5, 9])), model[-1], order, samples=[5, 9])
        pd.testing.assert_frame_equal(part, whole[whole["sample"].isin([5, 9])].reset_index(drop=True))


def test_a_curve_shows_the_flips_that_are_counted(small_counts):
    X, y = small_counts
    model = pipeline("rpm", X, y)
    found = steps_to_flip(model, X)
    row = found[~found["censored"]].iloc[3]
    sample = row["sample"]
    path = {"sample_id": sample, "other": row["other"], "y_pred": row["predicted"], "y_true": row["predicted"]}
    (curve,) = flip_curves(model, X, pd.DataFrame([path])).values()
    assert curve["step"].tolist() == list(range(int(row["expressed"]) + 1))
    np.testing.assert_allclose(curve.filter(regex="^p_").sum(axis=1), 1)
    masked = X.loc[sample, curve["srna"].dropna().tolist()].cumsum() / X.loc[sample].sum()
    np.testing.assert_allclose(curve["reads"][1:], masked)
    assert curve.index[curve["predicted"] != row["predicted"]][0] == row["leaves"]
    assert curve.index[curve["predicted"] == row["other"]][0] == row["steps"]
    assert curve["reads"][row["steps"]] == pytest.approx(row["reads"])
    assert curve["srna"][row["steps"]] == row["srna"]
    assert row["share"] == row["steps"] / row["expressed"]
    drawn = steps_to_flip(model, X, order="random", seed=4)
    last = drawn[drawn["leaves"].notna()].iloc[-1]
    path = {"sample_id": last["sample"], "other": last["other"], "y_pred": "A", "y_true": "B"}
    ((name, curve),) = flip_curves(model, X, pd.DataFrame([path]), order="random", seed=4).items()
    assert name == f"{last['sample']}: A (is B)"
    assert curve.index[curve["predicted"] != last["predicted"]][0] == last["leaves"]


def test_the_verb_is_first_flips_of_the_pipeline(small_counts):
    X, y = small_counts
    model = pipeline("log", X, y)
    inputs = mask_input(model, X, masking="mean", background=X)
    importance = pd.Series(np.arange(len(X.columns))[::-1], index=X.columns)
    for order, rule in (
        ("deeplift", deeplift_order(model[-1], inputs.blank)),
        (importance, plain_order(lambda _: importance[inputs.features].to_numpy(), 3)),
        ("reads", plain_order(lambda here: here.reads, 3)),
    ):
        found = steps_to_flip(model, X, order=order, masking="mean", background=X, max_steps=4)
        expected = first_flips(inputs, model[-1], rule, max_steps=4)
        np.testing.assert_array_equal(found["steps"], expected["similarity"])
        np.testing.assert_array_equal(found["leaves"], expected["stability"])
        assert (found["censored"] == found["steps"].isna()).all() and found["censored"].any()
        assert found["sample"].tolist() == X.index.repeat(2).tolist()


def test_near_ties_are_decided_as_in_double_precision():
    """Three features of 1/3 against a bias of 2/3 - 1e-7 and such: single precision alone would waver."""
    for shift in (-1e-7, 0.0, 1e-7):
        net = linear([[1 / 3, 0]] * 3, [0, 2 / 3 + shift])
        _, inputs, order = toy([[1, 1, 1]], net)
        x = inputs.values[0].astype(np.float64)
        gaps = [(np.r_[np.zeros(s), x[s:]] @ net.weights_[0].astype(float) + net.weights_[1]) for s in range(4)]
        expected = next(s for s in range(4) if gaps[s].argmax() == 1)
        assert first_flips(inputs, net, order)["stability"][0] == expected


def test_a_sample_without_a_read_is_never_masked():
    net, inputs, order = toy([[0, 0, 0, 0]])
    (row,) = first_flips(inputs, net, order).to_dict("records")
    assert row["n_active"] == row["looked"] == 0 and row["exhausted"] and np.isnan(row["stability"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_steps": 0}, "max_steps is 0"),
        ({"recompute_every": 0}, "recompute_every is 0"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    net, inputs, order = toy([[1, 1, 0, 1]])
    with pytest.raises(InputError, match=message):
        first_flips(inputs, net, order, **options)


def test_orders_that_ignore_the_state_cannot_be_recomputed():
    net, inputs, _ = toy([[1, 1, 0, 1]])
    with pytest.raises(InputError, match="random and given orders do not depend on the state"):
        first_flips(inputs, net, random_order(2), recompute_every=3)


def test_wrong_questions_get_one_sentence(small_counts):
    X, y = small_counts
    model = pipeline("rpm", X, y)
    with pytest.raises(InputError, match="unknown order 'best': expected deeplift, input, reads, random or an"):
        steps_to_flip(model, X, order="best")
    with pytest.raises(InputError, match="there is no sample; expected at least one"):
        steps_to_flip(model, X.iloc[:0])
    constant = Pipeline([("rpm", ReadsPerMillion()), ("classifier", network(np.ones((4, 1)), np.zeros(1)))])
    with pytest.raises(InputError, match="the network knows one class, 'c0'; expected two to flip"):
        steps_to_flip(constant, X.iloc[:, :4])


@pytest.mark.parametrize(
    ("name", "masking", "n"), [("dl_paper", "zero", 20), ("dl_paper", "renormalised", 2), ("dl_log", "zero", 20)]
)
def test_equal_to_the_plain_loop_on_real_samples(mirome, name, masking, n):
    """Real samples, the paper's layers (few epochs); every sample towards every other class, up to 40 steps."""
    from srna_lib.data.task import make_task

    task = make_task(mirome)
    rows = np.random.default_rng(0).permutation(len(task.y))
    model = recipe(name, classifier__epochs=3, classifier__batch_size=128)
    model.fit(task.X.iloc[rows[:600]], task.y.iloc[rows[:600]])
    inputs = mask_input(model, task.X.iloc[rows[600 : 600 + n]], masking=masking)
    order = deeplift_order(model[-1], inputs.blank)
    found = first_flips(inputs, model[-1], order, max_steps=40)
    assert_equal(found, plain_loop(model, inputs, order, max_steps=40), model.classes_)
    assert (found["stability"] > 0).sum() > n
