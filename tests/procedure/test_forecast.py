"""What a plan's waves come to, before they are carried out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.console import Command
from support.fake_clock import FakeClock

from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.outcomes import Done
from mpsbridge.models.sessions import Session, State
from mpsbridge.models.then import Then
from mpsbridge.operations.ending import End, EndPlan
from mpsbridge.operations.forecast import Wave, waves_of
from mpsbridge.operations.waves import WavesTable
from mpsbridge.planning.policy import HostPlan, Policy
from mpsbridge.planning.selection import Selector, Verdict


def planned(people: list[int], waves: WavesTable, *, then: Then = Then.RESTART) -> EndPlan:
    """A plan for hosts with so many people each."""
    hosts = [
        HostPlan(
            verdicts=tuple(
                Verdict(session=Session(id=id, user="alice", state=State.ACTIVE, state_text=""), decision="act")
                for id in range(2, 2 + count)
            )
        )
        for count in people
    ]
    outcomes = tuple(
        Done[HostPlan](host=f"ts{place}", address="", elapsed_s=0, value=host) for place, host in enumerate(hosts)
    )
    policy = Policy(selector=Selector(everyone=True), warn_s=(600, 60), settle_s=120, then=then)
    return EndPlan(End(policy=policy, waves=waves), "r-1", outcomes, tuple(range(len(people))), len(people), 0)


def waves(plan: EndPlan) -> list[Wave]:
    return waves_of(plan, FakeClock().now())


def test_so_many_at_a_time_begin_one_after_another() -> None:
    assert waves(planned([1, 1, 2], WavesTable(at_once=2))) == [
        Wave(("ts0", "ts1"), 0, 720),
        Wave(("ts2",), 720, 1440),
    ]


def test_a_host_without_people_waits_for_nobody() -> None:
    assert waves(planned([0, 1], WavesTable(at_once=1))) == [Wave(("ts0", "ts1"), 0, 720)]


def test_without_limits_all_begin_at_once_and_who_never_may_is_left_out() -> None:
    assert waves(planned([1, 1], WavesTable())) == [Wave(("ts0", "ts1"), 0, 720)]
    assert waves(planned([1, 1], WavesTable(floor=2))) == []
    assert waves(planned([1, 1, 1], WavesTable(floor=1), then=Then.SHUTDOWN)) == [Wave(("ts0", "ts1"), 0, 720)]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    person = {"id": 2, "user": "alice", "session_name": "rdp-tcp#2", "logon": "1h"}
    hosts = [{"name": name, "sessions": [person]} for name in ("alpha", "beta", "gamma")]
    with Lab(build_world({"hosts": hosts}), auth="ntlm") as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


def test_a_dry_run_of_a_plan_shows_its_waves(lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'schema = "mpsbridge-plan/1"\nhosts = ["alpha", "beta", "gamma"]\nreason = "updates"\nthen = "restart"\n'
        '[notices]\nat = ["10m"]\nsender = "IT"\n[waves]\nat_once = 2\nfloor = 1\n',
        "utf-8",
    )
    found = mpsbridge("maintain", str(plan), "--dry-run")
    assert found.code == 0, found.err
    text = "Your session ends in 10 min, at {HH:MM, HH:MM}. Please save your work and log off. Reason: updates. (IT)"
    lines = [re.sub(r"\d\d:\d\d", "HH:MM", line) for line in found.out.splitlines()]
    assert lines[-6:] == [
        "waves: at most 2 of 3 hosts at a time, 1 must serve; the fewest people first",
        "  1. immediately: alpha, beta; notices at HH:MM host time",
        "  2. at the latest after 12m: gamma; notices about HH:MM host time",
        "notices and log-offs take until 24m after the start at the latest; restarts are not counted (each at most 1h)",
        f"notice, en (alpha, beta, gamma): {text}",
        "3 sessions would be ended and 3 hosts restarted",
    ]
    assert lab.changes == []


PLAN = (
    'schema = "mpsbridge-plan/1"\nhosts = ["alpha", "beta", "gamma"]\nreason = "updates"\n'
    '[notices]\nat = ["10m"]\n[waves]\nat_once = 2\n'
)


def test_programs_get_the_turn_of_each_host(lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    """Once only the table told in which order hosts begin."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN, "utf-8")
    found = mpsbridge("maintain", str(plan), "--dry-run", "-o", "json")
    turns = {each["host"]: each["value"]["turn"] for each in found.document["outcomes"]}
    first, second = {"wave": 1, "begins_s": 0, "ends_s": 720}, {"wave": 2, "begins_s": 720, "ends_s": 1440}
    assert turns == {"alpha": first, "beta": first, "gamma": second}
    assert mpsbridge("end", "alpha", "--all", "--dry-run", "-o", "json").outcome("alpha")["value"]["turn"] is None


def test_notices_are_told_for_the_time_of_the_turn(lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    """A host of the second wave was once said to warn people when the first one does."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN, "utf-8")
    said = mpsbridge("maintain", str(plan), "--dry-run").out.splitlines()
    first, second = (next(line for line in said if f": {hosts}; " in line) for hosts in ("alpha, beta", "gamma"))
    found = [re.search(r"notices (at|about) (\d\d):(\d\d) host time$", line) for line in (first, second)]
    assert [each and each[1] for each in found] == ["at", "about"]
    minutes = [int(each[2]) * 60 + int(each[3]) for each in found if each]
    assert (minutes[1] - minutes[0]) % (24 * 60) in {12, 13}


@pytest.mark.parametrize(("waves", "told"), [("floor = 3", ""), ("at_once = 2", "alpha, gamma")])
def test_no_notice_is_told_of_a_host_on_which_nothing_would_happen(
    lab: Lab, mpsbridge: Command, tmp_path: Path, waves: str, told: str
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.replace("at_once = 2", waves), "utf-8")
    if told:
        assert mpsbridge("hold", "beta", "--reason", "exam").code == 0
    found = mpsbridge("maintain", str(plan), "--dry-run")
    assert re.findall(r"^notice, en \((.*?)\)", found.out, re.MULTILINE) == ([told] if told else [])
    assert "no notice would be shown" not in found.out + found.err  # that the host is left out is said, and why
