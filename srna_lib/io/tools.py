"""Layouts of count tables: plain ones, 10x-style matrices, GEO series, and the tools that count small RNAs."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from srna_lib.errors import ReadError
from srna_lib.io.tables import (
    MAX_CELLS,
    SAMPLE_COLUMNS,
    Table,
    annotate,
    check_names,
    check_srnas,
    columns_called,
    decode,
    guess_biotype,
    parse,
    parse_text,
    share_of_srnas,
)
from srna_lib.io.unpack import COMPRESSED, Source, expect, load, refusing, short, stem

NUMBER = re.compile(r"[+-]?[\d][\d.,' ]*(?:[eE][+-]?\d+)?|[+-]?inf(?:inity)?", re.IGNORECASE)
MATURE, LOCUS = columns_called("miRNA"), set(columns_called("locus"))
NO_SAMPLE, OBS_NAMES = LOCUS | set(columns_called("no sample")), set(columns_called("of samples"))
# so many columns of these make a table that holds no counts
NOT_COUNTS = {
    "a table of differential expression": (2, r"log2foldchange|logfc|padj|adj\.p\.val|fdr|pvalue|p\.value"),
    "one sample of exceRpt without multimapAdjustedReadCount": (2, r"uniquereadcount|totalreadcount"),
    "a table of statistics": (2, r"mean|sd|se|std|stdev|median|min|max|variance"),
    "an enrichment result (miEAA)": (2, r"category|subcategory|enrichment|p-value|p-adjusted|q-value"),
    "qPCR (Ct)": (1, r"(?:delta[ _-]?|d|dd|Δ|ΔΔ)?(?:ct|cq|crt)(?:[ _.-]?(?:mean|value|values))?"),
    "a statistic of miRTrace": (1, r"rna_type|clade|distinct_mirna_hairpins\w*|mirbase_ids"),
}
PLAIN_NAME = re.compile(r"(?:[a-z]{3,4}[-_.])?(?:mir|let)[-_.]?\d+[a-z]?(?:[-_.]\d)*(?:[-_.][35]p)?\*?", re.IGNORECASE)
PROBE = re.compile(r".+_(?:x_)?st")  # of Affymetrix miRNA arrays
NORMALISED_COLUMN = re.compile(
    r"[ _.(-](?:norm|normali[sz]ed(?:[ _.]?(?:counts?|reads?))?|(?:log2?)?(?:rpm|cpm)|tpm|rpkm|fpkm|log2|vst|rlog"
    r"|tmm)\)?$|^reads_per_million|^(?:rpm|cpm|tpm|rpkm|fpkm|normali[sz]ed)[ _.(-]",
    re.IGNORECASE,
)
# what HTSeq, STAR and others write below or above their counts
SUMMARY = re.compile(
    r"__\w+|n_(?:unmapped|multimapping|nofeature|ambiguous)|(?:grand[ _]?)?total(?:[ _]?(?:reads?|counts?)|[ _:].*)?"
    r"|sum:?|(?:un)?mapped(?:[ _]reads?)?|unassigned\w*|miRNAtotal|lib(?:rary)?[ _.]?size|(?:sequencing[ _])?depth"
    r"|mean|average|median",
    re.IGNORECASE,
)
ODD_NUMBERS = {r"[+-]?\d{1,3}([,' ]\d{3})+(\.\d+)?": "a number with thousands marks",
               r"[+-]?\d+,\d+": "a number with a decimal comma"}  # fmt: skip
COUNT_COLUMN = re.compile(
    r"(?:raw[ _.]?)?(?:read[ _.]?)?(?:counts?|reads)|n|numreads|est_counts|expected_count", re.IGNORECASE
)


# of a sample that was not measured
EMPTY = {"", "-", "--", ".", "?", "x", "nd", "n.d.", "n.a.", "not detected", "undetected", "undetermined", "failed",
         "missing"}  # fmt: skip
ZERO = " (--missing zero counts them as 0)"


@dataclass
class Parsed:
    """What a layout yields: counts (samples x sRNAs) as they stand, metadata, annotation, and what was understood."""

    counts: pd.DataFrame
    obs: pd.DataFrame = field(default_factory=pd.DataFrame)
    var: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: list[str] = field(default_factory=list)
    normalised: str = ""  # why these are known to be no counts
    shared: str = ""  # why fractions are known to be reads shared out among sRNAs, which are rounded
    info: dict[str, Any] = field(default_factory=dict)


def count_table(table: Table, samples: set[str]) -> Parsed:
    """Plain table, either way round: sRNAs are on the axis that looks more like it, else known sample names decide."""
    name, first, lowered = table.name, table.columns[0], {c.lower() for c in table.columns}
    found = {kind: sum(bool(re.fullmatch(called, c)) for c in lowered) for kind, (_, called) in NOT_COUNTS.items()}
    kinds = [kind for kind, (least, _) in NOT_COUNTS.items() if found[kind] >= least]
    kinds += ["a statistic of miRTrace"] * Path(name).name.startswith("mirtrace-stats")
    listed, what = ", ".join(short(c, 20) for c in table.columns[:6]), "".join(kinds[:1])
    expect(not kinds, f"{name}: the columns ({listed}) make this {what}; expected one raw count for each sample")
    values = [bool(NUMBER.fullmatch(c)) for c in table.columns[1:]]
    if re.fullmatch(r"chr\w+", first) and len(values) > 2 and values[0] and values[1]:
        raise ReadError(f"{name}: places on chromosomes without a header (BED); expected a table of counts.")
    named = guess_biotype(first) or SUMMARY.fullmatch(first)
    told = all(values) or (named and any(values) and any(map(guess_biotype, table.columns[1:])))
    if told and (SUMMARY.fullmatch(first) or re.search(r"[a-z].*\d", first, re.I)) and not samples & set(table.columns):
        raise ReadError(f"{name}: the first line holds counts, no header; expected names of samples.")
    what = f"{table.marked!r} and no number from 1000 on has marks of thousands, or three decimals"
    expect(not table.marked, f"{name}: {what}; expected whole numbers without marks")
    names_at, others = _names_column(table)
    index = table.labels(names_at)
    probes = f"{name}: probes of an array (first {short(index[0], 30)!r}); expected counts of sequencing"
    expect(_share(PROBE, index) <= 0.5, probes)
    if long := _long_table(table, others, index):
        return long
    header = [table.columns[i] for i in others]
    features = [h for h in header if _key(h) not in OBS_NAMES | NO_SAMPLE]
    down, across = share_of_srnas(index), share_of_srnas(features)
    if min(down, across) > 0.5:  # samples called after the miRNA that they have too much of
        down, across = _share(PLAIN_NAME, index), _share(PLAIN_NAME, features)
    if down == across:
        down, across = float(len(samples & set(header))), float(len(samples & set(index)))
    if down == across:
        firsts = f"rows (first {short(index[0], 30)!r}) nor columns (first {short(header[0], 30)!r})"
        raise ReadError(f"{name}: neither {firsts} name sRNAs; expected hsa-miR-21-5p, or metadata with the samples.")
    if down > across:
        table.notes.append("sRNAs in rows, samples in columns")
        return _features_in_rows(table, index, names_at, others, NO_SAMPLE - {_key(s) for s in samples})
    table.notes.append("samples in rows, sRNAs in columns")
    apart = OBS_NAMES | NO_SAMPLE
    counted = _counts_rows(table)
    if not samples & set(index) and first.lower() not in SAMPLE_COLUMNS and (counted or first):
        fits = [i for i in others if table.columns[i].lower() in SAMPLE_COLUMNS[: None if counted else 4]]
        for i in fits[:1]:
            index, apart = table.labels(i), apart | {_key(first)}
            others = [j for j in range(int(counted), len(table.columns)) if j != i]
    known = [j for j, h in enumerate(header) if guess_biotype(h)]
    if share_of_srnas(features) >= 0.5:  # what stands before and behind the sRNAs tells of the samples
        apart = apart | {_key(h) for h in (*header[: known[0]], *header[known[-1] + 1 :])}
    frame, rest = _split(table, others, index, apart)
    if rest:
        listed = ", ".join(short(table.columns[i], 20) for i in rest[:8])
        table.notes.append(f"sample columns beside the counts: {listed}")
    obs = pd.DataFrame({table.columns[i]: table.frame[i].to_numpy() for i in rest if table.columns[i]}, index=index)
    sums = np.array([bool(SUMMARY.fullmatch(n)) and n not in samples for n in index])
    if sums.any():
        table.notes.append(f"{sums.sum()} rows of sums or means left out ({short(index[sums.argmax()], 20)})")
    frame = frame.set_axis([table.columns[i] for i in frame], axis=1)
    return _parsed(frame[~sums].T, table, obs=obs[~sums])


def _share(pattern: re.Pattern[str], names: list[str]) -> float:
    """Share of names that a pattern fits."""
    return sum(bool(pattern.fullmatch(n)) for n in names) / max(len(names), 1)


def _key(column: str) -> str:
    """Name of a column as the lists here have it, without its unit."""
    return re.sub(r"[\s.-]+", "_", re.sub(r"\s*\([^)]*\)$", "", column.lower()))


def _names_column(table: Table) -> tuple[int, list[int]]:
    """Position of the row names (the first column, unless a later one holds more names of sRNAs), and of the rest."""
    # A first column that only counts the rows beside names further right belongs to neither.
    text = [i for i in range(len(table.columns)) if not pd.api.types.is_numeric_dtype(table.frame[i])]
    scores = {0: 0.0} | {i: share_of_srnas(table.frame[i].dropna().astype(str).tolist()) for i in text}
    matures = [i for i in scores if table.columns[i].lower() in MATURE and scores[i] > 0.5]
    best = max(matures or scores, key=lambda i: (scores[i], -i))
    if best == 0 or scores[best] <= 0.5:
        return 0, list(range(1, len(table.columns)))
    table.notes.append(f"names taken from column {short(table.columns[best], 30)!r}")
    return best, [i for i in range(int(_counts_rows(table)), len(table.columns)) if i != best]


def _counts_rows(table: Table) -> bool:
    """Whether the first column only numbers the rows, from 0 or 1."""
    steps = np.diff(pd.to_numeric(table.frame[0], errors="coerce"), prepend=-1)
    return bool((steps[1:] == 1).all() and steps[0] in (1, 2))


def _long_table(table: Table, others: list[int], index: list[str]) -> Parsed | None:
    """Table with one row for each sample and sRNA: turned into the wide form, 0 where a pair is not listed."""
    lowered = [c.lower() for c in table.columns]
    numeric = [i for i in others if pd.api.types.is_numeric_dtype(table.frame[i])]
    counted = [i for i in others if COUNT_COLUMN.fullmatch(lowered[i])]
    named = [i for i in others if lowered[i] in SAMPLE_COLUMNS and lowered[i] not in ("id", "name")]
    texts = [i for i in others if i not in counted and i not in numeric]
    plain = [i for i in numeric if _key(lowered[i]) not in NO_SAMPLE]
    counted = counted or plain * (len(plain) == len(named) == 1)
    keys = named or [i for i in texts if _key(lowered[i]) not in NO_SAMPLE and len(set(index)) < len(index)]
    fits = len(keys) == len(counted) == 1
    if share_of_srnas(index) <= 0.5 or (not fits and len(set(index)) == len(index)):
        return None
    if not fits:
        places = [i for i in texts if lowered[i] not in NO_SAMPLE and not re.match("chr", str(table.frame[i].iloc[0]))]
        key = (named or places or [0])[0]
        if len(named or places) == 1 and not pd.DataFrame({0: index, 1: table.labels(key)}).duplicated().any():
            what = f"one row per {short(table.columns[key], 20)!r} and sRNA, and {len(counted)} columns called count"
            raise ReadError(f"{table.name}: {what}; expected columns sample, miRNA and count, or one for each sample.")
        return None
    pairs = pd.DataFrame({"sample": table.labels(keys[0]), "srna": index})
    n_samples, n_srnas = pairs.nunique()
    if n_samples == len(pairs):
        return None
    if (twice := pairs.duplicated()).any():
        pair = ", ".join(repr(short(name, 30)) for name in pairs[twice].iloc[0])
        raise ReadError(f"{table.name}: the pair {pair} is listed twice; expected one row for each sample and sRNA.")
    if n_srnas * n_samples > MAX_CELLS:
        raise ReadError(f"{table.name}: {n_srnas} sRNAs x {n_samples} samples; expected at most {MAX_CELLS} cells.")
    column = short(table.columns[keys[0]], 20)
    table.notes.append(f"one row per sample ({column}) and sRNA; pairs that are not listed have 0")
    values = pairs.assign(count=_matrix(table, counted).to_numpy())
    wide = values.pivot(index="srna", columns="sample", values="count").fillna(0.0)
    wide = wide.loc[pairs["srna"].unique(), pairs["sample"].unique()]
    return _parsed(wide.rename_axis(index=None, columns=None), table)


def numbers(table: Table, column: int, labels: list[str]) -> np.ndarray | None:
    """Cells of a column as float64, or None for a column of text; number and text mixed are refused."""
    cells = table.frame[column]
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells):
        return cells.to_numpy(dtype=np.float64)
    text = cells.dropna().astype(str).str.strip()
    if not text.str.fullmatch(NUMBER).any():
        return None
    values = pd.to_numeric(text, errors="coerce").astype(np.float64)
    if values.isna().any():
        at = values.index[values.isna()][0]
        why = next((why for pattern, why in ODD_NUMBERS.items() if re.fullmatch(pattern, text[at])), "no number")
        place = f"column {short(table.columns[column], 40)!r}, row {short(labels[at], 40)!r}"
        raise ReadError(f"{table.name}: {place} holds {short(text[at], 30)!r}, {why}; expected plain whole numbers.")
    return values.reindex(cells.index).to_numpy()


def _split(table: Table, others: list[int], labels: list[str], apart: set[str]) -> tuple[pd.DataFrame, list[int]]:
    """Columns of numbers, and positions of the rest: text, and names in `apart`."""
    data: dict[int, np.ndarray] = {}
    for i in others:
        is_apart = _key(table.columns[i]) in apart
        values = None if is_apart else numbers(table, i, labels)
        if values is not None:
            data[i] = values
        elif not is_apart and {t.lower() for t in table.labels(i)} <= EMPTY:
            data[i] = np.full(len(labels), np.nan)
    expect(data, f"{table.name}: no column holds numbers; expected columns of counts beside the names")
    frame = pd.DataFrame(data, index=labels)
    return frame.fillna(0.0) if table.missing == "zero" else frame, [i for i in others if i not in data]


def _features_in_rows(table: Table, index: list[str], names_at: int, others: list[int], no_sample: set[str]) -> Parsed:
    # what stands before the names says where they lie, as in BED files, unless it is called as what stands behind
    counted = [i for i in others if pd.to_numeric(table.frame[i], errors="coerce").notna().all()]
    kinds = {i: re.sub(r"\d+", "0", table.columns[i]) for i in counted}
    behind = {kind for i, kind in kinds.items() if i > names_at} or set(kinds.values())
    before = [i for i in others if i < names_at and kinds.get(i) not in behind]
    frame, rest = _split(table, [i for i in others if i not in before], index, no_sample)
    rest = [*before, *rest]
    lowered = {table.columns[i].lower() for i in frame}
    if read_umis := [i for i in frame if re.sub("reads$", "umis", c := table.columns[i].lower()) in lowered - {c}]:
        table.notes.append(f"{len(read_umis)} columns of reads left out beside those of their UMIs (QIAGEN)")
        frame = frame.drop(columns=read_umis)
    marked = [i for i in frame if NORMALISED_COLUMN.search(table.columns[i]) and not _normal_tissue(table, i, frame)]
    qpcr = all(re.search(r"(?:^|[ _.-])[dD]{0,2}C[tq]$", table.columns[i]) for i in frame)
    what = "normalised" if len(marked) == frame.shape[1] else "Ct of qPCR" if qpcr else ""
    first = f"(first {short(table.columns[[*marked, *frame][0]], 30)!r})"
    if marked and not what:
        table.notes.append(f"{len(marked)} normalised columns left out {first}")
        frame = frame.drop(columns=marked)
    if rest:
        listed = ", ".join(short(table.columns[i], 20) or "unnamed" for i in rest[:5])
        table.notes.append(f"{len(rest)} annotation columns left aside ({listed})")
    frame = frame.set_axis([table.columns[i].removeprefix("read_count_") for i in frame], axis=1)  # TCGAbiolinks
    if frame.shape[1] == 1 and COUNT_COLUMN.fullmatch(frame.columns[0]):
        table.notes.append(f"column {short(frame.columns[0], 20)!r} is one sample, named after the file")
        frame.columns = [_file_sample(table)]
    loci = table.frame[[i for i in rest if i in before or table.columns[i].lower() in LOCUS]]
    return _parsed(frame, table, loci=loci, normalised=what and f"every column is named as {what} {first}")


def _normal_tissue(table: Table, column: int, frame: pd.DataFrame) -> bool:
    """Whether ``liver_norm`` is a sample: no column of the same name is there, or these are no multiples of it."""
    name, values = table.columns[column], frame[column]
    if not re.search(r"[ _.-]norm$", name, re.IGNORECASE):
        return False
    base = re.escape(NORMALISED_COLUMN.sub("", name))
    raw = re.compile(base + r"([ _.(-](?:raw|reads?|counts?|read[ _.]?counts?)\)?)?", re.IGNORECASE)
    found = {i: m for i in frame if (m := raw.fullmatch(table.columns[i]))}
    bases = [frame[i] for i in found]
    if any(m[1] for m in found.values()):
        return False  # s1_raw stands beside s1_norm
    multiples = ((values - b * values.sum() / max(b.sum(), 1)).abs().max() <= 0.51 and (b > 0).sum() > 9 for b in bases)
    return not bases or (bool((values == np.floor(values)).all()) and not any(multiples))


def _file_sample(table: Table, endings: str = "") -> str:
    """Sample that a file is named after, else the folder of a file that tools name alike everywhere."""
    path = Path(table.name)
    own = re.sub(rf"(?:^|[._-]+)(?:{endings})$", "", stem(path)) if endings else stem(path)
    return own or path.absolute().parent.name or stem(path)


def _parsed(
    frame: pd.DataFrame, file: Table | Source, what: str = "sRNA", *, loci: pd.DataFrame | None = None,
    biotype: str = "", **more: Any,
) -> Parsed:  # fmt: skip
    """Check names and cells of a table of sRNAs x samples, leave out sums, merge repeats and annotate."""
    name, notes = file.name, file.notes
    check_names(list(frame.columns), "sample", name)
    check_names(list(frame.index), what, name)
    told = np.array(["obs" not in more and _key(n) in OBS_NAMES for n in frame.index])
    if told.any():
        more["obs"] = frame[told].T
        notes.append(f"rows that tell of the samples: {', '.join(short(n, 20) for n in frame.index[told][:8])}")
    summary = frame.index.str.strip().str.fullmatch(SUMMARY) | frame.index.str.match("#+ *[A-Za-z]") | _sums(frame.T)
    summary &= ~told
    if summary.any() and not summary.all():
        listed = ", ".join(short(n, 20) for n in frame.index[summary][:5])
        sums = f"{int(summary.sum())} rows that are sums, comments or reads without an {what}"
        notes.append(f"{sums} left out ({listed})")
    left = ~(summary | told) if not (summary | told).all() else np.ones(len(frame), dtype=bool)
    frame, loci = frame[left], None if loci is None else loci[left]
    if (total := _sums(frame)).any():
        notes.append(f"{short(frame.columns[total][0], 20)!r}, the sum of the other samples, left out")
        frame = frame.loc[:, ~total]
    if not biotype:
        wanted = "sRNAs such as hsa-miR-21-5p, or an .h5ad file whose var['biotype'] says what they are"
        check_srnas(list(frame.index), name, wanted)
    _check_filled(frame, name, what)
    frame = _merge_repeats(frame, name, loci, notes)
    return Parsed(frame.T, var=annotate(frame.T, biotype), notes=notes, **more)


def _sums(frame: pd.DataFrame) -> np.ndarray:
    """Mask of the one column that is the sum of the others, of several in several rows, if there is such a one."""
    values, total = frame.to_numpy(), frame.sum(axis=1).to_numpy()
    mixed = ((values > 0).sum(axis=1) > 2).sum() > 1
    found = (2 * values == total[:, None]).all(axis=0) & bool(mixed)
    return found & (found.sum() == 1)


def _check_filled(frame: pd.DataFrame, name: str, what: str) -> None:
    """Refuse empty columns and missing cells; a count table says 0 where nothing was read."""
    missing = frame.isna()
    for empty, axis in ((missing.all(axis=0), "sample"), (missing.all(axis=1), what)):
        for first in empty.index[empty][:1]:
            found = f"{int(empty.sum())} {axis}s hold no value (first {short(str(first), 40)!r})"
            raise ReadError(f"{name}: {found}; expected 0 for none{ZERO}.")
    for i, j in np.argwhere(missing.to_numpy())[:1]:
        place = f"{what} {short(str(frame.index[i]), 40)!r}, sample {short(frame.columns[j], 40)!r}"
        number = int(missing.to_numpy().sum())
        raise ReadError(f"{name}: {number} cells are empty or missing (first: {place}); expected 0 for no read{ZERO}.")


def _merge_repeats(counts: pd.DataFrame, name: str, loci: pd.DataFrame | None, notes: list[str]) -> pd.DataFrame:
    """One row per sRNA: equal rows are listed again, others are summed where columns (precursor) tell them apart."""
    if counts.index.is_unique:
        return counts
    again = counts.reset_index().duplicated().to_numpy()
    kept = counts[~again]
    if again.any():
        notes.append(f"{int(again.sum())} rows that repeat a name and its counts kept once")
    if kept.index.is_unique:
        return kept
    twice = kept.index[kept.index.duplicated()].unique()
    apart = None if loci is None or loci.empty else loci[~again].assign(name=kept.index)
    if apart is None or apart.duplicated().any():
        first = f"{len(twice)} sRNAs appear twice with different counts (first {short(str(twice[0]), 40)!r})"
        raise ReadError(f"{name}: {first}; expected each once, or a column (precursor, locus) that tells them apart.")
    notes.append(f"{len(twice)} sRNAs summed over their loci")
    return kept.groupby(level=0, sort=False).sum()


MTX_NAMES = (("features.tsv", "genes.tsv", "features.txt"), ("barcodes.tsv", "samples.tsv", "barcodes.txt"))
MTX_HEAD = "%%matrixmarket matrix coordinate (integer|real) general"
GSM = re.compile(r"GSM\d+")
COUNT_WORD = re.compile(r"count|raw|reads", re.IGNORECASE)


def first_file(folder: Path, names: tuple[str, ...]) -> Path | None:
    """First of the names that is in the folder, plain or compressed."""
    return next((p for n in names for s in ("", *COMPRESSED) if (p := folder / (n + s)).is_file()), None)


def mtx(path: Path) -> tuple[Parsed, Source]:
    """10x-style folder (10x Genomics, "Feature-barcode matrices", MEX; NIST Matrix Market), and its matrix."""
    # The name of a feature is in the second column where there is one, else the first.
    folder = path if path.is_dir() else path.parent
    files = [path if path.is_file() else first_file(folder, ("matrix.mtx",))]
    files += [first_file(folder, names) for names in MTX_NAMES]
    for file, wanted in zip(files, ("matrix.mtx", "features.tsv", "barcodes.tsv"), strict=True):
        expect(file, f"{folder}: the folder has no {wanted} beside it; expected matrix, features and barcodes")
    matrix, features, barcodes = (load(file) for file in files if file)
    rows, columns = _name_list(features), _name_list(barcodes)
    frame = pd.DataFrame(_matrix_market(matrix.data, matrix.name, (len(rows), len(columns))), rows, columns)
    if share_of_srnas(columns) > share_of_srnas(rows):
        frame = frame.T
        matrix.notes.append("sRNAs stood in the barcodes: turned round")
    return _parsed(frame, matrix), matrix


def _name_list(source: Source) -> list[str]:
    rows = [line.split("\t") for line in decode(source)[0].split("\n") if line.strip()]
    columns = [[r[i].strip().strip('"') for r in rows] for i in range(min(2, *map(len, rows), 2))] if rows else [[]]
    return columns[0] if share_of_srnas(columns[0]) > share_of_srnas(columns[-1]) else columns[-1]


def _matrix_market(data: bytes, name: str, shape: tuple[int, int]) -> np.ndarray:
    head = " ".join(data[:200].split(b"\n")[0].decode("latin-1").lower().split())
    wanted = "expected %%MatrixMarket matrix coordinate integer general"
    expect(re.fullmatch(MTX_HEAD, head), f"{name}: unknown first line; {wanted}")
    with refusing(f"{name}: damaged matrix", "numbers only", ValueError):
        cells = pd.read_csv(io.BytesIO(data), sep=r"\s+", comment="%", header=None).to_numpy(np.float64)
    if cells.shape[1] != 3 or (cells[:, :2] % 1).any():
        raise ReadError(f"{name}: damaged matrix; expected the sizes, then row, column and count of each entry.")
    (n_rows, n_columns, n_entries), entries = cells[0].tolist(), cells[1:]
    if (n_rows, n_columns) != shape or math.prod(shape) > MAX_CELLS:
        sizes = f"{n_rows:.0f} x {n_columns:.0f} where features and barcodes name {shape[0]} x {shape[1]}"
        raise ReadError(f"{name}: the matrix is {sizes}; expected them alike, and at most {MAX_CELLS} cells.")
    if n_entries != len(entries):
        raise ReadError(f"{name}: {len(entries)} entries where {n_entries:g} are announced; expected a whole file.")
    places = entries[:, :2].astype(np.int64) - 1
    if not ((places >= 0) & (places < shape)).all():
        raise ReadError(f"{name}: entries lie outside the {shape[0]} x {shape[1]} matrix; expected indices from 1.")
    if len(np.unique(places, axis=0)) != len(places):
        raise ReadError(f"{name}: a cell of the matrix is given twice; expected each once.")
    values = np.zeros(shape)
    values[tuple(places.T)] = entries[:, 2]
    return values


def geo_samples(text: str, name: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Sample table (rows GSM) and series facts of a GEO series matrix (NCBI GEO, "SOFT and MINiML formats")."""
    # characteristics_ch1 repeats and holds tag: value; a sample may lack a tag that others have, so tags are read cell
    # by cell.
    with refusing(f"{name}: the !Sample_ lines cannot be parted", "tabs", csv.Error):
        lines = list(csv.reader((li for li in text.split("\n") if li.startswith("!")), delimiter="\t"))
    rows = [(key, [v.strip() for v in values]) for key, *values in lines]
    # of lines with one key the first counts
    series = {k.removeprefix("!Series_"): v[0] for k, v in reversed(rows) if k.startswith("!Series_") and v}
    columns = {k.removeprefix("!Sample_"): v for k, v in reversed(rows) if k.startswith("!Sample_")}
    series["supplementary_file"] = " ".join(" ".join(v) for k, v in rows if k == "!Series_supplementary_file")
    described = [values for key, values in rows if key.startswith("!Sample_characteristics")]
    tags: list[dict[str, str]] = [{} for _ in described[0]] if described else []
    for told, value in (cell for values in described for cell in zip(tags, values, strict=False)):
        tag, _, content = value.partition(":")
        if content.strip():
            told.setdefault(tag.strip(), content.strip())
    accessions = columns.pop("geo_accession", [])
    if not accessions or len(set(accessions)) != len(accessions):
        raise ReadError(f"{name}: no line !Sample_geo_accession with one GSM per sample; expected a GEO series matrix.")
    wanted = ("title", "source_name_ch1", "organism_ch1", "platform_id", "instrument_model", "description")
    frame = pd.DataFrame({k: columns[k] for k in wanted if len(columns.get(k, [])) == len(accessions)}, accessions)
    if len(tags) == len(accessions):
        characteristics = pd.DataFrame(tags, accessions)
        frame = frame.join(characteristics[[c for c in characteristics if c not in frame]])
    return frame, series


