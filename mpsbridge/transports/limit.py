"""Until when a call may take, and whether it was cancelled.

One :class:`Limit` belongs to one transport and is asked before every step that can wait. Rules: every wait is given
only what is left, so a peer that answers a little at a time gains nothing; a cancel is final; what cannot be
interrupted (a name look-up, a Kerberos library that talks to its own servers) runs in a thread that is left behind.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from typing import TypeVar

from mpsbridge.clock import Clock

T = TypeVar("T")


class Limit:
    """One deadline, and a flag that any thread may set."""

    def __init__(self, clock: Clock) -> None:
        self.cancelled = False
        self._clock = clock
        self._end = -math.inf
        self._stepped_at = -math.inf
        self._waiting: Future[object] | None = None

    def start(self, seconds: float) -> None:
        """From now on this much time is left."""
        self.step()
        self._end = self._clock.monotonic() + seconds

    def step(self) -> None:
        """Note that the peer is not silent: it has answered, or has not been asked yet."""
        self._stepped_at = self._clock.monotonic()

    def silent_s(self) -> float:
        """Seconds since the last :meth:`step`; from any thread."""
        return self._clock.monotonic() - self._stepped_at

    def moment(self, seconds: float) -> float:
        """The moment so many seconds from now, for :meth:`left` and :meth:`call`."""
        return self._clock.monotonic() + seconds

    def left(self, by: float = math.inf) -> float:
        """Seconds until the deadline, or until the moment ``by`` if that is earlier; always more than 0.

        Raises ``TimeoutError`` when none is left and ``ConnectionAbortedError`` after a cancel.
        """
        if self.cancelled:
            raise ConnectionAbortedError("cancelled")
        left = min(self._end, by) - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError("the time is up")
        return left

    @contextlib.contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """Inside the block the deadline is no later than so many seconds from now."""
        end, self._end = self._end, min(self._end, self.moment(seconds))
        try:
            yield
        finally:
            self._end = end

    def call(self, function: Callable[[], T], by: float = math.inf) -> T:
        """Wait for a function that cannot be interrupted, no longer than :meth:`left` allows.

        It runs in a daemon thread; when the time is up or :meth:`cancel` comes, nobody waits for it any more.
        """
        outcome: Future[T] = Future()

        def begin() -> None:
            threading.Thread(target=_fulfil, args=(outcome, function), name="mpsbridge-wait", daemon=True).start()

        return self.wait(outcome, by, begin=begin)

    def wait(self, outcome: Future[T], by: float = math.inf, *, begin: Callable[[], None] = lambda: None) -> T:
        """The result of a future, waited for no longer than :meth:`left` allows; ``begin`` sets about it.

        Raises ``TimeoutError``, and ``CancelledError`` after a :meth:`cancel`.
        """
        self._waiting = outcome  # type: ignore[assignment]  # only ever cancelled, whatever it would hold
        left = self.left(by)  # asked only now: a cancel() before this line is seen here, a later one finds the future
        begin()
        return outcome.result(left)

    def cancel(self) -> None:
        """No more time for anything; comes from any thread and is final."""
        self.cancelled = True
        if (waiting := self._waiting) is not None:
            waiting.cancel()


def _fulfil(outcome: Future[T], function: Callable[[], T]) -> None:
    with contextlib.suppress(InvalidStateError):  # cancelled meanwhile: nobody waits
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
            outcome.set_exception(error)
        else:
            outcome.set_result(result)
