"""Who was chosen for being idle or disconnected and is back at work right before the end is kept (W42)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.console import Command
from support.fake_clock import FakeClock
from support.fake_host import FakeHost
from support.seen_sessions import ALICE, BOB, CAROL, seen, session
from support.stage import Stage, clean, results

from mpsbridge.cli.terminal import Terminal
from mpsbridge.clock import HastyClock
from mpsbridge.errors import Refused, Unreachable
from mpsbridge.lab.server import Lab
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.sessions import State
from mpsbridge.models.then import Then
from mpsbridge.planning.selection import Act, Allowed, Selector, ask_again, make_plan
from mpsbridge.runs.journal import Journal

IDLE = Selector(idle_over_s=7200)
AWAY = Selector(disconnected=True)
LONG_AWAY = Selector(disconnected_over_s=7200)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    host = FakeHost(FakeClock())
    for number, user in ((2, "alice"), (3, "bob")):
        host.log_on(number, user, idle_s=9000)
    with Journal(tmp_path / "journal.sqlite", clock=host.clock) as journal:
        for run in ("r-1", "r-2"):
            journal.begin(run, command="end", reason="updates", options={})
        yield Stage(host, journal)


def once_begun(stage: Stage, **facts: Any) -> None:
    """From the first box on, that is how it stands with alice."""

    def look(host: FakeHost) -> None:
        if 2 in host.people and any(what == "shown" for what, _ in host.record):
            for name, value in facts.items():
                setattr(host.people[2], name, value)

    stage.host.on_look = look


def test_w42_who_works_again_after_the_first_notice_is_kept(stage: Stage) -> None:
    once_begun(stage, idle_s=0)
    value = stage.run(selector=IDLE)
    assert [(one.session.user, one.result.value, one.text) for one in value.sessions] == [
        ("alice", "kept", "in use again"),
        ("bob", "ended", ""),
    ]
    assert ("ended", "alice") not in stage.host.record
    assert clean(stage.host)


@pytest.mark.parametrize("selector", [AWAY, LONG_AWAY, Selector(users=("alice", "bob"), disconnected=True)])
def test_w42_who_reconnects_during_the_wait_is_kept(stage: Stage, selector: Selector) -> None:
    stage.host.log_on(4, "carol", state=State.DISCONNECTED, idle_s=9000)
    for person in stage.host.people.values():
        person.state = State.DISCONNECTED
    half_way = stage.host.clock.now() + timedelta(seconds=100)

    def come_back(host: FakeHost) -> None:
        if 2 in host.people and host.clock.now() > half_way:
            host.people[2].state, host.people[2].idle_s = State.ACTIVE, 0

    stage.host.on_look = come_back
    found = results(stage.run(selector=selector))
    assert (found["alice"], found["bob"]) == ("kept", "ended")
    assert clean(stage.host)


def test_who_was_back_in_between_has_not_been_away_for_long(stage: Stage) -> None:
    stage.host.people[2].state = State.DISCONNECTED
    stage.host.on_look = lambda host: setattr(host.people.get(2), "idle_s", 20) if stage.steps else None
    assert results(stage.run(selector=LONG_AWAY))["alice"] == "kept"


def test_an_idle_time_that_cannot_be_seen_any_more_is_taken_for_use(stage: Stage) -> None:
    once_begun(stage, idle_s=None)
    (alice, bob) = stage.run(selector=IDLE).sessions
    assert (alice.result, alice.text) == ("kept", "its idle time is unknown at the last look")
    assert bob.result == "ended"


@pytest.mark.parametrize("selector", [Selector(everyone=True), Selector(users=("alice", "bob"))])
def test_who_was_chosen_by_name_or_as_one_of_all_is_not_asked(stage: Stage, selector: Selector) -> None:
    once_begun(stage, idle_s=0)
    assert results(stage.run(selector=selector)) == {"alice": "ended", "bob": "ended"}


def test_w38_a_program_that_was_started_during_the_wait_spares_its_session(stage: Stage) -> None:
    once_begun(stage, programs=("backup",))
    (alice, bob) = stage.run(keep_running=("backup",)).sessions
    assert (alice.result, alice.text, bob.result) == ("kept", "backup runs in it", "ended")


def test_a_restart_over_a_session_in_use_again_is_refused_before_anybody_is_ended(stage: Stage) -> None:
    once_begun(stage, idle_s=0)
    said = r"nobody was ended: session 2, alice: in use again, but a restart ends it too \(--all allows it\)"
    with pytest.raises(Refused, match=said) as refused:
        stage.run(selector=IDLE, then=Then.RESTART)
    assert not refused.value.may_have_run
    assert not [what for what, _ in stage.host.record if what in {"ended", "down"}]
    assert clean(stage.host)


def test_a_run_that_goes_on_asks_again_too(stage: Stage) -> None:
    stage.host.faults["logoff"] = ("before", Unreachable("no route"))
    with pytest.raises(Unreachable):
        stage.run(selector=IDLE)
    once_begun(stage, idle_s=0)
    assert results(stage.run(selector=IDLE)) == {"alice": "kept", "bob": "ended"}


def test_the_plan_at_a_later_look() -> None:
    allowed = Allowed(disconnected_ok=True)
    plan = make_plan(seen(BOB, CAROL), IDLE, Act.LOGOFF, allowed)
    assert [one.id for one in plan.acts] == [3, 4]
    later = ask_again(plan, seen(BOB.model_copy(update={"idle_s": 0})), IDLE, Act.LOGOFF, allowed)
    assert [(one.session.id, one.decision, one.reason) for one in later.verdicts] == [
        (3, "keep", "in use again"),
        (4, "act", ""),  # not there: what became of it is the guard's to find out
    ]
    somebody_else = session(3, "zoe", idle_s=0)
    assert ask_again(plan, seen(somebody_else), IDLE, Act.LOGOFF, allowed) == plan
    named = make_plan(seen(ALICE), Selector(users=("alice",)), Act.LOGOFF)
    assert ask_again(named, seen(ALICE), IDLE, Act.LOGOFF, allowed).acts == ()


HOST: dict[str, Any] = {
    "name": "alpha",
    "sessions": [
        {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "idle_s": 9000, "logon": "5h"},
        {"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "idle_s": 9000, "logon": "5h"},
        {"id": 4, "user": "carol", "state": "disconnected", "idle_s": 9000, "logon": "5h"},
    ],
}


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    clock = HastyClock(60)
    with Lab(build_world({"hosts": [HOST]}, clock), auth="ntlm", clock=clock) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


def ended(lab: Lab) -> list[str | None]:
    return [change.user for change in lab.changes if change.act in {"logoff", "disconnect"}]


def test_end_keeps_who_closed_the_box_and_works(lab: Lab, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    show = LabHost.show

    def show_and_be_closed(host: LabHost, session_id: int, text: str) -> None:
        show(host, session_id, text)
        if session_id == 2:
            host._existing(session_id).idle_s = 0

    monkeypatch.setattr(LabHost, "show", show_and_be_closed)
    words = ("end", "alpha", "--idle-over", "2h", "--disconnected-ok", "--warn", "60s,30s", "--reason", "x", "--yes")
    found = mpsbridge(*words, "-o", "json", clock=lab.world.clock)
    assert found.code == 0, found.err
    (alice,) = [each for each in found.outcome("alpha")["value"]["sessions"] if each["session"]["user"] == "alice"]
    assert (alice["result"], alice["text"]) == ("kept", "in use again")
    assert sorted(filter(None, ended(lab))) == ["bob", "carol"]


@pytest.mark.parametrize(
    ("words", "hit"),
    [
        (["logoff", "--idle-over", "2h", "--disconnected-ok"], ["bob"]),
        (["logoff", "--disconnected-over", "2h"], []),
        (["logoff", "--disconnected"], []),
        (["disconnect", "--idle-over", "2h"], ["bob"]),
        (["logoff", "--user", "alice"], ["alice"]),
    ],
)
def test_w42_who_comes_back_while_the_question_stands_is_not_hit(
    lab: Lab, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, words: list[str], hit: list[str]
) -> None:
    """A person may take ten minutes for the answer."""

    def answer_late(_terminal: Terminal, _question: str, *, yes: bool) -> None:
        with lab.world.changing() as hosts:
            hosts["alpha"]._existing(2).idle_s = 0
            hosts["alpha"].reconnect(4)

    monkeypatch.setattr(Terminal, "confirm", answer_late)
    command, *selector = words
    found = mpsbridge(command, "alpha", *selector, "-o", "json", clock=lab.world.clock)
    assert found.code == 0, found.err
    assert ended(lab) == hit
    kept = [each for each in found.outcome("alpha")["value"]["sessions"] if each["text"] == "in use again"]
    assert {each["result"] for each in kept} <= {"kept"}
    assert bool(kept) == ("--user" not in words)
    assert mpsbridge("report", "--format", "json").code == 0


def test_a_last_look_that_fails_is_no_act_and_stands_in_the_record(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = {"step": "command", "call": "Get-MpsbridgeObservation", "do": "close", "acted": True, "after": 1}
    with Lab(build_world({"hosts": [{**HOST, "faults": [lost]}]}), auth="ntlm") as lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        found = mpsbridge("logoff", "alpha", "--disconnected", "--yes", "-o", "json")
        assert (found.code, found.outcome("alpha")["failure"]["may_have_run"]) == (1, False)
        assert lab.changes == []
        (host,) = mpsbridge("report", "--format", "json").document["hosts"]
        assert host["status"] == "failed"
