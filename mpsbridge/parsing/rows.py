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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mpsbridge.models.bounds import LINE_LIMIT, TAIL_LIMIT
from mpsbridge.models.sessions import State
from mpsbridge.parsing.cells import offsets
from mpsbridge.parsing.vocabulary import Kind, ends_as_header, is_cut, kind_of, state_of

_HIGHEST_ID = 0xFFFFFFFF
_NEAR = 3
"""Cells that a row may be off its header and still be cut by it: a lost blank, a marker that was escaped."""
_FAR_RIGHT = 16
"""A lone name that begins here or behind is a user, not a session."""

_MARKER = re.compile(r"( *)(?:>|&gt;)")
_NUMBER = re.compile(r"(?<![^ ])[0-9]{1,10}(?= )")
_NO_HEADER = re.compile(r"[\"|:;<>=\[\]{}#*/\\│║┃]|^[^\w?]")
_NAME_START = re.compile(r" [^ ]")
_DIGIT = re.compile(r"\d")
_ID_CELL = re.compile(r"(?<![^ ])I[Dd]\.?(?![^ ])")
_WIDE_GAP = re.compile(r" {2,}")
_NO_NAME = re.compile(r"[\x00-\x1f\":;=|│║┃\[\]]|^[^<]*>|^\\|\\x[0-9a-fA-F]{2}|\\[^\\]*\\|_x000| {3}")
"""What no user name of Windows can hold: so the line carries something foreign, and reading it would invent a name."""
_MARKED = re.compile(r"[\d#*/;.~!–•-]++ |\s")
"""Numbers and marks of lists and comments before a blank, or another blank than that of Windows, before a name."""
_SESSION_NAME = re.compile(r"console|services|[a-z0-9-]+#\d+|(?:rdp|ica)-[\w-]+|\S{8,}\.\.\.", re.IGNORECASE)
"""Session names are not translated: those of RDP, Citrix and AVD, and long ones that were cut."""

_BARS = "|│║┃"
_WORD = rf"[^ \d.*:+>\"<>{{}}\\{_BARS}][^ \d\"`$<>{{}}\\]*+"
_STATE = rf"(?P<state>{_WORD}(?: {_WORD}){{0,2}}?)"
_IDLE = rf"(?P<idle>\.|\*|\d{{1,6}}+(?:\+\d{{1,2}})?(?::\d\d)?|{_WORD}(?: {_WORD})??)"
_MARK = "[\u200e\u200f\u061c\u202a-\u202e]*+"
_SEPARATOR = rf"{_MARK}(?:[./\-–年月] ?| ){_MARK}"
_MONTH = r"[^\W\d_]{3,}+\.?+"
_DATE = (
    rf"{_MARK}(?:\d{{1,4}}{_SEPARATOR}(?:\d{{1,2}}|{_MONTH}){_SEPARATOR}\d{{1,4}}"
    rf"|{_MONTH}{_SEPARATOR}\d{{1,2}},?{_SEPARATOR}\d{{4}}|\d{{6,8}})"
)
_NO_TIME = rf"\d\"'`<>(){{}}\[\]#=;*\\/~,!$^%&@_+\x00-\x1f\u2190-\u21ff{_BARS}"
_TIME = rf"\d{{1,2}}(?:[^\d]{{1,4}}\d\d(?:[:.]\d\d)?|\d\d)[^{_NO_TIME}]{{0,12}}"
_LOGON = rf"(?P<logon>(?:(?<=  )[^ \d{_BARS}]++ ?)?{_DATE}[^\d{_BARS}]{{1,12}}{_TIME})"
"""A date of three parts, which may have nothing between them; a time of two or three. A weekday or an era may stand
before, AM/PM on either side.
"""

_GAP = "(?<! ) ++"
_QUSER_TAIL = re.compile(rf"{_GAP}{_STATE}(?:{_GAP}{_IDLE})?{_GAP}{_LOGON}")
_QWINSTA_TAIL = re.compile(rf"{_GAP}{_STATE}(?:{_GAP}{_WORD}\d*+){{0,2}}")


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
    shift: int | None
    """Cells that the row lies off its header, by the id; ``None`` where the header has no known id column."""
    off: int
    """Cells that the user then begins off the header's first column."""


@dataclass(frozen=True)
class Columns:
    """Where the cells of a header stand, in display cells or in characters; ``id_end`` is ``None`` where not known."""

    second: int
    id_end: int | None


