"""Text or parquet of unknown making -> one rectangular table, with names on both axes that can be right."""

from __future__ import annotations

import codecs
import csv
import io
import re
import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from srna_lib.data import resource
from srna_lib.errors import ReadError
from srna_lib.io.unpack import MAX_BYTES, Source, expect, refusing, short

MAX_COLUMNS = 200_000  # the largest catalogue, all sRNAs of the SEA export as columns, has about 40,000
MAX_CELLS = 250_000_000  # 2 GB as float64
SNIFF_LINES = 60
MISSING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "#N/A", "n/a", "'--")
DELIMITERS = "\t;,| "
WAYS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip


@cache
def columns_called(kind: str) -> list[str]:
    """What columns of some kind are called, the better known first; shared: not to be changed."""
    names = resource("column_names.tsv")
    return names.loc[names["kind"] == kind, "name"].tolist()


SAMPLE_COLUMNS = columns_called("sample")


def as_name(value: object) -> str:
    """Text of a cell; 12.0, as numbers beside a missing one are read, is 12."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


@dataclass(frozen=True)
class Table:
    """A rectangular table: header and numbered columns are apart, so that missing and repeated names stay visible."""

    name: str
    columns: list[str]
    frame: pd.DataFrame
    delimiter: str = ""  # "" for parquet
    notes: list[str] = field(default_factory=list)  # what was understood; readers add to it
    missing: str = "refuse"  # or "zero", what empty cells then count as
    marked: str = ""  # a number such as 1.234 where all that have a dot could be thousands

    def labels(self, column: int) -> list[str]:
        """Cells of a column as names, whole numbers without a fraction, "" where one is missing."""
        return ["" if pd.isna(v) else as_name(v) for v in self.frame[column]]


def decode(source: Source) -> tuple[str, list[str]]:
    r"""Text with ``\n`` line ends: UTF-8, UTF-16 or UTF-32 with or without mark, else Latin-1, which is noted."""
    data, notes = source.data, []
    encoding = next((way for mark, way in WAYS if data.startswith(mark)), "") or _unmarked(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise ReadError(f"{source.name}: the bytes are no valid {encoding}; expected UTF-8 text.") from error
        # every byte means something in Latin-1; the control characters below tell text from noise
        text, encoding = data.decode("latin-1"), "latin-1"
    if encoding not in ("utf-8", "utf-8-sig"):
        notes.append(f"the text is {encoding}, not UTF-8")
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\x1a")
    odd = re.search(r"[\x00-\x08\x0b\x0e-\x1f\x7f]", text)
    if odd:
        line = text.count("\n", 0, odd.start()) + 1
        raise ReadError(f"{source.name}: line {line} holds the control character {odd.group()!r}; expected text.")
    return text, notes


def _unmarked(data: bytes) -> str:
    """UTF-16 without a mark shows as a zero in every second byte of plain names and numbers."""
    odd_even = np.frombuffer(data[: min(len(data) // 2 * 2, 4096)], dtype=np.uint8).reshape(-1, 2)
    for first, way in ((1, "utf-16-le"), (0, "utf-16-be")) if len(data) >= 4 and len(data) % 2 == 0 else ():
        if (odd_even[:, first] == 0).mean() > 0.9 and odd_even[:, 1 - first].all():
            return way
    return "utf-8"


def parse(source: Source) -> Table:
    """One table from a text or parquet file."""
    if source.kind in (binary := {"parquet": parse_parquet, "xlsx": parse_xlsx, "rdata": parse_rdata}):
        return binary[source.kind](source)
    expect(source.kind == "text", f"{source.name}: this is an {source.kind.upper()} file; expected a text table")
    text, notes = decode(source)
    table = parse_text(text, source.name)
    return replace(table, notes=[*source.notes, *notes, *table.notes])


def parse_text(text: str, name: str) -> Table:
    """One table from decoded text; see `parse`."""
    lines = [line for line in text.lstrip("\ufeff").split("\n") if line.strip(" \t,;")]
    while len(lines) > 1 and lines[-1].startswith(("!", '"!')):
        lines.pop()  # !series_matrix_table_end of GEO
    forced = re.fullmatch(r'"?sep=(.)"?', lines[0]) if lines else None
    if forced:
        lines = lines[1:]
    expect(lines, f"{name}: there is no line of text in it; expected a table of counts")
    notes: list[str] = []
    delimiter = forced.group(1) if forced else _delimiter(lines, name)
    if delimiter == " ":
        lines = [re.sub(r'("[^"]*")|[ \t]+', lambda m: m.group(1) or "\t", line.strip()) for line in lines]
        delimiter = "\t"
    lines = _untitle(_uncomment(lines, delimiter, notes), delimiter, notes)
    with refusing(f"{name}: the quotes do not match", "pairs", csv.Error):
        if any('"' in line for line in lines):
            header, *rows = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter, strict=True)
            widths = np.array([len(row) for row in rows], dtype=int)
        else:
            header, lines = _even(lines, delimiter)
            widths = np.array([line.count(delimiter) + 1 for line in lines[1:]])
    trailing = delimiter != "\t" and all(line.rstrip().endswith(delimiter) for line in lines[1:])
    width, header = _square(header, widths, trailing, name)
    named = {i: str for i, h in enumerate(header) if i == 0 or h.strip().lower() in SAMPLE_COLUMNS}  # 001 is no 1
    with refusing(f"{name}: no table", "equal rows", ValueError, OverflowError):
        frame = pd.read_csv(
            io.StringIO("\n".join(lines)), sep=delimiter, header=None, skiprows=1, names=range(width), dtype=named,
            na_values=list(MISSING), keep_default_na=False, index_col=False, float_precision="round_trip",
            low_memory=False,
        )  # fmt: skip
    frame[0] = frame[0].str.strip()
    marked = _marked(frame, lines, delimiter)
    return _drop_empty(Table(name, [h.strip() for h in header], frame, delimiter, notes, marked=marked))


def _delimiter(lines: list[str], name: str) -> str:
    """The first character, in order of how seldom it stands inside names, that parts most lines alike."""
    sample = [re.sub(r'"[^"]*"', "q", line) for line in lines[:SNIFF_LINES]]
    body = [line for line in sample if not line.startswith(("#", "!"))] or sample
    for cells in (body, [re.sub(r"[\t;,| ]+$", "", line) for line in body]):  # then without empty cells at the ends
        for candidate in sorted(DELIMITERS, key=lambda c: c not in body[0]):  # names of isomiRs hold semicolons
            counts = Counter(len(li.split()) - 1 if candidate == " " else li.count(candidate) for li in cells)
            number, lines_alike = max(counts.items(), key=lambda item: (item[1], item[0]))
            if number > 0 and lines_alike >= 0.6 * len(body):
                return candidate
    widest = max(([li.count(c) + 1 for li in body] for c in DELIMITERS if c != " "), key=max)
    if max(widest) > 1:
        raise ReadError(f"{name}: ragged lines, from {min(widest)} to {max(widest)} cells; expected as many in each.")
    line = short(lines[0], 40)
    raise ReadError(f"{name}: no tab, comma, semicolon or space parts the lines (first {line!r}); expected a table.")


def _uncomment(lines: list[str], delimiter: str, notes: list[str]) -> list[str]:
    """Leave out leading comments; a last comment that is as wide as the first row is the header (miRDeep2)."""
    first = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    marks = [line.count(delimiter) for line in lines[max(first - 1, 0) : first + 1]]
    is_header = first > 0 and (first == len(lines) or marks[0] == marks[1] > 0)
    if first - is_header > 0:
        notes.append(f"{first - is_header} comment lines left out")
    return lines[first - is_header :]


def _untitle(lines: list[str], delimiter: str, notes: list[str]) -> list[str]:
    """Leave out titles: lines of one cell above the first of three or more."""
    filled = [len([c for c in re.sub(r'"[^"]*"', "q", li).split(delimiter) if c.strip()]) for li in lines[:12]]
    first = next((i for i, n in enumerate(filled) if n > 2), 0)
    other = max(lines[max(first - 1, 0)].count(c) for c in DELIMITERS[:3] if c != delimiter)
    header = other + 1 >= filled[first]  # that another character parts
    if first == 0 or header or max(filled[:first]) > 1 or len(lines) < first + 2:
        return lines
    notes.append(f"title left out ({short(lines[0].strip(delimiter), 40)})")
    return lines[first:]


def _marked(frame: pd.DataFrame, lines: list[str], delimiter: str) -> str:
    """First number with a dot where each of them, beside whole ones below 1000, could have a mark of thousands."""
    values = frame.select_dtypes("number").to_numpy(dtype=np.float64)
    if np.nanmax(values, initial=0) >= 1000 or not (values % 1 > 0).any():
        return ""
    dotted = []
    for cell in (c for line in lines[1:] for c in re.split(rf'[{re.escape(delimiter)}" ]+', line)):
        if "." in cell and re.fullmatch(r"[\d.]+", cell):
            dotted.append(cell)
            if not re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", cell):
                return ""
    return dotted[0] if 0 < len(dotted) < values.size else ""


def _even(lines: list[str], delimiter: str) -> tuple[list[str], list[str]]:
    """Header and lines without the empty cells that some lines have behind the others' last."""
    # A header parted by another character than the rows (miRge writes isomirs.csv so) is parted by its own.
    header = lines[0].split(delimiter)
    if len(header) == 1:
        header = next((h for c in DELIMITERS[:3] if len(h := lines[0].split(c)) > 1), header)
    widths = {line.count(delimiter) for line in lines[1:]}
    width = len("\t".join(header).rstrip("\t ").split("\t"))
    if len(widths) > 1 and width > 1:
        cells = [line.split(delimiter) for line in lines[1:]]
        cut = [row[:width] if not any(c.strip() for c in row[width:]) else row for row in cells]
        return header[:width], [lines[0], *map(delimiter.join, cut)]
    return header, lines


