"""Whatever is raised in a host's job, by whomever: the host is given back, an outcome is told, the others go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest
from support.fake_clock import FakeClock
from support.fake_host import FakeHost
from support.make_believe import Hands, envelope, observation, row
from support.records import steps_in

from mpsbridge.errors import Unexpected
from mpsbridge.fleet import Fleet
from mpsbridge.host import Host
from mpsbridge.models.outcomes import Done, Failed, Outcome
from mpsbridge.models.sessions import LogonMode
from mpsbridge.models.targets import Target
from mpsbridge.models.then import Then
from mpsbridge.planning.policy import Policy
from mpsbridge.planning.selection import Selector
from mpsbridge.procedure.context import ProcedureContext
from mpsbridge.procedure.procedure import end_sessions
from mpsbridge.runs.ended import EndValue
from mpsbridge.runs.events import Event, HostStopped, Progress, Step, StepSent, WentWrong
from mpsbridge.runs.journal import Journal
from mpsbridge.runs.recording import recorded

RAISED = (SystemExit, KeyboardInterrupt, MemoryError, RecursionError, GeneratorExit, ZeroDivisionError)
TARGETS = [Target(host=f"ts{number}", address=f"ts{number}") for number in range(4)]
STEPS = ("lease", "failsafe", "logons-set", "message", "logoff", "power")


def connect(target: Target) -> Host:
    hands = Hands({"observe": lambda _: envelope("observe", observation([row("alice", 2)]))})
    return Host(target, connect=hands.connect)


def raiser(raised: type[BaseException]) -> Callable[[object], NoReturn]:
    def fail(_news: object) -> NoReturn:
        raise raised("on purpose")

    return fail


class Stage:
    """One run on one host, in the thread of a fleet."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.host = FakeHost(self.clock)
        self.host.log_on(2, "alice")
        self.host.log_on(3, "bob")
        self.journal = Journal(folder / "journal.sqlite", clock=self.clock)
        self.events: list[str] = []

    @property
    def sent(self) -> str:
        """The step that is being sent; empty between steps."""
        entries = self.journal.entries("r-1")
        last = entries[-1].what if entries else None
        return last.step.value if isinstance(last, StepSent) else ""

    def run(
        self,
        *,
        on_event: Callable[[Event], None] | None = None,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
    ) -> Outcome[EndValue]:
        self.journal.begin("r-1", command="end", reason="updates", options={})

        def job(_host: Host) -> EndValue:
            context = ProcedureContext(
                self.host,
                run="r-1",
                policy=Policy(selector=Selector(everyone=True), warn_s=(300, 60), then=Then.RESTART),
                owner="admin@box",
                journal=self.journal,
                clock=self.clock,
                on_event=on_event or (lambda event: self.events.append(event.what.event)),
                on_progress=on_progress,
            )
            return end_sessions(context)

        with self.journal, Fleet(TARGETS[:1], connect=connect) as fleet:
            (outcome,) = fleet.run(job)
            self.steps = steps_in(self.journal.entries("r-1"))
            self.unanswered = steps_in(self.journal.unanswered("r-1"))
            self.last = self.journal.entries("r-1")[-1]
        return outcome


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("step", STEPS)
def test_what_is_raised_in_a_step_is_the_outcome_of_the_host_which_is_given_back(
    step: str, raised: type[BaseException], tmp_path: Path
) -> None:
    stage = Stage(tmp_path)

    struck: list[str] = []

    def strike(_step: str) -> None:
        if stage.sent == step and not struck:
            struck.append(step)
            raise raised("on purpose")

    stage.host.before_step = strike
    outcome = stage.run()
    assert isinstance(outcome, Failed)
    assert (outcome.failure.kind, outcome.failure.message) == ("internal", f"unexpected {raised.__name__}: on purpose")
    assert outcome.failure.may_have_run
    assert isinstance(stage.last.what, HostStopped)
    assert stage.last.what.may_have_run
    assert stage.unanswered == [step]
    if step != "lease":  # of that one nobody knows whether it was taken; it has no failsafe and closes nothing
        assert (stage.host.lease, stage.host.failsafe, stage.host.mode) == (None, None, LogonMode.ENABLED)


