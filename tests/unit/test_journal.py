from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fake_clock import FakeClock
from support.records import DONE

from mpsbridge import files
from mpsbridge.errors import InputError, JournalError, JournalLost
from mpsbridge.runs.events import NobodyLeft, Step, StepAnswered, StepSent, WentWrong
from mpsbridge.runs.journal import Journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "state" / "journal.sqlite", clock=FakeClock()) as journal:
        yield journal


def begin(journal: Journal, run: str = "20261125-120000-aaaa") -> str:
    return journal.begin(run, command="logoff", reason="restart", options={"hosts": ["ts1"]}).id


def test_a_run_says_who_and_why(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_JOB_URL", "https://ci.example/jobs/7")
    begin(journal)
    (run,) = journal.runs(only_open=True)
    assert (run.command, run.reason, run.options, run.pid) == ("logoff", "restart", {"hosts": ["ts1"]}, os.getpid())
    assert run.job == "https://ci.example/jobs/7"
    assert "@" in run.owner
    journal.end(run.id, DONE)
    assert journal.runs(only_open=True) == []
    assert journal.find("20261125").verdict == DONE


def test_an_intent_without_an_outcome_is_unknown(journal: Journal) -> None:
    run = begin(journal)
    first = journal.record(run, "ts1", StepSent(step=Step.LOGOFF, sessions=(2, 3)))
    second = journal.record(run, "ts2", StepSent(step=Step.LOGOFF, sessions=(4,)))
    journal.record(run, "ts1", StepAnswered(step=Step.LOGOFF, intent=first))
    journal.record(run, "ts1", NobodyLeft())
    assert [entry.number for entry in journal.unanswered(run)] == [second]
    assert journal.unanswered(run, host="ts1") == []
    assert [entry.what.event for entry in journal.entries(run, host="ts1")] == ["intent", "outcome", "empty"]


def test_any_unique_prefix_names_a_run(journal: Journal) -> None:
    begin(journal, "20261125-120000-aaaa")
    begin(journal, "20261125-120000-bbbb")
    assert journal.find("20261125-120000-a").id.endswith("aaaa")
    with pytest.raises(InputError, match="several runs"):
        journal.find("2026")
    with pytest.raises(InputError, match="no run"):
        journal.find("1999")


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(JournalError, match="newer"):
        Journal(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(JournalError, match="cannot be used"):
        Journal(path)


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.touch()
    with pytest.raises(JournalError, match="cannot be used"):
        Journal(folder / "journal.sqlite")
    with pytest.raises(JournalError, match="cannot be used"):
        Journal(tmp_path)


def test_a_file_that_another_process_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.sqlite"
    Journal(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr("mpsbridge.runs.journal_file.BUSY_LIMIT_S", 0.05)
    with pytest.raises(JournalError, match="locked"):
        Journal(path)
    holder.close()


@pytest.mark.parametrize("statement", ["PRAGMA journal_mode", "PRAGMA quick_check", "COMMIT", "PRAGMA schema_version"])
def test_a_file_that_fails_while_it_is_opened_is_refused_and_its_connection_closed(
    statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[sqlite3.Connection] = []

    class Failing(sqlite3.Connection):
        def __init__(self, *words: Any, **named: Any) -> None:
            super().__init__(*words, **named)
            opened.append(self)

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql.startswith(statement):
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *values)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda file, **named: connect(file, factory=Failing, **named))
    with pytest.raises(JournalError, match=r"the disk is full, or fails \(disk I/O error\)"):
        Journal(tmp_path / "journal.sqlite")
    assert opened
    for database in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            database.cursor()


def test_a_disk_that_fills_up_is_told_at_the_write(journal: Journal) -> None:
    run = begin(journal)
    (pages,) = journal._database.execute("PRAGMA page_count").fetchone()
    journal._database.execute(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for _ in range(1000):
            journal.record(run, "ts1", WentWrong(why="x" * 1000))

    with pytest.raises(JournalLost, match="full"):
        fill()
    assert journal.runs(only_open=True)


def test_several_runs_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as first, Journal(path) as second:
        begin(first, "r-1")
        begin(second, "r-2")
        first.record("r-1", "ts1", NobodyLeft())
        second.record("r-2", "ts2", NobodyLeft())
        assert [run.id for run in first.runs(only_open=True)] == ["r-2", "r-1"]


def test_what_was_written_outlives_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    script = f"""
        import os, signal
        from pathlib import Path
        from mpsbridge.runs.events import Step, StepSent
        from mpsbridge.runs.journal import Journal
        journal = Journal(Path({str(path)!r}))
        journal.begin("r-1", command="logoff", reason="", options={{}})
        journal.record("r-1", "ts1", StepSent(step=Step.LOGOFF, sessions=(2,)))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -signal.SIGKILL
    with Journal(path) as journal:
        (entry,) = journal.unanswered("r-1")
        assert entry.what == StepSent(step=Step.LOGOFF, sessions=(2,))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.integers(0, 8192), st.data())
def test_a_write_ahead_log_that_is_cut_reads_as_a_prefix(
    tmp_path_factory: pytest.TempPathFactory, cut: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    path = folder / "journal.sqlite"
    with Journal(path) as journal:
        run = begin(journal)
        for number in range(data.draw(st.integers(0, 6))):
            journal.record(run, "ts1", StepSent(step=Step.LOGOFF, sessions=(number,)))
        log = Path(f"{path}-wal")
        copied = folder / "copy.sqlite"
        copied.write_bytes(path.read_bytes())
        content = log.read_bytes()
        Path(f"{copied}-wal").write_bytes(content[: max(0, len(content) - cut)])
    try:
        with Journal(copied) as copy:
            numbers = [number for entry in copy.entries(run) for number in entry.what.sessions]  # type: ignore[union-attr] # steps, all of them
    except JournalError:
        return
    assert numbers == list(range(len(numbers)))


def somebody_elses(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54_321)


def of_everyone(path: Path, _: pytest.MonkeyPatch) -> None:
    path.chmod(0o602)


def of_a_group(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.chmod(0o620)
    monkeypatch.setattr(files, "_is_own_group", lambda _: False)


def in_a_folder_of_everyone(path: Path, _: pytest.MonkeyPatch) -> None:
    path.parent.chmod(0o777)


def with_a_log_of_everyone(path: Path, _: pytest.MonkeyPatch) -> None:
    log = path.with_name(f"{path.name}-wal")
    log.touch()
    log.chmod(0o666)


@pytest.mark.parametrize(
    "spoil", [somebody_elses, of_everyone, of_a_group, in_a_folder_of_everyone, with_a_log_of_everyone]
)
def test_a_journal_that_others_could_have_written_is_refused_unless_it_is_shared(
    spoil: Callable[[Path, pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state" / "journal.sqlite"
    Journal(path).close()
    spoil(path, monkeypatch)
    with pytest.raises(JournalError, match=r"belongs to another user|other users") as refused:
        Journal(path)
    assert "--journal-shared" in refused.value.hint
    Journal(path, shared=True).close()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_journal_is_for_its_owner_alone_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        with Journal(tmp_path / "state" / "journal.sqlite") as journal:
            journal.begin("r-1", command="end", reason="", options={})
            made = [each for each in (tmp_path / "state").rglob("*") if each.is_file()]
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in made}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm", "r-1.lock"], 0o600)


@pytest.mark.parametrize("name", ["file:j?mode=memory", "file:j", "file:///tmp/j", ":x:"])
def test_a_journal_is_the_very_file_that_was_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite would take such a name for a URI, and keep nothing, or read another file than the one that was checked."""
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    with Journal(path) as journal:
        journal.begin("r-1", command="end", reason="", options={})
    with Journal(path) as journal:
        assert [run.id for run in journal.runs()] == ["r-1"]
    assert path.stat().st_size > 0
