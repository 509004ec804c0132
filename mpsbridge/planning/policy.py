"""Who would be ended by the whole procedure, and what refuses it: an observation and a policy give every session a
verdict. Pure.

Rules: an ordered list of small rules, the first that speaks wins; ``keep`` exists only where nothing follows, because a
restart ends kept sessions too, so there it is a refusal; a refusal names the option that lifts it. Selecting is strict,
keeping is loose: a name that might be the kept one is kept (W6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, AwareDatetime, Field, StrictBool

from mpsbridge.models.durations import format_duration
from mpsbridge.models.frozen import Frozen, Given
from mpsbridge.models.sessions import LogonMode, Observation, Session, State
from mpsbridge.models.then import Then
from mpsbridge.planning.brokers import governor
from mpsbridge.planning.exempt import (
    NO_LOGON_PROGRAM,
    UNKNOWN_ADMINISTRATOR,
    administrator,
    console,
    returning_stations,
    unknown_idle,
)
from mpsbridge.planning.lease import (
    Damaged,
    FateOf,
    Holder,
    Lease,
    holder,
    is_disbelieved,
    keeps_out,
    no_fate,
    why_held,
)
from mpsbridge.planning.planned import PlannedHost, Seen
from mpsbridge.planning.selection import (
    Allowed,
    Selector,
    Verdict,
    back_in_use,
    choose,
    lifted,
    may_be_meant,
    refusals_in_words,
)
from mpsbridge.snippets.fields import AccountName, OneLine, ProgramName, Reason

STABLE_S = 120
"""How long a host that has started again is the same and ready before it counts as back (W25, W26)."""
Sender = Annotated[OneLine, Field(max_length=60)]
"""It stands in a box on people's screens."""


def _moments(warn_s: tuple[int, ...]) -> tuple[int, ...]:
    if any(seconds < 0 for seconds in warn_s):
        raise ValueError("a notice is shown at least 1s before the end")
    if any(seconds < 1 for seconds in warn_s):
        raise ValueError("0s is the end itself; a run without notices has --no-warning")
    if len(set(warn_s)) != len(warn_s):
        raise ValueError("a moment is named twice")
    return warn_s


class Closing(StrEnum):
    """How new logons are kept out meanwhile (W18); ``local`` is the default's way on a broker's member (W21)."""

    DEFAULT = "default"
    DRAIN = "drain"
    DRAIN_UNTIL_RESTART = "drain-until-restart"
    DISABLED = "disabled"
    LEAVE = "leave"
    LOCAL = "local"


class Allowances(Allowed):
    """The same for the whole procedure."""

    keep_running: tuple[ProgramName, ...] = ()
    unwarned_ok: StrictBool = False
    leftover_ok: StrictBool = False
    take_over: StrictBool = False
    hold_logons: StrictBool = False
    only_if_reboot_pending: StrictBool = False


