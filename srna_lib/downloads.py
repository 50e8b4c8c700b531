"""Files of data sets: cache, mirror and network, each file verified by its SHA-256."""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.error
from pathlib import Path
from typing import Any

from srna_lib.errors import InputError

RAW = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"


def cache_dir() -> Path:
    """Folder of downloaded files: ``SRNA_DATA_DIR``, else ``data`` of the checkout, else the user's cache."""
    if "SRNA_DATA_DIR" in os.environ:
        return Path(os.environ["SRNA_DATA_DIR"])
    checkout = Path(__file__).resolve().parent.parent
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
