"""Time, passed in and never called directly, so that tests take none.

Rule: nothing else in the package calls ``time.sleep``, ``time.monotonic`` or ``datetime.now``; socket deadlines take
a ``Clock`` too.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
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
