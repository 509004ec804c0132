"""What follows on a host when its sessions are gone."""

from __future__ import annotations

from enum import StrEnum


class Then(StrEnum):
    """What follows when the sessions are gone."""

    NOTHING = "nothing"
    RESTART = "restart"
    SHUTDOWN = "shutdown"
    CONSOLE_MODE = "console-mode"
    STATION_MODE = "station-mode"
