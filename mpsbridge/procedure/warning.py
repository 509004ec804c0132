"""Telling people and waiting for them.

Rules: each notice goes out at its time to whoever is there and active, once (the lease on the host keeps the marks, so
a crash or a second admin box changes nothing), and warns of the end that it names and of no other (W41); who arrives or
comes back is told the time left at once; the wait ends early when nobody is left; looks are the small snippet, every
minute, more often in the last two (W16).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from mpsbridge.errors import MpsBridgeError
from mpsbridge.models.sessions import Observation, Result, Session, SessionResult, State
from mpsbridge.procedure.context import Identity, ProcedureContext, identity
from mpsbridge.procedure.notices import OFF, TEXTS, language_of, mark_of, notice, schedule
from mpsbridge.procedure.past import told_as
from mpsbridge.procedure.sessions import SessionLedger
from mpsbridge.runs.events import EndAnnounced, MarkTold, NobodyLeft, NoticeSent, Phase, Step, StepSent, Waiting

LOOK_EVERY_S = 60.0
LOOK_OFTEN_S = 15.0
OFTEN_FROM_S = 120.0
SHORTEST_S, LONGEST_S = 10, 600
"""How long a box stays on the screen (W32)."""


def warn_and_wait(
    context: ProcedureContext,
    people: SessionLedger,
    seen: Observation,
    template: str | None,
    standing: datetime | None = None,
) -> None:
    """Send every notice at its time. Raises ``Interrupted`` where the run is stopped.

    ``standing`` is an end that an earlier life of the run has announced, and that is still to come: it stays the same.
    Otherwise people are told a new one, whatever they were told before (W41).
    """
    context.phase = Phase.WARN
    if not context.policy.warn_s:
        return
    ends = standing or _new_end(context)
    due = schedule(ends, context.policy.warn_s)
    if standing:
        marks = [mark_of(name, ends) for _, name in due]
        warned = [one for one in people.to_end(seen) if any(context.told.get(told_as(one, mark)) for mark in marks)]
        people.was_shown([SessionResult(session=one, result=Result.KEPT) for one in warned])
    active: set[Identity] = set()
    waited_for: set[Identity] = set()
    name = ""
    while True:
        people.settle_absent(seen)
        there = people.to_end(seen)
        if not there:
            context.tell(NobodyLeft())
            return
        is_new = False
        while due and due[0][0] <= context.now():
            name, is_new = due.pop(0)[1], True
        in_front = [one for one in there if one.state is State.ACTIVE and one.guard is not None]
        _tell(context, people, [one for one in in_front if is_new or identity(one) not in active], ends, name, template)
        active = {identity(one) for one in in_front}
        if waited_for != (these := {identity(one) for one in there}):
            waited_for = these
            left_s = max(0.0, (ends - context.now()).total_seconds())
            context.tell(Waiting(sessions=len(there), left_s=round(left_s), until=ends))
        left_s = (ends - context.now()).total_seconds()
        if left_s <= 0:
            return
        context.waits(for_s=left_s, people=len(there))
        pause_s = min(left_s, LOOK_OFTEN_S if left_s <= OFTEN_FROM_S else LOOK_EVERY_S)
        if due:
            pause_s = min(pause_s, max(0.0, (due[0][0] - context.now()).total_seconds()))
        context.pause(pause_s)
        seen = context.look()


def _new_end(context: ProcedureContext) -> datetime:
    ends = context.now() + timedelta(seconds=max(context.policy.warn_s))
    context.note(EndAnnounced(ends=ends))
    return ends


def _tell(
    context: ProcedureContext,
    people: SessionLedger,
    whom: Sequence[Session],
    ends: datetime,
    name: str,
    template: str | None,
) -> None:
    left_s = (ends - context.now()).total_seconds()
    whom = [one for one in whom if told_as(one, mark_of(name, ends)) not in context.past.told]
    if not whom or left_s <= 0:
        return
    language = language_of(context.locale)

    def box() -> Box:
        """As it is when it goes out: an answer that was lost on the way may have taken its time."""
        left_s = max(0.0, (ends - context.now()).total_seconds())
        text = notice(
            template or TEXTS[language],
            left_s=left_s,
            ends=ends.astimezone(context.now().tzinfo),  # the clock on the wall may have been put back since
            reason=context.policy.reason,
            sender=context.sender,
            language=language,
            zoned=context.offset_until is not None and ends > context.offset_until,
        )
        return Box(text, max(SHORTEST_S, min(LONGEST_S, int(left_s) - 10)))

    context.check_stop()
    people.was_shown(send_notice(context, whom, box, name=name, ends=ends))


class Box(NamedTuple):
    """What a box says, and how long it stands."""

    text: str
    display_s: int


def send_notice(
    context: ProcedureContext, whom: Sequence[Session], box: Callable[[], Box], *, name: str, ends: datetime
) -> tuple[SessionResult, ...]:
    """Show one notice about that end, and keep in mind who was told, or may have been.

    Where its answer is lost it is sent again, as it is then; but no warning of an end that has come meanwhile.
    """

    def too_late(_: Observation) -> tuple[SessionResult, ...] | None:
        if name == OFF or context.now() < ends:
            return None
        text = "its answer was lost, and the end came"
        return tuple(SessionResult(session=one, result=Result.UNKNOWN, text=text) for one in whom)

    def send() -> tuple[SessionResult, ...]:
        text, display_s = box()
        return context.host.message(whom, text, display_s=display_s, run=context.run, notice=mark)

    mark = mark_of(name, ends)
    keys = [told_as(one, mark) for one in whom]
    try:
        results = context.step(
            StepSent(
                step=Step.MESSAGE,
                notice=name,
                ends=ends,
                sessions=tuple(one.id for one in whom),
                marks=tuple(MarkTold(id=id, born=born, notice=mark, mark="sending") for id, born, mark in keys),
            ),
            send,
            shows=too_late,
            is_marked=True,
        )
    except MpsBridgeError as error:
        if error.may_have_run:
            context.told = {**dict.fromkeys(keys, False), **context.told}
        raise
    for result in results:
        if result.result in {Result.SHOWN, Result.KEPT, Result.UNKNOWN}:
            key = told_as(result.session, mark)
            context.told[key] = context.told.get(key, False) or result.result is not Result.UNKNOWN
        told = NoticeSent.identity_of(result.session)
        context.tell(NoticeSent(**told, notice=name, ends=ends, result=result.result, why=result.text))
    return results
