"""What became of one host, as data: done, failed or skipped. Only the fleet turns errors into these."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field

from mpsbridge.errors import MpsBridgeError, Refused
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.sessions import SessionResult

V = TypeVar("V")
REFUSED = "refused: "
"""How the reason of a host begins that refuses what was asked."""


class Failure(Frozen):
    """An error as data."""

    kind: str
    message: str
    hint: str = ""
    may_have_run: bool

    @classmethod
    def of(cls, error: MpsBridgeError) -> Failure:
        """The same facts as the error, without the live exception."""
        return cls(kind=error.kind, message=error.message, hint=error.hint, may_have_run=error.may_have_run)


class _OfOneHost(Frozen):
    """``note`` says what was unusual on the way to the outcome."""

    note: str = Field(default="", repr=False)


class Done(_OfOneHost, Generic[V]):
    """The host answered."""

    status: Literal["done"] = "done"
    host: str
    address: str
    elapsed_s: float
    value: V


class Failed(_OfOneHost):
    """The host, or the way to it, failed; ``sessions`` are what became of each, as the record tells it."""

    status: Literal["failed"] = "failed"
    host: str
    address: str
    elapsed_s: float
    failure: Failure
    sessions: tuple[SessionResult, ...] = Field(default=(), repr=False)


class Skipped(_OfOneHost):
    """Nothing was done to this host, and that is no failure of the host."""

    status: Literal["skipped"] = "skipped"
    host: str
    address: str
    elapsed_s: float
    reason: str
    kind: str = Field(default=Refused.kind, repr=False)
    """The kind of the error that stands behind it: it was refused, or its turn never came."""

    @property
    def is_refusal(self) -> bool:
        """Whether the plan, or the host's lease, refused what was asked."""
        return self.kind == Refused.kind

    @classmethod
    def instead_of(cls, outcome: Done[Any] | Failed | Skipped, reason: str, *, kind: str = Refused.kind) -> Skipped:
        """The same host, with nothing done to it, and why."""
        return cls(host=outcome.host, address=outcome.address, elapsed_s=outcome.elapsed_s, reason=reason, kind=kind)


Outcome = Annotated[Done[V] | Failed | Skipped, Field(discriminator="status")]
