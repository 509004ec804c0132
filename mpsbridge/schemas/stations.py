"""The answer of ``stations``."""

from __future__ import annotations

from typing import Any, Literal

from mpsbridge.schemas.published import Published, Value


class Station(Published):
    """One MultiPoint station and who sits there."""

    id: int
    name: str | None
    session_id: int | None
    user: str | None
    auto_logon: bool | None


class StationsValue(Value):
    """A host's mode and its stations; the mode is ``none`` where the host has no MultiPoint."""

    mode: Literal["station", "console", "unknown", "none"]
    stations: tuple[Station, ...]

    @classmethod
    def fields(cls) -> tuple[str, ...]:
        """Those of a station."""
        return tuple(Station.model_fields)

    def records(self) -> list[dict[str, Any]]:
        """A row for each station."""
        return [station.as_json() for station in self.stations]
