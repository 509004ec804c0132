"""``--dry-run``, in whichever command: it looks, says what would be done, refuses as the real call, and never acts."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.asking import ASKING
from support.console import Command
from support.died_run import RUN, held_host, record
from support.reserved import lease_of, put_lease
from support.snippet_calls import CALLS
from typer.main import get_command_name

from mpsbridge.cli.commands import app
from mpsbridge.clock import HastyClock
from mpsbridge.errors import NotSent, Refused
from mpsbridge.host import Host
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.scripts import Effect, Script
from mpsbridge.models.targets import Target
from mpsbridge.runs.events import LeaseTaken, Phase
from mpsbridge.runs.journal import Journal
from mpsbridge.snippets.catalogue import CATALOGUE
from mpsbridge.transports.canned import CannedTransport

ACTING = {
    "message": ["message", "beta", "--all", "--text", "hello"],
    "disconnect": ["disconnect", "beta", "--all"],
    "logoff": ["logoff", "beta", "--all"],
    "reset": ["reset", "gamma", "--session", "7"],
    "end": ["end", "beta", "--all", "--no-warning"],
    "maintain": ["maintain", "plan.toml"],
    "resume": ["resume"],
    "hold": ["hold", "beta", "--reason", "exam"],
    "release": ["release", "alpha"],
    "logons": ["logons", "beta", "--set", "drain"],
}
LOOKING = {name: [name, "beta"] for name in ("sessions", "stations", "doctor", "leases", "hosts")}
PLAN = """schema = "mpsbridge-plan/1"
hosts = ["beta"]
reason = "updates"

