"""Notebooks: recipe, sync, and every one executed in profile smoke."""

from __future__ import annotations

import ast
import json
import re
import runpy
import statistics
from pathlib import Path

import inline
import nbformat
import pandas as pd
import papermill
import pytest

from srna_lib.datasets import registry
from srna_lib.report import run as report_run
from srna_lib.report.results import BANNER, RECORD_FIELDS

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
STEMS = [n.stem for n in NOTEBOOKS]


@pytest.fixture(scope="module", params=STEMS)
def notebook(request):
    return nbformat.read(ROOT / "notebooks" / f"{request.param}.ipynb", as_version=4)


def applicable(dataset: str) -> list[str]:
    """Notebooks that run on a data set of the registry."""
    columns = registry.entry(dataset)["columns"]
    return [n.stem for n in NOTEBOOKS if not report_run.why_not(n, dataset, columns)]


def tagged(notebook, tag):
    return [c for c in notebook.cells if tag in c.metadata.get("tags", [])]


def test_there_are_notebooks():
    assert STEMS[:2] == ["01_data_exploration", "02_tissue"]


def test_scripts_and_notebooks_agree(capsys):
    assert runpy.run_path(str(ROOT / "scripts" / "sync_notebooks.py"))["main"](["--check"]) == 0, capsys.readouterr()


def test_the_script_says_which_columns_a_notebook_needs(tmp_path):
    (tmp_path / "scripts").mkdir()
    text = (ROOT / "notebooks" / "scripts" / "01_data_exploration.py").read_text(encoding="utf-8")
    needing = text.replace("# jupyter:\n", "# jupyter:\n#   srna:\n#     needs: [sex, a|b]\n", 1)
    (tmp_path / "scripts" / "03_sex.py").write_text(needing, encoding="utf-8")
    main = runpy.run_path(str(ROOT / "scripts" / "sync_notebooks.py"))["main"]
    assert main(["--root", str(tmp_path)]) == 0
    assert report_run._read(tmp_path / "03_sex.ipynb").metadata["srna"]["needs"] == ["sex", "a|b"]
    before = (tmp_path / "03_sex.ipynb").read_bytes()
    (tmp_path / "scripts" / "03_sex.py").write_text(text, encoding="utf-8")
    assert main(["--root", str(tmp_path), "--check"]) == 1
    assert (tmp_path / "03_sex.ipynb").read_bytes() == before


@pytest.mark.parametrize("stem", STEMS)
def test_every_notebook_applies_to_demo_and_to_real_data(stem):
    assert stem in applicable("demo")
    assert any(stem in applicable(name) for name in registry.names() if not registry.entry(name)["simulated"])


def test_no_outputs_are_committed(notebook):
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert code
    assert not any(c.outputs or c.execution_count for c in code)


def test_title_is_a_question(notebook):
    assert notebook.cells[0].source.startswith("# ")
    assert notebook.cells[0].source.splitlines()[0].endswith("?")


REWRITTEN = {  # notebook in the short form -> most branches, a third of the first version
    "01_data_exploration": 7,
    "02_tissue": 3,
    "03_sex": 10,
    "04_age": 11,
    "05_explainability": 8,
    "06_stability": 5,
    "07_annotate": 0,
    "08_unseen_studies": 2,
    "09_limits": 2,
    "10_graphs": 2,
    "11_latent": 0,
    "12_retrieval": 1,
}


def test_number_of_cells(notebook):
    assert 25 <= len(notebook.cells) <= 90


@pytest.mark.parametrize("stem", REWRITTEN)
def test_cells_are_short_and_plain(stem):
    """Short cells, few names, plain arguments, hardly a branch: what a reader can follow line by line."""
    cells = nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4).cells
    sources = [c.source for c in cells if c.cell_type == "code" and c.source]
    lengths = [
        sum(bool(line.strip()) for line in source.splitlines()) for source in sources if "dataset: str" not in source
    ]
    assert statistics.median(lengths) <= 4 and max(lengths) <= 12
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    imports = [n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
    own = {id(n) for c in nodes if isinstance(c, ast.comprehension) for n in ast.walk(c.target)}  # a scope of its own
    names = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store) and id(n) not in own}
    names |= {alias.asname or alias.name for n in imports for alias in n.names}
    assert len(names) <= 60, sorted(names)
    assert sum((getattr(n, "module", None) or n.names[0].name).startswith("srna_lib") for n in imports) <= 3
    assert not [n for n in nodes if isinstance(n, ast.keyword) and n.arg is None]
    assert not [n for n in nodes if isinstance(n, ast.Dict) and None in n.keys]
    assert sum(isinstance(n, ast.If | ast.IfExp) for n in nodes) <= REWRITTEN[stem]


