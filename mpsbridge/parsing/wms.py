"""MultiPoint's own view: stations and mode."""

from __future__ import annotations

from typing import Literal

from mpsbridge.models.answers import WmsAnswer
from mpsbridge.models.sessions import Station, Stations


def stations(wms: WmsAnswer | None) -> Stations:
    """The stations of a host; ``wms`` is null where it has no MultiPoint module, and so none."""
    if wms is None:
        return Stations(mode="none", stations=())
    return Stations(mode=mode_of(wms.mode), stations=stations_of(wms))


def stations_of(wms: WmsAnswer) -> tuple[Station, ...]:
    """The stations, with who sits there: as the station says, else as the session at the station says."""
    at_station = {session.station: session for session in wms.sessions if session.station is not None}
    found = []
    for station in wms.stations:
        session = at_station.get(station.id)
        found.append(
            Station(
                id=station.id,
                name=station.name or None,
                session_id=station.session_id if station.session_id is not None or session is None else session.id,
                user=station.user or (session.user if session else None) or None,
                auto_logon=station.auto_logon,
            )
        )
    return tuple(found)


def mode_of(word: str | None) -> Literal["station", "console", "unknown"]:
    """What ``SystemMode`` means: ``Normal`` is station mode, by inference from the one sample in Microsoft's pages."""
    text = (word or "").strip().lower()
    if text in {"normal", "station", "stationmode"}:
        return "station"
    return "console" if "console" in text or "maintenance" in text else "unknown"
