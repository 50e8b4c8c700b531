"""Baseline methods beside DeepLIFT: gradients, integrated gradients, forests and linear weights.

All answer in one shape: a table of scores with a row per class (or one row where a method knows no classes) and a
column per sRNA, larger is more important.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from srna_lib.data import CONTEXT, Task, annotate, with_context
from srna_lib.errors import InputError, one_of
from srna_lib.evaluate import Profile, Split, build_recipe, fit_fold
from srna_lib.explain.deeplift import model_space, read_network, reference_input
from srna_lib.explain.scores import d1
from srna_lib.models import CONDITIONED, feature_names

Layers = list[tuple[np.ndarray, np.ndarray]]
ALL = "all classes"  # the row of methods that know no classes
BATCH = 256  # samples at a time


def layers(classifier: Any) -> Layers:
    """Kernels and biases of a network or logistic regression, float32; of two classes the first has the output zero."""
    network = read_network(classifier)
    if network.leaves is not None:
        kinds = f"the model has {len(network.leaves)} leaves for {len(network.classes)} classes"
        raise InputError(f"{kinds}, no weights of classes; expected one fitted without kinds, or DeepLIFT.")
    stack = [(layer.kernel, layer.bias) for layer in network.layers]
    if stack[-1][0].shape[1] == 1:
        stack = [(np.hstack([0 * kernel, kernel]), np.append(0 * bias, bias)) for kernel, bias in stack]
    return stack


def gradient_x_input(model: Pipeline, X: pd.DataFrame, *, reference: Any = None) -> np.ndarray:
    """Gradient of each logit times the difference from the reference, shape (n_samples, n_classes, n_model_features).

    In general it does not sum to the difference in logits: a gradient knows the point only, not the way to it. The
    method in its usual form has zeros in model space as `reference` (of `contributions`).
    """
    return _along_path(model, X, reference, [1.0])


def integrated_gradients(
    model: Pipeline, X: pd.DataFrame, *, reference: Any = None, steps: int = 50, output: str = "logit"
) -> np.ndarray:
    """Mean gradient of each logit on the straight way from the reference, times the difference.

    Sums to logit (or `output` ``"probability"``) minus that of the reference, up to the error of the `steps` on the way
    (Sundararajan, Taly, Yan 2017, arXiv 1703.01365). A probability is bounded: where the classifier is sure, most of
    the way counts for nothing. Shape and other parameters as in `gradient_x_input`.
    """
    if steps < 1:
        raise InputError(f"steps={steps}: integrated gradients need at least one point on the way.")
    one_of("output", output, ("logit", "probability"))
    return _along_path(model, X, reference, (np.arange(steps) + 0.5) / steps, output == "probability")


def mean_scores(values: np.ndarray, model: Pipeline, X: pd.DataFrame, y: Iterable[str]) -> pd.DataFrame:
    """D1 of attributions (n_samples, n_classes, n_model_features) of any method, per class."""
    known, y = list(model.classes_), list(y)
    own = d1(values, np.array([known.index(c) for c in y]))
    return pd.DataFrame(own, columns=feature_names(model, X)).groupby(np.asarray(y, dtype=object)).mean()


def linear_weights(model: Pipeline, X: pd.DataFrame) -> pd.DataFrame:
    """Weights of a fitted logistic recipe on z-scores, per class."""
    classifier = model[-1]
    if not isinstance(classifier, LogisticRegression):
        raise InputError(f"linear weights: the model is a {type(classifier).__name__}; expected a logistic regression.")
    weights = layers(classifier)[0][0].T
    weights = np.vstack([-weights[1], weights[1]]) if len(classifier.coef_) == 1 else weights
    return pd.DataFrame(weights, index=list(classifier.classes_), columns=feature_names(model, X))


def forest_gini(model: Pipeline, X: pd.DataFrame) -> pd.DataFrame:
    """Gini importance of a fitted forest recipe, one row: how much an sRNA's splits purify the classes."""
    classifier = model[-1]
    if not hasattr(classifier, "feature_importances_"):
        raise InputError(f"Gini importance: the model is a {type(classifier).__name__}; expected a forest.")
    return pd.DataFrame([classifier.feature_importances_], index=[ALL], columns=feature_names(model, X))


