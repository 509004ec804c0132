"""HTTP answers: read as Python reads them, however their bytes are cut, and refused where they are none."""

from __future__ import annotations

import http.client
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsbridge.transports import reply
from mpsbridge.transports.reply import Answer, BadAnswer, read_answer

NAMES = st.sampled_from(["Content-Type", "WWW-Authenticate", "Server", "X-A"])
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
CUTS = st.lists(st.integers(1, 30), max_size=40)


def read(data: bytes, cuts: list[int] | None = None) -> Answer:
    def pieces() -> Iterator[bytes]:
        place = 0
        for cut in cuts or ():
            yield data[place : place + cut]
            place += cut
        yield data[place:]

    came = (piece for piece in pieces() if piece)
    return read_answer(lambda: next(came, b""))


def by_python(data: bytes) -> http.client.HTTPResponse:
    class Socket:
        def makefile(self, _: str) -> io.BytesIO:
            return io.BytesIO(data)

    response = http.client.HTTPResponse(Socket(), method="POST")  # type: ignore[arg-type]  # only makefile
    response.begin()
    return response


@given(
    status=st.sampled_from([200, 204, 401, 500, 503]),
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=5),
    body=st.binary(max_size=300),
    form=st.sampled_from(["length", "chunked", "close", "1.0"]),
    interim=st.booleans(),
    line_end=st.sampled_from([b"\r\n", b"\n"]),
    cuts=CUTS,
    sizes=st.lists(st.integers(1, 50), min_size=1),
)
def test_an_answer_is_read_as_python_reads_it(
    status: int,
    headers: list[tuple[str, str]],
    body: bytes,
    form: str,
    line_end: bytes,
    cuts: list[int],
    sizes: list[int],
    *,
    interim: bool,
) -> None:
    body = b"" if status == 204 else body
    lines = [f"HTTP/1.{0 if form == '1.0' else 1} {status} So it is".encode()]
    lines += [f"{name}: {value}".encode() for name, value in headers]
    content = body
    if form == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif form == "chunked" and status != 204:
        lines.append(b"Transfer-Encoding: chunked")
        content, place = b"", 0
        for size in [*sizes, len(body) or 1]:
            if piece := body[place : place + size]:
                content += b"%x;x=y\r\n%b\r\n" % (len(piece), piece)
            place += size
        content += b"0\r\nX-Trailer: 1\r\n\r\n"
    data = line_end.join([*lines, b"", b""]) + content
    if interim:
        data = line_end.join([b"HTTP/1.1 100 Continue", b"", b""]) + data
    ours, theirs = read(data, cuts), by_python(data)
    assert (ours.status, ours.body) == (theirs.status, theirs.read())
    assert ours.headers == {name.lower(): theirs.msg.get_all(name) for name in theirs.msg}
    assert ours.last == theirs.will_close


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 999 No\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        HEAD + b"no header\r\n\r\n",
        HEAD + b"A: b\r\n folded\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        HEAD + b"Content-Length: 5\r\n\r\nabcd",
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 20_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 100_000,
        b"H" * 100_000,
        HEAD + b"A: b\r\n",
    ],
)
def test_what_is_no_whole_answer_is_refused(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        read(data)


def test_nothing_at_all_is_a_closed_connection() -> None:
    with pytest.raises(ConnectionResetError):
        read(b"")


def test_chunks_together_have_the_limit_of_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "BODY_LIMIT", 100)
    with pytest.raises(BadAnswer, match="longer than 100"):
        read(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"3c\r\n%b\r\n" % (b"x" * 60) * 2)


@pytest.mark.parametrize("more", [b"x", HEAD])
def test_a_connection_that_says_more_than_was_asked_is_good_for_no_more(more: bytes) -> None:
    assert read(HEAD + b"Content-Length: 2\r\n\r\nab" + more).last
    assert not read(HEAD + b"Content-Length: 2\r\n\r\nab").last


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    for head in (b"", HEAD, HEAD + b"Transfer-Encoding: chunked\r\n\r\n"):
        try:
            read(head + data)
        except (BadAnswer, ConnectionResetError):
            continue
