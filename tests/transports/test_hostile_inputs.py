"""Hostile inputs for each boundary between a host and us: in time, in little memory, with our own errors or none.

Figures are printed with ``-s``; the deep profile tries 40,000 of each of the first four.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from conftest import SEED, examples
from support.lying_host import EVIL_LINE, LAUGHS

from mpsbridge.errors import MpsBridgeError
from mpsbridge.models.answers import ObserveAnswer, PatternsAnswer
from mpsbridge.models.scripts import RawOutput
from mpsbridge.parsing.observation import observe
from mpsbridge.parsing.quser import parse
from mpsbridge.parsing.times import logon_time
from mpsbridge.snippets.observe import Observe
from mpsbridge.transports.fragments import Fragments, Messages, in_one_fragment
from mpsbridge.transports.messages import CachingSerializer
from mpsbridge.transports.reply import BadAnswer, read_answer
from mpsbridge.transports.taken import Taken

MOST_S, MOST_MIB = 5.0, 64.0
"""For one input, on a machine with other things to do; a quiet one needs a tenth of the time."""
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HEADER = " USERNAME              SESSIONNAME        ID  STATE   IDLE TIME  LOGON TIME\r\n"
ROW = " alice                 rdp-tcp#1           2  Active       1:23  11/25/2026 9:05 AM\r\n"
ENVELOPE = json.dumps(
    {
        "mpsbridge": 1,
        "snippet": "observe",
        "ok": True,
        "problems": ["none"],
        "result": {
            "now": "20261125120000.000000+000",
            "utc_offset_min": 60,
            "quser": {"exit": 0, "out": base64.b64encode((HEADER + ROW).encode()).decode()},
            "qwinsta": {"exit": 1},
            "owners": [{"id": 2, "account": "CORP\\alice", "sid": "S-1-5-21-1"}],
            "births": [{"id": 2, "born": "20261125090500.000000+000"}],
            "caller": {"elevated": True},
        },
    }
)
CLIXML = (
    '<Obj RefId="0"><TN RefId="0"><T>System.Object</T></TN><ToString>no</ToString><MS><S N="A">a_x000D_b</S>'
    '<I32 N="B">5</I32><Obj N="L" RefId="1"><LST><Nil/><S>x</S></LST></Obj><Obj N="D" RefId="2"><DCT><En>'
    '<S N="Key">k</S><S N="Value">v</S></En></DCT></Obj><BA N="C">YQ==</BA>'
    '<G N="G">00000000-0000-0000-0000-000000000000</G></MS></Obj>'
)
FRAGMENT = "\x00" * 16 + "\x03\x00\x00\x00\x2f" + "\x00" * 40 + "<S/>   "
HTTP_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml;charset=UTF-8\r\nServer: Microsoft-HTTPAPI/2.0\r\n"
    b"WWW-Authenticate: Negotiate YII=\r\nContent-Length: 12\r\n\r\n<s:Envelope>"
)
HUGE: dict[str, list[bytes] | list[str]] = {
    "http": [b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3_000_000, b"HTTP/1.1 100 C\r\n\r\n" * 50_000],
    "headers": [
        b"HTTP/1.1 200 OK\r\nX: a" + b" " * 65_000 + b"b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * 16_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"\r" * 65_000,
        b"HTTP/1.1 200 " + b" " * 65_000 + b"\x00\r\n\r\n",
    ],
    "envelopes": [
        "[" * 90_000,
        '{"a":' * 33_000,
        json.dumps([{}] * 45_000),
        ENVELOPE.replace('"none"', ",".join(['"x"'] * 90_000)),
        ENVELOPE.replace("60", "9" * 4000),
        ENVELOPE + " " * 5_000_000,
        ENVELOPE.replace("alice", "\U0001f600" * 8000),
    ],
    "CLIXML": [
        LAUGHS.decode(),
        "<S>" * 300 + "</S>" * 300,
        "<Obj>" * 250 + "x" * 60_000 + "</Obj>" * 250,
        "<LST>" + "<Nil/>" * 40_000 + "</LST>",
        "<S>" + "\U0001f600" * 900_000 + "</S>",
        "<S " + " ".join(f"a{number}=''" for number in range(50_000)) + "/>",
        "<S>" + "_x0041_" * 500_000 + "</S>",
    ],
    "tables": [
        HEADER + (EVIL_LINE[:995] + "\r\n") * 950,
        HEADER * 10_000,
        (HEADER + "x\r\n") * 5000,
        HEADER + " x" * 400_000,
        "\r\n" * 400_000,
        HEADER + ROW * 4000,
    ],
}


@dataclass
class Boundary:
    """Where a host's data comes in: a good input to spoil, what reads it, and how many are tried."""

    name: str
    seed: str
    read: Callable[[bytes], object]
    ci: int
    deep: int
    may_raise: tuple[type[Exception], ...] = ()


def http(data: bytes) -> None:
    pieces = iter([data])
    read_answer(lambda: next(pieces, b""))


def envelope(data: bytes) -> None:
    Observe.read(RawOutput(output=(data.decode("utf-8", "surrogateescape"),)))


def clixml(data: bytes) -> None:
    """As pypsrp reads it for us: one emitted object, or a record of an error."""
    reader = Fragments(CachingSerializer(), Taken(), lambda: None)
    head = (1).to_bytes(4, "little"), uuid.UUID(int=0).bytes_le * 2
    record = head[0] + (0x00041005).to_bytes(4, "little") + head[1] + data
    with contextlib.suppress(Exception):
        reader.read(in_one_fragment(record, 1))
    emitted = head[0] + (0x00041004).to_bytes(4, "little") + head[1] + data
    reader.read(in_one_fragment(emitted, 2))


