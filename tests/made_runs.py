"""Runs whose hosts end in every way that there is, carried out by the product itself: only the hosts are made up.

What a host and a session come to is drawn; the operation, the fleet, the record and the verdict are the product's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from fake_clock import FakeClock
from hypothesis import strategies as st

from mpsbridge.errors import (
    AccessDenied,
    ConnectionLost,
    HostReleased,
    MpsBridgeError,
    NotTried,
    NoTurn,
    Refused,
    Stopped,
    Unreachable,
)
from mpsbridge.host import Host
from mpsbridge.models.outcomes import Done, Failed, Failure, Outcome, Skipped
from mpsbridge.models.sessions import LogonMode, Logons, Observation, Result, Session, SessionResult, State
from mpsbridge.models.targets import Target
from mpsbridge.models.then import Then
from mpsbridge.operations.acts import ActPlan, ActValue, LogOff
from mpsbridge.operations.ending import End, EndPlan
from mpsbridge.operations.holds import Hold, LeasePlan, LeaseValue
from mpsbridge.operations.logons import LogonsPlan, SetLogons
from mpsbridge.operations.workplace import RunResult, Workplace
from mpsbridge.planning.policy import HostPlan, Policy
from mpsbridge.planning.selection import Plan, Selector, Verdict
from mpsbridge.procedure.context import ProcedureContext
from mpsbridge.runs.ended import EndValue
from mpsbridge.runs.events import SessionJudged, SessionSettled, Step, StepSent
from mpsbridge.runs.journal import Journal
from mpsbridge.runs.journal_file import IN_MEMORY
from mpsbridge.runs.verdict import Verdict as Judged
from mpsbridge.snippets.lease import LeaseAnswer

ACTED = (Result.ENDED, Result.GONE, Result.REFUSED, Result.CHANGED, Result.EXPIRED, Result.UNKNOWN)
WELL = (Result.ENDED, Result.GONE)
RAISED: dict[str, tuple[type[MpsBridgeError], Judged]] = {
    "lost": (ConnectionLost, Judged.UNKNOWN),
    "denied": (AccessDenied, Judged.UNKNOWN),
    "unreachable": (Unreachable, Judged.FAILED),
    "released": (HostReleased, Judged.FAILED),
    "refused by a step": (Refused, Judged.FAILED),
    "stopped": (Stopped, Judged.STOPPED),
}
"""What the work on a host may end with, and what is to be said of the host then."""


@dataclass(frozen=True)
class MadeHost:
    """One host: how it ends, and what becomes of its sessions (``None``: it is kept)."""

    name: str
    ending: str
    results: tuple[Result | None, ...] = ()
    given_back: bool = True
    interrupts: bool = False
    """Whether a person stops the run while this host is at work."""

    @property
    def acts(self) -> bool:
        """Whether something is to be done there."""
        return self.ending not in {"refuses", "no turn", "cannot be looked at", "nothing"}

    @property
    def sessions(self) -> list[Session]:
        """Its sessions; ids and names repeat from host to host."""
        return [
            Session(id=2 + n, user=f"user{n}", state=State.ACTIVE, state_text="Active")
            for n in range(len(self.results))
        ]

    @property
    def told(self) -> tuple[SessionResult, ...]:
        """What becomes of them."""
        return tuple(
            SessionResult(session=one, result=result or Result.KEPT)
            for one, result in zip(self.sessions, self.results, strict=True)
        )

    def verdicts(self) -> tuple[Verdict, ...]:
        """What the plan says of each session."""
        return tuple(
            Verdict(session=one, decision="act" if result and self.acts else "keep")
            for one, result in zip(self.sessions, self.results, strict=True)
        )

    def verdict(self, command: str) -> Judged:
        """What is to be said of the host where its turn came; told here once more, apart from the product."""
        if self.ending in {"refuses", "no turn"}:
            return Judged.REFUSED
        if self.ending == "cannot be looked at":
            return Judged.FAILED
        if self.ending == "nothing" or (command == "logoff" and not any(self.results)):
            return Judged.DONE
        if self.ending in {"fault", "no room"}:
            return Judged.UNKNOWN
        if self.ending in RAISED:
            if self.ending == "refused by a step" and command != "end":
                return Judged.REFUSED
            return RAISED[self.ending][1]
        if command in {"logons", "hold"}:
            return Judged.DONE
        if Result.UNKNOWN in self.results:
            return Judged.UNKNOWN
        wrong = [one for one in self.results if one is not None and one not in WELL]
        if not wrong and (self.given_back or command != "end"):
            return Judged.DONE
        return Judged.PARTLY if any(one in WELL for one in self.results) else Judged.FAILED


@dataclass
class MadeRun:
    """What was drawn, and what the product made of it."""

    command: str
    hosts: Sequence[MadeHost]
    journal: Journal
    plan: Any
    work: Workplace

    def carry_out(self) -> RunResult[Any]:
        """Carry it out, with the product's own operation."""
        return self.work.carry_out(self.plan)


@st.composite
def made_hosts(draw: st.DrawFn) -> list[MadeHost]:
    """Up to five hosts that end in any way; now and then a person stops the run while one is at work."""
    endings = [
        "finished",
        "finished",
        "nothing",
        "refuses",
        "no turn",
        "cannot be looked at",
        "fault",
        "no room",
        *RAISED,
    ]
    result = st.sampled_from([None, *WELL, *ACTED])
    hosts = [
        MadeHost(
            name=f"ts{number}",
            ending=draw(st.sampled_from(endings)),
            results=tuple(draw(st.lists(result, max_size=3))),
            given_back=draw(st.integers(0, 9)) > 0,
        )
        for number in range(draw(st.integers(1, 5)))
    ]
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(hosts) - 1))
        hosts[place] = MadeHost(**{**vars(hosts[place]), "interrupts": True})
    return hosts


