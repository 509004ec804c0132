"""What users of other tools ask for and none of them gives, point by point: the command line against the lab.

Each test has hosts of its own in one lab over real sockets. Everybody lives by a clock that shortens waits, but where a
command's own time limit is tried.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from support.console import Command, Console
from support.records import names_in
from support.reserved import lease_of

from mpsbridge.clock import HastyClock, SystemClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.regions import WORDS
from mpsbridge.lab.windows.world import Change
from mpsbridge.lab.worldfile import build_world
from mpsbridge.operations.planfile import read_plan
from mpsbridge.runs.journal import Entry, Journal, owner


def person(id: int, user: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "user": user, "logon": "1h", **more}


ALICE, BOB = person(2, "alice"), person(3, "bob")
CAROL = person(4, "carol", state="disconnected", idle_s=9000)
ROOT = person(5, "root", admin=True)
MANY = [f"many-{number:02}" for number in range(1, 21)]


def lost(call: str, *, after: int = 0, times: int | None = None) -> dict[str, Any]:
    """The connection breaks instead of a call, which the host never gets."""
    fault: dict[str, Any] = {"step": "command", "do": "close", "call": call, "after": after}
    return fault if times is None else {**fault, "times": times}


HOSTS: list[dict[str, Any]] = [
    {"name": "seat", "sessions": [ALICE, BOB]},
    {"name": "empty"},
    {"name": "blind", "rights": "user", "sessions": [ALICE]},
    {"name": "fields", "utc_offset_min": 120, "sessions": [person(2, "alice", idle_s=65), CAROL]},
    {"name": "stages", "sessions": [ALICE, BOB]},
    {"name": "nag", "sessions": [ALICE, BOB], "faults": [lost("Send-MpsbridgeMessage", after=1, times=2)]},
    {"name": "boxes", "sessions": [ALICE, person(3, "bob", protected=True), CAROL, person(6, "dave")]},
    {"name": "ours", "sessions": [ALICE], "faults": [lost("Close-MpsbridgeSession", times=2)]},
    {"name": "theirs", "sessions": [ALICE], "faults": [lost("Close-MpsbridgeSession", times=2)]},
    {"name": "drained", "logon_mode": "drain", "sessions": [ALICE]},
    {
        "name": "who",
        "sessions": [ALICE],
        # Taken, and marked with what is set; then not given back.
        "faults": [lost("Set-MpsbridgeLease", after=2, times=2)],
    },
    {"name": "plan", "sessions": [ALICE, BOB, CAROL, ROOT]},
    {"name": "waits", "sessions": [ALICE, BOB]},
    {"name": "hangs", "sessions": [ALICE], "faults": [{"step": "command", "do": "hang", "acted": True}]},
    {"name": "slow", "sessions": [person(2, "alice", hung=True)]},
    {"name": "works", "sessions": [ALICE]},
    {"name": "dead", "down": True},
    {"name": "grace", "sessions": [ALICE, BOB]},
    {"name": "late", "sessions": [ALICE]},
    *({"name": name, "sessions": [person(2, f"user{name[-2:]}")]} for name in MANY),
    *(
        {"name": f"in-{language}", "language": language, "sessions": [person(2, "alice", idle_s=65), CAROL]}
        for language in WORDS
    ),
    {"name": "first", "sessions": [ALICE, BOB]},
    {"name": "second", "sessions": [person(7, "alice"), BOB]},
]


@pytest.fixture(scope="module")
def clock() -> HastyClock:
    return HastyClock(300)


@pytest.fixture(scope="module")
def running(clock: HastyClock) -> Iterator[Lab]:
    with Lab(build_world({"hosts": HOSTS}, clock), auth="basic", clock=clock) as lab:
        yield lab


@pytest.fixture
def lab(running: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
    monkeypatch.setenv("MPSBRIDGE_INSECURE_BASIC", "1")
    return running


Call = Callable[..., Console]


@pytest.fixture
def call(lab: Lab, mpsbridge: Command, clock: HastyClock) -> Call:
    """A command line by the lab's clock, answered as one JSON document."""
    return lambda *words: mpsbridge(*words, "-o", "json", clock=clock)


@pytest.fixture
def whenever(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Change, LabHost], object]], None]:
    """Let something happen on a host whenever something else has."""

    def install(follows: Callable[[Change, LabHost], object]) -> None:
        note = lab.world.on_change

        def on_change(change: Change) -> None:
            if note is not None:
                note(change)
            follows(change, lab.world.hosts[change.host])

        monkeypatch.setattr(lab.world, "on_change", on_change)

    return install


