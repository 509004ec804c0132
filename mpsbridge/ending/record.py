"""How a step that changes something is sent: its intent on the disk before, its outcome after.

Rule: a step whose fate is not known stays without an outcome, whatever else is recorded of it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

from pydantic import JsonValue

from mpsbridge.errors import MpsBridgeError
from mpsbridge.models.sessions import SessionResult

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
