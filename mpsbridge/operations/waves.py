"""Waves: how many hosts of a plan are in maintenance at once, and when no host begins any more.

Rule: who may begin is decided by :func:`decide` alone, from counts, so that it can be proved.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, field_validator

from mpsbridge.clock import Clock
from mpsbridge.errors import NotBegun, NoTurn
from mpsbridge.models.frozen import Frozen
from mpsbridge.runs.ended import Turn

_PART = r"(100|[1-9]?[0-9])%"


def _amount(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if whole or (isinstance(value, str) and re.fullmatch(_PART, value)):
        return value
    raise ValueError('it is a number of hosts, or a part of them such as "25%"')


Amount = Annotated[
    int | str,
    BeforeValidator(_amount),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^{_PART}$"}]}),
]
"""A number of hosts, or a part of the plan's."""


_RECORDED_TIME = re.compile(r"\d\d:\d\d:\d\d(\.\d+)?")
_RECORDED_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def _a_time(value: object) -> object:
    """A time as TOML has it, or as the record of a run writes it; a date, or any other text, is not one."""
    if value is None or isinstance(value, datetime | time):
        pass
    elif not isinstance(value, str):
        raise ValueError("it is not a time: write 05:00:00, or 2026-11-30T05:00:00")
    elif not (_RECORDED_TIME.fullmatch(value) or _RECORDED_MOMENT.fullmatch(value)):
        raise ValueError("it is a text: write the time without quotes, as 05:00:00 or 2026-11-30T05:00:00")
    return value


def _of_this_age(when: datetime | time | None) -> datetime | time | None:
    """One that every zone can tell, and people mean."""
    if isinstance(when, datetime) and not 2000 <= when.year <= 9000:
        raise ValueError(f"the year {when.year} is not possible, write one from 2000 to 9000")
    return when


When = Annotated[datetime | time | None, BeforeValidator(_a_time), AfterValidator(_of_this_age)]


class WavesTable(Frozen):
    """``[waves]``: how many hosts are in maintenance ``at_once``, and how many must stay available (``floor``), each a
    number or a part of the plan's hosts (``"25%"``); after how many failures (``stop_after``) and after which time
    (``not_after``) no host begins any more. A time of day means the next one; a time without offset is this machine's.
    """

    at_once: Amount | None = None
    floor: Amount = 0
    stop_after: int | None = Field(default=None, ge=1, strict=True)
    not_after: When = None

    @field_validator("at_once")
    @classmethod
    def _somebody_works(cls, value: int | str | None) -> int | str | None:
        if value in {0, "0%"}:
            raise ValueError('it is a number of hosts, at least 1, or a part of them such as "25%"')
        return value

    def fixed(self, now: datetime) -> WavesTable:
        """The same with the moment that a time of day means ``now``: a plan that waits, or goes on, means no other."""
        return self.model_copy(update={"not_after": _moment(self.not_after, now)})

    @property
    def limited(self) -> bool:
        """Whether hosts depend on each other here."""
        return self != WavesTable()


class Limits(NamedTuple):
    """What the waves of a plan mean for so many hosts."""

    at_once: int
    available: int
    stop_after: int | None = None
    not_after: datetime | None = None


def limits(waves: WavesTable, hosts: int, now: datetime) -> Limits:
    """In numbers: a part of the hosts is rounded so that fewer are away; at least one may always be at work."""
    at_once = hosts if waves.at_once is None else max(1, _count(waves.at_once, hosts, up=False))
    return Limits(at_once, _count(waves.floor, hosts, up=True), waves.stop_after, _moment(waves.not_after, now))


def _count(amount: int | str, hosts: int, *, up: bool) -> int:
    if isinstance(amount, int):
        return amount
    part = int(amount.removesuffix("%")) * hosts
    return (part + 99) // 100 if up else part // 100


def _moment(when: datetime | time | None, now: datetime) -> datetime | None:
    if when is None:
        return None
    if isinstance(when, datetime):
        return when.astimezone()
    day = now.astimezone().date()
    today = datetime.combine(day, when).astimezone()
    return today if today > now else datetime.combine(day + timedelta(days=1), when).astimezone()


class Count(NamedTuple):
    """How it stands: hosts of the plan, those that do not serve (down at first, failed, shut down), those at work."""

    hosts: int
    out: int = 0
    at_work: int = 0
    failures: int = 0


Decision = Literal["begin", "wait"]


