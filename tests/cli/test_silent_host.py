"""One silent host: the others are told and watched meanwhile, and no question waits for it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.console import Command

from mpsbridge.cli import looking
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.operations import workplace

pytestmark = pytest.mark.xdist_group("timing")
HOSTS: list[dict[str, Any]] = [
    {"name": "silent", "faults": [{"step": "any", "do": "hang"}]},
    {"name": "alpha", "sessions": [{"id": 2, "user": "alice", "logon": "2h"}, {"id": 3, "user": "bob", "logon": "1h"}]},
    {"name": "beta", "sessions": [{"id": 4, "user": "carol", "logon": "1h"}]},
]
NAMES = [str(host["name"]) for host in HOSTS]


@pytest.fixture(autouse=True)
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(build_world({"hosts": HOSTS}), auth="ntlm") as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


@contextmanager
def piped(*words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "mpsbridge", *words],
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines_until(process: subprocess.Popen[str], last: str) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if last in line:
            return lines
    raise AssertionError(f"{last!r} never came: {lines}")


def test_rows_come_while_a_silent_host_is_waited_for() -> None:
    with piped("sessions", *NAMES, "--timeout", "60s") as process:
        lines = lines_until(process, "carol")
        assert process.poll() is None
    assert [line.split()[:3] for line in lines] == [
        ["HOST", "ID", "USER"],
        ["alpha", "2", "ALPHA\\alice"],
        ["alpha", "3", "ALPHA\\bob"],
        ["beta", "4", "BETA\\carol"],
    ]


def test_a_host_that_comes_late_has_no_heading_of_its_own(mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "SILENCE_S", 0.0)  # a piece for each host
    lines = mpsbridge("sessions", "alpha", "beta").out.splitlines()
    assert sum(line.startswith("HOST") for line in lines) == 1
    assert sorted(line.split()[2] for line in lines[1:4]) == ["ALPHA\\alice", "ALPHA\\bob", "BETA\\carol"]
    assert lines[4] == "3 sessions on 2 hosts"


def test_a_picture_is_no_older_than_it_must_be() -> None:
    with piped("sessions", *NAMES, "--watch", "1s", "--timeout", "60s") as process:
        began_s = time.monotonic()
        for _ in range(4):
            lines = lines_until(process, "silent: no answer for ")
        assert time.monotonic() - began_s < 20
        rows = [line for line in lines if line.startswith(("alpha", "beta"))]
        assert len(rows) == 3
        assert all(int(found[1]) <= 3 for row in rows if (found := re.search(r" (\d+)s$", row)))
        assert all(re.search(r" \d+s$", row) for row in rows)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")  # the one way to end it, and no accident
    assert "interrupted" not in out


def test_a_question_waits_for_no_silent_host_where_all_named_are_found(
    mpsbridge: Command, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workplace, "ANSWER_WITHIN_S", 0.2)
    began_s = time.monotonic()
    found = mpsbridge("logoff", *NAMES, "--user", "carol", "--timeout", "60s")
    assert time.monotonic() - began_s < 30
    assert (found.code, lab.changes) == (3, [])
    assert found.err.index("silent: no answer within") < found.err.index("Log off 1 session on beta now")


@pytest.mark.parametrize("selector", [("--user", "zoe"), ("--all",)])
def test_it_waits_where_the_silent_host_may_matter(
    mpsbridge: Command, lab: Lab, monkeypatch: pytest.MonkeyPatch, selector: tuple[str, ...]
) -> None:
    monkeypatch.setattr(workplace, "ANSWER_WITHIN_S", 0.2)
    found = mpsbridge("logoff", *NAMES, *selector, "--timeout", "2s")
    assert "no answer within" not in found.err
    assert lab.changes == []


def test_with_yes_every_host_is_waited_for(mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workplace, "ANSWER_WITHIN_S", 0.2)
    found = mpsbridge("logoff", *NAMES, "--user", "carol", "--yes", "--timeout", "2s")
    assert found.code == 1
    assert "1 of 1 session logged off on 1 host, 1 host failed" in found.out
    assert "no answer in time" in found.err


def test_hosts_that_an_interruption_kept_from_answering_have_not_failed() -> None:
    with piped("sessions", *NAMES, "--timeout", "60s") as process:
        lines_until(process, "carol")
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.read() == "3 sessions on 2 hosts, 1 host interrupted\n"
        assert process.wait(timeout=30) == 130
