"""A host without what the procedure needs there: nothing is closed or ended, and it is said as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.console import Command

from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world

HOST: dict[str, Any] = {
    "name": "plain",
    "lacks": ["chglogon.exe"],
    "sessions": [{"id": 2, "user": "alice", "logon": "2h"}],
}


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(build_world({"hosts": [HOST]}), auth="ntlm") as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


def test_logons_that_cannot_be_set_are_refused(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("logons", "plain", "--set", "drain", "--yes", "-o", "json")
    assert found.code == 3
    assert "chglogon.exe" in found.outcome("plain")["reason"]
    assert mpsbridge("logons", "plain", "--set", "enabled", "--yes").code == 0
    assert lab.changes == []


def test_the_procedure_is_refused_with_the_option_that_leaves_logons_open(lab: Lab, mpsbridge: Command) -> None:
    words = ("end", "plain", "--all", "--no-warning", "--settle", "5s", "--yes", "-o", "json")
    found = mpsbridge(*words)
    assert found.code == 3
    assert "--logons leave" in found.outcome("plain")["reason"]
    assert lab.changes == []
    left = mpsbridge(*words, "--logons", "leave")
    assert left.code == 0, left.err
    assert "logons are enabled again" not in left.err
    assert [change.act for change in lab.changes] == ["file", "logoff", "file"]


def test_w19_a_failsafe_that_does_not_work_keeps_logons_open(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once logons were closed under a task whose PowerShell a policy stops, and stayed so when the run died."""
    host = {"name": "plain", "tasks": "fails", "sessions": HOST["sessions"]}
    with Lab(build_world({"hosts": [host]}), auth="ntlm") as lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        words = ("end", "plain", "--all", "--no-warning", "--settle", "5s", "--yes")
        found = mpsbridge(*words)
        assert found.code == 1
        assert "its first run ended with 0x1, so logons stay open (--no-failsafe goes without)" in found.err
        assert [change.act for change in lab.changes] == ["file", "task", "task", "file"]
        left = mpsbridge(*words, "--no-failsafe")
        assert left.code == 0, left.err
        assert "logoff" in [change.act for change in lab.changes]
