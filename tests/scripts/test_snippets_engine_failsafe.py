"""The failsafe on the real PowerShell engine: how its task is registered, and what the task does when it runs (W19)."""

from __future__ import annotations

import os
import shlex
import subprocess
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.snippet_calls import NEVER, failsafe, held
from support.windows import Act, Windows

from mpsbridge.errors import AccessDenied, RemoteError
from mpsbridge.lab.engines.scripted.failsafe import FAILSAFE_TASK
from mpsbridge.lab.engines.scripted.lease import LEASE_FILE
from mpsbridge.lab.windows.tasks import Task
from mpsbridge.models.sessions import LogonMode, from_cim
from mpsbridge.snippets.failsafe import FailsafeAnswer, RegisterFailsafe, RemoveFailsafe

pytestmark = pytest.mark.engine

OURS = failsafe(LogonMode.ENABLED, LogonMode.DRAIN)
SCHEMA = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
PAST = "20200101000000.000000+000"
QUICK = "function global:Start-Sleep { }\n"
"""The task's pause between its looks takes no time here."""


@pytest.fixture
def host(engine: Path) -> Windows:
    return Windows(engine, [], lease=held())


def task(host: Windows) -> Task | None:
    return host.host.tasks.get(FAILSAFE_TASK)


def register(host: Windows, parameters: RegisterFailsafe = OURS) -> FailsafeAnswer:
    output = host.run(parameters.render())
    assert output.errors == ()
    return RegisterFailsafe.read(output)


def remove(host: Windows) -> FailsafeAnswer:
    output = host.run(RemoveFailsafe(not_after=NEVER, run="run-1").render())
    assert output.errors == ()
    return RemoveFailsafe.read(output)


def words(host: Windows) -> dict[str, str]:
    """Every element of the registered XML that holds text."""
    registered = task(host)
    assert registered is not None
    root = ET.fromstring(registered.xml)  # noqa: S314 - the XML is our own
    return {
        element.tag.removeprefix(SCHEMA): element.text
        for element in root.iter()
        if element.text and element.text.strip()
    }


# Registering.


def test_w19_registered_and_read_back(host: Windows) -> None:
    before = datetime.now(UTC)
    answer = register(host)
    assert answer.registered
    assert answer.next_run is not None
    assert timedelta(minutes=4) < from_cim(answer.next_run) - before < timedelta(minutes=6)
    assert host.events[0].endswith("Administrator: failsafe registered (logons drain, back to enabled).")


def test_w19_the_task_as_windows_gets_it(host: Windows) -> None:
    register(host)
    said = words(host)
    assert said["UserId"] == "S-1-5-18"
    assert (said["Delay"], said["Interval"], said["ExecutionTimeLimit"]) == ("PT3M", "PT5M", "PT5M")
    assert (said["StartWhenAvailable"], said["MultipleInstancesPolicy"]) == ("true", "IgnoreNew")
    for never in ("DisallowStartIfOnBatteries", "StopIfGoingOnBatteries", "StopOnIdleEnd", "RunOnlyIfIdle"):
        assert said[never] == "false"
    start, end = (datetime.strptime(said[f"{name}Boundary"], "%Y-%m-%dT%H:%M:%S%z") for name in ("Start", "End"))
    assert end - start == timedelta(days=7) - timedelta(minutes=5)
    assert said["Command"] == r"%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe"
    for fact in ("run-1", "ops@box", "drain", "enabled", "To undo it by hand"):
        assert fact in said["Description"]


def test_w19_the_command_is_short_and_can_be_read(host: Windows) -> None:
    register(host)
    command = words(host)["Arguments"]
    assert command.startswith('-NoProfile -NonInteractive -Command "$ErrorActionPreference')
    assert command.count('"') == 2
    assert len(command) < 2000
    assert "Encoded" not in command
    assert "$found, $set = 0, 2;" in command
    assert "ops@box" not in command


