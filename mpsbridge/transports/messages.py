"""What is alike for all hosts, made once: the messages that open a shell, and the one that carries a script.

pypsrp makes each of them again for each host, in Python: it copies every command twice, numbers the objects, writes the
XML; so much CPU do few other things take that a cold host costs. Here the same code does it for the first host that
needs it. What stands around that XML (whose shell, which pipeline, which piece) is made for each host as ever.

What each part buys, of the 8 to 9 ms of CPU that one of 256 hosts costs: messages that are written once 3.3 ms, what a
host tells of itself left unread 1.2 ms. Only public names of pypsrp are used: of its serializer two methods are
overridden, and ``Message.pack`` takes bytes.

Rules: what is kept depends on nothing but the script, the PSRP version of the host, and pypsrp; a test holds what goes
out, to the byte, to what its own classes send.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any, Self

from pypsrp.complex_objects import Command, ObjectMeta, Pipeline
from pypsrp.messages import ApplicationPrivateData, CreatePipeline, InitRunspacePool, SessionCapability
from pypsrp.serializer import Serializer

from mpsbridge.once import once


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


_OPENING: dict[type, bytes] = {}
"""The messages that open a shell, by their kind: every shell opens with the same ones."""


class CachingSerializer(Serializer):
    """pypsrp's serializer; for a message that is written already it gives the bytes, which ``Message.pack`` takes.

    What a host's PowerShell tells of itself when a shell opens is not read: nobody asks for it, and it is long.
    """

    def serialize(self, value: Any, *args: Any, **options: Any) -> Any:
        """An element, or the bytes of a message that was written before."""
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
        """The object that an element stands for."""
        if metadata is not None and metadata.object is ApplicationPrivateData:
            return ApplicationPrivateData()  # type: ignore[no-untyped-call]
        return super().deserialize(element, metadata, clear)


def _xml(message: ET.Element | None) -> bytes:
    assert message is not None  # noqa: S101 - only nothing becomes nothing
    return bytes(ET.tostring(message, encoding="utf-8", method="xml"))
