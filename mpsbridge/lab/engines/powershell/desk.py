"""The desk where a PowerShell child asks for what Windows would know or do: a Unix socket, one JSON line each way.

Programs answer with the bytes of the host's tables and act on the world like the programs they are named after; they
know nothing of guards, leases or times, which is what makes the scripts in front of them worth testing.
"""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpsbridge.lab import tables
from mpsbridge.lab.engines import observing
from mpsbridge.lab.engines.observing import MODES, cim, elevated, sees
from mpsbridge.lab.world import LabHost, World

_CURRENT_VERSION = r"Registry::HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion"
_CONTROL = r"Registry::HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control"
_PENDING = {
    "RebootPending": rf"{_CURRENT_VERSION}\Component Based Servicing\RebootPending",
    "RebootRequired": rf"{_CURRENT_VERSION}\WindowsUpdate\Auto Update\RebootRequired",
}
_SWITCHES = {
    "/enable": "enabled",
    "/drain": "drain",
    "/drainuntilrestart": "drain-until-restart",
    "/disable": "disabled",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a program prints, and its exit code."""

    exit: int = 0
    out: bytes = b""
    err: bytes = b""


_DENIED = Said(1, err=b"Error [5]:Access is denied.\r\n")


def quser(host: LabHost, _: list[str]) -> Said:
    """The table of users."""
    table = tables.quser_bytes(host) if sees(host) else b""
    return Said(out=table) if table else Said(1, err=f"{host.facts.words.nobody}\r\n".encode())


def qwinsta(host: LabHost, _: list[str]) -> Said:
    """The table of sessions."""
    if not sees(host):
        return Said(1, err=f"{host.facts.words.no_session}\r\n".encode())
    return Said(out=tables.qwinsta_bytes(host))


def _on_session(act: Callable[[LabHost, int, list[str]], None]) -> Callable[[LabHost, list[str]], Said]:
    """A program whose first argument is a session id. Without one these programs take the caller's own session."""

    def run(host: LabHost, arguments: list[str]) -> Said:
        number = int(arguments[0]) if arguments and arguments[0].isdigit() else host.facts.caller_session
        if not sees(host) or number == 0 or host.session(number) is None:
            return _DENIED
        act(host, number, arguments[1:])
        return Said()

    return run


def wms(host: LabHost, arguments: list[str]) -> Said:
    """The MultiPoint service: ``close ID`` or ``disconnect ID``. No program of Windows'; its cmdlets ask for it."""
    return PROGRAMS["logoff" if arguments[0] == "close" else "tsdiscon"](host, arguments[1:])


def chglogon(host: LabHost, arguments: list[str]) -> Said:
    """The logon mode. The exit code says nothing, as reported of Windows' own."""
    if not elevated(host):
        return _DENIED
    mode = _SWITCHES.get(arguments[0] if arguments else "")
    if mode is not None:
        host.set_logon_mode(mode)
    return Said(1)


def facts(host: LabHost, _: list[str]) -> Said:
    """Everything that the stand-in cmdlets know, as JSON."""
    looked = observing.observe(host, {})
    closed, drain = MODES[host.logon_mode]
    known = {
        "computer": looked["computer"],
        "caller": looked["caller"],
        "admins": looked["admins"],
        "services": list(host.facts.agents),
        "processes": _processes(host),
        "wms": looked["wms"],
        "cim": {
            "Win32_TerminalServiceSetting": {
                "Logons": str(closed),
                "SessionBrokerDrainMode": drain,
                "TerminalServerMode": 1,
            },
            "Win32_TSSessionDirectory": {"SessionDirectoryActive": int(host.facts.broker)},
        },
        "registry": _registry(host),
    }
    return Said(out=json.dumps(known).encode())


def _processes(host: LabHost) -> list[dict[str, Any]]:
    alive = set(host.processes_in())
    boot: dict[str, Any] = {"name": "wininit", "session": 0, "born": cim(host.boot), "sid": "S-1-5-18"}
    found = [boot]
    for session in host.sessions:
        if session.id in alive:
            domain, _, user = session.account.rpartition("\\")
            system = {"session": session.id, "born": cim(session.born)}
            found.append({"name": "winlogon", "sid": "S-1-5-18", **system})
            found.append({"name": "explorer", "sid": session.sid, "user": user, "domain": domain, **system})
    return found


def _registry(host: LabHost) -> dict[str, Any]:
    patterns = host.facts.patterns
    manager: dict[str, Any] = {}
    if "PendingFileRenameOperations" in host.facts.pending_reboot:
        manager["PendingFileRenameOperations"] = ["x"]
    keys: dict[str, Any] = {
        rf"{_CONTROL}\Nls\CodePage": {"OEMCP": str(host.facts.oem), "ACP": str(host.facts.ansi)},
        rf"{_CONTROL}\Session Manager": manager,
        r"Registry::HKEY_CURRENT_USER\Control Panel\International": {
            "sShortDate": patterns.short_date,
            "sShortTime": patterns.short_time,
            "s1159": patterns.am,
            "s2359": patterns.pm,
            "LocaleName": host.facts.culture,
        },
    }
    for session in host.sessions:
        key = rf"{_CURRENT_VERSION}\Authentication\LogonUI\SessionData\{session.id}"
        keys[key] = {"LoggedOnUserSID": session.sid, "LoggedOnSAMUser": session.account}
    keys |= {key: {} for reason, key in _PENDING.items() if reason in host.facts.pending_reboot}
    return keys


def _show(host: LabHost, number: int, rest: list[str]) -> None:
    host.show(number, next((each for each in rest if not each.startswith("/")), ""))


PROGRAMS: dict[str, Callable[[LabHost, list[str]], Said]] = {
    "quser": quser,
    "qwinsta": qwinsta,
    "msg": _on_session(_show),
    "logoff": _on_session(lambda host, number, _: host.log_off(number)),
    "tsdiscon": _on_session(lambda host, number, _: host.disconnect(number)),
    "chglogon": chglogon,
    "wms": wms,
}
"""What scripts start from System32."""


class Desk:
    """Answers children until it is closed. ``path`` is the socket."""

    def __init__(self, world: World, folder: Path) -> None:
        self.path = folder / "desk"
        self._world = world
        self._server = socketserver.ThreadingUnixStreamServer(str(self.path), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="lab-desk", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def ask(self, question: dict[str, Any]) -> Said:
        """What one program says."""
        program = facts if question["program"] == "facts" else PROGRAMS[question["program"]]
        with self._world.changing() as hosts:
            return program(hosts[question["host"]], list(question["arguments"]))

    def _handler(self) -> type[socketserver.StreamRequestHandler]:
        desk = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                said = desk.ask(json.loads(self.rfile.readline()))
                answer = {
                    "exit": said.exit,
                    "out": base64.b64encode(said.out).decode(),
                    "err": base64.b64encode(said.err).decode(),
                }
                self.wfile.write(json.dumps(answer).encode() + b"\n")

        return Handler
