"""Open every page of a report in a headless browser and check that it draws.

Usage: python scripts/check_pages.py REPORT_FOLDER

For each .html file: figures declared and drawn, messages on the browser's console, references to other
places, copies of plotly.js. One line per page; exit code 1 if a page has a problem, 2 if nothing could be
checked (no browser, no page). Needs Chromium or Chrome (or CHROME=/path/to/it), and no Python package.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1200,3000", "--virtual-time-budget=20000",
    "--enable-logging=stderr", "--v=0",
)  # fmt: skip
CONSOLE = re.compile(r'CONSOLE[:(]\d+\)?\] "(.*?)", source: ', flags=re.DOTALL)
# What WebGL says of a computer without graphics card is no fault of the page.
HARMLESS = ("GL Driver Message", "Automatic fallback to software WebGL")


def find_browser() -> str | None:
    """Path of a browser, or None."""
    if os.environ.get("CHROME"):
        return shutil.which(os.environ["CHROME"])
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


class Page(HTMLParser):
    """Counts figures, drawn figures, copies of plotly.js and references to other places."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.declared = 0
        self.drawn: set[int] = set()
        self.libraries = 0
        self.outside: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one tag."""
        values = {name: value or "" for name, value in attrs}
        classes = values.get("class", "").split()
        if "plotly-graph-div" in classes:
            self.declared += 1
        if tag == "svg" and "main-svg" in classes:
            self.drawn.add(self.declared)
        address = values.get("href" if tag == "link" else "src", "")
        if tag != "a" and re.match(r"(?i)(https?:)?//", address):
            self.outside.append(address)

    def handle_data(self, data: str) -> None:
        """Look at text; the source of plotly.js begins with its name and version."""
        if self.get_starttag_text() and data.lstrip().startswith("/**\n* plotly.js v"):
            self.libraries += 1


def check_page(browser: str, path: Path) -> tuple[str, list[str]]:
    """One line about a page, and its problems."""
    written = Page(path.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, *QUIET, f"--user-data-dir={profile}", "--dump-dom", path.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=180)
    problems = []
    if done.returncode:
        problems.append(f"the browser ended with code {done.returncode}")
    shown = Page(done.stdout)
    drawn = len(shown.drawn)
    if drawn != written.declared:
        problems.append(f"{written.declared - drawn} of {written.declared} figures not drawn")
    if written.libraries != bool(written.declared):
        problems.append(f"{written.libraries} copies of plotly.js for {written.declared} figures")
    problems += [f"refers to {address}" for address in written.outside]
    messages = [m for m in CONSOLE.findall(done.stderr) if not any(word in m for word in HARMLESS)]
    problems += [f"console: {message}" for message in messages]
    size = path.stat().st_size / 1e6
    line = f"{path}: {drawn}/{written.declared} figures drawn, {len(messages)} console messages, {size:.1f} MB"
    return line, problems


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: check_pages.py REPORT_FOLDER", file=sys.stderr)
        return 2
    browser = find_browser()
    if browser is None:
        print("check_pages: no Chromium or Chrome found (set CHROME to one): nothing checked", file=sys.stderr)
        return 2
    pages = sorted(path for path in Path(sys.argv[1]).rglob("*.html") if not path.name.startswith("."))
    if not pages:
        print(f"check_pages: no .html file under {sys.argv[1]}: nothing checked", file=sys.stderr)
        return 2
    bad = 0
    for path in pages:
        line, problems = check_page(browser, path)
        print(("PROBLEM " if problems else "ok      ") + line, flush=True)
        for problem in problems:
            print(f"        {problem}")
        bad += bool(problems)
    print(f"{len(pages)} pages checked, {bad} with a problem")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
