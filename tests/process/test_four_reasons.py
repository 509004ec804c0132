"""The article's four reasons to end a session, each through the command line on real PowerShell.

A plain Remote Desktop host speaks French, a MultiPoint host of 2016 German, one of 2012 Russian. What the command line
says is compared with what the hosts themselves recorded. Everybody lives by a clock that shortens waits: minutes of
warnings and of proof take seconds, what the scripts themselves need takes its own time. One host at a time: a wait of
one would shorten the ten seconds that another has between its order and its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import PROFILE, find_engine, missing
from support.console import Command
from support.reserved import lease_of, task_of

from mpsbridge.clock import HastyClock
from mpsbridge.lab.engines.powershell.engine import PowerShellEngine
from mpsbridge.lab.engines.scripted.failsafe import FAILSAFE_TASK
from mpsbridge.lab.server import Lab
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.worldfile import build_world
from mpsbridge.procedure.notices import ADMINISTRATOR, sender_of
from mpsbridge.runs.journal import owner

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("reasons")]

KINDS: dict[str, dict[str, Any]] = {
    "plain": {
        "language": "fr",
        "utc_offset_min": 60,
        "sessions": [
            {"id": 2, "user": "alice", "logon": "2h"},
            {"id": 3, "user": "bob", "logon": "1h"},
        ],
    },
    "2016": {
        "language": "de",
        "generation": "2016",
        "stations": [{"id": 1, "name": "Fenster"}, {"id": 2, "name": "Tür"}],
        "sessions": [
            {"id": 4, "user": "carol", "station": 1, "logon": "1h"},
            {"id": 5, "user": "dave", "station": 2, "logon": "1h"},
        ],
    },
    "2012": {
        "language": "ru",
        "generation": "2012",
        "stations": [{"id": 1, "name": "Дверь"}, {"id": 2, "name": "Окно", "auto_logon": True}],
        "sessions": [
            {"id": 4, "user": "erin", "station": 1, "logon": "1h"},
            {"id": 5, "user": "guest", "station": 2, "logon": "1h"},
        ],
    },
}
WARNING = {"plain": "Votre session se termine", "2016": "Ihre Sitzung endet", "2012": "Ваш сеанс завершится"}
HOSTS = [
    {"name": f"{reason}-{kind}", **facts}
    for reason in ("forgot", "restart", "shutdown", "mode")
    for kind, facts in KINDS.items()
]
HOSTS[-1]["mode"] = "ConsoleMode"  # that one is switched to station mode


def of_kinds(*everyday: str) -> pytest.MarkDecorator:
    """Every day each reason once or twice and each kind of host somewhere; all pairs in the deep profile."""
    return pytest.mark.parametrize("kind", KINDS if PROFILE == "deep" else everyday)


@pytest.fixture(scope="module")
def clock() -> HastyClock:
    return HastyClock(200)


@pytest.fixture(scope="module")
def lab(clock: HastyClock) -> Iterator[Lab]:
    program = find_engine()
    if program is None:
        missing("a PowerShell engine (MPSBRIDGE_PWSH, PATH, or shared/pwsh)")
    engine = PowerShellEngine(program, spares=1)
    with Lab(build_world({"hosts": HOSTS}, clock), auth="ntlm", clock=clock, engine=engine) as running:
        yield running


class Ending:
    """``end`` against one host of the lab, and what that host itself says of it."""

    def __init__(self, lab: Lab, clock: HastyClock, mpsbridge: Command) -> None:
        self.lab, self.clock, self.mpsbridge = lab, clock, mpsbridge

    def everybody(self, host: str, *, notices: str = "1m", then: str = "nothing", outcome: str) -> None:
        """End whoever is on; the answer is ``outcome``, and the host says: each was told in time, and ended once."""
        words = ("--warn", notices, "--reason", "Windows updates", "--then", then, "--yes", "-o", "json")
        found = self.mpsbridge("end", host, "--all", *words, clock=self.clock)
        assert found.code == 0, found.err
        value = found.outcome(host)["value"]
        kind = host.partition("-")[2]
        people = [session["user"] for session in KINDS[kind]["sessions"]]
        assert value["outcome"] == outcome
        assert {one["session"]["user"]: one["result"] for one in value["sessions"]} == dict.fromkeys(people, "ended")
        boxes = [change for change in self.lab.changes if (change.host, change.act) == (host, "message")]
        ended = [change for change in self.lab.changes if (change.host, change.act) == (host, "logoff")]
        assert sorted(str(change.user) for change in ended) == people
        assert sorted(str(change.user) for change in boxes) == sorted(people * len(notices.split(",")))
        assert max(change.at for change in boxes) < min(change.at for change in ended)
        for part in (
            WARNING[kind],
            "Windows updates",
            f"({sender_of(owner()) or ADMINISTRATOR[str(KINDS[kind]['language'])]})",
        ):
            assert all(part in change.text for change in boxes)

    def orders(self, host: str) -> list[tuple[str, str]]:
        """What was done to the host as such, in order. (Its lease is a file, of which the world keeps no record.)"""
        kinds = {"logons", "task", "mode", "restart", "shutdown"}
        return [(change.act, change.text) for change in self.lab.changes if change.host == host and change.act in kinds]

    def now(self, host: str) -> LabHost:
        with self.lab.world.changing() as hosts:
            return hosts[host]

    def is_as_before(self, host: str) -> bool:
        with self.lab.world.changing() as hosts:
            return (lease_of(hosts[host]), task_of(hosts[host]), hosts[host].logon_mode) == (None, None, "enabled")


@pytest.fixture
def ending(lab: Lab, clock: HastyClock, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> Ending:
    monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
    return Ending(lab, clock, mpsbridge)


@of_kinds("plain")
def test_somebody_forgot_to_log_off(ending: Ending, kind: str) -> None:
    host = f"forgot-{kind}"
    ending.everybody(host, notices="1m,30s", outcome="done")
    closed = [("task", rf"registered {FAILSAFE_TASK}"), ("logons", "drain")]
    assert ending.orders(host) == [*closed, ("logons", "enabled"), ("task", rf"removed {FAILSAFE_TASK}")]
    assert ending.is_as_before(host)
    with ending.lab.world.changing() as hosts:  # a station that signs in by itself is there again (W8)
        assert [session.user for session in hosts[host].rows()] == (["guest"] if kind == "2012" else [])


# What follows a restart, of the host's own doing: Windows drops ``drain-until-restart`` without being told.
CLOSED = [("task", rf"registered {FAILSAFE_TASK}"), ("logons", "drain-until-restart")]


@of_kinds("2016")
def test_a_host_restarts_for_updates(ending: Ending, kind: str) -> None:
    host = f"restart-{kind}"
    before = ending.now(host).boot
    ending.everybody(host, then="restart", outcome="back")
    assert ending.orders(host) == [*CLOSED, ("restart", ""), ("task", rf"removed {FAILSAFE_TASK}")]
    assert ending.now(host).boot > before
    assert ending.is_as_before(host)


@pytest.mark.everything(reason="as a restart, with another last order")
@of_kinds("2012")
def test_a_host_shuts_down(ending: Ending, kind: str) -> None:
    host = f"shutdown-{kind}"
    ending.everybody(host, then="shutdown", outcome="went quiet")
    assert ending.orders(host) == [*CLOSED, ("shutdown", "")]
    with ending.lab.world.changing() as hosts:
        assert hosts[host].is_away
        assert task_of(hosts[host]) is not None  # it opens the host at its next start, if nobody else does


@pytest.mark.everything(reason="as a restart, with another last order")
@pytest.mark.parametrize(("kind", "mode", "word"), [("2016", "console", "ConsoleMode"), ("2012", "station", "Normal")])
def test_a_host_switches_its_mode(ending: Ending, kind: str, mode: str, word: str) -> None:
    host = f"mode-{kind}"
    ending.everybody(host, then=f"{mode}-mode", outcome="back")
    assert ending.orders(host) == [*CLOSED, ("mode", word), ("restart", ""), ("task", rf"removed {FAILSAFE_TASK}")]
    assert ending.now(host).mode == word
    assert ending.is_as_before(host)


def test_a_host_without_multipoint_has_no_mode_to_switch(ending: Ending) -> None:
    refused = ending.mpsbridge("end", "mode-plain", "--all", "--then", "console-mode", "--yes", "-o", "json")
    assert refused.code == 3
    assert "does not have MultiPoint Services" in refused.outcome("mode-plain")["reason"]
    assert ending.orders("mode-plain") == []
