"""Notebooks executed in the test's own process: the same cells, parameters and outputs without a kernel's start.

What a kernel costs (imports, programs compiled anew) is paid once by a test process instead of once by a notebook. The
kernel itself is tested by `test_reports` and by one notebook of `test_notebooks`; `make reports` runs them all in it.
"""

from __future__ import annotations

import os
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import papermill
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbformat.v4 import new_output
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from papermill.utils import chdir
from traitlets.config import Config


def execute_notebook(input_path: str, output_path: str, parameters: dict[str, Any], cwd: str, **_: Any) -> None:
    """Stand in for ``papermill.execute_notebook``."""
    nb = parameterize_notebook(load_notebook_node(input_path), parameters, kernel_name="python3", language="python")
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    environment = dict(os.environ)
    try:
        with chdir(cwd):
            for cell in nb.cells:
                if cell.cell_type == "code":
                    _run(cell, shell)
    finally:
        Path(output_path).write_text(nbformat.writes(nb), encoding="utf-8")
        InteractiveShell.clear_instance()
        os.environ.clear()
        os.environ.update(environment)


def _run(cell: nbformat.NotebookNode, shell: InteractiveShell) -> None:
    """Run a cell and keep what it shows; an error is papermill's."""
    cell.metadata.papermill = {"start_time": datetime.now(UTC).isoformat()}
    with capture_output() as shown:
        done = shell.run_cell(cell.source)
    streams = {"stdout": shown.stdout, "stderr": shown.stderr}
    cell.outputs = [new_output("stream", name=name, text=text) for name, text in streams.items() if text]
    cell.outputs += [new_output("display_data", data=out.data, metadata=out.metadata or {}) for out in shown.outputs]
    if not done.success:
        error = done.error_before_exec or done.error_in_exec
        lines = traceback.format_exception(error)
        cell.outputs.append(
            new_output("error", ename=type(error).__name__, evalue=str(error), traceback="".join(lines).splitlines())
        )
        raise papermill.PapermillExecutionError(0, 0, cell.source, type(error).__name__, str(error), lines)
