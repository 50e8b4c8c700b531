"""The command line: exit codes, one-sentence errors, options that reach the run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import srna_lib
from srna_lib.errors import InputError
from srna_lib.report import cli, run

ROOT = Path(__file__).parent.parent
NOTEBOOK = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
HEAVY = ("keras", "jax", "plotly", "papermill", "nbconvert", "pandas")


@pytest.fixture
def calls(monkeypatch):
    """Record what the command asks for, and run nothing."""
    seen: list[tuple[list[str], dict]] = []

    def record(notebooks, **options):
        seen.append((notebooks, options))
        return run.Report(Path("/r/index.html"), [run.Outcome("01_a", "ok", 1.0)])

    monkeypatch.setattr(run, "run_notebooks", record)
    return seen


def invoke(*words: str):
    return CliRunner().invoke(cli.app, list(words))


def test_version():
    result = invoke("--version")
    assert result.exit_code == 0
    assert result.stdout == f"srna {srna_lib.__version__}\n"


def test_options_reach_the_run(calls):
    words = "run 01 2 --dataset mirome --profile full --out x --jobs 3 --seed 4 --force --notebooks n"
    result = invoke(*words.split(), "-p", "a=1", "-p", "b=c=d")
    assert result.exit_code == 0, result.output
    assert "report: /r/index.html" in result.stdout
    ((notebooks, options),) = calls
    assert notebooks == ["01", "2"]
    assert options.pop("say")
    assert options == {
        "dataset": "mirome", "profile": "full", "out": Path("x"), "jobs": 3, "seed": 4, "force": True,
        "parameters": {"a": "1", "b": "c=d"}, "notebooks_dir": Path("n"),
    }  # fmt: skip


def test_defaults(calls):
    assert invoke("run").exit_code == 0
    ((notebooks, options),) = calls
    assert notebooks == []
    assert (options["dataset"], options["profile"], options["out"], options["seed"]) == (
        "demo",
        "demo",
        None,
        0,
    )


def test_failed_notebook_is_exit_code_1(monkeypatch):
    failed = run.Report(Path("/r/index.html"), [run.Outcome("01_a", "failed", 1.0)])
    monkeypatch.setattr(run, "run_notebooks", lambda *args, **options: failed)
    result = invoke("run")
    assert result.exit_code == 1
    assert "report: /r/index.html" in result.stdout


def test_notebook_that_does_not_apply_is_no_failure(monkeypatch):
    outcomes = [run.Outcome("01_a", "ok", 1.0), run.Outcome("03_sex", "not applicable", 0.0)]
    monkeypatch.setattr(run, "run_notebooks", lambda *a, **o: run.Report(Path("/r/index.html"), outcomes))
    assert invoke("run").exit_code == 0


def test_notebook_asked_for_by_name_that_does_not_apply_is_exit_code_2(tmp_path):
    needing = NOTEBOOK.replace('"metadata": {}', '"metadata": {"srna": {"needs": ["sex"]}}')
    (tmp_path / "03_sex.ipynb").write_text(needing)
    result = invoke("run", "3", "--dataset", "mirome", "--notebooks", str(tmp_path), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "03_sex needs the column sex" in result.stderr and "'mirome'" in result.stderr
    assert "data sets that do: demo, tcga, " in result.stderr
    assert not (tmp_path / "out").exists()


def test_notebook_that_refuses_its_input_is_exit_code_2(monkeypatch):
    failed = run.Outcome
    outcomes = [failed("02_tissue", "failed", 1.0, bad_input=True), failed("03", "failed", 1.0)]
    for report, code in ((outcomes[:1], 2), (outcomes, 1)):
        monkeypatch.setattr(run, "run_notebooks", lambda *a, r=report, **k: run.Report(Path("i"), r))
        assert invoke("run").exit_code == code


def test_input_error_is_one_line_and_exit_code_2(monkeypatch):
    def refuse(*args, **options):
        raise InputError("a.tsv: found b; expected c.")

    monkeypatch.setattr(run, "run_notebooks", refuse)
    result = invoke("run")
    assert result.exit_code == 2
    assert result.stderr == "srna: error: a.tsv: found b; expected c.\n"
    assert result.stdout == ""


def test_interruption_is_one_line_and_exit_code_130(monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_notebooks", interrupt)
    result = invoke("run")
    assert result.exit_code == 130
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [["run", "--frob"], ["run", "--jobs", "0"], ["run", "--jobs", "x"], ["run", "--seed", "-1"], ["walk"]],
)
def test_unknown_options_and_values_are_exit_code_2(calls, words):
    assert invoke(*words).exit_code == 2
    assert not calls


@pytest.mark.parametrize("text", ["size", "=3", "1a=3"])
def test_parameter_without_name_or_value(calls, text):
    result = invoke("run", "-p", text)
    assert result.exit_code == 2
    assert "expected NAME=VALUE" in result.stderr
    assert not calls


def test_parameter_given_twice(calls):
    result = invoke("run", "-p", "a=1", "-p", "a=2")
    assert result.exit_code == 2
    assert "given twice" in result.stderr


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--dataset", "nothing"], "unknown data set 'nothing'"),
        (["99"], "unknown notebook '99'"),
        (["--out", "file/out"], "file/out: not writable (Not a directory)"),
        (["-p", "nothing=1"], "unknown parameter 'nothing'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(tmp_path, monkeypatch, words, found):
    (tmp_path / "file").write_text("x")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_a.ipynb").write_text(NOTEBOOK)
    monkeypatch.chdir(tmp_path)
    result = invoke("run", "--notebooks", "notebooks", *words)
    assert result.exit_code == 2
    assert result.stderr.startswith("srna: error: ")
    assert found in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "notebooks"]


@pytest.mark.slow
def test_the_entry_point_ends_the_process_with_the_code(tmp_path):
    (tmp_path / "01_a.ipynb").write_text(NOTEBOOK)
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from srna_lib.report.cli import main; main()"
    words = [sys.executable, "-c", start, "run", "--notebooks", str(tmp_path), "--dataset", "nothing"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("srna: error: unknown data set 'nothing'")
    assert done.stderr.count("\n") == 1


def test_importing_the_command_line_loads_no_heavy_package():
    probe = (
        "import sys; sys.path.insert(0, sys.argv[1]); import srna_lib.report.cli;"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe, str(ROOT)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
