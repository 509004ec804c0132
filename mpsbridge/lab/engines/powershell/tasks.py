"""The task scheduler of make-believe hosts: it starts what a script has registered, when a host's clock reaches it.

Rules: the command line is the registered one, word for word; it runs in a PowerShell of its own, as whoever looks from
inside the host, and what it does to the world it does through the same programs and cmdlets as every script; a task
that still runs is not started again.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
from pathlib import Path, PureWindowsPath

from mpsbridge.lab.engines.powershell.site import Site
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.tasks import NO_SUCH_FILE, Task
from mpsbridge.lab.windows.world import World

LOOK_S = 0.2
"""How often the scheduler looks at the hosts' clocks."""


class Scheduler:
    """Runs due tasks from construction to :meth:`close`; each sits at the site as a new installation's own system."""

    def __init__(self, world: World, program: Path, site: Site) -> None:
        self._world = world
        self._program = program
        self._site = site
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        """By the seat that each has at the site."""
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        for host in world.hosts.values():
            host.execute = self._start
        self._watch = threading.Thread(target=self._look, name="lab-tasks", daemon=True)
        self._watch.start()

    def close(self) -> None:
        """Start nothing any more, and end what runs."""
        self._closing.set()
        self._watch.join()
        with self._world.lock:
            for host in self._world.hosts.values():
                host.execute = None
            running = list(self._running.values())
        for process in running:
            process.kill()
        for thread in self._threads:
            thread.join()

    def _look(self) -> None:
        """A host's tasks run though nobody asks it anything: looking at it is what lets its time pass."""
        while not self._closing.wait(LOOK_S):
            with self._world.lock:
                for host in self._world.hosts.values():
                    if host.tasks:
                        host.rows()

    def _start(self, host: LabHost, task: Task) -> int | None:
        if self._closing.is_set() or PureWindowsPath(task.command).name.lower() != "powershell.exe":
            return NO_SUCH_FILE
        seat = self._site.take_seat(host)
        *words, command = _words(task.arguments)
        # Compiled after the prelude has run: a class that PowerShell knows by itself would be bound to before.
        after = f". '{self._site.prelude}'; . ([scriptblock]::Create($env:MPSBRIDGE_LAB_TASK))"
        process = subprocess.Popen(
            [str(self._program), *words, after],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**self._site.environment, "MPSBRIDGE_LAB_SEAT": seat, "MPSBRIDGE_LAB_TASK": command},
        )
        self._running[seat] = process
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._wait, args=(task, seat, process), name="lab-task", daemon=True)
        self._threads.append(thread)
        thread.start()
        return None

    def _wait(self, task: Task, seat: str, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(OSError):
            process.wait()
        with self._world.lock:
            task.last_result = process.returncode if process.returncode is not None else 1
            del self._running[seat]
            self._site.leave_seat(seat)


def _words(line: str) -> list[str]:
    """The arguments of a task, as Windows splits them; no backslash stands before a quote in one of ours."""
    words, rest = [], line
    while rest := rest.lstrip(" "):
        if rest.startswith('"'):
            word, _, rest = rest[1:].partition('"')
        else:
            word, _, rest = rest.partition(" ")
        words.append(word)
    return words
