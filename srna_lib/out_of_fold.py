"""Out-of-fold tables: what they must hold, and two of them side by side."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from srna_lib.errors import InputError

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
