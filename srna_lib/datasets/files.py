"""Files of data sets: cache, mirror and network, verified by SHA-256; parsed atlases kept on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import urllib.error
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.data import check_atlas
from srna_lib.errors import InputError

RAW = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"


def cache_dir() -> Path:
    """Folder of downloaded files: ``SRNA_DATA_DIR``, else ``data`` of the checkout, else the user's cache."""
    if "SRNA_DATA_DIR" in os.environ:
        return Path(os.environ["SRNA_DATA_DIR"])
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").exists():
        return checkout / "data"
    import pooch

    return Path(pooch.os_cache("srna_lib"))


def cached_file(name: str, file: dict[str, Any]) -> Path:
    """Place of a file in the cache; one of an atlas of several data sets is shared with its own."""
    return cache_dir() / file.get("dataset", name) / file["sha256"][:12] / Path(file["path"]).name


def mirrored_file(file: dict[str, Any]) -> Path | None:
    """Place of a file in the mirror that ``SRNA_DATA_MIRROR`` names; None without a mirror."""
    mirror = os.environ.get("SRNA_DATA_MIRROR")
    return Path(mirror) / file["repository"] / file["commit"] / file["path"] if mirror else None


def fetch_file(name: str, file: dict[str, Any]) -> Path:
    """Bring one file into the cache, from the mirror or the network, and verify it.

    Parameters
    ----------
    name : str
        Data set that asks for it: its folder, and its name in messages.
    file : dict
        Entry of the registry: ``repository, commit, path, bytes, sha256`` and, where another data set shares it,
        ``dataset``.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        As in `datasets.fetch`.
    """
    target = cached_file(name, file)
    if target.exists():
        found = _sha256(target)
        if found == file["sha256"]:
            return target
        target.unlink()
        raise InputError(
            f"{target}: the cached file of {name!r} is damaged (SHA-256 {found[:12]}..., expected"
            f" {file['sha256'][:12]}...) and was removed; run the command again to fetch it afresh."
        )
    partial = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        source = _bring(name, file, partial)
        found = _sha256(partial)
        if found != file["sha256"]:
            raise InputError(
                f"{source}: wrong SHA-256 for {name!r} ({found[:12]}..., {partial.stat().st_size} bytes; expected"
                f" {file['sha256'][:12]}..., {file['bytes']} bytes); the file was not kept."
            )
        os.replace(partial, target)
    except OSError as error:
        raise InputError(
            f"{target.parent}: the cache folder cannot be written ({error.strerror or error});"
            " expected a writable folder (set SRNA_DATA_DIR)."
        ) from error
    finally:
        if partial.exists():
            partial.unlink()
    return target


def _bring(name: str, file: dict[str, Any], partial: Path) -> str:
    """Copy a file from the mirror, or download it, to a temporary name; return where it came from."""
    url = RAW.format(**file)
    copy = mirrored_file(file)
    if copy is not None and copy.is_file():
        shutil.copyfile(copy, partial)
        return str(copy)
    import pooch
    import requests

    try:
        pooch.HTTPDownloader(progressbar=False, timeout=30)(url, str(partial), None)
    except (requests.RequestException, urllib.error.URLError, ValueError) as error:
        where = f"the mirror {os.environ['SRNA_DATA_MIRROR']!r} does not hold it and " if copy else ""
        raise InputError(
            f"{name!r}: {where}the download of {url} failed ({type(error).__name__}); expected a network"
            " connection, or SRNA_DATA_MIRROR set to a folder with the file (the data set 'demo' needs neither)."
        ) from error
    return url


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


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
