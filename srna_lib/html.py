"""Executed notebooks and their cards as self-contained HTML pages."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from srna_lib.cells import Figures, Markdown, cell_block
from srna_lib.results import BANNER

FAVICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath fill='%230b6e75' d='M1 9h3v6H1zM6 5h3v10H6zM11 1h3v14h-3z'/%3E%3C/svg%3E"
)


def notebook_page(
    nb: NotebookNode,
    *,
    stem: str,
    title: str,
    about: str,
    versions: str,
    simulated: bool,
    error: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Render one executed notebook.

    Parameters
    ----------
    nb : NotebookNode
        Executed notebook (format 4). After a failure only the cells up to it are shown.
    stem : str
        File name without suffix, shared by page and executed notebook.
    title : str
        Text of the browser's tab; escaped.
    about : str
        One line under the page's head: data set, profile, when, how long; escaped.
    versions : str
        One line at the page's foot; escaped.
    simulated : bool
        Whether the page carries the banner.
    error : mapping, optional
        ``sentence`` and ``traceback`` of a failed run (see `srna_lib.reports`).
    folder : Path, optional
        Where images that the prose names by relative path are found; they are embedded.

    Returns
    -------
    str
        A page without any reference to the network; plotly.js is embedded once if there is a figure.
    """
    cells = list(nb.cells)
    shown = cells[: _last_started(cells) + 1] if error else cells
    figures = Figures()
    markdown = Markdown(folder)
    given = nb.metadata.get("papermill", {}).get("parameters", {})
    blocks = [block for cell in shown if (block := cell_block(cell, given, figures, markdown))]
    groups: list[dict[str, Any]] = []
    for kind, members in groupby(blocks, key=lambda block: block["group"]):
        if kind == "plain":
            groups += [{"kind": kind, "blocks": [block], "toc": False} for block in members]
        else:
            groups.append({"kind": kind, "blocks": list(members), "toc": False})
    if len(markdown.toc) > 2 and groups:
        groups[0]["toc"] = True
    return _render(
        "notebook.html.j2",
        title=title,
        stem=stem,
        about=about,
        versions=versions,
        simulated=simulated,
        failure=error["sentence"] if error else "",
        has_error=any(out["kind"] == "error" for block in blocks for out in block.get("outputs", ())),
        not_run=sum(cell.cell_type == "code" for cell in cells[len(shown) :]),
        groups=groups,
        toc=markdown.toc,
        has_figures=figures.count > 0,
    )


def index_page(
    cards: Sequence[Mapping[str, Any]],
    *,
    title: str,
    datasets: Iterable[Mapping[str, str]],
    summary: str,
    versions: str,
    simulated: bool,
) -> str:
    """Render the page that links to all notebooks.

    Parameters
    ----------
    cards : sequence of mappings
        One per notebook: ``stem, notebook, title, status, seconds, dataset, settings`` (texts), ``numbers``
        (name -> text), ``figure`` (plotly JSON as a dict, or None), ``error`` (None, or ``sentence`` and
        ``traceback``); optionally ``reason``, why it does not apply and has no page. Everything is escaped.
    title : str
        Heading and text of the browser's tab.
    datasets : iterable of mappings
        ``title, citation, licence`` of each data set on the page.
    summary : str
        One line: how many notebooks ran, and when.
    versions : str
        One line at the page's foot.
    simulated : bool
        Whether the page carries the banner.

    Returns
    -------
    str
        A page without any reference to the network.
    """
    figures = Figures()
    drawn = [dict(card, figure=figures.div(card["figure"]) if card.get("figure") else None) for card in cards]
    return _render(
        "index.html.j2",
        title=title,
        datasets=list(datasets),
        summary=summary,
        versions=versions,
        simulated=simulated,
        cards=drawn,
        has_figures=figures.count > 0,
    )


def notebook_title(nb: NotebookNode, default: str) -> str:
    """First markdown heading of a notebook as plain text, else the default."""
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            found = re.search(r"^#{1,3}\s+(.+?)\s*#*$", cell.source, flags=re.MULTILINE)
            if found:
                return re.sub(r"[*`]", "", found.group(1))
    return default


def _last_started(cells: Sequence[NotebookNode]) -> int:
    """Index of the last cell that papermill began (it stamps each one)."""
    begun = [i for i, cell in enumerate(cells) if cell.metadata.get("papermill", {}).get("start_time")]
    return begun[-1] if begun else -1


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("srna_lib", "resources/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _render(template: str, *, has_figures: bool, **values: Any) -> str:
    from plotly.offline import get_plotlyjs

    environment = _environment()
    assert environment.loader is not None
    style = environment.loader.get_source(environment, "style.css")[0]
    return environment.get_template(template).render(
        css=Markup(style + HtmlFormatter().get_style_defs(".highlight")),
        favicon=FAVICON,
        banner=BANNER,
        has_figures=has_figures,
        plotlyjs=Markup(get_plotlyjs()) if has_figures else "",
        **values,
    )
