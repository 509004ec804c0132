"""What is alike for all hosts, made once: the messages that open a shell, and the one that carries a script.

pypsrp makes each of them again for each host, in Python: it copies every command twice, numbers the objects, writes the
XML; so much CPU do few other things take that a cold host costs. Here the same code does it for the first host that
needs it. What stands around that XML (whose shell, which pipeline, which piece) is made for each host as ever.

Rules: what is kept depends on nothing but the script, the PSRP version of the host, the length of its address, and
pypsrp, whose inner names ``_serializer``, ``_fragmenter`` and ``_calc_envelope_size`` are used; a test holds what goes
out, to the byte, to what its own classes send.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any, Self

from pypsrp.complex_objects import Command, ObjectMeta, Pipeline
from pypsrp.messages import ApplicationPrivateData, CreatePipeline, InitRunspacePool, SessionCapability
from pypsrp.powershell import RunspacePool
from pypsrp.serializer import Serializer
from pypsrp.wsman import WSMan

from mpsbridge.once import once
from mpsbridge.transports.fragments import BoundedFragmenter
from mpsbridge.transports.taken import Taken


class ScriptCommand(Command):
    """A script as the only command of its pipeline; nobody changes it, so its copy is itself.

    ``written`` is the message with which that pipeline begins, once some host has needed it.
    """

    written: bytes | None = None

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self


@once
def script_command(text: str, protocol_version: str) -> ScriptCommand:
    """The command for a script, one for all hosts of a PSRP version: which properties a command has goes by that."""
    # Not in a scope of its own: the functions that it defines shall outlive it.
    return ScriptCommand(text, protocol_version, is_script=True, use_local_scope=False)


class Shell(RunspacePool):
    """A runspace pool as the hosts' administrators get it: one runspace, no profile, nobody to answer its questions.

    ``check`` is called before each message of the host is read, and raises when the time is up.
    """

    def __init__(
        self,
        connection: WSMan,
        configuration_name: str,
        idle_timeout_s: int,
        taken: Taken,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(
            connection, configuration_name=configuration_name, no_profile=True, idle_timeout=idle_timeout_s
        )
        self._serializer = _CachingSerializer()
        self._fragmenter = BoundedFragmenter(connection.max_payload_size, self._serializer, taken, check)


class Connection(WSMan):
    """pypsrp's connection; how much goes into an envelope hangs on the length of the address only, so it is known."""

    def _calc_envelope_size(self, max_envelope_size: int) -> int:
        key = max_envelope_size, len(self.transport.endpoint)
        if key not in _ROOM:
            _ROOM[key] = super()._calc_envelope_size(max_envelope_size)
        return _ROOM[key]


_ROOM: dict[tuple[int, int], int] = {}
"""Bytes of payload, by the size of an envelope and the length of the address."""
_OPENING: dict[type, bytes] = {}
"""The messages that open a shell, by their kind: every :class:`Shell` opens with the same ones."""


class _CachingSerializer(Serializer):
    """pypsrp's serializer; for a message that is written already it gives the bytes, which ``Message.pack`` takes.

    What a host's PowerShell tells of itself when a shell opens is not read: nobody asks for it, and it is long.
    """

    def serialize(self, value: Any, *args: Any, **options: Any) -> Any:
        match value:
            case SessionCapability() | InitRunspacePool():
                if type(value) not in _OPENING:
                    _OPENING[type(value)] = _xml(super().serialize(value))
                return _OPENING[type(value)]
            case CreatePipeline(pipeline=Pipeline(commands=[ScriptCommand() as command])):
                if command.written is None:
                    command.written = _xml(super().serialize(value))
                return command.written
        return super().serialize(value, *args, **options)

    def deserialize(self, element: Any, metadata: ObjectMeta | None = None, clear: bool = True) -> Any:  # noqa: FBT001, FBT002 - pypsrp's signature
        if metadata is not None and metadata.object is ApplicationPrivateData:
            return ApplicationPrivateData()  # type: ignore[no-untyped-call]
        return super().deserialize(element, metadata, clear)


def _xml(message: ET.Element | None) -> bytes:
    assert message is not None  # noqa: S101 - only nothing becomes nothing
    return bytes(ET.tostring(message, encoding="utf-8", method="xml"))
