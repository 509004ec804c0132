"""What stands in a run's record, in short: for tests that ask what was sent, and in what order."""

from __future__ import annotations

from collections.abc import Iterable

from mpsbridge.runs.events import StepSent
from mpsbridge.runs.journal import Entry
from mpsbridge.runs.verdict import RunVerdict, Verdict

DONE = RunVerdict(verdict=Verdict.DONE)
UNKNOWN = RunVerdict(verdict=Verdict.UNKNOWN)


def steps_in(entries: Iterable[Entry]) -> list[str]:
    """The steps that were sent, in order."""
    return [entry.what.step.value for entry in entries if isinstance(entry.what, StepSent)]


def names_in(entries: Iterable[Entry]) -> list[str]:
    """What happened, in order: a step that was sent by its own name, the rest by the event's."""
    return [entry.what.step.value if isinstance(entry.what, StepSent) else entry.what.event for entry in entries]
