"""A run and its entries become a report. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mpsbridge.models.sessions import Result
from mpsbridge.reports.chronicle import host_report
from mpsbridge.reports.report import HostReport, Report, Totals
from mpsbridge.reports.words import hosts_in_short
from mpsbridge.runs.events import Resumed
from mpsbridge.runs.journal import Entry, Journal, Run
from mpsbridge.runs.verdict import RunVerdict, Verdict


def make_report(run: Run, entries: Sequence[Entry], *, at_work: bool = False) -> Report:
    """Tell what a run did, as far as its record goes; a record that was cut off anywhere gives a report that says so.

    Hosts come in the order in which the run was given them, where the record tells it.
    """
    by_host: dict[str, list[Entry]] = {name: [] for name in _asked_for(run)}
    for entry in entries:
        by_host.setdefault(entry.host, []).append(entry)
    hosts = tuple(host_report(name, found, command=run.command) for name, found in by_host.items())
    verdict = run.verdict or judge(hosts, interrupted=run.ended is None)
    return Report(
        run=run,
        open=run.ended is None,
        at_work=at_work,
        resumed=max((entry.what.life - 1 for entry in entries if isinstance(entry.what, Resumed)), default=0),
        last=entries[-1].at if entries else None,
        status=verdict.verdict,
        summary=meaning_of(verdict, held=[host.host for host in hosts if host.held]),
        hosts=hosts,
        totals=_totals(hosts),
    )


def report_of(journal: Journal, run: Run) -> Report:
    """The report of a run in the record, as far as that can be read."""
    entries = journal.entries(run.id, whole=False)
    return make_report(run, entries, at_work=is_at_work(journal, run))


def is_at_work(journal: Journal, run: Run) -> bool:
    """Whether a process of this machine carries the run out now."""
    return not run.ended and journal.is_at_work(run.id)


_MEANINGS = {
    Verdict.DONE: "Everything was done.",
    Verdict.PARTLY: "Not everything was done.",
    Verdict.REFUSED: "The plan refused; nothing was sent.",
    Verdict.STOPPED: "It was broken off, and everything was given back.",
    Verdict.UNKNOWN: "Not everything is known: look at the hosts before you repeat anything.",
    Verdict.FAILED: "Not everything was done.",
}


def judge(hosts: Sequence[HostReport], *, interrupted: bool = False) -> RunVerdict:
    """What became of a run, by its record alone."""
    results = (result for host in hosts for result in host.results)
    return RunVerdict.of((host.status for host in hosts), results, interrupted=interrupted)


def meaning_of(verdict: RunVerdict, *, held: Sequence[str] = ()) -> str:
    """What a verdict means to a reader, with counts where not everything is the same; ``held`` was not given back."""
    said = verdict.sentence
    meaning = _MEANINGS[verdict.verdict]
    if held and verdict.verdict is Verdict.STOPPED:
        meaning = f"It was broken off, and not everything was given back: {hosts_in_short(held)}."
    if verdict.is_interrupted and verdict.verdict is Verdict.DONE:
        meaning = "It was interrupted when everything was done."
    counts = f" {said[0].upper()}{said[1:]}." if said != verdict.verdict else ""
    return meaning + counts


def left_on_hosts(report: Report) -> str:
    """How a run that was broken off left its hosts, beside their sessions: ``nothing is held``."""
    down = [host.host for host in report.hosts if host.ordered]
    held = [host.host for host in report.hosts if host.held]
    told_to = [f"told to go down: {hosts_in_short(down)}"] if down else []
    return ", ".join([*told_to, f"still held: {hosts_in_short(held)}" if held else "nothing is held"])


def _asked_for(run: Run) -> list[str]:
    names = run.options.get("hosts")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _totals(hosts: Sequence[HostReport]) -> Totals:
    people = [person for host in hosts for person in host.people]
    return Totals(
        hosts=Counter(host.status for host in hosts),
        people=Counter(person.result or Result.UNTOUCHED for person in people),
        steps=Counter(step.fate for host in hosts for step in host.steps),
        notices_shown=sum(notice.result is Result.SHOWN for person in people for notice in person.notices),
    )
