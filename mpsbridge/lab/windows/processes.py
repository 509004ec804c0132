"""The processes that matter, and when they began, as far as the caller may read it."""

from __future__ import annotations

from typing import Any

from mpsbridge.lab.windows.accounts import elevated
from mpsbridge.lab.windows.cim import cim
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.sessions import LabSession

_WINDOW_MANAGER = ("Window Manager\\DWM-1", "S-1-5-90-0-1")


def births(host: LabHost) -> dict[int, str]:
    """When each session's ``winlogon`` was created, where this caller may read it."""
    readable = [each for each in alive(host) if each.winlogon and not each.unreadable]
    return {each.id: cim(each.born) for each in readable} if elevated(host) else {}


def alive(host: LabHost) -> list[LabSession]:
    """The sessions of which a row or a process is left, by id."""
    ids = set(host.processes_in())
    return sorted((each for each in host.sessions if each.id in ids), key=lambda each: each.id)


def processes(host: LabHost) -> list[dict[str, Any]]:
    """The processes that matter: ``wininit``, and of each session the system's own and its user's.

    ``born`` is when one began, as CIM tells it; of a ``sealed`` one nothing else does.
    """
    system = ("NT AUTHORITY\\SYSTEM", "S-1-5-18")
    found = [_process("wininit", 0, cim(host.boot), *system, sealed=True)]
    for session in alive(host):
        users = ("", "") if session.anonymous else (session.account, session.sid)
        running = [("winlogon", *system)] * session.winlogon + [("csrss", *system), ("dwm", *_WINDOW_MANAGER)]
        running += [(name, *users) for name in (*("explorer",) * session.desktop, *session.programs)]
        born = None if session.unreadable else cim(session.born)
        found += [_process(name, session.id, born, *owner, sealed=session.sealed) for name, *owner in running]
    if not elevated(host):
        return [{"name": each["name"], "session": each["session"]} for each in found]
    return found


def _process(name: str, session: int, born: str | None, account: str, sid: str, *, sealed: bool) -> dict[str, Any]:
    domain, _, user = account.rpartition("\\")
    return {
        "name": name,
        "session": session,
        "born": born,
        "sealed": sealed,
        "domain": domain,
        "user": user,
        "sid": sid,
    }
