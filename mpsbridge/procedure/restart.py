"""What follows when nobody is left: restart, shut down or switch the mode, and the proof that the host is back.

Rules: the order is given by a script that looks a last time itself; where it was taken it is never given twice, and one
without an answer only by a later life of the run, to a host that was watched and goes on as before; another boot
identity, the same for two minutes on a host that is ready, is the only proof (W25, W26).
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from datetime import datetime

from mpsbridge.errors import (
    AuthRefused,
    CertificateRefused,
    Interrupted,
    MpsBridgeError,
    NotSent,
    NotTried,
    RemoteError,
)
from mpsbridge.models.sessions import AllowedSession, Observation, Session, to_cim
from mpsbridge.models.then import Then
from mpsbridge.planning.policy import STABLE_S
from mpsbridge.procedure.context import Identity, ProcedureContext
from mpsbridge.procedure.past import EarlierOrder
from mpsbridge.procedure.sessions import SessionLedger
from mpsbridge.runs.events import (
    BACK,
    OTHERS_ORDER,
    WENT_QUIET,
    Booted,
    OrderGiven,
    OrderUnanswered,
    OthersOrder,
    Phase,
    Step,
    StepSent,
    WentWrong,
)
from mpsbridge.snippets.power import ModeAnswer, PowerAnswer

REFUSALS, AFTER_REFUSAL_S = 3, 120.0
"""A host that starts may not know its domain yet and refuse whom it knows. It is asked so often, so many seconds apart:
more might lock the account."""
LOOK_S = 15.0
QUIET_S = 180.0
IN_DOUBT_S = 300.0
"""How long a host is watched whose answer to the order was lost: the script may begin late, and Windows stops services
before it goes down."""
NOT_PENDING = "done: a restart of others came first, and none is pending"
TRIES = 3
"""How often the order is given while the host itself says that it was not taken, because somebody was there."""


class Restart:
    """The host on its way down and back; ``boot`` is its identity before.

    ``leftovers`` are half-dead sessions from before the run, which the administrator said may go down with it (W13).
    """

    def __init__(
        self, context: ProcedureContext, boot: datetime | None, *, leftovers: Collection[Identity] = ()
    ) -> None:
        self._context = context
        self._boot = boot
        self._leftovers = leftovers
        self._refusals = 0
        """How often it has refused the account since it last let us look."""
        self._not_asked = 0
        """How often nobody asked the host, because the account is spared (:mod:`mpsbridge.transports.signin.gate`)."""

    def go(self, people: SessionLedger) -> str:
        """Give the order and see it through; what came of it, in words. Raises ``RemoteError`` or ``Interrupted``."""
        context, then = self._context, self._context.policy.then
        context.phase = Phase.of(then)
        context.check_stop()
        for tries_left in reversed(range(TRIES)):
            seen = context.observe()
            if context.was_restarted:  # what it was told to leave is its boot of now, and nothing is left from before
                self._boot, self._leftovers = seen.boot, ()
                if context.policy.only_if_reboot_pending and seen.pending_reboot == ():
                    return NOT_PENDING
            context.holds_lease = False  # it goes down, and its disk may forget the lease
            try:
                answer = self._order(self._allowed(seen, people))
            except MpsBridgeError as error:
                if not error.may_have_run:
                    context.holds_lease = True
                    context.check_held(error)
                    raise
                return self._see_whether(error)
            context.goes_down = answer.accepted
            if answer.accepted or not (answer.left and tries_left):
                break
            context.holds_lease = True
            context.pause(LOOK_S)
        return self._see_through(answer, seen.leftovers)

    def _see_through(self, answer: PowerAnswer | ModeAnswer, leftovers: Collection[int]) -> str:
        context, then = self._context, self._context.policy.then
        if isinstance(answer, PowerAnswer) and answer.going_down:
            return self._see_others_order(answer.text)
        if not answer.accepted:
            raise self._not_taken(answer, leftovers)
        context.tell(OrderGiven(then=then, said=answer.text))
        if then is Then.SHUTDOWN:
            return self._see_quiet()
        if isinstance(answer, ModeAnswer) and not self._goes_away():
            return mode_told(answer.after)
        return self.see_back()

    def _not_taken(self, answer: PowerAnswer | ModeAnswer, leftovers: Collection[int]) -> RemoteError:
        """Why the host did not take the order, with the calls that help where sessions are still there; ``leftovers``
        had no row at the last look.
        """
        context = self._context
        words = f"the host did not take the order to {context.policy.then}: {answer.text or 'no reason'}"
        if not answer.left:
            return RemoteError(words, may_have_run=False)
        host = shlex.quote(context.host.name)
        orphaned = ",".join(str(number) for number in answer.left if number in leftovers)
        listed = ",".join(str(number) for number in answer.left if number not in leftovers)
        calls = [f"mpsbridge end {host} --session {listed} --no-warning --force-after 10m"] if listed else []
        calls += [f"mpsbridge reset {host} --session {orphaned}"] if orphaned else []
        words = f"{words}; still there: session {', '.join(map(str, answer.left))}"
        return RemoteError(words, hint=f"Where it hangs: {'; '.join(calls)}; then repeat.", may_have_run=False)

    def _see_others_order(self, said: str) -> str:
        """Wait for a restart or shutdown that was scheduled by others, so that this run's order was not taken (W24).

        Raises ``RemoteError`` where it does not come in time, ``Interrupted`` where the host does not come back.
        """
        context = self._context
        context.tell(OthersOrder(said=said))
        end = context.clock.monotonic() + context.policy.return_timeout_s
        seen: Observation | None = None
        silent_since: float | None = None
        while (now := context.clock.monotonic()) < end:
            seen = self._look()
            if seen is not None and seen.boot not in {None, self._boot}:
                return self.see_back()
            silent_since = None if seen is not None else now if silent_since is None else silent_since
            if silent_since is not None and context.policy.then is Then.SHUTDOWN and now - silent_since >= QUIET_S:
                return WENT_QUIET
        if seen is None:
            raise Interrupted(f"{OTHERS_ORDER}, and the host is silent since: look at it before you repeat")
        hint = "Wait for it, or call it off on the host (shutdown /a); then repeat."
        raise RemoteError(f"{OTHERS_ORDER}, and has not come yet: this run's order was not taken", hint=hint)

    def _see_whether(self, error: MpsBridgeError) -> str:
        """See through an order of which nobody knows whether it was carried out: only the host can tell.

        Raises ``error`` where it goes on as if nothing had been ordered.
        """
        context = self._context
        context.tell(OrderUnanswered(then=context.policy.then))
        if outcome := self._see_back_in_doubt():
            return outcome
        why = "the host goes on as before: the order may not have reached it, and is not given again"
        context.tell(WentWrong(why=why))
        raise error

    def _see_back_in_doubt(self) -> str:
        """Watch a host that may have taken an order; empty where it goes on as before."""
        context = self._context
        end = context.clock.monotonic() + IN_DOUBT_S
        while True:
            seen = self._look()
            if seen is not None and seen.boot not in {None, self._boot}:
                return self.see_back()
            if context.clock.monotonic() >= end:
                break
        if seen is not None:
            return ""
        return self._see_quiet() if context.policy.then is Then.SHUTDOWN else self.see_back()

    def see_earlier(self, order: EarlierOrder, seen: Observation) -> str:
        """See an order through that an earlier life of the run gave; empty where the host took none and goes on.

        Raises ``Interrupted`` where it was taken and does not come: it was called off on the host, or hangs.
        """
        then = self._context.policy.then
        self._context.phase = Phase.of(then)
        if seen.boot not in {None, self._boot}:
            return self.see_back()
        if not order.is_taken:
            return self._see_back_in_doubt()
        self._context.goes_down = True
        if then in {Then.CONSOLE_MODE, Then.STATION_MODE} and not self._goes_away():
            return mode_told(order.mode)
        return self._see_quiet() if then is Then.SHUTDOWN else self.see_back()

    def answering(self) -> Observation | None:
        """A host that an earlier life of the run has told to go down, once it answers; null where it went quiet.

        It may be on its way, so silence is no failure yet. Raises what the last look raised when its time is over.
        """
        context = self._context
        end = context.clock.monotonic() + context.policy.return_timeout_s
        while True:
            try:
                return context.observe(once=True)
            except (NotSent, Interrupted, RemoteError) as error:
                denied = isinstance(error, AuthRefused | CertificateRefused)  # asking again might lock the account
                if denied or context.clock.monotonic() >= end:
                    raise
            if context.policy.then is Then.SHUTDOWN and self._see_quiet() == WENT_QUIET:
                return None
            context.pause(LOOK_S)

    def _order(self, allowed: Sequence[AllowedSession]) -> PowerAnswer | ModeAnswer:
        context, then = self._context, self._context.policy.then
        if then in {Then.CONSOLE_MODE, Then.STATION_MODE}:
            mode = then.value.removesuffix("-mode")
            return context.step(
                StepSent(step=Step.MODE, then=then),
                lambda: context.host.set_mode(mode, allowed=allowed, run=context.run, lease="held"),
            )
        return context.step(
            StepSent(step=Step.POWER, then=then),
            lambda: context.host.power(
                then.value, allowed=allowed, reason=context.policy.reason, run=context.run, lease="held"
            ),
        )

    def _allowed(self, seen: Observation, people: SessionLedger) -> list[AllowedSession]:
        """Who may go down with the host; the host itself finds out whether it is still they.

        At a number that this run has had in hand, nobody is a leftover from before it.
        """
        known = {result.session.id for result in people.results}
        back = [AllowedSession(id=one.id, born=to_cim(one.born)) for one in _came_back(seen, people) if one.born]
        leftovers = [
            AllowedSession(id=number, born=to_cim(born) if born else None, leftover=True)
            for number, born in half_dead(seen)
            if (number, born) in self._leftovers and number not in known
        ]
        return sorted([*back, *leftovers], key=lambda one: one.id)

    def _goes_away(self) -> bool:
        """Whether a switched host restarts: in one direction at least it does, in the other nobody knows (W27)."""
        for _ in range(4):
            self._context.pause(LOOK_S)
            try:
                if self._context.look().boot != self._boot:
                    return True
            except NotTried:
                continue  # nobody asked the host
            except MpsBridgeError:
                return True
        return False

    def _see_quiet(self) -> str:
        """Silent for three minutes is quiet; that it is off, nobody can see from here (W27)."""
        context = self._context
        end = context.clock.monotonic() + context.policy.return_timeout_s
        silent_since: float | None = None
        while context.clock.monotonic() < end:
            answers = self._refusals, self._not_asked
            seen = self._look()
            if seen is not None and seen.boot != self._boot:
                return self.see_back()
            # To refuse somebody is an answer, too, and where nobody asked there is no silence.
            if seen is not None or (self._refusals, self._not_asked) != answers:
                silent_since = None
                continue
            now = context.clock.monotonic()
            silent_since = now if silent_since is None else silent_since
            if now - silent_since >= QUIET_S:
                return WENT_QUIET
        seen_how = "nobody could ask whether it did" if self._not_asked else "still answers"
        raise Interrupted(f"the host was told to shut down and {seen_how}; it is not told again")

    def _look(self) -> Observation | None:
        """Wait, and look once at a host that may be away; nothing where it does not let us: the caller looks again.

        Raises :class:`~mpsbridge.errors.AuthRefused` where it goes on refusing the account, however silent in between.
        """
        context = self._context
        context.pause(LOOK_S if self._refusals == 0 else AFTER_REFUSAL_S)
        try:
            seen = context.look(once=True)
        except AuthRefused:
            self._refusals += 1
            if self._refusals == REFUSALS:
                raise
            return None
        except NotTried:
            self._not_asked += 1
            return None
        except (NotSent, Interrupted, RemoteError):
            return None
        self._refusals = 0
        return seen

    def see_back(self) -> str:
        """Wait for another boot identity that stays for two minutes with the host ready; a boot more starts again."""
        context = self._context
        context.phase = Phase.RETURN
        end = context.clock.monotonic() + context.policy.return_timeout_s
        boot: datetime | None = None
        since = 0.0
        seen: Observation | None = None
        while context.clock.monotonic() < end:
            seen = self._look()
            if seen is None:
                boot = None
                continue
            now = context.clock.monotonic()
            if seen.boot is None or seen.boot == self._boot:
                continue
            if seen.boot != boot:
                boot, since = seen.boot, now
                context.tell(Booted(boot=boot))
            elif seen.unready:
                since = now
            elif now - since >= STABLE_S:
                context.goes_down = False
                return BACK
        if seen is not None and seen.boot == self._boot:
            raise Interrupted(
                f"the host took the order to {context.policy.then} and goes on as before; it is not told again",
                hint="Look on the host whether the order was called off; then begin a new run.",
            )
        raise Interrupted("the host did not come back in time; it is not told again")


def mode_told(mode: str | None) -> str:
    """The outcome of a switch of MultiPoint's mode after which the host does not restart."""
    return f"the mode is {mode or 'not told'}"


def half_dead(seen: Observation) -> list[Identity]:
    """Sessions that have processes and no row (W13). The birth is null where no ``winlogon`` is left of it."""
    births = dict(seen.births)
    return [(number, births.get(number)) for number in seen.leftovers]


def _came_back(seen: Observation, people: SessionLedger) -> list[Session]:
    """Sessions of stations that log on by themselves: there again the moment they are ended (W8).

    One that has a verdict is not such a one, for it has not ended yet; nor is anybody who did not sit there before.
    """
    seats = {station.session_id for station in seen.stations if station.auto_logon}
    back = [one for one in seen.sessions if one.id in seats and not people.has_judged(one)]
    return [one for one in back if people.sat_there(one)]
