"""``lease``: who holds the host, written by compare-and-set (W22)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from mpsbridge.models.frozen import Answer
from mpsbridge.models.scripts import Effect, RawOutput
from mpsbridge.models.sessions import CimTime
from mpsbridge.parsing.observation import Check
from mpsbridge.snippets.fields import RunId
from mpsbridge.snippets.snippet import Snippet, unhurried

LEASE_LIMIT = 250_000
"""Characters of a lease, mostly the marks of its notices: about two thousand of them."""


class LeaseAnswer(Answer):
    """The result of ``lease``: the lease file's text as it is now (null: none), and whether this call wrote it."""

    now: CimTime
    changed: bool
    lease: str | None = None


class WriteLease(Snippet):
    """``Set-MpsbridgeLease``: the lease file becomes ``text`` if it still holds ``expected``.

    ``text`` null removes it, ``expected`` null demands that there is none. A text that is not a lease is refused on the
    host; one that could not be read there is ``""``, as in an observation; ``sha256:`` and 64 hexadecimal digits stand
    for the text with that digest (as UTF-8), which need not be one that a script can carry. ``run`` is the run that
    asks.
    """

    name: ClassVar[str] = "lease"
    effect: ClassVar[Effect] = Effect.DISRUPT
    text: str | None = Field(max_length=LEASE_LIMIT)
    expected: str | None = Field(max_length=LEASE_LIMIT)
    not_after: CimTime
    run: RunId

    @classmethod
    def read(cls, output: RawOutput, _check: Check = unhurried) -> LeaseAnswer:
        """The lease as it is now. Raises ``RemoteError`` and ``ParseError``."""
        return cls.answered(output, LeaseAnswer)
