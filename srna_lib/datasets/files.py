"""Files of data sets: cache, mirror and network, verified by SHA-256; parsed atlases kept on disk."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pooch

from srna_lib.data import check_atlas
from srna_lib.errors import InputError
from srna_lib.io import h5ad_bytes, write_file

RAW = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"
PACKAGES = ("anndata", "pandas", "pyreadr", "rdata")  # what shapes a parsed atlas besides our own code
log = logging.getLogger(__name__)


def cache_dir() -> Path:
    """Folder of downloaded files: ``SRNA_DATA_DIR``, else ``data`` of the checkout, else the user's cache."""
    if os.environ.get("SRNA_DATA_DIR"):
        return Path(os.environ["SRNA_DATA_DIR"])
    checkout = Path(__file__).resolve().parents[2]
    return checkout / "data" if (checkout / "pyproject.toml").exists() else Path(pooch.os_cache("srna_lib"))


def cached_file(name: str, file: dict[str, Any]) -> Path:
    """Place of a file in the cache; one of an atlas of several data sets is shared with its own."""
    return cache_dir() / file.get("dataset", name) / file["sha256"][:12] / Path(file["path"]).name


def mirrored_file(file: dict[str, Any]) -> Path | None:
    """Place of a file in the mirror that ``SRNA_DATA_MIRROR`` names, where the mirror holds it."""
    mirror = os.environ.get("SRNA_DATA_MIRROR")
    copy = Path(mirror or ".") / file["repository"] / file["commit"] / file["path"]
    return copy if mirror and copy.is_file() else None


def fetch_file(name: str, file: dict[str, Any]) -> Path:
    """Bring one file of the registry into the cache, from the mirror or the network, and verify it."""
    # pooch downloads to a name of its own and renames what it has verified, so that fetches at the same time do no
    # harm; a damaged file in the cache is fetched afresh
    import requests

    target, copy, url = cached_file(name, file), mirrored_file(file), RAW.format(**file)

    def bring(url: str, output: str, manager: pooch.Pooch) -> None:
        if copy:
            shutil.copyfile(copy, output)
        else:
            pooch.HTTPDownloader(progressbar=False, timeout=30)(url, output, manager)

    pooch.get_logger().setLevel("WARNING")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(pooch.retrieve(url, file["sha256"], target.name, target.parent, downloader=bring))
    except requests.RequestException as error:  # an OSError, too
        mirror = os.environ.get("SRNA_DATA_MIRROR")
        where = f"the mirror {mirror!r} does not hold it and " if mirror else ""
        failed = f"{name!r}: {where}the download of {url} failed ({type(error).__name__})"
        ways = "a network connection, or SRNA_DATA_MIRROR set to a folder with the file"
        raise InputError(f"{failed}; expected {ways} (the data set 'demo' needs neither).") from error
    except ValueError as error:
        stated = f"expected {file['sha256'][:12]}..., {file['bytes']} bytes"
        raise InputError(f"{copy or url}: wrong SHA-256 for {name!r} ({stated}); the file was not kept.") from error
    except OSError as error:
        unwritten = f"{target.parent}: the cache folder cannot be written ({error.strerror or error})"
        raise InputError(f"{unwritten}; expected a writable folder (set SRNA_DATA_DIR).") from error


def digest(parts: Any, sources: Iterable[Path] = ()) -> str:
    """Sixteen characters that change with `parts`, the text of the source files or a package version."""
    texts = [pooch.file_hash(str(path)) for path in sources]
    versions = [metadata.version(name) for name in PACKAGES]
    return hashlib.sha256(json.dumps([parts, texts, versions]).encode()).hexdigest()[:16]


def stored(folder: Path, variant: str, key: str) -> list[Path]:
    """Files of this variant, key and user; more than one only when two processes wrote at once."""
    return sorted(folder.glob(f"{variant}-{key}-{_owner()}-*.h5ad"))


def _owner() -> str:
    """What tells this user's files from those of others in the same folder."""
    return hashlib.sha256(_secret()).hexdigest()[:8]


@cache
def _secret() -> bytes:
    """Key of this user outside the folder of data, made when first asked for; empty where none can be kept."""
    path = Path(f"{pooch.os_cache('srna_lib')}.key")
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent) as file:  # only its owner may read it
                file.write(secrets.token_bytes(32))
                file.flush()
                with suppress(FileExistsError):  # a process beside this one was first
                    os.link(file.name, path)
        return path.read_bytes()
    except OSError as error:
        log.warning("%s: cannot be kept (%s), so parsed atlases are held against their own content only.", path, error)
        return b""


def _seal(content: bytes, variant: str, key: str) -> str:
    """Checksum of a parsed atlas and of what it was parsed from that only this user can make."""
    return hmac.new(_secret(), f"{variant}-{key}-".encode() + content, hashlib.sha256).hexdigest()[:32]


def cached(folder: Path, variant: str, key: str, info: dict[str, Any], parse: Callable[[], ad.AnnData]) -> ad.AnnData:
    """Read the parsed atlas of a variant (options) and key (`digest` of all it depends on), or parse and keep it."""
    # The name of the file ends in a checksum that only this user can make, so that one that is damaged, of another
    # source or made by others is recognised, removed and parsed anew. Files of the same variant and another key are
    # outdated and removed. Where the folder cannot be written, the parsed atlas is returned all the same.
    for path in stored(folder, variant, key):
        if hmac.compare_digest(_seal(path.read_bytes(), variant, key), path.stem.rpartition("-")[2]):
            return _read(path, info)
        log.warning("%s: the parsed atlas is damaged and was removed; the source files are parsed again.", path)
        path.unlink(missing_ok=True)
    atlas = parse()
    try:
        written = _write(atlas, folder, variant, key)
    except InputError as error:
        log.warning("%s: the parsed atlas cannot be kept; the next load parses again (%s)", folder, error)
        return atlas
    for path in set(folder.glob(f"{variant}-*.h5ad")) - set(folder.glob(f"{variant}-{key}-*.h5ad")):
        path.unlink(missing_ok=True)
    del atlas
    return _read(written, info)


def _write(atlas: ad.AnnData, folder: Path, variant: str, key: str) -> Path:
    # text columns become categories on the way, in a shallow copy, so that `atlas` stays as it is
    copy = ad.AnnData(X=atlas.X, obs=atlas.obs.copy(), var=atlas.var.copy(), uns=dict(atlas.uns))
    content = h5ad_bytes(copy, "lzf")
    target = folder / f"{variant}-{key}-{_owner()}-{_seal(content, variant, key)}.h5ad"
    write_file(target, content)
    return target


def _read(path: Path, info: dict[str, Any]) -> ad.AnnData:
    atlas = ad.read_h5ad(path)
    added = {k: v.item() if isinstance(v, np.generic) else v for k, v in atlas.uns["srna"].items() if k not in info}
    tables = [value for value in added.values() if isinstance(value, pd.DataFrame)]
    for table in tables:
        table.index = pd.RangeIndex(len(table))
    for table in (atlas.obs, atlas.var, *tables):
        for column in table.select_dtypes("category"):
            values = table[column].astype(object)
            table[column] = values.where(values.notna(), np.nan)
    atlas.uns["srna"] = {**info, **added}
    return check_atlas(atlas)
