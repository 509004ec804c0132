"""A plan is about the sessions that it showed: an id means the session that had it then, who left is told of, and who
came later is ended only where people are warned or what follows demands it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.console import Command

from mpsbridge import End, Journal, LogOff, Policy, Selector, Workplace, find_targets
from mpsbridge.clock import HastyClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.outcomes import Done, Skipped
from mpsbridge.models.sessions import Result
from mpsbridge.models.then import Then
from mpsbridge.runs.ended import EndValue
from mpsbridge.runs.events import BACK, Happening, SessionSettled

ALICE: dict[str, Any] = {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "1h"}
CAROL: dict[str, Any] = {"id": 5, "user": "carol", "session_name": "rdp-tcp#5", "logon": "1h"}
NAMED = Selector(session_ids=(2,))


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    clock = HastyClock(300)
    with Lab(build_world({"hosts": [{"name": "alpha", "sessions": [ALICE, CAROL]}]}, clock), clock=clock) as lab:
        monkeypatch.setenv("MPSBRIDGE_USERNAME", lab.user)
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        monkeypatch.setenv("MPSBRIDGE_NO_TLS", "1")
        yield lab


@pytest.fixture
def work(lab: Lab, tmp_path: Path) -> Iterator[Workplace]:
    with Journal(tmp_path / "journal.sqlite", clock=lab.world.clock) as journal:
        targets = find_targets("alpha", inventory=str(lab.inventory))
        with Workplace(targets, journal, clock=lab.world.clock) as work:
            yield work


def alpha(lab: Lab) -> LabHost:
    return lab.world.hosts["alpha"]


def bob_takes_it(lab: Lab) -> None:
    alpha(lab).log_off(2)
    lab.world.clock.wait(60)
    assert alpha(lab).log_on("dave").id == 1
    assert alpha(lab).log_on("bob").id == 2


def ended(lab: Lab) -> list[str | None]:
    return [change.user for change in lab.changes if change.act == "logoff"]


def end(**more: Any) -> End:
    return End(policy=Policy.model_validate({"selector": NAMED, "warn_s": (), "reason": "updates"} | more))


def value_of(outcomes: Any) -> EndValue:
    (outcome,) = outcomes
    assert isinstance(outcome, Done)
    assert isinstance(outcome.value, EndValue)
    return outcome.value


def results_of(value: EndValue) -> dict[str, Result]:
    return {one.session.user: one.result for one in value.sessions}


def text_about(value: EndValue, user: str) -> str:
    return next(one.text for one in value.sessions if one.session.user == user)


def test_somebody_who_gets_the_id_after_the_plan_is_not_ended(lab: Lab, work: Workplace) -> None:
    plan = work.plan(end())
    bob_takes_it(lab)
    value = value_of(work.carry_out(plan).outcomes)
    assert "bob" not in ended(lab)
    assert results_of(value) == {**dict.fromkeys(["dave", "bob", "carol"], Result.KEPT), "alice": Result.GONE}
    assert any("session 2 is another one by now (bob)" in problem for problem in value.problems)


def test_somebody_who_gets_the_id_during_the_warning_is_neither_told_nor_ended(lab: Lab, work: Workplace) -> None:
    plan = work.plan(end(warn_s=(120, 60)))
    bob_takes_it(lab)
    work.carry_out(plan)
    assert [change.act for change in lab.changes if change.user == "bob"] == ["logon"]


def test_the_one_who_was_planned_is_ended(lab: Lab, work: Workplace) -> None:
    value = value_of(work.carry_out(work.plan(end())).outcomes)
    assert ended(lab) == ["alice"]
    assert results_of(value) == {"alice": Result.ENDED, "carol": Result.KEPT}


def test_a_run_that_goes_on_means_the_same_sessions(lab: Lab, work: Workplace, mpsbridge: Command) -> None:
    plan = work.plan(end())
    work.fleet(gives_back=True).stop.set()
    work.carry_out(plan)
    bob_takes_it(lab)
    words = ("resume", plan.run, "--yes", "--journal", str(work.record.path), "--inventory", str(lab.inventory))
    assert mpsbridge(*words, clock=lab.world.clock).code == 0
    assert "bob" not in ended(lab)


ALL = Selector(everyone=True)


@pytest.mark.parametrize("selector", [ALL, Selector(users=("alice",)), Selector(active=True)])
def test_who_was_planned_and_has_left_is_told_of_everywhere(
    lab: Lab, work: Workplace, mpsbridge: Command, selector: Selector
) -> None:
    plan = work.plan(end(selector=selector))
    alpha(lab).log_off(2)
    told: list[Happening] = []
    result = work.carry_out(plan, on_event=lambda event: told.append(event.what))
    value = value_of(result.outcomes)
    assert results_of(value)["alice"] is Result.GONE
    assert text_about(value, "alice") == "left before the run began"
    settled = [one for one in told if isinstance(one, SessionSettled) and one.user == "alice"]
    assert [(one.result, one.session) for one in settled] == [(Result.GONE, 2)]
    assert "alice" in mpsbridge("history", "--user", "alice", "--journal", str(work.record.path)).out


def test_who_came_after_the_plan_is_kept_where_nobody_is_warned_and_nothing_follows(lab: Lab, work: Workplace) -> None:
    plan = work.plan(end(selector=ALL))
    bob_takes_it(lab)
    value = value_of(work.carry_out(plan).outcomes)
    assert results_of(value) == {
        "alice": Result.GONE,
        "bob": Result.KEPT,
        "dave": Result.KEPT,
        "carol": Result.ENDED,
    }
    assert text_about(value, "bob") == "logged on after the plan"
    assert "bob" not in ended(lab)


def test_who_is_meant_only_since_the_plan_is_kept_too(lab: Lab, work: Workplace) -> None:
    plan = work.plan(end(selector=Selector(disconnected=True)))
    assert plan.sessions == []
    lab.world.clock.wait(60)
    plan = work.plan(end(selector=ALL, keep_users=("carol",)))
    operation = plan.operation.model_copy(
        update={"policy": plan.operation.policy.model_copy(update={"keep_users": ()})}
    )
    value = value_of(work.carry_out(replace(plan, operation=operation)).outcomes)
    assert (results_of(value)["carol"], text_about(value, "carol")) == (Result.KEPT, "the plan does not end it")


def test_who_came_after_the_plan_is_warned_and_ended(lab: Lab, work: Workplace) -> None:
    plan = work.plan(end(selector=ALL, warn_s=(120, 60)))
    bob_takes_it(lab)
    work.carry_out(plan)
    assert [change.act for change in lab.changes if change.user == "bob"] == ["logon", "message", "message", "logoff"]


def test_a_restart_ends_who_came_after_the_plan_and_the_plan_says_so(lab: Lab, work: Workplace) -> None:
    plan = work.plan(end(selector=ALL, then=Then.RESTART))
    assert any("sessions that log on before new logons are blocked are ended, too" in notes for _, notes in plan.notes)
    bob_takes_it(lab)
    value = value_of(work.carry_out(plan).outcomes)
    assert results_of(value)["bob"] is Result.ENDED
    assert value.outcome == BACK


def test_a_session_id_that_is_kept_means_the_session_of_the_plan(lab: Lab, work: Workplace) -> None:
    plan = work.plan(end(selector=ALL, keep_sessions=(("alpha", 2),), warn_s=(60,)))
    assert [session.user for _, session in plan.sessions] == ["carol"]
    bob_takes_it(lab)
    value = value_of(work.carry_out(plan).outcomes)
    assert results_of(value)["bob"] is Result.ENDED
    assert any("so --keep-session does not keep it" in problem for problem in value.problems)


def test_a_session_id_that_is_kept_keeps_the_session_of_the_plan(lab: Lab, work: Workplace) -> None:
    plan = work.plan(end(selector=ALL, keep_sessions=(("ALPHA", 2),)))
    value = value_of(work.carry_out(plan).outcomes)
    assert results_of(value) == {"alice": Result.KEPT, "carol": Result.ENDED}


def test_the_record_keeps_no_session_that_the_plan_does_not_end(work: Workplace) -> None:
    plan = work.plan(end(selector=Selector(users=("alice",))))
    work.carry_out(plan)
    assert "carol" not in str(work.record.find(plan.run).options)


@pytest.mark.parametrize("selector", [ALL, Selector(idle_over_s=0)])
def test_a_log_off_refuses_who_is_disconnected_since_the_plan(lab: Lab, work: Workplace, selector: Selector) -> None:
    with lab.world.changing():
        for number in (2, 5):
            alpha(lab)._existing(number).idle_s = 0
    plan = work.plan(LogOff(selector=selector))
    assert len(plan.sessions) == 2
    alpha(lab).disconnect(2)
    (outcome,) = work.carry_out(plan).outcomes
    assert isinstance(outcome, Skipped)
    assert "session 2, alice: disconnected" in outcome.reason
    assert ended(lab) == []


def test_a_log_off_that_may_end_disconnected_sessions_ends_them(lab: Lab, work: Workplace) -> None:
    plan = work.plan(LogOff(selector=ALL, disconnected_ok=True))
    alpha(lab).disconnect(2)
    work.carry_out(plan)
    assert sorted(filter(None, ended(lab))) == ["alice", "carol"]


def test_a_remark_on_closed_logons_holds_at_the_time_of_the_run(lab: Lab, work: Workplace) -> None:
    plan = work.plan(end(selector=ALL))
    assert any("drain does not block every logon" in text for _, notes in plan.notes for text in notes)
    alpha(lab).set_logon_mode("disabled")
    value = value_of(work.carry_out(plan).outcomes)
    assert not any("drain" in problem for problem in value.problems)
