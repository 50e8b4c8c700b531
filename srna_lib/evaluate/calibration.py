"""Do probabilities mean what they say: reliability, calibration error, and calibration without labels of its own fold.

A calibration map is fitted on out-of-fold predictions of the other folds alone. Random folds are refused: there a
study, or a patient, is on both sides, and the map would learn the confidence of a model that has seen the neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from srna_lib.errors import InputError, one_of
from srna_lib.evaluate.bootstrap import bootstrap, t_interval
from srna_lib.evaluate.metrics import IDENTITY, check_table, each_model, equal_bins, probabilities, stated

METHODS = ("isotonic", "sigmoid", "temperature")
_CLIP = 1e-4  # forests say 0 and 1; their log odds must stay finite, and one such sample must not decide the slope


def reliability_table(
    predictions: pd.DataFrame, *, of: str | None = None, unit: str = "dataset_id", n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Stated probability against observed frequency, in ten bins of equally many samples.

    Equal probabilities stay together, so a model of few distinct values has fewer bins.

    Parameters
    ----------
    predictions : DataFrame, one row per model and sample
        Out-of-fold tables.
    of : str, optional
        Class whose probability is looked at. By default the confidence in the predicted class, against how often it is
        correct.
    unit, n_boot, seed
        As in `score`.

    Returns
    -------
    DataFrame, one row per model and bin
        ``task, model, features, scheme, of, bin, n_samples, lowest, highest, predicted`` (mean stated probability),
        ``observed, ci_low, ci_high``.
    """
    tables = []
    for run in each_model(predictions):
        check_table(run, ["y_pred"])
        confidence, happened = stated(run, of)
        bins = equal_bins(confidence)
        hot = np.eye(bins.max() + 1)[bins]

        def measure(weights: np.ndarray, hot: np.ndarray = hot, happened: np.ndarray = happened) -> dict:
            with np.errstate(invalid="ignore", divide="ignore"):
                share = ((weights * happened) @ hot) / (weights @ hot)
            return dict(enumerate(share.T))

        values, draws, df = bootstrap(measure, run, unit=unit, n_boot=n_boot, seed=seed)
        ends = np.clip([t_interval(values[i], draws[i], df[i])[:2] for i in range(bins.max() + 1)], 0, 1)
        each = pd.DataFrame({"bin": bins, "stated": confidence, "happened": happened}).groupby("bin")
        table = each.agg(
            n_samples=("stated", "size"),
            lowest=("stated", "min"),
            highest=("stated", "max"),
            predicted=("stated", "mean"),
            observed=("happened", "mean"),
        ).reset_index()
        head = {k: run[k].iloc[0] for k in IDENTITY} | {"of": of or "called class"}
        tables.append(table.assign(**head, ci_low=ends[:, 0], ci_high=ends[:, 1]))
    return pd.concat(tables, ignore_index=True)


def calibrate(predictions: pd.DataFrame, method: str = "isotonic") -> pd.DataFrame:
    """Calibrate the probabilities of each fold by a map fitted on the other folds' out-of-fold predictions.

    No label of a fold enters its map. The models behind the other folds' predictions were, as always in
    cross-validation, trained on it.

    Parameters
    ----------
    predictions : DataFrame
        Out-of-fold tables of grouped schemes; several tasks and models may stand in it, each is calibrated by itself.
        Random folds, and a donor (where donors are unknown a study) in two folds, are an `InputError`.
    method : {"isotonic", "sigmoid", "temperature"}, default "isotonic"
        Any rising curve (needs about a thousand samples; stays 1/(n + 2) away from 0 and 1, since a frequency of 0 in n
        samples does not make an event impossible), a slope and an intercept on the log odds (Platt), or one number that
        sharpens or softens all classes (Guo et al. 2017). Of more than two classes, the first two calibrate each class
        against the rest and then divide by the sum.

    Returns
    -------
    DataFrame
        The same rows in the same order, with new ``p_<class>``, ``y_pred`` the likeliest class by them, and ``model``
        renamed to ``<model> + <method>``.

    Examples
    --------
    >>> import srna_lib as srna
    >>> task = srna.make_task(srna.load("demo"), "tissue_group")
    >>> table = srna.cross_validate(task, "logistic", "study", n_splits=3, progress=False)
    >>> srna.calibrate(table, "temperature")["model"].unique().tolist()
    ['logistic + temperature']
    """
    one_of("method", method, METHODS)
    parts, rows = [], predictions.reset_index(drop=True)
    for _, run in rows.groupby(list(IDENTITY), sort=False):
        check_table(run, ["fold", "y_pred"])
        _check_folds(run)
        classes, p = probabilities(run)
        true, fold = pd.Index(classes).get_indexer(run["y_true"].astype(str)), run["fold"].to_numpy()
        out = np.empty_like(p)
        for name in pd.unique(fold):
            inside = fold == name
            out[inside] = _fit(method, p[~inside], true[~inside])(p[inside])
        changed = run.assign(model=f"{run['model'].iloc[0]} + {method}", y_pred=np.array(classes)[out.argmax(axis=1)])
        changed[[f"p_{c}" for c in classes]] = out
        parts.append(changed)
    return pd.concat(parts).sort_index().set_axis(predictions.index)


