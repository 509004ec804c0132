"""What was meant to spare somebody and matches nothing: it is said, and where it looks like a slip it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.console import Command
from support.host_plans import look
from support.seen_sessions import ALICE, BOB, session

from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.sessions import Observation, Session
from mpsbridge.planning.policy import Policy, plan_host
from mpsbridge.planning.selection import Selector
from mpsbridge.planning.spared import Unmatched, unmatched

SPARE = {"keep_user": "keep_users", "keep_running": "keep_running"}


def said(*people: Session, hosts: tuple[str, ...] = ("room01",), running: Any = (), **policy: Any) -> list[Unmatched]:
    """Of one host with these people, where everybody is to be ended."""
    seen: Observation = look(*people, running=running)
    made = Policy(**{"selector": Selector(everyone=True), **policy})
    return list(unmatched(made, {"room01": plan_host("room01", seen, made, run="r-1")}, hosts=hosts))


def named(account: str) -> Session:
    return session(5, account.rpartition("\\")[2], account=account)


@pytest.mark.parametrize(
    ("kept", "there"),
    [
        ("alic", "alice"),
        ("alicee", "alice"),
        ("ailce", "alice"),
        ("alise", "alice"),
        ("jo", "jon"),
        ("SCHOLL\\alice", "SCHOOL\\alice"),
        ("SCHOOL\\alic", "SCHOOL\\alice"),
        ("alice@school.example", "SCHOOL\\alice"),
        ("pupil1", "pupil01"),
        ("MARTINE", "SCHOOL\\martina"),
    ],
)
def test_a_name_like_one_that_would_be_ended_refuses(kept: str, there: str) -> None:
    (found,) = said(named(there), BOB, keep_users=(kept,))
    assert found.refuses
    assert found.text == (
        f"--keep-user {kept}: not found on any host; did you mean {there} (session 5 on room01)? "
        "It would be ended: correct the option, or leave it out"
    )


@pytest.mark.parametrize(
    ("kept", "there"),
    [
        ("backup-service", "alice"),
        ("tim", "tom"),
        ("bob", "bobby"),
        ("al", "alice"),
        ("ed", "eve"),
        ("anna", "anne"),
        ("pupil01", "pupil02"),
        ("SCHOOL\\dave", "SCHOOL\\alice"),
    ],
)
def test_a_name_of_somebody_who_is_not_there_is_only_said(kept: str, there: str) -> None:
    (found,) = said(named(there), keep_users=(kept,))
    assert not found.refuses
    assert found.text.startswith(f"--keep-user {kept}: not found on any host")


def test_the_nearest_name_is_said_where_nobody_is_ended_of_that_name() -> None:
    (found,) = said(ALICE, keep_users=("alice", "alic"))
    assert found == Unmatched("--keep-user alic: not found on any host; did you mean alice (session 2 on room01)?")


@pytest.mark.parametrize("kept", ["alice", "ALICE", "SCHOOL\\alice"])
def test_what_matches_anybody_is_not_said(kept: str) -> None:
    assert said(named("SCHOOL\\alice"), keep_users=(kept,)) == []


def test_people_are_looked_for_on_all_hosts() -> None:
    policy = Policy(selector=Selector(everyone=True), keep_users=("bob",), keep_running=("backup",))
    looks = {"room01": look(ALICE), "room02": look(BOB, running=((3, "backup"),))}
    plans = {host: plan_host(host, seen, policy, run="r-1") for host, seen in looks.items()}
    assert unmatched(policy, plans, hosts=looks) == ()


def test_a_session_of_no_known_host_refuses() -> None:
    (found,) = said(ALICE, keep_sessions=(("rom01", 2),))
    assert (found.refuses, found.text) == (
        True,
        "--keep-session rom01:2: rom01 is not a known host; did you mean room01? Correct the option, or leave it out",
    )
    assert said(ALICE, keep_sessions=(("ROOM01", 2),)) == []


def test_a_session_that_is_not_there_is_said_with_those_that_are() -> None:
    (found,) = said(ALICE, BOB, keep_sessions=(("room01", 99),))
    assert found == Unmatched("--keep-session room01:99: no session 99 on room01; there are 2 (alice), 3 (bob)")
    (elsewhere,) = said(ALICE, hosts=("room01", "room02"), keep_sessions=(("room02", 2),))
    assert elsewhere == Unmatched("--keep-session room02:2: room02 was not looked at")


def test_a_program_that_runs_nowhere_is_said() -> None:
    (found,) = said(ALICE, keep_running=("bakcup",))
    assert found == Unmatched("--keep-running bakcup: it runs in no session of the hosts that were looked at")
    assert said(ALICE, running=((2, "backup"),), keep_running=("backup",)) == []


HOSTS: list[dict[str, Any]] = [
    {"name": "room01", "sessions": [{"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "1h"}]},
    {"name": "room02", "sessions": [{"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "logon": "1h"}]},
]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(build_world({"hosts": HOSTS}), auth="ntlm") as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


@pytest.mark.parametrize("how", [["--yes"], ["--dry-run"]])
@pytest.mark.parametrize(
    ("option", "word", "near"),
    [
        ("--keep-user", "alic", "did you mean TS1\\alice"),
        ("--keep-user", "SCHOLL\\alice", "did you mean"),
        ("--keep-session", "rom01:2", "did you mean room01?"),
    ],
)
def test_a_slip_refuses_the_call_and_nothing_is_sent(
    lab: Lab, mpsbridge: Command, how: list[str], option: str, word: str, near: str
) -> None:
    words = ("end", "room01", "room02", "--all", "--no-warning", option, word, *how)
    found = mpsbridge(*words, "-o", "json")
    assert found.code == 3
    for host in ("room01", "room02"):
        reason = found.outcome(host)["reason"]
        assert f"{option} {word}" in reason
        assert near.partition("TS1\\")[0] in reason
    assert lab.changes == []


@pytest.mark.parametrize(
    ("option", "word"), [("--keep-session", "room01:99"), ("--keep-running", "bakcup"), ("--keep-user", "zoe")]
)
def test_what_matches_nothing_is_said_before_anything_happens(
    lab: Lab, mpsbridge: Command, option: str, word: str
) -> None:
    words = ("end", "room01", "room02", "--all", "--no-warning", option, word)
    unanswered = mpsbridge(*words)  # without a terminal nobody can be asked
    assert (unanswered.code, lab.changes) == (3, [])
    assert f"{option} {word}" in unanswered.err
    assert f"{option} {word}" in mpsbridge(*words, "--dry-run", "--quiet").err
    for how in ("--dry-run", "--yes"):
        found = mpsbridge(*words, how, "-o", "json")
        assert found.code == 0, found.err
        assert f"{option} {word}" in json.dumps(found.outcome("room01")["value"]["problems"])
    assert sorted(change.user or "" for change in lab.changes if change.act == "logoff") == ["alice", "bob"]


def test_a_plan_is_asked_alike_and_its_shards_know_all_its_hosts(lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    text = 'schema = "mpsbridge-plan/1"\nhosts = ["room01", "room02"]\nreason = "x"\n[notices]\nat = []\n[policy]\n'
    plan.write_text(text + 'keep_user = ["alic"]\n', encoding="utf-8")
    assert mpsbridge("maintain", str(plan), "--yes").code == 3
    plan.write_text(text + 'keep_session = ["rom01:2"]\n', encoding="utf-8")
    assert mpsbridge("maintain", str(plan), "--yes").code == 3
    assert lab.changes == []
    plan.write_text(text + 'keep_session = ["room01:2", "room02:3"]\n', encoding="utf-8")
    codes = [mpsbridge("maintain", str(plan), "--shard", f"{number}/2", "--yes").code for number in (1, 2)]
    assert codes == [0, 0]
    assert [change for change in lab.changes if change.act == "logoff"] == []
