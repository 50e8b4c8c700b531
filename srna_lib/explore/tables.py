"""Tables about an atlas: what is in it, how deep, how sparse, and which classes hang on few studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.data import counts_frame
from srna_lib.errors import InputError


def summarise(adata: ad.AnnData, label: str = "tissue_group") -> pd.DataFrame:
    """Count what is in an atlas.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str, default "tissue_group"
        Column of ``obs`` whose classes are counted.

    Returns
    -------
    DataFrame
        Index = quantity, one numeric column ``value``.

    Raises
    ------
    InputError
        When the atlas has no such column.
    """
    labels, reads = _labels(adata, label), _reads(adata)
    values = {
        "samples": adata.n_obs,
        "studies": adata.obs["dataset_id"].nunique(),
        "donors": adata.obs["donor_id"].nunique() if "donor_id" in adata.obs else np.nan,
        f"classes of {label}": labels.nunique(),
        f"samples without {label}": int(labels.isna().sum()),
        "sRNAs": adata.n_vars,
        "biotypes": adata.var["biotype"].nunique(),
        "reads": reads.sum(),
        "median reads of a sample": float(np.median(reads)),
        "zeros, share of all counts": 1 - adata.X.astype(bool).sum() / (adata.n_obs * adata.n_vars),
    }
    table = pd.DataFrame({"value": pd.Series(values, dtype=float)}).dropna()
    table.index.name = "quantity"
    return table


def sample_table(adata: ad.AnnData, label: str = "tissue_group") -> pd.DataFrame:
    """List depth and sparsity of every sample.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str, default "tissue_group"
        Column that becomes ``class``.

    Returns
    -------
    DataFrame, shape (n_samples, 5)
        ``dataset_id, class, reads, n_detected`` (sRNAs with a read), ``zero_share``; index = sample names.
    """
    detected = np.asarray((adata.X > 0).sum(axis=1)).ravel()
    table = pd.DataFrame(
        {
            "dataset_id": adata.obs["dataset_id"].astype(str),
            "class": _labels(adata, label),
            "reads": _reads(adata),
            "n_detected": detected,
            "zero_share": 1 - detected / adata.n_vars,
        },
        index=adata.obs_names,
    )
    return table


def depth_facts(samples: pd.DataFrame) -> pd.Series:
    """Say how much the depth of samples differs.

    Parameters
    ----------
    samples : DataFrame, shape (n_samples, ...)
        From `sample_table`.

    Returns
    -------
    Series
        ``low, high`` (reads; nine samples in ten lie between), ``class_factor`` (largest median of a class over the
        smallest) and ``detected`` (rank correlation of depth and number of sRNAs detected). NaN without counts.
    """
    low, high = samples["reads"].quantile([0.05, 0.95])
    medians = samples.groupby("class")["reads"].median()
    detected = samples["reads"].corr(samples["n_detected"], method="spearman")
    return pd.Series({"low": low, "high": high, "class_factor": medians.max() / medians.min(), "detected": detected})


def study_table(adata: ad.AnnData, label: str = "tissue_group") -> pd.DataFrame:
    """List the studies, largest first.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str, default "tissue_group"
        Column of classes.

    Returns
    -------
    DataFrame
        ``dataset_id, n_samples, n_classes, main_class, median_reads``.
    """
    grouped = sample_table(adata, label).groupby("dataset_id")
    table = pd.DataFrame(
        {
            "n_samples": grouped.size(),
            "n_classes": grouped["class"].nunique(),
            "main_class": grouped["class"].agg(lambda s: s.value_counts().index[0] if s.notna().any() else np.nan),
            "median_reads": grouped["reads"].median(),
        }
    )
    return table.sort_values("n_samples", ascending=False, kind="stable").reset_index()


def study_class_counts(adata: ad.AnnData, label: str = "tissue_group") -> pd.DataFrame:
    """Count samples of every study (rows, largest first) and class (columns, largest first)."""
    table = pd.crosstab(adata.obs["dataset_id"].astype(str), _labels(adata, label).to_numpy())
    table.index.name, table.columns.name = "dataset_id", "class"
    rows = table.sum(axis=1).sort_values(ascending=False, kind="stable").index
    return table.loc[rows, table.sum().sort_values(ascending=False, kind="stable").index]


def class_table(adata: ad.AnnData, label: str = "tissue_group") -> pd.DataFrame:
    """List the classes, and how much each hangs on a single study.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str, default "tissue_group"
        Column of classes.

    Returns
    -------
    DataFrame
        ``class, n_samples, n_studies, largest_study, largest_share`` (of the class's samples) and
        ``effective_studies``: the number of equally large studies that would be as diverse,
        1 / sum(share^2). Largest class first.
    """
    counts = study_class_counts(adata, label)
    shares = counts / counts.sum()
    table = pd.DataFrame(
        {
            "n_samples": counts.sum(),
            "n_studies": (counts > 0).sum(),
            "largest_study": shares.idxmax(),
            "largest_share": shares.max(),
            "effective_studies": 1 / (shares**2).sum(),
        }
    )
    table.index.name = "class"
    return table.reset_index()


def biotype_table(adata: ad.AnnData) -> pd.DataFrame:
    """List the biotypes: number of sRNAs, share of all reads, and mean share of a sample's reads."""
    reads, frame = _reads(adata), counts_frame(adata)
    by = frame.T.groupby(adata.var["biotype"].astype(str)).sum().T
    relative = by.div(np.where(reads > 0, reads, 1), axis=0)
    table = pd.DataFrame(
        {
            "n_srnas": adata.var["biotype"].astype(str).value_counts(),
            "share_of_reads": by.sum() / max(reads.sum(), 1),
            "mean_share_in_sample": relative.mean(),
        }
    )
    table.index.name = "biotype"
    return table.sort_values("n_srnas", ascending=False, kind="stable").reset_index()


def duplicate_profiles(adata: ad.AnnData) -> pd.DataFrame:
    """Find samples with exactly the same counts: one library that is in the atlas twice.

    Returns
    -------
    DataFrame
        ``sample_id, dataset_id, group`` for each member of a group of identical profiles; no rows when all
        differ.
    """
    rows = pd.Series([row.tobytes() for row in counts_frame(adata).to_numpy()], index=adata.obs_names)
    rows = rows[rows.duplicated(keep=False)]
    studies = adata.obs.loc[rows.index, "dataset_id"].astype(str).to_numpy()
    table = pd.DataFrame({"sample_id": rows.index, "dataset_id": studies, "group": pd.factorize(rows)[0]})
    return table.sort_values("group", kind="stable").reset_index(drop=True)


def zero_share(counts: pd.DataFrame) -> pd.Series:
    """Share of samples without a single read, for each sRNA; shape (n_srnas,)."""
    return (counts == 0).mean(axis=0).rename("zero_share")


def filter_effect(
    counts: pd.DataFrame,
    thresholds: Sequence[float] = (0.0, 0.1, 0.3, 0.5, 0.9, 1.0),
    y: pd.Series | None = None,
) -> pd.DataFrame:
    """Say what a filter on zeros keeps: sRNAs, reads, and the sRNAs that are common in one class only.

    Parameters
    ----------
    counts : DataFrame, shape (n_samples, n_srnas)
        Raw counts.
    thresholds : sequence of float
        Highest share of zeros that an sRNA may have, each from 0 to 1. The paper's filter is 0.3.
    y : Series, shape (n_samples,), optional
        Class of each sample: adds ``n_lost_markers``, the sRNAs that are dropped although they meet the
        threshold within at least one class.

    Returns
    -------
    DataFrame
        One row per threshold: ``max_zero_share, n_features, share_features, share_reads`` (mean over
        samples of the share of the sample's reads that stays; NaN where values are no counts) and
        ``n_lost_markers``.

    Raises
    ------
    InputError
        A threshold outside 0 to 1.
    """
    if any(not 0 <= t <= 1 for t in thresholds):
        raise InputError(f"thresholds {list(thresholds)}: expected shares of zeros from 0 to 1.")
    values, zeros = counts.to_numpy(dtype=float), zero_share(counts).to_numpy()
    if not is_counts(counts):
        values = np.full_like(values, np.nan)
    size = values.sum(axis=1, keepdims=True)
    relative = (values / np.where(size > 0, size, 1)).mean(axis=0)
    best = None if y is None else (counts == 0).groupby(y.to_numpy()).mean().min(axis=0).to_numpy()
    rows = []
    for threshold in thresholds:
        keep = zeros <= threshold
        row = {
            "max_zero_share": threshold,
            "n_features": int(keep.sum()),
            "share_features": float(keep.mean()),
            "share_reads": float(relative[keep].sum()),
        }
        if best is not None:
            row["n_lost_markers"] = int((~keep & (best <= threshold)).sum())
        rows.append(row)
    return pd.DataFrame(rows)


def lost_markers(counts: pd.DataFrame, y: pd.Series, max_zero_share: float = 0.3) -> pd.DataFrame:
    """List the sRNAs that a filter over all samples drops although they are common in some class.

    Parameters
    ----------
    counts : DataFrame, shape (n_samples, n_srnas)
        Raw counts.
    y : Series, shape (n_samples,)
        Class of each sample.
    max_zero_share : float, default 0.3
        Threshold of the filter.

    Returns
    -------
    DataFrame
        ``srna, class`` (where it has fewest zeros), ``zero_share_in_class, zero_share``; the most
        contrasting first.
    """
    by_class, overall = (counts == 0).groupby(y.to_numpy()).mean(), zero_share(counts)
    table = pd.DataFrame(
        {"class": by_class.idxmin(), "zero_share_in_class": by_class.min(), "zero_share": overall}
    ).rename_axis("srna")
    table = table[(overall > max_zero_share) & (table["zero_share_in_class"] <= max_zero_share)]
    order = (table["zero_share"] - table["zero_share_in_class"]).sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index()


def readable(table: pd.DataFrame, formats: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Copy a table for display: columns printed by format strings (``"{:.0%}"``), unknown values left empty.

    Its first column names the rows; a table without rows says so.
    """
    if table.empty:
        return pd.DataFrame({"": ["none in this data set"]})
    named = table.set_index(table.columns[0]) if isinstance(table.index, pd.RangeIndex) else table
    printed = named.assign(
        **{
            column: [text.format(value) if pd.notna(value) else "" for value in named[column]]
            for column, text in (formats or {}).items()
        }
    )
    return printed if named.index.nlevels > 1 else printed.rename_axis(index=None, columns=named.index.name)


def is_counts(values: pd.DataFrame) -> bool:
    """Whether all values are whole numbers, as raw counts are."""
    return bool((values.to_numpy() % 1 == 0).all())


def _labels(adata: ad.AnnData, label: str) -> pd.Series:
    if label not in adata.obs:
        found = ", ".join(map(str, adata.obs.columns))
        raise InputError(f"the field obs[{label!r}] is missing (found: {found}); expected a column of labels.")
    return adata.obs[label].astype(object)


def _reads(adata: ad.AnnData) -> np.ndarray:
    """Reads of each sample; NaN where the values of the atlas are no counts."""
    counted = adata.uns["srna"].get("quantity", "counts") == "counts"
    return np.asarray(adata.X.sum(axis=1), dtype=float).ravel() if counted else np.full(adata.n_obs, np.nan)


LABELS = ("tissue_group", "tissue", "cell_tissue", "cell_class", "diagnosis", "tumour_normal", "sex")
BATCHES = ("flow_cell", "sequencing_run", "plate", "donor_id")
AGES = ("age_years", "gestational_age_days")


def prepare(adata: ad.AnnData, label: str, *, min_class_size: int = 15) -> tuple[ad.AnnData, str, str]:
    """Choose what stands for class and for study where the data set lacks the label, or is a single study.

    Returns
    -------
    atlas : AnnData
        `adata`, or a copy whose ``dataset_id`` is the batch (`usable_batch`) within the one study.
    label : str
        From `usable_label`.
    note : str
        Markdown that says what was chosen; empty where it is what was asked for.
    """
    usable, batch, notes = usable_label(adata, label, min_class_size=min_class_size), usable_batch(adata), []
    if usable != label:
        notes.append(f"`{label}` has no two classes that are large enough: **the class is `{usable}` from here on.**")
    if batch != "dataset_id":
        notes.append(f"This data set is a single study: **where it says study from here on, read `{batch}`.**")
        adata = adata.copy()
        adata.obs["dataset_id"] = adata.obs[batch].astype(object).fillna("unknown").astype(str)
    return adata, usable, "\n\n".join(notes)


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
        ``gestational_age_days``; ``one_sex``: whether all known are of one. Largest group first.

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
    table["one_sex"] = (table["sex_known"] > 0) & (table[["female", "male"]].max(axis=1) == table["sex_known"])
    table = table.rename_axis("group").reset_index()
    return table.sort_values(["n_samples", "group"], ascending=[False, True], ignore_index=True)


def shared_studies(adata: ad.AnnData) -> pd.DataFrame:
    """Count the samples that were left out because a joined collection holds them too, most first.

    Returns
    -------
    DataFrame
        ``dataset_id, removed_dataset_id`` (its id in the other collection), ``by`` (the accession that tells) and
        ``removed`` (samples); no rows where nothing was joined.
    """
    keys = ["dataset_id", "removed_dataset_id", "by"]
    overlap = adata.uns["srna"].get("overlap", pd.DataFrame(columns=[*keys, "removed"]))
    table = overlap.groupby(keys)["removed"].size().reset_index()
    return table.sort_values(["removed", *keys], ascending=[False, True, True, True], ignore_index=True)
