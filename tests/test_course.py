"""Exercises, their solutions, and the students' copies without them."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import make_course  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def cell(kind: str, source: str):
    make = new_markdown_cell if kind == "exercise" else new_code_cell
    return make(source, metadata={"tags": [kind] if kind else []})


def triple(n: int) -> list:
    return [cell("exercise", f"**{n}.** Guess."), cell("answer", ""), cell("solution", f"secret_{n} = {n}\nsecret_{n}")]


def test_a_copy_has_cells_to_write_in_and_no_solution():
    cells = [cell("", "kept = 1"), *triple(1), *triple(2)]
    cells[0].outputs = [nbformat.v4.new_output("stream", text="seen")]
    copy = make_course.student_copy(new_notebook(cells=cells))
    text = nbformat.writes(copy)
    assert "secret" not in text and "seen" not in text and "kept = 1" in text
    assert [c.source for c in copy.cells if "answer" in c.metadata.tags] == [make_course.HINT] * 2


@pytest.mark.parametrize("wrong", [[0, 2], [0, 2, 1], [0, 1, 2, 2], [0, 0, 1, 2], [1, 2]])
def test_cells_that_lack_or_stand_out_of_order_are_noticed(wrong):
    with pytest.raises(SystemExit, match=r"exercise [12]: expected"):
        make_course.exercises(new_notebook(cells=[triple(1)[at] for at in wrong]))


def test_an_answer_that_is_written_and_a_solution_that_is_not_are_noticed():
    for at in (1, 2):
        cells = triple(1)
        cells[at].source = "x" if at == 1 else ""
        with pytest.raises(SystemExit, match="exercise 1"):
            make_course.exercises(new_notebook(cells=cells))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_exercises_of_our_notebooks(path):
    """Each has its number, a cell to write in and one solution; the student's copy has nothing of the solution."""
    nb = nbformat.read(path, as_version=4)
    triples = make_course.exercises(nb)
    assert len(triples) == 3
    assert [t["exercise"].source.split(".")[0] for t in triples] == ["**1", "**2", "**3"]
    solutions = [t["solution"].source for t in triples]
    copy = make_course.student_copy(nb)
    assert not any(solution in c.source for solution in solutions for c in copy.cells)


def test_the_command_writes_every_notebook(tmp_path, monkeypatch, capsys):
    source = tmp_path / "notebooks"
    source.mkdir()
    nbformat.write(new_notebook(cells=triple(1)), source / "01_a.ipynb")
    monkeypatch.setattr(make_course, "ROOT", tmp_path)
    make_course.main(tmp_path / "course")
    assert [p.name for p in (tmp_path / "course").iterdir()] == ["01_a.ipynb"]
    nbformat.validate(nbformat.read(tmp_path / "course" / "01_a.ipynb", as_version=4))
