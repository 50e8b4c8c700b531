"""Which notebooks a run takes and the parameters each of them gets, checked before anything runs.

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
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
import papermill

from srna_lib.contexts import MADE_FROM
from srna_lib.errors import InputError

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
    beside = Path(__file__).resolve().parent.parent / "notebooks"
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
    from srna_lib import datasets

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
