r"""The one door for text that leaves: what hosts and people wrote, made safe for a terminal, a log of CI, JSON and CSV.

Rules: no character leaves that controls, reorders or hides; nothing leaves that a CI server would obey, wherever it
stands in a line: GitHub's ``::error`` and ``##[group]``, Azure's ``##vso[...]``, TeamCity's ``##teamcity[...]`` (what
GitLab obeys holds an ESC). People see escapes such as ``\x1b``; JSON gets its own, so that programs read what was
there. What HTML, XML and Markdown need beside it is those forms' work.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that control, reorder or hide text: ESC and other controls, bidi marks, surrogates, line ends."""
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0") | frozenset(
    map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))  # variation selectors
)
"""Characters of other categories that nobody sees (``Default_Ignorable_Code_Point`` of Unicode)."""
_COMMAND = re.compile(
    r"(?<=#)#(?=\[|vso\[|teamcity\[)"
    r"|(?<=:):(?=(?:error|warning|notice|debug|group|endgroup|echo|add-|remove-|set-|save-|stop-|internal-))",
    re.IGNORECASE,
)
"""The second half of what begins a command; GitHub's runner reads ``##[`` anywhere, Azure's agent ``##vso[``."""
_Escape = Callable[[str], str]
_FORMULA = frozenset("=+-@\u2212")


def harmless(text: str, *, limit: int | None = None) -> str:
    r"""Show every character that controls a terminal or reorders text as an escape such as ``\x1b`` or ``\u202e``.

    Line ends and tabs are escaped too, so the result is one line; so is one character of what a CI server would obey.
    ``limit`` caps its length in characters; a text that was cut ends in ``...``. Not an escaping for HTML, and not
    reversible (a backslash stays a backslash).
    """
    if limit is not None and len(text) > limit:
        text = text[: limit + 1]
    if not (text.isascii() and text.isprintable()):
        text = "".join(_visible(character) if _is_hidden(character) else character for character in text)
    text = _without_commands(text, _visible)
    if limit is not None and len(text) > limit:
        text = text[: max(0, limit - 3)] + "..."
    return text


def json_text(value: object, *, indent: int | None = None) -> str:
    r"""A JSON document in which the same characters stand as ``\u`` escapes: a program reads exactly what was there."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if not (text.isascii() and text.isprintable()):
        text = "".join(_json(each) if _is_hidden(each) and each != "\n" else each for each in text)
    return _without_commands(text, _json)  # outside of strings no JSON has such a character


def csv_cell(value: object, *, raw: bool = False) -> object:
    """What stands in a cell of CSV: numbers as they are, ``None`` as nothing, other values as harmless text.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, unless ``raw``.
    """
    if value is None or isinstance(value, int | float):
        return "" if value is None else value
    text = str(value)
    return "'" + harmless(text) if not raw and _is_formula(text) else harmless(text)


def _is_formula(text: str) -> bool:
    """Spreadsheets skip blanks before it, and some take full-width signs for the common ones."""
    first = unicodedata.normalize("NFKC", text.lstrip()[:1])
    return text[:1] in {"\t", "\r", "\n"} or first in _FORMULA


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN or character in _BLANK


def _without_commands(text: str, escape: _Escape) -> str:
    if "##" not in text and "::" not in text:
        return text
    text = _COMMAND.sub(lambda found: escape(found.group()), text)
    if text.lstrip().startswith("::") and text.count("::") > 1:  # GitHub: any word between two, and a line begins here
        text = text.replace("::", ":" + escape(":"), 1)
    return text


def _visible(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _json(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))
