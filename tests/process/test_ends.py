"""Every command that acts, while its output fails or signals come: a real process, a real host behind real WinRM.

Whatever happens, the host is given back or the call says what is held; the exit code, the record and the host agree;
what was done is told on some stream that is alive; no traceback; and the process ends within 20 seconds.

Each row (command) is tried with each column (disturbance) at each moment that both have, some 170 cases. They are
forked from a warm process and live by a clock that hurries, so that a case takes about a fifth of a second and the
whole table can be tried each time. Two equal signals within a millisecond mostly arrive as one: what becomes of two
that do not is proved in ``test_leaving``.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import pytest
from support.forked_calls import Called, ForkedCalls
from support.lab_target import variables
from support.records import steps_in
from support.reserved import lease_of, task_of
from support.shared_clock import SharedClock

from mpsbridge.lab.server import Lab
from mpsbridge.lab.windows.world import Change
from mpsbridge.lab.wire.connection import Record
from mpsbridge.lab.worldfile import build_world
from mpsbridge.runs.journal import Journal, Run

LIMIT_S = 20
PEOPLE = [
    {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "2h"},
    {"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "logon": "1h"},
    {"id": 4, "user": "root", "admin": True, "session_name": "rdp-tcp#3", "logon": "1h"},
]
PLAN = """schema = "mpsbridge-plan/1"
hosts = ["alpha"]
reason = "updates"
then = "restart"

