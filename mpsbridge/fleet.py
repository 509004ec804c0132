"""Many hosts: one job for each, outcomes as they come, and one dead host never stops the others.

Slots count the hosts that make progress. One that has not answered for a second gives its slot up, and another host
begins; so a few silent hosts cost the others nothing, wherever they stand in the list. Rules: outcomes are handed out
as soon as they are known and are not kept here; the deadline of the whole call is hard; a host whose turn never came is
an outcome, too, and says so. Who does the jobs is :mod:`mpsbridge.workers`' matter.
"""

from __future__ import annotations

import functools
import math
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType, TracebackType
from typing import Any, Generic, Self, TypeVar

from mpsbridge.clock import Clock, SystemClock
from mpsbridge.errors import Interrupted, NotBegun, TimedOut
from mpsbridge.host import Host
from mpsbridge.models.outcomes import Outcome
from mpsbridge.models.targets import Target, demand_targets
from mpsbridge.processes import INTERRUPTIONS
from mpsbridge.workers.base import Workers, failed
from mpsbridge.workers.threads import HostThreads

V = TypeVar("V")
MOST_AT_WORK = 256
"""Hosts at work at the same time, those included that gave their slot up."""
SILENT_S = 1.0
"""A host without an answer for so long gives its slot up."""
LOOK_S = 0.25
"""How often it is looked who is silent, and whether somebody stopped the run."""
CANCEL_LIMIT_S = 10.0
"""Seconds that an interrupted run waits for the hosts at work."""
STEP_LIMIT_S, GRACE_LIMIT_S = 10.0, 40.0
"""The same where they give back what they hold first: 10 s for the step at work, then 30 s for giving back."""
CUT_AFTER_S, GIVE_UP_AFTER_S = 0.5, 2.0
"""Past the deadline: when the hosts at work, which should have ended by themselves, are cut off, and given up."""

_NOT_WAITED_FOR = "interrupted; the host was at work and had not answered"
_TOO_LATE = "the time for the whole call was up while the host was at work"


