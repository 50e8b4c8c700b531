"""Linear classifiers for studies never seen: how studies of one class differ is noise, and is scaled down.

The noise is measured on mean profiles of cells, a cell being the samples of one class in one study. As a class has far
fewer studies than there are sRNAs, the covariance S of these means around their class's is drawn to the identity:
S + s I, where s is the mean of the variances of S along the directions in which it has any.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from scipy.linalg import svd
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import normalize
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, validate_data

from srna_lib.errors import one_of
from srna_lib.models.preprocess import at_least_two

PARTS = ("logistic", "lda")
MEAN = 0.5  # a model of classes and one of leaves, averaged
TRUST = 0.9  # in a sample of a study already seen


class Noise(NamedTuple):
    """Means of k classes over studies, (k, d), their numbers of studies, directions of S, (r, d), and its variances."""

    means: np.ndarray
    counts: np.ndarray
    directions: np.ndarray
    variances: np.ndarray


class StudyClassifier(LogisticRegression):
    """Softmax of linear scores, fitted so that it rests on what holds in many studies.

    Its form is that of `LogisticRegression`, with ``coef_`` and ``intercept_`` for profiles as given; what differs is
    how they are found. Scores of several `parts` are added up: ``"logistic"``, logistic regression (`C`, `tol`,
    `max_iter`) of profiles times (S / s + I)^(-1/2), which is within-class covariance normalisation (Hatch, Kajarekar
    and Stolcke 2006), and ``"lda"``, linear discriminant analysis of cells with covariance S + `ridge` s I, classes
    equally probable, means of classes drawn to that of all (Hastie, Tibshirani and Friedman 2009, section 4.3.1).
    The weight of each part (``weights_``) is fitted on the log loss of inner `folds`, grouped by study: of a single
    part it is the inverse temperature, which leaves its predictions as they are. 0: no folds, every weight is 1.

    A class of several kinds has no one profile. Fitted with finer classes of the training samples, the model gives a
    linear score to each *leaf*, a kind of a class in at least `least` studies (0: no leaves): that of the parts fitted
    to leaves, plus that of discriminant analysis (where it is a part) fitted to classes. The score of a class is half
    the log of the sum of exp over its leaves: the mean of what both say of it. ``coef_`` and ``intercept_`` are then of
    leaves, and ``leaves_`` says which class each is of (else None).

    Such scores give away what a study already seen could tell. A sample whose nearest training sample, by the cosine of
    profiles, is less than `near` times as far (1 - cosine) as the nearest of any other study is taken for one of that
    study (the ratio test of Lowe 2004, section 7.1), and has the class of that sample with probability .9; the rest is
    shared out as the scores say. 0: every sample by its scores alone, as where no `studies` are given. ``coef_``, and
    so every explanation, is of the scores.
    """

    def __init__(
        self,
        parts: tuple[str, ...] = ("logistic", "lda"),
        folds: int = 3,
        ridge: float = 0.2,
        least: int = 3,
        near: float = 0,
        C: float = 0.01,
        tol: float = 1e-3,
        max_iter: int = 500,
    ) -> None:
        super().__init__(C=C, tol=tol, max_iter=max_iter)
        self.parts, self.folds, self.ridge, self.least, self.near = parts, folds, ridge, least, near

    def fit(self, X: Any, y: Any, studies: Any = None, kinds: Any = None) -> Self:
        """Fit to scaled profiles; `studies`, shape (n_samples,), names studies; without it each sample is its own.

        `kinds`, shape (n_samples, n_levels), are finer classes, coarse to fine, missing where they are unknown.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, code = np.unique(y, return_inverse=True)
        at_least_two(self.classes_)
        recalls = studies is not None and self.near > 0
        studies = np.arange(len(y)) if studies is None else np.unique(np.asarray(studies), return_inverse=True)[1]
        check_consistent_length(X, studies, kinds)
        for part in self.parts:
            one_of("part", part, PARTS)
        leaf = code if kinds is None or not self.least else find_leaves(code, kinds, studies, self.least)
        self.leaves_ = code[np.unique(leaf, return_index=True)[1]] if leaf.max() > code.max() else None
        models: list[tuple[np.ndarray, tuple[str, ...], np.ndarray | None]] = [(code, self.parts, None)]
        if self.leaves_ is not None:
            models = [(code, ("lda",) if "lda" in self.parts else self.parts, None), (leaf, self.parts, self.leaves_)]
        self.n_iter_ = np.ones(1, dtype=np.int32)
        fitted, weights = [], []
        for unit, parts, leaves in models:
            weights.append(self._weights(X, code, studies, unit, parts, leaves))
            scores = np.tensordot(weights[-1], self._fit_parts(X, unit, studies, parts), axes=1).T
            fitted.append(scores if leaves is self.leaves_ else scores[self.leaves_])
        coefficients, self.weights_ = np.sum(fitted, axis=0), np.concatenate(weights)
        if len(coefficients) == 2:  # as in scikit-learn: one row, of the second class
            coefficients = coefficients[1:] - coefficients[:1]
        self.coef_, self.intercept_ = coefficients[:, :-1], coefficients[:, -1]
        self.seen_ = (normalize(X), code, studies) if recalls and len(np.unique(studies)) > 1 else None
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores of the classes, shape (n_samples, n_classes); of two one column, as in scikit-learn."""
        scores = super().decision_function(X)
        if self.leaves_ is not None:
            scores = MEAN * merged(scores, self.leaves_)
        elif scores.ndim == 1:
            scores = np.column_stack([np.zeros(len(scores)), scores])
        if self.seen_ is not None:
            profiles, code, studies = self.seen_
            twin = find_twins(normalize(validate_data(self, X, reset=False)), profiles, studies, self.near)
            rows = np.flatnonzero(twin >= 0)
            p = (1 - TRUST) * softmax(scores[rows], axis=1)
            p[np.arange(len(rows)), code[twin[rows]]] += TRUST
            scores[rows] = np.log(p)
        return scores if scores.shape[1] > 2 else scores[:, 1] - scores[:, 0]

    def _weights(
        self, X: np.ndarray, code: np.ndarray, studies: np.ndarray, unit: np.ndarray, parts: tuple[str, ...],
        leaves: np.ndarray | None,
    ) -> np.ndarray:  # fmt: skip
        """Weights that fit the studies of inner folds best; a sample whose class its fold did not learn is left out."""
        scores = np.full((len(parts), len(X), unit.max() + 1), -np.inf)
        n_folds = min(self.folds, len(np.unique(studies)), np.bincount(code).max())
        with warnings.catch_warnings():  # classes of fewer samples than folds do not matter
            warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
            folds = list(StratifiedGroupKFold(n_folds).split(X, code, studies)) if n_folds > 1 else []
        for train, test in folds:
            known, inner = np.unique(unit[train], return_inverse=True)
            if len(known) > 1:
                fitted = self._fit_parts(X[train], inner, studies[train], parts)
                scores[:, test[:, None], known] = X[test] @ fitted[:, :-1] + fitted[:, -1:]
        rows = np.flatnonzero(np.isfinite(merged(scores[0], leaves)[range(len(X)), code]))
        if not len(rows):
            return np.ones(len(parts))
        importance = _sample_weights(code[rows], studies[rows])

        def loss(logs: np.ndarray) -> float:
            log_p = log_softmax(np.tensordot(np.exp(logs), scores[:, rows], axes=1), axis=1)
            return -np.average(merged(log_p, leaves)[range(len(rows)), code[rows]], weights=importance)

        start = np.zeros(len(parts))
        return np.exp(minimize(loss, start, method="L-BFGS-B", bounds=[(-10, 5)] * len(start)).x)

    def _fit_parts(self, X: np.ndarray, code: np.ndarray, studies: np.ndarray, parts: tuple[str, ...]) -> np.ndarray:
        """Coefficients and intercept of every class or leaf, shape (n_parts, n_features + 1, n_classes)."""
        noise, fitted = study_noise(X, code, studies), []
        s = noise.variances.mean() if len(noise.variances) else 1.0
        for part in parts:
            if part == "lda":
                fitted.append(_discriminant(noise, self.ridge * s))
                continue
            scale = np.sqrt(s / (noise.variances + s))
            model = LogisticRegression(C=self.C, tol=self.tol, max_iter=self.max_iter)
            model.fit(_scaled(X, noise.directions, scale), code, _sample_weights(code, studies))
            self.n_iter_ = model.n_iter_
            weights = np.vstack([_scaled(model.coef_, noise.directions, scale).T, model.intercept_])
            # of two classes scikit-learn has the scores of the second only
            fitted.append(weights if weights.shape[1] > 1 else np.hstack([0 * weights, weights]))
        return np.stack(fitted)

    def __sklearn_tags__(self) -> Any:
        """Dense arrays only."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.array_api_support = False
        return tags


