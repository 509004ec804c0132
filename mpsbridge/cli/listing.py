"""What came of many hosts, shown to a person or a program: in one piece, or as it comes where a host is silent.

Rules: JSON and CSV come whole, JSON lines one by one; a table comes in pieces, in the order asked for within each,
where a host keeps the others waiting; hosts that are waited for are named; of a host that failed or was refused CSV has
a row, so that it is told from one on which nobody is.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from mpsbridge.cli.call import Call
from mpsbridge.cli.call_progress import CallView
from mpsbridge.cli.columns import cell_len
from mpsbridge.cli.leaving import INTERRUPTION
from mpsbridge.cli.tables import ENDS, result_row
from mpsbridge.clock import SystemClock
from mpsbridge.errors import Stopped
from mpsbridge.models.counts import counted, listed
from mpsbridge.models.outcomes import Done, Failed, Outcome
from mpsbridge.models.sessions import Result
from mpsbridge.operations.looking import Awaited
from mpsbridge.operations.outcomes import failures_by_kind, without_value
from mpsbridge.reports.annotations import annotations_of
from mpsbridge.runs.verdict import RunVerdict
from mpsbridge.settings import Output

V = TypeVar("V")
MANY_FAILURES = 3
"""From here on failures are told by their kind, too."""


@dataclass(frozen=True)
class Layout(Generic[V]):
    """How the values of a command look to people; what programs get is told in :mod:`mpsbridge.schemas`.

    ``rows`` are a host's cells, ``summary`` counts what was found, ``empty`` is said of a host that has no row.
    """

    columns: Sequence[str]
    rows: Callable[[str, V], Sequence[Sequence[object]]]
    summary: Callable[[Sequence[V]], str]
    empty: Callable[[V], str] = lambda _: ""
    words: Mapping[Result, str] = field(default_factory=lambda: ENDS)
    """How results of sessions are told of a host that failed, where not by their own word."""


class Answer(Generic[V]):
    """The answer of one call; a host that was told in a piece is not told again."""

    def __init__(self, call: Call, layout: Layout[V]) -> None:
        self._call = call
        self._layout = layout
        self._told: set[str] = set()
        self._widest: list[object] | None = None

    def piece(self, outcomes: Sequence[Outcome[V]]) -> None:
        """Tell a person of these hosts before the others are known."""
        if self._call.settings.output is not Output.TABLE:
            return
        new = [outcome for outcome in outcomes if outcome.host not in self._told]
        self._told |= {outcome.host for outcome in new}
        terminal, layout = self._call.terminal, self._layout
        done = [outcome for outcome in new if isinstance(outcome, Done)]
        if rows := [row for outcome in new for row in self._rows(outcome)]:
            terminal.table(layout.columns, rows, goes_on_from=self._widest)
            heading = self._widest or list(layout.columns)
            self._widest = [
                max(column, key=lambda cell: cell_len(str(cell or ""))) for column in zip(heading, *rows, strict=True)
            ]
        for outcome in done:
            if not layout.rows(outcome.host, outcome.value) and (said := layout.empty(outcome.value)):
                terminal.say(f"{outcome.host}: {said}")
        terminal.failures(new)

    def _rows(self, outcome: Outcome[V]) -> Sequence[Sequence[object]]:
        """The rows of a host; of one that failed, its sessions as the record tells them."""
        if isinstance(outcome, Done):
            return self._layout.rows(outcome.host, outcome.value)
        sessions = outcome.sessions if isinstance(outcome, Failed) else ()
        return [result_row(outcome.host, one, self._layout.words) for one in sessions]

    def finish(self, outcomes: Sequence[Outcome[V]], verdict: RunVerdict | None = None) -> None:
        """Tell what was not told yet, and sum up; of a call that acts, programs get the ``verdict``."""
        terminal = self._call.terminal
        for_programs(self._call, outcomes, verdict)
        acts = terminal.streams.out.must_arrive and not self._call.settings.dry_run
        annotations = annotations_of(outcomes, acts=acts)
        if self._call.settings.output is not Output.TABLE:
            terminal.failures(outcomes)
            terminal.annotate(annotations)
            return
        self.piece(outcomes)
        terminal.annotate(annotations)
        for line in _grouped(self._call, [outcome for outcome in outcomes if isinstance(outcome, Failed)], acts=acts):
            terminal.note(line)
        if not self._call.settings.quiet:
            values = [outcome.value for outcome in outcomes if isinstance(outcome, Done)]
            found = [self._layout.summary(values)] if values or not outcomes else []
            left = without_value(outcomes, acts=acts, was_interrupted=INTERRUPTION.came)
            terminal.say(", ".join([*found, *left]))


def present(call: Call, outcomes: Sequence[Outcome[V]], layout: Layout[V], verdict: RunVerdict | None = None) -> None:
    """Print outcomes in the form asked for: a table with a line that sums up, one JSON document, or CSV."""
    Answer(call, layout).finish(outcomes, verdict)


def tell(call: Call, outcomes: Sequence[Outcome[V]], layout: Layout[V], verdict: RunVerdict) -> None:
    """The same for a call that acts, or would: with JSON lines, and the verdict for programs."""
    for outcome in outcomes:
        stream(call, outcome)
    present(call, outcomes, layout, verdict)


def for_programs(call: Call, outcomes: Sequence[Outcome[V]], verdict: RunVerdict | None = None) -> None:
    """Print outcomes as one JSON document, or as CSV, where that was asked for."""
    if call.settings.output not in {Output.JSON, Output.CSV}:
        return
    from mpsbridge.schemas import answers  # noqa: PLC0415 - 10 ms, and no table needs it

    if call.settings.output is Output.JSON:
        call.terminal.document(answers.document(call.command, outcomes, verdict))
    else:
        records = [record for outcome in outcomes for record in answers.records(call.command, outcome)]
        call.terminal.csv(records, fields=answers.fields(call.command))


def stream(call: Call, outcome: Outcome[V]) -> None:
    """Print an outcome as a JSON line, as soon as it is known; nothing in the other forms."""
    if call.settings.output is Output.JSONL:
        from mpsbridge.schemas import answers  # noqa: PLC0415 - 10 ms, and no table needs it

        call.terminal.line(answers.line(call.command, outcome))


def say_beside(call: Call, outcome: Outcome[V], problems: Callable[[V], Sequence[str]]) -> None:
    """Note what a host's answer says beside the answer itself."""
    if outcome.note:
        call.terminal.note(f"{outcome.host}: {outcome.note}")
    if isinstance(outcome, Done):
        for problem in problems(outcome.value):
            call.terminal.note(f"{outcome.host}: {problem}")


