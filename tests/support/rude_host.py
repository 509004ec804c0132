"""A host that answers however a test likes: one function per connection, on a real socket of the loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from mpsbridge.models.credentials import Auth, Password
from mpsbridge.models.scripts import Effect, Script
from mpsbridge.models.targets import Target

SCRIPT = Script(
    snippet="observe",
    effect=Effect.READ,
    header="# mpsbridge test",
    definitions="function Get-Secret { 'swordfish' }",
    call="Get-Secret",
    function="Get-Secret",
    parameters={},
    digest="d" * 64,
    definitions_digest="e" * 64,
)


class RudeHost:
    """Listens on the loopback; each connection gets ``behave`` in a thread of its own and is closed when it returns.

    ``released`` is set at the end of the block, so that a behaviour can hang until then.
    """

    def __init__(self, behave: Callable[[socket.socket], None], address: str = "127.0.0.1") -> None:
        self.connections = 0
        self.released = threading.Event()
        self._behave = behave
        self._listener = socket.create_server((address, 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._listen)]

    def target(self, *, tls: bool = False, auth: Auth = Auth.BASIC) -> Target:
        return Target(
            host="rude",
            address="127.0.0.1",
            port=self.port,
            tls=tls,
            auth=auth,
            credentials=Password("alice", "secret"),
            insecure_basic=True,
        )

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            self._behave(connection)


def request(connection: socket.socket) -> bytes:
    """One whole request, or what came before the client went away."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
