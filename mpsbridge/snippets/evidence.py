"""``evidence``: what only a real host can tell about Windows, beside what ``observe`` asks of every host."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, JsonValue

from mpsbridge.models.answers import Name, Words
from mpsbridge.models.frozen import Answer
from mpsbridge.models.scripts import Effect, RawOutput
from mpsbridge.parsing.observation import Check
from mpsbridge.snippets.snippet import Snippet, unhurried


class FailureAnswer(Answer):
    """Why a question has no value, in PowerShell's own words: its id and category, which no language translates."""

    id: Name = ""
    category: Name = ""
    message: Words = ""


class StepAnswer(Answer):
    """One question: how long it took there, and its value or its failure."""

    step: Name
    ms: Annotated[int, Field(ge=0)] = 0
    value: JsonValue = None
    failure: FailureAnswer | None = None


class EvidenceAnswer(Answer):
    """The result of ``evidence``."""

    steps: tuple[StepAnswer, ...] = ()


class ReadEvidence(Snippet):
    """``Get-MpsbridgeEvidence``: only reads. ``time_limit_s`` bounds each program."""

    name: ClassVar[str] = "evidence"
    effect: ClassVar[Effect] = Effect.READ
    time_limit_s: int = Field(default=20, ge=1, le=300)

    @classmethod
    def read(cls, output: RawOutput, _check: Check = unhurried) -> EvidenceAnswer:
        """What the host told. Raises ``RemoteError`` and ``ParseError``."""
        return cls.answered(output, EvidenceAnswer)
