"""Named data sets: registry, download with SHA-256, mirror, cache, and `load`."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import shutil
import urllib.error
import warnings
from importlib import resources
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib import readers
from srna_lib.atlas import check_atlas
from srna_lib.errors import InputError

RAW = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"
PARSERS = {"mirome": readers.read_mirome}


def registry() -> dict[str, dict[str, Any]]:
    """Every known data set: title, citation, licence and files with SHA-256.

    Returns
    -------
    dict
        Name -> entry of ``resources/datasets.json``.
    """
    text = resources.files("srna_lib").joinpath("resources/datasets.json").read_text(encoding="utf-8")
    return json.loads(text)


def names() -> list[str]:
    """Names that `load` knows."""
    return list(registry())


def is_file(name: str) -> bool:
    """Whether a data set is named by the path of an atlas (``.h5ad``) and not by a name of the registry."""
    return name.endswith(".h5ad")


def entry(name: str) -> dict[str, Any]:
    """Registry entry of one data set; of an atlas file, the same fields as far as the file states them.

    Raises
    ------
    InputError
        Unknown name, or an unusable file.
    """
    if is_file(name):
        return {**load_file(name).uns["srna"], "files": []}
    known = registry()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise InputError(f"unknown data set {name!r}: expected one of {', '.join(known)}{hint}")
    return known[name]


def cache_dir() -> Path:
    """Folder of downloaded files: ``SRNA_DATA_DIR``, else ``data`` of the checkout, else the user's cache."""
    if "SRNA_DATA_DIR" in os.environ:
        return Path(os.environ["SRNA_DATA_DIR"])
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "pyproject.toml").exists():
        return checkout / "data"
    import pooch

    return Path(pooch.os_cache("srna_lib"))


def fetch(name: str) -> list[Path]:
    """Bring the files of a data set into the cache and verify each.

    A file is looked for in the cache, then in the mirror that ``SRNA_DATA_MIRROR`` names (laid out as
    ``owner/repository/commit/path``), then downloaded.

    Parameters
    ----------
    name : str
        Data set name.

    Returns
    -------
    list of Path
        Verified local files, in registry order; empty for a simulated data set.

    Raises
    ------
    InputError
        Unknown name, no way to get a file, or a file whose SHA-256 is not the registered one. A cached
        file with a wrong hash is removed, so that the next call fetches it afresh.
    """
    if is_file(name):
        load_file(name)
        return [Path(name)]
    return [_fetch_file(name, file) for file in entry(name)["files"]]


def load(name: str, *, seed: int = 0) -> ad.AnnData:
    """Load a named data set into the atlas contract.

    Parameters
    ----------
    name : str
        ``"demo"`` (simulated) or a real collection such as ``"mirome"``; see `names`. A path that ends in
        ``.h5ad`` is read as your own atlas (`load_file`).
    seed : int, default 0
        Seed of a simulated atlas; without effect on real data.

    Returns
    -------
    AnnData, shape (n_samples, n_srnas)
        Checked atlas; ``uns["srna"]`` holds name, title, citation, licence, source files with SHA-256.

    Raises
    ------
    InputError
        As in `fetch`.
    """
    if is_file(name):
        return load_file(name)
    described = entry(name)
    info = {
        "name": name,
        "title": described["title"],
        "citation": described["citation"],
        "licence": described["licence"],
        "simulated": described["simulated"],
        "sources": pd.DataFrame(
            [{"url": RAW.format(**f), "sha256": f["sha256"]} for f in described["files"]],
            columns=["url", "sha256"],
        ),
    }
    if described["simulated"]:
        from srna_lib.simulate import simulate_atlas

        return simulate_atlas(seed=seed, info=info)
    (path,) = fetch(name)
    return PARSERS[name](path, info)


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
        raise InputError(f"{path}: there is no such file; expected an atlas (.h5ad) or one of {', '.join(names())}.")
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
    sources = pd.DataFrame({"url": [path.name], "sha256": [_sha256(path)]})
    stated = {k: v for k, v in dict(atlas.uns.get("srna", {})).items() if k != "sources"}
    filled = dict.fromkeys(("citation", "licence"), "not stated")
    about = {"title": path.stem, "simulated": False, **filled, **stated, "name": path.stem, "sources": sources}
    about["simulated"] = bool(about["simulated"])
    atlas.uns["srna"] = about
    if "biotype" not in atlas.var:
        mirna = atlas.var_names.str.contains(r"miR-|mir-|let-", regex=True)
        atlas.var["biotype"] = np.where(mirna, "miRNA", "other")
    return check_atlas(atlas, source=str(path))


def _fetch_file(name: str, file: dict[str, Any]) -> Path:
    target = cache_dir() / name / file["sha256"][:12] / Path(file["path"]).name
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
    mirror = os.environ.get("SRNA_DATA_MIRROR")
    if mirror:
        copy = Path(mirror) / file["repository"] / file["commit"] / file["path"]
        if copy.is_file():
            shutil.copyfile(copy, partial)
            return str(copy)
    import pooch
    import requests

    try:
        pooch.HTTPDownloader(progressbar=False, timeout=30)(url, str(partial), None)
    except (requests.RequestException, urllib.error.URLError, ValueError) as error:
        where = f"the mirror {mirror!r} does not hold it and " if mirror else ""
        raise InputError(
            f"{name!r}: {where}the download of {url} failed ({type(error).__name__}); expected a network"
            " connection, or SRNA_DATA_MIRROR set to a folder with the file (the data set 'demo' needs neither)."
        ) from error
    return url


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
