"""What to do about a failure, where the port, the endpoint or the user's name is what is wrong."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

import pypsrp.exceptions
import pytest
from support.console import Command
from support.lab_target import reach, script
from support.rude_host import RudeHost, request

from mpsbridge.errors import AuthRefused, ConnectTimedOut, ShellRefused, Unreachable
from mpsbridge.lab import Lab, build_world
from mpsbridge.models.credentials import Auth, Password
from mpsbridge.models.targets import Target
from mpsbridge.transports import open_transport
from mpsbridge.transports.trouble import Stage, explain

NOBODY = f"127.83.{os.getpid() // 250 % 250 + 1}.{os.getpid() % 250 + 1}"
"""An address of the loopback on which only this process listens: WinRM's own ports are what is tried here."""
USE = "Use --no-tls"
LEAVE = "Leave out --no-tls"


def target(**facts: Any) -> Target:
    return Target("ts1", NOBODY, credentials=Password("alice", "swordfish"), **facts)


@pytest.mark.parametrize(
    ("facts", "advice"),
    [
        ({}, USE),
        ({"port": 5986}, USE),
        ({"tls": False}, LEAVE),
        ({"auth": Auth.BASIC}, ""),
        ({"port": 4443}, ""),
        ({"tls": False, "port": 8080}, ""),
        ({"tls": False, "port": 5986}, ""),
    ],
    ids=str,
)
def test_a_port_on_which_nothing_listens_names_the_other_one(facts: dict[str, Any], advice: str) -> None:
    """A firewall such as Windows' own lets the time run out where nothing listens."""
    for error, kind in (
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), Unreachable),
        (TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)), ConnectTimedOut),
    ):
        found = explain(error, where="ts1 (port 5986)", stage=Stage.BEFORE, target=target(**facts))
        assert type(found) is kind
        if advice:
            assert found.hint.startswith(advice)
            assert "winrm enumerate" in found.hint
        else:
            assert found.hint == kind.default_hint


@pytest.mark.parametrize("error", [TimeoutError("the time is up"), socket.gaierror(-2, "unknown"), OSError(113, "x")])
def test_other_failures_of_a_connection_say_nothing_of_the_port(error: Exception) -> None:
    found = explain(error, where="ts1", stage=Stage.BEFORE, target=target())
    assert "--no-tls" not in found.hint


@pytest.mark.parametrize("tls", [False, True])
def test_tls_that_meets_plain_http_and_the_other_way_round(tls: bool) -> None:
    """The lab, as OpenSSL does, closes what is not TLS; in clear it waits for the rest of what is not HTTP."""
    with Lab(build_world({"hosts": [{"name": "alpha"}]}), auth="ntlm", tls=tls) as lab:
        crossed = reach(lab, tls=not tls, connect_timeout_s=0.3)
        with pytest.raises((Unreachable, ConnectTimedOut)) as caught:
            open_transport(crossed).run(script(), timeout_s=10)
        assert caught.value.hint.startswith("Check --port and --no-tls: ")
        assert not caught.value.may_have_run


def test_once_it_was_sent_the_port_is_not_what_is_wrong() -> None:
    found = explain(ConnectionRefusedError(errno.ECONNREFUSED, "x"), where="ts1", stage=Stage.RUNNING, target=target())
    assert found.may_have_run
    assert "--no-tls" not in found.hint


# The first own host: only HTTP listens there.


@pytest.fixture
def only_http(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "swordfish")
    with socket.create_server((NOBODY, 5985)):
        yield NOBODY


def checks(found: Any) -> dict[str, Any]:
    return {check["step"]: check for check in found.document["outcomes"][0]["value"]["checks"]}


def test_a_host_that_listens_on_http_only_is_met_with_no_tls(only_http: str, mpsbridge: Command) -> None:
    for command in (["sessions"], ["end", "--all", "--no-warning", "--reason", "x", "--yes"], ["logons"]):
        found = mpsbridge(command[0], only_http, *command[1:], "--username", "alice")
        assert found.code == 1
        assert USE in found.err
    port = checks(mpsbridge("doctor", only_http, "--username", "alice", "-o", "json"))["port"]
    assert port["ok"] is False
    assert port["text"].endswith("Connection refused; but 5985 can be reached")
    assert port["remedy"].startswith(USE)


