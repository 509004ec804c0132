from __future__ import annotations

import gc
import pickle
import signal
import threading
import weakref
from collections.abc import Callable, Sequence

import pytest
from support.fake_clock import FakeClock
from support.make_believe import Hands, envelope, observation, row

from mpsbridge.clock import SystemClock
from mpsbridge.errors import InputError, Interrupted, Unreachable
from mpsbridge.fleet import Fleet
from mpsbridge.host import Host
from mpsbridge.models.outcomes import Done, Failed
from mpsbridge.models.scripts import RawOutput, Script
from mpsbridge.models.sessions import Observation
from mpsbridge.models.targets import Target
from mpsbridge.schemas import answers
from mpsbridge.transports.canned import CannedTransport

TARGETS = [Target(host=f"ts{number}", address=f"ts{number}") for number in range(6)]


def connect(answer: Callable[[Target, Script], str | Unreachable]) -> Callable[[Target], Host]:
    def make(target: Target) -> Host:
        hands = Hands({"observe": lambda script: answer(target, script)})
        return Host(target, connect=hands.connect)

    return make


def connect_with(clock: FakeClock) -> Callable[[Target], Host]:
    hands = Hands({"observe": lambda _: envelope("observe", observation([row("alice", 2)]))})
    return lambda target: Host(target, connect=hands.connect, clock=clock)


def alice_everywhere_but_ts3(target: Target, _script: Script) -> str | Unreachable:
    if target.host == "ts3":
        return Unreachable("ts3: refused")
    return envelope("observe", observation([row("alice", 2)]))


def test_outcomes_come_in_the_order_asked_for_and_one_dead_host_stops_nobody() -> None:
    with Fleet(TARGETS, concurrency=3, connect=connect(alice_everywhere_but_ts3)) as fleet:
        outcomes = fleet.run(Host.observe)
    assert [outcome.host for outcome in outcomes] == [target.host for target in TARGETS]
    assert [outcome.status for outcome in outcomes] == ["done", "done", "done", "failed", "done", "done"]
    failed = outcomes[3]
    assert isinstance(failed, Failed)
    assert (failed.failure.kind, failed.failure.may_have_run) == ("unreachable", False)


def test_hosts_are_asked_again_and_again_while_one_is_silent() -> None:
    release = threading.Event()
    asked: list[str] = []

    def job(host: Host) -> str:
        if host.target.host == "ts0":
            release.wait(20)
        asked.append(host.target.host)
        return host.target.host

    with Fleet(TARGETS[:3], concurrency=1, connect=connect(alice_everywhere_but_ts3)) as fleet:
        for found in fleet.ticking(job, again_after_s=0.01):
            if found is None and not release.is_set():
                assert [host for host, _ in fleet.waited_for][:1] == ["ts0"]
            if asked.count("ts1") >= 3 and asked.count("ts2") >= 3:
                release.set()
            if "ts0" in asked:
                fleet.cancel()
    assert asked.count("ts0") >= 1
    assert fleet.waited_for == []


def test_an_unexpected_error_of_one_host_stops_nobody() -> None:
    def job(host: Host) -> str:
        if host.target.host == "ts1":
            raise ZeroDivisionError
        return host.target.host

    with Fleet(TARGETS, connect=connect(alice_everywhere_but_ts3)) as fleet:
        outcomes = fleet.run(job)
    failed = outcomes[1]
    assert isinstance(failed, Failed)
    assert (failed.failure.kind, failed.failure.may_have_run) == ("internal", True)
    assert sum(outcome.status == "done" for outcome in outcomes) == 5


def test_a_slow_host_does_not_hold_the_others_back() -> None:
    release = threading.Event()

    def job(host: Host) -> str:
        if host.target.host == "ts0":
            release.wait(10)
        return host.target.host

    with Fleet(TARGETS, connect=connect(alice_everywhere_but_ts3)) as fleet:
        stream = fleet.stream(job)
        first = [next(stream)[1].host for _ in range(5)]
        release.set()
        assert "ts0" not in first
        assert next(stream)[1].host == "ts0"


