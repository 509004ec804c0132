"""One Python value -> one PowerShell literal, or a refusal: the only door between a value and a script.

Rules of this file: a literal is always a constant, never a variable, a sub-expression or an expandable string; what is
not listed in :func:`literal` is refused, never ``str()``-ed; and whatever comes out reads back as the very value that
went in, on Windows PowerShell 3.0, 5.1 and 7.
"""

from __future__ import annotations

import re
from enum import StrEnum

from mpsbridge.errors import RenderError

_QUOTES = re.compile("['‘’‚‛]")
"""PowerShell ends a single-quoted string at any of the five, and reads any of them doubled as one
(``CodeGeneration.EscapeSingleQuotedStringContent`` doubles the same five)."""

_NOT_XML = "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
"""What XML 1.0 has no way to write (section 2.2, *Char*). Scripts travel as XML; PSRP has an escape of its own for
these, but no text that this package sends needs it, and NUL ends a script for PowerShell's tokenizer. Most calls do not
need the pattern, which takes 4 ms to compile."""

_STOP_PARSING = "--%"
"""As an argument, quoted too, it turns the rest of the line into text (seen on PowerShell 7.6's own parser)."""

_KEY = re.compile("[A-Za-z][A-Za-z0-9_]*")

INT_RANGE = range(-(2**63), 2**63)
"""What PowerShell reads as ``Int32`` or ``Int64``; anything wider would become an inexact ``Double``."""


def literal(value: object) -> str:
    """Write one value as one PowerShell literal that can stand as an argument.

    ``str``, ``StrEnum``, ``int`` of 64 bits, ``bool``, ``None``, and ``list``, ``tuple`` and ``dict`` of these, but no
    list in a list. Times are refused: they travel as CIM text. Raises :class:`~mpsbridge.errors.RenderError`, which
    names the type or the character but never shows the value.
    """
    match value:
        case None:
            return "$null"
        case bool():
            return "$true" if value else "$false"
        case StrEnum():
            return _text(value.value)
        case _ if type(value) is int:
            return _number(value)
        case _ if type(value) is str:
            return _text(value)
        case list() | tuple():
            return _array(value)
        case dict():
            return _table(value)
    raise RenderError(f"a value of type {type(value).__name__} has no PowerShell literal here")


def _text(text: str) -> str:
    is_plain = text.isascii() and text.isprintable()
    if not is_plain and (odd := re.search(_NOT_XML, text)):
        raise RenderError(f"the text holds U+{ord(odd[0]):04X}, which no script can carry")
    if text == _STOP_PARSING:
        raise RenderError(f"the text is {_STOP_PARSING}, which works in quotes too, so no call can carry it")
    return "'" + _QUOTES.sub(lambda quote: quote[0] * 2, text) + "'"


def _number(number: int) -> str:
    if number not in INT_RANGE:
        raise RenderError("the number does not fit in 64 bits")
    return str(number) if number >= 0 else f"({number})"  # a bare -1 as an argument would be text


def _array(values: list[object] | tuple[object, ...]) -> str:
    """``@(...)``, flat: PowerShell unrolls an array inside an array, so what has more shape travels as JSON text."""
    if any(isinstance(value, list | tuple) for value in values):
        raise RenderError("a list inside a list has no PowerShell literal here")
    return "@(" + ",".join(literal(value) for value in values) + ")"


def _table(table: dict[object, object]) -> str:
    """``@{...}``. Keys are plain identifiers, because a hashtable ignores case by rules that differ by version."""
    keys = [key for key in table if type(key) is str and _KEY.fullmatch(key)]
    if len(keys) != len(table):
        raise RenderError("a key of a table must be made of ASCII letters, digits and underscores")
    if len({key.lower() for key in keys}) != len(keys):
        raise RenderError("two keys of a table differ only in case")
    return "@{" + ";".join(f"{key}={literal(table[key])}" for key in keys) + "}"
