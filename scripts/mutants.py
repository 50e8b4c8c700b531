"""Do the tests catch faults? Plant single faults in the package, one at a time, and run the tests of what was changed.

A mutant changes one operator, constant, clip, direction or condition of one module; at most two come from a module.
The tests that import the module, or its package, run on a copy of the tree until the first one fails.
``python scripts/mutants.py --n 44 --seed 0 [--only evaluate/metrics.py] [--list] [--jobs 2]``
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PER_MODULE = 2
OTHER_MODULES = ("plots/", "report/", "__init__", "errors")  # looked at rendered, or run as a whole
OPERATORS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
HARMLESS = ("strict", "copy", "skip_check_array", "observed")
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any"}


class Mutant(NamedTuple):
    """One change of one module."""

    module: str
    line: int
    kind: str
    before: str
    after: str
    source: str

    def describe(self) -> str:
        """The change in one line."""
        return f"{self.module}:{self.line} {self.kind}: {self.before} -> {self.after}"


def changes(node: Any) -> list[tuple[str, ast.AST]]:
    """Each fault that can be planted at a node: its kind, and the node that takes its place."""
    if not isinstance(node, ast.expr) or isinstance(node, ast.Starred | ast.Slice):
        return []
    copy: Any = deepcopy(node)
    if isinstance(copy, ast.Compare) and len(copy.ops) == 1 and type(copy.ops[0]) in OPERATORS:
        copy.ops = [OPERATORS[type(copy.ops[0])]()]
        return [("comparison", copy)]
    if isinstance(copy, ast.BinOp | ast.BoolOp) and type(copy.op) in OPERATORS:
        copy.op = OPERATORS[type(copy.op)]()
        return [("operator", copy)]
    if isinstance(copy, ast.Constant):
        number = copy.value
        if type(number) is float:
            return [("constant", ast.Constant(number * 2))]
        return [("constant", ast.Constant(number + 1))] if type(number) is int else []
    if isinstance(copy, ast.UnaryOp) and isinstance(copy.op, ast.USub | ast.Not):
        return [("sign", copy.operand)]
    if isinstance(copy, ast.Call):
        name = copy.func.attr if isinstance(copy.func, ast.Attribute) else getattr(copy.func, "id", "")
        flags: Any = [
            k
            for k in copy.keywords
            if k.arg not in HARMLESS and isinstance(k.value, ast.Constant) and isinstance(k.value.value, bool)
        ]
        if name == "clip":
            module = isinstance(copy.func, ast.Attribute) and getattr(copy.func.value, "id", "") == "np"
            return [("clip", copy.args[0] if module else getattr(copy.func, "value", copy))]
        if name in NAMES and isinstance(copy.func, ast.Attribute):
            copy.func.attr = NAMES[name]
            return [("direction", copy)]
        if name in NAMES and isinstance(copy.func, ast.Name):
            copy.func.id = NAMES[name]
            return [("direction", copy)]
        if flags:
            flags[0].value.value = not flags[0].value.value
            return [("flag", copy)]
    return []


def of_module(path: Path) -> list[Mutant]:
    """Every mutant of a module; texts, messages, defaults, annotations and what is raised are let be."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines(keepends=True)
    mutants = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.arguments | ast.Assert | ast.ImportFrom):
            return
        if isinstance(node, ast.expr) and node.lineno == node.end_lineno:
            before = lines[node.lineno - 1].encode()[node.col_offset : node.end_col_offset].decode()
            for kind, new in changes(node):
                after = f"({ast.unparse(new)})"
                line = lines[node.lineno - 1].encode()
                changed = line[: node.col_offset] + after.encode() + line[node.end_col_offset :]
                text = "".join([*lines[: node.lineno - 1], changed.decode(), *lines[node.lineno :]])
                module = path.relative_to(ROOT / "srna_lib").as_posix()
                mutants.append(Mutant(module, node.lineno, kind, before, after, text))
        for field, child in ast.iter_fields(node):
            if field not in ("annotation", "returns", "decorator_list", "type_params"):
                for each in child if isinstance(child, list) else [child]:
                    if isinstance(each, ast.AST):
                        visit(each)

    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef):
            visit(function)
    return [m for i, m in enumerate(mutants) if m[:5] not in {o[:5] for o in mutants[:i]}]


def draw(n: int, seed: int, only: str) -> list[Mutant]:
    """A seeded draw: modules in random order, kinds as different as a module allows, one round after the other."""
    random = np.random.default_rng(seed)
    paths = [p for p in sorted((ROOT / "srna_lib").rglob("*.py"))]
    names = {p: p.relative_to(ROOT / "srna_lib").as_posix() for p in paths}
    paths = [p for p in paths if only in names[p] and (only or not any(o in names[p] for o in OTHER_MODULES))]
    rounds: list[list[Mutant]] = [[] for _ in range(n if only else PER_MODULE)]
    for at in random.permutation(len(paths)):
        pool = of_module(paths[at])
        for chosen in rounds:
            if pool:
                kinds = sorted({m.kind for m in pool})
                kind = kinds[random.integers(len(kinds))]
                same = [m for m in pool if m.kind == kind]
                chosen.append(same[random.integers(len(same))])
                pool = [m for m in pool if m.kind != kind or only]
    return [m for chosen in rounds for m in chosen][:n]


def tests_of(module: str) -> list[str]:
    """Test files that import a module, the most telling first; else those that import its package."""
    package, _, name = module.removesuffix(".py").partition("/")
    direct, other = [], []
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if path.stem in ("test_notebooks", "test_docs", "test_package", "test_environment", "test_commands"):
            continue
        if f"srna_lib.{package}.{name} " in text or f"from srna_lib.{package} import {name}" in text:
            direct.append(f"tests/{path.name}")
        elif f"srna_lib.{package}" in text or f"import {package}" in text:
            other.append(f"tests/{path.name}")
    return direct + other


def caught(mutant: Mutant, timeout: float) -> tuple[bool, str]:
    """Whether a test fails on the mutant, and which one (or why none did)."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("srna_lib", "tests", "scripts", "notebooks", "docs"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / "data").mkdir()
        pages = ("README.md", "data/README.md", "environment.yml", "Makefile")
        for name in ("pyproject.toml", "requirements.lock", *pages):
            shutil.copy(ROOT / name, copy / name)
        (copy / "srna_lib" / mutant.module).write_text(mutant.source, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", "--durations=0"]
        environment = os.environ | {"PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                [*command, *tests_of(mutant.module)], cwd=copy, env=environment, capture_output=True, text=True,
                timeout=timeout, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return True, f"no end within {timeout:.0f} s"
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return done.returncode == 1, failed[0][:110] if failed else done.stdout.strip().splitlines()[-1]


def main() -> None:
    """Draw mutants, run the tests of each, print a line per mutant and the share that was caught."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=44)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="a module, such as evaluate/metrics.py")
    parser.add_argument("--list", action="store_true", help="name the mutants, run nothing")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for the tests of one mutant")
    options = parser.parse_args()
    mutants = draw(options.n, options.seed, options.only)
    if options.list:
        print("\n".join(m.describe() for m in mutants))
        return
    n_caught = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for mutant, (found, how) in zip(mutants, pool.map(lambda m: caught(m, options.timeout), mutants), strict=True):
            n_caught += found
            print(f"{'caught  ' if found else 'SURVIVED'} {mutant.describe()}\n         {how}", flush=True)
    print(f"{n_caught} of {len(mutants)} mutants caught, in {len({m.module for m in mutants})} modules")


if __name__ == "__main__":
    main()
