"""Carrying the procedure out on many hosts, in their record: what ``end``, ``maintain`` and ``resume`` have in common.

Rules: the journal is open before anything is sent; nothing is sent without a yes; Ctrl-C lets every host give back what
the run holds there; a host that refuses is skipped, says which option would lift it, and stands in the record too.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from mpsbridge.cli.call import Call
from mpsbridge.cli.fleets import (
    end_record,
    exit_code,
    found_nowhere,
    never_begun,
    new_run,
    open_fleet,
    present,
    record_untouched,
)
from mpsbridge.cli.following import Following, events_to, following
from mpsbridge.cli.tables import SESSION_COLUMNS, counted, listed, result_row, session_row
from mpsbridge.clock import Clock
from mpsbridge.ending.down import WENT_QUIET
from mpsbridge.ending.policy import HostPlan, Policy, Then, plan_host
from mpsbridge.ending.record import logged_off, notices_told
from mpsbridge.ending.run import EndValue, end_sessions
from mpsbridge.ending.scene import Scene
from mpsbridge.errors import InputError, JournalLost, MpsBridgeError, NotBegun, Refused
from mpsbridge.fleet import Fleet
from mpsbridge.host import Host
from mpsbridge.journal import Entry, Journal, owner
from mpsbridge.maintain import Turnstile, WavesTable, limits
from mpsbridge.models.durations import format_duration
from mpsbridge.models.outcomes import Done, Failed, Outcome, Skipped
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import Result, SessionResult
from mpsbridge.models.targets import Target
from mpsbridge.reports.markdown import append_summary, markdown
from mpsbridge.reports.summary import make_report

_FOLLOWS = {
    Then.NOTHING: "",
    Then.RESTART: " and restart",
    Then.SHUTDOWN: " and shut down",
    Then.CONSOLE_MODE: " and switch to console mode",
    Then.STATION_MODE: " and switch to station mode",
}


class Work(NamedTuple):
    """What is to be done on every host of a call; ``template`` is a text of one's own for notices."""

    command: str
    policy: Policy
    template: str | None = None
    waves: WavesTable = WavesTable()


def carry_out(
    call: Call,
    journal: Journal,
    targets: Sequence[Target],
    work: Work,
    *,
    deadline_s: int | None,
    events: Path | None,
    yes: bool,
) -> tuple[int, list[Outcome[EndValue]]]:
    """Plan on every host, ask, and carry out; the exit code, and what became of each host in the order given."""
    policy, run = work.policy, new_run(call.clock.now())
    if deadline_s is not None and deadline_s <= max(policy.warn_s, default=0):
        first = format_duration(max(policy.warn_s))
        raise InputError(
            f"--deadline: all of it may take {format_duration(deadline_s)}, but the first notice is {first}"
            " before the end"
        )
    with open_fleet(call, targets, graceful=True) as fleet, events_to(events) as stream:
        plans = _plan(call, fleet, policy, run)
        ready = _in_order(plans, policy)
        if call.settings.dry_run or (fleet.interrupted and not ready):
            outcomes = [_planned(plan, run, policy, dry_run=call.settings.dry_run) for plan in plans]
            _show(call, outcomes, dry_run=call.settings.dry_run)
            return exit_code(outcomes, Effect.READ, interrupted=fleet.interrupted), outcomes
        if ready:
            call.terminal.failures(plans)
            _ask(call, policy, {targets[place].host: plans[place] for place in ready}, yes=yes)
        kept: dict[str, JsonValue] = {
            "hosts": [target.host for target in targets],
            "policy": policy.model_dump(mode="json"),
            "template": work.template,
            "waves": work.waves.model_dump(mode="json"),
        }
        journal.begin(run, command=work.command, reason=policy.reason, options=kept)
        _record_the_others(journal, run, plans, ready)
        out = sum(isinstance(plan, Failed) for plan in plans)
        order = [targets[place].host for place in ready]
        with following(call, stream, run, order) as follower, _deadline(call, fleet, deadline_s) as late:
            job = _job(call, journal, run, work, fleet, follower, order=order, hosts=len(targets), out=out)
            acted = dict(zip(ready, fleet.run(job, only=ready), strict=True))
        outcomes = [
            _not_begun(acted[place]) if place in acted else _planned(plan, run, policy, dry_run=False)
            for place, plan in enumerate(plans)
        ]
        return _finish(call, journal, run, outcomes, fleet, late=late.is_set()), outcomes


