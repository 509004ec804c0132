"""One line of a ``query user`` or ``query session`` table: header or row, field by field.

A row is read from its id outward. The id is the last number of its own after which a whole tail follows: in a *quser*
row ``state idle logon``, where the logon text must be a date and a time to the end of the line; in a *qwinsta* row
``state [type [device]]``. What stands before the id is cut where the header says so (the id column is right-aligned, so
it tells by how much a row is shifted), else at its wide gaps. No word has to be known, so no language has to be.

Rules: nothing is guessed. A line that cannot be read whole is ``None`` here and an error in
:mod:`mpsbridge.parsing.quser`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mpsbridge.models.sessions import State
from mpsbridge.parsing.cells import offsets
from mpsbridge.parsing.vocabulary import Kind, kind_of, state_of

LONGEST_LINE = 1000
"""Characters. No table of Windows comes near; longer lines are never rows."""

_MARKER = re.compile(r"( *)(?:>|&gt;)")
_NUMBER = re.compile(r"(?<![^ ])[0-9]{1,10}(?= )")
_ID_CELL = re.compile(r"(?<![^ ])I[Dd]\.?(?![^ ])")
_WIDE_GAP = re.compile(r" {2,}")
_SESSION_NAME = re.compile(r"console|services|[a-z0-9-]+#\d+|(?:rdp|ica)-[\w-]+|\S{8,}\.\.\.", re.IGNORECASE)
"""Session names are not translated (domain.md 3.3): those of RDP, Citrix and AVD, and long ones that were cut."""

_WORD = r"[^ \d.*:+>|][^ \d]*"
_STATE = rf"(?P<state>{_WORD}(?: {_WORD}){{0,2}}?)"
_IDLE = rf"(?P<idle>\.|\*|\d{{1,6}}(?:\+\d{{1,2}})?(?::\d\d)?|{_WORD}(?: {_WORD})??)"
_MARK = "[\u200e\u200f\u061c\u202a-\u202e]*"
_SEPARATOR = rf"{_MARK}(?:[./\-–年月] ?| ){_MARK}"
_MONTH = r"[^\W\d_]{3,}\.?"
_DATE = (
    rf"{_MARK}(?:\d{{1,4}}{_SEPARATOR}(?:\d{{1,2}}|{_MONTH}){_SEPARATOR}\d{{1,4}}"
    rf"|{_MONTH}{_SEPARATOR}\d{{1,2}},?{_SEPARATOR}\d{{4}})"
)
_TIME = r"\d{1,2}[^\d]{1,4}\d\d(?:[:.]\d\d)?[^\d\"|]{0,12}"
_LOGON = rf"(?P<logon>(?:(?<=  )[^ \d]+ ?)?{_DATE}[^\d]{{1,12}}{_TIME})"
"""A date of three parts, a time of two or three. A weekday or an era may stand before, AM/PM on either side."""

_QUSER_TAIL = re.compile(rf" +{_STATE}(?: +{_IDLE})? +{_LOGON}")
_QWINSTA_TAIL = re.compile(rf" +{_STATE}(?: +{_WORD}\d*){{0,2}}")


_LAYOUTS = frozenset({(23, 44), (19, 45), (27, 53)})
"""Second column and end of the id: query user, query session, and the wide one of newer Windows (corpus)."""


class Fields(NamedTuple):
    """The fields of a row, as printed."""

    user: str | None
    session: str | None
    id: int
    state_raw: str
    state: State
    idle: str | None
    logon: str | None
    current: bool


@dataclass(frozen=True)
class Columns:
    """Where the cells of a header stand, in display cells or in characters; ``id_end`` is ``None`` where not known."""

    second: int
    id_end: int | None


@dataclass(frozen=True)
class Header:
    """A header line. ``kind`` is ``None`` in a language not known; ``prefix`` is foreign text before every line."""

    kind: Kind | None
    prefix: str
    indented: bool
    by_cell: Columns
    by_character: Columns

    @property
    def certain(self) -> bool:
        """Whether this is a header of Windows even if no row follows: a known word, or columns of a known layout."""
        layouts = {(columns.second, columns.id_end) for columns in (self.by_cell, self.by_character)}
        return self.kind is not None or not layouts.isdisjoint(_LAYOUTS)


def read_header(line: str) -> Header | None:
    """The header in this line, or ``None``. One of an unknown language needs its ``ID`` cell between wide gaps."""
    if len(line) > LONGEST_LINE or "  " not in line.strip() or re.search(r"\d", line):
        return None
    prefix = _foreign_prefix(line)
    line = _inside(line, prefix)
    chunks = list(_chunks(line))
    if len(chunks) < 3:
        return None
    kind = kind_of(chunks[0][1])
    id_cell = _ID_CELL.search(line)
    if id_cell is None and kind is None:
        return None
    before = [start for start, _ in chunks if id_cell is None or start < id_cell.start()]
    if len(before) < 2 or (id_cell and not line[id_cell.end() :].strip()):
        return None
    id_end = id_cell.start() + 2 if id_cell else None  # "ID." in Spanish: the numbers end below the D
    cells = offsets(line)
    return Header(
        kind=kind,
        prefix=prefix,
        indented=line.startswith(" "),
        by_cell=Columns(cells[before[1]], None if id_end is None else cells[id_end]),
        by_character=Columns(before[1], id_end),
    )


def read_row(line: str, kind: Kind, header: Header | None) -> Fields | None:
    """The row in this line, or ``None`` where any part of it cannot be read.

    Without a header a *quser* row is still told by its date; a *qwinsta* row only by its state and session name.
    """
    if len(line) > LONGEST_LINE:
        return None
    if header:
        line = _inside(line, header.prefix)
    marker = _MARKER.match(line)
    if marker:
        line = f"{marker[1]} {line[marker.end() :]}"
    line = f"{line.rstrip()} "  # so that a bare id is still followed by a blank
    tail_pattern = _QUSER_TAIL if kind == "quser" else _QWINSTA_TAIL
    for number in reversed(list(_NUMBER.finditer(line))):
        tail = tail_pattern.fullmatch(line[number.end() :].rstrip())
        if tail is None:
            continue
        fields = _fields(line, number, tail, kind, header, current=marker is not None)
        if fields is not None:
            return fields
    return None


def _fields(
    line: str, number: re.Match[str], tail: re.Match[str], kind: Kind, header: Header | None, *, current: bool
) -> Fields | None:
    state_raw = tail["state"]
    if kind == "qwinsta":
        state_raw = _qwinsta_state(line[number.end() :])
    state = state_of(state_raw)
    columns, shift = _nearest(line, number, header)
    head = line[: number.start()]
    if kind == "quser":
        names: tuple[str | None, str | None] | None = _quser_names(head, columns, shift, header)
        idle, logon = tail["idle"], tail["logon"].strip()
    else:
        if state is State.UNKNOWN and (shift is None or abs(shift) > 3):
            return None
        names = _qwinsta_names(head, columns, shift, header)
        idle = logon = None
    if names is None or int(number[0]) > 0xFFFFFFFF:
        return None
    user, session = names
    return Fields(user, session, int(number[0]), state_raw, state, idle, logon, current)


def _qwinsta_state(tail: str) -> str:
    """The state word of a qwinsta tail: up to the next wide gap, or its first word where only that one is known."""
    state = _WIDE_GAP.split(tail.strip())[0]
    first = state.split(" ")[0]
    return first if state_of(state) is State.UNKNOWN and state_of(first) is not State.UNKNOWN else state


def _nearest(line: str, number: re.Match[str], header: Header | None) -> tuple[Columns | None, int | None]:
    """The columns of the header by cell or by character, whichever the id fits better, and how far the id is off."""
    if header is None:
        return None, None
    cells = offsets(line)
    fits = []
    for columns, end in ((header.by_cell, cells[number.end()]), (header.by_character, number.end())):
        if columns.id_end is None:
            return columns, None
        fits.append((columns, end - columns.id_end))
    return min(fits, key=lambda fit: abs(fit[1]))


def _cut(head: str, columns: Columns | None, shift: int | None, header: Header | None) -> tuple[str, str] | None:
    """The text before the id, cut at the header's second column; ``None`` where that would cut through a word."""
    if columns is None or header is None or (shift is not None and abs(shift) > 3):
        return None
    at = columns.second + (shift or 0)
    places = offsets(head) if columns is header.by_cell else range(len(head) + 1)
    index = next((index for index, place in enumerate(places) if place >= at), len(head))
    left, right = head[:index], head[index:]
    touching = left[-1:].strip() and right[:1].strip()
    if touching and (shift or _WIDE_GAP.search(left.strip()) or not _SESSION_NAME.fullmatch(right.strip())):
        return None
    return left.strip(" "), right.strip(" ")


