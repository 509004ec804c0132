"""From the answer of ``observe`` to who is on, and to whether that could be seen at all."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsbridge.errors import (
    AccessDenied,
    Blind,
    CommandMissing,
    MpsBridgeError,
    ParseError,
    RemoteError,
)
from mpsbridge.models.answers import ObserveAnswer, WmsAnswer
from mpsbridge.models.bounds import TABLE_LIMIT
from mpsbridge.models.sessions import Observation, Session, SessionGuard, State, Station, Stations, to_cim
from mpsbridge.parsing.observation import observe
from mpsbridge.parsing.wms import stations
from mpsbridge.schemas.sessions import Session as PublishedSession

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HEADER = " USERNAME              SESSIONNAME        ID  STATE   IDLE TIME  LOGON TIME\r\n"
ALICE = " alice                 rdp-tcp#1           2  Active       1:23  11/25/2026 9:05 AM\r\n"
BOB = " bob smith                                 3  Disc      1+02:03  11/24/2026 8:00 AM\r\n"
QHEADER = " SESSIONNAME       USERNAME                 ID  STATE   TYPE        DEVICE\r\n"
SERVICES = " services                                    0  Disc\r\n"
QALICE = " rdp-tcp#1         alice                     2  Active\r\n"
QBOB = "                   bob smith                 3  Disc\r\n"
LISTENER = " rdp-tcp                                 65536  Listen\r\n"
BORN_2 = to_cim(NOW - timedelta(hours=2, minutes=55, seconds=12))
BORN_3 = to_cim(datetime(2026, 11, 24, 7, 59, 50, tzinfo=UTC))


def program(text: str | bytes = "", *, err: str = "", exit: int = 0, **more: object) -> dict[str, Any]:  # noqa: A002  # the field's name
    raw = text if isinstance(text, bytes) else text.encode("cp850")
    return {
        "exit": exit,
        "out": base64.b64encode(raw).decode(),
        "err": base64.b64encode(err.encode("cp850")).decode(),
        **more,
    }


def answer(
    *rows: str,
    quser: dict[str, Any] | None = None,
    qwinsta: dict[str, Any] | None = None,
    people: Sequence[int] = (),
    elevated: bool | None = True,
    **more: Any,
) -> ObserveAnswer:
    data: dict[str, Any] = {
        "now": to_cim(NOW),
        "utc_offset_min": 0,
        "boot": to_cim(NOW - timedelta(days=3)),
        "quser": program(HEADER + "".join(rows)) if quser is None else quser,
        "qwinsta": program(QHEADER + SERVICES + LISTENER) if qwinsta is None else qwinsta,
        "oem": 850,
        "ansi": 1252,
        "patterns": {"short_date": "M/d/yyyy", "short_time": "h:mm tt", "am": "AM", "pm": "PM", "locale": "en-US"},
        "witness": {"before": people, "after": people},
        "caller": {"account": "CORP\\admin", "elevated": elevated, "session_id": 0},
    }
    return ObserveAnswer.model_validate({**data, **more})


def only(observation: Observation) -> Session:
    (session,) = observation.sessions
    return session


def test_a_session_is_the_row_joined_with_all_that_is_known_of_its_id() -> None:
    observation = observe(
        answer(
            ALICE,
            BOB,
            qwinsta=program(QHEADER + SERVICES + QALICE + QBOB + LISTENER),
            people=(0, 2, 3),
            births=[{"id": 2, "born": BORN_2}, {"id": 3, "born": BORN_3}],
            owners=[{"id": 2, "account": "CORP\\alice", "sid": "S-1-5-21-1-2-3-1001"}],
            admins=[{"sid": "S-1-5-21-1-2-3-1001", "kind": "user"}],
            logons={"mode": "drain"},
        ),
        ["a problem of the host"],
    )
    alice, bob = observation.sessions
    assert PublishedSession.of(alice).as_json() == {
        "id": 2,
        "user": "alice",
        "user_text": "alice",
        "account": "CORP\\alice",
        "session_name": "rdp-tcp#1",
        "state": "active",
        "state_text": "Active",
        "idle_s": 4980,
        "idle_text": "1:23",
        "logon": "2026-11-25T09:05:00Z",
        "logon_text": "11/25/2026 9:05 AM",
        "born": "2026-11-25T09:04:48Z",
        "own": False,
        "admin": True,
        "station": None,
        "client": None,
    }
    assert alice.guard == SessionGuard(id=2, born=BORN_2, user="alice", logon="11/25/2026 9:05 AM", state="Active")
    assert (bob.user, bob.state, bob.admin, bob.account, bob.idle_s) == (
        "bob smith",
        State.DISCONNECTED,
        None,
        None,
        93780,
    )
    assert bob.guard is not None
    assert [row.table for row in observation.rows] == ["quser", "quser", "qwinsta", "qwinsta", "qwinsta", "qwinsta"]
    assert (observation.processes_in, observation.leftovers) == ((2, 3), ())
    assert (observation.logon_mode, observation.multipoint, observation.elevated) == ("drain", None, True)
    assert observation.problems == ("a problem of the host",)


def test_times_are_in_the_offset_of_the_host() -> None:
    observation = observe(answer(ALICE, utc_offset_min=330, births=[{"id": 2, "born": to_cim(NOW)}]))
    assert observation.observed.isoformat() == "2026-11-25T17:30:00+05:30"
    assert observation.boot is not None
    assert observation.boot.utcoffset() == timedelta(minutes=330)
    assert only(observation).born == NOW


def test_w07_without_the_offset_no_logon_text_is_read_and_that_is_said() -> None:
    observation = observe(answer(ALICE, utc_offset_min=None))
    assert observation.observed == NOW
    assert only(observation).logon is None
    assert len(observation.problems) == 1


def test_listeners_services_session_0_and_rows_without_a_user_are_never_sessions() -> None:
    zero = ALICE.replace("  2  Active", "  0  Active")
    observation = observe(
        answer(
            zero,
            qwinsta=program(QHEADER + SERVICES + " console                                     1  Conn\r\n" + LISTENER),
        )
    )
    assert observation.sessions == ()
    assert len(observation.rows) == 4
    assert "session 0" in observation.problems[0]


def test_the_own_session_is_known_by_its_id_or_its_mark() -> None:
    assert only(observe(answer(ALICE, caller={"elevated": True, "session_id": 2}))).own
    assert only(observe(answer(">" + ALICE[1:]))).own
    assert only(observe(answer(">" + ALICE[1:]))).guard is not None


def test_w06_a_name_that_fills_its_column_may_be_cut() -> None:
    cut = " abcdefghijklmnopqrst  rdp-tcp#1           2  Active          .  11/25/2026 9:05 AM\r\n"
    whole = " abcdefghijklmnopqrs   rdp-tcp#1           2  Active          .  11/25/2026 9:05 AM\r\n"
    assert [only(observe(answer(row))).cut for row in (cut, whole)] == [True, False]


def test_a_row_that_the_host_could_not_find_has_no_guard_and_is_said() -> None:
    observation = observe(answer(ALICE.replace("alice                 rdp", "alice\trdp")))
    session = only(observation)
    assert (session.user, session.guard) == ("alice", None)
    assert observation.problems == ("session 2 cannot be matched byte for byte on the host, so it is never acted on",)


def as_text(text: str = "", *, err: str = "", page: int | None = 850, exit: int = 0) -> dict[str, Any]:  # noqa: A002  # the field's name
    return {"exit": exit, "text": text.replace("\r", "").rstrip("\n"), "error_text": err.rstrip(), "page": page}


def test_w30_text_in_place_of_bytes_makes_the_same_sessions_and_none_to_act_on() -> None:
    told = observe(answer(ALICE, BOB))
    seen = observe(answer(quser=as_text(HEADER + ALICE + BOB), qwinsta=as_text(QHEADER + SERVICES + LISTENER)))
    assert list(map(PublishedSession.of, seen.sessions)) == list(map(PublishedSession.of, told.sessions))
    assert [each.guard for each in seen.sessions] == [None, None]
    assert (told.constrained, seen.constrained) == (False, True)
    (problem,) = seen.problems
    assert "mpsbridge jea" in problem
    assert "mpsbridge jea" in seen.unguarded
    assert "mpsbridge jea" not in told.unguarded


def test_w30_text_of_standard_error_is_read_as_its_bytes_are() -> None:
    nobody = as_text(err="No User exists for *\n", exit=1)
    assert observe(answer(quser=nobody)).sessions == ()
    for elevated in (False, None):
        with pytest.raises(Blind):
            observe(answer(quser=nobody, elevated=elevated))
    with pytest.raises(AccessDenied):
        observe(answer(quser=as_text(err="Error [5]:Access is denied.\n", exit=1)))
    with pytest.raises(ParseError, match="printed nothing"):
        observe(answer(quser=as_text()))


def test_w30_a_name_that_the_host_read_by_the_wrong_page_is_mended() -> None:
    row = ALICE.replace("alice ", "jürgen")
    garbled = row.encode("cp850").decode("latin-1")
    assert "\x81" in garbled, "what Windows makes of that byte in page 1252, where it stands for nothing"
    for text, page in ((garbled, 1252), (row, 850), (row, 65001), (row, None), (row, 0)):
        assert only(observe(answer(quser=as_text(HEADER + text, page=page)))).user == "jürgen"


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "more"),
    [
        (ALICE.replace("rdp-tcp#1", "console  "), {}),
        (ALICE.replace("   1:23", "24692+13:29"), {}),
        (ALICE.replace("1:23", "9:23"), {}),
        (ALICE, {"wms": {"generation": "2016", "sessions": [{"id": 2, "station": 4}]}}),
        (ALICE, {"wms": {"generation": "2012", "stations": [{"id": 4, "session_id": 2}]}}),
    ],
)
def test_w01_idle_that_is_not_idle_is_unknown(row: str, more: dict[str, Any]) -> None:
    assert only(observe(answer(row, **more))).idle_s is None


def test_w05_birth_bounds_the_idle_time_where_the_logon_text_cannot_be_read() -> None:
    row = ALICE.replace("1:23", "9:23")
    assert only(observe(answer(row, patterns={}, births=[{"id": 2, "born": BORN_2}]))).idle_s is None
    assert only(observe(answer(row, patterns={}))).idle_s == 9 * 3600 + 23 * 60


# --- sight ------------------------------------------------------------------------------------------------------------


NOBODY = program(err="No User exists for *\r\n", exit=1)


def test_w12_an_elevated_caller_who_is_told_nobody_sees_an_empty_host() -> None:
    observation = observe(answer(quser=NOBODY))
    assert (observation.sessions, observation.leftovers) == ((), ())


@pytest.mark.parametrize("quser", [NOBODY, program(HEADER), program(), program(exit=1)])
@pytest.mark.parametrize("people", [(), (0,), (2,)])
@pytest.mark.parametrize("elevated", [False, None])
def test_w14_no_rows_for_a_caller_without_rights_is_blind(
    quser: dict[str, Any], people: Sequence[int], elevated: bool | None
) -> None:
    with pytest.raises(Blind) as caught:
        observe(answer(quser=quser, people=people, elevated=elevated))
    assert caught.value.hint
    assert caught.value.may_have_run


def test_w12_seeing_less_than_the_witness_is_blind() -> None:
    with pytest.raises(Blind, match="session 3"):
        observe(answer(ALICE, people=(2, 3), elevated=False))


def test_w14_a_delegated_caller_who_sees_all_that_the_witness_sees_is_believed() -> None:
    observation = observe(answer(ALICE, people=(0, 2), elevated=False))
    assert only(observation).user == "alice"
    assert observation.elevated is False


def test_w12_who_logs_on_or_off_meanwhile_is_no_proof_of_blindness_and_not_gone() -> None:
    observation = observe(answer(ALICE, elevated=False, witness={"before": [2, 3], "after": [2, 4]}))
    assert (observation.processes_in, observation.leftovers) == ((2, 3, 4), ())


@pytest.mark.parametrize("quser", [NOBODY, program(HEADER), program(HEADER + ALICE)])
def test_w13_processes_without_a_row_are_leftovers_to_an_elevated_caller(quser: dict[str, Any]) -> None:
    observation = observe(answer(quser=quser, people=(0, 5), births=[{"id": 5, "born": BORN_3}]))
    assert (observation.leftovers, observation.orphaned) == ((5,), (5,))
    assert [(number, to_cim(born)) for number, born in observation.births] == [(5, BORN_3)]


def test_w13_a_row_without_a_user_that_has_ended_is_orphaned_and_a_logon_screen_is_not() -> None:
    rows = (
        " console                                     1  Conn\r\n",
        "                                             2  Disc\r\n",
        " rdp-tcp#9                                   6  Down\r\n",
    )
    observation = observe(answer(ALICE, qwinsta=program(QHEADER + SERVICES + "".join(rows) + LISTENER), people=(0, 2)))
    assert [session.id for session in observation.sessions] == [2]
    assert observation.orphaned == (6,)
    empty = observe(answer(quser=NOBODY, qwinsta=program(QHEADER + SERVICES + "".join(rows) + LISTENER), people=(7,)))
    assert (empty.leftovers, empty.orphaned) == ((7,), (2, 6, 7))
    assert empty.model_dump(mode="json")["orphaned"] == [2, 6, 7]


@pytest.mark.parametrize("people", [(), (5,)])
@pytest.mark.parametrize("said", ["No session exists for *\r\n", "Error [5]:Access is denied.\r\n"])
def test_w13_query_session_tells_an_empty_host_from_a_blind_caller(people: Sequence[int], said: str) -> None:
    with pytest.raises(Blind, match="query session"):
        observe(answer(quser=NOBODY, qwinsta=program(err=said, exit=1), people=people))


def test_w13_without_query_session_an_elevated_caller_is_still_believed() -> None:
    missing = {"problem": "file not found"}
    observation = observe(answer(quser=NOBODY, qwinsta=missing))
    assert observation.sessions == ()
    assert "qwinsta.exe could not be started" in observation.problems[0]


def test_somebody_whom_only_query_session_shows_is_a_session_that_cannot_be_acted_on() -> None:
    observation = observe(answer(ALICE, qwinsta=program(QHEADER + SERVICES + QALICE + QBOB + LISTENER), people=(2, 3)))
    alice, bob = observation.sessions
    assert (alice.guard is not None, bob.guard, bob.user, bob.logon_text) == (True, None, "bob smith", None)
    assert observation.leftovers == ()
    assert "query session only" in observation.problems[0]


@pytest.mark.parametrize(
    ("quser", "error", "words"),
    [
        ({"problem": "The system cannot find the file specified"}, CommandMissing, "could not be started"),
        ({"timed_out": True}, RemoteError, "in time"),
        (program(HEADER + ALICE, timed_out=True), RemoteError, "in time"),
        (
            program(err="Error 0x00000005 enumerating\r\nError [5]:Access is denied.\r\n", exit=1),
            AccessDenied,
            "error 5",
        ),
        (program(err="Error [7045]:Denied.\r\n", exit=1), AccessDenied, "error 7045"),
        (program(err="Error [1722]:The RPC server is unavailable.\r\n", exit=1), RemoteError, "error 1722"),
        (program("QUERY USER [username] [/SERVER:name]\r\n", exit=1), RemoteError, "usage"),
        (program("rubbish\r\n"), ParseError, "neither a session table"),
        (program(), ParseError, "printed nothing"),
        (program(HEADER + ALICE + " bob\r\n"), ParseError, "line 3"),
        (program("Hello.\r\n" + HEADER + ALICE), ParseError, "more than its one table"),
        (program(QHEADER + QALICE), ParseError, "more than its one table"),
        (program(HEADER + ALICE + ALICE), ParseError, "two rows"),
        ({"out": "%%%"}, ParseError, "base64"),
    ],
)
@pytest.mark.parametrize("elevated", [True, False])
def test_an_answer_that_does_not_show_the_sessions_is_an_error_with_a_hint(
    quser: dict[str, Any], error: type[MpsBridgeError], words: str, elevated: bool
) -> None:
    expected = Blind if words == "printed nothing" and not elevated else error
    with pytest.raises(expected) as caught:
        observe(answer(quser=quser, elevated=elevated))
    assert type(caught.value) is expected
    assert expected is Blind or words in str(caught.value)
    assert caught.value.hint
    assert caught.value.may_have_run
    assert pickle.loads(pickle.dumps(caught.value)).hint == caught.value.hint  # noqa: S301  # our own bytes


def test_what_a_program_said_beside_its_table_is_kept() -> None:
    observation = observe(answer(quser=program(HEADER + ALICE, err="odd \x1b thing\r\n")))
    assert observation.problems == ("quser.exe printed a table, and on standard error: odd \\x1b thing",)


@pytest.mark.parametrize("field", ["now", "boot"])
@pytest.mark.parametrize("value", ["20261399000000.000000+000", "00010101000000.000000+000"])
def test_a_time_that_is_none_is_an_unreadable_answer(field: str, value: str) -> None:
    times: dict[str, Any] = {"utc_offset_min": -60, field: value}
    with pytest.raises(ParseError):
        observe(answer(ALICE, **times))


@given(
    st.binary(max_size=120),
    st.binary(max_size=40),
    st.booleans(),
    st.sampled_from([b"", HEADER.encode(), ALICE.encode()]),
)
def test_no_bytes_do_worse_than_an_error_of_ours(out: bytes, err: bytes, elevated: bool, before: bytes) -> None:
    quser = {"out": base64.b64encode(before + out).decode(), "err": base64.b64encode(err).decode(), "exit": 1}
    try:
        observation = observe(answer(quser=quser, elevated=elevated))
    except MpsBridgeError:
        return
    assert observation.sessions or elevated


# --- MultiPoint -------------------------------------------------------------------------------------------------------

WMS: dict[str, Any] = {
    "generation": "2016",
    "mode": "Normal",
    "sessions": [
        {"id": 2, "user": "alice", "domain": "CORP", "station": 1, "admin": False, "client": "10.0.0.7"},
        {"id": 3, "user": "bob smith", "domain": "CORP", "admin": True},
    ],
    "stations": [
        {"id": 1, "name": "Window", "session_id": 2, "user": "alice", "auto_logon": True},
        {"id": 2, "name": "", "session_id": None},
    ],
}


def test_multipoint_adds_station_client_account_and_administrator() -> None:
    observation = observe(answer(ALICE, BOB, wms=WMS))
    alice, bob = observation.sessions
    assert (alice.station, alice.client, alice.account, alice.admin) == (1, "10.0.0.7", "CORP\\alice", False)
    assert (bob.station, bob.client, bob.account, bob.admin) == (None, None, "CORP\\bob smith", True)
    assert (alice.idle_s, bob.idle_s) == (None, 93780)
    assert observation.multipoint == "2016"
    assert observation.stations == (
        Station(id=1, name="Window", session_id=2, user="alice", auto_logon=True),
        Station(id=2),
    )


@pytest.mark.parametrize(
    ("wms", "admins", "admin"),
    [(True, None, True), (False, None, False), (None, None, None), (None, [], None), (False, ["S-1-1"], True)],
)
def test_w10_an_administrator_is_known_from_multipoint_or_by_direct_membership(
    wms: bool | None, admins: list[str] | None, admin: bool | None
) -> None:
    view = {"generation": "2016", "sessions": [{"id": 2, "admin": wms}]}
    owners = [{"id": 2, "sid": "S-1-1"}]
    members = None if admins is None else [{"sid": sid, "kind": "group"} for sid in [*admins, "S-1-2"]]
    assert only(observe(answer(ALICE, wms=view, owners=owners, admins=members))).admin is admin


@pytest.mark.parametrize(
    ("word", "mode"),
    [
        ("Normal", "station"),
        ("normal", "station"),
        ("Console", "console"),
        ("ConsoleMode", "console"),
        ("Maintenance", "console"),
        ("Sonderbar", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_mode_of_a_multipoint_host(word: str | None, mode: str) -> None:
    found = stations(WmsAnswer.model_validate({**WMS, "mode": word}))
    assert isinstance(found, Stations)
    assert found.mode == mode
    assert [station.id for station in found.stations] == [1, 2]


def test_a_station_takes_its_user_from_the_session_that_sits_there() -> None:
    view = {
        "generation": "2012",
        "sessions": [{"id": 7, "user": "carol", "station": 3}],
        "stations": [{"id": 3}, {"id": 4, "session_id": 9}],
    }
    found = stations(WmsAnswer.model_validate(view))
    assert found.stations == (Station(id=3, session_id=7, user="carol"), Station(id=4, session_id=9))


def test_a_host_without_multipoint_has_no_stations() -> None:
    found = stations(None)
    assert (found.mode, found.stations) == ("none", ())


@pytest.mark.parametrize("over", [0, 10])
def test_a_table_is_read_up_to_its_limit(over: int) -> None:
    """Blank lines make it long and leave it what it is. (Base64 rounds up to three bytes, so 10 more of them.)"""
    blanks = (" " * 499 + "\n") * (TABLE_LIMIT // 500)
    quser = program(HEADER + blanks[: TABLE_LIMIT - len(HEADER)] + "\n" * over)
    if over:
        with pytest.raises(ParseError, match="more than 1000000 bytes"):
            observe(answer(quser=quser))
    else:
        assert observe(answer(quser=quser)).sessions == ()


def test_a_second_table_that_is_too_long_is_a_problem_and_no_more() -> None:
    seen = observe(answer(qwinsta=program(QHEADER + "\n" * (TABLE_LIMIT + 10))))
    assert any("more than 1000000 bytes" in problem for problem in seen.problems)
