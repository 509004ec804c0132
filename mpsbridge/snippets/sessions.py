"""What is done to sessions: ``message``, ``disconnect``, ``logoff``, ``reset``.

Rule: each session travels with its guard (:class:`~mpsbridge.models.sessions.SessionGuard`), and the host acts on the
session that is still the one that was seen, or not at all.
"""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from mpsbridge.models.answers import Words
from mpsbridge.models.frozen import Answer
from mpsbridge.models.scripts import Effect, RawOutput
from mpsbridge.models.sessions import CimTime, Result
from mpsbridge.parsing.observation import Check
from mpsbridge.snippets.fields import LeaseDemand, MessageText, RunId, Sessions
from mpsbridge.snippets.snippet import Snippet, unhurried


class SessionActAnswer(Answer):
    """What became of one session, said by the host."""

    id: int
    result: Result
    text: Words = ""
    begun: bool = False
    """Whether the act was begun: its cmdlet was called, or its program started (never told of a ``message``)."""


class ActAnswer(Answer):
    """The result of ``message``, ``disconnect``, ``logoff`` and ``reset``: one entry for each session asked for, in
    that order.
    """

    now: CimTime
    sessions: tuple[SessionActAnswer, ...]


class ActOnSessions(Snippet):
    """What every act on sessions carries.

    ``not_after`` is the host's time after which nothing more is done (W4). ``time_limit_s`` bounds each program that is
    waited for; a log-off itself is started, not waited for (W3).
    """

    effect: ClassVar[Effect] = Effect.DISRUPT
    sessions: Sessions
    not_after: CimTime
    run: RunId
    time_limit_s: int = Field(default=20, ge=1, le=300)

    @classmethod
    def read(cls, output: RawOutput, _check: Check = unhurried) -> ActAnswer:
        """What became of each session. Raises ``RemoteError`` and ``ParseError``."""
        return cls.answered(output, ActAnswer)


class SendMessage(ActOnSessions):
    """``Send-MpsbridgeMessage``: one box in each session, shown for ``display_s`` seconds.

    With a ``notice`` (its name and the end that it announces: ``15m-20261125180000``) the script marks the run's lease
    around each box, and sends none twice.
    """

    name: ClassVar[str] = "message"
    effect: ClassVar[Effect] = Effect.NOTIFY
    text: MessageText
    display_s: int = Field(default=60, ge=1, le=600)
    notice: str | None = Field(default=None, pattern=r"^[0-9a-z-]{1,40}$")


class DisconnectSessions(ActOnSessions):
    """``Disconnect-MpsbridgeSession``: what runs in a session goes on running."""

    name: ClassVar[str] = "disconnect"


class LogOffSessions(ActOnSessions):
    """``Close-MpsbridgeSession``."""

    name: ClassVar[str] = "logoff"
    lease: LeaseDemand = "free"


class ResetSessions(LogOffSessions):
    """``Reset-MpsbridgeSession``: each session with its birth, for its row may be gone."""

    name: ClassVar[str] = "reset"

    @model_validator(mode="after")
    def _births_are_known(self) -> Self:
        if any(guard.born is None for guard in self.sessions):
            raise ValueError("a reset needs to know when each session began")
        return self
