"""Never the wrong person: the guard on the real PowerShell engine, judged by what the stand-in programs were told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.acting import ACTS, ALICE, BOB, DONE, LATER, PROGRAM, USER, answers, results, script, told
from support.pwsh import run_script
from support.snippet_calls import log_off
from support.windows import Act, Person, Windows, moved, row

from mpsbridge.errors import RemoteError
from mpsbridge.lab.windows.accounts import caller
from mpsbridge.models.sessions import Result
from mpsbridge.snippets.observe import Observe
from mpsbridge.snippets.render import TEMPLATES
from mpsbridge.snippets.sessions import LogOffSessions

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("dialect", ["", "5.1"])
@pytest.mark.parametrize("name", ACTS)
def test_the_right_person_and_nobody_else(engine: Path, name: str, dialect: str) -> None:
    host = Windows(engine, [ALICE, BOB])
    (answer,) = answers(host, script(name, ALICE.guard()), json_dialect=dialect)
    assert (answer.id, answer.result) == (2, DONE[name])
    assert told(host) == [(PROGRAM[name], "2")]
    assert 5 in host.ids


@pytest.mark.parametrize("name", ACTS)
def test_w05_the_number_belongs_to_somebody_else_now(engine: Path, name: str) -> None:
    host = Windows(engine, [moved(BOB, id=2)])
    assert results(host, script(name, ALICE.guard())) == [Result.CHANGED]
    assert host.record == []


@pytest.mark.parametrize("name", ACTS)
def test_w05_the_same_row_with_another_birth(engine: Path, name: str) -> None:
    host = Windows(engine, [moved(ALICE, born=LATER)])
    assert results(host, script(name, ALICE.guard())) == [Result.CHANGED]
    assert host.record == []


@pytest.mark.parametrize("name", ACTS)
def test_w05_a_birth_that_cannot_be_read_any_more(engine: Path, name: str) -> None:
    host = Windows(engine, [moved(ALICE, traits={"unreadable": True})])
    assert results(host, script(name, ALICE.guard())) == [Result.UNKNOWN]
    assert host.record == []


def test_w05_other_text_without_births_is_unknown_never_gone(engine: Path) -> None:
    host = Windows(engine, [moved(ALICE, logon="11/25/2026 10:00 AM")], **USER)
    assert results(host, script("logoff", ALICE.guard(born=None))) == [Result.UNKNOWN]
    assert host.record == []


def test_w05_other_text_with_the_same_birth_is_unknown(engine: Path) -> None:
    host = Windows(engine, [moved(ALICE, logon="11/25/2026 10:00 AM")])
    assert results(host, script("logoff", ALICE.guard())) == [Result.UNKNOWN]
    assert host.record == []


def test_without_births_the_row_alone_decides(engine: Path) -> None:
    host = Windows(engine, [ALICE, BOB], **USER)
    assert results(host, script("logoff", ALICE.guard(born=None))) == [Result.ENDED]
    assert told(host) == [("logoff", "2")]


@pytest.mark.parametrize("born", [ALICE.born, None])
def test_gone_is_no_row_and_no_process(engine: Path, born: str | None) -> None:
    host = Windows(engine, [BOB])
    assert results(host, script("logoff", ALICE.guard(born=born))) == [Result.GONE]
    assert host.record == []


@pytest.mark.parametrize("elevated", [True, False])
def test_w13_processes_without_a_row_are_not_gone(engine: Path, elevated: bool) -> None:
    host = Windows(engine, [moved(ALICE, listed=False)], rights="admin" if elevated else "rds")
    (answer,) = answers(host, script("logoff", ALICE.guard(born=ALICE.born if elevated else None)))
    assert (answer.result, "still run" in answer.text) == (Result.UNKNOWN, True)
    assert host.record == []


def test_w14_an_account_that_may_not_see_does_not_call_anybody_gone(engine: Path) -> None:
    kiosk = moved(ALICE, listed=False, programs=("kiosk",))
    host = Windows(engine, [kiosk], **USER)
    assert results(host, script("logoff", ALICE.guard(born=None))) == [Result.UNKNOWN]


def test_a_logon_screen_without_a_person_is_gone(engine: Path) -> None:
    host = Windows(engine, [moved(ALICE, listed=False, programs=())])
    assert results(host, script("logoff", ALICE.guard())) == [Result.GONE]
    assert host.record == []


@pytest.mark.parametrize("name", ACTS)
def test_w31_two_rows_that_fit_are_refused(engine: Path, name: str) -> None:
    host = Windows(engine, [ALICE, moved(ALICE, name="rdp-tcp#9")])
    assert results(host, script(name, ALICE.guard())) == [Result.REFUSED]
    assert host.record == []


@pytest.mark.parametrize(("marked", "own"), [(2, 0), (0, 2)], ids=["marked in the table", "by its processes"])
@pytest.mark.parametrize("name", ACTS)
def test_the_callers_own_session_is_refused(engine: Path, name: str, marked: int, own: int) -> None:
    host = Windows(engine, [ALICE, BOB], caller_session=marked)
    host.facts["caller"] = lambda _: caller(host.host) | {"session_id": own}
    (answer,) = answers(host, script(name, ALICE.guard()))
    assert (answer.result, "own session" in answer.text) == (Result.REFUSED, True)
    assert host.record == []


@pytest.mark.parametrize(
    "sessions",
    [
        '{"sessions":[{"id":0,"born":null,"user":"alice","logon":"x","state":"Active"}]}',
        '{"sessions":[{"id":"","born":null,"user":"alice","logon":"x","state":"Active"}]}',
        '{"sessions":[{"born":null,"user":"alice","logon":"x","state":"Active"}]}',
        '{"sessions":[{"id":65536,"born":null,"user":"alice","logon":"x","state":"Active"}]}',
        '{"sessions":[{"id":-2,"born":null,"user":"alice","logon":"x","state":"Active"}]}',
        '{"sessions":[{"id":2.5,"born":null,"user":"alice","logon":"x","state":"Active"}]}',
        '{"sessions":[{"id":[2,5],"born":null,"user":"alice","logon":"x","state":"Active"}]}',
        '{"sessions":[{"id":2,"born":"today","user":"alice","logon":"x","state":"Active"}]}',
        '{"sessions":[{"id":2,"born":null,"user":"","logon":"x","state":"Active"}]}',
        '{"sessions":[{"id":2,"born":null,"user":"alice","logon":"","state":"Active"}]}',
        '{"sessions":[]}',
        "{}",
        '{"sessions":[GOOD,{"id":2,"born":null,"user":"alice","logon":"x","state":"Active"}]}',
        '{"sessions":[GOOD,{"id":0,"born":null,"user":"bob","logon":"x","state":"Active"}]}',
        "not json",
    ],
)
def test_w34_the_list_is_checked_on_the_host(engine: Path, sessions: str) -> None:
    good = json.dumps(ALICE.guard().model_dump())
    sent = log_off(ALICE.guard()).render()
    call = sent.call.replace(json.dumps({"sessions": [ALICE.guard().model_dump()]}, separators=(",", ":")), "@@")
    odd = sent.model_copy(update={"call": call.replace("@@", sessions.replace("GOOD", good))})
    assert "@@" in call
    host = Windows(engine, [ALICE, BOB])
    with pytest.raises(RemoteError):
        LogOffSessions.read(host.run(odd))
    assert host.record == []


@pytest.mark.parametrize("name", ACTS)
def test_w04_too_late_is_expired(engine: Path, name: str) -> None:
    host = Windows(engine, [ALICE, BOB])
    sent = script(name, ALICE.guard(), BOB.guard(), not_after="20200101000000.000000+000")
    assert results(host, sent) == [Result.EXPIRED, Result.EXPIRED]
    assert host.record == []


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('{"run":"run-1","owner":"admin@box"}', Result.ENDED),
        ('{"run":"run-2","owner":"admin@box","expires":"20200101000000.000000+000"}', Result.ENDED),
        ('{"run":"run-2","owner":"admin@box","expires":"20991231000000.000000+000"}', Result.REFUSED),
        ('{"run":"run-2","owner":"admin@box"}', Result.REFUSED),
        ('{"run":null,"owner":"bob","reason":"do not touch"}', Result.REFUSED),
        ("damaged", Result.REFUSED),
        ("", Result.REFUSED),
        ("{}", Result.REFUSED),
    ],
)
def test_w04_the_lease_is_asked_before_each_act(engine: Path, text: str, result: Result) -> None:
    host = Windows(engine, [ALICE], lease=text)
    assert results(host, script("logoff", ALICE.guard())) == [result]
    assert bool(host.record) == (result is Result.ENDED)


@pytest.mark.parametrize(
    ("was", "name", "now", "result"),
    [
        ("Disc", "rdp-tcp#1", "Active", Result.REFUSED),
        ("Disc", "", "Disc", Result.ENDED),
        ("Active", "", "Disc", Result.ENDED),
    ],
)
def test_w02_who_has_come_back_meanwhile_is_not_ended(
    engine: Path, was: str, name: str, now: str, result: Result
) -> None:
    host = Windows(engine, [moved(ALICE, name=name, state=now)])
    assert results(host, script("logoff", ALICE.guard(state=was))) == [result]
    assert bool(host.record) == (result is Result.ENDED)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('{"run":"run-1","owner":"admin@box"}', Result.ENDED),
        ('{"run":"run-2","owner":"admin@box","expires":"20200101000000.000000+000"}', Result.REFUSED),
        (None, Result.REFUSED),
    ],
)
def test_w19_what_a_run_sends_acts_only_while_that_run_holds_the_host(
    engine: Path, text: str | None, result: Result
) -> None:
    host = Windows(engine, [ALICE], lease=text)
    assert results(host, script("logoff", ALICE.guard(), lease="held")) == [result]
    assert bool(host.record) == (result is Result.ENDED)


def test_a_message_needs_no_lease(engine: Path) -> None:
    host = Windows(engine, [ALICE], lease='{"run":"run-2","owner":"admin@box"}')
    assert results(host, script("message", ALICE.guard())) == [Result.SHOWN]


TWELVE = Person(12, "user 12", name="rdp-tcp#12", logon="11/25/2026 12:12 PM")


@pytest.mark.parametrize("name", ACTS)
def test_w31_a_user_named_user_12_with_id_12(engine: Path, name: str) -> None:
    others = [Person(1, "user", logon=TWELVE.logon), Person(121, "user 121", logon=TWELVE.logon)]
    host = Windows(engine, [others[0], TWELVE, others[1]])
    assert results(host, script(name, TWELVE.guard())) == [DONE[name]]
    assert told(host) == [(PROGRAM[name], "12")]


@pytest.mark.parametrize(
    ("guarded", "there"),
    [
        (Person(12, "user"), Person(3, "user 12")),
        (Person(3, "user"), Person(12, "user 3")),
        (Person(2, "al"), Person(2, "alice")),
        (Person(2, "alice"), Person(2, "al")),
        (Person(2, "alice"), Person(2, "Alice")),
        (Person(2, "bob"), Person(2, "bob  x")),
        (Person(2, "bob"), Person(2, "> bob")),
        (Person(2, "bob"), Person(7, "bob  2")),
        (Person(2, "bob"), Person(7, "bob  2", name="", state="Disc")),
        (Person(2, "alice"), Person(22, "alice")),
        (Person(22, "alice"), Person(2, "alice")),
        (Person(2, "alice", logon="5/2026 9:00 AM"), Person(2, "alice")),
        (Person(2, "alice"), Person(2, "alice", logon="11/25/2026 9:00 AM")),
        (Person(5, "12"), Person(12, "5")),
    ],
    ids=lambda person: f"{person.user} as {person.id}",
)
def test_w31_near_misses_without_births(engine: Path, guarded: Person, there: Person) -> None:
    host = Windows(engine, [there], **USER)
    (answer,) = answers(host, script("logoff", guarded.guard(born=None)))
    same = (guarded.user, guarded.id, guarded.logon) == (there.user, there.id, there.logon)
    if same:
        assert told(host) == [("logoff", str(there.id))]
    else:
        assert answer.result in {Result.UNKNOWN, Result.GONE}
        assert host.record == []


@pytest.mark.parametrize(
    ("page", "user", "state"),
    [
        ("cp850", "Jörg", "Getr."),
        ("cp850", "Zoë á", "Aktiv"),
        ("cp437", "márton à", "Active"),
        ("cp932", "山田 太郎", "Active"),
        ("cp936", "用户", "运行中"),
        ("cp866", "Иван Петров", "Активно"),
        ("cp1252", "nb\u00a0sp", "Active"),
        ("cp437", "a-very-long-name-xyz", "Active"),
        ("cp437", "$(calc)'\"`", "Active"),
        ("cp437", "x" * 20, "Active"),
        ("cp437", "7", "Active"),
    ],
)
def test_w31_names_in_the_bytes_of_any_code_page(engine: Path, page: str, user: str, state: str) -> None:
    person = Person(3, user, state=state, idle="none", logon="25.11.2026 09:00")
    host = Windows(engine, [ALICE, person, BOB], page=page)
    assert results(host, script("logoff", person.guard(page))) == [Result.ENDED]
    assert told(host) == [("logoff", "3")]


words = st.sampled_from(["1", "2", "12"]) | st.text(st.sampled_from("abAB12.-_$é\xa0\x85"), min_size=1, max_size=6)
names = st.lists(words, min_size=1, max_size=3).map(" ".join)
minutes = st.sampled_from(["11/25/2026 9:00 AM", "11/25/2026 9:01 AM", "25.11.2026 09:00", "25.11.2026 9:00"])
rows = st.builds(
    Person,
    id=st.integers(1, 30),
    user=names,
    name=st.sampled_from(["", "console", "rdp-tcp#1", "31c5ce94259d..."]),
    state=st.sampled_from(["Active", "Disc", "Getr.", "a b"]),
    idle=st.sampled_from([".", "none", "5", "12", "1:23", "24692+13:29"]),
    logon=minutes,
)

FOUND = r"""
foreach ($table in (ConvertFrom-Json -InputObject ([IO.File]::ReadAllText('@FILE@'))).tables) {
    (@(foreach ($guard in $table.guards) { @(Find-MpsbridgeRow $guard $table.lines).Count }) -join ' ')
}
"""


def identity(person: Person) -> tuple[str, int, str]:
    return person.user, person.id, person.logon


def strangers(person: Person) -> list[Person]:
    """Who could be taken for this person: with another number, or named like the beginning of the name."""
    parts = person.user.split(" ")
    numbers = {person.id, *(int(part) for part in parts if part in {"1", "2", "12"})}
    beginnings = [" ".join(parts[:count]) for count in range(1, len(parts))]
    beginnings += [person.user[:-1].rstrip(" "), person.user.swapcase()]
    others = [moved(person, id=person.id + 1), moved(person, logon=person.logon[1:])]
    return others + [moved(person, user=user, id=number) for user in beginnings if user for number in sorted(numbers)]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])  # the engine is a path
@given(tables=st.lists(st.lists(rows, min_size=1, max_size=3), min_size=40, max_size=40))
def test_w31_a_guard_fits_its_own_row_and_no_other(
    tables: list[list[Person]], engine: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    page = "latin-1"
    guarded = [table + [stranger for person in table for stranger in strangers(person)] for table in tables]
    asked = [
        {
            "lines": [row(person) for person in table],
            "guards": [person.guard(page).model_dump() for person in people],
        }
        for table, people in zip(tables, guarded, strict=True)
    ]
    (folder / "tables.json").write_text(json.dumps({"tables": asked}))
    functions = (TEMPLATES / "shared" / "guard.ps1.j2").read_text()
    output = run_script(engine, functions + FOUND.replace("@FILE@", str(folder / "tables.json")))
    assert output.errors == ()
    listed = [[identity(person) for person in table] for table in tables]
    expected = [
        " ".join(str(table.count(identity(person))) for person in people)
        for table, people in zip(listed, guarded, strict=True)
    ]
    assert list(output.output) == expected


def test_a_disconnected_row_has_no_session_name_and_is_found(engine: Path) -> None:
    person = Person(3, "carol", name="", state="Disc", idle="3")
    host = Windows(engine, [ALICE, person])
    assert results(host, script("logoff", person.guard())) == [Result.ENDED]
    assert told(host) == [("logoff", "3")]


def test_a_row_pushed_to_the_right_is_found(engine: Path) -> None:
    person = Person(3, "carol", state="Verbindung getrennt", idle="24692+13:29")
    host = Windows(engine, [ALICE, person])
    assert results(host, script("logoff", person.guard())) == [Result.ENDED]


def test_many_sessions_of_one_shared_account_are_told_apart(engine: Path) -> None:
    kiosks = [Person(number, "kiosk", name=f"rdp-tcp#{number}") for number in (2, 3, 4)]
    host = Windows(engine, kiosks)
    assert results(host, script("logoff", kiosks[1].guard())) == [Result.ENDED]
    assert host.ids == [2, 4]


def test_each_session_gets_its_own_answer_in_the_order_asked(engine: Path) -> None:
    host = Windows(engine, [ALICE, moved(BOB, born=LATER), Person(7, "dave")])
    guards = [Person(7, "dave").guard(), BOB.guard(), Person(9, "erin").guard(), ALICE.guard()]
    found = answers(host, script("logoff", *guards))
    assert [(each.id, each.result) for each in found] == [
        (7, Result.ENDED),
        (5, Result.CHANGED),
        (9, Result.GONE),
        (2, Result.ENDED),
    ]
    assert told(host) == [("logoff", "7"), ("logoff", "2")]


def test_w03_somebody_new_between_two_acts_of_one_script(engine: Path) -> None:
    host = Windows(engine, [ALICE, BOB])
    host.later(2, [Person(5, "mallory", born=LATER)])
    assert results(host, script("logoff", ALICE.guard(), BOB.guard())) == [Result.ENDED, Result.CHANGED]
    assert told(host) == [("logoff", "2")]


@pytest.mark.parametrize("name", ACTS)
def test_a_table_that_cannot_be_read_is_unknown(engine: Path, name: str) -> None:
    host = Windows(engine, [ALICE], lacks=["quser.exe"])
    (answer,) = answers(host, script(name, ALICE.guard()))
    assert (answer.result, answer.text) == (Result.UNKNOWN, "not done: this host has no quser.exe")
    assert host.record == []


def test_processes_that_cannot_be_listed_are_unknown(engine: Path) -> None:
    host = Windows(engine, [ALICE], processes="denied")
    assert results(host, script("logoff", ALICE.guard())) == [Result.UNKNOWN]
    assert results(host, script("logoff", Person(9, "erin").guard())) == [Result.UNKNOWN]
    assert host.record == []


@pytest.mark.parametrize("language", ["ConstrainedLanguage"])
@pytest.mark.parametrize("name", ACTS)
def test_w30_in_constrained_language_acts_refuse(engine: Path, name: str, language: str) -> None:
    host = Windows(engine, [ALICE])
    with pytest.raises(RemoteError, match=language) as caught:
        answers(host, script(name, ALICE.guard()), language=language)
    assert "jea" in caught.value.hint
    assert host.record == []


def test_what_observe_saw_is_what_end_ends(engine: Path) -> None:
    """The whole way: look, parse, take the guard that parsing made, act."""
    people = [ALICE, BOB, Person(12, "user 12", name="", state="Disc", idle="2+03:04")]
    host = Windows(engine, people)
    seen = Observe.read(host.run(Observe().render()))
    guards = [session.guard for session in seen.sessions if session.guard is not None]
    assert len(guards) == 3
    assert results(host, script("logoff", *guards[1:])) == [Result.ENDED, Result.ENDED]
    assert host.record == [Act("logoff", ["5"]), Act("logoff", ["12"])]
    assert host.ids == [2]
