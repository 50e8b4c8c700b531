"""Run notebooks with papermill: parameters checked first, pages, index, and a manifest to resume from.

A notebook declares the columns of ``obs`` that it needs in the header of its script, as ``jupyter: srna: needs: [sex,
age_years|gestational_age_days]``: each known with two different values; ``a|b`` is met by either, and ``{label}`` is
the column that the notebook's parameter ``label`` names.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import zmq
from joblib.externals.loky import ProcessPoolExecutor
from traitlets import default

import srna_lib
from srna_lib import datasets
from srna_lib.data import MADE_FROM
from srna_lib.datasets import fetch, is_file
from srna_lib.errors import InputError, one_of, unknown
from srna_lib.io import write_file
from srna_lib.processes import ADDRESSES, hidden, settle
from srna_lib.report.page import describe_error, index_page, notebook_page, notebook_title

with hidden(ADDRESSES):
    import nbformat
    import papermill
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from papermill.engines import NBClientEngine, papermill_engines

PACKAGE = Path(srna_lib.__file__).resolve().parent
MANIFEST = "run.json"
KEYS = {"digest", "status", "seconds", "finished_at", "title", "simulated", "parameters", "error", "versions", "sha256"}
RESULTS = (".json", ".parquet", ".card.json", ".figure.json")  # of a notebook
NOT_APPLICABLE = "not applicable"  # status of a notebook that asks for what the data set does not have
PROFILES = ("smoke", "demo", "full")
OPTIONS = {"dataset": "--dataset", "profile": "--profile", "out": "--out", "seed": "--seed", "n_jobs": "--jobs"}
LEAST_SECONDS = "0.1"  # what compiles faster is compiled again
LONGEST = ("02", "06", "03", "05", "04", "08", "09", "07", "11", "01", "10", "12")  # begun first, where not measured
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class SavedAtTheEnd(NBClientEngine):
    """Papermill's engine; the notebook is written as it starts and as it ends, however it ends, not at every cell."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
        """Run the cells."""
        path, nb_man.output_path = nb_man.output_path, None
        try:
            super().execute_managed_notebook(nb_man, kernel_name, **options)
        finally:
            nb_man.output_path = path


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


def find_notebooks(wanted: Sequence[str], folder: str | os.PathLike[str] | None = None) -> tuple[list[Path], Path]:
    """Find notebooks by number, stem or file name (all without a name), in order, and the folder they lie in."""
    # in the package (a wheel) or beside it (a checkout); others are taken only from a folder that is named
    ours = next(place for place in (PACKAGE / "notebooks", PACKAGE.parent / "notebooks") if place.is_dir())
    source = ours if folder is None else Path(folder).resolve()
    if not source.is_dir():
        raise InputError(f"{folder}: no such folder; expected a folder of notebooks (--notebooks).")
    known = sorted(path for path in source.glob("*.ipynb") if not path.name.startswith("."))
    if not known:
        raise InputError(f"{source}: found no .ipynb file; expected a folder of notebooks.")
    for name in wanted:
        if not any(_matches(name, path) for path in known):
            raise unknown("notebook", name, [path.stem for path in known])
    return [path for path in known if not wanted or any(_matches(name, path) for name in wanted)], source


def _matches(name: str, path: Path) -> bool:
    if name in (path.stem, path.name) or (os.sep in name and Path(name).resolve() == path):
        return True
    number = path.stem.split("_")[0]
    return name.isdecimal() and number.isdecimal() and int(name) == int(number)


def _read(path: Path) -> nbformat.NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, AttributeError, nbformat.ValidationError, nbformat.reader.NotJSONError) as error:
        why = type(error).__name__
        raise InputError(f"{path}: not readable as a notebook ({why}); expected Jupyter format 4.") from error


def _declared(path: Path) -> dict[str, Any]:
    """Parameters that a notebook declares, with their defaults."""
    cells = [cell for cell in _read(path).cells if "parameters" in cell.metadata.get("tags", [])]
    try:
        lines = [line for cell in cells for line in ast.parse(cell.source).body]
        assignments = [line for line in lines if isinstance(line, ast.Assign | ast.AnnAssign) and line.value]
        names = [ast.unparse(a.target if isinstance(a, ast.AnnAssign) else a.targets[0]) for a in assignments]
        return {name: ast.literal_eval(a.value or a) for name, a in zip(names, assignments, strict=True)}
    except (SyntaxError, ValueError) as error:
        raise InputError(f"{path}: the parameters of this notebook are not all plain values.") from error


