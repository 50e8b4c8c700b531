"""Metrics of classes, rankings and quantities, per sample and per study, with intervals.

Samples of one study are not independent, so intervals come from a bootstrap over studies. Everything is computed
from one confusion matrix per study, which makes a thousand replicates a single matrix product.

A pooled area under the curve (AUC) mixes two questions: whether the model knows which *study* has more of a class, and
whether it tells the classes apart *within* a study. The mean AUC within studies asks only the second, and a model that
knows nothing but the study has .5 there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from srna_lib.errors import InputError
from srna_lib.evaluate.bootstrap import (
    Figures,
    Measure,
    bootstrap,
    interval,
    make_record,
    study_interval,
    study_records,
)

IDENTITY = ("task", "model", "features", "scheme")


def check_table(predictions: pd.DataFrame, columns: Iterable[str] = ()) -> None:
    """Check that an out-of-fold table holds the predictions of one model in one scheme.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table (`validate.cross_validate`).
    columns : iterable of str, optional
        Columns needed besides those of every such table.

    Raises
    ------
    InputError
        A column is missing, there are no rows, or several tasks, models, feature sets or schemes.
    """
    lacking = [c for c in ("sample_id", "dataset_id", *IDENTITY, "y_true", *columns) if c not in predictions]
    if lacking:
        raise InputError(
            f"out-of-fold table: the column {lacking[0]!r} is missing (found: {', '.join(map(str, predictions))})."
        )
    if predictions.empty:
        raise InputError("out-of-fold table: it has no rows; expected one per predicted sample.")
    for column in IDENTITY:
        values = predictions[column].unique()
        if len(values) > 1:
            raise InputError(
                f"out-of-fold table: column {column!r} holds {len(values)} values (first: {values[0]}, {values[1]});"
                " expected one, so choose its rows first."
            )


def probabilities(predictions: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Classes and probabilities of an out-of-fold table.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        With columns ``p_<class>``; those that are empty belong to another task and are left out.

    Returns
    -------
    classes : list of str
        In the order of the columns.
    p : ndarray, shape (n_rows, n_classes)
        Probabilities.

    Raises
    ------
    InputError
        Fewer than two such columns, a true class without one, or values that are not probabilities.
    """
    columns = [c for c in predictions if str(c).startswith("p_") and predictions[c].notna().any()]
    classes = [c.removeprefix("p_") for c in columns]
    if len(columns) < 2:
        raise InputError(f"out-of-fold table: {len(columns)} columns p_<class>; expected at least two.")
    unknown = sorted(set(predictions["y_true"].astype(str)) - set(classes))
    if unknown:
        raise InputError(f"out-of-fold table: the class {unknown[0]!r} has no column 'p_{unknown[0]}'.")
    p = predictions[columns].to_numpy(dtype=float)
    if not ((p >= 0) & (p <= 1 + 1e-6)).all():
        raise InputError("out-of-fold table: columns p_<class> hold values that are missing or outside 0 to 1.")
    return classes, p


