"""Telling people that an end which was announced to them does not come (W41).

Rules: only whoever was told of an end is told that it is off, once for each end, marked in the lease as every notice
is; so it is done while the lease is still there, and no such box can come after another run has announced an end of its
own. A process that leaves cannot wait whether its run is resumed soon: people are told when the host is given back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple, Protocol

from mpsbridge.models.sessions import Observation, Result, Session, SessionResult, State, from_cim
from mpsbridge.planning.lease import Lease, is_of_run
from mpsbridge.procedure.context import ProcedureContext
from mpsbridge.procedure.notices import CANCELLED, OFF, end_of, language_of, mark_of, notice
from mpsbridge.procedure.past import Told, told_as
from mpsbridge.procedure.sessions import SessionLedger
from mpsbridge.procedure.warning import Box, send_notice

SHOWN_S = 600
"""How long such a box stays on the screen unless it is closed."""


class Messenger(Protocol):
    """Who shows a box in sessions; :class:`mpsbridge.host.Host` is one."""

    def message(
        self, sessions: Sequence[Session], text: str, *, display_s: int, run: str, notice: str | None = None
    ) -> tuple[SessionResult, ...]:
        """Show a box in each session, marked in the lease as ``notice``."""
        ...


class Cancellation(NamedTuple):
    """One box: to whom, what it says, and which end it calls off."""

    sessions: tuple[Session, ...]
    text: str
    ends: datetime


def cancellations(
    seen: Observation, told: Iterable[Told], *, locale: str | None, sender: str
) -> tuple[Cancellation, ...]:
    """What those who sit there have to be told, one box for each end that was announced. Pure."""
    ends, groups = outstanding(told), defaultdict[datetime, list[Session]](list)
    for session in seen.sessions:
        number, born, _ = told_as(session, "")
        if (end := ends.get((number, born))) and session.state is State.ACTIVE and session.guard is not None:
            groups[end.astimezone(seen.observed.tzinfo)].append(session)
    language = language_of(locale)

    def box(end: datetime, group: list[Session]) -> Cancellation:
        zoned = seen.offset_until is not None and end > seen.offset_until
        text = notice(CANCELLED[language], left_s=0, ends=end, reason="", sender=sender, language=language, zoned=zoned)
        return Cancellation(tuple(group), text, end)

    return tuple(box(end, group) for end, group in groups.items())


def outstanding(told: Iterable[Told]) -> dict[tuple[int, str | None], datetime]:
    """The last end that each session was told of, by id and birth, where it was not told that it is off."""
    last: dict[tuple[int, str | None], datetime] = {}
    off: set[tuple[int, str | None, datetime]] = set()
    for number, born, mark in told:
        name, end = end_of(mark)
        if end is None:
            continue
        if name == OFF:
            off.add((number, born, end))
        last[number, born] = max(end, last.get((number, born), end))
    return {who: end for who, end in last.items() if (*who, end) not in off}


def call_off(context: ProcedureContext, people: SessionLedger) -> None:
    """Tell whoever this run told of an end, and has not ended, while its lease is still there."""
    told = [key for key in context.told if people.stays((key[0], from_cim(key[1]) if key[1] else None))]
    if not outstanding(told):
        return
    seen = context.look()
    if not is_of_run(seen.lease, context.run):
        return  # whoever has the host now tells people what is to come
    there = seen.model_copy(update={"sessions": people.recognised(seen)})
    for box in cancellations(there, told, locale=context.locale, sender=context.sender):
        send_notice(context, box.sessions, partial(Box, box.text, SHOWN_S), name=OFF, ends=box.ends)


def release_notices(host: Messenger, lease: Lease, seen: Observation, *, sender: str) -> int:
    """Tell whoever a run has told of an end, by its lease on a host that a person gives back; how many were told."""
    if lease.run is None:
        return 0
    told = [(mark.id, mark.born, mark.notice) for mark in lease.notices if mark.mark != "failed"]
    count = 0
    for box in cancellations(seen, told, locale=seen.locale, sender=sender):
        mark = mark_of(OFF, box.ends)
        results = host.message(box.sessions, box.text, display_s=SHOWN_S, run=lease.run, notice=mark)
        count += sum(one.result is Result.SHOWN for one in results)
    return count
