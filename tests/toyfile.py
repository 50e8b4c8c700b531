"""A registered file that is in no cache, and a network that answers as it is told."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pooch

CONTENT = b"what the file holds\n"
COMMIT = "c" * 40
FILE = {
    "repository": "owner/repo",
    "commit": COMMIT,
    "path": "some/folder/data.rda",
    "bytes": len(CONTENT),
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
}
TOY = {"title": "Toy", "citation": "Me (2020)", "licence": "MIT", "simulated": False, "files": [FILE]}
URL = f"https://raw.githubusercontent.com/owner/repo/{COMMIT}/some/folder/data.rda"


def refuse_with(error):
    """What a download does: it fails with this error."""

    def call(self, url, output_file, downloader, **options):
        raise error

    return call


def serve(monkeypatch, content):
    """Let the network answer with these bytes; return the list of asked addresses."""
    asked = []

    def call(self, url, output_file, downloader, **options):
        asked.append(url)
        Path(output_file).write_bytes(content)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", call)
    return asked


def files_below(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())
