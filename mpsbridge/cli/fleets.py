"""From a call to a fleet, and from outcomes to an exit code: what all commands over hosts have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mpsbridge.cli.call import Call
from mpsbridge.cli.elsewhere import elsewhere, refuse_elsewhere
from mpsbridge.cli.leaving import INTERRUPTION
from mpsbridge.cli.listing import watched
from mpsbridge.errors import InputError, JournalError, JournalLost, SettingsError
from mpsbridge.fleet import Fleet
from mpsbridge.host import Host
from mpsbridge.models.targets import Target
from mpsbridge.operations.workplace import CUT_OFF, Sinks, Workplace
from mpsbridge.processes import allow_open_files
from mpsbridge.runs.journal import Journal, journal_path
from mpsbridge.runs.journal_file import IN_MEMORY
from mpsbridge.settings import unknown_variables

INTERRUPTED = "interrupted: no new hosts are started, {}; press Ctrl-C again to exit immediately"


def open_workplace(call: Call, targets: Sequence[Target], journal: Journal, *, asks: bool = False) -> Workplace:
    """Where the operation of a call is planned and carried out; ``asks`` says that a question follows the plan."""
    call.terminal.acts()
    for variable in unknown_variables(os.environ):
        if variable.meant:
            raise SettingsError(
                str(variable), hint="Correct it, or unset it: what it was to say may change what is done."
            )
    refuse_elsewhere(call.settings, f"'{call.command}' stays in the process that keeps the record")

    def interrupted(what: str) -> None:
        call.terminal.note(INTERRUPTED.format(what))

    @contextmanager
    def looking(fleet: Fleet) -> Iterator[Callable[[bool], None]]:
        with watched(call, fleet) as view:
            yield lambda well: view.settled(well=well)

    return Workplace(
        targets,
        journal,
        call.clock,
        timeout_s=float(call.settings.timeout),
        concurrency=call.settings.concurrency,
        deadline_s=call.settings.deadline,
        only_reads=call.settings.dry_run,
        asks=asks and not call.settings.dry_run,
        sinks=Sinks(call.terminal.note, call.terminal.warn, interrupted, looking),
        is_told_to_stop=lambda: INTERRUPTION.came,
    )


def open_reading(call: Call, targets: Sequence[Target], *, keep: bool = False) -> Fleet:
    """The hosts of a call that only reads, wherever it is told to; with ``keep`` they stay connected, here."""
    if keep:
        refuse_elsewhere(call.settings, "connections that are kept never leave this process")
    readers = elsewhere(call, targets)

    def connect(target: Target) -> Host:
        timeout_s = float(call.settings.timeout)
        return Host(target, timeout_s=timeout_s, clock=call.clock, only_reads=call.settings.dry_run)

    def interrupted() -> None:
        call.terminal.note(INTERRUPTED.format(CUT_OFF))

    slots = readers.slots if readers else call.settings.concurrency
    allow_open_files(2 * len(targets) + 256)
    return Fleet(
        targets,
        on_interrupt=interrupted,
        is_told_to_stop=lambda: INTERRUPTION.came,
        concurrency=slots,
        connect=connect,
        clock=call.clock,
        keep=keep,
        deadline_s=call.settings.deadline,
        workers=readers.workers if readers else None,
    )


def open_journal(call: Call) -> Journal:
    """The record, or a :class:`~mpsbridge.errors.JournalError` before anything is sent."""
    shared, path = call.settings.journal_shared, record_path(call)
    if shared:
        call.terminal.note(f"the journal {path} is used although others may have written it (--journal-shared)")
    return Journal(path, clock=call.clock, shared=shared)


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
