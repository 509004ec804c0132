"""What is taken from a host at most: XML without tricks, so much of it, and no more than one script's answer needs."""

from __future__ import annotations

import contextlib
import json
import struct
import time
import tracemalloc
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypsrp.serializer import Serializer
from support.lab_target import TestEngine, reach, script

from mpsbridge.errors import ParseError, TooLarge
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import load_world
from mpsbridge.models.bounds import MESSAGES_LIMIT, PARTS_LIMIT, SCRIPT_LIMIT
from mpsbridge.models.scripts import RawOutput
from mpsbridge.snippets.envelope import open_envelope
from mpsbridge.transports import open_transport, winrm
from mpsbridge.transports.fragments import Fragments
from mpsbridge.transports.reply import BadAnswer, Oversized
from mpsbridge.transports.taken import Taken


def test_so_many_bytes_and_messages_for_one_script() -> None:
    taken = Taken()
    taken.more(SCRIPT_LIMIT)
    with pytest.raises(Oversized):
        taken.more(1)
    taken.begin()
    for _ in range(MESSAGES_LIMIT):
        taken.message(tags=1, text=1)
    with pytest.raises(Oversized):
        taken.message(tags=1, text=1)


# Fragments.


def fragments(message: bytes, number: int, size: int) -> bytes:
    pieces = [message[at : at + size] for at in range(0, len(message), size)] or [b""]
    flags = [(1 if place == 0 else 0) | (2 if place == len(pieces) - 1 else 0) for place in range(len(pieces))]
    heads = [struct.pack(">QQBI", number, place, flags[place], len(piece)) for place, piece in enumerate(pieces)]
    return b"".join(head + piece for head, piece in zip(heads, pieces, strict=True))


def state_message() -> bytes:
    xml = b'<Obj RefId="0"><MS><I32 N="RunspaceState">2</I32></MS></Obj>'
    return struct.pack("<II", 1, 0x00021005) + uuid.uuid4().bytes_le + bytes(16) + xml


def reader() -> Fragments:
    return Fragments(Serializer(), Taken(), lambda: None)


@given(st.integers(1, 200), st.lists(st.integers(1, 300), max_size=20), st.integers(1, 4))
def test_a_message_is_put_together_however_it_comes(size: int, cuts: list[int], count: int) -> None:
    """Fragments of any size, several messages, split over answers between any two fragments."""
    data = b"".join(fragments(state_message(), number, size) for number in range(1, count + 1))
    assert len(reader().read(data)) == count


def test_many_small_fragments_take_linear_time() -> None:
    """pypsrp copies what is left for each of them: 45,000 of them in one answer took it seconds."""
    data = fragments(state_message() + b" " * 20_000, 1, 1)
    many = b"".join(fragments(b"x" * 2000, number, 1) for number in range(2, 20))
    began = time.thread_time()
    assert len(reader().read(data)) == 1
    with pytest.raises(KeyError):  # pypsrp knows no such message
        reader().read(many)
    assert time.thread_time() - began < 1


@given(st.binary(max_size=300))
def test_bytes_that_are_no_fragments_are_an_error_of_ours(data: bytes) -> None:
    with contextlib.suppress(BadAnswer, ValueError, KeyError, struct.error):
        reader().read(data)


# Over the wire.


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab(load_world("small"), auth="ntlm", engine=TestEngine(request.param)) as running:
        yield running


@pytest.mark.parametrize(
    ("lab", "said"),
    [
        (lambda _: "x" * 20_000_000, "a message of the answer is longer than 2097152 bytes"),
        (lambda _: ("x" * 1_000_000,) * 20, "more than 16777216 bytes in answer to one script"),
    ],
    indirect=["lab"],
    ids=["one", "many"],
)
def test_an_endless_output_is_too_large_and_said_so(lab: Lab, said: str) -> None:
    transport = open_transport(reach(lab))
    tracemalloc.start()
    with pytest.raises(TooLarge, match=said) as caught:
        transport.run(script(), timeout_s=60)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 128 * 2**20, "client and lab together"
    assert (caught.value.kind, caught.value.may_have_run) == ("too-large", True)


@pytest.mark.parametrize("lab", [lambda _: "x" * 2_000_000], indirect=True, ids=["long"])
def test_a_long_output_is_taken(lab: Lab) -> None:
    transport = open_transport(reach(lab))
    assert isinstance(transport, winrm.WinrmTransport)
    for _ in range(2):  # what one script brought does not count for the next
        assert transport.run(script(), timeout_s=60).output == ("x" * 2_000_000,)
    transport.close()


# Envelopes.


def envelope(result: str) -> RawOutput:
    text = f'{{"mpsbridge": 1, "snippet": "logons", "ok": true, "result": {result}, "problems": []}}'
    return RawOutput(output=(text,), errors=(), warnings=(), failed=False)


@pytest.mark.parametrize(
    "result",
    [
        '{"a": ' + "[" * 100_000 + "}",
        '{"a": [' + "[]," * PARTS_LIMIT + "1]}",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": ' + "9" * 5000 + "}",
    ],
    ids=["deep", "many", "nan", "infinity", "long number"],
)
def test_an_envelope_of_tricks_is_refused_quickly(result: str) -> None:
    began = time.thread_time()
    tracemalloc.start()
    with pytest.raises(ParseError):
        open_envelope("logons", envelope(result))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 1024 * 1024
    assert time.thread_time() - began < 5


@given(st.dictionaries(st.text(max_size=5), st.text(alphabet=st.characters(), max_size=20), max_size=3))
def test_no_lone_surrogate_gets_in(texts: dict[str, Any]) -> None:
    """Whatever a host sends can be printed, stored and sent on."""
    found = open_envelope("logons", envelope(json.dumps({"x": texts | {"bad": "a\ud800b\udfff"}})))
    said = json.dumps(found.result, ensure_ascii=False)
    assert said.encode("utf-8")
    assert found.result["x"] == {**texts, "bad": "a\ufffdb\ufffd"} or "bad" in texts
