"""Files as other tools and archives leave them: read right without options, or refused in one sentence."""

from __future__ import annotations

import datetime
import gzip
import io
import zipfile
from pathlib import Path

import anndata as ad
import numpy as np
import openpyxl
import pandas as pd
import pytest
from typer.testing import CliRunner

from srna_lib.data import match_names
from srna_lib.errors import InputError, ReadError
from srna_lib.io import describe, read
from srna_lib.report.cli import app

MIRS = ["hsa-miR-1-3p", "hsa-miR-21-5p", "hsa-let-7a-5p"]
PLAIN = "miRNA,s1,s2\nhsa-miR-1-3p,5,0\nhsa-miR-21-5p,7,120\nhsa-let-7a-5p,1,3\n"
EXPECTED = {"s1": dict(zip(MIRS, [5, 7, 1], strict=True)), "s2": dict(zip(MIRS, [0, 120, 3], strict=True))}
MANY = "miRNA,s1,s2\n" + "".join(f"hsa-miR-{i}-3p,{i},{3 * i}\n" for i in range(1, 31))

EXCERPT = (
    "ReferenceID\tuniqueReadCount\ttotalReadCount\tmultimapAdjustedReadCount\tmultimapAdjustedBarcodeCount\n"
    "hsa-miR-21-5p:MIMAT0000076:Homo:sapiens:miR-21-5p\t40\t900\t899.6\t0\n"
    "hsa-miR-199a-3p:MIMAT0000232:Homo:sapiens:miR-199a-3p|hsa-miR-199b-3p:MIMAT0004563:Homo:sapiens:miR-199b-3p"
    "\t3\t12\t11.5\t0\n"
    "hsa-miR-1-3p:MIMAT0000416:Homo:sapiens:miR-1-3p\t2\t7\t7\t0\n"
)
EXCERPT_COUNTS = {"hsa-miR-21-5p": 900, "hsa-miR-199a-3p/hsa-miR-199b-3p": 12, "hsa-miR-1-3p": 7}
EXCERPT_MATRIX = (
    '""\t"S1.fastq"\t"S2.fastq"\n"hsa-miR-21-5p"\t899.6\t3.25\n"hsa-miR-199a-3p|hsa-miR-199b-3p"\t11.5\t0.3\n'
    '"hsa-miR-1-3p"\t7\t0\n'
)
GDC = (
    "miRNA_ID\tread_count\treads_per_million_miRNA_mapped\tcross-mapped\n"
    "hsa-let-7a-1\t8000\t6250.5\tN\nhsa-mir-21\t900\t703.2\tY\nhsa-mir-9-1\t0\t0.0\tN\n"
)
ISOFORMS = (
    "miRNA_ID\tisoform_coords\tread_count\treads_per_million_miRNA_mapped\tcross-mapped\tmiRNA_region\n"
    "hsa-let-7a-1\thg38:chr9:94175957-94175962:+\t1\t0.1\tN\tprecursor\n"
    "hsa-let-7a-1\thg38:chr9:94175961-94175982:+\t10\t1.1\tN\tmature,MIMAT0000062\n"
    "hsa-let-7a-2\thg38:chr11:122146521-122146543:-\t5\t0.6\tY\tmature,MIMAT0000062\n"
    "hsa-mir-21\thg38:chr17:59841273-59841294:+\t70\t7.7\tN\tmature,MIMAT0000076\n"
    "hsa-mir-21\thg38:chr17:59841266-59841285:+\t2\t0.2\tN\tstemloop\n"
    "hsa-mir-21\thg38:chr17:59841300-59841322:+\t3\t0.2\tN\tunannotated\n"
)
GFF = (
    "## mirGFF3. VERSION 1.1\n## source-ontology: miRBasev22 doi:10.25504/fairsharing.hmgte8\n## COLDATA: s1,s2\n"
    "hsa-mir-21\tmiRBasev22\tref_miRNA\t8\t29\t0\t+\t.\tRead TAGCTTATC; UID iso-22-A; Name hsa-miR-21-5p; "
    "Parent hsa-mir-21; Variant NA; Cigar 22M; Expression 70,40; Filter Pass;\n"
    "hsa-mir-21\tmiRBasev22\tisomiR\t8\t30\t0\t+\t.\tRead=TAGCTTATCA;UID=iso-23-B;Name=hsa-miR-21-5p;"
    "Parent=hsa-mir-21;Variant=iso_3p:+1;Cigar=23M;Expression=7,0;Filter=Pass;Hits=1;\n"
    "hsa-let-7a-1\tmiRBasev22\tref_miRNA\t6\t27\t0\t+\t.\tRead=TGAGG;UID=iso-22-C;Name=hsa-let-7a-5p;"
    "Parent=hsa-let-7a-1;Variant=NA;Cigar=22M;Expression=1,2;Filter=Pass;\n"
    "hsa-let-7a-2\tmiRBasev22\tref_miRNA\t5\t26\t0\t+\t.\tRead=TGAGG;UID=iso-22-C;Name=hsa-let-7a-5p;"
    "Parent=hsa-let-7a-2;Variant=NA;Cigar=22M;Expression=1,2;Filter=Pass;\n"
    "hsa-let-7a-2\tmiRBasev22\tisomiR\t5\t26\t0\t+\t.\tRead=TGAGC;UID=iso-22-D;Name=hsa-let-7a-5p;"
    "Parent=hsa-let-7a-2;Variant=iso_snv;Cigar=22M;Expression=9,9;Filter=Reject low;\n"
)
SUMMED = {"s1": {"hsa-miR-21-5p": 77, "hsa-let-7a-5p": 1}, "s2": {"hsa-miR-21-5p": 40, "hsa-let-7a-5p": 2}}
RAWDATA = (
    "seq\tmir\tmism\tadd\tt5\tt3\ts1\ts2\nTAGCTTATC\thsa-miR-21-5p\t0\t0\t0\t0\t70\t40\n"
    "TAGCTTATCA\thsa-miR-21-5p\t0\tA\t0\t0\t7\t0\nTGAGG\thsa-let-7a-5p\t0\t0\t0\tt\t1\t2\n"
)
SNV = (
    "UID\tRead\tmiRNA\tVariant\tiso_5p\tiso_3p\tiso_add3p\tiso_add5p\tiso_snv\tiso_5p_nt\tiso_3p_nt\tiso_snv_nt"
    "\ts1\ts2\niso-A\tTAG\thsa-miR-21-5p\tNA\t0\t0\t0\t0\t0\t0\t0\t0\t70\t40\n"
    "iso-B\tTAGA\thsa-miR-21-5p\tiso_3p:1\t0\t1\t0\t0\t0\t0\tA\t0\t7\t0\n"
    "iso-C\tTGAGG\thsa-let-7a-5p\tNA\t0\t0\t0\t0\t0\t0\t0\t0\t1\t2\n"
)
SEQBUSTER = (
    "seq\tname\tfreq\tmir\tstart\tend\tmism\tadd\tt5\tt3\ts5\ts3\tDB\tprecursor\tambiguity\n"
    "TAGCTTATC\tseq_1_x70\t70\thsa-miR-21-5p\t8\t29\t0\t0\t0\t0\tTGTCTAGC\tTTGACTGT\tmiRNA\thsa-mir-21\t1\n"
    "TAGCTTATCA\tseq_2_x7\t7\thsa-miR-21-5p\t8\t29\t0\tA\t0\t0\tTGTCTAGC\tTTGACTGT\tmiRNA\thsa-mir-21\t1\n"
    "TGAGG\tseq_3_x1\t1\thsa-let-7a-5p\t6\t27\t0\t0\t0\tt\tTGGG\tTTTA\tmiRNA\thsa-let-7a-1\t2\n"
    "TGAGG\tseq_3_x1\t1\thsa-let-7a-5p\t5\t26\t0\t0\t0\tt\tTGGG\tTTTA\tmiRNA\thsa-let-7a-2\t2\n"
    "GGGCT\tseq_4_x4\t4\thsa-let-7a-1\t1\t20\t0\t0\t0\t0\t0\t0\tprecursor\thsa-let-7a-1\t1\n"
)
MAPPED = (
    "Sequence,annotFlag,exact miRNA,hairpin miRNA,mature tRNA,isomiR miRNA,s1,s2\n"
    "TAGCTTATC,1,hsa-miR-21-5p,,,,70,40\nTAGCTTATCA,1,,,,hsa-miR-21-5p,4,0\n"
    "TAGCTTATCG,1,,,,hsa-miR-21-5p.SNPC,3,0\nTGAGG,1,hsa-let-7a-5p,,,,1,2\nCCCC,1,,hsa-let-7a-1,,,5,5\n"
    "GGGG,1,,,tRNA-Gly,,6,6\n"
)
NAMED = (
    "isomir\ts1\ts2\nhsa-miR-21-5p.ref\t70\t40\nhsa-miR-21-5p.iso.t5:0.seed:0.t3:u-A.ad:0.mm:0\t4\t0\n"
    "hsa-miR-21-5p;iso_3p:+1;\t3\t0\nhsa-let-7a-5p.0.0.0.0\t1\t2\n"
)
LONG_FILES = {
    "GSM1_a.txt": "hsa-miR-1-3p\t5\nhsa-miR-21-5p\t7\n",
    "GSM2_b.txt": "hsa-miR-21-5p\t120\nhsa-let-7a-5p\t3\n",
}

