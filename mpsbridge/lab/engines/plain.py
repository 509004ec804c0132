"""The one program that people and other tools call by hand: ``quser``, as a command shell and as PowerShell give it.

Nothing else is run. What is a call of it, and what it prints, stands here once for both ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mpsbridge.lab import tables
from mpsbridge.lab.engines.contract import Answer, Terminating
from mpsbridge.lab.engines.observing import sees
from mpsbridge.lab.world import LabHost

_QUSER = re.compile(r"(?:quser|query(?:\.exe)? +user)(?:\.exe)?", re.IGNORECASE)
_EXIT = re.compile(r"(?<!\s)\s++exit \$LASTEXITCODE\s*+$", re.IGNORECASE)
"""What Ansible puts behind a command."""


@dataclass(frozen=True, slots=True)
class Printed:
    """What a program printed, as bytes of the host's OEM page, and its exit code."""

    out: bytes
    err: bytes
    exit_code: int


def calls_quser(text: str) -> bool:
    """Whether a command line, or a script, is nothing but a call of ``quser``."""
    return _QUSER.fullmatch(_EXIT.sub("", text).strip()) is not None


def quser(host: LabHost) -> Printed:
    """Run it. Nobody on, and nothing one may see, read the same: exit 1, and a sentence on standard error."""
    table = tables.quser_bytes(host) if sees(host) else b""
    if table:
        return Printed(table, b"", 0)
    return Printed(b"", host.facts.words.nobody.encode("ascii") + b"\r\n", 1)


def quser_in_powershell(host: LabHost) -> Answer:
    """The same in a runspace, which makes each line an object of its own. Raises ``Terminating`` where it failed.

    (Windows emits an error record there and lets the pipeline go on; nothing stands behind this one.)
    """
    if host.facts.script_s:
        yield host.facts.script_s
    printed, page = quser(host), f"cp{host.facts.oem}"
    if printed.exit_code:
        raise Terminating(printed.err.decode(page).strip(), error_id="NativeCommandError", reason="RemoteException")
    return tuple(printed.out.decode(page).splitlines())
