"""Looking, restarting and shutting down on the real PowerShell engine: nobody who should not be is there (W24)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.acting import ALICE, BOB, USER
from support.snippet_calls import held, order
from support.windows import BOOT, Person, Windows, moved

from mpsbridge.errors import AccessDenied, Blind, RemoteError
from mpsbridge.lab.windows.processes import processes
from mpsbridge.lab.windows.programs import ProgramResult
from mpsbridge.models.answers import ObserveAnswer
from mpsbridge.models.sessions import AllowedSession
from mpsbridge.snippets.envelope import open_envelope
from mpsbridge.snippets.observe import Look, Observe
from mpsbridge.snippets.power import OrderPower, PowerAnswer

pytestmark = pytest.mark.engine

LOOKED = (
    "now",
    "utc_offset_min",
    "boot",
    "computer",
    "quser",
    "qwinsta",
    "oem",
    "ansi",
    "births",
    "witness",
    "logons",
    "caller",
    "lease",
    "unready",
    "offset_until",
    "sets_logons",
)

# Looking.


@pytest.mark.parametrize("dialect", ["", "5.1"])
def test_w16_a_look_is_the_small_half_of_an_observation(engine: Path, dialect: str) -> None:
    host = Windows(engine, [ALICE, BOB], lease=held())
    whole = open_envelope("observe", host.run(Observe().render(), json_dialect=dialect))
    small = open_envelope("look", host.run(Look().render(), json_dialect=dialect))
    assert small.problems == ()
    assert sorted(small.result) == sorted(LOOKED)
    same = [key for key in LOOKED if key != "now"]
    assert [small.result[key] for key in same] == [whole.result[key] for key in same]
    assert small.answer(ObserveAnswer).lease == held()


def test_w16_a_look_reads_as_an_observation(engine: Path) -> None:
    seen = Look.read(Windows(engine, [ALICE, BOB]).run(Look().render()))
    assert [(each.id, each.user) for each in seen.sessions] == [(2, "alice"), (5, "bob")]
    assert [each.guard for each in seen.sessions] == [ALICE.guard(), BOB.guard()]
    assert seen.processes_in == (2, 5)


def test_w16_a_later_look_is_one_line_and_the_header() -> None:
    header, call = Look().render().short.splitlines()
    assert header.startswith("# mpsbridge ")
    assert call == "Get-MpsbridgeLook -TimeLimitSeconds 20"
    assert len(Look().render().definitions) < len(Observe().render().definitions) / 1.5


def test_w38_programs_are_found_where_they_run(engine: Path) -> None:
    people = [moved(ALICE, programs=("explorer", "WINWORD", "winword")), moved(BOB, programs=("explorer", "excel"))]
    host = Windows(engine, people)
    service = {"name": "winword", "session": 0, "born": BOOT, "sid": "S-1-5-18"}
    host.facts["processes"] = lambda _: [*processes(host.host), service]
    seen = Observe.read(host.run(Observe(programs=("winword.exe", "Excel")).render()))
    assert seen.running == ((2, "winword"), (5, "excel"))
    assert Observe.read(host.run(Observe().render())).running == ()


def test_w38_wildcards_are_no_names(engine: Path) -> None:
    sent = Observe(programs=("winword",)).render()
    wild = sent.model_copy(update={"call": sent.call.replace("winword", "*")})
    envelope = open_envelope("observe", Windows(engine, [ALICE]).run(wild))
    assert envelope.problems == ("running programs: the list of programs is not sound",)


@pytest.mark.parametrize(("word", "discards"), [("Discard", True), ("Passive", False), ("NotInstalled", False)])
def test_w23_disk_protection_is_seen(engine: Path, word: str, discards: bool) -> None:
    host = Windows(engine, [], generation="2016", disk_protection=word)
    assert Observe.read(host.run(Observe().render())).discards_changes is discards


# Restarting and shutting down.


def give(host: Windows, action: str, *allowed: AllowedSession, **more: Any) -> PowerAnswer:
    output = host.run(order(action, *allowed, **more).render())
    assert output.errors == ()
    return OrderPower.read(output)


@pytest.mark.parametrize(("action", "switch"), [("restart", "/r"), ("shutdown", "/s")])
def test_w24_the_order_is_given_on_an_empty_host(engine: Path, action: str, switch: str) -> None:
    host = Windows(engine, [])
    answer = give(host, action)
    assert (answer.accepted, answer.going_down, answer.left, answer.text) == (True, False, (), "")
    assert answer.boot == BOOT
    (said,) = host.record
    assert said.program == "shutdown"
    assert said.arguments == [switch, "/f", "/t", "10", "/d", "p:0:0", "/c", "mpsbridge run-1: monthly patches"]
    who = "mpsbridge Information 1: Run run-1 of mpsbridge, as STATION-HOST\\Administrator"
    assert host.events == [f"{who}: {action} ordered: monthly patches."]


OWN = 3
LEFTOVER = Person(9, "-", listed=False)
NO_PROGRAM = Person(9, "carol", programs=())


@pytest.mark.parametrize(
    ("people", "allowed", "left"),
    [
        ([ALICE, BOB], (), (2, 5)),
        ([ALICE, BOB], (ALICE,), (5,)),
        ([ALICE, LEFTOVER], (ALICE,), (9,)),
        ([ALICE, NO_PROGRAM], (ALICE,), (9,)),
        ([Person(12, "user 3")], (Person(3, "user"),), (12,)),
        ([Person(12, "3")], (Person(3, "user"),), (12,)),
        ([Person(12, "x" * 18 + " 3")], (Person(3, "user"),), (12,)),
        ([moved(ALICE, idle="5")], (BOB,), (2,)),
        ([moved(ALICE, name="", state="Disc")], (), (2,)),
        ([moved(ALICE, id=OWN)], (), (OWN,)),
        ([moved(NO_PROGRAM, name="12")], (Person(12, "carol"),), (9,)),
    ],
)
def test_w24_somebody_is_left_and_nothing_is_done(
    engine: Path, people: list[Person], allowed: tuple[Person, ...], left: tuple[int, ...]
) -> None:
    host = Windows(engine, people, caller_session=OWN)
    answer = give(host, "restart", *(person.stays() for person in allowed))
    assert (answer.accepted, answer.left) == (False, left)
    assert "so it was not given" in answer.text
    assert host.record == []
    assert host.events == []


NOT_EVEN_A_WINLOGON = moved(LEFTOVER, traits={"winlogon": False})
UNREADABLE = moved(BOB, traits={"unreadable": True})
ANOTHER = Person(BOB.id, "zoe", born="20261125110500.000000+000")


@pytest.mark.parametrize(
    ("people", "dialect"),
    [
        pytest.param([ALICE, BOB], "5.1", id="w08-stations-that-came-back"),
        pytest.param([ALICE, moved(BOB, listed=False)], "", id="w08-one-that-is-going"),
        pytest.param([moved(BOB, traits={"sealed": True})], "", id="w05-a-birth-that-only-cim-tells"),
        pytest.param([LEFTOVER], "", id="w13-a-leftover-with-its-winlogon"),
        pytest.param([ALICE, NOT_EVEN_A_WINLOGON], "5.1", id="w13-a-leftover-without-it"),
    ],
)
def test_who_may_be_there_does_not_block_it(engine: Path, people: list[Person], dialect: str) -> None:
    host = Windows(engine, people)
    may = [allowed(person) for person in people]
    output = host.run(order("restart", *may, Person(77, "nobody").stays()).render(), json_dialect=dialect)
    assert OrderPower.read(output).accepted


def allowed(person: Person) -> AllowedSession:
    """As a caller would say it who saw this person; a row that has gone meanwhile makes no leftover."""
    born = None if "winlogon" in person.traits else person.born
    return person.stays(born=born, leftover=person in (LEFTOVER, NOT_EVEN_A_WINLOGON))


@pytest.mark.parametrize(
    ("seen", "there"),
    [
        pytest.param(BOB, ANOTHER, id="w05-somebody-else"),
        pytest.param(BOB, moved(ANOTHER, listed=False), id="w05-somebody-elses-leftover"),
        pytest.param(BOB, moved(BOB, born=ANOTHER.born), id="w05-the-same-person-in-another-session"),
        pytest.param(BOB, UNREADABLE, id="w05-a-birth-that-cannot-be-read"),
        pytest.param(BOB, moved(BOB, listed=False, traits={"winlogon": False}), id="w05-no-winlogon-any-more"),
        pytest.param(LEFTOVER, moved(LEFTOVER, listed=True, user="alice"), id="w13-a-leftover-with-a-row-again"),
        pytest.param(LEFTOVER, moved(LEFTOVER, born=ANOTHER.born), id="w13-another-leftover"),
        pytest.param(LEFTOVER, NOT_EVEN_A_WINLOGON, id="w13-another-leftover-without-winlogon"),
        pytest.param(NOT_EVEN_A_WINLOGON, moved(ANOTHER, id=9), id="w13-somebody-where-a-leftover-was"),
        pytest.param(NOT_EVEN_A_WINLOGON, LEFTOVER, id="w13-a-winlogon-where-there-was-none"),
        pytest.param(
            NOT_EVEN_A_WINLOGON,
            moved(LEFTOVER, traits={"unreadable": True}),
            id="w13-a-winlogon-that-cannot-be-asked",
        ),
        pytest.param(NOT_EVEN_A_WINLOGON, moved(NOT_EVEN_A_WINLOGON, listed=True, user="zoe"), id="w13-a-row"),
    ],
)
def test_w05_somebody_else_at_an_allowed_number_is_left(engine: Path, seen: Person, there: Person) -> None:
    """Between the caller's look and the script another session may have got the number."""
    logon_screen = Person(1, "-", listed=False, programs=())
    host = Windows(engine, [logon_screen, seen])
    host.later(1, [logon_screen, there])
    answer = give(host, "restart", allowed(seen))
    assert (answer.accepted, answer.left) == (False, (there.id,))
    assert host.record == []


