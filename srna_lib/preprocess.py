"""scikit-learn transformers from raw counts to model input.

Each is fitted on training samples only (put it into a ``Pipeline``), accepts a DataFrame or an array, and keeps
feature names through ``get_feature_names_out``. MinMax and z-score are scikit-learn's own ``MinMaxScaler``
and ``StandardScaler``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data


class _SampleWise(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base of transformers that look at one sample at a time and so learn nothing but the feature names."""

    def fit(self, X: Any, y: Any = None) -> _SampleWise:
        """Remember the feature names.

        Parameters
        ----------
        X : array or DataFrame, shape (n_samples, n_features)
            Raw counts.
        y : ignored

        Returns
        -------
        self
        """
        validate_data(self, X, dtype=np.float64, ensure_non_negative=True)
        return self

    def transform(self, X: Any) -> Any:
        """Transform each sample on its own.

        Parameters
        ----------
        X : array or DataFrame, shape (n_samples, n_features)
            Raw counts.

        Returns
        -------
        array, shape (n_samples, n_features)
        """
        check_is_fitted(self, "n_features_in_")
        values = validate_data(self, X, dtype=np.float64, ensure_non_negative=True, reset=False)
        return self._per_sample(values)

    def _per_sample(self, values: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.requires_fit = True
        return tags


class ReadsPerMillion(_SampleWise):
    """Reads per million: counts divided by the library's sum, times 10^6 (the paper's normalisation).

    The sum runs over the features given, so put this step before any filter. A sample without a single read
    stays zero.
    """

    def _per_sample(self, values: np.ndarray) -> np.ndarray:
        return 1e6 * values / _library_size(values)


class LogCPM(_SampleWise):
    """log2(CPM + prior): counts per million on a log scale, where a ratio is a difference.

    Parameters
    ----------
    prior : float, default 1.0
        Added to the CPM, in reads per million. Raise it when shallow libraries make low counts noisy.
    """

    def __init__(self, prior: float = 1.0) -> None:
        self.prior = prior

    def _per_sample(self, values: np.ndarray) -> np.ndarray:
        return np.log2(1e6 * values / _library_size(values) + self.prior)


class SampleRanks(_SampleWise):
    """Rank of each sRNA within its sample, as a share in (0, 1]; ties get their mean rank.

    Ranks ignore any monotone distortion of a library (depth, dynamic range), which makes them a strong baseline
    across studies.
    """

    def _per_sample(self, values: np.ndarray) -> np.ndarray:
        return rankdata(values, axis=1) / values.shape[1]


class Presence(_SampleWise):
    """1 where an sRNA is expressed in the sample, 0 elsewhere.

    Parameters
    ----------
    min_rpm : float, default 1.0
        Expressed means at least this many reads per million (and at least one read). Raise it to ignore
        background.
    """

    def __init__(self, min_rpm: float = 1.0) -> None:
        self.min_rpm = min_rpm

    def _per_sample(self, values: np.ndarray) -> np.ndarray:
        return ((values > 0) & (1e6 * values / _library_size(values) >= self.min_rpm)).astype(np.float64)


class ZeroFilter(SelectorMixin, BaseEstimator):
    """Drop features that are zero in too many training samples.

    Parameters
    ----------
    max_zero_share : float, default 0.3
        A feature stays when at most this share of the training samples has no read of it. The paper used
        0.3; 0.9 keeps every feature present in 10 % of the samples, and with it the markers of small classes.

    Attributes
    ----------
    zero_share_ : array, shape (n_features,)
        Share of training samples without the feature.
    """

    def __init__(self, max_zero_share: float = 0.3) -> None:
        self.max_zero_share = max_zero_share

    def fit(self, X: Any, y: Any = None) -> ZeroFilter:
        """Count zeros in the training samples.

        Parameters
        ----------
        X : array or DataFrame, shape (n_samples, n_features)
            Counts, RPM or anything where zero means absent.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            When no feature would stay, or `max_zero_share` is not within 0 to 1.
        """
        if not 0 <= self.max_zero_share <= 1:
            raise ValueError(f"max_zero_share is {self.max_zero_share}; expected a share from 0 to 1.")
        values = validate_data(self, X, dtype=np.float64)
        self.zero_share_ = (values == 0).mean(axis=0)
        if not (self.zero_share_ <= self.max_zero_share).any():
            raise ValueError(
                f"no feature is zero in at most {self.max_zero_share:.0%} of the {len(values)} training samples"
                f" (lowest share of zeros: {self.zero_share_.min():.0%}); raise max_zero_share."
            )
        return self

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self, "zero_share_")
        return self.zero_share_ <= self.max_zero_share


def feature_names(pipeline: Any, X: pd.DataFrame) -> np.ndarray:
    """Names of the features that reach the final estimator of a fitted pipeline.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted; its last step is the classifier.
    X : DataFrame, shape (n_samples, n_features)
        Counts with the names of the training data.

    Returns
    -------
    array of str, shape (n_model_features,)
    """
    return pipeline[:-1].get_feature_names_out(np.asarray(X.columns, dtype=object))


def _library_size(values: np.ndarray) -> np.ndarray:
    size = values.sum(axis=1, keepdims=True)
    return np.where(size > 0, size, 1.0)
