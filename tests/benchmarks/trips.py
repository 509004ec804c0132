"""How many requests, bytes and seconds a first listing, a further command and the close cost, for each way to sign in.

    python tests/benchmarks/trips.py [ROUND_TRIP_MS]

Against the lab on this machine, which sleeps for each request as long as the round trip would take (0 by default) and
has no PowerShell to start: on Windows the first script takes longer. Seconds are the median of five.
"""

from __future__ import annotations

import statistics
import sys
import time

from mpsbridge.host import Host
from mpsbridge.lab.server import Lab
from mpsbridge.lab.wire.faults import Fault
from mpsbridge.lab.worldfile import load_world
from mpsbridge.models.credentials import Auth, Password
from mpsbridge.models.targets import Target

WAYS = (
    ("HTTP Basic", "basic", False, Auth.BASIC),
    ("HTTP NTLM, sealed", "ntlm", False, Auth.NTLM),
    ("HTTP Negotiate, sealed", "ntlm", False, Auth.NEGOTIATE),
    ("HTTPS NTLM", "ntlm", True, Auth.NTLM),
    ("HTTPS Negotiate", "ntlm", True, Auth.NEGOTIATE),
)


def measure(auth: str, way: Auth, *, tls: bool, round_trip_s: float) -> list[tuple[int, int, int, float]]:
    """Requests, bytes up, bytes down and seconds of three steps: the first listing, a second one, and the close."""
    world = load_world("small")
    if round_trip_s:
        steps = ["create", "receive", "command", "delete"]
        if way is not Auth.BASIC:  # Basic signs in with each request, not with requests of its own
            steps.append("auth")
        world.hosts["alpha"].faults = tuple(Fault(step, "delay", delay_s=round_trip_s) for step in steps)
    with Lab(world, auth=auth, tls=tls) as lab:  # type: ignore[arg-type]  # a literal of the lab's own
        target = Target(
            host="alpha",
            address=lab.hosts[0].address,
            port=lab.port,
            tls=tls,
            auth=way,
            credentials=Password(lab.user, lab.password),
            ca_file=lab.ca_file,
            insecure_basic=True,
        )
        host = Host(target)
        costs = []
        for step in (host.observe, host.observe, host.close):
            before, started = len(lab.requests), time.monotonic()
            step()
            seconds, done = time.monotonic() - started, lab.requests[before:]
            costs.append((len(done), sum(r.bytes_in for r in done), sum(r.bytes_out for r in done), seconds))
        return costs


def main() -> None:
    """Print the table."""
    round_trip_s = float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 0.0
    print(f"{'':<24}{'requests':>9}{'bytes up':>10}{'bytes down':>12}{'seconds':>9}")
    for name, auth, tls, way in WAYS:
        runs = [measure(auth, way, tls=tls, round_trip_s=round_trip_s) for _ in range(5)]
        for number, step in enumerate(("first listing", "one more", "close")):
            requests, up, down, _ = runs[-1][number]
            seconds = statistics.median(run[number][3] for run in runs)
            title = name if number == 0 else ""
            print(f"{title:<24}{requests:>9}{up:>10}{down:>12}{seconds:>9.3f}  {step}")


if __name__ == "__main__":
    main()
