"""The contract of :mod:`mpsbridge.transports.base`, held against every transport."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from conftest import find_engine, missing
from support.lab_target import TestEngine, reach, script

from mpsbridge.errors import ConnectionLost, Interrupted, NotSent, TimedOut, TransportClosed
from mpsbridge.lab.engines.contract import Terminating
from mpsbridge.lab.server import Lab
from mpsbridge.lab.wire.faults import Fault
from mpsbridge.lab.worldfile import load_world
from mpsbridge.models.scripts import RawOutput, Script
from mpsbridge.models.targets import Target
from mpsbridge.transports import open_transport
from mpsbridge.transports.base import Transport
from mpsbridge.transports.canned import CannedTransport
from mpsbridge.transports.local import LocalTransport

Carrier = tuple[Transport, Script]
Make = Callable[[str], contextlib.AbstractContextManager[Carrier]]
"""Gives a transport and the script with which it gets into a situation: fine, error, silent, busy or lost."""


@contextlib.contextmanager
def canned(situation: str) -> Iterator[Carrier]:
    def answer(_: Script) -> str | RawOutput | NotSent | Interrupted:
        match situation:
            case "error":
                return RawOutput(output=(), errors=("no",), failed=True)
            case "silent":
                return TimedOut("the time was up")
            case "lost":
                return ConnectionLost("the connection broke")
            case "busy":
                while not transport.closed:
                    time.sleep(0.01)
        return "done"

    transport = CannedTransport(answer)
    yield transport, script()


@contextlib.contextmanager
def over_winrm(situation: str) -> Iterator[Carrier]:
    def fail(_: str) -> str:
        raise Terminating("no", error_id="No", reason="No")

    world = load_world("small")
    faults = {"silent": Fault("receive", "hang", after=2), "lost": Fault("command", "close")}
    world.hosts["alpha"].faults = (faults[situation],) if situation in faults else ()
    engine = TestEngine(fail) if situation == "error" else TestEngine(after_s=30 if situation == "busy" else 0)
    with Lab(world, auth="ntlm", engine=engine) as lab:
        transport = open_transport(reach(lab))
        assert lab.requests == [], "making it does no I/O"
        yield transport, script()
        transport.close()


@contextlib.contextmanager
def local(situation: str) -> Iterator[Carrier]:
    if (engine := find_engine()) is None:
        missing("a PowerShell engine")
    calls = {
        "error": "throw 'no'",
        "silent": "Start-Sleep 30",
        "busy": "Start-Sleep 30",
        "lost": "[Environment]::Exit(3)",
    }
    target = Target(host="local", address="localhost", kind="local")
    transport = LocalTransport(target, engine=engine)
    yield transport, script(calls.get(situation, "Get-Done"), definitions="function Get-Done { 'done' }")
    transport.close()


@pytest.fixture(params=[canned, over_winrm, local], ids=["canned", "winrm", "local"])
def make(request: pytest.FixtureRequest) -> Make:
    chosen: Make = request.param
    return chosen


def test_it_says_what_it_is(make: Make) -> None:
    with make("fine") as (transport, _):
        assert transport.name in {"canned", "winrm", "local"}


def test_output_comes_home(make: Make) -> None:
    with make("fine") as (transport, asked):
        for _ in range(3):
            assert transport.run(asked, timeout_s=10).output == ("done",)


def test_an_error_of_powershell_is_an_answer(make: Make) -> None:
    with make("error") as (transport, asked):
        for _ in range(2):
            raw = transport.run(asked, timeout_s=10)
            assert raw.failed
            assert raw.errors == ("no",)


@pytest.mark.xdist_group("timing")
def test_after_an_expiry_it_is_closed(make: Make) -> None:
    with make("silent") as (transport, asked):
        started = time.monotonic()
        with pytest.raises((TimedOut, NotSent)):  # on a busy machine a real engine may not even have started
            transport.run(asked, timeout_s=1)
        assert time.monotonic() - started < 2
        with pytest.raises(TransportClosed):
            transport.run(asked, timeout_s=10)


def test_after_a_loss_it_is_closed(make: Make) -> None:
    with make("lost") as (transport, asked):
        with pytest.raises(ConnectionLost) as caught:
            transport.run(asked, timeout_s=10)
        assert caught.value.may_have_run
        assert caught.value.snippet == "observe"
        with pytest.raises(TransportClosed):
            transport.run(asked, timeout_s=10)


def test_a_cancel_from_another_thread_ends_it(make: Make) -> None:
    with make("busy") as (transport, asked):
        canceller = threading.Timer(0.2, transport.cancel)
        canceller.start()
        started = time.monotonic()
        with pytest.raises((NotSent, Interrupted), match="cancelled"):
            transport.run(asked, timeout_s=20)
        assert time.monotonic() - started < 5
        canceller.join()
        with pytest.raises(TransportClosed):
            transport.run(asked, timeout_s=10)


def test_a_cancel_before_it_runs_closes_it(make: Make) -> None:
    with make("fine") as (transport, asked):
        transport.cancel()
        with pytest.raises(TransportClosed):
            transport.run(asked, timeout_s=10)


def test_closing_twice_is_fine_and_final(make: Make) -> None:
    with make("fine") as (transport, asked):
        transport.run(asked, timeout_s=10)
        transport.close()
        transport.close()
        with pytest.raises(TransportClosed):
            transport.run(asked, timeout_s=10)


def test_closing_what_was_never_used_is_fine(make: Make) -> None:
    with make("fine") as (transport, _):
        transport.close()
        transport.cancel()


def test_no_time_at_all_sends_nothing(make: Make) -> None:
    with make("fine") as (transport, asked):
        if transport.name == "canned":
            return  # its answers take no time
        with pytest.raises(NotSent):
            transport.run(asked, timeout_s=0)


def test_a_canned_transport_keeps_what_was_run() -> None:
    transport = CannedTransport(lambda each: each.call)
    assert transport.run(script("Get-Other"), timeout_s=1).output == ("Get-Other",)
    assert [each.call for each in transport.scripts] == ["Get-Other"]