def _check_folds(run: pd.DataFrame) -> None:
    """Refuse folds that share donors or studies."""
    scheme = str(run["scheme"].iloc[0])
    if scheme.startswith("random"):
        raise InputError(f"calibration: folds of scheme {scheme!r} share studies and patients; expected grouped folds.")
    if run["fold"].nunique() < 2:
        raise InputError("calibration: the table has one fold; expected at least two, to fit on the others.")
    column = "donor_id" if "donor_id" in run else "dataset_id"
    folds = run.groupby(column)["fold"].nunique()
    if (folds > 1).any():
        several = f"{column} {folds.idxmax()!r} is in {folds.max()} folds"
        raise InputError(f"calibration: {several}; expected each in one (of repeated folds, take one repeat).")


def _fit(method: str, p: np.ndarray, true: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Map from probabilities to calibrated ones, both of shape (n_samples, n_classes)."""
    if method == "temperature":
        return partial(tempered, temperature=fit_temperature(p, true))
    one = _isotonic if method == "isotonic" else _sigmoid
    columns = [1] if p.shape[1] == 2 else range(p.shape[1])
    curves = [one(p[:, k], true == k) for k in columns]

    def apply(q: np.ndarray) -> np.ndarray:
        each = np.stack([curve(q[:, k]) for k, curve in zip(columns, curves, strict=True)], axis=1)
        return np.hstack([1 - each, each]) if len(curves) == 1 else each / each.sum(axis=1, keepdims=True)

    return apply


def fit_temperature(p: np.ndarray, true: np.ndarray) -> float:
    """Temperature that makes probabilities likeliest to give the true classes (positions)."""
    logits, rows = np.log(np.clip(p, _CLIP, None)), np.arange(len(true))
    found = minimize_scalar(
        lambda log_t: -float(log_softmax(logits / np.exp(log_t), axis=1)[rows, true].mean()),
        bounds=(-4, 4),
        method="bounded",
    )
    return float(np.exp(found.x))


def tempered(p: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities whose logits are divided by a temperature."""
    return softmax(np.log(np.clip(p, _CLIP, None)) / temperature, axis=1)


def _isotonic(p: np.ndarray, happened: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    edge = 1 / (len(p) + 2)
    fitted = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(p, happened.astype(float))
    return fitted.predict


def _sigmoid(p: np.ndarray, happened: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    def odds(q: np.ndarray) -> np.ndarray:
        q = np.clip(q, _CLIP, 1 - _CLIP)
        return np.log(q / (1 - q))[:, None]

    if happened.all() or not happened.any():  # nothing to fit: the rule of succession
        rate = (happened.sum() + 1) / (len(happened) + 2)
        return lambda q: np.full(len(q), rate)
    fitted = LogisticRegression(C=np.inf).fit(odds(p), happened)
    return lambda q: fitted.predict_proba(odds(q))[:, 1]
