"""The whole procedure against everything at once, one small step after the other, in any order.

A machine of rules: people come, go, hang and come back, the wire loses what it likes, processes are killed at any
write, two boxes work on one host, other administrators change what they like. After each step the promises are read
from the host's own account (:class:`Promises`).
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from conftest import PROFILE, ROOT, SEED, examples
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.promises import Promises
from support.story import Life, RunStory, Story
from support.watched_host import Guest
from support.wire import Fate, Fault

from mpsbridge.errors import Interrupted, NotSent
from mpsbridge.lab.engines.scripted import acting, marking, ordering
from mpsbridge.lab.engines.scripted.guard import Guard, Look, Standing, standing
from mpsbridge.lab.windows.facts import HostFacts
from mpsbridge.models.sessions import Observation
from mpsbridge.models.then import Then
from mpsbridge.planning.policy import Closing, Policy
from mpsbridge.planning.selection import Selector
from mpsbridge.procedure import context
from mpsbridge.procedure.context import ProcedureContext
from mpsbridge.procedure.notices import end_of
from mpsbridge.procedure.reservation import Reservation
from mpsbridge.procedure.sessions import SessionLedger
from mpsbridge.runs.events import StepSent

USERS = ["alice", "bob", "carol", "user 12", "o'neil"]
ADMINISTRATOR = "dave"
"""Nobody else is one: it is accounts that are, and not sessions."""
MODES = ["enabled", "drain", "drain-until-restart", "disabled"]
STEPS = 50
ALONE = "RUN_MACHINE_ALONE"
FAILSAFE_S = 300.0
LONGEST_S = 4 * 3600.0
"""No run of these policies lasts longer, and no lease of one."""


def whole(first: int, last: int) -> st.SearchStrategy[int]:
    """A whole number; sampled, because hypothesis mixes constants of whatever is imported into ``integers``."""
    return st.sampled_from(range(first, last + 1))


FACTS = st.fixed_dictionaries(
    {
        "generation": st.sampled_from(["none", "none", "2012", "2016"]),
        "clock_offset_s": st.sampled_from([0.0, 0.0, 7200.0, -95.0]),
        "utc_offset_min": st.sampled_from([0, 60, -210]),
        "restart_s": st.sampled_from([30.0, 120.0]),
        "stays_down": st.sampled_from([False] * 9 + [True]),
        "boots_twice": st.sampled_from([False, False, True]),
        "ready_s": st.sampled_from([0.0, 40.0]),
        "disk_protection": st.sampled_from(["NotInstalled"] * 5 + ["Discard"]),
    }
)
PERSON = st.fixed_dictionaries(
    {
        "user": st.sampled_from(USERS),
        "state": st.sampled_from(["active", "active", "active", "disconnected"]),
        "kind": st.sampled_from(
            ["plain"] * 7 + ["idle", "slow", "slow", "lingers", "hung", "protected", "admin", "console", "works"]
        ),
    }
)
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "idle": {"idle_s": 7200},
    "slow": {"logoff_s": 40.0, "linger_s": 5.0},
    "lingers": {"logoff_s": 1.0, "linger_s": 400.0},
    "hung": {"hung": True},
    "protected": {"protected": True},
    "admin": {"admin": True},
    "console": {"session_name": "console"},
    "works": {"programs": ("backup",)},
}
SELECTORS = [Selector(everyone=True)] * 4 + [Selector(users=("alice", "user 12")), Selector(disconnected=True)]
SELECTORS += [Selector(idle_over_s=1800)]
MOSTLY = st.sampled_from([True, True, True, False])
POLICIES = st.builds(
    Policy,
    selector=st.sampled_from(SELECTORS),
    then=st.sampled_from([Then.NOTHING, Then.NOTHING, Then.RESTART, Then.RESTART, Then.SHUTDOWN, Then.CONSOLE_MODE]),
    reason=st.just("updates"),
    warn_s=st.sampled_from([(300, 60), (300, 60), (60,), ()]),
    keep_users=st.sampled_from([(), (), (), ("bob",)]),
    keep_running=st.sampled_from([(), (), ("backup",)]),
    include_admins=MOSTLY,
    include_console=MOSTLY,
    disconnected_ok=MOSTLY,
    unwarned_ok=st.sampled_from([False, False, False, True]),
    leftover_ok=MOSTLY,
    take_over=st.booleans(),
    closing=st.sampled_from([Closing.DEFAULT] * 4 + [Closing.DISABLED, Closing.DRAIN, Closing.LEAVE]),
    hold_logons=st.sampled_from([False, False, True]),
    settle_s=st.just(60),
    force_after_s=st.sampled_from([None, 60, 120]),
    return_timeout_s=st.just(900),
    host_deadline_s=st.sampled_from([10800, 10800, 10800, 400]),
)
LOST = [Fate.REFUSED, Fate.LOST, Fate.UNHEARD, Fate.LATE, Fate.HUNG]
SNIPPETS = ["any", "look", "lease", "failsafe", "logons-set", "logons-set", "message", "message"]
SNIPPETS += ["logoff", "logoff", "reset", "power", "mode", "failsafe-remove"]
FAULTS = st.builds(
    Fault,
    snippet=st.sampled_from(SNIPPETS),
    fate=st.sampled_from([fate for fate in Fate if fate is not Fate.FINE]),
    late_s=st.sampled_from([1.0, 20.0, 45.0, 90.0, 300.0]),
    change=whole(1, 3),
    after=st.booleans(),
)

reached: Counter[str] = Counter()
"""What the machine has come by, over all of its examples."""


def user_of(person: dict[str, Any]) -> str:
    """The name of the account."""
    return ADMINISTRATOR if person["kind"] == "admin" else str(person["user"])


def amid(**given: Any) -> Callable[[Callable[..., None]], Any]:
    """A rule after which some things more happen, so that the next one falls into the midst of something."""

    def made(step: Callable[..., None]) -> Any:
        def step_and_go_on(self: RunMachine, events: int, **arguments: Any) -> None:
            self.keep_busy()
            step(self, **arguments)
            self.story.go_on(events)

        names = ["self", "events", *given]
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        step_and_go_on.__dict__["__signature__"] = inspect.Signature([inspect.Parameter(name, kind) for name in names])
        step_and_go_on.__name__ = step.__name__
        make: Any = rule(events=st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5]), **given)
        return make(step_and_go_on)

    return made


class RunMachine(RuleBasedStateMachine):
    """See the module."""

    story: Story
    promises: Promises
    _policies: list[Policy]

    @initialize(
        facts=FACTS,
        mode=st.sampled_from(["enabled"] * 5 + ["drain", "disabled", "drain-until-restart"]),
        people=st.lists(PERSON, min_size=1, max_size=4),
        kiosk=st.booleans(),
        ahead_s=st.sampled_from([0.0, 0.0, -4000.0, 100.0]),
        policies=st.lists(POLICIES, min_size=4, max_size=8),
    )
    def a_host_and_a_run(
        self,
        facts: dict[str, Any],
        mode: str,
        people: list[dict[str, Any]],
        kiosk: bool,
        ahead_s: float,
        policies: list[Policy],
    ) -> None:
        self._set_up(facts, mode, people, kiosk=kiosk, ahead_s=ahead_s, policies=policies)

    def _set_up(
        self,
        facts: dict[str, Any],
        mode: str,
        people: list[dict[str, Any]],
        *,
        kiosk: bool,
        ahead_s: float,
        policies: list[Policy],
    ) -> None:
        multipoint = facts["generation"] != "none"
        if facts["generation"] != "2016":
            facts = {**facts, "disk_protection": "NotInstalled"}
        self.story = Story(
            HostFacts(name="ts1", computer="TS1", **facts),
            logon_mode=mode,
            auto_logon={1: "kiosk" if kiosk else "", 2: ""} if multipoint else {},
            ahead_s=ahead_s,
        )
        self.promises = Promises(self.story)
        for number, person in enumerate(people, 1):
            self.story.host.sit_down(
                user_of(person),
                logged_on=self.story.host.now() - timedelta(hours=1, minutes=number),
                state=person["state"],
                **KINDS[person["kind"]],
            )
        self._policies = policies
        self.keep_busy()

    # People.

    @property
    def _there(self) -> list[Guest]:
        return (
            []
            if self.story.host.is_away
            else [each for each in self.story.host.present if each.session.row_gone_at is None]
        )

    def _one(self, number: int, *, active: bool) -> Guest | None:
        found = [each for each in self._there if each.is_active is active and not each.session.hung]
        return found[number % len(found)] if found else None

    @amid(person=PERSON)
    def somebody_logs_on(self, person: dict[str, Any]) -> None:
        host = self.story.host
        if host.is_away or (host.logon_mode != "enabled" and person["kind"] != "console"):
            return
        before = {guest.session.id for guest in host.guests}
        session = host.log_on(user_of(person))
        for name, value in KINDS[person["kind"]].items():
            setattr(session, name, value)
        self.story.tally["arrivals"] += 1
        self.story.tally["reused ids"] += session.id in before

    @amid(number=whole(0, 5))
    def somebody_leaves(self, number: int) -> None:
        if guest := self._one(number, active=True):
            self.story.host.log_off(guest.session.id)
            self.story.tally["left by themselves"] += 1

    @amid(number=whole(0, 5))
    def somebody_logs_off_and_on_again(self, number: int) -> None:
        """At once: the same user, the same id, perhaps in the same minute, and another session."""
        guest = self._one(number, active=True)
        host = self.story.host
        if guest and host.logon_mode == "enabled" and not guest.session.logoff_s:
            host.log_off(guest.session.id)
            again = host.log_on(guest.session.user, admin=guest.session.admin)
            self.story.tally["reused ids"] += again.id == guest.session.id

    @amid(number=whole(0, 5))
    def somebody_disconnects(self, number: int) -> None:
        if guest := self._one(number, active=True):
            self.story.host.disconnect(guest.session.id)
            self.story.tally["disconnects"] += 1

    @amid(number=whole(0, 5))
    def somebody_comes_back(self, number: int) -> None:
        if guest := self._one(number, active=False):
            self.story.host.reconnect(guest.session.id)
            self.story.tally["reconnects"] += 1

    @amid(number=whole(0, 5))
    def somebody_goes_on_working(self, number: int) -> None:
        idle = [each for each in self._there if each.is_active and each.session.idle_s]
        if idle:
            self.story.host.go_on_working(idle[number % len(idle)])
            self.story.tally["at work again"] += 1

    # Administrators.

    def _working(self, number: int) -> Life | None:
        lives = [life for life in self.story.working if life.run is not None]
        return lives[number % len(lives)] if lives else None

    @precondition(lambda self: sum(run.works for run in self.story.runs) < 2 and len(self.story.runs) < 9)
    @amid(policy=POLICIES, box=whole(0, 1), plainly=MOSTLY)
    def a_run_begins(self, policy: Policy, box: int, plainly: bool) -> None:
        self._begin(policy, box=box, plainly=plainly)

    def keep_busy(self) -> None:
        """Where nobody works, the next run begins."""
        if not self.story.working and self._policies and not self.story.host.is_away:
            self._begin(self._policies.pop(), box=len(self.story.runs) % 2)

    def _begin(self, policy: Policy, *, box: int, plainly: bool = True) -> None:
        if policy.then is Then.CONSOLE_MODE and self.story.host.facts.generation == "none":
            policy = policy.model_copy(update={"then": Then.RESTART})
        if policy.restarts and plainly:  # else most of those would be refused
            everybody = {"selector": Selector(everyone=True), "keep_users": (), "keep_running": ()}
            policy = policy.model_copy(
                update={**everybody, "include_admins": True, "include_console": True, "disconnected_ok": True}
            )
        self.story.begin(policy, self.story.boxes[box])

    @property
    def _to_resume(self) -> list[RunStory]:
        return [run for run in self.story.runs if self.story.may_be_resumed(run)]

    @precondition(lambda self: self._to_resume)
    @amid(number=whole(0, 3))
    def a_run_is_resumed(self, number: int) -> None:
        open_ones = self._to_resume
        self.story.resume(open_ones[number % len(open_ones)])

    @amid(
        number=whole(0, 1),
        how=st.sampled_from(["killed", "killed at a write", "killed at a write", "stopped", "its disk is full"]),
        writes=whole(1, 12),
        after=st.booleans(),
    )
    def a_process_is_in_trouble(self, number: int, how: str, writes: int, after: bool) -> None:
        life = self._working(number)
        if life is None or life.record is None:
            return
        self.story.tally[how] += 1
        if how == "killed":
            self.story.kill(life)
        elif how == "stopped":
            self.story.stop(life)
        elif how == "its disk is full":
            life.record.is_full = True
        else:
            life.record.writes_left, life.record.after = writes, after

    @amid(fault=FAULTS)
    def the_wire_will_fail(self, fault: Fault) -> None:
        self.story.wire.faults.append(fault)

    @amid(
        snippet=st.sampled_from(["look", "look", "look", "observe", "logons"]),
        fates=st.lists(st.sampled_from(LOST), min_size=1, max_size=2),
        late_s=st.sampled_from([1.0, 20.0]),
    )
    def an_answer_to_a_look_is_lost(self, snippet: str, fates: list[Fate], late_s: float) -> None:
        self.story.wire.faults += [Fault(snippet, fate, late_s=late_s) for fate in fates]
        self.story.tally["blips"] += 1

    @amid(looks=st.sampled_from([1, 1, 2, 5, 30]))
    def the_table_breaks(self, looks: int) -> None:
        self.story.wire.unreadable = looks
        self.story.tally["broken tables"] += 1

    @amid(times=st.sampled_from([1, 1, 2, 5]))
    def somebody_opens_logons(self, times: int) -> None:
        host = self.story.host
        for _ in range(times):
            if not host.is_away and host.logon_mode != "enabled":
                host.set_logon_mode("enabled")
                self.story.tally["opened"] += 1
                self.story.go_on(20)

    @precondition(lambda self: sum(run.works for run in self.story.runs) == 1 and len(self.story.runs) < 9)
    @amid(policy=POLICIES)
    def another_run_takes_over(self, policy: Policy) -> None:
        other = next(run.box for run in self.story.runs if run.works)
        box = 1 - self.story.boxes.index(other)
        self._begin(policy.model_copy(update={"take_over": True}), box=box)

    @amid(
        what=st.sampled_from(["logons", "logons", "logons", "release", "release", "hold", "restart", "rights"]),
        mode=st.sampled_from(MODES),
        rights=st.sampled_from(["operator", "user"]),
        box=whole(0, 1),
    )
    def another_administrator_acts(self, what: str, mode: str, rights: str, box: int) -> None:
        story, host = self.story, self.story.host
        if host.is_away:
            return
        story.tally[f"others: {what}"] += 1
        if what == "release":
            story.release(story.boxes[box])
        elif what == "hold":
            story.hold(story.boxes[box])
        elif what == "restart":
            host.restart()
        elif what == "rights":
            host.change_rights(rights if host.facts.rights == "admin" else "admin")
        elif host.logon_mode != mode:
            host.set_logon_mode(mode)

    # Time.

    @rule(events=whole(1, 20))
    def it_goes_on(self, events: int) -> None:
        self.keep_busy()
        self.story.go_on(events)

    @rule(events=whole(1, 3))
    def it_goes_on_a_little(self, events: int) -> None:
        self.story.go_on(events)

    @rule(seconds=st.sampled_from([1.0, 10.0, 10.0, 60.0, 299.0]))
    def time_passes(self, seconds: float) -> None:
        self.story.pass_time(seconds)

    @rule(
        snippet=st.sampled_from(
            ["message", "logoff", "logoff", "reset", "power", "power", "logons-set", "failsafe-remove"]
        )
    )
    def until_the_next(self, snippet: str) -> None:
        """To the moment at which such a script is on its way."""
        count = len(self.story.wire.exchanges)
        for _ in range(300):
            self.story.go_on(1)
            if (
                any(each.script.snippet == snippet for each in self.story.wire.exchanges[count:])
                or not self.story.working
            ):
                return

    @invariant()
    def promises_are_kept(self) -> None:
        if hasattr(self, "promises"):
            reached["steps"] += 1
            assert not self.promises.broken, self.promises.broken

    def teardown(self) -> None:
        if not hasattr(self, "story"):
            return
        try:
            self._come_to_rest()
        finally:
            self.story.close()
            reached.update(self.story.tally)
            reached["late scripts"] += self.story.wire.late

    def _come_to_rest(self) -> None:
        """Everybody comes to an end, the failsafe too, and a person's hold is released."""
        story = self.story
        story.wire.faults.clear()
        story.wire.unreadable = 0
        story.host.change_rights("admin")
        story.pass_time(LONGEST_S)
        assert not story.working, "somebody is still at work"
        story.release(story.boxes[0])
        story.pass_time(3 * FAILSAFE_S)
        self.promises.hold_at_rest()
        assert not self.promises.broken, self.promises.broken


