"""``failsafe`` and ``failsafe-remove``: the task that restores logons when the lease has run out (W19)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from mpsbridge.models.frozen import Answer
from mpsbridge.models.scripts import Effect, RawOutput
from mpsbridge.models.sessions import CimTime, LogonMode
from mpsbridge.parsing.observation import Check
from mpsbridge.snippets.fields import OneLine, RunId
from mpsbridge.snippets.snippet import Snippet, unhurried


class FailsafeAnswer(Answer):
    """The result of ``failsafe`` and ``failsafe-remove``: whether the task is there now, read back from the host."""

    now: CimTime
    registered: bool
    next_run: CimTime | None = None
    first_run: int | None = None
    """What the task's PowerShell ended with when it was started once; ``None`` where it did not end in time."""


class FailsafeSnippet(Snippet):
    """Both are answered by whether the task is there, read back from the host."""

    effect: ClassVar[Effect] = Effect.DISRUPT
    not_after: CimTime
    run: RunId

    @classmethod
    def read(cls, output: RawOutput, _check: Check = unhurried) -> FailsafeAnswer:
        """Whether the task is there now. Raises ``RemoteError`` and ``ParseError``."""
        return cls.answered(output, FailsafeAnswer)


class RemoveFailsafe(FailsafeSnippet):
    """``Unregister-MpsbridgeFailsafe``."""

    name: ClassVar[str] = "failsafe-remove"


class RegisterFailsafe(FailsafeSnippet):
    """``Register-MpsbridgeFailsafe``: logons go back to ``found`` where they are still what this run ``set``.

    ``time_limit_s`` bounds the first run, by which the host shows that the task works.
    """

    name: ClassVar[str] = "failsafe"
    found: LogonMode
    set: LogonMode
    owner: OneLine = Field(max_length=200)
    time_limit_s: int = Field(default=20, ge=1, le=300)
