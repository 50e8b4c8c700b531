"""In which order sRNAs are silenced: by what they argue for a class, by a forest's importance, or at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from srna_lib.explain import contributions


@dataclass(frozen=True)
class Order:
    """A rule that scores features; the highest score is silenced first.

    Attributes
    ----------
    name : str
        Goes into tables and captions.
    start : callable
        (values (n, n_features), own (n,), samples (n,)) -> scores (n, n_classes, n_features): for each sample and
        each class k' the score of every feature on the way from the own class to k'. `own` holds positions of
        classes, `samples` the samples' positions in the whole table, so that random orders do not depend on blocks.
    again : callable or None
        (values (m, n_features), own (m,), other (m,)) -> scores (m, n_features) in a state where some features are
        silenced already; None where scores do not depend on the state.
    """

    name: str
    start: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    again: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None


def deeplift_order(network: Any, reference: np.ndarray, *, rule: str = "rescale") -> Order:
    """Order by D2: contribution to the own class minus contribution to the other (the paper's).

    Parameters
    ----------
    network : DenseNetClassifier
        Fitted.
    reference : array, shape (n_features,)
        Model input of silenced sRNAs: what they are compared with is what they become.
    rule : str, default "rescale"
        DeepLIFT rule, see `deeplift.contributions`.

    Returns
    -------
    Order
        Can be recomputed on the way.

    References
    ----------
    Fiosina, Fiosins, Bonn 2020, section 2.4.
    """
    reference = np.asarray(reference, dtype=np.float32)[None]

    def start(values: np.ndarray, own: np.ndarray, samples: np.ndarray) -> np.ndarray:
        found = contributions(network, values, reference=reference, rule=rule).values
        return found[np.arange(len(own)), own][:, None, :] - found

    def again(values: np.ndarray, own: np.ndarray, other: np.ndarray) -> np.ndarray:
        scores = np.empty(values.shape, np.float32)
        for pair in np.unique(np.stack([own, other], axis=1), axis=0):
            at = np.flatnonzero((own == pair[0]) & (other == pair[1]))
            two = network.classes_[pair]
            found = contributions(network, values[at], reference=reference, rule=rule, outputs=list(two)).values
            scores[at] = found[:, 0] - found[:, 1]
        return scores

    return Order("deeplift", start, again)


def random_order(n_classes: int, *, seed: int = 0) -> Order:
    """Order at random, drawn anew for each sample and each other class: what any order must beat.

    Parameters
    ----------
    n_classes : int
        Classes of the model.
    seed : int, default 0
        Together with a sample's position it decides the draw.
    """

    def start(values: np.ndarray, own: np.ndarray, samples: np.ndarray) -> np.ndarray:
        shape = (n_classes, values.shape[1])
        return np.stack([np.random.default_rng((seed, int(s))).random(shape, dtype=np.float32) for s in samples])

    return Order("random", start)


def fixed_order(importance: np.ndarray, n_classes: int, *, name: str = "forest") -> Order:
    """One order for all samples and classes, such as a forest's importance.

    Parameters
    ----------
    importance : array, shape (n_features,)
        Highest first.
    n_classes : int
        Classes of the model.
    name : str, default "forest"
        Name of the order.
    """
    scores = np.asarray(importance, dtype=np.float32)

    def start(values: np.ndarray, own: np.ndarray, samples: np.ndarray) -> np.ndarray:
        return np.broadcast_to(scores, (len(values), n_classes, len(scores)))

    return Order(name, start)
