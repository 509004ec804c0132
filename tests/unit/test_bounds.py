"""How much of each thing from a host is read: at its limit it is, one beyond it is refused in words or cut."""

from __future__ import annotations

import base64
import contextlib
import json
import struct
import time
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET
from xml.parsers import expat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_clock import FakeClock

from mpsbridge.errors import Interrupted, ParseError, TimedOut
from mpsbridge.host import Host
from mpsbridge.models import bounds
from mpsbridge.models.answers import ObserveAnswer, OwnerAnswer
from mpsbridge.models.bounds import few, shortened
from mpsbridge.models.scripts import RawOutput, Script
from mpsbridge.models.sessions import Observation
from mpsbridge.models.targets import Target
from mpsbridge.parsing.observation import observe
from mpsbridge.parsing.quser import parse
from mpsbridge.planning.lease import Damaged, read_lease
from mpsbridge.snippets.envelope import Envelope, open_envelope
from mpsbridge.snippets.sessions import SessionActAnswer
from mpsbridge.transports.fragments import Messages, in_one_fragment
from mpsbridge.transports.reply import BadAnswer, read_answer
from mpsbridge.transports.strict_xml import check_xml
from mpsbridge.transports.taken import Taken

HEAD = b"HTTP/1.1 200 OK\r\n"
HEADER = " USERNAME              SESSIONNAME        ID  STATE   IDLE TIME  LOGON TIME\r\n"
ROW = " {:<22}rdp-tcp#1          {:>4}  Active          .  11/25/2026 9:05 AM\r\n"


def opened(**changes: Any) -> Envelope:
    document = {"mpsbridge": 1, "snippet": "logons", "ok": True, "result": {}, "problems": []} | changes
    return open_envelope("logons", RawOutput(output=(json.dumps(document),)))


def nested(depth: int) -> Any:
    return [] if depth == 0 else [nested(depth - 1)]


def http(*parts: bytes) -> None:
    pieces = iter(parts)
    read_answer(lambda: next(pieces, b""))


def padded(text: str, characters: int) -> str:
    return text + " " * (characters - len(text))


def xml_deep(depth: int) -> bytes:
    return b"<a>" * depth + b"x" * 70_000 + b"</a>" * depth


def message(xml: bytes) -> bytes:
    return bytes(40) + xml


def sent(*messages: bytes) -> list[bytes]:
    reading = Messages(Taken())
    return [each for number, sent in enumerate(messages) for each in reading.whole(in_one_fragment(sent, number))]


def observed(text: str, **more: Any) -> Observation:
    program = {"exit": 0, "out": base64.b64encode(text.encode()).decode()}
    answer = {"now": "20261125120000.000000+000", "utc_offset_min": 0, "quser": program, "qwinsta": program}
    return observe(ObserveAnswer.model_validate(answer | {"caller": {"elevated": True}} | more))


def rows(count: int) -> str:
    return HEADER + "".join(ROW.format(f"user{number}", number) for number in range(1, count + 1))


