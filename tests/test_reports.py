"""Runs of small notebooks, made on the spot, and their pages."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pandas as pd
import papermill.engines
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from test_fold_cache import is_running, wait_for
from typer.testing import CliRunner

from srna_lib.data.atlas import make_atlas
from srna_lib.datasets import registry
from srna_lib.errors import InputError
from srna_lib.report import page as report_page
from srna_lib.report import run as report_run
from srna_lib.report.cli import app
from srna_lib.report.results import BANNER

ROOT = Path(__file__).parent.parent
CHECK = ROOT / "scripts" / "check_pages.py"
EVIL = "<script>alert(1)</script>"
PARAMETERS = """dataset: str = "demo"  # data set
profile: str = "demo"
out: str = "../reports/demo"
seed: int = 0
n_jobs: int = 2"""
FIGURE = """import plotly.graph_objects as go
import plotly.io as pio
pio.renderers.default = "plotly_mimetype"
figure = go.Figure(go.Bar(x=["<b>a", "</script>"], y=[1, 2]))
figure.update_layout(title="<script>alert(1)</script>")
figure.show()
figure"""
CARD = """import json
from pathlib import Path
folder = Path(out) / "results"
folder.mkdir(exist_ok=True)
card = {"title": "<script>alert(1)</script>", "key_numbers": {"<b>n": "<i>7"}, "simulated": True}
card["versions"] = {"x": "<u>"}
(folder / "01_good.card.json").write_text(json.dumps(card))
(folder / "01_good.figure.json").write_text(figure.to_json());"""


def code(source: str, *tags: str):
    return new_code_cell(source, metadata={"tags": list(tags)})


def prose(source: str, *tags: str):
    return new_markdown_cell(source, metadata={"tags": list(tags)})


def save(folder: Path, stem: str, *blocks, srna=None) -> Path:
    folder.mkdir(exist_ok=True)
    nb = new_notebook(cells=list(blocks))
    if srna is not None:
        nb.metadata.srna = srna
    nb.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / f"{stem}.ipynb"
    nbformat.write(nb, path)
    return path


def page_of(*blocks, error=None, **options) -> str:
    nb = new_notebook(cells=list(blocks))
    defaults = {"stem": "x", "title": "x", "about": "", "versions": "", "simulated": False}
    return report_page.notebook_page(nb, **{**defaults, **options}, error=error)


def shown(*outputs) -> str:
    """Body of the page of one cell with these outputs."""
    page = page_of(new_code_cell("1", outputs=list(outputs)))
    return page[page.index("<main>") :]


@pytest.fixture(scope="module", autouse=True)
def package():
    """Kernels find the package that is tested, installed or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run of four notebooks: good, failing, refusing its input, killing its kernel."""
    base = tmp_path_factory.mktemp("run {0}")  # braces and blanks in paths must not matter
    source = base / "nbs"
    save(
        source,
        "01_good",
        prose(f"# What? {EVIL}\n\n$x < y$"),
        code(PARAMETERS + "\nlabel: str = 'a'\nsize: int = 9", "parameters"),
        code(
            "import sys\nfrom pathlib import Path\nprint(sys.executable)\n"
            "print(Path('here.txt').read_text(), label, size)"
        ),
        code(FIGURE),
        code(CARD),
    )
    (source / "here.txt").write_text("relative paths work")
    save(source, "02_bad", code(PARAMETERS, "parameters"), code("print('before')"),
         code("raise KeyError('<b>bold</b>')"), code("print('never ' + 'reached')"))  # fmt: skip
    save(
        source,
        "03_input",
        code("from srna_lib.errors import InputError\nraise InputError('a.tsv: <found> -1.')"),
    )
    save(
        source,
        "10_dead",
        code("print('a' + 'live', flush=True)"),
        code("import os, time\ntime.sleep(1)\nos._exit(1)"),
    )
    lines: list[str] = []
    report = report_run.run_notebooks(
        out=base / "out", notebooks_dir=source, parameters={"label": EVIL, "size": "3"}, say=lines.append
    )
    return base, report, lines


def test_outcomes_in_order_and_lines(run):
    _, report, lines = run
    assert [(o.notebook, o.status) for o in report.outcomes] == [
        ("01_good", "ok"), ("02_bad", "failed"), ("03_input", "failed"), ("10_dead", "failed")]  # fmt: skip
    assert report.exit_code == 1
    assert report.index.is_absolute()
    assert any(line.endswith("a.tsv: <found> -1.") for line in lines)
    assert any("[1/4] 01_good: ok, " in line for line in lines)


def test_notebook_runs_here_with_this_interpreter_and_its_parameters(run):
    base, _, _ = run
    nb = nbformat.read(base / "out" / "01_good.ipynb", as_version=4)
    text = nb.cells[3].outputs[0].text
    assert text.splitlines()[0] == sys.executable
    assert f"relative paths work {EVIL} 3" in text
    assert nb.metadata.papermill.input_path == "01_good.ipynb"


def test_kernel_is_this_interpreter_even_if_another_python3_is_installed(tmp_path, monkeypatch):
    spec = tmp_path / "data" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "data"))
    save(tmp_path / "nbs", "01_a", code("1"))
    assert not report_run.run_notebooks(out=tmp_path / "out", notebooks_dir=tmp_path / "nbs", say=str).exit_code


def test_page_has_figures_once_with_library_once_and_no_network(run):
    base, _, _ = run
    page = (base / "out" / "01_good.html").read_text()
    assert page.count('class="plotly-graph-div"') == 2
    assert page.count("* plotly.js v") == 1
    body = page[page.index("<body>") :]
    assert 'src="http' not in body
    assert BANNER in body
    assert 'href="index.html"' in body
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body


def test_failed_page_stops_at_the_failure_with_an_escaped_traceback(run):
    base, _, _ = run
    page = (base / "out" / "02_bad.html").read_text()
    body = page[page.index("<main>") :]
    assert "before" in body
    assert "never" not in body
    assert "Code cells after the failure, not run: 1." in body
    assert "KeyError" in body
    assert "<b>bold" not in body
    assert "&lt;b&gt;bold" in body
    assert "\x1b" not in body
    assert "papermill-error-cell" not in body
    assert "* plotly.js v" not in page  # no figure, no library


def test_input_error_is_one_sentence_without_traceback(run):
    base, _, _ = run
    for name in ("03_input.html", "index.html"):
        page = (base / "out" / name).read_text()
        assert "<strong>a.tsv: &lt;found&gt; -1.</strong></div>" in page  # and no traceback in the box
    entry = json.loads((base / "out" / "run.json").read_text())["03_input"]
    assert entry["error"] == {"name": "InputError", "sentence": "a.tsv: <found> -1.", "traceback": ""}


def test_a_dead_kernel_is_a_failed_notebook(run):
    base, _, _ = run
    page = (base / "out" / "10_dead.html").read_text()
    assert "alive" in page
    assert "the kernel stopped" in page


def test_a_notebook_is_written_when_it_ends_and_not_before_and_after_every_cell(tmp_path, monkeypatch):
    source, written = tmp_path / "nbs", []
    cells = [code(f"print({i})") for i in range(5)]
    save(source, "01_good", code(PARAMETERS, "parameters"), *cells, code(FIGURE), code(CARD))
    real = papermill.engines.write_ipynb
    monkeypatch.setattr(papermill.engines, "write_ipynb", lambda *given: (written.append(1), real(*given)))
    report = report_run.run_notebooks(out=tmp_path / "out", notebooks_dir=source)
    assert [o.status for o in report.outcomes] == ["ok"]
    assert len(written) == 2  # as it starts, and as it ends


def test_index_has_card_numbers_figure_and_banner_all_escaped(run):
    _, report, _ = run
    page = report.index.read_text()
    body = page[page.index("<body>") :]
    assert body.count('<article class="card">') == 4
    assert "&lt;b&gt;n" in body
    assert "&lt;i&gt;7" in body
    assert "x &lt;u&gt;" in body
    assert f"label {EVIL}" not in body
    assert "label &lt;script&gt;alert(1)&lt;/script&gt;" in body
    assert BANNER in body
    assert registry.entry("demo")["title"] in body
    assert page.count("* plotly.js v") == 1
    assert page.count('class="plotly-graph-div"') == 1
    assert body.count('class="status failed"') == 3


def test_nothing_is_left_over(run):
    base, _, _ = run
    assert not [path.name for path in (base / "out").iterdir() if path.name.startswith(".")]


def test_pages_draw_in_a_browser(run):
    base, _, _ = run
    done = subprocess.run([sys.executable, str(CHECK), str(base / "out")], capture_output=True, text=True)
    if done.returncode == 2:
        pytest.skip("NO BROWSER: pages were not opened in one: " + done.stderr)
    assert done.returncode == 0, done.stdout
    assert "01_good.html: 2/2 figures drawn" in done.stdout


@pytest.mark.slow
def test_the_browser_check_notices_what_is_wrong(tmp_path):
    (tmp_path / "bad.html").write_text(
        '<!DOCTYPE html><title>x</title><div class="plotly-graph-div"></div>'
        '<script src="https://example.invalid/x.js"></script><script>nowhere()</script>'
    )
    done = subprocess.run([sys.executable, str(CHECK), str(tmp_path)], capture_output=True, text=True)
    if done.returncode == 2:
        pytest.skip("NO BROWSER: the check itself was not checked: " + done.stderr)
    assert done.returncode == 1
    assert "1 of 1 figures not drawn" in done.stdout
    assert "refers to https://example.invalid/x.js" in done.stdout
    assert "nowhere is not defined" in done.stdout
    assert "0 copies of plotly.js" in done.stdout


def test_resume_skips_what_is_done_and_redoes_what_changed(in_process, tmp_path, monkeypatch):
    source, out, library = tmp_path / "nbs", tmp_path / "out", tmp_path / "module.py"
    library.write_text("one")
    monkeypatch.setattr(report_run, "library_files", lambda: [library])
    save(source, "01_a", code(PARAMETERS, "parameters"), code("1"))
    save(source, "02_b", code(PARAMETERS, "parameters"), code("raise ValueError"))

    def statuses(**options):
        report = report_run.run_notebooks(out=out, notebooks_dir=source, say=str, **options)
        return [outcome.status for outcome in report.outcomes]

    assert statuses() == ["ok", "failed"]
    assert statuses() == ["skipped", "failed"]
    assert statuses(notebooks=["1"], force=True) == ["ok"]
    assert statuses(notebooks=["1"], seed=1) == ["ok"]
    assert statuses(notebooks=["1"], seed=1) == ["skipped"]
    (out / "01_a.html").unlink()
    assert statuses(notebooks=["1"], seed=1) == ["ok"]
    save(source, "02_b", code(PARAMETERS, "parameters"), code("2"))
    assert statuses(seed=1) == ["skipped", "ok"]
    library.write_text("two")
    assert statuses(notebooks=["2"], seed=1) == ["ok"]
    assert statuses(notebooks=["2"], seed=1) == ["skipped"]
    (out / "run.json").write_text("{")
    assert statuses(notebooks=["2"], seed=1) == ["ok"]


MEETING = """import os, time
from pathlib import Path
meeting = Path(out).parent
(meeting / f"{me}.here").write_text(f"{n_jobs} {os.environ['OMP_NUM_THREADS']}")
end = time.monotonic() + 60
while not (meeting / f"{other}.here").exists() and time.monotonic() < end:
    time.sleep(0.05)
