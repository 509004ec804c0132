"""An HTTP/1.1 answer (RFC 9112), as far as a POST gets one: status, headers, and a body whose end is certain.

Rules: nothing is read past the answer, and bytes that stand behind it end the connection; every part has a limit, so a
host cannot fill our memory; a body ends where its length or its last chunk says, and where there is neither, with the
connection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pypsrp.exceptions import WinRMError, WinRMTransportError

from mpsbridge.models.bounds import BODY_LIMIT, HEAD_LIMIT, HEADERS_LIMIT, INTERIM_LIMIT

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [^\r\n]*)?")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")
_LENGTH = re.compile(r"[0-9]{1,12}")

Receive = Callable[[], bytes]
"""The bytes that are there, or the first that come; none at the end."""


class BadAnswer(WinRMError):
    """The answer has not the form that it must have."""


class Oversized(BadAnswer):
    """The host sends more than anybody needs."""


class ForeignAnswer(WinRMTransportError):
    """An answer with an error status from something that is not WinRM: its type is not SOAP's."""

    def __init__(self, status: int) -> None:
        super().__init__("http", status, "")


class TlsRequired(ForeignAnswer):
    """The port speaks TLS, and says so to a request in clear."""


class Answer(NamedTuple):
    """One HTTP answer. ``headers`` are by name in small letters; ``last`` when the connection is good for no more."""

    status: int
    headers: dict[str, list[str]]
    body: bytes
    last: bool

    def header(self, name: str) -> str:
        """The one value of a header; empty where it is not there."""
        return ", ".join(self.headers.get(name, ()))


_WANTS_TLS = re.compile(rb"requires TLS|HTTPS port|HTTPS server")
"""As Windows' http.sys, nginx and Go's server say it."""


def refused(answer: Answer, fault: str = "") -> WinRMTransportError:
    """What an answer with another status than 200 is, by who gave it; ``fault`` is its SOAP text."""
    if answer.header("content-type").lower().startswith(("application/soap+xml", "multipart/encrypted")):
        return WinRMTransportError("http", answer.status, fault)
    if answer.status == 400 and _WANTS_TLS.search(answer.body[:4096]):
        return TlsRequired(answer.status)
    return ForeignAnswer(answer.status)


def read_answer(receive: Receive) -> Answer:
    """Read one answer. Raises ``BadAnswer``, and ``ConnectionResetError`` where nothing comes."""
    bytes_ = _Bytes(receive)
    for _ in range(INTERIM_LIMIT + 1):
        version, status, headers = _head(bytes_)
        if not 100 <= status < 200:
            break
    else:
        raise Oversized(f"the host sends more than {INTERIM_LIMIT} answers that are none")
    options = {word.strip().lower() for value in headers.get("connection", ()) for word in value.split(",")}
    last = "close" in options or (version == 0 and "keep-alive" not in options)
    coding, lengths = headers.get("transfer-encoding", []), set(headers.get("content-length", ()))
    if status in {204, 304}:
        body = b""
    elif coding:
        if [value.lower() for value in coding] != ["chunked"]:
            raise BadAnswer(f"the answer is coded as {', '.join(coding)}")
        body = b"".join(_chunks(bytes_))
    elif lengths:
        length = lengths.pop()
        if lengths or not _LENGTH.fullmatch(length):
            raise BadAnswer("the length of the answer cannot be read")
        body = bytes_.exactly(int(length))
    else:
        body, last = bytes_.rest(), True
    if headers.get("content-encoding", ["identity"]) != ["identity"]:
        if status == 200:
            raise BadAnswer("the answer is compressed, which was not asked for")
        body = b""
    return Answer(status, headers, body, last or bytes_.held)


def _head(bytes_: _Bytes) -> tuple[int, int, dict[str, list[str]]]:
    """Minor version, status and headers."""
    first, *lines = bytes_.head().split(b"\n")
    found = _STATUS.fullmatch(first.rstrip(b"\r"))
    if found is None:
        raise BadAnswer("no HTTP answer")
    if len(lines) > HEADERS_LIMIT:
        raise Oversized(f"the answer has more than {HEADERS_LIMIT} headers")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.rstrip(b"\r").decode("latin-1").partition(":")
        if not colon or not _NAME.fullmatch(name):
            raise BadAnswer("a header of the HTTP answer cannot be read")
        headers.setdefault(name.lower(), []).append(value.strip(" \t"))
    return int(found[1]), int(found[2]), headers


def _chunks(bytes_: _Bytes) -> Iterator[bytes]:
    """The pieces of a body that comes in chunks; what stands behind the last one is passed over."""
    total = 0
    while True:
        line = bytes_.line()
        if (found := _CHUNK.fullmatch(line)) is None:
            raise BadAnswer("a chunk of the HTTP answer cannot be read")
        size = int(found[1], 16)
        if size == 0:
            break
        total += len(line) + size  # its line, too: it may be long, and the chunk short
        _bound(total)
        yield bytes_.exactly(size)
        if bytes_.line():
            raise BadAnswer("a chunk of the HTTP answer does not end where it should")
    trailer = 0
    while line := bytes_.line():
        if (trailer := trailer + len(line)) > HEAD_LIMIT:
            raise BadAnswer("the HTTP answer does not end")


def _bound(size: int) -> None:
    if size > BODY_LIMIT:
        raise Oversized(f"the answer is longer than {BODY_LIMIT} bytes")


class _Bytes:
    """What has come and was not read yet."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._come = bytearray()
        self._begun = False

    @property
    def held(self) -> bool:
        """Whether bytes are left."""
        return bool(self._come)

    def head(self) -> bytes:
        """Up to an empty line, which is left out."""
        while (found := _END_OF_HEAD.search(self._come)) is None and len(self._come) <= HEAD_LIMIT:
            self._more()
        if found is None or found.start() > HEAD_LIMIT:
            raise BadAnswer("the head of the HTTP answer does not end")
        return self._take(found.end())[: found.start()]

    def line(self) -> bytes:
        """One line, without its end."""
        while (end := self._come.find(b"\n")) < 0 and len(self._come) <= HEAD_LIMIT:
            self._more()
        if not 0 <= end <= HEAD_LIMIT:
            raise BadAnswer("a line of the HTTP answer does not end")
        return self._take(end + 1).rstrip(b"\r\n")

    def exactly(self, count: int) -> bytes:
        """So many bytes."""
        _bound(count)
        while len(self._come) < count:
            self._more()
        return self._take(count)

    def rest(self) -> bytes:
        """All until the host closes the connection."""
        while data := self._receive():
            self._come += data
            _bound(len(self._come))
        return self._take(len(self._come))

    def _more(self) -> None:
        if not (data := self._receive()):
            if not self._begun:
                raise ConnectionResetError("the host closed the connection without an answer")
            raise BadAnswer("the answer is cut off")
        self._come += data
        self._begun = True

    def _take(self, count: int) -> bytes:
        taken = bytes(self._come[:count])
        del self._come[:count]
        return taken


_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
