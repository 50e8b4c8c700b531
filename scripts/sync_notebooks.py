"""Write notebooks/NN_name.ipynb from notebooks/scripts/NN_name.py, the same bytes every time.

Of the header's metadata only ``srna`` is kept (the columns that a notebook needs, see `srna_lib.parameters`).

``python scripts/sync_notebooks.py`` writes; with ``--check`` nothing is written, and the exit code is 1 when
a notebook differs from its script, or has none.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from pathlib import Path

import jupytext
import nbformat

ROOT = Path(__file__).resolve().parent.parent / "notebooks"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
FORMATS = "ipynb,scripts//py:percent"


def notebook_text(script: Path) -> str:
    """Text of the .ipynb of a script: no outputs, cell ids from the cells' content, no tool versions."""
    source = jupytext.read(script, fmt="py:percent")
    cells, seen = [], set()
    for cell in source.cells:
        cell_id, n = "", 0
        while not cell_id or cell_id in seen:
            cell_id = hashlib.sha256(f"{cell.cell_type}{n}{cell.source}".encode()).hexdigest()[:12]
            n += 1
        seen.add(cell_id)
        make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
        tags = {"tags": list(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
        cells.append(make[cell.cell_type](cell.source, id=cell_id, metadata=tags))
    metadata = {"jupytext": {"formats": FORMATS}, "kernelspec": KERNEL, "language_info": {"name": "python"}}
    if "srna" in source.metadata:
        metadata["srna"] = source.metadata["srna"]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Write every notebook, or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a notebook differs")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of the notebooks")
    args = parser.parse_args(argv)
    scripts = sorted((args.root / "scripts").glob("*.py"))
    stale = [f"{p.name}: has no script" for p in args.root.glob("*.ipynb") if p.stem not in {s.stem for s in scripts}]
    for script in scripts:
        target, text = args.root / f"{script.stem}.ipynb", notebook_text(script)
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        if args.check:
            stale.append(f"{target.name}: differs from scripts/{script.name}")
            continue
        partial = target.with_suffix(".part")
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, target)
        print(f"wrote {target.name}")
    for line in stale:
        print(f"{line}; edit the script and run scripts/sync_notebooks.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
