"""The article's four reasons to end a session, over real WinRM against the lab, with a clock that both live by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fake_clock import FakeClock
from support.reserved import lease_of

from mpsbridge.host import Host
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.credentials import Auth, Password
from mpsbridge.models.sessions import LogonMode
from mpsbridge.models.targets import Target
from mpsbridge.models.then import Then
from mpsbridge.planning.policy import Policy
from mpsbridge.planning.selection import Selector
from mpsbridge.procedure.context import ProcedureContext
from mpsbridge.procedure.procedure import end_sessions
from mpsbridge.runs.ended import EndValue
from mpsbridge.runs.journal import Journal

HOSTS: list[dict[str, Any]] = [
    {
        "name": "rds",
        "language": "fr",
        "utc_offset_min": 60,
        "sessions": [
            {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "2h"},
            {"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "logon": "1h"},
        ],
    },
    {
        "name": "mps2016",
        "language": "de",
        "generation": "2016",
        "stations": [{"id": 1, "name": "Fenster"}, {"id": 2, "name": "Tür"}],
        "sessions": [
            {"id": 4, "user": "carol", "session_name": "rdp-tcp#4", "station": 1, "logon": "1h"},
            {"id": 5, "user": "dave", "session_name": "rdp-tcp#5", "station": 2, "logon": "1h"},
        ],
    },
    {
        "name": "mps2012",
        "generation": "2012",
        "stations": [{"id": 1, "name": "Door"}],
        "sessions": [{"id": 4, "user": "erin", "session_name": "rdp-tcp#4", "station": 1, "logon": "1h"}],
    },
]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def lab(clock: FakeClock) -> Iterator[Lab]:
    with Lab(build_world({"hosts": HOSTS}, clock), auth="ntlm", clock=clock) as running:
        yield running


def carry_out(lab: Lab, clock: FakeClock, name: str, folder: Path, **policy: Any) -> EndValue:
    place = next(each for each in lab.hosts if each.name == name)
    host = Host(
        Target(
            host=name,
            address=place.address,
            port=lab.port,
            tls=False,
            auth=Auth.NTLM,
            credentials=Password(lab.user, lab.password),
        ),
        clock=clock,
    )
    with Journal(folder / "journal.sqlite", clock=clock) as journal:
        journal.begin("r-1", command="end", reason="updates", options={})
        context = ProcedureContext(
            host,
            run="r-1",
            policy=Policy(selector=Selector(everyone=True), reason="updates", warn_s=(300, 60), **policy),
            owner="admin@box",
            journal=journal,
            clock=clock,
        )
        try:
            value = end_sessions(context)
        finally:
            host.close()
        assert journal.unanswered("r-1") == []
        return value


def acts(lab: Lab) -> list[str]:
    return [
        change.act for change in lab.changes if change.act in {"logons", "message", "logoff", "restart", "shutdown"}
    ]


def given_back(lab: Lab, name: str) -> bool:
    with lab.world.changing() as hosts:
        return lease_of(hosts[name]) is None and hosts[name].logon_mode == LogonMode.ENABLED


@pytest.mark.parametrize("name", ["rds", "mps2016", "mps2012"])
def test_a_user_forgot_to_log_off(lab: Lab, clock: FakeClock, tmp_path: Path, name: str) -> None:
    value = carry_out(lab, clock, name, tmp_path)
    assert value.outcome == "done"
    assert {one.result for one in value.sessions} == {"ended"}
    assert acts(lab).count("logoff") == len(value.sessions)
    assert acts(lab).count("message") == 2 * len(value.sessions)
    assert given_back(lab, name)


@pytest.mark.parametrize("name", ["rds", "mps2016"])
def test_the_host_restarts(lab: Lab, clock: FakeClock, tmp_path: Path, name: str) -> None:
    value = carry_out(lab, clock, name, tmp_path, then=Then.RESTART)
    assert value.outcome == "back"
    assert acts(lab).count("restart") == 1
    assert given_back(lab, name)


def test_the_host_shuts_down(lab: Lab, clock: FakeClock, tmp_path: Path) -> None:
    value = carry_out(lab, clock, "rds", tmp_path, then=Then.SHUTDOWN)
    assert value.outcome == "went quiet"
    assert acts(lab).count("shutdown") == 1


@pytest.mark.parametrize("name", ["mps2016", "mps2012"])
def test_the_host_switches_to_console_mode(lab: Lab, clock: FakeClock, tmp_path: Path, name: str) -> None:
    value = carry_out(lab, clock, name, tmp_path, then=Then.CONSOLE_MODE)
    assert value.outcome == "back" or value.outcome.startswith("the mode is")
    assert given_back(lab, name)


def test_notices_speak_the_hosts_language(lab: Lab, clock: FakeClock, tmp_path: Path) -> None:
    carry_out(lab, clock, "mps2016", tmp_path)
    texts = [change.text for change in lab.changes if change.act == "message"]
    assert all("Ihre Sitzung endet in" in text and "(admin)" in text for text in texts)
