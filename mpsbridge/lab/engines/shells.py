"""What is inside a shell of the WSMan service, whatever executes its commands."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from mpsbridge.lab.engines.outbox import Outbox
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.world import World

Post = Callable[[Callable[[], None]], None]
"""Runs something in the lab's loop, from any thread."""


class Busy(Exception):
    """No further shell can be opened now; the text says why."""


class Shell(Protocol):
    """Data goes in by ``feed``; what comes out waits in an outbox, for the pool (``None``) or for one command.

    ``alive`` ends when what executes the commands has ended by itself; the shell is gone then.
    """

    streams: str
    alive: bool

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

    def start(self, world: World, post: Post) -> None:
        """Get ready. Raises ``SettingsError`` where that is not possible."""
        ...

    def stop(self) -> None:
        """End everything; may be called twice."""
        ...

    def open_shell(self, host: LabHost, wake: Callable[[], None], culture: str) -> Shell:
        """Begin one shell for a client of that culture; ``wake`` is called whenever there is something new to send.

        Raises ``Busy``.
        """
        ...
