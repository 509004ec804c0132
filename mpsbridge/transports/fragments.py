"""PSRP messages put together again from their fragments (MS-PSRP 2.2.4), in time that grows with their bytes only.

pypsrp copies what is left for each fragment, and what has come for each piece of a message, so a host that sends many
small ones makes it copy gigabytes. Rules: each byte is copied once or twice; what is put together is checked before
pypsrp reads it as XML.
"""

from __future__ import annotations

import struct
from typing import Any

from pypsrp.messages import Message
from pypsrp.powershell import Fragmenter

from mpsbridge.transports.bounds import Taken, check_xml
from mpsbridge.transports.reply import BadAnswer

_HEADER = struct.Struct(">QQBI")
_MESSAGE_HEADER_BYTES = 40
_START, _END = 1, 2


class BoundedFragmenter(Fragmenter):
    """pypsrp's, with a reader of our own."""

    def __init__(self, max_size: int, serializer: Any, taken: Taken) -> None:
        super().__init__(max_size, serializer)
        self._taken = taken
        self._begun: dict[int, tuple[int, bytearray]] = {}

    def defragment(self, data: bytes) -> list[Message]:
        """The messages that these fragments complete. Raises :class:`BadAnswer` for what is not a fragment."""
        found: list[Message] = []
        view, place = memoryview(data), 0
        while place < len(view):
            if len(view) - place < _HEADER.size:
                raise BadAnswer("a fragment of the answer is cut off")
            number, fragment, flags, length = _HEADER.unpack_from(view, place)
            place += _HEADER.size
            if length > len(view) - place:
                raise BadAnswer("a fragment of the answer is cut off")
            piece, place = view[place : place + length], place + length
            if (whole := self._joined(number, fragment, flags, piece)) is not None:
                found.append(self._message(whole))
        return found

    def _joined(self, number: int, fragment: int, flags: int, piece: memoryview) -> bytes | None:
        """The whole message, once its last fragment has come."""
        expected, begun = self._begun.get(number, (0, bytearray()))
        if fragment != expected or (flags & _START and fragment != 0):
            raise BadAnswer("a fragment of the answer is out of turn")
        begun += piece
        if not flags & _END:
            self._begun[number] = (expected + 1, begun)
            return None
        self._begun.pop(number, None)
        return bytes(begun)

    def _message(self, whole: bytes) -> Message:
        self._taken.message()
        if len(whole) < _MESSAGE_HEADER_BYTES:
            raise BadAnswer("a message of the answer is cut off")
        body = whole[_MESSAGE_HEADER_BYTES:]
        if body.strip(b"\xef\xbb\xbf \t\r\n"):
            check_xml(body)
        return Message.unpack(whole, self.serializer)
