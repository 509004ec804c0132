"""The guard, as the scripts on a host apply it: on the very bytes of a fresh table, without decoding (W31).

A session is acted on only if exactly one row has the user's bytes, the logon time's bytes and the id, and the birth is
the one that was seen. Everything else gets a result that says why not; only a birth proves that somebody else is there
now, and text alone never proves that anybody is gone (W5).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_BETWEEN = re.compile(r" +(?:(?P<name>[^ ]*[^ 0-9][^ ]*) +)?(?P<id>[0-9]{1,5}) +(?P<state>[^ ].*)", re.DOTALL)
"""What stands between user and logon time: at most a session name, the id as the first field of digits, the state."""

_TIME = re.compile(
    r"(?!0000)[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]\.[0-9]{6}\+000"
)
"""A lease's end that can be compared; one that is not a time is never over (W22)."""

Standing = tuple[str, str]
"""A result (``same`` where the session may be acted on) and why."""


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
        """From one entry of the JSON that a call carries. Raises ``KeyError``, ``TypeError`` or ``ValueError``."""
        guard = cls(int(raw["id"]), raw.get("born"), str(raw["user"]), str(raw["logon"]), str(raw["state"]))
        if not 0 < guard.id <= 65535 or not (guard.user and guard.logon and guard.state):
            raise ValueError("the list of sessions is not sound")
        return guard


@dataclass(frozen=True, slots=True)
class Match:
    """A row that is this session: whether it carries the caller's marker, its session name (none where it is
    disconnected), and what follows the id.
    """

    own: bool
    session_name: str | None
    state: str


@dataclass(frozen=True, slots=True)
class Look:
    """A fresh look: the lines of the table, the births that could be read, and where processes run."""

    lines: tuple[str, ...]
    births: dict[int, str]
    processes: frozenset[int]
    own_session: int


def lines_of(table: bytes) -> tuple[str, ...]:
    """The lines of a table, each byte as one character."""
    lines = (line.rstrip("\r ") for line in table.decode("latin-1").split("\n"))
    return tuple(line for line in lines if line)


def matches(guard: Guard, look: Look) -> list[Match]:
    """The rows that are this session and no other (one, or the guard refuses)."""
    found = []
    for line in look.lines:
        row = line.lstrip("> ")
        if not (row.startswith(guard.user) and row.endswith(f" {guard.logon}")):
            continue
        between = row[len(guard.user) : len(row) - len(guard.logon)]
        # A name that fills its 20 cells is followed by its column's end, any other by a gap of two blanks.
        gap = " " if len(guard.user) >= 20 else "  "
        parts = _BETWEEN.fullmatch(between)
        if parts is not None and between.startswith(gap) and int(parts["id"]) == guard.id:
            found.append(Match(own=line.startswith(">"), session_name=parts["name"], state=parts["state"]))
    return found


def standing(guard: Guard, look: Look, *, rowless: bool = False) -> Standing:
    """Who is in the session now, compared with whom the caller saw; ``rowless`` acts may do without a row."""
    rows = matches(guard, look)
    born = look.births.get(guard.id)
    if not rows:
        return _absence(guard, look, rowless=rowless)
    if len(rows) > 1:
        return "refused", "more than one row of the table fits"
    if rows[0].own or guard.id == look.own_session:
        return "refused", "it is the caller's own session"
    if guard.born is not None and born is None:
        return "unknown", "when it began cannot be read now, so nothing was done"
    if guard.born is not None and born != guard.born:
        return "changed", "another session of this user has this number now"
    return "same", ""


def _absence(guard: Guard, look: Look, *, rowless: bool) -> Standing:
    born = look.births.get(guard.id)
    if guard.born is not None and born is not None and born != guard.born:
        return "changed", "another session has this number now"
    births_say_gone = guard.born is not None and bool(look.births) and born is None
    # Any field of that number counts as "listed", for whomever, so that "not listed" is sure.
    listed = any(str(guard.id) in line.split(" ") for line in look.lines)
    if rowless and guard.born is not None and born == guard.born and guard.id != look.own_session and not listed:
        return "same", ""
    if listed and not births_say_gone:
        return "unknown", "the number is listed, but not as this session was seen"
    if guard.id in look.processes:
        return "unknown", "it is not listed any more, but processes of it still run"
    return "gone", ""


def objection(now: str, not_after: str, run: str, lease: str | None, demand: str) -> Standing | None:
    """Why nothing may be done on this host any more (W4), or ``None``. Times are CIM datetimes.

    ``demand`` of the lease: ``any``, ``free`` (nobody else holds the host) or ``held`` (this run does).
    """
    if now > not_after:
        return "expired", f"it is {now}, and this was meant to be done by {not_after}"
    lost = ("refused", "this run does not hold the host any more, so nothing was done") if demand == "held" else None
    if demand == "any" or lease is None:
        return lost
    try:
        held = json.loads(lease)
    except ValueError:
        held = None
    held = held if isinstance(held, dict) else {}
    owner = " ".join(str(held[key]) for key in ("owner", "run") if held.get(key))
    if not owner:
        return "refused", "the lease on this host cannot be read; look at it, then release it"
    if held.get("run") == run:
        return lost if held.get("ending") else None
    expires = str(held.get("expires", ""))
    if _TIME.fullmatch(expires) and now > expires:
        return lost
    return "refused", f"the host is leased to {owner}"
