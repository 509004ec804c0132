"""A run that died in the middle, as it stands in its journal and on its host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mpsbridge.models.sessions import LogonMode
from mpsbridge.planning.lease import Lease
from mpsbridge.planning.policy import Policy
from mpsbridge.planning.selection import Selector
from mpsbridge.runs.journal import Journal
from support.reserved import leased

RUN = "20261125-120000-dead"


def options(**more: Any) -> dict[str, Any]:
    """What such a run keeps of itself."""
    policy = Policy(selector=Selector(everyone=True), warn_s=(), reason="updates", **more)
    return {"hosts": ["alpha"], "policy": policy.model_dump(mode="json"), "template": None, "waves": {}}


def record(path: Path, run: str = RUN, **more: Any) -> None:
    """Its journal: it has begun, and nothing more."""
    with Journal(path) as journal:
        journal.begin(run, command="end", reason="updates", options=options(**more))


def held_host(run: str = RUN, **more: Any) -> dict[str, Any]:
    """Its host: leased, and closed to logons."""
    lease = Lease(
        run=run,
        owner="root@box",
        reason="updates",
        since="20261125120000.000000+000",
        expires="20991125120000.000000+000",
        found=LogonMode.ENABLED,
        set=LogonMode.DRAIN,
    )
    return {
        "name": "alpha",
        "logon_mode": "drain",
        **leased(lease.text()),
        "sessions": [{"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "1h"}],
        **more,
    }
