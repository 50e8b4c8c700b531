"""A table of counts, either way round: which axis holds sRNAs, which columns are numbers, which names repeat."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from srna_lib.axis_names import annotate, check_names, share_of_srnas
from srna_lib.errors import ReadError
from srna_lib.tables import Table
from srna_lib.unpack import short

NUMBER = re.compile(r"[+-]?[\d][\d.,' ]*(?:[eE][+-]?\d+)?|[+-]?inf(?:inity)?", re.IGNORECASE)
LOCUS = {"precursor", "hairpin", "locus", "loci", "parent", "chr", "chrom", "chromosome", "start", "end", "stop",
         "location", "position", "coordinates", "accession", "id", "mimat", "strand"}  # fmt: skip
NO_SAMPLE = LOCUS | {"width", "length", "total", "sum", "mean", "average", "median", "score", "gene_id", "biotype",
                     "sequence", "seq", "family", "type", "class", "index", "rank", "description"}  # fmt: skip
DIFFERENTIAL = {"log2foldchange", "logfc", "padj", "adj.p.val", "fdr", "pvalue", "p.value"}
OBS_NAMES = {"tissue", "organ", "sex", "gender", "age", "age_years", "dataset_id", "dataset", "study", "study_id",
             "batch", "donor", "donor_id", "patient", "patient_id", "subject", "subject_id", "cell_type", "platform",
             "tissue_group", "label", "group", "condition", "diagnosis", "disease"}  # fmt: skip
NORMALISED_COLUMN = re.compile(
    r"(?:[ _.(-])(?:norm|normalized|normalised|rpm|cpm|tpm|rpkm|fpkm|log2)\)?$", re.IGNORECASE
)


@dataclass
class Parsed:
    """What a layout yields.

    Attributes
    ----------
    counts : DataFrame, shape (n_samples, n_srnas), float64
        Values as they stand in the file, samples in rows.
    obs : DataFrame, shape (n_samples, ...)
        What the file itself says about samples; may have no column.
    var : DataFrame, shape (n_srnas, ...)
        Annotation with ``biotype``; rows follow `counts`.
    notes : list of str
        What was understood, mended or left out.
    normalised : str
        Why the layout is known to hold no counts; ``""`` where it holds them.
    info : dict
        Title, citation and the like, where the file carries them.
    """

    counts: pd.DataFrame
    obs: pd.DataFrame = field(default_factory=pd.DataFrame)
    var: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: list[str] = field(default_factory=list)
    normalised: str = ""
    info: dict[str, Any] = field(default_factory=dict)


def count_table(table: Table, samples: set[str] | None = None, what: str = "sRNA") -> Parsed:
    """Read a plain table whichever way round it lies.

    sRNAs are on the axis whose names look more like sRNAs. Where neither does, known sample names decide.

    Parameters
    ----------
    table : Table
        The file.
    samples : set of str, optional
        Sample names that the metadata lists.
    what : str, default "sRNA"
        What the features are called in sentences.

    Returns
    -------
    Parsed
        Counts with samples in rows.

    Raises
    ------
    ReadError
        Axes that cannot be told apart, cells that are no numbers, missing cells or names, repeated names.
    """
    lowered = [c.lower() for c in table.columns]
    if len(DIFFERENTIAL & set(lowered)) >= 2:
        raise ReadError(
            f"{table.name}: the columns {', '.join(sorted(DIFFERENTIAL & set(lowered)))} make this a table of"
            " differential expression; expected raw counts of each sample."
        )
    notes = list(table.notes)
    names_at = _names_column(table, notes)
    index = _labels(table, names_at)
    others = [i for i in range(len(table.columns)) if i != names_at and not _row_numbers(table, i, names_at)]
    header = [table.columns[i] for i in others]
    down, across = share_of_srnas(index), share_of_srnas([h for h in header if h.lower() not in OBS_NAMES | NO_SAMPLE])
    if down == across:
        known = samples or set()
        down, across = float(len(known & set(header))), float(len(known & set(index)))
    if down == across:
        raise ReadError(
            f"{table.name}: neither rows (first {short(index[0], 30)!r}) nor columns (first {short(header[0], 30)!r})"
            f" can be told to be {what} names; expected names such as hsa-miR-21-5p on one axis, or metadata that"
            " lists the samples."
        )
    if down > across:
        notes.append(f"{what}s in rows, samples in columns")
        return _features_in_rows(table, index, (names_at, others), notes, what)
    notes.append(f"samples in rows, {what}s in columns")
    return _samples_in_rows(table, index, others, notes, what)


def numbers(table: Table, column: int, labels: list[str]) -> pd.Series | None:
    """Cells of a column as float64, or None for a column of text.

    Parameters
    ----------
    table : Table
        The file.
    column : int
        Position.
    labels : list of str
        Row names, for the sentence about a cell that is no number.

    Raises
    ------
    ReadError
        When numbers and text are mixed, or numbers are written with a decimal comma or thousands marks.
    """
    cells = table.frame[column]
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells):
        return cells.astype(np.float64)
    text = cells.dropna().astype(str).str.strip()
    like = text.str.fullmatch(NUMBER)
    if not like.any():
        return None
    values = pd.to_numeric(text, errors="coerce").astype(np.float64)
    if values.isna().any():
        at = values.index[values.isna()][0]
        found = str(text[at])
        why = "no number"
        if re.fullmatch(r"[+-]?\d{1,3}([,' ]\d{3})+(\.\d+)?", found):
            why = "a number with thousands marks"
        elif re.fullmatch(r"[+-]?\d+,\d+", found):
            why = "a number with a decimal comma"
        raise ReadError(
            f"{table.name}: column {short(table.columns[column], 40)!r}, row {short(labels[at], 40)!r} holds"
            f" {short(found, 30)!r}, {why} ({int(values.isna().sum())} such cells in the column); expected plain"
            " whole numbers."
        )
    return values.reindex(cells.index)


def merge_repeats(counts: pd.DataFrame, name: str, loci: pd.DataFrame | None, notes: list[str]) -> pd.DataFrame:
    """One row per sRNA.

    Rows that repeat a name with the very same counts are the same reads listed again: kept once. Rows with
    different counts are summed where a column (precursor, locus, accession) tells them apart, else refused.

    Parameters
    ----------
    counts : DataFrame, shape (n_rows, n_samples)
        Index = sRNA names, possibly repeated.
    name : str
        The file.
    loci : DataFrame, shape (n_rows, ...), optional
        Columns that tell rows of one name apart.
    notes : list of str
        Receives what was done.

    Returns
    -------
    DataFrame, shape (n_srnas, n_samples)
        Order of first appearance.
    """
    if counts.index.is_unique:
        return counts
    again = counts.reset_index().duplicated().to_numpy()
    kept = counts[~again]
    if again.any():
        notes.append(f"{int(again.sum())} rows that repeat a name and its counts kept once")
    if kept.index.is_unique:
        return kept
    twice = kept.index[kept.index.duplicated()].unique()
    apart = None if loci is None or loci.empty else loci[~again]
    if apart is None or pd.concat([apart, pd.Series(kept.index, index=apart.index)], axis=1).duplicated().any():
        raise ReadError(
            f"{name}: {len(twice)} sRNAs appear twice with different counts (first {short(str(twice[0]), 40)!r});"
            " expected each once, or a column (precursor, locus) that tells the rows apart so that they can be summed."
        )
    notes.append(f"{len(twice)} sRNAs summed over their loci")
    return kept.groupby(level=0, sort=False).sum()


def _names_column(table: Table, notes: list[str]) -> int:
    """Position of the row names: the first column, unless it numbers rows and a later one holds sRNA names."""
    text = [i for i in range(len(table.columns)) if not pd.api.types.is_numeric_dtype(table.frame[i])]
    scores = {i: share_of_srnas(table.frame[i].dropna().astype(str).tolist()) for i in text}
    best = max(scores, key=lambda i: (scores[i], -i), default=0)
    if best != 0 and scores[best] > 0.5 and scores[best] > scores.get(0, 0.0):
        notes.append(f"names taken from column {short(table.columns[best], 30)!r}")
        return best
    return 0


def _row_numbers(table: Table, column: int, names_at: int) -> bool:
    """Whether the first column only counts the rows beside names that stand further right."""
    if column != 0 or names_at == 0:
        return False
    values = pd.to_numeric(table.frame[0], errors="coerce").to_numpy(dtype=float)
    return bool(len(values)) and any(np.array_equal(values, np.arange(s, s + len(values))) for s in (0, 1))


def _labels(table: Table, column: int) -> list[str]:
    return ["" if pd.isna(v) else str(v).strip() for v in table.frame[column]]


def _filled(data: pd.DataFrame, name: str, rows: str, columns: str) -> None:
    """Refuse empty columns and missing cells; a count table says 0 where nothing was read."""
    missing = data.isna()
    if not missing.to_numpy().any():
        return
    for axis, what in ((0, columns), (1, rows)):
        empty = missing.all(axis=axis)
        if empty.any():
            raise ReadError(
                f"{name}: {int(empty.sum())} {what}s hold no value (first {short(str(empty.index[empty][0]), 40)!r});"
                " expected a count in every cell, 0 where nothing was read."
            )
    i, j = np.argwhere(missing.to_numpy())[0]
    number, row, column = int(missing.to_numpy().sum()), short(str(data.index[i]), 40), short(str(data.columns[j]), 40)
    raise ReadError(
        f"{name}: {number} cells are empty or missing (first: {rows} {row!r}, {columns} {column!r});"
        " expected a count in every cell, 0 where nothing was read."
    )


def _split(table: Table, others: list[int], labels: list[str], apart: set[str]) -> tuple[dict[int, Any], list[int]]:
    """Columns of numbers by position, and the rest: text, and names in `apart`."""
    data: dict[int, Any] = {}
    rest = []
    for i in others:
        values = None if table.columns[i].lower() in apart else numbers(table, i, labels)
        if values is None and table.frame[i].isna().all() and table.columns[i].lower() not in apart:
            values = pd.Series(np.nan, index=table.frame.index)
        if values is None:
            rest.append(i)
        else:
            data[i] = values
    if not data:
        raise ReadError(f"{table.name}: no column holds numbers; expected columns of counts beside the names.")
    return data, rest


def _features_in_rows(
    table: Table, index: list[str], places: tuple[int, list[int]], notes: list[str], what: str
) -> Parsed:
    names_at, others = places
    data, rest = _split(table, [i for i in others if i > names_at], index, NO_SAMPLE)
    before = [i for i in others if i < names_at]  # what stands before the names says where they lie, as in BED files
    rest = [*before, *rest]
    marked = [i for i in data if NORMALISED_COLUMN.search(table.columns[i])]
    normalised = ""
    if marked and len(marked) < len(data):
        notes.append(f"{len(marked)} normalised columns left out (first {short(table.columns[marked[0]], 30)!r})")
        data = {i: values for i, values in data.items() if i not in set(marked)}
    elif marked:
        normalised = f"every column is named as normalised (first {short(table.columns[marked[0]], 30)!r})"
    if rest:
        listed = ", ".join(short(table.columns[i], 20) or "unnamed" for i in rest[:5])
        notes.append(f"{len(rest)} annotation columns left aside ({listed})")
    samples = [table.columns[i] for i in data]
    check_names(samples, "sample", table.name)
    check_names(index, what, table.name)
    frame = pd.DataFrame(np.column_stack([v.to_numpy() for v in data.values()]), index=index, columns=samples)
    _filled(frame, table.name, what, "sample")
    loci = [i for i in rest if i in before or table.columns[i].lower() in LOCUS]
    apart = table.frame[loci].set_axis(frame.index) if loci else None
    if apart is not None and not frame.index.is_unique:
        apart.index = frame.index
    frame = merge_repeats(frame, table.name, apart, notes)
    return Parsed(frame.T, var=annotate(frame.T), notes=notes, normalised=normalised)


def _samples_in_rows(table: Table, index: list[str], others: list[int], notes: list[str], what: str) -> Parsed:
    data, rest = _split(table, others, index, OBS_NAMES)
    obs = pd.DataFrame({table.columns[i]: table.frame[i].to_numpy() for i in rest}, index=index)
    if rest:
        notes.append(f"sample columns beside the counts: {', '.join(short(table.columns[i], 20) for i in rest[:8])}")
    features = [table.columns[i] for i in data]
    check_names(index, "sample", table.name)
    check_names(features, what, table.name)
    frame = pd.DataFrame(np.column_stack([v.to_numpy() for v in data.values()]), index=index, columns=features)
    _filled(frame, table.name, "sample", what)
    counts = merge_repeats(frame.T, table.name, None, notes).T
    return Parsed(counts, obs=obs, var=annotate(counts), notes=notes)
