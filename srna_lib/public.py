"""Public files -> atlas. One function per data set; names of samples and sRNAs stay those of the source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.atlas import make_atlas
from srna_lib.errors import InputError
from srna_lib.ontology import ANNOTATED, annotate_labels
from srna_lib.sources import coded, plain, read_experiment, read_rda, read_table

MIROME_OBS = {
    "SRA": "dataset_id",
    "Class": "cell_class",
    "CellType": "cell_type",
    "Model": "platform",
    "Run": "run",
    "BioProject": "bioproject",
    "BioSample": "biosample",
    "CenterName": "center",
    "PMID": "pmid",
    "LibrarySelection": "library_selection",
    "Total_reads": "reads_total",
    "All_miRNA_Reads": "reads_mirna",
    "mature tRNA Reads": "reads_trna",
    "snoRNA Reads": "reads_snorna",
    "rRNA Reads": "reads_rrna",
    "mRNA Reads": "reads_mrna",
}
MICRORNAOME_OBS = {
    "cell_tissue": "cell_tissue",
    "organ": "organ",
    "sample_category": "sample_category",
    "sequencer": "platform",
    "library_prep": "library_protocol",
    "total_input_reads": "reads_total",
    "filtered_miRNA_reads": "reads_mirna",
}
LGRC_OBS = {
    "Pack_Years": "pack_years",
    "FEV1_Percent": "fev1_percent",
    "Flow_Cell": "flow_cell",
    "Lane": "lane",
    "Protocol": "library_protocol",
    "Total_Reads": "reads_total",
    "Mirna_Reads": "reads_mirna",
}


def read_mirome(path: Path | str, info: dict[str, Any]) -> ad.AnnData:
    """Cellular microRNAome: the R data file of Patil et al. 2022 (miRge3 counts).

    Parameters
    ----------
    path : path
        ``data.rda`` with the frames ``expression_df`` (sRNAs x samples) and ``metadata``.
    info : dict
        Registry entry that goes to ``uns["srna"]``.

    Returns
    -------
    AnnData, shape (2077, 2731)
        Samples named by SRS accession; ``dataset_id`` is the SRP accession, ``tissue_group`` follows the
        source's class (the rest class ``Other`` stays as it is and is left out by `labels.make_task`). The other
        labels come from the cell type by `ontology.annotate_labels`, whose group is ``ontology_group`` here.

    Raises
    ------
    InputError
        When the file is no R data file or lacks a frame or a column.
    """
    frames = read_rda(path)
    for frame in ("expression_df", "metadata"):
        if frame not in frames:
            raise InputError(
                f"{path}: the frame {frame!r} is missing (found: {', '.join(frames)});"
                " expected expression_df and metadata."
            )
    counts, metadata = frames["expression_df"].T, frames["metadata"]
    lacking = [c for c in ("Sample", "SRA", "Class", "CellType") if c not in metadata]
    if lacking:
        raise InputError(f"{path}: metadata lacks the columns {', '.join(lacking)}; expected them for every sample.")
    unknown = counts.index.difference(metadata["Sample"])
    if len(unknown):
        raise InputError(
            f"{path}: metadata has no row for {len(unknown)} samples (first: {str(unknown[0])!r});"
            " expected one for each."
        )
    obs = metadata.set_index("Sample").rename(columns=MIROME_OBS)
    obs = obs[[c for c in MIROME_OBS.values() if c in obs]]
    obs = obs.apply(plain)
    labels = annotate_labels(obs, "mirome", "cell_type")
    obs["tissue_group"] = obs["cell_class"]
    for column in ANNOTATED:
        values = labels[column].eq(True) if column in ("is_cell_line", "in_vitro_derived") else labels[column]
        obs["ontology_group" if column == "tissue_group" else column] = (
            values if values.notna().any() else values.astype(float)
        )
    return make_atlas(counts, obs.loc[counts.index], mature(counts.columns), info=info)


def read_micrornaome(path: Path | str, info: dict[str, Any]) -> ad.AnnData:
    """Human microRNAome: the R data file of McCall et al. 2017 (miRge counts).

    Parameters
    ----------
    path : path
        ``microRNAome.rda`` with one S4 object ``SummarizedExperiment``.
    info : dict
        Registry entry that goes to ``uns["srna"]``.

    Returns
    -------
    AnnData, shape (1312, 2546)
        Samples named as in the source: run accessions, or FANTOM5's DRS sample accessions; ``run`` and
        ``sample_accession`` say which, for finding samples that another collection holds too. ``cell_tissue`` is
        the source's label of all samples; ``tissue``, ``cell_type`` or ``cell_line`` repeats it by category.

    Raises
    ------
    InputError
        When the file is no such R data file.
    """
    counts, metadata = read_experiment(path)
    lacking = [c for c in ("sample_id", "study_id", "flagged", *MICRORNAOME_OBS) if c not in metadata]
    if lacking:
        raise InputError(f"{path}: colData lacks the columns {', '.join(lacking)}; expected them for every sample.")
    # names of the matrix are others (working titles of the authors), so position joins; the totals prove it
    totals = counts.sum(axis=1).to_numpy()
    published = metadata["filtered_miRNA_reads"].to_numpy()
    if len(totals) != len(published) or (np.abs(totals - published) > 0.1 * published).any():
        raise InputError(f"{path}: the sums of counts are not filtered_miRNA_reads; expected samples in one order.")
    names = counts.index
    metadata = metadata.set_index("sample_id")
    counts.index = metadata.index
    obs = metadata.rename(columns=MICRORNAOME_OBS)[list(MICRORNAOME_OBS.values())].apply(plain)
    study = metadata["study_id"].astype(int).astype(str)
    by_run = metadata.index.str.match(r"[SED]RR\d+$")
    accession = pd.Series(metadata.index, index=metadata.index, dtype=object)
    obs["dataset_id"] = "micrornaome-" + study
    obs["source_name"] = np.asarray(names, dtype=object)
    obs["run"] = accession.where(by_run)
    obs["sample_accession"] = accession.where(~by_run)
    obs["library_protocol"] = obs["library_protocol"].replace("unknown", np.nan)
    for column, category in (("tissue", "tissue"), ("cell_type", "cell_type"), ("cell_line", "cancer_cell_line")):
        obs[column] = obs["cell_tissue"].where(obs["sample_category"] == category)
    obs["is_cell_line"] = obs["sample_category"] == "cancer_cell_line"
    obs["flagged"] = metadata["flagged"].astype(bool)
    return make_atlas(counts, obs, mature(counts.columns), info=info)


def read_tissue_atlas2(path: Path | str, info: dict[str, Any]) -> ad.AnnData:
    """Organs of six donors, miRNATissueAtlas2 (Keller et al. 2022), as the authors of miRTS keep it.

    A miRNA with several loci is given as the mean over them, which is no whole number in about one cell of a
    hundred. Those are rounded to the nearest whole number, halves up; a depth changes by less than ten reads.
    ``uns["srna"]["rounded"]`` says how many cells.

    Parameters
    ----------
    path : path
        The table, sRNAs x samples; columns ``organ__subregion__donor[.replicate]``.
    info : dict
        Registry entry that goes to ``uns["srna"]``.

    Returns
    -------
    AnnData, shape (185, 2267)
        ``tissue`` is the organ and ``subregion`` the part of it, spelt as in the source.

    Raises
    ------
    InputError
        When the file is no such table.
    """
    table = read_table(path, index_col=0).T
    parts = table.index.str.extract(r"^(?P<tissue>.+?)__(?P<subregion>.+)__(?P<donor_id>\d+)(?:\.(?P<replicate>\d+))?$")
    parts.index = table.index
    odd = parts.index[parts["donor_id"].isna()]
    if len(odd):
        raise InputError(f"{path}: the column {odd[0]!r} is unexpected; expected organ__subregion__donor[.replicate].")
    parts["donor_id"] = "TA2-" + parts["donor_id"]
    parts["replicate"] = parts["replicate"].fillna("0").astype(int)
    parts["dataset_id"] = info.get("name", "tissue_atlas2")
    parts["is_cell_line"] = False
    try:
        values = table.to_numpy(dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{path}: the table holds text ({error}); expected numbers only.") from error
    whole = np.floor(values + 0.5)
    rounded = int((whole != values).sum() - np.isnan(values).sum())
    counts = pd.DataFrame(whole, index=table.index, columns=table.columns)
    return make_atlas(counts, parts, mature(counts.columns), info={**info, "rounded": rounded})


def read_lgrc(
    counts_path: Path | str, phenotypes_path: Path | str, info: dict[str, Any], *, loci: str = "sum"
) -> ad.AnnData:
    """Lungs with COPD or interstitial disease and controls: Lung Genomics Research Consortium.

    Parameters
    ----------
    counts_path : path
        Loci x samples, tab-separated; ``V4`` is the miRBase 18 name. Technical repeats (``_HiSeq`` and the like)
        stay out.
    phenotypes_path : path
        One row per sample. Sex is coded 1 and 2, which the source does not explain: 1 is taken as male.
    info : dict
        Registry entry that goes to ``uns["srna"]``.
    loci : str, default "sum"
        What becomes of a miRNA with several loci: ``"sum"``, or ``"max"`` for the largest count of each sample.
        The source counts a read at every locus that it maps to: with ``"max"`` a sample's total is its published
        number of miRNA reads within two percent, with ``"sum"`` it is about a third more. Within this data set it
        hardly matters; choose ``"max"`` to compare levels with other data sets.

    Returns
    -------
    AnnData, shape (351, 1919)
        ``diagnosis``, ``sex``, ``age_years``, ``flow_cell``, ``library_protocol`` and others in ``obs``.

    Raises
    ------
    InputError
        When a file is no such table, a sample has no counts, or `loci` is unknown.
    """
    if loci not in ("sum", "max"):
        raise InputError(f"lgrc: unknown loci={loci!r}; expected 'sum' or 'max'.")
    table = read_table(counts_path, ("V4",), sep="\t")
    people = read_table(phenotypes_path, ("Disease", "Gender", "Age", *LGRC_OBS), sep="\t", index_col=0)
    people.index = people.index.astype(str)
    lacking = [name for name in people.index if name not in table]
    if lacking:
        raise InputError(f"{counts_path}: {len(lacking)} samples have no counts (first: {lacking[0]!r}); expected all.")
    counts = table.groupby("V4", sort=False)[list(people.index)].agg(loci).T
    obs = people[list(LGRC_OBS)].rename(columns=LGRC_OBS).apply(plain)
    obs["dataset_id"] = info.get("name", "lgrc")
    obs["donor_id"], obs["lobe"] = people.index.str[:8], people.index.str[8:]
    obs["tissue"] = "lung"
    obs["sex"] = coded(people["Gender"], {1: "male", 2: "female"}, phenotypes_path)
    obs["age_years"] = people["Age"].astype(float)
    obs["diagnosis"] = coded(people["Disease"], {0: "control", 1: "ILD", 2: "COPD"}, phenotypes_path)
    obs["is_cell_line"] = False
    counts.columns.name = None
    return make_atlas(counts, obs, mature(counts.columns), info={**info, "loci": loci})


def read_fetal_lung(counts_path: Path | str, metadata_path: Path | str, info: dict[str, Any]) -> ad.AnnData:
    """Fetal lungs of 54 to 117 days, GEO GSE200153.

    Parameters
    ----------
    counts_path : path
        sRNAs x samples, tab-separated.
    metadata_path : path
        One row per sample: ``Sample, Age, SexMale, SmokeExposure, Run``.
    info : dict
        Registry entry that goes to ``uns["srna"]``.

    Returns
    -------
    AnnData, shape (298, 899)
        ``sex``, ``gestational_age_days``, ``smoke_exposure``, ``sequencing_run`` in ``obs``.

    Raises
    ------
    InputError
        When a file is no such table or their samples differ.
    """
    counts = read_table(counts_path, sep="\t", index_col=0).T
    metadata = read_table(metadata_path, ("Sample", "Age", "SexMale", "SmokeExposure", "Run"), sep="\t")
    metadata = metadata.set_index("Sample")
    if sorted(counts.index) != sorted(metadata.index):
        raise InputError(f"{metadata_path}: the samples are not those of {counts_path}; expected one row for each.")
    metadata = metadata.loc[counts.index]
    obs = pd.DataFrame({"dataset_id": info.get("name", "fetal_lung"), "donor_id": metadata.index}, index=counts.index)
    obs["tissue"] = "lung"
    obs["sex"] = coded(metadata["SexMale"], {0: "female", 1: "male"}, metadata_path)
    obs["gestational_age_days"] = metadata["Age"].astype(float)
    obs["smoke_exposure"] = metadata["SmokeExposure"] == 1
    obs["sequencing_run"] = metadata["Run"].astype(object)
    obs["is_cell_line"] = False
    counts.columns.name = None
    return make_atlas(counts, obs, mature(counts.columns), info=info)


def mature(names: pd.Index) -> pd.DataFrame:
    """Annotation of mature miRNAs: biotype and level, on these names."""
    return pd.DataFrame({"biotype": "miRNA", "level": "mature"}, index=names)