@pytest.mark.parametrize("owner", ['O\'Neil <x> & "co"', "[END] $(throw) `", "‘déjà’ vu"])
def test_w19_an_owner_is_text_and_nothing_else(host: Windows, owner: str) -> None:
    register(host, failsafe(LogonMode.ENABLED, LogonMode.DRAIN, owner=owner))
    said = words(host)
    assert f"run run-1 of {owner} has set" in said["Description"]
    assert owner not in said["Arguments"]


def test_w19_registered_anew_it_is_the_new_one(host: Windows) -> None:
    register(host)
    register(host, failsafe(LogonMode.DRAIN_UNTIL_RESTART, LogonMode.DISABLED))
    assert "$found, $set = 1, 3;" in words(host)["Arguments"]


@pytest.mark.parametrize(
    ("tasks", "error"),
    [("denied", AccessDenied), ("lost", RemoteError), ("disabled", RemoteError), ("unreadable", AccessDenied)],
)
def test_w19_what_cannot_be_read_back_does_not_count(host: Windows, tasks: str, error: type[Exception]) -> None:
    host.change(tasks=tasks)
    with pytest.raises(error):
        register(host)
    assert host.events == []


def test_w19_it_runs_once_to_its_end_when_it_is_registered(host: Windows) -> None:
    assert register(host).first_run == 0
    registered = task(host)
    assert registered is not None
    assert registered.last_run is not None


def test_w19_what_keeps_it_from_working_shows_when_it_is_registered(host: Windows) -> None:
    host.change(tasks="fails")
    assert (register(host).registered, register(host).first_run) == (True, 1)


def test_w19_a_first_run_that_does_not_end_is_told(host: Windows) -> None:
    host.host.execute = lambda _host, _task: None
    assert register(host, failsafe(LogonMode.ENABLED, LogonMode.DRAIN, time_limit_s=1)).first_run is None


