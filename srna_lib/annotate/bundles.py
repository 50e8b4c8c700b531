"""Bundles: a trained model with all that it takes to use it on samples of others, on disk without pickle.

Arrays stand in one npz file, all else in one JSON file that holds the checksum of both. What a bundle promises is
measured on studies that its model did not see: folds by study give the temperature, the thresholds and the table of
what happens to spoilt samples, and every study counts alike, because the study is what a user's samples are new in.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import platform
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import anndata as ad
import jinja2
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline

import srna_lib
from srna_lib.data import TERMS, Task, atlas_name, eligible, make_task
from srna_lib.errors import InputError, expect, one_of
from srna_lib.evaluate import (
    Profile,
    Split,
    batch_average,
    build_recipe,
    fit_fold,
    fit_temperature,
    make_splits,
    map_folds,
    task_key,
    tempered,
)
from srna_lib.explore import embed
from srna_lib.io import write_h5ad, written_whole
from srna_lib.models import DenseNetClassifier
from srna_lib.models import recipe as make_recipe

FORMAT = 3
HELD = ("dl_log", "robust", "logistic")  # recipes that a bundle can hold: log2(CPM + 1), filter, z-scores, layers
PARENTS = {"tissue_group": "tissue_top"}  # label -> label that it backs off to
REFERENCE = "tissue_group"  # column that lays out the reference space of the whole atlas, where there is one
MISSING = (0.2, 0.4, 0.6, 0.8)  # shares of the model's sRNAs that are taken away
DEPTHS = (300, 1000, 3000, 10000, 30000)  # reads that are left
USUAL = 0.8  # share of studies whose distance is taken as usual
PREDICTED, BACKED_OFF, ABSTAINED = "predicted", "backed off", "abstained"
NEVER = 1e6  # a confidence that no probability reaches, a distance that no sample has
DROP = 0.02  # accuracy of predictions that missing names or reads may cost
N_COMPONENTS, N_WIDE, N_NEIGHBOURS = 50, 100, 10  # of the space of the label, of the whole atlas's
SHRINKAGE = 0.2  # of covariances in the reference space
FILES = ("bundle.json", "arrays.npz")


@dataclass(frozen=True)
class Bundle:
    """A trained model and what it promises.

    Attributes
    ----------
    about : dict
        Task, classes with parents and ontology terms, features, thresholds, measured performance, training data,
        versions: what stands in ``bundle.json``.
    arrays : dict of array
        Weights, scaling, and the training samples in the reference space: what stands in ``arrays.npz``.
    """

    about: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def label(self) -> str:
        """What is predicted."""
        return self.about["label"]

    @property
    def classes(self) -> list[str]:
        """Classes in the order of the outputs."""
        return [c["name"] for c in self.about["classes"]]

    @property
    def network(self) -> DenseNetClassifier:
        """The network, from z-scores to logits."""
        layers = self.about["network"]
        net = DenseNetClassifier(hidden=tuple(layers["hidden"]), dropout=tuple(layers["dropout"]))
        net.weights_ = [self.arrays[f"weight_{i}"].astype(np.float32) for i in range(self.about["n_weights"])]
        net.classes_, net.n_features_in_ = np.asarray(self.classes, dtype=object), len(self.arrays["kept"])
        return net

    @property
    def spaces(self) -> list[Space]:
        """Reference spaces: of the classes, and of the whole atlas."""
        names = [f.name for f in fields(Space)]
        return [Space(*(self.arrays[prefix + n].astype(np.float32) for n in names)) for prefix in ("", "wide_")]

    def model(self) -> Pipeline:
        """The whole model, from counts of `about["features"]` to a class, for `srna.explain` and others."""
        names = np.asarray(self.about["features"], dtype=object)
        pipeline = make_recipe("dl_log")
        blank = pd.DataFrame(np.eye(2, len(names)), columns=names)
        log, zeros, scale = (pipeline.named_steps[n] for n in ("log_cpm", "zeros", "scale"))
        zeros.fit(log.fit_transform(blank))
        zeros.zero_share_ = 1.0 - np.isin(np.arange(len(names)), self.arrays["kept"])
        scale.mean_, scale.scale_ = (self.arrays[k].astype(np.float64) for k in ("mean", "scale"))
        scale.var_, scale.n_features_in_, scale.n_samples_seen_ = scale.scale_**2, len(scale.mean_), 2
        pipeline.steps[-1] = ("classifier", self.network)
        return pipeline


def train(
    atlas: ad.AnnData, label: str = "tissue_group", *, recipe: str = "dl_log", min_class_size: int = 15,
    n_splits: int = 20, error: float = 0.06, level: float = 0.9, profile: Profile | None = None, seed: int = 0,
    **run: Any,
) -> Bundle:  # fmt: skip
    """Train a bundle: a model for samples of new studies, with what it promises measured on studies left out.

    Parameters
    ----------
    atlas : AnnData, shape (n_samples, n_srnas)
        Raw counts of several studies; of labels of people only data sets that hold all classes are used.
    label : str, default "tissue_group"
        Column of ``obs`` that is predicted.
    recipe : str, default "dl_log"
        One of `HELD`; ``docs/unseen_studies.md`` compares them.
    min_class_size : int, default 15
        As in `make_task`.
    n_splits : int, default 20
        Folds by study; more is nearer to the final model, and slower.
    error : float, default 0.06
        Share of wrong predictions among those that are made, which the thresholds aim at.
    level : float, default 0.9
        Coverage of the prediction sets.
    profile : Profile, optional
        Changes in the recipe, as in `cross_validate`.
    seed : int, default 0
        Seed of folds, network, map and spoilt samples.
    **run
        ``n_jobs``, ``cache``, ``progress``, as in `cross_validate`.

    Returns
    -------
    Bundle
        For `save` and `annotate`.

    Raises
    ------
    InputError
        Another recipe, or too few studies for the error: with one more study counted wrong, n promise 1 / (n + 1).
    """
    one_of("recipe of a bundle", recipe, HELD)
    task = make_task(eligible(atlas, label), label, min_class_size=min_class_size)
    n_studies, needed = task.groups.nunique(), math.ceil(1 / error) - 1
    few = f"{atlas_name(atlas)}: {n_studies} studies have a known {label}"
    promised = f"at least {needed} to promise at most {error:.0%} errors in studies left out"
    expect(n_studies >= needed, f"{few}; expected {promised}")
    model = bundled(build_recipe(task, recipe, seed=seed, profile=profile or Profile()))
    reference, n_splits = reference_samples(atlas, task), min(n_splits, n_studies)
    held_out = held_out_samples(task, reference, model, n_splits, seed, label=f"{recipe}, {label}", **run)
    parents = _parents(atlas, task, PARENTS.get(label, ""))
    parent = places_of_parents(task.classes, parents)
    promises = _promises(held_out, task.classes, parent, error, level)
    promises["least"] = _least(promises["measured"])
    # where probabilities are averaged over nearest samples of the study
    averaged = batch_average(held_out[held_out["spoilt"] == ""].assign(model="", scheme=""), task)
    promises["batch"] = _promises(averaged, task.classes, parent, error, level)
    fitted = fit_fold(task, model, np.arange(len(task.y)))
    settings = {"recipe": recipe, "seed": seed, "error": error, "level": level}
    settings["n_splits"] = held_out["fold"].nunique()
    return _bundle(atlas, task, reference, fitted, parents, promises, settings)


def bundled(model: Pipeline) -> Pipeline:
    """A recipe as bundles hold it: 1 CPM added, whatever it adds, one score per class, and no training samples."""
    off = {name: 0 for name in ("classifier__least", "classifier__near") if name in model.get_params()}
    return model.set_params(log_cpm__prior=1.0, **off)


def held_out_samples(
    task: Task, reference: Task, model: Pipeline, n_splits: int, seed: int = 0, **run: Any
) -> pd.DataFrame:
    """Probabilities and distances of every sample by a model without its study (`_held_out`); column ``fold``."""
    splits = make_splits(task, "study", n_splits=n_splits, seed=seed)
    key = task_key(task, model, [__name__], seed, task_key(reference, model, []))
    tables = map_folds(partial(_held_out, task, reference, model, seed), splits, key=key, **run)
    return pd.concat(tables, ignore_index=True)


def _promises(
    held_out: pd.DataFrame, classes: list[str], parent: np.ndarray, error: float, level: float
) -> dict[str, Any]:
    """Limits, and what they keep in studies left out."""
    limits = make_thresholds(held_out[held_out["spoilt"] == ""], classes, parent, error, level)
    return {"limits": limits, "measured": measure(held_out, classes, parent, error, level)}


def places_of_parents(classes: Sequence[str], parents: Mapping[str, str]) -> np.ndarray:
    """Position of each class's parent among all parents, sorted; a class without one is its own."""
    return np.unique([parents.get(c, c) for c in classes], return_inverse=True)[1]


