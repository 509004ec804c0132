"""Giving back needs nothing but the small scripts for logons, failsafe and lease: no table that can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.fake_clock import FakeClock
from support.fake_host import FakeHost
from support.stage import Stage, clean, stage_of, two_people

from mpsbridge.errors import Blind, CommandMissing, MpsBridgeError, ParseError, RemoteError
from mpsbridge.models.sessions import LogonMode, to_cim
from mpsbridge.models.then import Then
from mpsbridge.planning.lease import Lease
from mpsbridge.runs.events import LeaseReleased, LeftBehind, LogonsRestored

Breaking = Callable[[FakeHost], bool]
THEIRS = Lease(run="r-9", owner="eve@box", since=to_cim(FakeClock().now()), expires=None).text()


@pytest.fixture
def host() -> FakeHost:
    return two_people()


@pytest.fixture
def stage(host: FakeHost, tmp_path: Path) -> Iterator[Stage]:
    with stage_of(host, tmp_path) as made:
        yield made


def break_table(host: FakeHost, when: Breaking, error: MpsBridgeError) -> None:
    def look(seen: FakeHost) -> None:
        if when(seen):
            raise error

    host.on_look = look


WHEN: dict[str, Breaking] = {
    "while people are told": lambda host: ("shown", ("alice", "5m")) in host.record,
    "at the end": lambda host: ("shown", ("alice", "1m")) in host.record,
    "after the end": lambda host: ("ended", "alice") in host.record,
}


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("error", [ParseError("quser: x"), Blind("x"), RemoteError("x"), CommandMissing("x")])
def test_a_table_that_cannot_be_read_any_more_keeps_nothing_closed(
    when: str, error: MpsBridgeError, stage: Stage, host: FakeHost
) -> None:
    break_table(host, WHEN[when], error)
    with pytest.raises(type(error)):
        stage.run(then=Then.RESTART)
    assert clean(host)
    told = [type(one.what) for one in stage.journal.entries("r-1")]
    assert LogonsRestored in told
    assert LeaseReleased in told
    assert not [one.what.why for one in stage.journal.entries("r-1") if isinstance(one.what, LeftBehind)]


def test_what_others_set_meanwhile_is_left_without_a_table_too(stage: Stage, host: FakeHost) -> None:
    def broken(seen: FakeHost) -> bool:
        if ("shown", ("alice", "5m")) in seen.record:
            seen.mode = LogonMode.DISABLED
            return True
        return False

    break_table(host, broken, ParseError("quser: x"))
    with pytest.raises(ParseError):
        stage.run()
    assert host.mode is LogonMode.DISABLED
    assert (host.lease, host.failsafe) == (None, None)


def test_a_lease_that_others_have_is_left_without_a_table_too(stage: Stage, host: FakeHost) -> None:
    def broken(seen: FakeHost) -> bool:
        if ("shown", ("alice", "5m")) in seen.record:
            seen.lease = THEIRS
            return True
        return False

    break_table(host, broken, ParseError("quser: x"))
    with pytest.raises(ParseError):
        stage.run()
    assert (host.lease, host.mode) == (THEIRS, LogonMode.DRAIN)
    assert any(isinstance(one.what, LeftBehind) for one in stage.journal.entries("r-1"))


def test_a_lease_whose_taking_was_not_answered_is_given_back(stage: Stage, host: FakeHost) -> None:
    host.faults["lease"] = ("after", MpsBridgeError("the link broke"))
    break_table(host, lambda seen: seen.lease is not None, ParseError("quser: x"))
    with pytest.raises(MpsBridgeError):
        stage.run()
    assert clean(host)
