"""Durations as people write them: ``90s``, ``15m``, ``2h``, ``1h30m``. A bare number is refused: it hides its unit."""

from __future__ import annotations

import re

_PARTS = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
MOST_S = 366 * 86_400
"""Nothing here lasts longer, and a clock cannot wait permanently."""
_UNITS_S = (86_400, 3_600, 60, 1)


def parse_duration(text: str, *, least_s: int = 0, most_s: int = MOST_S) -> int:
    """Seconds, from ``least_s`` to ``most_s``. Raises ``ValueError`` with a sentence that names what is possible."""
    compact = text.strip().lower()
    found = _PARTS.fullmatch(compact)
    if not compact or found is None:
        digits = compact.isascii() and compact.isdigit()
        advice = f"write {compact}s, {compact}m or {compact}h" if digits else "write 90s, 15m, 2h or 1h30m"
        raise ValueError(f"{text!r} is not a duration; {advice}")
    seconds = sum(int(part or 0) * unit for part, unit in zip(found.groups(), _UNITS_S, strict=True))
    if seconds > MOST_S:
        raise ValueError(f"{text!r} is longer than a year")
    if seconds < least_s:
        raise ValueError(f"{text!r} is not possible, the least is {format_duration(least_s)}")
    if seconds > most_s:
        raise ValueError(f"{text!r} is not possible, the most is {format_duration(most_s)}")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest such text: ``75`` becomes ``1m15s``; parts of a second are dropped."""
    rest = int(seconds)
    parts = []
    for unit, letter in zip(_UNITS_S, "dhms", strict=True):
        count, rest = divmod(rest, unit)
        if count:
            parts.append(f"{count}{letter}")
    return "".join(parts) or "0s"