def geo_series_matrix(path: Path) -> tuple[Parsed, Source]:
    """GEO series matrix with its table, or with the supplementary count table beside it; and where the counts stood."""
    # For sequencing the table is empty, and counts are in a file that !Series_supplementary_file lists or that is
    # called GSE..._*count*, *raw* or *reads*.
    series_file = source = load(path)
    text, _ = decode(source)
    samples, series = geo_samples(text, source.name)
    inside = text.partition("!series_matrix_table_begin\n")[2].partition("!series_matrix_table_end")[0].strip("\n")
    accession = series.get("geo_accession", "") or stem(path).split("_")[0]
    if "\n" not in inside:
        source = load(_supplementary(path, accession, series))
    table = parse_text(inside, source.name) if source is series_file else parse(source)
    parsed = count_table(table, {*samples.index, *samples.get("title", [])})
    parsed.obs = _match(parsed.counts.index, samples, series_file.name).assign(dataset_id=accession)
    parsed.notes = [f"GEO series {accession}, counts from {Path(source.name).name}", *parsed.notes]
    parsed.info = {"title": series.get("title", accession), "citation": f"GEO {accession}"}
    return parsed, source


def _match(names: pd.Index, samples: pd.DataFrame, file: str) -> pd.DataFrame:
    """Rows of the sample table in the order of the counts: by accession, title, or a title's last word."""
    keys = [samples.index.to_series(), *(samples[c] for c in ("title", "description") if c in samples)]
    if "title" in samples:
        keys.append(samples["title"].str.split(r"[:;,\s\[\]]+").str[-1])
    best = {n: m.group() for n in names if (m := GSM.search(n)) and m.group() in samples.index}
    for values in keys:
        once = values[~values.duplicated(keep=False)]
        place = dict(zip(once, once.index, strict=True))
        best = max(best, {n: place[n] for n in names if n in place}, key=len)
    listed = f"none of the {len(names)} count columns (first {short(str(names[0]), 40)!r})"
    expect(best, f"{file}: {listed} is a GSM or title; expected one")
    frame = samples.reindex([best.get(n) for n in names])
    frame["geo_accession"] = [best.get(n, np.nan) for n in names]
    return frame.set_axis(names)


