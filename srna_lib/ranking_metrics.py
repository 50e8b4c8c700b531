"""Figures of merit that read probabilities: area under the ROC curve, pooled and within studies, Brier score, log loss.

A pooled area under the curve (AUC) mixes two questions: whether the model knows which *study* has more of a class, and
whether it tells the classes apart *within* a study. The mean AUC within studies asks only the second, and a model that
knows nothing but the study has .5 there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from srna_lib.out_of_fold import check_table, pair_names, probabilities, same_rows
from srna_lib.resampling import Figures, Measure, bootstrap, study_records
from srna_lib.study_draws import interval

METRICS = ("auc", "auc_within", "brier", "log_loss")
HIGHER_IS_BETTER = {"auc": True, "auc_within": True, "brier": False, "log_loss": False}


class _Order(NamedTuple):
    """Rows sorted by group, then score; where equal scores and where groups start."""

    rows: np.ndarray
    ties: np.ndarray
    groups: np.ndarray


def score(
    predictions: pd.DataFrame,
    *,
    dataset: str,
    seed: int = 0,
    n_boot: int = 1000,
    unit: str = "dataset_id",
    min_per_class: int = 5,
    per_dataset: bool = True,
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """Probability-based figures of one model in one scheme, with bootstrap intervals.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table of one task, model and scheme with columns ``p_<class>``. Folds are pooled.
    dataset : str
        Data set name, written into the records.
    seed : int, default 0
        Seed of the bootstrap; also written into the records.
    n_boot : int, default 1000
        Replicates. Fewer is coarser.
    unit : str, default "dataset_id"
        What is drawn again: ``"dataset_id"``, studies (how much the figure would move with other studies),
        ``"donor_id"``, patients within each study (how much with other people of the same studies), or
        ``"sample_id"``, which pretends the samples of a patient to be independent.
    min_per_class : int, default 5
        A study counts for `auc_within` with at least so many samples of both classes. Lower it to see smaller
        studies, each of which then counts as much as a large one.
    per_dataset : bool, default True
        Also the AUC of every study that counts, as ``auc:<study>``. It has an interval only where patients or samples
        are drawn: one study cannot say how studies vary.
    level : float, default 0.95
        Coverage of the intervals.

    Returns
    -------
    list of dict
        Records with the fields of `results.RECORD_FIELDS`. ``auc``: area under the ROC curve, ties counted half; of
        more than two classes the mean over classes of each against the rest, which follow as ``auc_class:<class>``.
        ``auc_within``: mean over studies of the AUC of each alone, studies counted once; its ``n_samples`` and
        ``n_datasets`` are of the studies that count, value None where there are none. ``brier``: mean squared
        error of the probabilities, summed over classes and halved for two (so .25 is a coin). ``log_loss``: mean
        negative log of the probability of the true class.

    Raises
    ------
    InputError
        Missing columns, several models, or probabilities outside 0 to 1.

    Notes
    -----
    The AUC is the share of pairs of samples, one of each class, that are in the right order (Hanley and McNeil 1982,
    doi:10.1148/radiology.143.1.7063747), found for all replicates from one sort.
    """
    check_table(predictions)
    measure, counting = _prepare(predictions, min_per_class, unit)
    values, draws = bootstrap(measure, predictions, unit=unit, n_boot=n_boot, seed=seed)
    shown = {m: v for m, v in values.items() if m not in ("accuracy", "balanced_accuracy")}
    return study_records(
        predictions,
        shown,
        draws,
        of_study=("auc",),
        counting=counting,
        unit=unit,
        per_dataset=per_dataset,
        dataset=dataset,
        seed=seed,
        level=level,
    )


def compare_auc(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    seed: int = 0,
    n_boot: int = 1000,
    unit: str = "dataset_id",
    min_per_class: int = 5,
    level: float = 0.95,
) -> pd.DataFrame:
    """Paired difference of two models on the same samples: first minus second.

    Parameters
    ----------
    first, second : DataFrame, one row per sample
        Out-of-fold tables of the same samples.
    seed, n_boot, unit, min_per_class, level
        As in `score`; both models see the same units in each replicate.

    Returns
    -------
    DataFrame, one row per metric of `METRICS`
        ``task, first, second, scheme, metric, difference, ci_low, ci_high, n_samples, n_datasets, unit`` (of one model
        ``first`` and ``second`` are the feature sets). Of ``brier`` and ``log_loss`` less is better. ``auc_within`` is
        NaN where no study counts.

    Raises
    ------
    InputError
        The tables do not hold the same samples.
    """
    check_table(first)
    check_table(second)
    a, b = same_rows(first, second)
    one, counting = _prepare(a, min_per_class, unit)
    two, _ = _prepare(b, min_per_class, unit)

    def measure(weights: np.ndarray) -> Figures:
        left, right = one(weights), two(weights)
        return {m: left[m] - right[m] for m in METRICS}

    values, draws = bootstrap(measure, a, unit=unit, n_boot=n_boot, seed=seed)
    rows = []
    for metric in METRICS:
        low, high = interval(draws[metric], level)
        about = a[a["dataset_id"].astype(str).isin(counting)] if metric == "auc_within" else a
        rows.append(
            {
                "task": a["task"].iloc[0],
                **dict(zip(("first", "second"), pair_names(a, b), strict=True)),
                "scheme": a["scheme"].iloc[0],
                "metric": metric,
                "difference": values[metric],
                "ci_low": low,
                "ci_high": high,
                "n_samples": about["sample_id"].nunique(),
                "n_datasets": about["dataset_id"].nunique(),
                "unit": unit,
            }
        )
    return pd.DataFrame(rows)


def prepare(predictions: pd.DataFrame, *, min_per_class: int = 5, unit: str = "dataset_id") -> Measure:
    """Make the function that measures a table under any weights of its rows.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        As in `score`.
    min_per_class, unit
        As in `score`.

    Returns
    -------
    callable
        Weights of shape (n_replicates, n_rows) -> metric -> values of shape (n_replicates,): the metrics of `score`,
        and ``accuracy`` and ``balanced_accuracy`` (mean recall).
    """
    return _prepare(predictions, min_per_class, unit)[0]


def _prepare(predictions: pd.DataFrame, min_per_class: int, unit: str) -> tuple[Measure, list[str]]:
    """Measure of a table, and the studies that count for the mean within."""
    classes, p = probabilities(predictions)
    true = pd.Index(classes).get_indexer(predictions["y_true"].astype(str))
    right = (predictions["y_pred"].astype(str) == predictions["y_true"].astype(str)).to_numpy(dtype=float)
    codes, studies = pd.factorize(predictions["dataset_id"].astype(str), sort=True)
    scored = [1] if len(classes) == 2 else list(range(len(classes)))
    # rows of a sample that is predicted several times count once
    once = ~predictions.duplicated("sample_id").to_numpy()
    sizes = np.zeros((len(studies), len(classes)), dtype=int)
    np.add.at(sizes, (codes[once], true[once]), 1)
    rest = sizes.sum(axis=1, keepdims=True) - sizes
    valid = ((sizes >= min_per_class) & (rest >= min_per_class))[:, scored]
    counting = valid.any(axis=1)
    hot = np.eye(len(classes))[true]
    brier = ((p - hot) ** 2).sum(axis=1) / (2 if len(classes) == 2 else 1)
    loss = -np.log(np.clip(p[np.arange(len(p)), true], np.finfo(float).eps, 1))
    everything = np.zeros(len(p), dtype=int)
    pooled = [_order(p[:, k], everything) for k in scored]
    inside = [_order(p[:, k], codes) for k in scored]
    starts = np.array([np.flatnonzero(codes == i)[0] for i in range(len(studies))])

    def measure(weights: np.ndarray) -> Figures:
        total = weights.sum(axis=1)
        areas = np.stack([_areas(o, true == k, weights)[:, 0] for o, k in zip(pooled, scored, strict=True)], axis=1)
        of_study = np.stack([_areas(o, true == k, weights) for o, k in zip(inside, scored, strict=True)], axis=2)
        own = _mean(np.where(valid, of_study, np.nan), np.ones(valid.shape))[:, counting]
        drawn = weights[:, starts[counting]] if unit == "dataset_id" else np.ones(own.shape)
        per_class = weights @ hot
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = ((weights * right) @ hot) / per_class
        figures = {
            "auc": _mean(areas, np.ones(areas.shape)),
            "auc_within": _mean(own, drawn),
            "brier": weights @ brier / total,
            "log_loss": weights @ loss / total,
            "accuracy": weights @ right / total,
            "balanced_accuracy": _mean(recall, np.ones(recall.shape)),
        }
        if len(classes) > 2:
            figures |= {f"auc_class:{classes[k]}": areas[:, i] for i, k in enumerate(scored)}
        return figures | {f"auc:{s}": own[:, i] for i, s in enumerate(studies[counting])}

    return measure, list(studies[counting])


def weighted_auc(score: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve for each row of weights; ties count half.

    Parameters
    ----------
    score : array, shape (n,)
        High where a positive is expected.
    positive : array of bool, shape (n,)
    weights : array of whole numbers, shape (m, n)

    Returns
    -------
    array, shape (m,)
        NaN where a row has no positive or no negative.
    """
    if not len(score):
        return np.full(len(weights), np.nan)
    return _areas(_order(score, np.zeros(len(score), dtype=int)), positive, weights.astype(np.float64))[:, 0]


