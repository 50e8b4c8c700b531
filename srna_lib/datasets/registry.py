"""Named data sets: registry, files, cache of parsed atlases, and `load`."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd

from srna_lib.datasets import public, tcga
from srna_lib.datasets.files import RAW, cache_dir, cached, cached_file, digest, fetch_file, mirrored_file, stored
from srna_lib.errors import expect, one_of
from srna_lib.io import read_h5ad

# called with the files in registry order and info=...; further keywords are options of `load`
PARSERS: dict[str, Callable[..., ad.AnnData]] = {
    "mirome": public.read_mirome, "micrornaome": public.read_micrornaome, "tissue_atlas2": public.read_tissue_atlas2,
    "tcga": tcga.read_tcga, "tcga_trf": tcga.read_tcga_trf, "lgrc": public.read_lgrc,
    "fetal_lung": public.read_fetal_lung, "exrna": public.read_exrna, "protocols": public.read_protocols,
    "open_atlas": public.read_open_atlas, "open_atlas_exrna": public.read_open_atlas,
}  # fmt: skip
# what a parsed atlas depends on besides its parser's module; a change of these makes the cache parse anew
TABLES = ("resources/tcga_cohorts.tsv", "resources/source_columns.tsv")
LABELS = ("data/tissues.py", "resources/tissues.tsv")
NAMES = ("data/mirna_names.py", "resources/mirna_names.tsv")
UNION = (*LABELS, *NAMES, "data/features.py")
DEPENDS = {"mirome": LABELS, "exrna": LABELS, "protocols": NAMES, "open_atlas": UNION, "open_atlas_exrna": UNION}


def registered() -> dict[str, dict[str, Any]]:
    """Every known data set: title, citation, licence and files with SHA-256 (``resources/datasets.json``).

    One with ``parts`` (an atlas of several data sets) has their files, each with the name of its ``dataset``.
    """
    text = resources.files("srna_lib").joinpath("resources/datasets.json").read_text(encoding="utf-8")
    known = json.loads(text)
    for described in known.values():
        described["files"] += [{**file, "dataset": p} for p in described.get("parts", []) for file in known[p]["files"]]
    return known


def names() -> list[str]:
    """Names that `load` knows."""
    return [name for name, described in registered().items() if described.get("atlas", True)]


def is_file(name: str) -> bool:
    """Whether a data set is named by the path of an atlas (``.h5ad``) and not by a name of the registry."""
    return name.endswith(".h5ad")


def entry(name: str) -> dict[str, Any]:
    """Registry entry of a data set or of other files that `fetch` brings, or what an atlas file states of itself.

    Its ``columns`` are those of ``obs`` with at least two known values: those that something can be asked about; of a
    file with the size of the second largest class of each (of ages, up to 65 years and above).
    """
    if is_file(name):
        own = read_h5ad(name)
        classes = {str(c): own.obs[c].value_counts() for c in own.obs}
        columns = {column: int(sizes.iloc[1]) for column, sizes in classes.items() if (sizes > 0).sum() > 1}
        if "age_years" in columns:
            columns["age_years"] = int((own.obs["age_years"].dropna() <= 65).value_counts().iloc[1:2].sum())
        return {**own.uns["srna"], "columns": columns, "files": []}
    known = registered()
    one_of("data set", name, known)
    return known[name]


def fetch(name: str, *, step: Callable[[Path], None] | None = None) -> list[Path]:
    """Bring the files of a data set into the cache and verify each.

    A file is looked for in the cache, then in the mirror that ``SRNA_DATA_MIRROR`` names (laid out as
    ``owner/repository/commit/path``), then downloaded.

    Parameters
    ----------
    name : str
        Data set name.
    step : callable, optional
        Receives each file as soon as it is there and verified: for showing progress.

    Returns
    -------
    list of Path
        Verified local files, in registry order; empty for a simulated data set.

    Raises
    ------
    InputError
        Unknown name, no way to get a file, or a file whose SHA-256 is not the registered one.
    """
    if is_file(name):
        read_h5ad(name)
        return [Path(name)]
    paths = []
    for file in entry(name)["files"]:
        paths.append(fetch_file(name, file))
        if step:
            step(paths[-1])
    return paths


def state(name: str) -> str:
    """Where the files of a data set are: "simulated", "parsed", "cached", "mirror", "partly" or "not fetched"."""
    described = entry(name)
    if described["simulated"]:
        return "simulated"
    if name in PARSERS and stored(cache_dir() / name, *_keys(name, {})):
        return "parsed"
    cached = [cached_file(name, file).is_file() for file in described["files"]]
    if all(cached):
        return "cached"
    here = [kept or bool(mirrored_file(f)) for kept, f in zip(cached, described["files"], strict=True)]
    return "mirror" if all(here) else "partly" if any(here) else "not fetched"


def options(name: str) -> dict[str, Any]:
    """Options of `load` for one data set with their defaults."""
    entry(name)
    found = inspect.signature(PARSERS[name]).parameters if name in PARSERS else {}
    return {p.name: p.default for p in found.values() if p.kind is p.KEYWORD_ONLY and p.name != "info"}


def load(name: str, *, seed: int = 0, **chosen: Any) -> ad.AnnData:
    """Load a named data set into the atlas contract.

    Files are fetched and parsed once; the parsed atlas is kept beside the downloads under a name that changes with
    the hashes of the source files, the options, the parser and package versions.

    Parameters
    ----------
    name : str
        ``"demo"`` (simulated) or a real collection such as ``"mirome"``; see `names`. A path that ends in
        ``.h5ad`` is read as your own atlas.
    seed : int, default 0
        Seed of a simulated atlas; without effect on real data.
    **chosen
        Options of the data set (`options`): ``common_features`` of ``"tcga"``, ``loci`` of ``"lgrc"``.

    Returns
    -------
    AnnData, shape (n_samples, n_srnas)
        Checked atlas; ``uns["srna"]`` holds name, title, citation, licence, source files with SHA-256.

    Raises
    ------
    InputError
        As in `fetch`; or an option that the data set does not have.

    Examples
    --------
    >>> load("demo").shape
    (1200, 1489)
    """
    if is_file(name):
        return read_h5ad(name)
    described = entry(name)
    expect(name in names(), f"{name!r} holds no atlas: expected one of {', '.join(names())} (fetch brings its files)")
    variant, key = _keys(name, chosen)
    sources = [{"url": RAW.format(**f), "sha256": f["sha256"]} for f in described["files"]]
    info = {"name": name, **{key: described[key] for key in ("title", "citation", "licence", "simulated")}}
    info["sources"] = pd.DataFrame(sources, columns=["url", "sha256"])
    if described["simulated"]:
        from srna_lib.datasets.simulated import simulate_atlas

        return simulate_atlas(seed=seed, info=info)
    return cached(cache_dir() / name, variant, key, info, lambda: PARSERS[name](*fetch(name), info=info, **chosen))


def _keys(name: str, chosen: dict[str, Any]) -> tuple[str, str]:
    """Variant (options) and key (all that a parsed atlas depends on) of its file in the cache."""
    known = options(name)
    for option in chosen:
        expect(option in known, f"{name!r} has no option {option!r}: expected {', '.join(known) or 'none'}")
    settled = {**known, **chosen}
    variant = hashlib.sha256(json.dumps(settled, sort_keys=True, default=str).encode()).hexdigest()[:8]
    parser = inspect.getfile(PARSERS[name]) if name in PARSERS else __file__
    used = ("data/atlas.py", "datasets/files.py", "datasets/public.py", *TABLES, *DEPENDS.get(name, ()))
    code = [Path(parser), *(Path(__file__).parents[1] / path for path in used)]
    hashes = [file["sha256"] for file in entry(name)["files"]]
    return f"atlas_{variant}", digest([name, hashes, variant], code)