@pytest.mark.parametrize(("language", "code"), [("FullLanguage", 0), ("ConstrainedLanguage", 1)])
def test_w19_its_command_fails_where_a_policy_constrains_powershell(
    host: Windows, engine: Path, tmp_path: Path, language: str, code: int
) -> None:
    """Such a policy may be for the system's own PowerShell, and not for that of an administrator who signs in."""
    register(host)
    lease = tmp_path / "mpsbridge" / "lease.json"
    lease.parent.mkdir()
    lease.write_text(held(), encoding="utf-8")
    *options, command = shlex.split(words(host)["Arguments"])
    set_language = f"$ExecutionContext.SessionState.LanguageMode = '{language}'; "
    ended = subprocess.run(
        [str(engine), *options, set_language + command],
        env={**os.environ, "ProgramFiles": str(tmp_path)},
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert ended.returncode == code, ended.stderr


@pytest.mark.parametrize("there", [None, held("run-2", expires=PAST)])
def test_w19_without_a_lease_of_its_own_it_would_act_at_once(engine: Path, there: str | None) -> None:
    host = windows(engine, there)
    with pytest.raises(RemoteError, match="no lease here"):
        register(host)
    assert task(host) is None


@pytest.mark.parametrize("there", ["damaged", held("run-2"), held(None, expires=None)])
def test_w04_under_somebodys_lease_nothing_is_registered_or_removed(engine: Path, there: str) -> None:
    host = windows(engine, there)
    for act in (register, remove):
        with pytest.raises(RemoteError, match="lease"):
            act(host)
    assert task(host) is None


def test_w19_removed_and_there_being_none_is_fine(host: Windows) -> None:
    register(host)
    for _ in range(2):
        answer = remove(host)
        assert (answer.registered, answer.next_run) == (False, None)
    assert task(host) is None
    assert [entry.rpartition(": ")[2] for entry in host.events[1:]] == ["failsafe removed."]


def test_w19_a_task_that_may_not_be_read_is_not_called_removed(host: Windows) -> None:
    register(host)
    host.change(tasks="unreadable")
    with pytest.raises(AccessDenied):
        remove(host)


# What the task does. Its very command runs here, on the make-believe host.


def strike(host: Windows, parameters: RegisterFailsafe = OURS, *, pause: str = QUICK, fails: str = "") -> None:
    """Register the task under a lease of this run, then let it run as Windows would, over the lease that was there.

    ``fails`` is what it says where it ends in an error.
    """
    there, written = host.host.files.read(LEASE_FILE), host.host.files.written(LEASE_FILE)
    host.put_lease(held())
    register(host, parameters)
    host.put_lease(there, written)
    command = words(host)["Arguments"].partition("-Command ")[2]
    output = host.run(pause + f"& {{ {command[1:-1]} }}")
    assert output.output == ()
    assert [fails in error for error in output.errors] == [True] * bool(fails)


def windows(engine: Path, text: str | None, **keys: Any) -> Windows:
    return Windows(engine, [], lease=text, **({"logon_mode": "drain"} | keys))


@pytest.mark.parametrize("text", [None, held(expires=PAST), held("run-2", expires=PAST)])
def test_w19_with_no_lease_or_one_that_is_over_it_restores_and_goes(engine: Path, text: str | None) -> None:
    host = windows(engine, text)
    strike(host)
    assert host.record == [Act("chglogon", ["/enable"])]
    assert host.events[-1].endswith("The failsafe set logons back: a run has left.")
    assert task(host) is None


@pytest.mark.parametrize("text", [held(), held("run-2"), held(None, expires=None)])
def test_w19_while_somebody_holds_the_host_it_does_nothing(engine: Path, text: str) -> None:
    host = windows(engine, text)
    strike(host)
    assert host.record == []
    assert task(host) is not None


@pytest.mark.parametrize("text", ["damaged", "", "[]", '{"expires": "20991231"'])
def test_w19_a_lease_that_cannot_be_read_is_said_by_the_log_and_by_the_tasks_result(engine: Path, text: str) -> None:
    host = windows(engine, text)
    strike(host, fails="cannot read the lease")
    assert "Warning" in host.events[-1]
    assert "cannot read the lease" in host.events[-1]
    assert host.record == []
    assert task(host) is not None


@pytest.mark.parametrize("text", ["damaged", "", "[]", '{"expires": "20991231"'])
def test_w19_a_lease_that_nobody_can_read_holds_for_a_day(engine: Path, text: str) -> None:
    host = windows(engine, text)
    host.put_lease(text, datetime.now(UTC) - timedelta(hours=25))
    strike(host)
    assert host.record == [Act("chglogon", ["/enable"])]
    assert task(host) is None


@pytest.mark.parametrize("others", ["disabled", "enabled", "drain-until-restart"])
def test_w17_what_others_changed_is_left_and_it_goes(engine: Path, others: str) -> None:
    host = windows(engine, None, logon_mode=others)
    strike(host)
    assert host.record == []
    assert task(host) is None


@pytest.mark.parametrize(
    ("found", "to", "switch"),
    [
        (LogonMode.ENABLED, LogonMode.DRAIN_UNTIL_RESTART, "/enable"),
        (LogonMode.DRAIN_UNTIL_RESTART, LogonMode.DRAIN, "/drainuntilrestart"),
        (LogonMode.DRAIN, LogonMode.DISABLED, "/drain"),
        (LogonMode.DISABLED, LogonMode.DRAIN, "/disable"),
    ],
)
def test_w17_each_mode_is_put_back_as_it_was_found(engine: Path, found: LogonMode, to: LogonMode, switch: str) -> None:
    host = windows(engine, None, logon_mode=to.value)
    strike(host, failsafe(found, to))
    assert host.record == [Act("chglogon", [switch])]


def test_w19_where_it_does_not_work_it_stays_for_the_next_time(engine: Path) -> None:
    host = windows(engine, None, logons_stuck=True)
    strike(host)
    assert host.record == [Act("chglogon", ["/enable"])]
    assert task(host) is not None


def test_w19_a_lease_that_is_just_being_replaced_is_no_missing_one(engine: Path) -> None:
    host = windows(engine, None)
    path = host.lease_file
    strike(host, pause=f"function global:Start-Sleep {{ [IO.File]::WriteAllText('{path}', '{held()}') }}\n")
    assert host.record == []
    assert task(host) is not None
