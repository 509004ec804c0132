"""``local``: PowerShell on this very machine, from the command line, with engines that work, hang, die and babble."""

from __future__ import annotations

import base64
import json
import os
import signal
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.acting import ALICE, BOB, told
from support.contract import check_document
from support.windows import Windows

from mpsbridge.cli.main import run
from mpsbridge.models.targets import Target
from mpsbridge.snippets.logons import ReadLogonMode
from mpsbridge.transports.local import LocalTransport

Command = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def mpsbridge(capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*words: str) -> tuple[int, dict[str, Any]]:
        code = run([*words, "--output", "json"])
        document = json.loads(capsys.readouterr().out)
        check_document(document)
        (outcome,) = document["outcomes"]
        return code, outcome

    return call


def program(folder: Path, text: str) -> Path:
    """A program in place of PowerShell, in Python."""
    path = folder / "stand-in"
    path.write_text(f"#!{sys.executable} -SE\n{text}")
    path.chmod(0o700)
    return path


def constrain(host: Windows) -> None:
    """From now on this machine's PowerShell runs in the language that WDAC and AppLocker leave to unsigned code."""
    host.powershell("$ExecutionContext.SessionState.LanguageMode = 'ConstrainedLanguage'")


@pytest.fixture
def windows(engine: Path, monkeypatch: pytest.MonkeyPatch) -> Windows:
    """This machine as a Windows host, with alice and bob on it."""
    host = Windows(engine, [ALICE, BOB])
    monkeypatch.setenv("MPSBRIDGE_PWSH", str(host.powershell()))
    return host


@pytest.mark.engine
def test_sessions_of_this_machine(windows: Windows, mpsbridge: Command) -> None:
    code, outcome = mpsbridge("sessions", "local")
    assert (code, outcome["host"], outcome["status"]) == (0, "local", "done")
    assert [session["user"] for session in outcome["value"]["sessions"]] == ["alice", "bob"]


@pytest.mark.engine
def test_w30_in_constrained_language_the_doctor_names_the_way_out(
    windows: Windows, mpsbridge: Command, tmp_path: Path
) -> None:
    constrain(windows)
    code, outcome = mpsbridge("doctor", "local", "--save", str(tmp_path / "saved.json"), "--yes")
    checks = {check["step"]: check for check in outcome["value"]["checks"]}
    assert code == 1
    assert "ConstrainedLanguage" in checks["powershell"]["text"]
    assert "mpsbridge jea" in checks["powershell"]["remedy"]
    assert (checks["sight"]["ok"], checks["sight"]["text"][:15]) == (True, "2 sessions seen")
    (saved,) = json.loads((tmp_path / "saved.json").read_text())["hosts"]
    assert [line.split()[0] for line in saved["tables"]["quser"]][:1] == ["USERNAME"]
    assert [len(line.split()[0]) for line in saved["tables"]["quser"]][1:] == [len("alice"), len("bob")]
    assert "alice" not in json.dumps(saved)


@pytest.mark.engine
def test_w30_in_constrained_language_nothing_is_done(windows: Windows, mpsbridge: Command) -> None:
    constrain(windows)
    assert mpsbridge("sessions", "local")[0] == 0
    for words in (["logoff", "--yes"], ["disconnect", "--yes"], ["message", "--text", "x"]):
        code, outcome = mpsbridge(words[0], "local", "--all", *words[1:])
        assert (code, outcome["status"]) == (3, "skipped")
        assert "mpsbridge jea" in outcome["reason"]
    assert told(windows) == []
    assert windows.ids == [2, 5]


