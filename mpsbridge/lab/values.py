"""Readers of single values in a world file: each takes what TOML or JSON gave and returns a value, or says what is
wrong.

Nothing is converted silently: a number in quotes is not a number, and a word that is nearly right is an error.
"""

from __future__ import annotations

import difflib
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network
from pathlib import PureWindowsPath
from typing import Any

from mpsbridge.lab.windows.files import Rule
from mpsbridge.lab.windows.regions import Patterns

_AGO = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_LOOPBACK = IPv4Network("127.0.0.0/8")

Reader = Callable[[Any], Any]


class Wrong(ValueError):
    """What is wrong with one value; the place is added on the way up."""


class At:
    """Add the place to a :class:`Wrong` on its way up."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Wrong):
            raise Wrong(f"{self.place}: {error}") from error


def table(raw: Any, readers: Mapping[str, Reader], *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The values of one table, each read by its own reader; unknown and missing keys are errors."""
    if not isinstance(raw, dict):
        raise Wrong("this must be a table")
    values = {}
    for key, value in raw.items():
        if key not in readers:
            near = difflib.get_close_matches(str(key), readers, n=1)
            raise Wrong(f"unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        if value is None:
            continue  # JSON's way of leaving a key out
        with At(key):
            values[key] = readers[key](value)
    for key in required:
        if key not in values:
            raise Wrong(f"the key {key!r} is missing")
    return values


# One reader for each kind of value.


def text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise Wrong(f"must be a text that is not empty, not {value!r}")
    return value


def any_text(value: Any) -> str:
    """A text, also an empty one."""
    if not isinstance(value, str):
        raise Wrong(f"must be a text, not {value!r}")
    return value


def base64(value: Any) -> bytes:
    """Bytes, written in base64."""
    try:
        return b64decode(any_text(value), validate=True)
    except ValueError as error:
        raise Wrong("must be bytes in base64") from error


def windows_path(value: Any) -> str:
    r"""A full path on drive C, such as ``C:\Program Files\thing.json``."""
    path = PureWindowsPath(text(value))
    if path.drive.upper() != "C:" or not path.root or ".." in path.parts:
        raise Wrong(f"must be a full path that begins with C:\\, not {value!r}")
    return str(path)


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Wrong(f"must be true or false, not {value!r}")
    return value


def whole(low: int, high: int) -> Reader:
    """Whole numbers from ``low`` to ``high``."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Wrong(f"must be a whole number from {low} to {high}, not {value!r}")
        return value

    return read


def seconds(value: Any) -> float:
    """A time span, not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise Wrong(f"must be a number of seconds, not {value!r}")
    return float(value)


def offset_seconds(value: Any) -> float:
    """A time span in either direction."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong(f"must be a number of seconds, not {value!r}")
    return float(value)


def one_of(*words: str) -> Reader:
    """One of these words."""

    def read(value: Any) -> str:
        if value not in words:
            near = difflib.get_close_matches(str(value), words, n=1)
            raise Wrong(f"{value!r} is none of {', '.join(words)}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return str(value)

    return read


def texts(value: Any) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list):
        raise Wrong("must be a list of texts")
    return tuple(text(each) for each in value)


def rules(value: Any) -> tuple[Rule, ...]:
    """The entries of an access list."""
    if not isinstance(value, list):
        raise Wrong("must be a list of tables")
    return tuple(Rule(**table(each, _RULE, required=("sid", "rights"))) for each in value)


def rows(value: Any) -> list[Any]:
    """A list of tables, read later."""
    if not isinstance(value, list):
        raise Wrong("must be a list of tables")
    return value


def page(value: Any) -> int:
    """A code page that Python knows."""
    page = whole(1, 65535)(value)
    try:
        "x".encode(f"cp{page}")
    except LookupError as error:
        raise Wrong(f"{page} is not a code page known here") from error
    return int(page)


def address(value: Any) -> str:
    """An IPv4 address on the loopback."""
    try:
        address = IPv4Address(text(value))
    except ValueError as error:
        raise Wrong(f"{value!r} is not an IPv4 address") from error
    if address not in _LOOPBACK:
        raise Wrong(f"{value} is not on the loopback (127.0.0.0/8), and make-believe hosts live nowhere else")
    return str(address)


def moment(value: Any) -> datetime | timedelta:
    """A time (without an offset: the host's own), or how long ago (``2h15m``) seen from the start of the lab."""
    if isinstance(value, str):
        ago = _AGO.fullmatch(value)
        if ago is not None and any(ago.groups()):
            days, hours, minutes, seconds = (int(part or 0) for part in ago.groups())
            return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise Wrong(f"{value!r} is neither an ISO time nor a duration such as 2h15m") from error
    if not isinstance(value, datetime):
        raise Wrong(f"{value!r} is not a time; write it like 2026-11-25T08:00:00, or 2h15m for ago")
    return value


def text_or_blank(value: Any) -> str | None:
    """A text; an empty one is none."""
    return None if value == "" else text(value)


_RULE: dict[str, Reader] = {"sid": text, "rights": whole(-(2**31), 2**32 - 1), "deny": flag}
_PATTERNS: dict[str, Reader] = {"short_date": text, "short_time": text, "am": text, "pm": text}


def patterns(value: Any) -> Patterns:
    """Regional patterns."""
    return Patterns(**table(value, _PATTERNS, required=("short_date", "short_time")))
