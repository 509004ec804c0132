"""How far a call is, for people who watch it: the lines of a run, and the bar of a call over many hosts. Pure.

Rules: a view takes in what happens and says what to show at a moment of a ``monotonic`` clock; it neither prints nor
waits. :class:`~mpsbridge.cli.terminal.Terminal` shows it, on a terminal; elsewhere lines come at growing intervals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from mpsbridge.models.counts import counted
from mpsbridge.models.durations import format_duration
from mpsbridge.runs.events import (
    Event,
    Finished,
    HostStopped,
    LeaseReleased,
    LeaseTaken,
    LogonsClosed,
    LogonsRestored,
    Progress,
)

BAR_AFTER_S = 1.0
"""A call that takes no longer needs no bar."""
BAR, LEAST_BAR = 24, 6
"""Cells of a bar; one that would be shorter is left out."""
MOST_NAMED = 3
"""So many hosts are named where only they are still waited for."""
LINES_AT_S = (10.0, 30.0, 90.0)
"""When a call that nobody watches on a terminal says how far it is; after that in steps of the last one."""
_LEASE, _LOGONS = "the lease", "closed logons"
Waited = Sequence[tuple[str, float]]
"""Hosts that have not answered, and for how many seconds."""


class RunView:
    """One line for each host of a run that is at work, and a count of the others."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._state = dict.fromkeys(hosts, "begins")
        self._at_work: dict[str, Progress] = {}
        self._held: dict[str, dict[str, None]] = {host: {} for host in hosts}

    def progress(self, progress: Progress) -> None:
        """A host has come so far."""
        self._state[progress.host] = "at work"
        self._at_work[progress.host] = progress

    def event(self, event: Event) -> None:
        """Something happened on a host."""
        held = self._held.setdefault(event.host, {})
        match event.what:
            case LeaseTaken():
                held[_LEASE] = None
            case LogonsClosed():
                held[_LOGONS] = None
            case LeaseReleased():
                held.pop(_LEASE, None)
            case LogonsRestored():
                held.pop(_LOGONS, None)
            case Finished() | HostStopped():
                self._state[event.host] = "finished" if isinstance(event.what, Finished) else "stopped"
                self._at_work.pop(event.host, None)
            case _:
                pass

    def rows(self, now: datetime, height: int) -> list[tuple[str, ...]]:
        """At most ``height`` lines: host, what is being done, people waited for, time left."""
        working = list(self._at_work.values())
        shown = working if len(working) <= height - 1 else working[: max(0, height - 2)]
        rows: list[tuple[str, ...]] = [(one.host, one.phase.words, _people(one), _left(one, now)) for one in shown]
        if len(working) > len(shown):
            rows.append(("...", f"{len(working) - len(shown)} more at work", "", ""))
        if len(self._state) > 1:
            rows.append(("", self._count(), "", ""))
        return rows

    def left_behind(self) -> list[str]:
        """What each host still holds, or may be doing, if this process ended now."""
        said = []
        for host, state in self._state.items():
            parts = [f"holds {' and '.join(held)}"] if (held := self._held.get(host)) else []
            if state == "at work":
                parts.append(f"was {self._at_work[host].phase.words}: a step of that may still run")
            if parts:
                said.append(f"{host}: {'; '.join(parts)}")
        return said

    def _count(self) -> str:
        states = list(self._state.values())
        words = {"begins": "to begin", "at work": "at work", "finished": "finished", "stopped": "stopped"}
        return ", ".join(f"{states.count(state)} {word}" for state, word in words.items() if state in states)


def _people(progress: Progress) -> str:
    if progress.people is None:
        return ""
    return "1 person" if progress.people == 1 else f"{progress.people} people"


def _left(progress: Progress, now: datetime) -> str:
    if progress.until is None:
        return ""
    left_s = math.ceil((progress.until - now).total_seconds())
    return f"{format_duration(left_s)} left" if left_s > 0 else "now"


class CallView:
    """How many hosts of a call are done, failed and at work, how fast it goes, and how long it may take."""

    def __init__(self, total: int, *, began_s: float, timeout_s: int = 0) -> None:
        self.total = total
        self._timeout_s = timeout_s
        self._began_s = began_s
        self._lines = list(LINES_AT_S)
        self.done = 0
        self.failed = 0

    def settled(self, *, well: bool) -> None:
        """One host is through."""
        self.done += well
        self.failed += not well

    def bar(self, now_s: float, *, waited_for: Waited, columns: int = 120) -> str:
        """One line of at most so many ``columns``; empty while it is not worth one.

        The bar gives way to the words, and of the hosts that are waited for as many are named as there is room for.
        """
        passed_s, through = now_s - self._began_s, self.done + self.failed
        if passed_s < BAR_AFTER_S:
            return ""
        if self.total < 2:
            return self._names(waited_for)
        said = [self._words(passed_s, waited_for, named) for named in range(min(len(waited_for), MOST_NAMED), -1, -1)]
        words = next((one for one in said if len(one) <= columns), said[-1])
        if (width := min(BAR, columns - len(words) - len("[] "))) < LEAST_BAR:
            return words
        filled = width * through // self.total
        return f"[{'#' * filled}{'.' * (width - filled)}] {words}"

    def line(self, now_s: float, *, waited_for: Waited) -> str:
        """What to say where no bar can be shown; mostly nothing, at growing intervals a sentence."""
        passed_s = now_s - self._began_s
        if passed_s < self._lines[0] or self.done + self.failed == self.total:
            return ""
        due = self._lines.pop(0)
        if not self._lines:
            self._lines = [due + LINES_AT_S[-1]]
        return self._words(passed_s, waited_for)

    def _words(self, passed_s: float, waited_for: Waited, named: int = MOST_NAMED) -> str:
        through = self.done + self.failed
        parts = [f"{through} of {counted(self.total, 'host')}"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if len(waited_for) == self.total - through <= MOST_NAMED:
            return ", ".join([*parts, *filter(None, [self._names(waited_for, named)])])
        parts.append(f"{len(waited_for)} at work")
        if through:
            rate = through / passed_s
            parts.append(f"{rate:.1f}/s" if rate >= 1 else f"{60 * rate:.0f}/min")
            parts.append(f"about {format_duration(math.ceil((self.total - through) / rate))} left")
        return ", ".join(parts)

    def _names(self, waited_for: Waited, named: int = MOST_NAMED) -> str:
        """The hosts that are still waited for, so many each with its time, the others counted.

        The limit is for one command, and some send more.
        """
        if not waited_for:
            return ""
        if not named:
            return f"still waiting for {counted(len(waited_for), 'host')}"
        limit = f" of {format_duration(self._timeout_s)}" if self._timeout_s else ""
        names = [
            f"{host} ({format_duration(int(since_s))}{limit if since_s <= self._timeout_s else ''})"
            for host, since_s in waited_for[:named]
        ]
        more = f" and {len(waited_for) - named} more" if len(waited_for) > named else ""
        return f"still waiting for {', '.join(names)}{more}"
