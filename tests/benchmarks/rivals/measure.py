"""What one command costs: seconds of wall time, CPU of its whole process tree, and memory at its peak."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_S = 0.5
"""How often memory is looked at: a look at a big process takes the kernel some milliseconds."""


@dataclass(frozen=True, slots=True)
class Cost:
    """``cpu_s`` counts user and system time of the process and of all its children that it waited for; ``peak_mib``
    is the proportional set size of the tree, or the resident set of its largest process where that is more.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float
    output: str


def measure(command: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> Cost:
    """Run it to its end. Raises ``RuntimeError`` with what it said where it fails."""
    out, err = folder / "out", folder / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        started = time.monotonic()
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=stdout, stderr=stderr)
        watch = _Memory(process.pid)
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    tree_kib = watch.end()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {err.read_text()[-2000:]}")
    return Cost(
        wall_s=wall_s,
        cpu_s=used.ru_utime + used.ru_stime,
        peak_mib=max(tree_kib, used.ru_maxrss) / 1024,
        output=out.read_text(encoding="utf-8"),
    )


class _Memory:
    """Looks at a process and its descendants now and then, in a thread."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak_kib = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> int:
        self._over.set()
        self._thread.join()
        return self._peak_kib

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self._peak_kib = max(self._peak_kib, sum(_pss_kib(pid) for pid in _tree(self._pid)))


def _tree(pid: int) -> list[int]:
    """A process and its descendants; who ends meanwhile is left out."""
    found, rest = [], [pid]
    while rest:
        found.append(rest[-1])
        tasks = Path(f"/proc/{rest.pop()}/task")
        try:
            rest += [int(word) for task in tasks.iterdir() for word in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
