"""Library sizes that a few abundant sRNAs do not decide."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.stats import trim_mean
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data


class TrimmedMeanLog(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """log2 counts less the trimmed mean of their ratios to a reference profile.

    In a tissue whose most abundant sRNAs change, reads per million move every other sRNA the opposite way. The
    trimmed mean asks what the bulk of the sRNAs does instead. The reference is the mean log profile of the training
    samples over the sRNAs that the most of them express.

    Parameters
    ----------
    trim : float, default 0.3
        Share of ratios cut off at either end. Higher resists more change and is noisier.
    prior : float, default 0.5
        Added to counts, in reads.

    Attributes
    ----------
    steady_ : array of bool, shape (n_features,)
        sRNAs that the ratios are taken of.
    reference_ : array, shape (n_steady,)
        Their mean log2 count in the training samples.

    References
    ----------
    Robinson and Oshlack 2010, Genome Biology 11:R25 (TMM); here unweighted, against a mean profile.
    """

    def __init__(self, trim: float = 0.3, prior: float = 0.5) -> None:
        self.trim = trim
        self.prior = prior

    def fit(self, X: Any, y: Any = None) -> Self:
        """Choose steady sRNAs and their reference profile in the training samples.

        Parameters
        ----------
        X : array or DataFrame, shape (n_samples, n_features)
            Counts.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Negative counts, or `trim` outside 0 to one half.
        """
        if not 0 <= self.trim < 0.5:
            raise ValueError(f"trim is {self.trim}; expected a share from 0 to below one half.")
        values = self._counts(X, reset=True)
        present = (values > 0).mean(axis=0)
        self.steady_ = present >= present.max()
        self.reference_ = np.log2(values[:, self.steady_] + self.prior).mean(axis=0)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Scale samples.

        Parameters
        ----------
        X : array or DataFrame, shape (n_samples, n_features)
            Counts.

        Returns
        -------
        array, shape (n_samples, n_features)
            log2 scale; 0 is the reference library's size.
        """
        check_is_fitted(self, "reference_")
        log = np.log2(self._counts(X, reset=False) + self.prior)
        return log - trim_mean(log[:, self.steady_] - self.reference_, self.trim, axis=1)[:, None]

    def _counts(self, X: Any, *, reset: bool) -> np.ndarray:
        values = validate_data(self, X, dtype=np.float64, reset=reset)
        if (values < 0).any():
            raise ValueError(f"X holds a negative value ({values.min():g}); expected counts.")
        return values