def test_w13_where_no_winlogon_is_seen_at_all_nobody_is_taken_for_a_leftover(engine: Path) -> None:
    host = Windows(engine, [NOT_EVEN_A_WINLOGON])
    assert give(host, "restart", allowed(NOT_EVEN_A_WINLOGON)).left == (9,)
    assert host.record == []


def test_w24_somebody_who_comes_before_the_last_look_is_seen(engine: Path) -> None:
    host = Windows(engine, [])
    host.later(1, [BOB])
    assert give(host, "restart").left == (5,)
    assert host.record == []


def test_w14_only_an_administrator_can_be_sure(engine: Path) -> None:
    host = Windows(engine, [], **USER)
    with pytest.raises(AccessDenied, match="nothing was done"):
        give(host, "restart")
    assert host.record == []


@pytest.mark.parametrize("hangs", [[], ["quser.exe"]], ids=["qwinsta shows nothing", "quser hangs"])
@pytest.mark.xdist_group("timing")
def test_blind_is_not_empty(engine: Path, hangs: list[str]) -> None:
    host = Windows(engine, [], hangs=hangs)
    host.programs["qwinsta"] = lambda _: ProgramResult(1, err=b"No session exists for *\r\n")
    with pytest.raises(Blind, match="nothing was done"):
        give(host, "restart", time_limit_s=1)
    assert host.record == []


