"""A host on which the work broke off half-way: what became of its sessions is told wherever it is told at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.console import Command

from mpsbridge.clock import HastyClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world

ALICE: dict[str, Any] = {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "1h"}
BOB: dict[str, Any] = {"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "logon": "1h"}
WORDS = ("end", "alpha", "--all", "--no-warning", "--settle", "5s", "--reason", "updates", "--yes")


@pytest.fixture(params=["protected", "hung"])
def lab(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    clock = HastyClock(300)
    hosts = [{"name": "alpha", "sessions": [ALICE | {request.param: True}, BOB]}]
    with Lab(build_world({"hosts": hosts}, clock), clock=clock) as lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        yield lab


def is_known(lab: Lab) -> bool:
    """Whether alice's log-off was refused; otherwise it has begun and hangs."""
    return bool(next(one for one in lab.world.hosts["alpha"].sessions if one.id == 2).protected)


def test_programs_are_told_of_each_session_and_of_nothing_that_is_unknown_without_need(
    lab: Lab, mpsbridge: Command
) -> None:
    found = mpsbridge(*WORDS, "--then", "restart", "-o", "json", clock=lab.world.clock)
    outcome = found.outcome("alpha")
    became = {"alice": "refused", "bob": "ended"} if is_known(lab) else {"alice": "unknown", "bob": "ended"}
    assert {one["session"]["user"]: one["result"] for one in outcome["sessions"]} == became
    assert found.document["counts"]["sessions"] == dict.fromkeys(sorted(became.values()), 1)
    assert outcome["failure"]["may_have_run"] is not is_known(lab)
    assert (found.code, found.document["verdict"]) == ((1, "partly") if is_known(lab) else (4, "unknown"))
    report = mpsbridge("report", "--format", "json")
    assert report.document["status"] == found.document["verdict"]
    assert {one["user"]: one["result"] for one in report.document["hosts"][0]["people"]} == became


def test_people_see_the_sessions_and_the_call_that_helps(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge(*WORDS, "--then", "restart", clock=lab.world.clock)
    rows = [line for line in found.out.splitlines() if line.startswith("alpha ")]
    assert ("alice" in rows[0], "bob" in rows[1]) == (True, True), found.out
    said = "the host did not take the order to restart: somebody is left, so it was not given; still there: session 2"
    assert said in found.err
    assert "mpsbridge end alpha --session 2 --no-warning --force-after 10m" in found.err


def test_csv_has_a_row_for_each_of_them(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge(*WORDS, "--then", "restart", "-o", "csv", clock=lab.world.clock)
    rows = [line for line in found.out.splitlines() if line.startswith("alpha,")]
    assert len(rows) == 2
    assert all(",failed," in row for row in rows)
