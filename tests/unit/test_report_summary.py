"""A run's record becomes a report, wherever the record ends and whatever stands in it."""

from __future__ import annotations

import html
import json
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from junitparser import JUnitXml
from support.fake_clock import FakeClock
from support.fake_host import FakeHost, lost
from support.past_runs import NOON, PastRun, eventful_run
from support.records import DONE, UNKNOWN
from support.wild_records import records

from mpsbridge.errors import RemoteError, Unreachable
from mpsbridge.models.sessions import LogonMode, Result, State
from mpsbridge.models.then import Then
from mpsbridge.procedure.sessions import BY_FORCE
from mpsbridge.reports.junit import junit_xml
from mpsbridge.reports.markdown import markdown
from mpsbridge.reports.page import page
from mpsbridge.reports.report import Fate, HostReport, Report, report_json
from mpsbridge.reports.summary import judge, make_report
from mpsbridge.runs.events import (
    Finished,
    HostStopped,
    Phase,
    SessionJudged,
    SessionSettled,
    SessionTold,
    Step,
    StepAnswered,
    StepSent,
)
from mpsbridge.runs.journal import Entry, Journal, Run
from mpsbridge.runs.verdict import Verdict
from mpsbridge.schemas.catalogue import json_schema


@cache
def eventful() -> tuple[Run, list[Entry]]:
    with TemporaryDirectory() as folder:
        return eventful_run(Path(folder)).told


NOT_ALL = "Not everything was done."
LOOK = "Not everything is known: look at the hosts before you repeat anything."


@pytest.fixture
def told() -> Report:
    return make_report(*eventful())


def of(told: Report, name: str) -> HostReport:
    return next(host for host in told.hosts if host.host == name)


def results(host: HostReport) -> dict[str | None, str | None]:
    return {person.user: person.result and person.result.value for person in host.people}


def one_host(folder: Path, prepare: Any, **policy: Any) -> HostReport:
    past = PastRun(folder, hosts=("ts1",))
    past.on("ts1", prepare, **policy)
    (host,) = make_report(*past.told).hosts
    return host


def test_hosts_come_in_the_order_they_were_given_with_what_became_of_them(told: Report) -> None:
    assert [(host.host, host.status.value, host.outcome) for host in told.hosts] == [
        ("school-1", "done", "back"),
        ("school-2", "unknown", "not everything is known"),
        ("school-3", "unknown", "unknown"),
        ("school-4", "failed", "failed"),
        ("school-5", "stopped", "nothing was sent"),
    ]
    assert told.status is Verdict.UNKNOWN
    assert not told.open


def test_people_have_a_name_a_result_and_a_time(told: Report) -> None:
    host = of(told, "school-1")
    assert results(host) == {"alice": "ended", "bob": "gone", "carol": "gone", "dave": "ended", "erin": "ended"}
    bob = host.people[1]
    assert (bob.text, bob.at) == ("left by themselves", NOON + timedelta(minutes=7))
    assert bob.since == NOON
    assert bob.born == NOON
    assert host.people[-1].since == NOON + timedelta(minutes=8)


def test_each_notice_has_its_time_and_its_fate(told: Report) -> None:
    alice = of(told, "school-1").people[0]
    assert [(notice.name, notice.result, notice.at - NOON) for notice in alice.notices] == [
        ("15m", Result.SHOWN, timedelta()),
        ("5m", Result.SHOWN, timedelta(minutes=10)),
        ("1m", Result.SHOWN, timedelta(minutes=14)),
    ]
    assert told.totals.notices_shown == 24


def test_phases_follow_each_other_without_a_gap(told: Report) -> None:
    phases = of(told, "school-1").phases
    assert [phase.name for phase in phases] == [
        "observe",
        "lease",
        "close",
        "warn",
        "end",
        "restart",
        "return",
        "restore",
    ]
    assert [phase.end for phase in phases[:-1]] == [phase.start for phase in phases[1:]]
    assert phases[3].end - phases[3].start == timedelta(minutes=15)