def forest_permutation(model: Pipeline, X: pd.DataFrame, y: Iterable[str], *, seed: int = 0) -> pd.DataFrame:
    """Permutation importance of a fitted forest, on the samples that each tree did not see; one row.

    For every tree, the values of each sRNA that it splits on are shuffled among the tree's out-of-bag samples; the
    importance is the accuracy lost (0 to 1), averaged over all trees (Breiman's definition, R's ``randomForest``). `X`
    and `y` are exactly the samples that the forest was fitted on, in their order.
    """
    forest = model[-1]
    if not isinstance(forest, RandomForestClassifier) or not forest.bootstrap:
        kind = type(forest).__name__
        raise InputError(f"permutation importance: found a {kind}; expected a RandomForestClassifier with bootstrap.")
    values = np.asarray(model[:-1].transform(X), dtype=np.float32)
    target = np.searchsorted(forest.classes_, np.asarray(list(y), dtype=forest.classes_.dtype))
    rng = np.random.default_rng(seed)
    lost = np.zeros(values.shape[1])
    for tree, seen in zip(forest.estimators_, forest.estimators_samples_, strict=True):
        if len(seen) != len(values):
            raise InputError(f"permutation importance: {len(values)} samples; the forest was fitted on {len(seen)}.")
        unseen = np.setdiff1d(np.arange(len(values)), seen)
        used = np.unique(tree.tree_.feature[tree.tree_.feature >= 0])
        mine, truth = values[unseen], target[unseen]
        right = _accuracy(tree, mine, truth)
        for j in used:
            kept = mine[:, j].copy()
            mine[:, j] = rng.permutation(kept)
            lost[j] += right - _accuracy(tree, mine, truth)
            mine[:, j] = kept
    return pd.DataFrame([lost / len(forest.estimators_)], index=[ALL], columns=feature_names(model, X))


def _accuracy(tree: Any, values: np.ndarray, truth: np.ndarray) -> float:
    """Share of correct predictions of one tree; its own `predict` would check the input anew at every call."""
    leaves = tree.tree_.apply(values)
    return float((tree.tree_.value[leaves, 0].argmax(axis=1) == truth).mean()) if len(truth) else 0.0


def _along_path(model: Pipeline, X: pd.DataFrame, reference: Any, points: Any, probability: bool = False) -> np.ndarray:
    """Mean gradient at points between reference (0) and sample (1), times their difference.

    The first layer is linear, so what is averaged is the gradient behind it: small, and multiplied out once.
    """
    stack = layers(model[-1])
    values = model_space(model, X).to_numpy(dtype=np.float32)
    start = reference_input(model, X, reference=reference).to_numpy(dtype=np.float32)
    if len(start) != 1:
        raise InputError(f"gradients: {len(start)} references; expected one.")
    (kernel, bias), *rest = stack
    out = np.empty((len(values), stack[-1][1].size, values.shape[1]), dtype=np.float32)
    for at in range(0, len(values), BATCH):
        rows = slice(at, at + BATCH)
        delta = values[rows] - start
        base, way = (values[rows] - delta) @ kernel + bias, delta @ kernel
        total = sum(_gradient(base + np.float32(t) * way, rest, probability) for t in points)
        out[rows] = (total / len(points)) @ kernel.T * delta[:, None, :]
    return out


def _gradient(before: np.ndarray, rest: Layers, probability: bool) -> np.ndarray:
    """Gradient of every output with respect to the first layer's sum, shape (n, n_outputs, n_units)."""
    masks, level = [], before
    for kernel, bias in rest:
        masks.append(level > 0)
        level = np.maximum(level, 0) @ kernel + bias
    outputs = level.shape[1]
    back = np.broadcast_to(np.eye(outputs, dtype=np.float32), (len(before), outputs, outputs))
    for mask, (kernel, _) in zip(masks[::-1], rest[::-1], strict=True):
        back = (back @ kernel.T) * mask[:, None, :]
    if probability:  # dp_c = p_c (dz_c - sum_k p_k dz_k)
        p = softmax(level, axis=1)[:, :, None]
        back = p * (back - (p * back).sum(axis=1, keepdims=True))
    return back


