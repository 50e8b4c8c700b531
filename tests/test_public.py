"""Public files -> atlas, on files written here and on the original."""

from __future__ import annotations

import gzip
import lzma
import re

import numpy as np
import pandas as pd
import pytest
import rdata

from srna_lib.data.atlas import check_atlas, counts_frame
from srna_lib.data.task import make_task
from srna_lib.datasets import public
from srna_lib.datasets.public import (
    read_fetal_lung,
    read_lgrc,
    read_micrornaome,
    read_mirome,
    read_protocols,
    read_tissue_atlas2,
)
from srna_lib.errors import InputError

CLASSES = {
    "Immune": 725, "Stem": 357, "Epithelial": 216, "Endothelial": 147, "Muscle": 124, "Fibroblast": 121, "Sperm": 89,
    "Plasma": 85, "Brain": 77, "RBC": 61, "Other": 39, "Fat": 19, "Platelet": 17,
}  # fmt: skip


@pytest.fixture
def frames() -> dict[str, pd.DataFrame]:
    """What the R file holds, metadata in another order than the counts."""
    counts = pd.DataFrame(
        {"SRS1": [1.0, 2.0], "SRS2": [3.0, 40000001.0], "SRS3": [0.0, 5.0]}, index=["hsa-miR-1-3p", "hsa-miR-2-5p"]
    )
    metadata = pd.DataFrame(
        {
            "Sample": ["SRS3", "SRS1", "SRS2"],
            "SRA": ["SRP9", "SRP7", "SRP7"],
            "Class": ["Other", "Immune", "Stem"],
            "CellType": ["x", "y", "z"],
            "Total_reads": [30.0, 10.0, 20.0],
            "Unused": ["u", "v", "w"],
        }
    )
    return {"expression_df": counts, "metadata": metadata}


@pytest.fixture
def write(tmp_path):
    """Write frames as an R data file and return its path."""

    def _write(frames):
        path = tmp_path / "data.rda"
        rdata.write_rda(path, frames)
        return path

    return _write


def test_small_file(frames, write, info):
    atlas = read_mirome(write(frames), info)
    assert list(atlas.obs_names) == ["SRS1", "SRS2", "SRS3"]
    assert list(atlas.var_names) == ["hsa-miR-1-3p", "hsa-miR-2-5p"]
    assert counts_frame(atlas).to_numpy().tolist() == [[1, 2], [3, 40000001], [0, 5]]
    assert atlas.obs["dataset_id"].tolist() == ["SRP7", "SRP7", "SRP9"]
    assert atlas.obs["cell_class"].tolist() == atlas.obs["tissue_group"].tolist() == ["Immune", "Stem", "Other"]
    assert atlas.obs["cell_type"].tolist() == ["y", "z", "x"]
    assert atlas.obs["reads_total"].tolist() == [10.0, 20.0, 30.0]
    assert not atlas.obs["is_cell_line"].any()
    assert "Unused" not in atlas.obs
    assert atlas.uns["srna"]["name"] == "toy"


def test_unknown_values_become_nan_and_the_atlas_can_be_written(frames, info, monkeypatch, tmp_path):
    frames["metadata"]["Model"] = [None, "HiSeq", pd.NA]
    frames["metadata"]["mRNA Reads"] = pd.array([1, 2, 3], dtype="int64")
    monkeypatch.setattr(public, "read_rda", lambda path: frames)
    atlas = read_mirome("x.rda", info)
    assert atlas.obs["platform"].tolist()[0] == "HiSeq"
    assert all(isinstance(v, float) and np.isnan(v) for v in atlas.obs["platform"].tolist()[1:])
    assert atlas.obs["reads_mrna"].dtype == float
    atlas.write_h5ad(tmp_path / "a.h5ad")


@pytest.mark.parametrize("frame", ["expression_df", "metadata"])
def test_missing_frame(frames, write, info, frame):
    frames["something"] = frames.pop(frame)
    path = write(frames)
    with pytest.raises(InputError, match=r"data\.rda: found the frames .*something.*; expected expression_df and meta"):
        read_mirome(path, info)