def chosen_parameters(
    paths: Sequence[Path], settings: Mapping[str, Any], extra: Mapping[str, Any], columns: Iterable[str] = ()
) -> dict[Path, dict[str, Any]]:
    """Work out which parameters each notebook gets: the run's settings and a user's own, where it declares them."""
    declared = {path: _declared(path) for path in paths}
    for name in extra:
        if name in OPTIONS:
            raise InputError(f"parameter {name!r} is not set with -p: use the option {OPTIONS[name]}.")
        if not any(name in known for known in declared.values()):
            own = sorted({n for known in declared.values() for n in known} - set(OPTIONS))
            raise unknown("parameter", name, own)
    given = {}
    for path, known in declared.items():
        given[path] = {name: value for name, value in settings.items() if name in known}
        for name, value in extra.items():
            if name in known:
                about = f"parameter {name!r} of {path.stem}"
                given[path][name] = _existing(about, name, _parse(about, value, known[name]), known[name], columns)
    return given


def _parse(about: str, value: Any, like: Any) -> Any:
    """Read a value as the type of the default; whole numbers are not negative, and 0 only where the default is."""
    kind, parsed = type(like), value
    try:
        if isinstance(value, str) and kind is not str:
            parsed = TRUTH[value.lower()] if kind is bool else kind(value) if kind in (int, float) else None
            parsed = ast.literal_eval(value) if parsed is None else parsed
    except (ValueError, SyntaxError, KeyError):
        parsed = None
    if type(parsed) is not kind and not (kind is float and type(parsed) is int):
        raise InputError(f"{about}: found {value!r}; expected a value of type {kind.__name__} such as {like!r}.")
    if kind is int and parsed < min(like, 1):
        raise InputError(f"{about}: found {value!r}; expected {min(like, 1)} or more, such as {like!r}.")
    return parsed


def _existing(about: str, name: str, value: Any, like: Any, columns: Iterable[str]) -> Any:
    """Refuse names of recipes, columns and data sets that there are none of; blanks around names do not count."""
    from srna_lib.models import QUANTITY_RECIPES, RECIPES

    if not isinstance(value, str):
        return value
    names = [item.strip() for item in value.split(",")]
    recipes = next((known for known in (RECIPES, QUANTITY_RECIPES) if set(like.split(",")) <= set(known)), None)
    if recipes is not None:
        kind, known = "recipe", list(recipes)
    elif name.endswith("_label"):
        kind, known = "column", ["auto", "none", *sorted(columns)]
    elif os.path.isfile(value) and name in ("external", "edges"):
        return os.path.abspath(value)  # notebooks run in a folder of their own
    elif name == "edges" and value:
        raise InputError(f"{about}: found {value!r}; expected a file of two miRNA names a line, a tab between.")
    elif name == "external" and not is_file(value):
        kind, known = "data set", ["auto", "none", *datasets.names()]
    else:
        return value
    for item in names:
        if item not in known:
            raise InputError(f"{about}: {unknown(kind, item, known)}")
    return ",".join(names)


def why_not(path: Path, dataset: str, columns: Iterable[str], values: Mapping[str, Any] | None = None) -> str:
    """Say in a sentence why a notebook cannot run on a data set with these columns; empty where it can."""
    about, chosen = _read(path).metadata.get("srna", {}), {**_declared(path), **(values or {})}
    needs = {_filled(need, chosen): need for need in about.get("needs", [])}
    lacking = _lacking(needs, columns)
    if lacking == ["dataset_id"]:
        return f"{path.stem} leaves studies out, and the samples of {dataset!r} are of one; expected two or more."
    if lacking:
        others = [n for n in datasets.names() if not _lacking(needs, datasets.entry(n)["columns"])]
        wanted = " and ".join(need.replace("|", " or ") for need in lacking)
        instead = (
            f"data sets that do: {', '.join(others)}" if others else f"it has {', '.join(sorted(columns)) or 'none'}"
        )
        other = "".join(f" Another column: -p {needs[n][1:-1]}=NAME." for n in lacking if needs[n] != n)
        return (
            f"{path.stem} needs the column{'s' * (len(lacking) > 1)} {wanted} with at least two different values, which"
            f" the data set {dataset!r} does not have; {instead}.{other}"
        )
    fixed = about.get("least", 0)  # size of a class, where no parameter sets it
    least, second = chosen.get("min_class_size", fixed), columns if isinstance(columns, Mapping) else {}
    asked = (need for need, declared in needs.items() if need != declared or fixed)
    small = next((need for need in asked if second.get(need, least) < least), "")
    if not small:
        return ""
    what = "age intervals (up to 65 years and above)" if small == "age_years" else f"classes in the column {small}"
    smaller = f"; -p min_class_size={second[small]} takes smaller ones" if "min_class_size" in chosen else ""
    return (
        f"{path.stem} needs two {what} of at least {least} samples, and the second largest in the data set"
        f" {dataset!r} has {second[small]}{smaller}."
    )


