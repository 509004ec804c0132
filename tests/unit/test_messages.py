"""What is written once for all hosts is to the byte what an unchanged pypsrp writes for each of them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pytest
from pypsrp.complex_objects import ObjectMeta
from pypsrp.messages import ApplicationPrivateData, RunspacePoolStateMessage
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from mpsbridge.transports import messages
from mpsbridge.transports.messages import Connection, Shell, script_command
from mpsbridge.transports.taken import Taken

IDLE_S = 180
ODD = "# <&> _x0041_ T\u00fcr \U0001f600 'it''s'\r\n\t\x00\x7f\n"
ID = "0F1E2D3C-0000-0000-0000-000000000001"


class Sent(Exception):
    """What the transport was given, in place of an answer."""


class Outbox:
    """Takes one message and answers nothing."""

    endpoint = "http://ts1:5985/wsman"

    def send(self, message: bytes, **_: object) -> bytes:
        """Hand it to the test."""
        raise Sent(message)

    def close(self) -> None:
        """Nothing to close."""


def wsman() -> WSMan:
    connection = WSMan("ts1", ssl=False, username="a", password="b", auth="ntlm")
    connection.transport = Outbox()  # type: ignore[assignment]  # as the transport does it
    return connection


def shared(version: str | None = None) -> RunspacePool:
    return named(Shell(wsman(), "Microsoft.PowerShell", IDLE_S, Taken()), version)


def pypsrps_own(version: str | None = None) -> RunspacePool:
    return named(RunspacePool(wsman(), no_profile=True, idle_timeout=IDLE_S), version)


def named(pool: RunspacePool, version: str | None) -> RunspacePool:
    pool.id, pool.protocol_version = ID, version
    return pool


def carried(element: str, act: Callable[[], None]) -> bytes:
    """What the message that ``act`` sends carries in this element."""
    with pytest.raises(Sent) as sent:
        act()
    found = re.search(rf"<[^<>]*{element}[^<>]*>([^<]*)<".encode(), sent.value.args[0])
    assert found is not None
    return base64.b64decode(found[1])


def begin(pipeline: PowerShell) -> bytes:
    pipeline.id = ID
    return carried("Arguments", lambda: pipeline.begin_invoke(remote_stream_options=0))


def test_a_shell_is_opened_by_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_OPENING", {})
    theirs = carried("creationXml", pypsrps_own().open)
    assert b"protocolversion" in theirs
    assert b"MaxRunspaces" in theirs
    assert [carried("creationXml", shared().open) for _ in range(2)] == [theirs] * 2


@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3"])
@pytest.mark.parametrize("text", ["Get-Thing", ODD])
def test_a_script_travels_as_the_same_bytes(text: str, version: str) -> None:
    theirs = begin(PowerShell(pypsrps_own(version)).add_script(text, use_local_scope=False))
    assert (b"MergeInformation" in theirs) == (version == "2.3")
    for _ in range(2):
        pool = shared(version)
        assert begin(PowerShell(pool).add_command(script_command(text, version))) == theirs


def test_each_host_and_each_script_has_its_own_message() -> None:
    pool = shared("2.3")
    pipelines = [PowerShell(pool).add_command(script_command(text, "2.3")) for text in ("Get-Thing", "Get-Other")]
    first, other = (begin(pipeline) for pipeline in pipelines)
    pool.id = ID[::-1]
    assert len({first, other, begin(pipelines[0])}) == 3


def test_what_a_host_tells_of_itself_is_passed_over_and_all_else_is_read() -> None:
    told = '<Obj RefId="0"><MS><Obj N="ApplicationPrivateData" RefId="1"><DCT/></Obj></MS></Obj>'
    state = '<Obj RefId="0"><MS><I32 N="RunspaceState">2</I32></MS></Obj>'
    serializer = shared()._serializer
    assert serializer.deserialize(told, ObjectMeta("Obj", object=ApplicationPrivateData)) is not None
    assert serializer.deserialize(state, ObjectMeta("Obj", object=RunspacePoolStateMessage)).state == 2
    assert serializer.deserialize("<S>done</S>") == "done"


def test_an_envelope_holds_as_much_as_pypsrp_reckons() -> None:
    def room(kind: type[WSMan], address: str, size: int) -> int:
        return kind(address, ssl=False, username="a", password="b", max_envelope_size=size).max_payload_size

    for address in ("ts1", "a-much-longer-name.example.org", "ts2"):
        for size in (153_600, 512_000):
            assert room(Connection, address, size) == room(WSMan, address, size)


def test_other_commands_are_written_for_each_host() -> None:
    for name in ("alice", "bob"):
        ours, theirs = (
            begin(PowerShell(pool).add_cmdlet("Get-Thing").add_parameter("Name", name))
            for pool in (shared("2.3"), pypsrps_own("2.3"))
        )
        assert name.encode() in theirs
        assert ours == theirs
