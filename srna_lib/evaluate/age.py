"""Age in particular: errors of ordered intervals, figures of predicted years, and apparent age acceleration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from srna_lib.errors import InputError
from srna_lib.evaluate.bootstrap import Figures, bootstrap, interval, make_record
from srna_lib.evaluate.metrics import IDENTITY, check_table, probabilities, score_quantity

ORDINAL = ("interval_distance", "quadratic_kappa")
_SHOWN = ("mae", "r2", "mae_within", "r2_within")


def ordinal_score(
    predictions: pd.DataFrame, *, dataset: str, unit: str = "dataset_id", seed: int = 0, n_boot: int = 1000
) -> list[dict[str, Any]]:
    """How far off are calls of ordered classes, of every task and model in a table.

    Accuracy calls every error the same; these two count a neighbouring interval as a small error.

    Parameters
    ----------
    predictions : DataFrame
        Out-of-fold tables with probabilities, one below the other. Class names sorted as text are in order
        (`contexts.add_age_intervals`).
    dataset, unit, seed, n_boot
        As in `ranking_metrics.score`.

    Returns
    -------
    list of dict
        Records ``interval_distance``: mean distance between true and called interval, in intervals (0 is perfect);
        ``quadratic_kappa``: Cohen's kappa with quadratic weights (1 is perfect, 0 what chance reaches), None where
        neither truth nor calls vary.

    References
    ----------
    Cohen 1968, Weighted kappa, doi:10.1037/h0026256; scikit-learn's ``cohen_kappa_score`` gives the same value.
    """
    records = []
    for _, part in predictions.groupby(list(IDENTITY), sort=False):
        check_table(part, ["y_pred"])
        classes = pd.Index(sorted(probabilities(part)[0]))
        true, called = (classes.get_indexer(part[c].astype(str)) for c in ("y_true", "y_pred"))
        values, draws = bootstrap(_ordinal(true, called, len(classes)), part, unit=unit, n_boot=n_boot, seed=seed)
        few = unit == "dataset_id" and part["dataset_id"].nunique() < 2  # one study cannot say how studies vary
        records += [
            make_record(part, m, values[m], draws[m][:0] if few else draws[m], dataset=dataset, seed=seed)
            for m in ORDINAL
        ]
    return records


def quantity_score(
    predictions: pd.DataFrame,
    *,
    dataset: str,
    unit: str = "dataset_id",
    per_dataset: bool = False,
    seed: int = 0,
    n_boot: int = 1000,
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Figures of several models of a quantity, as a table and as records.

    Parameters
    ----------
    predictions : DataFrame
        Out-of-fold tables with numbers in ``y_true`` and ``y_pred``, one below the other.
    dataset, unit, per_dataset, seed, n_boot
        As in `regression_metrics.score`.

    Returns
    -------
    table : DataFrame, one row per model
        MAE and R2, pooled and within studies, and measured coverage of each stated interval, as text.
    records : list of dict
        As from `regression_metrics.score`.
    """
    records: list[dict[str, Any]] = []
    rows: dict[str, dict[str, str]] = {}
    for (*_, model), part in predictions.groupby(["task", "features", "scheme", "model"], sort=False):
        own = score_quantity(
            part.dropna(axis=1, how="all"),
            dataset=dataset,
            unit=unit,
            per_dataset=per_dataset,
            seed=seed,
            n_boot=n_boot,
        )
        if unit == "dataset_id" and part["dataset_id"].nunique() < 2:
            own = [r | {"ci_low": None, "ci_high": None} for r in own]
        records += own
        covered = [r["metric"] for r in own if r["metric"].startswith("coverage:")]
        cells = {r["metric"]: _cell(r) for r in own if r["metric"] in (*_SHOWN, *covered)}
        rows[str(model)] = {_printed(m): cells.get(m, "") for m in (*_SHOWN, *covered)}
    return pd.DataFrame(rows).T.rename_axis("model"), records


def apparent_acceleration(predictions: pd.DataFrame, *, min_per_dataset: int = 10) -> pd.DataFrame:
    """How much older or younger a sample looks than others of its age and study.

    Every regressor pulls its predictions to the mean, so the young look too old and the old too young, and a plain
    difference of predicted and true age is a function of age. What is left after a line through the samples of the
    study is not.

    Parameters
    ----------
    predictions : DataFrame, one row per sample
        Out-of-fold table of one model of age.
    min_per_dataset : int, default 10
        Samples of different ages that a study needs for a line of its own; smaller ones take the mean slope and the
        mean of their own.

    Returns
    -------
    DataFrame, one row per sample
        The columns of `predictions` but the intervals, with ``gap`` (predicted minus true age, years), ``slope``
        (years predicted per year lived in its study; 1 would be no regression to the mean) and ``acceleration``
        (predicted age minus the line of the study, years).

    Raises
    ------
    InputError
        Several models, or values that are no finite numbers.

    Notes
    -----
    The age residual of the literature on ageing clocks. It holds everything that shifts a profile: disease, cell
    composition, sample quality, batch. It measures no pace of ageing.
    """
    check_table(predictions, ["y_pred"])
    out = predictions[[c for c in predictions if not str(c).startswith(("low_", "high_"))]].reset_index(drop=True)
    true, called = out["y_true"].astype(float), out["y_pred"].astype(float)
    if not (np.isfinite(true).all() and np.isfinite(called).all()):
        raise InputError("out-of-fold table: ages are missing among y_true or y_pred; expected finite numbers.")
    study = out["dataset_id"].astype(str)
    means = pd.DataFrame({"true": true, "called": called}).groupby(study).transform("mean")
    x, y = true - means["true"], called - means["called"]
    squares = (x**2).groupby(study).sum()
    counts = study.value_counts().reindex(squares.index)
    common = float((x * y).sum() / (x**2).sum()) if (x**2).sum() > 0 else 0.0
    own = (x * y).groupby(study).sum() / squares.where(squares > 0)
    slopes = own.where((counts >= min_per_dataset) & own.notna(), common)
    slope = study.map(slopes).astype(float)
    return out.assign(gap=called - true, slope=slope, acceleration=y - slope * x)


