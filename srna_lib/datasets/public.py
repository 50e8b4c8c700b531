"""Public files -> atlas: one function per collection, and the union of three of them.

Each takes the files in registry order and `info`, the registry entry that goes to ``uns["srna"]``; keywords are options
of `load`. A file that is not what its reader expects is refused.
"""

from __future__ import annotations

import lzma
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.data import (
    ANNOTATED,
    annotate,
    annotate_labels,
    counts_frame,
    harmonise,
    join_names,
    make_atlas,
    match_names,
    numbers_of,
    resource,
)
from srna_lib.errors import InputError, expect

Tables = dict[str, pd.DataFrame]  # by collection
RDA = ("R data file", "an R data file (.rda)")
UNREADABLE = (ValueError, LookupError, EOFError, OSError, NotImplementedError, lzma.LZMAError, zlib.error)


@contextmanager
def readable(path: Path | str, kind: str, expected: str, *further: type[Exception]) -> Iterator[None]:
    """Refuse a file that is not there or that its reader cannot read."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; expected {expected}.") from error
    except UNREADABLE + further as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: this is no readable {kind} ({reason}); expected {expected}.") from error


def require(table: pd.DataFrame, columns: Iterable[str], where: str) -> None:
    """Refuse a table that lacks columns."""
    if lacking := [c for c in columns if c not in table]:
        raise InputError(f"{where} the columns {', '.join(lacking)}; expected them for every sample.")


def read_rda(path: Path | str) -> dict[str, Any]:
    """Name of each object in an R data file -> DataFrame or array."""
    import rdata

    with warnings.catch_warnings(), readable(path, *RDA):
        # readr leaves its column specification as an attribute; rdata has no class for it, nor do we.
        warnings.filterwarnings("ignore", message="Missing constructor for R class")
        return rdata.read_rda(path, default_encoding="latin-1", force_default_encoding=True)


def read_experiment(path: Path | str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """First assay (samples x features) and ``colData`` of an R data file that holds one ``SummarizedExperiment``."""
    objects = read_rda(path)
    try:
        (experiment,) = objects.values()
        matrix = next(iter(experiment.assays.data.listData.values()))
        features, samples = (list(matrix.indexes[axis]) for axis in matrix.dims)
        described = {str(name): values for name, values in experiment.colData.listData.items()}
        return pd.DataFrame(matrix.to_numpy().T, index=samples, columns=features), pd.DataFrame(described)
    except (AttributeError, KeyError, TypeError, ValueError, StopIteration) as error:
        raise InputError(
            f"{path}: the object in it cannot be walked ({error!r}); expected one SummarizedExperiment with an assay,"
            " its dimnames and colData."
        ) from error


def read_table(path: Path | str, columns: tuple[str, ...] = (), **options: Any) -> pd.DataFrame:
    """Read a delimited text file (`pandas.read_csv` with its options) that must have some columns."""
    with readable(path, "table", "delimited text", zipfile.BadZipFile):
        table = pd.read_csv(path, **options)
    require(table, columns, f"{path}: the table lacks")
    return table


def coded(values: pd.Series, codes: dict[Any, str], path: Path | str) -> pd.Series:
    """Translate the codes of a source into words; missing stays NaN, an unknown code is refused."""
    unknown = sorted(set(values.dropna()) - set(codes), key=str)
    if unknown:
        raise InputError(f"{path}: {values.name} holds {unknown[0]!r}; expected one of {', '.join(map(str, codes))}.")
    return values.map(codes).astype(object)


def rows_of(metadata: pd.DataFrame, counts: pd.DataFrame, path: Path | str, counts_path: Path | str) -> pd.DataFrame:
    """Metadata in the order of the counts; refused where the two are not of the same samples."""
    if sorted(counts.index) != sorted(metadata.index):
        raise InputError(f"{path}: the samples are not those of {counts_path}; expected one row for each.")
    return metadata.loc[counts.index]


def plain(column: pd.Series) -> pd.Series:
    """Give a column a type that .h5ad can hold: float for numbers, object for text."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    return column.astype(object).where(column.notna(), np.nan)


