"""One WSMan shell whose inside is a PowerShell child: fragments go in and out unread.

Two threads carry the bytes, one each way; everything else happens in the lab's loop.
"""

from __future__ import annotations

import contextlib
import queue
import struct
import threading
import uuid
from collections.abc import Callable

from mpsbridge.lab.engines.outbox import FRAGMENT_HEAD, PIPELINE_STATE, Outbox, message_type
from mpsbridge.lab.engines.powershell.children import Child, Ended, is_end_of_prelude
from mpsbridge.lab.engines.shells import Post
from mpsbridge.psrp_pipes import Packet


class PipeShell:
    """Bytes to one child and back. ``ended`` is called once, in the loop or by ``close``, when it is no more."""

    streams = "stdout"

    def __init__(self, child: Child, post: Post, wake: Callable[[], None], ended: Callable[[], None]) -> None:
        self.alive = True
        self._child = child
        self._post = post
        self._wake = wake
        self._ended = ended
        self._boxes: dict[uuid.UUID | None, Outbox] = {None: Outbox()}
        self._halves: dict[uuid.UUID | None, bytes] = {}
        self._packets: queue.SimpleQueue[Packet | None] = queue.SimpleQueue()
        self._acknowledged = threading.Semaphore(0)
        self._threads = [threading.Thread(target=carry, name="lab-pipe") for carry in (self._write, self._read)]
        for thread in self._threads:
            thread.start()

    def outbox(self, command: uuid.UUID | None) -> Outbox | None:
        """What waits to be sent for a command (``None``: for the pool)."""
        return self._boxes.get(command)

    def open_command(self, command: uuid.UUID) -> None:
        """Announce a pipeline."""
        self._boxes[command] = Outbox()
        self._packets.put(Packet("Command", command))

    def feed(self, data: bytes, command: uuid.UUID | None) -> None:
        """Fragments from the client, as they are."""
        self._packets.put(Packet("Data", command, data))

    def stop_command(self, command: uuid.UUID) -> None:
        """Ctrl+C."""
        self._packets.put(Packet("Signal", command))

    def close_command(self, command: uuid.UUID) -> None:
        """Forget a pipeline; one that still runs is stopped first."""
        box = self._boxes.pop(command, None)
        if box is None:
            return
        if not box.finished:
            self._packets.put(Packet("Signal", command))
        self._packets.put(Packet("Close", command))

    def close(self) -> None:
        """End the child, whatever it is doing."""
        self._child.kill()
        self._packets.put(None)
        self._acknowledged.release()
        for thread in self._threads:
            thread.join()
        self._child.close_pipes()
        self._end()

    def _end(self) -> None:
        if self.alive:
            self.alive = False
            self._ended()

    def _write(self) -> None:
        """Into the pipe, one packet after the acknowledgement of the one before."""
        with contextlib.suppress(OSError):  # the child has gone; the other thread says so
            while (packet := self._packets.get()) is not None:
                self._child.send(packet)
                self._acknowledged.acquire()

    def _read(self) -> None:
        with contextlib.suppress(Ended):
            while True:
                packet = self._child.receive()
                if packet.name.endswith("Ack"):
                    self._acknowledged.release()
                elif packet.name == "Data" and not is_end_of_prelude(packet):
                    self._post(lambda packet=packet: self._deliver(packet))  # type: ignore[misc] # a default binds it now
        self._packets.put(None)
        self._acknowledged.release()
        self._post(self._died)

    def _died(self) -> None:
        """A script may end its own PowerShell; then the shell is gone, as on Windows."""
        self._end()
        self._wake()

    def _deliver(self, packet: Packet) -> None:
        """Sort fragments into their outbox. A pipe may cut them anywhere."""
        box = self._boxes.get(packet.pipeline)
        data = self._halves.pop(packet.pipeline, b"") + packet.data
        while len(data) >= FRAGMENT_HEAD:
            end = FRAGMENT_HEAD + int(struct.unpack_from(">I", data, 17)[0])
            if len(data) < end:
                break
            fragment, data = data[:end], data[end:]
            if box is not None:
                box.put("stdout", fragment)
                if message_type(fragment) == PIPELINE_STATE:
                    box.finish()
        if data and box is not None:
            self._halves[packet.pipeline] = data
        self._wake()