def test_only_some_places_keep_their_connections() -> None:
    made: list[Hands] = []

    def make(target: Target) -> Host:
        hands = Hands({"observe": lambda script: alice_everywhere_but_ts3(target, script)})
        made.append(hands)
        return Host(target, connect=hands.connect)

    with Fleet(TARGETS, connect=make) as fleet:
        fleet.run(Host.observe)
        chosen = fleet.run(Host.observe, only=[4, 1])
    assert [outcome.host for outcome in chosen] == ["ts4", "ts1"]
    assert [hands.connections for hands in made] == [1] * 6
    assert [len(hands.calls) for hands in made] == [1, 2, 1, 1, 2, 1]


def test_a_cancel_ends_what_runs_and_begins_nothing_new() -> None:
    started = threading.Barrier(3)

    def job(host: Host) -> str:
        started.wait(10)
        fleet.stop.wait(10)
        host.observe()
        return "observed"

    def cancel_when_started() -> None:
        started.wait(10)  # both slots are taken
        fleet.cancel()

    with Fleet(TARGETS, concurrency=2, connect=connect(alice_everywhere_but_ts3)) as fleet:
        threading.Thread(target=cancel_when_started).start()
        outcomes = fleet.run(job)
    assert fleet.interrupted
    assert [outcome.status for outcome in outcomes] == ["failed"] * 6
    failures = [outcome.failure for outcome in outcomes if isinstance(outcome, Failed)]
    assert [failure.kind for failure in failures] == ["stopped"] * 2 + ["not-begun"] * 4
    assert not any(failure.may_have_run for failure in failures)


@pytest.mark.parametrize("where", ["first", "spread", "last"])
def test_hosts_that_are_silent_give_their_slots_up(where: str) -> None:
    silent = {"first": {0, 1, 2}, "spread": {0, 2, 4}, "last": {3, 4, 5}}[where]
    release = threading.Event()

    def job(host: Host) -> str:
        if int(host.name[2:]) in silent:
            assert release.wait(20), "the others waited for it"
        return host.name

    with Fleet(TARGETS, concurrency=2, connect=connect(alice_everywhere_but_ts3)) as fleet:
        stream = fleet.stream(job)
        first = {next(stream)[0] for _ in range(3)}
        release.set()
        rest = {place for place, _ in stream}
    assert (first, rest) == (set(range(6)) - silent, silent)


def test_hosts_that_make_progress_share_the_slots() -> None:
    at_work = most = 0
    lock = threading.Lock()

    def job(host: Host) -> str:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        try:
            return str(host.observe().boot)
        finally:
            with lock:
                at_work -= 1

    targets = [Target(host=f"ts{number}", address=f"ts{number}") for number in range(200)]
    with Fleet(targets, concurrency=3, connect=connect(alice_everywhere_but_ts3)) as fleet:
        assert len(fleet.run(job)) == 200
    assert most <= 3


def test_never_more_than_so_many_hosts_are_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpsbridge.fleet.MOST_AT_WORK", 4)
    monkeypatch.setattr("mpsbridge.fleet.SILENT_S", 0.0)
    monkeypatch.setattr("mpsbridge.fleet.LOOK_S", 0.01)
    begun: list[str] = []
    counted: list[int] = []
    barrier = threading.Barrier(4, action=lambda: counted.append(len(begun)))

    def job(host: Host) -> str:
        begun.append(host.name)
        if len(begun) <= 4:
            barrier.wait(10)
        return host.name

    with Fleet(TARGETS, concurrency=1, connect=connect(alice_everywhere_but_ts3)) as fleet:
        assert [outcome.status for outcome in fleet.run(job)] == ["done"] * 6
    assert counted == [4]


def test_nothing_is_kept_of_a_host_that_has_finished() -> None:
    alive: weakref.WeakSet[Host] = weakref.WeakSet()
    most = 0

    def make(target: Target) -> Host:
        host = connect(alice_everywhere_but_ts3)(target)
        alive.add(host)
        return host

    targets = [Target(host=f"ts{number}", address=f"ts{number}") for number in range(100)]
    with Fleet(targets, concurrency=4, connect=make, keep=False) as fleet:
        for _ in fleet.stream(Host.observe):
            most = max(most, len(alive))
        gc.collect()
    assert most <= 2 * 4 + 1  # at work, being closed, and the one that was just told of
    assert len(alive) == 0


