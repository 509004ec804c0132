from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Sequence

import pytest
from make_believe import Hands, envelope, observation, row

from mpsbridge.clock import SystemClock
from mpsbridge.errors import Unreachable
from mpsbridge.fleet import Fleet
from mpsbridge.host import Host
from mpsbridge.models.outcomes import Done, Failed
from mpsbridge.models.scripts import Script
from mpsbridge.models.sessions import Observation
from mpsbridge.models.targets import Target

TARGETS = [Target(host=f"ts{number}", address=f"ts{number}") for number in range(6)]


def connect(answer: Callable[[Target, Script], str | Unreachable]) -> Callable[[Target], Host]:
    def make(target: Target) -> Host:
        hands = Hands({"observe": lambda script: answer(target, script)})
        return Host(target, connect=hands.connect)

    return make


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
    started = threading.Event()

    def job(host: Host) -> str:
        started.set()
        fleet.stop.wait(10)
        host.observe()
        return "observed"

    def cancel_when_started() -> None:
        started.wait(10)
        fleet.cancel()

    with Fleet(TARGETS, concurrency=2, connect=connect(alice_everywhere_but_ts3)) as fleet:
        threading.Thread(target=cancel_when_started).start()
        outcomes = fleet.run(job)
    assert fleet.interrupted
    assert [outcome.status for outcome in outcomes] == ["failed"] * 6
    for outcome in outcomes:
        assert isinstance(outcome, Failed)
        assert (outcome.failure.kind, outcome.failure.may_have_run) == ("interrupted", False)


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
    dumped = outcome.model_dump(mode="json")
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
            "problems",
        ]
        (session,) = dumped["value"]["sessions"]
        assert " ".join(session) == (
            "id user account session_name state state_text idle_s idle_text "
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
