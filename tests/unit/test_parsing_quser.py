"""Session tables of every language and layout: the captures, invented ones, generated ones, and damaged ones."""

from __future__ import annotations

import ast
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import SHARED
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mpsbridge.errors import ParseError
from mpsbridge.models.sessions import Row, State
from mpsbridge.parsing.cells import width
from mpsbridge.parsing.messages import Trouble
from mpsbridge.parsing.quser import Tables, parse, parse_output
from mpsbridge.parsing.text import decode
from mpsbridge.parsing.vocabulary import Kind, state_of
from mpsbridge.schemas.offline import parsed_rows

CORPUS = SHARED / "corpus" / "quser"
SAMPLES: list[dict[str, Any]] = (
    json.loads((CORPUS / "index.json").read_text(encoding="utf-8")) if CORPUS.is_dir() else []
)
PAGES = {  # OEM and ANSI code page of a Windows in this language
    "en": (437, 1252), "de": (850, 1252), "fr": (850, 1252), "es": (850, 1252), "pt": (850, 1252),
    "ru": (866, 1251), "zh-CN": (936, 936), "ja": (932, 932),
}  # fmt: skip
NOT_ENCODABLE = {"030_fr_quser_oem850_c1_control.txt"}
"""Holds U+0090, which is what a wrong decoding made of a letter; no code page has it."""

samples = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: str(sample["file"]))


QUSER = " USERNAME              SESSIONNAME        ID  STATE   IDLE TIME  LOGON TIME\n"
QWINSTA = " SESSIONNAME       USERNAME                 ID  STATE   TYPE        DEVICE\n"
GOOD = " alice                 rdp-tcp#1           2  Active          .  1/2/2026 9:05 AM\n"


def content(sample: dict[str, Any]) -> str:
    text: str = (CORPUS / sample["file"]).read_bytes().decode("utf-8")
    return text


def invented() -> dict[str, tuple[str, list[str]]]:
    """The cases of ``session_tables.txt``: name, text, and what must come out."""
    cases = {}
    whole = (Path(__file__).parents[1] / "support" / "session_tables.txt").read_text(encoding="utf-8")
    for case in re.sub(r"\\(?:[rt]|x..|u....)", lambda code: str(ast.literal_eval(f'"{code[0]}"')), whole).split(
        "\n=== "
    )[1:]:
        name, rest = case.split("\n", 1)
        text, result = rest.split("---\n")
        cases[name] = text, result.strip("\n").split("\n")
    return cases


INVENTED = invented()


def as_json(tables: Tables) -> list[dict[str, Any]]:
    """The rows as ``parse`` prints them."""
    return [row.as_json() for row in parsed_rows(tables)]


# --- captures ---------------------------------------------------------------------------------------------------------


def test_the_corpus_is_whole(shared: Path) -> None:
    assert len(SAMPLES) == len(list((shared / "corpus" / "quser").glob("*.txt"))) >= 50


@samples
def test_every_capture_comes_out_as_its_index_says(sample: dict[str, Any]) -> None:
    rows = as_json(parse(content(sample)))
    assert rows == sample["expected"]
    assert [list(row) for row in rows] == [list(row) for row in sample["expected"]], "the order of the keys"


@samples
@pytest.mark.parametrize("page", [0, 1], ids=["oem", "ansi"])
def test_every_capture_survives_the_code_pages_of_its_language(sample: dict[str, Any], page: int) -> None:
    text, pages = content(sample), PAGES[sample["language"]]
    codec = f"cp{pages[page]}"
    if sample["file"] in NOT_ENCODABLE:
        with pytest.raises(UnicodeEncodeError):
            text.encode(codec)
        return
    decoded = decode(text.encode(codec), oem=pages[0], ansi=pages[1])
    assert decoded.text == text, decoded.reason
    assert as_json(parse(decoded.text)) == sample["expected"]


@samples
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_every_capture_survives_being_saved_as_unicode(sample: dict[str, Any], codec: str) -> None:
    decoded = decode(content(sample).encode(codec), oem=437, ansi=1252)
    assert as_json(parse(decoded.text)) == sample["expected"], decoded.reason


@pytest.mark.parametrize(
    ("number", "trouble", "error"),
    [
        ("080", Trouble.NOBODY_OR_NOT_PERMITTED, None),
        ("083", Trouble.NOBODY_OR_NOT_PERMITTED, None),
        ("085", Trouble.DENIED, 5),
        ("086", Trouble.DENIED, 5),
        ("087", Trouble.USAGE, None),
        ("089", Trouble.HEADER_ONLY, None),
    ],
)
def test_w12_captured_messages_are_told_by_number_and_shape(
    shared: Path, number: str, trouble: Trouble, error: int | None
) -> None:
    (path,) = (shared / "corpus" / "quser").glob(f"{number}_*")
    tables = parse(path.read_text(encoding="utf-8"))
    assert (tables.rows, tables.trouble, tables.number) == ((), trouble, error)


