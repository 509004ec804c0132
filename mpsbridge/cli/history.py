"""``history``: the runs in the record, what one did, and who did what to whom. No host is contacted.

Rule: people see times of this machine, and its zone once; programs get times with their offset.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta, tzinfo
from typing import Any

from mpsbridge.cli.call import Call
from mpsbridge.cli.fleets import open_journal, record_path
from mpsbridge.cli.reporting import found_run, say_unreadable
from mpsbridge.cli.tables import RUN_COLUMNS
from mpsbridge.models.counts import listed
from mpsbridge.models.harmless import json_text
from mpsbridge.planning.options import duration
from mpsbridge.reports import words
from mpsbridge.reports.history import Deed, Question, deeds
from mpsbridge.reports.report import Report
from mpsbridge.reports.summary import make_report
from mpsbridge.runs.events import Looked, StepAnswered, StepSent
from mpsbridge.runs.journal import Entry, Journal, Run
from mpsbridge.schemas.events import event_json
from mpsbridge.schemas.history import DeedsDocument, ListedRun, RunDocument, RunsDocument
from mpsbridge.settings import Output


def history(
    call: Call, prefix: str | None, *, user: str | None = None, host: str | None = None, since: str | None = None
) -> int:
    """``history``: runs, sessions, or the events of one run; 1 where something of it cannot be read."""
    seconds = duration("--since", since)
    earliest = None if seconds is None else call.clock.now() - timedelta(seconds=seconds)
    question = Question(user=user, host=host, since=earliest)
    with open_journal(call) as journal:
        if prefix is not None and user is None:
            _show_events(call, journal, found_run(journal, prefix), question)
            return say_unreadable(call, journal)
        runs = journal.runs() if prefix is None else [found_run(journal, prefix)]
        runs = [run for run in runs if question.means_run(run)]
        if question.is_about_sessions:
            _show_deeds(call, [deed for run in runs for deed in deeds(_report(journal, run), question)])
        else:
            _show_runs(call, runs, journal)
        return say_unreadable(call, journal)


def _report(journal: Journal, run: Run) -> Report:
    return make_report(run, journal.entries(run.id, whole=False), at_work=_is_at_work(journal, run))


def _is_at_work(journal: Journal, run: Run) -> bool:
    return not run.ended and journal.is_at_work(run.id)


def _zone(call: Call) -> tuple[tzinfo | None, str]:
    """The offset of this machine now, and its name."""
    now = call.clock.now().astimezone()
    return now.tzinfo, words.zone_of(now)


# Runs.


def _show_runs(call: Call, runs: Sequence[Run], journal: Journal) -> None:
    terminal, output = call.terminal, call.settings.output
    at_work = {run.id: _is_at_work(journal, run) for run in runs}
    listed_runs = [ListedRun.listed(run, at_work=at_work[run.id]) for run in runs]
    documents = [run.as_json() for run in listed_runs]
    if output is Output.JSON:
        terminal.document(RunsDocument.listing(listed_runs, journal.unreadable).as_json())
    elif output is Output.JSONL:
        _lines(call, documents)
    elif output is Output.CSV:
        records = [{**each, **_as_cells(each, "options", "verdict")} for each in documents]
        terminal.csv(records, fields=list(ListedRun.model_fields))
    elif runs:
        zone, name = _zone(call)
        terminal.table(RUN_COLUMNS, [_run_row(run, zone, is_at_work=at_work[run.id]) for run in runs])
        terminal.say(f"times are {name}")
    else:
        terminal.say(f"no runs in {record_path(call)}")


def _run_row(run: Run, zone: tzinfo | None, *, is_at_work: bool) -> tuple[object, ...]:
    hosts = run.options.get("hosts")
    names = [str(name) for name in hosts] if isinstance(hosts, list) else []
    took = words.took(run.started, run.ended)
    result = "at work" if is_at_work else str(run.verdict) if run.verdict else "died"
    if not (run.ended or is_at_work) and run.command in words.RESUMABLE:
        result += "; can be resumed"
    started = f"{run.started.astimezone(zone):%Y-%m-%d %H:%M}"
    return run.id, started, took, run.command, listed(names, most=3), run.owner, result, run.reason


# Sessions.


def _show_deeds(call: Call, found: Sequence[Deed]) -> None:
    terminal, output = call.terminal, call.settings.output
    documents = [deed.model_dump(mode="json") for deed in found]
    if output is Output.JSON:
        terminal.document(DeedsDocument.about(found).as_json())
    elif output is Output.JSONL:
        _lines(call, documents)
    elif output is Output.CSV:
        terminal.csv(documents, fields=list(Deed.model_fields))
    elif found:
        zone, name = _zone(call)
        columns = ("WHEN", "RUN", "COMMAND", "BY", "HOST", "USER", "RESULT", "REASON")
        newest_first = sorted(found, key=lambda deed: deed.at, reverse=True)
        terminal.table(columns, [_deed_row(deed, zone) for deed in newest_first])
        terminal.say(f"times are {name}")
    else:
        terminal.say("no such sessions in the record")


def _deed_row(deed: Deed, zone: tzinfo | None) -> tuple[object, ...]:
    at = f"{deed.at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    user = deed.user or (None if deed.session is None else f"session {deed.session}")
    return at, deed.run, deed.command, deed.by, deed.host, user, deed.outcome, deed.reason


# The events of one run.


def _show_events(call: Call, journal: Journal, run: Run, question: Question) -> None:
    terminal, output = call.terminal, call.settings.output
    entries = [entry for entry in journal.entries(run.id, whole=False) if question.means_host(entry.host)]
    if output is Output.JSON:
        terminal.document(RunDocument.telling(run, entries).as_json())
    elif output is Output.JSONL:
        _lines(call, [event_json(entry) for entry in entries])
    elif output is Output.CSV:
        terminal.csv([_entry_cells(entry) for entry in entries], fields=ENTRY_FIELDS)
    else:
        zone, name = _zone(call)
        for fact, value in words.facts_of(_in_zone(_report(journal, run), zone)):
            terminal.say(f"{fact}: {value}")
        terminal.say()
        for line in _sentences(entries, zone, name):
            terminal.say(line)


def _in_zone(report: Report, zone: tzinfo | None) -> Report:
    """The report with the run's own times in that zone."""
    ended = report.run.ended and report.run.ended.astimezone(zone)
    run = report.run.model_copy(update={"started": report.run.started.astimezone(zone), "ended": ended})
    return report.model_copy(update={"run": run, "last": report.last and report.last.astimezone(zone)})