class _Connection:
    """Stands where a host is connected."""

    def __init__(self, made: MadeHost, on_work: Any) -> None:
        if made.ending == "no room":
            raise MemoryError
        self.name, self.timeout_s, self.deadline = made.name, 60.0, 0.0
        self.made, self._on_work = made, on_work

    def silent_s(self) -> float:
        return 0.0

    def interrupt(self, *, begun_before: float) -> None:
        """Nothing hangs here."""

    def cancel(self) -> None:
        """Nothing hangs here."""

    def close(self) -> None:
        """Nothing is open."""

    def does(self) -> None:
        """Do what the host's ending says, in the middle of a step."""
        if self.made.interrupts:
            self._on_work()
        if self.made.ending == "fault":
            raise ValueError("nobody has foreseen this")
        if self.made.ending in RAISED:
            raise RAISED[self.made.ending][0]("it went wrong")

    def set_logons(self, *_words: object, **_more: object) -> Logons:
        self.does()
        return Logons(mode=LogonMode.DRAIN, was=LogonMode.ENABLED)

    def set_lease(self, *_words: object, **_more: object) -> LeaseAnswer:
        self.does()
        return LeaseAnswer(changed=True, now="20261125120000.000000+000")

    def look(self) -> Observation:
        return Observation(sessions=(), observed=FakeClock().now(), boot=None)


class MadeLogOff(LogOff):
    """``logoff`` on made hosts."""

    def _do(self, host: Host, sessions: Sequence[Session], run: str) -> tuple[SessionResult, ...]:
        del sessions, run
        there = cast("_Connection", host)
        there.does()
        return tuple(one for one in there.made.told if one.result is not Result.KEPT)


def procedure_of_a_made_host(context: ProcedureContext, template: str | None) -> EndValue:
    """Stands where the procedure of a run is carried out; what is around it is the product's."""
    del template
    there = cast("_Connection", context.host)
    made = there.made
    for verdict in made.verdicts():
        context.tell(
            SessionJudged(
                **SessionJudged.identity_of(verdict.session), state=State.ACTIVE, decision=cast("Any", verdict.decision)
            )
        )
    told = tuple(one for one in made.told if one.result is not Result.KEPT)

    def act() -> tuple[SessionResult, ...]:
        there.does()
        return told

    context.step(StepSent(step=Step.LOGOFF, sessions=tuple(one.session.id for one in told)), act)
    for one in told:
        context.tell(SessionSettled.of(one))
    return EndValue(
        run=context.run,
        dry_run=False,
        sessions=made.told,
        then=Then.NOTHING,
        outcome="done",
        given_back=made.given_back,
    )


def _planned(made: MadeHost, value: Any) -> Outcome[Any]:
    """What the plan of the host is: refused, not looked at, or ``value``."""
    about = {"host": made.name, "address": made.name, "elapsed_s": 0.0}
    if made.ending == "refuses":
        return Skipped(**about, reason="refused: it is held")
    if made.ending == "no turn":
        return Skipped(**about, reason="not begun: floor", kind=NoTurn.kind)
    if made.ending == "cannot be looked at":
        return Failed(**about, failure=Failure.of(NotTried("no password for it")))
    return Done[Any](**about, value=value)


COMMANDS = ("end", "logoff", "logons", "hold")


def make_run(command: str, hosts: Sequence[MadeHost]) -> MadeRun:
    """A run of the command over these hosts, planned."""
    journal, by_name = Journal(Path(IN_MEMORY), clock=FakeClock()), {one.name: one for one in hosts}
    work = Workplace([Target(one.name) for one in hosts], journal, FakeClock(), actor="admin@box")

    def stop() -> None:
        work.fleet(gives_back=command == "end").stop.set()

    work.connect = lambda target: cast("Host", _Connection(by_name[target.host], stop))
    run = "20261125-120000-cafe"
    places = [place for place, one in enumerate(hosts) if one.acts]
    if command == "end":
        policy = Policy(selector=Selector(everyone=True), warn_s=())
        plans = tuple(_planned(one, HostPlan(verdicts=one.verdicts())) for one in hosts)
        plan: Any = EndPlan(End(policy=policy, deadline_s=None), run, plans, tuple(places), len(hosts), 0)
    elif command == "logoff":
        logoff = MadeLogOff(selector=Selector(everyone=True))
        values = [
            ActValue(run=run, dry_run=False, sessions=tuple(each.as_planned for each in one.verdicts()))
            for one in hosts
        ]
        to_act = {place: Plan(verdicts=hosts[place].verdicts()) for place in places}
        to_act = {place: each for place, each in to_act.items() if each.acts}
        plan = ActPlan(logoff, run, tuple(map(_planned, hosts, values)), to_act)
    elif command == "logons":
        outcomes = tuple(_planned(one, Logons(mode=LogonMode.ENABLED, was=LogonMode.ENABLED)) for one in hosts)
        plan = LogonsPlan(SetLogons(mode=LogonMode.DRAIN), run, outcomes, dict.fromkeys(places, LogonMode.ENABLED))
    else:
        outcomes = tuple(_planned(one, LeaseValue(text="would be held")) for one in hosts)
        plan = LeasePlan(Hold(reason="repair"), run, outcomes, {place: LeaseValue() for place in places})
    return MadeRun(command, hosts, journal, plan, work)
