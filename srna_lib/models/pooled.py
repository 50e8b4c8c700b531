"""Tissue-conditioned linear models: one set of weights for all tissues, one per tissue, or in between.

A sample of cohort ``c`` with centred, scaled profile ``x`` gets the score ``a_c + x . (w + v_c)``: ``w`` is shared,
``v_c`` belongs to the cohort, and both are ridge-penalised. The ratio of the penalties says how far cohorts may go
their own way. In the dual this is one kernel ridge with the kernel ``x . x' (shared + own [c = c'])``.

The cohort reaches the model as indicator columns ``context:<variable>=<value>`` (`contexts.with_context`).
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import linalg
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.utils.validation import check_is_fitted

from srna_lib.data import CONTEXT
from srna_lib.errors import InputError
from srna_lib.models.preprocess import MIN_GROUP, association


def similarities(profiles: np.ndarray, others: np.ndarray, gamma: float | None) -> np.ndarray:
    """Products of every two profiles, or the Gaussian ``exp(-gamma |x - x'|^2)`` of their distance.

    Parameters
    ----------
    profiles, others : array of float32, shape (n, d) and (m, d)
        One profile per row.
    gamma : float, optional
        None for products.

    Returns
    -------
    array of float32, shape (n, m)
    """
    found = profiles @ others.T
    if gamma is not None:
        found *= np.float32(2.0)
        found -= np.square(profiles).sum(axis=1)[:, None]
        found -= np.square(others).sum(axis=1)[None, :]
        found *= np.float32(gamma)
        np.exp(found, out=found)
    return found


def solve(kernel: np.ndarray, targets: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Solve ``(kernel + alpha I) dual = targets`` in single precision.

    Parameters
    ----------
    kernel : array of float32, shape (n, n)
        Symmetric; overwritten.
    targets : array, shape (n, t)
        What is fitted.
    alpha : float
        Ridge penalty.

    Returns
    -------
    factor : array, shape (n, n)
        Lower Cholesky factor.
    dual : array, shape (n, t)

    Raises
    ------
    ValueError
        When the penalty is too small for the matrix to be positive definite.
    """
    kernel[np.diag_indices_from(kernel)] += np.float32(alpha)
    # its own transpose, in the order that LAPACK works on in place
    factor, info = linalg.lapack.spotrf(kernel.T, lower=1, clean=0, overwrite_a=1)
    if info:
        raise ValueError("the kernel matrix is not positive definite; expected a larger alpha.")
    dual, _ = linalg.lapack.spotrs(factor, targets.astype(np.float32), lower=1)
    return factor, dual


def shared_dual(profiles: np.ndarray, targets: np.ndarray, alpha: float) -> np.ndarray:
    """Solve ``(P P' + alpha I) dual = targets`` through as many unknowns as sRNAs, where samples are more.

    Parameters
    ----------
    profiles : array, shape (n, d)
        P.
    targets : array, shape (n, t)
        What is fitted.
    alpha : float
        Ridge penalty.

    Returns
    -------
    array, shape (n, t), float32
        The same as `solve` gives for the linear kernel.
    """
    wide = profiles.astype(np.float64)
    weights = linalg.solve(wide.T @ wide + alpha * np.eye(wide.shape[1]), wide.T @ targets, assume_a="pos")
    return ((targets - wide @ weights) / alpha).astype(np.float32)


def left_out_errors(factor: np.ndarray, dual: np.ndarray, groups: Any) -> np.ndarray:
    """Errors when a donor's samples B are left out, in closed form: ``(inverse_BB)^-1 dual_B``.

    Parameters
    ----------
    factor : array, shape (n, n)
        As from `solve`; overwritten.
    dual : array, shape (n, t)
        As from `solve`.
    groups : array, shape (n,), or None
        Donor of each sample; None: each its own.

    Returns
    -------
    array, shape (n, t)
    """
    inverse, _ = linalg.lapack.spotri(factor, lower=1, overwrite_c=1)  # its lower half
    errors = dual / np.diag(inverse)[:, None]
    if groups is not None:
        codes = pd.factorize(np.asarray(groups))[0]
        order = np.argsort(codes, kind="stable")
        for block in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
            if len(block) > 1:  # positions rise within a block, so its own part is a lower half, too
                below = np.tril(inverse[np.ix_(block, block)].astype(float))
                errors[block] = np.linalg.solve(below + np.tril(below, -1).T, dual[block])
    return errors


def cohort_means(targets: np.ndarray, cohorts: np.ndarray) -> dict[Any, np.ndarray]:
    """Mean targets of cohorts, drawn to that of all as far as cohorts differ by chance alone (empirical Bayes).

    Without this, calibration would take the means of small cohorts, which hold each sample's own label, for knowledge.

    Parameters
    ----------
    targets : array, shape (n, t)
        Targets.
    cohorts : array, shape (n,)
        Cohort of each sample.

    Returns
    -------
    dict
        Cohort -> mean, shape (t,).
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


def pattern_names(indicators: pd.DataFrame) -> np.ndarray:
    """One name per row of indicators, equal where the rows are.

    Parameters
    ----------
    indicators : DataFrame, shape (n, k)
        Columns ``context:<column>=<value>`` of 0 and 1.

    Returns
    -------
    array of str, shape (n,)
    """
    rows = indicators.to_numpy() != 0
    columns = np.asarray([c.removeprefix(CONTEXT) for c in indicators.columns], dtype=object)
    patterns, code = np.unique(rows, axis=0, return_inverse=True)
    names = np.array(["; ".join(columns[p]) for p in patterns], dtype=object)
    return names[code.ravel()]


def large_groups(groups: np.ndarray) -> np.ndarray:
    """Names that at least `relevance.MIN_GROUP` samples have.

    Parameters
    ----------
    groups : array, shape (n,)
        Name of each sample's group.

    Returns
    -------
    array
    """
    names, sizes = np.unique(groups, return_counts=True)
    return names[sizes >= MIN_GROUP]


FOLDS = 5  # inner folds, where scores of donors left out have no closed form


class _PartialPooling(BaseEstimator):
    """Centring, kernel and leave-one-donor-out predictions, shared by classifier and regressor."""

    def __init__(
        self,
        shared: float = 1.0,
        own: float = 0.15,
        alpha: float = 0.3,
        relevance: float = 0.5,
        gamma: float | None = None,
        by: str = "dataset_id",
    ) -> None:
        self.shared = shared
        self.own = own
        self.alpha = alpha
        self.relevance = relevance
        self.gamma = gamma
        self.by = by

    def _fit(self, X: pd.DataFrame, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fit to targets, shape (n, t); return centred profiles, targets less their base and the Cholesky factor."""
        if not (self.shared or self.own):
            raise InputError("shared=0 and own=0 leave no weight to fit; expected at least one of them above 0.")
        values, contexts, cohorts = self._split(X)
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        self.centres_ = {k: values[contexts == k].mean(axis=0) for k in large_groups(contexts)}
        self.cohort_centres_ = {k: values[cohorts == k].mean(axis=0) for k in large_groups(cohorts)}
        self.target_mean_ = targets.mean(axis=0)
        self.cohort_targets_ = cohort_means(targets, cohorts)
        centred = self._centre(values, contexts, cohorts)
        residual = targets - self._base(cohorts)
        factor = self._solve(centred, residual, cohorts)
        if self.gamma is None:
            self.coef_ = self.shared * (self.profiles_.T @ self.dual_).T / self.scale_
        return centred, residual, factor

    def _left_out(self, X: pd.DataFrame, targets: np.ndarray, groups: Any) -> np.ndarray:
        """Fit; return the scores that donors get when left out, shape (n, t)."""
        centred, residual, factor = self._fit(X, targets)
        if not self.relevance:
            return residual - left_out_errors(factor, self.dual_, groups)
        return clone(self)._refitted(centred, residual, self.cohorts_, groups)

    def _solve(self, centred: np.ndarray, residual: np.ndarray, cohorts: np.ndarray) -> np.ndarray:
        """Weight and scale the sRNAs, then solve the dual problem; return the factor of its matrix."""
        spread = centred.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        weights = association(centred / spread, residual, cohorts) ** self.relevance
        # the mean squared weight is 1, so the mean squared norm of a profile is 1 whatever the number of sRNAs
        self.scale_ = spread / weights * np.sqrt((weights**2).sum())
        self.profiles_, self.cohorts_ = (centred / self.scale_).astype(np.float32), cohorts
        if self.relevance and self.gamma is None and self.own == 0:
            self.dual_ = shared_dual(self.profiles_, residual, self.alpha / self.shared) / self.shared
            return np.empty(0)
        factor, self.dual_ = solve(self._kernel(self.profiles_, cohorts), residual, self.alpha)
        return factor

    def _refitted(self, centred: np.ndarray, residual: np.ndarray, cohorts: np.ndarray, groups: Any) -> np.ndarray:
        """Scores of donors left out fold by fold: the weights have seen the labels, so each fold draws its own."""
        people = np.arange(len(cohorts)) if groups is None else pd.factorize(np.asarray(groups))[0]
        folds = GroupKFold(max(2, min(FOLDS, people.max() + 1)), shuffle=True, random_state=0)
        scores = np.empty_like(residual)
        for train, test in folds.split(centred, groups=people):
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
        if not isinstance(X, pd.DataFrame):
            raise ValueError("expected a DataFrame whose columns name sRNAs and context indicators.")
        context = X.columns.str.startswith(CONTEXT)
        if not X.columns[context].str.startswith(f"{CONTEXT}{self.by}=").any():
            raise ValueError(f"no column {CONTEXT}{self.by}=...; expected indicators of the cohort (with_context).")
        return X.loc[:, ~context].to_numpy(float), pattern_names(X.loc[:, context]), self._cohort(X)

    def _cohort(self, X: pd.DataFrame) -> np.ndarray:
        return pattern_names(X.loc[:, X.columns.str.startswith(f"{CONTEXT}{self.by}=")])

    def _centre(self, values: np.ndarray, contexts: np.ndarray, cohorts: np.ndarray) -> np.ndarray:
        """Subtract the training mean of each sample's context; an unseen cohort is centred on itself."""
        out = np.empty_like(values)
        for name in np.unique(contexts):
            here = contexts == name
            cohort = cohorts[here][0]
            mean = self.centres_.get(name, self.cohort_centres_.get(cohort))
            out[here] = values[here] - (values[here].mean(axis=0) if mean is None else mean)
        return out

    def _base(self, cohorts: np.ndarray) -> np.ndarray:
        return np.stack([self.cohort_targets_.get(c, self.target_mean_) for c in cohorts])

    def _kernel(self, profiles: np.ndarray, cohorts: np.ndarray) -> np.ndarray:
        kernel = similarities(profiles, self.profiles_, self.gamma)
        kernel *= np.float32(self.shared) + np.float32(self.own) * (cohorts[:, None] == self.cohorts_[None, :])
        return kernel


class PartialPoolingClassifier(ClassifierMixin, _PartialPooling):
    """Least-squares classifier whose weights are partly shared by all cohorts, partly each cohort's own.

    Parameters
    ----------
    shared : float, default 1.0
        Prior variance of the weights that all cohorts share. 0: every cohort for itself.
    own : float, default 0.15
        Prior variance of a cohort's own weights. 0: cohort only as an input. Raise it where cohorts are large and
        differ.
    alpha : float, default 0.3
        Ridge penalty in units of the mean squared z-score of a profile. Raise it for few or noisy samples.
    relevance : float, default 0.5
        sRNAs are weighted by this power of their association with the target in the training samples (over all cohorts
        and within each). 0 weights all alike; 1 trusts the associations more.
    gamma : float, optional
        Makes the kernel Gaussian, ``exp(-gamma |x - x'|^2)`` on profiles of mean squared norm 1. Default: linear.
    by : str, default "dataset_id"
        Context variable that names the cohort.
    ordinal : bool, default False
        Classes are ordered (in sorted order): fit one threshold between each pair of neighbours, and keep the
        cumulative probabilities in order (Frank and Hall 2001).

    Attributes
    ----------
    classes_ : array, shape (n_classes,)
    coef_ : array, shape (n_targets, n_srnas)
        Shared weights (of the linear kernel only) per unit of model input: one row per class (two classes: one row, for
        the second; ordinal: one per threshold, for what lies above).
    scores_ : array, shape (n_samples, n_targets)
        Leave-one-donor-out scores of the training samples, on which probabilities are calibrated.

    References
    ----------
    Evgeniou and Pontil 2004, Regularized multi-task learning; Daume 2007, Frustratingly easy domain adaptation.
    """

    def __init__(
        self,
        shared: float = 1.0,
        own: float = 0.15,
        alpha: float = 0.3,
        relevance: float = 0.5,
        gamma: float | None = None,
        by: str = "dataset_id",
        ordinal: bool = False,
    ) -> None:
        super().__init__(shared, own, alpha, relevance, gamma, by)
        self.ordinal = ordinal

    def fit(self, X: pd.DataFrame, y: Any, groups: Any = None) -> Self:
        """Fit weights, then calibrate probabilities on leave-one-donor-out scores.

        Parameters
        ----------
        X : DataFrame, shape (n_samples, n_srnas + n_context)
            Log-scale profiles and indicator columns of the context.
        y : array, shape (n_samples,)
            Class labels.
        groups : array, shape (n_samples,), optional
            Donor of each sample; samples of one donor are left out together. Default: each its own.

        Returns
        -------
        self
        """
        self.classes_, codes = np.unique(np.asarray(y), return_inverse=True)
        k = len(self.classes_)
        if k < 2:
            raise ValueError(
                f"The training samples have one class only ({str(self.classes_[0])!r}); expected at least 2 classes."
            )
        if self.ordinal or k == 2:
            targets = (codes[:, None] > np.arange(k - 1)).astype(float)
        else:
            targets = (codes[:, None] == np.arange(k)).astype(float)
        self.scores_ = self._left_out(X, targets, groups)
        inputs = [np.column_stack([s, b]) for s, b in self._inputs(self.scores_, self._base(self.cohorts_))]
        steps = targets.T if self.ordinal or k == 2 else [codes]
        self.calibration_ = [
            LogisticRegression(C=10.0, max_iter=1000).fit(i, t) for i, t in zip(inputs, steps, strict=True)
        ]
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Calibrated probability of each class.

        Parameters
        ----------
        X : DataFrame
            As in `fit`.

        Returns
        -------
        array, shape (n_samples, n_classes), rows sum to 1
        """
        inputs = self._inputs(*self._score(X))
        found = [c.predict_proba(np.column_stack(i)) for c, i in zip(self.calibration_, inputs, strict=True)]
        if not (self.ordinal or len(self.classes_) == 2):
            return found[0]
        above = np.minimum.accumulate(np.column_stack([p[:, 1] for p in found]), axis=1)
        ends = np.ones((len(above), 1))
        return -np.diff(np.hstack([ends, above, 0 * ends]), axis=1)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Most probable class; for ordered classes likewise."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _inputs(self, scores: np.ndarray, base: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Score and prior log odds that each calibration sees."""
        base = np.clip(base, 1e-3, 1 - 1e-3)
        odds = np.log(base / (1 - base))
        if self.ordinal or len(self.classes_) == 2:
            return [(scores[:, [t]], odds[:, [t]]) for t in range(scores.shape[1])]
        return [(scores, odds)]


class PartialPoolingRegressor(RegressorMixin, _PartialPooling):
    """Ridge regression whose weights are partly shared by all cohorts, partly each cohort's own.

    Parameters
    ----------
    shared, own, alpha, relevance, gamma, by
        As in `PartialPoolingClassifier`.

    Attributes
    ----------
    coef_ : array, shape (1, n_srnas)
        Shared weights (of the linear kernel only), target units per unit of model input.
    """

    def fit(self, X: pd.DataFrame, y: Any, groups: Any = None) -> Self:
        """Fit the weights.

        Parameters
        ----------
        X : DataFrame, shape (n_samples, n_srnas + n_context)
            Log-scale profiles and indicator columns of the context.
        y : array, shape (n_samples,)
            Target.
        groups : ignored
            Nothing is calibrated here: `intervals.IntervalRegressor` leaves donors out.

        Returns
        -------
        self
        """
        self._fit(X, np.asarray(y, dtype=float)[:, None])
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Predict the target.

        Parameters
        ----------
        X : DataFrame
            As in `fit`.

        Returns
        -------
        array, shape (n_samples,)
        """
        scores, base = self._score(X)
        return (scores + base).ravel()
