"""Results on disk: records as JSON, predictions as parquet, and the card that the report's index shows."""

from __future__ import annotations

import html
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import srna_lib

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

RECORD_FIELDS = (
    "task", "dataset", "model", "features", "scheme", "metric", "value", "ci_low", "ci_high", "n_samples", "n_datasets",
    "seed",
)  # fmt: skip
BANNER = "Simulated data: made by srna_lib.simulate, not measured. Nothing on this page is a finding about biology."
PACKAGES = ("numpy", "pandas", "scikit-learn", "keras", "jax", "imbalanced-learn", "openTSNE", "umap-learn", "plotly")


def to_records(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Scores (`evaluate.score`) as records on disk, where the class or study joins the name of its metric.

    So does the unit that was resampled, where a table holds the same score for several: all but the first of them.
    """
    from srna_lib.evaluate import UNITS

    keys = ["task", "dataset", "model", "features", "scheme", "metric", "class", "study"]
    about = scores["class"].astype(object).fillna(scores["study"]).map(":{}".format, na_action="ignore")
    metric = scores["metric"] + about.fillna("").astype(str)
    further = scores["unit"] != scores.groupby(keys, dropna=False)["unit"].transform("first")
    metric += (", " + scores["unit"].map(lambda u: UNITS[u].split(",")[0]) + " drawn").where(further, "")
    table = scores.assign(metric=metric)[list(RECORD_FIELDS)].astype(object)
    return table.where(table.notna(), None).to_dict("records")


def write_results(
    out: Path | str,
    notebook: str,
    scores: pd.DataFrame | Iterable[pd.DataFrame | dict[str, Any]],
    predictions: pd.DataFrame | None = None,
) -> None:
    """Write a notebook's scores, and its predictions, below ``<out>/results``.

    Parameters
    ----------
    out : path
        Report folder.
    notebook : str
        Stem of the notebook; names the files.
    scores : DataFrame, or iterable of DataFrame and dict
        Tables from `evaluate.score`; records of your own have the fields of `RECORD_FIELDS`.
    predictions : DataFrame, optional
        Out-of-fold table (`evaluate.cross_validate`).

    Raises
    ------
    ValueError
        When a record lacks a field or has one of its own.
    """
    import pandas as pd

    parts = [scores] if isinstance(scores, pd.DataFrame) else scores
    records = [r for part in parts for r in (to_records(part) if isinstance(part, pd.DataFrame) else [part])]
    for record in records:
        if set(record) != set(RECORD_FIELDS):
            raise ValueError(f"{notebook}: a record has the fields {sorted(record)}; expected {sorted(RECORD_FIELDS)}.")
    folder = Path(out) / "results"
    write_text(folder / f"{notebook}.json", json.dumps(records, indent=1, allow_nan=False) + "\n")
    if predictions is not None:
        partial = folder / f"{notebook}.parquet.part"
        predictions.to_parquet(partial, index=False)
        os.replace(partial, folder / f"{notebook}.parquet")


def write_card(
    out: Path | str,
    notebook: str,
    *,
    title: str,
    key_numbers: dict[str, str],
    figure: go.Figure,
    atlas_info: dict[str, Any],
    parameters: dict[str, Any],
) -> None:
    """Write what the index page shows of a notebook (parameters as in `close`; `atlas_info` is ``uns["srna"]``)."""
    folder = Path(out) / "results"
    told = {"notebook": notebook, "title": title, "key_numbers": key_numbers, "dataset": atlas_info["name"]}
    told |= {"dataset_title": atlas_info["title"]} | {key: atlas_info[key] for key in ("citation", "licence")}
    card = told | {
        "sources": atlas_info["sources"].to_dict("records"),
        "simulated": bool(atlas_info["simulated"]),
        "banner": BANNER if atlas_info["simulated"] else "",
        "versions": versions(),
        "parameters": parameters,
    }
    write_text(folder / f"{notebook}.card.json", json.dumps(card, indent=1, allow_nan=False) + "\n")
    write_text(folder / f"{notebook}.figure.json", figure.to_json())


def banner_html(info: dict[str, Any]) -> str:
    """HTML of the banner that a page on simulated data (``uns["srna"]`` says so) carries; empty for real data."""
    if not info.get("simulated"):
        return ""
    return (
        '<div class="srna-banner" role="note" style="background:#7a1f00;color:#fff;padding:.7em 1em;'
        f'font-weight:600;border-radius:4px">{html.escape(BANNER)}</div>'
    )


def versions() -> dict[str, str]:
    """Versions of Python, this package and what its figures depend on."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "srna_lib": srna_lib.__version__, **found}


def write_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename it, so that nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
