"""The package as a whole: light to import, imports run downward, modules stay small."""

from __future__ import annotations

import ast
import graphlib
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import srna_lib

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "srna_lib"
ROOMS = (
    "data",
    "io",
    "datasets",
    "models",
    "evaluate",
    "explore",
    "explain",
    "stability",
    "annotate",
    "companions",
    "plots",
    "report",
)
MODULES = sorted(".".join(p.relative_to(ROOT).with_suffix("").parts) for p in PACKAGE.rglob("*.py"))
HEAVY = ("keras", "jax", "plotly", "pandas", "sklearn", "umap", "openTSNE")


def arrows(source: str) -> set[tuple[str, str, str]]:
    """What a source text imports of the library, at any depth: (package, module behind its door or "", name)."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [a.name.split(".") for a in node.names]
            found |= {(n[1] if n[1:] else "", ".".join(n[2:]), "") for n in names if n[0] == "srna_lib"}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            where = (node.module or "").split(".")
            if where == ["srna_lib"]:
                found |= {(a.name, "", "") for a in node.names}
            elif where[0] == "srna_lib":
                found |= {(where[1], ".".join(where[2:]), a.name) for a in node.names}
    return found


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_reader_of_imports_sees_every_kind():
    source = (
        "import srna_lib, os\nimport srna_lib.a\nfrom srna_lib import b\nfrom srna_lib.c import x\n"
        "def f():\n    from srna_lib.d.e import y as z\nfrom srna_library import no\n"
    )
    assert arrows(source) == {("", "", ""), ("a", "", ""), ("b", "", ""), ("c", "", "x"), ("d", "e", "y")}


def test_import_is_fast_and_light():
    code = (
        "import sys, time, json; t = time.perf_counter(); import srna_lib; t = time.perf_counter() - t;"
        f"print(json.dumps([t, [m for m in {HEAVY} if m in sys.modules]]))"
    )
    times, loaded = zip(*(json.loads(python(code)) for _ in range(3)), strict=True)
    assert min(times) < 0.3
    assert loaded == ([], [], [])


@pytest.mark.slow
def test_every_module_imports_without_keras_and_only_plots_need_plotly():
    light = [m for m in MODULES if not m.startswith("srna_lib.plots")]
    code = (
        "import sys, json, importlib\nout = []\n"
        f"for group in ({light!r}, ['srna_lib.plots']):\n"
        "    for m in group: importlib.import_module(m.removesuffix('.__init__'))\n"
        "    out.append([m for m in ('keras', 'jax', 'plotly', 'umap', 'openTSNE') if m in sys.modules])\n"
        "print(json.dumps(out))"
    )
    assert json.loads(python(code)) == [[], ["plotly"]]


def test_every_package_is_a_room():
    assert sorted(ROOMS) == sorted(p.parent.name for p in PACKAGE.glob("*/__init__.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_package_imports_doors_of_packages_above_it_in_the_table(room):
    above = ROOMS[: ROOMS.index(room)]
    for path in sorted((PACKAGE / room).glob("*.py")):
        for package, module, name in arrows(path.read_text(encoding="utf-8")):
            if package in ("", room, "errors", "processes"):
                assert package != room or module or path.stem != "__init__", f"{path}: a door imports its modules"
                continue
            assert package in above, f"{path} imports {package}, which is not above {room}"
            assert not module, f"{path} imports {package}.{module} instead of the door {package}"
            door = importlib.import_module(f"srna_lib.{package}")
            assert not name or not inspect.ismodule(getattr(door, name)), f"{path}: {package} does not export {name}"


@pytest.mark.parametrize("room", ROOMS)
def test_modules_of_a_package_do_not_import_in_a_circle(room):
    inside = {p.stem: arrows(p.read_text(encoding="utf-8")) for p in (PACKAGE / room).glob("*.py")}
    needs = {m: {b or n for a, b, n in found if a == room} for m, found in inside.items() if m != "__init__"}
    assert list(graphlib.TopologicalSorter(needs).static_order())  # CycleError names the circle


def test_the_face_loads_every_name_that_it_offers():
    assert {"load", "read", "make_task", "recipe", "pl"} <= set(srna_lib.__all__) | {"pl"}
    for name in srna_lib.__all__:
        assert getattr(srna_lib, name) is not None
    assert srna_lib.pl is srna_lib.plots


def test_explain_is_a_verb_and_a_package():
    from sklearn.linear_model import LogisticRegression

    from srna_lib.explain import contributions

    X = np.array([[0.0, 1.0], [2.0, 0.0], [0.0, 3.0], [4.0, 0.0]])
    model = LogisticRegression().fit(X, list("abab"))
    for options in ({}, {"rule": "revealcancel", "reference": X[:1]}):
        found, expected = srna_lib.explain(model, X, **options), contributions(model, X, **options)
        assert np.array_equal(found.values, expected.values)
    assert srna_lib.explain.contributions is contributions
