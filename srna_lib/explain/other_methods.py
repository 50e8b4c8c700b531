"""Baseline methods beside DeepLIFT: gradients, integrated gradients, forests and linear weights.

All answer "which sRNAs matter" in one shape, a table of scores with a row per class (or a single row where a method
knows no classes) and a column per sRNA, so that `rankings` can compare them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from srna_lib.data import CONTEXT, Task, annotate, with_context
from srna_lib.errors import InputError
from srna_lib.evaluate import Profile, Split, build_recipe, fit_fold
from srna_lib.explain.deeplift import model_space, reference_input
from srna_lib.explain.scores import d1
from srna_lib.models import CONDITIONED, DenseNetClassifier, feature_names

Layers = list[tuple[np.ndarray, np.ndarray]]
ALL = "all classes"  # the row of methods that know no classes


def layers(classifier: Any) -> Layers | None:
    """Give a classifier as dense layers with ReLU between, where it is one.

    Parameters
    ----------
    classifier : estimator
        Fitted. A logistic regression is a network without hidden layers; with two classes it gets a second output
        that is constant zero.

    Returns
    -------
    list of (kernel (n_in, n_out), bias (n_out,)), float32, or None
        None for a model that is no stack of dense layers, such as a forest.
    """
    if isinstance(classifier, DenseNetClassifier):
        weights = [np.asarray(w, dtype=np.float32) for w in classifier.weights_]
        return list(zip(weights[::2], weights[1::2], strict=True))
    if isinstance(classifier, LogisticRegression):
        kernel, bias = classifier.coef_.T, classifier.intercept_
        if len(classifier.classes_) == 2:
            kernel, bias = np.hstack([0 * kernel, kernel]), np.append(0 * bias, bias)
        return [(kernel.astype(np.float32), bias.astype(np.float32))]
    return None


def gradient_x_input(model: Pipeline, X: pd.DataFrame, *, reference: Any = None, batch_size: int = 256) -> np.ndarray:
    """Gradient of each logit times the difference from the reference.

    Parameters
    ----------
    model : Pipeline
        Fitted; ends in a dense network or a logistic regression.
    X : DataFrame, shape (n_samples, n_srnas)
        Raw counts.
    reference : optional
        As in `deeplift.contributions`. The method in its usual form has zeros in model space.
    batch_size : int, default 256
        Samples at a time, which bounds the memory.

    Returns
    -------
    array, shape (n_samples, n_classes, n_model_features), float32
        In general it does not sum to the difference in logits: a gradient knows the point only, not the way to it.
    """
    return _along_path(model, X, reference, [1.0], batch_size)


def integrated_gradients(
    model: Pipeline, X: pd.DataFrame, *, reference: Any = None, steps: int = 50, batch_size: int = 256
) -> np.ndarray:
    """Mean gradient of each logit on the straight way from the reference, times the difference.

    Parameters
    ----------
    model, X, reference, batch_size
        As in `gradient_x_input`.
    steps : int, default 50
        Points on the way (midpoints of equal pieces). More lowers what the sum lacks.

    Returns
    -------
    array, shape (n_samples, n_classes, n_model_features), float32
        Sums to logit minus reference logit, up to the error of the steps.

    Raises
    ------
    InputError
        Fewer than one step, or a model that is no stack of dense layers.

    References
    ----------
    Sundararajan, Taly, Yan 2017, arXiv 1703.01365.
    """
    if steps < 1:
        raise InputError(f"steps={steps}: integrated gradients need at least one point on the way.")
    return _along_path(model, X, reference, (np.arange(steps) + 0.5) / steps, batch_size)


def mean_scores(values: np.ndarray, model: Pipeline, X: pd.DataFrame, y: Iterable[str]) -> pd.DataFrame:
    """D1 of attributions of any method.

    Parameters
    ----------
    values : array, shape (n_samples, n_classes, n_model_features)
        Attributions, outputs in the order of the model's classes.
    model : Pipeline
        What they explain.
    X : DataFrame, shape (n_samples, n_srnas)
        Raw counts.
    y : iterable of str, shape (n_samples,)
        Class of each sample.

    Returns
    -------
    DataFrame, shape (n_classes, n_model_features)
    """
    known, y = list(model.classes_), list(y)
    own = d1(values, np.array([known.index(c) for c in y]))
    return pd.DataFrame(own, columns=feature_names(model, X)).groupby(np.asarray(y, dtype=object)).mean()


def linear_weights(model: Pipeline, X: pd.DataFrame) -> pd.DataFrame:
    """Weights of a fitted logistic recipe, per class.

    Parameters
    ----------
    model : Pipeline
        Fitted; ends in a logistic regression on z-scores, so that weights of sRNAs can be compared.
    X : DataFrame, shape (n_samples, n_srnas)
        Raw counts, for the names.

    Returns
    -------
    DataFrame, shape (n_classes, n_model_features)

    Raises
    ------
    InputError
        The model is no logistic regression.
    """
    classifier = model[-1]
    if not isinstance(classifier, LogisticRegression):
        raise InputError(f"linear weights: the model is a {type(classifier).__name__}; expected a logistic regression.")
    ((kernel, _),) = layers(classifier) or []
    if len(classifier.classes_) == 2:
        kernel = np.hstack([-kernel[:, 1:], kernel[:, 1:]])
    return pd.DataFrame(kernel.T, index=list(classifier.classes_), columns=feature_names(model, X))


def forest_gini(model: Pipeline, X: pd.DataFrame) -> pd.DataFrame:
    """Gini importance of a fitted forest recipe: how much an sRNA's splits purify the classes.

    Parameters
    ----------
    model : Pipeline
        Fitted; ends in a forest.
    X : DataFrame, shape (n_samples, n_srnas)
        Raw counts, for the names.

    Returns
    -------
    DataFrame, shape (1, n_model_features)
        Non-negative; a forest knows no importance per class.

    Raises
    ------
    InputError
        The model has no Gini importance.
    """
    classifier = model[-1]
    if not hasattr(classifier, "feature_importances_"):
        raise InputError(f"Gini importance: the model is a {type(classifier).__name__}; expected a forest.")
    return pd.DataFrame([classifier.feature_importances_], index=[ALL], columns=feature_names(model, X))


def forest_permutation(model: Pipeline, X: pd.DataFrame, y: Iterable[str], *, seed: int = 0) -> pd.DataFrame:
    """Permutation importance of a fitted forest, on the samples that each tree did not see.

    For every tree, the values of each sRNA that it splits on are shuffled among the tree's out-of-bag samples; the
    importance is the accuracy lost, averaged over all trees (Breiman's definition, R's ``randomForest``).

    Parameters
    ----------
    model : Pipeline
        Fitted on exactly these samples; ends in scikit-learn's ``RandomForestClassifier`` with bootstrap.
    X : DataFrame, shape (n_samples, n_srnas)
        Raw counts of the training samples, in the order of `fit`.
    y : iterable of str, shape (n_samples,)
        Class of each sample.
    seed : int, default 0
        Of the shuffles.

    Returns
    -------
    DataFrame, shape (1, n_model_features)
        In accuracy (0 to 1); sRNAs that no tree uses have 0.

    Raises
    ------
    InputError
        The model is no such forest, or was fitted on another number of samples.
    """
    forest = model[-1]
    if not isinstance(forest, RandomForestClassifier) or not forest.bootstrap:
        raise InputError(
            f"permutation importance: the model is a {type(forest).__name__}; expected a RandomForestClassifier that"
            " draws its samples (bootstrap)."
        )
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
    """Share of right calls of one tree; its own `predict` would check the input anew at every call."""
    leaves = tree.tree_.apply(values)
    return float((tree.tree_.value[leaves, 0].argmax(axis=1) == truth).mean()) if len(truth) else 0.0


def _along_path(model: Pipeline, X: pd.DataFrame, reference: Any, points: Iterable[float], batch: int) -> np.ndarray:
    """Mean gradient at points between reference (0) and sample (1), times their difference.

    The first layer is linear, so what is averaged is the gradient behind it: small, and multiplied out once.
    """
    stack = layers(model[-1])
    if stack is None:
        raise InputError(f"gradients: the model is a {type(model[-1]).__name__}; expected a dense network.")
    values = model_space(model, X).to_numpy(dtype=np.float32)
    start = reference_input(model, X, reference=reference).to_numpy(dtype=np.float32)
    if len(start) not in (1, len(values)):
        raise InputError(f"gradients: {len(start)} references; expected one, or one per sample.")
    (kernel, bias), rest = stack[0], stack[1:]
    points = list(points)
    out = np.empty((len(values), stack[-1][1].size, values.shape[1]), dtype=np.float32)
    for at in range(0, len(values), batch):
        rows = slice(at, at + batch)
        delta = values[rows] - (start if len(start) == 1 else start[rows])
        base, way = (values[rows] - delta) @ kernel + bias, delta @ kernel
        total = sum(_gradient(base + np.float32(t) * way, rest) for t in points)
        out[rows] = (total / len(points)) @ kernel.T * delta[:, None, :]
    return out


def _gradient(before: np.ndarray, rest: Layers) -> np.ndarray:
    """Gradient of every output with respect to the first layer's sum, shape (n, n_outputs, n_units)."""
    masks, level = [], before
    for kernel, bias in rest:
        masks.append(level > 0)
        level = np.maximum(level, 0) @ kernel + bias
    outputs = level.shape[1]
    back = np.broadcast_to(np.eye(outputs, dtype=np.float32), (len(before), outputs, outputs))
    for mask, (kernel, _) in zip(masks[::-1], rest[::-1], strict=True):
        back = (back @ kernel.T) * mask[:, None, :]
    return back