@contextmanager
def watched(call: Call, hosts: Awaited) -> Iterator[Callable[[bool], None]]:
    """Show how far a call is: a bar on a terminal, elsewhere a line now and then, with ``--quiet`` nothing.

    What it gives is called for each host that is through, with whether that went well.
    """
    clock, over = SystemClock(), threading.Event()
    view = CallView(len(hosts.targets), began_s=clock.monotonic(), timeout_s=int(call.settings.timeout))

    def settled(well: bool) -> None:  # noqa: FBT001 - the one thing that it is told
        view.settled(well=well)

    def bar(_height: int) -> list[tuple[str]]:
        shown = view.bar(clock.monotonic(), waited_for=hosts.waited_for, columns=call.terminal.columns)
        return [(shown,)] if shown else []

    def say_now_and_then() -> None:
        while not clock.wait(1.0, over):
            if said := view.line(clock.monotonic(), waited_for=hosts.waited_for):
                call.terminal.note(said)

    if call.terminal.is_watched or call.terminal.quiet:
        with call.terminal.live(bar):
            yield settled
        return
    thread = threading.Thread(target=say_now_and_then, name="mpsbridge-progress", daemon=True)
    thread.start()
    try:
        yield settled
    finally:
        over.set()
        thread.join()


def _grouped(call: Call, failures: Sequence[Failed], *, acts: bool) -> list[str]:
    """Many failures by their kind, and the call that repeats them: never what may have run, or was broken off."""
    if len(failures) < MANY_FAILURES:
        return []
    is_in_doubt = any(one.failure.may_have_run or one.failure.kind == Stopped.kind for one in failures)
    again = "" if acts and is_in_doubt else repeat_for(call, [outcome.host for outcome in failures])
    return [
        *(f"{kind}: {counted(len(hosts), 'host')} ({listed(hosts)})" for kind, hosts in failures_by_kind(failures)),
        *([f"again for these: {again}"] if again else []),
    ]


def repeat_for(call: Call, hosts: Sequence[str]) -> str:
    """This very call for other hosts, as one would type it; empty where it cannot be told."""
    words = list(call.typed)
    for given in call.typed_hosts:
        if given not in words:
            return ""
        words.remove(given)
    return shlex.join(["mpsbridge", *words, *hosts]) if words else ""
