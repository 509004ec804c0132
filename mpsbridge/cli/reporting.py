"""``report``: what a past run did, from the record alone. No host is contacted."""

from __future__ import annotations

from collections.abc import Sequence

from mpsbridge.cli.call import Call
from mpsbridge.cli.fleets import open_journal
from mpsbridge.errors import InputError
from mpsbridge.models.complaints import not_one_of
from mpsbridge.models.counts import counted, listed
from mpsbridge.reports.forms import WRITERS, Form, without_run
from mpsbridge.reports.summary import report_of
from mpsbridge.runs.journal import Journal, Run
from mpsbridge.settings import Output


def report(call: Call, prefix: str | None, form: str | None) -> int:
    """``report``: one run in the form asked for, on standard output."""
    wanted = _form(call, form)
    writer = WRITERS[wanted]
    with open_journal(call, only_reads=True) as journal:
        if prefix is None and not journal.runs() and not journal.unreadable and wanted is not Form.JSON:
            call.terminal.raw(without_run(wanted))
            return 0
        run = found_run(journal, prefix)
        if prefix is None and (newer := [one.command for one in journal.runs() if one.started > run.started]):
            _say_which(call, run, newer)
        told = report_of(journal, run)
        code = say_unreadable(call, journal)
    call.terminal.raw(writer(told))
    return code


ENDING = frozenset({"end", "maintain", "logoff", "reset"})
"""Commands that end sessions."""


def _say_which(call: Call, run: Run, newer: Sequence[str]) -> None:
    """Say which run is reported where it is not the newest of all, and what the newer ones were."""
    others = f"{counted(len(newer), 'newer run')} ended no session ({listed(sorted(set(newer)))})"
    call.terminal.note(f"run {run.id} ({run.command}) is reported; {others}")


def say_unreadable(call: Call, journal: Journal) -> int:
    """Name the rows that were passed over; the exit code: 1 where the answer is not whole."""
    if not journal.unreadable:
        return 0
    shown = listed(journal.unreadable, most=5)
    call.terminal.warn(f"{journal.path}: {counted(len(journal.unreadable), 'row')} cannot be read: {shown}")
    return 1


def found_run(journal: Journal, prefix: str | None) -> Run:
    """The run that is meant, without a prefix the newest that ended sessions, or of all where none did.

    What cannot be read of others is none of its matter.
    """
    if prefix is not None:
        run = journal.find(prefix)
    elif runs := journal.runs():
        run = next((one for one in runs if one.command in ENDING), runs[0])
    else:
        raise InputError("there is no run in the record")
    journal.unreadable.clear()
    return run


def _default(call: Call) -> Form:
    """Text for a person at a terminal, Markdown for a file or another program."""
    return Form.TEXT if call.terminal.streams.out.isatty() else Form.MARKDOWN


def _form(call: Call, form: str | None) -> Form:
    wants_json = call.settings.output is Output.JSON
    try:
        found = Form(form) if form else Form.JSON if wants_json else _default(call)
    except ValueError as error:
        raise InputError(f"--format: {not_one_of(form, list(Form))}") from error
    if call.settings.output not in {Output.TABLE, Output.JSON} or (wants_json and found is not Form.JSON):
        raise InputError("--output says how a command answers; a report is written by --format")
    return found
