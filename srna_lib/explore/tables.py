"""Tables about an atlas: what is in it, how deep, how sparse, and which classes hang on few studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.data import check_column, counts_frame
from srna_lib.errors import InputError

LABELS = ("tissue_group", "tissue", "cell_tissue", "cell_class", "diagnosis", "tumour_normal", "sex")
BATCHES = ("flow_cell", "sequencing_run", "plate", "donor_id")


def summarise(adata: ad.AnnData, label: str = "tissue_group") -> pd.DataFrame:
    """Count what is in an atlas: a number (``value``) for each quantity that it knows, classes being those of `label`.

    Examples
    --------
    >>> import srna_lib as srna
    >>> srna.explore.summarise(srna.load("demo")).loc[["samples", "studies"], "value"].to_dict()
    {'samples': 1200.0, 'studies': 60.0}
    """
    labels, reads = _column(adata, label), _reads(adata)
    values = {
        "samples": adata.n_obs,
        "studies": adata.obs["dataset_id"].nunique(),
        "donors": adata.obs["donor_id"].nunique() if "donor_id" in adata.obs else np.nan,
        f"classes of {label}": labels.nunique(),
        f"samples without {label}": labels.isna().sum(),
        "sRNAs": adata.n_vars,
        "biotypes": adata.var["biotype"].nunique(),
        "reads": reads.sum(),
        "median reads of a sample": np.median(reads),
        "zeros, share of all counts": 1 - adata.X.astype(bool).sum() / (adata.n_obs * adata.n_vars),
    }
    return pd.DataFrame({"value": pd.Series(values, dtype=float)}).dropna().rename_axis("quantity")


def sample_table(adata: ad.AnnData, label: str = "tissue_group") -> pd.DataFrame:
    """``dataset_id, class, reads, n_detected`` (sRNAs with a read) and ``zero_share`` of every sample."""
    table = pd.DataFrame({"dataset_id": adata.obs["dataset_id"].astype(str), "class": _column(adata, label)})
    table["reads"], table["n_detected"] = _reads(adata), np.asarray((adata.X > 0).sum(axis=1)).ravel()
    return table.assign(zero_share=1 - table["n_detected"] / adata.n_vars)


def depth_facts(samples: pd.DataFrame) -> pd.Series:
    """How much the depth in `sample_table` differs; NaN without counts.

    ``low, high`` (reads; nine samples in ten lie between), ``class_factor`` (largest median of a class over the
    smallest) and ``detected`` (rank correlation of depth and number of sRNAs detected).
    """
    low, high = samples["reads"].quantile([0.05, 0.95])
    medians = samples.groupby("class")["reads"].median()
    detected = samples["reads"].corr(samples["n_detected"], method="spearman")
    return pd.Series({"low": low, "high": high, "class_factor": medians.max() / medians.min(), "detected": detected})


def study_table(adata: ad.AnnData, label: str = "tissue_group") -> pd.DataFrame:
    """``dataset_id, n_samples, n_classes, main_class, median_reads`` of every study, largest first."""
    by_study = sample_table(adata, label).groupby("dataset_id")
    table = by_study["class"].agg(["size", "nunique"]).set_axis(["n_samples", "n_classes"], axis=1)
    table["main_class"] = by_study["class"].agg(lambda s: next(iter(s.value_counts().index), np.nan))
    table["median_reads"] = by_study["reads"].median()
    return table.sort_values("n_samples", ascending=False, kind="stable").reset_index()


def study_class_counts(adata: ad.AnnData, label: str = "tissue_group") -> pd.DataFrame:
    """Count samples of every study (rows, largest first) and class (columns, largest first)."""
    table = pd.crosstab(adata.obs["dataset_id"].astype(str), _column(adata, label).to_numpy())
    rows, columns = (table.sum(axis=i).sort_values(ascending=False, kind="stable").index for i in (1, 0))
    return table.loc[rows, columns].rename_axis(index="dataset_id", columns="class")


def class_table(adata: ad.AnnData, label: str = "tissue_group") -> pd.DataFrame:
    """``class, n_samples, n_studies, largest_study, largest_share, effective_studies``, largest class first.

    ``effective_studies`` is the number of equally large studies that would be as diverse, 1 / sum(share^2).
    """
    counts = study_class_counts(adata, label)
    shares = counts / counts.sum()
    table = pd.DataFrame({"n_samples": counts.sum(), "n_studies": (counts > 0).sum()})
    table["largest_study"], table["largest_share"] = shares.idxmax(), shares.max()
    return table.assign(effective_studies=1 / (shares**2).sum()).reset_index()


def biotype_table(adata: ad.AnnData) -> pd.DataFrame:
    """Number of sRNAs of each biotype, share of all reads, and mean share of a sample's reads."""
    reads, biotype = _reads(adata), adata.var["biotype"].astype(str)
    by = counts_frame(adata).T.groupby(biotype).sum().T
    table = pd.DataFrame({"n_srnas": biotype.value_counts(), "share_of_reads": by.sum() / max(reads.sum(), 1)})
    table["mean_share_in_sample"] = by.div(np.where(reads > 0, reads, 1), axis=0).mean()
    return table.rename_axis("biotype").sort_values("n_srnas", ascending=False, kind="stable").reset_index()


