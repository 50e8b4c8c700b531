"""What silencing an sRNA does to the input of a fitted model: the ground on which flips are counted.

Silencing means that the sRNA's reads are taken away, or that it takes its training mean. The model's preprocessing
is one number per sRNA (reads per million, perhaps a logarithm) followed by a shift and a scale, so the input after any
set of silenced sRNAs is known without running the pipeline again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.feature_selection import SelectorMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from srna_lib.errors import InputError
from srna_lib.models import DenseNetClassifier, LogCPM, Presence, ReadsPerMillion

MASKINGS = {
    "zero": "the sRNA's count becomes zero, the others keep their reads per million",
    "renormalised": "the sRNA's reads leave the library, so the others' reads per million rise",
    "mean": "the sRNA takes its mean over the training samples",
}


@dataclass(frozen=True)
class Silencing:
    """Model input of some samples, and what it becomes when sRNAs are silenced.

    Attributes
    ----------
    features : array of str, shape (n_features,)
        sRNAs that reach the model.
    values : array, shape (n_samples, n_features), float32
        Model input as measured.
    masked : array, shape (n_features,), float32
        Model input of a silenced sRNA.
    active : array of bool, shape (n_samples, n_features)
        What can be silenced: expressed sRNAs (for ``"mean"`` those away from the mean). Silencing anything else
        changes nothing and is no step.
    reads : array, shape (n_samples, n_features)
        Reads as a share of the sample's library; NaN where the model was given without its preprocessing.
    masking : str
        One of `MASKINGS`.
    scale, offset : array, shape (n_features,)
        Model input = scale * curve(reads per million) + offset.
    curve : ReadsPerMillion, LogCPM or Presence
        The sample-wise step.
    """

    features: np.ndarray
    values: np.ndarray
    masked: np.ndarray
    active: np.ndarray
    reads: np.ndarray
    masking: str
    scale: np.ndarray
    offset: np.ndarray
    curve: Any

    @property
    def is_linear(self) -> bool:
        """Whether the model's first layer can be followed by prefix sums: all but logarithms of a changing library."""
        return self.masking != "renormalised" or isinstance(self.curve, ReadsPerMillion)

    def take(self, rows: Any) -> Silencing:
        """The same for some of the samples (positions or slice)."""
        return replace(self, values=self.values[rows], active=self.active[rows], reads=self.reads[rows])

    def inputs(self, rows: np.ndarray, silenced: np.ndarray) -> np.ndarray:
        """Model input after silencing, by definition and without any shortcut.

        Parameters
        ----------
        rows : array of int, shape (m,)
            Positions of samples.
        silenced : array of bool, shape (m, ..., n_features)
            What is silenced in each; may have further axes, such as steps.

        Returns
        -------
        array, same shape as `silenced`, float32
        """
        between = (slice(None), *[None] * (silenced.ndim - 2))
        if self.masking != "renormalised":
            return np.where(silenced, self.masked, self.values[rows][between])
        reads = self.reads[rows][between]
        left = np.where(silenced, 0.0, reads)
        library = 1.0 - np.where(silenced, reads, 0.0).sum(axis=-1, keepdims=True)
        rpm = 1e6 * left / np.where(library > EMPTY, library, 1.0)
        return (self.scale * curve_of(self.curve, rpm) + self.offset).astype(np.float32)


EMPTY = 1e-12  # share of a library that counts as nothing left: below one read of any library


