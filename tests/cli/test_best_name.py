"""A name that quser cuts or garbles is told whole, everywhere, where the account is known; the row's own is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.console import Command

from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.sessions import Session, State

NAMES = ["bartholomew.johnsson-smith", "ivan-Иван", "Müller1"]
ROWS = ["bartholomew.johnsson", "ivan-????", "Müller1"]
WORLD = {
    "hosts": [
        {
            "name": "ts1",
            "oem": 437,
            "generation": "2016",
            "stations": [{"id": 1, "name": "Window left", "session_id": 2}],
            "sessions": [{"id": place, "user": name, "logon": "2h"} for place, name in enumerate(NAMES, 2)],
        }
    ]
}


@pytest.fixture(autouse=True)
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(build_world(WORLD), auth="ntlm") as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


def test_json_has_the_best_name_and_the_rows_own(mpsbridge: Command) -> None:
    found = mpsbridge("sessions", "ts1", "-o", "json").outcome("ts1")["value"]["sessions"]
    assert [session["user"] for session in found] == NAMES
    assert [session["user_text"] for session in found] == ROWS
    assert [session["account"] for session in found] == [f"TS1\\{name}" for name in NAMES]


def test_the_procedure_tells_it_in_events_results_and_record(mpsbridge: Command, tmp_path: Path) -> None:
    events = tmp_path / "events"
    words = ("end", "ts1", "--all", "--no-warning", "--reason", "updates", "--yes", "--events", str(events))
    done = mpsbridge(*words)
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0] == ["HOST", "ID", "USER", "STATION", "RESULT"]
    assert [line[2] for line in lines[1:4]] == [f"TS1\\{name}" for name in NAMES]
    assert lines[1][3:] == ["1", "ended"]
    settled = [event for line in events.read_text("utf-8").splitlines() if (event := json.loads(line))]
    texts = [event["text"] for event in settled if event["event"] == "settled"]
    assert sorted(texts) == sorted(f"session {number} ended: {name}" for number, name in enumerate(NAMES, 2))
    told = mpsbridge("history", json.loads(mpsbridge("history", "-o", "json").out)["runs"][0]["id"]).out
    assert "ivan-????" not in told
    for name in NAMES:
        assert name in told


def test_a_log_off_tells_it_too(mpsbridge: Command) -> None:
    value = mpsbridge("logoff", "ts1", "--user", NAMES[1], "--yes", "-o", "json").outcome("ts1")["value"]
    assert [(one["session"]["user"], one["result"]) for one in value["sessions"]] == [(NAMES[1], "ended")]


def test_a_session_made_without_a_row_says_its_name_twice() -> None:
    session = Session(id=2, user="alice", state=State.ACTIVE, state_text="Active")
    assert (session.user, session.user_text, session.is_uncertain) == ("alice", "alice", False)
    renamed = session.model_copy(update={"user": "alice.smith"})
    assert (renamed.user, renamed.user_text) == ("alice.smith", "alice")
