"""Do the tests catch faults? Plant single faults in the package, one at a time, and run the tests of what was changed.

A mutant changes one operator, constant, clip, direction or condition of one module; at most two come from a module.
The tests that import the module, or its package, run on a copy of the tree until the first one fails: the module's own
ones first, slow ones last. What has no end in time is undecided; so is what fails on the code without the fault, too.
``--log`` keeps what was decided; the same command goes on from there, and runs undecided mutants once more.
``python scripts/mutants.py --n 44 --seed 0 [--log FILE] [--limit 600] [--only evaluate/metrics.py] [--list]``
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import anndata  # noqa: F401  what most tests import: a fork has it at once
import numpy as np
import papermill  # noqa: F401
import plotly.graph_objects  # noqa: F401
import pytest
import sklearn.pipeline  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent
PER_MODULE = 2
OTHER_MODULES = ("plots/", "report/", "__init__", "errors")  # looked at rendered, or run as a whole
OPERATORS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
PATIENCE = 20  # seconds by the clock for a second of processor time: other work may be going on
HARMLESS = ("strict", "copy", "skip_check_array", "observed")
OTHER_TESTS = (
    "test_notebooks",
    "test_notebook_labels",
    "test_docs",
    "test_package",
    "test_environment",
)
FAST, SLOW = "not slow and not labels", "slow and not labels"
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

    def key(self) -> str:
        """The change, and a hash of the module that holds it: what was decided about other code does not count."""
        return f"{self.describe()} [{hashlib.sha256(self.source.encode()).hexdigest()[:12]}]"


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


def tests_of(module: str) -> tuple[list[str], list[str]]:
    """Test files of a module, the most telling first, and those that only import its package."""
    package, _, name = module.removesuffix(".py").rpartition("/")
    tree = ast.parse((ROOT / "srna_lib" / module).read_text(encoding="utf-8"))
    public = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name[0] != "_"]
    own, other = {}, []
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if path.stem in OTHER_TESTS or "srna_lib" not in text:
            continue
        named = len(re.findall(rf"\b({'|'.join([*public, '(?!)'])})\b", text))
        if named or re.search(rf"srna_lib\.{package}\b(\.| import .*\b){name}\b", text):
            own[f"tests/{path.name}"] = (path.stem == f"test_{name}", named)
        elif re.search(rf"srna_lib\.{package}\b|import .*\b{package or 'srna_lib'}\b", text):
            other.append(f"tests/{path.name}")
    return sorted(own, key=lambda file: own[file], reverse=True), other


def tests_naming(mutant: Mutant, files: list[str]) -> list[str]:
    """Tests in these files that name what was changed, or what uses it within the module."""
    tops = [n for n in ast.parse(mutant.source).body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    names = {n.name for n in tops if n.lineno <= mutant.line <= (n.end_lineno or 0)}
    for _ in tops:
        names |= {n.name for n in tops if re.search(rf"\b({'|'.join([*names, '(?!)'])})\b", ast.unparse(n))}
    found = []
    for file in files:
        for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
                if any(re.search(rf"\b{name}\b", ast.unparse(node)) for name in names):
                    found.append(f"{file}::{node.name}")
    return found


def copied(folder: Path) -> None:
    """A copy of what the tests need, with its compiled files."""
    for name in ("srna_lib", "tests", "scripts", "notebooks", "docs", "data"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("pyproject.toml", "requirements.lock", "README.md", "environment.yml", "Makefile"):
        shutil.copy(ROOT / name, folder / name)


def run(folder: Path, what: list[str], limit: float) -> tuple[int, list[str], float]:
    """Run tests in a fork: exit code (below 0 where it was ended), tests that failed, seconds of processor time."""
    out = folder / "out.txt"
    child = os.fork()
    if not child:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (max(int(limit), 1),) * 2)
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True
        os.environ.update(PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1")
        for stream in (1, 2):
            os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        code = int(pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", "--tb=no", *what]))
        sys.stdout.flush()
        os._exit(code)
    end, done = time.monotonic() + PATIENCE * limit, 0
    while not done and time.monotonic() < end:
        time.sleep(0.2)
        done, status, used = os.wait4(child, os.WNOHANG)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # and the kernels and workers that it started
    if not done:
        _, status, used = os.wait4(child, 0)
    lines = [
        line.strip().partition(" ") for line in out.open(encoding="utf-8") if line.startswith(("FAILED ", "ERROR "))
    ]
    out.unlink()
    failed = [rest.partition(" - ")[0] for _, _, rest in lines]
    return os.waitstatus_to_exitcode(status), failed, used.ru_utime + used.ru_stime


def decide(mutant: Mutant, limit: float) -> dict[str, Any]:
    """Whether a test fails on the mutant, and which one."""
    own, other = tests_of(mutant.module)
    named, near, rest = tests_naming(mutant, own[:3]), own[:3], [*own[3:], *other]
    steps = [(named, FAST), (near[:1], FAST), (near[1:], FAST), (near, SLOW), (rest, FAST), (rest, SLOW)]
    verdict, how, total = "survived", f"{len(own)} + {len(other)} test files", 0.0
    with tempfile.TemporaryDirectory() as name:
        copied(Path(name))
        (Path(name) / "srna_lib" / mutant.module).write_text(mutant.source, encoding="utf-8")
        for files, which in steps:
            code, failed, used = run(Path(name), ["-x", "-m", which, *files], limit - total) if files else (0, [], 0)
            total += used
            if code in (1, 2) and failed:  # 2: a test file cannot be imported
                verdict, how = "caught", failed[0]
            elif code not in (0, 5):  # 5: none of them is slow, or fast
                verdict, how = "undecided", f"{which}: ended with {code}"
            if verdict != "survived":
                break
    return {"verdict": verdict, "how": how, "seconds": round(total)}


def fail_anyway(tests: list[str]) -> set[str]:
    """Those of the tests that fail without a fault, too."""
    with tempfile.TemporaryDirectory() as name:
        copied(Path(name))
        code, failed, _ = run(Path(name), tests, 3600) if tests else (0, [], 0)
    return set(failed) if code in (0, 1) else set(tests)


def main() -> None:
    """Draw mutants, run the tests of each, print a line per mutant and the share that was caught."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=44)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="a module, such as evaluate/metrics.py")
    parser.add_argument("--list", action="store_true", help="name the mutants, run nothing")
    parser.add_argument("--limit", type=float, default=600, help="seconds of processor time for the tests of a mutant")
    parser.add_argument(
        "--log", type=Path, default=Path(os.devnull), help="JSON lines; caught or survived: not run again"
    )
    parser.add_argument(
        "--again", action="store_true", help="run those that survived once more, after a change of tests"
    )
    options = parser.parse_args()
    mutants = draw(options.n, options.seed, options.only)
    if options.list:
        print("\n".join(m.describe() for m in mutants))
        return
    lines = options.log.read_text(encoding="utf-8").splitlines() if options.log.exists() else []
    known = {entry["key"]: entry for entry in map(json.loads, lines)}
    kept = ("caught",) if options.again else ("caught", "survived")

    def decided(mutant: Mutant) -> dict[str, Any]:
        entry = known.get(mutant.key(), {})
        if entry.get("verdict") not in kept:
            entry = {"key": mutant.key(), **decide(mutant, options.limit)}
            with options.log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(entry) + "\n")
        print(f"{entry['verdict']:9} {mutant.describe()}\n          {entry['how']}, {entry['seconds']} s", flush=True)
        return entry

    mutants.sort(key=lambda mutant: known.get(mutant.key(), {}).get("verdict") == "undecided")  # these last
    entries = [decided(mutant) for mutant in mutants]
    for test in fail_anyway(sorted({entry["how"] for entry in entries if entry["verdict"] == "caught"})):
        print(f"fails without a fault, too: {test}")
        for entry in entries:
            entry["verdict"] = "undecided" if entry["how"] == test else entry["verdict"]
    verdicts = Counter(entry["verdict"] for entry in entries)
    print(f"{verdicts['caught']} of {len(mutants)} mutants caught, in {len({m.module for m in mutants})} modules;")
    print(f"{verdicts['survived']} survived, {verdicts['undecided']} undecided")


if __name__ == "__main__":
    main()
