"""XML from a host, looked at before a parser does: UTF-8, no DTD, and no more of it than an honest host sends.

pypsrp and psrpcore read XML by ElementTree, whose parser takes whatever expat takes: entities that grow from kilobytes
to gigabytes, and every encoding that the text itself names, in which a DTD has other bytes than in ASCII. Both also
write each level of nested objects again, so the depth counts too. Rules: what expat would be told by the text (DTD,
encoding, processing instructions) is refused by bytes; what it would be made to build is counted.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from mpsbridge.models.bounds import ELEMENTS_LIMIT, XML_DEPTH_LIMIT
from mpsbridge.transports.reply import BadAnswer, Oversized

_DECLARATION = re.compile(rb"""<\?xml [^<>?]{0,80}\?>""")
_ENCODING = re.compile(rb"""encoding *= *["']([^"']{0,40})["']""")
_BOM = b"\xef\xbb\xbf"
_SMALL = 64 * 1024
"""Bytes below which no depth costs more than a moment."""


def check_xml(data: bytes) -> int:
    """How many tags the document has. Raises ``BadAnswer``, where it is too large ``Oversized``."""
    data = data.removeprefix(_BOM)
    declared = _DECLARATION.match(data)
    if declared is not None:
        encoding = _ENCODING.search(declared[0])
        if encoding is not None and encoding[1].lower() != b"utf-8":
            raise BadAnswer("the host's XML is not UTF-8")
    if b"\0" in data or not _is_utf8(data):
        raise BadAnswer("the host's XML is not UTF-8")
    if data.count(b"<!") != data.count(b"<![CDATA[") or data.count(b"<?") != (declared is not None):
        raise BadAnswer("the host's XML holds a DTD, a comment or an instruction, which no answer of WinRM has")
    tags = data.count(b"<")
    if tags > ELEMENTS_LIMIT or data.count(b"=") > 2 * ELEMENTS_LIMIT:
        raise Oversized("the host's XML has more elements than are read")
    if len(data) > _SMALL:
        _check_depth(data)
    return tags


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _check_depth(data: bytes) -> None:
    depth = 0

    def begin(_name: str, _attributes: object) -> None:
        nonlocal depth
        depth += 1
        if depth > XML_DEPTH_LIMIT:
            raise Oversized("the host's XML is nested deeper than is read")

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    try:
        parser.Parse(data, True)  # noqa: FBT003 - expat knows no names
    except expat.ExpatError as error:
        raise BadAnswer(f"the host's XML is not well-formed: {error}") from error
