"""A sign-in that protects less than it must is refused before a message is sent, whoever has weakened it."""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Callable

import pytest
import spnego
from lab_target import TestEngine, reach, script
from rude_host import SCRIPT, RudeHost, request
from spnego._ntlm_raw.messages import NegotiateFlags

from mpsbridge.errors import AuthRefused, ConnectionLost, Interrupted, NotSent
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import load_world
from mpsbridge.models.targets import Auth
from mpsbridge.transports import open_transport
from mpsbridge.transports.ntlm import DEMANDED, lacking

CHALLENGE = b"NTLMSSP\x00\x02\x00\x00\x00"
ACCEPTED = bytes.fromhex("a10730 05 a003 0a0100".replace(" ", ""))
"""SPNEGO's "accept-completed", without a signature of the negotiation."""
FORGED = bytes.fromhex("a119 3017 a0030a0100 a310040e".replace(" ", "")) + b"\x01" * 14
"""The same with a signature that is none."""


def weakened(token: bytes, cleared: int) -> bytes:
    """The token with flags cleared in the challenge inside it."""
    at = token.index(CHALLENGE) + 20
    flags = int.from_bytes(token[at : at + 4], "little") & ~cleared
    return token[:at] + flags.to_bytes(4, "little") + token[at + 4 :]


def token_of(asked: bytes) -> bytes:
    found = re.search(rb"Authorization: Negotiate ([A-Za-z0-9+/=]+)", asked)
    assert found is not None
    return base64.b64decode(found[1])


def answer(status: str, token: bytes = b"") -> bytes:
    said = f"WWW-Authenticate: Negotiate {base64.b64encode(token).decode()}\r\n" if token else ""
    return f"HTTP/1.1 {status}\r\n{said}Content-Length: 0\r\n\r\n".encode()


class Impostor:
    """A host that knows no password and lets everybody in, after a challenge without some flags."""

    def __init__(self, auth: Auth, cleared: int, last: bytes) -> None:
        self.asked: list[bytes] = []
        protocol = "ntlm" if auth is Auth.NTLM else "negotiate"
        options = spnego.NegotiateOptions.use_ntlm if auth is Auth.NTLM else spnego.NegotiateOptions.use_negotiate
        self._acceptor = spnego.server(protocol=protocol, options=options)
        self._cleared = cleared
        self._last = last

    def behave(self, connection: socket.socket) -> None:
        self.asked.append(request(connection))
        challenge = self._acceptor.step(token_of(self.asked[0]))
        assert challenge is not None
        connection.sendall(answer("401 Unauthorized", weakened(challenge, self._cleared)))
        self.asked.append(request(connection))
        connection.sendall(answer("200 OK", self._last))
        if more := request(connection):
            self.asked.append(more)


def refused_by(impostor: Impostor, auth: Auth) -> AuthRefused:
    with RudeHost(impostor.behave) as host:
        with pytest.raises(AuthRefused) as caught:
            open_transport(host.target(auth=auth)).run(SCRIPT, timeout_s=5)
        assert caught.value.may_have_run is False
    assert len(impostor.asked) == 2, "no message was sent"
    return caught.value


@pytest.mark.parametrize("flag", DEMANDED, ids=lambda flag: flag.name)
def test_a_challenge_without_a_flag_is_no_sign_in(flag: NegotiateFlags, ntlm_users: None) -> None:
    error = refused_by(Impostor(Auth.NTLM, flag, b""), Auth.NTLM)
    assert "offers weaker protection" in str(error)
    assert DEMANDED[flag] in str(error)
    assert "--auth kerberos" in error.hint


@pytest.mark.parametrize("flag", [0, *DEMANDED], ids=lambda flag: getattr(flag, "name", "none"))
@pytest.mark.parametrize("last", [ACCEPTED, FORGED, b""], ids=["unsigned", "forged", "silent"])
def test_inside_spnego_the_negotiation_must_be_signed(flag: int, last: bytes, ntlm_users: None) -> None:
    refused_by(Impostor(Auth.NEGOTIATE, flag, last), Auth.NEGOTIATE)


@pytest.fixture
def ntlm_users(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """What pyspnego's acceptor wants to see; nobody's password is in it."""
    users = f"{tmp_path}/users"
    with open(users, "w", encoding="utf-8") as file:  # noqa: PTH123 - a path as text is what pyspnego takes
        file.write("DOMAIN:mallory:none\n")
    monkeypatch.setenv("NTLM_USER_FILE", users)


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
@pytest.mark.parametrize("tls", [False, True])
def test_a_sound_sign_in_lacks_nothing(auth: Auth, *, tls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[list[str]] = []

    def kept(context: object) -> list[str]:
        found.append(lacking(context))
        return found[-1]

    monkeypatch.setattr("mpsbridge.transports.signin.lacking", kept)
    with Lab(load_world("small"), auth="ntlm", tls=tls, engine=TestEngine()) as lab:
        transport = open_transport(reach(lab, auth=auth))
        assert transport.run(script(), timeout_s=10).output == ("done",)
        transport.close()
    assert found == [[]]


def flipping(lab: Lab, number: int, place: float, *, request_too: bool) -> Callable[[socket.socket], None]:
    """Pass everything on, with one bit flipped in the body of message ``number``, in the request or in its answer."""

    def flipped(message: bytes) -> bytes:
        head, mark, body = message.partition(b"Content-Type: application/octet-stream\r\n")
        if not mark:
            return message
        at = int(place * (len(body) - 30))
        return head + mark + body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]

    def behave(connection: socket.socket) -> None:
        with socket.create_connection((lab.hosts[0].address, lab.port), 5) as host:
            count = 0
            while asked := request(connection):
                count += 1
                host.sendall(flipped(asked) if count == number and request_too else asked)
                answered = request(host)
                if not answered:
                    return
                connection.sendall(flipped(answered) if count == number and not request_too else answered)

    return behave


@pytest.mark.parametrize("place", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("number", [3, 6, 7])
@pytest.mark.parametrize("request_too", [True, False], ids=["request", "answer"])
def test_a_flipped_bit_is_noticed_and_nothing_else_is_executed(number: int, place: float, *, request_too: bool) -> None:
    engine = TestEngine()
    with Lab(load_world("small"), auth="ntlm", engine=engine) as lab:
        behave = flipping(lab, number, place, request_too=request_too)
        with RudeHost(behave) as middle:
            target = reach(lab, address="127.0.0.1", port=middle.port)
            with pytest.raises((NotSent, Interrupted)) as caught:
                open_transport(target).run(script(), timeout_s=5)
    assert engine.texts in ([], [script().text])
    assert not (engine.texts and isinstance(caught.value, NotSent)), "what ran is never told as not sent"
    assert isinstance(caught.value, NotSent) or caught.value.may_have_run
    assert isinstance(caught.value, NotSent | ConnectionLost | Interrupted)
