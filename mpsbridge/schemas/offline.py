"""The answers of commands that need no host: ``parse``, ``render``, ``jea``, ``schema``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import JsonValue

from mpsbridge.models import scripts
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import State
from mpsbridge.parsing.messages import Trouble
from mpsbridge.parsing.quser import Tables
from mpsbridge.schemas.base import Document
from mpsbridge.schemas.published import Published, WithOptionalKeys

NOBODY = "nobody"
_KINDS = {Trouble.NOBODY_OR_NOT_PERMITTED: NOBODY, Trouble.RPC_UNAVAILABLE: "unreachable"}
"""Troubles that programs know by another word."""
_SENTENCES = {
    Trouble.NOBODY_OR_NOT_PERMITTED: "Windows says that nobody is on, or that this account may not look",
    Trouble.HEADER_ONLY: "a heading without any row",
    Trouble.DENIED: "access was denied",
    Trouble.RPC_UNAVAILABLE: "the host's RPC service was not reached",
    Trouble.SECURITY_PACKAGE: "the sign-in failed in a security package",
    Trouble.USAGE: "the usage text: the command was called wrongly",
    Trouble.OTHER: "an error of Windows",
}


class ParsedRow(WithOptionalKeys):
    """A line of a table, as printed, with its state in our words.

    ``table`` stands only where the text holds both kinds, ``block`` only where it holds one kind more than once.
    """

    optional_keys = frozenset({"table", "block"})

    username: str | None
    sessionname: str | None
    id: int
    state_raw: str
    state: State
    idle_raw: str | None
    logon_raw: str | None
    current: bool
    table: Literal["quser", "qwinsta"] | None = None
    block: int | None = None


def parsed_rows(tables: Tables) -> list[ParsedRow]:
    """The rows of a text, in its order."""
    kinds = {row.table for row in tables.rows}
    blocks = {(row.table, row.block) for row in tables.rows}
    return [
        ParsedRow(
            username=row.username,
            sessionname=row.sessionname,
            id=row.id,
            state_raw=row.state_raw,
            state=row.state,
            idle_raw=row.idle_raw,
            logon_raw=row.logon_raw,
            current=row.current,
            table=row.table if len(kinds) > 1 else None,
            block=row.block if len(blocks) > len(kinds) else None,
        )
        for row in tables.rows
    ]


class TroubleSaid(Published):
    """What stands in place of a table, or beside its rows; ``number`` is the error number of Windows, null without."""

    kind: str
    number: int | None
    text: str

    @classmethod
    def of_tables(cls, tables: Tables) -> Self | None:
        """What a text says went wrong, if it does."""
        if tables.trouble is None:
            return None
        kind = _KINDS.get(tables.trouble, tables.trouble.value)
        return cls(kind=kind, number=tables.number, text=_SENTENCES[tables.trouble])


class ParseDocument(Document):
    """The rows of a saved text. None are an answer only where ``trouble`` says ``nobody``."""

    rows: tuple[ParsedRow, ...]
    trouble: TroubleSaid | None

    @classmethod
    def of_tables(cls, tables: Tables) -> Self:
        """The answer of ``parse``."""
        return cls(command="parse", rows=tuple(parsed_rows(tables)), trouble=TroubleSaid.of_tables(tables))

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of what stands in every row."""
        names = self.rows[0].as_json() if self.rows else ParsedRow.model_fields.keys() - ParsedRow.optional_keys
        return tuple(name for name in ParsedRow.model_fields if name in names)

    @property
    def is_an_answer(self) -> bool:
        """Whether the text tells who is on: by rows, or by saying that nobody is."""
        return bool(self.rows) or (self.trouble is not None and self.trouble.kind == NOBODY)


class Script(Published):
    """A rendered snippet: the whole as ``text``, and its parts. The digests are SHA-256, in hexadecimal digits."""

    snippet: str
    effect: Effect
    header: str
    definitions: str
    call: str
    function: str
    parameters: dict[str, JsonValue]
    digest: str
    definitions_digest: str
    text: str


class RenderDocument(Document):
    """The very script that a host would get."""

    script: Script

    @classmethod
    def of_script(cls, script: scripts.Script) -> Self:
        """The answer of ``render``."""
        return cls(command="render", script=Script.of(script))


class JeaDocument(Document):
    """The files that were written, by their paths in the folder."""

    folder: str
    files: tuple[str, ...]


class SchemaDocument(Document):
    """The names of which there is a schema."""

    names: tuple[str, ...]