def test_a_row_that_cannot_be_read_is_not_nobody(engine: Path) -> None:
    host = Windows(engine, [moved(NO_PROGRAM, state="", idle="", logon="")])
    with pytest.raises(Blind, match="a row of query user cannot be read"):
        give(host, "restart")
    assert host.record == []


def test_processes_that_cannot_be_listed_are_not_nobody(engine: Path) -> None:
    host = Windows(engine, [], processes="denied")
    with pytest.raises(RemoteError):
        give(host, "restart")
    assert host.record == []


def test_w24_a_second_order_is_not_given(engine: Path) -> None:
    host = Windows(engine, [])
    assert host.host.schedule_shutdown("shutdown", 3600)
    answer = give(host, "restart")
    assert (answer.accepted, answer.going_down) == (False, True)
    assert "(1190)" in answer.text
    assert host.host.abort_shutdown(), "the first order stands"
    assert host.events == []


def test_w24_an_order_is_taken_back(engine: Path) -> None:
    host = Windows(engine, [ALICE])
    assert give(host, "restart", ALICE.stays()).accepted
    assert give(host, "abort").accepted
    answer = give(host, "abort")
    assert (answer.accepted, answer.going_down, "1116" in answer.text) == (False, False, True)
    assert [said.arguments[0] for said in host.record] == ["/r", "/a", "/a"]