def _filled(need: str, values: Mapping[str, Any]) -> str:
    """Put the column that a parameter names in the place of the parameter."""
    column = str(values[need[1:-1]]) if need.startswith("{") else need
    return f"{column}|{MADE_FROM[column]}" if column in MADE_FROM else column


def _lacking(needs: Iterable[str], columns: Iterable[str]) -> list[str]:
    """Needs that no column meets."""
    return [need for need in needs if not set(columns) & set(need.split("|"))]


def library_files() -> list[Path]:
    """List the files whose change makes earlier runs out of date: the package's sources and tables."""
    return sorted(p for p in PACKAGE.rglob("*.*") if p.is_file() and "__pycache__" not in p.parts)


def digest_of(path: Path, given: Mapping[str, Any]) -> str:
    """Hash all that decides the results of a notebook: cells, parameters, the library, own data."""
    cells = [[cell.cell_type, cell.source, cell.metadata.get("tags", [])] for cell in _read(path).cells]
    values = {name: value for name, value in given.items() if name not in ("out", "n_jobs")}
    digest = hashlib.sha256(json.dumps([cells, values, srna_lib.__version__], sort_keys=True).encode())
    if is_file(str(given.get("dataset", ""))):
        digest.update(hashlib.sha256(Path(given["dataset"]).read_bytes()).digest())
    for file in library_files():
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def _read_manifest(folder: Path, known: set[str], say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Entries of earlier runs of known notebooks whose pages and results are as they were written; says what is not."""
    file = folder / MANIFEST
    try:
        entries = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        whole = {s: e for s, e in entries.items() if s in known and KEYS <= e.keys() and e["sha256"] == _seal(e)}
    except (OSError, ValueError, AttributeError) as error:
        say(f"{file}: not readable ({type(error).__name__}), so every notebook is run again")
        return {}
    kept = {s: e for s, e in whole.items() if e["status"] == NOT_APPLICABLE or e["files"] == _left(folder, s)}
    for stem in sorted(known & entries.keys() - kept.keys()):
        say(f"{folder}: page, results or entry of {stem} are not as its run left them, so it counts as not run")
    return kept


def _seal(entry: Mapping[str, Any]) -> str:
    """Checksum of an entry, but for the checksum itself."""
    told = {key: value for key, value in entry.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _left(folder: Path, stem: str) -> dict[str, str]:
    """Checksums of page and results of a notebook; the executed notebook is for readers to go on with."""
    places = [folder / f"{stem}.html", *_results(folder, stem)]
    return {place.name: hashlib.sha256(place.read_bytes()).hexdigest() for place in places if place.is_file()}


@contextmanager
def _manifest(folder: Path, known: set[str], say: Callable[[str], None]) -> Iterator[dict[str, dict[str, Any]]]:
    """The manifest, to be read and changed while runs beside this one wait, and then written."""
    place = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # network disks lock no folder; the moment from here to the writing is then a gap
            fcntl.flock(place, fcntl.LOCK_EX)
        manifest = _read_manifest(folder, known, say)
        yield manifest
        for entry in manifest.values():
            entry["sha256"] = _seal(entry)
        write_file(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True, default=str) + "\n")
    finally:
        os.close(place)


def _remove(folder: Path, stem: str, *suffixes: str) -> None:
    """Remove what an earlier run left, which this one would otherwise show as its own."""
    for place in (*_results(folder, stem), *(folder / f"{stem}{suffix}" for suffix in suffixes)):
        place.unlink(missing_ok=True)


def _results(folder: Path, stem: str) -> list[Path]:
    return [folder / "results" / f"{stem}{suffix}" for suffix in RESULTS]


def _written(folder: Path, stem: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Card and headline figure that a notebook wrote, if it did."""
    written = []
    for file in (folder / "results" / f"{stem}.card.json", folder / "results" / f"{stem}.figure.json"):
        try:
            told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
            {**told.get("key_numbers", {}), **told.get("versions", {})}  # refuses what is no mapping
        except (ValueError, TypeError, AttributeError) as error:
            what = f"results/{file.name}: not readable ({type(error).__name__})"
            raise InputError(f"{what}; expected JSON as srna_lib.report.close writes it.") from error
        written.append(told)
    return written[0], written[1]


def card_of(folder: Path, stem: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Gather what the index shows of a notebook: its entry, and the card that it wrote."""
    written, figure = _written(folder, stem)
    ok, given = entry["status"] == "ok", entry["parameters"]  # else its own checks may be what failed
    return {
        **entry,
        "stem": stem,
        "title": written.get("title") or entry["title"],
        "seconds": f"{entry['seconds']:.1f} s",
        "dataset": given.get("dataset", "none"),
        "settings": ", ".join(f"{k} {v}" for k, v in given.items() if k not in ("dataset", "out", "n_jobs")),
        "numbers": written.get("key_numbers", {}) if ok else {},
        "figure": figure if ok else None,
        "simulated": bool(entry["simulated"] or written.get("simulated")),
        "versions": {**entry["versions"], **written.get("versions", {})},
    }


def write_index(folder: Path, manifest: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write ``index.html`` from the entries and cards; returns its path."""
    cards = [card_of(folder, stem, manifest[stem]) for stem in sorted(manifest)]
    names = list(dict.fromkeys(card["dataset"] for card in cards))
    known = {name: datasets.entry(name) for name in names if name in datasets.names()}
    titles = [known[name]["title"] if name in known else Path(name).stem for name in names]
    ran = [card for card in cards if card["status"] != NOT_APPLICABLE]
    summary = f"Notebooks run: {len(ran)}, failed: {sum(card['status'] == 'failed' for card in ran)}"
    summary += f", {NOT_APPLICABLE}: {len(cards) - len(ran)}" if len(cards) > len(ran) else ""
    summary += f". Last finished: {max((card['finished_at'] for card in ran), default='none')}."
    title = "Small-RNA report: " + (" and ".join(titles) or "no notebook is done")
    head = {"summary": summary, "versions": versions_line(cards), "simulated": any(card["simulated"] for card in cards)}
    write_file(folder / "index.html", index_page(cards, title=title, datasets=list(known.values()), **head))
    return folder / "index.html"


def versions_line(cards: Iterable[Mapping[str, Any]]) -> str:
    """List versions in one line; a package that differs between cards is listed with each."""
    seen: dict[str, dict[str, None]] = {}
    for card in cards:
        for name, version in card["versions"].items():
            seen.setdefault(name, {})[str(version)] = None
    return "Made with " + ", ".join(f"{name} {' / '.join(each)}" for name, each in seen.items()) + "." if seen else ""


@dataclass(frozen=True)
class Outcome:
    """What became of one notebook: ``ok``, ``failed``, ``skipped`` or ``not applicable``; ``bad_input``: InputError."""

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
    def exit_code(self) -> int:
        """0, or 1 where notebooks failed, or 2 where all of these did because of what the user gave."""
        failures = [outcome.bad_input for outcome in self.outcomes if outcome.status == "failed"]
        return 0 if not failures else 2 if all(failures) else 1


def run_notebooks(
    notebooks: Sequence[str] = (), *, dataset: str = "demo", profile: str = "demo", jobs: int = 2, seed: int = 0,
    out: str | os.PathLike[str] | None = None, parameters: Mapping[str, Any] | None = None, force: bool = False,
    notebooks_dir: str | os.PathLike[str] | None = None, say: Callable[[str], None] = print,
) -> Report:  # fmt: skip
    """Run notebooks on a data set and write their pages; arguments as those of ``srna run``."""
    # What is wrong with the arguments is found before anything runs or is written. A notebook that is done already
    # (same cells, parameters, library and data) is skipped, and the manifest is written after each, so that an
    # interrupted run goes on where it stopped. Where all are run, those that do not apply are left out.
    own = is_file(dataset)
    one_of("data set", dataset, [dataset] if own else datasets.names())
    one_of("profile", profile, PROFILES)
    paths, source = find_notebooks(notebooks, notebooks_dir)
    folder = Path(os.path.abspath(out or Path("reports") / Path(dataset).stem))
    about = datasets.entry(dataset)
    place = os.path.abspath(dataset) if own else dataset  # notebooks run in a folder of their own
    settings = {"dataset": place, "profile": profile, "out": str(folder), "seed": seed, "n_jobs": jobs}
    given = chosen_parameters(paths, settings, parameters or {}, about["columns"])
    reasons = {path: reason for path in paths if (reason := why_not(path, dataset, about["columns"], given[path]))}
    if notebooks and reasons:
        raise InputError(next(iter(reasons.values())))
    if folder.resolve() == source:
        raise InputError(f"--out {folder}: found the folder of the notebooks; expected another one.")
    for name in ("SRNA_DATA_MIRROR", "SRNA_DATA_DIR"):  # relative paths mean another place where notebooks run
        if os.environ.get(name):
            os.environ[name] = os.path.abspath(os.environ[name])
    fetch(place)
    _make_folder(folder)
    change = partial(_manifest, folder, {path.stem for path in source.glob("*.ipynb")}, say)
    with change() as manifest:
        earlier = dict(manifest)
    digests = {path: digest_of(path, given[path]) for path in paths}
    labels = {path: f"[{number}/{len(paths)}] {path.stem}" for number, path in enumerate(paths, start=1)}
    outcomes: dict[Path, Outcome] = {}
    todo = []
    for path in paths:
        done = earlier.get(path.stem, {})
        if path in reasons:
            say(f"{labels[path]}: {NOT_APPLICABLE}: {reasons[path]}")
            _remove(folder, path.stem, ".html", ".ipynb")
            entry = _entry(_read(path), path, given[path], about["simulated"])
            with change() as manifest:
                manifest[path.stem] = entry | {"digest": "", "status": NOT_APPLICABLE, "reason": reasons[path]}
            outcomes[path] = Outcome(path.stem, NOT_APPLICABLE, 0.0)
        elif not force and done.get("status") == "ok" and done.get("digest") == digests[path]:
            say(f"{labels[path]}: skipped, done on {done['finished_at']} (--force runs it again)")
            outcomes[path] = Outcome(path.stem, "skipped", 0.0)
        else:
            todo.append(path)
    beside = min(jobs, len(todo))
    if beside > 1:
        todo.sort(key=partial(_urgency, earlier))
    for path in todo:
        given[path] |= {"n_jobs": jobs // beside} if "n_jobs" in given[path] else {}

    def begin(path: Path) -> tuple[Any, ...]:
        say(f"{labels[path]}: running on {place}, profile {profile}")
        with change() as manifest:
            manifest.pop(path.stem, None)  # an interrupted notebook must not count as done
            _remove(folder, path.stem)
        return path, folder, given[path], about["simulated"], beside == 1

    try:
        with _compiled_once(folder / "cache" / "jax"):
            for path, entry in _run_each(todo, begin, beside):
                what = f"failed after {entry['seconds']:.1f} s: {entry['error']['sentence']}" if entry["error"] else ""
                say(f"{labels[path]}: {what or 'ok, ' + format(entry['seconds'], '.1f') + ' s'}")
                with change() as manifest:
                    manifest[path.stem] = entry | {"digest": digests[path]}
                refused = bool(entry["error"]) and entry["error"]["name"] == "InputError"
                outcomes[path] = Outcome(path.stem, entry["status"], entry["seconds"], refused)
    finally:
        with change() as manifest:
            index = write_index(folder, manifest)
    return Report(index, [outcomes[path] for path in paths])


@contextmanager
def _compiled_once(folder: Path) -> Iterator[None]:
    """Within the block what JAX compiles is kept in a folder, for other notebooks and workers; a user's own counts."""
    own = {"JAX_COMPILATION_CACHE_DIR": str(folder), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": LEAST_SECONDS}
    own = {} if own.keys() & os.environ.keys() else own
    os.environ.update(own)
    try:
        yield
    finally:
        for name in own:
            os.environ.pop(name, None)


def _urgency(earlier: Mapping[str, Mapping[str, Any]], path: Path) -> tuple[float, int]:
    """Sort key that begins with what takes longest, by the last run here, so that no worker is left alone with it."""
    number = path.stem.split("_")[0]
    usual = LONGEST.index(number) if number in LONGEST else len(LONGEST)
    return -earlier.get(path.stem, {}).get("seconds", 0.0), usual


def _run_each(
    todo: list[Path], begin: Callable[[Path], tuple[Any, ...]], beside: int
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Notebooks with their entries as they are done: one by one, or ``beside`` each other in processes of their own."""
    if beside < 2:
        yield from ((path, _run_one(*begin(path))) for path in todo)
        return
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, joblib.cpu_count() // beside)))
    pool = ProcessPoolExecutor(beside, initializer=settle, env={"OMP_NUM_THREADS": threads})
    waiting, running = list(todo), dict[Any, Path]()
    try:
        while waiting or running:
            while waiting and len(running) < beside:
                path = waiting.pop(0)
                running[pool.submit(_run_one, *begin(path))] = path
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(done), done.result()
    finally:
        pool.shutdown(kill_workers=True)


def _run_one(path: Path, folder: Path, given: dict[str, Any], simulated: bool, bar: bool) -> dict[str, Any]:
    """Execute one notebook, write its page, and return its entry of the manifest."""
    start, error = time.perf_counter(), None
    with tempfile.TemporaryDirectory() as scratch:
        executed = Path(scratch) / path.name
        try:
            papermill_engines.register("at_the_end", SavedAtTheEnd)
            kernel = {"kernel_name": "python3", "language": "python", "kernel_manager_class": ThisInterpreter}
            kernel["engine_name"] = "at_the_end"
            shown = {"cwd": str(path.parent), "progress_bar": bar and sys.stderr.isatty()}
            papermill.execute_notebook(_literal(path), _literal(executed), parameters=given, **shown, **kernel)
            _written(folder, path.stem)
        except papermill.PapermillExecutionError as failure:
            error = describe_error(failure.ename, failure.evalue, "\n".join(failure.traceback))
        except InputError as failure:
            _remove(folder, path.stem)
            error = describe_error("InputError", str(failure))
        except Exception as failure:  # the kernel died or did not start: this notebook failed, not the run
            error = describe_error(type(failure).__name__, str(failure))
            error["sentence"] = f"the kernel stopped ({error['sentence']})"
        nb = _read(executed if executed.exists() else path)
    # Papermill's own error cells and this machine's paths are nobody's business.
    nb.cells = [cell for cell in nb.cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])]
    nb.metadata.setdefault("papermill", {}).update(input_path=path.name, output_path=path.name)
    entry = _entry(nb, path, given, simulated, error) | {"seconds": round(time.perf_counter() - start, 2)}
    about = f"Data set {given.get('dataset', 'none')}, profile {given.get('profile', 'none')}"
    about += f"; finished {entry['finished_at']} after {entry['seconds']:.1f} s."
    texts = {"stem": path.stem, "title": entry["title"], "about": about, "simulated": simulated}
    texts["versions"] = versions_line([card_of(folder, path.stem, entry)])
    page = notebook_page(nb, error=error, folder=path.parent, **texts)
    write_file(folder / f"{path.stem}.ipynb", nbformat.writes(nb) + "\n")
    write_file(folder / f"{path.stem}.html", page)
    return entry | {"files": _left(folder, path.stem)}


def _entry(
    nb: nbformat.NotebookNode, path: Path, given: dict[str, Any], simulated: bool, error: dict[str, str] | None = None
) -> dict[str, Any]:
    """Entry of the manifest for a notebook that ran, or that does not apply."""
    return {
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "title": notebook_title(nb, path.stem),
        "status": "failed" if error else "ok",
        "seconds": 0.0,
        "error": error,
        "simulated": simulated,
        "parameters": given,
        "versions": {"srna_lib": srna_lib.__version__, "python": platform.python_version()},
    }


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"--out {folder}: not writable ({why}); expected a folder that can be written.") from error


def _literal(path: Path) -> str:
    """Path as papermill takes it: braces are not placeholders."""
    return str(path).replace("{", "{{").replace("}", "}}")
