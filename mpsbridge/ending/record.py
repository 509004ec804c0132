"""How a step that changes something is sent: its intent on the disk before, its outcome after.

Rule: a step whose fate is not known stays without an outcome, whatever else is recorded of it; whatever is raised while
it is sent says so (:class:`~mpsbridge.errors.Unexpected` where it is no error of ours).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Protocol, TypeVar

from pydantic import JsonValue

from mpsbridge.ending.notices import mark_of
from mpsbridge.errors import JournalLost, MpsBridgeError, Unexpected
from mpsbridge.journal import Entry
from mpsbridge.models.sessions import Result, Session, SessionResult, to_cim

T = TypeVar("T")


class Record(Protocol):
    """What the procedure needs of the journal; :class:`mpsbridge.journal.Journal` is one."""

    def intend(self, run: str, host: str, step: str, **detail: JsonValue) -> int:
        """Put an intent on the disk."""
        ...

    def answer(self, intent: int, run: str, host: str, step: str, **detail: JsonValue) -> None:
        """Put its outcome on the disk."""
        ...

    def note(self, run: str, host: str, step: str, **detail: JsonValue) -> None:
        """Put anything else on the disk."""
        ...


def recorded(journal: Record, run: str, host: str, step: str, act: Callable[[], T], **detail: JsonValue) -> T:
    """Do ``act`` between the two entries. What it raises passes through, as an error of ours."""
    try:
        intent = journal.intend(run, host, step, **detail)
    except JournalLost as error:
        error.may_have_run = False  # and so it is not sent
        raise
    try:
        answer = act()
    except MpsBridgeError as error:
        if error.may_have_run:
            journal.note(run, host, "unknown", intent=intent, of=step, error=str(error))
        else:
            journal.answer(intent, run, host, step, error=str(error), ran=False)
        raise
    except BaseException as error:
        fault = Unexpected.of(error)
        journal.note(run, host, "unknown", intent=intent, of=step, error=str(fault))
        if isinstance(error, KeyboardInterrupt):  # where no thread is between: a person's wish, and no fault
            raise
        raise fault from error
    journal.answer(intent, run, host, step, answer=_plain(answer))
    return answer


class BestEffort:
    """A record for giving back what a run holds: where it cannot be written, that is one of the ``problems``, no more.

    Nothing is disrupted by giving back, and a full disk must not keep a host closed.
    """

    def __init__(self, journal: Record, problems: list[str]) -> None:
        self._journal = journal
        self._problems = problems

    def intend(self, run: str, host: str, step: str, **detail: JsonValue) -> int:
        """Put an intent on the disk if that is possible; its number, or 0."""
        return self._try(lambda: self._journal.intend(run, host, step, **detail)) or 0

    def answer(self, intent: int, run: str, host: str, step: str, **detail: JsonValue) -> None:
        """Put the outcome of an intent on the disk if both are possible."""
        if intent:
            self._try(lambda: self._journal.answer(intent, run, host, step, **detail))

    def note(self, run: str, host: str, step: str, **detail: JsonValue) -> None:
        """Put anything else on the disk if that is possible."""
        self._try(lambda: self._journal.note(run, host, step, **detail))

    def _try(self, write: Callable[[], T]) -> T | None:
        try:
            return write()
        except JournalLost as error:
            said = f"the record is not complete: {error}"
            if said not in self._problems:
                self._problems.append(said)
            return None


def _plain(answer: object) -> JsonValue:
    """An answer as data for the journal."""
    if isinstance(answer, tuple):
        return [_plain(each) for each in answer]
    if isinstance(answer, SessionResult):
        return {
            "id": answer.session.id,
            "born": plain_time(answer.session.born),
            "user": answer.session.user,
            "account": answer.session.account,
            "result": answer.result.value,
            "text": answer.text,
        }
    dump = getattr(answer, "model_dump", None)
    plain: JsonValue = dump(mode="json") if dump else str(answer)
    return plain


def plain_time(moment: datetime | None) -> str | None:
    """A time as text for the journal."""
    return moment.isoformat() if moment else None


Told = tuple[int, str | None, str]
"""A session's id and birth, and the mark of the notice that was sent there, as the lease writes them."""


def told_as(session: Session, mark: str) -> Told:
    """The same of a session that is there."""
    return session.id, to_cim(session.born) if session.born else None, mark


def notices_told(entries: Iterable[Entry]) -> dict[Told, bool]:
    """The notices that an earlier life of a run has sent, or may have, from its record; true for those that were shown.

    What came of one stands in its ``notice`` entry, else in the marks of the lease that was given back; of one that was
    sent and never answered nobody knows.
    """
    told: dict[Told, bool] = {}
    sent: dict[int, list[Told]] = {}
    for entry in entries:
        detail = entry.detail
        marks = dict(_marks(detail.get("marks")))
        told |= {key: told.get(key, False) or mark == "delivered" for key, mark in marks.items()}
        never: list[Told] = []
        if entry.kind == "intent":
            sent[entry.number] = list(marks)
        elif entry.kind == "outcome" and detail.get("ran") is False:
            never = sent.get(entry.answers or 0, [])
        elif entry.step == "notice":
            born = detail["born"]
            when = None if born is None else to_cim(datetime.fromisoformat(str(born)))
            key = (int(str(detail["session"])), when, _mark(detail))
            if detail.get("result") in {Result.SHOWN, Result.KEPT}:
                told[key] = True
            elif detail.get("result") != Result.UNKNOWN:
                never = [key]
        for key in never:
            if not told.get(key):
                told.pop(key, None)
    return told


def _mark(detail: dict[str, JsonValue]) -> str:
    name, ends = str(detail["notice"]), detail.get("ends")
    return mark_of(name, datetime.fromisoformat(ends)) if isinstance(ends, str) else name


def _marks(marks: JsonValue) -> Iterator[tuple[Told, str]]:
    for each in marks if isinstance(marks, list) else []:
        if isinstance(each, list) and len(each) == 4:
            id, born, notice, mark = each
            yield (int(str(id)), None if born is None else str(born), str(notice)), str(mark)


def logged_off(entries: Iterable[Entry]) -> tuple[Session, ...]:
    """Whom an earlier life of a run has ordered to log off, from its record, as they were judged then."""
    judged: dict[int, Session] = {}
    ordered: dict[tuple[int, datetime | None], Session] = {}
    for entry in entries:
        detail = entry.detail
        if entry.step == "verdict":
            facts = {name: detail.get(name) for name in ("id", "user", "account", "state", "born")}
            session = Session.model_validate({**facts, "id": detail["session"], "state_text": detail["state"]})
            judged[session.id] = session
        numbers = detail.get("sessions") if entry.kind == "intent" and entry.step == "end" else None
        for number in numbers if isinstance(numbers, list) else ():
            if isinstance(number, int) and number in judged:
                ordered[number, judged[number].born] = judged[number]
    return tuple(ordered.values())
