"""One run, one verdict: exit code, last line, history, JSON, JUnit, GitHub's summary, Markdown and page agree."""

from __future__ import annotations

import contextlib
import html
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from conftest import PROFILE, examples
from fake_clock import FakeClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml
from made_runs import COMMANDS, MadeHost, MadeRun, made_hosts, make_run, procedure_of_a_made_host

from mpsbridge.cli import acting, history, running, showing
from mpsbridge.cli.call import Call
from mpsbridge.cli.conclusion import conclude
from mpsbridge.cli.terminal import Terminal
from mpsbridge.models.outcomes import Done, Outcome, Skipped
from mpsbridge.models.scripts import Effect
from mpsbridge.operations.outcomes import judge
from mpsbridge.operations.workplace import RunResult
from mpsbridge.planning.selection import Act
from mpsbridge.procedure import procedure
from mpsbridge.reports.history import Question, deeds
from mpsbridge.reports.junit import junit_xml
from mpsbridge.reports.markdown import markdown
from mpsbridge.reports.page import page
from mpsbridge.reports.report import Report, report_json
from mpsbridge.reports.summary import judge as judge_record
from mpsbridge.reports.summary import make_report
from mpsbridge.runs.verdict import INTERRUPTED, Verdict
from mpsbridge.settings import Output, Settings

CODES = {Verdict.DONE: 0, Verdict.REFUSED: 3, Verdict.UNKNOWN: 4}


@pytest.fixture(autouse=True)
def _made_hosts_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procedure, "_procedure", procedure_of_a_made_host)


def call_of(command: str, output: Output) -> Call:
    return Call(command, Settings(output=output), Terminal(command=command, output=output), FakeClock())


@contextmanager
def printed() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield out, err


def show(command: str, output: Output, outcomes: Sequence[Outcome[Any]]) -> str:
    """What the command line prints of outcomes."""
    with printed() as (out, _):
        if command == "logoff":
            acting._show(call_of(command, output), outcomes, judge(outcomes, Effect.DISRUPT), Act.LOGOFF)
        else:
            showing.show(call_of(command, output), outcomes, judge(outcomes, Effect.DISRUPT), dry_run=False)
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
    wanted = verdict_on(set(hosts.values()), is_stopped=is_stopped)
    # The verdict of the call, its exit code, and history.
    verdict = result.verdict
    assert verdict.verdict is wanted
    assert code == verdict.exit_code == (INTERRUPTED if is_stopped else CODES.get(wanted, 1))
    assert run.verdict == verdict
    by_record = judge_record(told.hosts, interrupted=is_stopped)
    assert (by_record.verdict, by_record.hosts, by_record.sentence) == (wanted, verdict.hosts, verdict.sentence)
    json_agrees(told, result, wanted, hosts)
    forms_agree(told, wanted, hosts)


def hosts_are_as_made(made: MadeRun, hosts: dict[str, Verdict]) -> None:
    """Each host is what was made of it; its turn may not have come where somebody stopped the run."""
    for one in made.hosts:
        may_be_stopped = made.work.is_interrupted and one.acts
        expected = {one.verdict(made.command), *([Verdict.STOPPED] if may_be_stopped else [])}
        assert hosts[one.name] in expected, (one, hosts[one.name])


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


def history_agrees(told: Report, result: RunResult[Any]) -> None:
    """The line of the run, and the lines of its sessions and hosts."""
    assert str(result.verdict) in str(history._run_row(told.run, UTC, is_at_work=False)[6])
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


def last_line_agrees(result: RunResult[Any], text: str) -> None:
    """Standard output ends with the verdict, and says "done" of no host that is not."""
    lines = text.splitlines()
    if result.verdict.exit_code:
        assert lines[-1] == f"run {result.run}: {result.verdict}"
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
        if made.command == "end":
            names = [one.name for one in made.hosts]
            code, _ = running._follow(call, made.work, made.plan, run=made.plan.run, hosts=names, stream=None)
        elif made.command == "logoff":
            code = acting.carry_out(call, made.work, made.plan)
        else:
            code = conclude(call, made.journal, made.work.carry_out(made.plan))
    return results[0], code, out.getvalue()


@pytest.mark.timeout(3600 if PROFILE == "deep" else 120)
@settings(max_examples=examples(ci=300, deep=20_000), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(COMMANDS), made_hosts())
def test_eight_outputs_tell_the_same_of_a_run(tmp_path: Path, command: str, hosts: list[MadeHost]) -> None:
    summary = tmp_path / "summary.md"
    os.environ["GITHUB_STEP_SUMMARY"] = str(summary)
    made = make_run(command, hosts)
    try:
        with made.work:
            result, code, text = carried_out(made, summary)
        agree(made, result, code)
        last_line_agrees(result, text)
        run = made.journal.find(result.run)
        told = make_report(run, made.journal.entries(run.id))
        assert summary.read_text(encoding="utf-8") == markdown(told)
        history_agrees(told, result)
        if command in {"end", "logoff"}:
            document = json.loads(show(command, Output.JSON, result.outcomes))
            assert [one["status"] for one in document["outcomes"]] == [one.status for one in result.outcomes]
    finally:
        made.journal.close()
        os.environ.pop("GITHUB_STEP_SUMMARY", None)
