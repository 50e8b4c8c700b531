"""Bytes of a user's file: opened without trust, decompressed within limits, told apart; files written whole."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from srna_lib import errors
from srna_lib.errors import InputError, ReadError

MAX_BYTES = 2**30  # decompressed; 4000 samples x 40,000 sRNAs as text are about 0.4 GiB
MAX_RATIO = 500  # beyond FREE_BYTES; gzip shrinks zeros 1000-fold, a table with one read in 1000 cells 300-fold
FREE_BYTES = 2**24
XZ_MEMORY = 2**28  # an xz header may ask for a dictionary of 4 GiB
LAYERS = 2  # a .csv.gz inside a .zip is still somebody's table
CHUNK = 2**20
MAX_FILES = 20_000  # of a folder or zip; TCGA has 11,000 samples
COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
MAGIC = {"gz": rb"\x1f\x8b", "bz2": rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", "xz": rb"\xfd7zXZ\x00",
         "zip": rb"PK(?:\x03\x04|\x05\x06)"}  # fmt: skip
OFFICE = {"[Content_Types].xml", "mimetype"}
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)
R_DATA = rb"(?:RD[XA][23]\n)?(?:X\n\x00\x00\x00[\x02\x03]|A\n[23]\n)"
# what starts so holds no counts; compared in lower case, after blanks
FOREIGN = {
    "a tar archive": rb"[\s\S]{257}ustar", "a FASTQ file of reads": rb"@.*\n.*\n\+", "a SAM alignment": rb"@hd\t",
    "a PDF document": rb"%pdf", "an old Excel or Word file": rb"\xd0\xcf\x11\xe0", "a PNG image": rb"\x89png",
    "a numpy array (.npy)": rb"\x93numpy", "a SQLite database": rb"sqlite format 3", "a BAM alignment": rb"bam\x01",
    "a 7-Zip archive": rb"7z\xbc\xaf", "a RAR archive": rb"rar!", "an RTF document": rb"\{\\rtf",
    "a JPEG image": rb"\xff\xd8\xff", "a Python pickle, which is never opened": rb"\x80[\x02-\x05]",
    "a web page or XML": rb"<!doctype|<html|<head|<\?xml|<table|<body",
    "a FASTA file of sequences": rb">", "JSON": rb"[{[]", "a list of variants (VCF)": rb"##fileformat=vcf",
    "an annotation (BED)": rb"(?:track|browser)[ \t]",
}  # fmt: skip
expect = partial(errors.expect, kind=ReadError)  # refuse a file that does not hold what it should


@dataclass(frozen=True)
class Source:
    """A file as it was found; its name, as the user gave it, opens every sentence about it."""

    name: str
    data: bytes  # decompressed
    sha256: str  # of the file on disk
    kind: str  # text, hdf5, parquet, xlsx or rdata
    notes: list[str] = field(default_factory=list)


@contextmanager
def refusing(what: str, expected: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of some kinds into one sentence; one that is a sentence for the user already stays as it is."""
    try:
        yield
    except kinds as error:
        why = f"{type(error).__name__}: {short(str(error))}"
        says = str(error) if isinstance(error, InputError) else f"{what} ({why}); expected {expected}."
        raise ReadError(says) from error


def stem(path: Path) -> str:
    """File name without compression and format suffix: ``a.counts.csv.gz`` gives ``a.counts``."""
    name = path.name
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    return Path(name).stem if "." in name.lstrip(".") else name


def load(path: Path) -> Source:
    """Read one file and decompress it; gz, bz2, xz and single-member zip are recognised by content."""
    return _source(str(path), _bytes(path))


def _source(name: str, data: bytes) -> Source:
    """Decompress bytes and tell their kind."""
    sha256 = hashlib.sha256(data).hexdigest()
    notes: list[str] = []
    while packing := next((p for p, magic in MAGIC.items() if re.match(magic, data)), None):
        if packing == "zip" and "xl/workbook.xml" in (members := _members(data, name)):
            _check_size(sum(members.values()), len(data), name)
            return Source(name, data, sha256, "xlsx", notes)
        expect(len(notes) < LAYERS, f"{name}: compressed more than {LAYERS} times over; expected a compressed table")
        data = _unpack(data, packing, name)
        notes.append(f"decompressed ({packing})")
    expect(data, f"{name}: there is nothing in it once decompressed; expected a table of counts")
    return Source(name, data, sha256, _kind(data, name), notes)


