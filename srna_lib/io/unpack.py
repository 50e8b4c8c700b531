"""Bytes of a user's file: opened without trust, decompressed within limits, told apart by content."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srna_lib.errors import ReadError

MAX_BYTES = 2**30  # decompressed; 4000 samples x 40,000 sRNAs as text are about 0.4 GiB
MAX_RATIO = 500  # beyond FREE_BYTES; gzip shrinks zeros 1000-fold, a table with one read in 1000 cells 300-fold
FREE_BYTES = 2**24
XZ_MEMORY = 2**28  # an xz header may ask for a dictionary of 4 GiB
LAYERS = 2  # a .csv.gz inside a .zip is still somebody's table
CHUNK = 2**20
COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
FOREIGN = (
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file"),
    (b"RDX2\n", "an R data file (.rda)"),
    (b"RDX3\n", "an R data file (.rda)"),
    (b"X\n\x00\x00\x00", "an R object file (.rds)"),
    (b"\x93NUMPY", "a numpy array (.npy)"),
    (b"SQLite format 3", "a SQLite database"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"BAM\x01", "a BAM alignment"),
    (b"@HD\t", "a SAM alignment"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"{\\rtf", "an RTF document"),
)
MARKUP = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<table", b"<body")


@dataclass(frozen=True)
class Source:
    """A file as it was found; its name, as the user gave it, opens every sentence about it."""

    name: str
    data: bytes  # decompressed
    sha256: str  # of the file on disk
    kind: str  # text, hdf5 or parquet
    notes: tuple[str, ...] = ()


def stem(path: Path) -> str:
    """File name without compression and format suffix: ``a.counts.csv.gz`` gives ``a.counts``."""
    name = path.name
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    return Path(name).stem if "." in name.lstrip(".") else name


def load(path: Path) -> Source:
    """Read one file and decompress it; gz, bz2, xz and single-member zip are recognised by content."""
    data = _bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    notes: list[str] = []
    for _ in range(LAYERS + 1):
        packed = _packing(data)
        if packed is None:
            break
        if len(notes) == LAYERS:
            raise ReadError(f"{path}: compressed more than {LAYERS} times over; expected a compressed table.")
        data = _unpack(data, packed, str(path))
        notes.append(f"decompressed ({packed})")
    if not data:
        raise ReadError(f"{path}: there is nothing in it once decompressed; expected a table of counts.")
    return Source(str(path), data, sha256, _kind(data, str(path)), tuple(notes))


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise ReadError(f"{path}: this is a folder; expected a file with a table of counts.")
    if not path.exists():
        raise ReadError(f"{path}: there is no such file; expected a table of counts.")
    if not path.is_file():
        raise ReadError(f"{path}: this is a device or pipe; expected an ordinary file.")
    size = path.stat().st_size
    if size == 0:
        raise ReadError(f"{path}: the file is empty (0 bytes); expected a table of counts.")
    if size > MAX_BYTES:
        raise ReadError(f"{path}: the file has {size} bytes; expected at most {MAX_BYTES}.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ReadError(f"{path}: cannot be opened ({error.strerror or error}); expected a readable file.") from error


def _packing(data: bytes) -> str | None:
    if data.startswith(b"\x1f\x8b"):
        return "gz"
    if data.startswith(b"BZh") and data[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bz2"
    if data.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    return "zip" if data.startswith((b"PK\x03\x04", b"PK\x05\x06")) else None


def _unpack(data: bytes, packing: str, name: str) -> bytes:
    streams: dict[str, Callable[[], Iterator[bytes]]] = {
        "gz": lambda: _pieces(gzip.GzipFile(fileobj=io.BytesIO(data))),
        "bz2": lambda: _pieces(bz2.BZ2File(io.BytesIO(data))),
        "xz": lambda: _xz(data),
        "zip": lambda: _zip(data, name),
    }
    out = io.BytesIO()
    try:
        for piece in streams[packing]():
            out.write(piece)
            size = out.tell()
            if size > MAX_BYTES or (size > FREE_BYTES and size > MAX_RATIO * len(data)):
                raise ReadError(
                    f"{name}: {len(data)} compressed bytes grow beyond {size} (a decompression bomb, or not a table);"
                    f" expected at most {MAX_BYTES} bytes and {MAX_RATIO} times the compressed size."
                )
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as e:
        raise ReadError(
            f"{name}: damaged or truncated {packing} data ({short(str(e))}); expected a whole {packing} file."
        ) from e
    return out.getvalue()


def _pieces(handle: Any) -> Iterator[bytes]:
    while piece := handle.read(CHUNK):
        yield piece


def _xz(data: bytes) -> Iterator[bytes]:
    while data:
        stream = lzma.LZMADecompressor(memlimit=XZ_MEMORY)
        piece = stream.decompress(data, CHUNK)
        yield piece
        while not stream.eof:
            if stream.needs_input:
                raise EOFError("the stream ends early")
            yield stream.decompress(b"", CHUNK)
        data = stream.unused_data.lstrip(b"\x00")  # xz pads with zeros


def _zip(data: bytes, name: str) -> Iterator[bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        everything = archive.infolist()
        for member in everything:
            written = member.orig_filename  # zipfile tidies what filename says
            if written.startswith(("/", "\\")) or ".." in written.replace("\\", "/").split("/") or written[1:2] == ":":
                raise ReadError(
                    f"{name}: the zip holds {short(written)!r}, a path outside its folder; expected one plain file."
                )
        names = {m.filename for m in everything}
        if "[Content_Types].xml" in names or "mimetype" in names:
            raise ReadError(f"{name}: this is an Excel or office document; expected a table saved as CSV.")
        files = [
            m for m in everything if not m.is_dir() and not m.filename.startswith("__MACOSX/")
            and not m.filename.endswith(".DS_Store")
        ]  # fmt: skip
        if len(files) != 1:
            listed = ", ".join(short(m.filename, 30) for m in files[:4]) or "none"
            raise ReadError(f"{name}: the zip holds {len(files)} files ({listed}); expected exactly one.")
        if files[0].flag_bits & 1:
            raise ReadError(f"{name}: the zip is encrypted; expected one file without a password.")
        with archive.open(files[0]) as handle:
            yield from _pieces(handle)


def _kind(data: bytes, name: str) -> str:
    """Tell binary tables from text, and say what a file is that holds no counts."""
    if data.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if data.startswith(b"PAR1"):
        return "parquet"
    for magic, what in FOREIGN:
        if data.startswith(magic):
            raise ReadError(f"{name}: this is {what}; expected a table of counts (CSV, TSV, parquet or .h5ad).")
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise ReadError(f"{name}: this is a Python pickle, which is never opened; expected a table of counts.")
    if data[257:262] == b"ustar":
        raise ReadError(f"{name}: this is a tar archive; expected its count table as a file of its own.")
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.lower().startswith(MARKUP):
        raise ReadError(f"{name}: this is a web page or XML saved under a table's name; expected the table itself.")
    if start[:1] in (b"{", b"["):
        raise ReadError(f"{name}: this is JSON; expected a table of counts (CSV, TSV, parquet or .h5ad).")
    if start[:1] == b">":
        raise ReadError(f"{name}: this is a FASTA file of sequences; expected a table of counts.")
    lines = start.split(b"\n", 3)
    if start[:1] == b"@" and len(lines) > 2 and lines[2][:1] == b"+":
        raise ReadError(f"{name}: this is a FASTQ file of reads; expected the table of counts made from it.")
    return "text"


def short(text: str, length: int = 60) -> str:
    """One printable line of bounded length, fit for a sentence."""
    line = "".join(c if c.isprintable() else "?" for c in text)
    return line if len(line) <= length else line[: length - 3] + "..."
