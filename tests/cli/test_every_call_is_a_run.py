"""Every call that may act is a run in the record, whatever came of it: refused, failed, or nothing to be done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.console import Command
from support.died_run import held_host

from mpsbridge.cli.commands import app
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.runs.journal import Journal

REFUSED = {
    "hold": ["hold", "alpha", "--reason", "exam"],
    "logons": ["logons", "alpha", "--set", "disabled", "--yes"],
    "logoff": ["logoff", "alpha", "--all", "--yes"],
    "disconnect": ["disconnect", "alpha", "--all", "--yes"],
    "reset": ["reset", "alpha", "--session", "9", "--yes"],
    "message": ["message", "beta", "--user", "nobody-here", "--text", "hello"],
    "end": ["end", "alpha", "--all", "--no-warning", "--yes"],
}
NOTHING = {
    "release": ["release", "beta", "--yes"],
    "logons": ["logons", "beta", "--set", "enabled", "--yes"],
    "logoff": ["logoff", "beta", "--disconnected", "--yes"],
    "end": ["end", "beta", "--disconnected", "--no-warning", "--yes"],
}
FAILED = {
    **{name: [*words[:1], "off", *words[2:]] for name, words in REFUSED.items()},
    "release": ["release", "off", "--yes"],
}


def test_every_command_that_acts_is_tried_here() -> None:
    commands = [entry.callback for entry in app.registered_commands]
    acting = {command.__name__ for command in commands if command is not None and getattr(command, "acts", False)}
    elsewhere = {"maintain", "resume"}  # the same operation as 'end'
    assert acting <= REFUSED.keys() | NOTHING.keys() | elsewhere


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Alpha is held by a run, beta is free, off is down, and cut breaks each look off in the middle."""
    people = [{"id": 3, "user": "bob", "session_name": "rdp-tcp#1", "logon": "1h"}]
    hosts = [
        held_host(),
        {"name": "beta", "sessions": people},
        {"name": "off", "down": True, "sessions": []},
        {"name": "cut", "sessions": people, "faults": [{"step": "receive", "do": "close", "times": 9}]},
    ]
    with Lab(build_world({"hosts": hosts})) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


def last_run(folder: Path) -> tuple[str, str]:
    """The command of the only run in the record, and what became of it."""
    with Journal(folder / "journal.sqlite") as journal:
        (run,) = journal.runs()
    assert run.ended is not None
    return run.command, str(run.verdict)


@pytest.mark.parametrize("name", REFUSED)
def test_a_call_that_is_refused_is_a_run(name: str, lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    """A hold and a change of logons once left no trace where the host was held already."""
    found = mpsbridge(*REFUSED[name])
    assert found.code == 3, found.err
    assert lab.changes == []
    assert last_run(tmp_path) == (name, "refused")
    assert "refused" in found.out


@pytest.mark.parametrize("name", FAILED)
def test_a_call_that_fails_before_anything_is_sent_is_a_run(
    name: str, lab: Lab, mpsbridge: Command, tmp_path: Path
) -> None:
    found = mpsbridge(*FAILED[name])
    assert found.code == 1, found.err
    assert lab.changes == []
    assert last_run(tmp_path) == (name, "failed")


@pytest.mark.parametrize("name", NOTHING)
def test_a_call_with_nothing_to_do_is_a_run(name: str, lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    found = mpsbridge(*NOTHING[name])
    assert found.code == 0, found.err
    assert lab.changes == []
    assert last_run(tmp_path) == (name, "done")


@pytest.mark.parametrize("name", ["hold", "release", "logons"])
def test_a_look_that_broke_off_is_no_act_of_unknown_fate(
    name: str, lab: Lab, mpsbridge: Command, tmp_path: Path
) -> None:
    words = {**FAILED}[name]
    found = mpsbridge(words[0], "cut", *words[2:])
    assert found.code == 1, found.err
    assert lab.changes == []
    assert last_run(tmp_path) == (name, "failed")
