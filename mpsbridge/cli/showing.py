"""How a run of the procedure looks to a person: plan and question before it, results after it.

Rule: what is the same of many hosts is said once.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpsbridge.cli.call import Call
from mpsbridge.cli.listing import Layout, present, stream
from mpsbridge.cli.tables import RESULT_COLUMNS, SESSION_COLUMNS, result_row, session_row
from mpsbridge.models.counts import counted, listed
from mpsbridge.models.durations import format_duration
from mpsbridge.models.outcomes import Done, Outcome
from mpsbridge.models.sessions import Result, SessionResult
from mpsbridge.models.then import Then
from mpsbridge.operations.ending import EndPlan
from mpsbridge.operations.forecast import waves_of
from mpsbridge.operations.waves import limits
from mpsbridge.planning.policy import Policy
from mpsbridge.runs.ended import EndValue
from mpsbridge.runs.verdict import RunVerdict

GONE_OR_WOULD_BE = {False: "{sessions} gone", True: "{sessions} {would_be}ended"}
"""What is said of the sessions of the procedure, by whether it was a dry run."""
DONE = frozenset({Result.SHOWN, Result.DISCONNECTED, Result.ENDED, Result.GONE})
"""What became of a session as it should."""
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
    for outcome in outcomes:
        stream(call, outcome)

    layout = Layout[EndValue](
        columns=RESULT_COLUMNS,
        rows=lambda host, value: [result_row(host, result) for result in value.sessions],
        summary=lambda values: sum_up([value.sessions for value in values], GONE_OR_WOULD_BE[dry_run], dry_run=dry_run),
    )
    present(call, outcomes, layout, verdict)
    for outcome in outcomes:
        if isinstance(outcome, Done):
            call.terminal.say(f"{outcome.host}: {outcome.value.facts.in_words(outcome.value.outcome)}")
            if not outcome.value.given_back:
                call.terminal.warn(
                    f"{outcome.host}: not all was given back; 'mpsbridge release {outcome.host}' does it"
                )
    note_once(call, [(outcome.host, outcome.value.problems) for outcome in outcomes if isinstance(outcome, Done)])


def sum_up(hosts: Sequence[Sequence[SessionResult]], became: str, *, dry_run: bool) -> str:
    """How many of the chosen sessions became what they should; hosts are those that had one. Who is kept is apart.

    ``became`` is a sentence about ``{sessions}``, with ``{would_be}`` where the dry run says so.
    """
    chosen = [[one.result for one in results if one.result is not Result.KEPT] for results in hosts]
    results, count = [result for each in chosen for result in each], sum(map(bool, chosen))
    kept = sum(map(len, hosts)) - len(results)
    beside = f", {kept} kept" if kept else ""
    if not results:
        return f"nothing to do on {counted(len(hosts), 'host')}{beside}"
    if dry_run:
        said = became.format(sessions=counted(len(results), "session"), would_be="would be ")
    else:
        well = sum(result in DONE for result in results)
        said = became.format(sessions=f"{well} of {counted(len(results), 'session')}", would_be="")
    return f"{said} on {counted(count, 'host')}{beside}"


def show_waves(call: Call, plan: EndPlan) -> None:
    """In which order the hosts of a plan would begin, how many at a time, and when, as far as that can be said."""
    waves, policy = waves_of(plan, call.clock.now()), plan.operation.policy
    if not waves:
        return
    limit = limits(plan.operation.waves, plan.hosts_in_all, call.clock.now())
    call.terminal.say(
        f"waves: at most {limit.at_once} of {counted(plan.hosts_in_all, 'host')} at a time,"
        f" {limit.available} must serve; the fewest people first"
    )
    for number, wave in enumerate(waves, 1):
        begins = f"after {format_duration(wave.begins_s)}" if wave.begins_s else "immediately"
        call.terminal.say(f"  {number}. {begins}: {listed(wave.hosts, most=20)}")
    end = format_duration(max(wave.ends_s for wave in waves))
    limit_s = format_duration(policy.return_timeout_s)
    beside = f"; restarts are not counted (each at most {limit_s})" if policy.then is Then.RESTART else ""
    call.terminal.say(f"notices and log-offs take until {end} after the start at the latest{beside}")