def test_w24_the_reason_has_at_most_512_characters(engine: Path) -> None:
    reason = 'ends with "quotes" \\ ' + "\U0001f600" * 279
    host = Windows(engine, [])
    give(host, "restart", reason=reason, run="r" * 64)
    text = host.record[0].arguments[-1]
    assert ("mpsbridge " + "r" * 64 + ": " + reason).startswith(text)
    assert len(text.encode("utf-16-le")) // 2 in {511, 512}


def test_w04_too_late_is_no_order(engine: Path) -> None:
    host = Windows(engine, [])
    with pytest.raises(RemoteError, match="meant to be done by"):
        give(host, "restart", not_after="20200101000000.000000+000")
    assert host.record == []


@pytest.mark.parametrize("owner", ["run-2", None])
def test_w04_under_somebodys_lease_is_no_order(engine: Path, owner: str | None) -> None:
    host = Windows(engine, [], lease=held(owner))
    with pytest.raises(RemoteError, match="leased to ops@box"):
        give(host, "restart")
    assert host.record == []


def test_w04_under_its_own_lease_it_is_given(engine: Path) -> None:
    assert give(Windows(engine, [], lease=held()), "restart").accepted


def test_without_shutdown_it_is_an_error(engine: Path) -> None:
    host = Windows(engine, [], lacks=["shutdown.exe"])
    with pytest.raises(RemoteError, match="no shutdown") as raised:
        give(host, "restart")
    assert not raised.value.may_have_run


@pytest.mark.xdist_group("timing")
def test_an_order_of_which_nothing_is_heard_is_an_error(engine: Path) -> None:
    host = Windows(engine, [], hangs=["shutdown.exe"])
    with pytest.raises(RemoteError, match="not known"):
        give(host, "restart", time_limit_s=1)


BORN = '"born":"20261125103000.000000+000"'
UNSOUND = (
    "5",
    f'{{"id":"5; x",{BORN},"leftover":false}}',
    f'{{"id":5,{BORN}}}',
    f'{{"id":5,{BORN},"leftover":"false"}}',
    '{"id":5,"born":null,"leftover":false}',
    '{"id":5,"born":"","leftover":true}',
    '{"id":5,"born":"yesterday","leftover":false}',
    f'{{"id":5,{BORN},"leftover":false}},{{"id":5,{BORN},"leftover":true}}',
)


@pytest.mark.parametrize(
    "changes",
    [
        *({"Allowed": f'{{"allowed":[{text}]}}'} for text in UNSOUND),
        {"Allowed": "{}"},
        {"Action": "hibernate"},
        {"Run": ""},
    ],
)
def test_parameters_are_checked_on_the_host(engine: Path, changes: dict[str, str]) -> None:
    host = Windows(engine, [])
    sent = order("restart").render()
    with pytest.raises(RemoteError):
        OrderPower.read(host.call(sent.model_copy(update={"parameters": sent.parameters | changes})))
    assert host.record == []
