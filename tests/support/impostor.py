"""Whoever stands between client and host, or in the host's place, without knowing the password: NTLM by hand."""

from __future__ import annotations

import base64
import re
import socket
import struct
from collections.abc import Callable

from spnego._context import GSSMech
from spnego._ntlm_raw.messages import AvId, Challenge, FileTime, NegotiateFlags, TargetInfo
from spnego._spnego import NegState, NegTokenResp

from mpsbridge.lab.server import Lab
from support.rude_host import request

OFFERED = (
    NegotiateFlags.sign
    | NegotiateFlags.seal
    | NegotiateFlags.always_sign
    | NegotiateFlags.extended_session_security
    | NegotiateFlags.key_128
    | NegotiateFlags.key_56
    | NegotiateFlags.key_exch
    | NegotiateFlags.unicode
    | NegotiateFlags.ntlm
    | NegotiateFlags.request_target
    | NegotiateFlags.target_info
    | NegotiateFlags.target_type_server
)
"""What Windows offers in its CHALLENGE to a client that asks for all of it."""
_CHALLENGE = b"NTLMSSP\0\x02\0\0\0"
_FLAGS_AT = 20
"""Where the flags stand in a CHALLENGE (MS-NLMP 2.2.1.2)."""
_SEALED, _END = b"application/octet-stream\r\n", b"--Encrypted Boundary--\r\n"
_HEADER = re.compile(rb"(WWW-Authenticate: )Negotiate ([A-Za-z0-9+/=]+)", re.IGNORECASE)


def answer(status: str, token: bytes | None) -> bytes:
    """An answer of a sign-in."""
    header = f"WWW-Authenticate: Negotiate {base64.b64encode(token).decode()}\r\n" if token is not None else ""
    return f"HTTP/1.1 {status}\r\n{header}Content-Length: 0\r\n\r\n".encode()


def challenge(cleared: int, *, within: bool, timestamp: bool = True) -> bytes:
    """A CHALLENGE without the flags ``cleared``, raw or ``within`` SPNEGO."""
    info = TargetInfo()
    info[AvId.nb_computer_name] = "ALPHA"
    if timestamp:
        info[AvId.timestamp] = FileTime.now()
    raw = Challenge(OFFERED & ~cleared, b"\x01" * 8, target_name="ALPHA", target_info=info).pack()
    if not within:
        return raw
    state = NegState.accept_incomplete
    return NegTokenResp(neg_state=state, supported_mech=GSSMech.ntlm.value, response_token=raw).pack()


def accepted(mic: bytes | None) -> bytes:
    """SPNEGO's last token, with a mechListMIC or without."""
    return NegTokenResp(neg_state=NegState.accept_complete, mech_list_mic=mic).pack()


class Impostor:
    """Takes the host's place: offers a CHALLENGE, lets in whoever comes."""

    def __init__(self, offer: bytes, last: bytes | None, *, status: str = "401 Unauthorized") -> None:
        self.seen: list[bytes] = []
        """Requests, head and body."""
        self._answers = [answer(status, offer), answer("200 OK", last)]

    def behave(self, connection: socket.socket) -> None:
        for said in self._answers:
            if asked := request(connection):
                self.seen.append(asked)
                connection.sendall(said)
        if asked := request(connection):
            self.seen.append(asked)


class Proxy:
    """Passes on to the first host of a lab what ``up`` and ``down`` make of the messages, which it numbers from 1."""

    def __init__(
        self,
        lab: Lab,
        *,
        up: Callable[[int, bytes], bytes] = lambda _, data: data,
        down: Callable[[int, bytes], bytes] = lambda _, data: data,
    ) -> None:
        self._lab = lab
        self.up, self.down = up, down

    def behave(self, connection: socket.socket) -> None:
        with socket.create_connection((self._lab.hosts[0].address, self._lab.port), 5) as host:
            number = 0
            while asked := request(connection):
                number += 1
                host.sendall(self.up(number, asked))
                connection.sendall(self.down(number, request(host)))


def with_token(change: Callable[[bytes], bytes | None]) -> Callable[[bytes], bytes]:
    """What makes of an answer the same with another sign-in token, or with none."""

    def changed(data: bytes) -> bytes:
        found = _HEADER.search(data)
        if found is None:
            return data
        token = change(base64.b64decode(found[2]))
        header = b"X-Nothing: x" if token is None else found[1] + b"Negotiate " + base64.b64encode(token)
        return data[: found.start()] + header + data[found.end() :]

    return changed


def clear_flags(cleared: int) -> Callable[[bytes], bytes]:
    """What takes flags out of the CHALLENGE in a token, if one is in it."""

    def change(token: bytes) -> bytes:
        at = token.find(_CHALLENGE)
        if at < 0:
            return token
        (flags,) = struct.unpack_from("<I", token, at + _FLAGS_AT)
        return token[: at + _FLAGS_AT] + struct.pack("<I", flags & ~cleared) + token[at + _FLAGS_AT + 4 :]

    return change


def flip_bit(data: bytes, place: int, *, sealed: bool) -> bytes:
    """The same with one bit of the body changed, or of its signature and sealed text; ``place`` may be any number."""
    body = data.index(_SEALED) + len(_SEALED) + 4 if sealed else data.index(b"\r\n\r\n") + 4
    end = len(data) - len(_END) if sealed else len(data)
    at = body + place // 8 % (end - body)
    return data[:at] + bytes([data[at] ^ 1 << place % 8]) + data[at + 1 :]