def test_w25_a_restart_is_two_boot_identities(told: Report) -> None:
    host = of(told, "school-1")
    assert len(host.boots) == 2
    assert [mark.name for mark in host.marks] == ["leased", "closed", "ordered", "booted", "restored", "released"]
    assert len(of(told, "school-2").boots) == 1


def test_w17_logons_are_told_before_and_after(told: Report, tmp_path: Path) -> None:
    assert [(host.logons_before, host.logons_after) for host in told.hosts[:2]] == [("enabled", "enabled")] * 2

    def close(seen: FakeHost) -> None:
        if seen.mode is LogonMode.DRAIN:
            seen.mode = LogonMode.DISABLED

    def prepare(host: FakeHost) -> None:
        host.log_on(2, "alice")
        host.on_look = close

    host = one_host(tmp_path, prepare, then=Then.NOTHING)
    assert (host.logons_before, host.logons_after) == ("enabled", "disabled")
    assert any("changed by others" in problem for problem in host.problems)


def test_times_are_in_the_hosts_own_offset(told: Report) -> None:
    start = of(told, "school-1").start
    assert start is not None
    assert start.utcoffset() == timedelta(hours=1)


def test_what_may_have_run_is_unknown_and_says_why(told: Report) -> None:
    host = of(told, "school-3")
    assert results(host) == {"ivan": "unknown", "judy": "unknown"}
    (step,) = [step for step in host.steps if step.fate is not Fate.DONE]
    assert (step.step, step.fate, step.error) == ("logoff", Fate.UNKNOWN, "the link broke")
    assert host.error == "the link broke"


def test_what_never_reached_the_host_leaves_people_untouched(tmp_path: Path) -> None:
    def prepare(host: FakeHost) -> None:
        host.log_on(2, "alice")
        host.lose("logoff", "before", Unreachable("no route"))

    host = one_host(tmp_path, prepare, then=Then.NOTHING)
    assert (host.status, host.error) == (Verdict.FAILED, "no route")
    assert results(host) == {"alice": None}
    assert [step.fate for step in host.steps if step.step == "logoff"] == [Fate.NOT_RUN] * 2


def test_a_stop_while_waiting_touched_nobody(tmp_path: Path) -> None:
    def prepare(host: FakeHost) -> None:
        host.log_on(2, "alice")
        host.faults["look"] = ("before", RemoteError("its table cannot be read"))

    host = one_host(tmp_path, prepare, then=Then.NOTHING)
    assert results(host) == {"alice": None}
    told = [(notice.name, notice.result) for person in host.people for notice in person.notices]
    assert told == [("15m", Result.SHOWN), ("cancellation", Result.SHOWN)]


def test_w02_a_notice_of_unknown_fate_is_not_told_as_shown(tmp_path: Path) -> None:
    def prepare(host: FakeHost) -> None:
        host.log_on(2, "alice")
        host.lose("message")

    host = one_host(tmp_path, prepare)
    told = [(notice.name, notice.result) for person in host.people for notice in person.notices]
    assert told == [("15m", Result.UNKNOWN), ("cancellation", Result.SHOWN)]
    assert host.status is Verdict.UNKNOWN


def test_w26_a_host_that_never_came_back_is_unknown(tmp_path: Path) -> None:
    def prepare(host: FakeHost) -> None:
        host.reboot_s = 10**6

    host = one_host(tmp_path, prepare, return_timeout_s=600)
    assert (host.status, host.error) == (Verdict.UNKNOWN, "the host did not come back in time; it is not told again")


def test_whoever_saw_no_notice_is_told_as_refused(tmp_path: Path) -> None:
    def sneak_in(seen: FakeHost) -> None:
        if seen.clock.now() >= NOON + timedelta(minutes=15) and 9 not in seen.people:
            seen.log_on(9, "zoe")

    def prepare(host: FakeHost) -> None:
        host.log_on(2, "alice")
        host.on_look = sneak_in

    host = one_host(tmp_path, prepare, then=Then.NOTHING)
    assert results(host) == {"alice": "ended", "zoe": "refused"}
    assert (host.status, host.outcome) == (Verdict.PARTLY, "not everything was done")


