"""Carrying the procedure out on many hosts, in their record: what ``end``, ``maintain`` and ``resume`` have in common.

Rules: the journal is open before anything is sent; nothing is sent without a yes; Ctrl-C lets every host give back what
the run holds there; a host that refuses is skipped, says which option would lift it, and stands in the record too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from pydantic import JsonValue

from mpsbridge.cli.call import Call
from mpsbridge.cli.fleets import (
    end_record,
    found_nowhere,
    judge,
    never_begun,
    new_run,
    open_fleet,
    record_not_sent,
)
from mpsbridge.cli.following import Follower, Following, events_to, following
from mpsbridge.cli.showing import ask, has_work, not_begun_is_skipped, note_once, planned, show, summarise
from mpsbridge.cli.spared import check_spared
from mpsbridge.clock import Clock
from mpsbridge.ending.history import is_held, serves, unfinished
from mpsbridge.ending.past import Past, left_by, past_of
from mpsbridge.ending.policy import HostPlan, Policy, plan_host
from mpsbridge.ending.run import EndValue, end_sessions
from mpsbridge.ending.scene import Scene
from mpsbridge.errors import HostReleased, InputError, JournalError, JournalLost, MpsBridgeError, NotBegun
from mpsbridge.fleet import LOOK_S, Fleet
from mpsbridge.host import Host
from mpsbridge.maintain import Turnstile, WavesTable, limits, without_a_turn
from mpsbridge.models.durations import format_duration
from mpsbridge.models.outcomes import Done, Failed, Outcome, Skipped
from mpsbridge.models.scripts import Effect
from mpsbridge.models.targets import Target
from mpsbridge.models.then import Then
from mpsbridge.reports.summary import judge as judge_record
from mpsbridge.reports.summary import make_report
from mpsbridge.runs.events import WENT_QUIET, Finished, HostStopped, Phase
from mpsbridge.runs.journal import Entry, Journal, owner


class Work(NamedTuple):
    """What is to be done on every host of a call; ``template`` is a text of one's own for notices."""

    command: str
    policy: Policy
    template: str | None = None
    waves: WavesTable = WavesTable()
    known: tuple[str, ...] = ()
    """Hosts that the person may have in mind beside those of the call."""


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
        call.look_at_output("--events", events)
        plans = _plan(call, fleet, work, run)
        ready = _in_order(plans, policy)
        out = sum(isinstance(plan, Failed) for plan in plans)
        if call.settings.dry_run or (fleet.interrupted and not ready):
            return _only_planned(call, fleet, run, plans, work, ready, hosts=len(targets), out=out)
        if ready:
            call.terminal.failures(plans)
            ask(call, policy, {targets[place].host: plans[place] for place in ready}, yes=yes)
        kept: dict[str, JsonValue] = {
            "hosts": [target.host for target in targets],
            "policy": policy.model_dump(mode="json"),
            "template": work.template,
            "waves": work.waves.model_dump(mode="json"),
        }
        journal.begin(run, command=work.command, reason=policy.reason, options=kept)
        _record_the_others(journal, run, plans, ready)
        order = [targets[place].host for place in ready]
        with following(call, stream, run, order) as follower, _deadline(call, fleet, deadline_s) as late:
            job = _job(call, journal, run, work, fleet, follower, order=order, hosts=len(targets), out=out)
            acted = dict(zip(ready, fleet.run(job, only=ready), strict=True))
        outcomes = [
            _with_notes(not_begun_is_skipped(acted[place]), plan)
            if place in acted
            else planned(plan, run, policy, dry_run=False)
            for place, plan in enumerate(plans)
        ]
        return _finish(call, journal, run, outcomes, fleet, follower, late=late.is_set()), outcomes


def rehearse(
    call: Call, journal: Journal, run: str, targets: Sequence[Target], work: Work, *, hosts: Sequence[str]
) -> int:
    """What going on with a run would do, without doing it; the exit code."""
    order = [target.host for target in targets]
    out = _not_serving(journal, run, hosts, order)
    pasts = {host: past_of(journal.entries(run, host=host)) for host in order}
    with open_fleet(call, targets, graceful=True) as fleet:
        plans = _plan(call, fleet, work, run, pasts)
        code, _ = _only_planned(call, fleet, run, plans, work, range(len(order)), hosts=len(hosts), out=out)
    return 1 if code == 3 else code  # what refuses a run that has begun is a failure of that host


