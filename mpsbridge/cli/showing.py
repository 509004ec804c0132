"""How a run of the procedure looks to a person: plan and question before it, results after it.

Rule: what is the same of many hosts is said once.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpsbridge.cli.call import Call
from mpsbridge.cli.listing import Layout, tell
from mpsbridge.cli.tables import RESULT_COLUMNS, SESSION_COLUMNS, result_row, session_row
from mpsbridge.models.counts import counted, listed
from mpsbridge.models.durations import format_duration
from mpsbridge.models.outcomes import Done, Outcome
from mpsbridge.models.then import Then
from mpsbridge.operations.ending import EndPlan
from mpsbridge.operations.outcomes import sum_up
from mpsbridge.planning.policy import Policy
from mpsbridge.runs.ended import EndValue
from mpsbridge.runs.verdict import RunVerdict

GONE_OR_WOULD_BE = {False: "{sessions} gone", True: "{sessions} {would_be}ended"}
"""What is said of the sessions of the procedure, by whether it was a dry run."""
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
    hosts = [plan.plans[place].host for place in sorted(plan.ready)]
    when = f"in {format_duration(max(policy.warn_s))}" if policy.warn_s else "now, WITHOUT a warning"
    question = f"End {counted(len(rows), 'session')} on {listed(hosts)} {when}{_FOLLOWS[policy.then]}?"
    call.terminal.confirm(question, yes=yes)


def note_once(call: Call, notes: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Say what should be known of some hosts; what is the same of many is said once."""
    hosts: dict[str, list[str]] = {}
    for host, texts in notes:
        for text in texts:
            hosts.setdefault(text, []).append(host)
    for text, names in hosts.items():
        call.terminal.note(f"{listed(names)}: {text}")


def show(call: Call, outcomes: Sequence[Outcome[EndValue]], verdict: RunVerdict, *, dry_run: bool) -> None:
    """Results in the form asked for, and what should be known of them."""
    layout = Layout[EndValue](
        columns=RESULT_COLUMNS,
        rows=lambda host, value: [result_row(host, result) for result in value.sessions],
        summary=lambda values: sum_up([value.sessions for value in values], GONE_OR_WOULD_BE[dry_run], dry_run=dry_run),
    )
    tell(call, outcomes, layout, verdict)
    for outcome in outcomes:
        if isinstance(outcome, Done):
            call.terminal.say(f"{outcome.host}: {outcome.value.facts.in_words(outcome.value.outcome)}")
            if not outcome.value.given_back:
                call.terminal.warn(
                    f"{outcome.host}: not all was given back; 'mpsbridge release {outcome.host}' does it"
                )
    note_once(call, [(outcome.host, outcome.value.problems) for outcome in outcomes if isinstance(outcome, Done)])