assert (meeting / f"{other}.here").exists(), "alone"
"""


@pytest.mark.slow
def test_notebooks_run_beside_each_other_with_their_share_of_workers_and_threads(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    source, out = tmp_path / "nbs", tmp_path / "out"
    save(source, "01_a", code(PARAMETERS, "parameters"), code("me, other = 'a', 'b'"), code(MEETING))
    save(source, "02_b", code(PARAMETERS, "parameters"), code("me, other = 'b', 'a'"), code(MEETING), code("1 / 0"))
    lines: list[str] = []
    report = report_run.run_notebooks(out=out, notebooks_dir=source, jobs=4, say=lines.append)
    assert [(o.notebook, o.status) for o in report.outcomes] == [("01_a", "ok"), ("02_b", "failed")]
    assert [(tmp_path / f"{name}.here").read_text() for name in "ab"] == ["2 1", "2 1"]
    assert sorted(line.split(":")[0] for line in lines) == ["[1/2] 01_a"] * 2 + ["[2/2] 02_b"] * 2
    assert ["running" in line for line in lines] == [True, True, False, False]
    assert "ZeroDivisionError" in (out / "02_b.html").read_text() and 'href="01_a.html"' in report.index.read_text()
    assert "JAX_COMPILATION_CACHE_DIR" in os.environ  # the one of the tests, which a run leaves as it is


def test_what_takes_longest_is_begun_first_where_two_run_beside_each_other(in_process, tmp_path):
    """By the last run in the folder, before that in a fixed order; what comes out keeps the order of the numbers."""
    source = tmp_path / "nbs"
    save(source, "01_a", code(PARAMETERS, "parameters"), code("import time\ntime.sleep(1)"))
    save(source, "06_b", code(PARAMETERS, "parameters"))
    begun = []
    for jobs in (2, 2, 1):
        lines: list[str] = []
        options = {"out": tmp_path / "out", "notebooks_dir": source, "force": True, "say": lines.append}
        outcomes = report_run.run_notebooks(**options, jobs=jobs).outcomes
        assert [outcome.notebook for outcome in outcomes] == ["01_a", "06_b"]
        begun.append([line.split(":")[0] for line in lines if "running" in line])
    assert begun == [["[2/2] 06_b", "[1/2] 01_a"], ["[1/2] 01_a", "[2/2] 06_b"], ["[1/2] 01_a", "[2/2] 06_b"]]


def test_how_many_run_at_a_time_does_not_make_a_notebook_run_again(in_process, tmp_path):
    source, out = tmp_path / "nbs", tmp_path / "out"
    save(source, "01_a", code(PARAMETERS, "parameters"), code("1"))
    states = [
        report_run.run_notebooks(out=out, notebooks_dir=source, say=str, jobs=jobs).outcomes[0].status
        for jobs in (2, 1)
    ]
    assert states == ["ok", "skipped"]


@pytest.mark.slow
def test_compiled_programs_are_kept_in_the_report_and_only_for_its_run(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("JAX_")]:
        monkeypatch.delenv(name)
    save(tmp_path / "nbs", "01_a", code("import jax\njax.jit(lambda x: (x @ x).sum())(jax.numpy.ones((4, 4)))"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    monkeypatch.setattr(report_run, "LEAST_SECONDS", "0")
    assert not report_run.run_notebooks(out=tmp_path / "out", notebooks_dir=tmp_path / "nbs", say=str).exit_code
    assert list((tmp_path / "out" / "cache" / "jax").iterdir())
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def _flip(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"7", b"8"))


@pytest.mark.parametrize("name", ["01_good.html", "results/01_good.card.json", "results/01_good.figure.json"])
@pytest.mark.parametrize("damage", [Path.unlink, _cut, _flip, lambda path: path.write_text("[1]")])
def test_what_is_deleted_or_damaged_is_made_again(in_process, tmp_path, name, damage):
    """Truncated pages and deleted results were skipped as done, and a damaged card ended the run in a traceback."""
    source, out, lines = tmp_path / "nbs", tmp_path / "out", []
    save(source, "01_good", code(PARAMETERS, "parameters"), code(FIGURE), code(CARD))
    save(source, "02_b", code("2"))
    report_run.run_notebooks(out=out, notebooks_dir=source, say=str)
    before = (out / name).read_bytes()
    damage(out / name)
    report = report_run.run_notebooks(["2"], out=out, notebooks_dir=source, say=lines.append)
    assert [o.status for o in report.outcomes] == ["skipped"] and "01_good.html" not in report.index.read_text()
    said = f"{out}: page, results or entry of 01_good are not as its run left them, so it counts as not run"
    assert lines.count(said) == 1
    report = report_run.run_notebooks(out=out, notebooks_dir=source, say=str)
    assert [o.status for o in report.outcomes] == ["ok", "skipped"]
    assert "&lt;i&gt;7" in report.index.read_text()
    assert name.endswith(".html") or (out / name).read_bytes() == before


@pytest.mark.parametrize("change", [{"seconds": "long"}, {"parameters": None}, {"status": "ok "}, {"title": "Other"}])
def test_a_damaged_entry_of_the_manifest_is_made_again(in_process, tmp_path, change):
    """A value of another kind was a traceback."""
    source, out = tmp_path / "nbs", tmp_path / "out"
    save(source, "01_a", code(PARAMETERS, "parameters"), code("1"))
    report_run.run_notebooks(out=out, notebooks_dir=source, say=str)
    entry = json.loads((out / "run.json").read_text())["01_a"]
    (out / "run.json").write_text(json.dumps({"01_a": entry | change}))
    report = report_run.run_notebooks(out=out, notebooks_dir=source, say=str)
    assert [o.status for o in report.outcomes] == ["ok"]
    assert json.loads((out / "run.json").read_text())["01_a"]["title"] == "01_a"


@pytest.mark.parametrize(
    ("kind", "text"),
    [("card", "{"), ("card", "[1]"), ("card", '{"key_numbers": [1]}'), ("card", '{"versions": "1"}'), ("figure", "{")],
)
def test_a_notebook_that_writes_a_damaged_card_fails_and_the_others_go_on(in_process, tmp_path, kind, text):
    source, out = tmp_path / "nbs", tmp_path / "out"
    write = f"from pathlib import Path\nPath(out, 'results').mkdir()\nPath(out, 'results/01_a.{kind}.json')"
    save(source, "01_a", code(PARAMETERS, "parameters"), code(f"{write}.write_text({text!r})"))
    save(source, "02_b", code("2"))
    report = report_run.run_notebooks(out=out, notebooks_dir=source, say=str)
    assert [(o.status, o.bad_input) for o in report.outcomes] == [("failed", True), ("ok", False)]
    assert report.exit_code == 2
    page = report.index.read_text()
    assert f"01_a.{kind}.json: not readable (" in page and "expected JSON as" in page


def test_two_runs_into_one_folder_both_stand_in_the_index(in_process, tmp_path):
    """The one that ended first was lost from the manifest and the index."""
    source, out = tmp_path / "nbs", tmp_path / "out"
    beside = tmp_path / "beside"
    save(beside, "02_b", code("2"))
    save(source, "02_b", code("2"))
    inner = f"from srna_lib.report.run import run_notebooks\nrun_notebooks(['2'], out={str(out)!r}, "
    save(source, "01_a", code("1"), code(inner + f"notebooks_dir={str(source)!r}, say=str)"))
    report = report_run.run_notebooks(["1"], out=out, notebooks_dir=source, say=str)
    assert set(json.loads((out / "run.json").read_text())) == {"01_a", "02_b"}
    assert 'href="01_a.html"' in report.index.read_text() and 'href="02_b.html"' in report.index.read_text()


def test_many_runs_into_one_folder_lose_no_entry(tmp_path):
    known = {f"{i:02d}_n" for i in range(12)}

    def note(stem: str) -> None:
        with report_run._manifest(tmp_path, known, print) as manifest:
            entry = dict.fromkeys(report_run.KEYS, "") | {"status": report_run.NOT_APPLICABLE}
            time.sleep(0.02)
            manifest[stem] = entry

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(note, known))
    assert set(json.loads((tmp_path / "run.json").read_text())) == known


def test_a_full_disk_ends_a_run_in_one_sentence(in_process, tmp_path, monkeypatch):
    """It was a traceback, from the page or the manifest."""
    source, out = tmp_path / "nbs", tmp_path / "out"
    save(source, "01_a", code(PARAMETERS, "parameters"), code("1"))

    def full(self, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    done = CliRunner().invoke(app, ["run", "--out", str(out), "--notebooks", str(source)])
    assert done.exit_code == 2 and "cannot be written (No space left on device)" in done.stderr
    assert done.stderr.count("srna: error") == 1 and "Traceback" not in done.output
    assert not list(out.iterdir())


def test_a_full_disk_under_the_executed_notebook_is_one_sentence(tmp_path, monkeypatch):
    """What papermill had written of it was read, a traceback."""

    def full(source, target, **_):
        Path(target).write_text('{"cells": [')
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(report_run.papermill, "execute_notebook", full)
    save(tmp_path / "nbs", "01_a", code("1"))
    with pytest.raises(InputError, match=r"01_a\.ipynb: not readable as a notebook"):
        report_run.run_notebooks(out=tmp_path / "out", notebooks_dir=tmp_path / "nbs", say=str)


def test_digest_counts_source_and_parameters_but_neither_outputs_nor_place(tmp_path):
    path = save(tmp_path, "01_a", code("1"))
    first = report_run.digest_of(path, {"seed": 0, "out": "/a"})
    nb = nbformat.read(path, as_version=4)
    nb.cells[0].outputs = [new_output("stream", text="1")]
    nbformat.write(nb, path)
    assert report_run.digest_of(path, {"seed": 0, "out": "/b"}) == first
    assert report_run.digest_of(path, {"seed": 1, "out": "/a"}) != first
    save(tmp_path, "01_a", code("2"))
    assert report_run.digest_of(path, {"seed": 0, "out": "/a"}) != first


def test_a_failing_rerun_does_not_show_the_results_of_the_run_before(in_process, tmp_path):
    source, out = tmp_path / "nbs", tmp_path / "out"
    save(source, "01_good", code(PARAMETERS, "parameters"), code(FIGURE), code(CARD))
    report_run.run_notebooks(out=out, notebooks_dir=source, say=str)
    assert "&lt;i&gt;7" in (out / "index.html").read_text()
    save(source, "01_good", code(PARAMETERS, "parameters"), code(FIGURE), code(CARD), code("assert False"))
    report_run.run_notebooks(out=out, notebooks_dir=source, say=str)
    page = (out / "index.html").read_text()
    assert "&lt;i&gt;7" not in page
    assert "AssertionError" in page


def test_every_module_and_the_registry_count_as_library():
    names = {path.name for path in report_run.library_files()}
    assert {"run.py", "crossval.py", "datasets.json", "page.js"} <= names


WAIT = """import os, time
from pathlib import Path
end = time.monotonic() + 60
while "01_a" not in (Path(out) / "run.json").read_text() and time.monotonic() < end:
    time.sleep(0.1)
