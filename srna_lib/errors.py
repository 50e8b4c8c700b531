"""The one error that users meet, and what it says of an unknown name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something that the user gave is wrong.

    The message is one sentence that names the file or field, what was found and what is expected. The
    command line prints it without a traceback and leaves with exit code 2.
    """


class ReadError(InputError):
    """A user's file cannot be read as counts: the only error that `srna_lib.io` lets out."""


def expect(holds: object, otherwise: str, kind: type[InputError] = InputError) -> None:
    """Refuse what does not hold, in one sentence (without its full stop)."""
    if not holds:
        raise kind(f"{otherwise}.")


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Error for an unknown name: what was found, what is known, and a close match."""
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return InputError(f"unknown {kind} {name!r}: expected one of {', '.join(names) or '(none)'}{hint}")


def one_of(kind: str, name: str, known: Iterable[str]) -> None:
    """Refuse a name that is not known."""
    if name not in (names := list(known)):
        raise unknown(kind, name, names)