def _only_planned(
    call: Call,
    fleet: Fleet,
    run: str,
    plans: Sequence[Outcome[HostPlan]],
    work: Work,
    ready: Sequence[int],
    *,
    hosts: int,
    out: int,
) -> tuple[int, list[Outcome[EndValue]]]:
    """Show the plans, and which hosts would never have their turn; they begin in the order of ``ready``."""
    outcomes = [planned(plan, run, work.policy, dry_run=call.settings.dry_run) for plan in plans]
    if work.waves.limited:
        now, serve_again = call.clock.now(), work.policy.then is not Then.SHUTDOWN
        order = [outcomes[place].host for place in ready if isinstance(outcomes[place], Done)]
        limit = limits(work.waves, hosts, now)
        never = without_a_turn(limit, order, hosts=hosts, out=out, now=now, serve_again=serve_again)
        outcomes = [
            Skipped.instead_of(one, never[one.host], kind=NotBegun.kind) if one.host in never else one
            for one in outcomes
        ]
    show(call, outcomes, dry_run=call.settings.dry_run)
    return judge(outcomes, Effect.READ, interrupted=fleet.interrupted).exit_code, outcomes


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
    out = _not_serving(journal, run, hosts, order)
    others = [host for host in unfinished(journal, run, hosts) if host not in order]
    with (
        open_fleet(call, targets, graceful=True) as fleet,
        events_to(events) as stream,
        following(call, stream, run, order) as follower,
        _deadline(call, fleet, call.settings.deadline) as late,
    ):
        call.look_at_output("--events", events)
        job = _job(call, journal, run, work, fleet, follower, order=order, hosts=len(hosts), out=out)
        outcomes = [not_begun_is_skipped(outcome) for outcome in fleet.run(job)]
    return _finish(
        call, journal, run, outcomes, fleet, follower, late=late.is_set(), resumed=True, others=others
    ), outcomes


def _not_serving(journal: Journal, run: str, hosts: Sequence[str], order: Sequence[str]) -> int:
    """How many of the run's hosts that it does not go on with do not serve people."""
    return sum(not serves(journal, run, host) for host in hosts if host not in order)


def _plan(
    call: Call, fleet: Fleet, work: Work, run: str, pasts: Mapping[str, Past] = MappingProxyType({})
) -> list[Outcome[HostPlan]]:
    policy = work.policy

    def look(host: Host) -> HostPlan:
        seen = host.observe(programs=policy.keep_running)
        if host.name in pasts and (why := left_by(pasts[host.name], seen, run, seen.observed)):
            raise HostReleased(why)
        return plan_host(host.name, seen, policy, run=run)

    plans: list[Outcome[HostPlan]] = []
    looks = fleet.run(look)
    missing = [outcome.value.missing for outcome in looks if isinstance(outcome, Done)]
    nowhere = found_nowhere(missing, hosts=len(looks))
    looks, slips = check_spared(call, policy, looks, known=[*(target.host for target in fleet.targets), *work.known])
    everywhere = [*([nowhere] if nowhere else []), *slips]
    for outcome in looks:
        reasons = everywhere
        if isinstance(outcome, Done) and (reasons := [*reasons, *outcome.value.refusals]):
            reason = "refused: " + "; ".join(reasons)
            plans.append(Skipped.instead_of(outcome, reason))
        else:
            plans.append(outcome if isinstance(outcome, Done) else never_begun(outcome))
    note_once(call, [(each.host, each.value.notes) for each in looks if isinstance(each, Done)])
    return plans


def _with_notes(outcome: Outcome[EndValue], plan: Outcome[HostPlan]) -> Outcome[EndValue]:
    """What became of a host, with all that was noted while planning."""
    if not (isinstance(outcome, Done) and isinstance(plan, Done)):
        return outcome
    problems = outcome.value.problems
    problems = (*(note for note in plan.value.notes if note not in problems), *problems)
    return outcome.model_copy(update={"value": outcome.value.model_copy(update={"problems": problems})})


def _in_order(plans: Sequence[Outcome[HostPlan]], policy: Policy) -> list[int]:
    """The places of the hosts that have work, those with the fewest people first."""
    people = {place: len(plan.value.verdicts) for place, plan in enumerate(plans) if isinstance(plan, Done)}
    ready = [place for place, plan in enumerate(plans) if isinstance(plan, Done) and has_work(plan.value, policy)]
    return sorted(ready, key=people.__getitem__)


