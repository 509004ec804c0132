"""Trouble with the journal, through the command line: said before anything is sent, or harmless in the middle."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.console import Command
from support.forked_calls import ForkedCalls
from support.killing import Stage, check, staged
from support.records import steps_in
from support.reserved import lease_of, task_of

from mpsbridge.clock import SystemClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.runs.journal import Journal

HOST = {"name": "alpha", "sessions": [{"id": 2, "user": "alice", "logon": "1h"}]}
CALLS = {
    "end": ["end", "alpha", "--all", "--no-warning", "--yes"],
    "maintain": ["maintain", "plan.toml", "--yes"],
    "resume": ["resume", "--yes"],
    "logoff": ["logoff", "alpha", "--all", "--yes"],
    "disconnect": ["disconnect", "alpha", "--all", "--yes"],
    "message": ["message", "alpha", "--all", "--text", "hello"],
}
PLAN = 'schema = "mpsbridge-plan/1"\nhosts = ["alpha"]\nreason = "updates"\n'


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(build_world({"hosts": [HOST]})) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


@pytest.fixture(scope="module")
def calls() -> Iterator[ForkedCalls]:
    with ForkedCalls() as made:
        yield made


def newer(path: Path) -> Path:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    return path


def damaged(path: Path) -> Path:
    path.write_bytes(b"this is no database at all" * 100)
    return path


def cut(path: Path) -> Path:
    """Half of a sound one."""
    with Journal(path) as journal:
        journal.begin("r-1", command="end", reason="", options={})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def a_folder(path: Path) -> Path:
    path.mkdir()
    return path


def nowhere_to_write(_path: Path) -> Path:
    return Path("/proc/journal.sqlite")  # not even for root


@pytest.mark.parametrize("spoil", [newer, damaged, cut, a_folder, nowhere_to_write])
@pytest.mark.parametrize("words", CALLS.values(), ids=CALLS)
def test_a_journal_that_cannot_be_used_stops_the_call_before_anything_is_sent(
    lab: Lab,
    mpsbridge: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: list[str],
    spoil: Callable[[Path], Path],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
    path = spoil(tmp_path / "spoilt.sqlite")
    found = mpsbridge(*words, "--journal", str(path), "-o", "json")
    error = found.document["error"]
    assert (found.code, error["kind"], error["may_have_run"]) == (2, "journal", False)
    assert str(path) in error["message"]
    assert "--journal" in error["hint"]
    assert lab.requests == []


def test_a_journal_that_another_process_writes_to_for_long_stops_the_call(
    lab: Lab, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "journal.sqlite"
    Journal(path).close()
    monkeypatch.setattr("mpsbridge.runs.journal_file.BUSY_LIMIT_S", 0.05)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    found = mpsbridge(*CALLS["end"], "-o", "json")
    holder.close()
    assert (found.code, "locked" in found.document["error"]["message"]) == (2, True)
    assert lab.requests == []


@pytest.mark.parametrize("what", ["end", "logoff"])
def test_a_disk_that_is_full_stops_the_call_before_anything_is_changed(
    what: str, calls: ForkedCalls, tmp_path: Path
) -> None:
    with staged(what, calls, tmp_path / "full") as stage:
        Journal(stage.journal).close()
        found = stage.begin(largest_file=stage.journal.stat().st_size)
        assert found.code == 2
        assert f"the journal {stage.journal} cannot be" in found.printed
        assert stage.lab.changes == []


@pytest.mark.parametrize("kilobytes", range(48, 400, 40))
def test_a_disk_that_fills_in_the_middle_stops_what_disrupts_and_all_is_given_back(
    kilobytes: int, calls: ForkedCalls, tmp_path: Path
) -> None:
    with staged("end", calls, tmp_path / "fills") as stage:
        found = stage.begin(largest_file=kilobytes * 1024)
        with stage.lab.world.changing() as hosts:
            host = hosts["alpha"]
            assert (lease_of(host), host.logon_mode, task_of(host)) == (None, "enabled", None)
        _nothing_without_an_intent(stage)
        if found.code == 0:  # it was large enough
            check(stage)
            return
        assert "cannot be written" in found.printed
        with Journal(stage.journal) as journal:
            is_open = bool(journal.runs(only_open=True))
        if is_open:
            assert "is open; 'mpsbridge resume" in found.printed
            resumed = stage.call("resume", "--yes")
            check(stage, whole=resumed.code == 0)
        else:  # all was known, and nothing was done
            assert (found.code in {1, 2}, stage.acts("logoff")) == (True, [])


def _nothing_without_an_intent(stage: Stage) -> None:
    """Whatever was done to people stands in the record."""
    with Journal(stage.journal) as journal:
        steps = set(steps_in(entry for run in journal.runs() for entry in journal.entries(run.id)))
    assert not stage.acts("message") or "message" in steps
    assert not stage.acts("logoff") or "logoff" in steps


def test_two_runs_at_once_on_one_host_and_one_journal(lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    words = ["end", "alpha", "--all", "--warn", "10m", "--reason", "updates", "--yes", "--events", str(events)]
    first = subprocess.Popen(
        [sys.executable, "-m", "mpsbridge", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not (events.exists() and '"event": "waiting"' in events.read_text(encoding="utf-8")):
            assert first.poll() is None
            SystemClock().wait(0.02)
        refused = mpsbridge(*CALLS["end"], "-o", "json")
        assert refused.code == 3
        assert "held by run" in refused.outcome("alpha")["reason"]
        kept = mpsbridge(*CALLS["logoff"], "-o", "json")
        assert kept.code == 3
        assert "held by run" in kept.outcome("alpha")["reason"]
        first.send_signal(signal.SIGTERM)
        assert first.wait(60) == 130
    finally:
        first.kill()
        first.wait()
    done = [change for change in lab.changes if change.act in {"logoff", "message"}]
    assert [(change.act, change.user) for change in done] == [("message", "alice")] * 2
    assert ["is cancelled" in change.text for change in done] == [False, True]
    with lab.world.changing() as hosts:
        assert (lease_of(hosts["alpha"]), hosts["alpha"].logon_mode) == (None, "enabled")
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert [run.command for run in reversed(journal.runs())] == ["end", "end", "logoff"]
