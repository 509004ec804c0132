"""What ``history RUN`` says of a host is what its verdict says, in one word and one count."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.console import Command

from mpsbridge.models.sessions import Result
from mpsbridge.reports.summary import judge, report_of
from mpsbridge.runs.events import Finished, HostStopped, Phase, SessionTold, Step, StepAnswered, StepSent
from mpsbridge.runs.journal import Journal
from mpsbridge.runs.verdict import HostFacts, Verdict, counted_sessions


def record(folder: Path, *results: Result) -> str:
    """A log-off that came to these results."""
    with Journal(folder / "journal.sqlite") as journal:
        journal.begin("r-1", command="logoff", reason="", options={"hosts": ["sticky"]})
        ids = tuple(range(2, 2 + len(results)))
        intent = journal.record("r-1", "sticky", StepSent(step=Step.LOGOFF, sessions=ids, phase=Phase.ACT))
        told = tuple(SessionTold(id=id, result=result) for id, result in zip(ids, results, strict=True))
        journal.record("r-1", "sticky", StepAnswered(step=Step.LOGOFF, intent=intent, sessions=told))
        journal.record("r-1", "sticky", Finished(outcome="done", phase=Phase.ACT))
        verdict = judge(report_of(journal, journal.find("r-1")).hosts)
        journal.end("r-1", verdict)
    return str(verdict.verdict)


@pytest.mark.parametrize(
    ("results", "verdict", "last"),
    [
        ([Result.UNKNOWN, Result.ENDED], "unknown", "finished: not everything is known"),
        ([Result.ENDED, Result.REFUSED], "partly", "finished: not everything was done"),
        ([Result.REFUSED], "failed", "finished: not everything was done"),
        ([Result.ENDED], "done", "finished: done"),
    ],
)
def test_the_last_line_never_contradicts_the_verdict(
    mpsbridge: Command, tmp_path: Path, results: list[Result], verdict: str, last: str
) -> None:
    """It once said 'finished: done' of a host that was unknown."""
    assert record(tmp_path, *results) == verdict
    shown = mpsbridge("history", "r-1").out.splitlines()
    assert f"hosts: 1 {verdict}" in shown
    assert shown[-1].endswith(f"sticky: {last}")


@pytest.mark.parametrize(
    ("stopped", "word"),
    [
        (HostStopped(why="held by bob", error="refused", phase=Phase.PLAN), "refused"),
        (HostStopped(why="held by bob", error="unreachable", phase=Phase.PLAN), "failed"),
        (HostStopped(why="held by bob", error="stopped"), "stopped"),
        (HostStopped(why="held by bob", error="timeout", may_have_run=True), "unknown"),
    ],
)
def test_a_host_that_was_refused_is_not_told_as_stopped(
    mpsbridge: Command, tmp_path: Path, stopped: HostStopped, word: str
) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.begin("r-1", command="end", reason="", options={"hosts": ["alpha"]})
        journal.record("r-1", "alpha", StepSent(step=Step.LEASE, phase=Phase.LEASE))
        journal.record("r-1", "alpha", stopped)
    shown = mpsbridge("history", "r-1").out.splitlines()
    assert f"hosts: 1 {word}" in shown
    assert shown[-1].endswith(f"alpha: {word}: held by bob")


def test_sessions_that_are_kept_are_in_no_count() -> None:
    """The summary said 0 of 1 and 1 kept, and the verdict 1 of 2."""
    assert counted_sessions({Result.UNKNOWN: 1, Result.KEPT: 1}) == "1 of 1 session unknown"
    assert counted_sessions({Result.KEPT: 2, Result.ENDED: 1}) == ""


def test_a_host_that_is_back_and_lacks_something_says_both() -> None:
    facts = HostFacts(results=(Result.UNKNOWN,))
    assert (facts.verdict, facts.in_words("back")) == (Verdict.UNKNOWN, "back, but not everything is known")
