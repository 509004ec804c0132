"""Logons that are opened while a run keeps them closed: closed again, told, and not fought over without end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.fake_host import FakeHost
from support.stage import Stage, clean, results, stage_of, two_people

from mpsbridge.errors import Stopped
from mpsbridge.models.sessions import LogonMode, to_cim
from mpsbridge.models.then import Then
from mpsbridge.planning.lease import Lease, read_lease
from mpsbridge.planning.policy import Closing
from mpsbridge.runs.events import LogonsOpened


@pytest.fixture
def host() -> FakeHost:
    return two_people()


@pytest.fixture
def stage(host: FakeHost, tmp_path: Path) -> Iterator[Stage]:
    with stage_of(host, tmp_path) as made:
        yield made


def opening(host: FakeHost, times: int, *, when: Callable[[FakeHost], bool] = lambda _: True) -> None:
    """Somebody opens logons before so many looks at a host where they are closed."""
    left = [times]

    def look(seen: FakeHost) -> None:
        if left[0] and seen.mode is not LogonMode.ENABLED and ("shown", ("alice", "5m")) in seen.record and when(seen):
            left[0] -= 1
            seen.mode = LogonMode.ENABLED

    host.on_look = look


def modes(host: FakeHost) -> list[str]:
    return [mode for what, mode in host.record if what == "logons"]


def openings(stage: Stage, run: str = "r-1") -> list[LogonsOpened]:
    return [one.what for one in stage.journal.entries(run) if isinstance(one.what, LogonsOpened)]


def test_they_are_closed_again_and_the_failsafe_is_set_again(stage: Stage, host: FakeHost) -> None:
    opening(host, 1)
    value = stage.run()
    assert modes(host) == ["drain", "drain", "enabled"]
    assert stage.steps.count("failsafe") == 2
    assert openings(stage) == [LogonsOpened(logons=LogonMode.DRAIN, times=1, phase=openings(stage)[0].phase)]
    assert [one.what for one in stage.events if isinstance(one.what, LogonsOpened)] == openings(stage)
    assert results(value) == {"alice": "ended", "bob": "ended"}
    assert clean(host)


def test_who_opens_them_thrice_is_not_fought(stage: Stage, host: FakeHost) -> None:
    opening(host, 9)
    value = stage.run()
    assert modes(host) == ["drain", "drain", "drain"]
    assert [one.logons for one in openings(stage)] == [LogonMode.DRAIN, LogonMode.DRAIN, LogonMode.ENABLED]
    assert any("opened 3 times, not by this run, and stay open" in problem for problem in value.problems)
    assert clean(host)


def test_what_others_close_after_that_is_theirs(stage: Stage, host: FakeHost) -> None:
    opening(host, 3)
    open_them = host.on_look

    def close(seen: FakeHost) -> None:
        open_them(seen)
        if ("began", "alice") in seen.record:
            seen.mode = LogonMode.DRAIN

    host.on_look = close
    host.people[2].hung = True
    host.people[2].leaves_at = host.clock.now() + timedelta(seconds=330)
    stage.run(settle_s=60)
    assert modes(host) == ["drain", "drain", "drain"]
    assert (host.mode, host.lease, host.failsafe) == (LogonMode.DRAIN, None, None)


def test_what_is_opened_from_a_mode_of_others_stays_so_in_the_end(stage: Stage, host: FakeHost) -> None:
    """They were to be closed until the next restart, and were opened since."""
    host.mode = LogonMode.DRAIN_UNTIL_RESTART
    opening(host, 1)
    stage.run(closing=Closing.DISABLED)
    assert modes(host) == ["disabled", "disabled", "enabled"]
    assert clean(host)


def test_another_way_to_close_them_is_left(stage: Stage, host: FakeHost) -> None:
    def close(seen: FakeHost) -> None:
        if ("shown", ("alice", "5m")) in seen.record:
            seen.mode = LogonMode.DISABLED

    host.on_look = close
    stage.run()
    assert openings(stage) == []
    assert host.mode is LogonMode.DISABLED


def test_left_logons_are_left(stage: Stage, host: FakeHost) -> None:
    opening(host, 1)
    stage.run(closing=Closing.LEAVE)
    assert (modes(host), openings(stage)) == ([], [])


def test_they_are_closed_again_before_the_order(stage: Stage, host: FakeHost) -> None:
    opening(host, 1, when=lambda seen: not seen.people)
    assert stage.run(then=Then.RESTART).outcome == "back"
    assert modes(host)[:2] == ["drain-until-restart", "drain-until-restart"]


def test_a_restart_of_others_opens_them_and_they_are_closed_again(stage: Stage, host: FakeHost) -> None:
    restarted: list[int] = []

    def restart(seen: FakeHost) -> None:
        if ("shown", ("alice", "5m")) in seen.record and not restarted:
            restarted.append(1)
            seen.boot += timedelta(days=20)
            seen.mode = LogonMode.ENABLED

    host.on_look = restart
    value = stage.run(then=Then.RESTART)
    assert value.outcome == "back"
    assert modes(host)[:2] == ["drain-until-restart", "drain-until-restart"]
    assert any("restarted, not by this run" in problem for problem in value.problems)


def test_a_run_that_goes_on_closes_what_the_failsafe_has_opened(stage: Stage, host: FakeHost) -> None:
    stage.journal.begin("r-1", command="end", reason="updates", options={})
    host.lease = Lease(
        run="r-1",
        owner="admin@box",
        since=to_cim(host.clock.now()),
        expires=to_cim(host.clock.now() + timedelta(hours=1)),
        found=LogonMode.ENABLED,
        set=LogonMode.DRAIN,
    ).text()
    stage.run()
    assert modes(host) == ["drain", "enabled"]
    assert len(openings(stage)) == 1
    assert clean(host)


def test_a_run_that_is_stopped_closes_nothing_again(stage: Stage, host: FakeHost) -> None:
    def stop(_: FakeHost) -> bool:
        stage.stop.set()
        return True

    opening(host, 1, when=stop)
    with pytest.raises(Stopped):
        stage.run()
    assert modes(host) == ["drain"]
    assert clean(host)


def test_the_lease_tells_what_is_restored(stage: Stage, host: FakeHost) -> None:
    host.mode = LogonMode.DRAIN_UNTIL_RESTART
    told: list[tuple[LogonMode | None, LogonMode | None]] = []
    opening(host, 1)

    def watch(step: str) -> None:
        lease = read_lease(host.lease)
        if step == "logoff" and isinstance(lease, Lease):
            told.append((lease.found, lease.set))

    host.before_step = watch
    stage.run(closing=Closing.DISABLED)
    assert told == [(LogonMode.ENABLED, LogonMode.DISABLED)]
