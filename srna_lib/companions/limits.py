"""Limits of explanations: can a ranking of sRNAs be trusted? Companion of arXiv 2303.11336 (notebook 09).

The original simulates expression whose informative genes are known, trains classifiers that are all but perfect, and
asks whether the genes that explain them are the informative ones.

Left out, and why: batch normalisation and stochastic gradient descent (the package's network has dropout and Adam);
boosted trees (the package has forests); the mean of the normal class as baseline of binary tasks (gaps would no longer
treat classes alike); DESeq2 and edgeR (R; the F statistic stands in); gene sets (notebook 05 has them); the filters of
lowly expressed genes (recipes drop what nine of ten training samples lack).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import clone
from sklearn.feature_selection import f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import Pipeline

from srna_lib import explain
from srna_lib.data import Task
from srna_lib.errors import InputError, unknown
from srna_lib.evaluate import Split, fit_fold, make_splits, map_folds, task_key
from srna_lib.models import DenseNetClassifier, recipe

READS = 1_500_000  # of a sample, as in the original
BATCH = 256  # samples whose gradients are held at a time
PRECISION = 4.0  # of theta: the Dirichlet's parameters are this times the gap
LEAST = 0.1  # share of an owned group that its smallest member has at least, times the group's size
NETWORK = {"classifier__hidden": (20,), "classifier__dropout": (0.2,), "classifier__epochs": 12,
           "classifier__batch_size": 32}  # fmt: skip  # one small hidden layer, as in the original
LAYOUTS = ("blocks", "sparse", "ring", "chain")


@dataclass(frozen=True)
class Design:
    """What is simulated; change one by ``dataclasses.replace``.

    Attributes
    ----------
    n_classes, n_groups, owned
        Classes; groups of features that rise and fall together (pathways there, families or clusters here); groups that
        each class owns for itself. A group of no class says nothing.
    size
        Features of a group; or the smallest and the largest, each equally likely.
    gap
        How many times its usual rate an owned group has in its class.
    layout
        ``blocks``: a feature has one group. ``sparse``: each of `n_features` joins each group by chance, `size` in the
        mean and at least 3. ``ring``, ``chain``: neighbouring groups share one (the last also with the first, or not).
    weights
        Share of the samples in each class; equal by default.
    ordinal
        All classes own the same groups, whose gap grows from 1 in the first class to `gap` in the last (as with age).
    evenness, skew
        Dirichlet parameter of the shares of a group's members (1 is uneven); standard deviation of the log rates of
        the groups, about 2 in sRNA libraries.
    n_studies, study_sd, classes_per_study
        Studies; standard deviation of the log factor by which a study multiplies each group; classes that a study holds
        (0: all; few of them confound study and class).
    """

    n_classes: int
    n_groups: int
    owned: int
    size: int | tuple[int, int] = 10
    gap: float = 2.0
    layout: str = "blocks"
    n_features: int = 0
    weights: tuple[float, ...] = ()
    ordinal: bool = False
    evenness: float = 5.0
    skew: float = 0.0
    n_studies: int = 1
    study_sd: float = 0.0
    classes_per_study: int = 0
    prefix: str = "g"

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        sets = 1 if self.ordinal else self.n_classes
        if self.n_classes < 2 or not 1 <= self.owned * sets <= self.n_groups:
            found = f"{self.n_classes} classes that own {self.owned} of {self.n_groups} groups"
            raise InputError(f"design: found {found}; expected two classes or more, and enough groups for all of them.")
        if not 1 <= np.min(self.size):
            raise InputError(f"design: groups of {self.size} features; expected at least one.")
        if self.layout not in LAYOUTS:
            raise unknown("layout", self.layout, LAYOUTS)
        if self.classes_per_study and self.n_studies < self.n_classes:
            raise InputError(f"design: {self.n_studies} studies for {self.n_classes} classes; expected one for each.")


_TOY = Design(3, 3, 1, size=2)
_SRNA = {"size": (2, 10), "evenness": 1.0, "skew": 2.0, "n_studies": 24, "study_sd": 0.5, "prefix": "sRNA"}
DESIGNS = {
    "demo": Design(2, 6, 2),
    "SIMU1": Design(33, 1500, 37),
    "SIMU2": Design(33, 3000, 37, layout="sparse", n_features=15_000),
    "SimuA": Design(2, 5000, 500),
    "SimuB": Design(4, 5000, 500),
    "SimuC": Design(6, 5000, 500),
    "set0": _TOY,
    "set1": Design(3, 13, 1, size=2),
    "set2": _TOY,
    "set3": _TOY,
    "set4": Design(3, 3, 1, size=2, layout="ring"),
    "set5": Design(3, 3, 1, size=2, layout="chain"),
    "srna_tissue": Design(6, 120, 5, gap=2.0, classes_per_study=2, **_SRNA),  # type: ignore[arg-type]
    "srna_sex": Design(2, 120, 2, gap=1.2, **_SRNA),  # type: ignore[arg-type]
    "srna_age": Design(3, 120, 6, gap=1.5, ordinal=True, **_SRNA),  # type: ignore[arg-type]
}


def design(name: str) -> Design:
    """Look a design up by name.

    Beside `DESIGNS` there are families of 2000 features: ``syn_g_<m>`` (m + 1 classes with 10 groups each; of 6 and 11
    classes the last has half of the samples), ``syn_t_<k>`` (2 classes with one group of k features each), and
    ``syn_p_<m>`` (2 classes with m groups each). ``syn_g`` alone is ``syn_g_1``.

    Examples
    --------
    >>> design("SIMU1").n_classes, design("syn_t_50").n_groups
    (33, 40)
    """
    if found := re.fullmatch(r"syn_(?:g(?:_(\d+))?|t_(\d+)|p_(\d+))", name):
        more, size, owned = (None if v is None else int(v) for v in found.groups())
        if size is not None:
            return Design(2, 2000 // max(size, 1), 1, size=size)
        if owned is not None:
            return Design(2, 200, owned)
        n = 2 if more is None else more + 1
        return Design(n, 200, 10, weights=(0.5 / (n - 1),) * (n - 1) + (0.5,) if n in (6, 11) else ())
    if name not in DESIGNS:
        raise unknown("design", name, [*DESIGNS, "syn_g_<m>", "syn_t_<k>", "syn_p_<m>"])
    return DESIGNS[name]


class Simulation(NamedTuple):
    """Simulated samples (each of `READS` reads) and the truth behind them."""

    counts: pd.DataFrame
    labels: pd.Series
    studies: pd.Series
    groups: pd.DataFrame  # group, feature, share (of the group's reads)
    owned: dict[str, list[str]]
    truth: pd.DataFrame  # classes x features: sign of what is expected beyond the mean of the other classes


def simulate(
    what: str | Design = "demo", n_samples: int = 9900, *, seed: int = 0, two_step: bool = False
) -> Simulation:
    """Simulate reads by latent Dirichlet allocation, with classes that own groups of features.

    With k members in group p and :math:`g_{cp}` the gap where class c owns p and 1 elsewhere::

        beta_p  ~ Dirichlet(evenness, ..., evenness) on its members; drawn anew while min(beta_p) < 0.1 / k, if owned
        theta_e ~ Gamma(4 g_cp) * base_p * study_sp, brought to sum 1     (base_p, study_sp log-normal or 1)
        x_e     ~ Multinomial(N, theta_e @ beta)                          (one step)

    With base and study 1, theta is Dirichlet(4 g_c): the original's. There each read draws its group first and its
    feature then (`two_step`), which has the same distribution and takes a loop over all groups.

    Parameters
    ----------
    what, n_samples, seed
        Name (see `design`) or a design of your own; samples in all, at least 2 of each class; seed of all draws.
    two_step : bool, default False
        Draw as the original does.

    Examples
    --------
    >>> made = simulate("demo", 40, seed=1)
    >>> made.counts.shape, int((made.truth != 0).any().sum()), made.owned["C1"]
    ((40, 60), 40, ['P2', 'P3'])
    """
    d = design(what) if isinstance(what, str) else what
    if n_samples < 2 * d.n_classes:
        raise InputError(f"n_samples={n_samples}: expected at least {2 * d.n_classes} for {d.n_classes} classes.")
    rng = np.random.default_rng(seed)
    gaps = np.ones((d.n_classes, d.n_groups))
    for c in range(d.n_classes):
        gaps[c, slice(d.owned) if d.ordinal else slice(c * d.owned, (c + 1) * d.owned)] = (
            1 + (d.gap - 1) * c / (d.n_classes - 1) if d.ordinal else d.gap
        )
    mine = (gaps != 1).any(axis=0)
    beta = _shares(d, mine, rng)
    base = np.exp(d.skew * rng.normal(size=d.n_groups))
    factor = np.exp(d.study_sd * rng.normal(size=(d.n_studies, d.n_groups)))
    share = np.asarray(d.weights or (1 / d.n_classes,) * d.n_classes)
    label = np.repeat(np.arange(d.n_classes), np.diff(np.round(np.cumsum([0, *share]) * n_samples).astype(int)))
    counts, study = np.empty((n_samples, beta.shape[1]), dtype=np.int32), np.empty(n_samples, dtype=int)
    held = d.classes_per_study or d.n_classes
    for c, own in enumerate(rng.spawn(d.n_classes)):  # theta is the same in one step and in two
        rows = np.flatnonzero(label == c)
        hosts = [s for s in range(d.n_studies) if (c - s) % d.n_classes < held]
        study[rows] = np.resize(hosts, len(rows))
        theta = own.gamma(PRECISION * gaps[c], size=(len(rows), d.n_groups)) * base * factor[study[rows]]
        theta /= theta.sum(axis=1, keepdims=True)
        counts[rows] = _two_step(theta, beta, own) if two_step else own.multinomial(READS, theta @ beta)
    features = np.array([f"{d.prefix}{j}" for j in range(beta.shape[1])])
    shuffled = rng.permutation(len(features))  # else equal scores, which stay in order, would fall to the owned ones
    groups, classes = [f"P{p}" for p in range(d.n_groups)], [f"C{c}" for c in range(d.n_classes)]
    expected = (gaps * base) @ beta
    others = (expected.sum(axis=0) - expected) / (d.n_classes - 1)
    truth = np.where(np.abs(expected - others) > 1e-9 * expected, np.sign(expected - others), 0).astype(np.int8)
    members, index = beta.tocoo(), pd.Index([f"s{i}" for i in range(n_samples)])
    return Simulation(
        pd.DataFrame(counts[:, shuffled], index, features[shuffled]),
        pd.Series([classes[c] for c in label], index, name="class"),
        pd.Series([f"S{s:02d}" for s in study], index, name="study"),
        pd.DataFrame({"group": np.take(groups, members.row), "feature": features[members.col]}).assign(
            share=members.data
        ),
        {c: [g for g, gap in zip(groups, row, strict=True) if gap != 1] for c, row in zip(classes, gaps, strict=True)},
        pd.DataFrame(truth[:, shuffled], classes, features[shuffled]),
    )


def _shares(d: Design, owned: np.ndarray, rng: np.random.Generator) -> sparse.csr_matrix:
    """Share of each member in its group's reads, shape (n_groups, n_features)."""
    low, high = (d.size, d.size) if isinstance(d.size, int) else d.size
    sizes, n_features = rng.integers(low, high + 1, d.n_groups), d.n_features
    if d.layout == "sparse":
        members = [np.flatnonzero(rng.random(n_features) < low / n_features) for _ in sizes]
        while short := [p for p, m in enumerate(members) if len(m) < 3]:
            members[short[0]] = np.flatnonzero(rng.random(n_features) < low / n_features)
    else:
        starts = np.cumsum([0, *sizes - (d.layout != "blocks")])
        n_features = int(starts[-1]) + (d.layout == "chain")
        members = [(at + np.arange(k)) % n_features for at, k in zip(starts, sizes, strict=False)]
    shares = []
    for p, own in enumerate(members):
        drawn = rng.dirichlet([d.evenness] * len(own))
        while owned[p] and drawn.min() < LEAST / len(own):
            drawn = rng.dirichlet([d.evenness] * len(own))
        shares.append(drawn)
    where = np.repeat(np.arange(d.n_groups), [len(m) for m in members]), np.concatenate(members)
    return sparse.csr_matrix((np.concatenate(shares), where), shape=(d.n_groups, n_features))


