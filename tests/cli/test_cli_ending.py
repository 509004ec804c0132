"""``end``, ``leases``, ``hold``, ``release``, ``resume`` against the lab, over real sockets, in seconds."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.console import Command
from support.contract import documents
from support.reserved import lease_of, leased, weak_folder

from mpsbridge.clock import HastyClock, SystemClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.sessions import LogonMode
from mpsbridge.planning.lease import Lease
from mpsbridge.planning.policy import Policy
from mpsbridge.planning.selection import Selector
from mpsbridge.runs.events import Finished, HostStopped, Step, StepSent
from mpsbridge.runs.history import unfinished
from mpsbridge.runs.journal import Journal

HOSTS: list[dict[str, Any]] = [
    {
        "name": "alpha",
        "utc_offset_min": 60,
        "sessions": [
            {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "idle_s": 30, "logon": "2h10m"},
            {"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "logon": "1h"},
        ],
    },
    {
        "name": "beta",
        "language": "de",
        "sessions": [
            {"id": 5, "user": "dave", "state": "disconnected", "idle_s": 9000, "logon": "5h"},
            {"id": 6, "user": "root", "admin": True, "session_name": "rdp-tcp#3", "logon": "1h"},
        ],
    },
]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(build_world({"hosts": HOSTS}), auth="ntlm") as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


def acts(lab: Lab) -> list[tuple[str, str | None]]:
    return [(change.act, change.user) for change in lab.changes if change.act in {"message", "logoff", "logons"}]


def test_the_procedure_warns_waits_ends_and_gives_everything_back(
    lab: Lab,
    mpsbridge: Command,
    tmp_path: Path,
) -> None:
    events = tmp_path / "events.jsonl"
    found = mpsbridge(
        "end",
        "alpha",
        "--all",
        "--warn",
        "2s,1s",
        "--reason",
        "updates",
        "--yes",
        "-o",
        "json",
        "--events",
        str(events),
    )
    assert found.code == 0, found.err
    value = found.outcome("alpha")["value"]
    assert (value["outcome"], value["dry_run"]) == ("done", False)
    assert {each["session"]["user"]: each["result"] for each in value["sessions"]} == {"alice": "ended", "bob": "ended"}
    assert acts(lab) == [
        ("logons", None),
        ("message", "alice"),
        ("message", "bob"),
        ("message", "alice"),
        ("message", "bob"),
        ("logoff", "alice"),
        ("logoff", "bob"),
        ("logons", None),
    ]
    told = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    assert not [error for each in told for error in documents("events").iter_errors(each)]
    assert list(told[0]) == [
        *("schema", "at", "run", "host", "event", "phase", "session", "born", "user", "account"),
        *("state", "decision", "reason", "act", "text"),
    ]
    assert [each["event"] for each in told][-2:] == ["restored", "released"] or "released" in {
        each["event"] for each in told
    }
    with Journal(tmp_path / "journal.sqlite") as journal:
        (run,) = journal.runs()
        assert (run.command, run.reason, str(run.verdict)) == ("end", "updates", "done")
        assert journal.unanswered(run.id) == []
    with lab.world.changing() as hosts:
        assert lease_of(hosts["alpha"]) is None
        assert hosts["alpha"].rows() == []


def test_w40_a_plan_is_shown_and_refuses_as_the_run_would(lab: Lab, mpsbridge: Command) -> None:
    refused = mpsbridge("end", "beta", "--all", "--dry-run", "-o", "json")
    assert refused.code == 3
    assert "--disconnected-ok" in refused.outcome("beta")["reason"]
    planned = mpsbridge("end", "beta", "--all", "--disconnected-ok", "--dry-run", "-o", "json")
    assert planned.code == 0
    sessions = planned.outcome("beta")["value"]["sessions"]
    assert {each["session"]["user"]: each["result"] for each in sessions} == {"dave": "would", "root": "kept"}
    restart = mpsbridge("end", "beta", "--all", "--disconnected-ok", "--then", "restart", "--dry-run", "-o", "json")
    assert (restart.code, "--include-admins" in restart.outcome("beta")["reason"]) == (3, True)
    assert lab.changes == []


def test_without_a_yes_nothing_is_sent_and_who_refuses_is_told_before_the_question(
    lab: Lab, mpsbridge: Command
) -> None:
    found = mpsbridge("end", "alpha", "beta", "--all")
    assert found.code == 3
    assert 0 < found.err.index("beta: refused: session 5, dave") < found.err.index("End 2 sessions on alpha")
    assert lab.changes == []


def test_what_is_the_same_of_many_hosts_is_said_once(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("end", "alpha", "beta", "--all", "--disconnected-ok", "--dry-run")
    assert found.err.count("mstsc /admin") == 1
    assert "alpha, beta: drain does not block every logon" in found.err


def test_where_events_cannot_be_written_no_run_begins(lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    found = mpsbridge("end", "alpha", "--all", "--no-warning", "--yes", "--events", str(tmp_path / "none" / "events"))
    assert found.code == 2
    assert lab.requests == []
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal.runs() == []  # nor would 'resume' begin it


def test_w40_a_hold_keeps_every_run_away_until_it_is_released(lab: Lab, mpsbridge: Command) -> None:
    assert mpsbridge("hold", "alpha", "--reason", "exam").code == 0
    held = mpsbridge("leases", "alpha", "-o", "json").outcome("alpha")["value"]
    assert (held["run"], held["reason"]) == (None, "exam")
    refused = mpsbridge("end", "alpha", "--all", "--no-warning", "--yes", "-o", "json")
    assert refused.code == 3
    assert "exam" in refused.outcome("alpha")["reason"]
    logoff = mpsbridge("logoff", "alpha", "--user", "alice", "--yes", "-o", "json")
    assert (logoff.code, "exam" in logoff.outcome("alpha")["reason"]) == (3, True)
    assert mpsbridge("release", "alpha").code == 3
    assert mpsbridge("release", "alpha", "--yes").code == 0
    assert acts(lab) == []
    assert mpsbridge("leases", "alpha", "-o", "json").outcome("alpha")["value"]["owner"] is None


def test_w22_a_planted_lease_holds_the_host_and_nothing_in_it_is_done(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = Lease(
        run="20261125-090000-abcd",
        owner="ops",
        since="20261125080000.000000+000",
        expires=None,
        found=LogonMode.ENABLED,
        set=LogonMode.DISABLED,
    ).text()
    host = HOSTS[0] | {"logon_mode": "disabled", **leased(planted), **weak_folder()}
    with Lab(build_world({"hosts": [host]}), auth="ntlm") as lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        shown = mpsbridge("leases", "alpha", "-o", "json").outcome("alpha")["value"]
        assert (shown["readable"], shown["run"], shown["set"]) == (False, None, None)
        assert "may be written by S-1-5-32-545; only SYSTEM and Administrators should write there" in shown["text"]
        refused = mpsbridge("end", "alpha", "--all", "--no-warning", "--yes", "-o", "json")
        assert (refused.code, "may be written by" in refused.outcome("alpha")["reason"]) == (3, True)
        taking_over = ["end", "alpha", "--all", "--no-warning", "--take-over", "--yes"]
        for words, code in ((["release", "alpha", "--yes"], 1), (taking_over, 3)):
            refused = mpsbridge(*words, "-o", "json")
            assert refused.code == code
            assert "may be written by S-1-5-32-545" in json.dumps(refused.document)
        assert lab.changes == []


def test_when_the_time_for_the_run_is_up_all_is_given_back_and_that_is_no_interrupt(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung = HOSTS[0] | {"sessions": [{"id": 2, "user": "alice", "hung": True, "logon": "1h"}]}
    clock = HastyClock(60)
    with Lab(build_world({"hosts": [hung]}, clock), auth="ntlm", clock=clock) as lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        words = ["end", "alpha", "--all", "--no-warning", "--settle", "30m", "--deadline", "3m", "--yes"]
        found = mpsbridge(*words, clock=clock)
        assert found.code == 4  # the log-off began, and nobody knows how it ends
        assert "the time for the whole run is up" in found.err
        assert "mpsbridge resume" in found.err
        with lab.world.changing() as hosts:
            assert (hosts["alpha"].logon_mode, lease_of(hosts["alpha"])) == ("enabled", None)


@pytest.mark.parametrize(
    ("words", "command"),
    [(["end", "beta", "--all"], "end"), (["logoff", "beta", "--all"], "logoff")],
)
def test_a_call_that_every_host_refuses_is_a_run_in_the_record(
    lab: Lab, mpsbridge: Command, tmp_path: Path, words: list[str], command: str
) -> None:
    assert mpsbridge(*words, "--dry-run").code == 3
    assert mpsbridge(*words, "--yes").code == 3
    with Journal(tmp_path / "journal.sqlite") as journal:
        (run,) = journal.runs()
        (entry,) = journal.entries(run.id)
    assert (run.command, str(run.verdict)) == (command, "refused")
    assert isinstance(entry.what, HostStopped)
    assert (entry.host, entry.what.error) == ("beta", "refused")
    assert "--disconnected-ok" in entry.what.why
    assert mpsbridge("report", "--format", "json").code == 0
    assert mpsbridge("resume").code == 0  # nothing is open
    assert lab.changes == []


def test_a_host_where_nothing_is_to_be_done_stands_in_the_record(lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    found = mpsbridge("end", "alpha", "beta", "--user", "alice", "--no-warning", "--yes", "-o", "json")
    assert (found.code, found.outcome("beta")["value"]["dry_run"]) == (0, False)
    with Journal(tmp_path / "journal.sqlite") as journal:
        (run,) = journal.runs()
        assert [entry.what.text() for entry in journal.entries(run.id, host="beta")] == ["finished: nothing to do"]


def test_a_look_before_anything_was_sent_is_never_unknown(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A plan's look that broke off may have run, but it only reads: exit 1, and the run is not open."""
    rule = {"step": "command", "call": "Get-MpsbridgeObservation", "do": "close", "acted": True}
    with Lab(build_world({"hosts": [HOSTS[0], {"name": "gamma", "faults": [rule]}]})) as lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        found = mpsbridge("end", "alpha", "gamma", "--all", "--no-warning", "--yes", "-o", "json")
        assert (found.code, found.outcome("gamma")["failure"]["may_have_run"]) == (1, False)
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal.runs(only_open=True) == []


