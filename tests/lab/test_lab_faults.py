"""Each way of going wrong, as pypsrp's own client meets it. Real deadlines here are short."""

from __future__ import annotations

import base64
import socket
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from support.lab_client import CONFIG, DEFINED, OBSERVE, SHELL, act, answer, envelope, guards_of, pool, run, wsman

from mpsbridge.lab import Lab, build_world

pytestmark = pytest.mark.xdist_group("timing")


@contextmanager
def faulty(*rules: dict[str, Any], auth: Any = "basic") -> Iterator[Lab]:
    sessions = [{"id": 2, "user": "alice", "idle_s": 5}]
    world = build_world({"hosts": [{"name": "a", "faults": list(rules), "sessions": sessions}]})
    with Lab(world, auth=auth) as lab:
        yield lab


@pytest.mark.parametrize("step", ["create", "command", "delete"])
@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ("hang", requests.ReadTimeout),
        ("close", requests.ConnectionError),
        ("reset", requests.ConnectionError),
        ("cut", requests.exceptions.ChunkedEncodingError),
        ("fault", WSManFaultError),
        ("refuse", WSManFaultError),
        ("status", WinRMTransportError),
    ],
)
def test_a_step_can_go_wrong_in_each_way(step: str, do: str, expected: type[Exception]) -> None:
    with faulty({"step": step, "do": do}) as lab:
        connection = wsman(lab, read_timeout=0.3)
        with pytest.raises(expected):
            _open_run_close(RunspacePool(connection))
        connection.close()


def _open_run_close(runspaces: RunspacePool) -> None:
    runspaces.open()
    run(runspaces, OBSERVE)
    runspaces.close()


def test_half_an_envelope_in_a_whole_answer() -> None:
    with (
        faulty({"step": "command", "do": "garble"}) as lab,
        pool(lab) as runspaces,
        pytest.raises(ET.ParseError),
    ):
        run(runspaces, OBSERVE)


def test_faults_carry_their_code_and_stop_after_their_times() -> None:
    rule = {"step": "command", "do": "fault", "code": 2150858793, "after": 1, "times": 1}
    with faulty(rule) as lab, pool(lab) as runspaces:
        assert answer(runspaces, OBSERVE)["ok"]
        with pytest.raises(WSManFaultError, match="2150858793"):
            run(runspaces, OBSERVE)
        assert answer(runspaces, OBSERVE)["ok"]


@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_a_right_password_can_be_refused_and_signing_in_can_hang(auth: str) -> None:
    with faulty({"step": "auth", "do": "refuse"}, auth=auth) as lab:
        with pytest.raises(AuthenticationError), pool(lab):
            pass
        assert lab.refused == {"a": 1}
    rule = {"step": "auth", "do": "hang"}
    with faulty(rule, auth=auth) as lab, pytest.raises(requests.ReadTimeout), pool(lab, read_timeout=0.3):
        pass


@pytest.mark.parametrize(
    ("do", "expected"),
    [("hang", requests.ReadTimeout), ("close", requests.ConnectionError), ("reset", requests.ConnectionError)],
)
def test_a_connection_can_be_accepted_and_come_to_nothing(do: str, expected: type[Exception]) -> None:
    with faulty({"step": "connect", "do": do}) as lab, pytest.raises(expected), pool(lab, read_timeout=0.3):
        pass


def test_a_delay_takes_its_time() -> None:
    with faulty({"step": "create", "do": "delay", "delay_s": 0.3}) as lab:
        began = time.monotonic()
        with pool(lab) as runspaces:
            assert time.monotonic() - began > 0.3
            assert answer(runspaces, OBSERVE)["ok"]


def test_a_drip_comes_byte_by_byte() -> None:
    with faulty({"step": "get", "do": "drip", "delay_s": 0.05}) as lab:
        sign_in = base64.b64encode(f"{lab.user}:{lab.password}".encode()).decode()
        body = envelope("Get", resource=CONFIG)
        head = f"POST /wsman HTTP/1.1\r\nAuthorization: Basic {sign_in}\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection((lab.hosts[0].address, lab.port), timeout=5) as client:
            client.sendall(head.encode() + body)
            began = time.monotonic()
            pieces = [client.recv(100) for _ in range(5)]
            assert time.monotonic() - began > 0.15
    assert pieces == [b"H", b"T", b"T", b"P", b"/"]


@pytest.mark.parametrize(("acted", "acts"), [(True, ["logoff"]), (False, [])])
def test_a_lost_answer_and_a_lost_order_look_the_same_from_outside(acted: bool, acts: list[str]) -> None:
    rule = {"step": "command", "call": "Close-MpsbridgeSession", "do": "close", "acted": acted}
    with faulty(rule) as lab, pool(lab) as runspaces:
        guards = guards_of(answer(runspaces, OBSERVE)["result"])
        with pytest.raises(requests.ConnectionError):
            run(runspaces, act("Close-MpsbridgeSession", guards))
        assert [change.act for change in lab.changes] == acts


def test_w04_a_script_that_starts_late_does_nothing() -> None:
    with faulty() as lab, pool(lab) as runspaces:
        observed = answer(runspaces, OBSERVE)["result"]
        late = act("Close-MpsbridgeSession", guards_of(observed), not_after="20200101000000.000000+000")
        result = answer(runspaces, late)["result"]
        assert [each["result"] for each in result["sessions"]] == ["expired"]
        assert lab.changes == []


def test_a_receive_that_lost_its_client_leaves_the_output_for_the_next() -> None:
    world = build_world({"hosts": [{"name": "a", "script_s": 1.3}]})
    with Lab(world, auth="basic") as lab, pool(lab) as runspaces:
        pipeline = PowerShell(runspaces)
        pipeline.add_script(DEFINED + OBSERVE)
        pipeline.begin_invoke()
        http, shell = runspaces.connection.transport, runspaces.shell
        http.connection_timeout, http.read_timeout, patient = 1, 1, http.read_timeout
        with pytest.raises(requests.ReadTimeout):  # without the retries of WSMan.receive
            runspaces.connection.invoke(
                f"{SHELL}/Receive", shell.resource_uri, _receive(pipeline.id), selector_set=shell._selector_set
            )
        http.read_timeout = patient
        pipeline.end_invoke()
        assert len(pipeline.output) == 1


def _receive(command: str) -> ET.Element:
    receive = ET.Element(f"{{{SHELL}}}Receive")
    ET.SubElement(receive, f"{{{SHELL}}}DesiredStream", CommandId=command).text = "stdout"
    return receive


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n"])
def test_who_speaks_something_else_is_answered_and_let_go(data: bytes) -> None:
    with faulty() as lab, socket.create_connection((lab.hosts[0].address, lab.port), timeout=5) as client:
        client.sendall(data)
        assert client.recv(100).startswith(b"HTTP/1.1 4")


def test_an_exception_in_the_make_believe_host_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def answer(self, *_: object) -> Any:
            raise ZeroDivisionError

    world = build_world({"hosts": [{"name": "a"}]})
    with (
        Lab(world, auth="basic", engine=Broken()) as lab,
        pool(lab) as runspaces,
        pytest.raises(WinRMTransportError) as failure,
    ):
        run(runspaces, OBSERVE)
    assert failure.value.code == 500
    assert "ZeroDivisionError" in caplog.text
