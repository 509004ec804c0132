"""The procedure on one host, so that it can be trusted unattended::

    take the lease -> set the failsafe -> block new logons -> warn, wait, look again -> end (guarded)
    -> see that they are gone (reset whoever hangs, with --force-after) -> restart / shut down / switch mode
    -> see that the host is back -> release the lease -> restore logons

Rules: nothing is changed before everybody has a verdict and none of them refuses; whatever goes wrong after that,
logons are restored and the lease is released, and where that cannot be done the failsafe on the host does it; nobody
who sits in front of a session is ended unwarned, unless the policy says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mpsbridge.errors import JournalLost, MpsBridgeError, Refused, Unexpected
from mpsbridge.models.sessions import GONE_APART_S, Observation, Result, Session, SessionResult
from mpsbridge.procedure.cancellation import call_off
from mpsbridge.procedure.context import ProcedureContext, identity
from mpsbridge.procedure.reservation import Reservation
from mpsbridge.procedure.restart import Restart, half_dead
from mpsbridge.procedure.sessions import SessionLedger, after_reset
from mpsbridge.procedure.warning import LOOK_OFTEN_S, warn_and_wait
from mpsbridge.runs.ended import EndValue
from mpsbridge.runs.events import BACK, WENT_QUIET, Finished, HostStopped, Phase, Step, StepSent
from mpsbridge.snippets.catalogue import load_templates


def end_sessions(context: ProcedureContext, *, template: str | None = None) -> EndValue:
    """Carry the procedure out on one host, or go on with it.

    ``template`` is a text of one's own for notices. An order to go down that the host took in an earlier life of the
    run (``context.past``) is waited for and not given again. Raises :class:`~mpsbridge.errors.Refused` while nothing
    has been changed, and later whatever a step raises, after giving back what the run holds: ``may_have_run`` says
    whether anything is unknown of what was done (of an earlier life, too, where the host was not seen since). The last
    thing in the record is what became of the host.
    """
    people = SessionLedger(context)
    try:
        value = _procedure(context, people, template)
    except BaseException as raised:
        if isinstance(raised, MpsBridgeError):
            error = raised
        else:
            unknown = context.disrupted or isinstance(
                raised, KeyboardInterrupt
            )  # it can strike in the middle of a step
            error = Unexpected.of(raised, may_have_run=unknown)
        if isinstance(error, JournalLost) and not context.has_sent:
            error.may_have_run = False
        context.disrupt_no_more()
        is_unseen = context.past.is_unknown and not context.has_looked
        error.may_have_run |= context.in_doubt or context.goes_down or is_unseen or people.has_doubts
        context.tell(
            HostStopped(
                why=str(error), error=error.kind, may_have_run=error.may_have_run, problems=tuple(context.problems)
            )
        )
        if error is raised or isinstance(raised, KeyboardInterrupt):
            raise
        raise error from raised
    context.tell(Finished(outcome=value.outcome, problems=tuple(context.problems), given_back=value.given_back))
    return value


def _procedure(context: ProcedureContext, people: SessionLedger, template: str | None) -> EndValue:
    load_templates()
    reservation = Reservation(context)
    order = context.past.order
    seen = context.observe() if order is None else Restart(context, order.boot).answering()
    if seen is None:
        return _value(context, people, reservation, WENT_QUIET)
    reservation.restarted = order is not None and seen.boot not in {None, order.boot}
    if not reservation.restarted:
        reservation.check_released(seen)
    ends = reservation.standing_end(seen)
    try:
        if reservation.is_ours(seen):  # a run that goes on gives back what it holds, whatever comes of it now
            reservation.take(seen)
        outcome = "" if order is None else Restart(context, order.boot).see_earlier(order, seen)
        if not outcome:
            seen = seen if order is None else context.observe()  # some minutes later
            outcome = _all_of_it(context, people, reservation, seen, template, ends)
        elif order is not None:
            _came_of(outcome, people, reservation)
    finally:
        reservation.give_back(lambda: call_off(context, people))
    return _value(context, people, reservation, outcome)


def _all_of_it(
    context: ProcedureContext,
    people: SessionLedger,
    reservation: Reservation,
    seen: Observation,
    template: str | None,
    ends: datetime | None,
) -> str:
    context.problems += [*seen.problems, *people.judge(seen).notes]
    if context.policy.only_if_reboot_pending and seen.pending_reboot == ():
        return "nothing to do: no restart is pending"
    if not people.unsettled and not context.policy.restarts:
        return "nothing to do"
    if not reservation.held:
        context.check_stop()
        reservation.take(seen)
    reservation.close_logons()
    warn_and_wait(context, people, seen, template, ends)
    _end(context, people)
    _see_them_gone(context, people, context.policy.patience_s)
    _force(context, people)
    people.settle_hanging()
    return _what_follows(context, people, reservation, seen)


def _end(context: ProcedureContext, people: SessionLedger) -> None:
    """End whoever may be ended, all at once; whoever saw no notice is left, and then nothing follows.

    Who was chosen for being idle or disconnected, and is back at work by the last look, is kept (W42).
    """
    context.phase = Phase.END
    context.check_stop()
    seen = context.observe() if context.policy.asks_again else context.look()
    people.settle_absent(seen)
    there = people.still_to_end(seen)
    ready = [session for session in there if people.may_be_ended(session)]
    unwarned = [session for session in there if session not in ready]
    why = "no notice could be shown (--unwarned-ok ends it all the same)"
    people.settle([SessionResult(session=session, result=Result.REFUSED, text=why) for session in unwarned])
    if unwarned and context.policy.restarts:
        who = ", ".join(f"{session.id} ({session.user})" for session in unwarned)
        raise Refused(f"nobody was ended: session {who} saw no notice (--unwarned-ok ends it all the same)")
    if not ready:
        return
    _log_off(context, people, ready)


def _log_off(context: ProcedureContext, people: SessionLedger, ready: Sequence[Session]) -> None:
    """Order them to log off. Where the answer is lost, only who is there when the order cannot begin any more gets it
    again: the very same sessions, as the host itself makes sure.
    """
    left = list(ready)

    def shows(seen: Observation) -> tuple[SessionResult, ...] | None:
        nonlocal left
        there = {identity(one) for one in people.recognised(seen)}
        left = [one for one in left if identity(one) in there]
        return None if left else ()

    try:
        results = context.step(
            StepSent(step=Step.LOGOFF, sessions=tuple(one.id for one in ready)),
            lambda: context.host.log_off(left, run=context.run, lease="held"),
            shows=None if context.policy.asks_again else shows,  # it may be in use again by then (W42)
        )
    except MpsBridgeError as error:
        if error.may_have_run:
            people.are_in_doubt(ready)
        raise
    answered = {identity(one.session) for one in results}
    people.are_in_doubt([one for one in ready if identity(one) not in answered])
    people.was_ended(results)
    _check_held(context, results)


def _check_held(context: ProcedureContext, results: Sequence[SessionResult]) -> None:
    """Where the host refused somebody, see whether it is this run's. Raises ``HostReleased`` where it is not."""
    if any(one.result is Result.REFUSED for one in results):
        context.look()


