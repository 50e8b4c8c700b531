"""Text of unknown making -> one rectangular table: encoding, delimiter, header, ragged rows."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from srna_lib.errors import ReadError
from srna_lib.unpack import Source, short

MAX_COLUMNS = 200_000  # the largest catalogue, all sRNAs of the SEA export as columns, has about 40,000
MAX_CELLS = 250_000_000  # 2 GB as float64
SNIFF_LINES = 60
MISSING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "#N/A", "n/a", "'--")
DELIMITERS = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "bar", " ": "white space"}
WAYS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A rectangular table whose header is kept apart, so that repeated names stay visible.

    Attributes
    ----------
    name : str
        File that it came from.
    columns : list of str
        Header, one name per column; ``""`` where the file has none.
    frame : DataFrame, shape (n_rows, n_columns)
        Cells; columns are numbered. Columns of numbers are numeric, others hold text; missing is NaN.
    delimiter : str
        What parted the cells; ``""`` for parquet.
    notes : tuple of str
        What was mended on the way.
    """

    name: str
    columns: list[str]
    frame: pd.DataFrame
    delimiter: str = ""
    notes: tuple[str, ...] = ()


def decode(source: Source) -> tuple[str, list[str]]:
    r"""Text of a file: UTF-8, UTF-16 or UTF-32 with or without mark, else Latin-1.

    Parameters
    ----------
    source : Source
        The file.

    Returns
    -------
    text : str
        With ``\n`` line ends.
    notes : list of str
        The encoding where it is not UTF-8.

    Raises
    ------
    ReadError
        When the bytes are no text.
    """
    data, notes = source.data, []
    encoding = next((way for mark, way in WAYS if data.startswith(mark)), "") or _unmarked(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise ReadError(
                f"{source.name}: the bytes are no valid {encoding} (at byte {error.start}); expected UTF-8 text."
            ) from error
        # every byte means something in Latin-1; the control characters below tell text from noise
        text, encoding = data.decode("latin-1"), "latin-1"
    if encoding not in ("utf-8", "utf-8-sig"):
        notes.append(f"the text is {encoding}, not UTF-8")
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\x1a")
    odd = re.search(r"[\x00-\x08\x0b\x0e-\x1f\x7f]", text)
    if odd:
        line = text.count("\n", 0, odd.start()) + 1
        raise ReadError(
            f"{source.name}: line {line} holds the control character {odd.group()!r}, so this is binary data or a"
            " damaged file; expected a text table."
        )
    return text, notes


def _unmarked(data: bytes) -> str:
    """UTF-16 without a mark shows as a zero in every second byte of plain names and numbers."""
    head = np.frombuffer(data[:4096], dtype=np.uint8)
    if head.size >= 4 and len(data) % 2 == 0:
        for first, way in ((1, "utf-16-le"), (0, "utf-16-be")):
            if (head[first::2] == 0).mean() > 0.9 and (head[1 - first :: 2] != 0).all():
                return way
    return "utf-8"


def parse(source: Source) -> Table:
    """One table from a text file; for parquet see `table_parquet`.

    Parameters
    ----------
    source : Source
        The file.

    Returns
    -------
    Table
        At least one row and two columns.

    Raises
    ------
    ReadError
        No delimiter, no header, no rows, ragged rows, open quotes, too large, or no text at all.
    """
    if source.kind != "text":
        raise ReadError(f"{source.name}: this is an {source.kind.upper()} file; expected a text table.")
    text, notes = decode(source)
    table = parse_text(text, source.name)
    return replace(table, notes=(*source.notes, *notes, *table.notes))


def parse_text(text: str, name: str) -> Table:
    """One table from decoded text; see `parse`."""
    lines = [line for line in text.lstrip("\ufeff").split("\n") if line.strip()]
    forced = re.fullmatch(r'"?sep=(.)"?', lines[0]) if lines else None
    if forced:
        lines = lines[1:]
    if not lines:
        raise ReadError(f"{name}: there is no line of text in it; expected a table of counts.")
    notes: list[str] = []
    delimiter = forced.group(1) if forced else _delimiter(lines, name)
    lines = _uncomment(lines, delimiter, notes)
    if delimiter == " ":
        lines = [re.sub(r'("[^"]*")|[ \t]+', lambda m: m.group(1) or "\t", line.strip()) for line in lines]
        delimiter = "\t"
    header, widths = _widths(lines, delimiter, name)
    if len(widths) == 0:
        raise ReadError(f"{name}: there is a header of {len(header)} columns and no row; expected rows of counts.")
    width, header = _square(header, widths, lines, delimiter, name, notes)
    if width < 2:
        raise ReadError(
            f"{name}: one column only (first line {short(lines[0], 40)!r}), so no tab, comma, semicolon or space parts"
            " the cells; expected a column of names and columns of counts."
        )
    if width > MAX_COLUMNS or width * len(widths) > MAX_CELLS:
        raise ReadError(
            f"{name}: {len(widths)} rows x {width} columns; expected at most {MAX_COLUMNS} columns, {MAX_CELLS} cells."
        )
    frame = _cells(lines, width, delimiter, name)
    if len(header) > width:  # a trailing delimiter in the header alone, or in all lines
        header = header[:width]
    return _drop_empty(Table(name, [h.strip() for h in header], frame, delimiter, tuple(notes)))


def _delimiter(lines: list[str], name: str) -> str:
    """The first character, in order of how seldom it stands inside names, that parts most lines alike."""
    sample = [re.sub(r'"[^"]*"', "", line) for line in lines[:SNIFF_LINES]]
    body = [line for line in sample if not line.startswith(("#", "!"))] or sample
    for candidate in DELIMITERS:
        counts = Counter(len(li.split()) - 1 if candidate == " " else li.count(candidate) for li in body)
        number, lines_alike = max(counts.items(), key=lambda item: (item[1], item[0]))
        if number > 0 and lines_alike >= 0.6 * len(body):
            return candidate
    spread = {what: Counter(li.count(c) for li in body) for c, what in DELIMITERS.items() if c != " "}
    seen = {what: counts for what, counts in spread.items() if max(counts) > 0}
    if seen:
        what, counts = max(seen.items(), key=lambda item: max(item[1]))
        raise ReadError(
            f"{name}: the lines have from {min(counts) + 1} to {max(counts) + 1} cells ({what} delimited), so rows are"
            " ragged or the delimiter varies; expected the same number in every line."
        )
    raise ReadError(
        f"{name}: no tab, comma, semicolon or space parts the lines (first line {short(lines[0], 40)!r});"
        " expected a column of names and columns of counts."
    )


def _uncomment(lines: list[str], delimiter: str, notes: list[str]) -> list[str]:
    """Leave out leading comments; a last comment that is as wide as the first row is the header (miRDeep2)."""
    first = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if first == 0:
        return lines

    def width(line: str) -> int:
        return len(line.split()) if delimiter == " " else line.count(delimiter) + 1

    keep = first
    if first == len(lines) or (width(lines[first - 1]) >= 2 and width(lines[first - 1]) == width(lines[first])):
        keep = first - 1
    if keep:
        notes.append(f"{keep} comment lines left out")
    return lines[keep:]


def _widths(lines: list[str], delimiter: str, name: str) -> tuple[list[str], np.ndarray]:
    """Header, and number of cells of every row below it."""
    try:
        if not any('"' in line for line in lines):
            return lines[0].split(delimiter), np.array([li.count(delimiter) + 1 for li in lines[1:]], dtype=int)
        rows = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter, strict=True)
        header = next(rows)
        return header, np.array([len(row) for row in rows], dtype=int)
    except csv.Error as error:
        raise ReadError(
            f"{name}: the quotes do not match ({short(str(error))}); expected each opened quote to be closed."
        ) from error


