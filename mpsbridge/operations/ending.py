"""``end``, ``maintain`` and ``resume``: the whole procedure on many hosts.

Rules: the record is open before anything is sent; an interruption lets every host give back what the run holds there; a
host that refuses is skipped, says which option would lift it, and stands in the record too; what is meant to spare a
session and matches nothing is said before anything happens.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from pydantic import Field, JsonValue, field_validator

from mpsbridge.errors import (
    AnotherComputer,
    ConnectTimedOut,
    HostReleased,
    InputError,
    JournalError,
    JournalLost,
    MpsBridgeError,
    NotBegun,
    NoTurn,
    TimedOut,
)
from mpsbridge.fleet import LOOK_S
from mpsbridge.host import Host
from mpsbridge.models.durations import format_duration
from mpsbridge.models.frozen import Given
from mpsbridge.models.outcomes import REFUSED, Done, Failed, Outcome, Skipped
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import Session
from mpsbridge.models.then import Then
from mpsbridge.operations.broken_off import with_sessions
from mpsbridge.operations.outcomes import (
    judge,
    may_be_there,
    never_begun,
    not_begun_is_skipped,
    not_found,
    refusals_of,
)
from mpsbridge.operations.released import is_over, over, record_over, released_meanwhile
from mpsbridge.operations.waves import Count, Forecast, Turnstile, WavesTable, forecast, limits
from mpsbridge.operations.workplace import RunResult, Watch, Workplace, nothing_is_sent
from mpsbridge.planning.lease import Holder
from mpsbridge.planning.planned import PlannedHost
from mpsbridge.planning.policy import HostPlan, Policy, new_sessions_too, plan_host, planned_on
from mpsbridge.planning.spared import Unmatched, unmatched
from mpsbridge.procedure.context import ProcedureContext
from mpsbridge.procedure.looks import ask_again
from mpsbridge.procedure.notices import check_template
from mpsbridge.procedure.past import Past, check_computer, left_by, past_of
from mpsbridge.procedure.procedure import end_sessions
from mpsbridge.reports.report import HostReport
from mpsbridge.reports.summary import make_report
from mpsbridge.runs.ended import PLANNED, EndValue
from mpsbridge.runs.events import WENT_QUIET, Event, Finished, HostStopped, Phase
from mpsbridge.runs.history import is_held, is_in_doubt, next_life, serves, unfinished
from mpsbridge.runs.journal import Entry
from mpsbridge.runs.verdict import RunVerdict, facts_of

_log = logging.getLogger(__name__)
PLAN_PAUSE_S = 0.5
"""Between two looks at a host while planning, where a person waits: one that does not answer delays it little."""
GOES_WITH_IT = (
    "this run ends with this machine: the failsafe opens logons again, and 'mpsbridge resume' tells what came of it"
)
DEADLINE_S = 6 * 3600
"""For a whole run where nothing else is said."""


class End(Given):
    """Warn people, wait, log them off, and restart, shut down or switch the hosts; in waves where there are some.

    ``template`` is a text of one's own for notices, ``deadline_s`` the time for all of it. ``known`` are hosts that a
    person may have in mind beside those of the workplace.
    """

    policy: Policy
    command: str = "end"
    template: str | None = None
    waves: WavesTable = WavesTable()
    deadline_s: int | None = DEADLINE_S
    known: tuple[str, ...] = ()
    planned: Mapping[str, PlannedHost] = Field(default_factory=dict)
    """By host, the sessions of the plan that a person was shown."""

    def policy_on(self, host: str) -> Policy:
        """The policy on one host, where ids that were named mean the sessions of the plan."""
        if (planned := self.planned.get(host)) is None:
            return self.policy
        selector = self.policy.selector.model_copy(update={"as_seen": planned.sessions})
        return self.policy.model_copy(update={"selector": selector, "planned": planned})

    @field_validator("template")
    @classmethod
    def _can_be_filled_in(cls, text: str | None) -> str | None:
        return None if text is None else check_template(text)

    def plan(self, work: Workplace) -> EndPlan:
        """Look at every host, and give every session there a verdict."""
        first_s = max(self.policy.warn_s, default=0)
        if self.deadline_s is not None and self.deadline_s <= first_s:
            raise InputError(
                f"--deadline: all of it may take {format_duration(self.deadline_s)}, but the first notice is"
                f" {format_duration(first_s)} before the end"
            )
        own = [target.host for target in work.targets if target.kind == "local"] if self.policy.restarts else []
        if own and len(work.targets) > 1:
            raise InputError(
                f"{own[0]}: this machine goes down with this run, so it cannot be one of several hosts",
                hint=f"Do the others first, then {own[0]} alone.",
            )
        run = work.new_run()
        plans, spare_nobody = _plan(work, self, run)
        plans = [_noted(plan, (GOES_WITH_IT,)) if plan.host in own else plan for plan in plans]
        return EndPlan(
            self.model_copy(
                update={
                    "planned": {
                        plan.host: planned_on(plan.host, plan.value, self.policy)
                        for plan in plans
                        if isinstance(plan, Done)
                    },
                    "waves": self.waves.fixed(work.clock.now()),
                }
            ),
            run,
            tuple(plans),
            tuple(_in_order(plans, self.policy)),
            hosts_in_all=len(plans),
            out=sum(isinstance(plan, Failed) for plan in plans),
            spare_nobody=spare_nobody,
        )


@dataclass(frozen=True)
class EndPlan:
    """What a run of the procedure would do on each host; ``ready`` are the places of those with work, in their order.

    Waves count ``hosts_in_all``, of which ``out`` do not serve people now.
    """

    operation: End
    run: str
    plans: tuple[Outcome[HostPlan], ...]
    ready: tuple[int, ...]
    hosts_in_all: int
    out: int
    resume: Resume | None = None
    """Of a run that goes on: how."""
    spare_nobody: tuple[str, ...] = ()
    """What was meant to spare a session and matches none, as sentences; it stands among the notes, too."""

    @property
    def hosts(self) -> list[str]:
        """The hosts with work, in the order in which they begin."""
        return [self.plans[place].host for place in self.ready]

    @property
    def sessions(self) -> list[tuple[str, Session]]:
        """The sessions that would be ended, by host, in the order given."""
        plans = [plan for place in sorted(self.ready) if isinstance(plan := self.plans[place], Done)]
        return [(plan.host, session) for plan in plans for session in plan.value.acts]

    @property
    def refusals(self) -> list[str]:
        """What is refused, by host, with the option that lifts it; to these hosts nothing is sent."""
        return refusals_of(self.plans)

    @property
    def taken_over(self) -> list[tuple[str, Holder]]:
        """The hosts with work that others hold, and who; without ``--take-over`` they refuse."""
        plans = [plan for place in sorted(self.ready) if isinstance(plan := self.plans[place], Done)]
        return [(plan.host, plan.value.holder) for plan in plans if plan.value.holder]

    @property
    def notes(self) -> list[tuple[str, Sequence[str]]]:
        """What should be known of each host before it begins."""
        failed = [(plan.host, (plan.note,)) for plan in self.plans if isinstance(plan, Failed) and plan.note]
        return [*((plan.host, plan.value.notes) for plan in self.plans if isinstance(plan, Done)), *failed]

    def outcomes(self, now: datetime, *, dry_run: bool = True) -> list[Outcome[EndValue]]:
        """The plan as outcomes: who would be ended, who is kept, and which hosts would never have their turn."""
        outcomes = [self._planned(plan, dry_run=dry_run) for plan in self.plans]
        never = self.forecast(now).never
        return [
            Skipped.instead_of(one, never[one.host], kind=NoTurn.kind) if one.host in never else one for one in outcomes
        ]

    def forecast(self, now: datetime) -> Forecast:
        """Which hosts would begin when, if the run began ``now``, and why the others would not."""
        waiting = [
            (plan.host, _takes_s(plan.value, self.operation.policy))
            for plan in (self.plans[place] for place in self.ready)
            if isinstance(plan, Done)
        ]
        limit = limits(self.operation.waves, self.hosts_in_all, now)
        serve_again = self.operation.policy.then is not Then.SHUTDOWN
        return forecast(limit, waiting, Count(self.hosts_in_all, self.out), now, serve_again=serve_again)

    def _planned(self, plan: Outcome[HostPlan], *, dry_run: bool) -> Outcome[EndValue]:
        if not isinstance(plan, Done):
            return plan
        policy = self.operation.policy
        value = EndValue(
            run=self.run,
            dry_run=dry_run,
            sessions=tuple(verdict.as_planned for verdict in plan.value.verdicts),
            then=policy.then,
            outcome=PLANNED if _has_work(plan.value, policy) else "nothing to do",
            problems=plan.value.notes,
        )
        return Done[EndValue](host=plan.host, address=plan.address, elapsed_s=plan.elapsed_s, value=value)

    def carry_out(self, work: Workplace, watch: Watch) -> RunResult[EndValue]:
        """Carry it out on the hosts that are ready; the others stand in the record, too."""
        work.admit(self.run, (plan.host for plan in self.plans))
        if self.resume is not None:
            return self.resume.carry_out(work, watch)
        operation, policy = self.operation, self.operation.policy
        kept: dict[str, JsonValue] = {
            "hosts": [plan.host for plan in self.plans],
            "policy": policy.model_dump(mode="json"),
            "template": operation.template,
            "waves": operation.waves.model_dump(mode="json"),
            **operation.model_dump(mode="json", include={"planned"}),
        }
        work.record.begin(self.run, command=operation.command, reason=policy.reason, options=kept)
        self._record_the_others(work)
        with _deadline(work, operation.deadline_s) as late:
            turns = _Turns(order=self.hosts, hosts=self.hosts_in_all, out=self.out)
            acted = _in_turns(work, self.run, operation, watch, turns, self.ready)
        outcomes = [
            _with_notes(not_begun_is_skipped(acted[place]), self.spare_nobody)
            if place in acted
            else self._planned(plan, dry_run=False)
            for place, plan in enumerate(self.plans)
        ]
        outcomes = with_sessions(work.record, self.run, outcomes, command=operation.command)
        return _end(work, self.run, outcomes, [plan.host for plan in self.plans], late=late.is_set())

    def _record_the_others(self, work: Workplace) -> None:
        """A host that refuses, could not be looked at, or has nothing to be done, stands in the record as well."""
        for place, plan in enumerate(self.plans):
            if place in self.ready:
                continue
            if isinstance(plan, Done):
                work.record_kept(self.run, plan.host, (one.as_planned for one in plan.value.verdicts))
                what = Finished(outcome="nothing to do", problems=tuple(plan.value.notes), phase=Phase.PLAN)
                work.record.record(self.run, plan.host, what)
            else:
                work.record_not_sent(self.run, plan)


class Resume(Given):
    """Go on with a run that died, on the hosts of the workplace; ``hosts`` are all of the run's.

    Waves count over those: a host that was finished earlier serves people, unless it was shut down.
    """

    run: str
    end: End
    hosts: tuple[str, ...]
    is_named: bool = True
    """Whether a person named the run. One that was not named does nothing more where every host that it held has been
    released meanwhile, from another machine say: whoever did that wanted no more of it."""

    def plan(self, work: Workplace) -> EndPlan:
        """What going on would do. Raises ``JournalError`` where the record of a host cannot be read."""
        order = [target.host for target in work.targets]
        out = not_serving(work, self.run, self.hosts, order)
        pasts = {host: past_of(work.record.entries(self.run, host=host)) for host in order}
        plans, spare_nobody = _plan(work, self.end, self.run, pasts)
        released = [plan.host for plan in plans if isinstance(plan, Failed) and plan.failure.kind == HostReleased.kind]
        if not self.is_named and is_over(work.record, self.run, self.hosts, released):
            plans = [plan if plan.host in released else over(plan.host, plan.address) for plan in plans]
        return EndPlan(
            self.end,
            self.run,
            tuple(plans),
            tuple(range(len(order))),
            hosts_in_all=len(self.hosts),
            out=out,
            resume=self,
            spare_nobody=spare_nobody,
        )

    def carry_out(self, work: Workplace, watch: Watch) -> RunResult[EndValue]:
        """Look first, repeat nothing that may have happened, and go on; each host is judged when its turn comes."""
        order = [target.host for target in work.targets]
        out = not_serving(work, self.run, self.hosts, order)
        others = [host for host in unfinished(work.record, self.run, self.hosts) if host not in order]
        with nothing_is_sent():
            self._begin_next_life(work, watch, order)
        before = {host: len(work.record.entries(self.run, host=host)) for host in order}
        places = range(len(order))
        released = [] if self.is_named else released_meanwhile(work, self.run, self.hosts)
        with _deadline(work, self.end.deadline_s) as late:
            turns = _Turns(order=order, hosts=len(self.hosts), out=out)
            acted = _in_turns(work, self.run, self.end, watch, turns, released or places)
            for place in set(places) - set(acted):
                acted[place] = record_over(work.record, self.run, over(order[place], work.targets[place].address))
            told = [_with_the_past(work, self, acted[place], before) for place in sorted(acted)]
            told = with_sessions(work.record, self.run, told, command=self.end.command)
            outcomes = [not_begun_is_skipped(outcome) for outcome in told]
        return _end(work, self.run, outcomes, self.hosts, late=late.is_set(), is_resumed=True, others=others)

    def _begin_next_life(self, work: Workplace, watch: Watch, hosts: Sequence[str]) -> None:
        """Take the run up again, and record of each host who does, and why that is needed."""
        resumed = next_life(work.record, work.record.find(self.run), by=work.actor)
        work.record.resume(self.run)
        for host in hosts:
            work.record.record(self.run, host, resumed)
            watch.tell(Event(at=work.clock.now(), run=self.run, host=host, what=resumed))


def _with_the_past(
    work: Workplace, resume: Resume, outcome: Outcome[EndValue], before: Mapping[str, int]
) -> Outcome[EndValue]:
    """An outcome that says what happened, and whether anything else may have, in an earlier life of the run too.

    Where the record has no word of this life on the host, but so many entries of ``before``, it stands there now.
    """
    if not isinstance(outcome, Failed):
        return outcome
    failure, may_have_run = outcome.failure, True
    with suppress(JournalError, JournalLost):  # the end of the run says so
        entries = work.record.entries(resume.run, host=outcome.host)
        may_have_run = failure.may_have_run or is_in_doubt(entries)
        if entries and len(entries) == before[outcome.host]:
            phase = Phase.PLAN if failure.kind == NotBegun.kind else None
            stopped = HostStopped(why=failure.message, error=failure.kind, may_have_run=may_have_run, phase=phase)
            work.record.record(resume.run, outcome.host, stopped)
    failure = failure.model_copy(update={"may_have_run": may_have_run})
    return outcome.model_copy(update={"failure": failure})


def not_serving(work: Workplace, run: str, hosts: Sequence[str], order: Collection[str]) -> int:
    """How many of the run's hosts that it does not go on with do not serve people."""
    return sum(not serves(work.record, run, host) for host in hosts if host not in order)


