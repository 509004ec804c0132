"""What all documents have in common: head, outcome of one host, failure, verdict.

Rules: a model takes from a value of the domain what it declares, and nothing else; every declared key is always there,
but those few that a model names as optional.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from mpsbridge.models import outcomes as domain
from mpsbridge.models.sessions import Result
from mpsbridge.runs.verdict import RunVerdict, Verdict

V = TypeVar("V", bound="Value")


class Published(BaseModel):
    """A part of a document: made from any value that has attributes of these names."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        from_attributes=True,
        json_schema_serialization_defaults_required=True,
        defer_build=True,  # what a call does not print is not built: half the time that loading takes
    )

    @classmethod
    def of(cls, value: object) -> Self:
        """What a value of the domain tells to other programs."""
        return cls.model_validate(value)

    def as_json(self) -> dict[str, Any]:
        """It as plain data, ready for JSON."""
        return self.model_dump(mode="json", by_alias=True)


class Value(Published):
    """What a command tells of one host; as CSV in rows with these ``fields``."""

    @classmethod
    def fields(cls) -> tuple[str, ...]:
        """The names of what stands in a row."""
        return tuple(cls.model_fields)

    def records(self) -> list[dict[str, Any]]:
        """The same as flat rows, for CSV."""
        return [self.as_json()]


class Failure(Published):
    """Why something failed, whether it may have run all the same, and what to try next."""

    kind: str
    message: str
    hint: str
    may_have_run: bool


class WithOptionalKeys(Published):
    """A part of a document in which some keys are absent where there is nothing to say."""

    optional_keys: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_empty_keys(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = dump(self)
        return {key: value for key, value in dumped.items() if value or key not in self.optional_keys}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The fields as declared (a serializer of one's own hides them), with some that may be absent."""
        found = handler({key: value for key, value in core.items() if key != "serialization"})
        fields = handler.resolve_ref_schema(found)
        fields["required"] = [key for key in fields["required"] if key not in cls.optional_keys]
        return found


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


class ActDocument(HostsDocument[V], Generic[V]):
    """What became of each host, and of the whole call."""

    verdict: Verdict
    counts: Counts

    @classmethod
    def judged(cls, command: str, outcomes: Sequence[domain.Outcome[Any]], verdict: RunVerdict) -> Self:
        """The answer of a command that acts, or would act."""
        told = {"verdict": verdict.verdict, "counts": verdict}
        return cls.model_validate({"command": command, "outcomes": tuple(outcomes), **told})
