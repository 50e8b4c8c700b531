"""What a process loads beside what it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
