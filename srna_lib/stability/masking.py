"""What masking an sRNA does to the input of a fitted network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_selection import SelectorMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from srna_lib.errors import InputError, one_of
from srna_lib.models import DenseNetClassifier, LogCPM, Presence, ReadsPerMillion

MASKINGS = ("zero", "renormalised", "mean")  # what they are says `steps_to_flip`


@dataclass(frozen=True)
class MaskedInput:
    """Model input of some samples, and what it becomes when sRNAs are masked."""

    features: np.ndarray  # names of the sRNAs that reach the network
    values: np.ndarray  # (n_samples, n_features), float32: model input as measured
    blank: np.ndarray  # (n_features,), float32: model input of a masked sRNA
    active: np.ndarray  # (n_samples, n_features), bool: masking it changes something, so it is a step
    reads: np.ndarray  # (n_samples, n_features): share of the library
    counts: pd.DataFrame | None  # (n_samples, n_srnas), where masked reads leave the library
    front: Any  # the fitted steps before the network

    def take(self, rows: Any) -> MaskedInput:
        """The same for some of the samples (positions or slice)."""
        counts = None if self.counts is None else self.counts.iloc[rows]
        return replace(self, values=self.values[rows], active=self.active[rows], reads=self.reads[rows], counts=counts)

    def after(self, rows: np.ndarray, masked: np.ndarray) -> np.ndarray:
        """Model input of samples `rows` without the sRNAs in `masked` (m, n_features), by definition, no shortcut."""
        if self.counts is None:
            return np.where(masked, self.blank, self.values[rows])
        counts = self.counts.iloc[rows].to_numpy(np.float64)
        counts[:, self.counts.columns.get_indexer(self.features)] *= ~masked
        return self.front.transform(pd.DataFrame(counts, columns=self.counts.columns)).astype(np.float32)


def network_of(model: Any) -> DenseNetClassifier:
    """The fitted network at the end of a model; InputError where there is none."""
    network = model[-1] if isinstance(model, Pipeline) else model
    if not isinstance(model, Pipeline) or len(model) < 2 or not isinstance(network, DenseNetClassifier):
        name = type(network).__name__
        raise InputError(f"stability needs a pipeline that ends in a dense network, such as dl_paper; found {name}.")
    check_is_fitted(network, "weights_")
    if len(network.classes_) < 2:
        raise InputError(f"the network knows one class, {network.classes_[0]!r}; expected two to flip between.")
    return network


def mask_input(model: Pipeline, X: pd.DataFrame, *, masking: str = "zero", background: Any = None) -> MaskedInput:
    """Prepare the masking of sRNAs; parameters as in `flips.steps_to_flip`."""
    one_of("masking", masking, MASKINGS)
    if masking == "mean" and background is None:
        raise InputError("masking 'mean': the training samples are missing; expected them as `background`.")
    if not len(X):
        raise InputError("there is no sample; expected at least one.")
    network_of(model)
    front = model[:-1]
    _check_steps(front)
    features = np.asarray(front.get_feature_names_out(), dtype=object)
    values = np.asarray(front.transform(X), np.float32)
    blank = np.asarray(front.transform(pd.DataFrame(0.0, index=[0], columns=X.columns)), np.float32)[0]
    reads = X[features].to_numpy(np.float64) / X.sum(axis=1).clip(lower=1).to_numpy(np.float64)[:, None]
    active = reads > 0
    if masking == "mean":
        blank = np.asarray(front.transform(background), np.float64).mean(axis=0).astype(np.float32)
        active = values != blank
    return MaskedInput(features, values, blank, active, reads, X if masking == "renormalised" else None, front)


def _check_steps(front: Pipeline) -> None:
    """Refuse steps in which masking one sRNA moves the others, such as ranks."""
    first, later = ReadsPerMillion | LogCPM | Presence, SelectorMixin | MinMaxScaler | StandardScaler
    for i, (_, step) in enumerate(front.steps):
        if not isinstance(step, later if i else first):
            kinds = "a filter, MinMaxScaler or StandardScaler" if i else "reads per million, log CPM or presence"
            raise InputError(f"the step {type(step).__name__} cannot be followed; expected {kinds}.")
