"""What a network says of whole classes: the paper's D1, its intervals over studies, and expression beside it.

D1[k, j] is the mean over the samples of class k of (contribution of sRNA j to output k, minus its mean
contribution to the other outputs): large where an sRNA speaks for the class and against the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.pipeline import Pipeline

from srna_lib.errors import InputError
from srna_lib.explain.deeplift import class_means
from srna_lib.models import LogCPM


@dataclass(frozen=True)
class StudyScores:
    """D1 of every class within every study that has samples of it.

    Attributes
    ----------
    values : DataFrame, shape (n_cells, n_srnas)
        One row per class and study (the index), mean over their samples.
    sizes : Series, shape (n_cells,)
        Samples behind each row.
    """

    values: pd.DataFrame
    sizes: pd.Series

    def scores(self) -> pd.DataFrame:
        """D1 per class, every sample counted once, shape (n_classes, n_srnas)."""
        total = self.values.mul(self.sizes, axis=0).groupby(level="class").sum()
        return total.div(self.sizes.groupby(level="class").sum(), axis=0)


def d1(means: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
    """Contribution to the own class minus the mean contribution to the others.

    Parameters
    ----------
    means : array, shape (n, n_outputs, n_srnas)
        Contributions of samples, or their means over groups of samples of one class.
    own : array of int, shape (n,), optional
        Position of the own class of each row; 0, 1, 2, ... by default (class means in order of the outputs).

    Returns
    -------
    array, shape (n, n_srnas)

    Raises
    ------
    InputError
        Fewer than two outputs, or own classes that do not fit the rows and outputs.

    Notes
    -----
    D1 is linear in the contributions, so the D1 of mean contributions is the mean of the samples' D1.
    """
    means = np.asarray(means)
    if means.ndim != 3 or means.shape[1] < 2:
        raise InputError(f"contributions of shape {means.shape}: expected (rows, at least two outputs, sRNAs).")
    n, n_outputs, _ = means.shape
    at = np.arange(n) if own is None else np.asarray(own)
    if len(at) != n or (n and (at.min() < 0 or at.max() >= n_outputs)):
        raise InputError(f"{n} rows of contributions to {n_outputs} outputs: their own classes do not fit.")
    mine = means[np.arange(n), at]
    return (n_outputs * mine - means.sum(axis=1)) / (n_outputs - 1)


def class_scores(model: Pipeline, X: pd.DataFrame, y: Iterable[str], **options: Any) -> pd.DataFrame:
    """D1 of every class by DeepLIFT, through a whole fitted pipeline.

    Parameters
    ----------
    model : Pipeline
        Fitted; ends in a dense network (or in a logistic regression, a network without hidden layers).
    X : DataFrame, shape (n_samples, n_srnas)
        Raw counts.
    y : iterable of str, shape (n_samples,)
        Class of each sample; a class of the model without samples has no row in the result.
    **options
        ``reference``, ``rule`` and others of `deeplift.class_means`.

    Returns
    -------
    DataFrame, shape (n_classes, n_model_features)
        Larger speaks more for the class.
    """
    y = list(y)
    return study_scores(model, X, y, [""] * len(y), **options).scores()


def study_scores(
    model: Pipeline, X: pd.DataFrame, y: Iterable[str], studies: Iterable[Any], **options: Any
) -> StudyScores:
    """D1 of every class within every study: what `ranking` draws its intervals from.

    Parameters
    ----------
    model, X, y, **options
        As in `class_scores`.
    studies : iterable, shape (n_samples,)
        Study of each sample.

    Returns
    -------
    StudyScores

    Raises
    ------
    InputError
        A class that the model does not know.
    """
    keys = pd.MultiIndex.from_arrays([list(y), list(studies)], names=["class", "study"])
    code, cells = keys.factorize(sort=True)
    found = class_means(model, X, code, outputs="all", **options)
    cells = cells[np.asarray(found.groups, dtype=int)].set_names(["class", "study"])
    values, known = found.values, list(found.classes)
    if (
        len(known) == 1
    ):  # one logit for the second of two classes: it speaks against the first as it does for the second
        values, known = np.concatenate([0 * values, values], axis=1), list(model[-1].classes_)
    strange = sorted(set(cells.get_level_values("class")) - set(known))
    if strange:
        raise InputError(f"the model has no class {strange[0]!r}; expected one of {', '.join(map(str, known))}.")
    own = np.array([known.index(c) for c in cells.get_level_values("class")])
    table = pd.DataFrame(d1(values, own), index=cells, columns=list(found.features))
    return StudyScores(table, pd.Series(found.sizes, index=cells, name="samples"))


def ranking(scores: StudyScores, *, n_boot: int = 1000, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Rank the sRNAs of each class, with bootstrap intervals of score and rank over the class's studies.

    The network stays the same in every replicate: the interval says how much the ranking hangs on the studies that
    are explained, not on those the network learned from, nor on its seed (see `rankings.agreement` for that).

    Parameters
    ----------
    scores : StudyScores
        From `study_scores`.
    n_boot : int, default 1000
        Replicates; fewer is faster and rougher.
    level : float, default 0.95
        Share of replicates within the interval.
    seed : int, default 0
        Of the draws.

    Returns
    -------
    DataFrame, one row per class and sRNA, best first
        ``class, srna, score, rank, ci_low, ci_high, rank_low, rank_high, n_studies, n_samples``. A class of a single
        study has NaN as interval: nothing can be drawn again.

    Raises
    ------
    InputError
        Fewer than 2 replicates or a level outside 0 to 1.
    """
    parts = []
    edges = _edges(n_boot, level)
    for name, drawn in _draws(scores, n_boot, seed):
        value, sizes = scores.scores().loc[name], scores.sizes.loc[name]
        part = pd.DataFrame({"class": name, "srna": value.index, "score": value.to_numpy()})
        parts.append(_with_intervals(part, drawn, edges).assign(n_studies=len(sizes), n_samples=int(sizes.sum())))
    return pd.concat(parts, ignore_index=True)


