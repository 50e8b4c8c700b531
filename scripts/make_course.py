"""Write the students' copies of the notebooks: ``python scripts/make_course.py [FOLDER]`` (default ``course``).

A copy is the notebook without its solutions and outputs. One source holds both: a markdown cell tagged ``exercise``, an
empty code cell tagged ``answer`` and a code cell tagged ``solution`` (``notebooks/scripts``).
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("exercise", "answer", "solution")
HINT = "# Your answer: write it here and run it."


def exercises(nb: NotebookNode) -> list[dict[str, NotebookNode]]:
    """Cells of each exercise by kind; stops with a sentence where one lacks a cell or stands out of order."""
    cells = [(kind, cell) for cell in nb.cells for kind in KINDS if kind in cell.metadata.get("tags", [])]
    triples = [dict(cells[at : at + 3]) for at in range(0, len(cells), 3)]
    for number, triple in enumerate(triples, start=1):
        if tuple(triple) != KINDS or triple["answer"].source.strip() or not triple["solution"].source.strip():
            sys.exit(f"exercise {number}: expected an exercise, an empty answer and a solution, in this order.")
    return triples


def student_copy(nb: NotebookNode) -> NotebookNode:
    """Notebook with a cell to write in for each exercise, without the solutions."""
    for triple in exercises(nb):
        triple["answer"].source = HINT
    nb.cells = [cell for cell in nb.cells if "solution" not in cell.metadata.get("tags", [])]
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nb


def main(folder: Path) -> None:
    """Write a copy of every notebook."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        copy = student_copy(nbformat.read(path, as_version=4))
        (folder / path.name).write_text(nbformat.writes(copy) + "\n", encoding="utf-8")
        print(f"wrote {folder / path.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "course")
