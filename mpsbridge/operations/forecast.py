"""What a plan comes to: which notices people would see, and which hosts begin when, if each takes as long as it may.

Rule: who may begin is asked of :func:`~mpsbridge.operations.waves.decide`, as the run itself asks; the time of a
restart is not known before, so it is not counted. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from mpsbridge.models.counts import counted, listed
from mpsbridge.models.durations import format_duration
from mpsbridge.models.outcomes import Done, Outcome, Skipped
from mpsbridge.models.then import Then
from mpsbridge.operations.ending import EndPlan
from mpsbridge.operations.waves import limits
from mpsbridge.procedure.notices import TEXTS, language_of, notice, schedule, sender_of
from mpsbridge.runs.ended import EndValue, Turn


class Wave(NamedTuple):
    """Hosts that begin at the same time: so many seconds after the run, and done so many seconds after it."""

    hosts: tuple[str, ...]
    begins_s: int
    ends_s: int


def waves_of(plan: EndPlan, now: datetime) -> list[Wave]:
    """The hosts with work in the order in which they begin; those that would never have their turn are left out."""
    waves: dict[int, dict[str, Turn]] = {}
    for host, turn in plan.forecast(now).turns.items():
        waves.setdefault(turn.wave, {})[host] = turn
    return [
        Wave(tuple(turns), min(one.begins_s for one in turns.values()), max(one.ends_s for one in turns.values()))
        for turns in waves.values()
    ]


def with_turns(plan: EndPlan, outcomes: Sequence[Outcome[EndValue]], now: datetime) -> list[Outcome[EndValue]]:
    """The outcomes of a dry run with the turn of each host that would have one."""
    turns = plan.forecast(now).turns
    return [
        one.model_copy(update={"value": one.value.model_copy(update={"turn": turns[one.host]})})
        if isinstance(one, Done) and one.host in turns
        else one
        for one in outcomes
    ]


def notices_of(plan: EndPlan, actor: str, now: datetime) -> list[tuple[str, list[str]]]:
    """By host, when its people would be told and what, if the run began at the look that the plan was made from.

    Nobody is told anything on a host that is refused, or whose turn would never come. When a host of a later wave
    begins depends on those before it, so its times are about right.
    """
    policy, template, turns = plan.operation.policy, plan.operation.template, plan.forecast(now).turns
    found: list[tuple[str, list[str]]] = []
    for each in plan.plans:
        if isinstance(each, Skipped):
            found.append((each.host, ["no notice would be shown: the host is refused"]))
        if not isinstance(each, Done) or not each.value.acts or each.value.observed is None:
            continue
        if each.host not in turns:
            found.append((each.host, ["no notice would be shown: the host's turn would never come"]))
            continue
        host, language, begins_s = each.value, language_of(each.value.locale), turns[each.host].begins_s
        ends = each.value.observed + timedelta(seconds=begins_s + max(policy.warn_s, default=0))
        at = "about" if begins_s else "at"
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
            lines.append(f"notice {name} before the end, {at} {due:%H:%M} host time: {said}")
        found.append((each.host, lines))
    return found


def waves_in_words(plan: EndPlan, now: datetime) -> list[str]:
    """In which order the hosts would begin, how many at a time, and when, as far as that can be said; a line each."""
    waves, policy = waves_of(plan, now), plan.operation.policy
    if not waves:
        return []
    limit = limits(plan.operation.waves, plan.hosts_in_all, now)
    at_once = f"at most {limit.at_once} of {counted(plan.hosts_in_all, 'host')} at a time"
    lines = [f"waves: {at_once}, {limit.available} must serve; the fewest people first"]
    for number, wave in enumerate(waves, 1):
        begins = f"at the latest after {format_duration(wave.begins_s)}" if wave.begins_s else "immediately"
        lines.append(f"  {number}. {begins}: {listed(wave.hosts, most=20)}")
    end = format_duration(max(wave.ends_s for wave in waves))
    limit_s = format_duration(policy.return_timeout_s)
    beside = f"; restarts are not counted (each at most {limit_s})" if policy.then is Then.RESTART else ""
    return [*lines, f"notices and log-offs take until {end} after the start at the latest{beside}"]
