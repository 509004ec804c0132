"""The engine that executes: each shell is a real PowerShell child that gets the very bytes a client sent.

Nothing of PSRP is read or written for a client; fragments go from WSMan into the child's pipe and back. What Windows
would know or do (tables, processes, log-offs, the time of day) comes from the world, through programs and functions
that stand for Windows' own and ask the lab's desk. One thing is the machine's and not the world's: the version of
PowerShell. How long a script waits is real time, however fast the world's clock runs.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from mpsbridge.lab.engines.powershell import facts
from mpsbridge.lab.engines.powershell.children import Children
from mpsbridge.lab.engines.powershell.desk import Desk
from mpsbridge.lab.engines.powershell.finding import find_powershell
from mpsbridge.lab.engines.powershell.multipoint import modules
from mpsbridge.lab.engines.powershell.shell import PipeShell
from mpsbridge.lab.engines.powershell.tasks import Scheduler
from mpsbridge.lab.engines.powershell.zone import write_zone
from mpsbridge.lab.engines.shells import Post, Shell
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.programs import PROGRAMS, ProgramResult
from mpsbridge.lab.windows.world import World
from mpsbridge.processes import environment_of_children

SPARES = 1
"""Children kept warm for the next shell. One takes about 85 MiB."""
MOST = 32
"""Children altogether; what comes on top is refused as a used-up quota."""

_HERE = Path(__file__).resolve().parent
_CULTURE = "en-US"
_PROGRAMS = "Program Files"


class PowerShellEngine:
    """Opens shells for the hosts of one world, between :meth:`start` and :meth:`stop`.

    ``program`` is the PowerShell to start (by default what ``find_powershell`` finds).
    """

    def __init__(self, program: Path | None = None, *, spares: int = SPARES, most: int = MOST) -> None:
        self._program = program or find_powershell()
        self._spares = spares
        self._most = most
        self._site: _Site | None = None

    def start(self, world: World, post: Post) -> None:
        """Set everything up, with one warm child (about half a second). Raises ``SettingsError``."""
        self._site = _Site(world, post)
        try:
            self._site.open(self._program, spares=self._spares, most=self._most)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every child and take everything down; may be called twice."""
        site, self._site = self._site, None
        if site is not None:
            site.close()

    def open_shell(self, host: LabHost, wake: Callable[[], None], culture: str) -> Shell:
        """A PowerShell for one shell on one host; ``culture`` is the client's and becomes the thread's (W7).

        Raises ``Busy`` where there are too many already.
        """
        if self._site is None:
            raise RuntimeError("the engine was not started")
        return self._site.open_shell(host, wake, culture or _CULTURE)


class _Site:
    """What exists while a lab runs: a folder with programs and modules, the desk, the children and their seats."""

    def __init__(self, world: World, post: Post) -> None:
        self._world = world
        self._post = post
        self._hosts = list(world.hosts.values())
        self._seats: dict[str, tuple[LabHost, str]] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="mpsbridge-lab-"))
        self._write_programs()
        self._write_modules()
        self._desk = Desk(self._folder / "desk", self._answer)
        self._environment = environment_of_children(MPSBRIDGE_LAB_DESK=str(self._desk.path))
        self._prelude = "".join(_text(name) for name in ("ask.ps1", "host.ps1"))
        self._children = Children(self._environment, self._prelude)
        self._tasks: Scheduler | None = None

    def open(self, program: Path, *, spares: int, most: int) -> None:
        self._children.open(program, spares=spares, most=most)
        prelude = self._folder / "prelude.ps1"
        prelude.write_text(self._prelude, encoding="utf-8")
        self._tasks = Scheduler(
            self._world, program, self._environment, prelude, seat=self._seat_for, leave=self._seats.__delitem__
        )

    def close(self) -> None:
        if self._tasks is not None:
            self._tasks.close()
        self._children.close()
        self._desk.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def open_shell(self, host: LabHost, wake: Callable[[], None], culture: str) -> Shell:
        child = self._children.take()
        self._seats[child.seat] = (host, culture)

        def ended() -> None:
            del self._seats[child.seat]
            self._children.give_back(child)

        return PipeShell(child, self._post, wake, ended)

    def _seat_for(self, host: LabHost) -> str:
        """A place at the desk for a task of a host; the system's own culture is the one of a new installation."""
        seat = str(uuid.uuid4())
        self._seats[seat] = (host, _CULTURE)
        return seat

    def _answer(self, seat: str, program: str, arguments: list[str]) -> ProgramResult:
        """What the desk says to a child. One that warms up sits nowhere yet, and looks at the first host."""
        host, culture = self._seats.get(seat, (self._hosts[0], _CULTURE))
        with self._world.lock:
            host.files.date()
            if program in PROGRAMS:
                return PROGRAMS[program](host, arguments)
            if arguments[0] == "place":
                return ProgramResult(out=json.dumps(self._place(host, culture)).encode())
            return facts.tell(host, arguments)

    def _place(self, host: LabHost, culture: str) -> dict[str, str]:
        """Where things are on a host, as its own environment says; made when it is first asked for."""
        folder = self._folder / "hosts" / str(self._hosts.index(host))
        drive = folder / "drive"
        if not drive.exists():
            (drive / _PROGRAMS).mkdir(parents=True)
            host.files.keep_in(drive)
        generation = host.facts.generation
        return {
            "computer": host.facts.computer,
            "culture": culture,
            "modules": "" if generation == "none" else str(self._folder / "modules" / generation),
            "programs": str(drive / _PROGRAMS),
            "windows": str(self._windows_without(host.facts.lacks, folder) if host.facts.lacks else self._windows),
            "zone": str(write_zone(folder / "zone", host.facts.utc_offset_min)),
        }

    @property
    def _windows(self) -> Path:
        return self._folder / "windows"

    def _windows_without(self, programs: Sequence[str], folder: Path) -> Path:
        """A Windows folder of a host's own, in which some programs are not there."""
        system = folder / "windows" / "System32"
        if not system.exists():
            system.mkdir(parents=True)
            for program in (self._windows / "System32").iterdir():
                if program.name not in programs:
                    (system / program.name).symlink_to(program)
        return folder / "windows"

    def _write_programs(self) -> None:
        system = self._windows / "System32"
        system.mkdir(parents=True)
        for name in PROGRAMS:
            program = system / f"{name}.exe"
            words = shlex.join([sys.executable, "-S", "-E", str(_HERE / "program.py"), name])
            program.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
            program.chmod(0o700)

    def _write_modules(self) -> None:
        for generation in {host.facts.generation for host in self._hosts} - {"none"}:
            for name, text in modules(generation).items():
                module = self._folder / "modules" / generation / name / f"{name}.psm1"
                module.parent.mkdir(parents=True)
                module.write_text(text, encoding="utf-8")


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
