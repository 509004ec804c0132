"""A make-believe host for tests of the procedure: it keeps the promises that the scripts keep on a real one.

Time is the clock's; ``record`` is what happened to whom, in order; a fault is raised once, before or after its step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from mpsbridge.errors import ConnectionLost, MpsBridgeError, Unreachable
from mpsbridge.models.sessions import (
    AllowedSession,
    LogonMode,
    Logons,
    Observation,
    Result,
    Session,
    SessionGuard,
    SessionResult,
    State,
    Station,
    to_cim,
)
from mpsbridge.planning.lease import Lease, NoticeMark, read_lease
from mpsbridge.procedure.looks import LOOKS
from mpsbridge.procedure.notices import end_of
from mpsbridge.snippets.failsafe import FailsafeAnswer
from mpsbridge.snippets.fields import LeaseDemand
from mpsbridge.snippets.lease import LeaseAnswer
from mpsbridge.snippets.power import ModeAnswer, PowerAnswer
from support.fake_clock import FakeClock

FIRST_BOOT = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass
class Person:
    """Somebody in a session."""

    id: int
    user: str
    born: datetime
    state: State = State.ACTIVE
    admin: bool | None = False
    idle_s: int | None = None
    programs: tuple[str, ...] = ()
    hung: bool = False
    """A log-off begins and never ends."""
    loses_row: bool = False
    """Of one that hangs: its row goes with the log-off, its processes stay (W9)."""
    has_winlogon: bool = True
    """Whether that process of it, whose birth is its own, is left and can be read."""
    deaf: bool = False
    """A reset begins and never ends."""
    unsure: bool = False
    """The host cannot tell whether it is still the same session, and does not act on it."""
    leaves_at: datetime | None = None
    began_at: datetime | None = None
    """When its log-off was ordered."""

    @property
    def listed(self) -> bool:
        """Whether it has a row."""
        return self.began_at is None or not self.loses_row


@dataclass
class FakeHost:
    """Satisfies ``HostActions``."""

    clock: FakeClock
    name: str = "ts1"
    timeout_s: float = 60.0
    people: dict[int, Person] = field(default_factory=dict)
    mode: LogonMode = LogonMode.ENABLED
    lease: str | None = None
    failsafe: tuple[LogonMode, LogonMode] | None = None
    boot: datetime = FIRST_BOOT
    reboot_s: float = 60
    reboots: int = 1
    station_users: dict[int, str] = field(default_factory=dict)
    record: list[tuple[str, Any]] = field(default_factory=list)
    faults: dict[str, tuple[str, MpsBridgeError]] = field(default_factory=dict)
    before_step: Callable[[str], None] = lambda _step: None
    on_look: Callable[[FakeHost], None] = lambda _host: None
    facts: dict[str, Any] = field(default_factory=dict)
    ended_disconnected: set[str] = field(default_factory=set)
    forced_after: dict[str, float] = field(default_factory=dict)
    """Seconds from the order to log off until the reset."""
    _lost_for_good: str = ""
    _lost_looks: int = 0
    stayed: set[str] = field(default_factory=set)
    """Who was reset, and was still there after that."""
    others_order: str | None = None
    """``restart`` or ``shutdown`` where somebody else has scheduled one."""
    away_until: datetime | None = None
    _boots_left: int = 0

    def log_on(self, id: int, user: str, **more: Any) -> Person:
        self.people[id] = Person(id, user, self.clock.now(), **more)
        return self.people[id]

    # What the procedure sees.

    def observe(self, *, programs: Sequence[str] = ()) -> Observation:
        self._pass_time()
        self._fault("observe")
        self.on_look(self)
        found = [(person.id, each) for person in self.people.values() for each in person.programs if each in programs]
        return self._seen().model_copy(update={"running": tuple(found)})

    def look(self) -> Observation:
        self._pass_time()
        self._fault("look")
        self.on_look(self)
        return self._seen()

    def logons(self) -> Logons:
        self._pass_time()
        self._fault("logons")
        return Logons(mode=self.mode, was=self.mode)

    def _seen(self) -> Observation:
        stations = tuple(
            Station(id=number, session_id=id, auto_logon=True)
            for number, user in self.station_users.items()
            for id, person in self.people.items()
            if person.user == user
        )
        return Observation(
            sessions=tuple(self._session(person) for person in self.people.values() if person.listed),
            observed=self.clock.now(),
            boot=self.boot,
            logon_mode=self.mode,
            elevated=True,
            lease=self.lease,
            processes_in=tuple(self.people),
            leftovers=tuple(person.id for person in self.people.values() if not person.listed),
            orphaned=tuple(person.id for person in self.people.values() if not person.listed),
            births=tuple((person.id, person.born) for person in self.people.values() if person.has_winlogon),
            stations=stations,
            multipoint="2016",
            **self.facts,
        )

    def _session(self, person: Person) -> Session:
        return Session(
            id=person.id,
            user=person.user,
            state=person.state,
            state_text=person.state.value,
            born=person.born if person.has_winlogon else None,
            admin=person.admin,
            idle_s=person.idle_s,
            station=next((number for number, user in self.station_users.items() if user == person.user), None),
            guard=SessionGuard(
                id=person.id, born=born_of(person), user=person.user, logon="x", state=person.state.value
            ),
        )

    def _pass_time(self) -> None:
        now = self.clock.now()
        for person in list(self.people.values()):
            if person.leaves_at is not None and person.leaves_at <= now:
                del self.people[person.id]
        if self.away_until is not None:
            if now < self.away_until:
                raise Unreachable(f"{self.name} does not answer")
            self.boot = self.away_until
            self.people.clear()
            if self.mode in {LogonMode.DRAIN_UNTIL_RESTART, LogonMode.DISABLED}:
                self.mode = LogonMode.ENABLED
            self.away_until = None
            self._boots_left -= 1
            if self._boots_left > 0:
                self.away_until = now + timedelta(seconds=self.reboot_s)

    # What it lets the procedure do.

    def message(
        self, sessions: Sequence[Session], text: str, *, display_s: int, run: str, notice: str | None = None
    ) -> tuple[SessionResult, ...]:
        self._pass_time()
        self._fault("message")
        results = []
        for session in sessions:
            person = self.people.get(session.id)
            result = Result.SHOWN
            if person is None or person.born != session.born:
                result = Result.GONE
            elif person.state is not State.ACTIVE:
                result = Result.REFUSED
            elif self._marked(session, notice):
                result = Result.KEPT
            else:
                self._mark(session, notice)
                self.record.append(("shown", (person.user, end_of(notice or "")[0])))
            results.append(SessionResult(session=session, result=result, text=f"{display_s} {text}"[:0] + run[:0]))
        self._late_fault("message")
        return tuple(results)

    def _marked(self, session: Session, notice: str | None) -> bool:
        lease = read_lease(self.lease)
        assert isinstance(lease, Lease)
        assert session.guard is not None
        return any(
            (mark.id, mark.born, mark.notice) == (session.id, session.guard.born, notice) for mark in lease.notices
        )

    def _mark(self, session: Session, notice: str | None) -> None:
        lease = read_lease(self.lease)
        assert isinstance(lease, Lease)
        assert session.guard is not None
        mark = NoticeMark(
            id=session.id,
            born=session.guard.born,
            notice=notice or "",
            mark="delivered",
            at=to_cim(self.clock.now()),
        )
        self.lease = lease.model_copy(update={"notices": (*lease.notices, mark)}).text()

    def log_off(self, sessions: Sequence[Session], *, run: str, lease: LeaseDemand) -> tuple[SessionResult, ...]:
        self._pass_time()
        self._fault("logoff")
        self._demand(lease, run)
        results = []
        for session in sessions:
            person = self.people.get(session.id)
            if person is None:
                results.append(SessionResult(session=session, result=Result.GONE))
            elif person.born != session.born:
                results.append(SessionResult(session=session, result=Result.CHANGED))
            elif person.unsure:
                results.append(SessionResult(session=session, result=Result.UNKNOWN, text="nothing was done"))
            else:
                if person.state is State.DISCONNECTED:
                    self.ended_disconnected.add(person.user)
                self.record.append(("began" if person.hung else "ended", person.user))
                result, text = (Result.UNKNOWN, "the log-off has begun") if person.hung else (Result.ENDED, "")
                results.append(SessionResult(session=session, result=result, text=text, begun=True))
                if person.hung:
                    person.began_at = person.began_at or self.clock.now()
                else:
                    self._leave(person)
        self._late_fault("logoff")
        return tuple(results)

    def reset(self, sessions: Sequence[Session], *, run: str, lease: LeaseDemand) -> tuple[SessionResult, ...]:
        self._pass_time()
        self._fault("reset")
        self._demand(lease, run)
        results = []
        for session in sessions:
            person = self.people.get(session.id)
            if person is None or person.born != session.born:
                results.append(SessionResult(session=session, result=Result.GONE if person is None else Result.CHANGED))
                continue
            assert person.began_at is not None, "only what was logged off is reset"
            self.record.append(("forced", person.user))
            self.forced_after[person.user] = (self.clock.now() - person.began_at).total_seconds()
            result, text = (Result.UNKNOWN, "the reset has begun") if person.deaf else (Result.ENDED, "")
            results.append(SessionResult(session=session, result=result, text=text, begun=True))
            if person.deaf:
                self.stayed.add(person.user)
            else:
                self._leave(person)
        self._late_fault("reset")
        return tuple(results)

    def _demand(self, demand: LeaseDemand, run: str) -> None:
        lease = read_lease(self.lease)
        assert demand == "free" or (isinstance(lease, Lease) and lease.run == run)

    def _leave(self, person: Person) -> None:
        del self.people[person.id]
        if person.user in self.station_users.values():  # and there they are again
            self.log_on(person.id + 100, person.user)

    def set_logons(self, mode: LogonMode, *, expected: LogonMode | None, run: str, lease: LeaseDemand) -> Logons:
        self._pass_time()
        self._fault("logons-set")
        self._demand(lease, run)
        was = self.mode
        if expected is None or expected is self.mode:
            self.mode = mode
            self.record.append(("logons", mode.value))
        self._late_fault("logons-set")
        return Logons(mode=self.mode, was=was)

    def set_lease(self, text: str | None, *, expected: str | None, run: str) -> LeaseAnswer:  # noqa: ARG002 - stands in the text
        self._pass_time()
        self._fault("lease")
        changed = self.lease == expected
        if changed:
            self.lease = text
            self.record.append(("lease", "released" if text is None else "taken"))
        self._late_fault("lease")
        return LeaseAnswer(now=to_cim(self.clock.now()), changed=changed, lease=self.lease)

    def set_failsafe(self, *, found: LogonMode, to: LogonMode, owner: str, run: str) -> FailsafeAnswer:  # noqa: ARG002 - for people
        self._pass_time()
        self._fault("failsafe")
        self.failsafe = (found, to)
        self.record.append(("failsafe", "set"))
        self._late_fault("failsafe")
        return FailsafeAnswer(now=to_cim(self.clock.now()), registered=True, first_run=0)

    def remove_failsafe(self, *, run: str) -> FailsafeAnswer:  # noqa: ARG002 - for people
        self._pass_time()
        self._fault("failsafe-remove")
        self.failsafe = None
        self.record.append(("failsafe", "removed"))
        self._late_fault("failsafe-remove")
        return FailsafeAnswer(now=to_cim(self.clock.now()), registered=False)

    def power(
        self,
        action: str,
        *,
        allowed: Sequence[AllowedSession],
        reason: str,  # noqa: ARG002 - for people
        run: str,
        lease: LeaseDemand,
    ) -> PowerAnswer:
        self._pass_time()
        self._fault("power")
        self._demand(lease, run)
        left = self._left(allowed)
        if self.others_order and not left:
            said = "shutdown.exe ended with 1190: A system shutdown has already been scheduled.(1190)"
            now = to_cim(self.clock.now())
            return PowerAnswer(now=now, boot=to_cim(self.boot), accepted=False, going_down=True, text=said)
        if not left:
            self._go_down(action)
        self._late_fault("power")
        return PowerAnswer(now=to_cim(self.clock.now()), boot=to_cim(self.boot), accepted=not left, left=left)

    def set_mode(self, mode: str, *, allowed: Sequence[AllowedSession], run: str, lease: LeaseDemand) -> ModeAnswer:
        self._pass_time()
        self._fault("mode")
        self._demand(lease, run)
        left = self._left(allowed)
        if not left:
            self._go_down(mode)
        self._late_fault("mode")
        return ModeAnswer(now=to_cim(self.clock.now()), accepted=not left, left=left, before="Normal", after="Normal")

    def _left(self, allowed: Sequence[AllowedSession]) -> tuple[int, ...]:
        """The last look: a session is allowed by its birth, a leftover only without a row."""
        stay = {(one.id, one.born, one.leftover) for one in allowed}
        return tuple(
            person.id
            for person in self.people.values()
            if not {(person.id, born_of(person), leftover) for leftover in {False, not person.listed}} & stay
        )

    def others_turn(self) -> None:
        """What somebody else has scheduled comes."""
        how, self.others_order = str(self.others_order), None
        self._go_down(how)

    def _go_down(self, how: str) -> None:
        self.record.append(("down", how))
        self._boots_left = self.reboots
        far = timedelta(days=365) if how == "shutdown" else timedelta(seconds=self.reboot_s)
        self.away_until = self.clock.now() + far

    # Faults.

    def lose(self, step: str, when: str = "after", error: MpsBridgeError | None = None) -> None:
        """Fail at a step and at what would tell what became of it: its second sending, and the looks after it."""
        self.faults[step] = (when, error or lost())
        self._lost_for_good = step

    def _fault(self, step: str) -> None:
        self.before_step(step)
        if step == "look" and self._lost_looks:
            self._lost_looks -= 1
            raise lost()
        self._strike(step, "before")

    def _late_fault(self, step: str) -> None:
        self._strike(step, "after")

    def _strike(self, step: str, when: str) -> None:
        if step not in self.faults or self.faults[step][0] != when:
            return
        error = self.faults[step][1]
        if self._lost_for_good == step:  # once more, or never again where nobody can know
            self._lost_for_good, self._lost_looks = "", LOOKS if error.may_have_run else 0
            if not error.may_have_run:
                raise error
        raise self.faults.pop(step)[1]


def born_of(person: Person) -> str | None:
    """Its birth, as far as a script could find it out."""
    return to_cim(person.born) if person.has_winlogon else None


def lost() -> ConnectionLost:
    """An error of a step that may have run."""
    return ConnectionLost("the link broke")
