"""Prediction gaps: what is lost of a prediction when important, random or unimportant sRNAs are masked.

Masking puts an sRNA to the reference's value, in the space that the classifier sees. PGI masks the most important
first (high: they were necessary), PGU the least important first (low: what is left suffices); a random order
stands between. Definition: arXiv 2303.11336.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from srna_lib.errors import InputError
from srna_lib.explain.other_methods import layers

ORDERS = ("PGI", "random", "PGU")


class Gap(NamedTuple):
    """Prediction gap of one order of masking.

    Attributes
    ----------
    value : float
        Per cent, 0 to 100: mean over classes.
    per_class : Series, shape (n_classes,)
        Per cent, mean over the class's correctly classified samples.
    curve : DataFrame
        ``share_masked`` (0 to 1) and ``gap`` (0 to 1, mean over classes) step by step.
    n_samples : int
        Correctly classified samples, which alone are counted.
    """

    value: float
    per_class: pd.Series
    curve: pd.DataFrame
    n_samples: int


def prediction_gap(
    classifier: Any,
    values: Any,
    y: Iterable[str],
    order: np.ndarray,
    *,
    reference: Any,
    step: int = 10,
) -> Gap:
    """Mask features in a given order and measure what is lost of the true class's probability.

    With probability p of the true class, F features, and g of them masked at each step, the gap of a sample is the sum
    over i of (g / F) * max(0, (p(x) - p(x with the first i * g masked)) / p(x)), with a last, shorter step where
    g does not divide F.

    Parameters
    ----------
    classifier : estimator
        Fitted, with ``predict_proba`` and ``classes_``: the last step of a recipe. Dense networks and logistic
        regressions are updated from step to step, which is fast; others predict anew.
    values : array, shape (n_samples, n_features)
        Model input (`deeplift.model_space`).
    y : iterable of str, shape (n_samples,)
        True class of each sample.
    order : array of int, shape (n_features,) or (n_samples, n_features)
        Positions of the features, first to be masked first; one order for all, or one per sample.
    reference : array, shape (n_features,), (1, n_features) or (n_samples, n_features)
        What a masked feature is put to (`deeplift.reference_input`).
    step : int, default 10
        Features masked at a time; more is faster and coarser.

    Returns
    -------
    Gap

    Raises
    ------
    InputError
        Shapes that do not fit, an order that is no permutation, or no correctly classified sample.
    """
    M = np.asarray(values, dtype=np.float32)
    R = np.broadcast_to(np.atleast_2d(np.asarray(reference, dtype=np.float32)), M.shape)
    order = np.asarray(order)
    if order.shape not in (M.shape, M.shape[1:]):
        raise InputError(f"order of shape {order.shape}: expected {M.shape[1:]} or {M.shape}, positions of features.")
    if not (np.sort(order, axis=-1) == np.arange(M.shape[1])).all():
        raise InputError("order: expected every feature once, no more and no less.")
    if step < 1:
        raise InputError(f"step={step}: expected at least one feature at a time.")
    classes = np.asarray(classifier.classes_)
    truth = np.asarray(list(y), dtype=object)
    first = np.asarray(classifier.predict_proba(M))
    right = classes[first.argmax(axis=1)].astype(object) == truth
    if not right.any():
        raise InputError("prediction gaps: no sample is classified correctly; expected at least one.")
    M, R, truth = M[right], R[right], truth[right]
    order = order if order.ndim == 1 else order[right]
    at = np.searchsorted(classes.astype(object), truth)
    whole = first[right][np.arange(len(at)), at]
    masked, gaps, shares = 0, np.zeros(len(M)), [0.0]
    per_class = pd.Series(truth)
    curve = [0.0]
    for done, probability in _masked(classifier, M, R, order, step):
        lost = np.maximum(0, 1 - probability[np.arange(len(at)), at] / whole)
        gaps += (done - masked) / M.shape[1] * lost
        masked = done
        shares.append(masked / M.shape[1])
        curve.append(pd.Series(lost).groupby(per_class).mean().mean())
    by_class = 100 * pd.Series(gaps).groupby(per_class).mean().rename_axis("class")
    return Gap(float(by_class.mean()), by_class, pd.DataFrame({"share_masked": shares, "gap": curve}), len(M))


def gap_table(
    classifier: Any,
    values: Any,
    y: Iterable[str],
    scores: np.ndarray,
    *,
    reference: Any,
    step: int = 10,
    n_random: int = 3,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """PGI, PGU and the random control of one method's scores.

    Parameters
    ----------
    classifier, values, y, reference, step
        As in `prediction_gap`.
    scores : array, shape (n_features,) or (n_samples, n_features)
        Importance; its size decides, not its sign. One ranking for all samples (global), or one for each (local).
    n_random : int, default 3
        Random orders whose gaps are averaged; 0 leaves the control out.
    seed : int, default 0
        Of the random orders.

    Returns
    -------
    gaps : DataFrame, one row per order and class
        ``order, class, gap`` in per cent; ``class`` is empty in the row with the mean over classes.
    curves : DataFrame
        ``order, share_masked, gap``.
    """
    y = list(y)
    size = np.abs(np.asarray(scores, dtype=float))
    rng = np.random.default_rng(seed)
    orders = {"PGI": [np.argsort(-size, axis=-1, kind="stable")], "PGU": [np.argsort(size, axis=-1, kind="stable")]}
    orders["random"] = [rng.permutation(size.shape[-1]) for _ in range(n_random)]
    rows, curves = [], []
    for name in (o for o in ORDERS if orders[o]):
        found = [prediction_gap(classifier, values, y, o, reference=reference, step=step) for o in orders[name]]
        per_class = pd.concat([g.per_class for g in found], axis=1).mean(axis=1)
        rows.append({"order": name, "class": "", "gap": per_class.mean()})
        rows += [{"order": name, "class": c, "gap": v} for c, v in per_class.items()]
        curve = pd.concat([g.curve for g in found]).groupby("share_masked", as_index=False).mean()
        curves.append(curve.assign(order=name))
    return pd.DataFrame(rows), pd.concat(curves)


def gap_tables(
    classifier: Any, values: Any, y: Iterable[str], scores: Mapping[str, np.ndarray], **options: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Prediction gaps of several methods, side by side.

    Parameters
    ----------
    classifier, values, y
        As in `prediction_gap`.
    scores : mapping of str to array
        Method -> scores as in `gap_table`.
    **options
        ``reference`` and others of `gap_table`.

    Returns
    -------
    gaps : DataFrame, one row per method
        ``PGI, random, PGU`` in per cent (mean over classes), ``PGI / random``, ``PGU / random``.
    curves : DataFrame
        ``method, order, share_masked, gap``.
    """
    y, n_random = list(y), options.pop("n_random", 3)
    tables: list[pd.Series] = []
    curves: list[pd.DataFrame] = []
    for name, s in scores.items():
        # random orders know nothing of the method: drawn once, for the first
        table, curve = gap_table(classifier, values, y, s, n_random=0 if tables else n_random, **options)
        tables.append(table[table["class"] == ""].set_index("order")["gap"].rename(name))
        if len(tables) > 1:
            tables[-1]["random"] = tables[0]["random"]
            curve = pd.concat([curve, curves[0][curves[0]["order"] == "random"]])
        curves.append(curve.assign(method=name))
    gaps = pd.DataFrame(tables)[list(ORDERS)].rename_axis(index="method", columns=None)
    for order in ("PGI", "PGU"):
        gaps[f"{order} / random"] = gaps[order] / gaps["random"]
    return gaps, pd.concat(curves, ignore_index=True)