@pytest.mark.parametrize("column", ["Sample", "SRA", "Class", "CellType"])
def test_missing_column(frames, write, info, column):
    frames["metadata"] = frames["metadata"].drop(columns=column)
    with pytest.raises(InputError, match=rf"data\.rda: metadata lacks the columns {column}; expected them"):
        read_mirome(write(frames), info)


def test_sample_without_metadata(frames, write, info):
    frames["metadata"] = frames["metadata"].iloc[[0, 2]].reset_index(drop=True)
    with pytest.raises(
        InputError, match=r"data\.rda: metadata has no row for 1 samples \(first: 'SRS1'\); expected one for each"
    ):
        read_mirome(write(frames), info)


def test_sample_with_two_rows_of_metadata(frames, info, monkeypatch):
    frames["metadata"] = pd.concat([frames["metadata"], frames["metadata"].iloc[:1]], ignore_index=True)
    monkeypatch.setattr(public, "read_rda", lambda path: frames)
    with pytest.raises(InputError, match="the count table has 3 samples and the metadata 4"):
        read_mirome("x.rda", info)


def test_counts_that_are_none(frames, write, info):
    frames["expression_df"].loc["hsa-miR-1-3p", "SRS2"] = -4.0
    with pytest.raises(InputError, match=r"negative counts in 1 cells \(first: sample 'SRS2', sRNA 'hsa-miR-1-3p'"):
        read_mirome(write(frames), info)


def test_missing_file(tmp_path, info):
    with pytest.raises(InputError, match=r"nothing\.rda: there is no such file; expected an R data file \(\.rda\)"):
        read_mirome(tmp_path / "nothing.rda", info)


@pytest.mark.filterwarnings("ignore:Unknown file type", "ignore:Wrong extension")
@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"a,b\n1,2\n", b"\x00" * 100, b"\x1f\x8b\x08\x00broken", gzip.compress(b"hello", mtime=0),
     b"BZhbroken", b"\xfd7zXZ\x00broken", lzma.compress(b"RDX3\nX\n"), b"RDX3\nX\n", b"<html>404</html>"],
    ids=["empty", "text", "csv", "zeros", "bad gzip", "gzip of text", "bad bzip2", "bad xz", "xz of a head", "head",
         "html"],
)  # fmt: skip
def test_no_r_data_file(tmp_path, info, content):
    path = tmp_path / "data.rda"
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"data\.rda: this is no readable R data file \(.*\); expected an R data file \(\.rda\)"
    ):
        read_mirome(path, info)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_truncated_file(frames, write, info, share):
    path = write(frames)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"data\.rda: this is no readable R data file"):
        read_mirome(path, info)


def test_folder_instead_of_a_file(tmp_path, info):
    with pytest.raises(InputError, match=r"this is no readable R data file"):
        read_mirome(tmp_path, info)


def test_mirome_is_what_its_paper_says(mirome):
    assert check_atlas(mirome) is mirome
    assert mirome.shape == (2077, 2731)
    assert mirome.obs["source_dataset_id"].nunique() == 175 and mirome.obs["dataset_id"].nunique() == 171
    assert mirome.obs["dataset_id"].str.fullmatch(r"[SDE]RP\d+").all()
    assert mirome.obs_names.str.fullmatch(r"[SDE]RS\d+").all()
    assert mirome.var_names.str.startswith("hsa-").all()
    assert mirome.obs["cell_class"].value_counts().to_dict() == CLASSES
    assert (mirome.obs["tissue_group"] == mirome.obs["cell_class"]).all()
    assert mirome.obs[list(public.obs_columns("mirome").values())].notna().all(axis=None)


def test_studies_of_one_paper_or_with_the_same_libraries_are_one_unit(mirome):
    """Papers of the source say so; several studies without a paper share its "-"."""
    obs = mirome.obs[mirome.obs["pmid"] != "-"]
    assert (obs.groupby("pmid", observed=True)["dataset_id"].nunique() == 1).all()
    moved = mirome.obs[mirome.obs["dataset_id"] != mirome.obs["source_dataset_id"]]
    pairs = moved[["source_dataset_id", "dataset_id"]].drop_duplicates().itertuples(index=False, name=None)
    assert dict(pairs) == public.ONE_UNIT


