"""The Cancer Genome Atlas: miRNA counts of 33 cohorts with clinical data, and tRNA fragments of two of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.data import make_atlas, numbers_of, resource
from srna_lib.datasets.public import RDA, coded, read_table, readable, require, rows_of, stacked
from srna_lib.errors import expect

# GDC's code table of sample types: https://gdc.cancer.gov/resources-tcga-users/tcga-code-tables/sample-type-codes
SAMPLE_TYPES = {
    "01": "Primary Solid Tumor", "02": "Recurrent Solid Tumor", "03": "Primary Blood Derived Cancer - Peripheral Blood",
    "05": "Additional - New Primary", "06": "Metastatic", "07": "Additional Metastatic", "11": "Solid Tissue Normal",
}  # fmt: skip
NORMAL = "11"
BARCODE = 28  # characters of an aliquot barcode; R appends more to repeated row names
PATIENT = 12
BORN, DIAGNOSED = "days_to_birth", "age_at_initial_pathologic_diagnosis"
SEXES = {"male": "male", "female": "female"}


def cohorts() -> pd.DataFrame:
    """Organ of origin and project name of each cohort, index = cohort."""
    return resource("tcga_cohorts.tsv").set_index("cohort")


def read_tcga(*paths: Path | str, info: dict[str, Any], common_features: bool = True) -> ad.AnnData:
    """Stem-loop counts of all cohorts, one row per aliquot: 10893 samples x 680 (or 1071) stem-loops.

    Files are ``<cohort>.miRNASeq.rda`` of RTCGA.miRNASeq and ``<cohort>.clinical.rda`` of RTCGA.clinical, in any order.

    With `common_features` only the stem-loops that every cohort reports. COAD, LAML, OV and READ were counted against
    an older miRBase, so which stem-loops a sample has tells its cohort. Without, all those of any cohort are there;
    one that a cohort does not report is zero in ``X`` although nobody looked, ``var["common"]`` marks those that are
    safe, and ``uns["srna"]["not_measured"]`` lists the others by cohort. Never train across cohorts on those.
    """
    # dataset_id is the cohort, donor_id the patient (some have several aliquots), tissue the organ of origin also for
    # metastases, which sample_type tells. Aliquots of one barcode (sequenced twice) get a suffix and repeated_barcode.
    # Age is exact where the days since birth are known, else whole years at diagnosis; age_source says which.
    counted, clinical = _by_cohort(paths, ".miRNASeq.rda"), _by_cohort(paths, ".clinical.rda")
    first = next(iter(sorted(set(counted) ^ set(clinical))), "" if counted else "none found")
    expect(not first, f"tcga: counts and clinical data differ in cohorts (first: {first}); expected both for each")
    tables, metadata = {}, []
    for cohort in sorted(counted):
        tables[cohort], platform = _counts(counted[cohort])
        metadata.append(_aliquots(tables[cohort].index, cohort, platform, _patients(clinical[cohort])))
    obs = pd.concat(metadata)
    counts, common, measured = stacked(tables, "cohort", common_features)
    var = pd.DataFrame({"biotype": "miRNA", "level": "stem-loop", "common": common})
    return make_atlas(counts.set_axis(obs.index), obs, var, info={**info, **measured})


def read_tcga_trf(
    lihc: Path | str, kirp: Path | str, lihc_sheet: Path | str, kirp_sheet: Path | str, info: dict[str, Any]
) -> ad.AnnData:
    """Expression of tRNA fragments: LIHC and KIRP (718 x 26744): no counts, but log-like and corrected for batches."""
    # Fragments x samples, with columns <patient>-Cancer or <patient>-Normal. Joins to read_tcga by donor_id and
    # tumour_normal. The source says tumour or normal only; its tumours are taken as primary in sample_type, which
    # nearly all tumours of the two cohorts are.
    tables, metadata = [], []
    for cohort, path, sheet_path in (("LIHC", lihc, lihc_sheet), ("KIRP", kirp, kirp_sheet)):
        table = read_table(path, index_col=0).T
        sheet = read_table(sheet_path, ("sample_id", "participant_id", "gender", "age"), na_values=["'--"])
        sheet = rows_of(sheet.set_index("sample_id"), table, sheet_path, path)
        kind = pd.Series(table.index.str.rpartition("-").get_level_values(2), index=table.index, name="sample_id")
        obs = pd.DataFrame({"dataset_id": cohort, "donor_id": sheet["participant_id"].astype(object)})
        obs["tumour_normal"] = coded(kind, {"Cancer": "tumour", "Normal": "normal"}, path)
        obs["sample_type"] = coded(kind, {"Cancer": SAMPLE_TYPES["01"], "Normal": SAMPLE_TYPES[NORMAL]}, path)
        obs["sex"] = coded(sheet["gender"], SEXES, sheet_path)
        obs["age_years"] = pd.to_numeric(sheet["age"], errors="coerce").astype(float)
        obs["tissue"] = cohorts().loc[cohort, "tissue"]
        obs["is_cell_line"] = False
        tables.append(table)
        metadata.append(obs)
    alike = list(tables[0].columns) == list(tables[1].columns)
    expect(alike, f"{kirp}: the fragments are not those of {lihc}; expected the same in the same order")
    counts = pd.concat(tables)
    var = pd.DataFrame({"biotype": "tRF", "level": "fragment"}, index=counts.columns)
    return make_atlas(counts, pd.concat(metadata), var, info={**info, "quantity": "normalised"})


def _by_cohort(paths: Iterable[Path | str], ending: str) -> dict[str, Path]:
    """Cohort -> file, of those files that end so."""
    known = cohorts().index
    files = {path.name.removesuffix(ending): path for path in map(Path, paths) if path.name.endswith(ending)}
    for cohort, path in files.items():
        expect(cohort in known, f"{path}: {cohort!r} is no TCGA cohort; expected one of {', '.join(known)}")
    return files


def _counts(path: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Counts (aliquots x stem-loops) and sequencer of one cohort."""
    # three rows per aliquot: count, reads per million, and whether reads map elsewhere too; text of the three kinds
    # shares a column, so numbers come as categories of text
    frame = _read_frame(path)
    require(frame, ("machine", "miRNA_ID"), f"{path}: the frame lacks")
    frame = frame[(frame["miRNA_ID"] == "read_count").to_numpy()]
    counts = frame.drop(columns=["machine", "miRNA_ID"]).astype(object)
    return numbers_of(counts, f"{path}: the read_count rows hold"), frame["machine"].astype(object)


