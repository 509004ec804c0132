"""What stands around every line of a saved table: time stamps, numbers, marks of quotes and comments, frames, labels.

A log, a mail or a web page carries a table by putting something before each of its lines, and sometimes behind. What it
is, the header tells: whatever stands before its first cell. How it goes on, the first row tells: the same again but for
its numbers, a column of its own, or nothing more (a label). Of these the one counts by which the row lies under the
header. It is taken off before the table is read.

Rules: only this is taken off, and from a whole line or not at all; a line without it is none of the table's. Where no
way fits, the line stays as it is, and is read as that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol

from mpsbridge.models.bounds import LINE_LIMIT
from mpsbridge.parsing.rows import Header, read_header, read_row
from mpsbridge.parsing.vocabulary import header_starts

BARE, APART = 0, -1
"""Carriers of a line: none, and one that holds no line of any table (code around a string)."""
_DIGIT = re.compile(r"\d")
_LONGEST = 300
"""Characters before a table's own; a log names job, step and time."""
_WINDOW = 12
"""Lines below a header among which its first row is looked for."""
_TRIES = 8
_LONGEST_TAG = 12
_MARKS_AT_END = re.compile(r"(?<![^\w\"'])[^\w\"']+$")
_MARK_AT_END = re.compile(r"([^\w ])(?<!\1\1)\1*$")
_PART = re.compile(r"[0-9]+|\s+|(?<![0-9])[^\W\d_][\w-]*|.")
"""A number, blanks, a word (``host1`` is one, and is another than ``host2``), any other character."""
_MATES = {"(": ")", "[": "]", "{": "}", "“": "”", "«": "»", "‘": "’"} | {mark: mark for mark in "\"'`|│║┃*#/"}


class Line(NamedTuple):
    """A line to be read, its number in the text, and by what it was carried: lines of one table have the same."""

    number: int
    text: str
    carrier: int = BARE


class _Carrier(Protocol):
    """A way in which a table can be carried."""

    def inside(self, line: Line) -> str | None:
        """The line without what stands before it; ``None`` where that is not there."""


class _Repeated:
    """The same before every line, but for its numbers. A number alone must count the lines."""

    def __init__(self, before: str, number: int, gap: int, *, whole: bool) -> None:
        self.whole = whole  # all that stands before the header, and not only its last marks
        self.shape = [_kind_of_part(part) for part in _PART.findall(before.strip())]
        self.counts = self.shape == ["0"]
        self.first = number - int(before) if self.counts else 0
        self.gap = gap  # blanks that separate it from the table, which has one of its own

    def inside(self, line: Line) -> str | None:
        text = line.text[: _LONGEST * 2]
        start = place = len(text) - len(text.lstrip())
        for kind in self.shape:
            part = _PART.match(text, place)
            if part is None or _kind_of_part(part[0]) != kind:
                return None
            place = part.end()
        if self.counts and line.number - int(text[start:place]) != self.first:
            return None
        rest = line.text[place:]
        return rest[min(self.gap, len(rest) - len(rest.lstrip())) :]


@dataclass(frozen=True)
class _Column:
    """A column of somebody else's before the table's own, such as the name of the computer."""

    start: int

    def inside(self, line: Line) -> str | None:
        before = line.text[: self.start]
        return line.text[self.start :] if before.strip() and before.endswith(" ") else None


class _Label:
    """Before the header only. Where the table's own blank was lost with it, that is put back."""

    def inside(self, line: Line) -> str | None:
        return line.text


def _kind_of_part(part: str) -> str:
    return "0" if part.isdecimal() else " " if part.isspace() else part


@dataclass
class _Carried:
    """The carrier of the table that is being taken out."""

    carrier: _Carrier
    number: int
    closing: str
    tag: bool

    def taken_off(self, line: Line) -> Line:
        text = self.carrier.inside(line)
        if text is None:
            return line
        text = without_closing(text, self.closing, tag=self.tag)
        return Line(line.number, text, self.number)


def without_closing(text: str, closing: str, *, tag: bool = False) -> str:
    """The text without what closes it: these characters, commas, written ends of lines, HTML tags."""
    inner = text.rstrip()
    if not closing and not tag:
        return inner
    before = ""
    while inner != before:
        before = inner
        inner = inner.rstrip(f" ,;{closing}").removesuffix("\\n").removesuffix("\\r").removesuffix("^M")
        if tag and inner.endswith(">") and "<" in inner[-_LONGEST_TAG:]:
            inner = inner[: inner.rfind("<")]
    return inner