def _plan(
    work: Workplace, operation: End, run: str, pasts: Mapping[str, Past] = MappingProxyType({})
) -> tuple[list[Outcome[HostPlan]], tuple[str, ...]]:
    """The plan of each host, and what was meant to spare a session and matches none."""
    policy = operation.policy

    fleet = work.fleet(gives_back=True)

    def wait_for(error: MpsBridgeError, number: int) -> bool:
        """A host that was silent has had its time; others are waited for as long as nobody minds."""
        if isinstance(error, ConnectTimedOut | TimedOut) or fleet.stop.is_set():
            return False
        _log.info("%s: a look was lost, look %d follows (%s)", error.host, number, error)
        return not work.clock.wait(PLAN_PAUSE_S, fleet.stop)

    def look(host: Host) -> HostPlan:
        seen = ask_again(lambda: host.observe(programs=policy.keep_running), wait_for)
        if past := pasts.get(host.name):
            check_computer(past.computer, seen, run)
            if why := left_by(past, seen, run, seen.observed):
                raise HostReleased(why)
        return plan_host(host.name, seen, operation.policy_on(host.name), run=run, fate_of=work.fate_of)

    looks = work.look(fleet, look)
    missing = [outcome.value.missing for outcome in looks if isinstance(outcome, Done)]
    people = [(each.host, one.session) for each in looks if isinstance(each, Done) for one in each.value.verdicts]
    nowhere = not_found(missing, people, hosts=len(looks))
    elsewhere = may_be_there(missing, hosts=len(looks))
    known = [*(target.host for target in work.targets), *operation.known]
    spared = _spare_nobody(policy, looks, known)
    notes = tuple(one.text for one in spared if not one.refuses)
    said = (*notes, *filter(None, [new_sessions_too(policy)]))
    everywhere = [*([nowhere] if nowhere else []), *(one.text for one in spared if one.refuses)]
    plans: list[Outcome[HostPlan]] = []
    for outcome in (_noted(look, said) for look in looks):
        if isinstance(outcome, Done) and (reasons := [*everywhere, *outcome.value.refusals]):
            plans.append(Skipped.instead_of(outcome, REFUSED + "; ".join(reasons)))
        else:
            plans.append(outcome if isinstance(outcome, Done) else never_begun(outcome, note=elsewhere))
    return plans, notes