(Path(out).parent / "new").write_text(str(os.getpid()))
(Path(out).parent / "new").rename(Path(out).parent / "on")
time.sleep(60)"""


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_interrupted_run_ends_with_130_and_goes_on(tmp_path, jobs):
    source, out = tmp_path / "nbs", tmp_path / "out"
    save(source, "01_a", code("1"))
    save(source, "02_b", code(PARAMETERS, "parameters"), code(WAIT))
    # A test runner in the background ignores SIGINT, and its children would too.
    start = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from srna_lib.report.cli import main; main()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", start, "run", "--out", str(out), "--notebooks", str(source), "--jobs", jobs],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    limit = time.monotonic() + 90
    while not (tmp_path / "on").exists() and time.monotonic() < limit:
        time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in errors
    assert "interrupted" in errors
    kernel = int((tmp_path / "on").read_text())
    assert wait_for(lambda: not is_running(kernel), 10), "a notebook outlives its run"
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]
    save(source, "02_b", code("1"))
    report = report_run.run_notebooks(out=out, notebooks_dir=source, say=str)
    assert [outcome.status for outcome in report.outcomes] == ["skipped", "ok"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dataset": "demmo"}, "unknown data set 'demmo'.*did you mean 'demo'"),
        ({"profile": "ful"}, "unknown profile 'ful'.*did you mean 'full'"),
        ({"notebooks": ["03"]}, "unknown notebook '03'.*01_a, 02_b"),
        ({"notebooks": ["02_c"]}, "unknown notebook.*did you mean '02_b'"),
        ({"parameters": {"sise": "1"}}, "unknown parameter 'sise'.*did you mean 'size'"),
        ({"parameters": {"size": "many"}}, "'size' of 01_a: found 'many'; expected a value of type int"),
        ({"parameters": {"size": 1.5}}, "'size' of 01_a: found 1.5; expected a value of type int"),
        ({"parameters": {"seed": "1"}}, "--seed"),
        ({"notebooks_dir": "nowhere"}, "nowhere: no such folder"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_write_nothing(tmp_path, monkeypatch, options, words):
    source, out = tmp_path / "nbs", tmp_path / "out"
    save(source, "01_a", code(PARAMETERS + "\nsize: int = 9", "parameters"))
    save(source, "02_b", code(PARAMETERS, "parameters"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        report_run.run_notebooks(**{"out": out, "notebooks_dir": source, "say": str, **options})
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nbs"]


def test_report_folder_must_be_a_writable_folder_of_its_own(tmp_path):
    source = tmp_path / "nbs"
    path = save(source, "01_a", code("1"))
    before = path.read_bytes()
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="folder of the notebooks"):
        report_run.run_notebooks(out=source, notebooks_dir=source)
    with pytest.raises(InputError, match="Not a directory"):
        report_run.run_notebooks(out=tmp_path / "file" / "deep", notebooks_dir=source)
    assert path.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write anywhere")
def test_report_folder_without_permission(tmp_path):
    save(tmp_path / "nbs", "01_a", code("1"))
    (tmp_path / "closed").mkdir(mode=0o555)
    with pytest.raises(InputError, match="not writable"):
        report_run.run_notebooks(out=tmp_path / "closed" / "out", notebooks_dir=tmp_path / "nbs")


def test_data_set_that_cannot_be_had_stops_the_run_before_it_writes(tmp_path, monkeypatch):
    def broken(name):
        raise InputError(f"{name}: wrong hash.")

    monkeypatch.setattr(report_run, "fetch", broken)
    save(tmp_path / "nbs", "01_a", code("1"))
    with pytest.raises(InputError, match="demo: wrong hash"):
        report_run.run_notebooks(out=tmp_path / "out", notebooks_dir=tmp_path / "nbs")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def unfetched(monkeypatch):
    """Nothing is downloaded; the names that were asked for."""
    asked: list[str] = []
    monkeypatch.setattr(report_run, "fetch", asked.append)
    return asked


@pytest.fixture
def three(in_process, tmp_path):
    """Notebooks of which two do not run on every data set."""
    source = tmp_path / "nbs"
    save(source, "02_tissue", code(PARAMETERS, "parameters"))
    save(source, "03_sex", prose("# Which <i>sex?"), code(PARAMETERS, "parameters"), srna={"needs": ["sex"]})
    save(source, "04_age", code("1"), srna={"needs": ["age_years|gestational_age_days", "sex"]})
    return source


def own_atlas(path: Path, counts, obs, info, sex) -> Path:
    make_atlas(counts, obs.assign(sex=sex), info={**info, "simulated": False}).write_h5ad(path)
    return path


REASON = (
    "03_sex needs the column sex with at least two different values, which the data set 'mirome' does not have; data"
    " sets that do: demo, tcga, tcga_trf, lgrc, fetal_lung."
)


def test_notebooks_that_do_not_apply_are_left_out_and_the_index_says_why(tmp_path, three, unfetched):
    lines: list[str] = []
    report = report_run.run_notebooks(dataset="mirome", out=tmp_path / "out", notebooks_dir=three, say=lines.append)
    assert [(o.notebook, o.status) for o in report.outcomes] == [
        ("02_tissue", "ok"), ("03_sex", "not applicable"), ("04_age", "not applicable")]  # fmt: skip
    assert report.exit_code == 0
    assert f"[2/3] 03_sex: not applicable: {REASON}" in lines
    assert any("columns age_years or gestational_age_days and sex with" in line for line in lines)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "02_tissue.html", "02_tissue.ipynb", "index.html", "run.json"]  # fmt: skip
    body = report.index.read_text().partition("<body>")[2]
    assert body.count('<article class="card">') == 3
    assert REASON.replace("'", "&#39;") in body
    assert body.count('class="status other">not applicable<') == 2
    assert 'class="status failed"' not in body
    assert "Notebooks run: 1, failed: 0, not applicable: 2." in body
    assert "Which &lt;i&gt;sex?" in body
    assert "02_tissue.html" in body and "03_sex.html" not in body


def test_a_later_run_finds_what_is_done_and_what_does_not_apply(tmp_path, three, unfetched):
    options = {"out": tmp_path / "out", "notebooks_dir": three, "say": str}

    def statuses(*names, **more):
        return [o.status for o in report_run.run_notebooks(names, **{**options, **more}).outcomes]

    assert statuses() == ["ok", "ok", "ok"]
    results = tmp_path / "out" / "results"
    results.mkdir()
    (results / "03_sex.json").write_text("[]")
    assert statuses(dataset="mirome") == ["ok", "not applicable", "not applicable"]
    assert not (results / "03_sex.json").exists()  # of other data than the card speaks of
    assert not (tmp_path / "out" / "03_sex.html").exists()
    assert statuses(dataset="mirome") == ["skipped", "not applicable", "not applicable"]
    assert statuses("2", dataset="mirome") == ["skipped"]
    assert (tmp_path / "out" / "index.html").read_text().count(">not applicable<") == 2  # cards of the run before
    assert statuses("3") == ["ok"]
    assert (tmp_path / "out" / "index.html").read_text().count(">not applicable<") == 1


def test_notebook_asked_for_by_name_must_apply(tmp_path, three, unfetched):
    with pytest.raises(InputError) as caught:
        report_run.run_notebooks(["02", "03"], dataset="mirome", out=tmp_path / "out", notebooks_dir=three, say=str)
    assert str(caught.value) == REASON
    assert not (tmp_path / "out").exists()
    assert not unfetched  # nothing is downloaded only to be refused


def test_columns_of_an_own_atlas_decide(tmp_path, three, counts, obs, info):
    path, options = tmp_path / "mine.h5ad", {"out": tmp_path / "out", "notebooks_dir": three, "say": str}
    own_atlas(path, counts, obs, info, ["male"] * 6)
    report = report_run.run_notebooks(dataset=str(path), **options)
    assert [o.status for o in report.outcomes] == ["ok", "not applicable", "not applicable"]
    with pytest.raises(InputError, match=r"03_sex needs the column sex .*mine\.h5ad' does not have"):
        report_run.run_notebooks(["3"], dataset=str(path), **options)
    own_atlas(path, counts, obs, info, ["male", "female", None] * 2)
    report = report_run.run_notebooks(dataset=str(path), **options)  # a changed file is not what was done
    assert [o.status for o in report.outcomes] == ["ok", "ok", "ok"]
    report = report_run.run_notebooks(["2", "3"], dataset=str(path), **options)
    assert [o.status for o in report.outcomes] == ["skipped", "skipped"]


@pytest.mark.parametrize(
    ("needs", "columns", "applies"),
    [
        ([], [], True),
        (["sex"], ["sex"], True),
        (["sex"], ["sexes"], False),
        (["a|b"], ["b"], True),
        (["a|b"], ["c"], False),
        (["a|b", "c"], ["a"], False),
        (["a|b", "c"], ["c", "a"], True),
    ],
)
def test_needs_are_met_by_columns(tmp_path, needs, columns, applies):
    path = save(tmp_path / "nbs", "01_a", code("1"), srna={"needs": needs})
    assert (report_run.why_not(path, "x", columns) == "") == applies


@pytest.mark.parametrize(
    ("values", "columns", "applies"),
    [
        ({}, ["tissue_group"], True),
        ({}, ["sex"], False),
        ({"label": "sex"}, ["sex"], True),
        ({"label": "sex"}, ["tissue_group"], False),
        ({"label": "age_2"}, ["age_years"], True),
        ({"label": "age_2"}, ["sex"], False),
    ],
)
def test_a_need_can_be_the_column_that_a_parameter_names(tmp_path, values, columns, applies):
    cell = code("label: str = 'tissue_group'", "parameters")
    path = save(tmp_path / "nbs", "01_a", cell, srna={"needs": ["{label}"]})
    reason = report_run.why_not(path, "x", columns, values)
    assert (reason == "") == applies
    assert applies or reason.endswith(" Another column: -p label=NAME.")


@pytest.mark.parametrize(
    ("values", "columns", "says"),
    [
        ({}, {"tissue": 10}, "two classes in the column tissue of at least 15 samples, and the second largest in the"),
        ({"min_class_size": 5}, {"tissue": 10}, ""),
        ({}, {"tissue": 15}, ""),
        ({}, ["tissue"], ""),
        ({"label": "age_2"}, {"age_years": 1}, ""),
    ],
)
def test_classes_that_are_too_small_are_found_before_anything_runs(tmp_path, values, columns, says):
    """A run of 20 samples in two classes ended each notebook after a minute."""
    cell = code("label: str = 'tissue'\nmin_class_size: int = 15", "parameters")
    path = save(tmp_path, "01_a", cell, srna={"needs": ["{label}"]})
    reason = report_run.why_not(path, "x.h5ad", columns, values)
    assert says in reason and bool(reason) == bool(says)


@pytest.mark.parametrize(("size", "says"), [(10, "two classes in the column sex of at least 15 samples"), (15, "")])
def test_a_notebook_states_the_size_of_its_classes_itself(tmp_path, size, says):
    """Sex and age of 20 samples ended notebooks 03 and 04 after half a minute each."""
    path = save(tmp_path, "03_a", code("1"), srna={"needs": ["sex"], "least": 15})
    reason = report_run.why_not(path, "x.h5ad", {"sex": size})
    assert says in reason and bool(reason) == bool(says) and "min_class_size" not in reason


def test_a_single_study_is_called_so(tmp_path):
    path = save(tmp_path, "02_a", code("1"), srna={"needs": ["dataset_id"]})
    assert "the samples of 'x.h5ad' are of one" in report_run.why_not(path, "x.h5ad", {"tissue": 10})


def test_needs_that_no_data_set_meets(tmp_path):
    path = save(tmp_path / "nbs", "01_a", code("1"), srna={"needs": ["shoe_size"]})
    assert report_run.why_not(path, "demo", ["tissue", "sex"]).endswith("does not have; it has sex, tissue.")


def test_file_that_is_no_notebook(tmp_path):
    (tmp_path / "01_a.ipynb").write_text("{")
    with pytest.raises(InputError, match=r"01_a\.ipynb: not readable as a notebook"):
        report_run.run_notebooks(out=tmp_path / "out", notebooks_dir=tmp_path)


@pytest.mark.parametrize("names", [["2"], ["02"], ["02_b"], ["02_b.ipynb"], ["2", "02_b"]])
def test_notebooks_are_found_by_number_stem_and_file_name(tmp_path, names):
    for stem in ("01_a", "02_b", "12_c"):
        save(tmp_path, stem, code("1"))
    paths, folder = report_run.find_notebooks(names, tmp_path)
    assert [path.stem for path in paths] == ["02_b"]
    assert folder == tmp_path.resolve()


def test_no_name_means_all_in_order_and_names_keep_the_order(tmp_path):
    for stem in ("12_c", "01_a", "02_b"):
        save(tmp_path, stem, code("1"))
    assert [p.stem for p in report_run.find_notebooks([], tmp_path)[0]] == ["01_a", "02_b", "12_c"]
    assert [p.stem for p in report_run.find_notebooks(["12", "1"], tmp_path)[0]] == ["01_a", "12_c"]


@pytest.mark.parametrize(
    ("line", "text", "value"),
    [
        ("x: int = 1", "7", 7),
        ("x = 1", "7", 7),
        ("x: float = 1.0", "1e-3", 1e-3),
        ("x: float = 1.0", "2", 2.0),
        ("x: bool = True", "false", False),
        ("x: str = 'a'", "7", "7"),
        ("x = [1]", "[1, 2]", [1, 2]),
        ("x: str = 'a'  # a comment", "b=c", "b=c"),
    ],
)
def test_values_are_read_as_the_type_of_the_default(tmp_path, line, text, value):
    path = save(tmp_path, "01_a", code(line, "parameters"))
    given = report_run.chosen_parameters([path], {"dataset": "demo"}, {"x": text})[path]
    assert given == {"x": value}
    assert type(given["x"]) is type(value)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("x: int = 1", "1.5"),
        ("x: bool = True", "maybe"),
        ("x: float = 1.0", "a"),
        ("x: int = 1", "0"),
        ("x: int = 0", "-1"),
        ("x = [1]", "{}"),
        ("x = [1]", "["),
    ],
)
def test_values_of_another_type_are_refused(tmp_path, line, text):
    path = save(tmp_path, "01_a", code(line, "parameters"))
    with pytest.raises(InputError, match="parameter 'x' of 01_a: found"):
        report_run.chosen_parameters([path], {}, {"x": text})


NAMES = """models: str = "logistic,dummy"
quantity_models: str = "ridge"
fine_label: str = "auto"
external: str = "auto"
"""


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("models", "", "'models' of 01_a: unknown recipe ''"),
        ("models", "bogus", "unknown recipe 'bogus': expected one of .*logistic"),
        ("models", "logistic,,dummy", "unknown recipe ''"),
        ("models", "ridge", "unknown recipe 'ridge'"),
        ("quantity_models", "logistic", "unknown recipe 'logistic'.*ridge"),
        ("fine_label", "bogus", "unknown column 'bogus': expected one of auto, none, sex, tissue"),
        ("external", "bogus", "unknown data set 'bogus': expected one of auto, none, demo"),
    ],
)
def test_names_that_there_are_none_of_are_refused_before_anything_runs(tmp_path, name, text, words):
    path = save(tmp_path, "01_a", code(NAMES, "parameters"))
    with pytest.raises(InputError, match=words) as caught:
        report_run.chosen_parameters([path], {}, {name: text}, ["tissue", "sex"])
    assert "\n" not in str(caught.value)


def test_names_that_exist_are_taken_with_blanks_around_them(tmp_path):
    path = save(tmp_path, "01_a", code(NAMES, "parameters"))
    extra = {"models": "logistic, dummy", "fine_label": "sex", "external": "none", "quantity_models": " mean"}
    given = report_run.chosen_parameters([path], {}, extra, ["tissue", "sex"])[path]
    assert given == {"models": "logistic,dummy", "fine_label": "sex", "external": "none", "quantity_models": "mean"}


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_lists_of_recipes_in_our_notebooks_are_known_as_such(path):
    """The check goes by the default: each parameter of models has recipes as its default."""
    for name in [n for n in report_run._declared(path) if n.endswith("models")]:
        with pytest.raises(InputError, match="unknown recipe 'bogus'"):
            report_run.chosen_parameters([path], {}, {name: "bogus"})


def test_a_folder_of_notebooks_in_the_working_folder_is_not_run(tmp_path, monkeypatch):
    save(tmp_path / "notebooks", "01_theirs", code("1"))
    monkeypatch.chdir(tmp_path)
    assert report_run.find_notebooks([])[1] == ROOT / "notebooks"
    assert [p.stem for p in report_run.find_notebooks([], "notebooks")[0]] == ["01_theirs"]


@pytest.mark.slow
def test_a_wheel_holds_the_notebooks_and_runs_them(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    probe = "from srna_lib.report.run import find_notebooks; print(*find_notebooks([])[0], sep='\\n')"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    folder = tmp_path / "site" / "srna_lib" / "notebooks"
    assert done.stdout.split() == [str(folder / p.name) for p in sorted((ROOT / "notebooks").glob("*.ipynb"))]


def test_parameters_go_only_to_notebooks_that_declare_them(tmp_path):
    first = save(tmp_path, "01_a", code("seed: int = 0\nsize: int = 1", "parameters"))
    second = save(tmp_path, "02_b", code("1"))
    given = report_run.chosen_parameters([first, second], {"seed": 3, "profile": "demo"}, {"size": "2"})
    assert given == {first: {"seed": 3, "size": 2}, second: {}}


def test_outputs_are_escaped_and_terminal_codes_are_gone():
    body = shown(new_output("stream", text="\x1b[31mred\x1b[0m <b>\n"), new_output("stream", text=" 10%\r 90%\rdone\n"))
    assert "red &lt;b&gt;" in body
    assert "done" in body
    assert "90%" not in body
    assert "\x1b" not in body
    assert "&lt;i&gt;" in shown(new_output("execute_result", data={"text/plain": "<i>"}))


HOSTILE = (
    EVIL,
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)></svg>",
    '<a href="javascript:alert(1)" target="_blank">x</a>',
    '<a href="https://evil.invalid/?all=data">x</a>',
    '<meta http-equiv="refresh" content="0;url=https://evil.invalid/">',
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    '<form action="https://evil.invalid"><button>x</button></form>',
    "<style>@import 'https://evil.invalid/x.css';</style>",
    '<td style="background:url(https://evil.invalid/x.png)">x</td>',
    "[x](javascript:alert(1)) ![x](https://evil.invalid/x.png) <https://evil.invalid>",
)


class Elements(HTMLParser):
    """Everything on a page that could run, load or lead anywhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name.startswith("on") or name in ("href", "src", "srcdoc", "action", "target") or "url(" in str(value):
                self.found.append(f"{tag} {name}={value}")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", ["text/html", "text/markdown", "text/plain", report_page.PLOTLY, "name of a column"])
