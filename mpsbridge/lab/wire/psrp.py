"""The server half of PSRP for one shell: psrpcore's, with the gaps filled that Windows does not have.

Rules of this file: no I/O and no sockets; fragments go in by :meth:`PsrpShell.feed` and come out through the outbox;
scripts are executed by the engine, and while one takes its time nothing else waits for it.

What psrpcore leaves to its user: no verb for a failed pipeline, a Running state that Windows does not send, ``ci``
where pypsrp writes ``CI``, and messages joined where Windows sends one fragment for each ``<Stream>``.
"""

from __future__ import annotations

import functools
import logging
import re
import struct
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any, Protocol
from xml.sax.saxutils import unescape

import psrpcore
from psrpcore.types import (
    ErrorCategory,
    ErrorCategoryInfo,
    ErrorRecord,
    NETException,
    PipelineState,
    PSInvocationState,
    PSRPMessageType,
    PSVersion,
    deserialize,
)

from mpsbridge.lab.engines.contract import Answer, Engine, Memory, Submitted, Terminating
from mpsbridge.lab.engines.outbox import FRAGMENT_HEAD, PIPELINE_STATE, Outbox, message_type
from mpsbridge.lab.engines.reader import NotACall, last_call
from mpsbridge.lab.windows.host import LabHost

log = logging.getLogger(__name__)

FRAGMENT_BYTES = 32768
_COUNTED = (0x00021002, 0x00021003)
"""SET_MAX_RUNSPACES and SET_MIN_RUNSPACES, whose call id psrpcore reads as ``ci`` only."""


class Later(Protocol):
    """Whoever lets time pass: it calls ``resume`` once so many seconds of the world's clock are over."""

    def __call__(self, seconds: float, resume: Callable[[], None]) -> None:
        """Arrange it, and return at once."""
        ...


class PsrpShell:
    """One runspace pool on a host. ``wake`` is called whenever there is something new to send."""

    streams = "stdout"
    alive = True

    def __init__(self, host: LabHost, engine: Engine, later: Later, wake: Callable[[], None], *, jea: bool) -> None:
        self._host = host
        self._engine = engine
        self._later = later
        self._wake = wake
        self._memory = Memory(published=jea)
        self._pool = _Pool(
            application_private_data={"PSVersionTable": {"PSVersion": PSVersion(_four(host.facts.powershell))}}
        )
        self._pipelines: dict[uuid.UUID, psrpcore.ServerPipeline] = {}
        self._boxes: dict[uuid.UUID | None, Outbox] = {None: Outbox()}

    def outbox(self, command: uuid.UUID | None) -> Outbox | None:
        """What waits to be sent for a command (``None``: for the pool)."""
        return self._boxes.get(command)

    def open_command(self, command: uuid.UUID) -> None:
        """Make room for a pipeline; psrpcore wants that before its first message."""
        self._pipelines[command] = psrpcore.ServerPipeline(self._pool, command)
        self._boxes[command] = Outbox()

    def feed(self, data: bytes, command: uuid.UUID | None = None) -> None:  # noqa: ARG002 - fragments name it
        """Take fragments from the client and do what they ask for. Raises ``psrpcore.PSRPCoreError`` on nonsense."""
        self._pool.receive_data(psrpcore.PSRPPayload(_with_small_ci(data), psrpcore.StreamType.default, None))
        while (event := self._pool.next_event()) is not None:
            if isinstance(event, psrpcore.CreatePipelineEvent):
                self._create_pipeline(event)
            elif isinstance(event, psrpcore.GetAvailableRunspacesEvent):
                self._pool.runspace_availability_response(event.ci, self._pool.max_runspaces)
            elif isinstance(
                event,
                psrpcore.SetMaxRunspacesEvent | psrpcore.SetMinRunspacesEvent | psrpcore.ResetRunspaceStateEvent,
            ):
                self._pool.runspace_availability_response(event.ci, response=True)
        self._collect()

    def stop_command(self, command: uuid.UUID) -> None:
        """Ctrl+C: a running pipeline ends as stopped."""
        pipeline = self._pipelines.get(command)
        if pipeline is not None and pipeline.state == PSInvocationState.Running:
            pipeline.stop()
            self._collect()

    def close_command(self, command: uuid.UUID) -> None:
        """Forget a pipeline; one that still runs is stopped first."""
        self.stop_command(command)
        self._pipelines.pop(command, None)
        self._boxes.pop(command, None)
        self._pool.pipeline_table.pop(command, None)

    def close(self) -> None:
        """Forget everything; scripts that take their time do not go on."""
        for command in list(self._pipelines):
            self.close_command(command)

    def _create_pipeline(self, event: psrpcore.CreatePipelineEvent) -> None:
        command = event.pipeline_id
        pipeline = self._pipelines[command]
        powershell: Any = pipeline.metadata  # the same as event.pipeline, which is made again on each access
        pipeline.state = PSInvocationState.Running  # start() would send a state that Windows does not send
        submitted = _submitted(powershell.commands)
        try:
            answer = self._engine.answer(self._host, submitted, self._memory)
        except Terminating as error:
            self._fail(pipeline, error)
        else:
            self._go_on(command, answer)

    def _go_on(self, command: uuid.UUID, answer: Answer) -> None:
        """Run a script up to its next wait, or to its end."""
        pipeline = self._pipelines.get(command)
        if pipeline is None or pipeline.state != PSInvocationState.Running:
            answer.close()
            return
        try:
            with self._host.world.lock:
                seconds = next(answer)
        except StopIteration as end:
            for emitted in (end.value,) if isinstance(end.value, str) else end.value:
                pipeline.write_output(emitted)
            pipeline.complete()
        except Terminating as error:
            self._fail(pipeline, error)
        except Exception as error:  # nobody above may be listening any more, and the client must hear of it
            log.exception("the engine failed on %s", self._host.name)
            self._fail(pipeline, Terminating(repr(error), error_id="LabFailure", reason="RuntimeException"))
        else:
            self._later(seconds, lambda: self._go_on(command, answer))
            return
        self._collect()

    def _fail(self, pipeline: psrpcore.ServerPipeline, error: Terminating) -> None:
        exception = NETException(Message=error.message, HResult=-2146233087)
        exception.PSObject.type_names = [
            f"System.Management.Automation.{error.reason}",
            "System.Management.Automation.RuntimeException",
            *exception.PSObject.type_names,
        ]
        exception.PSObject.to_string = f"System.Management.Automation.{error.reason}: {error.message}"
        record = ErrorRecord(
            Exception=exception,
            CategoryInfo=ErrorCategoryInfo(Category=ErrorCategory[error.category], Reason=error.reason),
            FullyQualifiedErrorId=error.error_id,
        )
        record.PSObject.to_string = error.message
        pipeline.prepare_message(
            PipelineState(PipelineState=PSInvocationState.Failed.value, ExceptionAsErrorRecord=record)
        )
        pipeline.state = PSInvocationState.Failed
        self._collect()

    def _collect(self) -> None:
        """Sort what psrpcore wants to send into the outboxes, fragment by fragment."""
        while (payload := self._pool.data_to_send(FRAGMENT_BYTES)) is not None:
            box = self._boxes.get(payload.pipeline_id)
            if box is not None:
                for fragment in _fragments(payload.data):
                    box.put("stdout", fragment)
                    if message_type(fragment) == PIPELINE_STATE:
                        box.finish()
        self._wake()


