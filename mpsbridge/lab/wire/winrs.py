"""The plain command shell of WinRM (``winrs``, pywinrm): it runs ``quser``, and is honest about running nothing else.

A make-believe host has no ``cmd.exe``. Every other command ends with exit code 1 and one sentence on standard error, so
a tool that takes this way sees its own request fail instead of a made-up result.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from mpsbridge.lab.engines.outbox import Outbox
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.programs import ProgramResult, calls_quser, quser

RESOURCE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"
_REFUSAL = ProgramResult(
    1, err=b"This make-believe host has no command shell; it runs quser, and scripts over PowerShell.\r\n"
)


class WinrsShell:
    """One command shell on a host."""

    streams = "stdout stderr"
    alive = True

    def __init__(self, host: LabHost, wake: Callable[[], None]) -> None:
        self._host = host
        self._wake = wake
        self._boxes: dict[uuid.UUID, Outbox] = {}

    def outbox(self, command: uuid.UUID | None) -> Outbox | None:
        """What waits to be sent for a command."""
        return self._boxes.get(command) if command is not None else None

    def open_command(self, command: uuid.UUID) -> None:
        """A command is to come."""
        self._boxes[command] = Outbox()

    def feed(self, data: bytes, command: uuid.UUID | None) -> None:
        """The first data of a command is its command line, which ends at once; standard input then goes nowhere."""
        box = self.outbox(command)
        if box is None or box.finished:
            return
        printed = quser(self._host, []) if calls_quser(data.decode()) else _REFUSAL
        for stream, text in (("stdout", printed.out), ("stderr", printed.err)):
            if text:
                box.put(stream, text)
        box.finish(printed.exit)
        self._wake()

    def stop_command(self, command: uuid.UUID) -> None:
        """Ctrl+C after the end."""

    def close_command(self, command: uuid.UUID) -> None:
        """Forget a command."""
        self._boxes.pop(command, None)

    def close(self) -> None:
        """Forget everything."""
        self._boxes.clear()