def _sentences(entries: Iterable[Entry], zone: tzinfo | None, name: str) -> Iterator[str]:
    """One line for each event that says something new, and the date where it changes."""
    day, seen = "", dict[str, str]()
    for entry in entries:
        said = _sentence(entry)
        if isinstance(entry.what, Looked):  # every look of a wait says the same
            if seen.get(entry.host) == said:
                continue
            seen[entry.host] = said
        at = entry.at.astimezone(zone)
        if said and f"{at:%Y-%m-%d}" != day:
            day = f"{at:%Y-%m-%d}"
            yield f"{day} ({name})"
        if said:
            yield f"{at:%H:%M:%S} {words.plain(entry.host)}: {words.plain(said)}"


def _sentence(entry: Entry) -> str:
    what = entry.what
    if isinstance(what, StepSent):
        return f"sent {what.text()}"
    if isinstance(what, StepAnswered) and what.error is None and not what.sessions:
        return ""  # the event that follows tells what came of it
    return what.text()


# Forms.

ENTRY_FIELDS = ("at", "run", "host", "number", "event", "phase", "detail")


def _lines(call: Call, documents: Sequence[Mapping[str, Any]]) -> None:
    for document in documents:
        call.terminal.line(document)


def _as_cells(document: dict[str, Any], *names: str) -> dict[str, object]:
    return {name: None if document[name] is None else json_text(document[name]) for name in names}


def _entry_cells(entry: Entry) -> dict[str, object]:
    values = entry.what.model_dump(mode="json", exclude={"event", "phase"}, exclude_defaults=True)
    head = entry.model_dump(mode="json", exclude={"what"})
    return {**head, "event": entry.what.event, "phase": entry.what.phase or "", "detail": json_text(values)}