@pytest.mark.parametrize("raised", [each for each in RAISED if each is not KeyboardInterrupt])
def test_an_observer_that_fails_never_reaches_the_procedure(raised: type[BaseException], tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    outcome = stage.run(on_event=raiser(raised), on_progress=raiser(raised))
    assert isinstance(outcome, Done)
    assert outcome.value.outcome == "back"
    said = f"not all that happened could be told: {raised.__name__}: on purpose"
    assert outcome.value.problems.count(said) == 1


def test_what_is_raised_while_giving_back_keeps_nothing_else_from_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    def strike(_step: str) -> None:
        if stage.sent == "failsafe-remove":
            raise MemoryError

    stage.host.before_step = strike
    outcome = stage.run()
    assert isinstance(outcome, Done)
    assert any(
        problem.startswith("removing the failsafe failed: unexpected MemoryError") for problem in outcome.value.problems
    )
    assert (stage.host.lease, stage.host.mode) == (None, LogonMode.ENABLED)


@pytest.mark.parametrize("raised", RAISED)
def test_whatever_is_raised_in_a_thread_is_an_outcome_and_stops_nobody(raised: type[BaseException]) -> None:
    def job(host: Host) -> str:
        if host.name == "ts1":
            raise raised
        return host.name

    with Fleet(TARGETS, connect=connect) as fleet:
        outcomes = fleet.run(job)
    assert [outcome.status for outcome in outcomes] == ["done", "failed", "done", "done"]
    assert isinstance(outcomes[1], Failed)
    assert (outcomes[1].failure.kind, outcomes[1].failure.may_have_run) == ("internal", True)


def test_a_host_for_which_no_thread_can_be_had_was_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    submit = ThreadPoolExecutor.submit
    asked: list[object] = []

    def refuse(self: ThreadPoolExecutor, work: Callable[[], None], *more: Any) -> object:
        asked.append(work)
        future = submit(self, work, *more)
        if len(asked) == 2:
            raise RuntimeError("can't start new thread")
        return future

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
    done: list[str] = []

    def job(host: Host) -> None:
        done.append(host.name)

    with Fleet(TARGETS[:1], connect=connect) as fleet:
        fleet.run(job)
    with Fleet(TARGETS[1:3], connect=connect) as fleet:  # the pool keeps what it was given: done once, or not begun
        outcomes = fleet.run(job)
    for target, outcome in zip(TARGETS[1:3], outcomes, strict=True):
        assert (target.host in done) == isinstance(outcome, Done)
        if isinstance(outcome, Failed):
            assert (outcome.failure.kind, outcome.failure.may_have_run) == ("not-begun", False)


def test_a_fault_of_the_caller_lets_the_hosts_give_back_before_anything_else_happens() -> None:
    given_back: list[str] = []
    at_work = threading.Barrier(3)

    def job(host: Host) -> None:
        at_work.wait(20)
        if host.name == "ts0":
            return
        fleet.stop.wait(20)
        given_back.append(host.name)

    fleet = Fleet(TARGETS[:3], connect=connect, graceful=True)

    def fail() -> None:
        with fleet:
            for _ in fleet.stream(job):
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert sorted(given_back) == ["ts1", "ts2"]


def test_a_fleet_that_is_told_to_stop_begins_nothing_more() -> None:
    told = threading.Event()
    said: list[bool] = []
    fleet = Fleet(
        TARGETS,
        connect=connect,
        concurrency=1,
        graceful=True,
        is_told_to_stop=told.is_set,
        on_interrupt=lambda: said.append(fleet.stop.is_set()),
    )

    def job(host: Host) -> str:
        told.set()
        fleet.stop.wait(20)
        return host.name

    with fleet:
        outcomes = fleet.run(job)
    assert said == [True]  # what runs is told to stop before a person is told of it
    assert fleet.interrupted
    kinds = [outcome.failure.kind if isinstance(outcome, Failed) else "done" for outcome in outcomes]
    assert kinds[0] == "done"
    assert kinds[-1] == "not-begun"


def test_a_person_who_stops_the_only_thread_there_is_is_heard(tmp_path: Path) -> None:
    """Without a fleet: Ctrl-C passes through, and the step stands in the record as one of unknown fate."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.begin("r-1", command="end", reason="", options={})
        with pytest.raises(KeyboardInterrupt):
            recorded(journal, "r-1", "ts1", StepSent(step=Step.LOGOFF), lambda: raiser(KeyboardInterrupt)(None))
        with pytest.raises(Unexpected, match="unexpected MemoryError: on purpose"):
            recorded(journal, "r-1", "ts1", StepSent(step=Step.LOGOFF), lambda: raiser(MemoryError)(None))
        assert steps_in(journal.unanswered("r-1")) == ["logoff", "logoff"]


def test_an_interrupt_in_a_write_leaves_the_record_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.begin("r-1", command="end", reason="", options={})
        with monkeypatch.context() as patch:
            patch.setattr("mpsbridge.runs.journal.json.dumps", raiser(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                journal.record("r-1", "ts1", WentWrong(why="never written"))
        journal.record("r-1", "ts1", WentWrong(why="written"))
        assert [entry.what.text() for entry in journal.entries("r-1")] == ["written"]
