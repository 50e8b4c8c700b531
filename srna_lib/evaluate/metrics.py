"""Metrics of classes, ordered classes and quantities, per sample, per study and per class, with intervals.

Samples of one study are not independent, so intervals come from a bootstrap over studies (or donors). A pooled area
under the ROC curve mixes two questions: whether the model knows which *study* has more of a class, and whether it tells
the classes apart *within* a study. The mean AUROC within studies asks only the second: a model that knows nothing but
the study has .5 there.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from srna_lib.errors import InputError
from srna_lib.evaluate.bootstrap import Key, Measure, Values, bootstrap, mean_of_defined, t_interval, unit_codes

IDENTITY = ("task", "model", "features", "scheme")
FRONT = ["sample_id", "dataset_id", *IDENTITY, "fold"]  # first columns of an out-of-fold table
COLUMNS = ["task", "dataset", "model", "features", "scheme", "metric", "class", "study", "value", "ci_low", "ci_high"]
COLUMNS += ["n_samples", "n_datasets", "seed", "unit"]

METRICS = ("accuracy", "balanced_accuracy", "accuracy_per_dataset")
PER_CLASS = ("precision", "recall")
CALIBRATION = ("calibration_error", "log_loss", "brier")
RANKING_METRICS = ("auc", "auc_within", "brier", "log_loss")
ORDINAL_METRICS = ("interval_distance", "quadratic_kappa")
SELECTIVE_METRICS = ("accuracy_at:0.25", "accuracy_at:0.5", "accuracy_at:0.75", "coverage_area", "calibration_error")
QUANTITY_METRICS = ("mae", "rmse", "r2", "pearson", "spearman", "mae_within", "r2_within", "spearman_within")
FIGURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUROC, pooled",
    "auc_within": "AUROC, mean within data sets",
    "brier": "Brier score",
    "log_loss": "log loss",
    "calibration_error": "expected calibration error",
    "interval_distance": "distance in intervals",
    "quadratic_kappa": "kappa, quadratic weights",
    "mae": "mean absolute error",
    "mae_within": "mean absolute error, mean within data sets",
    "r2": "R2, pooled",
    "r2_within": "R2, mean within data sets",
    "spearman": "rank correlation",
    "spearman_within": "rank correlation, mean within data sets",
}


MIN_PER_CLASS, MIN_PER_STUDY = 5, 10  # samples of both classes, and of a quantity, that a study needs to count within
SHARES = ("accuracy", "balanced", "precision", "recall", "auc", "brier", "coverage", "calibration")  # from 0 to 1
GRID = np.arange(1, 101) / 100
N_BINS = 10  # of confidence
_CURVE = [f"accuracy_at:{share:g}" for share in GRID]


def score(
    table: pd.DataFrame,
    *,
    dataset: str = "",
    metrics: str | Iterable[str] | None = None,
    unit: str | Sequence[str] = "dataset_id",
    per_study: bool = False,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Score out-of-fold predictions of every task, model and scheme in a table, with 95 % bootstrap intervals.

    Parameters
    ----------
    table : DataFrame, one row per model and sample
        From `cross_validate`; numbers in ``y_true`` are a quantity, all else are classes. Without rows, no scores.
    dataset : str, default ""
        Data set name, written into the answer.
    metrics : str or iterable of str, optional
        Which metrics. Of classes: ``accuracy``; ``balanced_accuracy`` (mean recall over classes);
        ``accuracy_per_dataset`` (mean over studies); ``precision`` and ``recall``, a row per class; ``auc`` (area under
        the ROC curve, ties counted half; of more than two classes the mean of each against the rest), ``auc_within``
        (mean over studies of the AUROC of each alone); ``brier`` (squared error of the probabilities, summed over
        classes and halved for two, so .25 is chance level); ``log_loss``; ``interval_distance`` and ``quadratic_kappa``
        of ordered classes (mean distance in classes; Cohen's kappa with quadratic weights); ``accuracy_at:<share>`` of
        the surest samples and ``coverage_area``, its mean over all shares; ``calibration_error`` (expected calibration
        error of the predicted class, in ten bins of equally many samples). Of a quantity: ``mae, rmse, r2, pearson,
        spearman``, ``mae_within, r2_within, spearman_within`` (mean over studies), and per nominal level of the
        prediction intervals ``coverage:<level>, width:<level>, coverage_within:<level>``. Default: all but those of
        single classes and of the surest samples; those of ordered classes where ``y_true`` is ordered.
    unit : str or sequence of str, default "dataset_id"
        What is resampled: studies (how much would other studies change it?), ``"donor_id"``, donors within studies
        (other people of the same studies?), or ``"sample_id"``, which takes samples as independent. Of several, each
        gives its own rows.
    per_study : bool, default False
        Also ``auc``, or ``mae, r2, spearman``, of every study that counts; without an interval where studies are
        resampled, since one study cannot say how studies vary. Of the first unit only.
    n_boot : int, default 1000
        Replicates. Fewer is coarser.
    seed : int, default 0
        Seed of the bootstrap.

    Returns
    -------
    DataFrame, one row per task, model, scheme, unit and metric
        ``task, dataset, model, features, scheme, metric, class, study, value, ci_low, ci_high, n_samples, n_datasets,
        seed, unit``; ``class`` and ``study`` are missing where all are pooled, a value where it is undefined.

    Raises
    ------
    InputError
        Missing columns, values that are no probabilities or no finite numbers, or an unknown metric or unit.

    Notes
    -----
    Intervals are value -+ t * root mean square distance of the replicates from it, t of one degree of freedom less than
    there are effective studies (normal where donors or samples are resampled), cut to 0 and 1 where a metric is. A
    study counts within with five samples of both classes; of a quantity, with ten samples that differ. AUROC: Hanley
    and McNeil 1982, doi:10.1148/radiology.143.1.7063747. Kappa: Cohen 1968, doi:10.1037/h0026256. Area under the
    coverage curve: 1 - the risk-coverage area of Geifman and El-Yaniv 2017, arXiv:1705.08500. In a replicate,
    Spearman's correlation keeps the ranks of the whole table, weighted, instead of ranking anew.

    Examples
    --------
    >>> import srna_lib as srna
    >>> task = srna.make_task(srna.load("demo"), "tissue_group")
    >>> table = srna.cross_validate(task, "dummy", n_splits=3, progress=False)
    >>> srna.score(table, metrics="accuracy", n_boot=100)[["model", "metric"]].to_numpy().tolist()
    [['dummy', 'accuracy']]
    """
    if table.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    units = [unit] if isinstance(unit, str) else list(unit)
    wanted = [metrics] if isinstance(metrics, str) else metrics if metrics is None else list(metrics)
    rows = []
    for one, run in itertools.product(units, each_model(table)):
        shown = default_metrics(run) if wanted is None else wanted
        values, draws, df = bootstrap(prepare(run, shown, one), run, unit=one, n_boot=n_boot, seed=seed)
        counting = {key.study for key in values}
        for key in sorted(values, key=lambda k: k.study is not None):
            if key.metric not in shown or (key.study is not None and not (per_study and one == units[0])):
                continue
            alone = one == "dataset_id" and (key.study is not None or run["dataset_id"].nunique() < 2)
            known = np.isfinite(values[key]) and not alone
            low, high = t_interval(values[key], draws[key], df[key])[:2] if known else (np.nan, np.nan)
            if key.metric.startswith(SHARES):
                low, high = np.clip([low, high], 0, 1)
            row = {"value": values[key], "ci_low": low, "ci_high": high, "seed": seed, "unit": one}
            rows.append(_about(run, key, counting) | row)
    return pd.DataFrame(rows).assign(dataset=dataset).reindex(columns=COLUMNS)