def whole_numbers(counts: pd.DataFrame, info: dict[str, Any]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Counts that were shared out, rounded, and `info` with the number of cells that this changed."""
    return counts.round(), {**info, "rounded": int((counts % 1 != 0).to_numpy().sum())}


def obs_columns(source: str) -> dict[str, str]:
    """Columns of a source's table, and what they are called in ``obs``."""
    table = resource("source_columns.tsv").set_index("source").loc[[source]]
    return dict(zip(table["column"], table["obs"], strict=True))


def read_mirome(path: Path | str, info: dict[str, Any]) -> ad.AnnData:
    """Cellular microRNAome: the R data file of Patil et al. 2022 (miRge3 counts), 2077 samples x 2731 miRNAs."""
    # Samples are named by SRS accession. dataset_id is the SRP accession, of several studies of one paper or with the
    # same libraries that of the first (their own is source_dataset_id); tissue_group follows the source's class (the
    # rest class Other stays), the other labels come from the cell type, whose group is ontology_group here.
    frames = read_rda(path)
    if not {"expression_df", "metadata"} <= frames.keys():
        raise InputError(f"{path}: found the frames {', '.join(frames)}; expected expression_df and metadata.")
    counts, metadata = frames["expression_df"].T, frames["metadata"]
    require(metadata, ("Sample", "SRA", "Class", "CellType"), f"{path}: metadata lacks")
    unknown = counts.index.difference(metadata["Sample"])
    if len(unknown):
        first = f"{len(unknown)} samples (first: {str(unknown[0])!r})"
        raise InputError(f"{path}: metadata has no row for {first}; expected one for each.")
    columns = obs_columns("mirome")
    obs = metadata.set_index("Sample").rename(columns=columns)
    obs = obs[[c for c in columns.values() if c in obs]].apply(plain)
    obs["source_dataset_id"], obs["dataset_id"] = obs["dataset_id"], obs["dataset_id"].replace(ONE_UNIT)
    labels = annotate_labels(obs, "mirome", "cell_type")
    obs["tissue_group"] = obs["cell_class"]
    labels = labels[ANNOTATED].rename(columns={"tissue_group": "ontology_group"})
    for column, values in labels.items():
        values = values.eq(True) if column in ("is_cell_line", "in_vitro_derived") else values
        obs[column] = values if values.notna().any() else values.astype(float)
    return make_atlas(counts, obs.loc[counts.index], mature(counts.columns), info=info)


def read_micrornaome(path: Path | str, info: dict[str, Any]) -> ad.AnnData:
    """Human microRNAome: the R data file of McCall et al. 2017 (miRge counts), 1312 samples x 2546 miRNAs."""
    # Samples are named by run, or by FANTOM5's DRS sample accession; run and sample_accession say which, for finding
    # samples that another collection holds too. tissue, cell_type or cell_line repeats cell_tissue by category.
    (counts, metadata), columns = read_experiment(path), obs_columns("micrornaome")
    require(metadata, ("sample_id", "study_id", "flagged", *columns), f"{path}: colData lacks")
    # names of the matrix are others (working titles of the authors), so position joins; the totals prove it
    totals = counts.sum(axis=1).to_numpy()
    published = metadata["filtered_miRNA_reads"].to_numpy()
    if len(totals) != len(published) or (np.abs(totals - published) > 0.1 * published).any():
        raise InputError(f"{path}: the sums of counts are not filtered_miRNA_reads; expected samples in one order.")
    names, metadata = counts.index, metadata.set_index("sample_id")
    counts.index = metadata.index
    obs = metadata.rename(columns=columns)[list(columns.values())].apply(plain)
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
    """Organs of six donors, miRNATissueAtlas2 (Keller et al. 2022), as the authors of miRTS keep it: 185 x 2267."""
    # A miRNA with several loci is given as the mean over them, which is no whole number in about one cell of a hundred.
    # Those are rounded to the nearest whole number, halves up; a depth changes by less than ten reads.
    table = read_table(path, index_col=0).T
    pattern = r"^(?P<tissue>.+?)__(?P<subregion>.+)__(?P<donor_id>\d+)(?:\.(?P<replicate>\d+))?$"
    names = table.index.str.extract(pattern).set_axis(table.index)
    for odd in names.index[names["donor_id"].isna()]:
        raise InputError(f"{path}: the column {odd!r} is unexpected; expected organ__subregion__donor[.replicate].")
    obs = names.assign(donor_id="TA2-" + names["donor_id"], replicate=names["replicate"].fillna("0").astype(int))
    obs = obs.assign(dataset_id=info.get("name", "tissue_atlas2"), is_cell_line=False)
    values = numbers_of(table, f"{path}: the table holds")
    counts = np.floor(values + 0.5)
    rounded = int(((counts != values) & values.notna()).to_numpy().sum())
    return make_atlas(counts, obs, mature(counts.columns), info={**info, "rounded": rounded})


def read_lgrc(
    counts_path: Path | str, phenotypes_path: Path | str, info: dict[str, Any], *, loci: str = "sum"
) -> ad.AnnData:
    """Lungs with COPD or interstitial disease and controls (Lung Genomics Research Consortium): 351 x 1919.

    A miRNA with several loci gets their `loci`: ``"sum"``, or ``"max"`` for the largest count of each sample. The
    source counts a read at every locus that it maps to: with ``"max"`` a sample's total is its published number of
    miRNA reads within two percent, with ``"sum"`` it is about a third more. Within this data set it hardly matters;
    choose ``"max"`` to compare levels with other data sets.
    """
    # loci x samples, V4 is the miRBase 18 name; technical repeats (_HiSeq and the like) stay out
    expect(loci in ("sum", "max"), f"lgrc: unknown loci={loci!r}; expected 'sum' or 'max'")
    table, columns = read_table(counts_path, ("V4",), sep="\t"), obs_columns("lgrc")
    people = read_table(phenotypes_path, ("Disease", "Gender", "Age", *columns), sep="\t", index_col=0)
    people.index = people.index.astype(str)
    if lacking := [name for name in people.index if name not in table]:
        raise InputError(f"{counts_path}: {len(lacking)} samples have no counts (first: {lacking[0]!r}); expected all.")
    counts = table.groupby("V4", sort=False)[list(people.index)].agg(loci).T
    obs = people[list(columns)].rename(columns=columns).apply(plain)
    obs["dataset_id"] = info.get("name", "lgrc")
    obs["donor_id"], obs["lobe"] = people.index.str[:8], people.index.str[8:]
    obs["tissue"] = "lung"
    obs["sex"] = coded(people["Gender"], {1: "male", 2: "female"}, phenotypes_path)  # the source explains no code
    obs["age_years"] = people["Age"].astype(float)
    obs["diagnosis"] = coded(people["Disease"], {0: "control", 1: "ILD", 2: "COPD"}, phenotypes_path)
    obs["is_cell_line"] = False
    return make_atlas(counts, obs, mature(counts.columns), info={**info, "loci": loci})


def read_fetal_lung(counts_path: Path | str, metadata_path: Path | str, info: dict[str, Any]) -> ad.AnnData:
    """Fetal lungs of 54 to 117 days, GEO GSE200153: 298 samples x 899 miRNAs."""
    counts = read_table(counts_path, sep="\t", index_col=0).T
    metadata = read_table(metadata_path, ("Sample", "Age", "SexMale", "SmokeExposure", "Run"), sep="\t")
    metadata = rows_of(metadata.set_index("Sample"), counts, metadata_path, counts_path)
    obs = pd.DataFrame({"dataset_id": info.get("name", "fetal_lung"), "donor_id": metadata.index}, index=counts.index)
    obs["tissue"] = "lung"
    obs["sex"] = coded(metadata["SexMale"], {0: "female", 1: "male"}, metadata_path)
    obs["gestational_age_days"] = metadata["Age"].astype(float)
    obs["smoke_exposure"] = metadata["SmokeExposure"] == 1
    obs["sequencing_run"] = metadata["Run"].astype(object)
    obs["is_cell_line"] = False
    return make_atlas(counts, obs, mature(counts.columns), info=info)


def read_exrna(kjens: Path | str, ttusc: Path | str, metadata_path: Path | str, info: dict[str, Any]) -> ad.AnnData:
    """Plasma, serum, urine and saliva of healthy people, two studies of the exRNA Atlas by exceRpt: 740 samples."""
    # exceRpt lists what it saw in a study: a miRNA that the other study lists is zero. Reads of several places are
    # shared out, so counts are rounded. flagged are libraries that the source finds poor in miRNAs.
    tables = [read_table(path, sep="\t", index_col=0).T for path in (kjens, ttusc)]
    counts = pd.concat(tables).fillna(0.0)
    metadata = read_table(metadata_path, ("sample_id", "dataset_id", "biofluid", "low_miRNA_flag"), sep="\t")
    here = metadata[metadata["sample_id"].isin(counts.index)].set_index("sample_id")  # it names a third study, too
    metadata = rows_of(here, counts, metadata_path, kjens)
    obs = metadata[["dataset_id"]].astype(object)
    obs["donor_id"] = obs.index.str.extract(r"_U19_(?:Plasma|Serum)_(\d+)-\d+_fastq$")[0].to_numpy(dtype=object)
    obs["biofluid"] = obs["tissue"] = metadata["biofluid"].str.lower().astype(object)
    obs = annotate_labels(obs, "exrna", "tissue", strict=True).assign(sample_type="biofluid")
    obs.attrs.clear()
    obs["flagged"] = metadata["low_miRNA_flag"].astype(bool)
    counts, info = whole_numbers(counts, info)
    return make_atlas(counts, obs, mature(counts.columns), info=info)


def read_protocols(*paths: Path | str, info: dict[str, Any]) -> ad.AnnData:
    """One pool of synthetic RNAs in equal amounts, sequenced by nine laboratories with nine protocols: 50 libraries."""
    # The last two of paths describe the libraries and list the pool. miRNAs go by their current names, rows of those
    # that share reads by the merged name; var["in_pool"] marks those of which the pool holds a synthetic RNA, by name
    # (of a name without an arm both arms, as the pool then has them). One library of Lab6 was sequenced on two lanes.
    # Reads of several places are shared out, so counts are rounded.
    *files, metadata_path, pool_path = map(Path, paths)
    reads = "multimapAdjustedReadCount"
    tables = {path.name: read_table(path, (reads,), sep="\t", index_col=0)[reads] for path in files}
    counts = pd.DataFrame(tables).fillna(0.0)
    known = match_names(counts.index)
    mature_rows = (known["kind"] == "mature").to_numpy()
    names = [join_names(target.split(";")) for target in known["target"][mature_rows]]
    counts = counts[mature_rows].groupby(names, sort=False).sum().T
    columns = obs_columns("protocols")
    metadata = read_table(metadata_path, ("FileBaseName", "file.path", *columns), sep="\t")
    metadata.index = pd.Index(metadata["file.path"].str.rpartition("/")[2])
    metadata = rows_of(metadata[metadata.index.isin(counts.index)], counts, metadata_path, files[0])
    counts.index = pd.Index(metadata["FileBaseName"].str.removeprefix("sample_").str.removesuffix("_fastq"), name=None)
    obs = metadata[list(columns)].rename(columns=columns).set_axis(counts.index).astype(object)
    obs = obs.astype({"replicate": int, "lane": int})
    obs["dataset_id"], obs["is_cell_line"] = "protocols-" + obs["laboratory"], False
    pool = read_table(pool_path, ("Sequence.ID", "Sequence.type"), sep="\t")
    ids = pool.loc[pool["Sequence.type"] == "miRNA", "Sequence.ID"]
    human = ids[~ids.str.contains("-(?:mmu|rno)$")].str.removesuffix("-hsa").str.replace("-star", "*")
    found = match_names(human, level="mature")
    arms = found["reason"].str.extract("^ambiguous: (.+)$")[0].str.replace(" or ", ";")
    synthetic = set(";".join(found["target"].where(found["target"] != "", arms.fillna(""))).split(";"))
    members = dict(zip(names, known["target"][mature_rows].str.split(";"), strict=True))
    var = mature(counts.columns).assign(in_pool=[not synthetic.isdisjoint(members[name]) for name in counts])
    counts, info = whole_numbers(counts, info)
    return make_atlas(counts, obs, var, info=info)


def mature(names: pd.Index) -> pd.DataFrame:
    """Annotation of mature miRNAs: biotype and level, on these names."""
    return pd.DataFrame({"biotype": "miRNA", "level": "mature"}, index=names)


# study -> study that published the same libraries before, under other runs and samples: no accession says so, but
# profiles that agree where even replicates never do (tests/test_open_atlas.py looks for them in the data)
RESUBMITTED = {"SRP041494": "SRP014899"}
# study -> first study of the same paper (PMID 32459171, 33568691): the same people at work, perhaps the same donors
ONE_PAPER = {"SRP161180": "SRP112629", "SRP254788": "SRP187437", "SRP254789": "SRP187437"}
ONE_UNIT = RESUBMITTED | ONE_PAPER
SEQUENCERS = {"GA": "Genome Analyzer", "GA II": "Genome Analyzer II", "GA IIx": "Genome Analyzer IIx"}
KEPT = (
    "dataset_id", "collection", "source_dataset_id", "run", "sample_accession", "donor_id", "source_label",
    "cell_class", "platform", "library_protocol", "flagged", "reads_total",
)  # fmt: skip


def read_open_atlas(
    mirome: Path, micrornaome: Path, tissue_atlas2: Path, *exrna: Path, info: dict[str, Any],
    common_features: bool = True,
) -> ad.AnnData:  # fmt: skip
    """Join the cellular microRNAome, what the human microRNAome adds to it, and the organs of six donors: 2884 samples.

    Counts are those of the sources, made by three pipelines (miRge3, miRge and that of miRNATissueAtlas2), so the
    collection is a batch of its own: compare within it, or leave whole studies out. With the files of `exrna` its 740
    biofluids are a fourth collection (exceRpt), and urine and saliva are tissues of the atlas; they have no group.

    With `common_features` only the miRNAs that all collections report, because which ones a sample has would
    tell its collection, and with it its tissue. Without, all of mirome are there; one that a collection does not report
    is zero in ``X`` although nobody looked, ``var["common"]`` marks those that are safe, and
    ``uns["srna"]["not_measured"]`` lists the others by collection.
    """
    # Features are named as in mirome, whose copy of a sample of both microRNAomes is kept. dataset_id is one id per
    # study over all collections, source_dataset_id the study's id in its collection, source_label the label as written,
    # flagged of poor quality according to micrornaome (False where it did not look), reads_unmapped_share the share of
    # a sample's counts on features that were left out.
    cells = read_mirome(mirome, {"name": "mirome"})
    mixed = read_micrornaome(micrornaome, {"name": "micrornaome"})
    organs = read_tissue_atlas2(tissue_atlas2, {"name": "tissue_atlas2"})
    cells.obs["sample_accession"] = cells.obs_names.to_numpy(dtype=object)
    overlap = shared_samples(cells.obs, mixed.obs)
    expect(len(overlap), f"{micrornaome}: no run or sample is also in {mirome}; expected some of both")
    studies = unified_studies(overlap)
    flagged = overlap["removed"][mixed.obs.loc[overlap["removed"], "flagged"].to_numpy()]
    cells.obs["flagged"] = cells.obs_names.isin(overlap.loc[flagged.index, "sample_id"])
    mixed = mixed[~mixed.obs_names.isin(overlap["removed"])].copy()
    organs.obs["label"] = organs.obs["tissue"] + "__" + organs.obs["subregion"]
    parts, reports = {"mirome": cells}, []
    joining = {"micrornaome": mixed, "tissue_atlas2": organs}
    if exrna:
        kjens, ttusc, fluids = exrna
        joining["exrna"] = read_exrna(kjens, ttusc, fluids, {"name": "exrna"})
    for name, part in joining.items():
        parts[name], report = harmonise(part, cells)
        reports.append(report.assign(collection=name))
    labels = {"mirome": "cell_type", "micrornaome": "cell_tissue", "tissue_atlas2": "label", "exrna": "biofluid"}
    obs = pd.concat([_described(part.obs, name, labels[name], studies) for name, part in parts.items()])
    tables = {name: counts_frame(part) for name, part in parts.items()}
    counts, common, measured = stacked(tables, "collection", common_features)
    totals = np.concatenate([counts_frame(p).sum(axis=1) for p in (cells, *joining.values())])
    obs["reads_unmapped_share"] = 1 - counts.sum(axis=1).to_numpy() / np.where(totals > 0, totals, 1)
    obs.loc[totals == 0, "reads_unmapped_share"] = 0.0
    var = annotate(mature(counts.columns).assign(common=common))
    info = {**info, "overlap": overlap, "studies": studies, "harmonised": pd.concat(reports, ignore_index=True)}
    return make_atlas(counts, obs, var, info={**info, **measured})


def stacked(tables: Tables, by: str, common_features: bool) -> tuple[pd.DataFrame, pd.Series, dict[str, Any]]:
    """Counts of several collections in one table, whether all report a feature, and what ``uns["srna"]`` says of it."""
    # unless only common_features are wanted, a feature that a collection does not report is zero there
    union = pd.Index(dict.fromkeys(name for table in tables.values() for name in table.columns))
    reported = pd.DataFrame({name: union.isin(table.columns) for name, table in tables.items()}, index=union)
    common = reported.all(axis=1)
    measured: dict[str, Any] = {"common_features": common_features}
    if common_features:
        reported = reported[common]
    else:
        row, column = np.nonzero(~reported.T.to_numpy())
        measured["not_measured"] = pd.DataFrame({by: reported.columns[row], "srna": union[column]})
    counts = pd.concat([table.reindex(columns=reported.index, fill_value=0.0) for table in tables.values()])
    return counts, common[reported.index], measured


def shared_samples(kept: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Samples of one collection that another, whose copies are kept, holds too, by run or sample accession."""
    # one row per sample of other: sample_id (in kept), removed (its name in other), and the study's ids in the two
    parts = []
    for by, column in (("run", "run"), ("sample", "sample_accession")):
        where = pd.Series(kept.index, index=kept[column]).loc[lambda s: s.index.notna()]
        found = other[column].dropna().map(where[~where.index.duplicated()]).dropna()
        parts.append(pd.DataFrame({"sample_id": found.to_numpy(), "removed": found.index.to_numpy(), "by": by}))
    table = pd.concat(parts).drop_duplicates("removed", ignore_index=True)
    table["dataset_id"] = kept.loc[table["sample_id"], "dataset_id"].to_numpy()
    table["removed_dataset_id"] = other.loc[table["removed"], "dataset_id"].to_numpy()
    return table.astype(object)


def unified_studies(overlap: pd.DataFrame) -> pd.DataFrame:
    """Say which studies are one, by the majority of their shared samples and by `ONE_UNIT`; a row per changed id."""
    # shared: samples with a shared accession, agree: share of them that speak for this id; the first of equals wins
    votes = overlap.groupby(["removed_dataset_id", "dataset_id"]).size().rename("votes").reset_index()
    votes = votes.sort_values(["removed_dataset_id", "votes", "dataset_id"], ascending=[True, False, True])
    best = votes.groupby("removed_dataset_id", as_index=False).first()
    shared = votes.groupby("removed_dataset_id")["votes"].sum().to_numpy()
    table = best[["removed_dataset_id", "dataset_id"]].replace({"dataset_id": ONE_UNIT})
    table = table.rename(columns={"removed_dataset_id": "source_dataset_id"})
    table = table.assign(by="accession", shared=shared, agree=best["votes"] / shared)
    again = pd.DataFrame({"source_dataset_id": list(ONE_UNIT), "dataset_id": list(ONE_UNIT.values())})
    again["by"] = np.where(again["source_dataset_id"].isin(list(RESUBMITTED)), "profile", "paper")
    return pd.concat([table, again.assign(shared=0, agree=np.nan)], ignore_index=True)


def _described(obs: pd.DataFrame, collection: str, label: str, studies: pd.DataFrame) -> pd.DataFrame:
    """Metadata of one collection in the common columns."""
    out = obs.rename(columns={label: "source_label"})
    out["source_dataset_id"] = out.get("source_dataset_id", out["dataset_id"])
    known = studies.set_index("source_dataset_id")["dataset_id"]
    out["dataset_id"] = out["source_dataset_id"].map(known).fillna(out["source_dataset_id"])
    out["collection"] = collection
    if "platform" in out:
        out["platform"] = out["platform"].str.removeprefix("Illumina ").replace(SEQUENCERS)
    out = out.reindex(columns=list(KEPT))
    out["flagged"] = out["flagged"].eq(True)
    out = annotate_labels(out, collection, "source_label", strict=True)
    kinds = [out["lineage"].eq("biofluid"), out["is_cell_line"]]
    out["sample_type"] = np.select(kinds, ["biofluid", "cell line"], "cell or tissue")
    out.attrs.clear()
    return out
