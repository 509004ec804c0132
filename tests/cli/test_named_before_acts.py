"""Every act records the sessions that it is about to touch, so an answer that is lost, or a kill, leaves the names."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml
from support.console import Command

from mpsbridge.clock import HastyClock, SystemClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.runs.events import SessionJudged, Step, StepSent
from mpsbridge.runs.journal import Journal

ALICE: dict[str, Any] = {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "1h"}
CAROL: dict[str, Any] = {"id": 3, "user": "carol", "session_name": "rdp-tcp#2", "logon": "1h"}
CALLS = {
    "message": (["message", "{host}", "--all", "--text", "hello"], "Send-MpsbridgeMessage"),
    "disconnect": (["disconnect", "{host}", "--all", "--yes"], "Disconnect-MpsbridgeSession"),
    "logoff": (["logoff", "{host}", "--all", "--yes"], "Close-MpsbridgeSession"),
}
LINGERS = {"id": 7, "user": "erin", "logon": "2h", "linger_s": 3600}


def host(name: str, call: str, do: str, *sessions: dict[str, Any]) -> dict[str, Any]:
    fault = {"step": "receive", "call": call, "do": do, "acted": True, "times": 1}
    return {"name": name, "sessions": list(sessions or (ALICE, CAROL)), "faults": [fault]}


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """For each act a host whose answer is lost, one that never answers, and two with orphaned sessions."""
    hosts = [host(f"lost-{name}", call, "close") for name, (_, call) in CALLS.items()]
    hosts += [host(f"hung-{name}", call, "hang") for name, (_, call) in CALLS.items()]
    hosts += [host("lost-reset", "Reset-MpsbridgeSession", "close", LINGERS), {"name": "plain", "sessions": [LINGERS]}]
    with Lab(build_world({"hosts": hosts})) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


def row_goes(lab: Lab, name: str) -> None:
    with lab.world.changing() as hosts:
        hosts[name].log_off(7)


def everywhere(mpsbridge: Command, user: str, result: str) -> None:
    """The name, the account and the birth stand in history, in the report and in JUnit."""
    (deed,) = mpsbridge("history", "--user", user, "-o", "json").document["sessions"]
    assert deed["result"] == result
    (one,) = mpsbridge("report", "--format", "json").document["hosts"]
    person = next(each for each in one["people"] if each["user"] == user)
    assert (person["result"], person["account"].endswith(f"\\{user}")) == (result, True)
    assert person["born"] is not None
    suite, _ = JUnitXml.fromstring(mpsbridge("report", "--format", "junit").out.encode())
    assert [case.name for case in suite if case.name.endswith(f"\\{user}")]
    assert f"\\{user} (session {person['id']}): {result}" in mpsbridge("report", "--format", "text").out


@pytest.mark.parametrize("name", CALLS)
def test_an_answer_that_is_lost_leaves_the_names(name: str, lab: Lab, mpsbridge: Command) -> None:
    """Of a log-off whose answer was lost the record once had an id, and nobody could be asked for by name."""
    del lab
    found = mpsbridge(*(word.format(host=f"lost-{name}") for word in CALLS[name][0]))
    assert found.code == 4, found.err
    for user in ("alice", "carol"):
        assert f"\\{user} " in found.out
        everywhere(mpsbridge, user, "unknown")


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_a_process_that_ends_before_the_answer_leaves_the_names(
    number: signal.Signals, name: str, lab: Lab, mpsbridge: Command
) -> None:
    words = [word.format(host=f"hung-{name}") for word in CALLS[name][0]]
    process = subprocess.Popen(
        [sys.executable, "-m", "mpsbridge", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while len(lab.changes) < len((ALICE, CAROL)):
            assert process.poll() is None
            SystemClock().wait(0.02)
        process.send_signal(number)
        process.wait(30)
    finally:
        process.kill()
        process.wait()
    for user in ("alice", "carol"):
        everywhere(mpsbridge, user, "unknown")


def test_the_names_are_in_the_record_before_the_step(lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    del lab
    mpsbridge("logoff", "lost-message", "--user", "alice", "--yes")
    with Journal(tmp_path / "journal.sqlite") as journal:
        whats = [one.what for one in journal.entries(journal.runs()[0].id)]
    judged, sent = whats[:2]
    assert isinstance(judged, SessionJudged)
    assert (judged.user, judged.act, judged.decision) == ("alice", Step.LOGOFF, "act")
    assert isinstance(sent, StepSent)
    assert "session 2 is to be ended: alice" in mpsbridge("history", "2").out


def test_what_a_reset_ends_is_told_of_the_person_whose_log_off_hung(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It once stood under a user called 'no user', and the person's history never told of it."""
    clock = HastyClock(300)
    with Lab(build_world({"hosts": [{"name": "plain", "sessions": [LINGERS | {"linger_s": 10**6}]}]}, clock)) as lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        assert "erin" in mpsbridge("logoff", "plain", "--session", "7", "--yes", clock=clock).out
        found = mpsbridge("reset", "plain", "--session", "7", "--yes", "-o", "json", clock=clock)
    assert found.code == 0, found.err
    (one,) = found.outcome("plain")["value"]["sessions"]
    assert (one["session"]["user"], one["session"]["account"]) == ("erin", "PLAIN\\erin")
    deeds = mpsbridge("history", "--user", "erin", "-o", "json").document["sessions"]
    assert [(each["command"], each["result"]) for each in deeds] == [("reset", "ended"), ("logoff", "unknown")]


def test_where_nobody_knows_whose_it_was_the_user_is_null(lab: Lab, mpsbridge: Command) -> None:
    row_goes(lab, "plain")
    found = mpsbridge("reset", "plain", "--session", "7", "--yes", "-o", "json")
    (one,) = found.outcome("plain")["value"]["sessions"]
    assert [one["session"][name] for name in ("user", "user_text", "account")] == [None, None, None]
    (deed,) = mpsbridge("history", "--host", "plain", "-o", "json").document["sessions"]
    assert (deed["session"], deed["user"], deed["result"]) == (7, None, "ended")
    assert "no user" not in found.out + mpsbridge("history", "2", "-o", "json").out


def test_a_reset_whose_answer_is_lost_is_told_of_its_session(lab: Lab, mpsbridge: Command) -> None:
    row_goes(lab, "lost-reset")
    found = mpsbridge("reset", "lost-reset", "--session", "7", "--yes", "-o", "json")
    (one,) = found.outcome("lost-reset")["sessions"]
    assert (found.code, one["result"], one["session"]["born"] is not None) == (4, "unknown", True)


def test_of_a_host_that_stopped_programs_are_told_of_all_that_the_record_tells(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a restart that alice's notice kept back, the table and the counts once told of nobody."""
    protected = {**ALICE, "state": "active", "protected": True}
    refused = {"step": "receive", "call": "Send-MpsbridgeMessage", "do": "close", "times": 9}
    hosts = [{"name": "alpha", "sessions": [protected, CAROL], "faults": [refused]}]
    with Lab(build_world({"hosts": hosts})) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        words = ("end", "alpha", "--all", "--warn", "1s", "--then", "restart", "--yes", "-o", "json")
        found = mpsbridge(*words)
        told = {one["session"]["user"]: one["result"] for one in found.outcome("alpha")["sessions"]}
        assert set(told) == {"alice", "carol"}, found.out
        report = mpsbridge("report", "--format", "json").document
        assert {one["user"]: one["result"] or "untouched" for one in report["hosts"][0]["people"]} == told
        assert report["totals"]["people"] == found.document["counts"]["sessions"]
