"""Users' files: every layout read right, every malformed input answered with one sentence."""

from __future__ import annotations

import datetime
import gzip
import io
import pickle
import zipfile
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from srna_lib.data.atlas import BIOTYPES, check_atlas
from srna_lib.datasets.simulated import simulate_atlas
from srna_lib.errors import ReadError
from srna_lib.io import readers, unpack
from srna_lib.io.tables import guess_biotype, judge

MIRS = ["hsa-miR-1-3p", "hsa-miR-21-5p", "hsa-let-7a-5p"]
VALUES = [[5, 0], [7, 120], [1, 3]]
PLAIN = "miRNA,s1,s2\nhsa-miR-1-3p,5,0\nhsa-miR-21-5p,7,120\nhsa-let-7a-5p,1,3\n"
EXPECTED = pd.DataFrame(np.array(VALUES, dtype=float).T, index=["s1", "s2"], columns=MIRS)


def put(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def frame(adata: ad.AnnData) -> pd.DataFrame:
    return pd.DataFrame(adata.X.toarray(), index=list(adata.obs_names), columns=list(adata.var_names))


def notes(adata: ad.AnnData) -> str:
    return adata.uns["srna"]["reading"]["notes"]


def wide(values: np.ndarray) -> str:
    """A table with as many sRNAs as rows and samples as columns."""
    head = "miRNA," + ",".join(f"s{j}" for j in range(values.shape[1]))
    return "\n".join([head, *(f"hsa-miR-{i}-3p," + ",".join(map(str, row)) for i, row in enumerate(values, 1))])


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


COUNTS = np.random.default_rng(1).negative_binomial(0.5, 0.002, (60, 5)) + 1
RPM = COUNTS / COUNTS.sum(axis=0) * 1e6

# ---------------------------------------------------------------- malformed, and refused with a sentence that says so

REFUSED: dict[str, tuple[str | bytes, str]] = {
    "empty file": ("", "empty"),
    "blank file": ("\n\n", "no line"),
    "only a header": ("miRNA,s1,s2\n", "no row"),
    "one column": ("miRNA\nhsa-miR-1-3p\n", "no tab, comma"),
    "no features": ("sample,tissue\ns1,liver\ns2,brain\n", "neither rows|no column"),
    "only names and text": ("miRNA,family\nhsa-miR-1-3p,mir-1\nhsa-let-7a-5p,let-7\n", "no column holds numbers"),
    "log2 values": (wide(np.log2(RPM + 1).round(4)), "a log scale"),
    "log ratios": (wide((np.log2(RPM) - np.log2(RPM).mean()).round(3)), "log ratios"),
    "RPM": (wide(RPM.round(3)), "reads per million"),
    "rounded RPM": (wide(RPM.round().astype(int)), "reads per million"),
    "named as normalised": (PLAIN.replace("s1,s2", "s1_RPM,s2_RPM"), "named as normalised"),
    "negative counts": (PLAIN.replace(",5,", ",-5,"), "negative"),
    "expected counts": (PLAIN.replace(",7,", ",97.31,"), "expected counts"),
    "normalised floats": (wide((COUNTS * 1.37).round(2)), "fractions"),
    "infinite": (PLAIN.replace(",7,", ",inf,"), "infinite"),
    "huge integers": (PLAIN.replace(",7,", ",100000000000000000000,"), "more reads than any library"),
    "thousands marks": (PLAIN.replace(",120", ',"1,200"'), "thousands marks"),
    "thousands blanks": (PLAIN.replace(",120", ",1 200"), "thousands marks"),
    "decimal comma": (PLAIN.replace(",", ";").replace(";5;", ";5,5;"), "decimal comma"),
    "number and unit": (PLAIN.replace(",7,", ",7 reads,"), "'7 reads', no number"),
    "text among numbers": (PLAIN.replace(",7,", ",low,"), "'low', no number"),
    "missing cell": (PLAIN.replace(",7,", ",,"), "empty or missing"),
    "NA cell": (PLAIN.replace(",7,", ",NA,"), "empty or missing"),
    "named empty column": (PLAIN.replace("\n", ",\n").replace("s2,", "s2,s3"), "1 samples hold no value"),
    "empty named sample": ("miRNA,s1,s2\nhsa-miR-1-3p,5,\nhsa-miR-21-5p,7,\n", "1 samples hold no value"),
    "repeated samples": (PLAIN.replace("s2", "s1"), "sample names appear more than once"),
    "sample without a name": (PLAIN.replace("s1", ""), "sample number 1 has no name"),
    "repeats that do not sum": (PLAIN + "hsa-miR-1-3p,9,9\n", "twice with different counts"),
    "repeated columns that do not sum": ("sample,hsa-miR-1-3p,hsa-miR-1-3p\ns1,5,6\ns2,1,2\n", "twice with different"),
    "row without a name": (PLAIN + ",4,4\n", "sRNA number 4 has no name"),
    "row names missing": ("s1,s2,s3\n5,0,1\n7,120,2\n1,3,3\n", "neither rows"),
    "Excel dates": (PLAIN.replace("hsa-miR-21-5p", "1-Mar"), "spreadsheet"),
    "Excel dates, long": (PLAIN.replace("hsa-miR-21-5p", "2021-03-01"), "spreadsheet"),
    "Excel errors": (PLAIN.replace("hsa-miR-21-5p", "#NAME?"), "spreadsheet"),
    "Excel exponents": (PLAIN.replace("hsa-miR-21-5p", "1.23E+05"), "spreadsheet"),
    "gene table": ("gene,s1,s2\nTP53,5,6\nBRCA1,3,4\n", "neither rows"),
    "differential expression": ("miRNA,baseMean,log2FoldChange,padj\nhsa-miR-1-3p,5,1.2,0.01\n", "differential"),
    "ragged rows": (PLAIN.replace(",7,120", ",7"), "row 2 has 2 cells"),
    "ragged rows, longer": (PLAIN.replace(",7,120", ",7,120,9"), "row 2 has 4 cells"),
    "mixed delimiters": ("miRNA,s1,s2\nhsa-miR-1-3p;5;0\nhsa-miR-21-5p\t7\t120\n", "no tab|ragged|one column|header"),
    "wrong forced delimiter": ("sep=;\n" + PLAIN, "header|one column"),
    "open quote": (PLAIN.replace("hsa-miR-21-5p", '"hsa-miR-21-5p'), "quotes do not match"),
    "NUL bytes": (PLAIN.replace("120", "1\x0020"), "control character"),
    "binary": (bytes(range(256)) * 4, "control character"),
    "bad UTF-16": (b"\xff\xfe" + PLAIN.encode("utf-16-le")[:-1] + b"\xd8", "no valid utf-16|control"),
    "a million columns": ("miRNA" + ",s" * 1_000_000 + "\nhsa-miR-1-3p" + ",1" * 1_000_000, "1000001 columns"),
    "truncated gz": (gzip.compress(wide(COUNTS).encode())[:-20], "damaged or truncated gz"),
    "gz with a wrong sum": (gzip.compress(PLAIN.encode())[:-8] + b"\0" * 8, "damaged or truncated gz"),
    "zip with a path outside": (zipped({"../../x.csv": PLAIN.encode()}), "path outside"),
    "zip with two files": (zipped({"a.csv": PLAIN.encode(), "b.h5ad": b"\x89HDF\r\n\x1a\n"}), "unknown .h5ad"),
    "zip with two kinds": (zipped({"a.csv": PLAIN.encode(), "b.txt": b"hsa-miR-1-3p\t5\nhsa-let-7a\t6\n"}), "2 kinds"),
    "zip bomb": (zipped({"a.csv": b"0," * 2**24}), "decompression bomb"),
    "gz bomb": (gzip.compress(b"0" * 2**25), "decompression bomb"),
    "xlsx": (zipped({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}), "Excel"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512, "old Excel"),
    "HTML saved as csv": ("<!DOCTYPE html>\n<html><body>Not found</body></html>", "web page"),
    "XML": ('<?xml version="1.0"?><a/>', "web page or XML"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "PDF"),
    "JSON": ('{"hsa-miR-1-3p": [1, 2]}', "JSON"),
    "R data": (b"RDX3\nX\n\0\0\0\3", "R data file"),
    "compressed R data": (gzip.compress(b"RDX2\nX\n\0\0\0\2"), "R data file"),
    "R object": (gzip.compress(b"X\n\0\0\0\3\0\4\2\0"), "R data file"),
    "pickle": (pickle.dumps({"a": 1}), "pickle, which is never opened"),
    "npy": (b"\x93NUMPY\1\0v\0", "numpy array"),
    "tar": (b"a.csv".ljust(257, b"\0") + b"ustar\0" + b"\0" * 300, "tar archive"),
    "FASTA": (">hsa-let-7a-5p\nUGAGGUAGUAGGUUGUAUAGUU\n", "FASTA"),
    "FASTQ": ("@r1\nACGT\n+\nIIII\n", "FASTQ"),
    "BAM": (gzip.compress(b"BAM\1\0\0\0\0"), "BAM"),
    "damaged parquet": (b"PAR1" + b"x" * 40 + b"PAR1", "damaged parquet"),
    "damaged HDF5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "h5ad"),
    "series matrix of sequencing, alone": (
        '!Series_geo_accession\t"GSE1"\n!Sample_title\t"a"\n!Sample_geo_accession\t"GSM1"\n'
        '!series_matrix_table_begin\n"ID_REF"\t"GSM1"\n!series_matrix_table_end\n', "its table is empty"),
    "series matrix without samples": ('!Series_title\t"x"\n', "no line !Sample_geo_accession"),
    "lonely matrix": ("%%MatrixMarket matrix coordinate integer general\n1 1 1\n1 1 5\n", "has no features.tsv"),
    "miRDeep2 without samples, empty": ("#miRNA\tread_count\tprecursor\ttotal\n", "no row"),
    "mirtop without a sample": ("UID\tRead\tmiRNA\tVariant\nu1\tA\thsa-miR-1-3p\tNA\n", "no column of a sample"),
    "isomiR without a miRNA": ("UID\tRead\tmiRNA\tVariant\tA\nu1\tA\t\tNA\t3\n", "has no name"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_malformed_input_is_answered_with_one_sentence(tmp_path, case):
    data, said = REFUSED[case]
    path = put(tmp_path, "table.csv", data)
    with pytest.raises(ReadError, match=said) as caught:
        readers.read(path)
    sentence = str(caught.value)
    assert sentence.startswith(str(tmp_path))
    assert "expected" in sentence and sentence.endswith(".")
    assert "\n" not in sentence and len(sentence) < 600 + len(str(path))
    assert "cannot be read (" not in sentence, "answered by the net under the parsers, not by one of them"


def test_there_are_at_least_sixty_of_them():
    assert len(REFUSED) >= 60
    assert len({said for _, said in REFUSED.values()}) > 40


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ReadError, match="no such file"):
        readers.read(tmp_path / "none.csv")
    with pytest.raises(ReadError, match="the folder holds neither"):
        readers.read(tmp_path)
    with pytest.raises(ReadError, match="unknown format 'xls'; expected one of mirdeep2"):
        readers.read(put(tmp_path, "a.csv", PLAIN), format="xls")
    with pytest.raises(ReadError, match="no such file"):
        readers.read(tmp_path / "none", format="table")
    for name in ("h5ad", "mtx", "geo_series_matrix", "mirdeep2"):
        with pytest.raises(ReadError, match="expected"):
            readers.read(tmp_path / "a.csv", format=name)
    with pytest.raises(ReadError, match="dataset_id is empty"):
        readers.read(tmp_path / "a.csv", dataset_id=" ")


# ---------------------------------------------------------------- odd, and read right

READ: dict[str, str | bytes] = {
    "samples in rows": "sample,hsa-miR-1-3p,hsa-miR-21-5p,hsa-let-7a-5p\ns1,5,7,1\ns2,0,120,3\n",
    "tabs": PLAIN.replace(",", "\t"),
    "semicolons": PLAIN.replace(",", ";"),
    "blanks": PLAIN.replace(",", "  "),
    "no name for the first column": PLAIN.replace("miRNA", ""),
    "R's header, one name short": PLAIN.replace("miRNA,", ""),
    "row numbers before the names": "\n".join(
        f"{i or ''},{line}" for i, line in enumerate(PLAIN.strip().split("\n"))),
    "byte order mark": "\ufeff" + PLAIN,
    "UTF-16": PLAIN.encode("utf-16"),
    "CRLF": PLAIN.replace("\n", "\r\n"),
    "CR": PLAIN.replace("\n", "\r"),
    "comments": "# counts of run 7\n" + PLAIN,
    "header as a comment": "#" + PLAIN,
    "trailing delimiters": PLAIN.replace("\n", ",\n"),
    "trailing delimiters but in the header": PLAIN.replace("\n", ",\n").replace("s2,", "s2"),
    "empty columns without a name": PLAIN.replace("\n", ",,\n"),
    "empty rows": PLAIN + ",,\n,,\n",
    "quoted": PLAIN.replace("hsa-miR-21-5p", '"hsa-miR-21-5p"').replace("120", '"120"'),
    "whole floats": PLAIN.replace("120", "120.0").replace(",5,", ",5.00,"),
    "exponents": PLAIN.replace("120", "1.2e2"),
    "annotation beside the counts": "miRNA,family,s1,s2,sequence\nhsa-miR-1-3p,mir-1,5,0,ACGU\n"
                                    "hsa-miR-21-5p,mir-21,7,120,AAUU\nhsa-let-7a-5p,let-7,1,3,UUUU\n",
    "totals beside the counts": "miRNA,total,s1,s2\nhsa-miR-1-3p,5,5,0\nhsa-miR-21-5p,127,7,120\nhsa-let-7a-5p,4,1,3\n",
    "normalised columns beside the counts": "miRNA,s1,s2,s1(norm),s2(norm)\nhsa-miR-1-3p,5,0,0.4,0\n"
                                            "hsa-miR-21-5p,7,120,0.5,0.9\nhsa-let-7a-5p,1,3,0.1,0.1\n",
    "the same row twice": PLAIN + "hsa-miR-1-3p,5,0\n",
    "repeats that sum": "miRNA,precursor,s1,s2\nhsa-miR-1-3p,hsa-mir-1-1,3,0\nhsa-miR-21-5p,hsa-mir-21,7,120\n"
                        "hsa-let-7a-5p,hsa-let-7a-1,1,3\nhsa-miR-1-3p,hsa-mir-1-2,2,0\n",
    "places before the names": "V1,V2,V4,V5,s1,s2\nchr1,10,hsa-miR-1-3p,+,3,0\nchr2,7,hsa-miR-21-5p,-,7,120\n"
                               "chr3,8,hsa-let-7a-5p,+,1,3\nchr4,6,hsa-miR-1-3p,+,2,0\n",
    "gz": gzip.compress(PLAIN.encode()),
    "zip": zipped({"folder/counts.csv": PLAIN.encode()}),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_odd_input_is_read_right(tmp_path, case):
    adata = readers.read(put(tmp_path, "table.csv", READ[case]))
    check_atlas(adata)
    pd.testing.assert_frame_equal(frame(adata), EXPECTED)
    assert adata.uns["srna"]["quantity"] == "counts"
    assert adata.uns["srna"]["reading"]["format"] == "table"
    assert (adata.obs["dataset_id"] == "table").all() and "one study, 'table'" in notes(adata)


def test_latin1_names_are_read_and_said(tmp_path):
    adata = readers.read(put(tmp_path, "a.csv", PLAIN.replace("s1", "Müller").encode("latin-1")))
    assert list(adata.obs_names) == ["Müller", "s2"] and "latin-1" in notes(adata)


@pytest.mark.parametrize("word", ["plasma", "macrophage", "virus", "let", "U2", "5S", "Lin-"])
def test_samples_with_names_of_all_kinds_are_not_taken_for_srnas(tmp_path, word):
    adata = readers.read(put(tmp_path, "a.csv", PLAIN.replace("s1", f"{word}_1").replace("s2", f"{word}_2")))
    pd.testing.assert_frame_equal(frame(adata), EXPECTED.set_axis([f"{word}_1", f"{word}_2"]))


def test_one_sample_is_enough(tmp_path):
    assert readers.read(put(tmp_path, "a.csv", "miRNA,s1\nhsa-miR-1-3p,5\nhsa-miR-2-3p,6\n")).shape == (1, 2)


def test_a_sample_without_reads_is_kept_and_said(tmp_path):
    adata = readers.read(put(tmp_path, "a.csv", "miRNA,s1,s2\nhsa-miR-1-3p,5,0\nhsa-miR-2-3p,6,0\n"))
    assert adata.n_obs == 2 and "no reads:    1 samples" in readers.describe(adata)


def test_mixed_species_are_read_and_said(tmp_path):
    adata = readers.read(put(tmp_path, "a.csv", PLAIN + "mmu-miR-1a-3p,3,4\n"))
    assert "names of 2 species (hsa 3, mmu 1)" in notes(adata)
    assert adata.var["species"].tolist() == ["hsa"] * 3 + ["mmu"]


def test_normalised_values_are_carried_on_demand(tmp_path):
    path = put(tmp_path, "a.csv", wide(RPM.round(3)))
    adata = readers.read(path, allow_normalised=True)
    assert adata.uns["srna"]["quantity"] == "normalised"
    np.testing.assert_allclose(adata.X.toarray(), RPM.round(3).T)
    assert "no counts: every sample sums to a million" in notes(adata)
    logs = np.log2(RPM).round(3) - 20
    found = readers.read(put(tmp_path, "b.csv", wide(logs)), allow_normalised=True)
    np.testing.assert_allclose(found.X.toarray(), logs.T)
    with pytest.raises(ReadError, match="infinite"):
        readers.read(put(tmp_path, "c.csv", PLAIN.replace(",7,", ",inf,")), allow_normalised=True)


def test_expected_counts_are_rounded_on_demand(tmp_path):
    path = put(tmp_path, "a.csv", PLAIN.replace(",7,", ",97.31,"))
    with pytest.raises(ReadError, match="--round makes whole numbers"):
        readers.read(path)
    adata = readers.read(path, round_expected=True)
    assert frame(adata).loc["s1", "hsa-miR-21-5p"] == 97 and "rounded" in notes(adata)
    with pytest.raises(ReadError, match="log scale"):
        readers.read(put(tmp_path, "b.csv", wide(np.log2(RPM + 1))), round_expected=True)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([[5, 6], [7, 8]], "counts"),
        ([[0, 0], [0, 0]], "counts"),
        ([[1e6, 1]], "counts"),
        ([[1e6, 1], [999999, 1]], "normalised"),
        ([[999999.5, 1]], "normalised"),
        ([[1e6, 1.5], [0, 0]], "normalised"),
        ([[100.5, 300.5, 0]], "normalised"),
        ([[1e6]], "counts"),
        ([[400000, 600000], [5, 6]], "counts"),
        ([[0.5, 3.0]], "normalised"),
        ([[0.5, 300.0]], "expected"),
        ([[-1.0, 3.0]], "broken"),
        ([[-1.5, 3.0]], "normalised"),
        ([[np.nan, 3.0]], "broken"),
        ([[2e12, 3.0]], "broken"),
        (np.empty((0, 3)), "broken"),
        (np.empty((3, 0)), "broken"),
    ],
)
def test_judgement(values, kind):
    assert judge(np.array(values, dtype=float)).kind == kind


# ---------------------------------------------------------------- what was once read wrongly in silence

LONG = (
    "sample,miRNA,count\ns1,hsa-miR-1-3p,5\ns1,hsa-miR-21-5p,7\ns1,hsa-let-7a-5p,1\ns2,hsa-miR-21-5p,120\n"
    "s2,hsa-let-7a-5p,3\n"
)
SUMMARISED = PLAIN + "__no_feature,90,80\n__not_aligned,5,5\nN_unmapped,1,2\nTotal,13,123\ntotal_reads,14,124\n"
ACROSS = "sample," + ",".join(MIRS)
TURNED = f"{ACROSS},total_reads,rin,bmi\ns1,5,7,1,13,7.5,23\ns2,0,120,3,123,8,25.1\n"
MENDED: dict[str, str] = {
    "long": LONG,
    "long, other order": "\n".join(",".join(line.split(",")[i] for i in (1, 2, 0)) for line in LONG.split()),
    "long, other columns": LONG.replace("sample,miRNA,count", "patient,ID,reads"),
    "long, with more columns": LONG.replace("\n", ",liver,0.5\n").replace("count,liver,0.5", "count,tissue,RPM"),
    "sums in rows": SUMMARISED,
    "sums in columns": f"{ACROSS},__no_feature,Total\ns1,5,7,1,9,13\ns2,0,120,3,9,123\n",
    "covariates among sRNAs": TURNED,
    "GC and loci among samples": "miRNA,GC,n_loci,s1,s2\nhsa-miR-1-3p,0.4,2,5,0\nhsa-miR-21-5p,0.5,1,7,120\n"
                                 "hsa-let-7a-5p,0.3,3,1,3\n",
}  # fmt: skip


@pytest.mark.parametrize("case", MENDED)
def test_what_was_read_wrongly_is_read_right(tmp_path, case):
    pd.testing.assert_frame_equal(frame(readers.read(put(tmp_path, "a.csv", MENDED[case]))), EXPECTED)


def test_covariates_in_a_table_of_counts_become_metadata(tmp_path):
    obs = readers.read(put(tmp_path, "a.csv", TURNED)).obs
    assert obs["rin"].tolist() == [7.5, 8] and obs["bmi"].tolist() == [23, 25.1]


def test_one_sample_in_long_form_has_its_name(tmp_path):
    text = "sample,miRNA,count\ns1,hsa-miR-1-3p,5\ns1,hsa-miR-21-5p,7\n"
    assert frame(readers.read(put(tmp_path, "a.csv", text))).index.tolist() == ["s1"]


def test_normal_tissue_is_a_sample(tmp_path):
    names = ["liver_norm", "liver_tumour"]
    adata = readers.read(put(tmp_path, "a.csv", PLAIN.replace("s1,s2", ",".join(names))))
    pd.testing.assert_frame_equal(frame(adata), EXPECTED.set_axis(names))


def test_gdc_files_give_their_counts_only(tmp_path):
    text = (
        "miRNA_ID\tread_count\treads_per_million_miRNA_mapped\tcross-mapped\n"
        "hsa-let-7a-1\t8000\t6250.5\tN\nhsa-mir-21\t900\t703.2\tY\n"
    )
    adata = readers.read(put(tmp_path, "x.mirnas.quantification.txt", text))
    assert adata.shape == (1, 2) and adata.X.sum() == 8900


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hsa-miR-1-3p,5,0\nhsa-miR-21-5p,7,120\nhsa-let-7a-5p,1,3\n", "no header"),
        ("miRNA,s1,s2\nhsa-miR-1-3p,0,0\nhsa-miR-21-5p,0,0\n", "every value is 0"),
        (LONG + "s2,hsa-let-7a-5p,4\n", "listed twice"),
        (wide(np.column_stack([RPM.round(2), np.zeros(60)])), "reads per million"),
        (wide(RPM[:40].round(2)), "too many for expected counts; expected raw read counts, or"),
        (wide((30 - np.log2(RPM) + 10).round(2)), "fractions.*expected raw read counts, or"),
        ("ReferenceID\tuniqueReadCount\ttotalReadCount\nhsa-miR-1-3p\t1\t2\n", "one sample of exceRpt"),
    ],
)
def test_what_was_read_wrongly_is_refused(tmp_path, text, said):
    with pytest.raises(ReadError, match=said):
        readers.read(put(tmp_path, "a.csv", text), round_expected=True)


