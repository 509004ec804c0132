"""Where operations are planned and carried out: the hosts, the record, the clock, and the person who acts.

Rules: nothing is sent before a plan is carried out; the record is open before anything is sent, and every operation
that may change something is a run in it; a record that breaks before the first step is a reason not to begin.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, Literal, Protocol, Self, TypeVar

from mpsbridge.clock import Clock, SystemClock
from mpsbridge.errors import InputError, JournalError, JournalLost
from mpsbridge.fleet import Fleet
from mpsbridge.host import Host
from mpsbridge.models.outcomes import REFUSED, Failed, Failure, Outcome, Skipped
from mpsbridge.models.sessions import Result, Session, SessionResult
from mpsbridge.models.targets import Target
from mpsbridge.operations.looking import CUT_OFF, Sinks, answers, check_hosts, open_files_for
from mpsbridge.planning.lease import RunFate
from mpsbridge.planning.policy import NOT_CHOSEN
from mpsbridge.runs.events import Event, HostStopped, Phase, Progress, SessionJudged, Step
from mpsbridge.runs.history import fate_of, is_silent
from mpsbridge.runs.journal import Journal, journal_path, owner
from mpsbridge.runs.recording import Record
from mpsbridge.runs.verdict import RunVerdict

P_co = TypeVar("P_co", covariant=True)
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)
MOST_THREADS = 512
"""Hosts in the whole procedure at the same time: it is mostly waiting."""
GIVEN_BACK = "running steps have 10s, then everything held is given back"
"""What becomes of the hosts at work where a person interrupts a run."""
ANSWER_WITHIN_S = 5.0
"""A question waits no longer for silent hosts where what is known is enough for it."""
_LEFT_OUT: dict[Result, Literal["keep", "refuse"]] = {Result.KEPT: "keep", Result.REFUSED: "refuse"}
"""Results of sessions that are planned to be left out, and the decision that the record has for them."""


@dataclass(frozen=True)
class RunResult(Generic[V_co]):
    """What became of a run: an outcome for each host in the order given, and the verdict on them all.

    A run that ``is_open`` has left something unfinished or unknown, and can be resumed.
    """

    run: str
    outcomes: tuple[Outcome[V_co], ...]
    verdict: RunVerdict
    is_open: bool = False


@dataclass(frozen=True)
class Watch:
    """Who follows a run along, from any thread of it; what an observer raises never reaches the run."""

    on_event: Callable[[Event], None] = lambda _event: None
    on_progress: Callable[[Progress], None] = lambda _progress: None

    def tell(self, event: Event) -> None:
        """Tell of something that no host's own work tells of."""
        with suppress(Exception, SystemExit):  # rich raises that at a broken pipe
            self.on_event(event)


class Planned(Protocol[V_co]):
    """An operation that was planned: what would be done, on which hosts, to which sessions."""

    def carry_out(self, work: Workplace, watch: Watch) -> RunResult[V_co]:
        """Do this, and nothing else, as a run in the record."""
        ...


class Operation(Protocol[P_co]):
    """Something that can be asked for: first planned, then carried out as it was planned."""

    def plan(self, work: Workplace) -> P_co:
        """Look at the hosts, and decide. Sends nothing that changes anything."""
        ...


