"""Graphs of miRNAs: analytic cases, invariants, oracles, what leaks, and bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from srna_lib.companions import Design, graphs, simulate
from srna_lib.data import Task, make_atlas
from srna_lib.errors import InputError
from srna_lib.models import import_keras

NAMES = ["hsa-miR-17-5p", "hsa-miR-17-3p", "hsa-miR-20a-5p", "hsa-miR-20a-3p", "hsa-miR-92a-3p", "hsa-miR-122-5p"]


def drawn(n: int, seed: int, share: float = 0.2) -> np.ndarray:
    upper = np.triu(np.random.default_rng(seed).random((n, n)) < share, 1)
    return upper | upper.T


def net(graph: np.ndarray, **options) -> graphs.GraphNetClassifier:
    return graphs.GraphNetClassifier(graph, **{"reduce": 3, "epochs": 3, "random_state": 1} | options)


def samples(n: int = 40, p: int = 12) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(n, p)).astype(np.float32)
    return X, np.where(X[:, :4].sum(axis=1) > 0, "high", "low")


# ---- graphs


def test_family_joins_arms_of_one_seed_and_cluster_what_lies_together():
    var = pd.DataFrame(index=NAMES)
    family, cluster = graphs.mirna_graph(var, "family"), graphs.mirna_graph(var, "cluster")
    assert family.loc["hsa-miR-17-5p"].tolist() == [False, False, True, False, False, False]
    assert not family.loc["hsa-miR-17-3p", "hsa-miR-20a-5p"]
    # miR-17~92: everything but the other arm of the same stem-loop, and nothing of chromosome 18
    assert cluster.loc["hsa-miR-17-5p"].tolist() == [False, False, True, True, True, False]
    assert not cluster["hsa-miR-122-5p"].any()


def test_coexpression_joins_what_rises_together_and_says_what_it_needs():
    rng = np.random.default_rng(0)
    drive = rng.poisson(200, (60, 2)).repeat(3, axis=1) + rng.poisson(3, (60, 6))
    names = ["hsa-miR-1-3p", "hsa-miR-206", "hsa-miR-133b", "hsa-miR-9-5p", "hsa-miR-124-3p", "hsa-miR-137-3p"]
    counts = pd.DataFrame(drive, columns=names).assign(other=100_000)
    graph = graphs.mirna_graph(pd.DataFrame(index=names), "coexpression", counts=counts.drop(columns="other"), k=2)
    assert (graph.to_numpy() == (np.kron(np.eye(2), np.ones((3, 3))) - np.eye(6) > 0)).all()
    with pytest.raises(InputError, match="co-expression"):
        graphs.mirna_graph(pd.DataFrame(index=names), "coexpression")
    with pytest.raises(InputError, match="family"):
        graphs.mirna_graph(pd.DataFrame(index=names), "famly")


def test_disease_joins_by_jaccard(mirror):
    var = pd.DataFrame(index=["hsa-miR-21-5p", "hsa-miR-155-5p", "hsa-miR-146a-5p", "hsa-miR-21-3p", "hsa-miR-9999-5p"])
    graph = graphs.mirna_graph(var, "disease", k=2)
    assert graph.loc["hsa-miR-21-5p", "hsa-miR-155-5p"]
    assert not graph.loc["hsa-miR-21-5p", "hsa-miR-21-3p"], "one transcript"
    assert not graph["hsa-miR-9999-5p"].any()


@given(st.integers(4, 25), st.integers(0, 999), st.floats(0, 1))
def test_rewiring_keeps_every_degree(n, seed, share):
    graph = drawn(n, seed, 0.3)
    other = graphs.rewire(graph, share, seed=seed)
    assert (other == other.T).all() and not other.diagonal().any()
    assert (other.sum(axis=0) == graph.sum(axis=0)).all()
    assert (other & graph).sum() >= round((1 - share) * graph.sum() / 2) * 2 - 2


def test_rewiring_loses_the_blocks_and_nothing_at_zero():
    blocks = np.kron(np.eye(20), np.ones((10, 10))) - np.eye(200) > 0
    assert (graphs.rewire(blocks, 0.0) == blocks).all()
    assert (graphs.rewire(blocks, 1.0) & blocks).sum() < 0.15 * blocks.sum()
    assert 0.5 < (graphs.rewire(blocks, 0.4) & blocks).sum() / blocks.sum() < 0.75
    with pytest.raises(InputError, match="0 to 1"):
        graphs.rewire(blocks, 1.5)


@given(st.integers(1, 30), st.integers(0, 999), st.floats(0, 1))
def test_the_normalised_graph_is_symmetric_with_spectral_radius_one(n, seed, share):
    A = graphs.normalise(drawn(n, seed, share)).astype(float)
    assert (A == A.T).all()
    assert np.abs(np.linalg.eigvalsh(A)).max() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_the_coarse_graph_is_exact(first):
    for seed in range(first, first + 50):
        graph = drawn(30, seed, 0.1)
        clusters, coarse = graphs.coarsen(graph, 7)
        expected = np.zeros((7, 7), dtype=bool)
        for i, j in np.argwhere(graph):
            expected[clusters[i], clusters[j]] |= clusters[i] != clusters[j]
        assert (coarse == expected).all() and (coarse == coarse.T).all()


def test_clusters_are_the_blocks():
    blocks = np.kron(np.eye(4), np.ones((5, 5))) - np.eye(20) > 0
    order = np.random.default_rng(0).permutation(20)
    clusters, coarse = graphs.coarsen(blocks[np.ix_(order, order)], 4)
    assert len(set(zip(clusters, order // 5, strict=True))) == 4
    assert not coarse.any()


def test_the_table_of_graphs_counts_edges_once():
    family = graphs.mirna_graph(pd.DataFrame(index=NAMES), "family")
    row = graphs.graph_table({"family": family}).loc["family"]
    assert (row["edges"], row["joined"], row["alone"], row["shared with family"]) == (2, 4, 2, 2)


# ---- a user's edges


def test_edges_are_read_in_any_spelling(tmp_path):
    path = tmp_path / "edges.tsv"
    path.write_text(
        "from\tto\tweight\nmiR-17-5p\tMIMAT0000075\t1\nhsa-mir-92a-1\thsa-miR-122-5p\t.5\nTP53\tmiR-17-5p\t1\n"
    )
    graph, report = graphs.read_edges(path, [*NAMES, "no miRNA"])
    joined = {(a, b) for a in graph for b in graph if a < b and graph.loc[a, b]}
    assert joined == {("hsa-miR-17-5p", "hsa-miR-20a-5p"), ("hsa-miR-122-5p", "hsa-miR-92a-3p")}
    assert report.set_index("source")["n_mirnas"]["TP53"] == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("TP53\tMDM2\nMYC\tMAX\n", "TP53"),
        ("hsa-miR-9998\thsa-miR-9999\n", "9998"),
        ("hsa-miR-17-5p\thsa-miR-17-5p\n", "itself"),
        ("hsa-miR-17-5p,hsa-miR-20a-5p\n", "tab"),
        ("", "two miRNA names"),
        (None, "two miRNA names"),
    ],
)
def test_edges_that_cannot_be_used_are_one_sentence(tmp_path, text, says):
    path = tmp_path / "edges.tsv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        graphs.read_edges(path, NAMES)
    assert "\n" not in str(caught.value)


# ---- models


@pytest.mark.slow
@pytest.mark.parametrize("channels", [(8,), pytest.param((8, 6), marks=pytest.mark.slow)])
def test_prediction_is_that_of_the_trained_keras_model(channels):
    X, y = samples()
    model = net(drawn(12, 0), channels=channels).fit(X, y)
    plan, layout, _, held = model._plan(12, np.random.default_rng(0))
    keras = import_keras()
    network = plan(keras, *layout)
    for variable, value in zip(network.trainable_variables, model.weights_, strict=True):
        variable.assign(value)
    for variable in network.non_trainable_variables:
        if variable.name in held:
            variable.assign(held[variable.name])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(network(X)), model.logits(X), atol=1e-5)


def test_training_learns_is_finite_and_repeats():
    X, y = samples(200)
    model = net(drawn(12, 0), epochs=30, learning_rate=0.01).fit(X, y)
    assert np.isfinite(model.loss_curve_).all() and model.loss_curve_[-1] < 0.6 * model.loss_curve_[0]
    assert (model.predict(X) == y).mean() > 0.9
    again = clone(model).fit(X, y)
    assert all((a == b).all() for a, b in zip(model.weights_, again.weights_, strict=True))


def test_without_edges_each_node_is_a_network_of_its_own():
    X, y = samples()
    model = net(np.zeros((12, 12)), reduce=1).fit(X, y)
    E, W1, b1, W2, b2, kernel, bias = model.weights_
    by_hand = bias.astype(float)
    for i in range(12):  # node by node, no graph anywhere
        h = X[:, [i]] * E[i]
        layer = np.hstack([np.maximum(h @ W1 + b1, 0), np.maximum(h @ W2 + b2, 0)])
        by_hand = by_hand + layer @ kernel[8 * i : 8 * i + 8]
    np.testing.assert_allclose(model.logits(X), by_hand, atol=1e-5)


@pytest.mark.parametrize("reduce", [1, 3])
def test_the_order_of_the_nodes_changes_nothing(reduce):
    X, y = samples()
    graph, order = drawn(12, 3), np.random.default_rng(1).permutation(12)
    model = net(graph, reduce=reduce).fit(X, y)
    other = clone(model).fit(X, y)
    other.weights_ = [model.weights_[0][order], *model.weights_[1:]]
    (A, pool) = model.levels_[0]
    other.levels_ = [(A[np.ix_(order, order)], pool[:, order])]
    np.testing.assert_allclose(other.logits(X[:, order]), model.logits(X), atol=1e-5)
    assert np.abs(other.logits(X) - model.logits(X)).max() > 1e-3, "the order of the columns alone does matter"


def test_graphs_of_one_shape_share_a_program():
    from srna_lib.models.network import compile_training

    X, y = samples()
    compile_training.cache_clear()
    first, second = (net(drawn(12, seed)).fit(X, y) for seed in (0, 1))
    assert compile_training.cache_info().misses == 1
    assert np.abs(first.logits(X) - second.logits(X)).max() > 1e-3


def test_graph_logistic_without_graph_is_scikit_learns():
    X, _ = samples(90)
    y = np.repeat(["a", "b", "c"], 30)
    ours, theirs = graphs.GraphLogistic(drawn(12, 0), strength=0).fit(X, y), LogisticRegression(tol=1e-8).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=2e-3)


def test_graph_logistic_makes_weights_of_neighbours_alike_in_size():
    X, y = samples(200)
    X[:, 1] = np.random.default_rng(9).normal(size=200)  # says nothing, and is joined with what does
    graph = np.zeros((12, 12), dtype=bool)
    graph[0, 1] = graph[1, 0] = True
    loose, tight = (graphs.GraphLogistic(graph, strength=s, C=0.1).fit(X, y).coef_[0] for s in (0, 1000))
    assert abs(abs(tight[0]) - abs(tight[1])) < 0.2 * abs(abs(loose[0]) - abs(loose[1]))


@pytest.mark.parametrize("model", [graphs.GraphNetClassifier, graphs.GraphLogistic])
def test_a_graph_that_does_not_fit_is_refused(model):
    X, y = samples()
    lopsided = np.zeros((12, 12))
    lopsided[0, 1] = 1
    for graph in (np.zeros((3, 3)), lopsided):
        with pytest.raises(InputError, match="symmetric"):
            model(graph).fit(X, y)


# ---- experiments


@pytest.fixture(scope="module")
def blocks():
    return graphs.simulate_blocks(900, reads=2000, seed=0)


def test_simulated_blocks_are_groups_of_features_that_rise_together(blocks):
    task, graph = blocks
    assert (task.X.sum(axis=1) == 2000).all() and (graph.sum() == 19).all()
    together = np.corrcoef(np.log1p(task.X.to_numpy()).T)
    assert together[graph.to_numpy()].mean() > together[~graph.to_numpy()].mean() + 0.2


@given(st.integers(0, 50))
def test_each_study_is_used_for_one_thing(seed):
    rng = np.random.default_rng(seed)
    studies = pd.Series(rng.choice(list("abcdefgh"), 80))
    parts = graphs.three_ways(studies, seed=seed)
    held = [set(studies.iloc[p]) for p in parts]
    assert sorted(np.concatenate(parts)) == list(range(80))
    assert sum(map(len, held)) == len(set.union(*held)) and min(map(len, held)) > 0


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_studies_are_refused(n, blocks):
    studies = pd.Series(np.arange(900) % n, blocks[0].X.index).astype(str)
    with pytest.raises(InputError, match=f"studies: {n}; expected three"):
        graphs.infer_single(blocks[0].X, studies, {})


def test_a_class_of_one_study_cannot_be_parted():
    studies, y = pd.Series(list("aabbccdd")), pd.Series(list("xyyyyyyy"), name="tissue")
    with pytest.raises(InputError, match="leave out"):
        graphs.three_ways(studies, y=y)


def test_neighbours_tell_a_feature_and_random_ones_do_not(blocks):
    task, graph = blocks
    told = graphs.infer_single(task.X, task.groups, {"blocks": graph}, n_targets=8, seeds=3)
    auc = told.groupby(["graph", "inputs"])["auc"].mean()
    assert auc["blocks", "neighbours"] > auc["blocks", "random"] + 0.1
    assert auc["coexpression", "neighbours"] > auc["coexpression", "random"] + 0.1
    assert (told.loc[told["inputs"] == "neighbours", "n_inputs"] <= 19 * 2).all()
    sizes = told.pivot_table(index=["seed", "target", "graph"], columns="inputs", values="n_inputs")
    assert (sizes["neighbours"] == sizes["random"]).all()
    gain = graphs.gains(told, ["graph"], "inputs", "neighbours", ["random", "all"])
    assert (gain.loc[gain["other"] == "random", "difference"] > 0.1).all() and (gain["n_seeds"] == 3).all()
    assert gain["comparison"].tolist()[:2] == ["blocks – random", "coexpression – random"]


@pytest.mark.slow
def test_a_target_dealt_to_other_samples_cannot_be_told(blocks):
    task, graph = blocks
    loud = task.X.assign(**{task.X.columns[0]: task.X.iloc[:, 0] * 200})  # in the sum of reads, it would shine through
    told = graphs.infer_single(loud, task.groups, {"blocks": graph}, n_targets=15, seeds=4, shuffle=True)
    assert told.groupby("inputs")["auc"].mean().to_numpy() == pytest.approx(0.5, abs=0.05)


def test_the_others_say_nothing_of_what_is_independent():
    rng = np.random.default_rng(0)
    counts = pd.DataFrame(rng.poisson(100, (600, 12)), columns=[f"g{i}" for i in range(12)])
    counts["g0"] = rng.poisson(np.exp(rng.normal(7, 1.5, 600)))  # most of the reads, and independent
    one = pd.DataFrame(False, index=counts.columns, columns=counts.columns)
    one.loc["g0", ["g1", "g2"]] = True
    studies = pd.Series([f"s{i % 9}" for i in range(600)], counts.index)
    told = graphs.infer_single(counts, studies, {"one": one | one.T}, seeds=4)
    told = told[(told["target"] == "g0")]
    assert told[told["inputs"] == "all"]["auc"].mean() == pytest.approx(0.5, abs=0.06)


def test_the_curve_has_every_model_and_repeats(blocks):
    task, graph = blocks
    options = {"sizes": (30, 10_000), "shares": (0.0, 1.0), "n_nodes": 60, "seeds": 2, "steps": 6}
    curve = graphs.learning_curve(task, graph, **options)
    models = ["logistic", "network", "graph logistic", "no edges", "graph network", "100% rewired"]
    assert curve["model"].tolist() == models * 2 and set(curve["n_train"]) == {30}
    assert curve["auc"].between(0, 1).all() and (curve.loc[curve["rewired"] == 0, "kept"].dropna() == 1).all()
    pd.testing.assert_frame_equal(curve, graphs.learning_curve(task, graph, **options))


@pytest.mark.slow
def test_a_graph_helps_where_samples_are_few_and_a_random_one_does_not():
    task, graph = graphs.simulate_blocks(3000, seed=1)
    options = {"sizes": (50,), "shares": (0.0, 1.0), "n_nodes": 400, "seeds": 3, "seed": 7}
    curve = graphs.learning_curve(task, graph, **options)
    auc = curve.groupby("model")["auc"].mean()
    assert auc["graph network"] > auc["network"] + 0.05
    assert auc["100% rewired"] < auc["network"] + 0.02


def test_an_empty_graph_and_unknown_names_are_one_sentence(blocks):
    task, graph = blocks
    with pytest.raises(InputError, match="no edge"):
        graphs.learning_curve(task, graph & False, seeds=1)
    with pytest.raises(InputError, match="unknown to it"):
        graphs.infer_single(task.X, task.groups, {"mine": graph.iloc[5:, 5:]}, seeds=1)


def test_labels_without_classes_in_enough_studies_are_left_out():
    obs = pd.DataFrame({"dataset_id": [f"s{i // 4}" for i in range(48)], "tissue": ["a", "b", "c", None] * 12})
    obs["rare"] = ["x"] * 44 + ["y"] * 4
    obs.index = [f"q{i}" for i in obs.index]
    atlas = make_atlas(pd.DataFrame(np.ones((48, 6)), obs.index, NAMES), obs, info={"name": "toy"})
    tasks = graphs.label_tasks(atlas, ["tissue", "rare", "sex"], most=2)
    assert list(tasks) == ["tissue"] and tasks["tissue"].y.nunique() == 2
    none = graphs.learning_curves({})
    assert (
        none.empty
        and graphs.gains(none, ["task"], "model", "a", ["b"]).empty
        and graphs.over_seeds(none, ["task"]).empty
    )


def test_intervals_over_repetitions_are_those_of_t():
    table = pd.DataFrame({"seed": [0, 0, 1, 2], "model": "m", "auc": [0.6, 0.8, 0.8, 0.9]})
    row = graphs.over_seeds(table, ["model"]).iloc[0]
    assert row["value"] == pytest.approx(0.8) and row["n_seeds"] == 3
    assert row["ci_high"] - row["value"] == pytest.approx(4.3027 * 0.1 / np.sqrt(3), rel=1e-4)


def test_slopes_are_the_gradient_of_the_own_logit_less_the_mean():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 6)).astype(np.float32), np.asarray(list("abc"))[rng.integers(0, 3, 30)]
    net = graphs.GraphNetClassifier(np.kron(np.eye(2), np.ones((3, 3))) > 0, reduce=3, epochs=3, random_state=0)
    slopes, step = net.fit(X, y).slopes(X[:4], y[:4]), 1e-3
    own = net.classes_ == y[:4, None]
    for j in range(6):
        ends = [net.logits(X[:4] + sign * step * np.eye(6, dtype=np.float32)[j]) for sign in (1, -1)]
        change = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(slopes[:, j], change[own] - change.mean(axis=1), atol=5e-3)


@pytest.mark.slow
def test_a_graph_network_ranks_the_features_that_tell_the_classes():
    made = simulate(Design(2, 20, 2, size=5), 240, seed=0)
    task = Task("blocks", made.counts, made.labels, made.studies, {})
    size, accuracy = graphs.graph_importance(task, np.arange(160), epochs=30)
    true = set(made.truth.columns[made.truth.ne(0).any()])
    assert len(true) == 20 and accuracy > 0.7  # chance level: .5
    assert len(true & set(size.nlargest(20).index)) >= 12  # of 100 features; chance: 4
