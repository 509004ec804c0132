"""A step whose answer was lost: a look tells what became of it, and it is sent again only where it did not run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fake_host import FakeHost, lost
from support.stage import Stage, clean, results, stage_of, two_people

from mpsbridge.errors import ConnectionLost, JournalLost, MpsBridgeError, TimedOut, Unreachable
from mpsbridge.models.sessions import LogonMode, State, to_cim
from mpsbridge.models.then import Then
from mpsbridge.planning.lease import Lease
from mpsbridge.planning.selection import Selector
from mpsbridge.procedure.context import BEGUN_S
from mpsbridge.runs.events import AnswerLost, HostStopped, SessionSettled, StepSent, StepUnanswered

STEPS = ["lease", "failsafe", "logons-set", "message", "logoff"]
IN_RETURN = ["logons-set", "failsafe-remove", "lease"]
UNSEEN = {"failsafe", "failsafe-remove"}
"""No look tells of the task."""


@pytest.fixture
def host() -> FakeHost:
    return two_people()


@pytest.fixture
def stage(host: FakeHost, tmp_path: Path) -> Iterator[Stage]:
    with stage_of(host, tmp_path) as made:
        yield made


class Sent:
    """When each step was sent; one of them is lost."""

    def __init__(self, host: FakeHost, step: str, when: str, *, number: int = 1, error: MpsBridgeError | None = None):
        self.times: list[float] = []
        self._step = step

        def before(name: str) -> None:
            if name == step:
                self.times.append(host.clock.monotonic())
                if len(self.times) == number:
                    host.faults[step] = (when, error or lost())

        host.before_step = before


def ended_right(stage: Stage, host: FakeHost, **policy: Any) -> None:
    value = stage.run(**policy)
    assert set(results(value)) == {"alice", "bob"}
    assert set(results(value).values()) <= {"ended", "gone"}
    assert value.given_back
    assert clean(host)
    boxes = [what for what in host.record if what[0] == "shown"]
    assert len(boxes) == len(set(boxes)) == 4
    assert [host.record.count(("ended", user)) for user in ("alice", "bob")] == [1, 1]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_ran_is_seen_and_not_sent_again(step: str, stage: Stage, host: FakeHost) -> None:
    sent = Sent(host, step, "after")
    ended_right(stage, host)
    ordinary = {"lease": 4, "failsafe": 1, "logons-set": 2, "message": 2, "logoff": 1}[step]
    again = step in UNSEEN or step == "message"  # the host keeps marks of those, and shows no box twice
    assert len(sent.times) == ordinary + again


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_did_not_run_is_sent_when_it_cannot_begin_any_more(step: str, stage: Stage, host: FakeHost) -> None:
    sent = Sent(host, step, "before")
    ended_right(stage, host)
    first, second = sent.times[:2]
    assert step == "message" or second - first >= host.timeout_s + BEGUN_S


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_never_left_is_sent_again_after_a_moment(step: str, stage: Stage, host: FakeHost) -> None:
    sent = Sent(host, step, "before", error=Unreachable("no route"))
    ended_right(stage, host)
    assert sent.times[1] - sent.times[0] < 10


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", IN_RETURN)
def test_what_is_given_back_is_given_back_though_an_answer_is_lost(
    step: str, when: str, stage: Stage, host: FakeHost
) -> None:
    Sent(host, step, when, number={"logons-set": 2, "failsafe-remove": 1, "lease": 4}[step])
    ended_right(stage, host)
    assert host.mode is LogonMode.ENABLED


def test_what_nobody_can_tell_stays_unknown(stage: Stage, host: FakeHost) -> None:
    host.lose("logoff")
    with pytest.raises(ConnectionLost) as failed:
        stage.run()
    assert failed.value.may_have_run
    assert clean(host)
    entries = [one.what for one in stage.journal.entries("r-1")]
    assert sum(isinstance(one, AnswerLost) for one in entries) == 1
    assert sum(isinstance(one, StepSent) and one.step == "logoff" for one in entries) == 1


def test_a_disk_that_is_full_by_then_hides_no_doubt(
    stage: Stage, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = stage.journal.record

    def full(run: str, name: str, what: Any) -> int:
        if isinstance(what, AnswerLost):
            raise JournalLost("the disk is full")
        return record(run, name, what)

    monkeypatch.setattr(stage.journal, "record", full)
    Sent(host, "logoff", "after")
    with pytest.raises(JournalLost) as failed:
        stage.run()
    assert failed.value.may_have_run
    stopped = [one.what for one in stage.journal.entries("r-1") if isinstance(one.what, HostStopped)]
    assert [one.may_have_run for one in stopped] == [True]


def test_a_stop_while_it_is_looked_for_sends_nothing_again(stage: Stage, host: FakeHost) -> None:
    sent = Sent(host, "logoff", "before")

    def stop(_: FakeHost) -> None:
        if sent.times:
            stage.stop.set()

    host.on_look = stop
    with pytest.raises(ConnectionLost) as failed:
        stage.run()
    assert (len(sent.times), failed.value.may_have_run, clean(host)) == (1, True, True)
    assert {each.user for each in host.people.values()} == {"alice", "bob"}


def late(host: FakeHost, *, times: int = 1) -> None:
    """The answer to so many notices is waited for, for as long as a step may take, and does not come."""
    left = [times]

    def before(name: str) -> None:
        if name == "message" and left[0]:
            left[0] -= 1
            host.clock.wait(host.timeout_s)
            host.faults["message"] = ("before", TimedOut("no answer in time"))

    host.before_step = before


def test_w02_nobody_is_ended_after_a_notice_that_would_come_after_the_end(stage: Stage, host: FakeHost) -> None:
    """It was shown with the text of a minute before, and the log-off came in the same second."""
    late(host)
    value = stage.run(warn_s=(60,))
    assert results(value) == {"alice": "refused", "bob": "refused"}
    told = [what[1] for what in host.record if what[0] in {"shown", "ended"}]
    assert told == [("alice", "cancellation"), ("bob", "cancellation")]  # nobody knows whether they saw the other
    assert set(host.people) == {2, 3}
    assert clean(host)


def test_a_notice_that_is_sent_again_says_the_time_that_is_left_then(
    stage: Stage, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    message = host.message

    def told(sessions: Any, text: str, **more: Any) -> Any:
        texts.append(text)
        return message(sessions, text, **more)

    monkeypatch.setattr(host, "message", told)
    late(host)
    stage.run(warn_s=(300,))
    assert [re.search(r"in (\d+ min)", text)[1] for text in texts] == ["5 min", "4 min"]  # type: ignore[index]


def test_whose_the_closing_is_that_came_while_the_answer_was_lost_is_said_to_be_open(
    stage: Stage, host: FakeHost
) -> None:
    sent = Sent(host, "logons-set", "before")

    def close(_: FakeHost) -> None:
        if sent.times and host.clock.monotonic() - sent.times[0] > 60:
            host.mode = LogonMode.DRAIN
            host.on_look = lambda _: None

    host.on_look = close
    value = stage.run()
    assert any("logons became drain while the answer to that order was lost" in each for each in value.problems)
    assert host.mode is LogonMode.ENABLED


def test_the_record_has_the_step_without_an_answer_and_what_became_of_it(stage: Stage, host: FakeHost) -> None:
    Sent(host, "logoff", "after")
    stage.run()
    entries = [one.what for one in stage.journal.entries("r-1")]
    assert [one.step for one in entries if isinstance(one, StepUnanswered)] == ["logoff"]
    (told,) = [one for one in entries if isinstance(one, AnswerLost)]
    assert told.text() == "the answer to logoff was lost, a look tells what became of it (the link broke)"
    why = {one.why for one in entries if isinstance(one, SessionSettled) and one.result == "gone"}
    assert why == {"gone since its log-off was ordered"}


def test_only_who_is_still_there_gets_the_log_off_again(
    stage: Stage, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    log_off = host.log_off

    def partly(sessions: Any, **more: Any) -> Any:
        asked.append([one.user for one in sessions])
        if len(asked) == 1:
            log_off(sessions[:1], **more)
            raise lost()
        return log_off(sessions, **more)

    monkeypatch.setattr(host, "log_off", partly)
    ended_right(stage, host)
    assert asked == [["alice", "bob"], ["bob"]]


def test_w42_who_may_be_in_use_again_by_then_gets_no_second_log_off(stage: Stage, host: FakeHost) -> None:
    host.people[2].state = State.DISCONNECTED
    sent = Sent(host, "logoff", "before")
    with pytest.raises(ConnectionLost):
        stage.run(selector=Selector(disconnected=True), warn_s=())
    assert len(sent.times) == 1


def test_a_host_that_others_have_taken_meanwhile_is_not_written_to_again(stage: Stage, host: FakeHost) -> None:
    began = to_cim(host.clock.now())
    theirs = Lease(run="r-2", owner="bob@other", since=began, expires="20991231000000.000000+000").text()
    sent = Sent(host, "lease", "before")

    def take(seen: FakeHost) -> None:
        if sent.times:
            seen.lease = theirs

    host.on_look = take
    with pytest.raises(MpsBridgeError, match="held by run r-2"):
        stage.run()
    assert host.lease == theirs


def test_a_restart_follows_though_each_kind_of_answer_was_lost_once(stage: Stage, host: FakeHost) -> None:
    waiting = {"lease", "failsafe", "logons-set", "message", "logoff"}

    def before(name: str) -> None:
        if name in waiting:
            waiting.discard(name)
            host.faults[name] = ("after", lost())

    host.before_step = before
    value = stage.run(then=Then.RESTART)
    assert (value.outcome, clean(host)) == ("back", True)
    assert host.record.count(("down", "restart")) == 1
