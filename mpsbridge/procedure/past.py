"""What earlier lives of a run have left on one host, by its record: a life is one process of the run.

Rule: a notice warns of the end that it named and of no other (W41). So an announced end stands only as long as nothing
was given back since; whether its time has passed is asked by the host's clock, and whether the lease is still there, of
the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from mpsbridge.errors import AnotherComputer
from mpsbridge.models.sessions import Observation, Result, Session, to_cim
from mpsbridge.planning.lease import Lease, holder, is_ending, is_of_run, read_lease
from mpsbridge.procedure.notices import mark_of
from mpsbridge.runs.events import (
    EndAnnounced,
    LeaseLost,
    LeaseTaken,
    Looked,
    MarkTold,
    NoticeSent,
    NoticesMarked,
    Phase,
    SessionJudged,
    SessionSettled,
    Step,
    StepAnswered,
    StepSent,
)
from mpsbridge.runs.history import is_in_doubt
from mpsbridge.runs.journal import Entry

Told = tuple[int, str | None, str]
"""A session's id and birth, and the mark of the notice that was sent there, as the lease writes them."""


def told_as(session: Session, mark: str) -> Told:
    """The same of a session that is there."""
    return session.id, to_cim(session.born) if session.born else None, mark


class EarlierOrder(NamedTuple):
    """An order that an earlier life gave; ``boot`` is the host's boot identity from before it."""

    boot: datetime | None
    is_taken: bool
    """Whether the host said that it took it; else nobody knows, or the host was going down already."""
    mode: str = ""
    """MultiPoint's mode after it, where the host told."""


class Past(NamedTuple):
    """See the module; without any of it, the run is in its first life there."""

    told: Mapping[Told, bool] = MappingProxyType({})
    """Notices that were sent, or may have been; true for those that were shown."""
    logged_off: tuple[Session, ...] = ()
    """Sessions that were ordered to log off."""
    in_doubt: tuple[Session, ...] = ()
    """Those of them of which the record does not say that they have gone."""
    settled: frozenset[tuple[int, datetime | None]] = frozenset()
    """Ids and births of the sessions of which the record says what became of them."""
    announced: datetime | None = None
    """The end that people were told last, where nothing was given back since; by the host's clock."""
    held_until: datetime | None = None
    """When the lease runs out that was taken and not given back; by the host's clock."""
    lost: bool = False
    """Whether the lease was gone, by somebody else's doing, when a life came to give it back."""
    boot: datetime | None = None
    """The host's boot identity at the last look."""
    computer: str | None = None
    """The computer's own name at the last look."""
    order: EarlierOrder | None = None
    """The order to go down, to restart or to switch the mode that the host took, or may have taken."""
    is_unknown: bool = False
    """Whether they have left it unknown what happened there; a look of this life finds it out."""


def past_of(entries: Sequence[Entry]) -> Past:
    """Read it from the entries of one host, in their order."""
    announced: datetime | None = None
    held_until: datetime | None = None
    boot: datetime | None = None
    computer: str | None = None
    lost = False
    ordered: dict[int, EarlierOrder] = {}
    for number, what in ((entry.number, entry.what) for entry in entries):
        if what.phase is Phase.RESTORE:
            announced = held_until = None
        match what:
            case EndAnnounced():
                announced = what.ends
            case LeaseTaken():
                held_until = what.expires
            case LeaseLost():
                lost = True
            case Looked():
                boot, computer = what.boot or boot, what.computer or computer
            case StepSent() if what.step.takes_host_down:
                ordered[number] = EarlierOrder(boot, is_taken=False)
            case StepAnswered() if what.intent in ordered:
                _judge(ordered, what)
            case _:
                pass
    ordered_off = _logged_off(entries)
    settled = [what for what in (entry.what for entry in entries) if isinstance(what, SessionSettled)]
    gone = {(what.session, what.born) for what in settled if what.result in {Result.ENDED, Result.GONE, Result.CHANGED}}
    return Past(
        told=_notices_told(entries),
        logged_off=ordered_off,
        in_doubt=tuple(session for session in ordered_off if (session.id, session.born) not in gone),
        settled=frozenset((what.session, what.born) for what in settled),
        announced=announced,
        held_until=held_until,
        lost=lost,
        boot=boot,
        computer=computer,
        order=next(iter(ordered.values()), None),
        is_unknown=is_in_doubt(entries),
    )


def _judge(ordered: dict[int, EarlierOrder], answered: StepAnswered) -> None:
    """Take in what the host said to an order; one that it surely did not take was none."""
    said = answered.answer if isinstance(answered.answer, dict) else {}
    if said.get("accepted"):
        mode = said.get("after")
        ordered[answered.intent] = ordered[answered.intent]._replace(is_taken=True, mode=str(mode or ""))
    elif not said.get("going_down"):
        del ordered[answered.intent]


