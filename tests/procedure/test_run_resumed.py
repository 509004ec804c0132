"""A run that goes on: what its record tells of the life before, and what half-dead sessions mean for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.fake_clock import FakeClock
from support.fake_host import FakeHost

from mpsbridge.errors import HostReleased, Refused, RemoteError
from mpsbridge.models.sessions import GONE_APART_S, LogonMode, Observation, to_cim
from mpsbridge.models.then import Then
from mpsbridge.planning.lease import Lease, read_lease
from mpsbridge.planning.policy import Policy
from mpsbridge.planning.selection import Selector
from mpsbridge.procedure.context import ProcedureContext
from mpsbridge.procedure.notices import mark_of
from mpsbridge.procedure.past import past_of
from mpsbridge.procedure.procedure import end_sessions
from mpsbridge.runs.ended import EndValue
from mpsbridge.runs.events import EndAnnounced, LeaseTaken, MarkTold, NoticesMarked, Phase
from mpsbridge.runs.journal import Journal


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def host(clock: FakeClock) -> FakeHost:
    made = FakeHost(clock)
    made.log_on(2, "alice")
    made.log_on(3, "bob")
    return made


@pytest.fixture
def journal(tmp_path: Path, clock: FakeClock) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite", clock=clock) as made:
        made.begin("r-1", command="end", reason="updates", options={})
        yield made


def live(host: FakeHost, journal: Journal, **policy: Any) -> EndValue:
    """One life of the run, which knows what the record tells of those before."""
    before = journal.entries("r-1")
    values: dict[str, Any] = {"selector": Selector(everyone=True), "warn_s": (), "settle_s": 30, **policy}
    context = ProcedureContext(
        host,
        run="r-1",
        policy=Policy(**values),
        owner="admin@box",
        journal=journal,
        clock=host.clock,
        past=past_of(before),
    )
    return end_sessions(context)


def held_by(run: str, host: FakeHost) -> str:
    began = host.clock.now() - timedelta(minutes=5)
    return Lease(
        run=run,
        owner="admin@box",
        since=to_cim(began),
        expires=to_cim(began + timedelta(hours=1)),
        found=LogonMode.ENABLED,
    ).text()


def results(value: EndValue) -> dict[str, tuple[str, str]]:
    return {one.session.user: (one.result.value, one.text) for one in value.sessions}


def half_dead(host: FakeHost, id: int) -> None:
    person = host.people[id]
    person.hung = person.loses_row = True
    person.began_at = host.clock.now()


def test_a_session_that_this_run_left_half_dead_does_not_refuse_it(host: FakeHost, journal: Journal) -> None:
    host.people[2].hung = host.people[2].loses_row = True
    assert results(live(host, journal))["alice"][0] == "unknown"
    again = live(host, journal)
    said = "its row is gone, but processes of it still run; if it hangs: mpsbridge reset ts1 --session 2"
    assert results(again) == {"alice": ("unknown", said)}
    assert host.lease is None
    with pytest.raises(RemoteError, match="still there: session 2"):
        live(host, journal, then=Then.RESTART)
    assert ("forced", "alice") not in host.record


def test_what_this_run_left_half_dead_is_waited_for(host: FakeHost, journal: Journal, clock: FakeClock) -> None:
    host.people[2].hung = host.people[2].loses_row = True
    live(host, journal)
    host.people[2].leaves_at = clock.now() + timedelta(seconds=20)
    assert results(live(host, journal)) == {"alice": ("ended", "")}


def test_w13_what_somebody_else_left_half_dead_refuses(host: FakeHost, journal: Journal) -> None:
    live(host, journal)
    host.log_on(9, "zoe")
    half_dead(host, 9)
    with pytest.raises(Refused, match=r"orphaned sessions \(processes without a session row\): 9"):
        live(host, journal)


def test_w13_half_dead_sessions_that_were_allowed_go_down_with_the_host(host: FakeHost, journal: Journal) -> None:
    half_dead(host, 2)
    with pytest.raises(Refused, match="--leftover-ok"):
        live(host, journal, then=Then.RESTART)
    assert live(host, journal, then=Then.RESTART, leftover_ok=True).outcome == "back"
    assert [what for what in host.record if what[0] in {"began", "forced"}] == []


def test_w13_a_leftover_without_a_winlogon_is_allowed_as_long_as_its_number_is_its_own(
    host: FakeHost, journal: Journal
) -> None:
    half_dead(host, 2)
    host.people[2].has_winlogon = False
    assert live(host, journal, then=Then.RESTART, leftover_ok=True).outcome == "back"


@pytest.mark.parametrize("had_winlogon", [True, False])
@pytest.mark.parametrize("half_dead_too", [True, False])
def test_w05_who_has_a_leftovers_number_when_the_host_goes_down_is_not_taken_for_it(
    host: FakeHost, journal: Journal, clock: FakeClock, had_winlogon: bool, half_dead_too: bool
) -> None:
    half_dead(host, 2)
    host.people[2].has_winlogon = had_winlogon

    def somebody_else(step: str) -> None:
        if step == "power" and host.people[2].user == "alice":
            clock.wait(1)
            host.log_on(2, "zoe")
            if half_dead_too:
                half_dead(host, 2)

    host.before_step = somebody_else
    with pytest.raises(RemoteError, match=r"still there: session 2$"):
        live(host, journal, then=Then.RESTART, leftover_ok=True)
    assert host.people[2].user == "zoe"
    assert ("down", "restart") not in host.record


def test_w13_whom_the_run_itself_left_half_dead_at_a_leftovers_number_is_none_from_before(
    host: FakeHost, journal: Journal
) -> None:
    """The leftover ends, somebody gets its number, is logged off and hangs, and neither has a winlogon."""
    half_dead(host, 2)
    host.people[2].has_winlogon = False

    def arrives(at: FakeHost) -> None:
        if 2 in at.people and at.people[2].user == "alice":
            at.log_on(2, "zoe", hung=True, loses_row=True)

    def loses_its_winlogon(step: str) -> None:
        if step == "power":
            host.people[2].has_winlogon = False

    host.before_step = lambda step: arrives(host) if step == "message" else loses_its_winlogon(step)
    with pytest.raises(RemoteError, match=r"still there: session 2$"):
        live(host, journal, then=Then.RESTART, leftover_ok=True, warn_s=(60,), unwarned_ok=True)
    assert ("began", "zoe") in host.record
    assert ("down", "restart") not in host.record


def test_w13_only_those_from_before_the_run_are_allowed(host: FakeHost, journal: Journal) -> None:
    """Whoever loses the row by this run's own log-off hangs, and nothing is restarted over somebody who hangs."""
    half_dead(host, 2)
    host.people[3].hung = host.people[3].loses_row = True
    for _ in range(2):  # a second life knows whom the first one logged off
        with pytest.raises(RemoteError, match=r"still there: session 3$"):
            live(host, journal, then=Then.RESTART, leftover_ok=True)
    assert ("down", "restart") not in host.record