def duplicate_profiles(adata: ad.AnnData) -> pd.DataFrame:
    """``sample_id, dataset_id, group`` of samples with exactly the same counts: one library twice in the atlas."""
    rows = pd.Series([row.tobytes() for row in counts_frame(adata).to_numpy()], index=adata.obs_names)
    rows = rows[rows.duplicated(keep=False)]
    studies = adata.obs.loc[rows.index, "dataset_id"].astype(str).to_numpy()
    table = pd.DataFrame({"sample_id": rows.index, "dataset_id": studies, "group": pd.factorize(rows)[0]})
    return table.sort_values("group", kind="stable").reset_index(drop=True)


def zero_share(counts: pd.DataFrame) -> pd.Series:
    """Share of samples without a single read, for each sRNA."""
    return (counts == 0).mean(axis=0).rename("zero_share")


def filter_effect(counts: pd.DataFrame, thresholds: Sequence[float], y: pd.Series) -> pd.DataFrame:
    """What a filter on zeros keeps, one row per highest share of zeros (the paper's filter is 0.3).

    ``max_zero_share, n_features, share_features, share_reads`` (mean over samples of the share of reads that stays; NaN
    where values are no counts) and ``n_lost_markers``: dropped although they meet the threshold within a class of `y`.
    """
    if any(not 0 <= t <= 1 for t in thresholds):
        raise InputError(f"thresholds {list(thresholds)}: expected shares of zeros from 0 to 1.")
    zeros, best = zero_share(counts), (counts == 0).groupby(y.to_numpy()).mean().min(axis=0)
    size = counts.sum(axis=1)
    relative = counts.div(size.where(size > 0, 1), axis=0).mean() * (1 if is_counts(counts) else np.nan)
    rows = []
    for threshold in thresholds:
        keep = zeros <= threshold
        row = {"max_zero_share": threshold, "n_features": keep.sum(), "share_features": keep.mean()}
        row |= {"share_reads": relative[keep].sum(skipna=False), "n_lost_markers": (~keep & (best <= threshold)).sum()}
        rows.append(row)
    return pd.DataFrame(rows)


def lost_markers(counts: pd.DataFrame, y: pd.Series, max_zero_share: float = 0.3) -> pd.DataFrame:
    """List the sRNAs that a filter over all samples drops although a class has them, the most contrasting first.

    ``srna, class`` (where it has fewest zeros), ``zero_share_in_class, zero_share``.
    """
    by_class, overall = (counts == 0).groupby(y.to_numpy()).mean(), zero_share(counts)
    columns = {"class": by_class.idxmin(), "zero_share_in_class": by_class.min(), "zero_share": overall}
    table = pd.DataFrame(columns).rename_axis("srna")
    table = table[(overall > max_zero_share) & (table["zero_share_in_class"] <= max_zero_share)]
    order = (table["zero_share"] - table["zero_share_in_class"]).sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index()


