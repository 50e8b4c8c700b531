"""Firmness of single predictions, and whether it tells which of them are wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import entr
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from srna_lib.evaluate import accuracy_of_kept, study_weights, weighted_auc
from srna_lib.stability.tables import sizes, with_interval

# column -> (printed name, +1 where a high value speaks for a correct prediction)
SCORES = {
    "p_max": ("maximum probability", 1),
    "margin": ("margin of the two best", 1),
    "entropy": ("entropy", -1),
    "steps": ("steps to flip", 1),
    "share": ("steps, share of expressed", 1),
    "reads": ("reads taken away to flip", 1),
}
CONFIDENCE, STEPS = ["p_max", "margin", "entropy"], ["steps", "share", "reads"]


def firmness(flips: pd.DataFrame) -> pd.DataFrame:
    """One row per prediction: how soon it flips along its weakest path, beside the usual confidence scores.

    Parameters
    ----------
    flips : DataFrame
        From `cross_flips`, of one order.

    Returns
    -------
    DataFrame, one row per sample
        ``sample_id, dataset_id, fold, y_true, y_pred, wrong``; ``steps`` (fewest steps to anything else over the paths
        to all other classes; where no path flips, the number of steps looked at, and ``censored`` is true), ``share``
        (the same as a share of the expressed sRNAs), ``reads`` (share of the library masked by then), ``other`` (the
        class that this path leads to), ``became`` (what it flips to) and ``srna`` (the sRNA that tips it), ``n_active``
        (expressed sRNAs); ``p_max``, ``margin`` (highest minus second probability), ``entropy`` (nats).
    """
    steps = flips["stability"].fillna(np.inf)
    first = flips.loc[steps.groupby([flips["fold"], flips["sample_id"]], sort=False).idxmin()].reset_index(drop=True)
    p = np.sort(first.filter(regex="^p_").to_numpy())
    columns = ["sample_id", "dataset_id", "fold", "y_true", "y_pred", "other", "became", "n_active"]
    return first[columns].assign(
        wrong=first["y_true"] != first["y_pred"],
        steps=first["stability"].fillna(first["looked"]),
        share=first["stability_share"].fillna(first["looked"] / first["n_active"].clip(lower=1)),
        reads=first["stability_reads"].where(first["stability"].notna(), 1.0),
        srna=first["stability_srna"],
        censored=first["stability"].isna(),
        p_max=p[:, -1],
        margin=p[:, -1] - p[:, -2],
        entropy=entr(p).sum(axis=1),
    )


def examples(firm: pd.DataFrame) -> pd.DataFrame:
    """Up to three rows of `firmness`: correct at the ninth and first tenth of steps, and the median wrong one."""
    ordered = firm.sort_values(["steps", "sample_id"])
    correct, wrong = ordered[~ordered["wrong"]], ordered[ordered["wrong"]]
    at = [int(0.9 * (len(correct) - 1)), int(0.1 * (len(correct) - 1))] if len(correct) else []
    return pd.concat([correct.iloc[at], wrong.iloc[len(wrong) // 2 :][:1]], ignore_index=True)


def auroc_table(firm: pd.DataFrame, *, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """How well each score of `firmness` tells wrong predictions from correct ones, with intervals over studies.

    ``score, name, auroc, ci_low, ci_high, n_samples, n_wrong, n_datasets``; missing where all predictions are correct,
    or all wrong.
    """
    weights, wrong = study_weights(firm["dataset_id"], n_boot, seed), firm["wrong"].to_numpy(bool)
    rows = []
    for column, (name, sign) in SCORES.items():
        draws = weighted_auc(-sign * firm[column].to_numpy(float), wrong, weights)
        rows.append({"score": column, "name": name} | with_interval("auroc", draws, "ci"))
    return pd.DataFrame(rows).assign(n_wrong=int(wrong.sum()), **sizes(firm))


def combination(firm: pd.DataFrame, *, n_splits: int = 10, n_boot: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Ask whether firmness adds to confidence: a logistic model of wrong predictions with and without it.

    Scores enter as ranks among the training samples (a probability near 1 and a count of steps have no common scale).
    Both models are fitted in at most `n_splits` folds of studies: a prediction is judged by a model that never saw its
    study. Gives ``base, both`` (AUROC), ``difference, difference_low, difference_high`` (both minus base), ``n_samples,
    n_datasets`` and ``verdict``: ``"adds"``, ``"takes away"``, ``"adds nothing that can be told from chance"`` or
    ``"cannot be judged"`` (too few wrong predictions or studies).
    """
    wrong, studies = firm["wrong"].to_numpy(bool), firm["dataset_id"].to_numpy()
    folds = min(n_splits, len(set(studies)))
    if folds < 2 or min(wrong.sum(), (~wrong).sum()) < folds:
        nothing = dict.fromkeys(("base", "both", "difference", "difference_low", "difference_high"), np.nan)
        return {**nothing, "verdict": "cannot be judged", **sizes(firm)}
    weights, draws = study_weights(studies, n_boot, seed), []
    for columns in (CONFIDENCE, CONFIDENCE + STEPS):
        values, score = firm[columns].to_numpy(float), np.full(len(firm), 0.5)
        for train, test in GroupKFold(folds, shuffle=True, random_state=seed).split(values, wrong, studies):
            if wrong[train].any() and not wrong[train].all():
                to_ranks = QuantileTransformer(n_quantiles=min(1000, len(train)), random_state=seed)
                model = make_pipeline(to_ranks, StandardScaler(), LogisticRegression())
                score[test] = model.fit(values[train], wrong[train]).predict_proba(values[test])[:, 1]
        draws.append(weighted_auc(score, wrong, weights))
    base, both = (float(d[0]) for d in draws)
    gain = with_interval("difference", draws[1] - draws[0]) | {"difference": both - base}
    sign = "adds" if gain["difference_low"] > 0 else "takes away" if gain["difference_high"] < 0 else ""
    verdict = sign or "adds nothing that can be told from chance"
    return {"base": base, "both": both, **gain, "verdict": verdict, **sizes(firm)}


