"""A host's answers with other names: where names stand in them, and everything else as it came.

Rules: a name is taken from where it can only be a name (a column of a table, an account, a computer's name), and
replaced there whatever it is, so that a user who is called like a word of Windows loses it and the table does not;
in running text the same names are replaced as whole words. What is no name keeps its very bytes. What cannot be read
as a table counts as one all the same, for what nobody has seen yet is what evidence is for: there a line's first words
are names.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import JsonValue

from mpsbridge.errors import ParseError
from mpsbridge.evidence.pseudonyms import Pseudonyms, is_word_of_windows
from mpsbridge.models.sessions import Row
from mpsbridge.parsing.quser import parse_output
from mpsbridge.parsing.text import decode

Kind = Literal["quser", "qwinsta"]
TABLES: tuple[Kind, ...] = ("quser", "qwinsta")
_NAMED = frozenset({"user", "domain", "client", "computer", "account", "host", "owner", "reason"})
"""Keys whose values are names, or texts of people, whole; an account may have two."""
_WORDS = (
    "mode|was|kind|snippet|generation|language|disk_protection|version|locale|short_date|short_time|am|pm|now|boot|born|"
    "groups_at|offset_until|state|schema|found|set|since|expires|at|mark|notice|run|agents|pending_reboot|unready|digest|"
    "step|id|category|command|ProductName|EditionID|InstallationType|CurrentVersion|CurrentBuild|UBR|status|service|"
    "LocaleName|sShortDate|sShortTime|s1159|s2359|signed_in"
)
_KEPT = frozenset(_WORDS.split("|"))
"""Keys whose values are words of Windows' or ours, times and numbers: a user may be called like one of them."""
_NOBODYS_SID = re.compile(r"S-1-(?:[0-4]|5-(?:\d|1\d|20|32|80|82|83|90|94|96))(?:-\d+)*")
"""A SID that every Windows has: of the system, its services and groups, of virtual accounts."""
_HOME = re.compile(r"[\\/](?:Users|home|Documents and Settings)[\\/]{1,2}([^\\/:*?\"<>|\r\n]+)", re.IGNORECASE)
_SERVER = re.compile(r"(?<![\w\\])\\\\([A-Za-z][\w.-]+)\\")
_ACCOUNT = re.compile(r"(?<![\w\\/:.])([A-Za-z][\w.-]{1,14})\\([\w$-][\w.$-]+)(?![\w\\])")
"""A domain's account, which is no path: nothing stands before it, and nothing behind."""
_PATH_BEFORE = re.compile(r"[A-Za-z]:\\[^/:*?\"<>|\r\n]{0,200}\Z")
_REALM = re.compile(r"(?<![\w.-])[A-Z][A-Z0-9-]*(?:\.[A-Z0-9-]+)+(?![\w-]|\.\w)")
"""Of Kerberos, which writes them in capitals."""
_ADDRESS = re.compile(r"(?<![\w.+-])([\w.+-]+)@([\w-]+(?:\.[\w-]+)*)")
_SHARED_HOMES = frozenset({"public", "default", "all users", "default user"})
_CELL = re.compile(r"[^\s>](?:[^\t]{0,60}?)(?=[ ]{2}|\t|\s*$)")
_GUESSED = 2
"""Cells of a line that may be names, in a table that cannot be read: a user and a session, in either order."""
_STATION = re.compile(r"Station \d{1,4}")
"""A station as Windows itself names one."""
_PACKED = re.compile(r"[A-Za-z0-9+/]{40}")
"""What may be bytes in base64, in which names could stand."""


class Span(NamedTuple):
    """Where a name stands in a text."""

    start: int
    end: int


def names_in(value: JsonValue, *, oem: int | None = None, ansi: int | None = None, key: str = "") -> Iterator[str]:
    """Every name in an answer, as often as it stands there."""
    if isinstance(value, dict):
        oem, ansi = _page(value, "oem", oem), _page(value, "ansi", ansi)
        if _is_program(value):
            yield from _names_printed(value, key, oem, ansi)
        for name, inner in value.items():
            if not (name == "account" and _is_nobodys(value)):
                yield from names_in(inner, oem=oem, ansi=ansi, key=_key(key, name))
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner, oem=oem, ansi=ansi, key=key)
    elif isinstance(value, str):
        yield from _names_of(value, key)


