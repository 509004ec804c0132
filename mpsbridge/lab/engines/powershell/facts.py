"""What the cmdlets inside the children know of a make-believe host: processes, CIM, registry, services, MultiPoint.

One question, one answer in JSON, so that nothing is read that nobody asked for. Who asks makes a difference, as on
Windows: only an elevated caller reads when a process began and whose it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

from mpsbridge.clock import SystemClock
from mpsbridge.lab.engines import observing
from mpsbridge.lab.engines.observing import MODES, cim, elevated, sees
from mpsbridge.lab.engines.powershell.desk import Said
from mpsbridge.lab.world import LabHost

_CURRENT_VERSION = r"Registry::HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion"
_CONTROL = r"Registry::HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control"
_INTERNATIONAL = r"Registry::HKEY_CURRENT_USER\Control Panel\International"
_SESSION_DATA = rf"{_CURRENT_VERSION}\Authentication\LogonUI\SessionData" + "\\"
_PENDING = {
    rf"{_CURRENT_VERSION}\Component Based Servicing\RebootPending": "RebootPending",
    rf"{_CURRENT_VERSION}\WindowsUpdate\Auto Update\RebootRequired": "RebootRequired",
}
_POLICY = re.escape(r"SOFTWARE\Microsoft\Windows\CurrentVersion\Group Policy") + r"\\"
_GROUPS = re.compile(
    rf"Registry::(?:HKEY_USERS\\(?P<user>[S0-9-]+)\\{_POLICY}GroupMembership|"
    rf"HKEY_LOCAL_MACHINE\\{_POLICY}State\\(?P<state>[S0-9-]+)\\Extension-List\\{{[0-]+}})"
)
_TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
_DIGITS = re.compile(r"\$found, \$set = ([0-3]), ([0-3]);")
_ABOUT = re.compile(r"mpsbridge run (\S+) of (.*?) has set logons", re.DOTALL)
_TASK_MODES = ("enabled", "drain-until-restart", "drain", "disabled")
_MODE_WORDS = {"Console": "ConsoleMode", "MultiStation": "Normal"}
_NO_LOG = "The source was not found, but some or all event logs could not be searched."


class NotPermitted(Exception):
    """This caller may not ask that, or do it; the text is what the cmdlet says."""


def processes(host: LabHost, _: str) -> list[dict[str, Any]]:
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


def cim_instance(host: LabHost, name: str) -> dict[str, Any] | None:
    """The one instance of a CIM class, by the class's name."""
    closed, drain = MODES[host.logon_mode]
    classes: dict[str, dict[str, Any]] = {
        "Win32_TerminalServiceSetting": {
            "Logons": str(closed),
            "SessionBrokerDrainMode": drain,
            "TerminalServerMode": 1,
        },
        "Win32_TSSessionDirectory": {"SessionDirectoryActive": int(host.facts.broker)},
    }
    return classes.get(name)


def registry_key(host: LabHost, key: str) -> dict[str, Any] | None:
    """The values of a registry key; ``None`` where there is no such key."""
    facts, patterns = host.facts, host.facts.patterns
    if key == _INTERNATIONAL:
        return {
            "sShortDate": patterns.short_date,
            "sShortTime": patterns.short_time,
            "s1159": patterns.am,
            "s2359": patterns.pm,
            "LocaleName": facts.culture,
        }
    if key == rf"{_CONTROL}\Nls\CodePage":
        return {"OEMCP": str(facts.oem), "ACP": str(facts.ansi)}
    if key == rf"{_CONTROL}\Session Manager":
        renames = "PendingFileRenameOperations"
        return {renames: ["\\??\\C:\\Windows\\Temp\\old.dll"]} if renames in facts.pending_reboot else {}
    if key.startswith(_SESSION_DATA):
        number = key.removeprefix(_SESSION_DATA)
        session = next((each for each in host.sessions if str(each.id) == number), None)
        return {"LoggedOnUserSID": session.sid, "LoggedOnSAMUser": session.account} if session else None
    if noted := _GROUPS.fullmatch(key):
        session = next((each for each in host.sessions if each.sid in noted.groups()), None)
        groups = observing.noted_groups(host, session) if session and elevated(host) else None
        if session is None or groups is None:
            return None
        return {f"Group{place}": sid for place, sid in enumerate(groups)} if noted["user"] else _filetime(session.born)
    if key == rf"{_CURRENT_VERSION}\Component Based Servicing\RebootInProgress":
        return {} if "RebootInProgress" in host.unready() else None
    return {} if _PENDING.get(key) in facts.pending_reboot else None