def _supplementary(path: Path, accession: str, series: dict[str, str]) -> Path:
    """Count table beside a series matrix: one that it lists, else one that is called so."""
    listed = [url.rsplit("/", 1)[-1] for url in series.get("supplementary_file", "").split()]
    tables = [n for n in listed if n and not n.lower().endswith((".tar", ".tgz", "none"))]
    tables.sort(key=lambda n: COUNT_WORD.search(n) is None)
    names = sorted(p.name for p in path.parent.glob(f"{accession}[_.]*") if COUNT_WORD.search(p.name))
    tables += [n for n in names if "series_matrix" not in n and not n.endswith(".tar")]
    if beside := first_file(path.parent, tuple(form for n in tables for form in (n, n.removesuffix(".gz")))):
        return beside
    wanted = ", ".join(short(n, 40) for n in listed[:3]) or f"{accession}_counts.txt.gz"
    empty = "its table is empty, as usual for sequencing"
    raise ReadError(f"{path}: {empty}; expected the supplementary counts ({wanted}, of a .tar unpacked) beside it.")


CONTAMINANTS = re.compile(r"contaminant|pathogen|infection", re.IGNORECASE)
OASIS_SUFFIX = "_allspeciesCounts"
OASIS_END = rf"([_.-]?(contaminants?|pathogens?|infections?)(_?counts)?)?({OASIS_SUFFIX})?$"
COUNT = r"\d+(\.\d+)?"
SRNABENCH_COUNTS, SRNABENCH_COLUMNS = {"read count", "read count (SA)"}, {"unique reads", "RPM (lib)", "RPM (total)"}


