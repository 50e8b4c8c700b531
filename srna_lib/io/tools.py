"""Layouts of count tables: plain tables, 10x-style matrices, GEO series, and the tools that count small RNAs."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from srna_lib.errors import ReadError
from srna_lib.io.tables import (
    MAX_CELLS,
    Table,
    annotate,
    check_names,
    decode,
    guess_biotype,
    parse,
    parse_text,
    share_of_srnas,
)
from srna_lib.io.unpack import COMPRESSED, load, short, stem

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


MTX_NAMES = (("features.tsv", "genes.tsv", "features.txt"), ("barcodes.tsv", "samples.tsv", "barcodes.txt"))
MTX_KINDS = (["integer", "general"], ["real", "general"])
GSM = re.compile(r"GSM\d+")
COUNT_WORD = re.compile(r"count|raw|reads", re.IGNORECASE)


def mtx(path: Path) -> tuple[Parsed, str]:
    """10x-style matrix: ``matrix.mtx`` beside ``features.tsv`` (or ``genes.tsv``) and ``barcodes.tsv``, each maybe gz.

    Features are rows and samples columns; the name of a feature is in the second column where there is one, else the
    first (10x Genomics, Cell Ranger "Feature-barcode matrices", MEX). The matrix follows NIST's Matrix Market
    text format: ``%%MatrixMarket matrix coordinate integer|real general``, comments, sizes, then 1-based entries.

    Parameters
    ----------
    path : Path
        The folder or the matrix in it.

    Returns
    -------
    parsed : Parsed
        Counts with samples in rows.
    sha256 : str
        Of the matrix file.

    Raises
    ------
    ReadError
        A file of the three is missing, sizes do not agree, or entries lie outside the matrix.
    """
    folder = path if path.is_dir() else path.parent
    matrix = path if path.is_file() else _first(folder, ("matrix.mtx",))
    if matrix is None:
        raise ReadError(f"{path}: the folder holds no matrix.mtx; expected matrix.mtx, features.tsv and barcodes.tsv.")
    source = load(matrix)
    text, notes = decode(source)
    axes = []
    for names in MTX_NAMES:
        beside = _first(folder, names)
        if beside is None:
            raise ReadError(f"{folder}: {matrix.name} has no {names[0]} beside it; expected {' or '.join(names[:2])}.")
        axes.append(_name_list(beside))
    rows, columns = axes
    values = _matrix_market(text, source.name, (len(rows), len(columns)))
    frame = pd.DataFrame(values, index=rows, columns=columns)
    if share_of_srnas(columns) > share_of_srnas(rows):
        frame = frame.T
        notes.append("sRNAs stood in the barcodes: turned round")
    check_names([str(c) for c in frame.columns], "sample", source.name)
    check_names([str(i) for i in frame.index], "sRNA", source.name)
    frame = merge_repeats(frame, source.name, None, notes)
    return Parsed(frame.T, var=annotate(frame.T), notes=[*source.notes, *notes]), source.sha256


def geo_samples(text: str, name: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Sample table and series facts of a GEO series matrix.

    Lines are ``!Series_<key>`` with values and ``!Sample_<key>`` with one value per sample; ``characteristics_ch1``
    repeats and holds ``tag: value`` (NCBI GEO, "SOFT and MINiML formats"; Bioconductor GEOquery
    ``parseGSEMatrix``). A sample may lack a tag that others have, so tags are read cell by cell.

    Parameters
    ----------
    text : str
        Content of ``GSE*_series_matrix.txt``.
    name : str
        The file.

    Returns
    -------
    samples : DataFrame, shape (n_samples, ...)
        Index = GSM accessions.
    series : dict
        First value of each series key; ``supplementary_file`` holds all, one per line.
    """
    series: dict[str, str] = {}
    columns: dict[str, list[str]] = {}
    tags: list[dict[str, str]] = []
    try:
        for row in csv.reader((li for li in text.split("\n") if li.startswith("!")), delimiter="\t"):
            key, values = row[0], [v.strip() for v in row[1:]]
            if key == "!Series_supplementary_file":
                series["supplementary_file"] = "\n".join(
                    [*series.get("supplementary_file", "").split(), *values]
                ).strip()
            elif key.startswith("!Series_") and values:
                series.setdefault(key.removeprefix("!Series_"), values[0])
            elif key.startswith("!Sample_characteristics"):
                tags = tags or [{} for _ in values]
                for found, value in zip(tags, values, strict=False):
                    tag, colon, content = value.partition(":")
                    if colon and content.strip():
                        found.setdefault(tag.strip(), content.strip())
            elif key.startswith("!Sample_"):
                columns.setdefault(key.removeprefix("!Sample_"), values)
    except csv.Error as error:
        raise ReadError(f"{name}: the !Sample_ lines cannot be parted ({short(str(error))}); expected tabs.") from error
    accessions = columns.pop("geo_accession", [])
    if not accessions or len(set(accessions)) != len(accessions):
        raise ReadError(f"{name}: no line !Sample_geo_accession with one GSM per sample; expected a GEO series matrix.")
    fitting = {k: v for k, v in columns.items() if len(v) == len(accessions)}
    wanted = ("title", "source_name_ch1", "organism_ch1", "platform_id", "instrument_model", "description")
    frame = pd.DataFrame({k: fitting[k] for k in wanted if k in fitting}, index=accessions)
    if len(tags) == len(accessions):
        told = pd.DataFrame(tags, index=accessions)
        frame = frame.join(told[[c for c in told if c not in frame]])
    return frame, series


