"""The options that choose sessions, and times as people write them. Pure.

Rule: what is wrong is an ``InputError`` whose message begins with the option.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpsbridge.errors import InputError
from mpsbridge.models.durations import parse_duration
from mpsbridge.planning.selection import Selector


def duration(option: str, text: str | None) -> int | None:
    """Seconds of an option's value; an input error that names the option."""
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InputError(f"{option}: {error}") from error


def several(text: str) -> list[str]:
    """The names of an option that takes several: no account of Windows has a comma in its name."""
    return [name.strip() for name in text.split(",")]


def _session_ids(text: str) -> list[int]:
    for word in several(text):
        if not (word.isascii() and word.isdigit()):
            raise InputError(f"--session: {word!r} is not the id of a session", hint="Name each one: --session 2,3,4")
    return [int(word) for word in several(text)]


def selector(
    *,
    session: Sequence[str] | None = None,
    user: Sequence[str] | None = None,
    everyone: bool = False,
    active: bool = False,
    disconnected: bool = False,
    disconnected_over: str | None = None,
    idle_over: str | None = None,
) -> Selector | None:
    """The selector that the options describe, ``None`` where none is given. Raises ``InputError``."""
    if not any([session, user, everyone, active, disconnected, disconnected_over, idle_over]):
        return None
    return Selector(
        session_ids=tuple(number for text in session or () for number in _session_ids(text)),
        users=tuple(name for text in user or () for name in several(text)),
        everyone=everyone,
        active=active,
        disconnected=disconnected,
        disconnected_over_s=duration("--disconnected-over", disconnected_over),
        idle_over_s=duration("--idle-over", idle_over),
    )
