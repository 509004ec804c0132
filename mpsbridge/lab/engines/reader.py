"""Reads the one call of a script: a function name and literal arguments, and nothing else.

This is no PowerShell parser. It reads what a rendered script may hold as its last statement: ``-Name value`` pairs
whose values are literals (strings in single quotes, whole numbers, ``$true``, ``$false``, ``$null``, ``@(...)`` and
``@{...}``). Whatever would need PowerShell to have a meaning is refused, so a value that became code cannot pass here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

QUOTES = "'\u2018\u2019\u201a\u201b"
"""PowerShell takes any of these for an apostrophe; in a string each is doubled."""

Literal = str | int | bool | None | list["Literal"] | dict[str, "Literal"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)+")
_PARAMETER = re.compile(r"-([A-Za-z][A-Za-z0-9]*)(?::(?=\$))?")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"(?<!\d)\d++(?![\w.])|\(-\d+\)")
"""A bare ``-1`` would be a text to PowerShell where an argument stands; negative numbers come in parentheses."""
_FUNCTION = re.compile(
    r"^[ \t]*function[ \t]+(?:global:|script:)?([A-Za-z][A-Za-z0-9-]*)", re.MULTILINE | re.IGNORECASE
)
_CONSTANTS: dict[str, bool | None] = {"$true": True, "$false": False, "$null": None}


class NotACall(ValueError):
    """The text is not one call with literal arguments; the message says where it stops being one."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the function and its arguments by parameter name. A parameter without a value is a switch: ``True``."""

    function: str
    arguments: dict[str, Literal]


def functions_in(script: str) -> set[str]:
    """The names of the functions that a script defines, in lower case (PowerShell's names have no case)."""
    return {name.lower() for name in _FUNCTION.findall(script)}


def last_call(script: str) -> Call:
    """The call in the last statement of a script: it begins at the last line that begins with a call's name.

    Raises ``NotACall``.
    """
    lines = script.rstrip().split("\n")
    failure: NotACall | None = None
    for start in range(len(lines) - 1, -1, -1):
        if not _NAME.match(lines[start]):
            continue
        try:
            return read_call("\n".join(lines[start:]))
        except NotACall as error:
            # A string may hold line breaks, so the call may begin further up. A line inside a string is never taken
            # for the call: what follows it there holds an odd number of quotes, and a call holds an even one.
            failure = failure or error
    raise failure or NotACall("no line begins with the name of a function")


def read_call(text: str) -> Call:
    """One call, from the first character to the last. Raises ``NotACall``."""
    reader = _Reader(text.strip())
    call = reader.call()
    reader.end()
    return call


def read_literal(text: str) -> Literal:
    """One literal, from the first character to the last. Raises ``NotACall``."""
    reader = _Reader(text)
    value = reader.literal()
    reader.end()
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def call(self) -> Call:
        name = self._take(_NAME, "the name of a function")
        arguments: dict[str, Literal] = {}
        while self._blanks() and self.place < len(self.text):
            parameter = self._take(_PARAMETER, "a parameter such as -Name").lstrip("-").rstrip(":")
            if parameter.lower() in {each.lower() for each in arguments}:
                raise self._error(f"-{parameter} is there twice")
            colon = self.text[self.place - 1] == ":"
            spaced = colon or self._blanks()
            following = self.text[self.place : self.place + 1]
            if not following or _PARAMETER.match(self.text, self.place):
                arguments[parameter] = True
                self.place -= 1 if spaced and following and not colon else 0
            elif spaced:
                arguments[parameter] = self.literal()
            else:
                raise self._error("a blank is missing")
        return Call(name, arguments)

    def literal(self) -> Literal:
        here = self.text[self.place : self.place + 1]
        if here and here in QUOTES:
            return self._string()
        if here == "$":
            return self._constant()
        if self.text.startswith("@(", self.place):
            return self._array()
        if self.text.startswith("@{", self.place):
            return self._hashtable()
        return int(self._take(_NUMBER, "a literal").strip("()"))

    def end(self) -> None:
        if self.place < len(self.text):
            raise self._error("the text should end here")

    def _string(self) -> str:
        """A single-quoted string: any of the quote characters ends it, unless two of them stand together."""
        self.place += 1
        parts: list[str] = []
        while self.place < len(self.text):
            here = self.text[self.place]
            self.place += 1
            if here not in QUOTES:
                parts.append(here)
            elif self.place < len(self.text) and self.text[self.place] in QUOTES:
                parts.append(self.text[self.place])  # of two quotes PowerShell keeps the second
                self.place += 1
            else:
                return "".join(parts)
        raise self._error("a string does not end")

    def _constant(self) -> bool | None:
        for word, value in _CONSTANTS.items():
            end = self.place + len(word)
            if self.text[self.place : end].lower() == word and not re.match(r"[\w:.\[(]", self.text[end : end + 1]):
                self.place = end
                return value
        raise self._error("only $true, $false and $null are literals")

    def _array(self) -> list[Literal]:
        self.place += 2
        values: list[Literal] = []
        self._blanks()
        while not self._follows(")"):
            if values:
                self._need(",")
            values.append(self.literal())
            self._blanks()
        return values

    def _hashtable(self) -> dict[str, Literal]:
        self.place += 2
        values: dict[str, Literal] = {}
        self._blanks()
        while not self._follows("}"):
            if values:
                self._need(";")
            here = self.text[self.place : self.place + 1]
            key = self._string() if here and here in QUOTES else self._take(_KEY, "a key")
            if key in values:
                raise self._error(f"the key {key!r} is there twice")
            self._blanks()
            self._need("=")
            values[key] = self.literal()
            self._blanks()
        return values

    def _take(self, pattern: re.Pattern[str], what: str) -> str:
        found = pattern.match(self.text, self.place)
        if found is None:
            raise self._error(f"{what} was expected")
        self.place = found.end()
        return found[0]

    def _follows(self, mark: str) -> bool:
        if self.text.startswith(mark, self.place):
            self.place += len(mark)
            return True
        return False

    def _need(self, mark: str) -> None:
        if not self._follows(mark):
            raise self._error(f"{mark!r} was expected")
        self._blanks()

    def _blanks(self) -> bool:
        start = self.place
        while self.text[self.place : self.place + 1] in {" ", "\t"}:
            self.place += 1
        return self.place > start

    def _error(self, what: str) -> NotACall:
        return NotACall(f"at character {self.place + 1}: {what}")
