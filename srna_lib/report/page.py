"""Executed notebooks -> self-contained HTML pages and the index."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from nbconvert.filters.ansi import strip_ansi
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors.sanitize import SanitizeHTML
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from srna_lib.report.results import BANNER

PLOTLY = "application/vnd.plotly.v1+json"
CONFIG = {"responsive": True, "displaylogo": False}
IMAGES = ("image/png", "image/jpeg")
# Raw HTML that prose may not hold: what runs or loads something.
ACTIVE = re.compile(r"(?i)</?\s*(script|iframe|object|embed|link|meta|base|form)\b|[\s\"'/]on\w+\s*=|javascript:")
# Markup that computed markdown (a table, a sentence with numbers) may hold; anything else is shown as text.
TAGS = ["p", "br", "hr", "em", "strong", "b", "i", "del", "sub", "sup", "code", "pre", "span", "div", "a",
        "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "details",
        "summary", "table", "thead", "tbody", "tr", "th", "td"]  # fmt: skip


class Figures:
    """Turns plotly JSON into divs and counts them, which also numbers their ids."""

    def __init__(self) -> None:
        self.count = 0

    def div(self, figure: Mapping[str, Any]) -> Markup:
        """Markup of one figure; needs plotly.js on the page."""
        import plotly.io as pio

        self.count += 1
        parts = {key: figure[key] for key in ("data", "layout", "frames") if figure.get(key)}
        html = pio.to_html(
            parts,
            config=CONFIG,
            include_plotlyjs=False,
            full_html=False,
            validate=False,
            default_height="450px",
            div_id=f"figure-{self.count}",
        )
        return Markup(html)


class _Renderer(IPythonRenderer):
    """Markdown to HTML with unique heading ids; pictures from the network become links."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(escape=False, embed_images=folder is not None, path=str(folder or ""))
        self.toc: list[tuple[str, str]] = []
        self.used: set[str] = set()

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        label = re.sub(r"<[^>]+>", "", text)
        slug = re.sub(r"[^\w]+", "-", Markup(label).unescape()).strip("-").lower() or "section"
        anchor, n = slug, 2
        while anchor in self.used:
            anchor, n = f"{slug}-{n}", n + 1
        self.used.add(anchor)
        if level == 2:
            self.toc.append((anchor, Markup(label).unescape()))
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'

    def block_html(self, html: str) -> str:
        return _tame(super().block_html(html))

    def inline_html(self, html: str) -> str:
        return _tame(super().inline_html(html))

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if re.match(r"(?i)(https?:)?//", url):
            return str(self.link(text or url, url, title))
        return str(super().image(text, url, title))


class Markdown:
    """Markdown of one page: prose as its author wrote it, computed markdown with foreign tags escaped."""

    def __init__(self, folder: Path | None) -> None:
        self._renderer = _Renderer(folder)
        self._sanitizer = SanitizeHTML(tags=TAGS)

    @property
    def toc(self) -> list[tuple[str, str]]:
        """Anchor and text of each second-level heading so far."""
        return self._renderer.toc

    def prose(self, cell: NotebookNode) -> Markup:
        """Markup of a markdown cell, as its author wrote it save for scripts."""
        self._renderer.attachments = cell.get("attachments", {})
        return Markup(MarkdownWithMath(renderer=self._renderer).render(cell.source))

    def computed(self, source: str) -> Markup:
        """Markup of markdown that code wrote: it may hold names from data, so foreign tags are escaped."""
        # Headings of outputs get no ids: their text is data, and the table of contents belongs to the author.
        renderer = IPythonRenderer(escape=False, exclude_anchor_links=True)
        return Markup(self._sanitizer.sanitize_html_tags(MarkdownWithMath(renderer=renderer).render(source)))