class Policy(Allowances, Given):
    """All that the administrator decided. Durations are seconds."""

    selector: Selector
    then: Then = Then.NOTHING
    reason: Reason = ""
    sender: Sender = ""
    """Who tells people, as notices name them; the person at work where it is empty."""
    warn_s: Annotated[tuple[int, ...], AfterValidator(_moments)] = (900, 300, 60)
    """Empty: no warning, said in so many words."""
    keep_users: tuple[AccountName, ...] = ()
    keep_sessions: tuple[tuple[str, int], ...] = ()
    closing: Closing = Closing.DEFAULT
    failsafe: StrictBool = True
    settle_s: int = Field(default=120, ge=0)
    force_after_s: int | None = Field(default=None, ge=1)
    """How long after its log-off a session that has not ended is reset; ``None``: never."""
    return_timeout_s: int = Field(default=3600, ge=0)
    host_deadline_s: int = Field(default=3 * 3600, ge=1)
    planned: PlannedHost | None = None
    """On a host where the plan is carried out: what was planned there."""

    @property
    def restarts(self) -> bool:
        """Whether Windows goes down at the end."""
        return self.then is not Then.NOTHING

    @property
    def ends_disconnected(self) -> bool:
        """Whether sessions in which nobody sees a warning were asked for in so many words (W2)."""
        return self.selector.names_someone or self.selector.wants_disconnected or self.disconnected_ok

    @property
    def ends_only_planned(self) -> bool:
        """Whether a session that logs on after the plan is kept: nobody would tell its user, and nothing demands it."""
        return not (self.warn_s or self.restarts)

    @property
    def asks_again(self) -> bool:
        """Whether who is meant depends on what people do, so that it is asked once more right before the end (W42)."""
        return self.selector.goes_by_use or bool(self.keep_running)

    @property
    def leaves_logons(self) -> bool:
        """Whether logons stay open: keeping everybody out belongs to ending everybody, and to what follows then."""
        by_default = self.closing is Closing.DEFAULT and not (self.selector.everyone or self.restarts)
        return by_default or self.closing is Closing.LEAVE

    @property
    def patience_s(self) -> int:
        """How long log-offs may take until something is done about those that hang, or nothing more is done."""
        return self.settle_s if self.force_after_s is None else self.force_after_s

    def mode_to_set(self, found: LogonMode | None) -> LogonMode | None:
        """The logon mode to set, ``None`` to leave it: what others closed is never loosened (W17, W18).

        What they closed until the next restart is closed enough, unless it is to last through ours: put back after a
        restart it would outlive what they asked for.
        """
        if self.leaves_logons or found in {LogonMode.DISABLED, LogonMode.DRAIN}:
            return None
        if self.closing in {Closing.DEFAULT, Closing.LOCAL}:
            wanted = LogonMode.DRAIN
            if self.restarts and not self.hold_logons:
                wanted = LogonMode.DRAIN_UNTIL_RESTART
        else:
            wanted = LogonMode(self.closing.value)
        through_a_restart = self.restarts and self.hold_logons
        if found is LogonMode.DRAIN_UNTIL_RESTART and wanted is LogonMode.DRAIN and not through_a_restart:
            return None
        return None if found is wanted else wanted


class Objection(Frozen):
    """Why nothing is done on a host at all; ``lifted_by`` is the option that lifts it, if one does."""

    reason: str
    lifted_by: str = ""


class HostPlan(Frozen):
    """A verdict for every session of a host, what speaks against the whole, and what the person should know."""

    verdicts: tuple[Verdict, ...] = ()
    objections: tuple[Objection, ...] = ()
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """The names and ids that were asked for and are not here."""
    matched: tuple[str, ...] = ()
    """The ``--keep-...`` that match a session here."""
    holder: Holder | None = None
    """Who else holds the host."""
    observed: AwareDatetime | None = None
    computer: str | None = None
    locale: str | None = None
    offset_until: AwareDatetime | None = None
    """Until when the host's offset is what it is now."""
    """The host's own time at the look, and its people's language: for the notices that they would be shown."""

    @property
    def acts(self) -> tuple[Session, ...]:
        """The sessions to end."""
        return tuple(verdict.session for verdict in self.verdicts if verdict.decision == "act")

    @property
    def refusals(self) -> tuple[str, ...]:
        """Everything that keeps this host from being touched, as sentences with the option that lifts it."""
        objections = (lifted(objection.reason, objection.lifted_by) for objection in self.objections)
        return (*objections, *refusals_in_words(self.verdicts))


NOT_CHOSEN = "not chosen"
"""Why a session is kept that no selector meant."""
AFTER_THE_PLAN = "logged on after the plan"
NOT_PLANNED = "the plan does not end it"
"""Why a session is kept that came, or came to be meant, when the plan was made already."""


