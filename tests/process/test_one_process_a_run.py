"""One process a run: whoever is at work on it holds its lock, and nobody acts beside another (see test_runlock)."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.console import Command
from support.died_run import RUN, held_host, record
from support.forked_calls import Called, ForkedCalls
from support.killing import Stage, check
from support.records import DONE, steps_in
from support.reserved import lease_of, put_lease

from mpsbridge.clock import HastyClock
from mpsbridge.errors import JournalError, JournalLost
from mpsbridge.lab.server import Lab
from mpsbridge.lab.wire.connection import Record
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.sessions import LogonMode
from mpsbridge.operations.ending import may_begin_for_s
from mpsbridge.runs import runlock
from mpsbridge.runs.events import Happening, Step, StepSent
from mpsbridge.runs.journal import Entry, Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def clock() -> HastyClock:
    return HastyClock(300)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, clock: HastyClock) -> Iterator[Lab]:
    with Lab(build_world({"hosts": [held_host()]}, clock), clock=clock) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


class Holder:
    """Another process that holds the run, and waits."""

    def __init__(self, path: Path, *, children: str = "") -> None:
        script = f"""
            import subprocess, sys
            from pathlib import Path
            from mpsbridge.runs.journal import Journal
            journal = Journal(Path({str(path)!r}))
            journal.take({RUN!r})
            {children}
            print("held", flush=True)
            sys.stdin.read()
        """
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def living(path: Path) -> Iterator[Holder]:
    """A run that is at work in another process."""
    record(path)
    holder = Holder(path)
    yield holder
    holder.kill()


@pytest.mark.parametrize("words", [["resume"], ["resume", RUN[:12]]])
@pytest.mark.parametrize("how", ["--yes", "--dry-run"])
def test_a_run_at_work_is_not_resumed(
    words: list[str], how: str, living: Holder, lab: Lab, mpsbridge: Command, clock: HastyClock
) -> None:
    found = mpsbridge(*words, how, "-o", "json", clock=clock)
    error = found.document["error"]
    assert (found.code, error["kind"], error["may_have_run"]) == (3, "refused", False)
    assert error["message"] == f"run {RUN} is at work in another process"
    assert error["hint"]
    assert lab.requests == []


def test_a_run_whose_process_was_killed_is_resumed(
    living: Holder, lab: Lab, mpsbridge: Command, clock: HastyClock, path: Path
) -> None:
    living.process.send_signal(signal.SIGKILL)
    living.process.wait()
    assert mpsbridge("resume", "--yes", clock=clock).code == 0
    assert [change.user for change in lab.changes if change.act == "logoff"] == ["alice"]
    assert list(path.with_name("journal.sqlite.runs").iterdir()) == []


def test_resume_beside_a_living_run_restarts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call comes between the log-offs and the order to restart, which must be given once."""
    with ForkedCalls() as first, ForkedCalls() as second:
        stage = Stage("restart", first, tmp_path / "run")
        note, beside = stage.lab._note_request, list[Called]()

        def noting(request: Record) -> None:
            note(request)
            if stage.acts("logoff") and not beside:
                beside.append(stage.call("resume", "--yes", beside=second))

        monkeypatch.setattr(stage.lab, "_note_request", noting)
        with stage.lab:
            done = stage.begin()
            assert done.code == 0, done.printed
            check(stage)
        assert beside[0].code == 3
        assert "is at work" in beside[0].printed
        with Journal(stage.journal) as journal:
            (run,) = journal.runs()
            steps = steps_in(journal.entries(run.id))
        assert steps.count("power") == 1


def test_history_tells_a_run_at_work_from_one_that_died(living: Holder, mpsbridge: Command) -> None:
    assert mpsbridge("history", "-o", "json").document["runs"][0]["at_work"] is True
    assert "at work" in mpsbridge("history").out
    living.process.kill()
    living.process.wait()
    assert mpsbridge("history", "-o", "json").document["runs"][0]["at_work"] is False
    assert "at work" not in mpsbridge("history").out


@pytest.mark.usefixtures("living")
def test_release_says_that_the_run_is_at_work(lab: Lab, mpsbridge: Command) -> None:
    """A person may always take a host out of a run, and is told what that is."""
    refused = mpsbridge("release", "alpha")
    assert (refused.code, lab.changes) == (3, [])
    assert f"run {RUN} is at work, and loses alpha by this" in refused.err
    released = mpsbridge("release", "alpha", "--yes")
    assert released.code == 0
    assert f"run {RUN} is at work" in released.err


def test_release_says_nothing_of_a_run_that_died(lab: Lab, mpsbridge: Command, path: Path) -> None:
    record(path)
    released = mpsbridge("release", "alpha", "--yes")
    assert (released.code, "at work" in released.err) == (0, False)
    assert lab.changes != []


def test_of_several_open_runs_the_one_that_died_is_meant(
    living: Holder, lab: Lab, mpsbridge: Command, path: Path, clock: HastyClock
) -> None:
    assert living.process.poll() is None
    with lab.world.changing() as hosts:
        lease = lease_of(hosts["alpha"])
        assert lease is not None
        put_lease(hosts["alpha"], lease.replace(RUN, "r-died"))
    record(path, "r-died")
    assert mpsbridge("resume", "--yes", clock=clock).code == 0
    with Journal(path) as journal:
        assert [run.id for run in journal.runs(only_open=True)] == [RUN]


