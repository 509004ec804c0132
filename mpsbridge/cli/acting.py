"""``message``, ``disconnect``, ``logoff`` and ``reset`` on a terminal: plan, show who is hit, ask, act, say the result.

Rule: nothing with effect ``disrupt`` is sent without a yes.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpsbridge.cli.call import Call
from mpsbridge.cli.conclusion import conclude, finish
from mpsbridge.cli.fleets import only_plans, open_journal, open_workplace
from mpsbridge.cli.leaving import leaving_behind
from mpsbridge.cli.listing import Layout, tell
from mpsbridge.cli.showing import note_once
from mpsbridge.cli.tables import RESULT_COLUMNS, SESSION_COLUMNS, result_row, session_row
from mpsbridge.errors import InputError
from mpsbridge.models.counts import counted, listed
from mpsbridge.models.outcomes import Outcome
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import LogonMode, Logons, Result
from mpsbridge.operations.acts import ActOn, ActPlan, ActValue, Disconnect, LogOff, Message, Reset
from mpsbridge.operations.logons import SetLogons
from mpsbridge.operations.outcomes import judge, sum_up
from mpsbridge.operations.workplace import Workplace
from mpsbridge.planning.options import selector
from mpsbridge.planning.selection import SAY_WHO, Act, Allowed, Selector
from mpsbridge.reports.words import NOT_SHOWN
from mpsbridge.runs.verdict import RunVerdict


def message(call: Call, hosts: Sequence[str], text: str, who: Selector | None) -> int:
    """``message``: a box on the screen of each chosen session."""
    if who is None:
        raise InputError(SAY_WHO)
    return _carry_out(call, hosts, Message(selector=who, text=text), yes=True)


def disconnect(call: Call, hosts: Sequence[str], who: Selector | None, allowed: Allowed, *, yes: bool) -> int:
    """``disconnect``: suspend each chosen session."""
    if who is None:
        raise InputError(SAY_WHO)
    options = allowed.model_dump(include={"include_admins", "include_console"})
    return _carry_out(call, hosts, Disconnect(selector=who, **options), yes=yes)


def logoff(call: Call, hosts: Sequence[str], who: Selector | None, allowed: Allowed, *, yes: bool) -> int:
    """``logoff``: end each chosen session and look until it is gone."""
    if who is None:
        raise InputError(SAY_WHO)
    return _carry_out(call, hosts, LogOff(selector=who, **allowed.model_dump()), yes=yes)


def reset(call: Call, hosts: Sequence[str], ids: Sequence[str], *, yes: bool) -> int:
    """``reset``: end what is left of each orphaned session, by its birth."""
    who = selector(session=ids)
    if who is None:
        raise InputError("name the orphaned session: --session ID")
    return _carry_out(call, hosts, Reset(selector=who), yes=yes)


_QUESTIONS = {
    Act.RESET: "Reset {who} on {where} now? Unsaved data is lost, and a log-off that still goes on is cut off.",
    Act.DISCONNECT: "Disconnect {who} on {where} now, without a warning?",
    Act.LOGOFF: "Log off {who} on {where} now, without a warning? Unsaved work is lost.",
}
_BECAME = {
    Act.MESSAGE: "message {would_be}shown in {sessions}",
    Act.DISCONNECT: "{sessions} {would_be}disconnected",
    Act.LOGOFF: "{sessions} {would_be}logged off",
    Act.RESET: "{sessions} {would_be}reset",
}

_WORDS: dict[Act, dict[Result, str]] = {
    Act.MESSAGE: {Result.WOULD: "would show", **NOT_SHOWN},
    Act.DISCONNECT: {Result.WOULD: "would disconnect"},
    Act.LOGOFF: {Result.WOULD: "would log off"},
    Act.RESET: {Result.WOULD: "would reset"},
}
"""How results of each act are told, where not by their own word."""


def _carry_out(call: Call, words: Sequence[str], operation: ActOn, *, yes: bool) -> int:
    """The procedure that all these commands share."""
    targets = call.targets(words, operation.selector)
    asks = operation.act in _QUESTIONS and not yes
    with open_journal(call) as journal, open_workplace(call, targets, journal, asks=asks) as work:
        plan = work.plan(operation)
        note_once(call, plan.notes)
        if only_plans(call, work):
            planned = judge(plan.outcomes, Effect.READ, interrupted=work.is_interrupted)
            show(call, plan.outcomes, planned, operation.act)
            return planned.exit_code
        if plan.planned and operation.act in _QUESTIONS:
            if asks:
                call.terminal.failures(plan.outcomes, before_question=True)
            _ask(call, plan, yes=yes)
        return carry_out(call, work, plan)


def carry_out(call: Call, work: Workplace, plan: ActPlan) -> int:
    """Act as it was planned, and say what came of it; the exit code."""
    run = plan.run
    tell = [f"run {run}: what was sent may go on; 'mpsbridge history {run}' tells which steps have no answer"]
    with leaving_behind(lambda: [call.terminal.repeated.within(line) for line in tell]):
        result = work.carry_out(plan)
    show(call, result.outcomes, result.verdict, plan.operation.act)
    return conclude(call, work.record, result)


def _ask(call: Call, plan: ActPlan, *, yes: bool) -> None:
    """Show who is hit, and ask unless ``--yes`` was given."""
    rows = [session_row(host, session) for host, session in plan.sessions]
    call.terminal.table(SESSION_COLUMNS, rows, to_stderr=True)
    question = _QUESTIONS[plan.operation.act].format(who=counted(len(rows), "session"), where=listed(plan.hosts))
    call.terminal.confirm(question, yes=yes)


def show(call: Call, outcomes: Sequence[Outcome[ActValue]], verdict: RunVerdict, act: Act) -> None:
    """What became of each session, in the form asked for."""
    dry_run, became = call.settings.dry_run, _BECAME[act]
    layout = Layout[ActValue](
        columns=RESULT_COLUMNS,
        rows=lambda host, value: [result_row(host, result, _WORDS[act]) for result in value.sessions],
        summary=lambda values: sum_up(
            [value.sessions for value in values],
            became,
            dry_run=dry_run,
            not_done=NOT_SHOWN if act is Act.MESSAGE else None,
        ),
        words=_WORDS[act],
    )
    tell(call, outcomes, layout, verdict)


def set_logons(call: Call, hosts: Sequence[str], mode: LogonMode, layout: Layout[Logons], *, yes: bool) -> int:
    """``logons --set``: change the mode; the exit code."""
    with open_journal(call) as journal, open_workplace(call, call.targets(hosts), journal) as work:
        plan = work.plan(SetLogons(mode=mode))
        if call.settings.dry_run and plan.planned:
            call.terminal.note(f"logons would be set to {mode} on {listed(plan.hosts)}")
        if plan.planned and not only_plans(call, work):
            call.terminal.confirm(f"Set logons to {mode} on {listed(plan.hosts)}?", yes=yes)
        return finish(call, work, plan, layout)
