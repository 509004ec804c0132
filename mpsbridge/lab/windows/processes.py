"""The processes that matter, and when they began, as far as the caller may read it."""

from __future__ import annotations

from typing import Any

from mpsbridge.lab.windows.accounts import elevated
from mpsbridge.lab.windows.cim import cim
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.sessions import LabSession


def births(host: LabHost) -> dict[int, str]:
    """When each session's ``winlogon`` was created, where this caller may read it."""
    return {each.id: cim(each.born) for each in alive(host)} if elevated(host) else {}


def alive(host: LabHost) -> list[LabSession]:
    """The sessions of which a row or a process is left, by id."""
    ids = set(host.processes_in())
    return sorted((each for each in host.sessions if each.id in ids), key=lambda each: each.id)


def processes(host: LabHost) -> list[dict[str, Any]]:
    """The processes that matter: ``wininit``, and of each session its ``winlogon`` and ``explorer``."""
    found = [_process("wininit", 0, cim(host.boot), "NT AUTHORITY\\SYSTEM", "S-1-5-18")]
    alive = set(host.processes_in())
    for session in host.sessions:
        if session.id in alive:
            born = cim(session.born)
            found.append(_process("winlogon", session.id, born, "NT AUTHORITY\\SYSTEM", "S-1-5-18"))
            found += [
                _process(name, session.id, born, session.account, session.sid)
                for name in ("explorer", *session.programs)
            ]
    if not elevated(host):
        return [{"name": each["name"], "session": each["session"]} for each in found]
    return found


def _process(name: str, session: int, born: str, account: str, sid: str) -> dict[str, Any]:
    domain, _, user = account.rpartition("\\")
    return {"name": name, "session": session, "born": born, "domain": domain, "user": user, "sid": sid}