def test_nothing_active_comes_out_of_a_name(name, kind):
    """Tables whose cells are not escaped, computed markdown, text, and figures."""
    data = {kind: name}
    if kind == report_page.PLOTLY:
        data = {kind: {"data": [{"type": "bar", "x": [name], "y": [1]}], "layout": {"title": {"text": name}}}}
    if kind == "name of a column":
        data = {"text/html": pd.DataFrame({name: [1]}, index=[name]).style.highlight_max().to_html()}
    body = shown(new_output("display_data", data=data)).partition("<script>document.")[0]
    elements = Elements(body)
    assert elements.found == []
    active = {"script", "img", "svg", "meta", "iframe", "form", "button", "input", "link", "base", "a"} & elements.tags
    assert active == ({"script"} if kind == report_page.PLOTLY else set())  # the figure's block of data
    figure = "".join(re.findall(r'<script type="application/json">(.*?)</script>', body, re.DOTALL))
    assert "<" not in figure and not re.search(r"(?i)u003c/?a\b", figure)
    assert "@import" not in "".join(re.findall(r"<style>(.*?)</style>", body, re.DOTALL))


def test_the_policy_names_our_scripts_and_allows_nothing_else():
    page = page_of(new_code_cell("1", outputs=[new_output("display_data", data={report_page.PLOTLY: {"data": []}})]))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    ours = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert len(ours) == 2  # plotly.js, and what draws and unfolds
    assert rules["script-src"].split() == [f"'sha256-{text}'" for text in ours]
    assert {rules[name] for name in ("default-src", "base-uri", "form-action")} == {"'none'"}
    assert page == page_of(
        new_code_cell("1", outputs=[new_output("display_data", data={report_page.PLOTLY: {"data": []}})])
    )