def _names_of(text: str, key: str) -> Iterator[str]:
    if key in {"lease", "output"}:
        yield from names_in(_json(text), key=key)
    if key == "stations.name" and _STATION.fullmatch(text) is None:
        yield text
    if key in _NAMED:
        yield from (part for part in re.split(r"[\\@]", text) if part)
    if key != "remedy":  # our own words, in which NAME@REALM stands for a name
        yield from _names_in_words(text)


def _names_in_words(text: str) -> Iterator[str]:
    """Names that their form gives away, in running text: of homes, mail addresses, servers, realms and accounts."""
    for home in (found[1] for found in _HOME.finditer(text)):
        if home.casefold() not in _SHARED_HOMES:
            yield from (home, home.partition(".")[0])  # a second account of that name has its domain behind a dot
    for found in _ADDRESS.finditer(text):
        yield from (found[1], found[2], *found[2].split(".")[:-1])
    yield from (found[1] for found in _SERVER.finditer(text))
    for realm in (found[0] for found in _REALM.finditer(text)):
        yield from (realm, *realm.split(".")[:-1])
    for found in _ACCOUNT.finditer(text):
        if not (found[1].startswith("HKEY") or _PATH_BEFORE.search(text, 0, found.start())):
            yield from (found[1], found[2])


def _names_printed(program: Mapping[str, JsonValue], key: str, oem: int | None, ansi: int | None) -> Iterator[str]:
    texts = [_text_of(str(program.get(stream) or ""), oem, ansi)[0] for stream in ("out", "err")]
    texts += [str(program.get(stream) or "") for stream in ("text", "error_text")]
    for text in texts:
        yield from (text[span.start : span.end] for span in _spans(text, key)[0])


class Disguise:
    """Puts other names into answers."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._other = pseudonyms

    def answer(self, value: Any, *, oem: int | None = None, ansi: int | None = None, key: str = "") -> Any:
        """The same answer, of the same shape, with other names."""
        if isinstance(value, dict):
            oem, ansi = _page(value, "oem", oem), _page(value, "ansi", ansi)
            pages = {"oem": oem, "ansi": ansi}
            inner = {name: self.answer(each, **pages, key=_key(key, name)) for name, each in value.items()}
            if _is_program(value):
                inner |= self._printed(value, key, oem, ansi)
            if _is_nobodys(value) and "account" in value:
                inner["account"] = value["account"]  # a service's, such as NT AUTHORITY\SYSTEM, in any language
            return inner
        if isinstance(value, list | tuple):
            return [self.answer(each, oem=oem, ansi=ansi, key=key) for each in value]
        return self.text(value, key) if isinstance(value, str) else value

    def text(self, text: str, key: str = "") -> str:
        """A text that stands under this key."""
        if key in _KEPT:
            return text
        if key == "lease":
            lease = _json(text)
            # What is damaged keeps its shape alone: nobody can tell what of it is a name.
            return _shape(text) if lease is None else json.dumps(self.answer(lease, key=key), separators=(",", ":"))
        if key == "output":
            return self._output(text)
        if key == "stations.name":
            return self._other.of(text)
        if key in _NAMED:
            return "".join(self._other.within(self._other.of(part)) for part in re.split(r"([\\@])", text))
        return self._other.within(text)

    def _output(self, text: str) -> str:
        """A string that is not the only one, or no envelope: as JSON where it is some, else as running text.

        What is neither is left out, because bytes may stand in it that nobody can read.
        """
        found = _json(text)
        if found is not None:
            mark = "\ufeff" if text.startswith("\ufeff") else ""
            return mark + json.dumps(self.answer(found), separators=(",", ":"))
        return f"({len(text)} characters, left out)" if _PACKED.search(text) else self._other.within(text)

    def _printed(
        self, program: Mapping[str, JsonValue], key: str, oem: int | None, ansi: int | None
    ) -> dict[str, JsonValue]:
        """Both streams of a program, as bytes or as text."""
        made: dict[str, JsonValue] = {}
        for stream in ("out", "err"):
            encoded = str(program.get(stream) or "")
            text, back = _text_of(encoded, oem, ansi)
            made[stream] = back(self._table(text, key))
        for stream in ("text", "error_text"):
            if isinstance(program.get(stream), str):
                made[stream] = self._table(str(program[stream]), key)
        return made

    def _table(self, text: str, key: str) -> str:
        """A text of a program: names by their places in a table, which holds none elsewhere; else as running text."""
        spans, is_table = _spans(text, key)
        pieces, done = [], 0
        for span in [*spans, Span(len(text), len(text))]:
            between = text[done : span.start]
            pieces += [
                between if is_table else self._other.within(between),
                self._other.of(text[span.start : span.end]),
            ]
            done = span.end
        return "".join(pieces)


def _key(outer: str, name: str) -> str:
    """A key by which values are judged: two at stations, whose names are names, and those of programs are not."""
    return f"{outer}.{name}" if (outer, name) == ("stations", "name") else name


def _is_nobodys(value: Mapping[str, JsonValue]) -> bool:
    """Whether an account is a service's or the system's own, whatever that is called in the host's language."""
    return isinstance(value.get("sid"), str) and _NOBODYS_SID.fullmatch(str(value["sid"])) is not None