def geo_series_matrix(path: Path) -> tuple[Parsed, str]:
    """GEO series matrix with its table, or with the supplementary count table that lies beside it.

    For sequencing, the table between ``!series_matrix_table_begin`` and ``_end`` is empty and counts are in a
    supplementary file. That file is looked for beside the series matrix: by the names that
    ``!Series_supplementary_file`` lists, then as ``GSE..._*count*``, ``*raw*`` or ``*reads*``. Its columns are
    matched to GSM accessions or to titles. ``*_RAW.tar`` with a file per sample is not unpacked.

    Parameters
    ----------
    path : Path
        ``GSE*_series_matrix.txt``, maybe gz.

    Returns
    -------
    parsed : Parsed
        Counts with samples in rows; ``dataset_id`` is the GSE accession.
    sha256 : str
        Of the file that holds the counts.
    """
    source = load(path)
    text, _ = decode(source)
    samples, series = geo_samples(text, source.name)
    inside = text.partition("!series_matrix_table_begin\n")[2].partition("!series_matrix_table_end")[0].strip("\n")
    known = set(samples.index) | set(samples.get("title", pd.Series(dtype=str)))
    if inside.count("\n") >= 1:
        parsed, sha256, where = count_table(parse_text(inside, source.name), known), source.sha256, "its own table"
    else:
        beside = _supplementary(path, series)
        found = load(beside)
        parsed, sha256, where = count_table(parse(found), known), found.sha256, beside.name
    accession = series.get("geo_accession", "") or stem(path).split("_")[0]
    parsed.obs = _match(parsed.counts.index, samples, source.name).assign(dataset_id=accession)
    parsed.notes = [f"GEO series {accession}, counts from {where}", *parsed.notes]
    parsed.info = {"title": series.get("title", accession), "citation": f"GEO {accession}"}
    return parsed, sha256


def _match(names: pd.Index, samples: pd.DataFrame, file: str) -> pd.DataFrame:
    """Rows of the sample table in the order of the counts: by accession, title, or a title's last word."""
    keys = [("accession", pd.Series(samples.index, index=samples.index))]
    keys += [(c, samples[c]) for c in ("title", "description") if c in samples]
    if "title" in samples:
        keys.append(("title", samples["title"].str.split(r"[:;,\s\[\]]+").str[-1]))
    best: dict[str, str] = {}
    for _, values in keys:
        place = {v: gsm for gsm, v in values.items() if not values.duplicated(keep=False)[gsm]}
        found = {n: place[n] for n in names if n in place}
        embedded = {n: m.group() for n in names if (m := GSM.search(n)) and m.group() in samples.index}
        best = max(best, found, embedded, key=len)
    if not best:
        raise ReadError(
            f"{file}: none of the {len(names)} count columns (first {short(str(names[0]), 40)!r}) is a GSM accession or"
            f" sample title of it (first {short(str(samples.index[0]), 40)!r}); expected the same samples."
        )
    frame = samples.reindex([best.get(n) for n in names])
    frame["geo_accession"] = [best.get(n, np.nan) for n in names]
    return frame.set_axis(names)


