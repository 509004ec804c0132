"""A host without the programs that set logons or restart it: refused before anything is done, and said as it is."""

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