[notices]
at = ["2m", "1m"]
"""
MATRIX_CALLS: dict[str, tuple[str, ...]] = {
    "message": ("message", "alpha", "--all", "--text", "hello"),
    "disconnect": ("disconnect", "alpha", "--user", "alice", "--yes"),
    "logoff": ("logoff", "alpha", "--user", "alice", "--yes"),
    "logons": ("logons", "alpha", "--set", "drain", "--yes"),
    "hold": ("hold", "alpha", "--reason", "disks"),
    "end": ("end", "alpha", "--all", "--warn", "2m,1m", "--yes"),
    "restart": ("end", "alpha", "--all", "--warn", "2m,1m", "--then", "restart", "--yes"),
    "maintain": ("maintain", "PLAN", "--yes"),
    "resume": ("resume", "--yes"),
    "release": ("release", "alpha", "--yes"),
}
ANSWERS = {
    "message": "message shown in 3 of 3 sessions on 1 host",
    "disconnect": "1 of 1 session disconnected",
    "logoff": "1 of 1 session logged off",
    "logons": "logon mode of 1 host",
    "hold": "1 of 1 host held",
    "release": "released",
}
"""What stands in the answer of a call that went well; the others say ``alpha: done`` or ``back``."""
PROCEDURES = ("end", "restart", "maintain", "resume")
MOMENTS: dict[str, tuple[str, ...]] = {
    "message": ("before", "message"),
    "disconnect": ("before", "disconnect"),
    "logoff": ("before", "logoff"),
    "logons": ("before", "logons"),
    "hold": ("before", "file"),
    "release": ("before", "file", "logons"),
    "end": ("before", "file", "logons", "message", "logoff", "task"),
    "restart": ("before", "file", "logons", "message", "logoff", "restart"),
    "maintain": ("before", "message", "restart"),
    "resume": ("before", "file", "logoff", "restart"),
}
"""When signals come: at the first request, or at a change of that kind on the host."""
Streams = Mapping[int, Literal["closed", "full", "left"]]
OUTPUTS: dict[str, Streams] = {
    "stdout closed": {1: "closed"},
    "stdout full": {1: "full"},
    "| true": {1: "left"},
    "stderr closed": {2: "closed"},
    "stderr full": {2: "full"},
    "2>&1 | true": {1: "left", 2: "left"},
    ">&- 2>&-": {1: "closed", 2: "closed"},
}
SIGNALS = {"HUP": [signal.SIGHUP], "TERM twice": [signal.SIGTERM] * 2, "INT, TERM": [signal.SIGINT, signal.SIGTERM]}


class Disturbance(NamedTuple):
    """What happens to a call: to its streams and the file for its events, or signals at a moment."""

    streams: Streams = MappingProxyType({})
    events: str | None = None
    signals: Sequence[signal.Signals] = ()
    moment: str = "before"


class DisturbingLab(Lab):
    """Sends signals to a process when something happens on the host."""

    victim: int | None = None
    disturbance = Disturbance()

    def _note_request(self, record: Record) -> None:
        super()._note_request(record)
        self._strike("before")

    def _note_change(self, change: Change) -> None:
        super()._note_change(change)
        self._strike(change.act)

    def _strike(self, moment: str) -> None:
        if self.victim is not None and moment == self.disturbance.moment:
            for number in self.disturbance.signals:
                os.kill(self.victim, number)
            self.victim = None


class Stage:
    """One host, one record, and calls about them."""

    def __init__(self, calls: ForkedCalls, folder: Path, *, people: list[dict[str, Any]]) -> None:
        self.journal = folder / "journal.sqlite"
        self.variables: dict[str, str] = {}
        self._calls = calls
        self._folder = folder
        self._clock = folder / "clock"
        clock = SharedClock(self._clock)
        world = build_world({"hosts": [{"name": "alpha", "restart_s": 40, "sessions": people}]}, clock)
        self.lab = DisturbingLab(world, auth="basic", clock=clock)
        (folder / "settings.toml").touch()
        (folder / "plan.toml").write_text(PLAN, encoding="utf-8")

    def call(self, words: Sequence[str], disturbance: Disturbance | None = None, **how: Any) -> Called:
        environment = {
            **variables(self.lab),
            "MPSBRIDGE_JOURNAL": str(self.journal),
            "MPSBRIDGE_SETTINGS": str(self._folder / "settings.toml"),
            **self.variables,
        }
        given = [str(self._folder / "plan.toml") if word == "PLAN" else word for word in words]
        if disturbance is not None:
            self.lab.disturbance = disturbance
            how |= {"streams": disturbance.streams, "began": lambda pid: setattr(self.lab, "victim", pid)}
            given += ["--events", disturbance.events] if disturbance.events else []
        output = self._folder / "printed"
        called = self._calls.call(
            given, clock=self._clock, environment=environment, output=output, limit_s=LIMIT_S, **how
        )
        self.lab.victim = None
        return called

    @property
    def runs(self) -> list[Run]:
        with Journal(self.journal) as journal:
            return journal.runs()

    def acts(self, act: str) -> list[str | None]:
        return [change.user for change in self.lab.changes if change.act == act]


@pytest.fixture(scope="module")
def calls() -> Iterator[ForkedCalls]:
    with ForkedCalls() as made:
        yield made


VERDICTS = {0: {"done"}, 1: {"done", "partly", "failed"}, 3: {"refused"}, 4: {"unknown"}, 130: {"stopped", "done"}}
"""What the record says of a run that has ended, by the exit code of its call; 1 also where only the answer was lost."""


def prepared(what: str, stage: Stage) -> None:
    """What must have happened before the call can be made: for some, a run that was killed in the middle."""
    if what in {"resume", "release"}:
        killed = stage.call(MATRIX_CALLS["restart"], kill_after=20)
        assert killed.code == -signal.SIGKILL
        assert stage.acts("message")
        assert stage.acts("logoff") == []


def disturbed(what: str, disturbance: Disturbance, calls: ForkedCalls, folder: Path) -> None:
    """One case: make the call, disturb it, and look whether everything agrees."""
    ends_all = what in {"restart", "maintain", "resume", "release"}
    folder.mkdir()
    stage = Stage(calls, folder, people=PEOPLE[:2] if ends_all else PEOPLE)
    with stage.lab:
        prepared(what, stage)
        called = stage.call(MATRIX_CALLS[what], disturbance)
        case = f"{what}, {disturbance}: {called}, {stage.runs}, {[change.act for change in stage.lab.changes]}"
        assert called.code in {0, 1, 130} or (called.code == 4 and disturbance.signals), case
        assert "Traceback" not in called.printed, case
        check_host(what, called, stage, case)
        check_record(what, called, stage, case)
        check_answer(what, called, disturbance, case)


def check_host(what: str, called: Called, stage: Stage, case: str) -> None:
    """Nothing is held without a word; what a good exit code claims has happened."""
    with stage.lab.world.changing() as hosts:
        host = hosts["alpha"]
        held = (lease_of(host), task_of(host), host.logon_mode) != (None, None, "enabled")
        mode, lease = host.logon_mode, lease_of(host)
        left = {each.user for each in host.rows()}
    if what == "hold":
        assert (lease is not None) or called.code != 0, case
    elif what == "logons":
        assert mode == "drain" or called.code != 0, case
    elif held and what != "release":
        assert any(word in called.printed for word in ("mpsbridge resume", "mpsbridge release")), case
    elif held:
        assert called.code != 0, case
    assert stage.acts("reset") == [], case
    assert len(stage.acts("logoff")) == len(set(stage.acts("logoff"))), case
    assert len(stage.acts("restart")) <= 1, case
    if called.code == 0 and what in PROCEDURES:
        assert left == ({"root"} if what == "end" else set()), case


def check_record(what: str, called: Called, stage: Stage, case: str) -> None:
    """The exit code and the record agree; every act on the host has its intent there."""
    runs = stage.runs
    if what in {"logons", "hold", "release"}:
        return
    if not runs:  # interrupted before it began
        assert called.code == 130, case
        assert stage.acts("logoff") + stage.acts("message") + stage.acts("disconnect") == [], case
        return
    (run,) = runs
    if run.ended is None:
        assert called.code in {130, 4}, case
        assert f"mpsbridge resume {run.id}" in called.printed, case
    else:
        assert run.verdict is not None, case
        assert run.verdict.verdict in VERDICTS[called.code], case
    with Journal(stage.journal) as journal:
        steps = steps_in(journal.entries(run.id))
    for act, step in {"logoff": "logoff", "restart": "power", "disconnect": "disconnect"}.items():
        assert (step in steps) or not stage.acts(act), case


def check_answer(what: str, called: Called, disturbance: Disturbance, case: str) -> None:
    """The result is told wherever it can be; the exit code says where the answer was lost."""
    streams = disturbance.streams
    told = len(streams) < 2
    if streams and 1 in streams and told:
        assert called.printed.count("mpsbridge: standard output ") == 1, case
        assert called.code == (0 if streams[1] == "left" else 1), case
    elif streams:
        assert called.code == (1 if streams.get(1) == "closed" else 0), case
    if disturbance.events is not None:
        assert called.code == 1, case
        assert called.printed.count("--events /dev/full cannot be written: No space left on device") == 1, case
        told = True
    if (streams and told) or disturbance.events:
        good = ANSWERS.get(what) or ("alpha: done" if what == "end" else "alpha: back")
        assert good in called.printed, case


def cases(what: str) -> Iterator[Disturbance]:
    for streams in OUTPUTS.values():
        yield Disturbance(streams)
    if what in PROCEDURES:
        yield Disturbance(events="/dev/full")
    for moment in MOMENTS[what]:
        for signals in SIGNALS.values():
            yield Disturbance(signals=signals, moment=moment)


@pytest.mark.parametrize("what", MATRIX_CALLS)
def test_whatever_happens_to_it_a_call_gives_back_tells_and_ends(what: str, calls: ForkedCalls, tmp_path: Path) -> None:
    for number, disturbance in enumerate(cases(what)):
        disturbed(what, disturbance, calls, tmp_path / str(number))


def test_a_summary_that_cannot_be_written_is_said_and_changes_nothing(calls: ForkedCalls, tmp_path: Path) -> None:
    """``GITHUB_STEP_SUMMARY`` is the CI's wish, not the caller's: the exit code is the run's."""
    stage = Stage(calls, tmp_path, people=PEOPLE)
    stage.variables["GITHUB_STEP_SUMMARY"] = "/dev/full"
    with stage.lab:
        called = stage.call(MATRIX_CALLS["end"])
    assert called.code == 0, called.printed
    assert "warning: the summary /dev/full cannot be written: No space left on device" in called.printed
    assert [str(run.verdict) for run in stage.runs] == ["done"]
