"""The procedure over a make-believe host and a clock that only moves when somebody waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.fake_clock import FakeClock
from support.fake_host import FIRST_BOOT, FakeHost, lost
from support.records import names_in, steps_in
from support.stage import Stage, clean, results

from mpsbridge.errors import (
    AuthRefused,
    HostReleased,
    Interrupted,
    MpsBridgeError,
    NotSent,
    NotTried,
    Refused,
    RemoteError,
    Unreachable,
)
from mpsbridge.models.sessions import LogonMode, Observation, Result, SessionResult, State, to_cim
from mpsbridge.models.then import Then
from mpsbridge.planning.lease import Lease, read_lease
from mpsbridge.planning.policy import Closing, Policy, plan_host
from mpsbridge.planning.selection import Selector
from mpsbridge.procedure.sessions import BY_FORCE, after_reset
from mpsbridge.runs.events import WENT_QUIET, HostStopped
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
    with Journal(tmp_path / "journal.sqlite", clock=clock) as journal:
        yield journal


@pytest.fixture
def stage(host: FakeHost, journal: Journal) -> Stage:
    return Stage(host, journal)


def untouched(host: FakeHost) -> bool:
    return host.record == [] and host.lease is None and host.mode is LogonMode.ENABLED


def test_the_procedure_in_its_order(stage: Stage, host: FakeHost) -> None:
    value = stage.run()
    assert results(value) == {"alice": "ended", "bob": "ended"}
    assert value.outcome == "done"
    assert host.record == [
        ("lease", "taken"),
        ("failsafe", "set"),
        ("lease", "taken"),
        ("logons", "drain"),
        ("shown", ("alice", "5m")),
        ("shown", ("bob", "5m")),
        ("shown", ("alice", "1m")),
        ("shown", ("bob", "1m")),
        ("ended", "alice"),
        ("ended", "bob"),
        ("lease", "taken"),
        ("logons", "enabled"),
        ("failsafe", "removed"),
        ("lease", "released"),
    ]
    assert clean(host)
    assert stage.journal.unanswered("r-1") == []
    assert [event.what.event for event in stage.events][:3] == ["verdict", "verdict", "leased"]


def test_the_wait_ends_early_when_nobody_is_left(stage: Stage, host: FakeHost, clock: FakeClock) -> None:
    start = clock.now()
    for person in host.people.values():
        person.leaves_at = start + timedelta(seconds=90)
    value = stage.run(warn_s=(900, 60))
    assert results(value) == {"alice": "gone", "bob": "gone"}
    assert (clock.now() - start).total_seconds() < 240
    assert ("ended", "alice") not in host.record
    assert clean(host)


def test_who_arrives_is_told_the_time_left_at_once(stage: Stage, host: FakeHost, clock: FakeClock) -> None:
    arrival = clock.now() + timedelta(seconds=100)

    def arrive(seen: FakeHost) -> None:
        if seen.clock.now() >= arrival and 9 not in seen.people and ("shown", ("zoe", "5m")) not in seen.record:
            seen.log_on(9, "zoe")

    host.on_look = arrive
    value = stage.run()
    assert ("shown", ("zoe", "5m")) in host.record
    assert results(value)["zoe"] == "ended"


def test_w02_who_comes_back_is_told_at_once(stage: Stage, host: FakeHost, clock: FakeClock) -> None:
    bob = host.people[3]
    bob.state = State.DISCONNECTED
    back = clock.now() + timedelta(seconds=100)

    def reconnect(seen: FakeHost) -> None:
        if seen.clock.now() >= back:
            bob.state = State.ACTIVE

    host.on_look = reconnect
    stage.run(disconnected_ok=True)
    assert [what for what in host.record if what[0] == "shown"] == [
        ("shown", ("alice", "5m")),
        ("shown", ("bob", "5m")),
        ("shown", ("alice", "1m")),
        ("shown", ("bob", "1m")),
    ]


def test_who_was_shown_no_notice_is_not_ended(stage: Stage, host: FakeHost) -> None:
    end = host.clock.now() + timedelta(seconds=300)

    def sneak_in(seen: FakeHost) -> None:
        if seen.clock.now() >= end and ("ended", "zoe") not in seen.record:
            seen.people.setdefault(9, seen.log_on(9, "zoe"))

    host.on_look = sneak_in
    value = stage.run()
    assert results(value)["zoe"] == "refused"
    assert ("ended", "zoe") not in host.record
    assert clean(host)


def test_nothing_follows_while_somebody_saw_no_notice(stage: Stage, host: FakeHost) -> None:
    end = host.clock.now() + timedelta(seconds=300)

    def sneak_in(seen: FakeHost) -> None:
        if seen.clock.now() >= end and 9 not in seen.people:
            seen.log_on(9, "zoe")

    host.on_look = sneak_in
    with pytest.raises(Refused, match="zoe"):
        stage.run(then=Then.RESTART)
    assert not [what for what in host.record if what[0] in {"ended", "down"}]
    assert clean(host)


def test_no_warning_is_said_in_so_many_words(stage: Stage, host: FakeHost, clock: FakeClock) -> None:
    value = stage.run(warn_s=())
    assert results(value) == {"alice": "ended", "bob": "ended"}
    assert not [what for what in host.record if what[0] == "shown"]
    assert clock.waits == []


def test_a_refusal_changes_nothing(stage: Stage, host: FakeHost) -> None:
    host.people[3].state = State.DISCONNECTED
    with pytest.raises(Refused, match="--disconnected-ok"):
        stage.run()
    assert untouched(host)
    assert stage.steps == []


def test_w22_somebody_elses_lease_refuses(stage: Stage, host: FakeHost) -> None:
    host.lease = Lease(run="r-9", owner="eve@box", since=to_cim(host.clock.now()), expires=None).text()
    with pytest.raises(Refused, match="r-9 of eve@box"):
        stage.run()
    assert host.record == []


def test_w22_two_runs_cannot_both_take_the_lease(stage: Stage, host: FakeHost) -> None:
    theirs = Lease(run="r-9", owner="eve@box", since=to_cim(host.clock.now()), expires=None).text()
    looks: list[int] = []

    def race(seen: FakeHost) -> None:
        looks.append(1)
        host.faults.clear()

    host.on_look = race
    original = host.set_lease

    def set_lease(text: str | None, *, expected: str | None, run: str) -> Any:
        if host.lease is None:
            host.lease = theirs
        return original(text, expected=expected, run=run)

    host.set_lease = set_lease  # type: ignore[method-assign] # somebody is faster
    with pytest.raises(Refused, match="eve@box"):
        stage.run()
    assert host.lease == theirs
    assert host.record == []


def test_nothing_to_do_takes_no_lease(stage: Stage, host: FakeHost) -> None:
    host.people.clear()
    assert stage.run().outcome == "nothing to do"
    assert untouched(host)


def test_w39_only_where_a_restart_is_pending(stage: Stage, host: FakeHost) -> None:
    host.facts = {"pending_reboot": ()}
    assert "no restart is pending" in stage.run(then=Then.RESTART, only_if_reboot_pending=True).outcome
    assert untouched(host)
    host.facts = {"pending_reboot": ("RebootPending",)}
    assert stage.run("r-2", then=Then.RESTART, only_if_reboot_pending=True).outcome == "back"


@pytest.mark.parametrize("found", [LogonMode.DISABLED, LogonMode.DRAIN])
def test_w17_what_was_closed_stays_closed(stage: Stage, host: FakeHost, found: LogonMode) -> None:
    host.mode = found
    stage.run()
    assert host.mode is found
    assert not [what for what in host.record if what[0] in {"logons", "failsafe"}]
    assert host.lease is None


def test_w17_what_others_changed_is_left(stage: Stage, host: FakeHost) -> None:
    def close(seen: FakeHost) -> None:
        if seen.mode is LogonMode.DRAIN:
            seen.mode = LogonMode.DISABLED

    host.on_look = close
    value = stage.run()
    assert host.mode is LogonMode.DISABLED
    assert any("changed by others" in problem for problem in value.problems)


@pytest.mark.parametrize(
    ("policy", "modes"),
    [
        ({}, ["drain", "enabled"]),
        ({"then": Then.RESTART}, ["drain-until-restart"]),  # Windows itself undoes it
        ({"then": Then.RESTART, "hold_logons": True}, ["drain", "enabled"]),
        ({"closing": Closing.LEAVE}, []),
    ],
)
def test_w18_people_are_kept_out_as_long_as_needed(
    stage: Stage, host: FakeHost, policy: dict[str, Any], modes: list[str]
) -> None:
    while_it_started: set[LogonMode] = set()

    def watch(seen: FakeHost) -> None:
        if seen.boot != FIRST_BOOT:
            while_it_started.add(seen.mode)

    host.on_look = watch
    stage.run(warn_s=(), **policy)
    assert [mode for what, mode in host.record if what == "logons"] == modes
    assert (LogonMode.DRAIN in while_it_started) == policy.get("hold_logons", False)
    assert [what for what, _ in host.record].count("failsafe") == (2 if modes else 0)
    assert clean(host)


def test_w19_no_failsafe_no_block(stage: Stage, host: FakeHost) -> None:
    host.faults["failsafe"] = ("before", RemoteError("no task scheduler"))
    with pytest.raises(RemoteError):
        stage.run()
    assert clean(host)
    assert ("logons", "drain") not in host.record
    assert not [what for what in host.record if what[0] == "ended"]


def test_closing_can_be_left_out(stage: Stage, host: FakeHost) -> None:
    stage.run(closing=Closing.LEAVE)
    assert not [what for what in host.record if what[0] in {"logons", "failsafe"}]


STEPS = ["lease", "failsafe", "logons-set", "message", "logoff"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_breaks_nothing_is_left_behind(stage: Stage, host: FakeHost, step: str, when: str) -> None:
    host.lose(step, when)
    with pytest.raises(MpsBridgeError):
        stage.run()
    assert clean(host)
    assert host.record.count(("ended", "alice")) <= 1


@pytest.mark.parametrize("step", ["logoff", "message", "logons-set"])
def test_what_is_known_not_to_have_run_is_recorded_so(stage: Stage, host: FakeHost, step: str) -> None:
    host.lose(step, "before", Unreachable("no route"))
    with pytest.raises(NotSent):
        stage.run()
    assert stage.journal.unanswered("r-1") == []


@pytest.mark.parametrize("step", ["logoff", "message", "logons-set"])
def test_what_may_have_run_stays_without_an_outcome(stage: Stage, host: FakeHost, step: str) -> None:
    host.lose(step)
    with pytest.raises(Interrupted):
        stage.run()
    assert steps_in(stage.journal.unanswered("r-1")) == [step]


def test_what_breaks_after_a_log_off_began_says_that_something_ran(stage: Stage, host: FakeHost) -> None:
    host.people[2].hung = True
    with pytest.raises(Interrupted, match="deadline") as late:
        stage.run(warn_s=(), settle_s=3600, host_deadline_s=600)
    assert late.value.may_have_run

    def vanish(seen: FakeHost) -> None:
        if ("ended", "carol") in seen.record:
            raise Unreachable("no route")

    host.log_on(4, "carol")
    host.on_look = vanish
    with pytest.raises(Unreachable) as gone:
        stage.run("r-2", warn_s=(), settle_s=3600)
    assert gone.value.may_have_run


def test_a_stop_while_waiting_ends_nobody_and_gives_everything_back(stage: Stage, host: FakeHost) -> None:
    def press(seen: FakeHost) -> None:
        if ("shown", ("alice", "5m")) in seen.record:
            stage.stop.set()

    host.on_look = press
    with pytest.raises(Interrupted, match="stopped while warning and waiting") as found:
        stage.run()
    assert not found.value.may_have_run
    assert not [what for what in host.record if what[0] == "ended"]
    assert clean(host)


def test_w33_credentials_that_run_out_while_waiting_leave_the_failsafe(stage: Stage, host: FakeHost) -> None:
    def run_out(seen: FakeHost) -> None:
        if ("shown", ("alice", "5m")) in seen.record:
            raise AuthRefused("the ticket has expired")

    host.on_look = run_out
    with pytest.raises(AuthRefused) as found:
        stage.run()
    assert (found.value.kind, found.value.may_have_run) == ("auth", False)
    assert not [what for what, _ in host.record if what == "ended"]
    assert host.failsafe == (LogonMode.ENABLED, LogonMode.DRAIN)  # it opens the host when the lease has run out
    assert isinstance(read_lease(host.lease), Lease)
    (stopped,) = [one.what for one in stage.journal.entries("r-1") if isinstance(one.what, HostStopped)]
    assert "the failsafe on the host restores logons" in str(stopped.problems)


def test_a_restart_is_proved_by_another_boot(stage: Stage, host: FakeHost) -> None:
    value = stage.run(then=Then.RESTART)
    assert (value.outcome, results(value)) == ("back", {"alice": "ended", "bob": "ended"})
    assert host.record.count(("down", "restart")) == 1
    assert ("logons", "drain-until-restart") in host.record
    assert clean(host)


def test_w25_a_host_with_the_same_boot_has_not_restarted(
    stage: Stage, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_go_down", lambda how: host.record.append(("down", how)))  # told, and stays up
    with pytest.raises(Interrupted, match="goes on as before; it is not told again"):
        stage.run(then=Then.RESTART, warn_s=(), return_timeout_s=600)
    assert host.record.count(("down", "restart")) == 1
    assert clean(host)


def test_w26_a_further_boot_starts_the_count_anew(stage: Stage, host: FakeHost, clock: FakeClock) -> None:
    host.reboots = 2
    start = clock.now()
    assert stage.run(then=Then.RESTART, warn_s=()).outcome == "back"
    assert (clock.now() - start).total_seconds() >= 2 * 60 + 120
    assert host.record.count(("down", "restart")) == 1


def test_w26_a_host_whose_services_do_not_run_is_not_back(stage: Stage, host: FakeHost, clock: FakeClock) -> None:
    start = clock.now()

    def updates(seen: FakeHost) -> None:
        late = clock.now() < start + timedelta(seconds=900)
        seen.facts["unready"] = ("TermService", "RebootInProgress") if late else ()

    host.on_look = updates
    assert stage.run(then=Then.RESTART, warn_s=()).outcome == "back"
    assert 900 - 15 + 120 <= (clock.now() - start).total_seconds() < 900 + 200  # two minutes after the last bad look


@pytest.mark.parametrize(("times", "back"), [(2, True), (100, False)])
def test_a_host_that_refuses_the_account_when_it_starts_is_not_asked_until_the_account_is_locked(
    stage: Stage, host: FakeHost, times: int, back: bool
) -> None:
    refused = 0

    def refuse(seen: FakeHost) -> None:
        nonlocal refused
        if ("down", "restart") in seen.record and refused < times:
            refused += 1
            raise AuthRefused("the host refused the account or the password")

    host.on_look = refuse
    if back:
        assert stage.run(then=Then.RESTART, warn_s=()).outcome == "back"
        assert clean(host)
        return
    with pytest.raises(AuthRefused) as caught:
        stage.run(then=Then.RESTART, warn_s=())
    assert caught.value.may_have_run
    assert refused < 7  # three looks, and what giving back asks once


def test_a_host_that_is_silent_between_its_refusals_is_not_asked_more_often(stage: Stage, host: FakeHost) -> None:
    looks, refused = 0, 0

    def refuse(seen: FakeHost) -> None:
        nonlocal looks, refused
        if ("down", "restart") in seen.record:
            looks += 1
            if looks % 2:
                refused += 1
                raise AuthRefused("the host refused the account or the password")
            raise Unreachable("no route")

    host.on_look = refuse
    with pytest.raises(AuthRefused):
        stage.run(then=Then.RESTART, warn_s=())
    assert refused <= 4  # three looks, and one by giving back


def test_w26_a_host_that_refuses_in_between_has_not_been_back_for_two_minutes(
    stage: Stage, host: FakeHost, clock: FakeClock
) -> None:
    seen_back: list[float] = []

    def refuse_once(seen: FakeHost) -> None:
        if ("down", "restart") in seen.record:
            seen_back.append(clock.ticks)
            if len(seen_back) == 2:
                raise AuthRefused("the host refused the account or the password")

    host.on_look = refuse_once
    assert stage.run(then=Then.RESTART, warn_s=()).outcome == "back"
    _, _, steady, *rest = seen_back
    assert any(steady + 120 <= moment for moment in rest)


def test_w27_a_host_that_nobody_asks_is_not_quiet(stage: Stage, host: FakeHost) -> None:
    """The account is spared, so nothing is known of the host: that is no silence of it."""

    def spare(seen: FakeHost) -> None:
        if ("down", "shutdown") in seen.record:
            raise NotTried("alpha: not tried: beta refused alice")

    def stays_up(how: str) -> None:
        host.record.append(("down", how))

    host.on_look = spare
    host._go_down = stays_up  # type: ignore[method-assign]  # told, and does not go
    with pytest.raises(Interrupted, match="nobody could ask whether it did"):
        stage.run(then=Then.SHUTDOWN, warn_s=())


def test_w27_a_host_that_refuses_the_account_is_not_quiet(stage: Stage, host: FakeHost) -> None:
    refused = 0

    def refuse(seen: FakeHost) -> None:
        nonlocal refused
        if ("down", "shutdown") in seen.record:
            refused += 1
            raise AuthRefused("the host refused the account or the password")

    def stays_up(how: str) -> None:
        host.record.append(("down", how))

    host.on_look = refuse
    host._go_down = stays_up  # type: ignore[method-assign]  # told, and does not go
    with pytest.raises(AuthRefused) as caught:
        stage.run(then=Then.SHUTDOWN, warn_s=())
    assert caught.value.may_have_run
    assert refused <= 4


def test_w26_a_host_that_never_comes_back_is_unknown_and_told_once(stage: Stage, host: FakeHost) -> None:
    host.reboot_s = 10**6
    with pytest.raises(Interrupted, match="did not come back"):
        stage.run(then=Then.RESTART, warn_s=(), return_timeout_s=600)
    assert host.record.count(("down", "restart")) == 1
    assert isinstance(read_lease(host.lease), Lease)


@pytest.mark.parametrize(
    ("then", "step", "outcome"),
    [(Then.RESTART, "power", "back"), (Then.SHUTDOWN, "power", "went quiet"), (Then.CONSOLE_MODE, "mode", "back")],
)
def test_w25_an_order_whose_answer_is_lost_is_seen_through(
    stage: Stage, host: FakeHost, then: Then, step: str, outcome: str
) -> None:
    host.lose(step)
    assert stage.run(then=then, warn_s=()).outcome == outcome
    assert len([what for what, _ in host.record if what == "down"]) == 1
    assert steps_in(stage.journal.unanswered("r-1")) == [step]


@pytest.mark.parametrize("then", [Then.RESTART, Then.SHUTDOWN, Then.CONSOLE_MODE])
def test_w25_an_order_that_may_be_lost_is_not_given_again(stage: Stage, host: FakeHost, then: Then) -> None:
    host.faults["mode" if then is Then.CONSOLE_MODE else "power"] = ("before", lost())
    began = host.clock.monotonic()
    with pytest.raises(Interrupted, match="link broke") as late:
        stage.run(then=then, warn_s=())
    assert late.value.may_have_run
    assert 300 <= host.clock.monotonic() - began < 400
    told = {event.what.event: event.what.text() for event in stage.events}
    assert "looking whether it was taken" in told["unanswered"]
    assert "goes on as before" in told["failed"]
    assert "down" not in {what for what, _ in host.record}
    assert clean(host)


@pytest.mark.parametrize("then", [Then.RESTART, Then.SHUTDOWN, Then.CONSOLE_MODE])
def test_w24_a_look_that_is_lost_before_the_order_is_no_order(stage: Stage, host: FakeHost, then: Then) -> None:
    """From that look on the host is silent, as one is that was shut down; but nobody told it to."""

    def silent_from_the_second_whole_look_on(step: str) -> None:
        looks.append(step)
        if step == "observe" and looks.count("observe") == 2:
            host.faults["observe"] = ("before", lost())
            host.away_until = host.clock.now() + timedelta(days=1)

    looks: list[str] = []
    host.before_step = silent_from_the_second_whole_look_on
    began = host.clock.monotonic()
    with pytest.raises(MpsBridgeError):
        stage.run(then=then, warn_s=())
    assert host.clock.monotonic() - began < 60
    assert not {"power", "mode", "unanswered"} & set(names_in(stage.journal.entries("r-1")))


def test_w27_a_shutdown_that_is_silent_went_quiet(stage: Stage, host: FakeHost) -> None:
    assert stage.run(then=Then.SHUTDOWN, warn_s=()).outcome == "went quiet"
    assert host.record[-1] == ("down", "shutdown")


def test_w27_a_switch_of_mode_that_restarts_is_seen_through(stage: Stage, host: FakeHost) -> None:
    assert stage.run(then=Then.CONSOLE_MODE, warn_s=()).outcome == "back"
    assert ("down", "console") in host.record


def test_w08_a_station_that_logs_on_again_is_ended_once_and_no_obstacle(stage: Stage, host: FakeHost) -> None:
    host.station_users = {3: "guest"}
    host.log_on(5, "guest")
    value = stage.run(then=Then.RESTART, warn_s=())
    assert value.outcome == "back"
    assert host.record.count(("ended", "guest")) == 1


@pytest.mark.parametrize("then", [Then.RESTART, Then.CONSOLE_MODE])
def test_w05_who_has_a_stations_number_when_the_host_goes_down_is_not_taken_for_it(
    stage: Stage, host: FakeHost, clock: FakeClock, then: Then
) -> None:
    """Between the last look of the run and that of the script somebody else gets the number, and stays."""
    host.station_users = {3: "guest"}
    host.log_on(5, "guest")

    def somebody_else(step: str) -> None:
        if step in {"power", "mode"} and 105 in host.people:
            del host.people[105]
            host.station_users = {}
            clock.wait(1)
            host.log_on(105, "zoe")

    host.before_step = somebody_else
    with pytest.raises(RemoteError, match="still there: session 105"):
        stage.run(then=then, warn_s=())
    assert "zoe" in {person.user for person in host.people.values()}
    assert "down" not in {what for what, _ in host.record}


def test_w05_a_station_whose_birth_cannot_be_read_is_not_allowed(stage: Stage, host: FakeHost) -> None:
    host.station_users = {3: "guest"}
    host.log_on(5, "guest")

    def unreadable(step: str) -> None:
        for person in host.people.values():
            person.has_winlogon = person.id != 105

    host.before_step = unreadable
    with pytest.raises(RemoteError, match="still there: session 105"):
        stage.run(then=Then.RESTART, warn_s=())


def test_a_log_off_that_hangs_is_told_and_not_repeated(stage: Stage, host: FakeHost) -> None:
    host.people[2].hung = True
    value = stage.run(settle_s=30)
    assert results(value) == {"alice": "unknown", "bob": "ended"}
    assert host.record.count(("began", "alice")) == 1
    assert clean(host)


def test_w08_who_hangs_is_reset_after_the_time_granted_and_nobody_else(
    stage: Stage, host: FakeHost, clock: FakeClock
) -> None:
    host.people[2].hung = True
    started = clock.ticks
    value = stage.run(warn_s=(), settle_s=30, force_after_s=600)
    assert {one.session.user: (one.result, "by force" in one.text) for one in value.sessions} == {
        "alice": (Result.ENDED, True),
        "bob": (Result.ENDED, False),
    }
    assert [what for what in host.record if what[0] == "forced"] == [("forced", "alice")]
    assert 600 <= clock.ticks - started < 700
    assert stage.steps.index("logoff") < stage.steps.index("reset") < stage.steps.index("logons-set", 4)


def test_w13_who_hangs_without_a_row_is_reset_as_well(stage: Stage, host: FakeHost) -> None:
    host.people[2].hung = host.people[2].loses_row = True
    value = stage.run(warn_s=(), settle_s=30, force_after_s=600)
    assert results(value) == {"alice": "ended", "bob": "ended"}
    assert ("forced", "alice") in host.record


def test_w08_nobody_is_reset_whose_log_off_the_host_did_not_begin(stage: Stage, host: FakeHost) -> None:
    host.people[2].unsure = True
    value = stage.run(warn_s=(), settle_s=30, force_after_s=60)
    assert results(value) == {"alice": "unknown", "bob": "ended"}
    assert "reset" not in stage.steps


def test_w03_a_reset_that_does_not_end_either_is_unknown_and_not_repeated(stage: Stage, host: FakeHost) -> None:
    host.people[2].hung = host.people[2].deaf = True
    value = stage.run(warn_s=(), settle_s=30, force_after_s=60)
    (alice,) = [one for one in value.sessions if one.session.user == "alice"]
    assert (alice.result, alice.text) == (Result.UNKNOWN, "the reset has begun")
    assert stage.steps.count("reset") == 1
    assert clean(host)


def test_w09_a_reset_may_take_its_time(stage: Stage, host: FakeHost, clock: FakeClock) -> None:
    alice = host.people[2]
    alice.hung = alice.deaf = True
    alice.leaves_at = clock.now() + timedelta(seconds=80)
    value = stage.run(warn_s=(), settle_s=60, force_after_s=60)
    assert {one.session.user: one.text for one in value.sessions} == {"alice": BY_FORCE, "bob": ""}


@pytest.mark.parametrize(
    ("said", "expected", "text"),
    [
        (Result.GONE, Result.ENDED, ""),
        (Result.CHANGED, Result.ENDED, ""),
        (Result.REFUSED, Result.UNKNOWN, "its log-off hangs, and it was not reset: why"),
        (Result.EXPIRED, Result.UNKNOWN, "its log-off hangs, and it was not reset: why"),
        (Result.UNKNOWN, Result.UNKNOWN, "its log-off hangs, and it was not reset: why"),
    ],
)
def test_w08_what_a_reset_says_without_having_begun(host: FakeHost, said: Result, expected: Result, text: str) -> None:
    answer = after_reset(SessionResult(session=host.observe().sessions[0], result=said, text="why"))
    assert (answer.result, answer.text) == (expected, text)


def test_w22_the_lease_lasts_until_whoever_hangs_is_reset(stage: Stage, host: FakeHost, clock: FakeClock) -> None:
    host.people[2].hung = True
    expiries: list[str] = []

    def watch(seen: FakeHost) -> None:
        if isinstance(lease := read_lease(seen.lease), Lease) and lease.expires:
            expiries.append(lease.expires)

    host.on_look = watch
    stage.run(warn_s=(), settle_s=30, force_after_s=7200, host_deadline_s=10_000)
    assert ("forced", "alice") in host.record
    assert min(expiries) > to_cim(clock.now())


def test_a_run_that_goes_on_after_a_lost_reset_looks_first_and_grants_the_time_anew(
    stage: Stage, host: FakeHost
) -> None:
    host.people[2].hung = True
    host.faults["reset"] = ("before", lost())
    with pytest.raises(MpsBridgeError):
        stage.run(warn_s=(), settle_s=30, force_after_s=60)
    assert steps_in(stage.journal.unanswered("r-1")) == ["reset"]
    value = stage.run(warn_s=(), settle_s=30, force_after_s=60)
    assert [(one.session.user, one.text) for one in value.sessions] == [("alice", BY_FORCE)]
    assert stage.steps.count("logoff") == stage.steps.count("reset") == 2
    assert [what for what in host.record if what[0] == "forced"] == [("forced", "alice")]


def test_a_restart_waits_for_the_reset(stage: Stage, host: FakeHost) -> None:
    host.people[2].hung = True
    value = stage.run(warn_s=(), settle_s=30, force_after_s=60, then=Then.RESTART)
    assert value.outcome == "back"
    assert host.record.index(("forced", "alice")) < host.record.index(("down", "restart"))


def test_w05_a_row_whose_birth_cannot_be_read_proves_nothing(stage: Stage, host: FakeHost) -> None:
    """Not even where no process of a person is seen in it any more."""
    host.people[2].hung = True
    births = {"known": True}
    see = host._seen

    def seen() -> Observation:
        found = see()
        if births["known"]:
            return found
        nameless = tuple(one.model_copy(update={"born": None}) for one in found.sessions)
        return found.model_copy(update={"sessions": nameless, "processes_in": ()})

    host._seen = seen  # type: ignore[method-assign]  # the host goes half blind
    host.on_look = lambda _host: births.update(known=("began", "alice") not in host.record)
    assert results(stage.run(warn_s=(), settle_s=30)) == {"alice": "unknown", "bob": "ended"}


def test_nobody_is_reset_who_ends_by_himself_in_time(stage: Stage, host: FakeHost, clock: FakeClock) -> None:
    host.people[2].hung = True
    host.people[2].leaves_at = clock.now() + timedelta(seconds=200)
    stage.run(warn_s=(), settle_s=30, force_after_s=600)
    assert not [what for what in host.record if what[0] == "forced"]


def test_w08_somebody_new_in_the_seat_of_one_who_hung_is_not_reset(
    stage: Stage, host: FakeHost, clock: FakeClock
) -> None:
    host.people[2].hung = True

    def swap(seen: FakeHost) -> None:
        if clock.ticks > 300 and seen.people[2].user == "alice":
            seen.log_on(2, "carol")

    host.on_look = swap
    value = stage.run(warn_s=(), settle_s=30, force_after_s=600)
    assert not [what for what in host.record if what[0] == "forced"]
    assert "carol" in {person.user for person in host.people.values()}
    assert next(one for one in value.sessions if one.session.user == "alice").result is Result.ENDED


def test_w09_the_plan_says_what_force_may_cost(host: FakeHost) -> None:
    policy = Policy(selector=Selector(everyone=True), force_after_s=600)
    (note, *_) = [each for each in plan_host("ts1", host.observe(), policy, run="r-1").notes if "force" in each]
    assert "unsaved data is lost" in note


def test_a_host_is_not_restarted_over_a_hung_log_off(stage: Stage, host: FakeHost) -> None:
    host.people[2].hung = True
    with pytest.raises(RemoteError, match="still there: session 2"):
        stage.run(then=Then.RESTART, settle_s=30)
    assert ("down", "restart") not in host.record
    assert clean(host)


def test_the_id_of_somebody_else_is_never_ended(stage: Stage, host: FakeHost) -> None:
    def swap(seen: FakeHost) -> None:
        if ("shown", ("alice", "1m")) in seen.record and seen.people.get(2) and seen.people[2].user == "alice":
            del seen.people[2]
            seen.clock.time += timedelta(microseconds=1)
            seen.log_on(2, "mallory")

    host.on_look = swap
    value = stage.run()
    assert results(value)["alice"] == "gone"
    assert ("ended", "alice") not in host.record


def test_every_result_is_settled(stage: Stage) -> None:
    assert all(one.result is not Result.UNKNOWN for one in stage.run().sessions)


def test_a_host_has_a_deadline_of_its_own(stage: Stage, host: FakeHost) -> None:
    with pytest.raises(Interrupted, match="deadline"):
        stage.run(warn_s=(900,), host_deadline_s=300)
    assert not [what for what in host.record if what[0] == "ended"]
    assert clean(host)


@pytest.mark.parametrize("refuses", [False, True])
def test_a_run_that_goes_on_gives_back_what_it_holds_though_nothing_is_left_to_do(
    stage: Stage, host: FakeHost, *, refuses: bool
) -> None:
    held = Lease(
        run="r-1",
        owner="admin@box",
        since=to_cim(host.clock.now()),
        expires=None,
        found=LogonMode.ENABLED,
        set=LogonMode.DRAIN,
    )
    host.lease, host.mode, host.failsafe = held.text(), LogonMode.DRAIN, (LogonMode.ENABLED, LogonMode.DRAIN)
    host.people.clear()
    if refuses:
        host.log_on(9, "zoe", state=State.DISCONNECTED)
        with pytest.raises(Refused):
            stage.run()
    else:
        assert stage.run().outcome == "nothing to do"
    assert clean(host)


@pytest.mark.parametrize("moment", ["look", "lease", "failsafe", "logons-set"])
def test_once_it_is_stopped_nothing_new_begins_and_all_is_given_back(stage: Stage, host: FakeHost, moment: str) -> None:
    """A stop that comes while a step is at work is heeded before the next one, not at the next wait."""
    act = {"look": "observe", "lease": "set_lease", "failsafe": "set_failsafe", "logons-set": "set_logons"}[moment]
    first = getattr(host, act)

    def at_work(*words: object, **more: object) -> object:
        stage.stop.set()
        return first(*words, **more)

    setattr(host, act, at_work)
    with pytest.raises(Interrupted, match="stopped before") as caught:
        stage.run()
    assert not caught.value.may_have_run
    later = {"shown", "ended"}
    assert not later & {step for step, _ in host.record}
    assert (host.mode, host.lease) == (LogonMode.ENABLED, None)


def when_warned(act: Callable[[FakeHost], object]) -> Callable[[FakeHost], None]:
    """Do something once, at the first look after a notice was shown."""
    done: list[bool] = []

    def look(host: FakeHost) -> None:
        if not done and any(what == "shown" for what, _ in host.record):
            done.append(True)
            act(host)

    return look


@pytest.mark.parametrize("then", [Then.NOTHING, Then.RESTART])
def test_a_host_that_is_taken_over_is_left_at_once_and_nothing_is_claimed(
    stage: Stage, host: FakeHost, then: Then
) -> None:
    """What the other run did was once told as sessions that left by themselves, and as done."""
    now = host.clock.now()
    other = Lease(run="r-2", owner="bob@other", since=to_cim(now), expires=to_cim(now + timedelta(hours=1))).text()

    def taken_over(host: FakeHost) -> None:
        host.lease = other
        host.people.clear()

    host.on_look = when_warned(taken_over)
    with pytest.raises(HostReleased, match=r"taken over: it is held by run r-2 of bob@other"):
        stage.run(then=then)
    assert host.lease == other
    assert {"ended", "down"} & {what for what, _ in host.record} == set()
    told = [event.what.event for event in stage.events]
    assert "settled" not in told
    assert "restored" not in told
    assert told[-1] == "stopped"


def test_a_host_that_a_person_releases_meanwhile_is_left_at_once(stage: Stage, host: FakeHost) -> None:
    host.on_look = when_warned(lambda host: setattr(host, "lease", None))
    with pytest.raises(HostReleased, match="a person released the host"):
        stage.run(then=Then.NOTHING)
    assert "ended" not in {what for what, _ in host.record}


def test_a_restart_by_others_is_said_and_not_told_as_people_who_left(stage: Stage, host: FakeHost) -> None:
    def restarted(host: FakeHost) -> None:
        host.boot += timedelta(minutes=3)
        host.people.clear()

    host.on_look = when_warned(restarted)
    value = stage.run(then=Then.NOTHING)
    assert {one.result for one in value.sessions} == {Result.GONE}
    assert {one.text for one in value.sessions} == {"the host has restarted since"}
    assert any("was restarted, not by this run" in problem for problem in value.problems)
    assert [event.what.event for event in stage.events].count("restarted") == 1
    assert clean(host)


def test_logons_that_were_never_closed_are_not_called_open_again(stage: Stage, host: FakeHost) -> None:
    host.faults["logons-set"] = ("before", RemoteError("this host has no chglogon.exe", may_have_run=False))
    with pytest.raises(RemoteError, match="chglogon") as raised:
        stage.run()
    assert not raised.value.may_have_run
    assert clean(host)
    assert [event.what.text() for event in stage.events if event.what.event == "restored"] == ["logons are enabled"]


def others_order_comes(host: FakeHost, how: str, *, after_s: float) -> None:
    host.others_order = how
    asked_at: list[datetime] = []

    def on_look(where: FakeHost) -> None:
        if "power" in stepped and not asked_at:
            asked_at.append(where.clock.now())
        if asked_at and where.others_order and where.clock.now() >= asked_at[0] + timedelta(seconds=after_s):
            where.others_turn()

    stepped: set[str] = set()
    host.before_step, host.on_look = stepped.add, on_look


def test_w24_somebody_elses_restart_is_waited_for_and_said_as_such(stage: Stage, host: FakeHost) -> None:
    others_order_comes(host, "restart", after_s=1200)
    assert stage.run(then=Then.RESTART).outcome == "back"
    assert host.record.count(("down", "restart")) == 1
    assert stage.steps.count("power") == 1
    texts = [event.what.text() for event in stage.events]
    assert any("not this run's" in text and "1190" in text for text in texts)
    assert not any("restart ordered" in text for text in texts)
    assert clean(host)


def test_w24_somebody_elses_shutdown_that_comes_is_quiet(stage: Stage, host: FakeHost) -> None:
    others_order_comes(host, "shutdown", after_s=600)
    assert stage.run(then=Then.SHUTDOWN).outcome == WENT_QUIET


@pytest.mark.parametrize("then", [Then.RESTART, Then.SHUTDOWN])
def test_w24_somebody_elses_order_that_does_not_come_in_time_is_not_ours(
    stage: Stage, host: FakeHost, then: Then
) -> None:
    host.others_order = "restart"
    with pytest.raises(RemoteError, match="not this run's") as raised:
        stage.run(then=then)
    assert raised.value.kind == "remote"
    assert "shutdown /a" in str(raised.value.hint)
    assert "come back" not in str(raised.value)
    assert stage.steps.count("power") == 1
    assert clean(host)


def test_w24_where_somebody_elses_shutdown_takes_the_host_its_silence_is_unknown(stage: Stage, host: FakeHost) -> None:
    others_order_comes(host, "shutdown", after_s=60)
    with pytest.raises(Interrupted, match="not this run's"):
        stage.run(then=Then.RESTART)
