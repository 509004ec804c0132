"""What is inside a shell of the WSMan service, whatever executes its commands."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from mpsbridge.lab.outbox import Outbox
from mpsbridge.lab.world import LabHost


class Shell(Protocol):
    """Data goes in by ``feed``; what comes out waits in an outbox, for the pool (``None``) or for one command."""

    streams: str

    def outbox(self, command: uuid.UUID | None) -> Outbox | None:
        """What waits to be sent, or ``None`` where there is no such command."""
        ...

    def open_command(self, command: uuid.UUID) -> None:
        """A command begins."""
        ...

    def feed(self, data: bytes, command: uuid.UUID | None) -> None:
        """Data from the client."""
        ...

    def stop_command(self, command: uuid.UUID) -> None:
        """Ctrl+C."""
        ...

    def close_command(self, command: uuid.UUID) -> None:
        """Forget a command."""
        ...

    def close(self) -> None:
        """Forget everything."""
        ...


@runtime_checkable
class ShellEngine(Protocol):
    """An engine that takes a client's bytes as they are."""

    def open_shell(self, host: LabHost, wake: Callable[[], None]) -> Shell:
        """Begin one shell; ``wake`` is called whenever there is something new to send."""
        ...
