"""One process a run: who is at work is told by a lock of the kernel, and by nothing that outlives the process."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mpsbridge.errors import JournalError, Refused
from mpsbridge.runs.runlock import RunLock, is_at_work

HOLD = """
import sys, pathlib
from mpsbridge.runs.runlock import RunLock
lock = RunLock(pathlib.Path(sys.argv[1]), "r1")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def test_a_run_is_at_work_as_long_as_its_lock_is_held(journal: Path) -> None:
    assert not is_at_work(journal, "r1")
    lock = RunLock(journal, "r1")
    assert is_at_work(journal, "r1")
    with pytest.raises(Refused, match="run r1 is at work in another process"):
        RunLock(journal, "r1")
    RunLock(journal, "r2").release()
    lock.release()
    lock.release()
    assert not is_at_work(journal, "r1")
    assert list(journal.with_name("journal.sqlite.runs").iterdir()) == []
    RunLock(journal, "r1").release()


def test_a_killed_process_is_not_at_work_and_its_run_can_be_taken(journal: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(journal)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_at_work(journal, "r1")
        with pytest.raises(Refused):
            RunLock(journal, "r1")
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
    assert not is_at_work(journal, "r1")
    RunLock(journal, "r1").release()


def test_no_child_inherits_a_lock(journal: Path) -> None:
    lock = RunLock(journal, "r1")
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as child:
        lock.release()
        assert not is_at_work(journal, "r1")
        child.communicate()


def test_only_its_owner_can_read_who_is_at_work(journal: Path) -> None:
    before = os.umask(0)
    try:
        lock = RunLock(journal, "r1")
    finally:
        os.umask(before)
    folder = journal.with_name("journal.sqlite.runs")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "r1.lock").stat().st_mode) == 0o600
    lock.release()


@pytest.mark.parametrize("run", ["", "../r1", "a/b", "-r", "a" * 101, "r\x00"])
def test_what_is_no_id_names_no_file(journal: Path, run: str) -> None:
    with pytest.raises(JournalError, match="not the id of a run"):
        RunLock(journal, run)
    assert not is_at_work(journal, run)


def test_where_there_can_be_no_lock_nothing_is_begun(journal: Path) -> None:
    journal.with_name("journal.sqlite.runs").write_text("a file where the folder should be")
    with pytest.raises(JournalError, match="r1 cannot be locked"):
        RunLock(journal, "r1")


def test_a_planted_link_is_not_followed(journal: Path, tmp_path: Path) -> None:
    folder = journal.with_name("journal.sqlite.runs")
    folder.mkdir()
    (folder / "r1.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalError, match="r1 cannot be locked"):
        RunLock(journal, "r1")
    assert not (tmp_path / "elsewhere").exists()
