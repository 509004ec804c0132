"""PowerShell on this machine, for real: what its engine does with what we send."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.lab_target import script

from mpsbridge.errors import Interrupted, NotSent, TransportMissing
from mpsbridge.models.targets import Target
from mpsbridge.transports import local, open_transport
from mpsbridge.transports.local import LocalTransport

TARGET = Target(host="local", address="localhost", kind="local")


@pytest.fixture
def transport(engine: Path) -> Iterator[LocalTransport]:
    transport = LocalTransport(TARGET, engine=engine)
    yield transport
    transport.close()


def test_w16_functions_outlive_the_script_that_defined_them(transport: LocalTransport) -> None:
    asked = script("Get-Count", definitions="$script:n = 0\nfunction Get-Count { $script:n++; $script:n }")
    assert [transport.run(asked, timeout_s=30).output for _ in range(3)] == [("1",), ("2",), ("3",)]


def test_every_kind_of_output_comes_home_as_text(transport: LocalTransport) -> None:
    raw = transport.run(script("'Tür – 日本語'; 5; $null; $true; [guid]::Empty; [version]'1.2'; ''"), timeout_s=30)
    assert raw.output == ("Tür – 日本語", "5", "", "True", "00000000-0000-0000-0000-000000000000", "1.2", "")


def test_records_come_home_beside_the_output(transport: LocalTransport) -> None:
    raw = transport.run(script("Write-Warning 'w'; Write-Error 'e'; 'out'"), timeout_s=30)
    assert (raw.output, raw.errors, raw.warnings, raw.failed) == (("out",), ("e",), ("w",), False)
    raw = transport.run(script("'out'; throw 'no'"), timeout_s=30)
    assert (raw.output, raw.errors, raw.failed) == (("out",), ("no",), True)


def test_a_syntax_error_is_an_answer(transport: LocalTransport) -> None:
    assert transport.run(script("if ("), timeout_s=30).failed
    assert transport.run(script("'still here'"), timeout_s=30).output == ("still here",)


def test_much_output_and_a_long_script(transport: LocalTransport) -> None:
    raw = transport.run(script("'x' * 2000000", definitions="#" * 2_000_000), timeout_s=60)
    assert raw.output == ("x" * 2_000_000,)


@pytest.mark.xdist_group("timing")
def test_a_script_that_takes_too_long_ends_with_its_process(transport: LocalTransport) -> None:
    transport.run(script("1"), timeout_s=30)
    child = transport._child
    assert child is not None
    started = time.monotonic()
    with pytest.raises(Interrupted):
        transport.run(script("while ($true) { }"), timeout_s=0.5)
    assert time.monotonic() - started < 1.5
    assert child.poll() is not None


def test_a_cancel_ends_it(transport: LocalTransport) -> None:
    transport.run(script("1"), timeout_s=30)
    canceller = threading.Timer(0.2, transport.cancel)
    canceller.start()
    with pytest.raises(Interrupted, match="cancelled"):
        transport.run(script("Start-Sleep 30"), timeout_s=30)
    canceller.join()


def test_no_powershell_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MPSBRIDGE_PWSH", raising=False)
    monkeypatch.delenv("SYSTEMROOT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TransportMissing):
        open_transport(TARGET).run(script(), timeout_s=5)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TransportMissing, match="pwsh cannot be started: No such file"):
        LocalTransport(TARGET, engine=tmp_path / "pwsh").run(script(), timeout_s=5)


def test_a_program_that_is_no_powershell(tmp_path: Path) -> None:
    program = tmp_path / "pwsh"
    program.write_text(f"#!{sys.executable}\nprint('hello')\n")
    program.chmod(0o700)
    transport = LocalTransport(TARGET, engine=program)
    with pytest.raises(NotSent):
        transport.run(script(), timeout_s=20)


def test_windows_powershell_is_taken_from_where_windows_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MPSBRIDGE_PWSH", raising=False)
    monkeypatch.setenv("SYSTEMROOT", "/windows")
    assert local.find_powershell() == Path("/windows/System32/WindowsPowerShell/v1.0/powershell.exe")
