"""The kernel that executes notebooks."""

from __future__ import annotations

import sys

import zmq
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import default


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