def test_tables_keep_their_shape_and_colours():
    table = pd.DataFrame({"a": [1, 2]}, index=["x", "y"]).style.highlight_max(color="yellow")
    body = shown(new_output("display_data", data={"text/html": table.to_html()}))
    (cell,) = re.findall(r"<style>#(T_\w+) \{\s*background-color: yellow;\s*\}</style>", body)
    assert f'<td id="{cell}" class="data row1 col0">2</td>' in body
    plain = shown(new_output("display_data", data={"text/html": pd.DataFrame({"a": [1]})._repr_html_()}))
    assert '<table class="dataframe">' in plain and '<tr style="text-align:right">' in plain


def test_computed_markdown_keeps_tables():
    body = shown(new_output("display_data", data={"text/markdown": f"**bold** {EVIL}\n\n|a|\n|-|\n|1|"}))
    assert "<strong>bold</strong>" in body
    assert "<table>" in body
    assert EVIL not in body


def test_prose_keeps_html_and_links_but_nothing_active():
    page = page_of(
        prose(f'# A {EVIL}\n\n<details><summary>s</summary>x</details>\n\n<b onclick="x()">b</b>'),
        prose("[doi](https://doi.org/1) [page](01_a.html) [here](#a) [bad](javascript:x) [data](data:text/html,x)"),
    )
    assert "<details><summary>s</summary>" in page
    assert EVIL not in page
    assert "<b onclick" not in page
    main = page[page.index("<main>") :]
    assert re.findall(r'<a href="([^"]*)"', main) == ["https://doi.org/1", "01_a.html", "#a"]


