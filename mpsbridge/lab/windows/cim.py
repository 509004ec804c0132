"""What CIM tells of a host's settings, and how it writes times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mpsbridge.lab.windows.host import LabHost

MODES = {"enabled": (0, 0), "drain-until-restart": (0, 1), "drain": (0, 2), "disabled": (1, 0)}
"""Logon mode -> ``Logons``, ``SessionBrokerDrainMode`` of ``Win32_TerminalServiceSetting``."""


def cim(moment: datetime) -> str:
    """A CIM datetime in UTC."""
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S.%f") + "+000"


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