def plan_host(
    host: str,
    seen: Observation,
    policy: Policy,
    *,
    run: str,
    ours: frozenset[int] = frozenset(),
    fate_of: FateOf = no_fate,
) -> HostPlan:
    """Judge every session of one host, and the host itself; ``fate_of`` tells how a run that holds it stands.

    ``run`` is this run's id: its own lease is no objection. Nor is an orphaned session of ``ours``: one that this very
    run has logged off.
    """
    surely, doubtful, missing = choose(seen, policy.selector)
    chosen = {session.id for session in surely}
    doubts = {verdict.session.id: verdict for verdict in doubtful}
    verdicts = tuple(
        doubts.get(session.id) or _judge(_Case(host, seen, session, policy, session.id in chosen))
        for session in seen.sessions
    )
    lease = keeps_out(seen.lease, seen.observed, run=run)
    held = Holder.of(lease) if lease else None
    listed = {session.id for session in seen.sessions}
    verdicts += tuple(verdict for verdict in doubtful if verdict.session.id not in listed)
    return HostPlan(
        verdicts=verdicts,
        objections=tuple(_objections(host, seen, policy, run, ours, fate_of, lease)),
        notes=(*_notes(host, seen, policy, verdicts), *_taken_over(held, policy, verdicts)),
        missing=missing,
        matched=tuple(_matched(host, seen, policy)),
        holder=held,
        observed=seen.observed,
        computer=seen.computer,
        locale=seen.locale,
        offset_until=seen.offset_until,
    )


def planned_on(host: str, plan: HostPlan, policy: Policy) -> PlannedHost:
    """What is kept of a host's plan until it is carried out."""
    ids = {*policy.selector.session_ids, *_ids_kept(host, policy)}
    seen = (Seen.of(one.session, is_meant=one.decision == "act") for one in plan.verdicts)
    named = tuple(one for one in seen if one.is_meant or one.id in ids)
    return PlannedHost(at=plan.observed, computer=plan.computer, sessions=named, holder=plan.holder)


def new_sessions_too(policy: Policy) -> str:
    """What is said of sessions that log on after the plan where what follows ends them, too; else empty."""
    if not policy.restarts:
        return ""
    until = f"the {policy.then.value}" if policy.leaves_logons else "new logons are blocked"
    return f"sessions that log on before {until} are {'warned and ' if policy.warn_s else ''}ended, too"


def keeps_user(user: str) -> str:
    """The option as it was typed."""
    return f"--keep-user {user}"


def keeps_session(host: str, number: int) -> str:
    """The option as it was typed."""
    return f"--keep-session {host}:{number}"


def keeps_program(name: str) -> str:
    """The option as it was typed."""
    return f"--keep-running {name}"


def _matched(host: str, seen: Observation, policy: Policy) -> Iterable[str]:
    """Loose as keeping is: also where the session would have been kept without it."""
    running = {name for _, name in seen.running}
    for user in policy.keep_users:
        if any(may_be_meant(session, user) for session in seen.sessions):
            yield keeps_user(user)
    for where, number in policy.keep_sessions:
        here = where.casefold() == host.casefold()
        if here and any(one.id == number and _is_kept(host, one, policy) for one in seen.sessions):
            yield keeps_session(where, number)
    for name in policy.keep_running:
        if name in running:
            yield keeps_program(name)


def judge_again(host: str, seen: Observation, session: Session, policy: Policy) -> Verdict | None:
    """At the last look: the verdict on a session that was to be ended, where what it does spares it by then (W42)."""
    case = _Case(host, seen, session, policy, chosen=True)
    return next((_spared(case, *found) for rule in (_back_in_use, _kept_program) if (found := rule(case))), None)


class _Case(NamedTuple):
    """One session, and all that its verdict depends on."""

    host: str
    seen: Observation
    session: Session
    policy: Policy
    chosen: bool


Found = tuple[str, str | None] | None
"""A rule's word: the reason, and the option that lifts it; ``None`` where the rule does not speak."""


