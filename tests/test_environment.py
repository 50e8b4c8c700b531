"""environment.yml, pyproject.toml and requirements.lock name the same packages."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ENVIRONMENT = (ROOT / "environment.yml").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
CONDA_NAMES = {
    "kaleido": "python-kaleido",
    "jupyter-client": "jupyter_client",
}  # where conda-forge calls a package otherwise
OWNERS_LIST = (
    "jupyterlab", "papermill", "numpy", "pandas", "scikit-learn", "keras", "deeplift", "plotly", "umap-learn",
    "openTSNE",
)  # fmt: skip
PYTHONS = ("3.11", "3.12", "3.13")


def required() -> dict[str, Requirement]:
    """Normalised name -> requirement of the project and its dev group."""
    lines = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def conda_entries() -> dict[str, Requirement]:
    """Name -> requirement of environment.yml, its pip section included."""
    entries = []
    for item in yaml.safe_load(ENVIRONMENT)["dependencies"]:
        entries += item["pip"] if isinstance(item, dict) else [item]
    parsed = [Requirement(e) for e in entries]
    assert len({r.name for r in parsed}) == len(parsed), "a package stands twice in environment.yml"
    return {r.name: r for r in parsed}


def pins() -> dict[str, list[tuple[Requirement, list[str]]]]:
    """Normalised name -> (pin with its marker, hashes); a package may have one pin per Python."""
    found: dict[str, list[tuple[Requirement, list[str]]]] = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"(?m)^\s*#.*\n", "", LOCK)):
        head, *options = [part.strip() for part in block.replace("\\\n", "\n").splitlines() if part.strip()]
        assert all(o.startswith("--hash=") for o in options), f"{head}: something else than hashes"
        pin = Requirement(head)
        found.setdefault(canonicalize_name(pin.name), []).append((pin, options))
    return found


def test_environment_has_every_dependency_with_the_same_bound():
    project = {CONDA_NAMES.get(name, name): str(r.specifier) for name, r in required().items()}
    conda = {name: str(r.specifier) for name, r in conda_entries().items() if name not in ("python", "pip")}
    assert conda == project


def test_environment_has_the_owners_list():
    names = set(conda_entries())
    assert {canonicalize_name(n) for n in OWNERS_LIST} <= names


def test_python_is_the_same():
    assert str(conda_entries()["python"].specifier) == PROJECT["project"]["requires-python"]


def test_only_two_packages_come_by_pip():
    (section,) = [d for d in yaml.safe_load(ENVIRONMENT)["dependencies"] if isinstance(d, dict)]
    lacking = ["deeplift", "cellxgene-ontology-guide"]  # what conda-forge lacks
    assert [Requirement(line).name for line in section["pip"]] == lacking
    assert yaml.safe_load(ENVIRONMENT)["channels"] == ["conda-forge"]


def test_every_package_has_a_lower_bound_and_no_upper():
    for name, requirement in required().items():
        assert [s.operator for s in requirement.specifier] == [">="], name


@pytest.mark.parametrize("text", [ENVIRONMENT, (ROOT / "pyproject.toml").read_text(encoding="utf-8")])
def test_every_package_says_where_it_is_used(text):
    lines = [x for x in text.splitlines() if re.match(r"""\s*(- |")[A-Za-z][\w.-]*>=""", x) and "python>" not in x]
    lines = [x for x in lines if 'hatchling>=1.25"]' not in x]
    assert len(lines) >= len(required()) - 1
    for line in lines:
        assert re.search(r"# \w.{5,}", line), f"no comment: {line}"


def test_lock_pins_every_dependency():
    locked = pins()
    assert set(required()) <= set(locked)
    for name, requirement in required().items():
        for pin, _ in locked[name]:
            (clause,) = pin.specifier
            assert clause.operator == "==" and "*" not in clause.version
            assert requirement.specifier.contains(Version(clause.version)), f"{pin} is not {requirement}"


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_lock_has_exactly_one_pin_for_each_python(python, system):
    here = {
        **default_environment(), "python_version": python, "python_full_version": f"{python}.4", "extra": "",
        "sys_platform": system, "platform_system": system.title(),
    }  # fmt: skip
    for name, entries in pins().items():
        valid = [pin for pin, _ in entries if pin.marker is None or Marker(str(pin.marker)).evaluate(here)]
        assert len(valid) == 1 if name in required() else len(valid) <= 1, f"{name}: {list(map(str, valid))}"


def test_every_pin_has_hashes():
    locked = pins()
    assert len(locked) > 100
    for entries in locked.values():
        for pin, hashes in entries:
            assert hashes, f"{pin} has no hash"
            assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", h) for h in hashes), pin


def test_lock_names_no_index():
    for word in ("http://", "https://", "file:", "git+", "--index", "--extra", "--find-links", "--trusted", " @ "):
        assert word not in LOCK, word
    assert not re.search(r"(?m)^-", LOCK)


IMPORT_NAMES = {"imblearn": "imbalanced-learn", "sklearn": "scikit-learn", "umap": "umap-learn", "zmq": "pyzmq"}


@pytest.mark.parametrize("path", sorted((ROOT / "srna_lib").rglob("*.py")), ids=lambda p: p.stem)
def test_every_import_is_declared(path):
    used = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            used |= {a.name.partition(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            used.add(str(node.module).partition(".")[0])
    third = {canonicalize_name(IMPORT_NAMES.get(m, m)) for m in used - set(sys.stdlib_module_names) - {"srna_lib"}}
    assert third <= set(required()), f"{path.name} imports what pyproject.toml does not name"
