"""Where everything of a host's timeline stands, in per cent of its length. Pure geometry; the page draws it.

Rules: the scale is linear, so a wait looks as long as it was; what is too short to be seen is widened, never moved; who
does not fit on the picture is counted, and stands in the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from mpsbridge.models.sessions import LogonMode, Result
from mpsbridge.reports import words
from mpsbridge.reports.report import HostReport, Person

MOST_LANES = 40
MOST_TICKS = 5
LEAST = 0.4
"""The least width of a band."""
ROOM_FOR_TEXT = 9.0
"""A band that is narrower gets no text."""
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)


class Band(NamedTuple):
    """A stretch of time."""

    x: float
    width: float
    kind: str
    text: str = ""
    title: str = ""

    @property
    def is_wide(self) -> bool:
        """Whether its text fits on a telephone, too."""
        return self.width >= 3 * ROOM_FOR_TEXT


class Dot(NamedTuple):
    """A moment."""

    x: float
    kind: str
    title: str


class Tick(NamedTuple):
    """A time on the scale; ``anchor`` keeps its text inside the picture."""

    x: float
    text: str
    anchor: str


class Lane(NamedTuple):
    """One person: from when the run met them until the result."""

    name: str
    result: str
    kind: str
    band: Band
    dots: tuple[Dot, ...]


class Timeline(NamedTuple):
    """All of a host's picture; ``more`` people did not fit."""

    ticks: tuple[Tick, ...]
    phases: tuple[Band, ...]
    closed: tuple[Band, ...]
    away: tuple[Band, ...]
    lanes: tuple[Lane, ...]
    more: int


def timeline(host: HostReport) -> Timeline | None:
    """Lay a host's timeline out; ``None`` where nothing was recorded."""
    if host.start is None or host.end is None:
        return None
    scale = _Scale(host.start, max(host.end, host.start + timedelta(seconds=1)))
    return Timeline(
        ticks=tuple(scale.ticks()),
        phases=tuple(scale.band(phase.start, phase.end, phase.name.value, phase.name.words) for phase in host.phases),
        closed=tuple(_closed(host, scale)),
        away=tuple(_away(host, scale)),
        lanes=tuple(_lane(person, scale) for person in host.people[:MOST_LANES]),
        more=max(0, len(host.people) - MOST_LANES),
    )


class _Scale:
    """Moments to per cent."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start = start
        self.end = end
        self._length_s = (end - start).total_seconds()

    def x(self, moment: datetime) -> float:
        """Where a moment stands, kept inside the picture."""
        per_cent = 100 * (moment - self.start).total_seconds() / self._length_s
        return round(min(100.0, max(0.0, per_cent)), 3)

    def band(self, start: datetime, end: datetime, kind: str, text: str = "") -> Band:
        """A stretch, at least as wide as can be seen."""
        x = min(self.x(start), 100.0 - LEAST)
        width = round(max(LEAST, self.x(end) - x), 3)
        title = f"{text or kind}, {words.clock(start)} to {words.clock(end)} ({words.took(start, end)})"
        return Band(x, width, kind, text if width >= ROOM_FOR_TEXT else "", title)

    def ticks(self) -> Iterator[Tick]:
        """Round times, a handful at most."""
        step_s = next((each for each in _STEPS_S if self._length_s / each <= MOST_TICKS), None)
        if step_s is None:
            days = int(self._length_s / _STEPS_S[-1] / MOST_TICKS) + 1
            step_s = days * _STEPS_S[-1]
        midnight = self.start.replace(hour=0, minute=0, second=0, microsecond=0)
        number = -(-(self.start - midnight).total_seconds() // step_s)
        moment = midnight + timedelta(seconds=number * step_s)
        while moment <= self.end:
            x = self.x(moment)
            text = f"{moment:%H:%M:%S}" if step_s < 60 else f"{moment:%H:%M}" if step_s < 86_400 else f"{moment:%m-%d}"
            yield Tick(x, text, "start" if x < 6 else "end" if x > 94 else "middle")
            moment += timedelta(seconds=step_s)


def _closed(host: HostReport, scale: _Scale) -> Iterator[Band]:
    """When new logons were kept out, as far as it was seen."""
    modes = [(mode, next(seen).at) for mode, seen in groupby(host.seen, key=lambda seen: seen.logons)]
    for (mode, start), end in zip(modes, [*(at for _, at in modes[1:]), scale.end], strict=False):
        if mode not in {None, LogonMode.ENABLED}:
            yield scale.band(start, end, "closed", f"logons: {words.plain(mode)}")


def _away(host: HostReport, scale: _Scale) -> Iterator[Band]:
    """From the order to go down until the host was seen up again, or until the record ends."""
    if host.ordered is not None:
        yield scale.band(host.ordered, host.booted or scale.end, "away", "away")


def _lane(person: Person, scale: _Scale) -> Lane:
    kind = words.mood_of(person)
    stays = person.result in {Result.KEPT, Result.UNKNOWN, Result.REFUSED}
    end = scale.end if stays or person.at is None else person.at
    band = scale.band(person.since, max(end, person.since), kind)
    result = words.result_of(person)
    return Lane(
        name=words.person_of(person),
        result=f"{result} {words.clock(person.at)}".rstrip(),
        kind=kind,
        band=band._replace(title=f"{words.person_of(person)}: {result}"),
        dots=tuple(
            Dot(scale.x(notice.at), "shown" if notice.result is Result.SHOWN else "other", words.notice_of(notice))
            for notice in person.notices
        ),
    )