def test_w09_one_look_without_a_session_is_no_proof(host: FakeHost, journal: Journal, clock: FakeClock) -> None:
    """A table that misses somebody once, and shows the same session again."""
    see = host._seen
    blinks = iter([False, True, False])  # the plan's look, the one before the end, and the next

    def seen() -> Observation:
        found = see()
        if not next(blinks, False):
            return found
        return found.model_copy(update={"sessions": found.sessions[1:], "processes_in": (3,)})

    host._seen = seen  # type: ignore[method-assign]  # the host blinks
    value = live(host, journal, settle_s=60)
    assert {who: result for who, (result, _) in results(value).items()} == {"alice": "unknown", "bob": "ended"}
    assert 2 in host.people


def test_w09_who_left_is_believed_gone_by_the_second_look(host: FakeHost, journal: Journal, clock: FakeClock) -> None:
    leaves = clock.now() + timedelta(seconds=300)
    host.people[2].leaves_at = leaves
    waits_before = len(clock.waits)
    value = live(host, journal, warn_s=(300,))
    assert results(value) == {"alice": ("gone", "left by themselves"), "bob": ("ended", "")}
    assert clock.waits[waits_before:].count(GONE_APART_S) == 1


@pytest.mark.parametrize(("mark", "counts"), [("sending", False), ("delivered", True), ("failed", None)])
def test_a_notice_of_which_nobody_knows_is_neither_repeated_nor_a_warning(
    host: FakeHost, journal: Journal, clock: FakeClock, mark: str, counts: bool | None
) -> None:
    del host.people[3]
    ends = clock.now() + timedelta(seconds=290)
    born = to_cim(host.people[2].born)
    hold(host, journal)
    journal.record("r-1", host.name, EndAnnounced(ends=ends))
    told = {"id": 2, "born": born, "notice": mark_of("5m", ends), "mark": mark}
    marks = (MarkTold.model_validate(told),) if mark != "failed" else ()
    journal.record("r-1", host.name, NoticesMarked(marks=marks))
    value = live(host, journal, warn_s=(300,))
    shown = [what for what in host.record if what[0] == "shown"]
    assert shown == (
        [("shown", ("alice", "5m"))] if counts is None else [("shown", ("alice", "cancellation"))] * (not counts)
    )
    assert results(value)["alice"][0] == ("refused" if counts is False else "ended")


