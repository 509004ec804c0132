"""The engine that executes: each shell is a real PowerShell child that gets the very bytes a client sent.

Nothing of PSRP is read or written here; fragments go from WSMan into the child's pipe and back. What Windows would
know or do (tables, processes, log-offs) comes from the world, through programs and functions that stand for Windows'
own. Needs a PowerShell: ``MPSBRIDGE_PWSH``, else ``pwsh`` on ``PATH``.
"""

from __future__ import annotations

import base64
import contextlib
import os
import queue
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

from mpsbridge.errors import SettingsError
from mpsbridge.lab.engines.powershell.desk import PROGRAMS, Desk
from mpsbridge.lab.outbox import FRAGMENT_HEAD, PIPELINE_STATE, Outbox, message_type
from mpsbridge.lab.world import LabHost, World
from mpsbridge.psrp_pipes import BadPacket, Packet, read_packet

_HERE = Path(__file__).resolve().parent
_LOOK_S = 0.5
"""How often the one who waits for an acknowledgement looks whether the child is still there."""

Post = Callable[[Callable[[], None]], None]
"""Runs something in the loop, from any thread."""


def find_powershell() -> Path:
    """The PowerShell to start. Raises ``SettingsError``."""
    named = os.environ.get("MPSBRIDGE_PWSH") or shutil.which("pwsh")
    if not named:
        raise SettingsError("the engine 'powershell' needs pwsh; put it on PATH or name it in MPSBRIDGE_PWSH")
    return Path(named).resolve()


class PowerShellEngine:
    """Opens shells for the hosts of one world, once :meth:`start` has set the desk up."""

    def __init__(self, program: Path | None = None) -> None:
        self._program = program or find_powershell()
        self._folder: Path | None = None
        self._desk: Desk | None = None
        self._post: Post = lambda act: act()

    def start(self, world: World, post: Post) -> None:
        """Set up the desk, and a folder for each host that asks for a shell."""
        self._folder = Path(tempfile.mkdtemp(prefix="mpsbridge-lab-"))
        self._desk = Desk(world, self._folder)
        self._post = post

    def stop(self) -> None:
        """Take it down again; children have ended with their shells."""
        if self._desk is not None:
            self._desk.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._desk = self._folder = None

    def open_shell(self, host: LabHost, wake: Callable[[], None]) -> PipeShell:
        """Start a PowerShell for one shell on one host."""
        if self._folder is None or self._desk is None:
            raise RuntimeError("the engine was not started")
        folder = self._host_folder(host)
        environment = os.environ | {
            "MPSBRIDGE_LAB_DESK": str(self._desk.path),
            "MPSBRIDGE_LAB_FOLDER": str(folder),
            "MPSBRIDGE_LAB_HOST": host.name,
            "MPSBRIDGE_LAB_GENERATION": host.facts.generation,
        }
        return PipeShell(self._program, environment, self._post, wake)

    def _host_folder(self, host: LabHost) -> Path:
        """``System32`` with its programs, the MultiPoint module and the lease, as the host has them."""
        if self._folder is None or self._desk is None:
            raise RuntimeError("the engine was not started")
        folder = self._folder / str(list(host.world.hosts).index(host.name))
        system = folder / "windows" / "System32"
        if not system.exists():
            system.mkdir(parents=True)
            for name in PROGRAMS:
                words = [sys.executable, "-S", "-E", str(_HERE / "program.py"), str(self._desk.path), host.name, name]
                program = system / f"{name}.exe"
                program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
                program.chmod(0o700)
            if host.facts.generation != "none":
                module = folder / "modules" / "MultiPoint"
                module.mkdir(parents=True)
                (module / "MultiPoint.psd1").write_text(_text("MultiPoint.psd1"), encoding="utf-8")
                (module / "MultiPoint.psm1").write_text(_text("facts.ps1") + _text("MultiPoint.psm1"), encoding="utf-8")
        if host.lease is not None:
            lease = folder / "programs" / "mpsbridge" / "lease.json"
            lease.parent.mkdir(parents=True, exist_ok=True)
            lease.write_text(host.lease, encoding="utf-8")
        return folder


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