def _supplementary(path: Path, series: dict[str, str]) -> Path:
    listed = [url.rsplit("/", 1)[-1] for url in series.get("supplementary_file", "").split()]
    tables = [n for n in listed if n and not n.lower().endswith((".tar", ".tgz", "none"))]
    for name in sorted(tables, key=lambda n: COUNT_WORD.search(n) is None):
        for suffix in ("", *COMPRESSED):
            for found in (path.parent / name.removesuffix(".gz"), path.parent / (name + suffix)):
                if found.is_file():
                    return found
    accession = series.get("geo_accession", "") or stem(path).split("_")[0]
    beside = sorted(
        f for f in path.parent.glob(f"{_literal(accession)}[_.]*")
        if f.is_file() and f != path and "series_matrix" not in f.name and COUNT_WORD.search(f.name)
        and not f.name.lower().endswith(".tar")
    )  # fmt: skip
    if beside:
        return beside[0]
    wanted = ", ".join(short(n, 40) for n in listed[:3]) or f"{accession}_counts.txt.gz"
    raise ReadError(
        f"{path}: its table is empty, as usual for sequencing, and no supplementary count table lies beside it (it"
        f" lists {wanted}); expected that file, unpacked where it is a .tar, in the same folder."
    )


def _literal(text: str) -> str:
    return re.sub(r"([\[\]*?])", r"[\1]", text)


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((p for n in names for s in ("", *COMPRESSED) if (p := folder / (n + s)).is_file()), None)


def _name_list(path: Path) -> list[str]:
    source = load(path)
    text, _ = decode(source)
    rows = [line.split("\t") for line in text.split("\n") if line.strip()]
    symbol = all(len(r) > 1 for r in rows)
    picked = [r[1 if symbol else 0].strip().strip('"') for r in rows]
    if symbol and share_of_srnas([r[0].strip() for r in rows]) > share_of_srnas(picked):
        picked = [r[0].strip().strip('"') for r in rows]
    return picked


def _matrix_market(text: str, name: str, shape: tuple[int, int]) -> np.ndarray:
    head, _, rest = text.partition("\n")
    words = head.lower().split()
    if words[:3] != ["%%matrixmarket", "matrix", "coordinate"] or words[3:] not in MTX_KINDS:
        raise ReadError(
            f"{name}: the first line is {short(head, 50)!r}; expected %%MatrixMarket matrix coordinate integer general."
        )
    lines = [li for li in rest.split("\n") if li.strip() and not li.startswith("%")]
    sizes = lines[0].split() if lines else []
    if len(sizes) != 3 or not all(s.isdecimal() and len(s) < 16 for s in sizes):
        raise ReadError(f"{name}: the line of sizes is missing; expected rows, columns and entries.")
    n_rows, n_columns, n_entries = map(int, sizes)
    if (n_rows, n_columns) != shape or n_rows * n_columns > MAX_CELLS:
        raise ReadError(
            f"{name}: the matrix is {n_rows} x {n_columns} where features and barcodes name {shape[0]} x {shape[1]};"
            f" expected them alike, and at most {MAX_CELLS} cells."
        )
    if n_entries != len(lines) - 1:
        raise ReadError(f"{name}: {len(lines) - 1} entries where {n_entries} are announced; expected a whole file.")
    values = np.zeros(shape)
    if not n_entries:
        return values
    try:
        entries = np.loadtxt(io.StringIO("\n".join(lines[1:])), ndmin=2, dtype=np.float64)
    except ValueError as error:
        raise ReadError(f"{name}: an entry is no number ({short(str(error))}); expected row, column, count.") from error
    if entries.shape[1] != 3 or (entries[:, :2] != np.floor(entries[:, :2])).any():
        raise ReadError(f"{name}: entries of {entries.shape[1]} numbers; expected row, column and count.")
    i, j = entries[:, 0] - 1, entries[:, 1] - 1
    if not ((i >= 0) & (i < n_rows) & (j >= 0) & (j < n_columns)).all():
        raise ReadError(f"{name}: entries lie outside the {n_rows} x {n_columns} matrix; expected indices from 1.")
    places = i.astype(int) * n_columns + j.astype(int)
    if len(np.unique(places)) != len(places):
        raise ReadError(f"{name}: a cell of the matrix is given twice; expected each once.")
    values.ravel()[places] = entries[:, 2]
    return values


