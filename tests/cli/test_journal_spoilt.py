"""Spoilt journals, and every command that reads one: a sentence, no traceback, no hang, and what is sound is shown."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.console import Command
from support.died_run import RUN, held_host, options
from support.reserved import lease_of
from support.spoilt_journals import ALL, COMMANDS, PARTLY, SOUND, SPOILT, WHOLLY, Make, sql, write

from mpsbridge.clock import HastyClock
from mpsbridge.errors import JournalError, JournalLost
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.runs.events import LeaseTaken, WentWrong
from mpsbridge.runs.journal import Journal

LONGEST_S = 10.0
"""For one call; the slowest takes a tenth of that on an idle machine."""
RESUMED = {"resume", "resume the run"}
REHEARSED = {"rehearse", "rehearse the run"}
UNSOUND_ONLY = {"everyone may write it", "everyone may write its folder", "everyone may write its log"}
"""Nothing is wrong with what is in them."""


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[Lab]:
    clock = HastyClock(1000)
    world = build_world({"hosts": [held_host(SPOILT, files=[], sessions=[]), {"name": "empty"}]}, clock)
    with Lab(world, clock=clock) as running:
        yield running


@pytest.fixture
def lab(shared_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(shared_lab.inventory))
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", shared_lab.password)
    return shared_lab


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("MPSBRIDGE_JOURNAL", str(folder / "journal.sqlite"))
    return folder / "journal.sqlite"


def test_there_are_enough_of_them() -> None:
    assert len(ALL) == len(PARTLY) + len(WHOLLY) >= 46


@pytest.mark.parametrize("name", PARTLY)
def test_one_spoilt_place_is_said_and_hides_nothing_sound(name: str, lab: Lab, path: Path, mpsbridge: Command) -> None:
    PARTLY[name](path)
    changes = len(lab.changes)
    for what, words in COMMANDS.items():
        began = time.monotonic()
        found = mpsbridge(*words, clock=lab.world.clock)
        assert time.monotonic() - began < LONGEST_S, what
        assert found.code in {0, 1, 2, 3}, (what, found.err)
        assert "Traceback" not in found.err
        assert len(found.err) < 5000, (what, found.err)
        assert not found.code or found.err, what
        assert "\x1b" not in found.err + ("" if "-o" in words else found.out), what
        if what == "history":
            shown = {run["id"] for run in found.document["runs"]}
            assert SOUND in shown
            assert (found.code == 1) == bool(found.document["unreadable"])
        if what == "history of the sound run":
            assert (found.code, found.document["run"]["reason"]) == (0, "sound")
        if what in REHEARSED:
            assert len(lab.changes) == changes
        if found.code == 2 and what in RESUMED:
            assert len(lab.changes) == changes
            assert found.document["error"]["may_have_run"] is False


@pytest.mark.parametrize("name", WHOLLY)
def test_a_spoilt_file_is_one_sentence(name: str, lab: Lab, path: Path, mpsbridge: Command) -> None:
    WHOLLY[name](path)
    requests = len(lab.requests)
    for what, words in COMMANDS.items():
        began = time.monotonic()
        found = mpsbridge(*words, clock=lab.world.clock)
        assert time.monotonic() - began < LONGEST_S, what
        assert found.code == 2, (what, found.err)
        sentence, hint, *more = found.err.splitlines()
        assert (sentence.startswith("mpsbridge "), "--journal" in hint, more) == (True, True, []), found.err
        assert str(path.parent) in sentence
        assert len(sentence) < 500
    assert len(lab.requests) == requests
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPSBRIDGE_JOURNAL_SHARED", "1")
        found = mpsbridge("history", "-o", "json")
    assert "--journal-shared" in found.err
    assert (found.code == 0) == (name in UNSOUND_ONLY), found.err


RECORDED_BADLY = [
    "options no JSON",
    "policy key of another version",
    "policy wrong type",
    "waves wrong",
    "outcome damaged",
]


@pytest.mark.parametrize("how", ["--yes", "--dry-run"])
@pytest.mark.parametrize("name", RECORDED_BADLY)
def test_a_run_whose_record_is_damaged_is_not_resumed(
    name: str, how: str, lab: Lab, path: Path, mpsbridge: Command
) -> None:
    PARTLY[name](path)
    requests = len(lab.requests)
    found = mpsbridge("resume", SPOILT, how, "-o", "json")
    error = found.document["error"]
    assert (found.code, error["may_have_run"]) == (2, False)
    assert SPOILT in error["message"]
    assert error["hint"]
    assert len(lab.requests) == requests


def test_the_run_itself_can_be_resumed_if_nothing_is_spoilt(lab: Lab, path: Path, mpsbridge: Command) -> None:
    write(path)
    assert mpsbridge("resume", SPOILT, "--dry-run", clock=lab.world.clock).code == 0
    assert mpsbridge("resume", SPOILT, "--yes", clock=lab.world.clock).code == 0


@pytest.mark.parametrize("how", ["--dry-run", "--yes"])
def test_a_damaged_record_of_one_host_keeps_no_other_from_being_given_back(
    how: str, tmp_path: Path, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = HastyClock(300)
    path = tmp_path / "journal.sqlite"
    hosts = [held_host(), held_host() | {"name": "beta"}]
    with Journal(path) as journal:
        journal.begin(RUN, command="end", reason="updates", options={**options(), "hosts": ["alpha", "beta"]})
        for host in ("alpha", "beta"):
            journal.record(RUN, host, LeaseTaken(expires=datetime(2099, 11, 25, tzinfo=UTC)))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE entry SET detail = '{' WHERE host = 'alpha'")
    with Lab(build_world({"hosts": hosts}, clock), clock=clock) as lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        found = mpsbridge("resume", "--journal", str(path), how, clock=clock)
        with lab.world.changing() as there:
            left = {name: lease_of(host) is not None for name, host in there.items()}
    assert found.code == 1
    assert "alpha is left out: entry 1 of run" in found.err
    assert f"mpsbridge release --journal {path} alpha" in found.err
    assert left == {"alpha": True, "beta": how == "--dry-run"}
    with Journal(path) as journal:
        assert journal.find(RUN).ended is None


def test_nothing_is_written_that_cannot_be_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpsbridge.runs.journal.LONGEST_TEXT", 100)
    with Journal(tmp_path / "journal.sqlite") as journal:
        with pytest.raises(JournalError, match="more than a journal holds"):
            journal.begin(RUN, command="end", reason="", options={"hosts": ["x" * 100]})
        journal.begin(RUN, command="end", reason="", options={})
        with pytest.raises(JournalLost, match="more than a journal holds") as lost:
            journal.record(RUN, "alpha", WentWrong(why="x" * 100))
        assert lost.value.may_have_run is False
        assert journal.entries(RUN) == []


def test_what_is_wrong_with_many_rows_is_not_told_of_each(path: Path, mpsbridge: Command) -> None:
    many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 500)"
    make: Make = sql(f"INSERT INTO run {many} SELECT 'r' || x, '', '', '', 1, NULL, '{{', '', NULL, NULL FROM n")  # noqa: S608 - constants
    make(path)
    found = mpsbridge("history", "-o", "json")
    assert (found.code, found.err.count("\n")) == (1, 1)
    assert "500 rows cannot be read" in found.err
    assert len(found.document["unreadable"]) == 500
    assert {run["id"] for run in found.document["runs"]} == {SOUND, SPOILT}
