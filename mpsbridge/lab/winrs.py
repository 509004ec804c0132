"""The plain command shell of WinRM (``winrs``, pywinrm): there, and honest about running nothing.

A make-believe host has no ``cmd.exe``. Every command ends with exit code 1 and one sentence on standard error, so a
tool that takes this way sees its own request fail instead of a made-up result.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from mpsbridge.lab.outbox import Outbox

RESOURCE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"
_ANSWER = "This make-believe host has no command shell; it answers mpsbridge's own calls over PowerShell remoting.\r\n"


class WinrsShell:
    """One command shell on a host."""

    streams = "stdout stderr"
    alive = True

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._boxes: dict[uuid.UUID, Outbox] = {}

    def outbox(self, command: uuid.UUID | None) -> Outbox | None:
        """What waits to be sent for a command."""
        return self._boxes.get(command) if command is not None else None

    def open_command(self, command: uuid.UUID) -> None:
        """A command starts, and has ended already."""
        box = self._boxes[command] = Outbox()
        box.put("stderr", _ANSWER.encode())
        box.finish(exit_code=1)
        self._wake()

    def feed(self, data: bytes, command: uuid.UUID | None) -> None:
        """Standard input of a command that has ended goes nowhere; so does its argument list."""

    def stop_command(self, command: uuid.UUID) -> None:
        """Ctrl+C after the end."""

    def close_command(self, command: uuid.UUID) -> None:
        """Forget a command."""
        self._boxes.pop(command, None)

    def close(self) -> None:
        """Forget everything."""
        self._boxes.clear()