def _spare_nobody(policy: Policy, looks: Sequence[Outcome[HostPlan]], known: Sequence[str]) -> tuple[Unmatched, ...]:
    """What was meant to spare a session and matches none; it stands among the notes of every host, or refuses all."""
    plans = {outcome.host: outcome.value for outcome in looks if isinstance(outcome, Done)}
    return unmatched(policy, plans, hosts=known) if plans else ()


def _noted(outcome: Outcome[HostPlan], notes: tuple[str, ...]) -> Outcome[HostPlan]:
    if not isinstance(outcome, Done) or not notes:
        return outcome
    value = outcome.value.model_copy(update={"notes": (*outcome.value.notes, *notes)})
    return outcome.model_copy(update={"value": value})


def _takes_s(plan: HostPlan, policy: Policy) -> int:
    """How long the notices of a host and the log-offs after them may take; nothing where nobody is on."""
    return max(policy.warn_s, default=0) + policy.patience_s if plan.acts else 0


def _has_work(plan: HostPlan, policy: Policy) -> bool:
    return bool(plan.acts) or policy.restarts


def _in_order(plans: Sequence[Outcome[HostPlan]], policy: Policy) -> list[int]:
    """The places of the hosts that have work, those with the fewest people first."""
    people = {place: len(plan.value.verdicts) for place, plan in enumerate(plans) if isinstance(plan, Done)}
    ready = [place for place, plan in enumerate(plans) if isinstance(plan, Done) and _has_work(plan.value, policy)]
    return sorted(ready, key=people.__getitem__)