def test_a_sample_of_whole_numbers_may_sum_to_a_million(tmp_path):
    assert readers.read(put(tmp_path, "a.csv", "miRNA,s1\nhsa-miR-1-3p,999000\nhsa-miR-2-3p,1500\n")).shape == (1, 2)
    with pytest.raises(ReadError, match="reads per million"):
        readers.read(put(tmp_path, "a.csv", "miRNA,s1,s2\nhsa-miR-1-3p,999000,500\nhsa-miR-2-3p,1500,999500\n"))


@pytest.mark.parametrize("age", ["-9", "999", "-9.0"])
def test_codes_for_an_unknown_age_are_unknown(tmp_path, age):
    meta = put(tmp_path, "m.csv", f"sample,age\ns1,{age}\ns2,40\n")
    adata = readers.read(put(tmp_path, "a.csv", PLAIN), metadata=meta)
    assert np.isnan(adata.obs["age_years"].iloc[0]) and adata.obs["age_years"].iloc[1] == 40
    assert "age_years: 1 values are not" in notes(adata)


def test_samples_are_never_matched_by_age(tmp_path):
    path = put(tmp_path, "a.csv", PLAIN.replace("s1,s2", "1,2"))
    with pytest.raises(ReadError, match="none of its columns"):
        readers.read(path, metadata=put(tmp_path, "m.csv", "who,age\nx,1\ny,2\n"))


