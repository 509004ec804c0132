"""A thousand hosts: memory, time and bad hosts, measured with the command as people call it.

    .venv/bin/python -m tests.benchmarks.thousand [memory] [bad]

The hosts are a lab in a process of its own, on the same machine; its CPU seconds stand beside. Every figure is the
median of rounds in which the variants take turns, or of the quickest where that is said. Fails where a bound of
:data:`BOUNDS` is not kept, which for a ratio of times needs a machine that does nothing else.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .rivals.measure import Cost, measure

ROUNDS = 3
PEOPLE = [{"id": 2 + number, "user": f"user{number}"} for number in range(5)]
BAD: dict[str, dict[str, Any]] = {
    "timeout": {"faults": [{"step": "connect", "do": "hang"}]},
    "unreachable": {"down": True},
    "auth": {"faults": [{"step": "auth", "do": "refuse"}]},
    "not-winrm": {"faults": [{"step": "create", "do": "garble"}]},
}
"""What is wrong with a host, by the kind of failure that it becomes; ten of each."""
BOUNDS = {
    "MiB at the peak, 1,000 hosts": 200.0,
    "peak with jsonl, 1,000 hosts to 250": 1.1,
    "time a host with jsonl, 1,000 hosts to 250": 1.1,
    "216 good hosts beside 40 bad ones, to without": 1.1,
}
Host = dict[str, Any]


@dataclass(frozen=True)
class Farm:
    """Hosts that answer; ``process`` is the lab's."""

    process: subprocess.Popen[str]
    environment: dict[str, str]
    record: Path

    def cpu_s(self) -> float:
        """CPU that the lab has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def farm(hosts: Sequence[Host], folder: Path) -> Iterator[Farm]:
    """A lab with these hosts, until the block ends."""
    world, ready, record = folder / "world.json", folder / "ready.json", folder / "record.jsonl"
    world.write_text(json.dumps({"hosts": hosts}), encoding="utf-8")
    ready.unlink(missing_ok=True)
    record.unlink(missing_ok=True)
    words = ["lab", "--world", str(world), "--ready-file", str(ready), "--record", str(record), "--quiet"]
    with subprocess.Popen([sys.executable, "-m", "mpsbridge", *words], stdout=subprocess.DEVNULL, text=True) as process:
        while not ready.exists():
            time.sleep(0.1)
        told = json.loads(ready.read_text(encoding="utf-8"))
        settings = folder / "settings.toml"
        settings.touch()
        environment = os.environ | {
            "MPSBRIDGE_PASSWORD": told["password"],
            "MPSBRIDGE_INVENTORY": told["inventory"],
            "MPSBRIDGE_SETTINGS": str(settings),
        }
        try:
            yield Farm(process, environment, record)
        finally:
            process.terminate()


def good(count: int) -> list[Host]:
    """So many hosts with five people each."""
    return [{"name": f"ts{number:04}", "sessions": PEOPLE} for number in range(count)]


def sessions(hosts: Sequence[Host], *options: str) -> list[str]:
    """The command that lists them."""
    return [sys.executable, "-m", "mpsbridge", "sessions", *(host["name"] for host in hosts), "--quiet", *options]


def memory(folder: Path) -> dict[str, float]:
    """250 and 1,000 hosts, streamed and as a table."""
    variants = [(count, form) for count in (250, 1000) for form in ("jsonl", "table")]
    costs: dict[tuple[int, str], list[Cost]] = {variant: [] for variant in variants}
    lab_s: dict[tuple[int, str], list[float]] = {variant: [] for variant in variants}
    hosts = good(1000)
    with farm(hosts, folder) as lab:
        for _ in range(ROUNDS):
            for count, form in variants:
                before = lab.cpu_s()
                command = sessions(hosts[:count], "--output", form)
                costs[count, form].append(measure(command, environment=lab.environment, folder=folder))
                lab_s[count, form].append(lab.cpu_s() - before)
    say(f"{'hosts':>6} {'output':<7}{'wall s':>8}{'CPU s':>8}{'peak MiB':>10}{'lab CPU s':>11}")
    for variant in variants:
        wall_s, cpu_s, peak_mib = (middle(costs[variant], figure) for figure in ("wall_s", "cpu_s", "peak_mib"))
        lab_cpu_s = statistics.median(lab_s[variant])
        say(f"{variant[0]:>6} {variant[1]:<7}{wall_s:>8.2f}{cpu_s:>8.2f}{peak_mib:>10.0f}{lab_cpu_s:>11.2f}")
    few, many = costs[250, "jsonl"], costs[1000, "jsonl"]
    return {
        "MiB at the peak, 1,000 hosts": max(middle(costs[1000, form], "peak_mib") for form in ("jsonl", "table")),
        "peak with jsonl, 1,000 hosts to 250": middle(many, "peak_mib") / middle(few, "peak_mib"),
        "time a host with jsonl, 1,000 hosts to 250": middle(many, "wall_s") / middle(few, "wall_s") / 4,
    }


def bad(folder: Path) -> dict[str, float]:
    """216 good hosts: alone, and with 40 bad ones first, spread and last. When is the last good one told?

    The quickest round of each counts: what else the machine does can only add to so short a time.
    """
    fine = good(216)
    sick = [{"name": f"{kind}-{number}", **BAD[kind]} for number in range(10) for kind in BAD]
    orders: dict[str, list[Host]] = {
        "alone": fine,
        "first": sick + fine,
        "spread": [
            host for part in range(40) for host in (sick[part], *fine[part * 216 // 40 : (part + 1) * 216 // 40])
        ],
        "last": fine + sick,
    }
    seconds: dict[str, list[float]] = {order: [] for order in orders}
    with farm(fine + sick, folder) as lab:
        for _ in range(ROUNDS):
            for order, hosts in orders.items():
                lab.record.write_text("", encoding="utf-8")  # the lab appends
                last_s, kinds = timed(sessions(hosts, "--output", "jsonl", "--timeout", "10s"), lab.environment)
                seconds[order].append(last_s)
                check(order, kinds, lab.record)
    for order, times in seconds.items():
        say(f"last good host told, bad ones {order:<7}" + "".join(f"{one_s:>7.2f}" for one_s in sorted(times)) + " s")
    worst = max(min(times) for order, times in seconds.items() if order != "alone")
    return {"216 good hosts beside 40 bad ones, to without": worst / min(seconds["alone"])}


def timed(command: Sequence[str], environment: dict[str, str]) -> tuple[float, Counter[str]]:
    """When the last good outcome came, and how many of each kind came."""
    kinds: Counter[str] = Counter()
    last_s, started = 0.0, time.monotonic()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            outcome = json.loads(line)
            if outcome["status"] == "done":
                last_s = time.monotonic() - started
            kinds[outcome["failure"]["kind"] if outcome["status"] == "failed" else "done"] += 1
    return last_s, kinds


def check(order: str, kinds: Counter[str], record: Path) -> None:
    """Each bad host has its own kind of outcome, and saw one attempt to sign in at most."""
    expected = Counter({"done": 216} | (dict.fromkeys(BAD, 10) if order != "alone" else {}))
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines() if line.strip("\0")]
    refused = Counter(line["host"] for line in lines if line.get("step") == "auth" and line["host"].startswith("auth"))
    if kinds != expected or set(refused.values()) - {1}:
        raise SystemExit(f"{order}: {dict(kinds)} instead of {dict(expected)}; sign-ins {dict(refused)}")


def middle(costs: Sequence[Cost], figure: str) -> float:
    """The median of one figure."""
    return float(statistics.median(getattr(cost, figure) for cost in costs))


def say(line: str) -> None:
    """A line of the table."""
    print(line, flush=True)


PARTS: dict[str, Callable[[Path], dict[str, float]]] = {"memory": memory, "bad": bad}


def main(names: Sequence[str]) -> int:
    """Measure the parts that are named, or all; 1 where a bound is not kept."""
    broken = False
    for name in names or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            found = PARTS[name](Path(folder))
        for what, value in found.items():
            bound = BOUNDS.get(what)
            broken |= bound is not None and value > bound
            said = "" if bound is None else f", at most {bound:g}: {'kept' if value <= bound else 'NOT KEPT'}"
            say(f"{what}: {value:.2f}{said}")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
