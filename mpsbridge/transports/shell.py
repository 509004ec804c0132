"""PowerShell's remoting protocol (MS-PSRP) over WS-Management: a shell, and a pipeline in it that runs one script.

The messages are pypsrp's, and so is what writes and reads them; when each is sent, and what its answer means, stands
here. The shell is as the hosts' administrators get it: one runspace, no profile, nobody to answer its questions.

Rules: a pipeline exists on the host from the first byte of its ``Command`` request on; what a host sends that was not
asked for (questions, progress, keys) is passed over; what it says of itself when a shell opens is not read.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pypsrp.complex_objects import (
    ApartmentState,
    Command,
    CommandParameter,
    HostInfo,
    PSInvocationState,
    PSThreadOptions,
    RemoteStreamOptions,
    RunspacePoolState,
)
from pypsrp.complex_objects import Pipeline as Commands
from pypsrp.exceptions import InvalidPSRPOperation, InvalidRunspacePoolStateError, WSManFaultError
from pypsrp.messages import CreatePipeline, Destination, InitRunspacePool, Message, MessageType, SessionCapability

from mpsbridge.transports.faults import Means, means
from mpsbridge.transports.fragments import Fragments
from mpsbridge.transports.messages import CachingSerializer
from mpsbridge.transports.taken import Taken
from mpsbridge.transports.wsman import ENVELOPE_BYTES, Connection, Post

PROTOCOL, PS_VERSION, SERIALIZATION = "2.3", "2.0", "1.1.0.1"
_RESOURCES = "http://schemas.microsoft.com/powershell/"


class Shell:
    """A runspace pool on a host, not opened yet.

    ``check`` is called before each message of the host is read, and raises when the time is up. Methods raise what
    :class:`~mpsbridge.transports.wsman.Connection` raises, ``InvalidPSRPOperation`` and ``BadAnswer``.
    """

    def __init__(
        self,
        post: Post,
        configuration: str,
        *,
        locale: str,
        idle_timeout_s: int,
        taken: Taken,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        self.id = str(uuid.uuid4()).upper()
        self.state: int = RunspacePoolState.BEFORE_OPEN
        self.protocol_version = ""
        self.wsman = Connection(post, _RESOURCES + configuration, locale=locale)
        self._idle_timeout_s = idle_timeout_s
        self._serializer = CachingSerializer()
        self._fragments = Fragments(self._serializer, taken, check)

    def open(self) -> None:
        """Create the shell, and wait until PowerShell in it is ready. Raises ``InvalidRunspacePoolStateError``."""
        messages = (
            SessionCapability(PROTOCOL, PS_VERSION, SERIALIZATION),
            InitRunspacePool(
                1,
                1,
                PSThreadOptions(value=PSThreadOptions.DEFAULT),
                ApartmentState(value=ApartmentState.UNKNOWN),
                HostInfo(host=None),
                None,
            ),
        )
        fragments = b"".join(piece for message in messages for piece in self.pieces(message))
        self.wsman.create(self.id, fragments, protocol=PROTOCOL, idle_timeout_s=self._idle_timeout_s)
        self.state = RunspacePoolState.NEGOTIATION_SENT
        while self.state == RunspacePoolState.NEGOTIATION_SENT:
            for message in self.received(None):
                self.take(message)
        if self.state != RunspacePoolState.OPENED:
            raise InvalidRunspacePoolStateError(self.state, RunspacePoolState.OPENED, "use a shell")

    def close(self) -> None:
        """Delete the shell on the host."""
        self.wsman.delete()

    def received(self, pipeline: str | None, *, timeout_s: float | None = None) -> list[Message]:
        """Messages of the shell itself, or of a pipeline; waits for some."""
        return self._fragments.read(self.wsman.receive(pipeline, timeout_s=timeout_s))

    def pieces(self, message: Any, pipeline: str | None = None) -> Iterator[bytes]:
        """A message for the shell, or for a pipeline of it, in fragments of which each fits into one request."""
        packed = Message(Destination.SERVER, self.id, pipeline, message, self._serializer).pack()
        return self._fragments.pieces(packed, self.wsman.payload_bytes)

    def take(self, message: Message) -> None:
        """Take a message about the shell. Raises ``InvalidPSRPOperation`` where the host says that it is broken."""
        data: Any = message.data
        match message.message_type:
            case MessageType.SESSION_CAPABILITY:
                self.protocol_version = str(data.protocol_version or "")
                if _is_at_least(self.protocol_version, (2, 2)):
                    self.wsman.envelope_bytes = ENVELOPE_BYTES
            case MessageType.RUNSPACEPOOL_STATE:
                self.state = data.state
                if self.state == RunspacePoolState.BROKEN:
                    raise InvalidPSRPOperation(f"the shell is broken: {data.error_record}")


class Pipeline:
    """One command in a shell that is open: a script, or a function with parameters."""

    def __init__(self, shell: Shell, command: Command) -> None:
        self.id = str(uuid.uuid4()).upper()
        self.state: int = PSInvocationState.NOT_STARTED
        self.output: list[Any] = []
        self.errors: list[Any] = []
        self.warnings: list[Any] = []
        self._shell = shell
        self._command = command
        self._known_as = self.id

    def begin(self) -> None:
        """Send it; records come without the lines of script around them."""
        commands = Commands(is_nested=False, cmds=[self._command], history=None, redirect_err_to_out=False)
        message = CreatePipeline(
            True,  # noqa: FBT003 - no input; pypsrp names none of its own
            ApartmentState(value=ApartmentState.UNKNOWN),
            RemoteStreamOptions(value=0),
            False,  # noqa: FBT003 - not into the history
            HostInfo(host=None),
            commands,
            False,  # noqa: FBT003 - not nested
        )
        first, *rest = self._shell.pieces(message, self.id)
        self._known_as = self._shell.wsman.command(self.id, first)
        self.state = PSInvocationState.RUNNING  # the host has accepted it, whatever becomes of the rest
        for piece in rest:
            self._shell.wsman.send(self._known_as, piece)

    def poll(self, *, timeout_s: float) -> None:
        """Take what has come, or comes within that time."""
        try:
            messages = self._shell.received(self._known_as, timeout_s=timeout_s)
        except WSManFaultError as error:
            if means(error) is not Means.LATE:
                raise
            return
        for message in messages:
            self._take(message)

    def stop(self) -> None:
        """Ask it to stop."""
        self._shell.wsman.stop(self.id)
        self.state = PSInvocationState.STOPPED

    def _take(self, message: Message) -> None:
        data: Any = message.data
        match message.message_type:
            case MessageType.PIPELINE_OUTPUT:
                self.output.append(data.data)
            case MessageType.ERROR_RECORD:
                self.errors.append(data)
            case MessageType.WARNING_RECORD:
                self.warnings.append(data)
            case MessageType.PIPELINE_STATE:
                self.state = data.state
                if data.error_record is not None:
                    self.errors.append(data.error_record)
            case MessageType.SESSION_CAPABILITY | MessageType.RUNSPACEPOOL_STATE:
                self._shell.take(message)  # of the shell, though it came with the pipeline


def function_command(name: str, parameters: Mapping[str, Any], protocol_version: str) -> Command:
    """A function with parameters, as a restricted endpoint takes it."""
    command = Command(name, protocol_version=protocol_version, is_script=False, use_local_scope=None)
    command.args.extend(CommandParameter(name=parameter, value=value) for parameter, value in parameters.items())
    return command


def _is_at_least(version: str, least: tuple[int, int]) -> bool:
    parts = version.split(".")
    return all(part.isdecimal() for part in parts[:2]) and tuple(map(int, parts[:2])) >= least
