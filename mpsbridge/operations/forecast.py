"""What a plan comes to: which notices people would see, and which hosts begin when, if each takes as long as it may.

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
from mpsbridge.procedure.notices import TEXTS, language_of, notice, schedule, sender_of


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


def notices_of(plan: EndPlan, actor: str) -> list[tuple[str, list[str]]]:
    """By host, when its people would be told and what, if the run began at the look that the plan was made from."""
    policy, template = plan.operation.policy, plan.operation.template
    found: list[tuple[str, list[str]]] = []
    for each in plan.plans:
        if not isinstance(each, Done) or not each.value.acts or each.value.observed is None:
            continue
        host, language = each.value, language_of(each.value.locale)
        ends = each.value.observed + timedelta(seconds=max(policy.warn_s, default=0))
        lines = [] if policy.warn_s else ["no notice would be shown"]
        for due, name in schedule(ends, policy.warn_s):
            said = notice(
                template or TEXTS[language],
                left_s=(ends - due).total_seconds(),
                ends=ends,
                reason=policy.reason,
                sender=policy.sender or sender_of(actor),
                language=language,
                zoned=host.offset_until is not None and ends > host.offset_until,
            )
            lines.append(f"notice {name} before the end, at {due:%H:%M} host time: {said}")
        found.append((each.host, lines))
    return found