# ---------------------------------------------------------------- parquet and h5ad


@pytest.mark.parametrize("turned", [False, True])
def test_parquet(tmp_path, turned):
    (EXPECTED.T if turned else EXPECTED).to_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(frame(readers.read(tmp_path / "a.parquet")), EXPECTED)


def atlas_of(values: np.ndarray, **more) -> ad.AnnData:
    obs = pd.DataFrame({"sex": ["F", "M"], "study": ["A", "B"]}, index=["s1", "s2"])
    return ad.AnnData(X=sp.csr_matrix(values), obs=obs, var=pd.DataFrame(index=MIRS), **more)


def test_h5ad(tmp_path):
    atlas_of(EXPECTED.to_numpy()).write_h5ad(tmp_path / "a.h5ad")
    adata = readers.read(tmp_path / "a.h5ad")
    pd.testing.assert_frame_equal(frame(adata), EXPECTED)
    assert adata.obs["dataset_id"].tolist() == ["A", "B"] and adata.obs["sex"].tolist() == ["female", "male"]
    assert adata.uns["srna"]["reading"]["format"] == "h5ad"
    packed = put(tmp_path, "b.h5ad.gz", gzip.compress((tmp_path / "a.h5ad").read_bytes()))
    pd.testing.assert_frame_equal(frame(readers.read(packed)), EXPECTED)


