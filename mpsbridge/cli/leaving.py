"""How a command leaves: with an exit code, when it is interrupted, and when it is interrupted twice.

Rules: the first SIGINT, SIGTERM (a cancelled CI job), SIGHUP (a closed ssh window; not where it was ignored at the
start, as by ``nohup``) or SIGBREAK (Windows) is a ``KeyboardInterrupt``, so that what is held is given back. In a call
that may act it is raised only where a person is waited for; elsewhere it is a flag that the fleet looks at, so that it
strikes neither a write of the record nor the telling of what was done. What follows within two seconds is the same wish
once more (``timeout`` signals the process and its group); a later signal leaves immediately, waits for nothing, and
says first what is left behind. A process whose answer is out does not wait for threads that talk to hosts which hang.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple, NoReturn

from mpsbridge.cli.output import INTERRUPTED, say_at_once
from mpsbridge.clock import Clock, SystemClock
from mpsbridge.processes import INTERRUPTIONS

SAME_WISH_S = 2.0
"""Signals that come so soon after the first one mean the same."""


class Surroundings(NamedTuple):
    """What a call is made with: its arguments, and the clock that it lives by where that is not the system's."""

    typed: tuple[str, ...] = ()
    clock: Clock | None = None


class Exit(Exception):
    """Leave with this exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Interruption:
    """The wish of a person, or of another program, that this process ends."""

    def __init__(self) -> None:
        self.came = False
        """Whether a first signal came."""
        self.is_held_back = False
        """Whether a first signal is told by :attr:`came` alone, and raises nothing."""
        self.left_behind: list[Callable[[], Sequence[str]]] = []
        """What knows, as sentences, what would be left behind if the process ended now."""
        self._since_s = 0.0
        self._clock: Clock = SystemClock()

    def heed(self, clock: Clock) -> None:
        """Take the signals in from now on, and tell the time between them by ``clock``."""
        self.came, self.is_held_back, self._clock = False, False, clock
        for number in INTERRUPTIONS:
            if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._signal)

    def _signal(self, _number: int, _frame: FrameType | None) -> None:
        now_s = self._clock.monotonic()
        if not self.came:
            self.came, self._since_s = True, now_s
            if not self.is_held_back:
                raise KeyboardInterrupt
        elif now_s - self._since_s >= SAME_WISH_S:
            _leave_now()

    @contextmanager
    def raised_again(self) -> Iterator[None]:
        """While a person is waited for, a first signal strikes at once; one that came before does so here."""
        before, self.is_held_back = self.is_held_back, False
        try:
            if before and self.came:
                raise KeyboardInterrupt
            yield
        finally:
            self.is_held_back = before


INTERRUPTION = Interruption()


@contextmanager
def leaving_behind(tell: Callable[[], Sequence[str]]) -> Iterator[None]:
    """While the block runs, ``tell`` knows what would be left behind if the process ended now, as sentences."""
    INTERRUPTION.left_behind.append(tell)
    try:
        yield
    finally:
        INTERRUPTION.left_behind.remove(tell)


def install_signal_handlers(clock: Clock | None = None) -> None:
    """From now on a first signal interrupts the call, and one that comes later than two seconds after it ends it."""
    INTERRUPTION.heed(clock or SystemClock())


def leave(code: int) -> NoReturn:
    """End the process with this code, whatever still runs in it, and whatever signals still come."""
    for number in INTERRUPTIONS:
        signal.signal(number, signal.SIG_IGN)
    running = [one for one in threading.enumerate() if one is not threading.main_thread() and not one.daemon]
    if running or code == INTERRUPTED:
        os._exit(code)
    gc.freeze()  # the interpreter would look through all that was loaded for garbage, several times: 80 ms
    sys.exit(code)


def _leave_now() -> NoReturn:
    lines: list[str] = []
    for tell in INTERRUPTION.left_behind:
        try:
            lines += tell()
        except Exception:  # noqa: BLE001 - another thread changed what it reads; the process ends all the same
            lines.append("what is held is not known: 'mpsbridge leases HOST' tells")
    from mpsbridge.cli.terminal import last_words  # noqa: PLC0415 - loaded long ago if there is anything to say

    say_at_once(last_words(lines))
    os._exit(INTERRUPTED)
