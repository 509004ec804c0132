"""Bytes to text, and text made harmless."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsbridge.parsing.text import decode, decode_again, harmless

GERMAN = " SITZUNGSNAME      BENUTZERNAME             ID  STATUS  TYP         GERÄT\r\n services   0  Abhör.\r\n"
POLISH = " NAZWA UŻYTKOWNIKA     NAZWA SESJI        ID  STAN    CZAS BEZCZYNNOŚCI\r\n żaneta   2  Rozł.\r\n"

NEITHER = (
    "no usable code page, each byte as one character; code page 4711 is not known here; code page 37 is not known here"
)


@pytest.mark.parametrize(
    ("raw", "oem", "ansi", "encoding", "reason"),
    [
        (GERMAN.encode("cp850"), 850, 1252, "cp850", "OEM code page 850, 7 known words"),
        (GERMAN.encode("cp1252"), 850, 1252, "cp1252", "ANSI code page 1252, 7 known words"),
        (GERMAN.encode("utf-8"), 850, 1252, "utf-8", "valid UTF-8 with non-ASCII characters"),
        (POLISH.encode("cp852"), 852, 1250, "cp852", "OEM code page 852, 9 known words"),
        (POLISH.encode("cp1250"), 852, 1250, "cp1250", "ANSI code page 1250, 9 known words"),
        (
            " jörg ".encode("cp850"),
            850,
            1252,
            "cp850",
            "OEM code page 850, 0 known words as with the other page",
        ),
        (b" USERNAME ", 850, 1252, "cp850", "plain ASCII"),
        (b" USERNAME ", None, None, "ascii", "plain ASCII"),
        (b" USERNAME ", 4711, 1252, "cp1252", "plain ASCII"),
        (GERMAN.encode("utf-16"), 850, 1252, "utf-16-le", "byte order mark"),
        (GERMAN.encode("utf-16-le"), 850, 1252, "utf-16-le", "zero bytes of UTF-16"),
        (GERMAN.encode("utf-16-be"), 850, 1252, "utf-16-be", "zero bytes of UTF-16"),
        (GERMAN.encode("utf-8-sig"), 850, 1252, "utf-8", "byte order mark"),
        (b"\x81 \xff", 932, None, "cp932", "OEM code page 932, with undecodable bytes replaced"),
        (b"\x81", 65001, 65001, "utf-8", "OEM code page 65001, with undecodable bytes replaced"),
        (b"\x81", None, None, "latin-1", "no usable code page, each byte as one character"),
        (
            b"\x81",
            4711,
            37,
            "latin-1",
            NEITHER,
        ),
        (GERMAN.encode("cp850"), None, None, "cp850", "code page 850 by 7 known words"),
    ],
)
def test_w07_the_words_choose_between_the_code_pages_of_the_host(
    raw: bytes, oem: int | None, ansi: int | None, encoding: str, reason: str
) -> None:
    decoded = decode(raw, oem=oem, ansi=ansi)
    assert (decoded.encoding, decoded.reason) == (encoding, reason)


@given(st.binary(max_size=200), st.none() | st.integers(-1, 70000), st.none() | st.sampled_from([1252, 932, 65001, 0]))
def test_no_bytes_and_no_code_page_number_raise(raw: bytes, oem: int | None, ansi: int | None) -> None:
    decoded = decode(raw, oem=oem, ansi=ansi)
    assert decoded.reason
    assert "".encode(decoded.encoding) == b""


def by_windows(raw: bytes, page: int) -> str:
    """What Windows reads: a byte that stands for nothing in its page is the control character of that number."""
    return "".join(bytes([each]).decode(f"cp{page}", "ignore") or chr(each) for each in raw)


@given(st.binary(max_size=100), st.sampled_from([437, 850, 866, 1250, 1251, 1252]), st.sampled_from([850, 1252, None]))
def test_w30_what_the_host_decoded_reads_as_its_bytes_whatever_page_it_took(
    raw: bytes, page: int, oem: int | None
) -> None:
    assert decode_again(by_windows(raw, page), page=page, oem=oem, ansi=1252) == decode(raw, oem=oem, ansi=1252)


@given(st.text(max_size=60), st.none() | st.integers(-1, 70000))
def test_w30_text_that_its_page_cannot_have_made_stays_as_it_came(text: str, page: int | None) -> None:
    decoded = decode_again("\ufffd" + text, page=page, oem=850, ansi=1252)
    assert decoded.text == "\ufffd" + text
    assert decode_again("Ж" + text, page=1252, oem=850, ansi=1252).text == "Ж" + text
    assert decode_again(text, page=None, oem=850, ansi=1252).text == text


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@given(st.text(alphabet=" abc019äß用户名ПОЛ\r\n", min_size=1, max_size=80))
def test_utf8_comes_back_as_it_was(mark: str, text: str) -> None:
    assert decode((mark + text).encode(), oem=850, ansi=1252).text == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain äöü 用户 text", "plain äöü 用户 text"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("two\r\nlines\tof", "two\\x0d\\x0alines\\x09of"),
        ("\x9b31m", "\\x9b31m"),
        ("user\u202eexe.txt", "user\\u202eexe.txt"),
        ("a\u2028b\u200bc\ud800", "a\\u2028b\\u200bc\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("no-break\u00a0blank", "no-break\u00a0blank"),
    ],
)
def test_what_controls_a_terminal_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(st.text(max_size=60), st.none() | st.integers(0, 40))
def test_harmless_text_holds_nothing_that_controls(text: str, limit: int | None) -> None:
    shown = harmless(text, limit=limit)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    shown.encode()
    if limit is not None:
        assert len(shown) <= max(limit, 3)
