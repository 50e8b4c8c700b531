"""Named recipes for a quantity, such as age: from raw counts to a number with prediction intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from srna_lib.errors import InputError
from srna_lib.intervals import LEVELS, IntervalRegressor
from srna_lib.labels import CONTEXT, NORMALISED
from srna_lib.models import select_columns
from srna_lib.pooling import PartialPoolingRegressor
from srna_lib.preprocess import LogCPM, ReadsPerMillion, ZeroFilter
from srna_lib.relevance import RelevanceWeights
from srna_lib.scaling import TrimmedMeanLog

QUANTITY_RECIPES = {
    "ridge": "linear baseline: log2 CPM, z-score, ridge regression, penalty by generalised cross-validation",
    "forest": "regression forest of 300 trees on the paper's features (RPM, zero filter)",
    "kernel": "kernel ridge, Gaussian kernel on log2 CPM z-scores weighted by their association with the target",
    "kernel_tmm": "the same with library sizes by the trimmed mean of ratios, sRNAs present in 90 % of the samples",
    "tissue_input": "ridge, centred within tissue (cohort): all tissues share their weights",
    "per_tissue": "ridge, centred within tissue: every tissue has weights of its own",
    "partial_pooling": "ridge, centred within tissue: shared weights, and smaller ones of each tissue's own",
    "metadata": "ridge on study, tissue, platform and depth: not a single sRNA",
    "mean": "always the mean of the training samples",
}
_POOLING = {"tissue_input": (1.0, 0.0), "per_tissue": (0.0, 1.0), "partial_pooling": (1.0, 0.15)}


def quantity_recipe(name: str, *, seed: int = 0, joined: bool = False, **parameters: Any) -> Pipeline:
    """Build a named recipe for a quantity.

    Parameters
    ----------
    name : str
        One of `QUANTITY_RECIPES`.
    seed : int, default 0
        Seed of everything random in it.
    joined : bool, default False
        As in `models.recipe`.
    **parameters
        Changes in scikit-learn's notation, e.g. ``regressor__levels=(0.9,)``.

    Returns
    -------
    Pipeline
        Unfitted; the last step, named ``regressor``, is an `IntervalRegressor`.

    Raises
    ------
    InputError
        Unknown recipe or parameter.
    """
    if name not in QUANTITY_RECIPES:
        raise InputError(f"unknown recipe {name!r} for a quantity: expected one of {', '.join(QUANTITY_RECIPES)}.")
    steps = _steps(name, seed)
    if joined:
        steps[0] = (steps[0][0], select_columns(steps[0][1], other=NORMALISED))
    regressor = IntervalRegressor(steps.pop()[1], levels=LEVELS)
    try:
        return Pipeline([*steps, ("regressor", regressor)]).set_params(**parameters)
    except ValueError as error:
        raise InputError(f"recipe {name!r}: {str(error).splitlines()[0]}") from error


def _steps(name: str, seed: int) -> list[tuple[str, Any]]:
    log = [("log_cpm", LogCPM()), ("zeros", ZeroFilter(0.2)), ("scale", StandardScaler())]
    if name == "ridge":
        return [*log, ("model", RidgeCV(np.logspace(1, 6, 11)))]
    if name == "kernel":
        ridge = KernelRidge(alpha=0.02, kernel="rbf", gamma=0.05)
        smooth = TransformedTargetRegressor(ridge, transformer=StandardScaler())
        # the weights look at the target, so they belong inside the folds of the intervals
        return [*log, ("model", Pipeline([("relevance", RelevanceWeights()), ("ridge", smooth)]))]
    if name == "kernel_tmm":
        ridge = KernelRidge(alpha=0.02, kernel="rbf", gamma=0.03)
        smooth = TransformedTargetRegressor(ridge, transformer=StandardScaler())
        return [
            ("log_tmm", Pipeline([("present", ZeroFilter(0.1)), ("log", TrimmedMeanLog())])),
            ("scale", StandardScaler()),
            ("model", Pipeline([("relevance", RelevanceWeights(1.0)), ("ridge", smooth)])),
        ]
    if name == "forest":
        forest = RandomForestRegressor(300, max_features=1 / 3, min_samples_leaf=3, random_state=seed)
        return [("rpm", ReadsPerMillion()), ("zeros", ZeroFilter(0.3)), ("model", forest)]
    if name in _POOLING:
        shared, own = _POOLING[name]
        profile = Pipeline([("log_cpm", LogCPM()), ("zeros", ZeroFilter(0.2))])
        return [
            ("profile", select_columns(profile, other=CONTEXT)),
            ("model", PartialPoolingRegressor(shared=shared, own=own)),
        ]
    if name == "metadata":
        return [("scale", StandardScaler()), ("model", Ridge(10.0))]
    return [("log_cpm", LogCPM()), ("model", DummyRegressor())]
