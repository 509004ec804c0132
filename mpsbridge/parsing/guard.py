"""What the host gets to find one row again: the bytes of its fields, so that it needs no decoding and no language.

Rule: a guard is made only for a row that the host will find by it, so this file looks as ``shared/guard.ps1.j2`` does.
"""

from __future__ import annotations

import re

from mpsbridge.models.sessions import Row, SessionGuard

USER_COLUMN = 20
"""Characters that quser prints of a user name."""
_HIGHEST_ID = 65535
_BETWEEN = re.compile(rb" +(?:[^ ]*[^ 0-9][^ ]* +)?(?P<id>[0-9]{1,5}) +(?P<rest>[^ ].*)", re.DOTALL)
"""What stands between the user and the logon time: a session name or none, the id, and then state and idle time."""


def guard_of(row: Row, line: bytes, *, encoding: str, born: str | None) -> SessionGuard | None:
    """The guard of a ``query user`` row, from the line's own bytes; ``None`` where the host could not find it by them.

    That is so for a row that was damaged or laid out again on its way, for a name cut inside a character, and for ids
    that are no user session's. ``born`` is a CIM datetime (W5).
    """
    if not row.username or not row.logon_raw or not 1 <= row.id <= _HIGHEST_ID:
        return None
    try:
        user, logon, state = (text.encode(encoding) for text in (row.username, row.logon_raw, row.state_raw))
    except UnicodeEncodeError:
        return None
    text = line.rstrip(b"\r ").removeprefix(b">").lstrip(b" ")
    between = text[len(user) : len(text) - len(logon)]
    gap = b"  " if len(user) < USER_COLUMN else b" "
    if not (text.startswith(user) and between.startswith(gap) and text.endswith(b" " + logon)):
        return None
    found = _BETWEEN.fullmatch(between)
    if found is None or int(found["id"]) != row.id or state not in found["rest"]:
        return None
    fields = (each.decode("latin-1") for each in (user, logon, state))
    return SessionGuard(id=row.id, born=born, **dict(zip(("user", "logon", "state"), fields, strict=True)))