CONTAMINANTS = re.compile(r"contaminant|pathogen|infection", re.IGNORECASE)
OASIS_SUFFIX = "_allspeciesCounts"
MIRTOP_COLUMNS = ("UID", "Read", "miRNA", "Variant", "iso_5p", "iso_3p", "iso_add", "iso_add3p", "iso_add5p", "iso_snp",
                  "iso_5p_nt", "iso_3p_nt", "iso_add_nt", "iso_add3p_nt", "iso_add5p_nt", "iso_snp_nt")  # fmt: skip
SRNABENCH_COLUMNS = ("unique reads", "RPM (lib)", "RPM (total)")


def oasis2(table: Table, samples: set[str] | None = None) -> Parsed:
    """Oasis 2: one sample's count file, or a table of several samples made from such files.

    The sRNA detection module writes ``data/counts/<sample>_allspeciesCounts.txt``: tab separated, no header, name
    and count (Rahman et al. 2018, BMC Bioinformatics 19:54; tutorials ``oasis.ims.bio/manual/de_input.html`` and
    ``classification_input.html``; that there is no header is seen in scripts that read these files). Names are of
    all species, so miRNAs of other species occur. The layout of its contaminant tables is not documented anywhere
    that we found: a file with ``contaminant``, ``pathogen`` or ``infection`` in its name is taken as a table
    of the same kind whose rows are contaminants.
    """
    contaminants = bool(CONTAMINANTS.search(Path(table.name).name))
    what = "contaminant" if contaminants else "sRNA"
    if len(table.columns) == 2:
        parsed = _two_columns(table, _oasis_sample(Path(table.name)), what)
    elif contaminants:
        parsed = _contaminant_table(table, samples)
    else:
        parsed = count_table(table, samples)
    if contaminants:
        parsed.var = annotate(parsed.counts, "contaminant")
    return parsed


def mirge3(table: Table, samples: set[str] | None = None) -> Parsed:
    """miRge3.0: ``miR.Counts.csv``.

    Comma separated, first column ``miRNA``, one column per sample; ``miR.RPM.csv`` has the same shape and holds reads
    per million (miRge3.0 ``mirge/libs/summary.py``, ``mirCounts_completeSet.to_csv`` and ``mirRPM_completeSet``).
    miRge 2 put a row ``miRNAtotal`` first, which is left out. Merged names such as ``hsa-let-7a-5p/7c-5p`` stay.
    """
    labels = table.frame[0].astype(str).str.strip()
    total = (labels == "miRNAtotal").to_numpy()
    parsed = count_table(_rows(table, ~total), samples)
    if total.any():
        parsed.notes.append("the row miRNAtotal of miRge 2 left out")
    if ".rpm" in Path(table.name).name.lower():
        parsed.normalised = "miR.RPM.csv holds reads per million; the counts are in miR.Counts.csv"
    return parsed