def fold_weights(
    task: Task, adata: ad.AnnData, model: str, splits: list[Split], *, profile: Profile, seed: int = 0,
    context: tuple[str, ...] = ("dataset_id", "tumour_normal"),
) -> pd.DataFrame:  # fmt: skip
    """Weights of a linear recipe in every fold, ranked, with the place of each sRNA in the genome.

    Parameters
    ----------
    task, adata
        Samples and labels of two classes; the atlas that they are from.
    model : str
        Linear recipe: ``logistic``, ``tissue_input``, ``per_tissue`` or ``partial_pooling``.
    splits : list of Split
        Folds; the spread of a weight over them says how steady it is.
    profile, seed, context
        As in `evaluate.cross_validate`.

    Returns
    -------
    DataFrame, one row per sRNA that every fold used
        ``srna, rank`` (by size), ``weight`` (mean over folds, per standard deviation of the model's input), ``lowest,
        highest`` (over folds), ``steady`` (same sign in all), ``towards`` (the class that more of it speaks for),
        ``chrom``, ``linked`` (``X``, ``Y``, ``X and others``..., or empty) and, where the atlas has it, ``biotype``.
    """
    if len(task.classes) != 2:
        raise InputError(f"task {task.name!r} has {len(task.classes)} classes; expected two to rank weights by sign.")
    seen = with_context(task, adata, context) if model in CONDITIONED else task
    columns = []
    for split in splits:
        fitted = fit_fold(seen, build_recipe(seen, model, seed=seed, profile=profile, by=context[0]), split.train)
        if not hasattr(fitted[-1], "coef_"):
            raise InputError(f"recipe {model!r} has no weights; expected a linear one, such as 'logistic'.")
        names = pd.Index(feature_names(fitted, seen.X))
        inner = np.asarray(fitted[:-1].transform(seen.X.iloc[split.train]), dtype=float)
        srna = ~names.str.startswith(CONTEXT)
        values = pd.DataFrame(inner[:, srna])
        if model in CONDITIONED:  # these centre within data sets: the spread that they see is the one inside
            values -= values.groupby(task.groups.to_numpy()[split.train]).transform("mean")
        weight = np.asarray(fitted[-1].coef_, dtype=float)[0] * values.std(axis=0, ddof=0).to_numpy()
        columns.append(pd.Series(weight, index=names[srna]))
    folds = pd.concat(columns, axis=1, join="inner")
    folds = folds.loc[folds.mean(axis=1).abs().sort_values(ascending=False, kind="stable").index]
    weight, low, high = folds.mean(axis=1), folds.min(axis=1), folds.max(axis=1)
    table = {"rank": range(1, len(folds) + 1), "weight": weight, "lowest": low, "highest": high}
    table |= {"steady": (low > 0) | (high < 0), "towards": np.where(weight > 0, task.classes[1], task.classes[0])}
    linked = mark_sex_linked(adata.var.loc[folds.index])
    return pd.DataFrame(table).join(linked).rename_axis("srna").reset_index()


def mark_sex_linked(var: pd.DataFrame) -> pd.DataFrame:
    """Chromosomes of each sRNA, and which are sex chromosomes: ``"X and others"`` where reads may be autosomal."""
    chrom = annotate(var[[c for c in ("chrom",) if c in var]])["chrom"].astype(object)
    out = pd.DataFrame({"chrom": chrom.where(chrom.notna(), "").astype(str)}, index=var.index)
    linked = []
    for places in out["chrom"].str.split(";").map(set):
        sex = sorted(c.removeprefix("chr") for c in places & {"chrX", "chrY"})
        linked.append(" and ".join([*sex, *(["others"] if sex and len(places) > len(sex) else [])]))
    return out.assign(linked=linked, **{"biotype": var["biotype"]} if "biotype" in var else {})