def _parents(atlas: ad.AnnData, task: Task, column: str) -> dict[str, str]:
    """Class -> parent, where the atlas names one for every class."""
    if column not in atlas.obs:
        return {}
    pairs = pd.DataFrame({"class": task.y, "parent": atlas.obs[column].reindex(task.y.index)}).dropna().astype(str)
    found = pairs.groupby("class")["parent"].agg(lambda names: names.mode().iloc[0])
    return found.to_dict() if set(task.classes) <= set(found.index) and found.nunique() < len(task.classes) else {}


def reference_samples(atlas: ad.AnnData, task: Task) -> Task:
    """Every sample of the atlas whose `REFERENCE` is known, with the sRNAs of the task; else the task itself."""
    if task.name == REFERENCE or (atlas.obs.get(REFERENCE, pd.Series()).value_counts() > 1).sum() < 2:
        return task
    whole = make_task(atlas, REFERENCE, min_class_size=2)
    return replace(whole, X=whole.X[task.X.columns])


def _held_out(task: Task, reference: Task, model: Pipeline, seed: int, split: Split) -> pd.DataFrame:
    """Probabilities of the samples of studies left out, as they are and spoilt, and their distance from training."""
    fitted, X, y = fit_fold(task, model, split.train), task.X.iloc[split.test], task.y.iloc[split.test]
    left_out = reference.groups.isin(set(task.groups.iloc[split.test]))
    spaces = fit_spaces(fitted, task, split.train, reference, np.flatnonzero(~left_out))
    rng, tables = np.random.default_rng((seed, int(split.test[0]))), []

    def add(spoilt: str, z: np.ndarray) -> None:
        table = pd.DataFrame(fitted[-1].predict_proba(z), columns=[f"p_{c}" for c in fitted.classes_])
        about = {"sample_id": X.index, "dataset_id": task.groups.to_numpy()[split.test], "y_true": y.to_numpy()}
        tables.append(pd.DataFrame(about | {"spoilt": spoilt, "distance": unlikeness(spaces, z)}).join(table))

    whole = _z(fitted, X)
    add("", whole)
    for share in MISSING:
        gone = rng.random(whole.shape[1]) < share
        add(f"missing {share}", np.where(gone, 0.0, whole))
    for depth in DEPTHS:
        add(f"reads {depth}", _z(fitted, _thinned(X, depth, rng)))
    columns = [f"p_{c}" for c in task.classes]
    about = ["sample_id", "dataset_id", "y_true", "spoilt", "distance"]
    return pd.concat(tables, ignore_index=True).reindex(columns=[*about, *columns]).fillna(dict.fromkeys(columns, 0.0))