def test_h5ad_turned_round_or_with_counts_in_a_layer(tmp_path):
    atlas_of(EXPECTED.to_numpy()).T.write_h5ad(tmp_path / "a.h5ad")
    adata = readers.read(tmp_path / "a.h5ad")
    pd.testing.assert_frame_equal(frame(adata), EXPECTED)
    assert "turned round" in notes(adata)
    atlas_of(np.log1p(EXPECTED.to_numpy()), layers={"counts": EXPECTED.to_numpy()}).write_h5ad(tmp_path / "b.h5ad")
    pd.testing.assert_frame_equal(frame(readers.read(tmp_path / "b.h5ad")), EXPECTED)
    atlas_of(np.log1p(EXPECTED.to_numpy())).write_h5ad(tmp_path / "c.h5ad")
    with pytest.raises(ReadError, match="log scale"):
        readers.read(tmp_path / "c.h5ad")


def test_our_own_atlas_comes_back_with_all_it_says(tmp_path, info):
    atlas = simulate_atlas(seed=0, info=info)
    atlas.write_h5ad(tmp_path / "demo.h5ad")
    adata = readers.read(tmp_path / "demo.h5ad")
    assert (adata.X != atlas.X).nnz == 0
    pd.testing.assert_frame_equal(adata.obs, atlas.obs, check_dtype=False, check_categorical=False)
    assert adata.uns["srna"]["simulated"] and adata.uns["srna"]["citation"] == atlas.uns["srna"]["citation"]
    assert adata.var["biotype"].tolist() == atlas.var["biotype"].tolist()