def test_after_the_deadline_nobody_begins_and_who_is_at_work_is_cut_off() -> None:
    clock = FakeClock()

    def job(host: Host) -> str:
        if host.name == "ts1":
            clock.wait(61)
        return str(len(host.observe().sessions))

    with Fleet(TARGETS, concurrency=1, connect=connect_with(clock), clock=clock, deadline_s=60) as fleet:
        outcomes = fleet.run(job)
    assert not fleet.interrupted
    assert [outcome.status for outcome in outcomes] == ["done"] + ["failed"] * 5
    failures = [outcome.failure for outcome in outcomes if isinstance(outcome, Failed)]
    assert [failure.kind for failure in failures] == ["timeout"] + ["not-begun"] * 4
    assert not any(failure.may_have_run for failure in failures)
    assert all("--deadline" in failure.hint for failure in failures)


def test_a_command_gets_no_more_time_than_the_deadline_leaves() -> None:
    clock, given = FakeClock(), list[float]()

    class Timed(CannedTransport):
        def run(self, script: Script, *, timeout_s: float) -> RawOutput:
            given.append(timeout_s)
            clock.wait(20)
            return super().run(script, timeout_s=timeout_s)

    def make(target: Target) -> Host:
        answer = envelope("observe", observation([row("alice", 2)]))
        return Host(target, connect=lambda _: Timed(lambda _: answer), clock=clock)

    with Fleet(TARGETS[:2], concurrency=1, connect=make, clock=clock, deadline_s=45) as fleet:
        fleet.run(Host.observe)
    assert given == [45, 25]


@pytest.mark.xdist_group("timing")
def test_a_host_that_heeds_no_deadline_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpsbridge.fleet.CUT_AFTER_S", 0.1)
    monkeypatch.setattr("mpsbridge.fleet.GIVE_UP_AFTER_S", 0.2)
    release = threading.Event()

    with Fleet(TARGETS[:2], connect=connect(alice_everywhere_but_ts3), deadline_s=0.2) as fleet:
        outcomes = fleet.run(lambda host: release.wait(20) if host.name == "ts0" else host.name)
        release.set()
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]
    assert isinstance(outcomes[0], Failed)
    assert (outcomes[0].failure.kind, outcomes[0].failure.may_have_run) == ("timeout", True)


def test_outcomes_survive_pickling_and_json_with_a_failure_inside() -> None:
    with Fleet(TARGETS[2:4], connect=connect(alice_everywhere_but_ts3)) as fleet:
        outcomes = fleet.run(Host.observe)
    copies = pickle.loads(pickle.dumps(outcomes))  # noqa: S301 - our own bytes
    assert copies == outcomes
    for outcome in outcomes:
        read = (Done[Observation] if outcome.status == "done" else Failed).model_validate_json(
            outcome.model_dump_json()
        )
        assert read.host == outcome.host


@pytest.mark.parametrize("status", ["done", "failed"])
def test_an_outcome_has_the_documented_keys(status: str) -> None:
    with Fleet(TARGETS[2:4], connect=connect(alice_everywhere_but_ts3)) as fleet:
        outcomes = fleet.run(Host.observe)
    (outcome,) = [each for each in outcomes if each.status == status]
    (dumped,) = answers.document("sessions", [outcome])["outcomes"]
    last = {"done": "value", "failed": "failure"}[status]
    assert list(dumped) == ["status", "host", "address", "elapsed_s", last]
    if status == "failed":
        assert list(dumped["failure"]) == ["kind", "message", "hint", "may_have_run"]
    else:
        assert list(dumped["value"]) == [
            "sessions",
            "observed",
            "boot",
            "logon_mode",
            "multipoint",
            "elevated",
            "orphaned",
            "problems",
            "others",
        ]
        (session,) = dumped["value"]["sessions"]
        assert " ".join(session) == (
            "id user user_text account session_name state state_text idle_s idle_text "
            "logon logon_text born own admin station client"
        )


@pytest.mark.xdist_group("timing")
def test_hosts_that_hang_after_an_interrupt_share_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpsbridge.fleet.CANCEL_LIMIT_S", 0.3)
    release = threading.Event()

    class Hanging(Host):
        def observe(self, *, programs: Sequence[str] = ()) -> Observation:
            release.wait(10)
            return super().observe(programs=programs)

    clock = SystemClock()
    with Fleet(TARGETS, concurrency=len(TARGETS), connect=Hanging) as fleet:
        threading.Timer(0.2, fleet.stop.set).start()
        stream = fleet.stream(lambda host: host.name if host.name == "ts0" and fleet.stop.wait(10) else host.observe())
        started = clock.monotonic()
        outcomes = [outcome for _, outcome in stream]
        elapsed_s = clock.monotonic() - started
        release.set()
    assert [outcome.status for outcome in outcomes].count("failed") == len(TARGETS) - 1
    assert elapsed_s < 0.2 + 3 * 0.3


