"""What a network says of whole classes: the paper's D1, its intervals over studies, and expression beside it.

D1[k, j] is the mean over the samples of class k of (contribution of sRNA j to output k, minus its mean contribution to
the other outputs): large where an sRNA speaks for the class and against the rest (Fiosina, Fiosins, Bonn 2020).
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

EDGES = [(1 - 0.95) / 2, (1 + 0.95) / 2]  # of an interval, as shares of the replicates


@dataclass(frozen=True)
class StudyScores:
    """D1 within every study, one row per (class, study) and one column per sRNA, and the samples behind each row."""

    values: pd.DataFrame
    sizes: pd.Series

    def scores(self) -> pd.DataFrame:
        """D1 per class, every sample counted once, shape (n_classes, n_srnas)."""
        total = self.values.mul(self.sizes, axis=0).groupby(level="class").sum()
        return total.div(self.sizes.groupby(level="class").sum(), axis=0)


def d1(values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Contribution to the own class minus the mean contribution to the others.

    `values`, shape (n, n_outputs, n_srnas), are contributions of samples, or their means over samples of one class (D1
    is linear in the contributions); `own` is the position of each row's own class among the outputs.

    Examples
    --------
    >>> d1(np.array([[[5.0, 1.0], [2.0, 1.0], [0.0, 3.0]]]), np.array([0]))
    array([[ 4., -1.]])
    """
    n, n_outputs, _ = values.shape
    if n_outputs < 2:
        raise InputError("D1 sets a class against the others: expected at least two outputs.")
    return (n_outputs * values[np.arange(n), own] - values.sum(axis=1)) / (n_outputs - 1)


def class_scores(model: Pipeline, X: pd.DataFrame, y: Iterable[str], **options: Any) -> pd.DataFrame:
    """D1 of every class by DeepLIFT, through a whole fitted pipeline: larger speaks more for the class.

    Parameters
    ----------
    model, X, y
        Pipeline that ends in a dense network or a logistic regression; raw counts; class of each sample (a class of the
        model without samples has no row in the result).
    **options
        ``reference``, ``rule`` and others of `contributions`.

    Examples
    --------
    >>> import srna_lib as srna
    >>> X = pd.DataFrame([[90, 9, 8], [80, 7, 9], [9, 90, 7], [8, 80, 9]] + 2 * [[9, 8, 90]], columns=["a", "b", "c"])
    >>> y = ["brain", "brain", "liver", "liver", "muscle", "muscle"]
    >>> class_scores(srna.recipe("logistic").fit(X, y), X, y).idxmax(axis=1).tolist()
    ['a', 'b', 'c']
    """
    y = list(y)
    return study_scores(model, X, y, [""] * len(y), **options).scores()


def study_scores(
    model: Pipeline, X: pd.DataFrame, y: Iterable[str], studies: Iterable[Any], **options: Any
) -> StudyScores:
    """D1 of every class within every study: what `ranking` resamples; parameters as in `class_scores`."""
    keys = pd.MultiIndex.from_arrays([list(y), list(studies)], names=["class", "study"])
    code, cells = keys.factorize(sort=True)
    cells = cells.set_names(["class", "study"])
    means = class_means(model, X, code, **options)
    known = list(means.index.unique("class"))
    values = means.to_numpy().reshape(len(cells), len(known), -1)
    if len(known) == 1:  # one logit for the second of two classes: it speaks against the first
        values, known = np.concatenate([0 * values, values], axis=1), list(model[-1].classes_)
    strange = sorted(set(cells.get_level_values("class")) - set(known))
    if strange:
        raise InputError(f"the model has no class {strange[0]!r}; expected one of {', '.join(map(str, known))}.")
    own = np.array([known.index(c) for c in cells.get_level_values("class")])
    sizes = pd.Series(np.bincount(code), index=cells, name="samples")
    return StudyScores(pd.DataFrame(d1(values, own), index=cells, columns=means.columns), sizes)