@dataclass(frozen=True)
class Header:
    """A header line. ``kind`` is ``None`` in a language not known; ``first`` is where its first cell begins."""

    kind: Kind | None
    first: int
    by_cell: Columns
    by_character: Columns

    @property
    def certain(self) -> bool:
        """Whether this is a header of Windows even if no row follows: a known word, or columns of a known layout."""
        layouts = {(columns.second, columns.id_end) for columns in (self.by_cell, self.by_character)}
        return self.kind is not None or not layouts.isdisjoint(_LAYOUTS)


def read_header(line: str) -> Header | None:
    """The header in this line, or ``None``. One of an unknown language needs its ``ID`` cell, or a known layout."""
    if len(line) > LINE_LIMIT or "  " not in line.strip() or _DIGIT.search(line[-20:]):
        return None
    chunks = list(_chunks(line))
    if len(chunks) < 3 or _DIGIT.search(line):
        return None
    kind = kind_of(chunks[0][1])
    cells = offsets(line)
    id_cell = _id_cell(line, chunks, cells)
    if id_cell is None and kind is None:
        return None
    before = [start for start, _ in chunks if id_cell is None or start < id_cell[0]]
    if kind is None and (len(before) > 2 or ends_as_header(chunks[0][1]) or _NO_HEADER.search(chunks[0][1])):
        return None  # something else stands before the table, which would be taken for the user
    if len(before) < 2 or (id_cell and not line[id_cell[1] :].strip(" .")):
        return None
    id_end = id_cell[1] if id_cell else None
    return Header(
        kind=kind,
        first=chunks[0][0],
        by_cell=Columns(cells[before[1]], None if id_end is None else cells[id_end]),
        by_character=Columns(before[1], id_end),
    )


def _id_cell(line: str, chunks: Sequence[tuple[int, str]], cells: Sequence[int]) -> tuple[int, int] | None:
    """Where the header of the id begins and ends: by its name, or as the third cell of a layout that Windows prints."""
    if named := _ID_CELL.search(line):
        return named.start(), named.start() + 2  # "ID." in Spanish: the numbers end below the D
    start, text = chunks[2]
    end = start + len(text)
    second = chunks[1][0]
    known = {(second, end), (cells[second], cells[end])}
    return None if known.isdisjoint(_LAYOUTS) else (start, end)


def read_row(line: str, kind: Kind, header: Header | None) -> Fields | None:
    """The row in this line, or ``None`` where any part of it cannot be read.

    Without a header a *quser* row is still told by its date; a *qwinsta* row only by its state and session name.
    """
    if len(line) > LINE_LIMIT:
        return None
    marker = _MARKER.match(line)
    if marker:
        line = f"{marker[1]} {line[marker.end() :]}"
    line = line.rstrip()
    tails = _QUSER_TAIL if kind == "quser" else _QWINSTA_TAIL
    for number in reversed(list(_NUMBER.finditer(line))):
        if len(line) - number.end() > TAIL_LIMIT:
            return None
        tail = tails.fullmatch(line[number.end() :])
        fields = tail and _fields(_head(line, number, header), tail, kind, current=marker is not None)
        if fields:
            return fields
    return None


class _Head(NamedTuple):
    """What stands before the id of a row, and how that lies under the header."""

    text: str
    id: int
    after_gap: bool
    """Whether a wide gap stands before the id, as in every layout of Windows."""
    header: bool
    first: int | None
    """The character at which the first column begins, where it is known."""
    second: int | None
    """The character at which the header's second column begins, where the header has a say."""
    shift: int | None
    """Cells that the id is off its column; ``None`` where that is not known."""


def _head(line: str, number: re.Match[str], header: Header | None) -> _Head:
    """Lay the row under the header: by cell or by character, whichever the id fits better."""
    text = line[: number.start()]
    second = shift = None
    if header:
        places: Sequence[int] = offsets(line)
        columns = header.by_cell
        if columns.id_end is not None:
            shift = places[number.end()] - columns.id_end
            by_character = number.end() - (header.by_character.id_end or 0)
            if abs(by_character) < abs(shift):
                places, columns, shift = range(len(line)), header.by_character, by_character
        if abs(shift or 0) <= _NEAR:
            at = columns.second + (shift or 0)
            second = next((index for index in range(len(text)) if places[index] >= at), len(text))
    first = None if header is None else header.first + (shift or 0)
    return _Head(text, int(number[0]), text.endswith("  "), header is not None, first, second, shift)


