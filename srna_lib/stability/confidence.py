"""Firmness of single predictions, and whether it tells which of them are wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from srna_lib.evaluate import accuracy_of_kept, study_interval, study_weights, weighted_auc

# column -> (printed name, +1 where a high value speaks for a right call)
SCORES = {
    "p_max": ("maximum probability", 1),
    "margin": ("margin of the two best", 1),
    "entropy": ("entropy", -1),
    "steps": ("steps to flip", 1),
    "share": ("steps, share of expressed", 1),
    "reads": ("reads taken away to flip", 1),
}
CONFIDENCE, STEPS = ("p_max", "margin", "entropy"), ("steps", "share", "reads")


def firmness(flips: pd.DataFrame) -> pd.DataFrame:
    """One row per prediction: how soon it flips along its weakest path, beside the usual confidence scores.

    Parameters
    ----------
    flips : DataFrame
        From `flip_folds.cross_flips`, of one order.

    Returns
    -------
    DataFrame, one row per sample
        ``sample_id, dataset_id, fold, y_true, y_pred, wrong``; ``steps`` (fewest steps to anything else over the paths
        to all other classes; where no path flips, the number of steps looked at, and ``censored`` is true), ``share``
        (the same as a share of the expressed sRNAs), ``reads`` (share of the library taken away by then), ``other``
        (the class that this path leads to), ``became`` (what it flips to) and ``srna`` (the sRNA that tips it),
        ``n_active`` (expressed sRNAs); ``p_max``, ``margin`` (highest minus second probability), ``entropy`` (nats).
    """
    steps = flips["stability"].fillna(np.inf)
    keys = ["fold", "sample_id"]
    first = flips.loc[steps.groupby([flips[k] for k in keys], sort=False).idxmin()].reset_index(drop=True)
    p = np.sort(first.filter(regex="^p_").to_numpy())
    none = first["stability"].isna()
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(p > 0, p * np.log(p), 0.0).sum(axis=1)
    columns = ["sample_id", "dataset_id", "fold", "y_true", "y_pred", "other", "became", "n_active"]
    return first[columns].assign(
        wrong=first["y_true"] != first["y_pred"],
        steps=first["stability"].fillna(first["looked"]),
        share=first["stability_share"].fillna(first["looked"] / first["n_active"].clip(lower=1)),
        reads=first["stability_reads"].where(~none, 1.0),
        srna=first["stability_srna"],
        censored=none,
        p_max=p[:, -1],
        margin=p[:, -1] - p[:, -2],
        entropy=entropy,
    )


def examples(table: pd.DataFrame) -> pd.DataFrame:
    """Three predictions to look at: a firm one and a weak one that are right, and one that is wrong.

    Parameters
    ----------
    table : DataFrame
        From `firmness`.

    Returns
    -------
    DataFrame
        Rows of `table`: the right calls at the ninth and the first tenth of steps, and the median wrong call (none
        where all calls are right).
    """
    ordered = table.sort_values(["steps", "sample_id"])
    right, wrong = ordered[~ordered["wrong"]], ordered[ordered["wrong"]]
    at = [int(0.9 * (len(right) - 1)), int(0.1 * (len(right) - 1))] if len(right) else []
    return pd.concat([right.iloc[at], wrong.iloc[len(wrong) // 2 :][:1]], ignore_index=True)


def auroc_table(
    table: pd.DataFrame,
    scores: Mapping[str, tuple[str, int]] = SCORES,
    *,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """How well each score tells wrong predictions from right ones.

    Parameters
    ----------
    table : DataFrame
        From `firmness`, or with the columns ``wrong, dataset_id`` and those of `scores`.
    scores : mapping, default `SCORES`
        Column -> (printed name, +1 where a high value speaks for a right call, else -1).
    n_boot, seed, level
        Bootstrap over studies.

    Returns
    -------
    DataFrame, one row per score
        ``score, name, auroc, ci_low, ci_high, n_samples, n_wrong, n_datasets``; missing where all calls are right,
        or all wrong.
    """
    weights = study_weights(table["dataset_id"], n_boot, seed)
    wrong = table["wrong"].to_numpy(bool)
    rows = []
    for column, (name, sign) in scores.items():
        draws = weighted_auc(-sign * table[column].to_numpy(float), wrong, weights)
        low, high = study_interval(draws[1:], level)
        rows.append({"score": column, "name": name, "auroc": float(draws[0]), "ci_low": low, "ci_high": high})
    found = pd.DataFrame(rows)
    return found.assign(n_samples=len(table), n_wrong=int(wrong.sum()), n_datasets=table["dataset_id"].nunique())


def combination(
    table: pd.DataFrame,
    *,
    base: Iterable[str] = CONFIDENCE,
    extra: Iterable[str] = STEPS,
    n_splits: int = 10,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Any]:
    """Ask whether firmness adds to confidence: a logistic model of wrong calls with and without it.

    Scores enter as ranks among the training calls (a probability near 1 and a count of steps have no common scale).
    Both models are fitted with studies grouped: a study's calls are judged by a model that never saw the study.

    Parameters
    ----------
    table : DataFrame
        From `firmness`.
    base, extra : iterable of str
        Columns of the first model, and those that the second has in addition.
    n_splits : int, default 10
        Folds over studies (fewer where there are fewer studies).
    n_boot, seed, level
        Bootstrap over studies, the same draws for both models.

    Returns
    -------
    dict
        ``base, both`` (AUROC), ``difference, ci_low, ci_high`` (both minus base) and ``verdict``: ``"adds"``,
        ``"takes away"``, ``"adds nothing that can be told from chance"`` or ``"cannot be judged"`` (too few wrong calls
        or studies).
    """
    base, extra = list(base), list(extra)
    wrong, studies = table["wrong"].to_numpy(bool), table["dataset_id"].to_numpy()
    folds = min(n_splits, len(set(studies)))
    nothing = dict.fromkeys(("base", "both", "difference", "ci_low", "ci_high"), np.nan)
    if folds < 2 or min(wrong.sum(), (~wrong).sum()) < folds:
        return {**nothing, "verdict": "cannot be judged"}
    values = table[base + extra].to_numpy(float)
    weights = study_weights(studies, n_boot, seed)
    draws = []
    for columns in (len(base), len(base) + len(extra)):
        score = np.full(len(table), np.nan)
        for train, test in GroupKFold(folds, shuffle=True, random_state=seed).split(values, wrong, studies):
            if len(set(wrong[train])) < 2:
                score[test] = 0.5
                continue
            to_ranks = QuantileTransformer(n_quantiles=min(1000, len(train)), random_state=seed)
            model = make_pipeline(to_ranks, StandardScaler(), LogisticRegression())
            model.fit(values[train, :columns], wrong[train])
            score[test] = model.predict_proba(values[test, :columns])[:, 1]
        draws.append(weighted_auc(score, wrong, weights))
    gain = draws[1] - draws[0]
    low, high = study_interval(gain[1:], level)
    verdict = "adds" if low > 0 else "takes away" if high < 0 else "adds nothing that can be told from chance"
    first, second = (float(d[0]) for d in draws)
    return {
        "base": first, "both": second, "difference": second - first, "ci_low": low, "ci_high": high, "verdict": verdict
    }  # fmt: skip


def accuracy_at_coverage(
    table: pd.DataFrame,
    scores: Mapping[str, tuple[str, int]],
    coverages: Iterable[float] = tuple(np.linspace(0.1, 1, 19)),
) -> pd.DataFrame:
    """Share of right calls among the firmest part of the samples.

    Parameters
    ----------
    table : DataFrame
        From `firmness`.
    scores : mapping
        As in `auroc_table`.
    coverages : iterable of float
        Parts of the samples that are kept. Samples tied at the threshold count in proportion.

    Returns
    -------
    DataFrame
        ``score, name, coverage, accuracy``.
    """
    right = (~table["wrong"]).to_numpy(float)
    coverages, once = np.asarray(list(coverages)), np.ones((1, len(table)))
    kept = np.maximum(np.round(coverages * len(table)), 1)  # whole samples
    parts = []
    for column, (name, sign) in scores.items():
        accuracy = accuracy_of_kept(sign * table[column].to_numpy(float), right, once, kept / len(table))[0]
        parts.append(pd.DataFrame({"score": column, "name": name, "coverage": coverages, "accuracy": accuracy}))
    return pd.concat(parts, ignore_index=True)


def gain_of_kept(
    table: pd.DataFrame,
    score: str = "steps",
    against: str = "p_max",
    *,
    coverage: float = 0.3,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, float]:
    """Compare two scores by the share of right calls among the samples that each would keep.

    Parameters
    ----------
    table : DataFrame
        From `firmness`.
    score, against : str
        Columns of `SCORES`.
    coverage : float, default 0.3
        Part of the samples that is kept, highest scores first.
    n_boot, level, seed
        Bootstrap over studies: the same draws for both scores.

    Returns
    -------
    dict
        ``score, against`` (shares of right calls), ``difference, ci_low, ci_high``.
    """
    weights = study_weights(table["dataset_id"], n_boot, seed)
    right, part = (~table["wrong"]).to_numpy(float), np.array([coverage])
    found = []
    for column in (score, against):
        value = SCORES[column][1] * table[column].to_numpy(float)
        found.append(accuracy_of_kept(value, right, weights, part)[:, 0])
    gain = found[0] - found[1]
    low, high = study_interval(gain[1:], level)
    first, second = (float(draws[0]) for draws in found)
    return {"score": first, "against": second, "difference": first - second, "ci_low": low, "ci_high": high}
