"""Run notebooks with papermill: parameters checked first, pages, index, and a manifest to resume from.

A notebook that cannot run on every data set declares the columns of ``obs`` that it needs in the header of its script::

    # ---
    # jupyter:
    #   srna:
    #     needs: [sex, age_years|gestational_age_days]

A data set has a column where it knows at least two different values of it; ``a|b`` is met by either, and ``{label}``
stands for the value that the notebook's parameter ``label`` has in this run. The declaration ends up in the notebook's
metadata, where `needed_columns` reads it.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import papermill
import zmq
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode
from traitlets import default

import srna_lib
from srna_lib import datasets
from srna_lib.data import MADE_FROM
from srna_lib.datasets import fetch, is_file
from srna_lib.errors import InputError
from srna_lib.report.page import describe_error, index_page, notebook_page, notebook_title
from srna_lib.report.results import write_text

FOLDERS = ("SRNA_DATA_MIRROR", "SRNA_DATA_DIR")


@contextmanager
def absolute_folders() -> Iterator[None]:
    """Make the data folders that the environment names absolute: notebooks run in the folder they lie in."""
    named = {name: os.environ[name] for name in FOLDERS if os.environ.get(name)}
    os.environ.update({name: os.path.abspath(path) for name, path in named.items()})
    try:
        yield
    finally:
        os.environ.update(named)


class ThisInterpreter(AsyncKernelManager):
    """Starts the kernel with the running interpreter, whatever kernel a user has installed as python3."""

    @default("transport_encryption")
    def _encrypted_where_possible(self) -> str:
        # The sockets are open to every user of the machine; the kernel warns when they are in plain text.
        return "auto" if zmq.has("curve") else "disabled"

    @property
    def kernel_spec(self) -> KernelSpec:
        """How the kernel is started."""
        return KernelSpec(
            # Log level: a kernel that is shut down calls its own interruption an error.
            argv=[sys.executable, "-m", "ipykernel_launcher", "--log-level=50", "-f", "{connection_file}"],
            display_name="Python 3",
            language="python",
            metadata={"supported_encryption": ["curve"]},
        )


MANIFEST = "run.json"
NOT_APPLICABLE = "not applicable"  # status of a notebook that asks for what the data set does not have
KEYS = {"digest", "status", "seconds", "finished_at", "title", "simulated", "parameters", "error", "versions"}


def library_files() -> list[Path]:
    """List the files whose change makes earlier runs out of date: the package's sources and tables."""
    package = Path(srna_lib.__file__).parent
    return sorted([*package.glob("*.py"), *package.glob("resources/*.*")])


def digest_of(path: Path, given: Mapping[str, Any]) -> str:
    """Hash all that decides the results of a notebook.

    Parameters
    ----------
    path : Path
        The notebook; its sources and tags count, outputs and other metadata do not.
    given : mapping
        Parameters of the run; ``out`` does not count, for where results are written does not change them.

    Returns
    -------
    str
        SHA-256 over notebook, parameters, package version, the package's sources and tables, and the data where
        the data set is a file.
    """
    pass

    nb = nbformat.read(path, as_version=4)
    cells = [[cell.cell_type, cell.source, cell.metadata.get("tags", [])] for cell in nb.cells]
    values = {name: value for name, value in given.items() if name != "out"}
    digest = hashlib.sha256(json.dumps([cells, values, srna_lib.__version__], sort_keys=True).encode())
    if is_file(str(given.get("dataset", ""))):
        digest.update(hashlib.sha256(Path(given["dataset"]).read_bytes()).digest())
    for file in library_files():
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def read_manifest(folder: Path, say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Read the entries of earlier runs; says so and returns none if the file is damaged."""
    file = folder / MANIFEST
    if not file.exists():
        return {}
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        return {stem: entry for stem, entry in manifest.items() if KEYS <= entry.keys()}
    except (OSError, ValueError, AttributeError) as error:
        say(f"{file}: not readable ({type(error).__name__}), so every notebook is run again")
        return {}


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the entries of all runs: notebook -> digest, status, seconds and what the index shows."""
    write_text(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True, default=str) + "\n")


