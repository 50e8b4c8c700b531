"""The kernel that executes notebooks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import zmq
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

FOLDERS = ("SRNA_DATA_MIRROR", "SRNA_DATA_DIR")


@contextmanager
def absolute_folders() -> Iterator[None]:
    """Make the data folders that the environment names absolute: notebooks run in the folder they lie in."""
    named = {name: os.environ[name] for name in FOLDERS if os.environ.get(name)}
    os.environ.update({name: os.path.abspath(path) for name, path in named.items()})
    try:
        yield
    finally:
        os.environ.update(named)


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
