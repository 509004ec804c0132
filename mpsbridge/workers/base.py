"""What a fleet asks of those who do its work, and how an error becomes an outcome.

Rule: this is the only place where an error becomes an outcome (:func:`attempt` holds the one broad ``except``),
wherever the work is done. So threads and a Dask cluster tell the same of the same host. Whatever is raised
becomes one, ``SystemExit`` and the like too: in a worker they end nothing but would leave the host without an outcome.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from typing import Protocol, TypeVar

from mpsbridge.clock import Clock
from mpsbridge.errors import Interrupted, MpsBridgeError, Unexpected
from mpsbridge.host import Host
from mpsbridge.models.outcomes import Done, Failed, Failure, Outcome
from mpsbridge.models.targets import Target

log = logging.getLogger(__name__)

V = TypeVar("V")


class WorkerDied(BrokenExecutor):
    """The process that had a task is gone; nobody knows how far it came."""


class Workers(Protocol):
    """Who does the jobs. A host is named by its place among the fleet's targets."""

    def begin(
        self,
        place: int,
        job: Callable[[Host], V],
        *,
        left_s: float | None,
        settled: Callable[[Outcome[V]], None],
        free: Callable[[], None],
    ) -> None:
        """Do ``job`` on one host, soon and elsewhere: call ``settled`` once with its outcome, later ``free`` once.

        Between the two the connection is let go of. ``left_s`` is the time for both, ``None`` without a limit.
        """
        ...

    def silent_s(self, place: int) -> float:
        """Seconds since a host at work last made a step; infinite where nobody knows."""
        ...

    def interrupt(self, *, begun_before: float) -> None:
        """End each command that was sent before that moment of ``monotonic()``; the jobs go on; from any thread."""
        ...

    def cancel(self, error: Interrupted) -> None:
        """End every job at once; from any thread. ``error`` is the outcome of a host that is not waited for."""
        ...

    def close(self) -> None:
        """Let go of everything; never raises, and does not wait for a host that hangs."""
        ...


def attempt(target: Target, act: Callable[[], V], clock: Clock) -> Outcome[V]:
    """Do something about one host; what comes of it, or what went wrong, as data."""
    started = clock.monotonic()
    try:
        value = act()
    except MpsBridgeError as error:
        return failed(target, error, elapsed_s=clock.monotonic() - started)
    except BaseException as error:  # one broken host must never stop the others
        log.debug("%s: unexpected %s", target.host, type(error).__name__, exc_info=True)
        return failed(target, Unexpected.of(error), elapsed_s=clock.monotonic() - started)
    elapsed_s = clock.monotonic() - started
    return Done(host=target.host, address=target.address, elapsed_s=elapsed_s, value=value)


def failed(target: Target, failure: Failure | MpsBridgeError, *, elapsed_s: float = 0.0) -> Failed:
    """The outcome of a host about which something went wrong."""
    data = failure if isinstance(failure, Failure) else Failure.of(failure)
    return Failed(host=target.host, address=target.address, elapsed_s=elapsed_s, failure=data)
