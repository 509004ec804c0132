"""How much of each text from a host is read. What is longer is not what Windows writes, and is never read in part.

Rules: every limit stands here, with what it comes from; a text is measured before anything looks into it. What is too
long counts as unreadable (``None``, or the error of the place that reads it), never as something shorter.
"""

from __future__ import annotations

PATTERN_LIMIT = 100
"""Characters of a date or time pattern, and of a word for a half of the day. Windows allows 79 (``LOCALE_SSHORTDATE``
80 with its end, of the Win32 API's ``GetLocaleInfo``).
"""
LOGON_LIMIT = 100
"""Characters of a logon text: a short date and a short time."""
LINE_LIMIT = 1000
"""Characters of a line of a table. No table of Windows comes near; longer lines are never rows."""
TAIL_LIMIT = 200
"""Characters of a row behind its id: state, idle time and logon, or state, type and device."""
TABLE_LIMIT = 1_000_000
"""Bytes of what one program printed. A row of ``query user`` has about 80, so this is room for 10,000 sessions."""


def within(text: str | None, limit: int) -> bool:
    """Whether there is a text, and not too much of it."""
    return bool(text) and len(text or "") <= limit