def output_of(size: int) -> None:
    """So many bytes in fragments of messages that do not end."""
    step = 65_536
    sizes = [step] * (size // step) + ([size % step] if size % step else [])
    sizes = [*sizes[:-1], sizes[-1]] if sizes[-1] >= 21 else [*sizes[:-2], sizes[-2] - 21, sizes[-1] + 21]
    fragments = (
        struct.pack(">QQBI", number // 16, number % 16, 0, each - 21) + bytes(each - 21)
        for number, each in enumerate(sizes)
    )
    list(Messages(Taken()).whole(b"".join(fragments)))


def chunks(size: int) -> None:
    """So many bytes, nearly all of them in the lines of the chunks."""
    long = b"1;%s\r\nx\r\n" % (b"e" * 1021)
    rest = b"1\r\nx\r\n" if size % 1024 else b""
    http(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + long * (size // 1024) + rest + b"0\r\n\r\n")


def answers(count: int) -> None:
    taken = Taken()
    for _ in range(count):
        taken.more(1)


def unfinished(count: int) -> None:
    list(Messages(Taken()).whole(b"".join(struct.pack(">QQBI", number, 0, 1, 1) + b"x" for number in range(count))))


def envelope_of(characters: int) -> None:
    text = json.dumps({"mpsbridge": 1, "snippet": "logons", "ok": True, "result": {}})
    open_envelope("logons", RawOutput(output=(padded(text, characters),)))


def values(count: int) -> None:
    """So many brackets and commas, in lists that are not too long."""
    lists = [[0] * 1000 for _ in range(count // 1000 - 1)]
    text = '{{"mpsbridge":1,"snippet":"logons","ok":true,"result":{{"x":{}}}}}'.format(
        json.dumps(lists, separators=(",", ":"))
    )
    missing = count - sum(map(text.count, "{[,"))
    text = text.replace("]]}", "," + ",".join("0" * missing) + "]]}")
    assert sum(map(text.count, "{[,")) == count
    open_envelope("logons", RawOutput(output=(text,)))


def head(size: int) -> bytes:
    """An answer whose status line and headers have so many bytes before the empty line, and one more piece after."""
    rest = b"\r\nContent-Length: 0"
    return HEAD + b"X: " + b"x" * (size - len(HEAD) - 3 - len(rest)) + rest + b"\r\n\r\n"


def line(characters: int) -> None:
    """A row with so many characters, which it has by blanks at its end."""
    assert len(observed(HEADER + padded(ROW.format("alice", 2).rstrip(), characters) + "\r\n").sessions) == 1


def tail(characters: int) -> None:
    """A row with so many characters behind its id, which it has by blanks before the idle time."""
    before, found, after = ROW.rstrip().format("alice", 2).partition("   2  ")
    short = found.lstrip()[1:] + after
    long = short.replace("          .", " " * (characters - len(short) + 10) + ".")
    assert len(observed(HEADER + before + "   2" + long + "\r\n").sessions) == 1


def stream(size: int) -> None:
    blank = " " * 997 + "\r\n"
    text = rows(1) + blank * ((size - 400) // 999)
    observed(padded(text, size))


LIMITS: dict[str, tuple[Callable[[int], object], int]] = {
    "head": (lambda n: http(head(n)), bounds.HEAD_LIMIT),
    "headers": (lambda n: http(HEAD + b"A: b\r\n" * (n - 1) + b"Content-Length: 0\r\n\r\n"), bounds.HEADERS_LIMIT),
    "interim answers": (
        lambda n: http(b"HTTP/1.1 100 Continue\r\n\r\n" * n + HEAD + b"Content-Length: 0\r\n\r\n"),
        bounds.INTERIM_LIMIT,
    ),
    "body": (lambda n: http(HEAD + b"Content-Length: %d\r\n\r\n" % n, b"x" * n), bounds.BODY_LIMIT),
    "body to the end": (lambda n: http(HEAD + b"\r\n", b"x" * n), bounds.BODY_LIMIT),
    "chunks with their lines": (chunks, bounds.BODY_LIMIT),
    "answers": (answers, bounds.ANSWERS_LIMIT),
    "elements": (lambda n: check_xml(b"<a>" + b"<a/>" * (n - 2) + b"</a>"), bounds.ELEMENTS_LIMIT),
    "depth of XML": (lambda n: check_xml(xml_deep(n)), bounds.XML_DEPTH_LIMIT),
    "message": (lambda n: sent(message(b"<S>" + b"x" * (n - 47) + b"</S>")), bounds.MESSAGE_LIMIT),
    "escaped characters": (lambda n: sent(message(b"<S>" + b"_x0001_" * (n - 2) + b"</S>")), bounds.ELEMENTS_LIMIT),
    "messages": (lambda n: sent(*[message(b"<S/>")] * n), bounds.MESSAGES_LIMIT),
    "output": (output_of, bounds.SCRIPT_LIMIT),
    "unfinished messages": (unfinished, bounds.UNFINISHED_LIMIT),
    "envelope": (envelope_of, bounds.ENVELOPE_LIMIT),
    "values": (values, bounds.PARTS_LIMIT),
    "depth of an envelope": (lambda n: opened(result={"x": nested(n - 2)}), bounds.DEPTH_LIMIT),
    "digits": (lambda n: opened(result={"x": int("1" * n)}), bounds.DIGITS_LIMIT),
    "text": (lambda n: opened(result={"x": "x" * n}), bounds.TEXT_LIMIT),
    "list": (lambda n: opened(result={"x": [0] * n}), bounds.ENTRIES_LIMIT),
    "name": (
        lambda n: opened(result={"id": 2, "account": "x" * n}).answer(OwnerAnswer),
        bounds.NAME_LIMIT,
    ),
    "line of a table": (line, bounds.LINE_LIMIT),
    "tail of a row": (tail, bounds.TAIL_LIMIT),
    "stream": (stream, bounds.TABLE_LIMIT),
    "lines": (lambda n: observed(rows(n - 1)), bounds.LINES_LIMIT),
}


@pytest.mark.parametrize("what", LIMITS)
def test_at_the_limit_it_is_read_and_beyond_it_is_refused(what: str) -> None:
    read, limit = LIMITS[what]
    read(limit)
    with pytest.raises((BadAnswer, ParseError)) as caught:
        read(limit + 1)
    assert str(caught.value)
    assert len(str(caught.value)) < 200


def test_what_is_only_shown_is_cut() -> None:
    limit = bounds.WORDS_LIMIT
    for length, shown in ((limit, "x" * limit), (limit + 1, "x" * (limit - 3) + "...")):
        assert SessionActAnswer.model_validate({"id": 1, "result": "ended", "text": "x" * length}).text == shown
    assert shortened("abcd", 4) == "abcd"
    assert shortened("abcde", 4) == "a..."


def test_problems_are_few_and_short() -> None:
    most = bounds.PROBLEMS_LIMIT
    assert few(["a"] * most) == ("a",) * most
    assert few(["a"] * (most + 2)) == (*("a",) * most, "and 2 more problems of this host")
    told = opened(problems=["x" * (bounds.PROBLEM_LIMIT + 1)] * 5000).problems
    assert (len(told), len(told[0])) == (most + 1, bounds.PROBLEM_LIMIT)
    lines = observed(rows(300), quser={"exit": 0, "text": rows(300), "page": 850}).problems
    assert len(lines) <= most + 1


def test_a_lease_beyond_the_limit_is_held_and_damaged() -> None:
    since = "20261125120000.000000+000"
    good = json.dumps({"schema": "mpsbridge-lease/1", "run": None, "owner": "x", "since": since, "expires": None})
    for length, kept in ((bounds.LEASE_FILE_LIMIT, bounds.LEASE_FILE_LIMIT), (bounds.LEASE_FILE_LIMIT + 1, 303)):
        lease = opened(result={"lease": padded(good, length)}).result["lease"]
        assert isinstance(lease, str)
        assert len(lease) == kept
        assert isinstance(read_lease(lease), Damaged) is (length > bounds.LEASE_FILE_LIMIT)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999", "-1e400"])
def test_what_is_not_a_number_is_refused(word: str) -> None:
    text = f'{{"mpsbridge":1,"snippet":"logons","ok":true,"result":{{"logons":{word}}}}}'
    with pytest.raises(ParseError, match="not a number"):
        open_envelope("logons", RawOutput(output=(text,)))


def test_lone_surrogates_are_replaced_when_an_answer_is_read() -> None:
    text = json.dumps({"a\ud800": "DOM\\e\ud800ve", "b": "\ud83d\ude00", "c": ["\udfff"]})
    envelope = opened(result=json.loads(text), problems=["\udc00 is none"])
    assert envelope.result == {"a\ufffd": "DOM\\e\ufffdve", "b": "\U0001f600", "c": ["\ufffd"]}
    assert envelope.problems == ("\ufffd is none",)
    envelope.model_dump_json().encode("utf-8")


LAUGHS = '<!DOCTYPE S [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><S>&b;</S>'


@pytest.mark.parametrize(
    "data",
    [
        LAUGHS.encode(),
        b"\xef\xbb\xbf" + LAUGHS.encode(),
        b"<?xml version='1.0' encoding='utf-8'?>" + LAUGHS.encode(),
        LAUGHS.encode("utf-16"),
        LAUGHS.encode("utf-16-le"),
        LAUGHS.encode("utf-16-be"),
        f'<?xml version="1.0" encoding="utf-16"?>{LAUGHS}'.encode("utf-16"),
        b'<?xml version="1.0" encoding="cp037"?>' + LAUGHS.encode("cp037"),
        b"<?xml version='1.0' encoding = 'iso-8859-1' ?><S>\xe9</S>",
        b"<?xml version='1.0' encoding='ascii'?><S>a</S>",
        b"<S>\xff</S>",
        b"<S>a\0</S>",
        b"<?xml version='1.0'?><?xml-stylesheet href='http://127.0.0.1/x'?><S/>",
        b"<S><?php echo 1 ?></S>",
        b"<S><!-- x --></S>",
        b" <!DOCTYPE S SYSTEM 'file:///etc/passwd'><S/>",
    ],
)
def test_xml_that_tells_a_parser_more_than_its_text_is_refused(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        check_xml(data)


@pytest.mark.parametrize(
    "data",
    [
        b"<S>a</S>",
        "<S>é \U0001f600 &lt;!DOCTYPE</S>".encode(),
        b'\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8" standalone=\'yes\'?>\r\n<S/>',
        b"<S><![CDATA[a]]></S>",
    ],
)
def test_plain_xml_passes(data: bytes) -> None:
    check_xml(data)
    ET.fromstring(data)  # noqa: S314 - the parser that it is meant for


@given(
    st.lists(
        st.sampled_from(
            [
                "<?xml version='1.0' ",
                "encoding='",
                "utf-8",
                "utf-16",
                "cp037",
                "'?>",
                "<!DOCTYPE S [",
                "<!ENTITY a 'b'>",
                "]>",
                "<S>",
                "&a;",
                "</S>",
                "<S/>",
                " ",
                "\ufeff",
                "é",
                "<!--",
                "-->",
                "<![CDATA[",
                "]]>",
            ]
        ),
        max_size=10,
    ),
    st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp037", "utf-32"]),
)
def test_no_dtd_comes_past_it_in_any_encoding_that_the_parser_takes(pieces: list[str], encoding: str) -> None:
    data = "".join(pieces).encode(encoding, "replace")
    seen: list[object] = []
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = lambda *words: seen.append(words)
    with contextlib.suppress(expat.ExpatError, LookupError, ValueError):
        parser.Parse(data, True)
    if seen:
        with pytest.raises(BadAnswer):
            check_xml(data)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity, gzip"])
def test_a_compressed_answer_is_never_expanded(coding: str) -> None:
    head = f"Content-Encoding: {coding}\r\nContent-Length: 2\r\n\r\nxx".encode()
    with pytest.raises(BadAnswer, match="compressed"):
        http(HEAD + head)
    pieces = iter([b"HTTP/1.1 503 X\r\n" + head])
    assert read_answer(lambda: next(pieces, b"")).body == b""


def test_fragments_come_together_however_they_are_cut_and_mixed() -> None:
    whole_ones = [message(b"<S>%s</S>" % (b"%d" % number * 50)) for number in range(3)]
    cut = [[each[place : place + 7] for place in range(0, len(each), 7)] for each in whole_ones]
    data = b"".join(
        struct.pack(
            ">QQBI", number, place, (place == 0) | (place == len(cut[number]) - 1) << 1, len(cut[number][place])
        )
        + cut[number][place]
        for place in range(max(map(len, cut)))
        for number in range(3)
        if place < len(cut[number])
    )
    assert sorted(Messages(Taken()).whole(data)) == sorted(whole_ones)


def test_fragments_take_linear_time() -> None:
    # Both libraries copy the rest of the data for each fragment, so their time grows with the square of the number.
    data = b"".join(struct.pack(">QQBI", 1, number, 0, 30) + bytes(30) for number in range(40_000))
    began = time.thread_time()
    assert list(Messages(Taken()).whole(data)) == []
    assert time.thread_time() - began < 2


def test_parsing_heeds_the_time_between_lines() -> None:
    asked = 0

    class Slow:
        """A connection whose answer takes long to read."""

        name = "slow"

        def run(self, script: Script, *, timeout_s: float) -> RawOutput:
            del script, timeout_s
            out = base64.b64encode(rows(1000).encode()).decode()
            program = {"exit": 0, "out": out}
            result = {"now": "20261125120000.000000+000", "quser": program, "qwinsta": program}
            envelope = {"mpsbridge": 1, "snippet": "observe", "ok": True, "result": result}
            return RawOutput(output=(json.dumps(envelope),))

        def silent_s(self) -> float:
            return 0

        def cancel(self) -> None: ...

        def close(self) -> None: ...

    class Ticking(FakeClock):
        """Each question what time it is takes a second."""

        def monotonic(self) -> float:
            nonlocal asked
            asked += 1
            self.wait(1)
            return super().monotonic()

    clock = Ticking()
    host = Host(Target(host="slow", address="127.0.0.1"), timeout_s=60, clock=clock, connect=lambda _: Slow())
    with pytest.raises(TimedOut, match="while the answer was read") as caught:
        host.observe()
    assert caught.value.may_have_run
    assert asked < 100
    host.cancel()
    with pytest.raises(Interrupted):
        host.observe()


def test_offline_text_has_no_deadline() -> None:
    assert len(parse(rows(10)).rows) == 10
