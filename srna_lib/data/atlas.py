"""The data contract: an ``anndata.AnnData`` of raw counts, and the checks on it.

``obs`` always has ``dataset_id`` (the study) and, where known, ``donor_id``, ``tissue``, ``tissue_group`` (what is
predicted), ``tissue_top``, ``tissue_ontology_term_id`` (UBERON or CL), ``cell_class``, ``cell_type``, ``is_cell_line``,
``sex``, ``age_years``, ``platform`` and ``library_protocol``.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from srna_lib.errors import InputError, expect

BIOTYPES = ("miRNA", "piRNA", "snoRNA", "snRNA", "tRF", "other", "contaminant")


def resource(name: str, **options: Any) -> pd.DataFrame:
    """A table that comes with the package, all text unless `options` of pandas say else; empty cells stay empty."""
    with resources.files("srna_lib").joinpath(f"resources/{name}").open(encoding="utf-8") as handle:
        return pd.read_csv(handle, **{"sep": "\t", "comment": "#", "dtype": str, "keep_default_na": False, **options})


def quantity_of(adata: ad.AnnData) -> str:
    """What the values of an atlas are: ``"counts"``, or what else its file says."""
    return adata.uns.get("srna", {}).get("quantity", "counts")


def atlas_name(adata: ad.AnnData) -> str:
    """Name of an atlas for messages."""
    return str(adata.uns.get("srna", {}).get("name", "atlas"))


def check_column(adata: ad.AnnData, column: str, expected: str = "a column of labels", name: str = "") -> None:
    """Refuse an atlas that lacks a column of ``obs``."""
    name, present = name or atlas_name(adata), ", ".join(map(str, adata.obs.columns)) or "none"
    expect(column in adata.obs, f"{name}: the field obs[{column!r}] is missing (found: {present}); expected {expected}")


def numbers_of(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """A table as floats; text in it is refused."""
    try:
        return pd.DataFrame(table.to_numpy(dtype=np.float64), table.index, table.columns)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where} text ({error}); expected numbers only.") from error


def make_atlas(
    counts: pd.DataFrame, obs: pd.DataFrame, var: pd.DataFrame | None = None, *, info: dict[str, Any]
) -> ad.AnnData:
    """Build a checked atlas from plain tables.

    Parameters
    ----------
    counts : DataFrame, shape (n_samples, n_srnas)
        Raw read counts; index = sample names, columns = sRNA names.
    obs : DataFrame, shape (n_samples, ...)
        Sample metadata on the same index; ``dataset_id`` is required, unknown values are NaN.
    var : DataFrame, shape (n_srnas, ...), optional
        sRNA annotation on the columns of `counts`; without it every sRNA is taken as a miRNA.
    info : dict
        Goes to ``uns["srna"]``: name, title, citation, licence, sources, simulated. A ``quantity`` other than
        ``"counts"`` (its default) lets values through that are no whole numbers from 0; finite they must be.

    Returns
    -------
    AnnData, shape (n_samples, n_srnas)
        ``X`` is a CSR matrix of float64: real counts pass 2**24, where float32 stops being exact.

    Examples
    --------
    >>> table = pd.DataFrame({"hsa-miR-21-5p": [5, 0]}, index=["a", "b"])
    >>> obs = pd.DataFrame({"dataset_id": "mine"}, index=["a", "b"])
    >>> make_atlas(table, obs, info={"name": "mine"}).shape
    (2, 1)
    """
    name = info.get("name", "atlas")
    var = pd.DataFrame(index=counts.columns) if var is None else var.copy()
    samples = f"{len(counts)} samples and the metadata {len(obs)}", "metadata row per sample"
    srnas = f"{counts.shape[1]} sRNAs and the annotation {len(var)}", "annotation row per sRNA"
    for names, others, (sizes, expected) in ((counts.index, obs.index, samples), (counts.columns, var.index, srnas)):
        differ = f"the count table has {sizes}, not the same names in the same order"
        expect(list(names) == list(others), f"{name}: {differ}; expected one {expected}")
    values = numbers_of(counts, f"{name}: the count table holds").to_numpy()
    if "biotype" not in var:
        var["biotype"] = "miRNA"
    obs = obs.copy()
    obs.index, var.index = obs.index.astype(str), var.index.astype(str)
    obs.index.name, var.index.name = "sample_id", "srna"
    adata = ad.AnnData(X=sp.csr_matrix(values), obs=obs, var=var)
    adata.uns["srna"] = {"quantity": "counts", "simulated": False, **info}
    return check_atlas(adata)


def check_atlas(adata: ad.AnnData, *, source: str | None = None) -> ad.AnnData:
    """Hold an atlas against the contract and return it unchanged; refusals name `source` (default: its name).

    Refused are an empty atlas, one without ``dataset_id`` or that repeats a name, and anything but whole counts from 0.

    Examples
    --------
    >>> table = pd.DataFrame({"hsa-miR-21-5p": [5, 0]}, index=["a", "b"])
    >>> atlas = make_atlas(table, pd.DataFrame({"dataset_id": "mine"}, index=["a", "b"]), info={})
    >>> check_atlas(atlas) is atlas
    True
    """
    name = source or atlas_name(adata)
    size = f"{adata.n_obs} samples x {adata.n_vars} sRNAs"
    expect(adata.n_obs and adata.n_vars, f"{name}: the atlas is empty ({size}); expected at least one of each")
    check_column(adata, "dataset_id", "the study of every sample, for studies must never straddle a split", name)
    if missing := int(adata.obs["dataset_id"].isna().sum()):
        raise InputError(f"{name}: obs['dataset_id'] is missing for {missing} samples; expected a study for each.")
    for axis, index in (("sample", adata.obs_names), ("sRNA", adata.var_names)):
        if not index.is_unique:
            twice = index[index.duplicated()].unique()
            repeated = f"duplicate {axis} names, {len(twice)} in all (first: {twice[0]!r})"
            raise InputError(f"{name}: {repeated}; expected each name once.")
    are_counts = quantity_of(adata) == "counts"
    values = adata.X.data if sp.issparse(adata.X) else np.asarray(adata.X)
    whole = np.isfinite(values).all() and (not are_counts or ((values >= 0) & (values == np.floor(values))).all())
    if not whole:
        raise InputError(f"{name}: {_first_wrong(counts_frame(adata), are_counts)}.")
    return adata


def samples_of(adata: ad.AnnData, chosen: Any) -> ad.AnnData:
    """Copy some samples (positions, names or truth values) of an atlas."""
    # of a view by steps such as atlas[:, ::2] adata[chosen] cannot be read: anndata keeps the step, and scipy cannot
    # index sparse counts by a list of rows beside columns with a step
    columns = np.arange(adata.n_vars) if adata.is_view else slice(None)
    return adata[chosen, columns].copy()


def counts_frame(adata: ad.AnnData) -> pd.DataFrame:
    """Dense counts of an atlas as a table, samples x sRNAs, float64."""
    values = adata.X.toarray() if sp.issparse(adata.X) else np.asarray(adata.X)
    return pd.DataFrame(values.astype(np.float64, copy=False), index=adata.obs_names, columns=adata.var_names)


def _first_wrong(values: pd.DataFrame, are_counts: bool) -> str:
    """Which cell is the first that is no count (or not finite), and why."""
    v, found, expected = values.to_numpy(), "values", "finite numbers"
    tests = {"missing (NaN)": np.isnan(v), "infinite": np.isinf(v)}
    if are_counts:
        found, expected = "counts", "raw read counts, whole numbers from 0"
        tests |= {"negative": v < 0, "not whole": v != np.floor(v)}
    what = next(what for what, bad in tests.items() if bad.any())
    kind = "counts that are not whole numbers" if what == "not whole" else f"{what} {found}"
    i, j = np.argwhere(tests[what])[0]
    cell = f"sample {values.index[i]!r}, sRNA {values.columns[j]!r}" + f", value {v[i, j]:g}" * are_counts
    return f"{kind} in {int(tests[what].sum())} cells (first: {cell}); expected {expected}"
