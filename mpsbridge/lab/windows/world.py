"""All make-believe hosts, the clock they live by, and what has happened to them.

Rules of this package: a world is nothing but computers with Windows. It knows sessions, processes, stations, files,
the registry, tasks, events and power, and of no program that is run on them what it is for; it imports nothing of the
product but its clock. All state is touched under ``World.lock`` only; time comes from the clock passed in, so a world
stands still while its clock does; whatever changes is recorded, in order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpsbridge.clock import Clock, SystemClock

if TYPE_CHECKING:
    from mpsbridge.lab.windows.host import LabHost


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened on a host: ``message``, ``disconnect``, ``logoff`` (ordered), ``reset``, ``logon``,
    ``reconnect``, or without a session ``logons`` (the mode), ``file``, ``task``, ``mode``, ``restart`` or
    ``shutdown``. Times are ISO 8601 with offset.
    """

    host: str
    act: str
    session_id: int | None
    user: str | None
    logon: str | None
    at: str
    text: str = ""


class World:
    """All hosts, the clock they live by, and what has happened so far.

    ``with world.changing() as hosts:`` gives the hosts by name with the lock held.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.lock = threading.RLock()
        self.hosts: dict[str, LabHost] = {}
        self.changes: list[Change] = []
        self.on_change: Callable[[Change], None] | None = None

    def add(self, host: LabHost) -> None:
        """One more host; names are unique."""
        self.hosts[host.name] = host

    def live_by(self, clock: Clock) -> None:
        """Live by another clock: times move along, except those that stand in a captured table."""
        with self.lock:
            moved = clock.now() - self.clock.now()
            self.clock = clock
            for host in self.hosts.values():
                host.live_on(moved)

    @contextmanager
    def changing(self) -> Iterator[dict[str, LabHost]]:
        """The hosts, with the lock held."""
        with self.lock:
            yield self.hosts

    def record(self, change: Change) -> None:
        """Note a change (and tell whoever listens)."""
        self.changes.append(change)
        if self.on_change is not None:
            self.on_change(change)
