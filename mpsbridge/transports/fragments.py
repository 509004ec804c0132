"""PSRP messages out of the fragments in which a host sends them (MS-PSRP 2.2.4), each looked at before it is read.

Both libraries put fragments together by themselves, in a time that grows with the square of their number, and hand
whatever comes out to an XML parser. So they are given whole messages only: put together here in linear time, counted
against the limits of one script, and held to :mod:`mpsbridge.transports.strict_xml`.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator

from pypsrp.messages import Message
from pypsrp.serializer import Serializer

from mpsbridge.models.bounds import MESSAGE_LIMIT, UNFINISHED_LIMIT
from mpsbridge.transports.reply import BadAnswer, Oversized
from mpsbridge.transports.strict_xml import check_xml
from mpsbridge.transports.taken import Taken

_HEADER = struct.Struct(">QQBI")
"""Whose message, the number of the fragment in it, begin and end as bits, and how many bytes follow."""
_MESSAGE_HEADER_BYTES = 40
_START, _END = 1, 2
_MARK = b"\xef\xbb\xbf"


class Messages:
    """The messages of one runspace pool, as their last fragments come."""

    def __init__(self, taken: Taken) -> None:
        self._taken = taken
        self._begun: dict[int, tuple[int, bytearray]] = {}

    def whole(self, data: bytes) -> Iterator[bytes]:
        """The messages that end in these fragments. Raises ``BadAnswer``, where there is too much ``Oversized``."""
        view, place = memoryview(data), 0
        while place < len(view):
            if len(view) - place < _HEADER.size:
                raise BadAnswer("a fragment of the answer is cut off")
            number, fragment, flags, length = _HEADER.unpack_from(view, place)
            place += _HEADER.size
            if length > len(view) - place:
                raise BadAnswer("a fragment of the answer is cut off")
            piece, place = view[place : place + length], place + length
            if (message := self._joined(number, fragment, flags, piece)) is not None:
                self._check(message)
                yield message

    def _joined(self, number: int, fragment: int, flags: int, piece: memoryview) -> bytes | None:
        """The whole message, once its last fragment has come."""
        expected, begun = self._begun.get(number, (0, bytearray()))
        if fragment != expected or (flags & _START and fragment != 0):
            raise BadAnswer("a fragment of the answer is out of turn")
        if len(begun) + len(piece) > MESSAGE_LIMIT:
            raise Oversized(f"a message of the answer is longer than {MESSAGE_LIMIT} bytes")
        begun += piece
        if flags & _END:
            self._begun.pop(number, None)
            return bytes(begun)
        self._begun[number] = (expected + 1, begun)
        if len(self._begun) > UNFINISHED_LIMIT:
            raise Oversized(f"more than {UNFINISHED_LIMIT} messages of the answer have begun and not ended")
        return None

    def _check(self, message: bytes) -> None:
        if len(message) < _MESSAGE_HEADER_BYTES:
            raise BadAnswer("a message of the answer is cut off")
        xml = message[_MESSAGE_HEADER_BYTES:]
        tags = check_xml(xml) if xml.strip(_MARK + b" \t\r\n") else 0
        tags += xml.count(b"_x")  # an escaped character (``_x000D_``) costs as much as a tag
        # One character outside of Latin-1 makes Python keep two or four bytes for each of a text.
        self._taken.message(tags=tags, text=len(xml) if xml.isascii() else sys.getsizeof(xml.decode("utf-8")))


def in_one_fragment(message: bytes, number: int) -> bytes:
    """A whole message as the one fragment of its object, for a library that takes nothing else."""
    return _HEADER.pack(number, 0, _START | _END, len(message)) + message


class Fragments:
    """Both ways: a message of ours in fragments, and the host's fragments as messages.

    ``check`` is called before each message is read.
    """

    def __init__(self, serializer: Serializer, taken: Taken, check: Callable[[], object]) -> None:
        self._serializer = serializer
        self._messages = Messages(taken)
        self._check = check
        self._sent = 0

    def pieces(self, message: bytes, size: int) -> Iterator[bytes]:
        """A message of ours in fragments of at most so many bytes, each with its header."""
        self._sent += 1
        room = size - _HEADER.size
        for fragment, place in enumerate(range(0, len(message), room)):
            piece = message[place : place + room]
            flags = (_START if place == 0 else 0) | (_END if place + room >= len(message) else 0)
            yield _HEADER.pack(self._sent, fragment, flags, len(piece)) + piece

    def read(self, data: bytes) -> list[Message]:
        """The messages that these fragments complete. Raises what :meth:`Messages.whole` and ``check`` raise."""
        found = []
        for message in self._messages.whole(data):
            self._check()
            found.append(Message.unpack(message, self._serializer))
        return found
