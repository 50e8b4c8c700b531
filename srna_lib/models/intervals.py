"""Prediction intervals around any regressor, from residuals on donors that the model did not see."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import GroupKFold
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d, has_fit_parameter, validate_data

from srna_lib.data import CONTEXT
from srna_lib.errors import InputError

LEVELS = (0.5, 0.8, 0.9)


class IntervalRegressor(RegressorMixin, BaseEstimator):
    """A regressor with prediction intervals (cross-conformal: quantiles of absolute out-of-fold residuals).

    `levels` are nominal coverages. The residuals (``residuals_``) come from an inner cross-validation of `n_splits`
    folds in which donors stay together, so the interval knows the error on new donors. Where the input names the
    covariate `by`, a value of it with `min_residuals` has a width of its own; the others share one. Vovk 2015,
    Cross-conformal predictors; Barber et al. 2021, Predictive inference with the jackknife+.
    """

    def __init__(
        self,
        estimator: Any,
        levels: tuple[float, ...] = LEVELS,
        n_splits: int = 5,
        by: str = "dataset_id",
        min_residuals: int = 100,
    ) -> None:
        self.estimator, self.levels, self.n_splits = estimator, levels, n_splits
        self.by, self.min_residuals = by, min_residuals

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit the regressor, and its inner folds for the residuals; `groups` is the donor of each sample."""
        if not all(0 < level < 1 for level in self.levels):
            raise ValueError(f"levels is {self.levels}; expected shares between 0 and 1.")
        X, y = _checked(self, X, y, fitting=True)
        donors = np.arange(len(y)) if groups is None else pd.factorize(np.asarray(groups))[0]
        if donors.max() + 1 < self.n_splits:
            known = f"the training set has {donors.max() + 1} (n_samples={len(y)})"
            raise InputError(f"prediction intervals need at least {self.n_splits} donors, one per inner fold; {known}.")
        self.residuals_ = np.empty(len(y))
        for train, test in GroupKFold(self.n_splits, shuffle=True, random_state=0).split(y, y, donors):
            inner = self._fitted(_safe_indexing(X, train), y[train], donors[train])
            self.residuals_[test] = y[test] - inner.predict(_safe_indexing(X, test))
        self.estimator_ = self._fitted(X, y, donors)
        cohorts, errors = self._cohorts(X), np.abs(self.residuals_)
        self.widths_: dict[str | None, dict[float, float]] = {None: self._quantiles(errors)}
        for cohort in set(cohorts) - {None}:
            if (cohorts == cohort).sum() >= self.min_residuals:
                self.widths_[cohort] = self._quantiles(errors[cohorts == cohort])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predicted target of each sample."""
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict(_checked(self, X))

    def predict_interval(self, X: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Level as text, e.g. ``"0.9"`` -> (low, high), each of shape (n_samples,)."""
        centre, cohorts = self.predict(X), self._cohorts(X)
        bounds = {}
        for level in self.levels:
            width = np.array([self.widths_.get(c, self.widths_[None])[level] for c in cohorts])
            bounds[f"{level:g}"] = (centre - width, centre + width)
        return bounds

    def _fitted(self, X: Any, y: np.ndarray, donors: np.ndarray) -> Any:
        extra = {"groups": donors} if has_fit_parameter(self.estimator, "groups") else {}
        return clone(self.estimator).fit(X, y, **extra)

    def _quantiles(self, errors: np.ndarray) -> dict[float, float]:
        """Conformal quantiles: of n residuals the ceil(level (n + 1))-th smallest; the largest where n is too small."""
        ordered, n = np.sort(errors), len(errors)
        ranks = {level: min(n, int(np.ceil(level * (n + 1) - 1e-9))) for level in self.levels}
        return {level: float(ordered[rank - 1]) for level, rank in ranks.items()}

    def _cohorts(self, X: Any) -> np.ndarray:
        """Cohort of each sample; None where the input names none."""
        cohorts = np.full(len(X), None, dtype=object)
        prefix = f"{CONTEXT}{self.by}="
        for column in X if isinstance(X, pd.DataFrame) else ():
            if str(column).startswith(prefix):
                cohorts[(X[column] != 0).to_numpy()] = column.removeprefix(prefix)
        return cohorts


def _checked(model: Any, X: Any, y: Any = None, fitting: bool = False) -> Any:
    """Check input and remember its columns; a DataFrame stays one, for its columns may name cohorts."""
    if not isinstance(X, pd.DataFrame):
        return validate_data(model, X, y, y_numeric=True) if fitting else validate_data(model, X, reset=False)
    validate_data(model, X, reset=fitting, skip_check_array=True)
    return (X, check_array(column_or_1d(y), ensure_2d=False, dtype=float)) if fitting else X
