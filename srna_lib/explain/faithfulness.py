"""Prediction gaps: what is lost of a prediction when important, random or unimportant sRNAs are masked.

Masking puts an sRNA to the reference's value, in the space that the classifier sees. PGI masks the most important
first (high: they were necessary), PGU the least important first (low: what is left suffices); a random order
stands between. Definition: arXiv 2303.11336.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.pipeline import Pipeline

from srna_lib.errors import InputError
from srna_lib.explain.deeplift import model_space, reference_input
from srna_lib.explain.other_methods import layers

ORDERS = ("PGI", "random", "PGU")
N_RANDOM = 3  # random orders whose gaps are averaged


def prediction_gap(
    classifier: Any, values: Any, y: Iterable[str], order: np.ndarray, *, reference: Any, step: int = 10
) -> tuple[pd.Series, pd.DataFrame]:
    """Mask features in an order (one, or one per sample): gap of each class in per cent, and what each step loses.

    With probability p of the true class, F features, and g of them masked at each step, the gap of a sample is the sum
    over i of (g / F) * max(0, (p(x) - p(x with the first i * g masked)) / p(x)), with a last, shorter step where g does
    not divide F; correctly classified samples count.
    """
    M = np.asarray(values, dtype=np.float32)
    R = np.broadcast_to(np.atleast_2d(np.asarray(reference, dtype=np.float32)), M.shape)
    if order.shape not in (M.shape, M.shape[1:]):
        raise InputError(f"order of shape {order.shape}: expected {M.shape[1:]} or {M.shape}, positions of features.")
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
    return by_class, pd.DataFrame({"share_masked": shares, "gap": curve})


def gap_tables(
    model: Any, X: Any, y: Iterable[str], scores: Mapping[str, np.ndarray], *, reference: Any = None, step: int = 10,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Prediction gaps of several methods, side by side with random orders.

    Parameters
    ----------
    model, X, y, reference
        As in `contributions`, and the true class of each sample.
    scores : mapping of str to array, shape (n_features,) or (n_samples, n_features)
        Method -> importance; its size decides, not its sign. One ranking for all samples (global), or one for each
        (local).
    step, seed
        Features masked at a time (more is faster and coarser); seed of the random orders.

    Returns
    -------
    gaps : DataFrame, one row per method
        ``PGI, random, PGU`` in per cent (mean over classes), ``PGI / random``, ``PGU / random``.
    curves : DataFrame
        ``method, order, share_masked, gap``.
    """
    y, rng = list(y), np.random.default_rng(seed)
    values, start = model_space(model, X), reference_input(model, X, reference=reference)
    classifier = model[-1] if isinstance(model, Pipeline) else model

    def mean_gap(orders: list[np.ndarray]) -> tuple[float, pd.DataFrame]:
        gaps = [prediction_gap(classifier, values, y, o, reference=start, step=step) for o in orders]
        per_class, curves = ([gap[i] for gap in gaps] for i in (0, 1))
        curve = pd.concat(curves).groupby("share_masked", as_index=False).mean()
        return pd.concat(per_class, axis=1).mean(axis=1).mean(), curve

    random = mean_gap([rng.permutation(np.shape(values)[1]) for _ in range(N_RANDOM)])
    rows, curves = {}, []
    for method, score in scores.items():
        size = np.abs(np.asarray(score, dtype=float))
        first, last = (mean_gap([np.argsort(sign * size, axis=-1, kind="stable")]) for sign in (-1, 1))
        gaps = dict(zip(ORDERS, (first, random, last), strict=True))
        rows[method] = {order: value for order, (value, _) in gaps.items()}
        curves += [curve.assign(order=order, method=method) for order, (_, curve) in gaps.items()]
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")
    for order in ("PGI", "PGU"):
        table[f"{order} / random"] = table[order] / table["random"]
    return table, pd.concat(curves, ignore_index=True)


def own_class(values: np.ndarray, model: Any, y: Iterable[str]) -> np.ndarray:
    """Of attributions (n_samples, n_classes, n_features) those to each sample's own class."""
    return values[np.arange(len(values)), np.searchsorted(model.classes_, list(y))]


def global_importance(local: np.ndarray, y: Iterable[str]) -> np.ndarray:
    """One ranking for all samples: sizes brought to norm 1 in each sample, averaged in classes, then over classes."""
    size = np.abs(np.asarray(local, dtype=float))
    norm = np.sqrt((size**2).sum(axis=1, keepdims=True))
    size = np.divide(size, norm, out=np.zeros_like(size), where=norm > 0)
    return pd.DataFrame(size).groupby(np.asarray(list(y), dtype=object)).mean().mean().to_numpy()


def _masked(classifier: Any, M: np.ndarray, R: np.ndarray, order: np.ndarray, step: int) -> Any:
    """After each step: how many features are masked, and the probabilities, shape (n_samples, n_classes)."""
    (kernel, bias), *rest = layers(classifier)
    delta, level = M - R, M @ kernel + bias
    for at in range(0, M.shape[1], step):
        block = order[..., at : at + step]
        # only the masked features change the first layer's sum
        if block.ndim == 1:
            level = level - delta[:, block] @ kernel[block]
        else:
            level = level - (np.take_along_axis(delta, block, axis=1)[:, None, :] @ kernel[block])[:, 0]
        behind = level
        for next_kernel, next_bias in rest:
            behind = np.maximum(behind, 0) @ next_kernel + next_bias
        yield at + block.shape[-1], softmax(behind.astype(np.float64), axis=1)
