"""``.h5ad`` files: every link, type, size and index is looked at before use, and nothing in them is executed."""

from __future__ import annotations

import hashlib
import io
import math
import re
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from srna_lib.errors import ReadError
from srna_lib.io.tables import MAX_CELLS, MAX_COLUMNS, annotate, check_names, check_srnas, share_of_srnas
from srna_lib.io.tools import Parsed, name_isomirs, sum_isomirs
from srna_lib.io.unpack import MAX_BYTES, expect, refusing, short, write_file

MAX_OBJECTS = 100_000
MAX_DEPTH = 40
TEXT_BYTES = 64  # of a Python string in an array; the file says 16
PICKLE = re.compile(rb"\x80[\x02-\x05].*\.", re.DOTALL)
SEAL, SEALED = b"srna sha256 ", 512  # HDF5 leaves the first 512 bytes to whoever writes; names have no other checksum
OPAQUE = {"O": "object", "V": "opaque or compound", "M": "opaque", "m": "opaque"}


def parse_h5ad(data: bytes, name: str) -> Parsed:
    """AnnData of version 0.8 or later: samples in ``obs``, counts in ``X`` or ``layers["counts"]``."""
    # Links, data in other files, objects and pickles are refused before anything is read. info is uns["srna"].
    # h5py and anndata raise whatever a damaged file leads to; one handle for the look and for the reading, so that
    # nothing can be exchanged in between
    if data.startswith(SEAL):
        whole = data[len(SEAL) :].startswith(hashlib.sha256(data[SEALED:]).hexdigest().encode())
        expect(whole, f"{name}: damaged, or changed in place since srna wrote it (checksum); expected it as written")
    unknown = refusing(f"{name}: damaged or unknown .h5ad content", "anndata 0.8 or later", Exception)
    with unknown, h5py.File(io.BytesIO(data), "r") as file:
        _inspect(file, name)
        return _read(file, name)


def _inspect(file: h5py.File, name: str) -> None:
    """Walk through all links, types and sizes."""
    total, seen, waiting = 0, set(), [("", file, 0)]
    while waiting:
        path, node, depth = waiting.pop()
        address = h5py.h5o.get_info(node.id).addr
        if address in seen:
            continue
        seen.add(address)
        if len(seen) > MAX_OBJECTS or depth > MAX_DEPTH:
            raise ReadError(f"{name}: more than {MAX_OBJECTS} objects or {MAX_DEPTH} levels; expected an AnnData file.")
        for key in node.attrs:
            _check_type(node.attrs.get_id(key), f"{path or '/'} (attribute {short(key, 30)})", name)
        if isinstance(node, h5py.Dataset):
            total += _check_dataset(node, path, name)
            if total > MAX_BYTES:
                raise ReadError(f"{name}: its arrays unfold to more than {MAX_BYTES} bytes; expected a smaller file.")
        elif isinstance(node, h5py.Group):
            for key in node:
                where, kind = f"{path}/{short(key, 40)}", type(node.get(key, getlink=True)).__name__
                expect(kind == "HardLink", f"{name}: {where} is a {kind}; expected a file without links")
                waiting.append((where, node[key], depth + 1))
        else:
            raise ReadError(f"{name}: {path} is a stored type; expected groups and arrays only.")