# --- invented ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INVENTED)
def test_an_invented_table_is_read_whole_or_refused(name: str) -> None:
    text, expected = INVENTED[name]
    if expected[0].startswith("error"):
        with pytest.raises(ParseError) as caught:
            parse(text)
        assert [f"error {caught.value.line}"] == expected
        assert len(caught.value.excerpt) <= 80
        return
    rows = parse(text).rows
    assert [written(row) for row in rows] == expected
    assert {row.table for row in rows} == {"qwinsta" if name.startswith("qwinsta") else "quser"}


def written(row: Row) -> str:
    fields = (row.username, row.sessionname, row.id, row.state, row.idle_raw, row.logon_raw)
    return (">" if row.current else "") + " | ".join("-" if field is None else str(field) for field in fields)


def test_a_row_says_where_it_stood() -> None:
    text = (
        "C:\\> quser\r\n"
        + QUSER.replace("\n", "\r\n")
        + ">alice                 console             1  Active          .  1/2/2026 9:05 AM  \r\n"
    )
    (row,) = parse(text).rows
    assert row.line == 3
    assert row.text == text.split("\r\n")[2]


# --- what cannot be read is an error, never a row less ----------------------------------------------------------------


def test_the_excerpt_of_an_error_is_harmless() -> None:
    with pytest.raises(ParseError) as caught:
        parse_output(QUSER + " \x1b[2Jalice\u202e\x9b   rdp-tcp\n")
    assert caught.value.excerpt == "\\x1b[2Jalice\\u202e\\x9b   rdp-tcp"


@pytest.mark.parametrize(
    ("text", "trouble", "number"),
    [
        ("No User exists for *\r\n", Trouble.NOBODY_OR_NOT_PERMITTED, None),
        ("Kein Benutzer vorhanden für *\r\n", Trouble.NOBODY_OR_NOT_PERMITTED, None),
        ("没有用户存在 *\r\n", Trouble.NOBODY_OR_NOT_PERMITTED, None),
        ("quser : No User exists for *\nAt line:1 char:1\n+ quser\n+ ~~~~~\n", Trouble.NOBODY_OR_NOT_PERMITTED, None),
        (
            "Erreur 0x000006BA lors\nErreur [1722] : Le serveur RPC n’est pas disponible.\n",
            Trouble.RPC_UNAVAILABLE,
            1722,
        ),
        ("Fehler [1722]:Der RPC-Server ist nicht verfügbar.\n", Trouble.RPC_UNAVAILABLE, 1722),
        ("错误[5]:拒绝访问。\n", Trouble.DENIED, 5),
        ("Ошибка [5]:Отказано в доступе.\n", Trouble.DENIED, 5),
        ("Error 5 getting session names\n", Trouble.DENIED, 5),
        ("Error 0x80070005 getting session names\n", Trouble.DENIED, 5),
        ("Error 0x00000721 enumerating sessionnames\n", Trouble.SECURITY_PACKAGE, 1825),
        ("Error [7022]:The requested session name is not found.\n", Trouble.NOBODY_OR_NOT_PERMITTED, 7022),
        ("Error [7045]:The requested session access is denied.\n", Trouble.DENIED, 7045),
        ("can't load QUERY commands from the registry (error 1)\n", Trouble.OTHER, 1),
        ("Error [2]:The system cannot find the file specified.\n", Trouble.OTHER, 2),
        ("Afficher des informations\n\nQUERY USER [nom] [/SERVER:nom]\n", Trouble.USAGE, None),
        (QWINSTA, Trouble.HEADER_ONLY, None),
        (" AAAA BBB              CCCC DDD           ID  EEEEE   FFFF GGG   HHHH IIIII\n", Trouble.HEADER_ONLY, None),
    ],
)
def test_messages_are_told_by_number_and_shape_in_any_language(text: str, trouble: Trouble, number: int | None) -> None:
    assert parse(text) == Tables(trouble=trouble, number=number, ignored=parse(text).ignored)


def test_an_error_number_beside_rows_is_kept() -> None:
    tables = parse(QUSER + GOOD + "Error [5]:Access is denied.\n")
    assert len(tables.rows) == 1
    assert (tables.trouble, tables.number) == (Trouble.DENIED, 5)


# --- generated --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """Columns in cells: where the second begins and the id ends, and how wide the first two may be filled."""

    second: int
    id_end: int
    first_width: int
    second_width: int


