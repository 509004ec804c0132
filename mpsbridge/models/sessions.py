"""Sessions as tables show them (rows), as we know them (sessions), and what became of them (results)."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from mpsbridge.models.frozen import Frozen

CimTime = Annotated[str, Field(pattern=r"^[0-9]{14}\.[0-9]{6}\+000$")]
"""A CIM datetime (``yyyyMMddHHmmss.ffffff+000``, UTC)."""


class State(StrEnum):
    """``WTS_CONNECTSTATE_CLASS`` in words (Windows SDK), and ``unknown`` for a word not seen before."""

    ACTIVE = "active"
    CONNECTED = "connected"
    CONNECT_QUERY = "connect_query"
    SHADOW = "shadow"
    DISCONNECTED = "disconnected"
    IDLE = "idle"
    LISTEN = "listen"
    RESET = "reset"
    DOWN = "down"
    INIT = "init"
    UNKNOWN = "unknown"


class Row(Frozen):
    """One line of a ``query user`` or ``query session`` table, as printed, and nothing guessed.

    ``line`` counts from 1 in the whole text; ``block`` counts the tables of one text from 1.
    """

    username: str | None
    sessionname: str | None
    id: int
    state_raw: str
    state: State
    idle_raw: str | None = None
    logon_raw: str | None = None
    current: bool = False
    table: Literal["quser", "qwinsta"] = "quser"
    block: int = 1
    line: int = 0
    text: str = ""
    """The whole line as read, for the guard."""


class LogonMode(StrEnum):
    """What ``change logon`` sets (Windows' own words)."""

    ENABLED = "enabled"
    DRAIN = "drain"
    DRAIN_UNTIL_RESTART = "drain-until-restart"
    DISABLED = "disabled"


class SessionGuard(Frozen):
    """What a host needs in order to act on one session and on no other.

    ``user``, ``logon`` and ``state`` are the *bytes* of the row's fields as Latin-1 text: no decoding and no language
    on the host. ``born`` is null where it could not be read.
    """

    id: int = Field(ge=1, le=65535)
    born: CimTime | None = None
    user: str = Field(min_length=1)
    logon: str = Field(min_length=1)
    state: str = Field(min_length=1)


class AllowedSession(Frozen):
    """A session that may still be there when its host goes down: that one, and nobody else who has its number by then.

    ``born`` as in a guard. A ``leftover`` has no row (W13) and often no ``winlogon`` either, then ``born`` is null: its
    processes keep the number from everybody else for as long as it lasts.
    """

    id: int = Field(ge=1, le=65535)
    born: CimTime | None
    leftover: bool = False

    @model_validator(mode="after")
    def _can_be_recognised(self) -> AllowedSession:
        if self.born is None and not self.leftover:
            raise ValueError("a session whose birth is not known cannot be recognised")
        return self


def is_garbled(name: str) -> bool:
    """Whether characters of a name were lost in a code page that lacks them."""
    return "?" in name or "\ufffd" in name


class Session(Frozen):
    """One user session. Its identity is (host, ``id``, ``born``); the text of a row is never an identity by itself."""

    id: int
    user: str
    """The best name that is known: of the account where the row's own is cut or garbled; empty where none is."""
    user_text: str = ""
    """The row's own."""
    account: str | None = None
    session_name: str | None = None
    state: State
    state_text: str
    idle_s: int | None = None
    idle_text: str | None = None
    logon: AwareDatetime | None = None
    logon_text: str | None = None
    born: AwareDatetime | None = None
    own: bool = False
    admin: bool | None = None
    station: int | None = None
    client: str | None = None

    guard: SessionGuard | None = Field(default=None, repr=False)
    """``None`` where the row cannot be matched on the host; such a session is never acted on."""
    cut: bool = Field(default=False, repr=False)
    """The user name fills its column, so it may be cut (quser prints 20 characters)."""

    @model_validator(mode="before")
    @classmethod
    def _row_says_the_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("user_text"):
            return {**data, "user_text": data.get("user")}
        return data

    @classmethod
    def remembered(
        cls, session_id: int, *, user: str | None, account: str | None, state: State | None, born: datetime | None
    ) -> Self:
        """A session as a record tells it: it cannot be acted on."""
        state = state or State.UNKNOWN
        return cls(id=session_id, user=user or "", account=account, state=state, state_text=state.value, born=born)

    @property
    def is_uncertain(self) -> bool:
        """Whether the name in the row may stand for others too, because it is cut or garbled."""
        return self.cut or is_garbled(self.user_text)

    @property
    def on_console(self) -> bool:
        """Whether it is the console session (its name is never translated)."""
        return (self.session_name or "").lower() == "console"


class Station(Frozen):
    """One MultiPoint station and who sits there."""

    id: int
    name: str | None = None
    session_id: int | None = None
    user: str | None = None
    auto_logon: bool | None = None


class Observation(Frozen):
    """All that one look at a host tells. ``observed`` is the host's own time, in the host's own offset."""

    sessions: tuple[Session, ...]
    observed: AwareDatetime
    boot: AwareDatetime | None
    computer: str | None = None
    """The computer's own name (NetBIOS), whatever name or address led to it."""
    logon_mode: LogonMode | None = None
    multipoint: Literal["2012", "2016"] | None = None
    elevated: bool | None = None
    orphaned: tuple[int, ...] = ()
    """Ids of sessions without a user: processes without a session row, and disconnected or dead rows of nobody."""
    problems: tuple[str, ...] = ()
    others: int = 0
    """Sessions that are there too, and were not asked for."""

    rows: tuple[Row, ...] = Field(default=(), repr=False)
    """Every row of both tables: listeners, ``services`` and session 0 too, which are never candidates."""
    processes_in: tuple[int, ...] = ()
    """Session ids, other than 0, in which a person's processes run (W12)."""
    leftovers: tuple[int, ...] = ()
    """Session ids with a person's processes but without a row (W13)."""
    births: tuple[tuple[int, AwareDatetime], ...] = Field(default=(), repr=False)
    """(session id, creation time of its ``winlogon``) where that could be read, of leftovers and logon screens too."""
    stations: tuple[Station, ...] = ()
    running: tuple[tuple[int, str], ...] = ()
    """(session id, program) for each program that was asked for (W38)."""
    lease: str | None = None
    """The lease file's text; null where there is none."""
    sets_logons: bool | None = None
    """Whether the program that sets the logon mode is there."""
    broker: bool | None = None
    """Whether a broker governs who may log on here (W21)."""
    agents: tuple[str, ...] = ()
    """The services of desktop brokers that are there, by name."""
    pending_reboot: tuple[str, ...] | None = None
    unready: tuple[str, ...] = ()
    """Why the host is not ready for people yet, though it has started (W26)."""
    discards_changes: bool = False
    """MultiPoint's disk protection drops every change at restart (W23)."""
    mode: Literal["station", "console", "unknown"] | None = None
    """MultiPoint's mode; null without MultiPoint."""
    offset_until: AwareDatetime | None = None
    """Until when the host's offset from UTC is what it is now, to the hour, where it changes within a day."""
    locale: str | None = None
    """Of the host's people (``de-DE``), for notices."""
    encoding: str = "utf-8"
    constrained: bool = False
    """Only text came home, because PowerShell's language there lets a script look but not act (W30)."""

    @property
    def unguarded(self) -> str:
        """Why a session without a guard is never acted on, and the way out where there is one."""
        if self.constrained:
            return "PowerShell's constrained language there lets nobody act: publish the signed module (mpsbridge jea)"
        return "its row cannot be recognised again on the host, so acting might hit somebody else"


class Stations(Frozen):
    """A MultiPoint host's mode and stations; the mode is ``none`` where the host has no MultiPoint."""

    mode: Literal["station", "console", "unknown", "none"]
    stations: tuple[Station, ...]


class Logons(Frozen):
    """The logon mode as it is, and as it was before this call."""

    mode: LogonMode | None
    was: LogonMode | None


GONE_APART_S = 2.0
"""A session is gone when it is absent, row and processes, in two looks at least this far apart (W9)."""


class Result(StrEnum):
    """What became of one session."""

    SHOWN = "shown"
    DISCONNECTED = "disconnected"
    ENDED = "ended"
    GONE = "gone"
    CHANGED = "changed"
    REFUSED = "refused"
    KEPT = "kept"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    UNTOUCHED = "untouched"
    """It was meant, and the work broke off before it came to it."""
    WOULD = "would"

    @property
    def went_well(self) -> bool:
        """Whether nothing is left to be looked into."""
        return self not in {Result.CHANGED, Result.REFUSED, Result.EXPIRED, Result.UNKNOWN, Result.UNTOUCHED}


class SessionResult(Frozen):
    """One session and what became of it; ``text`` is for people (the program's own words where it said some)."""

    session: Session
    result: Result
    text: str = ""
    begun: bool = False
    """Whether the host said that it began the act; an ``unknown`` one that was not begun did not happen."""


def to_cim(moment: datetime) -> str:
    """An aware time as a CIM datetime in UTC, ``yyyyMMddHHmmss.ffffff+000``: compares as text, and no JSON reader
    takes it for a date of its own.
    """
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S.%f") + "+000"


def from_cim(text: str) -> datetime:
    """The reverse of :func:`to_cim`. Raises ``ValueError`` on anything else."""
    moment, offset = text[:21], text[21:]
    if offset != "+000":
        raise ValueError(f"not a UTC CIM datetime: {text!r}")
    return datetime.strptime(moment, "%Y%m%d%H%M%S.%f").replace(tzinfo=UTC)