def decide(limit: Limits, count: Count, now: datetime) -> Decision | str:
    """Whether one more host may begin: ``begin``, ``wait``, or a sentence why none will any more."""
    if limit.stop_after is not None and count.failures >= limit.stop_after:
        return f"stopped after {count.failures} failures (stop_after)"
    if limit.not_after is not None and now > limit.not_after:
        return f"it is after {limit.not_after:%Y-%m-%d %H:%M} (not_after)"
    serving = count.hosts - count.out - count.at_work
    if count.at_work < limit.at_once and serving - 1 >= limit.available:
        return "begin"
    if count.at_work == 0:
        return f"{serving} of {count.hosts} hosts serve, and {limit.available} must (floor)"
    return "wait"


class Forecast(NamedTuple):
    """The ``turns`` of the hosts of a plan, in the order in which they begin, and why the others ``never`` begin."""

    turns: dict[str, Turn]
    never: dict[str, str]


def forecast(
    limit: Limits, waiting: Sequence[tuple[str, int]], count: Count, now: datetime, *, serve_again: bool
) -> Forecast:
    """Who begins when if each host goes well and takes the seconds beside it; ``serve_again``: they come back by that.

    Decided by :func:`decide`, as the run itself does.
    """
    turns, at_work, passed_s, begins_s = dict[str, Turn](), list[int](), 0, list[int]()
    left = deque(waiting)
    while left:
        said = decide(limit, count, now + timedelta(seconds=passed_s))
        if said == "begin":
            host, takes_s = left.popleft()
            if passed_s not in begins_s:
                begins_s.append(passed_s)
            turns[host] = Turn(wave=len(begins_s), begins_s=passed_s, ends_s=passed_s + takes_s)
            at_work.append(passed_s + takes_s)
            count = count._replace(at_work=count.at_work + 1)
        elif said == "wait":
            passed_s = max(passed_s, min(at_work))
            at_work.remove(min(at_work))
            count = count._replace(at_work=count.at_work - 1, out=count.out + (not serve_again))
        else:
            if passed_s and limit.not_after is not None and now <= limit.not_after:
                said += ", if each host before it takes as long as it may"
            return Forecast(turns, {host: f"not begun: {said}" for host, _ in left})
    return Forecast(turns, {})


class Turnstile:
    """Lets hosts begin one by one, in ``order``, as :func:`decide` says; each waits in a thread of its own.

    ``out`` hosts of the plan do not serve from the start. ``stop`` ends every wait.
    """

    LOOK_S = 0.5
    """How often one that waits looks at the clock and at ``stop``."""

    def __init__(
        self, limit: Limits, order: Sequence[str], *, hosts: int, out: int, clock: Clock, stop: threading.Event
    ) -> None:
        self._limit = limit
        self._order = deque(order)
        self._count = Count(hosts, out)
        self._clock = clock
        self._stop = stop
        self._never = ""
        self._changed = threading.Condition()

    def enter(self, host: str) -> None:
        """Wait for this host's turn. Raises ``NoTurn`` where it never comes, ``NotBegun`` where it is stopped."""
        with self._changed:
            while not self._is_turn(host):
                if self._never:
                    raise NoTurn(f"not begun: {self._never}")
                if self._stop.is_set():
                    raise NotBegun("stopped before its turn; nothing was sent")
                self._changed.wait(self.LOOK_S)
            self._order.popleft()
            self._count = self._count._replace(at_work=self._count.at_work + 1)
            self._changed.notify_all()

    def _is_turn(self, host: str) -> bool:
        if self._never or self._stop.is_set() or self._order[0] != host:
            return False
        said = decide(self._limit, self._count, self._clock.now())
        if said not in {"begin", "wait"}:
            self._never = said
        return said == "begin"

    def give_up(self, host: str, *, failed: bool) -> None:
        """A host is over without having begun, so the others do not wait for it; whether it counts as a failure."""
        with self._changed:
            if host in self._order:
                self._order.remove(host)
                self._count = self._count._replace(failures=self._count.failures + failed)
                self._changed.notify_all()

    def leave(self, *, serves: bool, failed: bool) -> None:
        """A host has finished: whether it serves people again, and whether it counts as a failure."""
        with self._changed:
            count = self._count
            self._count = count._replace(
                at_work=count.at_work - 1, out=count.out + (not serves), failures=count.failures + failed
            )
            self._changed.notify_all()
