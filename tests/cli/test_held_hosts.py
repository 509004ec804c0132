"""A host that is held: how the run stands that has it, and the one call that helps, with its host or its run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.console import Command
from support.died_run import RUN, held_host, record
from support.reserved import lease_of, put_lease

from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.sessions import Observation
from mpsbridge.planning.lease import Lease, RunFate, held_by
from mpsbridge.runs.journal import Journal
from mpsbridge.runs.verdict import RunVerdict, Verdict

RESUME, RELEASE = f"'mpsbridge resume {RUN}'", "'mpsbridge release alpha'"
CALLS = {
    "logoff": ["logoff", "alpha", "--all", "--yes"],
    "logons": ["logons", "alpha", "--set", "enabled", "--yes"],
    "hold": ["hold", "alpha", "--reason", "exam"],
    "end": ["end", "alpha", "--all", "--no-warning", "--yes"],
}


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(build_world({"hosts": [held_host()]})) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


@pytest.mark.parametrize("name", CALLS)
def test_a_run_that_died_here_is_resumed(name: str, lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    """Once three calls were named in turn, none of them with its host, and not the one that helps."""
    record(tmp_path / "journal.sqlite")
    found = mpsbridge(*CALLS[name])
    assert (found.code, lab.changes) == (3, [])
    assert f"by run {RUN} of root@box (updates), which died on this machine; {RESUME} goes on with it" in found.err
    assert f"goes on with it, {RELEASE} gives it back" in found.err
    assert "--take-over" not in found.err


@pytest.mark.parametrize("name", CALLS)
def test_a_run_that_is_at_work_here_is_waited_for(name: str, lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    record(tmp_path / "journal.sqlite")
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.take(RUN)
        found = mpsbridge(*CALLS[name])
    assert (found.code, lab.changes) == (3, [])
    assert "which is at work on this machine; wait until it has ended, or stop it" in found.err
    assert "mpsbridge re" not in found.err


@pytest.mark.parametrize("name", CALLS)
def test_of_a_run_that_is_not_known_here_that_is_said(name: str, lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge(*CALLS[name])
    assert (found.code, lab.changes) == (3, [])
    helps = "(--take-over allows it)" if name == "end" else f"; if it died, {RELEASE} gives it back"
    assert f"whose record is not here{' ' * (name == 'end')}{helps}" in found.err


@pytest.mark.parametrize("name", CALLS)
def test_a_run_that_has_ended_is_released(name: str, lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    record(tmp_path / "journal.sqlite")
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.end(RUN, RunVerdict.of([Verdict.PARTLY]))
    found = mpsbridge(*CALLS[name])
    assert (found.code, lab.changes) == (3, [])
    assert f"which has ended; {RELEASE} gives it back" in found.err


@pytest.mark.parametrize("name", CALLS)
def test_a_person_s_hold_is_told_as_that_person_s(name: str, lab: Lab, mpsbridge: Command) -> None:
    with lab.world.changing() as hosts:
        old = str(lease_of(hosts["alpha"]))
        put_lease(
            hosts["alpha"], Lease.model_validate_json(old).model_copy(update={"run": None, "reason": "exam"}).text()
        )
    found = mpsbridge(*CALLS[name])
    already = "already " if name == "hold" else ""
    assert f"the host is held {already}by root@box (exam); {RELEASE} gives it back" in found.err
    assert "a hold of" not in found.err + found.out + mpsbridge("leases", "alpha").out


def seen_with(lease: str) -> Observation:
    values: dict[str, Any] = {"observed": datetime(2026, 11, 25, 12, 5, tzinfo=UTC), "lease": lease}
    return Observation.model_construct(**{"problems": (), **values})


GOES_ON = {RunFate.DIED, RunFate.OPEN}


@pytest.mark.parametrize("fate", [*RunFate, None])
@pytest.mark.parametrize("may_take", [True, False])
def test_one_thing_to_do_is_named_and_two_where_a_run_can_be_gone_on_with(fate: RunFate | None, may_take: bool) -> None:
    said = held_by(seen_with(held_host()["files"][0]["text"]), "ts 1", lambda _run: fate, may_take=may_take)
    ways = ("mpsbridge resume", "mpsbridge release 'ts 1'", "--take-over", "wait until")
    named = [way for way in ways if way in said]
    assert named == list(ways[:2]) if fate in GOES_ON else len(named) == 1, said
    assert may_take or "--take-over" not in said