def _quser_names(
    head: str, columns: Columns | None, shift: int | None, header: Header | None
) -> tuple[str, str | None] | None:
    chunks = [text for _, text in _chunks(head)]
    if not chunks:
        return None
    certain = len(chunks) == 1 or (len(chunks) == 2 and _SESSION_NAME.fullmatch(chunks[1]))
    cut = None if shift and certain else _cut(head, columns, shift, header)
    if cut and cut[0] and not _WIDE_GAP.search(cut[1]):
        return cut[0], cut[1] or None
    user, last = "  ".join(chunks[:-1]), chunks[-1]
    if user:
        return (user, last) if len(chunks) == 2 or _SESSION_NAME.fullmatch(last) else None
    name, _, word = last.rpartition(" ")
    return (name, word) if name and _SESSION_NAME.fullmatch(word) else (last, None)


def _qwinsta_names(
    head: str, columns: Columns | None, shift: int | None, header: Header | None
) -> tuple[str | None, str | None] | None:
    chunks = list(_chunks(head))
    if header is None:
        return _qwinsta_names_without_header(chunks)
    cut = _cut(head, columns, shift, header)
    if cut and not _WIDE_GAP.search(cut[0]):
        return cut[1] or None, cut[0] or None
    if not chunks:
        return None, None
    start, first = chunks[0]
    if len(chunks) > 1:
        return "  ".join(text for _, text in chunks[1:]), first
    if _SESSION_NAME.fullmatch(first) or columns is None:
        return None, first
    return (first, None) if start * 2 > columns.second else (None, first)


