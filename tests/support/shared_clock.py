"""A clock that several processes live by: what one of them waits for passes for all."""

from __future__ import annotations

import mmap
import struct
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

_AHEAD = struct.Struct("d")


class SharedClock:
    """A :class:`mpsbridge.clock.HastyClock` whose hurry stands in a file: the machine's time, and how far ahead of it.

    One process at a time waits (the others only look), so nothing has to be locked between them.
    """

    def __init__(self, path: Path, *, factor: float = 10_000.0) -> None:
        if not path.exists():
            path.write_bytes(_AHEAD.pack(0.0))
        with path.open("r+b") as file:
            self._ahead = mmap.mmap(file.fileno(), _AHEAD.size)
        self._factor = factor

    @property
    def _ahead_s(self) -> float:
        ahead: float = _AHEAD.unpack_from(self._ahead)[0]
        return ahead

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._ahead_s)

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead_s

    def wait(self, seconds: float, stop: threading.Event | None = None) -> bool:
        until = self.monotonic() + max(0.0, seconds)
        if (stop or threading.Event()).wait(max(0.0, seconds) / self._factor):
            return True
        _AHEAD.pack_into(self._ahead, 0, max(self._ahead_s, until - time.monotonic()))
        return False