def test_pictures_are_embedded_and_those_of_the_network_are_left_out(tmp_path):
    (tmp_path / "p.svg").write_text("<svg/>")
    page = page_of(prose("![own](p.svg)\n\n![far](https://example.org/x.png)"), folder=tmp_path)
    assert 'src="data:image/svg+xml;base64,' in page
    assert "https://example.org" not in page


def test_picture_outputs():
    assert 'src="data:image/png;base64,AAAA"' in shown(new_output("display_data", data={"image/png": "AA\nAA\n"}))
    svg = new_output("display_data", data={"image/svg+xml": "<svg onload='alert(1)'/>", "text/plain": "x"})
    assert "onload" not in shown(svg)


def test_tags_fold_hide_and_frame():
    page = page_of(
        prose("Try it.", "exercise"),
        code("answer_one = 1", "solution"),
        code("answer_two = 2", "solution"),
        code("secret_code = 1", "remove-input"),
        code("gone = 1", "remove-cell"),
    )
    assert page.count("<summary>Solution</summary>") == 1
    assert page.count('class="exercise"') == 1
    assert "answer_two" in page
    assert "secret_code" not in page
    assert "gone" not in page


def test_injected_parameters_are_a_compact_block():
    nb = new_notebook(cells=[code("label = 'a'", "injected-parameters")])
    nb.metadata.papermill = {"parameters": {"label": EVIL}}
    page = report_page.notebook_page(nb, stem="x", title="x", about="", versions="", simulated=False)
    assert "Parameters of this run" in page
    assert "label = &#39;&lt;script&gt;" in page


