"""Text of hosts and users, made safe to show: on a terminal, in a message, on one line of a log."""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that control, reorder or hide text: ESC and other controls, bidi marks, surrogates, line ends."""


def harmless(text: str, *, limit: int | None = None) -> str:
    r"""Show every character that controls a terminal or reorders text as an escape such as ``\x1b`` or ``\u202e``.

    Line ends and tabs are escaped too, so the result is one line. ``limit`` caps its length in characters; a text that
    was cut ends in ``...``. Not an escaping for HTML, and not reversible (a backslash stays a backslash).
    """
    if limit is not None and len(text) > limit:
        text = text[: limit + 1]
    if not (text.isascii() and text.isprintable()):
        text = "".join(_escape(character) for character in text)
    if limit is not None and len(text) > limit:
        text = text[: max(0, limit - 3)] + "..."
    return text


def _escape(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
