"""Who asks many hosts for the least: mpsbridge, and what people use today, in turns against the same lab.

    python -m tests.benchmarks.rivals [--hosts 256] [--latency 20] [--ways http,https] [--rounds 3] [--only NAME,...]

mpsbridge answers a whole ``sessions`` (``observe``: tables, births, owners, MultiPoint, lease, ...), the others one
``quser``. Ratios count, not seconds: each is the median over the rounds of two runs of the same round; with few hosts
the quickest run of each counts, in more rounds. The command ends with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import certifi

from .contestants import CONTESTANTS, THREADS
from .farm import ROOT, Farm
from .measure import Cost, measure

NAMES = ("mpsbridge", *CONTESTANTS, "ansible")
ONCE = ("loop",)
"""Takes so long, and says so little, that one round has to do."""


@dataclass(frozen=True)
class Run:
    """One contestant in one round."""

    cost: Cost
    requests: int
    lab_cpu_s: float


@dataclass(frozen=True)
class Goal:
    """What mpsbridge takes, divided by what ``theirs`` takes, is to be at most ``most``; missing it is an error."""

    what: str
    tls: bool
    theirs: str
    field: str
    most: float
    hosts: int = 256


GOALS = (
    Goal("CPU against pypsrp over HTTP", False, "pypsrp", "cpu_s", 0.6),
    Goal("CPU against pywinrm over HTTP", False, "pywinrm", "cpu_s", 1.0),
    Goal("wall time against pywinrm over HTTP", False, "pywinrm", "wall_s", 1.15),
    Goal("CPU against Ansible over HTTP", False, "ansible", "cpu_s", 1 / 10),
    Goal("wall time against Ansible over HTTP", False, "ansible", "wall_s", 1 / 6),
    Goal("CPU against pypsrp over HTTPS", True, "pypsrp", "cpu_s", 0.35),
    Goal("CPU against pywinrm, one host over HTTP", False, "pywinrm", "cpu_s", 1.3, hosts=1),
    Goal("wall time against pywinrm, one host over HTTP", False, "pywinrm", "wall_s", 1.15, hosts=1),
)
GOALS_HOLD_AT_MS = 20
"""The round trip that the goals are about."""
FEW_HOSTS, ROUNDS_OF_FEW = 8, 20
"""So few hosts take so short a time that whatever else the machine does weighs more than they do: there are more
rounds, and the quickest of each contestant counts.
"""


class Session:
    """One farm, and every contestant against it in turns."""

    def __init__(self, farm: Farm, folder: Path) -> None:
        self.farm = farm
        self.folder = folder
        self.hosts = len(farm.ready["hosts"])
        bundle = folder / "bundle.pem"
        trusted = [Path(certifi.where())] + ([Path(farm.ready["ca_file"])] if farm.ready["ca_file"] else [])
        bundle.write_bytes(b"\n".join(path.read_bytes() for path in trusted))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "REQUESTS_CA_BUNDLE": str(bundle),  # the usual CAs and the lab's own: what requests reads for each host
            "MPSBRIDGE_PASSWORD": farm.ready["password"],
            "ANSIBLE_DEPRECATION_WARNINGS": "0",
        }
        (folder / "hosts.txt").write_text("".join(f"{host['name']}\n" for host in farm.ready["hosts"]))
        (folder / "ansible.json").write_text(json.dumps(_ansible_inventory(farm.ready)))

    def run(self, name: str) -> Run:
        """One run; every host must have answered."""
        before = self.farm.served()
        cost = measure(self._command(name), environment=self.environment, folder=self.folder)
        after = self.farm.served()
        if (answered := _answered(name, cost.output)) != self.hosts:
            raise RuntimeError(f"{name}: {answered} of {self.hosts} hosts answered: {cost.output[:2000]}")
        return Run(cost, after.requests - before.requests, after.cpu_s - before.cpu_s)

    def _command(self, name: str) -> list[str]:
        python = sys.executable
        if name == "mpsbridge":
            inventory = str(self.farm.ready["inventory"])
            return [python, "-m", "mpsbridge", "sessions", "@hosts.txt", "--inventory", inventory, "--output", "json"]
        if name == "ansible":
            program = Path(python).with_name("ansible")
            return [str(program), "all", "-i", "ansible.json", "-f", str(THREADS), "-m", "raw", "-a", "quser"]
        return [python, "-m", "tests.benchmarks.rivals.contestants", name, str(self.farm.file)]


def _answered(name: str, output: str) -> int:
    if name == "mpsbridge":
        return sum(
            outcome["status"] == "done" and len(outcome["value"]["sessions"]) > 1
            for outcome in json.loads(output)["outcomes"]
        )
    if name == "ansible":
        return output.count("| rc=0 >>")
    return int(output)


def _ansible_inventory(ready: Mapping[str, object]) -> dict[str, object]:
    """YAML, which JSON is: every host with the psrp connection that comes with ansible-core."""
    hosts = ready["hosts"]
    assert isinstance(hosts, list)
    shared = {
        "ansible_connection": "psrp",
        "ansible_shell_type": "powershell",
        "ansible_user": ready["user"],
        "ansible_password": ready["password"],
        "ansible_port": ready["port"],
        "ansible_psrp_protocol": "https" if ready["tls"] else "http",
        "ansible_psrp_auth": "ntlm",
    }
    return {"all": {"vars": shared, "hosts": {host["name"]: {"ansible_host": host["address"]} for host in hosts}}}


def compare(hosts: int, latency_ms: int, *, tls: bool, names: Iterable[str], rounds: int) -> dict[str, list[Run]]:
    """All of them in turns, so that whatever else the machine does meets everybody."""
    runs: dict[str, list[Run]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="rivals-") as name:
        folder = Path(name)
        with Farm(hosts, latency_s=latency_ms / 1000, tls=tls, folder=folder) as farm:
            session = Session(farm, folder)
            for number in range(rounds):
                for contestant, so_far in runs.items():
                    if number == 0 or contestant not in ONCE:
                        so_far.append(session.run(contestant))
    return runs


def ratio(runs: Mapping[str, list[Run]], theirs: str, field: str, hosts: int) -> float:
    """Ours divided by theirs: the median over the rounds, with few hosts the least by the least."""
    if hosts <= FEW_HOSTS:
        mine, other = (min(float(getattr(run.cost, field)) for run in runs[name]) for name in ("mpsbridge", theirs))
        return mine / other
    pairs = zip(runs["mpsbridge"], runs[theirs], strict=False)
    return statistics.median(float(getattr(mine.cost, field) / getattr(other.cost, field)) for mine, other in pairs)


COLUMNS = ("wall s", "CPU s", "ms/host", "MiB", "requests", "lab CPU s", "wall", "CPU")
"""Requests are those of one host; the last two are what mpsbridge takes, divided by what this one takes."""


def table(title: str, runs: Mapping[str, list[Run]], hosts: int) -> None:
    """The medians of each contestant; with few hosts the least."""
    middle = min if hosts <= FEW_HOSTS else statistics.median
    say(f"\n{title}")
    say(f"{'':<11}" + "".join(f"{column:>11}" for column in COLUMNS))
    for name, each in runs.items():
        wall_s, cpu_s, peak_mib = (
            middle([float(getattr(run.cost, field)) for run in each]) for field in ("wall_s", "cpu_s", "peak_mib")
        )
        requests = statistics.median(run.requests for run in each) / hosts
        lab_cpu_s = statistics.median(run.lab_cpu_s for run in each)
        line = f"{name:<11}{wall_s:>11.2f}{cpu_s:>11.2f}{cpu_s / hosts * 1000:>11.1f}{peak_mib:>11.0f}"
        line += f"{requests:>11.2f}{lab_cpu_s:>11.2f}"
        if "mpsbridge" in runs:
            line += f"{ratio(runs, name, 'wall_s', hosts):>11.2f}{ratio(runs, name, 'cpu_s', hosts):>11.2f}"
        say(line)


def judge(runs: Mapping[str, list[Run]], *, hosts: int, tls: bool) -> bool:
    """Print each goal for so many hosts by this way; whether all are reached."""
    good = True
    for goal in GOALS:
        if (goal.tls, goal.hosts) != (tls, hosts) or not {"mpsbridge", goal.theirs} <= set(runs):
            continue
        found = ratio(runs, goal.theirs, goal.field, hosts)
        good = good and found <= goal.most
        say(
            f"{goal.what}: {found:.3f}, to reach at most {goal.most:.3f}: {'holds' if found <= goal.most else 'MISSED'}"
        )
    return good


def say(text: str) -> None:
    """A benchmark's answer."""
    print(text, flush=True)


