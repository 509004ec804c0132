"""What stands for Windows around PowerShells, whatever starts them: programs, modules, and the desk that both ask.

A PowerShell asks from a seat: the host it is on, and the culture of its user. Its environment names the desk
(:attr:`Site.environment`) and the seat (``MPSBRIDGE_LAB_SEAT``), and :attr:`Site.prelude` runs before its scripts. A
host's files are real ones from the first question about where things are on it.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import tempfile
import uuid
from pathlib import Path

from mpsbridge.lab.engines.powershell import facts
from mpsbridge.lab.engines.powershell.desk import Desk
from mpsbridge.lab.engines.powershell.multipoint import modules
from mpsbridge.lab.engines.powershell.zone import write_zone
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.programs import PROGRAMS, ProgramResult, run_program
from mpsbridge.processes import environment_of_children

CULTURE = "en-US"
"""A new installation's."""

_HERE = Path(__file__).resolve().parent


class Site:
    """From construction to :meth:`close`; ``default`` is the host of a PowerShell that has no seat yet."""

    def __init__(self, default: LabHost | None = None) -> None:
        self._default = default
        self._seats: dict[str, tuple[LabHost, str]] = {}
        self._folders: dict[LabHost, Path] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="mpsbridge-lab-"))
        self._windows = self._folder / "windows"
        self._write_programs()
        self.prelude = self._folder / "prelude.ps1"
        self.prelude.write_text("".join(_text(name) for name in ("ask.ps1", "host.ps1")), encoding="utf-8")
        self._desk = Desk(self._folder / "desk", self._answer)
        self.environment = environment_of_children(MPSBRIDGE_LAB_DESK=str(self._desk.path))

    def close(self) -> None:
        """Answer no more, and leave nothing behind."""
        self._desk.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def take_seat(self, host: LabHost, culture: str = CULTURE, seat: str = "") -> str:
        """A place at the desk, of that name or a new one."""
        seat = seat or str(uuid.uuid4())
        self._seats[seat] = (host, culture)
        return seat

    def leave_seat(self, seat: str) -> None:
        """Give a place back."""
        del self._seats[seat]

    def folder_of(self, host: LabHost) -> Path:
        r"""The folder of this machine that a host has: ``drive`` is its ``C:``."""
        if host not in self._folders:
            self._folders[host] = self._folder / "hosts" / str(len(self._folders))
            drive = self._folders[host] / "drive"
            (drive / "Program Files").mkdir(parents=True)
            host.files.keep_in(drive)
        return self._folders[host]

    def answer(self, host: LabHost, program: str, arguments: list[str]) -> ProgramResult:
        """What a program prints, or what a cmdlet is told where ``program`` is ``fact``."""
        return facts.tell(host, arguments) if program == "fact" else run_program(host, program, arguments)

    def _answer(self, seat: str, program: str, arguments: list[str]) -> ProgramResult:
        host, culture = self._seats.get(seat, (self._default, CULTURE))
        if host is None:
            raise KeyError(f"there is no seat {seat}")
        with host.world.lock:
            host.files.date()
            if arguments[:1] == ["place"] and program == "fact":
                return ProgramResult(out=json.dumps(self._place(host, culture)).encode())
            return self.answer(host, program, arguments)

    def _place(self, host: LabHost, culture: str) -> dict[str, str]:
        """Where things are on a host, as its own environment says."""
        folder = self.folder_of(host)
        return {
            "computer": host.facts.computer,
            "culture": culture,
            "modules": str(self._modules(host.facts.generation)),
            "programs": str(folder / "drive" / "Program Files"),
            "windows": str(self._windows_of(host, folder)),
            "zone": str(write_zone(folder / "zone", host.facts.utc_offset_min)),
        }

    def _windows_of(self, host: LabHost, folder: Path) -> Path:
        """The shared Windows folder, or the host's own where some programs are not there."""
        if not host.facts.lacks:
            return self._windows
        system = folder / "windows" / "System32"
        if not system.exists():
            system.mkdir(parents=True)
            for program in (self._windows / "System32").iterdir():
                if program.name not in host.facts.lacks:
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

    def _modules(self, generation: str) -> Path | str:
        """The folder of a generation's modules, written when it is first asked for; no folder without MultiPoint."""
        if generation == "none":
            return ""
        folder = self._folder / "modules" / generation
        if not folder.exists():
            for name, text in modules(generation).items():
                module = folder / name / f"{name}.psm1"
                module.parent.mkdir(parents=True)
                module.write_text(text, encoding="utf-8")
        return folder


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
