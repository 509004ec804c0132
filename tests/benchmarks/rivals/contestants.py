"""Who runs: each asks every host of a ready file who is on, in a process of its own, and prints how many answered.

    python -m tests.benchmarks.rivals.contestants NAME READY_FILE

``mpsbridge`` and ``ansible`` are programs and run as people run them; the others are the few lines that people write.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

THREADS = 32

Ready = Mapping[str, Any]


def fleet(ready: Ready) -> int:
    """Mpsbridge's own library: the whole ``observe`` of each host."""
    from mpsbridge import Fleet, Host, Password, Target

    targets = [
        Target(
            host=host["name"],
            address=host["address"],
            port=ready["port"],
            tls=ready["tls"],
            auth=ready["auth"],
            credentials=Password(ready["user"], ready["password"]),
            ca_file=ready["ca_file"],
        )
        for host in ready["hosts"]
    ]
    with Fleet(targets, concurrency=THREADS) as hosts:
        return sum(outcome.status == "done" for outcome in hosts.run(Host.observe))


def pywinrm(ready: Ready) -> int:
    """``Session.run_cmd('quser')`` in threads."""
    import winrm

    scheme = "https" if ready["tls"] else "http"

    def ask(host: Mapping[str, str]) -> bool:
        url = f"{scheme}://{host['address']}:{ready['port']}/wsman"
        session = winrm.Session(url, auth=(ready["user"], ready["password"]), transport="ntlm")
        return b"user1" in session.run_cmd("quser").std_out

    return _in_threads(ask, ready, THREADS)


def pypsrp(ready: Ready) -> int:
    """``Client.execute_ps('quser')`` in threads."""
    return _in_threads(_execute_ps(ready), ready, THREADS)


def loop(ready: Ready) -> int:
    """The same, one host after the other."""
    return _in_threads(_execute_ps(ready), ready, 1)


def _execute_ps(ready: Ready) -> Callable[[Mapping[str, str]], bool]:
    from pypsrp.client import Client

    def ask(host: Mapping[str, str]) -> bool:
        with Client(
            host["address"],
            port=ready["port"],
            ssl=ready["tls"],
            auth="ntlm",
            username=ready["user"],
            password=ready["password"],
        ) as client:
            return "user1" in client.execute_ps("quser")[0]

    return ask


def _in_threads(ask: Callable[[Mapping[str, str]], bool], ready: Ready, threads: int) -> int:
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(ask, ready["hosts"]))


CONTESTANTS: dict[str, Callable[[Ready], int]] = {"fleet": fleet, "pywinrm": pywinrm, "pypsrp": pypsrp, "loop": loop}


def main(name: str, ready_file: str) -> None:
    """Run one of them."""
    ready = json.loads(Path(ready_file).read_text(encoding="utf-8"))
    print(CONTESTANTS[name](ready))


if __name__ == "__main__":
    main(*sys.argv[1:])