def test_w05_two_people_with_one_id_stay_two(tmp_path: Path) -> None:
    def swap(seen: FakeHost) -> None:
        if seen.clock.now() >= NOON + timedelta(minutes=5) and seen.people and seen.people[2].user == "alice":
            seen.log_on(2, "mallory")

    def prepare(host: FakeHost) -> None:
        host.log_on(2, "alice")
        host.on_look = swap

    host = one_host(tmp_path, prepare, then=Then.NOTHING)
    assert results(host) == {"alice": "gone", "mallory": "ended"}
    assert [[notice.name for notice in person.notices] for person in host.people] == [["15m"], ["15m", "5m", "1m"]]


@pytest.mark.parametrize("name", ["school-1", "school-2", "school-3"])
def test_a_record_that_ends_anywhere_says_no_more_than_it_holds(name: str) -> None:
    run, entries = eventful()
    entries = [entry for entry in entries if entry.host == name]
    died = run.model_copy(update={"ended": None, "verdict": None})
    for length in range(len(entries)):
        held = entries[:length]
        host = of(make_report(died, held), name)
        was_sent = any(isinstance(entry.what, StepSent) for entry in held)
        assert host.status is (Verdict.UNKNOWN if was_sent else Verdict.STOPPED)
        answered = {entry.what.intent for entry in held if isinstance(entry.what, StepAnswered)}
        unknown = {step.number for step in host.steps if step.fate is Fate.UNKNOWN}
        assert unknown == {
            each.number for each in held if isinstance(each.what, StepSent) and each.number not in answered
        }
        sent = [one for one in held if isinstance(one.what, StepSent) and one.what.step is Step.LOGOFF]
        told_gone = {entry.what.session for entry in held if isinstance(entry.what, SessionSettled)}
        for person in host.people:
            if not sent and person.id not in told_gone:
                assert person.result in {None, Result.KEPT}
            if sent and sent[0].number not in answered and person.id not in told_gone:
                assert person.result in {Result.UNKNOWN, Result.KEPT}


def test_a_resumed_run_is_unknown_until_its_host_has_a_last_word() -> None:
    run, entries = eventful()
    before = [entry for entry in entries if entry.host == "school-3"]
    again = before[-1].model_copy(update={"number": 9000, "what": StepSent(step=Step.LEASE)})
    died = run.model_copy(update={"ended": None})
    assert of(make_report(died, [*before, again]), "school-3").outcome == "the record ends in the middle"


def test_who_was_there_before_a_restart_is_gone_though_the_log_off_was_never_answered(tmp_path: Path) -> None:
    def cut_off(host: FakeHost) -> None:
        host.log_on(2, "alice")
        host.lose("logoff")

    past = PastRun(tmp_path, hosts=("ts1",))
    past.on("ts1", cut_off)
    assert results(make_report(*past.told).hosts[0]) == {"alice": "unknown"}
    past.on("ts1", lambda _: None)  # the run goes on, and finds nobody there
    past.end()
    told = make_report(*past.told)
    (host,) = told.hosts
    assert (host.status, results(host)) == (Verdict.DONE, {"alice": "gone"})
    assert [step.step for step in host.steps if step.fate is Fate.UNKNOWN] == ["logoff"]
    suite, run = JUnitXml.fromstring(junit_xml(told).encode())
    assert (run.errors, run.failures) == (0, 0)
    assert (suite.errors, suite.failures, suite.skipped) == (0, 0, 1)


