"""What a make-believe host tells of Windows itself: the result of ``evidence``.

What no world file says is the lab's own, and nothing here is evidence about a real host.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mpsbridge.lab.engines.scripted.lease import LEASE_FOLDER
from mpsbridge.lab.engines.scripted.observing import Arguments, Problems, Result, program_answer
from mpsbridge.lab.windows.cim import cim_instance
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.programs import Program, chglogon, quser, qwinsta
from mpsbridge.lab.windows.registry import registry_key
from mpsbridge.lab.windows.services import services

_MACHINE = r"HKEY_LOCAL_MACHINE"
_HIVES = ("HKEY_CURRENT_USER", r"HKEY_USERS\.DEFAULT")
_NOBODY = "mpsbridge-nobody"


class _Failed(Exception):
    """A question that has no value: PowerShell's id and category of the error, and its words."""


def evidence(host: LabHost, _: Arguments, __: Problems) -> Result:
    """The result of ``Get-MpsbridgeEvidence``."""
    windows, control = rf"{_MACHINE}\SOFTWARE\Microsoft\Windows NT", rf"{_MACHINE}\SYSTEM\CurrentControlSet\Control"
    version = "ProductName|EditionID|InstallationType|CurrentVersion|CurrentBuild|UBR"
    patterns = "LocaleName|sShortDate|sShortTime|s1159|s2359"
    asked: dict[str, Callable[[], Any]] = {
        "windows": lambda: _values(host, rf"{windows}\CurrentVersion", version),
        "powershell": lambda: {"version": host.facts.powershell, "language": "FullLanguage"},
        "code-pages": lambda: _values(host, rf"{control}\Nls\CodePage", "OEMCP|ACP|MACCP") | {"console": 65001},
        "language of Windows": lambda: "",
    }
    for hive in _HIVES:
        key = rf"{hive}\Control Panel\International"
        asked[f"patterns in {hive}"] = partial(_values, host, key, patterns)
    asked |= {
        "services": lambda: {name: state for name, state in services(host).items() if name not in host.facts.agents},
        "multipoint-module": lambda: {"MultiPoint": "0.0"} if host.facts.generation != "none" else {},
        "command that is not there": lambda: _no_command("Get-NothingOfThatName"),
        "module that is not there": lambda: _no_module("NothingOfThatName"),
        "quser.exe of nobody": lambda: _program(host, quser, "quser.exe", _NOBODY),
        "qwinsta.exe of nobody": lambda: _program(host, qwinsta, "qwinsta.exe", _NOBODY),
        "chglogon.exe /query": lambda: _program(host, chglogon, "chglogon.exe", "/query"),
        "rights in Program Files": lambda: _rights(host),
        "logon setting": lambda: _setting(host),
    }
    return {"steps": [_step(name, read) for name, read in asked.items()]}


def _step(name: str, read: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"step": name, "ms": 0, "value": read(), "failure": None}
    except _Failed as failed:
        error_id, category, message = failed.args
        failure = {"id": error_id, "category": category, "message": message}
        return {"step": name, "ms": 0, "value": None, "failure": failure}


def _values(host: LabHost, key: str, names: str) -> dict[str, str | None]:
    found = registry_key(host, f"Registry::{key}") or {}
    return {name: found.get(name) for name in names.split("|")}


def _no_command(name: str) -> None:
    raise _Failed("CommandNotFoundException", "ObjectNotFound", f"The term '{name}' is not recognized as a name.")


def _no_module(name: str) -> None:
    error_id = "Modules_ModuleNotFound,Microsoft.PowerShell.Commands.ImportModuleCommand"
    raise _Failed(error_id, "ResourceUnavailable", f"The specified module '{name}' was not loaded.")


def _program(host: LabHost, program: Program, name: str, argument: str) -> dict[str, Any]:
    if name in host.facts.lacks:
        raise _Failed("@{kind=missing-command}", "OperationStopped", f"this host has no {name}")
    return program_answer(program(host, [argument]))


def _rights(host: LabHost) -> dict[str, Any]:
    access = host.files.access(LEASE_FOLDER.rpartition("\\")[0])
    rules = [{"sid": each.sid, "rights": each.rights, "denies": each.deny} for each in access.entries]
    return {"owner_sid": access.owner, "rules": rules}


def _setting(host: LabHost) -> dict[str, str]:
    found = cim_instance(host, "Win32_TerminalServiceSetting") or {}
    names = {"logons": "Logons", "drain": "SessionBrokerDrainMode", "kind": "TerminalServerMode"}
    return {name: str(found.get(each, "")) for name, each in names.items()}
