"""A clock for tests: time passes only when somebody waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event


class FakeClock:
    """Every wait returns at once and moves both clocks; ``waits`` records them."""

    def __init__(self, start: datetime = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)) -> None:
        self.time = start
        self.ticks = 0.0
        self.waits: list[float] = []

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.ticks

    def wait(self, seconds: float, stop: Event | None = None) -> bool:
        self.waits.append(seconds)
        if stop is not None and stop.is_set():
            return True
        self.ticks += seconds
        self.time += timedelta(seconds=seconds)
        return False