def test_mirome_counts(mirome):
    depth = np.asarray(mirome.X.sum(axis=1)).ravel()
    assert (depth.min(), depth.max(), depth.sum()) == (53255, 78346587, 9400736242)
    assert mirome.X.max() == 40244677 > 2**24
    per_srna = pd.Series(np.asarray(mirome.X.sum(axis=0)).ravel(), index=mirome.var_names)
    top = ["hsa-miR-21-5p", "hsa-miR-92a-3p", "hsa-let-7a-5p/7c-5p"]
    assert per_srna.nlargest(3).index.tolist() == top


def test_mirome_counts_belong_to_their_metadata(mirome):
    """The source's own miRNA total is the sum of counts for most samples: rows are not shuffled.

    It is not a hard bound: totals of about a tenth of the samples (a few studies) stray, up to 15 times.
    """
    depth = np.asarray(mirome.X.sum(axis=1)).ravel()
    share = depth / mirome.obs["reads_mirna"].to_numpy()
    assert np.median(share) == pytest.approx(0.996, abs=0.001)
    assert np.mean(np.abs(share - 1) < 0.02) > 0.8
    assert (mirome.obs["reads_mirna"] <= mirome.obs["reads_total"]).all()
    shuffled = depth / np.random.default_rng(0).permutation(mirome.obs["reads_mirna"].to_numpy())
    assert np.mean(np.abs(shuffled - 1) < 0.02) < 0.1


@pytest.fixture
def organs(tmp_path):
    """Write a table of the layout of miRNATissueAtlas2 and return its path."""

    def _write(
        columns=("brain__grey_matter__1", "brain__dura_mater__2.1", "bowel__colon__1"), cells="4,0.5,1\n7.5,2,0.49"
    ):
        first, second = cells.split("\n")
        path = tmp_path / "ta2.csv"
        path.write_text("miRNA," + ",".join(columns) + f"\nhsa-miR-1-3p,{first}\nhsa-miR-2-5p,{second}\n")
        return path

    return _write


def test_tissue_atlas2_small(organs, info):
    atlas = read_tissue_atlas2(organs(), info)
    assert counts_frame(atlas).to_numpy().tolist() == [[4, 8], [1, 2], [1, 0]]
    assert atlas.uns["srna"]["rounded"] == 3
    assert atlas.obs["tissue"].tolist() == ["brain", "brain", "bowel"]
    assert atlas.obs["subregion"].tolist() == ["grey_matter", "dura_mater", "colon"]
    assert atlas.obs["donor_id"].tolist() == ["TA2-1", "TA2-2", "TA2-1"]
    assert atlas.obs["replicate"].tolist() == [0, 1, 0]
    assert atlas.obs["dataset_id"].tolist() == ["toy"] * 3
    assert (atlas.var["level"] == "mature").all()


@pytest.mark.parametrize("column", ["brain", "brain__grey", "brain__grey__x", "brain__grey__1.", "__grey__"])
def test_tissue_atlas2_column_that_names_no_sample(organs, info, column):
    with pytest.raises(
        InputError, match=rf"the column '{re.escape(column)}' is unexpected; expected organ__subregion__"
    ):
        read_tissue_atlas2(organs(("a__b__1", column, "a__b__2")), info)


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ("4,x,1\n1,1,1", "holds text"),
        ("4,,1\n1,1,1", r"missing \(NaN\) counts in 1"),
        ("4,-2,1\n1,1,1", "negative counts"),
    ],
)
def test_tissue_atlas2_cells_that_are_no_counts(organs, info, cells, sentence):
    with pytest.raises(InputError, match=sentence):
        read_tissue_atlas2(organs(cells=cells), info)


@pytest.fixture
def lungs(tmp_path):
    """Two files of the layout of LGRC, technical repeat included, in another order of samples."""
    counts, people = tmp_path / "counts.txt", tmp_path / "people.txt"
    counts.write_text(
        "V1\tV2\tV3\tV4\tLT000001LL\tLT000002RU\tLT000001LL_HiSeq\n"
        "chr1\t1\t2\thsa-miR-9\t10\t4\t99\nchr2\t1\t2\thsa-miR-1\t5\t6\t99\nchr3\t1\t2\thsa-miR-9\t8\t7\t99\n"
    )
    people.write_text(
        "ID\tDisease\tGender\tAge\tPack_Years\tFEV1_Percent\tFlow_Cell\tLane\tProtocol\tTotal_Reads\tMirna_Reads\n"
        "LT000002RU\t0\t2\t50\t3.5\t80\tF1\t1\tMultiplex\t90\t17\n"
        "LT000001LL\t2\t1\t71\tNA\t60\tF2\t2\tSingleplex\t80\t23\n"
    )
    return counts, people


