"""Labels of the public sets in one vocabulary: tissue, group, top level, ontology term, lineage."""

from __future__ import annotations

import difflib
from functools import cache
from importlib import resources

import numpy as np
import pandas as pd

from srna_lib.errors import InputError

LEVELS = ("tissue", "tissue_group", "tissue_top")
RENAMED = {"ontology_id": "tissue_ontology_term_id", "reason": "label_reason"}
ANNOTATED = (*LEVELS, "tissue_ontology_term_id", "lineage", "in_vitro_derived", "is_cell_line", "label_reason")


@cache
def _table() -> pd.DataFrame:
    file = resources.files("srna_lib").joinpath("resources/tissues.tsv")
    with file.open(encoding="utf-8") as handle:
        table = pd.read_csv(handle, sep="\t", dtype=str, keep_default_na=False)
    flags = ["in_vitro_derived", "is_cell_line"]
    text = [c for c in table.columns if c not in flags]
    table[text] = table[text].astype(object).replace("", np.nan)
    table[flags] = table[flags] == "True"
    return table


def tissue_table() -> pd.DataFrame:
    """Every label of every public data set, and what it means.

    Written by ``scripts/make_tissue_table.py`` from a hand-made list and the ontologies UBERON (tissues), CL (cells)
    and Cellosaurus (cell lines), whose identifiers and names it quotes (CC BY 3.0, CC BY 4.0, CC BY 4.0).

    Returns
    -------
    DataFrame, one row per (source, label)
        ``source`` (data set), ``label`` (as the source writes it), ``tissue`` (plain name of tissue, cell type or
        line), ``ontology_id``, ``ontology_name`` (the ontology's own name), ``tissue_group``, ``tissue_top``,
        ``group_root`` (ancestor that confirms the group), ``lineage``, ``lineage_root`` (ancestor that the lineage
        follows from), ``in_vitro_derived`` (made from stem or progenitor cells in culture, as label or paper says),
        ``is_cell_line`` (an established line in the sense of Cellosaurus, which includes pluripotent stem cells),
        ``reason`` (why a level is empty: ``"group: ...; lineage: ...; ontology: ..."``) and ``note`` (why a level
        is what it is where the ontology alone does not say). Empty is NaN; the two flags are bool.
    """
    return _table().copy()


def annotate_labels(obs: pd.DataFrame, source: str, label_column: str, *, strict: bool = False) -> pd.DataFrame:
    """Add tissue, group, ontology term and lineage to samples by their label.

    Parameters
    ----------
    obs : DataFrame, shape (n_samples, ...)
        Sample metadata; it is not changed.
    source : str
        Data set that the labels come from, e.g. ``"mirome"``: the same word may mean different things in two sets.
    label_column : str
        Column of `obs` with the label as the source writes it; missing labels stay missing. For
        ``"tissue_atlas2"`` both the organ alone and ``organ__subregion`` are labels; the latter says more.
    strict : bool, default False
        True raises on a label that the table does not hold. False leaves its levels NaN and lists it in
        ``attrs["unknown_labels"]`` of the result.

    Returns
    -------
    DataFrame, shape (n_samples, ... + 8)
        `obs` with ``tissue``, ``tissue_group``, ``tissue_top``, ``tissue_ontology_term_id``, ``lineage``,
        ``label_reason`` (object, NaN where empty), ``in_vitro_derived`` and ``is_cell_line`` (bool; object with NaN
        where a label is unknown). Columns of these names are replaced, `label_column` too if it is one of them:
        copy it first to keep the source's spelling. ``attrs["unknown_labels"]`` is a list of str.

    Raises
    ------
    InputError
        Unknown source, no such column, or with `strict` an unknown label.
    """
    table = _table()
    sources = sorted(table["source"].unique())
    if source not in sources:
        raise InputError(f"unknown source of labels {source!r}: expected one of {', '.join(sources)}.")
    if label_column not in obs:
        raise InputError(
            f"{source}: the field obs[{label_column!r}] is missing (found: {', '.join(map(str, obs.columns))});"
            " expected a column of labels."
        )
    known = table[table["source"] == source].set_index("label").rename(columns=RENAMED)
    labels = obs[label_column].astype(object)
    unknown = sorted(set(labels.dropna().astype(str)) - set(known.index))
    if unknown and strict:
        close = difflib.get_close_matches(unknown[0], known.index, n=1)
        raise InputError(
            f"{source}: {len(unknown)} labels of obs[{label_column!r}] are not in the table of tissues (first:"
            f" {unknown[0]!r}{f', close to {close[0]!r}' if close else ''}); expected one of {len(known)} known labels."
        )
    found = known[list(ANNOTATED)].reindex(labels.where(labels.isna(), labels.astype(str)))
    found.index = obs.index
    if not found["is_cell_line"].isna().any():
        found = found.astype({"in_vitro_derived": bool, "is_cell_line": bool})
    result = obs.assign(**{column: found[column] for column in ANNOTATED})
    result.attrs["unknown_labels"] = unknown
    return result


def hierarchy() -> pd.DataFrame:
    """Tissue groups and the top level above each.

    Returns
    -------
    DataFrame, one row per group
        ``tissue_group``, ``tissue_top``, sorted by both.
    """
    pairs = _table()[["tissue_group", "tissue_top"]].dropna().drop_duplicates()
    return pairs.sort_values(["tissue_top", "tissue_group"], ignore_index=True)


def parents(group: str) -> tuple[str, ...]:
    """Levels above a tissue group, from near to far.

    Parameters
    ----------
    group : str
        A tissue group such as ``"liver"``.

    Returns
    -------
    tuple of str
        Today one level: ``("epithelial",)``.

    Raises
    ------
    InputError
        Unknown group.
    """
    tops = dict(hierarchy().itertuples(index=False, name=None))
    if group not in tops:
        close = difflib.get_close_matches(group, tops, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise InputError(f"unknown tissue group {group!r}: expected one of {', '.join(sorted(tops))}{hint}")
    return (tops[group],)


def children(top: str) -> tuple[str, ...]:
    """Tissue groups below a top level, sorted.

    Raises
    ------
    InputError
        Unknown top level.
    """
    pairs = hierarchy()
    groups = tuple(pairs.loc[pairs["tissue_top"] == top, "tissue_group"])
    if not groups:
        raise InputError(f"unknown top level {top!r}: expected one of {', '.join(pairs['tissue_top'].unique())}.")
    return groups


def levels_of(source: str, label: str) -> tuple[str, ...]:
    """From a source's label up to the top level: (tissue, group, top); levels that are empty are left out.

    Raises
    ------
    InputError
        Unknown source or label.
    """
    row = annotate_labels(pd.DataFrame({"label": [label]}), source, "label", strict=True).iloc[0]
    return tuple(row[level] for level in LEVELS if isinstance(row[level], str))
