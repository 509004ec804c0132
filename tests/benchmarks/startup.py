"""How long a person waits for ``--version``, ``--help`` and the demo: medians of whole processes.

Run it with ``python tests/benchmarks/startup.py``.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 15


def median_s(*arguments: str) -> float:
    """Seconds of wall time, the median of :data:`RUNS` runs after one that is not counted."""
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Print each figure, and what it is above a bare interpreter."""
    bare = median_s("-c", "pass")
    rows = [("a bare interpreter", bare)]
    rows += [(f"mpsbridge {word}", median_s("-m", "mpsbridge", word)) for word in ("--version", "--help")]
    for what, seconds in rows:
        sys.stdout.write(f"{what:<22} {seconds * 1000:6.0f} ms  (+{(seconds - bare) * 1000:.0f})\n")


if __name__ == "__main__":
    main()
