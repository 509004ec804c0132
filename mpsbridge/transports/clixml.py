"""PowerShell's serialised objects (CLIXML, MS-PSRP 2.2.5), as far as scripts that emit text need it; no I/O.

Out go script text and scalars, in the escapes of MS-PSRP 2.2.5.3.2: ``_xHHHH_`` for each UTF-16 unit that XML cannot
hold or would change. In come objects, of which we want the text that the host sent with them.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from pydantic import JsonValue

_ESCAPED = re.compile("_(?=[xX])|[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\U00010000-\U0010ffff]")
_UNIT = re.compile("_x([0-9A-Fa-f]{4})_")
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_INT32 = range(-(2**31), 2**31)
_NO_TEXT = frozenset({"TN", "TNRef", "MS", "Props"})
"""Parts of an object that are not its value."""


def escape(text: str) -> str:
    """Text as the content of an element."""
    text = _ESCAPED.sub(_units, text)
    for character, entity in _MARKUP.items():
        text = text.replace(character, entity)
    return text


def _units(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex().upper()
    return "".join(f"_x{units[place : place + 4]}_" for place in range(0, len(units), 4))


def unescape(text: str) -> str:
    """The text that such content stands for; of a pair of surrogates one character is made."""
    if "_x" not in text:
        return text
    text = _UNIT.sub(lambda found: chr(int(found[1], 16)), text)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def scalar(value: JsonValue, name: str) -> str:
    """A string, truth value, whole number or nothing, as the property ``name`` of an object. Raises ``TypeError``."""
    match value:
        case None:
            return f'<Nil N="{name}" />'
        case bool():
            return f'<B N="{name}">{str(value).lower()}</B>'
        case int():
            kind = "I32" if value in _INT32 else "I64"
            return f'<{kind} N="{name}">{value}</{kind}>'
        case str():
            return f'<S N="{name}">{escape(value)}</S>'
    raise TypeError(f"a {type(value).__name__} is no scalar")


def read(data: bytes) -> ET.Element:
    """The object that a message holds; an empty message is nothing. Raises ``ET.ParseError``."""
    return ET.Element("Nil") if not data else ET.fromstring(data)  # noqa: S314 - from a host that we signed in to, within a bounded body


def text_of(value: ET.Element | None) -> str:
    """An object as text: a primitive itself, another object by the ToString that the host sent with it."""
    if value is None or value.tag == "Nil":
        return ""
    if value.tag == "Obj":
        if (shown := value.find("ToString")) is not None:
            return unescape(shown.text or "")
        return text_of(next((part for part in value if part.tag not in _NO_TEXT and not len(part)), None))
    text = unescape(value.text or "")
    match value.tag:
        case "B":
            return text.capitalize()
        case "C":
            return chr(int(text))
    return text


def member(value: ET.Element, name: str) -> ET.Element | None:
    """One of an object's own properties."""
    return next((part for part in value.iterfind("MS/*") if part.get("N") == name), None)