def srnabench(table: Table, samples: set[str] | None = None) -> Parsed:
    """sRNAbench: a ``*.grouped`` file of one sample, or the matrix ``*_minExpr<k>_RCadj.mat`` of several.

    Grouped files are tab separated with the header ``name, unique reads, read count, read count (mult. map. adj.),
    RPM (lib), RPM (total), coordinateString, RPM_adj (lib), RPM_adj (total)``; those of single assignment say
    ``read count (SA)`` and ``read count (MA)`` (``getGroupedHeader`` and ``getGroupedSAHeader`` in the Java source).
    Taken is ``read count``, or ``read count (SA)``; the adjusted column shares reads out and is no count. A mature
    that several precursors list is kept once, its highest count, since the same reads map to each.
    The matrix of sRNAde has names in the first column and samples after it; ``RCadj`` may hold fractions, and
    ``*RPM*.mat`` is normalised (file names as in sRNAtoolbox scripts; we found no specification of their cells).
    The sample of a grouped file is its folder, since sRNAbench names all of them alike.
    """
    by_name = {c: i for i, c in enumerate(table.columns)}
    if not {"read count", "read count (SA)"} & set(by_name):
        parsed = count_table(table, samples)
        if "RPM" in Path(table.name).name:
            parsed.normalised = "the file name says reads per million (RPM); the counts are in *_RC.mat or *_RCadj.mat"
        return parsed
    column = "read count" if "read count" in by_name else "read count (SA)"
    path = Path(table.name)
    generic = re.fullmatch(r".*_?(?:sense|antisense)(?:_SA|_singleA)?", stem(path))
    sample = (path.absolute().parent.name if generic else "") or stem(path)
    parsed = _two_columns(_columns(table, [by_name.get("name", 0), by_name[column]]), sample, "sRNA", highest=True)
    parsed.notes.append(f"column {column!r} taken")
    return parsed


def mirdeep2(table: Table, samples: set[str] | None = None) -> Parsed:
    """miRDeep2 quantifier: ``miRNAs_expressed_all_samples_<time>.csv``.

    Tab separated in spite of its name, header ``#miRNA, read_count, precursor, total, <samples>, <sample>(norm)``
    (miRDeep2 ``src/quantifier.pl``, ``PrintExpressionValuesSamples``). There is one row per mature and precursor, and
    a read that maps to several precursors is counted at each: summing would count it again, so the highest count
    over the precursors is taken. With ``quantifier.pl -W`` reads are shared out among the places they map to, so that
    counts are fractions whose sum over the precursors gives the reads back: they are summed. Cells have two decimals,
    so sums may miss whole numbers by a little; then they are refused as expected counts, which can be rounded.
    """
    wanted = ("#miRNA", "read_count", "precursor", "total")
    lowered = [c.lstrip("#").lower() for c in table.columns]
    if lowered[:1] != ["mirna"] or "precursor" not in lowered:
        raise ReadError(
            f"{table.name}: the header starts with {', '.join(short(c, 20) for c in table.columns[:4])}; expected"
            f" {', '.join(wanted)} and the samples, as miRDeep2 writes it."
        )
    index = ["" if pd.isna(v) else str(v) for v in table.frame[0]]
    check_names(index, "miRNA", table.name)
    places = [i for i, c in enumerate(table.columns) if i and lowered[i] not in ("read_count", "precursor", "total")
              and not c.endswith("(norm)")]  # fmt: skip
    names = [table.columns[i] for i in places]
    if not places and "read_count" in lowered:
        places, names = [lowered.index("read_count")], [stem(Path(table.name))]
    check_names(names, "sample", table.name)
    frame = _matrix(table, places, names, index)
    whole = bool((frame.to_numpy() == np.floor(frame.to_numpy())).all())
    grouped = frame.groupby(level=0, sort=False)
    counts = (grouped.max() if whole else grouped.sum()).T
    notes = [*table.notes, f"{len(frame)} rows of mature and precursor, {counts.shape[1]} matures:"
             f" {'highest count over precursors' if whole else 'weighted reads summed over precursors'}"]  # fmt: skip
    return Parsed(counts, var=annotate(counts), notes=notes)