def _judge(case: _Case) -> Verdict:
    for rule in _KEEPING:
        if found := rule(case):
            return _spared(case, *found)
    for rule in _REFUSING:
        if found := rule(case):
            reason, lifted_by = found
            return Verdict(session=case.session, decision="refuse", reason=reason, lifted_by=lifted_by)
    remark = UNKNOWN_ADMINISTRATOR if case.session.admin is None else ""
    return Verdict(session=case.session, decision="act", reason=remark)


def _spared(case: _Case, reason: str, lifted_by: str | None) -> Verdict:
    if not case.policy.restarts:
        return Verdict(session=case.session, decision="keep", reason=reason, lifted_by=lifted_by)
    reason = f"{reason}, but a {case.policy.then.value} ends it too"
    return Verdict(session=case.session, decision="refuse", reason=reason, lifted_by=lifted_by)


def _not_chosen(case: _Case) -> Found:
    return None if case.chosen else (NOT_CHOSEN, "--all")


def _not_planned(case: _Case) -> Found:
    planned = case.policy.planned
    if planned is None or not case.policy.ends_only_planned or planned.ends(case.session):
        return None
    at, born = planned.at, case.session.born
    return AFTER_THE_PLAN if at and born and born > at else NOT_PLANNED, None


def _back_in_use(case: _Case) -> Found:
    reason = back_in_use(case.session, case.policy.selector)
    return (reason, "--all") if reason else None


def _own(case: _Case) -> Found:
    return ("the session of this very call", None) if case.session.own else None


def _kept_user(case: _Case) -> Found:
    kept = next((user for user in case.policy.keep_users if may_be_meant(case.session, user)), None)
    return (f"kept by --keep-user {kept}", None) if kept else None


def _ids_kept(host: str, policy: Policy) -> set[int]:
    return {number for where, number in policy.keep_sessions if where.casefold() == host.casefold()}


def _is_kept(host: str, session: Session, policy: Policy) -> bool:
    """Whether the session's id is kept, and it is the session that had it when it was planned."""
    return session.id in _ids_kept(host, policy) and (policy.planned is None or policy.planned.had(session))


def _kept_session(case: _Case) -> Found:
    return ("kept by --keep-session", None) if _is_kept(case.host, case.session, case.policy) else None


def _kept_program(case: _Case) -> Found:
    running = {name for number, name in case.seen.running if number == case.session.id}
    kept = next((name for name in case.policy.keep_running if name in running), None)
    return (f"{kept} runs in it", None) if kept else None


def _administrator(case: _Case) -> Found:
    named = case.policy.selector.names_someone
    return administrator(case.session, include_admins=case.policy.include_admins, is_named=named)


def _console(case: _Case) -> Found:
    named = case.policy.selector.names_someone
    return console(case.session, include_console=case.policy.include_console, is_named=named)


def _unrecognisable(case: _Case) -> Found:
    return (case.seen.unguarded, None) if case.session.guard is None else None


def _disconnected(case: _Case) -> Found:
    if case.session.state is State.DISCONNECTED and not case.policy.ends_disconnected:
        return "disconnected: nobody sees a warning, and unsaved work in it would be lost", "--disconnected-ok"
    return None


_KEEPING: tuple[Callable[[_Case], Found], ...] = (
    _not_chosen,
    _own,
    _kept_user,
    _kept_session,
    _kept_program,
    _administrator,
    _console,
    _not_planned,  # the last: why the plan did not end it says more
)
_REFUSING: tuple[Callable[[_Case], Found], ...] = (_unrecognisable, _disconnected)


