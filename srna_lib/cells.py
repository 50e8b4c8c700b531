"""One notebook cell -> what a page shows of it."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape
from nbconvert.filters.ansi import strip_ansi
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors.sanitize import SanitizeHTML
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

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
