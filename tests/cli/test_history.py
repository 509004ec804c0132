"""``history``: who logged this user off, what a run did in sentences, and how a run that did not end stands."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.console import Command
from support.fake_clock import FakeClock
from support.past_runs import NOON, RUN, eventful_run
from support.reserved import lease_of

from mpsbridge.clock import SystemClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.sessions import Result
from mpsbridge.runs.events import SessionSettled, SessionTold, Step, StepAnswered, StepSent
from mpsbridge.runs.journal import Journal

PEOPLE = [{"id": 2, "user": "alice", "logon": "1h"}, {"id": 3, "user": "bob", "logon": "1h"}]


@pytest.fixture(autouse=True)
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC-01:00")  # POSIX: an hour ahead of UTC, in summer and winter
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def eventful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSBRIDGE_JOURNAL", str(eventful_run(tmp_path).path))


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    hosts = [{"name": "alpha", "sessions": PEOPLE}, {"name": "beta", "down": True}]
    with Lab(build_world({"hosts": hosts}), auth="ntlm") as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


def rows(text: str) -> list[list[str]]:
    """The cells of a table, which stand two blanks apart at least."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()[1:-1]]


@pytest.mark.usefixtures("eventful")
def test_runs_are_listed_with_local_times_hosts_and_the_result_in_words(mpsbridge: Command) -> None:
    found = mpsbridge("history")
    assert (found.code, found.err) == (0, "")
    heading, row, zone = found.out.splitlines()
    assert heading.split() == ["RUN", "STARTED", "TOOK", "COMMAND", "HOSTS", "BY", "RESULT", "REASON"]
    assert zone == "times are UTC+01:00"
    assert row.split()[:3] == [RUN, "2026-11-25", "12:00"]
    assert "school-1, school-2, school-3 and 2 more" in row
    assert row.endswith("unknown: 1 of 5 hosts done, 1 stopped, 2 unknown, 1 failed  security updates")


@pytest.mark.usefixtures("eventful")
def test_a_run_is_told_in_sentences_one_line_an_event_and_its_zone_once(mpsbridge: Command) -> None:
    found = mpsbridge("history", "20261125", "--host", "school-1")
    assert found.code == 0
    head, _, body = found.out.partition("\n\n")
    assert "reason: security updates" in head
    lines = body.splitlines()
    assert lines[0] == "2026-11-25 (UTC+01:00)"
    assert [line for line in lines if "UTC" in line] == lines[:1]
    assert "12:00:00 school-1: session 2 is to be ended: alice" in lines
    assert "12:10:00 school-1: 5m notice shown: alice" in lines
    assert "12:15:00 school-1: session 2 ended: alice" in lines
    assert not [line for line in lines if "school-1: sent " in line or "school-1: logoff: " in line]
    assert lines[-1] == "12:20:30 school-1: finished: back"
    assert not [line for line in lines if "school-2" in line or line.endswith(": ")]
    assert sum("seen: " in line for line in lines) < 10  # of a wait with a look a minute


@pytest.mark.usefixtures("eventful")
def test_who_logged_this_user_off_is_one_line(mpsbridge: Command) -> None:
    found = mpsbridge("history", "--user", "Alice")
    heading, row, zone = found.out.splitlines()
    assert (heading.split()[:2], zone) == (["WHEN", "RUN"], "times are UTC+01:00")
    assert row.split()[:4] == ["2026-11-25", "12:15:00", RUN, "end"]
    assert row.split()[5:] == ["school-1", "alice", "ended", "security", "updates"]
    by, several = row.split()[4], mpsbridge("history", "--host", "school-1").out.splitlines()
    assert ("BY" in several[0].split(), several[-1]) == (False, f"times are UTC+01:00; all by {by}")
    assert mpsbridge("history", RUN, "--user", "alice").out == found.out
    assert mpsbridge("history", "--user", "alice", "--host", "school-2").out == "no such sessions in the record\n"
    assert mpsbridge("history", "--user", "alic").out.startswith("no such sessions in the record")
    (deed,) = json.loads(mpsbridge("history", "--user", "frank", "-o", "json").out)["sessions"]
    assert (deed["host"], deed["result"]) == ("school-2", "unknown")
    assert deed["outcome"].startswith("unknown (the session is still listed; if it hangs: mpsbridge end school-2 ")


@pytest.mark.usefixtures("eventful")
def test_only_runs_of_late_where_so_asked(mpsbridge: Command) -> None:
    later = FakeClock(NOON + timedelta(days=8))
    assert mpsbridge("history", "--since", "7d", clock=later).out.startswith("no run matches")
    assert RUN in mpsbridge("history", "--since", "9d", clock=later).out
    assert mpsbridge("history", "--since", "7d", "--user", "alice", clock=later).out.startswith("no such")
    found = mpsbridge("history", "--since", "seven")
    assert (found.code, "--since" in found.err) == (2, True)


