"""What a shell offers: the values that an argument or option takes, without contact, question or program."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import typer.main

from mpsbridge.cli import main
from mpsbridge.cli.commands import app
from mpsbridge.cli.completion import offers_of

INVENTORY = """
[hosts."ts[1:3]"]
[groups.school]
hosts = ["ts1"]
"""


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """The words that a shell shows behind a line."""

    def ask(line: str) -> list[str]:
        monkeypatch.setenv("_MPSBRIDGE_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
        with pytest.raises(SystemExit) as ended:
            main.run([])
        told = capsys.readouterr()
        assert (ended.value.code, told.err) == (0, "")
        return told.out.split()

    return ask


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.toml"
    path.write_text(INVENTORY)
    return path


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("mpsbridge sess", ["sessions"]),
        ("mpsbridge sessions ts1 --output js", ["json", "jsonl"]),
        ("mpsbridge end ts1 --then ", ["nothing", "restart", "shutdown", "console-mode", "station-mode"]),
        ("mpsbridge end ts1 --logons d", ["drain", "drain-until-restart", "disabled"]),
        ("mpsbridge logons ts1 --set en", ["enabled"]),
        ("mpsbridge render log", ["logons", "logons-set", "logoff"]),
        ("mpsbridge docs sig", ["signing-in"]),
        ("mpsbridge schema ev", ["events", "evidence"]),
        ("mpsbridge sessions t", []),
        ("mpsbridge history 2", []),
    ],
)
def test_values_are_offered(offered: Any, line: str, words: list[str]) -> None:
    assert offered(line) == words


@pytest.mark.parametrize("command", ["sessions", "end", "hosts", "resume 2026", "doctor"])
def test_hosts_and_groups_of_the_inventory_are_offered(
    offered: Any, inventory: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    assert offered(f"mpsbridge {command} --inventory {inventory} t") == ["ts1", "ts2", "ts3"]
    monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(inventory))
    assert offered(f"mpsbridge {command} s") == ["school"]


@pytest.mark.parametrize("text", ["[hosts", '[hosts.ts1]\nport = "x"\n', "#!/bin/sh\ntouch ran\n"])
def test_an_inventory_that_cannot_be_read_or_is_a_program_offers_nothing(
    offered: Any, inventory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    path = inventory if text.startswith("[") else tmp_path / "hosts"
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.chdir(tmp_path)
    assert offered(f"mpsbridge sessions --inventory {path} t") == []
    assert not (tmp_path / "ran").exists()


def test_runs_are_offered_and_no_record_is_made(offered: Any, tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"
    assert offered(f"mpsbridge history --journal {journal} 2") == []
    assert not journal.exists()


def test_every_word_that_stands_for_a_few_values_is_offered() -> None:
    """No option with choices in its metavar goes without."""
    commands = typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]  # it is a group
    told = [one for command in commands for one in command.params if "|" in str(one.metavar)]
    assert {str(one.metavar) for one in told if offers_of(one.metavar) is None} <= {"JSON|@FILE", "[FILE|-]"}
    assert len(told) > 40
