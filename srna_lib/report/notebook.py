"""What notebooks do between their figures: open the data set, say a sentence with computed numbers."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from srna_lib.report.results import banner_html, write_card, write_results

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd
    import plotly.graph_objects as go

NAN = r"\bnan\b"
UNKNOWN = "*Not recorded in this data set, or not part of this run.*"


def say(text: str) -> None:
    """Show markdown whose numbers come from variables; blocks with a number that is not known here (nan) say that.

    Parameters
    ----------
    text : str
        Markdown; blocks are separated by empty lines. Nothing is shown for an empty text.
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
    name : str
        As in `datasets.load`.
    profile : str
        Profile of the run.
    seed : int, default 0
        Seed of a simulated atlas.
    label : str, optional
        Column that is asked for: age intervals (``age_2``) are made from the age (`contexts.with_label`).

    Returns
    -------
    atlas : AnnData, shape (n_samples, n_srnas)
    info : dict
        Its ``uns["srna"]``.
    """
    from IPython.display import HTML, display

    from srna_lib.data import with_label
    from srna_lib.datasets import load
    from srna_lib.plots import setup

    setup()
    atlas = with_label(load(name, seed=seed), label)
    info = atlas.uns["srna"]
    if info["simulated"]:
        display(HTML(banner_html(info)))
    say(f"**{html.escape(info['title'])}.** {html.escape(info['citation'])}")
    if profile == "smoke":
        say("**A smoke run:** few samples and small models, to see that everything works. Quote none of its figures.")
    return atlas, info


def close(
    out: str,
    notebook: str,
    *,
    title: str,
    info: dict[str, Any],
    records: pd.DataFrame | Iterable[pd.DataFrame | dict[str, Any]],
    numbers: dict[str, str],
    figure: go.Figure,
    parameters: dict[str, Any],
    predictions: pd.DataFrame | None = None,
) -> None:
    """Close a notebook: write its records, its predictions and the card that the index shows below ``<out>/results``.

    Parameters
    ----------
    out, notebook : str
        Report folder; stem of the notebook, which names the files.
    title : str
        The question that the notebook asks.
    info : dict
        From `open_dataset`.
    records : DataFrame, or iterable of DataFrame and dict
        As in `write_results`.
    numbers : dict of str
        Label -> figure as text, computed in the notebook; what is not known here (nan) becomes "no answer".
    figure : plotly.graph_objects.Figure
        Headline figure.
    parameters : dict
        Of the run, beside its data set.
    predictions : DataFrame, optional
        Out-of-fold table.
    """
    write_results(out, notebook, records, predictions)
    parameters = {"dataset": info["name"], **parameters}
    told = {name: "no answer" if re.search(NAN, text) else text for name, text in numbers.items()}
    write_card(out, notebook, title=title, key_numbers=told, figure=figure, atlas_info=info, parameters=parameters)
