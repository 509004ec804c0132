"""What people see of a call while it goes on: a line for each host, a bar, and how to repeat it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.fake_clock import FakeClock

from mpsbridge.cli.call import Call
from mpsbridge.cli.call_progress import CallView
from mpsbridge.cli.listing import repeat_for
from mpsbridge.cli.progress import RunView
from mpsbridge.cli.terminal import Terminal
from mpsbridge.models.sessions import LogonMode
from mpsbridge.runs.events import (
    AnyHappening,
    Event,
    Finished,
    LeaseReleased,
    LeaseTaken,
    LogonsClosed,
    LogonsRestored,
    Phase,
    Progress,
)
from mpsbridge.settings import Output, Settings

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def event(host: str, what: AnyHappening) -> Event:
    return Event(at=NOW, run="run-1", host=host, what=what)


def test_a_host_at_work_has_one_line_with_phase_people_and_time_left() -> None:
    view = RunView(["alpha", "beta", "gamma"])
    view.progress(Progress(host="alpha", phase=Phase.WARN, people=5, until=NOW + timedelta(seconds=843.2)))
    view.progress(Progress(host="beta", phase=Phase.END, people=1, until=NOW - timedelta(seconds=1)))
    assert view.rows(NOW, 20) == [
        ("alpha", "warning and waiting", "5 people", "14m4s left"),
        ("beta", "logging off", "1 person", "now"),
        ("", "1 to begin, 2 at work", "", ""),
    ]
    view.progress(Progress(host="alpha", phase=Phase.RETURN))
    view.event(event("beta", Finished(outcome="done")))
    assert view.rows(NOW, 20) == [
        ("alpha", "coming back", "", ""),
        ("", "1 to begin, 1 at work, 1 finished", "", ""),
    ]


def test_one_host_needs_no_count() -> None:
    view = RunView(["alpha"])
    assert view.rows(NOW, 20) == []
    view.progress(Progress(host="alpha", phase=Phase.LEASE))
    assert view.rows(NOW, 20) == [("alpha", "taking the lease", "", "")]


@pytest.mark.parametrize("height", [3, 10, 40])
def test_many_hosts_fit_the_screen(height: int) -> None:
    hosts = [f"ts{number:03}" for number in range(100)]
    view = RunView(hosts)
    for host in hosts:
        view.progress(Progress(host=host, phase=Phase.WARN))
    rows = view.rows(NOW, height)
    assert len(rows) == height
    assert rows[-2:] == [("...", f"{100 - (height - 2)} more at work", "", ""), ("", "100 at work", "", "")]


def test_what_would_be_left_behind() -> None:
    view = RunView(["alpha", "beta", "gamma", "delta"])
    for host in ("alpha", "beta", "delta"):
        view.progress(Progress(host=host, phase=Phase.WARN))
        view.event(event(host, LeaseTaken(expires=NOW)))
        view.event(event(host, LogonsClosed(logons=LogonMode.DRAIN)))
    view.progress(Progress(host="beta", phase=Phase.RESTART))
    for what in (LogonsRestored(logons=LogonMode.ENABLED), LeaseReleased(), Finished(outcome="done")):
        view.event(event("delta", what))
    assert view.left_behind() == [
        "alpha: holds the lease and closed logons; was warning and waiting: a step of that may still run",
        "beta: holds the lease and closed logons; was restarting: a step of that may still run",
    ]


def waited(count: int, since_s: float = 2.0) -> list[tuple[str, float]]:
    return [(f"ts{number}", since_s) for number in range(count)]


def test_a_bar_counts_and_guesses() -> None:
    view = CallView(40, began_s=100.0)
    assert view.bar(100.9, waited_for=waited(32)) == ""  # over in a moment: not worth one
    assert view.bar(102.0, waited_for=waited(32)) == "[........................] 0 of 40 hosts, 32 at work"
    for place in range(20):
        view.settled(well=place % 5 > 0)
    assert view.bar(105.0, waited_for=waited(20)) == (
        "[############............] 20 of 40 hosts, 4 failed, 20 at work, 4.0/s, about 5s left"
    )
    assert view.bar(1300.0, waited_for=waited(20)).endswith("20 at work, 1/min, about 20m left")


def test_the_last_silent_hosts_are_named_and_no_end_is_guessed() -> None:
    view = CallView(4, began_s=0.0, timeout_s=60)
    view.settled(well=True)
    view.settled(well=False)
    silent = [("ts3", 12.3), ("ts4", 75.0)]
    assert view.bar(75.0, waited_for=silent) == (
        "[############............] 2 of 4 hosts, 1 failed, still waiting for ts3 (12s of 1m), ts4 (1m15s)"
    )
    assert view.line(75.0, waited_for=silent).endswith("still waiting for ts3 (12s of 1m), ts4 (1m15s)")


@pytest.mark.parametrize("columns", [120, 80, 60, 40])
def test_on_a_narrow_terminal_the_bar_gives_way_and_no_time_is_cut(columns: int) -> None:
    view = CallView(10, began_s=0.0, timeout_s=8)
    for place in range(8):
        view.settled(well=place > 2)
    said = view.bar(5.0, waited_for=[("silent", 4.2), ("silent-too.school.example.org", 4.2)], columns=columns)
    assert len(said) <= columns or said == "8 of 10 hosts, 3 failed, still waiting for 2 hosts"
    assert "silent (4s of 8s)" in said or columns <= 60
    named = "silent (4s of 8s), silent-too.school.example.org (4s of 8s)"
    assert said.endswith((named, "silent (4s of 8s) and 1 more", "waiting for 2 hosts"))


def test_one_host_needs_no_bar_and_is_named() -> None:
    view = CallView(1, began_s=0.0, timeout_s=90)
    assert view.bar(0.5, waited_for=[("ts3", 0.5)]) == ""
    assert view.bar(60.0, waited_for=[("ts3", 60.0)]) == "still waiting for ts3 (1m of 1m30s)"
    assert view.bar(60.0, waited_for=[]) == ""


def test_without_a_terminal_lines_come_at_growing_intervals() -> None:
    view = CallView(3, began_s=0.0)
    view.settled(well=True)
    said = [second for second in range(1, 400) if view.line(float(second), waited_for=waited(2))]
    assert said == [10, 30, 90, 180, 270, 360]
    view.settled(well=True)
    view.settled(well=False)
    assert view.line(1000.0, waited_for=[]) == ""


@pytest.mark.parametrize(
    ("words", "hosts", "expected"),
    [
        (("sessions", "a", "b", "c", "-o", "csv"), ("a", "b", "c"), "mpsbridge sessions -o csv b c"),
        (("logoff", "@all hosts", "--user", "x y"), ("@all hosts",), "mpsbridge logoff --user 'x y' b c"),
        (("sessions", "-"), ("-",), "mpsbridge sessions b c"),
        (("sessions",), ("elsewhere",), ""),
        ((), (), ""),
    ],
)
def test_how_to_repeat_a_call_for_the_hosts_that_failed(
    words: tuple[str, ...], hosts: tuple[str, ...], expected: str
) -> None:
    terminal = Terminal(command="sessions", output=Output.TABLE)
    call = Call("sessions", Settings(), terminal, FakeClock(), typed=words, typed_hosts=hosts)
    assert repeat_for(call, ["b", "c"]) == expected
