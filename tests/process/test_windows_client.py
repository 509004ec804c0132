"""Windows as the administrator's own machine: a genuine Python for Windows, in Wine, against a lab on this system.

Real Windows was never tried. What is shown here: nothing of POSIX is needed, sockets, files, locks, signals and the
console work as Windows' Python has them, and what is told is what the same call tells here.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest
from conftest import ROOT, WINE, missing
from support.acting import ALICE, BOB
from support.console import Command, Console
from support.relayed_powershell import RelayedPowerShell
from support.windows import Windows

from mpsbridge.lab.server import Lab
from mpsbridge.lab.windows.programs import ProgramResult
from mpsbridge.lab.worldfile import build_world

pytestmark = [
    pytest.mark.xdist_group("wine"),
    pytest.mark.timeout(120),
    pytest.mark.everything(reason="alone, as in .ci/run: beside other tests two processes in Wine were gone, unheard"),
]
HOSTS: list[dict[str, Any]] = [
    {
        "name": "alpha",
        "sessions": [
            {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "2h"},
            {"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "logon": "1h"},
            {"id": 4, "user": "carol", "session_name": "rdp-tcp#3", "logon": "1h"},
        ],
    },
    {"name": "silent", "faults": [{"step": "create", "do": "hang"}]},
    {"name": "off", "down": True},
]


class WindowsPython:
    """The interpreter, and where its journal and settings are."""

    def __init__(self, folder: Path, own: Path, lab: Lab) -> None:
        paths = [self.path(ROOT), self.path(folder / "site")]
        self._python = folder / "python" / "python.exe"
        self.folder = own
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MPSBRIDGE_", "PYTHON"))}
        self._environment = kept | {
            "WINEPREFIX": str(folder / "prefix"),
            "WINEDEBUG": "-all",
            "PYTHONPATH": ";".join(paths),
            "PYTHONPYCACHEPREFIX": self.path(folder / "cache"),
            "MPSBRIDGE_SETTINGS": "NUL",
            "MPSBRIDGE_JOURNAL": self.path(own / "a journal" / "runs.sqlite"),
            "MPSBRIDGE_INVENTORY": self.path(lab.inventory),
            "MPSBRIDGE_PASSWORD": lab.password,
        }

    def also(self, **variables: str) -> None:
        """From now on with these variables."""
        self._environment |= variables

    @property
    def interpreter(self) -> str:
        """Its own path, as Windows names it."""
        return self.path(self._python)

    @staticmethod
    def path(real: Path | None) -> str:
        """A path of this system as Wine shows it."""
        assert real is not None
        return str(PureWindowsPath("Z:", "/", *real.parts[1:]))

    def __call__(self, *words: str) -> Console:
        """Run the interpreter with these words."""
        done = subprocess.run(
            ["wine", str(self._python), *words],  # noqa: S607 - as it is on PATH
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=100,
            check=False,
        )
        out, err = (text.decode("utf-8").replace("\r\n", "\n") for text in (done.stdout, done.stderr))
        return Console(done.returncode, out, err)

    def mpsbridge(self, *words: str) -> Console:
        """Run the command line."""
        return self("-X", "utf8", "-m", "mpsbridge", *words)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(build_world({"hosts": HOSTS})) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


@pytest.fixture(scope="module")
def wine() -> Iterator[None]:
    """Wine's server, kept from call to call: starting it takes longer than most calls."""
    if not (WINE / "ready").exists():
        missing(f"a Python for Windows in Wine at {WINE} (.ci/wine makes it)")
    environment = os.environ | {"WINEPREFIX": str(WINE / "prefix"), "WINEDEBUG": "-all"}

    def run(*words: str) -> None:
        subprocess.run(words, env=environment, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    run("wineserver", "-p")
    run("wine", "cmd", "/c", "exit")  # the services that this starts would else keep the pipes of the first call
    yield
    run("wineserver", "-k")  # that of this folder alone


@pytest.fixture
def windows(wine: None, lab: Lab, tmp_path: Path) -> WindowsPython:
    (tmp_path / "a journal").mkdir()
    return WindowsPython(WINE, tmp_path, lab)


def test_it_sees_what_is_seen_from_here(windows: WindowsPython, mpsbridge: Command) -> None:
    there, here = windows.mpsbridge("sessions", "alpha", "-o", "json"), mpsbridge("sessions", "alpha", "-o", "json")
    assert (there.code, there.err) == (0, "")
    seen = [found.outcome("alpha")["value"]["sessions"] for found in (there, here)]
    assert seen[0] == seen[1]
    assert [one["user"] for one in seen[0]] == ["alice", "bob", "carol"]


def test_sessions_are_ended_and_the_record_tells_it(windows: WindowsPython, lab: Lab) -> None:
    found = windows.mpsbridge("logoff", "alpha", "--user", "alice", "--yes")
    assert found.code == 0, found.err
    words = ("end", "alpha", "--all", "--no-warning", "--settle", "5s", "--yes", "-o", "json")
    ended = windows.mpsbridge(*words)
    assert ended.code == 0, ended.err
    assert {one["result"] for one in ended.outcome("alpha")["value"]["sessions"]} == {"ended"}
    assert [change.user for change in lab.changes if change.act == "logoff"] == ["alice", "bob", "carol"]
    history = windows.mpsbridge("history", "-o", "json").document
    told = [(run["command"], run["verdict"]["verdict"]) for run in history["runs"]]
    assert told == [("end", "done"), ("logoff", "done")]
    report = windows.mpsbridge("report", "--format", "json").document
    assert [person["result"] for host in report["hosts"] for person in host["people"]] == ["ended", "ended"]


def test_what_is_wrong_with_a_host_is_told_by_its_name(windows: WindowsPython) -> None:
    found = windows.mpsbridge("sessions", "alpha", "silent", "off", "--timeout", "3s", "-o", "json")
    assert found.code == 1
    assert found.outcome("alpha")["status"] == "done"
    off, silent = (found.outcome(name)["failure"] for name in ("off", "silent"))
    assert (off["kind"], silent["kind"]) == ("unreachable", "timeout")
    assert "Connection refused" in off["message"]
    doctor = windows.mpsbridge("doctor", "alpha")
    assert doctor.code == 0, doctor.out + doctor.err


def test_a_message_is_shown_and_a_dry_run_is_one(windows: WindowsPython, lab: Lab) -> None:
    assert windows.mpsbridge("logoff", "alpha", "--all", "--dry-run").code == 0
    assert lab.changes == []
    shown = windows.mpsbridge("message", "alpha", "--user", "bob", "--text", "Grüße an alle")
    assert shown.code == 0, shown.err
    assert [(change.act, change.user, change.text) for change in lab.changes] == [("message", "bob", "Grüße an alle")]


LOCKS = """
import os, pathlib, sys
from mpsbridge.errors import Refused
from mpsbridge.runs.runlock import RunLock, is_at_work
journal = pathlib.Path("a journal") / "runs.sqlite"
first = RunLock(journal, "run-1")
try:
    RunLock(journal, "run-1")
    sys.exit("taken twice")
except Refused:
    pass
assert is_at_work(journal, "run-1")
first.release()
assert not is_at_work(journal, "run-1")
RunLock(journal, "run-1").release()
assert not list(pathlib.Path("a journal").glob("*/*.lock"))
"""
SIGNALS = """
import signal, sys
from mpsbridge.cli.leaving import INTERRUPTION
from mpsbridge.processes import INTERRUPTIONS
from mpsbridge.clock import SystemClock
assert signal.SIGBREAK in INTERRUPTIONS and signal.SIGINT in INTERRUPTIONS
for number in INTERRUPTIONS:
    INTERRUPTION.heed(SystemClock())
    try:
        signal.raise_signal(number)
        sys.exit(f"{number} interrupts nothing")
    except KeyboardInterrupt:
        assert INTERRUPTION.came
"""


WORDS = """
from mpsbridge.transports.wire import _WORDS
assert _WORDS.keys() == {10013, 10049, 10051, 10053, 10054, 10060, 10061, 10065}, _WORDS
"""


@pytest.mark.parametrize("script", [LOCKS, SIGNALS, WORDS], ids=["locks", "signals", "words of Winsock"])
def test_what_is_asked_of_the_system_is_as_windows_has_it(script: str, windows: WindowsPython) -> None:
    found = windows("-c", script)
    assert (found.code, found.err) == (0, "")


def test_the_demo_ends_a_room_s_sessions_in_a_lab_of_its_own(windows: WindowsPython) -> None:
    """Lab, sign-in, warnings, restart, report: all of it in the same Windows process."""
    found = windows.mpsbridge("demo")
    assert found.code == 0, found.err
    assert "library-1 itself says: ended 5 people's sessions, restarted once" in found.out
    (page,) = windows.folder.glob("mpsbridge-demo.html")
    assert page.stat().st_size > 10_000


@pytest.fixture
def powershell(windows: WindowsPython, engine: Path, tmp_path: Path) -> Iterator[tuple[RelayedPowerShell, Windows]]:
    """A ``powershell.exe`` of Windows, in a folder with a blank, whose host has alice and bob on it."""
    host = Windows(engine, [ALICE, BOB])
    place = tmp_path / "a folder" / "powershell.exe"
    place.parent.mkdir()
    with RelayedPowerShell(host.powershell()) as relayed:
        relayed.write(place, windows.interpreter)
        windows.also(MPSBRIDGE_PWSH=windows.path(place))
        yield relayed, host


@pytest.mark.engine
def test_local_looks_at_this_very_host_and_acts_there(
    powershell: tuple[RelayedPowerShell, Windows], windows: WindowsPython
) -> None:
    relayed, host = powershell
    found = windows.mpsbridge("sessions", "local", "-o", "json")
    assert (found.code, found.err) == (0, "")
    assert [one["user"] for one in found.outcome("local")["value"]["sessions"]] == ["alice", "bob"]
    assert relayed.words == [["-s", "-NoLogo", "-NoProfile"]]
    assert windows.mpsbridge("doctor", "local").code == 0
    shown = windows.mpsbridge("message", "local", "--user", "bob", "--text", "Grüße an alle")
    assert shown.code == 0, shown.err
    words = ("--all", "--include-admins", "--no-warning", "--settle", "5s", "--yes")
    ended = windows.mpsbridge("end", "local", *words, "-o", "json")
    assert ended.code == 0, ended.err
    assert {one["result"] for one in ended.outcome("local")["value"]["sessions"]} == {"ended"}
    assert [act.program for act in host.record] == ["msg", "chglogon", "logoff", "logoff", "chglogon"]
    wait_until(lambda: relayed.running == 0)


@pytest.mark.engine
def test_a_local_powershell_that_says_nothing_is_ended_when_its_time_is_up(
    powershell: tuple[RelayedPowerShell, Windows], windows: WindowsPython
) -> None:
    relayed, host = powershell
    host.programs["quser"] = lambda _: ProgramResult(until=lambda: False)
    found = windows.mpsbridge("sessions", "local", "--timeout", "3s", "-o", "json")
    assert (found.code, found.outcome("local")["failure"]["kind"]) == (1, "timeout")
    wait_until(lambda: relayed.running == 0)


def test_a_powershell_that_is_not_there_is_named(windows: WindowsPython) -> None:
    windows.also(MPSBRIDGE_PWSH="C:\\no such folder\\powershell.exe")
    found = windows.mpsbridge("sessions", "local", "-o", "json")
    assert found.code == 1
    message = found.outcome("local")["failure"]["message"]
    assert "C:\\no such folder\\powershell.exe cannot be started" in message


WHERE = r"""
from mpsbridge.transports.local import find_powershell
assert str(find_powershell()).lower() == r"c:\windows\system32\windowspowershell\v1.0\powershell.exe"
"""


def test_powershell_is_looked_for_where_windows_keeps_it(windows: WindowsPython) -> None:
    found = windows("-c", WHERE)
    assert (found.code, found.err) == (0, "")


def wait_until(is_so: Callable[[], bool]) -> None:
    """What ends by itself ends soon."""
    until = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)
