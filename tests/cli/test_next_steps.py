"""Next steps that a call prints can be typed as they stand: they fit the state of the host, and find the record."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.console import Command

from mpsbridge.cli.repeating import Repeated
from mpsbridge.clock import HastyClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.presence import NO_WINLOGON, ROW_GONE
from mpsbridge.planning.orphans import what_helps
from mpsbridge.settings import load_settings

LINGERS: dict[str, Any] = {"id": 2, "user": "alice", "logon": "1h", "linger_s": 10**6}
HANGS: dict[str, Any] = {"id": 3, "user": "bob", "logon": "1h", "hung": True}


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    clock = HastyClock(300)
    world = build_world({"hosts": [{"name": "alpha", "sessions": [LINGERS, HANGS]}]}, clock)
    with Lab(world, auth="ntlm", clock=clock) as running:
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


def typed(lab: Lab, tmp_path: Path) -> tuple[str, ...]:
    """A record and an inventory that only this call names."""
    return "--inventory", str(lab.inventory), "--journal", str(tmp_path / "a record.sqlite"), "--yes"


def next_step(text: str, command: str) -> list[str]:
    """The words of the one command of that name in what was printed."""
    found = re.search(rf"mpsbridge ({command} (?:'[^']*'|[^';\n])+)", text)
    assert found, text
    return shlex.split(found[1])


@pytest.mark.parametrize("command", [("logoff",), ("end", "--no-warning", "--settle", "3s")])
def test_what_is_left_of_a_session_whose_row_is_gone_is_reset(
    lab: Lab, mpsbridge: Command, tmp_path: Path, command: tuple[str, ...]
) -> None:
    found = mpsbridge(
        command[0], "alpha", "--user", "alice", *command[1:], *typed(lab, tmp_path), clock=lab.world.clock
    )
    assert found.code == 4
    words = next_step(found.out, "reset")
    assert words[-3:] == ["alpha", "--session", "2"]
    again = mpsbridge(*words, "--yes", clock=lab.world.clock)
    assert again.code == 0, again.err
    assert ("reset", "alice") in [(change.act, change.user) for change in lab.changes]


@pytest.mark.parametrize("command", [("logoff",), ("end", "--no-warning", "--settle", "3s")])
def test_a_session_that_hangs_with_its_row_is_ended_with_force(
    lab: Lab, mpsbridge: Command, tmp_path: Path, command: tuple[str, ...]
) -> None:
    found = mpsbridge(command[0], "alpha", "--user", "bob", *command[1:], *typed(lab, tmp_path), clock=lab.world.clock)
    assert found.code == 4
    words = next_step(found.out, "end")
    again = mpsbridge(*words, "--yes", clock=lab.world.clock)
    assert again.code == 0, again.err + again.out
    assert ("reset", "bob") in [(change.act, change.user) for change in lab.changes]


def test_a_restart_over_sessions_that_hang_names_the_call_for_each(
    lab: Lab, mpsbridge: Command, tmp_path: Path
) -> None:
    words = ("--all", "--no-warning", "--settle", "3s", "--then", "restart")
    found = mpsbridge("end", "alpha", *words, *typed(lab, tmp_path), clock=lab.world.clock)
    said = found.err.partition("Where it hangs: ")[2]
    assert next_step(said, "end")[-6:] == ["alpha", "--session", "3", "--no-warning", "--force-after", "10m"]
    assert next_step(said, "reset")[-3:] == ["alpha", "--session", "2"]


def test_what_helps_fits_what_is_left() -> None:
    assert what_helps("ts1", 2, f"the log-off has begun; {ROW_GONE}").endswith("mpsbridge reset ts1 --session 2")
    assert what_helps("ts1", 2, NO_WINLOGON) == "run 'rwinsta 2' on the host, or restart it"
    assert "--force-after" in what_helps("ts1", 2, "the session is still listed")


def test_a_run_that_stays_open_is_resumed_as_printed(
    lab: Lab, mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MPSBRIDGE_JOURNAL", raising=False)
    words = ("--user", "alice", "--warn", "10m", "--deadline", "11m", "--settle", "30m")
    with lab.world.changing() as hosts:
        hosts["alpha"]._existing(2).linger_s = 0
        hosts["alpha"]._existing(2).hung = True
    found = mpsbridge("end", "alpha", *words, *typed(lab, tmp_path), clock=lab.world.clock)
    assert found.code != 0
    resume = next_step(found.err, "resume")
    assert resume[1:5] == ["--journal", str(tmp_path / "a record.sqlite"), "--inventory", str(lab.inventory)]
    assert "no run" not in mpsbridge(*resume, "--dry-run", clock=lab.world.clock).err


def test_only_what_was_typed_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSBRIDGE_INVENTORY", "of-the-environment.toml")
    repeated = Repeated.of(load_settings({"journal": "my record", "no_tls": True}))
    assert (
        repeated.within("'mpsbridge history r-1' lists it") == "'mpsbridge history --journal 'my record' r-1' lists it"
    )
    text = "mpsbridge resume r-1; mpsbridge docs ending; mpsbridge leases"
    options = "--journal 'my record' --no-tls"
    assert repeated.within(text) == (
        f"mpsbridge resume {options} r-1; mpsbridge docs ending; mpsbridge leases {options}"
    )
    assert Repeated().within(text) == text


def test_what_people_wrote_is_shown_as_they_wrote_it(lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    """A reason that reads like a call was once shown with the options of the call that showed it."""
    reason = "mpsbridge end of term, see mpsbridge history"
    options = ("--inventory", str(lab.inventory), "--journal", str(tmp_path / "runs.sqlite"))
    rehearsed = mpsbridge("end", "alpha", "--all", "--reason", reason, "--dry-run", *options)
    assert f"Reason: {reason}." in rehearsed.out
    assert reason in mpsbridge("hold", "alpha", "--reason", reason, *options).out
    assert reason in mpsbridge("leases", "alpha", *options).out
    refused = mpsbridge("end", "alpha", "--all", "--no-warning", "--yes", *options)
    assert f"({reason})" in refused.err
    assert f"'mpsbridge release --journal {options[3]} --inventory {options[1]} alpha'" in refused.err
    assert reason in mpsbridge("history", *options[2:]).out
