"""What a call says: tables for people, one JSON document for programs, questions, and nothing else.

Rules: text from hosts is made harmless before it is shown; with ``--output json`` standard output holds exactly one
document, whatever the exit code; everything for people beside the answer goes to standard error. All of it leaves by
the streams of :mod:`mpsbridge.cli.output`, which never raise.
"""

from __future__ import annotations

import csv
import getpass
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import IO, TYPE_CHECKING, Any, cast

from pydantic import SecretStr

from mpsbridge.cli.columns import table_lines
from mpsbridge.cli.leaving import INTERRUPTION
from mpsbridge.cli.output import code_after, standard
from mpsbridge.cli.repeating import Repeated
from mpsbridge.cli.styled import Style, StyledOutput
from mpsbridge.errors import InputError, MpsBridgeError, Refused, SettingsError, Unexpected
from mpsbridge.models.counts import listed
from mpsbridge.models.harmless import csv_cell, harmless, json_text
from mpsbridge.models.outcomes import Failed, Failure, Skipped
from mpsbridge.reports.annotations import Annotation, writer_for
from mpsbridge.settings import Output
from mpsbridge.version import __version__

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

log = logging.getLogger(__name__)
MOST_NAMED = 20
"""So many hosts are named of which the same is told."""
CANCELLED = "cancelled; nothing was sent"
REMARKS = ""
"""The column without a name, in which a next step may stand."""


