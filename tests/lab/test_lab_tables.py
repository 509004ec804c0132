"""The printed tables: held against captured ones, column by column, and played back byte by byte."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_clock import FakeClock

from mpsbridge.lab import build_world
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.regions import PATTERNS, WORDS, read_back, written
from mpsbridge.lab.windows.tables import cells, quser_bytes, qwinsta_bytes, read_table
from mpsbridge.lab.worldfile import SHIPPED

CAPTURES = sorted(file.stem for file in (SHIPPED / "captures").glob("*.txt"))


def host_of(**facts: Any) -> LabHost:
    return build_world({"hosts": [{"name": "a", **facts}]}, FakeClock()).hosts["a"]


def at(line: str, start: int, end: int | None = None) -> str:
    """The text in a range of display cells."""
    spread = "".join(character + "\0" * (cells(character) - 1) for character in line)
    return spread[start:end].replace("\0", "")


@pytest.mark.parametrize("language", WORDS)
def test_columns_stand_where_captures_have_them(language: str) -> None:
    people = [
        {"id": 2, "user": "alice", "idle_s": 4500, "logon": "2h"},
        {"id": 14, "user": "bob", "state": "disconnected", "idle_s": 95_000, "logon": "3d"},
    ]
    host = host_of(language=language, sessions=people)
    head, alice, bob, end = quser_bytes(host).decode(f"cp{host.facts.oem}").split("\r\n")
    words = host.facts.words
    assert end == ""
    assert at(head, 1, 23).rstrip() == words.quser[0]
    assert at(head, 46, 53).rstrip() == words.quser[3]
    shift = max(0, cells(words.active) - 6)
    assert (at(alice, 0, 23).rstrip(), at(alice, 23, 38).rstrip(), at(alice, 38, 44)) == (
        " alice",
        "rdp-tcp#2",
        "     2",
    )
    assert at(alice, 46, 54).split()[0] == words.active
    assert at(alice, 54 + shift, 65 + shift) == "     1:15  "
    assert (at(bob, 23, 38).strip(), at(bob, 38, 44), at(bob, 46, 54).split()[0]) == ("", "    14", words.disconnected)
    assert at(bob, 54, 65) == "  1+02:23  "
    _, services, first, *_ = qwinsta_bytes(host).decode(f"cp{host.facts.oem}").split("\r\n")
    assert (services[:9], at(services, 40, 46), at(services, 48, 55).rstrip()) == (
        ">services",
        "     0",
        words.disconnected,
    )
    assert (at(first, 1, 19).rstrip(), at(first, 19, 40).rstrip(), at(first, 40, 46)) == (
        "rdp-tcp#2",
        "alice",
        "     2",
    )


def test_printed_rows_are_the_captured_ones() -> None:
    """What Windows printed, from the same facts: names, ids, idle times and logon times of captured rows."""
    for capture in CAPTURES:
        lines = (SHIPPED / "captures" / f"{capture}.txt").read_text(encoding="utf-8").splitlines()
        culture = {"en": "de-DE", "es": "en-US"}.get(capture)
        facts = host_of(language=capture, **({"culture": culture} if culture else {})).facts
        idle_none = facts.words.idle_none.strip()
        rows = read_table(lines, facts)
        assert rows, capture
        host = host_of(
            language=capture,
            **({"culture": culture} if culture else {}),
            sessions=[
                {
                    "id": row.id,
                    "user": row.user,
                    "logon": row.logon.isoformat() if row.logon else None,
                    "state": row.state,
                    **({"session_name": row.session_name} if row.session_name else {}),
                    **({} if (idle := _idle(lines[row.line])) == idle_none else {"idle_text": idle}),
                }
                for row in rows
            ],
        )
        printed = quser_bytes(host).decode(f"cp{facts.oem}").splitlines()
        # The captured Chinese header is aligned in cells, like ours; only its trailing text may differ.
        assert printed == [line.rstrip() for line in lines], capture


def _idle(line: str) -> str:
    fields = line[38:].split()
    return fields[2] if fields[0].isdigit() else fields[3]


def test_long_names_are_cut_and_what_does_not_fit_the_page_is_a_question_mark() -> None:
    host = host_of(sessions=[{"id": 2, "user": "maximilian.mustermann"}, {"id": 3, "user": "Ольга"}])
    lines = quser_bytes(host).split(b"\r\n")
    assert lines[1][:23] == b" maximilian.musterman  "
    assert lines[2][:7] == b" ????? "
    wide = host_of(language="zh-CN", sessions=[{"id": 2, "user": "管" * 11}])
    assert quser_bytes(wide).split(b"\r\n")[1][:23] == b" " + ("管" * 10).encode("gbk") + b"  "


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "."), (59, "."), (60, "1"), (3599, "59"), (3600, "1:00"), (86_399, "23:59"), (86_400, "1+00:00")],
)
def test_idle_times(seconds: int, text: str) -> None:
    host = host_of(sessions=[{"id": 2, "user": "alice", "idle_s": seconds}])
    assert quser_bytes(host).decode("cp437").splitlines()[1][54:63].strip() == text


def test_a_disconnected_session_grows_idle_while_the_clock_runs() -> None:
    clock = FakeClock()
    world = build_world({"hosts": [{"name": "a", "sessions": [{"id": 2, "user": "alice"}]}]}, clock)
    world.hosts["a"].disconnect(2)
    clock.wait(7260)
    assert quser_bytes(world.hosts["a"]).decode("cp437").splitlines()[1][54:63].strip() == "2:01"


def test_nobody_is_no_table_and_the_wide_layout_is_wider() -> None:
    assert quser_bytes(host_of()) == b""
    lines = qwinsta_bytes(host_of(wide=True)).decode("cp437").splitlines()
    assert lines[0].index("USERNAME") == 27
    assert [line[48:54].strip() for line in lines] == ["ID", "0", "1", "65536"]


# Played back.


@pytest.mark.parametrize("capture", CAPTURES)
def test_playback_is_the_very_capture_until_somebody_goes(capture: str) -> None:
    host = host_of(language=capture, playback=capture)
    page = f"cp{host.facts.oem}"
    shipped = (SHIPPED / "captures" / f"{capture}.txt").read_bytes()
    assert quser_bytes(host).decode(page).encode() == shipped
    for session in list(host.rows()):
        lines = quser_bytes(host).splitlines(keepends=True)
        gone = [
            row.line for row in read_table([line.decode(page) for line in lines], host.facts) if row.id == session.id
        ]
        host.log_off(session.id)
        del lines[gone[0]]
        assert quser_bytes(host) == (b"".join(lines) if host.rows() else b"")


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_captured_row_that_is_disconnected_loses_its_name_and_keeps_its_columns(capture: str) -> None:
    host = host_of(language=capture, playback=capture)
    page = f"cp{host.facts.oem}"
    session = next(each for each in host.rows() if each.state == "active")
    (number,) = session.lines
    before = quser_bytes(host).decode(page).splitlines()[number]
    host.disconnect(session.id)
    after = quser_bytes(host).decode(page).splitlines()[number]
    assert cells(after) == cells(before)
    assert session.user in after
    assert host.facts.words.disconnected in after
    assert (at(after, 23, 38).strip(), at(after, 38, 44)) == ("", at(before, 38, 44))
    (row,) = [row for row in read_table([after], host.facts) if row.id == session.id]
    assert row.state == "disconnected"
    host.reconnect(session.id)
    assert host.facts.words.active in quser_bytes(host).decode(page).splitlines()[number]


def test_whoever_arrives_stands_below_the_captured_rows_even_with_an_old_id() -> None:
    host = host_of(language="de", playback="de")
    host.log_off(4)
    arrival = host.log_on("frieda")
    host.log_off(5)
    second = host.log_on("gustav")
    lines = quser_bytes(host).decode("cp850").splitlines()
    assert [line.split()[0] for line in lines] == ["BENUTZERNAME", "frieda", "gustav"]
    assert (arrival.lines, second.lines) == ((), ())


def test_a_world_may_say_more_about_a_captured_session(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_bytes((SHIPPED / "captures" / "de.txt").read_bytes())
    raw = {
        "hosts": [{"name": "a", "language": "de", "playback": "mine.txt", "sessions": [{"id": 4, "user": "parent1"}]}]
    }
    raw["hosts"][0]["sessions"][0]["hung"] = True  # type: ignore[index] # plain data
    host = build_world(raw, FakeClock(), source=tmp_path / "world.toml").hosts["a"]
    host.log_off(4)
    assert b"parent1" in quser_bytes(host)


def test_every_capture_of_the_corpus_can_be_played_back(shared: Path, tmp_path: Path) -> None:
    index = json.loads((shared / "corpus" / "quser" / "index.json").read_text(encoding="utf-8"))
    played = 0
    for entry in index:
        if entry["command"] != "quser" or "escaped" in entry["notes"]:
            continue
        capture = (shared / "corpus" / "quser" / entry["file"]).read_bytes()
        (tmp_path / "table.txt").write_bytes(capture)
        facts = {"name": "a", "language": entry["language"], "playback": "table.txt"}
        host = build_world({"hosts": [facts]}, FakeClock(), source=tmp_path / "w.toml").hosts["a"]
        assert {each.id for each in host.sessions} == {row["id"] for row in entry["expected"]}, entry["file"]
        by_id = {row["id"]: row["username"] for row in entry["expected"]}
        assert {each.id: each.user for each in host.sessions} == by_id, entry["file"]
        shown = quser_bytes(host)
        assert "\x90" in capture.decode() or shown.decode(f"cp{host.facts.oem}").encode() == capture, entry["file"]
        for session in host.rows():
            host.log_off(session.id)
        assert quser_bytes(host) == b"", entry["file"]
        played += 1
    assert played >= 20


def test_a_capture_that_was_read_as_latin_1_gets_its_byte_back(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(
        " UTILISATEUR  ID  \x90TAT\r\n>user007  console  1  Actif  aucun  12/02/2023 07:11\r\n".encode()
    )
    raw = {"hosts": [{"name": "a", "language": "fr", "playback": "t.txt"}]}
    table = quser_bytes(build_world(raw, FakeClock(), source=tmp_path / "w.toml").hosts["a"])
    assert "ÉTAT" in table.decode("cp850")


@pytest.mark.parametrize(("state", "word"), [("shadow", "Shadow"), ("connected", "Verb."), ("connect_query", "ConnQ")])
def test_other_states(state: str, word: str) -> None:
    host = host_of(language="de", sessions=[{"id": 2, "user": "alice", "state": state}])
    assert word in quser_bytes(host).decode("cp850")


# Times as text.

FOUR_DIGITS = sorted(name for name, patterns in PATTERNS.items() if "yyyy" in patterns.short_date)


def test_a_year_of_two_digits_is_not_guessed() -> None:
    moment = datetime(2026, 11, 25, 8, 5)  # noqa: DTZ001 - local by design
    assert written(moment, PATTERNS["fr-BE"]) == "25-11-26 08:05"
    assert read_back("25-11-26 08:05", PATTERNS["fr-BE"]) is None


@given(st.datetimes().map(lambda moment: moment.replace(second=0, microsecond=0)), st.sampled_from(FOUR_DIGITS))
def test_a_written_time_reads_back(moment: Any, culture: str) -> None:
    assert read_back(written(moment, PATTERNS[culture]), PATTERNS[culture]) == moment


@pytest.mark.parametrize("text", ["", "today", "1/2/2026", "31/02/2026 08:00", "1/2/2026 8:00:00"])
def test_other_texts_are_no_times(text: str) -> None:
    assert read_back(text, PATTERNS["en-GB"]) is None