@dataclass
class Workplace:
    """The hosts that operations are for. A context manager: leaving it closes every connection, and its own record.

    ``journal`` is the record, by default the user's own (``mpsbridge/journal.sqlite`` in the folder for state).
    ``timeout_s`` is for one command on one host, ``deadline_s`` for a whole operation that gives nothing back (one that
    does has a deadline of its own), ``actor`` the person who acts, as ``user@machine``. With
    ``only_reads`` (a dry run) every host refuses any script that is not a look. ``is_told_to_stop`` is asked now and
    then, and interrupts what runs.
    """

    targets: Sequence[Target]
    journal: Journal | None = None
    clock: Clock = field(default_factory=SystemClock)
    timeout_s: float = 60.0
    concurrency: int = 32
    deadline_s: float | None = None
    actor: str = field(default_factory=owner)
    only_reads: bool = False
    asks: bool = False
    """Whether a person is asked before a plan is carried out."""
    sinks: Sinks = field(default_factory=Sinks)
    is_told_to_stop: Callable[[], bool] = lambda: False
    connect: Callable[[Target], Host] | None = None

    def __post_init__(self) -> None:
        """Make room for what leaving closes. Raises ``InputError`` where a value is not of its kind."""
        check_hosts(self.targets, timeout_s=self.timeout_s, concurrency=self.concurrency, deadline_s=self.deadline_s)
        _refuse_doubles(self.targets)
        if self.journal is not None and not callable(getattr(self.journal, "record", None)):
            raise InputError("journal: it is not a Journal", hint='Write Journal("runs.sqlite"), or leave it out.')
        self._resources = ExitStack()
        self._fleets: dict[bool, Fleet] = {}
        self._stop: threading.Event | None = None
        self._admitted: set[str] = set()

    def plan(self, operation: Operation[P_co]) -> P_co:
        """Look at the hosts and decide what the operation would do. Nothing is changed by that."""
        if not callable(getattr(operation, "plan", None)) or isinstance(operation, type):
            raise InputError(
                "operation: it is not an operation", hint="Give End(...), LogOff(...), Message(...) or so."
            )
        return operation.plan(self)

    def carry_out(
        self,
        plan: Planned[V_co],
        *,
        on_event: Callable[[Event], None] = lambda _event: None,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
        stop: threading.Event | None = None,
    ) -> RunResult[V_co]:
        """Do what was planned; ``stop`` breaks it off, and what is held is given back.

        Observers are called from any thread, and what they raise never reaches the run. Raises ``JournalError`` where
        nothing was sent because the record cannot be kept, ``InputError`` where the plan is not of these hosts, or was
        carried out before.
        """
        if not callable(getattr(plan, "carry_out", None)) or isinstance(plan, type):
            raise InputError("plan: it is not a plan", hint="Plan first: work.carry_out(work.plan(operation)).")
        if stop is not None and not callable(getattr(stop, "is_set", None)):
            raise InputError("stop: it is not a threading.Event")
        for name, observer in (("on_event", on_event), ("on_progress", on_progress)):
            if not callable(observer):
                raise InputError(f"{name}: it is not a function")
        self._stop = stop
        return plan.carry_out(self, Watch(on_event, on_progress))

    def admit(self, run: str, hosts: Iterable[str]) -> None:
        """Raise ``InputError`` where a plan is of other hosts than those here, or was carried out before."""
        if [target.host for target in self.targets] != list(hosts):
            raise InputError("the plan is of other hosts than those of this workplace; plan again")
        if run in self._admitted:
            raise InputError("the plan was carried out before; plan again")
        self._admitted.add(run)

    def _is_told_to_stop(self) -> bool:
        return self.is_told_to_stop() or (self._stop is not None and self._stop.is_set())

    @property
    def record(self) -> Journal:
        """The record. Raises ``JournalError`` where it cannot be used."""
        if self.journal is None:
            self.journal = self._resources.enter_context(Journal(journal_path(), clock=self.clock))
        return self.journal

    def fleet(self, *, gives_back: bool = False) -> Fleet:
        """The hosts, connected between plan and act.

        With ``gives_back`` each waits in a thread of its own, and an interruption lets it give back what it holds.
        """
        if gives_back not in self._fleets:
            self._fleets[gives_back] = self._resources.enter_context(self._open(gives_back=gives_back))
        return self._fleets[gives_back]

    def _open(self, *, gives_back: bool) -> Fleet:
        def connect(target: Target) -> Host:
            return Host(target, timeout_s=self.timeout_s, clock=self.clock, only_reads=self.only_reads)

        what = GIVEN_BACK if gives_back else CUT_OFF
        open_files_for(self.targets)
        return Fleet(
            self.targets,
            on_interrupt=lambda: self.sinks.interrupted(what),
            is_told_to_stop=self._is_told_to_stop,
            concurrency=min(MOST_THREADS, len(self.targets)) if gives_back else self.concurrency,
            connect=self.connect or connect,
            graceful=gives_back,
            deadline_s=None if gives_back else self.deadline_s,
            clock=self.clock,
        )

    def look(
        self,
        fleet: Fleet,
        job: Callable[[Host], V],
        *,
        enough: Callable[[Sequence[Outcome[V]]], bool] = lambda _: False,
    ) -> list[Outcome[V]]:
        """Look at all hosts before a plan is made; the outcomes in the order given.

        Where a person is asked, and what is known is ``enough`` for the question, hosts that stay silent are left out
        of it: their outcome says so, and nothing is sent to them.
        """
        found: dict[int, Outcome[V]] = {}
        with closing(answers(fleet, job, self.sinks, at_once=self.concurrency)) as looks:
            for each in looks:
                if each is not None:
                    found[each[0]] = each[1]
                elif self.asks and _are_silent(fleet, len(fleet.targets) - len(found)) and enough(list(found.values())):
                    break
        return [found.get(place) or _left_out(target) for place, target in enumerate(fleet.targets)]

    @property
    def is_interrupted(self) -> bool:
        """Whether a person, or a time limit, has broken off what was at work."""
        return any(fleet.interrupted for fleet in self._fleets.values())

    def fate_of(self, run: str) -> RunFate | None:
        """How a run that holds a host stands, by the record; ``None`` where that cannot be read. From any thread."""
        try:
            return fate_of(self.record, run)
        except (JournalError, JournalLost):
            return None

    def as_known(self, host: str, session: Session) -> Session:
        """A session without a user, under the name that the record has for the same id and birth on that host."""
        if session.user or session.born is None:
            return session
        try:
            known = self.record.last_named(host, session.id, session.born)
        except (JournalError, JournalLost):
            return session
        return session.model_copy(update={"user": known.user or "", "account": known.account}) if known else session

    def new_run(self) -> str:
        """A run id."""
        return new_run(self.clock.now())

    def record_not_sent(self, run: str, outcome: Failed | Skipped, *, record: Record | None = None) -> None:
        """Record of a host that nothing was done on it, and why: it refuses, or could not be looked at."""
        if isinstance(outcome, Skipped):
            what = HostStopped(why=outcome.reason.removeprefix(REFUSED), error=outcome.kind, phase=Phase.PLAN)
        else:
            what = HostStopped(why=outcome.failure.message, error=outcome.failure.kind, phase=Phase.PLAN)
        (record or self.record).record(run, outcome.host, what)

    def record_kept(self, run: str, host: str, planned: Iterable[SessionResult], *, act: Step = Step.LOGOFF) -> None:
        """Record the sessions that ``act`` leaves out, of a host on which the work itself does not tell of them.

        Those that nobody meant are left out: one name looked for on a farm would put everybody into the record.
        """
        for one in planned:
            if (decision := _LEFT_OUT.get(one.result)) and one.text != NOT_CHOSEN:
                self.record.record(run, host, SessionJudged.of(one.session, act, decision, reason=one.text))

    def record_silent(self, run: str, outcomes: Sequence[Outcome[Any]]) -> None:
        """Record what became of a host where the work itself did not: it failed before its first step, or hangs there.

        Raises ``JournalLost`` and ``JournalError``.
        """
        for outcome in outcomes:
            if isinstance(outcome, Failed) and is_silent(self.record, run, outcome.host):
                failure = outcome.failure
                what = HostStopped(why=failure.message, error=failure.kind, may_have_run=failure.may_have_run)
                self.record.record(run, outcome.host, what)

    def end_record(
        self, run: str, verdict: RunVerdict, outcomes: Sequence[Outcome[Any]], *, stays_open: bool = False
    ) -> bool:
        """Record what became of a run; whether that was possible. Where it was not, that is said."""
        try:
            self.record_silent(run, outcomes)
            self.record.end(run, verdict, stays_open=stays_open)
        except (JournalLost, JournalError) as error:
            self.sinks.warn(str(error))
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()


