"""The hosts, in a process of their own: a lab whose answers are as late as a round trip takes.

Run by :class:`Farm`; it answers each line on its standard input with what has been asked of it so far.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mpsbridge.lab import Lab, World, build_world
from mpsbridge.lab.wire.faults import Fault

ROOT = Path(__file__).resolve().parents[3]
PEOPLE = 5
"""Sessions on each host."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the farm has done since it began: requests, and seconds of its own CPU."""

    requests: int
    cpu_s: float


class Farm:
    """``with Farm(256, latency_s=0.02, tls=False, folder=...) as farm:`` - hosts that answer until the block ends.

    ``ready`` is the lab's ready file: addresses, port, account, CA. Each request of signing in, too, waits
    ``latency_s``; TCP and TLS handshakes do not.
    """

    def __init__(self, hosts: int, *, latency_s: float, tls: bool, folder: Path) -> None:
        self.file = folder / "ready.json"
        self._command = [
            *(sys.executable, "-m", "tests.benchmarks.rivals.farm"),
            *(str(hosts), str(latency_s), str(int(tls)), str(self.file)),
        ]
        self._process: subprocess.Popen[str] | None = None
        self.ready: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.served()
        self.ready = json.loads(self.file.read_text(encoding="utf-8"))
        return self

    def served(self) -> Served:
        """Ask for the counters; the first answer comes when the hosts listen."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Served(**json.loads(self._process.stdout.readline()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.communicate()


def farm_world(hosts: int, latency_s: float) -> World:
    """So many hosts with :data:`PEOPLE` people each, every one of them as far away."""
    people = [{"id": 2 + number, "user": f"user{number}", "logon": "2h"} for number in range(PEOPLE)]
    world = build_world({"hosts": [{"name": f"ts{number:04}", "sessions": people} for number in range(hosts)]})
    if latency_s:
        for host in world.hosts.values():
            host.faults = tuple(Fault(step, "delay", delay_s=latency_s) for step in ("any", "auth"))
    return world


def main(hosts: str, latency_s: str, tls: str, ready: str) -> None:
    """Serve until standard input ends."""
    with Lab(farm_world(int(hosts), float(latency_s)), auth="ntlm", tls=tls == "1") as lab:
        lab.write_ready_file(Path(ready))
        for _ in sys.stdin:
            times = os.times()
            print(json.dumps({"requests": len(lab.requests), "cpu_s": times.user + times.system}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
