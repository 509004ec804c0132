"""Where make-believe hosts listen: one loopback address each, and one port for all.

Where the system has one loopback address only (macOS, unless others are added by ``ifconfig lo0 alias``), all hosts
have that one, and each a port of its own.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from mpsbridge.errors import SettingsError
from mpsbridge.lab.windows.host import LabHost

FIRST_ADDRESS = IPv4Address("127.20.0.1")
"""Hosts without an address of their own get this one and those after it."""
ONLY_ADDRESS = "127.0.0.1"
_PORT_TRIES = 20


@dataclass(frozen=True, slots=True)
class LabAddress:
    """Where one host of the lab is, and whether anybody listens there; ``port`` is 0 until the lab has started."""

    name: str
    address: str
    listens: bool = True
    port: int = 0


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


def bind(hosts: list[LabAddress], port: int) -> tuple[list[LabAddress], dict[str, socket.socket]]:
    """The hosts with their port, and one bound socket for each that listens, by name.

    With port 0 another port is tried if one is taken somewhere. Raises ``SettingsError``.
    """
    listening = [place for place in hosts if place.listens]
    failure: OSError | None = None
    for _ in range(_PORT_TRIES if port == 0 else 1):
        try:
            found, sockets = _bind_all(listening, port)
            return [replace(place, port=found) for place in hosts], sockets
        except OSError as error:
            failure = error
            if error.errno == errno.EADDRNOTAVAIL:
                return _bind_at_one_address(hosts, port)
    raise SettingsError(f"the lab cannot listen: {failure}") from failure


def _bind_at_one_address(hosts: list[LabAddress], port: int) -> tuple[list[LabAddress], dict[str, socket.socket]]:
    """The same where there is one address: each host has a port of its own, from ``port`` on where it is not 0."""
    sockets: dict[str, socket.socket] = {}
    placed = []
    try:
        for number, place in enumerate(hosts):
            sock = sockets[place.name] = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.bind((ONLY_ADDRESS, port + number if port else 0))
            placed.append(replace(place, address=ONLY_ADDRESS, port=int(sock.getsockname()[1])))
    except OSError as error:
        for sock in sockets.values():
            sock.close()
        raise SettingsError(f"the lab cannot listen: {error}") from error
    for place in hosts:
        if not place.listens:
            sockets.pop(place.name).close()
    return placed, sockets


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