LAYOUTS: dict[str, tuple[Kind, Layout, tuple[str, ...]]] = {
    "quser en": ("quser", Layout(23, 44, 20, 15), ("USERNAME", "SESSIONNAME", "STATE", "IDLE TIME", "LOGON TIME")),
    "quser xx": ("quser", Layout(23, 44, 20, 15), ("XNUTZER", "XITZUNG", "XUSTAND", "XLEER", "XZEIT")),
    "quser zh": ("quser", Layout(23, 44, 20, 15), ("用户名", "会话名", "状态", "空闲时间", "登录时间")),
    "qwinsta en": ("qwinsta", Layout(19, 45, 16, 19), ("SESSIONNAME", "USERNAME", "STATE", "TYPE", "DEVICE")),
    "qwinsta wide": ("qwinsta", Layout(27, 53, 24, 19), ("SESSIONNAME", "USERNAME", "STATE", "TYPE", "DEVICE")),
    "qwinsta xx": ("qwinsta", Layout(19, 45, 16, 19), ("XITZUNG", "XNUTZER", "XUSTAND", "XTYP", "XGER")),
    "qwinsta ja": ("qwinsta", Layout(19, 45, 16, 19), ("セッション名", "ユーザー名", "状態", "種類", "デバイス")),
}


def pad(text: str, cells: int) -> str:
    return text + " " * (cells - width(text))


