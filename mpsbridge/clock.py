"""Time, passed in and never called directly, so that tests take none.

Rule: nothing else in the package calls ``time.sleep``, ``time.monotonic`` or ``datetime.now``; socket deadlines take
a ``Clock`` too.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What the rest of the package may know about time."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go back."""
        ...

    def wait(self, seconds: float, stop: threading.Event | None = None) -> bool:
        """Wait, or until ``stop`` is set; ``True`` when it was stopped."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go back."""
        return time.monotonic()

    def wait(self, seconds: float, stop: threading.Event | None = None) -> bool:
        """Wait, or until ``stop`` is set; ``True`` when it was stopped."""
        return (stop or threading.Event()).wait(max(0.0, seconds))


class HastyClock:
    """The machine's clock, but what somebody waits for takes ``factor`` times less: for rehearsals.

    Only waits are shortened. Whatever else happens takes its own time, so no deadline comes early because a machine is
    slow. Two that wait at the same time wait together: neither lengthens the other's time.
    """

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._ahead_s = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        with self._lock:
            return datetime.now(UTC) + timedelta(seconds=self._ahead_s)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go back."""
        with self._lock:
            return time.monotonic() + self._ahead_s

    def wait(self, seconds: float, stop: threading.Event | None = None) -> bool:
        """Wait, or until ``stop`` is set; ``True`` when it was stopped."""
        until = self.monotonic() + max(0.0, seconds)
        if (stop or threading.Event()).wait(max(0.0, seconds) / self._factor):
            return True
        with self._lock:
            self._ahead_s = max(self._ahead_s, until - time.monotonic())
        return False
