"""The engine that executes: real PowerShell behind real WinRM, over the same worlds as the scripted one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import find_engine, missing
from pypsrp.client import Client
from pypsrp.complex_objects import RunspacePoolState
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan
from support.alike import world
from support.lab_client import guards_of, pool, wsman
from support.snippet_calls import CALLS, act, box, log_off, mode

from mpsbridge.errors import SettingsError
from mpsbridge.lab import Lab
from mpsbridge.lab.engines.powershell.children import Children
from mpsbridge.lab.engines.powershell.engine import PowerShellEngine
from mpsbridge.lab.engines.powershell.finding import find_powershell
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.programs import PROGRAMS, ProgramResult
from mpsbridge.models.answers import ObserveAnswer
from mpsbridge.models.sessions import LogonMode, SessionGuard
from mpsbridge.snippets.snippet import Snippet

pytestmark = pytest.mark.engine

WORLD: dict[str, Any] = {
    "hosts": [
        {
            "name": "a",
            "utc_offset_min": 0,
            "pending_reboot": ["RebootRequired"],
            "sessions": [
                {"id": 2, "user": "alice", "idle_s": 5, "logon": "2026-11-25T09:00:00Z"},
                {"id": 3, "user": "bob", "state": "disconnected", "idle_s": 7200, "logon": "2026-11-25T09:10:00Z"},
                {"id": 4, "user": "carol", "admin": True, "logon": "2026-11-25T09:20:00Z"},
            ],
        },
        {
            "name": "m",
            "generation": "2016",
            "stations": [{"id": 1, "name": "Fenêtre"}, {"id": 2, "name": "Zwei"}],
            "sessions": [
                {"id": 2, "user": "alice", "station": 1, "logon": "2026-11-25T09:00:00Z"},
                {"id": 3, "user": "bob", "logon": "2026-11-25T09:10:00Z", "client": "PC-7"},
            ],
        },
        {
            "name": "old",
            "generation": "2012",
            "sessions": [{"id": 2, "user": "alice", "logon": "2026-11-25T09:00:00Z"}],
        },
        {"name": "blind", "rights": "user", "sessions": [{"id": 2, "user": "alice", "logon": "2026-11-25T09:00:00Z"}]},
    ]
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    program = find_engine()
    if program is None:
        missing("a PowerShell engine (MPSBRIDGE_PWSH, PATH, or shared/pwsh)")
    with Lab(world(*WORLD["hosts"]), auth="basic", engine=PowerShellEngine(program)) as started:
        yield started


def patient(lab: Lab, host: str = "a") -> Any:
    return pool(lab, host, operation_timeout=20, read_timeout=30)


def invoke(runspaces: RunspacePool, text: str) -> PowerShell:
    pipeline = PowerShell(runspaces)
    pipeline.add_script(text)
    pipeline.invoke()
    return pipeline


def ask(runspaces: RunspacePool, name: str, parameters: Snippet | None = None) -> dict[str, Any]:
    script = (parameters or CALLS[name]).render()
    pipeline = invoke(runspaces, script.text)
    assert not pipeline.streams.error, [str(record) for record in pipeline.streams.error]
    envelope: dict[str, Any] = json.loads(pipeline.output[0])
    return envelope


def test_any_script_runs_and_fails_as_powershell_does(lab: Lab) -> None:
    with patient(lab) as runspaces:
        pipeline = invoke(runspaces, "1 + 1; Write-Error 'no'; Write-Warning 'careful'; 'last'")
        assert pipeline.output == [2, "last"]
        assert "no" in str(pipeline.streams.error[0])
        assert len(pipeline.streams.warning) == 1
        assert invoke(runspaces, "throw 'enough'").had_errors
        assert invoke(runspaces, "'x' * 300000").output == ["x" * 300_000]
        assert invoke(runspaces, "# " + "x" * 600_000 + "\n'long'").output == ["long"]
    with Client(lab.hosts[0].address, username=lab.user, password=lab.password, **_settings(lab)) as client:
        assert client.execute_ps("$PSVersionTable.PSVersion.Major -ge 3")[0].strip() == "True"


def _settings(lab: Lab) -> dict[str, Any]:
    return {"port": lab.port, "ssl": False, "auth": "basic", "encryption": "never", "no_proxy": True}


def test_the_real_scripts_see_and_change_the_world(lab: Lab) -> None:
    with patient(lab) as runspaces:
        observed = ask(runspaces, "observe")
        assert observed["problems"] == []
        answer = ObserveAnswer.model_validate(observed["result"])
        assert (answer.computer, answer.caller.elevated, answer.pending_reboot) == ("A", True, ("RebootRequired",))
        alice, bob, carol = (SessionGuard.model_validate(guard) for guard in guards_of(observed["result"]))
        changed = carol.model_copy(update={"born": "20200101000000.000000+000"})
        assert results(ask(runspaces, "message", box("it's ‘five’", alice, bob))) == ["shown", "refused"]
        assert results(ask(runspaces, "disconnect", act(alice))) == ["disconnected"]
        assert results(ask(runspaces, "logoff", log_off(alice, bob, changed))) == ["ended", "ended", "changed"]
        logons = ask(runspaces, "logons-set", mode(LogonMode.DRAIN, LogonMode.ENABLED))["result"]
        assert (logons["was"], logons["mode"], logons["changed"]) == ("enabled", "drain", True)
        left = ask(runspaces, "observe")["result"]
    assert [guard["user"] for guard in guards_of(left)] == ["carol"]
    assert [(change.act, change.session_id, change.text) for change in lab.changes] == [
        ("message", 2, "it's ‘five’"),
        ("disconnect", 2, ""),
        ("logoff", 2, ""),
        ("logoff", 3, ""),
        ("logons", None, "drain"),
    ]


def results(envelope: dict[str, Any]) -> list[str]:
    return [each["result"] for each in envelope["result"]["sessions"]]


def test_w07_the_clients_culture_is_the_threads_and_the_hosts_patterns_stay(lab: Lab) -> None:
    german = wsman(lab, operation_timeout=20, read_timeout=30, locale="de-DE", data_locale="de-DE")
    with RunspacePool(german) as runspaces:
        assert invoke(runspaces, "(Get-Culture).Name; 1.5.ToString()").output == ["de-DE", "1,5"]
        assert ask(runspaces, "observe")["result"]["patterns"]["short_date"] == "M/d/yyyy"
    german.close()


def test_a_script_is_told_whose_session_it_is(lab: Lab) -> None:
    for name in ("a", "m"):
        with patient(lab, name) as runspaces:
            assert invoke(runspaces, "$PSSenderInfo.UserInfo.Identity.Name").output == [
                f"{name.upper()}\\Administrator"
            ]


def test_a_script_that_exits_ends_itself_and_not_its_session(lab: Lab) -> None:
    with patient(lab) as runspaces:
        assert invoke(runspaces, "'before'; exit 3; 'after'").output == ["before"]
        assert invoke(runspaces, "'again'").output == ["again"]
    assert runspaces.state == RunspacePoolState.CLOSED


def test_programs_that_need_no_argument_get_none(lab: Lab) -> None:
    asked: list[list[str]] = []
    quser = PROGRAMS["quser"]

    def noted(host: LabHost, arguments: list[str]) -> ProgramResult:
        asked.append(arguments)
        return quser(host, arguments)

    with pytest.MonkeyPatch.context() as patched, patient(lab, "m") as runspaces:
        patched.setitem(PROGRAMS, "quser", noted)
        ask(runspaces, "observe")
    assert asked == [[]]


# How children live and die.


def test_a_running_script_can_be_stopped_and_the_child_ends_with_its_shell(lab: Lab) -> None:
    runspaces = RunspacePool(wsman(lab, operation_timeout=20, read_timeout=30))
    runspaces.open()
    child = int(invoke(runspaces, "$PID").output[0])
    pipeline = PowerShell(runspaces)
    pipeline.add_script("Start-Sleep -Seconds 60")
    pipeline.begin_invoke()
    began = time.monotonic()
    pipeline.stop()
    assert invoke(runspaces, "'on'").output == ["on"]
    assert time.monotonic() - began < 10
    runspaces.close()
    runspaces.connection.close()
    assert not Path(f"/proc/{child}").exists()


def test_a_child_that_dies_is_a_fault_and_not_silence(lab: Lab) -> None:
    with patient(lab) as runspaces:
        for script in ("[Diagnostics.Process]::GetCurrentProcess().Kill()", "1 + 1"):
            with pytest.raises(WSManFaultError):
                invoke(runspaces, script)


def test_no_more_children_than_allowed_and_a_dead_spare_is_no_loss(engine: Path) -> None:
    with Lab(world(*WORLD["hosts"]), auth="basic", engine=PowerShellEngine(engine, spares=1, most=2)) as lab:
        for spare in children(lab)._idle:
            spare.kill()
        with patient(lab) as one, patient(lab, "m") as other:
            assert invoke(one, "$env:COMPUTERNAME").output + invoke(other, "$env:COMPUTERNAME").output == ["A", "M"]
            with pytest.raises(WSManFaultError) as refused, patient(lab):
                pass
            assert refused.value.code == 2150859174
        with patient(lab) as again:
            assert invoke(again, "'on'").output == ["on"]


def test_stopping_the_lab_ends_the_children_whatever_they_do(engine: Path) -> None:
    before = children_of(os.getpid())
    with Lab(world(*WORLD["hosts"]), auth="basic", engine=PowerShellEngine(engine)) as lab:
        runspaces = RunspacePool(wsman(lab, operation_timeout=20, read_timeout=30))
        runspaces.open()
        invoke(runspaces, "1")
        PowerShell(runspaces).add_script("while ($true) { }").begin_invoke()
        assert children_of(os.getpid()) > before
    runspaces.connection.close()
    assert children_of(os.getpid()) <= before


def test_the_children_end_with_a_lab_that_was_killed(engine: Path, tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    words = ["lab", "--engine", "powershell", "--world", "small", "--auth", "basic", "--ready-file", str(ready)]
    environment = {**os.environ, "MPSBRIDGE_PWSH": str(engine)}
    command = [sys.executable, "-m", "mpsbridge", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as running:
        wait_until(ready.exists)
        facts = json.loads(ready.read_text())
        connection = WSMan(
            facts["hosts"][0]["address"],
            port=facts["port"],
            ssl=False,
            auth="basic",
            encryption="never",
            username=facts["user"],
            password=facts["password"],
            no_proxy=True,
        )
        runspaces = RunspacePool(connection)
        runspaces.open()
        PowerShell(runspaces).add_script("while ($true) { }").begin_invoke()
        started = children_of(running.pid)
        assert started
        running.kill()
    connection.close()
    wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in started))


def children(lab: Lab) -> Children:
    engine = lab._engine
    assert isinstance(engine, PowerShellEngine)
    assert engine._running is not None
    return engine._running._children


def children_of(parent: int) -> set[int]:
    """Processes that are a PowerShell and were started by that one."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, _, rest = status.read_text().partition(")")
            if int(rest.split()[1]) == parent and name.partition("(")[2] in {"pwsh", "powershell"}:
                found.add(int(status.parent.name))
    return found


