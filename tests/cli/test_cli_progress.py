"""What a person sees and can stop while a call goes on: real processes on a pseudo-terminal, real signals, the lab."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyte
import pytest
from support.console import Command
from support.reserved import lease_of, task_of

from mpsbridge.lab.server import Lab
from mpsbridge.lab.wire.faults import Fault
from mpsbridge.lab.worldfile import build_world

pytestmark = pytest.mark.xdist_group("timing")
LIMIT_S = 60.0
PEOPLE = [{"id": 2, "user": "alice", "logon": "2h"}, {"id": 3, "user": "bob", "logon": "1h"}]
HOSTS: list[dict[str, Any]] = [
    {"name": "alpha", "sessions": PEOPLE},
    {"name": "beta", "sessions": PEOPLE},
    {"name": "silent", "faults": [{"step": "any", "do": "hang"}]},
    *(
        {"name": f"wrong-{number}", "faults": [{"step": "create", "do": "fault", "code": 2150859174}]}
        for number in "12"
    ),
    {"name": "off", "down": True},
]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(build_world({"hosts": HOSTS}), auth="basic") as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        monkeypatch.setenv("MPSBRIDGE_INSECURE_BASIC", "1")
        monkeypatch.setenv("TERM", "xterm")
        yield running


class Watched:
    """A call on a terminal of its own, and what stands on its screen."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self._screen = pyte.Screen(100, 40)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def screen(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def until(self, happened: Callable[[str], object]) -> str:
        """Read on until the screen shows it."""
        end = time.monotonic() + LIMIT_S
        while not happened(self.screen):
            assert time.monotonic() < end, self.screen
            if select.select([self._terminal], [], [], 0.2)[0]:
                try:
                    self._stream.feed(os.read(self._terminal, 65536))
                except OSError:  # the other end is closed
                    assert happened(self.screen), self.screen
        return self.screen

    def read(self, *, for_s: float) -> None:
        """Read what comes, and wait for it so long."""
        if select.select([self._terminal], [], [], for_s)[0]:
            self._read_some()

    def ended(self) -> int:
        """Read to the end; the exit code."""
        while self.process.poll() is None:
            self.read(for_s=0.2)
        while select.select([self._terminal], [], [], 0)[0] and self._read_some():
            pass
        return self.process.returncode

    def _read_some(self) -> bool:
        try:
            self._stream.feed(os.read(self._terminal, 65536))
        except OSError:
            return False
        return True


@contextmanager
def on_a_terminal(*words: str) -> Iterator[Watched]:
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        [sys.executable, "-m", "mpsbridge", *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    try:
        yield Watched(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


END = ("end", "alpha", "beta", "--all", "--warn", "20m", "--yes")


def test_a_run_shows_a_line_for_each_host_and_gives_everything_back_when_interrupted(lab: Lab) -> None:
    with on_a_terminal(*END) as call:
        shown = call.until(lambda screen: screen.count("warning and waiting  2 people") == 2)
        assert "alpha  warning and waiting  2 people" in shown
        assert "alpha: 20m notice shown: alice" in shown  # what happened stands above
        call.process.send_signal(signal.SIGINT)
        assert call.ended() == 130
    assert "interrupted: no new hosts are started, running steps have 10s" in call.screen
    assert "alpha: lease released" in call.screen
    assert "at work" not in call.screen.splitlines()[-1]
    with lab.world.changing() as hosts:
        assert {
            (host.logon_mode, lease_of(host), task_of(host)) for host in hosts.values() if host.name in "alphabeta"
        } == {("enabled", None, None)}


def test_a_second_signal_leaves_at_once_and_says_what_is_left(lab: Lab) -> None:
    with on_a_terminal(*END) as call:
        call.until(lambda screen: "alpha: waiting 20m" in screen and "beta: waiting 20m" in screen)
        with lab.world.changing() as hosts:
            hosts["beta"].faults = (Fault("any", "hang"),)
        call.process.send_signal(signal.SIGTERM)
        call.until(lambda screen: "alpha: lease released" in screen)
        started = time.monotonic()
        while call.process.poll() is None:  # what comes within two seconds of the first one is the same wish
            call.process.send_signal(signal.SIGTERM)
            call.read(for_s=0.1)
        assert call.ended() == 130
        assert time.monotonic() - started < 8
    assert "interrupted again: left at once" in call.screen
    assert "beta: holds the lease and closed logons; was giving back" in call.screen
    assert "mpsbridge resume 20" in call.screen
    assert "mpsbridge release alpha beta" in call.screen


def test_a_call_over_hosts_that_hang_shows_a_bar_and_ends_promptly(lab: Lab) -> None:
    with on_a_terminal("sessions", "alpha", "beta", "silent") as call:
        call.until(lambda screen: "2 of 3 hosts, still waiting for silent (" in screen)
        started = time.monotonic()
        call.process.send_signal(signal.SIGINT)
        assert call.ended() == 130
        assert time.monotonic() - started < 5
    assert "4 sessions on 2 hosts, 1 host interrupted" in call.screen
    assert "alice" in call.screen
    assert "2 of 3 hosts" not in call.screen


def test_many_failures_are_summed_up_with_the_call_that_repeats_them(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("sessions", "alpha", "wrong-1", "off", "wrong-2", "--timeout", "5s")
    assert found.code == 1
    assert found.err.splitlines()[-3:] == [
        "shell: 2 hosts (wrong-1, wrong-2)",
        "unreachable: 1 host (off)",
        "again for these: mpsbridge sessions --timeout 5s wrong-1 off wrong-2",
    ]
    assert "again for these" not in mpsbridge("sessions", "alpha", "off").err
    assert "again for these" not in mpsbridge("sessions", "wrong-1", "off", "wrong-2", "-o", "json").err