def printed(kind: Kind, layout: Layout, words: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    """A table as Windows lays it out, in display cells."""
    state, *rest = words[2:]
    head = pad(pad(f" {words[0]}", layout.second) + words[1], layout.id_end - 2) + "ID"
    lines = [f"{head}  {pad(state, 8)}{pad(rest[0], 11)}{rest[1]}"]
    for row in rows:
        first, second = row["user"], row["session"]
        if kind == "qwinsta":
            first, second = second, first
        names = pad(
            pad((">" if row["current"] else " ") + (first or ""), layout.second) + (second or ""), layout.id_end
        )
        number = str(row["id"])
        line = names[: len(names) - len(number)] + number + "  " + pad(row["state"], 6)
        if kind == "quser":
            line += f"  {' ' * (9 - width(row['idle']))}{row['idle']}  {row['logon']}"
        lines.append(line)
    return "".join(f"{line}\r\n" for line in lines)


NAME_LETTERS = "abcXYZ019._-äßéłжя李山田 김"
name_words = st.text(alphabet=NAME_LETTERS, min_size=1, max_size=12)


@st.composite
def user_names(draw: st.DrawFn) -> str:
    """Windows user names: any letters, digits only, blanks inside (also two), at most 19 cells."""
    name = draw(st.sampled_from([" ", "  "])).join(draw(st.lists(name_words, min_size=1, max_size=3)))
    name = name.strip(" ")
    assume(name and width(name) <= 19 and "   " not in name)
    return name


session_names = st.one_of(
    st.just("console"),
    st.integers(0, 9999).map("rdp-tcp#{}".format),
    st.integers(0, 99).map("ica-cgp#{}".format),
    st.sampled_from(["31c5ce9425...", "Custom", "7a69"]),
)
states = st.sampled_from(["Active", "Disc", "Aktiv", "Getr.", "Déco", "运行中", "断开", "Активно", "Xyzzy", "활성"])
idles = st.sampled_from([".", "5", "59", "1:23", "2+03:04", "15+15:12", "none", "Kein", "无", "없음", "zilch"])
logons = st.sampled_from(
    [
        "1/2/2026 9:05 AM",
        "02.01.2026 09:05",
        "2026-01-02 9:05",
        "2026. 01. 02. 9:05",
        "2026/1/2 下午 3:04",
        "2-1-26 9.05",
    ]
)


@st.composite
def sessions(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "user": draw(user_names()),
        "session": draw(st.none() | session_names),
        "id": draw(st.integers(1, 65535)),
        "state": draw(states),
        "idle": draw(idles),
        "logon": draw(logons),
        "current": draw(st.booleans()),
    }


@given(st.sampled_from(sorted(LAYOUTS)), st.lists(sessions(), min_size=1, max_size=8))
def test_any_table_that_windows_could_print_is_read_back(layout: str, rows: list[dict[str, Any]]) -> None:
    kind, columns, words = LAYOUTS[layout]
    read = parse(printed(kind, columns, words, rows)).rows
    got = [(r.username, r.sessionname, r.id, r.state_raw, r.current) for r in read]
    assert got == [(r["user"], r["session"], r["id"], r["state"], r["current"]) for r in rows]
    if kind == "quser":
        assert [(r.idle_raw, r.logon_raw) for r in read] == [(r["idle"], r["logon"]) for r in rows]


@given(st.text(max_size=400) | st.text(alphabet=" \n>0123456789aZ.:*+#ID/-[]é李", max_size=400))
@example("> " * 300)
@example("a@" * 2000 + "\n" + QUSER)
@example(QUSER + "a " * 490 + "1 a")
@example(QUSER + "1 " * 490)
def test_no_text_does_worse_than_an_error(text: str) -> None:
    try:
        tables = parse(text)
    except ParseError:
        return
    assert tables.rows or tables.trouble


@given(
    st.sampled_from(["quser en", "qwinsta en", "qwinsta wide"]), st.lists(sessions(), min_size=1, max_size=4), st.data()
)
def test_no_damage_to_a_row_makes_it_vanish_or_another(
    layout: str, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    kind, columns, words = LAYOUTS[layout]
    lines = printed(kind, columns, words, rows).splitlines(keepends=True)
    hit = data.draw(st.integers(1, len(rows)))
    before = lines[hit]
    place = data.draw(st.integers(0, len(before) - 3))
    damage = data.draw(st.sampled_from(["", "\x1b", "?", "\ufffd", "x", "7", "    "]))
    cut = data.draw(st.integers(0, 30))
    lines[hit] = before[:place] + damage + before[place + cut :]
    assume(lines[hit].strip() and lines[hit].endswith("\n"))
    try:
        read = parse("".join(lines)).rows
    except ParseError:
        return
    assert len(read) == len(rows)
    row = rows[hit - 1]
    if width(before[:place]) > columns.id_end:  # user, session and id were left alone
        assert (read[hit - 1].username, read[hit - 1].sessionname, read[hit - 1].id) == (
            row["user"],
            row["session"],
            row["id"],
        )


@pytest.mark.everything(reason="a measurement")
@pytest.mark.xdist_group("timing")
def test_ten_thousand_rows_take_less_than_a_second() -> None:
    rows = "".join(
        f" user {number:05d}            rdp-tcp#{number:<5}  {number + 1:>6}  Active       1:23  1/2/2026 9:05 AM\r\n"
        for number in range(10_000)
    )
    began = time.thread_time()
    assert len(parse(QUSER + rows).rows) == 10_000
    assert time.thread_time() - began < 1


@pytest.mark.xdist_group("timing")
@pytest.mark.parametrize(
    "line", ["a@" * 500_000, ">" * 1_000_000, "1 " * 500_000, "[" * 1_000_000, " :" * 500_000, "a *" * 300_000]
)
@pytest.mark.everything(reason="a measurement")
def test_no_line_is_too_long_to_be_refused_at_once(line: str) -> None:
    began = time.thread_time()
    for text in (line, QUSER + line, QUSER + GOOD + line):
        with pytest.raises(ParseError):
            parse(text)
    assert time.thread_time() - began < 1


# --- as JSON ----------------------------------------------------------------------------------------------------------


def test_blocks_and_kinds_are_told_only_where_they_differ() -> None:
    assert "table" not in as_json(parse(QUSER + GOOD))[0]
    assert [row["block"] for row in as_json(parse(QUSER + GOOD + "\n" + QUSER + GOOD))] == [1, 2]
    both = as_json(parse(QUSER + GOOD + "\n" + QWINSTA + " console           bob                       3  Active\n"))
    assert [(row["table"], "block" in row) for row in both] == [("quser", False), ("qwinsta", False)]


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("D\ufffdco", State.DISCONNECTED),
        ("D?co", State.DISCONNECTED),
        ("DÃ©co", State.DISCONNECTED),
        ("Abh”r.", State.LISTEN),
        ("GETR.", State.DISCONNECTED),
        ("active", State.ACTIVE),
        ("??", State.UNKNOWN),
        ("", State.UNKNOWN),
    ],
)
def test_a_state_word_with_broken_accents_is_still_known(word: str, state: State) -> None:
    assert state_of(word) is state


def test_a_header_in_which_no_word_is_known_is_one_by_its_layout() -> None:
    header = " XXXXX YYY             ZZZZZZZZZZZ        QQ  WWWWW   UUUU EEEE  RRRRR TIME"
    tables = parse(f"{header}\n>bob smith             rdp-tcp#3           2  Wakk            .  3-11-2025 08:12\n")
    (row,) = tables.rows
    assert (row.username, row.sessionname, row.id, row.state_raw, row.current) == (
        "bob smith",
        "rdp-tcp#3",
        2,
        "Wakk",
        True,
    )
    shifted = header.replace("XXXXX", "X")
    with pytest.raises(ParseError):
        parse(f"{shifted}\n>bob smith             rdp-tcp#3           2  Wakk            .  3-11-2025 08:12\n")
