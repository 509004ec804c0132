"""Idle and logon text to seconds and aware times.

Rules: day and month are never guessed (W7): a date is read in the order of the host's own patterns and held against the
birth of the session, and where the patterns are missing it is taken only if the birth leaves one reading. Idle text
that is not idle is ``None`` (W1). The raw text is kept elsewhere; ``None`` loses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from mpsbridge.models.answers import PatternsAnswer
from mpsbridge.models.bounds import LOGON_LIMIT, PATTERN_LIMIT, within
from mpsbridge.parsing.pattern import MARKS, read_as

NOT_IDLE_DAYS = 20_000
"""``24692+13:29`` beside *Active* means "no idle information" (captures)."""
IDLE_SLACK = timedelta(hours=2)

_IDLE = re.compile(r"(?:(?:(?P<days>[0-9]{1,6})\+)?(?P<hours>[0-9]{1,2}):)?(?P<minutes>[0-9]{1,4})")
_OTHER_CALENDAR = ("th", "ar-sa", "fa", "ps", "prs", "dv", "ckb-ir", "mzn", "lrc-ir", "uz-arab")
"""Locales whose default calendar is not the Gregorian one (Buddhist, Um al-Qura, Persian)."""
_DAYLIGHT = tuple(timedelta(minutes=minutes) for minutes in (0, 60, -60, 30, -30))
_BEFORE_BIRTH = timedelta(minutes=2)
_AT_BIRTH = timedelta(minutes=10)
_FAR = timedelta(days=1)
_OLDEST = 1995


def idle_seconds(raw: str | None, *, since: datetime | None, now: datetime) -> int | None:
    """Seconds of ``.``, ``5`` (minutes), ``1:23`` or ``2+03:04``; ``None`` for a word, ``*`` and what cannot be (W1).

    ``since`` is when the session began, as far as known: nobody is idle for longer than that and two hours.
    """
    if raw == ".":
        return 0
    match = _IDLE.fullmatch(raw or "")
    if match is None:
        return None
    days, hours, minutes = (int(match[part] or 0) for part in ("days", "hours", "minutes"))
    if (match["hours"] and minutes > 59) or (match["days"] and hours > 23) or days >= NOT_IDLE_DAYS:
        return None
    idle = timedelta(days=days, hours=hours, minutes=minutes)
    if since is not None and idle > now - since + IDLE_SLACK:
        return None
    return int(idle.total_seconds())


def logon_time(
    raw: str | None, *, patterns: PatternsAnswer, utc_offset_min: int | None, born: datetime | None, now: datetime
) -> datetime | None:
    """The logon text as an aware time in the host's offset, or ``None`` where it cannot be known.

    The text may be off by the hour of a change of daylight time: then the birth of the session mends it. Text that is
    earlier than the birth, later by a day or more, or in the future, is not believed (W7).
    """
    if raw is None or len(raw) > LOGON_LIMIT or utc_offset_min is None or abs(utc_offset_min) >= 24 * 60:
        return None
    zone = timezone(timedelta(minutes=utc_offset_min))
    text = _simple(raw)
    if within(patterns.short_date, PATTERN_LIMIT) and within(patterns.short_time, PATTERN_LIMIT):
        read = _by_patterns(text, patterns, zone)
        if read is not None:
            foreign = (patterns.locale or "").lower().startswith(_OTHER_CALENDAR)
            return None if foreign and born is None else _believed(read, born, now)
    if born is None:
        return None
    readings = {moment for moment in _readings(text, patterns, zone) if _mended(moment, born) is not None}
    return _mended(readings.pop(), born) if len(readings) == 1 else None


def _simple(text: str) -> str:
    """The text without bidi marks, each kind of blank as one blank."""
    return " ".join(text.translate(MARKS).split())


def _believed(read: datetime, born: datetime | None, now: datetime) -> datetime | None:
    if born is None:
        return read if read.year >= _OLDEST and read <= now + _FAR else None
    mended = _mended(read, born)
    if mended is not None:
        return mended
    return read if born <= read < born + _FAR and read <= now + _FAR else None


def _mended(read: datetime, born: datetime) -> datetime | None:
    """The reading, or the one an hour or half an hour off, that falls on the birth of the session; else ``None``."""
    for shift in _DAYLIGHT:
        if born - _BEFORE_BIRTH <= read + shift <= born + _AT_BIRTH:
            return read + shift
    return None


def _by_patterns(text: str, patterns: PatternsAnswer, zone: timezone) -> datetime | None:
    """The text in the order of the host's patterns; ``None`` where they do not fit, or tell of another calendar."""
    found = read_as(text, f"{patterns.short_date} {patterns.short_time}")
    if found is None:
        return None
    hour = _hour(int(found["hour"]), found.get("half"), patterns)
    if hour is None:
        return None
    year = int(found["year"])
    if len(found["year"]) <= 2:
        year += 2000 if year < 50 else 1900  # the window of Windows: 1950 to 2049
    return _moment(year, int(found["month"]), int(found["day"]), hour, int(found["minute"]), zone)


def _hour(hour: int, half: str | None, patterns: PatternsAnswer) -> int | None:
    """The hour of 24, from that of 12 and the host's words for the halves of the day."""
    if half is None:
        return hour
    word = half.strip().casefold()
    if not 0 <= hour <= 12:
        return hour if not word else None
    names = ((_simple(text).casefold(), add) for text, add in ((patterns.am, 0), (patterns.pm, 12)) if text)
    fitting = {add for name, add in names if word and name.startswith(word)}  # the pattern "t" prints one letter
    return hour % 12 + fitting.pop() if len(fitting) == 1 else None


def _readings(text: str, patterns: PatternsAnswer, zone: timezone) -> Iterator[datetime]:
    """Every moment that the text can mean: the three orders of day, month and year, and both halves of a day."""
    numbers = re.findall(r"[0-9]+", text)
    if len(numbers) not in {5, 6} or any(len(number) > 4 for number in numbers):
        return
    first, second, third, hour, minute = (int(number) for number in numbers[:5])
    words = {word.casefold() for word in re.findall(r"[^\W\d_]+(?:\.[^\W\d_]+)*", text)}
    known = {_simple(name).casefold(): add for name, add in ((patterns.am, 0), (patterns.pm, 12)) if name}
    halves = [known[word] for word in words if word in known] or ([0, 12] if words and hour <= 12 else [])
    hours = {hour % 12 + add for add in halves} if halves else {hour}
    for year, month, day in ((third, second, first), (third, first, second), (first, second, third)):
        for each in hours:
            full = year + 2000 if year < 100 else year
            if moment := _moment(full, month, day, each, minute, zone):
                yield moment


def _moment(year: int, month: int, day: int, hour: int, minute: int, zone: timezone) -> datetime | None:
    if not 1900 <= year <= 2900:
        return None
    try:
        return datetime(year, month, day, hour, minute, tzinfo=zone)
    except ValueError:
        return None
