"""What became of the sessions of a host that stopped: what the record says, and nothing else.

Rule: every operation that acts on sessions asks here, after the last word on its hosts is in the record, so that table,
JSON and counts tell of the people that history and report tell of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from mpsbridge.errors import JournalError, JournalLost
from mpsbridge.models.outcomes import Failed, Outcome
from mpsbridge.reports.chronicle import host_report
from mpsbridge.runs.journal import Journal

V = TypeVar("V")


def with_sessions(journal: Journal, run: str, outcomes: Sequence[Outcome[V]], *, command: str) -> list[Outcome[V]]:
    """The outcomes, those of hosts that failed with their sessions, as far as the record can be read."""
    return [_with_sessions(journal, run, one, command) if isinstance(one, Failed) else one for one in outcomes]


def _with_sessions(journal: Journal, run: str, outcome: Failed, command: str) -> Failed:
    try:
        entries = journal.entries(run, host=outcome.host, whole=False)
    except (JournalError, JournalLost):  # the end of the run says so
        return outcome
    return outcome.model_copy(update={"sessions": host_report(outcome.host, entries, command=command).settled})
