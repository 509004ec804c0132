"""Reading many hosts: what is asked, where it is read, and looking again after each answer.

Rules: each host refuses any script that is not a look; only reading leaves this process, and connections that are kept
never do; a question travels to the workers of a cluster, so it can be pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeAlias, TypeVar

from mpsbridge.clock import Clock, SystemClock
from mpsbridge.errors import InputError
from mpsbridge.fleet import Fleet
from mpsbridge.host import Host
from mpsbridge.models.frozen import Given
from mpsbridge.models.outcomes import Outcome
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import Logons, Observation, Stations
from mpsbridge.models.targets import Target, demand_targets
from mpsbridge.operations.outcomes import judge
from mpsbridge.planning.exempt import unknown_idle
from mpsbridge.planning.orphans import told
from mpsbridge.planning.selection import Selector, matching
from mpsbridge.processes import allow_open_files
from mpsbridge.runs.verdict import RunVerdict
from mpsbridge.workers.base import Workers
from mpsbridge.workers.elsewhere import ExecutorWorkers

V = TypeVar("V")
CUT_OFF = "running commands are cancelled"
"""What becomes of the hosts at work where a person interrupts a call that holds nothing."""


class Awaited(Protocol):
    """Hosts that are being asked."""

    @property
    def targets(self) -> Sequence[Target]:
        """All of them."""
        ...

    @property
    def waited_for(self) -> list[tuple[str, float]]:
        """Those at work that have not answered yet, and for how many seconds; the longest first."""
        ...


@dataclass(frozen=True)
class Sinks:
    """Where is said what a person should know; nothing by default."""

    note: Callable[[str], None] = lambda _text: None
    warn: Callable[[str], None] = lambda _text: None
    interrupted: Callable[[str], None] = lambda _what: None
    """A person interrupted the run; told what happens with that which runs."""
    looking: Callable[[Awaited], AbstractContextManager[Callable[[bool], None]]] = lambda _: nullcontext(lambda _: None)
    """While hosts are asked; what it gives is called for each that has answered, or not."""


def answers(
    fleet: Fleet, job: Callable[[Host], V], sinks: Sinks, *, at_once: int | None = None
) -> Generator[tuple[int, Outcome[V]] | None, None, None]:
    """What each host answers as it comes, with its place; ``None`` a few times a second while nothing comes.

    ``at_once`` as :meth:`~mpsbridge.fleet.Fleet.ticking` has it.
    """
    with sinks.looking(fleet) as settled:
        for each in fleet.ticking(job, at_once=at_once):
            if each is not None:
                settled(each[1].status == "done")
            yield each


def check_hosts(targets: object, *, timeout_s: object, concurrency: object, deadline_s: object) -> None:
    """Raise ``InputError`` where what an operation is to work with is not of the kind that it needs."""
    demand_targets(targets)
    if not _is_number(timeout_s) or timeout_s <= 0:  # type: ignore[operator] # a number by then
        raise InputError(f"timeout_s: {timeout_s!r} is not a number of seconds above 0")
    if deadline_s is not None and (not _is_number(deadline_s) or deadline_s <= 0):  # type: ignore[operator] # the same
        raise InputError(f"deadline_s: {deadline_s!r} is not a number of seconds above 0, or None")
    if not isinstance(concurrency, int) or isinstance(concurrency, bool) or concurrency < 1:
        raise InputError(f"concurrency: {concurrency!r} is not a whole number, at least 1")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def open_files_for(targets: Sequence[Target]) -> None:
    """Let the process have as many files open as connections to all these hosts need."""
    allow_open_files(2 * len(targets) + 256)


Question: TypeAlias = Callable[[Host], V]
"""What is asked of one host; it changes nothing there."""


class ListSessions(Given):
    """A question: the sessions of a host that the selector chooses, and how many others there are."""

    selector: Selector = Selector(everyone=True)

    def __call__(self, host: Host) -> Observation:
        """Look at the host."""
        seen = host.observe()
        found = matching(seen, self.selector)
        passed_over = unknown_idle(seen) if self.selector.idle_over_s is not None else ""
        problems = (*seen.problems, *([passed_over] if passed_over else []))
        changes = {"sessions": found, "others": len(seen.sessions) - len(found), "problems": problems}
        return seen.model_copy(update=changes)


def list_stations(host: Host) -> Stations:
    """A question: MultiPoint's stations and who sits there."""
    return host.stations()


def read_logons(host: Host) -> Logons:
    """A question: the logon mode."""
    return host.logons()


def remarks(seen: Observation) -> tuple[str, ...]:
    """What a person should know of a host beside its sessions."""
    return (*seen.problems, *told(seen))


@dataclass(frozen=True)
class Cluster:
    """A Dask cluster that reads in place of this process: the address of its ``scheduler``, or ``local:N``.

    ``password_variable`` names the variable of the workers that holds the password, where that does not travel.
    """

    scheduler: str
    password_variable: str | None = None


class Picture(NamedTuple, Generic[V]):
    """What is known of all hosts at a moment: the last answer of each, in the order given.

    ``ages_s`` are the seconds since the answer of each host, ``silent`` the hosts that have owed one for too long, with
    the seconds.
    """

    outcomes: Sequence[Outcome[V]]
    ages_s: Mapping[str, float]
    silent: Sequence[tuple[str, float]]


