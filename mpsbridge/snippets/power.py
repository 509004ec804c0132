"""``power`` and ``mode``: the last look and the order that takes a host down, in one script (W24, W27).

Rule: ``allowed`` are the only sessions that may still be there, each by its birth: of stations that sign somebody in by
themselves (W8), and half-dead ones (W13). Anybody else who has such a number by then is somebody who is left.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from mpsbridge.models.answers import Name, Words
from mpsbridge.models.frozen import Answer
from mpsbridge.models.scripts import Effect, RawOutput
from mpsbridge.models.sessions import CimTime
from mpsbridge.parsing.observation import Check
from mpsbridge.snippets.fields import AllowedSessions, LeaseDemand, Reason, RunId
from mpsbridge.snippets.snippet import Snippet, unhurried


class PowerAnswer(Answer):
    """The result of ``power``: whether Windows took the order, and who was left where it was not given.

    ``going_down`` is true where a shutdown was under way already (error 1190 or 1115; W24).
    """

    now: CimTime
    boot: CimTime | None = None
    accepted: bool
    going_down: bool = False
    left: tuple[int, ...] = ()
    text: Words = ""


class ModeAnswer(Answer):
    """The result of ``mode``: MultiPoint's ``SystemMode`` before and after, as the host words it (W27)."""

    now: CimTime
    boot: CimTime | None = None
    accepted: bool
    left: tuple[int, ...] = ()
    before: Name | None = None
    after: Name | None = None
    text: Words = ""


class OrderPower(Snippet):
    """``Invoke-MpsbridgePower``: restart, shut down, or call off."""

    name: ClassVar[str] = "power"
    effect: ClassVar[Effect] = Effect.DISRUPT
    action: Literal["restart", "shutdown", "abort"]
    allowed: AllowedSessions = ()
    reason: Reason = ""
    not_after: CimTime
    run: RunId
    lease: LeaseDemand = "free"
    time_limit_s: int = Field(default=20, ge=1, le=300)

    @classmethod
    def read(cls, output: RawOutput, _check: Check = unhurried) -> PowerAnswer:
        """Whether Windows took the order. Raises ``RemoteError`` and ``ParseError``."""
        return cls.answered(output, PowerAnswer)


class SwitchMode(Snippet):
    """``Set-MpsbridgeMode``: MultiPoint's console or station mode."""

    name: ClassVar[str] = "mode"
    effect: ClassVar[Effect] = Effect.DISRUPT
    mode: Literal["console", "station"]
    allowed: AllowedSessions = ()
    not_after: CimTime
    run: RunId
    lease: LeaseDemand = "free"
    time_limit_s: int = Field(default=60, ge=1, le=300)

    @classmethod
    def read(cls, output: RawOutput, _check: Check = unhurried) -> ModeAnswer:
        """The mode before and after. Raises ``RemoteError`` and ``ParseError``."""
        return cls.answered(output, ModeAnswer)
