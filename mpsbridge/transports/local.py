"""Scripts to PowerShell on this very machine: one child process, kept alive, that speaks PSRP over its pipes.

The same scripts, records and objects as over WinRM, without WinRM: for an administrator on the host itself, and for
tests with a real engine. Rules: the engine is named by a full path or found on ``PATH``, never in the working folder;
a script that runs out of time is ended with its process, for nothing else is sure to end it; each packet waits for the
acknowledgement of the one before it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import subprocess
import threading
from collections import deque
from pathlib import Path
from typing import IO, Any

import psrpcore
from psrpcore.types import PSInvocationState, PSObject, RunspacePoolState

from mpsbridge.clock import Clock, SystemClock
from mpsbridge.errors import MpsBridgeError, TransportClosed, TransportMissing
from mpsbridge.models.bounds import PACKET_LIMIT, SCRIPT_LIMIT
from mpsbridge.models.scripts import RawOutput, Script
from mpsbridge.models.targets import Target
from mpsbridge.processes import environment_of_children, find_program
from mpsbridge.psrp_pipes import Packet, read_packet
from mpsbridge.transports.fragments import Messages, in_one_fragment
from mpsbridge.transports.limit import Limit
from mpsbridge.transports.reply import Oversized
from mpsbridge.transports.taken import Taken
from mpsbridge.transports.trouble import Stage, explain, refuse_unpublished

CLOSE_LIMIT_S = 3.0
_NAME_IT = "Name it with MPSBRIDGE_PWSH."
_LINE_COSTS = 100
"""Bytes of memory that a line takes beyond its own."""

_log = logging.getLogger(__name__)


def find_powershell() -> Path | None:
    """``MPSBRIDGE_PWSH``, else Windows PowerShell where Windows keeps it, else ``pwsh`` on ``PATH``."""
    if named := os.environ.get("MPSBRIDGE_PWSH"):
        return Path(named)
    if windows := os.environ.get("SYSTEMROOT"):
        return Path(windows) / "System32" / "WindowsPowerShell" / "v1.0" / "powershell.exe"
    found = find_program("pwsh")
    return Path(found).resolve() if found else None


class LocalTransport:
    """PowerShell on this machine; see :mod:`mpsbridge.transports.base` for what it promises.

    ``engine`` is the program to start, by default the one of :func:`find_powershell`. Tried with PowerShell 7, on
    Linux and from a Python for Windows in Wine, never on Windows.
    """

    name = "local"

    def __init__(self, target: Target, *, engine: Path | None = None, clock: Clock | None = None) -> None:
        self._target = target
        self._host = target.host
        self._engine = engine
        self._clock = clock or SystemClock()
        self._limit = Limit(self._clock)
        self._taken = Taken()
        self._child: subprocess.Popen[bytes] | None = None
        self._lines = _Lines()
        self._pool = psrpcore.ClientRunspacePool()
        self._messages = Messages(self._taken)
        self._unread: deque[psrpcore.PSRPPayload] = deque()
        self._received = 0
        self._defined: set[str] = set()
        self._stage = Stage.BEFORE
        self._closed = False

    def run(self, script: Script, *, timeout_s: float) -> RawOutput:
        """Run one script and bring home what it emitted. Raises ``NotSent`` or ``Interrupted``."""
        if self._closed:
            raise TransportClosed(f"{self._host}: this PowerShell was closed before").about(host=self._host)
        _log.debug("%s: running %s (digest %s)", self._host, script.snippet, script.digest)
        started = self._clock.monotonic()
        self._limit.start(timeout_s)
        self._taken.begin()
        self._stage = Stage.BEFORE
        try:
            self._open()
            output, errors, warnings, state = self._invoke(script)
        except BaseException as error:
            cancelled = self._limit.cancelled
            self.cancel()
            self.close()
            if isinstance(error, MpsBridgeError):
                raise error.about(host=self._host)  # noqa: B904 - it is the same error
            if not isinstance(error, Exception):
                raise
            trouble = explain(error, where=f"{self._host} (local)", stage=self._stage, cancelled=cancelled)
            raise trouble.about(host=self._host, snippet=script.snippet) from error
        return RawOutput(
            output=tuple(output),
            errors=tuple(errors),
            warnings=tuple(warnings),
            failed=state != PSInvocationState.Completed,
            elapsed_s=self._clock.monotonic() - started,
        )

    def cancel(self) -> None:
        """End a ``run`` in another thread at once, and PowerShell with it."""
        self._closed = True
        self._limit.cancel()
        self._lines.end()
        if self._child is not None:
            self._child.kill()

    def silent_s(self) -> float:
        """Seconds since the host last answered or :meth:`run` began."""
        return self._limit.silent_s()

    def close(self) -> None:
        """Let PowerShell end, within 3 s; never raises, may be called twice."""
        self._closed = True
        if (child := self._child) is None:
            return
        with contextlib.suppress(OSError):
            if child.stdin is not None:
                child.stdin.close()  # the end of its input is the end of it
        try:
            child.wait(CLOSE_LIMIT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _open(self) -> None:
        if self._child is not None:
            return
        engine = self._engine or find_powershell()
        if engine is None:
            raise TransportMissing("there is no PowerShell on this machine", hint=_NAME_IT)
        self._limit.left()
        try:
            self._child = subprocess.Popen(
                [engine, "-s", "-NoLogo", "-NoProfile"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment_of_children(),
            )
        except OSError as error:
            raise TransportMissing(f"{engine} cannot be started: {error.strerror or error}", hint=_NAME_IT) from error
        reading = (self._child.stdout,)
        threading.Thread(target=self._lines.read, args=reading, name="mpsbridge-read", daemon=True).start()
        self._limit.left()  # a cancel() from before there was a child to kill is seen here
        self._pool.open()
        self._flush()
        while self._pool.state != RunspacePoolState.Opened:
            self._event()

    def _invoke(self, script: Script) -> tuple[list[str], list[str], list[str], PSInvocationState]:
        output: list[str] = []
        errors: list[str] = []
        warnings: list[str] = []
        pipeline = psrpcore.ClientPowerShell(self._pool)
        if self._target.restricted:
            pipeline.add_command(script.function).add_parameters(**script.parameters)
        else:
            known = script.definitions_digest in self._defined
            pipeline.add_script(script.short if known else script.text, use_local_scope=False)
        pipeline.start()
        self._send(Packet("Command", pipeline.pipeline_id))
        self._flush()
        while True:
            match event := self._event():
                case psrpcore.PipelineOutputEvent():
                    output.append(_text(event.data))
                case psrpcore.ErrorRecordEvent():
                    errors.append(_text(event.record))
                case psrpcore.WarningRecordEvent():
                    warnings.append(_text(event.record.Message))
                case psrpcore.PipelineStateEvent():
                    break
        if event.reason is not None:
            errors.append(_text(event.reason))
            if self._target.restricted:
                refuse_unpublished(str(event.reason.FullyQualifiedErrorId), self._target, script)
        self._send(Packet("Close", pipeline.pipeline_id))
        if event.state == PSInvocationState.Completed:
            self._defined.add(script.definitions_digest)
        return output, errors, warnings, event.state

    def _flush(self) -> None:
        """Send whatever the runspace pool has to say."""
        while (payload := self._pool.data_to_send()) is not None:
            if payload.pipeline_id is not None:
                self._stage = Stage.RUNNING
            self._send(Packet("Data", payload.pipeline_id, payload.data))

    def _send(self, packet: Packet) -> None:
        """Send one packet and wait until it is acknowledged: what comes too early for PowerShell is lost on it."""
        child = self._child
        if child is None or child.stdin is None:
            raise ConnectionResetError("PowerShell ended")
        stdin = child.stdin

        def write() -> None:
            stdin.write(packet.line())
            stdin.flush()

        self._limit.call(write)  # a pipe that nobody empties would hold us permanently
        while self._receive().name != f"{packet.name}Ack":
            pass

    def _receive(self) -> Packet:
        """The next packet; the whole messages that it ends are to be read."""
        line = self._lines.next(self._limit.left())
        self._taken.more(len(line))
        packet = read_packet(line)
        if packet.name == "Data":
            for message in self._messages.whole(packet.data):
                self._received += 1
                data = in_one_fragment(message, self._received)
                self._unread.append(psrpcore.PSRPPayload(data, psrpcore.StreamType.default, packet.pipeline))
        return packet

    def _event(self) -> psrpcore.PSRPEvent[Any, Any]:
        """The next thing that PowerShell tells."""
        while True:
            try:
                event = self._pool.next_event()
            except KeyError:  # of a pipeline that nobody asked for: the end of a start-up script
                continue
            if event is not None:
                return event
            self._limit.left()
            if self._unread:
                self._pool.receive_data(self._unread.popleft())
            else:
                self._receive()


def _text(value: object) -> str:
    """An emitted object as text: a string itself, another object by its own ToString."""
    if isinstance(value, PSObject) and (text := value.PSObject.to_string) is not None:
        return text
    return "" if value is None else str(value)


class _Lines:
    """Lines that a thread reads from the pipe; more than one script may send is never kept."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()
        self._kept = 0
        self._lock = threading.Lock()

    def read(self, pipe: IO[bytes]) -> None:
        """Read until the pipe ends, or holds more than is read."""
        with pipe:
            while line := pipe.readline(PACKET_LIMIT + 1):
                if len(line) > PACKET_LIMIT:
                    self._lines.put(Oversized(f"PowerShell wrote a line of more than {PACKET_LIMIT} bytes"))
                    return
                if self._keep(_LINE_COSTS + len(line)) > SCRIPT_LIMIT:
                    self._lines.put(Oversized(f"PowerShell wrote more than {SCRIPT_LIMIT} bytes before they were read"))
                    return
                self._lines.put(line)
        self.end()

    def end(self) -> None:
        """Whoever waits for a line hears that there is none."""
        self._lines.put(ConnectionResetError("PowerShell ended"))

    def next(self, timeout_s: float) -> bytes:
        """The next line. Raises ``TimeoutError``, ``ConnectionResetError`` and :class:`Oversized`."""
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError("the time is up") from None
        if isinstance(line, Exception):
            raise line
        self._keep(-_LINE_COSTS - len(line))
        return line

    def _keep(self, size: int) -> int:
        with self._lock:
            self._kept += size
            return self._kept