@dataclass
class Reading:
    """Hosts that are only asked. A context manager: leaving it closes every connection.

    ``timeout_s`` is for one command on one host, ``deadline_s`` for everything; ``concurrency`` is the number of hosts
    at work. With ``keep`` they stay connected between two answers. ``is_told_to_stop`` is asked now and then, and
    interrupts what runs. Raises ``InputError`` where a ``cluster`` is to keep connections.
    """

    targets: Sequence[Target]
    clock: Clock = field(default_factory=SystemClock)
    timeout_s: float = 60.0
    concurrency: int = 32
    deadline_s: float | None = None
    keep: bool = False
    cluster: Cluster | None = None
    sinks: Sinks = Sinks()
    is_told_to_stop: Callable[[], bool] = lambda: False
    connect: Callable[[Target], Host] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be. Raises ``InputError``."""
        check_hosts(self.targets, timeout_s=self.timeout_s, concurrency=self.concurrency, deadline_s=self.deadline_s)
        if self.keep and self.cluster is not None:
            raise not_elsewhere("connections that are kept never leave this process")

    def __enter__(self) -> Self:
        """Open the fleet. Raises ``InputError`` where a cluster cannot read these hosts."""
        workers, slots = (None, self.concurrency) if self.cluster is None else self._workers(self.cluster)
        open_files_for(self.targets)
        self._fleet = Fleet(
            self.targets,
            on_interrupt=lambda: self.sinks.interrupted(CUT_OFF),
            is_told_to_stop=self.is_told_to_stop,
            concurrency=slots,
            connect=self.connect or self._connect,
            clock=self.clock,
            keep=self.keep,
            deadline_s=self.deadline_s,
            workers=workers,
        ).__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fleet.__exit__(kind, error, trace)

    def _connect(self, target: Target) -> Host:
        return Host(target, timeout_s=self.timeout_s, clock=self.clock, only_reads=True)

    def _workers(self, cluster: Cluster) -> tuple[Workers, int]:
        """Who reads in place of this process' own threads, and how many hosts at a time."""
        from mpsbridge.workers.dask import DaskExecutor  # noqa: PLC0415 - an optional extra

        if cluster.scheduler.startswith("tcp://"):
            self.sinks.warn(
                f"--scheduler {cluster.scheduler}: a program that answers there, or stands in between, can run code "
                "here; use tls:// where that is not this machine"
            )
        executor = DaskExecutor(cluster.scheduler)
        try:
            executor.check(self.targets, password_variable=cluster.password_variable)
        except BaseException:
            executor.shutdown()
            raise
        workers = ExecutorWorkers(
            self.targets, executor, timeout_s=self.timeout_s, password_variable=cluster.password_variable
        )
        return workers, max(self.concurrency, executor.threads)

    def ask(self, question: Question[V]) -> list[Outcome[V]]:
        """What each host answers, in the order given."""
        return self._fleet.run(question)

    def answers(self, question: Question[V]) -> Iterator[tuple[int, Outcome[V]] | None]:
        """The same as it comes, with the host's place; ``None`` a few times a second while nothing comes."""
        return answers(self._fleet, question, self.sinks)

    def pictures(
        self, question: Question[V], *, every_s: float
    ) -> Iterator[tuple[Outcome[V] | None, Picture[V] | None]]:
        """Ask each host again ``every_s`` after its answer, so that a silent one keeps no other, until interrupted.

        Gives each answer as it comes, and a picture of all hosts ``every_s`` apart: the first as soon as it is whole.
        """
        known: dict[int, Outcome[V]] = {}
        came_s: dict[str, float] = {}
        next_s = self.clock.monotonic() + every_s
        is_first = True
        for each in self._fleet.ticking(question, again_after_s=every_s):
            now_s = self.clock.monotonic()
            if each is not None:
                known[each[0]], came_s[each[1].host] = each[1], now_s
            picture = None
            is_due = now_s >= next_s or (is_first and len(known) == len(self.targets))
            if is_due and not self.is_interrupted:
                is_first, next_s = False, now_s + every_s
                silent = [(host, since_s) for host, since_s in self._fleet.waited_for if since_s >= every_s]
                ages_s = {host: now_s - at_s for host, at_s in came_s.items()}
                picture = Picture([known[place] for place in sorted(known)], ages_s, silent)
            yield (each[1] if each is not None else None), picture

    @property
    def is_interrupted(self) -> bool:
        """Whether what ran was cut short."""
        return self._fleet.interrupted

    def stop(self) -> None:
        """End what runs: the answers are not wanted any more."""
        self._fleet.cancel()

    def verdict(self, outcomes: Sequence[Outcome[Any]]) -> RunVerdict:
        """What became of the call whose outcomes these are."""
        return judge(outcomes, Effect.READ, interrupted=self.is_interrupted)


def not_elsewhere(why: str, setting: str = "executor") -> InputError:
    """What is raised where a ``setting`` of a cluster is for what stays in this process, because ``why``."""
    option = "--" + setting.replace("_", "-")
    words = f"{option} is for reading only: {why}"
    return InputError(words, hint=f"Leave out {option} (or MPSBRIDGE_{setting.upper()}).")
