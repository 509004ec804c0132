"""``message``, ``disconnect``, ``logoff`` and ``reset``: look everywhere, plan, and act now.

Rules: what is named and found on no host refuses the whole call; a refusal on a host means that nothing is sent to it;
a session that was chosen for how it is used, or that would have been refused if it were disconnected, is looked at
again right before the act, because a person may take minutes to say yes (W42).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import JsonValue, StrictBool

from mpsbridge.errors import JournalLost, MpsBridgeError, Refused
from mpsbridge.host import CANNOT_TELL, Host
from mpsbridge.models.frozen import Frozen, Given
from mpsbridge.models.outcomes import REFUSED, Done, Failed, Outcome, Skipped
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import Observation, Result, Session, SessionResult
from mpsbridge.operations.broken_off import with_sessions
from mpsbridge.operations.outcomes import judge, may_be_there, never_begun, not_found, refusals_of, refused_is_skipped
from mpsbridge.operations.workplace import RunResult, Watch, Workplace, nothing_is_sent
from mpsbridge.planning.lease import why_held
from mpsbridge.planning.orphans import what_helps
from mpsbridge.planning.selection import (
    NOT_SPECIFIED,
    Act,
    Allowed,
    Plan,
    Selector,
    ask_again,
    choose,
    make_plan,
    refusals_in_words,
)
from mpsbridge.procedure.resets import plan_resets
from mpsbridge.runs.events import Finished, Phase, Step, StepSent
from mpsbridge.runs.recording import recorded
from mpsbridge.runs.verdict import HostFacts
from mpsbridge.snippets.fields import MessageText

MESSAGE_SHOWN_S = 600
"""How long a message stays on the screen unless it is closed (W32)."""
_STEPS = {
    Act.MESSAGE: Step.MESSAGE,
    Act.DISCONNECT: Step.DISCONNECT,
    Act.LOGOFF: Step.LOGOFF,
    Act.RESET: Step.RESET,
}


class ActValue(Frozen):
    """What became of one host."""

    run: str
    dry_run: bool
    sessions: tuple[SessionResult, ...]
    problems: tuple[str, ...] = ()
    """What the person should know of the host."""

    @property
    def facts(self) -> HostFacts:
        """What the verdict on the host is made of."""
        return HostFacts(results=tuple(one.result for one in self.sessions))


@dataclass(frozen=True)
class ActPlan:
    """What an act would do: the outcome of each host as long as nothing is sent, and the plans of those with work."""

    operation: ActOn
    run: str
    outcomes: tuple[Outcome[ActValue], ...]
    plans: dict[int, Plan]
    """By the host's place in the order given; only of hosts on which something is to be done."""
    notes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What the person should know of each host."""

    @property
    def sessions(self) -> list[tuple[str, Session]]:
        """Who is hit, by host."""
        return [(self.outcomes[place].host, session) for place, plan in self.plans.items() for session in plan.acts]

    @property
    def hosts(self) -> list[str]:
        """The hosts on which something is to be done."""
        return [self.outcomes[place].host for place in self.plans]

    @property
    def refusals(self) -> list[str]:
        """What is refused, by host, with the option that lifts it; to these hosts nothing is sent."""
        return refusals_of(self.outcomes)

    def carry_out(self, work: Workplace, watch: Watch) -> RunResult[ActValue]:
        """Act on these sessions, and say what became of each."""
        return self.operation.do(work, self, watch)


class ActOn(Given):
    """What these acts share."""

    selector: Selector

    @property
    def act(self) -> Act:
        """Which act it is."""
        raise NotImplementedError

    @property
    def effect(self) -> Effect:
        """What it does to people."""
        return Effect.DISRUPT

    @property
    def _allowed(self) -> Allowed:
        return NOT_SPECIFIED

    def _plan(self, work: Workplace, look: Done[Observation]) -> Plan:
        del work
        return make_plan(look.value, self.selector, self.act, self._allowed)

    @property
    def _asks_again(self) -> bool:
        """Whether who is meant may change between the plan and the act."""
        return self.selector.goes_by_use and self.effect is Effect.DISRUPT

    def _do(self, host: Host, sessions: Sequence[Session], run: str) -> tuple[SessionResult, ...]:
        raise NotImplementedError

    def plan(self, work: Workplace) -> ActPlan:
        """Look at every host, and give each session that is meant a verdict."""
        run = work.new_run()
        fleet = work.fleet()
        enough = _all_named_are_in if self.effect is Effect.DISRUPT else lambda _looks, _selector: False
        looks = work.look(fleet, Host.observe, enough=lambda found: enough(found, self.selector))
        plans = {place: self._plan(work, look) for place, look in enumerate(looks) if isinstance(look, Done)}
        people = [(look.host, each) for look in looks if isinstance(look, Done) for each in look.value.sessions]
        missing = [plan.missing for plan in plans.values()]
        nowhere = not_found(missing, people, hosts=len(looks))
        elsewhere = may_be_there(missing, hosts=len(looks))
        outcomes = [
            self._before(work, run, look, plans[place], nowhere)
            if isinstance(look, Done)
            else never_begun(look, note=elsewhere)
            for place, look in enumerate(looks)
        ]
        with_work = {
            place: plan for place, plan in plans.items() if plan.acts and not isinstance(outcomes[place], Skipped)
        }
        notes = [(looks[place].host, plan.notes) for place, plan in plans.items()]
        notes += [(one.host, (one.note,)) for one in outcomes if isinstance(one, Failed) and one.note]
        return ActPlan(operation=self, run=run, outcomes=tuple(outcomes), plans=with_work, notes=tuple(notes))

    def _before(
        self, work: Workplace, run: str, look: Done[Observation], plan: Plan, nowhere: str
    ) -> Outcome[ActValue]:
        """The outcome of a host before anything is sent: refused, or what would be done and is kept."""
        reasons = [nowhere] if nowhere else []
        if self.effect is Effect.DISRUPT and plan.acts and (held := why_held(look.value, look.host, work.fate_of)):
            reasons.append(held)
        reasons += refusals_in_words(plan.verdicts)
        if reasons:
            return Skipped.instead_of(look, REFUSED + "; ".join(reasons))
        results = tuple(verdict.as_planned for verdict in plan.verdicts)
        value = ActValue(run=run, dry_run=work.only_reads, sessions=results, problems=plan.notes)
        return Done[ActValue](host=look.host, address=look.address, elapsed_s=look.elapsed_s, value=value)

    def do(self, work: Workplace, plan: ActPlan, watch: Watch) -> RunResult[ActValue]:
        """Act on the sessions of the plan, and say what became of each."""
        del watch  # over in a moment
        fleet, outcomes = work.fleet(), list(plan.outcomes)
        places = list(plan.plans)
        self._begin(work, plan)
        by_host = {fleet.targets[place].host: plan.plans[place] for place in places}
        acted = fleet.run(lambda host: self._on(work, host, by_host[host.name], plan.run), only=places)
        for place, outcome in zip(places, acted, strict=True):
            outcomes[place] = refused_is_skipped(outcome)
        outcomes = with_sessions(work.record, plan.run, outcomes, command=self.act.value)
        verdict = judge(outcomes, self.effect, interrupted=fleet.interrupted)
        work.end_record(plan.run, verdict, outcomes)
        return RunResult(plan.run, tuple(outcomes), verdict)

    def _begin(self, work: Workplace, plan: ActPlan) -> None:
        """Record who is to be hit, and each host that refuses, could not be looked at, or has nothing to be done."""
        options: dict[str, JsonValue] = {
            "hosts": [outcome.host for outcome in plan.outcomes],
            "sessions": [f"{host}:{one.id}" for host, one in plan.sessions],
        }
        work.admit(plan.run, (outcome.host for outcome in plan.outcomes))
        work.record.begin(plan.run, command=self.act.value, reason="", options=options)
        with nothing_is_sent():
            for place, outcome in enumerate(plan.outcomes):
                if not isinstance(outcome, Done):
                    work.record_not_sent(plan.run, outcome)
                    continue
                work.record_kept(plan.run, outcome.host, outcome.value.sessions, act=_STEPS[self.act])
                if place not in plan.plans:
                    nothing = Finished(outcome="nothing to do", phase=Phase.PLAN)
                    work.record.record(plan.run, outcome.host, nothing)

    def _on(self, work: Workplace, host: Host, plan: Plan, run: str) -> ActValue:
        def act() -> tuple[Plan, tuple[SessionResult, ...]]:
            now = plan
            if self._asks_again:
                now = ask_again(plan, _last_look(host), self.selector, self.act, self._allowed)
                if now.refusals:
                    raise Refused("; ".join(refusals_in_words(now.verdicts)))
                newly_kept = [one for one in now.verdicts if one not in plan.verdicts]
                with suppress(JournalLost):  # the step that follows says so, and is not sent then
                    work.record_kept(run, host.name, (one.as_planned for one in newly_kept), act=_STEPS[self.act])
            return now, self._send(work, host, now, run) if now.acts else ()

        done, results = work.told(
            work.record, run, host, act, lambda now: "done" if now[0].acts else "nothing to do: in use again"
        )
        acted = {result.session.id: result for result in results}
        told = [acted.get(verdict.session.id) or verdict.as_planned for verdict in done.verdicts]
        return ActValue(run=run, dry_run=False, sessions=tuple(told), problems=plan.notes)

    def _send(self, work: Workplace, host: Host, plan: Plan, run: str) -> tuple[SessionResult, ...]:
        step, ids = _STEPS[self.act], tuple(session.id for session in plan.acts)
        work.record_meant(run, host.name, plan.acts, step)
        sent = StepSent(step=step, sessions=ids, phase=Phase.ACT)
        return recorded(work.record, run, host.name, sent, lambda: self._do(host, plan.acts, run))


def _all_named_are_in(looks: Sequence[Outcome[Observation]], selector: Selector) -> bool:
    """Whether each name of the selector is found, so that no further host can change whether the call is refused."""
    missing = [set(choose(look.value, selector)[2]) for look in looks if isinstance(look, Done)]
    return bool(selector.users and missing) and not set.intersection(*missing)


def _last_look(host: Host) -> Observation:
    try:
        return host.observe()
    except MpsBridgeError as error:
        error.may_have_run = False  # the look may have run; the act that was to follow has not
        raise


class Message(ActOn):
    """A box on the screen of each session that is meant."""

    text: MessageText

    @property
    def act(self) -> Act:
        """Which act it is."""
        return Act.MESSAGE

    @property
    def effect(self) -> Effect:
        """It is seen, and disturbs nothing."""
        return Effect.NOTIFY

    def _do(self, host: Host, sessions: Sequence[Session], run: str) -> tuple[SessionResult, ...]:
        return host.message(sessions, self.text, display_s=MESSAGE_SHOWN_S, run=run)


class Disconnect(ActOn):
    """Suspend each session that is meant; its programs keep running."""

    include_admins: StrictBool = False
    include_console: StrictBool = False

    @property
    def _allowed(self) -> Allowed:
        return Allowed(include_admins=self.include_admins, include_console=self.include_console)

    @property
    def act(self) -> Act:
        """Which act it is."""
        return Act.DISCONNECT

    def _do(self, host: Host, sessions: Sequence[Session], run: str) -> tuple[SessionResult, ...]:
        return host.disconnect(sessions, run=run)


class LogOff(ActOn):
    """Log each session off that is meant, now and without a warning, and look until it is gone."""

    include_admins: StrictBool = False
    include_console: StrictBool = False
    disconnected_ok: StrictBool = False

    @property
    def act(self) -> Act:
        """Which act it is."""
        return Act.LOGOFF

    @property
    def _allowed(self) -> Allowed:
        return Allowed(
            include_admins=self.include_admins,
            include_console=self.include_console,
            disconnected_ok=self.disconnected_ok,
        )

    @property
    def _asks_again(self) -> bool:
        spares_disconnected = not (self.disconnected_ok or self.selector.names_someone)
        return super()._asks_again or spares_disconnected

    def _do(self, host: Host, sessions: Sequence[Session], run: str) -> tuple[SessionResult, ...]:
        return tuple(_what_helps(host, result) for result in host.log_off(sessions, run=run))


class Reset(ActOn):
    """End what is left of orphaned sessions, each by its birth; the selector names their ids."""

    @property
    def act(self) -> Act:
        """Which act it is."""
        return Act.RESET

    def _plan(self, work: Workplace, look: Done[Observation]) -> Plan:
        plan = plan_resets(look.value, self.selector)
        known = (work.as_known(look.host, one.session) for one in plan.verdicts)
        named = zip(plan.verdicts, known, strict=True)
        return plan.model_copy(
            update={"verdicts": tuple(one.model_copy(update={"session": who}) for one, who in named)}
        )

    def _do(self, host: Host, sessions: Sequence[Session], run: str) -> tuple[SessionResult, ...]:
        return host.reset(sessions, run=run)


def _what_helps(host: Host, result: SessionResult) -> SessionResult:
    """A log-off that goes on, or hangs, with the call that sees it through."""
    if result.result is not Result.UNKNOWN or not result.begun or result.text.endswith(CANNOT_TELL):
        return result  # where an account without rights sees nothing more, what only an administrator can do is no help
    helps = what_helps(host.name, result.session.id, result.text)
    return result.model_copy(update={"text": f"{result.text}; {helps}".removeprefix("; ")})