def test_heading_ids_are_unique_and_listed():
    page = page_of(prose("## Same\n\n## Same\n\n## <i>Other</i> & more"))
    assert 'id="same"' in page
    assert 'id="same-2"' in page
    assert '<a href="#same-2">Same</a>' in page
    assert '<a href="#other-more">Other &amp; more</a>' in page


def test_banner_only_where_data_are_simulated():
    assert BANNER not in page_of(prose("x"))
    assert BANNER in page_of(prose("x"), simulated=True)


def test_page_title_data_set_and_parameters_are_escaped_on_the_index():
    card = {"stem": EVIL, "notebook": EVIL, "title": EVIL, "status": "ok", "seconds": "1 s", "dataset": EVIL,
            "settings": EVIL, "numbers": {EVIL: EVIL}, "figure": None,
            "error": {"sentence": EVIL, "traceback": EVIL}}  # fmt: skip
    data = {"title": EVIL, "citation": EVIL, "licence": EVIL}
    page = report_page.index_page([card], title=EVIL, datasets=[data], summary=EVIL, versions=EVIL, simulated=True)
    assert EVIL not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 12


def test_errors_are_described_for_people():
    assert report_page.describe_error("InputError", "a.", "\x1b[31mlong") == {
        "name": "InputError", "sentence": "a.", "traceback": ""}  # fmt: skip
    assert report_page.describe_error("KeyError", "'a'", "\x1b[31mlong\x1b[0m") == {
        "name": "KeyError", "sentence": "KeyError: 'a'", "traceback": "long"}  # fmt: skip


def test_notebook_title_is_its_first_heading():
    nb = new_notebook(cells=[prose("text"), prose("# A **bold** `x` title\n\nmore")])
    assert report_page.notebook_title(nb, "stem") == "A bold x title"
    assert report_page.notebook_title(new_notebook(cells=[]), "stem") == "stem"
