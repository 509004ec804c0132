"""One look at a host over a network that loses answers: it is asked again where a new connection may mend it.

Rules: a look changes nothing, so asking again can do no harm, and one that fails leaves nothing in doubt; at most
:data:`LOOKS` in all for one look, each on a new connection (:class:`mpsbridge.host.Host` lets go of a broken one); what
the host itself has said (a refused sign-in, a right that is missing, a table that cannot be read) is not asked again.
Acts never come here: what became of one is seen by a look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mpsbridge.errors import (
    ConnectionLost,
    ConnectTimedOut,
    Interrupted,
    KdcUnreachable,
    MpsBridgeError,
    NotSent,
    ShellRefused,
    TimedOut,
    Unreachable,
    WinrmFailed,
)

T = TypeVar("T")
LOOKS = 3
PAUSES_S = (2.0, 5.0)
"""Seconds before the second and the third: a service that restarts is back after some."""
_OF_THE_WAY = (Unreachable, WinrmFailed, ConnectTimedOut, KdcUnreachable, TimedOut, ConnectionLost)


def may_be_mended(error: MpsBridgeError) -> bool:
    """Whether only the way to the host failed, so that a new connection may do."""
    of_the_way = isinstance(error, _OF_THE_WAY) or type(error) in {NotSent, Interrupted}
    return of_the_way or (isinstance(error, ShellRefused) and error.is_gone)


def ask_again(look: Callable[[], T], wait_for: Callable[[MpsBridgeError, int], bool], *, once: bool = False) -> T:
    """Look, and look again where that may help; ``once``: not again, where the caller looks repeatedly by itself.

    ``wait_for`` is told the error and which look of :data:`LOOKS` is next; it waits, or says that there is no time.
    Raises what the last look raised, of which nothing can have been changed.
    """
    for number in range(1, LOOKS + 1):
        try:
            return look()
        except MpsBridgeError as error:
            error.may_have_run = False
            is_last = once or number == LOOKS or not may_be_mended(error)
            if is_last or not wait_for(error, number + 1):
                raise
    raise AssertionError("the last look returns or raises")
