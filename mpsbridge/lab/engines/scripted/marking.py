"""The marks of notices in a host's lease: the sending script writes them, so that no notice is delivered twice.

``sending`` before a box, ``delivered`` or ``failed`` after it. Only the run that holds the lease may; what is marked
and did not fail is not sent again.
"""

from __future__ import annotations

import json
from typing import Any

from mpsbridge.lab.engines.scripted.guard import Guard, Standing
from mpsbridge.lab.engines.scripted.lease import LEASE_FILE, believed_lease, lease_of
from mpsbridge.lab.engines.scripted.observing import Problems
from mpsbridge.lab.windows.cim import cim
from mpsbridge.lab.windows.host import LabHost

LEASE_LIMIT = 250_000


def begin(host: LabHost, guard: Guard, notice: str, run: str, problems: Problems) -> Standing | None:
    """Mark that the box is being sent, or say why it may not be."""
    lease = _lease(believed_lease(host, problems), run)
    if lease is None:
        return "refused", "this run has no lease here in which the notice could be marked"
    before = next((each for each in lease["notices"] if _is(each, guard, notice)), None)
    if before is not None and before["mark"] != "failed":
        known = before["mark"] == "delivered"
        return (
            ("kept", "this notice was sent before") if known else ("unknown", "this notice may have been sent before")
        )
    if not _mark(host, lease, guard, notice, "sending"):
        return "refused", "the lease holds no more marks of notices"
    return None


def finish(host: LabHost, guard: Guard, notice: str, run: str, *, sent: bool) -> None:
    """Mark what became of it."""
    lease = _lease(lease_of(host), run)
    if lease is not None:
        _mark(host, lease, guard, notice, "delivered" if sent else "failed")


def _lease(text: str | None, run: str) -> dict[str, Any] | None:
    """The lease, if it is this run's."""
    try:
        lease = json.loads(text or "")
    except ValueError:
        return None
    if not isinstance(lease, dict) or (lease.get("schema"), lease.get("run")) != ("mpsbridge-lease/1", run):
        return None
    return {**lease, "notices": lease.get("notices") or []}


def _mark(host: LabHost, lease: dict[str, Any], guard: Guard, notice: str, mark: str) -> bool:
    new = {"id": guard.id, "born": guard.born, "notice": notice, "mark": mark, "at": cim(host.now())}
    others = [each for each in lease["notices"] if not _is(each, guard, notice)]
    text = json.dumps({**lease, "notices": [*others, new]}, separators=(",", ":"))
    if len(text) > LEASE_LIMIT:
        return False
    host.write_file(LEASE_FILE, text)
    return True


def _is(mark: dict[str, Any], guard: Guard, notice: str) -> bool:
    return (mark["id"], mark["born"], mark["notice"]) == (guard.id, guard.born, notice)