class PipeShell:
    """One PowerShell child. Two threads carry its bytes; everything else happens in the loop."""

    streams = "stdout"

    def __init__(self, program: Path, environment: dict[str, str], post: Post, wake: Callable[[], None]) -> None:
        self._post = post
        self._wake = wake
        self._boxes: dict[uuid.UUID | None, Outbox] = {None: Outbox()}
        self._halves: dict[uuid.UUID | None, bytes] = {}
        self._packets: queue.SimpleQueue[Packet | None] = queue.SimpleQueue()
        self._acknowledged = threading.Event()
        self._ended = False
        prelude = base64.b64encode((_text("facts.ps1") + _text("host.ps1")).encode("utf-16-le")).decode()
        self._child = subprocess.Popen(
            [str(program), "-s", "-NoLogo", "-NoProfile", "-EncodedCommand", prelude],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self._stdin, self._stdout = self._child.stdin, self._child.stdout
        self._threads = [threading.Thread(target=carry, name="lab-pipe") for carry in (self._write, self._read)]
        for thread in self._threads:
            thread.start()

    def outbox(self, command: uuid.UUID | None) -> Outbox | None:
        """What waits to be sent for a command (``None``: for the pool)."""
        return self._boxes.get(command)

    def open_command(self, command: uuid.UUID) -> None:
        """Announce a pipeline."""
        if not self._ended:
            self._boxes[command] = Outbox()
        self._packets.put(Packet("Command", command))

    def feed(self, data: bytes, command: uuid.UUID | None) -> None:
        """Fragments from the client, as they are."""
        self._packets.put(Packet("Data", command, data))

    def stop_command(self, command: uuid.UUID) -> None:
        """Ctrl+C."""
        self._packets.put(Packet("Signal", command))

    def close_command(self, command: uuid.UUID) -> None:
        """Forget a pipeline."""
        if self._boxes.pop(command, None) is not None:
            self._packets.put(Packet("Close", command))

    def close(self) -> None:
        """End the child."""
        self._child.kill()
        self._packets.put(None)
        self._acknowledged.set()
        self._child.wait()
        for thread in self._threads:
            thread.join()

    def _write(self) -> None:
        """Into the pipe, one packet after the acknowledgement of the one before."""
        with contextlib.suppress(OSError):  # the child has gone; the reader's end says so
            while self._stdin is not None and (packet := self._packets.get()) is not None:
                self._acknowledged.clear()
                self._stdin.write(packet.line())
                self._stdin.flush()
                while not self._acknowledged.wait(_LOOK_S) and self._child.poll() is None:
                    pass
        with contextlib.suppress(OSError):
            if self._stdin is not None:
                self._stdin.close()

    def _read(self) -> None:
        if self._stdout is None:
            return
        for line in self._stdout:
            try:
                packet = read_packet(line)
            except BadPacket:
                continue  # something wrote to the console
            if packet.name.endswith("Ack"):
                self._acknowledged.set()
            elif packet.name == "Data":
                self._post(lambda packet=packet: self._deliver(packet))  # type: ignore[misc] # a default binds it now
        self._stdout.close()
        self._post(self._end)

    def _end(self) -> None:
        """The child has gone: there are no commands any more, and whoever waits for one hears so."""
        self._ended = True
        self._boxes.clear()
        self._wake()

    def _deliver(self, packet: Packet) -> None:
        box = self._boxes.get(packet.pipeline)
        data = self._halves.pop(packet.pipeline, b"") + packet.data
        while len(data) >= FRAGMENT_HEAD:
            end = FRAGMENT_HEAD + int(struct.unpack_from(">I", data, 17)[0])
            if len(data) < end:
                break
            fragment, data = data[:end], data[end:]
            if box is None or (packet.pipeline is None and message_type(fragment) == PIPELINE_STATE):
                continue  # the second is the end of the prelude, which no client asked for
            box.put("stdout", fragment)
            if message_type(fragment) == PIPELINE_STATE:
                box.finish()
        if data:
            self._halves[packet.pipeline] = data
        self._wake()