def test_lgrc_small(lungs, info):
    atlas = read_lgrc(*lungs, info)
    assert list(atlas.obs_names) == ["LT000002RU", "LT000001LL"]
    assert list(atlas.var_names) == ["hsa-miR-9", "hsa-miR-1"]
    assert counts_frame(atlas).to_numpy().tolist() == [[11, 6], [18, 5]]
    assert atlas.obs["sex"].tolist() == ["female", "male"]
    assert atlas.obs["diagnosis"].tolist() == ["control", "COPD"]
    assert atlas.obs["donor_id"].tolist() == ["LT000002", "LT000001"]
    assert atlas.obs["lobe"].tolist() == ["RU", "LL"]
    assert atlas.obs["age_years"].tolist() == [50, 71]
    assert atlas.obs["flow_cell"].tolist() == ["F1", "F2"]
    best = read_lgrc(*lungs, info, loci="max")
    assert counts_frame(best).to_numpy().tolist() == [[7, 6], [10, 5]]
    assert (atlas.uns["srna"]["loci"], best.uns["srna"]["loci"]) == ("sum", "max")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("LT000002RU", "LT000003RU", r"counts\.txt: 1 samples have no counts \(first: 'LT000003RU'\)"),
        ("\t0\t2\t50", "\t3\t2\t50", r"people\.txt: Disease holds 3; expected one of 0, 1, 2"),
        ("\t0\t2\t50", "\t0\t0\t50", r"people\.txt: Gender holds 0; expected one of 1, 2"),
        ("Gender", "Sex", r"people\.txt: the table lacks the columns Gender"),
    ],
)
def test_lgrc_phenotypes_that_do_not_fit(lungs, info, old, new, sentence):
    counts, people = lungs
    people.write_text(people.read_text().replace(old, new))
    with pytest.raises(InputError, match=sentence):
        read_lgrc(counts, people, info)


def test_lgrc_unknown_way_with_loci(lungs, info):
    with pytest.raises(InputError, match=r"unknown loci='mean'; expected 'sum' or 'max'"):
        read_lgrc(*lungs, info, loci="mean")


@pytest.fixture
def fetal(tmp_path):
    """Two files of the layout of GSE200153, samples in different order."""
    counts, metadata = tmp_path / "counts.tsv", tmp_path / "metadata.tsv"
    counts.write_text("miRNA\tSample1\tSample2\nhsa-miR-1-3p\t1\t2\n")
    metadata.write_text("Sample\tAge\tSexMale\tSmokeExposure\tRun\nSample2\t90\t1\t0\tRun1\nSample1\t60\t0\t1\tRun2\n")
    return counts, metadata


def test_fetal_lung_small(fetal, info):
    atlas = read_fetal_lung(*fetal, info)
    assert atlas.obs.drop(columns=["is_cell_line", "tissue"]).to_dict("index") == {
        "Sample1": {"dataset_id": "toy", "donor_id": "Sample1", "sex": "female", "gestational_age_days": 60.0,
                    "smoke_exposure": True, "sequencing_run": "Run2"},
        "Sample2": {"dataset_id": "toy", "donor_id": "Sample2", "sex": "male", "gestational_age_days": 90.0,
                    "smoke_exposure": False, "sequencing_run": "Run1"},
    }  # fmt: skip
    assert counts_frame(atlas).to_numpy().tolist() == [[1], [2]]


def test_fetal_lung_of_other_samples(fetal, info):
    counts, metadata = fetal
    metadata.write_text(metadata.read_text().replace("Sample2", "Sample3"))
    with pytest.raises(InputError, match=r"metadata\.tsv: the samples are not those of .*counts\.tsv"):
        read_fetal_lung(counts, metadata, info)


