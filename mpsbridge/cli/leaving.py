"""How a command leaves: with an exit code, when it is interrupted, and when it is interrupted twice.

Rules: the first SIGINT or SIGTERM (a cancelled CI job) is a ``KeyboardInterrupt``, so that what is held is given back;
the second leaves at once, waits for nothing, and says first what is left behind.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
WORDS: ContextVar[tuple[str, ...]] = ContextVar("WORDS", default=())
"""The arguments of the call that runs, so that it can say how to repeat itself."""
_left_behind: list[Callable[[], Sequence[str]]] = []


class Exit(Exception):
    """Leave with this exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@contextmanager
def leaving_behind(tell: Callable[[], Sequence[str]]) -> Iterator[None]:
    """While the block runs, ``tell`` knows what would be left behind if the process ended now, as sentences."""
    _left_behind.append(tell)
    try:
        yield
    finally:
        _left_behind.remove(tell)


def heed_signals() -> None:
    """From now on a first signal interrupts the call, and a second one ends it."""
    interrupted = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            _leave_now()
        interrupted = True
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def _leave_now() -> NoReturn:
    from mpsbridge.cli.terminal import last_words  # noqa: PLC0415 - loaded long ago if there is anything to say

    last_words([line for tell in _left_behind for line in tell()])
    os._exit(INTERRUPTED)