def _refuse_doubles(targets: Sequence[Target]) -> None:
    """Raise ``InputError`` where one host is there twice: its halves would keep each other out."""
    hosts: set[object] = set()
    for target in targets:
        names: set[object] = {target.host.casefold(), (target.kind, target.address.casefold(), target.port)}
        if names & hosts:
            raise InputError(f"targets: {target.host} is there twice", hint="Give each host once.")
        hosts |= names


def _are_silent(fleet: Fleet, left: int) -> bool:
    """Whether all hosts that are left have begun, and none of them has answered for so long."""
    return sum(since_s >= ANSWER_WITHIN_S for _, since_s in fleet.waited_for) == left


def _left_out(target: Target) -> Failed:
    failure = Failure(
        kind="timeout",
        message=f"no answer within {ANSWER_WITHIN_S:.0f}s: left out of the question, nothing was sent",
        hint="Repeat the call for this host; with --yes it is waited for.",
        may_have_run=False,
    )
    return Failed(host=target.host, address=target.address, elapsed_s=ANSWER_WITHIN_S, failure=failure)


@contextmanager
def nothing_is_sent() -> Iterator[None]:
    """While nothing has been sent, a record that breaks is a reason not to begin. Raises ``JournalError``."""
    try:
        yield
    except JournalLost as error:
        raise JournalError(error.message, hint=error.hint) from error


def new_run(now: datetime) -> str:
    """A run id, ``YYYYMMDD-HHMMSS-xxxx`` (UTC)."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
