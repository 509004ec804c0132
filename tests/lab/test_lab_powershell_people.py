"""Never the wrong person: the whole client against real PowerShell, where somebody else is in the seat."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from conftest import find_engine, missing
from support.alike import world
from support.fake_clock import FakeClock
from support.lab_target import reach

from mpsbridge.host import Host
from mpsbridge.lab import Lab
from mpsbridge.lab.engines.powershell.engine import PowerShellEngine
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.models.sessions import Result, Session, SessionResult

pytestmark = pytest.mark.engine

LOGON = "2026-11-25T09:00:00Z"


def person(number: int, user: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "user": user, "logon": LOGON, "session_name": f"rdp-tcp#{number}", **more}


HOSTS: list[dict[str, Any]] = [
    {"name": f"{case}-{generation}", "generation": generation, **facts}
    for generation in ("none", "2016")
    for case, facts in (
        ("reused", {"sessions": [person(2, "alice"), person(3, "bob")]}),
        ("reborn", {"sessions": [person(2, "alice"), person(3, "bob")]}),
        ("number", {"sessions": [person(2, "user 12"), person(12, "12"), person(13, "user")]}),
        ("twice", {"language": "en", "oem": 437, "sessions": [person(2, "алиса"), person(3, "bob")]}),
        ("own", {"caller_session": 2, "sessions": [person(2, "alice"), person(3, "bob")]}),
        ("console", {"sessions": [person(2, "alice")]}),
    )
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    program = find_engine()
    if program is None:
        missing("a PowerShell engine (MPSBRIDGE_PWSH, PATH, or shared/pwsh)")
    with Lab(world(*HOSTS), auth="basic", engine=PowerShellEngine(program)) as started:
        yield started


class Client:
    """One host of the lab, asked and acted on; ``acts`` is what happened to people there."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.name = name
        self.host = Host(reach(lab, name), clock=FakeClock())

    def sessions(self) -> dict[int, Session]:
        return {session.id: session for session in self.host.observe().sessions}

    def end(self, *sessions: Session) -> dict[int, SessionResult]:
        return {each.session.id: each for each in self.host.log_off(sessions, run="run-1")}

    def change(self) -> Any:
        return self.lab.world.changing()

    def acts(self) -> list[tuple[str, int | None, str | None]]:
        return [(each.act, each.session_id, each.user) for each in self.lab.changes if each.host == self.name]


@pytest.fixture
def client(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client of the host that the test names."""
    made = Client(lab, request.param)
    yield made
    made.host.close()


def replaced(host: LabHost, number: int, user: str, later: timedelta, *, same_row: bool) -> None:
    """Session ``number`` is another one now; its row may look the very same."""
    host.sessions = [each for each in host.sessions if each.id != number]
    new = host.log_on(user, session_name=f"rdp-tcp#{number}")
    new.id = number
    new.logon = host.sessions[0].logon if same_row else host.sessions[0].logon + later
    new.born = host.sessions[0].born + later


@pytest.mark.parametrize("client", ["reused-none", "reused-2016"], indirect=True)
def test_w05_somebody_else_under_the_same_number_is_left_alone(client: Client) -> None:
    seen = client.sessions()
    with client.change() as hosts:
        replaced(hosts[client.name], 2, "carol", timedelta(minutes=30), same_row=False)
    results = client.end(seen[2], seen[3])
    assert (results[2].result, results[3].result) == (Result.CHANGED, Result.ENDED)
    assert client.acts() == [("logon", 1, "carol"), ("logoff", 3, "bob")]


@pytest.mark.parametrize("client", ["reborn-none", "reborn-2016"], indirect=True)
def test_w05_the_very_same_row_of_another_birth_is_left_alone(client: Client) -> None:
    seen = client.sessions()
    with client.change() as hosts:
        replaced(hosts[client.name], 3, "bob", timedelta(seconds=20), same_row=True)
    before, after = seen[3], client.sessions()[3]
    assert (before.user, before.logon_text, before.born) != (after.user, after.logon_text, after.born)
    assert (before.user, before.logon_text) == (after.user, after.logon_text)
    assert client.end(before)[3].result is Result.CHANGED
    assert ("logoff", 3, "bob") not in client.acts()


@pytest.mark.parametrize("client", ["number-none"], indirect=True)
def test_w31_a_name_that_ends_in_a_number_is_not_the_session_of_that_number(client: Client) -> None:
    seen = client.sessions()
    assert {number: each.user for number, each in seen.items()} == {2: "user 12", 12: "12", 13: "user"}
    for number in (12, 2, 13):
        client.host.message([seen[number]], f"for {number}", run="run-1")
    with client.change() as hosts:
        assert {each.id: each.boxes for each in hosts[client.name].rows()} == {
            number: [f"for {number}"] for number in (2, 12, 13)
        }
    assert client.end(seen[2])[2].result is Result.ENDED
    assert client.acts()[-1] == ("logoff", 2, "user 12")
    assert set(client.sessions()) == {12, 13}


@pytest.mark.parametrize("client", ["twice-none", "twice-2016"], indirect=True)
def test_w31_two_rows_that_fit_are_one_too_many(client: Client) -> None:
    """A captured table showed a row twice; here two rows of one number have the same bytes."""
    seen = client.sessions()
    with client.change() as hosts:
        host = hosts[client.name]
        twin = host.log_on("алина", session_name="rdp-tcp#2")
        twin.id, twin.logon = 2, host.sessions[0].logon
    results = client.end(seen[2], seen[3])
    assert (results[2].result, results[2].text) == (Result.REFUSED, "more than one row of the table fits")
    assert (results[3].result, results[3].text) == (Result.UNKNOWN, "could not look: two rows have the session id 2")
    assert [act for act in client.acts() if act[0] == "logoff"] == [("logoff", 3, "bob")]


@pytest.mark.parametrize("client", ["own-2016"], indirect=True)
def test_the_callers_own_session_is_never_ended(client: Client) -> None:
    seen = client.sessions()
    assert seen[2].own
    bare = seen[2].model_copy(update={"guard": seen[3].guard.model_copy(update={"id": 2, "user": "alice"})})  # type: ignore[union-attr] # a row has one
    assert client.end(bare)[2].result in {Result.REFUSED, Result.CHANGED}
    assert client.acts() == []


@pytest.mark.parametrize("client", ["console-none"], indirect=True)
def test_session_0_listeners_and_a_console_without_a_user_are_nobody(client: Client) -> None:
    seen = client.host.observe()
    assert [session.id for session in seen.sessions if session.guard is not None] == [2]
    assert not {0, 65536} & {session.id for session in seen.sessions if session.guard is not None}
    assert client.end(*[each for each in seen.sessions if each.guard])[2].result is Result.ENDED
    assert client.acts() == [("logoff", 2, "alice")]