def wait_until(reached: Callable[[], bool], limit_s: float = 30.0) -> None:
    end = time.monotonic() + limit_s
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.everything(reason="a measurement")
@pytest.mark.xdist_group("timing")
def test_a_shell_opens_in_a_warm_child_in_half_the_time_and_less(lab: Lab) -> None:
    """Measured side by side, because how long either takes depends on what else the machine does."""

    def opening(*, warm: bool) -> float:
        wait_until(lambda: bool(children(lab)._idle))
        for spare in [] if warm else children(lab)._idle:
            spare.kill()
        began = time.monotonic()
        with patient(lab):
            return time.monotonic() - began

    assert min(opening(warm=True) for _ in range(4)) < min(opening(warm=False) for _ in range(3)) / 2


# What is said of a PowerShell that cannot be used.


@pytest.mark.parametrize(
    ("script", "mode", "why"),
    [
        (None, 0, "is not there"),
        ("#!/bin/sh\n", 0o600, "is not executable"),
        ("#!/bin/sh\nexit 1\n", 0o700, "ended while it started"),
        ("#!/bin/sh\necho hello; read line\n", 0o700, "ended while it started"),
        ("no program at all", 0o700, "does not start"),
    ],
)
def test_a_powershell_that_does_not_work_is_one_sentence_naming_three_places(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str | None, mode: int, why: str
) -> None:
    program = tmp_path / "pwsh"
    if script is not None:
        program.write_text(script)
        program.chmod(mode)
    monkeypatch.setenv("MPSBRIDGE_PWSH", str(program))

    def executable(path: Path, _: int) -> bool:  # root may do anything, and the mode still tells
        return bool(path.stat().st_mode & 0o100)

    monkeypatch.setattr("os.access", executable)
    with pytest.raises(SettingsError) as failure:
        Lab(world({"name": "a"}), engine="powershell").start()
    assert f"{program} {why}" in failure.value.message
    assert "MPSBRIDGE_PWSH, on PATH (pwsh, powershell), and as shared/pwsh/pwsh" in failure.value.message


