"""The promises of the procedure, held against everything that can go wrong at once.

Generated worlds with people who come, go, hang and come back, faults at any step before or after it took effect, a run
that is killed at any moment and resumed, another admin box and another administrator. What happened to whom is read
from the host's own record.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from conftest import examples
from fake_clock import FakeClock
from fake_host import FakeHost, lost
from hypothesis import event, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from mpsbridge.ending.plan import Selector
from mpsbridge.ending.policy import Policy, Then
from mpsbridge.ending.record import notices_told
from mpsbridge.ending.run import EndValue, end_sessions
from mpsbridge.ending.scene import Scene
from mpsbridge.errors import MpsBridgeError, RemoteError, Unreachable
from mpsbridge.models.sessions import LogonMode, State


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


@dataclass
class Memory:
    """A record that outlives the run; ``writes_left`` counts down to the kill."""

    entries: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)
    writes_left: int | None = None

    def _write(self, kind: str, number: int, detail: dict[str, Any]) -> int:
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                raise Killed
        self.entries.append((kind, number, detail))
        return len(self.entries)

    def intend(self, run: str, host: str, step: str, **detail: JsonValue) -> int:
        return self._write("intent", 0, {"run": run, "host": host, "step": step, **detail})

    def answer(self, intent: int, run: str, host: str, step: str, **detail: JsonValue) -> None:
        self._write("outcome", intent, {"run": run, "host": host, "step": step, **detail})

    def note(self, run: str, host: str, step: str, **detail: JsonValue) -> None:
        self._write("event", 0, {"run": run, "host": host, "step": step, **detail})


@dataclass
class Kill:
    """Wraps a host: after the kill nothing reaches it any more from this process."""

    host: FakeHost
    record: Memory

    def __getattr__(self, name: str) -> Any:
        if self.record.writes_left is not None and self.record.writes_left < 0:
            raise Killed
        return getattr(self.host, name)


PERSON = st.fixed_dictionaries(
    {
        "user": st.sampled_from(["alice", "bob", "carol", "dave", "root"]),
        "state": st.sampled_from([State.ACTIVE, State.ACTIVE, State.DISCONNECTED]),
        "trouble": st.sampled_from([(), (), (), ("hung",), ("hung", "loses_row"), ("hung", "deaf"), ("unsure",)]),
        "leaves_after_s": st.none() | st.integers(0, 400),
        "arrives_after_s": st.just(0) | st.integers(0, 400),
    }
)
FAULTS = st.dictionaries(
    st.sampled_from(["lease", "failsafe", "logons-set", "message", "end", "reset", "look", "power", "failsafe-remove"]),
    st.tuples(st.sampled_from(["before", "after"]), st.sampled_from(["lost", "unreachable", "remote"])),
    max_size=2,
)
POLICY = st.fixed_dictionaries(
    {
        "then": st.sampled_from([Then.NOTHING, Then.NOTHING, Then.RESTART]),
        "warn_s": st.sampled_from([(), (60,), (300, 60)]),
        "disconnected_ok": st.booleans(),
        "unwarned_ok": st.booleans(),
        "include_admins": st.booleans(),
        "settle_s": st.just(30),
        "force_after_s": st.sampled_from([None, None, 60, 300]),
        "return_timeout_s": st.just(900),
    }
)


@dataclass
class Scenario:
    """One generated world and what is done in it."""

    host: FakeHost
    policy: Policy
    record: Memory
    lives: int = 0
    """How often a process was at work."""

    def run(self) -> EndValue | None:
        self.lives += 1
        scene = Scene(
            Kill(self.host, self.record),
            run="r-1",
            policy=self.policy,
            owner="admin@box",
            journal=self.record,
            clock=self.host.clock,
            told=notices_told((detail["step"], detail) for _, _, detail in self.record.entries),
        )
        boot = self._boot_of_the_order()
        try:
            return end_sessions(scene, ordered_at=boot)
        except MpsBridgeError as error:
            event(type(error).__name__)
            return None

    def _boot_of_the_order(self) -> Any:
        ordered = any(kind == "intent" and detail["step"] == "power" for kind, _, detail in self.record.entries)
        return FakeHost(self.host.clock).boot if ordered else None


def build(
    people: list[dict[str, Any]], faults: dict[str, tuple[str, str]], policy: dict[str, Any], mode: LogonMode
) -> Scenario:
    clock = FakeClock()
    host = FakeHost(clock, mode=mode, reboot_s=60)
    start = clock.now()
    waiting: list[tuple[Any, int, dict[str, Any]]] = []
    for number, person in enumerate(people, 2):
        arrives = start + timedelta(seconds=person["arrives_after_s"])
        waiting.append((arrives, number, person))

    def people_come(seen: FakeHost) -> None:
        for entry in list(waiting):
            arrives, number, person = entry
            if arrives <= seen.clock.now():
                waiting.remove(entry)
                if (number not in seen.people and seen.mode is LogonMode.ENABLED) or person["arrives_after_s"] == 0:
                    leaves = person["leaves_after_s"]
                    seen.log_on(
                        number,
                        f"{person['user']}{number}",
                        state=person["state"],
                        **dict.fromkeys(person["trouble"], True),
                        admin=person["user"] == "root" or None,
                        leaves_at=None if leaves is None else arrives + timedelta(seconds=leaves),
                    )

    host.on_look = people_come
    people_come(host)
    kinds = {"lost": lost(), "unreachable": Unreachable("no route"), "remote": RemoteError("it says no")}
    host.faults = {
        step: (when, kinds[kind]) for step, (when, kind) in faults.items() if not (when == "after" and kind != "lost")
    }
    return Scenario(host, Policy(selector=Selector(everyone=True), **policy), Memory())


def check(scenario: Scenario, *, found: LogonMode, killed: bool = False) -> None:
    """The promises, read from the host's record."""
    host, policy = scenario.host, scenario.policy
    ended = [who for what, who in host.record if what == "ended"]
    shown = [who for what, who in host.record if what == "shown"]
    assert len(shown) == len(set(shown)), "a notice was delivered twice"
    forced = [who for what, who in host.record if what == "forced"]
    assert len(ended) == len(set(ended)), "somebody was ended twice"
    most = {
        who: scenario.lives if who in host.stayed else 1 for who in forced
    }  # a new life's look has shown them there
    assert all(forced.count(who) <= most[who] for who in forced), "somebody was reset twice"
    for after_s in host.forced_after.values():
        assert policy.force_after_s is not None, "somebody was reset though nobody allowed it"
        assert after_s >= policy.force_after_s, "somebody was reset too early"
    assert {("began", who) for who in forced} <= set(host.record), "somebody was reset who was not logged off"
    assert host.record.count(("down", "restart")) <= 1, "the host was told twice to restart"
    if not policy.include_admins:
        assert not [who for who in ended if who.startswith("root")], "an administrator was ended"
    if policy.warn_s and not policy.unwarned_ok:
        warned = {user for user, _ in shown}
        for who in ended:
            assert who in warned or who in host.ended_disconnected, "somebody active was ended unwarned"
    dropped = found is LogonMode.DISABLED and ("down", "restart") in host.record  # by Windows, until somebody resumes
    assert found is host.mode or host.failsafe is not None or (killed and dropped), "logons are not as they were"


