"""The lease on a make-believe host: a file, in a folder that others than administrators must not be able to write."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from mpsbridge.lab.windows.host import LabHost

LEASE_FOLDER = r"C:\Program Files\mpsbridge"
LEASE_FILE = rf"{LEASE_FOLDER}\lease.json"
LEASE_FILE_BYTES = 256 * 1024
"""The scripts read no longer file."""
UNREADABLE_FOR = timedelta(days=1)
"""So long after it was written, a lease that cannot be read holds."""


def lease_of(host: LabHost) -> str | None:
    """The text of the lease file, if there is one."""
    return host.files.read(LEASE_FILE)


def doubt_about_folder(host: LabHost) -> str | None:
    """Why what lies in the lease's folder proves nothing (W22)."""
    writers = host.files.access(LEASE_FOLDER).writers
    return f"{LEASE_FOLDER} may be written by {', '.join(writers)}" if writers else None


def believed_lease(host: LabHost, problems: list[str]) -> str | None:
    """The lease's text; empty where it is too long, or others than administrators may have written it.

    Then it is held, but nothing in it counts; ``problems`` gets the reason.
    """
    lease = lease_of(host)
    if lease is None:
        return None
    if len(lease.encode("utf-8", "replace")) > LEASE_FILE_BYTES:
        doubt = "the lease cannot be read: it is longer than 256 KB"
    elif writable := doubt_about_folder(host):
        doubt = f"the lease is not believed: {writable}; only SYSTEM and Administrators should write there"
    else:
        return lease
    if doubt not in problems:
        problems.append(doubt)
    return ""


def is_over(host: LabHost) -> bool:
    """Whether no run holds the host any more, as the failsafe sees it. A hold without an end is never over."""
    lease, written = lease_of(host), host.files.written(LEASE_FILE)
    if lease is None or written is None:
        return True
    try:
        facts = json.loads(lease)
        if facts.get("schema"):
            return facts["expires"] is not None and str(facts["expires"]) < _digits(host.now())
    except (AttributeError, KeyError, ValueError):
        pass  # it cannot be read
    return host.now() - written > UNREADABLE_FOR


def _digits(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S.%f")
