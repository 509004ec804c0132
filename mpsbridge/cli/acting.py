"""Commands that act: look everywhere, plan, show who is hit, ask, act, and say what became of each session.

Rules: what is named and found nowhere refuses the whole call; a refusal on a host means that nothing is sent to it;
nothing with effect ``disrupt`` is sent without a yes; who was chosen for being idle or disconnected is looked at again
right before the act, because a person may take minutes to say yes (W42).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from pydantic import JsonValue, TypeAdapter, ValidationError

from mpsbridge.cli.call import Call
from mpsbridge.cli.fleets import (
    ActValue,
    end_record,
    found_nowhere,
    judge,
    never_begun,
    new_run,
    nothing_is_sent,
    open_fleet,
    open_journal,
    present,
    record_not_sent,
    refused_is_skipped,
)
from mpsbridge.cli.leaving import leaving_behind
from mpsbridge.cli.tables import (
    RESULT_COLUMNS,
    SESSION_COLUMNS,
    counted,
    listed,
    result_record,
    result_row,
    session_row,
)
from mpsbridge.ending.lease import holder, is_disbelieved, keeps_out
from mpsbridge.ending.plan import SAY_WHO, Act, Plan, Selector, ask_again, make_plan
from mpsbridge.errors import InputError, JournalLost, MpsBridgeError, Refused
from mpsbridge.fleet import Fleet
from mpsbridge.host import Host
from mpsbridge.models.outcomes import Done, Outcome, Skipped
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import LogonMode, Logons, Observation, Result, Session, SessionResult
from mpsbridge.runs.events import Finished, HostStopped, Phase, Step, StepSent
from mpsbridge.runs.journal import Journal
from mpsbridge.runs.recording import recorded
from mpsbridge.snippets.parameters import MessageText

Doing = Callable[[Host, Sequence[Session], str], tuple[SessionResult, ...]]
MESSAGE_SHOWN_S = 600
"""How long a message stays on the screen unless it is closed (W32)."""


def message(call: Call, hosts: Sequence[str], text: str, who: Selector | None) -> int:
    """``message``: a box on the screen of each chosen session."""
    try:
        checked = TypeAdapter(MessageText).validate_python(text)
    except ValidationError as error:
        raise InputError(f"--text: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error

    def show(host: Host, sessions: Sequence[Session], run: str) -> tuple[SessionResult, ...]:
        return host.message(sessions, checked, display_s=MESSAGE_SHOWN_S, run=run)

    return _carry_out(call, hosts, Act.MESSAGE, who, show, yes=True)


def disconnect(call: Call, hosts: Sequence[str], who: Selector | None, *, yes: bool) -> int:
    """``disconnect``: suspend each chosen session."""
    return _carry_out(call, hosts, Act.DISCONNECT, who, lambda host, ones, run: host.disconnect(ones, run=run), yes=yes)


def logoff(call: Call, hosts: Sequence[str], who: Selector | None, *, disconnected_ok: bool, yes: bool) -> int:
    """``logoff``: end each chosen session and look until it is gone."""
    return _carry_out(
        call,
        hosts,
        Act.LOGOFF,
        who,
        lambda host, ones, run: host.end(ones, run=run),
        yes=yes,
        disconnected_ok=disconnected_ok,
    )


_QUESTIONS = {
    Act.DISCONNECT: "Disconnect {who} on {where} now, without a warning?",
    Act.LOGOFF: "Log off {who} on {where} now, without a warning? Unsaved work is lost.",
}
_STEPS = {Act.MESSAGE: Step.MESSAGE, Act.DISCONNECT: Step.DISCONNECT, Act.LOGOFF: Step.LOGOFF}
_EFFECTS = {Act.MESSAGE: Effect.NOTIFY, Act.DISCONNECT: Effect.DISRUPT, Act.LOGOFF: Effect.DISRUPT}


def _carry_out(
    call: Call,
    words: Sequence[str],
    act: Act,
    who: Selector | None,
    do: Doing,
    *,
    yes: bool,
    disconnected_ok: bool = False,
) -> int:
    """The procedure that all three commands share."""
    if who is None:
        raise InputError(SAY_WHO)
    targets = call.targets(words, who)
    run = new_run(call.clock.now())
    with open_journal(call) as journal, open_fleet(call, targets) as fleet:
        looks = fleet.run(Host.observe)
        plans = {
            place: make_plan(look.value, who, act, disconnected_ok=disconnected_ok)
            for place, look in enumerate(looks)
            if isinstance(look, Done)
        }
        nowhere = found_nowhere([plan.missing for plan in plans.values()], hosts=len(looks))
        outcomes = [_before(call, run, act, look, plans.get(place), nowhere) for place, look in enumerate(looks)]
        places = [
            place
            for place, plan in plans.items()
            if plan.acts and not isinstance(outcomes[place], Skipped) and not fleet.interrupted
        ]
        begins = not call.settings.dry_run and not fleet.interrupted
        if begins:
            chosen = {targets[place].host: plans[place] for place in places}
            if chosen and act in _QUESTIONS:
                _ask(call, act, chosen, yes=yes)
            record = _Record(journal, run, act)
            _begin(record, outcomes, chosen)
            tell = [f"run {run}: what was sent may go on; 'mpsbridge history {run}' tells which steps have no answer"]
            with leaving_behind(lambda: tell):
                for place, outcome in _act(fleet, plans, places, who, do, record):
                    outcomes[place] = outcome
        _show(call, outcomes, act)
        verdict = judge(outcomes, _EFFECTS[act], interrupted=fleet.interrupted)
        answered = call.terminal.code(verdict.exit_code)
        if begins:
            end_record(call, journal, run, verdict)
        return answered


def _held(seen: Observation) -> str:
    """Why no script would act on the host: a run is at work there, or a person holds it; empty where nothing does."""
    lease = keeps_out(seen.lease, seen.observed)
    if lease is None:
        return ""
    help_there = "says what to do there" if is_disbelieved(seen.lease, seen.problems) else "gives it back"
    return f"the host is held by {holder(lease, seen.problems)}; 'mpsbridge release' {help_there}"


def _before(
    call: Call, run: str, act: Act, look: Outcome[Observation], plan: Plan | None, nowhere: str
) -> Outcome[ActValue]:
    """The outcome of a host before anything is sent: failed, refused, or what would be done and is kept."""
    if not isinstance(look, Done) or plan is None:
        assert not isinstance(look, Done)  # noqa: S101 - every look that is done has a plan
        return never_begun(look)
    reasons = [nowhere] if nowhere else []
    if act is not Act.MESSAGE and plan.acts and (held := _held(look.value)):
        reasons.append(held)
    for verdict in plan.refusals:
        lifted = f" ({verdict.lifted_by} allows it)" if verdict.lifted_by else ""
        reasons.append(f"session {verdict.session.id}, {verdict.session.user}: {verdict.reason}{lifted}")
    if reasons:
        return Skipped.instead_of(look, "refused: " + "; ".join(reasons))
    results = tuple(verdict.as_planned for verdict in plan.verdicts)
    value = ActValue(run=run, dry_run=call.settings.dry_run, sessions=results)
    return Done[ActValue](host=look.host, address=look.address, elapsed_s=look.elapsed_s, value=value)


def _ask(call: Call, act: Act, plans: dict[str, Plan], *, yes: bool) -> None:
    """Show who is hit, and ask unless ``--yes`` was given."""
    hit = [(host, session) for host, plan in plans.items() for session in plan.acts]
    call.terminal.table(SESSION_COLUMNS, [session_row(host, session) for host, session in hit], to_stderr=True)
    question = _QUESTIONS[act].format(who=counted(len(hit), "session"), where=listed(list(plans)))
    call.terminal.confirm(question, yes=yes)


class _Record(NamedTuple):
    """Where an act is recorded."""

    journal: Journal
    run: str
    act: Act


def _begin(record: _Record, outcomes: Sequence[Outcome[ActValue]], chosen: Mapping[str, Plan]) -> None:
    """Record who is to be hit, and each host that refuses or could not be looked at."""
    journal, run = record.journal, record.run
    options: dict[str, JsonValue] = {
        "hosts": [outcome.host for outcome in outcomes],
        "sessions": [f"{host}:{one.id}" for host, plan in chosen.items() for one in plan.acts],
    }
    journal.begin(run, command=record.act.value, reason="", options=options)
    with nothing_is_sent():
        for outcome in outcomes:
            if not isinstance(outcome, Done):
                record_not_sent(journal, run, outcome)
            elif outcome.host not in chosen:
                journal.record(run, outcome.host, Finished(outcome="nothing to do", phase=Phase.PLAN))


def _act(
    fleet: Fleet, plans: dict[int, Plan], places: Sequence[int], who: Selector, do: Doing, record: _Record
) -> list[tuple[int, Outcome[ActValue]]]:
    by_host = {fleet.targets[place].host: plans[place] for place in places}

    def job(host: Host) -> ActValue:
        plan = by_host[host.target.host]
        if who.goes_by_use and record.act in _QUESTIONS:
            plan = ask_again(plan, _last_look(host, record), who)
        results: tuple[SessionResult, ...] = ()
        if plan.acts:
            results = _send(host, plan, do, record)
        outcome = "done" if plan.acts else "nothing to do: in use again"
        record.journal.record(record.run, host.name, Finished(outcome=outcome, phase=Phase.ACT))
        acted = {result.session.id: result for result in results}
        told = [
            acted.get(verdict.session.id)
            or SessionResult(session=verdict.session, result=Result.KEPT, text=verdict.reason)
            for verdict in plan.verdicts
        ]
        return ActValue(run=record.run, dry_run=False, sessions=tuple(told))

    return list(zip(places, fleet.run(job, only=places), strict=True))


def _last_look(host: Host, record: _Record) -> Observation:
    try:
        return host.observe()
    except MpsBridgeError as error:
        error.may_have_run = False  # the look may have run; the act that was to follow has not
        _stopped(host, record, error)
        raise


def _send(host: Host, plan: Plan, do: Doing, record: _Record) -> tuple[SessionResult, ...]:
    sent = StepSent(step=_STEPS[record.act], sessions=tuple(session.id for session in plan.acts), phase=Phase.ACT)
    try:
        return recorded(record.journal, record.run, host.name, sent, lambda: do(host, plan.acts, record.run))
    except MpsBridgeError as error:
        _stopped(host, record, error)
        raise


def _stopped(host: Host, record: _Record, error: MpsBridgeError) -> None:
    """Record that the act on a host has broken off, as far as that can be recorded: what was raised counts more."""
    what = HostStopped(why=error.message, error=error.kind, may_have_run=error.may_have_run, phase=Phase.ACT)
    with suppress(JournalLost):
        record.journal.record(record.run, host.name, what)


def _show(call: Call, outcomes: Sequence[Outcome[ActValue]], act: Act) -> None:
    for outcome in outcomes:
        call.terminal.stream(outcome)
    verb = {Act.MESSAGE: "shown", Act.DISCONNECT: "disconnected", Act.LOGOFF: "logged off"}[act]
    good = {Result.SHOWN, Result.DISCONNECTED, Result.ENDED, Result.GONE}

    def summary(values: Sequence[ActValue]) -> str:
        results = [result.result for value in values for result in value.sessions]
        if call.settings.dry_run:
            return f"{counted(results.count(Result.WOULD), 'session')} would be {verb}"
        if not results:
            return "nothing to do"
        return f"{sum(result in good for result in results)} of {counted(len(results), 'session')} {verb}"

    present(
        call,
        outcomes,
        columns=RESULT_COLUMNS,
        rows=lambda host, value: [result_row(host, result) for result in value.sessions],
        records=lambda value: [result_record(value.run, result) for result in value.sessions],
        summary=summary,
    )


def set_logons(call: Call, fleet: Fleet, mode: LogonMode, *, yes: bool) -> list[Outcome[Logons]]:
    """Set the logon mode where it differs, comparing with what was read just before (W17)."""
    run = new_run(call.clock.now())
    found = [refused_is_skipped(outcome) for outcome in fleet.run(_logons_unless_held)]
    places = [
        place
        for place, outcome in enumerate(found)
        if isinstance(outcome, Done) and outcome.value.mode is not mode and not fleet.interrupted
    ]
    if call.settings.dry_run and places:
        names = [fleet.targets[place].host for place in places]
        call.terminal.note(f"logons would be set to {mode} on {listed(names)}")
    if call.settings.dry_run or not places:
        return [_as_change(outcome) for outcome in found]
    names = [fleet.targets[place].host for place in places]
    call.terminal.confirm(f"Set logons to {mode} on {listed(names)}?", yes=yes)
    modes = {fleet.targets[place].host: _mode(found[place]) for place in places}

    def job(host: Host) -> Logons:
        return host.set_logons(mode, expected=modes[host.target.host], run=run)

    changed = dict(zip(places, fleet.run(job, only=places), strict=True))
    outcomes = [changed.get(place, _as_change(outcome)) for place, outcome in enumerate(found)]
    for outcome in outcomes:
        call.terminal.stream(outcome)
    return outcomes


def _logons_unless_held(host: Host) -> Logons:
    """The mode as it is. Raises ``Refused`` where no script would change it."""
    seen = host.look()
    if held := _held(seen):
        raise Refused(held)
    return Logons(mode=seen.logon_mode, was=None)


def _mode(outcome: Outcome[Logons]) -> LogonMode | None:
    return outcome.value.mode if isinstance(outcome, Done) else None


def _as_change(outcome: Outcome[Logons]) -> Outcome[Logons]:
    """An outcome that was only read, told as a change that changed nothing."""
    if isinstance(outcome, Done):
        value = outcome.value.model_copy(update={"was": outcome.value.mode})
        return outcome.model_copy(update={"value": value})
    return never_begun(outcome)
