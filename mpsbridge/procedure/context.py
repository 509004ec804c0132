"""What every part of the procedure on one host shares: the host, the record, the clock, and how a step is sent.

Rules: the intent of every step that changes something is in the journal before it is sent, its outcome after; a step
whose fate is not known stays without an outcome, and is sent again only where a look shows that it did not run and it
cannot begin any more; no part waits but by :meth:`ProcedureContext.pause`, which a stop
ends at once; an observer that fails can neither stop nor delay the procedure: that is one of the ``problems``, once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol, TypeVar

from mpsbridge.clock import Clock
from mpsbridge.errors import AnotherComputer, HostReleased, JournalLost, MpsBridgeError, RemoteError, Stopped
from mpsbridge.models.sessions import AllowedSession, LogonMode, Logons, Observation, Session, SessionResult
from mpsbridge.planning.lease import is_ending
from mpsbridge.planning.policy import Policy
from mpsbridge.procedure.looks import PAUSES_S, ask_again, may_be_mended
from mpsbridge.procedure.notices import sender_of
from mpsbridge.procedure.past import GIVEN_BACK, Past, check_computer, ended_by_others
from mpsbridge.runs.events import (
    AnswerLost,
    AnyHappening,
    Event,
    Happening,
    Looked,
    LookRepeated,
    Phase,
    Progress,
    RestartedByOthers,
    StepSent,
)
from mpsbridge.runs.recording import BestEffort, Record, recorded
from mpsbridge.snippets.failsafe import FailsafeAnswer
from mpsbridge.snippets.fields import LeaseDemand
from mpsbridge.snippets.lease import LeaseAnswer
from mpsbridge.snippets.power import ModeAnswer, PowerAnswer

BEGUN_S = 15.0
"""Seconds that a script which began at the last moment may need until what it does can be seen."""
T = TypeVar("T")
H = TypeVar("H", bound=Happening)
Identity = tuple[int, datetime | None]
"""A session's id and birth: what people are told apart by (W5)."""


def identity(session: Session) -> Identity:
    """Whom a session belongs to, across looks."""
    return session.id, session.born


class HostActions(Protocol):
    """What the procedure needs of a host; :class:`mpsbridge.host.Host` is one.

    ``lease="held"``: only while this run's own lease is there, so that no script of it comes late when the host has
    been given back.
    """

    timeout_s: float
    """How long a step may take; the host begins none that is older."""

    @property
    def name(self) -> str:
        """As the person gave it."""
        ...

    def observe(self, *, programs: Sequence[str] = ()) -> Observation:
        """All that one look tells."""
        ...

    def look(self) -> Observation:
        """The small look for waiting."""
        ...

    def logons(self) -> Logons:
        """The logon mode alone, which needs no readable table; changes nothing."""
        ...

    def message(
        self, sessions: Sequence[Session], text: str, *, display_s: int, run: str, notice: str | None = None
    ) -> tuple[SessionResult, ...]:
        """Show a box in each session, marked in the lease as ``notice``."""
        ...

    def log_off(self, sessions: Sequence[Session], *, run: str, lease: LeaseDemand) -> tuple[SessionResult, ...]:
        """Log each session off and look until it is gone."""
        ...

    def reset(self, sessions: Sequence[Session], *, run: str, lease: LeaseDemand) -> tuple[SessionResult, ...]:
        """End each session by force and look until it is gone."""
        ...

    def set_logons(self, mode: LogonMode, *, expected: LogonMode | None, run: str, lease: LeaseDemand) -> Logons:
        """Set the logon mode if it is still ``expected``."""
        ...

    def set_lease(self, text: str | None, *, expected: str | None, run: str) -> LeaseAnswer:
        """Write the lease file if it still holds ``expected``."""
        ...

    def set_failsafe(self, *, found: LogonMode, to: LogonMode, owner: str, run: str) -> FailsafeAnswer:
        """Register the task that restores logons."""
        ...

    def remove_failsafe(self, *, run: str) -> FailsafeAnswer:
        """Remove that task."""
        ...

    def power(
        self, action: str, *, allowed: Sequence[AllowedSession], reason: str, run: str, lease: LeaseDemand
    ) -> PowerAnswer:
        """Look a last time and restart or shut down."""
        ...

    def set_mode(self, mode: str, *, allowed: Sequence[AllowedSession], run: str, lease: LeaseDemand) -> ModeAnswer:
        """Look a last time and switch MultiPoint's mode."""
        ...


