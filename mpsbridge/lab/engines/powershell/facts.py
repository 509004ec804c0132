"""What the cmdlets inside the children know of a make-believe host: processes, CIM, registry, services, MultiPoint.

One question, one answer in JSON, so that nothing is read that nobody asked for. Who asks makes a difference, as on
Windows: only an elevated caller reads when a process began and whose it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

from mpsbridge.clock import SystemClock
from mpsbridge.lab.windows import accounts
from mpsbridge.lab.windows.accounts import elevated, sees
from mpsbridge.lab.windows.cim import cim, cim_instance
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.multipoint import multipoint as tell_multipoint
from mpsbridge.lab.windows.processes import processes
from mpsbridge.lab.windows.programs import ProgramResult
from mpsbridge.lab.windows.registry import registry_key

_TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
_DIGITS = re.compile(r"\$found, \$set = ([0-3]), ([0-3]);")
_ABOUT = re.compile(r"mpsbridge run (\S+) of (.*?) has set logons", re.DOTALL)
_TASK_MODES = ("enabled", "drain-until-restart", "drain", "disabled")
_MODE_WORDS = {"Console": "ConsoleMode", "MultiStation": "Normal"}
_NO_LOG = "The source was not found, but some or all event logs could not be searched."


class NotPermitted(Exception):
    """This caller may not ask that, or do it; the text is what the cmdlet says."""


def multipoint(host: LabHost, _: str) -> dict[str, Any]:
    """Mode, sessions and stations, as MultiPoint's own service tells them to an administrator."""
    found = tell_multipoint(host)
    if found is None:
        raise NotPermitted("Access is denied.")
    return found


def caller(host: LabHost, _: str) -> dict[str, Any]:
    """Who has signed in."""
    return accounts.caller(host)


def clock(host: LabHost, _: str) -> float:
    """How many seconds the host's clock is ahead of the machine's, by which its scripts run."""
    return (host.now() - SystemClock().now()).total_seconds()


def administrators(host: LabHost, _: str) -> list[dict[str, str | None]]:
    """The members of Administrators, as the directory of accounts tells their properties."""
    if host.facts.administrators == "unreadable":
        raise NotPermitted(accounts.NO_GROUP)
    found = accounts.administrators(host)
    return [{"Name": name, "objectSid": sid, "Class": kind} for name, sid, kind in found]


def services(host: LabHost, _: str) -> list[dict[str, str]]:
    """The services that are there, and whether they run."""
    desktop = "Stopped" if "TermService" in host.unready() else "Running"
    agents = [{"Name": name, "Status": "Running"} for name in host.facts.agents]
    return [{"Name": "TermService", "Status": desktop}, *agents]


def close(host: LabHost, number: str) -> None:
    """MultiPoint's own way to end a session; it does not wait."""
    _permit(host, number)
    host.log_off(int(number))


def disconnect(host: LabHost, number: str) -> None:
    """MultiPoint's own way to suspend a session."""
    _permit(host, number)
    host.disconnect(int(number))


def _permit(host: LabHost, number: str) -> None:
    session = host.session(int(number))
    if not sees(host) or session is None or session.protected:
        raise NotPermitted("Access is denied.")


def write_event(host: LabHost, text: str) -> None:
    """One entry in the Application log; only an administrator may create the source that it needs."""
    if not elevated(host):
        raise NotPermitted(_NO_LOG)
    host.events.append(text)


def switch(host: LabHost, wanted: str) -> None:
    """MultiPoint's own way to switch the mode: ``Console``, ``MultiStation``, or ``other`` for the one it is not."""
    if not elevated(host):
        raise NotPermitted("Access is denied.")
    if wanted == "other":
        wanted = "Console" if host.mode == _MODE_WORDS["MultiStation"] else "MultiStation"
    host.switch_mode(_MODE_WORDS[wanted])


def register_task(host: LabHost, xml: str) -> None:
    """Register the failsafe's task from its XML; no other task is known here."""
    if not elevated(host):
        raise NotPermitted("Access is denied.")
    root = ET.fromstring(xml)  # noqa: S314 - from a script that this lab runs, and never from elsewhere
    command = root.findtext(f".//{_TASK}Arguments") or ""
    digits = _DIGITS.search(command)
    about = _ABOUT.match(root.findtext(f".//{_TASK}Description") or "")
    if digits is None or about is None:
        raise NotPermitted("The lab plays no task but the failsafe.")
    found, to = (_TASK_MODES[int(digit)] for digit in digits.groups())
    host.register_failsafe(found, to, run=about[1], owner=about[2]).command = command


def task(host: LabHost, _: str) -> dict[str, str] | None:
    """The failsafe's task, if there is one."""
    if not elevated(host):
        raise NotPermitted("Access is denied.")
    if host.failsafe is None:
        return None
    wait_s = host.failsafe.due - host.world.clock.monotonic()
    return {"arguments": host.failsafe.command, "next": cim(host.now() + timedelta(seconds=wait_s))}


def writers(host: LabHost, _: str) -> list[str]:
    """SIDs of those who, beside administrators, may write where the lease is."""
    return [] if host.facts.lease_folder == "ours" else ["S-1-5-32-545"]


def unregister_task(host: LabHost, _: str) -> None:
    """Remove that task."""
    if not elevated(host):
        raise NotPermitted("Access is denied.")
    host.remove_failsafe()


_QUESTIONS: dict[str, Callable[[LabHost, str], Any]] = {
    "administrators": administrators,
    "caller": caller,
    "cim": cim_instance,
    "clock": clock,
    "close": close,
    "disconnect": disconnect,
    "event": write_event,
    "key": registry_key,
    "multipoint": multipoint,
    "processes": lambda host, _: processes(host),
    "register-task": register_task,
    "services": services,
    "switch": switch,
    "task": task,
    "unregister-task": unregister_task,
    "writers": writers,
}


def tell(host: LabHost, arguments: list[str]) -> ProgramResult:
    """Answer ``QUESTION KEY``: JSON, or exit code 5 and what is wrong."""
    question, key = arguments
    try:
        return ProgramResult(out=json.dumps(_QUESTIONS[question](host, key)).encode())
    except NotPermitted as error:
        return ProgramResult(5, err=str(error).encode())