class Fleet:
    """The hosts of one call. Use it as a context manager; leaving it closes every connection.

    ``concurrency`` is the number of slots; ``connect`` makes a host from a target (tests pass their own). With ``keep``
    a host stays connected between two calls of :meth:`run`, so that a plan and its acts share one connection; without
    it nothing is kept of a host that has finished. ``deadline_s`` counts from here, for everything. Ctrl-C cancels what
    runs; with ``graceful`` it only sets ``stop``, and jobs that heed it have 40 s to give back what they hold. Where
    ``is_told_to_stop`` says so, that is the same.
    ``workers`` do the jobs in place of this process' own threads.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        concurrency: int = 32,
        clock: Clock | None = None,
        connect: Callable[[Target], Host] = Host,
        graceful: bool = False,
        on_interrupt: Callable[[], None] = lambda: None,
        is_told_to_stop: Callable[[], bool] = lambda: False,
        keep: bool = True,
        deadline_s: float | None = None,
        workers: Workers | None = None,
    ) -> None:
        demand_targets(targets)
        self.targets = tuple(targets)
        self.stop = threading.Event()
        self._clock = clock or SystemClock()
        self._slots = max(1, concurrency)
        self._most = max(MOST_AT_WORK, self._slots)
        self._graceful = graceful
        self._on_interrupt = on_interrupt
        self._is_told_to_stop = is_told_to_stop
        self._deadline = None if deadline_s is None else self._clock.monotonic() + deadline_s
        self._cut_off = False
        self._stopped_at = math.inf
        self._round: _Round[Any] | None = None
        self._workers: Workers = workers or HostThreads(
            self.targets, connect=connect, clock=self._clock, stop=self.stop, most=self._most, keep=keep
        )

    def run(self, job: Callable[[Host], V], *, only: Sequence[int] | None = None) -> list[Outcome[V]]:
        """Do ``job`` on every host (or those at the places ``only``); the outcomes in that order."""
        places = range(len(self.targets)) if only is None else only
        found = dict(self.stream(job, only=places))
        return [found[place] for place in places]

    def stream(
        self, job: Callable[[Host], V], *, only: Sequence[int] | None = None
    ) -> Iterator[tuple[int, Outcome[V]]]:
        """The same as they come: ``(place, outcome)``. Whoever takes them slowly slows the whole down.

        A first Ctrl-C ends what runs and yields what became of it; a second one is raised.
        """
        return (found for found in self.ticking(job, only=only) if found is not None)

    def ticking(
        self,
        job: Callable[[Host], V],
        *,
        only: Sequence[int] | None = None,
        again_after_s: float | None = None,
        at_once: int | None = None,
    ) -> Iterator[tuple[int, Outcome[V]] | None]:
        """The same, with ``None`` a few times a second while nothing comes. Who stops early leaves silent hosts behind.

        No more than ``at_once`` hosts that make progress are at work, where that is fewer than the fleet's own.

        With ``again_after_s`` each host is asked again so long after its answer, however long others take, until the
        run is interrupted or its time is up.
        """
        slots = self._slots if at_once is None else max(1, min(at_once, self._slots))
        work: _Round[V] = _Round(range(len(self.targets)) if only is None else only, slots)
        self._round = work
        with _first_signal_is_a_flag() as told_to_stop:
            while work.missing or work.due:
                try:
                    if (told_to_stop.is_set() or self._is_told_to_stop()) and not self.interrupted:
                        self._interrupt()
                    work.begin_again(self._clock.monotonic(), is_over=self._over() is not None)
                    self._begin_more(work, job)
                    found = self._next(work)
                    if found is None:
                        work.news.wait(LOOK_S)
                        work.news.clear()
                except KeyboardInterrupt:
                    if self.interrupted:
                        raise
                    self._interrupt()
                    continue
                yield found
                if found is not None:
                    del work.missing[found[0]]
                    if again_after_s is not None:
                        work.due[found[0]] = self._clock.monotonic() + again_after_s

    @property
    def at_work(self) -> int:
        """How many hosts are at work now."""
        return 0 if self._round is None else len(self._round.at_work)

    @property
    def waited_for(self) -> list[tuple[str, float]]:
        """The hosts at work that have not answered yet, and for how many seconds; the longest first."""
        if self._round is None:
            return []
        now, missing = self._clock.monotonic(), self._round.missing
        started = [(place, since) for place, since in list(self._round.at_work.items()) if place in missing]
        return [(self.targets[place].host, now - since) for place, since in sorted(started, key=lambda one: one[1])]

    @property
    def interrupted(self) -> bool:
        """Whether the run was cut short (Ctrl-C, SIGTERM, :meth:`cancel`)."""
        return self.stop.is_set()

    def _interrupt(self) -> None:
        self._end_what_runs()
        self._on_interrupt()  # last: to tell a person may take its time

    def _end_what_runs(self) -> None:
        if self._graceful:
            self.stop.set()
        else:
            self.cancel()

    def _begin_more(self, work: _Round[V], job: Callable[[Host], V]) -> None:
        """Let hosts begin while there are slots; where nobody may begin any more, say so of each that waits."""
        while work.todo and ((over := self._over()) is not None or self._has_slot(work)):
            place = work.todo.popleft()  # first of all: after a Ctrl-C in between nothing is begun twice
            if over is not None:
                work.settled(place, failed(self.targets[place], over))
            else:
                work.at_work[place] = self._clock.monotonic()
                left_s = None if self._deadline is None else self._deadline - self._clock.monotonic()
                settled, free = functools.partial(work.settled, place), functools.partial(work.freed, place)
                self._workers.begin(place, job, left_s=left_s, settled=settled, free=free)

    def _has_slot(self, work: _Round[V]) -> bool:
        """Whether another host may begin. Who is silent is counted four times a second, not for each host."""
        now = self._clock.monotonic()
        if len(work.at_work) >= work.slots and now >= work.next_look:
            work.next_look = now + LOOK_S
            started = list(work.at_work.items())
            work.silent = sum(min(now - since, self._workers.silent_s(place)) >= SILENT_S for place, since in started)
        return len(work.at_work) < min(self._most, work.slots + work.silent)

    def _over(self) -> NotBegun | None:
        """Why no further host may begin, if so."""
        if self.interrupted:
            return NotBegun("interrupted before its turn; nothing was sent")
        if self._past_deadline(0.0):
            words = "the time for the whole call was up before its turn; nothing was sent"
            return NotBegun(words, hint="Give it more time with --deadline, or ask the rest in another call.")
        return None

    def _past_deadline(self, seconds: float) -> bool:
        """Whether the deadline of the whole call was so long ago."""
        return self._deadline is not None and self._clock.monotonic() >= self._deadline + seconds

    def _next(self, work: _Round[V]) -> tuple[int, Outcome[V]] | None:
        """The next outcome, if one is known: of a host that has finished, or that nobody waits for any more."""
        if (found := work.first_result()) is not None:
            return found
        if self.interrupted and work.give_up is None:  # one limit for all hosts, however many of them hang
            work.give_up = self._clock.monotonic() + (GRACE_LIMIT_S if self._graceful else CANCEL_LIMIT_S)
            self._stopped_at = self._clock.monotonic()
        if self._graceful and not self._cut_off and self._clock.monotonic() >= self._stopped_at + STEP_LIMIT_S:
            self._cut_off = True
            self._workers.interrupt(begun_before=self._stopped_at)
        place = next(iter(work.missing), None)
        if place is None:
            return None
        if work.give_up is not None and self._clock.monotonic() >= work.give_up:
            return place, failed(self.targets[place], Interrupted(_NOT_WAITED_FOR))
        if self._past_deadline(CUT_AFTER_S) and not self._cut_off:
            self._cut_off = True
            self._workers.cancel(TimedOut(_TOO_LATE))
        if self._past_deadline(GIVE_UP_AFTER_S):
            return place, failed(self.targets[place], TimedOut(_TOO_LATE))
        return None

    def cancel(self) -> None:
        """End every running job at once and begin no new one; may be called from any thread."""
        self.stop.set()
        self._workers.cancel(Interrupted(_NOT_WAITED_FOR))

    def close(self) -> None:
        """Let go of all hosts at the same time; never raises, and does not wait for one that hangs."""
        self._workers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self.at_work:  # nobody will hear what becomes of them
            self._end_what_runs()
            if self._graceful and issubclass(kind, Exception):  # a fault, not a person who wants to leave
                self._wait_until_given_back()
        self.close()

    def _wait_until_given_back(self) -> None:
        until = self._clock.monotonic() + GRACE_LIMIT_S
        while self.at_work and self._clock.monotonic() < until:
            self._clock.wait(LOOK_S)


@contextmanager
def _first_signal_is_a_flag() -> Iterator[threading.Event]:
    """Let the first Ctrl-C, SIGTERM or SIGHUP set a flag, so that it cannot strike where the caller handles an outcome.

    Whoever has a handler hears of both; only the ``KeyboardInterrupt`` that the first one raises is held back.
    """
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    with ExitStack() as restored:
        for number in INTERRUPTIONS:
            if callable(before := signal.getsignal(number)):
                signal.signal(number, functools.partial(_hold_back, flag, before))
                restored.callback(signal.signal, number, before)
        yield flag


def _hold_back(
    flag: threading.Event, handler: Callable[[int, FrameType | None], Any], number: int, frame: FrameType | None
) -> None:
    try:
        handler(number, frame)
    except KeyboardInterrupt:
        if flag.is_set():
            raise
        flag.set()


class _Round(Generic[V]):
    """One job on its hosts: whose turn is to come, who is at work, and what is known and not handed out yet.

    An outcome stays in ``results`` until it was handed out, and counts only while its place is in ``missing``: a Ctrl-C
    between any two steps loses none, and a host that was given up and answers all the same is not told twice.
    """

    def __init__(self, places: Iterable[int], slots: int) -> None:
        self.slots = slots
        self.todo = deque(places)
        self.missing = dict.fromkeys(self.todo)
        self.at_work: dict[int, float] = {}
        self.due: dict[int, float] = {}
        """When hosts that have answered are to be asked again."""
        self.silent = 0
        self.next_look = -math.inf
        self.give_up: float | None = None
        self.results: deque[tuple[int, Outcome[V]]] = deque()
        self.news = threading.Event()

    def settled(self, place: int, outcome: Outcome[V]) -> None:
        """Take an outcome in, from any thread."""
        self.results.append((place, outcome))
        self.news.set()

    def freed(self, place: int) -> None:
        """A host is at work no longer, not even at letting go of its connection."""
        self.at_work.pop(place, None)
        self.news.set()

    def begin_again(self, now: float, *, is_over: bool) -> None:
        """Put the hosts that are due among those whose turn is to come; where all is over, none."""
        if is_over:
            self.due.clear()
        for place in [place for place, at in self.due.items() if at <= now and place not in self.at_work]:
            del self.due[place]
            self.missing[place] = None
            self.todo.append(place)

    def first_result(self) -> tuple[int, Outcome[V]] | None:
        """The oldest outcome that was not handed out."""
        while self.results and self.results[0][0] not in self.missing:
            self.results.popleft()
        return self.results[0] if self.results else None
