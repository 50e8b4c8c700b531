"""Arithmetic of ridge regression over cohorts: kernels, solving in the dual, leaving donors out, means of cohorts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import linalg

from srna_lib.labels import CONTEXT
from srna_lib.relevance import MIN_GROUP


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
