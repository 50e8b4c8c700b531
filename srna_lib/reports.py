"""Run notebooks with papermill and write the report: pages, index, and a manifest to resume from."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbformat import NotebookNode

import srna_lib
from srna_lib import html
from srna_lib.cells import describe_error
from srna_lib.errors import InputError
from srna_lib.kernels import ThisInterpreter, absolute_folders
from srna_lib.manifest import (
    NOT_APPLICABLE,
    about_line,
    card_of,
    digest_of,
    read_manifest,
    remove_pages,
    remove_results,
    versions_line,
    write_index,
    write_manifest,
)
from srna_lib.parameters import PROFILES, chosen_parameters, find_notebooks, suggest, why_not
from srna_lib.results import write_text

ERROR_MARKER = "papermill-error-cell-tag"


@dataclass(frozen=True)
class Outcome:
    """What became of one notebook: its name, ``ok``, ``failed``, ``skipped`` or ``not applicable``, and its seconds.

    ``bad_input`` says of a failed one that the cause was an `InputError`: something that the user gave.
    """

    notebook: str
    status: str
    seconds: float
    bad_input: bool = False


@dataclass(frozen=True)
class Report:
    """A finished run: where its index is, and the outcome of each chosen notebook in order."""

    index: Path
    outcomes: list[Outcome]

    @property
    def failed(self) -> bool:
        """Whether any notebook failed."""
        return any(outcome.status == "failed" for outcome in self.outcomes)

    @property
    def bad_input(self) -> bool:
        """Whether notebooks failed and every one of them because of what the user gave."""
        failures = [outcome.bad_input for outcome in self.outcomes if outcome.status == "failed"]
        return bool(failures) and all(failures)


def run_notebooks(
    notebooks: Sequence[str] = (),
    *,
    dataset: str = "demo",
    profile: str = "demo",
    out: str | os.PathLike[str] | None = None,
    jobs: int = 2,
    seed: int = 0,
    parameters: Mapping[str, Any] | None = None,
    force: bool = False,
    notebooks_dir: str | os.PathLike[str] | None = None,
    say: Callable[[str], None] = print,
) -> Report:
    """Run notebooks on a data set and write their pages.

    Everything that can be wrong with the arguments is found before anything runs or is written. A notebook
    that fails is shown with its traceback and the others go on. One whose source, parameters, library and
    data (registry, or your file) are those of a finished run in ``out`` is skipped; the manifest is written after
    each notebook, so that an interrupted run goes on where it stopped. Where all notebooks are run, those that need
    a column of ``obs`` that the data set does not have (see `srna_lib.parameters`) are left out and the index says why.

    Parameters
    ----------
    notebooks : sequence of str, default ()
        Which ones: number (``"2"``, ``"02"``), stem or file name; empty for all, always in order.
    dataset : str, default "demo"
        A name of `srna_lib.datasets.names`, or the path of your own atlas (``.h5ad``); its files are
        fetched and verified first.
    profile : str, default "demo"
        ``"smoke"`` (tiny, for tests), ``"demo"`` (minutes) or ``"full"`` (everything).
    out : path, optional
        Report folder; ``reports/<dataset>`` by default (for a file, its stem). Keep runs apart by naming one for each.
    jobs : int, default 2
        Parallel workers inside a notebook; notebooks run one after another.
    seed : int, default 0
        Seed of splits, models and the simulated atlas.
    parameters : mapping, optional
        Further notebook parameters, each passed to the chosen notebooks that declare it. Text is parsed as
        the declared type.
    force : bool, default False
        Run again what is already done.
    notebooks_dir : path, optional
        Folder of the notebooks; by default ``notebooks`` here, else beside the package.
    say : callable, default print
        Receives a line of progress before and after each notebook.

    Returns
    -------
    Report
        Path of ``index.html`` and one `Outcome` per chosen notebook.

    Raises
    ------
    InputError
        Unknown data set, notebook, profile or parameter, a value of another type, a notebook asked for by name
        that does not apply to the data set, a data file that cannot be had or verified, a report folder that cannot
        be written.
    """
    from srna_lib import datasets

    own = datasets.is_file(dataset)
    if not own and dataset not in datasets.names():
        raise InputError(suggest("data set", dataset, datasets.names()))
    if profile not in PROFILES:
        raise InputError(suggest("profile", profile, PROFILES))
    paths, source = find_notebooks(notebooks, notebooks_dir)
    folder = Path(os.path.abspath(out if out is not None else Path("reports") / Path(dataset).stem))
    about = datasets.entry(dataset)
    place = os.path.abspath(dataset) if own else dataset  # notebooks run in a folder of their own
    settings = {"dataset": place, "profile": profile, "out": str(folder), "seed": seed, "n_jobs": jobs}
    given = chosen_parameters(paths, settings, parameters or {})
    reasons = {path: reason for path in paths if (reason := why_not(path, dataset, about["columns"], given[path]))}
    if notebooks and reasons:
        raise InputError(next(iter(reasons.values())))
    dataset = place
    _check_folder(folder, source)
    datasets.fetch(dataset)
    _open_folder(folder)

    manifest = read_manifest(folder, say)
    known = {path.stem for path in source.glob("*.ipynb")}
    manifest = {
        s: e
        for s, e in manifest.items()
        if s in known and (e["status"] == NOT_APPLICABLE or (folder / f"{s}.html").exists())
    }
    outcomes = []
    try:
        for number, path in enumerate(paths, start=1):
            label = f"[{number}/{len(paths)}] {path.stem}"
            if path in reasons:
                say(f"{label}: {NOT_APPLICABLE}: {reasons[path]}")
                outcomes.append(Outcome(path.stem, NOT_APPLICABLE, 0.0))
                remove_results(folder, path.stem)
                remove_pages(folder, path.stem)
                manifest[path.stem] = _left_out(path, given[path], reasons[path], about["simulated"])
                write_manifest(folder, manifest)
                continue
            digest = digest_of(path, given[path])
            done = manifest.get(path.stem, {})
            if not force and done.get("status") == "ok" and done.get("digest") == digest:
                say(f"{label}: skipped, done on {done['finished_at']} (--force runs it again)")
                outcomes.append(Outcome(path.stem, "skipped", 0.0))
                continue
            say(f"{label}: running on {dataset}, profile {profile}")
            manifest.pop(path.stem, None)  # an interrupted notebook must not count as done
            write_manifest(folder, manifest)
            remove_results(folder, path.stem)
            entry = _run_one(path, folder, given[path], digest, about["simulated"])
            manifest[path.stem] = entry
            write_manifest(folder, manifest)
            refused = bool(entry["error"]) and entry["error"]["name"] == "InputError"
            outcomes.append(Outcome(path.stem, entry["status"], entry["seconds"], refused))
            if entry["error"]:
                say(f"{label}: failed after {entry['seconds']:.1f} s: {entry['error']['sentence']}")
            else:
                say(f"{label}: ok, {entry['seconds']:.1f} s")
    finally:
        index = write_index(folder, manifest)
    return Report(index, outcomes)


def _run_one(path: Path, folder: Path, given: dict[str, Any], digest: str, simulated: bool) -> dict[str, Any]:
    """Execute one notebook, write its page, and return its entry of the manifest."""
    partial = folder / f".{path.stem}.part.ipynb"
    start = time.perf_counter()
    error: dict[str, str] | None = None
    try:
        try:
            with absolute_folders():
                papermill.execute_notebook(
                    _literal(path),
                    _literal(partial),
                    parameters=given,
                    kernel_name="python3",
                    language="python",
                    cwd=str(path.parent),
                    progress_bar=sys.stderr.isatty(),
                    kernel_manager_class=ThisInterpreter,
                )
        except papermill.PapermillExecutionError as failure:
            described = describe_error(failure.ename, failure.evalue, failure.traceback)
            error = {"name": failure.ename, "sentence": described["title"], "traceback": described["body"]}
        except Exception as failure:  # the kernel died or did not start: this notebook failed, not the run
            described = describe_error(type(failure).__name__, str(failure), "")
            name = type(failure).__name__
            error = {"name": name, "sentence": f"the kernel stopped ({described['title']})", "traceback": ""}
        seconds = time.perf_counter() - start
        nb = nbformat.read(partial if partial.exists() else path, as_version=4)
        _tidy(nb, path)
        entry = _entry(nb, path, given, simulated)
        entry |= {"digest": digest, "status": "failed" if error else "ok", "seconds": round(seconds, 2), "error": error}
        page = html.notebook_page(
            nb,
            stem=path.stem,
            title=entry["title"],
            about=about_line(entry),
            versions=versions_line([card_of(folder, path.stem, entry)]),
            simulated=simulated,
            error=error,
            folder=path.parent,
        )
        write_text(folder / f"{path.stem}.ipynb", nbformat.writes(nb) + "\n")
        write_text(folder / f"{path.stem}.html", page)
    finally:
        partial.unlink(missing_ok=True)
    return entry


def _left_out(path: Path, given: dict[str, Any], reason: str, simulated: bool) -> dict[str, Any]:
    """Entry of the manifest for a notebook that does not apply to the data set."""
    entry = _entry(nbformat.read(path, as_version=4), path, given, simulated)
    return entry | {"digest": "", "status": NOT_APPLICABLE, "seconds": 0.0, "error": None, "reason": reason}


def _entry(nb: NotebookNode, path: Path, given: dict[str, Any], simulated: bool) -> dict[str, Any]:
    return {
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "title": html.notebook_title(nb, path.stem),
        "simulated": simulated,
        "parameters": given,
        "versions": {"srna_lib": srna_lib.__version__, "python": platform.python_version()},
    }


def _tidy(nb: NotebookNode, path: Path) -> None:
    """Drop papermill's own error cells and the machine's paths from its record."""
    nb.cells = [cell for cell in nb.cells if ERROR_MARKER not in cell.metadata.get("tags", [])]
    record = nb.metadata.get("papermill", {})
    record["input_path"], record["output_path"] = path.name, path.name


def _check_folder(folder: Path, source: Path) -> None:
    """Refuse a report folder that cannot be made or written, or where notebooks would be overwritten."""
    if folder.resolve() == source:
        raise InputError(f"--out {folder}: found the folder of the notebooks; expected another one.")
    existing = folder
    while not os.path.exists(existing):
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(f"--out {folder}: {existing} is a file; expected a folder that can be written.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"--out {folder}: {existing} is not writable; expected a folder that can be written.")


def _open_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"--out {folder}: not writable ({error.strerror}); expected a folder that can be written."
        ) from error


def _literal(path: Path) -> str:
    """Path as papermill takes it: braces are not placeholders."""
    return str(path).replace("{", "{{").replace("}", "}}")
