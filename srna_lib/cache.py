"""Parsed atlases on disk: a file that proves its own content, found again only for the same input and code."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.atlas import check_atlas

PACKAGES = ("anndata", "pandas", "pyreadr", "rdata")  # what shapes a parsed atlas besides our own code
log = logging.getLogger(__name__)


def digest(parts: Any, sources: Iterable[Path] = ()) -> str:
    """Sixteen characters that change with `parts`, the text of the source files or a package version."""
    texts = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sources]
    versions = [_version(name) for name in PACKAGES]
    return hashlib.sha256(json.dumps([parts, texts, versions]).encode()).hexdigest()[:16]


def stored(folder: Path, variant: str, key: str) -> list[Path]:
    """Files of this variant and key; more than one only when two processes wrote at once."""
    return sorted(folder.glob(f"{variant}-{key}-*.h5ad"))


def cached(folder: Path, variant: str, key: str, info: dict[str, Any], parse: Callable[[], ad.AnnData]) -> ad.AnnData:
    """Read a parsed atlas, or parse it and keep it for the next time.

    The name of the file ends in a hash of its content, so that a damaged one is recognised: it is removed with a
    word in the log and parsed anew. A file of the same variant and another key is outdated and removed when the new
    one is in place. Where the folder cannot be written, the parsed atlas is returned all the same.

    Parameters
    ----------
    folder : path
        Where the files lie.
    variant : str
        What was asked for (the options of the parser); no hyphen.
    key : str
        `digest` of everything that the atlas depends on.
    info : dict
        What stands in ``uns["srna"]``; entries that the parser added are kept.
    parse : callable
        Called without arguments when there is no good file.

    Returns
    -------
    AnnData
        The same from file and from parser: text is object, unknown is NaN.
    """
    for path in stored(folder, variant, key):
        if _hash(path) == path.stem.rpartition("-")[2]:
            return _read(path, info)
        log.warning("%s: the parsed atlas is damaged and was removed; the source files are parsed again.", path)
        path.unlink(missing_ok=True)
    atlas = parse()
    try:
        written = _write(atlas, folder, variant, key)
    except OSError as error:
        log.warning("%s: the parsed atlas cannot be kept (%s); the next load parses again.", folder, error)
        return atlas
    for path in folder.glob(f"{variant}-*.h5ad"):
        if not path.name.startswith(f"{variant}-{key}-"):
            path.unlink(missing_ok=True)
    del atlas
    return _read(written, info)


def _write(atlas: ad.AnnData, folder: Path, variant: str, key: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{variant}-{os.getpid()}.part"
    try:
        # text columns become categories on the way, in a shallow copy, so that `atlas` stays as it is
        ad.AnnData(X=atlas.X, obs=atlas.obs.copy(), var=atlas.var.copy(), uns=dict(atlas.uns)).write_h5ad(
            partial, compression="lzf"
        )
        target = folder / f"{variant}-{key}-{_hash(partial)}.h5ad"
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def _read(path: Path, info: dict[str, Any]) -> ad.AnnData:
    atlas = ad.read_h5ad(path)
    for frame in (atlas.obs, atlas.var):
        for column in frame.select_dtypes("category"):
            values = frame[column].astype(object)
            frame[column] = values.where(values.notna(), np.nan)
    added = {k: v.item() if isinstance(v, np.generic) else v for k, v in atlas.uns["srna"].items() if k not in info}
    for value in added.values():
        if isinstance(value, pd.DataFrame):
            value.index = pd.RangeIndex(len(value))
            for column in value.select_dtypes("category"):
                value[column] = value[column].astype(object)
    atlas.uns["srna"] = {**info, **added}
    return check_atlas(atlas)


def _hash(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"