def test_doctor_says_where_neither_port_can_be_reached(mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "swordfish")
    for options, other in ([], 5985), (["--no-tls"], 5986):
        port = checks(mpsbridge("doctor", NOBODY, "--username", "alice", "-o", "json", *options))["port"]
        assert port["text"].endswith(f"Connection refused; {other} cannot be reached either (Connection refused)")
        assert "winrm enumerate" in port["remedy"]
        assert "--no-tls" not in port["remedy"]


def test_doctor_tries_no_other_port_than_winrms_own(only_http: str, mpsbridge: Command) -> None:
    port = checks(mpsbridge("doctor", f"{only_http}:5987", "--username", "alice", "-o", "json"))["port"]
    assert port["text"].endswith("Connection refused")


def test_an_error_of_winrm_itself_is_neither_unreachable_nor_signed_in(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "swordfish")

    def behave(connection: socket.socket) -> None:
        while request(connection):
            connection.sendall(b"HTTP/1.1 500 Error\r\nContent-Type: application/soap+xml\r\nContent-Length: 0\r\n\r\n")

    with RudeHost(behave) as host:
        words = (f"127.0.0.1:{host.port}", "--no-tls", "--username", "alice", "-o", "json")
        failure = mpsbridge("sessions", *words).document["outcomes"][0]["failure"]
        assert (failure["kind"], failure["may_have_run"]) == ("winrm", False)
        steps = {name: check["ok"] for name, check in checks(mpsbridge("doctor", *words)).items()}
    assert steps == {"name": True, "port": True, "tls": True, "sign-in": None, "powershell": False} | dict.fromkeys(
        ("rights", "sight", "multipoint")
    )


# Names.


@pytest.mark.parametrize(
    ("auth", "way", "username", "advice"),
    [
        ("ntlm", Auth.NTLM, "jane@school.local", "DOMAIN\\name"),
        ("ntlm", Auth.NEGOTIATE, "jane@school.local", "DOMAIN\\name"),
        ("ntlm", Auth.NTLM, "SCHOOL\\jane", "Check --username"),
        ("basic", Auth.BASIC, "jane@school.local", "local accounts only"),
        ("basic", Auth.BASIC, "SCHOOL\\jane", "local accounts only"),
        ("basic", Auth.BASIC, "jane", "Check --username"),
    ],
)
def test_a_name_with_a_suffix_is_told_how_it_may_be_written(auth: Any, way: Auth, username: str, advice: str) -> None:
    with Lab(build_world({"hosts": [{"name": "alpha"}]}), auth=auth) as lab:
        with pytest.raises(AuthRefused, match="refused the account or the password") as caught:
            open_transport(reach(lab, auth=way, username=username)).run(script(), timeout_s=20)
        assert advice in caught.value.hint


# Endpoints.


@pytest.mark.parametrize("code", [2150858752, 2150858811])
def test_an_endpoint_that_is_not_there_is_looked_for_by_its_name(code: int) -> None:
    fault = pypsrp.exceptions.WSManFaultError(code, "", "", "", "", "")
    named = explain(fault, where="ts1", stage=Stage.BEFORE, target=target(configuration_name="NoSuch"))
    assert type(named) is ShellRefused
    assert named.hint.startswith("Check --configuration NoSuch: ")
    assert "Enable-PSRemoting" in explain(fault, where="ts1", stage=Stage.BEFORE, target=target()).hint


def test_access_denied_at_an_endpoint_of_ones_own_speaks_of_that_endpoint() -> None:
    denied = pypsrp.exceptions.WSManFaultError(5, "", "", "", "", "")
    named = explain(denied, where="ts1", stage=Stage.BEFORE, target=target(configuration_name="mpsbridge"))
    assert "endpoint mpsbridge" in named.hint
    plain = explain(denied, where="ts1", stage=Stage.BEFORE, target=target())
    assert "Remote Management Users" in plain.hint


def test_a_fault_without_a_number_is_told_without_one() -> None:
    nothing = pypsrp.exceptions.WSManFaultError(None, None, None, None, None, None)
    assert str(explain(nothing, where="ts1", stage=Stage.BEFORE)) == "ts1: no shell: a fault without a reason"
