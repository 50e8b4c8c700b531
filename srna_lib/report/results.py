"""Results on disk: the fields of a record, versions, and the banner of simulated data."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import TYPE_CHECKING, Any

import srna_lib

if TYPE_CHECKING:
    import pandas as pd

RECORD_FIELDS = (
    "task", "dataset", "model", "features", "scheme", "metric", "value", "ci_low", "ci_high", "n_samples", "n_datasets",
    "seed",
)  # fmt: skip
BANNER = "Simulated data: made by srna_lib.simulate, not measured. Nothing on this page is a finding about biology."
PACKAGES = ("numpy", "pandas", "scikit-learn", "keras", "jax", "imbalanced-learn", "openTSNE", "umap-learn", "plotly")


def to_records(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Scores (`evaluate.score`) as records on disk, where class, study and further units join the metric's name."""
    from srna_lib.evaluate import UNITS

    if scores.empty:
        return []
    keys = ["task", "dataset", "model", "features", "scheme", "metric", "class", "study"]
    about = scores["class"].astype(object).fillna(scores["study"]).map(":{}".format, na_action="ignore")
    metric = scores["metric"] + about.fillna("").astype(str)
    # where a table holds the same score for several units that were resampled: all but the first of them
    further = scores["unit"] != scores.groupby(keys, dropna=False)["unit"].transform("first")
    metric += (", " + scores["unit"].map(lambda u: UNITS[u].split(",")[0]) + " drawn").where(further, "")
    table = scores.assign(metric=metric)[list(RECORD_FIELDS)].astype(object)
    return table.where(table.notna(), None).to_dict("records")


def versions() -> dict[str, str]:
    """Versions of Python, this package and what its figures depend on."""
    installed = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "srna_lib": srna_lib.__version__, **installed}