def acts(lab: Lab, host: str) -> list[tuple[str, str | None]]:
    """What happened to people on a host, in order."""
    return [(change.act, change.user) for change in lab.changes if change.host == host and change.user]


def users(lab: Lab, host: str) -> list[str]:
    with lab.world.changing() as hosts:
        return [session.user for session in hosts[host].rows()]


def logons(lab: Lab, host: str) -> str:
    with lab.world.changing() as hosts:
        return hosts[host].logon_mode


def results(found: Console, host: str) -> dict[str, str]:
    return {one["session"]["user"]: one["result"] for one in found.outcome(host)["value"]["sessions"]}


def entries(folder: Path, host: str) -> list[Entry]:
    """The newest run's record of one host."""
    with Journal(folder / "journal.sqlite") as journal:
        return journal.entries(journal.runs()[0].id, host=host)


def test_peers_01_an_act_is_only_for_the_same_user_and_logon(
    lab: Lab, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowReader(io.StringIO):
        """Somebody else takes the seat, and its number, while the administrator reads the question."""

        def isatty(self) -> bool:
            return True

        def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override] # as StringIO itself
            with lab.world.changing() as hosts:
                hosts["seat"].log_off(2)
                hosts["seat"].rows()
                taken = hosts["seat"].log_on("zoe")
                taken.id = 2
            return super().readline(-1 if size is None else size)

    monkeypatch.setattr("sys.stdin", SlowReader("y\n"))
    found = mpsbridge("logoff", "seat", "--session", "2", "-o", "json")
    assert results(found, "seat") == {"alice": "changed"}
    assert users(lab, "seat") == ["bob", "zoe"]


def test_peers_02_nobody_is_there_and_may_not_look_are_two_answers(call: Call) -> None:
    found = call("sessions", "empty", "blind")
    assert found.code == 1
    assert found.outcome("empty")["value"]["sessions"] == []
    assert found.outcome("blind")["status"] == "failed"
    assert found.outcome("blind")["failure"]["kind"] == "blind"
    assert found.outcome("blind")["failure"]["hint"]


def test_peers_03_sessions_are_data_with_stable_fields(lab: Lab, mpsbridge: Command, call: Call) -> None:
    fields = [
        *("id", "user", "user_text", "account", "session_name", "state", "state_text", "idle_s", "idle_text", "logon"),
        *("logon_text", "born", "own", "admin", "station", "client"),
    ]
    alice, carol = call("sessions", "fields").outcome("fields")["value"]["sessions"]
    assert list(alice) == list(carol) == fields
    assert (alice["id"], alice["user"], alice["account"]) == (2, "alice", "FIELDS\\alice")
    assert (alice["state"], alice["idle_s"], alice["logon"][-6:]) == ("active", 60, "+02:00")  # whole minutes
    assert (carol["state"], carol["idle_s"] >= 9000, carol["session_name"]) == ("disconnected", True, None)
    lines = [json.loads(line) for line in mpsbridge("sessions", "fields", "-o", "jsonl").out.splitlines()]
    assert [list(one) for line in lines for one in line["value"]["sessions"]] == [fields, fields]
    table = list(csv.reader(io.StringIO(mpsbridge("sessions", "fields", "-o", "csv").out)))
    assert [name for name in table[0] if name in fields] == fields


def test_peers_04_the_wait_ends_with_the_last_person_and_each_step_follows_a_look(
    lab: Lab, call: Call, whenever: Callable[..., None], tmp_path: Path
) -> None:
    def go_home(change: Change, host: LabHost) -> None:
        if (change.host, change.act, change.user) == ("stages", "message", "bob"):
            for session in host.rows():
                host.log_off(session.id)

    whenever(go_home)
    began = lab.world.clock.now()
    found = call("end", "stages", "--all", "--warn", "50m,5m", "--then", "restart", "--yes")
    assert found.code == 0, found.err
    assert (lab.world.clock.now() - began).total_seconds() < 20 * 60
    assert found.outcome("stages")["value"]["outcome"] == "back"
    assert results(found, "stages") == {"alice": "gone", "bob": "gone"}
    steps = [name for name in names_in(entries(tmp_path, "stages")) if name not in {"outcome", "notice", "waiting"}]
    assert "logoff" not in steps
    assert steps[steps.index("message") + 1] == "look"
    assert steps[steps.index("power") - 1] == "look"


