"""Framing of PSRP over pipes: bytes in, packets out."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsbridge.psrp_pipes import NAMES, BadPacket, Packet, read_packet

WITHOUT_DATA = [*NAMES[1:], *(f"{name}Ack" for name in NAMES)]

packets = st.one_of(
    st.builds(Packet, st.just("Data"), st.none() | st.uuids(), st.binary()),
    st.builds(
        Packet, st.sampled_from([*NAMES[1:], *(f"{name}Ack" for name in NAMES)]), st.none() | st.uuids(), st.just(b"")
    ),
)


@given(packets.filter(lambda packet: packet.pipeline is None or packet.pipeline.int != 0))
def test_a_packet_survives_the_pipe(packet: Packet) -> None:
    assert read_packet(packet.line()) == packet
    assert packet.line().count(b"\n") == 1


@pytest.mark.parametrize(
    ("line", "packet"),
    [
        (b"<DataAck PSGuid='00000000-0000-0000-0000-000000000000' />\r\n", Packet("DataAck")),
        (
            b"<Data Stream='Default' PSGuid='00000000-0000-0000-0000-000000000000'>AAE=</Data>",
            Packet("Data", None, b"\0\1"),
        ),
        (
            b'<CommandAck PSGuid="7bcf9ab3-88c1-4672-a40c-aa99ceeb044d"/>',
            Packet("CommandAck", uuid.UUID("7bcf9ab3-88c1-4672-a40c-aa99ceeb044d")),
        ),
    ],
)
def test_both_ways_of_writing_are_read(line: bytes, packet: Packet) -> None:
    assert read_packet(line) == packet


@pytest.mark.parametrize(
    "line",
    [
        b"hello",
        b"<Data>AAE=</Data>",
        b"<Data PSGuid='x'>AAE=</Data>",
        b"<Data PSGuid='00000000-0000-0000-0000-00000000000-'>AAE=</Data>",
        b"<Data PSGuid='00000000-0000-0000-0000-000000000000'>A</Data>",
        b"<Data PSGuid='00000000-0000-0000-0000-000000000000'>AAE=</Command>",
        b"<Other PSGuid='00000000-0000-0000-0000-000000000000' />",
        b"<!DOCTYPE x><DataAck PSGuid='00000000-0000-0000-0000-000000000000' />",
    ],
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(BadPacket):
        read_packet(line)


@given(st.binary())
def test_no_line_does_worse_than_be_refused(data: bytes) -> None:
    try:
        read_packet(data)
    except BadPacket as error:
        assert len(str(error)) < 500  # noqa: PT017 - the other outcome is no error at all
