"""A make-believe Windows on which scripts run for real: the lab's computer, its programs and cmdlets, a PowerShell.

``Windows(engine, [Person(...)], KEY=VALUE...)`` is a host as a world file describes it. ``run`` executes a script
there; ``record`` is what its programs and MultiPoint's service were told to do.
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mpsbridge.lab.engines.powershell import facts
from mpsbridge.lab.engines.powershell.site import Site
from mpsbridge.lab.engines.scripted.lease import LEASE_FILE
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.programs import ProgramResult, run_program
from mpsbridge.lab.windows.tables import quser_row
from mpsbridge.lab.worldfile import build_world, session_of
from mpsbridge.models.scripts import RawOutput, Script
from mpsbridge.models.sessions import AllowedSession, SessionGuard, from_cim
from support.pwsh import run_script

BOOT = "20261101060000.000000+000"
ACTS_OF_MULTIPOINT = ("close", "disconnect", "switch")


@dataclass(frozen=True, slots=True)
class Person:
    """One session: its row as it stands in the table, and the processes behind it."""

    id: int
    user: str
    name: str = "rdp-tcp#1"
    state: str = "Active"
    idle: str = "."
    logon: str = "11/25/2026 9:00 AM"
    born: str = "20261125080000.123456+000"
    sid: str | None = None
    programs: tuple[str, ...] = ("explorer", "rdpclip")
    listed: bool = True
    traits: dict[str, Any] = field(default_factory=dict)
    """More keys of a session in a world file."""

    def guard(self, page: str = "cp437", **changes: Any) -> SessionGuard:
        """What a caller who saw this row would send."""
        known: dict[str, Any] = {"id": self.id, "born": self.born}
        texts = ("user", "logon", "state")
        known |= {name: getattr(self, name).encode(page).decode("latin-1") for name in texts}
        return SessionGuard.model_validate(known | changes)

    def stays(self, **changes: Any) -> AllowedSession:
        """What a caller would send whom it allows to be there still."""
        return AllowedSession.model_validate({"id": self.id, "born": self.born, "leftover": not self.listed} | changes)

    def session(self) -> dict[str, Any]:
        """The session as a world file has it."""
        return {
            "id": self.id,
            "user": self.user,
            "account": f"LAB\\{self.user}",
            "sid": self.sid or f"S-1-5-21-1-2-3-{1000 + self.id}",
            "session_name": self.name,
            "state": "active" if self.name else "disconnected",
            "state_text": self.state,
            "idle_text": self.idle,
            "logon_text": self.logon,
            "born": from_cim(self.born),
            "desktop": "explorer" in self.programs,
            "programs": [name for name in self.programs if name != "explorer"],
            "orphaned": not self.listed,
        } | self.traits


def row(person: Person) -> str:
    """The person's line in the table of users."""
    host = build_world({"hosts": [{"name": "station-host"}]}).hosts["station-host"]
    return quser_row(host, session_of(person.session(), host))


def moved(person: Person, **changes: Any) -> Person:
    """The same person with something changed."""
    return replace(person, **changes)


class Act(NamedTuple):
    """What a program, or MultiPoint's service (``wms``), was told."""

    program: str
    arguments: list[str]