[notices]
at = ["1m"]
"""


@pytest.fixture
def clock() -> HastyClock:
    return HastyClock(300)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: HastyClock) -> Iterator[Lab]:
    """Alpha is held by a run that died; beta is free; gamma has an orphaned session."""
    free = {
        "name": "beta",
        "generation": "2016",
        "sessions": [{"id": 3, "user": "bob", "session_name": "rdp-tcp#1", "logon": "1h"}],
    }
    orphan = {"name": "gamma", "sessions": [{"id": 7, "user": "erin", "logon": "2h", "linger_s": 10**8}]}
    world = build_world({"hosts": [held_host(), free, orphan]}, clock)
    with world.changing() as hosts:
        hosts["gamma"].log_off(7)
        world.changes.clear()
    with Lab(world, clock=clock) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
        record(tmp_path / "journal.sqlite")
        yield running


def test_every_command_that_takes_the_option_is_tried_here() -> None:
    names = set()
    for entry in app.registered_commands:
        assert entry.callback is not None
        if "dry_run" in inspect.signature(entry.callback).parameters:
            names.add(get_command_name(entry.name or entry.callback.__name__))
    assert names == ACTING.keys() | LOOKING.keys()


@pytest.mark.parametrize("said", [[], ["--yes"]], ids=["bare", "yes"])
@pytest.mark.parametrize("name", [*ACTING, *LOOKING])
def test_no_command_acts_in_a_dry_run(
    name: str, said: list[str], lab: Lab, mpsbridge: Command, clock: HastyClock, tmp_path: Path
) -> None:
    words = {**ACTING, **LOOKING}[name]
    found = mpsbridge(*words, "--dry-run", *(said if name in ASKING else []), clock=clock)
    assert lab.changes == []
    assert found.code == 0, found.err
    assert bool(lab.requests) == (name != "hosts")
    assert "--yes" not in found.out + found.err
    with Journal(tmp_path / "journal.sqlite") as journal:
        (run,) = journal.runs()
        assert (run.id, run.ended, journal.entries(RUN)) == (RUN, None, [])


@pytest.mark.parametrize("name", ACTING)
def test_the_same_call_without_the_option_acts(name: str, lab: Lab, mpsbridge: Command, clock: HastyClock) -> None:
    found = mpsbridge(*ACTING[name], *(["--yes"] if name in ASKING else []), clock=clock)
    assert found.code == 0, found.err
    assert lab.changes != []


@pytest.mark.parametrize("name", sorted(ASKING))
def test_without_a_yes_nothing_is_sent(name: str, lab: Lab, mpsbridge: Command, clock: HastyClock) -> None:
    found = mpsbridge(*ACTING[name], clock=clock)
    assert (found.code, lab.changes) == (3, []), found.err


def test_a_dry_run_of_resume_shows_who_would_be_ended(lab: Lab, mpsbridge: Command, clock: HastyClock) -> None:
    found = mpsbridge("resume", "--dry-run", "-o", "json", clock=clock).outcome("alpha")["value"]
    assert (found["run"], found["dry_run"], found["outcome"]) == (RUN, True, "planned")
    assert [(each["session"]["user"], each["result"]) for each in found["sessions"]] == [("alice", "would")]
    assert "1 session would be ended" in mpsbridge("resume", "--dry-run", clock=clock).out
    assert lab.changes == []


def test_what_would_be_done_is_not_told_as_done(lab: Lab, mpsbridge: Command) -> None:
    assert "would be held" in mpsbridge("hold", "beta", "--reason", "exam", "--dry-run").out
    assert "would be released" in mpsbridge("release", "alpha", "--dry-run").out
    assert "logons would be set to drain on beta" in mpsbridge("logons", "beta", "--set", "drain", "--dry-run").err
    assert lab.changes == []


def test_a_dry_run_of_resume_is_refused_as_the_real_one_is(lab: Lab, mpsbridge: Command, clock: HastyClock) -> None:
    with lab.world.changing() as hosts:
        lease = lease_of(hosts["alpha"])
        assert lease is not None
        put_lease(hosts["alpha"], lease.replace(RUN, "20261125-130000-beef"))
    rehearsed = mpsbridge("resume", "--dry-run", clock=clock)
    assert lab.changes == []
    real = mpsbridge("resume", "--yes", clock=clock)
    assert (rehearsed.code, real.code) == (1, 1)
    for found in (rehearsed, real):
        assert "held by run 20261125-130000-beef" in found.err
    assert lab.changes == []


@pytest.mark.parametrize("name", ACTING)
def test_every_act_tells_each_host_in_a_json_line_also_where_it_only_plans(
    mpsbridge: Command, lab: Lab, name: str
) -> None:
    done = mpsbridge(*ACTING[name], "--dry-run", "-o", "jsonl")
    assert lab.changes == []
    assert [json.loads(line)["status"] for line in done.out.splitlines()] == ["done"]


def test_a_host_of_a_dry_run_takes_nothing_but_reads() -> None:
    sent: list[str] = []

    def answer(script: Script) -> NotSent:
        sent.append(script.snippet)
        return NotSent("as far as this test goes")

    target = Target("ts1")
    host = Host(target, connect=lambda _target: CannedTransport(answer), only_reads=True)
    assert set(CALLS) == set(CATALOGUE)
    acts = [snippet for snippet in CALLS.values() if snippet.effect is not Effect.READ]
    assert len(acts) > 5
    for snippet in acts:
        with pytest.raises(Refused, match="only reads are sent here"):
            host.run(snippet)
    assert sent == []
    for look in (host.observe, host.look, host.stations, host.logons):
        with pytest.raises(NotSent):
            look()
    assert len(sent) == 4


HELD = {
    "logoff": ["logoff", "alpha", "--all"],
    "disconnect": ["disconnect", "alpha", "--user", "alice"],
    "logons": ["logons", "alpha", "--set", "enabled"],
    "end": ["end", "alpha", "--all", "--no-warning"],
}


@pytest.mark.parametrize("how", ["--dry-run", "--yes"])
@pytest.mark.parametrize("name", HELD)
def test_a_host_that_is_held_is_refused_before_anything_is_sent(
    name: str, how: str, lab: Lab, mpsbridge: Command, clock: HastyClock
) -> None:
    """With who holds it, why, and what gives it back; once the dry run said that all would be done."""
    found = mpsbridge(*HELD[name], how, clock=clock)
    assert found.code == 3, found.err
    assert f"run {RUN} of root@box (updates)" in found.err + found.out
    assert f"'mpsbridge resume {RUN}' goes on with it" in found.err + found.out
    assert [change for change in lab.changes if change.host == "alpha"] == []


def test_a_message_reaches_people_on_a_held_host(lab: Lab, mpsbridge: Command, clock: HastyClock) -> None:
    found = mpsbridge("message", "alpha", "--all", "--text", "hello", clock=clock)
    assert found.code == 0
    assert [change.act for change in lab.changes if change.host == "alpha"] == ["message"]


@pytest.mark.parametrize(
    ("floor", "then", "begin"),
    [("3", "restart", 0), ("2", "restart", 3), ('"50%"', "restart", 3), ("2", "shutdown", 1), ("0", "shutdown", 3)],
)
def test_a_dry_run_of_a_plan_tells_who_would_have_no_turn(
    floor: str, then: str, begin: int, mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["one", "two", "three"]
    people = [{"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "1h"}]
    three = PLAN.replace('"beta"', '"one", "two", "three"')
    waves = f"{three}\n[waves]\nfloor = {floor}\n"
    plan = tmp_path / "waves.toml"
    plan.write_text(waves.replace('reason = "updates"', f'reason = "updates"\nthen = "{then}"'), encoding="utf-8")
    with Lab(build_world({"hosts": [{"name": name, "sessions": people} for name in names]})) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        found = mpsbridge("maintain", str(plan), "--dry-run", "-o", "json")
    skipped = [each for each in found.document["outcomes"] if each["status"] == "skipped"]
    assert len(skipped) == 3 - begin
    assert all("must (floor)" in each["reason"] for each in skipped)
    assert found.code == (0 if begin == 3 else 3 if begin == 0 else 1)


@pytest.mark.parametrize("how", ["--dry-run", "--yes"])
def test_a_host_that_a_person_has_released_has_left_the_run(
    how: str, lab: Lab, mpsbridge: Command, clock: HastyClock, tmp_path: Path
) -> None:
    """The dry run once said that its sessions would be ended."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.record(RUN, "alpha", LeaseTaken(expires=datetime(2099, 11, 25, tzinfo=UTC), phase=Phase.LEASE))
    with lab.world.changing() as hosts:
        put_lease(hosts["alpha"], None)
    found = mpsbridge("resume", how, clock=clock)
    assert (found.code, "so the host has left this run" in found.err) == (1, True)
    assert [change for change in lab.changes if change.host == "alpha"] == []
