"""``observe`` and ``look``: all that one look at a host tells, and the small look for waiting (W16)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from mpsbridge.models.answers import ObserveAnswer
from mpsbridge.models.scripts import Effect, RawOutput
from mpsbridge.models.sessions import Observation
from mpsbridge.parsing.observation import Check, beside_tables, observe
from mpsbridge.snippets.envelope import open_envelope
from mpsbridge.snippets.fields import ProgramName
from mpsbridge.snippets.snippet import Snippet, unhurried


class LookingSnippet(Snippet):
    """Both are answered by an observation, the small one with less in it; ``time_limit_s`` bounds each program."""

    effect: ClassVar[Effect] = Effect.READ
    time_limit_s: int = Field(default=20, ge=1, le=300)

    @classmethod
    def read(cls, output: RawOutput, check: Check = unhurried) -> Observation:
        """What was seen. Raises ``RemoteError`` (``Blind`` too) and ``ParseError``; ``check`` may end the reading."""
        envelope = open_envelope(cls.name, output)
        return observe(envelope.answer(ObserveAnswer), envelope.problems, check)


class Look(LookingSnippet):
    """``Get-MpsbridgeLook``: who is there, the logon mode, the boot and the lease."""

    name: ClassVar[str] = "look"


class LookBesideTables(Look):
    """The same script, of whose answer the tables are not read: for those who ask who holds a host, and nobody else."""

    @classmethod
    def read(cls, output: RawOutput, _check: Check = unhurried) -> Observation:
        """What was seen of the host itself, without a session. Raises ``RemoteError`` and ``ParseError``."""
        envelope = open_envelope(cls.name, output)
        return beside_tables(envelope.answer(ObserveAnswer), envelope.problems)


class Observe(LookingSnippet):
    """``Get-MpsbridgeObservation``: all that a decision needs. ``programs`` are looked for in every session (W38)."""

    name: ClassVar[str] = "observe"
    programs: tuple[ProgramName, ...] = Field(default=(), max_length=32)