@pytest.mark.parametrize("stem", REWRITTEN)
def test_three_exercises_each_with_a_place_to_answer_and_a_solution(stem):
    cells = nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4).cells
    tags = [(c.metadata.get("tags") or [""])[0] for c in cells]
    (first,) = [i for i, c in enumerate(cells) if c.source.startswith("**1.**")]
    assert tags[first : first + 9] == ["exercise", "answer", "solution"] * 3
    assert not any(c.source for c, tag in zip(cells, tags, strict=True) if tag == "answer")
    assert [h for h in ("## Limits", "## Glossary", "## References") if not any(h in c.source for c in cells)] == []


def test_parameters_are_typed_and_explained(notebook):
    (cell,) = tagged(notebook, "parameters")
    for statement, line in zip(ast.parse(cell.source).body, cell.source.splitlines(), strict=True):
        assert isinstance(statement, ast.AnnAssign), line
        assert "  # " in line, line
    names = {s.target.id for s in ast.parse(cell.source).body}
    assert {"dataset", "profile", "out", "seed", "n_jobs"} <= names


def test_has_checks_and_exercises_with_solutions(notebook):
    (checks,) = tagged(notebook, "checks")
    assert checks.source.count("assert ") >= 3
    assert len(tagged(notebook, "exercise")) == len(tagged(notebook, "solution")) >= 2


def test_no_number_of_a_result_is_typed_into_prose(notebook):
    """Percentages and decimals in prose are the paper's class sizes or nothing: results come from variables."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"\d+(\.\d+)? ?%|\b0?\.\d{2,}", cell.source), cell.source


def check_results(out: Path, stem: str) -> None:
    records = json.loads((out / "results" / f"{stem}.json").read_text())
    assert records
    assert all(set(r) == set(RECORD_FIELDS) for r in records)
    card = json.loads((out / "results" / f"{stem}.card.json").read_text())
    assert card["key_numbers"]
    assert (out / f"{stem}.html").stat().st_size > 1e6  # plotly.js is inside


@pytest.fixture(scope="module")
def demo_report(tmp_path_factory):
    out = tmp_path_factory.mktemp("reports") / "demo"
    settings = {"dataset": "demo", "profile": "smoke", "out": out, "jobs": 1}
    assert not report_run.run_notebooks(["06"], **settings).exit_code  # through papermill and a kernel
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(papermill, "execute_notebook", inline.execute_notebook)
        return report_run.run_notebooks(**settings), out


def test_every_notebook_runs_on_demo(demo_report):
    report, out = demo_report
    states = ["skipped" if stem == "06_stability" else "ok" for stem in STEMS]
    assert [(o.notebook, o.status) for o in report.outcomes] == list(zip(STEMS, states, strict=True))
    for stem in STEMS:
        check_results(out, stem)
        assert BANNER in (out / f"{stem}.html").read_text()
    assert BANNER in (out / "index.html").read_text()


def test_tissue_predictions_are_tidy(demo_report):
    _, out = demo_report
    table = pd.read_parquet(out / "results" / "02_tissue.parquet")
    assert {"sample_id", "dataset_id", "task", "model", "scheme", "fold", "y_true", "y_pred"} <= set(table.columns)
    assert set(table["scheme"]) == {"random_5fold", "grouped_kfold", "one_dataset_out"}


def test_every_notebook_runs_on_real_data(mirror, in_process, tmp_path):
    report = report_run.run_notebooks(dataset="mirome", profile="smoke", out=tmp_path / "mirome", jobs=1)
    fitting = applicable("mirome")
    assert {"01_data_exploration", "02_tissue"} <= set(fitting)
    assert [(o.notebook, o.status) for o in report.outcomes] == [
        (s, "ok" if s in fitting else "not applicable") for s in STEMS
    ]
    for stem in fitting:
        check_results(tmp_path / "mirome", stem)
        assert BANNER not in (tmp_path / "mirome" / f"{stem}.html").read_text()


OF_PEOPLE = ["03_sex"]  # 04_age runs on tcga in test_commands


def test_notebooks_of_sex_and_age_run_on_real_data(real, in_process, tmp_path):
    real("tcga")  # parsed by one worker
    report = report_run.run_notebooks(OF_PEOPLE, dataset="tcga", profile="smoke", out=tmp_path / "tcga", jobs=1)
    assert [(o.notebook, o.status) for o in report.outcomes] == [(s, "ok") for s in OF_PEOPLE]
    for stem in OF_PEOPLE:
        check_results(tmp_path / "tcga", stem)
        assert BANNER not in (tmp_path / "tcga" / f"{stem}.html").read_text()
