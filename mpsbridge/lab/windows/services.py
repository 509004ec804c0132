"""The services of a host, as far as anybody asks for them."""

from __future__ import annotations

from mpsbridge.lab.windows.host import LabHost


def services(host: LabHost) -> dict[str, str]:
    """Those that are there, and whether they run."""
    found = {
        "TermService": "Stopped" if "TermService" in host.unready() else "Running",
        "WinRM": "Running",
        "Schedule": "Running",
    }
    if host.facts.generation != "none":
        found["WmsSvc"] = "Running"
    return found | dict.fromkeys(host.facts.agents, "Running")
