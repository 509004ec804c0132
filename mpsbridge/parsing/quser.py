"""The text of ``query user`` and ``query session``, in any language and layout, as rows.

Rules: every line of a table is a row, or known not to be one (a prompt, a rule, a counter, a message), or an error.
What cannot be read raises :class:`~mpsbridge.errors.ParseError`; it is never left out, and a text in which neither a
table nor a message of Windows can be recognised is never "no sessions".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mpsbridge.errors import ParseError
from mpsbridge.models.bounds import LINE_LIMIT
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.harmless import harmless
from mpsbridge.models.sessions import Row
from mpsbridge.parsing.messages import Trouble, read_trouble
from mpsbridge.parsing.rows import Fields, Header, read_header, read_row
from mpsbridge.parsing.vocabulary import Kind

_COMMAND = re.compile(r"(?<!\w)(?:quser|qwinsta|query (?:user|session))(?!\w)", re.IGNORECASE)
_PROMPT = re.compile(r"(?:[^ ]+ )?(?:PS )?[A-Za-z]:\\[^>]*>|PS [^>]*>|[^ @]+@[^ ]+[$#>~]")
_RULE = re.compile(r"[^\w?]+|NULL|\(.*\)")
_COUNTER = re.compile(r"[^\d:：]*[:：](?: *\d+)?")
_LOG_LINE = re.compile(r"[^ ]+: .*|\[[^\]]+\].*")
_BLANKS = re.compile("[ \u00a0]{2,}")


class Tables(Frozen):
    """What a text holds: its rows in order, and where there are none why.

    ``number`` is the Windows error number where one was printed. ``ignored`` counts the lines with text that belong to
    no table (prompts, log lines, messages). ``rows`` is empty only with a ``trouble``.
    """

    rows: tuple[Row, ...] = ()
    trouble: Trouble | None = None
    number: int | None = None
    ignored: int = 0


def parse(text: str, *, check: Callable[[], None] = lambda: None) -> Tables:
    """Read the output of ``query user``, ``query session`` or both, with whatever a prompt or a log put around it.

    ``check`` is called before each line and may raise, when the time is up.
    Raises :class:`~mpsbridge.errors.ParseError` on a line in a table that cannot be read, and on a text that holds
    neither a table nor a message of Windows. Lines count from 1 and end at a line feed.
    """
    reader = _Reader(text.removeprefix("\ufeff").split("\n"), check)
    reader.read()
    said = read_trouble(reader.others)
    if not reader.rows and said is None and reader.certain_header:
        said = Trouble.HEADER_ONLY, None
    if not reader.rows and said is None:
        number, line = next(((n, t) for n, t in enumerate(reader.lines, 1) if t.strip()), (1, ""))
        what = "neither a session table nor a message of Windows can be recognised" if line else "the text is empty"
        raise ParseError(what, line=number, excerpt=harmless(line.strip(), limit=80))
    trouble, error = said or (None, None)
    if reader.rows and error is None:
        trouble = None
    return Tables(rows=tuple(reader.rows), trouble=trouble, number=error, ignored=len(reader.others))


@dataclass
class _Table:
    """The table being read."""

    kind: Kind
    header: Header | None
    block: int
    indented: bool
    after_blank: bool = False
    doubt: tuple[int, str] | None = None
    """A line that ends the table if no row follows."""


@dataclass
class _Reader:
    """One pass over the lines."""

    lines: Sequence[str]
    check: Callable[[], None]
    rows: list[Row] = field(default_factory=list)
    certain_header: bool = False
    blocks: int = 0
    others: list[str] = field(default_factory=list)
    above: list[tuple[int, str]] = field(default_factory=list)
    """The lines directly above, back to a blank line, a table or a prompt, that look like columns."""
    table: _Table | None = None

    def read(self) -> None:
        """Sort every line into rows and others, or raise."""
        for index, raw in enumerate(self.lines):
            self.check()
            line = _plain(raw)
            if not line.strip():
                self.above.clear()
                if self.table:
                    self.table.after_blank = True
            elif header := read_header(line):
                self._begin(header, index)
            elif not self._row(line, raw, index + 1):
                self.others.append(line)
                if self.table:
                    self.table = self._after(self.table, line, index + 1)
                elif "  " in line.strip() and not _passes(line):
                    self.above.append((index + 1, line))

    def _begin(self, header: Header, index: int) -> None:
        kind = header.kind or self._kind_below(header, index + 1)
        self.certain_header = self.certain_header or header.certain
        self.blocks += 1
        self.table = _Table(kind, header, self.blocks, header.indented)

    def _kind_below(self, header: Header, start: int) -> Kind:
        """The kind of a table whose header is in no list, by its rows: only those of ``query user`` end in a date."""
        for raw in self.lines[start:]:
            self.check()
            line = _plain(raw)
            if read_header(line):
                break
            if read_row(line, "quser", header):
                return "quser"
        return "qwinsta"

    def _row(self, line: str, raw: str, number: int) -> bool:
        """Take the line as a row of the table being read, or of one without a header."""
        if self.table is None:
            return self._first_row_without_header(line, raw, number)
        fields = read_row(line, self.table.kind, self.table.header)
        if fields is None:
            return False
        if self.table.doubt:
            raise _unreadable(*self.table.doubt)
        self._add(self.table, fields, raw, number)
        return True

    def _first_row_without_header(self, line: str, raw: str, number: int) -> bool:
        kinds: tuple[Kind, ...] = ("quser", "qwinsta")
        for kind in kinds:
            if fields := read_row(line, kind, None):
                if self.above:
                    raise _unreadable(*self.above[0])
                self.blocks += 1
                self.table = _Table(kind, None, self.blocks, indented=False)
                self._add(self.table, fields, raw, number)
                return True
        return False

    def _add(self, table: _Table, fields: Fields, raw: str, number: int) -> None:
        table.after_blank = False
        table.indented = table.indented or raw.startswith((" ", ">"))
        self.rows.append(
            Row(
                username=fields.user,
                sessionname=fields.session,
                id=fields.id,
                state_raw=fields.state_raw,
                state=fields.state,
                idle_raw=fields.idle,
                logon_raw=fields.logon,
                current=fields.current,
                table=table.kind,
                block=table.block,
                line=number,
                text=raw.rstrip("\r"),
            )
        )

    @staticmethod
    def _after(table: _Table, line: str, number: int) -> _Table | None:
        """The table after a line that is neither header nor row, or ``None`` where the line ends it."""
        if _ends_table(line):
            return None
        if not _passes(line):
            # Rows are indented or have wide gaps; sentences after a table do neither.
            tabular = line.startswith((" ", ">")) or "  " in line.strip() or len(line) > LINE_LIMIT
            if tabular or not (table.indented or table.after_blank):
                raise _unreadable(number, line)
            table.doubt = table.doubt or (number, line)
        return table


def _ends_table(line: str) -> bool:
    """A prompt: what follows is the output of another command."""
    text = line.strip()
    short = len(text) <= LINE_LIMIT and "  " not in text
    return short and bool(_PROMPT.match(text) or _COMMAND.search(text))


def _passes(line: str) -> bool:
    """A line that is certainly no row: a rule, a counter, a message with its error number, a line of a log."""
    text = line.strip()
    if len(text) > LINE_LIMIT:
        return False
    if _RULE.fullmatch(text) or _COUNTER.fullmatch(text) or read_trouble([text]):
        return True
    return "  " not in text and bool(_LOG_LINE.fullmatch(text))


def _plain(raw: str) -> str:
    """The line with tabs as blanks, and runs of no-break spaces (text copied from a web page) too."""
    line = raw.rstrip("\r\n")
    if "\t" in line:
        line = line.expandtabs(8)
    return _BLANKS.sub(lambda run: " " * len(run[0]), line) if "\u00a0" in line else line


def _unreadable(number: int, line: str) -> ParseError:
    return ParseError(
        f"line {number} of the session table is neither a row nor an ending",
        line=number,
        excerpt=harmless(line.strip(), limit=80),
        hint="Nothing was assumed about the sessions. If Windows printed it so, report the text.",
    )
