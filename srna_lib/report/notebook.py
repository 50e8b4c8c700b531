"""What notebooks do between their figures: open the data set, say a sentence with computed numbers."""

from __future__ import annotations

import html
from typing import Any

import anndata as ad

from srna_lib.data import with_label
from srna_lib.datasets import load
from srna_lib.report.results import banner_html


def say(text: str) -> None:
    """Show a sentence of markdown; its numbers come from variables.

    Parameters
    ----------
    text : str
        Markdown.
    """
    from IPython.display import Markdown, display

    display(Markdown(text))


def open_dataset(name: str, *, profile: str, seed: int = 0, label: str = "") -> tuple[ad.AnnData, dict[str, Any]]:
    """Load a data set and introduce it: banner where it is simulated, title, citation, and what a smoke run is worth.

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

    atlas = with_label(load(name, seed=seed), label)
    info = atlas.uns["srna"]
    if info["simulated"]:
        display(HTML(banner_html(info)))
    say(f"**{html.escape(info['title'])}.** {html.escape(info['citation'])}")
    if profile == "smoke":
        say("**A smoke run:** few samples and small models, to see that everything works. Quote none of its figures.")
    return atlas, info
