"""Answers from a function, for tests and examples; it keeps the contract of every transport but needs no host.

Dry run is another thing: that observes real hosts.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from mpsbridge.errors import ConnectionLost, Interrupted, NotSent, TransportClosed
from mpsbridge.models.scripts import RawOutput, Script


class CannedTransport:
    """A transport whose answers come from ``answer``.

    >>> transport = CannedTransport(lambda script: '{"mpsbridge": 1}')
    >>> transport.name
    'canned'

    ``answer`` gets each script and returns the one string that it emits, a whole ``RawOutput``, or the error that
    ``run`` shall raise. ``scripts`` are the scripts that were run, in order. A cancel is noticed when ``answer``
    returns, and what it returned is lost then.
    """

    name = "canned"

    def __init__(self, answer: Callable[[Script], str | RawOutput | NotSent | Interrupted]) -> None:
        self.scripts: list[Script] = []
        self.closed = False
        self._answer = answer
        self._cancelled = False

    def run(self, script: Script, *, timeout_s: float) -> RawOutput:  # noqa: ARG002 - an answer takes no time
        """Ask the function. Raises the ``NotSent`` or ``Interrupted`` that it returns."""
        if self.closed:
            raise TransportClosed("this transport was closed before").about(snippet=script.snippet)
        self.scripts.append(script)
        answer = self._answer(script)
        if self._cancelled:
            answer = ConnectionLost("cancelled after the script was sent")
        if isinstance(answer, NotSent | Interrupted):
            self.closed = True
            raise answer.about(snippet=script.snippet)
        return answer if isinstance(answer, RawOutput) else RawOutput(output=(answer,))

    def cancel(self) -> None:
        """The answer that is being made is lost."""
        self._cancelled = self.closed = True

    def silent_s(self) -> float:
        """Nobody knows: there is no clock here."""
        return math.inf

    def close(self) -> None:
        """No more answers."""
        self.closed = True
