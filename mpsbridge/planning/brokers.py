"""The products that decide who may log on to a host, by the services of their agents. Pure."""

from __future__ import annotations

from collections.abc import Iterable

_PRODUCTS = {
    "rdagentbootloader": "Azure Virtual Desktop",
    "brokeragent": "Citrix Virtual Apps and Desktops",
    "wsnm": "Horizon",
}


def governor(agents: Iterable[str]) -> str:
    """Who governs a host on which these services are; without any it is Remote Desktop's own connection broker."""
    found = [f"{_PRODUCTS.get(agent.lower(), 'a desktop broker')} (service {agent})" for agent in agents]
    return " and ".join(found) or "a Remote Desktop connection broker"
