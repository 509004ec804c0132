"""``stations``: MultiPoint's own view, its mode and who sits at which station."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from mpsbridge.models.answers import WmsAnswer
from mpsbridge.models.frozen import Answer
from mpsbridge.models.scripts import Effect, RawOutput
from mpsbridge.models.sessions import Stations
from mpsbridge.parsing.observation import Check
from mpsbridge.parsing.wms import stations
from mpsbridge.snippets.snippet import Snippet, unhurried


class StationsAnswer(Answer):
    """The result of ``stations``; ``wms`` is null where no MultiPoint module is present."""

    wms: WmsAnswer | None = None


class ListStations(Snippet):
    """``Get-MpsbridgeStation``. ``time_limit_s`` bounds each Wms call."""

    name: ClassVar[str] = "stations"
    effect: ClassVar[Effect] = Effect.READ
    time_limit_s: int = Field(default=20, ge=1, le=300)

    @classmethod
    def read(cls, output: RawOutput, _check: Check = unhurried) -> Stations:
        """The stations. Raises ``RemoteError`` and ``ParseError``."""
        return stations(cls.answered(output, StationsAnswer).wms)