def _two_step(theta: np.ndarray, beta: sparse.csr_matrix, rng: np.random.Generator) -> np.ndarray:
    """Reads drawn group by group, shape (n_samples, n_features)."""
    of_group = rng.multinomial(READS, theta)
    counts = np.zeros((len(theta), beta.shape[1]), dtype=np.int64)
    for p in range(beta.shape[0]):
        row = beta[p]
        counts[:, row.indices] += rng.multinomial(of_group[:, p], row.data / row.data.sum())
    return counts


class Attributions(NamedTuple):
    """Attributions to each sample's own class: values (n_samples, n_features), what their sum lacks, and the steps."""

    values: np.ndarray
    error: np.ndarray
    steps: np.ndarray


def attributions(
    model: Pipeline, X: pd.DataFrame, y: Iterable[str], *, output: str = "probability", steps: int = 50,
    tolerance: float = 0.01, most: int = 25_600,
) -> Attributions:  # fmt: skip
    """Integrated gradients of each sample's own class, with steps doubled until they add up.

    With baseline b and output f (the class's probability, as in the original; or its logit minus the mean of the
    others, since only differences of logits mean something)::

        a_j(x) = (x_j - b_j) * mean over t of df/dx_j at b + t (x - b),     |sum_j a_j(x) - (f(x) - f(b))| <= tolerance

    Parameters
    ----------
    model, X, y
        Pipeline that ends in a dense network or a logistic regression; raw counts; classes.
    output : {"probability", "logit"}
        f.
    steps, most : int
        Points on the way at first (the original starts with 3000), and at which it is given up: `CompletenessError`.
    tolerance : float, default 0.01
        What the sum may lack, in every sample: one percentage point in the original.

    Examples
    --------
    >>> import srna_lib as srna
    >>> made = simulate("demo", 40)
    >>> model = srna.recipe("logistic").fit(made.counts, made.labels)
    >>> bool(attributions(model, made.counts, made.labels).error.max() <= 0.01)
    True
    """
    own = np.searchsorted(model.classes_, list(y))
    each = np.arange(len(own))
    inner, base = explain.model_space(model, X), explain.reference_input(model, X)
    due = _outputs(model[-1], inner, output) - _outputs(model[-1], base, output)
    due = explain.d1(due[:, :, None], own)[:, 0] if output == "logit" else due[each, own]
    values, error, used = np.empty(inner.shape, dtype=np.float32), np.empty(len(each)), np.empty(len(each), dtype=int)
    for at in range(0, len(each), BATCH):
        rows, points = each[at : at + BATCH], steps
        while len(rows):
            found = explain.integrated_gradients(model, X.iloc[rows], steps=points, output=output)
            to_own = found[np.arange(len(rows)), own[rows]]
            values[rows] = explain.d1(found, own[rows]) if output == "logit" else to_own
            error[rows], used[rows] = np.abs(values[rows].sum(axis=1) - due[rows]), points
            rows, points = rows[error[rows] > tolerance], 2 * points
            if len(rows) and points > most:
                lacking = f"{len(rows)} samples lack up to {error[rows].max():.3g} of the {output} at {most} steps"
                raise explain.CompletenessError(f"integrated gradients: {lacking}; expected at most {tolerance:g}.")
    return Attributions(values, error, used)


