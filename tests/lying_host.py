"""A host of the lab that begins to lie: in what its scripts answer, or in the HTTP around it."""

from __future__ import annotations

import base64
import json
import re
import socket
import struct
from collections.abc import Callable
from typing import Any

from rude_host import request

from mpsbridge.lab.engines.contract import Answer, Memory, Submitted
from mpsbridge.lab.engines.scripted import ScriptedEngine
from mpsbridge.lab.world import LabHost

Envelope = dict[str, Any]
LAUGHS = b"<!DOCTYPE S [<!ENTITY a 'ha'>%s]><S>&z;</S>" % b"".join(
    b"<!ENTITY %c '&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;'>" % (letter, *[letter - 1] * 8)
    for letter in range(ord("b"), ord("z") + 1)
)
EVIL_LINE = " (x  " + "2  a  1  " * 100 + "yyyy"


class LyingEngine(ScriptedEngine):
    """Tells the truth about every host; of ``liar`` only in its first ``honest`` answers."""

    def __init__(self, lie: Callable[[Envelope], str], *, honest: int) -> None:
        self._lie = lie
        self._honest = honest
        self.lies = 0

    def answer(self, host: LabHost, submitted: Submitted, memory: Memory) -> Answer:
        truth = super().answer(host, submitted, memory)
        said = yield from truth
        if host.name != "liar":
            return said
        self._honest -= 1
        envelope = json.loads(said if isinstance(said, str) else said[-1])
        if self._honest >= 0 or "quser" not in envelope["result"]:
            return said
        self.lies += 1
        return self._lie(envelope)


def date_pattern(envelope: Envelope) -> str:
    """Names beside each other, which letters can be shared out among in very many ways."""
    envelope["result"]["patterns"]["short_date"] = "dddMMM" * 15 + " d/M/yyyy"
    row = f" {'alice':<22}{'rdp-tcp#1':<19}  2  Active          .  {'a' * 300} 1/2/2026 1:00 PM\r\n"
    return _with_table(envelope, row)


def table_lines(envelope: Envelope) -> str:
    """A megabyte of lines that nearly are rows."""
    return _with_table(envelope, (EVIL_LINE[:995] + "\r\n") * 950)


def endless_output(envelope: Envelope) -> str:
    """More than any script has to say."""
    return json.dumps(envelope) + " " * 5_000_000


def many_values(envelope: Envelope) -> str:
    """Small on the wire, large in memory."""
    envelope["result"]["owners"] = [{}] * 300_000
    return json.dumps(envelope)


def surrogates(envelope: Envelope) -> str:
    """A name that no encoding can take."""
    envelope["result"]["owners"] = [{"id": 2, "account": "DOM\\e\ud800ve"}]
    return json.dumps(envelope)


ENGINE_LIES: dict[str, Callable[[Envelope], str]] = {
    lie.__name__: lie for lie in (date_pattern, table_lines, endless_output, many_values)
}


def _with_table(envelope: Envelope, rows: str) -> str:
    header = " USERNAME              SESSIONNAME        ID  STATE   IDLE TIME  LOGON TIME\r\n"
    envelope["result"]["quser"]["out"] = base64.b64encode((header + rows).encode()).decode()
    return json.dumps(envelope)


def long_header(_answer: bytes) -> bytes:
    """One header with blanks inside, nearly as long as a head may be."""
    return b"HTTP/1.1 200 OK\r\nX: a" + b" " * 60_000 + b"b\r\nContent-Length: 0\r\n\r\n"


def big_soap(_answer: bytes) -> bytes:
    """Sixteen megabytes of small elements."""
    return whole(b"<s:Envelope xmlns:s='x'>" + b"<a/>" * 4_000_000 + b"</s:Envelope>")


def entities(answer: bytes) -> bytes:
    """A message of PowerShell's whose XML grows without end."""
    found = re.search(rb"(<rsp:Stream[^>]*>)([A-Za-z0-9+/=]+)(</rsp:Stream>)", answer)
    if found is None:
        return answer
    fragment = base64.b64decode(found[2])
    message = fragment[21:61] + LAUGHS
    spoilt = fragment[:17] + struct.pack(">I", len(message)) + message
    body = answer.partition(b"\r\n\r\n")[2]
    return whole(body.replace(found[2], base64.b64encode(spoilt)))


WIRE_LIES: dict[str, Callable[[bytes], bytes]] = {lie.__name__: lie for lie in (long_header, big_soap, entities)}


def whole(body: bytes) -> bytes:
    """An HTTP answer with this body."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def lying_between(
    place: tuple[str, int], lie: Callable[[bytes], bytes], *, honest: int
) -> Callable[[socket.socket], None]:
    """What a :class:`RudeHost` does to stand before a host of a lab: the first ``honest`` answers pass as they are."""
    left = [honest]

    def behave(connection: socket.socket) -> None:
        with socket.create_connection(place, 5) as host:
            while asked := request(connection):
                host.sendall(asked)
                answered = request(host)
                left[0] -= 1
                connection.sendall(answered if left[0] >= 0 else lie(answered))

    return behave