def test_peers_05_nobody_is_told_twice_by_a_run_that_goes_on(lab: Lab, call: Call) -> None:
    broken = call("end", "nag", "--all", "--warn", "3m,1m", "--yes")
    assert broken.code == 4
    told = boxes(lab, "nag")
    assert [text.partition(" ")[0] for _, text in told] == ["Your", "Your", "The", "The"]  # and that it is off
    assert logons(lab, "nag") == "enabled"
    assert call("resume", "--yes").code == 0
    anew = boxes(lab, "nag")[len(told) :]
    assert len(anew) == len({(user, text[:30]) for user, text in anew}) == 4
    assert users(lab, "nag") == []


def boxes(lab: Lab, host: str) -> list[tuple[str | None, str]]:
    return [(change.user, change.text) for change in lab.changes if (change.host, change.act) == (host, "message")]


def test_peers_06_each_message_has_a_fate_of_its_own(lab: Lab, call: Call) -> None:
    found = call("message", "boxes", "dead", "--all", "--text", "Save your work")
    assert found.code == 1
    assert results(found, "boxes") == {"alice": "shown", "bob": "refused", "carol": "kept", "dave": "shown"}
    assert acts(lab, "boxes") == [("message", "alice"), ("message", "dave")]
    assert found.outcome("dead")["failure"]["may_have_run"] is False


def test_peers_07_logons_come_back_after_a_failure_and_what_others_closed_stays(
    lab: Lab, call: Call, whenever: Callable[..., None]
) -> None:
    def close(change: Change, host: LabHost) -> None:
        if (change.host, change.act) == ("theirs", "message"):
            host.set_logon_mode("disabled")

    whenever(close)
    found = call("end", "ours", "theirs", "drained", "--all", "--warn", "1m", "--yes")
    assert found.code == 4  # the log-offs of two hosts were lost on the way: nobody knows
    assert {host: logons(lab, host) for host in ("ours", "theirs", "drained")} == {
        "ours": "enabled",
        "theirs": "disabled",
        "drained": "drain",
    }
    assert "changed by others" in found.err
    with lab.world.changing() as hosts:
        assert [lease_of(hosts[host]) for host in ("ours", "theirs", "drained")] == [None, None, None]


def test_peers_08_a_host_tells_who_closed_it_and_why(lab: Lab, call: Call) -> None:
    assert call("end", "who", "--all", "--warn", "1m", "--reason", "new disks", "--yes").code == 1
    assert logons(lab, "who") == "drain"  # giving it back was lost on the way
    held = call("leases", "who").outcome("who")["value"]
    assert (held["owner"], held["reason"], held["found"], held["set"]) == (owner(), "new disks", "enabled", "drain")
    runs = call("history").document["runs"]
    assert {run["id"]: (run["owner"], run["reason"]) for run in runs}[held["run"]] == (owner(), "new disks")
    assert call("release", "who", "--yes").code == 0
    assert logons(lab, "who") == "enabled"


def test_peers_09_a_dry_run_lists_who_would_be_hit_and_what_blocks(lab: Lab, call: Call) -> None:
    words = ("end", "plan", "--all", "--no-warning")
    blocked = call(*words, "--then", "restart", "--dry-run")
    assert blocked.code == 3
    for block in ("session 4, carol", "--disconnected-ok", "session 5, root", "--include-admins"):
        assert block in blocked.outcome("plan")["reason"]
    planned = call(*words, "--disconnected-ok", "--dry-run")
    assert planned.code == 0
    would = {user for user, result in results(planned, "plan").items() if result == "would"}
    assert acts(lab, "plan") == []
    assert call(*words, "--disconnected-ok", "--yes").code == 0
    assert {user for act, user in acts(lab, "plan") if act == "logoff"} == would == {"alice", "bob", "carol"}
    beside = call("end", "empty", "blind", "dead", "--all", "--dry-run")  # whatever the hosts are like, it answers
    assert [outcome["status"] for outcome in beside.document["outcomes"]] == ["done", "failed", "failed"]


