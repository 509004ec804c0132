"""Orphaned sessions: processes without a session row (W13), and disconnected or dead rows without a user. Pure.

Rule: whatever has a user's row is not an orphan, and neither is a logon screen that waits for somebody.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from mpsbridge.models.presence import NO_WINLOGON, ROW_GONE
from mpsbridge.models.sessions import Observation, Session, State


def orphan(seen: Observation, number: int) -> Session | None:
    """The orphaned session with that id, so far as a look tells of it; ``None`` where it is not one."""
    if number not in seen.orphaned:
        return None
    row = next((row for row in seen.rows if row.id == number), None)
    return Session(
        id=number,
        user="",
        state=row.state if row else State.UNKNOWN,
        state_text=row.state_raw if row else "",
        born=dict(seen.births).get(number),
    )


def what_is_left(seen: Observation, number: int) -> str:
    """What makes it an orphan, in words."""
    if number in seen.leftovers:
        return "orphaned: its processes run without a session row"
    return "orphaned: its session row has no user"


def told(seen: Observation) -> Iterable[str]:
    """The orphaned sessions of a host, as sentences."""
    rowless = [number for number in seen.orphaned if number in seen.leftovers]
    userless = [number for number in seen.orphaned if number not in seen.leftovers]
    if rowless:
        yield f"orphaned sessions (processes without a session row): {', '.join(map(str, rowless))}"
    if userless:
        yield f"orphaned sessions (disconnected or down, without a user): {', '.join(map(str, userless))}"


def what_helps(host: str, number: int, why: str) -> str:
    """What ends a session whose log-off hangs, as the end of a sentence, by why it may still be there."""
    name = shlex.quote(host)
    if why.endswith(NO_WINLOGON):
        return f"run 'rwinsta {number}' on the host, or restart it"
    if why.endswith(ROW_GONE):
        return f"if it hangs: mpsbridge reset {name} --session {number}"
    return f"if it hangs: mpsbridge end {name} --session {number} --no-warning --force-after 10m"