def _with_notes(outcome: Outcome[EndValue], notes: Sequence[str]) -> Outcome[EndValue]:
    """What became of a host, with what was noted of all of them while planning."""
    if not isinstance(outcome, Done):
        return outcome
    problems = (*notes, *outcome.value.problems)
    return outcome.model_copy(update={"value": outcome.value.model_copy(update={"problems": problems})})


@dataclass(frozen=True)
class _Turns:
    """In which ``order`` hosts begin: of ``hosts`` in all, of which ``out`` do not serve."""

    order: Sequence[str]
    hosts: int
    out: int


def _in_turns(
    work: Workplace, run: str, operation: End, watch: Watch, turns: _Turns, places: Sequence[int]
) -> dict[int, Outcome[EndValue]]:
    """Do it on the hosts at these places, each in its turn where there are waves; the outcomes by place."""
    fleet = work.fleet(gives_back=True)
    limit = limits(operation.waves, turns.hosts, work.clock.now())
    turnstile = Turnstile(limit, turns.order, hosts=turns.hosts, out=turns.out, clock=work.clock, stop=fleet.stop)
    job = _job(work, run, operation, watch, turnstile)
    acted: dict[int, Outcome[EndValue]] = {}
    for place, outcome in fleet.stream(job, only=places):
        acted[place] = outcome
        turnstile.give_up(outcome.host, failed=isinstance(outcome, Failed))
    return acted