def silence(model: Any, X: Any, *, masking: str = "zero", background: Any = None) -> Silencing:
    """Prepare the silencing of sRNAs in samples.

    Parameters
    ----------
    model : Pipeline or DenseNetClassifier
        Fitted; a recipe of `srna_lib.models` that ends in a network, or the network alone.
    X : DataFrame or array, shape (n_samples, n_srnas)
        Raw counts for a pipeline, model input for a network alone.
    masking : str, default "zero"
        One of `MASKINGS`. ``"zero"`` is the paper's. ``"renormalised"`` asks what a library without these reads would
        look like; ``"mean"`` asks what an average sRNA would say, which suits inputs whose zero is far from the data.
    background : DataFrame or array, optional
        Training samples, as `X`: needed for ``"mean"``.

    Returns
    -------
    Silencing

    Raises
    ------
    InputError
        Unknown masking, no background where it is needed, or a model that ends in no network or begins with a step
        which cannot be followed (such as ranks, where silencing one sRNA moves all others).
    """
    if masking not in MASKINGS:
        raise InputError(f"unknown masking {masking!r}: expected one of {', '.join(MASKINGS)}.")
    if masking == "mean" and background is None:
        raise InputError("masking 'mean': the training samples are missing; expected them as `background`.")
    network = classifier_of(model)
    if not isinstance(model, Pipeline):
        if masking == "renormalised":
            raise InputError("masking 'renormalised' needs counts; expected a pipeline, found a network alone.")
        values = np.asarray(X, dtype=np.float32)
        p = network.n_features_in_
        names = np.asarray(getattr(X, "columns", [f"x{i}" for i in range(p)]), dtype=object)
        scale, offset, curve = np.ones(p), np.zeros(p), ReadsPerMillion()
        reads = np.full(values.shape, np.nan)
        masked = np.zeros(p, np.float32)
    else:
        names = np.asarray(model[:-1].get_feature_names_out(), dtype=object)
        values = np.asarray(model[:-1].transform(X), dtype=np.float32)
        kept, scale, offset, curve = _preprocessing(model)
        counts = np.asarray(X, dtype=np.float64)
        library = counts.sum(axis=1, keepdims=True)
        reads = counts[:, kept] / np.where(library > 0, library, 1.0)
        masked = (scale * curve_of(curve, np.zeros(len(names))) + offset).astype(np.float32)
        _check(values, scale * curve_of(curve, 1e6 * reads) + offset)
    if masking == "mean":
        given = model[:-1].transform(background) if isinstance(model, Pipeline) else background
        masked = np.asarray(given, dtype=np.float64).mean(axis=0).astype(np.float32)
    by_count = masking != "mean" and isinstance(model, Pipeline)
    active = reads > 0 if by_count else values != masked
    return Silencing(names, values, masked, active, reads, masking, scale, offset, curve)


def classifier_of(model: Any) -> DenseNetClassifier:
    """The network at the end of a model.

    Raises
    ------
    InputError
        When there is none.
    """
    network: ClassifierMixin = model[-1] if isinstance(model, Pipeline) else model
    if not isinstance(network, DenseNetClassifier):
        raise InputError(
            f"stability needs a dense network; found {type(network).__name__}, expected a recipe such as dl_paper."
        )
    check_is_fitted(network, "weights_")
    return network


def curve_of(step: Any, rpm: np.ndarray) -> np.ndarray:
    """Apply the sample-wise step to reads per million."""
    if isinstance(step, LogCPM):
        return np.log2(rpm + step.prior)
    if isinstance(step, Presence):
        return ((rpm > 0) & (rpm >= step.min_rpm)).astype(np.float64)
    return rpm


def _preprocessing(model: Pipeline) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
    """Columns kept, scale, offset and sample-wise step of a fitted pipeline."""
    names = [type(step).__name__ for _, step in model.steps[:-1]]
    first = model[0]
    if not isinstance(first, ReadsPerMillion | LogCPM | Presence):
        raise InputError(
            f"the model begins with {names[0] if names else 'its network'}; expected reads per million, log CPM or"
            " presence, where silencing one sRNA says what happens to the others."
        )
    kept = np.arange(model.n_features_in_)
    scale, offset = np.ones(len(kept)), np.zeros(len(kept))
    for _, step in model.steps[1:-1]:
        if isinstance(step, SelectorMixin):
            support = step.get_support()
            kept, scale, offset = kept[support], scale[support], offset[support]
        elif isinstance(step, MinMaxScaler) and not step.clip:
            scale, offset = scale * step.scale_, offset * step.scale_ + step.min_
        elif isinstance(step, StandardScaler):
            mean, spread = step.mean_ if step.with_mean else 0.0, step.scale_ if step.with_std else 1.0
            scale, offset = scale / spread, (offset - mean) / spread
        else:
            raise InputError(
                f"the model's step {type(step).__name__} cannot be followed; expected a filter, MinMaxScaler"
                " without clipping or StandardScaler."
            )
    return kept, scale, offset, first


def _check(values: np.ndarray, again: np.ndarray) -> None:
    """Refuse a model whose input is not what its steps were read as (for instance with means left out)."""
    off = np.abs(values - again).max(initial=0.0)
    if off > 1e-4 * max(1.0, float(np.abs(values).max(initial=0.0))):
        raise InputError(
            f"the model's preprocessing was misread by up to {off:.2g}; expected it to be linear per sRNA."
        )
