"""A run and its entries become a report. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mpsbridge.journal import Entry, Run
from mpsbridge.models.sessions import Result
from mpsbridge.reports.chronicle import host_report
from mpsbridge.reports.report import HostReport, Report, Status, Totals


def make_report(run: Run, entries: Iterable[Entry]) -> Report:
    """Tell what a run did, as far as its record goes; a record that was cut off anywhere gives a report that says so.

    Hosts come in the order in which the run was given them, where the record tells it.
    """
    by_host: dict[str, list[Entry]] = {name: [] for name in _asked_for(run)}
    for entry in entries:
        by_host.setdefault(entry.host, []).append(entry)
    hosts = tuple(
        host_report(name, found, command=run.command, ended=run.ended is not None) for name, found in by_host.items()
    )
    is_open = run.ended is None
    return Report(run=run, open=is_open, status=_of_all(hosts, is_open=is_open), hosts=hosts, totals=_totals(hosts))


def _asked_for(run: Run) -> list[str]:
    names = run.options.get("hosts")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _of_all(hosts: Sequence[HostReport], *, is_open: bool) -> Status:
    """The worst of the hosts, but ``partly`` where on others all was done.

    A run without any host is done when it has ended, and else unknown.
    """
    found = {host.status for host in hosts} or {Status.UNKNOWN if is_open else Status.DONE}
    if Status.DONE in found and Status.UNKNOWN not in found and len(found) > 1:
        return Status.PARTLY
    return next(status for status in Status if status in found)


def _totals(hosts: Sequence[HostReport]) -> Totals:
    people = [person for host in hosts for person in host.people]
    return Totals(
        hosts=Counter(host.status for host in hosts),
        people=Counter(person.result or "untouched" for person in people),
        steps=Counter(step.fate for host in hosts for step in host.steps),
        notices_shown=sum(notice.result is Result.SHOWN for person in people for notice in person.notices),
    )
