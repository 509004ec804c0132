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
from mpsbridge.operations.at_once import PlanAtOnce, Steps
from mpsbridge.operations.broken_off import with_sessions
from mpsbridge.operations.outcomes import may_be_there, never_begun, not_found, refusals_of
from mpsbridge.operations.workplace import Workplace
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
from mpsbridge.runs.events import Phase, Step, StepSent
from mpsbridge.runs.recording import Record
from mpsbridge.runs.verdict import HostFacts
from mpsbridge.snippets.fields import MessageText

MESSAGE_SHOWN_S = 600
"""How long a message stays on the screen unless it is closed (W32)."""


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
class ActPlan(PlanAtOnce["ActOn", ActValue, Plan]):
    """What an act would do to which sessions."""

    notes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What the person should know of each host."""

    @property
    def sessions(self) -> list[tuple[str, Session]]:
        """Who is hit, by host."""
        return [(host, session) for host, plan in self.by_host.items() for session in plan.acts]

    @property
    def refusals(self) -> list[str]:
        """What is refused, by host, with the option that lifts it; to these hosts nothing is sent."""
        return refusals_of(self.outcomes)

    @property
    def command(self) -> str:
        """What the run is called in the record."""
        return self.operation.act.value

    @property
    def effect(self) -> Effect:
        """What it does to people."""
        return self.operation.effect

    def options(self) -> dict[str, JsonValue]:
        """Who is to be hit."""
        return {"sessions": [f"{host}:{one.id}" for host, one in self.sessions]}

    def left_out(self, work: Workplace, record: Record, outcome: Done[ActValue]) -> None:
        """Record the sessions that are kept."""
        del record
        work.record_kept(self.run, outcome.host, outcome.value.sessions, act=self.operation.step)

    def on_host(self, work: Workplace, steps: Steps, planned: Plan) -> ActValue:
        """Act on the sessions of the plan."""
        return self.operation.on_host(work, steps, planned)

    def in_words(self, value: ActValue) -> str:
        """What became of a host."""
        nobody = self.effect is Effect.DISRUPT and {one.result for one in value.sessions} == {Result.KEPT}
        return "nothing to do: in use again" if nobody else "done"

    def afterwards(self, work: Workplace, outcomes: list[Outcome[ActValue]]) -> list[Outcome[ActValue]]:
        """The outcomes, those of hosts that failed with their sessions."""
        return with_sessions(work.record, self.run, outcomes, command=self.command)


class ActOn(Given):
    """What these acts share."""

    selector: Selector

    @property
    def act(self) -> Act:
        """Which act it is."""
        raise NotImplementedError

    @property
    def step(self) -> Step:
        """What it is called in the record."""
        return Step(self.act.value)

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
        return ActPlan(operation=self, run=run, outcomes=tuple(outcomes), planned=with_work, notes=tuple(notes))

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

    def on_host(self, work: Workplace, steps: Steps, plan: Plan) -> ActValue:
        """Act on the sessions of the plan on one host, as far as they are still meant. Raises ``Refused``."""
        now = plan
        if self._asks_again:
            now = ask_again(plan, _last_look(steps.host), self.selector, self.act, self._allowed)
            if now.refusals:
                raise Refused("; ".join(refusals_in_words(now.verdicts)))
            newly_kept = [one for one in now.verdicts if one not in plan.verdicts]
            with suppress(JournalLost):  # the step that follows says so, and is not sent then
                kept = (one.as_planned for one in newly_kept)
                work.record_kept(steps.run, steps.host.name, kept, act=self.step)
        acted = {one.session.id: one for one in (self._send(steps, now) if now.acts else ())}
        told = [acted.get(verdict.session.id) or verdict.as_planned for verdict in now.verdicts]
        return ActValue(run=steps.run, dry_run=False, sessions=tuple(told), problems=plan.notes)

    def _send(self, steps: Steps, plan: Plan) -> tuple[SessionResult, ...]:
        ids = tuple(session.id for session in plan.acts)
        steps.name(plan.acts, self.step)
        sent = StepSent(step=self.step, sessions=ids, phase=Phase.ACT)
        return steps.take(sent, lambda: self._do(steps.host, plan.acts, steps.run))


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
