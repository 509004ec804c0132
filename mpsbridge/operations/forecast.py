"""What the waves of a plan come to: which hosts begin when, if each takes as long as its notices and log-offs may.

Rule: who may begin is asked of :func:`~mpsbridge.operations.waves.decide`, as the run itself asks; the time of a
restart is not known before, so it is not counted. Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from mpsbridge.models.outcomes import Done
from mpsbridge.models.then import Then
from mpsbridge.operations.ending import EndPlan
from mpsbridge.operations.waves import Count, decide, limits


class Wave(NamedTuple):
    """Hosts that begin at the same time: so many seconds after the run, and done so many seconds after it."""

    hosts: tuple[str, ...]
    begins_s: int
    ends_s: int


def waves_of(plan: EndPlan, now: datetime) -> list[Wave]:
    """The hosts with work in the order in which they begin; those that would never have their turn are left out."""
    policy = plan.operation.policy
    limit = limits(plan.operation.waves, plan.hosts_in_all, now)
    count, at_work, passed_s = Count(plan.hosts_in_all, plan.out), list[int](), 0
    begun: dict[int, list[tuple[str, int]]] = {}
    waiting = [(plan.plans[place].host, _takes_s(plan, place)) for place in plan.ready]
    while waiting:
        said = decide(limit, count, now + timedelta(seconds=passed_s))
        if said == "begin":
            host, takes_s = waiting.pop(0)
            begun.setdefault(passed_s, []).append((host, passed_s + takes_s))
            at_work.append(passed_s + takes_s)
            count = count._replace(at_work=count.at_work + 1)
        elif said == "wait":
            passed_s = max(passed_s, min(at_work))
            at_work.remove(min(at_work))
            stays_away = policy.then is Then.SHUTDOWN
            count = count._replace(at_work=count.at_work - 1, out=count.out + stays_away)
        else:
            break
    return [
        Wave(tuple(host for host, _ in hosts), begins_s, max(ends_s for _, ends_s in hosts))
        for begins_s, hosts in begun.items()
    ]


def _takes_s(plan: EndPlan, place: int) -> int:
    """How long the notices of a host and the log-offs after them may take; nothing where nobody is on."""
    policy, host = plan.operation.policy, plan.plans[place]
    if not (isinstance(host, Done) and host.value.acts):
        return 0
    return max(policy.warn_s, default=0) + policy.patience_s