class ProcedureContext:
    """One host during one run."""

    def __init__(
        self,
        host: HostActions,
        *,
        run: str,
        policy: Policy,
        owner: str,
        journal: Record,
        clock: Clock,
        stop: threading.Event | None = None,
        on_event: Callable[[Event], None] = lambda _event: None,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
        past: Past | None = None,
    ) -> None:
        self.host = host
        self.run = run
        self.policy = policy
        self.owner = owner
        self.clock = clock
        self.stop = stop or threading.Event()
        self.past = past or Past()
        """What earlier lives of this run have left."""
        self.told = dict(self.past.told)
        """Notices that this run has sent, or may have; true for those that were shown."""
        self.problems: list[str] = []
        self.disrupted = False
        """Whether an order that ends sessions or takes the host down was sent, or may have been."""
        self.computer = self.past.computer or (policy.planned.computer if policy.planned else None)
        """The computer's own name, as the plan or an earlier look has it."""
        self.is_elsewhere = False
        """Whether the last look was at another computer, so that nothing is given back there."""
        self.has_sent = False
        """Whether any step that changes something was sent."""
        self.has_looked = False
        """Whether the host has been seen in this life of the run."""
        self.in_doubt = False
        """Whether people may have been told or ended by something that was sent, also while giving back, and nobody
        knows, or nobody who reads the record."""
        self.goes_down = False
        """Whether the host has taken an order of this run, and is not seen to be back."""
        self.was_restarted = False
        """Whether the host has restarted before this run told it to."""
        self.locale: str | None = None
        self.offset_until: datetime | None = None
        """Until when the host's offset from UTC is what it is now, where it changes within a day."""
        self._journal: Record = journal
        self._on_event = on_event
        self._on_progress = on_progress
        self.phase = Phase.OBSERVE
        self.holds_lease = False
        """Whether the lease on the host has to be this run's at every look; otherwise others have ended it."""
        self.when_held: Callable[[Observation], None] = lambda _seen: None
        """What is done at each look while that is so."""
        self.lease_text: str | None = None
        """The lease on the host, as it told it last."""
        self.boot_at_lease: datetime | None = None
        """The host's boot identity when the lease was taken, as long as this run has not told it to go down."""
        self._ahead = timedelta()
        self._zone: tzinfo | None = None
        self._deadline = clock.monotonic() + policy.host_deadline_s

    @property
    def phase(self) -> Phase:
        """What is being done."""
        return self._phase

    @phase.setter
    def phase(self, phase: Phase) -> None:
        self._phase = phase
        self.waits()

    def waits(self, *, for_s: float | None = None, people: int | None = None) -> None:
        """Let people follow along: so many are waited for, at most so long."""
        until = None if for_s is None else self.clock.now() + timedelta(seconds=for_s)
        self._inform(self._on_progress, Progress(host=self.host.name, phase=self._phase, people=people, until=until))

    @property
    def sender(self) -> str:
        """Who tells people, as they read it."""
        return self.policy.sender or sender_of(self.owner)

    def observe(self, *, once: bool = False) -> Observation:
        """All that one look tells; a lost answer is asked for again, unless ``once``."""
        programs = self.policy.keep_running
        seen = self._take_in(ask_again(lambda: self.host.observe(programs=programs), self._wait_to_ask, once=once))
        self.locale = seen.locale or self.locale
        return seen

    def look(self, *, once: bool = False) -> Observation:
        """The small look for waiting (W16); a lost answer is asked for again, unless ``once``."""
        return self._take_in(ask_again(self.host.look, self._wait_to_ask, once=once))

    def logons(self) -> LogonMode | None:
        """The logon mode alone, where nobody need be seen; a lost answer is asked for again."""
        return ask_again(self.host.logons, self._wait_to_ask).mode

    def _wait_to_ask(self, error: MpsBridgeError, number: int) -> bool:
        """Say that an answer was lost, and wait before look ``number``; false where the run has no time for it."""
        pause_s = PAUSES_S[number - 2]
        if self.stop.is_set() or self.clock.monotonic() + pause_s > self._deadline:
            return False
        self.tell(LookRepeated(why=str(error), error=error.kind, look=number))
        self.pause(pause_s)
        return True

    def _take_in(self, seen: Observation) -> Observation:
        self._check_computer(seen)
        self.has_looked, self.lease_text = True, seen.lease
        self._ahead, self._zone = seen.observed - self.clock.now(), seen.observed.tzinfo
        self.offset_until = seen.offset_until
        self.note(
            Looked(
                observed=seen.observed,
                sessions=tuple(session.id for session in seen.sessions),
                logons=seen.logon_mode,
                boot=seen.boot,
                computer=seen.computer,
            )
        )
        if self.holds_lease:
            self._check_is_ours(seen)
            self.when_held(seen)
        return seen

    def _check_computer(self, seen: Observation) -> None:
        try:
            check_computer(self.computer, seen, self.run)
        except AnotherComputer:
            self.is_elsewhere = True
            raise
        self.computer, self.is_elsewhere = seen.computer or self.computer, False

    def _check_is_ours(self, seen: Observation) -> None:
        """Raise ``HostReleased`` at the first sign that others have the host now; a restart of theirs is said.

        Disk protection drops the lease at a restart (W23), which nobody has released then.
        """
        restarted = seen.boot is not None and self.boot_at_lease is not None and seen.boot != self.boot_at_lease
        if (why := ended_by_others(seen.lease, self.run)) and not (restarted and seen.discards_changes):
            self.holds_lease = False
            raise HostReleased(why)
        if is_ending(seen.lease):
            self.holds_lease = False
            raise HostReleased(GIVEN_BACK)
        if restarted and seen.boot is not None:
            self.boot_at_lease = seen.boot
            self.was_restarted = True
            happened = RestartedByOthers(boot=seen.boot)
            self.problems.append(happened.text())
            self.tell(happened)

    def now(self) -> datetime:
        """The host's own time, in its own offset, as the last look told it."""
        return (self.clock.now() + self._ahead).astimezone(self._zone or UTC)

    def step(
        self,
        sent: StepSent,
        act: Callable[[], T],
        *,
        shows: Callable[[Observation], T | None] | None = None,
        is_marked: bool = False,
    ) -> T:
        """Send one step: intent before, outcome after.

        Where ``shows`` is given and the answer is lost, a look tells what became of the step: ``shows`` reads the
        answer in it, or nothing. Once the host would not begin the step any more, nothing means that it did not run, so
        it is sent once more; without that wait where it ``is_marked``: then the host does nothing a second time.
        """
        doubt = self.in_doubt
        try:
            return self._send(sent, act)
        except MpsBridgeError as lost:
            if shows is None or not may_be_mended(lost):
                raise
            answer = self._settled(sent, lost, shows, is_marked=is_marked)
            is_known = answer is not None or not lost.may_have_run or not sent.step.touches_people
        try:
            self.in_doubt = doubt
            return answer if answer is not None else self._send(sent, act)
        except MpsBridgeError as error:
            if not is_known:  # of the first one
                self.in_doubt = error.may_have_run = True
            raise

    def _settled(
        self, sent: StepSent, lost: MpsBridgeError, shows: Callable[[Observation], T | None], *, is_marked: bool
    ) -> T | None:
        """What a look shows of a step without an answer; nothing where it did not run, for certain.

        Raises ``lost`` where nobody can tell.
        """
        try:
            self.tell(AnswerLost(step=sent.step, why=str(lost), error=lost.kind))
            answer = shows(self._look_aside()) if lost.may_have_run else None
            if answer is None:
                may_begin_s = PAUSES_S[-1] if is_marked else self.host.timeout_s + BEGUN_S
                self.pause(may_begin_s if lost.may_have_run else PAUSES_S[0])
                answer = shows(self._look_aside())
        except JournalLost as error:  # which ends the run, whatever became of the step
            error.may_have_run |= lost.may_have_run
            raise
        except MpsBridgeError as error:
            raise lost from error
        return answer

    def _look_aside(self) -> Observation:
        """A look at which nothing is done but looking."""
        seen = ask_again(self.host.look, self._wait_to_ask)
        self._check_computer(seen)
        self.lease_text = seen.lease
        return seen

    def _send(self, sent: StepSent, act: Callable[[], T]) -> T:
        def send() -> T:
            self.has_sent = True
            return act()

        try:
            answer = recorded(self._journal, self.run, self.host.name, self._placed(sent), send)
        except BaseException as error:
            may_have_run = not isinstance(error, MpsBridgeError) or error.may_have_run
            self.disrupted |= sent.step.disrupts and may_have_run
            self.in_doubt |= may_have_run and sent.step.touches_people
            if self.holds_lease and not may_have_run:
                self.check_held(error)
            raise
        self.disrupted |= sent.step.disrupts
        self.in_doubt |= (
            sent.step.touches_people and isinstance(self._journal, BestEffort) and self._journal.is_incomplete
        )
        return answer

    def check_held(self, refused: BaseException) -> None:
        """Raise ``HostReleased`` where the host refused a step because it has left this run."""
        if not isinstance(refused, RemoteError):
            return
        try:
            seen = self._look_aside()
        except MpsBridgeError:
            return  # then the refusal is all that is known
        self._check_is_ours(seen)

    def disrupt_no_more(self) -> None:
        """From here on things are only given back, which does not depend on the record."""
        if not isinstance(self._journal, BestEffort):
            self._journal = BestEffort(self._journal, self.problems)

    def note(self, what: AnyHappening) -> None:
        """Record something, for the record only."""
        self._journal.record(self.run, self.host.name, self._placed(what))

    def tell(self, what: AnyHappening) -> None:
        """Record something, and let people follow along."""
        what = self._placed(what)
        self._journal.record(self.run, self.host.name, what)
        self._inform(self._on_event, Event(at=self.clock.now(), run=self.run, host=self.host.name, what=what))

    def _placed(self, what: H) -> H:
        """It, with the phase in which it happens."""
        return what.model_copy(update={"phase": self._phase})

    def _inform(self, observer: Callable[[T], None], news: T) -> None:
        try:
            observer(news)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit too: rich raises it at a broken pipe
            said = f"not all that happened could be told: {type(error).__name__}: {error}"
            if said not in self.problems:
                self.problems.append(said)

    def pause(self, seconds: float) -> None:
        """Wait. Raises :class:`~mpsbridge.errors.Stopped` where the run is stopped or the host's time is over."""
        if self.clock.monotonic() + seconds > self._deadline:
            raise Stopped(f"the host's deadline came while {self.phase.words}")
        if self.clock.wait(seconds, self.stop):
            raise Stopped(f"stopped while {self.phase.words}")

    def check_stop(self) -> None:
        """Begin nothing new where the run is stopped."""
        if self.stop.is_set():
            raise Stopped(f"stopped before {self.phase.words}")