def _filetime(moment: datetime) -> dict[str, int]:
    """When Group Policy was applied, as the registry has it: two halves, of which PowerShell sees signed numbers."""
    ticks = (moment - datetime(1601, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 10
    low = ticks & 0xFFFFFFFF
    return {"StartTimeHi": ticks >> 32, "StartTimeLo": low - (1 << 32) if low >= 1 << 31 else low}


def multipoint(host: LabHost, _: str) -> dict[str, Any]:
    """Mode, sessions and stations, as MultiPoint's own service tells them to an administrator."""
    found = observing.multipoint(host) if sees(host) else None
    if found is None:
        raise NotPermitted("Access is denied.")
    return found


def caller(host: LabHost, _: str) -> dict[str, Any]:
    """Who has signed in."""
    return observing.caller(host)


def clock(host: LabHost, _: str) -> float:
    """How many seconds the host's clock is ahead of the machine's, by which its scripts run."""
    return (host.now() - SystemClock().now()).total_seconds()


def administrators(host: LabHost, _: str) -> list[dict[str, str | None]]:
    """The members of Administrators, as the directory of accounts tells their properties."""
    if host.facts.administrators == "unreadable":
        raise NotPermitted(observing.NO_GROUP)
    found = observing.administrators(host)
    return [{"Name": name, "objectSid": sid, "Class": kind} for name, sid, kind in found]


def services(host: LabHost, _: str) -> list[dict[str, str]]:
    """The services that are there, and whether they run."""
    desktop = "Stopped" if "TermService" in host.unready() else "Running"
    agents = [{"Name": name, "Status": "Running"} for name in host.facts.agents]
    return [{"Name": "TermService", "Status": desktop}, *agents]


def close(host: LabHost, number: str) -> None:
    """MultiPoint's own way to end a session; it does not wait."""
    _permit(host, number)
    host.log_off(int(number))


def disconnect(host: LabHost, number: str) -> None:
    """MultiPoint's own way to suspend a session."""
    _permit(host, number)
    host.disconnect(int(number))


def _permit(host: LabHost, number: str) -> None:
    session = host.session(int(number))
    if not sees(host) or session is None or session.protected:
        raise NotPermitted("Access is denied.")


def write_event(host: LabHost, text: str) -> None:
    """One entry in the Application log; only an administrator may create the source that it needs."""
    if not elevated(host):
        raise NotPermitted(_NO_LOG)
    host.events.append(text)


def switch(host: LabHost, wanted: str) -> None:
    """MultiPoint's own way to switch the mode: ``Console``, ``MultiStation``, or ``other`` for the one it is not."""
    if not elevated(host):
        raise NotPermitted("Access is denied.")
    if wanted == "other":
        wanted = "Console" if host.mode == _MODE_WORDS["MultiStation"] else "MultiStation"
    host.switch_mode(_MODE_WORDS[wanted])


def register_task(host: LabHost, xml: str) -> None:
    """Register the failsafe's task from its XML; no other task is known here."""
    if not elevated(host):
        raise NotPermitted("Access is denied.")
    root = ET.fromstring(xml)  # noqa: S314 - from a script that this lab runs, and never from elsewhere
    command = root.findtext(f".//{_TASK}Arguments") or ""
    digits = _DIGITS.search(command)
    about = _ABOUT.match(root.findtext(f".//{_TASK}Description") or "")
    if digits is None or about is None:
        raise NotPermitted("The lab plays no task but the failsafe.")
    found, to = (_TASK_MODES[int(digit)] for digit in digits.groups())
    host.register_failsafe(found, to, run=about[1], owner=about[2]).command = command


def task(host: LabHost, _: str) -> dict[str, str] | None:
    """The failsafe's task, if there is one."""
    if not elevated(host):
        raise NotPermitted("Access is denied.")
    if host.failsafe is None:
        return None
    wait_s = host.failsafe.due - host.world.clock.monotonic()
    return {"arguments": host.failsafe.command, "next": cim(host.now() + timedelta(seconds=wait_s))}


def writers(host: LabHost, _: str) -> list[str]:
    """SIDs of those who, beside administrators, may write where the lease is."""
    return [] if host.facts.lease_folder == "ours" else ["S-1-5-32-545"]


def unregister_task(host: LabHost, _: str) -> None:
    """Remove that task."""
    if not elevated(host):
        raise NotPermitted("Access is denied.")
    host.remove_failsafe()


_QUESTIONS: dict[str, Callable[[LabHost, str], Any]] = {
    "administrators": administrators,
    "caller": caller,
    "cim": cim_instance,
    "clock": clock,
    "close": close,
    "disconnect": disconnect,
    "event": write_event,
    "key": registry_key,
    "multipoint": multipoint,
    "processes": processes,
    "register-task": register_task,
    "services": services,
    "switch": switch,
    "task": task,
    "unregister-task": unregister_task,
    "writers": writers,
}


def tell(host: LabHost, arguments: list[str]) -> Said:
    """Answer ``QUESTION KEY``: JSON, or exit code 5 and what is wrong."""
    question, key = arguments
    try:
        return Said(out=json.dumps(_QUESTIONS[question](host, key)).encode())
    except NotPermitted as error:
        return Said(5, err=str(error).encode())
