"""``logons`` and ``logons-set``: whether new logons are let in, read and changed by compare-and-set (W17)."""

from __future__ import annotations

from typing import ClassVar

from mpsbridge.models.answers import LogonsAnswer
from mpsbridge.models.scripts import Effect, RawOutput
from mpsbridge.models.sessions import CimTime, LogonMode, Logons
from mpsbridge.parsing.observation import Check
from mpsbridge.snippets.fields import LeaseDemand, RunId
from mpsbridge.snippets.snippet import Snippet, unhurried


class LogonSnippet(Snippet):
    """Both are answered by the mode, read back from the host."""

    @classmethod
    def read(cls, output: RawOutput, _check: Check = unhurried) -> Logons:
        """The mode as it is now. Raises ``RemoteError`` and ``ParseError``."""
        answer = cls.answered(output, LogonsAnswer)
        return Logons(mode=answer.mode, was=answer.was)


class ReadLogonMode(LogonSnippet):
    """``Get-MpsbridgeLogonMode``: no parameters."""

    name: ClassVar[str] = "logons"
    effect: ClassVar[Effect] = Effect.READ


class SetLogonMode(LogonSnippet):
    """``Set-MpsbridgeLogonMode``. With ``expected`` null the mode found is not compared."""

    name: ClassVar[str] = "logons-set"
    effect: ClassVar[Effect] = Effect.DISRUPT
    mode: LogonMode
    expected: LogonMode | None = None
    not_after: CimTime
    run: RunId
    lease: LeaseDemand = "free"