@pytest.fixture
def pool(tmp_path):
    """Two libraries in the layout of exceRpt, what is known of them and of a third, and what was pooled."""
    head = "ReferenceID\tuniqueReadCount\ttotalReadCount\tmultimapAdjustedReadCount\n"
    tables = {
        "a.txt": "hsa-miR-21-5p:MIMAT0000076:Homo:sapiens:miR-21-5p\t1\t9\t8.6\n"
        "hsa-let-7a-1:MI0000060:Homo:sapiens:let-7a-1:stem-loop\t1\t4\t4.0\n",
        "b.txt": "hsa-miR-30e-3p:MIMAT0000693:Homo:sapiens:miR-30e-3p\t1\t3\t3.0\n"
        "hsa-miR-151b:MIMAT0010214:Homo:sapiens:miR-151b|hsa-miR-151a-5p:MIMAT0004697:Homo:sapiens:miR-151a-5p\t1\t2\t2\n",
    }
    for name, rows in tables.items():
        (tmp_path / name).write_text(head + rows)
    metadata, pooled = tmp_path / "metadata.txt", tmp_path / "pool.csv"
    metadata.write_text(
        "FileBaseName\tLab\tlib.method.detail\tlib.method.simple\treplicate\tLane\tfile.path\n"
        "sample_B_fastq\tLab2\t4N_A\t4N\t2\t1.0\t./x/b.txt\nsample_A_fastq\tLab1\tTruSeq\tTruSeq\t1\t1.0\t./x/a.txt\n"
        "sample_C_fastq\tLab1\tTruSeq\tTruSeq\t1\tNA\t./x/c.txt\n"
    )
    pooled.write_text(
        "Sequence.ID\tSequence.type\tModification\tsequence\n"
        "MIR-30E\tmiRNA\tx\tTG\nMIR-21-mmu\tmiRNA\tx\tTA\nMIR-151-5P\tmiRNA\tx\tTC\nARTIF-3A\tArtificial\tx\tAA\n"
    )
    return tmp_path / "a.txt", tmp_path / "b.txt", metadata, pooled


def test_protocols_small(pool, info):
    atlas = read_protocols(*pool, info=info)
    assert counts_frame(atlas).to_dict("index") == {
        "A": {"hsa-miR-21-5p": 9, "hsa-miR-30e-3p": 0, "hsa-miR-151a-5p/151b": 0},
        "B": {"hsa-miR-21-5p": 0, "hsa-miR-30e-3p": 3, "hsa-miR-151a-5p/151b": 2},
    }
    assert atlas.uns["srna"]["rounded"] == 1
    assert atlas.var["in_pool"].to_dict() == {
        "hsa-miR-21-5p": False, "hsa-miR-30e-3p": True, "hsa-miR-151a-5p/151b": True,
    }  # fmt: skip
    assert atlas.obs.drop(columns="is_cell_line").to_dict("index") == {
        "A": {"laboratory": "Lab1", "library_protocol": "TruSeq", "protocol_family": "TruSeq", "replicate": 1,
              "lane": 1, "dataset_id": "protocols-Lab1"},
        "B": {"laboratory": "Lab2", "library_protocol": "4N_A", "protocol_family": "4N", "replicate": 2, "lane": 1,
              "dataset_id": "protocols-Lab2"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        (0, "multimapAdjustedReadCount", "reads", r"a\.txt: the table lacks the columns multimapAdjustedReadCount"),
        (2, "x/b.txt", "x/d.txt", r"metadata\.txt: the samples are not those of .*a\.txt"),
        (2, "lib.method.simple", "kind", r"metadata\.txt: the table lacks the columns lib\.method\.simple"),
        (3, "Sequence.ID", "id", r"pool\.csv: the table lacks the columns Sequence\.ID"),
    ],
)
def test_protocols_that_do_not_fit(pool, info, file, old, new, sentence):
    pool[file].write_text(pool[file].read_text().replace(old, new))
    with pytest.raises(InputError, match=sentence):
        read_protocols(*pool, info=info)