class Terminal:
    """Where one command's answer goes."""

    def __init__(
        self, *, command: str, output: Output, color: bool = True, quiet: bool = False, csv_raw: bool = False
    ) -> None:
        self.command = command
        self.output = output
        self.quiet = quiet
        self.csv_raw = csv_raw
        self.today = date.max
        """The day of this call, by which a table tells an old time from one of late."""
        self.repeated = Repeated()
        """What a command that is printed as a next step repeats."""
        self._noted: set[tuple[str, ...]] = set()
        self._said_before: list[object] = []
        self._live: Live | None = None
        color = color and not os.environ.get("NO_COLOR")
        self.streams = standard()
        self._color = color
        self._out = StyledOutput(self.streams.out, color=color)
        self._err = StyledOutput(self.streams.err, color=color)

    @property
    def for_people(self) -> bool:
        """Whether a person reads standard output (as opposed to a program)."""
        return self.output is Output.TABLE

    def _shown(self, text: str) -> str:
        return harmless(self.repeated.within(text))

    def _cell(self, column: str, value: object) -> str:
        if value is None:
            return ""
        return self._shown(str(value)) if column == REMARKS else harmless(str(value))

    def say(self, text: str = "", *, style: Style = "", advises: bool = False) -> None:
        """A line of the answer, for people only; one that ``advises`` may name a next step."""
        if self.for_people:
            with self._still():
                self._out.write_line(self._shown(text) if advises else harmless(text), style)

    def note(self, text: str) -> None:
        """A line beside the answer, on standard error; the same one is said once only."""
        if not self.quiet and self.is_news(text):
            self._beside(self._shown(text))

    def is_news(self, *said: str) -> bool:
        """Whether that was not said before; from here on it was."""
        is_new = said not in self._noted
        self._noted.add(said)
        return is_new

    def lines(self, text: str) -> None:
        """Several lines beside the answer, as they stand, so that a person can copy them into a file."""
        if not self.quiet:
            for line in text.splitlines():
                self._beside(harmless(line))

    def acts(self) -> None:
        """The call may act from here on: its answer must arrive, and no signal strikes but where a person is asked."""
        self.streams.out.keep_answer()
        INTERRUPTION.is_held_back = True

    def code(self, code: int) -> int:
        """The exit code, once the answer was given, of a call that had this one before."""
        return code_after(code, self.streams.out, was_interrupted=INTERRUPTION.came)

    @property
    def is_unread(self) -> bool:
        """Whether nobody gets the answer any more, of a call that only reads."""
        out = self.streams.out
        return out.lost is not None and not out.must_arrive

    @property
    def columns(self) -> int:
        """How wide standard error is."""
        return self._err.width

    @property
    def is_watched(self) -> bool:
        """Whether somebody sees standard error on a terminal on which lines can change."""
        return self._err.is_terminal and not (self.quiet or self._err.is_dumb)

    @contextmanager
    def live(self, rows: Callable[[int], Sequence[Sequence[str]]]) -> Iterator[None]:
        """Below whatever else is said, show lines that change: what ``rows`` tells for so many; on a terminal only."""
        if not self.is_watched:
            yield
            return
        # Only where somebody watches.
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        console = Console(
            file=cast("IO[str]", self.streams.err),
            no_color=not self._color,
            highlight=False,
            markup=False,
            emoji=False,
        )

        def picture() -> Table:
            grid = Table.grid(padding=(0, 2, 0, 0))
            for row in rows(max(3, console.height - 4)):
                grid.add_row(*(Text(harmless(cell), no_wrap=True, overflow="ellipsis") for cell in row))
            return grid

        self._live = Live(
            console=console,
            get_renderable=picture,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        try:
            with self._live:
                yield
        finally:
            self._live = None

    @contextmanager
    def _still(self) -> Iterator[None]:
        """While standard output is written to on the same terminal, no line changes there."""
        live = self._live if self._out.is_terminal else None
        if live is None:
            yield
            return
        live.stop()
        try:
            yield
        finally:
            live.start()

    def annotate(self, annotations: Iterable[Annotation]) -> None:
        """Tell a CI server that runs this call, on standard error, which it reads."""
        if (write := writer_for(os.environ)) is not None:
            for annotation in annotations:
                self.streams.err.write(write(annotation) + "\n")
            self.streams.err.flush()

    def warn(self, text: str) -> None:
        """A warning; shown with ``--quiet`` too."""
        self._beside(f"warning: {self._shown(text)}", "yellow")

    def raw(self, text: str) -> None:
        """Text exactly as it is, on standard output."""
        with self._still():
            self.streams.out.write(text)
            self.streams.out.flush()

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        to_stderr: bool = False,
        goes_on_from: Sequence[object] | None = None,
    ) -> None:
        """A plain table; ``None`` is shown as nothing. How it fits into a terminal: :mod:`mpsbridge.cli.columns`.

        One that ``goes_on_from`` a row of the widest cells before has no heading, and is no narrower.
        """
        output = self._err if to_stderr else self._out
        before = [] if goes_on_from is None else [goes_on_from]
        cells = [[self._cell(*each) for each in zip(columns, row, strict=True)] for row in (*before, *rows)]
        heading, *lines = table_lines(columns, cells, output.width, today=self.today)
        with self._still():
            if goes_on_from is None:
                output.write_line("".join(heading), "bold")
            output.write_line("".join(f"{line}\n" for block in lines[len(before) :] for line in block), end="")

    def document(self, content: Mapping[str, Any]) -> None:
        """The one JSON document of this command; its shape is told in :mod:`mpsbridge.schemas`."""
        self.raw(json_text(content) + "\n")

    def line(self, content: Mapping[str, Any]) -> None:
        """A JSON line."""
        self.raw(json_text(content) + "\n")

    def csv(self, records: Sequence[Mapping[str, object]], *, fields: Sequence[str]) -> None:
        """Records as CSV under a heading of all ``fields``; a formula becomes text, unless ``csv_raw``."""
        writer = csv.DictWriter(self.streams.out, list(fields), lineterminator="\n")
        writer.writeheader()
        for record in records:
            writer.writerow({name: csv_cell(value, raw=self.csv_raw) for name, value in record.items()})
        self.streams.out.flush()

    def failures(self, outcomes: Sequence[object], *, before_question: bool = False) -> None:
        """What failed or was skipped, with what to do, on standard error; what is the same of many hosts once.

        What was said ``before_question`` is not said again after it.
        """
        outcomes = [outcome for outcome in outcomes if outcome not in self._said_before]
        if before_question:
            self._said_before = list(outcomes)
        told: dict[str, dict[str, list[str]]] = {}
        for outcome in outcomes:
            if isinstance(outcome, Failed):
                text = without_host(outcome.host, outcome.failure.message)
                told.setdefault(outcome.failure.hint, {}).setdefault(text, []).append(outcome.host)
            elif isinstance(outcome, Skipped):
                text = outcome.reason if outcome.is_refusal else f"skipped: {outcome.reason}"
                told.setdefault("", {}).setdefault(text, []).append(outcome.host)
        for hint, texts in told.items():
            for text, hosts in texts.items():
                self._failure(text, prefix=f"{listed(hosts, most=MOST_NAMED)}: ")
            self._hint(hint)

    def _failure(self, message: str, *, prefix: str) -> None:
        self._beside(self._shown(message), "red", prefix=harmless(prefix))

    def _hint(self, hint: str) -> None:
        if hint:
            self._beside(f"  {self._shown(hint)}")

    def _beside(self, text: str, style: Style = "", *, prefix: str = "") -> None:
        """A line on standard error, above the lines that change where there are some."""
        if (live := self._live) is None:
            self._err.write_line(text, style, prefix=prefix)
            return
        from rich.text import Text  # noqa: PLC0415 - there are some, so it is loaded

        live.console.print(Text(prefix).append(text, style=style), soft_wrap=True)

    def error(self, error: MpsBridgeError) -> int:
        """An error that stops the whole command; the exit code that belongs to it."""
        failure = Failure.of(error)
        if self.output is Output.JSON:
            from mpsbridge.schemas.base import ErrorDocument  # noqa: PLC0415 - 8 ms, and only for programs

            self.document(ErrorDocument.model_validate({"command": self.command, "error": failure}).as_json())
        prefix = " ".join(filter(None, ("mpsbridge", self.command))) + ": "
        for said in getattr(error, "complaints", ()) or (failure.message,):
            self._failure(said, prefix=prefix)
        self._hint(failure.hint)
        if isinstance(error, Refused):
            return 3
        return 2 if isinstance(error, InputError) else 1

    def confirm(self, question: str, *, yes: bool, kept: str = "nothing was sent") -> None:
        """Ask on a terminal unless ``yes`` was said; default no. Raises ``Refused`` on a no or where nobody is.

        ``kept`` says what a no leaves as it is.
        """
        if yes:
            return
        if not _is_somebody_there():
            raise Refused(f"{question} There is no terminal to ask on; {kept}", hint="Repeat with --yes.")
        self._err.write_line(f"{harmless(question)} [y/N] ", end="")
        try:
            answer = _answered()
        except KeyboardInterrupt:
            self._cancelled()
            raise
        if answer.strip().lower() not in {"y", "yes"}:
            raise Refused(f"cancelled; {kept}")

    def end_line(self) -> None:
        """Begin a new line after the ``^C`` that a terminal shows."""
        if self._err.is_terminal:
            self._err.write_line("")

    def _cancelled(self) -> None:
        """Say of a question that was answered by Ctrl-C what is said of a no, on a line of its own."""
        self.streams.err.write("\n")
        self._failure(CANCELLED, prefix=f"mpsbridge {self.command}: ")

    def password(self, username: str) -> SecretStr:
        """Ask for a password. Raises ``SettingsError`` where nobody is there to answer."""
        if not _is_somebody_there():
            raise SettingsError(
                f"no password for {username}",
                hint="Set MPSBRIDGE_PASSWORD or MPSBRIDGE_PASSWORD_FILE; --auth kerberos uses a ticket.",
            )
        try:
            return self._asked(username)
        except KeyboardInterrupt:
            self._cancelled()
            raise

    def _asked(self, username: str) -> SecretStr:
        with INTERRUPTION.raised_again():
            return SecretStr(getpass.getpass(f"Password for {harmless(username)}: ", stream=sys.stderr))


