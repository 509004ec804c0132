"""A ``powershell.exe`` for a Windows Python in Wine: its pipes lead to a PowerShell on this system, over the loopback.

Made of the launcher that pip carries for its own scripts (distlib's), a first line that names the interpreter, and the
program of the interpreter in a zip behind them.
"""

from __future__ import annotations

import contextlib
import io
import socket
import subprocess
import threading
import zipfile
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Self

_PROGRAM = """\
import os, socket, sys, threading

there = socket.create_connection(("127.0.0.1", {port}))


def send():
    while data := os.read(0, 65536):
        there.sendall(data)
    there.shutdown(socket.SHUT_WR)


there.sendall("\\0".join(sys.argv[1:]).encode() + b"\\n")
threading.Thread(target=send, daemon=True).start()
while data := there.recv(65536):
    while data:
        data = data[os.write(1, data):]
os._exit(0)
"""


def launcher() -> bytes:
    """The program for 64 bits and a console."""
    return (files("pip") / "_vendor" / "distlib" / "t64.exe").read_bytes()


class RelayedPowerShell:
    """Listens while it is open; each connection becomes a process of ``engine``. ``words`` are what they were called
    with.
    """

    def __init__(self, engine: Path) -> None:
        self._engine = engine
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._children: list[subprocess.Popen[bytes]] = []
        self.words: list[list[str]] = []

    def write(self, path: Path, interpreter: str) -> None:
        """Put the program there; ``interpreter`` is the Python that runs it, as Windows names it."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("__main__.py", _PROGRAM.format(port=self._listener.getsockname()[1]))
        path.write_bytes(launcher() + f'#!"{interpreter}" -SE\n'.encode() + packed.getvalue())

    @property
    def running(self) -> int:
        """How many of the engine's processes run."""
        return sum(child.poll() is None for child in self._children)

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for child in self._children:
            child.kill()
            child.wait()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                there, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(there,), daemon=True).start()

    def _relay(self, there: socket.socket) -> None:
        with there, there.makefile("rb") as received, contextlib.suppress(OSError):
            words = received.readline().decode().rstrip("\n").split("\0")
            self.words.append(words)
            child = subprocess.Popen(
                [self._engine, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self._children.append(child)
            assert child.stdin is not None
            assert child.stdout is not None
            stdin, stdout = child.stdin, child.stdout

            def feed() -> None:
                with contextlib.suppress(OSError), stdin:
                    while line := received.readline():
                        stdin.write(line)
                        stdin.flush()

            threading.Thread(target=feed, daemon=True).start()
            with stdout:
                while line := stdout.readline():
                    there.sendall(line)