def _check(names: Iterable[str]) -> None:
    lacking = [
        name
        for name, module in (("pywinrm", "winrm"), ("ansible", "ansible"))
        if name in names and importlib.util.find_spec(module) is None
    ]
    if lacking:
        raise SystemExit(f"{' and '.join(lacking)} cannot be found; install the extra: pip install -e '.[bench]'")


def main() -> int:
    """Compare, print, judge."""
    parser = argparse.ArgumentParser(description="mpsbridge beside what people use today")
    parser.add_argument("--hosts", default="256", help="numbers of hosts, such as 64,256,1000")
    parser.add_argument("--latency", default="20", help="round trips in milliseconds, such as 0,20,100")
    parser.add_argument("--ways", default="http,https")
    parser.add_argument("--rounds", type=int, help=f"default 3, with at most {FEW_HOSTS} hosts {ROUNDS_OF_FEW}")
    parser.add_argument("--only", default=",".join(NAMES), help="contestants")
    asked = parser.parse_args()
    names = asked.only.split(",")
    _check(names)
    good = True
    for hosts in map(int, asked.hosts.split(",")):
        for latency_ms in map(int, asked.latency.split(",")):
            for way in asked.ways.split(","):
                tls = way == "https"
                rounds = asked.rounds or (ROUNDS_OF_FEW if hosts <= FEW_HOSTS else 3)
                runs = compare(hosts, latency_ms, tls=tls, names=names, rounds=rounds)
                table(f"{hosts} hosts, {latency_ms} ms, NTLM over {way.upper()}", runs, hosts)
                if latency_ms == GOALS_HOLD_AT_MS:
                    good = judge(runs, hosts=hosts, tls=tls) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
