"""Named recipes: from raw counts to a class, or to a quantity with prediction intervals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from imblearn.ensemble import BalancedRandomForestClassifier
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from srna_lib.data import CONTEXT, NORMALISED
from srna_lib.errors import InputError, one_of
from srna_lib.models.intervals import IntervalRegressor
from srna_lib.models.network import DenseNetClassifier
from srna_lib.models.pooled import OrdinalPoolingClassifier, PartialPoolingClassifier, PartialPoolingRegressor
from srna_lib.models.preprocess import (
    LogCPM,
    ReadsPerMillion,
    RelevanceWeights,
    TrimmedMeanLog,
    ZeroFilter,
    at_least_two,
)
from srna_lib.models.studies import StudyClassifier

RECIPES = {
    "dl_paper": "the paper's network: RPM, zero filter, MinMax, 1000-250-250 ReLU with dropout",
    "rf_paper": "the paper's forest: 100 trees, the 1000 best features by Gini, 500 trees, classes down-sampled",
    "rf_plain": "the same features in a plain forest of 500 trees: nothing selected, nothing down-sampled",
    "logistic": "linear baseline: log2 CPM, z-score, L2-penalised logistic regression with class weights",
    "dl_log": "a network on log2 CPM: z-score, features present in 10 % of samples, class weights",
    "wccn": "linear, for studies never seen: what differs between studies of one class is scaled down, then logistic",
    "lda_study": "linear discriminant analysis with studies, not samples, as its units",
    "robust": "the scores of wccn and lda_study added, weighted by studies of training left out; a class as its kinds",
    "dummy": "always the most frequent class",
    "tissue_input": "linear, centred within tissue (cohort): the tissue is an input, all tissues share their weights",
    "per_tissue": "linear, centred within tissue: every tissue has weights of its own and learns from nobody else",
    "partial_pooling": "linear, centred within tissue: shared weights, and smaller ones of each tissue's own",
    "pooled_kernel": "partial pooling with a Gaussian kernel: not linear, else the same",
    "ordinal": "partial pooling with ordered classes: one threshold between each pair of neighbours",
    "metadata": "logistic regression on study, tissue, platform and depth: not a single sRNA",
}
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
# recipes that read columns of covariates beside the sRNAs
CONDITIONED = ("tissue_input", "per_tissue", "partial_pooling", "pooled_kernel", "ordinal")
# for studies never seen: reads per million added before the logarithm; parts, inner folds, ridge, least and near
_STUDIES: dict[str, tuple[float, tuple]] = {
    "wccn": (0.01, (("logistic",), 0, 0.2, 0, 0)),
    "lda_study": (0.1, (("lda",), 3, 0.2, 0, 0)),
    "robust": (0.01, (("logistic", "lda"), 3, 0.2, 3, 0.75)),
}
_POOLING = {"tissue_input": (1.0, 0.0), "per_tissue": (0.0, 1.0), "partial_pooling": (1.0, 0.15)}


class TwoStageForest(ClassifierMixin, BaseEstimator):
    """The paper's forest: rank the features with a small one, train a large one on the best by Gini importance.

    Each tree sees as many samples of every class as the smallest class has (the paper's down-sampling). Fitted are
    ``forest_``, on the features at ``selected_``, and ``feature_importances_``, zero for features not kept.
    Fiosina, Fiosins, Bonn 2020, section 2.3.2.
    """

    def __init__(
        self, n_select_trees: int = 100, n_features_kept: int = 1000, n_trees: int = 500, random_state: Any = None
    ) -> None:
        self.n_select_trees, self.n_features_kept = n_select_trees, n_features_kept
        self.n_trees, self.random_state = n_trees, random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Fit both forests."""
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_ = at_least_two(np.unique(y))
        importance = self._forest(self.n_select_trees).fit(X, y).feature_importances_
        self.selected_ = np.sort(np.argsort(-importance, kind="stable")[: self.n_features_kept])
        self.forest_ = self._forest(self.n_trees).fit(X[:, self.selected_], y)
        self.feature_importances_ = np.zeros(X.shape[1])
        self.feature_importances_[self.selected_] = self.forest_.feature_importances_
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Mean class probability over the trees of the second forest, shape (n_samples, n_classes)."""
        check_is_fitted(self, "forest_")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return self.forest_.predict_proba(X[:, self.selected_])

    def predict(self, X: Any) -> np.ndarray:
        """Most probable class of each sample."""
        best = self.predict_proba(X).argmax(axis=1)  # refuses an unfitted forest
        return self.classes_[best]

    def _forest(self, trees: int) -> BalancedRandomForestClassifier:
        # with replacement and no further bootstrap: R randomForest's sampsize with strata
        drawn = {"sampling_strategy": "all", "replacement": True, "bootstrap": False}
        return BalancedRandomForestClassifier(trees, **drawn, n_jobs=1, random_state=self.random_state)


def recipe_names(text: str, known: Iterable[str] = RECIPES) -> list[str]:
    """Names in a list such as ``"logistic, dl_log"``, each one of `known`; refuses others, and an empty list."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise InputError(f"recipes {text!r}: expected one or several of {', '.join(known)}, with commas between.")
    return names


def recipe(name: str, *, seed: int = 0, joined: bool = False, **parameters: Any) -> Pipeline:
    """Build a named recipe, from raw counts to a class.

    Parameters
    ----------
    name : str
        One of `RECIPES`.
    seed : int, default 0
        Seed of everything random in it.
    joined : bool, default False
        The input has ``normalised:`` columns beside counts: they skip the normalisation.
    **parameters
        Changes in scikit-learn's notation, e.g. ``classifier__epochs=5`` or ``zeros__max_zero_share=0.5``.

    Returns
    -------
    Pipeline
        Unfitted; takes raw counts, shape (n_samples, n_srnas); the last step is named ``classifier``.

    Raises
    ------
    InputError
        Unknown recipe or parameter.

    Examples
    --------
    >>> list(recipe("logistic").named_steps)
    ['log_cpm', 'zeros', 'scale', 'classifier']
    """
    one_of("recipe", name, RECIPES)
    return _pipeline(name, _class_steps(name, seed), joined, parameters)


def quantity_recipe(name: str, *, seed: int = 0, joined: bool = False, **parameters: Any) -> Pipeline:
    """Build a named recipe, from raw counts to a quantity with prediction intervals.

    `name` is one of `QUANTITY_RECIPES`, all else is as in `recipe`. The last step, named ``regressor``, is an
    `IntervalRegressor`.

    Examples
    --------
    >>> quantity_recipe("ridge")["regressor"].levels
    (0.5, 0.8, 0.9)
    """
    one_of("recipe of a quantity", name, QUANTITY_RECIPES)
    *steps, model = _quantity_steps(name, seed)
    return _pipeline(name, [*steps, ("regressor", IntervalRegressor(model))], joined, parameters)


def _pipeline(name: str, steps: list[tuple[str, Any]], joined: bool, parameters: dict[str, Any]) -> Pipeline:
    if joined:
        steps[0] = (steps[0][0], select_columns(steps[0][1], other=NORMALISED))
    try:
        return Pipeline(steps).set_params(**parameters)
    except ValueError as error:
        raise InputError(f"recipe {name!r}: {str(error).splitlines()[0]}") from error


def select_columns(step: Any, *, other: str) -> ColumnTransformer:
    """Apply a transformer to the columns whose name lacks a prefix, and pass the others on as they are."""
    columns = [
        ("srna", step, make_column_selector(f"^(?!{other})")),
        ("other", "passthrough", make_column_selector(f"^{other}")),
    ]
    return ColumnTransformer(columns, verbose_feature_names_out=False).set_output(transform="pandas")


def _pooled_profile() -> ColumnTransformer:
    return select_columns(Pipeline([("log_cpm", LogCPM()), ("zeros", ZeroFilter(0.2))]), other=CONTEXT)


def _class_steps(name: str, seed: int) -> list[tuple[str, Any]]:
    paper = [("rpm", ReadsPerMillion()), ("zeros", ZeroFilter(0.3))]
    log = [("log_cpm", LogCPM()), ("zeros", ZeroFilter(0.9)), ("scale", StandardScaler())]
    if name in _STUDIES:
        prior, settings = _STUDIES[name]
        return [("log_cpm", LogCPM(prior)), *log[1:], ("classifier", StudyClassifier(*settings))]
    if name in CONDITIONED:
        shared, own = _POOLING.get(name, _POOLING["partial_pooling"])
        kernel: dict[str, Any] = {"gamma": 0.05, "alpha": 0.05} if name == "pooled_kernel" else {}
        kind = OrdinalPoolingClassifier if name == "ordinal" else PartialPoolingClassifier
        return [("profile", _pooled_profile()), ("classifier", kind(shared, own, **kernel))]
    table: dict[str, list[Any]] = {
        "dl_paper": [*paper, ("scale", MinMaxScaler()), DenseNetClassifier(random_state=seed)],
        "rf_paper": [*paper, TwoStageForest(random_state=seed)],
        "rf_plain": [*paper, RandomForestClassifier(500, random_state=seed)],
        "logistic": [*log, LogisticRegression(C=0.01, class_weight="balanced", max_iter=500, tol=1e-3)],
        "dl_log": [*log, DenseNetClassifier(epochs=30, batch_size=128, class_weight="balanced", random_state=seed)],
        "metadata": [("scale", StandardScaler()), LogisticRegression(C=0.1, max_iter=1000)],
        "dummy": [("log_cpm", LogCPM()), DummyClassifier(strategy="most_frequent")],
    }
    *steps, model = table[name]
    return [*steps, ("classifier", model)]


def _smooth(power: float, gamma: float) -> Pipeline:
    """Kernel ridge behind weights that look at the target, so they belong inside the folds of the intervals."""
    ridge = KernelRidge(alpha=0.02, kernel="rbf", gamma=gamma)
    scaled = TransformedTargetRegressor(ridge, transformer=StandardScaler())
    return Pipeline([("relevance", RelevanceWeights(power)), ("ridge", scaled)])


def _quantity_steps(name: str, seed: int) -> list[Any]:
    """Named steps, and the regressor by itself."""
    log = [("log_cpm", LogCPM()), ("zeros", ZeroFilter(0.2)), ("scale", StandardScaler())]
    tmm = Pipeline([("present", ZeroFilter(0.1)), ("log", TrimmedMeanLog())])
    forest = RandomForestRegressor(300, max_features=1 / 3, min_samples_leaf=3, random_state=seed)
    if name in _POOLING:
        return [("profile", _pooled_profile()), PartialPoolingRegressor(*_POOLING[name])]
    return {
        "ridge": [*log, RidgeCV(np.logspace(1, 6, 11))],
        "kernel": [*log, _smooth(0.5, 0.05)],
        "kernel_tmm": [("log_tmm", tmm), ("scale", StandardScaler()), _smooth(1.0, 0.03)],
        "forest": [("rpm", ReadsPerMillion()), ("zeros", ZeroFilter(0.3)), forest],
        "metadata": [("scale", StandardScaler()), Ridge(10.0)],
        "mean": [("log_cpm", LogCPM()), DummyRegressor()],
    }[name]