def go_on(
    call: Call,
    journal: Journal,
    run: str,
    targets: Sequence[Target],
    work: Work,
    *,
    hosts: Sequence[str],
    events: Path | None,
) -> tuple[int, list[Outcome[EndValue]]]:
    """Go on with a run that died, on the ``targets`` that it has not finished; ``hosts`` are all of the run's.

    Waves count over those: a host that was finished earlier serves people, unless it was shut down.
    """
    order = [target.host for target in targets]
    out = sum(not _serves(journal.entries(run, host=host)) for host in hosts if host not in order)
    others = [host for host in unfinished(journal, run, hosts) if host not in order]
    with (
        open_fleet(call, targets, graceful=True) as fleet,
        events_to(events) as stream,
        following(call, stream, run, order) as follower,
        _deadline(call, fleet, call.settings.deadline) as late,
    ):
        job = _job(call, journal, run, work, fleet, follower, order=order, hosts=len(hosts), out=out)
        outcomes = [_not_begun(outcome) for outcome in fleet.run(job)]
    return _finish(call, journal, run, outcomes, fleet, late=late.is_set(), others=others), outcomes


def unfinished(journal: Journal, run: str, hosts: Sequence[str]) -> list[str]:
    """The hosts with which a run has not come to an end, those first on which it had begun something."""
    begun: list[str] = []
    untouched: list[str] = []
    for host in hosts:
        entries = journal.entries(run, host=host)
        last = _last_word(entries)
        acted = _acted(entries)
        if last and (last.step == "finished" or (not acted and last.detail.get("error") == Refused.kind)):
            continue
        (begun if acted else untouched).append(host)
    return [*begun, *untouched]


def _serves(entries: Sequence[Entry]) -> bool:
    """Whether a host serves people, as far as its run's record tells."""
    last = _last_word(entries)
    if last is None:
        return not _acted(entries)
    if last.step == "finished":
        return last.detail.get("text") != WENT_QUIET
    return not _acted(entries) and last.detail.get("error") in {Refused.kind, NotBegun.kind}


def _is_held(journal: Journal, run: str, host: str) -> bool:
    """Whether a host on which the run failed still holds something of it, or a step there has no answer."""
    lease = [entry.step for entry in journal.entries(run, host=host) if entry.step in {"leased", "released"}]
    return lease[-1:] == ["leased"] or bool(journal.unanswered(run, host=host))


def _last_word(entries: Sequence[Entry]) -> Entry | None:
    """What became of the host, if the run came so far there."""
    return next((entry for entry in reversed(entries) if entry.step in {"finished", "stopped"}), None)


def _acted(entries: Sequence[Entry]) -> bool:
    return any(entry.kind == "intent" for entry in entries)


def _plan(call: Call, fleet: Fleet, policy: Policy, run: str) -> list[Outcome[HostPlan]]:
    def look(host: Host) -> HostPlan:
        return plan_host(host.target.host, host.observe(programs=policy.keep_running), policy, run=run)

    plans: list[Outcome[HostPlan]] = []
    looks = fleet.run(look)
    missing = [outcome.value.missing for outcome in looks if isinstance(outcome, Done)]
    nowhere = found_nowhere(missing, hosts=len(looks))
    for place, outcome in enumerate(looks):
        target = fleet.targets[place]
        reasons = [nowhere] if nowhere else []
        if isinstance(outcome, Done) and (reasons := [*reasons, *outcome.value.refusals]):
            reason = "refused: " + "; ".join(reasons)
            skipped = Skipped(host=target.host, address=target.address, elapsed_s=outcome.elapsed_s, reason=reason)
            plans.append(skipped)
        else:
            plans.append(outcome if isinstance(outcome, Done) else never_begun(outcome))
    _note(call, [(each.host, each.value.notes) for each in looks if isinstance(each, Done)])
    return plans


