"""One host that answers by itself, the record, and runs of the procedure on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mpsbridge.models.sessions import LogonMode
from mpsbridge.planning.policy import Policy
from mpsbridge.planning.selection import Selector
from mpsbridge.procedure.context import ProcedureContext
from mpsbridge.procedure.past import past_of
from mpsbridge.procedure.procedure import end_sessions
from mpsbridge.runs.ended import EndValue
from mpsbridge.runs.events import Event
from mpsbridge.runs.journal import Journal
from support.fake_clock import FakeClock
from support.fake_host import FakeHost
from support.records import steps_in


class Stage:
    """One run after another on one host."""

    def __init__(self, host: FakeHost, journal: Journal) -> None:
        self.host = host
        self.journal = journal
        self.events: list[Event] = []
        self.stop = threading.Event()

    def run(self, run: str = "r-1", **policy: Any) -> EndValue:
        if run not in {each.id for each in self.journal.runs()}:
            self.journal.begin(run, command="end", reason="updates", options={})
        values: dict[str, Any] = {
            "selector": Selector(everyone=True),
            "reason": "updates",
            "warn_s": (300, 60),
            **policy,
        }
        context = ProcedureContext(
            self.host,
            run=run,
            policy=Policy(**values),
            owner="admin@box",
            journal=self.journal,
            clock=self.host.clock,
            stop=self.stop,
            on_event=self.events.append,
            past=past_of(self.journal.entries(run, host=self.host.name)),
        )
        return end_sessions(context)

    @property
    def steps(self) -> list[str]:
        return steps_in(self.journal.entries("r-1"))


def results(value: EndValue) -> dict[str, str]:
    return {one.session.user: one.result.value for one in value.sessions}


def clean(host: FakeHost) -> bool:
    return host.lease is None and host.failsafe is None and host.mode is LogonMode.ENABLED


def two_people() -> FakeHost:
    """A host on which alice and bob are."""
    host = FakeHost(FakeClock())
    host.log_on(2, "alice")
    host.log_on(3, "bob")
    return host


@contextmanager
def stage_of(host: FakeHost, folder: Path) -> Iterator[Stage]:
    """Runs on that host, and their record in the folder."""
    with Journal(folder / "journal.sqlite", clock=host.clock) as journal:
        yield Stage(host, journal)
