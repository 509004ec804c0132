"""Records of whole runs for tests of reports: the real procedure on make-believe hosts, each with its own clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from mpsbridge.errors import MpsBridgeError
from mpsbridge.models.sessions import State
from mpsbridge.models.then import Then
from mpsbridge.reports.summary import judge, make_report
from mpsbridge.runs.journal import Entry, Journal, Run
from support.fake_clock import FakeClock
from support.fake_host import FakeHost
from support.stage import Stage

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=timezone(timedelta(hours=1)))
RUN = "20261125-110000-cafe"
HOSTS = ("school-1", "school-2", "school-3", "school-4", "school-5")


class PastRun:
    """One run over several hosts in one journal, made host by host."""

    def __init__(self, folder: Path, *, hosts: tuple[str, ...] = HOSTS, reason: str = "security updates") -> None:
        self.path = folder / "journal.sqlite"
        with Journal(self.path, clock=FakeClock(NOON)) as journal:
            journal.begin(RUN, command="end", reason=reason, options={"hosts": list(hosts)})

    def on(self, name: str, prepare: Callable[[FakeHost], object], **policy: Any) -> None:
        """The procedure on one host; an error of it is in the record, and that is all that counts here."""
        clock = FakeClock(NOON)
        host = FakeHost(clock, name=name)
        prepare(host)
        values: dict[str, Any] = {"then": Then.RESTART, "warn_s": (900, 300, 60), **policy}
        with Journal(self.path, clock=clock) as journal:
            try:
                Stage(host, journal).run(RUN, **values)
            except MpsBridgeError:
                return

    def end(self, minutes: int = 40) -> None:
        """The run's own end."""
        with Journal(self.path, clock=FakeClock(NOON + timedelta(minutes=minutes))) as journal:
            told = make_report(journal.find(RUN), journal.entries(RUN))
            journal.end(RUN, judge(told.hosts))

    @property
    def told(self) -> tuple[Run, list[Entry]]:
        """What a report is made of."""
        with Journal(self.path) as journal:
            return journal.find(RUN), journal.entries(RUN)


def eventful_run(folder: Path) -> PastRun:
    """Five hosts: back after a restart, a hung log-off, a lost connection, a refusal, and one never begun."""
    past = PastRun(folder)
    past.on("school-1", _busy)
    past.on("school-2", _hung, then=Then.NOTHING, settle_s=60)
    past.on("school-3", _lost)
    past.on("school-4", _disconnected)
    past.end()
    return past


def _busy(host: FakeHost) -> None:
    host.reboot_s = 210
    host.log_on(2, "alice")
    host.log_on(3, "bob", leaves_at=NOON + timedelta(minutes=6, seconds=20))
    host.log_on(4, "carol", leaves_at=NOON + timedelta(minutes=12))
    host.log_on(5, "dave")

    def arrive(seen: FakeHost) -> None:
        now = seen.clock.now()
        if NOON + timedelta(minutes=8) <= now < NOON + timedelta(minutes=9) and 9 not in seen.people:
            seen.log_on(9, "erin")

    host.on_look = arrive


def _hung(host: FakeHost) -> None:
    host.log_on(2, "frank", hung=True)
    host.log_on(3, "grace")
    host.log_on(4, "heidi", admin=True)


def _lost(host: FakeHost) -> None:
    host.log_on(2, "ivan")
    host.log_on(3, "judy")
    host.lose("logoff")


def _disconnected(host: FakeHost) -> None:
    host.log_on(2, "mallory")
    host.log_on(3, "niaj", state=State.DISCONNECTED)
