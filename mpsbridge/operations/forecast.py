"""What a plan comes to: which notices people would see, and which hosts begin when, if each takes as long as it may.

Rule: who may begin is asked of :func:`~mpsbridge.operations.waves.decide`, as the run itself asks; the time of a
restart is not known before, so it is not counted. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from mpsbridge.models.counts import counted, listed
from mpsbridge.models.durations import format_duration
from mpsbridge.models.outcomes import Done, Outcome
from mpsbridge.models.then import Then
from mpsbridge.operations.ending import EndPlan
from mpsbridge.operations.waves import limits
from mpsbridge.procedure.notices import TEXTS, Moment, language_of, notices_as_one, schedule, sender_of
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


@dataclass(frozen=True)
class Told:
    """The notices of one host: when they are due, by its clock, and what they would say there."""

    host: str
    times: str
    language: str
    moments: tuple[Moment, ...]


def told_on(plan: EndPlan, now: datetime) -> list[Told]:
    """The notices of each host, if the run began at the look that the plan was made from.

    There are none on a host that is refused, or whose turn would never come. When a host of a later wave begins depends
    on those before it, so its times are about right.
    """
    policy, turns = plan.operation.policy, plan.forecast(now).turns
    found: list[Told] = []
    for each in plan.plans:
        if not isinstance(each, Done) or each.host not in turns or not each.value.acts or each.value.observed is None:
            continue
        host, begins_s = each.value, turns[each.host].begins_s
        ends = each.value.observed + timedelta(seconds=begins_s + max(policy.warn_s, default=0))
        zoned = host.offset_until is not None and ends > host.offset_until
        due = [at for at, _ in schedule(ends, policy.warn_s)]
        times = f"{'about' if begins_s else 'at'} {', '.join(f'{at:%H:%M}' for at in due)} host time"
        moments = tuple(Moment((ends - at).total_seconds(), ends, zoned) for at in due)
        found.append(Told(each.host, times, language_of(host.locale), moments))
    return found


def notices_in_words(plan: EndPlan, actor: str, found: Sequence[Told]) -> list[str]:
    """What people would read, each text once for each language of the hosts; nothing where nobody would be ended."""
    operation = plan.operation
    if not operation.policy.warn_s:
        return ["no notice would be shown"] if found else []
    languages: dict[str, list[Told]] = {}
    for each in found:
        languages.setdefault(each.language, []).append(each)
    sender = operation.policy.sender or sender_of(actor)
    return [
        f"notice, {language} ({listed([one.host for one in told], most=3)}): "
        + notices_as_one(
            operation.template or TEXTS[language],
            [moment for one in told for moment in one.moments],
            reason=operation.policy.reason,
            sender=sender,
            language=language,
        )
        for language, told in languages.items()
    ]


def in_words(plan: EndPlan, actor: str, now: datetime) -> list[str]:
    """What a dry run tells of its plan: when hosts would begin, when people would be told, and what they would read."""
    found = told_on(plan, now)
    if plan.operation.command == "maintain":
        times = waves_in_words(plan, now, found)
    else:
        times = list(filter(None, [_times(plan, found)]))
    return [*times, *notices_in_words(plan, actor, found)]


def _times(plan: EndPlan, found: Sequence[Told]) -> str:
    """When the notices of these hosts are due; empty where there is none."""
    times = list(dict.fromkeys(one.times for one in found if one.moments))
    if len(times) < 2:
        return f"notices {times[0]}" if times else ""
    before = ", ".join(format_duration(seconds) for seconds in sorted(plan.operation.policy.warn_s, reverse=True))
    return f"notices {before} before the end, by the clock of each host"


def waves_in_words(plan: EndPlan, now: datetime, told: Sequence[Told]) -> list[str]:
    """In which order the hosts would begin, how many at a time, and when, as far as that can be said; a line each."""
    waves, policy = waves_of(plan, now), plan.operation.policy
    if not waves:
        return []
    limit = limits(plan.operation.waves, plan.hosts_in_all, now)
    at_once = f"at most {limit.at_once} of {counted(plan.hosts_in_all, 'host')} at a time"
    lines = [f"waves: {at_once}, {limit.available} must serve; the fewest people first"]
    for number, wave in enumerate(waves, 1):
        begins = f"at the latest after {format_duration(wave.begins_s)}" if wave.begins_s else "immediately"
        notices = _times(plan, [one for one in told if one.host in wave.hosts])
        lines.append("; ".join(filter(None, (f"  {number}. {begins}: {listed(wave.hosts, most=20)}", notices))))
    end = format_duration(max(wave.ends_s for wave in waves))
    limit_s = format_duration(policy.return_timeout_s)
    beside = f"; restarts are not counted (each at most {limit_s})" if policy.then is Then.RESTART else ""
    return [*lines, f"notices and log-offs take until {end} after the start at the latest{beside}"]
