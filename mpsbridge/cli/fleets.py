"""From a call to the hosts and the record of an operation that may act."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mpsbridge.cli.call import Call
from mpsbridge.cli.leaving import INTERRUPTION
from mpsbridge.cli.looking import sinks
from mpsbridge.errors import InputError, JournalError, JournalLost, SettingsError
from mpsbridge.models.targets import Target
from mpsbridge.operations.looking import not_elsewhere
from mpsbridge.operations.workplace import Workplace
from mpsbridge.runs.journal import Journal, journal_path
from mpsbridge.runs.journal_file import IN_MEMORY
from mpsbridge.settings import settings_path, unknown_variables


def open_workplace(call: Call, targets: Sequence[Target], journal: Journal, *, asks: bool = False) -> Workplace:
    """Where the operation of a call is planned and carried out; ``asks`` says that a question follows the plan."""
    call.terminal.acts()
    for variable in unknown_variables(os.environ):
        if variable.meant:
            raise SettingsError(
                str(variable), hint="Correct it, or unset it: what it was to say may change what is done."
            )
    for setting in ("executor", "scheduler", "worker_password_variable"):
        if getattr(call.settings, setting) is not None:
            raise not_elsewhere(f"'{call.command}' stays in the process that keeps the record", setting)
    return Workplace(
        targets,
        journal,
        call.clock,
        timeout_s=float(call.settings.timeout),
        concurrency=call.settings.concurrency,
        deadline_s=call.settings.deadline,
        only_reads=call.settings.dry_run,
        asks=asks and not call.settings.dry_run,
        sinks=sinks(call),
        is_told_to_stop=lambda: INTERRUPTION.came,
    )


def only_plans(call: Call, work: Workplace) -> bool:
    """Whether a call that may act ends with its plan: a dry run, or one that a person broke off while it looked.

    Any other is carried out, and so a run in the record: also where each host refuses, fails or has nothing to be done.
    """
    return call.settings.dry_run or work.is_interrupted


def open_journal(call: Call, *, only_reads: bool = False) -> Journal:
    """The record, or a :class:`~mpsbridge.errors.JournalError` before anything is sent.

    A call that ``only_reads`` makes no file: one that is not there is a record without runs, unless it was named.
    """
    shared, path = call.settings.journal_shared, record_path(call)
    if only_reads and _is_missing(path):
        if call.settings.place("journal") == "--journal":
            hint = "Check what --journal names; a call that acts makes the file."
            raise JournalError(f"--journal: {path} does not exist", hint=hint)
        path = IN_MEMORY
    if shared:
        call.terminal.note(f"the journal {path} is used although others may have written it (--journal-shared)")
    return Journal(path, clock=call.clock, shared=shared)


def demand_own_file(call: Call, option: str, path: Path | None, **others: Path | None) -> None:
    """Raise ``InputError`` where a file that a call is to write is one that it reads, or its record.

    ``others`` are those that it reads beside the journal, the inventory and the settings file, by what they are.
    """
    if path is None:
        return
    journal = record_path(call)
    beside = {f"journal{end}": journal.with_name(journal.name + end) for end in ("", "-wal", "-shm", "-journal")}
    read = {"inventory": call.settings.inventory, "settings": settings_path(), **others}
    for name, other in {**beside, **read}.items():
        if other is not None and _is_same(path, other):
            what = name.partition("-")[0].replace("_", "-")
            raise InputError(f"{option}: {path} is the {what} of this call", hint="Name another file.")


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.resolve() == other.resolve() or one.samefile(other)
    except OSError:  # one of them is not there yet
        return False


def _is_missing(path: Path) -> bool:
    """Whether nothing has that name, not even a link; of anything else whoever opens it says what is wrong."""
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def record_path(call: Call) -> Path:
    """Where the record of runs is."""
    if call.settings.journal == IN_MEMORY:
        raise InputError(f"--journal: {IN_MEMORY} would keep no record")
    return call.settings.journal or journal_path()


def lost_answer(call: Call, journal: Journal, run: str) -> None:
    """Record of a run that its answer was lost, where it was: a reader who left did not want it."""
    out = call.terminal.streams.out
    if out.lost and not out.reader_left:
        try:
            journal.annotate(run, out.loss)
        except (JournalLost, JournalError) as error:
            call.terminal.warn(str(error))
