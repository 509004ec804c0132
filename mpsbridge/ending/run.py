"""The procedure on one host, so that it can be trusted unattended::

    take the lease -> set the failsafe -> block new logons -> warn, wait, look again -> end (guarded)
    -> see that they are gone (reset whoever hangs, with --force-after) -> restart / shut down / switch mode
    -> see that the host is back -> release the lease -> restore logons

Rules: nothing is changed before everybody has a verdict and none of them refuses; whatever goes wrong after that,
logons are restored and the lease is released, and where that cannot be done the failsafe on the host does it; nobody
who sits in front of a session is ended unwarned, unless the policy says so.
"""

from __future__ import annotations

from datetime import datetime

from mpsbridge.ending.cancellation import call_off
from mpsbridge.ending.down import Down, half_dead
from mpsbridge.ending.holding import Holding
from mpsbridge.ending.people import People, after_reset
from mpsbridge.ending.scene import Scene
from mpsbridge.ending.warn import LOOK_OFTEN_S, warn_and_wait
from mpsbridge.errors import JournalLost, MpsBridgeError, Refused, Unexpected
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.sessions import GONE_APART_S, Observation, Result, SessionResult
from mpsbridge.models.then import Then
from mpsbridge.runs.events import BACK, WENT_QUIET, Finished, HostStopped, Phase, Step, StepSent
from mpsbridge.runs.verdict import HostFacts
from mpsbridge.snippets.catalogue import load_templates


class EndValue(Frozen):
    """What became of one host; ``outcome`` in words: ``done``, ``back``, ``went quiet``, ``nothing to do``."""

    run: str
    dry_run: bool
    sessions: tuple[SessionResult, ...]
    then: Then
    outcome: str
    problems: tuple[str, ...] = ()
    given_back: bool = True
    """Whether nothing that keeps people or other runs out was left on the host."""

    @property
    def facts(self) -> HostFacts:
        """What the verdict on the host is made of."""
        return HostFacts(results=tuple(one.result for one in self.sessions), given_back=self.given_back)


def end_sessions(scene: Scene, *, template: str | None = None, ordered_at: datetime | None = None) -> EndValue:
    """Carry the procedure out on one host, or go on with it.

    ``template`` is a text of one's own for notices. ``ordered_at`` is, for a run that died after it gave the order to
    go down, the boot identity from before: with another one now, the order was carried out and is not given again.
    Raises :class:`~mpsbridge.errors.Refused` while nothing has been changed, and later whatever a step raises, after
    giving back what the run holds; once log-offs have begun, ``may_have_run`` says so whatever the error is of. The
    last thing in the record is what became of the host.
    """
    try:
        value = _procedure(scene, template, ordered_at)
    except BaseException as raised:
        if isinstance(raised, MpsBridgeError):
            error = raised
        else:
            unknown = scene.disrupted or isinstance(raised, KeyboardInterrupt)  # it can strike in the middle of a step
            error = Unexpected.of(raised, may_have_run=unknown)
        if isinstance(error, JournalLost) and not scene.has_sent:
            error.may_have_run = False
        scene.disrupt_no_more()
        error.may_have_run |= scene.disrupted or scene.notice_in_doubt
        scene.tell(
            HostStopped(
                why=str(error), error=error.kind, may_have_run=error.may_have_run, problems=tuple(scene.problems)
            )
        )
        if error is raised or isinstance(raised, KeyboardInterrupt):
            raise
        raise error from raised
    scene.tell(Finished(outcome=value.outcome, problems=tuple(scene.problems), given_back=value.given_back))
    return value


def _procedure(scene: Scene, template: str | None, ordered_at: datetime | None) -> EndValue:
    load_templates()
    people, holding = People(scene), Holding(scene)
    seen = scene.observe() if ordered_at is None else Down(scene, ordered_at).answering()
    if seen is None:
        return _value(scene, people, holding, WENT_QUIET)
    holding.restarted = ordered_at is not None and seen.boot not in {None, ordered_at}
    if not holding.restarted:
        holding.check_released(seen)
    ends = holding.standing_end(seen)
    try:
        if holding.is_ours(seen):  # a run that goes on gives back what it holds, whatever comes of it now
            holding.take(seen)
        if holding.restarted:
            outcome = Down(scene, ordered_at).see_back()
            people.settle_restarted()
        else:
            outcome = _all_of_it(scene, people, holding, seen, template, ends)
    finally:
        holding.give_back(lambda: call_off(scene, people))
    return _value(scene, people, holding, outcome)


