"""From a call to a fleet, and from outcomes to an exit code: what all commands over hosts have in common."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from mpsbridge.cli.call import HOST_WORDS, Call
from mpsbridge.cli.elsewhere import Elsewhere, elsewhere, refuse_elsewhere
from mpsbridge.cli.leaving import INTERRUPTION, WORDS
from mpsbridge.cli.progress import CallView
from mpsbridge.cli.tables import counted, listed
from mpsbridge.clock import SystemClock
from mpsbridge.errors import InputError, JournalError, JournalLost
from mpsbridge.fleet import Fleet
from mpsbridge.host import Host
from mpsbridge.models.outcomes import Done, Failed, Outcome, Skipped
from mpsbridge.models.targets import Target
from mpsbridge.operations.workplace import Sinks, Workplace
from mpsbridge.processes import allow_open_files
from mpsbridge.runs.journal import Journal, journal_path
from mpsbridge.runs.journal_file import IN_MEMORY
from mpsbridge.settings import Output

V = TypeVar("V")
MANY_FAILURES = 3
"""From here on failures are told by their kind, too."""


def open_workplace(call: Call, targets: Sequence[Target], journal: Journal) -> Workplace:
    """Where the operation of a call is planned and carried out."""
    call.terminal.acts()
    refuse_elsewhere(call.settings, f"'{call.command}' stays in the process that keeps the record")

    def interrupted(what: str) -> None:
        call.terminal.note(f"interrupted: nothing new begins; {what}. Once more leaves at once.")

    return Workplace(
        targets,
        journal,
        call.clock,
        timeout_s=float(call.settings.timeout),
        concurrency=call.settings.concurrency,
        only_reads=call.settings.dry_run,
        sinks=Sinks(call.terminal.note, call.terminal.warn, interrupted),
        is_told_to_stop=lambda: INTERRUPTION.came,
    )


def open_fleet(call: Call, targets: Sequence[Target]) -> Fleet:
    """The hosts of a call that may act."""
    call.terminal.acts()
    refuse_elsewhere(call.settings, f"'{call.command}' stays in the process that keeps the record")
    return _open(call, targets, keep=True)


def open_reading(call: Call, targets: Sequence[Target], *, keep: bool = False) -> Fleet:
    """The hosts of a call that only reads, wherever it is told to; with ``keep`` they stay connected, here."""
    if keep:
        refuse_elsewhere(call.settings, "connections that are kept never leave this process")
    return _open(call, targets, keep=keep, readers=elsewhere(call, targets))


def _open(
    call: Call,
    targets: Sequence[Target],
    *,
    keep: bool,
    readers: Elsewhere | None = None,
) -> Fleet:
    def connect(target: Target) -> Host:
        timeout_s = float(call.settings.timeout)
        return Host(target, timeout_s=timeout_s, clock=call.clock, only_reads=call.settings.dry_run)

    def interrupted() -> None:
        call.terminal.note("interrupted: nothing new begins; what runs is cut off. Once more leaves at once.")

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
        call.terminal.note(f"the journal {path} is used whoever may have written it (--journal-shared)")
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


def gather(
    call: Call,
    fleet: Fleet,
    job: Callable[[Host], V],
    *,
    problems: Callable[[V], Sequence[str]] = lambda _: (),
    keep: bool = False,
) -> list[Outcome[V]]:
    """Do the job on all hosts; the outcomes in the order asked for.

    With ``--output jsonl`` each is printed as it comes, and what is ``done`` is not kept (unless ``keep``), so that
    memory does not grow with the hosts. ``problems`` are what a host's answer says beside the answer itself. A call
    that only reads ends where nobody gets its answer any more.
    """
    streams = call.settings.output is Output.JSONL
    found: dict[int, Outcome[V]] = {}
    with watched(call, fleet) as view:
        for place, outcome in fleet.stream(job):
            view.settled(well=isinstance(outcome, Done))
            call.terminal.stream(outcome)
            if keep or not streams or not isinstance(outcome, Done):
                found[place] = outcome
            if streams:
                _say_beside(call, outcome, problems)
            if call.terminal.is_unread:
                fleet.cancel()
                break
    if not streams:
        for place in sorted(found):
            _say_beside(call, found[place], problems)
    return [found[place] for place in sorted(found)]


def _say_beside(call: Call, outcome: Outcome[V], problems: Callable[[V], Sequence[str]]) -> None:
    if outcome.note:
        call.terminal.note(f"{outcome.host}: {outcome.note}")
    if isinstance(outcome, Done):
        for problem in problems(outcome.value):
            call.terminal.note(f"{outcome.host}: {problem}")


@contextmanager
def watched(call: Call, fleet: Fleet) -> Iterator[CallView]:
    """Show how far a call is: a bar on a terminal, elsewhere a line now and then, with ``--quiet`` nothing."""
    clock, over = SystemClock(), threading.Event()
    view = CallView(len(fleet.targets), began_s=clock.monotonic())

    def bar(_height: int) -> list[tuple[str]]:
        shown = view.bar(clock.monotonic(), at_work=fleet.at_work)
        return [(shown,)] if shown else []

    def say_now_and_then() -> None:
        while not clock.wait(1.0, over):
            if said := view.line(clock.monotonic(), at_work=fleet.at_work):
                call.terminal.note(said)

    if call.terminal.is_watched or call.terminal.quiet:
        with call.terminal.live(bar):
            yield view
        return
    thread = threading.Thread(target=say_now_and_then, name="mpsbridge-progress", daemon=True)
    thread.start()
    try:
        yield view
    finally:
        over.set()
        thread.join()


def present(
    call: Call,
    outcomes: Sequence[Outcome[V]],
    *,
    columns: Sequence[str],
    rows: Callable[[str, V], Sequence[Sequence[object]]],
    records: Callable[[V], Sequence[Mapping[str, object]]],
    summary: Callable[[Sequence[V]], str],
    empty: Callable[[V], str] = lambda _: "",
) -> None:
    """Print outcomes in the form asked for: a table with a line that sums up, one JSON document, or CSV.

    ``rows`` are a host's cells for people, ``records`` the same as named values for programs, ``summary`` counts
    what was found, ``empty`` is said of a host that has no row.
    """
    terminal, output = call.terminal, call.settings.output
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    if output is Output.JSON:
        terminal.document({"outcomes": [outcome.model_dump(mode="json") for outcome in outcomes]})
    elif output is Output.CSV:
        terminal.csv([{"host": outcome.host, **record} for outcome in done for record in records(outcome.value)])
    elif output is Output.TABLE:
        table = [row for outcome in done for row in rows(outcome.host, outcome.value)]
        if table:
            terminal.table(columns, table)
        for outcome in done:
            if not rows(outcome.host, outcome.value) and (said := empty(outcome.value)):
                terminal.say(f"{outcome.host}: {said}")
    terminal.failures(outcomes)
    if output is Output.TABLE:
        for line in _grouped([outcome for outcome in outcomes if isinstance(outcome, Failed)]):
            terminal.note(line)
    if output is Output.TABLE and not call.settings.quiet:
        terminal.say(_sum_up(outcomes, summary([outcome.value for outcome in done])))


def _grouped(failures: Sequence[Failed]) -> list[str]:
    """Many failures by their kind, and the call that repeats them."""
    if len(failures) < MANY_FAILURES:
        return []
    kinds: dict[str, list[str]] = {}
    for outcome in failures:
        kinds.setdefault(outcome.failure.kind, []).append(outcome.host)
    by_kind = sorted(kinds.items(), key=lambda kind: (-len(kind[1]), kind[0]))
    again = repeat_for([outcome.host for outcome in failures])
    return [
        *(f"{kind}: {counted(len(hosts), 'host')} ({listed(hosts)})" for kind, hosts in by_kind),
        *([f"again for these: {again}"] if again else []),
    ]


def repeat_for(hosts: Sequence[str]) -> str:
    """This very call for other hosts, as one would type it; empty where it cannot be told."""
    words = list(WORDS.get())
    for given in HOST_WORDS.get():
        if given not in words:
            return ""
        words.remove(given)
    return shlex.join(["mpsbridge", *words, *hosts]) if words else ""


def _sum_up(outcomes: Sequence[object], found: str) -> str:
    done = sum(isinstance(outcome, Done) for outcome in outcomes)
    failed = sum(isinstance(outcome, Failed) for outcome in outcomes)
    skipped = sum(isinstance(outcome, Skipped) for outcome in outcomes)
    parts = [f"{found} on {counted(done, 'host')}"] if done or not outcomes else []
    if failed:
        parts.append(f"{counted(failed, 'host')} failed")
    if skipped:
        parts.append(f"{counted(skipped, 'host')} skipped")
    return ", ".join(parts)
