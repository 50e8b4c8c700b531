"""Graphs of miRNAs, and models that smooth over them. Companion of arXiv 1806.06975 (notebook 10).

A graph is a table of bools, the same miRNAs down and across, symmetric, nothing on the diagonal. With A its matrix, I
the identity and D the degrees of A + I:

* normalised graph ``Â = D^-1/2 (A + I) D^-1/2`` (`normalise`); its eigenvalues lie in [-1, 1];
* input ``H0_i = x_i e_i``: the level of miRNA i times a learned vector, its embedding;
* layer ``H' = ReLU([Â H W1 + b1, H W2 + b2])``: half the channels look at neighbours, half (the skip path) at the node;
* pooling over clusters P (miRNAs x clusters, 0/1): the mean of each; next layer's graph: ``1[P'AP > 0]`` (`coarsen`);
* node dropout: while training, whole nodes are dropped, a tenth after the first layer, .2 after the second, .4 at most;
* output: all that is left, flattened, through one dense layer and a softmax;
* graph-penalised logistic regression (SLR): cross-entropy plus ``sum_c |w_c|' (I - Â) |w_c|`` (`GraphLogistic`).

Left out of the original: gates, attention, graphs of genes; early stopping (of 25 samples a fifth is five: the number
of steps is fixed instead). Done otherwise: clusters are averaged (there, their first member is kept, which hangs on the
order of the columns); embeddings start positive (there, of either sign, so that a sum over neighbours averages nothing
until it is learned); the coarse graph is that of the clusters (there, rows and columns of single nodes are taken for
it); AUC is of probabilities, not of labels; single miRNAs are inferred by logistic regression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

import anndata as ad
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import stats
from scipy.cluster.hierarchy import fcluster, ward
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from srna_lib.companions.limits import Design, simulate
from srna_lib.data import Task, eligible, hairpins, make_task, match_names
from srna_lib.errors import InputError, one_of
from srna_lib.explain import global_importance, load_sets
from srna_lib.models import DenseNetClassifier, LogCPM, NetworkClassifier, glorot, recipe

KINDS = ("family", "cluster", "coexpression", "disease")
CURVE = ("seed", "model", "rewired", "kept", "n_train", "auc", "n_samples", "n_datasets")  # columns of a learning curve
RIDGE = 0.1  # C of both logistic models of `learning_curve`; with 1 both are worse where samples are few


# ---- graphs


def mirna_graph(var: pd.DataFrame, kind: str, *, counts: pd.DataFrame | None = None, k: int = 10) -> pd.DataFrame:
    """Join miRNAs that belong together: a table of bools, False for arms of one stem-loop, which are one transcript.

    Parameters
    ----------
    var : DataFrame, shape (n_mirnas, ...)
        ``atlas.var`` of the miRNAs; a simulated atlas brings its own ``family`` and ``cluster``.
    kind : {"family", "cluster", "coexpression", "disease"}
        The same family in miRBase and the same arm, so the same seed; stem-loops less than 10,000 bases apart; most
        correlated; related to the same diseases in HMDD.
    counts : DataFrame, shape (n_samples, n_mirnas), optional
        Raw counts for ``"coexpression"``; of studies that are used for nothing else.
    k : int, default 10
        Nearest neighbours of a miRNA in ``"coexpression"`` (Pearson correlation of log CPM) and ``"disease"`` (Jaccard
        index of sets of diseases).

    Examples
    --------
    >>> var = pd.DataFrame(index=["hsa-miR-17-5p", "hsa-miR-20a-5p", "hsa-miR-20a-3p"])
    >>> mirna_graph(var, "family").sum().tolist()
    [1, 1, 0]
    """
    one_of("kind of graph", kind, KINDS)
    names = var.index
    if kind == "coexpression":
        if counts is None:
            raise InputError("co-expression: no counts were given; expected samples of studies used for nothing else.")
        with np.errstate(invalid="ignore", divide="ignore"):
            joined = nearest(np.nan_to_num(np.corrcoef(LogCPM().fit_transform(counts[names]).T)), k)
    else:
        sets = load_sets(var, [kind])
        shared = overlap(names, sets["feature"], sets["set"])
        joined, sizes = shared > 0, shared.diagonal()
        if kind == "disease":
            joined = nearest(shared / np.maximum(sizes[:, None] + sizes - shared, 1), k)
        if kind == "family":
            arms = names.str.extract(r"-([35]p)\b.*$")[0].fillna("").to_numpy()
            joined &= (arms[:, None] == arms) | (arms[:, None] == "") | (arms == "")
    return pd.DataFrame(joined & ~one_transcript(names), index=names, columns=names)


def nearest(similarity: np.ndarray, k: int) -> np.ndarray:
    """Join each node with the `k` most alike among those of a similarity above 0."""
    values = np.where(np.eye(len(similarity), dtype=bool), -np.inf, similarity)
    chosen = np.argsort(-values, axis=1, kind="stable")[:, :k]
    out = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(out, chosen, np.take_along_axis(values, chosen, axis=1) > 0, axis=1)
    return out | out.T


def overlap(names: pd.Index, features: Iterable[str], sets: Iterable[str]) -> np.ndarray:
    """How many sets two names have in common, from pairs of a feature and a set; on the diagonal how many each has."""
    member = pd.crosstab(pd.Series(list(features), dtype=object), pd.Series(list(sets), dtype=object)) > 0
    member = member.reindex(names, fill_value=False).to_numpy(dtype=float)
    return member @ member.T


def one_transcript(names: pd.Index) -> np.ndarray:
    """Which miRNAs come from the same stem-loop, each with itself."""
    pairs = pd.DataFrame([(n, loop) for n, loops in places(names) for loop in loops], columns=["name", "loop"])
    return (overlap(names, pairs["name"], pairs["loop"]) > 0) | np.eye(len(names), dtype=bool)


def places(names: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Stem-loops of each name, in any spelling; a name that is none of a miRNA has none."""
    homes, _ = hairpins()
    matched = match_names(list(names))[["source", "target", "kind"]].itertuples(index=False)
    return [
        (name, [h for t in target.split(";") if t for h in (homes[t] if kind == "mature" else (t,))])
        for name, target, kind in matched
    ]


