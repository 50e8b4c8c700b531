"""Reading GMT files: named sets, one per line."""

from __future__ import annotations

from pathlib import Path

from srna_lib.errors import InputError

SHAPE = "expected name, description and members, separated by tabs"


def parse_gmt(path: Path | str) -> list[tuple[str, str, str]]:
    """Read sets from a GMT file: one set per line, tab-separated: name, description, members.

    Parameters
    ----------
    path : path
        Text file (UTF-8). Empty lines and empty fields at the end of a line are passed over, repeated members of a
        set count once.

    Returns
    -------
    list of (str, str, str)
        Name, description and member, in the order of the file.

    Raises
    ------
    InputError
        No such file, no text, a line without name or members, or a name that stands twice; with file and line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; expected sets of sRNAs (.gmt).") from error
    except OSError as error:
        raise InputError(
            f"{path}: it cannot be read ({error.strerror or error}); expected sets of sRNAs (.gmt)."
        ) from error
    except UnicodeDecodeError as error:
        place = error.object[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {place}: found the byte 0x{error.object[error.start]:02x}, which is no UTF-8 text; {SHAPE}."
        ) from error
    lines_of: dict[str, int] = {}
    rows: list[tuple[str, str, str]] = []
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        if not line.strip():
            continue
        name, *rest = (field.strip() for field in line.split("\t"))
        members = list(dict.fromkeys(filter(None, rest[1:])))
        if "\0" in line:
            raise InputError(f"{path}, line {number}: found a zero byte, as in no text file; {SHAPE}.")
        if not name:
            raise InputError(f"{path}, line {number}: found no name in the first field; {SHAPE}.")
        if not members:
            found = f"{len(rest) + 1} field{'s' if rest else ''} ({_short(line)!r}) and no member"
            raise InputError(f"{path}, line {number}: found {found}; {SHAPE}.")
        if name in lines_of:
            raise InputError(
                f"{path}, line {number}: found the set {_short(name)!r} again, first in line {lines_of[name]};"
                " expected each name once."
            )
        lines_of[name] = number
        rows.extend((name, rest[0], member) for member in members)
    if not rows:
        raise InputError(f"{path}: found no set; {SHAPE}.")
    return rows


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
