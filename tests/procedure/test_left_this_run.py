"""A host that has left the run, or was restarted by others: seen at each act, said, and judged as it is now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.fake_host import FIRST_BOOT, FakeHost
from support.stage import Stage, clean, results, stage_of, two_people

from mpsbridge.errors import HostReleased, RemoteError
from mpsbridge.models.sessions import LogonMode, Result, SessionResult, to_cim
from mpsbridge.models.then import Then
from mpsbridge.planning.lease import Lease, is_of_run, read_lease
from mpsbridge.runs.events import LeaseReleased, LogonsRestored, NoticeSent, RestartedByOthers

HELD_BY_OTHERS = "the host is leased to bob@other r-2"


@pytest.fixture
def host() -> FakeHost:
    return two_people()


@pytest.fixture
def stage(host: FakeHost, tmp_path: Path) -> Iterator[Stage]:
    with stage_of(host, tmp_path) as made:
        yield made


def theirs(host: FakeHost) -> str:
    now = host.clock.now()
    return Lease(run="r-2", owner="bob@other", since=to_cim(now), expires=to_cim(now + timedelta(hours=1))).text()


def taken_over_at(host: FakeHost, step: str, *, number: int = 1) -> None:
    """Another run takes the host right before a step; its script refuses then, as the real ones do."""
    seen: list[str] = []

    def before(name: str) -> None:
        seen.append(name)
        if name == step and seen.count(step) == number:
            host.lease = theirs(host)
        guarded = name in {"failsafe", "logons-set", "logoff", "reset", "power", "failsafe-remove"}
        if guarded and host.lease is not None and is_of_run(host.lease, "r-2"):
            raise RemoteError(HELD_BY_OTHERS, may_have_run=False)

    host.before_step = before


@pytest.mark.parametrize(("step", "number"), [("failsafe", 1), ("lease", 2), ("logons-set", 1), ("power", 1)])
def test_an_act_that_comes_too_late_ends_the_run_by_the_true_reason(
    step: str, number: int, stage: Stage, host: FakeHost
) -> None:
    """It was once told as a step that failed."""
    taken_over_at(host, step, number=number)
    with pytest.raises(HostReleased, match=r"taken over: it is held by run r-2 of bob@other") as left:
        stage.run(then=Then.RESTART)
    assert not left.value.may_have_run
    assert host.lease is not None
    assert is_of_run(host.lease, "r-2")
    told = [type(one.what) for one in stage.journal.entries("r-1")]
    assert not {LogonsRestored, LeaseReleased} & set(told)
    assert ("down", "restart") not in host.record


def test_a_log_off_that_is_refused_because_others_have_the_host_is_no_result_of_the_run(
    stage: Stage, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def log_off(sessions: Any, **_: Any) -> tuple[SessionResult, ...]:
        host.lease = theirs(host)
        return tuple(SessionResult(session=one, result=Result.REFUSED, text=HELD_BY_OTHERS) for one in sessions)

    monkeypatch.setattr(host, "log_off", log_off)
    with pytest.raises(HostReleased, match="taken over"):
        stage.run(then=Then.NOTHING)


def test_a_host_that_a_person_begins_to_give_back_is_left_before_anybody_else_is_told(
    stage: Stage, host: FakeHost
) -> None:
    """A run once went on warning for acts that the host would refuse."""

    def mark(seen: FakeHost) -> None:
        lease = read_lease(seen.lease)
        if ("shown", ("alice", "5m")) in seen.record and isinstance(lease, Lease) and not lease.ending:
            seen.lease = lease.model_copy(update={"ending": True}).text()

    host.on_look = mark
    with pytest.raises(HostReleased, match="somebody else is giving the host back"):
        stage.run(then=Then.NOTHING)
    assert ("shown", ("alice", "1m")) not in host.record
    assert {each.user for each in host.people.values()} == {"alice", "bob"}
    assert clean(host)


def test_logons_that_others_set_at_the_same_moment_leave_nothing_in_doubt(stage: Stage, host: FakeHost) -> None:
    """The host has said what they are: it was once told as unknown."""

    def before(step: str) -> None:
        if step == "logons-set" and host.mode is LogonMode.ENABLED:
            host.mode = LogonMode.DISABLED

    host.before_step = before
    with pytest.raises(RemoteError, match="logons are disabled after they were set to drain") as failed:
        stage.run()
    assert not failed.value.may_have_run


def test_a_refusal_for_another_reason_stays_what_it_is(stage: Stage, host: FakeHost) -> None:
    host.faults["failsafe"] = ("before", RemoteError("no task scheduler", may_have_run=False))
    with pytest.raises(RemoteError, match="no task scheduler"):
        stage.run()
    assert clean(host)


def test_a_host_that_is_taken_over_at_the_very_end_is_not_told_as_given_back(stage: Stage, host: FakeHost) -> None:
    def take(seen: FakeHost) -> None:
        if not seen.people:
            seen.lease, seen.mode = theirs(seen), LogonMode.ENABLED
            seen.on_look = lambda _: None

    host.on_look = take
    value = stage.run(warn_s=())
    assert any("not this run's any more" in problem for problem in value.problems)
    told = [type(one.what) for one in stage.journal.entries("r-1")]
    assert not {LogonsRestored, LeaseReleased} & set(told)
    assert is_of_run(host.lease, "r-2")


def test_a_host_that_is_taken_over_while_it_is_given_back(stage: Stage, host: FakeHost) -> None:
    writes: list[int] = []

    def before(step: str) -> None:
        writes.extend([1] * (step == "lease"))
        if step == "lease" and len(writes) == 3:  # the mark
            host.lease = theirs(host)

    host.before_step = before
    value = stage.run()
    assert results(value) == {"alice": "ended", "bob": "ended"}
    told = [type(one.what) for one in stage.journal.entries("r-1")]
    assert not {LogonsRestored, LeaseReleased} & set(told)
    assert any("not this run's any more" in problem for problem in value.problems)
    assert (host.mode, is_of_run(host.lease, "r-2")) == (LogonMode.DRAIN, True)


def restart_by_others(host: FakeHost, when: Callable[[FakeHost], bool], *, then: Callable[[FakeHost], object]) -> None:
    done: list[int] = []

    def look(seen: FakeHost) -> None:
        if not done and when(seen):
            done.append(1)
            seen.boot += timedelta(days=20)
            seen.people.clear()
            if seen.mode in {LogonMode.DRAIN_UNTIL_RESTART, LogonMode.DISABLED}:
                seen.mode = LogonMode.ENABLED
            then(seen)

    host.on_look = look


def warned(host: FakeHost) -> bool:
    return ("shown", ("alice", "5m")) in host.record


def restarts(stage: Stage) -> int:
    return sum(isinstance(one.what, RestartedByOthers) for one in stage.journal.entries("r-1"))


def test_people_who_log_on_after_a_restart_of_others_are_judged_and_warned_like_any(
    stage: Stage, host: FakeHost
) -> None:
    restart_by_others(host, warned, then=lambda seen: seen.log_on(2, "alice"))
    value = stage.run(then=Then.RESTART)
    told = [one.what for one in stage.journal.entries("r-1") if isinstance(one.what, NoticeSent)]
    assert len({one.born for one in told if one.user == "alice"}) == 2
    assert [(one.session.user, one.result.value) for one in value.sessions] == [
        ("alice", "gone"),
        ("bob", "gone"),
        ("alice", "ended"),
    ]
    assert value.outcome == "back"
    assert (restarts(stage), host.record.count(("down", "restart"))) == (1, 1)


def test_somebody_who_refuses_after_a_restart_of_others_keeps_the_host_up(stage: Stage, host: FakeHost) -> None:
    restart_by_others(host, warned, then=lambda seen: seen.log_on(5, "dave", admin=True))
    with pytest.raises(RemoteError, match="still there: session 5"):
        stage.run(then=Then.RESTART)
    assert host.boot == FIRST_BOOT + timedelta(days=20)
    assert clean(host)


def test_where_only_a_pending_restart_counts_one_of_others_is_enough(stage: Stage, host: FakeHost) -> None:
    host.facts = {"pending_reboot": ("RebootPending",)}
    restart_by_others(host, warned, then=lambda seen: seen.facts.update(pending_reboot=()))
    value = stage.run(then=Then.RESTART, only_if_reboot_pending=True)
    assert value.outcome == "done: a restart of others came first, and none is pending"
    assert host.record.count(("down", "restart")) == 0
    assert clean(host)


def test_what_was_left_from_before_a_restart_of_others_excuses_nobody_after_it(stage: Stage, host: FakeHost) -> None:
    """A half-dead session without a birth is told by its number alone."""

    def leftover(seen: FakeHost) -> None:
        one = seen.log_on(9, "carol", loses_row=True, has_winlogon=False)
        one.began_at = seen.clock.now()

    leftover(host)
    restart_by_others(host, warned, then=leftover)
    with pytest.raises(RemoteError, match="still there: session 9"):
        stage.run(then=Then.RESTART, leftover_ok=True)
    assert host.record.count(("down", "restart")) == 0


def test_disabled_logons_that_a_restart_of_others_has_opened_are_disabled_again(stage: Stage, host: FakeHost) -> None:
    host.mode = LogonMode.DISABLED
    restart_by_others(host, warned, then=lambda _: None)
    stage.run(then=Then.NOTHING)
    assert host.mode is LogonMode.DISABLED
    assert host.lease is None