def ranking(scores: StudyScores, *, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Rank the sRNAs of each class of `study_scores`, with 95 % bootstrap intervals over the class's studies.

    The network stays the same in every replicate: the interval says how much the ranking hangs on the studies that
    are explained, not on those the network learned from, nor on its seed (see `agreement` for that). One row per class
    and sRNA, best first: ``class, srna, score, rank, ci_low, ci_high, rank_low, rank_high, n_studies, n_samples``; no
    interval (NaN) for a class of a single study.
    """
    parts = []
    for name, drawn in _draws(scores, n_boot, seed):
        value, sizes = scores.scores().loc[name], scores.sizes.loc[name]
        rows = pd.DataFrame({"class": name, "srna": value.index, "score": value.to_numpy()})
        parts.append(_with_intervals(rows, drawn).assign(n_studies=len(sizes), n_samples=int(sizes.sum())))
    return pd.concat(parts, ignore_index=True)


def overall_ranking(scores: StudyScores, *, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Rank the sRNAs of the whole task by their largest score in any class, with intervals as in `ranking`."""
    table = scores.scores()
    best = np.full((n_boot, table.shape[1]), -np.inf)
    for name, drawn in _draws(scores, n_boot, seed):
        np.maximum(best, table.loc[name].to_numpy() if drawn is None else drawn, out=best)
    rows = pd.DataFrame({"srna": table.columns, "class": table.idxmax(), "score": table.max()}).reset_index(drop=True)
    return _with_intervals(rows, best).reset_index(drop=True)


def _draws(scores: StudyScores, n_boot: int, seed: int) -> Iterator[tuple[Any, np.ndarray | None]]:
    """For each class its D1 in every replicate, shape (n_boot, n_srnas); None where it has a single study."""
    if n_boot < 2:
        raise InputError(f"n_boot={n_boot}: expected at least 2 replicates.")
    rng = np.random.default_rng(seed)
    for name in scores.sizes.index.unique("class"):
        cells, n = scores.values.loc[name].to_numpy(dtype=float), scores.sizes.loc[name].to_numpy(dtype=float)
        weight = rng.multinomial(len(n), np.full(len(n), 1 / len(n)), size=n_boot) * n
        yield name, weight @ cells / weight.sum(axis=1, keepdims=True) if len(n) > 1 else None


def _with_intervals(rows: pd.DataFrame, drawn: np.ndarray | None) -> pd.DataFrame:
    rows["rank"] = rankdata(-rows["score"])
    rows[["ci_low", "ci_high", "rank_low", "rank_high"]] = np.nan
    if drawn is not None:
        rows["ci_low"], rows["ci_high"] = np.quantile(drawn, EDGES, axis=0)
        rows["rank_low"], rows["rank_high"] = np.quantile(rankdata(-drawn, axis=1), EDGES, axis=0)
    return rows.sort_values("rank", kind="stable")


def expression(
    X: pd.DataFrame, y: Iterable[str], srnas: Iterable[str] | None = None, *, scale: bool = False
) -> pd.DataFrame:
    """Mean expression of sRNAs per class, to stand beside their scores (the paper's Figure 11).

    `X` holds raw counts of whole libraries (the normalisation needs them all), `srnas` says which to give. Mean
    log2(CPM + 1); with `scale` each sRNA is first brought to 0..1 over the samples, as the paper does.
    """
    names = list(X.columns if srnas is None else srnas)
    absent = [name for name in names if name not in X.columns]
    if absent:
        raise InputError(f"expression: {len(absent)} of {len(names)} sRNAs have no counts (first: {absent[0]!r}).")
    level = pd.DataFrame(LogCPM().fit_transform(X), index=X.index, columns=X.columns)[names]
    if scale:
        low, span = level.min(), level.max() - level.min()
        level = (level - low) / span.where(span > 0, 1.0)
    return level.groupby(np.asarray(list(y), dtype=object)).mean().rename_axis("class")