def _patients(path: Path) -> pd.DataFrame:
    """Sex and age of the patients of one cohort, index = patient barcode."""
    frame = _read_frame(path)
    require(frame, ("patient.bcr_patient_barcode",), f"{path}: the frame lacks")
    frame.index = pd.Index(frame["patient.bcr_patient_barcode"].astype(str).str.upper(), name=None)
    expect(frame.index.is_unique, f"{path}: a patient stands there twice; expected one row each")
    # cohorts without an age at diagnosis lack the column
    told = frame.reindex(columns=[f"patient.{c}" for c in ("gender", BORN, DIAGNOSED)]).astype(object)
    told = told.replace("", np.nan).set_axis(["sex", BORN, DIAGNOSED], axis=1)
    born, at_diagnosis = (pd.to_numeric(told[c], errors="coerce") for c in (BORN, DIAGNOSED))
    ages = (-born / 365.25).fillna(at_diagnosis).astype(float)
    source = pd.Series(np.where(born.notna(), BORN, DIAGNOSED), ages.index, dtype=object).where(ages.notna())
    return pd.DataFrame({"sex": coded(told["sex"], SEXES, path), "age_years": ages, "age_source": source})


def _aliquots(rows: pd.Index, cohort: str, platform: pd.Series, patients: pd.DataFrame) -> pd.DataFrame:
    """Describe the aliquots of one cohort; index = names made unique."""
    barcode = pd.Series(rows.str[:BARCODE])
    repeat = barcode.groupby(barcode).cumcount()
    names = barcode.where(repeat == 0, barcode + "-repeat" + repeat.astype(str))
    described = cohorts().loc[cohort]
    obs = pd.DataFrame({"dataset_id": cohort, "donor_id": barcode.str[:PATIENT], "barcode": barcode})
    obs["repeated_barcode"] = barcode.duplicated(keep=False)
    obs["sample_type_code"] = barcode.str[13:15]
    obs["sample_type"] = coded(obs["sample_type_code"], SAMPLE_TYPES, f"tcga {cohort}")
    obs["tumour_normal"] = np.where(obs["sample_type_code"] == NORMAL, "normal", "tumour")
    obs["tissue"], obs["project"] = described["tissue"], described["project"]
    obs["plate"], obs["platform"] = barcode.str[21:25], platform.to_numpy()
    obs = obs.join(patients, on="donor_id")
    obs["is_cell_line"] = False
    return obs.set_axis(names)


def _read_frame(path: Path) -> pd.DataFrame:
    """Read the one data frame of an R data file; pyreadr, because text of these takes other readers minutes."""
    import pyreadr

    with readable(path, *RDA, pyreadr.PyreadrError, pyreadr.LibrdataError):
        path.open("rb").close()  # a file that is not there is an error of pyreadr's own
        (frame,) = pyreadr.read_r(str(path)).values()
    return frame
