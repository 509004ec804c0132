"""The library, as its users write it: the README's own example, and what they may get wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from support.fake_clock import FakeClock
from support.seen_sessions import ALICE

from mpsbridge import (
    End,
    Fleet,
    Host,
    InputError,
    Journal,
    ListSessions,
    LogOff,
    Message,
    Policy,
    Reading,
    Selector,
    SetLogons,
    Target,
    Workplace,
    find_targets,
)
from mpsbridge.clock import HastyClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.outcomes import Done, Failed
from mpsbridge.models.sessions import LogonMode
from mpsbridge.operations.holds import Hold
from mpsbridge.operations.looking import Cluster
from mpsbridge.transports.canned import CannedTransport

ALL = Selector(everyone=True)
PEOPLE = [
    {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "1h"},
    {"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "logon": "2h"},
]


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Lab:
    clock = HastyClock(300)
    hosts = [{"name": name, "sessions": PEOPLE} for name in ("room01", "room02")]
    lab = Lab(build_world({"hosts": hosts}, clock), auth="ntlm", clock=clock)
    monkeypatch.setenv("MPSBRIDGE_USERNAME", lab.user)
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
    monkeypatch.setenv("MPSBRIDGE_NO_TLS", "1")
    return lab


def the_readme_s_example() -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = [code for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "Workplace(" in code]
    return str(example)


def test_the_readme_s_example_ends_a_room_with_warnings_in_under_ten_lines(
    room: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = the_readme_s_example()
    assert len([line for line in code.splitlines() if line.strip()]) < 10
    with room as lab, Journal(tmp_path / "journal.sqlite") as journal:
        code = code.replace('"hosts.toml"', repr(str(lab.inventory)))
        code = code.replace("Workplace(targets)", "Workplace(targets, journal=journal, clock=clock)")
        exec(compile(code, "README.md", "exec"), {"journal": journal, "clock": lab.world.clock})  # noqa: S102 - our own text
        (run,) = journal.runs()
        assert (run.command, run.reason, str(run.verdict)) == ("end", "updates", "done")
        acts = [(change.host, change.act, change.user) for change in lab.changes if change.act in {"message", "logoff"}]
    assert {(host, user) for host, act, user in acts if act == "logoff"} == {
        (host, user) for host in ("room01", "room02") for user in ("alice", "bob")
    }
    assert sum(act == "message" for _, act, _ in acts) == 8
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "4 sessions;"
    assert printed[-1] == "done"


def test_a_short_act_and_a_change_of_logons_stand_in_the_record_too(room: Lab, tmp_path: Path) -> None:
    with room as lab, Journal(tmp_path / "journal.sqlite") as journal:
        targets = find_targets("room01", inventory=str(lab.inventory))
        with Workplace(targets, journal, actor="carol@box") as work:
            work.carry_out(work.plan(Message(selector=Selector(users=("alice",)), text="hello")))
            work.carry_out(work.plan(LogOff(selector=Selector(users=("alice",)))))
            changed = work.carry_out(work.plan(SetLogons(mode=LogonMode.DRAIN)))
        assert changed.verdict.exit_code == 0
        assert [run.command for run in reversed(journal.runs())] == ["message", "logoff", "logons"]
        assert [change.act for change in lab.changes] == ["message", "logoff", "logons"]


def test_many_hosts_are_read_once_or_again_and_again_and_never_changed(room: Lab) -> None:
    with room as lab:
        targets = find_targets("room01", "room02", inventory=str(lab.inventory))
        bob = ListSessions(selector=Selector(users=("bob",)))
        with Reading(targets) as reading:
            outcomes = reading.ask(bob)
            assert reading.verdict(outcomes).exit_code == 0
            (changed,) = reading.ask(lambda host: host.set_logons(LogonMode.DRAIN, expected=None, run="r-1"))[:1]
        with Reading(targets, keep=True) as reading:
            pictures = (picture for _, picture in reading.pictures(bob, every_s=0.1) if picture is not None)
            first, second = next(pictures), next(pictures)
        assert lab.changes == []
    assert isinstance(changed, Failed)
    assert "only" in changed.failure.message
    for told in (outcomes, first.outcomes, second.outcomes):
        values = [outcome.value for outcome in told if isinstance(outcome, Done)]
        assert [[one.user for one in value.sessions] for value in values] == [["bob"], ["bob"]]
        assert [value.others for value in values] == [1, 1]
    assert set(second.ages_s) == {"room01", "room02"}


def test_connections_that_are_kept_are_never_a_cluster_s() -> None:
    with pytest.raises(InputError, match="never leave this process"):
        Reading([Target("ts1")], keep=True, cluster=Cluster("local:2"))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Selector, "say who"),
        (lambda: Selector(everyone=True, users=("alice",)), "--all stands alone"),
        (lambda: Policy(selector=Selector(everyone=True), warn_s=("soon",)), "warn_s: 0: "),
        (lambda: Policy(selector=Selector(everyone=True), keep_running=("a/b",)), "'a/b' is not a program name"),
        (lambda: End(policy=None), "policy: "),
        (lambda: Message(selector=Selector(everyone=True), text=""), "text: "),
        (lambda: Target("ts1", port=0), "port: "),
        (lambda: Workplace("ts1"), "targets: it is not a list of Target"),  # type: ignore[arg-type]
        (lambda: Workplace(Target("ts1")), "targets: it is not a list of Target"),  # type: ignore[arg-type]
        (lambda: Workplace(["ts1"]), "targets: it is not a list of Target"),  # type: ignore[list-item]
        (lambda: Workplace([Target("ts1")], timeout_s="5"), "timeout_s: '5' is not a number"),  # type: ignore[arg-type]
        (lambda: Workplace([Target("ts1")], timeout_s=0), "timeout_s: 0 is not a number of seconds above 0"),
        (lambda: Workplace([Target("ts1")], deadline_s=-1), "deadline_s: -1 is not"),
        (lambda: Workplace([Target("ts1")], concurrency=0), "concurrency: 0 is not a whole number"),
        (lambda: Workplace([Target("ts1"), Target("TS1")]), "targets: TS1 is there twice"),
        (lambda: Workplace([Target("a", "ts1"), Target("b", "ts1")]), "targets: b is there twice"),
        (lambda: Workplace([Target("ts1")], journal="x.sqlite"), "journal: it is not a Journal"),  # type: ignore[arg-type]
        (lambda: Workplace([Target("ts1")]).plan(5), "operation: it is not an operation"),  # type: ignore[arg-type]
        (lambda: Workplace([Target("ts1")]).plan(End), "operation: it is not an operation"),  # type: ignore[arg-type]
        (lambda: Workplace([Target("ts1")]).carry_out(5), "plan: it is not a plan"),  # type: ignore[arg-type]
        (lambda: Workplace([Target("ts1")]).carry_out(LogOff(selector=ALL)), "plan: it is not a plan"),  # type: ignore[arg-type]
        (lambda: Target(""), "host: it is empty"),
        (lambda: Target("a b"), "address: it is not a name or an address"),
        (lambda: Target("ts1", " "), "address: it is empty"),
        (lambda: find_targets(["ts1"]), "['ts1'] is not a text"),  # type: ignore[arg-type]
        (lambda: find_targets(b"ts1"), "b'ts1' is not a text"),  # type: ignore[arg-type]
        (lambda: Host("ts1"), "target: it is not a Target"),  # type: ignore[arg-type]
        (lambda: Fleet("ts1"), "targets: it is not a list of Target"),  # type: ignore[arg-type]
        (lambda: Journal(5), "path: it is not the name of a file"),  # type: ignore[arg-type]
        (lambda: Host(Target("ts1")).message([2], "x", run="r"), "sessions: it is not a list"),  # type: ignore[list-item]
        (lambda: Host(Target("ts1")).log_off(ALICE, run="r"), "sessions: it is not a list"),  # type: ignore[arg-type]
        (
            lambda: Host(Target("ts1")).log_off([ALICE.model_copy(update={"id": 0})], run="r"),
            "session 0: its id is not that of the look (2)",
        ),
        (
            lambda: Host(Target("ts1")).log_off([ALICE.model_copy(update={"guard": None})], run="r"),
            "session 2: it cannot be recognised",
        ),
        (lambda: Policy(selector=ALL, warn_s=(-5,)), "warn_s: a notice is shown at least 1s before the end"),
        (lambda: Policy(selector=ALL, include_admins="yes"), "include_admins: the value is not true or false"),
        (lambda: Reading("ts1"), "targets: it is not a list of Target"),  # type: ignore[arg-type]
        (lambda: Hold(reason=""), "reason: it is empty"),
        (lambda: Hold(reason="  "), "reason: it is blank"),
        (lambda: Policy(selector=Selector(everyone=True), reason=" "), "reason: it is blank"),
    ],
)
def test_what_is_wrong_with_a_value_is_an_error_of_ours(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(InputError, match=re.escape(said)):
        make()


@pytest.mark.parametrize(("wrong", "said"), [({"stop": 5}, "stop: "), ({"on_event": 5}, "on_event: ")])
def test_what_is_wrong_with_a_call_is_found_before_the_run_begins(
    room: Lab, tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    with room as lab, Journal(str(tmp_path / "journal.sqlite")) as journal:
        with Workplace(find_targets("room01", inventory=str(lab.inventory)), journal) as work:
            plan = work.plan(End(policy=Policy(selector=ALL, warn_s=())))
            with pytest.raises(InputError, match=said):
                work.carry_out(plan, **wrong)
        assert journal.runs() == []


def test_a_host_is_a_context_manager_and_asks_nothing_that_cannot_be_sent() -> None:
    transport = CannedTransport(lambda _: "")
    with Host(Target("ts1"), connect=lambda _: transport, clock=FakeClock()) as host, pytest.raises(InputError):
        host.observe(programs=("no/program",))
    assert Target("ts1", tls=False).port == 5985
