"""Runs whose hosts end in every way that there is, carried out by the product itself: only the hosts are made up.

What a host and a session come to is drawn; the operation, the fleet, the record and the verdict are the product's own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from hypothesis import strategies as st

from mpsbridge.errors import (
    AccessDenied,
    ConnectionLost,
    HostReleased,
    MpsBridgeError,
    NotTried,
    NoTurn,
    Refused,
    StillHeld,
    Stopped,
    Unreachable,
)
from mpsbridge.host import Host
from mpsbridge.models.outcomes import Done, Failed, Failure, Outcome, Skipped
from mpsbridge.models.sessions import LogonMode, Logons, Observation, Result, Session, SessionResult, State
from mpsbridge.models.targets import Target
from mpsbridge.models.then import Then
from mpsbridge.operations.acts import ActPlan, ActValue, LogOff
from mpsbridge.operations.ending import End, EndPlan, Resume
from mpsbridge.operations.holds import Hold, LeasePlan, LeaseValue, Release
from mpsbridge.operations.logons import LogonsPlan, SetLogons
from mpsbridge.operations.waves import WavesTable
from mpsbridge.operations.workplace import Workplace
from mpsbridge.planning.lease import Lease
from mpsbridge.planning.policy import HostPlan, Policy
from mpsbridge.planning.selection import Plan, Selector, Verdict
from mpsbridge.procedure.context import ProcedureContext
from mpsbridge.procedure.sessions import SessionLedger
from mpsbridge.runs.ended import EndValue
from mpsbridge.runs.events import Step, StepSent
from mpsbridge.runs.history import unfinished
from mpsbridge.runs.journal import Journal
from mpsbridge.runs.journal_file import IN_MEMORY
from mpsbridge.runs.verdict import Verdict as Judged
from mpsbridge.snippets.failsafe import FailsafeAnswer
from mpsbridge.snippets.lease import LeaseAnswer
from support.fake_clock import FakeClock

ACTED = (Result.ENDED, Result.GONE, Result.REFUSED, Result.CHANGED, Result.EXPIRED, Result.UNKNOWN)
WELL = (Result.ENDED, Result.GONE)
RAISED: dict[str, tuple[type[MpsBridgeError], Judged]] = {
    "lost": (ConnectionLost, Judged.UNKNOWN),
    "denied": (AccessDenied, Judged.UNKNOWN),
    "unreachable": (Unreachable, Judged.FAILED),
    "released": (HostReleased, Judged.STOPPED),
    "refused by a step": (Refused, Judged.FAILED),
    "still held": (StillHeld, Judged.FAILED),
    "stopped": (Stopped, Judged.STOPPED),
    "unseen": (Unreachable, Judged.FAILED),
}
"""What the work on a host may end with, and what is to be said of the host then."""
PROCEDURE = ("end", "maintain", "resume")
"""The commands that carry the procedure out."""


@dataclass(frozen=True)
class MadeHost:
    """One host: how it ends, and what becomes of its sessions (``None``: it is kept)."""

    name: str
    ending: str
    results: tuple[Result | None, ...] = ()
    given_back: bool = True
    interrupts: bool = False
    """Whether a person stops the run while this host is at work."""
    at_step: int = 0
    """In which of its steps it goes wrong, where there are several."""
    dies: str = ""
    """Where the run's first life dies on this host: ``before`` its first step, ``within`` it; empty: it does not."""

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
        if self.ending == "refused by a step" and command not in PROCEDURE:
            return Judged.REFUSED
        if self.ending in RAISED:
            return RAISED[self.ending][1]
        if command in {"logons", "hold", "release"}:
            return Judged.DONE
        if Result.UNKNOWN in self.results:
            return Judged.UNKNOWN
        wrong = [one for one in self.results if one is not None and one not in WELL]
        if not wrong and (self.given_back or command not in PROCEDURE):
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
    begun: set[str]
    """The hosts on which something was sent, or nobody can say."""
    earlier: MadeRun | None = None
    """The run's first life, where this is its second."""
    left_out: frozenset[str] = frozenset()
    """Hosts of the run on which it was not told to go on."""

    def in_doubt(self, host: str) -> bool:
        """Whether nobody knows what happened there when this life of the run is over, but who looks again."""
        (one,) = [each for each in self.hosts if each.name == host]
        if host not in self.begun or one.dies == "before":
            return False
        return one.ending in (
            {"finished", "lost", "denied", "fault"} if one.dies else {"lost", "denied", "fault", "no room"}
        )

    @property
    def waves(self) -> WavesTable:
        """The limits under which its hosts begin."""
        operation = self.plan.end if self.command == "resume" else getattr(self.plan, "operation", None)
        return operation.waves if isinstance(operation, End) else WavesTable()