def files_in(path: Path) -> dict[str, Callable[[], Source]]:
    """Files of a folder (two levels down) or of a zip with several: name there -> its `load`; none for other files."""
    if path.is_dir():
        found = sorted(p for depth in ("*", "*/*", "*/*/*") for p in path.glob(depth) if p.is_file())
        expect(len(found) <= MAX_FILES, f"{path}: {len(found)} files; expected a folder of at most {MAX_FILES}")
        return {p.relative_to(path).as_posix(): partial(load, p) for p in found if not p.name.startswith(".")}
    with open(path if path.is_file() else os.devnull, "rb") as file:
        packed = re.match(MAGIC["zip"], file.read(4))
    data = _bytes(path) if packed else b""
    members = _members(data, str(path)) if packed else {}
    if len(members) < 2 or OFFICE & set(members):
        return {}
    expect(len(members) <= MAX_FILES, f"{path}: {len(members)} files; expected a zip of at most {MAX_FILES}")
    _check_size(sum(members.values()), len(data), str(path))
    archive = zipfile.ZipFile(io.BytesIO(data))

    def member(name: str) -> Source:
        with refusing(f"{path}: damaged or truncated zip data", "all", *DAMAGE):
            return _source(f"{path}/{name}", archive.read(name))

    return {name: partial(member, name) for name in sorted(members)}


def _bytes(path: Path) -> bytes:
    what = "a folder" if path.is_dir() else "a device or pipe" if path.exists() else "nothing (no such file)"
    expect(path.is_file(), f"{path}: this is {what}; expected an ordinary file with a table of counts")
    size = path.stat().st_size
    expect(size, f"{path}: the file is empty (0 bytes); expected a table of counts")
    expect(size <= MAX_BYTES, f"{path}: the file has {size} bytes; expected at most {MAX_BYTES}")
    with refusing(f"{path}: cannot be opened", "a readable file", OSError):
        return path.read_bytes()


def _unpack(data: bytes, packing: str, name: str) -> bytes:
    openers: dict[str, Callable[..., Any]] = {"gz": gzip.open, "bz2": bz2.open, "zip": partial(_only_member, name)}
    out = io.BytesIO()
    with refusing(f"{name}: damaged or truncated {packing} data", "all", *DAMAGE):
        unpacked = _xz(data) if packing == "xz" else iter(partial(openers[packing](io.BytesIO(data)).read, CHUNK), b"")
        for piece in unpacked:
            out.write(piece)
            _check_size(out.tell(), len(data), name)
    return out.getvalue()


def _check_size(size: int, packed: int, name: str) -> None:
    """Refuse what grows beyond the limits."""
    if size > MAX_BYTES or (size > FREE_BYTES and size > MAX_RATIO * packed):
        grown = f"{packed} compressed bytes grow beyond {size} (a decompression bomb?)"
        raise ReadError(f"{name}: {grown}; expected at most {MAX_BYTES} and {MAX_RATIO} times as many.")


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


def _members(data: bytes, name: str) -> dict[str, int]:
    """Files in a zip, with their sizes once unpacked (of which zipfile reads no more), but for what macOS adds."""
    with refusing(f"{name}: damaged or truncated zip data", "all", *DAMAGE):
        members = zipfile.ZipFile(io.BytesIO(data)).infolist()
    for member in members:
        written = member.orig_filename.replace("\\", "/")  # zipfile tidies what filename says
        if written.startswith("/") or ".." in written.split("/") or written[1:2] == ":":
            raise ReadError(f"{name}: the zip holds {short(written)!r}, a path outside; expected plain files.")
        expect(not member.flag_bits & 1, f"{name}: the zip is encrypted; expected files without a password")
    added = ("__MACOSX/", "/", ".DS_Store")
    return {m.filename: m.file_size for m in members if not m.filename.startswith(added[0])
            and not m.filename.endswith(added[1:])}  # fmt: skip


def _only_member(name: str, data: io.BytesIO) -> IO[bytes]:
    names = list(_members(data.getvalue(), name))
    expect(not OFFICE & set(names), f"{name}: this is an office document; expected a table saved as CSV or .xlsx")
    listed = ", ".join(short(n, 30) for n in names[:4]) or "none"
    expect(len(names) == 1, f"{name}: the zip holds {len(names)} files ({listed}); expected exactly one")
    return zipfile.ZipFile(data).open(names[0])


def _kind(data: bytes, name: str) -> str:
    """Tell binary tables from text, and say what a file is that holds no counts."""
    if b"\x89HDF\r\n\x1a\n" in (data[:8], data[512:520]):  # or behind 512 bytes that HDF5 leaves to the writer
        return "hdf5"
    if data.startswith(b"PAR1"):
        return "parquet"
    if re.match(R_DATA, data):
        return "rdata"
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    what = next((what for what, pattern in FOREIGN.items() if re.match(pattern, start)), "")
    expect(not what, f"{name}: this is {what}; expected a table of counts (CSV, TSV, parquet or .h5ad)")
    return "text"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Where to write a file or folder: in a folder that nobody else can guess or enter; moved to `path` at the end."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".srna-") as folder:
            whole = Path(folder, "whole")
            yield whole
            os.replace(whole, path)
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"{path}: cannot be written ({why}); expected free space and a writable folder.") from error


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all."""
    with written_whole(path) as whole:
        whole.write_bytes(content.encode() if isinstance(content, str) else content)


def short(text: str, length: int = 60) -> str:
    """One printable line of bounded length, fit for a sentence."""
    line = "".join(c if c.isprintable() else "?" for c in text)
    return line if len(line) <= length else line[: length - 3] + "..."