MODES = st.sampled_from([LogonMode.ENABLED, LogonMode.ENABLED, LogonMode.DRAIN, LogonMode.DISABLED])
WORLD = st.tuples(st.lists(PERSON, max_size=4), FAULTS, POLICY, MODES)


@settings(max_examples=examples(ci=300, deep=10_000))
@given(WORLD)
def test_whatever_happens_the_promises_hold(world: tuple[Any, ...]) -> None:
    scenario = build(*world)
    found = scenario.host.mode
    value = scenario.run()
    check(scenario, found=found)
    host = scenario.host
    broken = {"failsafe-remove", "lease", "look", "logons-set", "power"} & set(world[1])
    if not broken and host.away_until is None:
        assert host.lease is None
        assert host.failsafe is None
    if value is not None and value.outcome == "back":
        assert ("down", "restart") in host.record


@settings(max_examples=examples(ci=300, deep=10_000))
@given(WORLD, st.integers(0, 60))
def test_a_run_that_is_killed_at_any_moment_is_resumed_without_harm(world: tuple[Any, ...], writes: int) -> None:
    scenario = build(*world)
    found = scenario.host.mode
    scenario.record.writes_left = writes
    with contextlib.suppress(Killed):
        scenario.run()
    check(scenario, found=found, killed=True)
    if scenario.record.writes_left >= 0:
        return
    scenario.record.writes_left = None
    scenario.host.faults.clear()
    scenario.host.clock.wait(120)
    if scenario.run() is not None:
        assert scenario.host.lease is None
        assert scenario.host.mode is found  # and then a failsafe that is left changes nothing and removes itself
    check(scenario, found=found)