class _Pool(psrpcore.ServerRunspacePool):
    """psrpcore's, which reads again and again what many clients send alike: that is three quarters of its time."""

    def _process_message(self, message: Any) -> psrpcore.PSRPEvent[Any, Any]:
        data = bytes(message.data)
        if message.message_type not in _SENT_ALIKE or b"<SS" in data:  # a secure string is read with a shell's own key
            return super()._process_message(message)
        event = psrpcore.PSRPEvent.create(
            message.message_type, _read(data), message.runspace_pool_id, message.pipeline_id
        )
        getattr(self, f"_process_{message.message_type.name}")(event)
        return event


_SENT_ALIKE = frozenset(
    {PSRPMessageType.SessionCapability, PSRPMessageType.InitRunspacePool, PSRPMessageType.CreatePipeline}
)


@functools.lru_cache(maxsize=64)
def _read(data: bytes) -> Any:
    element = ET.fromstring(data)  # noqa: S314 - only the loopback's own clients
    return deserialize(element, cipher=None)  # type: ignore[arg-type]  # for secure strings, of which there are none


def called_in(data: bytes) -> str | None:
    """The function that a CREATE_PIPELINE message calls, read off its bytes without acting on them."""
    found = re.search(rb'<S N="Cmd">(.*?)</S>', data, re.DOTALL)
    if found is None:
        return None
    text = unescape(found[1].decode("utf-8", "replace")).replace("_x000A_", "\n").replace("_x000D_", "\r")
    return _called(text)


def _called(script: str) -> str | None:
    try:
        return last_call(script).function
    except NotACall:
        return None


def _fragments(data: bytes) -> list[bytes]:
    """Cut what psrpcore joined: it joins fragments for one target; Windows sends one for each ``<Stream>``."""
    cut = []
    while data:
        end = FRAGMENT_HEAD + int(struct.unpack_from(">I", data, 17)[0])
        cut.append(data[:end])
        data = data[end:]
    return cut


def _with_small_ci(data: bytes) -> bytes:
    return data.replace(b'N="CI"', b'N="ci"') if message_type(data) in _COUNTED else data


def _four(version: str) -> str:
    """A version with four parts, which is what psrpcore takes."""
    parts = version.split(".")
    return ".".join([*parts, "0", "0", "0"][: max(4, len(parts))])


def _submitted(commands: list[psrpcore.Command]) -> Submitted:
    """What was asked for: one script, or one command with named parameters.

    ``Client.execute_ps`` sends a script as an argument of ``Invoke-Expression``, with ``Out-String -Stream`` behind it:
    that is the script. Any other pipeline of several commands comes through as their text, and an engine that cannot
    run it says so.
    """
    first = commands[0]
    if [each.command_text for each in commands] == ["Invoke-Expression", "Out-String"]:
        return Submitted(text=str(dict(first.parameters).get("Command")))
    if len(commands) == 1 and not first.is_script:
        return Submitted(
            text=None,
            command=first.command_text,
            parameters={name or f"#{place}": value for place, (name, value) in enumerate(first.parameters)},
        )
    return Submitted(text="\n".join(each.command_text for each in commands))
