"""``doctor`` on many hosts: a line for each that is sound, the others last, and how many there are of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.console import Command

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