def fragments(data: bytes) -> None:
    list(Messages(Taken()).whole(data))


def table(data: bytes) -> None:
    program = {"exit": 0, "out": base64.b64encode(data).decode()}
    answer = {"now": "20261125120000.000000+000", "quser": program, "qwinsta": program}
    observe(ObserveAnswer.model_validate(answer))
    parse(data.decode("utf-8", "replace"))


def pattern(data: bytes) -> None:
    date, _, text = data.decode("utf-8", "replace").partition("|")
    patterns = PatternsAnswer(short_date=date, short_time="h:mm tt", am="AM", pm="PM")
    logon_time(text, patterns=patterns, utc_offset_min=0, born=NOW, now=NOW)


def from_libraries() -> tuple[type[Exception], ...]:
    """What pypsrp raises over nonsense; :mod:`mpsbridge.transports.trouble` takes any exception for one of ours."""
    return (Exception,)


BOUNDARIES = [
    Boundary("answers", HTTP_ANSWER.decode(), http, 300, 40_000, (BadAnswer, ConnectionResetError)),
    Boundary("headers", HTTP_ANSWER.decode(), http, 300, 40_000, (BadAnswer, ConnectionResetError)),
    Boundary("envelopes", ENVELOPE, envelope, 300, 40_000, (MpsBridgeError,)),
    Boundary("CLIXML", CLIXML, clixml, 300, 40_000, from_libraries()),
    Boundary("fragments", FRAGMENT, fragments, 300, 20_000, (BadAnswer,)),
    Boundary("tables", HEADER + ROW + ROW.replace("  2  ", "  3  "), table, 200, 5_000, (MpsBridgeError,)),
    Boundary("patterns", "dddd, d/M/yyyy|Tuesday, 11/25/2026 9:05 AM", pattern, 300, 20_000),
]


def spoil(data: bytearray, chance: random.Random) -> None:
    """Change, pump, drop, replace, or double one piece, or cut the rest off."""
    at, width = chance.randrange(len(data) + 1), chance.choice((0, 1, 2, 5, 20))
    piece = bytes(data[at : at + width])
    match chance.randrange(6):
        case 0:
            data[at : at + width] = chance.randbytes(width or 1)
        case 1:
            data[at:at] = (piece or b"a") * chance.choice((1, 2, 10, 200))
        case 2:
            del data[at : at + width]
        case 3:
            data[at : at + 1] = chance.choice((b"<", b"&#0;", b"'", b'"', b"\r\n", b" ", b"\\ud800", b"9" * 30))
        case 4:
            other = chance.randrange(len(data) + 1)
            data[other:other] = piece
        case 5:
            del data[at : None if chance.random() < 0.2 else at + 1]


def spoilt(boundary: Boundary, count: int) -> Iterator[bytes]:
    """The huge ones, then so many with pieces changed, doubled, pumped, moved, or cut."""
    for each in HUGE.get({"answers": "http"}.get(boundary.name, boundary.name), []):
        yield each if isinstance(each, bytes) else each.encode("utf-8", "surrogatepass")
    chance = random.Random(f"{boundary.name} {SEED}")  # noqa: S311 - no secret
    seed = boundary.seed.encode("latin-1") if boundary.name == "fragments" else boundary.seed.encode()
    for _ in range(count):
        data = bytearray(seed)
        if boundary.name == "headers":  # the part of an answer that is tried by itself
            data = data[: data.index(b"\r\n\r\n") + 4]
        for _ in range(chance.randint(1, 5)):
            spoil(data, chance)
        yield bytes(data)


@pytest.mark.parametrize("boundary", BOUNDARIES, ids=lambda boundary: boundary.name)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_input_takes_long_or_much_or_raises_a_foreign_error(boundary: Boundary) -> None:
    tried, slowest_s, most = 0, 0.0, 0
    raised: dict[str, int] = {}
    boundary.read(boundary.seed.encode("latin-1"))  # unspoilt, it is good
    for data in spoilt(boundary, examples(boundary.ci, boundary.deep)):
        measured = len(data) > 10_000 or tried % 50 == 0  # to trace memory costs a multiple of the time
        if measured:
            tracemalloc.start()
        began = time.thread_time()
        try:
            boundary.read(data)
        except boundary.may_raise as error:
            raised[type(error).__name__] = raised.get(type(error).__name__, 0) + 1
        took_s = time.thread_time() - began
        if measured:
            most = max(most, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        else:
            slowest_s = max(slowest_s, took_s)
        tried += 1
        assert took_s < MOST_S * (4 if measured else 1), f"{took_s:.1f} s for {data[:80]!r} ({len(data)} bytes)"
    for data in spoilt(boundary, 0):  # the huge ones again, for their time alone
        began = time.thread_time()
        with contextlib.suppress(*boundary.may_raise):
            boundary.read(data)
        slowest_s = max(slowest_s, time.thread_time() - began)
    most_mib = most / 2**20
    figures = f"slowest {slowest_s * 1000:.0f} ms, most {most_mib:.1f} MiB, {raised}"
    print(f"\n{boundary.name}: {tried} tried, {figures}")  # noqa: T201 - the figures
    assert slowest_s < MOST_S
    assert most_mib < MOST_MIB
