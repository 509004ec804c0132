"""The text of ``query user`` and ``query session``, in any language and layout, as rows.

:func:`parse` reads what a person saved, whatever a log, a mail or JSON put around it. :func:`parse_output` reads what a
program of a host just printed, which is a bare table: there nothing is taken off, so that nothing a host prints before
or behind its lines can make one row look like another.

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
from mpsbridge.parsing.carriers import APART, Line, uncarried
from mpsbridge.parsing.messages import Trouble, read_trouble
from mpsbridge.parsing.rows import Fields, Header, read_header, read_row
from mpsbridge.parsing.screen import plain_lines
from mpsbridge.parsing.strings import out_of_strings
from mpsbridge.parsing.vocabulary import Kind, header_starts

_COMMAND = re.compile(r"(?<!\w)(?:quser|qwinsta|query (?:user|session))(?!\w)", re.IGNORECASE)
_PROMPT = re.compile(r"(?:[^ ]+ )?(?:PS )?[A-Za-z]:\\[^>]*>|PS [^>]*>|[^ @]+@[^ ]+[$#>~]")
_RULE = re.compile(r"[^\w?]+|NULL")
_COUNTER = re.compile(r"[^\d:：]*[:：](?: *\d+)?")
_LOG_LINE = re.compile(r"[^ ]+: .*|\[[^\]]+\].*|\(.*\)")
_HEADING = re.compile(r"[^\d:：]*[:：]|\[[^\]]\] .*|(?:#{1,6}|={2,9}|-{3,9}) [^\d>]*")
_ITEM = re.compile(r"[-*•·+o] ")
_NUMBER = re.compile(r"(?<![^ ])[0-9]{1,10}(?![^ ])")
_CLOCK = re.compile(
    r"\[?(?:[^\W\d_]{2,9}\.?,? )?(?:[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4}[ T]?)?"
    r" ?(?:[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?)?(?: ?[AaPp][Mm])?Z?\]?"
)
"""A time, or a date and a time, alone on a line."""
_BROKEN_OFF = re.compile(r"(?:[AaPp]\.? ?)?[Mm]\.?|[AaPp]|[0-9:]{1,5}(?: [AaPp][Mm])?")
"""The end of a row that a mail or a window broke."""
_STAMP = re.compile(r"(?:[^\w\s]{0,5}+\d[\dTZ:.,/+-]{0,40}+[^\w\s]{0,5}+\s++){1,3}")
_QUOTES = {"`": "`", '"': '"', "'": "'", "“": "”", "«": "»"}


class Tables(Frozen):
    """What a text holds: its rows in order, and where there are none why.

    ``number`` is the Windows error number where one was printed. ``ignored`` counts the lines with text that belong to
    no table (prompts, log lines, messages). ``rows`` is empty only with a ``trouble``.
    """

    rows: tuple[Row, ...] = ()
    trouble: Trouble | None = None
    number: int | None = None
    ignored: int = 0


def parse(text: str) -> Tables:
    """Read saved output of ``query user``, ``query session`` or both, with whatever was put around it and its lines.

    Raises :class:`~mpsbridge.errors.ParseError` on a line in a table that cannot be read, and on a text that holds
    neither a table nor a message of Windows. Lines count from 1 and end at a line feed.
    """
    lines = [Line(number, line) for number, line in plain_lines(text)]
    return _read(list(uncarried(list(out_of_strings(_out_of_quotes(lines))))), lambda: None)


def parse_output(text: str, *, check: Callable[[], None] = lambda: None) -> Tables:
    """Read what a program of a host printed, as it is.

    ``check`` is called before each line and may raise, when the time is up. Raises as :func:`parse` does.
    """
    whole = text.removeprefix("\ufeff").split("\n")
    return _read([Line(number, line) for number, line in enumerate(whole, 1)], check)


def _read(lines: Sequence[Line], check: Callable[[], None]) -> Tables:
    reader = _Reader(lines, check)
    reader.read()
    said = read_trouble(reader.others) or read_trouble(map(_without_stamp, reader.others))
    if not reader.rows and said is None and reader.certain_header:
        said = Trouble.HEADER_ONLY, None
    nobody = said is not None and said[0] is Trouble.NOBODY_OR_NOT_PERMITTED
    unread = nobody and (reader.certain_header or any(any(header_starts(line)) for line in reader.others))
    if not reader.rows and (said is None or unread):
        number, line = next(((each.number, each.text) for each in lines if each.text.strip()), (1, ""))
        what = "neither a session table nor a message of Windows can be recognised" if line else "the text is empty"
        if unread:
            what = "a message says that nobody is on, beside a session table that cannot be read"
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
    carrier: int
    indented: bool
    after_blank: bool = False
    spaced: bool = True
    """Whether a blank line stood before each row so far."""
    headed: bool = False
    """Whether a heading stands below the rows."""
    doubt: tuple[int, str] | None = None
    """A line that ends the table if no row follows."""


@dataclass
class _Reader:
    """One pass over the lines."""

    lines: Sequence[Line]
    check: Callable[[], None]
    rows: list[Row] = field(default_factory=list)
    certain_header: bool = False
    blocks: int = 0
    others: list[str] = field(default_factory=list)
    above: list[tuple[int, str]] = field(default_factory=list)
    """The lines directly above, back to a blank line, a table or a prompt, that look like columns."""
    misread: tuple[int, str] | None = None
    """A line that holds a known header and cannot be read as one: rows below it are not without a header."""
    table: _Table | None = None

    def read(self) -> None:
        """Sort every line into rows and others, or raise."""
        for index, raw in enumerate(self.lines):
            self.check()
            line = raw._replace(text=_plain(raw.text))
            if not line.text.strip():
                self.above.clear()
                if self.table:
                    self.table.after_blank = True
            elif line.carrier == APART:
                self.others.append(line.text)
                self.above.clear()
                self.table = None
            elif header := read_header(line.text):
                self._begin(header, index)
            elif not self._row(line, raw.text):
                self.others.append(line.text)
                if self.table:
                    self.table = self._after(self.table, line.text, line.number)
                elif "  " in line.text.strip() and not _passes(line.text):
                    self.above.append((line.number, line.text))
                    self.misread = self.misread or (self.above[-1] if any(header_starts(line.text)) else None)

    def _begin(self, header: Header, index: int) -> None:
        carrier = self.lines[index].carrier
        kind = header.kind or self._kind_below(header, index + 1, carrier)
        self.certain_header = self.certain_header or header.certain
        self.blocks += 1
        self.misread = None
        self.table = _Table(kind, header, self.blocks, carrier, indented=header.first > 0)

    def _kind_below(self, header: Header, start: int, carrier: int) -> Kind:
        """The kind of a table whose header is in no list, by its rows: only those of ``query user`` end in a date."""
        for number in range(start, len(self.lines)):
            self.check()
            line = _plain(self.lines[number].text)
            if self.lines[number].carrier != carrier or read_header(line):
                break
            if read_row(line, "quser", header):
                return "quser"
        return "qwinsta"

    def _row(self, line: Line, raw: str) -> bool:
        """Take the line as a row of the table being read, or of one without a header."""
        if self.table is None:
            return self._first_row_without_header(line, raw)
        fields = read_row(line.text, self.table.kind, self.table.header) if line.carrier == self.table.carrier else None
        if fields is None:
            return False
        if self.table.doubt:
            raise _unreadable(*self.table.doubt)
        self._add(self.table, fields, raw, line.number)
        return True

    def _first_row_without_header(self, line: Line, raw: str) -> bool:
        kinds: tuple[Kind, ...] = ("quser", "qwinsta")
        for kind in kinds:
            if fields := read_row(line.text, kind, None):
                if self.misread or self.above:
                    raise _unreadable(*(self.misread or self.above[0]))
                self.blocks += 1
                self.table = _Table(kind, None, self.blocks, line.carrier, indented=False)
                self._add(self.table, fields, raw, line.number)
                return True
        return False

    def _add(self, table: _Table, fields: Fields, raw: str, number: int) -> None:
        table.spaced = table.spaced and table.after_blank
        table.after_blank = table.headed = False
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
        text = line.strip()
        broken_off = (table.spaced or not table.after_blank) and _BROKEN_OFF.fullmatch(text)
        table.headed = table.headed or ("  " not in text and bool(_HEADING.fullmatch(text)))
        if _passes(line) and not broken_off:
            return table
        # Rows are indented or have wide gaps; sentences after a table do neither. Without a number it is no whole row,
        # and apart from the rows no damaged one.
        tabular = line.startswith((" ", ">")) or "  " in text or len(line) > LINE_LIMIT
        apart = table.headed or (table.after_blank and not table.spaced)
        no_row = not _NUMBER.search(line) or _ITEM.match(text)
        bound = tabular and not (apart and (no_row or table.doubt))
        if broken_off or bound or not (table.indented or table.after_blank or tabular):
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
    if _RULE.fullmatch(text) or _CLOCK.fullmatch(text) or _COUNTER.fullmatch(text) or read_trouble([text]):
        return True
    return "  " not in text and bool(_LOG_LINE.fullmatch(text))


def _out_of_quotes(lines: Sequence[Line]) -> Sequence[Line]:
    """The lines without a quotation mark before the first and behind the last: a text that is quoted as a whole."""
    filled = [index for index, line in enumerate(lines) if line.text.strip()]
    first, last = (lines[filled[index]].text.strip() for index in (0, -1)) if len(filled) > 1 else ("", "")
    mate = _QUOTES.get(first[:1])
    if mate is None or not last.endswith(mate) or first.rstrip(",;").endswith(mate):
        return lines
    inner = list(lines)
    for index, text in ((filled[0], first[1:]), (filled[-1], lines[filled[-1]].text.rstrip()[:-1])):
        inner[index] = inner[index]._replace(text=text)
    return inner


def _without_stamp(line: str) -> str:
    stamp = _STAMP.match(line)
    return line[stamp.end() :] if stamp else line


def _plain(raw: str) -> str:
    """The line with tabs as blanks."""
    line = raw.rstrip("\r\n")
    return line.expandtabs(8) if "\t" in line else line


def _unreadable(number: int, line: str) -> ParseError:
    return ParseError(
        f"line {number} of the session table is neither a row nor an ending",
        line=number,
        excerpt=harmless(line.strip(), limit=80),
        hint="Nothing was assumed about the sessions. If Windows printed it so, report the text.",
    )