def _square(header: list[str], widths: np.ndarray, trailing: bool, name: str) -> tuple[int, list[str]]:
    """Reconcile the header with the rows: R leaves out the first name, some tools end lines with a delimiter."""
    expect(len(widths), f"{name}: there is a header of {len(header)} columns and no row; expected rows of counts")
    width = int(np.bincount(widths).argmax())
    ragged = np.flatnonzero(widths != width)
    if len(ragged):
        at = int(ragged[0])
        raise ReadError(f"{name}: row {at + 1} has {widths[at]} cells where most have {width}; expected as many.")
    expect(width > 1, f"{name}: one column only, no tab, comma or space; expected names and counts")
    if width > MAX_COLUMNS or width * len(widths) > MAX_CELLS:
        raise ReadError(f"{name}: {len(widths)} rows x {width} columns; expected at most {MAX_COLUMNS} columns.")
    if len(header) == width - 1:
        header = [*header, ""] if trailing else ["", *header]
    if len(header) == width + 1 and not header[-1].strip():
        header = header[:-1]
    if len(header) != width:
        raise ReadError(f"{name}: the header names {len(header)} columns and rows have {width}; expected as many.")
    return width, header


def _drop_empty(table: Table) -> Table:
    """Leave out columns with neither a name nor a cell (Excel saves them), and rows without a cell."""
    kept = [i for i, c in enumerate(table.columns) if c or i == 0 or table.frame[i].notna().any()]
    blank = table.frame.isna().all(axis=1).to_numpy()
    empty = len(table.columns) - len(kept)
    if not empty and not blank.any():
        return table
    frame = table.frame.loc[~blank, kept].reset_index(drop=True).set_axis(range(len(kept)), axis=1)
    if len(kept) < 2 or frame.empty:
        raise ReadError(f"{table.name}: the cells are empty; expected a column of names and columns of counts.")
    table.notes.append(f"{empty} empty columns without a name and {int(blank.sum())} empty rows left out")
    return replace(table, columns=[table.columns[i] for i in kept], frame=frame)


