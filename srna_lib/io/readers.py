"""Users' files -> atlas: the layout is found out, counts are demanded, metadata beside the file is joined."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from srna_lib.data import BIOTYPES, check_atlas, match_names
from srna_lib.errors import InputError, ReadError, one_of
from srna_lib.io import tools
from srna_lib.io.h5ad import parse_h5ad
from srna_lib.io.sample_metadata import find, match, names_in, normalise, read_metadata
from srna_lib.io.tables import Table, decode, judge, parse, share_of_srnas
from srna_lib.io.tools import Parsed
from srna_lib.io.unpack import Source, expect, files_in, load, refusing, short, stem

FORMATS = {name: layout.says for name, layout in tools.LAYOUTS.items()} | {
    "h5ad": "AnnData",
    "mirgff3": "mirGFF3 of mirtop and miRge3, isomiRs summed to matures",
    "geo_series_matrix": "GEO series matrix, with its supplementary count table beside it",
    "mtx": "10x-style folder: matrix.mtx, features.tsv, barcodes.tsv",
}


LEFT_ASIDE = re.compile(  # of a folder or zip
    r"(?:.*[._])?metadata\..*|manifest.*|readme.*|annotations\.txt|.*series_matrix.*|.*\.(?:md|html|json|log|pdf|parcel)",
    re.IGNORECASE,
)
FEW = 0.05  # share of cells with fractions (multimapping) that are rounded without being asked


def _detect(source: Source) -> tuple[str, Table | None]:
    """Name of a file's layout, and its table where it is one."""
    if source.kind == "hdf5":
        return "h5ad", None
    start = decode(source)[0].lstrip("\ufeff \n") if source.kind == "text" else ""
    if start.startswith("%%MatrixMarket"):
        return "mtx", None
    if start.startswith(("!Series_", "!Sample_")):
        return "geo_series_matrix", None
    if re.match(r"(?:#.*\n)*#+ *(?:mirGFF3|gff-version|COLDATA)", start):
        return "mirgff3", None
    table = parse(source)
    return tools.detect_layout(table), table


def _parse_file(source: Source, format: str | None, samples: set[str], missing: str) -> tuple[str, Parsed, Source]:
    """Layout of a file, what it holds, and the file that counts came from."""
    path = Path(source.name)
    name, table = (format, None) if format else _detect(source)
    if name in ("mtx", "geo_series_matrix"):
        return name, *(tools.mtx(path) if name == "mtx" else tools.geo_series_matrix(path))
    if name == "h5ad":
        expect(source.kind == "hdf5", f"{path}: this is no HDF5 file; expected an .h5ad file")
        return name, parse_h5ad(source.data, str(path)), source
    if name == "mirgff3":
        return name, tools.mirgff3(source), source
    table = replace(table or parse(source), missing=missing)
    return name, tools.parse_as(name, table, samples), source


def _parse(path: Path, format: str | None, samples: set[str], missing: str) -> tuple[str, Parsed, list[Source]]:
    """Layout of a path, what it holds, and the files that counts came from; those of a folder or zip are joined."""
    if format is not None and format not in FORMATS:
        raise ReadError(f"unknown format {short(format, 40)!r}; expected one of {', '.join(FORMATS)}.")
    if path.is_dir() and (format == "mtx" or (format is None and tools.first_file(path, ("matrix.mtx",)))):
        parsed, matrix = tools.mtx(path)
        return "mtx", parsed, [matrix]
    files = files_in(path)
    if not path.is_dir() and not files:
        name, parsed, source = _parse_file(load(path), format, samples, missing)
        return name, parsed, [source]
    members = {
        name: [f for f in files if any(PurePosixPath(f).match(pattern) for pattern in layout.folder)]
        for name, layout in tools.LAYOUTS.items() if format in (None, name)
    }  # fmt: skip
    chosen = next((name for name in members if members[name]), format or "")
    wanted = members.get(chosen) or [f for f in files if not LEFT_ASIDE.fullmatch(PurePosixPath(f).name)]
    patterns = ", ".join(pattern for layout in tools.LAYOUTS.values() for pattern in layout.folder)
    found = f"the folder holds neither matrix.mtx nor {patterns}"
    expect(wanted, f"{path}: {found}; expected one of them, or a table")
    parts = [_parse_file(files[f](), chosen or None, samples, missing) for f in wanted]
    kinds = sorted({name for name, _, _ in parts})
    expect(len(kinds) == 1, f"{path}: its files are of {len(kinds)} kinds ({', '.join(kinds)}); expected one")
    parsed = tools.join([part for _, part, _ in parts], str(path), wanted) if len(parts) > 1 else parts[0][1]
    if aside := len(files) - len(wanted):
        parsed.notes.append(f"{aside} other files left aside")
    return parts[0][0], parsed, [source for _, _, source in parts]


