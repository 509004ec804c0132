"""Notices on the real PowerShell engine: the script marks the lease, and none is delivered twice (W2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.acting import ALICE, BOB, LATER, told
from support.snippet_calls import box, held
from support.windows import Windows, moved

from mpsbridge.models.sessions import Result
from mpsbridge.snippets.envelope import open_envelope
from mpsbridge.snippets.sessions import SendMessage, SessionActAnswer

pytestmark = pytest.mark.engine


@pytest.fixture
def host(engine: Path) -> Windows:
    return Windows(engine, [ALICE, BOB], lease=held(reason="it's ‘late’ & <b>", more={"a": [1], "b": []}))


def send(host: Windows, *people: Any, notice: str = "15m", dialect: str = "", **more: Any) -> list[SessionActAnswer]:
    guards = [person.guard() for person in people]
    output = host.run(box("15 minutes", *guards, notice=notice, **more).render(), json_dialect=dialect)
    assert output.errors == ()
    return list(SendMessage.read(output).sessions)


def marks(host: Windows) -> list[tuple[int, str, str, str]]:
    notices = json.loads(host.lease_file.read_text())["notices"]
    return [(each["id"], each["born"], each["notice"], each["mark"]) for each in notices]


def mark(person: Any, notice: str, word: str) -> dict[str, Any]:
    return {"id": person.id, "born": person.born, "notice": notice, "mark": word, "at": LATER}


@pytest.mark.parametrize("dialect", ["", "5.1"])
def test_each_notice_is_delivered_once(host: Windows, dialect: str) -> None:
    assert [each.result for each in send(host, ALICE, dialect=dialect)] == [Result.SHOWN]
    assert marks(host) == [(2, ALICE.born, "15m", "delivered")]
    first, second = send(host, ALICE, BOB, dialect=dialect)
    assert (first.result, first.text) == (Result.KEPT, "this notice was sent before")
    assert second.result is Result.SHOWN
    assert [each.result for each in send(host, ALICE, notice="5m", dialect=dialect)] == [Result.SHOWN]
    assert told(host) == [("msg", "2"), ("msg", "5"), ("msg", "2")]
    assert marks(host) == [
        (2, ALICE.born, "15m", "delivered"),
        (5, BOB.born, "15m", "delivered"),
        (2, ALICE.born, "5m", "delivered"),
    ]


def test_all_else_in_the_lease_stays_as_it_was(host: Windows) -> None:
    before = json.loads(host.lease_file.read_text())
    send(host, ALICE)
    after = json.loads(host.lease_file.read_text())
    assert {**after, "notices": []} == before


@pytest.mark.parametrize(
    ("word", "result"), [("sending", Result.UNKNOWN), ("delivered", Result.KEPT), ("failed", Result.SHOWN)]
)
def test_what_was_sent_or_may_have_been_is_not_sent_again(engine: Path, word: str, result: Result) -> None:
    again = result is Result.SHOWN
    host = Windows(engine, [ALICE], lease=held(notices=[mark(ALICE, "15m", word)]))
    (answer,) = send(host, ALICE)
    assert answer.result is result
    assert told(host) == ([("msg", "2")] if again else [])
    assert marks(host) == [(2, ALICE.born, "15m", "delivered" if again else word)]


def test_a_mark_is_of_one_birth_only(engine: Path) -> None:
    host = Windows(engine, [ALICE], lease=held(notices=[mark(moved(ALICE, born=LATER), "15m", "delivered")]))
    assert [each.result for each in send(host, ALICE)] == [Result.SHOWN]
    assert len(marks(host)) == 2


def test_what_was_not_sent_is_marked_so(engine: Path) -> None:
    away = moved(BOB, name="", state="Disc")
    host = Windows(engine, [moved(ALICE, traits={"protected": True}), away], lease=held())
    assert [each.result for each in send(host, ALICE, away)] == [Result.REFUSED, Result.REFUSED]
    assert [each[3] for each in marks(host)] == ["failed", "failed"]


@pytest.mark.xdist_group("timing")
def test_a_box_of_which_nobody_knows_stays_marked_as_sending(engine: Path) -> None:
    host = Windows(engine, [ALICE], lease=held(), hangs=["msg.exe"])
    assert [each.result for each in send(host, ALICE, time_limit_s=1)] == [Result.UNKNOWN]
    assert marks(host) == [(2, ALICE.born, "15m", "sending")]


@pytest.mark.parametrize("there", [None, held("run-2"), held(None, expires=None), "damaged", ""])
def test_without_the_runs_own_lease_no_notice_is_sent(engine: Path, there: str | None) -> None:
    host = Windows(engine, [ALICE], lease=there)
    (answer,) = send(host, ALICE)
    assert (answer.result, "no lease here" in answer.text) == (Result.REFUSED, True)
    assert host.record == []
    assert (host.lease_file.read_text() if there is not None else None) == there


def test_a_full_lease_takes_no_more_marks(engine: Path) -> None:
    host = Windows(engine, [ALICE], lease=held(reason="x" * 249_700))
    (answer,) = send(host, ALICE)
    assert (answer.result, "no more marks" in answer.text) == (Result.REFUSED, True)
    assert host.record == []


def test_a_plain_message_marks_nothing(host: Windows) -> None:
    before = host.lease_file.read_text()
    output = host.run(box("hello", ALICE.guard()).render())
    assert open_envelope("message", output).ok
    assert host.lease_file.read_text() == before
