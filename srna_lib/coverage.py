"""What is known about the samples of an atlas: a label to look at, a batch to compare with, sex and age."""

from __future__ import annotations

import anndata as ad
import pandas as pd

from srna_lib.errors import InputError

LABELS = ("tissue_group", "tissue", "cell_tissue", "cell_class", "diagnosis", "tumour_normal", "sex")
BATCHES = ("flow_cell", "sequencing_run", "plate", "donor_id")
AGES = ("age_years", "gestational_age_days")


def usable_label(adata: ad.AnnData, wanted: str = "tissue_group", *, min_class_size: int = 15) -> str:
    """Find a label with at least two classes: the one that is wanted, or what the data set has instead.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    wanted : str, default "tissue_group"
        Column of ``obs``; taken if it will do.
    min_class_size : int, default 15
        A smaller class does not count.

    Returns
    -------
    str
        `wanted`, else that one of `LABELS` which gives most samples a class; of equals the first.

    Raises
    ------
    InputError
        When no column will do.
    """
    covered = {}
    for column in dict.fromkeys((wanted, *LABELS)):
        sizes = adata.obs[column].value_counts() if column in adata.obs else pd.Series(dtype=int)
        sizes = sizes[sizes >= min_class_size]
        if len(sizes) > 1:
            covered[column] = int(sizes.sum())
    if not covered:
        name = adata.uns.get("srna", {}).get("name", "atlas")
        raise InputError(
            f"{name}: neither obs[{wanted!r}] nor another label has two classes of at least {min_class_size} samples;"
            " expected one that does (lower min_class_size)."
        )
    return wanted if wanted in covered else max(covered, key=lambda column: covered[column])


def usable_batch(adata: ad.AnnData) -> str:
    """Find what splits the samples into batches: the study, or within a single study the next best.

    Returns
    -------
    str
        ``"dataset_id"`` where there are several studies, else the first of `BATCHES` with several values, each of
        which stands for several samples on average; ``"dataset_id"`` where there is none.
    """
    if adata.obs["dataset_id"].nunique() > 1:
        return "dataset_id"
    for column in BATCHES:
        if column in adata.obs and 1 < adata.obs[column].nunique() <= adata.n_obs / 5:
            return column
    return "dataset_id"


def people(adata: ad.AnnData, by: str = "tissue_group") -> pd.DataFrame:
    """Count for every class or study of how many samples sex and age are known.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    by : str, default "tissue_group"
        Column of ``obs`` that groups the samples, e.g. ``"dataset_id"``; samples without it are left out.

    Returns
    -------
    DataFrame, one row per group
        ``group, n_samples, female, male, sex_known, age_known``: shares of its samples; age is ``age_years`` or
        ``gestational_age_days``. Largest group first.

    Raises
    ------
    InputError
        When the atlas has no such column.
    """
    if by not in adata.obs:
        found = ", ".join(map(str, adata.obs.columns))
        raise InputError(f"the field obs[{by!r}] is missing (found: {found}); expected a column that groups samples.")
    obs = adata.obs
    sex = obs["sex"].astype(object) if "sex" in obs else pd.Series(index=obs.index, dtype=object)
    age = pd.Series(False, index=obs.index)
    for column in AGES:
        if column in obs:
            age |= obs[column].notna()
    known = pd.DataFrame({"female": sex == "female", "male": sex == "male", "sex_known": sex.notna(), "age_known": age})
    grouped = known.astype(float).groupby(obs[by].astype(object).to_numpy())
    table = grouped.mean()
    table.insert(0, "n_samples", grouped.size())
    table = table.rename_axis("group").reset_index()
    return table.sort_values(["n_samples", "group"], ascending=[False, True], ignore_index=True)


def shared_studies(overlap: pd.DataFrame) -> pd.DataFrame:
    """Summarise which studies brought the samples that two collections share.

    Parameters
    ----------
    overlap : DataFrame
        ``uns["srna"]["overlap"]`` of the open atlas, as from `open_atlas.shared_samples`.

    Returns
    -------
    DataFrame
        ``dataset_id, removed_dataset_id`` (its id in the other collection), ``by`` (the accession that tells) and
        ``removed`` (samples), most first.
    """
    keys = ["dataset_id", "removed_dataset_id", "by"]
    table = overlap.groupby(keys)["removed"].size().reset_index()
    return table.sort_values(["removed", *keys], ascending=[False, True, True, True], ignore_index=True)