def remove_results(folder: Path, stem: str) -> None:
    """Remove what an earlier run left, which a failure would otherwise show as its own."""
    for suffix in (".json", ".parquet", ".card.json", ".figure.json"):
        (folder / "results" / f"{stem}{suffix}").unlink(missing_ok=True)


def remove_pages(folder: Path, stem: str) -> None:
    """Remove the page and the executed notebook of an earlier run on other data, which the index links no more."""
    for suffix in (".html", ".ipynb"):
        (folder / f"{stem}{suffix}").unlink(missing_ok=True)


def card_of(folder: Path, stem: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Gather what the index shows of a notebook: its entry and the card that it wrote.

    A failed notebook shows no numbers and no figure: its own checks may be what failed.
    """
    ok = entry["status"] == "ok"
    written = _read_json(folder / "results" / f"{stem}.card.json")
    given = entry["parameters"]
    settings = [f"{k} {v}" for k, v in given.items() if k not in ("dataset", "out", "n_jobs")]
    return {
        "stem": stem,
        "notebook": stem,
        "title": written.get("title") or entry["title"],
        "status": entry["status"],
        "seconds": f"{entry['seconds']:.1f} s",
        "dataset": given.get("dataset", "none"),
        "settings": ", ".join(settings),
        "numbers": written.get("key_numbers", {}) if ok else {},
        "figure": (_read_json(folder / "results" / f"{stem}.figure.json") or None) if ok else None,
        "error": entry["error"],
        "reason": entry.get("reason"),
        "simulated": bool(entry["simulated"] or written.get("simulated")),
        "finished_at": entry["finished_at"],
        "versions": {**entry["versions"], **written.get("versions", {})},
    }


def _read_json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def write_index(folder: Path, manifest: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write ``index.html`` from the entries and cards; returns its path."""
    pass

    cards = [card_of(folder, stem, manifest[stem]) for stem in sorted(manifest)]
    names = list(dict.fromkeys(card["dataset"] for card in cards))
    shown = [datasets.entry(name) for name in names if name in datasets.names()]
    left_out, failed = (sum(card["status"] == status for card in cards) for status in (NOT_APPLICABLE, "failed"))
    finished = max((card["finished_at"] for card in cards if card["status"] != NOT_APPLICABLE), default="")
    page = index_page(
        cards,
        title="Small-RNA report: " + (" and ".join(data["title"] for data in shown) or "no notebook is done"),
        datasets=shown,
        summary=f"Notebooks run: {len(cards) - left_out}, failed: {failed}"
        + f", {NOT_APPLICABLE}: {left_out}" * bool(left_out)
        + f". Last finished: {finished or 'none'}.",
        versions=versions_line(cards),
        simulated=any(card["simulated"] for card in cards),
    )
    index = folder / "index.html"
    write_text(index, page)
    return index


def about_line(entry: Mapping[str, Any]) -> str:
    """Say under which settings, when and how long a notebook ran."""
    given = entry["parameters"]
    return (
        f"Data set {given.get('dataset', 'none')}, profile {given.get('profile', 'none')}; finished"
        f" {entry['finished_at']} after {entry['seconds']:.1f} s."
    )


def versions_line(cards: Iterable[Mapping[str, Any]]) -> str:
    """List versions in one line; a package that differs between cards is listed with each."""
    found: dict[str, dict[str, None]] = {}
    for card in cards:
        for name, version in card["versions"].items():
            found.setdefault(name, {})[str(version)] = None
    if not found:
        return ""
    return "Made with " + ", ".join(f"{name} {' / '.join(seen)}" for name, seen in found.items()) + "."


PROFILES = ("smoke", "demo", "full")
OPTIONS = {
    "dataset": "--dataset",
    "profile": "--profile",
    "out": "--out",
    "seed": "--seed",
    "n_jobs": "--jobs",
}
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def suggest(kind: str, found: str, known: Iterable[str]) -> str:
    """Return the sentence for an unknown name: what was found, what is known, and a close match.

    Parameters
    ----------
    kind : str
        What the name is of, such as ``"notebook"``.
    found : str
        The name that was given.
    known : iterable of str
        Names that would have been right.
    """
    names = list(known)
    close = difflib.get_close_matches(found, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"unknown {kind} {found!r}: expected one of {', '.join(names) or '(none)'}{hint}"


def find_notebooks(wanted: Sequence[str], folder: str | os.PathLike[str] | None = None) -> tuple[list[Path], Path]:
    """Choose notebooks of a folder.

    Parameters
    ----------
    wanted : sequence of str
        Number, stem or file name each; empty for all.
    folder : path, optional
        Where they are: by default ``notebooks`` in the working folder, else beside the package.

    Returns
    -------
    paths : list of Path
        Absolute paths in order of name, each once.
    folder : Path
        Where they are.

    Raises
    ------
    InputError
        No such folder, a folder without notebooks, or a name that matches none.
    """
    beside = Path(__file__).resolve().parents[2] / "notebooks"
    here = Path("notebooks")
    source = Path(folder) if folder is not None else here if here.is_dir() else beside
    if not source.is_dir():
        raise InputError(f"{source}: no such folder; expected a folder of notebooks (--notebooks).")
    source = source.resolve()
    known = sorted(path for path in source.glob("*.ipynb") if not path.name.startswith("."))
    if not known:
        raise InputError(f"{source}: found no .ipynb file; expected a folder of notebooks.")
    chosen: set[Path] = set()
    for name in wanted:
        matches = [path for path in known if _matches(name, path)]
        if not matches:
            raise InputError(suggest("notebook", name, [path.stem for path in known]))
        chosen.update(matches)
    return [path for path in known if path in chosen] if wanted else known, source


def chosen_parameters(
    paths: Sequence[Path], settings: Mapping[str, Any], extra: Mapping[str, Any]
) -> dict[Path, dict[str, Any]]:
    """Work out which parameters each notebook gets.

    Parameters
    ----------
    paths : sequence of Path
        Chosen notebooks.
    settings : mapping
        The parameters that every run sets (``dataset, profile, out, seed, n_jobs``).
    extra : mapping
        Further ones by name. Text is parsed as the type that the notebook declares, or else as the type of
        its default; other values must be of that type.

    Returns
    -------
    dict
        Path -> name -> value, only names that the notebook declares in its ``parameters`` cell.

    Raises
    ------
    InputError
        A file that is no notebook, a name that no chosen notebook declares, one that has an option of its
        own, or a value of another type.
    """
    declared = {path: _declared(path) for path in paths}
    for name in extra:
        if name in OPTIONS:
            raise InputError(f"parameter {name!r} is not set with -p: use the option {OPTIONS[name]}.")
        if not any(name in known for known in declared.values()):
            own = sorted({n for known in declared.values() for n in known} - set(OPTIONS))
            raise InputError(suggest("parameter", name, own))
    given = {}
    for path, known in declared.items():
        values = {name: value for name, value in settings.items() if name in known}
        values |= {n: _parse(path, n, value, known[n]) for n, value in extra.items() if n in known}
        given[path] = values
    return given


def needed_columns(path: Path) -> list[str]:
    """Read the columns of ``obs`` that a notebook declares to need.

    Parameters
    ----------
    path : Path
        The notebook; ``needs`` of ``srna`` in its metadata, see the top of this module.

    Returns
    -------
    list of str
        Each to be met; ``a|b`` by either column, ``{label}`` by the column that this parameter names. Empty for a
        notebook that runs on every data set.

    Raises
    ------
    InputError
        A file that is no notebook, or a declaration that is no list of names.
    """
    declared = _read(path).metadata.get("srna", {})
    needs = declared.get("needs", []) if isinstance(declared, Mapping) and set(declared) <= {"needs"} else None
    if not isinstance(needs, list) or not all(isinstance(n, str) and all(n.split("|")) for n in needs):
        raise InputError(
            f"{path}: metadata 'srna' holds {json.dumps(declared)}; expected the columns that the notebook needs, such"
            ' as {"needs": ["sex", "age_years|gestational_age_days"]}.'
        )
    return list(needs)


def why_not(path: Path, dataset: str, columns: Iterable[str], values: Mapping[str, Any] | None = None) -> str:
    """Say in a sentence why a notebook cannot run on a data set.

    Parameters
    ----------
    path : Path
        The notebook.
    dataset : str
        Name or path of the data set, for the sentence.
    columns : iterable of str
        Columns that it has (``columns`` of `datasets.entry`).
    values : mapping, optional
        Parameters of the run, from `chosen_parameters`, for needs that name one; others have the notebook's default.

    Returns
    -------
    str
        Names notebook, columns, data set, and the data sets that have all that the notebook needs (where there are
        none, the columns that there are). Empty where the notebook can run.

    Raises
    ------
    InputError
        As `needed_columns`.
    """
    pass

    declared = needed_columns(path)
    needs = [_filled(path, need, values or {}) for need in declared]
    lacking = _lacking(needs, columns)
    if not lacking:
        return ""
    others = [n for n in datasets.names() if not _lacking(needs, datasets.entry(n)["columns"])]
    wanted = " and ".join(need.replace("|", " or ") for need in lacking)
    instead = f"data sets that do: {', '.join(others)}" if others else f"it has {', '.join(sorted(columns)) or 'none'}"
    named = [d for d, need in zip(declared, needs, strict=True) if d != need and need in lacking]
    other = "".join(f" Another column: -p {d[1:-1]}=NAME." for d in named)
    return (
        f"{path.stem} needs the column{'s' * (len(lacking) > 1)} {wanted} with at least two different values, which"
        f" the data set {dataset!r} does not have; {instead}.{other}"
    )


def _filled(path: Path, need: str, values: Mapping[str, Any]) -> str:
    """Put the column that a parameter names in the place of the parameter."""
    if not (need.startswith("{") and need.endswith("}")):
        return need
    name = need[1:-1]
    declared = _declared(path)
    if name not in declared:
        raise InputError(
            f"{path}: metadata 'srna' needs {need}; expected the name of one of the notebook's parameters."
        )
    column = str(values.get(name, ast.literal_eval(declared[name]["default"])))
    return f"{column}|{MADE_FROM[column]}" if column in MADE_FROM else column


def _lacking(needs: Iterable[str], columns: Iterable[str]) -> list[str]:
    """Needs that no column meets."""
    known = set(columns)
    return [need for need in needs if not known & set(need.split("|"))]


def _matches(name: str, path: Path) -> bool:
    if name in (path.stem, path.name):
        return True
    if os.sep in name and Path(name).resolve() == path:
        return True
    number = path.stem.split("_")[0]
    return name.isdecimal() and number.isdecimal() and int(name) == int(number)


def _declared(path: Path) -> dict[str, dict[str, str]]:
    """Parameters that a notebook declares: name -> papermill's description."""
    nb = _read(path)
    nb.metadata.setdefault("kernelspec", {"name": "python3", "language": "python", "display_name": "Python 3"})
    nb.metadata.kernelspec.setdefault("language", "python")
    return papermill.inspect_notebook(nb)


def _read(path: Path) -> nbformat.NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except (
        OSError,
        ValueError,
        AttributeError,
        nbformat.ValidationError,
        nbformat.reader.NotJSONError,
    ) as error:
        raise InputError(
            f"{path}: not readable as a notebook ({type(error).__name__}); expected Jupyter format 4."
        ) from error


def _parse(path: Path, name: str, value: Any, declared: Mapping[str, str]) -> Any:
    """Read a value as the declared type."""
    kind = declared["inferred_type_name"]
    if kind == "None":
        kind = _kind_of(declared["default"])
    problem = InputError(
        f"parameter {name!r} of {path.stem}: found {value!r}; expected a value of type {kind} such as"
        f" {declared['default']}."
    )
    if not isinstance(value, str):
        right = type(value).__name__ == kind or (kind == "float" and type(value) is int)
        if not right:
            raise problem
        return value
    try:
        if kind == "str":
            return value
        if kind == "bool":
            return TRUTH[value.lower()]
        if kind in ("int", "float"):
            return int(value) if kind == "int" else float(value)
        parsed = ast.literal_eval(value)
    except (ValueError, SyntaxError, KeyError) as error:
        raise problem from error
    if kind != "NoneType" and type(parsed).__name__ != kind.split("[")[0]:
        raise problem
    return parsed


def _kind_of(default: str) -> str:
    try:
        return type(ast.literal_eval(default)).__name__
    except (ValueError, SyntaxError):
        return "str"


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
    pass

    own = is_file(dataset)
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
    fetch(dataset)
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
            described = describe_error(failure.ename, failure.evalue, "\n".join(failure.traceback))
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
        page = notebook_page(
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
        "title": notebook_title(nb, path.stem),
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
