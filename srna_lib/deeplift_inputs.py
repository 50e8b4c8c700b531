"""Where DeepLIFT's samples and references come from: counts through a fitted pipeline into model space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from srna_lib.deeplift_layers import Network, check_reading, read_network
from srna_lib.errors import InputError
from srna_lib.preprocess import LogCPM

REFERENCES = {
    "zeros": "zeros in model space",
    "zero_counts": "zero counts",
    "mean": "training mean",
    "study_mean": "mean of the sample's own study",
}


class Opened(NamedTuple):
    """A model taken apart.

    Attributes
    ----------
    steps : Pipeline or None
        Fitted preprocessing; None where samples come in model space.
    network : Network
        From model space to logits.
    features : array of str, shape (n_features,)
        sRNA of each column in model space.
    srnas : array of str, shape (n_srnas,)
        Columns of the counts; the same as `features` without preprocessing.
    """

    steps: Pipeline | None
    network: Network
    features: np.ndarray
    srnas: np.ndarray


class Reference(NamedTuple):
    """What samples are compared with, in model space.

    Attributes
    ----------
    name : str
        In words.
    rows : array, shape (n_rows, n_features), float32
        One row for all samples, one per study, or several to average the contributions over.
    codes : array of int, shape (n_samples,), or None
        Row of each sample; None where every row is used for every sample.
    """

    name: str
    rows: np.ndarray
    codes: np.ndarray | None


def open_model(model: Any, X: Any) -> Opened:
    """Take a fitted model apart and hold it against the samples.

    Parameters
    ----------
    model : Pipeline, DenseNetClassifier, LogisticRegression or keras.Sequential
        Fitted.
    X : DataFrame or array, shape (n_samples, n_srnas)
        Raw counts for a pipeline, model input otherwise.

    Returns
    -------
    Opened

    Raises
    ------
    InputError
        A model without layers, samples that do not fit it, or preprocessing that mixes sRNAs.
    """
    if issparse(X):
        raise InputError("X is a sparse matrix; expected a DataFrame or an array (X.toarray()).")
    if isinstance(model, Pipeline) and len(model) > 1:
        return _open_pipeline(model, X)
    model = model[-1] if isinstance(model, Pipeline) else model
    network = read_network(model)
    shape = np.shape(X)
    if len(shape) != 2 or shape[1] != network.n_features or not shape[0]:
        raise InputError(
            f"X has the shape {shape}; expected at least one sample of the model's {network.n_features} features."
        )
    if isinstance(X, pd.DataFrame):
        names = X.columns.to_numpy(dtype=object)
    else:
        names = np.array([f"x{i}" for i in range(network.n_features)], dtype=object)
    trained_on = getattr(model, "feature_names_in_", None)
    if trained_on is not None and isinstance(X, pd.DataFrame) and list(names) != list(trained_on):
        raise InputError("the columns of X are not those of the training data, in their order.")
    opened = Opened(None, network, names, names)
    if not hasattr(model, "classes_"):
        check_reading(model, network, next(blocks(opened, X, 4))[1])
    return opened


def _open_pipeline(model: Pipeline, X: Any) -> Opened:
    network = read_network(model[-1])
    srnas = _columns(model, X, "X")
    try:
        features = np.asarray(model[:-1].get_feature_names_out(srnas), dtype=object)
    except AttributeError as error:
        raise InputError("a preprocessing step of the pipeline does not name its outputs.") from error
    known = set(srnas)
    alien = [f for f in features if f not in known]
    if alien:
        raise InputError(
            f"the preprocessing makes features that are no sRNAs of the counts ({alien[0]!r}); expected steps that keep"
            " each sRNA a column of its own."
        )
    return Opened(model[:-1], network, features, srnas)


def _columns(model: Pipeline, X: Any, what: str) -> np.ndarray:
    if not isinstance(X, pd.DataFrame) or not len(X):
        raise InputError(f"{what} is a {type(X).__name__}; expected raw counts of at least one sample as DataFrame.")
    columns = X.columns.to_numpy(dtype=object)
    trained_on = getattr(model, "feature_names_in_", None)
    if trained_on is not None and list(columns) != list(trained_on):
        missing, extra = set(trained_on) - set(columns), set(columns) - set(trained_on)
        example = sorted(missing or extra or {"another order"}, key=str)[0]
        raise InputError(
            f"the columns of {what} are not those of the training data: {len(missing)} missing, {len(extra)} unknown"
            f" ({example!r}); expected the same sRNAs in the same order."
        )
    return columns


def transform(opened: Opened, X: Any) -> np.ndarray:
    """Bring samples into model space.

    Parameters
    ----------
    opened : Opened
        From `open_model`.
    X : DataFrame or array, shape (n_samples, n_srnas)
        As the model takes them.

    Returns
    -------
    array, shape (n_samples, n_features), float32

    Raises
    ------
    InputError
        Values that are not finite (or negative counts).
    """
    try:
        values = X if opened.steps is None else opened.steps.transform(X)
        values = np.ascontiguousarray(values, dtype=np.float32)
    except ValueError as error:
        raise InputError(f"X cannot be preprocessed: {str(error).splitlines()[0]}") from error
    if not np.isfinite(values).all():
        raise InputError("X has values that are missing or infinite; expected finite numbers.")
    return values


def blocks(opened: Opened, X: Any, batch_size: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Samples in model space, a block at a time.

    Yields
    ------
    rows : slice
        Positions in `X`.
    values : array, shape (n_rows, n_features), float32
    """
    for start in range(0, len(X), batch_size):
        rows = slice(start, min(start + batch_size, len(X)))
        yield rows, transform(opened, X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows])