def acceleration_contrast(
    table: pd.DataFrame,
    groups: pd.Series,
    strata: pd.Series,
    *,
    pair: tuple[str, str],
    unit: str = "donor_id",
    min_per_group: int = 10,
    seed: int = 0,
    n_boot: int = 1000,
    level: float = 0.95,
) -> pd.DataFrame:
    """Mean acceleration of one group minus that of another, within every stratum and over all.

    Parameters
    ----------
    table : DataFrame, one row per sample
        From `apparent_acceleration`.
    groups, strata : Series, indexed by sample
        Group of each sample (such as its sex) and stratum (such as its tissue); samples without one are left out.
    pair : (str, str)
        Groups: first minus second.
    unit, seed, n_boot, level
        As in `ranking_metrics.score`.
    min_per_group : int, default 10
        Samples of both groups that a stratum needs.

    Returns
    -------
    DataFrame, one row per stratum, then ``all strata``
        ``stratum, difference, ci_low, ci_high, n_samples``. ``all strata`` weighs each by n1 n2 / (n1 + n2), so it
        compares within strata only. Empty where no stratum is large enough. Intervals hold the lines of the studies
        fixed and are not corrected for their number.
    """
    group = table["sample_id"].map(groups.astype(object))
    stratum = table["sample_id"].map(strata.astype(object))
    known = (group.isin(list(pair)) & stratum.notna()).to_numpy()
    used = table[known].reset_index(drop=True)
    first, names = (group[known] == pair[0]).to_numpy(), stratum[known].astype(str).to_numpy()
    sizes = pd.crosstab(names, first)
    large = sizes.index[sizes.min(axis=1) >= min_per_group] if sizes.shape[1] == 2 else []
    members = {str(s): names == s for s in large}
    if not members:
        return pd.DataFrame(columns=["stratum", "difference", "ci_low", "ci_high", "n_samples"])
    value = used["acceleration"].to_numpy(dtype=float)

    def measure(weights: np.ndarray) -> Figures:
        figures, total, mass = {}, np.zeros(len(weights)), np.zeros(len(weights))
        for name, rows in members.items():
            a, b = weights * (rows & first), weights * (rows & ~first)
            n_a, n_b = a.sum(axis=1), b.sum(axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                figures[name] = (a @ value) / n_a - (b @ value) / n_b
                share = n_a * n_b / (n_a + n_b)
            defined = np.isfinite(figures[name])
            total += np.where(defined, share * figures[name], 0)
            mass += np.where(defined, share, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return figures | {"all strata": total / mass}

    values, draws = bootstrap(measure, used, unit=unit, n_boot=n_boot, seed=seed)
    rows = []
    for name, difference in values.items():
        low, high = interval(draws[name], level)
        n = int(sum(m.sum() for m in members.values()) if name == "all strata" else members[name].sum())
        rows.append({"stratum": name, "difference": difference, "ci_low": low, "ci_high": high, "n_samples": n})
    return pd.DataFrame(rows)


def _ordinal(true: np.ndarray, called: np.ndarray, n_classes: int) -> Any:
    distance = np.abs(true - called).astype(float)
    hot_true, hot_called = np.eye(n_classes)[true], np.eye(n_classes)[called]
    cost = (np.arange(n_classes)[:, None] - np.arange(n_classes)) ** 2.0

    def measure(weights: np.ndarray) -> Figures:
        total = weights.sum(axis=1)
        expected = np.einsum("ri,ij,rj->r", weights @ hot_true, cost, weights @ hot_called) / total
        observed = weights @ distance**2
        with np.errstate(invalid="ignore", divide="ignore"):
            kappa = np.where(expected > 0, 1 - observed / expected, np.nan)
        return {"interval_distance": weights @ distance / total, "quadratic_kappa": kappa}

    return measure


def _printed(metric: str) -> str:
    kind, _, level = metric.partition(":")
    if level:
        return f"inside the {float(level):.0%} interval"
    return kind.replace("mae", "MAE").replace("r2", "R2").replace("_", " ")


def _cell(record: dict[str, Any]) -> str:
    if record["value"] is None:
        return ""
    style = ".1f" if record["metric"].startswith("mae") else ".3f"
    if record["ci_low"] is None:
        return f"{record['value']:{style}}"
    return f"{record['value']:{style}} [{record['ci_low']:{style}}, {record['ci_high']:{style}}]"
