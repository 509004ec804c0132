"""How long it takes to open a shell on the lab's engine ``powershell``, over real WinRM, where a child is warm.

python tests/benchmarks/shells.py
"""

from __future__ import annotations

import statistics
import time

from pypsrp.powershell import RunspacePool
from pypsrp.wsman import WSMan

from mpsbridge.lab import Lab, build_world
from mpsbridge.lab.engines.powershell.engine import PowerShellEngine

ROUNDS = 12
REST_S = 1.5
"""Until the next child is warm: that happens while nobody waits for it."""


def main() -> None:
    """Open and close, one after the other; the median and the worst, in milliseconds."""
    took = []
    with Lab(build_world({"hosts": [{"name": "alpha"}]}), auth="basic", engine=PowerShellEngine(spares=2)) as lab:
        for _ in range(ROUNDS):
            time.sleep(REST_S)
            wsman = WSMan(
                lab.hosts[0].address,
                port=lab.port,
                ssl=False,
                auth="basic",
                encryption="never",
                username=lab.user,
                password=lab.password,
                no_proxy=True,
            )
            pool = RunspacePool(wsman)
            started = time.perf_counter()
            pool.open()
            took.append((time.perf_counter() - started) * 1000)
            pool.close()
    print(f"opening a shell: median {statistics.median(took):.0f} ms, worst of {ROUNDS} {max(took):.0f} ms")


if __name__ == "__main__":
    main()
