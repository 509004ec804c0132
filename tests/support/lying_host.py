"""A host of the lab that begins to lie: in what its scripts answer, or in the HTTP around it."""

from __future__ import annotations

import base64
import json
import re
import socket
import struct
from collections.abc import Callable
from typing import Any

from mpsbridge.lab.engines.contract import Answer, Memory, Submitted
from mpsbridge.lab.engines.scripted.engine import ScriptedEngine
from mpsbridge.lab.windows.host import LabHost
from support.rude_host import request

Envelope = dict[str, Any]
LAUGHS = b"<!DOCTYPE S [<!ENTITY a 'ha'>%s]><S>&z;</S>" % b"".join(
    b"<!ENTITY %c '&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;'>" % (letter, *[letter - 1] * 8)
    for letter in range(ord("b"), ord("z") + 1)
)
EVIL_LINE = " (x  " + "2  a  1  " * 100 + "yyyy"


class LyingEngine(ScriptedEngine):
    """Tells the truth about every host; of ``liar`` only in its first ``honest`` answers."""

    def __init__(self, lie: Callable[[Envelope], str | tuple[str, ...]], *, honest: int) -> None:
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


def table_rows(envelope: Envelope) -> str:
    """As many people as fit into the table."""
    rows = "".join(
        f" {f'user{number}':<22}{'rdp-tcp#1':<18}{number:>5}  Active  .  1/2/2026 1:00 PM\r\n"
        for number in range(1, 12_000)
    )
    return _with_table(envelope, rows)


def endless_output(envelope: Envelope) -> str:
    """More than any script has to say."""
    return json.dumps(envelope) + " " * 5_000_000


def endless_pieces(envelope: Envelope) -> tuple[str, ...]:
    """The same in strings that are each short enough."""
    return (json.dumps(envelope), *[" " * 1_000_000] * 20)


def many_values(envelope: Envelope) -> str:
    """Small on the wire, large in memory."""
    envelope["result"]["owners"] = [{}] * 300_000
    return json.dumps(envelope)


def many_births(envelope: Envelope) -> str:
    """More than there are sessions' numbers."""
    born = "20261125090500.000000+000"
    envelope["result"]["births"] = [{"id": number, "born": born} for number in range(30_000)]
    return json.dumps(envelope)


def long_texts(envelope: Envelope) -> str:
    """An account, a client and a lease's owner of a megabyte together."""
    long = "x" * 400_000
    envelope["result"]["owners"] = [{"id": 2, "account": long}]
    envelope["result"]["lease"] = json.dumps({"schema": "mpsbridge-lease/1", "owner": long})
    return json.dumps(envelope)


def long_problems(envelope: Envelope) -> str:
    """A megabyte of things that could not be found out."""
    envelope["problems"] = ["x" * 1000] * 1000 + ["y" * 500_000]
    return json.dumps(envelope)


def deep_values(envelope: Envelope) -> str:
    """Values in values in values."""
    return json.dumps(envelope)[:-1] + ', "x": ' + "[" * 500 + "]" * 500 + "}"


def surrogates(envelope: Envelope) -> str:
    """A name that no encoding can take."""
    envelope["result"]["owners"] = [{"id": 2, "account": "DOM\\e\ud800ve"}]
    return json.dumps(envelope)


def honest(envelope: Envelope) -> str:
    """The truth."""
    return json.dumps(envelope)


ENGINE_LIES: dict[str, Callable[[Envelope], str | tuple[str, ...]]] = {
    lie.__name__: lie
    for lie in (
        date_pattern,
        table_lines,
        table_rows,
        endless_output,
        endless_pieces,
        many_values,
        many_births,
        long_texts,
        long_problems,
        deep_values,
    )
}


def _with_table(envelope: Envelope, rows: str) -> str:
    header = " USERNAME              SESSIONNAME        ID  STATE   IDLE TIME  LOGON TIME\r\n"
    envelope["result"]["quser"]["out"] = base64.b64encode((header + rows).encode()).decode()
    return json.dumps(envelope)


def long_header(_answer: bytes) -> bytes:
    """One header with blanks inside, nearly as long as a head may be."""
    return b"HTTP/1.1 200 OK\r\nX: a" + b" " * 60_000 + b"b\r\nContent-Length: 0\r\n\r\n"


def many_headers(_answer: bytes) -> bytes:
    """Thousands of short ones."""
    return b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * 12_000 + b"Content-Length: 0\r\n\r\n"


def interim_answers(_answer: bytes) -> bytes:
    """Tens of megabytes of answers that are none."""
    return b"HTTP/1.1 100 Continue\r\n\r\n" * 2_000_000


def chunk_extensions(_answer: bytes) -> bytes:
    """Chunks of a byte with a long word beside it."""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"1;" + b"e" * 60_000 + b"\r\nx\r\n") * 1000


def big_soap(_answer: bytes) -> bytes:
    """Sixteen megabytes of small elements."""
    return whole(b"<s:Envelope xmlns:s='x'>" + b"<a/>" * 4_000_000 + b"</s:Envelope>")


def entities(answer: bytes) -> bytes:
    """A message of PowerShell's whose XML grows without end."""
    return _with_message(answer, LAUGHS)


def escaped(answer: bytes) -> bytes:
    """A message of PowerShell's of characters that are written as seven each."""
    return _with_message(answer, b"<S>" + b"_x0041_" * 70_000 + b"</S>")


def _with_message(answer: bytes, xml: bytes) -> bytes:
    """The answer with other XML in its first message, if it has one."""
    found = re.search(rb"(<rsp:Stream[^>]*>)([A-Za-z0-9+/=]+)(</rsp:Stream>)", answer)
    if found is None:
        return answer
    fragment = base64.b64decode(found[2])
    message = fragment[21:61] + xml
    spoilt = fragment[:17] + struct.pack(">I", len(message)) + message
    body = answer.partition(b"\r\n\r\n")[2]
    return whole(body.replace(found[2], base64.b64encode(spoilt)))


WIRE_LIES: dict[str, Callable[[bytes], bytes]] = {
    lie.__name__: lie
    for lie in (long_header, many_headers, big_soap, interim_answers, chunk_extensions, entities, escaped)
}


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
