"""What ``quser.exe`` and ``qwinsta.exe`` print for a host: text in its language, bytes in its OEM page.

Column positions were measured on captured tables, 0-based, in display cells (a Chinese character fills two):

======== ===================================================================================================
quser    marker 0, user 1 to 20 (longer names are cut), session name 23, id right-aligned to 43, state 46,
         idle right-aligned to 62, logon 65; a state or an idle word that is too long pushes the rest
qwinsta  marker 0, session name 1, user 19 (27 in the wide layout of newer builds), id right-aligned to 45
         (53), state 48, type 56, device 68; lines are padded to the end
======== ===================================================================================================
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mpsbridge.lab.windows.regions import OTHER_STATES, WORDS, Words, read_back, written

if TYPE_CHECKING:
    from mpsbridge.lab.windows.facts import HostFacts
    from mpsbridge.lab.windows.host import LabHost
    from mpsbridge.lab.windows.sessions import LabSession

_DISCONNECTED = frozenset(words.disconnected for words in WORDS.values())
_TOKEN = re.compile(r"\S+")


def cells(text: str) -> int:
    """How many cells of a console a text fills."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _left(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def _right(text: str, width: int) -> str:
    return " " * (width - cells(text)) + text


def _cut(text: str, width: int) -> str:
    """As much of a text as fits into so many cells."""
    while cells(text) > width:
        text = text[:-1]
    return text


def quser_bytes(host: LabHost) -> bytes:
    """The very bytes of the table of users; empty where nobody is on."""
    text = _quser(host) if host.playback is None else "".join(_captured_lines(host, host.playback))
    return _in_page(text, host.facts.oem)


def qwinsta_bytes(host: LabHost) -> bytes:
    """The very bytes of the table of sessions, listeners and session 0 included."""
    text = _qwinsta(host) if host.playback_qwinsta is None else "".join(host.playback_qwinsta)
    return _in_page(text, host.facts.oem)


def _in_page(text: str, page: int) -> bytes:
    """The text in a code page, ``?`` for what does not fit. A C1 control is a byte that somebody read as Latin-1 when
    the table was captured, so it becomes that byte again.
    """
    pieces = re.split("([\x80-\x9f])", text)
    return b"".join(
        piece.encode("latin-1") if place % 2 else piece.encode(f"cp{page}", "replace")
        for place, piece in enumerate(pieces)
    )


def _quser(host: LabHost) -> str:
    sessions = host.rows()
    if not sessions:
        return ""
    user, name, number, state, idle, logon = host.facts.words.quser
    head = f" {_left(user, 22)}{_left(name, 15)}{_right(number.rstrip('.'), 6)}"
    head += "." if number.endswith(".") else " "
    lines = [f"{head} {_left(state, 6)}  {_left(idle, 10)} {logon}"]
    lines += [quser_row(host, session) for session in sessions]
    return "\r\n".join(lines) + "\r\n"


def quser_row(host: LabHost, session: LabSession) -> str:
    """One line of the table of users, without its end."""
    marker = ">" if session.id == host.facts.caller_session else " "
    state = _state_word(session, host.facts.words)
    row = f"{marker}{_left(_cut(session.user, 20), 22)}{_left(_cut(session.session_name or '', 15), 15)}"
    row += f"{_right(str(session.id), 6)}  {_left(state, 6)}  {_idle(host, session)}"
    if session.logon_text is not None:
        return row + session.logon_text
    return row + written(host.local(session.logon), host.facts.patterns)


def _state_word(session: LabSession, words: Words) -> str:
    if session.state_text is not None:
        return session.state_text
    state = session.state
    return {"active": words.active, "disconnected": words.disconnected, "connected": words.connected}.get(
        state, OTHER_STATES.get(state, state)
    )


