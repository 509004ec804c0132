"""Where make-believe hosts listen: one loopback address each, and one port for all."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from mpsbridge.errors import SettingsError
from mpsbridge.lab.windows.host import LabHost

FIRST_ADDRESS = IPv4Address("127.20.0.1")
"""Hosts without an address of their own get this one and those after it."""
_PORT_TRIES = 20


@dataclass(frozen=True, slots=True)
class LabAddress:
    """Where one host of the lab is, and whether anybody listens there."""

    name: str
    address: str
    listens: bool = True


def places(hosts: Iterable[LabHost]) -> list[LabAddress]:
    """Each host's own address, or the next one that nobody names. Raises ``SettingsError`` where two are the same."""
    hosts = list(hosts)
    named = [host.facts.address for host in hosts if host.facts.address]
    if len(set(named)) != len(named):
        raise SettingsError("two hosts of the world have the same address")
    free = (str(FIRST_ADDRESS + number) for number in range(65535) if (number + 1) % 256 not in {0, 255})
    unnamed = (address for address in free if address not in set(named))
    return [LabAddress(host.name, host.facts.address or next(unnamed), not _refuses(host)) for host in hosts]


def _refuses(host: LabHost) -> bool:
    return host.facts.down or any(fault.step == "connect" and fault.do == "refuse" for fault in host.faults)


def bind(listening: list[LabAddress], port: int) -> tuple[int, dict[str, socket.socket]]:
    """The port, and one bound socket for each host by name; with port 0 another port is tried if it is taken somewhere.

    Raises ``SettingsError``.
    """
    failure: OSError | None = None
    for _ in range(_PORT_TRIES if port == 0 else 1):
        try:
            return _bind_all(listening, port)
        except OSError as error:
            failure = error
    raise SettingsError(f"the lab cannot listen: {failure}") from failure


def _bind_all(listening: list[LabAddress], port: int) -> tuple[int, dict[str, socket.socket]]:
    sockets: dict[str, socket.socket] = {}
    try:
        for place in listening:
            sock = sockets[place.name] = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((place.address, port))
            port = port or int(sock.getsockname()[1])
    except OSError:
        for sock in sockets.values():
            sock.close()
        raise
    return port or _free_port(), sockets


def _free_port() -> int:
    """A port for a lab in which every host is down: nobody listens there."""
    with socket.socket() as probe:
        probe.bind((str(FIRST_ADDRESS), 0))
        return int(probe.getsockname()[1])
