"""Dates and times printed by a .NET pattern (``d.M.yyyy``, ``tt h:mm``), read with an index and without a search.

The pattern is the host's own, so it is as little trusted as the text: it is taken apart once, each part takes what is
its own from the place where the one before ended, and no part ever gives back more than the literal text that follows
it. So reading costs no more than the two are long.

Rules: numbers must tell the moment alone; names of days are passed over, those of months are not read. What is there
twice, or belongs to another calendar (an era), makes the pattern unusable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

MARKS = dict.fromkeys(map(ord, "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))
"""Marks of the writing direction, for ``str.translate``: they are printed and mean nothing."""
_NEEDED = {"day", "month", "year", "hour", "minute"}


class _Part(NamedTuple):
    """One part of a pattern: a run of one letter, or literal text (``letter`` is empty)."""

    letter: str
    text: str


_Named = Sequence[tuple[str, _Part]]
"""Parts, each with what it tells."""


def _parts(pattern: str) -> Iterator[_Part]:
    """The runs of letters, and the literal text between them, in quotes or not."""
    place = 0
    while place < len(pattern):
        character = pattern[place]
        if character == "'":
            quoted, place = _quoted(pattern, place)
            yield _Part("", quoted)
        elif character in "dMyghHmst":
            run = next(len(list(same)) for _, same in groupby(pattern[place:]))
            yield _Part(character, pattern[place : place + run])
            place += run
        else:
            yield _Part("", character)
            place += 1


def _quoted(pattern: str, place: int) -> tuple[str, int]:
    """The text that is quoted from here on, and where it ends. A quote that is not closed stands for itself."""
    text, at = "", place + 1
    while (end := pattern.find("'", at)) >= 0:
        text += pattern[at:end]
        if pattern[end + 1 : end + 2] != "'":
            return text, end + 1
        text, at = text + "'", end + 2
    return "'", place + 1


def read_as(text: str, pattern: str) -> dict[str, str] | None:
    """The parts of a moment as digits, and ``half`` as the word for the half of the day, by the names of ``datetime``.

    ``None`` where the text is not of this pattern, or the pattern's numbers alone do not tell the moment. ``text`` has
    no marks, and each kind of blank as one blank.
    """
    parts = _telling_parts(pattern)
    found: dict[str, str] = {}
    place = 0
    for number, (name, part) in enumerate(parts):
        end = _end(text, place, part, parts[number + 1 :])
        if end is None:
            return None
        if name:
            found[name] = text[place:end]
        place = end
    return found if parts and place == len(text) else None


@lru_cache(maxsize=64)
def _telling_parts(pattern: str) -> tuple[tuple[str, _Part], ...]:
    """The parts and what each tells; none where they do not tell the moment. The rows of a host share few patterns."""
    parts = [(_name(part), part) for part in _parts(pattern)]
    named = [name for name, _ in parts if name]
    halves = "half" in named or not any(part.letter == "h" for _, part in parts)
    if len(named) != len(set(named)) or "era" in named or not halves or not set(named) >= _NEEDED:
        return ()
    return tuple(parts)


def _name(part: _Part) -> str:
    """What the text of a part tells; empty for literal text, seconds, and names of days and months."""
    if part.letter in {"d", "M"}:
        return "" if len(part.text) > 2 else {"d": "day", "M": "month"}[part.letter]
    names = {"y": "year", "H": "hour", "h": "hour", "m": "minute", "t": "half", "g": "era"}
    return names.get(part.letter, "")


def _end(text: str, place: int, part: _Part, rest: _Named) -> int | None:
    """Where this part ends in the text; ``None`` where it is not there."""
    if not part.letter:
        return _after_literal(text, place, part.text)
    if part.letter == "t" or (part.letter in {"d", "M"} and len(part.text) > 2):
        return _after_word(text, place, rest, blanks=part.letter == "t")
    if part.letter == "y":
        least, most = (4, 4) if len(part.text) > 2 else (1, 2)
    else:
        least, most = (2, 2) if part.letter in {"m", "s"} else (1, 2)
    end = place
    while end < len(text) and end - place < most and text[end] in "0123456789":
        end += 1
    return end if end - place >= least else None


def _after_literal(text: str, place: int, literal: str) -> int | None:
    """Behind literal text; how many blanks it has does not matter."""
    for character in literal.translate(MARKS):
        if character.isspace():
            place += text[place : place + 1] == " "
        elif text[place : place + 1].casefold() == character.casefold():
            place += 1
        else:
            return None
    return place


def _after_word(text: str, place: int, rest: _Named, *, blanks: bool) -> int | None:
    """Behind a word without digits: all up to the next digit (or blank), but for the literal text that follows it."""
    end = place
    while end < len(text) and not text[end].isdecimal() and (blanks or text[end] != " "):
        end += 1
    literal = ""
    for _, part in rest:
        if part.letter:
            break
        literal += part.text
    literal = " ".join(literal.translate(MARKS).split())
    if literal and text[place:end].rstrip().casefold().endswith(literal.casefold()):
        end = place + len(text[place:end].rstrip()) - len(literal)
    return end if end > place or blanks else None
