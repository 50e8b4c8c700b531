"""Prediction intervals around any regressor, from residuals on donors that the model did not see."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import GroupKFold
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d, has_fit_parameter, validate_data

from srna_lib.data import CONTEXT

LEVELS = (0.5, 0.8, 0.9)


class IntervalRegressor(RegressorMixin, BaseEstimator):
    """A regressor with prediction intervals (cross-conformal: quantiles of absolute out-of-fold residuals).

    The residuals come from an inner cross-validation in which donors stay together, so the interval knows the error
    on new donors. Where the input names a cohort, a cohort with enough residuals has a width of its own.

    Parameters
    ----------
    estimator : regressor
        Point prediction.
    levels : tuple of float, default (0.5, 0.8, 0.9)
        Stated coverages.
    n_splits : int, default 5
        Inner folds; more is slower and brings the inner models closer to the final one.
    by : str, default "dataset_id"
        Context variable whose values may have widths of their own.
    min_residuals : int, default 100
        Residuals that such a value needs; the others share one width. Lower is more local and less certain.

    Attributes
    ----------
    estimator_ : regressor
        Fitted on all training samples.
    residuals_ : array, shape (n_samples,)
        Out-of-fold residuals of the training samples.

    References
    ----------
    Vovk 2015, Cross-conformal predictors; Barber et al. 2021, Predictive inference with the jackknife+.
    """

    def __init__(
        self,
        estimator: Any,
        levels: tuple[float, ...] = LEVELS,
        n_splits: int = 5,
        by: str = "dataset_id",
        min_residuals: int = 100,
    ) -> None:
        self.estimator = estimator
        self.levels = levels
        self.n_splits = n_splits
        self.by = by
        self.min_residuals = min_residuals

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit the regressor, and its inner folds for the residuals.

        Parameters
        ----------
        X : array or DataFrame, shape (n_samples, n_features)
            Model input.
        y : array, shape (n_samples,)
            Target.
        groups : array, shape (n_samples,), optional
            Donor of each sample, kept together in the inner folds. Default: each its own.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            A level outside 0 to 1, or fewer donors than inner folds.
        """
        if not all(0 < level < 1 for level in self.levels):
            raise ValueError(f"levels is {self.levels}; expected shares between 0 and 1.")
        X, y = _checked(self, X, y, fitting=True)
        people = np.arange(len(y)) if groups is None else pd.factorize(np.asarray(groups))[0]
        predicted = np.empty(len(y))
        for train, test in GroupKFold(self.n_splits, shuffle=True, random_state=0).split(y, y, people):
            predicted[test] = self._fitted(_rows(X, train), y[train], people[train]).predict(_rows(X, test))
        self.residuals_ = y - predicted
        self.estimator_ = self._fitted(X, y, people)
        cohorts = self._cohorts(X)
        errors = np.abs(self.residuals_)
        self.widths_: dict[str | None, dict[float, float]] = {None: self._quantiles(errors)}
        for cohort in set(cohorts) - {None}:
            if (cohorts == cohort).sum() >= self.min_residuals:
                self.widths_[cohort] = self._quantiles(errors[cohorts == cohort])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the target.

        Parameters
        ----------
        X : array or DataFrame
            As in `fit`.

        Returns
        -------
        array, shape (n_samples,)
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict(_checked(self, X))

    def predict_interval(self, X: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Lower and upper bound at each level.

        Parameters
        ----------
        X : array or DataFrame
            As in `fit`.

        Returns
        -------
        dict
            Level as text, e.g. ``"0.9"`` -> (low, high), each of shape (n_samples,).
        """
        centre = self.predict(X)
        cohorts = self._cohorts(X)
        out = {}
        for level in self.levels:
            width = np.array([self.widths_.get(c, self.widths_[None])[level] for c in cohorts])
            out[f"{level:g}"] = (centre - width, centre + width)
        return out

    def _fitted(self, X: Any, y: np.ndarray, people: np.ndarray) -> Any:
        extra = {"groups": people} if has_fit_parameter(self.estimator, "groups") else {}
        return clone(self.estimator).fit(X, y, **extra)

    def _quantiles(self, errors: np.ndarray) -> dict[float, float]:
        """Conformal quantiles: of n residuals the ceil(level (n + 1))-th smallest; the largest where n is too few."""
        ordered, n = np.sort(errors), len(errors)
        ranks = {level: min(n, int(np.ceil(level * (n + 1) - 1e-9))) for level in self.levels}
        return {level: float(ordered[rank - 1]) for level, rank in ranks.items()}

    def _cohorts(self, X: Any) -> np.ndarray:
        none = np.full(len(X), None, dtype=object)
        if not isinstance(X, pd.DataFrame):
            return none
        prefix = f"{CONTEXT}{self.by}="
        columns = [c for c in X.columns if str(c).startswith(prefix)]
        for column in columns:
            none[(X[column] != 0).to_numpy()] = column.removeprefix(prefix)
        return none


def _checked(model: Any, X: Any, y: Any = None, fitting: bool = False) -> Any:
    """Check input and remember its columns; a DataFrame stays one, for its columns may name cohorts."""
    if not isinstance(X, pd.DataFrame):
        return validate_data(model, X, y, y_numeric=True) if fitting else validate_data(model, X, reset=False)
    validate_data(model, X, reset=fitting, skip_check_array=True)
    return (X, check_array(column_or_1d(y), ensure_2d=False, dtype=float)) if fitting else X


def _rows(X: Any, positions: np.ndarray) -> Any:
    return X.iloc[positions] if isinstance(X, pd.DataFrame) else X[positions]
