"""The kernel of the notebooks is the running interpreter."""

from __future__ import annotations

import json
import sys

import zmq

from srna_lib.kernels import ThisInterpreter


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