def oasis2(table: Table, samples: set[str]) -> Parsed:
    """Oasis 2 (Rahman et al. 2018, BMC Bioinformatics 19:54): name and count of one sample, or a table of several."""
    # Files have no header; names are of all species. The layout of contaminant tables is documented nowhere that we
    # found: a file with such a word in its name is taken as the same kind of table, whose rows are contaminants.
    name, one_sample = Path(table.name).name, len(table.columns) == 2
    kind = "contaminant" if CONTAMINANTS.search(name) else ""
    if not kind and not one_sample:
        return count_table(table, samples)
    frame = _matrix(table)
    if one_sample:
        if re.fullmatch(COUNT, table.columns[1]):
            first = pd.DataFrame([[float(table.columns[1])]], index=[table.columns[0]], columns=frame.columns)
            frame = pd.concat([first, frame])
            table.notes.append("no header: names and counts of one sample")
        frame.columns = [re.sub(OASIS_END, "", stem(Path(name)), flags=re.IGNORECASE) or stem(Path(name))]
    elif len(samples & set(frame.index)) > len(samples & set(frame.columns)):
        frame = frame.T  # names of organisms look like nothing, so only metadata can tell that samples are in rows
    return _parsed(frame, table, kind or "sRNA", biotype=kind)


def srnabench(table: Table, samples: set[str]) -> Parsed:
    """sRNAbench: a ``*.grouped`` file of one sample, or the matrix ``*_minExpr<k>_RCadj.mat`` of several."""
    # Of a grouped file read count or read count (SA) is taken; the adjusted column shares reads out. A mature that
    # several precursors list is kept once, its highest count, since the same reads map to each. The sample is the
    # folder, since sRNAbench names all files alike.
    column = next((c for c in ("read count", "read count (SA)") if c in table.columns), None)
    if column is None:
        return count_table(table, samples)
    sample = _file_sample(table, r".*_?(?:sense|antisense)(?:_SA|_singleA)?")
    names_at = table.columns.index("name") if "name" in table.columns else 0
    frame = _matrix(table, [table.columns.index(column)], names_at).set_axis([sample], axis=1)
    table.notes.append(f"column {column!r} taken, {len(frame)} rows: highest count of each name")
    return _parsed(frame.groupby(level=0, sort=False).max(), table)