def _see_them_gone(context: ProcedureContext, people: SessionLedger, for_s: float) -> None:
    """Give whoever is slow to go so much time (W9), and the two seconds more that the proof takes."""
    end = context.clock.monotonic() + for_s
    while people.unsettled and ((left_s := end - context.clock.monotonic()) > 0 or people.awaits_second_look):
        pause_s = GONE_APART_S if people.awaits_second_look else min(LOOK_OFTEN_S, left_s)
        context.waits(for_s=max(left_s, pause_s), people=people.unsettled)
        context.pause(pause_s)
        people.settle_absent(context.look())


def _force(context: ProcedureContext, people: SessionLedger) -> None:
    """Reset whoever still hangs, where the policy allows it: only the very sessions that this run logged off (W8)."""
    if context.policy.force_after_s is None or not (hanging := people.hanging):
        return
    context.phase = Phase.FORCE
    context.check_stop()

    def reset() -> tuple[SessionResult, ...]:
        return tuple(after_reset(result) for result in context.host.reset(hanging, run=context.run, lease="held"))

    sent = StepSent(step=Step.RESET, sessions=tuple(session.id for session in hanging))
    people.was_reset(context.step(sent, reset))
    _see_them_gone(context, people, context.policy.settle_s)


def _what_follows(
    context: ProcedureContext, people: SessionLedger, reservation: Reservation, before: Observation
) -> str:
    if not context.policy.restarts:
        return "done"
    leftovers = half_dead(before) if context.policy.leftover_ok else ()
    outcome = Restart(context, before.boot, leftovers=leftovers).go(people)
    _came_of(outcome, people, reservation)
    return outcome


def _came_of(outcome: str, people: SessionLedger, reservation: Reservation) -> None:
    """Take in what came of an order: after a restart nobody from before is there, and on a quiet host no lease."""
    reservation.restarted = outcome == BACK
    if reservation.restarted:
        people.settle_restarted()
    if outcome == WENT_QUIET:
        reservation.forget()


def _value(context: ProcedureContext, people: SessionLedger, reservation: Reservation, outcome: str) -> EndValue:
    return EndValue(
        run=context.run,
        dry_run=False,
        sessions=people.results,
        then=context.policy.then,
        outcome=outcome,
        problems=tuple(context.problems),
        given_back=reservation.is_given_back,
    )
