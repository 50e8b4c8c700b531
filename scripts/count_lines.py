"""Lines of code and of docstrings of a package, per module and per folder; comments and blank lines count as neither.

``python scripts/count_lines.py [FOLDER]`` (default ``srna_lib``).
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def count(source: str) -> tuple[int, int]:
    """Lines of code and lines of docstrings of a source text."""
    docs: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            docs |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    code = {line for t in tokens if t.type not in LAYOUT for line in range(t.start[0], t.end[0] + 1)}
    return len(code - docs), len(docs)


def main() -> None:
    """Print a line per module, a line per folder and the total."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "srna_lib")
    totals: Counter[tuple[str, int]] = Counter()
    for path in sorted(root.rglob("*.py")):
        figures = count(path.read_text(encoding="utf-8"))
        print(f"{path.relative_to(root)!s:36} {figures[0]:6} {figures[1]:6}")
        for at, lines in enumerate(figures):
            totals[f"{path.parent}/", at] += lines
            totals["total", at] += lines
    for name in dict.fromkeys(name for name, _ in totals):
        print(f"{name:36} {totals[name, 0]:6} {totals[name, 1]:6}")


if __name__ == "__main__":
    main()