def read(
    path: str | Path, *, format: str | None = None, metadata: str | Path | None = None, dataset_id: str | None = None,
    allow_normalised: bool = False, round_expected: bool = False, missing: str = "refuse",
) -> ad.AnnData:  # fmt: skip
    r"""Read a user's counts into a checked atlas; ``uns["srna"]["reading"]`` says what was understood (`describe`).

    Whatever is wrong with the file is a `ReadError` of one sentence; nothing else is raised.

    Parameters
    ----------
    path : path
        File, or a folder or zip of files, which are joined; gz, bz2, xz and zip are read as they are.
    format : str, optional
        One of `FORMATS`. Give it where detection errs.
    metadata : path, optional
        Sample table. Without it ``<stem>.metadata.csv|tsv`` and then ``metadata.csv|tsv`` beside the file are taken.
    dataset_id : str, optional
        Study of all samples. Without it the metadata's study column counts, else the file's stem.
    allow_normalised : bool, default False
        Carry values that are no counts, with ``uns["srna"]["quantity"] = "normalised"``, instead of refusing them. Set
        it to look at such data; most recipes need counts.
    round_expected : bool, default False
        Round expected counts (RSEM, shared reads) to whole ones instead of refusing them. At most 5 % of cells are
        rounded without it, as are formats that are known to share reads out.
    missing : {"refuse", "zero"}
        What empty cells mean.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "counts.csv"
    >>> _ = path.write_text("miRNA,s1,s2\nhsa-miR-21-5p,5,7\nhsa-let-7a-5p,1,0\n")
    >>> read(path).shape
    (2, 2)
    """
    path = Path(path)
    one_of("value of missing", missing, ("refuse", "zero"))
    with _one_sentence(path):
        beside = Path(metadata) if metadata is not None else find(path)
        told = None if beside is None else read_metadata(beside)
        name, parsed, sources = _parse(path, format, set() if told is None else names_in(told), missing)
        notes = parsed.notes
        if missing == "zero":
            notes.append("empty cells count as 0")
        quantity, counts = _quantity(path, parsed, allow_normalised, round_expected)
        obs = normalise(parsed.obs.reindex(counts.index), notes)
        if told is not None and beside is not None:
            # a metadata.csv in the same folder may belong to other files; one that was named must fit
            fits = bool(names_in(told) & set(counts.index))
            if fits or metadata is not None or beside.name.startswith(f"{stem(path)}.metadata"):
                joined = normalise(match(told, list(counts.index), notes), notes)
                obs = joined.join(obs[[c for c in obs if c not in joined]])
            else:
                notes.append(f"{beside.name} lies beside but lists none of the samples: left aside")
        _study(path, obs, dataset_id, notes)
        info = _info(path, name, parsed.info, sources, notes)
        return _atlas(path, parsed, counts, obs, {**info, "quantity": quantity})


def read_h5ad(path: str | Path) -> ad.AnnData:
    """Read an atlas of your own, as ``--dataset mine.h5ad`` does: nothing but the file itself is looked at.

    It needs ``dataset_id`` in ``obs``, and raw counts unless ``uns["srna"]["quantity"]`` says otherwise.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; expected an atlas (.h5ad) or the name of a data set.")
    with _one_sentence(path):
        name, parsed, sources = _parse(path, "h5ad", set(), "refuse")
        info = _info(path, name, parsed.info, sources, parsed.notes)
        return _atlas(path, parsed, parsed.counts, normalise(parsed.obs, parsed.notes), {"quantity": "counts", **info})


def _one_sentence(path: Path) -> AbstractContextManager[None]:
    """Turn whatever a stranger's file leads to into one sentence."""
    return refusing(f"{short(str(path), 200)}: cannot be read", "a table of counts", Exception)


def _atlas(path: Path, parsed: Parsed, counts: pd.DataFrame, obs: pd.DataFrame, info: dict[str, Any]) -> ad.AnnData:
    var = parsed.var.rename(columns={"srna": "srna_name"})  # anndata writes no column that is called as the index
    if "species" in var and (sizes := var["species"].value_counts()).size > 1:
        listed = ", ".join(f"{k} {v}" for k, v in sizes.head(5).items())
        parsed.notes.append(f"names of {len(sizes)} species ({listed}): mixed samples, or reads mapped across species")
    info["reading"]["notes"] = "\n".join(parsed.notes)
    obs.index.name, var.index.name = "sample_id", "srna"
    adata = ad.AnnData(X=sp.csr_matrix(counts.to_numpy()), obs=obs, var=var)
    adata.uns["srna"] = info
    return check_atlas(adata, source=str(path))


