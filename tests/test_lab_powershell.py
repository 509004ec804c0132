"""The engine that executes: real PowerShell behind real WinRM, over the same worlds as the scripted one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_client import guards_of, pool, wsman
from pypsrp.client import Client
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from snippet_calls import CALLS, act, box, mode

from mpsbridge.errors import SettingsError
from mpsbridge.lab import Lab, build_world, load_world
from mpsbridge.lab.engines.powershell.engine import PowerShellEngine
from mpsbridge.lab.engines.powershell.finding import find_powershell
from mpsbridge.models.answers import ObserveAnswer
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.sessions import LogonMode, SessionGuard
from mpsbridge.snippets.catalogue import CATALOGUE

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


@pytest.fixture
def lab(engine: Path) -> Iterator[Lab]:
    with Lab(build_world(WORLD), auth="basic", engine=PowerShellEngine(engine)) as started:
        yield started


def patient(lab: Lab, host: str = "a") -> Any:
    return pool(lab, host, operation_timeout=20, read_timeout=30)


def invoke(runspaces: RunspacePool, text: str) -> PowerShell:
    pipeline = PowerShell(runspaces)
    pipeline.add_script(text)
    pipeline.invoke()
    return pipeline


def ask(runspaces: RunspacePool, name: str, parameters: Frozen | None = None) -> dict[str, Any]:
    script = CATALOGUE[name].render(parameters or CALLS[name])
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
        assert results(ask(runspaces, "end", act(alice, bob, changed))) == ["ended", "ended", "changed"]
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


@pytest.mark.parametrize("host", ["a", "m", "old", "blind"])
def test_both_engines_tell_the_same(lab: Lab, host: str) -> None:
    with patient(lab, host) as runspaces:
        executed = {name: ask(runspaces, name) for name in ("observe", "stations", "logons")}
    with Lab(build_world(WORLD), auth="basic") as other, pool(other, host) as runspaces:
        scripted = {name: ask(runspaces, name) for name in ("observe", "stations", "logons")}
    for name, envelope in executed.items():
        own = scripted[name]
        assert (envelope["snippet"], envelope["ok"]) == (own["snippet"], own["ok"])
        for key in set(envelope["result"]) - {"now", "powershell", "utc_offset_min"}:
            assert envelope["result"][key] == own["result"][key], (name, key)
        assert set(envelope["result"]) == set(own["result"])


@pytest.mark.parametrize("host", ["m", "old"])
def test_sessions_of_multipoint_hosts_end(lab: Lab, host: str) -> None:
    with patient(lab, host) as runspaces:
        guards = [SessionGuard.model_validate(guard) for guard in guards_of(ask(runspaces, "observe")["result"])]
        assert set(results(ask(runspaces, "end", act(*guards)))) == {"ended"}
    assert {change.act for change in lab.changes} == {"logoff"}


def test_a_running_script_can_be_stopped_and_nothing_is_left_behind(lab: Lab) -> None:
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


def test_stopping_the_lab_ends_the_children(engine: Path) -> None:
    with Lab(load_world("small"), auth="basic", engine=PowerShellEngine(engine)) as lab:
        runspaces = RunspacePool(wsman(lab, operation_timeout=20, read_timeout=30))
        runspaces.open()
        child = int(invoke(runspaces, "$PID").output[0])
        assert Path(f"/proc/{child}").exists()
    runspaces.connection.close()
    assert not Path(f"/proc/{child}").exists()


def test_without_a_powershell_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MPSBRIDGE_PWSH", raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("MPSBRIDGE_SHARED", "/nonexistent")
    with pytest.raises(SettingsError, match="MPSBRIDGE_PWSH"):
        find_powershell()