def _outputs(classifier: Any, values: pd.DataFrame, output: str) -> np.ndarray:
    """Probabilities or logits, shape (n_samples, n_classes); of a logistic regression's two classes the first has 0."""
    if output == "probability":
        return classifier.predict_proba(values.to_numpy())
    logits = (classifier.logits if hasattr(classifier, "logits") else classifier.decision_function)(values.to_numpy())
    return logits if logits.ndim == 2 else np.column_stack([np.zeros_like(logits), logits])


def fit_all(
    task: Task, train: np.ndarray, *, n_networks: int = 10, seed: int = 0, network: Mapping[str, Any] | None = None,
    trees: int = 50,
) -> dict[str, Pipeline]:  # fmt: skip
    """Fit the models whose rankings are compared, on log2 CPM in z-scores (the forest on reads per million).

    Parameters
    ----------
    task, train
        Samples and labels; positions of the training samples.
    n_networks, seed
        Networks that differ in nothing but their seed, and the first of their seeds, which is also the forest's.
    network, trees
        Parameters of recipe ``dl_log``, by default `NETWORK`, one hidden layer as in the original; size of the forest.

    Examples
    --------
    >>> made = simulate("demo", 60)
    >>> task = Task("demo", made.counts, made.labels, made.studies, {})
    >>> list(fit_all(task, np.arange(60), n_networks=0, trees=5))
    ['logistic L2', 'logistic L1', 'forest']
    """
    lasso = LogisticRegression(l1_ratio=1.0, solver="saga", C=0.1, class_weight="balanced", tol=0.01, max_iter=300)
    models = {"logistic L2": recipe("logistic"), "logistic L1": recipe("logistic").set_params(classifier=lasso)}
    lasso.random_state = seed
    models["forest"] = recipe("rf_plain", seed=seed, zeros__max_zero_share=0.9, classifier__n_estimators=trees)
    for i in range(n_networks):
        models[f"network {i + 1}"] = recipe("dl_log", seed=seed + i, **(network or NETWORK))
    return {name: fit_fold(task, model, train) for name, model in models.items()}