def _square(
    header: list[str], widths: np.ndarray, lines: list[str], delimiter: str, name: str, notes: list[str]
) -> tuple[int, list[str]]:
    """Reconcile the header with the rows: R leaves out the first name, some tools end lines with a delimiter."""
    width = int(np.bincount(widths).argmax())
    if (widths != width).any():
        at = int(np.argmax(widths != width))
        raise ReadError(
            f"{name}: row {at + 1} has {widths[at]} cells where most have {width} ({int((widths != width).sum())} such"
            " rows); expected the same number in every row."
        )
    if len(header) == width:
        return width, header
    if len(header) == width - 1:
        if all(line.rstrip().endswith(delimiter) for line in lines[1:]) and delimiter != "\t":
            notes.append("a delimiter at the end of every row left out")
            return width, [*header, ""]
        return width, ["", *header]
    if len(header) == width + 1 and not header[-1].strip():
        return width, header[:-1]
    raise ReadError(
        f"{name}: the header names {len(header)} columns and the rows have {width} cells; expected as many, or one name"
        " less where the first column has none."
    )


def _cells(lines: list[str], width: int, delimiter: str, name: str) -> pd.DataFrame:
    try:
        frame = pd.read_csv(
            io.StringIO("\n".join(lines)),
            sep=delimiter,
            header=None,
            skiprows=1,
            names=range(width),
            dtype={0: str},
            na_values=list(MISSING),
            keep_default_na=False,
            index_col=False,
            float_precision="round_trip",
            low_memory=False,
        )
        frame[0] = frame[0].str.strip()
        return frame
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OverflowError) as error:
        raise ReadError(
            f"{name}: no rectangular table ({short(str(error))}); expected rows of equal length."
        ) from error


def _drop_empty(table: Table) -> Table:
    """Leave out columns with neither a name nor a cell (Excel saves them), and rows without a cell."""
    empty = [i for i, c in enumerate(table.columns) if not c and i > 0 and table.frame[i].isna().all()]
    blank = table.frame.isna().all(axis=1).to_numpy()
    if not empty and not blank.any():
        return table
    kept = [i for i in range(len(table.columns)) if i not in set(empty)]
    frame = table.frame.loc[~blank, kept].reset_index(drop=True)
    frame.columns = range(len(kept))
    if len(kept) < 2 or frame.empty:
        raise ReadError(f"{table.name}: the cells are empty; expected a column of names and columns of counts.")
    notes = [f"{len(empty)} empty columns without a name left out"] if empty else []
    notes += [f"{int(blank.sum())} empty rows left out"] if blank.any() else []
    return replace(table, columns=[table.columns[i] for i in kept], frame=frame, notes=(*table.notes, *notes))