def test_who_hangs_is_reset_when_the_time_granted_is_over(mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HastyClock(100)
    host = {"name": "alpha", "sessions": [{"id": 2, "user": "alice", "hung": True}, {"id": 3, "user": "bob"}]}
    with Lab(build_world({"hosts": [host]}, clock), auth="ntlm", clock=clock) as lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        words = (
            "end",
            "alpha",
            "--all",
            "--no-warning",
            "--settle",
            "30s",
            "--force-after",
            "2m",
            "--yes",
            "-o",
            "json",
        )
        planned = mpsbridge(*words, "--dry-run", clock=clock)
        (note,) = [each for each in planned.outcome("alpha")["value"]["problems"] if "by force" in each]
        assert note.startswith("sessions that still hang 2m after the log-off are reset by force")
        assert "reset" not in [each.act for each in lab.changes]
        found = mpsbridge(*words, clock=clock)
        assert found.code == 0, found.err
        results = {each["session"]["user"]: each["text"] for each in found.outcome("alpha")["value"]["sessions"]}
        assert results == {"alice": "reset by force: the profile may not have been saved", "bob": ""}
        assert [(each.act, each.user) for each in lab.changes if each.user and each.act != "logon"] == [
            ("logoff", "alice"),
            ("logoff", "bob"),
            ("reset", "alice"),
        ]


def test_who_is_named_and_found_nowhere_refuses_the_whole_call(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("end", "alpha", "beta", "--user", "alice", "--user", "zoe", "--no-warning", "--yes", "-o", "json")
    assert found.code == 3
    assert "not found on any host: user zoe" in found.outcome("alpha")["reason"]
    assert lab.changes == []


def test_what_has_ended_is_not_resumed(lab: Lab, mpsbridge: Command) -> None:
    assert mpsbridge("resume").code == 0  # nothing is open
    assert mpsbridge("end", "alpha", "--user", "alice", "--no-warning", "--yes").code == 0
    assert mpsbridge("resume", "20").code == 2


def test_a_run_goes_on_on_the_hosts_that_are_named_and_stays_open_for_the_others(
    lab: Lab, mpsbridge: Command, tmp_path: Path
) -> None:
    """Its record is that of a run that died when alpha was finished and beta not begun."""
    policy = Policy(selector=Selector(users=("nobody",)), warn_s=()).model_dump(mode="json")
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.begin("r-1", command="end", reason="", options={"policy": policy, "hosts": ["alpha", "beta"]})
        journal.record("r-1", "alpha", Finished(outcome="done"))
    for words in (["alpha"], ["ALPHA"], ["al*"], ["!beta"]):
        found = mpsbridge("resume", "r-1", *words, "--yes")
        assert (found.code, found.out) == (0, "run r-1 has nothing left to do there, but on beta\n"), words
    unknown = mpsbridge("resume", "r-1", "bets", "--yes")
    assert unknown.code == 2
    assert "'bets' is not a host or group of run r-1; did you mean beta?" in unknown.err
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert [run.id for run in journal.runs(only_open=True)] == ["r-1"]
    assert mpsbridge("resume", "r-1", "be*", "--yes").code == 0
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal.runs(only_open=True) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--warn", "5"], "--warn: '5' is not a duration"),
        (["--warn", "5m,5m"], "twice"),
        (["--then", "reboot"], "--then: 'reboot'"),
        (["--logons", "open"], "--logons: 'open'"),
        (["--keep-session", "3"], "HOST:ID"),
        (["--keep-running", "a/b"], "not a program name"),
        (["--settle", "x"], "--settle"),
        (["--force-after", "0s"], "--force-after: 0s"),
        (["--notice-file", "/no/such"], "/no/such cannot be read: No such file"),
        (["--warn", "5m", "--no-warning"], "say one of them"),
        (["--warn", "15m", "--host-deadline", "15m"], "--host-deadline: 15m is over before"),
        (["--deadline", "15m"], "--deadline: all of it may take 15m"),
    ],
)
def test_bad_options_are_2(lab: Lab, mpsbridge: Command, options: list[str], message: str) -> None:
    found = mpsbridge("end", "alpha", "--all", "--yes", *options)
    assert found.code == 2
    assert message in found.err
    assert lab.requests == []


