"""Whom the procedure ends: one verdict for each person, kept across looks.

Rules: a verdict belongs to a session's identity (id and birth), never to an id; who arrives later is judged by the same
rules, from a full observation, because the small look tells neither accounts nor administrators.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpsbridge.ending.plan import Verdict
from mpsbridge.ending.policy import HostPlan, plan_host
from mpsbridge.ending.record import plain_time
from mpsbridge.ending.scene import Identity, Scene, identity
from mpsbridge.errors import Refused
from mpsbridge.models.sessions import Observation, Result, Session, SessionResult, State


class People:
    """Everybody who is, or was, on the host during this run."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._verdicts: dict[Identity, Verdict] = {}
        self._results: dict[Identity, SessionResult] = {}
        self._shown: set[Identity] = set()
        self._ordered: dict[Identity, float] = {}

    def judge(self, seen: Observation) -> HostPlan:
        """Give everybody a verdict. Raises :class:`~mpsbridge.errors.Refused` with every reason and its option."""
        plan = plan_host(self._scene.host.name, seen, self._scene.policy, run=self._scene.run)
        if plan.refusals:
            raise Refused("; ".join(plan.refusals))
        self._take(plan.verdicts)
        return plan

    def _take(self, verdicts: Sequence[Verdict]) -> None:
        for verdict in verdicts:
            who = identity(verdict.session)
            if who in self._verdicts:
                continue
            self._verdicts[who] = verdict
            result = Result.UNKNOWN if verdict.decision == "act" else Result.KEPT
            self._results[who] = SessionResult(session=verdict.session, result=result, text=verdict.reason)
            self._scene.tell(
                "verdict",
                f"{verdict.decision} {verdict.reason}".strip(),
                session=verdict.session.id,
                born=plain_time(verdict.session.born),
                user=verdict.session.user,
                account=verdict.session.account,
                state=verdict.session.state.value,
                decision=verdict.decision,
                reason=verdict.reason,
            )

    def to_end(self, seen: Observation) -> list[Session]:
        """Whoever of those seen now is to be ended, as they are now."""
        if any(identity(session) not in self._verdicts for session in seen.sessions):
            seen = self._scene.observe()
            self._take(plan_host(self._scene.host.name, seen, self._scene.policy, run=self._scene.run).verdicts)
        return [
            session
            for session in seen.sessions
            if (verdict := self._verdicts.get(identity(session))) is not None and verdict.decision == "act"
        ]

    def was_shown(self, results: Sequence[SessionResult]) -> None:
        """A notice counts only where it was shown, now or earlier (W2)."""
        self._shown |= {identity(one.session) for one in results if one.result in {Result.SHOWN, Result.KEPT}}

    def may_be_ended(self, session: Session) -> bool:
        """Whether a session may be ended now: recognisable, and warned where somebody sits in front of it."""
        policy = self._scene.policy
        if session.guard is None:
            return False
        unwarned_is_fine = policy.unwarned_ok or not policy.warn_s
        return session.state is not State.ACTIVE or unwarned_is_fine or identity(session) in self._shown

    def ordered(self, sessions: Sequence[Session], at_s: float) -> None:
        """Their log-off is about to be ordered."""
        self._ordered |= {identity(session): at_s for session in sessions}

    def hanging(self, seen: Observation, *, for_s: float, at_s: float) -> list[Session]:
        """Whoever was ordered to log off so long ago, is still there as the same session (W8), and has not refused."""
        self.settle_absent(seen, Result.ENDED, "")
        return [
            result.session
            for who, result in self._results.items()
            if result.result is Result.UNKNOWN
            and at_s - self._ordered.get(who, at_s) >= for_s
            and result.session.born is not None
        ]

    def settle(self, results: Sequence[SessionResult]) -> None:
        """What became of some of them."""
        for result in results:
            self._results[identity(result.session)] = result
            self._scene.tell(
                "ended",
                f"{result.session.user}: {result.result} {result.text}".strip(),
                session=result.session.id,
                born=plain_time(result.session.born),
                result=result.result.value,
                why=result.text,
            )

    def settle_absent(self, seen: Observation, result: Result, text: str) -> None:
        """Whoever is not there any more, and of whom nothing else is known."""
        present = {identity(session) for session in seen.sessions}
        reused = {session.id for session in seen.sessions if session.born is not None}
        absent = []
        for who, known in self._results.items():
            number, born = who
            replaced = born is not None and number in reused
            gone = who not in present and (replaced or number not in seen.processes_in)
            if known.result is Result.UNKNOWN and gone:
                absent.append(known.model_copy(update={"result": result, "text": text}))
        self.settle(absent)

    @property
    def unsettled(self) -> bool:
        """Whether somebody is left of whom nobody knows yet."""
        return any(result.result is Result.UNKNOWN for result in self._results.values())

    @property
    def results(self) -> tuple[SessionResult, ...]:
        """Everybody, in the order of appearance."""
        return tuple(self._results.values())
