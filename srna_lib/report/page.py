"""Executed notebooks -> self-contained HTML pages and the index.

Names from data reach a page inside HTML, markdown and figures. All three pass an allow-list, and the page's policy
names our own scripts by their hash, so that nothing else runs, loads anything or leads away from the page.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
import nh3
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from srna_lib.processes import ADDRESSES, hidden
from srna_lib.report.results import BANNER

with hidden(ADDRESSES):
    from nbconvert.filters.ansi import strip_ansi
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor
    from nbformat import NotebookNode

PLOTLY = "application/vnd.plotly.v1+json"
IMAGES = ("image/svg+xml", "image/png", "image/jpeg")
# What text, tables and computed markdown may hold; prose may hold links and embedded pictures as well.
TAGS = {
    "p", "br", "hr", "em", "strong", "b", "i", "del", "sub", "sup", "code", "pre", "span", "div", "ul", "ol", "li",
    "dl", "dt", "dd", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "details", "summary", "table", "caption",
    "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td",
}  # fmt: skip
ATTRIBUTES = {
    "*": {"class", "id", "style", "title"},
    "a": {"href"},
    "img": {"src", "alt"},
    "ol": {"start"},
    "th": {"colspan", "rowspan", "scope"},
    "td": {"colspan", "rowspan"},
}
LINKS = {"href": re.compile(r"(?i)#|https?://|[\w./-]+([?#]|$)"), "src": re.compile("data:image/")}
LOOKS = {"text-align", "color", "background-color", "font-weight"}
# The leading style sheet of pandas' Styler, and its rules: cells by id, plain properties.
STYLES = re.compile(r"\s*<style[^>]*>(.*?)</style>", re.DOTALL)
RULE = re.compile(r"#T_[\w\s#.,:>-]*\{[\w\s:;#.,%()-]*\}")
FAVICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath fill='%230b6e75' d='M1 9h3v6H1zM6 5h3v10H6zM11 1h3v14h-3z'/%3E%3C/svg%3E"
)

TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("srna_lib", "resources/templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def clean(html: str, *more: str) -> Markup:
    """Keep what is on the allow-list (and more tags) of a piece of HTML, the colours of pandas' tables included."""
    styles = STYLES.match(html)
    rules = "\n".join(RULE.findall(styles.group(1))) if styles else ""
    kept = nh3.clean(
        html,
        tags=TAGS | set(more),
        attributes=ATTRIBUTES,
        attribute_filter=_safe_address,
        url_schemes={"http", "https", "data"},
        filter_style_properties=LOOKS,
    )
    return Markup(f"<style>{rules}</style>{kept}" if rules else kept)


def _safe_address(tag: str, name: str, value: str) -> str | None:
    return value if name not in LINKS or LINKS[name].match(value) else None


