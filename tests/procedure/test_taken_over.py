"""A take-over names whose hold, or lease, it ends: before it, while it happens, and in the record; and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.console import Command
from support.died_run import RUN, held_host
from support.reserved import lease_of, put_lease

from mpsbridge import End, Journal, Policy, Selector, Workplace, find_targets
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.outcomes import Done, Failed
from mpsbridge.models.sessions import LogonMode
from mpsbridge.planning.lease import Holder, Lease
from mpsbridge.runs.events import LeaseTaken

ALICE: dict[str, Any] = {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "1h"}
WORDS = ("end", "alpha", "--all", "--no-warning", "--take-over", "--reason", "updates")
HOLD = Lease(run=None, owner="carol@desk", reason="exam", since="20261125120000.000000+000", expires=None)
OF_HOLD = "held by carol@desk (exam): taken over, so that hold is not given back"
OF_RUN = f"held by run {RUN} of root@box (updates): taken over, so that run loses the host"


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Alpha is free at first, beta is held by a run."""
    hosts = [{"name": "alpha", "sessions": [ALICE]}, {**held_host(), "name": "beta", "sessions": [ALICE]}]
    with Lab(build_world({"hosts": hosts})) as lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        monkeypatch.setenv("MPSBRIDGE_USERNAME", lab.user)
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        monkeypatch.setenv("MPSBRIDGE_NO_TLS", "1")
        yield lab


@pytest.fixture
def work(lab: Lab, tmp_path: Path) -> Iterator[Workplace]:
    with (
        Journal(tmp_path / "journal.sqlite") as journal,
        Workplace(find_targets("alpha", inventory=str(lab.inventory)), journal) as work,
    ):
        yield work


def hold(lab: Lab, lease: Lease = HOLD) -> None:
    with lab.world.changing() as hosts:
        put_lease(hosts["alpha"], lease.text())


def end() -> End:
    return End(policy=Policy(selector=Selector(everyone=True), warn_s=(), take_over=True))


def test_a_dry_run_names_whose_hold_it_would_end(lab: Lab, mpsbridge: Command) -> None:
    """It once said nothing of it, and the hold was gone after the run."""
    hold(lab)
    found = mpsbridge(*WORDS, "--dry-run", "-o", "json")
    assert OF_HOLD in found.outcome("alpha")["value"]["problems"]
    assert f"alpha: {OF_HOLD}" in mpsbridge(*WORDS, "--dry-run").err
    assert f"beta: {OF_RUN}" in mpsbridge("end", "beta", *WORDS[2:], "--dry-run").err
    assert lab.changes == []


def test_the_run_and_its_record_name_it(lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    hold(lab)
    events = tmp_path / "events.jsonl"
    found = mpsbridge(*WORDS, "--yes", "--events", str(events))
    assert found.code == 0, found.err
    assert "lease taken over from carol@desk (exam), until" in found.err
    (taken,) = [one for one in map(json.loads, events.read_text("utf-8").splitlines()) if one["event"] == "leased"]
    assert (taken["replaced"]["owner"], taken["replaced"]["reason"], taken["replaced"]["run"]) == (
        "carol@desk",
        "exam",
        None,
    )
    assert "lease taken over from carol@desk (exam)" in mpsbridge("history", "2").out
    assert OF_HOLD in mpsbridge("report", "--format", "text").out
    with lab.world.changing() as hosts:
        assert lease_of(hosts["alpha"]) is None


def test_the_question_names_it(lab: Lab, mpsbridge: Command) -> None:
    hold(lab)
    found = mpsbridge(*WORDS)
    assert found.code == 3
    assert "on alpha now, WITHOUT a warning, and take over alpha from carol@desk (exam)?" in found.err


def test_a_hold_that_comes_after_the_plan_is_not_taken_over(lab: Lab, work: Workplace) -> None:
    plan = work.plan(end())
    assert plan.taken_over == []
    hold(lab)
    (outcome,) = work.carry_out(plan).outcomes
    assert isinstance(outcome, Failed)
    assert outcome.failure.message == (
        "the host is held by carol@desk (exam), which the plan did not show, so it is not taken over"
    )
    assert outcome.failure.may_have_run is False
    assert lab.changes == []


@pytest.mark.parametrize(
    "other",
    [{"owner": "dave@desk"}, {"reason": "repair"}, {"since": "20261125130000.000000+000"}, {"run": "20261125-1-beef"}],
)
def test_another_holder_than_the_one_that_was_shown_is_left_alone(
    other: dict[str, str], lab: Lab, work: Workplace
) -> None:
    hold(lab)
    plan = work.plan(end())
    ((name, shown),) = plan.taken_over
    assert (name, shown) == ("alpha", Holder(owner="carol@desk", reason="exam", since=HOLD.since))
    hold(lab, HOLD.model_copy(update=other))
    (outcome,) = work.carry_out(plan).outcomes
    assert isinstance(outcome, Failed)
    assert lab.changes == []


def test_a_run_that_was_shown_is_taken_over_whatever_it_has_done_since(lab: Lab, work: Workplace) -> None:
    theirs = HOLD.model_copy(update={"run": "20261125-110000-beef", "expires": "20991125120000.000000+000"})
    hold(lab, theirs)
    plan = work.plan(end())
    hold(lab, theirs.model_copy(update={"found": LogonMode.ENABLED, "set": LogonMode.DRAIN}))
    (outcome,) = work.carry_out(plan).outcomes
    assert isinstance(outcome, Done)
    taken = [one.what for one in work.record.entries(plan.run) if isinstance(one.what, LeaseTaken)]
    assert [one.replaced and one.replaced.run for one in taken] == ["20261125-110000-beef"]


def test_a_run_that_goes_on_takes_over_no_other_either(lab: Lab, work: Workplace, mpsbridge: Command) -> None:
    plan = work.plan(end())
    work.fleet(gives_back=True).stop.set()
    work.carry_out(plan)
    work.record.let_go(plan.run)
    hold(lab)
    found = mpsbridge("resume", plan.run, "--yes")
    assert (found.code, "which the plan did not show" in found.err) == (1, True)
    assert lab.changes == []
