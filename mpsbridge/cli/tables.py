"""How sessions, stations and results look to people, as rows of plain cells. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from mpsbridge.models.durations import format_duration
from mpsbridge.models.sessions import Result, Session, SessionResult, Station
from mpsbridge.models.targets import Target

SESSION_COLUMNS = ("HOST", "ID", "USER", "SESSION", "STATE", "IDLE", "LOGON", "AGE", "")
RESULT_COLUMNS = ("HOST", "ID", "USER", "STATION", "RESULT", "")
HOST_COLUMNS = ("HOST", "ADDRESS", "PORT", "TLS", "AUTH", "USER", "GROUPS")
ENDS = {Result.WOULD: "would end"}
"""How results of the procedure are told, where not by their own word."""
STATION_COLUMNS = ("HOST", "STATION", "NAME", "ID", "USER", "")


def session_row(host: str, session: Session, *, age_s: float | None = None) -> tuple[object, ...]:
    """One session; the last cell says what is special about it, the one before how old the look is, if that is told."""
    return (
        host,
        session.id,
        session.account or session.user,
        session.session_name,
        session.state.value.replace("_", " "),
        idle_cell(session.idle_s),
        when(session.logon) or session.logon_text,
        None if age_s is None else f"{age_s:.0f}s",
        ", ".join(_remarks(session)),
    )


def result_row(host: str, result: SessionResult, words: Mapping[Result, str] = ENDS) -> tuple[object, ...]:
    """One session and what became of it; ``words`` are those of the act where a result has its own there."""
    session, became = result.session, words.get(result.result, result.result.value)
    return host, session.id, session.account or session.user, session.station, became, result.text


def host_row(target: Target, groups: Sequence[str]) -> tuple[object, ...]:
    """One host as it would be reached."""
    if target.kind == "local":
        return target.host, "this machine", None, None, None, None, None
    tls = "no" if not target.tls else "unchecked" if target.insecure_tls else "yes"
    return target.host, target.address, target.port, tls, target.auth.value, target.username, ", ".join(groups)


def station_row(host: str, station: Station) -> tuple[object, ...]:
    """One MultiPoint station."""
    remark = "logs on by itself" if station.auto_logon else ""
    return host, station.id, station.name, station.session_id, station.user, remark


def idle_cell(idle_s: int | None) -> str:
    """``12m``; ``-`` for less than a minute, ``?`` where it is not known."""
    if idle_s is None:
        return "?"
    return "-" if idle_s < 60 else format_duration(idle_s // 60 * 60)


def when(moment: datetime | None) -> str:
    """A time in the host's own offset, to the minute."""
    return moment.strftime("%Y-%m-%d %H:%M") if moment else ""


def _remarks(session: Session) -> list[str]:
    remarks = []
    if session.own:
        remarks.append("this call's own")
    if session.admin is not False:
        remarks.append("administrator" if session.admin else "administrator: unknown")
    if session.station is not None:
        remarks.append(f"station {session.station}")
    if session.client:
        remarks.append(f"from {session.client}")
    return remarks
