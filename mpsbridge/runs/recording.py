"""How a step that changes something is sent: its intent on the disk before, its outcome after.

Rule: a step whose fate is not known stays without an outcome, whatever else is recorded of it; whatever is raised while
it is sent says so (:class:`~mpsbridge.errors.Unexpected` where it is no error of ours).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeGuard, TypeVar

from pydantic import BaseModel

from mpsbridge.errors import JournalLost, MpsBridgeError, Unexpected
from mpsbridge.models.sessions import Logons, SessionResult
from mpsbridge.runs.events import Happening, SessionTold, StepAnswered, StepSent, StepUnanswered

T = TypeVar("T")


class Record(Protocol):
    """What keeps the record of a run; :class:`mpsbridge.runs.journal.Journal` does."""

    def record(self, run: str, host: str, what: Happening) -> int:
        """Put something that happens on the disk; its number."""
        ...


def recorded(journal: Record, run: str, host: str, sent: StepSent, act: Callable[[], T]) -> T:
    """Do ``act`` between the two entries. What it raises passes through, as an error of ours."""
    try:
        intent = journal.record(run, host, sent)
    except JournalLost as error:
        error.may_have_run = False  # and so it is not sent
        raise
    try:
        answer = act()
    except MpsBridgeError as error:
        journal.record(run, host, _failed(sent, intent, error))
        raise
    except BaseException as error:
        fault = Unexpected.of(error)
        journal.record(run, host, _failed(sent, intent, fault))
        if isinstance(error, KeyboardInterrupt):  # where no thread is between: a person's wish, and no fault
            raise
        raise fault from error
    journal.record(run, host, _answered(sent, intent, answer))
    return answer


def _failed(sent: StepSent, intent: int, error: MpsBridgeError) -> Happening:
    if error.may_have_run:
        return StepUnanswered(step=sent.step, intent=intent, error=str(error), phase=sent.phase)
    return StepAnswered(step=sent.step, intent=intent, error=str(error), phase=sent.phase)


def _answered(sent: StepSent, intent: int, answer: object) -> StepAnswered:
    return StepAnswered(
        step=sent.step,
        intent=intent,
        phase=sent.phase,
        sessions=tuple(SessionTold.of(one) for one in answer) if _tells_of_sessions(answer) else (),
        logons=answer.mode if isinstance(answer, Logons) else None,
        answer=answer.model_dump(mode="json") if isinstance(answer, BaseModel) else None,
    )


def _tells_of_sessions(answer: object) -> TypeGuard[tuple[SessionResult, ...]]:
    return isinstance(answer, tuple) and all(isinstance(one, SessionResult) for one in answer)


class BestEffort:
    """A record for giving back what a run holds: where it cannot be written, that is one of the ``problems``, no more.

    Nothing is disrupted by giving back, and a full disk must not keep a host closed.
    """

    def __init__(self, journal: Record, problems: list[str]) -> None:
        self._journal = journal
        self._problems = problems
        self.is_incomplete = False
        """Whether something is missing there, so that those who read it cannot know what was done."""

    def record(self, run: str, host: str, what: Happening) -> int:
        """Put it on the disk if that is possible; its number, or 0. An outcome needs its intent."""
        if isinstance(what, StepAnswered) and not what.intent:
            return 0
        try:
            return self._journal.record(run, host, what)
        except JournalLost as error:
            self.is_incomplete = True
            said = f"the record is not complete: {error}"
            if said not in self._problems:
                self._problems.append(said)
            return 0
