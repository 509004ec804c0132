"""Sealed messages over plain HTTP (MS-WSMV 2.2.9.1): one part that tells the length, one with signature and data.

The context is the one that signed in. Rules: exactly one sealed message in a body; whatever cannot be opened, or opens
to another length than was announced, is an error.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from spnego.exceptions import SpnegoError

from mpsbridge.transports.answers import BadAnswer

if TYPE_CHECKING:
    import spnego

SPNEGO = "application/HTTP-SPNEGO-session-encrypted"
KERBEROS = "application/HTTP-Kerberos-session-encrypted"
BOUNDARY = "Encrypted Boundary"

_HEAD = (
    "--Encrypted Boundary\r\n"
    "\tContent-Type: {protocol}\r\n"
    "\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={length}\r\n"
    "--Encrypted Boundary\r\n"
    "\tContent-Type: application/octet-stream\r\n"
)
_TAIL = b"--Encrypted Boundary--\r\n"
_OPENING = re.compile(
    rb"--\s*%b\r\n[^\x00]{0,1024}?Length=(\d{1,9})\s*\r\n--\s*%b\r\n\s*Content-Type: application/octet-stream\r\n"
    % ((re.escape(BOUNDARY.encode()),) * 2),
    re.IGNORECASE,
)
_CLOSING = re.compile(rb"--\s*%b--\r\n\Z" % re.escape(BOUNDARY.encode()), re.IGNORECASE)


class Seal:
    """Seals and opens the messages of one connection. ``protocol`` is :data:`SPNEGO` or :data:`KERBEROS`."""

    def __init__(self, context: spnego.ContextProxy, protocol: str) -> None:
        self._context = context
        self._protocol = protocol
        self.content_type = f'multipart/encrypted;protocol="{protocol}";boundary="{BOUNDARY}"'

    def wrap(self, message: bytes) -> bytes:
        """The body that holds a message sealed."""
        sealed = self._context.wrap_winrm(message)
        head = _HEAD.format(protocol=self._protocol, length=len(message) + sealed.padding_length).encode("ascii")
        return b"".join((head, struct.pack("<i", len(sealed.header)), sealed.header, sealed.data, _TAIL))

    def open(self, body: bytes) -> bytes:
        """The message that a body holds. Raises ``BadAnswer``."""
        opening, closing = _OPENING.match(body), _CLOSING.search(body, max(0, len(body) - 64))
        if opening is None or closing is None:
            raise BadAnswer("the sealed answer cannot be opened: it has another form")
        start, end = opening.end() + 4, closing.start()
        try:
            (signature,) = struct.unpack_from("<i", body, opening.end())
            if not 0 < signature <= end - start:
                raise BadAnswer("the sealed answer cannot be opened: it has no signature")
            text: bytes = self._context.unwrap_winrm(body[start : start + signature], body[start + signature : end])
        except (struct.error, ValueError, IndexError, SpnegoError) as error:
            raise BadAnswer(f"the sealed answer cannot be opened: {error}") from error
        if len(text) != int(opening[1]):
            raise BadAnswer(f"the sealed answer cannot be opened: {len(text)} bytes for {int(opening[1])} announced")
        return text