made_waves = st.builds(
    WavesTable,
    at_once=st.sampled_from([None, 1, 2]),
    floor=st.sampled_from([0, 0, 1, 2, "50%"]),
    stop_after=st.sampled_from([None, None, 1, 2]),
)


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
        *(ending for ending in RAISED if ending != "unseen"),
    ]
    result = st.sampled_from([None, *WELL, *ACTED])
    hosts = [
        MadeHost(
            name=f"ts{number}",
            ending=draw(st.sampled_from(endings)),
            results=tuple(draw(st.lists(result, max_size=3))),
            given_back=draw(st.integers(0, 9)) > 0,
            at_step=draw(st.integers(0, 3)),
            dies=draw(st.sampled_from(["", "", "before", "within"])),
        )
        for number in range(draw(st.integers(1, 5)))
    ]
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(hosts) - 1))
        hosts[place] = MadeHost(**{**vars(hosts[place]), "interrupts": True})
    return hosts


@st.composite
def as_they_go_on(draw: st.DrawFn, hosts: Sequence[MadeHost]) -> list[MadeHost]:
    """The same hosts in the second life of a run: the same sessions, which end in any other way."""
    endings, result = ["finished", "finished", "fault", "no room", *RAISED], st.sampled_from([None, *ACTED])
    interrupts = draw(st.sampled_from([None, None, None, *range(len(hosts))]))
    return [
        replace(
            one,
            ending=draw(st.sampled_from(endings)),
            results=tuple(draw(result) for _ in one.results),
            interrupts=place == interrupts,
        )
        for place, one in enumerate(hosts)
    ]


class _Connection:
    """Stands where a host is connected."""

    def __init__(self, made: MadeHost, on_work: Any, begun: set[str], *, is_held: bool = False) -> None:
        if made.ending == "no room":
            begun.add(made.name)
            raise MemoryError
        self.name, self.timeout_s, self.deadline = made.name, 60.0, 0.0
        self.made, self._on_work, self._begun = made, on_work, begun
        self._steps = 0
        # Only giving back has several steps; a script refuses before the first of them, if at all.
        self._wrong_step = made.at_step if is_held and made.ending != "refused by a step" else 0
        self._lease = DEAD.text() if is_held else None
        self._mode = LogonMode.DRAIN if is_held else LogonMode.ENABLED

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
        self._begun.add(self.name)
        self._steps += 1
        if self._steps != self._wrong_step + 1:
            return
        if self.made.interrupts:
            self._on_work()
        if self.made.ending == "fault":
            raise ValueError("nobody has foreseen this")
        if self.made.ending in RAISED:
            raise RAISED[self.made.ending][0]("it went wrong")

    def set_logons(self, mode: LogonMode, **_more: object) -> Logons:
        self.does()
        was, self._mode = self._mode, mode
        return Logons(mode=mode, was=was)

    def set_lease(self, text: str | None, **_more: object) -> LeaseAnswer:
        self.does()
        self._lease = text
        return LeaseAnswer(changed=True, now=NOW, lease=text)

    def remove_failsafe(self, **_more: object) -> FailsafeAnswer:
        self.does()
        return FailsafeAnswer(now=NOW, registered=False)

    def look_beside_tables(self) -> Observation:
        return self.look()

    def logons(self) -> Logons:
        return Logons(mode=self._mode, was=None)

    def look(self) -> Observation:
        if self.made.ending == "unseen":
            raise Unreachable("nobody answers")
        return Observation(
            sessions=(), observed=FakeClock().now(), boot=None, lease=self._lease, logon_mode=self._mode, elevated=True
        )


class MadeLogOff(LogOff):
    """``logoff`` on made hosts."""

    def _do(self, host: Host, sessions: Sequence[Session], run: str) -> tuple[SessionResult, ...]:
        del sessions, run
        there = cast("_Connection", host)
        there.does()
        return tuple(one for one in there.made.told if one.result is not Result.KEPT)


