"""The registry of a host, as far as anything is known to be in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from mpsbridge.lab.windows.accounts import elevated, noted_at, noted_groups
from mpsbridge.lab.windows.facts import HostFacts
from mpsbridge.lab.windows.host import LabHost

_CURRENT_VERSION = r"Registry::HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion"
_WINDOWS_NT = r"Registry::HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
_CONTROL = r"Registry::HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control"
_INTERNATIONAL = tuple(
    rf"Registry::{hive}\Control Panel\International" for hive in ("HKEY_CURRENT_USER", r"HKEY_USERS\.DEFAULT")
)
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


def registry_key(host: LabHost, key: str) -> dict[str, Any] | None:
    """The values of a registry key; ``None`` where there is no such key."""
    facts, patterns = host.facts, host.facts.patterns
    if key in _INTERNATIONAL:
        return {
            "sShortDate": patterns.short_date,
            "sShortTime": patterns.short_time,
            "s1159": patterns.am,
            "s2359": patterns.pm,
            "LocaleName": facts.culture,
        }
    if key == _WINDOWS_NT:
        return _version(facts)
    if key == rf"{_CONTROL}\Nls\CodePage":
        return {"OEMCP": str(facts.oem), "ACP": str(facts.ansi)}
    if key == rf"{_CONTROL}\Session Manager":
        renames = "PendingFileRenameOperations"
        return {renames: ["\\??\\C:\\Windows\\Temp\\old.dll"]} if renames in facts.pending_reboot else {}
    if key.startswith(_SESSION_DATA):
        number = key.removeprefix(_SESSION_DATA)
        session = next((each for each in host.sessions if str(each.id) == number and not each.anonymous), None)
        return {"LoggedOnUserSID": session.sid, "LoggedOnSAMUser": session.account} if session else None
    if noted := _GROUPS.fullmatch(key):
        session = next((each for each in host.sessions if each.sid in noted.groups()), None)
        groups = noted_groups(host, session) if session and elevated(host) else None
        if session is None or groups is None:
            return None
        return (
            {f"Group{place}": sid for place, sid in enumerate(groups)}
            if noted["user"]
            else _filetime(noted_at(session))
        )
    if key == rf"{_CURRENT_VERSION}\Component Based Servicing\RebootInProgress":
        return {} if "RebootInProgress" in host.unready() else None
    return {} if _PENDING.get(key) in facts.pending_reboot else None


def _version(facts: HostFacts) -> dict[str, str]:
    """Which Windows it is: the build is that of its PowerShell, and the name the lab's own."""
    build = (*facts.powershell.split("."), "", "", "")[2]
    return {
        "ProductName": "Windows of a make-believe host",
        "EditionID": "ServerStandard",
        "InstallationType": "Server",
        "CurrentVersion": "6.3",
        "CurrentBuild": build,
        "UBR": "0",
    }


def _filetime(moment: datetime) -> dict[str, int]:
    """When Group Policy was applied, as the registry has it: two halves, of which PowerShell sees signed numbers."""
    ticks = (moment - datetime(1601, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 10
    low = ticks & 0xFFFFFFFF
    return {"StartTimeHi": ticks >> 32, "StartTimeLo": low - (1 << 32) if low >= 1 << 31 else low}
