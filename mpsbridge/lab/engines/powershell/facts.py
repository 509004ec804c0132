"""What the cmdlets inside the children know of a make-believe host: processes, CIM, registry, services, MultiPoint.

One question, one answer in JSON, so that nothing is read that nobody asked for. Who asks makes a difference, as on
Windows: only an elevated caller reads when a process began and whose it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mpsbridge.clock import SystemClock
from mpsbridge.lab.windows import accounts
from mpsbridge.lab.windows.accounts import elevated, sees
from mpsbridge.lab.windows.cim import cim, cim_instance
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.multipoint import multipoint as tell_multipoint
from mpsbridge.lab.windows.processes import processes as all_processes
from mpsbridge.lab.windows.programs import ProgramResult
from mpsbridge.lab.windows.registry import registry_key
from mpsbridge.lab.windows.services import services as tell_services
from mpsbridge.lab.windows.tasks import RUNNING, BadTask, Task, read_task

_MODE_WORDS = {"Console": "ConsoleMode", "MultiStation": "Normal"}
_NEVER = datetime(1999, 11, 30, tzinfo=UTC)
"""When a task was run last that was never started, as Windows tells."""
_NO_LOG = "The source was not found, but some or all event logs could not be searched."


class NotPermitted(Exception):
    """This caller may not ask that, or do it; the text is what the cmdlet says."""


class Failed(Exception):
    """The host did not do it, or says so; the text is what the cmdlet says."""


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
    return [{"Name": name, "Status": status} for name, status in tell_services(host).items()]


def close(host: LabHost, number: str) -> None:
    """MultiPoint's own way to end a session; it does not wait."""
    _serve(host, number, host.log_off)


def disconnect(host: LabHost, number: str) -> None:
    """MultiPoint's own way to suspend a session."""
    _serve(host, number, host.disconnect)


def _serve(host: LabHost, number: str, act: Callable[[int], None]) -> None:
    session = host.session(int(number))
    if not sees(host) or session is None or session.protected:
        raise NotPermitted("Access is denied.")
    if host.facts.wms != "throws":
        act(session.id)
    _report(host)


def _report(host: LabHost) -> None:
    """How MultiPoint's service ends an act."""
    if host.facts.wms.startswith("throws"):
        raise Failed("The MultiPoint service reported an error.")


def processes(host: LabHost, _: str) -> list[dict[str, Any]]:
    """The processes that matter."""
    if host.facts.processes == "denied":
        raise NotPermitted("Access is denied.")
    return all_processes(host)


def write_event(host: LabHost, text: str) -> None:
    """One entry in the Application log; only an administrator may create the source that it needs."""
    if not elevated(host) or host.facts.event_log == "denied":
        raise NotPermitted(_NO_LOG)
    host.events.append(text)


def switch(host: LabHost, wanted: str) -> None:
    """MultiPoint's own way to switch the mode: ``Console``, ``MultiStation``, or ``other`` for the one it is not."""
    if not elevated(host):
        raise NotPermitted("Access is denied.")
    if wanted == "other":
        wanted = "Console" if host.mode == _MODE_WORDS["MultiStation"] else "MultiStation"
    if host.facts.wms != "throws":
        host.switch_mode(_MODE_WORDS[wanted])
    _report(host)


def register_task(host: LabHost, key: str) -> None:
    """Register a task: a line with its path, then its XML. What lies there under that path is replaced."""
    if not elevated(host) or host.facts.tasks == "denied":
        raise NotPermitted("Access is denied.")
    path, _, xml = key.partition("\n")
    if host.facts.tasks == "lost":
        read_task(path, xml)
    else:
        host.register_task(path, xml)


def task(host: LabHost, path: str) -> dict[str, str | int | None] | None:
    """A task, if there is one of that path."""
    _permit_tasks(host)
    found = host.tasks.get(path)
    if found is None:
        return None
    return {
        "command": found.command,
        "arguments": found.arguments,
        "state": _state(host, found),
        "next": cim(found.due) if found.due else None,
        "last": cim(found.last_run or _NEVER),
        "result": found.last_result,
    }


def _state(host: LabHost, task: Task) -> str:
    if not task.enabled or host.facts.tasks == "disabled":
        return "Disabled"
    return "Running" if task.last_result == RUNNING else "Ready"


def start_task(host: LabHost, path: str) -> None:
    """Run a task now."""
    _permit_tasks(host)
    if path not in host.tasks:
        raise Failed("The system cannot find the file specified.")
    host.start_task(path)


def unregister_task(host: LabHost, path: str) -> None:
    """Remove a task."""
    _permit_tasks(host)
    host.remove_task(path)


def _permit_tasks(host: LabHost) -> None:
    if not elevated(host) or host.facts.tasks == "unreadable":
        raise NotPermitted("Access is denied.")


def access(host: LabHost, folder: str) -> dict[str, Any]:
    """Owner and access list of a folder of the host, as the scripts know its path."""
    found = host.files.access(host.files.path_of(Path(folder)))
    return {"owner": found.owner, "rules": [asdict(each) for each in found.entries]}


def protect(host: LabHost, key: str) -> None:
    """Give a folder an access list of its own: a line with its path, then what it says."""
    folder, _, sddl = key.partition("\n")
    host.files.protect(host.files.path_of(Path(folder)), sddl)


_QUESTIONS: dict[str, Callable[[LabHost, str], Any]] = {
    "access": access,
    "administrators": administrators,
    "caller": caller,
    "cim": cim_instance,
    "clock": clock,
    "close": close,
    "disconnect": disconnect,
    "event": write_event,
    "key": registry_key,
    "multipoint": multipoint,
    "processes": processes,
    "protect": protect,
    "register-task": register_task,
    "services": services,
    "start-task": start_task,
    "switch": switch,
    "task": task,
    "unregister-task": unregister_task,
    "wms": lambda host, _: host.facts.wms,
}


def tell(host: LabHost, arguments: list[str]) -> ProgramResult:
    """Answer ``QUESTION KEY``: JSON, or exit code 5 (1 where it is no question of rights) and what is wrong."""
    question, key = arguments
    try:
        return ProgramResult(out=json.dumps(_QUESTIONS[question](host, key)).encode())
    except NotPermitted as error:
        return ProgramResult(5, err=str(error).encode())
    except (BadTask, Failed) as error:
        return ProgramResult(1, err=str(error).encode())