def _record_the_others(journal: Journal, run: str, plans: Sequence[Outcome[HostPlan]], ready: Collection[int]) -> None:
    """A host that refuses, could not be looked at, or has nothing to be done on it, stands in the record as well."""
    for place, plan in enumerate(plans):
        if place in ready:
            continue
        if isinstance(plan, Done):
            what = Finished(outcome="nothing to do", problems=tuple(plan.value.notes), phase=Phase.PLAN)
            journal.record(run, plan.host, what)
        else:
            record_not_sent(journal, run, plan)


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
    procedure = _procedure(
        call.clock, journal, run, work.policy, work.template, fleet, follower, note=call.terminal.note
    )
    if not work.waves.limited:
        return procedure
    limit = limits(work.waves, hosts, call.clock.now())
    turnstile = Turnstile(limit, order, hosts=hosts, out=out, clock=call.clock, stop=fleet.stop)

    def in_turn(host: Host) -> EndValue:
        try:
            turnstile.enter(host.name)
        except MpsBridgeError as error:
            journal.record(run, host.name, HostStopped(why=error.message, error=error.kind, phase=Phase.PLAN))
            raise
        back = well = False
        try:
            value = procedure(host)
        except HostReleased:
            back = well = True  # it serves, and is no longer this run's
            raise
        else:
            back = value.outcome != WENT_QUIET and value.given_back
            well = all(one.result.went_well for one in value.sessions)
            return value
        finally:
            turnstile.leave(serves=back, failed=not well)

    return in_turn


def _procedure(
    clock: Clock,
    journal: Journal,
    run: str,
    policy: Policy,
    template: str | None,
    fleet: Fleet,
    follower: Following,
    *,
    note: Callable[[str], None],
) -> Callable[[Host], EndValue]:
    def job(host: Host) -> EndValue:
        wait_s = _may_begin_for_s(journal.unanswered(run, host=host.name), clock.now(), host.timeout_s)
        if wait_s:
            left = format_duration(wait_s + 1)
            note(f"{host.name}: a step that was sent before may still begin; waiting {left} to be sure")
            clock.wait(wait_s, fleet.stop)
        past = past_of(journal.entries(run, host=host.name))
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
            past=past,
        )
        return end_sessions(scene, template=template, ordered_at=past.boot_of_the_order)

    return job


def _may_begin_for_s(unknown: Sequence[Entry], now: datetime, timeout_s: float) -> float:
    """Seconds until no step of unknown fate can begin any more: each carried its own time limit (W4).

    They were sent before now, whatever another machine's clock has put into the record.
    """
    ages_s = [(now - entry.at).total_seconds() for entry in unknown]
    return max(0.0, 2 * timeout_s - max(0.0, min(ages_s))) if ages_s else 0.0


@contextmanager
def _deadline(call: Call, fleet: Fleet, seconds: int | None) -> Iterator[threading.Event]:
    """Stop the whole run when its time is over, and say so by the event; the hosts give back what it holds."""
    late, over = threading.Event(), threading.Event()

    def watch(until: float) -> None:
        # Looked at, not waited for: a rehearsal's clock hurries where somebody waits.
        while call.clock.monotonic() < until:
            if over.wait(LOOK_S):
                return
        late.set()
        fleet.stop.set()
        call.terminal.note("the time for the whole run is up: nothing new begins, all that is held is given back")

    if seconds:
        threading.Thread(
            target=watch, args=(call.clock.monotonic() + seconds,), name="mpsbridge-deadline", daemon=True
        ).start()
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
    follower: Follower,
    *,
    late: bool,
    resumed: bool = False,
    others: Sequence[str] = (),
) -> int:
    """Show it all, and end the run if nothing of it is open; ``others`` are hosts that this call left out.

    The answer comes first: nothing about the record can keep it back. ``follower`` knows whether all events were told.
    """
    show(call, outcomes, dry_run=False)
    verdict = judge(outcomes, Effect.DISRUPT, interrupted=fleet.interrupted and not late)
    code = call.terminal.code(verdict.exit_code) or int(follower.is_incomplete)
    try:
        is_open = fleet.interrupted or bool(others) or _is_unsettled(journal, run, outcomes)
        if resumed:  # what became of the run is what became of all its hosts, also of those that are not of this call
            whole = make_report(journal.find(run), journal.entries(run, whole=False))
            verdict = judge_record(whole.hosts, interrupted=verdict.is_interrupted)
    except (JournalLost, JournalError) as error:
        call.terminal.warn(str(error))
        is_open = True
    if not end_record(call, journal, run, verdict, stays_open=is_open) or is_open:
        call.terminal.note(f"run {run} is open; 'mpsbridge resume {run}' goes on with it")
    summarise(call, journal, run)
    return code


def _is_unsettled(journal: Journal, run: str, outcomes: Sequence[Outcome[EndValue]]) -> bool:
    """Whether it is not known of some host what happened there, or something is held there."""
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    return any(one.failure.may_have_run or is_held(journal, run, one.host) for one in failures)
