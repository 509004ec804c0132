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
from mpsbridge.models.sessions import Result
from mpsbridge.models.then import Then
from mpsbridge.operations.ending import EndPlan
from mpsbridge.operations.outcomes import ends_in_words, sum_up_end
from mpsbridge.planning.policy import NOT_CHOSEN, Policy
from mpsbridge.reports.report import HostReport
from mpsbridge.runs.ended import EndValue
from mpsbridge.runs.verdict import RunVerdict

_FOLLOWS = {
    Then.RESTART: "restart",
    Then.SHUTDOWN: "shut down",
    Then.CONSOLE_MODE: "switch to console mode",
    Then.STATION_MODE: "switch to station mode",
}


def ask(call: Call, policy: Policy, plan: EndPlan, *, yes: bool) -> None:
    """Show who is hit, and ask unless ``yes`` was said. Raises :class:`~mpsbridge.errors.Refused` on a no."""
    rows = [session_row(host, session) for host, session in plan.sessions]
    if rows:
        call.terminal.table(SESSION_COLUMNS, rows, to_stderr=True)
    used = list(dict.fromkeys(host for host, _ in plan.sessions))
    empty = [host for host in (plan.plans[place].host for place in sorted(plan.ready)) if host not in used]
    when = f"in {format_duration(max(policy.warn_s))}" if policy.warn_s else "now, WITHOUT a warning"
    follows = f" and {_FOLLOWS[policy.then]}" if policy.then in _FOLLOWS else ""
    asked = [f"end {counted(len(rows), 'session')} on {listed(used)} {when}{follows}"] if rows else []
    if empty:
        act, _, more = _FOLLOWS[policy.then].partition(" ")
        asked.append(" ".join(filter(None, (act, listed(empty), more, "(nobody is on)"))))
    if plan.taken_over:
        asked.append("take over " + listed([f"{host} from {holder.name}" for host, holder in plan.taken_over]))
    question = ", and ".join(asked)
    call.terminal.confirm(f"{question[0].upper()}{question[1:]}?", yes=yes)


def left_to_do(hosts: Sequence[HostReport], then: Then) -> str:
    """What going on with a run would do on these hosts, as far as its record tells: ``end 3 sessions and restart``."""
    people = [one for host in hosts for one in host.people if one.decision == "act"]
    left = sum(one.result in {None, Result.UNKNOWN} for one in people)
    if not all(host.people or host.seen for host in hosts):  # the run has not come to all of them
        acts = ["end sessions"]
    else:
        acts = [f"end {counted(left, 'session')}"] if left else []
    acts += [_FOLLOWS[then]] if then in _FOLLOWS else []
    return " and ".join(acts) or "give back what it holds"


def note_once(call: Call, notes: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Say what should be known of some hosts; what is the same of many is said once, and of a host never again."""
    hosts: dict[str, list[str]] = {}
    for host, texts in notes:
        for text in filter(lambda text: call.terminal.is_news(host, text), texts):
            hosts.setdefault(text, []).append(host)
    for text, names in hosts.items():
        call.terminal.note(f"{listed(names)}: {text}")


def show(
    call: Call,
    outcomes: Sequence[Outcome[EndValue]],
    verdict: RunVerdict,
    *,
    dry_run: bool,
    plan: Sequence[str] = (),
) -> None:
    """Results in the form asked for, and what should be known of them; of a dry run also the ``plan`` in words."""
    layout = Layout[EndValue](
        columns=RESULT_COLUMNS,
        rows=lambda host, value: [
            result_row(host, one) for one in value.sessions if call.settings.verbose or one.text != NOT_CHOSEN
        ],
        summary=lambda values: sum_up_end(values, dry_run=dry_run),
        below=lambda outcomes: [*ends_in_words(outcomes), *plan],
    )
    tell(call, outcomes, layout, verdict)
    for outcome in outcomes:
        if isinstance(outcome, Done) and not outcome.value.given_back:
            call.terminal.warn(f"{outcome.host}: not all was given back; 'mpsbridge release {outcome.host}' does it")
    note_once(call, [(outcome.host, outcome.value.problems) for outcome in outcomes if isinstance(outcome, Done)])
