"""Windows' session programs over a make-believe host: what they print, how they exit, and what they do.

They know nothing of what a script in front of them is for, which is what makes that worth testing; and they keep
the traps of the real ones: without an id ``logoff`` and ``tsdiscon`` take the caller's own session, ``logoff``
returns when the log-off has ended, ``msg`` reads standard input where it gets no text, ``chglogon /query`` exits with 1
while logons are enabled. Exit codes are documented or captured; what the programs of people's sessions say is in
:mod:`~mpsbridge.lab.windows.sentences`, and the rest is of the lab's own making.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from mpsbridge.lab.windows import tables
from mpsbridge.lab.windows.accounts import elevated, sees
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.sentences import printed
from mpsbridge.lab.windows.sessions import LabSession

ALREADY_SCHEDULED = 1190
NOTHING_TO_ABORT = 1116
_SWITCHES = {
    "/enable": "enabled",
    "/drain": "drain",
    "/drainuntilrestart": "drain-until-restart",
    "/disable": "disabled",
}
_TOLD = {
    "enabled": "ENABLED",
    "drain": "DRAIN",
    "drain-until-restart": "DRAIN UNTIL RESTART",
    "disabled": "DISABLED",
}

_QUSER = re.compile(r"(?:quser|query(?:\.exe)? +user)(?:\.exe)?", re.IGNORECASE)
_EXIT = re.compile(r"(?<!\s)\s++exit \$LASTEXITCODE\s*+$", re.IGNORECASE)
"""What Ansible puts behind a command."""


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """What a program prints, its exit code, and what it waits for before it ends (if anything)."""

    exit: int = 0
    out: bytes = b""
    err: bytes = b""
    until: Callable[[], bool] | None = None


Program = Callable[[LabHost, list[str]], ProgramResult]


def _failed(host: LabHost, *lines: str, code: int = 1) -> ProgramResult:
    """Lines on standard error, in the page in which Windows' console programs write."""
    return ProgramResult(code, err=printed(lines, host.facts.oem))


def calls_quser(text: str) -> bool:
    """Whether a command line, or a script, is nothing but a call of ``quser``."""
    return _QUSER.fullmatch(_EXIT.sub("", text).strip()) is not None


def quser(host: LabHost, arguments: list[str]) -> ProgramResult:
    """The table of users. Nobody on, and nothing one may see, read the same."""
    words, _ = _words(arguments)
    if not words and (captured := host.captured("quser")) is not None:
        return ProgramResult(*captured)
    table = tables.quser_bytes(host) if sees(host) else b""
    if words and table:
        found = _named(host, words[0])
        table = _rows(table, {session.id for session in found}) if found else b""
    nobody = host.facts.sentences.nobody.format(words[0] if words else "*")
    return ProgramResult(out=table) if table else _failed(host, nobody)


def _rows(table: bytes, ids: Iterable[int]) -> bytes:
    """The header, and the rows that carry one of these ids."""
    wanted = {str(number).encode() for number in ids}
    head, *rows = table.splitlines(keepends=True)
    return head + b"".join(row for row in rows if wanted & set(row[22:].split()))


def qwinsta(host: LabHost, arguments: list[str]) -> ProgramResult:
    """The table of sessions; of one that is named, its row."""
    words, _ = _words(arguments)
    if not words and (captured := host.captured("qwinsta")) is not None:
        return ProgramResult(*captured)
    found = _named(host, words[0]) if words else []
    if not sees(host) or (words and not found):
        return _failed(host, host.facts.sentences.no_session.format(words[0] if words else "*"))
    table = tables.qwinsta_bytes(host)
    return ProgramResult(out=_rows(table, {each.id for each in found}) if found else table)


def logoff(host: LabHost, arguments: list[str]) -> ProgramResult:
    """End a session, and return when it has ended; a hung one never does."""
    session, denied = _target(host, arguments, "logoff")
    if session is None:
        return denied
    host.log_off(session.id)
    return ProgramResult(until=None if session.ignores else lambda: _has_gone(host, session))


def rwinsta(host: LabHost, arguments: list[str]) -> ProgramResult:
    """Reset a session: it is gone at once, also where a log-off hangs."""
    if not _words(arguments)[0]:
        return _failed(host, "RESET SESSION needs a session name or an id.")
    words = _words(arguments)[0]
    rowless = host.with_processes(int(words[0])) if words[0].isdigit() and sees(host) else None
    if rowless is not None and rowless not in host.rows():
        host.reset(rowless.id)
        return ProgramResult()
    session, denied = _target(host, arguments, "reset")
    if session is None:
        return denied
    host.reset(session.id)
    return ProgramResult()


def tsdiscon(host: LabHost, arguments: list[str]) -> ProgramResult:
    """Take a session from its screen."""
    session, denied = _target(host, arguments, "disconnect")
    if session is None:
        return denied
    host.disconnect(session.id)
    return ProgramResult()