def same_rows(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bring two tables of the same samples into the same order.

    Parameters
    ----------
    first, second : DataFrame, one row per sample
        Out-of-fold tables. Samples predicted several times are told apart by ``fold``.

    Returns
    -------
    first, second : DataFrame
        Sorted.

    Raises
    ------
    InputError
        The tables hold different samples, or different truths of them.
    """
    keys = [c for c in ("sample_id", "fold") if c in first and c in second]
    a, b = (t.sort_values(keys, ignore_index=True) for t in (first, second))
    same = ["sample_id", "dataset_id", "y_true"]
    if len(a) != len(b) or not all((a[c].to_numpy() == b[c].to_numpy()).all() for c in same):
        raise InputError("the two tables hold different samples; expected predictions of the same ones.")
    return a, b


def pair_names(first: pd.DataFrame, second: pd.DataFrame) -> tuple[str, str]:
    """What tells two tables apart: their models or, of one model, their feature sets."""
    by = "model" if first["model"].iloc[0] != second["model"].iloc[0] else "features"
    return str(first[by].iloc[0]), str(second[by].iloc[0])


METRICS = ("accuracy", "balanced_accuracy", "accuracy_per_dataset")


class _Counts(NamedTuple):
    """Confusion counts per study, shape (n_units, n_classes, n_classes): true x predicted."""

    classes: list[str]
    units: list[str]
    confusion: np.ndarray


def score_classes(
    predictions: pd.DataFrame,
    *,
    dataset: str,
    seed: int = 0,
    n_boot: int = 1000,
    unit: str = "dataset_id",
    per_class: bool = True,
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """Figures of one model in one scheme, with bootstrap intervals.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table of one task, model and scheme (`validate.cross_validate`).
    dataset : str
        Data set name, written into the records.
    seed : int, default 0
        Seed of the bootstrap; also written into the records.
    n_boot : int, default 1000
        Replicates. Fewer is coarser, not faster to notice.
    unit : str, default "dataset_id"
        What is drawn again: studies. ``"sample_id"`` gives the narrower interval that pretends samples of
        one study to be independent, and leaves `accuracy_per_dataset` out, which it says nothing about.
    per_class : bool, default True
        Also precision and recall of every class, as metrics ``precision:<class>`` and ``recall:<class>``.
    level : float, default 0.95
        Coverage of the intervals.

    Returns
    -------
    list of dict
        Records ``{task, dataset, model, features, scheme, metric, value, ci_low, ci_high, n_samples,
        n_datasets, seed}``. `balanced_accuracy` is the mean recall over classes; `accuracy_per_dataset` the
        mean over studies of the share of right calls.
    """
    counts = _count(predictions, unit)
    values = _figures(counts, np.ones((1, len(counts.units))), per_class)
    draws = _figures(counts, _weights(len(counts.units), n_boot, seed), per_class)
    head = predictions.iloc[0]
    sizes = predictions.groupby("y_true")["sample_id"].nunique()  # repeated folds predict a sample several times
    studies = predictions.groupby("y_true")["dataset_id"].nunique()
    records = []
    for metric, value in values.items():
        if metric == "accuracy_per_dataset" and unit != "dataset_id":
            continue
        low, high = interval(draws[metric], level)
        name = metric.partition(":")[2]
        records.append(
            {
                "task": head["task"],
                "dataset": dataset,
                "model": head["model"],
                "features": head["features"],
                "scheme": head["scheme"],
                "metric": metric,
                "value": _number(value[0]),
                "ci_low": low,
                "ci_high": high,
                "n_samples": int(sizes[name]) if name else predictions["sample_id"].nunique(),
                "n_datasets": int(studies[name]) if name else int(predictions["dataset_id"].nunique()),
                "seed": seed,
            }
        )
    return records


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    seed: int = 0,
    n_boot: int = 1000,
    level: float = 0.95,
) -> pd.DataFrame:
    """Paired difference of two models on the same samples: first minus second.

    Parameters
    ----------
    first, second : DataFrame, one row per sample
        Out-of-fold tables of the same samples.
    seed, n_boot, level
        As in `score`; both models see the same studies in each replicate.

    Returns
    -------
    DataFrame, one row per metric
        ``first, second, scheme, metric, difference, ci_low, ci_high, n_samples, n_datasets``.

    Raises
    ------
    ValueError
        When the tables do not hold the same samples.
    """
    first, second = (t.sort_values("sample_id", ignore_index=True) for t in (first, second))
    same = ["sample_id", "dataset_id", "y_true"]
    if first[same].astype(str).values.tolist() != second[same].astype(str).values.tolist():
        raise ValueError("the two tables hold different samples; expected predictions of the same ones.")
    classes = sorted(set(first["y_true"]) | set(first["y_pred"]) | set(second["y_pred"]))
    a, b = _count(first, "dataset_id", classes), _count(second, "dataset_id", classes)
    once, weights = np.ones((1, len(a.units))), _weights(len(a.units), n_boot, seed)
    rows = []
    for metric in METRICS:
        draws = _figures(a, weights, False)[metric] - _figures(b, weights, False)[metric]
        value = _figures(a, once, False)[metric][0] - _figures(b, once, False)[metric][0]
        low, high = interval(draws, level)
        rows.append(
            {
                "first": first["model"].iloc[0],
                "second": second["model"].iloc[0],
                "scheme": first["scheme"].iloc[0],
                "metric": metric,
                "difference": value,
                "ci_low": low,
                "ci_high": high,
                "n_samples": first["sample_id"].nunique(),
                "n_datasets": len(a.units),
            }
        )
    return pd.DataFrame(rows)


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Confusion matrix of an out-of-fold table.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table of one task, model and scheme.

    Returns
    -------
    DataFrame, shape (n_classes, n_classes), int
        Rows = true class, columns = predicted class.
    """
    counts = _count(predictions, "dataset_id")
    table = pd.DataFrame(counts.confusion.sum(axis=0).astype(int), index=counts.classes, columns=counts.classes)
    return table.rename_axis(index="true class", columns="predicted class")


def per_dataset(predictions: pd.DataFrame) -> pd.DataFrame:
    """Share of right calls in each study.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table; several models and schemes may stand in it.

    Returns
    -------
    DataFrame, one row per model, scheme and study
        ``model, scheme, dataset_id, n_samples, classes, accuracy``.
    """
    frame = predictions.assign(right=predictions["y_true"] == predictions["y_pred"])
    grouped = frame.groupby(["model", "scheme", "dataset_id"], sort=True)
    return grouped.agg(
        n_samples=("right", "size"),
        classes=("y_true", lambda c: ", ".join(sorted(set(c)))),
        accuracy=("right", "mean"),
    ).reset_index()


def _count(predictions: pd.DataFrame, unit: str, classes: list[str] | None = None) -> _Counts:
    if classes is None:
        classes = sorted(set(predictions["y_true"]) | set(predictions["y_pred"]))
    code = pd.Index(classes)
    units, position = np.unique(predictions[unit].to_numpy().astype(str), return_inverse=True)
    counts = np.zeros((len(units), len(classes), len(classes)))
    true, called = code.get_indexer(predictions["y_true"]), code.get_indexer(predictions["y_pred"])
    np.add.at(counts, (position, true, called), 1)
    return _Counts(classes, list(units), counts)


def _weights(n_units: int, n_boot: int, seed: int) -> np.ndarray:
    """How often each unit is drawn in each replicate, shape (n_boot, n_units)."""
    return np.random.default_rng(seed).multinomial(n_units, np.full(n_units, 1 / n_units), size=n_boot).astype(float)


def _figures(counts: _Counts, weights: np.ndarray, per_class: bool) -> dict[str, np.ndarray]:
    n_units, k, _ = counts.confusion.shape
    total = (weights @ counts.confusion.reshape(n_units, k * k)).reshape(-1, k, k)
    right = np.diagonal(total, axis1=1, axis2=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = right / total.sum(axis=2), right / total.sum(axis=1)
    own = np.diagonal(counts.confusion, axis1=1, axis2=2).sum(axis=1) / counts.confusion.sum(axis=(1, 2))
    figures = {
        "accuracy": right.sum(axis=1) / total.sum(axis=(1, 2)),
        "balanced_accuracy": np.nanmean(recall, axis=1),
        "accuracy_per_dataset": weights @ own / weights.sum(axis=1),
    }
    if per_class:
        true = counts.confusion.sum(axis=(0, 2)) > 0
        for i, name in enumerate(counts.classes):
            if true[i]:
                figures[f"precision:{name}"], figures[f"recall:{name}"] = precision[:, i], recall[:, i]
    return figures


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


RANKING_METRICS = ("auc", "auc_within", "brier", "log_loss")
HIGHER_IS_BETTER = {"auc": True, "auc_within": True, "brier": False, "log_loss": False}


class _Order(NamedTuple):
    """Rows sorted by group, then score; where equal scores and where groups start."""

    rows: np.ndarray
    ties: np.ndarray
    groups: np.ndarray


def score_ranking(
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
    measure, counting = _prepare_ranking(predictions, min_per_class, unit)
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
    one, counting = _prepare_ranking(a, min_per_class, unit)
    two, _ = _prepare_ranking(b, min_per_class, unit)

    def measure(weights: np.ndarray) -> Figures:
        left, right = one(weights), two(weights)
        return {m: left[m] - right[m] for m in RANKING_METRICS}

    values, draws = bootstrap(measure, a, unit=unit, n_boot=n_boot, seed=seed)
    rows = []
    for metric in RANKING_METRICS:
        low, high = study_interval(draws[metric], level)
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


def prepare_ranking(predictions: pd.DataFrame, *, min_per_class: int = 5, unit: str = "dataset_id") -> Measure:
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
    return _prepare_ranking(predictions, min_per_class, unit)[0]


def _prepare_ranking(predictions: pd.DataFrame, min_per_class: int, unit: str) -> tuple[Measure, list[str]]:
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


QUANTITY_METRICS = ("mae", "rmse", "r2", "pearson", "spearman", "mae_within", "r2_within", "spearman_within")


def score_quantity(
    predictions: pd.DataFrame,
    *,
    dataset: str,
    seed: int = 0,
    n_boot: int = 1000,
    unit: str = "dataset_id",
    min_per_dataset: int = 10,
    per_dataset: bool = True,
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """Figures of one model of a continuous target in one scheme, with bootstrap intervals.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table of one task, model and scheme with numbers in ``y_true`` and ``y_pred`` and, optionally,
        prediction intervals in ``low_<level>`` and ``high_<level>`` (``low_0.9``: meant to cover 90 %).
    dataset, seed, n_boot, level
        As in `ranking_metrics.score`; `level` is of the bootstrap intervals around the figures.
    unit : str, default "dataset_id"
        What is drawn again, as in `ranking_metrics.score`.
    min_per_dataset : int, default 10
        A study counts for the figures within studies with at least so many samples (and ages that differ).
    per_dataset : bool, default True
        Also ``mae:<study>``, ``r2:<study>`` and ``spearman:<study>`` of every study that counts; without an interval
        where studies are drawn.

    Returns
    -------
    list of dict
        Records with the fields of `results.RECORD_FIELDS`. ``mae``, ``rmse``: in the unit of the target. ``r2``:
        1 - squared error / squared deviation from the mean, below 0 for what is worse than the mean.
        ``pearson``, ``spearman``: correlations. ``mae_within``, ``r2_within`` (against the mean of the study) and
        ``spearman_within``: mean over studies, each counted once. For each stated level, ``coverage:<level>``: share of
        true values inside; ``width:<level>``: mean width; ``coverage_within:<level>``: mean coverage over studies.

    Raises
    ------
    InputError
        Missing columns, several models, or values that are no finite numbers.

    Notes
    -----
    In a replicate, Spearman's correlation keeps the ranks of the whole table, weighted, instead of ranking anew.
    """
    check_table(predictions, ["y_pred"])
    measure, counting = _prepare_quantity(predictions, min_per_dataset, unit)
    values, draws = bootstrap(measure, predictions, unit=unit, n_boot=n_boot, seed=seed)
    return study_records(
        predictions,
        values,
        draws,
        of_study=("mae", "r2", "spearman"),
        counting=counting,
        unit=unit,
        per_dataset=per_dataset,
        dataset=dataset,
        seed=seed,
        level=level,
    )


def interval_levels(predictions: pd.DataFrame) -> list[str]:
    """Stated levels of the prediction intervals of a table, as written in its columns, from low to high.

    Raises
    ------
    InputError
        A lower bound without its upper bound, or a level that is no share.
    """
    found = {str(c).partition("_")[2]: str(c) for c in predictions if re.fullmatch(r"low_[0-9.]+", str(c))}
    for text, column in found.items():
        if f"high_{text}" not in predictions:
            raise InputError(f"out-of-fold table: the column {column!r} has no partner 'high_{text}'.")
        if not 0 < float(text) < 1:
            raise InputError(f"out-of-fold table: the column {column!r} names no share; expected such as 'low_0.9'.")
    return sorted(found, key=float)


def coverage_table(
    predictions: pd.DataFrame, *, seed: int = 0, n_boot: int = 1000, unit: str = "dataset_id", level: float = 0.95
) -> pd.DataFrame:
    """Stated against measured coverage of prediction intervals.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        As in `score`, with intervals.
    seed, n_boot, unit, level
        As in `score`.

    Returns
    -------
    DataFrame, one row per stated level
        ``task, model, features, scheme, stated, measured, ci_low, ci_high, mean_width, median_width, n_samples``.

    Raises
    ------
    InputError
        The table has no intervals.
    """
    levels = interval_levels(predictions)
    if not levels:
        raise InputError("out-of-fold table: no columns low_<level>, high_<level>; expected prediction intervals.")
    records = score_quantity(
        predictions, dataset="", seed=seed, n_boot=n_boot, unit=unit, per_dataset=False, level=level
    )
    of = {r["metric"]: r for r in records}
    rows = []
    for text in levels:
        found = of[f"coverage:{text}"]
        width = predictions[f"high_{text}"] - predictions[f"low_{text}"]
        rows.append(
            {
                **{k: found[k] for k in ("task", "model", "features", "scheme")},
                "stated": float(text),
                "measured": found["value"],
                "ci_low": found["ci_low"],
                "ci_high": found["ci_high"],
                "mean_width": of[f"width:{text}"]["value"],
                "median_width": float(width.median()),
                "n_samples": found["n_samples"],
            }
        )
    return pd.DataFrame(rows)


def prepare_quantity(predictions: pd.DataFrame, *, min_per_dataset: int = 10, unit: str = "dataset_id") -> Measure:
    """Make the function that measures a table under any weights of its rows.

    Parameters
    ----------
    predictions, min_per_dataset, unit
        As in `score`.

    Returns
    -------
    callable
        Weights of shape (n_replicates, n_rows) -> metric -> values of shape (n_replicates,).
    """
    return _prepare_quantity(predictions, min_per_dataset, unit)[0]


def _numbers(predictions: pd.DataFrame, column: str) -> np.ndarray:
    values = pd.to_numeric(predictions[column], errors="coerce").to_numpy(dtype=float)
    if not np.isfinite(values).all():
        bad = predictions[column][~np.isfinite(values)].iloc[0]
        raise InputError(f"out-of-fold table: column {column!r} holds {bad!r}; expected finite numbers.")
    return values


def _prepare_quantity(predictions: pd.DataFrame, min_per_dataset: int, unit: str) -> tuple[Measure, list[str]]:
    """Measure of a table, and the studies that count within."""
    true, called = _numbers(predictions, "y_true"), _numbers(predictions, "y_pred")
    levels = interval_levels(predictions)
    bounds = {t: (_numbers(predictions, f"low_{t}"), _numbers(predictions, f"high_{t}")) for t in levels}
    codes, studies = pd.factorize(predictions["dataset_id"].astype(str), sort=True)
    grouped = predictions.groupby(codes)
    counts = (grouped["sample_id"].nunique() >= min_per_dataset) & (grouped["y_true"].nunique() > 1)
    kept = np.flatnonzero(counts.to_numpy())
    members = [np.flatnonzero(codes == i) for i in kept]
    ranks = [(_ranks(true[m]), _ranks(called[m])) for m in members]
    true_ranks, called_ranks = _ranks(true), _ranks(called)
    error = np.abs(true - called)

    def measure(weights: np.ndarray) -> Figures:
        figures = {
            "mae": _weighted_mean(error, weights),
            "rmse": np.sqrt(_weighted_mean(error**2, weights)),
            "r2": _r2(true, error, weights),
            "pearson": _correlation(true, called, weights),
            "spearman": _correlation(true_ranks, called_ranks, weights),
        }
        own: dict[str, list[np.ndarray]] = {"mae": [], "r2": [], "spearman": []}
        for rows, rank in zip(members, ranks, strict=True):
            part = weights[:, rows]
            own["mae"].append(_weighted_mean(error[rows], part))
            own["r2"].append(_r2(true[rows], error[rows], part))
            own["spearman"].append(_correlation(*rank, part))
        drawn = [weights[:, m[0]] if unit == "dataset_id" else np.ones(len(weights)) for m in members]
        for name, values in own.items():
            figures[f"{name}_within"] = _mean_of_studies(values, drawn, len(weights))
        for text, (low, high) in bounds.items():
            inside = ((true >= low) & (true <= high)).astype(float)
            figures[f"coverage:{text}"] = _weighted_mean(inside, weights)
            figures[f"width:{text}"] = _weighted_mean(high - low, weights)
            each = [_weighted_mean(inside[m], weights[:, m]) for m in members]
            figures[f"coverage_within:{text}"] = _mean_of_studies(each, drawn, len(weights))
        for name, values in own.items():
            figures |= {f"{name}:{studies[i]}": v for i, v in zip(kept, values, strict=True)}
        return figures

    return measure, list(studies[kept])


def _ranks(values: np.ndarray) -> np.ndarray:
    return pd.Series(values).rank().to_numpy()


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return weights @ values / weights.sum(axis=1)


def _r2(true: np.ndarray, error: np.ndarray, weights: np.ndarray) -> np.ndarray:
    centred = true - true.mean()  # small numbers keep the difference of squares exact
    variance = _weighted_mean(centred**2, weights) - _weighted_mean(centred, weights) ** 2
    # with one distinct value left in a replicate nothing varies, and rounding must not make it look otherwise
    variance = np.where(variance > 1e-10 * (centred**2).mean(), variance, np.nan)
    return 1 - _weighted_mean(error**2, weights) / variance


def _correlation(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    a, b = a - a.mean(), b - b.mean()
    mean_a, mean_b = _weighted_mean(a, weights), _weighted_mean(b, weights)
    var_a = _weighted_mean(a**2, weights) - mean_a**2
    var_b = _weighted_mean(b**2, weights) - mean_b**2
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (_weighted_mean(a * b, weights) - mean_a * mean_b) / np.sqrt(var_a * var_b)
    return np.where((var_a > 1e-10 * (a**2).mean()) & (var_b > 1e-10 * (b**2).mean()), r, np.nan)


def _mean_of_studies(values: list[np.ndarray], drawn: list[np.ndarray], n: int) -> np.ndarray:
    """Mean over studies of what is defined, each as often as it was drawn, shape (n_replicates,)."""
    if not values:
        return np.full(n, np.nan)
    stacked, weights = np.stack(values), np.stack(drawn)
    defined = ~np.isnan(stacked)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (np.where(defined, stacked, 0) * weights).sum(axis=0) / (defined * weights).sum(axis=0)


GRID = np.arange(1, 101) / 100


def coverage_curve(
    predictions: pd.DataFrame, *, unit: str = "dataset_id", n_boot: int = 1000, seed: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Accuracy of the most confident share of the samples, for every share.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table of one task, model and scheme. The confidence is the probability of the called class.
    unit : str, default "dataset_id"
        What the bootstrap draws (`resampling.UNITS`).
    n_boot, seed, level
        As in `metrics.score`.

    Returns
    -------
    DataFrame, 100 rows
        ``task, model, features, scheme, coverage`` (.01 to 1), ``accuracy, ci_low, ci_high, confidence`` (the least
        among the samples kept), ``n_samples`` (kept). Samples of equal confidence enter in proportion, as if drawn at
        random.

    Raises
    ------
    InputError
        Missing columns, or several models.
    """
    confidence, measure = _prepare_selective(predictions)
    values, draws = bootstrap(measure, predictions, unit=unit, n_boot=n_boot, seed=seed)
    head = {k: predictions[k].iloc[0] for k in IDENTITY}
    falling, rows = np.sort(confidence)[::-1], []
    for share in GRID:
        name = _name(share)
        low, high = interval(draws[name], level)
        kept = int(np.ceil(round(share * len(falling), 9)))
        rows.append(
            {
                **head,
                "coverage": float(share),
                "accuracy": values[name],
                "ci_low": low,
                "ci_high": high,
                "confidence": falling[kept - 1],
                "n_samples": kept,
            }
        )
    return pd.DataFrame(rows)


def accuracy_of_kept(score: np.ndarray, right: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Share of right calls among the samples of the highest scores, for each row of weights.

    Parameters
    ----------
    score : array, shape (n,)
        High for calls that are kept first. Equal ones enter in proportion, as if drawn at random.
    right : array, shape (n,)
        1 for a right call, 0 for a wrong one.
    weights : array, shape (m, n)
        How often each sample counts.
    shares : array, shape (k,)
        Shares of the samples that are kept, above 0.

    Returns
    -------
    array, shape (m, k)
    """
    rows = np.argsort(-score, kind="stable")
    falling = score[rows]
    ends = np.flatnonzero(np.r_[falling[1:] != falling[:-1], True])  # last row of each run of equal scores
    sorted_weights = weights[:, rows]
    kept = np.cumsum(sorted_weights, axis=1)[:, ends]
    good = np.cumsum(sorted_weights * right[rows], axis=1)[:, ends]
    curve = np.empty((len(weights), len(shares)))
    for i, (k, g) in enumerate(zip(kept, good, strict=True)):
        wanted = shares * k[-1]
        curve[i] = np.interp(wanted, np.r_[0, k], np.r_[0, g]) / wanted
    return curve


def score_selective(
    predictions: pd.DataFrame,
    *,
    dataset: str,
    coverages: Sequence[float] = (0.25, 0.5, 0.75),
    unit: str = "dataset_id",
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """Accuracy at a few coverages and the area under the curve, as records.

    Parameters
    ----------
    predictions, unit, n_boot, seed, level
        As in `coverage_curve`.
    dataset : str
        Data set name, written into the records.
    coverages : sequence of float, default (0.25, 0.5, 0.75)
        Shares of the samples, in whole per cent.

    Returns
    -------
    list of dict
        Records ``accuracy_at:<coverage>`` and ``coverage_area``: the mean accuracy over coverages of 1, 2, ... 100 %
        (1 - area under the risk-coverage curve of Geifman and El-Yaniv 2017). A confidence that knows nothing has the
        plain accuracy there.

    Raises
    ------
    InputError
        Missing columns, several models, or a coverage that is no whole per cent.
    """
    for share in coverages:
        if not any(np.isclose(share, GRID)):
            raise InputError(f"coverage {share!r}: expected whole per cents such as 0.25.")
    _, measure = _prepare_selective(predictions)
    values, draws = bootstrap(measure, predictions, unit=unit, n_boot=n_boot, seed=seed)
    wanted = {_name(c): f"accuracy_at:{c:g}" for c in coverages} | {"area": "coverage_area"}
    return [
        make_record(predictions, metric, values[name], draws[name], dataset=dataset, seed=seed, level=level)
        for name, metric in wanted.items()
    ]


def _name(share: float) -> str:
    return f"{share:.2f}"


def _prepare_selective(predictions: pd.DataFrame) -> tuple[np.ndarray, Measure]:
    """Confidence of each row, and the function that measures the curve and its area."""
    check_table(predictions, ["y_pred"])
    classes, p = probabilities(predictions)
    at = pd.Index(classes).get_indexer(predictions["y_pred"].astype(str))
    confidence = p[np.arange(len(p)), at]
    right = (predictions["y_pred"].astype(str) == predictions["y_true"].astype(str)).to_numpy(dtype=float)

    def measure(weights: np.ndarray) -> Figures:
        curve = accuracy_of_kept(confidence, right, weights, GRID)
        return {_name(c): curve[:, j] for j, c in enumerate(GRID)} | {"area": curve.mean(axis=1)}

    return confidence, measure