def _z(fitted: Pipeline, X: pd.DataFrame) -> np.ndarray:
    return np.asarray(fitted[:-1].transform(X), dtype=np.float32)


def _thinned(X: pd.DataFrame, depth: int, rng: np.random.Generator) -> pd.DataFrame:
    """Samples of so many reads, drawn from their own; shallower ones stay as they are."""
    counts = X.to_numpy(dtype=np.float64)
    rows = [rng.multinomial(depth, c / c.sum()) if c.sum() > depth else c for c in counts]
    return pd.DataFrame(np.asarray(rows, dtype=np.float64), X.index, X.columns)


@dataclass(frozen=True)
class Space:
    """Principal components of z-scores, and where the classes of the training samples lie in them."""

    # How unlike a sample is comes as the relative Mahalanobis distance (Ren et al. 2021, arXiv:2106.09022): squared
    # distance from the nearest class's mean, with the covariance that classes have in common, less that from the mean
    # of all, so that what is unusual in any direction does not count, but what is unusual for a class. Studies weigh
    # alike.

    components: np.ndarray  # (n_components, n_features)
    centres: np.ndarray  # (n_classes + 1, n_components) means of classes, and of all
    precisions: np.ndarray  # (2, n_components, n_components) inverse covariances: within classes, and of all

    @classmethod
    def fit(cls, z: np.ndarray, y: Any, weights: np.ndarray, n_components: int = N_COMPONENTS) -> Space:
        """Lay out training samples of classes `y`."""
        n_components = min(n_components, len(z) - 1, z.shape[1])
        pca = PCA(n_components, random_state=0, svd_solver="randomized").fit(z)
        points, (codes, names) = (z @ pca.components_.T).astype(np.float64), pd.factorize(np.asarray(y), sort=True)
        means = [np.average(points[codes == i], axis=0, weights=weights[codes == i]) for i in range(len(names))]
        centres = np.array([*means, np.average(points, axis=0, weights=weights)])
        precisions = [_precision(points - centre, weights) for centre in (centres[codes], centres[-1])]
        return cls(pca.components_, centres, np.array(precisions))

    def distance(self, z: np.ndarray) -> np.ndarray:
        """Relative Mahalanobis distance of each sample, per component."""
        points = z @ self.components.T
        apart = points[:, None] - self.centres  # (n_samples, n_classes + 1, n_components)
        within, whole = (np.einsum("ijk,ijk->ij", apart[:, part] @ p, apart[:, part]) for part, p in
                         zip((slice(-1), slice(-1, None)), self.precisions, strict=True))  # fmt: skip
        return (within.min(axis=1) - whole[:, 0]) / points.shape[1]


