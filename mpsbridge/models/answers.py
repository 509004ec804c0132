"""What a host answers to a look, or where it refuses: the contract between templates and parsers.

What answers for a host (a template, the lab) sends exactly these shapes, and the reader validates with these models;
the answer of each other snippet stands beside it. Times are CIM datetimes in UTC
(:func:`mpsbridge.models.sessions.to_cim`), bytes are base64, a value that the host could not find out is null and a
sentence in the envelope's ``problems`` says why.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mpsbridge.models.bounds import NAME_LIMIT, WORDS_LIMIT, shortened
from mpsbridge.models.frozen import Answer
from mpsbridge.models.sessions import CimTime, LogonMode

Name = Annotated[str, Field(max_length=NAME_LIMIT)]
"""A name, or another short text that is compared: one that is too long is refused, for cut it would be another one."""
Words = Annotated[str, AfterValidator(lambda text: shortened(text, WORDS_LIMIT))]
"""What is only shown: too much of it is cut."""


class ProgramAnswer(Answer):
    """One native program: exit code, and both streams as base64 of the very bytes.

    Where bytes could not be had (ConstrainedLanguage, W30) ``text`` and ``error_text`` are the streams as PowerShell
    decoded them, by the Windows code page ``page``; ``out`` and ``err`` are empty then.
    """

    exit: int | None = None
    out: str = ""
    err: str = ""
    text: str | None = None
    error_text: str | None = None
    page: int | None = None
    timed_out: bool = False
    problem: Words | None = None
    """Why it could not be started (a sentence), or null."""


class PatternsAnswer(Answer):
    """The host's own regional patterns (registry, never ``Get-Culture``: W7)."""

    short_date: str | None = None
    short_time: str | None = None
    am: str | None = None
    pm: str | None = None
    locale: Name | None = None


class OwnerAnswer(Answer):
    """Whose session an id is, read from a process or from the registry key ``LogonUI/SessionData`` (W6).

    ``groups`` are those of the members of Administrators (and Administrators itself) that Windows noted among the
    user's groups when it last applied Group Policy to them, which was at ``groups_at``; null where it noted none.
    """

    id: int
    account: Name | None = None
    sid: Name | None = None
    groups: tuple[Name, ...] | None = None
    groups_at: CimTime | None = None


class MemberAnswer(Answer):
    """A direct member of Administrators (S-1-5-32-544); ``sid`` is null where it could not be read.

    ``kind`` is ``unknown`` where the host does not tell a user from a group, as for one that no domain resolves.
    """

    sid: Name | None = None
    kind: Literal["user", "group", "unknown"] = "unknown"


class BirthAnswer(Answer):
    """Creation time of the session's ``winlogon`` process (W5)."""

    id: int
    born: CimTime


class WitnessAnswer(Answer):
    """Session ids in which a person's processes run, before and after the tables were read (W12)."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()


class WmsSessionAnswer(Answer):
    """One row of ``Get-WmsSession``, either generation."""

    id: int
    user: Name | None = None
    domain: Name | None = None
    state: Name | None = None
    station: Annotated[int | None, AfterValidator(lambda station: station or None)] = None
    """Windows says 0 for a session that sits at no station of the host [doc]."""
    admin: bool | None = None
    client: Name | None = None


class StationAnswer(Answer):
    """One row of ``Get-WmsStation``; ``session_id`` is null where Windows says 4294967295."""

    id: int
    name: Name | None = None
    session_id: int | None = None
    user: Name | None = None
    auto_logon: bool | None = None


class WmsAnswer(Answer):
    """MultiPoint, where its module is present; ``mode`` is ``SystemMode`` as the host words it."""

    generation: Literal["2012", "2016"]
    mode: Name | None = None
    sessions: tuple[WmsSessionAnswer, ...] = ()
    stations: tuple[StationAnswer, ...] = ()


class LogonsAnswer(Answer):
    """``Win32_TerminalServiceSetting``: the mode, and the two properties it was read from.

    ``was`` is the mode before a change, ``changed`` whether this call wrote; both null when only read.
    """

    mode: LogonMode | None = None
    logons: int | None = None
    drain: int | None = None
    terminal_server_mode: int | None = None
    was: LogonMode | None = None
    changed: bool | None = None


class BrokerAnswer(Answer):
    """Whether a connection broker governs this host (W21)."""

    active: bool | None = None
    agents: tuple[Name, ...] = ()


class CallerAnswer(Answer):
    """The account that the script runs as."""

    account: Name | None = None
    sid: Name | None = None
    elevated: bool | None = None
    session_id: int | None = None


class PowerShellAnswer(Answer):
    """The engine that ran the script."""

    version: Name | None = None
    language: Name | None = None
    bits: int | None = None


class RunningAnswer(Answer):
    """A program that runs in a session; ``name`` without ``.exe``, in lower case."""

    id: int
    name: Name


class ObserveAnswer(Answer):
    """The result of ``observe``."""

    computer: Name | None = None
    now: CimTime
    utc_offset_min: int | None = None
    offset_until: CimTime | None = None
    """Until when that offset holds, to the hour; null where it does not change within a day."""
    boot: CimTime | None = None
    quser: ProgramAnswer
    qwinsta: ProgramAnswer
    running: tuple[RunningAnswer, ...] = ()
    """Where the programs asked for run (W38)."""
    disk_protection: Name | None = None
    """MultiPoint's ``DiskProtectionMode``; with ``Discard`` nothing on the host outlives a restart (W23)."""
    oem: int | None = None
    ansi: int | None = None
    patterns: PatternsAnswer = PatternsAnswer()
    births: tuple[BirthAnswer, ...] = ()
    owners: tuple[OwnerAnswer, ...] = ()
    admins: tuple[MemberAnswer, ...] | None = None
    """The direct members of Administrators, or null where the group could not be read (W10)."""
    witness: WitnessAnswer = WitnessAnswer()
    wms: WmsAnswer | None = None
    logons: LogonsAnswer = LogonsAnswer()
    sets_logons: bool | None = None
    """Whether the program that sets the logon mode is there; null where that could not be asked."""
    broker: BrokerAnswer = BrokerAnswer()
    caller: CallerAnswer = CallerAnswer()
    pending_reboot: tuple[Name, ...] | None = None
    """Reasons (registry names) for a pending reboot; empty for none, null where they could not be read (W39)."""
    unready: tuple[Name, ...] = ()
    """Why a host that has started is not ready for people yet: ``TermService``, ``RebootInProgress`` (W26)."""
    powershell: PowerShellAnswer = PowerShellAnswer()
    lease: str | None = None
    """The text of the lease file, or null where there is none."""


class RefusalAnswer(Answer):
    """The result where ``ok`` is false: why the script as a whole did not do its work.

    ``kind`` is ``denied``, ``blind``, ``missing-command``, ``constrained``, ``expired``, ``untouched`` (refused before
    anything was done) or ``remote``.
    """

    kind: Name = "remote"
    message: Words = ""