def mirdeep2(table: Table, samples: set[str]) -> Parsed:
    """miRDeep2 ``miRNAs_expressed_all_samples_<time>.csv`` (``quantifier.pl``): one row per mature and precursor."""
    # A read that maps to several precursors is counted at each, so the highest count is taken. With -W reads are shared
    # out among the places they map to: the fractions are summed, and where rounding to two decimals keeps the sums from
    # whole numbers they are expected counts.
    lowered = [c.lstrip("#").lower() for c in table.columns]
    if lowered[0] != "mirna" or "precursor" not in lowered:
        raise ReadError(f"{table.name}: no header of miRDeep2; expected #miRNA, read_count, precursor and the samples.")
    others = {"mirna", "read_count", "precursor", "total"}
    places = [i for i, c in enumerate(lowered) if c not in others and not c.endswith("(norm)")]
    if places or "read_count" not in lowered:
        frame = _matrix(table, places)
    else:
        frame = _matrix(table, [lowered.index("read_count")]).set_axis([stem(Path(table.name))], axis=1)
    whole, grouped = not (frame.to_numpy() % 1).any(), frame.groupby(level=0, sort=False)
    counts = grouped.max() if whole else grouped.sum()
    how = "highest count over precursors" if whole else "weighted reads summed over precursors"
    table.notes.append(f"{len(frame)} rows of mature and precursor, {len(counts)} matures: {how}")
    return _parsed(counts, table, "miRNA")