def fit_spaces(fitted: Pipeline, task: Task, train: np.ndarray, reference: Task, known: np.ndarray) -> list[Space]:
    """Space of the classes to predict, and that of the whole atlas by `REFERENCE`, from the samples at these places."""
    sides = ((task, train, N_COMPONENTS), (reference, known, N_WIDE))
    return [Space.fit(_z(fitted, t.X.iloc[at]), t.y.iloc[at], study_shares(t.groups.iloc[at]), n) for t, at, n in sides]


def unlikeness(spaces: Sequence[Space], z: np.ndarray) -> np.ndarray:
    """How unlike training each sample is: its distances in all spaces, summed."""
    return np.sum([space.distance(z) for space in spaces], axis=0)


def nearest(z: np.ndarray, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Positions of the training samples of largest cosine, nearest first, shape (n_samples, n_neighbours)."""
    components, points = (arrays[k].astype(np.float32) for k in ("components", "points"))
    cosine = (z @ components.T) @ points.T / np.maximum(arrays["norms"], 1e-9)
    return np.argsort(-cosine, axis=1, kind="stable")[:, : min(N_NEIGHBOURS, cosine.shape[1])]


def _precision(residuals: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Inverse covariance, drawn by `SHRINKAGE` towards equal variances."""
    covariance = (residuals * weights[:, None]).T @ residuals / weights.sum()
    n = len(covariance)
    return np.linalg.inv(covariance + SHRINKAGE * max(np.trace(covariance) / n, 1e-9) * np.eye(n))


# ---- promises: thresholds, and what they keep in studies left out


def study_shares(studies: pd.Series) -> np.ndarray:
    """Weight of each sample such that every study weighs one."""
    return 1 / studies.map(studies.value_counts()).to_numpy(dtype=float)


def weighted_quantile(values: np.ndarray, weights: np.ndarray, level: float) -> float:
    """Smallest value with at least so much weight at or below it; `NEVER` where all of it is not enough."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    at = np.searchsorted(below, level - 1e-12)
    return float(values[order][at]) if at < len(values) else NEVER


def surest(
    confidence: np.ndarray, correct: np.ndarray, weights: np.ndarray, error: float, *, said: float = 0, wrong: float = 0
) -> float:
    """Least confidence from which on at most a share `error` of what is said is wrong, one more study counted wrong."""
    # said and wrong are the weights of what is said already.
    order = np.argsort(-confidence, kind="stable")
    share = (wrong + np.cumsum((weights * ~correct)[order]) + 1) / (said + np.cumsum(weights[order]) + 1)
    last = np.r_[confidence[order][1:] != confidence[order][:-1], True]  # equal confidence comes as one
    good = np.flatnonzero((share <= error) & last)
    return float(confidence[order][good[-1]]) if len(good) else NEVER


def make_thresholds(held_out: pd.DataFrame, classes: list[str], parent: np.ndarray, error: float, level: float) -> dict:
    """All that is decided by: temperature, confidence for a class and for a parent, sets, distance."""
    # held_out are the samples of studies left out as they are; parent is the position of each class's parent.
    p, true = probabilities(held_out, classes)
    weights, n = study_shares(held_out["dataset_id"]), held_out["dataset_id"].nunique()
    temperature = fit_temperature(p, true)
    q, at = tempered(p, temperature), np.arange(len(p))
    far = weighted_quantile(held_out["distance"].to_numpy(), weights, USUAL * (n + 1))
    near = (held_out["distance"] <= far).to_numpy()  # the others get no prediction, so they cannot be wrong
    right, above = q.argmax(axis=1) == true, summed(q, parent)
    said = surest(q.max(axis=1)[near], right[near], weights[near], error)
    made, left = near & (q.max(axis=1) >= said), near & (q.max(axis=1) < said)
    spent = {"said": weights[made].sum(), "wrong": weights[made & ~right].sum()}
    right_above = above.argmax(axis=1) == parent[true]
    backed = surest(above.max(axis=1)[left], right_above[left], weights[left], error, **spent) if left.any() else NEVER
    sets = weighted_quantile(1 - q[at, true], weights, level * (n + 1))
    return {"temperature": temperature, "confidence": said, "parent": backed, "set": sets, "distance": far}


def probabilities(held_out: pd.DataFrame, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities as predicted, and the position of each true class."""
    p = held_out[[f"p_{c}" for c in classes]].to_numpy(dtype=float)
    return p, pd.Index(classes).get_indexer(held_out["y_true"].astype(str))


def decide(p: np.ndarray, distance: np.ndarray, limits: dict[str, float], parent: np.ndarray) -> pd.DataFrame:
    """What is said of each sample: ``best, probability, above`` (parent), ``above_probability, status, reason``."""
    q = tempered(p, limits["temperature"])
    above = summed(q, parent)
    table = pd.DataFrame({"best": q.argmax(axis=1), "probability": q.max(axis=1)})
    table = table.assign(above=above.argmax(axis=1), above_probability=above.max(axis=1), distance=distance)
    sure, backed = table["probability"] >= limits["confidence"], table["above_probability"] >= limits["parent"]
    backed &= bool(len(np.unique(parent)) < len(parent))
    far = table["distance"] > limits["distance"]
    table["status"] = np.select([far, sure, backed], [ABSTAINED, PREDICTED, BACKED_OFF], ABSTAINED)
    table["reason"] = np.select([far, sure | backed], ["unlike every training sample", ""], "undecided")
    return table


def summed(p: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """Probabilities of parents, shape (n_samples, n_parents)."""
    return np.stack([p[:, parent == i].sum(axis=1) for i in range(parent.max() + 1)], axis=1)


def prediction_sets(q: np.ndarray, limits: dict[str, float]) -> np.ndarray:
    """Which classes the sets of samples hold: those probable enough, the likeliest always."""
    return (1 - q <= limits["set"]) | (np.arange(q.shape[1]) == q.argmax(axis=1)[:, None])


def measure(
    held_out: pd.DataFrame, classes: list[str], parent: np.ndarray, error: float, level: float
) -> dict[str, Any]:
    """What the thresholds keep in studies left out, each fold decided by those of the other folds."""
    whole, tables = held_out[held_out["spoilt"] == ""], []
    for fold, own in held_out.groupby("fold"):
        limits = make_thresholds(whole[whole["fold"] != fold], classes, parent, error, level)
        p, true = probabilities(own, classes)
        table = decide(p, own["distance"].to_numpy(), limits, parent)
        in_set = prediction_sets(tempered(p, limits["temperature"]), limits)
        table["right"], table["right_above"] = table["best"] == true, table["above"] == parent[true]
        table["covered"], table["set_size"] = in_set[np.arange(len(p)), true], in_set.sum(axis=1)
        table["kept"] = np.where(table["status"] == BACKED_OFF, table["right_above"], table["right"])
        tables.append(table.assign(**{c: own[c].to_numpy() for c in ("dataset_id", "spoilt")}))
    every = pd.concat(tables, ignore_index=True)
    said = every[every["spoilt"] == ""].reset_index(drop=True)
    made, backed = said["status"] == PREDICTED, said["status"] == BACKED_OFF
    answered = said[made | backed]
    each = said.groupby("dataset_id")["covered"].agg(["mean", "size"])
    return {
        "n_samples": len(said),
        "n_studies": int(said["dataset_id"].nunique()),
        "accuracy_of_all": float(said["right"].mean()),
        "predicted_share": float(made.mean()),
        "accuracy_of_predicted": _or_none(said["right"][made].mean()),
        "backed_off_share": float(backed.mean()),
        "accuracy_with_parents": _or_none(answered["kept"].mean()),
        "accuracy_of_parents": _or_none(answered["right_above"].mean()),
        "abstained_share": float((said["status"] == ABSTAINED).mean()),
        "set_coverage_over_studies": float(each["mean"].mean()),
        "set_coverage_of_samples": float(said["covered"].mean()),
        "set_coverage_lower_quartile_of_large_studies": _or_none(each.loc[each["size"] >= 10, "mean"].quantile(0.25)),
        "mean_set_size": float(said["set_size"].mean()),
        "spoilt": {kind or "as they are": _kept(table) for kind, table in every.groupby("spoilt", sort=False)},
    }


def _kept(table: pd.DataFrame) -> dict[str, float | None]:
    """Accuracy of all samples, and share and accuracy of predictions and of answers, studies weighing alike."""
    weights, made = study_shares(table["dataset_id"]), (table["status"] == PREDICTED).to_numpy()
    kept = {"accuracy": np.average(table["right"], weights=weights)}
    for name, said in (("predicted", made), ("answered", made | (table["status"] == BACKED_OFF).to_numpy())):
        kept[name] = np.average(said, weights=weights)
        kept[f"accuracy_of_{name}"] = np.average(table["kept"][said], weights=weights[said]) if said.any() else np.nan
    return {name: _or_none(value) for name, value in kept.items()}


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _least(measured: dict[str, Any]) -> dict[str, float]:
    """Share of the model's sRNAs, and reads, from which on predictions lose no more than `DROP` of their accuracy."""
    # Nor may there be less than two thirds as many of them: a table that gets few is told why.
    whole = measured["spoilt"]["as they are"]
    few = 2 / 3 * whole["predicted"]
    kept = {k: (v["accuracy_of_predicted"] or 0.0) * (v["predicted"] >= few) for k, v in measured["spoilt"].items()}
    enough = kept["as they are"] - DROP
    shares = [share for share in MISSING if all(kept[f"missing {s}"] >= enough for s in MISSING if s <= share)]
    depths = [depth for depth in DEPTHS if all(kept[f"reads {d}"] >= enough for d in DEPTHS if d >= depth)]
    return {"names": 1 - max(shares, default=0.1), "reads": float(min(depths, default=DEPTHS[-1]))}


# ---- on disk


def _bundle(
    atlas: ad.AnnData, task: Task, reference: Task, fitted: Pipeline, parents: dict[str, str],
    promises: dict[str, Any], settings: dict,
) -> Bundle:  # fmt: skip
    """All that a bundle holds, from a model fitted on every sample."""
    network, z, scale = as_network(fitted[-1]), _z(fitted, task.X), fitted.named_steps["scale"]
    own, wide = fit_spaces(fitted, task, np.arange(len(task.y)), reference, np.arange(len(reference.y)))
    points, norms = (z @ own.components.T).astype(np.float64), np.linalg.norm(z, axis=1)
    coordinates = embed(pd.DataFrame(points / np.maximum(norms, 1e-9)[:, None]), seed=settings["seed"])
    half = {f"weight_{i}": w.astype(np.float16) for i, w in enumerate(network.weights_)}
    reads = task.X.div(task.X.sum(axis=1), axis=0).mean().to_numpy()  # of the samples that have any
    studies, samples = list(dict.fromkeys(task.groups)), task.y.index.astype(str)
    arrays = half | {
        "kept": np.flatnonzero(fitted.named_steps["zeros"].get_support()).astype(np.int32),
        "mean": scale.mean_.astype(np.float32),
        "scale": scale.scale_.astype(np.float32),
        "reads": reads.astype(np.float32),
        "points": points.astype(np.float16),
        "norms": norms.astype(np.float32),
        **_packed(own),
        **_packed(wide, "wide_"),
        "map": coordinates.to_numpy(dtype=np.float32),
        "training_class": pd.Index(task.classes).get_indexer(task.y.astype(str)).astype(np.int16),
        "training_study": pd.Index(studies).get_indexer(task.groups).astype(np.int32),
    }
    info = atlas.uns["srna"]
    terms, parent_terms = TERMS.get(task.name, {}), TERMS.get(PARENTS.get(task.name, ""), {})
    about = {
        "format": FORMAT,
        "label": task.name,
        "classes": [{"name": c, "parent": parents.get(c, ""), "term": terms.get(c, "")} for c in task.classes],
        "parent_terms": {p: parent_terms.get(p, "") for p in sorted(set(parents.values()))},
        "features": [str(f) for f in task.X.columns],
        "network": {"hidden": list(network.hidden), "dropout": list(network.dropout)},
        "n_weights": len(network.weights_),
        "training_samples": list(samples),
        "training_studies": studies,
        "trained_on": {k: str(info.get(k, "not stated")) for k in ("name", "title", "citation", "licence")}
        | {"sources": [str(s) for s in info["sources"]["sha256"]], "samples": len(task.y), "studies": len(studies)},
        "made_with": {"srna_lib": srna_lib.__version__, "python": platform.python_version(), "numpy": np.__version__},
        **promises,
        "settings": settings,
    }
    return Bundle(about, arrays)


def as_network(classifier: Any) -> DenseNetClassifier:
    """A fitted classifier as dense layers; a linear one is a single layer, of two classes the first has logit 0."""
    if isinstance(classifier, DenseNetClassifier):
        return classifier
    kernel, bias = classifier.coef_.T, classifier.intercept_
    if kernel.shape[1] == 1:
        kernel, bias = np.hstack([0 * kernel, kernel]), np.r_[0, bias]
    network = DenseNetClassifier(hidden=(), dropout=())
    network.weights_ = [kernel.astype(np.float32), bias.astype(np.float32)]
    network.classes_, network.n_features_in_ = classifier.classes_, len(kernel)
    return network


def _packed(space: Space, prefix: str = "") -> dict[str, np.ndarray]:
    """Arrays of a space; the components need little precision."""
    arrays = {f.name: getattr(space, f.name) for f in fields(Space)}
    return {prefix + k: v.astype(np.float16 if k == "components" else np.float32) for k, v in arrays.items()}


def write_folder(folder: Path | str, files: Mapping[str, str | bytes | ad.AnnData]) -> Path:
    """Write files into a new folder, whole or not at all."""
    expect(not Path(folder).exists(), f"{folder}: it exists already; expected the name of a new folder")
    with written_whole(Path(folder)) as whole:
        whole.mkdir()
        for name, content in files.items():
            if isinstance(content, ad.AnnData):
                write_h5ad(content, whole / name)
            else:
                (whole / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(folder)


def csv_text(table: pd.DataFrame) -> str:
    """A table with six digits; text that a spreadsheet would take for a formula is quoted."""
    text = table.select_dtypes(["object", "string"]).columns
    quoted = {c: table[c].astype(str).replace(r"^([=+@\t\r-])", r"'\1", regex=True) for c in text}
    return table.assign(**quoted).to_csv(index=False, float_format="%.6g", lineterminator="\n")


def save(bundle: Bundle, folder: Path | str) -> Path:
    """Write a bundle into a new folder, whole or not at all: ``bundle.json``, ``arrays.npz`` and ``card.md``."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **bundle.arrays)  # type: ignore[arg-type]
    about = bundle.about | {"arrays_sha256": hashlib.sha256(buffer.getvalue()).hexdigest()}
    about["sha256"] = _checksum(about)
    text = json.dumps(about, indent=1, allow_nan=False) + "\n"
    return write_folder(folder, {FILES[1]: buffer.getvalue(), FILES[0]: text, "card.md": card(bundle)})


def _checksum(about: dict[str, Any]) -> str:
    """Checksum of what a bundle says, but for the checksum itself."""
    said = {k: v for k, v in about.items() if k != "sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True, allow_nan=False).encode()).hexdigest()


def shipped() -> dict[str, Path]:
    """Bundles that travel with the package, by name."""
    folder = Path(srna_lib.__file__).parent / "resources" / "bundles"
    return {p.name: p for p in sorted(folder.glob("*")) if (p / FILES[0]).is_file()}


def load_bundle(bundle: str | Path) -> Bundle:
    """Read a bundle, by the name of a shipped one or by its folder.

    Parameters
    ----------
    bundle : str or path
        Such as ``"lineage"``, or a folder that `save` wrote.

    Returns
    -------
    Bundle

    Raises
    ------
    InputError
        No such bundle, a newer format, or a file that was changed, cut off or is none.
    """
    known = shipped()
    folder = known.get(str(bundle), Path(bundle))
    why = f"; none tells {bundle} (docs/refusal.md says why)" if re.match("(sex|age)(_|$)", str(bundle)) else ""
    listed = ", ".join(known) or "(none)"
    expect(folder.is_dir(), f"unknown bundle {str(bundle)!r}: expected a folder, or one of {listed}{why}")
    for name in FILES:
        expect((folder / name).is_file(), f"{folder}: {name} is missing; expected a folder that `srna train` wrote")
    try:
        about = json.loads((folder / FILES[0]).read_text(encoding="utf-8"))
        number, sums = int(about["format"]), (str(about["sha256"]), str(about["arrays_sha256"]))
    except (ValueError, KeyError, TypeError) as error:
        odd = f"{folder / FILES[0]}: not readable as a bundle ({type(error).__name__})"
        raise InputError(f"{odd}; expected what `srna train` wrote.") from error
    mend = "update srna_lib" if number > FORMAT else "train it again"
    expect(number == FORMAT, f"{folder}: the bundle has format {number}; expected {FORMAT}: {mend}")
    content = (folder / FILES[1]).read_bytes()
    changed = "its checksum is not the one that the bundle states; it was changed or cut off"
    for name, found, stated in zip(FILES, (_checksum(about), hashlib.sha256(content).hexdigest()), sums, strict=True):
        expect(found == stated, f"{folder / name}: {changed}")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return Bundle(about, {name: arrays[name] for name in arrays.files})
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        odd = f"{folder / FILES[1]}: not readable ({type(error).__name__})"
        raise InputError(f"{odd}; expected arrays of a bundle.") from error


def card(bundle: Bundle) -> str:
    """Model card, in markdown."""
    text = resources.files("srna_lib").joinpath("resources/templates/card.md.j2").read_text(encoding="utf-8")
    told = {"about": bundle.about, "kept": bundle.about["measured"], "n_srnas": len(bundle.arrays["kept"])}
    template = jinja2.Template(text, trim_blocks=False)
    return template.render(**told, percent=lambda v: "none" if v is None else f"{v:.1%}")