def _shape(text: str) -> str:
    """Every letter an ``x``, every digit a 0: what is no lease stays none."""
    return "".join("x" if each.isalpha() else "0" if each.isdigit() else each for each in text)


def _page(value: Mapping[str, JsonValue], name: str, otherwise: int | None) -> int | None:
    page = value.get(name)
    return page if isinstance(page, int) else otherwise


def _is_program(value: Mapping[str, JsonValue]) -> bool:
    return {"exit", "out", "err"} <= value.keys() or {"exit", "text"} <= value.keys()


def _json(text: str) -> Any:
    try:
        found = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text_of(encoded: str, oem: int | None, ansi: int | None) -> tuple[str, Callable[[str], str]]:
    """Bytes in base64 as text, and the way back; what is no such bytes is left out."""
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return "", lambda _: ""
    encoding = decode(raw, oem=oem, ansi=ansi).encoding
    for each in (encoding, "latin-1"):
        try:
            text = raw.decode(each, "surrogateescape")
            if text.encode(each, "surrogateescape") == raw:
                return text, lambda new, page=each: base64.b64encode(new.encode(page, "surrogateescape")).decode()
        except (UnicodeError, LookupError):
            continue
    return "", lambda _: ""


def _spans(text: str, key: str) -> tuple[list[Span], bool]:
    """Where names stand in the output of a program, by their places; and whether it is a table and nothing else."""
    if not text.strip():
        return [], False
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    try:
        tables = parse_output(text)
    except ParseError:
        return (list(_guessed(text, starts)) if key in TABLES else []), False
    mark = len(text) - len(text.removeprefix("\ufeff"))
    lines = text.removeprefix("\ufeff").split("\n")
    found = []
    for row in tables.rows:
        if row.username and (place := _place_of(row, lines[row.line - 1])) is not None:
            start = starts[row.line - 1] + place + (mark if row.line == 1 else 0)
            found.append(Span(start, start + len(row.username)))
    return sorted(found), bool(tables.rows) and not tables.ignored


def _place_of(row: Row, line: str) -> int | None:
    """Where the user of a row stands in its line: first in the one table, behind the session's name in the other."""
    after = 0
    if row.table == "qwinsta" and row.sessionname:
        after = line.find(row.sessionname) + len(row.sessionname)
    place = line.find(row.username or "", after)
    return place if place >= 0 else None


def _guessed(text: str, starts: list[int]) -> Iterator[Span]:
    """The first words of each line but a header's, whatever they are: names stand there."""
    for number, line in enumerate(text.split("\n")):
        if number == 0 and not any(map(str.isdigit, line)):
            continue
        left = _GUESSED
        for cell in _CELL.finditer(line):
            if left and any(map(str.isalpha, cell[0])) and not is_word_of_windows(cell[0]) and "#" not in cell[0]:
                left -= 1
                yield Span(starts[number] + cell.start(), starts[number] + cell.end())


def tables_of(kept: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """The lines of the session tables in an answer to ``observe``, for a reader."""
    result = ((kept or {}).get("envelope") or {}).get("result")
    if not isinstance(result, dict):
        return {}
    oem, ansi = _page(result, "oem", None), _page(result, "ansi", None)
    found: dict[str, list[str]] = {}
    for table in TABLES:
        program = result.get(table)
        if isinstance(program, dict):
            streams = [_text_of(str(program.get(each) or ""), oem, ansi)[0] for each in ("out", "err")]
            streams += [str(program.get(each) or "") for each in ("text", "error_text")]
            found[table] = [line.rstrip("\r") for stream in streams for line in stream.split("\n") if line.strip()]
    return found
