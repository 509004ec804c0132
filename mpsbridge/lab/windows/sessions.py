"""Sessions and stations: who is on, since when, and as whom."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

WINLOGON_LEAD = timedelta(seconds=7)
"""A session's ``winlogon`` starts some seconds before its user has signed in."""


@dataclass(slots=True)
class LabSession:
    """One session on a make-believe host.

    ``logoff_s`` passes until its row vanishes after a log-off was ordered, ``linger_s`` more until its processes do
    (W9); a ``hung`` one does neither. A ``protected`` one is refused to whoever acts on it; one that ``ignores`` acts
    lets them succeed, and nothing happens.
    """

    id: int
    user: str
    logon: datetime
    born: datetime
    account: str
    sid: str
    session_name: str | None = None
    state: str = "active"
    state_text: str | None = None
    """The column of the tables, where it is not made of ``state``; so are the other two texts."""
    idle_s: int | None = None
    idle_text: str | None = None
    logon_text: str | None = None
    station: int | None = None
    admin: bool = False
    admin_by_group: bool = False
    """An administrator as a member of the domain's group, and not by name."""
    groups: tuple[str, ...] | None = None
    """What Windows has noted of its user's groups, and when; else as the host's ``administrators`` say."""
    groups_at: datetime | None = None
    client: str | None = None
    programs: tuple[str, ...] = ()
    """What runs in it beside the desktop."""
    desktop: bool = True
    """Whether a user's desktop runs in it; at a logon screen none does."""
    winlogon: bool = True
    unreadable: bool = False
    """When its processes began is told to no caller."""
    sealed: bool = False
    """When they began is told by CIM only: they are protected processes."""
    anonymous: bool = False
    """Whose it is, is told to no caller."""
    orphaned: bool = False
    """Its processes run, and no table has a row of it."""
    hung: bool = False
    ignores: bool = False
    protected: bool = False
    logoff_s: float = 0.0
    linger_s: float = 0.0
    row_gone_at: float | None = None
    """Monotonic time at which the row vanishes, once a log-off was ordered."""
    disconnected_at: datetime | None = None
    lines: tuple[int, ...] = ()
    """Where its row stands in the captured table, if the host plays one back (twice, if somebody asked twice)."""
    boxes: list[str] = field(default_factory=list)
    """The texts of the messages shown in it."""


@dataclass(slots=True)
class LabStation:
    """One MultiPoint station; whoever signs in there automatically comes back at once after a log-off (W8)."""

    id: int
    name: str
    session_id: int | None = None
    auto_logon: bool = False


def sid_of(*names: str) -> str:
    """A SID in the shape of a local account's, the same for the same names in every run."""
    digest = hashlib.sha256("\n".join(names).casefold().encode()).digest()
    parts = [int.from_bytes(digest[start : start + 4], "little") for start in (0, 4, 8)]
    return f"S-1-5-21-{parts[0]}-{parts[1]}-{parts[2]}-{1000 + int.from_bytes(digest[12:14], 'little')}"


def born_before(logon: datetime) -> datetime:
    """The creation time of the ``winlogon`` that led to a logon: with the microseconds that real ones have."""
    moment = logon - WINLOGON_LEAD
    return moment.replace(microsecond=moment.second * 16_667 + moment.minute)