def nfcore_smrnaseq(table: Table, samples: set[str]) -> Parsed:
    """nf-core/smrnaseq 2.4: ``mature|hairpin_counts.csv``, ``mirna.tsv``, ``joined_samples_mirtop.tsv``."""
    # mirtop joins one row per isomiR; they are summed to miRNAs as the pipeline itself does, the first row of each UID
    # only (bin/collapse_mirtop.r).
    return isomirs(table, samples) if {"UID", "miRNA"} <= set(table.columns) else count_table(table, samples)


ISOMIR_COLUMNS = re.compile(
    r"uid|read|seq|sequence|name|mirna|mir|variant|iso_\w+|mism|add|[ts][35]|db|precursor|ambiguity|start|end|change"
    r"|chrom|annotflag|entropy|(?:exact|hairpin|isomir) mirna|(?:mature|primary) trna|snorna|rrna|ncrna others|mrna",
    re.IGNORECASE,
)


def isomirs(table: Table, samples: set[str]) -> Parsed:
    """One row per isomiR, summed to mature miRNAs: mirtop counts, isomiRs ``rawData``, seqbuster and bcbio, miRge."""
    # A sequence that several rows list counts at the first, as nf-core/smrnaseq does (bin/collapse_mirtop.r).
    lowered = [c.lower() for c in table.columns]
    at = {c: i for i, c in reversed(list(enumerate(lowered)))}
    names = table.frame[next(at[c] for c in (*MATURE, "exact mirna") if c in at)]
    if "isomir mirna" in at:  # miRge's mapped.csv names canonical reads and isomiRs in two columns
        names = names.fillna(table.frame[at["isomir mirna"]]).str.replace(r"\.SNP.*", "", regex=True)
    key = next(at[c] for c in ("uid", "seq", "sequence", "read") if c in at)
    again = table.frame[key].duplicated().to_numpy()
    kept = ~again & (table.frame[at["db"]].eq("miRNA").to_numpy() if "db" in at else True)
    if "isomir mirna" in at:
        kept &= names.notna().to_numpy()
    places = [at["freq"]] if "freq" in at else [i for i, c in enumerate(lowered) if not ISOMIR_COLUMNS.fullmatch(c)]
    frame = _matrix(table, places).set_axis(["" if pd.isna(n) else str(n).strip() for n in names])[kept]
    if "freq" in at:
        frame.columns = [_file_sample(table, "mirbase-ready")]
    counts = frame.groupby(level=0, sort=False).sum()
    left = f"{again.sum()} rows that repeat a {table.columns[key]}"
    left += f", {(~kept & ~again).sum()} of no mature" if "db" in at else ""
    table.notes.append(f"{len(frame)} isomiRs summed to {len(counts)} miRNAs, {left} left out")
    scaled = "miRge writes reads per million of isomiRs here; the counts are in miR.Counts.csv or mapped.csv"
    why = scaled if "entropy" in at and (frame.to_numpy() % 1).any() else ""
    return _parsed(counts, table, "miRNA", normalised=why)


