"""PowerShell remoting over pipes, framing without I/O: what ``powershell.exe -s`` and ``pwsh -s`` speak.

Each packet is one XML element on a line of its own (the "out of process" transport of PowerShell; its open source is
the only description). ``Data`` carries PSRP fragments as base64, for the runspace pool (the empty GUID) or for a
pipeline; ``Command`` announces a pipeline, ``Signal`` stops and ``Close`` drops it; each is acknowledged by its name
with ``Ack``. Rules: a line in, a packet out, and back; no I/O and no state.

Whoever sends has to wait for each acknowledgement: PowerShell 7 loses the ``Data`` of a pipeline that comes before it
has acknowledged the ``Command`` (seen in a quarter of tries), and then says nothing more.
"""

from __future__ import annotations

import base64
import re
import uuid
from typing import NamedTuple

NAMES = ("Data", "Command", "Signal", "Close")
_ELEMENT = re.compile(
    rb"<(?P<name>(?:Data|Command|Signal|Close)(?:Ack)?)(?P<attributes>(?: \w+=(?:'[^'<>]*'|\"[^\"<>]*\"))*)"
    rb" ?(?:/>|>(?P<data>[A-Za-z0-9+/=]*)</(?P=name)>)"
)
_GUID = re.compile(rb" PSGuid=['\"]([0-9A-Fa-f-]{36})['\"]")


class BadPacket(ValueError):
    """A line that is no packet: the other side wrote something else to the pipe."""


class Packet(NamedTuple):
    """One packet. ``pipeline`` is ``None`` for the runspace pool itself; only ``Data`` has ``data``."""

    name: str
    pipeline: uuid.UUID | None = None
    data: bytes = b""

    def line(self) -> bytes:
        """The packet as it goes into the pipe, its line end included."""
        guid = self.pipeline or uuid.UUID(int=0)
        if self.name == "Data":
            text = base64.b64encode(self.data).decode("ascii")
            return f"<Data Stream='Default' PSGuid='{guid}'>{text}</Data>\n".encode()
        return f"<{self.name} PSGuid='{guid}' />\n".encode()


def read_packet(line: bytes) -> Packet:
    """The packet on one line. Raises :class:`BadPacket`."""
    element = _ELEMENT.fullmatch(line.strip())
    guid = _GUID.search(element["attributes"]) if element else None
    if element is None or guid is None:
        raise BadPacket(f"not a packet of PowerShell's: {line[:80]!r}")
    try:
        pipeline = uuid.UUID(guid[1].decode("ascii"))
        data = base64.b64decode(element["data"] or b"", validate=True)
    except ValueError as error:
        raise BadPacket(f"not a packet of PowerShell's: {error}") from error
    return Packet(element["name"].decode("ascii"), pipeline if pipeline.int else None, data)