def msg(host: LabHost, arguments: list[str]) -> ProgramResult:
    """Show a box to a session, a user or everybody. Without a text it would read standard input, which is closed."""
    words, switches = _words(arguments)
    if not words:
        return _failed(host, "MSG needs a user, a session name or an id.")
    if not sees(host):
        return _failed(host, host.facts.sentences.names_denied)
    found = list(host.rows()) if words[0] == "*" else _named(host, words[0])
    if not found:
        return _failed(host, host.facts.sentences.not_there.format(words[0]))
    if any(session.protected for session in found):
        return _failed(host, host.facts.sentences.names_denied)
    for session in found:
        host.show(session.id, " ".join(words[1:]))
    waits = "/w" in {switch.lower() for switch in switches}
    return ProgramResult(until=lambda: False) if waits else ProgramResult()  # nobody here ever answers a box


def chglogon(host: LabHost, arguments: list[str]) -> ProgramResult:
    """Read or set the logon mode. The exit code says nothing."""
    switch = arguments[0].lower() if arguments else ""
    if switch == "/query":
        told = f"Session logins are currently {_TOLD[host.logon_mode]}\r\n".encode()
        return ProgramResult(int(host.logon_mode == "enabled"), out=told)
    if switch not in _SWITCHES:
        return _failed(host, f"Invalid parameter(s): {switch}")
    if not elevated(host):
        return _failed(host, host.facts.sentences.access_denied)
    host.set_logon_mode(_SWITCHES[switch])
    told = f"Session logins are currently {_TOLD[host.logon_mode]}\r\n".encode()
    return ProgramResult(1, out=told)


def shutdown(host: LabHost, arguments: list[str]) -> ProgramResult:
    """Restart (``/r``) or shut down (``/s``) after ``/t`` seconds, or take that back (``/a``)."""
    switches = [argument.lower() for argument in arguments]
    if not elevated(host):
        return _failed(host, f"{host.facts.sentences.denied}(5)", code=5)
    if "/a" in switches:
        if not host.abort_shutdown():
            return _failed(host, f"No shutdown was in progress.({NOTHING_TO_ABORT})", code=NOTHING_TO_ABORT)
        return ProgramResult()
    if "/r" not in switches and "/s" not in switches:
        return _failed(host, "SHUTDOWN needs /r, /s or /a.")
    after = switches[switches.index("/t") + 1 :][:1] if "/t" in switches else ["30"]
    if not after or not after[0].isdigit():
        return _failed(host, "SHUTDOWN /t needs a number of seconds.")
    if not host.schedule_shutdown("restart" if "/r" in switches else "shutdown", float(after[0])):
        scheduled = f"A system shutdown has already been scheduled.({ALREADY_SCHEDULED})"
        return _failed(host, scheduled, code=ALREADY_SCHEDULED)
    return ProgramResult()


def _words(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What is no switch, and what is one."""
    return (
        [argument for argument in arguments if not argument.startswith("/")],
        [argument for argument in arguments if argument.startswith("/")],
    )


def _named(host: LabHost, word: str) -> list[LabSession]:
    """The sessions that a word means: an id, else a session name or a user. What Windows does with a user whose name
    is a number is not documented; here the id wins.
    """
    wanted = word.casefold()
    if by_id := [session for session in host.rows() if str(session.id) == word]:
        return by_id
    return [
        session
        for session in host.rows()
        if wanted in {(session.session_name or "").casefold(), session.user.casefold()}
    ]


def _target(host: LabHost, arguments: list[str], act: str) -> tuple[LabSession | None, ProgramResult]:
    """The one session that is meant, or why it may not be touched. No word at all means the caller's own."""
    words, _ = _words(arguments)
    word = words[0] if words else str(host.facts.caller_session)
    denied = _failed(host, *host.facts.sentences.refused(act, word))
    found = next((session for session in host.rows() if word in {str(session.id), session.session_name}), None)
    if word == "0" or not sees(host) or (found is not None and found.protected):
        return None, denied
    return found, _failed(host, host.facts.sentences.not_found.format(word))


def _has_gone(host: LabHost, session: LabSession) -> bool:
    with host.world.lock:
        return all(each is not session for each in host.rows())


def run_program(host: LabHost, name: str, arguments: list[str]) -> ProgramResult:
    """Run a program of ``System32`` by its name without ``.exe``; one that hangs does its work and never ends."""
    result = PROGRAMS[name](host, arguments)
    return replace(result, until=lambda: False) if f"{name}.exe" in host.facts.hangs else result


PROGRAMS: dict[str, Program] = {
    "quser": quser,
    "qwinsta": qwinsta,
    "msg": msg,
    "logoff": logoff,
    "rwinsta": rwinsta,
    "tsdiscon": tsdiscon,
    "chglogon": chglogon,
    "shutdown": shutdown,
}
"""The programs of ``System32``, by their names without ``.exe``."""