def _check_dataset(node: h5py.Dataset, path: str, name: str) -> int:
    """Bytes that an array takes in memory, all of which must be stored in this file."""
    if node.is_virtual or node.external:
        raise ReadError(f"{name}: {path} keeps its data in another file; expected a file that holds all its data.")
    _check_type(node.id, path, name)
    is_text = h5py.check_string_dtype(node.dtype) is not None
    shape = (0,) if node.shape is None else node.shape
    size = math.prod(shape) * max(node.dtype.itemsize, TEXT_BYTES if is_text else 1)
    expect(size <= MAX_BYTES, f"{name}: {path} unfolds to {size} bytes; expected at most {MAX_BYTES}")
    if size:
        wanted = math.prod(-(-n // c) for n, c in zip(node.shape, node.chunks, strict=True)) if node.chunks else 1
        stored = node.id.get_num_chunks() if node.chunks else int(node.id.get_storage_size() > 0)
        expect(stored == wanted, f"{name}: {path} has {stored} of {wanted} stored pieces; expected a whole file")
    if size and node.dtype.kind in "SOu":
        raw = node[()] if node.ndim == 0 else node[: 2**16] if node.dtype == np.uint8 and node.ndim == 1 else b""
        start = raw.tobytes() if isinstance(raw, np.ndarray) else raw if isinstance(raw, bytes) else b""
        expect(not PICKLE.match(start), f"{name}: {path} holds a pickled Python object; expected numbers and text only")
    return size


def _check_type(node: Any, path: str, name: str) -> None:
    """Let numbers and text pass, in the forms that numpy has."""
    dtype = node.dtype
    if h5py.check_string_dtype(dtype) is not None or h5py.check_enum_dtype(dtype) is not None:
        return
    if dtype.kind not in "biufSc":
        kind = OPAQUE.get(dtype.kind, "unknown")
        raise ReadError(f"{name}: {path} holds {kind} data, perhaps a pickle; expected numbers and text only.")
    if not node.get_type().equal(h5py.h5t.py_create(dtype)):
        raise ReadError(f"{name}: {path} holds numbers of no usual form; expected integers or IEEE 754 floats.")


def _read(file: h5py.File, name: str) -> Parsed:
    if file.attrs.get("encoding-type") != "anndata" or not {"X", "obs", "var"} <= set(file):
        listed = ", ".join(short(k, 20) for k in list(file)[:6]) or "nothing"
        raise ReadError(f"{name}: this HDF5 file holds {listed} and is no AnnData; expected X, obs and var.")
    for key in ("X", "obs", "var"):
        if "encoding-type" not in file[key].attrs:
            raise ReadError(f"{name}: {key} says nothing of its encoding; expected anndata 0.8 or later.")
    shape = (_length(file["obs"], "obs", name), _length(file["var"], "var", name))
    if math.prod(shape) > MAX_CELLS:
        raise ReadError(f"{name}: {shape[0]} samples x {shape[1]} sRNAs; expected at most {MAX_CELLS} cells.")
    obs, var = ad.io.read_elem(file["obs"]), ad.io.read_elem(file["var"])
    values, notes = _matrix(file["X"], shape, f"{name}: X"), []
    if "layers/counts" in file and not _whole(values):
        values = _matrix(file["layers/counts"], shape, f"{name}: layers['counts']")
        notes.append("X is normalised: layers['counts'] taken")
    obs.index, var.index = obs.index.astype(str), var.index.astype(str)
    if share_of_srnas(list(obs.index)) > share_of_srnas(list(var.index)):
        notes.append("sRNAs stood in obs: turned round")
        obs, var, values = var, obs, values.T
    check_names(list(obs.index), "sample", name)
    check_names(list(var.index), "sRNA", name)
    if not var.index.is_unique:
        twice = var.index[var.index.duplicated()][0]
        raise ReadError(f"{name}: var repeats the name {short(twice, 40)!r}; expected each sRNA once.")
    counts = pd.DataFrame(values, index=obs.index, columns=var.index)
    if name_isomirs(list(var.index)):
        counts = sum_isomirs(counts.T, notes).T
        var = pd.DataFrame(index=counts.columns)
    if "biotype" not in var:
        check_srnas(list(var.index), name, "sRNAs such as hsa-miR-21-5p in var, or their kind in var['biotype']")
        guessed = annotate(counts)
        var = var.drop(columns=[c for c in guessed if c in var]).join(guessed)
    info = _info(file["uns/srna"]) if "uns/srna" in file else {}
    stated = info.get("quantity", "counts")
    normalised = "" if stated == "counts" else f"uns['srna']['quantity'] says {short(str(stated), 20)!r}"
    return Parsed(counts, obs=obs, var=var, notes=notes, normalised=normalised, info=info)


def _length(group: h5py.Group, axis: str, name: str) -> int:
    """Rows of obs or var, the same in each column, before any of them is read."""
    if not isinstance(group, h5py.Group) or group.attrs["encoding-type"] != "dataframe":
        raise ReadError(f"{name}: {axis} is no table; expected the tables of an AnnData file.")
    columns = {key: group[key] for key in [group.attrs["_index"], *group.attrs["column-order"]]}
    arrays = {key: c if isinstance(c, h5py.Dataset) else c.get("codes", c.get("values")) for key, c in columns.items()}
    shapes = {None if array is None else array.shape for array in arrays.values()}
    shape = shapes.pop()
    if shapes or shape is None or len(shape) != 1 or shape[0] > MAX_COLUMNS:
        raise ReadError(f"{name}: columns of {axis} are no lists of one length; expected at most {MAX_COLUMNS} values.")
    return int(shape[0])


def _info(group: h5py.Group) -> dict[str, Any]:
    """What ``uns["srna"]`` says; matrices do not belong there and are not read."""
    members = group.items() if isinstance(group, h5py.Group) else ()
    return {key: ad.io.read_elem(node) for key, node in members if "matrix" not in node.attrs.get("encoding-type", "")}


def _matrix(node: h5py.Group | h5py.Dataset, shape: tuple[int, int], what: str) -> np.ndarray:
    """Dense values of an array or sparse group, after the full check of the format that scipy leaves out."""
    kind = node.attrs.get("encoding-type")
    if kind == "array" and isinstance(node, h5py.Dataset):
        expect(node.shape == shape, f"{what} is {node.shape} where obs and var have {shape}; expected them alike")
        expect(node.dtype.kind in "biuf", f"{what} holds text; expected numbers")
        return node[()].astype(np.float64)
    known = kind in ("csr_matrix", "csc_matrix") and isinstance(node, h5py.Group)
    encoding = f"the damaged or unknown encoding {short(str(kind), 30)!r}"
    expect(known, f"{what} has {encoding}; expected an array, CSR or CSC")
    stated = tuple(int(n) for n in node.attrs["shape"])
    expect(stated == shape, f"{what} is {stated} where obs and var have {shape}; expected them alike")
    arrays = data, indices, indptr = node["data"], node["indices"], node["indptr"]
    major, minor = shape if kind == "csr_matrix" else shape[::-1]
    whole = all(a.ndim == 1 for a in arrays) and data.shape == indices.shape and indptr.shape == (major + 1,)
    expect(whole, f"{what} has data, indices and indptr of lengths that do not fit; expected a sparse matrix")
    kinds = data.dtype.kind in "biuf" and indices.dtype.kind in "iu" and indptr.dtype.kind in "iu"
    expect(kinds, f"{what} has data or indices of the wrong type; expected numbers and whole numbers")
    values, places, starts = data[()].astype(np.float64), indices[()].astype(np.int64), indptr[()].astype(np.int64)
    steps = np.diff(starts)
    ends = starts[0] == 0 and starts[-1] == len(values) and (steps >= 0).all()
    expect(ends, f"{what} has an indptr that does not rise from 0 to {len(values)}; expected a sparse matrix")
    inside = ((places >= 0) & (places < minor)).all()
    expect(inside, f"{what} has indices outside 0 to {minor - 1}; expected a sparse matrix")
    matrix = (sp.csr_matrix if kind == "csr_matrix" else sp.csc_matrix)((values, places, starts), shape=shape)
    if not matrix.has_canonical_format:
        rows = np.repeat(np.arange(major), steps)
        twice = len(np.unique(rows * minor + places)) < len(places)
        expect(not twice, f"{what} gives a cell twice; expected each once")
        # an order that differs between rows is refused, too: a damaged indptr moves reads to a neighbour so
        within = rows[1:] == rows[:-1]
        follows = sp.coo_matrix((within, (places[:-1], places[1:])), shape=(minor, minor)).tocsr()
        follows.eliminate_zeros()
        n, _ = connected_components(follows, connection="strong")
        expect(n == minor, f"{what} has its indices in an order that differs between rows; expected sorted indices")
    return matrix.toarray()


def _whole(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all() and (values >= 0).all() and (values == np.floor(values)).all())


def write_h5ad(adata: ad.AnnData, out: Path) -> None:
    """Write an atlas whole or not at all, with a checksum in front by which `read` notices any change."""
    with refusing(f"{out}: cannot be written", "values that .h5ad can hold", TypeError, ValueError, KeyError):
        content = h5ad_bytes(adata, "gzip", SEALED)[SEALED:]
    write_file(out, (SEAL + hashlib.sha256(content).hexdigest().encode()).ljust(SEALED, b"\n") + content)


def h5ad_bytes(adata: ad.AnnData, compression: str, free: int = 0) -> bytes:
    """An ``.h5ad`` file, made in memory: on a full disk HDF5 says many things and may leave a damaged file.

    Its first `free` bytes (512 or none) are left blank.
    """
    buffer = io.BytesIO()
    adata.strings_to_categoricals()
    with h5py.File(buffer, "w", userblock_size=free) as file:
        ad.io.write_elem(file, "/", adata, dataset_kwargs={"compression": compression})
        if adata.raw is None:
            del file["raw"]  # what stands there for nothing is unknown to anndata before 0.11
    return buffer.getvalue()