def _is_somebody_there() -> bool:
    """Whether standard input is a terminal."""
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # closed
        return False


def _answered() -> str:
    """A line that a person types; nothing where the terminal is gone."""
    with INTERRUPTION.raised_again():
        try:
            return sys.stdin.readline()
        except (OSError, ValueError):
            return ""


def without_host(host: str, message: str) -> str:
    """A message that begins with its host, and perhaps the address, as it stands after the host's name."""
    rest = message.removeprefix(f"{host}: ")
    if rest.startswith(f"{host} (") and "): " in rest:
        address, _, said = rest.removeprefix(f"{host} ").partition("): ")
        return f"{said} {address})"
    return rest


def show_version() -> int:
    """The version, where it stands among other words; exit code 0."""
    standard().out.write(f"mpsbridge {__version__}\n")
    return 0


def last_words(lines: Sequence[str]) -> str:
    """What a process says that leaves at a second signal, whatever its terminal shows now."""
    shown = "".join(f"{harmless(line)}\n" for line in lines)
    show_cursor = "\x1b[?25h" if os.isatty(2) else ""
    return f"{show_cursor}\ninterrupted again: left at once\n{shown}"


def fault(error: Exception, arguments: Sequence[str], *, may_have_run: bool) -> int:
    """An error that nobody has foreseen, as a sentence, and as JSON where no answer is out yet; the exit code.

    With ``-vv`` the log has the traceback.
    """
    log.debug("unexpected %s", type(error).__name__, exc_info=error)
    command = next((word for word in arguments[:1] if not word.startswith("-")), "")
    is_json = _wants_json(arguments) and not standard().out.is_used
    terminal = Terminal(command=command, output=Output.JSON if is_json else Output.TABLE)
    unexpected = Unexpected.of(error, may_have_run=may_have_run)
    if may_have_run:
        unexpected.hint += " Something may have been done: 'mpsbridge history' tells."
    terminal.error(unexpected)
    return 4 if may_have_run else 1


def usage_error(message: str, arguments: Sequence[str], command_path: str, *, hint: str = "") -> int:
    """A call that the command line cannot understand; exit code 2. Without a ``hint`` the help is pointed to."""
    words = command_path.split()
    command = words[1] if len(words) > 1 else ""
    terminal = Terminal(command=command, output=Output.JSON if _wants_json(arguments) else Output.TABLE)
    return terminal.error(InputError(message, hint=hint or f"Try '{command_path} --help'."))


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether a call that could not be understood asks for JSON: the last word about it counts, else the variable."""
    wanted = os.environ.get("MPSBRIDGE_OUTPUT", "")
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word in {"--output", "-o"}:
            wanted = following
        elif word.startswith(("--output=", "-o")):
            wanted = word.removeprefix("--output=").removeprefix("-o")
    return wanted == "json"
