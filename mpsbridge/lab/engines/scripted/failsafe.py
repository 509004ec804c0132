"""The failsafe: the task that this engine registers, and what it does when the task is due.

The task has the triggers of the real one. Its command is a call that this engine reads, with both logon modes; whatever
else somebody makes of the command is not executed.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple
from xml.sax.saxutils import escape

from mpsbridge.lab.engines.reader import NotACall, read_call
from mpsbridge.lab.engines.scripted.lease import is_over
from mpsbridge.lab.windows.cim import MODES
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.tasks import Task

FAILSAFE_TASK = r"\mpsbridge\failsafe"
FAILSAFE_EVENT = "mpsbridge Information 1: The failsafe set logons back: a run has left."
EVERY_S = 300.0
_LASTS = timedelta(days=7)
_FUNCTION = "Restore-MpsbridgeLogons"
_COMMAND = re.compile(r'-NoProfile -NonInteractive -Command "([^"]*)"')
_TASK = """<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <Triggers>
    <BootTrigger><EndBoundary>{end}</EndBoundary><Delay>PT3M</Delay></BootTrigger>
    <TimeTrigger>
      <Repetition><Interval>PT5M</Interval></Repetition>
      <StartBoundary>{start}</StartBoundary><EndBoundary>{end}</EndBoundary>
    </TimeTrigger>
  </Triggers>
  <Actions>
    <Exec>
      <Command>%SystemRoot%\\System32\\WindowsPowerShell\\v1.0\\powershell.exe</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>"""


class Restoration(NamedTuple):
    """Logons were ``found`` so by a run, and ``set`` so."""

    found: str
    set: str


def register(host: LabHost, restoration: Restoration) -> Task:
    """Register the task; it runs first in five minutes."""
    call = f"{_FUNCTION} -Found '{restoration.found}' -Set '{restoration.set}'"
    now = host.now()
    xml = _TASK.format(
        start=_boundary(now + timedelta(seconds=EVERY_S)),
        end=_boundary(now + _LASTS),
        arguments=escape(f'-NoProfile -NonInteractive -Command "{call}"'),
    )
    return host.register_task(FAILSAFE_TASK, xml)


def restoration_of(task: Task) -> Restoration | None:
    """What the command of a task would restore; ``None`` for a command that is not this engine's."""
    command = _COMMAND.fullmatch(task.arguments)
    try:
        call = read_call(command[1] if command else "")
    except NotACall:
        return None
    modes = Restoration(str(call.arguments.get("Found")), str(call.arguments.get("Set")))
    return modes if call.function == _FUNCTION and {*modes} <= MODES.keys() else None


def execute(host: LabHost, task: Task) -> int:
    """What the failsafe does: nothing while a lease holds; else it sets logons back, if they still are as they were
    set, and removes itself. It ends with 0.
    """
    restoration = restoration_of(task)
    if restoration is None or not is_over(host):
        return 0
    if host.logon_mode == restoration.set:
        host.set_logon_mode(restoration.found)
        host.events.append(FAILSAFE_EVENT)
    host.remove_task(task.path)
    return 0


def _boundary(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
