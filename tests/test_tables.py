"""Bytes to table: compression, encodings, delimiters, headers, limits."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srna_lib.errors import ReadError
from srna_lib.io import tables, unpack
from srna_lib.io.tables import Table, parse, parse_parquet, parse_text
from srna_lib.io.unpack import Source, load, short, stem

PLAIN = "name,s1,s2\na,1,2\nb,3,4\n"


def table(text: str) -> Table:
    return parse_text(text, "x.csv")


def cells(found: Table) -> list[list]:
    return found.frame.to_numpy(dtype=object).tolist()


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", "  "),
        PLAIN.replace(",", " \t "),
        PLAIN.rstrip("\n"),
        "\n\n" + PLAIN.replace("\n", "\n\n"),
        "\ufeff" + PLAIN,
        "sep=,\n" + PLAIN,
        '"sep=;"\n' + PLAIN.replace(",", ";"),
        "# made by hand\n# twice\n" + PLAIN,
        "#" + PLAIN.replace(",", "\t"),
        '"name","s1","s2"\n"a",1,2\n"b","3","4"\n',
        PLAIN.replace("name,", ""),
        PLAIN.replace("name", ""),
        PLAIN.replace("\n", ",\n"),
        "name,s1,s2\na,1,2,\nb,3,4,\n",
        "name,s1,s2,,\na,1,2,,\nb,3,4,,\n,,,,\n",
        PLAIN.replace(",1", ", 1").replace("s2", " s2 "),
    ],
)
def test_one_table_in_many_dresses(text):
    found = table(text)
    assert [c.lstrip("#") for c in found.columns] in (["name", "s1", "s2"], ["", "s1", "s2"])
    assert [[str(r[0]), *map(float, r[1:])] for r in cells(found)] == [["a", 1.0, 2.0], ["b", 3.0, 4.0]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_encodings(tmp_path, encoding):
    text = PLAIN.replace("s1", "Müller_1") if encoding != "utf-16-be" else PLAIN
    found = parse(load(put(tmp_path, "a.csv", text.encode(encoding))))
    assert found.columns[1] == ("Müller_1" if "Müller" in text else "s1")
    assert cells(found)[1][1:] == [3, 4]
    assert bool(found.notes) == (not encoding.startswith("utf-8"))


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zip", lambda data: zipped({"in/a.csv": data, "__MACOSX/._a.csv": b"x", "in/": b""})),
        (".csv", gzip.compress),
        (".gz", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
        (".xz", lambda data: lzma.compress(data[:9]) + lzma.compress(data[9:])),
        (".bz2", lambda data: bz2.compress(data[:9]) + bz2.compress(data[9:])),
        (".zip", lambda data: zipped({"a.csv.gz": gzip.compress(data)})),
    ],
)
def test_compressed_files_are_read_as_they_are(tmp_path, suffix, pack):
    path = put(tmp_path, f"a{suffix}", pack(PLAIN.encode()))
    source = load(path)
    assert source.data.decode() == PLAIN
    assert source.notes and all(n.startswith("decompressed") for n in source.notes)
    assert cells(parse(source)) == [["a", 1, 2], ["b", 3, 4]]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, lambda d: zipped({"a.csv": d})])
@pytest.mark.parametrize("cut", [0.3, 0.7, 0.95])
def test_truncated_archives_are_said_to_be_so(tmp_path, pack, cut):
    noise = np.random.default_rng(0).bytes(5000).hex().encode()
    data = pack(noise)
    with pytest.raises(ReadError, match="damaged or truncated"):
        load(put(tmp_path, "a", data[: int(len(data) * cut)]))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, lambda d: zipped({"a.csv": d})])
def test_bombs_are_stopped_before_they_unfold(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(unpack, "FREE_BYTES", 2**18)
    data = pack(b"0" * 2**22)
    with pytest.raises(ReadError, match="decompression bomb"):
        load(put(tmp_path, "a", data))
    monkeypatch.setattr(unpack, "FREE_BYTES", 2**30)
    assert len(load(put(tmp_path, "b", data)).data) == 2**22
    monkeypatch.setattr(unpack, "MAX_BYTES", 2**21)
    with pytest.raises(ReadError, match="decompression bomb"):
        load(put(tmp_path, "c", data))
    with pytest.raises(ReadError, match="bytes; expected at most"):
        load(put(tmp_path, "d", b"0" * (2**21 + 1)))


@pytest.mark.slow
def test_the_limits_leave_sparse_tables_alone():
    """The sparsest table that is plausible: one read in a thousand cells."""
    rng = np.random.default_rng(0)
    values = (rng.random((500, 20_000)) < 0.001) * rng.integers(1, 1000, (500, 20_000))
    text = "\n".join(",".join(map(str, row)) for row in values).encode()
    assert len(text) > unpack.FREE_BYTES
    assert len(text) / len(gzip.compress(text)) < unpack.MAX_RATIO


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"../a.csv": b"x"}, "path outside"),
        ({"/etc/a.csv": b"x"}, "path outside"),
        ({"in/../../a.csv": b"x"}, "path outside"),
        ({"..\\a.csv": b"x"}, "path outside"),
        ({"C:\\a.csv": b"x"}, "path outside"),
        ({"a.csv": b"x", "b.csv": b"y"}, "2 files"),
        ({}, "0 files"),
        ({"[Content_Types].xml": b"x", "word/document.xml": b"y"}, "office"),
        ({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": b"y"}, "office"),
        ({"a.csv": b""}, "nothing in it"),
        ({"a.csv.gz": gzip.compress(gzip.compress(b"a,b\nc,1\n"))}, "compressed more than"),
    ],
)
def test_zips_that_are_refused(tmp_path, members, said):
    with pytest.raises(ReadError, match=said):
        load(put(tmp_path, "a.zip", zipped(members)))


def test_an_encrypted_zip_is_refused(tmp_path):
    data = bytearray(zipped({"a.csv": b"a,b\nc,1\n"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ReadError, match="encrypted"):
        load(put(tmp_path, "a.zip", bytes(data)))


def test_folders_devices_and_unreadable_files(tmp_path):
    with pytest.raises(ReadError, match="this is a folder"):
        load(tmp_path)
    with pytest.raises(ReadError, match="no such file"):
        load(tmp_path / "none.csv")
    with pytest.raises(ReadError, match="empty"):
        load(put(tmp_path, "a.csv", b""))
    with pytest.raises(ReadError, match="device or pipe"):
        load(Path(os.devnull))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ReadError, match="device or pipe"):
        load(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no line"),
        ("\n \n", "no line"),
        ("name\na\nb\n", "no tab, comma"),
        ("name,s1\n", "no row"),
        ("name,s1,s2\na,1,2\nb,3\nc,1,2\n", "row 2 has 2 cells where most have 3"),
        ("name,s1,s2\na,1,2\nb,3,4,5\nc,1,2\n", "row 2 has 4 cells"),
        ("name,s1\na,1,2\nb,3,4,\nc,1;2,3\n", "row 2 has 4 cells"),
        ("name,s1,s2,s3,s4\na,1,2\nb,1,2\n", "header names 5 columns and rows have 3"),
        ('name,s1\na,"1\nb,2\n', "quotes do not match"),
        ('name,s1\na,"1"x\nb,2\n', "quotes do not match"),
        ("a\x00,b\nc,1\n", "control character"),
        (",,\n,,\n,,\n", "no line"),
        ("a,b;c\nd;1,2\ne,3,4,5,6\nf|4\n", "ragged"),
    ],
)
def test_texts_that_are_no_table(tmp_path, text, said):
    with pytest.raises(ReadError, match=said):
        parse(load(put(tmp_path, "a.csv", (text or "\n").encode())))


def test_a_quoted_cell_may_hold_anything():
    found = table('name,s1,s2\n"a,\n""b""",1,2\nc,3,4\n')
    assert cells(found)[0][0] == 'a,\n"b"'


