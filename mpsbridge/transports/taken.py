"""What a host has sent in answer to one script, counted against the limits of :mod:`mpsbridge.models.bounds`."""

from __future__ import annotations

from mpsbridge.models.bounds import ANSWERS_LIMIT, ELEMENTS_LIMIT, MESSAGES_LIMIT, SCRIPT_LIMIT
from mpsbridge.transports.reply import Oversized


class Taken:
    """What has come in answer to one script. Each method raises :class:`Oversized` once it is too much."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Another script is sent."""
        self._bytes = self._answers = self._messages = self._tags = self._text = 0

    def more(self, count: int) -> None:
        """An answer of so many bytes has come: of HTTP, or one packet over a pipe."""
        self._answers += 1
        self._bytes += count
        _at_most(self._answers, ANSWERS_LIMIT, "answers")
        _at_most(self._bytes, SCRIPT_LIMIT, "bytes")

    def message(self, *, tags: int, text: int) -> None:
        """A PSRP message has come, with so many tags, whose text takes so many bytes of memory."""
        self._messages += 1
        self._tags += tags
        self._text += text
        _at_most(self._messages, MESSAGES_LIMIT, "messages")
        _at_most(self._tags, ELEMENTS_LIMIT, "elements")
        _at_most(self._text, SCRIPT_LIMIT, "bytes of text")


def _at_most(count: int, limit: int, what: str) -> None:
    if count > limit:
        raise Oversized(f"the host sends more than {limit} {what} in answer to one script")