NEEDED = {
    "runs": 100,
    "resumes": 20,
    "killed at a write": 5,
    "did logoff": 30,
    "did order": 10,
    "did show": 30,
    "reused ids": 2,
    "others: logons": 5,
    "outcome done": 5,
    "outcome back": 5,
}
"""How often the machine must have come by what it is made for."""
SELDOM = {
    *("blips", "broken tables", "opened"),
    *("take overs", "killed", "stopped", "its disk is full", "did reset", "late scripts", "reconnects"),
    *(
        "others: restart",
        "others: release",
        "others: hold",
        "result unknown",
        "ended with the whole notice",
        "at work again",
        "called off",
    ),
}
"""What it comes by now and then: all of it in a long search."""


def search(machine: type[RunMachine], examples: int, *phases: Phase) -> None:
    """Let the machine look for a broken promise. Raises ``AssertionError`` with the first that it finds."""
    reached.clear()
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            phases=phases or tuple(Phase),
            database=None,
            report_multiple_bugs=False,
        ),
    )


def run_alone(request: pytest.FixtureRequest) -> bool:
    """Run the test in a process of its own; false in that process.

    What hypothesis generates depends on hashes, and on the constants of whatever modules are imported; there hashes are
    always the same, and no constant of the product counts, so that a search finds alike after an edit elsewhere.
    """
    if os.environ.get(ALONE):
        vars(providers)["_get_local_constants"] = Constants
        return False
    environment = os.environ | {ALONE: "1", "PYTHONHASHSEED": "0", "MPSBRIDGE_HYPOTHESIS_PROFILE": PROFILE}
    if SEED is not None:
        environment["MPSBRIDGE_HYPOTHESIS_SEED"] = str(SEED)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-o", "addopts="]
    done = subprocess.run(
        [*words, f"{__file__}::{request.node.name}"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "1 passed" in done.stdout
    if PROFILE == "deep":
        sys.stdout.write(done.stdout)
    return True


@pytest.mark.slow(reason="thousands of steps, each a moment of several programs at work")
@pytest.mark.timeout(7200 if PROFILE == "deep" else 300)
def test_whatever_happens_in_whatever_order_the_promises_hold(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    if run_alone(request):
        return
    tries = examples(ci=110, deep=2600)
    search(RunMachine, tries, Phase.generate)
    if PROFILE == "deep":
        with capsys.disabled():
            sys.stdout.write(f"{reached['steps']} steps: {dict(sorted(reached.items()))}\n")
    assert reached["steps"] >= (100_000 if PROFILE == "deep" else 2_000)
    seldom = {what: reached[what] for what, least in NEEDED.items() if reached[what] < least}
    assert sum(reached[f"fate {fate}"] > 0 for fate in Fate) >= 4
    assert not seldom, "the machine does not come by what it is made for"
    if PROFILE == "deep":
        assert {what for what in SELDOM if not reached[what]} == set()


def by_row_alone(guard: Guard, look: Look, *, rowless: bool = False) -> Standing:
    """A guard that does not compare births."""
    return standing(replace(guard, born=None), look, rowless=rowless)


def whatever_was_announced(holding: Reservation, _: Observation) -> datetime | None:
    """An end that stands whatever has become of it."""
    ends = [end for _, _, mark in holding._context.told if (end := end_of(mark)[1])]
    return max(ends, default=None)


def sent_again(context: ProcedureContext, sent: StepSent, act: Callable[[], Any]) -> Any:
    """A step whose answer was lost is sent again at once, as if it were a look."""
    try:
        return STEP(context, sent, act)
    except (NotSent, Interrupted):
        return STEP(context, sent, act)


STEP = ProcedureContext.step


class Broken(NamedTuple):
    """What is broken: where, by what, the promise that is not kept then, and a policy with which it matters."""

    where: object
    name: str
    by: object
    promise: str
    policy: dict[str, Any]


BROKEN = {
    "the guard ignores births": Broken(acting, "standing", by_row_alone, "whom the script does not name", {}),
    "marks of notices are ignored": Broken(marking, "begin", lambda *_: None, "delivered twice", {"warn_s": (900, 60)}),
    "the last look is skipped": Broken(
        ordering, "_left", lambda *_: [], "was ordered over", {"then": "restart", "warn_s": ()}
    ),
    "old notices count": Broken(
        Reservation, "standing_end", whatever_was_announced, "without a notice", {"warn_s": (900, 60)}
    ),
    "the selector is not asked again": Broken(
        Policy, "asks_again", False, "as idle", {"selector": Selector(idle_over_s=1800)}
    ),
    "nobody need be warned": Broken(SessionLedger, "may_be_ended", lambda *_: True, "without a notice", {}),
    "acts are asked again": Broken(ProcedureContext, "step", sent_again, "was sent again", {}),
    "looks are not asked again": Broken(
        context, "ask_again", lambda look, _wait, **_: look(), "stopped after 1 lost looks", {}
    ),
    "nothing is given back without a table": Broken(
        Reservation, "_look_first", lambda holding: holding._context.look(), "the lease was left behind", {}
    ),
    "opened logons are overlooked": Broken(Reservation, "_keep_closed", lambda *_: None, "logons were seen open", {}),
    "nobody looks whose the host is": Broken(
        ProcedureContext, "_check_is_ours", lambda *_: None, "a restart of others was not told", {"warn_s": (300, 60)}
    ),
    "what is lost did not run": Broken(Interrupted, "default_may_have_run", False, "never ran", {}),
}

EVERYDAY = ("what is lost did not run", "nobody need be warned")
"""They try the machine, not the product: two of them say that it is awake, the deep profile breaks them all."""


def near(**fields: Any) -> type[RunMachine]:
    """The machine, with a plain host and a plain run to begin with: where a search is short."""

    class Near(RunMachine):
        @initialize()
        def a_host_and_a_run(self) -> None:
            people = [
                {"user": user, "state": "active", "kind": kind} for user, kind in (("alice", "plain"), ("bob", "idle"))
            ]
            values = {"selector": Selector(everyone=True), "warn_s": (60,), "settle_s": 60, **fields}
            policy = Policy.model_validate(values)
            facts = {"generation": "none"}
            self._set_up(facts, "enabled", people, kiosk=False, ahead_s=0.0, policies=[policy] * 8)

    return Near


@pytest.mark.slow(reason="searches until it has found what is broken")
@pytest.mark.timeout(1200 if PROFILE == "deep" else 120)
@pytest.mark.parametrize("what", BROKEN if PROFILE == "deep" else EVERYDAY)
def test_the_machine_finds_what_is_broken(
    what: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if run_alone(request):
        return
    broken = BROKEN[what]
    monkeypatch.setattr(broken.where, broken.name, broken.by)
    with pytest.raises(AssertionError, match=broken.promise):
        search(near(**broken.policy), 3000, Phase.generate)
