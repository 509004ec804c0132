"""An id that was named means the session that had it when the plan was shown, and nobody who gets it later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.console import Command

from mpsbridge import End, Journal, Policy, Selector, Workplace, find_targets
from mpsbridge.clock import HastyClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.outcomes import Done
from mpsbridge.models.sessions import Result
from mpsbridge.runs.ended import EndValue

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


def test_somebody_who_gets_the_id_after_the_plan_is_not_ended(lab: Lab, work: Workplace) -> None:
    plan = work.plan(end())
    bob_takes_it(lab)
    value = value_of(work.carry_out(plan).outcomes)
    assert "bob" not in ended(lab)
    assert {one.session.user: one.result for one in value.sessions} == dict.fromkeys(
        ["dave", "bob", "carol"], Result.KEPT
    )
    assert any("session 2 is another one by now (bob)" in problem for problem in value.problems)


def test_somebody_who_gets_the_id_during_the_warning_is_neither_told_nor_ended(lab: Lab, work: Workplace) -> None:
    plan = work.plan(end(warn_s=(120, 60)))
    bob_takes_it(lab)
    work.carry_out(plan)
    assert [change.act for change in lab.changes if change.user == "bob"] == ["logon"]


def test_the_one_who_was_planned_is_ended(lab: Lab, work: Workplace) -> None:
    value = value_of(work.carry_out(work.plan(end())).outcomes)
    assert ended(lab) == ["alice"]
    assert {one.session.user: one.result for one in value.sessions} == {"alice": Result.ENDED, "carol": Result.KEPT}


def test_a_run_that_goes_on_means_the_same_sessions(lab: Lab, work: Workplace, mpsbridge: Command) -> None:
    plan = work.plan(end())
    work.fleet(gives_back=True).stop.set()
    work.carry_out(plan)
    bob_takes_it(lab)
    words = ("resume", plan.run, "--yes", "--journal", str(work.record.path), "--inventory", str(lab.inventory))
    assert mpsbridge(*words, clock=lab.world.clock).code == 0
    assert "bob" not in ended(lab)
