"""Write the files of every data set into srna_lib/resources/datasets.json, one file a line.

Command (deterministic; the table has the columns dataset, repository, commit, path, bytes, sha256)::

    python scripts/make_registry.py files.tsv

Titles, citations and licences are edited in the registry itself and stay as they are; a data set of the table that
the registry lacks is refused. ``--check`` only says whether the registry is written as this script writes it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

REGISTRY = Path(__file__).resolve().parent.parent / "srna_lib" / "resources" / "datasets.json"
FIELDS = ["repository", "commit", "path", "bytes", "sha256"]


def layout(registry: dict[str, dict[str, Any]]) -> str:
    entries = []
    for name, entry in registry.items():
        lines = [f"    {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in entry.items() if k != "files"]
        files = ",\n".join(f"      {json.dumps(file)}" for file in entry["files"])
        lines.append(f'    "files": [\n{files}\n    ]' if files else '    "files": []')
        entries.append(f"  {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n  }")
    return "{\n" + ",\n".join(entries) + "\n}\n"


def filled(registry: dict[str, dict[str, Any]], table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    unknown = sorted(set(table["dataset"]) - set(registry))
    if unknown:
        sys.exit(f"the registry lacks {', '.join(unknown)}: add title, citation and licence first")
    for name, rows in table.groupby("dataset"):
        registry[str(name)]["files"] = json.loads(rows[FIELDS].to_json(orient="records"))
    return registry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", type=Path, help="tab-separated list of files")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the layout differs")
    arguments = parser.parse_args()
    registry = json.loads(REGISTRY.read_text(encoding="utf-8"))
    if arguments.table:
        registry = filled(registry, pd.read_csv(arguments.table, sep="\t"))
    text = layout(registry)
    if arguments.check:
        sys.exit(int(text != REGISTRY.read_text(encoding="utf-8")))
    REGISTRY.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
