"""Sessions that are spared unless somebody names them, and sessions that a filter cannot judge. Pure.

Rules: who is named by id or user is meant, whoever it is; an administrator of whom the host cannot tell whether it is
one is spared like one that is (W10); what a selector silently passes over is said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mpsbridge.models.sessions import Observation, Session

UNKNOWN_ADMINISTRATOR = "whether an administrator: unknown"
NO_LOGON_PROGRAM = "the host has no chglogon.exe"
Exemption = tuple[str, str] | None
"""Why a session is spared, and the option that ends it all the same; ``None`` where it is not spared."""


def administrator(session: Session, *, include_admins: bool, is_named: bool) -> Exemption:
    """Whether a session is spared as an administrator's, or as one that may be."""
    if session.admin is False or include_admins or is_named:
        return None
    return "an administrator" if session.admin else UNKNOWN_ADMINISTRATOR, "--include-admins"


def console(session: Session, *, include_console: bool, is_named: bool) -> Exemption:
    """Whether a session is spared because it is the console's."""
    spared = session.on_console and not include_console and not is_named
    return ("on the console", "--include-console") if spared else None


def unknown_idle(seen: Observation) -> str:
    """What is said where sessions are chosen by their idle time and some tell none; else empty."""
    ids = [str(session.id) for session in seen.sessions if session.idle_s is None]
    if not ids:
        return ""
    noun = "session" if len(ids) == 1 else "sessions"
    return f"--idle-over passes over {noun} {', '.join(ids)}: idle time unknown, as at stations and the console"


def returning_stations(seen: Observation, ids: Collection[int]) -> Iterable[str]:
    """What is said of each station that logs on by itself again when its session ends."""
    for station in seen.stations:
        if station.auto_logon and station.session_id in ids:
            yield f"station {station.id} logs on again by itself: its session is ended once, and not again"
