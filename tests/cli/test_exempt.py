"""Who is spared unless named or included, what is said of it, and that nobody else pays for it; over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from support.console import Command, Console

from mpsbridge.clock import HastyClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world

PLAIN: dict[str, Any] = {
    "name": "plain",
    "administrators": "group",
    "sessions": [
        {"id": 2, "user": "alice", "account": "SCHOOL\\alice", "logon": "2h"},
        {"id": 3, "user": "root", "account": "SCHOOL\\root", "admin": True, "admin_by_group": True, "logon": "1h"},
        {"id": 4, "user": "dave", "session_name": "console", "logon": "1h"},
    ],
}
Start = Callable[..., Lab]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(*hosts: dict[str, Any], clock: HastyClock | None = None) -> Lab:
            lab = stack.enter_context(Lab(build_world({"hosts": list(hosts)}, clock), auth="ntlm", clock=clock))
            monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
            monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
            return lab

        yield begin


def acts(lab: Lab) -> list[tuple[str, str | None]]:
    return [(change.act, change.user) for change in lab.changes if change.act not in {"file", "task", "message"}]


def results(found: Console, host: str = "plain") -> dict[str, tuple[str, str]]:
    told = found.outcome(host)["value"]["sessions"]
    return {each["session"]["user"]: (each["result"], each["text"]) for each in told}


@pytest.mark.parametrize("kind", ["group", "unnoted", "broken", "unreadable"])
@pytest.mark.parametrize("command", [("logoff",), ("end", "--no-warning", "--settle", "5s")])
def test_w10_an_administrator_by_group_is_spared_known_or_not(
    start: Start, mpsbridge: Command, kind: str, command: tuple[str, ...]
) -> None:
    lab = start({**PLAIN, "administrators": kind})
    found = mpsbridge(command[0], "plain", "--all", *command[1:], "--include-console", "--yes", "-o", "json")
    assert found.code == 0, found.err
    told = results(found)
    unsure = [user for user, (_, text) in told.items() if "unknown" in text]
    assert (told["root"][0], "root" in unsure) == ("kept", kind in {"unnoted", "unreadable"})
    assert ("logoff", "root") not in acts(lab)
    assert told["alice"][0] == ("ended" if kind == "group" else "kept")
    assert told["dave"][0] == ("kept" if kind in {"broken", "unreadable"} else "ended")
    for user in unsure:
        assert told[user][0] == "kept"


def test_w10_whom_the_host_cannot_judge_is_said_before_the_question_and_lifted_by_the_option(
    start: Start, mpsbridge: Command
) -> None:
    lab = start({**PLAIN, "administrators": "unreadable"})
    words = ("end", "plain", "--all", "--no-warning", "--settle", "5s", "--include-console")
    assert "--include-admins" in mpsbridge(*words, "--yes").err
    assert acts(lab) == []
    restart = mpsbridge(*words, "--then", "restart", "--yes", "-o", "json")
    assert restart.code == 3
    assert "--include-admins" in restart.outcome("plain")["reason"]
    found = mpsbridge(*words, "--include-admins", "--yes")
    assert found.code == 0, found.err
    assert "administrator: unknown" in found.err
    assert {user for act, user in acts(lab) if act == "logoff"} == {"alice", "root", "dave"}


@pytest.mark.parametrize("who", [("--user", "root"), ("--session", "3")])
@pytest.mark.parametrize("command", ["logoff", "disconnect"])
def test_who_is_named_is_meant_whoever_it_is(
    start: Start, mpsbridge: Command, who: tuple[str, ...], command: str
) -> None:
    lab = start(PLAIN)
    assert mpsbridge(command, "plain", *who, "--yes").code == 0
    assert acts(lab) == [(command, "root")]


def test_the_active_are_logged_off_and_the_disconnected_left_alone(start: Start, mpsbridge: Command) -> None:
    away = {"id": 7, "user": "erin", "state": "disconnected", "idle_s": 60, "logon": "2h"}
    lab = start({**PLAIN, "sessions": [*PLAIN["sessions"], away]})
    refused = mpsbridge("logoff", "plain", "--all", "--yes")
    assert (refused.code, "--active" in refused.err) == (3, True)
    assert acts(lab) == []
    assert mpsbridge("sessions", "plain", "--active").out.count("active") == 3
    assert mpsbridge("logoff", "plain", "--active", "--yes").code == 0
    assert acts(lab) == [("logoff", "alice")]


@pytest.mark.parametrize(
    ("who", "closes"),
    [
        (["--all"], True),
        (["--user", "alice"], False),
        (["--active"], False),
        (["--user", "alice", "--logons", "drain"], True),
    ],
)
def test_only_who_ends_everybody_closes_the_host_to_others(
    start: Start, mpsbridge: Command, who: list[str], closes: bool
) -> None:
    lab = start(PLAIN)
    assert mpsbridge("end", "plain", *who, "--no-warning", "--settle", "5s", "--yes").code == 0
    assert any(act == "logons" for act, _ in acts(lab)) is closes
    assert ("logoff", "alice") in acts(lab)


def test_w02_a_message_to_those_who_cannot_see_it_is_refused(start: Start, mpsbridge: Command) -> None:
    start({"name": "plain", "sessions": [{"id": 7, "user": "erin", "state": "disconnected", "logon": "2h"}]})
    found = mpsbridge("message", "plain", "--disconnected", "--text", "Hello")
    assert (found.code, "nobody would see it" in found.err) == (3, True)


def test_w01_whose_idle_time_is_unknown_is_said_where_it_decides(start: Start, mpsbridge: Command) -> None:
    start(PLAIN)
    for command in (("sessions",), ("logoff", "--yes"), ("end", "--yes", "--no-warning")):
        found = mpsbridge(command[0], "plain", "--idle-over", "10m", *command[1:])
        assert (found.code, "idle time unknown" in found.err) == (0, True), found.err
    assert "idle time unknown" not in mpsbridge("sessions", "plain").err


def test_w08_a_log_off_says_which_station_logs_on_by_itself(start: Start, mpsbridge: Command) -> None:
    kiosk = {"id": 2, "user": "kiosk", "station": 1, "logon": "1h"}
    stations = [{"id": 1, "name": "Window", "session_id": 2, "auto_logon": True}]
    start({"name": "plain", "generation": "2016", "sessions": [kiosk], "stations": stations})
    assert "station 1 logs on again by itself" in mpsbridge("logoff", "plain", "--all", "--dry-run").err


def test_a_log_off_that_hangs_names_the_call_that_sees_it_through(start: Start, mpsbridge: Command) -> None:
    clock = HastyClock(1000)
    start({"name": "plain", "sessions": [{"id": 2, "user": "alice", "hung": True}]}, clock=clock)
    found = mpsbridge("logoff", "plain", "--all", "--yes", "-o", "json", clock=clock)
    assert found.code == 4
    result, text = results(found)["alice"]
    assert result == "unknown"
    helps = text.partition("mpsbridge ")[2].split()
    assert helps == ["end", "plain", "--session", "2", "--no-warning", "--force-after", "10m"]
    assert mpsbridge(*helps, "--yes", clock=clock).code == 0
