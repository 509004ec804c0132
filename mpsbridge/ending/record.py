"""How a step that changes something is sent: its intent on the disk before, its outcome after.

Rule: a step whose fate is not known stays without an outcome, whatever else is recorded of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from pydantic import JsonValue

from mpsbridge.errors import MpsBridgeError
from mpsbridge.models.sessions import Result, SessionResult, to_cim

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
    """Do ``act`` between the two entries. What it raises passes through."""
    intent = journal.intend(run, host, step, **detail)
    try:
        answer = act()
    except MpsBridgeError as error:
        if error.may_have_run:
            journal.note(run, host, "unknown", intent=intent, of=step, error=str(error))
        else:
            journal.answer(intent, run, host, step, error=str(error), ran=False)
        raise
    journal.answer(intent, run, host, step, answer=_plain(answer))
    return answer


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
"""A session's id and birth (as the lease writes it), and the notice that was sent there."""


def notices_told(entries: Iterable[tuple[str, Mapping[str, JsonValue]]]) -> frozenset[Told]:
    """The notices that an earlier life of a run has sent, from its record: (step, detail) of each entry.

    What was shown stands in its ``notice`` entries; what was sent and never answered, in the marks of the lease that it
    gave back.
    """
    told: set[Told] = set()
    for step, detail in entries:
        if step == "notice" and detail.get("result") in {Result.SHOWN, Result.KEPT}:
            born = detail["born"]
            when = None if born is None else to_cim(datetime.fromisoformat(str(born)))
            told.add((int(str(detail["session"])), when, str(detail["notice"])))
        marks = detail.get("marks") if step == "marks" else None
        if isinstance(marks, list):
            told |= {
                (int(str(id)), None if born is None else str(born), str(name)) for id, born, name in _triples(marks)
            }
    return frozenset(told)


def _triples(marks: Sequence[JsonValue]) -> Iterator[tuple[JsonValue, JsonValue, JsonValue]]:
    for mark in marks:
        if isinstance(mark, list) and len(mark) == 3:
            yield mark[0], mark[1], mark[2]
