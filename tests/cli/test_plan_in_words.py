"""What a plan, its question and its results say: the restart, each reason once, and only what is worth a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.console import Command

from mpsbridge.cli.call import Call
from mpsbridge.cli.showing import note_once
from mpsbridge.cli.terminal import Terminal
from mpsbridge.clock import HastyClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.settings import Output, Settings


def person(id: int, user: str, state: str = "active") -> dict[str, Any]:
    name = {} if state == "disconnected" else {"session_name": f"rdp-tcp#{id}"}
    return {"id": id, "user": user, "state": state, "logon": "1h", **name}


HOSTS: list[dict[str, Any]] = [
    {"name": "used", "sessions": [person(2, "alice"), person(3, "bob")]},
    {"name": "empty", "sessions": []},
    {"name": "left", "sessions": [person(number, f"user{number}", "disconnected") for number in (3, 14, 15)]},
    *({"name": f"many{number}", "sessions": [person(4, f"dave{number}")]} for number in range(4)),
]
RESTART = ("--all", "--warn", "10m,1m", "--then", "restart")


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(build_world({"hosts": HOSTS}, HastyClock(300)), clock=HastyClock(300)) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("hosts", "summary", "lines"),
    [
        (["empty"], "1 host would be restarted (nobody is on)", ["empty: would be restarted (nobody is on)"]),
        (["used"], "2 sessions would be ended and 1 host restarted", ["used: would be restarted"]),
        (
            ["used", "empty"],
            "2 sessions would be ended and 2 hosts restarted (nobody is on 1 of them)",
            ["used: would be restarted", "empty: would be restarted (nobody is on)"],
        ),
    ],
)
def test_a_dry_run_says_that_hosts_would_be_restarted(
    mpsbridge: Command, hosts: list[str], summary: str, lines: list[str]
) -> None:
    """It once said 'nothing to do' of a host that the real call restarted."""
    found = mpsbridge("end", *hosts, *RESTART, "--dry-run")
    assert found.code == 0, found.err
    told = [line for line in found.out.splitlines() if ": " in line or line == summary]
    assert [*lines, summary] == [line for line in told if not line.startswith("notice")]
    assert "nothing to do" not in found.out


@pytest.mark.usefixtures("lab")
def test_the_dry_run_of_a_plan_says_it_too(mpsbridge: Command, tmp_path: Path) -> None:
    plan = tmp_path / "night.toml"
    plan.write_text(
        'schema = "mpsbridge-plan/1"\nhosts = ["used", "empty"]\nreason = "updates"\nthen = "shutdown"\n',
        encoding="utf-8",
    )
    found = mpsbridge("maintain", str(plan), "--dry-run")
    assert "2 sessions would be ended and 2 hosts shut down (nobody is on 1 of them)" in found.out


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("hosts", "question"),
    [
        (["empty"], "Restart empty (nobody is on)?"),
        (["used"], "End 2 sessions on used in 10m and restart?"),
        (["used", "empty"], "End 2 sessions on used in 10m and restart, and restart empty (nobody is on)?"),
    ],
)
def test_the_question_says_it_and_shows_no_empty_table(mpsbridge: Command, hosts: list[str], question: str) -> None:
    found = mpsbridge("end", *hosts, *RESTART)
    assert (found.code, question in found.err) == (3, True)
    assert ("USER" in found.err) == ("used" in hosts)


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("command", [("end", "--warn", "1s"), ("logoff",)])
def test_a_refused_host_is_told_once_and_each_reason_with_its_sessions(
    mpsbridge: Command, command: tuple[str, ...]
) -> None:
    found = mpsbridge(command[0], "left", "used", "--all", *command[1:], "--yes", clock=HastyClock(300))
    assert found.code == 1
    said = [line for line in (found.err + found.out).splitlines() if "left: refused" in line]
    assert len(said) == 1
    assert said[0].startswith("left: refused: sessions 3, 14, 15: disconnected: ")
    assert said[0].count("--disconnected-ok allows it") == 1


@pytest.mark.usefixtures("lab")
def test_a_refusal_of_one_session_names_its_user(mpsbridge: Command) -> None:
    found = mpsbridge("end", "used", "--session", "2", "--then", "restart", "--dry-run")
    assert "used: refused: session 3, bob: not chosen, but a restart ends it too (--all allows it)" in found.err


@pytest.mark.usefixtures("lab")
def test_who_was_not_chosen_has_a_row_only_where_all_is_asked_for(mpsbridge: Command) -> None:
    words = ("end", "used", "--user", "alice", "--warn", "1s", "--dry-run")
    assert ("not chosen" in mpsbridge(*words).out, "not chosen" in mpsbridge(*words, "-v").out) == (False, True)
    assert "1 session would be ended on 1 host, 1 kept" in mpsbridge(*words).out


@pytest.mark.usefixtures("lab")
def test_many_hosts_of_one_outcome_share_a_line(mpsbridge: Command) -> None:
    clock = HastyClock(300)
    found = mpsbridge("end", "many0", "many1", "many2", "many3", "empty", "--all", "--no-warning", "--yes", clock=clock)
    assert found.code == 0, found.err
    lines = ["4 hosts: done", "empty: nothing to do", "4 of 4 sessions gone on 4 hosts"]
    assert found.out.splitlines()[-3:] == lines


@pytest.mark.usefixtures("lab")
def test_what_there_is_nothing_to_do_on_is_counted_once(mpsbridge: Command) -> None:
    words = ("end", "used", "empty", "--idle-over", "30d", "--no-warning")
    assert mpsbridge(*words, "--yes").out.splitlines() == ["nothing to do on 2 hosts, 2 kept"]
    assert mpsbridge(*words, "--dry-run").out.splitlines() == ["nothing to do on 2 hosts, 2 kept"]


def test_what_was_said_of_a_host_before_the_run_does_not_come_again_after_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also where the hosts that come to an end are not all of the plan's."""
    terminal = Terminal(command="end", output=Output.TABLE)
    call = Call("end", Settings.of_its_own(), terminal, HastyClock(300))
    note_once(call, [("used", ["drain"]), ("many0", ["drain"])])
    note_once(call, [("used", ["drain", "slow"])])
    assert capsys.readouterr().err == "used, many0: drain\nused: slow\n"


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("hosts", "options", "is_said"),
    [
        ("used", ("--all",), True),
        ("used", ("--all", "--logons", "disabled"), False),
        ("used", ("--all", "--logons", "leave"), False),
        ("empty", ("--all",), False),
        ("empty", ("--all", "--then", "restart"), True),
    ],
)
def test_the_remark_on_drain_comes_only_where_logons_would_be_drained(
    mpsbridge: Command, hosts: str, options: tuple[str, ...], is_said: bool
) -> None:
    found = mpsbridge("end", hosts, *options, "--warn", "1s", "--dry-run")
    assert ("drain does not block every logon" in found.err) is is_said
