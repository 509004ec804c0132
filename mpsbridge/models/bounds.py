"""How much of each thing from a host is read. What is above a limit is refused in words, or cut where it is only shown.

Rules: a limit stands here and nowhere else, with what it comes from; a thing is measured before anything looks into it;
nothing that is cut is ever taken for the whole. Together they keep what one host costs, whatever it sends, below 64 MiB
and linear in what it has sent.
"""

from __future__ import annotations

from collections.abc import Sequence

# Of the wire.
HEAD_LIMIT = 64 * 1024
"""Bytes of status line and headers of an HTTP answer, and of a chunk's own line."""
HEADERS_LIMIT = 100
"""Headers of one HTTP answer; http.sys sends about six."""
INTERIM_LIMIT = 10
"""Answers with a status below 200 before the one that counts."""
BODY_LIMIT = 1024 * 1024
"""Bytes of one answer's body; we ask for envelopes of at most 150 KiB, Windows allows 500 (MaxEnvelopeSizekb)."""
SCRIPT_LIMIT = 16 * 1024 * 1024
"""Bytes that a host may send in answer to one script, in all its messages, and of the text in them in memory."""
MESSAGE_LIMIT = 2 * 1024 * 1024
"""Bytes of one PSRP message: an emitted object, or a record of an error. PowerShell's own limit for an object that it
receives is 10 MB; an envelope of a thousand sessions has about half a megabyte.
"""
ANSWERS_LIMIT = 5000
"""Answers of HTTP to one script, or packets over pipes: one for each piece of output, else one in 20 seconds."""
MESSAGES_LIMIT = 1000
"""PSRP messages in answer to one script: one string, its states, and perhaps errors and warnings."""
UNFINISHED_LIMIT = 16
"""PSRP messages that have begun and not ended."""
PACKET_LIMIT = 1024 * 1024
"""Bytes of one line of the protocol over pipes; PowerShell writes fragments of 32 KiB."""
ELEMENTS_LIMIT = 50_000
"""Tags of one XML document; tags and escaped characters (``_x000D_``) in all messages of one script together. A SOAP
message of Windows has some dozens, a PSRP message to us under a thousand; each costs the reader some two hundred bytes
however short it is.
"""
XML_DEPTH_LIMIT = 64
"""Elements inside each other in a large XML document. PowerShell serializes one level of an object, two of a record."""

# Of an envelope.
ENVELOPE_LIMIT = MESSAGE_LIMIT
"""Characters of an envelope."""
PARTS_LIMIT = 400_000
"""Commas, brackets and braces of an envelope: each value costs some sixty bytes, however short it is. A session has
about forty; a damaged lease may be of nothing else.
"""
DEPTH_LIMIT = 32
"""Values inside each other in an envelope; an honest one has six."""
DIGITS_LIMIT = 20
"""Characters of a number: 2^64 has twenty digits."""
TEXT_LIMIT = 8192
"""Characters of any text in an envelope but the output of a program and the lease."""
NAME_LIMIT = 512
"""Characters of a name: 20 of a user, 256 of a UPN, 255 of a domain, 184 of a SID (Windows SDK, ``lmcons.h``)."""
WORDS_LIMIT = 1000
"""Characters of what a program or a script has to say of one session; more is cut, for it is only shown."""
PROBLEMS_LIMIT, PROBLEM_LIMIT = 20, 300
"""Sentences about what could not be found out, and characters of each; more are counted, longer ones are cut."""
LEASE_FILE_LIMIT = 256 * 1024
"""Characters of the lease file: the scripts read no longer one."""
ENTRIES_LIMIT = 5000
"""Entries of one list in an answer: births, owners, processes."""

# Of a table.
TABLE_LIMIT = 1_000_000
"""Bytes of what one program printed. A row of ``query user`` has about 80."""
LINES_LIMIT = 5000
"""Lines of what one program printed on a host; nobody runs a host with a thousand sessions."""
LINE_LIMIT = 1000
"""Characters of a line of a table. No table of Windows comes near; longer lines are never rows."""
TAIL_LIMIT = 200
"""Characters of a row behind its id: state, idle time and logon, or state, type and device."""
PATTERN_LIMIT = 100
"""Characters of a date or time pattern, and of a word for a half of the day. Windows allows 79 (``LOCALE_SSHORTDATE``
80 with its end, of the Win32 API's ``GetLocaleInfo``).
"""
LOGON_LIMIT = 100
"""Characters of a logon text: a short date and a short time."""


def within(text: str | None, limit: int) -> bool:
    """Whether there is a text, and not too much of it."""
    return bool(text) and len(text or "") <= limit


def shortened(text: str, limit: int) -> str:
    """The text, or what fits of it with ``...`` at its end."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def few(problems: Sequence[str]) -> tuple[str, ...]:
    """The first problems, each short; where there are more, a last sentence counts them."""
    shown = [shortened(problem, PROBLEM_LIMIT) for problem in problems[:PROBLEMS_LIMIT]]
    more = len(problems) - PROBLEMS_LIMIT
    return (*shown, f"and {more} more problems of this host") if more > 0 else tuple(shown)