class Trap:
    """Leaves a file behind when unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def spoil_pickle(file: h5py.File, trap: bytes) -> None:
    file["uns/payload"] = np.void(trap)


def spoil_bytes(file: h5py.File, trap: bytes) -> None:
    file["uns/payload"] = np.frombuffer(trap, dtype=np.uint8)


def spoil_string(file: h5py.File, trap: bytes) -> None:
    file["uns/payload"] = np.array(trap, dtype="S")


def spoil_object(file: h5py.File, trap: bytes) -> None:
    values = file.create_dataset("uns/payload", (1,), dtype=h5py.vlen_dtype(np.uint8))
    values[0] = np.frombuffer(trap, dtype=np.uint8)


def spoil_attribute(file: h5py.File, trap: bytes) -> None:
    file["uns"].attrs["payload"] = np.void(trap)


def spoil_reference(file: h5py.File, trap: bytes) -> None:
    file["obs"].attrs["payload"] = file["X"].ref


def spoil_compound(file: h5py.File, trap: bytes) -> None:
    file["uns/payload"] = np.zeros(2, dtype=[("a", "i4"), ("b", "V8")])


def spoil_soft(file: h5py.File, trap: bytes) -> None:
    file["uns/payload"] = h5py.SoftLink("/etc")


def spoil_external(file: h5py.File, trap: bytes) -> None:
    file["uns/payload"] = h5py.ExternalLink("/etc/hosts", "/x")


def spoil_storage(file: h5py.File, trap: bytes) -> None:
    file.create_dataset("uns/payload", (10,), dtype="u1", external=[("/etc/hosts", 0, 10)])


def spoil_virtual(file: h5py.File, trap: bytes) -> None:
    layout = h5py.VirtualLayout((3,), dtype="f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
    file.create_virtual_dataset("uns/payload", layout)


def spoil_type(file: h5py.File, trap: bytes) -> None:
    file["uns/payload"] = np.dtype("f8")


def spoil_size(file: h5py.File, trap: bytes) -> None:
    file.create_dataset("uns/payload", (2**40,), dtype="f8", chunks=(2**16,), compression="gzip")


def spoil_depth(file: h5py.File, trap: bytes) -> None:
    file.create_group("uns/" + "a/" * 60)


def spoil_x(file: h5py.File, trap: bytes) -> None:
    del file["X"]


def spoil_kind(file: h5py.File, trap: bytes) -> None:
    del file.attrs["encoding-type"]


def spoil_obs(file: h5py.File, trap: bytes) -> None:
    del file["obs"]
    file["obs"] = np.zeros(3)


def spoil_encoding(file: h5py.File, trap: bytes) -> None:
    file["X"].attrs["encoding-type"] = "os.system"


def spoil_shape(file: h5py.File, trap: bytes) -> None:
    del file["X"]
    file["X"] = np.zeros((5, 5))
    file["X"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


def spoil_names(file: h5py.File, trap: bytes) -> None:
    file["var/_index"][:] = "hsa-miR-1-3p"


SPOILED = {
    spoil_pickle: "opaque or compound", spoil_bytes: "pickled Python object", spoil_string: "pickled Python object",
    spoil_object: "object data", spoil_attribute: "opaque or compound", spoil_reference: "object data",
    spoil_compound: "opaque or compound", spoil_soft: "SoftLink", spoil_external: "ExternalLink",
    spoil_storage: "in another file", spoil_virtual: "in another file", spoil_type: "stored type",
    spoil_size: "unfolds to", spoil_depth: "levels", spoil_x: "no AnnData", spoil_kind: "no AnnData",
    spoil_obs: "obs says nothing of its encoding",
    spoil_encoding: "damaged or unknown", spoil_shape: "expected them alike",
    spoil_names: "repeats the name",
}  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda s: s.__name__)
def test_h5ad_of_strangers_is_refused_and_nothing_runs(tmp_path, spoil):
    path, sprung = tmp_path / "a.h5ad", tmp_path / "sprung"
    atlas_of(EXPECTED.to_numpy()).write_h5ad(path)
    with h5py.File(path, "a") as file:
        spoil(file, pickle.dumps(Trap(sprung)))
    with pytest.raises(ReadError, match=SPOILED[spoil]) as caught:
        readers.read(path)
    assert "expected" in str(caught.value) and not sprung.exists()


def test_the_trap_springs_where_it_is_unpickled(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


def test_h5_without_anndata_and_hard_link_cycles(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["matrix/data"] = np.zeros(3)
    with pytest.raises(ReadError, match="holds matrix and is no AnnData"):
        readers.read(tmp_path / "a.h5")
    path = tmp_path / "b.h5ad"
    atlas_of(EXPECTED.to_numpy()).write_h5ad(path)
    with h5py.File(path, "a") as file:
        file["uns/again"] = file["uns"]
    pd.testing.assert_frame_equal(frame(readers.read(path)), EXPECTED)


@pytest.mark.slow
@given(st.binary(min_size=1, max_size=40), st.floats(0, 1))
def test_damaged_h5ad_leads_to_a_read_error_or_to_counts(tmp_path_factory, patch, where):
    whole = tmp_path_factory.getbasetemp() / "whole.h5ad"
    if not whole.exists():
        atlas_of(EXPECTED.to_numpy()).write_h5ad(whole)
    data = bytearray(whole.read_bytes())
    at = int(where * (len(data) - len(patch)))
    data[at : at + len(patch)] = patch
    path = put(tmp_path_factory.getbasetemp(), "damaged.h5ad", bytes(data))
    try:
        check_atlas(readers.read(path))
    except ReadError as error:
        assert "expected" in str(error)


# ---------------------------------------------------------------- layouts of tools

GROUPED = (
    "name\tunique reads\tread count\tread count (mult. map. adj.)\tRPM (lib)\tRPM (total)\tcoordinateString"
    "\tRPM_adj (lib)\tRPM_adj (total)\n"
    "hsa-miR-21-5p\t9\t120\t119.5\t1.0\t1.1\thsa-mir-21#8#29\t1.0\t1.0\n"
    "hsa-miR-1-3p\t2\t6\t3.0\t1.0\t1.1\thsa-mir-1-1#45#66\t1.0\t1.0\n"
    "hsa-miR-1-3p\t2\t5\t3.0\t1.0\t1.1\thsa-mir-1-2#45#66\t1.0\t1.0\n"
)
MIRDEEP2 = (
    "#miRNA\tread_count\tprecursor\ttotal\tseq\tbla\tseq(norm)\tbla(norm)\n"
    "hsa-let-7a-5p\t12.00\thsa-let-7a-1\t12.00\t7.00\t5.00\t636363.64\t1000000.00\n"
    "hsa-let-7a-5p\t12.00\thsa-let-7a-2\t12.00\t7.00\t5.00\t636363.64\t1000000.00\n"
    "hsa-let-7a-5p\t11.00\thsa-let-7a-3\t11.00\t6.00\t5.00\t545454.55\t1000000.00\n"
    "hsa-miR-21-5p\t4.00\thsa-mir-21\t4.00\t4.00\t0\t363636.36\t0\n"
)
MIRTOP = (
    "UID\tRead\tmiRNA\tVariant\tiso_5p\tiso_3p\tiso_add3p\tiso_snp\tiso_5p_nt\tiso_3p_nt\tiso_add3p_nt"
    "\tiso_snp_nt\tS1\tS2\n"
    "iso-22-A\tUGAGG\thsa-let-7a-5p\tNA\t0\t0\t0\t0\t0\t0\t0\t0\t10\t1\n"
    "iso-21-B\tUGAGA\thsa-let-7a-5p\tiso_3p:-1\t0\t-1\t0\t0\t0\tu\t0\t0\t5\t0\n"
    "iso-21-B\tUGAGA\thsa-let-7f-5p\tiso_snp\t0\t0\t0\t1\t0\t0\t0\t1AT\t5\t0\n"
    "iso-22-C\tUAGCU\thsa-miR-21-5p\tNA\t0\t0\t0\t0\t0\t0\t0\t0\t3\t4\n"
)
TOOLS = {
    "oasis2, one sample": ("oasis2", "liver_1_allspeciesCounts.txt", "hsa-miR-21-5p\t7\nSNORD44\t3\nmmu-miR-1a-3p\t0\n",
                           {"liver_1": {"hsa-miR-21-5p": 7, "SNORD44": 3, "mmu-miR-1a-3p": 0}}),
    "oasis2, contaminants": ("oasis2", "run_contaminants.csv",
                             "organism,S1,S2\nMycobacterium abscessus,3,0\nHIV-1,0,9\n",
                             {"S1": {"Mycobacterium abscessus": 3, "HIV-1": 0},
                              "S2": {"Mycobacterium abscessus": 0, "HIV-1": 9}}),
    "mirge3": ("mirge3", "miR.Counts.csv", "miRNA,S1,S2\nhsa-let-7a-5p/7c-5p,10.0,2.0\nhsa-miR-21-5p,3.0,0.0\n",
               {"S1": {"hsa-let-7a-5p/7c-5p": 10, "hsa-miR-21-5p": 3},
                "S2": {"hsa-let-7a-5p/7c-5p": 2, "hsa-miR-21-5p": 0}}),
    "mirge2": ("mirge3", "counts.csv", "miRNA,S1\nmiRNAtotal,13\nhsa-let-7a-5p,10\nhsa-miR-21-5p,3\n",
               {"S1": {"hsa-let-7a-5p": 10, "hsa-miR-21-5p": 3}}),
    "srnabench, grouped": ("srnabench", "SRR1/mature_sense.grouped", GROUPED,
                           {"SRR1": {"hsa-miR-21-5p": 120, "hsa-miR-1-3p": 6}}),
    "srnabench, single assignment": ("srnabench", "SRR1/mature_sense_SA.grouped", GROUPED.replace(
        "read count\tread count (mult. map. adj.)", "read count (SA)\tread count (MA)"),
        {"SRR1": {"hsa-miR-21-5p": 120, "hsa-miR-1-3p": 6}}),
    "srnabench, matrix": ("srnabench", "mature_sense_minExpr1_RCadj.mat", "name\tS1\tS2\nhsa-miR-21-5p\t7\t8\n",
                          {"S1": {"hsa-miR-21-5p": 7}, "S2": {"hsa-miR-21-5p": 8}}),
    "mirdeep2": ("mirdeep2", "miRNAs_expressed_all_samples_16_01.csv", MIRDEEP2,
                 {"seq": {"hsa-let-7a-5p": 7, "hsa-miR-21-5p": 4}, "bla": {"hsa-let-7a-5p": 5, "hsa-miR-21-5p": 0}}),
    "mirdeep2, miRNA_expressed.csv": ("mirdeep2", "run7.csv",
                                      "#miRNA\tread_count\tprecursor\nhsa-let-7a-5p\t5\thsa-let-7a-1\n",
                                      {"run7": {"hsa-let-7a-5p": 5}}),
    "nf-core, mature_counts.csv": ("nfcore_smrnaseq", "mature_counts.csv",
                                   '"","hsa-let-7a-5p","hsa-miR-21-5p"\n"S1",10,3\n"S2",1,4\n',
                                   {"S1": {"hsa-let-7a-5p": 10, "hsa-miR-21-5p": 3},
                                    "S2": {"hsa-let-7a-5p": 1, "hsa-miR-21-5p": 4}}),
    "nf-core, mirna.tsv": ("nfcore_smrnaseq", "mirna.tsv", "miRNA\tS1\nhsa-let-7a-5p\t15\nhsa-miR-21-5p\t3\n",
                           {"S1": {"hsa-let-7a-5p": 15, "hsa-miR-21-5p": 3}}),
    "nf-core, joined_samples_mirtop.tsv": ("nfcore_smrnaseq", "joined_samples_mirtop.tsv", MIRTOP,
                                           {"S1": {"hsa-let-7a-5p": 15, "hsa-miR-21-5p": 3},
                                            "S2": {"hsa-let-7a-5p": 1, "hsa-miR-21-5p": 4}}),
}  # fmt: skip


@pytest.mark.parametrize("case", TOOLS)
@pytest.mark.parametrize("forced", [False, True])
def test_layouts_of_tools(tmp_path, case, forced):
    name, file, text, expected = TOOLS[case]
    path = put(tmp_path, file, text)
    adata = readers.read(path, format=name if forced else None)
    pd.testing.assert_frame_equal(frame(adata), pd.DataFrame(expected).T.astype(float))
    assert adata.uns["srna"]["reading"]["format"] == name
    packed = put(tmp_path, file + ".gz", gzip.compress(text.encode()))
    pd.testing.assert_frame_equal(frame(readers.read(packed)), frame(adata))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("miR.RPM.csv", "miRNA,S1,S2\nhsa-let-7a-5p,10,2\nhsa-miR-21-5p,3,0\n"),
        ("mature_logtpm.csv", '"","hsa-let-7a-5p"\n"S1",3\n'),
        ("mature_normalized_CPM.txt", "S1\tS2\nhsa-let-7a-5p\t3\t4\nhsa-let-7b-5p\t3\t4\n"),
        ("mature_sense_minExpr0_RCadj_libraryRPM.mat", "name\tS1\tS2\nhsa-miR-21-5p\t7\t8\n"),
    ],
)
def test_outputs_that_tools_call_normalised_are_refused_whatever_they_hold(tmp_path, file, text):
    path = put(tmp_path, file, text)
    with pytest.raises(ReadError, match="the counts are in"):
        readers.read(path)
    assert readers.read(path, allow_normalised=True).uns["srna"]["quantity"] == "normalised"


def test_weighted_mirdeep2_reads_are_summed_over_precursors(tmp_path):
    text = MIRDEEP2.replace("7.00\t5.00", "3.50\t2.50")
    assert frame(readers.read(put(tmp_path, "m.csv", text))).loc["seq", "hsa-let-7a-5p"] == 3.5 + 3.5 + 6
    path = put(tmp_path, "m.csv", MIRDEEP2.replace("7.00\t5.00", "33.33\t2.50"))
    with pytest.raises(ReadError, match="expected counts"):
        readers.read(path)
    assert frame(readers.read(path, round_expected=True)).loc["seq", "hsa-let-7a-5p"] == 73


def test_a_folder_of_oasis2_files_with_contaminants(tmp_path):
    folder = tmp_path / "counts"
    put(folder, "S1_allspeciesCounts.txt", "hsa-miR-21-5p\t7\nSNORD44\t3\n")
    put(folder, "S2_allspeciesCounts.txt", "hsa-miR-21-5p\t5\nhsa_piR_000001\t2\n")
    put(folder, "S1_contaminants.txt", "Mycobacterium abscessus\t4\nSomething odd\t1\n")
    adata = readers.read(folder)
    found = frame(adata)
    assert found.shape == (2, 5) and found.loc["S2", "SNORD44"] == 0 and found.loc["S1", "Something odd"] == 1
    assert dict(zip(adata.var_names, adata.var["biotype"], strict=True)) == {
        "hsa-miR-21-5p": "miRNA", "SNORD44": "snoRNA", "hsa_piR_000001": "piRNA",
        "Mycobacterium abscessus": "contaminant", "Something odd": "contaminant",
    }  # fmt: skip
    assert len(adata.uns["srna"]["sources"]) == 3 and adata.obs["dataset_id"].tolist() == ["counts"] * 2
    put(folder, "S1_allspeciesCounts.txt.gz", gzip.compress(b"hsa-miR-21-5p\t7\nSNORD44\t3\n"))
    with pytest.raises(ReadError, match="'S1' is in two files"):
        readers.read(folder)


def test_a_folder_of_srnabench_results(tmp_path):
    for name in ("SRR1", "SRR2"):
        put(tmp_path / "runs", f"{name}/mature_sense.grouped", GROUPED)
    adata = readers.read(tmp_path / "runs")
    assert list(adata.obs_names) == ["SRR1", "SRR2"] and adata.X.sum() == 2 * 126


def make_mtx(folder: Path, values: np.ndarray, features: list[str], barcodes: list[str], *, second: bool = True):
    folder.mkdir(parents=True, exist_ok=True)
    scipy.io.mmwrite(folder / "matrix.mtx", sp.coo_matrix(values), field="integer")
    rows = [f"ID{i}\t{n}\tGene Expression" if second else n for i, n in enumerate(features)]
    put(folder, "features.tsv.gz", gzip.compress("\n".join(rows).encode()))
    put(folder, "barcodes.tsv", "\n".join(barcodes) + "\n")


@pytest.mark.parametrize("second", [True, False])
def test_mtx(tmp_path, second):
    make_mtx(tmp_path / "m", np.array(VALUES), MIRS, ["s1", "s2"], second=second)
    for path in (tmp_path / "m", tmp_path / "m" / "matrix.mtx"):
        assert readers.read(path).uns["srna"]["reading"]["format"] == "mtx"
        pd.testing.assert_frame_equal(frame(readers.read(path)), EXPECTED)
    make_mtx(tmp_path / "t", np.array(VALUES).T, ["s1", "s2"], MIRS, second=second)
    pd.testing.assert_frame_equal(frame(readers.read(tmp_path / "t")), EXPECTED)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("3 2 5", "4 2 5", "4 x 2 where features and barcodes name 3 x 2"),
        ("3 2 5", "3 2 6", "5 entries where 6 are announced"),
        ("3 2 5", "3 2", "damaged matrix"),
        ("3 2 5", "99999999999 99999999999 5", "expected them alike"),
        ("1 1 5", "9 1 5", "outside the 3 x 2"),
        ("1 1 5", "0 1 5", "outside the 3 x 2"),
        ("1 1 5", "1 1.5 5", "damaged matrix"),
        ("1 1 5", "1 1 x", "damaged matrix"),
        ("1 1 5", "2 1 5", "given twice"),
        ("1 1 5", "1 1 -5", "negative"),
        ("1 1 5", "1 1 0.5", "fractions"),
        ("integer general", "pattern general", "expected %%MatrixMarket"),
        ("coordinate", "array", "expected %%MatrixMarket"),
        ("%%MatrixMarket", "MatrixMarket", "expected %%MatrixMarket"),
        ("3 2 5", "3 2 99999999999", "5 entries where"),
        ("3 2 5", "3 2 4", "5 entries where 4"),
        ("1 1 5", "1 1 5 9", "damaged matrix"),
    ],
)
def test_damaged_mtx(tmp_path, old, new, said):
    make_mtx(tmp_path / "m", np.array(VALUES), MIRS, ["s1", "s2"])
    text = (tmp_path / "m" / "matrix.mtx").read_text()
    assert old in text
    put(tmp_path / "m", "matrix.mtx", text.replace(old, new, 1))
    with pytest.raises(ReadError, match=said):
        readers.read(tmp_path / "m")


def test_mtx_with_features_shorter_than_the_matrix_or_missing(tmp_path):
    make_mtx(tmp_path / "m", np.array(VALUES), MIRS[:2], ["s1", "s2"])
    with pytest.raises(ReadError, match="3 x 2 where features and barcodes name 2 x 2"):
        readers.read(tmp_path / "m")
    (tmp_path / "m" / "barcodes.tsv").unlink()
    with pytest.raises(ReadError, match=r"no barcodes\.tsv beside it"):
        readers.read(tmp_path / "m")


SERIES = (
    '!Series_title\t"Small RNAs of liver"\n!Series_geo_accession\t"GSE1"\n'
    '!Series_supplementary_file\t"ftp://ftp.ncbi.nlm.nih.gov/geo/series/GSE1/suppl/GSE1_RAW.tar"\n'
    '!Series_supplementary_file\t"ftp://ftp.ncbi.nlm.nih.gov/geo/series/GSE1/suppl/GSE1_all_counts.txt.gz"\n\n'
    '!Sample_title\t"s1"\t"s2"\n!Sample_geo_accession\t"GSM10"\t"GSM11"\n'
    '!Sample_source_name_ch1\t"liver"\t"liver"\n!Sample_characteristics_ch1\t"gender: Male"\t"gender: Female"\n'
    '!Sample_characteristics_ch1\t"age: 45 years"\t"disease: none"\n!Sample_instrument_model\t"HiSeq"\t"HiSeq"\n'
    '!series_matrix_table_begin\n"ID_REF"\t"GSM10"\t"GSM11"\n!series_matrix_table_end\n'
)


@pytest.mark.parametrize("names", [("s1", "s2"), ("GSM10", "GSM11"), ("x_GSM10.fastq", "x_GSM11.fastq")])
def test_geo_series_matrix_with_supplementary_counts(tmp_path, names):
    path = put(tmp_path, "GSE1_series_matrix.txt.gz", gzip.compress(SERIES.encode()))
    text = PLAIN.replace("s1,s2", ",".join(names)).replace(",", "\t")
    put(tmp_path, "GSE1_all_counts.txt.gz", gzip.compress(text.encode()))
    assert readers.read(path).uns["srna"]["reading"]["format"] == "geo_series_matrix"
    adata = readers.read(path)
    pd.testing.assert_frame_equal(frame(adata), EXPECTED.set_axis(list(names)))
    assert adata.obs["dataset_id"].tolist() == ["GSE1"] * 2
    assert adata.obs["sex"].tolist() == ["male", "female"] and adata.obs["tissue"].tolist() == ["liver"] * 2
    assert adata.obs["age_years"].iloc[0] == 45 and np.isnan(adata.obs["age_years"].iloc[1])
    assert adata.uns["srna"]["title"] == "Small RNAs of liver"


def test_geo_series_matrix_with_its_own_table_or_alien_counts(tmp_path):
    inside = '"ID_REF"\t"GSM10"\t"GSM11"\n"hsa-miR-1-3p"\t5\t0\n"hsa-miR-21-5p"\t7\t120\n"hsa-let-7a-5p"\t1\t3\n'
    path = put(tmp_path, "a.txt", SERIES.replace('"ID_REF"\t"GSM10"\t"GSM11"\n', inside))
    pd.testing.assert_frame_equal(frame(readers.read(path)), EXPECTED.set_axis(["GSM10", "GSM11"]))
    path = put(tmp_path, "GSE1_series_matrix.txt", SERIES)
    put(tmp_path, "GSE1_other_counts.csv", PLAIN.replace("s1,s2", "x,y"))
    with pytest.raises(ReadError, match="none of the 2 count columns"):
        readers.read(path)


def test_a_series_matrix_serves_as_metadata(tmp_path):
    path, series = put(tmp_path, "a.csv", PLAIN), put(tmp_path, "GSE1_series_matrix.txt", SERIES)
    adata = readers.read(path, metadata=series)
    assert adata.obs["dataset_id"].tolist() == ["GSE1"] * 2 and adata.obs["sex"].tolist() == ["male", "female"]


# ---------------------------------------------------------------- metadata

META = "Sample ID,Organ,Gender,Age,Study,Patient\ns2,brain,F,50,B,p2\ns1,liver,m,45.5 years,A,p1\nother,x,M,1,C,p3\n"


NAMES = ["a.metadata.csv", "a.metadata.tsv", "metadata.csv", "metadata.tsv", "metadata.csv.gz"]


@pytest.mark.parametrize("name", NAMES)
def test_metadata_beside_the_counts(tmp_path, name):
    text = META.replace(",", "\t") if ".tsv" in name else META
    put(tmp_path, name, gzip.compress(text.encode()) if name.endswith("gz") else text)
    adata = readers.read(put(tmp_path, "a.csv.gz", gzip.compress(PLAIN.encode())))
    assert adata.obs.loc["s1"].to_dict() == {
        "tissue": "liver", "sex": "male", "age_years": 45.5, "dataset_id": "A", "donor_id": "p1"
    }  # fmt: skip
    assert adata.obs["dataset_id"].tolist() == ["A", "B"]
    assert "2 of 2 samples found by column 'Sample ID', 1 rows of other samples" in notes(adata)


def test_given_metadata_and_study_win(tmp_path):
    put(tmp_path, "metadata.csv", META)
    own = put(tmp_path, "own.csv", "name,tissue\ns1,eye\n")
    adata = readers.read(put(tmp_path, "a.csv", PLAIN), metadata=own, dataset_id="mine")
    assert adata.obs["tissue"].iloc[0] == "eye" and pd.isna(adata.obs["tissue"].iloc[1])
    assert adata.obs["dataset_id"].tolist() == ["mine"] * 2
    assert "1 of 2 samples" in notes(adata)


def test_metadata_that_belongs_to_other_files_is_left_aside_unless_named(tmp_path):
    path, other = put(tmp_path, "a.csv", PLAIN), put(tmp_path, "metadata.csv", "sample,tissue\nx,eye\n")
    assert "lists none of the samples" in notes(readers.read(path))
    with pytest.raises(ReadError, match="none of its columns"):
        readers.read(path, metadata=other)
    other.rename(tmp_path / "a.metadata.csv")
    with pytest.raises(ReadError, match="none of its columns"):
        readers.read(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sample,sex\ns1,M\ns1,F\ns2,M\n", "two rows that differ"),
        ("sample,study\ns1,A\ns2,\n", r"no study \(dataset_id\) for 1 samples"),
        ("sample,study\ns1,A\n", r"no study \(dataset_id\) for 1 samples"),
        ("", "empty"),
        ("<html></html>", "web page"),
        ("sample\ns1\n", "no tab, comma"),
    ],
)
def test_metadata_that_is_refused(tmp_path, text, said):
    path, meta = put(tmp_path, "a.csv", PLAIN), put(tmp_path, "m.csv", text)
    with pytest.raises(ReadError, match=said):
        readers.read(path, metadata=meta)
    with pytest.raises(ReadError, match="no such file"):
        readers.read(path, metadata=tmp_path / "none.csv")


def test_values_that_are_not_understood_are_unknown_and_said(tmp_path):
    meta = put(tmp_path, "m.csv", "sample,sex,age\ns1,1,P12W\ns2,female,unknown\n")
    adata = readers.read(put(tmp_path, "a.csv", PLAIN), metadata=meta)
    assert adata.obs["sex"].tolist()[1] == "female" and pd.isna(adata.obs["sex"].iloc[0])
    assert adata.obs["age_years"].isna().all()
    assert "sex: 1 values are not female or male (first '1')" in notes(adata) and "age_years: 2 values" in notes(adata)


def test_numbered_samples_are_found_in_the_column_called_sample(tmp_path):
    path = put(tmp_path, "a.csv", PLAIN.replace("s1,s2", "1,2"))
    adata = readers.read(path, metadata=put(tmp_path, "m.csv", "age,sample,sex\n2,1,M\n1,2,F\n"))
    assert adata.obs["sex"].tolist() == ["male", "female"] and adata.obs["age_years"].tolist() == [2, 1]


def test_metadata_in_the_count_table_itself(tmp_path):
    text = "sample,tissue,age,hsa-miR-1-3p,hsa-miR-21-5p,hsa-let-7a-5p\ns1,liver,45,5,7,1\ns2,brain,50,0,120,3\n"
    adata = readers.read(put(tmp_path, "a.csv", text))
    pd.testing.assert_frame_equal(frame(adata), EXPECTED)
    assert adata.obs["tissue"].tolist() == ["liver", "brain"] and adata.obs["age_years"].tolist() == [45, 50]


def test_metadata_tells_the_axes_apart_where_names_do_not(tmp_path):
    path = put(tmp_path, "a.csv", "x,miR-21_one,miR-21_two\nmiR-1 (a),5,6\nmiR-1 (b),7,8\n")
    with pytest.raises(ReadError, match="neither rows"):
        readers.read(path)
    adata = readers.read(path, metadata=put(tmp_path, "m.csv", "sample,tissue\nmiR-1 (a),liver\nmiR-1 (b),eye\n"))
    assert list(adata.obs_names) == ["miR-1 (a)", "miR-1 (b)"] and adata.var["biotype"].tolist() == ["miRNA"] * 2


INVENTED = {"f": "f{}", "feature": "feature_{}", "gene": "gene_{}", "protein": "P{:05d}", "word": "marker {}"}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", INVENTED)
def test_invented_features_are_refused_also_where_the_metadata_name_the_samples(tmp_path, name, turned):
    made = pd.DataFrame(COUNTS[:50], [INVENTED[name].format(i) for i in range(50)], [f"s{j}" for j in range(5)])
    (made.T if turned else made).to_csv(tmp_path / "a.csv")
    with pytest.raises(ReadError, match="neither rows"):
        readers.read(tmp_path / "a.csv")
    metadata = put(tmp_path, "m.csv", "sample,tissue\n" + "".join(f"s{j},liver\n" for j in range(5)))
    with pytest.raises(ReadError, match=r"50 of 50 names .* do not look like sRNAs; expected sRNAs such as"):
        readers.read(tmp_path / "a.csv", metadata=metadata)


@pytest.mark.parametrize("file", ["mirna.tsv", "miR.Counts.csv", "mature_counts.csv", "x_allspeciesCounts.txt",
                                  "a_minExpr1_RC.mat", "std_quantification_raw_mirna.csv"])  # fmt: skip
def test_the_name_of_a_file_does_not_make_srnas_of_features(tmp_path, file):
    text = "miRNA\ts1\n" + "".join(f"feature_{i}\t{i}\n" for i in range(1, 51))
    path, metadata = put(tmp_path, file, text), put(tmp_path, "m.csv", "sample,tissue\ns1,liver\n")
    with pytest.raises(ReadError, match="look like sRNAs"):
        readers.read(path, metadata=metadata)


def test_mtx_of_features_is_refused(tmp_path):
    make_mtx(tmp_path / "m", np.array(VALUES), ["f1", "f2", "f3"], ["s1", "s2"])
    with pytest.raises(ReadError, match=r"3 of 3 names .* do not look like sRNAs"):
        readers.read(tmp_path / "m")


# ---------------------------------------------------------------- names, summary, properties


@pytest.mark.parametrize(
    ("name", "biotype"),
    [
        ("hsa-miR-21-5p", "miRNA"), ("hsa-let-7a-5p/7c-5p", "miRNA"), ("hsa-mir-21", "miRNA"),
        ("Hsa-Mir-21_5p", "miRNA"),
        ("miR-21", "miRNA"), ("MIMAT0000062", "miRNA"), ("MIR21", "miRNA"), ("hsa_miR_21_5p", "miRNA"),
        ("let-7a", "miRNA"), ("hsa_piR_000001", "piRNA"), ("piR-hsa-1234", "piRNA"), ("SNORD44", "snoRNA"),
        ("SNORA70", "snoRNA"), ("SCARNA2", "snoRNA"), ("RNU6-1", "snRNA"), ("U6", "snRNA"), ("tRF-18-HR0VX6D2", "tRF"),
        ("tRNA-Gly-GCC", "tRF"), ("RNY1", "other"), ("ENSG00000207165", "other"), ("5S_rRNA", "other"),
        ("Mycobacterium abscessus", "contaminant"), ("Hepatitis B virus", "contaminant"), ("GSM123", ""), ("s1", ""),
        ("SRR1234567", ""), ("liver_1", ""), ("TP53", ""), ("miracle", ""), ("U937_rep1", ""), ("letter", ""), ("", ""),
        ("plasma_1", ""), ("macrophage_1", ""), ("macrophage", ""), ("Lin-1", ""), ("let_1", ""), ("5S1", ""),
        ("U2_rep1", ""), ("virus_1", ""), ("trf1", ""), ("cel-lin-4-5p", "miRNA"),
        ("Mycoplasma hominis", "contaminant"),
        ("Enterobacteria phage lambda", "contaminant"), ("bantam", "miRNA"), ("novel-miR-12", "miRNA"),
    ],
)  # fmt: skip
def test_biotypes(name, biotype):
    assert guess_biotype(name) == biotype and biotype in {*BIOTYPES, ""}


def test_summary_says_what_was_understood(tmp_path):
    put(tmp_path, "metadata.csv", META)
    text = readers.describe(readers.read(put(tmp_path, "a.csv", PLAIN + "SNORD44,2,2\nodd one,1,1\n")))
    for part in ("table (CSV", "2 in 2 studies", "5 (miRNA 3, snoRNA 1, other 1)", "80.0% look like",
                 "100.0% of the miRNAs have", "sex (2)", "counts",
                 "median 71, from 16 to 126"):  # fmt: skip
        assert part in text, text


def test_atlas_of_every_layout_can_be_written_and_read_again(tmp_path):
    for number, (_, file, text, _) in enumerate(TOOLS.values()):
        adata = readers.read(put(tmp_path / str(number), file, text))
        adata.write_h5ad(tmp_path / "again.h5ad")
        again = readers.read(tmp_path / "again.h5ad")
        pd.testing.assert_frame_equal(frame(again), frame(adata))
        assert again.var["biotype"].tolist() == adata.var["biotype"].tolist()


SAMPLES = st.lists(st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8)
                   .filter(lambda n: not guess_biotype(n) and n.lower() not in ("total", "id", "start", "end", "seq")
                           and n not in unpack.__dict__ and n.lower() not in ("na", "nan", "null", "none")),
                   min_size=1, max_size=5, unique=True)  # fmt: skip


@given(SAMPLES, st.integers(2, 8), st.sampled_from([",", "\t", ";"]), st.booleans(), st.data())
def test_written_and_read_back_equal(tmp_path_factory, samples, n, delimiter, turned, data):
    samples = [f"s_{name}" for name in samples]
    cells = st.lists(st.integers(0, 10**6), min_size=n, max_size=n)
    values = data.draw(st.lists(cells, min_size=len(samples), max_size=len(samples)))
    made = pd.DataFrame(values, index=samples, columns=[f"hsa-miR-{i}-5p" for i in range(1, n + 1)]).astype(float)
    path = tmp_path_factory.getbasetemp() / "round.csv"
    (made.T if turned else made).astype(int).to_csv(path, sep=delimiter, index_label="name")
    try:
        found = frame(readers.read(path))
    except ReadError as error:
        reads = made.sum(axis=1)[made.sum(axis=1) > 0]
        assert ("every value is 0" in str(error) and reads.empty) or ((reads - 1e6).abs() < 1e4 + 1).mean() > 0.5
    else:
        pd.testing.assert_frame_equal(found, made)


CELL = st.one_of(
    st.integers(-5, 10**7).map(str), st.floats(allow_nan=True).map(str), st.text(max_size=6),
    st.sampled_from(["", "NA", "hsa-miR-1-3p", "hsa-let-7a-5p", "s1", "1,5", '"', "#", "1-Mar", "sample", "precursor",
                     "read count", "miRNA", "UID", "Read", "#miRNA", "read_count", "name", "RPM (lib)", "!Series_x",
                     "!Sample_geo_accession", "tissue", "total", "miRNAtotal", "%%MatrixMarket", "0", "1", "2"]),
)  # fmt: skip


@given(
    st.lists(st.lists(CELL, max_size=6), max_size=8),
    st.sampled_from([",", "\t", ";", " "]),
    st.sampled_from([None, *readers.FORMATS]),
    st.sampled_from(["utf-8", "utf-16", "latin-1"]),
    st.sampled_from(["a.csv", "miR.Counts.csv", "x_allspeciesCounts.txt", "contaminants.tsv", "mature_counts.csv"]),
    st.booleans(),
)
def test_nothing_but_read_error_escapes(tmp_path_factory, rows, delimiter, format, encoding, name, allow):
    data = "\n".join(delimiter.join(row) for row in rows).encode(encoding, "replace")
    path = put(tmp_path_factory.getbasetemp() / "fuzz", name, data)
    try:
        check_atlas(readers.read(path, format=format, allow_normalised=allow))
    except ReadError as error:
        assert "\n" not in str(error) and "cannot be read (" not in str(error), str(error)


@given(st.binary(max_size=400))
def test_nothing_but_read_error_escapes_from_random_bytes(tmp_path_factory, data):
    path = put(tmp_path_factory.getbasetemp() / "bytes", "a.csv", data)
    for format in (None, "h5ad", "mirdeep2", "geo_series_matrix"):
        with pytest.raises(ReadError):
            readers.read(path, format=format)


def test_an_error_that_nobody_foresaw_is_one_sentence_too(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("line one\nline two", datetime.date(2020, 1, 1))

    monkeypatch.setattr(readers, "_parse", fail)
    with pytest.raises(ReadError, match=r"cannot be read \(RuntimeError") as caught:
        readers.read(put(tmp_path, "a.csv", PLAIN))
    assert "\n" not in str(caught.value)