def overall_ranking(scores: StudyScores, *, n_boot: int = 1000, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Rank the sRNAs of the whole task by their largest score in any class, with intervals as in `ranking`.

    Parameters
    ----------
    scores, n_boot, level, seed
        As in `ranking`. Studies are drawn again within each class, and the largest score is taken in every
        replicate; a class of a single study is the same in all of them.

    Returns
    -------
    DataFrame, one row per sRNA, best first
        ``srna, class`` (where its score is largest), ``score, rank, ci_low, ci_high, rank_low, rank_high``.

    Raises
    ------
    InputError
        As in `ranking`.
    """
    edges = _edges(n_boot, level)
    table = scores.scores()
    best = np.full((n_boot, table.shape[1]), -np.inf)
    for name, drawn in _draws(scores, n_boot, seed):
        np.maximum(best, table.loc[name].to_numpy() if drawn is None else drawn, out=best)
    part = pd.DataFrame({"srna": table.columns, "class": table.idxmax(), "score": table.max()}).reset_index(drop=True)
    return _with_intervals(part, best, edges).reset_index(drop=True)


def _edges(n_boot: int, level: float) -> list[float]:
    if n_boot < 2 or not 0 < level < 1:
        raise InputError(f"n_boot={n_boot}, level={level}: expected at least 2 replicates and a level within 0 to 1.")
    return [(1 - level) / 2, (1 + level) / 2]


def _draws(scores: StudyScores, n_boot: int, seed: int) -> Iterator[tuple[Any, np.ndarray | None]]:
    """For each class its D1 in every replicate, shape (n_boot, n_srnas); None where it has a single study."""
    rng = np.random.default_rng(seed)
    for name in scores.sizes.index.unique("class"):
        cells, n = scores.values.loc[name].to_numpy(dtype=float), scores.sizes.loc[name].to_numpy(dtype=float)
        weight = rng.multinomial(len(n), np.full(len(n), 1 / len(n)), size=n_boot) * n
        yield name, weight @ cells / weight.sum(axis=1, keepdims=True) if len(n) > 1 else None


def _with_intervals(part: pd.DataFrame, drawn: np.ndarray | None, edges: list[float]) -> pd.DataFrame:
    part["rank"] = rankdata(-part["score"])
    part[["ci_low", "ci_high", "rank_low", "rank_high"]] = np.nan
    if drawn is not None:
        part["ci_low"], part["ci_high"] = np.quantile(drawn, edges, axis=0)
        part["rank_low"], part["rank_high"] = np.quantile(rankdata(-drawn, axis=1), edges, axis=0)
    return part.sort_values("rank", kind="stable")


def expression(
    X: pd.DataFrame, y: Iterable[str], srnas: Iterable[str] | None = None, *, scale: bool = False
) -> pd.DataFrame:
    """Mean expression of sRNAs per class, to stand beside their scores (the paper's Figure 11).

    Parameters
    ----------
    X : DataFrame, shape (n_samples, n_all_srnas)
        Raw counts of whole libraries (the normalisation needs them all).
    y : iterable of str, shape (n_samples,)
        Class of each sample.
    srnas : iterable of str, optional
        Which to give, in this order; all by default.
    scale : bool, default False
        False: mean log2(CPM + 1). True: each sRNA is first brought to 0..1 over the samples, as the paper does.

    Returns
    -------
    DataFrame, shape (n_classes, n_srnas)

    Raises
    ------
    InputError
        An sRNA that the counts do not have.
    """
    names = list(X.columns if srnas is None else srnas)
    absent = [name for name in names if name not in X.columns]
    if absent:
        raise InputError(
            f"expression: {len(absent)} of {len(names)} sRNAs are not in the counts (first: {absent[0]!r})."
        )
    level = pd.DataFrame(LogCPM().fit_transform(X), index=X.index, columns=X.columns)[names]
    if scale:
        low, span = level.min(), level.max() - level.min()
        level = (level - low) / span.where(span > 0, 1.0)
    return level.groupby(np.asarray(list(y), dtype=object)).mean().rename_axis("class")