def mirgff3(source: Source) -> Parsed:
    """mirGFF3 of mirtop and miRge3: isomiRs, each with the counts of the samples that ``## COLDATA:`` names."""
    text, notes = decode(source)
    named = re.search(r"^##\s*COLDATA:\s*(.+)$", text, re.MULTILINE)
    rows = [line.split("\t") for line in text.split("\n") if line.strip() and not line.startswith("#")]
    ragged = next((row for row in rows if len(row) != 9), None)
    expect(rows and not ragged, f"{source.name}: {'a line without nine cells' if rows else 'no line'}; expected GFF3")
    told = [dict(re.findall(r"(\w+)[= ]([^;]*)", row[8])) for row in rows]
    if not named or not all({"Expression", "Name"} <= set(t) for t in told):
        lacks = "a line without Expression and Name" if named else "no line ## COLDATA, so no Expression of samples"
        raise ReadError(f"{source.name}: {lacks}; expected the mirGFF3 of mirtop, no annotation.")
    names = [s.strip() for s in named[1].split(",")]
    wrong = next((t["Expression"] for t in told if t["Expression"].count(",") + 1 != len(names)), None)
    what = f"Expression {short(wrong or '', 20)!r} where COLDATA names {len(names)} samples"
    expect(wrong is None, f"{source.name}: {what}; expected a count for each")
    passed = [t for t in told if t.get("Filter", "Pass").strip().lower() == "pass"]
    expect(passed, f"{source.name}: every row is rejected by its Filter; expected rows that pass")
    cells = {t.get("UID", t.get("Read", str(i))): t for i, t in reversed(list(enumerate(passed)))}  # the first of each
    lines = ["\t".join([str(uid), t["Name"].strip(), *t["Expression"].strip().split(",")]) for uid, t in cells.items()]
    notes.append(f"{len(rows) - len(passed)} rows that are rejected left out")
    table = parse_text("\n".join(["\t".join(["UID", "miRNA", *names]), *reversed(lines)]), source.name)
    return isomirs(replace(table, notes=[*source.notes, *notes]), set())


def excerpt(table: Table, samples: set[str]) -> Parsed:
    """exceRpt: ``readCounts_miRNAmature_sense.txt`` of one sample, or the merged ``exceRpt_miRNA_ReadCounts.txt``."""
    # Reads that map to several sRNAs are shared out among them (multimapAdjustedReadCount), so counts are rounded.
    if "multimapAdjustedReadCount" in table.columns:
        endings = "readCounts_miRNA(?:mature|precursor)_(?:anti)?sense"
        frame = _one_sample(table, "multimapAdjustedReadCount", endings)
    else:
        frame = _matrix(table)
    # name:MIMAT:genus:species:short name, several joined by |
    frame.index = ["/".join(part.split(":")[0] for part in name.split("|")) for name in frame.index]
    return _parsed(frame, table, shared="multimap-adjusted reads of exceRpt")


def gdc(table: Table, samples: set[str]) -> Parsed:
    """GDC: ``mirnas.quantification.txt`` (stem-loops) or ``isoforms.quantification.txt`` (summed by accession)."""
    endings = r"(?:mirbase\d+\.)?(?:mirna|isoform)s?\.quantification|quantification"
    frame = _one_sample(table, "read_count", endings)
    if "miRNA_region" in table.columns:
        regions = pd.Series(table.labels(table.columns.index("miRNA_region")))
        accession = regions.str.extract(r"^mature,(MIMAT\d{7})$")[0]
        lost = frame[accession.isna().to_numpy()].to_numpy().sum()
        left = f"{lost:,.0f} reads of precursors, stem-loops or without place left out"
        table.notes.append(f"isoforms summed to accessions; {left}")
        frame = frame.set_axis(accession)[accession.notna().to_numpy()].groupby(level=0, sort=False).sum()
        frame.index.name = None
        expect(len(frame), f"{table.name}: no row of a mature miRNA (mature,MIMAT...); expected isoforms of the GDC")
    return _parsed(frame, table, "miRNA")


ISOMIR = re.compile(
    r"([A-Za-z]{3,4}-(?:miR|mir|let|lin|lsy)-\w+?(?:-\d+)*(?:-[53]p)?\*?)"
    r"(?:[.;:|_](?:ref\b|iso(?:miR)?(?:\b|_)).*|[.;]\S*[.;]\S*[.;].*|\|[+-]?\d+\|[+-]?\d+.*|[_|:][ACGTUN]{15,30})"
)


def name_isomirs(names: list[str]) -> bool:
    """Whether most names are those of isomiRs, called after their miRNA."""
    return _share(ISOMIR, [n if len(n) < 200 else "" for n in names]) > 0.5