FORMATS: dict[str, tuple[str, str, dict, str]] = {
    "exceRpt, one sample": ("S1_readCounts_miRNAmature_sense.txt", EXCERPT, {"S1": EXCERPT_COUNTS},
                            "multimapAdjustedReadCount"),
    "exceRpt, result folder": ("S1/readCounts_miRNAmature_sense.txt", EXCERPT, {"S1": EXCERPT_COUNTS}, "rounded"),
    "exceRpt, merged": ("run_exceRpt_miRNA_ReadCounts.txt", EXCERPT_MATRIX,
                        {"S1.fastq": EXCERPT_COUNTS,
                         "S2.fastq": {"hsa-miR-21-5p": 3, "hsa-miR-199a-3p/hsa-miR-199b-3p": 0, "hsa-miR-1-3p": 0}},
                        "rounded"),
    "GDC, stem-loops": ("0a1b.mirbase21.mirnas.quantification.txt", GDC,
                        {"0a1b": {"hsa-let-7a-1": 8000, "hsa-mir-21": 900, "hsa-mir-9-1": 0}}, "read_count"),
    "GDC, isoforms": ("0a1b/isoforms.quantification.txt", ISOFORMS,
                      {"0a1b": {"MIMAT0000062": 15, "MIMAT0000076": 70}}, "6 reads of precursors"),
    "mirGFF3": ("mirtop.gff", GFF, SUMMED, "1 rows that are rejected"),
    "isomiRs rawData": ("raw.tsv", RAWDATA, SUMMED, "3 isomiRs summed to 2"),
    "mirtop counts": ("mirtop.tsv", SNV, SUMMED, "3 isomiRs summed to 2"),
    "seqbuster": ("s1.mirna", SEQBUSTER, {"s1": SUMMED["s1"]}, "summed"),
    "bcbio": ("s1-mirbase-ready.counts", SEQBUSTER, {"s1": SUMMED["s1"]}, "summed"),
    "miRge3 mapped": ("mapped.csv", MAPPED, SUMMED, "summed"),
    "isomiRs by name": ("counts.tsv", NAMED, SUMMED, "4 isomiRs summed to 2"),
    "miRge isomiRs with counts": ("isomirs.csv", "miRNA,sequence,s1,s2,Entropy\nhsa-miR-21-5p,TAG,70,40,0.9\n"
                                  "hsa-miR-21-5p,TAGA,7,0,0.1\nhsa-let-7a-5p,TGAGG,1,2,0.3\n", SUMMED, "summed"),
    "miRMaster": ("std_quantification_raw_mirna.csv", "precursor\tmiRNA\ts1\ts2\nhsa-mir-1-1\thsa-miR-1-3p\t5\t0\n"
                  "hsa-mir-1-2\thsa-miR-1-3p\t5\t0\nhsa-mir-21\thsa-miR-21-5p\t7\t120\n"
                  "hsa-let-7a-1\thsa-let-7a-5p\t1\t3\n", EXPECTED, ""),
    "GEO tail": ("GSE1.txt", '"ID_REF",' + PLAIN[6:] + "!series_matrix_table_end\n", EXPECTED, ""),
    "trailing cells": ("a.csv", PLAIN.replace("5,0\n", "5,0,,\n").replace("s2\n", "s2,,,\n") + ",,\n,,,\n", EXPECTED,
                       ""),
    "header by commas, rows by tabs": ("a.csv", PLAIN.replace(",", "\t").replace("miRNA\ts1\ts2", "miRNA,s1,s2"),
                                       EXPECTED, ""),
    "one count column": ("s9.txt", "miRNA\tread_count\nhsa-miR-1-3p\t5\nhsa-miR-21-5p\t7\n",
                         {"s9": {"hsa-miR-1-3p": 5, "hsa-miR-21-5p": 7}}, "named after the file"),
    "normal tissue, all": ("a.csv", PLAIN.replace("s1,s2", "liver_norm,lung_norm"),
                           {"liver_norm": EXPECTED["s1"], "lung_norm": EXPECTED["s2"]}, ""),
    "normal tissue beside its tumour": ("a.csv", PLAIN.replace("s1,s2", "P1,P1_norm"),
                                        {"P1": EXPECTED["s1"], "P1_norm": EXPECTED["s2"]}, ""),
    "normalised beside counts": ("a.csv", "miRNA,s1,s2,s1_norm,s2_norm\nhsa-miR-1-3p,5,0,0.4,0\n"
                                 "hsa-miR-21-5p,7,120,0.5,0.9\nhsa-let-7a-5p,1,3,0.1,0.1\n", EXPECTED, "2 normalised"),
    "UMIs of QIAGEN": ("a.csv", "miRNA,s1-UMIs,s1-READs\nhsa-miR-1-3p,5,50\nhsa-miR-21-5p,7,70\n",
                       {"s1-UMIs": {"hsa-miR-1-3p": 5, "hsa-miR-21-5p": 7}}, "UMIs"),
    "TCGAbiolinks": ("a.tsv", "miRNA_ID\tread_count_T1\treads_per_million_miRNA_mapped_T1\tcross-mapped_T1\n"
                     "hsa-let-7a-1\t8000\t6250.5\tN\n", {"T1": {"hsa-let-7a-1": 8000}}, ""),
    "a few fractions": ("a.csv", MANY.replace(",90\n", ",89.6\n"),
                        {s: {f"hsa-miR-{i}-3p": n * i for i in range(1, 31)} for s, n in (("s1", 1), ("s2", 3))},
                        "rounded"),
}  # fmt: skip


