"""Layouts that are more than one table: 10x-style matrices and GEO series matrices."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd

from srna_lib.axis_names import annotate, check_names, share_of_srnas
from srna_lib.errors import ReadError
from srna_lib.formats import Parsed, count_table, merge_repeats
from srna_lib.tables import MAX_CELLS, decode, parse, parse_text
from srna_lib.unpack import COMPRESSED, load, short, stem

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