def parse_parquet(source: Source) -> Table:
    """One table from a parquet file; a saved pandas index, or the first column of text, becomes the first column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = (pa.ArrowException, OSError, ValueError, NotImplementedError)
    with refusing(f"{source.name}: damaged parquet data", "all", *kinds):
        file = pq.ParquetFile(pa.BufferReader(source.data))
        rows, width = file.metadata.num_rows, file.metadata.num_columns
        size = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
        if width > MAX_COLUMNS or rows * width > MAX_CELLS or size > MAX_BYTES:
            most = f"{MAX_COLUMNS} columns, {MAX_CELLS} cells, {MAX_BYTES} bytes"
            raise ReadError(f"{source.name}: {rows} x {width} cells, unfolds to {size} bytes; expected at most {most}.")
        # the pandas metadata of a stranger's file is not followed: it only renames columns
        frame = file.read().to_pandas(ignore_metadata=True)
    expect(width > 1 and not frame.empty, f"{source.name}: {rows} rows x {width} columns; expected names and counts")
    columns = ["" if str(c).startswith("__index_level_") else str(c) for c in frame.columns]
    text = [i for i, dtype in enumerate(frame.dtypes) if not pd.api.types.is_numeric_dtype(dtype)]
    first = columns.index("") if "" in columns else next(iter(text), 0)  # pandas writes its index last
    order = [first, *(i for i in range(width) if i != first)]
    frame = frame.iloc[:, order].set_axis(range(width), axis=1)
    frame[0] = frame[0].astype(object).where(frame[0].isna(), frame[0].astype(str))
    return Table(source.name, [columns[i] for i in order], frame, "", source.notes)


def parse_xlsx(source: Source) -> Table:
    """One table from the only filled sheet of an Excel workbook."""
    import openpyxl

    sheets, cells = {}, 0
    with refusing(f"{source.name}: damaged Excel workbook", "one that a spreadsheet opens", Exception):
        for sheet in openpyxl.load_workbook(io.BytesIO(source.data), read_only=True, data_only=True).worksheets:
            sheet.reset_dimensions()
            rows = []
            for row in sheet.iter_rows(values_only=True):
                cells += len(row) + 1
                expect(cells <= MAX_CELLS, f"{source.name}: more than {MAX_CELLS} cells; expected fewer")
                if any(cell is not None for cell in row):
                    rows.append(["" if cell is None else str(cell).strip() for cell in row])
            if rows:
                sheets[sheet.title] = rows
    listed = f"{len(sheets)} sheets ({', '.join(short(n, 20) for n in list(sheets)[:4])})" if sheets else "no sheet"
    expect(len(sheets) == 1, f"{source.name}: {listed} with cells; expected one, or the sheet of counts saved as CSV")
    (rows,) = sheets.values()
    width = max(map(len, rows))
    out = io.StringIO()
    csv.writer(out, delimiter="\t", lineterminator="\n").writerows(r + [""] * (width - len(r)) for r in rows)
    table = parse_text("sep=\t\n" + out.getvalue(), source.name)
    return replace(table, notes=[*source.notes, *table.notes])


R_EXPORT = "one matrix or data frame of counts with names, or what write.csv(counts, 'counts.csv') saves in R"


def parse_rdata(source: Source) -> Table:
    """One table from the only matrix or data frame of R's ``save`` or ``saveRDS``; nothing in it is executed."""
    import rdata

    with refusing(f"{source.name}: damaged or unknown R data file", R_EXPORT, Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        held = rdata.conversion.convert(rdata.parser.parse_data(source.data), default_encoding="utf-8")
    objects = held if isinstance(held, dict) else {"": held}
    # rdata gives xarray for a matrix with names
    frames = {n: o.to_pandas() if hasattr(o, "to_pandas") else o for n, o in objects.items()}
    frames = {name: frame for name, frame in frames.items() if isinstance(frame, pd.DataFrame)}
    kinds = ", ".join(f"{short(n, 20)} {type(o).__name__}".strip() for n, o in list(objects.items())[:4]) or "none"
    found = f"{len(frames)} matrices with names among the objects of R ({kinds})"
    expect(len(frames) == 1, f"{source.name}: {found}; expected {R_EXPORT}")
    ((name, frame),) = frames.items()
    size = " x ".join(map(str, frame.shape))
    expect(frame.size <= MAX_CELLS, f"{source.name}: {size} cells; expected at most {MAX_CELLS}")
    columns, frame = ["", *map(str, frame.columns)], frame.reset_index()
    frame = frame.set_axis(range(frame.shape[1]), axis=1)
    frame[0] = frame[0].astype(str).astype(object)
    notes = [*source.notes, f"object {short(name, 30)!r} of R"] if name else source.notes
    return Table(source.name, columns, frame, "", notes)


# Order matters: the first that matches wins. Whole words for contaminants: plasma and macrophages are samples.
BIOTYPE_NAMES = (
    ("miRNA", r"(?:[a-z]{3,5}[-_. ])?(?:novel[-_. ]?)?(?:pre[-_])?(?:mir[-_. ]?\d|let[-_. ]?7|bantam)"),
    ("miRNA", r"[a-z]{3}-(?:lin|let|lsy)-\d|mi(?:mat)?\d{7}"),
    ("piRNA", r"(?:[a-z]{3}[-_])?pi(?:r|rna)[-_.]?(?:[a-z]{3}[-_])?\d|pi-[a-z]{3}-\d|dq\d{6}$"),
    ("snoRNA", r"(?:[a-z]{3}[-_])?(?:snor[ad]?\d|snord|snora|scarna|sno[-_]?(?:rna|u)|hbii-|aca\d|u\d+[-_]snorna)"),
    ("snRNA", r"(?:rnu\d|rnvu|rn7sk|snrna|u(?:1|2|4|5|6|7|11|12|4atac|6atac)(?:$|[- ]))"),
    ("tRF", r"(?:[a-z]{3}[-_])?(?:trf[-_ ]|trf$|tdr-|trna|mt-t[a-z]\d?$|tsrna|tirna|nm-trna)"),
    ("other", r"(?:rrna|rn5s|rn18s|rn28s|rn45s|rn7sl|rny\d|hy[1345]$|y_?rna|vtrna|misc_?rna)"),
    ("other", r"(?:5|5-8|5\.8|12|16|18|28|45)s[-_ ]?r|ens[a-z]*[gt]\d{11}"),
    ("contaminant", r".*(?:\b[a-z]*virus\b|\b(?!macro)[a-z]*phage\b|viridae|viroid)"),
    ("contaminant", r"[a-z]*(?:bacteri|bacter |coccus |bacillus |plasma |plasmodium|monas )"),
)
PATTERNS = tuple((biotype, re.compile(pattern, re.IGNORECASE)) for biotype, pattern in BIOTYPE_NAMES)
GENE = re.compile(r"ENS[A-Z]*[GT]\d{11}(?:\.\d+)?")
MOST = 0.8  # of all genes of GENCODE a tenth are miRNAs, snoRNAs and other small ones
SPECIES = r"^([A-Za-z][a-z]{2})[-_](?:mir|let|miR|Mir|Let|MIR|LET)[-_]?\d"
MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
MANGLED = re.compile(
    rf"\d{{1,4}}[-/ ](?:{MONTHS})(?:[-/ ]\d+)?|(?:{MONTHS})[-/ ]\d{{1,4}}|\d{{4}}-\d\d-\d\d(?: \d\d:.*)?"
    r"|\d{1,2}/\d{1,2}/\d{2,4}|#(?:name\?|ref!|value!|div/0!|num!|null!)|\d\.\d+e\+\d+|[34]\d{4}|#{3,}",
    re.IGNORECASE,
)  # fmt: skip


def guess_biotype(name: str) -> str:
    """Biotype that a name suggests, "" when it says nothing. A guess: catalogues share prefixes."""
    return next((biotype for biotype, pattern in PATTERNS if pattern.match(name)), "")


def share_of_srnas(names: list[str]) -> float:
    """Share of names that look like sRNAs, of at most 2000 taken evenly; 0 for none."""
    taken = names[:: max(1, len(names) // 2000)]
    return sum(bool(guess_biotype(n)) for n in taken) / len(taken) if taken else 0.0


def check_srnas(names: list[str], file: str, expected: str) -> None:
    """Refuse names of which few are those of sRNAs: of genes (some of which are called MIR21), proteins, features."""
    others = [n for n in names if not guess_biotype(n) or GENE.fullmatch(n)]
    if len(others) > MOST * len(names):
        found = f"{len(others)} of {len(names)} names (first {short(others[0], 30)!r}) do not look like sRNAs"
        raise ReadError(f"{file}: {found}; expected {expected}.")


def annotate(counts: pd.DataFrame, biotype: str = "") -> pd.DataFrame:
    """``biotype`` (given, or as names suggest) and, where names carry it, ``species`` of the columns of a table."""
    names = [str(n) for n in counts.columns]
    var = pd.DataFrame({"biotype": [biotype or guess_biotype(n) or "other" for n in names]}, index=counts.columns)
    species = pd.Series(names, var.index, dtype=object).str.extract(SPECIES)[0].str.lower()
    return var.assign(species=species) if species.notna().any() else var


def check_names(names: list[str], axis: str, file: str) -> None:
    """Refuse names that are missing, repeated (samples) or mangled by a spreadsheet (sRNAs)."""
    for missing in [i for i, n in enumerate(names) if not n.strip()][:1]:
        raise ReadError(f"{file}: {axis} number {missing + 1} has no name; expected a name for each.")
    index = pd.Series(names, dtype=object)
    if axis == "sample":
        wrong, what, wanted = index[index.duplicated()], "appear more than once", "each once"
    else:
        wrong = index[index.str.strip().str.fullmatch(MANGLED)]
        what, wanted = "were turned into dates, numbers or errors by a spreadsheet", "them as the tool wrote them"
    if len(wrong):
        first = short(wrong.iloc[0], 40)
        raise ReadError(f"{file}: {wrong.nunique()} {axis} names {what} (first {first!r}); expected {wanted}.")


LARGEST = 1e12  # no library has a million million reads; beyond 2**53 whole numbers are no longer exact
TOTALS = {1e6: (0.01, "a million, so these are reads per million (RPM, CPM, TPM)"),
          1e7: (0.01, "ten million, so these are reads per ten million"),
          100: (0.1, "a hundred, so these are percentages")}  # fmt: skip
LOG_LARGEST = 45.0  # log2 of the largest library is below 35, and a PCR has 40 to 45 cycles


class Quantity(NamedTuple):
    """``"counts"``, ``"normalised"``, ``"expected"`` (some fractions) or ``"broken"``, and what was seen."""

    kind: str
    seen: str = ""


def judge(values: np.ndarray) -> Quantity:
    """What a matrix (samples x sRNAs, nothing missing) holds, judged by its values."""
    # Samples most of which sum to a million are RPM even when rounded, but for a single one of whole numbers.
    if values.size == 0:
        return Quantity("broken", f"the table has {values.shape[0]} samples and {values.shape[1]} sRNAs")
    if not np.isfinite(values).all():
        return Quantity("broken", f"{int((~np.isfinite(values)).sum())} values are infinite or missing")
    largest = float(values.max())
    if largest > LARGEST:
        return Quantity("broken", f"the largest value is {largest:g}, more reads than any library has")
    fractions = int((values != np.floor(values)).sum())
    if (values < 0).any():
        kind, what = ("normalised", "log ratios or centred values") if fractions else ("broken", "no counts")
        seen = f"{int((values < 0).sum())} values are negative (smallest {values.min():g}), so these are {what}"
        return Quantity(kind, seen)
    sums = values.sum(axis=1)
    sums = sums[sums > 0]
    for total, (within, what) in TOTALS.items() if values.shape[1] > 1 else ():
        hits = int((np.abs(sums / total - 1) < within).sum())
        # more than half, since one library in fifty has about a million reads
        if hits > len(sums) / 2 and (fractions or len(sums) > 1) and (total > 100 or hits == len(sums) > 1):
            which = "every sample sums" if hits == len(sums) else f"{hits} of {len(sums)} samples sum"
            return Quantity("normalised", f"{which} to {what}")
    if not fractions and values.size >= 100 and largest <= 1:
        return Quantity("normalised", "every value is 0 or 1, which says what is there and not how much")
    n, low = values.shape[1], values.min(axis=1)
    ranks = len(values) > 1 and n >= 10 and (low <= 1).all() and (values.max(axis=1) - low == n - 1).all()
    if ranks and (np.diff(np.sort(values, axis=1)) == 1).all():
        return Quantity("normalised", "every sample holds each rank once, so these are ranks")
    if not fractions:
        return Quantity("counts")
    share = f"{fractions / values.size:.0%} of the values are fractions"
    if largest <= LOG_LARGEST:
        return Quantity("normalised", f"{share} and none is above {largest:g}, a log scale or Ct of qPCR")
    if fractions > 0.5 * np.count_nonzero(values):
        return Quantity("normalised", f"{share} (largest {largest:g}), too many for expected counts")
    return Quantity("expected", f"{share} (largest {largest:g}), as expected counts (RSEM, shared reads) have them")