def rank_all(models: Mapping[str, Pipeline], X: pd.DataFrame, y: Iterable[str], *, seed: int = 0) -> pd.DataFrame:
    """Importance of every feature (columns) by every method (rows), for the whole task.

    Networks: ``|attributions|`` of the correctly classified samples, each sample brought to norm 1, averaged in classes
    and then over classes. Linear models: ``|weight|``, mean over classes. Beside them the F statistic, which needs no
    model, a random order, DeepLIFT in the first network, and the ranks of all networks averaged; NaN where a filter
    dropped a feature.

    `models` are from `fit_all` (networks may be missing), `X` and `y` the samples that they were fitted on.

    Examples
    --------
    >>> import srna_lib as srna
    >>> made = simulate("demo", 60)
    >>> model = srna.recipe("logistic").fit(made.counts, made.labels)
    >>> rank_all({"logistic L2": model}, made.counts, made.labels).index.tolist()
    ['logistic L2', 'ANOVA F', 'random order']
    """
    truth = pd.Series(list(y), X.index)
    rows, networks = {}, {n: m for n, m in models.items() if isinstance(m[-1], DenseNetClassifier)}
    for name, model in models.items():
        if name in networks:
            right = model.predict(X) == truth
            size = explain.global_importance(attributions(model, X[right], truth[right]).values, truth[right])
            rows[name] = pd.Series(size, explain.model_space(model, X[:1]).columns)
        elif isinstance(model[-1], LogisticRegression):
            rows[name] = explain.linear_weights(model, X).abs().mean()
        else:
            rows[name] = explain.forest_gini(model, X).iloc[0]
    for name, model in list(networks.items())[:1]:
        right = model.predict(X) == truth
        own = np.atleast_1d(np.searchsorted(model.classes_, truth[right]))
        local = explain.d1(explain.contributions(model, X[right], reference="mean").values, own)
        size = explain.global_importance(local, truth[right])
        rows[f"{name}, DeepLIFT"] = pd.Series(size, explain.model_space(model, X[:1]).columns)
    inner = explain.model_space(models["logistic L2"], X)
    rows["ANOVA F"] = pd.Series(f_classif(inner, truth)[0], inner.columns)
    if networks:
        average = explain.rank_average([rows[n].to_frame().T.set_axis(["all"]) for n in networks]).loc["all"]
        rows["mean rank"] = average - average.min()
    rows["random order"] = pd.Series(np.random.default_rng(seed).random(X.shape[1]), X.columns)
    return pd.DataFrame(rows).T.reindex(columns=X.columns)