class _Site(Site):
    """All hosts of this test process, each of which may answer in a way of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.hosts: dict[LabHost, Windows] = {}

    def answer(self, host: LabHost, program: str, arguments: list[str]) -> ProgramResult:
        return self.hosts[host].answer(program, arguments)


@cache
def _site() -> _Site:
    return _Site()


def close() -> None:
    """Take down what the hosts of this test process had in common."""
    if _site.cache_info().currsize:
        _site().close()


class Windows:
    """One host of a world of its own, whose users are those of the domain LAB.

    A test may set ``programs`` (by name: what one prints instead), ``facts`` (by question: what a cmdlet is told
    instead, from the question's key) and ``registry`` (by path: the values of a key, or ``None`` for no key).
    """

    def __init__(
        self, engine: Path, people: list[Person], *, page: str = "cp437", lease: str | None = None, **keys: Any
    ) -> None:
        self.engine = engine
        self._has_modules = bool(keys.get("generation"))
        self.record: list[Act] = []
        self.looks = 0
        """How often quser was called."""
        self.programs: dict[str, Callable[[list[str]], ProgramResult]] = {}
        self.facts: dict[str, Callable[[str], Any]] = {}
        self.registry: dict[str, Mapping[str, Any] | None] = {}
        self._later: dict[int, list[Person]] = {}
        first = [person for place, person in enumerate(people) if person.id not in {each.id for each in people[:place]}]
        raw = {
            "name": "station-host",
            "boot": from_cim(BOOT),
            "administrators": "unnoted",
            "oem": int(page.removeprefix("cp")),
            "sessions": [person.session() for person in first],
            "files": [{"path": LEASE_FILE, "text": lease}] if lease is not None else [],
        }
        self.host = build_world({"hosts": [raw | keys]}).hosts["station-host"]
        self.host.sessions += [session_of(person.session(), self.host) for person in people if person not in first]
        _site().hosts[self.host] = self
        self.prelude = _site().prelude
        """What runs before anything else in a PowerShell on this host."""
        self._seat = _site().take_seat(self.host)
        self.folder = _site().folder_of(self.host)

    @property
    def lease_file(self) -> Path:
        """Where the lease is; its folder may not be there."""
        return self.drive_path(LEASE_FILE)

    def drive_path(self, path: str) -> Path:
        r"""The real path of one on drive C."""
        return self.folder.joinpath("drive", *path.split("\\")[1:])

    def put_lease(self, text: str | None, written: datetime | None = None) -> None:
        """Somebody writes the lease, or takes it away."""
        self.host.files.write(LEASE_FILE, text, written)

    def change(self, **keys: Any) -> None:
        """From now on the host is like that."""
        self.host.facts = replace(self.host.facts, **keys)

    @property
    def ids(self) -> list[int]:
        """Who is still listed."""
        return [session.id for session in self.host.rows()]

    @property
    def events(self) -> list[str]:
        """The entries of the Application log, in order."""
        return self.host.events

    def later(self, at_look: int, people: list[Person]) -> None:
        """From the given call of quser on, these people are there."""
        self._later[at_look] = people

    def answer(self, program: str, arguments: list[str]) -> ProgramResult:
        """What the lab answers, but for what this host does in its own way."""
        if program == "fact":
            return self._tell(*arguments)
        if program == "quser":
            self.looks += 1
            if (people := self._later.get(self.looks)) is not None:
                self.host.sessions = [session_of(person.session(), self.host) for person in people]
        elif program != "qwinsta":
            self.record.append(Act(program, arguments))
        if program in self.programs:
            return self.programs[program](arguments)
        return run_program(self.host, program, arguments)

    def _tell(self, question: str, key: str) -> ProgramResult:
        if question in ACTS_OF_MULTIPOINT:
            self.record.append(Act("wms", [question, key]))
        try:
            if question in self.facts:
                return ProgramResult(out=json.dumps(self.facts[question](key)).encode())
            if question == "key" and key in self.registry:
                return ProgramResult(out=json.dumps(self.registry[key]).encode())
        except facts.NotPermitted as error:
            return ProgramResult(5, err=str(error).encode())
        return facts.tell(self.host, [question, key])

    @property
    def environment(self) -> dict[str, str]:
        """Where a PowerShell on this host asks."""
        desk = "MPSBRIDGE_LAB_DESK"
        place = {desk: _site().environment[desk], "MPSBRIDGE_LAB_SEAT": self._seat}
        return place | {"MPSBRIDGE_LAB_PRELUDE": str(self.prelude)}

    def run(self, script: Script | str, **how: Any) -> RawOutput:
        """Execute a script here; ``how`` as for :func:`run_script`."""
        # Whether a module is found can hang on the modules that the same process has looked for on other hosts.
        how.setdefault("alone", self._has_modules)
        return run_script(self.engine, script, prelude=self.prelude, environment=self.environment, **how)

    def call(self, script: Script, function: str = "") -> RawOutput:
        """Publish the script's function on a restricted endpoint, and call it (or another) as a command."""
        module = self.folder / "Published.psm1"
        module.write_text(f"{script.definitions}\nExport-ModuleMember -Function {script.function}\n")
        return self.run(script.model_copy(update={"function": function or script.function}), module=module)

    def program(self, name: str, words: str) -> Path:
        """A program of this machine that is on this host: it becomes a PowerShell, with these words as shell text."""
        path = self.folder / name
        variables = " ".join(f"{key}={shlex.quote(value)}" for key, value in self.environment.items())
        path.write_text(f'#!/bin/sh\n{variables} exec "{self.engine}" {words}\n')
        path.chmod(0o700)
        return path

    def powershell(self, last: str = "") -> Path:
        """The PowerShell of a person who sits at this host; ``last`` is run before anything of theirs."""
        encoded = base64.b64encode(f". '{self.prelude}'\n{last}".encode("utf-16-le")).decode()
        return self.program("powershell", f'"$@" -EncodedCommand {encoded}')
