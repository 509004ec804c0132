"""Which PowerShell the engine starts, and what is wrong with one that cannot be used.

Three places are looked at, in this order: ``MPSBRIDGE_PWSH``, ``PATH`` (``pwsh``, then ``powershell``), and
``shared/pwsh/pwsh``, where ``shared`` is ``MPSBRIDGE_SHARED`` or a folder beside the checkout. The first that names
one decides: a PowerShell that was asked for and does not work is an error, never a reason to take another.
"""

from __future__ import annotations

import os
from pathlib import Path

from mpsbridge.errors import SettingsError
from mpsbridge.processes import find_program

OLDEST = (7, 0)
"""Classes, Unix sockets and .NET's own time zones are needed in the child; Windows PowerShell has not all of them."""

PLACES = "it is sought in MPSBRIDGE_PWSH, on PATH (pwsh, powershell), and as shared/pwsh/pwsh beside the checkout"


def unusable(program: Path | None, why: str) -> SettingsError:
    """The one sentence for a PowerShell that is missing or cannot be used."""
    named = f"{program} {why}" if program else why
    return SettingsError(f"the engine 'powershell' needs PowerShell {OLDEST[0]} or newer, and {named}; {PLACES}")


def find_powershell() -> Path:
    """The PowerShell to start, as a full path. Raises ``SettingsError``."""
    program = _named() or _on_path() or _shared()
    if program is None:
        raise unusable(None, "there is none")
    if not program.is_file():
        raise unusable(program, "is not there")
    if not os.access(program, os.X_OK):
        raise unusable(program, "is not executable")
    return program.resolve()


def _named() -> Path | None:
    named = os.environ.get("MPSBRIDGE_PWSH")
    return Path(named) if named else None


def _on_path() -> Path | None:
    found = find_program("pwsh") or find_program("powershell")
    return Path(found) if found else None


def _shared() -> Path | None:
    beside = Path(__file__).resolve().parents[4].parent / "shared"
    program = Path(os.environ.get("MPSBRIDGE_SHARED") or beside) / "pwsh" / "pwsh"
    return program if program.exists() else None
