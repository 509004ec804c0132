"""The answers of commands that act on sessions: ``message``, ``disconnect``, ``logoff`` and ``reset``, and those of the
whole procedure, ``end``, ``maintain`` and ``resume``.
"""

from __future__ import annotations

from typing import Any

from mpsbridge.models.then import Then
from mpsbridge.schemas.published import Published, Value
from mpsbridge.schemas.sessions import Session, SessionResult, row_of


class _OfSessions(Value):
    run: str
    dry_run: bool
    sessions: tuple[SessionResult, ...]

    @classmethod
    def fields(cls) -> tuple[str, ...]:
        """Those of a session, and what became of it."""
        return (*Session.model_fields, "result", "text", "run")

    def records(self) -> list[dict[str, Any]]:
        """A row for each session, with the run that it belongs to."""
        return [row_of(one) | {"run": self.run} for one in self.sessions]


class ActValue(_OfSessions):
    """What became of the sessions of one host. In a dry run those that would be acted on are ``would``."""

    problems: tuple[str, ...]


class Turn(Published):
    """When a host would begin and be done at the latest: its wave (from 1), and seconds after the start of the run.

    The time of a restart is not known before, and not counted.
    """

    wave: int
    begins_s: int
    ends_s: int


class EndValue(_OfSessions):
    """The same after the whole procedure; ``given_back``: nothing that keeps people or runs out was left there.
    ``turn`` is told of a host with work in the dry run of a plan, and null otherwise.
    """

    then: Then
    outcome: str
    problems: tuple[str, ...]
    given_back: bool
    turn: Turn | None
