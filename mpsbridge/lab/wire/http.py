"""HTTP/1.1 as a WinRM service needs it, without I/O: bytes in, requests out, and answers as bytes.

Bodies come with ``Content-Length`` or in chunks; a request in another shape is refused with a status instead of being
guessed at.
How the bytes are cut into pieces makes no difference.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_HEAD = 64 * 1024
MAX_BODY = 64 * 1024 * 1024
_REASONS = {200: "", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 413: "Too Large", 500: "Server Error"}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. Header names are in lower case; ``size`` counts all its bytes."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    size: int

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants the connection for more."""
        return self.headers.get("connection", "").lower() != "close"


class BadRequest(Exception):
    """The bytes are no request that is served here; ``status`` says how to answer before closing."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(slots=True)
class HttpReader:
    """Collects bytes until they are requests."""

    _buffer: bytearray = field(default_factory=bytearray)
    _head: tuple[str, str, dict[str, str], int] | None = None

    def feed(self, data: bytes) -> list[HttpRequest]:
        """The requests that are whole now. Raises ``BadRequest``."""
        self._buffer += data
        requests = []
        while (request := self._next()) is not None:
            requests.append(request)
        return requests

    def _next(self) -> HttpRequest | None:
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > MAX_HEAD:
                    raise BadRequest(400, "the head of the request does not end")
                return None
            self._head = _read_head(bytes(self._buffer[:end]), end + 4)
            del self._buffer[: end + 4]
        method, path, headers, head_size = self._head
        if "transfer-encoding" in headers:
            found = _read_chunks(bytes(self._buffer))
            if found is None:
                return None
            body, length = found
        else:
            length = int(headers.get("content-length", "0"))
            if len(self._buffer) < length:
                return None
            body = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._head = None
        return HttpRequest(method, path, headers, body, head_size + length)


def _read_chunks(data: bytes) -> tuple[bytes, int] | None:
    """The body in chunks at the beginning of these bytes, and how many bytes it takes; ``None`` while some is missing.

    Raises ``BadRequest``.
    """
    body, place = b"", 0
    while (end := data.find(b"\r\n", place)) >= 0:
        digits = data[place:end].partition(b";")[0].strip()
        if not digits or len(digits) > 8 or digits.strip(b"0123456789abcdefABCDEF"):
            raise BadRequest(400, "a chunk has no size")
        size, place = int(digits, 16), end + 2
        if len(body) + size > MAX_BODY:
            raise BadRequest(413, "the body is too large")
        if size == 0:
            return _end_of_chunks(body, data, place)
        if len(data) < place + size + 2:
            return None
        if data[place + size : place + size + 2] != b"\r\n":
            raise BadRequest(400, "a chunk is longer than it says")
        body, place = body + data[place : place + size], place + size + 2
    if len(data) - place > MAX_HEAD:
        raise BadRequest(400, "a chunk has no size")
    return None


def _end_of_chunks(body: bytes, data: bytes, place: int) -> tuple[bytes, int] | None:
    """Behind the last chunk may stand headers, of which nothing is read; an empty line ends it all."""
    if data.startswith(b"\r\n", place):
        return body, place + 2
    end = data.find(b"\r\n\r\n", place)
    if end < 0 and len(data) - place > MAX_HEAD:
        raise BadRequest(400, "what follows the last chunk does not end")
    return None if end < 0 else (body, end + 4)


def _read_head(head: bytes, size: int) -> tuple[str, str, dict[str, str], int]:
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequest(400, "no HTTP/1 request line")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(400, "a header line without a name")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding", "chunked").lower() != "chunked" or (
        "transfer-encoding" in headers and "content-length" in headers
    ):
        raise BadRequest(400, "the body is encoded in another way than in chunks, or has two lengths")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise BadRequest(400, "the Content-Length is not a number")
    if int(length) > MAX_BODY:
        raise BadRequest(413, "the body is too large")
    return parts[0], parts[1], headers, size


def answer(
    status: int, body: bytes = b"", *, content_type: str = "", headers: tuple[tuple[str, str], ...] = ()
) -> bytes:
    """One whole answer."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, '')}", "Server: Microsoft-HTTPAPI/2.0"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name}: {value}" for name, value in headers]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