def procedure_of_a_made_host(context: ProcedureContext, people: SessionLedger, template: str | None) -> EndValue:
    """Stands where the procedure of a run is carried out; what is around it is the product's."""
    del template
    there = cast("_Connection", context.host)
    made = there.made
    context.look()
    people.take(made.verdicts())
    told = tuple(one for one in made.told if one.result is not Result.KEPT)

    def act() -> tuple[SessionResult, ...]:
        there.does()
        return told

    sent = [one.session for one in told]
    try:
        context.step(StepSent(step=Step.LOGOFF, sessions=tuple(one.id for one in sent)), act)
    except MpsBridgeError as error:
        if error.may_have_run:
            people.are_in_doubt(sent)
        raise
    people.was_ended(told)
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


COMMANDS = ("end", "maintain", "logoff", "logons", "hold", "release")
NOW = "20261125120000.000000+000"
RUN = "20261125-120000-cafe"
NO_WAVES = WavesTable()
DEAD = Lease(
    run="20261125-110000-dead",
    owner="root@box",
    since=NOW,
    expires="20991125120000.000000+000",
    found=LogonMode.ENABLED,
    set=LogonMode.DRAIN,
)


def _workplace(command: str, hosts: Sequence[MadeHost], journal: Journal, begun: set[str]) -> Workplace:
    by_name = {one.name: one for one in hosts}
    work = Workplace([Target(one.name) for one in hosts], journal, FakeClock(), actor="admin@box")

    def stop() -> None:
        work.fleet(gives_back=command in PROCEDURE).stop.set()

    def connect(target: Target) -> Host:
        return cast("Host", _Connection(by_name[target.host], stop, begun, is_held=command == "release"))

    work.connect = connect
    return work


def make_run(command: str, hosts: Sequence[MadeHost], waves: WavesTable = NO_WAVES) -> MadeRun:
    """A run of the command over these hosts, planned; only ``maintain`` takes ``waves``."""
    journal, run = Journal(Path(IN_MEMORY), clock=FakeClock()), RUN
    begun: set[str] = set()
    work = _workplace(command, hosts, journal, begun)
    places = [place for place, one in enumerate(hosts) if one.acts]
    if command in {"end", "maintain"}:
        policy = Policy(selector=Selector(everyone=True), warn_s=())
        plans = tuple(_planned(one, HostPlan(verdicts=one.verdicts())) for one in hosts)
        out = sum(isinstance(plan, Failed) for plan in plans)
        operation = End(command=command, policy=policy, deadline_s=None, waves=waves)
        plan: Any = EndPlan(operation, run, plans, tuple(places), len(hosts), out)
    elif command == "logoff":
        logoff = MadeLogOff(selector=Selector(everyone=True), disconnected_ok=True)  # so it does not look again
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
        lease, act = (DEAD.text(), Release()) if command == "release" else (None, Hold(reason="repair"))
        found = LeaseValue.of(Observation(sessions=(), observed=FakeClock().now(), boot=None, lease=lease))
        outcomes = tuple(_planned(one, found) for one in hosts)
        plan = LeasePlan(act, run, outcomes, dict.fromkeys(places, found))
    return MadeRun(command, hosts, journal, plan, work, begun)


def go_on(first: MadeRun, hosts: Sequence[MadeHost], left_out: Collection[str]) -> MadeRun | None:
    """The second life of a run that was carried out, as ``hosts`` are now, but for those that are ``left_out``.

    Nothing where no host is left to go on with. The first life dies where its hosts say so.
    """
    journal = first.journal
    for one in first.hosts:
        last_words = " AND step IN ('finished', 'stopped')" if one.dies == "within" else ""
        if one.dies:
            journal._database.execute(f"DELETE FROM entry WHERE host = ?{last_words}", (one.name,))  # noqa: S608
    journal._database.execute("UPDATE run SET ended = NULL, verdict = NULL")
    names = [one.name for one in first.hosts]
    left = [host for host in unfinished(journal, RUN, names) if host not in left_out]
    if not left:
        return None
    journal.resume(RUN)
    by_name = {one.name: one for one in hosts}
    begun: set[str] = set()
    work = _workplace("resume", [by_name[host] for host in left], journal, begun)
    plan = Resume(run=RUN, end=first.plan.operation, hosts=tuple(names))
    others = frozenset(unfinished(journal, RUN, names)) - set(left)
    return MadeRun("resume", [by_name[host] for host in left], journal, plan, work, begun, first, others)
