"""What DeepLIFT gives back: contributions of samples, and means of groups of samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from srna_lib.errors import InputError


class CompletenessError(ArithmeticError):
    """Contributions do not sum to the change of the logit: a bug or a numerical break-down, never to be ignored."""


class Contributions(NamedTuple):
    """Contributions of features to logits.

    Attributes
    ----------
    values : array, shape (n_samples, n_outputs, n_features), float32
        Contribution of a feature to an output's logit; over features each sums to ``logits - reference_logits``
        (centred: to that, less its mean over all classes).
    samples : array, shape (n_samples,)
        Index of `X`, or positions where `X` has none.
    classes : array, shape (n_outputs,)
        Class of each output.
    features : array of str, shape (n_features,)
        sRNA of each column. Those that the pipeline's filter drops have no say in the model and are left out;
        `for_features` puts them back with exactly zero.
    logits, reference_logits : array, shape (n_samples, n_outputs), float32
        Outputs before softmax or sigmoid of the sample and of its reference (mean over references).
    reference : str
        What samples were compared with, in words fit for a caption.
    rule : str
        ``rescale`` or ``revealcancel``.
    unwrapped : str
        ``softmax`` or ``sigmoid``, the final activation that was left out to explain logits; empty if there was none.
    centred : bool
        Whether the mean over all classes was subtracted from each feature's contributions.
    error : float
        Largest |sum of contributions - change of the output|, relative to the largest change of an output.
    """

    values: np.ndarray
    samples: np.ndarray
    classes: np.ndarray
    features: np.ndarray
    logits: np.ndarray
    reference_logits: np.ndarray
    reference: str
    rule: str
    unwrapped: str
    centred: bool
    error: float

    def to_frame(self, output: Any) -> pd.DataFrame:
        """Contributions to one class.

        Parameters
        ----------
        output : class label
            One of `classes`.

        Returns
        -------
        DataFrame, samples x features
        """
        (i,) = positions(self.classes, [output])
        return pd.DataFrame(self.values[:, i], index=self.samples, columns=self.features)

    def of_sample(self, sample: Any) -> pd.DataFrame:
        """Contributions in one sample.

        Parameters
        ----------
        sample : label
            One of `samples`.

        Returns
        -------
        DataFrame, classes x features
        """
        found = np.flatnonzero(self.samples == sample)
        if not len(found):
            raise InputError(f"unknown sample {sample!r}: expected one of the {len(self.samples)} samples explained.")
        return pd.DataFrame(self.values[found[0]], index=self.classes, columns=self.features)

    def for_features(self, features: Sequence[str]) -> Contributions:
        """Put contributions in another order of features, exactly zero for those that the model never sees.

        Parameters
        ----------
        features : sequence of str
            E.g. the columns of the counts.

        Returns
        -------
        Contributions

        Raises
        ------
        InputError
            A feature that is named twice: its contribution would count twice.
        """
        if len(set(features)) < len(features):
            twice = next(f for f in features if list(features).count(f) > 1)
            raise InputError(f"features has {twice!r} more than once; expected every feature once.")
        position = {f: i for i, f in enumerate(self.features)}
        known = [(to, position[f]) for to, f in enumerate(features) if f in position]
        values = np.zeros((*self.values.shape[:2], len(features)), dtype=np.float32)
        if known:
            to, origin = np.array(known).T
            values[:, :, to] = self.values[:, :, origin]
        return self._replace(values=values, features=np.asarray(features, dtype=object))


class ClassMeans(NamedTuple):
    """Mean contributions per group of samples.

    Attributes
    ----------
    values : array, shape (n_groups, n_outputs, n_features), or (n_groups, n_features) for ``outputs="own"``, float32
        Mean over the samples of a group.
    groups : array, shape (n_groups,)
        Group of each row.
    sizes : array of int, shape (n_groups,)
        Samples of each group.
    classes, features, reference, rule, unwrapped, centred
        As in `Contributions`; with ``outputs="own"`` `classes` equals `groups`.
    """

    values: np.ndarray
    groups: np.ndarray
    sizes: np.ndarray
    classes: np.ndarray
    features: np.ndarray
    reference: str
    rule: str
    unwrapped: str
    centred: bool

    def to_frame(self) -> pd.DataFrame:
        """Give the means as a table.

        Returns
        -------
        DataFrame, groups x features, or (group, class) x features
        """
        if self.values.ndim == 2:
            return pd.DataFrame(self.values, index=self.groups, columns=self.features)
        index = pd.MultiIndex.from_product([self.groups, self.classes], names=["group", "class"])
        return pd.DataFrame(self.values.reshape(-1, len(self.features)), index=index, columns=self.features)


def positions(classes: np.ndarray, wanted: Sequence[Any] | np.ndarray) -> list[int]:
    """Find classes among a model's outputs.

    Parameters
    ----------
    classes : array, shape (n_outputs,)
        Class of each output.
    wanted : sequence of class labels
        Those to find.

    Returns
    -------
    list of int
        Position of each.

    Raises
    ------
    InputError
        A label that is no class of the model.
    """
    known = {c: i for i, c in enumerate(classes.tolist())}
    labels = np.asarray(wanted).tolist()
    found = [known.get(label) for label in labels]
    for label, position in zip(labels, found, strict=True):
        if position is None:
            raise InputError(f"unknown class {label!r}: expected one of {', '.join(map(str, known))}.")
    return [p for p in found if p is not None]


def sample_names(X: Any) -> np.ndarray:
    """Index of a table of samples, positions for an array.

    Returns
    -------
    array, shape (n_samples,)
    """
    return X.index.to_numpy() if isinstance(X, pd.DataFrame) else np.arange(len(X))