def _qwinsta_names_without_header(chunks: list[tuple[int, str]]) -> tuple[str | None, str | None] | None:
    """The names of a row that no header explains: a known form of session name, or a user far to the right."""
    if not chunks:
        return None
    start, first = chunks[0]
    if _SESSION_NAME.fullmatch(first):
        return "  ".join(text for _, text in chunks[1:]) or None, first
    return (first, None) if len(chunks) == 1 and start >= 16 else None


def _chunks(line: str) -> Iterator[tuple[int, str]]:
    """Where each text between wide gaps begins, and the text."""
    for chunk in re.finditer(r"[^ ]+(?: [^ ]+)*", line):
        yield chunk.start(), chunk[0]


def _inside(line: str, prefix: str) -> str:
    """The line without the foreign prefix of its table, and without the quote or bar at its end that belongs to it."""
    if not prefix or not line.startswith(prefix):
        return line
    inner = line[len(prefix) :]
    if prefix[-1] in "\"'|":
        inner = inner.rstrip(" ").removesuffix(",").removesuffix(prefix[-1])
    return inner


def _foreign_prefix(line: str) -> str:
    """What a quotation or a comment put before the header, such as ``// `` or ``rem ``: up to a known first cell."""
    for start in (match.start() for match in re.finditer(r"(?<![^ ])[^ ]", line[:12])):
        cell = next(_chunks(line[start:]))[1]
        if kind_of(cell):
            return line[:start].rstrip(" ")
    return ""
