"""A make-believe Windows host for the real PowerShell engine: a folder with programs, modules and one JSON file.

``WindowsHost(tmp_path, engine, [Person(...)])`` writes the folder; ``run`` executes a script over it in a runspace,
``record`` is what the stand-in programs were told to do, whoever they were told by.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mpsbridge.models.scripts import RawOutput, Script
from mpsbridge.models.sessions import AllowedSession, SessionGuard

ENGINE = Path(__file__).parent / "engine"
PROGRAMS_FILE = Path(__file__).parent / "windows_programs.py"
BOOT = "20261101060000.000000+000"
PROGRAMS = ("quser", "qwinsta", "msg", "logoff", "rwinsta", "tsdiscon", "chglogon", "shutdown", "wms")
NLS = r"Registry::HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Nls\CodePage"
INTERNATIONAL = r"Registry::HKEY_CURRENT_USER\Control Panel\International"
SESSION_MANAGER = r"Registry::HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Session Manager"


@dataclass(frozen=True, slots=True)
class Person:
    """One session: its row, in the host's code page, and the processes behind it."""

    id: int
    user: str
    name: str = "rdp-tcp#1"
    state: str = "Active"
    idle: str = "."
    logon: str = "11/25/2026 9:00 AM"
    born: str = "20261125080000.123456+000"
    sid: str | None = None
    programs: tuple[str, ...] = ("explorer", "rdpclip")
    listed: bool = True
    traits: dict[str, Any] = field(default_factory=dict)
    """How the stand-ins treat it: ignores, protected, leaves, marker, program_s (how long its programs take). Of its
    processes: unreadable (when they began), sealed (Get-Process may not read it, CIM may), lingers; bereft is without
    winlogon."""

    def bytes_of(self, text: str, page: str) -> str:
        """A field as the host has it: its bytes, as Latin-1 text."""
        return text.encode(page).decode("latin-1")

    def guard(self, page: str = "cp437", **changes: Any) -> SessionGuard:
        """What a caller who saw this row would send."""
        facts: dict[str, Any] = {"id": self.id, "born": self.born}
        facts |= {name: self.bytes_of(getattr(self, name), page) for name in ("user", "logon", "state")}
        return SessionGuard.model_validate(facts | changes)

    def stays(self, **changes: Any) -> AllowedSession:
        """What a caller would send whom it allows to be there still."""
        return AllowedSession.model_validate({"id": self.id, "born": self.born, "leftover": not self.listed} | changes)


class Act(NamedTuple):
    """One call of a stand-in program."""

    program: str
    arguments: list[str]


def session_of(person: Person, page: str) -> dict[str, Any]:
    """The session as the stand-in programs know it: texts as the bytes of the code page."""
    texts = {name: person.bytes_of(getattr(person, name), page) for name in ("user", "name", "state", "idle", "logon")}
    return {"id": person.id, "listed": person.listed, **texts, **person.traits}


def _processes(person: Person) -> list[dict[str, Any]]:
    kept = {name: person.traits[name] for name in ("unreadable", "lingers", "sealed") if name in person.traits}
    system = [("winlogon", "S-1-5-18"), ("csrss", "S-1-5-18"), ("dwm", "S-1-5-90-0-1")]
    if person.traits.get("bereft"):
        system = system[1:]
    own = [(name, person.sid or f"S-1-5-21-1-2-3-{1000 + person.id}") for name in person.programs]
    return [
        {"name": name, "session": person.id, "born": person.born, "sid": sid, "user": person.user, "domain": "LAB"}
        | kept
        for name, sid in system + own
    ]