def test_logons_hold_and_release_are_in_the_record_with_who_did_it(lab: Lab, mpsbridge: Command) -> None:
    del lab
    for words in (
        ["logoff", "alpha", "--user", "alice", "--yes"],
        ["logons", "alpha", "beta", "--set", "drain", "--yes"],
        ["hold", "alpha", "--reason", "repair"],
        ["release", "alpha", "--yes"],
    ):
        mpsbridge(*words)
    told = list(csv.DictReader(io.StringIO(mpsbridge("history", "--host", "alpha", "-o", "csv").out)))
    assert [(each["command"], each["user"], each["outcome"]) for each in reversed(told)] == [
        ("logoff", "ALPHA\\alice", "ended"),
        ("logons", "", "logons are drain"),
        ("hold", "", "held"),
        ("release", "", "released"),
    ]
    assert all("@" in each["by"] for each in told)
    lines = mpsbridge("history", "--host", "beta", "-o", "jsonl").out.splitlines()
    assert ["refused" in json.loads(line)["outcome"] for line in lines] == [True]
    assert "partly: 1 of 2 hosts done, 1 failed" in mpsbridge("history").out


def test_who_was_not_meant_stands_in_no_answer(lab: Lab, mpsbridge: Command) -> None:
    del lab
    assert mpsbridge("end", "alpha", "--user", "alice", "--no-warning", "--yes").code == 0
    assert "ended" in mpsbridge("history", "--user", "alice").out
    assert mpsbridge("history", "--user", "bob").out == "no such sessions in the record\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_run_that_was_stopped_and_gave_everything_back_says_so_and_one_next_step(
    lab: Lab, mpsbridge: Command, tmp_path: Path, number: signal.Signals
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'schema = "mpsbridge-plan/1"\nhosts = ["alpha"]\nreason = "updates"\n[notices]\nat = ["10m"]\n', "utf-8"
    )
    events = tmp_path / "events.jsonl"
    words = ["maintain", str(plan), "--yes", "--events", str(events)]
    process = subprocess.Popen(
        [sys.executable, "-m", "mpsbridge", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        while not (events.exists() and '"event": "waiting"' in events.read_text(encoding="utf-8")):
            assert process.poll() is None
            SystemClock().wait(0.02)
        assert " at work" in mpsbridge("history").out
        assert "at work: the last entry" in mpsbridge("history", "2").out
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    with lab.world.changing() as hosts:
        assert (lease_of(hosts["alpha"]), hosts["alpha"].logon_mode) == (None, "enabled")
    with Journal(tmp_path / "journal.sqlite") as journal:
        (run,) = journal.runs()
    told = [f"run {run.id}: stopped: 2 of 2 sessions untouched; nothing is held"]
    assert out.splitlines()[-2:] == ["1 host stopped", *told]
    assert "alpha: stopped while warning and waiting\n" in err
    assert [line for line in err.splitlines() if "mpsbridge " in line] == [
        f"run {run.id} is open; 'mpsbridge resume {run.id}' goes on with it"
    ]
    assert "hosts that are left" not in err
    (row,) = rows(mpsbridge("history").out)
    assert "stopped: 2 of 2 sessions untouched; can be resumed" in row
    text = mpsbridge("report", "--format", "markdown").out
    assert "It was broken off, and everything was given back" in text
    assert "died" not in text
    assert "not ended" not in text
    assert f"- stopped: {run.started.year}" in text
    assert text.count("mpsbridge resume") == 1


@pytest.mark.usefixtures("eventful")
def test_each_thing_is_told_once_and_a_step_only_where_no_answer_came(mpsbridge: Command) -> None:
    """A notice was once told three times, and thirty lines said no more than 'sent lease'."""
    told = [line.partition(" ")[2] for line in mpsbridge("history", RUN).out.partition("\n\n")[2].splitlines()[1:]]
    assert [line for line in told if ": sent " in line] == ["school-3: sent logoff: sessions 2 3"]
    assert [line for line in told if " 5m notice shown: ivan" in line] == ["school-3: 5m notice shown: ivan"]
    assert not [line for line in told if "the lease knew" in line or ": message: " in line]
    whole = mpsbridge("history", RUN, "-v").out
    assert "school-1: sent power: restart" in whole
    assert "school-1: sent lease" in whole
    assert "school-2: message: shown frank, shown grace" in whole


def test_an_answer_that_no_event_tells_of_is_told(mpsbridge: Command, tmp_path: Path) -> None:
    """A run that died between an answer and its events, and one that has no events of sessions at all."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.begin("r-1", command="end", reason="", options={"hosts": ["alpha"]})
        intent = journal.record("r-1", "alpha", StepSent(step=Step.LOGOFF, sessions=(2, 3)))
        told = (
            SessionTold(id=2, user="alice", result=Result.ENDED),
            SessionTold(id=3, user="bob", result=Result.UNKNOWN),
        )
        journal.record("r-1", "alpha", StepAnswered(step=Step.LOGOFF, intent=intent, sessions=told))
        journal.record("r-1", "alpha", SessionSettled(session=2, user="alice", result=Result.ENDED))
        journal.record("r-1", "alpha", StepSent(step=Step.MESSAGE, sessions=(3,), notice="1m"))
    lines = [line.partition(" ")[2] for line in mpsbridge("history", "r-1").out.splitlines()]
    assert lines[-3:] == [
        "alpha: logoff: unknown bob",
        "alpha: session 2 ended: alice",
        "alpha: sent message: session 3, notice 1m",
    ]
