"""The guard, as the scripts on a host apply it: on the very bytes of a fresh table, without decoding (W31).

A session is acted on only if exactly one row has the user's bytes, the logon time's bytes and the id, and the birth is
the one that was seen. Everything else says why not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_ROW = re.compile(r"(?P<user>\S(?:.{0,19}?))(?=\s{2})\s(?P<rest>.*)")


@dataclass(frozen=True, slots=True)
class Guard:
    """What the caller knows about a session: ``user``, ``logon`` and ``state`` are bytes as Latin-1 text."""

    id: int
    born: str | None
    user: str
    logon: str
    state: str

    @classmethod
    def of(cls, raw: dict[str, Any]) -> Guard:
        """From one entry of the JSON that a call carries. Raises ``KeyError`` or ``TypeError`` on anything else."""
        return cls(
            id=int(raw["id"]),
            born=raw.get("born"),
            user=str(raw["user"]),
            logon=str(raw["logon"]),
            state=str(raw["state"]),
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what the guard needs of it."""

    text: str
    user: str
    id: int
    state: str
    own: bool


@dataclass(frozen=True, slots=True)
class Sight:
    """A fresh look: the rows, the birth of each session where it could be read, and where processes run."""

    rows: tuple[Row, ...]
    births: dict[int, str]
    processes: frozenset[int]
    own_session: int


def rows_of(table: bytes) -> tuple[Row, ...]:
    """The rows of a table of users, as Latin-1 text: the id is the first all-digit field after the user name."""
    rows = []
    for line in table.decode("latin-1").splitlines():
        own, text = line.startswith(">"), line.lstrip("> ").rstrip()
        found = _ROW.match(text + "  ")
        fields = found["rest"].split() if found else []
        place = next((index for index, field in enumerate(fields[:2]) if field.isdigit()), None)
        if found is not None and place is not None and len(fields) > place + 1:
            rows.append(Row(text, found["user"], int(fields[place]), fields[place + 1], own))
    return tuple(rows)


def judge(guard: Guard, sight: Sight) -> tuple[str, str] | None:
    """``None`` where the session may be acted on, else the result and why."""
    if guard.id in {0, sight.own_session} or any(row.own and row.id == guard.id for row in sight.rows):
        return "refused", "session 0 and the caller's own session are never acted on"
    listed = [row for row in sight.rows if row.id == guard.id]
    matching = [row for row in listed if _matches(row, guard)]
    if len(matching) > 1:
        return "refused", f"{len(matching)} rows match"
    born = sight.births.get(guard.id)
    if not matching:
        return _judge_stranger(guard, born, listed=bool(listed), alive=guard.id in sight.processes)
    if guard.born is not None and born is None:
        return "unknown", "the birth of the session can no longer be read"
    if guard.born is not None and born != guard.born:
        return "changed", f"session {guard.id} was born at {born}"
    return None


def still_there(guard: Guard, sight: Sight) -> bool:
    """Whether the very session is still listed: its row, and not with another birth (its seat may be taken anew)."""
    born = sight.births.get(guard.id)
    reborn = guard.born is not None and born is not None and born != guard.born
    return not reborn and any(row.id == guard.id and _matches(row, guard) for row in sight.rows)


def _judge_stranger(guard: Guard, born: str | None, *, listed: bool, alive: bool) -> tuple[str, str]:
    if not listed:
        return ("unknown", "the row is gone, processes are still there") if alive else ("gone", "")
    if guard.born is None or born is None:
        return "unknown", "the row reads otherwise, and its birth cannot be read"
    if born != guard.born:
        return "changed", f"session {guard.id} was born at {born}"
    return "refused", "the row reads otherwise than before"


def _matches(row: Row, guard: Guard) -> bool:
    return row.user == guard.user and row.text.endswith(f" {guard.logon}")
