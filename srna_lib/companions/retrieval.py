"""Signature matching: the tissue, disease or drug that a table of log fold changes looks like (notebook 12).

After arXiv 2303.11695 (a network that ranks drugs for a disease from both signatures), with the two unlearned methods
that it is held against: connectivity of the Connectivity Map and the Characteristic Direction. There is no public
library of drugs' small-RNA signatures, so drugs are simulated; real signatures are of tissues, lineages and cancers.

Left out of the original: the bi-encoder with convolutions and fingerprints (its published script trains the plain
network only); the cut at 50 drugs a contrast (MAP and recall need whole lists); ensembles and early stopping (a
validation set would cost diseases); Enrichr's gene ontology (needs the network; diseases of HMDD stand in its place).
Widths of 1024 and 512 units are for thousands of genes; here 64 for hundreds of sRNAs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import anndata as ad
import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import t as student

from srna_lib.data import atlas_name, check_column, counts_frame, hairpins, make_task, match_names, resource
from srna_lib.datasets import load, read_table
from srna_lib.errors import InputError, one_of
from srna_lib.evaluate import make_splits, study_weights, weighted_mean
from srna_lib.models import LogCPM, compile_epoch, fresh_state, glorot, import_keras

Direction: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]
LEAST = 10  # sRNAs that a signature needs
PAIR = 2  # samples that a signature needs on both sides; of controls from other studies: studies
TOP = 50  # sRNAs of each sign that a query is matched by
PRIOR = 4  # degrees of freedom of the median variance, to which that of each sRNA is drawn
CUT = 0.3  # the original sets changes of a larger adjusted p to zero
PAD = 128  # inputs are padded to multiples of it, so that folds share one compiled program
BATCH, HIDDEN = 64, 64  # pairs of a step of the ranker, units of its layers
FACTORS, NUISANCES, ARM = 8, 4, 6  # of a simulated world: of biology, of laboratories, samples of each arm
METRICS = ("average_precision", "reciprocal_rank", "precision_10", "recall_50")
CHANGE = ("log2FoldChange", "logFC", "log2FC", "lfc")  # DESeq2; edgeR and limma; others
ADJUSTED = ("padj", "FDR", "adj.P.Val", "FWER")


# ---- signatures


def shrink(change: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Changes d with squared standard errors e -> d s / (s + e): empirical Bayes, s the variance of true changes."""
    noise = np.maximum(noise, 1e-12)

    def excess(signal: float) -> float:
        return float(np.mean(change**2 / (signal + noise)) - 1)

    # s is where the mean of d^2 / (s + e) is 1 (Paule and Mandel 1982), or 0
    signal = brentq(excess, 0, np.square(change).sum()) if excess(0) > 0 else 0.0
    return change * signal / (signal + noise)


def shrunken(cases: Any, controls: Any) -> np.ndarray:
    """Log fold changes of log2 levels, each drawn to zero as far as it is noise."""
    groups = [np.asarray(group, dtype=float) for group in (cases, controls)]
    change = groups[0].mean(axis=0) - groups[1].mean(axis=0)
    # the variance of an sRNA within the groups is drawn to the median variance of all
    squares = sum(np.square(group - group.mean(axis=0)).sum(axis=0) for group in groups)
    df = max(len(groups[0]) + len(groups[1]) - 2, 1)
    variance = (squares + PRIOR * np.median(squares) / df) / (df + PRIOR)
    return shrink(change, variance * (1 / len(groups[0]) + 1 / len(groups[1])))


def characteristic_direction(cases: Any, controls: Any, *, gamma: float = 0.95, variance: float = 1.0) -> np.ndarray:
    """Direction in which two groups of log2 levels differ most for how samples scatter anyway (Clark et al. 2014).

    b ~ (gamma S + (1 - gamma) s I)^-1 (mean(cases) - mean(controls)), |b| = 1, with S the covariance within groups and
    s its mean eigenvalue, computed in the space of principal components: regularised discriminant analysis (BMC
    Bioinformatics 15:79). All n - 1 components belong there: what tells groups apart often lies in those of little
    variance, and a cut at 95 % of the variance takes it away.

    Parameters
    ----------
    cases, controls : array, shape (n, n_srnas) and (m, n_srnas)
    gamma, variance
        Trust in S, lower for very few samples; share of the variance whose components are kept (below 1: the fault).

    Examples
    --------
    >>> characteristic_direction([[9.0, 1.0], [1.0, 1.0]], [[9.0, 0.0], [1.0, 0.0]]).round(2).tolist()
    [0.0, 1.0]
    """
    groups = [np.asarray(group, dtype=float) for group in (cases, controls)]
    both = np.vstack(groups) - np.mean(np.vstack(groups), axis=0)
    # components from the samples' products: samples are few, sRNAs are many
    squares, loadings = (x[..., ::-1] for x in np.linalg.eigh(both @ both.T))
    held = np.cumsum(squares) / max(squares.sum(), 1e-300)
    kept = squares >= 1e-12 * squares[0]
    if variance < 1:
        kept &= np.arange(len(held)) <= np.searchsorted(held, variance)
    axes = loadings[:, kept].T @ both / np.sqrt(squares[kept].clip(min=1e-300))[:, None]
    parts = [group @ axes.T for group in groups]
    means = [part.mean(axis=0) for part in parts]
    S = sum(((p - m).T @ (p - m) for p, m in zip(parts, means, strict=True)), np.zeros(1)) / max(len(both) - 2, 1)
    S = gamma * S + max((1 - gamma) * np.trace(S) / len(S), 1e-12) * np.eye(len(S))
    b = np.linalg.solve(S, means[0] - means[1]) @ axes
    return b / max(np.linalg.norm(b), 1e-300)


