"""No answer and nothing of the environment sends a request, or a password, to another place than the one meant."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from support.rude_host import SCRIPT, RudeHost, request

from mpsbridge.errors import NotSent
from mpsbridge.models.credentials import Auth
from mpsbridge.transports import open_transport


class Keeper:
    """Keeps what it is asked, and answers all of it alike."""

    def __init__(self, answer: bytes = b"") -> None:
        self.asked: list[bytes] = []
        self._answer = answer

    def behave(self, connection: socket.socket) -> None:
        while asked := request(connection):
            self.asked.append(asked)
            connection.sendall(self._answer)


def answer(status: str, *fields: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "Content-Length: 0", "", ""]).encode()


@pytest.mark.parametrize("auth", [Auth.BASIC, Auth.NTLM])
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("field", ["Location: {}", "Refresh: 0; url={}", 'Alt-Svc: h2="{}"', "Content-Location: {}"])
def test_no_redirect_is_followed(status: str, field: str, auth: Auth) -> None:
    other = Keeper()
    with RudeHost(other.behave) as elsewhere:
        place = f"http://127.0.0.1:{elsewhere.port}/wsman"
        asked = Keeper(answer(status, field.format(place)))
        with RudeHost(asked.behave) as host:
            with pytest.raises(NotSent):
                open_transport(host.target(auth=auth)).run(SCRIPT, timeout_s=5)
            assert host.connections == 1
        assert elsewhere.connections == 0
    assert len(asked.asked) == 1


@pytest.mark.parametrize(
    "scheme", ["Basic realm=x", "Digest realm=x, nonce=y", "Bearer", "Negotiate", "NTLM", "CredSSP"]
)
def test_a_host_that_asks_for_another_sign_in_gets_no_password(scheme: str) -> None:
    """With NTLM demanded a host cannot make the client say the password in a weaker way."""
    asked = Keeper(answer("401 Unauthorized", f"WWW-Authenticate: {scheme}"))
    with RudeHost(asked.behave) as host, pytest.raises(NotSent):
        open_transport(host.target(auth=Auth.NTLM)).run(SCRIPT, timeout_s=5)
    assert not any(b"authorization: basic" in each.lower() or b"c2VjcmV0" in each for each in asked.asked)


def test_no_file_of_passwords_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """requests would take another user's password from a .netrc; what is meant is what was named."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password catfish\ndefault login mallory password catfish\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    asked = Keeper(answer("401 No", "WWW-Authenticate: Basic realm=x"))
    with RudeHost(asked.behave) as host, pytest.raises(NotSent):
        open_transport(host.target()).run(SCRIPT, timeout_s=5)
    (only,) = asked.asked
    assert b"Authorization: Basic YWxpY2U6c2VjcmV0\r\n" in only  # alice:secret


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_no_proxy_of_the_environment_hears_of_a_request(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Keeper()
    with RudeHost(proxy.behave) as elsewhere:
        monkeypatch.setenv(name, f"http://127.0.0.1:{elsewhere.port}")
        asked = Keeper(answer("503 Busy"))
        with RudeHost(asked.behave) as host, pytest.raises(NotSent):
            open_transport(host.target()).run(SCRIPT, timeout_s=5)
        assert elsewhere.connections == 0
    assert len(asked.asked) == 1