def test_peers_10_it_says_what_is_waited_for(lab: Lab, call: Call, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    words = ("--warn", "2m", "--then", "restart", "--yes", "--events", str(events))
    assert call("end", "waits", "--all", *words).code == 0
    told = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    texts = {each["event"]: each["text"] for each in told}
    assert "waiting 2m for 2 sessions (until" in texts["waiting"]
    assert texts["ordered"] == "restart ordered; waiting for the host to come back"
    assert "has started again" in texts["booted"]


def test_peers_11_a_command_and_a_run_end_in_time(lab: Lab, mpsbridge: Command, clock: HastyClock) -> None:
    real = SystemClock()
    began = real.monotonic()
    hung = mpsbridge("sessions", "hangs", "--timeout", "1s", "-o", "json")
    assert hung.outcome("hangs")["failure"]["kind"] == "timeout"
    assert real.monotonic() - began < 10
    words = ("--warn", "1m", "--settle", "50m", "--host-deadline", "5m", "--yes", "-o", "json")
    before = clock.now()
    late = mpsbridge("end", "slow", "--all", *words, clock=clock)
    assert late.code == 4  # her log-off has begun, and nobody knows whether it ends
    assert "deadline" in late.outcome("slow")["failure"]["message"]
    assert (clock.now() - before).total_seconds() < 20 * 60
    assert (users(lab, "slow"), logons(lab, "slow")) == (["alice"], "enabled")


def test_peers_12_a_dead_host_stops_nobody_and_stands_in_a_plan_to_run_again(
    lab: Lab, call: Call, tmp_path: Path
) -> None:
    plan, left = tmp_path / "plan.toml", tmp_path / "left.toml"
    plan.write_text(
        'schema = "mpsbridge-plan/1"\nhosts = ["dead", "works"]\nreason = "updates"\n[notices]\nat = ["1m"]\n',
        encoding="utf-8",
    )
    found = call("maintain", str(plan), "--yes", "--failed-to", str(left))
    assert found.code == 1
    assert results(found, "works") == {"alice": "ended"}
    assert read_plan(left).hosts == ("dead",)
    assert read_plan(left).reason == "updates"


def test_peers_13_a_restart_leaves_time_and_happens_only_when_nobody_is_on(
    lab: Lab, call: Call, whenever: Callable[..., None]
) -> None:
    def arrive(change: Change, host: LabHost) -> None:
        if (change.host, change.act) == ("late", "logoff"):
            host.log_on("zoe")

    whenever(arrive)
    found = call("end", "grace", "late", "--all", "--warn", "5m", "--reason", "updates", "--then", "restart", "--yes")
    assert found.outcome("grace")["value"]["outcome"] == "back"
    on = {change.act: change for change in lab.changes if change.host == "grace"}
    assert on["message"].text.startswith("Your session ends in 5 min, at ")
    assert "updates" in on["message"].text
    assert _seconds(on["message"], on["restart"]) >= 5 * 60 - 1
    refused = found.outcome("late")["failure"]
    assert "still there: session" in refused["message"]
    assert ("restart", None) not in [(change.act, change.user) for change in lab.changes if change.host == "late"]
    assert (users(lab, "late"), logons(lab, "late")) == (["zoe"], "enabled")


def _seconds(first: Change, second: Change) -> float:
    return (datetime.fromisoformat(second.at) - datetime.fromisoformat(first.at)).total_seconds()


def test_peers_14_tables_are_read_in_any_language(lab: Lab, call: Call) -> None:
    names = [f"in-{language}" for language in WORDS]
    found = call("sessions", *names)
    assert found.code == 0
    for name in names:
        alice, carol = found.outcome(name)["value"]["sessions"]
        assert (alice["user"], alice["state"], alice["idle_s"]) == ("alice", "active", 60)
        assert (carol["user"], carol["state"], carol["idle_s"] >= 9000) == ("carol", "disconnected", True)
        assert carol["logon"] == alice["logon"] is not None
    assert call("logoff", *names, "--disconnected-over", "2h", "--yes").code == 0
    assert {tuple(acts(lab, name)) for name in names} == {(("logoff", "carol"),)}


def test_peers_15_many_hosts_are_one_view(lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    listed = tmp_path / "hosts.txt"
    listed.write_text("\n".join(MANY), encoding="utf-8")
    found = mpsbridge("sessions", f"@{listed}")
    assert found.code == 0
    *rows, summary = found.out.splitlines()[1:]
    assert [line.split()[0] for line in rows] == MANY
    assert summary == "20 sessions on 20 hosts"


def test_peers_16_a_user_is_logged_off_everywhere_by_one_command(lab: Lab, call: Call) -> None:
    found = call("logoff", "first", "second", "--user", "alice", "--yes")
    assert found.code == 0
    assert [results(found, host) for host in ("first", "second")] == [{"alice": "ended"}] * 2
    assert [users(lab, host) for host in ("first", "second")] == [["bob"], ["bob"]]
