"""The parameters of each snippet: what a call on a host may carry.

Each field becomes one parameter of the PowerShell function, by the template's last statement. Sessions travel as one
JSON text (``{"sessions": [...]}``, ASCII only) that the function reads and checks itself, so the same call works where
only published functions may be called. Times travel as CIM datetimes in UTC.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from mpsbridge.models.frozen import Given
from mpsbridge.models.sessions import AllowedSession, CimTime, LogonMode, SessionGuard

TEXT_LIMIT = 255
"""Characters of a message, as Windows counts them (UTF-16). The cap of Ansible's ``win_msg``; Microsoft's page on
``msg`` gives none."""

LEASE_LIMIT = 250_000
"""Characters of a lease, mostly the marks of its notices: about two thousand of them."""

S = TypeVar("S", SessionGuard, AllowedSession)

_PROGRAM = re.compile(r"[\w][\w .+-]{0,63}")
_RUN = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")


def _message_text(text: str) -> str:
    """The text of a message, or ``ValueError`` with the reason why ``msg.exe`` must not get it (W32)."""
    if not text.strip():
        raise ValueError("the text is empty")
    if (length := len(text.encode("utf-16-le", "surrogatepass")) // 2) > TEXT_LIMIT:
        raise ValueError(f"the text has {length} characters; at most {TEXT_LIMIT} are sent")
    if text[0] in "/-@":
        raise ValueError(f"the text begins with {text[0]!r}, which msg.exe would take for an option or a file")
    for character in text:
        if ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0:
            raise ValueError(f"the text holds the control character U+{ord(character):04X}; write it on one line")
        if 0xD800 <= ord(character) <= 0xDFFF:
            raise ValueError("the text holds half a surrogate pair, so it is not valid Unicode")
    return text


def _run_id(text: str) -> str:
    if not _RUN.fullmatch(text):
        raise ValueError("a run id is 1 to 64 letters, digits and hyphens")
    return text


def _program_name(text: str) -> str:
    name = text.lower().removesuffix(".exe")
    if not _PROGRAM.fullmatch(name):
        raise ValueError(f"{text!r} is not a program name; write it like winword or winword.exe")
    return name


def _one_line(text: str) -> str:
    if found := re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", text):
        raise ValueError(f"the text holds U+{ord(found[0]):04X}; write it on one line")
    return text


def _distinct(sessions: tuple[S, ...]) -> tuple[S, ...]:
    ids = [session.id for session in sessions]
    if len(set(ids)) != len(ids):
        raise ValueError("a session id is named twice")
    return sessions


OneLine = Annotated[str, AfterValidator(_one_line)]
ProgramName = Annotated[str, AfterValidator(_program_name)]
MessageText = Annotated[str, AfterValidator(_message_text)]
RunId = Annotated[str, AfterValidator(_run_id)]
AllowedSessions = Annotated[tuple[AllowedSession, ...], AfterValidator(_distinct), Field(max_length=1000)]
LeaseDemand = Literal["free", "held"]
"""What a script demands of the lease before each act: nobody else holds the host (``free``), or this very run does
(``held``), so that nothing of a run comes late when it, or somebody for it, has let go of the host (W19).
"""


class ObserveParameters(Given):
    """``Get-MpsbridgeObservation``. ``time_limit_s`` bounds each native program.

    ``programs`` are looked for in every session (W38).
    """

    programs: tuple[ProgramName, ...] = Field(default=(), max_length=32)
    time_limit_s: int = Field(default=20, ge=1, le=300)


class LookParameters(Given):
    """``Get-MpsbridgeLook``: the small observation for waiting (W16)."""

    time_limit_s: int = Field(default=20, ge=1, le=300)


class StationsParameters(Given):
    """``Get-MpsbridgeStation``. ``time_limit_s`` bounds each Wms call."""

    time_limit_s: int = Field(default=20, ge=1, le=300)


class LogonsParameters(Given):
    """``Get-MpsbridgeLogonMode``: no parameters."""


class LogonsSetParameters(Given):
    """``Set-MpsbridgeLogonMode``: compare-and-set (W17). With ``expected`` null the mode found is not compared."""

    mode: LogonMode
    expected: LogonMode | None = None
    not_after: CimTime
    run: RunId
    lease: LeaseDemand = "free"


class ActParameters(Given):
    """What ``disconnect`` carries (``Disconnect-MpsbridgeSession``), and every act on sessions."""

    sessions: Annotated[tuple[SessionGuard, ...], AfterValidator(_distinct)] = Field(min_length=1, max_length=1000)
    not_after: CimTime
    """Host time after which nothing more is done (W4)."""
    run: RunId
    time_limit_s: int = Field(default=20, ge=1, le=300)
    """Bounds each program that is waited for; a log-off itself is started, not waited for (W3)."""


class LogOffParameters(ActParameters):
    """``Close-MpsbridgeSession``."""

    lease: LeaseDemand = "free"


class ResetParameters(LogOffParameters):
    """What ``reset`` carries (``Reset-MpsbridgeSession``): each session with its birth, for its row may be gone."""

    @model_validator(mode="after")
    def _births_are_known(self) -> ResetParameters:
        if any(guard.born is None for guard in self.sessions):
            raise ValueError("a reset needs to know when each session began")
        return self


class MessageParameters(ActParameters):
    """``Send-MpsbridgeMessage``: one box in each session, shown for ``display_s`` seconds.

    With a ``notice`` (its name and the end that it announces: ``15m-20261125180000``) the script marks the run's lease
    around each box, and sends none twice.
    """

    text: MessageText
    display_s: int = Field(default=60, ge=1, le=600)
    notice: str | None = Field(default=None, pattern=r"^[0-9a-z-]{1,40}$")


class LeaseParameters(Given):
    """``Set-MpsbridgeLease``: compare-and-set of the lease file (W22).

    ``text`` null removes it, ``expected`` null demands that there is none. A text that is not a lease is refused on the
    host; one that could not be read there is ``""``, as in an observation; ``sha256:`` and 64 hexadecimal digits stand
    for the text with that digest (as UTF-8), which need not be one that a script can carry. ``run`` is whoever asks.
    """

    text: str | None = Field(max_length=LEASE_LIMIT)
    expected: str | None = Field(max_length=LEASE_LIMIT)
    not_after: CimTime
    run: RunId


class FailsafeParameters(Given):
    """``Register-MpsbridgeFailsafe``: the task that restores logons when the lease has run out (W19)."""

    found: LogonMode
    set: LogonMode
    owner: OneLine = Field(max_length=200)
    not_after: CimTime
    run: RunId


class FailsafeRemoveParameters(Given):
    """``Unregister-MpsbridgeFailsafe``."""

    not_after: CimTime
    run: RunId


class PowerParameters(Given):
    """``Invoke-MpsbridgePower``: the last look and the order in one script (W24).

    ``allowed`` are the sessions that may still be there: of stations that sign somebody in by themselves (W8), and
    half-dead ones (W13). Whoever else has such a number by then is somebody who is left.
    """

    action: Literal["restart", "shutdown", "abort"]
    allowed: AllowedSessions = ()
    reason: OneLine = Field(default="", max_length=300)
    not_after: CimTime
    run: RunId
    lease: LeaseDemand = "free"
    time_limit_s: int = Field(default=20, ge=1, le=300)


class ModeParameters(Given):
    """``Set-MpsbridgeMode``: MultiPoint's console or station mode, after the same last look (W27)."""

    mode: Literal["console", "station"]
    allowed: AllowedSessions = ()
    not_after: CimTime
    run: RunId
    lease: LeaseDemand = "free"
    time_limit_s: int = Field(default=60, ge=1, le=300)
