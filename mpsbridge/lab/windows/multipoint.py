"""MultiPoint's own service: its mode, sessions and stations, as it tells them to an administrator."""

from __future__ import annotations

from typing import Any

from mpsbridge.lab.windows.accounts import sees
from mpsbridge.lab.windows.host import LabHost


def multipoint(host: LabHost) -> dict[str, Any] | None:
    """What MultiPoint tells of itself, its sessions and stations."""
    if host.facts.generation == "none" or not sees(host):
        return None
    by_id = {each.id: each for each in host.rows()}
    return {
        "generation": host.facts.generation,
        "mode": host.mode,
        "disk_protection": host.facts.disk_protection if host.facts.generation == "2016" else None,
        "problem": None,
        "sessions": [
            {
                "id": each.id,
                "user": each.user,
                "domain": each.account.split("\\")[0] if "\\" in each.account else None,
                "state": "ConnectedToStation" if each.station else "RemoteConnection",
                "station": each.station or 0,
                "admin": each.admin,
                "client": each.client,
            }
            for each in by_id.values()
        ],
        "stations": [
            {
                "id": station.id,
                "name": station.name,
                "session_id": station.session_id if station.session_id in by_id else None,
                "user": by_id[station.session_id].user if station.session_id in by_id else None,
                "auto_logon": station.auto_logon,
            }
            for station in host.stations
        ],
    }