@pytest.mark.engine
def test_nobody_is_asked_for_a_password(windows: Windows, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSBRIDGE_USERNAME", "SCHOOL\\admin")
    assert mpsbridge("logons", "local")[1]["value"]["mode"] == "enabled"


@pytest.mark.engine
def test_acts_on_this_machine(windows: Windows, mpsbridge: Command) -> None:
    code, outcome = mpsbridge("message", "local", "--user", "bob", "--text", "Please save your work")
    assert (code, outcome["value"]["sessions"][0]["result"]) == (0, "shown")
    code, outcome = mpsbridge("logoff", "local", "--user", "alice", "--yes")
    assert (code, outcome["value"]["sessions"][0]["result"]) == (0, "ended")
    assert told(windows) == [("msg", "5"), ("logoff", "2")]
    assert windows.ids == [5]


@pytest.mark.engine
def test_the_doctor_says_that_there_is_no_way_to_check(windows: Windows, mpsbridge: Command) -> None:
    code, outcome = mpsbridge("doctor", "local")
    checks = {check["step"]: check for check in outcome["value"]["checks"]}
    assert code == 0
    assert all(check["ok"] for check in checks.values())
    assert checks["port"]["text"] == "not on the way: PowerShell on this very machine"


@pytest.mark.engine
def test_a_machine_without_windows_programs_is_no_empty_one(
    engine: Path, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPSBRIDGE_PWSH", str(engine))
    monkeypatch.setenv("SystemRoot", "/no/such/folder")
    code, outcome = mpsbridge("sessions", "local")
    assert (code, outcome["failure"]["kind"]) == (1, "missing-command")
    assert "quser.exe" in outcome["failure"]["message"]


def test_without_powershell_nothing_was_sent(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MPSBRIDGE_PWSH", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    code, outcome = mpsbridge("sessions", "local")
    assert (code, outcome["failure"]["kind"], outcome["failure"]["may_have_run"]) == (1, "missing", False)
    assert "MPSBRIDGE_PWSH" in outcome["failure"]["hint"]


FRAGMENT = base64.b64encode(struct.pack(">QQBI", 1, 0, 3, 4) + b"abcd").decode()
"""One whole fragment, and no message in it."""
POOL = "PSGuid='00000000-0000-0000-0000-000000000000'"
NO_MESSAGE = f"<Data Stream='Default' {POOL}>{FRAGMENT}</Data>\\n<DataAck {POOL} />"


@pytest.mark.parametrize(
    "text",
    [
        "print('Welcome to this machine!', flush=True); input()\n",
        "import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\x00<Data\\n'); sys.stdout.flush(); input()\n",
        f'print("{NO_MESSAGE}", flush=True); input(); input()\n',
        "import sys; sys.exit(3)\n",
    ],
    ids=["words", "bytes", "a packet without sense", "gone at once"],
)
def test_a_program_that_does_not_speak_to_us_got_nothing(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    monkeypatch.setenv("MPSBRIDGE_PWSH", str(program(tmp_path, text)))
    code, outcome = mpsbridge("sessions", "local", "--timeout", "10s")
    assert (code, outcome["status"], outcome["failure"]["may_have_run"]) == (1, "failed", False)


@pytest.mark.xdist_group("timing")
def test_a_program_that_stays_silent_costs_its_time_limit(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MPSBRIDGE_PWSH", str(program(tmp_path, "import time; time.sleep(60)\n")))
    started = time.monotonic()
    code, outcome = mpsbridge("sessions", "local", "--timeout", "1s")
    assert time.monotonic() - started < 3
    assert (code, outcome["failure"]["kind"], outcome["failure"]["may_have_run"]) == (1, "timeout", False)


RELAY = r"""
import subprocess, sys, threading
child = subprocess.Popen(["@ENGINE@", *sys.argv[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def back():
    for line in child.stdout:
        sys.stdout.buffer.write(line); sys.stdout.buffer.flush()
threading.Thread(target=back, daemon=True).start()
for line in sys.stdin.buffer:
    child.stdin.write(line); child.stdin.flush()
    if b"<Data" in line and @PIPELINE@ not in line:
        @ACT@
child.kill()
"""


def relay(folder: Path, engine: Path, act: str) -> Path:
    """The real engine, behind a program that does something when the script has gone in."""
    text = RELAY.replace("@ENGINE@", str(engine)).replace("@ACT@", act)
    return program(folder, text.replace("@PIPELINE@", "b'00000000-0000-0000-0000-000000000000'"))


@pytest.mark.engine
@pytest.mark.parametrize(
    "act",
    ["child.kill(); break", "sys.stdout.buffer.write(b'Oops\\n'); sys.stdout.buffer.flush()"],
    ids=["it dies", "it babbles"],
)
def test_after_the_script_went_in_nobody_knows(
    engine: Path, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, act: str
) -> None:
    monkeypatch.setenv("MPSBRIDGE_PWSH", str(relay(tmp_path, engine, act)))
    code, outcome = mpsbridge("sessions", "local", "--timeout", "20s")
    assert (code, outcome["failure"]["kind"], outcome["failure"]["may_have_run"]) == (1, "interrupted", True)


@pytest.mark.engine
def test_no_profile_is_run_that_could_print(
    engine: Path, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = "import os, sys\nif '-NoProfile' not in sys.argv: print('Hello from the profile', flush=True)\n"
    monkeypatch.setenv(
        "MPSBRIDGE_PWSH", str(program(tmp_path, f"{text}os.execv('{engine}', ['pwsh', *sys.argv[1:]])\n"))
    )
    monkeypatch.setenv("SystemRoot", "/no/such/folder")
    _, outcome = mpsbridge("sessions", "local")
    assert outcome["failure"]["kind"] == "missing-command"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupt_ends_powershell_too(tmp_path: Path, number: int) -> None:
    marker = tmp_path / "pid"
    text = (
        f"import os, time\nopen('{marker}.new', 'w').write(str(os.getpid())); os.rename('{marker}.new', '{marker}')\n"
    )
    path = program(tmp_path, f"{text}time.sleep(60)\n")
    words = [sys.executable, "-m", "mpsbridge", "sessions", "local", "--timeout", "50s"]
    environment = os.environ | {"MPSBRIDGE_PWSH": str(path)}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as call:
        try:
            while not marker.exists():
                assert call.poll() is None
                time.sleep(0.02)
            call.send_signal(number)
            call.communicate(timeout=10)
        finally:
            call.kill()
    assert call.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)


@pytest.mark.engine
@pytest.mark.xdist_group("timing")
def test_a_second_command_takes_less_than_40_ms(windows: Windows) -> None:
    """Measured here: 5 ms. The first one, which starts the engine and defines the functions, takes about 0.7 s."""
    target = Target(host="local", address="localhost", kind="local")
    transport = LocalTransport(target)
    script = ReadLogonMode().render()
    first, *later = [transport.run(script, timeout_s=30) for _ in range(10)]
    transport.close()
    assert ReadLogonMode.read(first).mode == ReadLogonMode.read(later[-1]).mode
    assert statistics.median(raw.elapsed_s for raw in later) < 0.04


def test_this_machine_goes_down_alone_and_not_among_others(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["end", "local", "ts1", "--all", "--then", "restart"],
        ["end", "ts1", "local", "--all", "--then", "shutdown"],
    ):
        assert run([*words, "--reason", "updates", "--yes"]) == 2
        assert "local: this machine goes down with this run, so it cannot be one of several" in capsys.readouterr().err


@pytest.mark.engine
def test_a_restart_of_this_machine_says_that_the_run_ends_with_it(
    windows: Windows, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["end", "local", "--all", "--include-admins", "--no-warning", "--reason", "updates", "--dry-run"]
    assert run([*words, "--then", "restart"]) == 0
    assert "this run ends with this machine: the failsafe opens logons again" in capsys.readouterr().err
    assert run(words) == 0
    assert "ends with this machine" not in capsys.readouterr().err
    assert told(windows) == []
