"""What notebooks do around their figures: open the data set, say a sentence with computed numbers, write results."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srna_lib.report.results import BANNER, RECORD_FIELDS, to_records, versions

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd
    import plotly.graph_objects as go

ENOUGH_STUDIES = 5  # for a sentence that is more than a hint
NAN = r"\bnan\b"
UNKNOWN = "*Not recorded in this data set, or not part of this run.*"
BANNER_STYLE = "background:#7a1f00;color:#fff;padding:.7em 1em;font-weight:600;border-radius:4px"


def say(text: str) -> None:
    """Show markdown whose numbers come from variables; blocks with a number that is not known here (nan) say that.

    Blocks are separated by empty lines. Nothing is shown for an empty text.
    """
    from IPython.display import Markdown, display

    if text:
        display(Markdown(answered(text)))


def answered(text: str) -> str:
    """Text whose blocks with an unknown number say so."""
    return "\n\n".join(UNKNOWN if re.search(NAN, block) else block for block in text.strip().split("\n\n"))


def open_dataset(name: str, *, profile: str, seed: int = 0, label: str = "") -> tuple[ad.AnnData, dict[str, Any]]:
    """Open a notebook: set figures up, load the data set and introduce it.

    Parameters
    ----------
    name, profile, seed
        As in `datasets.load`; profile of the run; seed of a simulated atlas.
    label : str, optional
        Column that is asked for: age intervals (``age_2``) are made from the age (`data.with_label`).

    Returns
    -------
    atlas : AnnData, shape (n_samples, n_srnas)
    info : dict
        Its ``uns["srna"]``, and ``lesson``, what the page's last sentence may be called: a take-home, or less where the
        run or the number of studies is too small for a finding.
    """
    from IPython.display import HTML, display

    from srna_lib.data import with_label
    from srna_lib.datasets import load
    from srna_lib.plots import setup

    setup()
    atlas = with_label(load(name, seed=seed), label)
    info, n_studies = dict(atlas.uns["srna"]), atlas.obs["dataset_id"].nunique()
    few = f"Seen in {n_studies} {'study' if n_studies == 1 else 'studies'}, a hint and no finding"
    lesson = few if n_studies < ENOUGH_STUDIES and not info["simulated"] else "Take-home"
    info["lesson"] = "A smoke run, no finding" if profile == "smoke" else lesson
    if info["simulated"]:
        display(HTML(f'<div class="srna-banner" role="note" style="{BANNER_STYLE}">{html.escape(BANNER)}</div>'))
    say(f"**{html.escape(info['title'])}.** {html.escape(info['citation'])}")
    if profile == "smoke":
        say("**A smoke run:** few samples and small models, to see that everything works. Quote none of its figures.")
    return atlas, info


def close(
    out: str, notebook: str, *, title: str, info: dict[str, Any], records: Iterable[pd.DataFrame | dict[str, Any]],
    numbers: dict[str, str], figure: go.Figure, parameters: dict[str, Any], predictions: pd.DataFrame | None = None,
) -> None:  # fmt: skip
    """Close a notebook: write its records, its predictions and the card that the index shows below ``<out>/results``.

    Parameters
    ----------
    out, notebook, title, info
        Report folder; stem of the notebook, which names the files; the question that it asks; from `open_dataset`.
    records : iterable of DataFrame and dict
        Tables from `evaluate.score`; records of your own have the fields of `RECORD_FIELDS`.
    numbers : dict of str
        Label -> figure as text, computed in the notebook; what is not known here (nan) becomes "no answer".
    figure, parameters
        Headline figure; parameters of the run, beside its data set.
    predictions : DataFrame, optional
        Out-of-fold table (`evaluate.cross_validate`).

    Raises
    ------
    ValueError
        When a record lacks a field or has one of its own, or holds a number that JSON cannot (nan).
    """
    from srna_lib.io import write_file

    rows = [row for given in records for row in ([given] if isinstance(given, dict) else to_records(given))]
    for row in rows:
        if set(row) != set(RECORD_FIELDS):
            raise ValueError(f"{notebook}: a record has the fields {sorted(row)}; expected {sorted(RECORD_FIELDS)}.")
    card = {"notebook": notebook, "title": title, "dataset": info["name"], "dataset_title": info["title"]} | {
        "key_numbers": {name: "no answer" if re.search(NAN, text) else text for name, text in numbers.items()},
        "citation": info["citation"],
        "licence": info["licence"],
        "sources": info["sources"].to_dict("records"),
        "simulated": bool(info["simulated"]),
        "banner": BANNER if info["simulated"] else "",
        "versions": versions(),
        "parameters": {"dataset": info["name"], **parameters},
    }
    folder = Path(out) / "results"
    for end, told in (("json", rows), ("card.json", card)):
        write_file(folder / f"{notebook}.{end}", json.dumps(told, indent=1, allow_nan=False) + "\n")
    write_file(folder / f"{notebook}.figure.json", figure.to_json())
    if predictions is not None:
        write_file(folder / f"{notebook}.parquet", predictions.to_parquet(index=False))