def test_repeated_names_stay_visible():
    assert table("name,s,s\na,1,2\n").columns == ["name", "s", "s"]


def test_too_many_columns_or_cells(monkeypatch):
    wide = "name" + ",s" * 1_000_000 + "\na" + ",1" * 1_000_000 + "\n"
    with pytest.raises(ReadError, match="1000001 columns"):
        table(wide)
    monkeypatch.setattr(tables, "MAX_CELLS", 5)
    with pytest.raises(ReadError, match="2 rows x 3 columns"):
        table(PLAIN)


def test_numbers_survive_exactly():
    found = table("name,s1\na,9007199254740993\nb,0.1\nc,12.0\nd,1e5\ne,inf\n")
    assert found.frame[1].tolist() == [9007199254740992.0, 0.1, 12.0, 1e5, np.inf]


def test_parquet_with_and_without_index(tmp_path):
    frame = pd.DataFrame({"s1": [1, 2], "s2": [3, 4]}, index=["a", "b"])
    for form in (frame, frame.rename_axis("name"), frame.reset_index(names="name")):
        form.to_parquet(tmp_path / "a.parquet")
        found = parse_parquet(load(tmp_path / "a.parquet"))
        assert found.columns[1:] == ["s1", "s2"]
        assert cells(found) == [["a", 1, 3], ["b", 2, 4]]


