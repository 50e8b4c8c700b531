"""What a report folder keeps of its runs: manifest to resume from, cards, index page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import nbformat

import srna_lib
from srna_lib import html
from srna_lib.results import write_text

MANIFEST = "run.json"
NOT_APPLICABLE = "not applicable"  # status of a notebook that asks for what the data set does not have
KEYS = {"digest", "status", "seconds", "finished_at", "title", "simulated", "parameters", "error", "versions"}


def library_files() -> list[Path]:
    """List the files whose change makes earlier runs out of date: the package's sources and tables."""
    package = Path(srna_lib.__file__).parent
    return sorted([*package.glob("*.py"), *package.glob("resources/*.*")])


def digest_of(path: Path, given: Mapping[str, Any]) -> str:
    """Hash all that decides the results of a notebook.

    Parameters
    ----------
    path : Path
        The notebook; its sources and tags count, outputs and other metadata do not.
    given : mapping
        Parameters of the run; ``out`` does not count, for where results are written does not change them.

    Returns
    -------
    str
        SHA-256 over notebook, parameters, package version, the package's sources and tables, and the data where
        the data set is a file.
    """
    from srna_lib import datasets

    nb = nbformat.read(path, as_version=4)
    cells = [[cell.cell_type, cell.source, cell.metadata.get("tags", [])] for cell in nb.cells]
    values = {name: value for name, value in given.items() if name != "out"}
    digest = hashlib.sha256(json.dumps([cells, values, srna_lib.__version__], sort_keys=True).encode())
    if datasets.is_file(str(given.get("dataset", ""))):
        digest.update(hashlib.sha256(Path(given["dataset"]).read_bytes()).digest())
    for file in library_files():
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def read_manifest(folder: Path, say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Read the entries of earlier runs; says so and returns none if the file is damaged."""
    file = folder / MANIFEST
    if not file.exists():
        return {}
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        return {stem: entry for stem, entry in manifest.items() if KEYS <= entry.keys()}
    except (OSError, ValueError, AttributeError) as error:
        say(f"{file}: not readable ({type(error).__name__}), so every notebook is run again")
        return {}


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the entries of all runs: notebook -> digest, status, seconds and what the index shows."""
    write_text(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True, default=str) + "\n")


def remove_results(folder: Path, stem: str) -> None:
    """Remove what an earlier run left, which a failure would otherwise show as its own."""
    for suffix in (".json", ".parquet", ".card.json", ".figure.json"):
        (folder / "results" / f"{stem}{suffix}").unlink(missing_ok=True)


def remove_pages(folder: Path, stem: str) -> None:
    """Remove the page and the executed notebook of an earlier run on other data, which the index links no more."""
    for suffix in (".html", ".ipynb"):
        (folder / f"{stem}{suffix}").unlink(missing_ok=True)


def card_of(folder: Path, stem: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Gather what the index shows of a notebook: its entry and the card that it wrote.

    A failed notebook shows no numbers and no figure: its own checks may be what failed.
    """
    ok = entry["status"] == "ok"
    written = _read_json(folder / "results" / f"{stem}.card.json")
    given = entry["parameters"]
    settings = [f"{k} {v}" for k, v in given.items() if k not in ("dataset", "out", "n_jobs")]
    return {
        "stem": stem,
        "notebook": stem,
        "title": written.get("title") or entry["title"],
        "status": entry["status"],
        "seconds": f"{entry['seconds']:.1f} s",
        "dataset": given.get("dataset", "none"),
        "settings": ", ".join(settings),
        "numbers": written.get("key_numbers", {}) if ok else {},
        "figure": (_read_json(folder / "results" / f"{stem}.figure.json") or None) if ok else None,
        "error": entry["error"],
        "reason": entry.get("reason"),
        "simulated": bool(entry["simulated"] or written.get("simulated")),
        "finished_at": entry["finished_at"],
        "versions": {**entry["versions"], **written.get("versions", {})},
    }


def _read_json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def write_index(folder: Path, manifest: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write ``index.html`` from the entries and cards; returns its path."""
    from srna_lib import datasets

    cards = [card_of(folder, stem, manifest[stem]) for stem in sorted(manifest)]
    names = list(dict.fromkeys(card["dataset"] for card in cards))
    shown = [datasets.entry(name) for name in names if name in datasets.names()]
    left_out, failed = (sum(card["status"] == status for card in cards) for status in (NOT_APPLICABLE, "failed"))
    finished = max((card["finished_at"] for card in cards if card["status"] != NOT_APPLICABLE), default="")
    page = html.index_page(
        cards,
        title="Small-RNA report: " + (" and ".join(data["title"] for data in shown) or "no notebook is done"),
        datasets=shown,
        summary=f"Notebooks run: {len(cards) - left_out}, failed: {failed}"
        + f", {NOT_APPLICABLE}: {left_out}" * bool(left_out)
        + f". Last finished: {finished or 'none'}.",
        versions=versions_line(cards),
        simulated=any(card["simulated"] for card in cards),
    )
    index = folder / "index.html"
    write_text(index, page)
    return index


def about_line(entry: Mapping[str, Any]) -> str:
    """Say under which settings, when and how long a notebook ran."""
    given = entry["parameters"]
    return (
        f"Data set {given.get('dataset', 'none')}, profile {given.get('profile', 'none')}; finished"
        f" {entry['finished_at']} after {entry['seconds']:.1f} s."
    )


def versions_line(cards: Iterable[Mapping[str, Any]]) -> str:
    """List versions in one line; a package that differs between cards is listed with each."""
    found: dict[str, dict[str, None]] = {}
    for card in cards:
        for name, version in card["versions"].items():
            found.setdefault(name, {})[str(version)] = None
    if not found:
        return ""
    return "Made with " + ", ".join(f"{name} {' / '.join(seen)}" for name, seen in found.items()) + "."