def _objections(
    host: str,
    seen: Observation,
    policy: Policy,
    run: str,
    ours: frozenset[int],
    fate_of: FateOf,
    lease: Lease | Damaged | None,
) -> Iterable[Objection]:
    """Why nothing is done on the host; ``lease`` is another's that keeps the run out."""
    if lease:
        if not policy.take_over or is_disbelieved(seen.lease, seen.problems):
            yield Objection(reason=why_held(seen, host, fate_of, run=run, may_take=True))
        elif policy.planned is not None and Holder.of(lease) != policy.planned.holder:
            who = holder(lease, seen.problems)
            yield Objection(reason=f"the host is held by {who}, which the plan did not show, so it is not taken over")
    leftovers = [number for number in seen.leftovers if number not in ours]
    if leftovers and not policy.leftover_ok:
        ids = ", ".join(map(str, leftovers))
        yield Objection(reason=f"orphaned sessions (processes without a session row): {ids}", lifted_by="--leftover-ok")
    if seen.constrained:
        yield Objection(reason=seen.unguarded)
    if seen.elevated is not True:
        yield Objection(reason="the lease and the logon mode need an elevated administrator, which this account is not")
    if seen.broker and policy.closing is not Closing.LOCAL and not policy.leaves_logons:
        who = governor(seen.agents)
        reason = f"{who} governs this host: drain it there first; its own flag is neither read nor changed"
        yield Objection(reason=reason, lifted_by="--logons local or --logons leave")
    if seen.sets_logons is False and policy.mode_to_set(seen.logon_mode) is not None:
        yield Objection(reason=f"{NO_LOGON_PROGRAM}, so new logons cannot be kept out", lifted_by="--logons leave")
    if policy.then in {Then.CONSOLE_MODE, Then.STATION_MODE} and seen.multipoint is None:
        yield Objection(reason="the host does not have MultiPoint Services, so there is no mode to switch")


def _taken_over(held: Holder | None, policy: Policy, verdicts: tuple[Verdict, ...]) -> Iterable[str]:
    """Whose hold, or lease, the run would end."""
    if held is None or not policy.take_over or not (policy.restarts or any(one.decision == "act" for one in verdicts)):
        return
    means = "that run loses the host" if held.run else "that hold is not given back"
    yield f"held by {held.name}: taken over, so {means}"


def _taken_by_others(host: str, seen: Observation, policy: Policy) -> Iterable[str]:
    """What is said of an id that an option names, and that another session has by now than when it was planned."""
    kept = _ids_kept(host, policy)
    for session in seen.sessions:
        said = f"session {session.id} is another one by now ({session.user or 'no user'}) than when it was planned"
        if session.id in policy.selector.session_ids and not policy.selector.names(session):
            yield f"{said}, so it is kept"
        if session.id in kept and not _is_kept(host, session, policy):
            yield f"{said}, so --keep-session does not keep it"


def _notes(host: str, seen: Observation, policy: Policy, verdicts: tuple[Verdict, ...]) -> Iterable[str]:
    acts = {verdict.session.id for verdict in verdicts if verdict.decision == "act"}
    yield from _taken_by_others(host, seen, policy)
    yield from returning_stations(seen, acts)
    if policy.selector.idle_over_s is not None and (text := unknown_idle(seen)):
        yield text
    unknown = [str(one.session.id) for one in verdicts if one.reason.startswith(UNKNOWN_ADMINISTRATOR)]
    if unknown and not policy.include_admins and not policy.selector.names_someone:
        ids = f"{'session' if len(unknown) == 1 else 'sessions'} {', '.join(unknown)}"
        yield f"it is not known whether {ids} are administrators', so they are spared (--include-admins ends them)"
    if policy.restarts and seen.discards_changes:
        yield "disk protection is on: lease, task and logon mode are lost at the restart"
    if policy.force_after_s is not None and acts:
        after = format_duration(policy.force_after_s)
        yield f"sessions that still hang {after} after the log-off are reset by force: unsaved data is lost"
    drains = policy.mode_to_set(seen.logon_mode) in {LogonMode.DRAIN, LogonMode.DRAIN_UNTIL_RESTART}
    if drains and (acts or policy.restarts):
        yield "drain does not block every logon: the console, mstsc /admin and reconnects are still let in"