class _Prose(IPythonRenderer):
    """Markdown of a page's author: headings with unique ids, pictures embedded."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(escape=False, embed_images=folder is not None, path=str(folder or ""))
        self.headings: dict[str, tuple[int, str]] = {}

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        label = Markup(text).striptags()
        slug = re.sub(r"\W+", "-", label).strip("-").lower() or "section"
        names = [slug, *(f"{slug}-{n}" for n in range(2, len(self.headings) + 2))]
        anchor = next(name for name in names if name not in self.headings)
        self.headings[anchor] = level, label
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'

    def html(self, cell: NotebookNode) -> Markup:
        """Markup of a markdown cell."""
        self.attachments = cell.get("attachments", {})
        return clean(MarkdownWithMath(renderer=self).render(cell.source), "a", "img")


def figure_json(figure: Mapping[str, Any]) -> Markup:
    """JSON of a figure for a data block of the page; links in its texts are shown as text."""
    text = json.dumps({key: figure[key] for key in ("data", "layout", "frames") if figure.get(key)})
    return Markup(re.sub(r"(?i)<(?=\s*/?\s*a\b)", "&lt;", text).replace("<", "\\u003c"))


def _block(cell: NotebookNode, given: Mapping[str, Any], prose: _Prose) -> dict[str, Any] | None:
    """Describe what a cell shows: ``group`` (plain, exercise, solution), ``kind``, ``body`` and ``outputs``."""
    tags = set(cell.metadata.get("tags", []))
    group = "solution" if "solution" in tags else "exercise" if "exercise" in tags else "plain"
    if "remove-cell" in tags or cell.cell_type == "raw" or "answer" in tags:
        return None
    if cell.cell_type == "markdown":
        return {"group": group, "kind": "prose", "body": prose.html(cell)}
    if "injected-parameters" in tags and given:
        return {"group": group, "kind": "parameters", "body": {k: repr(v) for k, v in given.items()}}
    hidden = "remove-input" in tags or not cell.source.strip()
    body = "" if hidden else Markup(highlight(cell.source, get_lexer_by_name("ipython3"), HtmlFormatter()))
    outputs = [shown for output in cell.outputs if (shown := _output(output))]
    return {"group": group, "kind": "code", "body": body, "outputs": outputs}


def _output(output: NotebookNode) -> dict[str, Any] | None:
    """Describe what an output shows, or None for nothing."""
    if output.output_type == "stream":
        body = strip_ansi(output.text).strip("\n")
        kind = "stderr" if output.name == "stderr" else "text"
        return {"kind": kind, "body": body, "lines": body.count("\n") + 1} if body else None
    if output.output_type == "error":
        return {"kind": "error", **describe_error(output.ename, output.evalue, "\n".join(output.traceback))}
    data = output.data
    if PLOTLY in data:
        height = data[PLOTLY].get("layout", {}).get("height") or 450
        return {"kind": "figure", "body": figure_json(data[PLOTLY]), "height": height}
    if "text/html" in data:
        return {"kind": "html", "body": clean(data["text/html"])}
    for kind in IMAGES:
        if kind in data:
            is_text = kind == "image/svg+xml"
            encoded = base64.b64encode(data[kind].encode()).decode() if is_text else "".join(data[kind].split())
            return {"kind": "image", "body": f"data:{kind};base64,{encoded}"}
    if "text/markdown" in data:
        # No ids for its headings: their text is data, and the table of contents belongs to the author.
        renderer = IPythonRenderer(escape=False, exclude_anchor_links=True)
        return {"kind": "html", "body": clean(MarkdownWithMath(renderer=renderer).render(data["text/markdown"]))}
    return {"kind": "text", "body": strip_ansi(data["text/plain"])} if "text/plain" in data else None


def describe_error(name: str, message: str, traceback: str = "") -> dict[str, str]:
    """Describe an exception for people: an InputError is its one sentence, anything else has a traceback."""
    if name == "InputError":
        return {"name": name, "sentence": strip_ansi(message), "traceback": ""}
    sentence = strip_ansi(f"{name}: {message}" if message else name)
    return {"name": name, "sentence": sentence, "traceback": strip_ansi(traceback)}


def notebook_page(
    nb: NotebookNode, *, error: Mapping[str, str] | None = None, folder: Path | None = None, **texts: Any
) -> str:
    """Render one executed notebook; after a failure (`error`) only the cells up to it are shown."""
    nb, _ = CoalesceStreamsPreprocessor().preprocess(nb, {})
    # Papermill stamps each cell that it begins.
    begun = [i for i, cell in enumerate(nb.cells) if cell.metadata.get("papermill", {}).get("start_time")]
    shown = nb.cells[: max(begun, default=-1) + 1] if error else nb.cells
    prose = _Prose(folder)
    given = nb.metadata.get("papermill", {}).get("parameters", {})
    blocks = [block for cell in shown if (block := _block(cell, given, prose))]
    outputs = [out["kind"] for block in blocks for out in block.get("outputs", ())]
    return render(
        "notebook.html.j2",
        failure=error["sentence"] if error else "",
        has_error="error" in outputs,
        not_run=sum(cell.cell_type == "code" for cell in nb.cells[len(shown) :]),
        groups=[(kind, list(members)) for kind, members in groupby(blocks, key=lambda block: block["group"])],
        toc=[(anchor, label) for anchor, (level, label) in prose.headings.items() if level == 2],
        has_figures="figure" in outputs,
        **texts,
    )


def index_page(cards: Sequence[Mapping[str, Any]], **values: Any) -> str:
    """Render the page that links to all notebooks: cards as `run.card_of` makes them, and the head's texts."""
    drawn = [{**card, "figure": figure_json(card["figure"]) if card["figure"] else ""} for card in cards]
    return render("index.html.j2", cards=drawn, has_figures=any(card["figure"] for card in drawn), **values)


def notebook_title(nb: NotebookNode, default: str) -> str:
    """First markdown heading of a notebook as plain text, else the default."""
    for cell in nb.cells:
        heading = re.search(r"^#{1,3}\s+(.+?)\s*#*$", cell.source, flags=re.MULTILINE)
        if cell.cell_type == "markdown" and heading:
            return re.sub(r"[*`]", "", heading.group(1))
    return default


def render(template: str, *, has_figures: bool, **values: Any) -> str:
    """Fill a template; its policy allows the scripts that it gets here and no other."""
    from plotly.offline import get_plotlyjs

    style, script = (TEMPLATES.get_template(name).render() for name in ("style.css", "page.js"))
    scripts = {"plotlyjs": get_plotlyjs() if has_figures else "", "script": script}
    digests = [hashlib.sha256(text.encode()).digest() for text in scripts.values() if text]
    return TEMPLATES.get_template(template).render(
        css=Markup(style + HtmlFormatter().get_style_defs(".highlight")),
        favicon=FAVICON,
        banner=BANNER,
        hashes=Markup(" ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)),
        **{name: Markup(text) for name, text in scripts.items()},
        **values,
    )
