"""Classes of a table of flips as a matrix, and the order in which they stand there."""

from __future__ import annotations

import numpy as np
import pandas as pd


def matrix(table: pd.DataFrame, value: str = "mean", classes: list[str] | None = None) -> pd.DataFrame:
    """A table of pairs as own x other; the diagonal is missing."""
    wide = table.pivot(index="own", columns="other", values=value)
    order = sorted(set(table["own"]) | set(table["other"])) if classes is None else classes
    return wide.reindex(index=[c for c in order if c in wide.index], columns=order)


def class_order(table: pd.DataFrame, parents: dict[str, str] | None = None) -> list[str]:
    """Order classes for a matrix: by parent where a hierarchy is known, else by who flips into whom soonest.

    Parameters
    ----------
    table : DataFrame
        From `flip_tables.class_table`.
    parents : dict, optional
        Class -> parent; classes that it does not hold go last.

    Returns
    -------
    list of str
    """
    classes = sorted(set(table["own"]) | set(table["other"]))
    if parents and len({parents.get(c, c) for c in classes}) < len(classes):
        return sorted(classes, key=lambda c: (parents.get(c, "~"), c))
    if len(classes) < 3:
        return classes
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    wide = matrix(table.assign(way=table["share"].fillna(1.0) * (1 - table["censored"]) + table["censored"]), "way")
    way = wide.reindex(index=classes, columns=classes).fillna(1.0).to_numpy(copy=True)
    way = (way + way.T) / 2
    np.fill_diagonal(way, 0)
    condensed = squareform(way, checks=False)
    return [classes[i] for i in leaves_list(optimal_leaf_ordering(linkage(condensed, "average"), condensed))]


def parents_of(obs: pd.DataFrame, label: str, parent: str = "tissue_top") -> dict[str, str]:
    """Most frequent parent of each class, from the samples' own columns; empty where the atlas names none."""
    if parent not in obs or label == parent:
        return {}
    known = obs[[label, parent]].dropna().astype(str)
    return known.groupby(label)[parent].agg(lambda names: names.mode().iloc[0]).to_dict()
