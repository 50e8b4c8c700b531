"""In which order sRNAs are masked: by what they argue for a class, by a given importance, or at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from srna_lib.explain import contributions
from srna_lib.stability.masking import MaskedInput


class Order(NamedTuple):
    """A rule that scores features; the highest score is masked first, ties go to the feature that comes first."""

    # (input of n samples, own (n,), samples (n,)) -> scores (n, n_classes, p) on the way to each class; `own` holds
    # positions of classes, `samples` those in the whole table, so that random orders do not depend on blocks
    start: Callable[[MaskedInput, np.ndarray, np.ndarray], np.ndarray]
    # (values (m, p), own (m,), other (m,)) -> scores (m, p) in a state where some features are masked already
    again: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None


def deeplift_order(network: Any, blank: np.ndarray) -> Order:
    """Order by D2: contribution to the own minus to the other class, against masked input (the paper, section 2.4)."""
    reference = np.asarray(blank, dtype=np.float32)[None]

    def start(inputs: MaskedInput, own: np.ndarray, samples: np.ndarray) -> np.ndarray:
        added = contributions(network, inputs.values, reference=reference).values
        return added[np.arange(len(own)), own][:, None, :] - added

    def again(values: np.ndarray, own: np.ndarray, other: np.ndarray) -> np.ndarray:
        scores = np.empty(values.shape, np.float32)
        for pair in np.unique(np.stack([own, other], axis=1), axis=0):
            at = np.flatnonzero((own == pair[0]) & (other == pair[1]))
            added = contributions(network, values[at], reference=reference, outputs=list(network.classes_[pair])).values
            scores[at] = added[:, 0] - added[:, 1]
        return scores

    return Order(start, again)


def random_order(n_classes: int, *, seed: int = 0) -> Order:
    """Order at random, resampled for each sample and each other class: what any order must beat."""

    def start(inputs: MaskedInput, own: np.ndarray, samples: np.ndarray) -> np.ndarray:
        shape = (n_classes, inputs.values.shape[1])
        return np.stack([np.random.default_rng((seed, int(s))).random(shape, dtype=np.float32) for s in samples])

    return Order(start)


def plain_order(score: Callable[[MaskedInput], np.ndarray], n_classes: int) -> Order:
    """One order of a sample for all classes, by a score of shape (n_samples, n_features) or (n_features,)."""

    def start(inputs: MaskedInput, own: np.ndarray, samples: np.ndarray) -> np.ndarray:
        n, p = inputs.values.shape
        scores = np.broadcast_to(np.asarray(score(inputs), dtype=np.float32), (n, p))
        return np.broadcast_to(scores[:, None, :], (n, n_classes, p))

    return Order(start)
