"""The failsafe's task, as a make-believe host's scheduler knows it: when it runs, and when it may act.

Where the task's command can be executed, an engine does that (:attr:`LabHost.run_task`). Else the world does what the
command does: nothing while a lease holds, and a lease that nobody can read holds for a day after it was written.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EVERY_S = 300.0
AFTER_START_S = 180.0
FAILSAFE_EVENT = "mpsbridge Information 1: The failsafe set logons back: a run has left."
"""What the command writes into the host's log where it did that."""
UNREADABLE_FOR = timedelta(days=1)


@dataclass(slots=True)
class Failsafe:
    """Logons were ``found`` so and ``set`` so by a run; ``due`` is when the task runs next, by the monotonic clock."""

    found: str
    set: str
    run: str
    owner: str
    due: float
    command: str = ""
    """What its task runs, where a real script registered it."""


def is_over(lease: str | None, written: datetime, now: datetime) -> bool:
    """Whether nobody holds the host any more. A person's hold, which has no end, is never over."""
    if lease is None:
        return True
    try:
        facts = json.loads(lease)
        if facts.get("schema"):
            expires = facts["expires"]
            return expires is not None and str(expires) < now.astimezone(UTC).strftime("%Y%m%d%H%M%S.%f")
    except (AttributeError, KeyError, ValueError):
        pass  # nobody can read it
    return now - written > UNREADABLE_FOR
