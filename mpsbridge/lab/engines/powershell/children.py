"""PowerShell children: one process each, speaking PSRP over its pipes, started and warmed before anybody asks.

Rules of this file: the write end of a child's standard input is held by this process alone, so that the children end
with it however it ends (a PowerShell whose input ends, ends, also in the middle of a script); every packet waits for
its acknowledgement, because PowerShell loses what comes too early; no more children than the limit have shells.

A process serves one session after the other. The first one, a warm-up, costs most of what a first session costs: an
opening takes a fifth of a second in a cold process and a fraction of that in a warm one.
"""

from __future__ import annotations

import base64
import contextlib
import subprocess
import threading
import uuid
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psrpcore
from psrpcore.types import RunspacePoolState

from mpsbridge.lab.engines.outbox import PIPELINE_STATE, message_type
from mpsbridge.lab.engines.powershell.finding import OLDEST, unusable
from mpsbridge.lab.engines.shells import Busy
from mpsbridge.psrp_pipes import BadPacket, Packet, read_packet

WARM_LIMIT_S = 30.0
_ACK_LOOK_S = 0.5
"""How often whoever waits for an acknowledgement looks whether the child is still there."""


class Ended(Exception):
    """The child's output has ended, and so has the child."""


class Child:
    """One PowerShell. ``seat`` is the name under which the desk knows it."""

    def __init__(self, program: Path, environment: Mapping[str, str], prelude: str) -> None:
        self.seat = str(uuid.uuid4())
        encoded = base64.b64encode(prelude.encode("utf-16-le")).decode("ascii")
        self._process = subprocess.Popen(
            [str(program), "-s", "-NoLogo", "-NoProfile", "-EncodedCommand", encoded],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**environment, "MPSBRIDGE_LAB_SEAT": self.seat},
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the pipes were asked for")
        self._stdin, self._stdout = self._process.stdin, self._process.stdout

    def send(self, packet: Packet) -> None:
        """Write one packet. Raises ``OSError`` when the child has gone."""
        self._stdin.write(packet.line())
        self._stdin.flush()

    def receive(self) -> Packet:
        """The next packet; what a script wrote straight to the console is passed over. Raises ``Ended``."""
        for line in self._stdout:
            with contextlib.suppress(BadPacket):
                return read_packet(line)
        raise Ended

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it now, whatever it is doing; returns when it has ended. Programs that it started go on."""
        self._process.kill()
        self._process.wait()

    def close_pipes(self) -> None:
        """Give the pipes back, once nobody uses them any more."""
        for pipe in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):
                pipe.close()


def is_end_of_prelude(packet: Packet) -> bool:
    """PowerShell announces the end of its start script as a pipeline's state without a pipeline. No client asked."""
    return packet.name == "Data" and packet.pipeline is None and message_type(packet.data) == PIPELINE_STATE


class _Session:
    """One session with a child, spoken by psrpcore: the warm-up. Raises ``Ended`` or ``OSError`` where it fails."""

    def __init__(self, child: Child) -> None:
        self.pool = psrpcore.ClientRunspacePool()
        self._child = child

    def open(self) -> None:
        self.pool.open()
        self._flush()
        while self.pool.state != RunspacePoolState.Opened:
            self._event()

    def run(self, script: str) -> None:
        pipeline = psrpcore.ClientPowerShell(self.pool)
        pipeline.add_script(script)
        pipeline.start()
        self._exchange(Packet("Command", pipeline.pipeline_id))
        self._flush()
        while not isinstance(self._event(), psrpcore.PipelineStateEvent):
            pass
        self._exchange(Packet("Close", pipeline.pipeline_id))

    def close(self) -> None:
        self._exchange(Packet("Close"))

    def _flush(self) -> None:
        while (payload := self.pool.data_to_send()) is not None:
            self._exchange(Packet("Data", payload.pipeline_id, payload.data))

    def _exchange(self, packet: Packet) -> None:
        self._child.send(packet)
        while self._receive().name != f"{packet.name}Ack":
            pass

    def _receive(self) -> Packet:
        packet = self._child.receive()
        if packet.name == "Data" and not is_end_of_prelude(packet):
            self.pool.receive_data(psrpcore.PSRPPayload(packet.data, psrpcore.StreamType.default, packet.pipeline))
        return packet

    def _event(self) -> psrpcore.PSRPEvent[Any, Any]:
        while (event := self.pool.next_event()) is None:
            self._receive()
        return event


