"""The desk: where the programs and cmdlets inside the children ask for what Windows would know or do.

A Unix socket in the lab's folder. A question is words with NULs between them, ended by closing that direction: the
seat (which child asks), the program, its arguments. The answer is one line with the exit code and the number of bytes
that go to standard output, then those bytes, then what goes to standard error.
"""

from __future__ import annotations

import contextlib
import socketserver
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from mpsbridge.lab.windows.programs import ProgramResult

LOOK_S = 0.1
"""How often a program that waits for something looks whether it has happened."""


def _server(path: Path, handler: type[socketserver.StreamRequestHandler]) -> socketserver.BaseServer:
    if sys.platform != "win32":
        server = socketserver.ThreadingUnixStreamServer(str(path), handler)
        server.daemon_threads = True
        return server
    raise OSError("the engine 'powershell' needs Unix sockets, which Python does not have on Windows")


class Desk:
    """Answers until it is closed, each question in a thread of its own. ``answer`` gets seat, program, arguments."""

    def __init__(self, path: Path, answer: Callable[[str, str, list[str]], ProgramResult]) -> None:
        self.path = path
        self._answer = answer
        self._closing = threading.Event()
        self._server = _server(path, self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="lab-desk", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering; programs that still wait end without an answer."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _reply(self, question: bytes) -> bytes:
        if b"\0" not in question:
            return b""  # who asked was killed while asking
        seat, program, *arguments = question.decode("utf-8", "surrogateescape").split("\0")
        result = self._answer(seat, program, arguments)
        while result.until is not None and not result.until():
            if self._closing.wait(LOOK_S):
                return b""
        return f"{result.exit} {len(result.out)}\n".encode() + result.out + result.err

    def _handler(self) -> type[socketserver.StreamRequestHandler]:
        desk = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):  # who asked has gone
                    self.wfile.write(desk._reply(self.rfile.read()))

        return Handler