def header_at(text: str) -> int | None:
    """Where the header of a known language begins in a line that may begin with something else."""
    if _DIGIT.search(text[-20:]):
        return None  # as the rows of users end
    for start in islice(header_starts(text), _TRIES):
        if len(text) - start <= LINE_LIMIT and read_header(text[start:]):
            return start
    return None


def uncarried(lines: Sequence[Line]) -> Iterator[Line]:
    """The lines, those of carried tables without what carries them."""
    carried: _Carried | None = None
    for index, line in enumerate(lines):
        if line.carrier == BARE and len(line.text) <= LINE_LIMIT + _LONGEST:
            at = header_at(line.text)
            if at is not None:
                carried, header = _begin(lines, index, at)
                yield header
                continue
            if carried is not None:
                yield carried.taken_off(line)
                continue
        yield line


def _begin(lines: Sequence[Line], index: int, at: int) -> tuple[_Carried | None, Line]:
    """How a table is carried, and its header: by the way under which its first row lies best."""
    line = lines[index]
    before, inner = line.text[:at], line.text[at:]
    closing, tag = _closing(before, inner), "<" in before or inner.rstrip().endswith(">")
    if not before.strip():
        carried = _Carried(_Label(), BARE, closing, tag) if closing else None
        return carried, Line(line.number, without_closing(line.text, closing, tag=tag) if closing else line.text)
    if len(before) > _LONGEST and before.rstrip()[-1].isalnum():
        return None, line
    below = [each for each in lines[index + 1 : index + 1 + _WINDOW] if each.carrier == BARE and each.text.strip()]
    found = []
    for order, (carrier, header) in enumerate(_ways(before, line, at)):
        way = _Carried(carrier, BARE if isinstance(carrier, _Label) else line.number, closing, tag)
        text = without_closing(header, closing, tag=tag)
        shift = _fit(way, read_header(_spread(text)), below)
        if shift is not None:
            found.append((*shift, order, way, text))
    if not found:
        return None, line
    *_, way, text = min(found, key=lambda each: each[:3])
    return way, Line(line.number, text, way.number)


def _ways(before: str, line: Line, at: int) -> Iterator[tuple[_Carrier, str]]:
    """The ways in which a table may be carried, and its header in each."""
    whole = before.strip()
    labels = [whole] if len(before) <= _LONGEST else []
    labels += [
        end[0] for end in (_MARKS_AT_END.search(whole), _MARK_AT_END.search(whole)) if end and end[0] not in labels
    ]
    for label in labels:
        header = line.text[len(before.rstrip()) :]
        gap = max(0, len(header) - len(header.lstrip()) - 1)
        yield _Repeated(label, line.number, gap, whole=label == whole), header[gap:]
    if not whole[-1].isalnum():
        yield _Label(), f" {line.text[at:]}"
    if line.text[at - 1 : at].isspace() and "\t" not in before:
        yield _Column(at - 1), line.text[at - 1 :]


def _fit(way: _Carried, header: Header | None, below: Iterable[Line]) -> tuple[int, int] | None:
    """How many lines below the header the first row stands, and by how many cells it is off; ``None`` without one.

    ``(_WINDOW, 0)`` where the lines are carried so, but none of them is a row.
    """
    if header is None or header.kind is None:
        return None
    empty = True
    for count, line in enumerate(below):
        rest = way.taken_off(line)
        if rest.carrier != way.number:
            break
        empty = False
        fields = read_row(_spread(rest.text), header.kind, header)
        if fields is not None:
            shift = abs(fields.shift or 0)
            exact = shift <= 1 and not fields.off and not (shift and fields.current)
            return (count, shift) if exact or (isinstance(way.carrier, _Repeated) and way.carrier.whole) else None
    return None if empty and not isinstance(way.carrier, _Label) else (_WINDOW, 0)


def _spread(text: str) -> str:
    return text.expandtabs(8)


def _closing(before: str, header: str) -> str:
    """The characters that may stand behind a line that is carried so."""
    found = {_MATES[mark] for mark in before if mark in _MATES}
    end = header.rstrip()
    while end and not (end[-1].isalnum() or end[-1] in ".) "):
        found.add(end[-1])
        end = end[:-1]
    return "".join(sorted(found))
