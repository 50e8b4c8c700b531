"""The kernel of the notebooks is the running interpreter."""

from __future__ import annotations

import json
import sys

import zmq
from test_reports import code, save

from srna_lib.report import run
from srna_lib.report.run import ThisInterpreter


def test_kernel_is_this_interpreter_whatever_is_installed_as_python3(tmp_path, monkeypatch):
    spec = tmp_path / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    found = ThisInterpreter(kernel_name="python3").kernel_spec
    assert found.argv[0] == sys.executable and "{connection_file}" in found.argv
    assert found.language == "python"


def test_the_connection_is_encrypted_where_zmq_can(monkeypatch):
    for able, expected in ((True, "auto"), (False, "disabled")):
        monkeypatch.setattr(zmq, "has", lambda what, able=able: able and what == "curve")
        assert ThisInterpreter().transport_encryption == expected


def test_relative_folders_mean_the_same_in_a_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SRNA_DATA_MIRROR", "../mirror")
    monkeypatch.delenv("SRNA_DATA_DIR", raising=False)
    seen = "'|'.join(os.environ.get(name, '') for name in ('SRNA_DATA_MIRROR', 'SRNA_DATA_DIR'))"
    asked = f"import os; open('seen', 'w').write({seen})"
    save(tmp_path / "nbs", "01_a", code(asked))
    report = run.run_notebooks(out=tmp_path / "out", notebooks_dir=tmp_path / "nbs", say=str)
    assert [o.status for o in report.outcomes] == ["ok"]
    assert (tmp_path / "nbs" / "seen").read_text() == f"{tmp_path.parent / 'mirror'}|"
