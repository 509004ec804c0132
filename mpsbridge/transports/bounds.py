"""How much of what a host sends is taken, and which XML at all: looked at before anything reads it.

Rules: every limit of the wire stands here (that of headers and bodies in :mod:`mpsbridge.transports.reply`). XML is
UTF-8 without a DTD: entities are what makes a little of it large, and another encoding would hide one from
:func:`check_xml`. An element costs the reader some two hundred bytes however short it is, so elements are counted, too.
"""

from __future__ import annotations

from mpsbridge.transports.reply import BadAnswer

SCRIPT_LIMIT = 16 * 1024 * 1024
"""Bytes that a host may send in answer to one script, in all its messages."""
MESSAGES_LIMIT = 1000
"""PSRP messages in answer to one script: one string, its states, and perhaps errors and warnings."""
ELEMENTS_LIMIT = 50_000
"""Tags of one XML document. A SOAP message of Windows has some dozens, a PSRP message to us under a thousand."""

_MARK = b"\xef\xbb\xbf"


class Oversized(BadAnswer):
    """The host sends more than anybody needs."""


def check_xml(data: bytes) -> None:
    """Raise :class:`BadAnswer` for XML that no Windows sends: with a DTD, in another encoding, of too many elements."""
    head = data.removeprefix(_MARK).lstrip(b" \t\r\n")[:200]
    if b"\0" in data or not head.startswith(b"<"):
        raise BadAnswer("the XML of the answer is not UTF-8")
    if head.startswith(b"<?xml"):
        declared = head.partition(b"?>")[0].lower()
        if b"encoding" in declared and b"utf-8" not in declared:
            raise BadAnswer("the XML of the answer is not UTF-8")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise BadAnswer("the XML of the answer has a DTD")
    if data.count(b"<") > ELEMENTS_LIMIT:
        raise Oversized(f"the XML of the answer has more than {ELEMENTS_LIMIT} tags")


class Taken:
    """What has come in answer to one script."""

    def __init__(self) -> None:
        self._bytes = self._messages = 0

    def begin(self) -> None:
        """Another script is sent."""
        self._bytes = self._messages = 0

    def more(self, count: int) -> None:
        """So many bytes have come. Raises :class:`Oversized`."""
        self._bytes += count
        if self._bytes > SCRIPT_LIMIT:
            raise Oversized(f"the host sends more than {SCRIPT_LIMIT} bytes in answer to one script")

    def message(self) -> None:
        """A PSRP message has come. Raises :class:`Oversized`."""
        self._messages += 1
        if self._messages > MESSAGES_LIMIT:
            raise Oversized(f"the host sends more than {MESSAGES_LIMIT} messages in answer to one script")
