"""A maintenance plan from a file: which hosts, why, how, and in which waves.

Rules: nothing is contacted here; a key that is not known and a value that cannot be used are errors that name file and
line; who may begin is decided by :func:`decide` alone, from counts, so that it can be proved.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator

from mpsbridge.clock import Clock
from mpsbridge.ending.policy import Allowances, Closing
from mpsbridge.errors import InputError, NotBegun, NoTurn
from mpsbridge.files import read_text
from mpsbridge.models.durations import parse_duration
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.then import Then
from mpsbridge.models.toml import load, problems

SCHEMA = "mpsbridge-plan/1"


def _duration(text: str) -> str:
    parse_duration(text)
    return text


Duration = Annotated[str, AfterValidator(_duration)]


def _amount(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if whole or (isinstance(value, str) and re.fullmatch(r"(100|[1-9]?[0-9])%", value)):
        return value
    raise ValueError('it is a number of hosts, or a part of them such as "25%"')


Amount = Annotated[int | str, BeforeValidator(_amount)]
"""A number of hosts, or a part of the plan's."""


class PolicyTable(Allowances):
    """``[policy]``: the options of ``end`` by their names, with ``_``. Without a selector it means every session."""

    all: bool = False
    user: tuple[str, ...] = ()
    disconnected: bool = False
    disconnected_over: Duration | None = None
    idle_over: Duration | None = None
    keep_user: tuple[str, ...] = ()
    keep_session: tuple[str, ...] = ()
    logons: Closing = Closing.DEFAULT
    no_failsafe: bool = False
    settle: Duration = "2m"
    force_after: Duration | None = None
    return_timeout: Duration = "60m"
    host_deadline: Duration = "3h"
    deadline: Duration = "6h"


class NoticesTable(Frozen):
    """``[notices]``: when people are told before the end (an empty list: nobody is), and a text of one's own."""

    at: tuple[Duration, ...] = ("15m", "5m", "1m")
    file: Path | None = None


class WavesTable(Frozen):
    """``[waves]``: how many hosts are in maintenance ``at_once``, and how many must stay available (``floor``), each a
    number or a part of the plan's hosts (``"25%"``); after how many failures (``stop_after``) and after which time
    (``not_after``) no host begins any more. A time of day means the next one; a time without offset is this machine's.
    """

    at_once: Amount | None = None
    floor: Amount = 0
    stop_after: int | None = Field(default=None, ge=1)
    not_after: datetime | time | None = None

    @field_validator("at_once")
    @classmethod
    def _somebody_works(cls, value: int | str | None) -> int | str | None:
        if value == 0:
            raise ValueError("it is a number of hosts, at least 1")
        return value

    @property
    def limited(self) -> bool:
        """Whether hosts depend on each other here."""
        return self != WavesTable()


class Plan(Frozen):
    """The whole file."""

    schema_: Literal["mpsbridge-plan/1"] = Field(alias="schema")
    hosts: tuple[str, ...] = Field(min_length=1)
    reason: str = Field(min_length=1)
    then: Then = Then.NOTHING
    policy: PolicyTable = PolicyTable()
    notices: NoticesTable = NoticesTable()
    waves: WavesTable = WavesTable()


def read_plan(path: Path) -> Plan:
    """Read a plan; a notice's file is looked for beside it. Raises ``InputError`` that names file, line and key."""
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise InputError(f"the plan {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        plan = Plan.model_validate(load(text))
    except ValidationError as error:
        raise InputError("; ".join(problems(path, text, error))) from error
    except ValueError as error:
        raise InputError(f"the plan {path} is not TOML: {error}") from error
    if plan.notices.file is not None:
        beside = plan.notices.model_copy(update={"file": path.parent / plan.notices.file})
        return plan.model_copy(update={"notices": beside})
    return plan


def again(path: Path, hosts: Sequence[str]) -> str:
    """The same plan for these hosts only, as text; comments and order stay."""
    import tomlkit  # noqa: PLC0415 - 10 ms, and only where something is left

    document = tomlkit.parse(path.read_text(encoding="utf-8-sig"))
    document["hosts"] = list(hosts)
    return tomlkit.dumps(document)


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
    today = datetime.combine(now.astimezone().date(), when).astimezone()
    return today if today > now else today + timedelta(days=1)


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


def without_a_turn(
    limit: Limits, order: Sequence[str], *, hosts: int, out: int, now: datetime, serve_again: bool
) -> dict[str, str]:
    """The hosts that would not begin, and why, if each that does goes well; ``serve_again``: they come back by that."""
    count, never = Count(hosts, out), dict[str, str]()
    for host in order:
        said = decide(limit, count, now)
        if said != "begin":
            never[host] = f"not begun: {said}"
        elif not serve_again:
            count = count._replace(out=count.out + 1)
    return never


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

    def leave(self, *, serves: bool, failed: bool) -> None:
        """A host has finished: whether it serves people again, and whether it counts as a failure."""
        with self._changed:
            count = self._count
            self._count = count._replace(
                at_work=count.at_work - 1, out=count.out + (not serves), failures=count.failures + failed
            )
            self._changed.notify_all()