def _all_of_it(
    scene: Scene, people: People, holding: Holding, seen: Observation, template: str | None, ends: datetime | None
) -> str:
    scene.problems += [*seen.problems, *people.judge(seen).notes]
    if scene.policy.only_if_reboot_pending and seen.pending_reboot == ():
        return "nothing to do: no restart is pending"
    if not people.unsettled and not scene.policy.restarts:
        return "nothing to do"
    if not holding.held:
        scene.check_stop()
        holding.take(seen)
    holding.close_logons()
    warn_and_wait(scene, people, seen, template, ends)
    _end(scene, people)
    _see_them_gone(scene, people, scene.policy.patience_s)
    _force(scene, people)
    return _what_follows(scene, people, holding, seen)


def _end(scene: Scene, people: People) -> None:
    """End whoever may be ended, all at once; whoever saw no notice is left, and then nothing follows.

    Who was chosen for being idle or disconnected, and is back at work by the last look, is kept (W42).
    """
    scene.phase = Phase.END
    scene.check_stop()
    seen = scene.observe() if scene.policy.asks_again else scene.look()
    people.settle_absent(seen)
    there = people.still_to_end(seen)
    ready = [session for session in there if people.may_be_ended(session)]
    unwarned = [session for session in there if session not in ready]
    why = "no notice could be shown (--unwarned-ok ends it all the same)"
    people.settle([SessionResult(session=session, result=Result.REFUSED, text=why) for session in unwarned])
    if unwarned and scene.policy.restarts:
        who = ", ".join(f"{session.id} ({session.user})" for session in unwarned)
        raise Refused(f"nobody was ended: session {who} saw no notice (--unwarned-ok ends it all the same)")
    if not ready:
        return
    try:
        results = scene.step(
            StepSent(step=Step.LOGOFF, sessions=tuple(one.id for one in ready)),
            lambda: scene.host.log_off(ready, run=scene.run, lease="held"),
        )
    except MpsBridgeError as error:
        if error.may_have_run:
            people.are_in_doubt(ready)
        raise
    people.was_ended(results)


def _see_them_gone(scene: Scene, people: People, for_s: float) -> None:
    """Give whoever is slow to go so much time (W9), and the two seconds more that the proof takes."""
    end = scene.clock.monotonic() + for_s
    while people.unsettled and ((left_s := end - scene.clock.monotonic()) > 0 or people.awaits_second_look):
        pause_s = GONE_APART_S if people.awaits_second_look else min(LOOK_OFTEN_S, left_s)
        scene.waits(for_s=max(left_s, pause_s), people=people.unsettled)
        scene.pause(pause_s)
        people.settle_absent(scene.look())


def _force(scene: Scene, people: People) -> None:
    """Reset whoever still hangs, where the policy allows it: only the very sessions that this run logged off (W8)."""
    if scene.policy.force_after_s is None or not (hanging := people.hanging):
        return
    scene.phase = Phase.FORCE
    scene.check_stop()

    def reset() -> tuple[SessionResult, ...]:
        return tuple(after_reset(result) for result in scene.host.reset(hanging, run=scene.run, lease="held"))

    sent = StepSent(step=Step.RESET, sessions=tuple(session.id for session in hanging))
    people.was_reset(scene.step(sent, reset))
    _see_them_gone(scene, people, scene.policy.settle_s)


def _what_follows(scene: Scene, people: People, holding: Holding, before: Observation) -> str:
    if not scene.policy.restarts:
        return "done"
    leftovers = half_dead(before) if scene.policy.leftover_ok else ()
    outcome = Down(scene, before.boot, leftovers=leftovers).go(people)
    holding.restarted = outcome == BACK
    if holding.restarted:
        people.settle_restarted()
    if outcome == WENT_QUIET:
        holding.forget()
    return outcome


def _value(scene: Scene, people: People, holding: Holding, outcome: str) -> EndValue:
    return EndValue(
        run=scene.run,
        dry_run=False,
        sessions=people.results,
        then=scene.policy.then,
        outcome=outcome,
        problems=tuple(scene.problems),
        given_back=holding.is_given_back,
    )
