"""One run, one verdict: exit code, last line, history, JSON, JUnit, GitHub's summary, Markdown and page agree."""

from __future__ import annotations

import contextlib
import html
import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from conftest import PROFILE, examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml
from support.fake_clock import FakeClock
from support.made_runs import (
    COMMANDS,
    PROCEDURE,
    MadeHost,
    MadeRun,
    as_they_go_on,
    go_on,
    made_hosts,
    made_waves,
    make_run,
    procedure_of_a_made_host,
)

from mpsbridge.cli import acting, leases, listing, reading, running, showing
from mpsbridge.cli.call import Call
from mpsbridge.cli.conclusion import finish
from mpsbridge.cli.terminal import Terminal
from mpsbridge.models.outcomes import Done, Failed, Outcome, Skipped
from mpsbridge.models.sessions import Result
from mpsbridge.operations.waves import Turnstile, WavesTable
from mpsbridge.operations.workplace import RunResult
from mpsbridge.planning.selection import Act
from mpsbridge.procedure import procedure
from mpsbridge.reports.history import Question, deeds
from mpsbridge.reports.junit import junit_xml
from mpsbridge.reports.markdown import markdown
from mpsbridge.reports.page import page
from mpsbridge.reports.report import Report, report_json
from mpsbridge.reports.rows import run_row
from mpsbridge.reports.summary import judge as judge_record
from mpsbridge.reports.summary import left_on_hosts, make_report
from mpsbridge.runs.verdict import INTERRUPTED, RunVerdict, Verdict
from mpsbridge.settings import Output, Settings

CODES = {Verdict.DONE: 0, Verdict.REFUSED: 3, Verdict.UNKNOWN: 4}


@pytest.fixture(autouse=True)
def _made_hosts_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procedure, "_procedure", procedure_of_a_made_host)
    monkeypatch.setattr(Turnstile, "LOOK_S", 0.01)


def call_of(command: str, output: Output) -> Call:
    return Call(command, Settings(output=output), Terminal(command=command, output=output), FakeClock())


@contextmanager
def printed() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield out, err


def show(command: str, output: Output, result: RunResult[Any]) -> str:
    """What the command line prints of a result."""
    with printed() as (out, _):
        call = call_of(command, output)
        if command == "logoff":
            acting.show(call, result.outcomes, result.verdict, Act.LOGOFF)
        elif command in PROCEDURE:
            showing.show(call, result.outcomes, result.verdict, dry_run=False)
        else:
            listing.present(
                call, result.outcomes, reading.LOGONS if command == "logons" else leases.LEASES, result.verdict
            )
    return out.getvalue()