def _about(run: pd.DataFrame, key: Key, counting: set[str | None]) -> dict:
    """What a value is of, and how many samples and studies it rests on."""
    studies, rows = run["dataset_id"].astype(str), run
    if key.study is not None:
        rows = run[studies == key.study]
    elif key.cls is not None:
        rows = run[run["y_true"].astype(str) == key.cls]
    elif "_within" in key.metric:
        rows = run[studies.isin(counting)]
    head = {c: run[c].iloc[0] for c in IDENTITY} | {"metric": key.metric, "class": key.cls, "study": key.study}
    return head | {"n_samples": rows["sample_id"].nunique(), "n_datasets": rows["dataset_id"].nunique()}


def each_model(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The out-of-fold table of each task, model, feature set and scheme, in order of appearance."""
    check_columns(table, IDENTITY)
    for _, run in table.groupby(["task", "features", "scheme", "model"], sort=False):
        yield run


def is_quantity(table: pd.DataFrame) -> bool:
    """Whether numbers are predicted."""
    return pd.api.types.is_float_dtype(table["y_true"])


def default_metrics(table: pd.DataFrame) -> list[str]:
    """Metrics of a table where none are named."""
    if is_quantity(table):
        kinds = ("coverage", "width", "coverage_within")
        return [*QUANTITY_METRICS, *(f"{k}:{t}" for t in interval_levels(table) for k in kinds)]
    ordered = isinstance(table["y_true"].dtype, pd.CategoricalDtype) and table["y_true"].dtype.ordered
    return [*RANKING_METRICS, *METRICS, *(ORDINAL_METRICS if ordered else ())]


def prepare(table: pd.DataFrame, metrics: Iterable[str], unit: str = "dataset_id") -> Measure:
    """Make the function that measures the table of one model under any weights of its rows."""
    check_table(table, ["y_pred"])
    wanted = set(metrics)
    if is_quantity(table):
        known, measures = default_metrics(table), [_quantity(table, unit)]
    else:
        engines = {
            RANKING_METRICS: _ranking,
            (*METRICS, *PER_CLASS): _classes,
            ORDINAL_METRICS: _ordinal,
            (*_CURVE, *SELECTIVE_METRICS): _selective,
        }
        known = [*RANKING_METRICS, *METRICS, *PER_CLASS, *ORDINAL_METRICS, *SELECTIVE_METRICS]
        measures = [make(table, unit) for names, make in engines.items() if wanted & set(names)]
        wanted -= set(_CURVE)
    if wanted - set(known) or not measures:
        unknown = sorted(wanted - set(known)) or [""]
        raise InputError(f"metric={unknown[0]!r}: expected one of {', '.join(sorted(known))}.")
    return lambda weights: {k: v for measure in measures for k, v in measure(weights).items()}


def check_columns(table: pd.DataFrame, columns: Iterable[str]) -> None:
    """Refuse a table without rows or without these columns."""
    lacking = [c for c in columns if c not in table]
    if lacking:
        raise InputError(f"out-of-fold table: no column {lacking[0]!r} (found: {', '.join(map(str, table))}).")
    if table.empty:
        raise InputError("out-of-fold table: it has no rows; expected one per predicted sample.")


def check_table(predictions: pd.DataFrame, columns: Iterable[str] = ()) -> None:
    """Refuse a table that does not hold the predictions of one model in one scheme."""
    check_columns(predictions, ("sample_id", "dataset_id", *IDENTITY, "y_true", *columns))
    for column in IDENTITY:
        values = predictions[column].unique()
        if len(values) > 1:
            shown = f"holds {len(values)} values (first: {values[0]}, {values[1]})"
            raise InputError(f"out-of-fold table: column {column!r} {shown}; expected one, so choose its rows first.")


def probabilities(predictions: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Classes, in the order of the columns ``p_<class>``, and their probabilities; empty columns are left out."""
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
    """Bring two tables of the same samples into the same order; those predicted several times differ by ``fold``."""
    check_table(first)
    check_table(second)
    keys = [c for c in ("sample_id", "fold") if c in first and c in second]
    a, b = (t.sort_values(keys, ignore_index=True) for t in (first, second))
    same = ["sample_id", "dataset_id", "y_true"]
    if len(a) != len(b) or not all((a[c].to_numpy() == b[c].to_numpy()).all() for c in same):
        raise InputError("the two tables hold different samples; expected predictions of the same ones.")
    return a, b


def class_order(table: pd.DataFrame) -> list[str]:
    """Classes that occur in a table, in the order of its columns ``p_<class>``; without these sorted as text."""
    present = {*table["y_true"].astype(str), *table["y_pred"].astype(str)}
    listed = [str(c)[2:] for c in table if str(c).startswith("p_") and str(c)[2:] in present]
    return listed if len(listed) == len(present) else sorted(present)


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Confusion matrix of one model: rows = true class, columns = predicted class."""
    true, predicted = (predictions[c].astype(str) for c in ("y_true", "y_pred"))
    classes = class_order(predictions)
    table = pd.crosstab(true, predicted).reindex(index=classes, columns=classes, fill_value=0)
    return table.rename_axis(index="true class", columns="predicted class")


def per_dataset(predictions: pd.DataFrame) -> pd.DataFrame:
    """Accuracy in each study: ``model, scheme, dataset_id, n_samples, classes, accuracy``."""
    frame = predictions.assign(correct=predictions["y_true"] == predictions["y_pred"])
    grouped = frame.groupby(["model", "scheme", "dataset_id"], sort=True)
    return grouped.agg(
        n_samples=("correct", "size"),
        classes=("y_true", lambda c: ", ".join(sorted(set(c)))),
        accuracy=("correct", "mean"),
    ).reset_index()


def _classes(table: pd.DataFrame, unit: str) -> Measure:
    """Accuracies, precision and recall from one confusion matrix per unit, so that replicates are one product."""
    true, predicted = (table[c].astype(str) for c in ("y_true", "y_pred"))
    classes = class_order(table)
    k, at = len(classes), pd.Index(classes)
    units = unit_codes(table, unit)[0]
    first = np.unique(units, return_index=True)[1]
    counts = np.zeros((len(first), k, k))
    np.add.at(counts, (units, at.get_indexer(true), at.get_indexer(predicted)), 1)
    own = np.diagonal(counts, axis1=1, axis2=2).sum(axis=1) / counts.sum(axis=(1, 2))
    occurring = [c for c in classes if (true == c).any()]
    of_class = counts.sum(axis=2)  # units x classes
    with np.errstate(invalid="ignore"):
        observed = np.diagonal(counts.sum(axis=0)) / of_class.sum(axis=0)
    # n studies of a class drawn from n vary too little by (n - 1) / n, which counts where n is two or three
    n = (of_class > 0).sum(axis=0) if unit == "dataset_id" else np.full(k, np.inf)
    stretch = np.sqrt(1 / (1 - 1 / np.maximum(n, 2)))

    def measure(weights: np.ndarray) -> Values:
        drawn = weights.take(first, axis=1)
        total = (drawn @ counts.reshape(len(first), k * k)).reshape(-1, k, k)
        right = np.diagonal(total, axis1=1, axis2=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            recall, precision = right / total.sum(axis=2), right / total.sum(axis=1)
        recall = observed + stretch * (recall - observed)
        values = {
            Key("accuracy"): right.sum(axis=1) / total.sum(axis=(1, 2)),
            Key("balanced_accuracy"): np.nanmean(recall, axis=1),
        }
        if unit == "dataset_id":  # of donors or samples it would say nothing
            values[Key("accuracy_per_dataset")] = drawn @ own / drawn.sum(axis=1)
        for c in occurring:
            i = classes.index(c)
            values |= {Key("precision", c): precision[:, i], Key("recall", c): recall[:, i]}
        return values

    return measure


def _ranking(table: pd.DataFrame, unit: str) -> Measure:
    """AUROC, pooled and within studies, Brier score and log loss."""
    classes, p = probabilities(table)
    true = pd.Index(classes).get_indexer(table["y_true"].astype(str))
    codes, studies = pd.factorize(table["dataset_id"].astype(str), sort=True)
    scored = [1] if len(classes) == 2 else list(range(len(classes)))
    once = ~table.duplicated("sample_id").to_numpy()  # rows of a sample that is predicted several times count once
    sizes = np.zeros((len(studies), len(classes)), dtype=int)
    np.add.at(sizes, (codes[once], true[once]), 1)
    rest = sizes.sum(axis=1, keepdims=True) - sizes
    valid = (np.minimum(sizes, rest) >= MIN_PER_CLASS)[:, scored]
    counting = valid.any(axis=1)
    hot = np.eye(len(classes))[true]
    brier = ((p - hot) ** 2).sum(axis=1) / (2 if len(classes) == 2 else 1)
    loss = -np.log(np.clip(p[np.arange(len(p)), true], np.finfo(float).eps, 1))
    pooled = [_areas(p[:, k], true == k, np.zeros(len(p), dtype=int)) for k in scored]
    inside = [_areas(p[:, k], true == k, codes) for k in scored]
    starts = np.unique(codes, return_index=True)[1]

    def measure(weights: np.ndarray) -> Values:
        total = weights.sum(axis=1)
        areas = np.stack([area(weights)[:, 0] for area in pooled], axis=1)
        of_study = np.stack([area(weights) for area in inside], axis=2)
        own = mean_of_defined(np.where(valid, of_study, np.nan), np.ones(valid.shape))[:, counting]
        drawn = weights[:, starts[counting]] if unit == "dataset_id" else np.ones(own.shape)
        return {
            Key("auc"): mean_of_defined(areas, np.ones(areas.shape)),
            Key("auc_within"): mean_of_defined(own, drawn),
            Key("brier"): weights @ brier / total,
            Key("log_loss"): weights @ loss / total,
            **{Key("auc", None, s): own[:, i] for i, s in enumerate(studies[counting])},
        }

    return measure


def weighted_auc(score: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUROC for each row of weights (whole numbers), ties counted half; NaN without a positive or a negative."""
    if not len(score):
        return np.full(len(weights), np.nan)
    return _areas(score, positive, np.zeros(len(score), dtype=int))(weights.astype(np.float64))[:, 0]


def _areas(values: np.ndarray, positive: np.ndarray, group: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Make the function of weights that gives the AUROC in each group, shape (n_replicates, n_groups).

    NaN where a class has no weight. A positive sample wins against the negative weight below it and half of that at its
    own score. Weights are whole numbers, so the running sum over all groups is exact and that of earlier groups can be
    taken off.
    """
    rows = np.lexsort((values, group))
    values, positive, group = values[rows], positive[rows], group[rows]
    new_group = np.r_[True, group[1:] != group[:-1]]
    ties = np.flatnonzero(new_group | np.r_[True, values[1:] != values[:-1]])
    groups = np.flatnonzero(new_group[ties])

    def areas(weights: np.ndarray) -> np.ndarray:
        weights = weights[:, rows]
        up = np.add.reduceat(weights * positive, ties, axis=1)
        down = np.add.reduceat(weights, ties, axis=1) - up
        below = np.cumsum(down, axis=1) - down / 2
        wins = np.add.reduceat(up * below, groups, axis=1)
        ups, downs = (np.add.reduceat(side, groups, axis=1) for side in (up, down))
        with np.errstate(invalid="ignore", divide="ignore"):
            return (wins - ups * (np.cumsum(downs, axis=1) - downs)) / (ups * downs)

    return areas


def _ordinal(table: pd.DataFrame, unit: str) -> Measure:
    """Mean distance in classes, and kappa with quadratic weights, of ordered classes."""
    classes = pd.Index(probabilities(table)[0])
    true, predicted = (classes.get_indexer(table[c].astype(str)) for c in ("y_true", "y_pred"))
    distance = np.abs(true - predicted).astype(float)
    hot_true, hot_predicted = np.eye(len(classes))[true], np.eye(len(classes))[predicted]
    cost = (np.arange(len(classes))[:, None] - np.arange(len(classes))) ** 2.0

    def measure(weights: np.ndarray) -> Values:
        total = weights.sum(axis=1)
        expected = np.einsum("ri,ij,rj->r", weights @ hot_true, cost, weights @ hot_predicted) / total
        observed = weights @ distance**2
        with np.errstate(invalid="ignore", divide="ignore"):
            kappa = np.where(expected > 0, 1 - observed / expected, np.nan)
        return {Key("interval_distance"): weights @ distance / total, Key("quadratic_kappa"): kappa}

    return measure


def _quantity(table: pd.DataFrame, unit: str) -> Measure:
    """Errors, R2, correlations and coverage of intervals, pooled and as means over studies."""
    true, predicted = numbers(table, "y_true"), numbers(table, "y_pred")
    bounds = {t: (numbers(table, f"low_{t}"), numbers(table, f"high_{t}")) for t in interval_levels(table)}
    codes, studies = pd.factorize(table["dataset_id"].astype(str), sort=True)
    grouped = table.groupby(codes)
    large = (grouped["sample_id"].nunique() >= MIN_PER_STUDY) & (grouped["y_true"].nunique() > 1)
    members = {studies[i]: np.flatnonzero(codes == i) for i in np.flatnonzero(large.to_numpy())}
    pooled, own = _errors(true, predicted), {s: _errors(true[m], predicted[m]) for s, m in members.items()}

    def measure(weights: np.ndarray) -> Values:
        drawn = [weights[:, m[0]] if unit == "dataset_id" else np.ones(len(weights)) for m in members.values()]
        shape = (len(members), len(weights))
        values = {Key(name): v for name, v in pooled(weights).items()}
        of_study = {s: own[s](weights[:, m]) for s, m in members.items()}
        for name in ("mae", "r2", "spearman"):
            each = {Key(name, None, s): v[name] for s, v in of_study.items()}
            within = mean_of_defined(np.reshape([*each.values()], shape), np.reshape(drawn, shape), axis=0)
            values |= each | {Key(f"{name}_within"): within}
        for text, (low, high) in bounds.items():
            inside = ((true >= low) & (true <= high)).astype(float)
            values[Key(f"coverage:{text}")] = _weighted_mean(inside, weights)
            values[Key(f"width:{text}")] = _weighted_mean(high - low, weights)
            covered = [_weighted_mean(inside[m], weights[:, m]) for m in members.values()]
            within = mean_of_defined(np.reshape(covered, shape), np.reshape(drawn, shape), axis=0)
            values[Key(f"coverage_within:{text}")] = within
        return values

    return measure


def _errors(true: np.ndarray, predicted: np.ndarray) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Make the function that measures errors and correlations of some rows under any weights of them."""
    error, ranks = np.abs(true - predicted), (rankdata(true), rankdata(predicted))
    centred = true - true.mean()  # small numbers keep the difference of squares exact
    return lambda weights: {
        "mae": _weighted_mean(error, weights),
        "rmse": np.sqrt(_weighted_mean(error**2, weights)),
        "r2": 1 - _weighted_mean(error**2, weights) / _variance(centred, weights),
        "pearson": _correlation(true, predicted, weights),
        "spearman": _correlation(*ranks, weights),
    }


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return weights @ values / weights.sum(axis=1)


def _variance(centred: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted variance; NaN where one distinct value is left, which rounding must not make look otherwise."""
    variance = _weighted_mean(centred**2, weights) - _weighted_mean(centred, weights) ** 2
    return np.where(variance > 1e-10 * (centred**2).mean(), variance, np.nan)


def _correlation(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    a, b = a - a.mean(), b - b.mean()
    together = _weighted_mean(a * b, weights) - _weighted_mean(a, weights) * _weighted_mean(b, weights)
    return together / np.sqrt(_variance(a, weights) * _variance(b, weights))


def interval_levels(predictions: pd.DataFrame) -> list[str]:
    """Nominal levels of the prediction intervals of a table, as written in its columns, from low to high."""
    columns = predictions.columns[predictions.notna().any()].astype(str)
    levels = sorted((c.removeprefix("low_") for c in columns if re.fullmatch(r"low_0\.[0-9]+", c)), key=float)
    for text in levels:
        if f"high_{text}" not in columns:
            raise InputError(f"out-of-fold table: the column 'low_{text}' has no partner 'high_{text}'.")
    return levels


def coverage_table(
    predictions: pd.DataFrame, *, seed: int = 0, n_boot: int = 1000, unit: str = "dataset_id"
) -> pd.DataFrame:
    """Nominal against empirical coverage of prediction intervals, a row per model and nominal level.

    Options as in `score`. Columns ``task, model, features, scheme, nominal, empirical, ci_low, ci_high, mean_width,
    n_samples``.
    """
    columns = [*IDENTITY, "nominal", "empirical", "ci_low", "ci_high", "mean_width", "n_samples"]
    tables = []
    for run in each_model(predictions):
        levels = interval_levels(run)
        if not levels:
            raise InputError("out-of-fold table: no columns low_<level>, high_<level>; expected prediction intervals.")
        metrics = [f"{kind}:{text}" for text in levels for kind in ("coverage", "width")]
        scores = score(run, metrics=metrics, seed=seed, n_boot=n_boot, unit=unit).set_index("metric")
        table = scores.loc[metrics[::2]].rename(columns={"value": "empirical"})
        table["nominal"] = [float(text) for text in levels]
        table["mean_width"] = scores.loc[metrics[1::2], "value"].to_numpy()
        tables.append(table[columns])
    return pd.concat(tables, ignore_index=True)


def coverage_by_study(predictions: pd.DataFrame, level: str = "0.9") -> pd.DataFrame:
    """Empirical coverage of the intervals of one level, pooled and in the worst, the median and the best study.

    ``model, scheme, empirical, lowest, median, highest, n_datasets``.
    """
    rows = []
    for run in each_model(predictions):
        low, high = (numbers(run, f"{end}_{level}") for end in ("low", "high"))
        inside = pd.Series((run["y_true"] >= low) & (run["y_true"] <= high))
        each = inside.groupby(run["dataset_id"]).mean()
        row = {"empirical": inside.mean(), "lowest": each.min(), "median": each.median(), "highest": each.max()}
        rows.append({"model": run["model"].iloc[0], "scheme": run["scheme"].iloc[0], **row, "n_datasets": len(each)})
    return pd.DataFrame(rows)


def numbers(predictions: pd.DataFrame, column: str) -> np.ndarray:
    """A column as finite numbers."""
    values = pd.to_numeric(predictions[column], errors="coerce").to_numpy(dtype=float)
    if not np.isfinite(values).all():
        bad = predictions[column][~np.isfinite(values)].iloc[0]
        raise InputError(f"out-of-fold table: column {column!r} holds {bad!r}; expected finite numbers.")
    return values


def coverage_curve(
    predictions: pd.DataFrame, *, unit: str = "dataset_id", n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Accuracy of the surest share of the samples, for every share in per cent.

    Options as in `score`; the confidence is the probability of the predicted class, and samples of equal confidence
    enter in proportion. Columns ``task, model, features, scheme, coverage`` (.01 to 1), ``accuracy, ci_low, ci_high,
    confidence`` (the least among the samples kept), ``n_samples`` (kept).
    """
    scores = score(predictions, metrics=_CURVE, unit=unit, n_boot=n_boot, seed=seed)
    falling = [np.sort(stated(run)[0])[::-1] for run in each_model(predictions)]
    kept = [np.ceil((GRID * len(f)).round(9)).astype(int) for f in falling]
    return scores[[*IDENTITY, "ci_low", "ci_high"]].assign(
        coverage=np.tile(GRID, len(falling)),
        accuracy=scores["value"],
        confidence=np.concatenate([f[k - 1] for f, k in zip(falling, kept, strict=True)]),
        n_samples=np.concatenate(kept),
    )


def accuracy_of_kept(score: np.ndarray, right: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Accuracy among the samples of the highest scores, shape (n_replicates, n_shares).

    `right` is 1 for a correct prediction; equal scores enter in proportion, as if drawn at random.
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


def equal_bins(values: np.ndarray) -> np.ndarray:
    """Bin of each value, of about equal size; equal values are in one bin, and no bin is empty."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, N_BINS + 1)[1:-1]))
    return np.unique(np.searchsorted(edges, values, side="left"), return_inverse=True)[1]


def stated(predictions: pd.DataFrame, of: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Probability of the predicted class, or of the class `of`, and whether it was true (0 or 1), of each row."""
    classes, p = probabilities(predictions)
    if of is not None and of not in classes:
        raise InputError(f"out-of-fold table: no class {of!r}; expected one of {', '.join(classes)}.")
    event = predictions["y_pred"].astype(str) if of is None else pd.Series(of, predictions.index)
    right = (predictions["y_true"].astype(str) == event).to_numpy(dtype=float)
    return p[np.arange(len(p)), pd.Index(classes).get_indexer(event)], right


def _selective(table: pd.DataFrame, unit: str) -> Measure:
    """Accuracy of the surest shares, its mean over all shares, and how far confidence lies from accuracy."""
    confidence, right = stated(table)
    excess = (confidence - right)[:, None] * np.eye(N_BINS)[equal_bins(confidence)]

    def measure(weights: np.ndarray) -> Values:
        curve = accuracy_of_kept(confidence, right, weights, GRID)
        values = {Key(n): v for n, v in zip(_CURVE, curve.T, strict=True)} | {Key("coverage_area"): curve.mean(axis=1)}
        return values | {Key("calibration_error"): np.abs(weights @ excess).sum(axis=1) / weights.sum(axis=1)}

    return measure
