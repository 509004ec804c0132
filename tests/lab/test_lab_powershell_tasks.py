"""The failsafe of a run that died, on real PowerShell: its own registered command opens the host again (W19)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from conftest import find_engine, missing
from support.alike import executed, world
from support.fake_clock import FakeClock
from support.reserved import put_lease, task_of
from support.snippet_calls import failsafe, held, mode, swap

from mpsbridge.lab import Lab
from mpsbridge.lab.engines.powershell.engine import PowerShellEngine
from mpsbridge.lab.engines.scripted.failsafe import EVERY_S, FAILSAFE_EVENT
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.models.sessions import LogonMode, from_cim, to_cim

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("tasks")]
LIMIT_S = 30.0
HOSTS = ("dead", "reserved", "alive", "damaged", "changed", "edited")


@pytest.fixture
def lab() -> Iterator[Lab]:
    program = find_engine()
    if program is None:
        missing("a PowerShell engine (MPSBRIDGE_PWSH, PATH, or shared/pwsh)")
    hosts = [{"name": name, "clock_offset_s": 7200} for name in HOSTS]
    with Lab(world(*hosts), auth="basic", engine=PowerShellEngine(program, spares=2)) as lab:
        yield lab


def leave_behind(lab: Lab, name: str, found: LogonMode = LogonMode.ENABLED, *, lasts_s: float = 200) -> LabHost:
    """What a run leaves that dies once it has closed the host: lease, task, logon mode."""
    with lab.world.changing() as hosts:
        host = hosts[name]
        host.set_logon_mode(found.value)
        expires = to_cim(host.now() + timedelta(seconds=lasts_s))
    executed(
        lab,
        name,
        [
            ("lease", swap(held(expires=expires, found=found.value), None)),
            ("failsafe", failsafe(found, LogonMode.DRAIN)),
            ("logons-set", mode(LogonMode.DRAIN, found)),
        ],
    )
    with lab.world.changing():
        task = task_of(host)
        assert task is not None
        assert (host.logon_mode, task.last_result) == ("drain", 0)  # its own command has run once
    return host


def pass_time(lab: Lab, seconds: float) -> None:
    """Let the world's clock run, and whatever task is due with it, to its end."""
    clock = lab.world.clock
    assert isinstance(clock, FakeClock)
    with lab.world.changing() as hosts:
        clock.wait(seconds)
        for host in hosts.values():
            host.rows()
    assert until(lambda: not running(lab))


def running(lab: Lab) -> object:
    engine = lab._engine
    assert isinstance(engine, PowerShellEngine)
    assert engine._running is not None
    assert engine._running._tasks is not None
    return engine._running._tasks._running


def until(happened: Callable[[], object]) -> bool:
    end = time.monotonic() + LIMIT_S
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)  # real time: a real process is at work
    return True


@pytest.mark.slow(reason="real commands wait five seconds between their two looks at the lease")
def test_w19_the_registered_command_opens_a_host_that_its_run_has_left(lab: Lab) -> None:
    left = {name: leave_behind(lab, name) for name in ("dead", "damaged", "changed", "edited")}
    left["reserved"] = leave_behind(lab, "reserved", LogonMode.DRAIN_UNTIL_RESTART)
    left["alive"] = leave_behind(lab, "alive", lasts_s=3600)
    with lab.world.changing():
        put_lease(left["damaged"], "{")
        left["changed"].set_logon_mode("disabled")
        edited = task_of(left["edited"])
        assert edited is not None
        edited.arguments = '-NoProfile -NonInteractive -Command "exit"'  # what is not in the command is not done
    before = len(lab.changes)
    for host in left.values():
        host.events.clear()
    pass_time(lab, EVERY_S + 1)
    assert {name: (host.logon_mode, task_of(host) is None) for name, host in left.items()} == {
        "dead": ("enabled", True),
        "reserved": ("drain-until-restart", True),
        "alive": ("drain", False),
        "damaged": ("drain", False),
        "changed": ("disabled", True),
        "edited": ("drain", False),
    }
    (warning,) = left["damaged"].events
    assert warning.startswith("mpsbridge Warning 1: The failsafe cannot read the lease, which holds for a day then: ")
    assert {name: host.events for name, host in left.items() if host.events and name != "damaged"} == {
        "dead": [FAILSAFE_EVENT],
        "reserved": [FAILSAFE_EVENT],
    }
    assert {(each.host, each.act) for each in lab.changes[before:]} == {
        ("dead", "logons"),
        ("dead", "task"),
        ("reserved", "logons"),
        ("reserved", "task"),
        ("changed", "task"),
    }
    pass_time(lab, 25 * 3600)  # a lease that nobody can read holds for a day, by the host's own clock
    assert (left["damaged"].logon_mode, task_of(left["damaged"])) == ("enabled", None)
    assert (left["alive"].logon_mode, task_of(left["alive"])) == ("enabled", None)


def test_a_host_tells_its_own_time(lab: Lab) -> None:
    with lab.world.changing() as hosts:
        expected = hosts["dead"].now()
    ((_, answer),) = executed(lab, "dead", [("lease", swap(held(), None))], keep=("now",))
    assert abs((from_cim(answer["result"]["now"]) - expected).total_seconds()) < LIMIT_S
