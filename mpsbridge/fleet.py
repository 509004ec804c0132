"""Many hosts: one job for each on threads, outcomes in the order asked for, and one dead host never stops the others.

Rules: this is the only place where an error becomes an outcome (:func:`_attempt` holds the one broad ``except``). A
host stays open between two calls of :meth:`Fleet.run`, so a plan and its acts share one connection. An outcome is
handed out as soon as it is known; letting go of the connection happens after that, off the caller's path.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from mpsbridge.clock import Clock, SystemClock
from mpsbridge.errors import Interrupted, MpsBridgeError
from mpsbridge.host import Host
from mpsbridge.models.outcomes import Done, Failed, Failure, Outcome
from mpsbridge.models.targets import Target

log = logging.getLogger(__name__)

V = TypeVar("V")
CLOSE_LIMIT_S = 5.0
"""Seconds that :meth:`Fleet.close` waits for connections to be let go; what hangs longer is left to its own limit."""
CANCEL_LIMIT_S = 10.0
"""Seconds that an interrupted run waits for the hosts at work."""
GRACE_LIMIT_S = 40.0
"""The same where they give back what they hold first: 10 s for the step at work, 30 s for giving back."""


class Fleet:
    """The hosts of one call. Use it as a context manager; leaving it closes every connection.

    ``concurrency`` bounds the threads; ``connect`` makes a host from a target (tests pass their own). Ctrl-C cancels
    what runs; with ``graceful`` it only sets ``stop``, and jobs that heed it have 40 s to give back what they hold.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        concurrency: int = 32,
        clock: Clock | None = None,
        connect: Callable[[Target], Host] = Host,
        graceful: bool = False,
    ) -> None:
        self.targets = tuple(targets)
        self._clock = clock or SystemClock()
        self._hosts = [connect(target) for target in self.targets]
        self._pool = ThreadPoolExecutor(max(1, min(concurrency, len(self._hosts))), thread_name_prefix="mpsbridge")
        self._graceful = graceful
        self.stop = threading.Event()

    def run(self, job: Callable[[Host], V], *, only: Sequence[int] | None = None) -> list[Outcome[V]]:
        """Do ``job`` on every host (or those at the places ``only``); the outcomes in that order."""
        places = range(len(self._hosts)) if only is None else only
        found = dict(self.stream(job, only=places))
        return [found[place] for place in places]

    def stream(
        self, job: Callable[[Host], V], *, only: Sequence[int] | None = None
    ) -> Iterator[tuple[int, Outcome[V]]]:
        """The same as they come: ``(place, outcome)``.

        A first Ctrl-C ends what runs and yields what became of it; a second one is raised.
        """
        places = list(range(len(self._hosts)) if only is None else only)
        results: queue.SimpleQueue[tuple[int, Outcome[V]]] = queue.SimpleQueue()

        def work(place: int) -> None:
            results.put((place, self._attempt(self._hosts[place], job)))

        for place in places:
            self._pool.submit(work, place)
        missing = set(places)
        end: float | None = None
        while missing:
            if self.interrupted and end is None:  # one limit for all hosts, however many of them hang
                end = self._clock.monotonic() + (GRACE_LIMIT_S if self._graceful else CANCEL_LIMIT_S)
            try:
                left_s = None if end is None else max(0.0, end - self._clock.monotonic())
                place, outcome = results.get(timeout=left_s)
            except KeyboardInterrupt:
                if self.interrupted:
                    raise
                self._interrupt()
                continue
            except queue.Empty:
                place = missing.pop()
                outcome = self._interrupted_outcome(place)
            missing.discard(place)
            yield place, outcome

    @property
    def interrupted(self) -> bool:
        """Whether the run was cut short (Ctrl-C, SIGTERM, :meth:`cancel`)."""
        return self.stop.is_set()

    def _interrupt(self) -> None:
        if self._graceful:
            self.stop.set()
        else:
            self.cancel()

    def _interrupted_outcome(self, place: int) -> Failed:
        target = self.targets[place]
        error = Interrupted("interrupted; the host did not answer any more")
        return Failed(host=target.host, address=target.address, elapsed_s=0.0, failure=Failure.of(error))

    def _attempt(self, host: Host, job: Callable[[Host], V]) -> Outcome[V]:
        target, started = host.target, self._clock.monotonic()
        try:
            if self.interrupted:
                raise Interrupted("interrupted before anything was sent", may_have_run=False)
            value = job(host)
        except MpsBridgeError as error:
            failure = Failure.of(error)
        except Exception as error:  # one broken host must never stop the others
            log.debug("%s: unexpected %s", target.host, type(error).__name__, exc_info=True)
            failure = Failure(
                kind="internal",
                message=f"unexpected {type(error).__name__}: {error}",
                hint="This is a fault of mpsbridge; -v shows where.",
                may_have_run=True,
            )
        else:
            elapsed_s = self._clock.monotonic() - started
            return Done(host=target.host, address=target.address, elapsed_s=elapsed_s, value=value)
        elapsed_s = self._clock.monotonic() - started
        return Failed(host=target.host, address=target.address, elapsed_s=elapsed_s, failure=failure)

    def cancel(self) -> None:
        """End every running job at once and begin no new one; may be called from any thread."""
        self.stop.set()
        for host in self._hosts:
            host.cancel()

    def close(self) -> None:
        """Let go of all hosts at the same time; never raises, and does not wait for one that hangs."""
        for host in self._hosts:
            self._pool.submit(host.close)
        done = threading.Thread(target=self._pool.shutdown, daemon=True)
        done.start()
        done.join(CLOSE_LIMIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
