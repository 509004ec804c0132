"""What interrupts this process, what it lets its children have, where it finds them, and how many files it may open.

Rules: no child gets a setting of ours (one of them is the password); a program is never taken from the working folder,
whatever ``PATH`` says; what only POSIX has is not needed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

if sys.platform != "win32":
    import resource

INTERRUPTIONS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)
"""The signals by which a person, or another program, wishes this process to end; the last is Windows' Ctrl-Break."""
_OURS = "MPSBRIDGE_"


def environment_of_children(**more: str) -> dict[str, str]:
    """The environment without any variable of mpsbridge's own, and with ``more``."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(_OURS)}
    return kept | more


def find_program(name: str) -> str | None:
    """The full path of a program on ``PATH``, of which only absolute entries count."""
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(folder).is_absolute()]
    return shutil.which(name, path=os.pathsep.join(folders)) if folders else None


def allow_open_files(count: int) -> None:
    """Raise this process' own limit of open files to ``count``, as far as it may; Windows knows no such limit."""
    if sys.platform != "win32":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