@pytest.mark.slow(reason="a real process is killed in real time, and its steps of unknown fate are waited out")
@pytest.mark.parametrize("moment", ["notice"])
def test_a_killed_run_is_resumed_and_nobody_is_hit_twice(
    lab: Lab, mpsbridge: Command, tmp_path: Path, moment: str
) -> None:
    events = tmp_path / "events.jsonl"
    words = ["end", "alpha", "--all", "--warn", "3s,1s", "--yes", "--timeout", "2s", "--events", str(events)]
    running = subprocess.Popen(
        [sys.executable, "-m", "mpsbridge", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while running.poll() is None:
            if events.exists() and f'"event": "{moment}"' in events.read_text(encoding="utf-8"):
                break
            SystemClock().wait(0.02)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == -signal.SIGKILL
    with lab.world.changing() as hosts:
        assert lease_of(hosts["alpha"]) is not None
    found = mpsbridge("resume", "--yes", "--timeout", "2s", "-o", "json")
    assert found.code == 0, found.err
    told = [(change.user, change.text) for change in lab.changes if change.act == "message"]
    assert len(told) <= 4
    ended = [change.user for change in lab.changes if change.act == "logoff"]
    assert sorted(filter(None, ended)) == ["alice", "bob"]
    with lab.world.changing() as hosts:
        assert (lease_of(hosts["alpha"]), hosts["alpha"].logon_mode) == (None, "enabled")
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal.runs(only_open=True) == []


def test_a_run_goes_on_only_where_it_has_not_come_to_an_end(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.begin("r-1", command="maintain", reason="x", options={})
        journal.record("r-1", "refused", HostStopped(why="", error="refused"))
        journal.record("r-1", "unbegun", HostStopped(why="", error="not-begun"))
        for host in ("done", "died", "stopped"):
            journal.record("r-1", host, StepSent(step=Step.LEASE))
        journal.record("r-1", "done", Finished(outcome="done"))
        journal.record("r-1", "stopped", HostStopped(why="", error="refused"))
        hosts = ["refused", "unbegun", "untouched", "done", "died", "stopped"]
        assert unfinished(journal, "r-1", hosts) == ["died", "stopped", "unbegun", "untouched"]


def test_events_never_call_ended_who_was_refused(
    mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [
        {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "1h", "protected": True},
        {"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "logon": "1h"},
    ]
    events = tmp_path / "events.jsonl"
    clock = HastyClock(300)
    with Lab(build_world({"hosts": [{"name": "ts1", "sessions": people}]}, clock), clock=clock) as lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        words = ("--all", "--no-warning", "--settle", "2s", "--yes", "--events", str(events))
        found = mpsbridge("end", "ts1", *words, clock=clock)
    assert found.code == 1
    told = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    settled = {each["session"]: each["result"] for each in told if each["event"] == "settled"}
    assert settled == {2: "refused", 3: "ended"}
    assert "ended" not in {each["event"] for each in told}
