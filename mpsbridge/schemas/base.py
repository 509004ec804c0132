"""What all documents have in common: head, outcome of one host, failure, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import Field

from mpsbridge.models import outcomes as domain
from mpsbridge.models.sessions import Result
from mpsbridge.runs.verdict import Verdict
from mpsbridge.schemas.published import Published, Value, WithOptionalKeys

V = TypeVar("V", bound="Value")


class Failure(Published):
    """Why something failed, whether it may have run all the same, and what to try next."""

    kind: str
    message: str
    hint: str
    may_have_run: bool


class _OfOneHost(WithOptionalKeys):
    """``note`` says what was unusual on the way to the outcome."""

    optional_keys = frozenset({"note"})


class Done(_OfOneHost, Generic[V]):
    """The host answered; ``elapsed_s`` is in seconds."""

    status: Literal["done"]
    host: str
    address: str
    elapsed_s: float
    value: V
    note: str = ""


class Failed(_OfOneHost):
    """The host, or the way to it, failed."""

    status: Literal["failed"]
    host: str
    address: str
    elapsed_s: float
    failure: Failure
    note: str = ""


class Skipped(_OfOneHost):
    """Nothing was done to this host, and that is no failure of the host."""

    status: Literal["skipped"]
    host: str
    address: str
    elapsed_s: float
    reason: str
    note: str = ""


class Document(Published):
    """The head of every document that a command prints."""

    schema_: Literal["mpsbridge/1"] = Field(default="mpsbridge/1", alias="schema")
    command: str


class ErrorDocument(Document):
    """A command that was stopped before any host was asked."""

    error: Failure


class HostsDocument(Document, Generic[V]):
    """What became of each host, in the order in which they were named."""

    outcomes: tuple[Annotated[Done[V] | Failed | Skipped, Field(discriminator="status")], ...]

    @classmethod
    def about(cls, command: str, outcomes: Sequence[domain.Outcome[Any]]) -> Self:
        """The answer of a command that looks."""
        return cls.model_validate({"command": command, "outcomes": tuple(outcomes)})


class Counts(Published):
    """How many hosts have which verdict, and how many sessions which result; what there is none of is absent."""

    hosts: dict[Verdict, int]
    sessions: dict[Result, int]