def _fields(head: _Head, tail: re.Match[str], kind: Kind, *, current: bool) -> Fields | None:
    state_raw = tail["state"] if kind == "quser" else _qwinsta_state(tail[0])
    state = state_of(state_raw)
    near = head.header if head.shift is None else abs(head.shift) <= _NEAR
    if not (near or head.after_gap or (kind == "quser" and not head.header)) or head.id > _HIGHEST_ID:
        return None
    cut = kind == "qwinsta" and tail[0].endswith(state_raw) and is_cut(state_raw)
    if kind == "qwinsta" and state is State.UNKNOWN and (cut or not near):
        return None
    start = len(head.text) - len(head.text.lstrip(" "))
    if head.first is None or start < head.first:
        # Something may stand before the rows that does not stand before the header: a known mark, or what would fit.
        fits = head.first is not None and _NAME_START.match(head.text, head.first - 1)
        if fits or _MARKED.match(head.text, start):
            return None
    names = _quser_names(head, state) if kind == "quser" else _qwinsta_names(head)
    if names is None or any(name and _NO_NAME.search(name) for name in names):
        return None
    off = 0 if kind == "qwinsta" or head.first is None else start - head.first
    idle, logon = (tail["idle"], tail["logon"].strip()) if kind == "quser" else (None, None)
    return Fields(names[0], names[1], head.id, state_raw, state, idle, logon, current, head.shift, off)


def _qwinsta_state(tail: str) -> str:
    """The state word of a qwinsta tail: up to the next wide gap, or its first word where only that one is known."""
    state = _WIDE_GAP.split(tail.strip())[0]
    first = state.split(" ")[0]
    return first if state_of(state) is State.UNKNOWN and state_of(first) is not State.UNKNOWN else state


def _cut(head: _Head) -> tuple[str, str] | None:
    """The text before the id, cut at the header's second column; ``None`` where that would cut through a word."""
    if head.second is None:
        return None
    left, right = head.text[: head.second], head.text[head.second :]
    touching = left[-1:].strip() and right[:1].strip()
    if touching and (head.shift or _WIDE_GAP.search(left.strip()) or not _SESSION_NAME.fullmatch(right.strip())):
        return None
    return left.strip(" "), right.strip(" ")


def _quser_names(head: _Head, state: State) -> tuple[str | None, str | None] | None:
    """User and session. Names with two blanks inside, and unusual names of sessions, are only told by the header."""
    placed = list(_chunks(head.text))
    if not placed or (head.second is not None and placed[0][0] >= head.second):
        return None  # nobody stands in the user's column
    chunks = [text for _, text in placed]
    plain = len(chunks) == 1 or (len(chunks) == 2 and _SESSION_NAME.fullmatch(chunks[1]))
    cut = None if head.shift and plain else _cut(head)
    if cut and cut[0] and not _WIDE_GAP.search(cut[1]):
        return cut[0], cut[1] or None
    if len(chunks) > 1:
        return (chunks[0], chunks[1]) if plain or (len(chunks) == 2 and head.second is not None) else None
    name, _, word = chunks[0].rpartition(" ")
    if not name or not _SESSION_NAME.fullmatch(word):
        return chunks[0], None
    if state is State.DISCONNECTED and head.second is None:
        return None  # a user who is called so, or a session that kept its name
    return name, word


def _qwinsta_names(head: _Head) -> tuple[str | None, str | None] | None:
    """User and session, of which either or both may be blank."""
    cut = _cut(head)
    if cut and not _WIDE_GAP.search(cut[0]):
        return cut[1] or None, cut[0] or None
    chunks = list(_chunks(head.text))
    if not chunks or len(chunks) > 2:
        return None
    start, first = chunks[0]
    known = _SESSION_NAME.fullmatch(first) is not None
    if len(chunks) == 2:
        return (chunks[1][1], first) if known or head.header else None
    if known:
        return None, first
    return (first, None) if start >= _FAR_RIGHT else None


def _chunks(line: str) -> Iterator[tuple[int, str]]:
    """Where each text between wide gaps begins, and the text."""
    for chunk in re.finditer(r"[^ ]+(?: [^ ]+)*", line):
        yield chunk.start(), chunk[0]
