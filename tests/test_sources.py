"""Opening tables and R objects: what is read right, and the sentence for each way that it can fail."""

from __future__ import annotations

import gzip
import zipfile
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import rdata

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
    with pytest.raises(InputError, match=r"^x: sex holds the code 2\.0; expected one of 1\.$"):
        coded(values, {1: "male"}, "x")


def test_plain():
    assert plain(pd.Series([1, 2])).dtype == float
    text = plain(pd.Series(["a", None, pd.NA]))
    assert text.dtype == object and text[0] == "a" and all(isinstance(v, float) for v in text[1:])


# an S4 object as rdata's parser leaves it: slots are attributes, a pair list of tag -> value


def node(kind, value=None, attributes=None, tag=None, reference=None):
    info = SimpleNamespace(type=SimpleNamespace(name=kind))
    return SimpleNamespace(info=info, value=value, attributes=attributes, tag=tag, referenced_object=reference)


def text(*values):
    return node("STR", [SimpleNamespace(value=None if v is None else v.encode("latin-1")) for v in values])


def pairs(symbols=None, /, **items):
    """Pair list; tags that `symbols` knows already are references to it, as in a file."""
    rest = node("NILVALUE")
    for name, value in reversed(items.items()):
        symbol = node("SYM", SimpleNamespace(value=name.encode()))
        tag = node("REF", reference=symbol) if name == symbols else symbol
        rest = node("LIST", (value, rest), tag=tag)
    return rest


def experiment(*, dim=(2, 3), columns=("id", "n", "flag")):
    names = node("VEC", [text("r1", "r2"), text("s1", "s2", "s3")])
    matrix = node("INT", np.arange(6, dtype=np.int32), pairs(dim=node("INT", np.array(dim)), dimnames=names))
    data = node("S4", None, pairs("listData", listData=node("VEC", [matrix], pairs(names=text("counts")))))
    values = [text("a", None, "\xe9"), node("REAL", np.array([1.0, 2, 3])), node("LGL", np.array([True, False, True]))]
    described = node("S4", None, pairs(nrows=node("INT"), listData=node("VEC", values, pairs(names=text(*columns)))))
    whole = node("S4", None, pairs(assays=node("S4", None, pairs(data=data)), colData=described))
    return SimpleNamespace(object=pairs(x=whole))


def test_experiment(monkeypatch):
    monkeypatch.setattr(rdata.parser, "parse_file", lambda path: experiment())
    counts, samples = read_experiment("x.rda")
    assert counts.to_dict("split") == {
        "index": ["s1", "s2", "s3"], "columns": ["r1", "r2"], "data": [[0, 1], [2, 3], [4, 5]],
    }  # fmt: skip
    assert samples["n"].tolist() == [1, 2, 3] and samples["flag"].tolist() == [True, False, True]
    assert samples["id"].fillna("-").tolist() == ["a", "-", "é"]


@pytest.mark.parametrize("change", [{"dim": (3, 3)}, {"columns": ("id", "n")}])
def test_experiment_that_does_not_fit(monkeypatch, change):
    monkeypatch.setattr(rdata.parser, "parse_file", lambda path: experiment(**change))
    with pytest.raises(InputError, match=r"x\.rda: the object in it cannot be walked"):
        read_experiment("x.rda")