class WindowsHost:
    """The folder, and one runspace for each script."""

    def __init__(
        self,
        folder: Path,
        engine: Path,
        people: list[Person],
        *,
        page: str = "cp437",
        generation: str = "",
        **facts: Any,
    ) -> None:
        self.folder = folder
        self.engine = engine
        self.page = page
        self._write_programs()
        if generation:
            module = folder / "modules" / "MultiPoint" / "MultiPoint.psm1"
            module.parent.mkdir(parents=True)
            module.write_text((ENGINE / f"multipoint-{generation}.psm1").read_text())
        self.write(people, **facts)

    def write(self, people: list[Person], **facts: Any) -> None:
        """Say anew what the host is like."""
        world: dict[str, Any] = {
            "caller": {"account": "LAB\\admin", "sid": "S-1-5-21-1-2-3-500", "elevated": True, "session_id": 0},
            "sessions": [session_of(person, self.page) for person in people],
            "processes": [process for person in people for process in _processes(person)]
            + [{"name": "wininit", "session": 0, "born": BOOT, "sid": "S-1-5-18", "sealed": True}],
            "cim": {
                "Win32_TerminalServiceSetting": {"Logons": "0", "SessionBrokerDrainMode": 0, "TerminalServerMode": 1},
                "Win32_TSSessionDirectory": {"SessionDirectoryActive": 0},
            },
            "registry": {
                NLS: {"OEMCP": self.page.removeprefix("cp"), "ACP": "1252"},
                INTERNATIONAL: {
                    "sShortDate": "M/d/yyyy",
                    "sShortTime": "h:mm tt",
                    "s1159": "AM",
                    "s2359": "PM",
                    "LocaleName": "en-US",
                },
                SESSION_MANAGER: {},
            },
            "services": [],
            "admins": [
                {"Name": "Administrator", "objectSid": "S-1-5-21-1-2-3-500", "Class": "User"},
                {"Name": "Domain Admins", "objectSid": "S-1-5-21-1-2-3-512", "Class": "Group"},
            ],
            "changes": [],
            "slow": {},
            "wms": {},
        }
        (self.folder / "world.json").write_text(json.dumps(world | facts))

    def later(self, at_quser_call: int, people: list[Person]) -> None:
        """From the given call of quser on, these people are there."""
        change = {
            "at_quser_call": at_quser_call,
            "sessions": [session_of(person, self.page) for person in people],
            "processes": [process for person in people for process in _processes(person)],
        }
        world = self.world
        world["changes"].append(change)
        (self.folder / "world.json").write_text(json.dumps(world))

    @property
    def world(self) -> dict[str, Any]:
        """The host as it is now."""
        world: dict[str, Any] = json.loads((self.folder / "world.json").read_text())
        return world

    @property
    def ids(self) -> list[int]:
        """Who is still listed."""
        return [session["id"] for session in self.world["sessions"]]

    @property
    def record(self) -> list[Act]:
        """Everything that the programs which act were told, in order."""
        path = self.folder / "record.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [Act(**json.loads(line)) for line in lines]

    @property
    def events(self) -> list[str]:
        """The entries of the Application log, in order."""
        path = self.folder / "events.txt"
        return path.read_text().splitlines() if path.exists() else []

    def run(self, script: Script | str, **how: Any) -> RawOutput:
        """Execute a script here; ``how`` as for :func:`run_script`."""
        return run_script(self.engine, script, self.folder, folder=self.folder, **how)

    def call(self, script: Script, function: str = "") -> RawOutput:
        """Publish the script's function on a restricted endpoint, and call it (or another) as a command."""
        module = self.folder / "Published.psm1"
        module.write_text(f"{script.definitions}\nExport-ModuleMember -Function {script.function}\n")
        called = script.model_copy(update={"function": function or script.function})
        return run_script(self.engine, called, self.folder, folder=self.folder, module=module)

    def _write_programs(self) -> None:
        system = self.folder / "windows" / "System32"
        system.mkdir(parents=True)
        for program in PROGRAMS:
            path = system / f"{program}.exe"
            path.write_text(
                f'#!/bin/sh\nexec "{sys.executable}" -S -E "{PROGRAMS_FILE}" "{self.folder}" {program} "$@"\n'
            )
            path.chmod(0o755)


class Served:
    """One engine process that runs scripts as they are asked for, each in a runspace of its own.

    It ends with its standard input, and so with whoever started it, and when a script takes longer than a minute.
    """

    LIMIT_S = 60

    def __init__(self, engine: Path, dialect: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self._process = subprocess.Popen(
            [str(engine), "-NoProfile", "-NonInteractive", "-File", str(ENGINE / "run.ps1")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | ({"PWSH_JSON": dialect} if dialect else {}),
        )

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, request: dict[str, Any]) -> list[str]:
        """The lines that a script makes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watchdog = threading.Timer(self.LIMIT_S, self._process.kill)
        watchdog.start()
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            lines: list[str] = []
            for line in self._process.stdout:
                if line == "end\n":
                    return lines
                lines.append(line.rstrip("\n"))
        finally:
            watchdog.cancel()
        self._errors.seek(0)
        pytest.fail(f"the engine ended while it ran a script: {self._errors.read().decode(errors='replace')}{lines}")

    def close(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()


_SERVED: dict[tuple[Path, str, str], Served] = {}
"""The engines of this test process; starting one for each script would be most of the tests' time. A process remembers
that it once had a constrained runspace, so each language mode has its own."""


@atexit.register
def _close_all() -> None:
    for served in _SERVED.values():
        served.close()


def _served(engine: Path, dialect: str, language: str) -> Served:
    served = _SERVED.get((engine, dialect, language))
    if served is None or not served.alive:
        served = _SERVED[engine, dialect, language] = Served(engine, dialect)
    return served


def run_script(
    engine: Path,
    script: Script | str,
    scratch: Path,
    *,
    folder: Path | None = None,
    json_dialect: str = "",
    language: str = "FullLanguage",
    module: Path | None = None,
    console_page: int = 0,
    alone: bool = False,
) -> RawOutput:
    """Execute a script in a fresh runspace, over a make-believe host or, without ``folder``, over nothing.

    ``alone`` is in a process of its own. ``console_page`` is the code page by which PowerShell reads what programs
    print, where it reads that at all; it belongs to the process, so that is a fresh one, too. With a ``module`` the
    script is not sent: its function is called, with its parameters, on an endpoint that has the module and nothing
    else.
    """
    path = module or scratch / "script.ps1"
    if module is None:
        path.write_text(script if isinstance(script, str) else script.text, newline="")
    request: dict[str, Any] = {"folder": str(folder) if folder else "", "script": str(path), "language": language}
    if module is not None and isinstance(script, Script):
        request |= {"function": script.function, "parameters": script.parameters}
    if alone or console_page:
        served = Served(engine, json_dialect)
        lines = served.ask(request | {"console_page": console_page})
        served.close()
    else:
        lines = _served(engine, json_dialect, language).ask(request)
    streams: dict[str, list[str]] = {"output": [], "error": [], "noise": [], "failed": []}
    for line in lines:
        stream, _, text = line.partition(" ")
        streams[stream].append(base64.b64decode(text).decode())
    assert not streams["noise"], streams["noise"]
    return RawOutput(
        output=tuple(streams["output"]),
        errors=tuple(streams["failed"] + streams["error"]),
        failed=bool(streams["failed"]),
    )


def moved(person: Person, **changes: Any) -> Person:
    """The same person with something changed."""
    return replace(person, **changes)
