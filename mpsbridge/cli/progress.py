"""How far a run is, for people who watch it: a line for each host at work. Pure.

Rules: a view takes in what happens and says what to show at a moment of a ``monotonic`` clock; it neither prints nor
waits. :class:`~mpsbridge.cli.terminal.Terminal` shows it, on a terminal; elsewhere lines come at growing intervals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

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

_LEASE, _LOGONS = "the lease", "closed logons"


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