def put(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def table(adata: ad.AnnData) -> pd.DataFrame:
    return pd.DataFrame(adata.X.toarray(), index=list(adata.obs_names), columns=list(adata.var_names))


def notes(adata: ad.AnnData) -> str:
    return adata.uns["srna"]["reading"]["notes"]


def zipped(members: dict[str, bytes | str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def same(adata: ad.AnnData, expected: dict[str, dict[str, float]]) -> None:
    wanted = pd.DataFrame(expected).T.astype(float)
    pd.testing.assert_frame_equal(table(adata)[wanted.columns], wanted, check_like=True)
    assert adata.shape == wanted.shape and adata.uns["srna"]["quantity"] == "counts"


@pytest.mark.parametrize("case", FORMATS)
def test_files_are_read_as_they_are(tmp_path, case):
    name, text, expected, said = FORMATS[case]
    adata = read(put(tmp_path, name, text))
    same(adata, expected)
    assert said in notes(adata)
    same(read(put(tmp_path, f"{name}.gz", gzip.compress(text.encode()))), expected)


HEADER = "miRNA\ts1\ts2\n"
REFUSED: dict[str, tuple[str, str, str]] = {
    "miRTrace": ("mirtrace-stats-rnatype.tsv", "RNA_TYPE\ts1\ts2\nmirna\t9\t90\nrrna\t5\t6\ntrna\t8\t9\n", "miRTrace"),
    "miRTrace, detailed": ("x.tsv", "CLADE\tFAMILY_ID\tMIRBASE_IDS\tSEQ\ts1\nprimates\t541\tmir-541\tTGG\t5\n",
                           "miRTrace"),
    "miEAA": ("a.csv", "Category,Subcategory,Enrichment,P-value,P-adjusted,Q-value,Expected,Observed,miRNAs\n"
              "GO,hsa-miR-1 targets,enriched,0.01,0.04,0.03,1.5,4,hsa-miR-1-3p; hsa-miR-21-5p\n", "enrichment"),
    "VCF": ("a.vcf", "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
            "chr1\t5\thsa-miR-1-3p\tA\tG\t50\tPASS\tDP=9\n", "VCF"),
    "BED": ("a.bed", "chr1\t100\t122\thsa-miR-1-3p\t0\t+\nchr2\t5\t27\thsa-miR-21-5p\t0\t-\n", "BED"),
    "BED with a track line": ("a.bed", 'track name="x"\nchr1\t100\t122\thsa-miR-1-3p\t0\t+\n'
                              "chr2\t5\t27\thsa-miR-21-5p\t0\t-\n", "BED"),
    "GFF of miRBase": ("hsa.gff3", "##gff-version 3\n##date 2018\nchr1\t.\tmiRNA\t17409\t17431\t.\t-\t.\t"
                       "ID=MIMAT0027618;Alias=MIMAT0027618;Name=hsa-miR-6859-5p\n", "Expression"),
    "list of numbers": ("a.txt", "5\n7\n120\n", "expected"),
    "list of numbers, named": ("a.csv", '"","x"\n"1",5\n"2",7\n', "expected"),
    "qPCR": ("a.csv", "miRNA,sample,Ct\nhsa-miR-1-3p,s1,25\nhsa-miR-21-5p,s1,19\n", "Ct"),
    "qPCR, wide": ("a.csv", "miRNA,s1,s2\nhsa-miR-1-3p,25.31,38.2\nhsa-miR-21-5p,19.44,40\n", "qPCR"),
    "array": ("a.csv", "ID_REF,s1,s2\nhsa-miR-1_st,5,8\nhsa-miR-21_st,90,80\nhsa-let-7a_st,9,7\n", "array"),
    "array, log2": ("a.csv", "ID_REF,s1,s2\nhsa-miR-1-3p,5.31,8.2\nhsa-miR-21-5p,9.44,11.4\n", "log scale"),
    "no header": ("a.tsv", "hsa-miR-1-3p\thsa-mir-1-1\t5\nhsa-miR-21-5p\thsa-mir-21\t7\n", "no header"),
    "miRge isomiRs in RPM": ("isomirs.csv", "miRNA,sequence,s1,s2,Entropy\nhsa-miR-21-5p\tTAG\t70.25\t40.5\t0.9\n"
                             "hsa-miR-21-5p\tTAGA\t7.5\t0.5\t0.1\n", "miR.Counts.csv"),
    "miRge isomiRs by sample": ("isomirs.samples.csv", "miRNA,s1 isomir+miRNA Entropy,s1 Canonical Sequence,"
                                "s1 Canonical RPM,s1 Top Isomir RPM\nhsa-miR-21-5p,0.5,80,70,4\n", "miR.Counts.csv"),
    "exceRpt RPM": ("run_exceRpt_miRNA_ReadsPerMillion.txt", EXCERPT_MATRIX, "exceRpt_miRNA_ReadCounts"),
    "many fractions": ("a.csv", PLAIN.replace(",7,", ",97.31,"), "--round"),
    "empty cells": ("a.csv", PLAIN.replace(",7,", ",,"), "--missing zero"),
    "long, nothing named": ("a.csv", "patient,miRNA,value\np1,hsa-miR-1-3p,5\np1,hsa-miR-21-5p,7\np2,hsa-miR-1-3p,9\n",
                            "one row per 'patient' and sRNA"),
    "long isomiRs": ("a.csv", "sample,miRNA,sequence,count\ns1,hsa-miR-1-3p,TAG,5\ns1,hsa-miR-1-3p,TAGA,7\n", "twice"),
    "qPCR, named": ("a.csv", PLAIN.replace("s1,s2", "s1_Ct,s2_Ct"), "Ct of qPCR"),
    "statistics": ("a.csv", "miRNA,mean,sd\nhsa-miR-1-3p,5,1\nhsa-miR-21-5p,7,2\n", "statistics"),
    "features": ("a.csv", "miRNA,length,n_targets\nhsa-miR-1-3p,22,90\nhsa-miR-21-5p,22,80\n", "no column holds"),
    "novel first, no header": ("a.tsv", "novel_1\t4\t5\nhsa-miR-1-3p\t5\t6\nhsa-miR-21-5p\t7\t8\n", "no header"),
    "STAR": ("a.tsv", "N_unmapped\t4\t5\nhsa-miR-1-3p\t5\t6\nhsa-miR-21-5p\t7\t8\n", "no header"),
    "a sample of dashes": ("a.csv", "miRNA,s1,s2\nhsa-miR-1-3p,5,-\nhsa-miR-21-5p,7,-\n", "1 samples hold no value"),
    "a sample of ND": ("a.csv", "miRNA,s1,s2\nhsa-miR-1-3p,5,ND\nhsa-miR-21-5p,7,ND\n", "1 samples hold no value"),
    "a fraction of a normal tissue": ("a.csv", "miRNA,T1,N1_norm\nhsa-miR-1-3p,5,0.3\nhsa-miR-21-5p,7,120.2\n",
                                      "first 'N1_norm'"),
    "mirGFF3, counts that do not fit": ("a.gff", GFF.replace("Expression=7,0", "Expression=7"), "names 2 samples"),
    "mirGFF3, all rejected": ("a.gff", GFF.replace("Filter=Pass", "Filter=No").replace("Filter Pass", "Filter No"),
                              "every row is rejected"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_files_without_counts_are_refused(tmp_path, case):
    name, text, said = REFUSED[case]
    path = put(tmp_path, name, text)
    with pytest.raises(InputError, match=said) as caught:
        read(path)
    sentence = str(caught.value)
    assert sentence.startswith(str(path)) and "expected" in sentence and sentence.endswith(".") and "\n" not in sentence
    result = CliRunner().invoke(app, ["describe", str(path)])
    assert result.exit_code == 2 and said.replace("\\", "") in result.stderr, result.output


def wide(tmp_path: Path, names: list[str], kind: str, **var) -> Path:
    """Two samples of these names, as a table or as AnnData without or with a kind of each name."""
    frame = pd.DataFrame([range(1, len(names) + 1), range(2, len(names) + 2)], index=["s1", "s2"], columns=names)
    path = tmp_path / f"a.{kind}"
    if kind == "csv":
        frame.T.to_csv(path)
    else:
        obs = pd.DataFrame({"dataset_id": "A"}, index=frame.index)
        ad.AnnData(frame.to_numpy(float), obs, pd.DataFrame(var, index=names)).write_h5ad(path)
    return path


def test_columns_that_tell_of_samples_are_no_srnas(tmp_path):
    text = "sample,rin,GC,n_loci,hsa-miR-1-3p,hsa-miR-21-5p,hsa-let-7a-5p\ns1,7,40,3,5,7,1\ns2,8,41,4,0,120,3\n"
    same(read(put(tmp_path, "a.csv", text)), EXPECTED)


def test_samples_that_are_called_like_statistics_are_read_where_the_metadata_name_them(tmp_path):
    path = put(tmp_path, "a.csv", PLAIN.replace("s1,s2", "Mean,class"))
    with pytest.raises(InputError, match="no column holds numbers"):
        read(path)
    put(tmp_path, "a.metadata.csv", "sample,tissue\nMean,liver\nclass,brain\n")
    same(read(path), {"Mean": EXPECTED["s1"], "class": EXPECTED["s2"]})


def test_names_with_semicolons_are_parted_as_their_header(tmp_path):
    text = "isomir,s1,s2\n" + "".join(f"{m};iso_5p:{i};iso_3p:-1,{i},5\n" for m in MIRS for i in (1, 2))
    same(read(put(tmp_path, "a.csv", text)), {"s1": dict.fromkeys(MIRS, 3), "s2": dict.fromkeys(MIRS, 10)})


ISOMIRS = {
    "isomiRs": ".iso.t5:{}.seed:0.t3:0", "offsets": "|{}|-1", "mirtop, joined": "_iso_5p:{}", "reference": ":ref.{}",
    "sequence": "_TAGCTTATCAGACTGATGTTG{}A",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "h5ad"])
@pytest.mark.parametrize("case", ISOMIRS)
def test_isomirs_by_name_are_summed_in_every_kind_of_file(tmp_path, case, kind):
    """In an AnnData file, and under these names in a table, 31,240 isomiRs were taken for as many miRNAs."""
    names = [m + ISOMIRS[case].format("ACGT"[i] if case == "sequence" else i) for m in MIRS for i in range(3)]
    adata = read(wide(tmp_path, names, kind))
    same(adata, {"s1": dict(zip(MIRS, [6, 15, 24], strict=True)), "s2": dict(zip(MIRS, [9, 18, 27], strict=True))})
    assert "9 isomiRs summed to 3 miRNAs" in notes(adata) and (adata.var["biotype"] == "miRNA").all()


@pytest.mark.parametrize("end", ["", ".1", "_st2", "|MIMAT0000062", ":MIMAT0000062:Homo:sapiens:let-7a", "_v2", "-ref"])
def test_other_names_are_no_isomirs(tmp_path, end):
    names = [m + end for m in MIRS]
    assert list(read(wide(tmp_path, names, "h5ad")).var_names) == names


GENES = {
    "symbols": ["TP53", "MYC", "ACTB", "GAPDH", "EGFR", "KRAS", "BRCA1", "CD4", "XIST", "MIR17HG", "MIR21"],
    "Ensembl": [f"ENSG{i:011d}.3" for i in range(9)],
    "miRNAs among genes": [*MIRS, *(f"ENSG{i:011d}" for i in range(20))],
}
FEATURES = {
    "features": ["mean_reads", "pct_mt", "n_genes", "gc"], "proteins": [f"P{i:05d}" for i in range(9)],
    "places": [f"chr1:{i}00-{i}99" for i in range(9)], "sequences": [f"TAGCTTATCAGACTGATGTT{a}" for a in "ACGT"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("names", "kind"),
    [(n, k) for n in GENES.values() for k in ("csv", "h5ad")] + [(n, "h5ad") for n in FEATURES.values()],
)
def test_tables_of_genes_and_features_are_refused(tmp_path, names, kind):
    """They became atlases of sRNAs of kind "other", with MIR21 for a miRNA."""
    path = wide(tmp_path, names, kind)
    with pytest.raises(ReadError, match=rf"^{path}: \d+ of {len(names)} names .* do not look like sRNAs; expected"):
        read(path)
    if kind == "h5ad":
        assert read(wide(tmp_path, names, kind, biotype="other")).n_vars == len(names)


def test_empty_cells_are_zero_on_demand(tmp_path):
    path = put(tmp_path, "a.csv", PLAIN.replace(",0\n", ",\n"))
    same(read(path, missing="zero"), EXPECTED)
    assert "empty cells count as 0" in notes(read(path, missing="zero"))
    with pytest.raises(InputError, match="missing"):
        read(path, missing="nothing")
    out = tmp_path / "a.h5ad"
    assert CliRunner().invoke(app, ["convert", str(path), "--missing", "zero", "--out", str(out)]).exit_code == 0


# ---------------------------------------------------------------- several files


@pytest.mark.parametrize("packed", [False, True])
def test_samples_of_a_folder_or_zip_are_joined(tmp_path, packed):
    if packed:
        path = put(tmp_path, "raw.zip", zipped({f"GSE1_RAW/{n}": t for n, t in LONG_FILES.items()}))
    else:
        for name, text in LONG_FILES.items():
            put(tmp_path / "raw", f"{name}.gz", gzip.compress(text.encode()))
        put(tmp_path / "raw", "README.md", "counts of two samples")
        path = tmp_path / "raw"
    adata = read(path)
    same(adata, {"GSM1_a": {MIRS[0]: 5, MIRS[1]: 7, MIRS[2]: 0}, "GSM2_b": {MIRS[0]: 0, MIRS[1]: 120, MIRS[2]: 3}})
    assert "2 files joined" in notes(adata) and "2 sRNAs that only some files list have 0 reads" in notes(adata)
    assert len(adata.uns["srna"]["sources"]) == 2


def test_files_that_list_srnas_without_reads_must_list_the_same(tmp_path):
    put(tmp_path / "raw", "a.txt", "hsa-miR-1-3p\t5\nhsa-miR-21-5p\t0\n")
    put(tmp_path / "raw", "b.txt", "hsa-miR-1-3p\t5\nhsa-let-7a-5p\t3\n")
    with pytest.raises(ReadError, match="lists sRNAs without reads, but not 'hsa-let-7a-5p'"):
        read(tmp_path / "raw")
    put(tmp_path / "raw", "b.txt", "hsa-miR-1-3p\t5\nhsa-miR-21-5p\t3\n")
    assert read(tmp_path / "raw").X.sum() == 13


@pytest.mark.parametrize("kind", ["mirnas", "isoforms"])
def test_folders_of_gdc_files(tmp_path, kind):
    text = GDC if kind == "mirnas" else ISOFORMS
    for uuid in ("0a1b", "2c3d"):
        put(tmp_path / "gdc", f"{uuid}-file/{uuid}.mirbase21.{kind}.quantification.txt", text)
        put(tmp_path / "gdc", f"{uuid}-file/annotations.txt", "id\tnote\nx\ty\n")
    put(tmp_path / "gdc", "MANIFEST.txt", "id\tfilename\nx\ty\n")
    adata = read(tmp_path / "gdc")
    assert list(adata.obs_names) == ["0a1b", "2c3d"] and adata.X.sum() == 2 * (8900 if kind == "mirnas" else 85)
    assert "3 other files left aside" in notes(adata)
    files = {str(p.relative_to(tmp_path)): p.read_bytes() for p in (tmp_path / "gdc").rglob("*.txt")}
    pd.testing.assert_frame_equal(table(read(put(tmp_path, "gdc.zip", zipped(files)))), table(adata))


def test_excerpt_samples_are_joined(tmp_path):
    put(tmp_path / "runs", "S1/readCounts_miRNAmature_sense.txt", EXCERPT)
    put(tmp_path / "runs", "S2/readCounts_miRNAmature_sense.txt", "\n".join(EXCERPT.split("\n")[:2]))
    adata = read(tmp_path / "runs")
    assert table(adata).loc["S2"].tolist() == [900, 0, 0] and "have 0 reads" in notes(adata)


# ---------------------------------------------------------------- spreadsheets and R


def workbook(*sheets: list[list]) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"sheet {number}")
        for row in rows:
            sheet.append(row)
    book.save(out)
    return out.getvalue()


ROWS = [["miRNA", "s1", "s2"], ["hsa-miR-1-3p", 5, 0], ["hsa-miR-21-5p", 7, 120.0], ["hsa-let-7a-5p", 1, 3]]


def test_workbooks_with_one_sheet(tmp_path):
    same(read(put(tmp_path, "a.xlsx", workbook(ROWS))), EXPECTED)
    titled = read(put(tmp_path, "b.xlsx", workbook([["Table S1. Raw counts"], [], *ROWS, [None, None, None]], [])))
    same(titled, EXPECTED)
    assert "Table S1" in notes(titled)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (workbook(ROWS, ROWS), "2 sheets"),
        (workbook([]), "no sheet"),
        (workbook([*ROWS, [datetime.datetime(2021, 3, 1), 5, 6]]), "spreadsheet"),
        (workbook([*ROWS, ["hsa-miR-2-3p", "=1+1", 6]]), "empty or missing"),
        (zipped({"[Content_Types].xml": "<x/>", "xl/workbook.xml": "<x/>"}), "damaged Excel"),
        (zipped({"[Content_Types].xml": "<x/>", "word/document.xml": "<x/>"}), "office document"),
    ],
)
def test_workbooks_that_are_refused(tmp_path, data, said):
    with pytest.raises(ReadError, match=said):
        read(put(tmp_path, "a.xlsx", data))


# What saveRDS and save write of matrix(c(5, 7, 1, 0, 120, 3), 3, dimnames = list(mirs, c("s1", "s2"))), in ASCII form.
def r_matrix() -> str:
    def text(words: list[str]) -> list[str]:
        return ["16", str(len(words)), *(part for w in words for part in ("262153", str(len(w)), w))]

    cells = ["526", "6", "5", "7", "1", "0", "120", "3"]
    attributes = ["1026", "1", "262153", "3", "dim", "13", "2", "3", "2"]
    attributes += ["1026", "1", "262153", "8", "dimnames", "19", "2", *text(MIRS), *text(["s1", "s2"]), "254"]
    return "\n".join([*cells, *attributes]) + "\n"


R_HEAD = "\n3\n262657\n197888\n5\nUTF-8\n"


def test_r_data_with_one_matrix(tmp_path):
    same(read(put(tmp_path, "a.rds", gzip.compress(("A" + R_HEAD + r_matrix()).encode()))), EXPECTED)
    saved = "RDA3\nA" + R_HEAD + "1026\n1\n262153\n6\ncounts\n" + r_matrix() + "254\n"
    same(read(put(tmp_path, "a.RData", saved)), EXPECTED)
    adata = saved.replace("254\n", "", 0)
    assert "object 'counts' of R" in notes(read(put(tmp_path, "b.rda", gzip.compress(adata.encode()))))
    with pytest.raises(ReadError, match=r"write\.csv"):
        read(put(tmp_path, "c.rds", gzip.compress(("A" + R_HEAD + "14\n2\n5\n7\n").encode())))


# ---------------------------------------------------------------- names, and what is told


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("MIMAT0000076", "hsa-miR-21-5p"),
        ("hsa-miR-21-5p:MIMAT0000076", "hsa-miR-21-5p"),
        ("hsa-miR-21-5p_MIMAT0000076", "hsa-miR-21-5p"),
        ("hsa-mir-21_hsa-miR-21-5p_MIMAT0000076", "hsa-miR-21-5p"),
        ("hsa-miR-1-3p:MIMAT0000416:Homo:sapiens:miR-1-3p", "hsa-miR-1-3p"),
        ("hsa-miR-199a-3p:MIMAT0000232:Homo:sapiens:miR-199a-3p|hsa-miR-199b-3p:MIMAT0004563:Homo:sapiens:miR-199b-3p",
         "hsa-miR-199a-3p;hsa-miR-199b-3p"),
        ("hsa-miR-199a-3p|hsa-miR-199b-3p", "hsa-miR-199a-3p;hsa-miR-199b-3p"),
        ("hsa-mir-21", "hsa-mir-21"),
        ("hsa-let-7a-1", "hsa-let-7a-1"),
        ("MI0000077", "hsa-mir-21"),
    ],
)  # fmt: skip
def test_names_of_these_files_are_known(name, target):
    assert match_names([name])["target"].tolist() == [target]


def test_shares_of_names_and_of_reads_are_told(tmp_path):
    path = put(tmp_path, "a.csv", PLAIN + "hsa-miR-99999-5p,16,123\n")
    said = "75.0% of the miRNAs have a current name in human miRBase, with 49.5% of their reads"
    assert said in describe(read(path))
    for words in (["describe", path], ["convert", path, "--out", tmp_path / "a.h5ad"]):
        result = CliRunner().invoke(app, list(map(str, words)))
        assert result.exit_code == 0 and said in result.stdout, result.output


def test_long_tables_are_pivoted(tmp_path):
    text = "sample,miRNA,count\ns1,hsa-miR-1-3p,5\ns1,hsa-miR-21-5p,7\ns2,hsa-miR-21-5p,120\n"
    same(read(put(tmp_path, "a.csv", text)), {"s1": {MIRS[0]: 5, MIRS[1]: 7}, "s2": {MIRS[0]: 0, MIRS[1]: 120}})
    again = text.replace("sample,miRNA,count", "Sample_ID,mature_miRNA,raw_read_count")
    np.testing.assert_array_equal(read(put(tmp_path, "b.csv", again)).X.toarray(), [[5, 7], [0, 120]])
