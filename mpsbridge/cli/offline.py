"""Commands that need no host: read saved text, show what would be sent, write a JEA module, print a schema."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mpsbridge.cli.call import Call
from mpsbridge.errors import InputError, ParseError
from mpsbridge.files import read_bytes
from mpsbridge.models.harmless import json_text
from mpsbridge.operations.offline import read_tables, render_script, write_jea
from mpsbridge.schemas.catalogue import NAMES, json_schema
from mpsbridge.schemas.offline import JeaDocument, ParseDocument, ParsedRow, RenderDocument, SchemaDocument
from mpsbridge.settings import Output

SAVED_LIMIT = 64 * 1024 * 1024
"""Bytes of saved text that are read."""


def parse(call: Call, file: str, encoding: str | None) -> int:
    """``parse``: rows of a saved table; 1 where the text tells neither of a session nor that nobody is on."""
    try:
        told = ParseDocument.of_tables(read_tables(_bytes_of(file), encoding))
    except ParseError as error:
        if call.settings.output is Output.JSON:
            raise
        place = f"line {error.line}: " if error.line else ""
        raise ParseError(f"{place}{error.message}", line=error.line, excerpt=error.excerpt, hint=error.hint) from error
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
    elif told.rows:
        columns = ("USER", "SESSION", "ID", "STATE", "IDLE", "LOGON", "")
        call.terminal.table(columns, [_cells(row) for row in told.rows])
    else:
        call.terminal.say("no rows")
    return 0 if told.is_an_answer else 1


def _cells(row: ParsedRow) -> tuple[object, ...]:
    current = "current" if row.current else ""
    return row.username, row.sessionname, row.id, row.state, row.idle_raw, row.logon_raw, current


def _bytes_of(file: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(SAVED_LIMIT)
        return read_bytes(Path(file), SAVED_LIMIT)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error


def render(call: Call, name: str, params: str) -> int:
    """``render``: the script as text, or with ``--output json`` in its parts."""
    text = _bytes_of(params[1:]).decode("utf-8", "replace") if params.startswith("@") else params
    script = render_script(name, text)
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
    """``jea``: write the module, and list its files."""
    written = write_jea(folder, look=look or (), notify=notify or (), end=end or (), transcripts=transcripts)
    if written.note:
        call.terminal.note(written.note)
    if call.settings.output is Output.JSON:
        document = JeaDocument(command=call.command, folder=str(folder), files=written.files)
        call.terminal.document(document.as_json())
    else:
        call.terminal.raw("".join(f"{folder / name}\n" for name in written.files))
    return 0


def schema(call: Call, name: str | None) -> int:
    """``schema``: the JSON Schema of that name, or all names."""
    if name is not None:
        call.terminal.raw(json_text(json_schema(name), indent=2) + "\n")
    elif call.settings.output is Output.JSON:
        call.terminal.document(SchemaDocument(command=call.command, names=NAMES).as_json())
    else:
        call.terminal.raw("".join(f"{each}\n" for each in NAMES))
    return 0
