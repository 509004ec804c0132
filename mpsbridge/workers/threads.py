"""Jobs on threads of this process, where the connections are. The only workers that may act.

Rules: a host has one connection and is in one thread at a time; an outcome is handed out as soon as it is known, and
letting go of the connection comes after that; of a host that is not kept nothing stays in memory but its target.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from mpsbridge.clock import Clock
from mpsbridge.errors import Interrupted, NotBegun, Stopped
from mpsbridge.host import Host
from mpsbridge.models.outcomes import Outcome
from mpsbridge.models.targets import Target
from mpsbridge.workers.base import attempt, failed

V = TypeVar("V")
CLOSE_LIMIT_S = 5.0
"""Seconds that :meth:`HostThreads.close` waits for connections to be let go; what hangs longer is left to its limit."""
CLOSE_AT_ONCE = 32


class HostThreads:
    """At most ``most`` threads. With ``keep`` a host stays connected after a job, for the next one."""

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        connect: Callable[[Target], Host],
        clock: Clock,
        stop: threading.Event,
        most: int,
        keep: bool,
    ) -> None:
        self._targets = targets
        self._connect = connect
        self._clock = clock
        self._stop = stop
        self._keep = keep
        self._hosts: dict[int, Host] = {}
        self._pool = ThreadPoolExecutor(max(1, min(most, len(targets))), thread_name_prefix="mpsbridge")

    def begin(
        self,
        place: int,
        job: Callable[[Host], V],
        *,
        left_s: float | None,
        settled: Callable[[Outcome[V]], None],
        free: Callable[[], None],
    ) -> None:
        """Do the job in a thread; where none can be had, that is the outcome."""
        deadline = math.inf if left_s is None else self._clock.monotonic() + left_s
        turn = threading.Lock()
        """Taken by whoever settles the host: its thread, or this one where no thread can be had."""

        def work() -> None:
            if not turn.acquire(blocking=False):
                return
            try:
                settled(attempt(self._targets[place], lambda: job(self._ready(place, deadline)), self._clock))
                if not self._keep and (host := self._hosts.pop(place, None)) is not None:
                    host.close()
            finally:
                free()

        try:
            self._pool.submit(work)
        except (RuntimeError, MemoryError) as error:  # the pool keeps the job, and another thread may take it yet
            if turn.acquire(blocking=False):
                settled(failed(self._targets[place], NotBegun(f"no thread for it: {error}; nothing was sent")))
                free()

    def _ready(self, place: int, deadline: float) -> Host:
        host = self._hosts.get(place) or self._connect(self._targets[place])
        self._hosts[place] = host  # before the question whether all is over: who cancels either finds it or is seen
        host.deadline = deadline
        if self._stop.is_set():
            raise Stopped("interrupted before anything was sent")
        return host

    def silent_s(self, place: int) -> float:
        """Seconds since the host's connection last made a step."""
        host = self._hosts.get(place)
        return math.inf if host is None else host.silent_s()

    def interrupt(self, *, begun_before: float) -> None:
        """End the commands that are older."""
        for host in list(self._hosts.values()):
            host.interrupt(begun_before=begun_before)

    def cancel(self, error: Interrupted) -> None:  # noqa: ARG002 - each host knows better how far it came
        """End every running job at once."""
        for host in list(self._hosts.values()):
            host.cancel()

    def close(self) -> None:
        """Let go of the hosts, many at the same time; never raises, and does not wait for one that hangs."""
        hosts = deque(self._hosts.values())

        def close_some() -> None:
            while hosts:
                hosts.popleft().close()

        for _ in range(min(CLOSE_AT_ONCE, len(hosts))):
            with suppress(RuntimeError, MemoryError):  # no thread for it: the process ends soon
                self._pool.submit(close_some)
        done = threading.Thread(target=self._pool.shutdown, daemon=True)
        done.start()
        done.join(CLOSE_LIMIT_S)
