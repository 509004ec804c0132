"""The answer to a request: there at once, or when there is something to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: an HTTP status and a SOAP envelope."""

    status: int
    xml: bytes


class Pending:
    """A Receive that waits for output. ``on_reply`` is called once, by whoever settles it; a cancelled one eats
    nothing.
    """

    def __init__(self, timeout_s: float, poll: Callable[[], Reply | None], expire: Callable[[], Reply]) -> None:
        self.timeout_s = timeout_s
        self.on_reply: Callable[[Reply], None] | None = None
        self.cancelled = False
        self._poll = poll
        self._expire = expire
        self._settled = False

    def poll(self) -> None:
        """Answer if there is something to say now."""
        if not self.cancelled and not self._settled and self.on_reply and (reply := self._poll()) is not None:
            self._settled = True
            self.on_reply(reply)

    def expire(self) -> None:
        """The operation timeout is over."""
        if not self.cancelled and not self._settled and self.on_reply:
            self._settled = True
            self.on_reply(self._expire())

    def cancel(self) -> None:
        """The client is gone; output stays for its next request."""
        self.cancelled = True
