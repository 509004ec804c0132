"""What a plan's waves come to, before they are carried out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
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
        '[notices]\nat = ["10m"]\n[waves]\nat_once = 2\nfloor = 1\n',
        "utf-8",
    )
    found = mpsbridge("maintain", str(plan), "--dry-run")
    assert found.code == 0, found.err
    assert found.out.splitlines()[-4:] == [
        "waves: at most 2 of 3 hosts at a time, 1 must serve; the fewest people first",
        "  1. immediately: alpha, beta",
        "  2. at the latest after 12m: gamma",
        "notices and log-offs take until 24m after the start at the latest; restarts are not counted (each at most 1h)",
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
    said = mpsbridge("maintain", str(plan), "--dry-run").err.splitlines()
    first, second = (next(line for line in said if line.startswith(host)) for host in ("alpha, beta: ", "gamma: "))
    found = [re.search(r"notice 10m before the end, (at|about) (\d\d):(\d\d)", line) for line in (first, second)]
    assert [each and each[1] for each in found] == ["at", "about"]
    minutes = [int(each[2]) * 60 + int(each[3]) for each in found if each]
    assert (minutes[1] - minutes[0]) % (24 * 60) in {12, 13}


@pytest.mark.parametrize(
    ("waves", "host", "said"),
    [
        ("floor = 3", "alpha, beta, gamma", "no notice would be shown: the host's turn would never come"),
        ("at_once = 2", "beta", "no notice would be shown: the host is refused"),
    ],
)
def test_no_notice_is_told_of_a_host_on_which_nothing_would_happen(
    lab: Lab, mpsbridge: Command, tmp_path: Path, waves: str, host: str, said: str
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.replace("at_once = 2", waves), "utf-8")
    if host == "beta":
        assert mpsbridge("hold", "beta", "--reason", "exam").code == 0
    found = mpsbridge("maintain", str(plan), "--dry-run").err
    assert f"{host}: {said}" in found
    assert [line for line in found.splitlines() if "notice 10m" in line and host in line] == []


@pytest.mark.parametrize("form", ["table", "json"])
def test_hosts_that_would_begin_too_late_are_told(lab: Lab, mpsbridge: Command, tmp_path: Path, form: str) -> None:
    """They were in no wave, and nothing was said of them."""
    until = (lab.world.clock.now() + timedelta(minutes=3)).astimezone()
    plan = tmp_path / "late.toml"
    plan.write_text(
        'schema = "mpsbridge-plan/1"\nhosts = ["alpha", "beta", "gamma"]\nreason = "updates"\n[notices]\nat = ["10m"]\n'
        f"[waves]\nat_once = 1\nnot_after = {until.isoformat(timespec='seconds')}\n",
        encoding="utf-8",
    )
    found = mpsbridge("maintain", str(plan), "--dry-run", "-o", form)
    assert found.code == 1, found.err
    why = f"not begun: it is after {until:%Y-%m-%d %H:%M} (not_after), if each host before it takes as long as it may"
    if form == "json":
        by_host = {each["host"]: each for each in found.document["outcomes"]}
        assert by_host["alpha"]["value"]["turn"]["wave"] == 1
        assert [by_host[name]["reason"] for name in ("beta", "gamma")] == [why, why]
    else:
        assert f"beta, gamma: skipped: {why}" in found.err
        assert "1 session would be ended on 1 host" in found.out
    assert lab.changes == []