def _job(work: Workplace, run: str, operation: End, watch: Watch, turnstile: Turnstile) -> Callable[[Host], EndValue]:
    """What is done on one host, in its turn where there are waves."""
    if not operation.waves.limited:
        return lambda host: on_one_host(work, run, operation, watch, host)

    def in_turn(host: Host) -> EndValue:
        try:
            turnstile.enter(host.name)
        except MpsBridgeError as error:
            error.may_have_run = is_in_doubt(work.record.entries(run, host=host.name))
            stopped = HostStopped(
                why=error.message, error=error.kind, may_have_run=error.may_have_run, phase=Phase.PLAN
            )
            work.record.record(run, host.name, stopped)
            raise
        back = well = False
        try:
            value = on_one_host(work, run, operation, watch, host)
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


def on_one_host(work: Workplace, run: str, operation: End, watch: Watch, host: Host) -> EndValue:
    """The procedure on one host, from where an earlier life of the run left it."""
    stop = work.fleet(gives_back=True).stop
    wait_s = may_begin_for_s(work.record.unanswered(run, host=host.name), work.clock.now(), host.timeout_s)
    if wait_s:
        left = format_duration(wait_s + 1)
        work.sinks.note(f"{host.name}: a step that was sent before may still begin; waiting {left} to be sure")
        work.clock.wait(wait_s, stop)
    past = past_of(work.record.entries(run, host=host.name))
    context = ProcedureContext(
        host,
        run=run,
        policy=operation.policy_on(host.name),
        owner=work.actor,
        journal=work.record,
        clock=work.clock,
        stop=stop,
        on_event=watch.on_event,
        on_progress=watch.on_progress,
        past=past,
    )
    return end_sessions(context, template=operation.template)