def _idle(host: LabHost, session: LabSession) -> str:
    """The idle column with the blanks around it: ``.`` below a minute, minutes, hours:minutes, days+hours:minutes."""
    idle_s = session.idle_s
    if session.disconnected_at is not None:
        idle_s = max(0, int((host.now() - session.disconnected_at).total_seconds()))
    if session.idle_text is not None:
        return f"{_right(session.idle_text, 9)}  "
    if idle_s is None:
        return host.facts.words.idle_none
    minutes = idle_s // 60
    days, hours = divmod(minutes // 60, 24)
    if days:
        text = f"{days}+{hours:02}:{minutes % 60:02}"
    elif hours:
        text = f"{hours}:{minutes % 60:02}"
    else:
        text = str(minutes) if minutes else "."
    return f"{_right(text, 9)}  "


def _qwinsta(host: LabHost) -> str:
    words = host.facts.words
    name_width = 26 if host.facts.wide else 18
    name, user, number, state, kind, device = words.qwinsta
    head = f" {_left(name, name_width)}{_left(user, 20)}{_right(number, 7)}  {_left(state, 6)}  "
    lines = [head + f"{_left(kind, 10)}  {_left(device, 8)}"]

    def row(session_name: str, user: str, number: int, state: str, *, own: bool = False) -> None:
        line = (
            f"{'>' if own else ' '}{_left(session_name, name_width)}{_left(_cut(user, 20), 20)}{_right(str(number), 7)}"
        )
        lines.append(_left(f"{line}  {_left(state, 6)}", name_width + 58))

    sessions = host.rows()
    own = host.facts.caller_session
    row("services", "", 0, words.disconnected, own=own == 0)
    for session in sessions:
        state = _state_word(session, words)
        row(session.session_name or "", session.user, session.id, state, own=own == session.id)
    if not any((each.session_name or "") == "console" for each in sessions):
        taken = {each.id for each in sessions}
        row("console", "", next(free for free in range(1, 65536) if free not in taken), words.connected)
    row("rdp-tcp", "", 65536, words.listen)
    return "\r\n".join(lines) + "\r\n"


# Captured tables, shown again.


@dataclass(frozen=True, slots=True)
class CapturedRow:
    """One row of a captured table, and where its parts stand in the line."""

    line: int
    id: int
    user: str
    session_name: str | None
    state: str
    logon: datetime | None
    name_span: tuple[int, int]
    state_span: tuple[int, int]


def read_table(lines: list[str], facts: HostFacts) -> list[CapturedRow]:
    """The rows of a captured ``quser`` table: the id is the first all-digit field after the user name."""
    rows = (_read_row(number, line, facts) for number, line in enumerate(lines))
    return [row for row in rows if row is not None]


def _read_row(number: int, line: str, facts: HostFacts) -> CapturedRow | None:
    text = line.rstrip()
    user = re.match(r"[> ]?(\S(?:.{0,19}?))(?=\s{2}|$)", text)
    if user is None:
        return None
    fields = list(_TOKEN.finditer(text, user.end()))
    place = next((index for index, field in enumerate(fields) if field[0].isdigit()), None)
    if place is None or place > 1 or len(fields) < place + 3:
        return None
    state = fields[place + 1]
    name = fields[0] if place == 1 else None
    moment = read_back(text[fields[place + 2].end() :], facts.patterns)
    gone = name is None or state[0] in _DISCONNECTED
    return CapturedRow(
        line=number,
        id=int(fields[place][0]),
        user=user[1],
        session_name=name[0] if name else None,
        state="disconnected" if gone else "active",
        logon=(moment - timedelta(minutes=facts.utc_offset_min)).replace(tzinfo=UTC) if moment else None,
        name_span=name.span() if name else (0, 0),
        state_span=state.span(),
    )


def _captured_lines(host: LabHost, lines: list[str]) -> list[str]:
    """A captured table as it is now: rows whose session has gone are gone too, and arrivals are printed below.

    Without any row nothing is left, not even the header, as Windows prints then.
    """
    rows = {row.line: row for row in read_table(lines, host.facts)}
    here = {line: each for each in host.rows() for line in each.lines}
    arrivals = [quser_row(host, each) + "\r\n" for each in host.rows() if not each.lines]
    if not here and not arrivals:
        return []
    shown = []
    for number, line in enumerate(lines):
        row, session = rows.get(number), here.get(number)
        if row is None or (session is not None and session.state == row.state):
            shown.append(line)
        elif session is not None and session.state == "disconnected":
            shown.append(_disconnected(line, row, host.facts.words.disconnected))
        elif session is not None:
            shown.append(quser_row(host, session) + "\r\n")
    return shown + arrivals


def _disconnected(line: str, row: CapturedRow, word: str) -> str:
    """A captured line with no session name and the language's word as its state; later columns stay where they are."""
    (name_from, name_to), (state_from, state_to) = row.name_span, row.state_span
    room = cells(line[state_from:state_to])
    state_to += max(0, cells(word) - room)
    line = line[:state_from] + _left(word, room) + line[state_to:]
    return line[:name_from] + " " * cells(line[name_from:name_to]) + line[name_to:]
