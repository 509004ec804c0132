"""The answers of ``history``: all runs, all that one did, or what was done to sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import AwareDatetime, JsonValue

from mpsbridge.models.sessions import Result
from mpsbridge.reports.history import Deed
from mpsbridge.runs.journal import Entry
from mpsbridge.runs.journal import Run as RecordedRun
from mpsbridge.runs.verdict import Verdict
from mpsbridge.schemas.base import Document
from mpsbridge.schemas.events import event_json
from mpsbridge.schemas.published import Published


class RunVerdict(Published):
    """What became of a run, with how many hosts and sessions of each kind; ``is_interrupted``: a person broke it off,
    or it died.
    """

    verdict: Verdict
    hosts: dict[Verdict, int]
    sessions: dict[Result, int]
    is_interrupted: bool
    note: str


class Run(Published):
    """One run, as it was begun and as it ended; ``options`` are what it was asked to do."""

    id: str
    command: str
    reason: str
    owner: str
    pid: int
    job: str | None
    options: dict[str, JsonValue]
    started: AwareDatetime
    ended: AwareDatetime | None
    verdict: RunVerdict | None


class ListedRun(Run):
    """The same in a list; ``at_work``: a process of this machine carries it out now."""

    at_work: bool

    @classmethod
    def listed(cls, run: RecordedRun, *, at_work: bool) -> Self:
        """A run of the record, and whether it is at work."""
        return cls(**dict(Run.of(run)), at_work=at_work)


class RunsDocument(Document):
    """All runs, the newest first; ``unreadable`` names the rows of the record that were passed over."""

    runs: tuple[ListedRun, ...]
    unreadable: tuple[str, ...]

    @classmethod
    def listing(cls, runs: Sequence[ListedRun], unreadable: Sequence[str]) -> Self:
        """The answer of ``history``."""
        return cls(command="history", runs=tuple(runs), unreadable=tuple(unreadable))


class RunDocument(Document):
    """One run and everything that happened in it, in order."""

    run: Run
    entries: tuple[dict[str, JsonValue], ...]

    @classmethod
    def telling(cls, run: RecordedRun, entries: Sequence[Entry]) -> Self:
        """The answer of ``history RUN``."""
        return cls(command="history", run=Run.of(run), entries=tuple(event_json(entry) for entry in entries))


class DeedsDocument(Document):
    """What runs did to sessions: one entry for each, in the order of the runs, the newest first."""

    sessions: tuple[Deed, ...]

    @classmethod
    def about(cls, deeds: Sequence[Deed]) -> Self:
        """The answer of ``history --user`` and ``--host``."""
        return cls(command="history", sessions=tuple(deeds))