SEX_CHROMOSOMES = {"chrX": "X", "chrY": "Y"}


def fold_weights(
    task: Task,
    adata: ad.AnnData,
    model: str,
    splits: list[Split],
    *,
    profile: Profile,
    seed: int = 0,
    context: tuple[str, ...] = ("dataset_id", "tumour_normal"),
) -> pd.DataFrame:
    """Weights of a linear recipe in every fold, ranked, with the place of each sRNA in the genome.

    Parameters
    ----------
    task : Task
        Samples and labels of two classes.
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas that the task was made from.
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

    Raises
    ------
    InputError
        More than two classes, or a recipe without weights.
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
    mean = folds.mean(axis=1)
    order = mean.abs().sort_values(ascending=False, kind="stable").index
    low, high = folds.min(axis=1)[order], folds.max(axis=1)[order]
    table = pd.DataFrame({"srna": order, "rank": np.arange(1, len(order) + 1), "weight": mean[order].to_numpy()})
    table = table.assign(lowest=low.to_numpy(), highest=high.to_numpy())
    table["steady"] = (table["lowest"] > 0) | (table["highest"] < 0)
    table["towards"] = np.where(table["weight"] > 0, task.classes[1], task.classes[0])
    return table.join(mark_sex_linked(adata.var.loc[order]).reset_index(drop=True))


def mark_sex_linked(var: pd.DataFrame) -> pd.DataFrame:
    """Chromosome of each sRNA, and whether it is a sex chromosome.

    Parameters
    ----------
    var : DataFrame, shape (n_srnas, ...)
        Index = sRNA names.

    Returns
    -------
    DataFrame, shape (n_srnas, 2 or 3)
        ``chrom`` (several joined by ``;``; empty where unknown), ``linked`` and, where `var` has it, ``biotype``. An
        sRNA with copies on autosomes too is ``"X and others"``: its reads may come from there.
    """
    chrom = annotate(var[[c for c in ("chrom",) if c in var]])["chrom"].astype(object)
    chrom = chrom.where(chrom.notna(), "")
    linked = []
    for places in (set(str(c).split(";")) for c in chrom):
        found = sorted(SEX_CHROMOSOMES[c] for c in places & set(SEX_CHROMOSOMES))
        linked.append(" and ".join([*found, *(["others"] if found and places - set(SEX_CHROMOSOMES) else [])]))
    out = pd.DataFrame({"chrom": chrom.to_numpy(), "linked": linked}, index=var.index)
    return out.assign(biotype=var["biotype"]) if "biotype" in var else out


def sex_linked_enrichment(table: pd.DataFrame, tops: tuple[int, ...] = (10, 25, 50, 100)) -> pd.DataFrame:
    """Whether sex-linked sRNAs are more frequent among the best than among all.

    Parameters
    ----------
    table : DataFrame
        From `linear_weights`.
    tops : tuple of int, default (10, 25, 50, 100)
        Numbers of best sRNAs; those beyond the length of the table are left out.

    Returns
    -------
    DataFrame, one row per number
        ``top, linked`` (sex-linked among them), ``expected`` (by chance), ``of`` (sex-linked in all), ``n`` (sRNAs with
        a known place), ``p_value`` (hypergeometric, this many or more).

    Notes
    -----
    Only sRNAs with a known place take part, and one with copies elsewhere counts as linked. Clustered miRNAs are
    transcribed together, so they are not independent and the p-value is too small by an unknown amount.
    """
    known = table[table["chrom"] != ""].sort_values("rank")
    linked = (known["linked"] != "").to_numpy()
    rows = []
    for top in tops:
        if top > len(known):
            continue
        k = int(linked[:top].sum())
        rows.append(
            {
                "top": top,
                "linked": k,
                "expected": top * linked.mean(),
                "of": int(linked.sum()),
                "n": len(known),
                "p_value": float(stats.hypergeom.sf(k - 1, len(known), linked.sum(), top)),
            }
        )
    return pd.DataFrame(rows, columns=["top", "linked", "expected", "of", "n", "p_value"])