def _note(call: Call, notes: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Say what should be known of some hosts; what is the same of many is said once."""
    hosts: dict[str, list[str]] = {}
    for host, texts in notes:
        for text in texts:
            hosts.setdefault(text, []).append(host)
    for text, names in hosts.items():
        call.terminal.note(f"{listed(names)}: {text}")


def _in_order(plans: Sequence[Outcome[HostPlan]], policy: Policy) -> list[int]:
    """The places of the hosts that have work, those with the fewest people first."""
    people = {place: len(plan.value.verdicts) for place, plan in enumerate(plans) if isinstance(plan, Done)}
    ready = [place for place, plan in enumerate(plans) if isinstance(plan, Done) and _has_work(plan.value, policy)]
    return sorted(ready, key=people.__getitem__)


def _record_the_others(journal: Journal, run: str, plans: Sequence[Outcome[HostPlan]], ready: Collection[int]) -> None:
    """A host that refuses, could not be looked at, or has nothing to be done on it, stands in the record as well."""
    for place, plan in enumerate(plans):
        if place in ready:
            continue
        if isinstance(plan, Done):
            journal.note(
                run, plan.host, "finished", text="nothing to do", problems=list(plan.value.notes), phase="plan"
            )
        elif isinstance(plan, Skipped):
            record_untouched(journal, run, plan.host, plan.reason.removeprefix("refused: "), Refused.kind)
        else:
            record_untouched(journal, run, plan.host, plan.failure.message, plan.failure.kind)


def _not_begun(outcome: Outcome[EndValue]) -> Outcome[EndValue]:
    """A host whose turn never came is skipped: that is no failure of the host."""
    if isinstance(outcome, Failed) and outcome.failure.kind == NotBegun.kind:
        reason = outcome.failure.message
        return Skipped(host=outcome.host, address=outcome.address, elapsed_s=outcome.elapsed_s, reason=reason)
    return outcome


def _has_work(plan: HostPlan, policy: Policy) -> bool:
    return bool(plan.acts) or policy.restarts


def _planned(plan: Outcome[HostPlan], run: str, policy: Policy, *, dry_run: bool) -> Outcome[EndValue]:
    """A plan that was not carried out, as an outcome: who would be ended, who is kept."""
    if not isinstance(plan, Done):
        return plan
    results = tuple(
        SessionResult(
            session=verdict.session,
            result=Result.WOULD if verdict.decision == "act" else Result.KEPT,
            text=verdict.reason,
        )
        for verdict in plan.value.verdicts
    )
    outcome = "planned" if _has_work(plan.value, policy) else "nothing to do"
    value = EndValue(
        run=run, dry_run=dry_run, sessions=results, then=policy.then, outcome=outcome, problems=plan.value.notes
    )
    return Done[EndValue](host=plan.host, address=plan.address, elapsed_s=plan.elapsed_s, value=value)


def _ask(call: Call, policy: Policy, plans: Mapping[str, Outcome[HostPlan]], *, yes: bool) -> None:
    hit = [(host, session) for host, plan in plans.items() if isinstance(plan, Done) for session in plan.value.acts]
    call.terminal.table(SESSION_COLUMNS, [session_row(host, session) for host, session in hit], to_stderr=True)
    when = f"in {format_duration(max(policy.warn_s))}" if policy.warn_s else "now, WITHOUT a warning"
    question = f"End {counted(len(hit), 'session')} on {listed(list(plans))} {when}{_FOLLOWS[policy.then]}?"
    call.terminal.confirm(question, yes=yes)


def _job(
    call: Call,
    journal: Journal,
    run: str,
    work: Work,
    fleet: Fleet,
    follower: Following,
    *,
    order: Sequence[str],
    hosts: int,
    out: int,
) -> Callable[[Host], EndValue]:
    """What is done on one host, in its turn where there are waves: ``hosts`` in all, ``out`` of them not serving."""
    procedure = _procedure(call.clock, journal, run, work.policy, work.template, fleet, follower)
    if not work.waves.limits:
        return procedure
    limit = limits(work.waves, hosts, call.clock.now())
    turnstile = Turnstile(limit, order, hosts=hosts, out=out, clock=call.clock, stop=fleet.stop)

    def in_turn(host: Host) -> EndValue:
        try:
            turnstile.enter(host.name)
        except MpsBridgeError as error:
            record_untouched(journal, run, host.name, error.message, error.kind)
            raise
        serves = well = False
        try:
            value = procedure(host)
            serves, well = value.outcome != WENT_QUIET, all(one.result.went_well for one in value.sessions)
            return value
        finally:
            turnstile.leave(serves=serves, failed=not well)

    return in_turn


def _procedure(
    clock: Clock,
    journal: Journal,
    run: str,
    policy: Policy,
    template: str | None,
    fleet: Fleet,
    follower: Following,
) -> Callable[[Host], EndValue]:
    def job(host: Host) -> EndValue:
        before = journal.entries(run, host=host.name)
        scene = Scene(
            host,
            run=run,
            policy=policy,
            owner=owner(),
            journal=journal,
            clock=clock,
            stop=fleet.stop,
            on_event=follower.event,
            on_progress=follower.progress,
            told=notices_told(before),
            logged_off=logged_off(before),
        )
        _wait_out(journal.unanswered(run, host=host.name), clock, fleet.stop, host.timeout_s)
        return end_sessions(scene, template=template, ordered_at=_boot_of_the_order(before))

    return job


def _wait_out(unknown: Sequence[Entry], clock: Clock, stop: threading.Event, timeout_s: float) -> None:
    """Wait until no step of unknown fate can begin any more: each carried its own time limit (W4)."""
    if unknown:
        last = max(entry.at for entry in unknown) + timedelta(seconds=2 * timeout_s)
        clock.wait(max(0.0, (last - clock.now()).total_seconds()), stop)


def _boot_of_the_order(entries: Sequence[Entry]) -> datetime | None:
    """The boot identity that the host had when this run told it to go down, if it did."""
    boot: JsonValue = None
    for entry in entries:
        if entry.step == "look" and entry.detail.get("boot"):
            boot = entry.detail["boot"]
        if entry.kind == "intent" and entry.step in {"power", "mode"}:
            return datetime.fromisoformat(str(boot)) if boot else None
    return None


@contextmanager
def _deadline(call: Call, fleet: Fleet, seconds: int | None) -> Iterator[threading.Event]:
    """Stop the whole run when its time is over, and say so by the event; the hosts give back what it holds."""
    late, over = threading.Event(), threading.Event()

    def watch(limit_s: int) -> None:
        if not call.clock.wait(limit_s, over):
            late.set()
            fleet.stop.set()
            call.terminal.note("the time for the whole run is up: nothing new begins, all that is held is given back")

    if seconds:
        threading.Thread(target=watch, args=(seconds,), name="mpsbridge-deadline", daemon=True).start()
    try:
        yield late
    finally:
        over.set()


def _finish(
    call: Call,
    journal: Journal,
    run: str,
    outcomes: Sequence[Outcome[EndValue]],
    fleet: Fleet,
    *,
    late: bool,
    others: Sequence[str] = (),
) -> int:
    """Show it all, and end the run if nothing of it is open; ``others`` are hosts that this call left out."""
    code = exit_code(outcomes, Effect.DISRUPT, interrupted=fleet.interrupted and not late)
    unknown = any(isinstance(outcome, Failed) and outcome.failure.may_have_run for outcome in outcomes)
    held = any(_is_held(journal, run, outcome.host) for outcome in outcomes if isinstance(outcome, Failed))
    unsettled = fleet.interrupted or unknown or held or bool(others)
    if not unsettled:
        unsettled = not end_record(call, journal, run, "done" if code == 0 else f"exit code {code}")
    _show(call, outcomes, dry_run=False)
    _summarise(call, journal, run)
    if unsettled:
        call.terminal.note(f"run {run} is open; 'mpsbridge resume {run}' goes on with it")
    return code


def _summarise(call: Call, journal: Journal, run: str) -> None:
    """Add the run to the summary of a CI job that has one (GitHub names its file)."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            append_summary(Path(path), markdown(make_report(journal.find(run), journal.entries(run))))
        except (InputError, JournalLost) as error:
            call.terminal.warn(str(error))


def _show(call: Call, outcomes: Sequence[Outcome[EndValue]], *, dry_run: bool) -> None:
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
        columns=("HOST", "ID", "USER", "RESULT", ""),
        rows=lambda host, value: [result_row(host, result) for result in value.sessions],
        records=lambda value: [
            {**result.session.model_dump(mode="json"), "result": result.result, "text": result.text, "run": value.run}
            for result in value.sessions
        ],
        summary=summary,
    )
    for outcome in outcomes:
        if isinstance(outcome, Done):
            call.terminal.say(f"{outcome.host}: {outcome.value.outcome}")
    _note(call, [(outcome.host, outcome.value.problems) for outcome in outcomes if isinstance(outcome, Done)])
