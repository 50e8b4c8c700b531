"""scikit-learn transformers from raw counts to model input.

Each is fitted on training samples only (put it into a ``Pipeline``), accepts a DataFrame or an array, and keeps
feature names through ``get_feature_names_out``.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.stats import rankdata, trim_mean
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

MIN_GROUP = 5  # training samples that a cohort needs for numbers of its own
MIN_STEADY = 20  # sRNAs that a trimmed mean rests on, where there are as many


def checked(estimator: Any, X: Any, *, reset: bool = True, **checks: Any) -> np.ndarray:
    """Checked float64 values of `X` as ``validate_data`` gives them; it looks at every column of a table by itself."""
    values = X.to_numpy() if isinstance(X, pd.DataFrame) else None
    if values is None or values.dtype.kind not in "fiu":
        return validate_data(estimator, X, dtype=np.float64, reset=reset, **checks)
    validate_data(estimator, X, reset=reset, skip_check_array=True)  # names of features
    return check_array(values, dtype=np.float64, estimator=estimator, input_name="X", **checks)


class _SampleWise(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base of transformers that look at one sample at a time and so learn nothing but the feature names."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Remember the feature names."""
        checked(self, X, ensure_non_negative=True)
        return self

    def transform(self, X: Any) -> Any:
        """Transform each sample on its own."""
        check_is_fitted(self, "n_features_in_")
        return self._per_sample(checked(self, X, ensure_non_negative=True, reset=False))

    def _per_sample(self, values: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.requires_fit = True
        return tags


def _reads_per_million(values: np.ndarray) -> np.ndarray:
    size = values.sum(axis=1, keepdims=True)
    return 1e6 * values / np.where(size > 0, size, 1.0)


class ReadsPerMillion(_SampleWise):
    """Reads per million: counts divided by the library's sum, times 10^6 (the paper's normalisation).

    The sum runs over the features given, so put this step before any filter. A sample without a read stays zero.
    """

    def _per_sample(self, values: np.ndarray) -> np.ndarray:
        return _reads_per_million(values)


class LogCPM(_SampleWise):
    """log2(CPM / prior + 1): counts per million on a log scale, where a ratio is a difference and no reads are 0.

    Parameters
    ----------
    prior : float, default 1.0
        Added to the CPM, in reads per million (log2(CPM + prior), less log2(prior), by which zeros stay zeros and
        `ZeroFilter` finds them). Raise it when shallow libraries make low counts noisy.

    Examples
    --------
    >>> LogCPM().fit_transform([[1, 3], [2, 2]]).round(1)
    array([[17.9, 19.5],
           [18.9, 18.9]])
    """

    def __init__(self, prior: float = 1.0) -> None:
        self.prior = prior

    def _per_sample(self, values: np.ndarray) -> np.ndarray:
        return np.log2(_reads_per_million(values) / self.prior + 1)


class SampleRanks(_SampleWise):
    """Rank of each sRNA within its sample, as a share in (0, 1]; ties get their mean rank.

    Ranks ignore any monotone distortion of a library (depth, dynamic range): a strong baseline across studies.
    """

    def _per_sample(self, values: np.ndarray) -> np.ndarray:
        return rankdata(values, axis=1) / values.shape[1]


class Presence(_SampleWise):
    """1 where an sRNA is expressed in the sample, 0 elsewhere.

    Parameters
    ----------
    min_rpm : float, default 1.0
        Expressed means at least this many reads per million (and at least one read). Raise it to ignore background.
    """

    def __init__(self, min_rpm: float = 1.0) -> None:
        self.min_rpm = min_rpm

    def _per_sample(self, values: np.ndarray) -> np.ndarray:
        return ((values > 0) & (_reads_per_million(values) >= self.min_rpm)).astype(np.float64)


class ZeroFilter(SelectorMixin, BaseEstimator):
    """Drop features that are zero in more than `max_zero_share` of the training samples (the paper: 0.3).

    0.9 keeps every feature present in 10 % of the samples, and with it the markers of small classes.
    """

    def __init__(self, max_zero_share: float = 0.3) -> None:
        self.max_zero_share = max_zero_share

    def fit(self, X: Any, y: Any = None) -> Self:
        """Count zeros in the training samples; a filter that leaves nothing is refused."""
        if not 0 <= self.max_zero_share <= 1:
            raise ValueError(f"max_zero_share is {self.max_zero_share}; expected a share from 0 to 1.")
        values = checked(self, X)
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


def at_least_two(classes: np.ndarray) -> np.ndarray:
    """The classes of training samples; a single one is refused."""
    if len(classes) < 2:
        raise ValueError(
            f"The training samples have one class only ({str(classes[0])!r}); expected at least 2 classes."
        )
    return classes


def feature_names(pipeline: Any, X: pd.DataFrame) -> np.ndarray:
    """Names of the features of `X` that reach the final estimator of a fitted pipeline."""
    return pipeline[:-1].get_feature_names_out(np.asarray(X.columns, dtype=object))


def association(z: np.ndarray, targets: np.ndarray, cohorts: np.ndarray) -> np.ndarray:
    """Association of features (n, d) with targets (n, t): root mean square of t, over all samples and within cohorts.

    Positive, shape (d,): nothing is shut out, an association of zero is a small weight. Cohorts below `MIN_GROUP`
    samples count in the whole only.
    """

    def squared(rows: np.ndarray) -> np.ndarray:
        x, y = z[rows] - z[rows].mean(axis=0), targets[rows] - targets[rows].mean(axis=0)
        norms = np.sqrt(np.square(x).sum(axis=0)[:, None] * np.square(y).sum(axis=0)[None, :])
        r = np.divide(x.T @ y, norms, out=np.zeros(norms.shape), where=norms > 0)
        return len(x) * np.square(r).mean(axis=1)

    names, sizes = np.unique(cohorts, return_counts=True)
    within = [squared(cohorts == c) for c in names[sizes >= MIN_GROUP]]
    return np.sqrt(squared(np.ones(len(z), dtype=bool)) + (np.mean(within, axis=0) if within else 0.0)) + 1e-3


class RelevanceWeights(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Multiply each z-scored feature by a power of its association with the target.

    For distance-based models, which otherwise listen to every feature alike. The mean squared norm of a training
    sample becomes 1, so that a kernel width means the same whatever the number of features.
    """

    def __init__(self, power: float = 0.5) -> None:
        self.power = power

    def fit(self, X: Any, y: Any) -> Self:
        """Measure associations of z-scores with a numeric target in the training samples."""
        values, target = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        weights = association(values, target[:, None], np.zeros(len(values))) ** self.power
        self.weights_ = weights / np.sqrt((weights**2 * values.var(axis=0)).sum() or 1.0)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Weight the features."""
        check_is_fitted(self, "weights_")
        return validate_data(self, X, dtype=np.float64, reset=False) * self.weights_


class TrimmedMeanLog(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """log2 counts less the trimmed mean of their ratios to a reference profile.

    In a tissue whose most abundant sRNAs change, reads per million move every other sRNA the opposite way. The trimmed
    mean (`trim`: share of ratios cut off at either end) asks what the bulk of the sRNAs does instead. The reference is
    the mean log profile of the training samples over the sRNAs that the most of them express (the `MIN_STEADY` most
    common ones at least, and their equals). Robinson and Oshlack 2010, Genome Biology 11:R25 (TMM), without weights.
    """

    def __init__(self, trim: float = 0.3, prior: float = 0.5) -> None:
        self.trim, self.prior = trim, prior

    def fit(self, X: Any, y: Any = None) -> Self:
        """Choose steady sRNAs and their reference profile in the training samples."""
        if not 0 <= self.trim < 0.5:
            raise ValueError(f"trim is {self.trim}; expected a share from 0 to below one half.")
        values = checked(self, X, ensure_non_negative=True)
        present = (values > 0).mean(axis=0)
        self.steady_ = present >= np.sort(present)[-min(MIN_STEADY, len(present))]
        self.reference_ = np.log2(values[:, self.steady_] + self.prior).mean(axis=0)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Scale samples: log2, where 0 is the reference library's size."""
        check_is_fitted(self, "reference_")
        log = np.log2(checked(self, X, ensure_non_negative=True, reset=False) + self.prior)
        return log - trim_mean(log[:, self.steady_] - self.reference_, self.trim, axis=1)[:, None]
