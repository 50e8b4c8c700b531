"""``.h5ad`` files: looked through link by link before anything is read, never executed; and written."""

from __future__ import annotations

import hashlib
import io
import math
import re
import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from srna_lib.data import check_atlas
from srna_lib.errors import InputError, ReadError
from srna_lib.io.tables import MAX_CELLS, annotate, check_names, share_of_srnas
from srna_lib.io.tools import Parsed
from srna_lib.io.unpack import MAX_BYTES, short

MAX_OBJECTS = 100_000
MAX_DEPTH = 40
PICKLE = re.compile(rb"\x80[\x02-\x05].*\.", re.DOTALL)


def h5ad(data: bytes, name: str) -> Parsed:
    """AnnData file: samples in ``obs``, sRNAs in ``var``, counts in ``X`` or ``layers["counts"]``.

    The layout is that of anndata 0.8 and later (``anndata/docs/fileformat-prose.md``: attributes ``encoding-type`` and
    ``encoding-version``). Before anndata reads it, every link and dataset is looked at: files with external or
    soft links, data kept in other files, virtual datasets, references, opaque, compound or object payloads, or
    pickled bytes are refused.

    Parameters
    ----------
    data : bytes
        Content of the file.
    name : str
        The file.

    Returns
    -------
    Parsed
        ``info`` is ``uns["srna"]`` where the file is one of our own.

    Raises
    ------
    ReadError
        Not AnnData, damaged, too large, or with any of the above.
    """
    try:
        # one handle for the look and for the reading, so that nothing can be exchanged in between
        with h5py.File(io.BytesIO(data), "r") as file:
            _inspect(file, name)
            _looks_like_anndata(file, name)
            return _read(file, name)
    except ReadError:
        raise
    except Exception as error:  # h5py and anndata raise whatever a damaged file leads to
        raise ReadError(
            f"{name}: damaged or unknown .h5ad content ({type(error).__name__}: {short(str(error))}); expected a file"
            " written by anndata 0.8 or later."
        ) from error


def check_file(path: Path) -> None:
    """Look through an ``.h5ad`` file before anything reads it.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ReadError
        No HDF5, no AnnData, or a payload that could run code or reach outside the file (pickles, objects, links).
    """
    try:
        with h5py.File(path, "r") as file:
            _inspect(file, str(path))
            _looks_like_anndata(file, str(path))
    except ReadError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise ReadError(f"{path}: this is no readable AnnData file ({reason}); expected .h5ad.") from error


def _inspect(file: h5py.File, name: str) -> None:
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
            _check_type(node.attrs.get_id(key).dtype, f"{path or '/'} (attribute {short(key, 30)})", name)
        if isinstance(node, h5py.Dataset):
            total += _check_dataset(node, path, name)
            if total > MAX_BYTES:
                raise ReadError(f"{name}: its arrays unfold to more than {MAX_BYTES} bytes; expected a smaller file.")
        elif isinstance(node, h5py.Group):
            for key in node:
                link = node.get(key, getlink=True)
                where = f"{path}/{short(key, 40)}"
                if not isinstance(link, h5py.HardLink):
                    raise ReadError(
                        f"{name}: {where} is a {type(link).__name__} (to {short(str(link.path), 40)!r}); expected an"
                        " AnnData file without links, which holds all its data itself."
                    )
                waiting.append((where, node[key], depth + 1))
        else:
            raise ReadError(f"{name}: {path} is a stored type; expected groups and arrays only.")


def _check_dataset(node: h5py.Dataset, path: str, name: str) -> int:
    if node.is_virtual or node.external:
        raise ReadError(f"{name}: {path} keeps its data in another file; expected a file that holds all its data.")
    _check_type(node.dtype, path, name)
    size = math.prod(node.shape or ()) * node.dtype.itemsize
    if size > MAX_BYTES:
        raise ReadError(f"{name}: {path} unfolds to {size} bytes; expected at most {MAX_BYTES}.")
    if node.shape is not None and node.dtype.kind in "SOu" and 0 < size <= MAX_BYTES:
        raw = node[()] if node.ndim == 0 else node[: 2**16] if node.dtype == np.uint8 and node.ndim == 1 else b""
        start = raw.tobytes() if isinstance(raw, np.ndarray) else raw if isinstance(raw, bytes) else b""
        if PICKLE.match(start):
            raise ReadError(f"{name}: {path} holds a pickled Python object; expected numbers and text only.")
    return size


def _check_type(dtype: np.dtype, path: str, name: str) -> None:
    if h5py.check_string_dtype(dtype) is not None or h5py.check_enum_dtype(dtype) is not None:
        return
    if dtype.kind in "biufSc":
        return
    kinds = {"O": "object", "V": "opaque or compound", "M": "opaque", "m": "opaque"}
    raise ReadError(
        f"{name}: {path} holds {kinds.get(dtype.kind, 'unknown')} data, which may be a pickled Python object; expected"
        " numbers and text only, as anndata writes them."
    )