def _order(values: np.ndarray, group: np.ndarray) -> _Order:
    rows = np.lexsort((values, group))
    values, group = values[rows], group[rows]
    new_group = np.r_[True, group[1:] != group[:-1]]
    ties = np.flatnonzero(new_group | np.r_[True, values[1:] != values[:-1]])
    return _Order(rows, ties, np.flatnonzero(new_group[ties]))


def _areas(order: _Order, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted AUC in each group, shape (n_replicates, n_groups); NaN where a class has no weight.

    A positive sample wins against the negative weight below it and half of that at its own score. Weights are whole
    numbers, so the running sum over all groups is exact and the part of earlier groups can be taken off.
    """
    weights = weights[:, order.rows]
    up = np.add.reduceat(weights * positive[order.rows], order.ties, axis=1)
    down = np.add.reduceat(weights, order.ties, axis=1) - up
    below = np.cumsum(down, axis=1) - down / 2
    wins = np.add.reduceat(up * below, order.groups, axis=1)
    ups, downs = (np.add.reduceat(part, order.groups, axis=1) for part in (up, down))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (wins - ups * (np.cumsum(downs, axis=1) - downs)) / (ups * downs)


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean over the last axis of what is defined; NaN where nothing is."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (np.where(defined, values, 0) * weights).sum(axis=-1) / (defined * weights).sum(axis=-1)
