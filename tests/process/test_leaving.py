"""When signals end a call, and when they do not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

import pytest
from support.fake_clock import FakeClock

from mpsbridge.cli.leaving import INTERRUPTION, install_signal_handlers, leaving_behind
from mpsbridge.cli.main import run
from mpsbridge.processes import INTERRUPTIONS


class Left(Exception):
    """The process has ended."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClock]:
    """Signals are heeded, by a clock that stands still; leaving immediately raises ``Left``."""
    made = FakeClock()
    before = {number: signal.getsignal(number) for number in INTERRUPTIONS}
    install_signal_handlers(made)

    def leave(code: int) -> NoReturn:
        raise Left(code)

    monkeypatch.setattr("mpsbridge.cli.leaving.os._exit", leave)
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)
    INTERRUPTION.came = INTERRUPTION.is_held_back = False


@pytest.mark.parametrize("first", INTERRUPTIONS)
@pytest.mark.parametrize("second", INTERRUPTIONS)
def test_a_second_signal_within_two_seconds_is_the_same_wish(
    first: signal.Signals, second: signal.Signals, clock: FakeClock, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(first)
    for _ in range(4):
        signal.raise_signal(second)
        clock.ticks += 0.49
    clock.ticks = 2.0
    with leaving_behind(lambda: ["alpha: holds the lease"]), pytest.raises(Left, match="130"):
        signal.raise_signal(second)
    assert capfd.readouterr().err == "\ninterrupted again: left at once\nalpha: holds the lease\n"


def test_a_signal_that_is_held_back_is_told_and_strikes_where_a_person_is_asked(clock: FakeClock) -> None:
    INTERRUPTION.is_held_back = True
    signal.raise_signal(signal.SIGTERM)
    assert INTERRUPTION.came
    with pytest.raises(KeyboardInterrupt), INTERRUPTION.raised_again():
        pytest.fail("nobody is asked any more")
    assert INTERRUPTION.is_held_back
    assert run(["sessions", "alpha"]) == 130  # nothing is begun any more


def test_a_signal_while_a_person_is_asked_strikes_at_once(clock: FakeClock) -> None:
    INTERRUPTION.is_held_back = True
    with pytest.raises(KeyboardInterrupt), INTERRUPTION.raised_again():
        signal.raise_signal(signal.SIGHUP)
    assert INTERRUPTION.is_held_back


def test_what_cannot_tell_what_is_held_keeps_nobody_from_leaving(
    clock: FakeClock, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> Sequence[str]:
        raise RuntimeError("dictionary changed size during iteration")

    INTERRUPTION.is_held_back = True
    signal.raise_signal(signal.SIGTERM)
    clock.ticks = 3.0
    with leaving_behind(fail), pytest.raises(Left):
        signal.raise_signal(signal.SIGTERM)
    assert "what is held is not known: 'mpsbridge leases HOST' tells" in capfd.readouterr().err


def in_a_process(code: str, *, before: str = "") -> subprocess.CompletedProcess[str]:
    """The command line's own entry with something in the place of its work."""
    program = f"""
import os, signal, sys, threading, time
{before}
import mpsbridge.cli.main, mpsbridge.__main__
def work(arguments, *, clock):
{code}
mpsbridge.cli.main.run = work
mpsbridge.__main__.main()
"""
    return subprocess.run(
        [sys.executable, "-c", program, "sessions"],
        capture_output=True,
        encoding="utf-8",
        timeout=20,
        check=False,
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
    )


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("    signal.raise_signal(signal.SIGHUP); return 0", 130),
        ("    return 4", 4),
        ("    threading.Thread(target=time.sleep, args=(60,)).start(); return 1", 1),  # a host that hangs
        (
            "    threading.Thread(target=lambda: [os.kill(os.getpid(), 15) for _ in range(9)]).start(); time.sleep(9)",
            130,
        ),
    ],
)
def test_a_process_ends_with_its_code_whatever_still_runs(code: str, exit_code: int) -> None:
    found = in_a_process(code)
    assert (found.returncode, found.stderr) == (exit_code, "")


def test_a_hang_up_that_was_ignored_at_the_start_stays_so() -> None:
    ignored = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    assert in_a_process("    signal.raise_signal(signal.SIGHUP); return 0", before=ignored).returncode == 0


def test_a_signal_during_the_imports_is_an_interruption() -> None:
    before = """
from importlib.abc import MetaPathFinder
class Strike(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "mpsbridge.cli.options":
            signal.raise_signal(signal.SIGTERM)
sys.meta_path.insert(0, Strike())
sys.argv[1:] = ["sessions"]
import mpsbridge.__main__
mpsbridge.__main__.main()
"""
    found = in_a_process("    return 0", before=before)
    assert (found.returncode, found.stderr) == (130, "")
