"""Whom the procedure ends: one verdict for each person, kept across looks.

Rules: a verdict belongs to a session's identity (id and birth), never to an id; who arrives later is judged by the same
rules, from a full observation, because the small look tells neither accounts nor administrators.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from mpsbridge.errors import AccessDenied, Refused
from mpsbridge.models.presence import presence
from mpsbridge.models.sessions import GONE_APART_S, Observation, Result, Session, SessionGuard, SessionResult, State
from mpsbridge.planning.orphans import what_helps
from mpsbridge.planning.policy import HostPlan, judge_again, plan_host
from mpsbridge.planning.selection import Verdict, refusals_in_words
from mpsbridge.procedure.context import Identity, ProcedureContext, identity
from mpsbridge.runs.events import SessionJudged, SessionSettled

OF_A_WHOLE_LOOK = ("user", "account", "admin", "station", "client")
"""What a small look does not tell of a session."""
GONE_SINCE = "gone since its log-off was ordered"
HANGS = "the log-off that was ordered before still hangs"
RESTARTED = "the host has restarted since"
BY_FORCE = "reset by force: the profile may not have been saved"


def after_reset(result: SessionResult) -> SessionResult:
    """What a reset's answer means for somebody whose log-off hangs.

    A session that the reset did not find any more has ended by its log-off; of one that stays nobody knows what comes.
    """
    if result.result in {Result.GONE, Result.CHANGED}:
        return result.model_copy(update={"result": Result.ENDED, "text": "", "begun": False})
    if result.result is Result.ENDED:
        return result.model_copy(update={"text": BY_FORCE})
    if result.begun and result.result is Result.UNKNOWN:
        return result
    text = f"its log-off hangs, and it was not reset: {result.text}"
    return result.model_copy(update={"result": Result.UNKNOWN, "text": text, "begun": False})


def _row_of(guard: SessionGuard) -> tuple[int, str, str]:
    return guard.id, guard.user, guard.logon


class SessionLedger:
    """Everybody who is, or was, on the host during this run."""

    def __init__(self, context: ProcedureContext) -> None:
        self._context = context
        self._verdicts: dict[Identity, Verdict] = {}
        self._results: dict[Identity, SessionResult] = {}
        self._shown: set[Identity] = set()
        self._begun: set[Identity] = set()
        """Whose log-off the host began: nobody else is ever reset."""
        self._in_doubt: set[Identity] = {identity(session) for session in context.past.logged_off}
        """Whose log-off was ordered, in this life or before, and nobody knows whether it goes on."""
        self._in_doubt_now: set[Identity] = set()
        """The same of this life alone: a session that is there still was not ended by an earlier one."""
        self._reset: set[Identity] = set()
        self._absent_since: dict[Identity, float] = {}
        self._last_seen: Observation | None = None

    def judge(self, seen: Observation) -> HostPlan:
        """Give everybody a verdict. Raises :class:`~mpsbridge.errors.Refused` with every reason and its option.

        Whoever this run logged off before it died, and whose processes are still there, is waited for like anybody.
        """
        hanging = [session for session in self._context.past.logged_off if session.id in seen.leftovers]
        ours = frozenset(session.id for session in hanging)
        plan = plan_host(self._context.host.name, seen, self._context.policy, run=self._context.run, ours=ours)
        if plan.refusals:
            raise Refused("; ".join(plan.refusals))
        self.was_ended([SessionResult(session=one, result=Result.UNKNOWN, text=HANGS, begun=True) for one in hanging])
        self._settle_gone_since(seen, ours)
        self.take(plan.verdicts)
        self._settle_left_before(seen)
        return plan

    def _settle_left_before(self, seen: Observation) -> None:
        """Sessions that the plan was to end, and that are not there any more though nothing was done to them.

        What is left of one as processes is an orphaned session, of which others tell.
        """
        context = self._context
        if context.policy.planned is None:
            return
        known = self._verdicts.keys() | context.past.settled | {identity(one) for one in context.past.logged_off}
        left = [one for one in context.policy.planned.absent_from(seen.sessions) if identity(one) not in known]
        left = [one for one in left if not (one.id in seen.leftovers and dict(seen.births).get(one.id) == one.born)]
        self.take([Verdict(session=session, decision="act") for session in left])
        text = "left before the run began" if context.past.boot is None else "left before the run went on"
        self.settle([SessionResult(session=session, result=Result.GONE, text=text) for session in left])

    def _settle_gone_since(self, seen: Observation, hanging: Collection[int]) -> None:
        """Sessions that an earlier life of the run ordered to log off, and that are not there any more."""
        there = {identity(session) for session in seen.sessions}
        gone = [
            session
            for session in self._context.past.in_doubt
            if identity(session) not in there and session.id not in hanging
        ]
        self.settle([SessionResult(session=session, result=Result.GONE, text=GONE_SINCE) for session in gone])

    def settle_restarted(self) -> None:
        """The host has restarted: no session from before is there any more."""
        doubted = [known.session for known in self._results.values() if known.result is Result.UNKNOWN]
        known = {identity(session) for session in doubted} | self._results.keys()
        doubted += [session for session in self._context.past.in_doubt if identity(session) not in known]
        self.settle([SessionResult(session=session, result=Result.GONE, text=RESTARTED) for session in doubted])

    def take(self, verdicts: Sequence[Verdict]) -> None:
        """Keep the verdict on each session that has none yet, and tell it."""
        for verdict in verdicts:
            who = identity(verdict.session)
            if who in self._verdicts:
                continue
            self._verdicts[who] = verdict
            result = Result.UNKNOWN if verdict.decision == "act" else Result.KEPT
            self._results[who] = SessionResult(session=verdict.session, result=result, text=verdict.reason)
            self._context.tell(
                SessionJudged(
                    **SessionJudged.identity_of(verdict.session),
                    state=verdict.session.state,
                    decision=verdict.decision,
                    reason=verdict.reason,
                )
            )

    def to_end(self, seen: Observation) -> list[Session]:
        """Whoever of those seen now is to be ended, as they are now.

        Raises :class:`~mpsbridge.errors.AccessDenied` where births cannot be read any more: nobody could be told apart.
        """
        there = self.recognised(seen)
        if any(identity(session) not in self._verdicts for session in there):
            seen = self._context.observe()
            there = self.recognised(seen)
            seen = seen.model_copy(update={"sessions": there})
            self.take(plan_host(self._context.host.name, seen, self._context.policy, run=self._context.run).verdicts)
        return [
            session
            for session in there
            if (verdict := self._verdicts.get(identity(session))) is not None and verdict.decision == "act"
        ]

    def still_to_end(self, seen: Observation) -> list[Session]:
        """The same right before the end: who is spared by now, because the session is in use again, is kept (W42).

        Raises :class:`~mpsbridge.errors.Refused` where a restart would end such a session all the same.
        """
        policy, left, spared = self._context.policy, [], []
        for session in self.to_end(seen):
            again = judge_again(self._context.host.name, seen, session, policy) if policy.asks_again else None
            if again is None:
                left.append(session)
            else:
                spared.append(again)
        self.settle([SessionResult(session=one.session, result=Result.KEPT, text=one.reason) for one in spared])
        if refusals := refusals_in_words(spared):
            raise Refused(f"nobody was ended: {'; '.join(refusals)}")
        return left

    def recognised(self, seen: Observation) -> tuple[Session, ...]:
        """Everybody in a look, by id and birth."""
        if seen.elevated is False:
            raise AccessDenied(
                "the account is no longer an elevated administrator; sessions cannot be identified reliably"
            )
        return tuple(self._as_judged(self._with_birth(session)) for session in seen.sessions)

    def _as_judged(self, session: Session) -> Session:
        """With what only a whole look tells of a session, where this one is small: the account, and its name."""
        judged = self._verdicts.get(identity(session))
        if judged is None or session.account is not None:
            return session
        return session.model_copy(update={name: getattr(judged.session, name) for name in OF_A_WHOLE_LOOK})

    def _with_birth(self, session: Session) -> Session:
        """Where a look tells no birth: the one that whoever had the same row was judged with.

        No proof that it is still they, but the host compares births by itself before it acts.
        """
        if session.born is not None or session.guard is None:
            return session
        for verdict in reversed(self._verdicts.values()):
            before = verdict.session
            if before.born and before.guard and _row_of(before.guard) == _row_of(session.guard):
                guard = session.guard.model_copy(update={"born": before.guard.born})
                return session.model_copy(update={"born": before.born, "guard": guard})
        return session

    def was_shown(self, results: Sequence[SessionResult]) -> None:
        """A notice counts only where it was shown, now or earlier (W2)."""
        self._shown |= {identity(one.session) for one in results if one.result in {Result.SHOWN, Result.KEPT}}

    def may_be_ended(self, session: Session) -> bool:
        """Whether a session may be ended now: recognisable, and warned, or somebody said that it need not be (W2)."""
        policy = self._context.policy
        if session.guard is None:
            return False
        if policy.unwarned_ok or not policy.warn_s or identity(session) in self._shown:
            return True
        if session.state is State.DISCONNECTED:  # perhaps only since the plan was made
            return policy.ends_disconnected
        return session.state is not State.ACTIVE

    def was_ended(self, results: Sequence[SessionResult]) -> None:
        """What became of those whose log-off was ordered."""
        self._begun |= {identity(one.session) for one in results if one.begun}
        self.are_in_doubt([one.session for one in results if one.result is Result.UNKNOWN])
        self.settle(results)

    def are_in_doubt(self, sessions: Iterable[Session]) -> None:
        """Nobody knows whether the log-off that was ordered goes on."""
        self._in_doubt_now |= {identity(session) for session in sessions}
        self._in_doubt |= self._in_doubt_now

    def stays(self, who: Identity) -> bool:
        """Whether a session may be there, and nothing is on its way that ends it."""
        known = self._results.get(who)
        gone = known is not None and known.result in {Result.ENDED, Result.GONE, Result.CHANGED}
        return not gone and who not in self._in_doubt

    def was_reset(self, results: Sequence[SessionResult]) -> None:
        """What became of those who hung (see :func:`after_reset`)."""
        self._reset |= {identity(one.session) for one in results if one.begun}
        self.settle(results)

    def has_judged(self, session: Session) -> bool:
        """Whether it has a verdict: then it is none that has come since the last of them were ended."""
        return identity(session) in self._verdicts

    def sat_there(self, session: Session) -> bool:
        """Whether the same person had a verdict at the same station: who comes back there by itself is no stranger."""
        return session.station is not None and any(
            (one.station, one.account, one.user) == (session.station, session.account, session.user)
            for one in (verdict.session for verdict in self._verdicts.values())
        )

    @property
    def hanging(self) -> list[Session]:
        """Whose log-off has begun and not ended, and whose birth proves on the host that it is still they (W8)."""
        return [
            known.session
            for who, known in self._results.items()
            if known.result is Result.UNKNOWN and who in self._begun and known.session.born and known.session.guard
        ]

    def settle(self, results: Sequence[SessionResult]) -> None:
        """What became of some of them."""
        for result in results:
            self._results[identity(result.session)] = result
            self._context.tell(SessionSettled.of(result))

    def settle_absent(self, seen: Observation) -> None:
        """Whoever is not there any more, and of whom nothing else is known: by our doing, or by themselves."""
        absent, self._last_seen = [], seen
        for who, known in self._results.items():
            if known.result is Result.UNKNOWN and self._is_gone(who, seen):
                ours = who in self._begun | self._reset
                alone = RESTARTED if self._context.was_restarted else "left by themselves"
                if who in self._in_doubt_now:
                    alone = GONE_SINCE
                text = BY_FORCE if who in self._reset else "" if ours else alone
                result = Result.ENDED if ours else Result.GONE
                absent.append(known.model_copy(update={"result": result, "text": text}))
        self.settle(absent)

    def settle_hanging(self) -> None:
        """Say of those whose log-off still goes on, when nobody waits for it any more, what ends them."""
        seen, still = self._last_seen, []
        for who, known in self._results.items():
            if seen and known.result is Result.UNKNOWN and who in self._begun - self._reset:
                why = presence(known.session, seen)
                helps = what_helps(self._context.host.name, known.session.id, why)
                still.append(known.model_copy(update={"text": f"{why or known.text}; {helps}"}))
        self.settle(still)

    def _is_gone(self, who: Identity, seen: Observation) -> bool:
        """Whether a second look, some seconds after the first, shows neither row nor processes (W9).

        Somebody else's birth at a number proves that the one before is gone, a row without a birth proves nothing (W5).
        """
        number, born = who
        listed = {session.id: session.born for session in seen.sessions}
        if number in listed or number in seen.processes_in:
            self._absent_since.pop(who, None)
            return None not in {born, listed.get(number)} and listed[number] != born
        now = self._context.clock.monotonic()
        return now - self._absent_since.setdefault(who, now) >= GONE_APART_S

    @property
    def awaits_second_look(self) -> bool:
        """Whether all of whom nobody knows yet were absent in the last look, so that only the second is wanting."""
        return {
            who for who, known in self._results.items() if known.result is Result.UNKNOWN
        } <= self._absent_since.keys()

    @property
    def unsettled(self) -> int:
        """How many are left of whom nobody knows yet."""
        return sum(result.result is Result.UNKNOWN for result in self._results.values())

    @property
    def has_doubts(self) -> bool:
        """Whether this life ordered somebody to log off, and nobody knows what came of it."""
        return any(self._results[who].result is Result.UNKNOWN for who in self._in_doubt_now if who in self._results)

    @property
    def results(self) -> tuple[SessionResult, ...]:
        """Everybody, in the order of appearance."""
        return tuple(self._results.values())