def read_edges(path: Path | str, names: Iterable[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    r"""Read a user's graph: two miRNA names a line, in any spelling, a tab between; more columns are ignored.

    A stem-loop in the file stands for all its arms among the `names` of the atlas; a line of column names is taken for
    one of unknown names. Returns the graph, and a row per name in the file: ``source, how, reason, n_mirnas`` (of the
    atlas that it stands for).

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "edges.tsv"
    >>> _ = path.write_text("miR-17\tmiR-20a-5p\n")
    >>> read_edges(path, ["hsa-miR-17-5p", "hsa-miR-20a-5p"])[0].sum().tolist()
    [1, 1]
    """
    known = pd.Index(list(names))
    try:
        table = pd.read_csv(path, sep="\t", header=None, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{path}: no edges to read ({reason}); expected two miRNA names a line, a tab between."
        ) from error
    if table.shape[1] < 2:
        raise InputError(f"{path}: one column; expected two miRNA names a line, a tab between.")
    holders: dict[str, list[int]] = {}
    for at, ((name, loops), target) in enumerate(zip(places(known), match_names(known)["target"], strict=True)):
        for key in {name, *target.split(";"), *loops} - {""}:
            holders.setdefault(key, []).append(at)
    report = match_names(pd.unique(table[[0, 1]].to_numpy().ravel()))
    named = {name: {name, *target.split(";")} - {""} for name, target in report[["source", "target"]].to_numpy()}
    stands = {name: sorted({at for key in keys for at in holders.get(key, [])}) for name, keys in named.items()}
    report["n_mirnas"] = report["source"].map(stands).map(len)
    joined = np.zeros((len(known), len(known)), dtype=bool)
    for a, b in table[[0, 1]].to_numpy():
        joined[np.ix_(stands[a], stands[b])] = True
    joined = (joined | joined.T) & ~np.eye(len(known), dtype=bool)
    if not joined.any():
        lost = report[report["n_mirnas"] == 0].iloc[:1].replace({"reason": {"": "not in the atlas"}})
        why = [*(lost["source"] + ": " + lost["reason"]), "each name is joined with itself alone"][0]
        raise InputError(
            f"{path}: no edge between miRNAs of the atlas in {len(table)} lines ({why}); expected two names a line,"
            " such as hsa-miR-21-5p."
        )
    return pd.DataFrame(joined, known, known), report[["source", "how", "reason", "n_mirnas"]]


def check_graph(graph: pd.DataFrame, names: pd.Index, what: str = "graph") -> np.ndarray:
    """Matrix of a graph in the order of the names; refused where it lacks names or has no edge between them."""
    if lacking := [n for n in names if n not in graph.index]:
        raise InputError(f"{what}: {len(lacking)} of {len(names)} miRNAs are unknown to it (first: {lacking[0]!r}).")
    matrix = graph.loc[names, names].to_numpy(dtype=bool)
    if not matrix.any():
        raise InputError(f"{what}: no edge between the {len(names)} miRNAs; expected at least one.")
    return matrix


def graph_table(graphs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What graphs look like: edges, miRNAs with and without, mean degree; and edges shared with each other graph."""
    rows = []
    for name, graph in graphs.items():
        degree = graph.sum()
        row = {"graph": name, "edges": degree.sum() // 2, "joined": (degree > 0).sum(), "alone": (degree == 0).sum()}
        row["mean degree"] = degree[degree > 0].mean()
        rows.append(row | {f"shared with {n}": (graph & g).to_numpy().sum() // 2 for n, g in graphs.items()})
    return pd.DataFrame(rows).set_index("graph")


def rewire(graph: np.ndarray, share: float = 1.0, *, seed: int = 0) -> np.ndarray:
    """Swap ends of edges (a-b, c-d become a-d, c-b): every node keeps its degree, and loses its neighbours.

    `share` of the edges take part; all give a random graph of the same degrees. A swap that would join a node with
    itself or a pair twice is left out.

    Examples
    --------
    >>> ring = np.roll(np.eye(8, dtype=bool), 1, axis=1)
    >>> rewire(ring | ring.T, seed=1).sum(axis=0).tolist()
    [2, 2, 2, 2, 2, 2, 2, 2]
    """
    if not 0 <= share <= 1:
        raise InputError(f"share of rewired edges is {share!r}; expected 0 to 1.")
    rng, there = np.random.default_rng(seed), graph.copy()
    edges = np.argwhere(np.triu(graph))
    chosen = rng.permutation(len(edges))[: round(share * len(edges))]
    for _ in range(10):
        order = rng.permutation(chosen)
        for i, j, flip in zip(order[::2], order[1::2], rng.random(len(order)) < 0.5, strict=False):
            (a, b), (c, d) = edges[i], edges[j][:: -1 if flip else 1]
            if len({a, b, c, d}) == 4 and not there[a, d] and not there[c, b]:
                for x, y, new in ((a, b, False), (c, d, False), (a, d, True), (c, b, True)):
                    there[x, y] = there[y, x] = new
                edges[i], edges[j] = (a, d), (c, b)
    return there


def normalise(graph: np.ndarray) -> np.ndarray:
    """Â = D^-1/2 (A + I) D^-1/2, float32: symmetric, largest eigenvalue 1; that of no edges is the identity.

    Examples
    --------
    >>> normalise(np.array([[0, 1], [1, 0]])).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    loops = graph.astype(bool) | np.eye(len(graph), dtype=bool)
    scale = loops.sum(axis=0) ** -0.5
    return (loops * scale * scale[:, None]).astype(np.float32)


def coarsen(graph: np.ndarray, n_clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Cluster the nodes (Ward, rows of A + I) and join the clusters between which the graph has an edge.

    Gives the cluster of each node, 0 to at most `n_clusters` - 1 (fewer where distances tie) in order of their first
    node, and ``1[P'AP > 0]`` without its diagonal; a cluster that no node is in stays alone.
    """
    if n_clusters >= len(graph):
        return np.arange(len(graph)), graph.astype(bool)
    labels = fcluster(ward((graph.astype(bool) | np.eye(len(graph), dtype=bool)).astype(float)), n_clusters, "maxclust")
    clusters = pd.factorize(labels)[0]
    member = np.eye(n_clusters)[clusters]
    return clusters, (member.T @ graph @ member > 0) & ~np.eye(n_clusters, dtype=bool)


# ---- models


def convolve(ops: Any, H: Any, A: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    """ReLU([Â H W1 + b1, H W2 + b2]) of nodes H, shape (n_samples, n_nodes, channels); `ops`: numpy or keras.ops."""
    return ops.maximum(ops.concatenate([ops.matmul(A, H @ W1) + b1, H @ W2 + b2], axis=-1), 0)


def build_graph_network(
    keras: Any, n_nodes: int, clusters: tuple[int, ...], embedding: int, channels: tuple[int, ...], n_classes: int
) -> Any:
    """Lay the graph network out; graphs and clusters are held variables, so that all of one shape share a program."""

    class Embedding(keras.layers.Layer):
        def build(self, shape: tuple) -> None:
            self.vectors = self.add_weight(shape=(shape[1], embedding), initializer="zeros", name="vectors")

        def call(self, X: Any) -> Any:
            return X[:, :, None] * self.vectors

    class Convolution(keras.layers.Layer):
        def __init__(self, level: int) -> None:
            super().__init__(name=f"convolution_{level + 1}")
            self.level = level

        def build(self, shape: tuple) -> None:
            half, n = channels[self.level] // 2, clusters[self.level]
            sizes = ((shape[2], half), (half,)) * 2
            add = partial(self.add_weight, initializer="zeros")
            self.learned = [add(shape=s, name=f"w_{i}") for i, s in enumerate(sizes)]
            self.graph = add(shape=(shape[1],) * 2, name=f"graph_{self.level}", trainable=False)
            self.pool = add(shape=(n, shape[1]), name=f"pool_{self.level}", trainable=False)

        def call(self, H: Any) -> Any:
            return keras.ops.matmul(self.pool, convolve(keras.ops, H, self.graph, *self.learned))

    model = keras.Sequential([keras.Input((n_nodes,)), Embedding(name="embedding")])
    for level, n in enumerate(clusters):
        model.add(Convolution(level))
        model.add(keras.layers.Dropout(min((level + 1) / 10, 0.4), noise_shape=(None, n, 1)))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(n_classes, kernel_initializer="zeros", name="logits"))
    return model


class GraphNetClassifier(NetworkClassifier):
    """Graph convolutions on scaled levels, `reduce` nodes pooled to one; equations at the top of the module."""

    def __init__(
        self, graph: Any, embedding: int = 4, channels: tuple[int, ...] = (8,), reduce: int = 5, epochs: int = 50,
        batch_size: int = 30, learning_rate: float = 1e-3, class_weight: dict[Any, float] | str | None = None,
        random_state: Any = None,
    ) -> None:  # fmt: skip
        self.graph, self.embedding, self.channels, self.reduce = graph, embedding, channels, reduce
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.class_weight, self.random_state = class_weight, random_state

    def _plan(self, n_features: int, rng: np.random.Generator) -> tuple[Callable, tuple, list, dict]:
        graph = square(self.graph, n_features)
        self.levels_: list[tuple[np.ndarray, np.ndarray]] = []  # of each layer: Â, and averages over clusters (P/|P|)'
        wide = self.embedding
        weights = [rng.uniform(0, 2 * wide**-0.5, (n_features, wide)).astype(np.float32)]
        for channels in self.channels:
            clusters, coarse = coarsen(graph, -(-len(graph) // self.reduce))
            member = np.eye(len(coarse), dtype=np.float32)[clusters]
            self.levels_.append((normalise(graph), (member / np.maximum(member.sum(axis=0), 1)).T))
            weights += [glorot(rng, shape) for shape in 2 * ((wide, channels // 2), (channels // 2,))]
            graph, wide = coarse, channels
        n_classes = len(self.classes_)
        weights += [glorot(rng, (len(graph) * wide, n_classes)), glorot(rng, (n_classes,))]
        sizes = tuple(len(pool) for _, pool in self.levels_)
        held = {f"{w}_{i}": m[j] for i, m in enumerate(self.levels_) for j, w in enumerate(("graph", "pool"))}
        layout = n_features, sizes, self.embedding, tuple(self.channels), n_classes
        return build_graph_network, layout, weights, held

    def logits(self, X: Any) -> np.ndarray:
        """Outputs before the softmax, shape (n_samples, n_classes), float32."""
        check_is_fitted(self, "weights_")
        return self._forward(np, validate_data(self, X, dtype=np.float32, reset=False))

    def _forward(self, ops: Any, X: Any) -> Any:
        """Logits by numpy or by jax.numpy."""
        H = X[:, :, None] * self.weights_[0]
        for i, (graph, pool) in enumerate(self.levels_):
            H = pool @ convolve(ops, H, graph, *self.weights_[1 + 4 * i : 5 + 4 * i])
        return H.reshape(len(X), -1) @ self.weights_[-2] + self.weights_[-1]

    def slopes(self, X: np.ndarray, y: Any) -> np.ndarray:
        """Gradient by X of each sample's logit of its class `y` less the mean of all logits, shape of X."""
        import jax
        import jax.numpy as jnp

        own = jnp.asarray(np.asarray(y)[:, None] == self.classes_) - 1 / len(self.classes_)
        return np.asarray(jax.grad(lambda values: (self._forward(jnp, values) * own).sum())(jnp.asarray(X)))


def graph_importance(task: Task, train: np.ndarray, *, epochs: int = 15, seed: int = 0) -> tuple[pd.Series, float]:
    """Importance of every feature to a graph network on co-expression, as networks are ranked in `limits.rank_all`.

    Graph and network come from the samples at the positions `train`. The attribution of a feature is input times
    gradient of the logit of the sample's class less the mean of all logits. Beside the importance (NaN for features
    that the filter dropped) the share of correct predictions among the other samples.

    Examples
    --------
    >>> made = simulate("demo", 60)
    >>> task = Task("demo", made.counts, made.labels, made.studies, {})
    >>> graph_importance(task, np.arange(40), epochs=1)[0].shape
    (60,)
    """
    counts = task.X.iloc[train]
    steps = recipe("logistic")[:-1].fit(counts)
    names = steps.get_feature_names_out(task.X.columns)
    graph = mirna_graph(pd.DataFrame(index=names), "coexpression", counts=counts).to_numpy()
    learn: dict[str, Any] = {"epochs": epochs, "batch_size": 20, "learning_rate": 3e-3, "random_state": seed}
    net = GraphNetClassifier(graph, embedding=2, channels=(4,), reduce=1, **learn)
    X, y = steps.transform(task.X).astype(np.float32), task.y.astype(str).to_numpy()
    net.fit(X[train], y[train])
    predicted = net.predict(X)
    right = train[predicted[train] == y[train]]
    size = global_importance(X[right] * net.slopes(X[right], y[right]), pd.Series(y[right]))
    other = np.setdiff1d(np.arange(len(y)), train)
    return pd.Series(size, names).reindex(task.X.columns), float((predicted[other] == y[other]).mean())


def square(graph: Any, n: int) -> np.ndarray:
    """Matrix of a graph over n features, refused where it is not symmetric or of another size."""
    matrix = np.asarray(graph, dtype=bool)
    if matrix.shape != (n, n) or (matrix != matrix.T).any():
        raise InputError(f"graph of shape {matrix.shape}; expected a symmetric one of {(n, n)}, a row per feature.")
    return matrix


class GraphLogistic(ClassifierMixin, BaseEstimator):
    """Logistic regression whose weights are drawn to those of their neighbours in size (SLR)."""

    def __init__(self, graph: Any, strength: float = 1.0, C: float = 1.0) -> None:
        self.graph, self.strength, self.C = graph, strength, C

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on scaled input."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        encoder = LabelEncoder().fit(y)
        self.classes_, hot = encoder.classes_, np.eye(len(encoder.classes_))[encoder.transform(y)]
        n = X.shape[1]
        laplacian = np.eye(n) - normalise(square(self.graph, n))

        # C sum_i CE_i + sum_c (|w_c|^2 / 2 + strength |w_c|' (I - Â) |w_c|); strength 0 is scikit-learn's regression
        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            W = flat.reshape(n + 1, -1)
            logits, size = X @ W[:-1] + W[-1], np.abs(W[:-1])
            smooth = self.strength * laplacian @ size
            value = self.C * (logsumexp(logits, axis=1) - (hot * logits).sum(axis=1)).sum()
            residual = self.C * (softmax(logits, axis=1) - hot)
            gradient = X.T @ residual + W[:-1] + 2 * np.sign(W[:-1]) * smooth
            value += (W[:-1] ** 2).sum() / 2 + (size * smooth).sum()
            return value, np.vstack([gradient, residual.sum(axis=0)]).ravel()

        W = minimize(loss, np.zeros((n + 1) * len(self.classes_)), jac=True, method="L-BFGS-B").x.reshape(n + 1, -1)
        self.coef_, self.intercept_ = W[:-1].T, W[-1]
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class, shape (n_samples, n_classes)."""
        check_is_fitted(self, "coef_")
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return softmax(X @ self.coef_.T + self.intercept_, axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Most probable class of each sample."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


# ---- experiments


def three_ways(studies: pd.Series, *, y: pd.Series | None = None, seed: int = 0) -> list[np.ndarray]:
    """Deal whole studies into 30 % of the samples to build graphs on, 40 % to train on and 30 % to test on."""
    sizes = studies.astype(str).value_counts().sort_index()
    if len(sizes) < 3:
        raise InputError(f"studies: {len(sizes)}; expected three at least, one each for the graph, training and test.")
    for draw in range(100):
        order = sizes.sample(frac=1, random_state=np.random.default_rng([seed, draw]))
        middle = (order.cumsum() - order / 2) / len(studies)
        part = studies.astype(str).map(middle.map(lambda at: np.searchsorted([0.3, 0.7], at))).to_numpy()
        parts = [np.flatnonzero(part == i) for i in range(3)]
        if min(map(len, parts)) and (y is None or all(set(y.iloc[p]) == set(y) for p in parts[1:])):
            return parts
    raise InputError(f"{len(sizes)} studies: no draw has every class in training and test; leave out classes of few.")


def infer_single(
    counts: pd.DataFrame, studies: pd.Series, graphs: Mapping[str, pd.DataFrame], *, n_train: int = 50,
    n_test: int = 500, n_targets: int = 60, seeds: int = 10, k: int = 10, shuffle: bool = False, seed: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:  # fmt: skip
    """Is one miRNA above its mean, as told by others? Logistic regression on its neighbours, as many others, or all.

    In each repetition studies are parted (`three_ways`): on the first part miRNAs that half of the samples express are
    chosen and ``coexpression`` is built, the second trains, the third tests. The target, with the other arm of its
    stem-loop, is taken out before reads per million are computed: within the sum, the others would tell what is
    missing.

    Parameters
    ----------
    counts, studies, graphs
        Raw counts of all miRNAs; study of each sample; graphs that need no expression (may be empty). Targets are
        miRNAs with two neighbours in the first.
    n_train, n_test, n_targets, seeds
        Samples for training and test, miRNAs per repetition (at most), and repetitions, the first with `seed`.
    k, shuffle
        As in `mirna_graph`; deal the target's share of the reads to other samples: whatever still tells it is a leak.

    Returns
    -------
    DataFrame, one row per repetition, target, graph and inputs
        ``seed, target, graph, inputs`` (neighbours, random, all), ``auc`` (on test samples), ``n_inputs, n_train,
        n_samples, n_datasets`` (the last two of the test).

    Examples
    --------
    >>> task, blocks = simulate_blocks(300, reads=2000, seed=1)
    >>> told = infer_single(task.X, task.groups, {"blocks": blocks}, seeds=2, n_targets=3)
    >>> sorted(told["inputs"].unique())
    ['all', 'neighbours', 'random']
    """
    whole = counts.to_numpy(dtype=float).sum(axis=1)

    def once(seed: int) -> pd.DataFrame:
        rng, parts = np.random.default_rng(seed), three_ways(studies, seed=seed)
        seen = counts.iloc[parts[0]]
        kept = counts.columns[(seen > 0).mean() >= 0.5]
        own = {name: check_graph(graph, kept, name) for name, graph in graphs.items()}
        own["coexpression"] = mirna_graph(pd.DataFrame(index=kept), "coexpression", counts=seen, k=k).to_numpy()
        train, test = (rng.permutation(p)[:n] for p, n in zip(parts[1:], (n_train, n_test), strict=True))
        rows, n = np.concatenate([train, test]), len(train)
        values, total, twins = counts[kept].to_numpy(dtype=float)[rows], whole[rows], one_transcript(kept)
        about = {"seed": seed, "n_train": n, "n_samples": len(test), "n_datasets": studies.iloc[test].nunique()}
        found = []
        for target in rng.permutation(np.flatnonzero(next(iter(own.values())).sum(axis=1) > 1))[:n_targets]:
            gone = twins[target]
            others, share = np.flatnonzero(~gone), values[:, gone] / np.maximum(total, 1)[:, None]
            rest = np.maximum(total * (1 - share.sum(axis=1)), 1)
            share = share[rng.permutation(len(rows)) if shuffle else slice(None)]
            X = np.log2(1e6 * values / rest[:, None] + 1)
            X[:, gone] = np.log2(1e6 * share + 1)
            y = X[:, target] > X[:n, target].mean()
            if min(len(set(y[:n])), len(set(y[n:]))) < 2:
                continue
            near = {name: np.flatnonzero(graph[target] & ~gone) for name, graph in own.items()}
            arms = [(g, "neighbours", at) for g, at in near.items() if len(at)]
            arms += [(g, "random", rng.choice(others, len(at), replace=False)) for g, _, at in arms]
            done = {"all": _auc(X[:, others], y, n)}
            for name, inputs, at in [*arms, *((g, "all", others) for g, at in near.items() if len(at))]:
                row = about | {"target": kept[target], "graph": name, "inputs": inputs, "n_inputs": len(at)}
                found.append(row | {"auc": done[inputs] if inputs in done else _auc(X[:, at], y, n)})
        return pd.DataFrame(found)

    return pd.concat(Parallel(n_jobs)(delayed(once)(s) for s in range(seed, seed + seeds)), ignore_index=True)


def _auc(X: np.ndarray, y: np.ndarray, n: int) -> float:
    """AUC of a logistic regression trained on the first n samples, on the others."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(X[:n], y[:n])
    return float(roc_auc_score(y[n:], model.predict_proba(X[n:])[:, 1]))


def label_tasks(atlas: ad.AnnData, labels: Iterable[str], *, min_studies: int = 6, most: int = 6) -> dict[str, Task]:
    """Tasks of the labels that the atlas has: classes of `min_studies` studies at least, the `most` widest of them.

    A label without two such classes is left out; of sex and age only studies that do not give them away count.
    """
    tasks = {}
    for label in (name for name in labels if name in atlas.obs and atlas.obs[name].nunique() > 1):
        try:
            own = eligible(atlas, label)
        except InputError:
            continue
        wide = own.obs.groupby(label, observed=True)["dataset_id"].nunique().sort_values(ascending=False, kind="stable")
        kept = wide[wide >= min_studies].index[:most]
        if len(kept) > 1:
            tasks[label] = make_task(own[own.obs[label].isin(kept).to_numpy()], label, min_class_size=1)
    return tasks


def learning_curve(
    task: Task, graph: pd.DataFrame | None = None, *, sizes: Iterable[int] = (25, 50, 100, 200, 400),
    shares: Iterable[float] = (0.0, 1.0), n_nodes: int = 200, n_test: int = 500, seeds: int = 10, steps: int = 250,
    k: int = 10, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """AUC of models with and without a graph, over the number of training samples, studies kept apart.

    In each repetition studies are parted (`three_ways`); on the first part the nodes are chosen (the most abundant) and
    co-expression is built; samples are drawn from the second, class by class; the third tests. All models read the
    same log CPM, scaled on the training samples; both networks take as many steps.

    Parameters
    ----------
    task, graph
        Raw counts of miRNAs, classes, studies; which miRNAs are joined (by default ``coexpression``).
    sizes, shares
        Training samples, where the training studies have so many; shares of the edges that are rewired (`rewire`)
        before the graph network gets the graph: 0 is the graph as it is, 1 a random one of the same degrees.
    n_nodes, n_test, seeds, k
        miRNAs; test samples at most; repetitions, the first with `seed`; as in `mirna_graph`.
    steps : int, default 250
        Batches of ten that a network learns from, in 3 to 100 passes.

    Returns
    -------
    DataFrame, one row per repetition, model and size
        ``seed, model`` (logistic, network, graph logistic, no edges, graph network, or how much of its graph is
        rewired), ``rewired, kept`` (shares of edges; NaN without a graph), ``n_train, auc`` (mean over classes of one
        against the rest, of probabilities), ``n_samples, n_datasets`` (of the test).

    Examples
    --------
    >>> task, blocks = simulate_blocks(300, seed=1)
    >>> learning_curve(task, blocks, sizes=(50,), shares=(), seeds=1, steps=5)["model"].tolist()
    ['logistic', 'network', 'graph logistic', 'no edges']
    """
    rows, levels = [], LogCPM().fit_transform(task.X.to_numpy(dtype=float))
    y = task.y.astype(str).to_numpy()
    for s in range(seed, seed + seeds):
        rng, parts = np.random.default_rng(s), three_ways(task.groups, y=task.y, seed=s)
        chosen = np.argsort(-levels[parts[0]].mean(axis=0), kind="stable")[:n_nodes]
        names, joined = task.X.columns[chosen], graph
        if joined is None:
            joined = mirna_graph(pd.DataFrame(index=names), "coexpression", counts=task.X.iloc[parts[0]], k=k)
        graph_s = check_graph(joined, names)
        train, test = rng.permutation(parts[1]), rng.permutation(parts[2])[:n_test]
        train = train[pd.Series(y[train]).groupby(y[train]).cumcount().argsort(kind="stable")]  # class by class
        about = {"seed": s, "n_samples": len(test), "n_datasets": task.groups.iloc[test].nunique()}
        wired = {share: rewire(graph_s, share, seed=s) for share in shares}
        for n in (n for n in sizes if n <= len(train)):
            scale = StandardScaler().fit(levels[train[:n]][:, chosen])
            X, Z = (scale.transform(levels[at][:, chosen]) for at in (train[:n], test))
            learn: dict[str, Any] = {"batch_size": 10, "learning_rate": 3e-3, "random_state": s}
            learn["epochs"] = int(np.clip(10 * steps / n, 3, 100))
            models: dict[str, tuple[float, Any]] = {
                "logistic": (np.nan, LogisticRegression(C=RIDGE, max_iter=1000)),
                "network": (np.nan, DenseNetClassifier(hidden=(32,), dropout=(0.8,), **learn)),
                "graph logistic": (0.0, GraphLogistic(graph_s, C=RIDGE)),
                "no edges": (np.nan, GraphNetClassifier(graph_s & False, reduce=1, **learn)),
            }
            for share, own in wired.items():
                models[f"{share:.0%} rewired" if share else "graph network"] = share, GraphNetClassifier(own, **learn)
            for name, (share, model) in models.items():
                p = model.fit(X, y[train[:n]]).predict_proba(Z)
                auc = np.mean([roc_auc_score(y[test] == c, p[:, i]) for i, c in enumerate(model.classes_)])
                kept = (wired[share] & graph_s).sum() / graph_s.sum() if share in wired else np.nan
                rows.append(about | {"model": name, "rewired": share, "kept": kept, "n_train": n, "auc": auc})
    return pd.DataFrame(rows, columns=list(CURVE))


def learning_curves(tasks: Mapping[str, Task], graph: pd.DataFrame | None = None, **options: Any) -> pd.DataFrame:
    """Learning curves of several tasks, named in the column ``task``; without rows where there is none."""
    found = [learning_curve(task, graph, **options).assign(task=name) for name, task in tasks.items()]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["task", *CURVE])


def simulate_blocks(n_samples: int = 6000, *, reads: int = 120, seed: int = 0) -> tuple[Task, pd.DataFrame]:
    """Two classes that differ in four of twenty groups of twenty features, and the graph that joins each group.

    From `limits.simulate`; libraries are so shallow (`reads`) that a single feature says little.
    """
    made = simulate(Design(2, 20, 2, size=20, n_studies=12), n_samples, seed=seed)
    shares = made.counts.to_numpy(dtype=float) / made.counts.sum(axis=1).to_numpy()[:, None]
    X = pd.DataFrame(np.random.default_rng(seed).multinomial(reads, shares), *made.counts.axes)
    names = made.counts.columns
    joined = (overlap(names, made.groups["feature"], made.groups["group"]) > 0) & ~np.eye(len(names), dtype=bool)
    return Task("class", X, made.labels, made.studies, {}), pd.DataFrame(joined, names, names)


def over_seeds(table: pd.DataFrame, by: list[str], value: str = "auc") -> pd.DataFrame:
    """Mean over repetitions of each one's mean (``value``), with the 95 % t interval; groups in order of appearance."""
    each = table.groupby([*by, "seed"], sort=False)[value].mean().dropna().reset_index()
    out = each.groupby(by, sort=False)[value].agg(value="mean", error="sem", n_seeds="size").reset_index()
    half = stats.t.ppf(0.975, np.maximum(out["n_seeds"] - 1, 1)) * out.pop("error")
    return out.assign(ci_low=out["value"] - half, ci_high=out["value"] + half, metric=value)


def gains(table: pd.DataFrame, by: list[str], of: str, first: str, others: Iterable[str]) -> pd.DataFrame:
    """Difference of AUC between values of the column `of`, repetition by repetition: the first less each other.

    Returns `by`, ``other, difference, ci_low, ci_high, n_seeds``; ``comparison`` names a row, ``told`` adds the number.
    """
    wide = table.groupby([*by, "seed", of], sort=False)["auc"].mean().unstack(of).reindex(columns=[first, *others])
    pairs = [(wide[first] - wide[o]).rename("difference").reset_index().assign(other=o) for o in others]
    out = over_seeds(pd.concat(pairs), [*by, "other"], "difference").rename(columns={"value": "difference"})
    names = [f"{', '.join(map(str, row[:-1]))} – {row[-1]}" for row in out[[*by, "other"]].itertuples(index=False)]
    told = [f"{name} {difference:+.3f}" for name, difference in zip(names, out["difference"], strict=True)]
    return out.assign(comparison=names, told=told)
