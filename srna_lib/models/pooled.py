"""Tissue-conditioned linear models: one set of weights for all tissues, one per tissue, or in between.

A sample of cohort ``c`` with centred, scaled profile ``x`` gets the score ``a_c + x . (w + v_c)``: ``w`` is shared,
``v_c`` is the cohort's own, and both are ridge-penalised. In the dual this is one kernel ridge with the kernel
``x . x' (shared + own [c = c'])``. Cohorts reach the model as columns ``context:<variable>=<value>`` (`with_context`).
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import linalg
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold
from sklearn.utils.validation import check_is_fitted

from srna_lib.data import CONTEXT
from srna_lib.errors import InputError, one_of
from srna_lib.models.preprocess import MIN_GROUP, association, at_least_two

FOLDS = 5  # inner folds for the scores of donors left out
CENTRES = ("training", "batch")


def cohort_means(targets: np.ndarray, cohorts: np.ndarray) -> dict[Any, np.ndarray]:
    """Mean targets of cohorts, drawn to that of all as far as cohorts differ by chance alone (empirical Bayes).

    Without this, calibration would take the means of small cohorts, which hold each sample's own label, for knowledge.
    """
    names, code, sizes = np.unique(cohorts, return_inverse=True, return_counts=True)
    total = targets.mean(axis=0)
    sums = np.zeros((len(names), targets.shape[1]))
    np.add.at(sums, code, targets)
    means, spread = sums / sizes[:, None], max(len(names) - 1, 1)
    within = np.square(targets - means[code]).sum(axis=0) / max(len(targets) - len(names), 1)
    observed = (sizes[:, None] * np.square(means - total)).sum(axis=0) / spread
    effective = (len(targets) - np.square(sizes).sum() / len(targets)) / spread
    between = np.maximum(observed - within, 0.0) / max(effective, 1.0)
    noise = between + within / sizes[:, None]
    trust = np.divide(between, noise, out=np.zeros_like(noise), where=noise > 0)
    return dict(zip(names, total + trust * (means - total), strict=True))


def _pattern_names(indicators: pd.DataFrame) -> np.ndarray:
    """One name per row of indicator columns, equal where the rows are."""
    columns = np.asarray([c.removeprefix(CONTEXT) for c in indicators.columns], dtype=object)
    patterns, code = np.unique(indicators.to_numpy() != 0, axis=0, return_inverse=True)
    return np.array(["; ".join(columns[p]) for p in patterns], dtype=object)[code.ravel()]


def _large_means(values: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """Mean profile of every group of at least `MIN_GROUP` samples."""
    names, sizes = np.unique(groups, return_counts=True)
    return {name: values[groups == name].mean(axis=0) for name in names[sizes >= MIN_GROUP]}


class _PartialPooling(BaseEstimator):
    """Centring, kernel and leave-one-donor-out scores, shared by classifier and regressor."""

    def __init__(
        self,
        shared: float = 1.0,
        own: float = 0.15,
        alpha: float = 0.3,
        relevance: float = 0.5,
        gamma: float | None = None,
        by: str = "dataset_id",
        centre: str = "training",
    ) -> None:
        self.shared, self.own, self.alpha = shared, own, alpha
        self.relevance, self.gamma, self.by, self.centre = relevance, gamma, by, centre

    def _fit(self, X: pd.DataFrame, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fit to targets, shape (n, t); return centred profiles and the targets less their base."""
        if not (self.shared or self.own):
            raise InputError("shared=0 and own=0 leave no weight to fit; expected at least one of them above 0.")
        one_of("centre of unseen cohorts", self.centre, CENTRES)
        values, contexts, cohorts = self._split(X)
        self.feature_names_in_, self.n_features_in_ = np.asarray(X.columns, dtype=object), X.shape[1]
        self.centres_, self.cohort_centres_ = _large_means(values, contexts), _large_means(values, cohorts)
        self.centre_ = np.mean([*self.cohort_centres_.values()] or values, axis=0)
        self.target_mean_, self.cohort_targets_ = targets.mean(axis=0), cohort_means(targets, cohorts)
        centred, residual = self._centre(values, contexts, cohorts), targets - self._base(cohorts)
        self._solve(centred, residual, cohorts)
        if self.gamma is None:
            self.coef_ = self.shared * (self.profiles_.T @ self.dual_).T / self.scale_
        return centred, residual

    def _solve(self, centred: np.ndarray, residual: np.ndarray, cohorts: np.ndarray) -> None:
        """Weight and scale the sRNAs, then solve ``(kernel + alpha I) dual = residual``."""
        spread = centred.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        weights = association(centred / spread, residual, cohorts) ** self.relevance
        # the mean squared weight is 1, so the mean squared norm of a profile is 1 whatever the number of sRNAs
        self.scale_ = spread / weights * np.sqrt((weights**2).sum())
        self.profiles_, self.cohorts_ = (centred / self.scale_).astype(np.float32), cohorts
        if self.gamma is None and self.own == 0:  # plain ridge: as many unknowns as sRNAs, not as samples
            wide, alpha = self.profiles_.astype(float), self.alpha / self.shared
            ridge = Ridge(alpha, fit_intercept=False, solver="cholesky").fit(wide, residual)
            dual = (residual - wide @ ridge.coef_.reshape(residual.shape[1], -1).T) / alpha
            self.dual_ = dual.astype(np.float32) / self.shared
            return
        kernel = self._kernel(self.profiles_, cohorts)
        kernel[np.diag_indices_from(kernel)] += np.float32(self.alpha)
        try:  # KernelRidge's equation, in single precision and in place
            factor = linalg.cho_factor(kernel.T, lower=True, overwrite_a=True, check_finite=False)
        except linalg.LinAlgError as error:
            raise ValueError("the kernel matrix is not positive definite; expected a larger alpha.") from error
        self.dual_ = linalg.cho_solve(factor, residual.astype(np.float32), check_finite=False)

    def _left_out(self, centred: np.ndarray, residual: np.ndarray, cohorts: np.ndarray, groups: Any) -> np.ndarray:
        """Scores of donors left out fold by fold: sRNA weights have seen the labels, so each fold has its own."""
        donors = np.arange(len(cohorts)) if groups is None else pd.factorize(np.asarray(groups))[0]
        folds = GroupKFold(max(2, min(FOLDS, donors.max() + 1)), shuffle=True, random_state=0)
        scores = np.empty_like(residual)
        for train, test in folds.split(centred, groups=donors):
            self._solve(centred[train], residual[train], cohorts[train])
            scores[test] = self._kernel((centred[test] / self.scale_).astype(np.float32), cohorts[test]) @ self.dual_
        return scores

    def _score(self, X: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Residual scores and the cohort's mean targets, each of shape (n, t)."""
        check_is_fitted(self, "dual_")
        if list(X.columns) != list(self.feature_names_in_):
            raise ValueError("the columns differ from those of the training samples; expected the same, in order.")
        values, contexts, cohorts = self._split(X)
        profiles = (self._centre(values, contexts, cohorts) / self.scale_).astype(np.float32)
        return self._kernel(profiles, cohorts) @ self.dual_, self._base(cohorts)

    def _split(self, X: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Profiles, and each sample's pattern of all covariates and its cohort."""
        if not isinstance(X, pd.DataFrame):
            raise ValueError("expected a DataFrame whose columns name sRNAs and indicators of covariates.")
        covariate = X.columns.str.startswith(CONTEXT)
        cohort = X.columns.str.startswith(f"{CONTEXT}{self.by}=")
        if not cohort.any():
            raise ValueError(f"no column {CONTEXT}{self.by}=...; expected indicators of the cohort (with_context).")
        values = X.loc[:, ~covariate].to_numpy(float)
        return values, _pattern_names(X.loc[:, covariate]), _pattern_names(X.loc[:, cohort])

    def _centre(self, values: np.ndarray, contexts: np.ndarray, cohorts: np.ndarray) -> np.ndarray:
        """Subtract the training mean of each sample's covariates, or of its cohort; for an unseen one see `CENTRES`."""
        out = np.empty_like(values)
        for name in np.unique(contexts):
            here = contexts == name
            mean = self.centres_.get(name, self.cohort_centres_.get(cohorts[here][0]))
            if mean is None:
                mean = self._unseen_centre(values[here], name)
            out[here] = values[here] - mean
        return out

    def _unseen_centre(self, values: np.ndarray, name: str) -> np.ndarray:
        """Centre of a cohort that training does not know."""
        if self.centre == "batch" and len(values) >= MIN_GROUP:
            return values.mean(axis=0)
        if self.centre == "batch":
            few = f"{name}: {len(values)} samples are too few for a centre of their own (expected {MIN_GROUP})"
            warnings.warn(f"{few}, so they are centred on the mean of the training cohorts.", stacklevel=2)
        return self.centre_

    def _base(self, cohorts: np.ndarray) -> np.ndarray:
        """Mean targets of each sample's cohort; of all where the cohort is unseen."""
        return np.stack([self.cohort_targets_.get(c, self.target_mean_) for c in cohorts])

    def _kernel(self, profiles: np.ndarray, cohorts: np.ndarray) -> np.ndarray:
        """Products with the training profiles, or Gaussians of distances, weighted by shared and own; in place."""
        kernel = profiles @ self.profiles_.T
        if self.gamma is not None:
            kernel *= np.float32(2.0)
            kernel -= np.square(profiles).sum(axis=1)[:, None]
            kernel -= np.square(self.profiles_).sum(axis=1)[None, :]
            kernel *= np.float32(self.gamma)
            np.exp(kernel, out=kernel)
        kernel *= np.float32(self.shared) + np.float32(self.own) * (cohorts[:, None] == self.cohorts_[None, :])
        return kernel


class PartialPoolingClassifier(ClassifierMixin, _PartialPooling):
    """Least-squares classifier whose weights are partly shared by all cohorts, partly each cohort's own.

    `shared` and `own` are the prior variances of the weights that all cohorts share and of a cohort's own, `alpha` is
    the ridge penalty in units of the mean squared z-score of a profile; sRNAs are weighted by the power `relevance` of
    their association with the target; `gamma` makes the kernel Gaussian, ``exp(-gamma |x - x'|^2)`` on profiles of mean
    squared norm 1; `by` is the covariate that names the cohort. A cohort that training does not know is centred on the
    mean of the ``"training"`` cohorts, so that a prediction does not depend on who else is predicted, or (`centre`) of
    its own ``"batch"``: better where a whole cohort comes at once, and worse than chance where it holds one class only.
    Linear models have ``coef_``, the shared weights. Evgeniou and Pontil 2004, Regularized multi-task learning; Daume
    2007, Frustratingly easy domain adaptation.
    """

    ordinal = False

    def fit(self, X: pd.DataFrame, y: Any, groups: Any = None) -> Self:
        """Fit weights, then calibrate on scores of donors (`groups`, shape (n_samples,)) that were left out."""
        if getattr(getattr(y, "dtype", None), "ordered", False):  # categories of pandas that have an order
            y = pd.Categorical(y).remove_unused_categories()
            self.classes_, codes = np.asarray(y.categories), np.asarray(y.codes)
        else:
            self.classes_, codes = np.unique(np.asarray(y), return_inverse=True)
        k = len(at_least_two(self.classes_))
        self.thresholds_ = self.ordinal or k == 2
        ranks = np.arange(k - 1) if self.thresholds_ else np.arange(k)
        targets = (codes[:, None] > ranks if self.thresholds_ else codes[:, None] == ranks).astype(float)
        centred, residual = self._fit(X, targets)
        self.scores_ = clone(self)._left_out(centred, residual, self.cohorts_, groups)
        steps = targets.T if self.thresholds_ else [codes]
        inputs = self._inputs(self.scores_, self._base(self.cohorts_))
        pairs = zip(inputs, steps, strict=True)
        self.calibration_ = [LogisticRegression(C=10.0, max_iter=1000).fit(i, t) for i, t in pairs]
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Calibrated probability of each class, shape (n_samples, n_classes)."""
        inputs = self._inputs(*self._score(X))
        probabilities = [c.predict_proba(i) for c, i in zip(self.calibration_, inputs, strict=True)]
        if not self.thresholds_:
            return probabilities[0]
        above = np.minimum.accumulate(np.column_stack([p[:, 1] for p in probabilities]), axis=1)
        ends = np.ones((len(above), 1))
        return -np.diff(np.hstack([ends, above, 0 * ends]), axis=1)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Most probable class; for ordered classes likewise."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _inputs(self, scores: np.ndarray, base: np.ndarray) -> list[np.ndarray]:
        """Scores and prior log odds that each calibration sees."""
        base = np.clip(base, 1e-3, 1 - 1e-3)
        odds = np.log(base / (1 - base))
        if self.thresholds_:
            return [np.column_stack(pair) for pair in zip(scores.T, odds.T, strict=True)]
        return [np.hstack([scores, odds])]


class OrdinalPoolingClassifier(PartialPoolingClassifier):
    """The same for ordered classes: one threshold between each pair of neighbours (Frank and Hall 2001)."""

    ordinal = True


class PartialPoolingRegressor(RegressorMixin, _PartialPooling):
    """Ridge regression with weights partly shared, partly each cohort's own; parameters of the classifier."""

    def fit(self, X: pd.DataFrame, y: Any, groups: Any = None) -> Self:
        """Fit the weights; `groups` is ignored, for `IntervalRegressor` leaves donors out."""
        self._fit(X, np.asarray(y, dtype=float)[:, None])
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Predicted target of each sample."""
        scores, base = self._score(X)
        return (scores + base).ravel()