def cell_block(
    cell: NotebookNode, given: Mapping[str, Any], figures: Figures, markdown: Markdown
) -> dict[str, Any] | None:
    """Describe what a cell shows on the page.

    Parameters
    ----------
    cell : NotebookNode
        Executed cell. Tags that matter: remove-cell, remove-input, exercise, solution, injected-parameters.
    given : mapping
        Parameters of the run, shown in place of papermill's injected cell.
    figures : Figures
        Counts the figures of the page.
    markdown : Markdown
        Renders the prose of the page.

    Returns
    -------
    dict or None
        ``group`` (plain, exercise, solution), ``kind`` (prose, parameters, code), ``body`` and, for code,
        ``outputs``; None for nothing.
    """
    tags = set(cell.metadata.get("tags", []))
    group = "solution" if "solution" in tags else "exercise" if "exercise" in tags else "plain"
    if "remove-cell" in tags:
        return None
    if cell.cell_type == "markdown":
        return {"group": group, "kind": "prose", "body": markdown.prose(cell)}
    if cell.cell_type != "code":
        return None
    if "injected-parameters" in tags and given:
        return {"group": group, "kind": "parameters", "body": {k: repr(v) for k, v in given.items()}}
    hidden = "remove-input" in tags or not cell.source.strip()
    outputs = [_output(output, figures, markdown) for output in _merged(cell.get("outputs", []))]
    return {
        "group": group,
        "kind": "code",
        "body": "" if hidden else _highlight(cell.source),
        "outputs": [out for out in outputs if out],
    }


def _output(output: Mapping[str, Any], figures: Figures, markdown: Markdown) -> dict[str, Any] | None:
    if output["output_type"] == "stream":
        body = plain(output["text"]).strip("\n")
        if not body:
            return None
        kind = "stderr" if output["name"] == "stderr" else "text"
        return {"kind": kind, "body": body, "lines": body.count("\n") + 1}
    if output["output_type"] == "error":
        return {"kind": "error", **describe_error(output["ename"], output["evalue"], output["traceback"])}
    data = output["data"]
    if PLOTLY in data:
        return {"kind": "figure", "body": figures.div(data[PLOTLY])}
    if "text/html" in data:
        return {"kind": "html", "body": Markup(data["text/html"])}
    if "image/svg+xml" in data:
        return {"kind": "image", "body": _data_url("image/svg+xml", data["image/svg+xml"]), "alt": "figure"}
    for kind in IMAGES:
        if kind in data:
            return {
                "kind": "image",
                "body": f"data:{kind};base64,{''.join(data[kind].split())}",
                "alt": "figure",
            }
    if "text/markdown" in data:
        return {"kind": "html", "body": markdown.computed(data["text/markdown"])}
    return {"kind": "text", "body": plain(data["text/plain"])} if "text/plain" in data else None


def _tame(html: str) -> str:
    """Show raw HTML that could run something as text."""
    return str(escape(html)) if ACTIVE.search(html) else html


def plain(text: str) -> str:
    """Return terminal text without colours and with overwritten lines (progress bars) in their last state."""
    lines = strip_ansi(text).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines)


def describe_error(name: str, message: str, traceback: Sequence[str] | str) -> dict[str, str]:
    """Text of an exception for people: an InputError is its one sentence, anything else has a traceback.

    Parameters
    ----------
    name, message : str
        Class and text of the exception.
    traceback : str or sequence of str
        Lines as IPython prints them, colours included.

    Returns
    -------
    dict
        ``title`` and ``body``; the body is empty for an InputError.
    """
    if name == "InputError":
        return {"title": plain(message), "body": ""}
    lines = traceback if isinstance(traceback, str) else "\n".join(traceback)
    return {"title": plain(f"{name}: {message}" if message else name), "body": plain(lines)}


def _merged(outputs: Sequence[NotebookNode]) -> list[dict[str, Any]]:
    """Join neighbouring pieces of one stream."""
    merged: list[dict[str, Any]] = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output["output_type"] == "stream" == last.get("output_type") and output["name"] == last["name"]:
            last["text"] += output["text"]
        else:
            merged.append(dict(output))
    return merged


def _highlight(source: str) -> Markup:
    return Markup(highlight(source, get_lexer_by_name("ipython3"), HtmlFormatter()))


def _data_url(kind: str, text: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}"


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