@pytest.fixture
def experiment(monkeypatch):
    """What an R experiment holds; read in place of a file."""
    counts = pd.DataFrame(
        [[10, 0], [2, 8], [5, 5]], index=["a", "b", "c"], columns=["hsa-miR-1-3p", "hsa-let-7a-5p/7c-5p"]
    )
    samples = pd.DataFrame(
        {
            "sample_id": ["SRR1", "DRS2", "ERR3"], "organ": ["Liver", np.nan, "x"], "study_id": [19.0, 90.0, 89.0],
            "total_input_reads": [20.0, 20, 20], "filtered_miRNA_reads": [10.0, 10, 10], "flagged": [0, 1, 0],
            "cell_tissue": ["liver", "Adipocyte", "hepg2"], "sequencer": ["HiSeq 2000"] * 3,
            "sample_category": ["tissue", "cell_type", "cancer_cell_line"],
            "library_prep": ["unknown", "TruSeq", "TruSeq"],
        }
    )  # fmt: skip
    monkeypatch.setattr(public, "read_experiment", lambda path: (counts, samples))
    return counts, samples


def test_micrornaome_small(experiment, info):
    atlas = read_micrornaome("x.rda", info)
    obs = atlas.obs.astype(object).where(atlas.obs.notna(), None)
    assert list(obs.index) == ["SRR1", "DRS2", "ERR3"]
    assert obs["source_name"].tolist() == ["a", "b", "c"]
    assert obs["dataset_id"].tolist() == ["micrornaome-19", "micrornaome-90", "micrornaome-89"]
    assert obs["run"].tolist() == ["SRR1", None, "ERR3"]
    assert obs["sample_accession"].tolist() == [None, "DRS2", None]
    assert obs["tissue"].tolist() == ["liver", None, None]
    assert obs["cell_type"].tolist() == [None, "Adipocyte", None]
    assert obs["cell_line"].tolist() == [None, None, "hepg2"]
    assert obs["is_cell_line"].tolist() == [False, False, True]
    assert obs["flagged"].tolist() == [False, True, False]
    assert obs["library_protocol"].tolist() == [None, "TruSeq", "TruSeq"]
    assert counts_frame(atlas).to_numpy().tolist() == [[10, 0], [2, 8], [5, 5]]


def test_micrornaome_in_another_order(experiment, info):
    experiment[1].loc[1, "filtered_miRNA_reads"] = 30.0
    with pytest.raises(InputError, match=r"x\.rda: the sums of counts are not filtered_miRNA_reads"):
        read_micrornaome("x.rda", info)


def test_micrornaome_without_a_column(experiment, info):
    del experiment[1]["flagged"]
    with pytest.raises(InputError, match=r"x\.rda: colData lacks the columns flagged; expected them"):
        read_micrornaome("x.rda", info)


# the originals: every figure is of the data themselves, counted apart from the parsers


def sizes(column):
    return column.value_counts().to_dict()


def test_micrornaome(real):
    atlas = real("micrornaome")
    obs = atlas.obs
    assert atlas.shape == (1312, 2546)
    assert sizes(obs["sample_category"]) == {"cell_type": 791, "tissue": 421, "cancer_cell_line": 100}
    assert obs["cell_tissue"].nunique() == 161 and obs["cell_tissue"].notna().all()
    assert obs["dataset_id"].nunique() == 89
    assert sizes(obs["dataset_id"])["micrornaome-89"] == 450
    assert (obs["flagged"].sum(), obs["is_cell_line"].sum()) == (279, 100)
    assert (obs["run"].notna().sum(), obs["sample_accession"].notna().sum()) == (978, 334)
    depth = np.asarray(atlas.X.sum(axis=1)).ravel()
    assert np.corrcoef(depth, obs["reads_mirna"])[0, 1] > 0.99999999
    assert np.mean(depth == obs["reads_mirna"]) > 0.7


def test_samples_that_mirome_and_micrornaome_share_can_be_found(real, mirome):
    other = real("micrornaome").obs
    assert other["run"].dropna().isin(mirome.obs["run"]).sum() == 404
    assert other["sample_accession"].dropna().isin(mirome.obs_names).sum() == 286


def test_tissue_atlas2(real):
    atlas = real("tissue_atlas2")
    assert atlas.shape == (185, 2267)
    assert atlas.obs["tissue"].nunique() == 34
    assert sizes(atlas.obs["donor_id"].str[-1]) == {"3": 41, "2": 38, "1": 37, "4": 33, "5": 25, "6": 11}
    assert atlas.uns["srna"]["rounded"] == 4852
    assert atlas.uns["srna"]["rounded"] / (185 * 2267) == pytest.approx(0.012, abs=0.0005)
    assert (atlas.obs["replicate"] > 0).sum() == 15


