"""Rankings of sRNAs: the best of each class, averages over runs, agreement, precision against a known truth.

A table of scores has one row per class and one column per sRNA, larger is more important. Rank 1 is the most important.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.data import MADE_FROM
from srna_lib.errors import InputError

TOP = 300  # sRNAs per class in the paper's D1 lists


def ranks(scores: pd.DataFrame) -> pd.DataFrame:
    """Rank the sRNAs of each class: equal scores share their mean rank, sRNAs without a score the last ranks."""
    return scores.astype(float).fillna(-np.inf).rank(axis=1, ascending=False)


def top_features(scores: pd.DataFrame, n: int = TOP) -> pd.DataFrame:
    """List the `n` best sRNAs of each class of `scores`, the paper's 300 by default: ``class, rank, srna, score``.

    Rank counts 1, 2, ... in order of the table where scores are equal.

    Examples
    --------
    >>> top_features(pd.DataFrame([[1, 3, 2]], index=["brain"], columns=list("abc")), 2)["srna"].tolist()
    ['b', 'c']
    """
    if n < 1:
        raise InputError(f"n={n}: no list has so few sRNAs; expected at least 1.")
    parts = []
    for name, row in scores.iterrows():
        best = row.dropna().sort_values(ascending=False, kind="stable").head(n)
        columns = {"class": name, "rank": range(1, len(best) + 1), "srna": best.index, "score": best.to_numpy()}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def across_classes(scores: pd.DataFrame) -> pd.Series:
    """Importance of an sRNA for the whole task: its largest score in any class."""
    return scores.max(axis=0).rename("score")


def rank_average(runs: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Average the ranks of several runs (tables of scores, e.g. of seeds), class by class.

    Gives minus the mean rank, so that larger is more important, as in every table of scores. (A rank is the position of
    an sRNA in the sorted list, not the sRNA at a position: averaging the latter is a common mistake.) An sRNA that a
    run lacks shares its last ranks.

    Examples
    --------
    >>> one, other = (pd.DataFrame([row], index=["brain"], columns=list("abc")) for row in ([3, 2, 1], [3, 1, 2]))
    >>> rank_average([one, other]).loc["brain"].tolist()
    [-1.0, -2.5, -2.5]
    """
    tables = list(runs)
    if not tables:
        raise InputError("there is no ranking to average; expected at least one.")
    classes = tables[0].index
    for table in tables[1:]:
        if set(table.index) != set(classes):
            names = ", ".join(sorted(map(str, set(table.index) ^ set(classes)))[:3])
            raise InputError(f"rankings of different classes cannot be compared (not in all: {names}).")
    union = list(dict.fromkeys(name for table in tables for name in table.columns))
    mean = np.mean([ranks(table.reindex(index=classes, columns=union)) for table in tables], axis=0)
    return pd.DataFrame(-mean, index=classes, columns=union)


def agreement(runs: Mapping[str, pd.DataFrame], k: int = 20) -> pd.DataFrame:
    """Compare the rankings of every two runs, class by class.

    Parameters
    ----------
    runs : mapping of name to DataFrame, each of shape (n_classes, n_srnas)
        Scores, e.g. of seeds, of folds or of methods; at least two.
    k : int, default 20
        Length of the lists whose overlap is measured. Overlap grows with `k`, by chance alone to ``k / n_srnas``.

    Returns
    -------
    DataFrame, one row per pair and class
        ``first, second, class, overlap, chance, spearman``: share of the first `k` that both lists name, what
        random lists would share, and the rank correlation of all sRNAs (NaN where a ranking is constant). A class
        that one of the two lacks (all its studies were in the fold left out) has no row for the pair.

    Examples
    --------
    >>> one, other = (pd.DataFrame([row], index=["brain"], columns=list("abc")) for row in ([3, 2, 1], [3, 1, 2]))
    >>> agreement({"one": one, "other": other}, k=2)["overlap"].tolist()
    [0.5]
    """
    if len(runs) < 2:
        raise InputError(f"{len(runs)} rankings cannot agree; expected at least two.")
    union = list(dict.fromkeys(name for table in runs.values() for name in table.columns))
    if not 1 <= k <= len(union):
        raise InputError(f"k={k}: expected a length from 1 to the {len(union)} sRNAs of the ranking.")
    ranked = {name: ranks(table.reindex(columns=union)) for name, table in runs.items()}
    pairs = []
    for a, b in combinations(ranked, 2):
        classes = [c for c in ranked[a].index if c in ranked[b].index]
        if not classes:
            raise InputError(f"the rankings {a!r} and {b!r} have no class in common; expected at least one.")
        one, other = (ranked[name].loc[classes] for name in (a, b))
        first, second = (table.rank(axis=1, method="first").to_numpy() <= k for table in (one, other))
        columns = {"first": a, "second": b, "class": classes, "overlap": (first & second).sum(axis=1) / k}
        columns |= {"chance": k / len(union), "spearman": one.T.corrwith(other.T).to_numpy()}
        pairs.append(pd.DataFrame(columns))
    return pd.concat(pairs, ignore_index=True)


def agreement_matrix(pairs: pd.DataFrame) -> pd.DataFrame:
    """Mean overlap of `agreement` over the classes for every two runs, as a symmetric table with diagonal 1."""
    names = list(dict.fromkeys([*pairs["first"], *pairs["second"]]))
    means = pairs.groupby(["first", "second"])["overlap"].mean().unstack().reindex(index=names, columns=names)
    square = np.nan_to_num(means.to_numpy())
    return pd.DataFrame(square + square.T + np.eye(len(names)), index=names, columns=names)


def true_biomarkers(atlas: ad.AnnData, label: str = "tissue_group") -> set[str]:
    """True biomarkers of a label in a simulated atlas; empty where the atlas is real or knows none for this label."""
    return set(_truth(atlas, label)["srna"])


def strongest_biomarkers(atlas: ad.AnnData, label: str, classes: Iterable[str], n: int = 3) -> pd.DataFrame:
    """The `n` true biomarkers that rise most in each class of a simulated atlas, as `markers` gives them.

    ``list`` (class) and ``mirna`` (sRNA of any kind); no row where the atlas is real.
    """
    truth = _truth(atlas, label)
    rising = truth[(truth["direction"] > 0) & truth["label"].isin(list(classes))]
    best = rising.sort_values(["label", "log2_effect"], ascending=[True, False], kind="stable")
    best = best.groupby("label").head(n).rename(columns={"label": "list", "srna": "mirna"})
    return best[["list", "mirna"]].reset_index(drop=True)


def precision_at_k(scores: pd.Series, truth: Iterable[str]) -> float:
    """Share of true biomarkers among the K best sRNAs, K being the number of true ones, so 1 means all.

    An sRNA without a score (NaN, a filter dropped it) comes last. A random ranking reaches the share of true biomarkers
    among all sRNAs.
    """
    known = set(truth)
    if not known:
        raise InputError("precision at K: there is no true biomarker to find; expected at least one.")
    best = scores.dropna().sort_values(ascending=False, kind="stable").index[: len(known)]
    return sum(name in known for name in best) / len(known)


def _truth(atlas: ad.AnnData, label: str) -> pd.DataFrame:
    """Biomarkers of a label in a simulated atlas (intervals of age have those of age); no rows where it is real."""
    none = pd.DataFrame(columns=["task", "label", "srna", "direction", "log2_effect"])
    truth = atlas.uns.get("srna", {}).get("truth", none)
    return truth[truth["task"] == ("age" if label in MADE_FROM else label)]