def global_importance(local: np.ndarray, y: Iterable[str]) -> np.ndarray:
    """One ranking for all samples: sizes brought to norm 1 in each sample, averaged in classes, then over classes.

    Parameters
    ----------
    local : array, shape (n_samples, n_features)
        Contributions to the true class.
    y : iterable of str, shape (n_samples,)
        Class of each sample.

    Returns
    -------
    array, shape (n_features,)
    """
    size = np.abs(np.asarray(local, dtype=float))
    norm = np.sqrt((size**2).sum(axis=1, keepdims=True))
    size = np.divide(size, norm, out=np.zeros_like(size), where=norm > 0)
    return pd.DataFrame(size).groupby(np.asarray(list(y), dtype=object)).mean().mean().to_numpy()


def _masked(classifier: Any, M: np.ndarray, R: np.ndarray, order: np.ndarray, step: int) -> Any:
    """After each step: how many features are masked, and the probabilities, shape (n_samples, n_classes)."""
    stack = layers(classifier)
    n_features = M.shape[1]
    delta = M - R
    current = M.copy()
    level = M @ stack[0][0] + stack[0][1] if stack else None
    for at in range(0, n_features, step):
        block = order[..., at : at + step]
        if stack is None:
            if block.ndim == 1:
                current[:, block] = R[:, block]
            else:
                np.put_along_axis(current, block, np.take_along_axis(R, block, axis=1), axis=1)
            yield at + block.shape[-1], classifier.predict_proba(current)
            continue
        # only the masked features change the first layer's sum
        if block.ndim == 1:
            level = level - delta[:, block] @ stack[0][0][block]
        else:
            level = level - (np.take_along_axis(delta, block, axis=1)[:, None, :] @ stack[0][0][block])[:, 0]
        yield at + block.shape[-1], _softmax(_forward(level, stack[1:]))


def _forward(level: np.ndarray, rest: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    for kernel, bias in rest:
        level = np.maximum(level, 0) @ kernel + bias
    return level


def _softmax(logits: np.ndarray) -> np.ndarray:
    exps = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return exps / exps.sum(axis=1, keepdims=True)
