"""Session tables as people save them: the field captures, and sound tables in everything that carries a table.

The worst is a row with another user, session, id, state or idle time than the table has; refusing is right only where
nobody could know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from conftest import SHARED
from hypothesis import given
from hypothesis import strategies as st
from test_parsing_quser import LAYOUTS, QUSER, QWINSTA, as_json, printed, sessions, written

from mpsbridge.errors import ParseError
from mpsbridge.models.sessions import Row
from mpsbridge.parsing.cells import width
from mpsbridge.parsing.messages import Trouble
from mpsbridge.parsing.quser import parse, parse_output
from mpsbridge.parsing.text import decode

CORPUS = SHARED / "corpus" / "field"
SAMPLES: list[dict[str, Any]] = (
    json.loads((CORPUS / "index.json").read_text(encoding="utf-8")) if CORPUS.is_dir() else []
)
samples = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: str(sample["file"]))


def raw(sample: dict[str, Any]) -> bytes:
    return (CORPUS / str(sample["file"])).read_bytes()


def outcome(text: str) -> list[dict[str, Any]] | None:
    """The rows as ``parse`` prints them; ``None`` where the text is refused."""
    try:
        return as_json(parse(text))
    except ParseError:
        return None


# --- captures ---------------------------------------------------------------------------------------------------------


def test_the_corpus_is_whole() -> None:
    if SHARED.is_dir():
        assert len(SAMPLES) == len(list(CORPUS.glob("*.txt"))) >= 69


def as_wanted(sample: dict[str, Any], rows: list[dict[str, Any]] | None) -> None:
    if rows is None:
        assert sample["want"] != "exact", "refused"
        return
    assert sample["want"] != "refused", rows
    assert rows == sample["expected"]
    assert [list(row) for row in rows] == [list(row) for row in sample["expected"]], "the order of the keys"


@samples
def test_every_capture_comes_out_as_its_index_wants(sample: dict[str, Any]) -> None:
    as_wanted(sample, outcome(decode(raw(sample), oem=None, ansi=None).text))


@samples
@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_every_capture_survives_being_saved_as_unicode(sample: dict[str, Any], codec: str) -> None:
    text = decode(raw(sample), oem=None, ansi=None).text
    if codec == "utf-16-le" and sum(character < "\u0100" for character in text) * 3 < len(text):
        return  # nothing but a mark could tell
    as_wanted(sample, outcome(decode(text.encode(codec), oem=437, ansi=1252).text))


@samples
def test_every_capture_survives_other_ends_of_lines(sample: dict[str, Any]) -> None:
    text = decode(raw(sample), oem=None, ansi=None).text.replace("\r\n", "\n")
    for end in ("\r\n", "\r\r\n"):
        as_wanted(sample, outcome(text.replace("\n", end)))


@samples
def test_what_a_host_prints_is_never_read_more_freely_than_what_a_person_saved(sample: dict[str, Any]) -> None:
    text = decode(raw(sample), oem=None, ansi=None).text
    try:
        rows = as_json(parse_output(text))
    except ParseError:
        return
    assert rows == outcome(text)


# --- each kind --------------------------------------------------------------------------------------------------------

ROW = " bob                                       3  Disc         1:12  9/14/2026 6:30 PM\n"
ALICE = ">alice                 rdp-tcp#1           2  Active          .  1/2/2026 9:05 AM\n"
TABLE = [line.rstrip("\n") for line in (QUSER, ALICE, ROW)]
READ = [
    ">alice | rdp-tcp#1 | 2 | active | . | 1/2/2026 9:05 AM",
    "bob | - | 3 | disconnected | 1:12 | 9/14/2026 6:30 PM",
]

Carrier = Callable[[Sequence[str]], str]
"""What makes a saved text of the lines of a table."""


def each(before: Callable[[int], str], after: str = "") -> Carrier:
    return lambda lines: "".join(f"{before(number)}{line}{after}\n" for number, line in enumerate(lines))


def framed(top: str, side: str, bottom: str) -> Carrier:
    def frame(lines: Sequence[str]) -> str:
        cells = max(map(width, lines))
        inner = [f"{side} {line}{' ' * (cells - width(line))} {side}" for line in lines]
        return "\n".join([top[0] + top[1] * (cells + 2) + top[2], *inner, bottom[0] + top[1] * (cells + 2) + bottom[1]])

    return frame


def listed(lines: Sequence[str], **more: object) -> str:
    return json.dumps({"rc": 0, "stdout": "\r\n".join([*lines, ""]), "stdout_lines": list(lines), **more})


CARRIERS: dict[str, Carrier] = {
    "time stamps of a hosted job": each(lambda n: f"2026-09-15T10:11:{58 + n}.12345{n:02}Z "),
    "time stamps behind job and step": each(lambda n: f"end room\tRun quser\t2026-09-15T10:11:12.12345{n:02}Z "),
    "clocks": each(lambda n: f"10:11:{12 + n}  "),
    "clocks of changing width": each(lambda n: f"{9 + n}:59:01 "),
    "clocks in brackets": each(lambda n: f"[10:11:{12 + n}] "),
    "levels": each(lambda n: f"2026-09-15 10:11:{12 + n},123 INFO quser: "),
    "syslog": each(lambda n: f"Sep  9 10:11:{12 + n} box quser[12{n}]: "),
    "seconds": each(lambda n: f"175793107{n}.{123 + n} "),
    "line numbers": each(lambda n: f"{n + 8:6}\t"),
    "line numbers and colons": each(lambda n: f"{n + 8}: "),
    "line numbers and blanks": each(lambda n: f"{n + 8} "),
    "line numbers and bars": each(lambda n: f"{n + 8:3} │ "),
    "a comment": each(lambda _: "// "),
    "a comment of blocks": each(lambda _: " * "),
    "quotes": each(lambda _: "> "),
    "quotes of quotes": each(lambda _: "> > "),
    "the host": each(lambda _: "host1 | "),
    "a column of hosts": each(lambda n: f"ts{n:<9}" if n else "Computer   "),
    "strings of a list": each(lambda _: '    "', '",'),
    "strings of code": each(lambda _: '"', '\\n" +'),
    "a list of YAML": each(lambda _: "  - '", "'"),
    "colours": each(lambda _: "\x1b[36;1m", "\x1b[0m"),
    "a frame": framed("┌─┐", "│", "└┘"),
    "a double frame": framed("╔═╗", "║", "╚╝"),
    "a frame of ASCII": framed("+-+", "|", "++"),
    "a frame of stars": framed("***", "*", "**"),
    "a glued label": lambda lines: "Quser output: " + "\n".join(lines) + "\nDone.\n",
    "a label in code": lambda lines: '$x = "' + "\n".join(lines) + '"\n',
    "HTML": lambda lines: "<pre><code>" + "\n".join(lines) + "</code></pre>\n",
    "a fence": lambda lines: "```" + "\n".join(lines) + "```\n",
    "backticks": lambda lines: "`C:\\> quser\n" + "\n".join(lines) + "`\n",
    "JSON": lambda lines: json.dumps({"rc": 0, "stdout": "\r\n".join([*lines, ""])}),
    "JSON with both forms": listed,
    "JSON with both forms, spread": lambda lines: json.dumps(json.loads(listed(lines)), indent=4),
    "JSON of lines": lambda lines: json.dumps(list(lines)),
    "JSON of no-break spaces": lambda lines: json.dumps({"a": "\r\n".join(lines).replace(" ", "\u00a0")}),
    "JSON, a line each": lambda lines: "".join(json.dumps({"line": line}) + "\n" for line in lines),
    "JSON in JSON": lambda lines: json.dumps({"text": listed(lines)}, ensure_ascii=False),
    "a string of Python": lambda lines: repr("\r\n".join([*lines, ""])),
    "CLIXML": lambda lines: "<S>" + "_x000D__x000A_".join(lines) + "</S>",
    "one line of Ansible": lambda lines: "ts1 | CHANGED | rc=0 | (stdout) " + "\\r\\n".join(lines) + "\n",
    "PsExec": lambda lines: "Starting quser on ts1...\r" + " " * 40 + "\r" + "\r\n".join([*lines, "quser exited.\r\n"]),
    "carriage returns alone": "\r".join,
    "a console": lambda lines: "\x1b[2J\x1b[m\x1b[H\x1b]0;quser.exe\x07\x1b[?25h" + "\x1b[K\r\n".join(lines),
    "a console that skips blanks": lambda lines: (
        "\x1b[H" + "\r\n".join(re.sub(" {5,}", lambda run: f"\x1b[{len(run[0])}C", line) for line in lines)
    ),
    "a console that moves": lambda lines: "".join(f"\x1b[{n};1H{line}\x1b[K" for n, line in enumerate(lines, 1)),
    "no-break spaces": lambda lines: "\n".join(re.sub("^ ", "\u00a0", line) for line in lines),
    "sections": lambda lines: (
        "[+] Users:\n" + "\n".join(f"    {line}" for line in lines) + "\n\n[+] All:\n    - Guest\n"
    ),
    "headings": lambda lines: "\n".join([*lines, "=== Groups ===", "  Administrators", ""]),
    "another table": lambda lines: "\n".join([*lines, "", "Image     PID  Mem", "=====  ===", "a.exe   43   8 K", ""]),
    "clock lines": lambda lines: "Tue 09/15/2026\n 3:00:01.12\n" + "\n".join([*lines, " 3:00:02.01", "Done.\n"]),
    "blank lines": "\n\n".join,
}  # fmt: skip
carriers = pytest.mark.parametrize("carrier", CARRIERS)


@carriers
def test_a_carried_table_is_read(carrier: str) -> None:
    assert [written(row) for row in parse(CARRIERS[carrier](TABLE)).rows] == READ


def fields(rows: Sequence[Row]) -> list[tuple[object, ...]]:
    return [(r.username, r.sessionname, r.id, r.state_raw, r.idle_raw, r.logon_raw, r.current) for r in rows]


@given(
    st.sampled_from(sorted(CARRIERS)), st.sampled_from(sorted(LAYOUTS)), st.lists(sessions(), min_size=1, max_size=5)
)
def test_a_sound_table_comes_out_of_any_carrier_as_it_is_or_not_at_all(
    carrier: str, layout: str, rows: list[dict[str, Any]]
) -> None:
    kind, columns, words = LAYOUTS[layout]
    lines = printed(kind, columns, words, rows).splitlines()
    try:
        read = parse(CARRIERS[carrier](lines)).rows
    except ParseError:
        return
    assert fields(read) == fields(parse("\n".join(lines)).rows)


@given(
    st.sampled_from(sorted(CARRIERS)),
    st.lists(sessions(), min_size=2, max_size=4),
    st.sampled_from(["7", "x", "\x1b", "│", '"', ">", "# ", "    "]),
    st.integers(0, 40),
    st.integers(0, 3),
)
def test_damage_inside_a_carrier_never_makes_rows_vanish(
    carrier: str, rows: list[dict[str, Any]], damage: str, place: int, at: int
) -> None:
    kind, columns, words = LAYOUTS["quser en"]
    lines = printed(kind, columns, words, rows).splitlines()
    at = 1 + at % len(rows)
    lines[at] = lines[at][:place] + damage + lines[at][place:]
    try:
        read = parse(CARRIERS[carrier](lines)).rows
    except ParseError:
        return
    assert len(read) == len(rows)
    others = [fields(parse(f"{lines[0]}\n{line}").rows)[0] for line in lines[1:] if line is not lines[at]]
    assert [row for n, row in enumerate(fields(read), 1) if n != at] == others


@pytest.mark.parametrize(
    "before", ["## ", "# ", "- ", "1 ", "4- ", "ts1 ", "9) ", "' ", "10:11:12 ", "// ", "[x] ", "│ ", "\u00a0"]
)
@pytest.mark.parametrize("row", [ALICE, ROW])
def test_what_stands_before_rows_only_never_gets_into_a_name(before: str, row: str) -> None:
    rows = outcome(QUSER + before + row)
    assert rows is None or [row["username"] for row in rows] == ["alice" if row == ALICE else "bob"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f" a  b {ROW[6:]}", id="no header, two blanks in a name"),
        pytest.param(f" joe console {ROW[13:]}", id="no header, a name that ends as a session"),
        pytest.param(each(lambda n: f"ts{n}        ")(TABLE[1:]), id="no header, a column before"),
        pytest.param("\n".join(line[n : n + 80] for line in TABLE for n in range(0, len(line), 80)), id="wrapped"),
        pytest.param(f"Computer{QUSER}ts1 {ROW}", id="a column too narrow"),
        pytest.param(f"\x1b[H{QUSER}{ROW}\x1b[H{QUSER}{ALICE}", id="painted again"),
        pytest.param(f"1 {QUSER}2 {ROW}9 {ALICE}", id="numbers that do not count"),
        pytest.param(each(lambda n: f"10:11:{12 + n} ")(TABLE) + ROW, id="a row without the clock"),
        pytest.param(QUSER + ALICE.replace("AM", "AM`"), id="a backtick"),
        pytest.param(f"{QWINSTA} rdp-tcp#6         eli                       1  Acti\n", id="a state cut off"),
        pytest.param(json.dumps({"a": QUSER.strip(), "b": "No User exists for *"}), id="nobody, beside a table"),
    ],
)  # fmt: skip
def test_what_nobody_could_know_is_refused(text: str) -> None:
    assert outcome(text) is None


@pytest.mark.parametrize(
    "date", ["20260915 08:01", "260915 8:01", "15092026 08.01", "20260915 0801", "20260915 8:01 AM"]
)
def test_a_short_date_needs_no_separators(date: str) -> None:
    row = f"{ALICE[:65]}{date}\n"
    for read in (parse, parse_output):
        (found,) = read(QUSER + row).rows
        assert (found.id, found.idle_raw, found.logon_raw) == (2, ".", date)


def test_a_table_in_two_forms_is_one_and_two_hosts_alike_are_two() -> None:
    two = json.dumps({"ts1": json.loads(listed(TABLE)), "ts2": json.loads(listed(TABLE))})
    assert [row.block for row in parse(two).rows] == [1, 1, 2, 2]
    assert len(parse(json.dumps(json.loads(two), indent=2)).rows) == 4


# --- nobody is on -----------------------------------------------------------------------------------------------------

NOBODY = [
    "No User exists for *",
    "Es ist kein Benutzer für * vorhanden.",
    "Für * ist kein Benutzer vorhanden",
    "* のユーザーは存在しません",
    "* 에 대한 사용자가 없습니다.",
    "* 的用户不存在",
    "* için kullanıcı yok",
    "* számára nincs felhasználó",
    "Aucun utilisateur n'existe pour *",
    "Voor * bestaat geen gebruiker.",
    "No session exists for *",
]


@pytest.mark.parametrize("sentence", NOBODY)
@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "quser : {}",
        "2026-09-15T10:11:12.1234507Z {}",
        "10:11:12  {}",
        "> {}",
        "│ {} │",
        '{{"stderr": "{}\\r\\n"}}',
    ],
)
def test_nobody_is_told_in_any_order_of_words_and_any_carrier(sentence: str, around: str) -> None:
    tables = parse(around.format(sentence))
    assert (tables.rows, tables.trouble, tables.number) == ((), Trouble.NOBODY_OR_NOT_PERMITTED, None)


@pytest.mark.parametrize(
    "text",
    [
        "* Hello world",
        "* All users",
        "* 用户列表",
        "no users match *.txt * nor *",
        '{"a": "Files for * and more"}',
        "rm -rf *",
        "/* no user */",
    ],
)
def test_an_asterisk_alone_says_nothing(text: str) -> None:
    with pytest.raises(ParseError):
        parse(text)
