"""A report as plain text, for a person at a terminal: the facts of the run, then each host with its people. Pure.

Rule: nothing is escaped for a format, because there is none; texts were made harmless where they were put into words.
"""

from __future__ import annotations

from collections.abc import Iterator

from mpsbridge.reports import words
from mpsbridge.reports.report import Fate, HostReport, Person, Report


def plain_text(report: Report) -> str:
    """The whole run; ends in a line end."""
    facts = list(words.facts_of(report))
    column = max(len(name) for name, _ in facts)
    lines = [words.plain(report.summary), "", *(f"{name:<{column}}  {value}" for name, value in facts)]
    for host in report.hosts:
        lines += ["", *_host(host)]
    if remarks := words.remarks_of(report):
        lines += [
            "",
            "remarks",
            *(f"  {words.hosts_in_short(hosts)}: {words.plain(text)}" for text, hosts in remarks.items()),
        ]
    return "\n".join(lines) + "\n"


def _host(host: HostReport) -> Iterator[str]:
    outcome, took = words.outcome_of(host), words.took(host.start, host.end)
    said = outcome if outcome.startswith(host.status.value) else f"{host.status.value}: {outcome}"
    yield f"{words.plain(host.host)}: {said}" + (f" (took {took})" if took else "")
    yield from (_person(person) for person in host.people)
    for step in host.steps:
        if step.fate is not Fate.DONE:
            error = f" ({words.plain(step.error)})" if step.error else ""
            yield f"  step {words.step_of(step)}: {step.fate.value}{error}"


def _person(person: Person) -> str:
    why = words.why(person)
    notices = words.notices_of(person)
    return (
        f"  {words.person_of(person)}: {words.result_of(person)}"
        + (f" ({why})" if why else "")
        + (f"; notices: {notices}" if notices else "")
    )
