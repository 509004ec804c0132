"""Commands that need no host: read saved text, show what would be sent, and write a JEA module."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from mpsbridge.cli.call import Call
from mpsbridge.errors import InputError, ParseError
from mpsbridge.models.complaints import complaint
from mpsbridge.parsing.quser import parse as parse_tables
from mpsbridge.parsing.text import decode
from mpsbridge.schemas.offline import JeaDocument, ParseDocument, ParsedRow, RenderDocument
from mpsbridge.settings import Output
from mpsbridge.snippets.catalogue import snippet
from mpsbridge.snippets.jea import CONFIGURATION, TRANSCRIPTS, Role, export

SAVED_LIMIT = 64 * 1024 * 1024
"""Bytes of saved text that are read."""


def parse(call: Call, file: str, encoding: str | None) -> int:
    """``parse``: rows of a saved table; 1 where the text tells neither of a session nor that nobody is on."""
    text = _decoded(_bytes_of(file), encoding)
    try:
        tables = parse_tables(text)
    except ParseError as error:
        if call.settings.output is Output.JSON:
            raise
        place = f"line {error.line}: " if error.line else ""
        raise ParseError(f"{place}{error.message}", line=error.line, excerpt=error.excerpt, hint=error.hint) from error
    told = ParseDocument.of_tables(tables)
    if told.trouble is not None:
        number = f" (error {told.trouble.number})" if told.trouble.number is not None else ""
        call.terminal.note(f"{told.trouble.text}{number}")
    if call.settings.output is Output.JSON:
        call.terminal.document(told.as_json())
    elif call.settings.output is Output.JSONL:
        for row in told.rows:
            call.terminal.line(row.as_json())
    elif call.settings.output is Output.CSV:
        call.terminal.csv([row.as_json() for row in told.rows], fields=told.fields)
    else:
        _show_rows(call, told.rows)
    return 0 if told.is_an_answer else 1


def _show_rows(call: Call, rows: Sequence[ParsedRow]) -> None:
    if not rows:
        call.terminal.say("no rows")
        return
    columns = ("USER", "SESSION", "ID", "STATE", "IDLE", "LOGON", "")
    call.terminal.table(
        columns,
        [
            (
                row.username,
                row.sessionname,
                row.id,
                row.state,
                row.idle_raw,
                row.logon_raw,
                "current" if row.current else "",
            )
            for row in rows
        ],
    )


def _bytes_of(file: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(SAVED_LIMIT)
        with Path(file).open("rb") as stream:
            return stream.read(SAVED_LIMIT)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error


def _decoded(raw: bytes, encoding: str | None) -> str:
    if encoding is None:
        return decode(raw, oem=None, ansi=None).text
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"--encoding: byte {error.start} is not {encoding}") from error
    except (LookupError, ValueError) as error:
        words = f"--encoding: {encoding!r} is not known, or reads no text; for example cp850, cp1252, cp936, utf-8"
        raise InputError(words) from error


def render(call: Call, name: str, params: str) -> int:
    """``render``: the script as text, or with ``--output json`` in its parts."""
    found = snippet(name)
    text = _bytes_of(params[1:]).decode("utf-8", "replace") if params.startswith("@") else params
    try:
        parameters = found.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        place = "".join(f"{part}: " for part in problem["loc"])
        wanted = ", ".join(found.model_fields) or "none"
        raise InputError(f"--params: {place}{complaint(problem)}", hint=f"Parameters of {name}: {wanted}.") from error
    script = parameters.render()
    if call.settings.output is Output.JSON:
        call.terminal.document(RenderDocument.of_script(script).as_json())
    else:
        call.terminal.raw(script.text)
    return 0


def jea(
    call: Call,
    folder: Path,
    *,
    look: Sequence[str] | None,
    notify: Sequence[str] | None,
    end: Sequence[str] | None,
    transcripts: str | None,
) -> int:
    """``jea``: write the module, its roles and the session configuration, with the mark that Windows reads UTF-8 by."""
    groups = {Role.LOOK: look or (), Role.NOTIFY: notify or (), Role.END: end or ()}
    files = export(groups, transcripts=TRANSCRIPTS if transcripts is None else transcripts)
    try:
        folder.mkdir(parents=True)
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8-sig")
    except FileExistsError as error:
        raise InputError(f"{folder} exists already; nothing was written") from error
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}") from error
    if not any(groups.values()):
        call.terminal.note(f"No group was named (--look, --notify, --end): put yours into {CONFIGURATION}.")
    if call.settings.output is Output.JSON:
        call.terminal.document(JeaDocument(command=call.command, folder=str(folder), files=tuple(files)).as_json())
    else:
        call.terminal.raw("".join(f"{folder / name}\n" for name in files))
    return 0
