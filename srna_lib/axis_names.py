"""Names on the two axes of a count table: what an sRNA's name gives away, and names that cannot be right."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pandas as pd

from srna_lib.errors import ReadError
from srna_lib.unpack import short

# Order matters: the first that matches wins.
BIOTYPE_NAMES = (
    ("miRNA", r"(?:[a-z]{3,5}[-_. ])?(?:novel[-_. ]?)?(?:pre[-_])?(?:mir[-_. ]?\d|let[-_. ]?7|bantam)"),
    ("miRNA", r"[a-z]{3}-(?:lin|let|lsy)-\d"),
    ("miRNA", r"mi(?:mat)?\d{7}"),
    ("piRNA", r"(?:[a-z]{3}[-_])?pi(?:r|rna)[-_.]?(?:[a-z]{3}[-_])?\d|pi-[a-z]{3}-\d"),
    ("snoRNA", r"(?:[a-z]{3}[-_])?(?:snor[ad]?\d|snord|snora|scarna|sno[-_]?(?:rna|u)|hbii-|aca\d|u\d+[-_]snorna)"),
    ("snRNA", r"(?:rnu\d|rnvu|rn7sk|snrna|u(?:1|2|4|5|6|7|11|12|4atac|6atac)(?:$|[- ]))"),
    ("tRF", r"(?:[a-z]{3}[-_])?(?:trf[-_ ]|trf$|trna|mt-t[a-z]\d?$|tsrna|tirna|nm-trna)"),
    ("other", r"(?:rrna|rn5s|rn18s|rn28s|rn45s|rn7sl|rny\d|y_?rna|vtrna|misc_?rna)"),
    ("other", r"(?:5|5-8|5\.8|12|16|18|28|45)s[-_ ]?r"),
    ("other", r"ens[a-z]*[gt]\d{11}"),
    # whole words only: plasma and macrophages are samples, not organisms
    ("contaminant", r".*(?:\b[a-z]*virus\b|\b(?!macro)[a-z]*phage\b|viridae|viroid)"),
    ("contaminant", r"[a-z]*(?:bacteri|bacter |coccus |bacillus |plasma |plasmodium|monas )"),
)  # fmt: skip
PATTERNS = tuple((biotype, re.compile(pattern, re.IGNORECASE)) for biotype, pattern in BIOTYPE_NAMES)
SPECIES = re.compile(r"([A-Za-z][a-z]{2})[-_](?:mir|let|miR|Mir|Let|MIR|LET)[-_]?\d")
MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
MANGLED = re.compile(
    rf"\d{{1,4}}[-/ ](?:{MONTHS})(?:[-/ ]\d+)?|(?:{MONTHS})[-/ ]\d{{1,4}}|\d{{4}}-\d\d-\d\d(?: \d\d:.*)?"
    r"|\d{1,2}/\d{1,2}/\d{2,4}|#(?:name\?|ref!|value!|div/0!|num!|null!)|\d\.\d+e\+\d+", re.IGNORECASE
)  # fmt: skip


def guess_biotype(name: str) -> str:
    """Biotype that a name suggests.

    Parameters
    ----------
    name : str
        Name of an sRNA, in any catalogue's spelling.

    Returns
    -------
    str
        One of `atlas.BIOTYPES`, or ``""`` when the name says nothing. A guess: catalogues share prefixes.
    """
    return next((biotype for biotype, pattern in PATTERNS if pattern.match(name)), "")


def share_of_srnas(names: list[str]) -> float:
    """Share of names that look like sRNAs, of at most 2000 taken evenly; 0 for none."""
    taken = names[:: max(1, len(names) // 2000)]
    return sum(bool(guess_biotype(n)) for n in taken) / len(taken) if taken else 0.0


def annotate(counts: pd.DataFrame, biotype: str = "") -> pd.DataFrame:
    """Annotation of the sRNAs of a count table: ``biotype`` and, where names carry it, ``species``.

    Parameters
    ----------
    counts : DataFrame, shape (n_samples, n_srnas)
        Columns are sRNA names.
    biotype : str
        Known biotype of all of them; without it names decide, and unknown ones are ``"other"``.

    Returns
    -------
    DataFrame, shape (n_srnas, 1 or 2)
        Index = columns of `counts`.
    """
    names = [str(n) for n in counts.columns]
    var = pd.DataFrame({"biotype": [biotype or guess_biotype(n) or "other" for n in names]}, index=counts.columns)
    found = [SPECIES.match(n) for n in names]
    if any(found):
        var["species"] = pd.Series([m.group(1).lower() if m else np.nan for m in found], index=var.index, dtype=object)
    return var


def check_names(names: list[str], axis: str, file: str) -> None:
    """Refuse names that are missing, repeated (samples) or mangled by a spreadsheet (sRNAs)."""
    missing = [i for i, n in enumerate(names) if not n.strip()]
    if missing:
        raise ReadError(
            f"{file}: {axis} number {missing[0] + 1} has no name ({len(missing)} such); expected a name for each."
        )
    if axis == "sample":
        twice = [n for n, times in Counter(names).items() if times > 1]
        if twice:
            raise ReadError(
                f"{file}: {len(twice)} sample names appear more than once (first {short(twice[0], 40)!r}); expected"
                " each once."
            )
        return
    mangled = [n for n in names if MANGLED.fullmatch(n.strip())]
    if mangled:
        raise ReadError(
            f"{file}: {len(mangled)} {axis} names were turned into dates, numbers or errors by a spreadsheet (first"
            f" {short(mangled[0], 30)!r}); expected the names as the tool wrote them."
        )