def warm_up(child: Child) -> tuple[int, int]:
    """Let a new child serve one whole session; its version. Raises ``Ended`` or ``OSError`` where it does not."""
    watchdog = threading.Timer(WARM_LIMIT_S, child.kill)
    watchdog.start()
    try:
        session = _Session(child)
        session.open()
        session.run("ConvertTo-Json -InputObject @{ ready = @(Get-Process).Count }")
        session.close()
    finally:
        watchdog.cancel()
    version = session.pool.application_private_data["PSVersionTable"]["PSVersion"]
    return int(version.major), int(version.minor)


class Children:
    """All children of one lab: some warm and idle, the others with their shells."""

    def __init__(self, environment: Mapping[str, str], prelude: str) -> None:
        self._environment = environment
        self._prelude = prelude
        self._program = Path()
        self._spares = self._most = 0
        self._idle: deque[Child] = deque()
        self._all: set[Child] = set()
        self._taken = self._warming = 0
        self._closed = False
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def open(self, program: Path, *, spares: int, most: int) -> None:
        """Start the first child and wait until it is warm. Raises ``SettingsError`` where that does not work."""
        self._program, self._spares, self._most = program, max(1, spares), max(1, most)
        try:
            child = self._add()
            version = warm_up(child)
        except (Ended, BrokenPipeError) as error:
            raise unusable(program, "ended while it started") from error
        except (OSError, ValueError, psrpcore.PSRPCoreError) as error:
            raise unusable(program, f"does not start ({error})") from error
        if version < OLDEST:
            raise unusable(program, f"is version {version[0]}.{version[1]}")
        with self._lock:
            self._idle.append(child)
        self._refill()

    def take(self) -> Child:
        """A child for a new shell, warm if there is one. Raises ``Busy`` at the limit."""
        with self._lock:
            if self._taken >= self._most:
                raise Busy(f"The lab runs no more than {self._most} PowerShells at a time.")
            self._taken += 1
            self._drop_the_dead()
            child = self._idle.popleft() if self._idle else None
        try:
            return child or self._add()
        except OSError:
            self._taken -= 1
            raise
        finally:
            self._refill()

    def give_back(self, child: Child) -> None:
        """A child that has ended makes room for another."""
        with self._lock:
            self._taken -= 1
            self._all.discard(child)
        self._refill()

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            self._closed = True
            everyone, self._all = self._all, set()
            self._idle.clear()
        for child in everyone:
            child.kill()
        for thread in self._threads:
            thread.join()
        for child in everyone:
            child.close_pipes()

    def _drop_the_dead(self) -> None:
        """An idle child may end like any process; its pipes are closed here, for nobody has used it."""
        for child in [child for child in self._idle if not child.alive]:
            self._idle.remove(child)
            self._all.discard(child)
            child.close_pipes()

    def _add(self) -> Child:
        with self._lock:
            if self._closed:
                raise Ended
            child = Child(self._program, self._environment, self._prelude)
            self._all.add(child)
            return child

    def _refill(self) -> None:
        """Warm as many as are missing, each in a thread of its own."""
        with self._lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            missing = min(self._spares, self._most - self._taken) - len(self._idle) - self._warming
            if self._closed:
                return
            for _ in range(missing):
                self._warming += 1
                thread = threading.Thread(target=self._warm_one, name="lab-warm")
                self._threads.append(thread)
                thread.start()

    def _warm_one(self) -> None:
        child = None
        try:
            child = self._add()
            warm_up(child)
            with self._lock:
                if not self._closed:
                    self._idle.append(child)
        except (Ended, OSError, ValueError, psrpcore.PSRPCoreError):
            if child is not None:
                child.kill()
                child.close_pipes()
                with self._lock:
                    self._all.discard(child)
        finally:
            with self._lock:
                self._warming -= 1
