"""Tables that people have or could have, written before the readers were looked at: none is read wrongly.

What a case is read as was decided on the table alone. Where a table can mean two things it must be refused.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from srna_lib.errors import ReadError
from srna_lib.io import read

MIRS = ["hsa-miR-1-3p", "hsa-miR-21-5p", "hsa-let-7a-5p"]
PLAIN = "miRNA,s1,s2\nhsa-miR-1-3p,5,0\nhsa-miR-21-5p,7,120\nhsa-let-7a-5p,1,3\n"
TURNED = "sample,hsa-miR-1-3p,hsa-miR-21-5p,hsa-let-7a-5p\ns1,5,7,1\ns2,0,120,3\n"
LONG = (
    "sample,miRNA,count\ns1,hsa-miR-1-3p,5\ns1,hsa-miR-21-5p,7\ns1,hsa-let-7a-5p,1\ns2,hsa-miR-21-5p,120\n"
    "s2,hsa-let-7a-5p,3\n"
)
HEAD, *ROWS = PLAIN.splitlines()
BODY = "\n".join(ROWS) + "\n"
COUNTS = np.random.default_rng(5).negative_binomial(0.6, 0.01, (30, 8)) + 1
CPM = COUNTS / COUNTS.sum(axis=0) * 1e6
PERCENT = (COUNTS / COUNTS.sum(axis=0) * 100).round().astype(int)


def wide(values, head: list[str] | None = None) -> str:
    """Thirty miRNAs in rows."""
    head = head or [f"s{j}" for j in range(len(values[0]))]
    rows = [f"hsa-miR-{i}-5p," + ",".join(map(str, row)) for i, row in enumerate(values, 1)]
    return "\n".join(["miRNA," + ",".join(head), *rows]) + "\n"


def beside(*columns: tuple, text: str = PLAIN, first: bool = False) -> str:
    """A table with more columns, behind or before its numbers."""
    lines = []
    for line, *cells in zip(text.splitlines(), *columns, strict=True):
        name, rest = line.split(",", 1)
        lines.append(",".join(map(str, (name, *cells, rest) if first else (line, *cells))))
    return "\n".join(lines) + "\n"


def below(*rows: str, text: str = PLAIN) -> str:
    return text + "\n".join(rows) + "\n"


def above(*rows: str) -> str:
    return "\n".join([HEAD, *rows, *ROWS]) + "\n"


def front(cells, text: str) -> str:
    """A table with one more column in front of its names."""
    return "".join(f"{cell},{line}\n" for cell, line in zip(cells, text.splitlines(), strict=True))


def columns(text: str, *order: int) -> str:
    return "".join(",".join(line.split(",")[i] for i in order) + "\n" for line in text.splitlines())


def called(*names: str) -> str:
    return PLAIN.replace("s1,s2", ",".join(names))


def named(*names: str) -> str:
    """Other names of sRNAs."""
    return HEAD + "\n" + "".join(f"{n},{r.split(',', 1)[1]}\n" for n, r in zip(names, ROWS, strict=True))


def marked(values) -> list[list[str]]:
    """Numbers with European marks of thousands."""
    return [[f"{v / 1000:.3f}" if v >= 1000 else str(v) for v in row] for row in values.tolist()]


MANY = [[*map(int, r), *map(int, r), *map(int, r)] for r in COUNTS]
READ: dict[str, str] = {  # all hold the same three miRNAs in s1 and s2
    "title, filled up with commas": "Supplementary Table 3. Raw counts,,\n" + PLAIN,
    "title and an empty line": "Supplementary Table 3. Raw counts,,\n,,\n" + PLAIN,
    "title without commas": "Supplementary Table 3: raw counts\n\n" + PLAIN,
    "title of two lines": "Table S3\nRaw counts of all samples\n" + PLAIN,
    "row commented out": above("#hsa-miR-9-5p,3,3"),
    "Unnamed: 0": PLAIN.replace("miRNA", "Unnamed: 0"),
    "rows numbered by pandas": front(["Unnamed: 0", 0, 1, 2], PLAIN),
    "rows numbered, then sorted": front(["Unnamed: 0", 7, 0, 3], PLAIN),
    "names last": columns(PLAIN, 1, 2, 0),
    "names between": columns(PLAIN, 1, 0, 2),
    "accessions before names": front(["accession", "MIMAT0000416", "MIMAT0000076", "MIMAT0000062"], PLAIN),
    "index of two levels, sparse": front(["family", "mir-1", "", "let-7"], PLAIN),
    "grand total": beside(("Grand Total", 5, 127, 4)),
    "sum under another name": beside(("all reads", 5, 127, 4)),
    "sum first, another name": beside(("everything", 5, 127, 4), first=True),
    "p-value and fold change": beside(("pvalue", 0.5, 0.2, 0.1), ("log2FC", -1.5, 0.3, 2)),
    "length with its unit": beside(("Length (nt)", 22, 22, 22)),
    "numbers of clusters": beside(("cluster", 1, 2, 2)),
    "samples that have it": beside(("detected_in", 1, 2, 2)),
    "RPM before the sample": beside(("RPM_s1", 384615, 538462, 76923), ("RPM_s2", 0, 975610, 24390)),
    "normalised counts of DESeq2": beside(("s1_normalized_counts", 6, 8, 1), ("s2_normalized_counts", 0, 60, 2)),
    "CPM and TMM beside": beside(("s1_CPM", 384615.4, 538461.5, 76923.1), ("s2_TMM", 0, 110, 2.5)),
    "featureCounts": "# Program:featureCounts v2.0.1\nGeneid\tChr\tStart\tEnd\tStrand\tLength\ts1\ts2\n"
                     + "".join("{}\tchr1;chr2\t5;9\t8;9\t+;+\t22\t{}\t{}\n".format(*r.split(",")) for r in ROWS),
    "column of percentages": beside(("share", "5%", "10%", "85%")),
    "truth values": beside(("novel", "TRUE", "FALSE", "FALSE")),
    "dates": beside(("added", "2021-03-01", "2021-03-01", "2021-03-01")),
    "TOTAL:": below("TOTAL:,13,123"),
    "total of miRNA reads": below("Total miRNA reads,13,123"),
    "sum of rows under another name": below("all of them,13,123"),
    "mapped reads": below("mapped reads,5000,7000"),
    "library size": above("library_size,5000,7000"),
    "mean of rows": below("Mean,4,41"),
    "age and RIN in rows": above("age,45,50", "RIN,7,8"),
    "edgeR's columns before": beside(("lib.size", 13, 123), ("norm.factors", 1, 1), text=TURNED, first=True),
    "survival behind": beside(("OS.days", 310, 45), ("stage", 2, 3), text=TURNED),
    "coded covariates": beside(("sex", 0, 1), ("smoking", 1, 0), text=TURNED, first=True),
    "text covariates": beside(("stage", "II", "III"), text=TURNED, first=True),
    "truth covariates": beside(("smoker", "TRUE", "FALSE"), text=TURNED),
    "dates of sampling": beside(("date", "2020-01-02", "2020-02-03"), text=TURNED, first=True),
    "sum of samples' reads": beside(("Sum of all", 13, 123), text=TURNED),
    "mean of samples' reads": beside(("Mean", 4, 41), text=TURNED),
    "total below samples": below("Total,5,127,4", text=TURNED),
    "sum below samples, another name": below("everything,5,127,4", text=TURNED),
    "mean below samples": below("Mean,3,64,2", text=TURNED),
    "samples, rows numbered": front(["Unnamed: 0", 0, 1], TURNED),
    "samples behind their tissue": front(["tissue", "liver", "brain"], TURNED),
    "samples behind patients": front(["patient", 11, 12], TURNED),
    "samples, R's header": TURNED.replace("sample,", ""),
    "samples, blanks around": TURNED.replace("\ns1", "\ns1 ").replace("\ns2", "\n s2"),
    "trailing dots": PLAIN.replace("120", "120.").replace(",5,", ",5.,"),
    "plus sign": PLAIN.replace("120", "+120"),
    "blanks and tabs around numbers": PLAIN.replace("120", " 120 ").replace(",5,", ",\t5,"),
    "quoted number with a blank": PLAIN.replace("120", '" 120"'),
    "minus zero": PLAIN.replace(",5,0", ",5,-0"),
    "trailing blanks in names": named("hsa-miR-1-3p ", "hsa-miR-21-5p  ", "\u00a0hsa-let-7a-5p"),
    "repeated but for a blank": below("hsa-miR-1-3p ,5,0"),
    "long, numbered rows": front(["", *range(1, 6)], LONG),
    "long, CPM beside": beside(("CPM", 384615, 538462, 76923, 975610, 24390), text=LONG),
    "long, tabs and capitals": LONG.replace("sample,miRNA,count", "SAMPLE,MIRNA,COUNT").replace(",", "\t"),
    "long, unit beside": beside(("unit", *["reads"] * 5), text=LONG),
    "long, another word for count": LONG.replace("count", "expression"),
    "long, with sums": below("s1,Total,13", "s2,Total,123", text=LONG),
    "mixed line ends": PLAIN.replace("\n", "\r\n", 2),
    "lines of blanks between": PLAIN.replace("\n", "\n  \n"),
    "two byte order marks": "\ufeff\ufeff" + PLAIN,
    "all in quotes": "\n".join(",".join(f'"{c}"' for c in line.split(",")) for line in TURNED.splitlines()),
    "two comments, # before the header": "# by x\n#" + PLAIN.replace(",", "\t"),
    "columns for LaTeX": "".join(" & ".join(line.split(",")) + " \\\\\n" for line in PLAIN.splitlines()),
}  # fmt: skip

SAMPLES: dict[str, tuple[str, list[str]]] = {  # the same counts under other names of samples
    "numbers": (called("1", "2"), ["1", "2"]),
    "years": (called("2019", "2020"), ["2019", "2020"]),
    "padded": (called("001", "002"), ["001", "002"]),
    "padded, in rows": (TURNED.replace("\ns1", "\n001").replace("\ns2", "\n002"), ["001", "002"]),
    "padded, long": (LONG.replace("s1", "001").replace("s2", "002"), ["001", "002"]),
    "padded, long, second": (columns(LONG.replace("s1", "001").replace("s2", "002"), 1, 0, 2), ["001", "002"]),
    "numbers, long": (LONG.replace("sample", "patient").replace("s1", "1").replace("s2", "2"), ["1", "2"]),
    "numbers, in rows": (TURNED.replace("\ns1", "\n1").replace("\ns2", "\n2"), ["1", "2"]),
    "commas": (called('"liver, day 1"', '"liver, day 2"'), ["liver, day 1", "liver, day 2"]),
    "differ in case": (called("A1", "a1"), ["A1", "a1"]),
    "NA": (called("NA", "s2"), ["NA", "s2"]),
    "paths": (called("/data/s1.bam", "/data/s2.bam"), ["/data/s1.bam", "/data/s2.bam"]),
    "markup": (called("<b>s1</b>", "<script>alert(1)</script>"), ["<b>s1</b>", "<script>alert(1)</script>"]),
    "formulas": (called("=1+1", "@SUM(A1)"), ["=1+1", "@SUM(A1)"]),
    "blanks, by tabs": (called("s 1", "s2").replace(",", "\t"), ["s 1", "s2"]),
    "units": (called("s1 (reads)", "s2 (reads)"), ["s1 (reads)", "s2 (reads)"]),
    "called after miRNAs": (called("miR-21_mimic_1", "miR-21_mimic_2"), ["miR-21_mimic_1", "miR-21_mimic_2"]),
    "one called after a miRNA": (called("miR-21_mimic_1", "control_1"), ["miR-21_mimic_1", "control_1"]),
    "raw and norm": (beside(("s1_norm", 9, 13, 2), ("s2_norm", 0, 60, 1)).replace("s1,s2", "s1_raw,s2_raw"),
                     ["s1_raw", "s2_raw"]),
}  # fmt: skip

NAMES: dict[str, list[str]] = {  # the same counts under other names of sRNAs, which are kept as they are
    "piRNAs": ["hsa_piR_000001", "hsa_piR_000002", "piR-hsa-28131"],
    "accessions of piRNAs": ["DQ570956", "DQ571812", "DQ598675"],
    "licence plates": ["tRF-18-HR0VX6D2", "tRF-22-8B8SOUPR2", "tRF-31-87R8WP9N1EWJ0"],
    "tDRs": ["tDR-1:32-Gly-GCC-1", "tDR-55:76-Pro-AGG-1", "tDR-3:30-Lys-CTT-2"],
    "tRNAs": ["tRNA-Gly-GCC-2-1", "tRNA-Glu-CTC-1-1", "tRNA-Lys-CTT-2-1"],
    "snoRNAs": ["SNORD44", "SNORA70", "SCARNA2"],
    "Y RNAs": ["RNY1", "hY3", "Y_RNA.4"],
    "ribosomal": ["5S_rRNA", "RNA18S5", "rRNA_28S"],
    "contaminants": ["Mycobacterium abscessus", "Hepatitis B virus", "Enterobacteria phage lambda"],
    "mouse": ["mmu-miR-1a-3p", "mmu-miR-21a-5p", "mmu-let-7a-5p"],
    "old": ["hsa-miR-1", "hsa-miR-21", "hsa-let-7a"],
    "without species": ["miR-1-3p", "miR-21-5p", "let-7a-5p"],
    "capitals": ["HSA-MIR-1-3P", "HSA-MIR-21-5P", "HSA-LET-7A-5P"],
    "underscores": ["hsa_miR_1_3p", "hsa_miR_21_5p", "hsa_let_7a_5p"],
    "dots of R": ["hsa.miR.1.3p", "hsa.miR.21.5p", "hsa.let.7a.5p"],
    "stem-loops beside matures": ["hsa-mir-21", "hsa-miR-21-5p", "hsa-miR-21-3p"],
    "MirGeneDB": ["Hsa-Mir-1-P1_3p", "Hsa-Mir-21_5p", "Hsa-Let-7-P2a1_5p"],
    "accessions": ["MIMAT0000416", "MIMAT0000076", "MIMAT0000062"],
    "joined": ["hsa-miR-1-3p", "hsa-miR-199a-3p/hsa-miR-199b-3p", "hsa-let-7a-5p/7c-5p"],
    "dashes of a word processor": ["hsa‑miR‑1‑3p", "hsa–miR–21–5p", "hsa-let-7a-5p"],
    "primes": ["hsa-miR-1-3p", "hsa-miR-21-5p", "5'-tRF-Gly-GCC"],
    "accession in brackets": ["hsa-miR-1-3p", "hsa-miR-21-5p (MIMAT0000076)", "hsa-let-7a-5p"],
    "markup in one": ["hsa-miR-1-3p", "hsa-miR-21-5p", "<img src=x onerror=alert(1)>"],
    "spike-in": ["hsa-miR-1-3p", "cel-miR-39-3p", "UniSp6"],
    "an odd one": ["hsa-miR-1-3p", "odd one", "hsa-miR-21-5p"],
    "novel": ["hsa-miR-1-3p", "hsa-miR-21-5p", "novel.7"],
}

ONE_SAMPLE: dict[str, str] = {  # of s1 alone, named after the file
    "count and RPM": "miRNA,count,RPM\nhsa-miR-1-3p,5,384615\nhsa-miR-21-5p,7,538462\nhsa-let-7a-5p,1,76923\n",
    "salmon": "Name\tLength\tEffectiveLength\tTPM\tNumReads\nhsa-miR-1-3p\t22\t4\t400000\t5\n"
              "hsa-miR-21-5p\t22\t4\t500000\t7\nhsa-let-7a-5p\t22\t4\t100000\t1\n",
    "kallisto": "target_id\tlength\teff_length\test_counts\ttpm\nhsa-miR-1-3p\t22\t4\t5\t400000\n"
                "hsa-miR-21-5p\t22\t4\t7\t500000\nhsa-let-7a-5p\t22\t4\t1\t100000\n",
    "RSEM": "gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM\tFPKM\n"
            "hsa-miR-1-3p\ta\t22\t4\t5.00\t400000\t3\nhsa-miR-21-5p\tb\t22\t4\t7.00\t500000\t4\n"
            "hsa-let-7a-5p\tc\t22\t4\t1.00\t100000\t1\n",
    "counts of HTSeq": "miRNA\tcount\nhsa-miR-1-3p\t5\nhsa-miR-21-5p\t7\nhsa-let-7a-5p\t1\n__no_feature\t99\n",
}  # fmt: skip

REFUSED: dict[str, tuple[str, str]] = {
    "group labels below the header": (above("group,tumour,normal"), "row 'group' holds 'tumour'"),
    "units below the header": (above("unit,reads,reads"), "row 'unit' holds 'reads'"),
    "types below the header": (above(",int,int"), "holds 'int'"),
    "sexes in a row": (above("sex,M,F"), "row 'sex' holds 'M'"),
    "GSMs, then titles": ("ID_REF,GSM1,GSM2\nTitle,liver 1,liver 2\n" + BODY, "row 'Title'"),
    "two header rows of pandas": ("group,A,B\nsample,s1,s2\nmiRNA,,\n" + BODY, "row 'sample' holds 's1'"),
    "two header rows, one group": ("group,A,A\nsample,s1,s2\n" + BODY, "row 'sample' holds 's1'"),
    "two header rows in rows": (TURNED.replace("\ns1", "\nunit,reads,reads,reads\ns1"), "row 'unit'"),
    "accessions below the header": (TURNED.replace("\ns1", "\nacc,MIMAT0000416,x,y\ns1"), "row 'acc'"),
    "header twice": (HEAD + "\n" + PLAIN, "row 'miRNA' holds 's1'"),
    "header again between": (PLAIN + HEAD + "\nhsa-miR-9-5p,4,4\n", "row 'miRNA' holds 's1'"),
    "header only, twice": (HEAD + "\n" + HEAD + "\n", "neither rows"),
    "blank header": (PLAIN.replace(HEAD, ",,"), "no header"),
    "two tables": (PLAIN + "\n" + called("s3", "s4"), "row 'miRNA' holds 's3'"),
    "footnote": (below("* novel in this study"), "row 4 has 1 cells"),
    "footnote, filled up": (below("* novel in this study,,"), "hold no value"),
    "end mark": (below("EOF,,"), "hold no value"),
    "comment between": (above("# batch 2"), "row 1 has 1 cells"),
    "comment behind a number": (PLAIN.replace("120", "120 # check"), "'120 # check'"),
    "markdown": ("| miRNA | s1 | s2 |\n|---|---|---|\n" + "".join(f"| {' | '.join(r.split(','))} |\n" for r in ROWS),
                 "neither rows"),
    "names in markup": (named(*(f"<td>{m}</td>" for m in MIRS)), "neither rows"),
    "names in typographic quotes": (named(*(f"“{m}”" for m in MIRS)), "neither rows"),
    "all in single quotes": ("'" + PLAIN.replace(",", "','").replace("\n", "'\n'").removesuffix("'"), "neither rows"),
    "sample with a line break": (called('"liver\nday 1"', '"liver\nday 2"'), "ragged lines"),
    "sample NA in rows": (TURNED.replace("\ns1", "\nNA"), "has no name"),
    "sample twice in rows": (TURNED + "s1,9,9,9\n", "more than once"),
    "sample without a name in rows": (TURNED + ",9,9,9\n", "has no name"),
    "one p-value column among many": (wide([[*r, round(0.01 * i, 3)] for i, r in enumerate(MANY)],
                                           [*(f"s{i}" for i in range(24)), "evenness"]), "first 'evenness'"),
    "summary of featureCounts": ("Status\ts1\ts2\nAssigned\t100\t200\nUnassigned_NoFeatures\t5\t6\n", "neither rows"),
    "cells of percentages": (PLAIN.replace(",5,0", ",5%,0%").replace(",7,120", ",7%,97%").replace(",1,3", ",88%,3%"),
                             "no column holds numbers"),
    "shares in brackets": (PLAIN.replace(",5,0", ",5 (38%),0 (0%)").replace(",7,120", ",7 (5%),9 (9%)").replace(
        ",1,3", ",1 (8%),3 (2%)"), "no column holds numbers"),
    "sample that failed": (beside(("s3", "failed", "failed", "failed")), "first 's3'"),
    "sample not detected": (beside(("s3", *["Not detected"] * 3)), "first 's3'"),
    "sample of question marks": (beside(("s3", "?", "?", "?")), "first 's3'"),
    "sRNA without a cell": (above("hsa-miR-9-5p,,"), "hold no value"),
    "sRNA of n/a": (above("hsa-miR-9-5p,n/a,n/a"), "hold no value"),
    "European thousands": (wide(marked(COUNTS * 12)).replace(",", ";"), "marks of thousands"),
    "European thousands, two": (wide([[("1.234" if (i, j) == (3, 2) else v) for j, v in enumerate(r)]
                                      for i, r in enumerate(COUNTS.tolist())]).replace(",", ";"), "marks of thousands"),
    "European thousands, by tabs": (PLAIN.replace("120", "1.200").replace(",", "\t"), "marks of thousands"),
    "European millions": (PLAIN.replace(",", ";").replace("120", "1.234.567"), "'1.234.567'"),
    "English thousands, by tabs": (PLAIN.replace(",", "\t").replace("120", "1,200"), "marks"),
    "decimal commas": (PLAIN.replace(",", ";").replace(";5;0", ";5,0;0,0"), "decimal comma"),
    "decimal comma in one cell": (PLAIN.replace(",", "\t").replace("120", "120,00"), "decimal comma"),
    "thousands by an apostrophe": (PLAIN.replace("120", "1'200"), "thousands marks"),
    "thousands by a hard blank": (PLAIN.replace("120", "1\u00a0200"), "no number"),
    "thousands by underscore": (PLAIN.replace("120", "1_200"), "no number"),
    "star behind a number": (PLAIN.replace("120", "120*"), "no number"),
    "censored": (PLAIN.replace(",1,", ",<5,"), "no number"),
    "integers of R": (PLAIN.replace("120", "120L"), "no number"),
    "hexadecimal": (PLAIN.replace("120", "0x78"), "no number"),
    "Arabic digits": (PLAIN.replace("120", "١٢٠"), "no number"),
    "wide digits": (PLAIN.replace("120", "１２０"), "no number"),
    "superscript": (PLAIN.replace("120", "12²"), "no number"),
    "typographic minus": (PLAIN.replace("120", "−120"), "no number"),
    "invisible blank": (PLAIN.replace("120", "12\u200b0"), "no number"),
    "nil": (PLAIN.replace("120", "nil"), "no number"),
    "null": (PLAIN.replace("120", "null"), "empty or missing"),
    "date among counts": (PLAIN.replace("120", "2021-03-01"), "no number"),
    "time among counts": (PLAIN.replace("120", "12:00"), "no number"),
    "error of Excel": (PLAIN.replace("120", "#REF!"), "no number"),
    "#N/A of Excel": (PLAIN.replace("120", "#N/A"), "empty or missing"),
    "TRUE among counts": (PLAIN.replace("120", "TRUE"), "no number"),
    "TRUE and FALSE": (HEAD + "\n" + "".join(f"{m},TRUE,FALSE\n" for m in MIRS), "no column holds numbers"),
    "-1 for missing": (PLAIN.replace(",5,0", ",5,-1"), "negative"),
    "all negative": (HEAD + "\n" + "".join(f"{m},-5,-120\n" for m in MIRS), "negative"),
    "9999999999999 for missing": (PLAIN.replace("120", "9999999999999"), "more reads than any library"),
    "beyond 2^53": (PLAIN.replace("120", "9007199254740993"), "more reads than any library"),
    "beyond 2^63": (PLAIN.replace("120", "18446744073709551617"), "more reads than any library"),
    "presence": (wide((COUNTS > 60).astype(int)), "0 or 1"),
    "targets": (wide((COUNTS > 60).astype(int), [f"GENE{i}" for i in range(8)]), "0 or 1"),
    "ranks": (wide(COUNTS.argsort(axis=0).argsort(axis=0) + 1), "these are ranks"),
    "ranks of two samples": (wide(COUNTS[:, :2].argsort(axis=0).argsort(axis=0) + 1), "these are ranks"),
    "whole percentages": (wide(PERCENT), "percentages"),
    "shares": (wide((CPM / 1e6).round(5)), "a log scale"),
    "whole CPM but one sample": (wide(np.column_stack([CPM.round().astype(int), COUNTS[:, 0]])), "reads per million"),
    "whole, per ten million": (wide((CPM * 10).round().astype(int)), "ten million"),
    "log10": (wide(np.log10(COUNTS + 1).round(3)), "a log scale"),
    "z-scores": (wide(((COUNTS - COUNTS.mean(0)) / COUNTS.std(0)).round(2)), "negative"),
    "TMM": (wide((COUNTS * 1.137).round(4)), "too many for expected counts"),
    "means of replicates": (PLAIN.replace(",7,120", ",7,120.5").replace(",5,0", ",5.5,0"), "fractions"),
    "all columns log2CPM": (called("s1_log2CPM", "s2_log2CPM"), "named as normalised"),
    "all columns Ct": (called("s1 Ct", "s2 Ct"), "Ct of qPCR"),
    "mean and sd beside": (beside(("mean", 2, 64, 2), ("sd", 3, 80, 1)), "table of statistics"),
    "same name, other counts": (below("hsa-miR-1-3p ,9,0"), "twice with different counts"),
    "serial number of a date": (named("hsa-miR-1-3p", "43891", "hsa-let-7a-5p"), "spreadsheet"),
    "September": (named("hsa-miR-1-3p", "Sep-09", "hsa-let-7a-5p"), "spreadsheet"),
    "too narrow a cell": (named("hsa-miR-1-3p", "########", "hsa-let-7a-5p"), "spreadsheet"),
    "circRNAs": (named("hsa_circ_0000001", "hsa_circ_0000002", "hsa_circ_0000003"), "neither rows"),
    "RNAcentral": (named("URS000075C808_9606", "URS00004176AB_9606", "URS0000416056_9606"), "neither rows"),
    "KEGG": (named("K00001", "K00002", "K00003"), "neither rows"),
    "UniProt": (named("P04637", "P01112", "P00533"), "neither rows"),
    "kinds of cells": (named("B cell", "T cell", "NK cell"), "neither rows"),
    "sequences": (named("TGGAATGTAAAGAAGTATGTAT", "TAGCTTATCAGACTGATGTTGA", "TGAGGTAGTAGGTTGTATAGTT"), "neither rows"),
    "places": (named("chr1:100-122(+)", "chr2:5-27(-)", "chr3:7-30(+)"), "neither rows"),
    "clusters": (named("Cluster_1", "Cluster_2", "Cluster_3"), "neither rows"),
    "numbers for names": (named("1", "2", "3"), "neither rows"),
    "features": (named("feature_1", "feature_2", "feature_3"), "neither rows"),
    "correlations of miRNAs": ("," + ",".join(MIRS) + "\n" + "".join(f"{m},1,0.3,0.2\n" for m in MIRS), "neither rows"),
    "distances of samples": (",s1,s2\ns1,0,5\ns2,5,0\n", "neither rows"),
    "principal components": ("sample,PC1,PC2\ns1,1.5,2\ns2,-1,3\n", "neither rows"),
    "long, a pair twice": (below("s2,hsa-let-7a-5p,3", text=LONG), "listed twice"),
    "long, replicates": (beside(("replicate", *[1] * 5), text=LONG) + "s1,hsa-miR-1-3p,6,2\n", "listed twice"),
    "long, an empty count": (LONG.replace(",120", ","), "empty cells"),
    "long, RPM only": (LONG.replace("count", "RPM"), "0 columns called count"),
    "long, German": (LONG.replace("sample,miRNA,count", "Probe,miRNA,Anzahl"), "0 columns called count"),
    "long, log values": (LONG.replace(",5\n", ",5.25\n").replace(",120", ",6.9"), "a log scale"),
    "long, no sample": (below(",hsa-miR-1-3p,3", text=LONG), "has no name"),
    "blanks, blanks in names": (called("s 1", "s2").replace(",", " "), "header names 4 columns"),
    "comma in a name": (PLAIN.replace("hsa-let-7a-5p", "hsa-let-7a-5p,7c"), "row 3 has 4 cells"),
    "by tildes": (PLAIN.replace(",", "~"), "no tab, comma"),
    "by colons": (PLAIN.replace(",", ":"), "no tab, comma"),
    "cut line": (PLAIN[:-3], "row 3 has 2 cells"),
    "cut number": (PLAIN.rstrip("3\n") + "\n", "empty or missing"),
    "control character": (PLAIN.replace("s1", "s\x0b1"), "control character"),
}  # fmt: skip


def counts(path: Path, text: str) -> pd.DataFrame:
    path.write_bytes(text.encode())
    adata = read(path)
    assert adata.uns["srna"]["quantity"] == "counts"
    return pd.DataFrame(adata.X.toarray(), list(adata.obs_names), list(adata.var_names))


def expected(samples: list[str], srnas: list[str]) -> pd.DataFrame:
    return pd.DataFrame([[5, 7, 1], [0, 120, 3]][: len(samples)], samples, srnas, dtype=float)


@pytest.mark.parametrize("case", READ)
def test_tables_are_read_right(tmp_path, case):
    pd.testing.assert_frame_equal(counts(tmp_path / "a.csv", READ[case]), expected(["s1", "s2"], MIRS))


@pytest.mark.parametrize("case", SAMPLES)
def test_names_of_samples_are_kept(tmp_path, case):
    text, samples = SAMPLES[case]
    pd.testing.assert_frame_equal(counts(tmp_path / "a.csv", text), expected(samples, MIRS))


@pytest.mark.parametrize("case", NAMES)
def test_names_of_srnas_are_kept(tmp_path, case):
    names = NAMES[case]
    pd.testing.assert_frame_equal(counts(tmp_path / "a.csv", named(*names)), expected(["s1", "s2"], names))


@pytest.mark.parametrize("case", ONE_SAMPLE)
def test_files_of_one_sample_are_read_right(tmp_path, case):
    pd.testing.assert_frame_equal(counts(tmp_path / "s1.txt", ONE_SAMPLE[case]), expected(["s1"], MIRS))


@pytest.mark.parametrize("case", REFUSED)
def test_tables_are_refused_in_a_sentence(tmp_path, case):
    text, said = REFUSED[case]
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    with pytest.raises(ReadError) as caught:
        read(path)
    sentence = str(caught.value)
    assert said in sentence and "expected" in sentence and sentence.endswith(".") and "\n" not in sentence
    assert "cannot be read (" not in sentence, "answered by the net under the parsers, not by one of them"


def test_what_stands_beside_counts_becomes_metadata(tmp_path):
    path = tmp_path / "a.csv"
    for case, column, values in [
        ("age and RIN in rows", "age_years", [45, 50]), ("mapped reads", "mapped_reads", [5000, 7000]),
        ("edgeR's columns before", "lib_size", [13, 123]), ("survival behind", "os_days", [310, 45]),
        ("samples behind their tissue", "tissue", ["liver", "brain"]),
        ("samples behind patients", "donor_id", ["11", "12"]),
    ]:  # fmt: skip
        path.write_text(READ[case])
        assert read(path).obs[column].tolist() == values, case


def test_there_are_more_than_two_hundred_of_them():
    texts = [*READ.values(), *(t for t, _ in SAMPLES.values()), *(named(*n) for n in NAMES.values())]
    texts += [*ONE_SAMPLE.values(), *(t for t, _ in REFUSED.values())]
    assert len(set(texts)) > 200
