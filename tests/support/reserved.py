"""What a run leaves on a make-believe host while it works there: the lease's file, and the failsafe's task."""

from __future__ import annotations

from typing import Any

from mpsbridge.lab.engines.scripted.failsafe import FAILSAFE_TASK
from mpsbridge.lab.engines.scripted.lease import LEASE_FILE, LEASE_FOLDER, lease_of
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.tasks import Task

__all__ = ["lease_of", "leased", "put_lease", "task_of", "weak_folder"]


def leased(text: str) -> dict[str, Any]:
    """What a world file says of a host with that lease."""
    return {"files": [{"path": LEASE_FILE, "text": text}]}


def weak_folder() -> dict[str, Any]:
    """What it says of one whose standard users may write where leases are."""
    return {"folders": [{"path": LEASE_FOLDER, "writers": ["S-1-5-32-545"]}]}


def put_lease(host: LabHost, text: str | None) -> None:
    """Somebody writes the lease by hand, or takes it away."""
    host.files.write(LEASE_FILE, text)


def task_of(host: LabHost) -> Task | None:
    """The failsafe's task, if it is registered."""
    return host.tasks.get(FAILSAFE_TASK)