def make_reference(
    opened: Opened, X: Any, reference: Any, *, background: Any = None, groups: Any = None, batch_size: int = 256
) -> Reference:
    """Work out the reference of each sample.

    Parameters
    ----------
    opened : Opened
        From `open_model`.
    X : DataFrame or array
        The samples to explain.
    reference : str, array, DataFrame or None
        See `deeplift.contributions`.
    background : DataFrame or array, optional
        Training samples, for ``mean``.
    groups : array, shape (n_samples,), optional
        Study of each sample, for ``study_mean``.
    batch_size : int, default 256
        Samples preprocessed at a time.

    Returns
    -------
    Reference

    Raises
    ------
    InputError
        Unknown name, or what the name needs was not given.
    """
    if reference is None:
        reference = default_reference(opened)
    for what, given, needed in (("background", background, "mean"), ("groups", groups, "study_mean")):
        if given is not None and not (isinstance(reference, str) and reference == needed):
            named = repr(reference) if isinstance(reference, str) else "samples"
            raise InputError(f"{what} is given but the reference is {named}; expected it with {needed!r} only.")
    if not isinstance(reference, str):
        return _given(opened, reference, batch_size)
    if reference not in REFERENCES:
        raise InputError(
            f"unknown reference {reference!r}: expected one of {', '.join(REFERENCES)}, or samples to compare with."
        )
    name = REFERENCES[reference]
    if reference == "zeros":
        return Reference(name, np.zeros((1, len(opened.features)), dtype=np.float32), None)
    if reference == "zero_counts":
        if opened.steps is None:
            raise InputError("reference 'zero_counts' needs a pipeline that starts from counts; use 'zeros'.")
        return Reference(name, transform(opened, pd.DataFrame(0.0, index=["zero"], columns=opened.srnas)), None)
    if reference == "study_mean":
        return Reference(name, *_study_means(opened, X, groups, batch_size))
    if background is not None:
        background = _as_samples(opened, background, "background")
        mean = _means(opened, background, np.zeros(len(background), dtype=int), batch_size)
        return Reference(f"mean of {len(background)} background samples", mean, None)
    scaler = None if opened.steps is None else opened.steps[-1]
    if not isinstance(scaler, StandardScaler):
        raise InputError(
            "reference 'mean' needs the training samples, which this model does not keep the mean of: give them as"
            " background."
        )
    # behind a z-score the training mean is zero by construction; without centring it is the scaled mean
    mean = (
        np.zeros(len(opened.features)) if scaler.with_mean else scaler.mean_ / (scaler.scale_ if scaler.with_std else 1)
    )
    return Reference(name, mean[None].astype(np.float32), None)


def default_reference(opened: Opened) -> str:
    """Name of the reference that a model is explained against when none is named.

    Returns
    -------
    str
        ``mean`` for recipes on the log scale (there zero counts are an extreme, not a neutral, sample), else
        ``zeros``, the paper's.
    """
    steps = [] if opened.steps is None else [step for _, step in opened.steps.steps]
    log_scale = any(isinstance(step, LogCPM) for step in steps)
    return "mean" if log_scale and isinstance(steps[-1], StandardScaler) else "zeros"


def _given(opened: Opened, samples: Any, batch_size: int) -> Reference:
    samples = _as_samples(opened, samples, "reference")
    rows = np.concatenate([values for _, values in blocks(opened, samples, batch_size)])
    name = "one given sample" if len(rows) == 1 else f"average over {len(rows)} given samples"
    return Reference(name, rows, None)


def _as_samples(opened: Opened, samples: Any, what: str) -> Any:
    if opened.steps is not None:
        if list(_columns(opened.steps, samples, what)) != list(opened.srnas):
            raise InputError(f"the columns of {what} are not those of X; expected the same sRNAs in the same order.")
        return samples
    samples = np.atleast_2d(np.asarray(samples, dtype=np.float32))
    if samples.ndim != 2 or samples.shape[1] != len(opened.features) or not len(samples):
        raise InputError(
            f"{what} has the shape {samples.shape}; expected at least one sample of {len(opened.features)} features."
        )
    return samples


def _study_means(opened: Opened, X: Any, groups: Any, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    if groups is None or len(groups) != len(X):
        found = "none" if groups is None else f"{len(groups)}"
        raise InputError(f"reference 'study_mean' needs groups, the study of each of {len(X)} samples; found {found}.")
    if pd.isna(np.asarray(groups, dtype=object)).any():
        raise InputError("groups has missing values; expected a study for every sample.")
    codes = pd.factorize(np.asarray(groups))[0]
    return _means(opened, X, codes, batch_size), codes


def _means(opened: Opened, X: Any, codes: np.ndarray, batch_size: int) -> np.ndarray:
    sums = np.zeros((codes.max() + 1, len(opened.features)))
    for rows, values in blocks(opened, X, batch_size):
        np.add.at(sums, codes[rows], values)
    return (sums / np.bincount(codes)[:, None]).astype(np.float32)