class Hanging(CannedTransport):
    """The first answer never comes; a cancel ends the wait for it."""

    def __init__(self, hangs: bool) -> None:
        self.asked = threading.Event()
        self._over = threading.Event()
        if not hangs:
            self._over.set()
        super().__init__(self._wait)

    def _wait(self, _script: Script) -> str:
        self.asked.set()
        assert self._over.wait(30)
        return envelope("observe", observation([row("alice", 2)]))

    def cancel(self) -> None:
        super().cancel()
        self._over.set()


class Fast(SystemClock):
    """Eight seconds pass in one."""

    def monotonic(self) -> float:
        return super().monotonic() * 8


def test_an_interrupted_run_cuts_a_step_that_hangs_and_gives_back_on_a_new_connection() -> None:
    first = Hanging(hangs=True)
    opened: list[Hanging] = []

    def connect_one(_: Target) -> Hanging:
        opened.append(Hanging(hangs=False) if opened else first)
        return opened[-1]

    def job(host: Host) -> str:
        with pytest.raises(Interrupted):
            host.observe()
        host.observe()
        return "gave back"

    def stop_when_at_work() -> None:
        first.asked.wait(10)  # a step that begins only after the interrupt is one of giving back, and not cut
        fleet.stop.set()

    clock = Fast()
    hosts = [Target(host="ts1", address="ts1")]
    with Fleet(
        hosts, connect=lambda target: Host(target, connect=connect_one, clock=clock), clock=clock, graceful=True
    ) as fleet:
        threading.Thread(target=stop_when_at_work).start()
        (outcome,) = fleet.run(job)
    assert isinstance(outcome, Done)
    assert (outcome.value, len(opened)) == ("gave back", 2)


def test_a_ctrl_c_while_the_caller_handles_an_outcome_loses_none() -> None:
    told: list[tuple[int, str]] = []
    with Fleet(TARGETS, concurrency=1, connect=connect(alice_everywhere_but_ts3)) as fleet:
        for place, outcome in fleet.stream(Host.observe):
            if not told:
                signal.raise_signal(signal.SIGINT)
            told.append((place, outcome.status))
    assert fleet.interrupted
    assert sorted(place for place, _ in told) == list(range(6))
    assert told[0] == (0, "done")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_is_raised() -> None:
    release = threading.Event()

    def listen_until_the_second() -> None:
        for _ in fleet.stream(lambda host: host.name == "ts0" or release.wait(10)):
            signal.raise_signal(signal.SIGINT)
            release.set()
            signal.raise_signal(signal.SIGINT)

    with Fleet(TARGETS, connect=connect(alice_everywhere_but_ts3)) as fleet, pytest.raises(KeyboardInterrupt):
        listen_until_the_second()


def test_an_error_between_two_jobs_is_no_interrupt() -> None:
    said: list[str] = []

    def act(fleet: Fleet) -> None:
        with fleet:
            fleet.run(Host.observe)
            raise ZeroDivisionError

    fleet = Fleet(TARGETS, connect=connect(alice_everywhere_but_ts3), on_interrupt=lambda: said.append("interrupted"))
    with pytest.raises(ZeroDivisionError):
        act(fleet)
    assert (said, fleet.interrupted) == ([], False)


def test_who_is_left_in_the_middle_of_a_job_waits_for_nobody() -> None:
    def act(fleet: Fleet) -> None:
        with fleet:
            for _ in fleet.stream(lambda host: host.name == "ts0" or fleet.stop.wait(20)):
                raise ZeroDivisionError

    fleet = Fleet(TARGETS, connect=connect(alice_everywhere_but_ts3))
    with pytest.raises(ZeroDivisionError):
        act(fleet)
    assert fleet.interrupted


def test_one_target_is_no_sequence_of_targets() -> None:
    """It is one of its fields, and a fleet of those would wait for ever."""
    with pytest.raises(InputError, match="it is not a list of Target"):
        Fleet(Target(host="ts1", address="ts1"))  # type: ignore[arg-type]  # what is wrong here