def level(cases: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Mean level of the cases, no contrast at all: what correlation of expression compares."""
    return cases.mean(axis=0)


def signatures(
    adata: ad.AnnData, label: str = "tissue_group", *, control: str = "", reference: ad.AnnData | None = None,
    direction: Direction = shrunken,
) -> pd.DataFrame:  # fmt: skip
    """Signatures of an atlas, one per label and study: index ``label, dataset_id, n_samples``, a column per sRNA.

    Parameters
    ----------
    adata, label
        Atlas of counts; column of ``obs``: what a signature is of.
    control : str, optional
        ``"COLUMN:VALUE"`` of ``obs`` (``"tumour_normal:normal"``): samples that the others of their study are held
        against. Without it samples of a study are held against the mean profiles of all *other* studies.
    reference : AnnData, optional
        Atlas of those other studies, and of the sRNAs that count: the library, where `adata` holds queries. Default
        `adata`. sRNAs with reads in fewer than a tenth of its samples are left out.
    direction : callable, default `shrunken`
        (cases, controls) -> signature: `shrunken` or `characteristic_direction`.

    Examples
    --------
    >>> atlas, three = load("demo"), ["SIM001", "SIM002", "SIM003"]
    >>> signatures(atlas[atlas.obs["dataset_id"].isin(three)]).index.names
    FrozenList(['label', 'dataset_id', 'n_samples'])
    """
    column, _, normal = control.partition(":")
    for name in filter(None, (label, "dataset_id", column)):
        check_column(adata, name)
    known = adata if reference is None else reference
    levels = _levels(known)
    levels = levels.loc[:, (levels > 0).mean() >= 0.1]
    own = levels if reference is None else _levels(adata).reindex(columns=levels.columns, fill_value=0.0)
    study, labels = adata.obs["dataset_id"].astype(str), adata.obs[label].astype(object)
    kind = adata.obs[column].astype(object) if column else pd.Series("case", adata.obs_names)
    means = levels.groupby(known.obs["dataset_id"].astype(str).to_numpy()).mean()
    names, rows = [], []
    cases = own[(labels.notna() & kind.notna() & (kind != normal)).to_numpy()]
    for (name, of), group in cases.groupby([labels[cases.index].to_numpy(), study[cases.index].to_numpy()]):
        at = own[((kind == normal) & (study == of)).to_numpy()] if column else means.drop(index=of, errors="ignore")
        if min(len(group), len(at)) >= PAIR:
            names.append((str(name), of, len(group)))
            rows.append(direction(group.to_numpy(), at.to_numpy()))
    if not rows:
        against = f"samples with {control}" if control else "other studies"
        found = f"{atlas_name(adata)}: {len(cases)} samples of obs[{label!r}] in {study.nunique()} studies"
        raise InputError(f"{found}; expected {PAIR} of a study, and {PAIR} {against}.")
    return pd.DataFrame(rows, pd.MultiIndex.from_tuples(names, names=["label", "dataset_id", "n_samples"]), own.columns)


def _levels(adata: ad.AnnData) -> pd.DataFrame:
    counts = counts_frame(adata)
    return pd.DataFrame(LogCPM().fit_transform(counts), counts.index, counts.columns)


# ---- unlearned matches


def walks(chosen: np.ndarray, library: np.ndarray, order: np.ndarray | None = None) -> np.ndarray:
    """Running sums of the weighted Kolmogorov-Smirnov statistic down each library signature r, (n_library, n_srnas).

    At a chosen sRNA up by |r| / sum of |r| over the chosen, at any other down by 1 / number of others.
    """
    order = np.argsort(-library, axis=1, kind="stable") if order is None else order
    hit = chosen[order]
    gains = np.where(hit, np.abs(np.take_along_axis(library, order, axis=1)), 0.0)
    gains /= np.maximum(gains.sum(axis=1, keepdims=True), 1e-300)
    return np.cumsum(gains - ~hit / max((~chosen).sum(), 1), axis=1)


def enrichment(chosen: np.ndarray, library: np.ndarray, order: np.ndarray | None = None) -> np.ndarray:
    """Enrichment score ES of chosen sRNAs (truth values) in each signature: the largest deviation of its `walks`."""
    sums = walks(chosen, library, order)
    high, low = sums.max(axis=1).clip(min=0), sums.min(axis=1).clip(max=0)
    there = np.abs(library[:, chosen]).sum(axis=1) > 0
    return np.where(there, np.where(high >= -low, high, low), 0.0)


def extremes(query: np.ndarray, n: int = TOP) -> tuple[np.ndarray, np.ndarray]:
    """Truth values: the n largest changes above zero, the n smallest below."""
    place = np.argsort(np.argsort(-query, kind="stable"))
    return (place < n) & (query > 0), (place >= len(query) - n) & (query < 0)


def connectivity(queries: pd.DataFrame, library: pd.DataFrame, *, n: int = TOP) -> pd.DataFrame:
    """Connectivity of the Connectivity Map: from 1, the same ranking, to -1, its reverse.

    WTCS = (ES_up - ES_down) / 2 where the two differ in sign, else 0; ES (`enrichment`) of the n sRNAs that rise, or
    fall, most in the query (Subramanian et al. 2017, Cell 171:1437-1452). A query that only rises or only falls has the
    one ES. A drug that may heal scores low. `queries` (rows of the result) and `library` (columns) have the same sRNAs.

    Examples
    --------
    >>> one = pd.DataFrame([[2.0, 1.0, -1.0, -3.0]])
    >>> connectivity(one, pd.concat([one, -one])).round(1).to_numpy().tolist()
    [[1.0, -1.0]]
    """
    values, rows = library.to_numpy(dtype=float), []
    order = np.argsort(-values, axis=1, kind="stable")  # once for all queries
    for query in queries.to_numpy(dtype=float):
        up, down = extremes(query, n)
        high, low = enrichment(up, values, order), enrichment(down, values, order)
        both = np.where(high * low < 0, (high - low) / 2, 0.0)
        rows.append(both if up.any() and down.any() else high - low)
    return pd.DataFrame(rows, queries.index, library.index)


def cosine(queries: pd.DataFrame, library: pd.DataFrame, *, centred: bool = False) -> pd.DataFrame:
    """Cosine of each query with each library signature; `centred`: their correlation."""
    tables = [t.to_numpy(dtype=float) for t in (queries, library)]
    tables = [t - t.mean(axis=1, keepdims=True) * centred for t in tables]
    first, second = (t / np.maximum(np.linalg.norm(t, axis=1, keepdims=True), 1e-12) for t in tables)
    return pd.DataFrame(first @ second.T, queries.index, library.index)


def set_scores(queries: pd.DataFrame, sets: pd.DataFrame) -> pd.DataFrame:
    """How far the members of sets (`explain.load_sets`) stand ahead in each query, whichever way they change."""
    held = queries.columns.intersection(sets["feature"].unique())
    values = np.abs(queries[held].to_numpy(dtype=float))
    scores = {}
    for name, features in sets.groupby("set")["feature"]:
        chosen = held.isin(features)
        k = int(chosen.sum())  # ES times sqrt(k (G - k) / G), so that sets of other sizes compare
        scores[name] = enrichment(chosen, values) * np.sqrt(k * (len(held) - k) / len(held))
    return pd.DataFrame(scores, queries.index)


def cancer_diseases() -> pd.Series:
    """Disease of HMDD (OMIM number) of each cohort of The Cancer Genome Atlas that has one; written by hand."""
    cohorts = resource("disease_names.tsv").set_index("disease")["cohorts"].str.split(";").explode()
    return pd.Series({cohort: disease for disease, cohort in cohorts.items() if cohort})


# ---- the ranker


@lru_cache(maxsize=8)
def compile_ranker(n_features: int) -> Any:
    """Compile the late-concatenation network once for a shape; each training starts from new weights."""
    keras = import_keras()
    inputs = [keras.Input((n_features,), name=name) for name in ("query", "item")]
    towers = [keras.layers.Dropout(0.3)(keras.layers.Dense(HIDDEN, activation="relu")(x)) for x in inputs]
    joined = keras.layers.Dense(HIDDEN, activation="relu")(keras.layers.Concatenate()(towers))
    model, optimizer = keras.Model(inputs, keras.layers.Dense(2)(joined)), keras.optimizers.Adam(1e-3, clipnorm=1.0)
    optimizer.build(model.trainable_variables)
    return model, optimizer, compile_epoch(model, optimizer)


def _scaled(table: pd.DataFrame) -> np.ndarray:
    """Signatures of unit mean square, padded."""
    values = table.to_numpy(dtype=np.float32)
    values = values / np.maximum(np.sqrt(np.square(values).mean(axis=1, keepdims=True)), 1e-6)
    return np.pad(values, ((0, 0), (0, -values.shape[1] % PAD)))


def train_ranker(
    queries: pd.DataFrame, items: pd.DataFrame, relevant: np.ndarray, *, epochs: int, steps: int = 64, seed: int = 0
) -> list[np.ndarray]:
    """Weights of the network that judges a pair of signatures; `relevant` is 1, 0, or NaN for pairs not shown."""
    # h_q = ReLU(W_q q + b_q), h_u = ReLU(W_u u + b_u); ReLU(W [h_q; h_u] + b); two logits, of which the difference is
    # the one of the original. Half of each batch are relevant pairs, drawn with replacement.
    pairs = [np.argwhere(np.asarray(relevant, dtype=float) == kind) for kind in (0, 1)]
    rng, Q, U = np.random.default_rng(seed), _scaled(queries), _scaled(items)
    model, optimizer, epoch = compile_ranker(Q.shape[1])
    state = fresh_state(model, optimizer, [glorot(rng, v.shape) for v in model.trainable_variables], rng)
    order = np.arange(steps * BATCH, dtype=np.int32).reshape(steps, BATCH)
    y, weight = (order.ravel() % 2).astype(np.int32), np.ones(order.size, np.float32)
    for _ in range(epochs):
        drawn = np.stack([rng.choice(p, order.size // 2) for p in pairs], axis=1).reshape(-1, 2)
        state, _ = epoch(state, (Q[drawn[:, 0]], U[drawn[:, 1]]), y, weight, order, steps)
    return [np.array(w) for w in state[0]]


def ranker_scores(weights: list[np.ndarray], queries: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Probability that each pair is relevant, shape (n_queries, n_items); towers are computed once a signature."""
    Wq, bq, Wu, bu, W, b, Wo, bo = weights
    first = np.maximum(_scaled(queries) @ Wq + bq, 0) @ W[: len(bq)]
    second = np.maximum(_scaled(items) @ Wu + bu, 0) @ W[len(bq) :] + b
    logits = np.stack([np.maximum(row + second, 0) @ (Wo[:, 1] - Wo[:, 0]) for row in first]) + bo[1] - bo[0]
    return pd.DataFrame(1 / (1 + np.exp(-logits)), queries.index, items.index)


def combine(scores: pd.DataFrame) -> pd.DataFrame:
    """Contrasts x perturbations -> diseases x drugs: the maximum over perturbations, summed over contrasts."""
    best = scores.T.groupby(level="drug", sort=False).max().T
    return best.groupby(level="disease", sort=False).sum()


# ---- simulated worlds, in which the answer is known


class World(NamedTuple):
    """Diseases and drugs, as from `simulate_world`."""

    contrasts: pd.DataFrame  # shrunken log fold changes, index disease, contrast
    directions: pd.DataFrame  # the same contrasts as characteristic directions
    perturbations: pd.DataFrame  # signatures of drugs, index drug, perturbation
    truth: pd.DataFrame  # diseases x drugs, whether the drug heals


def nuisance_experiment(n: int = 12, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cases and controls (n x 500 genes each) under eight strong nuisance factors, and which 25 genes differ."""
    rng = np.random.default_rng(seed)
    changed = rng.permutation(500) < 25
    nuisance, shift = rng.normal(size=(8, 500)), changed * rng.choice([-1.0, 1.0], 500)
    cases, controls = (s + rng.normal(size=(n, 8)) @ nuisance + 0.5 * rng.normal(size=(n, 500)) for s in (shift, 0))
    return cases, controls, changed


def simulate_world(
    kind: str = "reversal", *, n_diseases: int = 68, n_drugs: int = 250, n_true: int = 8, n_genes: int = 128,
    seed: int = 0,
) -> World:  # fmt: skip
    """Simulate diseases, drugs and which drug heals which disease.

    A disease has a state z and a drug a state u (unit vectors of `FACTORS` factors); the `n_true` drugs with the least
    z.u heal it. A contrast is zA with six cases and six controls under nuisance factors of the laboratory, two for
    each disease; a perturbation is uB + noise, two for each drug.

    Parameters
    ----------
    kind : {"reversal", "hidden", "permuted"}
        ``"reversal"``: B = A, so that drugs heal by the reverse of the disease's signature. ``"hidden"``: B is unlike
        A, so that a method must learn which drug signature belongs to which disease. ``"permuted"``: as hidden, with
        healing drugs dealt at random, so that there is nothing to learn.
    n_diseases, n_drugs, n_true, n_genes
        Sizes.

    Examples
    --------
    >>> simulate_world("hidden", n_diseases=3, n_drugs=9, n_true=2).truth.sum(axis=1).tolist()
    [2, 2, 2]
    """
    one_of("kind of world", kind, ("reversal", "hidden", "permuted"))
    rng = np.random.default_rng(seed)
    z, u = (rng.normal(size=(n, FACTORS)) for n in (n_diseases, n_drugs))
    z, u = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (z, u))
    A, other, nuisance = (rng.normal(size=(n, n_genes)) for n in (FACTORS, FACTORS, NUISANCES))
    truth = np.argsort(np.argsort(z @ u.T, axis=1), axis=1) < n_true
    truth = rng.permuted(truth, axis=1) if kind == "permuted" else truth
    arms = rng.normal(size=(2 * n_diseases, 2, ARM, NUISANCES)) @ nuisance
    arms += rng.normal(size=(2 * n_diseases, 2, ARM, n_genes))
    arms[:, 0] += np.repeat(z @ A, 2, axis=0)[:, None]
    drugs = np.repeat(u @ (A if kind == "reversal" else other), 2, axis=0) + rng.normal(size=(2 * n_drugs, n_genes))
    names = [[f"{what} {i + 1:03d}" for i in range(n)] for what, n in (("disease", n_diseases), ("drug", n_drugs))]
    index = pd.MultiIndex.from_product([names[0], (1, 2)], names=["disease", "contrast"])
    ways: tuple[Direction, ...] = (shrunken, characteristic_direction)
    contrasts, directions = (pd.DataFrame([way(*arm) for arm in arms], index) for way in ways)
    index = pd.MultiIndex.from_product([names[1], (1, 2)], names=["drug", "perturbation"])
    return World(contrasts, directions, pd.DataFrame(drugs, index), pd.DataFrame(truth, *names))


def world_retrieval(world: World, *, n_folds: int = 0, epochs: int = 20, seed: int = 0) -> pd.DataFrame:
    """Rank the drugs of a world for every disease, by each method: `rank_metrics`, one row per model and disease.

    Models: ``cmap`` and ``characteristic_direction`` (most reversed first), ``popularity`` (in how many other diseases
    a drug heals), ``ranker`` (of so many `epochs`), ``chance``. For what is learned, diseases are left out in `n_folds`
    parts; 0: one by one.
    """
    drugs, scores = world.perturbations, {"cmap": combine(-connectivity(world.contrasts, world.perturbations))}
    scores["characteristic_direction"] = combine(-cosine(world.directions, drugs))
    names, popular, learned = np.random.default_rng(seed).permutation(world.truth.index), [], []
    for out in np.array_split(names, n_folds or len(names)):
        is_out = world.contrasts.index.get_level_values("disease").isin(out)
        seen, rest = world.truth.drop(index=out), world.contrasts[~is_out]
        shown = seen.loc[rest.index.get_level_values("disease"), drugs.index.get_level_values("drug")]
        weights = train_ranker(rest, drugs, shown.to_numpy(), epochs=epochs, seed=seed)
        popular.append(pd.DataFrame([seen.mean()] * len(out), out))
        learned.append(combine(ranker_scores(weights, world.contrasts[is_out], drugs)))
    scores |= {"popularity": pd.concat(popular), "ranker": pd.concat(learned)}
    truth = world.truth.rename_axis("dataset_id")
    return _all_metrics({name: s.loc[truth.index, truth.columns] for name, s in scores.items()}, truth, seed)


# ---- figures of merit


def rank_metrics(scores: pd.DataFrame, relevant: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Average precision, reciprocal rank, precision at 10 and recall at 50 of each query; ties in random order.

    Of `scores` larger is nearer; `relevant` has its truth values, queries x items. Beside `METRICS` ``n_relevant,
    n_items``; NaN where nothing is relevant. The means over queries are MAP and MRR.

    Examples
    --------
    >>> one = rank_metrics(pd.DataFrame([[0.9, 0.5, 0.1]]), pd.DataFrame([[False, True, True]]))
    >>> one[["average_precision", "reciprocal_rank"]].round(2).to_numpy().tolist()
    [[0.58, 0.5]]
    """
    rng, rows = np.random.default_rng(seed), []
    for score, is_relevant in zip(scores.to_numpy(dtype=float), relevant.to_numpy(dtype=bool), strict=True):
        hit = is_relevant[np.lexsort((rng.random(len(score)), -score))]
        places, n = np.flatnonzero(hit) + 1, int(hit.sum())
        if not n or np.isnan(score).all():
            rows.append([np.nan] * 4 + [n, len(hit)])
            continue
        precision = (np.arange(1, n + 1) / places).mean()
        rows.append([precision, 1 / places[0], hit[:10].sum() / 10, hit[:50].sum() / n, n, len(hit)])
    return pd.DataFrame(rows, scores.index, [*METRICS, "n_relevant", "n_items"])


def chance_level(n_relevant: int, n_items: int) -> tuple[float, float, float, float]:
    """Expected `METRICS` of a random order, with R of N items relevant."""
    R, N, k = n_relevant, n_items, np.arange(1, n_items + 1)
    harmonic = (1 / k).sum()  # AP: (H_N + (R - 1) (N - H_N) / (N - 1)) / N; RR: the sum over k of P(first at k) / k
    precision = (harmonic + (R - 1) / max(N - 1, 1) * (N - harmonic)) / N
    at_k = np.minimum(R / (N - k + 1), 1)  # where none came before
    first = at_k * np.cumprod([1, *(1 - at_k[:-1])])
    return precision, float((first / k).sum()), R / max(N, 10), min(50, N) / N


def _all_metrics(scores: dict[str, pd.DataFrame], relevant: pd.DataFrame, seed: int) -> pd.DataFrame:
    """`rank_metrics` of each model, and chance; queries of which nothing is relevant are left out."""
    tables = [rank_metrics(s, relevant, seed=seed).assign(model=name) for name, s in scores.items()]
    chance = tables[0].assign(model="chance")
    chance[list(METRICS)] = [chance_level(*row) for row in chance[["n_relevant", "n_items"]].itertuples(index=False)]
    table = pd.concat([t.set_index(relevant.index).reset_index() for t in (*tables, chance)], ignore_index=True)
    return table[table["n_relevant"] > 0].dropna(subset=list(METRICS)).reset_index(drop=True)


def retrieval_table(
    queries: pd.DataFrame, by: Sequence[str] = ("model",), *, versus: str = "", n_boot: int = 500, seed: int = 0
) -> pd.DataFrame:  # fmt: skip
    """Mean figures of each model, with 95 % intervals over studies: value -+ t(studies - 1) standard errors.

    Parameters
    ----------
    queries : DataFrame
        From `cross_retrieve`, `world_retrieval` or `disease_retrieval`; ``dataset_id`` is what is resampled.
    by : sequence of str, default ("model",)
        Columns whose values are told apart, such as ``("model", "label")``.
    versus : str, optional
        Model whose figures are taken off those of the others, query by query.

    Returns
    -------
    DataFrame, one row per group and metric
        `by`, ``metric, value, ci_low, ci_high`` (cut at the ends of the scale), ``n_samples`` (queries),
        ``n_datasets``.
    """
    if versus:
        paired = queries.set_index([c for c in ("label", "dataset_id") if c in queries])
        less = paired.loc[paired["model"] == versus, list(METRICS)].reindex(paired.index)
        paired[list(METRICS)] -= less
        queries = paired[paired["model"] != versus].reset_index()
    rows = []
    for keys, table in queries.groupby(list(by), sort=False):
        weights, n = study_weights(table["dataset_id"], n_boot, seed), table["dataset_id"].nunique()
        for metric in METRICS:
            draws = weighted_mean(table[metric].to_numpy(dtype=float), weights)
            half = student.ppf(0.975, n - 1) * np.sqrt(np.mean((draws - draws[0]) ** 2)) if n > 1 else np.nan
            ends = np.clip([draws[0] - half, draws[0] + half], -1 if versus else 0, 1)
            rows.append((*keys, metric, draws[0], *ends, len(table), n))
    return pd.DataFrame(rows, columns=[*by, "metric", "value", "ci_low", "ci_high", "n_samples", "n_datasets"])


# ---- real signatures across studies


def cross_retrieve(
    adata: ad.AnnData, label: str = "tissue_group", *, control: str = "", n_splits: int = 5, min_class_size: int = 15,
    epochs: int = 10, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Let the signatures of studies that are left out look for those of the same label in the other studies.

    Parameters
    ----------
    adata, label, control
        As in `signatures`; the library are the other studies, and so is what queries are held against.
    n_splits : int, default 5
        Folds of whole studies; 0: one dataset out.
    min_class_size, epochs
        Labels of fewer samples are left out; epochs of the rankers, 0 leaves them out.

    Returns
    -------
    DataFrame, one row per model and query
        ``label, dataset_id, n_samples``, `METRICS`, ``n_relevant, n_items, model``. Models: ``cmap``, ``cosine``
        (shrunken changes), ``characteristic_direction`` (cosine), ``expression`` (correlation of mean log2 levels, no
        contrast), ``ranker`` (trained on pairs of all *other* labels), ``ranker_seen`` (of all labels), ``chance``.
    """
    check_column(adata, control.partition(":")[0] or label)
    task = make_task(adata, label, min_class_size=min_class_size)
    chosen, tables = adata[list(task.X.index), list(task.X.columns)].copy(), []
    scheme = "grouped_kfold" if n_splits else "one_dataset_out"
    for split in make_splits(task, scheme, n_splits=n_splits or None, seed=seed):
        with suppress(InputError):  # no study of the fold has enough samples to ask with
            tables.append(_fold(chosen[split.train].copy(), chosen[split.test].copy(), label, control, epochs, seed))
    if not tables:
        found = f"no study with two samples {control and 'and two controls '}can be left out"
        raise InputError(f"{atlas_name(adata)}: {found}; expected each {label} in several studies.")
    return pd.concat(tables, ignore_index=True)


def disease_retrieval(
    adata: ad.AnnData, sets: pd.DataFrame, *, label: str = "tissue", control: str = "tumour_normal:normal",
    seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Let cancers, held against normal tissue of their cohort, look for their disease among sets of sRNAs.

    `sets` are ``explain.load_sets(adata.var, ["disease"])``; those of fewer than ten sRNAs are left out. Rows as from
    `cross_retrieve`. Models: ``change`` (`set_scores`), ``expression`` (the same by the level in the cancer, since what
    is abundant is studied more), ``set_size`` (the largest first), ``chance``.
    """
    sets = sets[sets.groupby("set")["feature"].transform("nunique") >= LEAST]
    queries, levels = (signatures(adata, label, control=control, direction=way) for way in (shrunken, level))
    scores = {"change": set_scores(queries, sets), "expression": set_scores(levels, sets)}
    names = scores["change"].columns
    scores["set_size"] = pd.DataFrame([sets.groupby("set")["feature"].nunique()[names]] * len(queries), queries.index)
    of = cancer_diseases().reindex(queries.index.get_level_values("dataset_id")).to_numpy()
    return _all_metrics(scores, pd.DataFrame(of[:, None] == names.to_numpy(), queries.index, names), seed)


def _fold(others: ad.AnnData, own: ad.AnnData, label: str, control: str, epochs: int, seed: int) -> pd.DataFrame:
    pairs = {}
    for direction in (shrunken, characteristic_direction, level):
        library = signatures(others, label, control=control, direction=direction)
        pairs[direction] = signatures(own, label, control=control, reference=others, direction=direction), library
    queries, library = pairs[shrunken]
    scores = {"cmap": connectivity(queries, library), "cosine": cosine(queries, library)}
    scores["characteristic_direction"] = cosine(*pairs[characteristic_direction])
    scores["expression"] = cosine(*pairs[level], centred=True)
    asked, held = (table.index.get_level_values("label").to_numpy() for table in (queries, library))
    studies = library.index.get_level_values("dataset_id").to_numpy()
    same = np.where(studies[:, None] == studies, np.nan, held[:, None] == held)

    def learned(rows: np.ndarray, seen: np.ndarray) -> pd.DataFrame:
        pairs = same[np.ix_(seen, seen)]
        if {0.0, 1.0} - set(pairs.ravel()):  # nothing to learn from without the label
            return pd.DataFrame(np.nan, queries.index[rows], library.index)
        weights = train_ranker(library[seen], library[seen], pairs, steps=32, epochs=epochs, seed=seed)
        return ranker_scores(weights, queries[rows], library)

    if epochs:
        scores["ranker_seen"] = learned(asked == asked, held == held)
        parts = [learned(asked == name, held != name) for name in np.unique(asked)]
        scores["ranker"] = pd.concat(parts).loc[queries.index]
    return _all_metrics(scores, pd.DataFrame(asked[:, None] == held, queries.index, library.index), seed)


# ---- a table of the user's


def read_signature(table: str | Path | pd.DataFrame, names: pd.Index) -> pd.Series:
    """Signature in the names of a library, from a table of differential expression (see `retrieve`)."""
    where = "the table" if isinstance(table, pd.DataFrame) else str(table)
    frame = table if isinstance(table, pd.DataFrame) else read_table(table, sep=None, engine="python")
    spelt = {str(c).lower(): c for c in frame.columns}

    def numbers(known: tuple[str, ...]) -> np.ndarray | None:
        column = next((spelt[name.lower()] for name in known if name.lower() in spelt), None)
        return None if column is None else pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float)

    change, adjusted, error = map(numbers, (CHANGE, ADJUSTED, ("lfcSE",)))
    if change is None:
        found = f"no column of log fold changes (found: {', '.join(map(str, frame.columns[:8])) or 'none'})"
        raise InputError(f"{where}: {found}; expected one of {', '.join(CHANGE)}.")
    known = np.isfinite(change) & (True if error is None else np.isfinite(error))
    values = np.where(known, change, 0.0)
    if error is not None:
        values[known] = shrink(values[known], error[known] ** 2)
    elif adjusted is not None:
        values[~(adjusted < CUT)] = 0.0
    texts = [c for c in frame if not pd.api.types.is_numeric_dtype(frame[c])]
    places = [_places(given, names) for given in (frame.index, *(frame[c] for c in texts))]
    place = max(places, key=lambda p: sum(p >= 0))
    own = pd.Series(values).groupby(place).mean().drop(index=-1, errors="ignore")
    if own.empty:
        found = f"none of its {len(frame)} names is an sRNA of the library"
        raise InputError(f"{where}: {found}; expected names such as {names[0]}.")
    if (n := int((own != 0).sum())) < LEAST:
        found = f"{n} sRNAs of the library change (with an adjusted p below {CUT}, where there is one)"
        raise InputError(f"{where}: {found}; expected at least {LEAST}.")
    return own.set_axis(names[own.index]).reindex(names, fill_value=0.0)


def _places(given: pd.Index | pd.Series, names: pd.Index) -> np.ndarray:
    """Position of each given name among those of a library; -1 where it is none of them."""
    homes, _ = hairpins()
    known = match_names(names)
    at = {t: i for i, targets in enumerate(known["target"]) for t in targets.split(";") if t}
    at |= {name: i for i, name in enumerate(names)}
    found = []
    for source, target in match_names(given.astype(str))[["source", "target"]].itertuples(index=False):
        ways = [source, *(h for t in target.split(";") for h in (t, *homes.get(t, ())))]
        found.append(next((at[w] for w in ways if w in at), -1))
    return np.array(found, dtype=int)


def retrieve(
    signature: str | Path | pd.DataFrame, library: ad.AnnData | pd.DataFrame | str | None = None, *,
    label: str = "tissue_group", control: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Say which tissue or disease a table of differential expression looks like.

    Parameters
    ----------
    signature : path or DataFrame
        As DESeq2, edgeR or limma write it: names as row names or in a column, in any spelling (repeated ones are
        averaged), log fold changes (`CHANGE`), perhaps adjusted p (`ADJUSTED`) and ``lfcSE``. Changes with a standard
        error are drawn to zero by it; else those of an adjusted p of at least 0.3, or none, become zero.
    library : AnnData, DataFrame or str, optional
        Atlas to compare with, its name or path (`load`), or its `signatures`. Default: ``open_atlas``; where its files
        cannot be fetched the simulated atlas, with a warning, since its answers mean nothing.
    label, control : str
        As in `signatures`; without effect on a library of signatures.

    Returns
    -------
    DataFrame, one row per signature of the library, nearest first
        ``rank, label, dataset_id, n_samples, connectivity, cosine``; ``chance``: share of the library's own pairs of
        other labels and studies that are at least as near; ``n_shared``: its sRNAs that change in the table.

    Examples
    --------
    >>> names = pd.Index([f"hsa-miR-{i}-5p" for i in (16, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31)])
    >>> index = pd.MultiIndex.from_tuples([("a", "S1", 3), ("b", "S2", 3)], names=["label", "dataset_id", "n_samples"])
    >>> library = pd.DataFrame([range(-6, 6), range(6, -6, -1)], index, names)
    >>> retrieve(pd.DataFrame({"logFC": range(-60, 60, 10)}, index=names), library)["label"].tolist()
    ['a', 'b']
    """
    if not isinstance(library, pd.DataFrame):
        return retrieve(signature, signatures(_atlas(library), label, control=control))
    query = read_signature(signature, library.columns)
    one = query.to_frame().T
    answer = library.index.to_frame(index=False)
    answer["connectivity"] = connectivity(one, library).to_numpy()[0]
    answer["cosine"] = cosine(one, library).to_numpy()[0]
    names = [answer[column].to_numpy() for column in ("label", "dataset_id")]
    null = connectivity(library, library).to_numpy()[np.logical_and(*(n[:, None] != n for n in names))]
    answer["chance"] = [(null >= value).mean() if len(null) else np.nan for value in answer["connectivity"]]
    answer["n_shared"] = int((query != 0).sum())
    answer = answer.sort_values(["connectivity", "cosine"], ascending=False, ignore_index=True)
    return answer.rename_axis("rank").rename(index=lambda place: place + 1).reset_index()


def _atlas(library: ad.AnnData | str | None) -> ad.AnnData:
    if library is not None:
        return load(library) if isinstance(library, str) else library
    try:
        return load("open_atlas")
    except InputError as error:
        why = f"{error} The library is the simulated atlas instead, and its answers mean nothing."
        warnings.warn(why, stacklevel=3)
        return load("demo")
