"""The engine that executes: each shell is a real PowerShell child that gets the very bytes a client sent.

Nothing of PSRP is read or written for a client; fragments go from WSMan into the child's pipe and back. What Windows
would know or do (tables, processes, log-offs, the time of day) comes from the world, through programs and functions
that stand for Windows' own and ask the lab's desk. One thing is the machine's and not the world's: the version of
PowerShell. How long a script waits is real time, however fast the world's clock runs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mpsbridge.lab.engines.powershell.children import Children
from mpsbridge.lab.engines.powershell.finding import find_powershell
from mpsbridge.lab.engines.powershell.shell import PipeShell
from mpsbridge.lab.engines.powershell.site import CULTURE, Site
from mpsbridge.lab.engines.powershell.tasks import Scheduler
from mpsbridge.lab.engines.shells import Post, Shell
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.world import World

SPARES = 1
"""Children kept warm for the next shell. One takes about 85 MiB."""
MOST = 32
"""Children altogether; what comes on top is refused as a used-up quota."""


class PowerShellEngine:
    """Opens shells for the hosts of one world, between :meth:`start` and :meth:`stop`.

    ``program`` is the PowerShell to start (by default what ``find_powershell`` finds).
    """

    def __init__(self, program: Path | None = None, *, spares: int = SPARES, most: int = MOST) -> None:
        self._program = program or find_powershell()
        self._spares = spares
        self._most = most
        self._running: _Running | None = None

    def start(self, world: World, post: Post) -> None:
        """Set everything up, with one warm child (about half a second). Raises ``SettingsError``."""
        self._running = _Running(world, post)
        try:
            self._running.open(self._program, spares=self._spares, most=self._most)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every child and take everything down; may be called twice."""
        running, self._running = self._running, None
        if running is not None:
            running.close()

    def open_shell(self, host: LabHost, wake: Callable[[], None], culture: str) -> Shell:
        """A PowerShell for one shell on one host; ``culture`` is the client's and becomes the thread's (W7).

        Raises ``Busy`` where there are too many already.
        """
        if self._running is None:
            raise RuntimeError("the engine was not started")
        return self._running.open_shell(host, wake, culture or CULTURE)


class _Running:
    """What exists while a lab runs: a site, and the children that sit there."""

    def __init__(self, world: World, post: Post) -> None:
        self._world = world
        self._post = post
        self._site = Site(next(iter(world.hosts.values())))  # a child that warms up looks at some host
        self._children = Children(self._site.environment, self._site.prelude.read_text(encoding="utf-8"))
        self._tasks: Scheduler | None = None

    def open(self, program: Path, *, spares: int, most: int) -> None:
        self._children.open(program, spares=spares, most=most)
        self._tasks = Scheduler(self._world, program, self._site)

    def close(self) -> None:
        if self._tasks is not None:
            self._tasks.close()
        self._children.close()
        self._site.close()

    def open_shell(self, host: LabHost, wake: Callable[[], None], culture: str) -> Shell:
        child = self._children.take()
        self._site.take_seat(host, culture, child.seat)

        def ended() -> None:
            self._site.leave_seat(child.seat)
            self._children.give_back(child)

        return PipeShell(child, self._post, wake, ended)
