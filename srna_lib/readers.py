"""Public files -> atlas. One function per layout; names of samples and sRNAs stay those of the source."""

from __future__ import annotations

import lzma
import warnings
import zlib
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.atlas import make_atlas
from srna_lib.errors import InputError

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
        source's class (the rest class ``Other`` stays as it is and is left out by `labels.make_task`).

    Raises
    ------
    InputError
        When the file is no R data file or lacks a frame or a column.
    """
    frames = _read_rda(Path(path))
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
    obs = obs.apply(_plain)
    obs["tissue_group"] = obs["cell_class"]
    obs["is_cell_line"] = False
    var = pd.DataFrame({"biotype": "miRNA"}, index=counts.columns)
    return make_atlas(counts, obs.loc[counts.index], var, info=info)


def _plain(column: pd.Series) -> pd.Series:
    """Give a column a type that .h5ad can hold: float for numbers, object for text."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    return column.astype(object).where(column.notna(), np.nan)


def _read_rda(path: Path) -> dict[str, Any]:
    import rdata

    try:
        with warnings.catch_warnings():
            # readr leaves its column specification as an attribute; rdata has no class for it, nor do we.
            warnings.filterwarnings("ignore", message="Missing constructor for R class")
            return rdata.read_rda(path, default_encoding="latin-1", force_default_encoding=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; expected an R data file (.rda).") from error
    except (ValueError, LookupError, EOFError, OSError, NotImplementedError, lzma.LZMAError, zlib.error) as error:
        raise InputError(f"{path}: this is no readable R data file ({error}); expected .rda.") from error
