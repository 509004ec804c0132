"""A name that leads to another computer than that of the run: nothing is done there, and the run stays open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.console import Command
from support.died_run import RUN, held_host, options

from mpsbridge import End, Journal, Policy, Selector, Workplace, find_targets
from mpsbridge.clock import HastyClock
from mpsbridge.errors import AnotherComputer
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.outcomes import Failed
from mpsbridge.models.sessions import Observation
from mpsbridge.models.then import Then
from mpsbridge.planning.lease import Lease
from mpsbridge.procedure.past import check_computer
from mpsbridge.runs.events import LeaseTaken, Looked, Phase
from mpsbridge.runs.verdict import Verdict

BOB: dict[str, Any] = {"id": 2, "user": "bob", "session_name": "rdp-tcp#1", "logon": "1h"}


NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Two computers; in ``other`` the name of the first leads to the second."""
    clock = HastyClock(300)
    hosts = [held_host(), {"name": "beta", "sessions": [BOB]}]
    with Lab(build_world({"hosts": hosts}, clock), auth="ntlm", clock=clock) as running:
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        monkeypatch.setenv("MPSBRIDGE_USERNAME", running.user)
        monkeypatch.setenv("MPSBRIDGE_NO_TLS", "1")
        yield running


def inventory(lab: Lab, folder: Path, to: str) -> str:
    (found,) = find_targets(to, inventory=str(lab.inventory))
    path = folder / f"{to}.toml"
    path.write_text(f"[hosts.alpha]\naddress = '{found.address}'\nport = {found.port}\n", "utf-8")
    return str(path)


@pytest.fixture
def died(tmp_path: Path) -> str:
    """A run that died while it held alpha: people are kept out there."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.begin(RUN, command="end", reason="updates", options=options())
        journal.record(RUN, "alpha", Looked(observed=NOW, computer="ALPHA"))
        journal.record(RUN, "alpha", LeaseTaken(expires=datetime(2099, 11, 25, tzinfo=UTC), phase=Phase.LEASE))
    return RUN


def test_resume_refuses_another_computer_and_goes_on_with_the_true_one(
    lab: Lab, mpsbridge: Command, died: str, tmp_path: Path
) -> None:
    other = mpsbridge("resume", died, "--yes", "--inventory", inventory(lab, tmp_path, "beta"), clock=lab.world.clock)
    assert other.code in {1, 4}
    assert "BETA is not the computer that the run is about (ALPHA)" in other.err
    assert not [change for change in lab.changes if change.host == "beta"]
    dry = mpsbridge("resume", died, "--dry-run", "--inventory", inventory(lab, tmp_path, "beta"), clock=lab.world.clock)
    assert "BETA is not the computer" in dry.err
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal.find(died).ended is None
    right = mpsbridge("resume", died, "--yes", "--inventory", inventory(lab, tmp_path, "alpha"), clock=lab.world.clock)
    assert "not the computer" not in right.err


def test_release_refuses_another_computer_and_leaves_the_run_open(
    lab: Lab, mpsbridge: Command, died: str, tmp_path: Path
) -> None:
    words = ("release", "alpha", "--yes", "--inventory")
    other = mpsbridge(*words, inventory(lab, tmp_path, "beta"), clock=lab.world.clock)
    assert (other.code, "BETA is not the computer" in other.err) == (1, True)
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal.find(died).ended is None
    right = mpsbridge(*words, inventory(lab, tmp_path, "alpha"), clock=lab.world.clock)
    assert right.code == 0, right.err
    assert f"run {died} has ended by that" in right.out


def test_a_plan_is_not_carried_out_on_another_computer(lab: Lab, tmp_path: Path) -> None:
    (true,), (other,) = (find_targets(name, inventory=str(lab.inventory)) for name in ("beta", "alpha"))
    with Journal(tmp_path / "journal.sqlite", clock=lab.world.clock) as journal:
        end = End(policy=Policy(selector=Selector(everyone=True), warn_s=(), then=Then.RESTART))
        with Workplace([true], journal, clock=lab.world.clock) as work:
            plan = work.plan(end)
        with Workplace([other.model_copy(update={"host": "beta"})], journal, clock=lab.world.clock) as work:
            result = work.carry_out(plan)
    (outcome,) = result.outcomes
    assert isinstance(outcome, Failed)
    assert outcome.failure.kind == AnotherComputer.kind
    assert (result.verdict.verdict, lab.changes) == (Verdict.FAILED, [])


def seen(computer: str | None, *, lease: str | None = None) -> Observation:
    return Observation(sessions=(), observed=NOW, boot=None, computer=computer, lease=lease)


def test_a_computer_is_told_by_its_own_name_and_the_lease_of_the_run() -> None:
    own = Lease(run="r-1", owner="admin@box", reason="", since="20261130000000.000000+000", expires=None)
    with pytest.raises(AnotherComputer):
        check_computer("TS1", seen("TS2"), "r-1")
    check_computer("TS1", seen("ts1"), "r-1")
    check_computer(None, seen("TS2"), "r-1")
    check_computer("TS1", seen(None), "r-1")
    check_computer("TS1", seen("TS2", lease=own.text()), "r-1")  # it was renamed
    with pytest.raises(AnotherComputer):
        check_computer("TS1", seen("TS2", lease=own.text()), "r-2")