def nfcore_smrnaseq(table: Table, samples: set[str] | None = None) -> Parsed:
    """nf-core/smrnaseq: ``mature_counts.csv``, ``hairpin_counts.csv``, ``mirna.tsv``, ``joined_samples_mirtop.tsv``.

    ``edger_qc`` writes ``<mature|hairpin>_counts.csv`` transposed, samples in rows (``bin/edgeR_miRBase.r``,
    ``write.csv(t(data))``); beside it ``*_logtpm.csv`` and ``*_normalized_CPM.txt`` are no counts. ``mirtop`` joins one
    row per isomiR: UID, Read, miRNA, Variant, ``iso_*`` and the samples (mirtop ``mirtop/gff/convert.py``, pipeline
    ``bin/pivot_wider.R``). It is summed to miRNAs as the pipeline itself does, the first row of each UID only
    (``bin/collapse_mirtop.r``, which writes ``mirna.tsv``). Checked against the
    development branch of autumn 2024 (2.4: ``modules/local/edger_qc`` calls that script); older releases
    were not compared.
    """
    columns = set(table.columns)
    if not {"UID", "miRNA"} <= columns:
        parsed = count_table(table, samples)
        if re.search(r"logtpm|normalized_cpm", Path(table.name).name, re.IGNORECASE):
            parsed.normalised = (
                "edgeR output of the pipeline on a normalised scale; the counts are in mature_counts.csv"
            )
        return parsed
    first = ~table.frame[table.columns.index("UID")].duplicated().to_numpy()
    rows = _rows(table, first)
    mirna = rows.frame[table.columns.index("miRNA")]
    index = ["" if pd.isna(v) else str(v) for v in mirna]
    check_names(index, "miRNA", table.name)
    places = [i for i, c in enumerate(table.columns) if c not in MIRTOP_COLUMNS]
    names = [table.columns[i] for i in places]
    check_names(names, "sample", table.name)
    counts = _matrix(rows, places, names, index).groupby(level=0, sort=False).sum().T
    notes = [*table.notes, f"{len(index)} isomiRs summed to {counts.shape[1]} miRNAs"]
    if not first.all():
        notes.append(f"{int((~first).sum())} rows that repeat a UID left out, as the pipeline does")
    return Parsed(counts, var=annotate(counts), notes=notes)


def join(parts: list[Parsed], name: str) -> Parsed:
    """One table from several one-sample files; an sRNA that a file does not list has 0 reads there.

    Parameters
    ----------
    parts : list of Parsed
        Results of the files; contaminants and sRNAs of one sample may come apart.
    name : str
        Folder, for sentences.
    """
    counts: dict[str, pd.Series] = {}
    for part in parts:
        for sample in part.counts.index:
            row = part.counts.loc[sample]
            if sample in counts and not counts[sample].index.intersection(row.index).empty:
                raise ReadError(
                    f"{name}: sample {short(str(sample), 40)!r} is in two files; expected each sample once."
                )
            counts[sample] = pd.concat([counts[sample], row]) if sample in counts else row
    table = pd.DataFrame(counts).T.fillna(0.0)
    biotype: dict[str, str] = {}
    for part in parts:
        biotype.update(part.var["biotype"])
    var = annotate(table)
    var["biotype"] = [biotype[n] for n in table.columns]
    notes = list(dict.fromkeys(note for part in parts for note in part.notes))
    return Parsed(table, var=var, notes=[f"{len(parts)} files joined", *notes])


def _oasis_sample(path: Path) -> str:
    name = stem(path).removesuffix(OASIS_SUFFIX)
    return re.sub(r"[_.-]?(contaminants?|pathogens?|infections?)(_?counts)?$", "", name, flags=re.IGNORECASE) or name


def _two_columns(table: Table, sample: str, what: str, *, highest: bool = False) -> Parsed:
    """Names and counts of one sample; without a header the first line is a row like the others."""
    head_name, head_value = table.columns
    notes = list(table.notes)
    if re.fullmatch(r"\d+(\.\d+)?", head_value):
        first = pd.DataFrame({0: [head_name], 1: [float(head_value)]})
        table = Table(
            table.name, ["name", "count"], pd.concat([first, table.frame], ignore_index=True), table.delimiter
        )
        notes.append("no header: names and counts of one sample")
    index = ["" if pd.isna(v) else str(v).strip() for v in table.frame[0]]
    check_names(index, what, table.name)
    frame = _matrix(table, [1], [sample], index)
    if highest and not frame.index.is_unique:
        notes.append(f"{int(frame.index.duplicated().sum())} repeated names: highest count kept")
        frame = frame.groupby(level=0, sort=False).max()
    frame = merge_repeats(frame, table.name, None, notes)
    return Parsed(frame.T, var=annotate(frame.T), notes=notes)