def test_lgrc(real):
    atlas = real("lgrc")
    obs = atlas.obs
    assert atlas.shape == (351, 1919)
    assert sizes(obs["diagnosis"]) == {"COPD": 145, "ILD": 144, "control": 62}
    assert sizes(obs["sex"]) == {"male": 195, "female": 156}
    assert (obs["age_years"].count(), obs["age_years"].min(), obs["age_years"].max()) == (351, 23, 91)
    assert (obs["flow_cell"].nunique(), obs["library_protocol"].nunique()) == (12, 2)
    assert obs["donor_id"].is_unique
    assert atlas.X.sum() == 2816381696


def test_lgrc_reads_stand_at_every_locus(real):
    """With one locus for each name, totals are those that the source publishes; with all of them they are not."""
    for loci, expected in (("max", 1.0065), ("sum", 1.366)):
        atlas = real("lgrc", loci=loci)
        share = np.asarray(atlas.X.sum(axis=1)).ravel() / atlas.obs["reads_mirna"]
        assert share.median() == pytest.approx(expected, abs=0.001)


def test_fetal_lung(real):
    atlas = real("fetal_lung")
    obs = atlas.obs
    assert atlas.shape == (298, 899)
    assert sizes(obs["sex"]) == {"male": 166, "female": 132}
    assert (obs["gestational_age_days"].min(), obs["gestational_age_days"].max()) == (54, 117)
    assert sizes(obs["sequencing_run"]) == {"Run2": 84, "Run4": 82, "Run3": 77, "Run1": 55}


def test_exrna(real):
    atlas = real("exrna")
    obs = atlas.obs
    assert atlas.shape == (740, 2295) and atlas.uns["srna"]["rounded"] == 26790
    assert sizes(obs["tissue"]) == {"blood plasma": 396, "urine": 203, "blood serum": 96, "saliva": 45}
    assert sizes(obs["biofluid"]) == {"plasma": 396, "urine": 203, "serum": 96, "saliva": 45}
    assert obs.groupby("dataset_id")["donor_id"].nunique().to_dict() == {
        "EXR-KJENS1RID1-AN": 0, "EXR-TTUSC1gCrGDH-AN": 13,
    }  # fmt: skip


def test_protocols(real):
    atlas = real("protocols")
    obs, pooled = atlas.obs, atlas.var["in_pool"].to_numpy()
    assert atlas.shape == (50, 837) and pooled.sum() == 560 and atlas.uns["srna"]["rounded"] == 3867
    assert sizes(obs["protocol_family"]) == {"4N": 20, "TruSeq": 16, "NEBNext": 12, "CleanTag": 2}
    assert (obs["laboratory"].nunique(), obs["library_protocol"].nunique()) == (9, 9)
    levels = np.log2(1e6 * counts_frame(atlas).div(np.asarray(atlas.X.sum(axis=1)).ravel(), axis=0) + 1).max()
    assert (levels[pooled] > 5).mean() > 0.97 and (levels[~pooled] > 5).mean() < 0.25


@pytest.mark.parametrize("name", ["mirome", "micrornaome", "tissue_atlas2", "lgrc", "fetal_lung", "exrna", "protocols"])
def test_every_public_data_set_keeps_the_contract(real, name):
    atlas = check_atlas(real(name))
    info = atlas.uns["srna"]
    assert (info["name"], info["quantity"], info["simulated"]) == (name, "counts", False)
    assert set(atlas.var["biotype"]) == {"miRNA"} and set(atlas.var["level"]) == {"mature"}
    assert atlas.obs["is_cell_line"].dtype == bool
    assert len(info["sources"]) >= 1 and info["licence"] and info["citation"]


@pytest.mark.parametrize("smallest", [9, 15])
def test_mirome_task(mirome, smallest):
    task = make_task(mirome, min_class_size=smallest)
    assert task.X.shape == (2038, 2731)
    assert task.classes == sorted(set(CLASSES) - {"Other"})
    assert task.dropped == {"label unknown": 0, "excluded label": 39, f"class below {smallest} samples": 0}
