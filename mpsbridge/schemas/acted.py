"""The document of a command that acts: with its verdict, and with what is known of hosts that broke off half-way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import Field

from mpsbridge.models import outcomes as domain
from mpsbridge.runs.verdict import RunVerdict, Verdict
from mpsbridge.schemas.base import Counts, Done, Failed, HostsDocument, Skipped
from mpsbridge.schemas.published import Value
from mpsbridge.schemas.sessions import SessionResult

V = TypeVar("V", bound=Value)


class BrokenOff(Failed):
    """The host, or the way to it, failed; ``sessions`` are what became of each, as the record tells it."""

    optional_keys = frozenset({"note", "sessions"})

    sessions: tuple[SessionResult, ...] = ()


class ActDocument(HostsDocument[V], Generic[V]):
    """What became of each host, and of the whole call."""

    outcomes: tuple[Annotated[Done[V] | BrokenOff | Skipped, Field(discriminator="status")], ...]
    verdict: Verdict
    counts: Counts

    @classmethod
    def judged(cls, command: str, outcomes: Sequence[domain.Outcome[Any]], verdict: RunVerdict) -> Self:
        """The answer of a command that acts, or would act."""
        told = {"verdict": verdict.verdict, "counts": verdict}
        return cls.model_validate({"command": command, "outcomes": tuple(outcomes), **told})
