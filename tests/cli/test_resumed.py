"""A run that another process goes on with says so: when, by whom, and what had become of the one before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.console import Command
from support.died_run import RUN, options

from mpsbridge.errors import NotBegun
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.runs.events import EarlierLife, HostStopped, Resumed
from mpsbridge.runs.journal import Journal, owner
from mpsbridge.runs.verdict import RunVerdict, Verdict

HOSTS = ["alpha", "beta"]


@pytest.fixture(autouse=True)
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    people: list[dict[str, Any]] = [{"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "1h"}]
    with Lab(build_world({"hosts": [{"name": name, "sessions": people} for name in HOSTS]})) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


def record(folder: Path, verdict: RunVerdict | None) -> None:
    """A run that died, was stopped, or has left something open."""
    with Journal(folder / "journal.sqlite") as journal:
        journal.begin(RUN, command="end", reason="updates", options=options() | {"hosts": list(HOSTS)})
        if verdict:
            journal.end(RUN, verdict, stays_open=True)


@pytest.mark.parametrize(
    ("verdict", "earlier"),
    [
        (None, EarlierLife.DIED),
        (RunVerdict.of([Verdict.STOPPED], interrupted=True), EarlierLife.STOPPED),
        (RunVerdict.of([Verdict.UNKNOWN]), EarlierLife.UNFINISHED),
    ],
)
def test_history_report_json_and_events_tell_it(
    verdict: RunVerdict | None, earlier: EarlierLife, mpsbridge: Command, tmp_path: Path
) -> None:
    """Two notices with a gap between them, and no word of why: that was once all that the record said."""
    record(tmp_path, verdict)
    events = tmp_path / "events.jsonl"
    assert mpsbridge("resume", RUN, "--yes", "--events", str(events)).code == 0
    told = [one for one in map(json.loads, events.read_text("utf-8").splitlines()) if one["event"] == "resumed"]
    assert [(one["host"], one["by"], one["earlier"], one["life"]) for one in told] == [
        (host, owner(), earlier.value, 2) for host in HOSTS
    ]
    shown = mpsbridge("history", RUN).out.splitlines()
    assert [line.partition(" ")[2] for line in shown if "resumed by" in line] == [
        f"resumed by {owner()} ({earlier.words})"
    ]
    assert "resumed: once" in shown
    entries = mpsbridge("history", RUN, "-o", "json").document["entries"]
    assert [one["host"] for one in entries if one["event"] == "resumed"] == HOSTS
    assert mpsbridge("report", "--format", "json").document["resumed"] == 1
    assert "- resumed: once" in mpsbridge("report", "--format", "markdown").out


def test_each_life_has_its_line_and_they_are_counted(mpsbridge: Command, tmp_path: Path) -> None:
    record(tmp_path, None)
    with Journal(tmp_path / "journal.sqlite") as journal:
        for life in (2, 3):
            journal.record(RUN, "beta", Resumed(by="bob@box", earlier=EarlierLife.DIED, life=life))
    assert mpsbridge("resume", RUN, "alpha", "--yes").code == 0
    shown = mpsbridge("history", RUN).out.splitlines()
    assert [line.split()[3] for line in shown if "resumed by" in line] == ["bob@box", "bob@box", owner()]
    assert "resumed: 3 times" in shown


def test_a_host_that_the_new_life_did_not_come_to_is_as_it_was(mpsbridge: Command, tmp_path: Path) -> None:
    record(tmp_path, None)
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.record(RUN, "beta", Resumed(by="bob@box", earlier=EarlierLife.DIED, life=2))
        journal.record(RUN, "alpha", HostStopped(why="no turn", error=NotBegun.kind))
        journal.record(RUN, "alpha", Resumed(by="bob@box", earlier=EarlierLife.DIED, life=2))
    hosts = mpsbridge("report", "--format", "json").document["hosts"]
    assert [(one["host"], one["status"], one["error"]) for one in hosts] == [
        ("alpha", "stopped", "no turn"),
        ("beta", "stopped", None),
    ]
