"""How a run of the procedure looks to a person: plan and question before it, results after it.

Rule: what is the same of many hosts is said once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mpsbridge.cli.call import Call
from mpsbridge.cli.fleets import present
from mpsbridge.cli.tables import (
    RESULT_COLUMNS,
    SESSION_COLUMNS,
    counted,
    listed,
    result_record,
    result_row,
    session_row,
)
from mpsbridge.ending.policy import Policy
from mpsbridge.ending.run import EndValue
from mpsbridge.errors import InputError, JournalLost
from mpsbridge.models.durations import format_duration
from mpsbridge.models.outcomes import Done, Outcome
from mpsbridge.models.sessions import Result
from mpsbridge.models.then import Then
from mpsbridge.operations.ending import EndPlan
from mpsbridge.reports.markdown import append_summary, markdown
from mpsbridge.reports.summary import make_report
from mpsbridge.runs.journal import Journal

_FOLLOWS = {
    Then.NOTHING: "",
    Then.RESTART: " and restart",
    Then.SHUTDOWN: " and shut down",
    Then.CONSOLE_MODE: " and switch to console mode",
    Then.STATION_MODE: " and switch to station mode",
}


def ask(call: Call, policy: Policy, plan: EndPlan, *, yes: bool) -> None:
    """Show who is hit, and ask unless ``yes`` was said. Raises :class:`~mpsbridge.errors.Refused` on a no."""
    rows = [session_row(host, session) for host, session in plan.sessions]
    call.terminal.table(SESSION_COLUMNS, rows, to_stderr=True)
    when = f"in {format_duration(max(policy.warn_s))}" if policy.warn_s else "now, WITHOUT a warning"
    question = f"End {counted(len(rows), 'session')} on {listed(plan.hosts)} {when}{_FOLLOWS[policy.then]}?"
    call.terminal.confirm(question, yes=yes)


def note_once(call: Call, notes: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Say what should be known of some hosts; what is the same of many is said once."""
    hosts: dict[str, list[str]] = {}
    for host, texts in notes:
        for text in texts:
            hosts.setdefault(text, []).append(host)
    for text, names in hosts.items():
        call.terminal.note(f"{listed(names)}: {text}")


def show(call: Call, outcomes: Sequence[Outcome[EndValue]], *, dry_run: bool) -> None:
    """Results in the form asked for, and what should be known of them."""
    for outcome in outcomes:
        call.terminal.stream(outcome)

    def summary(values: Sequence[EndValue]) -> str:
        results = [result.result for value in values for result in value.sessions]
        if dry_run:
            return f"{counted(results.count(Result.WOULD), 'session')} would be ended"
        gone = sum(result in {Result.ENDED, Result.GONE} for result in results)
        return f"{gone} of {counted(len(results), 'session')} gone" if results else "nothing to do"

    present(
        call,
        outcomes,
        columns=RESULT_COLUMNS,
        rows=lambda host, value: [result_row(host, result) for result in value.sessions],
        records=lambda value: [result_record(value.run, result) for result in value.sessions],
        summary=summary,
    )
    for outcome in outcomes:
        if isinstance(outcome, Done):
            call.terminal.say(f"{outcome.host}: {outcome.value.facts.in_words(outcome.value.outcome)}")
            if not outcome.value.given_back:
                call.terminal.warn(
                    f"{outcome.host}: not all was given back; 'mpsbridge release {outcome.host}' does it"
                )
    note_once(call, [(outcome.host, outcome.value.problems) for outcome in outcomes if isinstance(outcome, Done)])


def summarise(call: Call, journal: Journal, run: str) -> None:
    """Add the run to the summary of a CI job that has one (GitHub names its file)."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            append_summary(Path(path), markdown(make_report(journal.find(run), journal.entries(run))))
        except (InputError, JournalLost) as error:
            call.terminal.warn(str(error))