def accuracy_at_coverage(firm: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """``score, name, coverage, accuracy`` of the firmest samples by some of `SCORES`; ties count in proportion."""
    correct, once, coverage = (~firm["wrong"]).to_numpy(float), np.ones((1, len(firm))), np.linspace(0.1, 1, 19)
    kept = np.maximum(np.round(coverage * len(firm)), 1) / len(firm)  # whole samples
    tables = []
    for column in columns:
        name, sign = SCORES[column]
        accuracy = accuracy_of_kept(sign * firm[column].to_numpy(float), correct, once, kept)[0]
        tables.append(pd.DataFrame({"score": column, "name": name, "coverage": coverage, "accuracy": accuracy}))
    return pd.concat(tables, ignore_index=True)


def gain_of_kept(firm: pd.DataFrame, *, coverage: float = 0.3, n_boot: int = 1000, seed: int = 0) -> dict[str, float]:
    """Compare steps with maximum probability by how many of the samples that each would keep are predicted correctly.

    Kept is a share `coverage` of the samples, highest scores first. ``coverage, score, against`` (shares of correct
    predictions by steps and by maximum probability), ``difference, difference_low, difference_high``.
    """
    weights, correct = study_weights(firm["dataset_id"], n_boot, seed), (~firm["wrong"]).to_numpy(float)
    scores, shares = [firm[c].to_numpy(float) for c in ("steps", "p_max")], np.array([coverage])
    first, second = (accuracy_of_kept(score, correct, weights, shares)[:, 0] for score in scores)
    kept = {"coverage": coverage, "score": float(first[0]), "against": float(second[0])}
    return kept | with_interval("difference", first - second)