def find_leaves(code: np.ndarray, kinds: Any, studies: np.ndarray, least: int) -> np.ndarray:
    """Leaf 0, 1, ... of each sample: its finest kind within its class 0, 1, ... that `least` studies have, if any."""
    leaf = code
    for kind in np.asarray(kinds, dtype=object).reshape(len(code), -1).T:
        number = pd.factorize(kind, sort=True)[0]  # -1: unknown
        finer = np.unique(np.column_stack([leaf, number]), axis=0, return_inverse=True)[1]
        shared = np.bincount(np.unique(np.column_stack([finer, studies]), axis=0)[:, 0])
        enough = (number >= 0) & (shared[finer] >= least)
        leaf = np.unique(np.where(enough, leaf.max() + 1 + finer, leaf), return_inverse=True)[1]
    return leaf


def merged(scores: np.ndarray, leaves: np.ndarray | None) -> np.ndarray:
    """Scores of classes, whose exp is the sum of that of their leaves; as they are without leaves."""
    if leaves is None:
        return scores
    return np.stack([logsumexp(scores[:, leaves == c], axis=1) for c in range(leaves.max() + 1)], axis=1)


def find_twins(X: np.ndarray, profiles: np.ndarray, studies: np.ndarray, near: float) -> np.ndarray:
    """Place of the training profile that is nearest and far nearer than any of another study, else -1; length is 1."""
    twins = []
    for rows in np.array_split(X, -(-len(X) // 1000)):  # thousands of samples by thousands would fill memory
        r = np.round(rows @ profiles.T, 6)
        first = r.argmax(axis=1)
        other = np.where(studies == studies[first][:, None], -np.inf, r).max(axis=1)
        twins.append(np.where(1 - r.max(axis=1) < near * (1 - other), first, -1))
    return np.concatenate(twins)


def study_noise(X: np.ndarray, code: np.ndarray, studies: np.ndarray) -> Noise:
    """How studies of one class differ in profiles (n, d) of classes 0, ..., k - 1."""
    cells, cell = np.unique(np.column_stack([code, studies]), axis=0, return_inverse=True)
    profiles = _means(X, cell)
    means = _means(profiles, cells[:, 0])
    # numpy's driver, gesdd, ends without convergence on a rare one of these matrices
    _, singular, directions = svd(profiles - means[cells[:, 0]], full_matrices=False, lapack_driver="gesvd")
    variances = singular**2 / len(cells)
    real = variances > 1e-10 * X.var(axis=0).sum()
    return Noise(means, np.bincount(cells[:, 0]), directions[real], variances[real])


def _discriminant(noise: Noise, s: float) -> np.ndarray:
    """Coefficients and intercepts of linear discriminant analysis with covariance S + s I, shape (d + 1, k).

    The mean of a class with few studies is noise for the most part, so it is drawn to the mean of all classes by
    n / (n + r) with n its studies and r the variance between studies over that between classes (empirical Bayes).
    """
    centre, within = noise.means.mean(axis=0), noise.variances.sum()
    between = np.square(noise.means - centre).sum() / (len(noise.means) - 1) - (within / noise.counts).mean()
    trust = noise.counts * max(between, 1e-9)
    means = centre + (trust / (trust + within))[:, None] * (noise.means - centre)
    weights = _scaled(means, noise.directions, s / (noise.variances + s)) / s
    return np.vstack([weights.T, -0.5 * (weights * means).sum(axis=1)])


def _means(values: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Mean of the rows of each code 0, 1, ..."""
    sums = np.zeros((code.max() + 1, values.shape[1]))
    np.add.at(sums, code, values)
    return sums / np.bincount(code)[:, None]


def _scaled(values: np.ndarray, directions: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Scale what rows have along orthonormal directions; what is orthogonal to all of them stays."""
    return values + (values @ directions.T) * (factors - 1) @ directions


def _sample_weights(code: np.ndarray, studies: np.ndarray) -> np.ndarray:
    """A cell of n samples weighs sqrt(n) in all, and each class the same; the mean weight is 1."""
    _, cell, size = np.unique(np.column_stack([code, studies]), axis=0, return_inverse=True, return_counts=True)
    weights = 1 / np.sqrt(size[cell])
    weights /= np.bincount(code, weights)[code]
    return weights / weights.mean()
