"""Weights for features by their association with the target, learned from training samples only."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

MIN_GROUP = 5  # training samples that a cohort needs for figures of its own


def association(z: np.ndarray, targets: np.ndarray, cohorts: np.ndarray) -> np.ndarray:
    """Association of each feature with the targets: root mean square of t, over all samples and within cohorts.

    Parameters
    ----------
    z : array, shape (n_samples, n_features)
        Features.
    targets : array, shape (n_samples, n_targets)
        Targets; an average is taken over them.
    cohorts : array, shape (n_samples,)
        Cohort of each sample; those below `MIN_GROUP` samples count in the whole only.

    Returns
    -------
    array, shape (n_features,)
        Positive: nothing is shut out, an association of zero is a small weight.
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

    Parameters
    ----------
    power : float, default 0.5
        0 leaves all features alike; 1 trusts the associations more.

    Attributes
    ----------
    weights_ : array, shape (n_features,)
        Factors.
    """

    def __init__(self, power: float = 0.5) -> None:
        self.power = power

    def fit(self, X: Any, y: Any) -> Self:
        """Measure associations in the training samples.

        Parameters
        ----------
        X : array or DataFrame, shape (n_samples, n_features)
            z-scores.
        y : array, shape (n_samples,)
            A numeric target.

        Returns
        -------
        self
        """
        values, target = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        weights = association(values, target[:, None], np.zeros(len(values))) ** self.power
        self.weights_ = weights / np.sqrt((weights**2 * values.var(axis=0)).sum() or 1.0)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Weight the features.

        Parameters
        ----------
        X : array or DataFrame, shape (n_samples, n_features)
            z-scores.

        Returns
        -------
        array, shape (n_samples, n_features)
        """
        check_is_fitted(self, "weights_")
        return validate_data(self, X, dtype=np.float64, reset=False) * self.weights_