def other_computer(known: str | None, computer: str | None) -> str:
    """Why a host is not the ``known`` computer, by its own name; empty where it is, or nobody can say.

    Names of computers are told apart within a domain. A boot identity and births tell nothing here: a restart by others
    changes them, too.
    """
    if not known or not computer or known.casefold() == computer.casefold():
        return ""
    return f"{computer} is not the computer that the run is about ({known})"


def check_computer(known: str | None, seen: Observation, run: str) -> None:
    """Raise ``AnotherComputer`` where a look is at another computer than the ``known`` one.

    The very lease of the run says that it is the same computer, with a name that it was given since.
    """
    if not is_of_run(seen.lease, run) and (why := other_computer(known, seen.computer)):
        raise AnotherComputer(why)


def is_given_back_by_others(past: Past, text: str | None, run: str) -> bool:
    """Whether the mark that a run's lease is ending is another's: its own comes with entries about giving back, after
    which the record has nothing held.
    """
    return past.held_until is not None and is_of_run(text, run) and is_ending(text)


def left_by(past: Past, seen: Observation, run: str, now: datetime) -> str:
    """Why the host has left this run, because somebody else has ended its lease; empty where it has not.

    It is neither there, nor given back by this run, nor over at ``now`` (by the host's clock): then a person has
    released the host, or another run has it by now. Disk protection drops a lease, too, but only at a restart (W23).
    """
    if is_given_back_by_others(past, seen.lease, run):
        return GIVEN_BACK
    was_dropped = seen.discards_changes and seen.boot != past.boot
    is_held = past.held_until is not None and now <= past.held_until
    return ended_by_others(seen.lease, run) if past.lost or (is_held and not was_dropped) else ""


GIVEN_BACK = "somebody else is giving the host back, so it has left this run"
_GONE = (
    "the lease is not there any more: a person released the host, another run had it since, or this run gave it back"
    " and could not record that; so the host has left this run"
)


def ended_by_others(text: str | None, run: str) -> str:
    """Who has ended the lease of a run, where the host has this text; empty where it is there, or cannot be read."""
    lease = read_lease(text)
    if is_of_run(text, run):
        return ""
    if isinstance(lease, Lease):
        return f"the host was taken over: it is held by {holder(lease)} now, so it has left this run"
    return "" if lease else _GONE


def _notices_told(entries: Sequence[Entry]) -> dict[Told, bool]:
    """The notices that an earlier life of a run has sent, or may have, from its record; true for those that were shown.

    What came of one stands in its own event, else in the marks of the lease that was given back; of one that was sent
    and never answered nobody knows.
    """
    told: dict[Told, bool] = {}
    sent: dict[int, tuple[MarkTold, ...]] = {}
    for entry in entries:
        what = entry.what
        if isinstance(what, StepSent | NoticesMarked):
            told |= {_key(mark): told.get(_key(mark), False) or mark.mark == "delivered" for mark in what.marks}
        if isinstance(what, StepSent):
            sent[entry.number] = what.marks
        elif isinstance(what, StepAnswered) and what.error is not None:
            _was_never_sent(told, *(_key(mark) for mark in sent.get(what.intent, ())))
        elif isinstance(what, NoticeSent):
            name = mark_of(what.notice, what.ends) if what.ends else what.notice
            key = (what.session, to_cim(what.born) if what.born else None, name)
            if what.result in {Result.SHOWN, Result.KEPT}:
                told[key] = True
            elif what.result is not Result.UNKNOWN:
                _was_never_sent(told, key)
    return told


def _was_never_sent(told: dict[Told, bool], *keys: Told) -> None:
    for key in keys:
        if not told.get(key):
            told.pop(key, None)


def _key(mark: MarkTold) -> Told:
    return mark.id, mark.born, mark.notice


def _logged_off(entries: Sequence[Entry]) -> tuple[Session, ...]:
    """Sessions that an earlier life of a run has ordered to log off, from its record, as they were judged then."""
    judged: dict[int, Session] = {}
    ordered: dict[tuple[int, datetime | None], Session] = {}
    for what in (entry.what for entry in entries):
        if isinstance(what, SessionJudged):
            judged[what.session] = Session.remembered(
                what.session, user=what.user, account=what.account, state=what.state, born=what.born
            )
        elif isinstance(what, StepSent) and what.step is Step.LOGOFF:
            known = (judged[number] for number in what.sessions if number in judged)
            ordered |= {(session.id, session.born): session for session in known}
    return tuple(ordered.values())
