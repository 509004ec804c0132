"""Reading through any ``concurrent.futures.Executor``: in other processes, here or on other machines.

Rules: only reading leaves this process, because only reading may be repeated when a worker dies. Targets, questions and
outcomes travel, connections never do: each host is connected to, asked and let go of in one task. A host whose worker
died is read once more, and its outcome says so; a worker dies with all the hosts that it was reading.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Generic, NamedTuple, TypeVar

from mpsbridge.clock import SystemClock
from mpsbridge.errors import Interrupted, SettingsError, WorkerLost
from mpsbridge.host import Host
from mpsbridge.models.credentials import KeyTable, Password, Ticket
from mpsbridge.models.outcomes import Outcome
from mpsbridge.models.targets import Target
from mpsbridge.workers.base import attempt, failed

V = TypeVar("V")
READ_AGAIN = "read a second time: the worker process that read it first died"


class Reading(NamedTuple, Generic[V]):
    """All that a worker needs to read one host; it can be pickled if ``job`` can.

    ``password_variable`` names the variable of the worker's environment that holds the password, where the password
    itself does not travel. ``left_s`` is the time that is left for the whole call, ``None`` without a limit.
    """

    target: Target
    job: Callable[[Host], V]
    timeout_s: float
    left_s: float | None = None
    password_variable: str | None = None


def read(reading: Reading[V]) -> Outcome[V]:
    """Connect to one host, ask, and let go of it: what a worker does. Never raises."""
    clock = SystemClock()
    deadline = math.inf if reading.left_s is None else clock.monotonic() + reading.left_s

    def act() -> V:
        host = Host(_with_password(reading), timeout_s=reading.timeout_s, clock=clock)
        host.deadline = deadline
        try:
            return reading.job(host)
        finally:
            host.close()

    return attempt(reading.target, act, clock)


def _with_password(reading: Reading[V]) -> Target:
    if reading.password_variable is None or isinstance(reading.target.credentials, KeyTable):
        return reading.target
    password = os.environ.get(reading.password_variable)
    if not password:
        raise SettingsError(f"the worker's environment has no variable {reading.password_variable}")
    target = reading.target
    return target.model_copy(update={"credentials": Password(target.username or "", password)})


class ExecutorWorkers:
    """Workers behind an executor, which is shut down by :meth:`close`. ``job`` must be picklable where they need it."""

    def __init__(
        self,
        targets: Sequence[Target],
        executor: Executor,
        *,
        timeout_s: float = 60.0,
        password_variable: str | None = None,
    ) -> None:
        self._targets = targets
        self._executor = executor
        self._timeout_s = timeout_s
        self._password_variable = password_variable
        self._cancels: dict[int, Callable[[Interrupted], None]] = {}
        self._lock = threading.Lock()

    def begin(
        self,
        place: int,
        job: Callable[[Host], V],
        *,
        left_s: float | None,
        settled: Callable[[Outcome[V]], None],
        free: Callable[[], None],
    ) -> None:
        """Submit the reading of one host."""
        target = self._targets[place]
        if self._password_variable is not None and isinstance(target.credentials, Password):
            target = target.model_copy(update={"credentials": Ticket(target.username)})
        reading = Reading(target, job, self._timeout_s, left_s, self._password_variable)

        def settle(outcome: Outcome[V]) -> None:
            with self._lock:
                first = self._cancels.pop(place, None)
            if first is not None:
                settled(outcome)
                free()

        def cancel(error: Interrupted) -> None:
            settle(failed(target, error))

        self._cancels[place] = cancel
        self._submit(reading, settle, again=False)

    def _submit(self, reading: Reading[V], settle: Callable[[Outcome[V]], None], *, again: bool) -> None:
        def done(future: Future[Outcome[V]]) -> None:
            try:
                outcome = future.result()
            except BrokenExecutor as error:
                if again:
                    settle(failed(reading.target, WorkerLost(f"the worker that read it died, twice: {error}")))
                else:
                    self._submit(reading, settle, again=True)
            except BaseException as error:  # noqa: BLE001 - whatever an executor raises is no answer of the host
                words = f"the worker gave no outcome: {type(error).__name__}: {error}"
                settle(failed(reading.target, WorkerLost(words)))
            else:
                settle(outcome.model_copy(update={"note": READ_AGAIN}) if again else outcome)

        try:
            future = self._executor.submit(read, reading)
        except (RuntimeError, OSError) as error:  # BrokenExecutor is one, and so is an executor that was shut down
            settle(failed(reading.target, WorkerLost(f"no worker is left to read it: {error}")))
        else:
            future.add_done_callback(done)

    def silent_s(self, place: int) -> float:  # noqa: ARG002 - the same for all
        """Nobody knows here: the time since it began counts."""
        return math.inf

    def interrupt(self, *, begun_before: float) -> None:
        """Nothing: reading holds nothing that would have to be given back."""

    def cancel(self, error: Interrupted) -> None:
        """Wait for no worker any more."""
        with self._lock:
            cancels = list(self._cancels.values())
        for cancel in cancels:
            cancel(error)

    def close(self) -> None:
        """Let the executor go, and whatever is still at work with it."""
        self._executor.shutdown(wait=False, cancel_futures=True)
