"""A run that is killed at a moment of its work, gone on with, and held against the promises."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from mpsbridge.lab.server import Lab
from mpsbridge.lab.wire.connection import Record
from mpsbridge.lab.worldfile import build_world
from mpsbridge.runs.journal import Journal
from support.forked_calls import Called, ForkedCalls
from support.lab_target import variables
from support.reserved import lease_of, task_of
from support.shared_clock import SharedClock

HOST: dict[str, Any] = {
    "name": "alpha",
    "restart_s": 40,
    "sessions": [
        {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "2h"},
        {"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "logon": "1h", "logoff_s": 3},
    ],
}
ADMIN = {"id": 4, "user": "root", "admin": True, "session_name": "rdp-tcp#3", "logon": "1h"}
CALLS = {
    "restart": ["end", "alpha", "--all", "--warn", "2m,1m", "--then", "restart", "--yes"],
    "end": ["end", "alpha", "--all", "--warn", "2m,1m", "--yes"],
    "logoff": ["logoff", "alpha", "--user", "alice", "--user", "bob", "--yes"],
}


class Stage:
    """One host, one record, and calls about them one after the other."""

    def __init__(self, what: str, calls: ForkedCalls, folder: Path, faults: Sequence[dict[str, Any]] = ()) -> None:
        folder.mkdir()
        self.what = what
        self.clock = folder / "clock"
        self.journal = folder / "journal.sqlite"
        self._settings = folder / "settings.toml"
        self._settings.touch()
        self._output = folder / "printed"
        self._calls = calls
        people = HOST["sessions"] if what == "restart" else [*HOST["sessions"], ADMIN]
        clock = SharedClock(self.clock)
        self.lab = KillingLab(
            build_world({"hosts": [{**HOST, "sessions": people, "faults": list(faults)}]}, clock),
            auth="basic",
            clock=clock,
        )

    def call(self, *words: str, beside: ForkedCalls | None = None, **how: Any) -> Called:
        """One call about the host, or one ``beside`` another; ``how`` is for :meth:`ForkedCalls.call`."""
        environment = {
            **variables(self.lab),
            "MPSBRIDGE_JOURNAL": str(self.journal),
            "MPSBRIDGE_SETTINGS": str(self._settings),
        }
        return (beside or self._calls).call(
            words,
            clock=self.clock,
            environment=environment,
            output=self._output.with_suffix(".beside") if beside else self._output,
            **how,
        )

    def begin(self, *more: str, **how: Any) -> Called:
        """The call that is to be killed, or disturbed in another way."""
        return self.call(*CALLS[self.what], *more, **how)

    def finish(self, *, release: bool) -> None:
        """Do what a person does who finds a run that was killed, until all is as an undisturbed one leaves it."""
        with Journal(self.journal) as journal:
            recorded, is_open = bool(journal.runs()), bool(journal.runs(only_open=True))
        if not recorded:  # it died before it began
            begun = self.begin()
            assert begun.code == 0, begun.printed
        elif self.what == "logoff":  # it holds nothing, so it is simply asked for again, of whoever is left
            for user in ("alice", "bob"):
                again = self.call("logoff", "alpha", "--user", user, "--yes")
                assert again.code in {0, 3}, again.printed  # 3: found nowhere
        elif release:
            released = self.call("release", "alpha", "--yes")
            assert released.code == 0, released.printed
        elif is_open:
            resumed = self.call("resume", "--yes")
            assert resumed.code == 0, resumed.printed
            with Journal(self.journal) as journal:
                assert journal.runs(only_open=True) == []

    def acts(self, act: str) -> list[str | None]:
        return [change.user for change in self.lab.changes if change.act == act]


class KillingLab(Lab):
    """Kills a process when it has noted so many requests: the host has done what was asked, and nobody hears of it."""

    kill_after = 0
    victim: int | None = None

    def _note_request(self, record: Record) -> None:
        super()._note_request(record)
        if self.victim is not None and len(self.requests) == self.kill_after:
            os.kill(self.victim, signal.SIGKILL)


def check(stage: Stage, *, whole: bool = True) -> None:
    """The same people ended, nobody twice and nobody else; boxes as they should be; one restart; logons as before."""
    ended = stage.acts("logoff")
    assert len(ended) == len(set(ended)), ended
    assert set(ended) <= {"alice", "bob"}
    assert stage.acts("reset") == []
    if stage.what != "logoff":
        check_boxes(stage.lab)
    restarts = len(stage.acts("restart"))
    assert restarts <= (stage.what == "restart")
    if whole:
        assert set(ended) == {"alice", "bob"}
        assert restarts == (stage.what == "restart")
    stage.lab.world.clock.wait(600)  # where it died while giving back, the failsafe does the rest
    with stage.lab.world.changing() as hosts:
        host = hosts["alpha"]
        left = {each.user for each in host.rows()}
        assert (lease_of(host), task_of(host), host.logon_mode) == (None, None, "enabled")
    assert left == (set() if stage.what == "restart" else {"root"}) or not whole


def check_boxes(lab: Lab) -> None:
    """Nobody sees a notice of one end twice, and who is ended was told of that very end, which has just come."""
    told: dict[str | None, list[tuple[str, str]]] = {}
    for change in lab.changes:
        boxes = told.setdefault(change.user, [])
        if change.act == "message" and "is cancelled" in change.text:
            boxes.clear()
        elif change.act == "message":
            found = re.search(r"in (\d+ (?:min|seconds?)), at (\d\d:\d\d)\.", change.text)
            assert found, change.text
            assert found.groups() not in boxes, change
            boxes.append((found[1], found[2]))
        elif change.act == "logoff":
            assert boxes, f"{change.user} was ended unwarned"
            at = datetime.fromisoformat(change.at)
            hour, minute = map(int, boxes[-1][1].split(":"))
            late_s = (at - at.replace(hour=hour, minute=minute, second=0, microsecond=0)).total_seconds() % 86_400
            assert late_s < 180, f"{change.user} was told {boxes[-1]}, and ended at {at}"


@contextmanager
def staged(what: str, calls: ForkedCalls, folder: Path, faults: Sequence[dict[str, Any]] = ()) -> Iterator[Stage]:
    stage = Stage(what, calls, folder, faults)
    with stage.lab:
        yield stage
