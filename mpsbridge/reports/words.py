"""How a report's values read, the same in every form: plain words, nothing escaped for a format yet. Pure.

Rule: text that came from a host or a person is made harmless here (one line, no character that controls or reorders),
so no form has to think of it; what a form's own syntax needs is that form's work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from mpsbridge.models.durations import format_duration
from mpsbridge.models.harmless import harmless
from mpsbridge.models.sessions import Result
from mpsbridge.reports.report import HostReport, Notice, Person, Report, StepReport
from mpsbridge.runs.events import Step

RESUMABLE = frozenset({"end", "maintain"})
"""The commands whose runs can be resumed."""
MOST_NAMED = 8
"""Hosts that are named where many share something."""
LONGEST = 500
"""Characters of one text; what is longer stands in the record."""


NOT_SHOWN = {Result.KEPT: "not shown", Result.REFUSED: "not shown"}
"""How results of a message are told, where not by their own word; those of other acts are."""


def plain(text: object) -> str:
    """Any text on one line, without a character that controls or reorders."""
    return harmless(str(text), limit=LONGEST)


def person_of(person: Person) -> str:
    """``bob (session 3)``."""
    name = person.account or person.user
    return f"{plain(name)} (session {person.id})" if name else f"session {person.id}"


def result_of(person: Person) -> str:
    """What became of a person, in the words of the call that did it."""
    result = person.result or Result.UNTOUCHED
    return (NOT_SHOWN.get(result) if person.act is Step.MESSAGE else None) or result.value


def mood_of(person: Person) -> str:
    """How a result is coloured: ``good``, ``calm``, ``bad`` or ``unknown``."""
    if person.result in {Result.ENDED, Result.GONE, Result.SHOWN, Result.DISCONNECTED}:
        return "good"
    if person.result in {Result.KEPT, Result.WOULD, None}:
        return "calm"
    return "unknown" if person.result is Result.UNKNOWN else "bad"


def people_of(host: HostReport) -> str:
    """A host's people by result: ``3 ended, 1 kept``."""
    return counts(Counter(result_of(person) for person in host.people))


def why(person: Person) -> str:
    """What explains the result: the host's words, else the verdict's."""
    return plain(person.why)


def notice_of(notice: Notice) -> str:
    """``5m shown 12:04:00``; one of an end that did not come is ``void``."""
    return f"{plain(notice.name)} {notice.result.value} {clock(notice.at)}" + " (void)" * notice.void


def notices_of(person: Person) -> str:
    """All notices of a person, in order."""
    return ", ".join(notice_of(notice) for notice in person.notices)


def step_of(step: StepReport) -> str:
    """``logons-set: drain``."""
    return plain(step.text or step.step)


def clock(moment: datetime | None) -> str:
    """The time of day, to the second."""
    return moment.strftime("%H:%M:%S") if moment else ""


def moment_of(moment: datetime | None) -> str:
    """Date, time and offset."""
    if moment is None:
        return ""
    return f"{moment:%Y-%m-%d %H:%M:%S} {zone_of(moment)}"


def zone_of(moment: datetime) -> str:
    """``UTC+01:00``."""
    offset = moment.strftime("%z")
    return "UTC" + (f"{offset[:3]}:{offset[3:]}" if offset.strip("+-0") else "")


def took(start: datetime | None, end: datetime | None) -> str:
    """``4m30s``; ``<1s`` where it was less."""
    if start is None or end is None:
        return ""
    seconds = (end - start).total_seconds()
    return format_duration(seconds) if seconds >= 1 else "<1s"


_TIMES = {0: "", 1: "once", 2: "twice"}


def times(number: int) -> str:
    """``once``, ``twice``, ``3 times``; empty for never."""
    return _TIMES.get(number, f"{number} times")


def counts(found: Mapping[str, int]) -> str:
    """``3 ended, 1 kept``."""
    return ", ".join(f"{number} {name}" for name, number in found.items())


def outcome_of(host: HostReport) -> str:
    """What became of a host, in its own words."""
    return plain(host.error or host.outcome)


def how_it_ended(report: Report) -> tuple[str, str]:
    """When a run ended; of one that did not: how it stands, and the one thing to do about it."""
    run = report.run
    if run.ended:
        return "ended", moment_of(run.ended)
    if report.at_work:
        return "at work", f"the last entry is of {moment_of(report.last)}" if report.last else "since it started"
    next_step = f"'mpsbridge resume {run.id}' goes on with it" if run.command in RESUMABLE else "look at the hosts"
    return "stopped" if run.verdict else "died", "; ".join(filter(None, (moment_of(report.last), next_step)))


def remarks_of(report: Report) -> dict[str, list[str]]:
    """What was remarked, each text once, with the hosts that share it."""
    remarks: dict[str, list[str]] = {}
    for host in report.hosts:
        for problem in dict.fromkeys(host.problems):
            remarks.setdefault(problem, []).append(host.host)
    return remarks


def hosts_in_short(names: Sequence[str]) -> str:
    """``ts1, ts2 and 46 more``."""
    shown = ", ".join(map(plain, names[:MOST_NAMED]))
    return shown if len(names) <= MOST_NAMED else f"{shown} and {len(names) - MOST_NAMED} more"


def facts_of(report: Report) -> Iterable[tuple[str, str]]:
    """Who, why and when, as pairs for a heading; what is not known is left out."""
    run = report.run
    facts = [
        ("run", run.id),
        ("command", run.command),
        ("reason", run.reason),
        ("by", run.owner),
        ("job", run.job or ""),
        ("started", moment_of(run.started)),
        ("resumed", times(report.resumed)),
        how_it_ended(report),
        ("took", took(run.started, run.ended or report.last)),
        ("hosts", counts({str(name): number for name, number in report.totals.hosts.items()})),
        ("people", counts(Counter(result_of(person) for host in report.hosts for person in host.people))),
        ("notices shown", str(report.totals.notices_shown or "")),
    ]
    return [(name, plain(value)) for name, value in facts if value]
