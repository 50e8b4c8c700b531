"""What a process loads beside what it is asked for, and how many threads and how long a life a worker has."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing import current_process

# Where it is installed, jsonschema builds a parser of international addresses (two seconds); nothing here reads any.
ADDRESSES = "rfc3987_syntax"


@contextmanager
def hidden(name: str) -> Iterator[None]:
    """Within the block a package that is not loaded yet is as if it were not installed."""
    hide = name not in sys.modules
    if hide:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hide:
            del sys.modules[name]


@cache
def settle() -> None:
    """Keep a worker to its share of cores, and end it within seconds of the run that started it, however that ended."""

    def watch(parent: int) -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    if "Loky" in type(current_process()).__name__:
        # XLA, which else takes all cores, reads the number of its threads there
        os.environ.setdefault("NPROC", os.environ.get("OMP_NUM_THREADS", "1"))
        threading.Thread(target=watch, args=(os.getppid(),), daemon=True).start()
