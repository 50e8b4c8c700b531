"""Rivals of DeepLIFT on the same samples: gradients, integrated gradients, forests and linear weights.

All answer "which sRNAs matter" in one shape, a table of scores with a row per class (or a single row where a method
knows no classes) and a column per sRNA, so that `rankings` can compare them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from srna_lib import deeplift
from srna_lib.errors import InputError
from srna_lib.explain import d1
from srna_lib.networks import DenseNetClassifier
from srna_lib.preprocess import feature_names

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
    values = deeplift.model_space(model, X).to_numpy(dtype=np.float32)
    start = deeplift.reference_input(model, X, reference=reference).to_numpy(dtype=np.float32)
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