def readable(table: pd.DataFrame, formats: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Copy a table for display: columns printed by format strings (``"{:.0%}"``), unknown values left empty.

    Its first column names the rows; a table without rows says so.
    """
    if table.empty:
        return pd.DataFrame({"": ["none in this data set"]})
    printed = table.set_index(table.columns[0]) if isinstance(table.index, pd.RangeIndex) else table.copy()
    for column, text in (formats or {}).items():
        printed[column] = [text.format(value) if pd.notna(value) else "" for value in printed[column]]
    return printed if printed.index.nlevels > 1 else printed.rename_axis(index=None, columns=printed.index.name)


def is_counts(values: pd.DataFrame) -> bool:
    """Whether all values are whole numbers, as raw counts are."""
    return bool((values.to_numpy() % 1 == 0).all())


def prepare(adata: ad.AnnData, label: str, *, min_class_size: int = 15) -> tuple[ad.AnnData, str, int, str]:
    """Choose what stands for class and for study where the data set lacks the label, is small, or is a single study.

    Returns the atlas (a copy whose ``dataset_id`` is the batch where it is one study), the label, the size of its
    smallest class, and a note in Markdown that says what was chosen, empty where it is what was asked for.
    """
    least, notes = usable_size(adata, label, min_class_size), []
    usable, batch = usable_label(adata, label, min_class_size=least), usable_batch(adata)
    if usable != label:
        notes.append(f"`{label}` has no two classes that are large enough: **the class is `{usable}` from here on.**")
    if least != min_class_size:
        notes.append(f"No two classes have {min_class_size} samples: **classes of at least {least} are looked at.**")
    if batch != "dataset_id":
        notes.append(f"This data set is a single study: **where it says study from here on, read `{batch}`.**")
        adata = adata.copy()
        adata.obs["dataset_id"] = adata.obs[batch].astype(object).fillna("unknown").astype(str)
    return adata, usable, least, "\n\n".join(notes)


def usable_size(adata: ad.AnnData, wanted: str, min_class_size: int) -> int:
    """The size that is wanted if any label has two classes of it, else the second largest class's, five at least."""
    second = {c: adata.obs[c].value_counts().iloc[1:2].sum() for c in (wanted, *LABELS) if c in adata.obs}
    most = max(second.values(), default=0)
    if most >= min_class_size:
        return min_class_size
    return min(min_class_size, max(5, int(second[wanted] if second.get(wanted, 0) >= 5 else most)))


def usable_label(adata: ad.AnnData, wanted: str = "tissue_group", *, min_class_size: int = 15) -> str:
    """The label that is wanted if it has two classes of `min_class_size`, else that of `LABELS` with most samples."""
    covered = {}
    for column in dict.fromkeys(c for c in (wanted, *LABELS) if c in adata.obs):
        sizes = adata.obs[column].value_counts()
        if (sizes >= min_class_size).sum() > 1:
            covered[column] = int(sizes[sizes >= min_class_size].sum())
    if not covered:
        two = f"two classes of at least {min_class_size} samples"
        raise InputError(f"neither obs[{wanted!r}] nor another label has {two}; expected one (lower min_class_size).")
    return wanted if wanted in covered else max(covered, key=covered.__getitem__)


def choose_column(adata: ad.AnnData, wanted: str, candidates: Sequence[str], default: str) -> str:
    """The column of ``obs`` that is `wanted`; of ``"auto"`` the first of `candidates` that is there, else `default`."""
    if wanted == "auto":
        return next((c for c in candidates if c in adata.obs), default)
    check_column(adata, wanted)
    return wanted


def usable_batch(adata: ad.AnnData) -> str:
    """What splits the samples into batches: the study, or within a single one the first of `BATCHES` that will do."""
    n = adata.obs.nunique()
    many = [c for c in BATCHES if c in n and 1 < n[c] <= adata.n_obs / 5]
    return many[0] if many and n["dataset_id"] == 1 else "dataset_id"


def people(adata: ad.AnnData, by: str = "tissue_group") -> pd.DataFrame:
    """Of how many samples of every class or study (column `by`) sex and age are known, largest group first.

    ``group, n_samples, female, male, sex_known, age_known``: shares of its samples; age is ``age_years`` or
    ``gestational_age_days``; ``one_sex``: whether all known are of one.
    """
    groups, sex = _column(adata, by), adata.obs.get("sex", pd.Series(index=adata.obs_names, dtype=object))
    known = pd.DataFrame({"female": sex == "female", "male": sex == "male", "sex_known": sex.notna()})
    known["age_known"] = adata.obs.reindex(columns=["age_years", "gestational_age_days"]).notna().any(axis=1)
    grouped = known.astype(float).groupby(groups.to_numpy())
    table = grouped.mean()
    table.insert(0, "n_samples", grouped.size())
    table["one_sex"] = (table["sex_known"] > 0) & (table[["female", "male"]].max(axis=1) == table["sex_known"])
    table = table.rename_axis("group").reset_index()
    return table.sort_values(["n_samples", "group"], ascending=[False, True], ignore_index=True)


def shared_studies(adata: ad.AnnData) -> pd.DataFrame:
    """Count the samples that were left out because a joined collection holds them too, most first.

    ``dataset_id, removed_dataset_id`` (its id in the other collection), ``by`` (the accession that tells) and
    ``removed`` (samples); no rows where nothing was joined.
    """
    keys = ["dataset_id", "removed_dataset_id", "by"]
    overlap = adata.uns["srna"].get("overlap", pd.DataFrame(columns=[*keys, "removed"]))
    table = overlap.groupby(keys)["removed"].size().reset_index()
    return table.sort_values(["removed", *keys], ascending=[False, True, True, True], ignore_index=True)


def protocol_factors(pool: ad.AnnData, by: str = "library_protocol", *, prior: float = 1.0) -> pd.DataFrame:
    """Measure by what factor a library protocol shifts each miRNA, in a pool of equal amounts.

    Parameters
    ----------
    pool, by
        Libraries of one equimolar pool, as ``srna.load("protocols")``, of which only sRNAs with ``var["in_pool"]``
        count; column of ``obs`` that names the protocol.
    prior : float, default 1.0
        Added to reads per million before the logarithm.

    Returns
    -------
    DataFrame, one row per sRNA and protocol
        ``protocol, srna``, ``log2_ratio`` of the protocol's mean (of libraries in a study, then of studies) to the mean
        of protocols, less the median of the protocol, and the numbers of ``studies`` and ``libraries`` behind it.

    Examples
    --------
    >>> import srna_lib as srna
    >>> counts = pd.DataFrame([[8000, 1000, 1000], [1000, 1000, 8000]], columns=["a", "b", "c"], index=["x", "y"])
    >>> obs = pd.DataFrame({"dataset_id": "lab", "library_protocol": ["TruSeq", "4N"]}, index=["x", "y"])
    >>> var = pd.DataFrame({"in_pool": True}, index=["a", "b", "c"])
    >>> pool = srna.data.make_atlas(counts, obs, var, info={"name": "pool"})
    >>> protocol_factors(pool)["log2_ratio"].round(1).tolist()
    [-1.5, 1.5, 0.0, 0.0, 1.5, -1.5]
    """
    protocol, study = _column(pool, by), pool.obs["dataset_id"].astype(str)
    counts = counts_frame(pool[:, pool.var["in_pool"].to_numpy(dtype=bool)])
    levels = np.log2(1e6 * counts.div(counts.sum(axis=1).clip(lower=1), axis=0) + prior)
    means = levels.groupby([protocol.rename("protocol"), study]).mean().groupby("protocol").mean()
    ratios = means - means.mean()
    ratios = ratios.sub(ratios.median(axis=1), axis=0).reset_index()
    table = ratios.melt("protocol", var_name="srna", value_name="log2_ratio")
    behind = study.groupby(protocol).agg(studies="nunique", libraries="size").rename_axis("protocol")
    return table.join(behind, on="protocol")


def _column(adata: ad.AnnData, name: str) -> pd.Series:
    """A column of ``obs``, or a refusal that lists what there is."""
    check_column(adata, name)
    return adata.obs[name].astype(object)


def _reads(adata: ad.AnnData) -> np.ndarray:
    """Reads of each sample; NaN where the values of the atlas are no counts."""
    counted = adata.uns["srna"].get("quantity", "counts") == "counts"
    return np.asarray(adata.X.sum(axis=1), dtype=float).ravel() if counted else np.full(adata.n_obs, np.nan)