def test_damaged_and_large_parquet(tmp_path, monkeypatch):
    pd.DataFrame({"n": ["a"], "s": [1]}).to_parquet(tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    with pytest.raises(ReadError, match="damaged parquet"):
        parse_parquet(load(put(tmp_path, "b.parquet", data[:-30] + b"x" * 30)))
    assert cells(parse(load(tmp_path / "a.parquet"))) == [["a", 1]]
    with pytest.raises(ReadError, match="HDF5 file"):
        parse(Source("x", b"", "", "hdf5"))
    monkeypatch.setattr("srna_lib.io.tables.MAX_BYTES", 10)
    with pytest.raises(ReadError, match="unfolds to"):
        parse_parquet(load(tmp_path / "a.parquet"))
    monkeypatch.setattr("srna_lib.io.tables.MAX_CELLS", 1)
    with pytest.raises(ReadError, match="expected at most"):
        parse_parquet(load(tmp_path / "a.parquet"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.csv", "a"), ("a.counts.csv.gz", "a.counts"), ("a", "a"), ("a.tsv.zip", "a"), (".csv", ".csv"), ("a.b", "a")],
)
def test_stem(name, expected):
    assert stem(Path("/x") / name) == expected


@given(st.text(max_size=200), st.integers(4, 80))
def test_short_is_one_bounded_printable_line(text, length):
    found = short(text, length)
    assert len(found) <= length and found.isprintable()


@given(st.binary(max_size=300), st.sampled_from(["", "\x1f\x8b", "BZh91AY&SY", "PK\x03\x04", "\xfd7zXZ\x00"]))
def test_random_bytes_give_a_table_or_a_read_error(tmp_path_factory, data, magic):
    path = put(tmp_path_factory.getbasetemp(), "random", magic.encode("latin-1") + data)
    try:
        found = parse(load(path))
    except ReadError as error:
        assert "\n" not in str(error) and str(error).startswith(str(path))
    else:
        assert len(found.columns) == found.frame.shape[1] >= 2


WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=6)


@given(
    st.lists(WORDS, min_size=2, max_size=5),
    st.integers(1, 6),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_what_is_written_is_read(columns, n_rows, delimiter, encoding, ends, quoted, random):
    rows = [[f"r{i}", *(str(random.randint(0, 10**9)) for _ in columns[1:])] for i in range(n_rows)]
    columns = ["n" + columns[0], *columns[1:]]
    lines = [[f'"{c}"' for c in columns] if quoted else columns, *rows]
    text = "".join(delimiter.join(line) + ends for line in lines)
    found = parse(Source("x", text.encode(encoding), "", "text"))
    assert found.columns == columns
    assert [[r[0], *map(str, r[1:])] for r in cells(found)] == rows