def _contaminant_table(table: Table, samples: set[str] | None) -> Parsed:
    """Names of organisms look like nothing: they stand in rows unless the metadata lists the rows as samples."""
    index = ["" if pd.isna(v) else str(v).strip() for v in table.frame[0]]
    places = list(range(1, len(table.columns)))
    names = [table.columns[i] for i in places]
    frame = _matrix(table, places, names, index)
    if samples and len(samples & set(index)) > len(samples & set(names)):
        frame = frame.T
    check_names([str(c) for c in frame.columns], "sample", table.name)
    check_names([str(i) for i in frame.index], "contaminant", table.name)
    notes = list(table.notes)
    frame = merge_repeats(frame, table.name, None, notes)
    return Parsed(frame.T, notes=[*notes, "contaminants"])


def _matrix(table: Table, places: list[int], names: list[str], index: list[str]) -> pd.DataFrame:
    """Columns that must be numbers."""
    if not places:
        raise ReadError(f"{table.name}: there is no column of a sample; expected one for each.")
    columns = []
    for i in places:
        values = numbers(table, i, index)
        if values is None or values.isna().any():
            what = "text" if values is None else "empty cells"
            raise ReadError(
                f"{table.name}: column {short(table.columns[i], 40)!r} holds {what}; expected a count in every cell."
            )
        columns.append(values.to_numpy())
    return pd.DataFrame(np.column_stack(columns), index=index, columns=names)


def _rows(table: Table, keep: np.ndarray) -> Table:
    if not keep.any():
        raise ReadError(f"{table.name}: no row is left to read; expected rows of counts.")
    return Table(table.name, table.columns, table.frame[keep].reset_index(drop=True), table.delimiter, table.notes)


def _columns(table: Table, places: list[int]) -> Table:
    frame = table.frame[places].copy()
    frame.columns = range(len(places))
    frame[0] = frame[0].astype(object)
    return Table(table.name, [table.columns[i] for i in places], frame, table.delimiter, table.notes)


def detect_layout(table: Table) -> str:
    """Name of the tool whose layout a table has, else ``"table"``.

    Parameters
    ----------
    table : Table
        The file; its header decides, its name only between alike ones.
    """
    columns, name = table.columns, Path(table.name).name
    lowered = [c.lower() for c in columns]
    if lowered[0].lstrip("#") == "mirna" and "precursor" in lowered and "read_count" in lowered:
        return "mirdeep2"
    if {"UID", "Read", "miRNA"} <= set(columns):
        return "nfcore_smrnaseq"
    if {"read count", "read count (SA)"} & set(columns) and set(SRNABENCH_COLUMNS) & set(columns):
        return "srnabench"
    if re.search(r"_minExpr\d+.*\.mat", name):
        return "srnabench"
    if name.lower().startswith(("mir.counts.", "mir.rpm.")) or str(table.frame[0].iloc[0]) == "miRNAtotal":
        return "mirge3"
    if stem(Path(name)).lower() == "mirna" and columns[0] == "miRNA":
        return "nfcore_smrnaseq"
    if re.match(r"(?:mature|hairpin)_(?:counts|logtpm|normalized_cpm)\.", name, re.IGNORECASE):
        return "nfcore_smrnaseq"
    if OASIS_SUFFIX in name or (CONTAMINANTS.search(name) and table.delimiter):
        return "oasis2"
    headless = len(columns) == 2 and guess_biotype(columns[0]) and re.fullmatch(r"\d+(\.\d+)?", columns[1])
    return "oasis2" if headless else "table"