def gaps(
    models: Mapping[str, Pipeline], X: pd.DataFrame, y: Iterable[str], *, step: int = 10, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Prediction gaps by a model's own integrated gradients: each sample's order (local), and one for all (global).

    With F features, g masked at a time (put to the training mean), and pi the order, of a sample x of class y::

        PG(x, pi) = 100 * sum_i (g / F) * max(0, (p_y(x) - p_y(x with the first i g of pi masked)) / p_y(x))

    averaged over the correctly classified samples of a class, then over classes. PGI: largest ``|attribution|`` first;
    PGU: smallest first. On our scale both are divided by the gap of random orders.

    `models` are networks or logistic regressions, `X` and `y` the samples to mask (the original takes the training
    samples), `step` is g. Returns the two tables of `explain.gap_tables`; methods are ``<model>, local`` and ``<model>,
    global``.

    Examples
    --------
    >>> import srna_lib as srna
    >>> made = simulate("demo", 60)
    >>> model = srna.recipe("logistic").fit(made.counts, made.labels)
    >>> table, _ = gaps({"logistic": model}, made.counts, made.labels)
    >>> bool((table["PGI"] > table["PGU"]).all())
    True
    """
    truth, tables = pd.Series(list(y), X.index), []
    for name, model in models.items():
        right = model.predict(X) == truth
        own, local = truth[right], attributions(model, X[right], truth[right]).values
        scores = {f"{name}, local": local, f"{name}, global": explain.global_importance(local, own)}
        tables.append(explain.gap_tables(model, X[right], own, scores, step=step, seed=seed))
    table, curves = (pd.concat(parts) for parts in zip(*tables, strict=True))
    return table, curves.reset_index(drop=True)


def by_length(scores: pd.DataFrame, lengths: Iterable[int], truth: Iterable[str] = ()) -> pd.DataFrame:
    """How much of its top list each ranking shares with the others, and how much of it is true, by the list's length.

    Parameters
    ----------
    scores, lengths, truth
        Rankings x features, e.g. of seeds; lengths k of the lists; true features (without them ``precision`` is NaN).

    Returns
    -------
    DataFrame, one row per length
        ``k, overlap`` (mean over pairs), ``chance`` (of random lists), ``precision`` (mean over rankings).

    Examples
    --------
    >>> runs = pd.DataFrame([[3, 2, 1], [3, 1, 2]], index=["one", "other"], columns=list("abc"))
    >>> by_length(runs, [1, 2], ["a", "b"])[["overlap", "precision"]].to_numpy().tolist()
    [[1.0, 1.0], [0.5, 0.75]]
    """
    runs, known, rows = {n: scores.loc[[n]].set_axis(["all"]) for n in scores.index}, set(truth), []
    for k in lengths:
        pairs = explain.agreement(runs, k)
        best = [row.nlargest(k).index for _, row in scores.iterrows()]
        right = np.mean([[f in known for f in b] for b in best]) if known else np.nan
        rows.append({"k": k, "overlap": pairs["overlap"].mean(), "chance": k / scores.shape[1], "precision": right})
    return pd.DataFrame(rows)


def retrain(task: Task, split: Split, scores: pd.DataFrame, *, k: int = 50) -> pd.DataFrame:
    """Fit a logistic model anew on slices of each ranking, and predict the test samples.

    `scores` are of `rank_all` on the training samples of the split. Returns the columns of `evaluate.cross_validate`:
    ``model`` is the method, ``features`` the slice: ``best 10``, ``best k``, ``next k``, ``middle k`` and ``worst k``
    of the features that have a score.

    Examples
    --------
    >>> made = simulate("demo", 60)
    >>> task = Task("demo", made.counts, made.labels, made.studies, {})
    >>> split = make_splits(task, "random", n_splits=2)[0]
    >>> scores = pd.DataFrame([np.arange(60.0)], index=["by position"], columns=made.counts.columns)
    >>> retrain(task, split, scores, k=20)["features"].unique().tolist()
    ['best 10', 'best 20', 'next 20', 'middle 20', 'worst 20']
    """
    *steps, _ = recipe("logistic").steps
    inner = Pipeline(steps).fit(task.X.iloc[split.train])
    names = inner.get_feature_names_out(task.X.columns)
    values = pd.DataFrame(inner.transform(task.X), task.X.index, names)
    base = LogisticRegression(C=0.1, class_weight="balanced", max_iter=500)
    tables = []
    for method, row in scores[[c for c in scores if c in values]].iterrows():
        order = row.dropna().sort_values(ascending=False, kind="stable").index
        if len(order) < 2 * k:
            raise InputError(f"k={k}: the ranking {method!r} has {len(order)} features; expected at least {2 * k}.")
        half = (len(order) - k) // 2
        slices = {"best 10": order[:10], f"best {k}": order[:k], f"next {k}": order[k : 2 * k]}
        slices |= {f"middle {k}": order[half : half + k], f"worst {k}": order[-k:]}
        for name, chosen in slices.items():
            model = clone(base).fit(values[chosen].iloc[split.train], task.y.iloc[split.train])
            told = _told(task, split, model.predict(values[chosen].iloc[split.test]))
            tables.append(told.assign(model=method, features=name))
    return pd.concat(tables, ignore_index=True)


def _told(task: Task, split: Split, predicted: np.ndarray) -> pd.DataFrame:
    """Predictions of the test samples of a fold."""
    about = {"sample_id": task.X.index, "dataset_id": task.groups.to_numpy(), "y_true": task.y.astype(object)}
    table = pd.DataFrame(about).iloc[split.test].reset_index(drop=True)
    return table.assign(y_pred=predicted, task=task.name, fold=split.fold)


def one_fold(task: Task, split: Split, *, k: int = 50, seed: int = 0, **options: Any) -> pd.DataFrame:
    """`fit_all`, `rank_all` and `retrain` in one fold; ``features`` is ``all`` for the models themselves."""
    models = fit_all(task, split.train, seed=seed, **options)
    scores = rank_all(models, task.X.iloc[split.train], task.y.iloc[split.train], seed=seed)
    whole = [_told(task, split, m.predict(task.X.iloc[split.test])).assign(model=n) for n, m in models.items()]
    return pd.concat([pd.concat(whole).assign(features="all"), retrain(task, split, scores, k=k)], ignore_index=True)


def across_folds(
    task: Task, splits: list[Split], *, scheme: str, cache: Path | str | None = None, n_jobs: int = 1, **options: Any
) -> pd.DataFrame:
    """Fit, rank and retrain in every fold: predictions of all models and slices, in one table for `evaluate.score`.

    Parameters
    ----------
    task, splits, scheme, cache, n_jobs
        As in `evaluate.cross_validate`; rankings see the training samples of a fold only.
    **options
        ``k`` of `retrain` (default 50), ``seed``, and others of `fit_all`.

    Returns
    -------
    DataFrame
        As of `retrain`; ``features`` is ``all`` for the models themselves.

    Examples
    --------
    >>> made = simulate("demo", 60)
    >>> task = Task("demo", made.counts, made.labels, made.studies, {})
    >>> told = across_folds(task, make_splits(task, "random", n_splits=2), scheme="random", k=9, n_networks=0, trees=2)
    >>> told.groupby(["model", "features"])["sample_id"].nunique().unique().tolist()
    [60]
    """
    work, key = partial(one_fold, task, **options), ""
    if cache is not None:
        key = task_key(task, recipe("logistic"), ["srna_lib.companions.limits", "srna_lib.explain."], repr(options))
    tables = map_folds(work, splits, key=key, n_jobs=n_jobs, cache=cache, label="limits")
    return pd.concat(tables, ignore_index=True).assign(scheme=scheme)


def study_effects(
    spreads: Iterable[float], n_samples: int = 900, *, base: str | Design = "srna_tissue", seed: int = 0, **options: Any
) -> pd.DataFrame:
    """What a study latent does to accuracy and to rankings, in the simulation for small RNAs.

    Parameters
    ----------
    spreads, n_samples, base, seed
        Values of ``study_sd`` of the design `base`; samples of each simulation; seed of simulation, splits and models.
    **options
        As of `fit_all`.

    Returns
    -------
    DataFrame, one row per spread and method
        ``study_sd, method, precision`` (at K, the number of true features; `explain.precision_at_k`), ``chance``, and,
        for models, ``random`` and ``study``: balanced accuracy in a fold of samples and in one of studies.

    Examples
    --------
    >>> table = study_effects([0.0], 120, n_networks=0, trees=5).set_index("method")
    >>> bool(table["precision"]["ANOVA F"] > table["precision"]["random order"])
    True
    """
    d, tables = design(base) if isinstance(base, str) else base, []
    for spread in spreads:
        made = simulate(replace(d, study_sd=spread), n_samples, seed=seed)
        task = Task(f"studies {spread:g}", made.counts, made.labels, made.studies, {})
        reached: dict[str, dict[str, float]] = {}
        for scheme in ("random", "study"):
            split = make_splits(task, scheme, n_splits=3, seed=seed)[0]
            models = fit_all(task, split.train, seed=seed, **options)
            test = task.X.iloc[split.test], task.y.iloc[split.test]
            reached[scheme] = {n: balanced_accuracy_score(test[1], m.predict(test[0])) for n, m in models.items()}
        scores = rank_all(models, task.X.iloc[split.train], task.y.iloc[split.train], seed=seed)
        true = made.truth.columns[(made.truth != 0).any()]
        found = scores.apply(explain.precision_at_k, axis=1, truth=true)
        rows = found.rename("precision").to_frame().assign(study_sd=spread)
        tables.append(rows.assign(chance=len(true) / made.counts.shape[1]).join(pd.DataFrame(reached)))
    return pd.concat(tables).rename_axis("method").reset_index()