def test_of_two_at_once_one_gets_the_run(path: Path) -> None:
    record(path)
    script = f"""
        import sys
        from pathlib import Path
        from mpsbridge.errors import Refused
        from mpsbridge.runs.journal import Journal
        journal = Journal(Path({str(path)!r}))
        sys.stdin.readline()
        try:
            journal.take({RUN!r})
        except Refused:
            print("refused", flush=True)
        else:
            print("held", flush=True)
        sys.stdin.read()
    """
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    said = [racer.stdout.readline().strip() for racer in racers if racer.stdout is not None]
    for racer in racers:
        racer.communicate()
    assert sorted(said) == ["held", "refused", "refused"]


def remove(path: Path) -> None:
    path.unlink()


def exchange(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        Path(f"{path}{ending}").unlink()
    Journal(path).close()


def remove_the_log(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def remove_the_lock(path: Path) -> None:
    runlock._path(path, RUN).unlink()


def exchange_the_lock(path: Path) -> None:
    runlock._path(path, RUN).unlink()
    runlock._path(path, RUN).touch()


def add_a_trigger(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TRIGGER swallow BEFORE INSERT ON entry BEGIN SELECT RAISE(IGNORE); END")
    other.close()


SPOILING = [remove, exchange, remove_the_log, remove_the_lock, exchange_the_lock, add_a_trigger]


@pytest.mark.parametrize("spoil", SPOILING)
def test_a_journal_that_changes_under_a_run_is_noticed_before_the_next_step(
    spoil: Callable[[Path], None], path: Path
) -> None:
    with Journal(path) as journal:
        journal.begin(RUN, command="end", reason="", options={})
        journal.record(RUN, "alpha", StepSent(step=Step.LOGOFF))
        spoil(path)
        with pytest.raises(JournalLost, match="while a run is at work"):
            journal.record(RUN, "alpha", StepSent(step=Step.POWER))


def test_a_journal_that_others_use_too_is_unchanged(path: Path) -> None:
    with Journal(path) as journal:
        journal.begin(RUN, command="end", reason="", options={})
        with Journal(path) as other:
            other.begin("another", command="end", reason="", options={})
            other.end("another", DONE)
        journal.record(RUN, "alpha", StepSent(step=Step.POWER))


def test_a_run_whose_journal_is_removed_stops_and_gives_everything_back(
    lab: Lab, mpsbridge: Command, path: Path, clock: HastyClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_it = Journal.record

    def removing(self: Journal, run: str, host: str, what: Happening) -> int:
        if isinstance(what, StepSent) and what.step is Step.LOGOFF:
            path.unlink()
        return record_it(self, run, host, what)

    monkeypatch.setattr(Journal, "record", removing)
    with lab.world.changing() as hosts:
        put_lease(hosts["alpha"], None)
        hosts["alpha"].set_logon_mode(LogonMode.ENABLED)
    found = mpsbridge("end", "alpha", "--all", "--no-warning", "--yes", clock=clock)
    assert found.code == 1
    assert "altered while a run is at work" in found.err
    assert [change for change in lab.changes if change.act == "logoff"] == []
    with lab.world.changing() as hosts:
        assert (lease_of(hosts["alpha"]), hosts["alpha"].logon_mode) == (None, "enabled")


def of_another_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    monkeypatch.setattr(runlock, "who_else_writes", lambda path: "belongs to another user" if path == folder else "")


def for_everybody(folder: Path, _: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    folder.chmod(0o777)


@pytest.mark.parametrize("spoil", [of_another_user, for_everybody])
def test_locks_in_a_folder_that_others_can_write_prove_nothing(
    spoil: Callable[[Path, pytest.MonkeyPatch], None], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(path.with_name(f"{path.name}.runs"), monkeypatch)
    with Journal(path) as journal, pytest.raises(JournalError, match="the folder of the journal's locks"):
        journal.take(RUN)
    with Journal(path, shared=True) as journal:
        journal.take(RUN)


NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ages_s", "wait_s"),
    [
        ([], 0),
        ([0], 120),
        ([100], 20),
        ([130], 0),
        ([130, 30], 90),
        ([-3600], 120),
        ([-10 * 365 * 86_400], 120),
        ([200, -1], 120),
    ],
)
def test_what_was_sent_before_is_waited_for_no_longer_than_it_may_begin(ages_s: list[float], wait_s: float) -> None:
    """A record whose times lie ahead (another machine's clock) once made it wait until then."""
    sent = [
        Entry(
            number=1,
            run=RUN,
            at=NOW - timedelta(seconds=age_s),
            host="alpha",
            what=StepSent(step=Step.LOGOFF),
        )
        for age_s in ages_s
    ]
    assert may_begin_for_s(sent, NOW, 60) == wait_s


def test_a_step_at_the_end_of_time_is_waited_for_like_any_other_and_that_is_said(
    lab: Lab, mpsbridge: Command, path: Path, clock: HastyClock
) -> None:
    record(path)
    with Journal(path) as journal:
        journal.record(RUN, "alpha", StepSent(step=Step.LOGOFF, sessions=(2,)))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE entry SET at = '9999-12-31T23:59:59+00:00'")
    found = mpsbridge("resume", "--yes", clock=clock)
    assert found.code == 0, found.err
    assert "alpha: a step that was sent before may still begin; waiting 2m" in found.err
    assert lab.requests
