"""Opening tables and R objects: what is read right, and the sentence for each way that it can fail."""

from __future__ import annotations

import gzip
import zipfile
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import rdata
import xarray

from srna_lib.datasets import public
from srna_lib.datasets.public import coded, plain, read_experiment, read_rda, read_table
from srna_lib.errors import InputError


def test_table(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("a\tb\n1\tx\n")
    assert read_table(path, ("a", "b"), sep="\t").to_dict("list") == {"a": [1], "b": ["x"]}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"", "this is no readable table"),
        ("a.csv", b"a,b\n1,2,3,4\n1\n1,2,3,4,5,6\n", "this is no readable table"),
        ("a.csv", b"\xff\xfe\x00\x01", "this is no readable table"),
        ("a.csv.gz", b"no gzip", "this is no readable table"),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n" * 9, mtime=0)[:-12], "this is no readable table"),
        ("a.zip", b"no zip", "this is no readable table"),
        ("a.csv", b"x,y\n1,2\n", "the table lacks the columns a, b; expected them for every sample"),
    ],
)
def test_table_that_is_none(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: {sentence}"):
        read_table(path, ("a", "b"))


def test_zip_of_two_tables(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
        archive.writestr("b.csv", "a\n1\n")
    with pytest.raises(InputError, match=r"a\.zip: this is no readable table"):
        read_table(path)


@pytest.mark.parametrize("read", [read_table, read_rda, read_experiment])
def test_no_such_file(tmp_path, read):
    with pytest.raises(InputError, match=r"none\.x: there is no such file; expected"):
        read(tmp_path / "none.x")


@pytest.mark.filterwarnings("ignore:Unknown file type", "ignore:Wrong extension")
@pytest.mark.parametrize("content", [b"", b"RDX3\n", b"<html></html>", gzip.compress(b"RDX3\nX\n", mtime=0)])
@pytest.mark.parametrize("read", [read_rda, read_experiment])
def test_no_r_file(tmp_path, read, content):
    path = tmp_path / "a.rda"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.rda: this is no readable R data file"):
        read(path)


def test_frame_where_an_experiment_is_expected(tmp_path):
    path = tmp_path / "a.rda"
    rdata.write_rda(path, {"x": pd.DataFrame({"a": [1.0]})})
    with pytest.raises(InputError, match=r"a\.rda: the object in it cannot be walked .*expected one SummarizedExper"):
        read_experiment(path)


def test_coded():
    values = pd.Series([1.0, 2.0, np.nan], name="sex")
    assert coded(values, {1: "male", 2: "female"}, "x").fillna("-").tolist() == ["male", "female", "-"]
    with pytest.raises(InputError, match=r"^x: sex holds 2\.0; expected one of 1\.$"):
        coded(values, {1: "male"}, "x")


def test_plain():
    assert plain(pd.Series([1, 2])).dtype == float
    text = plain(pd.Series(["a", None, pd.NA]))
    assert text.dtype == object and text[0] == "a" and all(isinstance(v, float) for v in text[1:])


# an S4 object as rdata leaves it: slots are attributes


def experiment(*, samples=("s1", "s2", "s3"), n=(1.0, 2.0, 3.0)):
    names = {"rows": ["r1", "r2"], **({"columns": list(samples)} if samples else {})}
    matrix = xarray.DataArray(np.arange(6).reshape(3, 2).T, names, ["rows", "columns"])
    columns = {np.str_("id"): np.array(["a", None, "\xe9"], dtype=object), np.str_("n"): np.array(n)}
    assays = SimpleNamespace(data=SimpleNamespace(listData={np.str_("counts"): matrix}))
    return {"x": SimpleNamespace(assays=assays, colData=SimpleNamespace(listData=columns))}


def test_experiment(monkeypatch):
    monkeypatch.setattr(public, "read_rda", lambda path: experiment())
    counts, samples = read_experiment("x.rda")
    assert counts.to_dict("split") == {
        "index": ["s1", "s2", "s3"], "columns": ["r1", "r2"], "data": [[0, 1], [2, 3], [4, 5]],
    }  # fmt: skip
    assert samples["n"].tolist() == [1, 2, 3] and [type(c) for c in samples] == [str, str]
    assert samples["id"].fillna("-").tolist() == ["a", "-", "é"]


@pytest.mark.parametrize("change", [{"samples": None}, {"n": (1.0, 2.0)}])
def test_experiment_that_does_not_fit(monkeypatch, change):
    monkeypatch.setattr(public, "read_rda", lambda path: experiment(**change))
    with pytest.raises(InputError, match=r"x\.rda: the object in it cannot be walked"):
        read_experiment("x.rda")
