"""The command line on a terminal of 80 columns: each step says host, id and user whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.console import Command

from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world

DOMAIN = ".remote-desktop.school.example.org"
HOSTS = [
    {
        "name": f"ts{number}{DOMAIN}",
        "computer": f"TS{number}",
        "sessions": [
            {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "idle_s": 30, "logon": "2h10m"},
            {"id": 30 + number, "user": "bartholomew.johnsson", "session_name": "rdp-tcp#2", "logon": "28h"},
        ],
    }
    for number in (1, 2)
]
NAMES = [str(host["name"]) for host in HOSTS]
WIDTH = 80


@pytest.fixture(autouse=True)
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(build_world({"hosts": HOSTS}), auth="ntlm") as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        monkeypatch.setattr("mpsbridge.cli.styled.UNLIMITED", WIDTH)
        yield running


def cells(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith(("HOST", "ts"))]
    assert max(map(len, lines)) <= WIDTH
    found = [line.split()[:3] for line in lines]
    assert {host for host, *_ in found} <= {"HOST", "ts1", "ts2", *NAMES}
    return [[host.split(".")[0], number, user] for host, number, user in found]


def test_a_listing_names_host_id_and_user(mpsbridge: Command) -> None:
    assert cells(mpsbridge("sessions", *NAMES).out) == [
        ["HOST", "ID", "USER"],
        ["ts1", "2", "TS1\\alice"],
        ["ts1", "31", "TS1\\bartholomew.johnsson"],
        ["ts2", "2", "TS2\\alice"],
        ["ts2", "32", "TS2\\bartholomew.johnsson"],
    ]


def test_so_do_the_table_above_a_question_and_the_results(mpsbridge: Command) -> None:
    found = mpsbridge("logoff", *NAMES, "--user", "bartholomew.johnsson", "--yes")
    assert found.code == 0
    told = [
        ["HOST", "ID", "USER"],
        ["ts1", "31", "TS1\\bartholomew.johnsson"],
        ["ts2", "32", "TS2\\bartholomew.johnsson"],
    ]
    assert cells(found.err) == told
    assert cells(found.out) == told


def test_leases_and_history_fit_too(mpsbridge: Command) -> None:
    assert mpsbridge("hold", *NAMES, "--reason", "an examination of the whole school, all day long").code == 0
    shown = mpsbridge("leases", *NAMES).out
    assert max(map(len, shown.splitlines())) <= WIDTH
    assert "examination" in shown
    assert mpsbridge("logoff", NAMES[0], "--user", "alice", "--dry-run").code == 3
    assert max(map(len, mpsbridge("history").out.splitlines())) <= WIDTH