def _quantity(path: Path, parsed: Parsed, allow: bool, rounding: bool) -> tuple[str, pd.DataFrame]:
    """What the values are, and counts where they are or can be made such."""
    counts, verdict = parsed.counts, judge(parsed.counts.to_numpy())
    kind, seen = ("normalised", parsed.normalised) if parsed.normalised and verdict.kind != "broken" else verdict
    if kind != "broken" and not counts.to_numpy().any():
        kind, seen = "broken", "every value is 0"
    expect(kind != "broken", f"{path}: {seen}; expected raw read counts, whole numbers from 0")
    if kind == "counts":
        return kind, counts
    fractions = counts.to_numpy() % 1 > 0
    odd = fractions.sum(axis=1) > 0.5 * (counts.to_numpy() > 0).sum(axis=1)
    if kind == "expected" and odd.any() and not parsed.shared and not fractions[~odd].any():
        which = f"{int(odd.sum())} of {len(odd)} samples only (first {short(counts.index[odd][0], 40)!r})"
        wanted = "raw read counts in all, or a table without these columns"
        raise ReadError(f"{path}: fractions stand in {which}; expected {wanted}.")
    few = kind == "expected" and fractions.mean() <= FEW
    if few or (kind == "expected" and rounding) or (parsed.shared and not parsed.normalised and counts.ge(0).all(None)):
        parsed.notes.append(f"rounded: {parsed.shared or seen}")
        return "counts", counts.round()
    if allow:
        parsed.notes.append(f"no counts: {seen}")
        return "normalised", counts
    hint = " (--round makes whole numbers of expected counts)" if kind == "expected" else ""
    ways = f"raw read counts{hint}, or --allow-normalised to carry the values as they are"
    raise ReadError(f"{path}: {seen}; expected {ways}.")


def _study(path: Path, obs: pd.DataFrame, dataset_id: str | None, notes: list[str]) -> None:
    """Fill ``dataset_id``: given, told by the metadata, or the file's name, which is said."""
    if dataset_id is not None:
        expect(dataset_id.strip(), f"{path}: the given dataset_id is empty; expected the name of a study")
        if "dataset_id" in obs and obs["dataset_id"].nunique() > 1:
            notes.append(f"{obs['dataset_id'].nunique()} studies of the metadata replaced by the given one")
        obs["dataset_id"] = dataset_id.strip()
    elif "dataset_id" not in obs or obs["dataset_id"].isna().all():
        obs["dataset_id"] = short(stem(path), 200)
        notes.append(f"no study column: all samples count as one study, {short(stem(path), 200)!r}, after the file")
    elif obs["dataset_id"].isna().any():
        lost = obs.index[obs["dataset_id"].isna()]
        samples = f"{len(lost)} samples (first {short(str(lost[0]), 40)!r})"
        raise ReadError(f"{path}: no study (dataset_id) for {samples}; expected one for each, or --dataset-id for all.")


def _info(path: Path, name: str, stated: dict[str, Any], sources: list[Source], notes: list[str]) -> dict[str, Any]:
    """``uns["srna"]``: what the file states of itself, filled up, and where it was read."""
    beside = next((n for n in notes if n.startswith("metadata ")), "none")
    files = [(short(Path(s.name).name, 200), s.sha256) for s in sources]
    own = short(stem(path), 200)
    info = {"title": own, "citation": "not stated", "licence": "not stated", **stated, "name": own}
    info["simulated"] = bool(stated.get("simulated", False))
    info["sources"] = pd.DataFrame(files, columns=["url", "sha256"])
    return info | {"reading": {"file": short(path.name, 200), "format": name, "metadata": beside}}


def describe(adata: ad.AnnData) -> str:
    """What was understood of a file that was `read`, for people.

    A few lines: format, size, biotypes, share of names that are known, studies, metadata, quantity, depth, notes.
    """
    info = adata.uns["srna"]
    depth = np.asarray(adata.X.sum(axis=1)).ravel()
    sizes = adata.var["biotype"].value_counts()
    biotypes = ", ".join(f"{b} {sizes[b]}" for b in BIOTYPES if b in sizes)
    known = f"{share_of_srnas(list(adata.var_names)):.1%} look like sRNAs"
    mirnas = np.flatnonzero((adata.var["biotype"] == "miRNA").to_numpy())
    if len(mirnas):
        current = (match_names(adata.var_names[mirnas])["how"] != "unknown").to_numpy()
        reads = np.asarray(adata.X[:, mirnas].sum(axis=0)).ravel()
        share = f"with {reads[current].sum() / max(reads.sum(), 1):.1%} of their reads"
        known += f"; {current.mean():.1%} of the miRNAs have a current name in human miRBase, {share}"
    told = [f"{c} ({int(adata.obs[c].notna().sum())})" for c in adata.obs if c != "dataset_id"]
    lines = {
        "format": f"{info['reading']['format']} ({FORMATS[info['reading']['format']]})",
        "samples": f"{adata.n_obs} in {adata.obs['dataset_id'].nunique()} studies",
        "sRNAs": f"{adata.n_vars} ({biotypes})",
        "known names": known,
        "metadata": f"{info['reading']['metadata']}; columns {', '.join(told) or 'none'}",
        "quantity": info["quantity"],
        "depth": f"median {np.median(depth):,.0f}, from {depth.min():,.0f} to {depth.max():,.0f} per sample",
    }
    if (depth == 0).any():
        lines["no reads"] = f"{int((depth == 0).sum())} samples"
    text = [f"{key + ':':<13}{value}" for key, value in lines.items()]
    return "\n".join([*text, *(f"  - {note}" for note in str(info["reading"]["notes"]).splitlines())])
