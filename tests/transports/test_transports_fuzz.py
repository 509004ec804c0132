"""Whatever bytes a host sends, ``run`` returns or raises one of ours, in time, and never says "not sent" wrongly."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.lab_target import TestEngine, reach, script
from support.rude_host import RudeHost, request

from mpsbridge.errors import Interrupted, NotSent
from mpsbridge.lab.server import Lab
from mpsbridge.lab.wire import wsman
from mpsbridge.lab.worldfile import load_world
from mpsbridge.models.harmless import harmless
from mpsbridge.models.targets import Target
from mpsbridge.transports import open_transport

HEADS = [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 500 X\r\n\r\n"]


class Spoiler:
    """Passes requests on to a lab and spoils one answer."""

    def __init__(self) -> None:
        self.number = 0
        self.cuts: list[tuple[int, bytes]] = []
        self.whole: bytes | None = None
        self.engine = TestEngine()
        world = load_world("small")
        self.lab = Lab(world, auth="basic", engine=self.engine)

    def behave(self, connection: socket.socket) -> None:
        with socket.create_connection((self.lab.hosts[0].address, self.lab.port), 5) as host:
            number = 0
            while asked := request(connection):
                host.sendall(asked)
                answered = request(host)
                number += 1
                if number == self.number:
                    answered = self.spoil(answered)
                connection.sendall(answered)
                if number == self.number:
                    connection.shutdown(socket.SHUT_WR)  # a longer promised body ends here, not at the deadline

    def spoil(self, answer: bytes) -> bytes:
        if self.whole is not None:
            return self.whole
        spoiled = bytearray(answer)
        for place, piece in self.cuts:
            spoiled[place % len(answer) : place % len(answer) + len(piece)] = piece
        return bytes(spoiled)


@pytest.fixture(scope="module")
def spoiler() -> Iterator[tuple[Spoiler, Target]]:
    spoiler = Spoiler()
    with pytest.MonkeyPatch.context() as patch, spoiler.lab, RudeHost(spoiler.behave) as middle:
        patch.setattr(wsman, "MAX_SHELLS", 10_000)  # a spoiled shell stays open
        yield spoiler, reach(spoiler.lab, address="127.0.0.1", port=middle.port)


def run_spoiled(spoiler: Spoiler, target: Target) -> None:
    before = len(spoiler.engine.texts)
    transport = open_transport(target)
    error: NotSent | Interrupted | None = None
    try:
        transport.run(script(), timeout_s=5)
    except (NotSent, Interrupted) as raised:
        error = raised
    transport.close()
    ran = len(spoiler.engine.texts) > before
    if isinstance(error, NotSent):
        assert not ran
        assert not error.may_have_run
    if isinstance(error, Interrupted):
        assert error.may_have_run
    assert len(str(error)) < 500
    assert harmless(str(error)) == str(error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    number=st.integers(1, 5),
    cuts=st.lists(st.tuples(st.integers(0, 5000), st.binary(min_size=1, max_size=6)), min_size=1, max_size=4),
)
def test_a_spoiled_answer(spoiler: tuple[Spoiler, Target], number: int, cuts: list[tuple[int, bytes]]) -> None:
    proxy, target = spoiler
    proxy.number, proxy.cuts, proxy.whole = number, cuts, None
    run_spoiled(proxy, target)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    number=st.integers(1, 5),
    head=st.sampled_from(HEADS),
    rest=st.binary(),
)
def test_an_answer_of_any_bytes(spoiler: tuple[Spoiler, Target], number: int, head: bytes, rest: bytes) -> None:
    proxy, target = spoiler
    proxy.number, proxy.whole = number, head + rest
    run_spoiled(proxy, target)