def _looks_like_anndata(file: h5py.File, name: str) -> None:
    if file.attrs.get("encoding-type") != "anndata" or not {"X", "obs", "var"} <= set(file):
        listed = ", ".join(short(k, 20) for k in list(file)[:6]) or "nothing"
        raise ReadError(f"{name}: this HDF5 file holds {listed} and is no AnnData; expected X, obs and var.")
    for key in ("X", "obs", "var"):
        if "encoding-type" not in file[key].attrs:
            raise ReadError(
                f"{name}: {key} says nothing of its encoding (anndata before 0.8 wrote so); expected the file written"
                " again by anndata 0.8 or later."
            )


def _read(file: h5py.File, name: str) -> Parsed:
    import anndata as ad

    obs, var = ad.io.read_elem(file["obs"]), ad.io.read_elem(file["var"])
    if not isinstance(obs, pd.DataFrame) or not isinstance(var, pd.DataFrame):
        raise ReadError(f"{name}: obs or var is no table; expected the tables of an AnnData file.")
    if len(obs) * len(var) > MAX_CELLS:
        raise ReadError(f"{name}: {len(obs)} samples x {len(var)} sRNAs; expected at most {MAX_CELLS} cells.")
    values, notes = _dense(file["X"], ad), []
    layers = file.get("layers", {})
    if "counts" in layers and not _whole(values):
        values = _dense(layers["counts"], ad)
        notes.append("X is normalised: layers['counts'] taken")
    if values.shape != (len(obs), len(var)):
        raise ReadError(
            f"{name}: X is {values.shape} where obs and var have {(len(obs), len(var))}; expected them alike."
        )
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
    if "biotype" not in var:
        guessed = annotate(counts)
        var = var.drop(columns=[c for c in guessed if c in var]).join(guessed)
    info: Any = ad.io.read_elem(file["uns/srna"]) if "uns/srna" in file else {}
    info = info if isinstance(info, dict) else {}
    normalised = ""
    if str(info.get("quantity", "counts")) != "counts":
        normalised = f"uns['srna']['quantity'] says {short(str(info['quantity']), 20)!r}"
    return Parsed(counts, obs=obs, var=var, notes=notes, normalised=normalised, info=info)


def _dense(node: Any, ad: Any) -> np.ndarray:
    values = ad.io.read_elem(node)
    return np.asarray(values.toarray() if sp.issparse(values) else values, dtype=np.float64)


def _whole(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all() and (values >= 0).all() and (values == np.floor(values)).all())


def write_h5ad(adata: Any, out: Path) -> None:
    """Write an atlas beside its place, then rename it, so that nobody finds half a file.

    Parameters
    ----------
    adata : AnnData
        The atlas.
    out : Path
        Target; missing folders are made, an existing file is replaced.
    """
    import os

    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".part")
    try:
        adata.write_h5ad(partial, compression="gzip")
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)


def load_file(path: Path | str) -> ad.AnnData:
    """Read an atlas of your own and hold it against the contract.

    Parameters
    ----------
    path : path
        An ``.h5ad`` file with raw counts in ``X`` and ``dataset_id`` in ``obs``.

    Returns
    -------
    AnnData, shape (n_samples, n_srnas)
        Checked; what the file does not say of itself (title, citation, licence, biotype) is filled with "not
        stated", or for the biotype with ``miRNA`` where the name says so and ``other`` elsewhere.

    Raises
    ------
    InputError
        No such file, no AnnData file, or what `atlas.check_atlas` refuses.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; expected an atlas (.h5ad) or the name of a data set.")
    check_file(path)
    try:
        with warnings.catch_warnings():
            # check_atlas refuses them, with a sentence
            warnings.filterwarnings("ignore", message=".*names are not unique")
            atlas = ad.read_h5ad(path)
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: this is no readable AnnData file ({reason}); expected .h5ad.") from error
    if atlas.X is None:
        raise InputError(f"{path}: X is missing; expected raw counts, samples x sRNAs.")
    sources = pd.DataFrame({"url": [path.name], "sha256": [hashlib.sha256(path.read_bytes()).hexdigest()]})
    stated = {k: v for k, v in dict(atlas.uns.get("srna", {})).items() if k != "sources"}
    filled = dict.fromkeys(("citation", "licence"), "not stated")
    about = {"title": path.stem, "simulated": False, **filled, **stated, "name": path.stem, "sources": sources}
    about["simulated"] = bool(about["simulated"])
    atlas.uns["srna"] = about
    if "biotype" not in atlas.var:
        mirna = atlas.var_names.str.contains(r"miR-|mir-|let-", regex=True)
        atlas.var["biotype"] = np.where(mirna, "miRNA", "other")
    return check_atlas(atlas, source=str(path))
