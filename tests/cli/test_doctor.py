"""``doctor`` on many hosts: a line for each that is sound, the others last, and how many there are of each."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support.console import Command

from mpsbridge.cli import rehearsal
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world

HOSTS: list[dict[str, Any]] = [
    {"name": "broken", "faults": [{"step": "any", "do": "reset"}]},
    {"name": "orphaned", "sessions": [{"id": 7, "user": "erin", "logon": "2h", "linger_s": 10**8}]},
    {"name": "alpha", "sessions": [{"id": 2, "user": "alice", "logon": "1h"}]},
    {"name": "delegated", "rights": "rds", "sessions": [{"id": 2, "user": "bob", "logon": "1h"}]},
    {"name": "beta"},
]
NAMES = [host["name"] for host in HOSTS]


@pytest.fixture(autouse=True)
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    world = build_world({"hosts": HOSTS})
    with world.changing() as hosts:
        hosts["orphaned"].log_off(7)
    with Lab(world) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


def test_sound_hosts_take_a_line_each_and_those_with_a_fault_stand_last(mpsbridge: Command) -> None:
    found = mpsbridge("doctor", *NAMES)
    assert found.code == 1
    lines = found.out.splitlines()
    heads = [line.partition(":")[0] for line in lines[:-1] if not line.startswith(" ")]
    assert heads == ["alpha", "delegated", "beta", "broken", "orphaned"]
    assert (lines[0], lines[2]) == ("alpha: ok", "beta: ok")
    assert lines[1].startswith("delegated: ok; rights: ")
    assert lines[-1] == "5 hosts: 3 ok, 1 failed at port, 1 failed at sight"
    assert [line.split()[1:] for line in lines if "not reached" in line] == [
        ["not", "reached:", "tls,", "sign-in,", "powershell,", "rights,", "sight,", "multipoint"]
    ]


def test_every_step_of_each_is_shown_where_more_is_asked_for(mpsbridge: Command) -> None:
    out = mpsbridge("doctor", *NAMES, "-v").out
    assert sum(line.startswith("  ok      name ") for line in out.splitlines()) == len(NAMES)
    assert sum("not reached" in line for line in out.splitlines()) == 6
    assert out.endswith("5 hosts: 3 ok, 1 failed at port, 1 failed at sight\n")


def test_one_host_shows_its_steps_and_no_count(mpsbridge: Command) -> None:
    lines = mpsbridge("doctor", "alpha").out.splitlines()
    assert lines[0] == "alpha"
    assert len(lines) == 9


def test_what_would_be_saved_is_shown_and_asked_about(
    mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = mpsbridge("doctor", "alpha", "--save", "saved.json")
    assert (refused.code, Path("saved.json").exists()) == (3, False)
    assert "There is no terminal to ask on; saved.json was not written" in refused.err
    assert refused.out.splitlines()[0] == "alpha"
    found = mpsbridge("doctor", "alpha", "--save", "saved.json", "--yes")
    (name, other) = next(line.split() for line in found.err.splitlines() if line.startswith("  alice "))
    assert f" {other} " in found.err.partition("quser of ")[2]
    text = (tmp_path / "saved.json").read_text(encoding="utf-8")
    assert (found.code, name in text, other in text) == (0, False, True)
    assert stat.S_IMODE((tmp_path / "saved.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("answer", ["y", "n", ""])
def test_a_person_decides_whether_it_is_written(
    answer: str, mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = tmp_path / "saved.json"
    monkeypatch.setattr("mpsbridge.cli.terminal._is_somebody_there", lambda: True)
    monkeypatch.setattr("mpsbridge.cli.terminal._answered", lambda: answer)
    found = mpsbridge("doctor", "alpha", "--save", str(saved))
    assert (found.code, saved.exists()) == ((0, True) if answer == "y" else (3, False))
    assert answer == "y" or f"cancelled; {saved} was not written" in found.err


def test_a_file_that_is_there_is_never_written_over(mpsbridge: Command, tmp_path: Path, lab: Lab) -> None:
    saved = tmp_path / "saved.json"
    saved.write_text("mine", encoding="utf-8")
    found = mpsbridge("doctor", "alpha", "--save", str(saved), "--yes")
    assert (found.code, saved.read_text(encoding="utf-8"), lab.requests) == (2, "mine", [])
    assert f"--save: {saved} is there already, and is kept" in found.err


def test_saving_only_reads(mpsbridge: Command, tmp_path: Path, lab: Lab) -> None:
    assert mpsbridge("doctor", "alpha", "beta", "--save", str(tmp_path / "saved.json"), "--yes").code == 0
    assert [change.act for change in lab.changes] == ["logoff"]  # of the fixture's own


def test_what_was_saved_is_what_its_schema_says_and_is_played_again(
    mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = tmp_path / "saved.json"
    assert mpsbridge("doctor", *NAMES, "--save", str(saved), "--yes").code == 1
    content = json.loads(saved.read_text(encoding="utf-8"))
    Draft202012Validator(mpsbridge("schema", "evidence").document).validate(content)
    hosts = {host["host"]: host for host in content["hosts"]}
    assert len(hosts) == len(NAMES)
    assert sum(host["observe"] is None for host in hosts.values()) == 1

    played: list[str] = []
    monkeypatch.setattr(rehearsal, "_until_stopped", lambda: nullcontext(SimpleNamespace(wait=lambda: None)))
    monkeypatch.setattr(rehearsal, "_introduce", lambda _, running: played.extend(each.name for each in running.hosts))
    found = mpsbridge("lab", "--evidence", str(saved), "--evidence", str(saved))
    assert (found.code, found.err) == (0, "warning: 2 hosts gave no answer that can be played: left out\n")
    once = [name for name, host in hosts.items() if host["observe"]]
    assert sorted(played) == sorted([*once, *(f"{name}-2" for name in once)])


def test_a_lab_has_the_hosts_of_a_world_or_of_evidence(mpsbridge: Command) -> None:
    found = mpsbridge("lab", "--world", "demo", "--evidence", "saved.json")
    assert (found.code, "--world and --evidence" in found.err) == (2, True)
