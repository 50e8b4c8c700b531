"""One atlas of three public collections: shared samples once, one id per study, one vocabulary of labels and names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from srna_lib.atlas import make_atlas
from srna_lib.errors import InputError
from srna_lib.features import annotate, harmonise
from srna_lib.ontology import annotate_labels
from srna_lib.public import read_micrornaome, read_mirome, read_tissue_atlas2

# study -> study that published the same libraries before, under other runs and samples: no accession says so, but
# profiles that agree where even replicates never do (tests/test_open_atlas.py looks for them in the data)
RESUBMITTED = {"SRP041494": "SRP014899"}
SEQUENCERS = {"GA": "Genome Analyzer", "GA II": "Genome Analyzer II", "GA IIx": "Genome Analyzer IIx"}
KEPT = (
    "dataset_id", "collection", "source_dataset_id", "run", "sample_accession", "donor_id", "source_label",
    "cell_class", "platform", "library_protocol", "flagged", "reads_total",
)  # fmt: skip


def read_open_atlas(
    mirome: Path | str,
    micrornaome: Path | str,
    tissue_atlas2: Path | str,
    info: dict[str, Any],
    *,
    common_features: bool = True,
) -> ad.AnnData:
    """Join the cellular microRNAome, what the human microRNAome adds to it, and the organs of six donors.

    Counts are those of the sources, made by three pipelines (miRge3, miRge and that of miRNATissueAtlas2), so the
    collection is a batch of its own: compare within it, or leave whole studies out.

    Parameters
    ----------
    mirome, micrornaome, tissue_atlas2 : path
        Files as `public.read_mirome`, `public.read_micrornaome` and `public.read_tissue_atlas2` take them.
    info : dict
        Registry entry that goes to ``uns["srna"]``.
    common_features : bool, default True
        Only the miRNAs that all three collections report, because which ones a sample has would tell its
        collection, and with it its tissue. With ``False`` all of mirome are there; one that a collection does not
        report is zero in ``X`` although nobody looked, ``var["common"]`` marks those that are safe, and
        ``uns["srna"]["not_measured"]`` lists the others by collection.

    Returns
    -------
    AnnData, shape (2884, 2101) or (2884, 2731)
        Features are named as in mirome. A sample of both microRNAomes is kept as in mirome. In ``obs``:
        ``dataset_id`` (one id per study, over all collections), ``collection``, ``source_dataset_id`` (the study's
        id there), ``run``, ``sample_accession``, ``donor_id``, the label as written (``source_label``) and its
        meaning (`ontology.annotate_labels`), ``cell_class`` (mirome), ``platform``, ``flagged`` (of poor quality
        according to micrornaome, also where mirome's copy is kept; False where it did not look), ``reads_total``
        and ``reads_unmapped_share`` (share of a sample's counts on features that were left out).

        In ``uns["srna"]``: ``overlap`` (see `shared_samples`), ``studies`` (see `unified_studies`) and
        ``harmonised`` (report of `features.harmonise` for each collection).

    Raises
    ------
    InputError
        When a file is not what its reader expects, or the two microRNAomes share no sample.
    """
    cells = read_mirome(mirome, {"name": "mirome"})
    mixed = read_micrornaome(micrornaome, {"name": "micrornaome"})
    organs = read_tissue_atlas2(tissue_atlas2, {"name": "tissue_atlas2"})
    cells.obs["sample_accession"] = cells.obs_names.to_numpy(dtype=object)
    overlap = shared_samples(cells.obs, mixed.obs)
    if overlap.empty:
        raise InputError(
            f"{micrornaome}: no run or sample is also in {mirome}; expected collections that share samples."
        )
    studies = unified_studies(overlap)
    flagged = overlap["removed"][mixed.obs.loc[overlap["removed"], "flagged"].to_numpy()]
    cells.obs["flagged"] = cells.obs_names.isin(overlap.loc[flagged.index, "sample_id"])
    mixed = mixed[~mixed.obs_names.isin(overlap["removed"])].copy()
    organs.obs["label"] = organs.obs["tissue"] + "__" + organs.obs["subregion"]
    parts, reports = {"mirome": cells}, []
    for name, part in (("micrornaome", mixed), ("tissue_atlas2", organs)):
        parts[name], report = harmonise(part, cells)
        reports.append(report.assign(collection=name))
    labels = {"mirome": "cell_type", "micrornaome": "cell_tissue", "tissue_atlas2": "label"}
    obs = pd.concat([_described(parts[name].obs, name, label, studies) for name, label in labels.items()])
    names = cells.var_names
    reported = pd.DataFrame({name: names.isin(part.var_names) for name, part in parts.items()}, index=names)
    everywhere = reported.all(axis=1)
    features = names[everywhere] if common_features else names
    counts = pd.DataFrame(
        np.vstack([_on(part, features) for part in parts.values()]), index=obs.index, columns=features
    )
    totals = np.concatenate([_totals(part) for part in (cells, mixed, organs)])
    obs["reads_unmapped_share"] = 1 - counts.sum(axis=1).to_numpy() / np.where(totals > 0, totals, 1)
    obs.loc[totals == 0, "reads_unmapped_share"] = 0.0
    var = annotate(
        pd.DataFrame({"biotype": "miRNA", "level": "mature", "common": everywhere[features]}, index=features)
    )
    info = {
        **info,
        "common_features": common_features,
        "overlap": overlap,
        "studies": studies,
        "harmonised": pd.concat(reports, ignore_index=True),
    }
    if not common_features:
        row, column = np.nonzero(~reported.T.to_numpy())
        info["not_measured"] = pd.DataFrame({"collection": reported.columns[row], "srna": names[column]})
    return make_atlas(counts, obs, var, info=info)


def shared_samples(kept: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Find the samples of one collection that another holds too.

    Parameters
    ----------
    kept : DataFrame, shape (n_kept, ...)
        Metadata with ``run, sample_accession, dataset_id``; index = sample names. Its copy is the one to keep.
    other : DataFrame, shape (n_other, ...)
        Likewise; either accession may be missing.

    Returns
    -------
    DataFrame, one row per sample of `other` that is in `kept`
        ``sample_id`` (in `kept`), ``removed`` (its name in `other`), ``by`` (``"run"`` or ``"sample"``, the accession
        that says so), ``dataset_id`` and ``removed_dataset_id`` (the study's ids in the two).
    """
    parts = []
    for by, column in (("run", "run"), ("sample", "sample_accession")):
        where = pd.Series(kept.index, index=kept[column]).loc[lambda s: s.index.notna()]
        found = other[column].dropna().map(where[~where.index.duplicated()]).dropna()
        parts.append(pd.DataFrame({"sample_id": found.to_numpy(), "removed": found.index.to_numpy(), "by": by}))
    table = pd.concat(parts, ignore_index=True).drop_duplicates("removed", ignore_index=True)
    table["dataset_id"] = kept.loc[table["sample_id"], "dataset_id"].to_numpy()
    table["removed_dataset_id"] = other.loc[table["removed"], "dataset_id"].to_numpy()
    return table.astype(object)


def unified_studies(overlap: pd.DataFrame) -> pd.DataFrame:
    """Say which studies are one, by the majority of their shared samples and by `RESUBMITTED`.

    Parameters
    ----------
    overlap : DataFrame
        As from `shared_samples`.

    Returns
    -------
    DataFrame, one row per study that takes another's id
        ``source_dataset_id, dataset_id, by`` (``"accession"`` or ``"profile"``), ``shared`` (samples with a shared
        accession) and ``agree`` (share of them that speak for this id). Of equal votes the first accession wins.
    """
    votes = overlap.groupby(["removed_dataset_id", "dataset_id"]).size().rename("votes").reset_index()
    votes = votes.sort_values(["removed_dataset_id", "votes", "dataset_id"], ascending=[True, False, True])
    best = votes.groupby("removed_dataset_id", as_index=False).first()
    shared = votes.groupby("removed_dataset_id")["votes"].sum().to_numpy()
    table = pd.DataFrame(
        {
            "source_dataset_id": best["removed_dataset_id"],
            "dataset_id": best["dataset_id"].replace(RESUBMITTED),
            "by": "accession",
            "shared": shared,
            "agree": best["votes"] / shared,
        }
    )
    again = pd.DataFrame({"source_dataset_id": list(RESUBMITTED), "dataset_id": list(RESUBMITTED.values())})
    return pd.concat([table, again.assign(by="profile", shared=0, agree=np.nan)], ignore_index=True)


def _described(obs: pd.DataFrame, collection: str, label: str, studies: pd.DataFrame) -> pd.DataFrame:
    """Metadata of one collection in the common columns."""
    out = obs.rename(columns={label: "source_label", "dataset_id": "source_dataset_id"})
    known = studies.set_index("source_dataset_id")["dataset_id"]
    out["dataset_id"] = out["source_dataset_id"].map(known).fillna(out["source_dataset_id"])
    out["collection"] = collection
    if "flagged" not in out:
        out["flagged"] = False
    if "platform" in out:
        out["platform"] = out["platform"].str.removeprefix("Illumina ").replace(SEQUENCERS)
    out = out.reindex(columns=list(KEPT))
    out["flagged"] = out["flagged"].astype(bool)
    out = annotate_labels(out, collection, "source_label", strict=True)
    out.attrs.clear()
    return out


def _on(part: ad.AnnData, features: pd.Index) -> np.ndarray:
    """Counts on these features, zero where the collection does not report one."""
    position = part.var_names.get_indexer(features)
    values = np.zeros((part.n_obs, len(features)))
    values[:, position >= 0] = sp.csc_matrix(part.X)[:, position[position >= 0]].toarray()
    return values


def _totals(part: ad.AnnData) -> np.ndarray:
    return np.asarray(part.X.sum(axis=1), dtype=float).ravel()
