"""A stream as lines of text: bold and coloured on a terminal, plain elsewhere.

Three styles and a width are all that lines and tables need; the library that draws lines which change
(:meth:`mpsbridge.cli.terminal.Terminal.live`) takes 30 ms to load, so it is loaded where there are some.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal

from mpsbridge.cli.output import Stream

Style = Literal["", "bold", "red", "yellow"]
_CODES: Mapping[str, str] = {"bold": "1", "red": "31", "yellow": "33"}
UNLIMITED = 10_000
"""Columns where output is not a terminal: a table in a file or a pipe is never cut."""
_USUAL = 80


class StyledOutput:
    """One stream. Without ``color`` nothing is coloured; bold stays."""

    def __init__(self, stream: Stream, *, color: bool) -> None:
        self.stream = stream
        self.is_terminal = stream.isatty()
        self.is_dumb = self.is_terminal and os.environ.get("TERM", "").lower() in {"dumb", "unknown"}
        self._has_styles = self.is_terminal and not self.is_dumb and _understands_styles()
        self._color = color

    @property
    def width(self) -> int:
        """Columns of the terminal now; ``COLUMNS`` outweighs what it says."""
        return _columns(self.stream) if self.is_terminal else UNLIMITED

    def styled(self, text: str, style: Style) -> str:
        """The text as it is sent to show in this style."""
        if not (text and style and self._has_styles) or (style != "bold" and not self._color):
            return text
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m"

    def write_line(self, text: str, style: Style = "", *, prefix: str = "", end: str = "\n") -> None:
        """Send one line; ``prefix`` stands before it without a style."""
        self.stream.write(f"{prefix}{self.styled(text, style)}{end}")
        self.stream.flush()


def _understands_styles() -> bool:
    return os.name != "nt" or bool({"WT_SESSION", "ANSICON", "TERM"} & set(os.environ))


def _columns(stream: Stream) -> int:
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    for number in (stream.fileno, lambda: 0, lambda: 1, lambda: 2):
        with suppress(OSError, ValueError):
            return os.get_terminal_size(number()).columns or _USUAL
    return _USUAL
