"""What the whole procedure came to on one host."""

from __future__ import annotations

from mpsbridge.models.frozen import Frozen
from mpsbridge.models.sessions import SessionResult
from mpsbridge.models.then import Then
from mpsbridge.runs.verdict import HostFacts


class Turn(Frozen):
    """When a host of a plan would begin and be done: in which wave (from 1), and seconds after the start of the run.

    A host takes as long as its notices and log-offs may; the time of restarts is not known before, and not counted.
    """

    wave: int
    begins_s: int
    ends_s: int


PLANNED = "planned"
"""The outcome of a host with work, in a dry run."""


class EndValue(Frozen):
    """What became of one host; ``outcome`` in words: ``done``, ``back``, ``went quiet``, ``nothing to do``."""

    run: str
    dry_run: bool
    sessions: tuple[SessionResult, ...]
    then: Then
    outcome: str
    problems: tuple[str, ...] = ()
    given_back: bool = True
    """Whether nothing that keeps people or other runs out was left on the host."""
    turn: Turn | None = None
    """Of a host with work in the dry run of a plan; ``None`` otherwise."""

    @property
    def facts(self) -> HostFacts:
        """What the verdict on the host is made of."""
        return HostFacts(results=tuple(one.result for one in self.sessions), given_back=self.given_back)