def test_a_run_of_one_act_is_told_from_its_verdicts_and_answers(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite", clock=FakeClock()) as journal:
        journal.begin("r-1", command="logoff", reason="", options={"hosts": ["ts1", "ts2"]})
        for id, decision, reason in ((2, "act", ""), (3, "act", ""), (4, "keep", "disconnected already")):
            verdict = {"session": id, "decision": decision, "reason": reason, "state": "active"}
            journal.record("r-1", "ts1", SessionJudged.model_validate(verdict))
        sent = StepSent(step=Step.LOGOFF, sessions=(2, 3), phase=Phase.ACT)
        intent = journal.record("r-1", "ts1", sent)
        answer = (SessionTold(id=2, result=Result.ENDED), SessionTold(id=3, result=Result.CHANGED, text="someone else"))
        journal.record("r-1", "ts1", StepAnswered(step=Step.LOGOFF, intent=intent, sessions=answer))
        journal.record("r-1", "ts1", Finished(outcome="done"))
        journal.record("r-1", "ts2", StepSent(step=Step.LOGOFF, sessions=(7,)))
        journal.end("r-1", UNKNOWN)
        told = make_report(journal.find("r-1"), journal.entries("r-1"))
    first, second = told.hosts
    assert [person.result for person in first.people] == [Result.ENDED, Result.CHANGED, Result.KEPT]
    assert first.people[2].reason == "disconnected already"
    assert (first.status, second.status) == (Verdict.PARTLY, Verdict.UNKNOWN)
    assert [phase.name for phase in first.phases] == ["act"]
    assert second.people[0].result is Result.UNKNOWN


def test_a_message_counts_as_the_result_of_a_message(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite", clock=FakeClock()) as journal:
        journal.begin("r-1", command="message", reason="", options={"hosts": ["ts1"]})
        intent = journal.record("r-1", "ts1", StepSent(step=Step.MESSAGE, sessions=(2,)))
        shown = (SessionTold(id=2, user="alice", result=Result.SHOWN),)
        journal.record("r-1", "ts1", StepAnswered(step=Step.MESSAGE, intent=intent, sessions=shown))
        journal.record("r-1", "ts1", Finished(outcome="done"))
        journal.end("r-1", DONE)
        (host,) = make_report(journal.find("r-1"), journal.entries("r-1")).hosts
    assert host.status is Verdict.DONE
    assert results(host) == {"alice": "shown"}


def test_a_run_without_entries_is_a_report(tmp_path: Path) -> None:
    past = PastRun(tmp_path, hosts=())
    assert make_report(*past.told).status is Verdict.STOPPED
    past.end()
    assert make_report(*past.told).status is Verdict.DONE


def test_the_json_is_what_the_schema_says(told: Report) -> None:
    text = report_json(told)
    assert Report.model_validate_json(text) == told
    plain, schema = json.loads(text), json_schema("report")
    assert plain["schema"] == "mpsbridge-report/1"
    assert set(plain) == set(schema["properties"]) == set(schema["required"])
    host = schema["$defs"]["HostReport"]
    assert set(plain["hosts"][0]) == set(host["properties"])
    assert host["additionalProperties"] is False
    assert plain["totals"]["people"] == {"ended": 4, "gone": 2, "unknown": 3, "kept": 1}
    assert plain["hosts"][0]["start"] == "2026-11-25T12:00:00+01:00"


@given(records())
def test_whatever_a_record_holds_gives_a_report(record: tuple[Run, list[Entry]]) -> None:
    run, entries = record
    told = make_report(run, entries)
    assert {entry.host for entry in entries} <= {host.host for host in told.hosts}
    json.loads(report_json(told))


def test_a_disconnected_person_has_that_state(tmp_path: Path) -> None:
    def prepare(host: FakeHost) -> None:
        host.log_on(2, "alice", state=State.DISCONNECTED)

    host = one_host(tmp_path, prepare, then=Then.NOTHING, disconnected_ok=True)
    assert host.people[0].state == "disconnected"
    assert host.people[0].notices == ()


def test_who_was_missed_once_and_seen_again_did_not_leave_then(tmp_path: Path) -> None:
    hidden: list[Any] = []

    def flicker(seen: FakeHost) -> None:
        minutes = (seen.clock.now() - NOON) / timedelta(minutes=1)
        if minutes == 3:
            hidden.append(seen.people.pop(2))
        elif hidden:
            seen.people[2] = hidden.pop()

    def prepare(host: FakeHost) -> None:
        host.log_on(2, "alice")
        host.log_on(3, "bob")
        host.on_look = flicker

    host = one_host(tmp_path, prepare, then=Then.NOTHING)
    assert [person.at for person in host.people] == [NOON + timedelta(minutes=15)] * 2


def test_w03_who_was_reset_is_told_so_and_one_whose_reset_is_lost_is_unknown(tmp_path: Path) -> None:
    def hang(host: FakeHost) -> None:
        host.log_on(2, "alice", hung=True)

    def hang_and_lose(host: FakeHost) -> None:
        hang(host)
        host.faults["reset"] = ("after", lost())

    past = PastRun(tmp_path, hosts=("school-1", "school-2"))
    for name, prepare in (("school-1", hang), ("school-2", hang_and_lose)):
        past.on(name, prepare, then=Then.NOTHING, warn_s=(), settle_s=30, force_after_s=60)
    reset, unsure = make_report(*past.told).hosts
    assert [(each.result, each.text) for each in reset.people] == [(Result.ENDED, BY_FORCE)]
    assert "force" in [phase.name for phase in reset.phases]
    assert (unsure.status, [each.result for each in unsure.people]) == (Verdict.UNKNOWN, [Result.UNKNOWN])


def test_a_step_that_the_host_answered_with_an_error_is_unknown(tmp_path: Path) -> None:
    def prepare(host: FakeHost) -> None:
        host.log_on(2, "alice")
        host.faults["failsafe"] = ("after", RemoteError("no task scheduler"))

    host = one_host(tmp_path, prepare, then=Then.NOTHING)
    assert (host.status, host.error) == (Verdict.UNKNOWN, "no task scheduler")


@pytest.mark.parametrize(
    ("ends", "status", "said"),
    [
        (["done"] * 3, Verdict.DONE, "Everything was done."),
        (["done"] * 24 + ["refused"], Verdict.PARTLY, "Not everything was done. 24 of 25 hosts done, 1 refused."),
        (
            ["done", "refused", "failed"],
            Verdict.PARTLY,
            f"{NOT_ALL} 1 of 3 hosts done, 1 refused, 1 failed.",
        ),
        (["refused"] * 2, Verdict.REFUSED, "The plan refused; nothing was sent."),
        (["failed", "refused"], Verdict.FAILED, "Not everything was done. 1 of 2 hosts refused, 1 failed."),
        (["done", "silent"], Verdict.UNKNOWN, f"{LOOK} 1 of 2 hosts done, 1 unknown."),
    ],
)
def test_one_host_that_refuses_says_nothing_of_the_others(
    ends: list[str], status: Verdict, said: str, tmp_path: Path
) -> None:
    """Of 24 hosts that were restarted it was once said that nothing was sent."""
    with Journal(tmp_path / "journal.sqlite", clock=FakeClock()) as journal:
        names = [f"ts{number}" for number in range(len(ends))]
        journal.begin("r-1", command="end", reason="", options={"hosts": list(names)})
        for name, end in zip(names, ends, strict=True):
            if end == "done":
                journal.record("r-1", name, Finished(outcome="done"))
            elif end == "silent":
                journal.record("r-1", name, StepSent(step=Step.POWER))
            else:
                journal.record("r-1", name, HostStopped(why="no", error=end, phase=Phase.PLAN))
        run = journal.find("r-1")
        journal.end("r-1", judge(make_report(run, journal.entries("r-1")).hosts))
        told = make_report(journal.find("r-1"), journal.entries("r-1"))
    assert (told.status, told.summary) == (status, said)
    for form in (markdown(told), page(told)):
        assert said in html.unescape(form)
    suites = JUnitXml.fromstring(junit_xml(told).encode())
    assert bool(suites.failures or suites.errors) is (status is not Verdict.DONE)
