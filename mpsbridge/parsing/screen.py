"""What a console, a web page or a log left between the characters of a text, to plain lines.

Rules: a carriage return ends a line like a line feed and never lets text be written over (a row that is written over is
gone); what moves the cursor to a line begins a new one; what cannot be said in lines stays, and makes the line
unreadable. Lines count by line feeds alone, so a number is that of the line in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_CONTROL = re.compile(
    "\x1b\\[(?P<numbers>[0-9;?]{0,16})[ -/]{0,2}(?P<what>[@-~])"
    "|\x1b\\][^\x07\x1b\n]{0,300}(?:\x07|\x1b\\\\)"  # the title of a window
    "|\x1b[ -/]{0,2}[0-Z\\\\^-~]"
)
_NOTHING = frozenset("mJKXhlnctrsuq")
"""Colours, what is wiped behind the cursor, and settings of the terminal."""
_NEW_LINE = frozenset("HfEB")
_HOME = re.compile("\x1b\\[(?:1?(?:;1?)?)?[Hf]")
_ENDS = re.compile("\r++|\x0c++")
_BLANKS = re.compile("[ \u00a0\u2000-\u200a\u202f\u3000]{2,}|^[\u00a0\u2000-\u200a\u202f\u3000]|[\u00a0\u202f]$")
_FARTHEST = 120
"""Columns that the cursor may go to the right: a sequence of six characters must not become a thousand blanks."""
_MARKS = "\ufeff\u200b\u200e\u200f\u2060"
"""Marks without width that copying puts before a line."""


def plain_lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line without what steers a console, and its number. Runs of no-break and other blanks become blanks."""
    empty = True
    for number, whole in enumerate(text.split("\n"), 1):
        # Written over from the top: what is new, and what is only painted again, cannot be told.
        repainted = not empty and "\x1b" in whole and _HOME.search(whole) and "\x1b[2J" not in whole
        shown = _CONTROL.sub(_shown, whole) if "\x1b" in whole and not repainted else whole
        empty = empty and not shown.strip()
        for line in shown.split("\n"):
            for part in _ENDS.split(line.rstrip("\r")):
                yield number, with_blanks(part.lstrip(_MARKS) if part[:1] in _MARKS else part)


def _shown(control: re.Match[str]) -> str:
    """What is to be seen of a control sequence."""
    what, numbers = control["what"], (control["numbers"] or "").lstrip("?").split(";")
    if what is None or what in _NOTHING:
        return ""
    count = int(numbers[-1] or 1) if numbers[-1].isdecimal() or not numbers[-1] else 0
    if what == "C" and count <= _FARTHEST:
        return " " * count
    if what in _NEW_LINE:
        return "\n" + (" " * (count - 1) if what in "Hf" and len(numbers) == 2 and count <= _FARTHEST else "")
    return control[0]


def with_blanks(line: str) -> str:
    """The line with blanks for what is there to look like one; a single no-break space inside stays, as in dates."""
    if line.isascii():
        return line
    if line.count("\u00a0") > line.count(" "):
        return line.replace("\u00a0", " ")
    return _BLANKS.sub(lambda run: run[0].replace("\u3000", "  ").translate(_AS_BLANK), line)


_AS_BLANK = dict.fromkeys([0xA0, 0x202F, *range(0x2000, 0x200B)], " ")
