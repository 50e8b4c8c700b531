"""Every layout that users' counts come in: which one a file has, and the way to its parser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from srna_lib import format_h5ad, formats_files, formats_tools
from srna_lib.errors import ReadError
from srna_lib.formats import Parsed, count_table
from srna_lib.table_parquet import parse_parquet
from srna_lib.tables import Table, decode, parse, parse_text
from srna_lib.unpack import Source, load, short

TABLES: dict[str, Callable[[Table, set[str] | None], Parsed]] = {
    "table": count_table,
    "oasis2": formats_tools.oasis2,
    "mirge3": formats_tools.mirge3,
    "srnabench": formats_tools.srnabench,
    "mirdeep2": formats_tools.mirdeep2,
    "nfcore_smrnaseq": formats_tools.nfcore_smrnaseq,
}
FORMATS = {
    "table": "CSV, TSV or parquet, either way round",
    "h5ad": "AnnData",
    "oasis2": "Oasis 2: a count file, a folder of them, or a table; sRNAs and contaminants",
    "mirge3": "miRge3.0: miR.Counts.csv",
    "srnabench": "sRNAbench: *.grouped, a folder of result folders, or *_minExpr*.mat",
    "mirdeep2": "miRDeep2: miRNAs_expressed_all_samples_*.csv",
    "nfcore_smrnaseq": "nf-core/smrnaseq: mature_counts.csv, mirna.tsv, joined_samples_mirtop.tsv",
    "geo_series_matrix": "GEO series matrix, with its supplementary count table beside it",
    "mtx": "10x-style folder: matrix.mtx, features.tsv, barcodes.tsv",
}
FOLDERS = {"oasis2": ("*_allspeciesCounts.txt*", "*ontaminant*", "*athogen*"),
           "srnabench": ("*/mature_sense.grouped*", "mature_sense.grouped*")}  # fmt: skip


def detect(path: str | Path) -> str:
    """Name of the layout that a file or folder has.

    Parameters
    ----------
    path : path
        File or folder.

    Returns
    -------
    str
        Key of `FORMATS`.

    Raises
    ------
    ReadError
        When it is none of them, or cannot be opened.
    """
    return _open(Path(path))[0]


def _open(path: Path) -> tuple[str, Source | None, Table | None]:
    if path.is_dir():
        if formats_files._first(path, ("matrix.mtx",)):
            return "mtx", None, None
        for name in FOLDERS:
            if _members(path, name):
                return name, None, None
        raise ReadError(
            f"{path}: the folder holds neither matrix.mtx, nor *_allspeciesCounts.txt (Oasis 2), nor"
            " mature_sense.grouped (sRNAbench); expected one of them, or a file."
        )
    source = load(path)
    if source.kind == "hdf5":
        return "h5ad", source, None
    if source.kind == "parquet":
        return "table", source, parse_parquet(source)
    text, _ = decode(source)
    if text.startswith("%%MatrixMarket"):
        return "mtx", source, None
    if text.lstrip("\ufeff \n").startswith(("!Series_", "!Sample_")):
        return "geo_series_matrix", source, None
    table = parse(source)
    return formats_tools.detect_layout(table), source, table


def _members(folder: Path, name: str) -> list[Path]:
    return sorted({p for pattern in FOLDERS[name] for p in folder.glob(pattern) if p.is_file()})


def parse_path(path: Path, format: str | None, samples: set[str] | None) -> tuple[str, Parsed, list[tuple[str, str]]]:
    """Read what a path holds.

    Parameters
    ----------
    path : Path
        File or folder.
    format : str, optional
        Key of `FORMATS`; without it the layout is detected.
    samples : set of str, optional
        Sample names that the metadata lists; they decide where names of sRNAs do not.

    Returns
    -------
    format : str
        Key of `FORMATS`.
    parsed : Parsed
        Content.
    files : list of (str, str)
        Name and SHA-256 of each file that counts came from.

    Raises
    ------
    ReadError
        Unknown format, or whatever the layout's parser finds.
    """
    if format is not None and format not in FORMATS:
        raise ReadError(f"unknown format {short(format, 40)!r}; expected one of {', '.join(FORMATS)}.")
    if path.is_dir() and format in FOLDERS and not _members(path, format):
        raise ReadError(
            f"{path}: no file of the format {format} is in the folder; expected {', '.join(FOLDERS[format])}."
        )
    if format in ("mtx", "geo_series_matrix"):
        name, source, table = format, None, None
    elif path.is_dir() and format in FOLDERS:
        name, source, table = str(format), None, None
    else:
        name, source, table = _open(path)
        name = format or name
    if name == "mtx":
        parsed, sha256 = formats_files.mtx(path)
        return name, parsed, [(path.name, sha256)]
    if name == "geo_series_matrix":
        parsed, sha256 = formats_files.geo_series_matrix(path)
        return name, parsed, [(path.name, sha256)]
    if path.is_dir() and name in FOLDERS:
        sources = [load(member) for member in _members(path, name)]
        parts = [TABLES[name](parse(s), samples) for s in sources]
        return name, formats_tools.join(parts, str(path)), [(Path(s.name).name, s.sha256) for s in sources]
    if source is None:
        raise ReadError(f"{path}: this is a folder; expected a file for the format {name}.")
    if name == "h5ad":
        if source.kind != "hdf5":
            raise ReadError(f"{path}: this is no HDF5 file; expected an .h5ad file.")
        return name, format_h5ad.h5ad(source.data, str(path)), [(path.name, source.sha256)]
    if table is None:
        if source.kind == "hdf5":
            raise ReadError(f"{path}: this is an HDF5 file; expected a table for the format {name}.")
        table = parse_text(decode(source)[0], str(path))
    return name, TABLES[name](table, samples), [(path.name, source.sha256)]
