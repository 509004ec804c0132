"""A look whose answer is lost is asked again, a few times and never for what a new connection cannot mend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fake_clock import FakeClock
from support.fake_host import FakeHost, lost
from support.stage import Stage, clean, results, stage_of, two_people

from mpsbridge.errors import (
    AccessDenied,
    AuthRefused,
    Blind,
    CertificateRefused,
    ConnectionLost,
    ConnectTimedOut,
    Interrupted,
    KdcUnreachable,
    MpsBridgeError,
    NotPublished,
    NotSent,
    NotTried,
    NotWinrm,
    ParseError,
    ShellRefused,
    Stopped,
    TimedOut,
    TooLarge,
    TransportMissing,
    Unreachable,
    WinrmFailed,
)
from mpsbridge.models.then import Then
from mpsbridge.procedure.looks import LOOKS, PAUSES_S, may_be_mended
from mpsbridge.runs.events import HostStopped, LookRepeated
from mpsbridge.runs.journal import Journal


@pytest.fixture
def host() -> FakeHost:
    return two_people()


@pytest.fixture
def stage(host: FakeHost, tmp_path: Path) -> Iterator[Stage]:
    with stage_of(host, tmp_path) as made:
        yield made


class Losing:
    """Loses the answers to looks of these numbers, counted over the whole run."""

    def __init__(self, host: FakeHost, error: MpsBridgeError, *numbers: int) -> None:
        self.looks, self._error, self._numbers = 0, error, numbers
        host.on_look = self._look

    def _look(self, _host: FakeHost) -> None:
        self.looks += 1
        if self.looks in self._numbers:
            raise self._error


def repeats(stage: Stage) -> list[LookRepeated]:
    return [one.what for one in stage.journal.entries("r-1") if isinstance(one.what, LookRepeated)]


def gone() -> ShellRefused:
    error = ShellRefused("the shell is gone")
    error.is_gone = True
    return error


def looks_of_a_run(**policy: Any) -> int:
    """How many there are where nothing is lost."""
    host = FakeHost(FakeClock())
    host.log_on(2, "alice")
    host.log_on(3, "bob")
    counted = Losing(host, lost())
    with Journal(Path(":memory:"), clock=host.clock) as journal:
        Stage(host, journal).run(**policy)
    return counted.looks


@pytest.mark.parametrize("then", [Then.NOTHING, Then.RESTART])
def test_w44_any_one_look_may_be_lost_and_the_run_ends_as_without(then: Then, tmp_path: Path) -> None:
    undisturbed = looks_of_a_run(then=then)
    for number in range(1, undisturbed + 1):
        host = FakeHost(FakeClock())
        host.log_on(2, "alice")
        host.log_on(3, "bob")
        Losing(host, lost(), number)
        with Journal(tmp_path / f"{number}.sqlite", clock=host.clock) as journal:
            value = Stage(host, journal).run(then=then)
        assert results(value) == {"alice": "ended", "bob": "ended"}, number
        assert value.outcome == ("back" if then is Then.RESTART else "done")
        assert clean(host)
        assert [what for what, _ in host.record].count("down") == (then is Then.RESTART)


def test_each_repeat_is_told_and_stands_in_the_record(stage: Stage, host: FakeHost) -> None:
    before = len(host.clock.waits)
    Losing(host, lost(), 2, 3)
    stage.run()
    told = [(one.look, one.error, one.why) for one in repeats(stage)]
    assert told == [(2, "interrupted", "the link broke"), (3, "interrupted", "the link broke")]
    assert [one.what for one in stage.events if isinstance(one.what, LookRepeated)] == repeats(stage)
    assert repeats(stage)[0].text() == "a look was lost, look 2 follows (the link broke)"
    assert set(PAUSES_S) <= set(host.clock.waits[before:])


def test_a_host_that_stays_away_is_asked_three_times_and_nothing_is_in_doubt(stage: Stage, host: FakeHost) -> None:
    losing = Losing(host, lost(), *range(3, 3 + LOOKS))
    with pytest.raises(ConnectionLost) as failed:
        stage.run()
    assert len(repeats(stage)) == LOOKS - 1
    assert losing.looks >= 2 + LOOKS
    assert not failed.value.may_have_run
    (*_, last) = stage.journal.entries("r-1")
    assert isinstance(last.what, HostStopped)
    assert not last.what.may_have_run
    assert clean(host)


def test_a_look_that_fails_beside_a_log_off_in_doubt_does_not_hide_it(stage: Stage, host: FakeHost) -> None:
    host.people[2].hung = True

    def vanish(seen: FakeHost) -> None:
        if ("began", "alice") in seen.record:
            raise lost()

    host.on_look = vanish
    with pytest.raises(ConnectionLost) as failed:
        stage.run(warn_s=(), settle_s=60)
    assert failed.value.may_have_run


MENDED = [
    Unreachable("x"),
    NotWinrm("x"),
    WinrmFailed("x"),
    ConnectTimedOut("x"),
    KdcUnreachable("x"),
    NotSent("x"),
    TimedOut("x"),
    ConnectionLost("x"),
    Interrupted("x"),
    gone(),
]
NOT_MENDED = [
    AuthRefused("x"),
    NotTried("x"),
    CertificateRefused("x"),
    ShellRefused("x"),
    NotPublished("x"),
    TransportMissing("x"),
    Stopped("x"),
    TooLarge("x"),
    AccessDenied("x"),
    Blind("x"),
    ParseError("x"),
]


@pytest.mark.parametrize("error", MENDED, ids=lambda error: type(error).__name__)
def test_what_a_new_connection_may_mend_is_asked_again(error: MpsBridgeError, stage: Stage, host: FakeHost) -> None:
    Losing(host, error, 3)
    stage.run()
    assert may_be_mended(error)
    assert len(repeats(stage)) == 1


@pytest.mark.parametrize("error", NOT_MENDED, ids=lambda error: type(error).__name__)
def test_what_the_host_has_said_is_not_asked_again(error: MpsBridgeError, stage: Stage, host: FakeHost) -> None:
    Losing(host, error, 3)
    with pytest.raises(type(error)) as failed:
        stage.run()
    assert repeats(stage) == []
    assert not failed.value.may_have_run


def test_nothing_is_asked_again_once_the_run_was_stopped(stage: Stage, host: FakeHost) -> None:
    def stop(seen: FakeHost) -> None:
        if ("shown", ("alice", "5m")) in seen.record:
            stage.stop.set()
            raise lost()

    host.on_look = stop
    with pytest.raises(ConnectionLost):
        stage.run()
    assert repeats(stage) == []


def test_nothing_is_asked_again_once_the_hosts_time_is_over(stage: Stage, host: FakeHost) -> None:
    began = host.clock.monotonic()

    def late(seen: FakeHost) -> None:
        if seen.clock.monotonic() - began > 239:
            raise lost()

    host.on_look = late
    with pytest.raises(ConnectionLost):
        stage.run(host_deadline_s=241)
    assert repeats(stage) == []


def test_w44_an_order_to_go_down_is_never_given_again(stage: Stage, host: FakeHost) -> None:
    host.faults["power"] = ("before", lost())
    sent: list[str] = []
    host.before_step = sent.append
    with pytest.raises(Interrupted):
        stage.run(then=Then.RESTART)
    assert sent.count("power") == 1
    assert repeats(stage) == []
