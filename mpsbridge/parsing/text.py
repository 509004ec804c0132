"""Bytes of a Windows program to text. Which code page it used is not said anywhere, so the words decide.

Rules: never raise, whatever the bytes and the code page numbers; say which encoding was taken and why.
"""

from __future__ import annotations

import codecs
from typing import NamedTuple

from mpsbridge.models.harmless import harmless
from mpsbridge.parsing.vocabulary import known_words

__all__ = ["Decoded", "decode", "harmless"]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_COMMON = (850, 1252, 437, 852, 1250, 866, 1251, 936, 950, 932, 949, 737, 1253, 857, 1254, 775, 1257)
_HOLES = "mpsbridge-holes"
_NUMBERED = {20127: "ascii", 28591: "latin-1", 65001: "utf-8", 54936: "gb18030", 20866: "koi8-r"}


class Decoded(NamedTuple):
    """Text, the Python name of the encoding that it was read with, and why that one."""

    text: str
    encoding: str
    reason: str


def decode(raw: bytes, *, oem: int | None, ansi: int | None) -> Decoded:
    """Read the bytes of a native Windows program or of a saved file.

    A byte order mark or the zero bytes of UTF-16 decide at once (PowerShell 5.1 saves ``quser > file`` so); else strict
    UTF-8 if there is a non-ASCII byte; else whichever of the host's two code pages yields more known header and state
    words, a tie going to the OEM page, which is what console programs write (W7).
    """
    for mark, encoding in _BOMS:
        if raw.startswith(mark):
            return Decoded(raw[len(mark) :].decode(encoding, "replace"), encoding, "byte order mark")
    if name := _utf16_without_mark(raw):
        return Decoded(raw.decode(name, "replace"), name, "zero bytes of UTF-16")
    if raw.isascii():
        page = next((name for number in (oem, ansi) if number is not None and (name := _codec(number))), "ascii")
        return Decoded(raw.decode("ascii"), page, "plain ASCII")
    try:
        return Decoded(raw.decode("utf-8"), "utf-8", "valid UTF-8 with non-ASCII characters")
    except UnicodeDecodeError:
        return _by_code_page(raw, oem, ansi)


def decode_again(text: str, *, page: int | None, oem: int | None, ansi: int | None) -> Decoded:
    """Read what the host decoded already, by its code page ``page``: where that was the wrong one, this mends it.

    The page makes of the text the bytes that it came from, and :func:`decode` reads those. Where it cannot (it is not
    known, or some bytes were none of its characters), the text stays as it came.
    """
    name = _codec(page) if page is not None else None
    if name is not None and "\ufffd" not in text:
        try:
            return decode(text.encode(name, _HOLES), oem=oem, ansi=ansi)
        except UnicodeEncodeError:
            pass
    return Decoded(text, name or "unknown", "decoded on the host")


def _fill_hole(error: UnicodeError) -> tuple[bytes, int]:
    """Windows reads a byte that stands for nothing in its page as the control character of that number."""
    if isinstance(error, UnicodeEncodeError) and "\x80" <= error.object[error.start] <= "\x9f":
        return bytes([ord(error.object[error.start])]), error.start + 1
    raise error


codecs.register_error(_HOLES, _fill_hole)


def _by_code_page(raw: bytes, oem: int | None, ansi: int | None) -> Decoded:
    numbers = [(kind, number) for kind, number in (("OEM", oem), ("ANSI", ansi)) if number is not None]
    pages = [(f"{kind} code page {number}", name) for kind, number in numbers if (name := _codec(number))]
    unknown = "".join(f"; code page {number} is not known here" for _, number in numbers if _codec(number) is None)
    read = [(page, name, text) for page, name in pages if (text := _strictly(raw, name)) is not None]
    if read:
        words = [known_words(text) for _, _, text in read]
        page, name, text = read[words.index(max(words))]  # the first of equals: OEM
        tie = " as with the other page" if len(words) == 2 and words[0] == words[1] else ""
        return Decoded(text, name, f"{page}, {max(words)} known words{tie}{unknown}")
    for page, name in pages:
        return Decoded(raw.decode(name, "replace"), name, f"{page}, with undecodable bytes replaced{unknown}")
    return _without_code_page(raw, unknown)


def _without_code_page(raw: bytes, unknown: str) -> Decoded:
    """A file of an unknown host: the common page under which most words are known, else each byte as one character."""
    best = Decoded(raw.decode("latin-1"), "latin-1", f"no usable code page, each byte as one character{unknown}")
    most = known_words(best.text)
    for number in _COMMON:
        text = _strictly(raw, f"cp{number}")
        if text is not None and (words := known_words(text)) > most:
            most, best = words, Decoded(text, f"cp{number}", f"code page {number} by {words} known words{unknown}")
    return best


def _strictly(raw: bytes, name: str) -> str | None:
    try:
        return raw.decode(name)
    except UnicodeError:
        return None


def _codec(number: int) -> str | None:
    """The Python codec of a Windows code page, or ``None`` where there is none or it is no superset of ASCII."""
    try:
        codec = codecs.lookup(_NUMBERED.get(number, f"cp{number}"))
    except LookupError:
        return None
    return codec.name if codec.encode("ID .")[0] == b"ID ." else None


def _utf16_without_mark(raw: bytes) -> str | None:
    """UTF-16 without its mark: blanks and digits make at least a third of one half of the bytes zero, never of both."""
    low, high = raw[0::2].count(0), raw[1::2].count(0)
    if len(raw) < 4 or max(low, high) * 3 < len(raw) // 2 or min(low, high) * 10 > max(low, high):
        return None
    return "utf-16-le" if high > low else "utf-16-be"
