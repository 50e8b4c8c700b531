"""Shared fixtures: a small atlas, real data where the mirror holds it, and deterministic hypothesis."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pooch
import pytest
import requests
from hypothesis import settings
from toyfile import COMMIT, CONTENT, TOY, refuse_with

from srna_lib.datasets import registry
from srna_lib.processes import ADDRESSES, hidden

with hidden(ADDRESSES):
    import inline
    import papermill

    from srna_lib.report import run as report_run

# Programs that one test compiled serve the next one, in this process, in workers beside it and in notebooks' kernels.
KEPT = Path(__file__).resolve().parents[1] / ".pytest_cache"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(KEPT / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# Small programs of many shapes spend most of their time in compilation; with no optimisation at all convolutions crawl.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1")

# Real data are parsed once for all workers, and once for all runs: the key of a parsed atlas holds its parser's code.
os.environ.setdefault("SRNA_DATA_DIR", str(KEPT / "data"))

settings.register_profile("srna", deadline=None, max_examples=50, derandomize=True, database=None)
settings.load_profile("srna")

NO_MIRROR = (
    "REAL DATA NOT TESTED: set SRNA_DATA_MIRROR to a folder laid out as owner/repository/commit/path"
    " that holds the files of srna_lib/resources/datasets.json"
)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Folder with the original files, or a skip that says what to set."""
    folder = os.environ.get("SRNA_DATA_MIRROR")
    if not folder:
        pytest.skip(NO_MIRROR)
    assert Path(folder).is_dir(), f"SRNA_DATA_MIRROR is {folder!r}, which is no folder"
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def real(mirror):
    """Load a real data set; parsed once; not to be changed."""
    folder, loaded = Path(os.environ["SRNA_DATA_DIR"]), {}
    folder.mkdir(parents=True, exist_ok=True)

    def load(name: str, **options):
        key = (name, *sorted(options.items()))
        if key not in loaded:
            with pytest.MonkeyPatch.context() as patch, open(folder / f"{name}.lock", "w") as lock:
                patch.setenv("SRNA_DATA_DIR", str(folder))
                patch.setenv("SRNA_DATA_MIRROR", str(mirror))
                fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be parsing it
                loaded[key] = registry.load(name, **options)
        return loaded[key]

    load.folder = folder
    return load


@pytest.fixture
def in_process(monkeypatch):
    """Run notebooks in the test's own process, one by one."""
    each = report_run._run_each
    monkeypatch.setattr(papermill, "execute_notebook", inline.execute_notebook)
    monkeypatch.setattr(report_run, "_run_each", lambda todo, begin, beside: each(todo, begin, 1))


@pytest.fixture(scope="session")
def mirome(real):
    """The real atlas of cells."""
    return real("mirome")


@pytest.fixture
def counts() -> pd.DataFrame:
    """Six samples by four sRNAs with every kind of value: zero, one, large."""
    values = [[0, 1, 2, 7], [5, 0, 0, 5], [0, 0, 0, 0], [1, 1, 1, 1], [2**24 + 1, 0, 3, 9], [4, 3, 2, 1]]
    return pd.DataFrame(
        np.array(values, dtype=float),
        index=[f"s{i}" for i in range(6)],
        columns=["hsa-miR-1-3p", "hsa-miR-2-5p", "hsa-let-7a-5p/7c-5p", "SNORD1"],
    )


@pytest.fixture
def obs(counts) -> pd.DataFrame:
    """Metadata on the same samples, with unknown values."""
    return pd.DataFrame(
        {
            "dataset_id": ["A", "A", "B", "B", "C", "C"],
            "tissue_group": ["liver", "liver", "brain", "brain", "Other", np.nan],
            "age_years": [1.0, 2.0, np.nan, 4.0, 5.0, 6.0],
        },
        index=counts.index,
    )


@pytest.fixture
def info() -> dict:
    """What stands in ``uns["srna"]``."""
    return {
        "name": "toy",
        "title": "A toy",
        "citation": "Nobody (2020)",
        "licence": "MIT",
        "simulated": True,
        "sources": pd.DataFrame({"url": ["https://example.org/a"], "sha256": ["0" * 64]}),
    }


@pytest.fixture
def empty_cache(tmp_path, monkeypatch) -> Path:
    """An empty cache, no mirror, a registry of one data set, and a network that refuses."""
    monkeypatch.setenv("SRNA_DATA_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("SRNA_DATA_MIRROR", raising=False)
    monkeypatch.setattr(registry, "registered", lambda: {"demo": {**TOY, "simulated": True, "files": []}, "toy": TOY})
    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", refuse_with(requests.ConnectionError("no route")))
    return tmp_path / "cache"


@pytest.fixture
def toy_mirror(empty_cache, tmp_path, monkeypatch) -> Path:
    """A mirror that holds the file; returns the copy's path."""
    copy = tmp_path / "mirror" / "owner" / "repo" / COMMIT / "some" / "folder" / "data.rda"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(CONTENT)
    monkeypatch.setenv("SRNA_DATA_MIRROR", str(tmp_path / "mirror"))
    return copy


SLOW = {"mirror", "demo_report", "in_process", "answers", "run", "syn"}  # fixtures of what takes more than seconds
LONGEST = (
    "::test_own_data_with_hostile_names",
    "/test_notebooks.py",
    "/test_notebook_labels.py",
    "/test_commands.py",
    "/test_cohorts.py",
    "/test_simulate.py",
    "/test_stability.py",
    "/test_docs.py",
    "/test_graphs.py",
    "/test_reports.py",
    "/test_latent.py",
    "/test_limits.py",
)
# Tests that share nothing with the others of their module: any worker takes them, one by one.
ALONE = ("/test_notebook_labels.py", "/test_commands.py::test_runs", "_on_real_data", LONGEST[0])


def pytest_collection_modifyitems(items):
    """Mark what is slow by its fixtures, and begin with what takes longest: no worker is left alone with it."""
    for item in items:
        if SLOW & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: next((i for i, name in enumerate(LONGEST) if name in item.nodeid), len(LONGEST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A module's tests go to one worker, but for the long ones that need nothing of each other."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return nodeid if any(name in nodeid for name in ALONE) else super()._split_scope(nodeid)

    return Scheduling(config, log)


def pytest_terminal_summary(terminalreporter):
    """Say it once more at the very end when real data were left out: a green run without them proves less."""
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if "REAL DATA NOT TESTED" in str(r.longrepr)]
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} tests skipped. {NO_MIRROR}", red=True, bold=True)
    ontology = [r for r in terminalreporter.stats.get("skipped", []) if "ONTOLOGY NOT TESTED" in str(r.longrepr)]
    if ontology:
        terminalreporter.write_line(f"{len(ontology)} tests skipped. {ontology[0].longrepr[2]}", red=True, bold=True)
