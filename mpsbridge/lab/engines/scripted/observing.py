"""What the reading calls tell of a make-believe host: the results of ``observe``, ``stations`` and ``logons``.

Who asks makes a difference, as on Windows: only an elevated caller reads birth times (and the boot identity, which is
one), an account without rights sees no table at all. Where Windows' behaviour is not known, a value is given.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from mpsbridge.lab.engines.scripted.lease import believed_lease
from mpsbridge.lab.windows.accounts import NO_GROUP, administrators, caller, elevated, noted_at, noted_groups, sees
from mpsbridge.lab.windows.cim import MODES, cim
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.multipoint import multipoint
from mpsbridge.lab.windows.processes import alive, births
from mpsbridge.lab.windows.programs import ProgramResult, quser, qwinsta
from mpsbridge.lab.windows.sessions import LabSession

NO_BOOT = "boot identity: this account cannot tell when the host started"

Arguments = dict[str, Any]
Result = dict[str, Any]
Problems = list[str]
"""What a call could not find out, as sentences; it adds to them."""

_NO_MULTIPOINT = "Access is denied."
NO_SID = "The directory property cannot be found in the cache."


class Refusal(Exception):
    """The script as a whole does not do its work: ``ok`` is false."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def assert_program(host: LabHost, name: str) -> None:
    """Refuse before anything is done where the program is not there."""
    if name in host.facts.lacks:
        raise Refusal("untouched", f"this host has no {name}; nothing was done")


def look(host: LabHost, _: Arguments, problems: Problems) -> Result:
    """The result of ``Get-MpsbridgeLook``: what every look tells."""
    facts, witness = host.facts, host.processes_in()
    if not elevated(host):
        problems.append(NO_BOOT)
    return {
        "computer": facts.computer,
        "now": cim(host.now()),
        "utc_offset_min": facts.utc_offset_min,
        "offset_until": None,
        "boot": boot(host),
        "quser": program_answer(quser(host, [])),
        "qwinsta": program_answer(qwinsta(host, [])),
        "oem": facts.oem,
        "ansi": facts.ansi,
        "births": [{"id": number, "born": born} for number, born in births(host).items()],
        "witness": {"before": witness, "after": witness},
        "logons": logons(host),
        "sets_logons": "chglogon.exe" not in facts.lacks,
        "caller": caller(host),
        "lease": believed_lease(host, problems),
        "unready": host.unready(),
    }


def observe(host: LabHost, arguments: Arguments, problems: Problems) -> Result:
    """The result of ``Get-MpsbridgeObservation``."""
    facts = host.facts
    seen = look(host, arguments, problems)
    if facts.generation != "none" and not sees(host):
        problems.append(f"MultiPoint: {_NO_MULTIPOINT}")
    wms = multipoint(host)
    return seen | {
        "patterns": {
            "short_date": facts.patterns.short_date,
            "short_time": facts.patterns.short_time,
            "am": facts.patterns.am,
            "pm": facts.patterns.pm,
            "locale": facts.culture,
        },
        "owners": [
            {"id": each.id, "account": each.account, "sid": each.sid, **_noted_groups(host, each)}
            for each in alive(host)
            if not each.anonymous
        ],
        "admins": _members(host, problems),
        "wms": wms,
        "disk_protection": wms["disk_protection"] if wms else None,
        "running": _running(host, json.loads(arguments.get("programs", '{"programs":[]}'))["programs"]),
        "broker": {"active": facts.broker, "agents": list(facts.agents)},
        "pending_reboot": list(facts.pending_reboot),
        "powershell": {"version": facts.powershell, "language": "FullLanguage", "bits": 64},
    }


def boot(host: LabHost) -> str | None:
    """The boot identity, where this caller may read it."""
    return cim(host.boot) if elevated(host) else None


def _running(host: LabHost, programs: list[str]) -> list[dict[str, Any]]:
    return [
        {"id": each.id, "name": name}
        for each in sorted(alive(host), key=lambda session: session.id)
        for name in sorted({program.lower() for program in each.programs})
        if name in programs
    ]


def program_answer(printed: ProgramResult) -> dict[str, Any]:
    """What a program has printed, as scripts send it home."""
    return {
        "exit": printed.exit,
        "out": base64.b64encode(printed.out).decode(),
        "err": base64.b64encode(printed.err).decode(),
        "timed_out": False,
        "problem": None,
    }


def _members(host: LabHost, problems: Problems) -> list[dict[str, Any]] | None:
    if host.facts.administrators == "unreadable":
        problems.append(f'administrators: Exception calling "Invoke" with "1" argument(s): "{NO_GROUP}"')
        return None
    found = administrators(host)
    failed = 'administrators: a member cannot be read: Exception calling "InvokeMember" with "5" argument(s): "{}"'
    problems += [failed.format(NO_SID) for _, sid, _ in found if sid is None]
    return [{"sid": sid, "kind": kind.lower() if sid else "unknown"} for _, sid, kind in found]


def _noted_groups(host: LabHost, session: LabSession) -> dict[str, Any]:
    noted = noted_groups(host, session) if elevated(host) else None
    if noted is None or host.facts.administrators == "unreadable":
        return {"groups": None, "groups_at": None}
    theirs = [sid for sid in ("S-1-5-32-544", *(sid for _, sid, _ in administrators(host))) if sid in noted]
    return {"groups": theirs, "groups_at": cim(noted_at(session))}


def stations(host: LabHost, _: Arguments, __: Problems) -> Result:
    """The result of ``Get-MpsbridgeStation``."""
    if host.facts.generation != "none" and not sees(host):
        raise Refusal("denied", _NO_MULTIPOINT)
    return {"wms": multipoint(host)}


def logons(host: LabHost) -> Result:
    """The logon mode, and the two properties that it is read from."""
    closed, drain = MODES[host.logon_mode]
    return {"mode": host.logon_mode, "logons": closed, "drain": drain, "terminal_server_mode": 1}


def read_logons(host: LabHost, _: Arguments, __: Problems) -> Result:
    """The result of ``Get-MpsbridgeLogonMode``."""
    return logons(host)