def sum_isomirs(frame: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Rows of isomiRs summed to mature miRNAs."""
    of = [m[1] if (m := ISOMIR.fullmatch(n)) else n for n in frame.index]
    counts = frame.groupby(of, sort=False).sum()
    notes.append(f"{len(frame)} isomiRs summed to {len(counts)} miRNAs")
    return counts


def named_isomirs(table: Table, samples: set[str]) -> Parsed:
    """One row per isomiR, called after its miRNA (``counts.tsv`` of bcbio, isomiRs): summed to mature miRNAs."""
    return _parsed(sum_isomirs(_matrix(table), table.notes), table, "miRNA")


def join(parts: list[Parsed], name: str, listed: list[str]) -> Parsed:
    """One table from several files; what a file does not list has 0 reads there if files list only what has reads."""
    grouped = pd.concat([part.counts for part in parts]).groupby(level=0, sort=False)
    twice = (grouped.count() > 1).any(axis=1)
    if twice.any():
        first = short(str(twice.index[twice][0]), 40)
        raise ReadError(f"{name}: sample {first!r} is in two files; expected each once.")
    table = grouped.sum()
    notes = list(dict.fromkeys(note for part in parts for note in part.notes))
    for part, file in zip(parts, listed, strict=True):
        lost = table.columns.difference(part.counts.columns, sort=False)
        if len(lost) and (len(part.counts) > 1 or not part.counts.to_numpy().all()):
            what = f"{file} lists sRNAs without reads, but not {short(str(lost[0]), 40)!r}, which another file has"
            raise ReadError(f"{name}: {what}; expected the same names in each file, or only sRNAs with reads.")
    some = int((grouped.count().sum() < len(table)).sum())
    notes[:0] = [f"{some} sRNAs that only some files list have 0 reads in the others"] if some else []
    biotype = pd.concat([part.var["biotype"] for part in parts])
    var = annotate(table).assign(biotype=biotype[~biotype.index.duplicated(keep="last")])
    normalised, shared = (max(getattr(p, key) for p in parts) for key in ("normalised", "shared"))
    joined = f"{len(parts)} files joined"
    return Parsed(table, var=var, notes=[joined, *notes], normalised=normalised, shared=shared)


def _matrix(table: Table, places: list[int] | None = None, names_at: int = 0) -> pd.DataFrame:
    """Columns that must be numbers (all but the first by default), under the names of their rows."""
    places = list(range(1, len(table.columns))) if places is None else places
    expect(places, f"{table.name}: there is no column of a sample; expected one for each")
    frame, rest = _split(table, places, table.labels(names_at), set())
    for i in [*rest, *frame.columns[frame.isna().any()]][:1]:
        column = short(table.columns[i], 40)
        raise ReadError(f"{table.name}: {column!r} holds text or empty cells; expected counts{ZERO}.")
    return frame.set_axis([table.columns[i] for i in places], axis=1)


def _one_sample(table: Table, column: str, endings: str) -> pd.DataFrame:
    """One column of a file of a single sample."""
    table.notes.append(f"column {column} taken, one sample named after its file or folder")
    return _matrix(table, [table.columns.index(column)]).set_axis([_file_sample(table, endings)], axis=1)


class Layout(NamedTuple):
    """Layout of text tables: what it is, how it is told, how it is read."""

    says: str
    fits: Callable[[Table, str], Any]  # by table and file name
    parse: Callable[[Table, set[str]], Parsed] = count_table
    folder: tuple[str, ...] = ()  # files of a folder that are joined
    scaled: str = "(?!)"  # names of files that hold no counts
    instead: str = ""  # where the counts are then


def _is_mirdeep2(table: Table, name: str) -> bool:
    lowered = [c.lower() for c in table.columns]
    return lowered[0].lstrip("#") == "mirna" and {"precursor", "read_count"} <= set(lowered)


def _is_srnabench(table: Table, name: str) -> object:
    grouped = [columns & set(table.columns) for columns in (SRNABENCH_COUNTS, SRNABENCH_COLUMNS)]
    return all(grouped) or re.search(r"_minExpr\d+.*\.mat", name)


def _is_mirge3(table: Table, name: str) -> bool:
    return name.lower().startswith(("mir.counts.", "mir.rpm.")) or str(table.frame[0].iloc[0]) == "miRNAtotal"


def _is_nfcore(table: Table, name: str) -> object:
    mirtop = {"UID", "Read", "miRNA"} <= set(table.columns)
    mirna = stem(Path(name)).lower() == "mirna" and table.columns[0] == "miRNA"
    return mirtop or mirna or re.match(r"(?:mature|hairpin)_(?:counts|logtpm|normalized_cpm)\.", name, re.IGNORECASE)


def _is_oasis2(table: Table, name: str) -> object:
    named = OASIS_SUFFIX in name or (CONTAMINANTS.search(name) and table.delimiter)
    first, second = table.columns[:2]
    return named or (len(table.columns) == 2 and guess_biotype(first) and re.fullmatch(COUNT, second))


def _is_excerpt(table: Table, name: str) -> object:
    named = sum(bool(re.search(r":MIMAT\d{7}:", n)) for n in table.labels(0)) > 0.5 * len(table.frame)
    return named or "multimapAdjustedReadCount" in table.columns or "exceRpt_miRNA_Read" in name


def _is_isomirs(table: Table, name: str) -> bool:
    lowered = [c.lower() for c in table.columns]
    if {"exact mirna", "isomir mirna"} <= set(lowered):
        return "sequence" in lowered
    at = next((lowered.index(c) for c in MATURE if c in lowered), None)
    listed = {"seq", "sequence", "read"} & set(lowered) and not {"sample", "sample_id"} & set(lowered)
    tagged = {"mism", "t5", "t3", "entropy"} & set(lowered)
    return at is not None and bool(listed) and (bool(tagged) or bool(table.frame[at].duplicated().any()))


# The first that fits wins.
LAYOUTS = {
    "mirdeep2": Layout("miRDeep2: miRNAs_expressed_all_samples_*.csv", _is_mirdeep2, mirdeep2),
    "srnabench": Layout("sRNAbench: *.grouped, a folder of result folders, or *_minExpr*.mat", _is_srnabench, srnabench,
                        ("*/mature_sense.grouped*", "mature_sense.grouped*"), r"RPM.*\.mat", "*_RC.mat or *_RCadj.mat"),
    "mirge3": Layout("miRge3.0: miR.Counts.csv", _is_mirge3, scaled=r"\.rpm", instead="miR.Counts.csv"),
    "nfcore_smrnaseq": Layout("nf-core/smrnaseq: mature_counts.csv, mirna.tsv, joined_samples_mirtop.tsv", _is_nfcore,
                              nfcore_smrnaseq, scaled="logtpm|normalized_cpm", instead="mature_counts.csv"),
    "oasis2": Layout("Oasis 2: a count file, a folder of them, or a table; sRNAs and contaminants", _is_oasis2, oasis2,
                     ("*_allspeciesCounts.txt*", "*ontaminant*", "*athogen*")),
    "excerpt": Layout("exceRpt: readCounts_miRNAmature_sense.txt, exceRpt_miRNA_ReadCounts.txt", _is_excerpt, excerpt,
                      ("*readCounts_miRNAmature_sense.txt*",), "ReadsPerMillion", "*_exceRpt_miRNA_ReadCounts.txt"),
    "gdc": Layout("GDC: isoforms.quantification.txt (matures) or mirnas.quantification.txt, and folders of them",
                  lambda table, name: {"miRNA_ID", "read_count"} <= set(table.columns), gdc,
                  ("*isoforms.quantification.txt*", "*isoform.quantification.txt*")),
    "gdc_stem_loops": Layout("GDC: a folder of mirnas.quantification.txt", lambda table, name: False, gdc,
                             ("*mirnas.quantification.txt*", "*mirna.quantification.txt*")),
    "isomirs": Layout("isomiRs: seqbuster and bcbio (.mirna, mirbase-ready.counts), rawData, mirtop counts, miRge3's"
                      " mapped.csv", _is_isomirs, isomirs, ("*.mirna", "*mirbase-ready.counts*")),
    "named_isomirs": Layout("isomiRs called after their miRNA: counts.tsv of bcbio",
                            lambda table, name: name_isomirs(table.labels(0)), named_isomirs),
    "mirge_entropy": Layout("isomirs.samples.csv of miRge, which holds no counts",
                            lambda table, name: any("isomir+mirna entropy" in c.lower() for c in table.columns),
                            scaled="", instead="miR.Counts.csv or mapped.csv"),
    "mirmaster": Layout("miRMaster: quantification_raw_mirna.csv", lambda table, name: "quantification_" in name,
                        scaled="rpm|norm", instead="*quantification_raw_mirna.csv"),
    "table": Layout("CSV, TSV or parquet, either way round", lambda table, name: True),
}  # fmt: skip


def parse_as(name: str, table: Table, samples: set[str]) -> Parsed:
    """What a table of one of `LAYOUTS` holds, marked where its file name says that these are no counts."""
    layout = LAYOUTS[name]
    parsed = layout.parse(table, samples)
    if re.search(layout.scaled, Path(table.name).name, re.IGNORECASE):
        parsed.normalised = f"the file name says that values are normalised; the counts are in {layout.instead}"
    return parsed


def detect_layout(table: Table) -> str:
    """First of `LAYOUTS` that a table fits; its header decides, its name only between alike ones."""
    return next(name for name, layout in LAYOUTS.items() if layout.fits(table, Path(table.name).name))
