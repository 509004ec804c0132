"""Tables in narrow terminals: whom an act hits is never cut, and nothing of a sentence is lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from mpsbridge.cli import columns
from mpsbridge.cli.columns import without_domain, without_shared_domain
from mpsbridge.cli.tables import RESULT_COLUMNS, SESSION_COLUMNS
from mpsbridge.reports.rows import DEED_COLUMNS, RUN_COLUMNS

TODAY = date(2026, 9, 20)
WIDTHS = st.integers(min_value=40, max_value=200)
LABELS = st.text("abcdefgh-0123456789", min_size=1, max_size=15)
HOSTS = st.builds(lambda label, domain: f"{label}{domain}", LABELS, st.sampled_from(["", ".ts.school.example.org"]))
NAMES = st.text("abcxyzäß用户123", min_size=1, max_size=20)
USERS = st.builds(lambda domain, name: f"{domain}{name}", st.sampled_from(["", "SCHOOL-DE\\", "LIBRARY\\"]), NAMES)
WORDS = st.lists(st.text("abcdefgü", min_size=1, max_size=12), max_size=25).map(" ".join)
SESSIONS = st.tuples(
    HOSTS,
    st.integers(min_value=1, max_value=65535).map(str),
    USERS,
    st.sampled_from(["", "console", "rdp-tcp#1", "31C5CE94259D4006A9E4#3"]),
    st.sampled_from(["active", "disconnected", "connect query"]),
    st.sampled_from(["-", "?", "3h25m", "12d3h"]),
    st.sampled_from(["2026-09-20 12:27", "2025-04-28 12:03", "20.09.2026 12:27"]),
    st.just(""),
    WORDS,
)


def table_lines(names: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    return [line for block in columns.table_lines(names, rows, width, today=TODAY) for line in block]


@given(st.lists(SESSIONS, min_size=1, max_size=6), WIDTHS)
def test_host_id_and_user_stand_whole_at_any_width(rows: Sequence[tuple[str, ...]], width: int) -> None:
    heading, *lines = table_lines(SESSION_COLUMNS, rows, width)
    hosts, users = (
        without_shared_domain([row[0] for row in rows]),
        without_domain([row[2] for row in rows], [row[0] for row in rows]),
    )
    first_lines = iter(lines)
    for row, host, user in zip(rows, hosts, users, strict=True):
        # A line that goes on with a sentence begins with a blank.
        line = next(line for line in first_lines if not line.startswith(" "))
        cells = line.split()
        assert cells[0] in {row[0], host}
        assert cells[1] == row[1]
        assert cells[2] in {row[2], user}
    assert heading.split()[:3] == ["HOST", "ID", "USER"]
    needed = sum(max(map(cell_len, column)) + 2 for column in (hosts, [row[1] for row in rows] + ["ID"], users))
    assert max(map(cell_len, lines)) <= max(width, needed)


@given(st.lists(SESSIONS, min_size=1, max_size=6), WIDTHS)
def test_nothing_of_a_sentence_is_lost(rows: Sequence[tuple[str, ...]], width: int) -> None:
    lines = table_lines(SESSION_COLUMNS, rows, width)
    shown = " ".join(word for line in lines for word in line.split())
    for row in rows:
        for word in row[-1].split():
            assert word in shown


@given(st.lists(SESSIONS, min_size=1, max_size=6))
def test_a_table_that_fits_is_left_as_it_is(rows: Sequence[tuple[str, ...]]) -> None:
    heading, *lines = table_lines(SESSION_COLUMNS, rows, 10_000)
    assert heading.split() == ["HOST", "ID", "USER", "SESSION", "STATE", "IDLE", "LOGON"]
    for row, line in zip(rows, lines, strict=True):
        assert line.split() == " ".join(row).split()


def test_what_is_left_out_goes_in_order() -> None:
    row = ("ts1.example.org", "2", "SCHOOL\\alice", "rdp-tcp#1", "disconnected", "3h25m", "2026-09-20 12:27", "", "")
    seen = [table_lines(SESSION_COLUMNS, [row], width)[1].split() for width in (90, 72, 61, 56, 50, 45, 30)]
    assert seen[0] == ["ts1.example.org", *row[1:6], "2026-09-20", "12:27"]
    assert seen[1] == ["ts1", *row[1:6], "2026-09-20", "12:27"]
    assert seen[2] == ["ts1", "2", "SCHOOL\\alice", "disconnected", "3h25m", "2026-09-20", "12:27"]
    assert seen[3] == ["ts1", "2", "SCHOOL\\alice", "disconnected", "3h25m", "09-20", "12:27"]
    assert seen[4] == ["ts1", "2", "SCHOOL\\alice", "disconnected", "3h25m", "12:27"]
    assert seen[5] == ["ts1", "2", "alice", "disconnected", "3h25m", "12:27"]
    assert seen[6] == ["ts1", "2", "alice", "disc", "3h25m"]


@pytest.mark.parametrize(
    ("logon", "short", "shorter"),
    [
        ("2026-09-20 12:27", "09-20 12:27", "12:27"),
        ("2026-09-19 23:59", "09-19 23:59", "09-19"),
        ("2026-03-25 08:00", "03-25 08:00", "03-25"),
        ("2025-09-20 12:27", "2025-09-20", "2025"),
        ("2015-08-05 12:02", "2015-08-05", "2015"),
    ],
)
def test_what_is_left_of_a_time_is_never_taken_for_another(logon: str, short: str, shorter: str) -> None:
    row = ("ts1", "2", "alice", "", "active", "3h", logon, "", "")
    heading = len("ts1   ID  USER   STATE   IDLE  ") - 1
    for width, said in ((heading + 15, short), (heading + 8, shorter)):
        assert said in table_lines(SESSION_COLUMNS, [row], width)[1]


def test_a_narrow_terminal_still_tells_active_from_disconnected() -> None:
    rows = [
        ("library-1", "3", "LIBRARY-1\\bartholomew.johnsson", "", state, "1d3h", "2026-09-20 12:27", "", "station 1")
        for state in ("active", "disconnected")
    ]
    heading, *lines = table_lines(SESSION_COLUMNS, rows, 50)
    assert heading.split() == ["HOST", "ID", "USER", "STATE", "IDLE"]
    assert [line.split()[3:] for line in lines[::2]] == [["active", "1d3h"], ["disc", "1d3h"]]
    assert [line.split() for line in lines[1::2]] == [["station", "1"]] * 2


def test_one_long_name_costs_its_own_row_a_line_and_the_others_nothing() -> None:
    users = ["alice", "bob", "guest", "carol", "erika", "maximilian.mustermann"]
    rows = [
        ("library-1", str(id), user, "", "active", "1d3h", "2026-09-20 12:27", "", f"station {id}")
        for id, user in enumerate(users, 1)
    ]
    heading, *lines = table_lines(SESSION_COLUMNS, rows, 52)
    assert max(map(cell_len, lines)) <= 52
    assert heading.split() == ["HOST", "ID", "USER", "STATE", "IDLE", "LOGON"]
    assert [line.split()[2:] for line in lines[:5]] == [
        [user, "active", "1d3h", "12:27", "station", str(id)] for id, user in enumerate(users[:5], 1)
    ]
    assert [line.split() for line in lines[5:]] == [
        ["library-1", "6", users[5]],
        ["active", "1d3h", "12:27", "station", "6"],
    ]
    assert lines[6].index("active") == lines[0].index("active")


def test_one_long_row_of_runs_is_wrapped_and_the_others_stay_on_one_line() -> None:
    def run(hosts: str, result: str, reason: str = "") -> tuple[str, ...]:
        return ("20260920-163033-af35", "2026-09-20 16:30", "1m16s", "end", hosts, result, reason)

    names = [name for name in RUN_COLUMNS if name != "BY"]
    rows = [run("library-1", "done") for _ in range(5)]
    long = run("school-en, school-de, ts3 and 2 more", "partly: 4 of 5 hosts done, 1 refused", "Windows updates")
    heading, *blocks = columns.table_lines(names, [*rows, long], 80, today=TODAY)
    assert max(cell_len(line) for block in (heading, *blocks) for line in block) <= 80
    assert [len(block) for block in blocks[:5]] == [1] * 5
    assert {"RUN", "STARTED", "COMMAND", "HOSTS", "RESULT", "REASON"} <= set(heading[0].split())
    words = set(" ".join(blocks[5]).split())
    assert {"school-en,", "school-de,", "partly:", "refused", "Windows", "updates"} <= words


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_run_and_what_it_did_say_when_by_whom_where_and_why(width: int) -> None:
    run = (
        "20260920-163033-af35",
        "2026-09-20 16:30",
        "1m16s",
        "end",
        "library-1, ts1",
        "root@vm",
        "refused",
        "closing",
    )
    deed = ("2026-09-20 16:30:33", run[0], "end", "root@vm", "library-1", "LIBRARY-1\\dave", "refused: held", "closing")
    for names, row in ((RUN_COLUMNS, run), (DEED_COLUMNS, deed)):
        lines = table_lines(names, [row], width)
        assert max(map(cell_len, lines)) <= width
        assert len(lines) <= 3
        for word in (run[0], "09-20", "16:30", "end", "library-1", "root@vm", "refused", "closing"):
            assert word in "\n".join(lines), word


@pytest.mark.parametrize(
    ("hosts", "short"),
    [
        (["ts1.a.org", "ts2.a.org"], ["ts1", "ts2"]),
        (["ts1.x.a.org", "ts2.y.a.org"], ["ts1.x", "ts2.y"]),
        (["ts1.a.org", "a.org"], ["ts1.a", "a"]),
        (["ts1.a.org", "ts2.b.com"], ["ts1.a.org", "ts2.b.com"]),
        (["ts1.a.org", "ts2"], ["ts1.a.org", "ts2"]),
        (["10.0.0.1", "10.1.0.1"], ["10.0.0.1", "10.1.0.1"]),
        (["ts1.a.org", "10.1.0.1"], ["ts1.a.org", "10.1.0.1"]),
        ([], []),
    ],
)
def test_a_shared_domain_is_cut_off_names_and_of_no_address(hosts: list[str], short: list[str]) -> None:
    assert without_shared_domain(hosts) == short


def test_a_domain_that_tells_two_people_of_one_host_apart_stays() -> None:
    users = ["SCHOOL\\alice", "LIBRARY\\Alice", "SCHOOL\\bob", "SCHOOL\\BOB", "TS2\\bob", "carol"]
    hosts = ["ts1", "ts1", "ts1", "ts1", "ts2", "ts2"]
    assert without_domain(users, hosts) == ["SCHOOL\\alice", "LIBRARY\\Alice", "bob", "BOB", "bob", "carol"]


@given(WORDS, WIDTHS)
def test_a_reason_goes_on_in_the_next_line(reason: str, width: int) -> None:
    lines = table_lines(RESULT_COLUMNS, [("ts1", "2", "SCHOOL\\alice", "", "refused", reason)], width)
    assert max(map(cell_len, lines)) <= width
    assert " ".join(" ".join(lines[1:]).split()).endswith(reason)


def test_the_runs_fit_into_a_terminal_with_host_and_reason() -> None:
    row = ("20261130-125847-1f2e", "2026-11-30 12:58", "4h12m", "maintain", "ts1, ts2, ts3 and 37 more", "root@admin")
    lines = table_lines(RUN_COLUMNS, [(*row, "partly", "Windows updates for all of the school's hosts")], 80)
    assert max(map(cell_len, lines)) <= 80
    assert lines[1].startswith(row[0])
    assert {"37", "partly", "school's"} <= set(" ".join(lines).split())
