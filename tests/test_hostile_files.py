"""Damaged and hostile files: no crash, no reads moved in silence, no memory asked for without limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from typer.testing import CliRunner

from srna_lib.errors import ReadError
from srna_lib.io import read, read_h5ad, write_h5ad
from srna_lib.report.cli import app

SRNAS = [f"hsa-miR-{i}-5p" for i in range(1, 31)]
SAMPLES = [f"s{i}" for i in range(12)]
WORKER = """
import json, sys
from srna_lib.errors import InputError
from srna_lib.io import read_h5ad
for path in sys.argv[1:]:
    try:
        adata = read_h5ad(path)
    except InputError as error:
        print(json.dumps(str(error)), flush=True)
    else:
        print(json.dumps(adata.X.toarray().tolist()), flush=True)
"""

pytestmark = pytest.mark.slow


def atlas(form: type = sp.csr_matrix) -> ad.AnnData:
    values = np.random.default_rng(3).negative_binomial(0.6, 0.01, (len(SAMPLES), len(SRNAS))).astype(float)
    obs = pd.DataFrame({"dataset_id": ["A", "B"] * 6, "sex": pd.Categorical(["female", "male"] * 6)}, index=SAMPLES)
    return ad.AnnData(X=form(values), obs=obs, var=pd.DataFrame(index=SRNAS))


def plain_bytes(path: Path) -> list[tuple[int, int]]:
    """Where values and indices of X lie: a flip there is another number, which no format can notice."""
    with h5py.File(path) as file:
        arrays = [file["X"]] if isinstance(file["X"], h5py.Dataset) else [file["X/data"], file["X/indices"]]
        places = []
        for array in (a.id for a in arrays):
            if array.get_offset() is not None:
                places.append((array.get_offset(), array.get_storage_size()))
            for chunk in map(array.get_chunk_info, range(array.get_num_chunks())) if array.get_offset() is None else ():
                places.append((chunk.byte_offset, chunk.size))
    return [(start, start + size) for start, size in places]


@pytest.mark.parametrize(
    ("form", "packed", "n"), [(sp.csr_matrix, None, 70), (sp.csc_matrix, None, 20), (np.asarray, None, 20),
                              (sp.csr_matrix, "gzip", 40)],
)  # fmt: skip
def test_flipped_and_truncated_h5ad_files(tmp_path, form, packed, n):
    whole = tmp_path / "whole.h5ad"
    atlas(form).write_h5ad(whole, compression=packed)
    data, plain = whole.read_bytes(), plain_bytes(whole)
    rng, paths, free = np.random.default_rng(7), [], []
    for i in range(n):
        spoiled, at = bytearray(data), int(rng.integers(len(data)))
        spoiled[at] ^= 1 << int(rng.integers(8))
        if i % 10 == 9:
            spoiled = spoiled[:at]
        paths.append(tmp_path / f"{i}.h5ad")
        paths[-1].write_bytes(spoiled)
        free.append(any(start <= at < end for start, end in plain))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WORKER, *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"crashed at file {done.stdout.count(chr(10))}: {done.stderr[-2000:]}"
    expected, refused = atlas(np.asarray).X.tolist(), 0
    for path, line, excused in zip(paths, done.stdout.splitlines(), free, strict=True):
        found = json.loads(line)
        if isinstance(found, str):
            refused += 1
            assert found.startswith(str(path)) and "\n" not in found and "expected" in found
        else:
            assert excused or found == expected, f"{path.name}: other counts"
    assert refused > n / 20


def test_no_flipped_bit_of_a_file_of_ours_changes_anything(tmp_path):
    """Names have no checksum in HDF5: two in thirty flips of a compressed file renamed an sRNA."""
    path, spoilt = tmp_path / "ours.h5ad", tmp_path / "spoilt.h5ad"
    write_h5ad(atlas(), path)
    whole, content, rng, refused = read_h5ad(path), path.read_bytes(), np.random.default_rng(1), 0
    for at in [0, 15, 80, 511, 513, *rng.integers(len(content), size=60)]:
        spoilt.write_bytes(content[:at] + bytes([content[at] ^ 1 << int(rng.integers(8))]) + content[at + 1 :])
        try:
            found = read_h5ad(spoilt)
        except ReadError as error:
            refused += "checksum" in str(error)
        else:
            assert (found.X != whole.X).nnz == 0 and found.obs.equals(whole.obs) and found.var.equals(whole.var), at
    assert refused > 55
    pd.testing.assert_frame_equal(read(path).obs, whole.obs)
    again = ad.read_h5ad(path)  # anndata looks past the checksum, and writes a file without one
    again.write_h5ad(path)
    assert (read_h5ad(path).X != whole.X).nnz == 0


@pytest.fixture
def own(tmp_path) -> Path:
    path = tmp_path / "own.h5ad"
    atlas().write_h5ad(path)
    return path


def spoil(path: Path, name: str, change) -> Path:
    """Exchange one array or attribute of X."""
    with h5py.File(path, "a") as file:
        node = file["X"]
        if name == "shape":
            node.attrs["shape"] = change(node.attrs["shape"])
        else:
            values = change(node[name][()])
            attrs = dict(node[name].attrs)
            del node[name]
            node[name] = values
            node[name].attrs.update(attrs)
    return path


def put(values: np.ndarray, place: int, value: float) -> np.ndarray:
    values = values.copy()
    values[place] = value
    return values


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("indptr", lambda v: put(v, 0, 1), "does not rise from 0"),
        ("indptr", lambda v: put(v, -1, v[-1] + 5), "does not rise from 0"),
        ("indptr", lambda v: put(v, 3, -4), "does not rise from 0"),
        ("indptr", lambda v: put(v, 3, 10**6), "does not rise from 0"),
        ("indptr", lambda v: put(v, 3, v[3] - 2), "order that differs between rows|gives a cell twice"),
        ("indptr", lambda v: put(v, 3, v[3] + 1), "order that differs between rows|gives a cell twice"),
        ("indptr", lambda v: v[:-1], "lengths that do not fit"),
        ("indptr", lambda v: v.astype(float), "wrong type"),
        ("indices", lambda v: put(v, 4, 10**9), "indices outside 0 to 29"),
        ("indices", lambda v: put(v, 4, -1), "indices outside 0 to 29"),
        ("indices", lambda v: put(v, 4, v[3]), "gives a cell twice"),
        ("indices", lambda v: v[:-1], "lengths that do not fit"),
        ("indices", lambda v: v.reshape(-1, 1), "lengths that do not fit"),
        ("data", lambda v: v[:-1], "lengths that do not fit"),
        ("data", lambda v: v.astype("S"), "wrong type"),
        ("shape", lambda v: [12, 31], "expected them alike"),
        ("shape", lambda v: [12, 2**40], "expected them alike"),
        ("shape", lambda v: [12], "expected them alike"),
    ],
)
def test_sparse_matrices_are_checked_in_full(own, name, change, says):
    spoil(own, name, change)
    for way in (read, read_h5ad):
        with pytest.raises(ReadError, match=says):
            way(own)


def test_indices_that_a_permutation_left_unsorted_are_read(own):
    turned = atlas()[:, ::-1].copy()
    turned.X.has_sorted_indices = None
    assert not turned.X.has_sorted_indices
    turned.write_h5ad(own)
    np.testing.assert_array_equal(read_h5ad(own).X.toarray(), atlas(np.asarray).X[:, ::-1])


def test_small_files_that_ask_for_gigabytes_are_refused_at_once(own):
    with h5py.File(own, "a") as file:
        for axis, n in (("obs", 150_000), ("var", 150_000)):
            attrs = dict(file[axis]["_index"].attrs)
            for key in list(file[axis]):
                del file[axis][key]
            file[axis].attrs["column-order"] = np.array([], dtype=h5py.string_dtype())
            file[axis].create_dataset("_index", (n,), dtype=h5py.string_dtype(), chunks=(n,), compression="gzip")
            file[axis]["_index"][0] = "a"
            file[axis]["_index"].attrs.update(attrs)
        file["X"].attrs["shape"] = [150_000, 150_000]
    tracemalloc.start()
    for way in (read, read_h5ad):
        with pytest.raises(ReadError, match="150000 samples x 150000 sRNAs; expected at most"):
            way(own)
    assert tracemalloc.get_traced_memory()[1] < 2**29
    tracemalloc.stop()


def test_columns_longer_than_their_table_are_not_read(own):
    with h5py.File(own, "a") as file:
        file["obs/dataset_id"].attrs  # noqa: B018  (it is there)
        del file["obs/sex/codes"]
        file["obs/sex"].create_dataset("codes", data=np.zeros(10**6, dtype="i1"), compression="gzip")
        file["obs/sex/codes"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    with pytest.raises(ReadError, match="no lists of one length"):
        read_h5ad(own)


def test_both_ways_to_read_an_atlas_agree(tmp_path):
    made = atlas()
    made.var_names = [*SRNAS[:-3], "SNORD44", "hsa_piR_000001", "tRNA-Gly-GCC"]
    made.obs["gender"] = ["F", "M"] * 6
    made.obs["age"] = ["45 years"] * 12
    del made.obs["sex"]
    made.write_h5ad(tmp_path / "own.h5ad")
    one, other = read(tmp_path / "own.h5ad"), read_h5ad(tmp_path / "own.h5ad")
    pd.testing.assert_frame_equal(one.obs, other.obs)
    pd.testing.assert_frame_equal(one.var, other.var)
    assert (one.X != other.X).nnz == 0 and one.uns["srna"]["quantity"] == other.uns["srna"]["quantity"] == "counts"
    assert other.obs["sex"].tolist() == ["female", "male"] * 6 and (other.obs["age_years"] == 45).all()
    assert other.var["biotype"].tolist()[-4:] == ["miRNA", "snoRNA", "piRNA", "tRF"]


def test_a_plain_anndata_file_is_read_and_described(own):
    from typer.testing import CliRunner

    from srna_lib.report.cli import app

    for words in (["convert", str(own), "--out", str(own.with_name("b.h5ad"))], ["datasets", "describe", str(own)]):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, (result.output, result.exception)
    assert read_h5ad(own.with_name("b.h5ad")).shape == (12, 30)


COUNTS = "miRNA,s1,s2\nhsa-miR-1-3p,5,0\nhsa-miR-21-5p,7,120\n"


@pytest.mark.parametrize(
    ("metadata", "columns"),
    [
        ("sample,sex\ns1,0\ns2,1\n", []),
        ("sample,sex\ns1,NA\ns2,NA\n", []),
        ("sample,sample_id,tissue\ns1,x,liver\ns2,y,liver\n", ["tissue", "sample_name"]),
        ("name,sample_id,sample_id\ns1,s1,3\ns2,s2,4\n", ["sample_name"]),
        ("sample,flag,empty\ns1,True,\ns2,,\n", ["flag"]),
    ],
)
def test_odd_metadata_is_written_or_refused_in_one_sentence(tmp_path, metadata, columns):
    (tmp_path / "a.csv").write_text(COUNTS)
    (tmp_path / "a.metadata.csv").write_text(metadata)
    out = tmp_path / "a.h5ad"
    result = CliRunner().invoke(app, ["convert", str(tmp_path / "a.csv"), "--out", str(out)])
    assert result.exit_code == 0, (result.output, result.exception)
    assert {*columns, "dataset_id"} <= set(ad.read_h5ad(out).obs)


def test_nothing_where_something_may_be_is_read(own):
    """anndata writes None as an array without a shape, which counted as a piece that is missing."""
    with h5py.File(own, "a") as file:
        ad.io.write_elem(file, "raw", None)
        ad.io.write_elem(file, "uns/nothing", None)
    assert read_h5ad(own).shape == (len(SAMPLES), len(SRNAS))


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_names_and_locales_that_are_not_utf8(tmp_path, locale):
    path = os.fsencode(tmp_path) + b"/M\xfcller.csv"
    with open(path, "wb") as file:
        file.write(COUNTS.replace("s1", "Müller_ß").encode("latin-1"))
    (tmp_path / "metadata.csv").write_bytes("sample,Größe\nMüller_ß,3\ns2,4\n".encode("latin-1"))
    command = [sys.executable, "-m", "srna_lib.report.cli", "convert", path, "--out", tmp_path / "a.h5ad"]
    env = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = subprocess.run(command, capture_output=True, check=False, env=env)
    assert result.returncode == 0 and b"Traceback" not in result.stderr, result.stderr
    assert read_h5ad(tmp_path / "a.h5ad").obs_names.tolist() == ["Müller_ß", "s2"]


def test_a_missing_file_whose_name_is_not_utf8(tmp_path):
    result = CliRunner().invoke(app, ["convert", os.fsdecode(b"no\xfc.csv"), "--out", str(tmp_path / "b.h5ad")])
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit), result.exception
