"""``history`` and ``report``: what past runs did, from the record alone. No host is contacted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum

from mpsbridge.cli.call import Call
from mpsbridge.cli.fleets import open_journal, record_path
from mpsbridge.cli.tables import RUN_COLUMNS, counted, listed, when
from mpsbridge.errors import InputError
from mpsbridge.models.complaints import not_one_of
from mpsbridge.models.harmless import json_text
from mpsbridge.reports import words
from mpsbridge.reports.junit import junit_xml
from mpsbridge.reports.markdown import markdown
from mpsbridge.reports.page import page
from mpsbridge.reports.report import Report, report_json
from mpsbridge.reports.summary import make_report
from mpsbridge.runs.journal import Entry, Journal, Run
from mpsbridge.schemas.events import event_json
from mpsbridge.schemas.history import ListedRun, RunDocument, RunsDocument
from mpsbridge.settings import Output


class Form(StrEnum):
    """What a report is written as."""

    HTML = "html"
    JSON = "json"
    JUNIT = "junit"
    MARKDOWN = "markdown"


_WRITERS: dict[Form, Callable[[Report], str]] = {
    Form.HTML: page,
    Form.JSON: report_json,
    Form.JUNIT: junit_xml,
    Form.MARKDOWN: markdown,
}


def history(call: Call, prefix: str | None) -> int:
    """``history``: all runs, the newest first, or the entries of one; 1 where something of it cannot be read."""
    with open_journal(call) as journal:
        if prefix is None:
            runs = journal.runs()
            at_work = {run.id for run in runs if not run.ended and journal.is_at_work(run.id)}
            _show_runs(call, runs, at_work, journal.unreadable)
        else:
            run = _found(journal, prefix)
            _show_entries(call, run, journal.entries(run.id, whole=False))
        return _say_unreadable(call, journal)


def report(call: Call, prefix: str | None, form: str | None) -> int:
    """``report``: one run in the form asked for, on standard output."""
    writer = _WRITERS[_form(call, form)]
    with open_journal(call) as journal:
        run = _found(journal, prefix)
        told = make_report(run, journal.entries(run.id, whole=False))
        code = _say_unreadable(call, journal)
    call.terminal.raw(writer(told))
    return code


def _say_unreadable(call: Call, journal: Journal) -> int:
    """Name the rows that were passed over; the exit code: 1 where the answer is not whole."""
    if not journal.unreadable:
        return 0
    shown = listed(journal.unreadable, most=5)
    call.terminal.warn(f"{journal.path}: {counted(len(journal.unreadable), 'row')} cannot be read: {shown}")
    return 1


def _found(journal: Journal, prefix: str | None) -> Run:
    """The run that is meant, the newest without a prefix; what cannot be read of others is none of its matter."""
    if prefix is not None:
        run = journal.find(prefix)
    elif runs := journal.runs():
        run = runs[0]
    else:
        raise InputError(f"there is no run in {journal.path}")
    journal.unreadable.clear()
    return run


def _form(call: Call, form: str | None) -> Form:
    wants_json = call.settings.output is Output.JSON
    try:
        found = Form(form) if form else Form.JSON if wants_json else Form.MARKDOWN
    except ValueError as error:
        raise InputError(f"--format: {not_one_of(form, list(Form))}") from error
    if call.settings.output not in {Output.TABLE, Output.JSON} or (wants_json and found is not Form.JSON):
        raise InputError("--output says how a command answers; a report is written by --format")
    return found


def _show_runs(call: Call, runs: list[Run], at_work: AbstractSet[str], unreadable: Sequence[str]) -> None:
    terminal, output = call.terminal, call.settings.output
    told = (ListedRun.listed(run, at_work=run.id in at_work) for run in runs)
    if output is Output.JSON:
        terminal.document(RunsDocument.listing(tuple(told), unreadable).as_json())
    elif output is Output.JSONL:
        for each in told:
            terminal.line(each.as_json())
    elif output is Output.CSV:
        records = [{**each.as_json(), "options": json_text(each.options)} for each in told]
        terminal.csv(records, fields=list(ListedRun.model_fields))
    elif runs:
        terminal.table(RUN_COLUMNS, [_run_row(run, at_work) for run in runs])
    else:
        terminal.say(f"no runs in {record_path(call)}")


def _run_row(run: Run, at_work: AbstractSet[str]) -> tuple[object, ...]:
    hosts = run.options.get("hosts")
    names = [str(name) for name in hosts] if isinstance(hosts, list) else []
    took = words.took(run.started, run.ended)
    said = str(run.verdict) if run.verdict else "at work" if run.id in at_work else "died"
    result = said if run.ended or not run.verdict else f"open, {said}"
    return run.id, when(run.started), took, run.command, listed(names, most=3), run.owner, result, run.reason


def _show_entries(call: Call, run: Run, entries: list[Entry]) -> None:
    terminal, output = call.terminal, call.settings.output
    if output is Output.JSON:
        terminal.document(RunDocument.telling(run, entries).as_json())
    elif output is Output.JSONL:
        for entry in entries:
            terminal.line(event_json(entry))
    elif output is Output.CSV:
        cells = [_entry_cells(entry) for entry in entries]
        terminal.csv(cells, fields=ENTRY_FIELDS)
    else:
        for name, value in words.facts_of(make_report(run, entries)):
            terminal.say(f"{name}: {value}")
        columns = ("TIME", "HOST", "EVENT", "")
        terminal.table(columns, [_entry_row(entry) for entry in entries])


ENTRY_FIELDS = ("at", "run", "host", "number", "event", "phase", "detail")


def _entry_cells(entry: Entry) -> dict[str, object]:
    values = entry.what.model_dump(mode="json", exclude={"event", "phase"}, exclude_defaults=True)
    head = entry.model_dump(mode="json", exclude={"what"})
    return {**head, "event": entry.what.event, "phase": entry.what.phase or "", "detail": json_text(values)}


def _entry_row(entry: Entry) -> tuple[object, ...]:
    return f"{entry.at.astimezone():%H:%M:%S}", entry.host, entry.what.event, words.plain(entry.what.text())
