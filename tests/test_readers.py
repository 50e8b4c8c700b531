"""Public files -> atlas, on files written here and on the original."""

from __future__ import annotations

import gzip
import lzma

import numpy as np
import pandas as pd
import pytest
import rdata

from srna_lib import readers
from srna_lib.atlas import check_atlas, counts_frame
from srna_lib.errors import InputError
from srna_lib.labels import make_task
from srna_lib.readers import read_mirome

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
    monkeypatch.setattr(readers, "_read_rda", lambda path: frames)
    atlas = read_mirome("x.rda", info)
    assert atlas.obs["platform"].tolist()[0] == "HiSeq"
    assert all(isinstance(v, float) and np.isnan(v) for v in atlas.obs["platform"].tolist()[1:])
    assert atlas.obs["reads_mrna"].dtype == float
    atlas.write_h5ad(tmp_path / "a.h5ad")


@pytest.mark.parametrize("frame", ["expression_df", "metadata"])
def test_missing_frame(frames, write, info, frame):
    frames["something"] = frames.pop(frame)
    path = write(frames)
    with pytest.raises(
        InputError, match=rf"data\.rda: the frame '{frame}' is missing \(found: .*something.*\); expected expression_df"
    ):
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
    monkeypatch.setattr(readers, "_read_rda", lambda path: frames)
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
    [b"", b"hello", b"a,b\n1,2\n", b"\x00" * 100, b"\x1f\x8b\x08\x00broken", gzip.compress(b"hello"), b"BZhbroken",
     b"\xfd7zXZ\x00broken", lzma.compress(b"RDX3\nX\n"), b"RDX3\nX\n", b"<html>404</html>"],
    ids=["empty", "text", "csv", "zeros", "bad gzip", "gzip of text", "bad bzip2", "bad xz", "xz of a head", "head",
         "html"],
)  # fmt: skip
def test_no_r_data_file(tmp_path, info, content):
    path = tmp_path / "data.rda"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"data\.rda: this is no readable R data file \(.*\); expected \.rda"):
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
    assert mirome.obs["dataset_id"].nunique() == 175
    assert mirome.obs["dataset_id"].str.fullmatch(r"[SDE]RP\d+").all()
    assert mirome.obs_names.str.fullmatch(r"[SDE]RS\d+").all()
    assert mirome.var_names.str.startswith("hsa-").all()
    assert mirome.obs["cell_class"].value_counts().to_dict() == CLASSES
    assert (mirome.obs["tissue_group"] == mirome.obs["cell_class"]).all()
    assert mirome.obs.notna().all(axis=None)


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


@pytest.mark.parametrize("smallest", [9, 15])
def test_mirome_task(mirome, smallest):
    task = make_task(mirome, min_class_size=smallest)
    assert task.X.shape == (2038, 2731)
    assert task.classes == sorted(set(CLASSES) - {"Other"})
    assert task.dropped == {"label unknown": 0, "excluded label": 39, f"class below {smallest} samples": 0}
