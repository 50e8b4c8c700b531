"""Layouts of the tools that count small RNAs, each with where its layout is written down."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from srna_lib.axis_names import annotate, check_names, guess_biotype
from srna_lib.errors import ReadError
from srna_lib.formats import Parsed, count_table, merge_repeats, numbers
from srna_lib.tables import Table
from srna_lib.unpack import short, stem

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
