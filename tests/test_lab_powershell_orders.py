"""Orders about a whole host, from both engines of the lab: lease, failsafe, notices, restart, mode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from alike import executed, guards_in, scripted, state, world
from snippet_calls import NEVER, box, failsafe, held, order, swap, switch

from mpsbridge.lab import Lab
from mpsbridge.lab.engines.powershell.engine import PowerShellEngine
from mpsbridge.lab.world import LabHost
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.sessions import LogonMode
from mpsbridge.snippets.parameters import FailsafeRemoveParameters, LookParameters

pytestmark = pytest.mark.engine

OWN = ("at", "boot", "next_run")
"""What passes with each engine's own clock."""


def orders(host: LabHost) -> list[tuple[str, Frozen]]:
    """A run from its lease to its restart, with what must be refused on the way."""
    alice = guards_in(host)[0]
    gone = FailsafeRemoveParameters(not_after=NEVER, run="run-1")
    return [
        ("lease", swap(held(), None)),
        ("lease", swap(held("run-2"), None, run="run-2")),
        ("look", LookParameters()),
        ("failsafe", failsafe(LogonMode.ENABLED, LogonMode.DRAIN)),
        ("message", box("15 minutes", alice, notice="15m")),
        ("message", box("15 minutes", alice, notice="15m")),
        ("mode", switch("console")),
        ("power", order("restart")),
        ("failsafe-remove", gone),
        ("failsafe-remove", gone),
        ("power", order("restart", 2)),
        ("power", order("shutdown", 2)),
        ("power", order("abort")),
        ("mode", switch("console", 2)),
    ]


@pytest.mark.parametrize("generation", ["2012", "2016"])
def test_both_engines_answer_orders_alike(engine: Path, generation: str) -> None:
    raw = {
        "name": "a",
        "generation": generation,
        "stations": [{"id": 1, "auto_logon": True}],
        "sessions": [{"id": 2, "user": "alice", "logon": "2026-11-25T09:00:00Z", "station": 1}],
    }
    other = world(raw).hosts["a"]
    asked = orders(other)
    said = scripted(other, asked)
    with Lab(world(raw), engine=PowerShellEngine(engine)) as lab:
        told = executed(lab, "a", asked)
        with lab.world.changing() as hosts:
            left = state(hosts["a"])
    for own, expected in zip(said, told, strict=True):
        assert comparable(own) == comparable(expected)
    assert comparable(state(other)) == comparable(left)


def comparable(value: Any) -> Any:
    """Without times; a lease as what it says; changes without the writing of the lease, which is a file here."""
    if isinstance(value, dict):
        return {key: comparable(each) for key, each in value.items() if key not in OWN}
    if isinstance(value, list | tuple):
        return [comparable(each) for each in value if not (isinstance(each, tuple) and each[0] == "lease")]
    if isinstance(value, str) and value.startswith("{"):
        return comparable(json.loads(value))
    if isinstance(value, str) and value.startswith("shutdown.exe"):
        return value[-6:]
    return value
