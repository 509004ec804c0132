"""``history``: the runs in the record, what one did, and who did what to whom. No host is contacted.

Rule: people see times of this machine, and its zone once; programs get times with their offset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta, tzinfo
from typing import Any

from mpsbridge.cli.call import Call
from mpsbridge.cli.fleets import open_journal, record_path
from mpsbridge.cli.reporting import found_run, say_unreadable
from mpsbridge.errors import InputError
from mpsbridge.models.complaints import EMPTY
from mpsbridge.planning.options import duration
from mpsbridge.planning.selection import Selector
from mpsbridge.reports import words
from mpsbridge.reports.history import Deed, Question, deeds, nearest_names
from mpsbridge.reports.report import Report
from mpsbridge.reports.rows import (
    DEED_COLUMNS,
    ENTRY_FIELDS,
    RUN_COLUMNS,
    RUN_FIELDS,
    deed_row,
    entry_cells,
    in_zone,
    run_cells,
    run_row,
    sentences,
)
from mpsbridge.reports.summary import is_at_work, report_of
from mpsbridge.runs.journal import Journal, Run
from mpsbridge.runs.journal_file import IN_MEMORY
from mpsbridge.schemas.events import event_json
from mpsbridge.schemas.history import DeedsDocument, ListedRun, RunDocument, RunsDocument
from mpsbridge.settings import Output


def history(
    call: Call, prefix: str | None, *, user: str | None = None, host: str | None = None, since: str | None = None
) -> int:
    """``history``: runs, sessions, or the events of one run; 1 where something of it cannot be read."""
    if user is not None:
        Selector(users=(user,))  # refuses what is not the name of one user
    _demand_one_host(host)
    seconds = duration("--since", since)
    earliest = None if seconds is None else call.clock.now() - timedelta(seconds=seconds)
    question = Question(user=user, host=host, since=earliest)
    with open_journal(call, only_reads=True) as journal:
        if prefix is not None and user is None:
            _show_events(call, journal, found_run(journal, prefix), question)
            return say_unreadable(call, journal)
        runs = journal.runs() if prefix is None else [found_run(journal, prefix)]
        runs = [run for run in runs if question.means_run(run)]
        if question.is_about_sessions:
            reports = [report_of(journal, run) for run in runs]
            _show_deeds(call, [deed for report in reports for deed in deeds(report, question)], reports, question)
        else:
            _show_runs(call, runs, journal)
        return say_unreadable(call, journal)


def _demand_one_host(name: str | None) -> None:
    """Raise ``InputError`` for what is a pattern or a list, or empty: the record knows hosts by their names."""
    if name is None:
        return
    if not name.strip():
        raise InputError(f"--host: {EMPTY}")
    if any(sign in name for sign in "*?,!&@"):
        raise InputError(f"--host: {name!r} is not the name of one host", hint="Name one host: patterns are not known.")


def _zone(call: Call) -> tuple[tzinfo | None, str]:
    """The offset of this machine now, and its name."""
    now = call.clock.now().astimezone()
    return now.tzinfo, words.zone_of(now)


def _show_runs(call: Call, runs: Sequence[Run], journal: Journal) -> None:
    terminal, output = call.terminal, call.settings.output
    at_work = {run.id: is_at_work(journal, run) for run in runs}
    listed_runs = [ListedRun.listed(run, at_work=at_work[run.id]) for run in runs]
    documents = [run.as_json() for run in listed_runs]
    if output is Output.JSON:
        terminal.document(RunsDocument.listing(listed_runs, journal.unreadable).as_json())
    elif output is Output.JSONL:
        _lines(call, documents)
    elif output is Output.CSV:
        terminal.csv([run_cells(run, is_at_work=at_work[run.id]) for run in runs], fields=RUN_FIELDS)
    elif runs:
        zone, _ = _zone(call)
        _show_rows(call, RUN_COLUMNS, [run_row(run, zone, is_at_work=at_work[run.id]) for run in runs])
    else:
        lacks = ": the first call that acts makes it" if journal.path == IN_MEMORY else ""
        terminal.say(f"no run {'matches ' if journal.runs() else ''}in {record_path(call)}{lacks}")


def _show_deeds(call: Call, found: Sequence[Deed], reports: Sequence[Report], question: Question) -> None:
    terminal, output = call.terminal, call.settings.output
    documents = [deed.model_dump(mode="json") for deed in found]
    if output is Output.JSON:
        terminal.document(DeedsDocument.about(found).as_json())
    elif output is Output.JSONL:
        _lines(call, documents)
    elif output is Output.CSV:
        terminal.csv(documents, fields=list(Deed.model_fields))
    elif found:
        zone, _ = _zone(call)
        newest_first = sorted(found, key=lambda deed: deed.at, reverse=True)
        _show_rows(call, DEED_COLUMNS, [deed_row(deed, zone) for deed in newest_first])
    else:
        terminal.say(f"no such sessions in the record{nearest_names(reports, question)}")


def _show_rows(call: Call, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table, and below it the zone of its times; who did it stands there, too, where it is the same in all rows."""
    below, at = [f"times are {_zone(call)[1]}"], columns.index("BY")
    people = {row[at] for row in rows}
    if len(rows) > 1 and len(people) == 1:
        columns, rows = [*columns[:at], *columns[at + 1 :]], [[*row[:at], *row[at + 1 :]] for row in rows]
        below.append(f"all by {people.pop()}")
    call.terminal.table(columns, rows)
    call.terminal.say("; ".join(below))


def _show_events(call: Call, journal: Journal, run: Run, question: Question) -> None:
    terminal, output = call.terminal, call.settings.output
    entries = [entry for entry in journal.entries(run.id, whole=False) if question.means_host(entry.host)]
    if output is Output.JSON:
        terminal.document(RunDocument.telling(run, entries).as_json())
    elif output is Output.JSONL:
        _lines(call, [event_json(entry) for entry in entries])
    elif output is Output.CSV:
        terminal.csv([entry_cells(entry) for entry in entries], fields=ENTRY_FIELDS)
    else:
        zone, name = _zone(call)
        report = report_of(journal, run)
        for fact, value in words.facts_of(in_zone(report, zone)):
            terminal.say(f"{fact}: {value}", advises=fact != "reason")
        terminal.say()
        for line in sentences(report, entries, zone, name, whole=call.settings.verbose > 0):
            terminal.say(line)


def _lines(call: Call, documents: Sequence[Mapping[str, Any]]) -> None:
    for document in documents:
        call.terminal.line(document)
