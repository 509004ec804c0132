"""pypsrp's own HTTP, chosen by ``--http pypsrp``: what is refused, and what the guard around it does not let through.

That it keeps the contract, and how it fails, is in ``test_transports.py`` and ``test_winrm.py`` beside our own.
"""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from console import Command
from lab_target import TestEngine, reach, script
from pydantic import SecretStr
from rude_host import RudeHost, request

from mpsbridge.errors import ConnectionLost, InputError, Interrupted, NotSent, NotWinrm, Unreachable
from mpsbridge.lab.faults import Fault
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import load_world
from mpsbridge.models.targets import Auth, Http, Target
from mpsbridge.transports import open_transport, requests_http


def target(host: RudeHost, **changes: Any) -> Target:
    return host.target().model_copy(update={"http": Http.PYPSRP, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"auth": Auth.KERBEROS, "keytab": Path("admin.keytab"), "password": None}, "--keytab"),
        ({"auth": Auth.KERBEROS, "username": "alice@EXAMPLE.ORG"}, "with a ticket only"),
        ({"auth": Auth.KERBEROS, "password": None, "spn": "host/ts1@EXAMPLE.ORG"}, "no realm"),
    ],
)
def test_what_it_cannot_do_is_refused_before_anything_is_sent(changes: dict[str, Any], words: str) -> None:
    facts: dict[str, Any] = {"host": "ts1", "address": "ts1.example.org", "password": SecretStr("secret")}
    with pytest.raises(InputError, match=words) as caught:
        open_transport(Target(**facts | {"http": Http.PYPSRP} | changes))
    assert "leave --http out" in caught.value.hint
    open_transport(Target(**facts | changes))  # ours can


@pytest.mark.parametrize("status", ["301 Moved", "307 Temporary Redirect"])
def test_a_redirect_is_not_followed(status: str) -> None:
    def redirect(connection: socket.socket) -> None:
        request(connection)
        head = f"HTTP/1.1 {status}\r\nLocation: http://127.0.0.1:{elsewhere.port}/wsman\r\nContent-Length: 0\r\n\r\n"
        connection.sendall(head.encode())

    with RudeHost(lambda _: None) as elsewhere, RudeHost(redirect) as host:
        with pytest.raises(Unreachable, match="HTTP status 30"):
            open_transport(target(host)).run(script(), timeout_s=10)
        assert (host.connections, elsewhere.connections) == (1, 0)


def test_a_refusal_on_a_connection_that_is_signed_in_sends_nothing_again() -> None:
    engine = TestEngine()
    world = load_world("small")
    world.hosts["alpha"].faults = (Fault("command", "status", code=401),)
    with Lab(world, auth="ntlm", tls=True, engine=engine) as lab:
        with pytest.raises(ConnectionLost):
            open_transport(reach(lab, http=Http.PYPSRP)).run(script(), timeout_s=10)
        asked = [each.step for each in lab.requests]
        assert asked.count("command") == 1
        assert asked[-1] == "command"


def test_a_sign_in_that_breaks_over_tls_may_have_taken_the_message_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """pypsrp signs in with the message itself there, and only then looks at the host's last token."""
    engine = TestEngine()
    with Lab(load_world("small"), auth="ntlm", tls=True, engine=engine) as lab:
        transport = open_transport(reach(lab, http=Http.PYPSRP))
        transport.run(script(), timeout_s=10)
        http = transport._http  # type: ignore[attr-defined]  # a RequestsHttp
        http.close()
        send = http._inner.send

        def spoiled(*args: Any, **options: Any) -> None:
            send(*args, **options)
            raise struct.error("the token is cut off")

        monkeypatch.setattr(http._inner, "send", spoiled)
        with pytest.raises(Interrupted) as caught:
            transport.run(script(), timeout_s=10)
        assert caught.value.may_have_run
        assert len(engine.texts) == 2


@pytest.mark.parametrize("head", ["Content-Length: 5000\r\n", "", "Transfer-Encoding: chunked\r\n"])
@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized"])
def test_an_endless_body_is_refused(status: str, head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests_http, "BODY_LIMIT", 1000)

    def behave(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(f"HTTP/1.1 {status}\r\nWWW-Authenticate: Basic\r\n{head}\r\n".encode())
        connection.sendall((b"400\r\n" + b"x" * 1024 + b"\r\n" if "chunked" in head else b"x" * 1024) * 4)

    with RudeHost(behave) as host, pytest.raises((NotWinrm, NotSent)) as caught:
        open_transport(target(host)).run(script(), timeout_s=10)
    assert not caught.value.may_have_run


def test_it_is_chosen_by_an_option_a_setting_or_the_inventory(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Lab(load_world("small"), auth="ntlm") as lab:
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        own, theirs = tmp_path / "own.toml", tmp_path / "theirs.toml"
        assert lab.inventory is not None
        hosts = lab.inventory.read_text(encoding="utf-8")
        own.write_text(hosts, encoding="utf-8")
        theirs.write_text(f'[defaults]\nhttp = "pypsrp"\n{hosts}', encoding="utf-8")

        def requests(*words: object) -> int:
            before = len(lab.requests)
            assert mpsbridge("sessions", "alpha", *map(str, words)).code == 0
            return len(lab.requests) - before

        assert requests("--inventory", own) == 8
        assert requests("--inventory", own, "--http", "pypsrp") == 9
        assert requests("--inventory", theirs) == 9
        assert requests("--inventory", theirs, "--http", "own") == 8
        monkeypatch.setenv("MPSBRIDGE_HTTP", "pypsrp")
        assert requests("--inventory", own) == 9
        shown = json.loads(mpsbridge("hosts", "alpha", "--inventory", str(own), "--output", "json").out)
        setting = shown["outcomes"][0]["value"]["settings"]["http"]
        assert setting == {"value": "pypsrp", "source": "MPSBRIDGE_HTTP"}
        assert mpsbridge("sessions", "alpha", "--http", "curl").code == 2