def test_a_powershell_that_is_too_old_is_refused(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = children_of(os.getpid())
    monkeypatch.setattr("mpsbridge.lab.engines.powershell.children.OLDEST", (99, 0))
    with pytest.raises(SettingsError, match=r"is version \d+\.\d+; it is sought"):
        Lab(world({"name": "a"}), engine=PowerShellEngine(engine)).start()
    assert children_of(os.getpid()) <= before


def test_without_any_powershell_it_says_where_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MPSBRIDGE_PWSH", raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("MPSBRIDGE_SHARED", "/nonexistent")
    with pytest.raises(SettingsError, match="there is none; it is sought in MPSBRIDGE_PWSH"):
        find_powershell()


def test_the_first_place_that_names_one_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    places = [tmp_path / name / "pwsh" for name in ("named", "path", "shared/pwsh")]
    for place in places:
        place.parent.mkdir(parents=True)
        place.write_text("#!/bin/sh\n")
        place.chmod(0o700)
    monkeypatch.setenv("MPSBRIDGE_PWSH", str(places[0]))
    monkeypatch.setenv("PATH", str(places[1].parent))
    monkeypatch.setenv("MPSBRIDGE_SHARED", str(tmp_path / "shared"))
    assert find_powershell() == places[0]
    monkeypatch.delenv("MPSBRIDGE_PWSH")
    assert find_powershell() == places[1]
    monkeypatch.setenv("PATH", "/nonexistent")
    assert find_powershell() == places[2]