class StatusOfPage(HTMLParser):
    """The status of the run and of each host, as a page shows them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._is_status = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_status = tag == "span" and dict(attrs).get("class", "").split(" ")[0] == "status"  # type: ignore[union-attr]

    def handle_data(self, data: str) -> None:
        if self._is_status:
            self.found.append(data)
            self._is_status = False


def status_of(outcome: Outcome[Any]) -> str:
    return "refused" if isinstance(outcome, Skipped) and outcome.kind in {"refused", "no-turn"} else outcome.status


def agree(made: MadeRun, result: RunResult[Any], code: int) -> None:
    """Hold every output of a run against what was made, and against the others."""
    run = made.journal.find(result.run)
    told = make_report(run, made.journal.entries(result.run))
    hosts = {one.host: one.status for one in told.hosts}
    is_stopped = made.work.is_interrupted
    hosts_are_as_made(made, hosts)
    if made.command in PROCEDURE:  # what is not known is kept open
        assert result.is_open or Verdict.UNKNOWN not in {
            hosts[outcome.host] for outcome in result.outcomes if not isinstance(outcome, Done)
        }
    # The verdict of the call and its exit code: not on hosts of the run on which it was not told to go on.
    asked_for = verdict_on({hosts[host] for host in hosts.keys() - made.left_out}, is_stopped=is_stopped)
    assert result.verdict.verdict is asked_for
    assert code == result.verdict.exit_code == (INTERRUPTED if is_stopped else CODES.get(asked_for, 1))
    # The verdict on the run, and history.
    wanted = verdict_on(set(hosts.values()), is_stopped=is_stopped)
    verdict = run.verdict
    assert verdict is not None
    assert verdict == result.verdict or made.left_out
    assert verdict.verdict is wanted
    by_record = judge_record(told.hosts, interrupted=is_stopped)
    assert (by_record.verdict, by_record.hosts, by_record.sentence) == (wanted, verdict.hosts, verdict.sentence)
    assert by_record.sessions == verdict.sessions or made.earlier
    json_agrees(told, result, wanted, hosts)
    forms_agree(told, wanted, hosts)


def hosts_are_as_made(made: MadeRun, hosts: dict[str, Verdict]) -> None:
    """Each host is what was made of it; its turn may not have come where somebody stopped the run."""
    first = made.earlier
    for one in first.hosts if first else ():
        if one.name not in {each.name for each in made.hosts} | made.left_out:
            assert hosts[one.name] is one.verdict("end"), one
    for one in made.hosts:
        in_doubt = first is not None and first.in_doubt(one.name)
        expected = {one.verdict(made.command)}
        if one.ending == "unseen" and in_doubt:
            expected = {Verdict.UNKNOWN}
        if made.work.is_interrupted and (one.acts or first):
            expected.add(Verdict.UNKNOWN if in_doubt else Verdict.STOPPED)
        if (made.waves.floor or made.waves.stop_after) and (one.acts or first):
            expected.add(Verdict.UNKNOWN if in_doubt else Verdict.REFUSED)
        assert hosts[one.name] in expected, (one, hosts[one.name], expected)


def verdict_on(found: set[Verdict], *, is_stopped: bool) -> Verdict:
    """What is to be said of a run, told here once more, apart from the product."""
    if Verdict.UNKNOWN in found:
        return Verdict.UNKNOWN
    if found == {Verdict.DONE}:
        return Verdict.DONE
    if is_stopped:
        return Verdict.STOPPED
    if found & {Verdict.DONE, Verdict.PARTLY}:
        return Verdict.PARTLY
    return next(each for each in (Verdict.FAILED, Verdict.STOPPED, Verdict.REFUSED) if each in found)


MAY_BE = {"done": {"done", "partly", "failed", "unknown"}, "refused": {"refused"}, "skipped": {"stopped"}}
"""What the verdict on a host may be, by the status of its outcome."""


def json_agrees(told: Report, result: RunResult[Any], wanted: Verdict, hosts: dict[str, Verdict]) -> None:
    """The report as JSON, and the outcomes of the call."""
    document = json.loads(report_json(told))
    assert document["status"] == wanted
    assert {one["host"]: one["status"] for one in document["hosts"]} == hosts
    people = {(host.host, one.id): one.result for host in told.hosts for one in host.people}
    for outcome in result.outcomes:
        assert hosts[outcome.host] in MAY_BE.get(status_of(outcome), {"failed", "unknown", "stopped"}), outcome
        if isinstance(outcome, Done) and hasattr(outcome.value, "sessions"):
            for one in outcome.value.sessions:
                assert people[outcome.host, one.session.id] == one.result, (outcome, told)
        if isinstance(outcome, Failed):
            became = {one.session.id: one.result for one in outcome.sessions}
            found = {id: result or Result.UNTOUCHED for (host, id), result in people.items() if host == outcome.host}
            assert became == found, (outcome, told)


def history_agrees(told: Report) -> None:
    """The line of the run, and the lines of its sessions and hosts."""
    assert str(told.run.verdict) in str(run_row(told.run, UTC, is_at_work=False)[6])
    found = list(deeds(told, Question()))
    people = [(host.host, one.id, one.result) for host in told.hosts for one in host.people]
    assert [(one.host, one.session, one.result) for one in found if one.session is not None] == people
    assert {one.host for one in found} == {host.host for host in told.hosts}


def forms_agree(told: Report, wanted: Verdict, hosts: dict[str, Verdict]) -> None:
    """JUnit, Markdown and page say what the report says."""
    suites = {suite.name: suite for suite in JUnitXml.fromstring(junit_xml(told).encode())}
    for name, host in hosts.items():
        (case,) = [each for each in suites[name] if each.name == "host"]
        kinds = {type(each) for each in case.result}
        kind = {Verdict.DONE: set(), Verdict.UNKNOWN: {Error}}.get(host, {Failure})
        assert kinds == kind, (name, host)
        assert bool(suites[name].failures or suites[name].errors) is (host is not Verdict.DONE), name
    (case,) = suites[f"mpsbridge {told.run.command}"]
    assert told.run.verdict is not None
    assert bool(case.result) is bool(told.run.verdict.exit_code)
    assert ({type(each) for each in case.result} == {Error}) is (wanted is Verdict.UNKNOWN)
    text = html.unescape(markdown(told))
    assert text.startswith(f"### mpsbridge {told.run.command}: {wanted}\n")
    signs = {Verdict.DONE: "✓", Verdict.UNKNOWN: "?", Verdict.REFUSED: "–", Verdict.STOPPED: "–"}
    for name, host in hosts.items():
        assert re.search(rf"^\| {re.escape(signs.get(host, '✗'))} \| {name} \|", text, re.MULTILINE), (
            name,
            host,
        )
    shown = StatusOfPage(page(told)).found
    assert shown == [wanted, *hosts.values(), *hosts.values()]


def last_line_agrees(result: RunResult[Any], told: Report, text: str) -> None:
    """Standard output ends with the verdict, of a run that was broken off with what it left on its hosts, and says
    "done" of no host that is not.
    """
    lines = text.splitlines()
    if result.verdict.exit_code:
        left = f"; {left_on_hosts(told)}" if result.verdict.is_interrupted else ""
        assert lines[-1] == f"run {result.run}: {result.verdict}{left}"
    elif lines:
        assert not re.search(r"failed|refused|skipped|unknown|interrupted|not begun|stopped", lines[-1])
    done = {outcome.host for outcome in result.outcomes if isinstance(outcome, Done)}
    for line in lines:
        if found := re.fullmatch(r"(ts\d): done", line):
            assert found[1] in done


def carried_out(made: MadeRun, summary: Path) -> tuple[RunResult[Any], int, str]:
    """The run, its exit code, and what stands on standard output."""
    results: list[RunResult[Any]] = []
    carry_out = made.work.carry_out

    def remembered(*words: Any, **more: Any) -> RunResult[Any]:
        results.append(carry_out(*words, **more))
        return results[0]

    made.work.carry_out = remembered  # type: ignore[method-assign] # to see what it answers
    summary.write_bytes(b"")
    with printed() as (out, _):
        call = call_of(made.command, Output.TABLE)
        if made.command in PROCEDURE:
            names = [one.name for one in made.hosts]
            code, _ = running.follow(call, made.work, made.plan, run=made.plan.run, hosts=names, stream=None)
        elif made.command == "logoff":
            code = acting.carry_out(call, made.work, made.plan)
        else:
            code = finish(call, made.work, made.plan, reading.LOGONS if made.command == "logons" else leases.LEASES)
    return results[0], code, out.getvalue()


@pytest.mark.timeout(3600 if PROFILE == "deep" else 300)
@settings(max_examples=examples(ci=150, deep=20_000), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.sampled_from(COMMANDS), made_hosts())
def test_eight_outputs_tell_the_same_of_a_run(
    tmp_path: Path, data: st.DataObject, command: str, hosts: list[MadeHost]
) -> None:
    made = make_run(command, hosts, data.draw(made_waves) if command == "maintain" else WavesTable())
    try:
        outputs_agree(made, tmp_path / "summary.md")
        if command in PROCEDURE:
            left_out = data.draw(st.sets(st.sampled_from([one.name for one in hosts])) | st.just(set()))
            again = go_on(made, data.draw(as_they_go_on(hosts)), left_out)
            if again is not None:
                outputs_agree(again, tmp_path / "summary.md")
    finally:
        made.journal.close()


def test_a_run_that_goes_on_and_reaches_no_host_still_tells_the_sessions_of_its_first_life(tmp_path: Path) -> None:
    first = make_run("end", [MadeHost("ts0", "fault", results=(Result.ENDED,))])
    try:
        outputs_agree(first, tmp_path / "summary.md")
        again = go_on(first, [MadeHost("ts0", "no room", results=(None,))], ())
        assert again is not None
        outputs_agree(again, tmp_path / "summary.md")
        assert again.journal.runs()[0].verdict == RunVerdict.of([Verdict.UNKNOWN], [Result.UNKNOWN])
    finally:
        first.journal.close()


def outputs_agree(made: MadeRun, summary: Path) -> None:
    """Carry a run out, and hold its outputs against each other."""
    os.environ["GITHUB_STEP_SUMMARY"] = str(summary)
    try:
        with made.work:
            result, code, text = carried_out(made, summary)
    finally:
        os.environ.pop("GITHUB_STEP_SUMMARY", None)
    agree(made, result, code)
    run = made.journal.find(result.run)
    told = make_report(run, made.journal.entries(run.id))
    last_line_agrees(result, told, text)
    assert summary.read_text(encoding="utf-8") == markdown(told)
    history_agrees(told)
    document = json.loads(show(made.command, Output.JSON, result))
    assert [one["status"] for one in document["outcomes"]] == [one.status for one in result.outcomes]
    assert (document["verdict"], document["counts"]["hosts"]) == (result.verdict.verdict, result.verdict.hosts)
