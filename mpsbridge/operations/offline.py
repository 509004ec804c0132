"""What needs no host: read saved tables, render a script, write a JEA module."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from mpsbridge.errors import InputError
from mpsbridge.models.complaints import complaint
from mpsbridge.models.scripts import Script
from mpsbridge.parsing.quser import Tables, parse
from mpsbridge.parsing.text import decode
from mpsbridge.snippets.catalogue import CATALOGUE, snippet
from mpsbridge.snippets.jea import CONFIGURATION, TRANSCRIPTS, Role, export


def read_tables(raw: bytes, encoding: str | None = None) -> Tables:
    """The tables in saved output of ``query user`` or ``query session``; the encoding is detected where none is given.

    Raises ``InputError`` where the encoding does not fit, and ``ParseError``.
    """
    if encoding is None:
        return parse(decode(raw, oem=None, ansi=None).text)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"--encoding: byte {error.start} is not {encoding}") from error
    except (LookupError, ValueError) as error:
        words = f"--encoding: {encoding!r} is not known, or reads no text; for example cp850, cp1252, cp936, utf-8"
        raise InputError(words) from error
    return parse(text)


def snippet_names() -> tuple[str, ...]:
    """What :func:`render_script` can print."""
    return tuple(CATALOGUE)


def render_script(name: str, parameters: str) -> Script:
    """The script of a snippet as a host would get it, with parameters as JSON. Raises ``InputError``."""
    found = snippet(name)
    try:
        given = found.model_validate_json(parameters)
    except (ValidationError, InputError) as error:
        if isinstance(error, InputError):
            said = str(error).removeprefix(f"{found.__name__}: ")
        else:
            said = complaint(error.errors()[0])
        wanted = ", ".join(found.model_fields) or "none"
        raise InputError(f"--params: {said}", hint=f"Parameters of {name}: {wanted}.") from error
    return given.render()


class WrittenModule(NamedTuple):
    """The ``files`` of a JEA module that was written, by their paths in its folder; ``note`` says what they lack."""

    files: tuple[str, ...]
    note: str = ""


def write_jea(
    folder: Path,
    *,
    look: Iterable[str] = (),
    notify: Iterable[str] = (),
    end: Iterable[str] = (),
    transcripts: str | None = None,
) -> WrittenModule:
    """Write the module, its roles and the session configuration, with the mark that Windows reads UTF-8 by.

    ``look``, ``notify`` and ``end`` are the Windows groups that get each role. Raises ``InputError`` where a group is
    none of Windows, or the folder exists or cannot be written.
    """
    groups = {Role.LOOK: tuple(look), Role.NOTIFY: tuple(notify), Role.END: tuple(end)}
    files = export(groups, transcripts=TRANSCRIPTS if transcripts is None else transcripts)
    try:
        folder.mkdir(parents=True)
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8-sig")
    except FileExistsError as error:
        hint = "Name another folder, or remove this one first."
        raise InputError(f"{folder} exists already; nothing was written", hint=hint) from error
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}") from error
    lacks = f"No group was named (--look, --notify, --end): put yours into {CONFIGURATION}."
    return WrittenModule(tuple(files), "" if any(groups.values()) else lacks)