def hold(host: FakeHost, journal: Journal) -> None:
    """A life has taken the lease, and died."""
    now = host.clock.now()
    until = now + timedelta(hours=1)
    host.lease = Lease(run="r-1", owner="admin@box", since=to_cim(now), expires=to_cim(until)).text()
    journal.record("r-1", host.name, LeaseTaken(expires=until, phase=Phase.LEASE))


def test_a_lease_that_a_late_script_of_the_run_marks_is_taken_all_the_same(host: FakeHost, journal: Journal) -> None:
    """It was once refused: the host is held by this very run, and the lease stayed."""
    closes_late = False

    def late(step: str) -> None:
        nonlocal closes_late
        if step == "lease" and not closes_late:
            closes_late = True
            lease = read_lease(host.lease)
            assert isinstance(lease, Lease)
            host.lease = lease.model_copy(update={"set": LogonMode.DRAIN, "ending": True}).text()
            host.mode = LogonMode.DRAIN

    host.lease = held_by("r-1", host)
    host.before_step = late
    value = live(host, journal)
    assert {user: result for user, (result, _) in results(value).items()} == {"alice": "ended", "bob": "ended"}
    assert closes_late
    assert host.lease is None
    assert host.mode is LogonMode.ENABLED


def test_another_run_that_takes_the_host_after_the_look_is_not_written_over(host: FakeHost, journal: Journal) -> None:
    def taken(step: str) -> None:
        if step == "lease":
            host.lease = held_by("r-2", host)

    host.lease = held_by("r-1", host)
    host.before_step = taken
    with pytest.raises(Refused, match="held by run r-2"):
        live(host, journal)
    assert host.lease == held_by("r-2", host)


@pytest.mark.parametrize("when", ["before the look", "after the look"])
def test_a_host_that_a_person_has_begun_to_give_back_is_not_taken_again(
    when: str, host: FakeHost, journal: Journal
) -> None:
    """The mark was written over, logons closed again and people ended, without a word of it."""
    journal.record("r-1", "ts1", LeaseTaken(expires=host.clock.now() + timedelta(hours=1), phase=Phase.LEASE))
    plain = held_by("r-1", host)
    lease = read_lease(plain)
    assert isinstance(lease, Lease)
    marked = lease.model_copy(update={"ending": True}).text()
    host.lease = marked if when == "before the look" else plain

    def mark(step: str) -> None:
        if step == "lease":
            host.lease = marked

    host.before_step = mark
    with pytest.raises(HostReleased, match="somebody else is giving the host back"):
        live(host, journal)
    assert host.lease == marked
    assert {each.user for each in host.people.values()} == {"alice", "bob"}