def may_begin_for_s(unknown: Sequence[Entry], now: datetime, timeout_s: float) -> float:
    """Seconds until no step of unknown fate can begin any more: each carried its own time limit (W4).

    They were sent before now, whatever another machine's clock has put into the record.
    """
    ages_s = [(now - entry.at).total_seconds() for entry in unknown]
    return max(0.0, 2 * timeout_s - max(0.0, min(ages_s))) if ages_s else 0.0


@contextmanager
def _deadline(work: Workplace, seconds: int | None) -> Iterator[threading.Event]:
    """Stop the whole run when its time is over, and say so by the event; the hosts give back what it holds."""
    late, over = threading.Event(), threading.Event()
    stop = work.fleet(gives_back=True).stop

    def watch(until: float) -> None:
        # Looked at, not waited for: a rehearsal's clock hurries where somebody waits.
        while work.clock.monotonic() < until:
            if over.wait(LOOK_S):
                return
        late.set()
        stop.set()
        work.sinks.note("the time for the whole run is up: nothing new begins, all that is held is given back")

    if seconds:
        until = work.clock.monotonic() + seconds
        threading.Thread(target=watch, args=(until,), name="mpsbridge-deadline", daemon=True).start()
    try:
        yield late
    finally:
        over.set()


def _end(
    work: Workplace,
    run: str,
    outcomes: Sequence[Outcome[EndValue]],
    hosts: Sequence[str],
    *,
    late: bool,
    is_resumed: bool = False,
    others: Sequence[str] = (),
) -> RunResult[EndValue]:
    """End the run, of these ``hosts`` in all, if nothing of it is open; on ``others`` it was not resumed.

    The verdict on a call that leaves ``others`` out is not about them; that on the run, in the record, is.
    """
    interrupted = work.fleet(gives_back=True).interrupted
    verdict = of_all = judge(outcomes, Effect.DISRUPT, interrupted=interrupted and not late)
    try:
        work.record_silent(run, outcomes)
        left = unfinished(work.record, run, hosts) if interrupted else others
        is_open = bool(left) or _is_unsettled(work, run, outcomes)
        if is_resumed:  # the verdict on a run is on all its hosts, not only on those with which it went on
            whole = make_report(work.record.find(run), work.record.entries(run, whole=False))
            of_all = _verdict_on(whole.hosts, outcomes, interrupted=verdict.is_interrupted)
            asked_for = [host for host in whole.hosts if host.host not in others]
            verdict = _verdict_on(asked_for, outcomes, interrupted=verdict.is_interrupted)
    except (JournalLost, JournalError) as error:
        work.sinks.warn(str(error))
        is_open = True
    is_recorded = work.end_record(run, of_all, (), stays_open=is_open)
    return RunResult(run, tuple(outcomes), verdict, is_open=is_open or not is_recorded)


def _verdict_on(hosts: Sequence[HostReport], outcomes: Sequence[Outcome[EndValue]], *, interrupted: bool) -> RunVerdict:
    """The verdict on hosts of a run: on those of this life by their outcomes, on the others by the record.

    Of a host whose turn did not come in this life the sessions are those of the earlier ones.
    """
    facts = {outcome.host: facts_of(outcome, Effect.DISRUPT) for outcome in outcomes}
    begun = {outcome.host for outcome in outcomes if not isinstance(outcome, Skipped)}
    verdicts = [facts[host.host].verdict if host.host in facts else host.status for host in hosts]
    results = [
        result for host in hosts for result in (facts[host.host].results if host.host in begun else host.results)
    ]
    return RunVerdict.of(verdicts, results, interrupted=interrupted)


def _is_unsettled(work: Workplace, run: str, outcomes: Sequence[Outcome[EndValue]]) -> bool:
    """Whether it is not known of some host what happened there, or something is held there."""
    others = [outcome for outcome in outcomes if not isinstance(outcome, Done)]
    failures = [one.failure for one in others if isinstance(one, Failed)]
    is_elsewhere = any(failure.kind == AnotherComputer.kind for failure in failures)
    return is_elsewhere or any(
        (isinstance(one, Failed) and one.failure.may_have_run) or is_held(work.record, run, one.host) for one in others
    )
